//! Why the authority did not do what it was asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use shipshape_core::atomic::AtomicError;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::http::HttpError;
use shipshape_core::moment;
use shipshape_core::secret::SecretError;
use shipshape_core::signal::Interrupted;

/// What one name failed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The name.
    pub(crate) name: String,
    /// By which challenge it was to be proved; none where it did not come to that.
    pub(crate) challenge: Option<&'static str>,
    /// The type of the problem without `urn:ietf:params:acme:error:`.
    pub(crate) kind: String,
    /// In the authority's words, bounded and in one line.
    pub(crate) detail: String,
}

/// Why the authority did not do what it was asked for. Cloned for each certificate that fails for the same reason.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    /// It cannot be reached, or not trusted.
    #[error(transparent)]
    Http(Arc<HttpError>),
    /// Too much was asked for (429, `rateLimited`), or it is overloaded (503).
    #[error("{host} asks to come back later: {detail}")]
    Later {
        /// The authority.
        host: String,
        /// In its words.
        detail: String,
        /// When, where it says so.
        retry_at: Option<DateTime<Utc>>,
        /// A page that it names: its limits, or where a pause is lifted.
        page: Option<String>,
    },
    /// Names that it would not vouch for, or could not prove.
    #[error("{host} refused {}", told(refused))]
    Names {
        /// The authority.
        host: String,
        /// What CAA records call it.
        caa: Option<String>,
        /// Each with its reason.
        refused: Vec<Refused>,
    },
    /// The account is not known there any more.
    #[error("{host} does not know our account")]
    AccountGone {
        /// The authority.
        host: String,
    },
    /// Accounts have to be bound to one that exists elsewhere.
    #[error("{host} wants an external account binding")]
    Binding {
        /// The authority.
        host: String,
    },
    /// What is to bind the account cannot be used.
    #[error("the key of the external account `{kid}` cannot be used: {why}")]
    BindingKey {
        /// The key's name.
        kid: String,
        /// What is wrong.
        why: String,
    },
    /// It wants its terms to be read, or something else to be done by a person (`userActionRequired`).
    #[error("{host} wants somebody to act: {detail}")]
    Terms {
        /// The authority.
        host: String,
        /// Where.
        page: Option<String>,
        /// In its words.
        detail: String,
    },
    /// It has no such profile.
    #[error("{host} has no profile `{profile}`")]
    Profile {
        /// The authority.
        host: String,
        /// As it was wanted.
        profile: String,
        /// Those that it has.
        known: String,
    },
    /// None of its challenges is the one that was chosen.
    #[error("{host} does not offer {kind} for {name}")]
    NoChallenge {
        /// The authority.
        host: String,
        /// Which kind.
        kind: &'static str,
        /// For what.
        name: String,
    },
    /// It takes longer than we wait; the next run goes on with it.
    #[error("{host} is still at it")]
    Pending {
        /// The authority.
        host: String,
        /// When it wants to be asked again, where it says so.
        retry_at: Option<DateTime<Utc>>,
    },
    /// It refused for a reason of its own.
    #[error("{host} refused: {detail} ({kind})")]
    Refused {
        /// The authority.
        host: String,
        /// The type of the problem, or the status.
        kind: String,
        /// In its words.
        detail: String,
    },
    /// It said something that is no ACME.
    #[error("the answer of {host} is not understood: {why}")]
    Protocol {
        /// The authority.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The account's file cannot be used.
    #[error("the account in {place} cannot be used: {why}")]
    Account {
        /// The file.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The account's file, or the key of a binding, cannot be read.
    #[error(transparent)]
    Secret(Arc<SecretError>),
    /// The account's file cannot be written.
    #[error(transparent)]
    File(Arc<AtomicError>),
    /// We were asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<HttpError> for AcmeError {
    fn from(cause: HttpError) -> Self {
        Self::Http(Arc::new(cause))
    }
}

impl From<SecretError> for AcmeError {
    fn from(cause: SecretError) -> Self {
        Self::Secret(Arc::new(cause))
    }
}

impl From<AtomicError> for AcmeError {
    fn from(cause: AtomicError) -> Self {
        Self::File(Arc::new(cause))
    }
}

fn told(refused: &[Refused]) -> String {
    refused.iter().map(|one| format!("{}: {} ({})", one.name, one.detail, one.kind)).collect::<Vec<_>>().join("; ")
}

impl AcmeError {
    /// Before when it makes no sense to ask again, where the authority has said so.
    pub(crate) fn retry_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Later { retry_at, .. } | Self::Pending { retry_at, .. } => *retry_at,
            Self::Http(_)
            | Self::Names { .. }
            | Self::AccountGone { .. }
            | Self::Binding { .. }
            | Self::BindingKey { .. }
            | Self::Terms { .. }
            | Self::Profile { .. }
            | Self::NoChallenge { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::Account { .. }
            | Self::Secret(_)
            | Self::File(_)
            | Self::Interrupted(_) => None,
        }
    }
}

