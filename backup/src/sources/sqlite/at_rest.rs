//! A database at rest, nobody writing to it, is copied byte for byte: three fields of its header that the backup API
//! sets anew are put back, so that the restored file is the file that was.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The header of a database (sqlite.org/fileformat2.html, section 1.3).
const HEADER: usize = 100;
/// File change counter; schema cookie; version-valid-for with the number of the library that wrote last.
const SET_ANEW: [Range<usize>; 3] = [24..28, 40..44, 92..100];

/// A header, if nothing of the database is elsewhere: neither in a write-ahead log nor in a journal.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct AtRest([u8; HEADER]);

impl AtRest {
    /// Looks at the file itself.
    pub(super) fn look(database: &Path) -> Option<Self> {
        let beside = |end: &str| {
            let mut path = database.as_os_str().to_owned();
            path.push(end);
            PathBuf::from(path)
        };
        let busy = |path: PathBuf| std::fs::metadata(path).is_ok_and(|facts| facts.len() > 0);
        if busy(beside("-wal")) || busy(beside("-journal")) {
            return None;
        }
        let mut header = [0; HEADER];
        File::open(database).and_then(|file| file.read_exact_at(&mut header, 0)).ok()?;
        Some(Self(header))
    }

    /// Makes the copy the same as the original. Only where the database was at rest with this very header both before
    /// and after it was copied: every commit in between would have changed the counter in it.
    pub(super) fn apply(&self, copy: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(copy)?;
        SET_ANEW.into_iter().try_for_each(|field| file.write_all_at(&self.0[field.clone()], field.start as u64))
    }
}
