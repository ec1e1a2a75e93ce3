//! SQLite databases, copied by the online backup API in one step: a consistent copy, write-ahead log included, while
//! the application goes on.

mod at_rest;
mod unfinished;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use shipshape_core::archive::entry::{Bytes, Entry, Kind};
use shipshape_core::archive::names::{self, SnapshotId};
use shipshape_core::archive::seal::{Effort, PlainHash, SealedWriter, Sealing};
use shipshape_core::archive::store::StoreError;
use shipshape_core::archive::tarball::TarWriter;
use shipshape_core::atomic;
use shipshape_core::clock::{self, Stopwatch};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::signal;

use crate::facts;
use at_rest::{AtRest, Met};

/// How long a database may stay locked before the run gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before trying a locked database again.
const PAUSE: Duration = Duration::from_millis(50);
/// All pages in one step: a step that has to be resumed starts over whenever somebody writes (sqlite.org/backup.html).
const ALL_PAGES: i32 = -1;

/// Why a database could not be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqliteError {
    /// There is no such file.
    #[error("the database {} does not exist", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("the database {} is an empty file", path.display())]
    Empty {
        /// The database.
        path: PathBuf,
    },
    /// It is not a database.
    #[error("{} is not a SQLite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// Somebody holds it locked.
    #[error("the database {} stayed locked for {} s", path.display(), PATIENCE.as_secs())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// SQLite refused.
    #[error("cannot copy the database {}: {why}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite says; its own source says the same with a number.
        why: String,
    },
    /// A writer was killed, and what it left has to be undone before anybody can read.
    #[error("the database {} was left in the middle of a change", path.display())]
    Unfinished {
        /// The database.
        path: PathBuf,
    },
    /// The temporary copy cannot be written or read.
    #[error("cannot make a temporary copy of {} in {}", path.display(), scratch.display())]
    Scratch {
        /// The database.
        path: PathBuf,
        /// The folder for temporary copies.
        scratch: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Explain for SqliteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "sqlite.missing",
            Self::Empty { .. } => "sqlite.empty",
            Self::NotADatabase { .. } => "sqlite.not_a_database",
            Self::Locked { .. } => "sqlite.locked",
            Self::Sqlite { .. } => "sqlite.failed",
            Self::Unfinished { .. } => "sqlite.unfinished",
            Self::Scratch { .. } => "sqlite.scratch",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing { path } => {
                format!("check [backup] sqlite in the configuration; is the disk with {} mounted?", path.display())
            }
            Self::Empty { path } => format!(
                "bring it back: restore latest --only NAME; if it is meant to be empty, take {} out of [backup] sqlite",
                path.display()
            ),
            Self::NotADatabase { path } => {
                format!("look at it: file {0}; encrypted databases cannot be copied", path.display())
            }
            Self::Locked { path } => format!("find who holds it: fuser -v {}", path.display()),
            Self::Unfinished { path } => {
                format!("start the application, or open it once: sqlite3 {} .schema", path.display())
            }
            Self::Sqlite { path, .. } => format!("check it: sqlite3 {} 'pragma integrity_check'", path.display()),
            Self::Scratch { scratch, .. } => {
                format!(
                    "the copy needs as much room as the database: df -h {}; another place: --state",
                    scratch.display()
                )
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. }
            | Self::Empty { .. }
            | Self::NotADatabase { .. }
            | Self::Locked { .. }
            | Self::Sqlite { .. }
            | Self::Unfinished { .. }
            | Self::Scratch { .. } => Exit::Critical,
        }
    }
}

/// A consistent copy in a temporary file, and the facts of the original.
pub(crate) struct Copy {
    file: tempfile::NamedTempFile,
    /// A folder of its own, because SQLite leaves files beside a copy that is in WAL mode.
    _folder: tempfile::TempDir,
    entry: Entry,
    /// How many names the original has.
    names: u64,
    /// What SQLite's own quick check says against it, if anything.
    pub(crate) complaint: Option<String>,
}

/// Copies the database at `source` into a temporary file in `scratch`.
pub(crate) fn copy(source: &Path, path: &Bytes, scratch: &Path) -> Result<Copy, Failure> {
    let entry = look(source, path)?;
    let scratched = |cause| SqliteError::Scratch { path: source.to_owned(), scratch: scratch.to_owned(), cause };
    let folder = atomic::temporary_folder(scratch).map_err(scratched)?;
    let file = atomic::temporary(folder.path()).map_err(scratched)?;
    if !copy_at_rest(source, file.path(), scratch)? {
        match copy_pages(source, source, file.path(), scratch) {
            Err(refused) if refused.code() == "sqlite.unfinished" => {
                let aside = unfinished::set_aside(source, folder.path()).map_err(scratched)?;
                copy_with(writable(&aside), source, file.path(), scratch)?;
            }
            other => other?,
        }
    }
    let complaint = quick_check(file.path()).map_err(|cause| refused(source, scratch, cause))?;
    let size = file.path().metadata().map_err(scratched)?.len();
    let names = source.metadata().map_or(1, |facts| facts.nlink());
    Ok(Copy { file, _folder: folder, entry: Entry { size, ..entry }, names, complaint })
}

