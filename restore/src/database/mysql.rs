//! MySQL and MariaDB. A database has no name of its own that could be changed: its tables move, all in one statement, and
//! what does not move with them (triggers, views, routines, events) is made again on both sides from what the server's own
//! dump client says of it.

mod accounts;
mod exchange;
mod inventory;
mod objects;
mod packet;
mod statistics;

use std::collections::BTreeMap;
use std::path::Path;

use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::database::Client;
use shipshape_core::database::dump::Content;
use shipshape_core::report::Notice;

use super::load::{self, Frame, Scratch};
use super::{Dump, Exchange, Loaded, RestoreError, There, Way};
pub(crate) use accounts::Accounts;
use inventory::Inventory;
use packet::Packet;
use statistics::Paused;

/// MySQL and MariaDB.
pub(crate) struct Mysql;

/// A table's rows come in many statements; without `autocommit` they are one transaction, which is written to disk once,
/// and which MariaDB, as long as it checks nothing, sorts and writes without a log of each row. What the tables refer to
/// was checked when it was written the first time.
const FRAME: Frame = Frame { init: INIT, before: "", after: "\nCOMMIT;\n" };

/// `CHECK` constraints are MariaDB's alone to switch off; each JSON column has one, which costs a fifth of a load.
const INIT: &str =
    "SET SESSION autocommit=0, foreign_key_checks=0, unique_checks=0 /*M!100201 , check_constraint_checks=0 */";

impl Way for Mysql {
    fn load(
        &self,
        client: &Client<'_>,
        facts: &DatabaseFacts,
        into: &str,
        dump: Dump,
        _: &Path,
    ) -> Result<Loaded, RestoreError> {
        let packet = Packet::raise(client, facts.longest_statement)?;
        let paused = Paused::pause(client, facts.tables.values().sum())?;
        // Goes to its end even when we are asked to stop: else nobody knew whether there is something to remove.
        client.for_cleanup().sql(None, &format!("CREATE DATABASE {}{}", quoted(into), settings(&facts.settings)))?;
        let scratch = Scratch::new(client, None, format!("DROP DATABASE IF EXISTS {}", quoted(into)));
        let (loaded, said) = load::feed(client, Content::Database, Some(into), FRAME, dump)?;
        drop(packet);
        let tables = inventory::rows(client, into)?;
        paused.gather(into, tables.keys());
        load::compare(facts, &loaded.seen, &tables)?;
        let mut notices = objects::missing_definers(client, into, &loaded.events);
        notices.extend(altered(&facts.database, &said));
        scratch.keep();
        let rows = tables.values().sum();
        Ok(Loaded { tables, rows, later: loaded.events, notices, hold: None })
    }

    fn filled(&self, client: &Client<'_>, database: &str) -> Result<BTreeMap<String, bool>, RestoreError> {
        inventory::filled(client, database)
    }

    fn limits(&self, client: &Client<'_>, facts: &DatabaseFacts) -> Result<BTreeMap<String, String>, RestoreError> {
        let mut limits = Packet::before(client, facts.longest_statement)?;
        limits.extend(statistics::before(client, facts.tables.values().sum())?);
        Ok(limits)
    }

    fn put_back(&self, client: &Client<'_>, limits: &BTreeMap<String, String>) -> Result<(), RestoreError> {
        packet::put_back(client, limits)?;
        statistics::put_back(client, limits)
    }

    fn prepare(
        &self,
        client: &Client<'_>,
        exchange: &mut Exchange,
        folder: &Path,
    ) -> Result<Vec<Notice>, RestoreError> {
        exchange::prepare(client, exchange, folder)
    }

    fn swap(&self, client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError> {
        exchange::swap(client, exchange, folder)
    }

    fn back(&self, client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError> {
        exchange::back(client, exchange, folder)
    }

    fn is_swapped(&self, client: &Client<'_>, exchange: &Exchange) -> Result<bool, RestoreError> {
        exchange::await_end(client, exchange)?;
        let name = if exchange.replaces { &exchange.outgoing } else { &exchange.live };
        Ok(self.look(client, name)? == There::Something)
    }

    fn discard(&self, client: &Client<'_>, database: &str) -> Result<(), RestoreError> {
        client.sql(None, &format!("DROP DATABASE IF EXISTS {}", quoted(database)))?;
        Ok(())
    }

    fn look(&self, client: &Client<'_>, database: &str) -> Result<There, RestoreError> {
        let found = Inventory::of(client, database)?;
        Ok(match (found.exists, found.is_empty()) {
            (false, _) => There::Nothing,
            (true, true) => There::Empty,
            (true, false) => There::Something,
        })
    }
}

/// A name in a statement.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in a statement, under the usual `sql_mode`.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The end of `CREATE DATABASE` and `ALTER DATABASE`; nothing where nothing is known.
fn settings(settings: &BTreeMap<String, String>) -> String {
    let words = [("charset", "CHARACTER SET"), ("collation", "COLLATE")];
    let is_word = |text: &&String| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let stated = words.iter().filter_map(|(name, word)| {
        let value = settings.get(*name).filter(is_word)?;
        Some(format!(" {word} {value}"))
    });
    stated.collect()
}

/// Values that the server has changed as they came in: a dump says them without being checked. MySQL's own dump client loses
/// characters beyond the first plane in the definition of an `ENUM`, and then each row that has such a value.
fn altered(database: &str, said: &str) -> Option<Notice> {
    let lines = said.lines().filter(|line| ALTERED.iter().any(|code| line.contains(code)));
    let mut columns: Vec<&str> = lines.filter_map(|line| line.split('\'').nth(1)).collect();
    columns.sort_unstable();
    columns.dedup();
    let message = format!(
        "the server could not take all values of {database} as the dump has them: columns {}",
        columns.join(", ")
    );
    let hint = "the dump itself does not fit its tables; compare these columns with the application before it is used";
    (!columns.is_empty()).then(|| Notice::new("restore.altered", message, hint))
}

/// `WARN_DATA_TRUNCATED`, `ER_WARN_DATA_OUT_OF_RANGE`, `ER_TRUNCATED_WRONG_VALUE_FOR_FIELD`.
const ALTERED: [&str; 3] = ["(Code 1265)", "(Code 1264)", "(Code 1366)"];

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(literal(r"it's \ one"), r"'it''s \\ one'");
    }

    #[test]
    fn only_words_become_settings() {
        let known = [("charset", "utf8mb4"), ("collation", "utf8mb4_bin; DROP")];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(settings(&known), " CHARACTER SET utf8mb4");
    }
}
