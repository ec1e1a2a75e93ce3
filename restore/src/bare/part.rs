//! Dumps of a part: what they lack of the database whose place they would take.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shipshape_core::database::{Client, Engine};
use shipshape_core::report::Notice;

use crate::database::{RestoreError, There, way};

/// The most tables that a message names.
const MOST_NAMED: usize = 10;

/// What is live and would be gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loss {
    database: String,
    /// Tables that the dump does not have.
    tables: Vec<String>,
    /// Tables that it has without any row.
    emptied: Vec<String>,
}

impl Loss {
    /// Asks the server. `dump` has the rows of the dump's tables, all of them if `is_all`.
    pub(super) fn find(
        client: &Client<'_>,
        engine: Engine,
        database: &str,
        dump: &BTreeMap<String, u64>,
        is_all: bool,
    ) -> Result<Option<Self>, RestoreError> {
        let way = way(engine);
        if way.look(client, database)? != There::Something {
            return Ok(None);
        }
        Ok(Self::of(database, dump, is_all, &way.filled(client, database)?))
    }

    /// `live` has the tables that are there, and whether they have rows.
    fn of(database: &str, dump: &BTreeMap<String, u64>, is_all: bool, live: &BTreeMap<String, bool>) -> Option<Self> {
        let missing = |table: &&String| is_all && !dump.contains_key(*table);
        let tables: Vec<String> = live.keys().filter(missing).cloned().collect();
        let emptied = live.iter().filter(|(table, has_rows)| **has_rows && dump.get(*table) == Some(&0));
        let emptied: Vec<String> = emptied.map(|(table, _)| table.clone()).collect();
        let is_any = !tables.is_empty() || !emptied.is_empty();
        is_any.then(|| Self { database: database.to_owned(), tables, emptied })
    }

    /// For people, with the database's name.
    pub(super) fn told(&self) -> String {
        let tables = named(&self.tables).map(|names| format!("the tables {names}"));
        let rows = named(&self.emptied).map(|names| format!("all rows of {names}"));
        let what: Vec<String> = tables.into_iter().chain(rows).collect();
        format!("what the database {} has: {}", self.database, what.join("; "))
    }

    /// For programs.
    pub(super) fn part(&self) -> Value {
        json!({"tables": self.tables, "emptied": self.emptied})
    }

    /// A warning of it.
    pub(super) fn notice(&self, file: &str, hint: &str) -> Notice {
        Notice::new("restore.partial", format!("{file} lacks {}", self.told()), hint)
    }
}

fn named(names: &[String]) -> Option<String> {
    let more = names.len().saturating_sub(MOST_NAMED);
    let mut told: Vec<String> = names.iter().take(MOST_NAMED).cloned().collect();
    told.extend((more > 0).then(|| format!("{more} more")));
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(dump: &[(&str, u64)], is_all: bool, live: &[(&str, bool)]) -> Option<String> {
        let dump = dump.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect();
        let live = live.iter().map(|(name, has_rows)| ((*name).to_owned(), *has_rows)).collect();
        Loss::of("shop", &dump, is_all, &live).map(|loss| loss.told())
    }

    #[test]
    fn a_table_that_is_missing_and_one_that_lost_all_its_rows_are_told() {
        let live = [("empty", false), ("full", true), ("gone", false)];
        let of = |dump: &[(&str, u64)], is_all| told(dump, is_all, &live);
        assert_eq!(of(&[("empty", 0), ("full", 1), ("gone", 0), ("more", 2)], true), None);
        let expected = "what the database shop has: the tables gone; all rows of full";
        assert_eq!(of(&[("empty", 0), ("full", 0)], true).as_deref(), Some(expected));
        assert_eq!(of(&[("empty", 0), ("full", 1)], false), None, "who does not know all tables misses none");
    }

    #[test]
    fn of_many_tables_only_some_are_named() {
        let live: Vec<(String, bool)> = (0..30).map(|number| (format!("t{number}"), true)).collect();
        let live: Vec<(&str, bool)> = live.iter().map(|(name, has_rows)| (name.as_str(), *has_rows)).collect();
        assert!(told(&[], true, &live).unwrap().ends_with(", 20 more"));
    }
}
