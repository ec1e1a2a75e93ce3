//! The manifest: what belongs to a snapshot. It is written last, and a snapshot exists if and only if it does. It holds
//! no file names and no secrets, and can be read without any key.

use std::collections::BTreeMap;
use std::io::Read;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::names::{self, Place, SnapshotId};
use super::seal::{Sealed, hash_stored};
use super::store::{Store, StoreError};
use crate::config::{Compression, Encryption};
use crate::database::Engine;
use crate::error::Explain;
use crate::exit::Exit;

/// The newest format of a manifest that this version reads and writes. Format 2 added databases of servers.
pub const FORMAT: u32 = 2;

/// More than a manifest with a hundred thousand packs needs.
const SIZE_LIMIT: u64 = 64 * 1024 * 1024;

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format version.
    pub format: u32,
    /// The snapshot's id.
    pub id: SnapshotId,
    /// The id of the store it was written to.
    pub store: String,
    /// The server it was taken on.
    pub host: String,
    /// The application.
    pub app: String,
    /// When the run began.
    pub started: DateTime<Utc>,
    /// When everything but this manifest was stored and read back.
    pub finished: DateTime<Utc>,
    /// The version of `backup` that wrote it.
    pub tool_version: String,
    /// Words its owner gave it.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The payloads that were asked for by name; empty for a complete snapshot.
    #[serde(default)]
    pub only: Vec<String>,
    /// What compresses its objects.
    pub compression: Compression,
    /// What encrypts its objects.
    pub encryption: Encryption,
    /// The public keys that its objects are encrypted to.
    pub recipients: Vec<String>,
    /// The snapshot that it was compared with.
    pub previous: Option<SnapshotId>,
    /// What it consists of.
    pub payloads: Vec<Payload>,
    /// The packs that its index refers to, older ones included.
    pub packs: Vec<Pack>,
    /// Its files in numbers.
    pub files: FileCounts,
    /// Its size.
    pub bytes: Sizes,
    /// Whether something could not be read and is not in it.
    #[serde(default)]
    pub partial: bool,
    /// Payloads that the last good snapshot had and this one lacks, or has so much less of that somebody has to look; all
    /// that are no databases of servers count as `files`. Empty where their owner has accepted that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shrunk: Vec<String>,
    /// How it was proven whole before this manifest was written.
    pub verified: Verified,
}

/// One part of a snapshot that can be restored by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Its name: `files`, `config`, or the database's.
    pub name: String,
    /// What it is.
    pub kind: PayloadKind,
    /// Its object, relative to HOST/APP; may be an older snapshot's where nothing changed. For files, their index.
    pub object: String,
    /// Bytes of the object before compression.
    pub bytes_plain: u64,
    /// Bytes of the object in the store.
    pub bytes_stored: u64,
    /// SHA-256 of the object before compression.
    pub sha256_plain: String,
    /// SHA-256 of the object in the store.
    pub sha256_stored: String,
    /// How many entries it has: files and folders, single files, databases.
    pub entries: u64,
    /// What else is known of the database of a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseFacts>,
}

/// What is known of a database that was dumped from its server, for a restore to find its way back and to compare with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// What it ran on.
    pub engine: Engine,
    /// Its name on the server; for Redis the service's, for globals empty.
    pub database: String,
    /// Whether this is no database, but what belongs to the whole server: roles, tablespaces, settings of databases.
    #[serde(default)]
    pub globals: bool,
    /// The service that it ran in.
    pub service: String,
    /// What the service was made from: an image.
    pub origin: Option<String>,
    /// The server's version, in its own words.
    pub server_version: String,
    /// The client's version, where the dump tells it.
    pub client_version: Option<String>,
    /// When the dump began.
    pub started: DateTime<Utc>,
    /// When its last byte had come.
    pub finished: DateTime<Utc>,
    /// What the database was made with: character set, collation, encoding, owner.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Rows of each table, as the dump shows them: none for Redis.
    #[serde(default)]
    pub tables: BTreeMap<String, u64>,
    /// The longest statement in it, in bytes: a server with a smaller limit would refuse it.
    #[serde(default)]
    pub longest_statement: u64,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    /// A tree of files, by an index into packs.
    Files,
    /// Single files in one tar.
    Config,
    /// A SQLite database, copied by the online backup API, in a tar of its own.
    Sqlite,
    /// A database of a server, as the dump that its own client wrote, or what belongs to the whole server.
    Database,
}

