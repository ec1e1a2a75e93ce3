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

/// How long a line gets before it is passed on without its end, in bytes. What comes behind that is not handed out.
const LONGEST: usize = 1 << 20;

/// How much is held back, in bytes, until a line that is known tells that it was read before.
const MOST_UNSURE: usize = 1 << 20;

/// How far ahead of this machine's clock the engine's may be, in nanoseconds: a day, for an engine elsewhere.
const MOST_AHEAD: i64 = 24 * 3600 * MOMENT;

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

    /// Forgets a line, if it is known: a program may well say the same thing twice at once.
    fn forget(&mut self, time: i64, line: &[u8]) -> bool {
        let known = (time, hash(line));
        let place = self.0.iter().position(|one| *one == known);
        place.and_then(|place| self.0.remove(place)).is_some()
    }
}

/// Of a line that is cut into parts, the first one: whatever of the others has come when it is read, it is the same line.
fn hash(line: &[u8]) -> u64 {
    XxHash3_64::oneshot(&line[..line.len().min(STAMP + 1 + PART)])
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
        lines.push_back((time, hash(line)));
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

/// What is done with lines before the first one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    /// They are held back as long as there is room for them, and handed out if no known line comes.
    Held,
    /// They are dropped, however many there are; where no known line comes, all of it is.
    Dropped,
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
    /// What is done with lines before the first known one.
    older: Older,
    /// Whether the last line was known, and so what belongs to it.
    is_within_known: bool,
}

impl Again {
    fn of(known: &Recent) -> Self {
        let (lines, unsure) = (LastLines::default(), Vec::new());
        Self { lines, unsure, is_met: false, is_over: known.is_empty(), older: Older::Held, is_within_known: false }
    }

    /// A line that is known.
    fn known(&mut self, line: &[u8]) {
        self.is_within_known = true;
        if !self.is_over {
            self.is_met = true;
            self.lines.add(&std::mem::take(&mut self.unsure));
            self.lines.add_line(line);
        }
    }

    /// Any other line: handed out, unless it may turn out to be an older one, or to be the rest of one. What has no time is
    /// such a rest, or what the engine's program says itself.
    fn unknown(&mut self, has_time: bool, line: &[u8], ready: &mut Vec<u8>) {
        if !has_time && self.is_within_known {
            return;
        }
        self.is_within_known = false;
        let may_be_older = !self.is_over && !self.is_met;
        if may_be_older && self.older == Older::Dropped {
            return self.lines.add_line(line);
        }
        if !may_be_older || self.unsure.len() + line.len() > MOST_UNSURE {
            self.end(ready);
        }
        let into = if self.is_over { ready } else { &mut self.unsure };
        into.extend_from_slice(line);
        into.push(b'\n');
    }

    /// What was held back is new.
    fn end(&mut self, ready: &mut Vec<u8>) {
        self.is_over = self.is_met || self.older == Older::Held;
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
    /// The time of a line that was passed on without its end, which has still to come.
    within: Option<i64>,
    /// What can be handed out, from that place on.
    ready: (Vec<u8>, usize),
    is_at_end: bool,
    /// The latest time there can be.
    until: i64,
}

impl<R: Read> Stamped<R> {
    /// These lines, but for the known ones; and where it will be noted which came last, the known ones among them.
    pub(super) fn new(inner: R, known: Recent) -> (Self, Noted) {
        let noted = Noted::default();
        let (again, rest, ready) = (Again::of(&known), Vec::new(), (Vec::new(), 0));
        let (within, is_at_end, until) = (None, false, i64::MAX);
        let lines = Self { inner, known, again, noted: noted.clone(), rest, within, ready, is_at_end, until };
        (lines, noted)
    }

    /// A time behind that is none: a program has written it.
    pub(super) fn until(self, now: DateTime<Utc>) -> Self {
        Self { until: now.timestamp_nanos_opt().unwrap_or(i64::MAX).saturating_add(MOST_AHEAD), ..self }
    }

