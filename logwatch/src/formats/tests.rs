//! Heads, judgements and times of whole lines; and the corpora: whole logs with what each record is expected to be.

mod fuzz;
use std::fs;
use std::path::Path;

use chrono::{DateTime, FixedOffset, Utc};
use proptest::prelude::*;

use super::*;

/// The judgement of a record, as a corpus states it: level and rule.
fn judged(record: &str) -> String {
    let line = record.lines().next().unwrap_or_default();
    let head = head(line.as_bytes());
    let Judgement { level, rule } = judge(record.as_bytes(), head.as_ref());
    format!("{} {rule}", Level::told(level))
}

fn message(line: &str) -> &str {
    &line[super::message(line.as_bytes(), head(line.as_bytes()).as_ref())..]
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn time_of(line: &str, zone: &str, now: &str) -> Option<DateTime<Utc>> {
    time(line.as_bytes(), Zone::parse(zone).unwrap(), moment(now))
}

/// The records of a corpus, each with its expected judgement and the number of its first line.
fn records(corpus: &str) -> Vec<(usize, &str, String)> {
    let mut records: Vec<(usize, &str, String)> = Vec::new();
    for (number, line) in corpus.lines().enumerate() {
        match (line.strip_prefix("#= "), records.last_mut()) {
            (Some(expected), _) => records.push((number + 2, expected, String::new())),
            (None, Some((_, _, record))) if record.is_empty() => record.push_str(line),
            (None, Some((_, _, record))) => *record = format!("{record}\n{line}"),
            (None, None) => panic!("line {} belongs to no record", number + 1),
        }
    }
    records
}

#[test]
fn every_record_of_the_corpora_is_judged_as_it_is_annotated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let corpus = fs::read_to_string(&path).unwrap();
        let records = records(&corpus);
        // Where a wire wraps the lines, annotations say more; what is in them is tested with the engine.
        if records.iter().any(|(_, expected, _)| expected.split(' ').count() > 2) {
            continue;
        }
        for (line, expected, record) in records {
            count += 1;
            let actual = judged(&record);
            if actual != expected {
                wrong.push(format!("{name}:{line}: {actual}, not {expected}: {}", record.lines().next().unwrap()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} records:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "only {count} records were read");
}

#[test]
fn the_message_begins_behind_time_level_process_and_name() {
    for (line, expected) in [
        ("2024-05-01 12:00:00,123 [main] ERROR c.e.Shop - out of stock", "out of stock"),
        ("2024-05-01T12:00:00.123Z ERROR 1 --- [nio-8080-exec-1] c.e.Shop   : out of stock", "out of stock"),
        ("2024-05-01T12:00:00.123Z ERROR shop::cart: out of stock", "out of stock"),
        ("2024-05-01 12:00:00,123 - shop.cart - ERROR - out of stock", "out of stock"),
        ("2024-05-01 12:00:00.123 | ERROR    | shop:cart:12 - out of stock", "out of stock"),
        ("[2024-05-01 12:00:00 +0000] [7] [ERROR] out of stock", "out of stock"),
        ("[2024-05-01 12:00:00] production.ERROR: out of stock {\"id\":7}", "out of stock {\"id\":7}"),
        ("2024/04/27 14:35:22 [error] 12#0: *6 out of stock", "*6 out of stock"),
        ("2024-05-01 12:00:00 UTC [77] ERROR:  out of stock", "out of stock"),
        ("2024-05-01T12:00:00.1Z 8 [ERROR] [MY-010] [Server] out of stock", "out of stock"),
        ("1:M 01 May 2024 12:00:00.123 # out of stock", "out of stock"),
        ("E0501 12:00:00.123456   12345 cart.go:123] out of stock", "out of stock"),
        ("E, [2024-05-01T12:00:00.123456 #1] ERROR -- : out of stock", "out of stock"),
        ("May  1 12:00:00 web1 shop[123]: out of stock", "out of stock"),
        ("<34>1 2024-05-01T12:00:00.003Z web1 shop 7 ID47 [a b=\"]\"] out of stock", "out of stock"),
        ("{\"level\":50,\"time\":1,\"msg\":\"out of stock\"}", "out of stock\"}"),
        ("{\"level\":30,\"time\":1,\"msg\":\"out of stock\"}", "out of stock\"}"),
        ("{\"level\":30,\"error\":\"out of stock\"}", "out of stock\"}"),
        ("{\"level\":30,\"items\":7}", "{\"level\":30,\"items\":7}"),
        ("time=\"2024-05-01T12:00:00Z\" level=error msg=\"out of stock\"", "out of stock\""),
        ("ERROR:shop.cart:out of stock", "out of stock"),
        ("ERROR:    out of stock", "out of stock"),
        ("error: out of stock", "out of stock"),
        ("[ERROR] out of stock", "out of stock"),
        ("2024-05-01 12:00:00 ERROR ValueError: out of stock", "ValueError: out of stock"),
        ("2024/05/01 12:00:00 out of stock", "out of stock"),
        ("PHP Fatal error:  out of stock", "out of stock"),
        ("[    12.345678] usb 1-1: out of stock", "usb 1-1: out of stock"),
    ] {
        assert_eq!(message(line), expected, "of {line:?}");
    }
}

#[test]
fn what_goes_on_with_a_record_is_no_head() {
    for line in [
        "",
        "    at Object.<anonymous> (/app/index.js:10:5)",
        "\tat com.example.Shop.main(Shop.java:12)",
        "Caused by: java.io.IOException: closed",
        "  File \"/app/main.py\", line 3, in <module>",
        "ValueError: invalid literal",
        "Error: connect ECONNREFUSED",
        "#0 /app/vendor/autoload.php(12): x()",
        "[stacktrace]",
        "[previous exception] [object] (PDOException(code: 0): gone at /app/x.php:3)",
        "PHP Stack trace:",
        "PHP   1. {main}() /app/index.php:0",
        "[01-May-2024 12:00:00 UTC] PHP Stack trace:",
        "[01-May-2024 12:00:00 UTC] PHP   1. {main}() /app/index.php:0",
        "2024-05-01 12:00:00.123 UTC [77] DETAIL:  Key (id)=(7) already exists.",
        "2024-05-01 12:00:00.123 UTC [77] app@shop STATEMENT:  select 1",
        "2024-05-01 12:00:00 UTC:10.0.0.1(5432):app@shop:[77]:HINT:  try again",
        "DETAIL:  Key (id)=(7) already exists.",
        "goroutine 1 [running]:",
        "main.main()",
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        "{",
        "}",
        "2024-05-01,7,8",
        "SET timestamp=1714564807;",
        "# Query_time: 2.1  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 1",
        "... 12 more",
    ] {
        assert_eq!(head(line.as_bytes()), None, "of {line:?}");
    }
}

#[test]
fn lines_of_nothing_but_headers_are_read_without_deep_recursion() {
    for part in
        ["May  1 12:00:00 h p[1]: ", "2024-05-01T12:00:00Z h p[1]: ", "<3>", "[main] ", "[x] 2024-05-01 12:00:00 "]
    {
        assert!(judged(&part.repeat(40_000)).contains(' '), "of {part:?}");
    }
}

const NOW: &str = "2024-05-02T00:00:00Z";

#[test]
fn one_moment_is_read_from_the_lines_of_all_formats() {
    for line in [
        "2024-05-01T12:00:07Z host app[1]: x",
        "2024-05-01T15:00:07+03:00 ERROR x",
        "2024-05-01T15:00:07+0300 ERROR x",
        "2024-05-01 15:00:07 +03 [77] LOG:  x",
        "2024-05-01 12:00:07 UTC [77] LOG:  x",
        "2024-05-01 15:00:07,000 [main] INFO x",
        "[2024-05-01 15:00:07] production.ERROR: x",
        "[2024-05-01T12:00:07.000000+00:00] request.ERROR: x",
        "2024/05/01 15:00:07 [error] 12#0: x",
        "10.0.0.1 - bob [01/May/2024:05:00:07 -0700] \"GET / HTTP/1.1\" 200 12",
        "shop.example:443 10.0.0.1 - - [01/May/2024:05:00:07 -0700] \"GET / HTTP/1.1\" 200 12",
        "May  1 15:00:07 host app[1]: x",
        "<34>May  1 15:00:07 host app[1]: x",
        "<34>1 2024-05-01T12:00:07Z host app 7 - - x",
        "E0501 15:00:07.000000       1 x.go:1] x",
        "E, [2024-05-01T15:00:07.000000 #1] ERROR -- : x",
        "1:M 01 May 2024 15:00:07.000 # x",
        "1:M 01 May 15:00:07.000 # x",
        "[01-May-2024 15:00:07] WARNING: x",
        "[01-May-2024 12:00:07 UTC] PHP Warning:  x",
        "[Wed May 01 15:00:07.000000 2024] [core:error] [pid 1] x",
        "May 01, 2024 3:00:07 PM org.x.Y z",
        "[Nest] 1  - 05/01/2024, 3:00:07 PM   ERROR x",
        "[E 240501 15:00:07 web:1] x",
        "[ERROR] 2024-05-01T12:00:07Z x",
        "=ERROR REPORT==== 1-May-2024::15:00:07 ===",
        "# Time: 2024-05-01T12:00:07.000000Z",
        "240501 15:00:07 [ERROR] x",
        "1714564807 x",
        "1714564807000 x",
        "{\"level\":50,\"time\":1714564807000,\"msg\":\"x\"}",
        "{\"level\":\"error\",\"ts\":1714564807.0,\"msg\":\"x\"}",
        "{\"level\":\"error\",\"ts\":1.714564807e+09,\"msg\":\"x\"}",
        "{\"@timestamp\":\"2024-05-01T12:00:07.000Z\",\"log.level\":\"error\"}",
        "{\"t\":{\"$date\":\"2024-05-01T12:00:07.000+00:00\"},\"s\":\"E\"}",
        "{\"severity\":\"ERROR\",\"timestamp\":{\"seconds\":1714564807,\"nanos\":0}}",
        "time=\"2024-05-01T12:00:07Z\" level=error msg=x",
        "level=error ts=1714564807.000 msg=x",
        "level=error time=2024-05-01T12:00:07.000Z msg=x",
    ] {
        assert_eq!(time_of(line, "+03:00", NOW), Some(moment("2024-05-01T12:00:07Z")), "of {line:?}");
    }
}

#[test]
fn lines_without_a_date_have_no_time() {
    for line in [
        "12:00:00.123 [main] ERROR x",
        "plain words",
        "",
        "{\"level\":30}",
        "{\"time\":\"soon\"}",
        "level=error",
        "2024-13-01 12:00:00 x",
    ] {
        assert_eq!(time_of(line, "utc", NOW), None, "of {line:?}");
    }
}

#[test]
fn a_date_without_a_year_is_the_latest_that_is_not_ahead() {
    for (line, now, expected) in [
        ("Dec 31 23:59:59 h p: x", "2025-01-01T00:00:05Z", "2024-12-31T23:59:59Z"),
        ("Jan  1 00:00:01 h p: x", "2024-12-31T23:59:58Z", "2025-01-01T00:00:01Z"),
        ("May  3 00:00:00 h p: x", "2024-05-01T12:00:00Z", "2023-05-03T00:00:00Z"),
        ("Feb 29 12:00:00 h p: x", "2026-11-20T00:00:00Z", "2024-02-29T12:00:00Z"),
        ("Feb 29 12:00:00 h p: x", "2024-02-28T13:00:00Z", "2024-02-29T12:00:00Z"),
        ("I1231 23:59:59.000000 1 x.go:1] x", "2025-01-01T00:00:05Z", "2024-12-31T23:59:59Z"),
    ] {
        assert_eq!(time_of(line, "utc", now), Some(moment(expected)), "of {line:?}");
    }
}

#[test]
fn fractions_inserted_seconds_and_midnight_are_read() {
    for (line, expected) in [
        ("2024-05-01 12:00:07,123 INFO x", "2024-05-01T12:00:07.123Z"),
        ("2024-05-01T12:00:07.123456789Z x", "2024-05-01T12:00:07.123456789Z"),
        ("2024-12-31T23:59:60Z x", "2024-12-31T23:59:59.999999999Z"),
        ("05/01/2024, 12:00:07 AM x", "2024-05-01T00:00:07Z"),
        ("{\"time\":1714564807123456789}", "2024-05-01T12:00:07.123456789Z"),
        ("{\"ts\":1.7145648071234567e9}", "2024-05-01T12:00:07.1234567Z"),
    ] {
        assert_eq!(time_of(line, "utc", NOW), Some(moment(expected)), "of {line:?}");
    }
}

#[test]
fn an_offset_in_the_line_counts_more_than_the_zone() {
    let line = "2024-05-01T12:00:07+05:30 x";
    assert_eq!(time_of(line, "+03:00", NOW), time_of(line, "utc", NOW));
    let zone = Zone::Fixed(FixedOffset::east_opt(0).unwrap());
    assert_eq!(time(line.as_bytes(), zone, moment(NOW)), Some(moment("2024-05-01T06:30:07Z")));
}

/// All that is done with a line; that it comes back is what is tested.
fn look_at(line: &[u8]) {
    let head = head(line);
    judge(line, head.as_ref());
    judge(line, None);
    time(line, Zone::Local, moment(NOW));
    if let Some(head) = head {
        assert!(
            super::message(line, Some(&head)) <= line.len(),
            "the message of {:?} is outside",
            String::from_utf8_lossy(line)
        );
    }
}

/// Pieces of which lines of logs are made, so that chance gets far into them.
const PIECES: [&str; 48] = [
    "{",
    "}",
    "\"level\"",
    ":",
    "\"error\"",
    "50",
    ",",
    "\\",
    "\"",
    "[",
    "]",
    "2024-05-01",
    "T",
    " ",
    "12:00:00",
    ".123",
    "Z",
    "+03:00",
    "ERROR",
    "level=",
    "<34>",
    "1 ",
    "May  1 ",
    "host ",
    "app[1]: ",
    "E0501 ",
    "E, [",
    "PHP ",
    "Fatal error: ",
    "10.0.0.1 - - ",
    "[01/May/2024:12:00:00 +0000] ",
    "\"GET / HTTP/1.1\" ",
    "500",
    "1:M ",
    "01 May 2024 ",
    "# ",
    "UTC",
    "thread '",
    "' panicked at ",
    "production.ERROR: ",
    "é",
    "\n",
    "errors: 0",
    "failed",
    "1714564807",
    "e+09",
    "-",
    "=",
];

/// The head in the full order of all formats, without the short ways to what most lines are.
fn in_full_order(line: &[u8]) -> Option<Head> {
    let unwrapped = |line: &[u8]| match line.first()? {
        b'{' => json::by_fields(line),
        b'0'..=b'9' => server::redis(line).or_else(|| text::dated(line, Nesting::Outer)).or_else(|| access::head(line)),
        _ => unwrapped(line, Nesting::Outer),
    };
    match line.first()? {
        b'<' => syslog::with_priority(line),
        b'N' if line.starts_with(php::MESSAGE) => Some(php::message(line)),
        b'A'..=b'Z' => syslog::without_priority(line).or_else(|| unwrapped(line)),
        _ => unwrapped(line),
    }
}

/// Lines of the corpora, and some for each short way.
fn known_lines() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let texts = files.map(|path| fs::read(path).unwrap());
    let short: &[&[u8]] = &[
        b"INFO:     10.0.0.9:41389 - \"GET /x HTTP/1.1\" 200 OK",
        b"INFO:     12 --- \"GET / HTTP/1.1\" 200",
        b"INFO:     12#0: \"GET / HTTP/1.1\" 200",
        b"10.0.0.9 - - [01/May/2024:12:00:00 +0000] \"GET / HTTP/1.1\" 200 12",
        b"1.5: 12:00:00 ERROR x",
        b"{\"level\":30,\"time\":1,\"msg\":\"x\"}",
        b"{\"level\":\"info\",\"msg\":\"x\",\"level\":\"error\"}",
        b"{\"level\":\"error\",\"msg\":\"x\"}",
    ];
    let lines = texts.flat_map(|text| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>());
    lines.filter(|line| !line.starts_with(b"#= ")).chain(short.repeat(60).into_iter().map(<[u8]>::to_vec)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_short_ways_say_what_the_full_order_says(
        mut line in prop::sample::select(known_lines()),
        changes in proptest::collection::vec((0..3_usize, any::<prop::sample::Index>(), 0..PIECES.len(), any::<u8>()), 0..4),
    ) {
        for (how, at, piece, byte) in changes {
            // Most of what tells a format stands at the beginning.
            let at = at.index(line.len().min(40) + 1);
            match how {
                0 => drop(line.splice(at..at, PIECES[piece].bytes())),
                1 => drop(line.splice(at..(at + 1).min(line.len()), [byte])),
                _ => drop(line.splice(at..(at + 2).min(line.len()), [])),
            }
        }
        prop_assert_eq!(head(&line), in_full_order(&line), "of {:?}", String::from_utf8_lossy(&line));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        look_at(&line);
    }

    #[test]
    fn no_line_made_of_pieces_of_logs_makes_it_panic(pieces in proptest::collection::vec(0..PIECES.len(), 0..24)) {
        let line: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        look_at(line.as_bytes());
        look_at(&line.as_bytes()[..line.len() / 2]);
    }
}
