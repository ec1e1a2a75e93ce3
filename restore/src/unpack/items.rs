//! The files that are to be written, in little memory: half a million of them are a usual number.
//!
//! Names lie one after the other in one string of bytes, folders are numbers of the tree, and attributes, which mostly
//! repeat themselves, are numbers of sets. A file so takes 88 bytes and its name, in three allocations for all.

use std::ops::Range;

use shipshape_core::archive::entry::{Bytes, Entry, Hash, Stored, Time};

use crate::content::Zeros;
use crate::metadata::{Attribute, Basics};
use crate::tree::{AttributeSets, FolderId};

/// A file to write. 88 bytes; names and attributes lie elsewhere.
#[derive(Debug)]
pub(super) struct Item {
    hash: Hash,
    /// Where its header is in the pack.
    pub(super) offset: u64,
    /// Bytes of content.
    pub(super) size: u64,
    seconds: i64,
    nanoseconds: u32,
    /// Number of its pack.
    pub(super) pack: u32,
    folder: FolderId,
    name: u32,
    attributes: u32,
    uid: u32,
    gid: u32,
    /// Permission bits, and above them whether it has holes.
    mode: u16,
    name_length: u16,
}

/// Set in `mode` for a file with holes.
const HOLES: u16 = 1 << 15;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Items {
    all: Vec<Item>,
    names: Vec<u8>,
    attributes: AttributeSets,
    bytes: u64,
}

/// There is no room for more names: four gigabytes of them.
#[derive(Debug)]
pub(super) struct TooMany;

impl Items {
    /// Adds a file: `name` in `folder`, with the content that lies in pack number `pack`.
    pub(super) fn add(
        &mut self,
        (folder, name): (FolderId, &[u8]),
        pack: u32,
        stored: &Stored,
        entry: &Entry,
    ) -> Result<(), TooMany> {
        let holes = if entry.sparse { HOLES } else { 0 };
        let at = u32::try_from(self.names.len()).map_err(|_| TooMany)?;
        self.names.extend_from_slice(name);
        self.bytes += entry.size;
        self.all.push(Item {
            hash: stored.blake3,
            offset: stored.offset,
            size: entry.size,
            seconds: entry.mtime.0,
            nanoseconds: entry.mtime.1,
            pack,
            folder,
            name: at,
            attributes: self.attributes.add(entry.xattrs.clone()),
            uid: entry.uid,
            gid: entry.gid,
            mode: u16::try_from(entry.mode & 0o7777).unwrap_or_default() | holes,
            name_length: u16::try_from(name.len()).map_err(|_| TooMany)?,
        });
        Ok(())
    }

    /// Bytes of content of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts them in the order in which packs hold them, and returns the range of each pack.
    pub(super) fn by_pack(&mut self) -> Vec<Range<usize>> {
        self.all.sort_unstable_by_key(|item| (item.pack, item.offset));
        let mut ranges = Vec::new();
        let mut start = 0;
        for same in self.all.chunk_by(|a, b| a.pack == b.pack) {
            ranges.push(start..start + same.len());
            start += same.len();
        }
        ranges
    }

    /// Those of a range.
    pub(super) fn slice(&self, range: Range<usize>) -> &[Item] {
        self.all.get(range).unwrap_or_default()
    }

    /// The name of one.
    pub(super) fn name(&self, item: &Item) -> &[u8] {
        let start = item.name as usize;
        self.names.get(start..start + usize::from(item.name_length)).unwrap_or_default()
    }

    /// The extended attributes of one.
    pub(super) fn attributes(&self, item: &Item) -> &[Attribute] {
        self.attributes.get(item.attributes)
    }
}

impl Item {
    /// BLAKE3 of its content.
    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// Its folder.
    pub(super) fn folder(&self) -> FolderId {
        self.folder
    }

    /// Its mode, owner and time.
    pub(super) fn basics(&self) -> Basics {
        let mtime = Time(self.seconds, self.nanoseconds);
        Basics { mode: u32::from(self.mode & !HOLES), uid: self.uid, gid: self.gid, mtime }
    }

    /// What to do with zeros in it.
    pub(super) fn zeros(&self) -> Zeros {
        if self.mode & HOLES == 0 { Zeros::Write } else { Zeros::Skip }
    }
}

/// Hard links, to be made when the files are there.
#[derive(Debug, Default)]
pub(super) struct Links(pub(super) Vec<(Bytes, Bytes)>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_million_files_fit_into_the_memory_that_is_promised() {
        assert!(size_of::<Item>() <= 88);
    }
}
