//! A program's output as the stream of a source, and how the program ended.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use shipshape_core::child::{ChildError, Stream};
use shipshape_core::signal;

/// The longest first line that is looked at, in bytes.
const LONGEST_FIRST_LINE: usize = 64 << 10;

/// How a program ended, known once its output was read to the end.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<Mutex<Option<Result<String, ChildError>>>>);

impl Ended {
    /// The end of its standard error, if it ended well.
    ///
    /// # Errors
    /// It did not, or nobody read so far: then what was read is not all that there is.
    pub(super) fn well(&self, program: &str) -> Result<String, ChildError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        known.unwrap_or_else(|| {
            signal::check()?;
            let source = io::Error::other("its output was not read to the end");
            Err(ChildError::Io { program: program.to_owned(), source })
        })
    }

    fn set(&self, end: Result<String, ChildError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }
}

/// What a program writes. At its end the program is asked how it ended.
pub(super) struct Output {
    stream: Option<Stream>,
    ended: Ended,
}

impl Output {
    /// The output of this program, and where its end will be known.
    pub(super) fn of(stream: Stream) -> (Self, Ended) {
        let ended = Ended::default();
        (Self { stream: Some(stream), ended: ended.clone() }, ended)
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        let read = stream.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.stream.take().map(Stream::finish).into_iter().for_each(|end| self.ended.set(end));
        }
        Ok(read)
    }
}

/// The beginning of a stream up to the end of its first line, if that is not too long, and perhaps more; empty if and only
/// if the stream is. What was read is not in the stream any more.
pub(super) fn beginning(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut begun = Vec::new();
    let mut buffer = vec![0; LONGEST_FIRST_LINE];
    while begun.len() < LONGEST_FIRST_LINE && !begun.contains(&b'\n') {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => begun.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::child::Command;

    fn sh(script: &str) -> (Output, Ended) {
        Output::of(Command::new("sh", ["-c", script]).stream().unwrap())
    }

    #[test]
    fn a_program_that_fails_after_some_lines_has_not_ended_well() {
        let (mut output, ended) = sh("echo one; echo 'the disk is gone' >&2; exit 1");
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let error = ended.well("sh").unwrap_err();
        assert_eq!(
            (text.as_str(), error.to_string().as_str()),
            ("one\n", "`sh` failed with status 1: the disk is gone")
        );
    }

    #[test]
    fn what_was_not_read_to_its_end_has_not_ended_well_either() {
        let (mut output, ended) = sh("echo one");
        assert_eq!(output.read(&mut [0; 2]).unwrap(), 2);
        assert!(matches!(ended.well("sh"), Err(ChildError::Io { .. })));
    }

    #[test]
    fn a_program_that_ends_well_tells_what_it_said_beside_its_output() {
        let (mut output, ended) = sh("echo a hint >&2");
        assert_eq!(beginning(&mut output).unwrap(), b"");
        assert_eq!(ended.well("sh").unwrap().trim(), "a hint");
    }

    #[test]
    fn the_beginning_has_the_whole_first_line_unless_it_is_too_long() {
        let (mut output, _) = sh("printf 'half '; sleep 0.1; echo line; sleep 0.1; echo two");
        assert!(beginning(&mut output).unwrap().starts_with(b"half line\n"));
        let long = vec![b'x'; LONGEST_FIRST_LINE * 3];
        assert_eq!(beginning(&mut long.as_slice()).unwrap().len(), LONGEST_FIRST_LINE);
    }
}
