//! Logs that are rotated in every way between runs, read with the real reader: each line once.

mod oddities;
mod world;

use super::*;
use crate::chunk::{Chunks, Piece};
use crate::formats::Zone;
use crate::sources::Gap;
use chrono::{DateTime, Utc};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use tempfile::TempDir;

/// A log in a folder of its own, and whoever reads it.
struct Log {
    dir: TempDir,
    path: PathBuf,
    cursor: Option<Cursor>,
    start: Start,
}

/// What a run saw.
#[derive(Debug, Default)]
struct Seen {
    bytes: Vec<u8>,
    gaps: Vec<Gap>,
    is_undated: bool,
    failure: Option<SourceError>,
}

impl Seen {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    fn why(&self) -> Vec<&str> {
        self.gaps.iter().map(|gap| gap.why.as_str()).collect()
    }
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let now = DateTime::<Utc>::from(std::time::SystemTime::now());
        Self { dir, path, cursor: None, start: Start { since: None, zone: Zone::Local, now } }
    }

    fn with(text: &str) -> Self {
        let log = Self::new();
        log.append("", text);
        log
    }

    fn name(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("app.log{suffix}"))
    }

    fn append(&self, suffix: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.name(suffix)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.name(from), self.name(to)).unwrap();
    }

    /// As `logrotate` does it with `copytruncate`.
    fn copy_and_truncate(&self, to: &str) {
        fs::copy(&self.path, self.name(to)).unwrap();
        OpenOptions::new().write(true).open(&self.path).unwrap().set_len(0).unwrap();
    }

    /// As `gzip` does it: the time stays, the plain file goes when the packed one is whole.
    fn pack(&self, suffix: &str) {
        let plain = self.name(suffix);
        let modified = fs::metadata(&plain).unwrap().modified().unwrap();
        let packed = self.name(&format!("{suffix}.gz"));
        fs::write(&packed, gz(&fs::read(&plain).unwrap())).unwrap();
        File::options().write(true).open(&packed).unwrap().set_modified(modified).unwrap();
        fs::remove_file(plain).unwrap();
    }

    fn remove(&self, suffix: &str) {
        fs::remove_file(self.name(suffix)).unwrap();
    }

    /// One run, whose cursor counts only if somebody commits it.
    fn look(&self) -> Result<(Seen, Cursor), SourceError> {
        read(&mut LogFile::new(&self.path), self.cursor.as_ref(), &self.start)
    }

    /// One run, all of it.
    fn run(&mut self) -> Seen {
        let (seen, cursor) = self.look().unwrap();
        self.cursor = Some(cursor);
        seen
    }
}

/// Reads a source as the engine does. The cursor goes through its stored form.
fn read(source: &mut LogFile, cursor: Option<&Cursor>, start: &Start) -> Result<(Seen, Cursor), SourceError> {
    let opened = source.open(cursor, start)?;
    let mut seen = Seen { gaps: opened.gaps, is_undated: opened.is_undated, ..Seen::default() };
    let mut taken = 0;
    for part in opened.parts {
        taken = take(part, &mut seen.bytes).unwrap();
    }
    let cursor = source.close(taken, opened.marks)?;
    seen.failure = source.shortfall();
    let kept = serde_json::to_vec(&cursor).unwrap();
    Ok((seen, serde_json::from_slice(&kept).unwrap()))
}

fn take(part: Part, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let mut chunks = Chunks::new(part.stream, part.ending);
    let mut piece = Piece::default();
    while chunks.next(&mut piece)? {
        bytes.extend_from_slice(&piece.bytes);
    }
    Ok(chunks.taken())
}

fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A log that was read to its end, with `one` and `two` in it.
fn read_log() -> Log {
    let mut log = Log::with("one\ntwo\n");
    assert_eq!(log.run().text(), "one\ntwo\n");
    log
}