impl Explain for AcmeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Http(cause) => cause.code(),
            Self::Later { .. } => "acme.later",
            Self::Names { .. } => "acme.names",
            Self::AccountGone { .. } => "acme.account_gone",
            Self::Binding { .. } => "acme.binding",
            Self::BindingKey { .. } => "acme.binding_key",
            Self::Terms { .. } => "acme.terms",
            Self::Profile { .. } => "acme.profile",
            Self::NoChallenge { .. } => "acme.challenge",
            Self::Pending { .. } => "acme.pending",
            Self::Refused { .. } => "acme.refused",
            Self::Protocol { .. } => "acme.protocol",
            Self::Account { .. } => "acme.account",
            Self::Secret(cause) => cause.code(),
            Self::File(cause) => cause.code(),
            Self::Interrupted(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Http(cause) => cause.hint(),
            Self::Later { retry_at, page, .. } => of_later(*retry_at, page.as_deref()),
            Self::Names { caa, refused, .. } => of_names(caa.as_deref(), refused),
            Self::AccountGone { .. } => "the next run makes a new account; nothing is to be done".to_owned(),
            Self::Binding { host } => {
                format!("make an account at {host}, and name its key in the configuration: eab_kid, eab_hmac_file")
            }
            Self::BindingKey { .. } => {
                "copy name and key again from the authority's page: eab_kid, and the file of eab_hmac_file".to_owned()
            }
            Self::Terms { page: Some(page), .. } => format!("visit {page}, then run it again"),
            Self::Terms { page: None, host, .. } => format!("see the terms of service of {host}, then run it again"),
            Self::Profile { known, .. } if known.is_empty() => {
                "it has no profiles at all: leave `profile` out".to_owned()
            }
            Self::Profile { known, .. } => format!("it has these: {known}"),
            Self::NoChallenge { .. } => "choose another way to prove it: challenge".to_owned(),
            Self::Pending { .. } => "the next run goes on with this order; nothing is to be done".to_owned(),
            Self::Refused { kind, .. } => of_kind(kind).to_owned(),
            Self::Protocol { host, .. } => format!("check that {host} is an ACME server: ca = \"https://…\""),
            Self::Account { place, .. } => {
                format!("put it aside, and the next run makes a new one: mv {place} {place}.old")
            }
            Self::Secret(cause) => cause.hint(),
            Self::File(cause) => cause.hint(),
            Self::Interrupted(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            // Nothing is wrong here yet: the run after next may still be early enough.
            Self::Later { .. } | Self::Pending { .. } => Exit::Warning,
            Self::Http(_)
            | Self::Names { .. }
            | Self::AccountGone { .. }
            | Self::Terms { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. } => Exit::Critical,
            // Nothing was asked for: the configuration, or our own files.
            Self::Binding { .. }
            | Self::BindingKey { .. }
            | Self::Profile { .. }
            | Self::NoChallenge { .. }
            | Self::Account { .. } => Exit::Unknown,
            Self::Secret(cause) => cause.exit(),
            Self::File(cause) => cause.exit(),
            Self::Interrupted(cause) => cause.exit(),
        }
    }
}

fn of_later(retry_at: Option<DateTime<Utc>>, page: Option<&str>) -> String {
    let then =
        retry_at.map_or_else(|| "a later run".to_owned(), |at| format!("the first run after {}", moment::told(at)));
    let see = page.map(|page| format!("; see {page}")).unwrap_or_default();
    format!("{then} tries again{see}")
}

/// What helps, once for each kind of reason.
fn of_names(caa: Option<&str>, refused: &[Refused]) -> String {
    let all: BTreeSet<String> = refused.iter().map(|one| of_name(caa, one)).collect();
    all.into_iter().collect::<Vec<_>>().join("; ")
}

