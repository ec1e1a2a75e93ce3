//! Tar, as packs and payloads use it: GNU headers, and PAX records for what those cannot hold.
//!
//! The `tar` crate makes the headers and reads the archives. Content is pumped here and not by its `Builder`, because
//! that trusts the size it saw first, and a file that grows or shrinks while it is read then ruins the archive
//! (composefs/tar-rs#352), and because it writes no extended attributes.

use std::io::{self, Read, Write};

use tar::{Builder, EntryType, GnuExtSparseHeader, Header};

use super::entry::{Entry, Kind, Time};

/// Tar counts in blocks of this many bytes.
const BLOCK: u64 = 512;
/// Longer names do not fit into a header and go before it in an entry of their own.
const NAME_FIELD: usize = 100;

/// Where a sparse file has data: offset and length, in order, not touching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents(Vec<(u64, u64)>);

impl Extents {
    /// Extents of a file of `size` bytes, mended so that tar can hold them: each but the last a multiple of 512 bytes
    /// long, merged where they touch, and an empty one at the end of a file that ends in a hole.
    pub fn new(found: &[(u64, u64)], size: u64) -> Self {
        let mut mended: Vec<(u64, u64)> = Vec::new();
        for &(offset, length) in found {
            let start = offset / BLOCK * BLOCK;
            let end = (offset + length).next_multiple_of(BLOCK).min(size);
            match mended.last_mut() {
                Some(last) if start <= last.0 + last.1 => last.1 = end.max(last.0 + last.1) - last.0,
                _ if start < end => mended.push((start, end - start)),
                _ => {}
            }
        }
        if mended.last().is_none_or(|last| last.0 + last.1 < size) {
            mended.push((size, 0));
        }
        Self(mended)
    }

    /// Each extent's offset and length.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// Bytes of data.
    pub fn data_bytes(&self) -> u64 {
        self.0.iter().map(|extent| extent.1).sum()
    }
}

/// Writes a tar.
pub struct TarWriter<W: Write> {
    builder: Builder<Counter<W>>,
}

impl<W: Write> TarWriter<W> {
    /// Begins an empty archive.
    pub fn new(inner: W) -> Self {
        Self { builder: Builder::new(Counter { inner, position: 0 }) }
    }

    /// Bytes so far.
    pub fn position(&self) -> u64 {
        self.builder.get_ref().position
    }

    /// Writes an entry without content: a folder, a link, a named pipe.
    pub fn append_empty(&mut self, entry: &Entry) -> io::Result<()> {
        let header = header_of(entry);
        self.write_header(entry, header)?;
        Ok(())
    }

    /// Begins a file of exactly `entry.size` bytes, of which those in holes are not given. Returns where its header is.
    pub fn begin_file(&mut self, entry: &Entry, extents: Option<&Extents>) -> io::Result<u64> {
        let mut header = header_of(entry);
        if let Some(extents) = extents {
            make_sparse(&mut header, extents, entry.size);
        }
        let offset = self.write_header(entry, header)?;
        if let Some(extents) = extents {
            self.write_further_extents(extents)?;
        }
        Ok(offset)
    }

