//! What belongs to a whole server and not to one of its databases. It comes before the databases: they name roles and
//! accounts that must be there.

use std::io::Read;

use shipshape_core::database::dump::{Content, LoadError, NotWhole, Scanner};
use shipshape_core::database::{Client, Engine};
use shipshape_core::report::Notice;

use super::mysql::Accounts;
use super::postgres::Roles;
use super::{Dump, RestoreError};

/// The most that the globals of a server may take, in bytes.
const LIMIT: u64 = 64 << 20;

/// The statements of a dump of globals.
pub(crate) enum Globals {
    /// Roles, and the settings of databases.
    Postgres(Roles),
    /// Accounts and roles.
    Mysql(Accounts),
}

/// What was made.
pub(crate) struct Made {
    /// The names of roles and accounts.
    pub(crate) names: Vec<String>,
    /// Those that could not be made, and why.
    pub(crate) notices: Vec<Notice>,
}

impl Globals {
    /// Reads a dump of globals of that engine, which must be whole.
    pub(crate) fn read(engine: Engine, dump: Dump) -> Result<Self, RestoreError> {
        let Dump { name, reader, promise } = dump;
        let broken = |source| RestoreError::Dump { dump: name.clone(), source };
        let mut text = Vec::new();
        if reader.take(LIMIT).read_to_end(&mut text).is_err() {
            return Err(broken(LoadError::Unread));
        }
        let mut scanner = Scanner::new(engine, Content::Globals);
        scanner.feed(&text);
        scanner.finish().map_err(|cause: NotWhole| broken(cause.into()))?;
        if let Some(promise) = promise {
            promise.check()?;
        }
        let text = String::from_utf8_lossy(&text);
        Ok(if engine.is_mysql() { Self::Mysql(Accounts::of(engine, &text)) } else { Self::Postgres(Roles::of(&text)) })
    }

    /// What a live server says of the settings and rights of its databases: a dump of one alone does not have them. Those of
    /// the MySQL family stay with the name.
    pub(crate) fn of_live(engine: Engine, client: &Client<'_>) -> Result<Option<Self>, RestoreError> {
        (engine == Engine::Postgres).then(|| Roles::of_live(client).map(Self::Postgres)).transpose()
    }

    /// Makes the roles and accounts that this server lacks, with all that is said of them. Of those that it has nothing is
    /// changed: their passwords are the ones that the application uses now.
    pub(crate) fn create_missing(&mut self, client: &Client<'_>) -> Result<Made, RestoreError> {
        match self {
            Self::Postgres(roles) => Ok(Made { names: roles.create_missing(client)?, notices: Vec::new() }),
            Self::Mysql(accounts) => accounts.create_missing(client),
        }
    }

    /// Gives the database `into` the settings and rights that `database` had. Those of the MySQL family are the accounts'.
    pub(crate) fn give_settings(&self, client: &Client<'_>, database: &str, into: &str) -> Result<(), RestoreError> {
        match self {
            Self::Postgres(roles) => roles.give_settings(client, database, into),
            Self::Mysql(_) => Ok(()),
        }
    }

    /// Gives the rights that had to wait for the databases to be in their places: those on single tables and routines.
    pub(crate) fn give_rest(&mut self, client: &Client<'_>) -> Vec<Notice> {
        match self {
            Self::Postgres(_) => Vec::new(),
            Self::Mysql(accounts) => accounts.give_rest(client),
        }
    }
}

/// What has come to a server before its databases. Dropped before the rest was given, it takes back what is not whole:
/// the next restore would take it for the server's own, and leave it without the rest.
pub(super) struct Begun<'a> {
    pub(super) client: Client<'a>,
    pub(super) globals: Globals,
}

impl Begun<'_> {
    /// Gives what had to wait for the databases.
    pub(super) fn give_rest(&mut self) -> Vec<Notice> {
        self.globals.give_rest(&self.client)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Globals::Mysql(accounts) = &mut self.globals {
            accounts.take_back(&self.client.for_cleanup());
        }
    }
}
