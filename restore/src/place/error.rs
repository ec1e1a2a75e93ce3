//! Why there is no place to restore to.

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::stack::StackError;

/// Why there is no place to restore to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// Nothing names a folder.
    #[error("where to restore to is missing")]
    NoTarget,
    /// Something that is no folder is there.
    #[error("{path} is no folder")]
    NotAFolder {
        /// What is there.
        path: String,
    },
    /// A source of the snapshot has a path that cannot be one.
    #[error("the snapshot names a source that cannot be one: {path}")]
    BadRoot {
        /// The path.
        path: String,
    },
    /// A volume of the snapshot does not exist here.
    #[error("the volume {volume} of the snapshot does not exist here")]
    NoVolume {
        /// Its name at the time of the snapshot.
        volume: String,
    },
    /// A volume is there, and not to be reached as a folder.
    #[error("the volume {volume} cannot be written from here")]
    VolumeElsewhere {
        /// Its name at the time of the snapshot.
        volume: String,
    },
    /// The stack does not say what volumes there are.
    #[error(transparent)]
    Stack(#[from] StackError),
}

impl Explain for PlaceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoTarget => "restore.no_target",
            Self::NotAFolder { .. } => "restore.not_a_folder",
            Self::BadRoot { .. } => "archive.hostile",
            Self::NoVolume { .. } => "volume.missing",
            Self::VolumeElsewhere { .. } => "volume.unreachable",
            Self::Stack(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoTarget => "name the application's folder with --app DIR, or another one with --into DIR".to_owned(),
            Self::NotAFolder { .. } => {
                "nothing was changed; choose a folder that is empty or does not exist: --into DIR".to_owned()
            }
            Self::NoVolume { .. } => {
                "nothing was changed; make it, in the application's folder: docker compose up --no-start (the Compose file \
                 comes back with: restore --only config); or look at the files elsewhere: --into DIR"
                    .to_owned()
            }
            Self::VolumeElsewhere { .. } => {
                "nothing was changed; run restore as root on the engine's own machine, or restore elsewhere: --into DIR"
                    .to_owned()
            }
            Self::Stack(cause) => cause.hint(),
            Self::BadRoot { .. } => {
                "nothing was changed; do not trust this snapshot before you know who made it".to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoTarget | Self::NotAFolder { .. } | Self::NoVolume { .. } | Self::VolumeElsewhere { .. } => {
                Exit::Unknown
            }
            Self::BadRoot { .. } => Exit::Critical,
            Self::Stack(cause) => cause.exit(),
        }
    }
}
