//! Log files: where they are looked for, and which are too large.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use shipshape_core::report::Notice;
use shipshape_core::signal;
use shipshape_core::units::ByteSize;

use super::finding::{Finding, Kind};
use super::names::{Named, named};
use super::place::Place;

/// Where a system keeps its logs.
const SYSTEM_LOGS: &str = "/var/log";

/// systemd's journal lies below [`SYSTEM_LOGS`] and limits itself (journald.conf(5), `SystemMaxUse=`).
const JOURNAL: &str = "/var/log/journal";

/// Folders that hold other people's files by the hundred thousand, and no logs.
const SKIPPED: [&str; 4] = [".git", "node_modules", "vendor", "site-packages"];

/// How many files and folders are looked at: a shop with a million pictures must not keep an audit busy for an hour.
const MOST_ENTRIES: usize = 500_000;

/// How deep.
const DEEPEST: usize = 24;

/// How many places that could not be looked at are told by name.
const MOST_TOLD: usize = 3;

/// A log file.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    /// Where it is here, without links.
    pub(super) path: PathBuf,
    /// What it takes up.
    pub(super) size: u64,
    /// When it was written to last.
    pub(super) written: DateTime<Utc>,
    /// What its name says.
    pub(super) named: Named,
}

/// All log files.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// Each once, however many names it has.
    pub(super) files: Vec<LogFile>,
    /// What could not be looked at.
    pub(super) warnings: Vec<Notice>,
}

/// Looks for logs where the system and the application keep them, and where the owner says that some are.
pub(super) fn look(place: &Place, app: Option<&Path>, stated: &[String]) -> Logs {
    let mut walk = Walk::new(place);
    for pattern in stated {
        let pattern = if pattern.starts_with('/') { place.real(Path::new(pattern)) } else { beside(app, pattern) };
        walk.named_by_owner(&pattern);
    }
    walk.below(&place.real(Path::new(SYSTEM_LOGS)), Folder::OfLogs);
    if let Some(app) = app {
        walk.below(app, Folder::OfAnything);
    }
    walk.end()
}

fn beside(app: Option<&Path>, pattern: &str) -> PathBuf {
    app.map_or_else(
        || PathBuf::from(pattern),
        |app| PathBuf::from(glob::Pattern::escape(&app.to_string_lossy())).join(pattern),
    )
}

/// Those that are larger than that.
pub(super) fn too_large(files: &[LogFile], place: &Place, max_size: u64) -> Vec<Finding> {
    let large = files.iter().filter(|file| file.size > max_size);
    let finding = |file: &LogFile| Finding {
        kind: Kind::FileLarge,
        what: place.its_own(&file.path).display().to_string(),
        size_bytes: Some(file.size),
        why: format!("larger than {}", ByteSize(max_size)),
    };
    large.map(finding).collect()
}

/// What a folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folder {
    /// All in it is a log, whatever it is called.
    OfLogs,
    /// Logs are what is called so.
    OfAnything,
}

struct Walk<'a> {
    place: &'a Place,
    logs: Logs,
    known: HashSet<(u64, u64)>,
    unseen: Vec<PathBuf>,
    left: usize,
}

impl<'a> Walk<'a> {
    fn new(place: &'a Place) -> Self {
        Self { place, logs: Logs::default(), known: HashSet::new(), unseen: Vec::new(), left: MOST_ENTRIES }
    }

    fn named_by_owner(&mut self, pattern: &Path) {
        // One that makes no sense is refused where logs are read.
        let Ok(paths) = glob::glob(&pattern.to_string_lossy()) else { return };
        for path in paths.flatten().take(MOST_ENTRIES) {
            let Ok(path) = path.canonicalize() else { continue };
            match path.metadata() {
                Ok(facts) if facts.is_file() => self.take(path, &facts, Named::Live),
                _ => {}
            }
        }
    }