/// By the kinds of RFC 8555, 6.7, and by the challenge that was to prove the name.
fn of_name(caa: Option<&str>, refused: &Refused) -> String {
    let Refused { name, challenge, kind, .. } = refused;
    match (kind.as_str(), challenge) {
        ("dns", Some("dns-01")) => "check that the TXT record of _acme-challenge can be asked for everywhere".to_owned(),
        ("dns", _) => "check the A and AAAA records of the name: they must exist, and point to this machine".to_owned(),
        ("connection", Some("tls-alpn-01")) => "open port 443 of the name to the Internet".to_owned(),
        ("connection", _) => {
            "open port 80 of the name to the Internet, and check that its A and AAAA records point to this machine".to_owned()
        }
        ("unauthorized" | "incorrectResponse", Some("dns-01")) => {
            "another TXT record stands at _acme-challenge, or the new one was not seen yet: a longer hook_wait helps".to_owned()
        }
        ("unauthorized" | "incorrectResponse" | "tls", Some("tls-alpn-01")) => {
            "something else answers at port 443 of the name: choose http-01, or let the port reach this machine".to_owned()
        }
        ("unauthorized" | "incorrectResponse", _) => {
            "the web server answers something else below /.well-known/acme-challenge/: check that the name reaches it, and its webroot"
                .to_owned()
        }
        ("caa", _) => format!("let the authority issue: {name}. CAA 0 issue \"{}\"", caa.unwrap_or("its name")),
        ("rejectedIdentifier" | "unsupportedIdentifier", _) => "take what it refuses out of `names`".to_owned(),
        ("tls", _) => "check the certificate that the name's web server redirects to".to_owned(),
        (_, _) => "see what it says of the name; `certrenew check` looks at what can be seen from here".to_owned(),
    }
}

/// By the kinds of RFC 8555, 6.7 and RFC 9773, 7.4.
fn of_kind(kind: &str) -> &'static str {
    match kind {
        "badCSR" | "badPublicKey" => "choose another kind of key: key = \"ecdsa-p256\"",
        "invalidContact" | "unsupportedContact" => "correct the addresses of `contact`, or leave it out",
        "alreadyRevoked" => "it is revoked already; nothing is to be done",
        "badRevocationReason" => "choose another reason: --reason unspecified",
        "alreadyReplaced" => "the next run orders without naming what it replaces; nothing is to be done",
        "unauthorized" => "see what it says; where the account was closed, put its file aside and a new one is made",
        "orderNotReady" | "badNonce" | "serverInternal" => "run it again later; if it stays so, ask the authority",
        _ => "see what it says; if it stays so, ask the authority",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: &str, challenge: Option<&'static str>) -> AcmeError {
        let refused = Refused { name: "a.test".to_owned(), challenge, kind: kind.to_owned(), detail: "no".to_owned() };
        let twice = vec![refused.clone(), Refused { name: "b.test".to_owned(), ..refused }];
        AcmeError::Names { host: "ca.test".to_owned(), caa: Some("ca.example".to_owned()), refused: twice }
    }

    #[test]
    fn each_refused_name_is_told_and_each_remedy_once() {
        let error = names("connection", Some("http-01"));
        assert_eq!(error.to_string(), "ca.test refused a.test: no (connection); b.test: no (connection)");
        assert_eq!(error.hint().matches("port 80").count(), 1);
    }

    #[test]
    fn the_remedy_is_that_of_the_reason_and_of_the_challenge() {
        for (kind, challenge, remedy) in [
            ("dns", Some("http-01"), "A and AAAA"),
            ("dns", Some("dns-01"), "TXT record"),
            ("connection", Some("tls-alpn-01"), "port 443"),
            ("unauthorized", Some("http-01"), "/.well-known/acme-challenge/"),
            ("unauthorized", Some("dns-01"), "hook_wait"),
            ("incorrectResponse", Some("tls-alpn-01"), "port 443"),
            ("caa", Some("http-01"), "a.test. CAA 0 issue \"ca.example\""),
            ("rejectedIdentifier", None, "out of `names`"),
            ("somethingNew", None, "certrenew check"),
        ] {
            let hint = names(kind, challenge).hint();
            assert!(hint.contains(remedy), "{kind}: {hint}");
        }
    }

    #[test]
    fn a_wish_to_come_back_later_is_told_with_its_time_and_is_no_failure_yet() {
        let at = "2026-11-20T08:00:00Z".parse().unwrap();
        let later = AcmeError::Later {
            host: "ca.test".to_owned(),
            detail: "slow".to_owned(),
            retry_at: Some(at),
            page: Some("https://ca.test/limits".to_owned()),
        };
        assert!(later.hint().contains(&moment::told(at)) && later.hint().ends_with("see https://ca.test/limits"));
        assert_eq!((later.retry_at(), later.exit()), (Some(at), Exit::Warning));
    }
}