    /// Content of the file begun.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.builder.get_mut().write_all(bytes)
    }

    /// Ends the file: the block is filled up.
    pub fn end_file(&mut self) -> io::Result<()> {
        let rest = self.position().next_multiple_of(BLOCK) - self.position();
        self.zeros(rest)
    }

    /// Writes zeros, to stand for what a file lost while it was read.
    pub fn zeros(&mut self, bytes: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(bytes), self.builder.get_mut()).map(drop)
    }

    /// Writes the end mark, two blocks of zeros, and returns the stream under it.
    pub fn finish(self) -> io::Result<W> {
        self.builder.into_inner().map(|counter| counter.inner)
    }

    fn write_header(&mut self, entry: &Entry, mut header: Header) -> io::Result<u64> {
        self.set_name(entry, &mut header)?;
        self.set_link(entry, &mut header)?;
        self.write_pax(entry)?;
        header.set_cksum();
        let offset = self.position();
        self.data(header.as_bytes())?;
        Ok(offset)
    }

    fn set_name(&mut self, entry: &Entry, header: &mut Header) -> io::Result<()> {
        let mut name = entry.path.0.clone();
        if entry.kind == Kind::Dir {
            name.push(b'/');
        }
        if name.len() > NAME_FIELD {
            self.write_long(&name, EntryType::GNULongName)?;
            name.truncate(NAME_FIELD);
        }
        // Bytes as they are: `Header::set_path` would refuse some that are harmless here.
        header.as_old_mut().name[..name.len()].copy_from_slice(&name);
        Ok(())
    }

    fn set_link(&mut self, entry: &Entry, header: &mut Header) -> io::Result<()> {
        let Some(link) = &entry.link else { return Ok(()) };
        let mut link = link.0.clone();
        if link.len() > NAME_FIELD {
            self.write_long(&link, EntryType::GNULongLink)?;
            link.truncate(NAME_FIELD);
        }
        header.as_old_mut().linkname[..link.len()].copy_from_slice(&link);
        Ok(())
    }

    /// GNU's form for long names: raw bytes, which PAX records, being UTF-8, could not hold.
    fn write_long(&mut self, name: &[u8], kind: EntryType) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(name.len() as u64 + 1);
        header.set_cksum();
        self.data(header.as_bytes())?;
        self.data(name)?;
        self.data(&[0])?;
        self.end_file()
    }

    fn write_pax(&mut self, entry: &Entry) -> io::Result<()> {
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        let Time(seconds, nanoseconds) = entry.mtime;
        if nanoseconds != 0 || seconds < 0 {
            records.push(("mtime".to_owned(), decimal(entry.mtime).into_bytes()));
        }
        for (name, value) in &entry.xattrs {
            // Names of attributes are text in all that matters (xattr(7)); one that is not stays in the index alone.
            if let Ok(name) = std::str::from_utf8(&name.0) {
                records.push((format!("SCHILY.xattr.{name}"), value.0.clone()));
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.builder.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), value.as_slice())))
    }

    /// The extents that did not fit into the header, 21 in a block.
    fn write_further_extents(&mut self, extents: &Extents) -> io::Result<()> {
        let mut rest = extents.0.get(IN_HEADER..).unwrap_or_default();
        while !rest.is_empty() {
            let mut block = GnuExtSparseHeader::new();
            let count = rest.len().min(block.sparse().len());
            for (slot, &(offset, length)) in block.sparse_mut().iter_mut().zip(rest) {
                slot.set_offset(offset);
                slot.set_length(length);
            }
            rest = &rest[count..];
            block.set_is_extended(!rest.is_empty());
            self.data(block.as_bytes())?;
        }
        Ok(())
    }
}

/// Extents that fit into the header itself.
const IN_HEADER: usize = 4;

fn make_sparse(header: &mut Header, extents: &Extents, size: u64) {
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(extents.data_bytes());
    if let Some(gnu) = header.as_gnu_mut() {
        gnu.set_real_size(size);
        for (slot, &(offset, length)) in gnu.sparse.iter_mut().zip(&extents.0) {
            slot.set_offset(offset);
            slot.set_length(length);
        }
        gnu.set_is_extended(extents.0.len() > IN_HEADER);
    }
}

fn header_of(entry: &Entry) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(match entry.kind {
        Kind::File => EntryType::Regular,
        Kind::Dir => EntryType::Directory,
        Kind::Symlink => EntryType::Symlink,
        Kind::Hardlink => EntryType::Link,
        Kind::Fifo => EntryType::Fifo,
    });
    header.set_mode(entry.mode);
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    header.set_mtime(u64::try_from(entry.mtime.0).unwrap_or_default());
    header.set_size(if entry.kind == Kind::File { entry.size } else { 0 });
    header
}

/// `1790000000.000000001`, also for moments before 1970 (-1 s + 0.25 s is -0.75).
pub(super) fn decimal(Time(seconds, nanoseconds): Time) -> String {
    if seconds >= 0 || nanoseconds == 0 {
        return format!("{seconds}.{nanoseconds:09}");
    }
    let (whole, rest) = (-(seconds + 1), 1_000_000_000 - nanoseconds);
    format!("-{whole}.{rest:09}")
}

/// Reads what [`decimal`] wrote, and what other tars write.
pub fn parse_decimal(text: &str) -> Option<Time> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    // Wide enough for whatever is stated, so that nothing overflows before it is found to be no time.
    let seconds = i128::from(whole.parse::<u64>().ok()?);
    let nanoseconds: u32 = format!("{rest:0<9}").get(..9)?.parse().ok()?;
    let (seconds, nanoseconds) = match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    };
    Some(Time(i64::try_from(seconds).ok()?, nanoseconds))
}

/// Counts what passes.
struct Counter<W> {
    inner: W,
    position: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.position += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Tars are padded to whole records: 10 KiB as GNU tar writes them, a mebibyte or two for tapes. What goes on for longer
/// is no padding, and a stream of zeros without end must not keep a reader for ever.
const MOST_PADDING: usize = 16 * 1024 * 1024;

/// Passes a tar on to its reader and remembers whether it ends as a tar must.
pub struct EndMark<R> {
    inner: R,
    zeros: u64,
}

impl<R: Read> EndMark<R> {
    /// Watches `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, zeros: 0 }
    }

    /// Reads what is left and checks that the stream ended with two blocks of zeros. Reading to the end is also what
    /// makes the layers below check their own end marks.
    pub fn prove_end(mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut padding = 0;
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => padding += length,
                Err(refused) if refused.kind() != io::ErrorKind::Interrupted => return Err(refused),
                Err(_) => {}
            }
            if padding > MOST_PADDING {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the tar goes on and on after its end mark"));
            }
        }
        if self.zeros >= 2 * BLOCK {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the tar has no end mark"))
        }
    }
}

