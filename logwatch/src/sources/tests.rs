//! What several runs see of one log is what one run sees of all of it, wherever it is cut.

use std::io;

use chrono::{DateTime, SecondsFormat};
use proptest::prelude::*;

use super::container::{follow, nothing, said};
use super::journal::turned;
use super::stamped::{Noted, Recent};
use super::*;
use crate::examine::Criteria;
use crate::look;
use crate::tally::Tally;

/// Records, most of them traces.
const RECORDS: [&str; 8] = [
    "[2026-11-20 02:00:00] production.ERROR: refused {\"exception\":\"[object] (PDOException(code: 7): refused at /srv/Db.php:3)\n\
     [stacktrace]\n#0 /srv/Db.php(3): connect()\n#1 /srv/index.php(9): main()\n\"}\n",
    "2026-11-20 02:00:00,123 ERROR app: cannot\nTraceback (most recent call last):\n  File \"a.py\", line 1, in a\n    b()\n\
     KeyError: 'b'\n",
    "2026-11-20 02:00:00.123 ERROR 1 --- [main] app.Main : failed\njava.lang.IllegalStateException: no\n\
     \tat app.Main.run(Main.java:3)\nCaused by: java.io.IOException: gone\n\t... 3 more\n",
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in a\n    b()\nValueError: no\n\nDuring handling of the above \
     exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 2, in c\n    d()\n\
     KeyError: 'b'\n",
    "panic: no\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:3 +0x1d\nexit status 2\n",
    "[2026-11-20 02:00:01] production.INFO: shipped {}\n",
    "2026-11-20 02:00:01,000 INFO app: well\n",
    "2026-11-20 02:00:01.000 INFO 1 --- [main] app.Main : well\n",
];

const START: Start = Start { since: None, zone: Zone::Local, now: DateTime::UNIX_EPOCH };

fn criteria() -> Criteria {
    let (patterns, ignores, key) = (Vec::new(), Vec::new(), [0; 32]);
    let (told_apart, not_before, trend, now) = (None, None, None, DateTime::default());
    Criteria { told_apart, patterns, ignores, secrets: false, key, zone: Zone::Local, now, not_before, trend }
}

/// What looks at a source count together: one after each of these many messages.
fn counted(source: &mut impl Grows, cuts: &[usize]) -> Tally {
    let mut all = Tally::default();
    let mut cursor = None;
    for cut in cuts {
        source.grow(*cut);
        let reading = look::read(source, cursor.as_ref(), &START, &criteria(), None);
        let reading = reading.unwrap_or_else(|error| panic!("{error}"));
        assert!(reading.failure.is_none() && reading.count.gaps.is_empty(), "{:?}", reading.count.gaps);
        cursor = reading.cursor;
        all.add(reading.count.tally);
    }
    all
}

/// A source that has come so far.
trait Grows: Source {
    fn grow(&mut self, messages: usize);
}

/// A container's log: the time of each message, in nanoseconds, what it says, and whether it is a part of a line that goes on.
struct Engine {
    log: Vec<(i64, String, bool)>,
    come: usize,
    known: Recent,
    noted: Noted,
    is_first: bool,
}

impl Engine {
    fn of(log: Vec<(i64, String, bool)>) -> Self {
        Self { log, come: 0, known: Recent::default(), noted: Noted::default(), is_first: true }
    }

    /// A line every so many nanoseconds.
    fn saying(text: &str, pace: i64) -> Self {
        let lines = text.lines().zip(1..);
        Self::of(lines.map(|(line, number)| (number * pace, line.to_owned(), false)).collect())
    }
}

impl Grows for Engine {
    fn grow(&mut self, messages: usize) {
        self.come = messages.min(self.log.len());
    }
}

