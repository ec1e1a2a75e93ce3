//! Redis's own form: a magic word, whatever the version makes of it, the byte 0xFF and a checksum.
//!
//! Its structure is not parsed, so that a newer server's dump is judged as surely as an old one's.

use std::io::{self, Read};

use crc::{CRC_64_REDIS, Crc, Digest, Table};

use super::error::NotWhole;

/// The checksum of RDB files: Jones' polynomial. Source: crc64.c of Redis, `CRC-64/REDIS` of the catalogue of CRCs.
static SUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The end of an RDB file, in bytes: 0xFF, and a checksum of everything before the checksum.
const END: usize = 9;

/// What a server sends behind an RDB file whose length it did not tell: forty hexadecimal digits that it announced.
/// `redis-cli --rdb` cuts them off a file, but cannot cut them off a pipe. Seen with Redis 8.0.
const MARK: usize = 40;

/// How many of the first bytes are kept for the version.
const HEAD: usize = 256;

/// Watches an RDB file, with or without the mark behind it.
pub(super) struct Rdb {
    sum: Digest<'static, u64, Table<16>>,
    head: Vec<u8>,
    /// The last bytes: the end, or the end and the mark.
    tail: Vec<u8>,
}

/// What the end of an RDB file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Bytes of the mark behind it: 0 or 40.
    pub(super) mark: usize,
    /// Whether it was written without a checksum (`rdbchecksum no`).
    pub(super) unchecked: bool,
}

impl Rdb {
    pub(super) fn new() -> Self {
        Self { sum: SUM.digest(), head: Vec::new(), tail: Vec::new() }
    }

    /// Whether it begins as RDB files do.
    pub(super) fn is_rdb(head: &[u8]) -> bool {
        let version = head.strip_prefix(b"REDIS").or_else(|| head.strip_prefix(b"VALKEY"));
        version.is_some_and(|version| version.len() >= 3 && version[..3].iter().all(u8::is_ascii_digit))
    }

    /// Reads on, and hands over the bytes that are certainly no part of a mark.
    pub(super) fn feed(&mut self, bytes: &[u8], mut certain: impl FnMut(&[u8])) {
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let sure = (self.tail.len() + bytes.len()).saturating_sub(END + MARK);
        let (old, new) = (sure.min(self.tail.len()), sure.saturating_sub(self.tail.len()));
        for part in [&self.tail[..old], &bytes[..new]] {
            self.sum.update(part);
            certain(part);
        }
        self.tail.drain(..old);
        self.tail.extend_from_slice(&bytes[new..]);
    }

    /// Looks at the end, when everything has come.
    pub(super) fn end(&self) -> Result<End, NotWhole> {
        let ends = [0, MARK].into_iter().filter_map(|mark| self.end_before(mark));
        let mut wrong = None;
        for (mark, stored, found) in ends {
            if stored == found || stored == 0 {
                return Ok(End { mark, unchecked: stored == 0 });
            }
            wrong.get_or_insert(NotWhole::Checksum { stored, found });
        }
        let ends = || self.tail[self.tail.len().saturating_sub(END)..].escape_ascii().to_string();
        Err(wrong.unwrap_or_else(|| NotWhole::Cut { ends: ends() }))
    }

    /// The checksums, the stored and the found one, if the file ends before a mark of this length.
    fn end_before(&self, mark: usize) -> Option<(usize, u64, u64)> {
        let (file, behind) = self.tail.split_at_checked(self.tail.len().checked_sub(mark)?)?;
        let (body, stored) = file.split_last_chunk::<8>()?;
        if body.last() != Some(&0xFF) || !behind.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut sum = self.sum.clone();
        sum.update(body);
        Some((mark, u64::from_le_bytes(*stored), sum.finalize()))
    }

    /// The version of the server that wrote it, from the first of its remarks.
    pub(super) fn version(&self) -> Option<String> {
        let at = [&b"redis-ver"[..], b"valkey-ver"]
            .into_iter()
            .find_map(|name| Some(memchr::memmem::find(&self.head, name)? + name.len()))?;
        let (length, rest) = self.head[at..].split_first()?;
        // The two highest bits are 0 for a length of one byte.
        let text = rest.get(..usize::from(*length)).filter(|_| *length < 64)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// The first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }
}

/// What `redis-cli --rdb -` writes, without the mark that a server may send behind the file. What is no RDB file passes
/// as it is.
pub struct RdbReader<R> {
    source: R,
    rdb: Rdb,
    chunk: Vec<u8>,
    ready: Vec<u8>,
    at: usize,
    over: bool,
}

impl<R: Read> RdbReader<R> {
    /// Reads from a client's standard output.
    pub fn new(source: R) -> Self {
        Self { source, rdb: Rdb::new(), chunk: vec![0; 64 << 10], ready: Vec::new(), at: 0, over: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = self.source.read(&mut self.chunk)?;
        self.ready.clear();
        self.at = 0;
        if read > 0 {
            self.rdb.feed(&self.chunk[..read], |certain| self.ready.extend_from_slice(certain));
            return Ok(());
        }
        self.over = true;
        let mark = self.rdb.end().map_or(0, |end| end.mark);
        let tail = std::mem::take(&mut self.rdb.tail);
        self.ready.extend_from_slice(&tail[..tail.len() - mark]);
        Ok(())
    }
}

impl<R: Read> Read for RdbReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.over {
            self.fill()?;
        }
        let read = (&self.ready[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
