//! What a database consists of, by names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shipshape_core::database::Client;

use super::super::{RestoreError, load};
use super::{literal, quoted};

/// The names of what is in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inventory {
    /// Whether it is there at all.
    pub(super) exists: bool,
    /// What `RENAME TABLE` moves: tables of every kind, sequences too.
    pub(super) tables: Vec<String>,
    /// Triggers, with the tables that have them.
    pub(super) triggers: Vec<(String, String)>,
    /// Views.
    pub(super) views: Vec<String>,
    /// Routines by their kinds: `PROCEDURE`, `FUNCTION`, `PACKAGE`.
    pub(super) routines: Vec<(String, String)>,
    /// Events.
    pub(super) events: Vec<String>,
    /// `charset` and `collation`.
    pub(super) settings: BTreeMap<String, String>,
}

/// Tables of all kinds but views; `PACKAGE BODY` goes with its package. `#` stands for the number of the database.
const QUESTIONS: &str = "
SELECT #, 'is', DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = @d;
SELECT #, 'table', TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = @d AND TABLE_TYPE NOT LIKE '%VIEW';
SELECT #, 'view', TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = @d AND TABLE_TYPE LIKE '%VIEW';
SELECT #, 'trigger', TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = @d;
SELECT #, 'routine', ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES
  WHERE ROUTINE_SCHEMA = @d AND ROUTINE_TYPE <> 'PACKAGE BODY';
SELECT #, 'event', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = @d;
";

impl Inventory {
    /// Asks the server about one database.
    pub(super) fn of(client: &Client<'_>, database: &str) -> Result<Self, RestoreError> {
        let [found] = Self::all(client, [database])?;
        Ok(found)
    }

    /// Asks the server about several at once.
    pub(super) fn all<const N: usize>(client: &Client<'_>, databases: [&str; N]) -> Result<[Self; N], RestoreError> {
        // The mode decides what a backslash in a text means.
        let mut asked = "SET SESSION sql_mode = '';".to_owned();
        for (number, database) in databases.iter().enumerate() {
            asked.push_str(&["SET @d = ", &literal(database), ";"].concat());
            asked += &QUESTIONS.replace('#', &number.to_string());
        }
        let mut all: [Self; N] = std::array::from_fn(|_| Self::default());
        for row in client.sql(None, &asked)? {
            let number = row.first().and_then(|number| number.parse::<usize>().ok());
            if let Some(found) = number.and_then(|number| all.get_mut(number)) {
                found.add(&row);
            }
        }
        Ok(all)
    }

    fn add(&mut self, row: &[String]) {
        let field = |at: usize| row.get(at).cloned().unwrap_or_default();
        match field(1).as_str() {
            "is" => {
                self.exists = true;
                self.settings = [("charset".to_owned(), field(2)), ("collation".to_owned(), field(3))].into();
            }
            "table" => self.tables.push(field(2)),
            "view" => self.views.push(field(2)),
            "trigger" => self.triggers.push((field(2), field(3))),
            "routine" => self.routines.push((field(2), field(3))),
            "event" => self.events.push(field(2)),
            _ => {}
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.views.is_empty() && self.routines.is_empty() && self.events.is_empty()
    }

    /// The tables that have triggers, each once.
    pub(super) fn triggered(&self) -> Vec<String> {
        let mut tables: Vec<String> = self.triggers.iter().map(|(_, table)| table.clone()).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }
}

/// Rows of each table, counted, those of its history too, as a dump has them. Sequences have none.
pub(super) fn rows(client: &Client<'_>, database: &str) -> Result<BTreeMap<String, u64>, RestoreError> {
    let count = |(name, from): &(String, String)| format!("SELECT {}, COUNT(*) FROM {from};\n", literal(name));
    let asked: String = sources(client, database)?.iter().map(count).collect();
    let answers = client.sql(Some(database), &format!("SET SESSION sql_mode = '';\n{asked}"))?;
    let pair = |row: Vec<String>| {
        let mut row = row.into_iter();
        Some((row.next()?, row.next()?.parse().ok()?))
    };
    Ok(answers.into_iter().filter_map(pair).collect())
}

/// Whether each table has rows, or a history.
pub(super) fn filled(client: &Client<'_>, database: &str) -> Result<BTreeMap<String, bool>, RestoreError> {
    let sources = sources(client, database)?;
    let ask = |(name, from): &(String, String)| format!("SELECT {}, EXISTS (SELECT 1 FROM {from});\n", literal(name));
    // A table that somebody holds locked is not waited for.
    let session = "SET SESSION sql_mode = '', lock_wait_timeout = 5;\n";
    let asked = session.to_owned() + &sources.iter().map(ask).collect::<String>();
    let names = sources.into_iter().map(|(name, _)| name).collect();
    load::filled(names, client.sql(Some(database), &asked), "0")
}

/// The tables that have rows of their own, and what stands behind `FROM` for all that they have ever had.
fn sources(client: &Client<'_>, database: &str) -> Result<Vec<(String, String)>, RestoreError> {
    let asked = format!(
        "SET SESSION sql_mode = ''; SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = {} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
        literal(database)
    );
    let source = |row: Vec<String>| {
        let all = if row.get(1)? == "SYSTEM VERSIONED" { " FOR SYSTEM_TIME ALL" } else { "" };
        let name = row.into_iter().next()?;
        let from = quoted(&name) + all;
        Some((name, from))
    };
    Ok(client.sql(None, &asked)?.into_iter().filter_map(source).collect())
}
