//! What a restore would do, for a person to look at before it is done.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use shipshape_core::archive::entry::Kind;
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted};

use super::Target;
use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage;
use crate::target::TargetError;
use crate::unpack::{UnpackError, open_index, tars};

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
    snapshot: &Snapshot,
    picked: &Picked,
    target: &Target,
) -> Result<Preview, shipshape_core::error::Failure> {
    let manifest = &snapshot.manifest;
    let began = manifest.started.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M");
    let mut text = format!("snapshot {} of {}, begun {began}\n", manifest.id, snapshot.place);
    if let Some(note) = &snapshot.note {
        let _ = writeln!(text, "{note}");
    }
    let (mut all, mut parts) = (0, Vec::new());
    for payload in &picked.payloads {
        let (entries, bytes) = amount(snapshot, payload, picked)?;
        all += entries;
        parts.push(json!({"name": payload.name, "entries": entries, "bytes": bytes}));
        let entries = counted(entries, "entry", "entries");
        let _ = writeln!(text, "  {:<12} {entries}, {}", payload.name, ByteSize(bytes));
    }
    if all == 0 && !picked.paths.is_empty() {
        return Err(picked.nothing().into());
    }
    text.push_str(&destination(target));
    Ok(Preview { text, parts })
}

/// Where it goes, and what becomes of what is there.
pub(crate) fn destination(target: &Target) -> String {
    match target {
        Target::Into(folder) => format!("into the new folder {}\n", shown(folder)),
        Target::InPlace(folder) => format!(
            "replaces what is live in {0}; the old side is kept in {0}/.shipshape-before-… until the next restore\n",
            shown(folder)
        ),
    }
}

/// How much of a payload is picked. Without patterns the manifest knows; with them the names have to be read.
fn amount(snapshot: &Snapshot, payload: &Payload, picked: &Picked) -> Result<(u64, u64), UnpackError> {
    if picked.paths.is_empty() {
        let is_files = payload.kind == PayloadKind::Files;
        let others: u64 =
            snapshot.manifest.payloads.iter().filter(|it| it.kind != PayloadKind::Files).map(|it| it.bytes_plain).sum();
        let bytes = if is_files { snapshot.manifest.bytes.plain.saturating_sub(others) } else { payload.bytes_plain };
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
