//! Reads each object once, however many snapshots need it, and remembers what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use shipshape_core::archive::keys::Identities;
use shipshape_core::archive::manifest::{Manifest, Pack, Payload, PayloadKind};
use shipshape_core::archive::names::{Place, Wrapping};
use shipshape_core::archive::store::{Store, StoreError};
use shipshape_core::archive::unseal::{self, Plain, UnsealError};
use shipshape_core::error::{Failure, chain};
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::contents::{self, Wanted};
use super::{Problem, Wrong};
use crate::proof::Proof;
use crate::unpack::UnpackError;

/// More would only wait for each other at the disk.
const MOST_WORKERS: usize = 4;

/// What reading needs.
pub(super) struct Reading<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) place: &'a Place,
    pub(super) identities: &'a Identities,
    pub(super) progress: Progress,
}

/// An object as a manifest has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    /// Relative to the place.
    object: String,
    bytes: u64,
    sha256: String,
    /// SHA-256 of its content, for those that stand alone.
    plain: Option<String>,
}

impl From<&Payload> for Expected {
    fn from(payload: &Payload) -> Self {
        let Payload { object, bytes_stored, sha256_stored, sha256_plain, .. } = payload.clone();
        Self { object, bytes: bytes_stored, sha256: sha256_stored, plain: Some(sha256_plain) }
    }
}

impl From<&Pack> for Expected {
    fn from(pack: &Pack) -> Self {
        let Pack { object, bytes_stored, sha256_stored, .. } = pack.clone();
        Self { object, bytes: bytes_stored, sha256: sha256_stored, plain: None }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Wholeness {
    broken: BTreeMap<Expected, Problem>,
    /// Objects read.
    pub(super) objects: u64,
    /// Stored bytes read.
    pub(super) bytes: u64,
}

impl Wholeness {
    /// What is wrong with the objects of a snapshot.
    pub(super) fn problems_of(&self, manifest: &Manifest) -> Vec<Problem> {
        let payloads = manifest.payloads.iter().map(Expected::from);
        let all = payloads.chain(manifest.packs.iter().map(Expected::from));
        all.filter_map(|expected| self.broken.get(&expected).cloned()).collect()
    }
}

/// Reads all objects of the snapshots.
pub(super) fn read_all<'m>(
    reading: &Reading<'_>,
    manifests: impl Iterator<Item = &'m Manifest> + Clone,
) -> Result<Wholeness, Failure> {
    let packs: BTreeSet<Expected> =
        manifests.clone().flat_map(|manifest| &manifest.packs).map(Expected::from).collect();
    let packs: Vec<Expected> = packs.into_iter().collect();
    let payloads: BTreeMap<Expected, (&Manifest, &Payload)> = manifests
        .flat_map(|manifest| manifest.payloads.iter().map(move |payload| (payload.into(), (manifest, payload))))
        .collect();
    reading.progress.set_total(payloads.keys().chain(&packs).map(|expected| expected.bytes).sum());
    let all = All { reading, packs, bytes: AtomicU64::new(0), objects: AtomicU64::new(0) };
    let mut broken = BTreeMap::new();
    let mut wanted = Vec::new();
    for (expected, (manifest, payload)) in payloads {
        let problem = match payload.kind {
            PayloadKind::Files => all.index(&expected, manifest, &mut wanted)?,
            PayloadKind::Config | PayloadKind::Sqlite => all.tar(&expected)?,
            PayloadKind::Database => all.dump(&expected, payload)?,
        };
        broken.extend(problem.map(|problem| (expected, problem)));
    }
    broken.extend(all.read_packs(&wanted)?);
    Ok(Wholeness { broken, objects: all.objects.into_inner(), bytes: all.bytes.into_inner() })
}

struct All<'a> {
    reading: &'a Reading<'a>,
    /// In order, each once.
    packs: Vec<Expected>,
    bytes: AtomicU64,
    objects: AtomicU64,
}

