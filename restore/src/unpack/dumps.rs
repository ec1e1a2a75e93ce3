//! Dumps of servers as plain files: for who wants to look into one without a server.

use std::fs::File;

use shipshape_core::archive::manifest::Payload;
use shipshape_core::archive::unseal::{self, UnsealError};
use shipshape_core::progress::Progress;

use super::{UnpackError, Unpacked};
use crate::content::{self, CHUNK, ContentError, Zeros};
use crate::proof::Proof;
use crate::select::Snapshot;
use crate::target::TargetError;
use crate::tree::Tree;

/// Writes one, whole and the one that the manifest promises, or not at all.
pub(super) fn unpack(
    snapshot: &Snapshot,
    payload: &Payload,
    tree: &mut Tree<'_>,
    done: &mut Unpacked,
    progress: &Progress,
) -> Result<(), UnpackError> {
    let key = snapshot.place.key(&payload.object);
    let plain = unseal::open(snapshot.store.as_ref(), &snapshot.place, &payload.object, &snapshot.identities)?;
    let (mut reader, proof) = Proof::of(plain);
    let name = file_name(payload);
    let file: File = tree.add_file(name.as_bytes())?;
    let broken = |cause| UnsealError::Damaged { object: key.clone(), cause };
    let written = content::write(&mut reader, &file, Zeros::Write, &mut vec![0; CHUNK], progress);
    let (bytes, _) = written.map_err(|refused| match refused {
        ContentError::Read(cause) => UnpackError::from(broken(cause)),
        ContentError::Write(cause) => TargetError::io("write", &name, cause).into(),
        ContentError::Interrupted(interrupted) => interrupted.into(),
    })?;
    if proof.finish().map_err(broken)? != (payload.bytes_plain, payload.sha256_plain.clone()) {
        let why = "the SHA-256 of its content differs".to_owned();
        return Err(UnpackError::NotTheManifests { object: key, why });
    }
    done.files += 1;
    done.bytes += bytes;
    Ok(())
}

/// `database-shop.sql`: the object's name without what it is wrapped in.
pub(crate) fn file_name(payload: &Payload) -> String {
    let name = payload.object.rsplit('/').next().unwrap_or(&payload.object);
    let plain = [".sql", ".rdb"].iter().find_map(|suffix| Some(&name[..name.find(suffix)? + suffix.len()]));
    plain.unwrap_or(name).to_owned()
}
