//! Reads a tar member by member, within limits that a hostile one cannot stretch.
//!
//! The `tar` crate reads the headers. Its iterator is not used, because it takes long names and PAX records into memory
//! whatever their size, and because it splits PAX records at newlines, which the values of attributes may hold. A pack is
//! not iterated at all: its index says where each file begins.

mod content;
mod error;
mod header;
mod pax;

use std::io::{self, BufRead, BufReader, Read};

use shipshape_core::archive::entry::Entry;
use shipshape_core::archive::tarball::EndMark;
use shipshape_core::signal;
use tar::{EntryType, Header};

pub(crate) use content::Content;
pub(crate) use error::{Fault, MemberError, Origin};
use header::{Body, Extra};

/// Tar counts in blocks of this many bytes.
const BLOCK: u64 = BLOCK_SIZE as u64;
const BLOCK_SIZE: usize = 512;
/// Headers come from this buffer; content that is larger goes past it.
const BUFFER: usize = 128 * 1024;
/// Sixteen times what Linux allows a path to be.
const NAME_LIMIT: u64 = 64 * 1024;
/// Linux bounds an attribute by 64 KiB; some file systems allow more in all.
const PAX_LIMIT: u64 = 16 * 1024 * 1024;

/// A tar that is being read.
pub(crate) struct Members<R: Read> {
    input: BufReader<EndMark<R>>,
    archive: String,
    origin: Origin,
    /// Bytes read so far.
    position: u64,
    /// Stored bytes of the current member that are still to come, without the padding.
    rest: u64,
}

/// One member, before its content is read.
#[derive(Debug)]
pub(crate) struct Member {
    /// What it is. Paths are as in an index: no `./` before, no `/` after.
    pub(crate) entry: Entry,
    body: Body,
}

impl<R: Read> Members<R> {
    /// Begins to read. `archive` is its name for messages.
    pub(crate) fn new(input: R, archive: &str, origin: Origin) -> Self {
        let input = BufReader::with_capacity(BUFFER, EndMark::new(input));
        Self { input, archive: archive.to_owned(), origin, position: 0, rest: 0 }
    }

