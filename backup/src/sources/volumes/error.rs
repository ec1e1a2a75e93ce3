//! Why what services keep cannot be copied.

use std::io;
use std::path::PathBuf;

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::stack::StackError;

/// Why volumes cannot be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// A volume is there, and its content is not to be had.
    #[error("the volume {volume} cannot be read from here")]
    Unreachable {
        /// Its name in the stack's description.
        volume: String,
        /// What the system says; nothing where there is no folder to ask for.
        #[source]
        source: Option<io::Error>,
    },
    /// A folder that services write is not there, or is not to be had.
    #[error("{} cannot be reached, and services write it", path.display())]
    NoFolder {
        /// As the stack's description has it.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A volume that is to be left out does not exist.
    #[error("[backup] exclude_volumes names {name:?}, and there is no such volume")]
    NoSuchVolume {
        /// As it was written.
        name: String,
        /// The volumes there are.
        known: Vec<String>,
    },
    /// The stack does not say what volumes there are.
    #[error(transparent)]
    Stack(#[from] StackError),
}

impl Explain for VolumeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::NoFolder { .. } => "volume.unreachable",
            Self::NoSuchVolume { .. } => "volume.unknown",
            Self::Stack(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unreachable { volume, .. } => format!(
                "run backup as root on the engine's own machine, with a service that mounts it running if it is of \
                 another one; or leave it out: [backup] exclude_volumes = [{volume:?}]"
            ),
            Self::NoFolder { path, .. } => format!(
                "is its disk mounted, and may you see it? Otherwise leave it out: [backup] exclude = [\"{}\"]",
                path.display()
            ),
            Self::NoSuchVolume { known, .. } if known.is_empty() => "there are no volumes here: remove it".to_owned(),
            Self::NoSuchVolume { known, .. } => format!("there are: {}", known.join(", ")),
            Self::Stack(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            // Data that should be saved is not to be had: that is what a backup is to cry out about.
            Self::Unreachable { .. } | Self::NoFolder { .. } => Exit::Critical,
            Self::NoSuchVolume { .. } => Exit::Unknown,
            Self::Stack(cause) => cause.exit(),
        }
    }
}
