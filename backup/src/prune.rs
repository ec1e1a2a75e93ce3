//! Letting go of old snapshots. The manifest goes first, by becoming a tombstone; the objects that nothing else needs
//! follow after a day of grace, so that a restore that is reading them comes to its end, and a mistake can be undone.

mod sweep;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shipshape_core::archive::catalog::{self, Catalog};
use shipshape_core::archive::manifest::Manifest;
use shipshape_core::archive::names::{self, Place, SnapshotId};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::units::{ByteSize, counted};

use crate::cli::PruneArgs;
use crate::retention::{Candidate, keep};
use crate::target::Target;
use sweep::Sweep;
pub(crate) use sweep::list as sweep_list;

/// Why nothing is pruned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PruneError {
    /// The clock says it is earlier than the newest snapshot.
    #[error("the clock ({now}) is earlier than the newest snapshot ({newest})")]
    ClockBackwards {
        /// The time now.
        now: String,
        /// The newest snapshot.
        newest: SnapshotId,
        /// What helps.
        way_out: String,
    },
    /// Some manifests cannot be read, and what they refer to is not known.
    #[error("{} cannot be read: {}", counted(*.count, "manifest", "manifests"), which)]
    BrokenManifests {
        /// How many.
        count: u64,
        /// Their snapshots.
        which: String,
    },
}

impl Explain for PruneError {
    fn code(&self) -> &'static str {
        match self {
            Self::ClockBackwards { .. } => "clock.backwards",
            Self::BrokenManifests { .. } => "manifest.damaged",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::ClockBackwards { way_out, .. } => format!("nothing was removed; {way_out}"),
            Self::BrokenManifests { .. } => "nothing was removed; see what is damaged: backup check --all".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::ClockBackwards { .. } | Self::BrokenManifests { .. } => Exit::Critical,
        }
    }
}

/// What is to go, and what went.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// Snapshots that the rules keep, each with the reasons.
    pub(crate) kept: BTreeMap<SnapshotId, Vec<String>>,
    /// Snapshots let go.
    pub(crate) snapshots: Vec<SnapshotId>,
    /// Objects removed.
    pub(crate) objects: u64,
    /// Their size.
    pub(crate) bytes: u64,
}

impl Pruned {
    /// Whether nothing was to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.objects == 0
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let snapshots = counted(self.snapshots.len() as u64, "snapshot", "snapshots");
        let objects = counted(self.objects, "object", "objects");
        format!("{snapshots} let go, {objects} removed ({})", ByteSize(self.bytes))
    }

    /// For the report.
    pub(crate) fn data(&self) -> Value {
        json!({
            "snapshots": self.snapshots,
            "objects": self.objects,
            "bytes": self.bytes,
            "kept": self.kept.iter().map(|(id, why)| json!({"id": id, "why": why})).collect::<Vec<_>>(),
        })
    }
}

/// The command.
pub(crate) fn run(args: &PruneArgs, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let target = Target::open(&args.target, run)?;
    // Also so that a mistyped name does not make an empty place.
    let Place { host, app } = target.place();
    if !catalog::places(target.store.as_ref())?.contains(target.place()) {
        catalog::find_place(target.store.as_ref(), app, Some(host), host)?;
    }
    let _claim = if args.dry_run { None } else { Some(target.claim()?) };
    let pruned = if args.dry_run { plan(&target, run.started())?.0 } else { prune(&target, run.started())? };
    let verb = if args.dry_run { "would be let go" } else { "let go" };
    let snapshots = counted(pruned.snapshots.len() as u64, "snapshot", "snapshots");
    let removed = format!("{} ({})", counted(pruned.objects, "object", "objects"), ByteSize(pruned.bytes));
    let mut outcome =
        Outcome::ok(format!("{snapshots} {verb}, {} kept; objects without a snapshot: {removed}", pruned.kept.len()));
    outcome.data = pruned.data();
    outcome.text = text(&pruned);
    Ok(outcome)
}

fn text(pruned: &Pruned) -> String {
    let mut text = String::new();
    for (id, why) in pruned.kept.iter().rev() {
        let _ = writeln!(text, "  keep  {id}  {}", why.join(", "));
    }
    for id in pruned.snapshots.iter().rev() {
        let _ = writeln!(text, "  go    {id}");
    }
    text
}

