//! Reads snapshots as a restore would, checks every hash and every end mark, and touches nothing.
//!
//! Of each object are checked: its size and SHA-256 as they are stored, age's authentication and final chunk, the end mark and
//! checksum of the compression, the end mark of the tar, the SHA-256 of the content of payloads, and the BLAKE3 of every file
//! that an index names. Snapshots share packs, so all that are asked for are verified together, and each object is read once.
//!
//! What is wrong is told by what it means: *missing*, *altered* (not what was stored), *damaged* (stored so, but it makes no
//! sense), *`wrong_key`* (not encrypted to any identity that was given).

mod contents;
mod objects;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shipshape_core::archive::manifest::{Manifest, ManifestError};
use shipshape_core::archive::names::{self, SnapshotId};
use shipshape_core::archive::unseal::UnsealError;
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::{Failure, chain};
use shipshape_core::exit::Exit;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted, spoken};

use crate::cli::With;
use crate::select::{self, Asked, Opened, SelectError, opens};

use objects::{Reading, Wholeness};

/// What can be wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not there.
    Missing,
    /// The stored bytes are not those that were stored.
    Altered,
    /// They are, but make no sense.
    Damaged,
    /// None of the identities opens it.
    Key,
}

impl Wrong {
    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Damaged => "damaged",
            Self::Key => "wrong_key",
        }
    }
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its full key.
    pub(crate) object: String,
    /// What kind of wrong.
    pub(crate) wrong: Wrong,
    /// In words.
    pub(crate) detail: String,
}

/// A snapshot as it was found.
struct Found {
    id: SnapshotId,
    manifest: Option<Manifest>,
    problems: Vec<Problem>,
}

/// Verifies one snapshot, or all of an application where none is named.
pub(crate) fn verify(with: &With<'_>, word: Option<&str>) -> Result<Outcome, Failure> {
    let watch = Stopwatch::start();
    let (opened, ids) = which(with, word)?;
    let mut found = ids.into_iter().map(|id| manifest_of(&opened, id)).collect::<Result<Vec<_>, _>>()?;
    let identities = opened.identities(found.iter().filter_map(|found| found.manifest.as_ref()))?;
    set_unopenable_aside(&mut found, |manifest| opens(&identities, manifest))?;
    let to_read = || found.iter().filter(|found| found.problems.is_empty()).filter_map(|found| found.manifest.as_ref());
    let progress = Progress::bytes(None, "verifying", with.args.common.quiet);
    let reading = Reading { store: opened.store.as_ref(), place: &opened.place, identities: &identities, progress };
    let wholeness = objects::read_all(&reading, to_read())?;
    for found in &mut found {
        if let Some(manifest) = found.manifest.as_ref().filter(|_| found.problems.is_empty()) {
            found.problems = wholeness.problems_of(manifest);
        }
    }
    let mut outcome = outcome(&found, &wholeness, &spoken(watch.elapsed()));
    if let Some(note) = &opened.note {
        outcome.text.insert_str(0, &format!("{note}\n"));
    }
    Ok(outcome)
}

/// The store and the ids that are meant, newest first.
fn which(with: &With<'_>, word: Option<&str>) -> Result<(Opened, Vec<SnapshotId>), Failure> {
    let Some(word) = word else {
        let (opened, _) = with.store(Asked::Snapshot(select::Wanted::Latest))?;
        let mut ids = opened.ids()?;
        ids.reverse();
        return Ok((opened, ids));
    };
    match select::understand(Some(word), None)? {
        Asked::File(file) => Err(SelectError::IsAFile { path: file.display().to_string() }.into()),
        asked @ (Asked::Snapshot(_) | Asked::Report) => {
            let (mut opened, wanted) = with.store(asked)?;
            let id = opened.choose(&wanted, &[])?;
            Ok((opened, vec![id]))
        }
    }
}

/// A manifest that is damaged is a finding; a store that does not answer is an error.
fn manifest_of(opened: &Opened, id: SnapshotId) -> Result<Found, Failure> {
    match Manifest::read(opened.store.as_ref(), &opened.place, &id) {
        Ok(manifest) => Ok(Found { id, manifest: Some(manifest), problems: Vec::new() }),
        Err(damaged @ ManifestError::Damaged { .. }) => {
            let object = opened.place.key(&names::manifest(&id));
            let problems = vec![Problem { object, wrong: Wrong::Damaged, detail: chain(&damaged) }];
            Ok(Found { id, manifest: None, problems })
        }
        Err(other @ (ManifestError::Store(_) | ManifestError::Newer { .. })) => Err(other.into()),
    }
}

/// Snapshots to other recipients cannot be judged. If that is all of them, the key is wrong and not the snapshots.
fn set_unopenable_aside(found: &mut [Found], opens: impl Fn(&Manifest) -> bool) -> Result<(), UnsealError> {
    let mut any_opens = false;
    let mut closed = None;
    for it in found.iter_mut() {
        let Some(manifest) = &it.manifest else { continue };
        if opens(manifest) {
            any_opens = true;
            continue;
        }
        let object = format!("the snapshot {}", it.id);
        let error = UnsealError::WrongKey { object: object.clone() };
        it.problems.push(Problem { object, wrong: Wrong::Key, detail: chain(&error) });
        closed.get_or_insert(error);
    }
    match closed {
        Some(error) if !any_opens => Err(error),
        _ => Ok(()),
    }
}

/// The verdict: critical as soon as one snapshot is not whole.
fn outcome(found: &[Found], wholeness: &Wholeness, took: &str) -> Outcome {
    let broken = found.iter().filter(|found| !found.problems.is_empty()).count();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let all = counted(number(found.len()), "snapshot", "snapshots");
    let read = format!("{} read in {took}", ByteSize(wholeness.bytes));
    let summary = match (broken, found) {
        (0, [one]) => format!("snapshot {} is whole; {read}", one.id),
        (0, _) => format!("{all}, all whole; {read}"),
        (_, [one]) => format!("snapshot {} is not whole", one.id),
        (broken, _) => format!("{broken} of {all} not whole"),
    };
    let exit = if broken == 0 { Exit::Ok } else { Exit::Critical };
    let snapshots: Vec<Value> = found.iter().map(told).collect();
    let data = json!({"snapshots": snapshots, "objects": wholeness.objects, "bytes": wholeness.bytes});
    Outcome { exit, data, text: text(found), ..Outcome::ok(summary) }
}

/// An element of `data.snapshots`.
fn told(found: &Found) -> Value {
    let problem =
        |problem: &Problem| json!({"object": problem.object, "kind": problem.wrong.word(), "detail": problem.detail});
    json!({
        "id": found.id,
        "whole": found.problems.is_empty(),
        "problems": found.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

/// Each broken object once, with the snapshots that need it; then which snapshots are whole.
fn text(found: &[Found]) -> String {
    let mut broken: BTreeMap<&str, (&Problem, u64)> = BTreeMap::new();
    for problem in found.iter().flat_map(|found| &found.problems) {
        broken.entry(&problem.object).or_insert((problem, 0)).1 += 1;
    }
    let problem = |(problem, needed): &(&Problem, u64)| {
        let needed = counted(*needed, "snapshot needs it", "snapshots need it");
        format!("  {}: {} ({needed})\n", problem.wrong.word(), problem.detail)
    };
    let mut text: String = broken.values().map(problem).collect();
    if found.len() > 1 {
        let line = |found: &Found| {
            format!("  {}  {}\n", found.id, if found.problems.is_empty() { "whole" } else { "NOT WHOLE" })
        };
        text.extend(found.iter().map(line));
    }
    text
}

#[cfg(test)]
mod tests;
