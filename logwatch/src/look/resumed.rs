//! The beginning of what is new, where it goes on with records that an earlier run has counted.
//!
//! A program may still be writing a stack trace when a run reads its first lines. That run counts the record; the frames that
//! come later are lines of it, and no second one. To know them, the last lines that were read are looked at once more: they
//! say what is open. Nothing is left for the next run instead, since a program that dies with its last record is never
//! followed by another line.

use std::collections::HashMap;
use std::io::{self, Read};

use crate::chunk::{Ending, LONGEST_LINE};
use crate::formats;
use crate::lanes::{self, Unwrapped, Wire, cleaned_text};
use crate::records::{Assembler, Joins, MOST_BYTES};
use crate::sources::Part;

/// How much is read at once, in bytes.
const BLOCK: usize = 64 << 10;

/// What is new, without what belongs to records that were counted.
pub(super) struct Resumed {
    /// The rest.
    pub(super) part: Part,
    /// How many lines belong to earlier records.
    pub(super) lines: u64,
    /// How many bytes these are.
    pub(super) bytes: u64,
    /// The wire's own word for the place behind them (the journal), where nothing comes behind.
    pub(super) place: Option<String>,
}

/// Takes off the beginning of a stream what goes on with `before`, the last lines that an earlier run has read. A record is
/// no longer than [`MOST_BYTES`]; what comes behind that is not asked any more.
pub(super) fn resume(before: &[u8], mut part: Part) -> Resumed {
    if before.is_empty() {
        return Resumed { part, lines: 0, bytes: 0, place: None };
    }
    let wire = part.wire.unwrap_or_else(|| lanes::sniff(before));
    let mut open = Open::after(before, wire);
    let (mut read, mut kept, mut at) = (Vec::new(), Vec::new(), 0);
    let (mut lines, mut bytes, mut last) = (0, 0, None);
    while open.is_any() && at < MOST_BYTES {
        let Some(end) = end_of_line(&mut read, at, &mut part) else { break };
        let line = &read[at..end];
        if open.takes(line.strip_suffix(b"\n").unwrap_or(line)) {
            lines += 1;
            bytes += line.len() as u64;
            last = Some(at..end);
        } else {
            kept.extend_from_slice(line);
            last = None;
        }
        at = end;
    }
    // Of what comes behind, somebody else tells the place.
    let place = last.filter(|_| is_over(&mut read, at, &mut part)).and_then(|last| place_of(wire, &read[last]));
    kept.extend_from_slice(&read[at..]);
    let part = Part { stream: Box::new(io::Cursor::new(kept).chain(part.stream)), ..part };
    Resumed { part, lines, bytes, place }
}

/// Whether the stream has nothing more.
fn is_over(read: &mut Vec<u8>, at: usize, part: &mut Part) -> bool {
    end_of_line(read, at, part).is_none() && read.len() == at
}

/// The wire's own word for the place behind a line.
fn place_of(wire: Wire, line: &[u8]) -> Option<String> {
    let mut scratch = Vec::new();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    lanes::unwrap(wire, line, &mut scratch)?.cursor.map(str::to_owned)
}

/// Where the line ends that begins here, reading on as far as it takes. None where it has no end, or none within reach.
fn end_of_line(read: &mut Vec<u8>, at: usize, part: &mut Part) -> Option<usize> {
    let mut from = at;
    loop {
        if let Some(feed) = memchr::memchr(b'\n', &read[from..]) {
            return Some(from + feed + 1);
        }
        from = read.len();
        if from - at > LONGEST_LINE {
            return None;
        }
        read.resize(from + BLOCK, 0);
        let come = part.stream.read(&mut read[from..]);
        read.truncate(from + *come.as_ref().unwrap_or(&0));
        match come {
            Ok(0) => return (part.ending == Ending::Whole && from > at).then_some(from),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever reads on meets it again.
            Err(_) => return None,
        }
    }
}

/// The records that are open where an earlier run ended.
enum Open {
    /// Of a stream that nothing wraps: one, until a line begins the next.
    Plain(Option<Assembler>),
    /// By lane; those are gone in which a line has begun the next.
    Lanes(Wire, HashMap<String, Lane>),
}

/// What is open in a lane.
struct Lane {
    assembler: Assembler,
    /// Whether it ended within a line that comes in parts.
    is_within_line: bool,
}

impl Open {
    /// What is open behind these lines.
    fn after(before: &[u8], wire: Wire) -> Self {
        let mut open = match wire {
            // These lines may begin within a record themselves.
            Wire::Plain => Self::Plain(Some(Assembler::goes_on())),
            Wire::Compose | Wire::DockerJson | Wire::Journal => Self::Lanes(wire, HashMap::new()),
        };
        let lines = before.strip_suffix(b"\n").unwrap_or(before).split(|byte| *byte == b'\n');
        lines.for_each(|line| open.learn(line));
        open
    }

