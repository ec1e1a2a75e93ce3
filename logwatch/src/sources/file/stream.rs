//! A part of a file as a stream, that notices when the file is truncated under it and skips holes.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Holes that are smaller are read: asking for them would cost as much.
const HOLE: u64 = 64 << 10;

/// How many holes are skipped; of what has more, the rest is read.
const MOST_HOLES: usize = 1024;

/// How many of the bytes read last are compared with the file, to see that it is still the same.
const GUARD: usize = 64;

/// A file from a place on, wherever others read in it.
pub(super) struct At<F> {
    pub(super) file: F,
    pub(super) at: u64,
}

impl<F: Deref<Target = File>> Read for At<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// So many bytes of a file from here, or fewer where it ends.
pub(super) fn bytes(file: &File, from: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    At { file, at: from }.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How the reading of a file that others write went.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that were read, and where they are.
    guard: (u64, Vec<u8>),
    /// What was skipped: at which byte of the stream, and how much.
    holes: Vec<(u64, u64)>,
    /// Whether the file was truncated meanwhile.
    is_torn: bool,
}

/// The same, for the stream and for whoever asks how it went.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Progress>>);

impl Watch {
    /// Watches a file that is read from here on: by what is before it, or by the file's beginning where nothing is.
    pub(super) fn over(file: &File, from: u64) -> io::Result<Self> {
        let at = from.saturating_sub(GUARD as u64);
        let mut guard = bytes(file, at, GUARD)?;
        // See `remember`.
        guard.truncate(memchr::memchr(0, &guard).unwrap_or(guard.len()));
        Ok(Self(Arc::new(Mutex::new(Progress { guard: (at, guard), ..Progress::default() }))))
    }

    /// Whether the file still has the bytes that were read last, and is the one that was opened.
    pub(super) fn is_intact(&self, file: &File) -> io::Result<bool> {
        let mut progress = self.lock();
        let (at, guard) = &progress.guard;
        let is_same = bytes(file, *at, guard.len())? == *guard;
        progress.is_torn |= !is_same;
        Ok(!progress.is_torn)
    }

    /// The bytes that were read last, and where they were.
    pub(super) fn guard(&self) -> (u64, Vec<u8>) {
        self.lock().guard.clone()
    }

    /// How far a file was read that was read from `from` on, when so much of the stream was taken.
    pub(super) fn offset(&self, from: u64, taken: u64) -> u64 {
        let progress = self.lock();
        // A hole behind the last byte that was taken is looked at again: lines may be written into it.
        let skipped = progress.holes.iter().filter(|(at, _)| *at < taken).map(|(_, bytes)| bytes);
        from + taken + skipped.sum::<u64>()
    }

    fn remember(&self, at: u64, read: &[u8]) {
        // Too few bytes would prove too little, and zeros may be room into which lines are written yet: those before them
        // are as good.
        if let Some(last) = read.len().checked_sub(GUARD)
            && !read[last..].contains(&0)
        {
            self.lock().guard = (at + last as u64, read[last..].to_vec());
        }
    }

    fn skip(&self, delivered: u64, bytes: u64) -> bool {
        let holes = &mut self.lock().holes;
        let has_room = holes.len() < MOST_HOLES;
        if has_room {
            holes.push((delivered, bytes));
        }
        has_room
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a file, without its larger holes.
pub(super) struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
    delivered: u64,
    watch: Option<Watch>,
}

impl Stretch {
    /// From one place to another of a file that nobody writes.
    pub(super) fn of(file: &Arc<File>, from: u64, end: u64) -> Self {
        Self { file: file.clone(), at: from, end, delivered: 0, watch: None }
    }

    /// The same of a file that others write: where it is truncated meanwhile, the stream ends with the last byte that is
    /// surely of the file as it was.
    pub(super) fn watched(file: &Arc<File>, from: u64, end: u64, watch: Watch) -> Self {
        Self { watch: Some(watch), ..Self::of(file, from, end) }
    }

    /// Goes on behind a hole, if there is one here.
    fn skip_hole(&mut self) {
        let next = match rustix::fs::seek(&*self.file, SeekFrom::Data(self.at)) {
            Ok(next) => next.min(self.end),
            // Nothing but a hole up to the end (lseek(2)).
            Err(Errno::NXIO) => self.end,
            // A file system without such an answer.
            Err(_) => return,
        };
        let bytes = next.saturating_sub(self.at);
        if bytes >= HOLE && self.watch.as_ref().is_none_or(|watch| watch.skip(self.delivered, bytes)) {
            self.at = next;
        }
    }
}

impl Read for Stretch {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(into.len());
        if room == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut into[..room], self.at)?;
        match &self.watch {
            // The bytes before these are still there, so these are of the same generation: whoever truncates a file takes
            // all of it away.
            Some(watch) if read == 0 || !watch.is_intact(&self.file)? => {
                watch.lock().is_torn = true;
                self.end = self.at;
                return Ok(0);
            }
            Some(watch) => watch.remember(self.at, &into[..read]),
            None if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
        self.at += read as u64;
        self.delivered += read as u64;
        if into[read - 1] == 0 {
            self.skip_hole();
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[test]
    fn a_stretch_ends_where_it_was_told_though_the_file_grows() {
        let file = file(b"one\ntwo\nthree\n");
        let mut read = String::new();
        Stretch::of(&file, 4, 8).read_to_string(&mut read).unwrap();
        assert_eq!(read, "two\n");
    }

    #[test]
    fn a_rotated_file_that_is_shorter_than_it_was_is_an_error() {
        let file = file(b"one\n");
        assert!(Stretch::of(&file, 0, 8).read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn truncation_is_noticed_even_if_the_file_has_grown_again() {
        let old = b"old line\n".repeat(1000);
        for regrown in [0, 100, 100_000] {
            let file = file(&old);
            let watch = Watch::over(&file, 0).unwrap();
            let mut stretch = Stretch::watched(&file, 0, 9000, watch.clone());
            let mut read = vec![0; 4500];
            stretch.read_exact(&mut read).unwrap();
            file.set_len(0).unwrap();
            file.write_all_at(&b"new line\n".repeat(regrown), 0).unwrap();
            assert_eq!(stretch.read(&mut read).unwrap(), 0, "after {regrown} new lines");
            assert!(!watch.is_intact(&file).unwrap());
            assert_eq!(watch.guard(), (4500 - 64, old[4500 - 64..4500].to_vec()));
        }
    }

    #[test]
    fn a_hole_of_terabytes_costs_nothing_and_counts_for_the_offset() {
        let file = file(b"before\n");
        let hole = 4 << 40;
        file.write_all_at(b"behind\n", hole).unwrap();
        let watch = Watch::over(&file, 0).unwrap();
        let mut stretch = Stretch::watched(&file, 0, hole + 7, watch.clone());
        let mut read = Vec::new();
        stretch.read_to_end(&mut read).unwrap();
        assert!(read.len() < 1 << 20, "{} bytes were read", read.len());
        let text: Vec<u8> = read.iter().copied().filter(|byte| *byte != 0).collect();
        assert_eq!(text, b"before\nbehind\n");
        assert_eq!(watch.offset(0, 7), 7, "what is behind the last line is looked at again");
        assert_eq!(watch.offset(0, read.len() as u64), hole + 7);
    }
}
