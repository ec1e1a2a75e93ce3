//! The content of a member as its file had it: holes are zeros again.

use std::io::{self, Read};

use super::header::Body;
use super::{MemberError, Members};

/// Content that is being read. It ends after [`Content::size`] bytes or with an error.
pub(crate) struct Content<'a, R: Read> {
    members: &'a mut Members<R>,
    size: u64,
    at: u64,
    /// What is left of the extents, the nearest last; none for a file without holes.
    extents: Option<Vec<(u64, u64)>>,
}

impl<'a, R: Read> Content<'a, R> {
    pub(super) fn new(members: &'a mut Members<R>, body: Body) -> Self {
        let extents = body.extents.map(|mut extents| {
            extents.reverse();
            extents
        });
        Self { members, size: body.size, at: 0, extents }
    }

    /// Bytes of content, holes included.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What went wrong while it was read, as an error of its archive.
    pub(crate) fn fault(&self, cause: io::Error) -> MemberError {
        self.members.unreadable(cause)
    }

    /// How far the bytes go that begin here, and whether they are stored.
    fn stretch(&mut self) -> (u64, Stored) {
        let Some(extents) = &mut self.extents else { return (self.size - self.at, Stored::Yes) };
        while extents.last().is_some_and(|(offset, length)| offset + length <= self.at) {
            extents.pop();
        }
        match extents.last() {
            Some((offset, length)) if *offset <= self.at => (offset + length - self.at, Stored::Yes),
            Some((offset, _)) => (offset - self.at, Stored::No),
            None => (self.size - self.at, Stored::No),
        }
    }
}

enum Stored {
    Yes,
    No,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (length, stored) = self.stretch();
        let wanted = buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let taken = match stored {
            Stored::Yes => self.members.data(&mut buffer[..wanted])?,
            Stored::No => {
                buffer[..wanted].fill(0);
                wanted
            }
        };
        self.at += taken as u64;
        Ok(taken)
    }
}

impl<R: Read> Members<R> {
    /// Stored bytes of the current member.
    fn data(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.input.read(buffer)?;
        if taken == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short"));
        }
        self.position += taken as u64;
        self.rest = self.rest.saturating_sub(taken as u64);
        Ok(taken)
    }
}
