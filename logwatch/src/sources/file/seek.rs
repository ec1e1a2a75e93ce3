//! The first line of a file that is not older than a moment, found by halving: a log of gigabytes is not read for its last hour.

use std::io;

use chrono::{DateTime, Utc};

use super::generation::Generation;
use crate::formats;
use crate::lanes::{self, Wire};
use crate::sources::Start;

/// How much is read at each place that is tried, in bytes: more than most stack traces, whose lines say no time.
const BLOCK: usize = 64 << 10;

/// How much is read of a file whose lines say no time, in bytes.
pub(super) const UNDATED: u64 = 16 << 20;

/// Where in a file to begin, so that nothing is missed that is not older than `since`. None where its lines say no time.
pub(super) fn since(file: &Generation, since: DateTime<Utc>, start: &Start) -> io::Result<Option<u64>> {
    let size = file.length()?;
    let wire = lanes::sniff(&file.bytes(0, BLOCK)?);
    let mut search = Search { file, wire, start, since, from: 0, to: size, has_older: false };
    if search.probe(0)?.is_none() && search.probe(size.saturating_sub(BLOCK as u64))?.is_none() {
        return Ok(None);
    }
    while search.to - search.from > BLOCK as u64 {
        search.halve()?;
    }
    search.finish(size).map(Some)
}

/// Where to begin in a file whose lines say no time.
pub(super) fn undated(file: &Generation) -> io::Result<u64> {
    let size = file.length()?;
    if size <= UNDATED {
        return Ok(0);
    }
    let mut at = size - UNDATED;
    while at < size {
        let block = file.bytes(at, BLOCK)?;
        if block.is_empty() {
            break;
        }
        if let Some(feed) = memchr::memchr(b'\n', &block) {
            return Ok(at + feed as u64 + 1);
        }
        at += block.len() as u64;
    }
    // One line without end: from its beginning.
    file.end_of_lines(0, size)
}

/// A search for a moment.
struct Search<'a> {
    file: &'a Generation,
    wire: Wire,
    start: &'a Start,
    since: DateTime<Utc>,
    /// The beginning of a line before which everything is older.
    from: u64,
    /// What is behind it is not older, as far as it says so.
    to: u64,
    /// Whether any line was older.
    has_older: bool,
}

