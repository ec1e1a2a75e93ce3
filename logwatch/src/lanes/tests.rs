use std::fmt::Write;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::chunk::Ending;
use crate::engine::{self, Origin, Taken};
use crate::examine::{Criteria, Judged};
use crate::formats::Zone;
use crate::sources::Part;

fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn criteria() -> Criteria {
    Criteria {
        told_apart: Some(Level::Warning),
        patterns: Vec::new(),
        ignores: Vec::new(),
        secrets: false,
        key: [0; 32],
        zone: Zone::Local,
        now: now(),
        not_before: None,
        trend: None,
    }
}

/// What came of a stream: the lane and the text of each record, and what was counted.
fn read(bytes: &[u8], wire: Option<Wire>, marks: &mut Marks) -> (Vec<(String, String)>, Taken) {
    let criteria = criteria();
    let mut records = Vec::new();
    let mut observer = |judged: &Judged<'_>| {
        records.push((judged.lane.to_owned(), String::from_utf8_lossy(judged.record).into_owned()));
    };
    let stream = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let part = Part { stream, wire, ending: Ending::Open };
    let taken = engine::read(part, Origin::default(), marks, &criteria, Some(&mut observer)).unwrap();
    (records, taken)
}

fn records(bytes: &[u8]) -> Vec<(String, String)> {
    read(bytes, None, &mut Marks::new()).0
}

fn docker_line(log: &str, stream: &str, second: u32) -> String {
    let log = serde_json::to_string(log).unwrap();
    format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"2026-05-01T10:00:{second:02}.5Z\"}}\n")
}

