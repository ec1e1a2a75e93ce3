//! Loading a dump into a database that nobody uses, and comparing what is there afterwards.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::database::dump::{self, Content, LoadError, Loader};
use shipshape_core::database::{Client, DatabaseError};

use super::{Dump, RestoreError};

/// The most tables that a message names.
const MOST_NAMED: usize = 3;

/// Around a dump: statements at the beginning of the session, and more before and after what the dump says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// Done when the session begins: the MySQL family alone.
    pub(super) init: &'static str,
    /// Before the first byte of the dump.
    pub(super) before: &'static str,
    /// After its last one.
    pub(super) after: &'static str,
}

/// Feeds a dump into the database `into`, and proves on the way that it is whole and the one that was promised. Returns what
/// the dump has shown, and what the client has said.
pub(super) fn feed(
    client: &Client<'_>,
    content: Content,
    into: Option<&str>,
    frame: Frame,
    dump: Dump,
) -> Result<(dump::Loaded, String), RestoreError> {
    let Dump { name, reader, promise } = dump;
    let (sieved, report) = Loader::new(client.engine(), content, reader);
    let stream = Cursor::new(frame.before).chain(sieved).chain(Cursor::new(frame.after));
    let fed = client.feed(into, frame.init, Box::new(stream));
    let loaded = match (report.finish(), fed) {
        // A client that was killed for the sake of its input has nothing to say of it.
        (Err(source), Ok(_)) => return Err(RestoreError::Dump { dump: name, source }),
        (Err(source), Err(_)) if source != LoadError::Unread => return Err(RestoreError::Dump { dump: name, source }),
        (_, Err(refused)) => return Err(refused.into()),
        (Ok(loaded), Ok(said)) => (loaded, said),
    };
    if let Some(promise) = promise {
        promise.check()?;
    }
    Ok(loaded)
}

/// Compares what was counted after loading with what the manifest has, or else with what the dump itself has shown.
pub(super) fn compare(
    facts: &DatabaseFacts,
    seen: &dump::Seen,
    counted: &BTreeMap<String, u64>,
) -> Result<(), RestoreError> {
    let expected = if facts.tables.is_empty() { &seen.tables } else { &facts.tables };
    let mut wrong: Vec<String> = expected.iter().filter_map(|(table, rows)| differs(table, *rows, counted)).collect();
    if !seen.tables_untold {
        let more = counted.keys().filter(|table| !expected.contains_key(*table));
        wrong.extend(more.map(|table| format!("the table {table} should not be there")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(MOST_NAMED);
    wrong.truncate(MOST_NAMED);
    if more > 0 {
        wrong.push(format!("{more} more"));
    }
    Err(RestoreError::Differs { database: facts.database.clone(), why: wrong.join(", ") })
}

fn differs(table: &str, rows: u64, counted: &BTreeMap<String, u64>) -> Option<String> {
    match counted.get(table) {
        None => Some(format!("the table {table} is missing")),
        Some(found) if *found != rows => Some(format!("{table} has {found} rows instead of {rows}")),
        Some(_) => None,
    }
}

/// What a server has answered of each of these tables: its name, and whether it has rows; `no` means that it has none. A table
/// that is broken or locked must not keep anybody from a restore.
pub(super) fn filled(
    names: Vec<String>,
    answers: Result<Vec<Vec<String>>, DatabaseError>,
    no: &str,
) -> Result<BTreeMap<String, bool>, RestoreError> {
    match answers {
        Ok(rows) => Ok(rows.into_iter().filter_map(|row| Some((row.first()?.clone(), row.get(1)? != no))).collect()),
        Err(DatabaseError::Client { .. } | DatabaseError::Privilege { .. }) => {
            Ok(names.into_iter().map(|name| (name, true)).collect())
        }
        Err(other) => Err(other.into()),
    }
}

/// Removes a database that is being loaded, unless it has become something.
pub(super) struct Scratch<'a, 'c> {
    client: &'a Client<'c>,
    from: Option<String>,
    drop: Option<String>,
}

impl<'a, 'c> Scratch<'a, 'c> {
    /// `statement` removes it, given in the database `from`.
    pub(super) fn new(client: &'a Client<'c>, from: Option<String>, statement: String) -> Self {
        Self { client, from, drop: Some(statement) }
    }

    /// It has.
    pub(super) fn keep(mut self) {
        self.drop = None;
    }
}

impl Drop for Scratch<'_, '_> {
    fn drop(&mut self) {
        if let Some(statement) = self.drop.take() {
            // A server that is gone keeps it; the next restore finds it by its name.
            let _ = self.client.for_cleanup().sql(self.from.as_deref(), &statement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use shipshape_core::database::Engine;

    fn facts(tables: &[(&str, u64)]) -> DatabaseFacts {
        DatabaseFacts { tables: map(tables), ..DatabaseFacts::new(Engine::Mariadb, "shop", "db") }
    }

    fn map(tables: &[(&str, u64)]) -> BTreeMap<String, u64> {
        tables.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
    }

    fn why(expected: &[(&str, u64)], seen: &[(&str, u64)], counted: &[(&str, u64)]) -> Option<String> {
        let seen = dump::Seen { tables: map(seen), ..dump::Seen::default() };
        compare(&facts(expected), &seen, &map(counted)).err().map(|refused| refused.to_string())
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        assert_eq!(why(&[("a", 1)], &[], &[("a", 1)]), None);
        assert_eq!(why(&[], &[("a", 1)], &[("a", 1)]), None, "what the dump has shown counts where nothing else does");
        let told = why(&[("a", 1), ("b", 2)], &[], &[("a", 3), ("c", 0)]).unwrap();
        assert!(told.contains("a has 3 rows instead of 1"), "{told}");
        assert!(told.contains("b is missing") && told.contains("c should not be there"), "{told}");
    }

    #[test]
    fn a_message_names_only_some_of_many() {
        let many: Vec<(String, u64)> = (0..10).map(|number| (format!("t{number}"), 1)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        assert!(why(&many, &[], &[]).unwrap().ends_with("7 more"));
    }
}
