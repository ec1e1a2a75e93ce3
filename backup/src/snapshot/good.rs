//! What a run is compared with, and what comes of it: the last good snapshots, against which a database that is gone or
//! empty, or files that have become absurdly few, stand out until they are back or their owner has accepted that.

use std::cell::RefCell;
use std::collections::BTreeSet;

use shipshape_core::archive::manifest::{Manifest, Payload};
use shipshape_core::archive::names;
use shipshape_core::report::Notice;
use shipshape_core::run::Run;
use shipshape_core::units::ByteSize;

use crate::target::Target;

/// Below this size files may become as few as they like, in bytes.
const WORTH_A_WORD: u64 = 1_000_000;

/// What a snapshot has less of than the last good one, by payload.
#[derive(Debug, Default)]
pub(crate) struct Shrunk {
    is_accepted: bool,
    names: RefCell<BTreeSet<String>>,
    accepted: RefCell<Vec<String>>,
}

impl Shrunk {
    /// Nothing yet. What is accepted is what the application is like now.
    pub(crate) fn new(is_accepted: bool) -> Self {
        Self { is_accepted, ..Self::default() }
    }

    /// Takes note of it, and warns; of what is accepted only the report tells.
    pub(crate) fn note(&self, run: &Run, names: impl IntoIterator<Item = String>, notice: Notice) {
        if self.is_accepted {
            self.accepted.borrow_mut().push(notice.message);
        } else {
            self.names.borrow_mut().extend(names);
            run.warn(notice);
        }
    }

    /// The payloads, for the manifest.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.borrow().iter().cloned().collect()
    }

    /// What its owner has accepted, in words.
    pub(super) fn accepted(&self) -> Vec<String> {
        self.accepted.borrow().clone()
    }
}

/// The databases of servers that there should be: those of the last good snapshot, and what later ones of a part have
/// beside them. Databases are copied whole or not at all, so one that is partial will do. A manifest that cannot be read
/// is another run's concern.
pub(crate) fn databases_before<'l>(target: &Target, listed: impl Iterator<Item = &'l String>) -> Vec<Payload> {
    databases_in(newest_first(target, listed))
}

/// The same of manifests, newest first.
fn databases_in(manifests: impl Iterator<Item = Manifest>) -> Vec<Payload> {
    let mut later: Vec<Payload> = Vec::new();
    for manifest in manifests {
        let is_good = manifest.only.is_empty() && manifest.shrunk.is_empty();
        let Manifest { payloads, shrunk, .. } = manifest;
        let mut databases: Vec<Payload> = payloads.into_iter().filter(|payload| payload.database.is_some()).collect();
        let is_new = |payload: &Payload, known: &[Payload]| !known.iter().any(|other| other.name == payload.name);
        if is_good {
            later.retain(|payload| is_new(payload, &databases));
            databases.append(&mut later);
            return databases;
        }
        databases.retain(|payload| is_new(payload, &later) && !shrunk.contains(&payload.name));
        later.append(&mut databases);
    }
    later
}

/// The last good snapshot of the same parts.
pub(super) fn of_the_same_parts<'l>(
    target: &Target,
    listed: impl Iterator<Item = &'l String>,
    only: &[String],
) -> Option<Manifest> {
    let parts = |only: &[String]| only.iter().cloned().collect::<BTreeSet<_>>();
    newest_first(target, listed).find(|manifest| manifest.shrunk.is_empty() && parts(&manifest.only) == parts(only))
}

/// All manifests that can be read, each when it is asked for.
fn newest_first<'l>(target: &Target, listed: impl Iterator<Item = &'l String>) -> impl Iterator<Item = Manifest> {
    let manifests = listed.filter(|object| object.ends_with("/manifest.json"));
    let ids: BTreeSet<_> = manifests.filter_map(|object| names::id_of(object)).collect();
    ids.into_iter().rev().filter_map(|id| Manifest::read(target.store.as_ref(), target.place(), &id).ok())
}

