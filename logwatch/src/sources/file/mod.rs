//! A file, and what it was rotated into.
//!
//! ```text
//!        before          at                          live
//!   ┌──────────────┐┌─────────────┐┌──────────────┐┌──────────┐
//!   │ app.log.3    ││ app.log.2   ││ app.log.1    ││ app.log  │
//!   └──────────────┘└──────┬──────┘└──────────────┘└──────────┘
//!     late lines of    the │ cursor    whole          from 0
//!     slow writers         └ from here
//! ```
//! Generations are known again by what is in them, not by their names; see `cursor`. What cannot be found is a gap. A partial
//! last line is left for the next run, unless its file was rotated away and somebody has begun with the next one.

mod cursor;
mod error;
mod expand;
mod first;
mod generation;
mod packed;
mod seek;
mod siblings;
mod snapshot;
mod stream;
mod trace;

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub(crate) use cursor::FileCursor;
use cursor::Place;
pub(crate) use error::FileError;
use generation::Generation;
use packed::{Checked, Readable};
use snapshot::Snapshot;
use stream::{Stretch, Watch};
use trace::{Plan, Rest};

use super::{Cursor, Opened, Part, Source, SourceError, Start};
use crate::chunk::Ending;
use crate::lanes::{Marks, Wire};

/// How often a log is looked at again that was rotated under our eyes, and how long after the last time.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// A file, and what it was rotated into.
pub(crate) struct LogFile {
    path: PathBuf,
    name: String,
    /// What wraps its lines, where that is known.
    wire: Option<Wire>,
    left: Left,
}

/// Where the log is left, as far as that is known before it was read.
enum Left {
    /// Nothing is read of the file itself.
    Settled(FileCursor),
    /// The file itself is read, from here on.
    Live { file: Generation, from: u64, watch: Watch, before: Option<Place> },
    /// A packed file that was named itself is read, from here on.
    Packed { file: Generation, from: u64, checked: Checked },
}

impl LogFile {
    /// This file.
    pub(crate) fn new(path: &Path) -> Self {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = path.strip_prefix(".").unwrap_or(path).display().to_string();
        Self { path: shipshape_core::path::clean(&whole), name, wire: None, left: Left::Settled(FileCursor::default()) }
    }

    /// The same file, known to be the log of a container.
    pub(crate) fn of_container(self, name: &str) -> Self {
        Self { name: name.to_owned(), wire: Some(Wire::DockerJson), ..self }
    }

    /// The files that are meant by a path or a pattern, relative ones from `base` on. Without rotated generations of a file that
    /// is meant too: those belong to it.
    ///
    /// # Errors
    /// The pattern has no meaning, or nothing matches it.
    pub(crate) fn expand(pattern: &str, base: &Path) -> Result<Vec<Self>, SourceError> {
        let paths = expand::expand(pattern, base)?;
        Ok(paths.iter().map(|path| Self::new(path)).collect())
    }

    fn error(&self, error: io::Error) -> FileError {
        FileError::of(&self.path, error)
    }

    /// Opens a log, with whatever it was rotated into since.
    fn open_log(&mut self, cursor: Option<&FileCursor>, start: &Start) -> Result<Opened, FileError> {
        for _ in 0..TRIES {
            let snapshot = Snapshot::take(&self.path)?;
            let looked = self.look(&snapshot, cursor, start)?;
            if snapshot.is_current(&self.path)? {
                return self.read(snapshot, looked, cursor);
            }
            thread::sleep(PAUSE);
        }
        Err(self.error(io::Error::other("it is rotated all the time")))
    }

