//! Logs that are rotated in every way between runs, read with the real reader: each line once.

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
fn a_copy_that_somebody_made_is_not_read() {
    let mut log = read_log();
    log.append("", "three, a longer line\n");
    fs::copy(&log.path, log.name(".1")).unwrap();
    log.append("", "four\n");
    assert_eq!(log.run().text(), "three, a longer line\nfour\n");
    assert_eq!(log.run().text(), "");
}

#[test]
fn what_was_there_before_the_first_look_stays_unread() {
    let mut log = Log::with("two\n");
    log.append(".1", "one\n");
    log.append(".2", "zero\n");
    assert_eq!(log.run().text(), "two\n");
    log.rename(".1", ".2");
    log.rename("", ".1");
    log.append("", "three\n");
    assert_eq!(log.run().text(), "three\n");
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
fn between_the_rename_and_the_new_file_one_run_without_it_is_well() {
    let mut log = read_log();
    log.append("", "three\nfo");
    log.rename("", ".1");
    assert_eq!(log.run().text(), "three\n");
    let again = log.look().map(|(seen, _)| seen.text()).unwrap_err();
    assert_eq!(shipshape_core::error::Explain::code(&again), "file.missing");
    log.append(".1", "ur\n");
    log.append("", "five\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("four\nfive\n", 0));
}

#[test]
fn what_is_being_packed_is_waited_for_and_nothing_of_it_is_lost_or_doubled() {
    let mut log = read_log();
    log.append("", "three\n");
    let packed = gz(&fs::read(&log.path).unwrap());
    fs::remove_file(&log.path).unwrap();
    log.append("", "four\n");
    for cut in [0, 5, packed.len() / 2, packed.len() - 1] {
        fs::write(log.name(".1.gz"), &packed[..cut]).unwrap();
        let seen = log.run();
        assert_eq!((seen.text().as_str(), seen.gaps.len()), ("", 0), "with {cut} bytes");
    }
    fs::write(log.name(".1.gz"), &packed).unwrap();
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("three\nfour\n", 0));
}

#[test]
fn a_packed_generation_that_stays_cut_short_is_a_gap_and_holds_nobody_up() {
    let mut log = read_log();
    log.append("", &"a line that is lost in part\n".repeat(10_000));
    let packed = gz(&fs::read(&log.path).unwrap());
    fs::remove_file(&log.path).unwrap();
    fs::write(log.name(".1.gz"), &packed[..packed.len() - 4]).unwrap();
    log.append("", "four\n");
    log.start.now += chrono::TimeDelta::hours(1);
    let seen = log.run();
    assert!(seen.text().ends_with("four\n") && seen.text().starts_with("a line that"));
    assert!(seen.why()[0].ends_with("app.log.1.gz is cut short"), "{:?}", seen.why());
    assert_eq!(log.run().why(), Vec::<&str>::new());
}

#[test]
fn a_packed_file_that_is_named_itself_is_read_once() {
    let mut log = Log::new();
    log.path = log.name(".1.gz");
    fs::write(&log.path, gz(b"one\ntwo")).unwrap();
    assert_eq!(log.run().text(), "one\ntwo");
    assert_eq!(log.run().text(), "");
    fs::write(&log.path, [gz(b"one\ntwo"), gz(b"\nthree\n")].concat()).unwrap();
    assert_eq!(log.run().text(), "\nthree\n");
    fs::write(&log.path, gz(b"another\n")).unwrap();
    assert_eq!(log.run().text(), "another\n");
}

#[test]
fn of_a_packed_file_that_is_cut_short_what_is_there_is_seen_and_nothing_is_believed() {
    let mut log = Log::new();
    log.path = log.name(".1.gz");
    let text = b"line\n".repeat(1000);
    let whole = gz(&text);
    for cut in [0, 5, whole.len() - 4] {
        fs::write(&log.path, &whole[..cut]).unwrap();
        let mut source = LogFile::new(&log.path);
        let opened = source.open(None, &log.start).unwrap();
        let mut seen = Vec::new();
        let taken = take(opened.parts.into_iter().next().unwrap(), &mut seen).unwrap();
        assert_eq!(seen.len(), if cut > 5 { text.len() } else { 0 });
        let refused = source.close(taken, opened.marks).unwrap_err();
        assert!(matches!(refused, SourceError::File(FileError::CutShort { .. })), "{refused}");
    }
    fs::write(&log.path, &whole).unwrap();
    assert_eq!(log.run().text().len(), text.len());
}

#[test]
fn a_link_is_followed_and_rotation_is_looked_for_beside_its_target() {
    let mut log = Log::new();
    let target = log.dir.path().join("real");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("x.log"), "one\n").unwrap();
    std::os::unix::fs::symlink("real/x.log", &log.path).unwrap();
    assert_eq!(log.run().text(), "one\n");
    fs::rename(target.join("x.log"), target.join("x.log.1")).unwrap();
    assert_eq!(log.run().text(), "", "the link leads nowhere for a moment");
    fs::write(target.join("x.log"), "two\n").unwrap();
    assert_eq!(log.run().text(), "two\n");
}

