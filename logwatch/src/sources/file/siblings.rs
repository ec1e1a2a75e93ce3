//! The names under which the older generations of a log lie beside it, and their order.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many older generations are looked at, the newest ones.
pub(super) const MOST: usize = 64;

/// The ending of packed files.
const PACKED: &[u8] = b".gz";

/// How old a generation is by its name; the newer, the greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// `app.log.3`: so many rotations ago. Also `app.log.old`, which is the first.
    Rotations(Reverse<u64>),
    /// `app.log-20261120`, `app.log.2026-11-20`, `app.log-1795132800`: since then, by the numbers in it.
    Since(Vec<u64>),
}

impl Age {
    /// Whether both names were given by the same rule, so that their order means something.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A file beside a log that has the name of an older generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) age: Age,
    dev: u64,
    ino: u64,
    mtime: (i64, i64),
}

/// The older generations of the log at this path, oldest first.
pub(super) fn list(log: &Path) -> io::Result<Vec<Sibling>> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name()) else { return Ok(Vec::new()) };
    let mut siblings = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(age) = age(name, &entry.file_name()) else { continue };
        // What has vanished meanwhile has another name now, or none: the listing is compared with a second one.
        let Ok(facts) = entry.metadata() else { continue };
        if facts.is_file() {
            let mtime = (facts.mtime(), facts.mtime_nsec());
            siblings.push(Sibling { path: entry.path(), age, dev: facts.dev(), ino: facts.ino(), mtime });
        }
    }
    drop_packed_twins(&mut siblings);
    sort(&mut siblings);
    siblings.drain(..siblings.len().saturating_sub(MOST));
    Ok(siblings)
}

/// Brings them into the order of their generations: by name where all names follow one rule, else by the time of the last line.
fn sort(siblings: &mut [Sibling]) {
    let is_one_rule = siblings.windows(2).all(|pair| pair[0].age.is_like(&pair[1].age));
    if is_one_rule {
        siblings.sort_by(|one, other| one.age.cmp(&other.age).then_with(|| one.path.cmp(&other.path)));
    } else {
        siblings.sort_by(|one, other| one.mtime.cmp(&other.mtime).then_with(|| one.path.cmp(&other.path)));
    }
}

/// While `app.log.1.gz` is being written, `app.log.1` is still there: it is the same, and whole.
fn drop_packed_twins(siblings: &mut Vec<Sibling>) {
    let plain: Vec<PathBuf> =
        siblings.iter().filter(|sibling| !is_packed(&sibling.path)).map(|one| one.path.clone()).collect();
    siblings.retain(|sibling| !is_packed(&sibling.path) || !plain.contains(&sibling.path.with_extension("")));
}

/// Whether the file's name says that it is packed.
pub(super) fn is_packed(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(PACKED)
}

/// Whether one of these two is a rotated generation of the other, by their names.
pub(super) fn is_sibling(log: &Path, other: &Path) -> bool {
    let names = log.file_name().zip(other.file_name());
    log.parent() == other.parent() && names.is_some_and(|(log, other)| age(log, other).is_some())
}

/// How old a generation of `log` a file of this name is, if it is one.
fn age(log: &OsStr, name: &OsStr) -> Option<Age> {
    let rest = name.as_bytes().strip_prefix(log.as_bytes())?;
    let rest = rest.strip_suffix(PACKED).unwrap_or(rest);
    let (separator, suffix) = rest.split_first()?;
    match separator {
        b'.' if suffix == b"old" => Some(Age::Rotations(Reverse(1))),
        b'.' | b'-' | b'_' => numbered(suffix),
        _ => None,
    }
}

