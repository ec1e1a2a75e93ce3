//! Databases of servers come back beside the live ones, are checked, and change places with them by name.
//!
//! ```text
//! payload ──> choose: which server ──> load: into x__restore_STAMP, counted ──> journal
//!                                                                                  │
//!     x ──> x__before_STAMP   <── swap: by rename, as one step of the server  <────┘
//!     x__restore_STAMP ──> x
//! ```
//! Until the swap nothing live is touched; the journal in the state folder lets the next run undo or finish what a killed
//! one has begun. Each kind of server has its own [`Way`].

pub(crate) mod dump;
pub(crate) mod error;
mod globals;
pub(crate) mod journal;
pub(crate) mod kept;
mod load;
mod mysql;
pub(crate) mod names;
mod plan;
mod postgres;
pub(crate) mod records;
mod recover;
mod redis;
mod site;
mod under_way;
mod undo;

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::database::{Client, Engine};
use shipshape_core::report::Notice;
use shipshape_core::state::StateError;

pub(crate) use dump::{Dump, Item};
pub(crate) use error::RestoreError;
pub(crate) use globals::Globals;
pub(crate) use plan::{Name, Plan, Swapped};
pub(crate) use records::Records;
pub(crate) use recover::{pending, recover};
pub(crate) use site::Site;
pub(crate) use undo::Undo;

/// How a kind of server takes a database back. All but `load` and `prepare` can be done again after they were
/// interrupted: they look at what has been done already.
pub(crate) trait Way: Sync {
    /// Makes the database `into`, loads the dump, and compares what is there afterwards with the dump and its facts: not
    /// under the name of a live one. What it has made is gone again if it fails, as far as the server answers. The folder is
    /// the journal's.
    fn load(
        &self,
        client: &Client<'_>,
        facts: &DatabaseFacts,
        into: &str,
        dump: Dump,
        folder: &Path,
    ) -> Result<Loaded, RestoreError>;

    /// Saves what the swap and its undoing need into the folder, and into [`Exchange::saved`]. Changes nothing live.
    fn prepare(&self, client: &Client<'_>, exchange: &mut Exchange, folder: &Path)
    -> Result<Vec<Notice>, RestoreError>;

    /// `live` becomes `outgoing`, `incoming` becomes `live`.
    fn swap(&self, client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError>;

    /// Undoes as much of a swap as was done: `live` becomes `incoming`, `outgoing` becomes `live`.
    fn back(&self, client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError>;

    /// Whether what is live is what came in: the application may have used it since.
    fn is_swapped(&self, client: &Client<'_>, exchange: &Exchange) -> Result<bool, RestoreError>;

    /// Before `back`: keeps what is live under a name, where `back` would overwrite it.
    fn keep_live(&self, _: &Client<'_>, _: &str) -> Result<(), RestoreError> {
        Ok(())
    }

    /// After `back`: what came in, was live and is `incoming` again is kept under a name.
    fn move_aside(
        &self,
        client: &Client<'_>,
        exchange: &Exchange,
        name: &str,
        folder: &Path,
    ) -> Result<(), RestoreError> {
        if self.look(client, &exchange.incoming)? != There::Something {
            return Ok(());
        }
        let stem = format!("{}-aside", exchange.stem);
        let name = name.to_owned();
        let mut aside = Exchange { live: name, stem, replaces: false, saved: BTreeMap::new(), ..exchange.clone() };
        self.prepare(client, &mut aside, folder)?;
        self.swap(client, &aside, folder)
    }

    /// Removes a database that is not live: an old side, or one that was loaded. That it is not there is as good.
    fn discard(&self, client: &Client<'_>, database: &str) -> Result<(), RestoreError>;

    /// What there is under a name.
    fn look(&self, client: &Client<'_>, database: &str) -> Result<There, RestoreError>;

    /// The tables of a live database, by the names that dumps have for them, and whether there are rows in each. Where that
    /// cannot be asked, they count as full.
    fn filled(&self, _: &Client<'_>, _: &str) -> Result<BTreeMap<String, bool>, RestoreError> {
        Ok(BTreeMap::new())
    }

    /// What of the server's settings `load` changes for its time, as it was before. The journal has it, in case that the
    /// load is killed.
    fn limits(&self, _: &Client<'_>, _: &DatabaseFacts) -> Result<BTreeMap<String, String>, RestoreError> {
        Ok(BTreeMap::new())
    }

    /// Puts such settings back.
    fn put_back(&self, _: &Client<'_>, _: &BTreeMap<String, String>) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// What there is under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    /// No such database.
    Nothing,
    /// One with nothing in it that would have to be kept.
    Empty,
    /// One that would.
    Something,
}

/// The way of an engine.
pub(crate) fn way(engine: Engine) -> &'static dyn Way {
    match engine {
        Engine::Mysql | Engine::Mariadb => &mysql::Mysql,
        Engine::Postgres => &postgres::Postgres,
        Engine::Redis | Engine::Valkey => &redis::Redis,
    }
}

/// In [`Exchange::saved`]: what the dump has none of may never have been asked for. What the live database has of it stays.
pub(crate) const MAY_LACK: &str = "may_lack";

/// In [`Exchange::saved`]: the name under which is kept what was live until a killed run was undone; empty for none.
const USED: &str = "used";

/// In [`Exchange::saved`]: what was live before is live again.
const IS_BACK: &str = "is_back";

/// In the journal's folder: what [`Loaded::later`] of the incoming database held, for the swap to carry out.
pub(crate) fn later(folder: &Path, stem: &str) -> PathBuf {
    folder.join(format!("{stem}-later.sql"))
}

/// The same of the outgoing database: `prepare` writes it, and whoever brings that database back carries it out.
pub(crate) fn earlier(folder: &Path, stem: &str) -> PathBuf {
    folder.join(format!("{stem}-earlier.sql"))
}

fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), RestoreError> {
    Ok(shipshape_core::atomic::replace(path, bytes)?)
}

/// A file of the journal's folder.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, RestoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(refused) if refused.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Unreadable { path: path.to_owned(), source }.into()),
    }
}

/// A database that is loaded beside the live ones.
pub(crate) struct Loaded {
    /// Rows of each table, as they were counted after loading; none for Redis.
    pub(crate) tables: BTreeMap<String, u64>,
    /// Rows, or keys, in all.
    pub(crate) rows: u64,
    /// Statements that are part of the database and must not act before the swap: events.
    pub(crate) later: Vec<u8>,
    /// What somebody should look at.
    pub(crate) notices: Vec<Notice>,
    /// What has to live until the swap.
    pub(crate) hold: Option<Box<dyn Any + Send>>,
}

/// A database that changes places with a live one: what the journal has of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// The payload, or the name of the file.
    pub(crate) payload: String,
    /// The service.
    pub(crate) service: String,
    /// What it runs.
    pub(crate) engine: Engine,
    /// The name under which the application knows it.
    pub(crate) live: String,
    /// The name of what comes in.
    pub(crate) incoming: String,
    /// The name under which the live one is kept.
    pub(crate) outgoing: String,
    /// Whether there is a live one, with anything in it.
    pub(crate) replaces: bool,
    /// How the names of its files in the journal's folder begin.
    pub(crate) stem: String,
    /// What the server's kind has to remember: small texts by names of its own.
    pub(crate) saved: BTreeMap<String, String>,
}

impl Exchange {
    /// The name under which is kept what was live until a killed run was undone, if anything is.
    pub(crate) fn used(&self) -> Option<&str> {
        self.saved.get(USED).map(String::as_str).filter(|name| !name.is_empty())
    }
}
