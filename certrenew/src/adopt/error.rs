//! Why certificates of certbot cannot be taken over.

use std::io;
use std::path::PathBuf;

use shipshape_core::atomic::AtomicError;
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    /// There is nothing of certbot's.
    #[error("certbot has no certificates in {}", folder.display())]
    NothingThere {
        /// The folder.
        folder: PathBuf,
    },
    /// Something cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration cannot be appended to.
    #[error("the configuration {} would not hold together with what comes from certbot: {why}", path.display())]
    DoesNotFit {
        /// The file.
        path: PathBuf,
        /// What it would be refused for.
        why: Failure,
    },
    /// Something cannot be written.
    #[error("cannot write {}", path.display())]
    NotWritable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// certbot's file has no place for the line that tells certbot to leave it alone.
    #[error("certbot cannot be told in {} to renew it no more: it has no section [renewalparams]", path.display())]
    NotTold {
        /// The file.
        path: PathBuf,
    },
    /// A copy of certbot's file cannot be kept.
    #[error(transparent)]
    Copy(#[from] AtomicError),
}

impl Explain for AdoptError {
    fn code(&self) -> &'static str {
        match self {
            Self::NothingThere { .. } => "adopt.nothing",
            Self::Unreadable { .. } => "adopt.unreadable",
            Self::DoesNotFit { .. } => "adopt.does_not_fit",
            Self::NotWritable { .. } => "adopt.not_writable",
            Self::NotTold { .. } => "adopt.not_told",
            Self::Copy(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NothingThere { .. } => {
                "name certbot's folder: certrenew adopt DIR; certbot certificates tells it".to_owned()
            }
            Self::Unreadable { path, .. } => format!("run it as root: ls -ld {}", path.display()),
            Self::DoesNotFit { .. } => {
                "nothing was changed; see what would be written, and write it by hand: certrenew adopt --dry-run"
                    .to_owned()
            }
            Self::NotWritable { path, .. } => {
                format!("run it as root, or name another file: --config FILE; ls -l {}", path.display())
            }
            Self::NotTold { path } => format!(
                "otherwise both renew it; put it where certbot does not read it: mv {0} {0}.orig",
                path.display()
            ),
            Self::Copy(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NothingThere { .. }
            | Self::Unreadable { .. }
            | Self::DoesNotFit { .. }
            | Self::NotWritable { .. }
            | Self::NotTold { .. } => Exit::Unknown,
            Self::Copy(cause) => cause.exit(),
        }
    }
}
