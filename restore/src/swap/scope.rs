//! What a restore may move, and what stays whatever happens.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use shipshape_core::archive::patterns::{Is, Patterns};
use shipshape_core::database::keeps_data_in;

use crate::beneath::split;

/// How the names of our own folders in the application's begin.
const OURS: &[u8] = b".shipshape-";

/// Names that SQLite puts beside a database: they belong to it (sqlite.org/tempfiles.html).
const BESIDE_A_DATABASE: [&[u8]; 3] = [b"-wal", b"-shm", b"-journal"];

/// The scope of a restore. Paths are those of the snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// What the backup left out.
    pub(crate) excluded: Patterns,
    /// Folders of this machine that are not the application's: the store, the state.
    pub(crate) untouchable: Vec<PathBuf>,
    /// Paths of payloads that are not restored.
    pub(crate) others: HashSet<Vec<u8>>,
    /// What lies beside databases that are restored, and belongs to the old ones.
    pub(crate) stale: HashSet<Vec<u8>>,
    /// Folders of this machine that running services have mounted: they stay, and what is in them is replaced.
    pub(crate) pinned: Vec<PathBuf>,
    /// Folders that are there only because something below them is restored.
    pub(crate) only_for_content: HashSet<Vec<u8>>,
}

impl Scope {
    /// A database that stays as it is, with all that belongs to it.
    pub(crate) fn keep_database(&mut self, path: &[u8]) {
        self.others.insert(path.to_vec());
        self.others.extend(beside(path));
    }

    /// A file that stays as it is.
    pub(crate) fn keep_file(&mut self, path: &[u8]) {
        self.others.insert(path.to_vec());
    }

    /// A database that is replaced: what belongs to the old one must not be taken for the new one's.
    pub(crate) fn replace_database(&mut self, path: &[u8]) {
        self.stale.extend(beside(path));
    }

    /// Whether it belongs to a database that is replaced.
    pub(crate) fn is_stale(&self, path: &[u8]) -> bool {
        self.stale.contains(path)
    }

    /// Whether nothing may be moved there at all.
    pub(crate) fn is_untouchable(&self, path: &[u8], live: &Path) -> bool {
        split(path).1.starts_with(OURS) || self.untouchable.iter().any(|folder| folder == live)
    }

    /// Whether a live thing stays, though what is around it is replaced. A folder in which a database server keeps its
    /// data does whatever the snapshot says, which may be older than that server: it must not be moved away under it.
    pub(crate) fn stays(&self, path: &[u8], live: &Path, is: Is) -> bool {
        let is_live_data = || is == Is::Folder && keeps_data_in(live).is_some();
        self.is_untouchable(path, live)
            || self.others.contains(path)
            || self.excluded.covers(path, is)
            || is_live_data()
    }

    /// What is known to stay without looking at the disk: paths of the snapshot.
    pub(crate) fn known_to_stay(&self) -> impl Iterator<Item = &[u8]> {
        self.others.iter().map(Vec::as_slice)
    }
}

/// Whether a path lies in a folder that restores keep for themselves.
pub(crate) fn is_ours(path: &[u8]) -> bool {
    path.starts_with(OURS)
}

/// What SQLite puts beside a database.
pub(crate) fn beside(database: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    BESIDE_A_DATABASE.iter().map(move |suffix| [database, suffix].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_takes_its_log_with_it() {
        let mut scope = Scope::default();
        scope.keep_database(b"data/app.db");
        scope.replace_database(b"other.db");
        let stays = |path: &str| scope.stays(path.as_bytes(), Path::new("/x"), Is::Other);
        assert!(stays("data/app.db") && stays("data/app.db-wal") && stays("data/app.db-journal"));
        assert!(!stays("other.db"));
        assert!(scope.is_stale(b"other.db-shm") && !scope.is_stale(b"other.db"));
    }

    #[test]
    fn our_own_folders_are_never_touched() {
        let scope = Scope { untouchable: vec!["/srv/a/store".into()], ..Scope::default() };
        assert!(scope.is_untouchable(b".shipshape-before-x-1", Path::new("/srv/a/.shipshape-before-x-1")));
        assert!(scope.is_untouchable(b"store", Path::new("/srv/a/store")));
        assert!(!scope.is_untouchable(b"a/shipshape", Path::new("/srv/a/a/shipshape")));
    }
}
