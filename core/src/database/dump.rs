//! Reading dumps as they pass: whether they are whole, what is in them, and what of them may be loaded.
//!
//! ```text
//! backup:   client ──> Scanner (end mark, rows by table) ──> store
//! restore:  object ──> Loader  (Scanner; events set aside, other databases kept out) ──> client
//!           Redis's stream ──> RdbReader (its end cut off) ──> store
//! ```
//! No part of it touches the machine, and none needs more memory for a bigger dump.

mod error;
mod head;
mod lexer;
mod load;
mod quoting;
mod rdb;
mod scan;
mod sieve;
mod tally;
mod watch;

pub use error::{LoadError, NotWhole};
pub use load::{Loaded, Loader, LoaderReport};
pub use rdb::RdbReader;
pub use scan::{Scanner, Seen, sniff};
pub use tally::MOST_TABLES;

/// The triggers that a client of the MySQL family has written, with no database named before them and their tables: the
/// servers keep each as somebody typed it, and made in another database it would still go to the one that it names.
pub fn unqualified_triggers(text: &[u8]) -> Vec<u8> {
    head::unqualified(text)
}

/// What a dump is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One database, or all of a Redis server.
    Database,
    /// What belongs to no database of a PostgreSQL server: roles, tablespaces, and the settings of databases that
    /// [`super::Client`] adds to them; accounts and roles of the MySQL family.
    Globals,
}

#[cfg(test)]
mod tests;
