//! `backup list`: the snapshots, newest first.

use std::fmt::Write as _;

use chrono::{DateTime, Local, Utc};
use serde_json::{Value, json};
use shipshape_core::archive::catalog::{self, CatalogError};
use shipshape_core::archive::manifest::{Manifest, Payload};
use shipshape_core::archive::names::Place;
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::units::{ByteSize, counted, spoken};

use crate::cli::ListArgs;
use crate::target::Target;

/// The command.
pub(crate) fn run(args: &ListArgs, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let target = Target::open(&args.target, run)?;
    let place = place(&target, args)?;
    let mut catalog = catalog::read(target.store.as_ref(), &place)?;
    catalog.snapshots.reverse();
    let mut outcome = Outcome::ok(summary(&catalog.snapshots, &place, target.store.url()));
    outcome.data = json!({ "host": place.host, "app": place.app, "store": target.store.url(), "snapshots": data(&catalog.snapshots) });
    outcome.text = text(&catalog.snapshots, args.long, run.started());
    for (id, broken) in catalog.broken {
        let failure = Failure::from(broken);
        outcome.warnings.push(Notice::new(
            failure.code(),
            format!("{id} is not listed: {}", failure.message()),
            failure.hint(),
        ));
        outcome.exit = Exit::Critical;
    }
    Ok(outcome)
}

/// Our own place, even while it is empty; else the only other host's.
fn place(target: &Target, args: &ListArgs) -> Result<Place, CatalogError> {
    let own = target.place();
    let named = args.target.host.as_deref();
    match catalog::find_place(target.store.as_ref(), &own.app, named, &own.host) {
        Err(CatalogError::NoApp { .. }) => Ok(own.clone()),
        other => other,
    }
}

/// One line: how many, how much, and which is the newest.
fn summary(newest_first: &[Manifest], place: &Place, url: &str) -> String {
    match newest_first.first() {
        None => format!("no snapshot of {place} in {url}"),
        Some(newest) => {
            let stored: u64 = newest_first.iter().map(|manifest| manifest.bytes.stored).sum();
            let count = counted(newest_first.len() as u64, "snapshot", "snapshots");
            format!("{count} of {place} in {url}, {} stored by them, newest {}", ByteSize(stored), newest.id)
        }
    }
}

/// For programs: each with what it has more or less than the one before it.
fn data(newest_first: &[Manifest]) -> Vec<Value> {
    let older = newest_first.iter().skip(1).map(Some).chain([None]);
    newest_first.iter().zip(older).map(|(manifest, before)| snapshot(manifest, before)).collect()
}

/// One snapshot for programs. The names of its fields are part of the promise.
fn snapshot(manifest: &Manifest, before: Option<&Manifest>) -> Value {
    json!({
        "id": manifest.id,
        "started": manifest.started,
        "finished": manifest.finished,
        "bytes": manifest.bytes,
        "files": manifest.files,
        "verified": manifest.verified.how,
        "trend_bytes": before.map(|before| trend(manifest, before)),
        "tags": manifest.tags,
        "only": manifest.only,
        "partial": manifest.partial,
        "shrunk": manifest.shrunk,
        "encryption": manifest.encryption,
        "recipients": manifest.recipients,
        "payloads": manifest.payloads.iter().map(payload).collect::<Vec<_>>(),
    })
}

/// One payload for programs; of its tables only how many there are, for they may be thousands.
fn payload(payload: &Payload) -> Value {
    let mut data = json!(payload);
    if let (Some(facts), Some(database)) = (&payload.database, data.get_mut("database").and_then(Value::as_object_mut))
    {
        database.insert("tables".to_owned(), json!(facts.tables.len()));
        database.insert("rows".to_owned(), json!(facts.tables.values().sum::<u64>()));
    }
    data
}

/// How much larger a snapshot is than the one before it, in plain bytes.
fn trend(manifest: &Manifest, before: &Manifest) -> i64 {
    manifest.bytes.plain.cast_signed() - before.bytes.plain.cast_signed()
}

/// For people: a table, ages and times as they are read on this side of the world.
fn text(newest_first: &[Manifest], long: bool, now: DateTime<Utc>) -> String {
    if newest_first.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "  {:<22} {:<17} {:>10} {:>10} {:>11} {:>7} {:>8} {:<9} {}\n",
        "id", "finished", "plain", "stored", "trend", "new", "changed", "verified", "age"
    );
    let older = newest_first.iter().skip(1).map(Some).chain([None]);
    for (manifest, before) in newest_first.iter().zip(older) {
        let age = (now - manifest.finished).to_std().map(spoken).unwrap_or_default();
        let _ = writeln!(
            text,
            "  {:<22} {:<17} {:>10} {:>10} {:>11} {:>7} {:>8} {:<9} {age}{}",
            manifest.id,
            manifest.finished.with_timezone(&Local).format("%Y-%m-%d %H:%M"),
            ByteSize(manifest.bytes.plain),
            ByteSize(manifest.bytes.stored),
            before.map(|before| signed(trend(manifest, before))).unwrap_or_default(),
            manifest.files.new,
            manifest.files.changed,
            manifest.verified.how,
            remarks(manifest),
        );
        if long {
            parts(&mut text, manifest);
        }
    }
    text
}

/// A difference with its sign, so that a shrinking application is seen at a glance.
fn signed(bytes: i64) -> String {
    let size = ByteSize(bytes.unsigned_abs());
    if bytes < 0 { format!("-{size}") } else { format!("+{size}") }
}

/// What is special about a snapshot, at the end of its line; nothing for most.
fn remarks(manifest: &Manifest) -> String {
    let mut remarks: Vec<String> = manifest.tags.iter().map(|tag| format!("#{tag}")).collect();
    if !manifest.only.is_empty() {
        remarks.push(format!("only {}", manifest.only.join(", ")));
    }
    if manifest.partial {
        remarks.push("partial".to_owned());
    }
    if !manifest.shrunk.is_empty() {
        remarks.push(format!("shrunk: {}", manifest.shrunk.join(", ")));
    }
    if remarks.is_empty() { String::new() } else { format!("  {}", remarks.join("  ")) }
}

/// How much is in a payload, in the words of what it is.
fn content(payload: &Payload) -> String {
    match &payload.database {
        None => counted(payload.entries, "entry", "entries"),
        Some(facts) if facts.globals && facts.engine.is_mysql() => {
            format!("accounts and roles of {} {}", facts.engine, facts.server_version)
        }
        Some(facts) if facts.globals => format!("roles and settings of {} {}", facts.engine, facts.server_version),
        Some(facts) if !facts.engine.is_sql() => format!("{} {}", facts.engine, facts.server_version),
        Some(facts) => {
            let rows = facts.tables.values().sum();
            let tables = counted(facts.tables.len() as u64, "table", "tables");
            format!("{} {}, {tables}, {}", facts.engine, facts.server_version, counted(rows, "row", "rows"))
        }
    }
}

/// With `--long`: what it consists of, and where that lies.
fn parts(text: &mut String, manifest: &Manifest) {
    for payload in &manifest.payloads {
        let content = content(payload);
        let _ = writeln!(
            text,
            "      {:<24} {:>10} stored, {content}, {}",
            payload.name,
            ByteSize(payload.bytes_stored),
            payload.object
        );
    }
    let stored: u64 = manifest.packs.iter().map(|pack| pack.bytes_stored).sum();
    let _ = writeln!(text, "      {} with {}", counted(manifest.packs.len() as u64, "pack", "packs"), ByteSize(stored));
}
