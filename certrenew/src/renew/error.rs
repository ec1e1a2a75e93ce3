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
            Self::Broken { .. } => "deploy.broken",
            Self::NotServed { .. } => "deploy.not_served",
            Self::Newer { .. } => "state.newer",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Preflight { findings } => {
                let hints: Vec<&str> =
                    findings.iter().map(|finding| finding.hint.as_str()).filter(|hint| !hint.is_empty()).collect();
                hints.join("; ")
            }
            Self::RolledBack { .. } => "mend the configuration; the next run tries the new one again".to_owned(),
            Self::Broken { .. } => {
                "mend the configuration: the certificate is not what is wrong with it; the next run goes on".to_owned()
            }
            Self::NotServed { .. } => {
                "does the server read live/NAME, through a mount of the folder above it? is it told to reload: \
                                       service or command in the configuration? does `verify` name where it listens?"
                    .to_owned()
            }
            Self::Newer { .. } => "use that version, or another folder: --state DIR".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Preflight { .. } | Self::RolledBack { .. } | Self::Broken { .. } | Self::NotServed { .. } => {
                Exit::Critical
            }
            Self::Newer { .. } => Exit::Unknown,
        }
    }
}