impl Source for Engine {
    fn name(&self) -> &'static str {
        "app-1"
    }

    fn key(&self) -> String {
        "container:app-1".to_owned()
    }

    fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        let since = self.known.since();
        let mut lines = String::new();
        for (nanos, text, is_part) in &self.log[..self.come] {
            let time = DateTime::from_timestamp_nanos(*nanos);
            if since.is_none_or(|since| time >= since) {
                lines += &time.to_rfc3339_opts(SecondsFormat::Nanos, true);
                lines.extend([" ", text, if *is_part { "" } else { "\n" }]);
            }
        }
        let (opened, noted) = said(io::Cursor::new(lines), &self.known, DateTime::<Utc>::MAX_UTC).unwrap();
        self.noted = noted;
        Ok(Opened { is_first: std::mem::take(&mut self.is_first), ..opened })
    }

    fn close(&mut self, _: u64, marks: Marks) -> Result<Cursor, SourceError> {
        self.known = self.noted.take();
        Ok(Cursor::Lanes(marks))
    }
}

/// The journal's log of a unit: which process says what.
struct Unit {
    log: Vec<(u32, String)>,
    come: usize,
    last: Option<String>,
}

impl Unit {
    fn object(&self, number: usize) -> String {
        let (pid, text) = &self.log[number];
        let text = serde_json::to_string(text).unwrap();
        format!(
            "{{\"__CURSOR\":\"i={number}\",\"__REALTIME_TIMESTAMP\":\"{}\",\"MESSAGE\":{text},\"PRIORITY\":\"6\",\
             \"_TRANSPORT\":\"stdout\",\"_SYSTEMD_UNIT\":\"app.service\",\"_PID\":\"{pid}\"}}\n",
            1_000_000 + number
        )
    }
}

impl Grows for Unit {
    fn grow(&mut self, messages: usize) {
        self.come = messages.min(self.log.len());
    }
}

impl Source for Unit {
    fn name(&self) -> &'static str {
        "app.service"
    }

    fn key(&self) -> String {
        "unit:app.service".to_owned()
    }

    fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        let read = (0..self.come).find(|number| self.last == Some(format!("i={number}"))).map_or(0, |last| last + 1);
        let new: String = (read..self.come).map(|number| self.object(number)).collect();
        let newest_first: String = (0..read).rev().map(|number| self.object(number)).collect();
        let before = self.last.as_ref().map_or(Vec::new(), |last| turned(newest_first.as_bytes(), last));
        let part = Part { stream: Box::new(io::Cursor::new(new)), wire: Some(Wire::Journal), ending: Ending::Whole };
        Ok(Opened { parts: vec![part], before, is_first: self.last.is_none(), ..nothing() })
    }

    fn left_at(&mut self, cursor: String) {
        self.last = Some(cursor);
    }

    fn close(&mut self, _: u64, marks: Marks) -> Result<Cursor, SourceError> {
        assert_eq!(self.last, self.come.checked_sub(1).map(|last| format!("i={last}")), "all of it was read");
        Ok(Cursor::Lanes(marks))
    }
}

/// Records one after the other.
fn records() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(RECORDS.to_vec()), 1..12).prop_map(|records| records.concat())
}

/// After how many messages there is a look.
fn looks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..80_usize, 1..4).prop_map(|mut looks| {
        looks.sort_unstable();
        looks.push(usize::MAX);
        looks
    })
}

fn seen(tally: &Tally) -> [u64; 3] {
    [tally.records, tally.errors, tally.lines]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_the_engine_says_is_counted_alike_wherever_runs_cut_it(
        text in records(), looks in looks(), lateness in prop::collection::vec(0..3_000_i64, 100), long in 0..20_usize,
        pace in prop::sample::select(vec![1000, 700_000_000, 5_000_000_000])
    ) {
        let mut log: Vec<(i64, String, bool)> =
            text.lines().zip(&lateness).zip(1..).map(|((line, late), number)| (number * pace - late, line.to_owned(), false)).collect();
        // A line that the engine has cut, somewhere between two records.
        let begins = |line: &(i64, String, bool)| line.1.starts_with("[2026") || line.1.starts_with("2026");
        if let Some(at) = (long..log.len()).find(|at| begins(&log[*at])) {
            let (time, part) = (log[at].0, format!("2026-11-20 02:00:01,000 INFO app: {}", "x".repeat((16 << 10) - 34)));
            log.splice(at..at, [(time, part.clone(), true), (time, "y".repeat(16 << 10), true), (time, "end".to_owned(), false)]);
        }
        let all = counted(&mut Engine::of(log.clone()), &[usize::MAX]);
        prop_assert_eq!(seen(&counted(&mut Engine::of(log), &looks)), seen(&all));
    }

    #[test]
    fn what_the_journal_says_is_counted_alike_wherever_runs_cut_it(
        one in records(), other in records(), turns in prop::collection::vec(any::<bool>(), 200), looks in looks()
    ) {
        let (mut one, mut other) = (one.lines(), other.lines());
        let mut log = Vec::new();
        for turn in turns {
            let line = if turn { one.next().map(|line| (1, line)) } else { other.next().map(|line| (2, line)) };
            log.extend(line.map(|(pid, line)| (pid, line.to_owned())));
        }
        let unit = || Unit { log: log.clone(), come: 0, last: None };
        let all = counted(&mut unit(), &[usize::MAX]);
        prop_assert_eq!(seen(&counted(&mut unit(), &looks)), seen(&all));
    }
}