impl All<'_> {
    /// A payload that is one tar.
    fn tar(&self, expected: &Expected) -> Result<Option<Problem>, Failure> {
        self.object(expected, contents::tar)
    }

    /// A dump of a database.
    fn dump(&self, expected: &Expected, payload: &Payload) -> Result<Option<Problem>, Failure> {
        self.object(expected, |plain, key| contents::sql_or_rdb(plain, key, payload))
    }

    /// An index, and what it wants of packs.
    fn index(
        &self,
        expected: &Expected,
        manifest: &Manifest,
        wanted: &mut Vec<Wanted>,
    ) -> Result<Option<Problem>, Failure> {
        let number = |pack: &Pack| self.packs.binary_search(&Expected::from(pack)).ok();
        let numbers = manifest.packs.iter().filter_map(|pack| Some((pack.name(), u32::try_from(number(pack)?).ok()?)));
        let numbers = numbers.collect();
        let found = self.object(expected, |plain, key| contents::index(plain, key, &numbers, wanted));
        // Snapshots have most of their files in common.
        wanted.sort_unstable();
        wanted.dedup();
        found
    }

    /// All packs, by several workers. `wanted` is sorted.
    fn read_packs(&self, wanted: &[Wanted]) -> Result<Vec<(Expected, Problem)>, Failure> {
        let ranges = ranges(wanted, self.packs.len());
        let (next, found, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(None));
        let work = || {
            while let Some(expected) = self.packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let number = self.packs.binary_search(expected).unwrap_or_default();
                let wanted = ranges.get(number).and_then(|range| wanted.get(range.clone())).unwrap_or_default();
                match self.object(expected, |plain, key| contents::pack(plain, key, wanted)) {
                    Ok(None) => {}
                    Ok(Some(problem)) => locked(&found).push((expected.clone(), problem)),
                    Err(failure) => {
                        next.store(self.packs.len(), Ordering::Relaxed);
                        locked(&failed).get_or_insert(failure);
                    }
                }
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
        std::thread::scope(|scope| (0..workers.min(self.packs.len())).for_each(|_| drop(scope.spawn(work))));
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Reads one object: its stored bytes for their hash, and through `check` what they mean.
    fn object(
        &self,
        expected: &Expected,
        check: impl FnOnce(Plain, &str) -> Result<Option<String>, UnpackError>,
    ) -> Result<Option<Problem>, Failure> {
        let Reading { store, place, identities, progress } = self.reading;
        let key = place.key(&expected.object);
        let problem = |wrong, detail| Ok(Some(Problem { object: key.clone(), wrong, detail }));
        let stored = match store.open(&key) {
            Err(missing @ StoreError::ObjectMissing { .. }) => return problem(Wrong::Missing, chain(&missing)),
            other => other?,
        };
        let (reader, proof) = Proof::of(stored);
        let plain = unseal::unwrap(reader, Wrapping::of_name(&expected.object), identities, &key);
        let checked = plain.map_err(UnpackError::from).and_then(|plain| check(plain, &key));
        let finished = proof.finish();
        // What stopping did to the reading is not what is wrong with the object.
        signal::check()?;
        let (bytes, sha256) = match finished {
            Ok(read) => read,
            Err(cause) => return problem(Wrong::Damaged, format!("{key} cannot be read: {cause}")),
        };
        progress.add(expected.bytes);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.objects.fetch_add(1, Ordering::Relaxed);
        // What the bytes mean is judged after whether they are the right ones: an altered object fails in many ways.
        if bytes != expected.bytes {
            return problem(Wrong::Altered, format!("{key} has {bytes} bytes instead of {}", expected.bytes));
        }
        if sha256 != expected.sha256 {
            return problem(Wrong::Altered, format!("{key} is not what was stored: its SHA-256 differs"));
        }
        judge(&key, expected, checked)
    }
}

/// What is wrong with an object whose stored bytes are those of the manifest. `checked` is the SHA-256 of its content,
/// where it stands alone.
fn judge(
    key: &str,
    expected: &Expected,
    checked: Result<Option<String>, UnpackError>,
) -> Result<Option<Problem>, Failure> {
    let problem = |wrong, detail| Ok(Some(Problem { object: key.to_owned(), wrong, detail }));
    match checked {
        Err(wrong @ UnpackError::Unseal(UnsealError::WrongKey { .. })) => problem(Wrong::Key, chain(&wrong)),
        Err(UnpackError::Unseal(UnsealError::Key(refused))) => Err(refused.into()),
        Err(damaged) => problem(Wrong::Damaged, chain(&damaged)),
        Ok(plain) if plain.is_some() && plain != expected.plain => {
            problem(Wrong::Damaged, format!("{key} is not what the manifest says: the SHA-256 of its content differs"))
        }
        Ok(_) => Ok(None),
    }
}

/// What is wanted of each pack.
fn ranges(wanted: &[Wanted], packs: usize) -> Vec<Range<usize>> {
    let mut start = 0;
    let range = |pack| {
        let length = wanted[start..].iter().take_while(|wanted| wanted.pack as usize == pack).count();
        start += length;
        start - length..start
    };
    (0..packs).map(range).collect()
}

/// A worker that panicked has stored nothing half: what is in there is sound.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