/// The facts of the file itself. A missing one is an error and never an empty database, which SQLite would make of it.
fn look(source: &Path, path: &Bytes) -> Result<Entry, SqliteError> {
    let facts = match std::fs::metadata(source) {
        Err(refused) if refused.kind() == io::ErrorKind::NotFound => {
            return Err(SqliteError::Missing { path: source.to_owned() });
        }
        other => other.map_err(|_| SqliteError::NotADatabase { path: source.to_owned() })?,
    };
    let beside = |end| std::fs::metadata(at_rest::beside(source, end)).is_ok_and(|facts| facts.len() > 0);
    if facts.is_file() && facts.len() == 0 && !beside("-wal") && !beside("-journal") {
        // SQLite would take it for a database without tables; it is one that was truncated, or never was one.
        return Err(SqliteError::Empty { path: source.to_owned() });
    }
    let entry = facts::entry_of(&path.0, &facts).filter(|entry| entry.kind == Kind::File);
    let mut entry = entry.ok_or_else(|| SqliteError::NotADatabase { path: source.to_owned() })?;
    entry.xattrs = facts::attributes_of_path(source).unwrap_or_default();
    Ok(entry)
}

/// Copies a database that nobody is writing to, leaving nothing beside it. False if somebody is, or began meanwhile.
fn copy_at_rest(source: &Path, target: &Path, scratch: &Path) -> Result<bool, Failure> {
    let mut met = AtRest::look(source, clock::now());
    if let Ok(Met::Unsettled(wait)) = met {
        thread::sleep(wait);
        met = AtRest::look(source, clock::now());
    }
    let Ok(Met::AtRest(at_rest)) = met else { return Ok(false) };
    let copied = copy_pages(Path::new(&at_rest::immutable_uri(source)), source, target, scratch);
    if !at_rest.still_holds(source, clock::now()) {
        return Ok(false);
    }
    copied?;
    let scratched = |cause| SqliteError::Scratch { path: source.to_owned(), scratch: scratch.to_owned(), cause };
    at_rest.apply(target).map_err(scratched)?;
    Ok(true)
}

/// Opens for reading only, so that nothing of the original changes: a last connection that may write would fold in its
/// log.
fn copy_pages(open: &Path, source: &Path, target: &Path, scratch: &Path) -> Result<(), Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    copy_with(Connection::open_with_flags(open, flags), source, target, scratch)
}

/// Opens a copy of our own, in which SQLite may undo what a killed writer left.
fn writable(aside: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(aside, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Copies all pages of an opened database; `source` is its name in messages.
fn copy_with(
    opened: rusqlite::Result<Connection>,
    source: &Path,
    target: &Path,
    scratch: &Path,
) -> Result<(), Failure> {
    let failed = |cause| refused(source, scratch, cause);
    let from = opened.map_err(failed)?;
    let mut to = Connection::open(target).map_err(failed)?;
    // The copy is thrown away if anything happens: no journal, no fsync.
    to.execute_batch("pragma journal_mode = off; pragma synchronous = off;").map_err(failed)?;
    let backup = Backup::new(&from, &mut to).map_err(failed)?;
    let waiting = Stopwatch::start();
    loop {
        signal::check()?;
        match backup.step(ALL_PAGES).map_err(failed)? {
            StepResult::Done => return Ok(()),
            _ if waiting.elapsed() > PATIENCE => return Err(SqliteError::Locked { path: source.to_owned() }.into()),
            _ => thread::sleep(PAUSE),
        }
    }
}

/// Reads the whole copy as SQLite does: a database that was damaged before the backup is better known now than later.
fn quick_check(copy: &Path) -> rusqlite::Result<Option<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(at_rest::immutable_uri(copy), flags)?;
    let said: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(said))
}

#[expect(clippy::needless_pass_by_value, reason = "it is used up, as with map_err")]
fn refused(source: &Path, scratch: &Path, cause: rusqlite::Error) -> SqliteError {
    use rusqlite::ErrorCode as Code;
    let path = source.to_owned();
    match cause.sqlite_error_code() {
        Some(Code::NotADatabase) => SqliteError::NotADatabase { path },
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => SqliteError::Locked { path },
        Some(Code::DiskFull) => {
            SqliteError::Scratch { path, scratch: scratch.to_owned(), cause: io::ErrorKind::StorageFull.into() }
        }
        // A hot journal or log that a reader may not play back (sqlite.org/rescode.html, SQLITE_READONLY_ROLLBACK, …).
        Some(Code::ReadOnly) => SqliteError::Unfinished { path },
        _ => SqliteError::Sqlite { path, why: cause.to_string() },
    }
}

impl Copy {
    /// The number of names, if the original has more than one.
    pub(crate) fn several_names(&self) -> Option<u64> {
        (self.names > 1).then_some(self.names)
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.entry.size
    }