    /// Nothing is handed out before a line that is known, wherever in the log that is.
    pub(super) fn strictly(mut self) -> Self {
        self.again.older = Older::Dropped;
        self
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
            self.skip();
            let whole = match memchr::memrchr(b'\n', &self.rest) {
                Some(feed) => feed + 1,
                None if self.is_at_end => self.rest.len(),
                None if self.rest.len() > LONGEST => self.cut(),
                None => continue,
            };
            self.pass(whole);
            if self.is_at_end {
                self.again.end(&mut self.ready.0);
            }
        }
        Ok(())
    }

    /// Where to cut what has no line feed: before the last line in it; where it is one line, that is passed on as it is, and
    /// its end left out.
    fn cut(&mut self) -> usize {
        let mut last = 0;
        starts(&self.rest, self.until, |start| last = start);
        if last == 0 {
            self.within = stamp(&self.rest).or(self.within);
            return self.rest.len();
        }
        last
    }

    /// Leaves out the end of a line that was passed on without it.
    fn skip(&mut self) {
        let Some(time) = self.within else { return };
        let feed = memchr::memchr(b'\n', &self.rest).map(|feed| feed + 1);
        let mut at = 0;
        let end = feed.unwrap_or(self.rest.len());
        while at < end {
            at = next_stamp(&self.rest[..end], at);
            let next = self.rest.get(at..end).and_then(stamp);
            if next.is_some_and(|next| next != time && is_time(next, time, self.until)) {
                self.within = None;
                self.rest.drain(..at);
                return;
            }
            at += 1;
        }
        match feed {
            Some(feed) => {
                self.within = None;
                self.rest.drain(..feed);
            }
            // What may be the beginning of a time is looked at again.
            None => drop(self.rest.drain(..self.rest.len().saturating_sub(STAMP))),
        }
    }

    /// Passes on whole lines.
    fn pass(&mut self, whole: usize) {
        let rest = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, rest);
        self.ready = (Vec::with_capacity(lines.len()), 0);
        let mut window = self.noted.0.lock().unwrap_or_else(PoisonError::into_inner);
        for whole in lines.split_inclusive(|byte| *byte == b'\n') {
            let without_feed = whole.strip_suffix(b"\n").unwrap_or(whole);
            split(without_feed, self.until, |time, line| {
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
fn split(line: &[u8], until: i64, mut each: impl FnMut(Option<i64>, &[u8])) {
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
        } else if is_time(next, time, until) {
            each(Some(time), &whole);
            (time, whole) = (next, line[at..end].to_vec());
        } else {
            whole.extend_from_slice(&line[at..end]);
        }
        at = end;
    }
    each(Some(time), &whole);
}

/// Whether a time that stands behind a cut line can be the engine's: it is not before the line's own, but for a moment, and
/// not to come. Anything else a program has written into its line.
fn is_time(next: i64, own: i64, until: i64) -> bool {
    (own.saturating_sub(MOMENT)..=until).contains(&next)
}

/// Tells where lines begin in what has no line feed, but for the first.
fn starts(lines: &[u8], until: i64, mut each: impl FnMut(usize)) {
    let Some(mut time) = stamp(lines) else { return };
    let mut at = STAMP + 1 + PART;
    while let Some(next) = lines.get(at..).and_then(stamp) {
        if next != time && is_time(next, time, until) {
            time = next;
            each(at);
        }
        at = next_stamp(lines, at + STAMP + 1);
    }
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
mod fuzz;
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

    /// Gives a few bytes at a time, as a pipe does.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(into.len());
            self.0.read(&mut into[..size])
        }
    }

    fn drip(lines: &str, size: usize, known: &Recent) -> (String, Recent) {
        let (mut stamped, noted) = Stamped::new(Drip(lines.as_bytes(), size), known.clone());
        let mut text = String::new();
        stamped.read_to_string(&mut text).unwrap();
        (text, noted.take())
    }