#[test]
fn a_trace_that_is_longer_than_what_is_remembered_is_one_record_wherever_it_is_cut() {
    let python = "2026-11-20 02:00:00,123 ERROR app: cannot\nTraceback (most recent call last):\n".to_owned()
        + &"  File \"a.py\", line 1, in a\n    a()\n".repeat(300)
        + "RecursionError: maximum recursion depth exceeded\n";
    let java = "2026-11-20 02:00:00.123 ERROR 1 --- [main] app.Main : failed\njava.lang.StackOverflowError\n"
        .to_owned()
        + &"\tat app.Main.run(Main.java:3)\n".repeat(600)
        + "Caused by: java.io.IOException: gone\n\t... 3 more\n";
    for text in [python, java] {
        let lines = text.lines().count();
        for cut in [1, 2, 3, 200, 255, 256, 257, 258, 259, 400, 501, lines - 1] {
            let tally = counted(&mut Engine::saying(&text, 1000), &[cut, lines]);
            assert_eq!(seen(&tally), [1, 1, lines as u64], "cut at {cut}");
        }
    }
}

#[test]
fn lines_that_came_late_are_read_once_also_where_more_was_said_than_is_remembered() {
    // Each second line waits for its turn while others are written.
    let log: Vec<(i64, String, bool)> =
        (0..1000).map(|number| (number * 100 - number % 2 * 5000, format!("INFO: order {number}"), false)).collect();
    for cut in (250..300).step_by(7) {
        let tally = counted(&mut Engine::of(log.clone()), &[cut, cut + 7, cut + 300, 1000]);
        assert_eq!(seen(&tally), [1000, 0, 1000], "cut at {cut}");
    }
}

/// What is opened already.
struct Ready(Option<Opened>);

impl Source for Ready {
    fn name(&self) -> &'static str {
        "app-1"
    }

    fn key(&self) -> String {
        "container:app-1".to_owned()
    }

    fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        Ok(self.0.take().unwrap_or_else(nothing))
    }

    fn close(&mut self, _: u64, marks: Marks) -> Result<Cursor, SourceError> {
        Ok(Cursor::Lanes(marks))
    }
}

#[test]
fn a_container_that_takes_the_place_of_another_does_not_go_on_with_its_record() {
    let records = |opened: Opened| {
        let reading = look::read(&mut Ready(Some(opened)), None, &START, &criteria(), None);
        reading.unwrap_or_else(|error| panic!("{error}")).count.tally.records
    };
    let new = || {
        said("2026-11-20T12:00:00.000000000Z     indented\n".as_bytes(), &Recent::default(), DateTime::<Utc>::MAX_UTC)
            .unwrap()
            .0
    };
    assert_eq!(records(follow(nothing(), new())), 1, "where the old one is gone");
    for cut in 1..5 {
        let mut old = Engine::saying(RECORDS[1], 1000);
        assert_eq!(counted(&mut old, &[cut]).records, 1);
        let rest = old.open(None, &START).unwrap_or_else(|error| panic!("{error}"));
        assert!(!rest.before.is_empty());
        assert_eq!(records(follow(rest, new())), 1, "behind what was read of the old one, cut at {cut}");
    }
}
