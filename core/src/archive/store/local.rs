//! A store in a folder of this machine, or of what is mounted there.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Advice, fadvise};
use tempfile::NamedTempFile;

use super::{Listed, MARKER, ObjectWriter, Store, StoreError};
use crate::atomic::{self, TEMPORARY_PREFIX};
use crate::lock::{Lock, LockError};

/// More than any marker needs.
const MARKER_LIMIT: u64 = 64 * 1024;

/// The lock of a HOST/APP folder.
const LOCK: &str = ".lock";

/// A folder.
pub(super) struct LocalStore {
    url: String,
    root: PathBuf,
}

impl LocalStore {
    /// The store at a plain path or a `file:///` URL, whether it exists or not.
    pub(super) fn at(url: &str) -> Result<Self, StoreError> {
        let unknown = || StoreError::UnknownKind { url: url.to_owned() };
        let path = match url.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => path,
            Some(_) => return Err(unknown()),
            None => url,
        };
        if path.is_empty() {
            return Err(unknown());
        }
        let root = std::path::absolute(path).map_err(|cause| StoreError::from_io("find", url, cause))?;
        Ok(Self { url: url.to_owned(), root })
    }

    pub(super) fn exists(&self) -> bool {
        self.root.is_dir()
    }

    pub(super) fn make_folder(&self) -> Result<(), StoreError> {
        atomic::private_dir(&self.root).map_err(|refused| match refused {
            atomic::AtomicError::Folder { cause, .. } | atomic::AtomicError::Write { cause, .. } => {
                StoreError::from_io("create", &self.url, cause)
            }
        })
    }

    /// Whether nothing is in the folder, apart from what file systems put at their roots themselves, and from what is left
    /// of a marker whose writer was killed.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        let read = |cause| StoreError::from_io("list", &self.url, cause);
        for entry in fs::read_dir(&self.root).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            if name != "lost+found" && !name.to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn read_marker(&self) -> Result<Vec<u8>, StoreError> {
        let mut text = Vec::new();
        let marker = self.open(MARKER)?.take(MARKER_LIMIT).read_to_end(&mut text);
        marker.map_err(|cause| StoreError::from_io("read", MARKER, cause))?;
        Ok(text)
    }

    /// The file of a key. Keys come from manifests too, so they are checked: plain names only.
    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let relative = Path::new(key);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || !plain {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "the name leaves the store");
            return Err(StoreError::from_io("use", key, cause));
        }
        Ok(self.root.join(relative))
    }

    fn folder_of(&self, path: &Path, key: &str) -> Result<PathBuf, StoreError> {
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        atomic::private_dir(&folder).map_err(|refused| match refused {
            atomic::AtomicError::Folder { cause, .. } | atomic::AtomicError::Write { cause, .. } => {
                StoreError::from_io("create the folder of", key, cause)
            }
        })?;
        Ok(folder)
    }

    fn open_file(&self, key: &str) -> Result<File, StoreError> {
        File::open(self.path(key)?).map_err(|cause| StoreError::from_io("open", key, cause))
    }

    fn temporary(&self, key: &str) -> Result<(PathBuf, NamedTempFile), StoreError> {
        let path = self.path(key)?;
        let folder = self.folder_of(&path, key)?;
        let file = atomic::temporary(&folder).map_err(|cause| StoreError::from_io("create", key, cause))?;
        Ok((path, file))
    }
}

impl Store for LocalStore {
    fn create(&self, key: &str) -> Result<Box<dyn ObjectWriter>, StoreError> {
        let (path, file) = self.temporary(key)?;
        Ok(Box::new(LocalWriter { file, path, key: key.to_owned() }))
    }

    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |cause| StoreError::from_io("write", key, cause);
        let (path, mut file) = self.temporary(key)?;
        file.write_all(bytes).map_err(failed)?;
        atomic::commit_new(file, &path).map_err(failed)
    }

    fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(self.open_file(key)?))
    }

    fn reread(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        let file = self.open_file(key)?;
        // The object is durable by now, so the kernel may forget it and has to ask the disk (posix_fadvise(2)). Advice
        // only: on a file system that lives in memory there is nothing else to ask.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        Ok(Box::new(file))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let mut found = Vec::new();
        list_into(&self.path(prefix)?, prefix, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let folder = if prefix.is_empty() { self.root.clone() } else { self.path(prefix)? };
        let mut names = Vec::new();
        for (name, kind) in read_folder(&folder, prefix)? {
            if kind.is_dir() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(key)?;
        match fs::remove_file(&path) {
            Err(refused) if refused.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(|cause| StoreError::from_io("delete", key, cause))?,
        }
        // A snapshot's folder goes with its last object; others are not empty and stay.
        if let Some(folder) = path.parent().filter(|folder| *folder != self.root) {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    fn claim(&self, prefix: &str) -> Result<Box<dyn Send>, StoreError> {
        let path = self.path(&format!("{prefix}/{LOCK}"))?;
        let folder = self.folder_of(&path, prefix)?;
        let lock = Lock::take(&path).map_err(|refused| match refused {
            LockError::Open { cause, .. } => StoreError::from_io("lock", prefix, cause),
            cause @ LockError::Held { .. } => StoreError::Claimed { cause },
        })?;
        // Of the store's own folder only the files: what is below belongs to others.
        let cleared = clear_leftovers(&self.root, Depth::Files).and_then(|()| clear_leftovers(&folder, Depth::All));
        cleared.map_err(|cause| StoreError::from_io("clear", prefix, cause))?;
        Ok(Box::new(lock))
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn local_folder(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

/// An object on its way: a temporary file beside its final name.
struct LocalWriter {
    file: NamedTempFile,
    path: PathBuf,
    key: String,
}

impl Write for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for LocalWriter {
    // What close(2) might still report is of no concern after fsync(2): objects are read back and compared.
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { file, path, key } = *self;
        atomic::commit(file, &path).map_err(|cause| StoreError::from_io("finish", &key, cause))
    }
}

/// The entries of a folder: names that are UTF-8, as all of ours are. A folder that is not there is empty.
fn read_folder(folder: &Path, key: &str) -> Result<Vec<(String, fs::FileType)>, StoreError> {
    let failed = |cause| StoreError::from_io("list", key, cause);
    let entries = match fs::read_dir(folder) {
        Err(refused) if refused.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.file_type().map_err(failed)?));
        }
    }
    Ok(found)
}

fn list_into(folder: &Path, prefix: &str, found: &mut Vec<Listed>) -> Result<(), StoreError> {
    for (name, kind) in read_folder(folder, prefix)? {
        let (path, key) = (folder.join(&name), format!("{prefix}/{name}"));
        if kind.is_dir() {
            list_into(&path, &key, found)?;
        } else if kind.is_file() && !name.starts_with('.') {
            let facts = fs::metadata(&path).map_err(|cause| StoreError::from_io("look at", &key, cause))?;
            found.push(Listed { key, bytes: facts.len() });
        }
    }
    Ok(())
}

/// How far to go down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Files,
    All,
}

/// Removes temporary files of writers that were killed. Only under the lock: nobody else is writing then.
fn clear_leftovers(folder: &Path, depth: Depth) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if depth == Depth::All {
                clear_leftovers(&entry.path(), depth)?;
                // The folder of a snapshot that never came to be.
                if fs::read_dir(entry.path())?.next().is_none() {
                    fs::remove_dir(entry.path())?;
                }
            }
        } else if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
