//! Writes the content of one file, and hashes it on the way.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use shipshape_core::archive::entry::Hash;
use shipshape_core::progress::Progress;
use shipshape_core::signal::{self, Interrupted};

/// Bytes read and written at a time: system calls do not show, and it stays in the second-level cache.
pub(crate) const CHUNK: usize = 256 * 1024;
/// File systems make holes of whole pages.
const PAGE: usize = 4096;

/// What to do with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// Write them.
    Write,
    /// Leave holes: the file had some.
    Skip,
}

/// Why content did not arrive.
#[derive(Debug)]
pub(crate) enum ContentError {
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
    /// The run was asked to stop.
    Interrupted(Interrupted),
}

/// Writes what `from` gives into the new file `to` and returns its length and hash. `buffer` has [`CHUNK`] bytes.
pub(crate) fn write(
    from: &mut dyn Read,
    to: &File,
    zeros: Zeros,
    buffer: &mut [u8],
    progress: &Progress,
) -> Result<(u64, Hash), ContentError> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    loop {
        signal::check().map_err(ContentError::Interrupted)?;
        let length = fill(from, buffer).map_err(ContentError::Read)?;
        let bytes = &buffer[..length];
        hasher.update(bytes);
        put(to, bytes, at, zeros).map_err(ContentError::Write)?;
        at += length as u64;
        progress.add(length as u64);
        if length < buffer.len() {
            break;
        }
    }
    if zeros == Zeros::Skip {
        to.set_len(at).map_err(ContentError::Write)?;
    }
    Ok((at, Hash(*hasher.finalize().as_bytes())))
}

/// Reads until the buffer is full or the content ends.
pub(crate) fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(refused) if refused.kind() == io::ErrorKind::Interrupted => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(length)
}

/// Writes a chunk, or of one with holes the pages that are not empty.
fn put(to: &File, bytes: &[u8], at: u64, zeros: Zeros) -> io::Result<()> {
    if zeros == Zeros::Write {
        return to.write_all_at(bytes, at);
    }
    // `at` is a multiple of the chunk, so the pages here are those of the file.
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let empty = rest.chunks(PAGE).take_while(|page| is_zero(page)).map(<[u8]>::len).sum::<usize>();
        let full = rest[empty..].chunks(PAGE).take_while(|page| !is_zero(page)).map(<[u8]>::len).sum::<usize>();
        to.write_all_at(&rest[empty..empty + full], at + (offset + empty) as u64)?;
        offset += empty + full;
    }
    Ok(())
}

fn is_zero(page: &[u8]) -> bool {
    page.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn written(content: &[u8], zeros: Zeros) -> File {
        let file = tempfile::tempfile().unwrap();
        let progress = Progress::bytes(None, "", true);
        let mut buffer = vec![0; CHUNK];
        let (length, hash) = write(&mut &content[..], &file, zeros, &mut buffer, &progress).unwrap();
        assert_eq!((length, hash.0), (content.len() as u64, *blake3::hash(content).as_bytes()));
        file
    }

    fn read(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn holes_are_made_again_and_the_content_is_the_same() {
        let mut content = vec![0; 3 * CHUNK + 100];
        content[CHUNK + 5000] = 7;
        let file = written(&content, Zeros::Skip);
        assert_eq!(read(&file), content);
        assert!(file.metadata().unwrap().blocks() * 512 <= 2 * PAGE as u64);
    }

    #[test]
    fn zeros_of_a_file_without_holes_are_written() {
        let content = vec![0; 2 * CHUNK];
        let file = written(&content, Zeros::Write);
        assert!(file.metadata().unwrap().blocks() * 512 >= content.len() as u64);
        assert_eq!(read(&written(b"", Zeros::Skip)), b"");
    }
}