    fn below(&mut self, top: &Path, folder: Folder) {
        let Ok(top) = top.canonicalize() else { return };
        let mut todo = vec![(top, folder, 0)];
        while let Some((dir, folder, depth)) = todo.pop() {
            if signal::check().is_err() || self.left == 0 {
                return;
            }
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(_) => {
                    self.unseen.push(dir);
                    continue;
                }
            };
            for entry in entries.flatten().take(self.left) {
                self.left -= 1;
                // Links are not followed: where they lead is looked at by its own name, or is none of ours.
                let Ok(facts) = entry.metadata() else { continue };
                let name = entry.file_name().to_string_lossy().into_owned();
                if facts.is_file() {
                    self.judge(entry.path(), &name, &facts, folder);
                } else if facts.is_dir() && depth < DEEPEST && self.is_entered(&entry.path(), &name) {
                    todo.push((entry.path(), inside(folder, &name), depth + 1));
                }
            }
        }
    }

    fn is_entered(&self, dir: &Path, name: &str) -> bool {
        !SKIPPED.contains(&name) && self.place.its_own(dir) != Path::new(JOURNAL)
    }

    fn judge(&mut self, path: PathBuf, name: &str, facts: &Metadata, folder: Folder) {
        let named = named(name);
        if named != Named::Other || folder == Folder::OfLogs {
            self.take(path, facts, named);
        }
    }

    fn take(&mut self, path: PathBuf, facts: &Metadata, named: Named) {
        if !self.known.insert((facts.dev(), facts.ino())) {
            return;
        }
        let written = DateTime::from_timestamp(facts.mtime(), 0).unwrap_or_default();
        // A file with holes takes less than it is long: lastlog, and what copytruncate leaves of a log that is not
        // opened for appending. st_blocks counts 512 bytes (stat(2)).
        let size = facts.len().min(facts.blocks().saturating_mul(512));
        self.logs.files.push(LogFile { path, size, written, named });
    }

    fn end(mut self) -> Logs {
        self.logs.files.sort_by(|a, b| a.path.cmp(&b.path));
        if self.left == 0 {
            let message = format!("only the first {MOST_ENTRIES} files and folders were looked at");
            self.logs.warnings.push(Notice::new(
                "audit.too_many_files",
                message,
                "look at the rest by itself: --app DIR",
            ));
        }
        if !self.unseen.is_empty() {
            self.logs.warnings.push(unseen(&self.unseen));
        }
        self.logs
    }
}

/// Folders called so are for logs only.
fn inside(folder: Folder, name: &str) -> Folder {
    if matches!(name, "log" | "logs") { Folder::OfLogs } else { folder }
}

fn unseen(folders: &[PathBuf]) -> Notice {
    let told: Vec<String> = folders.iter().take(MOST_TOLD).map(|folder| folder.display().to_string()).collect();
    let more = folders.len().saturating_sub(MOST_TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("could not look into {}{more}", told.join(", "));
    Notice::new("audit.unseen", message, "run it as root: sudo logwatch audit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn machine() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        for dir in ["var/log/nginx", "var/log/journal/1", "srv/app/storage/logs", "srv/app/node_modules/x"] {
            fs::create_dir_all(place.real(Path::new(dir))).unwrap();
        }
        (folder, place)
    }

    fn put(place: &Place, path: &str, bytes: usize) {
        fs::write(place.real(Path::new(path)), vec![b'x'; bytes]).unwrap();
    }

    fn names(logs: &Logs, place: &Place) -> Vec<String> {
        logs.files.iter().map(|file| place.its_own(&file.path).display().to_string()).collect()
    }

    #[test]
    fn logs_are_found_by_place_or_by_name_and_each_once() {
        let (_folder, place) = machine();
        for path in [
            "/var/log/odd-name",
            "/var/log/nginx/access.log",
            "/var/log/journal/1/system.journal",
            "/srv/app/storage/logs/x",
            "/srv/app/data.bin",
            "/srv/app/npm-debug.log",
            "/srv/app/node_modules/x/y.log",
        ] {
            put(&place, path, 10);
        }
        fs::hard_link(place.real(Path::new("/var/log/odd-name")), place.real(Path::new("/var/log/same"))).unwrap();
        symlink("/etc/passwd", place.real(Path::new("/var/log/link.log"))).unwrap();
        let app = place.real(Path::new("/srv/app"));
        let logs = look(&place, Some(&app), &["data.*".to_owned(), "/var/log/nginx/*.log".to_owned()]);
        let mut found = names(&logs, &place);
        found.retain(|name| name != "/var/log/odd-name" && name != "/var/log/same");
        let expected =
            ["/srv/app/data.bin", "/srv/app/npm-debug.log", "/srv/app/storage/logs/x", "/var/log/nginx/access.log"];
        assert_eq!(found, expected);
        assert_eq!(logs.files.len(), 5, "a file with two names is one");
    }

    #[test]
    fn a_file_is_too_large_by_what_it_takes_up() {
        let (_folder, place) = machine();
        put(&place, "/var/log/full.log", 9000);
        let hollow = fs::File::create(place.real(Path::new("/var/log/hollow.log"))).unwrap();
        hollow.set_len(1 << 30).unwrap();
        let logs = look(&place, None, &[]);
        let large = too_large(&logs.files, &place, 5000);
        assert_eq!(large.len(), 1, "{large:?}");
        assert_eq!((large[0].what.as_str(), large[0].kind), ("/var/log/full.log", Kind::FileLarge));
        assert!(too_large(&logs.files, &place, 9000).is_empty(), "just so large is not too large");
    }

    #[test]
    fn folders_that_are_not_there_hold_no_logs_and_no_warnings() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        let logs = look(&place, Some(Path::new("/does/not/exist")), &["[".to_owned()]);
        assert!(logs.files.is_empty() && logs.warnings.is_empty());
    }

    #[test]
    fn places_that_could_not_be_seen_are_told_a_few_by_name() {
        let folders: Vec<PathBuf> = (0..5).map(|n| PathBuf::from(format!("/x{n}"))).collect();
        assert_eq!(unseen(&folders).message, "could not look into /x0, /x1, /x2 and 2 more");
    }
}
