//! The old sides of earlier restores.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::journal::{Journal, KEPT, NAME_IN_KEPT};
use crate::stage::remove_tree;
use crate::target::TargetError;

/// The old sides that lie in a folder, and those on other file systems that belong to them.
pub(crate) fn all(live: &Path) -> Result<BTreeSet<PathBuf>, TargetError> {
    let mut found = BTreeSet::new();
    for folder in folders(live, KEPT)? {
        found.extend(belonging_to(&folder));
        found.insert(folder);
    }
    Ok(found)
}

/// Removes old sides. Returns those that are gone.
pub(crate) fn discard(folders: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>, TargetError> {
    let remove = |folder: PathBuf| match remove_quietly(&folder) {
        Err(cause) => Err(TargetError::io("remove", &folder, cause)),
        Ok(()) => Ok(folder),
    };
    folders.into_iter().map(remove).collect()
}

/// Removes a folder and leaves the time of the one it lies in, which a restore has just put back.
fn remove_quietly(folder: &Path) -> io::Result<()> {
    let above = fs::File::open(folder.parent().unwrap_or(Path::new("/")))?;
    let changed = above.metadata()?.modified()?;
    remove_tree(folder)?;
    // Not to be had by somebody who is not the owner, and then of no importance.
    let _ = above.set_modified(changed);
    Ok(())
}

/// A journal that cannot be read names nothing; its own folder is found without it.
fn belonging_to(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read(folder.join(NAME_IN_KEPT)).ok();
    let journal: Option<Journal> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let places = journal.map(|journal| journal.domains).unwrap_or_default();
    places.into_iter().map(|place| place.kept).filter(|kept| is_ours(kept) && kept.is_dir()).collect()
}

fn is_ours(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(KEPT))
}

/// The folders in `live` whose names begin so.
pub(super) fn folders(live: &Path, prefix: &str) -> Result<Vec<PathBuf>, TargetError> {
    let failed = |cause| TargetError::io("list", live, cause);
    let entries = match fs::read_dir(live) {
        Err(refused) if refused.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if is_folder && entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
