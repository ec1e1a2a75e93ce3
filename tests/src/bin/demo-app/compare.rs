//! Compares two copies of an application: files byte for byte, databases row by row.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// What every SQLite database begins with.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What was compared, and what was found to differ.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) differences: Vec<String>,
    files: usize,
    links: usize,
    databases: usize,
    rows: usize,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { differences, files, links, databases, rows } = self;
        if !differences.is_empty() {
            return write!(f, "NOT the same: {} differences", differences.len());
        }
        write!(
            f,
            "the same, with owner, mode and time: files {files} (byte for byte), symbolic links {links}, \
             databases {databases} (row by row, {rows} rows)"
        )
    }
}

/// What a path is. Times of folders are left out: opening a database makes files beside it.
#[derive(Debug)]
enum Entry {
    Folder,
    Link(PathBuf),
    File,
    Database,
}

/// Compares everything below two folders.
pub(crate) fn compare(a: &Path, b: &Path) -> Result<Verdict, Box<dyn Error>> {
    let mut verdict = Verdict::default();
    let (left, right) = (walk(a)?, walk(b)?);
    for path in right.keys().filter(|path| !left.contains_key(*path)) {
        verdict.differences.push(format!("{}: only in {}", path.display(), b.display()));
    }
    for (path, entry) in &left {
        let found = match right.get(path) {
            None => Some(format!("only in {}", a.display())),
            Some(other) => differ((&a.join(path), entry), (&b.join(path), other), &mut verdict)?,
        };
        verdict.differences.extend(found.map(|what| format!("{}: {what}", path.display())));
    }
    Ok(verdict)
}

/// Every path below a folder, relative to it. The logs of databases are part of the databases.
fn walk(root: &Path) -> io::Result<BTreeMap<PathBuf, Entry>> {
    let mut entries = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for child in fs::read_dir(&folder)? {
            let path = child?.path();
            let Some(entry) = classify(&path)? else { continue };
            if matches!(entry, Entry::Folder) {
                open.push(path.clone());
            }
            entries.insert(path.strip_prefix(root).unwrap_or(&path).to_path_buf(), entry);
        }
    }
    Ok(entries)
}

fn classify(path: &Path) -> io::Result<Option<Entry>> {
    let kind = path.symlink_metadata()?.file_type();
    Ok(match () {
        () if kind.is_dir() => Some(Entry::Folder),
        () if kind.is_symlink() => Some(Entry::Link(fs::read_link(path)?)),
        () if is_log_of_a_database(path) => None,
        () if is_database(path) => Some(Entry::Database),
        () => Some(Entry::File),
    })
}

fn is_log_of_a_database(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ["-wal", "-shm", "-journal"].iter().any(|end| name.strip_suffix(end).is_some_and(|db| is_database(Path::new(db))))
}

fn is_database(path: &Path) -> bool {
    let mut magic = [0; SQLITE_MAGIC.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *SQLITE_MAGIC
}

/// In what two entries of the same name differ, if they do.
fn differ(a: (&Path, &Entry), b: (&Path, &Entry), verdict: &mut Verdict) -> Result<Option<String>, Box<dyn Error>> {
    let (left, right) = (a.0.symlink_metadata()?, b.0.symlink_metadata()?);
    if let Some(what) = owner_and_mode(&left, &right) {
        return Ok(Some(what));
    }
    match (a.1, b.1) {
        (Entry::Folder, Entry::Folder) => Ok(None),
        (Entry::Link(left), Entry::Link(right)) => {
            verdict.links += 1;
            Ok((left != right).then(|| format!("points to {} and {}", left.display(), right.display())))
        }
        (Entry::File, Entry::File) => {
            verdict.files += 1;
            Ok(times_and_links(&left, &right).or(content(a.0, b.0)?))
        }
        (Entry::Database, Entry::Database) => databases(a.0, b.0, verdict),
        (left, right) => Ok(Some(format!("is {left:?} and {right:?}"))),
    }
}

fn owner_and_mode(a: &Metadata, b: &Metadata) -> Option<String> {
    let facts = |of: &Metadata| format!("mode {:o}, owner {}:{}", of.mode(), of.uid(), of.gid());
    (facts(a) != facts(b)).then(|| format!("{} and {}", facts(a), facts(b)))
}

fn times_and_links(a: &Metadata, b: &Metadata) -> Option<String> {
    let facts = |of: &Metadata| format!("time {}.{:09}, {} names", of.mtime(), of.mtime_nsec(), of.nlink());
    (facts(a) != facts(b)).then(|| format!("{} and {}", facts(a), facts(b)))
}

fn content(a: &Path, b: &Path) -> io::Result<Option<String>> {
    let mut left = BufReader::new(File::open(a)?).bytes();
    let mut right = BufReader::new(File::open(b)?).bytes();
    for at in 0_u64.. {
        match (left.next().transpose()?, right.next().transpose()?) {
            (None, None) => return Ok(None),
            (x, y) if x == y => {}
            _ => return Ok(Some(format!("content from byte {at} on"))),
        }
    }
    Ok(None)
}

/// Compares the schema, then each table's rows in the order of their ids.
fn databases(a: &Path, b: &Path, verdict: &mut Verdict) -> Result<Option<String>, Box<dyn Error>> {
    verdict.databases += 1;
    let (left, right) = (open(a)?, open(b)?);
    let schema = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let tables = rows(&left, schema)?;
    if tables != rows(&right, schema)? {
        return Ok(Some("schema".to_owned()));
    }
    for table in tables {
        let Some(Value::Text(name)) = table.first() else { continue };
        let query = format!("SELECT rowid, * FROM \"{name}\" ORDER BY rowid");
        let (here, there) = (rows(&left, &query)?, rows(&right, &query)?);
        verdict.rows += here.len();
        if here != there {
            return Ok(Some(format!("rows of {name}: {} and {}", here.len(), there.len())));
        }
    }
    Ok(None)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn rows(db: &Connection, query: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = db.prepare(query)?;
    let width = statement.column_count();
    statement.query_map([], |row| (0..width).map(|column| row.get(column)).collect())?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::make;
    use std::os::unix::fs::PermissionsExt;

    /// Two folders made alike, and what compare says after the second one was tampered with.
    fn after(tamper: impl Fn(&Path)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        make(&a).unwrap();
        make(&b).unwrap();
        tamper(&b);
        compare(&a, &b).unwrap().differences
    }

    #[test]
    fn two_that_were_made_alike_are_the_same() {
        assert_eq!(after(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn one_altered_byte_is_found_though_size_and_time_are_as_before() {
        let found = after(|app| {
            let path = app.join("uploads/photos/IMG_0007.jpg");
            let modified = path.metadata().unwrap().modified().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[15_000] ^= 1;
            let mut file = File::create(&path).unwrap();
            io::Write::write_all(&mut file, &bytes).unwrap();
            file.set_modified(modified).unwrap();
        });
        assert_eq!(found, ["uploads/photos/IMG_0007.jpg: content from byte 15000 on"]);
    }

    #[test]
    fn a_row_that_was_only_in_the_write_ahead_log_is_missed() {
        let found = after(|app| {
            fs::remove_file(app.join("data/app.db-wal")).unwrap();
        });
        assert_eq!(found, ["data/app.db: rows of trip: 5000 and 4900"]);
    }

    #[test]
    fn a_mode_a_lost_hard_link_and_a_missing_file_are_found() {
        let found = after(|app| {
            fs::set_permissions(app.join(".env"), fs::Permissions::from_mode(0o644)).unwrap();
            fs::remove_file(app.join("uploads/inbox/copy of 0001.json")).unwrap();
        });
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
