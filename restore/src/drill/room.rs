//! Whether there is room for a rehearsal, before it fills the disk of what is live.

use std::path::Path;

use shipshape_core::archive::manifest::{Manifest, PayloadKind};
use shipshape_core::machine;
use shipshape_core::stack::scratch;

use super::error::DrillError;

/// A loaded database takes more than its dump: indexes, logs, free space in pages. Twice is what small rows take.
const LOADED: u64 = 2;

/// What files and databases take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needed {
    files: u64,
    databases: u64,
}

impl Needed {
    fn of(manifest: &Manifest) -> Self {
        let dumps = manifest.payloads.iter().filter(|payload| payload.kind == PayloadKind::Database);
        let dumps: u64 = dumps.map(|payload| payload.bytes_plain).sum();
        Self { files: manifest.bytes.plain.saturating_sub(dumps), databases: dumps.saturating_mul(LOADED) }
    }
}

/// Fails where there is not enough room for the files in `folder`, or for the databases where the engine has its volumes.
pub(super) fn check(manifest: &Manifest, folder: &Path) -> Result<(), DrillError> {
    let needed = Needed::of(manifest);
    let engine = scratch::data_folder().filter(|_| needed.databases > 0);
    let shared = engine.as_deref().is_some_and(|engine| machine::same_disk(engine, folder));
    let for_folder = if shared { needed.files.saturating_add(needed.databases) } else { needed.files };
    enough(folder, for_folder)?;
    engine.filter(|_| !shared).map_or(Ok(()), |engine| enough(&engine, needed.databases))
}

/// Where the free space cannot be told, the drill itself will tell.
fn enough(folder: &Path, needed: u64) -> Result<(), DrillError> {
    match machine::free_bytes(folder) {
        Ok(free) if free < needed => Err(DrillError::NoRoom { folder: folder.to_owned(), needed, free }),
        Ok(_) | Err(_) => Ok(()),
    }
}
