//! The commit: the manifest is written when everything else is in the store and has been read back.

use shipshape_core::archive::manifest::{self, FileCounts, Manifest, ManifestError, Pack, Payload, Sizes, Verified};
use shipshape_core::archive::names::{self, SnapshotId};
use shipshape_core::clock;
use shipshape_core::error::Failure;

use super::session::Session;
use crate::target::Target;

/// What a run has gathered for its manifest.
pub(super) struct Draft {
    pub(super) payloads: Vec<Payload>,
    pub(super) packs: Vec<Pack>,
    pub(super) files: FileCounts,
    pub(super) bytes: Sizes,
    pub(super) partial: bool,
    pub(super) shrunk: Vec<String>,
    pub(super) only: Vec<String>,
    pub(super) tags: Vec<String>,
}

/// Writes the manifest and reads it back: from then on the snapshot exists.
pub(super) fn commit(session: &Session<'_>, draft: Draft) -> Result<Manifest, Failure> {
    let (store, place) = (session.target.store.as_ref(), session.target.place());
    let manifest = complete(session, draft);
    let key = place.key(&names::manifest(&session.id));
    let damaged = |why: String| ManifestError::Damaged { object: key.clone(), why };
    let bytes = manifest.encode().map_err(|cause| damaged(cause.to_string()))?;
    store.put_new(&key, &bytes)?;
    let read = Manifest::read(store, place, &session.id)?;
    if read != manifest {
        return Err(damaged("it does not read back as it was written".to_owned()).into());
    }
    Ok(manifest)
}

/// The draft with all that the run knows of itself. Times are those of now: everything is stored and read back.
fn complete(session: &Session<'_>, draft: Draft) -> Manifest {
    let now = clock::now();
    let place = session.target.place();
    Manifest {
        format: manifest::FORMAT,
        id: session.id.clone(),
        store: session.target.marker.id.clone(),
        host: place.host.clone(),
        app: place.app.clone(),
        started: session.run.started(),
        finished: now,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tags: draft.tags,
        only: draft.only,
        compression: session.keys.wrapping.compression,
        encryption: session.keys.wrapping.encryption,
        recipients: session.keys.recipients.texts(),
        previous: session.previous.as_ref().map(|previous| previous.manifest.id.clone()),
        payloads: draft.payloads,
        packs: draft.packs,
        files: draft.files,
        bytes: draft.bytes,
        partial: draft.partial,
        shrunk: draft.shrunk,
        verified: Verified { how: "read-back".to_owned(), at: now },
    }
}

/// Removes what a failed run has written: the manifest first, should it be there, so that it never refers to what is
/// gone. What cannot be removed now is found by the next prune.
pub(super) fn abandon(target: &Target, id: &SnapshotId) {
    let (store, place) = (target.store.as_ref(), target.place());
    let prefix = place.key("");
    if store.delete(&place.key(&names::manifest(id))).is_err() {
        return;
    }
    for folder in [format!("snapshots/{id}"), "packs".to_owned()] {
        for object in store.list(&place.key(&folder)).unwrap_or_default() {
            let of_this_run = object.key.strip_prefix(&prefix).and_then(names::id_of).as_ref() == Some(id);
            if of_this_run {
                let _ = store.delete(&object.key);
            }
        }
    }
}