/// Bytes of everything but the dumps of servers, which are compared one by one.
pub(super) fn bytes_of_files(plain: u64, payloads: &[Payload]) -> u64 {
    let dumps: u64 = payloads.iter().filter(|payload| payload.database.is_some()).map(|dump| dump.bytes_plain).sum();
    plain.saturating_sub(dumps)
}

/// Less than half the bytes of files: an alert, not a refusal.
pub(super) fn fewer_files(before: u64, now: u64) -> Option<Notice> {
    let (was, is) = (ByteSize(before), ByteSize(now));
    let message = format!("the snapshot has {is} of files, and the last good one had {was}");
    let hint = "is something unmounted, excluded or deleted? See backup diff. Nothing is pruned meanwhile; if that is what you did: backup --accept-shrunk";
    (before >= WORTH_A_WORD && now < before / 2).then(|| Notice::new("snapshot.shrunk", message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A snapshot with these databases, asked for those parts, of which these shrank.
    fn manifest(databases: &[&str], only: &[&str], shrunk: &[&str]) -> Manifest {
        let time = "2026-11-20T02:00:00Z";
        let payload = |name: &&str| {
            json!({
                "name": name, "kind": "database", "object": "", "bytes_plain": 0, "bytes_stored": 0,
                "sha256_plain": "", "sha256_stored": "", "entries": 1,
                "database": {
                    "engine": "mariadb", "database": name, "service": "db", "origin": Value::Null, "server_version": "",
                    "client_version": Value::Null, "started": time, "finished": time,
                },
            })
        };
        let payloads: Vec<Value> = databases.iter().map(payload).collect();
        serde_json::from_value(json!({
            "format": 2, "id": "20261120T020000Z-0001", "store": "", "host": "vps1", "app": "demo",
            "started": time, "finished": time, "tool_version": "", "only": only, "shrunk": shrunk,
            "compression": "zstd", "encryption": "none", "recipients": [], "previous": Value::Null,
            "payloads": payloads, "packs": [],
            "files": {"total": 0, "new": 0, "changed": 0, "unchanged": 0, "skipped": 0},
            "bytes": {"plain": 0, "stored": 0}, "verified": {"how": "read-back", "at": time},
        }))
        .unwrap()
    }

    fn before(newest_first: Vec<Manifest>) -> Vec<String> {
        databases_in(newest_first.into_iter()).into_iter().map(|payload| payload.name).collect()
    }

    #[test]
    fn a_snapshot_of_a_part_is_no_reason_to_forget_the_rest() {
        assert_eq!(before(vec![manifest(&["a"], &["a"], &[]), manifest(&["a", "b"], &[], &[])]), ["a", "b"]);
        assert_eq!(before(vec![manifest(&["new"], &["new"], &[]), manifest(&["a"], &[], &[])]), ["a", "new"]);
        assert_eq!(before(vec![manifest(&["a"], &["a"], &[]), manifest(&["b"], &["b"], &[])]), ["a", "b"]);
    }

    #[test]
    fn what_shrank_is_missed_however_many_runs_ago() {
        let mut all = vec![manifest(&["b"], &[], &["a"]); 50];
        all.push(manifest(&["a", "b"], &[], &[]));
        assert_eq!(before(all), ["a", "b"]);
    }

    #[test]
    fn what_was_accepted_is_missed_no_more() {
        let accepted = manifest(&["b"], &[], &[]);
        assert_eq!(before(vec![accepted, manifest(&["a", "b"], &[], &[])]), ["b"]);
    }

    #[test]
    fn files_are_compared_without_the_dumps_of_servers() {
        let mut payloads = manifest(&["a"], &[], &[]).payloads;
        payloads[0].bytes_plain = 90;
        assert_eq!(bytes_of_files(100, &payloads), 10);
        assert!(fewer_files(4_000_000, 1_999_999).is_some());
        assert!(fewer_files(4_000_000, 2_000_000).is_none() && fewer_files(999_999, 0).is_none());
    }
}
