//! What the engine says of a container: lines behind times, of which the first ones were read before.
//!
//! The engine stamps a line and then waits for its turn to write it, for each of a container's two streams by itself: so the
//! times in a log may go back by a moment. Who asked only for what is newer than the newest line would never see one that
//! was stamped before that line and written after it. So the last moment is asked for again, and what is known of it is left
//! out. It is what comes right before the first new line, which may go on with the record in it.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::LastLines;

/// How far the times may go back, in nanoseconds.
const MOMENT: i64 = 1_000_000_000;

/// How many lines of the last moment are remembered. Of more, the last ones: then less than a moment is asked for again.
const MOST_LINES: usize = 256;

/// How many lines are remembered however old they are: what comes may go on with a record that is written slowly.
const FEWEST_LINES: usize = 64;

/// Length of the engine's time, `2026-11-20T12:20:58.976820702Z`; a blank comes after it.
const STAMP: usize = 30;

/// The engine cuts lines into parts of that many bytes, and puts a time before each.
const PART: usize = 16 << 10;

/// How long a line gets before it is passed on without its end, in bytes.
const LONGEST: usize = 1 << 20;

/// How much is held back, in bytes, until a line that is known tells that it was read before.
const MOST_UNSURE: usize = 1 << 20;

/// How much is read at once, in bytes.
const BLOCK: usize = 64 << 10;

/// The last lines that were read, in their order: the time of each, in nanoseconds since 1970, and a hash of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent(VecDeque<(i64, u64)>);

impl Recent {
    /// The time of the newest line, if there is one.
    fn newest(&self) -> Option<i64> {
        self.0.iter().map(|line| line.0).max()
    }

    /// Whether there is nothing to be known again.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From when on to ask again; none if nothing is known.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        let moment = self.newest()?.saturating_sub(MOMENT);
        let oldest = self.0.iter().map(|line| line.0).min()?;
        let is_full = self.0.len() == MOST_LINES;
        Some(DateTime::from_timestamp_nanos(if is_full { oldest } else { oldest.min(moment) }))
    }

    fn place(&self, time: i64, line: &[u8]) -> Option<usize> {
        let hash = XxHash3_64::oneshot(line);
        self.0.iter().position(|known| *known == (time, hash))
    }

    /// Forgets a line, if it is known: a program may well say the same thing twice at once. One that was cut is known too if
    /// its last parts had not come when it was read: it was judged by the first ones.
    fn forget(&mut self, time: i64, line: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let cuts = (STAMP + 1 + PART..line.len()).step_by(PART);
        let place = cuts.chain([line.len()]).rev().find_map(|end| self.place(time, &line[..end]));
        place.and_then(|place| self.0.remove(place)).is_some()
    }
}

/// Lines that are about to be known.
#[derive(Default)]
struct Window {
    lines: Recent,
    newest: i64,
}

impl Window {
    fn add(&mut self, time: i64, line: &[u8]) {
        self.newest = self.newest.max(time);
        let from = self.newest.saturating_sub(MOMENT);
        let lines = &mut self.lines.0;
        lines.push_back((time, XxHash3_64::oneshot(line)));
        while lines.len() > MOST_LINES || lines.len() > FEWEST_LINES && lines.front().is_some_and(|line| line.0 < from)
        {
            lines.pop_front();
        }
    }
}

/// Where it is noted which lines came last.
#[derive(Clone, Default)]
pub(super) struct Noted(Arc<Mutex<Window>>);

impl Noted {
    /// They.
    pub(super) fn take(&self) -> Recent {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).lines)
    }
}

/// What comes before the first line that is new.
struct Again {
    /// The last of it.
    lines: LastLines,
    /// Lines that come before any known one. The engine says lines in the order in which they were written, and the last ones
    /// are remembered: those before a known one were read too.
    unsure: Vec<u8>,
    /// Whether a known line has come.
    is_met: bool,
    /// Whether a new one has.
    is_over: bool,
}

impl Again {
    fn of(known: &Recent) -> Self {
        let (lines, unsure) = (LastLines::default(), Vec::new());
        Self { lines, unsure, is_met: false, is_over: known.is_empty() }
    }

    /// A line that is known.
    fn known(&mut self, line: &[u8]) {
        if !self.is_over {
            self.is_met = true;
            self.lines.add(&std::mem::take(&mut self.unsure));
            self.lines.add_line(line);
        }
    }

    /// Any other line: handed out, unless it may turn out to be an older one.
    fn unknown(&mut self, has_time: bool, line: &[u8], ready: &mut Vec<u8>) {
        let may_be_older = !self.is_over && !self.is_met && has_time;
        if !may_be_older || self.unsure.len() + line.len() > MOST_UNSURE {
            self.end(ready);
        }
        let into = if self.is_over { ready } else { &mut self.unsure };
        into.extend_from_slice(line);
        into.push(b'\n');
    }

