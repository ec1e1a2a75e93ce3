//! A stream cut into pieces of whole lines, of bounded size whatever comes.

use std::io::{self, Read};

use crate::records;

/// How much is read at once, in bytes.
pub(crate) const PIECE: usize = 1 << 20;

/// The longest line that is looked at, in bytes; of a longer one only its beginning is.
pub(crate) const LONGEST_LINE: usize = 64 << 10;

/// How far before its end a piece is cut, to find the beginning of a record.
const CUT_REACH: usize = 64 << 10;

/// Zero bytes in a row from which on they are thrown away: a hole in the file, or what a power cut left of it. Fewer stay, and
/// `clean` removes them.
const ZEROS: usize = 4 << 10;

/// How many places of one piece are remembered at which something was thrown away; more zeros stay where they are.
const MOST_MISSING: usize = 1024;

/// Whether the last line of a stream counts though it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing will be added to it.
    Whole,
    /// Somebody may be writing it: the next run reads it.
    Open,
}

/// Whole lines.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// They, each with its line feed, but for the last one of a stream that has none.
    pub(crate) bytes: Vec<u8>,
    /// Its number in the stream, from 0.
    pub(crate) number: u64,
    /// Lines of which only the beginning is here.
    pub(crate) cut_lines: u64,
}

/// Bytes of the stream that are not in the buffer.
#[derive(Clone, Copy, Debug)]
struct Missing {
    /// Before which byte of the buffer they were.
    at: usize,
    bytes: u64,
    /// Whether the rest of a line that is too long is among them.
    is_line: bool,
}

/// Cuts a stream. Where it can, it cuts before a line that begins a record whatever came before it.
pub(crate) struct Chunks<R> {
    inner: R,
    ending: Ending,
    /// What was read and not yet handed out.
    rest: Vec<u8>,
    /// What is missing in the buffer: in the piece that is being made, or in the rest. In order.
    missing: Vec<Missing>,
    /// How many bytes of the buffer come from the stream; what is behind them means nothing.
    filled: usize,
    /// Where in the buffer the line begins whose length is not known yet.
    line: usize,
    taken: u64,
    pieces: u64,
    is_at_end: bool,
}

impl<R: Read> Chunks<R> {
    /// Cuts this stream.
    pub(crate) fn new(inner: R, ending: Ending) -> Self {
        let (rest, missing) = (Vec::new(), Vec::new());
        Self { inner, ending, rest, missing, filled: 0, line: 0, taken: 0, pieces: 0, is_at_end: false }
    }

    /// How many bytes of the stream have been handed out, or thrown away for good: where the next run goes on. Always behind
    /// a line feed, but at the end of a stream whose last line counts though it has none.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many pieces have been handed out.
    pub(crate) fn pieces(&self) -> u64 {
        self.pieces
    }

    /// The next piece, put into `piece`; false at the end.
    ///
    /// # Errors
    /// The stream's own. What was read since the last piece is lost: somebody who fails takes nothing in.
    pub(crate) fn next(&mut self, piece: &mut Piece) -> io::Result<bool> {
        // What the buffer held before stays in it, so that nothing has to be zeroed again and again.
        let bytes = &mut piece.bytes;
        bytes.resize(PIECE, 0);
        bytes[..self.rest.len()].copy_from_slice(&self.rest);
        self.filled = self.rest.len();
        // What is thrown away makes room; half a piece is enough to go on with, less would be many small reads.
        while !self.is_at_end && self.filled < PIECE / 2 {
            let from = self.filled;
            self.fill(bytes)?;
            self.drop_zeros(bytes, from);
            self.shorten(bytes);
        }
        let cut = self.cut(bytes);
        piece.cut_lines = self.hand_out(&bytes[..self.filled], cut);
        bytes.truncate(cut);
        if cut == 0 {
            return Ok(false);
        }
        piece.number = self.pieces;
        self.pieces += 1;
        Ok(true)
    }

