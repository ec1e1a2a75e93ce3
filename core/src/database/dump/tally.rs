//! Rows by table, within bounds.

use std::collections::BTreeMap;

/// The most tables that are told apart in one dump.
pub const MOST_TABLES: usize = 100_000;

/// The most bytes that all their names may take.
const MOST_NAMES: usize = 16 << 20;

/// Counts rows by table.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) tables: BTreeMap<String, u64>,
    /// Whether there were more tables than are told apart.
    pub(super) untold: bool,
    names: usize,
}

impl Tally {
    /// Adds rows to a table; none at all make it known.
    pub(super) fn add(&mut self, table: &str, rows: u64) {
        if let Some(count) = self.tables.get_mut(table) {
            *count = count.saturating_add(rows);
        } else if self.tables.len() < MOST_TABLES && self.names + table.len() <= MOST_NAMES {
            self.names += table.len();
            self.tables.insert(table.to_owned(), rows);
        } else {
            self.untold = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_of_a_million_tables_is_counted_up_to_a_bound_and_says_so() {
        let mut tally = Tally::default();
        for number in 0..MOST_TABLES + 5 {
            tally.add(&format!("t{number}"), 1);
        }
        tally.add("t0", 4);
        assert_eq!((tally.tables.len(), tally.untold, tally.tables["t0"]), (MOST_TABLES, true, 5));
    }

    #[test]
    fn names_without_end_are_bounded_too() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.add(&format!("{number}{}", "x".repeat(1 << 20)), 1);
        }
        assert!(tally.untold && tally.tables.len() < 17);
    }
}
