//! What happened to a log since it was left: which generation that was, what came after it, and what is lost.

use std::io;

use chrono::{DateTime, TimeDelta, Utc};

use super::cursor::{FileCursor, Place};
use super::generation::{Generation, TELLING};
use super::siblings::Age;
use super::snapshot::{Old, Snapshot};
use crate::sources::Gap;

/// How long ago a packed file that is not whole was written last, until nobody is believed to be writing it.
const PACKING: TimeDelta = TimeDelta::minutes(10);

/// What there is to read.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Of older generations, in order; also what is empty so far.
    pub(super) rests: Vec<Rest>,
    /// From where on the file itself is read; none while nothing is in it.
    pub(super) live_from: Option<u64>,
    /// What is lost.
    pub(super) gaps: Vec<Gap>,
    /// Where the log is left if the file itself is not read.
    pub(super) at: Option<Place>,
    /// The generation before the one where the log is left.
    pub(super) before: Option<Place>,
    /// Whether older generations show that the log was rotated since.
    pub(super) is_rotated: bool,
}

/// A part of an older generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// Its number in [`Snapshot::olds`].
    pub(super) old: usize,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What became of the generation in which the log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    /// It is still the file itself.
    Live,
    /// It is this one of the older ones.
    Old(usize),
    /// It is nowhere.
    Gone,
}

/// What there is to read since the cursor. None while something of it is being packed: then nothing is read, nothing is
/// forgotten, and the next run reads all of it. Reading what is already there would be quicker by one run, but only a file that
/// is whole has a place that can be found again.
pub(super) fn trace(cursor: &FileCursor, snapshot: &Snapshot, now: DateTime<Utc>) -> io::Result<Option<Plan>> {
    let mut trace = Trace::new(cursor, snapshot)?;
    if trace.is_being_packed(now)? {
        return Ok(None);
    }
    trace.read_before()?;
    trace.read_unread()?;
    trace.tell_gaps()?;
    trace.leave()?;
    trace.plan.is_rotated = !trace.unread.is_empty();
    Ok(Some(trace.plan))
}

/// The work of [`trace`].
struct Trace<'a> {
    cursor: &'a FileCursor,
    snapshot: &'a Snapshot,
    /// Where the generation before the one of the cursor is.
    before: Option<usize>,
    anchor: Anchor,
    /// Whether anything is in the file itself.
    has_live: bool,
    /// The newest older generation that has anything in it.
    newest: Option<usize>,
    /// Older generations of which something was not read, oldest first: that of the cursor, and those after it.
    unread: Vec<usize>,
    plan: Plan,
}

impl<'a> Trace<'a> {
    fn new(cursor: &'a FileCursor, snapshot: &'a Snapshot) -> io::Result<Self> {
        let before = match &cursor.before {
            Some(place) => find_before(place, &snapshot.olds)?,
            None => None,
        };
        let (anchor, unread, plan) = (Anchor::Gone, Vec::new(), Plan::default());
        let newest = snapshot.newest_before(None)?;
        let has_live = match &snapshot.live {
            Some(live) => !live.is_empty()?,
            None => false,
        };
        let mut trace = Self { cursor, snapshot, before, anchor, has_live, newest, unread, plan };
        let newer = trace.newer();
        trace.anchor = trace.find_anchor(&newer)?;
        trace.unread = match trace.anchor {
            Anchor::Live => Vec::new(),
            Anchor::Old(old) => std::iter::once(old).chain(trace.newer_than(old)).collect(),
            Anchor::Gone => newer,
        };
        Ok(trace)
    }

    /// Looks for the generation of the cursor: the file itself, or one of those that are newer than the one before it.
    fn find_anchor(&self, newer: &[usize]) -> io::Result<Anchor> {
        let at = &self.cursor.at;
        if at.offset == 0 {
            return self.first_of(newer);
        }
        // Where both have what was read, both begin with the same lines: the older one was meant, for it is no copy.
        if let Some(old) = find_anchor(at, &self.snapshot.olds, newer)? {
            return Ok(Anchor::Old(old));
        }
        let is_live = match &self.snapshot.live {
            Some(live) => live.holds(at)?,
            None => false,
        };
        Ok(if is_live { Anchor::Live } else { Anchor::Gone })
    }

    /// Nothing was read of the generation of the cursor, so there is little by which it could be known again. But it is the one
    /// that comes first, if it is there.
    fn first_of(&self, newer: &[usize]) -> io::Result<Anchor> {
        let at = &self.cursor.at;
        for number in newer {
            let generation = &self.snapshot.olds[*number].generation;
            if generation.holds(at)? {
                return Ok(Anchor::Old(*number));
            }
            if !generation.is_empty()? {
                return Ok(Anchor::Gone);
            }
        }
        let is_live = match &self.snapshot.live {
            Some(live) => live.holds(at)?,
            None => false,
        };
        Ok(if is_live { Anchor::Live } else { Anchor::Gone })
    }

