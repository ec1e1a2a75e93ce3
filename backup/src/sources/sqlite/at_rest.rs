//! A database at rest, nobody writing to it. It can be read without SQLite making its shared-memory files beside it, so
//! that a backup leaves no trace in the application's folder; and its copy can be made the very file that it was.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The header of a database (sqlite.org/fileformat2.html, section 1.3).
const HEADER: usize = 100;
/// What the backup API sets anew: file change counter; schema cookie; version-valid-for with the number of the library
/// that wrote last.
const SET_ANEW: [Range<usize>; 3] = [24..28, 40..44, 92..100];
/// A file that changed longer ago than this cannot change again without a new time: the kernel stamps files with a clock
/// that ticks every 10 ms at the slowest, …
const TICK: Duration = Duration::from_millis(50);
/// … unless the file system keeps whole seconds only, or every other one (FAT).
const WHOLE_SECONDS: Duration = Duration::from_secs(3);

/// How a database is met.
pub(super) enum Met {
    /// Nobody is writing to it.
    AtRest(AtRest),
    /// It changed a moment ago; after that time it may turn out to be at rest.
    Unsettled(Duration),
    /// Part of it is in a write-ahead log or a journal.
    InUse,
}

/// The facts of a database that nobody is writing to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct AtRest {
    header: [u8; HEADER],
    /// Inode, size, and the times of modification and change.
    facts: [i64; 6],
}

impl AtRest {
    /// Looks at the file and what is beside it.
    pub(super) fn look(database: &Path, now: DateTime<Utc>) -> io::Result<Met> {
        let beside = |end: &str| std::fs::metadata(beside(database, end)).is_ok_and(|facts| facts.len() > 0);
        if beside("-wal") || beside("-journal") {
            return Ok(Met::InUse);
        }
        let file = File::open(database)?;
        let facts = file.metadata()?;
        let wait = settling(&facts, now);
        if !wait.is_zero() {
            return Ok(Met::Unsettled(wait));
        }
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        Ok(Met::AtRest(Self { header, facts: told(&facts) }))
    }

    /// Whether the database has been at rest since.
    pub(super) fn still_holds(&self, database: &Path, now: DateTime<Utc>) -> bool {
        matches!(Self::look(database, now), Ok(Met::AtRest(found)) if found == *self)
    }

    /// Makes a copy that was taken meanwhile the same as the original.
    pub(super) fn apply(&self, copy: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(copy)?;
        SET_ANEW.into_iter().try_for_each(|field| file.write_all_at(&self.header[field.clone()], field.start as u64))
    }
}

/// How long to wait until the times of a file can be relied on. A time from the future never settles, but is not waited
/// for longer than one tick.
fn settling(facts: &Metadata, now: DateTime<Utc>) -> Duration {
    let whole = facts.mtime_nsec() == 0 && facts.ctime_nsec() == 0;
    let tick = if whole { WHOLE_SECONDS } else { TICK };
    let changed = (facts.mtime(), facts.mtime_nsec()).max((facts.ctime(), facts.ctime_nsec()));
    let changed = DateTime::from_timestamp(changed.0, u32::try_from(changed.1).unwrap_or_default());
    let since = changed.and_then(|changed| (now - changed).to_std().ok()).unwrap_or_default();
    tick.saturating_sub(since)
}

fn told(facts: &Metadata) -> [i64; 6] {
    let (mtime, ctime) = ((facts.mtime(), facts.mtime_nsec()), (facts.ctime(), facts.ctime_nsec()));
    [facts.ino().cast_signed(), facts.len().cast_signed(), mtime.0, mtime.1, ctime.0, ctime.1]
}

/// What SQLite keeps beside a database.
pub(super) fn beside(database: &Path, end: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(end);
    PathBuf::from(path)
}

/// The URI by which SQLite opens a file that it may take for unchanging: no locks, no files beside it
/// (sqlite.org/uri.html).
pub(super) fn immutable_uri(database: &Path) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from("file:");
    for byte in database.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            other => drop(write!(uri, "%{other:02X}")),
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_its_uri_whatever_is_in_it() {
        assert_eq!(immutable_uri(Path::new("/srv/a b?c%d#é.db")), "file:/srv/a%20b%3Fc%25d%23%C3%A9.db?immutable=1");
    }

    #[test]
    fn what_changed_a_moment_ago_is_at_rest_soon_unless_it_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        shipshape_core::atomic::replace(&path, &[7; 4096]).unwrap();
        let now = shipshape_core::clock::now();
        assert!(matches!(AtRest::look(&path, now), Ok(Met::Unsettled(wait)) if wait <= WHOLE_SECONDS));
        let later = now + chrono::Duration::seconds(10);
        let Ok(Met::AtRest(at_rest)) = AtRest::look(&path, later) else { panic!("it is at rest by then") };
        assert!(at_rest.still_holds(&path, later));
        shipshape_core::atomic::replace(&beside(&path, "-wal"), b"frames").unwrap();
        assert!(!at_rest.still_holds(&path, later));
    }
}
