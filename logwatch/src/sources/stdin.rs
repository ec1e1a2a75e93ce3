//! Standard input: what is piped in, told from what only happens to be there.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;

use flate2::read::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, SeekFrom, fstat, seek};

use super::program::beginning;
use super::{Cursor, Opened, Part, Source, SourceError, Start};
use crate::chunk::Ending;
use crate::lanes::Marks;

/// The name, for people and in the state.
pub(crate) const NAME: &str = "stdin";

/// How long it may take until a pipe that nobody writes to is seen to be closed, in nanoseconds: cron closes its one while
/// it starts us.
const AT_ONCE: i64 = 20_000_000;

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piped {
    /// Something that is to be read: a pipe, or a file.
    Something,
    /// A pipe or a file with nothing in it, and nobody who could add to it. Cron gives such a pipe.
    Nobody,
    /// A terminal, `/dev/null`, a socket: nobody has piped anything.
    Nothing,
}

/// What standard input is. Nothing is taken from it.
pub(super) fn piped() -> Piped {
    piped_into(io::stdin())
}

fn piped_into(input: impl AsFd) -> Piped {
    let Ok(facts) = fstat(&input) else { return Piped::Nothing };
    let is_used_up = match FileType::from_raw_mode(facts.st_mode) {
        FileType::Fifo => is_closed(&input),
        FileType::RegularFile => {
            let size = u64::try_from(facts.st_size).unwrap_or_default();
            seek(&input, SeekFrom::Current(0)).is_ok_and(|at| at >= size)
        }
        _ => return Piped::Nothing,
    };
    if is_used_up { Piped::Nobody } else { Piped::Something }
}

/// Whether a pipe is empty and has nobody left who could write to it.
fn is_closed(pipe: &impl AsFd) -> bool {
    let moment = Timespec { tv_sec: 0, tv_nsec: AT_ONCE };
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    let told = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&moment)));
    let found = fds[0].revents();
    told.is_ok() && found.contains(PollFlags::HUP) && !found.contains(PollFlags::IN)
}

/// What it means that nothing comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NothingComes {
    /// Nobody feeds it: `docker compose logs` prints nothing when the engine is down.
    IsAnError,
    /// There was nothing to log.
    IsFine,
}

/// How what is packed with gzip begins (RFC 1952). No text does.
const PACKED: &[u8] = &[0x1f, 0x8b];

/// How much of what is packed is read at once, in bytes.
const READ: usize = 64 << 10;

/// The beginning of a stream, and what comes after it. What is packed is unpacked, as it is in files.
fn begin(mut input: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let begun = beginning(&mut input)?;
    if !begun.starts_with(PACKED) {
        return Ok((begun, input));
    }
    let packed = BufReader::with_capacity(READ, io::Cursor::new(begun).chain(input));
    let mut unpacked = MultiGzDecoder::new(packed);
    Ok((beginning(&mut unpacked)?, Box::new(unpacked)))
}

/// Standard input as a source.
pub(super) struct Stdin {
    input: Option<Box<dyn Read + Send>>,
    nothing_comes: NothingComes,
}

impl Stdin {
    pub(super) fn new(nothing_comes: NothingComes) -> Self {
        // Not `io::stdin()` itself: its buffer is small, and its lock cannot be sent to another thread.
        let input = io::stdin().as_fd().try_clone_to_owned().map(|fd| Box::new(File::from(fd)) as Box<dyn Read + Send>);
        Self { input: input.ok(), nothing_comes }
    }
}

impl Source for Stdin {
    fn can_be_read_again(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        NAME
    }

    fn key(&self) -> String {
        NAME.to_owned()
    }

