//! One generation of a log: an open file, as it is or packed, which stays the same whatever its name becomes.

use std::cell::OnceCell;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;

use super::cursor::{HEAD, Place, Print, TAIL};
use super::error::FileError;
use super::packed::{self, Survey};
use super::siblings::is_packed;
use super::stream;

/// How much is read at once when a line's beginning is looked for from behind, in bytes.
const BACK: usize = 64 << 10;

/// How many bytes tell generations apart.
pub(super) const TELLING: usize = 16;

/// The most that a packed file needs for nothing, in bytes: a header with a name in it, and a trailer (RFC 1952).
const PACKED_NOTHING: u64 = 1024;

/// At how many places two files are compared that seem to be the same.
const SAMPLES: u64 = 16;

/// One generation of a log.
pub(super) struct Generation {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    dev: u64,
    ino: u64,
    born: Option<i64>,
    /// How large the file is: packed, if it is.
    size: u64,
    pub(super) mtime_ns: i64,
    is_packed: bool,
    /// What is packed in it, once somebody had to know.
    survey: OnceCell<Survey>,
}

impl Generation {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        // A named pipe without a writer would let us wait for ever.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = match opened {
            Ok(file) => file,
            // ENXIO: a socket, or a device that nobody serves (open(2)).
            Err(error) => {
                if let Ok(facts) = path.metadata() {
                    FileError::check(path, &facts)?;
                }
                return Err(FileError::of(path, error));
            }
        };
        Self::of(file, path)
    }

    fn of(file: File, path: &Path) -> Result<Self, FileError> {
        let facts = file.metadata().map_err(|error| FileError::of(path, error))?;
        FileError::check(path, &facts)?;
        let mut one = Self {
            file: Arc::new(file),
            path: path.to_owned(),
            dev: facts.dev(),
            ino: facts.ino(),
            born: born(&facts),
            size: facts.len(),
            mtime_ns: mtime_ns(&facts),
            is_packed: is_packed(path),
            survey: OnceCell::new(),
        };
        // RFC 1952: the two bytes with which each member begins. No text does.
        one.is_packed |= one.bytes(0, 2).map_err(|error| FileError::of(path, error))? == [0x1f, 0x8b];
        Ok(one)
    }

    /// The same file as it is now.
    pub(super) fn again(&self) -> io::Result<Self> {
        let facts = self.file.metadata()?;
        let (file, path, survey) = (self.file.clone(), self.path.clone(), OnceCell::new());
        let (size, mtime_ns) = (facts.len(), mtime_ns(&facts));
        let Self { dev, ino, born, is_packed, .. } = *self;
        Ok(Self { file, path, dev, ino, born, size, mtime_ns, is_packed, survey })
    }

    /// Whether what is in it is packed.
    pub(super) fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// How much is in it, in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        if self.is_packed { Ok(self.survey()?.length) } else { Ok(self.size) }
    }

    /// Whether everything that ought to be in it can be read.
    pub(super) fn is_whole(&self) -> io::Result<bool> {
        Ok(!self.is_packed || self.survey()?.is_whole)
    }

    /// Whether it has the same inode as that of a place, and none that was made anew.
    pub(super) fn is_inode_of(&self, place: &Place) -> bool {
        let is_new = self.born.zip(place.born).is_some_and(|(mine, its)| mine != its);
        self.dev == place.dev && self.ino == place.ino && !is_new
    }

    /// Whether both are the same file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino, self.born) == (other.dev, other.ino, other.born)
    }

    /// Whether nobody has written into it since.
    pub(super) fn is_unchanged_since(&self, place: &Place) -> bool {
        (self.size, self.mtime_ns) == (place.size, place.mtime_ns)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        if self.is_packed {
            return Ok(self.size <= PACKED_NOTHING && self.is_whole()? && self.length()? == 0);
        }
        Ok(self.size == 0)
    }

    /// Whether a place is in this generation: nothing of what was read has changed.
    pub(super) fn holds(&self, place: &Place) -> io::Result<bool> {
        Ok(match (self.is_packed, &place.packed) {
            (false, _) if place.is_blank() => self.is_inode_of(place),
            (false, _) => self.has_ends(place)?,
            (true, Some(end)) if self.is_inode_of(place) && end.is_of(&self.end()?) => true,
            // What was empty could be anything.
            (true, _) if place.is_blank() => false,
            (true, _) => self.unpacks_to(place)?,
        })
    }

    /// Whether it has the same bytes at a place, whichever file it is.
    pub(super) fn has_ends(&self, place: &Place) -> io::Result<bool> {
        if self.is_packed {
            return self.unpacks_to(place);
        }
        let behind = place.offset.saturating_sub(place.tail.len as u64);
        Ok(self.size >= place.offset
            && place.head.is_of(&self.bytes(0, place.head.len)?)
            && place.tail.is_of(&self.bytes(behind, place.tail.len)?))
    }

    fn unpacks_to(&self, place: &Place) -> io::Result<bool> {
        let Some(survey) = packed::survey(&self.file, Some(place))? else { return Ok(false) };
        let is_long_enough = survey.length >= place.offset.max(place.head.len as u64);
        // The survey is the same for whoever asks next.
        let _ = self.survey.set(survey);
        Ok(is_long_enough)
    }

    /// Whether this is a copy of a file that has grown since, or has not: it has the same bytes up to its end. A generation
    /// that has no more than the first lines of the next one looks the same, but is older than its file. And where each line is
    /// like the one before it, the same bytes prove nothing; then rather twice than never.
    pub(super) fn is_copy_of(&self, live: &Self) -> io::Result<bool> {
        let is_older = self.born.zip(live.born).is_some_and(|(mine, its)| mine < its);
        if is_older || self.is_packed || self.size > live.size || self.size < TELLING as u64 {
            return Ok(false);
        }
        let end = self.size.saturating_sub(BACK as u64);
        // The end first: where that differs, as it nearly always does, nothing else is read.
        for at in std::iter::once(end).chain((0..SAMPLES).map(|number| end / SAMPLES * number)) {
            let length = usize::try_from(self.size - at).unwrap_or(BACK).min(BACK);
            let mine = self.bytes(at, length)?;
            if mine != live.bytes(at, length)? || (at == end && is_monotonous(&mine)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The place at this offset.
    pub(super) fn place(&self, offset: u64) -> io::Result<Place> {
        let (head, tail) = if self.is_packed { self.packed_ends(offset)? } else { self.ends(offset)? };
        Ok(Place {
            dev: self.dev,
            ino: self.ino,
            born: self.born,
            offset,
            head: Print::of(&head),
            tail: Print::of(&tail),
            size: self.size,
            mtime_ns: self.mtime_ns,
            packed: if self.is_packed { Some(Print::of(&self.end()?)) } else { None },
            is_done: false,
        })
    }

    /// Its end, by what is there alone.
    pub(super) fn place_of_end(&self) -> io::Result<Place> {
        let last = if self.is_packed { self.survey()?.last.clone() } else { self.end()? };
        Ok(Place { offset: self.length()?, tail: Print::of(&last), ..Place::default() })
    }

    /// The place at this offset of a file that was rotated away.
    pub(super) fn place_when_rotated(&self, offset: u64) -> io::Result<Place> {
        Ok(Place { is_done: offset == self.length()?, ..self.place(offset)? })
    }

    /// The beginning, and what is before the offset. Only what was read is sure to stay as it is; where that is nothing, a
    /// beginning without zero bytes is: those are room set aside, into which lines are yet to be written.
    fn ends(&self, offset: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let read = if offset == 0 { self.size } else { offset };
        let mut head = self.bytes(0, usize::try_from(read).unwrap_or(HEAD).min(HEAD))?;
        if offset == 0 {
            head.truncate(memchr::memchr(0, &head).unwrap_or(head.len()));
        }
        let tail = usize::try_from(offset).unwrap_or(TAIL).min(TAIL);
        Ok((head, self.bytes(offset - tail as u64, tail)?))
    }

    fn packed_ends(&self, offset: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let survey = self.survey()?;
        if survey.length == offset {
            return Ok((survey.head.clone(), survey.last.clone()));
        }
        let place = Place { offset, ..Place::default() };
        let mut survey = packed::survey(&self.file, Some(&place))?.unwrap_or_default();
        survey.head.truncate(usize::try_from(offset).unwrap_or(HEAD));
        Ok((survey.head, survey.tail))
    }

    /// The file's own last bytes.
    fn end(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.size).unwrap_or(TAIL).min(TAIL);
        self.bytes(self.size - length as u64, length)
    }

    /// What is packed in it.
    fn survey(&self) -> io::Result<&Survey> {
        if let Some(survey) = self.survey.get() {
            return Ok(survey);
        }
        let survey = packed::survey(&self.file, None)?.unwrap_or_default();
        Ok(self.survey.get_or_init(|| survey))
    }

    /// So many bytes of the file from here, or fewer where it ends.
    pub(super) fn bytes(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        stream::bytes(&self.file, from, length)
    }

    /// The lines right before this place, as many as a record may have in most cases.
    pub(super) fn lines_before(&self, end: u64) -> io::Result<Vec<u8>> {
        let from = end.saturating_sub(BACK as u64);
        let length = usize::try_from(end - from).unwrap_or(BACK);
        if !self.is_packed {
            return Ok(whole_lines(self.bytes(from, length)?, from == 0));
        }
        let mut bytes = Vec::with_capacity(length);
        packed::unpack_from(&self.file, from)?.take(length as u64).read_to_end(&mut bytes)?;
        Ok(whole_lines(bytes, from == 0))
    }

    /// Where the last line before `end` that has one ends, but not before `from`.
    pub(super) fn end_of_lines(&self, from: u64, end: u64) -> io::Result<u64> {
        let mut end = end;
        while end > from {
            let length = usize::try_from(end - from).unwrap_or(BACK).min(BACK);
            let block = self.bytes(end - length as u64, length)?;
            if let Some(feed) = memchr::memrchr(b'\n', &block) {
                return Ok(end - length as u64 + feed as u64 + 1);
            }
            end -= length as u64;
        }
        Ok(from)
    }
}

/// What of these bytes are lines, where `is_all` says that they begin with one; else they begin somewhere in a line.
fn whole_lines(mut bytes: Vec<u8>, is_all: bool) -> Vec<u8> {
    if !is_all {
        let begin = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |feed| feed + 1);
        bytes.drain(..begin);
    }
    bytes
}

/// When a file was written last, in nanoseconds of the epoch.
fn mtime_ns(facts: &Metadata) -> i64 {
    facts.mtime().saturating_mul(1_000_000_000).saturating_add(facts.mtime_nsec())
}

/// When an inode was made, in nanoseconds of the epoch, where the file system says so (statx(2)).
fn born(facts: &Metadata) -> Option<i64> {
    let since = facts.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// Whether the last two lines are the same.
fn is_monotonous(bytes: &[u8]) -> bool {
    let mut lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).rsplit(|byte| *byte == b'\n');
    let last = lines.next();
    last.is_some() && last == lines.next()
}