impl DatabaseFacts {
    /// What is known before a dump has told anything: neither versions nor tables, and no time at all.
    pub fn new(engine: Engine, database: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            engine,
            database: database.into(),
            globals: false,
            service: service.into(),
            origin: None,
            server_version: String::new(),
            client_version: None,
            started: DateTime::UNIX_EPOCH,
            finished: DateTime::UNIX_EPOCH,
            settings: BTreeMap::new(),
            tables: BTreeMap::new(),
            longest_statement: 0,
        }
    }
}

/// An object that holds the content of files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pack {
    /// Its object, relative to HOST/APP.
    pub object: String,
    /// Bytes of its tar.
    pub bytes_plain: u64,
    /// Of these, content of files; headers and padding are the rest.
    pub bytes_content: u64,
    /// Bytes in the store.
    pub bytes_stored: u64,
    /// SHA-256 of the object in the store. Of the plain bytes, every file has its own hash in the index.
    pub sha256_stored: String,
}

impl Pack {
    /// A pack that was just written.
    pub fn from_sealed(sealed: Sealed, bytes_content: u64) -> Self {
        let Sealed { object, bytes_plain, bytes_stored, sha256_stored, .. } = sealed;
        Self { object, bytes_plain, bytes_content, bytes_stored, sha256_stored }
    }

    /// Its name as entries refer to it: `20261120T020000Z-7f3a-0001`.
    pub fn name(&self) -> &str {
        pack_name(&self.object)
    }
}

/// The name of a pack in index entries, from its object: no folder, no suffix.
pub fn pack_name(object: &str) -> &str {
    let file = object.rsplit('/').next().unwrap_or(object);
    file.split('.').next().unwrap_or(file)
}

/// Files in numbers; folders and links do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    /// All files in the snapshot.
    pub total: u64,
    /// Those that the previous snapshot did not have.
    pub new: u64,
    /// Those that it had otherwise.
    pub changed: u64,
    /// Those that it had just so.
    pub unchanged: u64,
    /// What was met and not stored: sockets, devices, what could not be read.
    pub skipped: u64,
}

/// Sizes of a snapshot, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// What a restore writes: all files and databases.
    pub plain: u64,
    /// What the run added to the store.
    pub stored: u64,
}

/// How a snapshot was proven whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// `read-back`: every new object was read from the store again and compared by SHA-256.
    pub how: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is damaged.
    #[error("the manifest {object} is damaged: {why}")]
    Damaged {
        /// Its object.
        object: String,
        /// What is wrong.
        why: String,
    },
    /// A later version wrote it.
    #[error("the manifest {object} has format {found}, and this version knows formats up to {FORMAT}")]
    Newer {
        /// Its object.
        object: String,
        /// Its format.
        found: u32,
    },
}

impl Explain for ManifestError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Damaged { .. } => "manifest.damaged",
            Self::Newer { .. } => "store.newer_format",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Store(cause) => cause.hint(),
            Self::Damaged { .. } => {
                "name another snapshot: backup list shows them; what else is damaged says: backup check --all"
                    .to_owned()
            }
            Self::Newer { .. } => "install the newer version of Shipshape that wrote it".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Store(cause) => cause.exit(),
            Self::Damaged { .. } => Exit::Critical,
            Self::Newer { .. } => Exit::Unknown,
        }
    }
}

/// The file: the manifest and the SHA-256 of exactly its bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    manifest: &'a RawValue,
    sha256: &'a str,
}