impl<R: Read> Read for EndMark<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let at_end = buffer[..length].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if at_end == length { self.zeros + length as u64 } else { at_end as u64 };
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::entry::Bytes;
    use proptest::prelude::*;

    fn file(path: &[u8], size: u64) -> Entry {
        Entry {
            path: path.into(),
            kind: Kind::File,
            mode: 0o640,
            uid: 3_000_000,
            gid: 7,
            mtime: Time(-1, 250_000_000),
            ctime: Time(0, 0),
            ino: 1,
            size,
            link: None,
            xattrs: vec![(Bytes(b"user.a".to_vec()), Bytes(b"\x00\xff".to_vec()))],
            sparse: false,
            stored: None,
        }
    }

    fn archive(entries: &[(Entry, Vec<u8>)]) -> (Vec<u8>, Vec<u64>) {
        let mut writer = TarWriter::new(Vec::new());
        let mut offsets = Vec::new();
        for (entry, content) in entries {
            offsets.push(writer.begin_file(entry, None).unwrap());
            writer.data(content).unwrap();
            writer.end_file().unwrap();
        }
        (writer.finish().unwrap(), offsets)
    }

    #[test]
    fn a_time_that_no_clock_has_is_none() {
        let read = ["--9223372036854775808.5", "-9223372036854775808.5", "9223372036854775808", "-9223372036854775808"];
        assert_eq!(read.map(parse_decimal), [None, None, None, Some(Time(i64::MIN, 0))]);
    }

    #[test]
    fn zeros_without_end_are_no_padding() {
        assert!(EndMark::new(io::repeat(0)).prove_end().is_err());
    }

    proptest! {
        #[test]
        fn any_name_and_content_read_back_from_the_offset_told(
            files in proptest::collection::vec((proptest::collection::vec(1u8..=255, 1..300), proptest::collection::vec(any::<u8>(), 0..2000)), 1..5)
        ) {
            let entries: Vec<_> = files.into_iter().map(|(name, content)| (file(&name, content.len() as u64), content)).collect();
            let (bytes, offsets) = archive(&entries);
            let mut reader = tar::Archive::new(bytes.as_slice());
            for ((found, (entry, content)), offset) in reader.entries().unwrap().zip(&entries).zip(offsets) {
                let mut found = found.unwrap();
                prop_assert_eq!(found.raw_header_position(), offset);
                prop_assert_eq!(found.path_bytes().into_owned(), entry.path.0.clone());
                prop_assert_eq!(found.header().uid().unwrap(), 3_000_000);
                let mut read = Vec::new();
                found.read_to_end(&mut read).unwrap();
                prop_assert_eq!(&read, content);
            }
            EndMark::new(bytes.as_slice()).prove_end().unwrap();
        }

        #[test]
        fn a_tar_cut_short_anywhere_has_no_end_mark(cut in 0usize..2500) {
            let (bytes, _) = archive(&[(file(b"a", 1000), vec![1; 1000])]);
            prop_assume!(cut < bytes.len() - 1);
            prop_assert!(EndMark::new(&bytes[..cut]).prove_end().is_err());
        }

        #[test]
        fn moments_survive_decimals(seconds in -5_000_000_000i64..5_000_000_000, nanoseconds in 0u32..1_000_000_000) {
            let time = Time(seconds, nanoseconds);
            prop_assert_eq!(parse_decimal(&decimal(time)), Some(time));
        }

        #[test]
        fn extents_of_a_sparse_file_read_back_as_its_content(holes in proptest::collection::vec((0u64..40, 1u64..9), 0..40), tail in 0u64..700) {
            let mut content = Vec::new();
            let mut found = Vec::new();
            for (hole, data) in holes {
                content.resize(content.len() + usize::try_from(hole * 512).unwrap(), 0);
                found.push((content.len() as u64, data * 512));
                content.resize(content.len() + usize::try_from(data * 512).unwrap(), 0xaa);
            }
            content.resize(content.len() + usize::try_from(tail).unwrap(), 0);
            let size = content.len() as u64;
            let extents = Extents::new(&found, size);
            let mut writer = TarWriter::new(Vec::new());
            let entry = file(b"sparse", size);
            writer.begin_file(&entry, Some(&extents)).unwrap();
            for (offset, length) in extents.iter() {
                let [from, to] = [offset, offset + length].map(|n| usize::try_from(n).unwrap());
                writer.data(&content[from..to]).unwrap();
            }
            writer.end_file().unwrap();
            let bytes = writer.finish().unwrap();
            let mut reader = tar::Archive::new(bytes.as_slice());
            let mut read = Vec::new();
            reader.entries().unwrap().next().unwrap().unwrap().read_to_end(&mut read).unwrap();
            prop_assert!(read == content);
        }
    }
}