    /// Reads until the buffer is full or the stream ends.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        while self.filled < bytes.len() {
            match self.inner.read(&mut bytes[self.filled..]) {
                Ok(0) => {
                    self.is_at_end = true;
                    break;
                }
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Throws away long runs of zero bytes behind `from`.
    fn drop_zeros(&mut self, bytes: &mut [u8], from: usize) {
        let (mut read, mut write, mut probe) = (from, from, from);
        // A run as long as the distance between two probes cannot hide from them.
        while probe < self.filled && self.missing.len() < MOST_MISSING {
            if bytes[probe] != 0 {
                probe += ZEROS;
                continue;
            }
            let start = bytes[read..probe].iter().rposition(|byte| *byte != 0).map_or(read, |last| read + last + 1);
            let end = probe + zeros(&bytes[probe..self.filled]);
            if end - start >= ZEROS {
                bytes.copy_within(read..start, write);
                write += start - read;
                self.drop_at(write, end - start, false);
                read = end;
            }
            probe = end.max(probe + ZEROS);
        }
        bytes.copy_within(read..self.filled, write);
        self.filled -= read - write;
    }

    /// Throws away what is too much of lines that are too long.
    fn shorten(&mut self, bytes: &mut [u8]) {
        while self.filled > self.line + LONGEST_LINE {
            let limit = self.line + LONGEST_LINE;
            // The last line feed in reach: all lines before it are short enough, however many they are.
            if let Some(feed) = memchr::memrchr(b'\n', &bytes[self.line..=limit]) {
                self.line += feed + 1;
                continue;
            }
            let end = memchr::memchr(b'\n', &bytes[limit..self.filled]).map_or(self.filled, |feed| limit + feed);
            self.drop_at(limit, end - limit, true);
            bytes.copy_within(end..self.filled, limit);
            self.filled -= end - limit;
        }
    }

    /// Remembers that so many bytes are being taken out of the buffer at this place.
    fn drop_at(&mut self, at: usize, bytes: usize, is_line: bool) {
        let first = self.missing.partition_point(|missing| missing.at < at);
        let last = self.missing.partition_point(|missing| missing.at <= at + bytes);
        let mut one = Missing { at, bytes: bytes as u64, is_line };
        for inside in &self.missing[first..last] {
            one.bytes += inside.bytes;
            one.is_line |= inside.is_line;
        }
        self.missing[last..].iter_mut().for_each(|missing| missing.at -= bytes);
        self.missing.splice(first..last, [one]);
    }

    /// Where the piece ends: behind a whole line, and where it can be, before the beginning of a record.
    fn cut(&self, bytes: &[u8]) -> usize {
        if self.is_at_end && self.ending == Ending::Whole {
            return self.filled;
        }
        let end = memchr::memrchr(b'\n', &bytes[..self.filled]).map_or(0, |end| end + 1);
        if self.is_at_end { end } else { cut_before_a_record(&bytes[..end]) }
    }

    /// Counts what is before the cut as taken, and keeps the rest for the next piece. How many lines before the cut are not
    /// whole.
    fn hand_out(&mut self, bytes: &[u8], cut: usize) -> u64 {
        self.rest.clear();
        self.rest.extend_from_slice(&bytes[cut..]);
        self.line = self.line.saturating_sub(cut);
        let is_all = self.is_at_end && self.ending == Ending::Whole;
        // What is missing right at the cut comes behind the line feed: the next run looks at it again.
        let before = if is_all { self.missing.len() } else { self.missing.partition_point(|missing| missing.at < cut) };
        self.taken += cut as u64 + self.missing[..before].iter().map(|missing| missing.bytes).sum::<u64>();
        let cut_lines = self.missing.drain(..before).filter(|missing| missing.is_line).count();
        self.missing.iter_mut().for_each(|missing| missing.at -= cut);
        cut_lines as u64
    }
}

/// How many bytes are zero before the first that is not: at the speed of memory, for there may be gigabytes of them.
fn zeros(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<64>();
    let whole = blocks.iter().take_while(|block| block.iter().fold(0, |all, byte| all | byte) == 0).count() * 64;
    whole + bytes[whole..].iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - whole)
}

