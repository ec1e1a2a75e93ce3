//! Files appear whole or not at all, and are private from birth.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::Explain;
use crate::exit::Exit;

/// Why a file could not be replaced or a folder not made.
#[derive(Debug, thiserror::Error)]
pub enum AtomicError {
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file under its final name.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The folder could not be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Explain for AtomicError {
    fn code(&self) -> &'static str {
        match self {
            Self::Write { .. } => "file.write",
            Self::Folder { .. } => "file.folder",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Write { path, .. } => {
                format!("check free space and permissions: df -h {0}; ls -ld {0}", parent(path).display())
            }
            Self::Folder { path, .. } => format!("check who may write to {}", parent(path).display()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Write { .. } | Self::Folder { .. } => Exit::Unknown,
        }
    }
}

/// Replaces `path` by `bytes`: temporary file beside it (0600), fsync, rename, fsync of the folder.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), AtomicError> {
    let write = || -> io::Result<()> {
        let mut file = temporary(parent(path))?;
        file.write_all(bytes)?;
        commit(file, path)
    };
    write().map_err(|cause| AtomicError::Write { path: path.to_owned(), cause })
}

/// A temporary file in `folder`, private from birth (0600), that vanishes unless it is committed.
pub fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)
}

/// A temporary folder in `folder`, private from birth (0700), that vanishes with all that came to be in it.
pub fn temporary_folder(folder: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(folder)
}

/// How the names of temporary files begin, so that leftovers of a killed run can be told from everything else.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Gives a temporary file its final name, durably: fsync, rename, fsync of the folder.
pub fn commit(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|refused| refused.error)?;
    sync_folder(parent(path))
}

/// The same, but fails with `AlreadyExists` where something has the name.
pub fn commit_new(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|refused| refused.error)?;
    sync_folder(parent(path))
}

/// Makes a rename or removal in this folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync folders; what they promise then is theirs (fsync(2), EINVAL).
        Err(refused) if refused.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Creates a folder and its missing parents, 0700 from birth, durably. An existing one stays as it is.
pub fn private_dir(path: &Path) -> Result<(), AtomicError> {
    create_private(path).map_err(|cause| AtomicError::Folder { path: path.to_owned(), cause })
}

fn create_private(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    let above = parent(path);
    if above != path {
        create_private(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(refused) if refused.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(refused) => Err(refused),
        Ok(()) => sync_folder(above),
    }
}

/// The folder that holds `path`; `.` for a bare name, the root for itself.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_replaced_file_is_private_and_leaves_no_temporary_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("state.json");
        let refused = replace(&path, b"one").unwrap_err();
        assert_eq!(refused.code(), "file.write");
        assert!(!path.exists());
    }

    #[test]
    fn a_new_name_is_never_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        replace(&path, b"first").unwrap();
        let second = temporary(folder.path()).unwrap();
        assert_eq!(commit_new(second, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn folders_are_private_from_birth() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        private_dir(&deep).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