impl Search<'_> {
    /// The first line behind this place that says its time: where it begins, and the time.
    fn probe(&self, at: u64) -> io::Result<Option<(u64, DateTime<Utc>)>> {
        // One byte more, to see whether a line begins right here.
        let back = u64::from(at > 0);
        let block = self.file.bytes(at - back, BLOCK)?;
        let skipped = if at == 0 { Some(0) } else { memchr::memchr(b'\n', &block).map(|feed| feed + 1) };
        let Some(skipped) = skipped else { return Ok(None) };
        Ok(self.dated(&block[skipped..]).next().map(|(line, time)| (at - back + (skipped + line) as u64, time)))
    }

    /// Halves what is to be searched.
    fn halve(&mut self) -> io::Result<()> {
        let middle = self.from + (self.to - self.from) / 2;
        match self.probe(middle)? {
            // Within the half that was looked at, or a line that begins behind the end.
            Some((line, time)) if time < self.since && line < self.to => {
                self.from = line;
                self.has_older = true;
            }
            // Not older, or nobody knows: then rather too early.
            _ => self.to = middle,
        }
        Ok(())
    }

    /// The line itself, near the place that is left.
    fn finish(&mut self, size: u64) -> io::Result<u64> {
        let near = usize::try_from(self.to - self.from).unwrap_or(BLOCK).min(BLOCK);
        let block = self.file.bytes(self.from, near + 2 * BLOCK)?;
        let dated: Vec<_> = self.dated(&block).collect();
        let found = dated.iter().position(|(_, time)| *time >= self.since);
        self.has_older |= !dated.is_empty() && found != Some(0);
        match found {
            // What is before the first time of all belongs to no older record.
            _ if !self.has_older => Ok(self.from),
            Some(found) => Ok(self.from + dated[found].0 as u64),
            None if self.from + block.len() as u64 >= size => self.file.end_of_lines(self.from, size),
            // Many lines without a time, and perhaps what is looked for among them.
            None => {
                let feed = memchr::memchr(b'\n', block.get(near..).unwrap_or_default());
                Ok(self.from + feed.map_or(0, |feed| (near + feed + 1) as u64))
            }
        }
    }

    /// The whole lines that say their time: where they begin, and the time.
    fn dated<'b>(&'b self, block: &'b [u8]) -> impl Iterator<Item = (usize, DateTime<Utc>)> + 'b {
        let mut at = 0;
        let lines = memchr::memchr_iter(b'\n', block).map(move |feed| (std::mem::replace(&mut at, feed + 1), feed));
        lines.filter_map(|(line, feed)| self.time(&block[line..feed]).map(|time| (line, time)))
    }

    fn time(&self, line: &[u8]) -> Option<DateTime<Utc>> {
        let (zone, now) = (self.start.zone, self.start.now);
        if self.wire == Wire::Plain {
            return formats::time(line, zone, now);
        }
        let mut scratch = Vec::new();
        let unwrapped = lanes::unwrap(self.wire, line, &mut scratch)?;
        unwrapped.time.or_else(|| formats::time(unwrapped.text, zone, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Zone;
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use std::fs;

    fn begin() -> DateTime<Utc> {
        DateTime::from_timestamp(1_763_600_000, 0).unwrap()
    }

    fn start() -> Start {
        Start { since: None, zone: Zone::Local, now: begin() + TimeDelta::days(1) }
    }

    /// Where the search begins in this text, for what is not older than so many seconds.
    fn found(text: &[u8], seconds: i64) -> Option<usize> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, text).unwrap();
        let file = Generation::open(&path).unwrap();
        let at = since(&file, begin() + TimeDelta::seconds(seconds), &start()).unwrap();
        at.map(|at| usize::try_from(at).unwrap())
    }

    fn stamp(seconds: i64) -> String {
        (begin() + TimeDelta::seconds(seconds)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }

    #[test]
    fn the_first_line_that_is_not_older_is_found_in_a_large_file() {
        let lines: Vec<String> =
            (0..60_000).map(|second| format!("{} INFO request {second}\n", stamp(second))).collect();
        let text = lines.concat();
        for second in [1, 2, 1000, 29_999, 30_000, 59_998, 59_999] {
            let at = found(text.as_bytes(), second).unwrap();
            assert!(
                text[at..].starts_with(&lines[usize::try_from(second).unwrap()]),
                "for {second}: {}",
                &text[at..at + 60]
            );
        }
        assert_eq!(found(text.as_bytes(), -5), Some(0));
        assert_eq!(found(text.as_bytes(), 60_000), Some(text.len()));
    }

    #[test]
    fn the_time_is_that_of_what_wraps_the_line() {
        let line = |second| {
            format!(r#"{{"log":"no time here {second}\n","stream":"stdout","time":"{}"}}{}"#, stamp(second), "\n")
        };
        let lines: Vec<String> = (0..5000).map(line).collect();
        let at = found(lines.concat().as_bytes(), 3210).unwrap();
        assert!(lines.concat()[at..].starts_with(&lines[3210]));
    }

    #[test]
    fn of_a_file_without_times_the_end_is_read_from_the_beginning_of_a_line() {
        let line = b"a line that says no time\n";
        assert_eq!(found(&line.repeat(10_000), 0), None);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        for (text, expected) in [
            (line.repeat(1_000_000), 8_222_800),
            (line.repeat(10), 0),
            ([b"one\n".to_vec(), vec![b'x'; 17 << 20]].concat(), 4),
        ] {
            fs::write(&path, &text).unwrap();
            assert_eq!(undated(&Generation::open(&path).unwrap()).unwrap(), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_has_no_time_between_nothing_newer_is_missed_and_nothing_older_is_read(
            gaps in prop::collection::vec((0..3_i64, 0..300_usize), 1..3000), since in 0..4000_i64,
        ) {
            let (mut text, mut second, mut expected, mut has_older) = (Vec::new(), 0, None, false);
            for (step, trace) in gaps {
                second += step;
                if second >= since && expected.is_none() {
                    expected = Some(if has_older { text.len() } else { 0 });
                }
                has_older |= second < since;
                text.extend(format!("{} ERROR failed\n", stamp(second)).bytes());
                (0..trace / 10).for_each(|_| text.extend(b"    at some.place(File.java:1)\n"));
            }
            prop_assert_eq!(found(&text, since), Some(expected.unwrap_or(text.len())));
        }

        #[test]
        fn no_bytes_make_the_search_fail(text in prop::collection::vec(any::<u8>(), 0..2000), since in 0..100_i64) {
            prop_assert!(found(&text, since).is_none_or(|at| at <= text.len()));
        }
    }
}