fn journal_line(fields: &str) -> String {
    format!("{{\"__CURSOR\":\"s=1;i=2\",\"__REALTIME_TIMESTAMP\":\"1777629600000000\",{fields}}}\n")
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(lane, text)| ((*lane).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn the_first_lines_tell_what_wraps_them() {
    let cases: [(&str, Wire); 14] = [
        ("app-1  | hello\ndb-1   | ready\n", Wire::Compose),
        ("my_app.web-1  | 2026-05-01T10:00:00.123456789Z x\n", Wire::Compose),
        ("2026-05-01T10:00:00.123456789Z x\n2026-05-01T10:00:00.123456790Z \n", Wire::Compose),
        ("Attaching to app-1\napp-1  | x\napp-1  | \n", Wire::Compose),
        ("\x1b[36mapp-1  | \x1b[0mhello\n", Wire::Compose),
        ("2026-05-01T10:00:00.123456Z  INFO app: x\n", Wire::Plain),
        ("INFO     | a message\nWARNING  | another\n", Wire::Plain),
        ("2026-05-01 10:00:00.123 | INFO     | app:main:1 - x\n", Wire::Plain),
        ("{\"log\":\"x\\n\",\"stream\":\"stderr\",\"time\":\"2026-05-01T10:00:00.1Z\"}\n", Wire::DockerJson),
        (
            "broken\",\"time\":1}\n{\"log\":\"x\\n\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"b\"},\"time\":\"2026-05-01T10:00:00Z\"}\n\
          {\"log\":\"y\\n\",\"stream\":\"stdout\",\"time\":\"2026-05-01T10:00:00Z\"}\n",
            Wire::DockerJson,
        ),
        ("{\"level\":50,\"time\":1690000000000,\"msg\":\"x\",\"log\":\"y\"}\n", Wire::Plain),
        ("{\"log\":\"x\",\"stream\":\"audit\",\"time\":\"2026-05-01T10:00:00Z\"}\n", Wire::Plain),
        ("{\"__REALTIME_TIMESTAMP\":\"1777629600000000\",\"MESSAGE\":\"x\"}\n", Wire::Journal),
        ("", Wire::Plain),
    ];
    for (beginning, expected) in cases {
        assert_eq!(sniff(beginning.as_bytes()), expected, "of {beginning:?}");
    }
}

#[test]
fn replicas_are_kept_apart_and_padding_and_colours_go() {
    let text = "app-1       | Traceback (most recent call last):\n\
                worker.a-2  | Traceback (most recent call last):\n\
                app-1       |   File \"a.py\", line 1, in a\n\
                worker.a-2  |   File \"b.py\", line 1, in b\n\
                app-1       | ValueError: a\n\
                \x1b[33mworker.a-2  |\x1b[0m \x1b[31mKeyError\x1b[0m: 'b'\n\
                app-1 exited with code 1\n\
                worker.a-2 has been recreated\n";
    let expected = owned(&[
        ("app-1", "Traceback (most recent call last):\n  File \"a.py\", line 1, in a\nValueError: a"),
        ("worker.a-2", "Traceback (most recent call last):\n  File \"b.py\", line 1, in b\nKeyError: 'b'"),
    ]);
    assert_eq!(records(text.as_bytes()), expected);
}

#[test]
fn a_line_that_the_engine_cut_is_one_line() {
    let (start, middle, end) = ("a".repeat(16 << 10), "b".repeat(16 << 10), "c\n");
    let text = docker_line(&start, "stdout", 1)
        + &docker_line("other\n", "stderr", 1)
        + &docker_line(&middle, "stdout", 1)
        + &docker_line(end, "stdout", 2)
        + &docker_line("never ended", "stdout", 3);
    let (records, taken) = read(text.as_bytes(), None, &mut Marks::new());
    let whole = start + &middle + "c";
    assert!(records == owned(&[("stdout", &whole), ("stdout", "never ended"), ("stderr", "other")]), "of cut lines");
    assert_eq!((taken.tally.lines, taken.tally.cut_lines), (3, 0));
}

#[test]
fn a_line_that_never_ends_is_bounded() {
    let part = docker_line(&"x".repeat(16 << 10), "stdout", 1).repeat(100);
    let text = part + &docker_line("\n", "stdout", 1) + &docker_line("next\n", "stdout", 1);
    let (records, taken) = read(text.as_bytes(), None, &mut Marks::new());
    assert_eq!((records[0].1.len(), records[1].1.as_str()), (crate::chunk::LONGEST_LINE, "next"));
    assert_eq!((records.len(), taken.tally.cut_lines), (2, 1));
}

#[test]
fn what_is_broken_in_the_middle_is_garbage_and_at_the_end_is_left_for_the_next_run() {
    let whole =
        docker_line("one\n", "stdout", 1) + "{\"log\":\"two\\n\",\"str\n" + &docker_line("three\n", "stdout", 1);
    let half = "{\"log\":\"four\\n\",\"stream\":\"std";
    let (records, taken) = read((whole.clone() + half).as_bytes(), None, &mut Marks::new());
    assert_eq!(records, owned(&[("stdout", "one"), ("stdout", "three")]));
    assert_eq!((taken.tally.garbage, taken.bytes), (1, whole.len() as u64));
}

#[test]
fn escapes_are_decoded_and_colours_within_go() {
    let text = docker_line("\u{1b}[31mERROR\u{1b}[0m \"caf\u{e9}\" \u{1f600}\r\n", "stderr", 1);
    assert_eq!(records(text.as_bytes()), owned(&[("stderr", "ERROR \"caf\u{e9}\" \u{1f600}")]));
}

#[test]
fn zeros_of_a_power_cut_hide_no_line() {
    let text = docker_line("one\n", "stdout", 1) + "\0\0\0\0" + &docker_line("two\n", "stdout", 1);
    assert_eq!(records(text.as_bytes()), owned(&[("stdout", "one"), ("stdout", "two")]));
}

#[test]
fn a_message_of_the_journal_is_one_record_whatever_is_in_it() {
    let forged = journal_line(
        r#""MESSAGE":"login failed\n2026-05-01 10:00:00 ERROR forged","PRIORITY":"5","_TRANSPORT":"syslog","_PID":"7","_SYSTEMD_UNIT":"ssh.service""#,
    );
    let bytes = journal_line(r#""MESSAGE":[104,105,255],"PRIORITY":"3","SYSLOG_IDENTIFIER":"app""#);
    let nothing = journal_line(r#""MESSAGE":null,"PRIORITY":"6","_TRANSPORT":"journal""#);
    let (records, taken) = read((forged + &bytes + &nothing).as_bytes(), None, &mut Marks::new());
    let expected = owned(&[
        ("ssh.service[7]", "login failed\n2026-05-01 10:00:00 ERROR forged"),
        ("app", "hi\u{fffd}"),
        ("journal", ""),
    ]);
    assert_eq!(records, expected);
    assert_eq!(taken.journal.as_deref(), Some("s=1;i=2"));
}

#[test]
fn a_trace_that_a_unit_prints_line_by_line_is_one_record() {
    let line = |text: &str, pid: u32| {
        journal_line(&format!(
            r#""MESSAGE":{text:?},"PRIORITY":"6","_TRANSPORT":"stdout","_PID":"{pid}","_SYSTEMD_UNIT":"app.service""#
        ))
    };
    let text = line("Traceback (most recent call last):", 1)
        + &line("hello", 2)
        + &line("  File \"a.py\", line 1, in a", 1)
        + &line("ValueError: a", 1);
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in a\nValueError: a";
    assert_eq!(records(text.as_bytes()), owned(&[("app.service[1]", trace), ("app.service[2]", "hello")]));
}

#[test]
fn priorities_are_levels_but_for_what_is_only_printed() {
    let level = |fields: &str| {
        let object = journal_line(fields);
        unwrap(Wire::Journal, object.trim_end().as_bytes(), &mut Vec::new()).unwrap().level
    };
    assert_eq!(level(r#""PRIORITY":"2","_TRANSPORT":"stdout""#), Some(Level::Critical));
    assert_eq!(level(r#""PRIORITY":"6","_TRANSPORT":"stdout""#), None);
    assert_eq!(level(r#""PRIORITY":"6","_TRANSPORT":"journal""#), Some(Level::Info));
    assert_eq!(level(r#""PRIORITY":["3","4"]"#), None);
}

#[test]
fn times_of_the_engine_have_up_to_nine_digits() {
    let parse = |text: &str| stamp::parse(text.as_bytes()).map(|time| time.to_rfc3339());
    assert_eq!(parse("2026-02-28T23:59:59.000000001Z").as_deref(), Some("2026-02-28T23:59:59.000000001+00:00"));
    assert_eq!(parse("2024-02-29T00:00:00.5Z").as_deref(), Some("2024-02-29T00:00:00.500+00:00"));
    for wrong in ["2026-02-29T00:00:00Z", "2026-02-28T24:00:00Z", "2026-02-28T00:00:00.Z", "2026-02-28 00:00:00Z", ""] {
        assert_eq!(parse(wrong), None, "of {wrong:?}");
    }
}

/// Lines of one container, each with its nanosecond.
fn stamped(lines: &[(u32, &str)]) -> String {
    lines.iter().fold(String::new(), |mut all, (nano, text)| {
        writeln!(all, "app-1  | 2026-05-01T10:00:00.{nano:09}Z {text}").unwrap();
        all
    })
}

#[test]
fn lines_of_a_former_run_are_dropped_and_twins_count() {
    let mut marks = Marks::new();
    let first = stamped(&[(1, "a"), (2, "b"), (2, "b"), (2, "c")]);
    assert_eq!(read(first.as_bytes(), None, &mut marks).0.len(), 4);
    let second = stamped(&[(1, "a"), (2, "b"), (2, "b"), (2, "c"), (2, "b"), (3, "a"), (3, "a")]);
    let (records, taken) = read(second.as_bytes(), None, &mut marks);
    assert_eq!(records, owned(&[("app-1", "b"), ("app-1", "a"), ("app-1", "a")]));
    assert_eq!(taken.tally.repeated, 4);
    let (records, taken) = read(stamped(&[(3, "a"), (3, "a")]).as_bytes(), None, &mut marks);
    assert_eq!((records.len(), taken.tally.repeated), (0, 2));
}

#[test]
fn a_clock_that_was_set_back_hides_nothing_behind_a_new_line() {
    let mut marks = Marks::new();
    read(stamped(&[(5, "a")]).as_bytes(), None, &mut marks);
    let (records, _) = read(stamped(&[(5, "a"), (6, "b"), (3, "c")]).as_bytes(), None, &mut marks);
    assert_eq!(records, owned(&[("app-1", "b"), ("app-1", "c")]));
}

#[test]
fn a_mark_from_the_future_hides_nothing() {
    let mark = Mark { last: now() + TimeDelta::hours(2), hashes: Vec::new() };
    let mut marks = Marks::from([("app-1".to_owned(), mark)]);
    assert_eq!(read(stamped(&[(5, "a")]).as_bytes(), None, &mut marks).0.len(), 1);
    assert!(marks["app-1"].last < now());
}

#[test]
fn a_trace_whose_beginning_was_read_before_is_not_counted_again() {
    let mut marks = Marks::new();
    let first = [(1, "Traceback (most recent call last):"), (2, "  File \"a.py\", line 1, in a")];
    assert_eq!(read(stamped(&first).as_bytes(), None, &mut marks).0.len(), 1);
    let second = [&first[..], &[(3, "ValueError: a"), (4, "next")]].concat();
    assert_eq!(read(stamped(&second).as_bytes(), None, &mut marks).0, owned(&[("app-1", "next")]));
}

#[test]
fn a_mark_holds_a_bounded_number_of_hashes_and_lanes() {
    let mut text = String::new();
    for lane in 0..1200 {
        writeln!(text, "app-{lane:04}  | 2026-05-01T10:00:00.{lane:09}Z x").unwrap();
    }
    let twins: Vec<(u32, &str)> = vec![(9_999, "twin"); 3000];
    let mut marks = Marks::new();
    let (records, _) = read((text + &stamped(&twins)).as_bytes(), None, &mut marks);
    assert_eq!((records.len(), marks.len(), marks["app-1"].hashes.len()), (4200, 1024, 1024));
}

#[test]
fn many_lanes_with_open_records_take_bounded_memory_and_lose_no_record() {
    let mut text = String::new();
    for lane in 0..3000 {
        writeln!(text, "app-{lane}  | first {lane}\napp-{lane}  |   {}", "x".repeat(60_000)).unwrap();
    }
    let (records, taken) = read(text.as_bytes(), None, &mut Marks::new());
    assert_eq!((records.len(), taken.tally.lines), (3000, 6000));
}

proptest! {
    #[test]
    fn the_order_of_fields_means_nothing(log in "(\\PC|[\"\\\\\n\t]){0,40}\n?", is_error: bool) {
        let stream = if is_error { "stderr" } else { "stdout" };
        let usual = docker_line(&log, stream, 1);
        let (log, time) = (serde_json::to_string(&log).unwrap(), "2026-05-01T10:00:01.5Z");
        let other = format!("{{\"time\":\"{time}\",\"stream\":\"{stream}\",\"log\":{log}}}");
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let unwrapped = unwrap(Wire::DockerJson, usual.trim_end().as_bytes(), &mut one);
        prop_assert!(unwrapped.is_some());
        prop_assert_eq!(unwrapped, unwrap(Wire::DockerJson, other.as_bytes(), &mut two));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), cut in 0_usize..200) {
        for wire in [Wire::Plain, Wire::Compose, Wire::DockerJson, Wire::Journal] {
            read(&bytes, Some(wire), &mut Marks::new());
        }
        let mut broken = stamped(&[(1, "a"), (2, "b")]) + &docker_line("x\n", "stdout", 1) + &journal_line(r#""MESSAGE":"x""#);
        broken.truncate(cut);
        read(&[broken.as_bytes(), &bytes].concat(), None, &mut Marks::new());
    }

    #[test]
    fn each_line_counts_once_however_runs_overlap(
        nanos in prop::collection::vec(0_u32..6, 1..40),
        cuts in prop::collection::vec((0_usize..40, 0_usize..6), 1..6),
    ) {
        let mut times = nanos;
        times.sort_unstable();
        // Every other line says the same.
        let lines: Vec<(u32, &str)> = times.iter().enumerate().map(|(n, time)| (*time, ["same", "x", "same", "y"][n % 4])).collect();
        let mut marks = Marks::new();
        let (mut counted, mut end) = (0, 0);
        for (step, back) in cuts {
            let from = usize::saturating_sub(end, back);
            // The engine gives all lines since a time: never only some of one nanosecond.
            let from = lines[..from].iter().rposition(|(time, _)| lines.get(from).is_none_or(|next| *time != next.0)).map_or(0, |last| last + 1);
            let to = lines.len().min(end + step);
            counted += read(stamped(&lines[from..to]).as_bytes(), Some(Wire::Compose), &mut marks).0.len();
            end = to;
        }
        prop_assert_eq!(counted, end);
    }
}

#[test]
fn hundreds_of_thousands_of_names_are_read_and_the_newest_are_remembered() {
    const LINES: usize = 300_000;
    let mut text = String::new();
    for number in 0..LINES {
        writeln!(text, "app-{number}  | 2026-05-01T10:00:00.{number:09}Z ERROR: one of many").unwrap();
    }
    let mut marks = Marks::new();
    let (records, taken) = read(text.as_bytes(), Some(Wire::Compose), &mut marks);
    assert_eq!((records.len(), taken.tally.errors, marks.len()), (LINES, LINES as u64, 1024));
    assert!(marks.contains_key(&format!("app-{}", LINES - 1)));
}

#[test]
fn a_name_that_is_longer_than_any_is_cut() {
    let text = format!("{}  | one\n{}  | two\n", "a".repeat(5000), "b".repeat(255)).repeat(20);
    let (records, _) = read(text.as_bytes(), None, &mut Marks::new());
    assert!(records.iter().all(|(lane, _)| lane.len() == 255) && records.len() == 40);
}

#[test]
fn a_line_that_is_put_together_of_many_parts_keeps_the_lines_within_it() {
    let part = "INFO: next\nERROR: a line among many\n".repeat(400) + "INFO: ";
    let text = docker_line(&part, "stdout", 1).repeat(10) + &docker_line("\n", "stdout", 1);
    assert_eq!(read(text.as_bytes(), Some(Wire::DockerJson), &mut Marks::new()).1.tally.errors, 4000);
}
