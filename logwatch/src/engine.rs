//! A stream read by all processors at once: pieces of whole lines, each by whoever is free.
//!
//! A piece begins with a record wherever that can be, so that none needs to know of another; each worker counts for itself, and
//! what they counted is added at the end. Nothing is handed from thread to thread: whoever has done with a piece reads the next
//! one, and only reading has to wait for others.
//!
//! For a line, little is done: its head is read, and it is asked whether it begins a record. For a record that states a level
//! below those that are told apart, and in which nothing else is to be found, even less: it is counted. Whatever costs more is
//! asked of the few others.

mod garbage;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::thread;

use regex::bytes::Regex;
use shipshape_core::signal;

use crate::chunk::{Chunks, PIECE, Piece};
use crate::clean::{self, Kinds};
use crate::examine::{Criteria, Entry, Examiner, Observer};
use crate::formats::{self, Head};
use crate::lanes::{self, Marks, Wire, sniff};
use crate::records::{Joins, Lines};
use crate::secrets;
use crate::sources::Part;
use crate::tally::Tally;

/// How many read at once at most: beyond that, memory is the limit.
const MOST_WORKERS: usize = 4;

/// What was taken from a stream.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What was counted.
    pub(crate) tally: Tally,
    /// How many bytes of the stream were taken in.
    pub(crate) bytes: u64,
    /// The number of the piece that would come next.
    pub(crate) next_piece: u64,
    /// The last place in the journal, where it is one.
    pub(crate) journal: Option<String>,
}

/// Where a stream stands among those of its source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// Whether it goes on where an earlier run ended: its first lines may belong to a record that was counted then.
    pub(crate) goes_on: bool,
    /// The number of its first piece.
    pub(crate) first_piece: u64,
}

/// Reads a stream to its end. `marks` say what of each lane was taken in before, and are moved on.
pub(crate) fn read<'a>(
    part: Part,
    origin: Origin,
    marks: &mut Marks,
    criteria: &'a Criteria,
    observer: Option<Observer<'a>>,
) -> io::Result<Taken> {
    let mut chunks = Chunks::new(part.stream, part.ending);
    let mut piece = Piece::default();
    if !chunks.next(&mut piece)? {
        return Ok(Taken { bytes: chunks.taken(), next_piece: origin.first_piece, ..Taken::default() });
    }
    let wire = part.wire.unwrap_or_else(|| sniff(&piece.bytes));
    if wire != Wire::Plain {
        return lanes::read(&mut chunks, piece, wire, origin, marks, Examiner::new(criteria, observer));
    }
    let tally = plain(&mut chunks, piece, origin, criteria, observer)?;
    Ok(Taken { tally, bytes: chunks.taken(), next_piece: origin.first_piece + chunks.pieces(), journal: None })
}

/// Reads a stream whose lines nothing wraps. Whoever wants to see each record sees them in their order.
fn plain<'a, R: Read + Send>(
    chunks: &mut Chunks<R>,
    first: Piece,
    origin: Origin,
    criteria: &'a Criteria,
    observer: Option<Observer<'a>>,
) -> io::Result<Tally> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    // A small stream is read before another worker would have begun.
    if observer.is_some() || workers == 1 || first.bytes.len() < PIECE / 2 {
        let mut worker = Worker::new(Examiner::new(criteria, observer), origin);
        worker.all(first, chunks)?;
        return Ok(worker.examiner.tally);
    }
    together(chunks, first, workers, origin, criteria)
}

/// Reads with several workers, who take turns at the stream. Which piece comes to whom is chance, and must not show: places are
/// told by the number of the piece, and sums do not depend on the order.
fn together<R: Read + Send>(
    chunks: &mut Chunks<R>,
    first: Piece,
    workers: usize,
    origin: Origin,
    criteria: &Criteria,
) -> io::Result<Tally> {
    let stream = Mutex::new((chunks, Some(first)));
    let work = || -> io::Result<Tally> {
        let mut worker = Worker::new(Examiner::new(criteria, None), origin);
        let mut piece = Piece::default();
        loop {
            // Reading a piece takes a small part of the time that looking at it does: hardly anybody waits here.
            let mut turn = stream.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(first) = turn.1.take() {
                piece = first;
            } else if signal::check().is_err() || !turn.0.next(&mut piece)? {
                return Ok(worker.examiner.tally);
            }
            drop(turn);
            worker.piece(&piece);
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut tally = work();
        for other in others {
            let theirs = other.join().unwrap_or_else(|_| Err(io::Error::other("a worker died")));
            match (&mut tally, theirs) {
                (Ok(tally), Ok(theirs)) => tally.add(theirs),
                (Ok(_), Err(error)) => tally = Err(error),
                (Err(_), _) => {}
            }
        }
        tally
    })
}

/// Looks at pieces of a stream whose lines nothing wraps.
struct Worker<'a> {
    examiner: Examiner<'a>,
    origin: Origin,
    /// The lines of a piece that had to be cleaned; kept, like the next, so that no piece needs new memory.
    cleaned: Vec<u8>,
    /// Where secrets may be in a piece.
    telltales: Vec<usize>,
    wanted: Wanted,
}

impl<'a> Worker<'a> {
    fn new(examiner: Examiner<'a>, origin: Origin) -> Self {
        let wanted = Wanted::new(&examiner.criteria().patterns);
        Self { examiner, origin, cleaned: Vec::new(), telltales: Vec::new(), wanted }
    }

