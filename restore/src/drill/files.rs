//! Files, single files and SQLite databases: unpacked, where each is compared with its hash, and counted on the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::{Part, unpack_into};
use crate::select::Snapshot;
use crate::stage::remove_tree;
use crate::target::{TargetError, path_of};
use crate::unpack::Unpacked;

/// The folder of the room where they come back.
const FOLDER: &str = "files";

/// What came back.
pub(super) struct Back {
    folder: PathBuf,
    result: Result<(Unpacked, Option<PathBuf>), Failure>,
    took: Duration,
}

/// Unpacks all that goes into folders.
pub(super) fn unpack(snapshot: &Snapshot, room: &Path, progress: &Progress) -> Result<Back, Failure> {
    let watch = Stopwatch::start();
    let folder = room.join(FOLDER);
    let result = unpack_into(snapshot, &folder, |kind| kind != PayloadKind::Database, progress);
    signal::check()?;
    Ok(Back { folder, result, took: watch.elapsed() })
}

impl Back {
    /// The folder, if everything is in it.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.result.is_ok().then_some(&self.folder)
    }

    /// The application's folder when it was backed up, if the snapshot says it.
    pub(super) fn from(&self) -> Option<&Path> {
        self.result.as_ref().ok()?.1.as_deref()
    }

    /// What came back, compared with the manifest.
    pub(super) fn compared(self, snapshot: &Snapshot) -> Result<Vec<Part>, Failure> {
        let payloads: Vec<&Payload> =
            snapshot.manifest.payloads.iter().filter(|payload| payload.kind != PayloadKind::Database).collect();
        if payloads.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Part {
            name: "files".to_owned(),
            kind: PayloadKind::Files,
            what: "files".to_owned(),
            bytes: 0,
            took: self.took,
            counts: Vec::new(),
            wrong: Vec::new(),
        };
        let unpacked = match &self.result {
            Ok((unpacked, _)) => unpacked,
            Err(refused) => {
                all.wrong.push(refused.to_string());
                return Ok(vec![all]);
            }
        };
        all.bytes = unpacked.bytes;
        all.counts = vec![("files", unpacked.files), ("folders", unpacked.folders)];
        all.wrong.extend(self.miscounted(unpacked, &payloads)?);
        let mut parts = vec![all];
        for payload in payloads.iter().filter(|payload| payload.kind == PayloadKind::Sqlite) {
            parts.push(self.sqlite(payload, unpacked)?);
        }
        Ok(parts)
    }

    /// Entries against the manifest, and what lies on the disk against what was written.
    fn miscounted(&self, unpacked: &Unpacked, payloads: &[&Payload]) -> Result<Vec<String>, Failure> {
        let expected: u64 = payloads.iter().map(|payload| payload.entries).sum();
        let passed_over = u64::try_from(unpacked.companions.len()).unwrap_or_default();
        let passed_over = passed_over + unpacked.linked.replaced;
        let found = unpacked.files + unpacked.folders + passed_over;
        let failed = |cause| TargetError::io("list", &self.folder, cause);
        let on_disk = count(&self.folder).map_err(failed)?;
        let differs = |what: &str, found: u64, expected: u64| {
            (found != expected).then(|| format!("{found} {what} came back instead of {expected}"))
        };
        let both = [differs("entries", found, expected), differs("files", on_disk, unpacked.files)];
        Ok(both.into_iter().flatten().collect())
    }

    /// A SQLite database, as SQLite sees it.
    fn sqlite(&self, payload: &Payload, unpacked: &Unpacked) -> Result<Part, Failure> {
        signal::check()?;
        let watch = Stopwatch::start();
        let verdicts = unpacked.paths_of(&payload.name).iter().map(|path| integrity(&self.folder.join(path_of(path))));
        let (mut tables, mut wrong) = (0, Vec::new());
        for verdict in verdicts {
            match verdict {
                Ok(found) => tables += found,
                Err(why) => wrong.push(why),
            }
        }
        Ok(Part {
            name: payload.name.clone(),
            kind: payload.kind,
            what: "sqlite".to_owned(),
            bytes: payload.bytes_plain,
            took: watch.elapsed(),
            counts: vec![("tables", tables)],
            wrong,
        })
    }
}

/// How many tables a database has, if it is sound.
fn integrity(path: &Path) -> Result<u64, String> {
    let ask = || -> rusqlite::Result<(String, u64)> {
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let verdict = database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let asked = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
        let tables: i64 = database.query_row(asked, [], |row| row.get(0))?;
        Ok((verdict, u64::try_from(tables).unwrap_or_default()))
    };
    match ask() {
        Ok((verdict, tables)) if verdict == "ok" => Ok(tables),
        Ok((verdict, _)) => Err(format!("its integrity check says: {verdict}")),
        Err(refused) => Err(format!("SQLite refuses it: {refused}")),
    }
}

/// Everything below a folder that is no folder.
fn count(folder: &Path) -> io::Result<u64> {
    let mut number = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        number += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(number)
}

/// Removes what may hold folders that their owner cannot write to. The rest goes with the lease.
pub(super) fn make_removable(room: &Path) {
    let _ = remove_tree(&room.join(FOLDER));
}
