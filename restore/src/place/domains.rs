//! The folders that a restore may write to.
//!
//! Paths in a snapshot are relative to the application's folder; those of a source outside it are absolute without their
//! slash. In place, such a source goes back to where it was, a volume to where this machine has it now; in a folder of its
//! own, all land below that.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::index::{Header, Root};
use shipshape_core::archive::manifest::PayloadKind;

use super::error::PlaceError;
use super::facts::{Facts, Sources};
use super::{Target, volumes};
use crate::beneath::check;
use crate::pick::Picked;
use crate::stage::{Domain, below, mounts};
use crate::target::path_of;

/// The domains of a restore, the application's folder first.
pub(crate) fn of(target: &Target, facts: &Facts, picked: &Picked) -> Result<Vec<Domain>, PlaceError> {
    let sources = facts.complete(picked);
    let folder = match target {
        Target::Into(folder) => return Ok(vec![Domain::new(Vec::new(), folder.clone())]),
        Target::InPlace(folder) => folder,
    };
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let mut found = BTreeMap::from([(Vec::new(), Domain::new(Vec::new(), folder.clone()))]);
    if let Some(header) = &facts.header {
        let volumes = volumes(&folder, header, picked)?;
        for root in &header.roots {
            let new = if let Some(name) = &root.volume {
                volumes.get(name).cloned().unwrap_or_else(|| Domain::missing(root.prefix.0.clone(), name))
            } else {
                let (prefix, live) = lies(&folder, header, root)?;
                Domain::new(prefix, live)
            };
            let domain = found.entry(new.prefix.clone()).or_insert(new);
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
    for domain in found.clone().into_values().filter(|domain| domain.missing.is_none()) {
        for mount in mounts::below(&domain.live).into_iter().filter(|mount| mount.is_dir()) {
            let Ok(rest) = mount.strip_prefix(&domain.live) else { continue };
            let parts = [domain.prefix.as_slice(), rest.as_os_str().as_bytes()];
            let prefix = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/');
            let complete = domain.complete.clone();
            let below = Domain { complete, ..Domain::new(prefix.clone(), mount) };
            found.entry(prefix).or_insert(below);
        }
    }
    found.into_values().collect()
}

/// The volumes of a snapshot that are here. Where all files come back, all of them must be.
fn volumes(app: &Path, header: &Header, picked: &Picked) -> Result<BTreeMap<String, Domain>, PlaceError> {
    let wanted: Vec<&Root> = header.roots.iter().filter(|root| root.volume.is_some()).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let is_needed = picked.paths.is_empty() && picked.payloads.iter().any(|payload| payload.kind == PayloadKind::Files);
    let here = match volumes::of_app(app) {
        Err(_) if !is_needed => Vec::new(),
        other => other?,
    };
    let matched = volumes::matched(&header.roots, &here);
    let mut found = BTreeMap::new();
    for (root, name) in wanted.iter().filter_map(|root| Some((root, root.volume.as_ref()?))) {
        check(&root.prefix.0).map_err(|_| PlaceError::BadRoot { path: root.prefix.shown() })?;
        let known = matched.get(name).filter(|volume| volume.exists);
        match known.map(|volume| volume.folder.as_ref()) {
            Some(Some(folder)) => {
                let live = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                found.insert(name.clone(), Domain::new(root.prefix.0.clone(), live));
            }
            Some(None) if is_needed => return Err(PlaceError::VolumeElsewhere { volume: name.clone() }),
            None if is_needed => return Err(PlaceError::NoVolume { volume: name.clone() }),
            Some(None) | None => {}
        }
    }
    Ok(found)
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
