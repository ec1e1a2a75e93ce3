//! The store: immutable objects under keys. One implementation now, a local folder; an object store fits behind the
//! same trait.

mod local;

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::error::Explain;
use crate::exit::Exit;
use crate::lock::LockError;
use local::LocalStore;

/// The newest format of a store that this version reads and writes.
pub const FORMAT: u32 = 1;

/// The object that makes a folder or bucket a store.
pub const MARKER: &str = "shipshape-store.json";

/// What the marker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The format version.
    pub format: u32,
    /// 32 hex digits, random: tells one store from another that has come to lie at the same place.
    pub id: String,
    /// When it was made.
    pub created: chrono::DateTime<chrono::Utc>,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The full key.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What a store can do. Keys are relative, with `/` between their parts.
pub trait Store: Send + Sync {
    /// Begins an object. It appears under its key when it is committed, whole, or never.
    fn create(&self, key: &str) -> Result<Box<dyn ObjectWriter>, StoreError>;

    /// Writes a small object that must not exist yet.
    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Reads an object from its beginning.
    fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError>;

    /// The same, from where it is stored rather than from what the machine still remembers of writing it.
    fn reread(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError>;

    /// All objects whose keys begin with the folder `prefix`, in key order. A folder that is not there is empty.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// The names of the folders directly below `prefix` (the store itself where it is empty), in order.
    fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Removes an object; one that is gone already is no error.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Keeps other writers away from the folder `prefix` until the guard is dropped, as far as this kind of store can,
    /// and clears what a killed writer left unfinished there.
    fn claim(&self, prefix: &str) -> Result<Box<dyn Send>, StoreError>;

    /// The place as its owner wrote it.
    fn url(&self) -> &str;

    /// The folder on this machine that holds the store, if it is one.
    fn local_folder(&self) -> Option<&std::path::Path>;
}

/// An object that is being written. Dropped without a commit, it leaves nothing.
pub trait ObjectWriter: Write + Send {
    /// Makes the object durable and gives it its name.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is of no kind that is known.
    #[error("{url:?} is not a store: it must be a path or begin with file:///")]
    UnknownKind {
        /// What was given.
        url: String,
    },
    /// There is nothing at that place.
    #[error("there is no store at {url}")]
    Missing {
        /// Where it was looked for.
        url: String,
    },
    /// There is something else at that place.
    #[error("{url} is not a store: it has no {MARKER}, and it is not empty")]
    NotAStore {
        /// Where it was looked for.
        url: String,
    },
    /// A later version made it.
    #[error("the store {url} has format {found}, and this version knows formats up to {FORMAT}")]
    Newer {
        /// The store.
        url: String,
        /// Its format.
        found: u32,
    },
    /// Its marker cannot be understood.
    #[error("the store {url} has a damaged {MARKER}")]
    DamagedMarker {
        /// The store.
        url: String,
        /// What the parser says.
        #[source]
        cause: serde_json::Error,
    },
    /// No space is left.
    #[error("the store is full: cannot write {object}")]
    Full {
        /// Which object.
        object: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It cannot be written to.
    #[error("the store cannot be written to: {object}")]
    ReadOnly {
        /// Which object.
        object: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// An object that should be there is not.
    #[error("{object} is missing from the store")]
    ObjectMissing {
        /// Which object.
        object: String,
    },
    /// Something has that name already.
    #[error("{object} exists already in the store")]
    ObjectExists {
        /// Which object.
        object: String,
    },
    /// An object reads back other than it was written.
    #[error("{object} read back from the store is not what was written: {why}")]
    ReadBack {
        /// Which object.
        object: String,
        /// What differs.
        why: String,
    },
    /// Another writer is at it.
    #[error("the store is in use")]
    Claimed {
        /// The lock.
        #[source]
        cause: LockError,
    },
    /// Anything else the system says.
    #[error("cannot {verb} {object} in the store")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On which object.
        object: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl StoreError {
    /// Sorts an error of the system into what it means for a store.
    pub fn from_io(verb: &'static str, object: &str, cause: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let object = object.to_owned();
        match cause.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => Self::Full { object, cause },
            Kind::ReadOnlyFilesystem | Kind::PermissionDenied => Self::ReadOnly { object, cause },
            Kind::NotFound => Self::ObjectMissing { object },
            Kind::AlreadyExists => Self::ObjectExists { object },
            _ => Self::Io { verb, object, cause },
        }
    }
}

impl Explain for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownKind { .. } => "store.unknown_kind",
            Self::Missing { .. } => "store.missing",
            Self::NotAStore { .. } => "store.not_a_store",
            Self::Newer { .. } => "store.newer_format",
            Self::DamagedMarker { .. } => "store.damaged_marker",
            Self::Full { .. } => "store.full",
            Self::ReadOnly { .. } => "store.read_only",
            Self::ObjectMissing { .. } => "store.object_missing",
            Self::ObjectExists { .. } => "store.object_exists",
            Self::ReadBack { .. } => "store.read_back",
            Self::Claimed { .. } => "lock.held",
            Self::Io { .. } => "store.io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::UnknownKind { .. } => "give a folder, such as --store /var/backups/shipshape".to_owned(),
            Self::Missing { url } => {
                format!("is the disk mounted? A new store is made by: backup init --app DIR --store {url}")
            }
            Self::NotAStore { .. } => "name an empty or a new folder, or the folder that holds the store".to_owned(),
            Self::Newer { .. } => "install the newer version of Shipshape that wrote it".to_owned(),
            Self::DamagedMarker { url, .. } => {
                format!(
                    "the objects may be whole: put {url}/{MARKER} back; it is one line: {{\"format\":1,\"id\":\"…\",\"created\":\"…\"}}"
                )
            }
            Self::Full { .. } => "free some space, or keep fewer snapshots: backup prune --dry-run".to_owned(),
            Self::ReadOnly { .. } => "check the mount options and who may write there".to_owned(),
            Self::ObjectMissing { .. } => "see what else is missing: backup check --all".to_owned(),
            Self::ObjectExists { .. } => "run it again: it takes another name".to_owned(),
            Self::ReadBack { .. } => {
                "do not trust this disk: look at its health (dmesg, smartctl) and back up elsewhere".to_owned()
            }
            Self::Claimed { cause } => cause.hint(),
            Self::Io { .. } => "look at the disk or network that holds the store (dmesg)".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::UnknownKind { .. }
            | Self::NotAStore { .. }
            | Self::Newer { .. }
            | Self::DamagedMarker { .. }
            | Self::Claimed { .. } => Exit::Unknown,
            Self::Missing { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::ObjectMissing { .. }
            | Self::ObjectExists { .. }
            | Self::ReadBack { .. }
            | Self::Io { .. } => Exit::Critical,
        }
    }
}

/// Finds the store at `url` and reads its marker.
pub fn open(url: &str) -> Result<(Box<dyn Store>, Marker), StoreError> {
    let store = LocalStore::at(url)?;
    if !store.exists() {
        return Err(StoreError::Missing { url: url.to_owned() });
    }
    let text = match store.read_marker() {
        Err(StoreError::ObjectMissing { .. }) if store.is_empty()? => {
            return Err(StoreError::Missing { url: url.to_owned() });
        }
        Err(StoreError::ObjectMissing { .. }) => return Err(StoreError::NotAStore { url: url.to_owned() }),
        other => other?,
    };
    let marker = parse_marker(url, &text)?;
    Ok((Box::new(store), marker))
}

/// Opens the store at `url`, or makes an empty one: the folder too where `make_folder` says so.
pub fn open_or_create(url: &str, make_folder: MakeFolder, id: String) -> Result<(Box<dyn Store>, Marker), StoreError> {
    let store = LocalStore::at(url)?;
    let there = store.exists();
    if there && !store.is_empty()? {
        return open(url);
    }
    match make_folder {
        MakeFolder::Yes => store.make_folder()?,
        MakeFolder::No if there => {}
        MakeFolder::No => return Err(StoreError::Missing { url: url.to_owned() }),
    }
    let marker = Marker { format: FORMAT, id, created: crate::clock::now() };
    let text = serde_json::to_vec(&marker).map_err(|cause| StoreError::DamagedMarker { url: url.to_owned(), cause })?;
    store.put_new(MARKER, &text)?;
    Ok((Box::new(store), marker))
}

/// Whether a missing folder may be made. Only on request: a store whose disk is not mounted looks just the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeFolder {
    /// Make it.
    Yes,
    /// Its absence is an error.
    No,
}

