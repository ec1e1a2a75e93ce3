//! The folders that a restore may write to.
//!
//! Paths in a snapshot are relative to the application's folder; those of a source outside it are absolute without their
//! slash. In place, such a source goes back to where it was; in a folder of its own, all land below that.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::index::{Header, Root};

use super::Target;
use super::error::PlaceError;
use super::facts::{Facts, Sources};
use crate::beneath::check;
use crate::stage::{Domain, below, mounts};
use crate::target::path_of;

/// The domains of a restore, the application's folder first.
pub(crate) fn of(target: &Target, facts: &Facts, sources: Sources) -> Result<Vec<Domain>, PlaceError> {
    let folder = match target {
        Target::Into(folder) => return Ok(vec![Domain::new(Vec::new(), folder.clone())]),
        Target::InPlace(folder) => folder,
    };
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let mut found = BTreeMap::from([(Vec::new(), Domain::new(Vec::new(), folder.clone()))]);
    if let Some(header) = &facts.header {
        for root in &header.roots {
            let (prefix, live) = lies(&folder, header, root)?;
            let domain = found.entry(prefix.clone()).or_insert_with(|| Domain::new(prefix, live));
            if sources == Sources::Complete {
                domain.complete.push(if root.prefix.0 == b"." { Vec::new() } else { root.prefix.0.clone() });
            }
        }
    }
    Ok(with_mounts(found))
}

/// The domains of a restore into one folder that may hold something.
pub(crate) fn in_folder(folder: &Path) -> Vec<Domain> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    with_mounts(BTreeMap::from([(Vec::new(), Domain::new(Vec::new(), folder))]))
}

/// With the mount points below them. The empty prefix sorts first.
fn with_mounts(mut found: BTreeMap<Vec<u8>, Domain>) -> Vec<Domain> {
    for domain in found.clone().into_values() {
        for mount in mounts::below(&domain.live).into_iter().filter(|mount| mount.is_dir()) {
            let Ok(rest) = mount.strip_prefix(&domain.live) else { continue };
            let parts = [domain.prefix.as_slice(), rest.as_os_str().as_bytes()];
            let prefix = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/');
            let below = Domain { prefix: prefix.clone(), live: mount, complete: domain.complete.clone() };
            found.entry(prefix).or_insert(below);
        }
    }
    found.into_values().collect()
}

/// In which domain a source lies: the domain's path in the snapshot, and its folder here. The application's, unless the
/// source is elsewhere; then a source that is a folder now is a domain itself, and of any other the folder that it is in.
fn lies(app: &Path, header: &Header, root: &Root) -> Result<(Vec<u8>, PathBuf), PlaceError> {
    let prefix = root.prefix.0.as_slice();
    check(prefix).map_err(|_| PlaceError::BadRoot { path: Bytes::from(prefix).shown() })?;
    let in_app = || (Vec::new(), app.to_owned());
    if prefix == b"." || below(&root.path.0, &header.app_dir.0).is_some() {
        return Ok(in_app());
    }
    let inside = app.join(path_of(prefix));
    let absolute = Path::new("/").join(path_of(prefix));
    let there = |path: &Path| path.canonicalize().ok().filter(|found| found.is_dir());
    if absolute == path_of(&root.path.0) || (!inside.exists() && there(&absolute).is_some()) {
        return Ok(there(&absolute).map_or_else(|| above(prefix, &absolute), |found| (prefix.to_vec(), found)));
    }
    // A link in the application's folder was followed, since it was named as a source. Where it leads here, it is again.
    let linked = there(&inside).filter(|found| *found != inside);
    Ok(linked.map_or_else(in_app, |found| (prefix.to_vec(), found)))
}

/// The folder that something lies in. A thing directly in `/` lies in the domain of that name alone.
fn above(prefix: &[u8], live: &Path) -> (Vec<u8>, PathBuf) {
    match (crate::beneath::split(prefix).0, live.parent()) {
        (b"", _) | (_, None) => (prefix.to_vec(), live.to_owned()),
        (above, Some(parent)) => (above.to_vec(), parent.to_owned()),
    }
}
