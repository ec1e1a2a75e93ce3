//! Looks before an order: what would make the authority refuse, found out before an attempt is burnt.
//!
//! ```text
//! local    files can be written, the challenge can be shown, the clock agrees with the authority's
//! DNS      each name has an address; CAA records allow this authority (RFC 8659, RFC 8657)
//! reach    a token of our own, asked for at every address of every name, comes back as it was put there
//! ```

mod caa;
mod deadline;
pub(crate) mod dns;
mod error;
mod names;
mod parallel;
mod reach;
#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shipshape_core::error::Failure;
use shipshape_core::http::host_of;
use shipshape_core::signal;

pub(crate) use error::PreflightError;

use self::caa::Asker;
use self::deadline::Deadline;
use self::dns::Resolver;
use self::names::Names;
use self::reach::Trial;
use crate::acme::{About, AcmeError};
use crate::challenge::{self, Shown};
use crate::files::Lineage;
use crate::wanted::{Method, Wanted};

/// How long a whole look may take.
const WHOLE: Duration = Duration::from_secs(10);

/// The longest message, in characters: parts of it come from outside.
const LONGEST: usize = 400;

/// How wrong a clock may be. Certificates begin an hour before they are made, and nonces live for minutes.
const MOST_SKEW: TimeDelta = TimeDelta::minutes(5);

/// What was found of one name, or of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The name; none for what concerns the machine.
    pub(crate) name: Option<String>,
    /// A stable dotted word: `preflight.dns`, `preflight.caa`, `preflight.port`, `preflight.token`, `preflight.clock`, ….
    pub(crate) code: &'static str,
    /// What is so, or what is wrong, in one line.
    pub(crate) message: String,
    /// What to do; empty where all is well.
    pub(crate) hint: String,
    /// Whether an order would fail because of it.
    pub(crate) is_bad: bool,
}

/// Looks at everything that can be looked at without the authority, but for what its directory said. `account` is the URL of
/// our account, where it is known.
pub(crate) fn look(wanted: &Wanted, about: &About, account: Option<&str>) -> Result<Vec<Finding>, PreflightError> {
    let deadline = Deadline::after(WHOLE);
    let resolver = Resolver::until(wanted.resolver, deadline);
    let proofs = reach::proofs(wanted);
    let (here, names) = parallel::beside(|| here(wanted, &proofs), || names::ask(wanted, &resolver));
    signal::check()?;
    let (mut findings, shown) = here;
    findings.extend(clock(about.date, about.asked));
    findings.extend(offered(wanted, about));
    findings.extend(names.findings(wanted));
    findings.extend(allowed(wanted, about, account, &names));
    if let Some(shown) = shown {
        let trial = Trial { wanted, proofs: &proofs, resolver: &resolver, deadline };
        findings.extend(reach::findings(&names.targets(wanted), &trial));
        findings.extend(shown.end().err().map(|error| Finding { is_bad: false, ..failed(error) }));
    }
    signal::check()?;
    Ok(findings)
}

/// What the machine itself has to offer: room for files, and a way to show our own proofs, which are shown then.
fn here(wanted: &Wanted, proofs: &[challenge::Proof]) -> (Vec<Finding>, Option<Box<dyn Shown>>) {
    let Wanted { folder, name, install, owner, group, .. } = wanted;
    let lineage = Lineage::new(folder, name, *install, owner.as_deref(), group.as_deref());
    let mut findings = vec![match lineage.try_writing() {
        Ok(()) => fine("preflight.files", format!("certificates can be written to {}", lineage.live().display())),
        Err(error) => failed(error),
    }];
    let can_be_shown = challenge::try_showing(wanted);
    let shown = match can_be_shown {
        Ok(()) if proofs.is_empty() => Ok(None),
        Ok(()) => challenge::show(wanted, proofs).map(Some),
        Err(error) => Err(error),
    };
    match shown {
        Ok(shown) => {
            findings.push(fine("preflight.challenge", format!("proofs can be shown by {}", told(&wanted.method))));
            (findings, shown)
        }
        Err(error) => {
            findings.push(failed(error));
            (findings, None)
        }
    }
}

fn told(method: &Method) -> String {
    match method {
        Method::Webroot(folder) => format!("files in {}", folder.display()),
        Method::Standalone(address) | Method::TlsAlpn(address) => format!("a listener of our own at {address}"),
        Method::Hook { program, .. } => program.display().to_string(),
    }
}

fn allowed(wanted: &Wanted, about: &About, account: Option<&str>, names: &Names) -> Vec<Finding> {
    let method = match wanted.method {
        Method::Webroot(_) | Method::Standalone(_) => "http-01",
        Method::TlsAlpn(_) => "tls-alpn-01",
        Method::Hook { .. } => "dns-01",
    };
    let asker = Asker { identities: &about.caa_identities, method, account };
    wanted.identifiers.iter().filter_map(|identifier| caa::finding(identifier, &names.caa, asker)).collect()
}

/// Whether our clock agrees with the authority's; nothing where it does not tell.
fn clock(theirs: Option<DateTime<Utc>>, ours: Option<DateTime<Utc>>) -> Option<Finding> {
    let skew = ours? - theirs?;
    if skew.abs() <= MOST_SKEW {
        return Some(fine("preflight.clock", "the clock agrees with the authority's".to_owned()));
    }
    let (minutes, way) = (skew.num_minutes().abs(), if skew > TimeDelta::zero() { "ahead of" } else { "behind" });
    Some(Finding {
        hint: "set the clock, and keep it right: timedatectl set-ntp true, or apt install chrony".to_owned(),
        is_bad: true,
        ..fine("preflight.clock", format!("the clock of this machine is {minutes} minutes {way} the authority's"))
    })
}

/// Whether the authority would do what is asked of it, as far as its directory tells.
fn offered(wanted: &Wanted, about: &About) -> Option<Finding> {
    let host = host_of(&wanted.authority.directory).unwrap_or_default();
    let unknown = wanted
        .profile
        .as_ref()
        .filter(|profile| !about.profiles.is_empty() && !about.profiles.iter().any(|(known, _)| known == *profile));
    let error = if about.needs_binding && wanted.authority.binding.is_none() {
        AcmeError::Binding { host }
    } else {
        let known = about.profiles.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        AcmeError::Profile { host, profile: unknown?.clone(), known }
    };
    Some(failed(error))
}

/// Something of the machine that is well.
pub(crate) fn fine(code: &'static str, message: String) -> Finding {
    Finding { name: None, code, message, hint: String::new(), is_bad: false }
}

/// Something of the machine that is not.
pub(crate) fn failed(error: impl Into<Failure>) -> Finding {
    let failure: Failure = error.into();
    Finding { hint: failure.hint(), is_bad: true, ..fine(failure.code(), failure.message()) }
}

#[cfg(test)]
mod tests;