pub(super) fn parse_marker(url: &str, text: &[u8]) -> Result<Marker, StoreError> {
    /// What every format has promised to keep.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged = |cause| StoreError::DamagedMarker { url: url.to_owned(), cause };
    let version: Version = serde_json::from_slice(text).map_err(damaged)?;
    if version.format > FORMAT {
        return Err(StoreError::Newer { url: url.to_owned(), found: version.format });
    }
    serde_json::from_slice(text).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(folder: &tempfile::TempDir) -> String {
        folder.path().join("store").display().to_string()
    }

    #[test]
    fn a_missing_folder_is_never_made_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let refused = open_or_create(&url(&folder), MakeFolder::No, "x".to_owned()).err().unwrap();
        assert_eq!(refused.code(), "store.missing");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_store_of_a_newer_format_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = br#"{"format":2,"everything":"else is new"}"#;
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let marker = folder.path().join("store").join(MARKER);
        crate::atomic::replace(&marker, text).unwrap();
        let refused = open_or_create(&url(&folder), MakeFolder::Yes, "x".to_owned()).err().unwrap();
        assert_eq!(refused.code(), "store.newer_format");
        assert_eq!(std::fs::read(marker).unwrap(), text);
    }

    #[test]
    fn a_folder_with_other_things_is_not_taken_for_a_store() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("store/photos")).unwrap();
        let refused = open_or_create(&url(&folder), MakeFolder::Yes, "x".to_owned()).err().unwrap();
        assert_eq!(refused.code(), "store.not_a_store");
    }

    #[test]
    fn an_object_appears_when_it_is_committed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open_or_create(&url(&folder), MakeFolder::Yes, "x".to_owned()).unwrap();
        let mut dropped = store.create("h/a/packs/one").unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        let mut kept = store.create("h/a/packs/two").unwrap();
        kept.write_all(b"whole").unwrap();
        assert!(store.list("h/a").unwrap().is_empty());
        kept.commit().unwrap();
        assert_eq!(store.list("h/a").unwrap(), [Listed { key: "h/a/packs/two".to_owned(), bytes: 5 }]);
        assert_eq!(store.folders("").unwrap(), ["h"]);
        store.delete("h/a/packs/two").unwrap();
        store.delete("h/a/packs/two").unwrap();
    }

    #[test]
    fn keys_that_leave_the_store_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open_or_create(&url(&folder), MakeFolder::Yes, "x".to_owned()).unwrap();
        for key in ["../x", "/etc/passwd", "a/../../b", ""] {
            assert!(store.open(key).is_err(), "{key}");
        }
    }
}
