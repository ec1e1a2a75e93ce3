//! Why a certificate was not renewed or put to use, where it is not told by the parts themselves.

use std::path::PathBuf;

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

use crate::preflight::Finding;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewError {
    /// A look before the order found what would make it fail.
    #[error("no order was made: {}", told(findings))]
    Preflight {
        /// What was found, bad findings only.
        findings: Vec<Finding>,
    },
    /// The server does not take its configuration with the new pair; the old one is in place again.
    #[error(
        "the server refuses its configuration with the new certificate, and the old one is in place again: {words}"
    )]
    RolledBack {
        /// In the server's words.
        words: String,
    },
    /// The server refuses its configuration, and there is no older pair to try it with.
    #[error("the server refuses its configuration: {words}")]
    Refused {
        /// In the server's words.
        words: String,
    },
    /// Another application's certificate has this place.
    #[error("{} belongs to a certificate of the application `{app}`", place.display())]
    Claimed {
        /// That application.
        app: String,
        /// `live/NAME`.
        place: PathBuf,
    },
    /// The server's configuration is broken with the old pair too.
    #[error("the server refuses its configuration with the old certificate as with the new one: {words}")]
    Broken {
        /// In the server's words.
        words: String,
    },
    /// After the reload something else is served.
    #[error("the new certificate is not served: {seen}")]
    NotServed {
        /// What was seen, name by name.
        seen: String,
    },
    /// A certificate that is renewed elsewhere is nowhere to be seen.
    #[error("nothing lies in {place}, and nothing is served: {seen}")]
    NotSeen {
        /// `live/NAME`.
        place: String,
        /// What was seen, name by name.
        seen: String,
    },
    /// What is remembered was written by a newer version.
    #[error("{} was written by a newer version", place.display())]
    Newer {
        /// The file.
        place: PathBuf,
    },
}

fn told(findings: &[Finding]) -> String {
    let one = |finding: &Finding| match &finding.name {
        Some(name) => format!("{name}: {}", finding.message),
        None => finding.message.clone(),
    };
    findings.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Explain for RenewError {
    fn code(&self) -> &'static str {
        match self {
            Self::Preflight { findings } => findings.first().map_or("preflight.failed", |finding| finding.code),
            Self::RolledBack { .. } => "deploy.rolled_back",
            Self::Broken { .. } | Self::Refused { .. } => "deploy.broken",
            Self::Claimed { .. } => "certificate.claimed",
            Self::NotServed { .. } => "deploy.not_served",
            Self::NotSeen { .. } => "deploy.not_seen",
            Self::Newer { .. } => "state.newer",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Preflight { findings } => {
                let mut hints: Vec<&str> = Vec::new();
                for hint in findings.iter().map(|finding| finding.hint.as_str()) {
                    if !hint.is_empty() && !hints.contains(&hint) {
                        hints.push(hint);
                    }
                }
                hints.join("; ")
            }
            Self::RolledBack { .. } => "mend the configuration; the next run tries the new one again".to_owned(),
            Self::Refused { .. } => "mend the configuration; the next run goes on".to_owned(),
            Self::Claimed { app, .. } => {
                format!(
                    "give one of them another name or folder; where that application has it no longer, remove it from the state file certrenew-{app}.json"
                )
            }
            Self::Broken { .. } => {
                "mend the configuration: the certificate is not what is wrong with it; the next run goes on".to_owned()
            }
            Self::NotServed { .. } => {
                "does the server read live/NAME, through a mount of the folder above it? is it told to reload: \
                                       service or command in the configuration? does `verify` name where it listens?"
                    .to_owned()
            }
            Self::NotSeen { .. } => {
                "say where it lies or where it is served: folder or verify in the configuration".to_owned()
            }
            Self::Newer { .. } => "use that version, or another folder: --state DIR".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Preflight { .. }
            | Self::RolledBack { .. }
            | Self::Refused { .. }
            | Self::Broken { .. }
            | Self::NotServed { .. }
            | Self::NotSeen { .. } => Exit::Critical,
            Self::Claimed { .. } | Self::Newer { .. } => Exit::Unknown,
        }
    }
}