    /// The next member; `None` where the members end, which [`Members::finish`] proves to be the true end.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, MemberError> {
        let mut extra = Extra::default();
        while let Some(header) = self.next_header()? {
            let size = header.entry_size().map_err(|cause| self.unreadable(cause))?;
            match header.entry_type() {
                EntryType::GNULongName => extra.name = Some(self.text(size)?),
                EntryType::GNULongLink => extra.link = Some(self.text(size)?),
                EntryType::XHeader => extra.pax = self.record(size, PAX_LIMIT)?,
                // Says nothing of a single member: a comment, as `git archive` writes it.
                EntryType::XGlobalHeader => self.rest = size,
                _ => return self.member(&header, extra).map(Some),
            }
        }
        if extra.is_empty() { Ok(None) } else { Err(self.fault(Fault::Damaged("it ends within a member"))) }
    }

    /// The content of the file whose header begins at byte `offset`, which must not lie before what was read already.
    pub(crate) fn file_at(&mut self, offset: u64) -> Result<Content<'_, R>, MemberError> {
        let astray = || Fault::Damaged("a file does not begin where the index says");
        let ahead = offset.checked_sub(self.position).ok_or_else(|| self.fault(astray()))?;
        self.rest = 0;
        self.skip(ahead)?;
        let header = self.next_header()?.ok_or_else(|| self.fault(astray()))?;
        if !matches!(header.entry_type(), EntryType::Regular | EntryType::GNUSparse) {
            return Err(self.fault(astray()));
        }
        let body = self.body(&header, None)?;
        Ok(Content::new(self, body))
    }

    /// The content of the member that was read last.
    pub(crate) fn content(&mut self, member: Member) -> Content<'_, R> {
        Content::new(self, member.body)
    }

    /// Reads what is left, and checks that the archive ended as a tar must and that the layers below ended well.
    pub(crate) fn finish(self) -> Result<(), MemberError> {
        let Self { input, archive, origin, .. } = self;
        input.into_inner().prove_end().map_err(|cause| MemberError { archive, origin, fault: Fault::Read(cause) })
    }

    /// A header with what went before it.
    fn member(&mut self, header: &Header, extra: Extra) -> Result<Member, MemberError> {
        let (entry, size) = extra.entry(header).map_err(|fault| self.fault(fault))?;
        let body = self.body(header, size)?;
        Ok(Member { entry: Entry { size: body.size, sparse: body.is_sparse(), ..entry }, body })
    }

    fn body(&mut self, header: &Header, stated: Option<u64>) -> Result<Body, MemberError> {
        let body = Body::read(header, stated, &mut |block| self.fill(block)).map_err(|fault| self.fault(fault))?;
        self.rest = body.stored;
        Ok(body)
    }

    /// The next header that is not all zeros. What is left of the member before it is passed over.
    fn next_header(&mut self) -> Result<Option<Header>, MemberError> {
        let padded = self.position.checked_add(self.rest).and_then(|end| end.checked_next_multiple_of(BLOCK));
        let end = padded.ok_or_else(|| self.fault(Fault::Damaged("a size in it is absurd")))?;
        self.rest = 0;
        self.skip(end - self.position)?;
        let mut header = Header::new_old();
        if self.ready()? == 0 {
            return Ok(None);
        }
        self.fill(header.as_mut_bytes()).map_err(|cause| self.unreadable(cause))?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if header::checksum_holds(&header) { Ok(Some(header)) } else { Err(self.fault(Fault::NotATar)) }
    }

    /// A long name: up to its NUL.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, MemberError> {
        let mut text = self.record(size, NAME_LIMIT)?;
        text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
        Ok(text)
    }

    /// The bytes of a header that describes the next one, if there are not too many.
    fn record(&mut self, size: u64, limit: u64) -> Result<Vec<u8>, MemberError> {
        if size > limit {
            return Err(self.fault(Fault::Endless { bytes: size }));
        }
        let mut record = vec![0; usize::try_from(size).unwrap_or_default()];
        self.fill(&mut record).map_err(|cause| self.unreadable(cause))?;
        // The padding is passed over with the next header.
        Ok(record)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(buffer)?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// Passes over bytes. Not by seeking: what is decrypted or decompressed has to be read.
    fn skip(&mut self, mut bytes: u64) -> Result<(), MemberError> {
        while bytes > 0 {
            // A member may be larger than anybody's patience.
            signal::check().map_err(|interrupted| self.unreadable(io::Error::other(interrupted)))?;
            let ready = self.ready()?;
            if ready == 0 {
                return Err(self.fault(Fault::Damaged("it is cut short")));
            }
            let taken = ready.min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.input.consume(taken);
            self.position += taken as u64;
            bytes -= taken as u64;
        }
        Ok(())
    }

    /// How many bytes lie in the buffer; 0 at the end of the stream.
    fn ready(&mut self) -> Result<usize, MemberError> {
        let ready = self.input.fill_buf().map(<[u8]>::len);
        ready.map_err(|cause| self.unreadable(cause))
    }

    fn unreadable(&self, cause: io::Error) -> MemberError {
        self.fault(Fault::Read(cause))
    }

    fn fault(&self, fault: Fault) -> MemberError {
        MemberError { archive: self.archive.clone(), origin: self.origin, fault }
    }
}

/// Whether the first block of a stream is that of a tar: a header, or already the end mark.
pub(crate) fn looks_like_a_tar(head: &[u8]) -> bool {
    let mut header = Header::new_old();
    if head.len() < header.as_bytes().len() {
        return false;
    }
    header.as_mut_bytes().copy_from_slice(&head[..BLOCK_SIZE]);
    header::checksum_holds(&header) || head.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