    /// What there is to read, and whether it may be older than asked for. No plan while it has to be waited for.
    fn look(
        &self,
        snapshot: &Snapshot,
        cursor: Option<&FileCursor>,
        start: &Start,
    ) -> Result<(Option<Plan>, bool), FileError> {
        let looked = match cursor {
            Some(cursor) => trace::trace(cursor, snapshot, start.now).map(|plan| (plan, false)),
            None => first::look(snapshot, start).map(|(plan, is_undated)| (Some(plan), is_undated)),
        };
        let looked = looked.map_err(|error| self.error(error))?;
        // Between a rename and the new file there is none for a moment. That explains one run without it, not two.
        let is_explained =
            cursor.is_some_and(|cursor| !cursor.is_missing) && looked.0.as_ref().is_none_or(|plan| plan.is_rotated);
        if snapshot.live.is_none() && !is_explained {
            return Err(FileError::Missing { path: self.path.clone() });
        }
        Ok(looked)
    }

    /// Opens what the plan names.
    fn read(
        &mut self,
        snapshot: Snapshot,
        (plan, is_undated): (Option<Plan>, bool),
        cursor: Option<&FileCursor>,
    ) -> Result<Opened, FileError> {
        let mut opened = nothing(cursor.is_none(), is_undated);
        let Some(plan) = plan else {
            self.left = Left::Settled(cursor.cloned().unwrap_or_default());
            return Ok(opened);
        };
        for rest in plan.rests.iter().filter(|rest| rest.to > rest.from) {
            let generation = &snapshot.olds[rest.old].generation;
            if cursor.is_some() && opened.parts.is_empty() {
                opened.before = generation.lines_before(rest.from).map_err(|error| self.error(error))?;
            }
            opened.parts.push(self.rest(generation, rest).map_err(|error| self.error(error))?);
        }
        opened.gaps = plan.gaps;
        let is_missing = snapshot.live.is_none();
        self.left = match (plan.live_from, snapshot.live) {
            (Some(from), Some(file)) => {
                let (part, watch) = self.live(&file, from).map_err(|error| self.error(error))?;
                if cursor.is_some() && opened.parts.is_empty() {
                    opened.before = file.lines_before(from).map_err(|error| self.error(error))?;
                }
                opened.parts.push(part);
                Left::Live { file, from, watch, before: plan.before }
            }
            (_, live) => {
                let next = live.map(|live| live.place(0)).transpose().map_err(|error| self.error(error))?;
                let at = plan.at.or_else(|| next.clone()).unwrap_or_default();
                Left::Settled(FileCursor { at, before: plan.before, next, is_missing, ..FileCursor::default() })
            }
        };
        Ok(opened)
    }

    /// Opens a packed file that was named itself: nobody writes it, and it is no generation of anything.
    fn open_packed(&mut self, file: Generation, cursor: Option<&FileCursor>, start: &Start) -> io::Result<Opened> {
        let (is_first, is_undated) = (cursor.is_none(), cursor.is_none() && start.since.is_some());
        let mut opened = nothing(is_first, is_undated);
        let from = match cursor {
            Some(cursor) if file.holds(&cursor.at)? => cursor.at.offset,
            _ => 0,
        };
        if cursor.is_none_or(|cursor| from == 0 || !file.is_unchanged_since(&cursor.at)) {
            let (stream, checked) = Readable::of(packed::unpack_from(&file.file, from)?);
            opened.parts.push(Part { stream: Box::new(stream), wire: self.wire, ending: Ending::Whole });
            self.left = Left::Packed { file, from, checked };
        } else {
            self.left = Left::Settled(cursor.cloned().unwrap_or_default());
        }
        Ok(opened)
    }

    /// Where the file is left that was read up to here.
    fn leave(&self, taken: u64) -> io::Result<FileCursor> {
        match &self.left {
            Left::Settled(cursor) => Ok(cursor.clone()),
            Left::Packed { file, from, checked } => {
                // The line in which it ends was judged as far as it goes. If the file is whole one day, it is read again: rather
                // twice than never.
                let whole_lines = checked.whole_lines();
                let at = file.place_when_rotated(from + whole_lines.unwrap_or(taken))?;
                Ok(FileCursor { at, is_cut: whole_lines.is_some(), ..FileCursor::default() })
            }
            Left::Live { file, from, watch, before } => {
                let (offset, before) = (watch.offset(*from, taken), before.clone());
                let now = file.again()?;
                let at = now.place(offset)?;
                // Asked last: what was read for the place is then of the same generation too.
                if now.length()? >= offset && watch.is_intact(&file.file)? {
                    return Ok(FileCursor { at, before, ..FileCursor::default() });
                }
                self.leave_torn(&now, offset, watch, before)
            }
        }
    }

