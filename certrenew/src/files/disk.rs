//! The changes of the disk, one function each.
//!
//! Every one of them is a point at which a test ends the process, as `kill -9` would: see `tests/killed.rs`.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, OFlags, RenameFlags, fallocate, renameat_with};
use rustix::io::Errno;
use shipshape_core::atomic;
use shipshape_core::path::clean;

use super::owner::Ownership;
use super::{FilesError, is_ours};

/// The permission bits of folders with versions: what keeps others out is the folder above, and the mode of each key.
pub(super) const FOLDER: u32 = 0o755;

/// Writes a new file: private from birth, given to its owner, opened as far as it may be, durable. Tells whether it has
/// the owner of the present one.
pub(super) fn create(path: &Path, bytes: &[u8], mode: u32, ownership: &Ownership) -> Result<bool, FilesError> {
    let writing = |cause| FilesError::writing(path, cause);
    stop_here();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(writing)?;
    stop_here();
    file.write_all(bytes).map_err(writing)?;
    let is_kept = ownership.give(&file, path, mode)?;
    stop_here();
    file.sync_all().map_err(writing)?;
    Ok(is_kept)
}

/// Opens a file of ours to write over it, and takes the space that it will need: what can fail fails before anything is
/// changed. Links are not followed: what lies behind them is somebody else's.
pub(super) fn open_to_overwrite(path: &Path, length: usize) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().write(true).custom_flags(no_follow).open(path)?;
    match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, u64::try_from(length).unwrap_or(u64::MAX)) {
        // Not every file system can promise space (fallocate(2)).
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(file),
        Err(full) => Err(full.into()),
    }
}

/// Writes over a file from its beginning and then cuts it, so that it is never empty, and its inode stays.
pub(super) fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    stop_here();
    file.write_all(bytes)?;
    stop_here();
    file.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

/// A folder, empty.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    stop_here();
    DirBuilder::new().mode(0o700).create(path)?;
    open_folder(path)
}

/// Lets others into a folder that was private from birth.
pub(super) fn open_folder(path: &Path) -> io::Result<()> {
    stop_here();
    fs::set_permissions(path, Permissions::from_mode(FOLDER))
}

/// A symbolic link.
pub(super) fn link(target: &Path, path: &Path) -> io::Result<()> {
    stop_here();
    symlink(target, path)
}

/// Gives something another name; what has that name already is replaced (rename(2)).
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    stop_here();
    fs::rename(from, to)
}

/// Gives something a name that nothing has.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    stop_here();
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(refused) if is_unknown(refused) && fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(refused) if is_unknown(refused) => Err(ErrorKind::AlreadyExists.into()),
        Err(refused) => Err(refused.into()),
    }
}

/// Exchanges two names at once, whatever they are the names of. False where the file system cannot.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    stop_here();
    if cannot_exchange() {
        return Ok(false);
    }
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(refused) if is_unknown(refused) => Ok(false),
        Err(refused) => Err(refused.into()),
    }
}

/// What renameat2(2) says where the kernel or the file system has no such flags.
fn is_unknown(refused: Errno) -> bool {
    matches!(refused, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Makes what was done in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    stop_here();
    atomic::sync_folder(folder)
}

/// Removes a file, a link, or a folder with the files and links in it. What is not there is removed already; a folder
/// in a folder stays, with the one that holds it.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !found.is_dir() {
        stop_here();
        return fs::remove_file(path);
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            stop_here();
            fs::remove_file(entry.path())?;
        }
    }
    stop_here();
    match fs::remove_dir(path) {
        Err(kept) if kept.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

/// Takes along into `to` what else its owner keeps in the folder `from`: a README, Diffie-Hellman parameters. Files are
/// linked, so that they stay one file; links keep their meaning, though `to` will lie at `place`.
pub(super) fn carry(from: &Path, to: &Path, place: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let taken = to.join(&name);
        if is_ours(&name) || fs::symlink_metadata(&taken).is_ok() {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            link(&relinked(from, &fs::read_link(&path)?, place), &taken)?;
        } else if kind.is_file() {
            stop_here();
            // Another file system, or one without hard links: a copy has to do.
            fs::hard_link(&path, &taken).or_else(|_| fs::copy(&path, &taken).map(drop))?;
        }
    }
    Ok(())
}

/// The names of the folders in a folder, which cannot be taken along.
pub(super) fn folders_in(path: &Path) -> io::Result<Vec<OsString>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.file_name());
        }
    }
    Ok(found)
}

/// What a link that lay in `from` has to say in `place` to mean the same. One that leads within its folder, or says
/// where it leads from the root, stays as it is.
fn relinked(from: &Path, target: &Path, place: &Path) -> PathBuf {
    if !target.starts_with("..") {
        return target.to_owned();
    }
    let meant = clean(&from.join(target));
    let common = meant.components().zip(place.components()).take_while(|(one, other)| one == other).count();
    let up = place.components().count() - common;
    let down = meant.components().skip(common);
    std::iter::repeat_n(Component::ParentDir, up).chain(down).collect()
}

#[cfg(not(test))]
fn stop_here() {}

#[cfg(not(test))]
fn cannot_exchange() -> bool {
    false
}

/// Ends the process at the change that the environment names, without a word to anybody.
#[cfg(test)]
fn stop_here() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static DONE: AtomicUsize = AtomicUsize::new(0);
    let stop = std::env::var("CERTRENEW_TEST_STOP").ok().and_then(|stop| stop.parse::<usize>().ok());
    if stop.is_some_and(|stop| DONE.fetch_add(1, Ordering::Relaxed) == stop) {
        std::process::abort();
    }
}

#[cfg(test)]
fn cannot_exchange() -> bool {
    std::env::var_os("CERTRENEW_TEST_NO_EXCHANGE").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_its_meaning_where_it_is_taken() {
        let said = |target, place: &str| relinked(Path::new("/c/live/a"), Path::new(target), Path::new(place));
        assert_eq!(said("../foo", "/c/archive/a/0001"), Path::new("../../../live/foo"));
        assert_eq!(said("../../archive/a/x", "/c/archive/a/0001"), Path::new("../x"));
        assert_eq!(said("../foo", "/c/live/.a.7"), Path::new("../foo"));
        assert_eq!(said("fullchain.pem", "/c/archive/a/0001"), Path::new("fullchain.pem"));
        assert_eq!(said("/etc/ssl/dh.pem", "/c/archive/a/0001"), Path::new("/etc/ssl/dh.pem"));
    }

    #[test]
    fn a_folder_within_a_folder_is_never_removed() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("x");
        fs::create_dir_all(path.join("somebodys")).unwrap();
        fs::write(path.join("cert.pem"), "x").unwrap();
        remove(&path).unwrap();
        assert!(path.join("somebodys").is_dir() && !path.join("cert.pem").exists());
        fs::remove_dir(path.join("somebodys")).unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_new_name_is_never_one_that_something_has() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("1"), folder.path().join("2"));
        fs::write(&one, "1").unwrap();
        fs::write(&other, "2").unwrap();
        assert_eq!(rename_new(&one, &other).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&other).unwrap(), b"2");
    }
}
