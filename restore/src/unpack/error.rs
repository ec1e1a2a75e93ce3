//! Why a snapshot cannot be unpacked.

use std::io;

use shipshape_core::archive::index::IndexError;
use shipshape_core::archive::unseal::UnsealError;
use shipshape_core::database::dump::NotWhole;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::signal::Interrupted;

use crate::beneath::Hostile;
use crate::members::MemberError;
use crate::target::TargetError;

/// Why a snapshot cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// An object cannot be opened.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A tar cannot be read.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The target does not take it.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The content of a file in a pack breaks off.
    #[error("{object} is damaged at {path}")]
    Content {
        /// The pack.
        object: String,
        /// The file.
        path: String,
        /// What the layer that noticed says.
        #[source]
        cause: io::Error,
    },
    /// A file is not what was backed up.
    #[error("{path} in {object} is not what was backed up: {why}")]
    Altered {
        /// The pack.
        object: String,
        /// The file.
        path: String,
        /// What differs.
        why: &'static str,
    },
    /// An object is not what the manifest says.
    #[error("{object} is not what the manifest says: {why}")]
    NotTheManifests {
        /// The object.
        object: String,
        /// What differs.
        why: String,
    },
    /// A dump is not whole, though it is what was stored.
    #[error("{object} holds no whole dump")]
    Dump {
        /// The object.
        object: String,
        /// What is missing.
        #[source]
        source: NotWhole,
    },
    /// More than can be restored in one run.
    #[error("the snapshot has more file names than one run can hold")]
    TooMany,
    /// The run was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<Hostile> for UnpackError {
    fn from(hostile: Hostile) -> Self {
        Self::Target(hostile.into())
    }
}

impl Explain for UnpackError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unseal(cause) => cause.code(),
            Self::Index(cause) => cause.code(),
            Self::Member(cause) => cause.code(),
            Self::Target(cause) => cause.code(),
            Self::Content { .. } | Self::Altered { .. } | Self::NotTheManifests { .. } => "store.damaged",
            Self::Dump { source, .. } => source.code(),
            Self::TooMany => "restore.too_many",
            Self::Interrupted(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unseal(cause) => cause.hint(),
            Self::Index(cause) => cause.hint(),
            Self::Member(cause) => cause.hint(),
            Self::Target(cause) => cause.hint(),
            Self::Content { .. } | Self::Altered { .. } | Self::NotTheManifests { .. } => {
                "what is live was left as it was; find a whole snapshot: restore verify --all".to_owned()
            }
            Self::Dump { source, .. } => source.hint(),
            Self::TooMany => "restore it in parts: --path".to_owned(),
            Self::Interrupted(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unseal(cause) => cause.exit(),
            Self::Index(cause) => cause.exit(),
            Self::Member(cause) => cause.exit(),
            Self::Target(cause) => cause.exit(),
            Self::Content { .. } | Self::Altered { .. } | Self::NotTheManifests { .. } | Self::TooMany => {
                Exit::Critical
            }
            Self::Dump { source, .. } => source.exit(),
            Self::Interrupted(cause) => cause.exit(),
        }
    }
}