    fn learn(&mut self, line: &[u8]) {
        match self {
            Self::Plain(assembler) => {
                assembler.as_mut().map(|assembler| joins(assembler, line));
            }
            Self::Lanes(wire, lanes) => {
                let mut scratch = Vec::new();
                let Some(said) = lanes::unwrap(*wire, line, &mut scratch).filter(|said| !said.is_own) else { return };
                if said.is_record {
                    // What was handed over as a whole leaves nothing open.
                    lanes.remove(said.lane);
                } else {
                    lanes.entry(said.lane.to_owned()).or_insert_with(Lane::new).learn(&said);
                }
            }
        }
    }

    /// Whether anything is.
    fn is_any(&self) -> bool {
        match self {
            Self::Plain(assembler) => assembler.is_some(),
            Self::Lanes(_, lanes) => !lanes.is_empty(),
        }
    }

    /// Whether a line that is new belongs to a record that is open.
    fn takes(&mut self, line: &[u8]) -> bool {
        match self {
            Self::Plain(assembler) => {
                let is_taken = assembler.as_mut().is_some_and(|open| joins(open, line) != Joins::Begins);
                if !is_taken {
                    *assembler = None;
                }
                is_taken
            }
            Self::Lanes(wire, lanes) => {
                let mut scratch = Vec::new();
                let Some(said) = lanes::unwrap(*wire, line, &mut scratch).filter(|said| !said.is_own) else {
                    return false;
                };
                let is_taken = lanes.get_mut(said.lane).is_some_and(|lane| lane.takes(&said));
                if !is_taken {
                    lanes.remove(said.lane);
                }
                is_taken
            }
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self { assembler: Assembler::goes_on(), is_within_line: false }
    }

    fn learn(&mut self, said: &Unwrapped<'_>) {
        if !self.is_within_line {
            said.text.split(|byte| *byte == b'\n').for_each(|line| {
                joins(&mut self.assembler, line);
            });
        }
        self.is_within_line = said.is_partial;
    }

    fn takes(&mut self, said: &Unwrapped<'_>) -> bool {
        // The rest of a line whose beginning was looked at.
        let is_rest = self.is_within_line;
        // What holds several lines may hold the beginning of a record.
        let is_single = !said.is_record && memchr::memchr(b'\n', said.text).is_none();
        self.is_within_line = said.is_partial;
        is_rest || is_single && joins(&mut self.assembler, said.text) != Joins::Begins
    }
}

/// How a line stands to what is open.
fn joins(assembler: &mut Assembler, line: &[u8]) -> Joins {
    let mut cleaned = Vec::new();
    let line = cleaned_text(line, &mut cleaned);
    assembler.next(line, formats::head(line).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARAVEL: &str = "[2026-11-20 02:00:00] production.ERROR: refused {\"exception\":\"[object] (PDOException(code: 7): refused at /srv/Db.php:3)\n\
                           [stacktrace]\n#0 /srv/Db.php(3): connect()\n#1 /srv/index.php(9): main()\n\"}\n";
    const PYTHON: &str = "2026-11-20 02:00:00,123 ERROR app: cannot\nTraceback (most recent call last):\n  File \"a.py\", line 1, in a\n    b()\nKeyError: 'b'\n";
    const JAVA: &str = "2026-11-20 02:00:00.123 ERROR 1 --- [main] app.Main : failed\njava.lang.IllegalStateException: no\n\tat app.Main.run(Main.java:3)\nCaused by: java.io.IOException: gone\n\t... 3 more\n";
    const INFO: &str = "[2026-11-20 02:00:01] production.INFO: shipped {}\n";

    fn part(text: &[u8], wire: Option<Wire>, ending: Ending) -> Part {
        Part { stream: Box::new(io::Cursor::new(text.to_vec())), wire, ending }
    }

    /// What is left of a text behind another, and how many lines are gone.
    fn resumed(before: &str, text: &str, ending: Ending) -> (String, u64) {
        let Resumed { mut part, lines, bytes, .. } = resume(before.as_bytes(), part(text.as_bytes(), None, ending));
        let mut left = String::new();
        part.stream.read_to_string(&mut left).unwrap();
        assert_eq!(bytes + left.len() as u64, text.len() as u64);
        (left, lines)
    }

    fn docker(stream: &str, log: &str) -> String {
        let log = serde_json::to_string(log).unwrap();
        format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"2026-05-01T10:00:00.5Z\"}}\n")
    }

    #[test]
    fn wherever_a_trace_is_cut_its_rest_belongs_to_it() {
        for trace in [LARAVEL, PYTHON, JAVA] {
            for (cut, _) in trace.match_indices('\n') {
                let (before, rest) = trace.split_at(cut + 1);
                let lines = rest.lines().count() as u64;
                let expected = (INFO.to_owned(), lines);
                assert_eq!(
                    resumed(&format!("{INFO}{before}"), &format!("{rest}{INFO}"), Ending::Open),
                    expected,
                    "{rest}"
                );
            }
        }
    }

    #[test]
    fn what_begins_a_record_is_left_and_what_comes_behind_it_too() {
        let new = format!("{PYTHON}{INFO}");
        for before in [INFO, LARAVEL, "plain\n"] {
            assert_eq!(resumed(before, &new, Ending::Open), (new.clone(), 0), "behind {before}");
        }
    }

    #[test]
    fn lines_that_begin_within_a_trace_say_that_it_is_open() {
        let frame = "  File \"a.py\", line 1, in a\n";
        let rest = "    b()\nKeyError: 'b'\n";
        assert_eq!(resumed(frame, &format!("{rest}{INFO}"), Ending::Open), (INFO.to_owned(), 2));
        let [frame, rest] =
            [frame, rest].map(|text| text.split_inclusive('\n').map(|line| docker("stderr", line)).collect::<String>());
        assert_eq!(resumed(&frame, &rest, Ending::Open), (String::new(), 2));
    }

    #[test]
    fn a_line_without_end_is_a_line_only_where_nobody_will_end_it() {
        assert_eq!(resumed(JAVA, "\tat half", Ending::Open), ("\tat half".to_owned(), 0));
        assert_eq!(resumed(JAVA, "\tat half", Ending::Whole), (String::new(), 1));
        assert_eq!(resumed(JAVA, "", Ending::Whole), (String::new(), 0));
    }

    #[test]
    fn lanes_are_kept_apart_and_the_rest_of_a_line_in_parts_belongs_to_it() {
        let before = docker("stderr", "ERROR: cannot\n")
            + &docker("stderr", "Traceback (most recent call last):\n")
            + &docker("stdout", "a long line, the beginning")
            + &docker("stdout", ", the middle");
        let mine = [docker("stderr", "  File \"a.py\", line 1, in a\n"), docker("stdout", ", the end\n")];
        let new = [docker("stdout", "another line\n"), docker("stderr", "\u{1b}[31mKeyError: 'b'\u{1b}[0m\n")];
        let last = docker("stderr", "INFO: next\n");
        let all = [&*mine[0], &*mine[1], &*new[0], &*new[1], &*last].concat();
        let (left, lines) = resumed(&before, &all, Ending::Open);
        assert_eq!((left, lines), (format!("{}{last}", new[0]), 3));
    }

    #[test]
    fn what_goes_on_for_ever_is_not_read_for_ever() {
        let endless = io::repeat(b'x').take(1 << 40);
        let stream: Box<dyn Read + Send> = Box::new(endless);
        let Resumed { lines, .. } = resume(JAVA.as_bytes(), Part { stream, wire: None, ending: Ending::Whole });
        assert_eq!(lines, 0);
        let frames = "\tat app.Main.run(Main.java:3)\n".repeat(100_000);
        let (left, lines) = resumed(JAVA, &frames, Ending::Open);
        assert!(lines > 8_000 && left.len() > frames.len() / 2, "{lines} lines");
    }

    fn journal(number: usize, text: &str) -> String {
        format!(
            "{{\"__CURSOR\":\"i={number}\",\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"{text}\",\"_TRANSPORT\":\"stdout\",\"_PID\":\"1\"}}\n"
        )
    }

    #[test]
    fn the_place_behind_what_was_taken_off_is_told_where_nothing_comes_behind_it() {
        let before = journal(1, "Exception in thread main java.lang.Error");
        let place =
            |text: &str| resume(before.as_bytes(), part(text.as_bytes(), Some(Wire::Journal), Ending::Whole)).place;
        let frames =
            |count: usize| (2..2 + count).map(|number| journal(number, "\\tat app.Main.run()")).collect::<String>();
        assert_eq!(place(&frames(2)).as_deref(), Some("i=3"));
        assert_eq!(place(&(frames(2) + &journal(4, "INFO: next"))), None);
        // More than a record may have: what comes behind is not looked at here.
        assert_eq!(place(&frames(10_000)), None);
        assert_eq!(place(""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_come_through_or_are_counted(
            before in prop::collection::vec(any::<u8>(), 0..300), text in prop::collection::vec(any::<u8>(), 0..300),
            whole: bool, wire in prop::sample::select(vec![None, Some(Wire::Compose), Some(Wire::DockerJson), Some(Wire::Journal)])
        ) {
            let ending = if whole { Ending::Whole } else { Ending::Open };
            let mut resumed = resume(&before, part(&text, wire, ending));
            let mut left = Vec::new();
            resumed.part.stream.read_to_end(&mut left).unwrap();
            prop_assert_eq!(left.len() as u64 + resumed.bytes, text.len() as u64);
        }
    }
}