impl Manifest {
    /// The bytes of the file.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let manifest = serde_json::value::to_raw_value(self)?;
        let sha256 = sha256_of(manifest.get());
        serde_json::to_vec(&Envelope { manifest: &manifest, sha256: &sha256 })
    }

    /// Reads the bytes of the file `object`; any altered bit is noticed.
    pub fn decode(bytes: &[u8], object: &str) -> Result<Self, ManifestError> {
        /// What every format has promised to keep.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |why: String| ManifestError::Damaged { object: object.to_owned(), why };
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        if sha256_of(envelope.manifest.get()) != envelope.sha256 {
            return Err(damaged("its SHA-256 differs".to_owned()));
        }
        let read = |e: serde_json::Error| damaged(e.to_string());
        let version: Version = serde_json::from_str(envelope.manifest.get()).map_err(read)?;
        if version.format > FORMAT {
            return Err(ManifestError::Newer { object: object.to_owned(), found: version.format });
        }
        serde_json::from_str(envelope.manifest.get()).map_err(read)
    }

    /// Reads the manifest of a snapshot.
    pub fn read(store: &dyn Store, place: &Place, id: &SnapshotId) -> Result<Self, ManifestError> {
        let key = place.key(&names::manifest(id));
        let manifest = Self::read_object(store, &key)?;
        if manifest.id != *id {
            let why = format!("it is that of {}", manifest.id);
            return Err(ManifestError::Damaged { object: key, why });
        }
        Ok(manifest)
    }

    /// Reads a manifest by its full key: also a tombstone's.
    pub fn read_object(store: &dyn Store, key: &str) -> Result<Self, ManifestError> {
        let mut bytes = Vec::new();
        let read = store.open(key)?.take(SIZE_LIMIT).read_to_end(&mut bytes);
        read.map_err(|cause| StoreError::from_io("read", key, cause))?;
        Self::decode(&bytes, key)
    }

    /// Every object that a restore of it needs, relative to HOST/APP, with its size and SHA-256.
    pub fn objects(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        let payloads = self.payloads.iter().map(|p| (p.object.as_str(), p.bytes_stored, p.sha256_stored.as_str()));
        let packs = self.packs.iter().map(|p| (p.object.as_str(), p.bytes_stored, p.sha256_stored.as_str()));
        payloads.chain(packs)
    }
}

fn sha256_of(text: &str) -> String {
    // Hashing memory cannot fail.
    hash_stored(&mut text.as_bytes()).map(|(_, sha256)| sha256).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let now = DateTime::UNIX_EPOCH;
        Manifest {
            format: FORMAT,
            id: SnapshotId::new(now, 7),
            store: "s".to_owned(),
            host: "vps1".to_owned(),
            app: "demo".to_owned(),
            started: now,
            finished: now,
            tool_version: "0.1.0".to_owned(),
            tags: vec!["before-release".to_owned()],
            only: vec![],
            compression: Compression::Zstd,
            encryption: Encryption::Age,
            recipients: vec!["age1x".to_owned()],
            previous: None,
            payloads: vec![],
            packs: vec![],
            files: FileCounts::default(),
            bytes: Sizes { plain: 5, stored: 3 },
            partial: false,
            shrunk: vec![],
            verified: Verified { how: "read-back".to_owned(), at: now },
        }
    }

    #[test]
    fn a_manifest_reads_back() {
        let bytes = manifest().encode().unwrap();
        assert_eq!(Manifest::decode(&bytes, "m").unwrap(), manifest());
    }

    #[test]
    fn every_single_altered_bit_is_noticed() {
        let bytes = manifest().encode().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&altered, "m").is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_shorter_length_is_noticed() {
        let bytes = manifest().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..length], "m").is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Manifest::decode(&bytes, "m").is_err());
        }

        #[test]
        fn bytes_written_over_a_manifest_are_noticed(at in 0usize..400, bytes in proptest::collection::vec(any::<u8>(), 1..20)) {
            let before = manifest().encode().unwrap();
            let mut after = before.clone();
            let at = at % before.len();
            let end = (at + bytes.len()).min(before.len());
            after[at..end].copy_from_slice(&bytes[..end - at]);
            prop_assert_eq!(Manifest::decode(&after, "m").is_ok(), after == before);
        }
    }

    #[test]
    fn a_pack_is_named_without_folder_and_suffix() {
        assert_eq!(pack_name("packs/20261120T020000Z-7f3a-0001.tar.zst.age"), "20261120T020000Z-7f3a-0001");
    }
}
