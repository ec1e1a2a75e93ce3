//! `certrenew revoke`: tells the authority that a certificate must no longer be trusted (RFC 8555, 7.6).

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use instant_acme::RevocationReason;
use serde_json::json;

use shipshape_core::config::{CertificateSection, ChallengeKind, Config};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;

use crate::acme::AcmeError;
use crate::cli::{Context, OneArgs};
use crate::renew::{Book, Sessions, lineage};
use crate::wanted::{self, Wanted, WantedError};

/// Which, and why.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// The certificate, by its name in the configuration, or below live/ where flags say the rest
    #[arg(value_name = "NAME")]
    pub(crate) certificate: String,
    /// Why: it decides how fast browsers forget the certificate
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Reason,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// The reasons that a subscriber may give (CA/Browser Forum, Baseline Requirements, 4.9.1.1).
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// None of the others, or none that is to be told
    Unspecified,
    /// Somebody else may have the key
    KeyCompromise,
    /// The names belong to another organization now
    AffiliationChanged,
    /// Another certificate is in use
    Superseded,
    /// The site is no more
    CessationOfOperation,
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    /// There is no certificate in that place.
    #[error("there is no certificate in {place}")]
    Nothing {
        /// `live/NAME`.
        place: String,
    },
    /// Nobody but its maker vouches for it.
    #[error("the certificate in {place} is a placeholder, of which no authority knows")]
    Placeholder {
        /// `live/NAME`.
        place: String,
    },
    /// The authority takes the word of the account alone that ordered it, or of one that has proved all of its names
    /// (RFC 8555, 7.6).
    #[error("another account ordered the certificate in {}, and {host} does not take ours for it", place.display())]
    OtherAccount {
        /// The authority.
        host: String,
        /// The URL of its directory.
        directory: String,
        /// `live/NAME`.
        place: PathBuf,
        /// Why it is to be revoked.
        reason: Reason,
        /// In its words.
        source: AcmeError,
    },
}

impl Explain for RevokeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nothing { .. } => "revoke.nothing",
            Self::Placeholder { .. } => "revoke.placeholder",
            Self::OtherAccount { .. } => "revoke.other_account",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Nothing { .. } => "see which there are: certrenew status".to_owned(),
            Self::Placeholder { .. } => "there is nothing to be done".to_owned(),
            Self::OtherAccount { directory, place, reason, .. } => by_others(directory, place, *reason),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Nothing { .. } | Self::Placeholder { .. } => Exit::Unknown,
            Self::OtherAccount { .. } => Exit::Critical,
        }
    }
}

/// What revokes it instead: certbot with the account that it has kept, or whoever has the certificate's own key. The
/// files must stay: they are served until others take their place.
fn by_others(directory: &str, place: &Path, reason: Reason) -> String {
    let place = place.display();
    // certbot knows the same reasons, in one word each.
    let reason = reason.word().replace('-', "");
    let certbot = format!(
        "certbot revoke --server {directory} --cert-path {place}/cert.pem --reason {reason} --no-delete-after-revoke"
    );
    format!("where certbot ordered it: {certbot}; else by its own key: {certbot} --key-path {place}/privkey.pem")
}

/// Revokes what lies in `live/NAME`; the files stay, and the next run replaces them.
pub(crate) fn revoke(args: &RevokeArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let wanted = meant(args, context.config)?;
    let (mut book, _lock) = Book::open(context)?;
    let place = lineage(&wanted);
    let told = place.live().display().to_string();
    let Some(installed) = place.installed()? else { return Err(RevokeError::Nothing { place: told }.into()) };
    let facts = &installed.chain.facts;
    if facts.is_self_signed {
        return Err(RevokeError::Placeholder { place: told }.into());
    }
    let mut sessions = Sessions::new(book.accounts()?);
    let leaf = installed.chain.certificates.first().map_or(&[][..], Vec::as_slice);
    let ended = sessions.with(&wanted.authority)?.revoke(leaf, args.reason.code());
    ended.map_err(|refused| of_another(refused, &wanted, place.live(), args.reason))?;
    // The authority's wish is another now: it is to be asked at once, and a pause after a failure is over.
    let mut record = book.record(&wanted.name);
    record.wish = None;
    record.revoked = Some(facts.serial.clone());
    // An order under way has a key of its own, and is worth no less; one that ended in this very certificate is not taken again.
    record.order = None;
    // A pause of our own is over; one that the authority wants is not.
    record.failures = record.failures.filter(|failures| failures.why.code == "acme.later");
    book.note(&wanted.name, &record)?;
    Ok(outcome(&wanted.name, &facts.serial, args.reason))
}

/// What is told. That nothing else has changed is a warning: browsers that look will refuse what is still served.
fn outcome(name: &str, serial: &str, reason: Reason) -> Outcome {
    let next = format!("certrenew --name {name}");
    let served = Notice::new(
        "revoke.still_served",
        format!("{name}: it is still served, though it is revoked"),
        format!("replace it now: {next}"),
    );
    Outcome {
        data: json!({ "name": name, "serial": serial, "reason": reason.word() }),
        text: format!("it is still served; replace it now: {next}"),
        warnings: vec![served],
        ..Outcome::ok(format!("{name}: revoked {serial}"))
    }
}

