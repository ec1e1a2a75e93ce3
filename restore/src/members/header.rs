//! What the headers of a member say, put together.

use std::io;

use shipshape_core::archive::entry::{Bytes, Entry, Kind, Time};
use shipshape_core::archive::tarball::parse_decimal;
use tar::{EntryType, GnuExtSparseHeader, Header};

use super::error::Fault;
use super::pax::Records;

/// More extents than a file of 16 GB with every second page a hole has; 64 MiB of memory.
const EXTENTS_LIMIT: usize = 4 * 1024 * 1024;

/// What went before the header of a member and is about it.
#[derive(Default)]
pub(super) struct Extra {
    /// The name, where the header is too short for it.
    pub(super) name: Option<Vec<u8>>,
    /// The target, likewise.
    pub(super) link: Option<Vec<u8>>,
    /// PAX records.
    pub(super) pax: Vec<u8>,
}

impl Extra {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.pax.is_empty()
    }

    /// The member as an entry, and its stored size where PAX states it.
    pub(super) fn entry(self, header: &Header) -> Result<(Entry, Option<u64>), Fault> {
        let name = self.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let is_file = matches!(header.entry_type(), EntryType::Regular | EntryType::Continuous);
        // Before POSIX a folder was a file whose name ends with a slash.
        let kind = if is_file && name.ends_with(b"/") { Kind::Dir } else { kind_of(header, &name)? };
        let has_link = matches!(kind, Kind::Symlink | Kind::Hardlink);
        let own_link = || header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let mut entry = Entry {
            path: Bytes(name),
            kind,
            mode: header.mode().map_err(Fault::Read)? & 0o7777,
            uid: number(header.uid().map_err(Fault::Read)?),
            gid: number(header.gid().map_err(Fault::Read)?),
            mtime: Time(i64::try_from(header.mtime().map_err(Fault::Read)?).unwrap_or_default(), 0),
            ctime: Time::default(),
            ino: 0,
            size: 0,
            link: has_link.then(|| Bytes(self.link.unwrap_or_else(own_link))),
            xattrs: Vec::new(),
            sparse: false,
            stored: None,
        };
        let size = apply_pax(&self.pax, &mut entry)?;
        entry.path = Bytes(plain_path(&entry.path.0));
        if kind == Kind::Hardlink {
            entry.link = entry.link.map(|link| Bytes(plain_path(&link.0)));
        }
        Ok((entry, size))
    }
}

/// What does not fit stands for nobody: the largest number is none that chown(2) takes.
fn number(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// Sockets have no place in a tar; devices have, and are refused.
fn kind_of(header: &Header, name: &[u8]) -> Result<Kind, Fault> {
    let path = || Bytes::from(name).shown();
    Ok(match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::Hardlink,
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char | EntryType::Block => return Err(Fault::Device { path: path() }),
        _ => return Err(Fault::Unsupported { path: path(), what: "a member of an unknown kind" }),
    })
}

/// Later records win over earlier ones and over the header (POSIX.1-2024, pax, "pax Extended Header").
fn apply_pax(pax: &[u8], entry: &mut Entry) -> Result<Option<u64>, Fault> {
    let mut size = None;
    for record in Records(pax) {
        let (key, value) = record.map_err(|_| Fault::Damaged("its PAX records are malformed"))?;
        let text = || std::str::from_utf8(value).unwrap_or_default();
        match key {
            b"path" => entry.path = Bytes(value.to_vec()),
            b"linkpath" if entry.link.is_some() => entry.link = Some(Bytes(value.to_vec())),
            b"size" => size = Some(text().parse().map_err(|_| Fault::Damaged("a size in it is no number"))?),
            b"uid" => entry.uid = number(text().parse().unwrap_or(u64::MAX)),
            b"gid" => entry.gid = number(text().parse().unwrap_or(u64::MAX)),
            b"mtime" => entry.mtime = parse_decimal(text()).unwrap_or(entry.mtime),
            _ if key.starts_with(b"GNU.sparse.") => {
                let path = entry.path.shown();
                return Err(Fault::Unsupported { path, what: "a sparse file in its PAX form" });
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    entry.xattrs.push((name.into(), value.into()));
                }
            }
        }
    }
    Ok(size)
}

/// The path as an index has it. An absolute one stays absolute, to be refused.
fn plain_path(path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.is_empty() && !path.is_empty() { b".".to_vec() } else { parts.join(&b'/') }
}

/// Whether the header is what was written (POSIX.1-2024, ustar: the sum of all bytes, the field itself as spaces).
pub(super) fn checksum_holds(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let outside = bytes[..148].iter().chain(&bytes[156..]).map(|byte| u32::from(*byte)).sum::<u32>();
    header.cksum().is_ok_and(|stated| stated == outside + 8 * u32::from(b' '))
}

/// Where the content of a member lies.
#[derive(Debug)]
pub(super) struct Body {
    /// Bytes of content, holes included.
    pub(super) size: u64,
    /// Bytes in the archive.
    pub(super) stored: u64,
    /// Where the stored bytes belong: offset and length; none where there are no holes.
    pub(super) extents: Option<Vec<(u64, u64)>>,
}

impl Body {
    pub(super) fn is_sparse(&self) -> bool {
        self.extents.is_some()
    }

    /// From a header; `more` reads the blocks that follow it where the file has many holes.
    pub(super) fn read(
        header: &Header,
        stated: Option<u64>,
        more: &mut dyn FnMut(&mut [u8]) -> io::Result<()>,
    ) -> Result<Self, Fault> {
        let stored = stated.map_or_else(|| header.entry_size(), Ok).map_err(Fault::Read)?;
        if header.entry_type() != EntryType::GNUSparse {
            return Ok(Self { size: stored, stored, extents: None });
        }
        let gnu = header.as_gnu().ok_or(Fault::Damaged("a sparse file has no GNU header"))?;
        let size = gnu.real_size().map_err(Fault::Read)?;
        let mut extents = Vec::new();
        push_extents(&mut extents, &gnu.sparse)?;
        let mut extended = gnu.is_extended();
        while extended {
            let mut block = GnuExtSparseHeader::new();
            more(block.as_mut_bytes()).map_err(Fault::Read)?;
            push_extents(&mut extents, block.sparse())?;
            extended = block.is_extended();
        }
        check_extents(&extents, size, stored)?;
        Ok(Self { size, stored, extents: Some(extents) })
    }
}

fn push_extents(extents: &mut Vec<(u64, u64)>, headers: &[tar::GnuSparseHeader]) -> Result<(), Fault> {
    for header in headers.iter().filter(|header| !header.is_empty()) {
        extents.push((header.offset().map_err(Fault::Read)?, header.length().map_err(Fault::Read)?));
    }
    if extents.len() > EXTENTS_LIMIT { Err(Fault::Damaged("a file in it has millions of holes")) } else { Ok(()) }
}

/// In order, not overlapping, within the file, and as much as is stored.
fn check_extents(extents: &[(u64, u64)], size: u64, stored: u64) -> Result<(), Fault> {
    let wrong = Fault::Damaged("the holes of a file in it make no sense");
    let mut end = 0u64;
    let mut sum = 0u64;
    for &(offset, length) in extents {
        match offset.checked_add(length) {
            Some(next) if offset >= end && next <= size => end = next,
            _ => return Err(wrong),
        }
        sum += length;
    }
    if sum == stored { Ok(()) } else { Err(wrong) }
}