    /// Where a file is left that was truncated while it was read: in its copy, or at its new beginning if there is none.
    fn leave_torn(
        &self,
        file: &Generation,
        offset: u64,
        watch: &Watch,
        before: Option<Place>,
    ) -> io::Result<FileCursor> {
        let (at, guard) = watch.guard();
        let seen = Place { offset: at + guard.len() as u64, tail: cursor::Print::of(&guard), ..Place::default() };
        for sibling in siblings::list(&siblings::target(&self.path))?.iter().rev() {
            let Ok(copy) = Generation::open(&sibling.path) else { continue };
            if !guard.is_empty() && copy.has_ends(&seen)? && copy.length()? >= offset {
                return Ok(FileCursor { at: copy.place(offset)?, before, ..FileCursor::default() });
            }
        }
        Ok(FileCursor { at: file.place(0)?, before, is_torn: true, ..FileCursor::default() })
    }

    /// A part of an older generation. Whoever planned it has seen where its last line ends.
    fn rest(&self, generation: &Generation, rest: &Rest) -> io::Result<Part> {
        let stream: Box<dyn Read + Send> = if generation.is_packed() {
            // Where it ends too early, that was told as a gap by whoever planned this.
            let (readable, _) = Readable::of(packed::unpack_from(&generation.file, rest.from)?);
            Box::new(readable.take(rest.to - rest.from))
        } else {
            Box::new(Stretch::of(&generation.file, rest.from, rest.to))
        };
        Ok(Part { stream, wire: self.wire, ending: Ending::Whole })
    }

    /// The file itself, as far as it reaches now: what comes while it is read is the next run's.
    fn live(&self, file: &Generation, from: u64) -> io::Result<(Part, Watch)> {
        let watch = Watch::over(&file.file, from)?;
        let stream = Box::new(Stretch::watched(&file.file, from, file.length()?.max(from), watch.clone()));
        Ok((Part { stream, wire: self.wire, ending: Ending::Open }, watch))
    }
}

/// Nothing that is new, so far.
fn nothing(is_first: bool, is_undated: bool) -> Opened {
    let (parts, before, gaps, marks) = (Vec::new(), Vec::new(), Vec::new(), Marks::new());
    Opened { parts, before, gaps, marks, is_first, is_undated }
}

impl Source for LogFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn open(&mut self, cursor: Option<&Cursor>, start: &Start) -> Result<Opened, SourceError> {
        let cursor = match cursor {
            Some(Cursor::File(cursor)) => Some(cursor),
            Some(Cursor::Lanes(_) | Cursor::Container(_) | Cursor::Journal(_)) | None => None,
        };
        match Generation::open(&self.path) {
            Ok(file) if file.is_packed() => {
                Ok(self.open_packed(file, cursor, start).map_err(|error| self.error(error))?)
            }
            Ok(_) | Err(FileError::Missing { .. }) => Ok(self.open_log(cursor, start)?),
            Err(error) => Err(error.into()),
        }
    }

    fn close(&mut self, taken: u64, _marks: Marks) -> Result<Cursor, SourceError> {
        Ok(Cursor::File(self.leave(taken).map_err(|error| self.error(error))?))
    }

    fn shortfall(&mut self) -> Option<SourceError> {
        let path = self.path.clone();
        let error = match &self.left {
            Left::Packed { checked, .. } => match checked.take_damage()? {
                error if error.kind() == io::ErrorKind::UnexpectedEof => FileError::CutShort { path },
                source => FileError::Broken { path, source },
            },
            Left::Settled(cursor) if cursor.is_cut => FileError::CutShort { path },
            Left::Settled(_) | Left::Live { .. } => return None,
        };
        Some(error.into())
    }
}
