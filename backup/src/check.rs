//! `backup check`: what is stored, byte by byte, against the manifests. Needs no key: manifests hold the SHA-256 of the
//! stored bytes. It does not show that objects decrypt and unpack; `restore verify` does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use shipshape_core::alert::Job;
use shipshape_core::archive::catalog::{self, Wanted};
use shipshape_core::archive::manifest::Manifest;
use shipshape_core::archive::names::{self, Place, SnapshotId};
use shipshape_core::archive::seal::hash_stored;
use shipshape_core::archive::store::StoreError;
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::progress::Progress;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::signal;
use shipshape_core::units::{ByteSize, counted};

use crate::cache::Cache;
use crate::cli::CheckArgs;
use crate::prune::sweep_list;
use crate::target::Target;

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    object: String,
    kind: Kind,
    detail: String,
    /// Snapshots that cannot be restored because of it.
    snapshots: Vec<SnapshotId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    Altered,
    /// Belongs to no snapshot: what a killed run left. The next prune removes it when it is a day old.
    Orphaned,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Orphaned => "orphaned",
        }
    }
}

/// What was looked at.
#[derive(Debug, Default)]
struct Checked {
    snapshots: Vec<SnapshotId>,
    objects: u64,
    bytes: u64,
    problems: Vec<Problem>,
}

/// An object as some manifests have it.
struct Expected {
    bytes: u64,
    sha256: String,
    snapshots: Vec<SnapshotId>,
}

/// The job as alerts know it: what a nightly check finds must reach somebody.
const JOB: Job = Job { name: "backup.check", fleeting: &[] };

/// The command.
pub(crate) fn run(args: &CheckArgs, run: &Run) -> Result<Outcome, Failure> {
    run.keeps_report_as("backup-check");
    run.job(JOB);
    let target = Target::open(&args.target, run)?;
    let Chosen { place, manifests, broken } = chosen(&target, args)?;
    let mut checked = Checked { snapshots: manifests.iter().map(|m| m.id.clone()).collect(), ..Checked::default() };
    checked.problems = broken;
    compare(&target, expected(&place, &manifests), &mut checked, run)?;
    if args.all {
        find_orphans(&target, &place, &manifests, &mut checked)?;
    }
    heal(&target, &checked, run);
    Ok(outcome(&checked))
}

/// What is to be checked.
struct Chosen {
    /// Where it is.
    place: Place,
    /// The snapshots.
    manifests: Vec<Manifest>,
    /// Manifests that cannot be read, as problems.
    broken: Vec<Problem>,
}

/// The manifests to check, and what is wrong with those that cannot be read.
fn chosen(target: &Target, args: &CheckArgs) -> Result<Chosen, Failure> {
    let (store, place) = (target.store.as_ref(), target.place());
    let place = catalog::find_place(store, &place.app, args.target.host.as_deref(), &place.host)?;
    if !args.all {
        let wanted = match args.snapshot.as_deref() {
            None | Some("latest") => Wanted::Latest,
            Some(text) => Wanted::Id(text.to_owned()),
        };
        let id = catalog::choose(&place, &catalog::ids(store, &place)?, &wanted)?;
        let manifest = Manifest::read(store, &place, &id)?;
        return Ok(Chosen { place, manifests: vec![manifest], broken: Vec::new() });
    }
    let catalog = catalog::read(store, &place)?;
    let broken = catalog.broken.into_iter().map(|(id, broken)| Problem {
        object: place.key(&names::manifest(&id)),
        kind: Kind::Altered,
        detail: Failure::from(broken).message(),
        snapshots: vec![id],
    });
    let broken = broken.collect();
    Ok(Chosen { place, manifests: catalog.snapshots, broken })
}

/// Every object once, however many snapshots refer to it.
fn expected(place: &Place, manifests: &[Manifest]) -> BTreeMap<String, Expected> {
    let mut all: BTreeMap<String, Expected> = BTreeMap::new();
    for manifest in manifests {
        for (object, bytes, sha256) in manifest.objects() {
            let new = || Expected { bytes, sha256: sha256.to_owned(), snapshots: Vec::new() };
            all.entry(place.key(object)).or_insert_with(new).snapshots.push(manifest.id.clone());
        }
    }
    all
}

/// Reads every object once. A damaged one is noted and the others are still looked at.
fn compare(target: &Target, all: BTreeMap<String, Expected>, checked: &mut Checked, run: &Run) -> Result<(), Failure> {
    let total = all.values().map(|expected| expected.bytes).sum();
    let progress = Progress::bytes(Some(total), "check", run.common().quiet);
    for (key, expected) in all {
        signal::check()?;
        checked.objects += 1;
        checked.bytes += expected.bytes;
        if let Some((kind, detail)) = compare_one(target, &key, &expected)? {
            checked.problems.push(Problem { object: key, kind, detail, snapshots: expected.snapshots });
        }
        progress.add(expected.bytes);
    }
    Ok(())
}