#[test]
fn what_is_no_file_is_told_apart_from_a_log_without_lines() {
    use shipshape_core::error::Explain;
    let log = Log::new();
    let told = |path: &Path| {
        let error = read(&mut LogFile::new(path), None, &log.start).map(|(seen, _)| seen.text()).unwrap_err();
        (error.code(), error.to_string(), error.hint())
    };
    let pipe = log.name(".pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let socket = log.name(".socket");
    let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, what) in
        [(log.dir.path(), "folder"), (&pipe, "named pipe"), (&socket, "socket"), (Path::new("/dev/null"), "device")]
    {
        let (code, message, hint) = told(path);
        assert_eq!(
            (code, message.ends_with(&format!("is a {what}, not a file"))),
            ("file.not_a_file", true),
            "{message}"
        );
        assert!(!hint.is_empty());
    }
    let (code, message, hint) = told(&log.path);
    assert_eq!(code, "file.missing");
    assert!(message.contains("app.log") && hint.contains("ls -l"), "{message}: {hint}");
}

#[test]
fn a_file_that_vanishes_without_a_trace_is_missing_at_once() {
    let log = read_log();
    log.remove("");
    assert!(matches!(log.look(), Err(SourceError::File(FileError::Missing { .. }))));
}

#[test]
fn holes_are_in_no_line() {
    let mut log = read_log();
    log.copy_and_truncate(".1");
    // A writer without O_APPEND goes on where it was, a terabyte in.
    File::options().write(true).open(&log.path).unwrap().write_all_at(b"three\n", 1 << 40).unwrap();
    let seen = log.run();
    assert_eq!(seen.text().trim_start_matches('\0'), "three\n");
    assert!(seen.bytes.len() < 5000 && seen.gaps.is_empty(), "{} bytes", seen.bytes.len());
    log.append("", "four\n");
    assert_eq!(log.run().text(), "four\n");
}

#[test]
fn lines_written_into_room_that_was_set_aside_are_read() {
    let mut log = Log::with("one\n");
    let file = File::options().write(true).open(&log.path).unwrap();
    file.set_len(100_000).unwrap();
    assert_eq!(log.run().text(), "one\n");
    file.write_all_at(b"two\n", 4).unwrap();
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("two\n", 0));
}

/// A source in the middle of a run: what was opened, and of it so many bytes read.
fn half_read(log: &Log, bytes: usize) -> (LogFile, u64) {
    let mut source = LogFile::new(&log.path);
    let mut opened = source.open(log.cursor.as_ref(), &log.start).unwrap();
    let mut read = vec![0; bytes];
    opened.parts.pop().unwrap().stream.read_exact(&mut read).unwrap();
    (source, bytes as u64)
}

#[test]
fn a_file_that_is_truncated_while_it_is_read_is_finished_in_its_copy() {
    for regrown in [0, 10, 10_000] {
        let lines = "a line of the old file\n".repeat(100);
        let mut log = Log::with(&lines);
        let (mut source, taken) = half_read(&log, 23 * 50);
        log.copy_and_truncate(".1");
        log.append("", &"NEW\n".repeat(regrown));
        log.cursor = Some(source.close(taken, Marks::new()).unwrap());
        let seen = log.run();
        assert_eq!(seen.text(), format!("{}{}", &lines[23 * 50..], "NEW\n".repeat(regrown)));
        assert!(seen.gaps.is_empty());
    }
}