/// The certificate of this name in the configuration; where it has none at all, or the flags state names, the one that the
/// flags describe.
fn meant(args: &RevokeArgs, config: &Config) -> Result<Wanted, WantedError> {
    let name = &args.certificate;
    let one = OneArgs { name: Some(name.clone()), domain: Vec::new(), ..args.one.clone() };
    let is_described = !args.one.domain.is_empty() || config.certrenew.certificate.is_empty();
    let mut all = if is_described {
        let mut config = config.clone();
        config.certrenew.certificate = vec![described(name, &args.one.domain)];
        wanted::wanted(&config, &one)?
    } else {
        wanted::wanted(config, &one)?
    };
    all.pop().ok_or(WantedError::Nothing)
}

/// Enough to find it, and whom to tell: nothing is to be proved.
fn described(name: &str, domains: &[String]) -> CertificateSection {
    // The names are those of the file. A certificate has to have one, and this one is nobody's (RFC 2606, 2).
    let names = if domains.is_empty() { vec!["certificate.invalid".to_owned()] } else { domains.to_vec() };
    CertificateSection {
        name: Some(name.to_owned()),
        names,
        renew: Some(false),
        challenge: Some(ChallengeKind::Http01),
        ..CertificateSection::default()
    }
}

/// `unauthorized` has one meaning here (RFC 8555, 7.6).
fn of_another(refused: AcmeError, wanted: &Wanted, place: PathBuf, reason: Reason) -> Failure {
    match refused {
        AcmeError::Refused { ref host, ref kind, .. } if kind == "unauthorized" => RevokeError::OtherAccount {
            host: host.clone(),
            directory: wanted.authority.directory.clone(),
            place,
            reason,
            source: refused,
        }
        .into(),
        other => other.into(),
    }
}

impl Reason {
    /// As the flag has it.
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use shipshape_core::config::CertrenewSection;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RevokeArgs,
    }

    fn args(words: &[&str]) -> RevokeArgs {
        let line = ["revoke", "--reason", "key-compromise"].iter().chain(words);
        Line::try_parse_from(line).unwrap().args
    }

    fn config(names: &[&str]) -> Config {
        let one = |name: &&str| CertificateSection {
            names: vec![(*name).to_owned()],
            renew: Some(false),
            ..CertificateSection::default()
        };
        let certificate = names.iter().map(one).collect();
        let ca = Some("google".to_owned());
        Config { certrenew: CertrenewSection { certificate, ca, ..CertrenewSection::default() }, ..Config::default() }
    }

    #[test]
    fn without_a_configuration_the_flags_say_where_it_lies_and_whom_to_tell() {
        let flags = ["shop", "--folder", "/srv/tls", "--ca", "https://ca.test/directory", "--ca-file", "/ca.pem"];
        let found = meant(&args(&flags), &Config::default()).unwrap();
        assert_eq!(lineage(&found).live(), Path::new("/srv/tls/live/shop"));
        assert_eq!(found.authority.directory, "https://ca.test/directory");
        assert_eq!(found.authority.roots.as_deref(), Some(Path::new("/ca.pem")));
        let wildcard = meant(&args(&["a.test", "--domain", "*.a.test"]), &Config::default()).unwrap();
        assert_eq!((wildcard.name.as_str(), wildcard.identifiers[0].to_string()), ("a.test", "*.a.test".to_owned()));
        assert!(matches!(meant(&args(&["../x"]), &Config::default()), Err(WantedError::Name { .. })));
    }

    #[test]
    fn a_name_that_the_configuration_has_not_is_refused_unless_flags_describe_it() {
        let config = config(&["a.test", "b.test"]);
        assert_eq!(meant(&args(&["b.test"]), &config).unwrap().name, "b.test");
        assert!(matches!(meant(&args(&["c.test"]), &config), Err(WantedError::Unknown { .. })));
        let described = meant(&args(&["c.test", "--domain", "c.test"]), &config).unwrap();
        let common = meant(&args(&["a.test"]), &config).unwrap();
        assert_eq!((described.name.as_str(), described.authority), ("c.test", common.authority), "as [certrenew] says");
    }

    #[test]
    fn that_it_is_still_served_is_a_warning_and_the_reason_is_told_as_it_was_stated() {
        let outcome = outcome("a.test", "01ab", Reason::CessationOfOperation);
        assert_eq!(outcome.data["reason"], "cessation-of-operation");
        assert_eq!(outcome.warnings[0].code, "revoke.still_served");
        assert!(outcome.warnings[0].hint.ends_with("certrenew --name a.test"));
    }

    #[test]
    fn of_another_accounts_certificate_it_is_told_how_to_revoke_it() {
        let wanted = meant(&args(&["a.test"]), &config(&["a.test"])).unwrap();
        let of = |kind: &str| {
            let (host, kind, detail) = ("ca.test".to_owned(), kind.to_owned(), "no".to_owned());
            let refused = AcmeError::Refused { host, kind, detail };
            of_another(refused, &wanted, "/le/live/a.test".into(), Reason::KeyCompromise)
        };
        let other = of("unauthorized");
        assert_eq!((other.code(), other.exit()), ("revoke.other_account", Exit::Critical));
        let certbot = format!(
            "certbot revoke --server {} --cert-path /le/live/a.test/cert.pem --reason keycompromise --no-delete-after-revoke",
            wanted.authority.directory
        );
        let hint = other.hint();
        assert!(hint.contains(&format!("certbot ordered it: {certbot};")), "{hint}");
        assert!(hint.ends_with(&format!("{certbot} --key-path /le/live/a.test/privkey.pem")), "{hint}");
        assert_eq!(of("alreadyRevoked").code(), "acme.refused");
    }
}