/// What is wrong with one object: nothing, in nearly all cases.
fn compare_one(target: &Target, key: &str, expected: &Expected) -> Result<Option<(Kind, String)>, Failure> {
    let mut stored = match target.store.open(key) {
        Err(StoreError::ObjectMissing { .. }) => return Ok(Some((Kind::Missing, "it is not in the store".to_owned()))),
        other => other?,
    };
    let (bytes, sha256) = match hash_stored(stored.as_mut()) {
        Ok(found) => found,
        // A bad sector: the object is as good as altered, and the others are still to be looked at.
        Err(refused) => return Ok(Some((Kind::Altered, format!("it cannot be read: {refused}")))),
    };
    Ok(if bytes != expected.bytes {
        Some((Kind::Altered, format!("it has {bytes} bytes instead of {}", expected.bytes)))
    } else if sha256 != expected.sha256 {
        Some((Kind::Altered, "its SHA-256 differs".to_owned()))
    } else {
        None
    })
}

/// Objects that neither a manifest nor a tombstone explains.
fn find_orphans(target: &Target, place: &Place, manifests: &[Manifest], checked: &mut Checked) -> Result<(), Failure> {
    if place != target.place() {
        return Ok(());
    }
    let objects = sweep_list(target)?;
    let buried = objects.keys().filter(|object| names::tombstone_time(object).is_some());
    let buried: Vec<Manifest> = buried
        .filter_map(|object| Manifest::read_object(target.store.as_ref(), &target.place().key(object)).ok())
        .collect();
    let explained =
        |object: &str| manifests.iter().chain(&buried).any(|m| m.objects().any(|(known, ..)| known == object));
    for object in objects.keys() {
        let own = object.ends_with("/manifest.json") || names::tombstone_time(object).is_some();
        if !own && !explained(object) {
            checked.problems.push(Problem {
                object: target.place().key(object),
                kind: Kind::Orphaned,
                detail: "it belongs to no snapshot".to_owned(),
                snapshots: Vec::new(),
            });
        }
    }
    Ok(())
}

/// The next run must not build upon what is damaged: without the cache it stores everything anew.
fn heal(target: &Target, checked: &Checked, run: &Run) {
    let own = target.place().key("");
    let damaged = |problem: &Problem| problem.kind != Kind::Orphaned && problem.object.starts_with(&own);
    if !checked.problems.iter().any(damaged) {
        return;
    }
    let cache = Cache::open(&target.state, &target.marker.id, target.place());
    let message = match cache.map_err(Failure::from).and_then(|cache| cache.forget().map_err(Failure::from)) {
        Ok(()) => "the next backup stores everything anew, so that it does not build upon what is damaged".to_owned(),
        Err(refused) => format!("the cache could not be cleared: {}", refused.message()),
    };
    run.warn(Notice::new("check.cache_cleared", message, "run it soon: backup"));
}

/// The verdict: what a restore would miss is critical, litter is worth a look.
fn outcome(checked: &Checked) -> Outcome {
    let damaged = checked.problems.iter().filter(|problem| problem.kind != Kind::Orphaned).count() as u64;
    let orphaned = checked.problems.len() as u64 - damaged;
    let what = format!(
        "{} of {} compared, {}",
        counted(checked.objects, "object", "objects"),
        counted(checked.snapshots.len() as u64, "snapshot", "snapshots"),
        ByteSize(checked.bytes)
    );
    let mut outcome = Outcome::ok(match (damaged, orphaned) {
        (0, 0) => format!("{what}: all as written"),
        (0, some) => format!("{what}: all as written; {} without a snapshot", counted(some, "object", "objects")),
        (some, _) => format!("{what}: {} missing or altered", counted(some, "object", "objects")),
    });
    outcome.exit = if damaged > 0 {
        Exit::Critical
    } else if orphaned > 0 {
        Exit::Warning
    } else {
        Exit::Ok
    };
    outcome.text = text(checked);
    outcome.data = json!({
        "snapshots": checked.snapshots,
        "objects": checked.objects,
        "bytes": checked.bytes,
        "problems": checked.problems.iter().map(problem_data).collect::<Vec<_>>(),
    });
    outcome
}

/// One problem for programs: `object`, `kind`, `detail`, and the snapshots that need it.
fn problem_data(problem: &Problem) -> Value {
    json!({
        "object": problem.object,
        "kind": problem.kind.word(),
        "detail": problem.detail,
        "snapshots": problem.snapshots,
    })
}

/// For people: only what is wrong; the rest is in the summary.
fn text(checked: &Checked) -> String {
    let mut text = String::new();
    for problem in &checked.problems {
        let _ = writeln!(text, "  {:<9} {}: {}", problem.kind.word(), problem.object, problem.detail);
        if !problem.snapshots.is_empty() {
            let ids: Vec<&str> = problem.snapshots.iter().map(SnapshotId::as_str).collect();
            let _ = writeln!(text, "            needed by {}", ids.join(", "));
        }
    }
    text
}