    /// What was held back is new.
    fn end(&mut self, ready: &mut Vec<u8>) {
        self.is_over = true;
        ready.append(&mut self.unsure);
    }
}

/// Lines of the engine without those that are known, and with the parts of cut lines put together.
pub(super) struct Stamped<R> {
    inner: R,
    known: Recent,
    again: Again,
    noted: Noted,
    /// What was read and is no whole line yet.
    rest: Vec<u8>,
    /// What can be handed out, from that place on.
    ready: (Vec<u8>, usize),
    is_at_end: bool,
}

impl<R: Read> Stamped<R> {
    /// These lines, but for the known ones; and where it will be noted which came last, the known ones among them.
    pub(super) fn new(inner: R, known: Recent) -> (Self, Noted) {
        let noted = Noted::default();
        let (again, rest, ready) = (Again::of(&known), Vec::new(), (Vec::new(), 0));
        let lines = Self { inner, known, again, noted: noted.clone(), rest, ready, is_at_end: false };
        (lines, noted)
    }

    /// Reads as far as it takes to see what comes before the first line that is new: the last of it. None where no line of
    /// it is known: then the log has lost some that were not read.
    pub(super) fn catch_up(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.fill()?;
        Ok(self.again.is_met.then(|| self.again.lines.as_bytes().to_vec()))
    }

    /// Reads until there is something to hand out, or nothing comes any more.
    fn fill(&mut self) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        while self.ready.1 == self.ready.0.len() && !self.is_at_end {
            let read = match self.inner.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            self.is_at_end = read == 0;
            self.rest.extend_from_slice(&block[..read]);
            let whole = match memchr::memrchr(b'\n', &self.rest) {
                Some(feed) => feed + 1,
                None if self.is_at_end || self.rest.len() > LONGEST => self.rest.len(),
                None => continue,
            };
            self.pass(whole);
            if self.is_at_end {
                self.again.end(&mut self.ready.0);
            }
        }
        Ok(())
    }

    /// Passes on whole lines.
    fn pass(&mut self, whole: usize) {
        let rest = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, rest);
        self.ready = (Vec::with_capacity(lines.len()), 0);
        let mut window = self.noted.0.lock().unwrap_or_else(PoisonError::into_inner);
        for whole in lines.split_inclusive(|byte| *byte == b'\n') {
            let without_feed = whole.strip_suffix(b"\n").unwrap_or(whole);
            split(without_feed, |time, line| {
                let is_known = time.is_some_and(|time| {
                    window.add(time, line);
                    self.known.forget(time, line)
                });
                if is_known {
                    self.again.known(line);
                } else {
                    self.again.unknown(time.is_some(), line, &mut self.ready.0);
                }
            });
        }
    }
}

impl<R: Read> Read for Stamped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let (ready, at) = &mut self.ready;
        let count = buffer.len().min(ready.len() - *at);
        buffer[..count].copy_from_slice(&ready[*at..*at + count]);
        *at += count;
        Ok(count)
    }
}

/// Hands out a line with its time. One that was cut comes in parts behind the same time, which are put together; and after
/// the last of them some engines (20.10, with the driver `local`) leave out the line feed, so that others follow in it.
fn split(line: &[u8], mut each: impl FnMut(Option<i64>, &[u8])) {
    let Some(mut time) = stamp(line) else { return each(None, line) };
    let mut at = STAMP + 1 + PART;
    if line.get(at..).and_then(stamp).is_none() {
        return each(Some(time), line);
    }
    let mut whole = line[..at].to_vec();
    while let Some(next) = line.get(at..).and_then(stamp) {
        let end = next_stamp(line, at + STAMP + 1);
        if next == time {
            whole.extend_from_slice(&line[at + STAMP + 1..end]);
        } else {
            each(Some(time), &whole);
            (time, whole) = (next, line[at..end].to_vec());
        }
        at = end;
    }
    each(Some(time), &whole);
}

/// Where the next time begins; the end of the line if there is none.
fn next_stamp(line: &[u8], from: usize) -> usize {
    let candidates = memchr::memchr_iter(b'Z', &line[from..]).filter_map(|place| (from + place + 1).checked_sub(STAMP));
    candidates.filter(|at| *at >= from).find(|at| stamp(&line[*at..]).is_some()).unwrap_or(line.len())
}