#[test]
fn a_file_that_is_truncated_while_it_is_read_without_a_copy_is_a_gap() {
    let mut log = Log::with(&"a line of the old file\n".repeat(100));
    let (mut source, taken) = half_read(&log, 23 * 50);
    fs::write(&log.path, "NEW\n".repeat(1000)).unwrap();
    log.cursor = Some(source.close(taken, Marks::new()).unwrap());
    let seen = log.run();
    assert_eq!((seen.text(), seen.why()), ("NEW\n".repeat(1000), vec!["truncated while it was read"]));
    assert!(log.run().gaps.is_empty());
}

#[test]
fn a_file_that_is_moved_away_while_it_is_read_is_left_where_it_was_read() {
    let mut log = Log::with(&"line\n".repeat(100));
    let (mut source, taken) = half_read(&log, 250);
    log.rename("", ".1");
    log.append("", "new\n");
    log.cursor = Some(source.close(taken, Marks::new()).unwrap());
    assert_eq!(log.run().text(), format!("{}new\n", "line\n".repeat(50)));
}

/// A writer and a logrotate, in all their ways, and what was written.
struct World {
    log: Log,
    writer: File,
    ways: Ways,
    /// Everything that was written, in order.
    written: Vec<u8>,
    number: usize,
    /// What is missing of the line that is being written.
    unwritten: Vec<u8>,
    rotations: usize,
    /// What was read by runs that were committed.
    read: Vec<u8>,
    gaps: Vec<Gap>,
    /// Whether a gap was told since the last number came.
    is_told: bool,
}

/// What does not change while a log lives.
#[derive(Clone, Copy, Debug)]
struct Ways {
    is_dated: bool,
    /// Whether the writer says with each write that it goes to the end.
    appends: bool,
    /// Whether each generation begins with the same long line.
    has_banner: bool,
    /// How many generations are kept.
    kept: usize,
}

/// More generations than any test makes.
const ALL: usize = 60;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many lines, the last one only in part if the second number is not 0.
    Write(usize, usize),
    Rotate {
        how: How,
        packs: Packs,
        run: Option<usize>,
    },
    /// The writer opens the file that has the log's name, as it is asked to behind a rotation.
    Reopen,
    Run,
    /// A run that dies before it has committed.
    Crash,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Rename,
    /// Renamed, and the writer makes the new file when it is asked to.
    RenameWithoutFile,
    /// Renamed, and the writer goes on in the old file until it is asked to reopen.
    RenameSlowly,
    Copy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packs {
    Nothing,
    Older,
    All,
}