#[test]
fn what_was_read_is_not_read_again_and_what_comes_is() {
    let mut log = read_log();
    assert_eq!(log.run().text(), "");
    log.append("", "three\npart");
    assert_eq!(log.run().text(), "three\n");
    log.append("", " of a line\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("part of a line\n", 0));
}

#[test]
fn a_run_that_was_not_committed_is_repeated() {
    let mut log = read_log();
    log.append("", "three\n");
    assert_eq!(log.look().unwrap().0.text(), "three\n");
    log.rename("", ".1");
    log.append("", "four\n");
    assert_eq!(log.look().unwrap().0.text(), "three\nfour\n");
    assert_eq!(log.run().text(), "three\nfour\n");
}

#[test]
fn a_renamed_file_is_finished_before_the_new_one() {
    for suffix in [".1", "-20261120", ".2026-11-20", "-1795132800", ".old"] {
        let mut log = read_log();
        log.append("", "three\nlast without end");
        log.rename("", suffix);
        log.append("", "four\n");
        let seen = log.run();
        assert_eq!(seen.text(), "three\nlast without endfour\n", "with {suffix}");
        assert!(seen.gaps.is_empty());
        assert_eq!(log.run().text(), "");
    }
}

#[test]
fn generations_that_nobody_has_seen_are_read_in_order() {
    let mut log = read_log();
    log.append("", "three\n");
    log.rename("", ".3");
    log.append(".2", "four\n");
    log.pack(".2");
    log.append(".1", "five\n");
    log.append("", "six\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("three\nfour\nfive\nsix\n", 0));
    assert_eq!(log.run().text(), "");
}

#[test]
fn a_packed_generation_is_known_by_what_is_in_it() {
    let mut log = read_log();
    log.append("", "three\n");
    log.rename("", ".1");
    log.pack(".1");
    // The inode of the old file is free: many file systems give it to the next.
    log.append("", "four\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("three\nfour\n", 0));
    log.rename(".1.gz", ".2.gz");
    log.rename("", ".1");
    log.append("", "five\n");
    assert_eq!(log.run().text(), "five\n");
}

#[test]
fn generations_of_several_members_are_whole() {
    let mut log = read_log();
    fs::remove_file(&log.path).unwrap();
    fs::write(log.name(".1.gz"), [gz(b"one\ntw"), gz(b"o\nthree\n")].concat()).unwrap();
    log.append("", "four\n");
    assert_eq!(log.run().text(), "three\nfour\n");
}

#[test]
fn what_is_copied_and_truncated_is_finished_in_the_copy() {
    for regrown in ["", "x\n", "a much longer text than was there before\nin two lines\n"] {
        let mut log = read_log();
        log.append("", "three\n");
        log.copy_and_truncate(".1");
        log.append("", regrown);
        let seen = log.run();
        assert_eq!(seen.text(), format!("three\n{regrown}"));
        assert!(seen.gaps.is_empty());
        assert_eq!(log.run().text(), "");
        log.append("", "y\n");
        assert_eq!(log.run().text(), "y\n");
    }
}

#[test]
fn truncation_without_a_copy_is_a_gap() {
    for regrown in ["x\n", "a much longer text than was there before\nin two lines\n"] {
        let mut log = read_log();
        fs::write(&log.path, regrown).unwrap();
        let seen = log.run();
        assert_eq!((seen.text().as_str(), seen.why()), (regrown, vec!["truncated"]));
        assert!(log.run().gaps.is_empty(), "a gap is told once");
    }
}

#[test]
fn what_was_rotated_away_and_deleted_is_a_gap() {
    let mut log = read_log();
    log.append("", "three");
    assert_eq!(log.run().text(), "");
    log.rename("", ".1");
    fs::remove_file(log.name(".1")).unwrap();
    log.append(".1", "four\n");
    log.append("", "five\n");
    let seen = log.run();
    assert_eq!(seen.text(), "four\nfive\n");
    // Another generation may have been between the two, and have gone with it: nobody knows how much it was.
    assert_eq!(seen.gaps, [Gap { bytes: None, why: "rotated away".to_owned() }]);
}

#[test]
fn a_file_that_is_new_in_the_inode_of_the_old_one_is_new() {
    let mut log = read_log();
    // What is packed leaves its inode, which ext4 and tmpfs give to the next file.
    log.rename("", ".1");
    log.append(".1", "three\n");
    log.pack(".1");
    log.append("", "one\nTWO\nfour\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("three\none\nTWO\nfour\n", 0));
}

#[test]
fn a_first_line_that_all_generations_have_decides_nothing() {
    let banner = "# time level message\n".repeat(60);
    let mut log = Log::with(&banner);
    assert_eq!(log.run().text(), banner);
    log.append("", "one\n");
    log.copy_and_truncate(".1");
    log.append("", &format!("{banner}two\n"));
    let seen = log.run();
    assert_eq!((seen.text(), seen.gaps.len()), (format!("one\n{banner}two\n"), 0));
    log.append("", "three\n");
    log.rename(".1", ".2");
    log.rename("", ".1");
    log.append("", &banner);
    assert_eq!(log.run().text(), format!("three\n{banner}"));
}

#[test]
fn a_copy_is_finished_though_the_file_that_was_emptied_begins_alike_and_was_moved_away_too() {
    let banner = "# time level message\n".repeat(60);
    let mut log = Log::with(&banner);
    assert_eq!(log.run().text(), banner);
    log.append("", "one\n");
    log.copy_and_truncate(".2");
    log.append("", &format!("{banner}two\n"));
    log.rename("", ".1");
    log.append("", &format!("{banner}three\n"));
    let seen = log.run();
    assert_eq!((seen.text(), seen.gaps.len()), (format!("one\n{banner}two\n{banner}three\n"), 0));
}

#[test]
fn a_copy_that_somebody_made_is_not_read() {
    let mut log = read_log();
    log.append("", "three, a longer line\n");
    fs::copy(&log.path, log.name(".1")).unwrap();
    log.append("", "four\n");
    assert_eq!(log.run().text(), "three, a longer line\nfour\n");
    assert_eq!(log.run().text(), "");
}

#[test]
fn what_was_there_before_the_first_look_stays_unread_unless_everything_is_asked_for() {
    let mut log = Log::with("two\n");
    log.append(".1", "one\n");
    log.append(".2", "zero\n");
    assert_eq!(log.look().unwrap().0.text(), "zero\none\ntwo\n");
    log.start.since = Some(log.start.now - chrono::TimeDelta::hours(1));
    assert_eq!(log.run().text(), "two\n", "its lines say no time");
    log.rename(".1", ".2");
    log.rename("", ".1");
    log.append("", "three\n");
    assert_eq!(log.run().text(), "three\n");
}

#[test]
fn from_the_start_all_generations_are_read_in_order_and_each_line_once_afterwards() {
    for has_live in [true, false] {
        let mut log = Log::new();
        log.append(".3", "one\n");
        log.pack(".3");
        log.append(".2", "two\n");
        log.pack(".2");
        log.append(".1", "three\n");
        log.append("", if has_live { "four\n" } else { "" });
        let seen = log.run();
        let live = if has_live { "four\n" } else { "" };
        assert_eq!((seen.text(), seen.gaps.len()), (format!("one\ntwo\nthree\n{live}"), 0));
        assert_eq!(log.run().text(), "");
        log.append("", "five\n");
        assert_eq!(log.run().text(), "five\n");
        for (from, to) in [(".3.gz", ".4.gz"), (".2.gz", ".3.gz"), (".1", ".2"), ("", ".1")] {
            log.rename(from, to);
        }
        log.pack(".2");
        log.append("", "six\n");
        let seen = log.run();
        assert_eq!((seen.text().as_str(), seen.gaps.len()), ("six\n", 0));
    }
}

#[test]
fn from_the_start_what_can_be_read_of_a_generation_that_is_cut_short_is_read_and_the_rest_is_a_gap() {
    let mut log = Log::with("four\n");
    let packed = gz(&b"a line of which the end is lost\n".repeat(10_000));
    fs::write(log.name(".2.gz"), &packed[..packed.len() - 9]).unwrap();
    log.append(".1", "three\n");
    let seen = log.run();
    assert!(seen.text().starts_with("a line of which") && seen.text().ends_with("three\nfour\n"));
    assert!(seen.why().len() == 1 && seen.why()[0].ends_with("app.log.2.gz is cut short"), "{:?}", seen.why());
    let again = log.run();
    assert_eq!((again.text().as_str(), again.gaps.len()), ("", 0));
}

#[test]
fn a_log_that_was_empty_at_first_is_read_from_its_beginning() {
    for copied in [true, false] {
        let mut log = Log::with("");
        assert_eq!(log.run().text(), "");
        log.append("", "one\n");
        if copied {
            log.copy_and_truncate(".1");
        } else {
            log.rename("", ".1");
            log.pack(".1");
        }
        log.append("", "two\n");
        let seen = log.run();
        assert_eq!(seen.text(), "one\ntwo\n");
        assert_eq!(seen.why(), ["rotated before anything was read, perhaps more than once"]);
        let seen = log.run();
        assert_eq!((seen.text().as_str(), seen.gaps.len()), ("", 0));
    }
}

#[test]
fn a_log_that_was_empty_at_first_and_is_only_renamed_lacks_nothing() {
    let mut log = Log::with("");
    log.run();
    log.append("", "one\n");
    log.rename("", ".1");
    log.append("", "two\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("one\ntwo\n", 0));
}

#[test]
fn lines_that_a_slow_writer_adds_to_a_rotated_file_are_read() {
    let mut log = read_log();
    log.rename("", ".1");
    log.append("", "new\n");
    assert_eq!(log.run().text(), "new\n");
    log.append(".1", "late\npart");
    assert_eq!(log.run().text(), "late\n");
    log.append(".1", " of it\n");
    assert_eq!(log.run().text(), "part of it\n");
    log.append(".1", "later");
    log.rename(".1", ".2");
    log.pack(".2");
    log.rename("", ".1");
    log.append("", "newer\n");
    assert_eq!(log.run().text(), "laternewer\n");
}

#[test]
fn lines_that_are_all_alike_are_rather_read_twice_than_never() {
    let mut log = Log::with(&"tick\n".repeat(100));
    log.run();
    log.append("", &"tick\n".repeat(50));
    log.copy_and_truncate(".1");
    log.append("", &"tick\n".repeat(500));
    assert_eq!(log.run().text(), "tick\n".repeat(550));
}

#[test]
fn a_first_look_takes_what_is_not_older_than_asked_for_also_from_older_generations() {
    let stamp = |minutes: i64| {
        let time = DateTime::<Utc>::from(std::time::SystemTime::now()) - chrono::TimeDelta::minutes(minutes);
        time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    let line = |minutes: i64| format!("{} INFO a line\n", stamp(minutes));
    let mut log = Log::new();
    let (old, one, two, three) = (line(200), line(50), line(20), line(5));
    log.append(".2", &old);
    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(log.name(".2")).unwrap().set_modified(yesterday).unwrap();
    log.append(".1", &format!("{old}{one}"));
    log.append("", &format!("{two}{three}"));
    log.start.since = Some(log.start.now - chrono::TimeDelta::hours(1));
    assert_eq!(log.look().unwrap().0.text(), format!("{one}{two}{three}"));
    log.start.since = Some(log.start.now - chrono::TimeDelta::minutes(10));
    let seen = log.run();
    assert_eq!((seen.text(), seen.is_undated), (three, false));
    assert_eq!(log.run().text(), "");
}

#[test]
fn a_first_look_at_lines_without_times_says_so() {
    let mut log = Log::with("no time\n");
    log.append(".1", "older\n");
    log.start.since = Some(log.start.now - chrono::TimeDelta::hours(1));
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.is_undated), ("no time\n", true));
}