/// Where to cut whole lines so that the rest begins with a record; all of them where there is no such place near the end.
fn cut_before_a_record(lines: &[u8]) -> usize {
    let reach = lines.len().saturating_sub(CUT_REACH);
    let mut end = lines.len();
    while end > reach {
        let start = memchr::memrchr(b'\n', &lines[..end - 1]).map_or(0, |end| end + 1);
        if start == 0 {
            break;
        }
        if records::surely_begins(&lines[start..end - 1]) {
            return start;
        }
        end = start;
    }
    lines.len()
}

#[cfg(test)]
mod tests {
    mod fuzz;

    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Gives a few bytes at a time, as a pipe does.
    struct Drip<'a> {
        rest: &'a [u8],
        sizes: Vec<usize>,
        turn: usize,
    }

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let size = self.sizes[self.turn % self.sizes.len()].min(into.len()).min(self.rest.len());
            self.turn += 1;
            into[..size].copy_from_slice(&self.rest[..size]);
            self.rest = &self.rest[size..];
            Ok(size)
        }
    }

    /// What came out of a stream.
    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        bytes: Vec<u8>,
        cut_lines: u64,
        taken: usize,
    }

    fn read(input: &[u8], sizes: &[usize], ending: Ending) -> Seen {
        let mut chunks = Chunks::new(Drip { rest: input, sizes: sizes.to_vec(), turn: 0 }, ending);
        let mut piece = Piece::default();
        let mut seen = Seen::default();
        while chunks.next(&mut piece).unwrap() {
            assert!(seen.bytes.is_empty() || seen.bytes.ends_with(b"\n"), "a piece was no whole lines");
            assert!(piece.bytes.len() <= PIECE, "a piece of {} bytes", piece.bytes.len());
            seen.bytes.extend_from_slice(&piece.bytes);
            seen.cut_lines += piece.cut_lines;
        }
        assert!(!chunks.next(&mut piece).unwrap(), "there was more behind the end");
        seen.taken = usize::try_from(chunks.taken()).unwrap();
        seen
    }

    /// The same by the simplest means.
    fn expected(input: &[u8], ending: Ending) -> Seen {
        let mut seen = Seen::default();
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            if text.len() == line.len() && ending == Ending::Open {
                break;
            }
            seen.bytes.extend_from_slice(&text[..text.len().min(LONGEST_LINE)]);
            seen.bytes.extend_from_slice(&line[text.len()..]);
            seen.cut_lines += u64::from(text.len() > LONGEST_LINE);
            seen.taken += line.len();
        }
        seen
    }

    /// Runs of one byte, of lengths around all that matters.
    fn runs(bytes: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
        let length = prop_oneof![
            8 => 0..300_usize,
            2 => 3_000..9_000_usize,
            2 => LONGEST_LINE - 2..LONGEST_LINE + 3,
            1 => 100_000..1_300_000_usize,
        ];
        vec((prop::sample::select(bytes), length, any::<bool>()), 0..24).prop_map(|runs| {
            let mut input = Vec::new();
            for (byte, length, ends) in runs {
                input.resize(input.len() + length, byte);
                input.extend(ends.then_some(b'\n'));
            }
            input
        })
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        vec(prop_oneof![1..100_usize, 4_000..70_000_usize, Just(PIECE)], 1..4).prop_map(|mut sizes| {
            sizes.push(1 << 16);
            sizes
        })
    }

    fn without_zeros(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().copied().filter(|byte| *byte != 0).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_stream_comes_out_as_its_lines(input in runs(b"ab \n\xff"), sizes in sizes(), whole: bool) {
            let ending = if whole { Ending::Whole } else { Ending::Open };
            prop_assert!(read(&input, &sizes, ending) == expected(&input, ending));
        }

        #[test]
        fn the_next_run_goes_on_exactly_where_one_ended(
            input in runs(b"ab\n\0"), sizes in sizes(), at in any::<prop::sample::Index>(),
        ) {
            let at = at.index(input.len() + 1);
            let first = read(&input[..at], &sizes, Ending::Open);
            let second = read(&input[first.taken..], &sizes, Ending::Whole);
            let all = read(&input, &sizes, Ending::Whole);
            prop_assert!(input[..first.taken].last().is_none_or(|byte| *byte == b'\n'));
            prop_assert_eq!(first.taken + second.taken, input.len());
            prop_assert_eq!(first.taken, input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
            let both = [first.bytes, second.bytes].concat();
            prop_assert!(input.contains(&0) || both == all.bytes, "the pieces of two runs are not those of one");
        }

        #[test]
        fn zeros_hide_no_line(lines in vec((0..20_000_usize, "[a-z]{0,40}", 0..20_000_usize), 0..60), sizes in sizes()) {
            let mut input = Vec::new();
            for (before, text, behind) in lines {
                input.resize(input.len() + before, 0);
                input.extend_from_slice(text.as_bytes());
                input.resize(input.len() + behind, 0);
                input.push(b'\n');
            }
            let seen = read(&input, &sizes, Ending::Open);
            prop_assert_eq!(seen.taken, input.len());
            prop_assert!(without_zeros(&seen.bytes) == without_zeros(&input));
        }
    }

    /// Ends with an error instead of an end.
    struct Broken(usize);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the disk is broken"));
            }
            self.0 -= 1;
            into[..5].copy_from_slice(b"line\n");
            Ok(5)
        }
    }

    #[test]
    fn an_error_in_the_middle_is_no_end() {
        let mut chunks = Chunks::new(Broken(7), Ending::Whole);
        assert_eq!(chunks.next(&mut Piece::default()).unwrap_err().to_string(), "the disk is broken");
        assert_eq!(chunks.taken(), 0);
    }

    #[test]
    fn a_line_without_end_costs_neither_memory_nor_the_lines_behind_it() {
        let endless = io::repeat(b'x').take(100 << 20).chain(&b"\nnext\n"[..]);
        let mut chunks = Chunks::new(endless, Ending::Open);
        let mut piece = Piece::default();
        assert!(chunks.next(&mut piece).unwrap());
        assert_eq!((piece.cut_lines, piece.bytes.len()), (1, LONGEST_LINE + 6));
        assert!(piece.bytes.ends_with(b"xx\nnext\n"));
        assert!(piece.bytes.capacity() <= 2 * PIECE);
        assert!(!chunks.next(&mut piece).unwrap());
        assert_eq!(chunks.taken(), (100 << 20) + 6);
    }

    #[test]
    fn a_line_that_nobody_has_ended_is_not_taken_however_long_it_is() {
        let endless = (&b"line\n"[..]).chain(io::repeat(b'x').take(5 << 20));
        let mut chunks = Chunks::new(endless, Ending::Open);
        let mut piece = Piece::default();
        assert!(chunks.next(&mut piece).unwrap());
        assert_eq!((piece.bytes.as_slice(), piece.cut_lines), (&b"line\n"[..], 0));
        assert!(!chunks.next(&mut piece).unwrap());
        assert_eq!(chunks.taken(), 5);
    }

    #[test]
    fn zeros_behind_the_last_line_are_looked_at_again() {
        let hole = (&b"line\n"[..]).chain(io::repeat(0).take(50 << 20));
        let mut chunks = Chunks::new(hole, Ending::Open);
        let mut piece = Piece::default();
        assert!(chunks.next(&mut piece).unwrap());
        assert_eq!(chunks.taken(), 5, "somebody may write into room that was set aside");
    }

    #[test]
    fn pieces_are_numbered() {
        let lines = b"a line\n".repeat(500_000);
        let mut chunks = Chunks::new(&lines[..], Ending::Open);
        let mut piece = Piece::default();
        let mut numbers = Vec::new();
        while chunks.next(&mut piece).unwrap() {
            numbers.push(piece.number);
        }
        assert_eq!(numbers, [0, 1, 2, 3]);
    }
}
