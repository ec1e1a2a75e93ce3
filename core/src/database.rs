//! The databases of an application: finding their servers, and talking to them by the client that lies beside each.
//!
//! ```text
//! services, labels, configuration ──> find ──> Client ──> facts: versions, databases, sizes, what to be warned of
//!                                                ├──────> dump:  a stream, watched by dump::Scanner for its end mark
//!                                                ├──────> sql:   a question and its rows
//!                                                └──────> feed:  statements or a dump, to be carried out
//! ```
//! Every client runs inside the database's own container with the credentials that are there, so versions always match
//! and no secret leaves it.

mod accounts;
mod ask;
mod client;
pub mod dump;
mod engine;
mod error;
mod find;
mod folder;
mod ready;
mod script;

pub use accounts::{ACCOUNT, ACCOUNTS_HEAD, Accounts};
pub use client::{Client, Database, Dump, Facts, GLOBALS_DONE, GLOBALS_SETTINGS, Objects};
pub use engine::{Engine, UnknownEngine};
pub use error::DatabaseError;
pub use find::{Found, LeftOut, Server, find};
pub use folder::keeps_data_in;

/// What stands in the name of an old side that a restore has kept: `fleetbase__before_20261120T0200`.
pub const BEFORE: &str = "__before_";

/// What stands in the name of a database that a restore is loading: `fleetbase__restore_20261120T0200`.
pub const LOADING: &str = "__restore_";

/// Whether a database is one that restores keep for themselves, and not the application's.
pub fn is_ours(database: &str) -> bool {
    [BEFORE, LOADING].iter().any(|mark| {
        let stamp = database.rsplit_once(mark).map(|(_, stamp)| stamp);
        stamp.is_some_and(|stamp| stamp.len() >= 8 && stamp.bytes().take(8).all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_that_restores_keep_are_told_from_the_application_s() {
        assert!(is_ours("fleetbase__before_20261120T0200"));
        assert!(is_ours("fleetbase__restore_20261120T020000"));
        assert!(!is_ours("fleetbase") && !is_ours("a__before_b") && !is_ours("the__before_2026"));
    }
}