    /// The generations after this one. Names of another rule mean nothing beside its name; then they must be newer than the
    /// cursor, as files that were left behind years ago are not.
    fn newer_than(&self, old: usize) -> impl Iterator<Item = usize> + use<'a> {
        let (snapshot, since) = (self.snapshot, self.cursor.at.mtime_ns);
        let age: &Age = &snapshot.olds[old].age;
        (old + 1..snapshot.olds.len()).filter(move |other| {
            snapshot.olds[*other].age.is_like(age) || snapshot.olds[*other].generation.mtime_ns >= since
        })
    }

    /// The generations that nobody has read, where that of the cursor is nowhere.
    fn newer(&self) -> Vec<usize> {
        match (&self.cursor.before, self.before) {
            (Some(_), Some(before)) => self.newer_than(before).collect(),
            // The first generation that was ever read is not older than any that is there now.
            (None, _) => (0..self.snapshot.olds.len()).collect(),
            (Some(_), None) => {
                let since = self.cursor.at.mtime_ns;
                let is_newer = |old: &usize| self.snapshot.olds[*old].generation.mtime_ns >= since;
                (0..self.snapshot.olds.len()).filter(is_newer).collect()
            }
        }
    }

    /// Whether something that is to be read is not yet there as a whole.
    fn is_being_packed(&self, now: DateTime<Utc>) -> io::Result<bool> {
        for old in &self.unread {
            let generation = &self.snapshot.olds[*old].generation;
            let age = now - DateTime::from_timestamp_nanos(generation.mtime_ns);
            if age.abs() < PACKING && !generation.is_whole()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What somebody wrote into the generation before that of the cursor, after it had been read.
    fn read_before(&mut self) -> io::Result<()> {
        let (Some(old), Some(before)) = (self.before, &self.cursor.before) else { return Ok(()) };
        let to = self.end_of(old, before.offset, self.anchor != Anchor::Live)?;
        self.plan.rests.push(Rest { old, from: before.offset, to });
        Ok(())
    }

    /// What was not read of the generation of the cursor, and what came after it.
    fn read_unread(&mut self) -> io::Result<()> {
        for old in self.unread.clone() {
            let from = if self.anchor == Anchor::Old(old) { self.cursor.at.offset } else { 0 };
            // As long as nobody has begun with the next one, somebody may still be writing a line into this one.
            let is_over = self.has_live || Some(old) != self.newest;
            let to = self.end_of(old, from, is_over)?;
            self.plan.rests.push(Rest { old, from, to });
        }
        self.plan.live_from = match self.anchor {
            Anchor::Live => Some(self.cursor.at.offset),
            Anchor::Old(_) | Anchor::Gone => self.has_live.then_some(0),
        };
        Ok(())
    }

    /// How far an older generation is to be read: all of it, if nobody writes into it any more, else its whole lines.
    fn end_of(&self, old: usize, from: u64, is_over: bool) -> io::Result<u64> {
        let generation = &self.snapshot.olds[old].generation;
        let end = generation.length()?.max(from);
        if is_over || generation.is_packed() { Ok(end) } else { generation.end_of_lines(from, end) }
    }

    /// What nobody will ever see.
    fn tell_gaps(&mut self) -> io::Result<()> {
        let at = &self.cursor.at;
        if self.cursor.is_torn {
            self.tell(None, "truncated while it was read".to_owned());
        }
        if self.anchor == Anchor::Gone && self.is_lost()? {
            let known = at.size.saturating_sub(at.offset);
            let why = self.why_gone();
            // Where a generation is gone, others may be too that nobody has seen: their size is not known.
            let is_all = known > 0 && at.packed.is_none() && self.is_in_place();
            self.tell(is_all.then_some(known), why);
        }
        for old in self.unread.clone() {
            let generation = &self.snapshot.olds[old].generation;
            if !generation.is_whole()? {
                self.tell(None, format!("{} is cut short", generation.path.display()));
            }
        }
        Ok(())
    }

    /// Whether anything can have been lost with the generation of the cursor, now that it is nowhere.
    fn is_lost(&self) -> io::Result<bool> {
        let at = &self.cursor.at;
        if !at.is_blank() {
            return Ok(!(at.is_done && self.goes_on()?));
        }
        // It was empty. Nothing goes that came after something which is still there; and packed, it keeps its time.
        if self.before.is_some() {
            return Ok(false);
        }
        for old in &self.unread {
            let generation = &self.snapshot.olds[*old].generation;
            if generation.is_packed() && generation.mtime_ns == at.mtime_ns && generation.is_empty()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what comes first now is the file that was empty the last time, so that nothing can have been between.
    fn goes_on(&self) -> io::Result<bool> {
        let first = self.unread.first().map(|old| &self.snapshot.olds[*old].generation).or(self.snapshot.live.as_ref());
        let Some((next, first)) = self.cursor.next.as_ref().zip(first) else { return Ok(false) };
        // If it is still empty, it must not have been emptied.
        let is_as_left = !first.is_empty()? || first.mtime_ns == next.mtime_ns;
        Ok(is_as_left && first.is_inode_of(next))
    }

    /// Whether the file that was read is still the log, with other content.
    fn is_in_place(&self) -> bool {
        self.snapshot.live.as_ref().is_some_and(|live| live.is_inode_of(&self.cursor.at))
    }

    fn why_gone(&self) -> String {
        let at = &self.cursor.at;
        match self.snapshot.refused.first() {
            // What came first is there, or something came even before it: nobody can say.
            _ if at.is_blank() => "rotated before anything was read, perhaps more than once".to_owned(),
            _ if self.is_in_place() => "truncated".to_owned(),
            None => "rotated away".to_owned(),
            Some(name) => format!("rotated away, perhaps to {name}, which may not be read"),
        }
    }

    fn tell(&mut self, bytes: Option<u64>, why: String) {
        self.plan.gaps.push(Gap { bytes, why });
    }

    /// Where the log is left after all that.
    fn leave(&mut self) -> io::Result<()> {
        if self.plan.live_from.is_some() {
            // What has come beside a log that was not rotated is not before it.
            let before = self.before.filter(|_| self.anchor == Anchor::Live).or(self.newest);
            self.plan.before = self.place_of(before)?.or_else(|| self.cursor.before.clone());
            return Ok(());
        }
        // The file itself says nothing yet by which it could be known again: the cursor stays in the one before it.
        let last = self.snapshot.olds.len().checked_sub(1).filter(|_| self.snapshot.live.is_none());
        let Some(newest) = self.newest.or(last) else { return Ok(()) };
        self.plan.at = self.place_of(Some(newest))?.or_else(|| Some(self.cursor.at.clone()));
        self.plan.before = self.place_of(self.snapshot.newest_before(Some(newest))?)?;
        Ok(())
    }

    /// How far an older generation is read after this run; none where it cannot be known again yet.
    fn place_of(&self, old: Option<usize>) -> io::Result<Option<Place>> {
        let Some(old) = old else { return Ok(None) };
        let generation = &self.snapshot.olds[old].generation;
        let known = match &self.cursor.before {
            _ if self.anchor == Anchor::Old(old) => Some(&self.cursor.at),
            Some(before) if self.before == Some(old) => Some(before),
            _ => None,
        };
        let offset = match (self.plan.rests.iter().find(|rest| rest.old == old), known) {
            (Some(rest), _) => rest.to,
            (None, Some(known)) => known.offset,
            // The end of what is being packed is not its end.
            (None, None) if !generation.is_whole()? => return Ok(None),
            (None, None) => generation.length()?,
        };
        generation.place_when_rotated(offset).map(Some)
    }
}

/// Which generation is the one that was read before that of the cursor, to its end: by its inode, or the time of its last line,
/// which packing keeps, or its length. One that was only short could be the beginning of any.
fn find_before(place: &Place, olds: &[Old]) -> io::Result<Option<usize>> {
    let is_telling = place.head.len >= TELLING;
    let found = find(place, olds, |old| old.is_inode_of(place))?;
    let found = found.map_or_else(|| find(place, olds, |old| old.mtime_ns == place.mtime_ns), |old| Ok(Some(old)))?;
    let is_as_long = |old: &Generation| old.length().is_ok_and(|length| length == place.offset || is_telling);
    found.map_or_else(|| find(place, olds, is_as_long), |old| Ok(Some(old)))
}

/// The first of those that may be the generation of a place, and holds it.
fn find(place: &Place, olds: &[Old], may_be: impl Fn(&Generation) -> bool) -> io::Result<Option<usize>> {
    for (number, old) in olds.iter().enumerate() {
        if old.generation.holds(place)? && may_be(&old.generation) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Which of these generations is that of the cursor: by its inode, else the oldest that holds the place. If somebody made copies
/// of it while it grew, the last of them. The inode says nothing where an older one holds the place too and is no beginning of
/// this: the file was copied, emptied, and filled again with the same first lines.
fn find_anchor(at: &Place, olds: &[Old], newer: &[usize]) -> io::Result<Option<usize>> {
    let mut found: Option<usize> = None;
    for number in newer {
        let generation = &olds[*number].generation;
        if !generation.holds(at)? {
            continue;
        }
        let goes_on = match found {
            Some(before) => generation.has_ends(&olds[before].generation.place_of_end()?)?,
            None => true,
        };
        if goes_on {
            found = Some(*number);
            if generation.is_inode_of(at) {
                break;
            }
        }
    }
    Ok(found)
}
