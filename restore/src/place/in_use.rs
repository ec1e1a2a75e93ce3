//! Who has a database open that a restore replaces: such a process goes on with the old one and does not notice.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use shipshape_core::report::Notice;

use super::shown;

/// A warning for each database that some process has open, as far as this user may see.
pub(crate) fn warnings(databases: impl Iterator<Item = PathBuf>) -> Vec<Notice> {
    let warning = |path: PathBuf| {
        let message = format!("{} was open in {}, which goes on with the old one", shown(&path), holders(&path)?);
        let hint = "restart the application now, for what it still writes is lost; next time stop it before";
        Some(Notice::new("sqlite.in_use", message, hint))
    };
    databases.filter_map(warning).collect()
}

/// What to say of a database before it is replaced.
pub(crate) fn advice(database: &Path) -> Option<String> {
    Some(format!("{} is open in {}: stop the application first\n", shown(database), holders(database)?))
}

/// The processes that have a file open: `php-fpm (4711)`. Those of other users are seen by root alone.
fn holders(file: &Path) -> Option<String> {
    let wanted = fs::metadata(file).ok()?;
    let processes = fs::read_dir("/proc").ok()?;
    let numbers = processes.flatten().filter(|entry| is_number(&entry.file_name().to_string_lossy()));
    let holding = numbers.filter(|process| has_open(&process.path(), (wanted.dev(), wanted.ino())));
    let mut named = holding.map(|process| {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        format!("{} ({})", shown(Path::new(name.trim())), process.file_name().to_string_lossy())
    });
    let (first, more) = (named.next()?, named.count());
    Some(if more == 0 { first } else { format!("{first} and {more} more") })
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Looks only at what has a path: sockets and pipes are most of what servers have open.
fn has_open(process: &Path, wanted: (u64, u64)) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else { return false };
    let with_path = open.flatten().filter(|entry| fs::read_link(entry.path()).is_ok_and(|path| path.is_absolute()));
    let mut facts = with_path.filter_map(|entry| fs::metadata(entry.path()).ok());
    facts.any(|facts| (facts.dev(), facts.ino()) == wanted)
}
