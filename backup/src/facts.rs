//! What the system says of a file, as an entry of the index.

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{fgetxattr, flistxattr, flistxattr_query, lgetxattr, llistxattr, llistxattr_query};
use rustix::io::Errno;
use shipshape_core::archive::entry::{Bytes, Entry, Kind, Time};

/// The bits of a mode that are stored: permissions, set-user-id, set-group-id, sticky.
const MODE_BITS: u32 = 0o7777;

/// The entry of a file, without what has to be read: link, attributes, content. `None` for what is never stored:
/// sockets, which their servers make anew, and devices.
pub(crate) fn entry_of(path: &[u8], facts: &Metadata) -> Option<Entry> {
    let kind = facts.file_type();
    let kind = if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Dir
    } else if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_fifo() {
        Kind::Fifo
    } else {
        return None;
    };
    Some(Entry {
        path: Bytes(path.to_vec()),
        kind,
        mode: facts.mode() & MODE_BITS,
        uid: facts.uid(),
        gid: facts.gid(),
        mtime: Time(facts.mtime(), nanoseconds(facts.mtime_nsec())),
        ctime: Time(facts.ctime(), nanoseconds(facts.ctime_nsec())),
        ino: facts.ino(),
        size: if kind == Kind::File { facts.size() } else { 0 },
        link: None,
        xattrs: Vec::new(),
        sparse: false,
        stored: None,
    })
}

fn nanoseconds(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// Whether nothing about a file has changed since `before` was recorded, as far as can be told without reading it. The
/// change time cannot be set back by ordinary means, unlike the time of modification (inode(7)).
pub(crate) fn looks_unchanged(now: &Entry, before: &Entry) -> bool {
    now.kind == before.kind
        && now.ino == before.ino
        && now.ctime == before.ctime
        && now.mtime == before.mtime
        && now.size == before.size
        && now.mode == before.mode
        && now.uid == before.uid
        && now.gid == before.gid
}

/// Whether two entries mean the same to whoever restores them.
pub(crate) fn same_result(now: &Entry, before: &Entry) -> bool {
    let content = |entry: &Entry| entry.stored.as_ref().map(|stored| stored.blake3);
    now.kind == before.kind
        && now.size == before.size
        && content(now) == content(before)
        && now.mtime == before.mtime
        && now.mode == before.mode
        && now.uid == before.uid
        && now.gid == before.gid
        && now.link == before.link
        && now.xattrs == before.xattrs
}

/// The extended attributes of an open file.
pub(crate) fn attributes_of_open(file: impl AsFd) -> io::Result<Vec<(Bytes, Bytes)>> {
    let file = file.as_fd();
    collect(flistxattr_query(file), |buffer| flistxattr(file, buffer), |name, buffer| fgetxattr(file, name, buffer))
}

/// The extended attributes of what a path names, itself and not what it links to.
pub(crate) fn attributes_of_path(path: &Path) -> io::Result<Vec<(Bytes, Bytes)>> {
    collect(llistxattr_query(path), |buffer| llistxattr(path, buffer), |name, buffer| lgetxattr(path, name, buffer))
}

/// Attributes are bounded by the kernel: 64 KiB for the list and for each value (xattr(7)).
const ATTRIBUTE_LIMIT: usize = 64 * 1024;

fn collect(
    length: Result<usize, Errno>,
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&std::ffi::CStr, &mut [u8]) -> Result<usize, Errno>,
) -> io::Result<Vec<(Bytes, Bytes)>> {
    match length {
        // Most files have none, and this is the only call then.
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(refused) => return Err(refused.into()),
    }
    let mut names = vec![0; ATTRIBUTE_LIMIT];
    let length = list(&mut names)?;
    let mut value = vec![0; ATTRIBUTE_LIMIT];
    let mut found = Vec::new();
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(text) = std::ffi::CStr::from_bytes_with_nul(name) else { continue };
        match get(text, &mut value) {
            Ok(length) => found.push((text.to_bytes().into(), value[..length].into())),
            // Gone since, or not for us to see.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(entry_of(b"s", &std::fs::symlink_metadata(&path).unwrap()).is_none());
    }

    #[test]
    fn attributes_are_read_from_the_path_and_from_the_open_file_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        shipshape_core::atomic::replace(&path, b"x").unwrap();
        assert!(attributes_of_path(&path).unwrap().is_empty());
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&path, "user.note", b"\xff\x00", flags).is_err() {
            return; // A file system without them has nothing to read.
        }
        let expected = vec![(Bytes::from(b"user.note".as_slice()), Bytes::from(b"\xff\x00".as_slice()))];
        assert_eq!(attributes_of_path(&path).unwrap(), expected);
        assert_eq!(attributes_of_open(std::fs::File::open(&path).unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_file_that_was_only_chmodded_does_not_look_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        shipshape_core::atomic::replace(&path, b"x").unwrap();
        let look = || entry_of(b"f", &std::fs::symlink_metadata(&path).unwrap()).unwrap();
        let before = look();
        assert!(looks_unchanged(&look(), &before));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(!looks_unchanged(&look(), &before));
    }
}
