//! Moves one unit, or moves it back. Both sides are opened below their roots, so that no link leads anywhere else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat, chmodat, mkdirat, renameat, renameat_with, statat,
};
use rustix::io::Errno;

use super::journal::{Act, Inode, Unit};
use crate::beneath::{Root, split};
use crate::target::{TargetError, path_of};

/// The two sides of a domain, held open, and the folder between them.
pub(crate) struct Between<'a> {
    /// What is live.
    pub(crate) live: &'a Root,
    /// What was built; afterwards the old side.
    pub(crate) new: &'a Root,
    /// The staging folder.
    pub(crate) staging: &'a Path,
}

impl Between<'_> {
    /// Moves a unit forward. `number` is its number among all.
    pub(crate) fn carry_out(&self, unit: &Unit, number: usize) -> Result<(), TargetError> {
        let path = unit.path.0.as_slice();
        if unit.act == Act::PutAway {
            self.make_above(path)?;
        }
        let [live, new] = self.folders(path)?;
        let name = split(path).1;
        let moved = match unit.act {
            Act::Bring => rename_new(new.as_fd(), live.as_fd(), name),
            Act::PutAway => rename_new(live.as_fd(), new.as_fd(), name),
            Act::Exchange => self.exchange(live.as_fd(), new.as_fd(), name, number),
        };
        moved.map_err(|refused| TargetError::io("move", path_of(path), refused))
    }

    /// Moves a unit back, as far as it was moved at all: what is where tells by its inode.
    pub(crate) fn undo(&self, unit: &Unit, number: usize) -> Result<bool, TargetError> {
        let path = unit.path.0.as_slice();
        let [live, new] = match self.folders(path) {
            // The folder for it was not even made.
            Err(TargetError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let name = split(path).1;
        let is_at =
            |folder: BorrowedFd<'_>, wanted: Option<Inode>| wanted.is_some() && inode_at(folder, name) == wanted;
        let moved = match unit.act {
            Act::Bring if is_at(live.as_fd(), unit.staged) => rename_new(live.as_fd(), new.as_fd(), name),
            Act::PutAway if is_at(new.as_fd(), unit.live) => rename_new(new.as_fd(), live.as_fd(), name),
            Act::Exchange if is_at(new.as_fd(), unit.live) => self.exchange(live.as_fd(), new.as_fd(), name, number),
            Act::Exchange => return self.undo_halfway(unit, [live.as_fd(), new.as_fd()], number),
            Act::Bring | Act::PutAway => return Ok(false),
        };
        moved.map(|()| true).map_err(|refused| TargetError::io("move back", path_of(path), refused))
    }

    /// Where the system cannot exchange: three renames, the first of which leaves the old thing here.
    fn halfway(&self, number: usize) -> PathBuf {
        self.staging.join(format!("old-{number}"))
    }

    /// Swaps two things under the same name: at once where the file system can, else by way of the staging folder.
    fn exchange(
        &self,
        live: BorrowedFd<'_>,
        new: BorrowedFd<'_>,
        name: &[u8],
        number: usize,
    ) -> rustix::io::Result<()> {
        let exchanged = writable(live, name, || {
            writable(new, name, || renameat_with(new, name, live, name, RenameFlags::EXCHANGE))
        });
        match exchanged {
            Err(Errno::INVAL | Errno::NOSYS) => {
                let halfway = self.halfway(number);
                renameat(live, name, CWD, &halfway)?;
                renameat(new, name, live, name)?;
                renameat(CWD, &halfway, new, name)
            }
            other => other,
        }
    }

    /// Takes back the first or the first two of three renames.
    fn undo_halfway(&self, unit: &Unit, [live, new]: [BorrowedFd<'_>; 2], number: usize) -> Result<bool, TargetError> {
        let halfway = self.halfway(number);
        let name = split(&unit.path.0).1;
        let Ok(found) = statat(CWD, &halfway, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(false) };
        if Some(inode(&found)) != unit.live {
            return Ok(false);
        }
        let back = || -> rustix::io::Result<()> {
            if inode_at(live, name) == unit.staged {
                renameat(live, name, new, name)?;
            }
            renameat(CWD, &halfway, live, name)
        };
        back().map(|()| true).map_err(|refused| TargetError::io("move back", path_of(&unit.path.0), refused))
    }

    /// The folders that hold the thing on both sides.
    fn folders(&self, path: &[u8]) -> Result<[OwnedFd; 2], TargetError> {
        let above = split(path).0;
        let open = |root: &Root| root.folder(above).map_err(|refused| TargetError::beneath("open", above, refused));
        Ok([open(self.live)?, open(self.new)?])
    }

    /// Makes the folders on the old side that something is put away into.
    fn make_above(&self, path: &[u8]) -> Result<(), TargetError> {
        let above = split(path).0;
        let ends = above.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain((!above.is_empty()).then_some(above.len())) {
            let (folder, name) = split(&above[..end]);
            let folder = self.new.folder(folder).map_err(|refused| TargetError::beneath("open", folder, refused))?;
            match mkdirat(&folder, name, Mode::RWXU) {
                Err(Errno::EXIST) => {}
                other => other.map_err(|refused| TargetError::io("create", path_of(&above[..end]), refused))?,
            }
        }
        Ok(())
    }
}

/// Moves a name to where nothing has it yet.
fn rename_new(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    writable(from, name, || match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) if inode_at(to, name).is_none() => renameat(from, name, to, name),
        other => other,
    })
}

/// A folder can only be moved by somebody who may write to it, for its `..` changes (rename(2), EACCES). For the time of
/// the move it gets that permission, if it is ours.
fn writable(
    folder: BorrowedFd<'_>,
    name: &[u8],
    mut act: impl FnMut() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    match act() {
        Err(Errno::ACCESS) if is_folder && found.st_mode & 0o200 == 0 => {}
        other => return other,
    }
    // A handle follows the folder wherever it is moved.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
    let handle = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let acted = act();
    rustix::fs::fchmod(&handle, Mode::from_raw_mode(found.st_mode & 0o7777))?;
    acted
}

fn inode(found: &Stat) -> Inode {
    Inode(found.st_dev, found.st_ino)
}

/// Who is at a path, if anybody is.
pub(super) fn inode_of(root: &Root, path: &[u8]) -> Option<Inode> {
    let (above, name) = split(path);
    inode_at(root.folder(above).ok()?.as_fd(), name)
}

fn inode_at(folder: BorrowedFd<'_>, name: &[u8]) -> Option<Inode> {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|found| inode(&found))
}
