//! A log and its older generations as they are at one moment, while others rotate them.

use std::io;
use std::path::{Path, PathBuf};

use super::error::FileError;
use super::generation::Generation;
use super::siblings::{self, Age, Sibling};

/// A log and its older generations, all of them open.
pub(super) struct Snapshot {
    /// The file that has the log's name; none where there is none at the moment.
    pub(super) live: Option<Generation>,
    /// The older ones, oldest first.
    pub(super) olds: Vec<Old>,
    /// The names of older ones that may not be read.
    pub(super) refused: Vec<String>,
    target: PathBuf,
    listed: Vec<Sibling>,
}

/// An older generation.
pub(super) struct Old {
    pub(super) age: Age,
    pub(super) generation: Generation,
}

impl Snapshot {
    /// Opens everything. What is not yet true of the whole of it is found out by [`Snapshot::is_current`].
    pub(super) fn take(path: &Path) -> Result<Self, FileError> {
        let target = siblings::target(path);
        let listed = list(&target, path)?;
        let live = open_live(&target, path)?;
        let (mut olds, mut refused) = (Vec::new(), Vec::new());
        for sibling in &listed {
            match Generation::open(&sibling.path) {
                Ok(generation) => olds.push(Old { age: sibling.age.clone(), generation }),
                Err(FileError::NotAllowed { path, .. }) => refused.push(path.display().to_string()),
                // Gone: the next listing has another name for it, or none.
                Err(FileError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(live) = &live {
            drop_copies(&mut olds, live).map_err(|error| FileError::of(path, error))?;
        }
        Ok(Self { live, olds, refused, target, listed })
    }

    /// Whether nothing was rotated since: what was compared in between was compared with one state of the log, and what
    /// is copied and truncated from now on is noticed while it is read.
    pub(super) fn is_current(&self, path: &Path) -> Result<bool, FileError> {
        let live = open_live(&self.target, path)?;
        let is_same_live = match (&self.live, &live) {
            (None, None) => true,
            (Some(before), Some(now)) => before.is_same_file(now),
            _ => false,
        };
        Ok(is_same_live && siblings::is_same(&self.listed, &list(&self.target, path)?))
    }

    /// The newest of the older generations before this one, or of all, that has anything in it.
    pub(super) fn newest_before(&self, end: Option<usize>) -> io::Result<Option<usize>> {
        for number in (0..end.unwrap_or(self.olds.len())).rev() {
            if !self.olds[number].generation.is_empty()? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }
}

/// Before a file is truncated it is copied: until then the copy is nothing of its own. The same goes for one that somebody made
/// by hand.
fn drop_copies(olds: &mut Vec<Old>, live: &Generation) -> io::Result<()> {
    while let Some(newest) = olds.last() {
        if !newest.generation.is_copy_of(live)? {
            break;
        }
        olds.pop();
    }
    Ok(())
}

/// The older generations beside a log.
fn list(target: &Path, path: &Path) -> Result<Vec<Sibling>, FileError> {
    match siblings::list(target) {
        // Who may not list a folder may still open a file in it; and of a folder that is not there, the file says so.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
            Ok(Vec::new())
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        other => other.map_err(|error| FileError::of(path, error)),
    }
}

fn open_live(target: &Path, path: &Path) -> Result<Option<Generation>, FileError> {
    match Generation::open(target) {
        Ok(generation) => Ok(Some(generation)),
        Err(FileError::Missing { .. }) => Ok(None),
        // As it was named, not as it is called behind its links.
        Err(error) => Err(error.named(path)),
    }
}