impl World {
    fn new(ways: Ways) -> Self {
        let log = Log::with("");
        let writer = open_writer(&log.path, ways);
        let (written, unwritten, read) = Default::default();
        let (number, rotations, gaps) = (0, 0, Vec::new());
        Self { log, writer, ways, written, number, unwritten, rotations, read, gaps, is_told: false }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(lines, part) => self.write(lines, part),
            Step::Rotate { how, packs, run } => self.rotate(how, packs, run),
            Step::Reopen => self.writer = open_writer(&self.log.path, self.ways),
            Step::Run => self.run(),
            Step::Crash => drop(self.look()),
        }
    }

    fn write(&mut self, lines: usize, part: usize) {
        // That somebody wrote into a generation which was read to its end, and then deleted, nobody can know.
        if self.ways.kept < ALL {
            self.take(Step::Reopen);
        }
        let mut text = std::mem::take(&mut self.unwritten);
        let is_new = self.writer.metadata().unwrap().len() == 0;
        // With nothing but it, two generations could not be told apart by anybody.
        if is_new && self.ways.has_banner && text.is_empty() && lines > 0 {
            text.extend(b"the same first line ".repeat(60));
            text.push(b'\n');
        }
        for _ in 0..lines {
            self.number += 1;
            let number = format!("{:05}", self.number);
            text.extend(format!("<{number}:{}>\n", number.repeat(6 + self.number * 7 % 80)).bytes());
        }
        let part = text.len() - part.min(text.len().saturating_sub(1));
        self.unwritten = text.split_off(part);
        // Of a few bytes nobody can say whether they are those that were there before.
        if text.len() < 16 {
            text.append(&mut self.unwritten);
            self.unwritten = text;
            return;
        }
        self.writer.write_all(&text).unwrap();
        self.written.extend(text);
    }

    /// In the steps of logrotate; before the one that is given, there is a run.
    fn rotate(&mut self, how: How, packs: Packs, run: Option<usize>) {
        // Nobody rotates again before the writer has left the last generation.
        self.take(Step::Reopen);
        self.rotations += 1;
        let name = if self.ways.is_dated { format!("-{}", 20_260_000 + self.rotations) } else { ".1".to_owned() };
        let run_before = |world: &mut Self, step| {
            if run == Some(step) {
                world.run();
            }
        };
        self.shift();
        run_before(self, 0);
        if packs != Packs::Nothing {
            self.generations()
                .into_iter()
                .filter(|name| !siblings::is_packed(Path::new(name)))
                .for_each(|name| self.pack(&name, run == Some(1)));
        }
        run_before(self, 2);
        if how == How::Copy {
            fs::copy(&self.log.path, self.log.name(&name)).unwrap();
            run_before(self, 3);
            self.writer.set_len(0).unwrap();
        } else {
            self.log.rename("", &name);
            run_before(self, 3);
        }
        run_before(self, 4);
        match how {
            How::Rename => self.take(Step::Reopen),
            How::RenameSlowly => drop(open_writer(&self.log.path, self.ways)),
            How::RenameWithoutFile if packs == Packs::All => self.take(Step::Reopen),
            How::RenameWithoutFile | How::Copy => {}
        }
        run_before(self, 5);
        if packs == Packs::All && how != How::RenameSlowly {
            self.pack(&name, run == Some(6));
        }
        let generations = self.generations();
        for old in &generations[..generations.len().saturating_sub(self.ways.kept)] {
            self.log.remove(old);
        }
    }

    /// All generations one further, where they are counted.
    fn shift(&mut self) {
        for name in self.generations() {
            if let Some((number, packed)) =
                name[1..].split_once(".gz").map(|(n, _)| (n, ".gz")).or(Some((&name[1..], "")))
                && !self.ways.is_dated
            {
                let number: usize = number.parse().unwrap();
                self.log.rename(&name, &format!(".{}{packed}", number + 1));
            }
        }
    }

    fn pack(&mut self, name: &str, with_runs: bool) {
        let packed = gz(&fs::read(self.log.name(name)).unwrap());
        if with_runs {
            fs::write(self.log.name(&format!("{name}.gz")), &packed[..packed.len() / 2]).unwrap();
            self.run();
        }
        self.log.pack(name);
        if with_runs {
            self.run();
        }
    }

    /// The suffixes of older generations, oldest first.
    fn generations(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.log.dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut suffixes: Vec<String> =
            names.filter_map(|name| Some(name.strip_prefix("app.log")?.to_owned())).collect();
        suffixes.retain(|suffix| !suffix.is_empty());
        let number = |suffix: &String| suffix.trim_end_matches(".gz")[1..].parse::<i64>().unwrap();
        suffixes.sort_by_key(|suffix| if self.ways.is_dated { number(suffix) } else { -number(suffix) });
        suffixes
    }

    fn look(&mut self) -> Option<(Seen, Cursor)> {
        let looked = self.log.look();
        if !self.log.path.exists() && matches!(looked, Err(SourceError::File(FileError::Missing { .. }))) {
            return None;
        }
        let (mut seen, cursor) = looked.unwrap();
        // A writer that does not append leaves holes when its file is truncated.
        seen.bytes.retain(|byte| *byte != 0);
        Some((seen, cursor))
    }

    fn run(&mut self) {
        let Some((seen, cursor)) = self.look() else { return };
        self.log.cursor = Some(cursor);
        if self.ways.kept < ALL {
            self.check_jump(&seen);
        }
        self.gaps.extend(seen.gaps.clone());
        self.is_told = !seen.gaps.is_empty() || (self.is_told && numbers(&seen.bytes).is_empty());
        self.read.extend(seen.bytes);
    }

    /// Numbers only grow, and where some are missing, that is told by the run that has seen it.
    fn check_jump(&self, seen: &Seen) {
        let mut last = numbers(&self.read).pop().unwrap_or(0);
        for number in numbers(&seen.bytes) {
            assert!(number > last, "{number} came behind {last}");
            let is_told = self.is_told || !seen.gaps.is_empty();
            assert!(number == last + 1 || is_told, "{number} came behind {last}, and no gap was told");
            last = number;
        }
    }

    /// Everything is written, and the log is read to its end.
    fn finish(&mut self) {
        self.take(Step::Reopen);
        self.write(1, 0);
        self.run();
        self.run();
    }
}

