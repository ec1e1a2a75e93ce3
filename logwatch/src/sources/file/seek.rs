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
