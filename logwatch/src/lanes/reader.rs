//! Reads a stream whose lines are wrapped: each lane has its own half lines and its own open record.
//!
//! All of it by one thread, in order: the next line of a lane may be anywhere. What is held in memory is bounded, by lanes and
//! by bytes; where it gets too much, the lanes that have been silent for longest end their records. Many do so at once: to
//! find one of them is to look at all, and whoever gives each line a name of its own would make us do so for each line.

use std::collections::HashMap;
use std::io::{self, Read};

use shipshape_core::signal;

use super::batch::{Batch, Came};
use super::marks::{self, Marks, Progress};
use super::{Unwrapped, Wire, prefix, unwrap};
use crate::chunk::{Chunks, LONGEST_LINE, Piece};
use crate::clean;
use crate::engine::{Origin, Taken};
use crate::examine::{self, Examiner};
use crate::formats::{self, Head};
use crate::records::{self, Assembler, Joins};
use crate::tally::Tally;

/// How much of a line that comes in parts is put together, in bytes; of each line in it, as much is looked at as of any other.
const LONGEST_PUT_TOGETHER: usize = 1 << 20;

/// How many lanes are kept apart at once.
const MOST_LANES: usize = 1024;

/// How many lanes make room for new ones where there are too many.
const ENDED_AT_ONCE: usize = MOST_LANES / 4;

/// The longest name of a lane, in bytes: those of containers and units have 255 at most, and anybody may write a longer one.
const LONGEST_NAME: usize = 255;

/// How much is held of records that are not at their end, in bytes, in all lanes together.
const MOST_HELD: usize = 8 << 20;

/// How much of it is left when silent lanes have made room.
const HELD_AFTER: usize = MOST_HELD / 4 * 3;

/// What a lane's buffer may keep between two records, in bytes: most records are far smaller.
const KEPT_BUFFER: usize = 4 << 10;

/// Reads wrapped lines to their end, of which `first` has been read. `marks` say what was taken in before, and are moved on.
pub(crate) fn read<R: Read>(
    chunks: &mut Chunks<R>,
    first: Piece,
    wire: Wire,
    origin: Origin,
    marks: &mut Marks,
    examiner: Examiner<'_>,
) -> io::Result<Taken> {
    let mut lanes = Lanes::new(wire, origin, marks, examiner);
    let mut piece = first;
    loop {
        lanes.piece(&piece);
        if signal::check().is_err() || !chunks.next(&mut piece)? {
            break;
        }
    }
    let (tally, journal) = lanes.end();
    Ok(Taken { tally, bytes: chunks.taken(), next_piece: origin.first_piece + chunks.pieces(), journal })
}

/// One program, or one of its streams.
#[derive(Debug)]
struct Lane {
    name: Box<str>,
    assembler: Assembler,
    /// The lines of the open record.
    record: Vec<u8>,
    /// Of its first line; none where no record is open.
    open: Option<(Came, Option<Head>)>,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// Of that beginning.
    partial_came: Option<Came>,
    progress: Progress,
    /// When it was last heard of, in lines.
    used: u64,
}

/// All lanes of a stream.
struct Lanes<'a, 'm> {
    wire: Wire,
    origin: Origin,
    marks: &'m mut Marks,
    examiner: Examiner<'a>,
    known: Vec<Lane>,
    by_name: HashMap<Box<str>, usize>,
    /// The lane of the line before: most often also that of the next.
    latest: usize,
    /// Lines so far.
    clock: u64,
    /// Bytes of open records.
    held: usize,
    /// The last place in the journal, or nothing.
    journal: String,
    batch: Batch,
    scratch: Vec<u8>,
}

impl<'a, 'm> Lanes<'a, 'm> {
    fn new(wire: Wire, origin: Origin, marks: &'m mut Marks, examiner: Examiner<'a>) -> Self {
        Self {
            wire,
            origin,
            marks,
            examiner,
            known: Vec::new(),
            by_name: HashMap::new(),
            latest: 0,
            clock: 0,
            held: 0,
            journal: String::new(),
            batch: Batch::default(),
            scratch: Vec::new(),
        }
    }

