//! What is inside a snapshot, like `ls -l`.

use std::fmt::Write as _;

use chrono::{DateTime, Local};
use serde_json::{Value, json};
use shipshape_core::archive::entry::{Bytes, Entry, Kind, Time};
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::error::Failure;
use shipshape_core::run::Outcome;
use shipshape_core::signal;
use shipshape_core::units::{ByteSize, counted};

use crate::pick::Picked;
use crate::select::Snapshot;
use crate::unpack::{UnpackError, open_index, tars};

/// Lists a snapshot, or what of it matches a pattern.
pub(crate) fn list(snapshot: &Snapshot, glob: Option<&str>) -> Result<Outcome, Failure> {
    let patterns: Vec<String> = glob.map(str::to_owned).into_iter().collect();
    let picked = Picked::new(&snapshot.manifest, &[], &patterns)?;
    let mut listing = Listing::default();
    for_each(snapshot, &picked, |entry| listing.add(entry))?;
    picked.databases.iter().for_each(|payload| listing.add_database(payload));
    if listing.entries.is_empty() && listing.databases.is_empty() && glob.is_some() {
        return Err(picked.nothing().into());
    }
    let number = u64::try_from(listing.entries.len()).unwrap_or(u64::MAX);
    let summary = format!(
        "snapshot {} of {}: {}, {}",
        snapshot.manifest.id,
        snapshot.place,
        counted(number, "entry", "entries"),
        ByteSize(listing.bytes)
    );
    let data = json!({
        "snapshot": {"id": snapshot.manifest.id, "host": snapshot.place.host, "app": snapshot.place.app},
        "entries": listing.entries,
        "databases": listing.databases,
    });
    Ok(Outcome { data, text: listing.text, ..Outcome::ok(summary) })
}

/// Every entry that is picked: of files from the index, of the others from their headers.
fn for_each(snapshot: &Snapshot, picked: &Picked, mut take: impl FnMut(&Entry)) -> Result<(), UnpackError> {
    for payload in &picked.payloads {
        if payload.kind == PayloadKind::Files {
            let (mut index, _) = open_index(snapshot, payload)?;
            while let Some(entry) = index.next_entry()? {
                signal::check()?;
                if picked.takes(&entry) {
                    take(&entry);
                }
            }
        } else {
            let (mut members, _) = tars::open(snapshot, payload)?;
            while let Some(member) = members.next_member()? {
                signal::check()?;
                if picked.takes(&member.entry) {
                    take(&member.entry);
                }
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Listing {
    entries: Vec<Value>,
    databases: Vec<Value>,
    text: String,
    bytes: u64,
}

impl Listing {
    /// A database of a server, or what belongs to the whole server, with what the manifest knows of its tables.
    fn add_database(&mut self, payload: &Payload) {
        let Some(facts) = &payload.database else { return };
        let rows: u64 = facts.tables.values().sum();
        self.databases.push(json!({
            "name": payload.name,
            "engine": facts.engine,
            "service": facts.service,
            "server_version": facts.server_version,
            "bytes": payload.bytes_plain,
            "tables": facts.tables,
        }));
        let size = ByteSize(payload.bytes_plain);
        let _ = writeln!(self.text, "{}: {} {}, {size}", payload.name, facts.engine, facts.server_version);
        for (table, rows) in &facts.tables {
            let _ = writeln!(self.text, "  {rows:>12} {}", Bytes::from(table.as_bytes()).shown());
        }
        if !facts.tables.is_empty() {
            let tables = u64::try_from(facts.tables.len()).unwrap_or(u64::MAX);
            let all = counted(tables, "table", "tables");
            let _ = writeln!(self.text, "  {rows:>12} rows in {all}");
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.bytes += if entry.kind == Kind::File { entry.size } else { 0 };
        self.entries.push(json!({
            "path": entry.path,
            "kind": entry.kind,
            "mode": format!("{:04o}", entry.mode),
            "uid": entry.uid,
            "gid": entry.gid,
            "size": entry.size,
            "mtime": utc(entry.mtime).map(|time| time.to_rfc3339()),
            "link": entry.link,
        }));
        let _ = writeln!(self.text, "{}", line(entry));
    }
}

/// `-rw-r-----  1000  33        4096 2026-11-20 02:00 uploads/a.jpg`
fn line(entry: &Entry) -> String {
    let time = utc(entry.mtime).map(|time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string());
    let link = match (entry.kind, &entry.link) {
        (Kind::Symlink, Some(link)) => format!(" -> {}", link.shown()),
        (Kind::Hardlink, Some(link)) => format!(" = {}", link.shown()),
        _ => String::new(),
    };
    format!(
        "{} {:>5} {:>5} {:>12} {:<16} {}{link}",
        mode(entry),
        entry.uid,
        entry.gid,
        entry.size,
        time.unwrap_or_default(),
        entry.path.shown()
    )
}

fn utc(Time(seconds, nanoseconds): Time) -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp(seconds, nanoseconds)
}

/// The ten letters of `ls -l`.
fn mode(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File | Kind::Hardlink => '-',
        Kind::Dir => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
    };
    let bit = |bit: u32, letter: char| if entry.mode & bit == 0 { '-' } else { letter };
    let special = |bit: u32, run: u32, letter: char| match (entry.mode & bit != 0, entry.mode & run != 0) {
        (true, true) => letter,
        (true, false) => letter.to_ascii_uppercase(),
        (false, true) => 'x',
        (false, false) => '-',
    };
    [
        kind,
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        special(0o4000, 0o100, 's'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        special(0o2000, 0o010, 's'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        special(0o1000, 0o001, 't'),
    ]
    .iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::entry;

    #[test]
    fn modes_are_written_as_ls_does() {
        let shown = [0o644, 0o4755, 0o2644, 0o1777, 0]
            .map(|mode_bits| mode(&Entry { mode: mode_bits, ..entry("a", Kind::File) }));
        assert_eq!(shown, ["-rw-r--r--", "-rwsr-xr-x", "-rw-r-Sr--", "-rwxrwxrwt", "----------"]);
    }

    #[test]
    fn names_that_would_upset_a_terminal_are_escaped() {
        let path = b"a\x1b[31m\n\xff".as_slice().into();
        let shown = line(&Entry { path, ..entry("", Kind::File) });
        assert!(shown.ends_with(r" a\u{1b}[31m\n\xff"), "{shown}");
    }
}
