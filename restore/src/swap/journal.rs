//! The journal of a restore: what is about to be swapped, so that it can be undone after any kind of end.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipshape_core::archive::entry::Bytes;
use shipshape_core::atomic;

use crate::metadata::Metadata;
use crate::target::TargetError;

/// Its name in the staging folder.
pub(crate) const NAME: &str = "journal.json";
/// Its name in the folder of the old side, where it stays as long as that.
pub(crate) const NAME_IN_KEPT: &str = ".shipshape-journal.json";
/// How the names of staging folders begin.
pub(crate) const STAGING: &str = ".shipshape-restore-";
/// How the names of the folders with the old side begin.
pub(crate) const KEPT: &str = ".shipshape-before-";

/// The format of journals.
const FORMAT: u32 = 1;

/// The whole journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// The format version.
    pub(crate) format: u32,
    /// The snapshot or file that is restored.
    pub(crate) of: String,
    /// The folders that are written to; the first is the one that the journal lies in.
    pub(crate) domains: Vec<Place>,
    /// What is swapped, in order.
    pub(crate) units: Vec<Unit>,
    /// Folders that stay and get the metadata of the snapshot.
    pub(crate) dressed: Vec<Dressed>,
    /// Whether everything was swapped: from here on it is finished, before it is undone.
    pub(crate) done: bool,
}

/// A folder that is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its path in the snapshot; empty for the application's folder.
    pub(crate) prefix: Bytes,
    /// Where it is.
    pub(crate) live: PathBuf,
    /// Where it is built anew.
    pub(crate) staging: PathBuf,
    /// Where its old side will be.
    pub(crate) kept: PathBuf,
    /// Whether this restore made the folder.
    pub(crate) made: bool,
    /// Where the new side was kept as an old one, if it is put back: it must never be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<PathBuf>,
}

/// One thing that is swapped as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unit {
    /// Index of its folder.
    pub(crate) domain: usize,
    /// Its path below that.
    pub(crate) path: Bytes,
    /// What is done with it.
    pub(crate) act: Act,
    /// Device and inode of the new thing, where there is one.
    pub(crate) staged: Option<Inode>,
    /// The same of the old thing.
    pub(crate) live: Option<Inode>,
}

/// What is done with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// Nothing was there: it is moved in.
    Bring,
    /// Both are there: they change places.
    Exchange,
    /// The snapshot lacks it: it is moved to the old side.
    PutAway,
}

/// Device and inode number: who a file is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inode(pub(crate) u64, pub(crate) u64);

/// A folder that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dressed {
    /// Index of its folder.
    pub(crate) domain: usize,
    /// Its path below that.
    pub(crate) path: Bytes,
    /// Its metadata before.
    pub(crate) before: Metadata,
    /// Its metadata afterwards.
    pub(crate) after: Metadata,
}

impl Journal {
    /// An empty one.
    pub(crate) fn new(of: &str) -> Self {
        let of = of.to_owned();
        Self { format: FORMAT, of, domains: Vec::new(), units: Vec::new(), dressed: Vec::new(), done: false }
    }

    /// The file, in the first staging folder.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.domains.first().map(|first| first.staging.join(NAME))
    }

    /// The path of a unit in the snapshot.
    pub(crate) fn snapshot_path(&self, unit: &Unit) -> Vec<u8> {
        match self.domains.get(unit.domain).map(|place| place.prefix.0.as_slice()) {
            None | Some(b"") => unit.path.0.clone(),
            Some(prefix) => [prefix, &unit.path.0].join(&b'/'),
        }
    }

    /// Writes it durably.
    pub(crate) fn write(&self) -> Result<(), TargetError> {
        self.path().map_or(Ok(()), |path| self.write_to(&path))
    }

    /// Writes it somewhere else.
    pub(crate) fn write_to(&self, path: &Path) -> Result<(), TargetError> {
        // Plain data with string keys: this cannot fail.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Ok(atomic::replace(path, &bytes)?)
    }

    /// Reads the journal of a staging folder; `None` if it has none.
    pub(crate) fn read(staging: &Path) -> Result<Option<Self>, TargetError> {
        let path = staging.join(NAME);
        let bytes = match std::fs::read(&path) {
            Err(refused) if refused.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|cause| TargetError::io("read", &path, cause))?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|cause| TargetError::JournalDamaged { path, cause })
    }
}
