//! Owner of one danger: that a name from an archive leads out of the folder it belongs into.
//!
//! Every path is checked as text, and every folder is opened without following a link, from a handle of the root. So
//! neither `..` nor a link that an earlier member made can lead anywhere else.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use shipshape_core::archive::entry::Bytes;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// A path that must not be followed.
#[derive(Debug, thiserror::Error)]
#[error("the archive is hostile: {path} {why}")]
pub(crate) struct Hostile {
    /// The path, for people.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) why: &'static str,
}

impl Hostile {
    pub(crate) fn new(path: &[u8], why: &'static str) -> Self {
        Self { path: Bytes::from(path).shown(), why }
    }
}

impl Explain for Hostile {
    fn code(&self) -> &'static str {
        "archive.hostile"
    }

    fn hint(&self) -> String {
        "nothing was changed; do not trust this archive before you know who made it".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Critical
    }
}

/// Why a folder below the root could not be opened.
#[derive(Debug)]
pub(crate) enum BeneathError {
    /// The way leads through a link or a file.
    Hostile(Hostile),
    /// What the system says.
    Io(io::Error),
}

/// Checks a path as text: relative, no `..`, no empty part, no NUL. `.` alone is the root.
pub(crate) fn check(path: &[u8]) -> Result<(), Hostile> {
    let why = if path == b"." {
        return Ok(());
    } else if path.starts_with(b"/") {
        "is absolute"
    } else if path.contains(&0) {
        "holds a NUL byte"
    } else if path.split(|byte| *byte == b'/').any(|part| part == b"..") {
        "leaves its folder"
    } else if path.split(|byte| *byte == b'/').any(|part| part.is_empty() || part == b".") {
        "has an empty part"
    } else {
        return Ok(());
    };
    Err(Hostile::new(path, why))
}

/// Checks where a symbolic link at `path` leads, as text: not out of the root.
pub(crate) fn check_link(path: &[u8], target: &[u8]) -> Result<(), Hostile> {
    let leaves = || Err(Hostile::new(path, "is a link that leaves its folder"));
    if target.starts_with(b"/") {
        return leaves();
    }
    let mut depth = path.split(|byte| *byte == b'/').count() - 1;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return leaves(),
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    Ok(())
}

/// The folder of a path and its name in there: `a/b` is `b` in `a`, and `a` is `a` in the root, whose path is empty.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// A folder that paths are taken relative to, held open.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// Opens the folder itself; links on the way to it are followed, for whoever named it meant them.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// The handle, to sync or lock.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A handle of the folder at `path` below the root (empty: the root), good for naming things in it.
    pub(crate) fn folder(&self, path: &[u8]) -> Result<OwnedFd, BeneathError> {
        self.open_beneath(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// A handle good for changing the folder's own mode, owner, times and attributes.
    pub(crate) fn folder_itself(&self, path: &[u8]) -> Result<File, BeneathError> {
        self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY).map(File::from)
    }

    fn open_beneath(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, BeneathError> {
        let path = if path.is_empty() { b"." } else { path };
        let opened = beneath(self.0.as_fd(), path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC);
        opened.map_err(|refused| match refused {
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => {
                BeneathError::Hostile(Hostile::new(path, "leads through a link or a file"))
            }
            other => BeneathError::Io(other.into()),
        })
    }
}

/// Whether the kernel lacks openat2(2) (before Linux 5.6) or a sandbox refuses it.
static STEPWISE: AtomicBool = AtomicBool::new(false);

/// Opens what is below a root, without following any link and without leaving the root.
fn beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    if !STEPWISE.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => STEPWISE.store(true, Ordering::Relaxed),
            other => return other,
        }
    }
    stepwise(root, path, flags)
}

/// The same, part by part. Paths have been checked, so no part is `..`.
fn stepwise(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (above, name) = split(path);
    if above.is_empty() {
        return openat(root, name, flags, Mode::empty());
    }
    let mut parts = above.split(|byte| *byte == b'/');
    let first = parts.next().unwrap_or(b".");
    let start = openat(root, first, step, Mode::empty())?;
    let folder = parts.try_fold(start, |folder, part| openat(folder, part, step, Mode::empty()))?;
    openat(folder, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_that_leave_their_folder_are_refused_as_text() {
        for path in ["/etc/passwd", "..", "../x", "a/../../x", "a/..", "a//b", "a/./b", "", "a/", "a\0b"] {
            assert!(check(path.as_bytes()).is_err(), "{path:?}");
        }
        for path in [".", "a", "a/b", "..a", "a..", "a/...", ".env", "\u{fffd}", "-rf"] {
            assert!(check(path.as_bytes()).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn links_may_lead_up_as_far_as_the_root_and_no_further() {
        for (path, target) in [("a", ".."), ("a", "/etc"), ("a/b", "../../x"), ("a", "b/../../c")] {
            assert!(check_link(path.as_bytes(), target.as_bytes()).is_err(), "{path} -> {target}");
        }
        for (path, target) in [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d"), ("a", "b/../c"), ("a/b", "..")] {
            assert!(check_link(path.as_bytes(), target.as_bytes()).is_ok(), "{path} -> {target}");
        }
    }

    #[test]
    fn a_folder_behind_a_link_is_not_opened_by_either_way() {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("root");
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real", root.join("inside")).unwrap();
        symlink(above.path(), root.join("outside")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        let opened = Root::open(&root).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        for path in ["inside", "inside/deep", "outside", "outside/root", "file", "file/x"] {
            assert!(matches!(opened.folder(path.as_bytes()), Err(BeneathError::Hostile(_))), "{path}");
            assert!(stepwise(opened.as_fd(), path.as_bytes(), flags).is_err(), "{path}");
        }
        for path in ["real", "real/deep"] {
            assert!(opened.folder(path.as_bytes()).is_ok(), "{path}");
            assert!(stepwise(opened.as_fd(), path.as_bytes(), flags).is_ok(), "{path}");
        }
        assert!(opened.folder(b"").is_ok());
    }
}
