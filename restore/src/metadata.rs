//! Mode, owner, times and extended attributes: put on what is restored, and read from what is live.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fgetxattr, flistxattr, fremovexattr, fsetxattr, fstat, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};
use shipshape_core::archive::entry::{Bytes, Entry, Time};

/// An extended attribute: its name and its value.
pub(crate) type Attribute = (Bytes, Bytes);

/// What every file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basics {
    /// Permission bits: 12 of them.
    pub(crate) mode: u32,
    /// Numeric owner.
    pub(crate) uid: u32,
    /// Numeric group.
    pub(crate) gid: u32,
    /// When the content last changed.
    pub(crate) mtime: Time,
}

impl From<&Entry> for Basics {
    fn from(entry: &Entry) -> Self {
        Self { mode: entry.mode & 0o7777, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
    }
}

impl From<&Stat> for Basics {
    fn from(stat: &Stat) -> Self {
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        Self {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Time(stat.st_mtime, nanoseconds),
        }
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// What every file has.
    pub(crate) basics: Basics,
    /// Extended attributes, ACLs among them.
    pub(crate) attributes: Vec<Attribute>,
}

impl Metadata {
    /// Reads it from an open file or folder.
    pub(crate) fn read(of: BorrowedFd<'_>) -> io::Result<Self> {
        let basics = Basics::from(&fstat(of)?);
        let mut attributes = Vec::new();
        for name in names(of)? {
            match value(of, &name) {
                Ok(value) => attributes.push((Bytes(name), Bytes(value))),
                // It went between the two calls, or is not ours to read.
                Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(Self { basics, attributes })
    }
}

/// Linux lists and gives at most 64 KiB (xattr(7)).
const ATTRIBUTE_LIMIT: usize = 64 * 1024;

/// The names of a file's attributes; none where the file system has no such thing.
fn names(of: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut list = vec![0; ATTRIBUTE_LIMIT];
    let length = match flistxattr(of, list.as_mut_slice()) {
        Err(Errno::NOTSUP) => 0,
        other => other?,
    };
    Ok(list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

fn value(of: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; ATTRIBUTE_LIMIT];
    let length = fgetxattr(of, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(value)
}

/// Puts metadata on what was made, and counts what the system does not let this user do.
#[derive(Debug)]
pub(crate) struct Dresser {
    /// Whom new files belong to without being told.
    own: (u32, u32),
    owners_refused: AtomicU64,
    attributes_refused: AtomicU64,
}

impl Dresser {
    /// For files made below `folder`.
    pub(crate) fn new(folder: BorrowedFd<'_>) -> io::Result<Self> {
        // Where folders hand their group down (set-group-id, or mounted with `grpid`), new files are not in our group.
        let group = fstat(folder)?.st_gid;
        let own_group = getegid().as_raw();
        let gid = if group == own_group { own_group } else { u32::MAX };
        let own = (geteuid().as_raw(), gid);
        Ok(Self { own, owners_refused: AtomicU64::new(0), attributes_refused: AtomicU64::new(0) })
    }

    /// How many owners could not be set.
    pub(crate) fn owners_refused(&self) -> u64 {
        self.owners_refused.load(Ordering::Relaxed)
    }

    /// How many attributes could not be set.
    pub(crate) fn attributes_refused(&self) -> u64 {
        self.attributes_refused.load(Ordering::Relaxed)
    }

    /// A file that was just made.
    pub(crate) fn file(&self, file: BorrowedFd<'_>, basics: &Basics, attributes: &[Attribute]) -> io::Result<()> {
        let is_own = self.own == (basics.uid, basics.gid);
        self.put_on(file, basics, attributes, is_own)
    }

    /// A file or folder that may belong to anybody.
    pub(crate) fn existing(&self, it: BorrowedFd<'_>, wanted: &Metadata) -> io::Result<()> {
        self.put_on(it, &wanted.basics, &wanted.attributes, false)
    }

    /// A live folder: what it has more than wanted is taken off, as far as it is the owner's and not the system's.
    pub(crate) fn exactly(&self, it: BorrowedFd<'_>, wanted: &Metadata) -> io::Result<()> {
        for name in names(it)? {
            let is_owners = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
            if is_owners && !wanted.attributes.iter().any(|(wanted, _)| wanted.0 == name) {
                self.attribute(fremovexattr(it, name.as_slice()))?;
            }
        }
        self.existing(it, wanted)
    }

    /// The owner first, because chown(2) clears set-id bits and capabilities; then the mode, because an ACL refines it.
    fn put_on(&self, it: BorrowedFd<'_>, basics: &Basics, attributes: &[Attribute], is_own: bool) -> io::Result<()> {
        let owned = is_own || self.owner(fchown(it, owner(basics.uid), group(basics.gid)))?;
        fchmod(it, mode(basics, owned))?;
        for (name, value) in attributes {
            self.attribute(fsetxattr(it, name.0.as_slice(), &value.0, XattrFlags::empty()))?;
        }
        Ok(futimens(it, &times(basics))?)
    }

    /// A symbolic link, or with its mode a named pipe, by its name in `folder`.
    pub(crate) fn nameless(
        &self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        has_mode: bool,
    ) -> io::Result<()> {
        let basics = Basics::from(entry);
        let (uid, gid) = (owner(basics.uid), group(basics.gid));
        let owned = self.owner(chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
        if has_mode {
            chmodat(folder, name, mode(&basics, owned), AtFlags::empty())?;
        }
        for (attribute, value) in &entry.xattrs {
            // There is no call that takes a folder's handle and a name (before Linux 6.13).
            let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
            path.extend_from_slice(name);
            self.attribute(lsetxattr(path, attribute.0.as_slice(), &value.0, XattrFlags::empty()))?;
        }
        Ok(utimensat(folder, name, &times(&basics), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Whether the owner could be set. That somebody without privileges cannot is counted and no error.
    fn owner(&self, result: rustix::io::Result<()>) -> io::Result<bool> {
        match result {
            // INVAL: a number that this user namespace does not know.
            Err(Errno::PERM | Errno::INVAL) => {
                self.owners_refused.fetch_add(1, Ordering::Relaxed);
                Ok(false)
            }
            other => Ok(other.map(|()| true)?),
        }
    }

    /// An attribute that the system keeps for itself, or that this file system lacks, is counted and no error.
    fn attribute(&self, result: rustix::io::Result<()>) -> io::Result<()> {
        match result {
            Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::INVAL | Errno::NODATA) => {
                self.attributes_refused.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

/// The largest number stands for nobody, and chown(2) takes it for "leave it".
fn owner(uid: u32) -> Option<Uid> {
    (uid != u32::MAX).then(|| Uid::from_raw(uid))
}

fn group(gid: u32) -> Option<Gid> {
    (gid != u32::MAX).then(|| Gid::from_raw(gid))
}

/// Without its owner a program must not run as somebody else: the set-id bits go.
fn mode(basics: &Basics, owned: bool) -> Mode {
    Mode::from_raw_mode(if owned { basics.mode } else { basics.mode & 0o1777 })
}

/// The time of the last access is left as it is: it was not recorded.
fn times(basics: &Basics) -> Timestamps {
    let Time(seconds, nanoseconds) = basics.mtime;
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds.min(999_999_999)) },
    }
}

/// Takes inherited rights off a folder that was just made: default ACLs of the folder above would go to all below.
pub(crate) fn forget_inherited(folder: BorrowedFd<'_>) -> io::Result<()> {
    for name in ["system.posix_acl_default", "system.posix_acl_access"] {
        match fremovexattr(folder, name) {
            Err(Errno::NODATA | Errno::NOTSUP | Errno::INVAL) => {}
            other => other?,
        }
    }
    // The set-group-id bit too; the group only where we may, else every file is told its own (see [`Dresser::new`]).
    let _ = fchown(folder, None, Some(getegid()));
    Ok(fchmod(folder, Mode::RWXU)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions};
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_put_on_a_file_reads_back() {
        let folder = crate::testing::scratch();
        let file = File::create(folder.path().join("f")).unwrap();
        let dresser = Dresser::new(File::open(folder.path()).unwrap().as_fd()).unwrap();
        let basics = Basics { mode: 0o2751, uid: dresser.own.0, gid: getegid().as_raw(), mtime: Time(-7, 123_456_789) };
        let attributes = vec![(Bytes(b"user.note".to_vec()), Bytes(b"a\n\xff\0".to_vec()))];
        dresser.file(file.as_fd(), &basics, &attributes).unwrap();
        let mut read = Metadata::read(file.as_fd()).unwrap();
        read.attributes.retain(|(name, _)| name.0.starts_with(b"user."));
        if dresser.attributes_refused() == 0 {
            assert_eq!(read, Metadata { basics, attributes });
        }
        assert_eq!((read.basics, dresser.owners_refused()), (basics, 0));
    }

    #[test]
    fn inherited_rights_are_taken_off_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o2775)).unwrap();
        std::fs::create_dir(folder.path().join("new")).unwrap();
        let new = File::open(folder.path().join("new")).unwrap();
        forget_inherited(new.as_fd()).unwrap();
        assert_eq!(Basics::from(&fstat(&new).unwrap()).mode, 0o700);
    }

    #[test]
    fn without_its_owner_a_program_loses_its_set_id_bits() {
        let basics = Basics { mode: 0o6755, uid: 1, gid: 1, mtime: Time(0, 0) };
        assert_eq!(mode(&basics, false).as_raw_mode(), 0o755);
        assert_eq!(mode(&basics, true).as_raw_mode(), 0o6755);
    }
}