/// Lets go of what the rules do not keep, and removes what has been let go of for a day. The caller holds the locks.
pub(crate) fn prune(target: &Target, now: DateTime<Utc>) -> Result<Pruned, Failure> {
    let (mut pruned, sweep) = plan(target, now)?;
    let manifests = sweep.manifests();
    for id in &pruned.snapshots {
        if let Some(manifest) = manifests.get(id) {
            bury(target, manifest, now)?;
        }
    }
    (pruned.objects, pruned.bytes) = sweep.remove(target)?;
    Ok(pruned)
}

/// Decides without doing.
fn plan(target: &Target, now: DateTime<Utc>) -> Result<(Pruned, Sweep), Failure> {
    let catalog = catalog::read(target.store.as_ref(), target.place())?;
    refuse_to_guess(target, &catalog, now)?;
    let objects = sweep::list(target)?;
    // Only what is whole, as far as names and sizes tell, may stand in for what is let go.
    let (whole, damaged): (Vec<_>, Vec<_>) =
        catalog.snapshots.iter().partition(|manifest| sweep::is_whole(manifest, &objects));
    let candidates: Vec<Candidate> = whole.into_iter().map(candidate).collect();
    let mut kept = keep(&candidates, &target.meant.config.backup.keep, now);
    for manifest in damaged {
        kept.insert(manifest.id.clone(), vec!["damaged: left for you to look at".to_owned()]);
    }
    let gone: Vec<SnapshotId> =
        candidates.into_iter().map(|candidate| candidate.id).filter(|id| !kept.contains_key(id)).collect();
    let sweep = Sweep::new(target, catalog.snapshots, objects, now)?;
    let (objects, bytes) = sweep.size();
    Ok((Pruned { kept, snapshots: gone, objects, bytes }, sweep))
}

fn refuse_to_guess(target: &Target, catalog: &Catalog, now: DateTime<Utc>) -> Result<(), PruneError> {
    if !catalog.broken.is_empty() {
        let which: Vec<&str> = catalog.broken.iter().map(|(id, _)| id.as_str()).collect();
        return Err(PruneError::BrokenManifests { count: catalog.broken.len() as u64, which: which.join(", ") });
    }
    match catalog.snapshots.last().map(|manifest| &manifest.id) {
        // To the second, as ids are.
        Some(newest) if newest.time().timestamp() > now.timestamp() => Err(PruneError::ClockBackwards {
            now: now.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            newest: newest.clone(),
            way_out: way_out(target, newest, now),
        }),
        _ => Ok(()),
    }
}

/// What to do about a snapshot from the future: mend the clock, or let go of it by hand, as prune would.
pub(crate) fn way_out(target: &Target, newest: &SnapshotId, now: DateTime<Utc>) -> String {
    let object = |relative: String| format!("{}/{}", target.store.url(), target.place().key(&relative));
    format!(
        "check the clock: timedatectl; if it is right now and was wrong then: mv {} {}",
        object(names::manifest(newest)),
        object(names::tombstone(newest, now))
    )
}

fn candidate(manifest: &Manifest) -> Candidate {
    Candidate {
        id: manifest.id.clone(),
        tags: manifest.tags.clone(),
        only: manifest.only.clone(),
        partial: manifest.partial,
        shrunk: manifest.shrunk.clone(),
    }
}

/// Turns a manifest into a tombstone: the same bytes under another name, then the manifest goes. Killed in between,
/// the snapshot is still there, and the next prune does it again.
fn bury(target: &Target, manifest: &Manifest, now: DateTime<Utc>) -> Result<(), Failure> {
    let (store, place) = (target.store.as_ref(), target.place());
    let bytes = manifest.encode().unwrap_or_default();
    match store.put_new(&place.key(&names::tombstone(&manifest.id, now)), &bytes) {
        Ok(()) | Err(shipshape_core::archive::store::StoreError::ObjectExists { .. }) => {}
        Err(refused) => return Err(refused.into()),
    }
    Ok(store.delete(&place.key(&names::manifest(&manifest.id)))?)
}
