//! What `backup run` reports.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shipshape_core::archive::manifest::{DatabaseFacts, Manifest, PayloadKind};
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted};

use super::session::{Part, Session};
use crate::prune::Pruned;

/// The report of a snapshot that exists.
pub(super) fn outcome(session: &Session<'_>, manifest: &Manifest, parts: &[Part], pruned: Option<&Pruned>) -> Outcome {
    let mut outcome = Outcome::ok(summary(manifest, parts));
    outcome.data = data(session, manifest, parts, pruned);
    outcome.text = text(session, manifest, parts, pruned);
    outcome
}

/// One line for mails and logs.
fn summary(manifest: &Manifest, parts: &[Part]) -> String {
    let databases = parts.iter().filter(|part| is_database(part)).count() as u64;
    let databases = match databases {
        0 => String::new(),
        some => format!("{}, ", counted(some, "database", "databases")),
    };
    format!(
        "snapshot {}: {databases}{}, {} new",
        manifest.id,
        counted(manifest.files.total, "file", "files"),
        ByteSize(manifest.bytes.stored)
    )
}

/// What belongs to a whole server goes with its databases, and is none.
fn is_database(part: &Part) -> bool {
    match part.kind {
        PayloadKind::Sqlite => true,
        PayloadKind::Database => part.database.as_ref().is_some_and(|facts| !facts.globals),
        PayloadKind::Files | PayloadKind::Config => false,
    }
}

/// For programs. The names of its fields are part of the promise.
fn data(session: &Session<'_>, manifest: &Manifest, parts: &[Part], pruned: Option<&Pruned>) -> Value {
    json!({
        "snapshot": {
            "id": manifest.id,
            "host": manifest.host,
            "app": manifest.app,
            "store": session.target.store.url(),
            "started": manifest.started,
            "finished": manifest.finished,
            "previous": manifest.previous,
            "tags": manifest.tags,
            "only": manifest.only,
            "partial": manifest.partial,
            "shrunk": manifest.shrunk,
            "verified": manifest.verified.how,
        },
        "files": manifest.files,
        "bytes": manifest.bytes,
        "payloads": parts.iter().map(part_data).collect::<Vec<_>>(),
        "pruned": pruned.map(Pruned::data),
    })
}

/// One payload for programs.
fn part_data(part: &Part) -> Value {
    let mut data = json!({
        "name": part.name,
        "kind": part.kind,
        "bytes_plain": part.bytes_plain,
        "bytes_stored": part.bytes_stored,
        "unchanged": part.unchanged,
    });
    if let (Some(facts), Some(fields)) = (&part.database, data.as_object_mut()) {
        fields.extend([
            ("engine".to_owned(), json!(facts.engine)),
            ("service".to_owned(), json!(facts.service)),
            ("database".to_owned(), json!(facts.database)),
            ("server_version".to_owned(), json!(facts.server_version)),
            ("tables".to_owned(), json!(facts.tables.len())),
            ("rows".to_owned(), json!(facts.tables.values().sum::<u64>())),
            ("seconds".to_owned(), json!(seconds(facts))),
        ]);
    }
    data
}

/// How long its dump took.
fn seconds(facts: &DatabaseFacts) -> f64 {
    (facts.finished - facts.started).as_seconds_f64().max(0.0)
}

/// For people: what a server's database is, and how much there is in it.
fn about(facts: &DatabaseFacts) -> String {
    let server = format!("  {} {}", facts.engine, facts.server_version);
    if facts.globals || !facts.engine.is_sql() {
        return server;
    }
    let (tables, rows) = (facts.tables.len() as u64, facts.tables.values().sum());
    format!("{server}, {}, {}", counted(tables, "table", "tables"), counted(rows, "row", "rows"))
}

/// For people: each part with its size and with what it added to the store.
fn text(session: &Session<'_>, manifest: &Manifest, parts: &[Part], pruned: Option<&Pruned>) -> String {
    let mut text = String::new();
    for part in parts {
        let note = if part.unchanged { "  unchanged" } else { "" };
        let (plain, stored) = (ByteSize(part.bytes_plain), ByteSize(part.bytes_stored));
        let about = part.database.as_ref().map(about).unwrap_or_default();
        let _ = writeln!(text, "  {:<24} {plain:>10}   {stored:>10} new{note}{about}", part.name);
    }
    let files = manifest.files;
    let _ = writeln!(
        text,
        "  files: {} new, {} changed, {} unchanged, {} skipped",
        files.new, files.changed, files.unchanged, files.skipped
    );
    for accepted in session.shrunk.accepted() {
        let _ = writeln!(text, "  accepted: {accepted}");
    }
    if let Some(pruned) = pruned.filter(|pruned| !pruned.is_empty()) {
        let _ = writeln!(text, "  pruned: {}", pruned.summary());
    }
    let _ = writeln!(
        text,
        "  read back and compared; it lies in {}/{}",
        session.target.store.url(),
        session.target.place()
    );
    text
}
