//! Patterns of files.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

use super::error::FileError;
use super::siblings::{is_packed, is_sibling};

/// As a shell does it: `*` means no file that begins with a dot, and does not cross folders.
const AS_A_SHELL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files that are meant: one, if it is no pattern, or the name of one that is there.
pub(super) fn expand(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, FileError> {
    let path = base.join(pattern);
    if !pattern.contains(['*', '?', '[']) || path.symlink_metadata().is_ok() {
        return Ok(vec![path]);
    }
    let found = matches(pattern, base)?;
    let kept = without_rotated(&found, is_packed(Path::new(pattern)));
    if kept.is_empty() { Err(FileError::NoMatch { pattern: pattern.to_owned() }) } else { Ok(kept) }
}

/// What matches, but folders, sorted.
fn matches(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, FileError> {
    // The folder is no pattern, whatever it is called.
    let whole = Path::new(&Pattern::escape(&base.to_string_lossy())).join(pattern);
    let paths = glob_with(&whole.to_string_lossy(), AS_A_SHELL)
        .map_err(|source| FileError::Pattern { pattern: pattern.to_owned(), source })?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            let closed = error.path().to_owned();
            FileError::of(&closed, error.into())
        })?;
        if !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Rotated generations of a file that is meant too belong to it, and are found by what is in them. Packed files are read only if
/// the pattern asks for them.
fn without_rotated(found: &[PathBuf], wants_packed: bool) -> Vec<PathBuf> {
    let is_own = |path: &&PathBuf| (wants_packed || !is_packed(path)) && !found.iter().any(|log| is_sibling(log, path));
    found.iter().filter(is_own).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(names: &[&str], pattern: &str) -> Result<Vec<String>, FileError> {
        let dir = tempfile::Builder::new().prefix("logs[1]*").tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = expand(pattern, dir.path())?;
        let short = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
        Ok(found.iter().map(short).collect())
    }

    #[test]
    fn a_pattern_means_logs_and_not_what_they_were_rotated_into() {
        let names =
            ["b.log", "a.log", "a.log.1", "a.log.2.gz", "a.log-20261120", ".a.log", "old.log.3.gz", "sub/c.log"];
        assert_eq!(expanded(&names, "*").unwrap(), ["a.log", "b.log"]);
        assert_eq!(expanded(&names, "*.log").unwrap(), ["a.log", "b.log"]);
        assert_eq!(expanded(&names, "**/*.log").unwrap(), ["a.log", "b.log", "sub/c.log"]);
        assert_eq!(expanded(&names, "[ac].log").unwrap(), ["a.log"]);
    }

    #[test]
    fn generations_are_read_when_they_are_asked_for() {
        let names = ["a.log.1", "a.log.2", "a.log.3.gz", "b.log.1.gz"];
        assert_eq!(expanded(&names, "a.log.?").unwrap(), ["a.log.1", "a.log.2"]);
        assert_eq!(expanded(&names, "*.gz").unwrap(), ["a.log.3.gz", "b.log.1.gz"]);
    }

    #[test]
    fn dated_logs_that_are_no_generations_of_another_stay() {
        let names = ["laravel.log", "laravel-2026-11-19.log", "laravel-2026-11-20.log"];
        assert_eq!(expanded(&names, "laravel*.log").unwrap().len(), 3);
    }

    #[test]
    fn a_name_is_itself_even_if_it_looks_like_a_pattern() {
        assert_eq!(expanded(&["x[1].log", "x1.log"], "x[1].log").unwrap(), ["x[1].log"]);
        assert_eq!(
            expanded(&[], "nothing.log").unwrap(),
            ["nothing.log"],
            "that it is missing is told when it is opened"
        );
    }

    #[test]
    fn what_matches_nothing_or_means_nothing_is_an_error() {
        assert!(matches!(expanded(&["a.txt"], "*.log"), Err(FileError::NoMatch { pattern }) if pattern == "*.log"));
        assert!(matches!(expanded(&["a.log"], "a[.log"), Err(FileError::Pattern { .. })));
    }
}