    /// Writes it as the payload `name`: a tar of one file under the database's own path.
    pub(crate) fn seal(self, sealing: Sealing<'_>, id: &SnapshotId, name: &str) -> Result<SealedWriter, Failure> {
        let object = names::payload(id, &format!("database-{name}.tar"), sealing.wrapping);
        let writer = SealedWriter::create(sealing, object, Effort::Usual, PlainHash::Sha256)?;
        let key = writer.key().to_owned();
        let failed = |cause| StoreError::from_io("write", &key, cause);
        let mut tar = TarWriter::new(writer);
        tar.begin_file(&self.entry, None).map_err(failed)?;
        let mut file = File::open(self.file.path()).map_err(|cause| self.unreadable(cause))?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            signal::check()?;
            match file.read(&mut buffer).map_err(|cause| self.unreadable(cause))? {
                0 => break,
                length => tar.data(&buffer[..length]).map_err(failed)?,
            }
        }
        tar.end_file().map_err(failed)?;
        Ok(tar.finish().map_err(failed)?)
    }

    fn unreadable(&self, cause: io::Error) -> SqliteError {
        let scratch = self.file.path().parent().unwrap_or_else(|| Path::new("."));
        SqliteError::Scratch { path: PathBuf::from(self.entry.path.shown()), scratch: scratch.to_owned(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("app.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("pragma journal_mode = wal; create table t (x); insert into t values (1), (2);")
            .unwrap();
        (path, connection)
    }

    #[test]
    fn rows_that_are_only_in_the_log_are_copied_and_the_original_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = database(folder.path());
        connection.execute_batch("pragma wal_autocheckpoint = 0; insert into t values (3);").unwrap();
        let before = std::fs::read(&path).unwrap();
        let copy = copy(&path, &b"app.db".as_slice().into(), folder.path()).unwrap();
        let rows: i64 =
            Connection::open(copy.file.path()).unwrap().query_row("select count(*) from t", [], |r| r.get(0)).unwrap();
        assert_eq!(rows, 3);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(copy.complaint.is_none());
        drop(copy);
        drop(connection);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside the database");
    }

    #[test]
    fn a_database_at_rest_is_copied_byte_for_byte_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = database(folder.path());
        connection.execute_batch("create index i on t (x); insert into t values (3);").unwrap();
        drop(connection);
        let copy = copy(&path, &b"app.db".as_slice().into(), folder.path()).unwrap();
        assert!(std::fs::read(copy.file.path()).unwrap() == std::fs::read(&path).unwrap());
        drop(copy);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_writer_left_is_undone_in_the_copy_and_not_in_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let (live, path) = (folder.path().join("live.db"), folder.path().join("app.db"));
        let connection = Connection::open(&live).unwrap();
        connection.execute_batch("create table t (x); insert into t values (1), (2);").unwrap();
        let rows = |path: &Path| -> i64 {
            Connection::open(path).unwrap().query_row("select count(*) from t", [], |row| row.get(0)).unwrap()
        };
        let before = rows(&live);
        // With a cache of one page, pages reach the file before the transaction ends; a power cut then leaves both.
        connection.execute_batch("pragma cache_size = 1; begin; update t set x = x + 1;").unwrap();
        connection
            .execute_batch("create table u (x); insert into u values (zeroblob(100000)), (zeroblob(100000));")
            .unwrap();
        for end in ["", "-journal"] {
            std::fs::copy(at_rest::beside(&live, end), at_rest::beside(&path, end)).unwrap();
        }
        let journal = std::fs::read(at_rest::beside(&path, "-journal")).unwrap();
        assert!(journal.len() > 512, "the journal is hot");
        let copy = copy(&path, &b"app.db".as_slice().into(), folder.path()).unwrap();
        assert_eq!(rows(copy.file.path()), before);
        assert!(copy.complaint.is_none());
        assert_eq!(std::fs::read(at_rest::beside(&path, "-journal")).unwrap(), journal, "the original is left alone");
    }

    #[test]
    fn a_missing_database_is_an_error_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone.db");
        let refused = copy(&path, &b"gone.db".as_slice().into(), folder.path()).err().unwrap();
        assert_eq!(refused.code(), "sqlite.missing");
        assert!(!path.exists());
    }

    #[test]
    fn a_database_that_was_truncated_to_nothing_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        shipshape_core::atomic::replace(&path, b"").unwrap();
        let refused = copy(&path, &b"app.db".as_slice().into(), folder.path()).err().unwrap();
        assert_eq!(refused.code(), "sqlite.empty");
    }

    #[test]
    fn what_is_not_a_database_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.db");
        shipshape_core::atomic::replace(&path, &vec![b'x'; 4096]).unwrap();
        let refused = copy(&path, &b"notes.db".as_slice().into(), folder.path()).err().unwrap();
        assert_eq!(refused.code(), "sqlite.not_a_database");
    }
}
