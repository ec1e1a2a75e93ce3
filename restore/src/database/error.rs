//! Why a database does not come back.

use std::path::PathBuf;

use shipshape_core::archive::unseal::UnsealError;
use shipshape_core::atomic::AtomicError;
use shipshape_core::database::dump::LoadError;
use shipshape_core::database::{DatabaseError, Engine};
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::lock::LockError;
use shipshape_core::signal::Interrupted;
use shipshape_core::stack::scratch::ScratchError;
use shipshape_core::state::StateError;

use crate::target::TargetError;

/// Why a database does not come back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The server or its client fails.
    #[error(transparent)]
    Server(#[from] DatabaseError),
    /// The dump cannot be loaded.
    #[error("{dump} cannot be loaded")]
    Dump {
        /// Which: a payload or a file.
        dump: String,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// The object of the dump cannot be opened.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// The object is not what the manifest says.
    #[error("{object} is not what the manifest says: {why}")]
    NotTheManifests {
        /// The object.
        object: String,
        /// What differs.
        why: String,
    },
    /// An account cannot be made, where all of them must be.
    #[error("{why}")]
    Account {
        /// Which one, and in the server's words.
        why: String,
    },
    /// Nothing here manages services.
    #[error("{} has no compose project, and so no server for {}", folder.display(), names.join(", "))]
    NoStack {
        /// The application's folder.
        folder: PathBuf,
        /// The payloads.
        names: Vec<String>,
    },
    /// None of the services is such a server.
    #[error("no service runs a server for {name}, which is for {engine}")]
    NoServer {
        /// The payload.
        name: String,
        /// What it needs.
        engine: Engine,
        /// The servers that there are, with their engines.
        known: Vec<String>,
    },
    /// Several are, and none has the name that the snapshot knows.
    #[error("several services could take {name} back: {}", services.join(", "))]
    SeveralServers {
        /// The payload.
        name: String,
        /// Which.
        services: Vec<String>,
    },
    /// The database that is to be made is there already.
    #[error("the service {service} has a database {database:?} already")]
    Exists {
        /// The service.
        service: String,
        /// The name.
        database: String,
    },
    /// A name, where databases have none.
    #[error("the service {service} runs {engine}, whose data has no name: it cannot come back as {name:?}")]
    Nameless {
        /// The service.
        service: String,
        /// What it runs.
        engine: Engine,
        /// The name.
        name: String,
    },
    /// One name for several databases.
    #[error("--into {name} names one database, and there are several: {}", payloads.join(", "))]
    OneName {
        /// The name.
        name: String,
        /// The payloads.
        payloads: Vec<String>,
    },
    /// What came in is not what was dumped.
    #[error("{database} is not what was dumped: {why}")]
    Differs {
        /// The payload.
        database: String,
        /// What differs.
        why: String,
    },
    /// Something holds the live database.
    #[error("the database {database} is in use and cannot be swapped: {why}")]
    Busy {
        /// The live database.
        database: String,
        /// Who holds it, or what the server says.
        why: String,
    },
    /// The live database cannot be moved aside.
    #[error("the database {database} cannot be swapped: {why}")]
    Immovable {
        /// The live database.
        database: String,
        /// Why.
        why: String,
    },
    /// A swap could not be undone.
    #[error("the database {database} could not be put back: {why}")]
    NotBack {
        /// The live database.
        database: String,
        /// Why.
        why: String,
    },
    /// What an earlier restore has left cannot be settled.
    #[error("the interrupted restore of {of} cannot be settled")]
    Unsettled {
        /// What was restored.
        of: String,
        /// The databases that it is about, as `SERVICE/NAME`.
        databases: Vec<String>,
        /// Its journal.
        journal: PathBuf,
        /// Why.
        #[source]
        source: Box<RestoreError>,
    },
    /// The journal of an earlier restore makes no sense.
    #[error("the journal {} of an interrupted restore is damaged", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// There is nothing that could be put back.
    #[error("there is nothing to undo: no restore of {app} has kept an old side")]
    NothingToUndo {
        /// The application.
        app: String,
    },
    /// Another restore is at it.
    #[error(transparent)]
    Held(#[from] LockError),
    /// The state cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file cannot be written.
    #[error(transparent)]
    Atomic(#[from] AtomicError),
    /// There is no container to load it in.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The journal of the files that belong to it cannot be read.
    #[error(transparent)]
    Files(#[from] TargetError),
    /// The run was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Explain for RestoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Server(cause) => cause.code(),
            Self::Dump { source, .. } => source.code(),
            Self::Unseal(cause) => cause.code(),
            Self::NotTheManifests { .. } => "store.damaged",
            Self::Account { .. } => "restore.account",
            Self::NoStack { .. } => "restore.no_stack",
            Self::NoServer { .. } => "restore.no_server",
            Self::SeveralServers { .. } => "restore.several_servers",
            Self::Exists { .. } => "restore.exists",
            Self::OneName { .. } | Self::Nameless { .. } => "usage",
            Self::Differs { .. } => "restore.differs",
            Self::Busy { .. } => "restore.busy",
            Self::Immovable { .. } => "restore.immovable",
            Self::NotBack { .. } => "restore.not_back",
            Self::Unsettled { source, .. } => source.code(),
            Self::Journal { .. } => "restore.journal",
            Self::NothingToUndo { .. } => "restore.nothing_to_undo",
            Self::Held(cause) => cause.code(),
            Self::State(cause) => cause.code(),
            Self::Atomic(cause) => cause.code(),
            Self::Scratch(cause) => cause.code(),
            Self::Files(cause) => cause.code(),
            Self::Interrupted(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Server(DatabaseError::NotRunning { service, .. }) => {
                format!("start it: docker compose up -d {service}; then run this again")
            }
            Self::Server(cause) => cause.hint(),
            Self::Dump { source, .. } => format!("what is live was left as it was; {}", source.hint()),
            Self::Unseal(cause) => cause.hint(),
            Self::NotTheManifests { .. } => {
                "what is live was left as it was; find a whole snapshot: restore verify --all".to_owned()
            }
            Self::Account { .. } => "see whether the image has all that its accounts need, such as plugins".to_owned(),
            Self::NoStack { names, .. } => format!(
                "name the folder with the compose file: --app DIR; on a new server: restore latest --all; to have the dumps as files: --only {} --into DIR/",
                names.join(" ")
            ),
            Self::NoServer { known, .. } if known.is_empty() => {
                "the compose file has no database service that is known; name one by the label shipshape.kind".to_owned()
            }
            Self::NoServer { known, .. } => format!("there are: {}; name one with --service NAME", known.join(", ")),
            Self::SeveralServers { services, .. } => {
                let first = services.first().map_or("NAME", String::as_str);
                format!("say which: --service {first}")
            }
            Self::Exists { .. } => "nothing was changed; choose another name: --into NAME".to_owned(),
            Self::Nameless { .. } => {
                "nothing was changed; as a file: --into ./DIR; in the place of what is live: leave the name out".to_owned()
            }
            Self::OneName { .. } => "name one of them with --only; or write all into a folder: --into DIR/".to_owned(),
            Self::Differs { .. } => {
                "what is live was left as it was; is the server older than the one that was dumped, or its disk full?".to_owned()
            }
            Self::Busy { .. } => {
                "nothing was changed; stop what uses it (docker compose stop SERVICE), then run this again".to_owned()
            }
            Self::Immovable { .. } => "nothing was changed; restore beside it and look: --into NAME".to_owned(),
            Self::NotBack { .. } => {
                "the next restore, or `restore undo`, of this application tries it again; its journal is in the state folder".to_owned()
            }
            Self::Unsettled { databases, journal, source, .. } => {
                let (databases, journal) = (databases.join(", "), journal.display());
                let first = source.hint();
                format!("{first}; it is about {databases}: to leave these as they are for good: mv {journal} {journal}.old")
            }
            Self::Journal { path, .. } => format!("look at what lies beside {}, and move it away", path.display()),
            Self::NothingToUndo { .. } => "restore the snapshot that you want: backup list shows them".to_owned(),
            Self::Held(cause) => cause.hint(),
            Self::State(cause) => cause.hint(),
            Self::Atomic(cause) => cause.hint(),
            Self::Scratch(cause) => cause.hint(),
            Self::Files(cause) => cause.hint(),
            Self::Interrupted(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Server(cause) => cause.exit(),
            Self::Dump { source, .. } => source.exit(),
            Self::Unseal(cause) => cause.exit(),
            Self::NotTheManifests { .. }
            | Self::Account { .. }
            | Self::Differs { .. }
            | Self::Busy { .. }
            | Self::Immovable { .. }
            | Self::NotBack { .. } => Exit::Critical,
            Self::NoStack { .. }
            | Self::NoServer { .. }
            | Self::SeveralServers { .. }
            | Self::Exists { .. }
            | Self::OneName { .. }
            | Self::Nameless { .. }
            | Self::Journal { .. }
            | Self::NothingToUndo { .. } => Exit::Unknown,
            Self::Unsettled { source, .. } => source.exit(),
            Self::Held(cause) => cause.exit(),
            Self::State(cause) => cause.exit(),
            Self::Atomic(cause) => cause.exit(),
            Self::Scratch(cause) => cause.exit(),
            Self::Files(cause) => cause.exit(),
            Self::Interrupted(cause) => cause.exit(),
        }
    }
}