/// The time that a line begins with, in nanoseconds since 1970.
fn stamp(line: &[u8]) -> Option<i64> {
    let looks_so = line.get(STAMP) == Some(&b' ') && line[STAMP - 1] == b'Z' && line[19] == b'.';
    let stamp = line.get(..STAMP).filter(|_| looks_so)?;
    DateTime::parse_from_rfc3339(str::from_utf8(stamp).ok()?).ok()?.timestamp_nanos_opt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(nanos: u32, text: &str) -> String {
        format!("2026-11-20T12:20:58.{nanos:09}Z {text}\n")
    }

    /// What comes through of these lines, and what is known then.
    fn read(lines: &str, known: &Recent) -> (String, Recent) {
        let (mut stamped, noted) = Stamped::new(lines.as_bytes(), known.clone());
        let mut text = String::new();
        stamped.read_to_string(&mut text).unwrap();
        (text, noted.take())
    }

    #[test]
    fn a_line_that_is_written_after_a_newer_one_is_read_all_the_same() {
        let first = line(5, "out") + &line(9, "err");
        let (text, known) = read(&first, &Recent::default());
        assert_eq!(text, first);
        let late = line(7, "out, stamped before err");
        assert_eq!(
            read(&(first.clone() + &late), &known),
            (late.clone(), read(&(first + &late), &Recent::default()).1)
        );
    }

    #[test]
    fn a_line_that_is_said_twice_at_once_is_two_lines() {
        let (_, known) = read(&line(5, "same"), &Recent::default());
        assert_eq!(read(&line(5, "same").repeat(2), &known).0, line(5, "same"));
    }

    #[test]
    fn the_last_moment_is_asked_for_again_and_less_where_too_much_was_said_in_it() {
        assert_eq!(Recent::default().since(), None);
        let (_, known) = read(&(line(100, "old") + &line(400_000_000, "newest")), &Recent::default());
        assert_eq!(known.since().unwrap().to_rfc3339(), "2026-11-20T12:20:57.400+00:00");
        let long_ago = "2026-11-20T12:20:50.000000000Z long ago\n".to_owned();
        let (_, known) = read(&(long_ago + &line(5, "newest")), &Recent::default());
        assert_eq!(known.since().unwrap().to_rfc3339(), "2026-11-20T12:20:50+00:00", "of few lines all");
        let many: String = (0..1000).map(|number| line(number, "many")).collect();
        let (_, known) = read(&many, &Recent::default());
        assert_eq!(known.since().unwrap().timestamp_subsec_nanos(), 1000 - 256);
        assert_eq!(read(&many[many.len() - 256 * line(0, "many").len()..], &known).0, "");
    }

    #[test]
    fn a_log_that_begins_with_what_is_not_known_has_lost_lines() {
        let (_, known) = read(&(line(5, "one") + &line(6, "two")), &Recent::default());
        let before = |lines: &str| Stamped::new(lines.as_bytes(), known.clone()).0.catch_up().unwrap();
        assert_eq!(before(&(line(6, "two") + &line(7, "three"))), Some(line(6, "two").into_bytes()));
        for other in [line(7, "three"), "Error response from daemon\n".to_owned(), String::new()] {
            assert_eq!(before(&other), None, "{other}");
        }
    }

    #[test]
    fn the_parts_of_a_cut_line_are_one_line_and_one_that_was_glued_to_them_is_another() {
        let part = "x".repeat(PART);
        let cut = |nanos: u32, text: &str| line(nanos, text).trim_end().to_owned();
        let glued = cut(1, &part) + &cut(1, &part) + &cut(1, "end") + &line(2, "ERROR: short");
        let (text, _) = read(&glued, &Recent::default());
        assert_eq!(text, line(1, &(part.repeat(2) + "end")) + &line(2, "ERROR: short"));
        let long = line(1, &format!("{} 2026-11-20T12:20:58.000000001Z inside", "x".repeat(PART + 7)));
        assert_eq!(read(&long, &Recent::default()).0, long, "no part ends there");
    }

    proptest! {
        #[test]
        fn what_is_read_again_from_the_last_moment_on_gives_each_line_once(
            times in prop::collection::vec(0..3_000_u32, 1..200), stop in 0..200_usize
        ) {
            let lines: Vec<String> =
                times.iter().enumerate().map(|(number, time)| line(time * 1000 + 500_000_000, &number.to_string())).collect();
            let stop = stop.min(lines.len());
            let (first, known) = read(&lines[..stop].concat(), &Recent::default());
            let (second, _) = read(&lines.concat(), &known);
            prop_assert_eq!(first + &second, lines.concat());
        }

        #[test]
        fn bytes_of_any_kind_come_through(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let (mut stamped, _) = Stamped::new(bytes.as_slice(), Recent::default());
            let mut text = Vec::new();
            stamped.read_to_end(&mut text).unwrap();
            prop_assert_eq!(text.strip_suffix(b"\n").unwrap_or(&text), bytes.strip_suffix(b"\n").unwrap_or(&bytes));
        }
    }
}
