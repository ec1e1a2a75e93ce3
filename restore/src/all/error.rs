//! Why not everything can come back.

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// Why not everything can come back.
#[derive(Debug, thiserror::Error)]
pub(super) enum AllError {
    /// Nothing names a folder.
    #[error("the folder that everything should come back to is not known")]
    NoFolder,
    /// It is not there, and a preview makes none.
    #[error("there is no folder {folder} yet")]
    Missing {
        /// The folder.
        folder: String,
    },
    /// A database server does not come up.
    #[error("the service {service} does not come up, and says: {log}")]
    Died {
        /// The service.
        service: String,
        /// The last that it said.
        log: String,
        /// The application's folder.
        folder: String,
    },
    /// There are databases, and nothing to run their servers.
    #[error(
        "{folder} has no compose file, and the snapshot has none either: its databases have no servers to come back to"
    )]
    NoProject {
        /// The folder.
        folder: String,
    },
}

impl Explain for AllError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoFolder => "restore.no_target",
            Self::Missing { .. } => "restore.no_folder",
            Self::Died { .. } => "restore.not_up",
            Self::NoProject { .. } => "restore.no_project",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoFolder => "name it: --app DIR".to_owned(),
            Self::Missing { folder } => format!("make it (mkdir {folder}), or leave --dry-run away: it is made then"),
            Self::Died { service, folder, .. } => format!(
                "files and volumes are back: mend what it needs, then run this again; docker compose \
                 --project-directory {folder} logs {service}"
            ),
            Self::NoProject { folder } => {
                format!("put a compose file into {folder} (git clone), then run this again; it restores the rest")
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoFolder | Self::Missing { .. } | Self::NoProject { .. } => Exit::Unknown,
            Self::Died { .. } => Exit::Critical,
        }
    }
}
