//! Packed generations: their lines, and by what they are known again, without unpacking more than once what is not needed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;

use super::cursor::{HEAD, Place, TAIL};
use super::stream::At;

/// How much of a packed file is read at once, in bytes.
const READ: usize = 64 << 10;

/// What is in a packed file.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// Its beginning.
    pub(super) head: Vec<u8>,
    /// The last bytes before the place that was asked for.
    pub(super) tail: Vec<u8>,
    /// Its last bytes.
    pub(super) last: Vec<u8>,
    /// How much is in it, or how much of it can be read.
    pub(super) length: u64,
    /// Whether it is whole; otherwise it is still being written, was cut short, or is damaged.
    pub(super) is_whole: bool,
}

/// What is packed in a file, all members of it one after the other.
pub(super) fn unpack(file: &Arc<File>) -> impl Read + Send + use<> {
    MultiGzDecoder::new(BufReader::with_capacity(READ, At { file: file.clone(), at: 0 }))
}

/// What is packed in a file, from this place on.
///
/// # Errors
/// It ends before the place, or is damaged before it.
pub(super) fn unpack_from(file: &Arc<File>, from: u64) -> io::Result<impl Read + Send + use<>> {
    let mut unpacked = unpack(file);
    let skipped = io::copy(&mut unpacked.by_ref().take(from), &mut io::sink())?;
    if skipped < from { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(unpacked) }
}

/// How the reading of what may be cut short or damaged went.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// What ended it too early.
    damage: Option<io::Error>,
    /// How much came before the end of the last whole line.
    in_lines: u64,
    /// How much came.
    delivered: u64,
}

/// The same, for the stream and for whoever asks how it went.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked(Arc<Mutex<Health>>);

impl Checked {
    /// How much of the stream was whole lines, if it ended too early: the line in which it ends is there only in part.
    pub(super) fn whole_lines(&self) -> Option<u64> {
        let health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        health.damage.as_ref().map(|_| health.in_lines)
    }

    /// What ended the stream too early. Told once.
    pub(super) fn take_damage(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).damage.take()
    }
}

/// What can be unpacked of a file that may be cut short or damaged: there it ends, as if that was its end.
pub(super) struct Readable<R> {
    inner: R,
    checked: Checked,
}

impl<R: Read> Readable<R> {
    /// Of this; and where it is noted how it went.
    pub(super) fn of(inner: R) -> (Self, Checked) {
        let checked = Checked::default();
        (Self { inner, checked: checked.clone() }, checked)
    }
}

impl<R: Read> Read for Readable<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // In the steps of a survey: in the step that meets damage nothing comes out, so other steps would give another end.
        let room = into.len().min(READ);
        let mut health = self.checked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if health.damage.is_some() {
            return Ok(0);
        }
        match self.inner.read(&mut into[..room]) {
            Err(error) if is_damage(&error) => {
                health.damage = Some(error);
                Ok(0)
            }
            Ok(read) => {
                if let Some(feed) = memchr::memrchr(b'\n', &into[..read]) {
                    health.in_lines = health.delivered + feed as u64 + 1;
                }
                health.delivered += read as u64;
                Ok(read)
            }
            other => other,
        }
    }
}

/// Unpacks a file to see what is in it. None if it has another beginning or end than what was read up to `place`: then most
/// of it need not be unpacked.
pub(super) fn survey(file: &Arc<File>, place: Option<&Place>) -> io::Result<Option<Survey>> {
    let mut unpacked = unpack(file);
    let mut survey = Survey { is_whole: true, ..Survey::default() };
    let stops = [place.map(|place| place.head.len as u64), place.map(|place| place.offset)];
    let mut buffer = vec![0; READ];
    loop {
        if place.is_some_and(|place| survey.is_other(place)) {
            return Ok(None);
        }
        if place.is_some_and(|place| survey.length == place.offset) {
            survey.tail.clone_from(&survey.last);
        }
        // To stop exactly where something is to be compared.
        let next = stops.iter().flatten().filter(|stop| **stop > survey.length).min();
        let room = next.map_or(READ, |stop| READ.min(usize::try_from(stop - survey.length).unwrap_or(READ)));
        match unpacked.read(&mut buffer[..room]) {
            Ok(0) => return Ok(Some(survey)),
            Ok(read) => survey.add(&buffer[..read]),
            Err(error) if is_damage(&error) => {
                survey.is_whole = false;
                return Ok(Some(survey));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Survey {
    /// Takes in what comes next.
    fn add(&mut self, bytes: &[u8]) {
        let head = (HEAD - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..head]);
        self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.last.drain(..self.last.len().saturating_sub(TAIL));
        self.length += bytes.len() as u64;
    }

    /// Whether what was seen so far cannot be the generation of this place. To be asked at the end of what is compared.
    fn is_other(&self, place: &Place) -> bool {
        let (head, tail) = (&place.head, &place.tail);
        (self.length == head.len as u64 && !head.is_of(&self.head))
            || (self.length == place.offset && !tail.is_of(&self.last[self.last.len().saturating_sub(tail.len)..]))
    }
}

/// Whether this is the fault of what is in the file, and not of the disk.
fn is_damage(error: &io::Error) -> bool {
    // flate2 says so of a file that ends too early, of one whose header is none, and of one whose checksum is another.
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Print;
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("line {number}\n").into_bytes()).collect()
    }

    fn place(text: &[u8], offset: usize) -> Place {
        let head = Print::of(&text[..offset.min(HEAD)]);
        let tail = Print::of(&text[offset.saturating_sub(TAIL)..offset]);
        Place { offset: offset as u64, head, tail, ..Place::default() }
    }

    #[test]
    fn members_are_read_one_after_the_other_and_from_any_place() {
        let text = lines(50_000);
        let (one, two) = text.split_at(123_456);
        let packed = file(&[member(one), member(two)].concat());
        for from in [0, 7, 123_455, 123_456, 123_457, text.len()] {
            let mut read = Vec::new();
            unpack_from(&packed, from as u64).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == text[from..], "from {from}");
        }
        assert!(unpack_from(&packed, text.len() as u64 + 1).is_err());
    }

    #[test]
    fn a_survey_knows_a_generation_by_both_its_ends() {
        let text = lines(50_000);
        let packed = file(&member(&text));
        for offset in [1, 100, 1024, 1025, 300_000, text.len()] {
            let survey = survey(&packed, Some(&place(&text, offset))).unwrap().unwrap();
            assert_eq!((survey.length, survey.is_whole), (text.len() as u64, true));
            assert_eq!(survey.tail, text[offset.saturating_sub(TAIL)..offset]);
            assert_eq!(survey.last, text[text.len() - TAIL..]);
        }
        let mut other = text.clone();
        other[299_990] = b'!';
        assert!(survey(&packed, Some(&place(&other, 300_000))).unwrap().is_none(), "only the tail differs");
        other.clone_from(&text);
        other[0] = b'!';
        assert!(survey(&packed, Some(&place(&other, 300_000))).unwrap().is_none(), "only the head differs");
    }

    #[test]
    fn what_is_cut_short_or_damaged_is_not_whole() {
        let text = lines(50_000);
        let whole = member(&text);
        let damaged = [&whole[..whole.len() / 2], &[0xff; 40], &whole[whole.len() / 2..]].concat();
        for bytes in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &whole[..5], &[], &damaged] {
            let survey = survey(&file(bytes), None).unwrap().unwrap();
            assert!(!survey.is_whole, "of {} bytes", bytes.len());
        }
    }
}
