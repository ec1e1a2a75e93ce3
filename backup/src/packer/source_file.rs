//! A file being read while it may change.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use shipshape_core::archive::entry::{Entry, Hash, Kind};
use shipshape_core::archive::tarball::Extents;
use shipshape_core::signal::{self, Interrupted};

use super::{Trouble, WHOLE};
use crate::facts;

/// How often a small file that changes under our eyes is read again before it is taken as it is.
const TRIES: usize = 3;

/// What reading a file at once gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All of it, so many bytes.
    Whole(usize),
    /// It is too large for that, or has holes: stream it.
    Larger,
}

/// A file opened for reading.
#[derive(Debug)]
pub(super) struct SourceFile {
    file: File,
    entry: Entry,
    extents: Option<Extents>,
    changed: bool,
    broken: Option<io::ErrorKind>,
}

impl SourceFile {
    /// Opens what the walk has seen, and nothing else: no symbolic link on the way, no waiting for a named pipe. Facts
    /// and attributes are those of the opened file.
    pub(super) fn open(path: &Path, seen: &Entry, holes: bool) -> Result<Self, Trouble> {
        let file = open_without_links(path).map_err(trouble_of)?;
        let facts = file.metadata().map_err(Trouble::from_io)?;
        let Some(mut entry) = facts::entry_of(&seen.path.0, &facts).filter(|entry| entry.kind == Kind::File) else {
            return Err(Trouble::Vanished);
        };
        entry.xattrs = facts::attributes_of_open(&file).map_err(Trouble::from_io)?;
        let extents = if holes { find_extents(&file, entry.size) } else { None };
        entry.sparse = extents.is_some();
        Ok(Self { file, entry, extents, changed: false, broken: None })
    }

    /// Its facts, as they will stand in the index.
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The same, taken out.
    pub(super) fn into_entry(self) -> Entry {
        self.entry
    }

    /// Where it has data, if it has holes.
    pub(super) fn extents(&self) -> Option<&Extents> {
        self.extents.as_ref()
    }

    /// Whether what was read may be of two moments.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Why its content could not be read to the end, if so.
    pub(super) fn broken(&self) -> Option<io::ErrorKind> {
        self.broken
    }

    /// Reads a small file into `buffer`, again if it changes meanwhile.
    pub(super) fn read_whole(&mut self, buffer: &mut [u8]) -> io::Result<Content> {
        for attempt in 0..TRIES {
            if self.entry.size > WHOLE as u64 || self.extents.is_some() {
                return Ok(Content::Larger);
            }
            let expected = usize::try_from(self.entry.size).unwrap_or(WHOLE);
            // One byte more than expected: a full buffer tells of growth, and a short read is the end of the file.
            let length = read_up_to(&self.file, &mut buffer[..=expected], 0)?;
            if !self.look_again()? && length == expected {
                return Ok(Content::Whole(length));
            }
            if attempt + 1 == TRIES {
                self.changed = true;
                self.entry.size = length as u64;
                return Ok(Content::Whole(length));
            }
        }
        Ok(Content::Larger)
    }

    /// Looks at the file's times and size again; true if they moved. The entry is the newer one then.
    fn look_again(&mut self) -> io::Result<bool> {
        let facts = self.file.metadata()?;
        let Some(now) = facts::entry_of(&self.entry.path.0, &facts) else { return Ok(true) };
        let moved = !facts::looks_unchanged(&now, &self.entry);
        if moved {
            let Entry { xattrs, sparse, .. } = std::mem::replace(&mut self.entry, now);
            self.entry.xattrs = xattrs;
            self.entry.sparse = sparse;
        }
        Ok(moved)
    }

    /// The hash of the whole content, without storing it.
    pub(super) fn hash(&mut self, buffer: &mut [u8]) -> Result<Hash, Interrupted> {
        let mut hasher = blake3::Hasher::new();
        let mut reader = self.reader();
        while let Some(part) = reader.next(buffer) {
            signal::check()?;
            part.hash_into(&mut hasher);
        }
        Ok(Hash(*hasher.finalize().as_bytes()))
    }

    /// The beginning of the content, to judge it by.
    pub(super) fn sample(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.extents.as_ref().and_then(|extents| extents.iter().next()).map_or(0, |extent| extent.0);
        let length = buffer.len().min(SAMPLE);
        read_up_to(&self.file, &mut buffer[..length], start)
    }

    /// Reads the content part by part: always as much as the entry tells.
    pub(super) fn reader(&mut self) -> Parts<'_> {
        let extents = match &self.extents {
            Some(extents) => extents.iter().collect(),
            None => vec![(0, self.entry.size)],
        };
        Parts { source: self, extents, next: 0, position: 0 }
    }
}

/// Bytes to judge a large file by.
const SAMPLE: usize = 16 * 1024;

/// Reads the extents of a file one after the other.
pub(super) struct Parts<'a> {
    source: &'a mut SourceFile,
    extents: Vec<(u64, u64)>,
    next: usize,
    /// Where in the file the last part ended.
    position: u64,
}

/// A part of a file: bytes that are stored, after a hole that is not.
pub(super) struct Part<'b> {
    hole: u64,
    bytes: &'b [u8],
}

impl Part<'_> {
    pub(super) fn stored(&self) -> &[u8] {
        self.bytes
    }

    /// The hash is of the content as a reader of the file sees it, zeros of holes included.
    pub(super) fn hash_into(&self, hasher: &mut blake3::Hasher) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut hole = self.hole;
        while hole > 0 {
            let length = hole.min(ZEROS.len() as u64);
            hasher.update(&ZEROS[..usize::try_from(length).unwrap_or_default()]);
            hole -= length;
        }
        hasher.update(self.bytes);
    }
}