    /// A line as the engine says it in parts, without its line feed.
    fn in_parts(nanos: u32, text: &str) -> String {
        let parts = text.as_bytes().chunks(PART).map(|part| line(nanos, str::from_utf8(part).unwrap()));
        parts.map(|part| part.trim_end().to_owned()).collect()
    }

    #[test]
    fn lines_that_are_cut_and_have_no_line_feed_are_each_there_however_many_they_are() {
        let lines: String =
            (0..300).map(|number| in_parts(number, &format!("{number:03}{}", "x".repeat(20 << 10)))).collect();
        for size in [BLOCK, 1000] {
            let (text, known) = drip(&lines, size, &Recent::default());
            let seen: Vec<&str> = text.lines().map(|line| &line[STAMP + 1..STAMP + 4]).collect();
            assert!(seen.iter().map(|seen| seen.parse::<usize>().unwrap()).eq(0..300), "{size}: {seen:?}");
            assert_eq!(drip(&lines, size + 7, &known).0, "");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line_and_known_again_wherever_it_was_cut() {
        let huge = format!("ERROR {}", "x".repeat(2 << 20));
        let feeds = in_parts(5, &huge) + "\n" + &line(6, "next");
        let glued = in_parts(5, &huge) + &line(6, "next");
        for whole in [feeds, glued] {
            for size in [BLOCK, 9_999] {
                let (text, known) = drip(&whole, size, &Recent::default());
                assert_eq!(text.lines().count(), 2, "{size}");
                assert!(text.len() < LONGEST + 3 * BLOCK && text.ends_with(&line(6, "next")), "{size}");
                let more = whole.clone() + &line(7, "more");
                assert_eq!(drip(&more, size + 1, &known).0, line(7, "more"), "{size}");
            }
        }
    }

    #[test]
    fn a_time_that_a_program_has_written_into_its_line_is_none() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:21:00Z").unwrap().to_utc();
        for forged in ["1970-01-01T00:00:00.000000001Z", "2200-01-01T00:00:00.000000001Z"] {
            let text = in_parts(5, &format!("{} {forged} inside", "x".repeat(PART + 7))) + "\n" + &line(6, "next");
            let (stamped, noted) = Stamped::new(text.as_bytes(), Recent::default());
            let mut read = String::new();
            stamped.until(now).read_to_string(&mut read).unwrap();
            assert_eq!(read.lines().count(), 2, "{read}");
            assert_eq!(noted.take().since().unwrap().to_rfc3339(), "2026-11-20T12:20:57.000000006+00:00");
        }
    }

    #[test]
    fn what_the_program_of_the_engine_says_itself_hides_no_line_that_is_known() {
        let (_, known) = read(&line(5, "one"), &Recent::default());
        let said = format!("WARNING: Error loading config file\n{}", line(5, "one"));
        let (mut stamped, _) = Stamped::new(io::Cursor::new(said + &line(6, "two")), known);
        assert_eq!(
            stamped.catch_up().unwrap().as_deref().map(|before| before.ends_with(line(5, "one").as_bytes())),
            Some(true)
        );
        let mut rest = String::new();
        stamped.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, line(6, "two"));
    }

    #[test]
    fn a_whole_log_is_read_from_behind_what_is_known_and_not_at_all_where_nothing_is() {
        let older: String = (0..60_000).map(|number| line(number, "older, and long forgotten")).collect();
        assert!(older.len() > 2 * MOST_UNSURE);
        let (_, known) = read(&line(900_000, "last"), &Recent::default());
        let log = older.clone() + &line(900_000, "last") + &line(3, "a clock was put back");
        let (stamped, _) = Stamped::new(io::Cursor::new(log), known.clone());
        let mut stamped = stamped.strictly();
        assert!(stamped.catch_up().unwrap().is_some());
        let mut rest = String::new();
        stamped.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, line(3, "a clock was put back"));
        let (stamped, _) = Stamped::new(io::Cursor::new(older), known);
        let mut stamped = stamped.strictly();
        assert!(stamped.catch_up().unwrap().is_none());
        assert_eq!(stamped.read(&mut [0; 10]).unwrap(), 0);
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
