//! Why there is no place to restore to.

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

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
}

impl Explain for PlaceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoTarget => "restore.no_target",
            Self::NotAFolder { .. } => "restore.not_a_folder",
            Self::BadRoot { .. } => "archive.hostile",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoTarget => "name the application's folder with --app DIR, or another one with --into DIR".to_owned(),
            Self::NotAFolder { .. } => {
                "nothing was changed; choose a folder that is empty or does not exist: --into DIR".to_owned()
            }
            Self::BadRoot { .. } => {
                "nothing was changed; do not trust this snapshot before you know who made it".to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoTarget | Self::NotAFolder { .. } => Exit::Unknown,
            Self::BadRoot { .. } => Exit::Critical,
        }
    }
}
