use std::fmt::Write;
use std::io::Cursor;

use super::*;
use crate::chunk::Ending;
use crate::examine::Judged;
use crate::records::{MOST_BYTES, MOST_LINES};

fn criteria() -> Criteria {
    Criteria { patterns: vec![Regex::new("needle").unwrap()], ..Criteria::plain() }
}

/// What was counted in a stream, and its records.
fn read_from(origin: Origin, text: &str) -> (Tally, Vec<String>) {
    let criteria = criteria();
    let mut records = Vec::new();
    let mut observer = |judged: &Judged<'_>| records.push(String::from_utf8_lossy(judged.record).into_owned());
    let stream = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let part = Part { stream, wire: Some(Wire::Plain), ending: Ending::Whole };
    let taken = read(part, origin, &mut Marks::new(), &criteria, Some(&mut observer)).unwrap();
    (taken.tally, records)
}

/// A trace of so many lines in all.
fn trace(lines: u32) -> String {
    let mut text = "Traceback (most recent call last):\n".to_owned();
    (1..lines).for_each(|line| writeln!(text, "  File \"a.py\", line {line}, in a").unwrap());
    text
}

/// What a secret search and an owner's pattern find: a made-up key of AWS, and a word.
const FOUND: &str = "  key AKIAQ7PLM2XKD5WNE4RT with a needle\n";

#[test]
fn a_record_without_end_is_looked_at_as_far_as_a_record_goes() {
    let text = trace(MOST_LINES) + FOUND + "2026-11-20 10:00:00 INFO next\n";

    let (tally, records) = read_from(Origin::default(), &text);

    assert_eq!((tally.lines, tally.records), (u64::from(MOST_LINES) + 2, 2));
    assert_eq!(records, [trace(MOST_LINES).trim_end(), "2026-11-20 10:00:00 INFO next"]);
    assert_eq!((tally.secrets.len(), tally.patterns[0].0), (0, 0), "what is behind the last line only counts");
}

#[test]
fn the_last_line_of_a_long_record_is_looked_at_like_its_first() {
    let text = trace(MOST_LINES - 1) + FOUND + "2026-11-20 10:00:00 INFO next\n";

    let (tally, records) = read_from(Origin::default(), &text);

    assert_eq!((tally.records, records[0].lines().count()), (2, MOST_LINES as usize));
    assert_eq!((tally.secrets.len(), tally.patterns[0].0), (1, 1));
}

#[test]
fn a_record_of_many_bytes_is_looked_at_as_far_as_a_record_goes() {
    let line = format!("  {}\n", "x".repeat(1000));
    let text = "Traceback (most recent call last):\n".to_owned() + &line.repeat(MOST_BYTES / 900) + "INFO: next\n";

    let (tally, records) = read_from(Origin::default(), &text);

    assert_eq!((tally.lines, tally.records), ((MOST_BYTES / 900) as u64 + 2, 2));
    assert!((MOST_BYTES - 2 * line.len()..=MOST_BYTES).contains(&records[0].len()), "{} bytes", records[0].len());
}

#[test]
fn the_end_of_a_long_record_of_the_last_run_takes_nothing_from_the_first_of_this_one() {
    let goes_on = Origin { goes_on: true, first_piece: 0 };
    let text = "  File \"a.py\", line 1, in a\n".repeat(MOST_LINES as usize + 7) + "2026-11-20 10:00:00 ERROR next\n";

    let (tally, records) = read_from(goes_on, &text);

    assert_eq!((tally.lines, tally.records, tally.errors), (u64::from(MOST_LINES) + 8, 1, 1));
    assert_eq!(records, ["2026-11-20 10:00:00 ERROR next"]);
}