/// The age in a suffix that begins with a digit and has nothing else in it than digits and what stands between those of dates.
fn numbered(suffix: &[u8]) -> Option<Age> {
    let is_number = suffix.first()?.is_ascii_digit();
    if !is_number || !suffix.iter().all(|byte| byte.is_ascii_digit() || b"-_.:T+Z".contains(byte)) {
        return None;
    }
    let numbers = suffix.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let numbers: Vec<u64> = numbers.map(number).collect::<Option<_>>()?;
    // Nobody keeps 100000 generations, and no date has fewer digits than `261120`.
    match numbers[..] {
        [number] if suffix.len() < 6 => Some(Age::Rotations(Reverse(number))),
        _ if suffix.len() < 6 => None,
        _ => Some(Age::Since(numbers)),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// What two listings must agree in, so that no rotation happened between them.
pub(super) fn is_same(one: &[Sibling], other: &[Sibling]) -> bool {
    let key = |sibling: &Sibling| (sibling.path.clone(), sibling.dev, sibling.ino);
    one.len() == other.len() && one.iter().map(key).eq(other.iter().map(key))
}

/// The file that a path means, links followed, even if it is not there at the moment.
pub(super) fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many links as the kernel follows (path_resolution(7)).
    for _ in 0..40 {
        let folder = path.parent().map(|folder| if folder == "" { Path::new(".") } else { folder });
        let Some((folder, name)) = folder.and_then(|folder| fs::canonicalize(folder).ok()).zip(path.file_name()) else {
            break;
        };
        path = folder.join(name);
        match fs::read_link(&path) {
            Ok(link) => path = folder.join(link),
            Err(_) => break,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(names: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = list(&dir.path().join("app.log")).unwrap();
        found.iter().map(|sibling| sibling.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn generations_are_found_oldest_first_whatever_their_rule() {
        assert_eq!(
            in_order(&["app.log", "app.log.1", "app.log.10.gz", "app.log.2.gz"]),
            ["app.log.10.gz", "app.log.2.gz", "app.log.1"]
        );
        assert_eq!(
            in_order(&["app.log-20261120", "app.log-20261101.gz", "app.log-20251231.gz"]),
            ["app.log-20251231.gz", "app.log-20261101.gz", "app.log-20261120"]
        );
        assert_eq!(
            in_order(&["app.log.2026-11-20.1", "app.log.2026-11-20.0"]),
            ["app.log.2026-11-20.0", "app.log.2026-11-20.1"]
        );
        assert_eq!(
            in_order(&["app.log-1795132800", "app.log-1795046400"]),
            ["app.log-1795046400", "app.log-1795132800"]
        );
        assert_eq!(in_order(&["app.log.old"]), ["app.log.old"]);
    }

    #[test]
    fn what_only_looks_alike_is_no_generation() {
        let others = [
            "app.log",
            "app.log.swp",
            "app.log.1.bak",
            "app2.log.1",
            "app.log1",
            "app.log.",
            "app.log.gz",
            "app.log.1.xz",
            "other.log.1",
        ];
        assert!(in_order(&others).is_empty(), "{:?}", in_order(&others));
    }

    #[test]
    fn what_is_being_packed_is_read_while_it_is_whole() {
        assert_eq!(in_order(&["app.log.1", "app.log.1.gz", "app.log.2.gz"]), ["app.log.2.gz", "app.log.1"]);
    }

    #[test]
    fn names_of_two_rules_are_ordered_by_time() {
        let dir = tempfile::tempdir().unwrap();
        for (name, seconds) in [("app.log-20261120", 100), ("app.log.1", 300), ("app.log.2", 200)] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            std::io::Write::write_all(&mut &file, b"x").unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        }
        let found = list(&dir.path().join("app.log")).unwrap();
        let names: Vec<_> = found.iter().map(|one| one.path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["app.log-20261120", "app.log.2", "app.log.1"]);
    }

    #[test]
    fn of_many_the_newest_are_looked_at() {
        let names: Vec<String> = (1..=100).map(|number| format!("app.log.{number}.gz")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = in_order(&names);
        assert_eq!((found.len(), found[0].as_str(), found[63].as_str()), (MOST, "app.log.64.gz", "app.log.1.gz"));
    }

    #[test]
    fn links_are_followed_to_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(real.join("logs")).unwrap();
        std::os::unix::fs::symlink("logs/app.log", real.join("current")).unwrap();
        std::os::unix::fs::symlink("loop", real.join("loop")).unwrap();
        assert_eq!(target(&real.join("current")), real.join("logs/app.log"));
        assert_eq!(target(&real.join("loop")), real.join("loop"));
    }
}