impl Parts<'_> {
    /// The next part; `None` after the last. What the file does not give any more is zeros.
    pub(super) fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Part<'b>> {
        let (offset, length) = *self.extents.get(self.next)?;
        let start = self.position.max(offset);
        let hole = start - self.position;
        let end = offset + length;
        let wanted = usize::try_from((end - start).min(PART as u64)).unwrap_or(PART).min(buffer.len());
        let part = &mut buffer[..wanted];
        self.fill(part, start);
        self.position = start + wanted as u64;
        if self.position >= end {
            self.next += 1;
        }
        if self.next == self.extents.len() {
            self.notice_changes();
        }
        Some(Part { hole, bytes: part })
    }

    /// Fills a part; what the file does not have any more, with zeros.
    fn fill(&mut self, part: &mut [u8], start: u64) {
        let found = read_up_to(&self.source.file, part, start);
        let found = found.unwrap_or_else(|refused| {
            // A bad disk in the middle of a file: the tar is kept whole with zeros, and the file does not count as stored.
            self.source.broken = Some(refused.kind());
            0
        });
        if found < part.len() {
            part[found..].fill(0);
            self.source.changed = true;
        }
    }

    /// Looks a last time: whether all that was read is of one moment.
    fn notice_changes(&mut self) {
        let size = self.source.entry.size;
        let before = self.source.entry.clone();
        if self.source.look_again().unwrap_or(true) {
            // The entry stays that of the first look, so that the next run sees the difference and looks again.
            self.source.entry = before;
            self.source.entry.size = size;
            self.source.changed = true;
        }
    }
}

/// Bytes read at once: large enough that system calls do not show.
const PART: usize = 256 * 1024;

/// The BLAKE3 of bytes at hand.
pub(super) fn hash_of(bytes: &[u8]) -> Hash {
    Hash(*blake3::hash(bytes).as_bytes())
}

/// Fills the buffer from the position `start` of the file, or as far as the file goes.
fn read_up_to(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(refused) if refused.kind() == io::ErrorKind::Interrupted => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(filled)
}

/// Where a file has data. `None` where the file system does not tell, or there is no hole after all.
fn find_extents(file: &File, size: u64) -> Option<Extents> {
    let mut found = Vec::new();
    let mut position = 0;
    while position < size {
        let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(position)) {
            Ok(start) => start,
            // No data up to the end (lseek(2)).
            Err(Errno::NXIO) => break,
            Err(_) => return None,
        };
        let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start)).ok()?;
        found.push((start, end.min(size) - start));
        position = end;
    }
    let extents = Extents::new(&found, size);
    (extents.data_bytes() < size).then_some(extents)
}

/// Opens a file whose path, being canonical down to its root, must not go through any symbolic link: whoever may write
/// into the uploads could otherwise swap a folder for a link and have files of others put into the backup.
fn open_without_links(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Kernels before 5.6, and sandboxes that do not know the call, at least do not follow the last part.
        Err(Errno::NOSYS | Errno::PERM) => openat(CWD, path, flags, Mode::empty()).map(File::from),
        other => other.map(File::from),
    }
}

fn trouble_of(refused: Errno) -> Trouble {
    match refused {
        // It, or a folder above it, has become a link since the walk: what was there is gone.
        Errno::LOOP => Trouble::Vanished,
        other => Trouble::from_io(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn seen(path: &Path) -> (Entry, bool) {
        use std::os::unix::fs::MetadataExt;
        let facts = std::fs::symlink_metadata(path).unwrap();
        (facts::entry_of(b"f", &facts).unwrap(), facts.blocks() * 512 < facts.size())
    }

    fn content(file: &mut SourceFile) -> Vec<u8> {
        let mut buffer = vec![0; WHOLE + 1];
        let mut all = Vec::new();
        let mut reader = file.reader();
        while let Some(part) = reader.next(&mut buffer) {
            all.resize(all.len() + usize::try_from(part.hole).unwrap(), 0);
            all.extend_from_slice(part.stored());
        }
        all
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real")).unwrap();
        shipshape_core::atomic::replace(&root.join("real/f"), b"secret").unwrap();
        let (entry, holes) = seen(&root.join("real/f"));
        symlink(root.join("real"), root.join("uploads")).unwrap();
        assert_eq!(SourceFile::open(&root.join("uploads/f"), &entry, holes).unwrap_err(), Trouble::Vanished);
    }

    #[test]
    fn a_file_with_holes_reads_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("f");
        let file = File::create(&path).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(b"middle", 3 << 20).unwrap();
        file.set_len(9 << 20).unwrap();
        let (entry, holes) = seen(&path);
        let mut source = SourceFile::open(&path, &entry, holes).unwrap();
        let mut all = content(&mut source);
        all.resize(9 << 20, 0);
        assert!(all == std::fs::read(&path).unwrap());
        let hash = source.hash(&mut vec![0; WHOLE + 1]).unwrap();
        assert_eq!(hash, hash_of(&all), "a hole at the end counts too");
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_streamed_keeps_its_size_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("f");
        shipshape_core::atomic::replace(&path, &vec![7; 3 << 20]).unwrap();
        let (entry, holes) = seen(&path);
        let mut source = SourceFile::open(&path, &entry, holes).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
        let all = content(&mut source);
        assert_eq!(all.len(), 3 << 20);
        assert!(all[..1 << 20].iter().all(|byte| *byte == 7) && all[1 << 20..].iter().all(|byte| *byte == 0));
        assert!(source.has_changed());
    }
}