fn open_writer(path: &Path, ways: Ways) -> File {
    let mut file = OpenOptions::new().create(true).append(ways.appends).write(true).open(path).unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
    file
}

/// The numbers of whole lines.
fn numbers(bytes: &[u8]) -> Vec<usize> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let whole = lines.filter_map(|line| line.strip_prefix(b"<")?.strip_suffix(b">"));
    whole.filter_map(|line| str::from_utf8(line.get(..5)?).ok()?.parse().ok()).collect()
}

fn ways(kept: impl Strategy<Value = usize>) -> impl Strategy<Value = Ways> {
    (any::<bool>(), any::<bool>(), any::<bool>(), kept).prop_map(|(is_dated, appends, has_banner, kept)| Ways {
        is_dated,
        appends,
        has_banner,
        kept,
    })
}

fn step(part: impl Strategy<Value = usize>) -> impl Strategy<Value = Step> {
    let how = prop::sample::select(&[How::Rename, How::RenameWithoutFile, How::RenameSlowly, How::Copy, How::Copy][..]);
    let packs = prop::sample::select(&[Packs::Nothing, Packs::Older, Packs::All][..]);
    let run = prop::option::weighted(0.4, 0..7_usize);
    let part = prop_oneof![Just(0), part];
    prop_oneof![
        5 => (0..6_usize, part).prop_map(|(lines, part)| Step::Write(lines, part)),
        3 => (how, packs, run).prop_map(|(how, packs, run)| Step::Rotate { how, packs, run }),
        1 => Just(Step::Reopen),
        3 => Just(Step::Run),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_read_exactly_once_whatever_is_rotated_and_whoever_dies(
        ways in ways(Just(ALL)), steps in prop::collection::vec(step(0..30_usize), 1..30), lines in 0..3_usize,
    ) {
        let mut world = World::new(ways);
        world.write(lines, 0);
        world.run();
        for step in steps {
            world.take(step);
        }
        world.finish();
        // Of a log that was empty at first nobody can say whether there was something before what is there.
        world.gaps.retain(|gap| lines > 0 || !gap.why.contains("perhaps more than once"));
        prop_assert!(world.gaps.is_empty(), "{:?}", world.gaps);
        prop_assert!(world.read == world.written, "read {} bytes of {}, lines {:?}", world.read.len(), world.written.len(), numbers(&world.read));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_deleted_before_it_was_read_is_a_gap_and_nothing_is_read_twice(
        ways in ways(1..4_usize), steps in prop::collection::vec(step(Just(0)), 1..30), copies: bool,
    ) {
        let mut world = World::new(ways);
        world.write(2, 0);
        world.run();
        for step in steps {
            world.take(match step {
                // Nobody changes between these two ways, and deletes besides what came of them.
                Step::Rotate { packs, run, .. } if copies => Step::Rotate { how: How::Copy, packs, run },
                Step::Rotate { how: How::Copy, packs, run } => Step::Rotate { how: How::Rename, packs, run },
                other => other,
            });
        }
        world.finish();
        let last = numbers(&world.read).pop();
        prop_assert!(last == Some(world.number), "the last line is {:?}, and not {}", last, world.number);
    }
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
