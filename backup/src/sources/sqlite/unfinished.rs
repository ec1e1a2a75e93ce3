//! A database that a killed writer left in the middle of a change, as after a power cut with the application down: just
//! when a backup is wanted. Readers must undo the change first, which one that may not write cannot; so a copy of the
//! file, its journal and its log is made aside, and SQLite mends that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::at_rest::beside;

/// The parts that recovery needs. The shared memory of a log is made anew.
const PARTS: [&str; 3] = ["", "-journal", "-wal"];

/// Copies the parts of a database into `folder` and returns the path of the copy. Nobody holds the database when its
/// journal is hot (sqlite.org/lockingv3.html, section 4.2); should somebody begin meanwhile, that is an error.
pub(super) fn set_aside(database: &Path, folder: &Path) -> io::Result<PathBuf> {
    let aside = folder.join("unfinished.db");
    let before = states(database);
    for part in PARTS {
        match fs::copy(beside(database, part), beside(&aside, part)) {
            Err(refused) if refused.kind() == io::ErrorKind::NotFound && !part.is_empty() => {}
            other => drop(other?),
        }
    }
    if states(database) == before {
        Ok(aside)
    } else {
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "it changed meanwhile"))
    }
}

/// Size and time of each part that is there.
fn states(database: &Path) -> [Option<(u64, Option<SystemTime>)>; 3] {
    PARTS.map(|part| fs::metadata(beside(database, part)).ok().map(|facts| (facts.len(), facts.modified().ok())))
}
