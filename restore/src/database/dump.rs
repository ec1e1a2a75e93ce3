//! The bytes of a dump on their way to a server, proven as they pass.

use std::io::Read;

use shipshape_core::archive::manifest::{DatabaseFacts, Payload};
use shipshape_core::archive::seal::hash_stored;
use shipshape_core::archive::unseal::{self, UnsealError};

use super::RestoreError;
use crate::proof::Proof;
use crate::select::Snapshot;

/// What comes back: a payload of a snapshot, or a file that somebody brings.
pub(crate) struct Item<'a> {
    /// The name of the payload or file, for people.
    pub(crate) name: String,
    /// What is known of it. Of a file what its head tells: no rows, no settings.
    pub(crate) facts: DatabaseFacts,
    /// Bytes before compression, where that is known.
    pub(crate) bytes: Option<u64>,
    /// Whether it may lack what its database had beside tables: a file does not tell what it was made with.
    pub(crate) may_lack: bool,
    /// Opens it, once for each time that it is read.
    pub(crate) open: Box<dyn Fn() -> Result<Dump, RestoreError> + 'a>,
}

/// A dump that is read once, from front to back.
pub(crate) struct Dump {
    /// The name of the payload or file, for people.
    pub(crate) name: String,
    /// The plain bytes.
    pub(crate) reader: Box<dyn Read + Send>,
    /// Tells afterwards whether they were those that the manifest promises.
    pub(crate) promise: Option<Promise>,
}

/// What the plain bytes must be.
pub(crate) struct Promise {
    proof: Proof,
    object: String,
    bytes: u64,
    sha256: String,
}

impl<'a> Item<'a> {
    /// A payload that is a database, or what belongs to a whole server.
    pub(crate) fn of_payload(snapshot: &'a Snapshot, payload: &'a Payload) -> Option<Self> {
        let facts = payload.database.clone()?;
        let open = Box::new(move || Dump::of_payload(snapshot, payload));
        Some(Self { name: payload.name.clone(), facts, bytes: Some(payload.bytes_plain), may_lack: false, open })
    }
}

impl Dump {
    /// Opens the object of a payload. Its stored bytes are compared with the manifest first: nothing is done with what
    /// they say before it is known that they are the ones that were stored.
    pub(crate) fn of_payload(snapshot: &Snapshot, payload: &Payload) -> Result<Self, RestoreError> {
        let key = snapshot.place.key(&payload.object);
        let mut stored = snapshot.store.open(&key).map_err(UnsealError::from)?;
        let broken = |cause| UnsealError::Damaged { object: key.clone(), cause };
        let (bytes, sha256) = hash_stored(&mut stored).map_err(broken)?;
        if (bytes, &sha256) != (payload.bytes_stored, &payload.sha256_stored) {
            let why = "its SHA-256 differs".to_owned();
            return Err(RestoreError::NotTheManifests { object: key, why });
        }
        let plain = unseal::open(snapshot.store.as_ref(), &snapshot.place, &payload.object, &snapshot.identities)?;
        let (reader, proof) = Proof::of(plain);
        let promise = Promise { proof, object: key, bytes: payload.bytes_plain, sha256: payload.sha256_plain.clone() };
        Ok(Self { name: payload.name.clone(), reader, promise: Some(promise) })
    }
}

impl Promise {
    /// Reads what nobody wanted, and compares.
    pub(crate) fn check(self) -> Result<(), RestoreError> {
        let Self { proof, object, bytes, sha256 } = self;
        let broken = |cause| UnsealError::Damaged { object: object.clone(), cause };
        if proof.finish().map_err(broken)? == (bytes, sha256) {
            return Ok(());
        }
        Err(RestoreError::NotTheManifests { object, why: "the SHA-256 of its content differs".to_owned() })
    }
}
