//! Why files of a certificate cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

use crate::certificate::CertificateError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// Something cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something cannot be written.
    #[error("cannot write {}", path.display())]
    NotWritable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no space left, or none that this user may take.
    #[error("the disk is full: cannot write {}", path.display())]
    DiskFull {
        /// What.
        path: PathBuf,
    },
    /// Something lies there that is not ours.
    #[error("{} {what}", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What it is, as the end of a sentence.
        what: String,
    },
    /// Others could put their own key into the folder.
    #[error("others can write to the folder {} (mode {mode:04o})", path.display())]
    OpenFolder {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no such user or group.
    #[error("there is no {kind} `{name}` on this machine")]
    Owner {
        /// `user` or `group`.
        kind: &'static str,
        /// As it was stated.
        name: String,
    },
    /// A file cannot be given to its stated owner.
    #[error("cannot give {} to its owner", path.display())]
    NotGiven {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A version is not there, or not whole.
    #[error("version {version} of `{name}` is not whole")]
    NoVersion {
        /// The certificate.
        name: String,
        /// Which.
        version: u32,
    },
    /// What lies there is no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl FilesError {
    /// What could not be written, told by its cause.
    pub(super) fn writing(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::NotWritable { path, source },
        }
    }

    /// What could not be read.
    pub(super) fn reading(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }
}

impl Explain for FilesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "files.unreadable",
            Self::NotWritable { .. } => "files.not_writable",
            Self::DiskFull { .. } => "files.disk_full",
            Self::Foreign { .. } => "files.foreign",
            Self::OpenFolder { .. } => "files.mode",
            Self::Owner { .. } | Self::NotGiven { .. } => "files.owner",
            Self::NoVersion { .. } => "files.version",
            Self::Certificate(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => format!("run it as root, or see whose it is: ls -ld {}", path.display()),
            Self::NotWritable { path, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                let look = format!("ls -ld {folder}; findmnt -T {folder}");
                format!("run it as root; see who may write there, and whether it is mounted read-only: {look}")
            }
            Self::DiskFull { path } => {
                let folder = path.parent().unwrap_or(path).display();
                format!("make room: df -h {folder}; df -i {folder}")
            }
            Self::Foreign { path, .. } => {
                format!("move it away, or give the certificate another name: ls -la {}", path.display())
            }
            Self::OpenFolder { path, .. } => format!("chmod go-w {}", path.display()),
            Self::Owner { kind: "user", name } => format!("see who there is: getent passwd {name}; a number does too"),
            Self::Owner { name, .. } => format!("see what there is: getent group {name}; a number does too"),
            Self::NotGiven { .. } => "run it as root, or take `owner` and `group` out of the configuration".to_owned(),
            Self::NoVersion { name, .. } => format!("order a new one: certrenew --force --name {name}"),
            Self::Certificate(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Owner { .. } => Exit::Unknown,
            Self::Unreadable { .. }
            | Self::NotWritable { .. }
            | Self::DiskFull { .. }
            | Self::Foreign { .. }
            | Self::OpenFolder { .. }
            | Self::NotGiven { .. }
            | Self::NoVersion { .. } => Exit::Critical,
            Self::Certificate(cause) => cause.exit(),
        }
    }
}
