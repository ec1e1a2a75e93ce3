//! What a restore would do, for a person to look at before it is done.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use shipshape_core::archive::entry::Kind;
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::error::Failure;
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted};

use super::facts::{Facts, Sources};
use super::{Target, in_use};
use crate::cli::With;
use crate::database::Plan;
use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage;
use crate::swap::kept;
use crate::target::{TargetError, path_of};
use crate::unpack::{UnpackError, dumps, open_index, tars};

/// A question with more names than this is not read.
const MOST_NAMED: usize = 5;

/// A path for people.
pub(crate) fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    shipshape_core::archive::entry::Bytes::from(path.as_os_str().as_bytes()).shown()
}

/// What a restore of a snapshot does: for people, and part by part for programs.
pub(crate) struct Preview {
    /// What a person reads before the question.
    pub(crate) text: String,
    parts: Vec<Value>,
}

/// What a restore of a snapshot does.
pub(crate) fn snapshot(
    with: &With<'_>,
    snapshot: &Snapshot,
    picked: &Picked,
    facts: &Facts,
    target: &Target,
    plan: Option<&Plan<'_>>,
) -> Result<Preview, Failure> {
    let manifest = &snapshot.manifest;
    let began = manifest.started.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M");
    let mut text = format!("snapshot {} of {}, begun {began}\n", manifest.id, snapshot.place);
    if let Some(note) = &snapshot.note {
        let _ = writeln!(text, "{note}");
    }
    let (mut all, mut parts) = (0, Vec::new());
    for payload in &picked.payloads {
        let (entries, bytes) = amount(snapshot, payload, picked, facts)?;
        all += entries;
        parts.push(json!({"name": payload.name, "entries": entries, "bytes": bytes}));
        let entries = counted(entries, "entry", "entries");
        let what = what_of(payload, facts, picked, target);
        let _ = writeln!(text, "  {:<12} {entries}, {}: {what}", payload.name, ByteSize(bytes));
    }
    if all == 0 && !picked.paths.is_empty() {
        return Err(picked.nothing().into());
    }
    if let Some(plan) = plan {
        text.push_str(&plan.preview());
        parts.extend(plan.parts());
    }
    for payload in &picked.dumps {
        let name = dumps::file_name(payload);
        parts.push(json!({"name": payload.name, "file": name, "bytes": payload.bytes_plain}));
        let _ = writeln!(text, "  {:<12} {}: as the file {name}", payload.name, ByteSize(payload.bytes_plain));
    }
    if picked.payloads.is_empty() && picked.dumps.is_empty() {
        return Ok(Preview { text, parts });
    }
    if let (Target::InPlace(_), Sources::Complete) = (target, facts.complete(picked)) {
        text.push_str("what is live there and not in the snapshot is put aside, but what the backup excludes\n");
    }
    if let Target::InPlace(folder) = target {
        let databases = picked.payloads.iter().filter(|payload| payload.kind == PayloadKind::Sqlite);
        let members = databases.filter_map(|payload| facts.tars.get(&payload.name)).flatten();
        let live = members.filter(|(path, _)| picked.takes_file(path)).map(|(path, _)| folder.join(path_of(path)));
        text.extend(live.filter_map(|path| in_use::advice(&path)));
    }
    let flags = &with.args.restore;
    text.push_str(&destination(target, facts.is_all(flags) || flags.discard_old)?);
    Ok(Preview { text, parts })
}

/// The paths that a payload replaces or brings.
fn what_of(payload: &Payload, facts: &Facts, picked: &Picked, target: &Target) -> String {
    let Some(members) = facts.tars.get(&payload.name) else {
        let all = if picked.paths.is_empty() { "files and folders in" } else { "what matches in" };
        return format!("{all} {}", shown(target.folder()));
    };
    let mut meant: Vec<String> =
        members.iter().filter(|(path, _)| picked.takes_file(path)).map(|(path, _)| shown(path_of(path))).collect();
    let more = meant.len().saturating_sub(MOST_NAMED);
    meant.truncate(MOST_NAMED);
    if more > 0 {
        meant.push(format!("{more} more"));
    }
    meant.join(", ")
}

/// Where it goes, and what becomes of what is there and of the old sides that lie there.
pub(crate) fn destination(target: &Target, discards: bool) -> Result<String, TargetError> {
    let folder = match target {
        Target::Into(folder) => return Ok(format!("into the new folder {}\n", shown(folder))),
        Target::InPlace(folder) => folder,
    };
    let mut text = format!(
        "replaces what is live in {0}; the old side is kept in {0}/.shipshape-before-… until the next complete restore\n",
        shown(folder)
    );
    for old in kept::all(folder)?.iter().filter(|_| discards) {
        let _ = writeln!(text, "removes the old side of an earlier restore, {}", shown(old));
    }
    Ok(text)
}

/// How much of a payload is picked: entries, and bytes of content. Without patterns the manifest knows, and the names of
/// the tars are known; with them the names of files have to be read.
fn amount(snapshot: &Snapshot, payload: &Payload, picked: &Picked, facts: &Facts) -> Result<(u64, u64), UnpackError> {
    if picked.paths.is_empty() {
        let content = |members: &Vec<(Vec<u8>, u64)>| members.iter().map(|(_, size)| size).sum::<u64>();
        let bytes = match facts.tars.get(&payload.name) {
            Some(members) => content(members),
            None if payload.kind != PayloadKind::Files => payload.bytes_plain,
            // The manifest has the content of all payloads in one sum.
            None => snapshot.manifest.bytes.plain.saturating_sub(facts.tars.values().map(content).sum()),
        };
        return Ok((payload.entries, bytes));
    }
    let mut amount = (0, 0);
    let mut add = |entry: &shipshape_core::archive::entry::Entry| {
        if picked.takes(entry) {
            amount.0 += 1;
            amount.1 += if entry.kind == Kind::File { entry.size } else { 0 };
        }
    };
    if payload.kind == PayloadKind::Files {
        let (mut index, _) = open_index(snapshot, payload)?;
        while let Some(entry) = index.next_entry()? {
            shipshape_core::signal::check()?;
            add(&entry);
        }
    } else {
        let (mut members, _) = tars::open(snapshot, payload)?;
        while let Some(member) = members.next_member()? {
            add(&member.entry);
        }
    }
    Ok(amount)
}

/// The outcome of a dry run.
pub(super) fn outcome(snapshot: &Snapshot, preview: Preview, target: &Target) -> Result<Outcome, TargetError> {
    if let Target::Into(folder) = target
        && folder.exists()
        && !stage::is_empty(folder)?
    {
        return Err(TargetError::NotEmpty { path: folder.clone() });
    }
    let manifest = &snapshot.manifest;
    let data = json!({
        "dry_run": true,
        "payloads": preview.parts,
        "snapshot": super::told::snapshot(snapshot),
        "target": shown(target.folder()),
    });
    let summary = format!("would restore snapshot {} to {}; nothing was changed", manifest.id, shown(target.folder()));
    Ok(Outcome { data, text: preview.text, ..Outcome::ok(summary) })
}
