//! Folders in which logs grow, and that no rule of logrotate knows.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use shipshape_core::units::counted;

use super::files::LogFile;
use super::finding::{Finding, Kind};
use super::logrotate::Rules;
use super::names::Named;
use super::place::Place;

/// A log that nobody has written to for so many days does not grow: long enough for one that a weekly job writes.
const GROWS_WITHIN_DAYS: i64 = 8;

/// How many files are told by name.
const MOST_TOLD: usize = 3;

/// Databases of fixed size that lie among the logs (lastlog(8), faillog(8)).
const NO_LOGS: [&str; 3] = ["lastlog", "faillog", "tallylog"];

/// A folder with logs that grow, and that nobody rotates. Its paths are those of the machine that is looked at.
#[derive(Clone, Debug)]
pub(super) struct Unrotated {
    /// It.
    pub(super) dir: PathBuf,
    /// The logs.
    pub(super) files: Vec<PathBuf>,
    /// What they take up.
    pub(super) size: u64,
    /// Whether `*.log` means these files and none that a rule has already.
    pub(super) is_all_of_log: bool,
    /// As whom logrotate has to work in it; none where root may.
    pub(super) su: Option<(String, String)>,
}

impl Unrotated {
    /// As it is told.
    pub(super) fn finding(&self) -> Finding {
        let names = self.files.iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy());
        let mut told: Vec<String> = names.take(MOST_TOLD).map(String::from).collect();
        if let Some(more) = self.files.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            told.push(counted(more as u64, "more file", "more files"));
        }
        Finding {
            kind: Kind::FolderUnrotated,
            what: self.dir.display().to_string(),
            size_bytes: Some(self.size),
            why: format!("no logrotate rule for {}", told.join(", ")),
        }
    }
}

/// The folders, and what is worth a note about rules that there are.
pub(super) fn unrotated(
    files: &[LogFile],
    rules: &Rules,
    place: &Place,
    now: DateTime<Utc>,
) -> (Vec<Unrotated>, Vec<String>) {
    let mut folders: BTreeMap<PathBuf, Unrotated> = BTreeMap::new();
    let mut notes = BTreeMap::new();
    for file in files.iter().filter(|file| grows(file, now)) {
        let path = place.its_own(&file.path);
        match rules.of(&path) {
            Some(rule) if rule.keeps == 0 => {
                notes.entry(rule.from.clone()).or_insert_with(|| {
                    format!("{} keeps nothing of {} (rotate 0)", rule.from.display(), path.display())
                });
            }
            Some(_) => {}
            None => {
                let dir = path.parent().unwrap_or(&path).to_owned();
                let folder = folders.entry(dir.clone()).or_insert_with(|| empty(dir, place));
                folder.size += file.size;
                folder.files.push(path);
            }
        }
    }
    for folder in folders.values_mut() {
        folder.is_all_of_log = is_all_of_log(folder, files, rules, place);
    }
    (folders.into_values().collect(), notes.into_values().collect())
}

fn grows(file: &LogFile, now: DateTime<Utc>) -> bool {
    let is_database = file.path.file_name().is_some_and(|name| NO_LOGS.iter().any(|no_log| name == *no_log));
    let is_live = file.named == Named::Live && file.size > 0 && !is_database;
    is_live && now - file.written <= Duration::days(GROWS_WITHIN_DAYS)
}

fn empty(dir: PathBuf, place: &Place) -> Unrotated {
    let su = su(&place.real(&dir), place);
    Unrotated { dir, files: Vec::new(), size: 0, is_all_of_log: false, su }
}

/// A file that two rules have is an error to logrotate, so a pattern must not reach what another rule has. Nor must it reach
/// what was put aside already: `laravel-2026-11-19.log` would be rotated by logrotate and by its program.
fn is_all_of_log(folder: &Unrotated, files: &[LogFile], rules: &Rules, place: &Place) -> bool {
    let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    let beside = files.iter().map(|file| (place.its_own(&file.path), file.named));
    let mut reached = beside.filter(|(path, _)| path.parent() == Some(&folder.dir) && is_log(path));
    let is_free = |path: &Path, named| named != Named::Kept && rules.of(path).is_none();
    folder.files.iter().all(|path| is_log(path)) && reached.all(|(path, named)| is_free(&path, named))
}

