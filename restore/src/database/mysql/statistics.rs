//! The statistics of tables, which MariaDB would gather again and again while a load fills them: it finds the table locked,
//! and tries anew without a pause (measured on 11.8: more processor time than the load itself). So it does not gather any
//! as long as much is loaded, and is told to when all is there.

use std::collections::BTreeMap;

use shipshape_core::database::Client;

use super::super::RestoreError;
use super::quoted;

/// The name of the variable.
const VARIABLE: &str = "innodb_stats_auto_recalc";

/// A load of fewer rows is over before it matters.
const MANY_ROWS: u64 = 100_000;

/// Gathering pauses until this is dropped.
pub(super) struct Paused<'a, 'c> {
    client: &'a Client<'c>,
    before: BTreeMap<String, String>,
}

impl<'a, 'c> Paused<'a, 'c> {
    /// Pauses it for a load of so many rows. A user who may not has a slower load.
    pub(super) fn pause(client: &'a Client<'c>, rows: u64) -> Result<Self, RestoreError> {
        let before = before(client, rows)?;
        if !before.is_empty() {
            let _ = client.sql(None, &format!("SET GLOBAL {VARIABLE} = 0"));
        }
        Ok(Self { client, before })
    }

    /// The load is over: gathers what was not gathered of these tables. Without statistics a table works all the same,
    /// and MariaDB gathers them once more than a tenth of it has changed.
    pub(super) fn gather<'n>(self, database: &str, tables: impl Iterator<Item = &'n String>) {
        let tables: Vec<String> = tables.map(|table| quoted(table)).collect();
        if !self.before.is_empty() && !tables.is_empty() {
            let _ = self.client.sql(Some(database), &format!("ANALYZE TABLE {}", tables.join(", ")));
        }
    }
}

impl Drop for Paused<'_, '_> {
    fn drop(&mut self) {
        let _ = put_back(&self.client.for_cleanup(), &self.before);
    }
}

/// The variable as it is, if a load of so many rows should change it.
pub(super) fn before(client: &Client<'_>, rows: u64) -> Result<BTreeMap<String, String>, RestoreError> {
    if rows < MANY_ROWS {
        return Ok(BTreeMap::new());
    }
    let answer = client.sql(None, &format!("SELECT @@GLOBAL.{VARIABLE} AND @@version LIKE '%MariaDB%'"))?;
    let is_on = answer.first().and_then(|row| row.first()).is_some_and(|value| value == "1");
    Ok(is_on.then(|| (VARIABLE.to_owned(), "1".to_owned())).into_iter().collect())
}

/// Sets the variable to what it was.
pub(super) fn put_back(client: &Client<'_>, before: &BTreeMap<String, String>) -> Result<(), RestoreError> {
    if before.contains_key(VARIABLE) {
        client.sql(None, &format!("SET GLOBAL {VARIABLE} = 1"))?;
    }
    Ok(())
}
