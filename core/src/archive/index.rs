//! The index of a snapshot: JSON Lines, a header first, then one entry in a line in path order. Always read and written
//! as a stream, so that half a million files need no memory.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::entry::{Bytes, Entry};
use crate::error::Explain;
use crate::exit::Exit;

/// The newest format of an index that this version reads and writes.
pub const FORMAT: u32 = 1;

/// The longest line that is read: paths and attributes of one file. Linux bounds a path by 4 KiB and attributes by 64 KiB
/// a value, but some file systems allow more in all.
const LINE_LIMIT: u64 = 16 * 1024 * 1024;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format version.
    pub format: u32,
    /// The application's folder, absolute, at the time of the snapshot.
    pub app_dir: Bytes,
    /// What was taken: each source folder or file.
    pub roots: Vec<Root>,
    /// The patterns that were left out, which a restore in place leaves alone.
    pub exclude: Vec<String>,
    /// When the run began. Entries that changed later than a moment before it are not to be believed by their times.
    pub started: chrono::DateTime<chrono::Utc>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its path in the index: relative to the application's folder, or the absolute path without its leading slash.
    pub prefix: Bytes,
    /// Its path on the machine, absolute.
    pub path: Bytes,
    /// The volume that it is, by the name under which the machine knows it: another machine may keep it elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

impl Root {
    /// The path on the machine.
    pub fn source(&self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt;
        std::ffi::OsString::from_vec(self.path.0.clone()).into()
    }
}

/// Why an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The stream broke.
    #[error("the index of the snapshot cannot be read to its end")]
    Read(#[source] io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the index is damaged")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What the parser says.
        #[source]
        cause: serde_json::Error,
    },
    /// A later version wrote it.
    #[error("the index has format {found}, and this version knows formats up to {FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
}

impl Explain for IndexError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::Line { .. } => "store.damaged",
            Self::Newer { .. } => "store.newer_format",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Read(_) | Self::Line { .. } => "find a whole snapshot: restore verify --all".to_owned(),
            Self::Newer { .. } => "install the newer version of Shipshape that wrote it".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Read(_) | Self::Line { .. } => Exit::Critical,
            Self::Newer { .. } => Exit::Unknown,
        }
    }
}

/// Writes the lines of an index.
pub struct IndexWriter<W: Write> {
    inner: W,
    entries: u64,
}

impl<W: Write> IndexWriter<W> {
    /// Begins with the header.
    pub fn new(mut inner: W, header: &Header) -> io::Result<Self> {
        let mut line = serde_json::to_vec(header)?;
        line.push(b'\n');
        inner.write_all(&line)?;
        Ok(Self { inner, entries: 0 })
    }

    /// Adds lines that are entries already, each with its newline.
    pub fn write_lines(&mut self, lines: &[u8], entries: u64) -> io::Result<()> {
        self.entries += entries;
        self.inner.write_all(lines)
    }

    /// How many entries were written.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The stream under it, to finish.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

/// Appends an entry as a line.
pub fn push_line(lines: &mut Vec<u8>, entry: &Entry) {
    // An entry is plain data: writing it to memory cannot fail.
    let _ = serde_json::to_writer(&mut *lines, entry);
    lines.push(b'\n');
}

/// Reads the lines of an index.
pub struct IndexReader {
    lines: BufReader<Box<dyn Read + Send>>,
    header: Header,
    line: Vec<u8>,
    number: u64,
}

impl IndexReader {
    /// Reads the header.
    pub fn new(from: Box<dyn Read + Send>) -> Result<Self, IndexError> {
        /// What every format has promised to keep.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let mut lines = BufReader::with_capacity(super::seal::READ_SIZE, from);
        let mut line = Vec::new();
        read_line(&mut lines, &mut line)?;
        let damaged = |cause| IndexError::Line { line: 1, cause };
        let version: Version = serde_json::from_slice(&line).map_err(damaged)?;
        if version.format > FORMAT {
            return Err(IndexError::Newer { found: version.format });
        }
        let header = serde_json::from_slice(&line).map_err(damaged)?;
        Ok(Self { lines, header, line, number: 1 })
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry; `None` at the end, which has been proven by then (see [`super::unseal`]).
    pub fn next_entry(&mut self) -> Result<Option<Entry>, IndexError> {
        if !read_line(&mut self.lines, &mut self.line)? {
            return Ok(None);
        }
        self.number += 1;
        let line = self.number;
        serde_json::from_slice(&self.line).map(Some).map_err(|cause| IndexError::Line { line, cause })
    }

    /// The line that the last entry was read from, without its newline.
    pub fn last_line(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }
}

impl Iterator for IndexReader {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

fn read_line(lines: &mut BufReader<Box<dyn Read + Send>>, line: &mut Vec<u8>) -> Result<bool, IndexError> {
    line.clear();
    let length = lines.by_ref().take(LINE_LIMIT).read_until(b'\n', line).map_err(IndexError::Read)?;
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        let roots = vec![Root { prefix: b".".as_slice().into(), path: b"/srv/a".as_slice().into(), volume: None }];
        let started = chrono::DateTime::UNIX_EPOCH;
        Header { format: FORMAT, app_dir: b"/srv/a".as_slice().into(), roots, exclude: vec![], started }
    }

    fn reader(bytes: Vec<u8>) -> Result<IndexReader, IndexError> {
        IndexReader::new(Box::new(io::Cursor::new(bytes)))
    }

    #[test]
    fn a_header_reads_back() {
        let bytes = IndexWriter::new(Vec::new(), &header()).unwrap().into_inner();
        assert_eq!(reader(bytes).unwrap().header(), &header());
    }

    #[test]
    fn a_damaged_line_is_named_by_its_number() {
        let mut writer = IndexWriter::new(Vec::new(), &header()).unwrap();
        writer.write_lines(b"{\"path\":\n", 1).unwrap();
        let refused = reader(writer.into_inner()).unwrap().next_entry().unwrap_err();
        assert_eq!(refused.to_string(), "line 2 of the index is damaged");
    }

    proptest! {
        #[test]
        fn foreign_bytes_end_in_an_error_and_never_in_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let with_header = [IndexWriter::new(Vec::new(), &header()).unwrap().into_inner(), bytes.clone()].concat();
            prop_assert!(reader(bytes).is_err());
            let mut entries = reader(with_header).unwrap();
            while let Ok(Some(_)) = entries.next_entry() {}
        }
    }

    #[test]
    fn an_index_of_a_newer_format_is_refused() {
        assert!(matches!(reader(b"{\"format\":9}\n".to_vec()), Err(IndexError::Newer { found: 9 })));
    }
}