    /// The lines of a piece.
    fn piece(&mut self, piece: &Piece) {
        self.examiner.tally.bytes += piece.bytes.len() as u64;
        self.examiner.tally.cut_lines += piece.cut_lines;
        let mut cleaned = Vec::new();
        let bytes = if clean::is_clean(&piece.bytes) {
            &piece.bytes
        } else {
            clean::clean(&piece.bytes, &mut cleaned);
            &cleaned
        };
        let mut at = 0;
        for feed in memchr::memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len())) {
            self.wrapped(&bytes[at..feed], (self.origin.first_piece + piece.number, at));
            at = feed + 1;
        }
    }

    /// A line as it came.
    fn wrapped(&mut self, line: &[u8], place: (u64, usize)) {
        let mut scratch = std::mem::take(&mut self.scratch);
        match unwrap(self.wire, line, &mut scratch) {
            Some(unwrapped) => self.unwrapped(&unwrapped, place),
            // What is no line is a notice of Compose, an empty line, or something broken.
            None => self.examiner.tally.garbage += u64::from(self.wire != Wire::Compose && !line.is_empty()),
        }
        self.scratch = scratch;
    }

    /// A line, or a part of one, without what wrapped it.
    fn unwrapped(&mut self, said: &Unwrapped<'_>, place: (u64, usize)) {
        if let Some(cursor) = said.cursor {
            self.journal.clear();
            self.journal.push_str(cursor);
        }
        if said.is_own {
            return;
        }
        let index = self.lane(said.lane);
        if self.is_repeated(index, said) {
            self.examiner.tally.repeated += 1;
            return;
        }
        let came = Came { time: said.time, level: said.level, place };
        if said.is_partial || self.known[index].partial_came.is_some() {
            self.part(index, said, came);
        } else if said.is_record {
            self.whole(index, said.text, came);
        } else {
            self.lines(index, said.text, came);
        }
        self.make_room(index);
    }

    /// Whether a former run has taken in this line. Of the engine's own files the place says that: their times are only
    /// remembered, for whoever wants to ask the engine later.
    fn is_repeated(&mut self, index: usize, said: &Unwrapped<'_>) -> bool {
        let Some(time) = said.time.filter(|_| self.wire != Wire::Journal) else { return false };
        let lane = &mut self.known[index];
        let is_repeated = lane.progress.is_repeated(time, said.text) && self.wire == Wire::Compose;
        if is_repeated {
            // The lines behind it may belong to its record.
            lane.assembler.next(said.text, formats::head(said.text).as_ref());
        }
        is_repeated
    }

    /// A part of a line: the line is looked at when its last part has come.
    fn part(&mut self, index: usize, said: &Unwrapped<'_>, came: Came) {
        let lane = &mut self.known[index];
        let came = *lane.partial_came.get_or_insert(came);
        // One byte more than a line may have, so that it is seen that something is missing.
        let room = (LONGEST_PUT_TOGETHER + 1).saturating_sub(lane.partial.len());
        let part = &said.text[..said.text.len().min(room)];
        lane.partial.extend_from_slice(part);
        self.held += part.len();
        if !said.is_partial {
            self.end_line(index, came);
        }
    }

    /// The line that came in parts is as whole as it will be.
    fn end_line(&mut self, index: usize, came: Came) {
        let line = std::mem::take(&mut self.known[index].partial);
        self.known[index].partial_came = None;
        self.held -= line.len();
        self.lines(index, &line, came);
    }

    /// A record that needs no putting together.
    fn whole(&mut self, index: usize, text: &[u8], came: Came) {
        self.close(index);
        let mut cleaned = Vec::new();
        let text = cleaned_text(text, &mut cleaned);
        self.examiner.tally.lines += 1;
        let bounded = &text[..text.len().min(records::MOST_BYTES)];
        self.examiner.tally.cut_lines += u64::from(bounded.len() < text.len());
        let head = formats::head(examine::first_line(bounded));
        self.open(index, bounded, came, head);
        self.close(index);
    }

    /// A line of a program; whatever its wire let through, it may be several.
    fn lines(&mut self, index: usize, text: &[u8], came: Came) {
        let mut cleaned = Vec::new();
        let text = cleaned_text(text, &mut cleaned);
        for line in text.split(|byte| *byte == b'\n') {
            let bounded = &line[..line.len().min(LONGEST_LINE)];
            self.examiner.tally.cut_lines += u64::from(bounded.len() < line.len());
            self.line(index, bounded, came);
        }
    }

    /// A line of a program.
    fn line(&mut self, index: usize, line: &[u8], came: Came) {
        self.examiner.tally.lines += 1;
        let head = formats::head(line);
        match self.known[index].assembler.next(line, head.as_ref()) {
            Joins::Begins => {
                self.close(index);
                self.open(index, line, came, head);
            }
            // It belongs to a record that was counted by a former run, or was ended to make room.
            Joins::Continues if self.known[index].open.is_none() => {}
            Joins::Continues => {
                let record = &mut self.known[index].record;
                record.push(b'\n');
                record.extend_from_slice(line);
                self.held += line.len() + 1;
            }
            Joins::Exceeds => {}
        }
    }

    /// Begins a record.
    fn open(&mut self, index: usize, text: &[u8], came: Came, head: Option<Head>) {
        let lane = &mut self.known[index];
        lane.record.extend_from_slice(text);
        lane.open = Some((came, head));
        self.held += text.len();
    }

    /// Ends the record of a lane, if one is open.
    fn close(&mut self, index: usize) {
        let lane = &mut self.known[index];
        let Some((came, head)) = lane.open.take() else { return };
        self.batch.push(&lane.record, index, came, head);
        self.held -= lane.record.len();
        lane.record.clear();
        lane.record.shrink_to(KEPT_BUFFER);
        if self.batch.is_full() {
            self.examine();
        }
    }

    /// Looks at all records that have ended.
    fn examine(&mut self) {
        self.batch.examine(&mut self.examiner, |index| &self.known[index].name);
    }

    /// The lane of this name.
    fn lane(&mut self, name: &str) -> usize {
        self.clock += 1;
        let name = prefix(name, LONGEST_NAME);
        let is_latest = self.known.get(self.latest).is_some_and(|lane| &*lane.name == name);
        if !is_latest {
            self.latest = match self.by_name.get(name) {
                Some(known) => *known,
                None => self.add(name),
            };
        }
        self.known[self.latest].used = self.clock;
        self.latest
    }

    /// A lane that is new; those that have been silent for longest make room for it.
    fn add(&mut self, name: &str) -> usize {
        if self.known.len() >= MOST_LANES {
            self.end_silent();
        }
        let progress = Progress::from(self.marks.get(name), self.examiner.criteria().now);
        self.by_name.insert(name.into(), self.known.len());
        let assembler = if self.origin.goes_on { Assembler::goes_on() } else { Assembler::default() };
        self.known.push(Lane::new(name, assembler, progress));
        self.known.len() - 1
    }

    /// All lanes, the one that has been silent for longest first.
    fn by_silence(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.known.len()).collect();
        order.sort_unstable_by_key(|index| self.known[*index].used);
        order
    }

    /// Ends what is open in silent lanes where too much is held. `but` is the lane that is being read.
    fn make_room(&mut self, but: usize) {
        if self.held <= MOST_HELD {
            return;
        }
        for silent in self.by_silence() {
            if self.held <= HELD_AFTER {
                return;
            }
            if silent != but {
                self.flush(silent);
            }
        }
    }

    /// Ends what is open in a lane.
    fn flush(&mut self, index: usize) {
        if let Some(came) = self.known[index].partial_came {
            self.end_line(index, came);
        }
        self.close(index);
    }

    /// Ends the lanes for good that have been silent for longest.
    fn end_silent(&mut self) {
        let mut ended = self.by_silence();
        ended.truncate(ENDED_AT_ONCE);
        for index in &ended {
            self.flush(*index);
        }
        // Records that wait know their lanes by number, and the numbers change.
        self.examine();
        // The last one takes the place of one that goes: from behind, it is never one that goes too.
        ended.sort_unstable();
        for index in ended.into_iter().rev() {
            let lane = self.known.swap_remove(index);
            self.by_name.remove(&lane.name);
            if let Some(moved) = self.known.get(index) {
                self.by_name.insert(moved.name.clone(), index);
            }
            lane.progress.store(&lane.name, self.marks);
        }
        marks::bound(self.marks);
    }

    /// Ends all lanes, in the order in which their open records began.
    fn end(mut self) -> (Tally, Option<String>) {
        let mut order: Vec<usize> = (0..self.known.len()).collect();
        order.sort_by_key(|index| self.known[*index].open.map(|(came, _)| came.place));
        for index in order {
            self.flush(index);
        }
        self.examine();
        for lane in self.known {
            lane.progress.store(&lane.name, self.marks);
        }
        marks::bound(self.marks);
        (self.examiner.tally, (!self.journal.is_empty()).then_some(self.journal))
    }
}

impl Lane {
    fn new(name: &str, assembler: Assembler, progress: Progress) -> Self {
        Self {
            name: name.into(),
            assembler,
            record: Vec::new(),
            open: None,
            partial: Vec::new(),
            partial_came: None,
            progress,
            used: 0,
        }
    }
}

/// The text without what hides its words: a wire may hold colours and the like in its own form.
pub(crate) fn cleaned_text<'a>(text: &'a [u8], cleaned: &'a mut Vec<u8>) -> &'a [u8] {
    if clean::is_clean(text) {
        return text;
    }
    clean::clean(text, cleaned);
    cleaned
}
