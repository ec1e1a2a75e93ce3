//! What can go wrong with the folders that a restore writes to.

use std::io;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::Bytes;
use shipshape_core::atomic::AtomicError;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::lock::LockError;
use shipshape_core::signal::Interrupted;

use crate::beneath::{BeneathError, Hostile};

/// Why the target does not take what is restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// No space is left.
    #[error("no space is left to write {path}")]
    Full {
        /// What was written.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Somebody else's folder.
    #[error("cannot {verb} {path}")]
    Denied {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Anything else the system says.
    #[error("cannot {verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A name leads out of the target.
    #[error(transparent)]
    Hostile(#[from] Hostile),
    /// The run was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Another restore is at it.
    #[error(transparent)]
    Held(#[from] LockError),
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] AtomicError),
    /// The journal of an earlier restore makes no sense.
    #[error("the journal {} of an interrupted restore is damaged", path.display())]
    JournalDamaged {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        cause: serde_json::Error,
    },
    /// Something live that must stay is where the snapshot has something else.
    #[error("{path} is in the way: {why}")]
    InTheWay {
        /// Its path on the machine.
        path: String,
        /// What it is.
        why: &'static str,
    },
    /// The target holds something already.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// What is restored belongs into a volume that is not here.
    #[error("what is restored belongs into the volume {volume}, which is not to be found here")]
    NoVolume {
        /// Its name at the time of the snapshot.
        volume: String,
    },
}

impl TargetError {
    /// Sorts an error of the system into what it means for a target.
    pub(crate) fn io(verb: &'static str, path: impl AsRef<Path>, cause: impl Into<io::Error>) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let (path, cause) = (Bytes::from(path.as_ref().as_os_str().as_bytes()).shown(), cause.into());
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, cause },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { verb, path, cause },
            _ => Self::Io { verb, path, cause },
        }
    }

    /// The same for a folder below a root.
    pub(crate) fn beneath(verb: &'static str, path: &[u8], refused: BeneathError) -> Self {
        match refused {
            BeneathError::Hostile(hostile) => Self::Hostile(hostile),
            BeneathError::Io(cause) => Self::io(verb, path_of(path), cause),
        }
    }
}

/// Bytes as a path.
pub(crate) fn path_of(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

impl Explain for TargetError {
    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "target.full",
            Self::Denied { .. } => "target.denied",
            Self::Io { .. } => "target.io",
            Self::Hostile(cause) => cause.code(),
            Self::Interrupted(cause) => cause.code(),
            Self::Held(cause) => cause.code(),
            Self::Journal(cause) => cause.code(),
            Self::JournalDamaged { .. } => "restore.journal",
            Self::InTheWay { .. } => "restore.in_the_way",
            Self::NotEmpty { .. } => "restore.not_empty",
            Self::NoVolume { .. } => "volume.missing",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Full { .. } => {
                "what is live was left as it was; a restore needs room for a second copy: make some (df -h), \
                 or restore a part with --only or --path"
                    .to_owned()
            }
            Self::Denied { .. } => {
                "what is live was left as it was; run it as the owner of the folder, or as root".to_owned()
            }
            Self::Io { .. } => "what is live was left as it was; look at the disk (dmesg)".to_owned(),
            Self::Hostile(cause) => cause.hint(),
            Self::Interrupted(cause) => cause.hint(),
            Self::Held(cause) => cause.hint(),
            Self::Journal(cause) => cause.hint(),
            Self::JournalDamaged { path, .. } => {
                format!("look at what lies beside {}, and move it away", path.display())
            }
            Self::InTheWay { path, .. } => {
                format!("nothing was changed; move {path} away, or restore elsewhere: --into DIR")
            }
            Self::NoVolume { .. } => {
                "nothing was changed; make it, in the application's folder: docker compose up --no-start; or --into DIR"
                    .to_owned()
            }
            Self::NotEmpty { path } => {
                format!("nothing was changed; choose a folder that does not exist: --into {}-restored", path.display())
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Full { .. } | Self::Denied { .. } | Self::Io { .. } => Exit::Critical,
            Self::Hostile(cause) => cause.exit(),
            Self::Interrupted(cause) => cause.exit(),
            Self::Held(cause) => cause.exit(),
            Self::Journal(cause) => cause.exit(),
            Self::JournalDamaged { .. } | Self::InTheWay { .. } | Self::NotEmpty { .. } | Self::NoVolume { .. } => {
                Exit::Unknown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_folder_that_is_not_ours() {
        let refused = |number| TargetError::io("write", "a\n", io::Error::from_raw_os_error(number));
        let (full, denied) = (refused(28), refused(13));
        assert_eq!(
            (full.code(), full.exit(), full.to_string().as_str()),
            ("target.full", Exit::Critical, r"no space is left to write a\n")
        );
        assert!(full.hint().contains("--only"));
        assert_eq!((denied.code(), denied.exit()), ("target.denied", Exit::Critical));
    }
}
