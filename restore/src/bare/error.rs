//! Why a file cannot be restored.

use std::io;

use shipshape_core::archive::keys::KeyError;
use shipshape_core::archive::unseal::UnsealError;
use shipshape_core::database::dump::{LoadError, NotWhole};
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// Why a file cannot be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BareError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It has no bytes, or an archive in it no members.
    #[error("{path} is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// It holds nothing but what restores keep for themselves.
    #[error("{path} holds nothing but folders of earlier restores")]
    OnlyOurs {
        /// The file.
        path: String,
    },
    /// It should be a dump, and is none.
    #[error("{path} is no dump of a database")]
    NoDump {
        /// The file.
        path: String,
        /// What it is instead.
        #[source]
        source: NotWhole,
    },
    /// It is a dump that must not be loaded.
    #[error("{path} cannot be restored")]
    Refused {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// It is a dump of a whole server.
    #[error("{path} is a dump of a whole server, and not one that backup has written")]
    Cluster {
        /// The file.
        path: String,
        /// What is in it that cannot be loaded.
        #[source]
        source: LoadError,
    },
    /// It is an archive of `pg_dump`.
    #[error("{path} is an archive in a format of pg_dump's own")]
    PgArchive {
        /// The file.
        path: String,
    },
    /// A dump is read twice, and this can be read once.
    #[error("{path} is a dump, and not a file that can be read twice")]
    NotAFile {
        /// The file.
        path: String,
    },
    /// Nothing says which database it is of.
    #[error("{path} does not say which database of the service {service} it is of")]
    WhichDatabase {
        /// The file.
        path: String,
        /// The service.
        service: String,
        /// Its databases.
        known: Vec<String>,
    },
    /// It names a database that is not there, while others are.
    #[error("{path} is a dump of the database {original}, which the service {service} does not have")]
    OtherDatabase {
        /// The file.
        path: String,
        /// The name in it.
        original: String,
        /// The service.
        service: String,
        /// Its databases.
        known: Vec<String>,
    },
    /// It lacks what is live.
    #[error("{path} lacks {lost}")]
    Partial {
        /// The file.
        path: String,
        /// What, with the name of the database.
        lost: String,
    },
    /// It is of no kind that is known.
    #[error("{path} is nothing that restore knows")]
    Unknown {
        /// The file.
        path: String,
    },
    /// It cannot be decrypted or decompressed.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// The identity cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Explain for BareError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "archive.unreadable",
            Self::Empty { .. } => "archive.empty",
            Self::OnlyOurs { .. } => "archive.only_ours",
            Self::PgArchive { .. } | Self::NotAFile { .. } | Self::Unknown { .. } => "archive.unknown",
            Self::NoDump { source, .. } => source.code(),
            Self::Refused { source, .. } => source.code(),
            Self::Cluster { .. } => "dump.several",
            Self::WhichDatabase { .. } | Self::OtherDatabase { .. } => "restore.which_database",
            Self::Partial { .. } => "restore.partial",
            Self::Unseal(UnsealError::Damaged { .. }) => "archive.damaged",
            Self::Unseal(cause) => cause.code(),
            Self::Key(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Read { path, .. } => format!("check that it exists and is yours: ls -l {path}"),
            Self::Empty { .. } => "nothing was changed; take another copy of the file, an older one if need be".to_owned(),
            Self::OnlyOurs { .. } => {
                "nothing was changed; to look at an old side, unpack it with GNU tar into a folder of its own".to_owned()
            }
            Self::NoDump { source, .. } => format!("nothing was changed; {}", source.hint()),
            Self::Refused { source, .. } => format!("nothing was changed; {}", source.hint()),
            Self::Cluster { .. } => "nothing was changed; take a dump of each database by itself: pg_dump NAME".to_owned(),
            Self::PgArchive { path } => format!("make plain SQL of it first: pg_restore --file=dump.sql {path}"),
            Self::NotAFile { path } => format!("it is proven before it is loaded; save it first: cat {path} > dump.sql"),
            Self::WhichDatabase { known, .. } if known.is_empty() => "name it: --database NAME".to_owned(),
            Self::WhichDatabase { known, .. } => format!("name it: --database {}", known.join(" or --database ")),
            Self::OtherDatabase { original, known, .. } => format!(
                "say whose place it takes: --database {}; or let it make its own: --database {original}",
                known.join(" or --database ")
            ),
            Self::Partial { .. } => {
                "nothing was changed; load it beside the live one and look: --into NAME; if all that is to go: --yes --partial".to_owned()
            }
            Self::Unknown { .. } => {
                "known are tars, dumps (.sql, .rdb) and env_* files, plain or compressed by gzip or zstd, each also encrypted by age; for a snapshot give its id".to_owned()
            }
            Self::Unseal(UnsealError::Damaged { .. }) => "nothing was changed; take another copy of the file".to_owned(),
            Self::Unseal(cause) => cause.hint(),
            Self::Key(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Empty { .. } => Exit::Critical,
            Self::NoDump { source, .. } => source.exit(),
            Self::Refused { source, .. } | Self::Cluster { source, .. } => source.exit(),
            Self::Read { .. }
            | Self::OnlyOurs { .. }
            | Self::PgArchive { .. }
            | Self::NotAFile { .. }
            | Self::WhichDatabase { .. }
            | Self::OtherDatabase { .. }
            | Self::Partial { .. }
            | Self::Unknown { .. } => Exit::Unknown,
            Self::Unseal(cause) => cause.exit(),
            Self::Key(cause) => cause.exit(),
        }
    }
}
