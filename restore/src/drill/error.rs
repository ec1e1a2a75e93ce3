//! Why a restore cannot be rehearsed.

use std::path::PathBuf;

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::stack::scratch::ScratchError;
use shipshape_core::units::ByteSize;

/// Why a restore cannot be rehearsed. What a rehearsal finds is no error of its own: it stands in its report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrillError {
    /// Nothing opens the snapshot.
    #[error("a drill reads what is in the snapshot, and there is no identity that opens it")]
    NoIdentity,
    /// What the configuration names as the identity is not there, as it should be where only recipients are kept.
    #[error("a drill reads what is in the snapshot, and the identity of [restore] identity_file, {}, is not there", path.display())]
    IdentityGone {
        /// The file.
        path: PathBuf,
    },
    /// It would fill a disk.
    #[error("{} has {} free, and the drill needs {}", folder.display(), ByteSize(*free), ByteSize(*needed))]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// Nobody has recorded what a service was made from.
    #[error("it is not known from which image the service {service} was made")]
    UnknownImage {
        /// The service.
        service: String,
    },
    /// A check names no payload, or several could be meant.
    #[error("[[restore.drill.check]] {sql:?} is for no database: {why}")]
    NoDatabase {
        /// The question.
        sql: String,
        /// Why it is not clear.
        why: String,
    },
    /// There are no containers for it.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
}

impl Explain for DrillError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoIdentity | Self::IdentityGone { .. } => "drill.no_identity",
            Self::NoRoom { .. } => "drill.no_room",
            Self::UnknownImage { .. } => "drill.unknown_image",
            Self::NoDatabase { .. } => "drill.no_database",
            Self::Scratch(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoIdentity | Self::IdentityGone { .. } => {
                "lend it for one run: restore drill --identity /media/usb/identity.txt, or --identity \
                 <(ssh you@elsewhere cat identity.txt), or $SHIPSHAPE_IDENTITY; to keep it here for drills by cron: \
                 [restore] identity_file"
                    .to_owned()
            }
            Self::NoRoom { .. } => "name a folder on a larger disk: --scratch DIR; or make room".to_owned(),
            Self::UnknownImage { service } => {
                format!("the compose file in the snapshot should say it: check the service {service} there")
            }
            Self::NoDatabase { .. } => "name its payload: database = \"NAME\"; backup list shows them".to_owned(),
            Self::Scratch(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoIdentity
            | Self::IdentityGone { .. }
            | Self::NoRoom { .. }
            | Self::UnknownImage { .. }
            | Self::NoDatabase { .. } => Exit::Unknown,
            Self::Scratch(cause) => cause.exit(),
        }
    }
}