    /// Everything that comes is new, but for lines that carry the time at which the engine got them: those are known again.
    /// It is what somebody asks about: so it is judged also the first time.
    fn open(&mut self, cursor: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        let input = self.input.take().unwrap_or_else(|| Box::new(io::empty()));
        let begun = begin(input).map_err(|source| SourceError::Unreadable { path: NAME.into(), source })?;
        let (begun, input) = begun;
        if begun.is_empty() && self.nothing_comes == NothingComes::IsAnError {
            return Err(SourceError::Empty);
        }
        let marks = match cursor {
            Some(Cursor::Lanes(marks)) => marks.clone(),
            _ => Marks::new(),
        };
        let stream = Box::new(io::Cursor::new(begun).chain(input));
        let part = Part { stream, wire: None, ending: Ending::Whole };
        let (before, gaps) = (Vec::new(), Vec::new());
        Ok(Opened { parts: vec![part], before, gaps, marks, is_first: false, is_undated: false })
    }

    fn close(&mut self, _: u64, marks: Marks) -> Result<Cursor, SourceError> {
        Ok(Cursor::Lanes(marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use flate2::{Compression, write::GzEncoder};
    use std::io::{Seek, Write};

    use crate::formats::Zone;

    const START: Start = Start { since: None, zone: Zone::Local, now: DateTime::<Utc>::MIN_UTC };

    fn stdin(text: &'static str, nothing_comes: NothingComes) -> Stdin {
        piping(text.as_bytes().to_vec(), nothing_comes)
    }

    fn piping(bytes: Vec<u8>, nothing_comes: NothingComes) -> Stdin {
        Stdin { input: Some(Box::new(io::Cursor::new(bytes))), nothing_comes }
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_pipe_is_something_until_it_is_empty_and_closed() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(piped_into(&reader), Piped::Something, "somebody may still write");
        writer.write_all(b"x").unwrap();
        drop(writer);
        assert_eq!(piped_into(&reader), Piped::Something, "something was written");
        (&reader).read_exact(&mut [0]).unwrap();
        assert_eq!(piped_into(&reader), Piped::Nobody);
    }

    #[test]
    fn a_file_is_something_unless_nothing_is_left_of_it() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(piped_into(&file), Piped::Nobody);
        file.write_all(b"line\n").unwrap();
        assert_eq!(piped_into(&file), Piped::Nobody, "it was read to its end");
        file.rewind().unwrap();
        assert_eq!(piped_into(&file), Piped::Something);
    }

    #[test]
    fn the_null_device_is_nothing() {
        assert_eq!(piped_into(File::open("/dev/null").unwrap()), Piped::Nothing);
    }

    #[test]
    fn nothing_on_standard_input_is_an_error_unless_that_is_fine() {
        let refused = stdin("", NothingComes::IsAnError).open(None, &START);
        assert!(matches!(refused, Err(SourceError::Empty)));
        assert_eq!(stdin("", NothingComes::IsFine).open(None, &START).unwrap().parts.len(), 1);
    }

    #[test]
    fn everything_that_comes_is_read_and_marks_are_kept() {
        let mut marks = Marks::new();
        marks.entry("app-1".to_owned()).or_default();
        let mut source = stdin("one\ntwo\nthree", NothingComes::IsAnError);
        let mut opened = source.open(Some(&Cursor::Lanes(marks.clone())), &START).unwrap();
        let mut text = String::new();
        opened.parts[0].stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\nthree");
        assert_eq!(source.close(text.len() as u64, opened.marks).unwrap(), Cursor::Lanes(marks));
    }

    #[test]
    fn what_is_packed_is_unpacked_and_may_not_be_cut_short() {
        let lines = b"one line\n".repeat(50_000);
        let (one, two) = lines.split_at(200_000);
        let whole = [packed(one), packed(two)].concat();
        let mut opened = piping(whole.clone(), NothingComes::IsAnError).open(None, &START).unwrap();
        let mut read = Vec::new();
        opened.parts[0].stream.read_to_end(&mut read).unwrap();
        assert!(read == lines);
        let mut cut = piping(whole[..whole.len() - 9].to_vec(), NothingComes::IsAnError).open(None, &START).unwrap();
        assert!(cut.parts[0].stream.read_to_end(&mut read).is_err());
        let nothing = piping(packed(b""), NothingComes::IsAnError).open(None, &START);
        assert!(matches!(nothing, Err(SourceError::Empty)));
    }
}
