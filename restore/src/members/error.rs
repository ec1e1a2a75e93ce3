//! What can be wrong with a tar.

use std::io;

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// Why a tar cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{archive} {fault}")]
pub(crate) struct MemberError {
    /// Which one.
    pub(crate) archive: String,
    /// Where it comes from, which decides what helps.
    pub(crate) origin: Origin,
    /// What is wrong.
    #[source]
    pub(crate) fault: Fault,
}

/// Where a tar comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An object of a snapshot.
    Store,
    /// A file that somebody named.
    File,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The stream breaks.
    #[error("cannot be read to its end")]
    Read(#[source] io::Error),
    /// The blocks are no headers.
    #[error("is no tar, or a damaged one")]
    NotATar,
    /// Something in it is impossible.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    /// A name or a set of attributes that no file has.
    #[error("holds a header of {bytes} bytes, as no file needs it")]
    Endless {
        /// The size that it states.
        bytes: u64,
    },
    /// A device node.
    #[error("holds a device: {path}")]
    Device {
        /// Its path.
        path: String,
    },
    /// A form that is not read.
    #[error("holds what this version cannot restore, {what}: {path}")]
    Unsupported {
        /// Its path.
        path: String,
        /// What it is.
        what: &'static str,
    },
}

impl Explain for MemberError {
    fn code(&self) -> &'static str {
        match (&self.fault, self.origin) {
            (Fault::Read(_) | Fault::NotATar | Fault::Damaged(_), Origin::Store) => "store.damaged",
            (Fault::Read(_) | Fault::NotATar | Fault::Damaged(_), Origin::File) => "archive.damaged",
            (Fault::Endless { .. } | Fault::Device { .. }, _) => "archive.hostile",
            (Fault::Unsupported { .. }, _) => "archive.unsupported",
        }
    }

    fn hint(&self) -> String {
        match (&self.fault, self.origin) {
            (Fault::Read(_) | Fault::NotATar | Fault::Damaged(_), Origin::Store) => {
                "find a whole snapshot: restore verify --all".to_owned()
            }
            (Fault::Read(_) | Fault::NotATar | Fault::Damaged(_), Origin::File) => {
                "nothing was changed; take another copy of the file".to_owned()
            }
            (Fault::Endless { .. } | Fault::Device { .. }, _) => {
                "nothing was changed; do not trust this archive before you know who made it".to_owned()
            }
            (Fault::Unsupported { .. }, _) => "unpack it with GNU tar into a folder of its own: tar -xpf".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self.fault {
            Fault::Read(_) | Fault::NotATar | Fault::Damaged(_) | Fault::Endless { .. } | Fault::Device { .. } => {
                Exit::Critical
            }
            Fault::Unsupported { .. } => Exit::Unknown,
        }
    }
}
