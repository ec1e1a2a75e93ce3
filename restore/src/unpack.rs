//! Unpacks what was picked of a snapshot into the staging folders, and proves it on the way.
//!
//! ```text
//! index, as a stream ──> folders, links, pipes: made at once
//!        │
//!        └─> files: kept as items of 88 bytes ──> sorted by pack ──> workers, each with a pack of its own:
//!                                                    read once from front to back, write, BLAKE3, compare, metadata
//! config, databases: tars, unpacked as streams, SHA-256 compared
//! then hard links, then the metadata of folders, the deepest first
//! ```
//!
//! What proves a file is age's authentication of each chunk that was read and the BLAKE3 of its content: so the SHA-256
//! of packs is left to `verify`, and the end of a pack behind the last file that is wanted is not read at all.

pub(crate) mod dumps;
mod error;
mod files;
mod items;
mod links;
mod packs;
pub(crate) mod tars;

use std::collections::HashSet;

use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::progress::Progress;

use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage::Stage;
use crate::tree::{Tree, Twice};

pub(crate) use error::UnpackError;
pub(crate) use files::open_index;

/// What was built.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Files, links and pipes.
    pub(crate) files: u64,
    /// Folders that are restored themselves.
    pub(crate) folders: u64,
    /// Bytes of content.
    pub(crate) bytes: u64,
    /// The payloads that are tars, with the paths that were unpacked of them.
    pub(crate) tars: Vec<Tar>,
    /// The payloads with an index of which something was unpacked.
    pub(crate) trees: Vec<String>,
    /// Folders that are there only because something below them is.
    pub(crate) only_for_content: HashSet<Vec<u8>>,
    /// Owners that could not be set.
    pub(crate) owners_refused: u64,
    /// Paths that were passed over because they belong to live databases.
    pub(crate) companions: Vec<Vec<u8>>,
    /// Single files whose place was a link.
    pub(crate) linked: links::Linked,
    /// What is in an archive under names of our own, and is never restored.
    pub(crate) ours: u64,
    /// Attributes that could not be set.
    pub(crate) attributes_refused: u64,
}

/// A payload that is a tar.
#[derive(Debug)]
pub(crate) struct Tar {
    name: String,
    kind: PayloadKind,
    paths: Vec<Vec<u8>>,
}

impl Unpacked {
    /// What was unpacked of the payload of that name, if it is a tar.
    pub(crate) fn paths_of(&self, name: &str) -> &[Vec<u8>] {
        self.tars.iter().find(|tar| tar.name == name).map(|tar| tar.paths.as_slice()).unwrap_or_default()
    }

    /// Paths of the databases: what lies beside a live one belongs to it and goes with it.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &[u8]> {
        let databases = self.tars.iter().filter(|tar| tar.kind == PayloadKind::Sqlite);
        databases.flat_map(|tar| &tar.paths).map(Vec::as_slice)
    }

    /// Whether there was nothing to unpack.
    pub(crate) fn is_empty(&self) -> bool {
        self.files == 0 && self.folders == 0 && self.linked.kept.is_empty()
    }
}

/// Unpacks a snapshot.
pub(crate) fn snapshot(
    snapshot: &Snapshot,
    picked: &Picked,
    stage: &Stage,
    progress: &Progress,
) -> Result<Unpacked, UnpackError> {
    let mut tree = Tree::new(stage, Twice::Refuse);
    let mut done = Unpacked::default();
    for payload in &picked.payloads {
        match payload.kind {
            PayloadKind::Files => files::unpack(snapshot, payload, picked, &mut tree, &mut done, progress)?,
            PayloadKind::Config | PayloadKind::Sqlite => {
                tars::payload(snapshot, payload, picked, &mut tree, &mut done, progress)?;
            }
            // These go to a server: see `database`.
            PayloadKind::Database => {}
        }
    }
    for payload in &picked.dumps {
        dumps::unpack(snapshot, payload, &mut tree, &mut done, progress)?;
    }
    finish(&tree, &mut done)?;
    Ok(done)
}

/// What is left when all is in its place: the folders get their metadata.
pub(crate) fn finish(tree: &Tree<'_>, done: &mut Unpacked) -> Result<(), UnpackError> {
    tree.dress_folders()?;
    done.only_for_content = tree.only_for_content();
    let dresser = tree.stage().dresser()?;
    done.owners_refused = dresser.owners_refused();
    done.attributes_refused = dresser.attributes_refused();
    Ok(())
}