/// In a folder that others than root may write to, root must not rename and create: logrotate refuses it, unless it is told
/// as whom to work (logrotate(8), `su`).
fn su(dir: &Path, place: &Place) -> Option<(String, String)> {
    let facts = dir.metadata().ok()?;
    let (by_group, by_others) = (facts.mode() & 0o020 != 0, facts.mode() & 0o002 != 0);
    let is_roots = facts.uid() == 0 && !by_others && (facts.gid() == 0 || !by_group);
    let name = |file: &str, id: u32| named(&place.real(Path::new(file)), id).unwrap_or_else(|| id.to_string());
    (!is_roots).then(|| (name("/etc/passwd", facts.uid()), name("/etc/group", facts.gid())))
}

/// The name behind a number in passwd(5) or group(5), which both have it third.
fn named(file: &Path, id: u32) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_it = fields.nth(1)?.parse() == Ok(id);
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        (is_it && is_plain && !name.is_empty()).then(|| name.to_owned())
    };
    text.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::logrotate;

    fn log(path: &Path, size: u64, named: Named) -> LogFile {
        let written = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        LogFile { path: path.to_owned(), size, written, named }
    }

    fn machine(rules: &str) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        fs::create_dir_all(place.real(Path::new("/etc"))).unwrap();
        fs::create_dir_all(place.real(Path::new("/srv/logs"))).unwrap();
        fs::write(place.real(Path::new("/etc/logrotate.conf")), rules).unwrap();
        (folder, place)
    }

    fn found(rules: &str, files: &[(&str, Named)], days: i64) -> (Vec<Unrotated>, Vec<String>) {
        let (_folder, place) = machine(rules);
        let files: Vec<LogFile> =
            files.iter().map(|(path, named)| log(&place.real(Path::new(path)), 5, *named)).collect();
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap() + Duration::days(days);
        unrotated(&files, &logrotate::read(&place), &place, now)
    }

    #[test]
    fn logs_that_grow_without_a_rule_are_told_by_folder() {
        let files = [("/srv/logs/a.log", Named::Live), ("/srv/logs/b.log", Named::Live), ("/srv/x.log", Named::Live)];
        let (folders, notes) = found("/srv/x.log {\n rotate 3\n}\n", &files, 1);
        assert_eq!((folders.len(), notes.len()), (1, 0));
        let finding = folders[0].finding();
        assert_eq!((finding.what.as_str(), finding.size_bytes), ("/srv/logs", Some(10)));
        assert_eq!(finding.why, "no logrotate rule for a.log, b.log");
        assert!(folders[0].is_all_of_log);
    }

    #[test]
    fn a_pattern_must_not_reach_what_another_rule_has() {
        let files = [("/srv/logs/a.log", Named::Live), ("/srv/logs/b.log", Named::Live)];
        let (folders, _) = found("/srv/logs/b.log {\n rotate 3\n}\n", &files, 1);
        assert_eq!(folders[0].files, [Path::new("/srv/logs/a.log")]);
        assert!(!folders[0].is_all_of_log);
    }

    #[test]
    fn a_pattern_must_not_reach_what_a_program_rotates_itself() {
        let files = [("/srv/logs/laravel.log", Named::Live), ("/srv/logs/laravel-2026-11-20.log", Named::Kept)];
        let (folders, _) = found("", &files, 1);
        assert_eq!(folders[0].files, [Path::new("/srv/logs/laravel.log")]);
        assert!(!folders[0].is_all_of_log);
        let elsewhere = [("/srv/logs/laravel.log", Named::Live), ("/srv/logs/laravel.log.1", Named::Kept)];
        assert!(found("", &elsewhere, 1).0[0].is_all_of_log, "`*.log` does not mean it");
    }

    #[test]
    fn logs_that_are_old_or_put_aside_do_not_grow() {
        assert!(found("", &[("/srv/a.log", Named::Live)], 30).0.is_empty());
        assert!(found("", &[("/srv/a.log.1", Named::Kept), ("/srv/lastlog", Named::Live)], 1).0.is_empty());
    }

    #[test]
    fn a_rule_that_keeps_nothing_is_worth_a_note() {
        let files = [("/srv/logs/a.log", Named::Live), ("/srv/logs/b.log", Named::Live)];
        let (folders, notes) = found("/srv/logs/*.log {\n}\n", &files, 1);
        assert!(folders.is_empty());
        assert_eq!(notes, ["/etc/logrotate.conf keeps nothing of /srv/logs/a.log (rotate 0)"]);
    }

    #[test]
    fn names_of_owners_are_read_and_strange_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        fs::write(&file, "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:\nbad name\t:x:34:34::/:\n").unwrap();
        assert_eq!(named(&file, 33).as_deref(), Some("www-data"));
        assert_eq!((named(&file, 34), named(&file, 99)), (None, None));
    }
}
