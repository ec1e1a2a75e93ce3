//! Which objects nothing needs any more: mark what manifests refer to, and what tombstones within their grace do; the
//! rest goes, unless a run may still be at it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use shipshape_core::archive::manifest::Manifest;
use shipshape_core::archive::names::{self, SnapshotId};
use shipshape_core::error::Failure;
use shipshape_core::signal;

use crate::target::Target;

/// How long the objects of a snapshot stay after it was let go, and those of a run that never came to its end.
pub(crate) const GRACE: Duration = Duration::hours(24);

/// Objects of a place, relative to it, with their sizes.
pub(crate) type Objects = BTreeMap<String, u64>;

/// What is to be removed, in an order that leaves nothing behind that refers to what is gone.
#[derive(Debug)]
pub(crate) struct Sweep {
    manifests: BTreeMap<SnapshotId, Manifest>,
    remove: Vec<(String, u64)>,
}

/// Lists the objects of a place.
pub(crate) fn list(target: &Target) -> Result<Objects, Failure> {
    let prefix = target.place().key("");
    let mut objects = Objects::new();
    for folder in ["packs", "snapshots"] {
        for object in target.store.list(&target.place().key(folder))? {
            if let Some(relative) = object.key.strip_prefix(&prefix) {
                objects.insert(relative.to_owned(), object.bytes);
            }
        }
    }
    Ok(objects)
}

/// Whether all objects of a snapshot are there with the sizes they should have.
pub(crate) fn is_whole(manifest: &Manifest, objects: &Objects) -> bool {
    manifest.objects().all(|(object, bytes, _)| objects.get(object) == Some(&bytes))
}

impl Sweep {
    /// Decides what goes. What is let go of only now is still referred to, and goes in a day.
    pub(crate) fn new(
        target: &Target,
        manifests: Vec<Manifest>,
        objects: Objects,
        now: DateTime<Utc>,
    ) -> Result<Self, Failure> {
        let tombstones = read_tombstones(target, &objects)?;
        let referred = manifests.iter().flat_map(Manifest::objects).map(|(object, ..)| object.to_owned());
        let resting = tombstones.iter().filter(|tombstone| tombstone.at + GRACE > now);
        let in_grace = resting.flat_map(|tombstone| tombstone.objects.iter().cloned());
        let needed: BTreeSet<String> = referred.chain(in_grace).collect();
        let remove = unneeded(objects, &needed, now);
        let manifests = manifests.into_iter().map(|manifest| (manifest.id.clone(), manifest)).collect();
        Ok(Self { manifests, remove })
    }

    /// The manifests that there are.
    pub(crate) fn manifests(&self) -> &BTreeMap<SnapshotId, Manifest> {
        &self.manifests
    }

    /// Number and bytes of the objects to go.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.remove.len() as u64, self.remove.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Removes them.
    pub(crate) fn remove(&self, target: &Target) -> Result<(u64, u64), Failure> {
        for (object, _) in &self.remove {
            signal::check()?;
            target.store.delete(&target.place().key(object))?;
        }
        Ok(self.size())
    }
}

/// What goes, objects before tombstones: a tombstone is what tells when its objects may go.
fn unneeded(objects: Objects, needed: &BTreeSet<String>, now: DateTime<Utc>) -> Vec<(String, u64)> {
    let old = |object: &str| match names::tombstone_time(object) {
        Some(at) => at + GRACE <= now,
        // Written by a run that began a day ago or more: no run takes that long and is not seen by the lock.
        None => names::id_of(object).is_some_and(|id| id.time() + GRACE <= now),
    };
    let manifest = |object: &str| object.ends_with("/manifest.json");
    let goes = |object: &str| !needed.contains(object) && !manifest(object) && old(object);
    let mut remove: Vec<_> = objects.into_iter().filter(|(object, _)| goes(object)).collect();
    remove.sort_by_key(|(object, _)| names::tombstone_time(object).is_some());
    remove
}

/// A snapshot that was let go.
struct Tombstone {
    at: DateTime<Utc>,
    objects: Vec<String>,
}

fn read_tombstones(target: &Target, objects: &Objects) -> Result<Vec<Tombstone>, Failure> {
    let mut found = Vec::new();
    for object in objects.keys() {
        let Some(at) = names::tombstone_time(object) else { continue };
        match Manifest::read_object(target.store.as_ref(), &target.place().key(object)) {
            Ok(manifest) => {
                let objects = manifest.objects().map(|(object, ..)| object.to_owned()).collect();
                found.push(Tombstone { at, objects });
            }
            Err(shipshape_core::archive::manifest::ManifestError::Store(refused)) => return Err(refused.into()),
            // It protects nothing then; its own objects wait for the age of their run.
            Err(_) => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn at(day: u32, hour: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, day, hour, 0, 0).unwrap()
    }

    fn gone(objects: &[&str], needed: &[&str], now: DateTime<Utc>) -> Vec<String> {
        let objects = objects.iter().map(|object| ((*object).to_owned(), 1)).collect();
        let needed = needed.iter().map(|object| (*object).to_owned()).collect();
        unneeded(objects, &needed, now).into_iter().map(|(object, _)| object).collect()
    }

    const PACK: &str = "packs/20261118T020000Z-0001-0001.tar.zst.age";

    #[test]
    fn what_is_referred_to_stays_however_old_it_is() {
        assert!(gone(&[PACK], &[PACK], at(30, 0)).is_empty());
    }

    #[test]
    fn what_a_killed_run_left_goes_after_a_day() {
        assert!(gone(&[PACK], &[], at(19, 1)).is_empty());
        assert_eq!(gone(&[PACK], &[], at(19, 2)), [PACK]);
    }

    #[test]
    fn a_tombstone_goes_last_and_not_before_its_grace_is_over() {
        let tombstone = "snapshots/20261118T020000Z-0001/manifest.deleted-20261120T000000Z.json";
        assert_eq!(gone(&[tombstone, PACK], &[], at(20, 12)), [PACK]);
        assert_eq!(gone(&[tombstone, PACK, "snapshots/z"], &[], at(21, 0)), [PACK, tombstone]);
    }

    #[test]
    fn a_manifest_never_goes_this_way() {
        assert!(gone(&["snapshots/20261118T020000Z-0001/manifest.json"], &[], at(30, 0)).is_empty());
    }

    #[test]
    fn what_is_not_ours_stays() {
        assert!(gone(&["packs/notes.txt", "snapshots/readme"], &[], at(30, 0)).is_empty());
    }
}