    /// All pieces, one after the other.
    fn all<R: Read>(&mut self, first: Piece, chunks: &mut Chunks<R>) -> io::Result<()> {
        let mut piece = first;
        loop {
            self.piece(&piece);
            if signal::check().is_err() || !chunks.next(&mut piece)? {
                return Ok(());
            }
        }
    }

    /// One piece: its records are whole. Lines that are no text are counted as they came, and records are made of clean lines.
    fn piece(&mut self, piece: &Piece) {
        self.examiner.tally.bytes += piece.bytes.len() as u64;
        self.examiner.tally.cut_lines += piece.cut_lines;
        let kinds = Kinds::of(&piece.bytes);
        self.examiner.tally.garbage += garbage::lines(&piece.bytes, kinds);
        let mut cleaned = std::mem::take(&mut self.cleaned);
        let bytes = if !kinds.has_controls || clean::is_clean(&piece.bytes) {
            &piece.bytes
        } else {
            clean::clean(&piece.bytes, &mut cleaned);
            &cleaned
        };
        self.records(bytes, piece.number);
        self.cleaned = cleaned;
    }

    /// Finds the records of clean lines.
    fn records(&mut self, bytes: &[u8], number: u64) {
        let mut telltales = std::mem::take(&mut self.telltales);
        if self.examiner.criteria().secrets {
            secrets::telltales(bytes, &mut telltales);
        }
        self.wanted.begin();
        let mut found = Records {
            bytes,
            piece: self.origin.first_piece + number,
            telltales: &telltales,
            start: None,
            enough: None,
        };
        let goes_on = self.origin.goes_on && number == 0;
        let mut lines = if goes_on { Lines::goes_on() } else { Lines::default() };
        let mut at = 0;
        let last = (!bytes.ends_with(b"\n") && !bytes.is_empty()).then_some(bytes.len());
        for end in memchr::memchr_iter(b'\n', bytes).chain(last) {
            let line = &bytes[at..end];
            let head = formats::head(line);
            self.examiner.tally.lines += 1;
            match lines.next(line, head.as_ref()) {
                Joins::Begins => {
                    found.end(at.saturating_sub(1), &mut self.examiner, &mut self.wanted);
                    found.start = Some((at, head));
                    if signal::check().is_err() {
                        // Whoever asked us to stop gets no report of this, and nothing is remembered.
                        break;
                    }
                }
                Joins::Continues => {}
                Joins::Exceeds => found.is_enough(at.saturating_sub(1)),
            }
            at = end + 1;
        }
        found.end(at.saturating_sub(1), &mut self.examiner, &mut self.wanted);
        self.telltales = telltales;
    }
}

/// The records of one piece, one after the other.
struct Records<'p> {
    bytes: &'p [u8],
    /// The number of the piece.
    piece: u64,
    /// Where secrets may be, of what comes.
    telltales: &'p [usize],
    /// Where the record begins that is being read, and what its first line says.
    start: Option<(usize, Option<Head>)>,
    /// Where it has as many lines and bytes as are looked at, if it has: what comes behind that only counts.
    enough: Option<usize>,
}

impl Records<'_> {
    /// The record that is being read has enough lines or bytes here, unless it had before.
    fn is_enough(&mut self, end: usize) {
        self.enough.get_or_insert(end);
    }

    /// The record that is being read, if any, ends here.
    fn end(&mut self, end: usize, examiner: &mut Examiner<'_>, wanted: &mut Wanted) {
        let behind = self.telltales.iter().take_while(|offset| **offset < end).count();
        let (telltales, rest) = self.telltales.split_at(behind);
        self.telltales = rest;
        // Also where no record is being read: the end of one that an earlier run counted may be long as well.
        let end = self.enough.take().unwrap_or(end);
        let Some((start, head)) = self.start.take() else { return };
        let may_leak = telltales.first().is_some_and(|offset| *offset < end);
        let may_match = wanted.is_within(self.bytes, start, end, &examiner.criteria().patterns);
        // Nothing can be found in it, and what it says of itself is told by its head.
        let stated = head.and_then(|head| head.level).filter(|_| !may_leak && !may_match);
        if stated.is_some_and(|level| examiner.is_counted(level)) {
            return;
        }
        examiner.record(&Entry {
            bytes: &self.bytes[start..end.max(start)],
            head,
            time: None,
            level: None,
            lane: "",
            place: (self.piece, start),
            may_leak,
            may_match,
        });
    }
}

/// Where the owner's patterns are met next in a piece: searching on from there costs less than asking each record.
struct Wanted {
    /// By pattern; none where it is not met any more.
    next: Vec<Option<usize>>,
    is_new: bool,
    /// Patterns that name the beginning or the end of a record itself can only be asked of records.
    is_always: bool,
}

impl Wanted {
    fn new(patterns: &[Regex]) -> Self {
        let is_always = patterns.iter().any(|pattern| [r"\A", r"\z"].iter().any(|end| pattern.as_str().contains(end)));
        Self { next: vec![None; patterns.len()], is_new: true, is_always }
    }

    /// Another piece begins.
    fn begin(&mut self) {
        self.is_new = true;
    }

    /// Whether one of the patterns may be met between these places. To be asked in growing order.
    fn is_within(&mut self, bytes: &[u8], start: usize, end: usize, patterns: &[Regex]) -> bool {
        if self.is_always {
            return true;
        }
        let mut is_met = false;
        for (next, pattern) in self.next.iter_mut().zip(patterns) {
            if self.is_new || next.is_some_and(|at| at < start) {
                *next = pattern.find_at(bytes, start).map(|found| found.start());
            }
            is_met |= next.is_some_and(|at| at <= end);
        }
        self.is_new = false;
        is_met
    }
}
