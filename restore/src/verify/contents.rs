//! What the content of an object must be like.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use shipshape_core::archive::entry::{Bytes, Entry, Hash, Kind};
use shipshape_core::archive::index::IndexReader;
use shipshape_core::archive::manifest::Payload;
use shipshape_core::archive::unseal::{Plain, UnsealError};
use shipshape_core::database::dump::{self, Scanner};
use shipshape_core::signal;

use crate::beneath;
use crate::content::{CHUNK, fill};
use crate::members::{Content, Members, Origin};
use crate::proof::Proof;
use crate::unpack::UnpackError;

/// A file that an index wants of a pack. 56 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    /// Number of the pack.
    pub(super) pack: u32,
    offset: u64,
    size: u64,
    hash: Hash,
}

/// A payload that is a tar; returns the SHA-256 of all of it.
pub(super) fn tar(plain: Plain, key: &str) -> Result<Option<String>, UnpackError> {
    let (reader, proof) = Proof::of(plain);
    let mut members = Members::new(reader, key, Origin::Store);
    let mut buffer = vec![0; CHUNK];
    while let Some(member) = members.next_member()? {
        hash(&mut members.content(member), &mut buffer)?;
    }
    members.finish()?;
    sha256_of(proof, key)
}

/// A dump, which must have its own end mark, and as many rows of each table as the manifest says. Returns the SHA-256 of
/// all of it.
pub(super) fn sql_or_rdb(plain: Plain, key: &str, payload: &Payload) -> Result<Option<String>, UnpackError> {
    let (mut reader, proof) = Proof::of(plain);
    let Some(facts) = &payload.database else {
        let why = "it does not say what the dump is of".to_owned();
        return Err(UnpackError::NotTheManifests { object: key.to_owned(), why });
    };
    let content = if facts.globals { dump::Content::Globals } else { dump::Content::Database };
    let mut scanner = Scanner::new(facts.engine, content);
    let mut buffer = vec![0; CHUNK];
    loop {
        signal::check()?;
        let broken = |cause| UnsealError::Damaged { object: key.to_owned(), cause };
        let length = fill(&mut reader, &mut buffer).map_err(broken)?;
        scanner.feed(&buffer[..length]);
        if length < buffer.len() {
            break;
        }
    }
    let seen = scanner.finish().map_err(|source| UnpackError::Dump { object: key.to_owned(), source })?;
    let differs = facts.tables.iter().find(|(table, rows)| seen.tables.get(*table) != Some(rows));
    if let Some((table, rows)) = differs {
        let found = seen.tables.get(table).copied().unwrap_or_default();
        let why = format!("{table} has {found} rows instead of {rows}");
        return Err(UnpackError::NotTheManifests { object: key.to_owned(), why });
    }
    sha256_of(proof, key)
}

/// An index; adds what it wants of packs, whose numbers are given by name. Returns the SHA-256 of all of it.
pub(super) fn index(
    plain: Plain,
    key: &str,
    packs: &HashMap<&str, u32>,
    wanted: &mut Vec<Wanted>,
) -> Result<Option<String>, UnpackError> {
    let (reader, proof) = Proof::of(plain);
    let mut index = IndexReader::new(reader)?;
    let mut neighbours = Neighbours::default();
    while let Some(entry) = index.next_entry()? {
        signal::check()?;
        if let Err(why) = neighbours.accept(&entry) {
            let (object, path) = (key.to_owned(), entry.path.shown());
            return Err(UnpackError::Altered { object, path, why });
        }
        let (Kind::File, Some(stored)) = (entry.kind, &entry.stored) else { continue };
        let Some(pack) = packs.get(stored.pack.as_str()).copied() else {
            let (object, path) = (key.to_owned(), entry.path.shown());
            return Err(UnpackError::Altered { object, path, why: "its pack is not in the manifest" });
        };
        wanted.push(Wanted { pack, offset: stored.offset, size: entry.size, hash: stored.blake3 });
    }
    sha256_of(proof, key)
}

/// What entries must be to each other: whatever a restore would refuse is not whole.
#[derive(Default)]
struct Neighbours {
    /// The last entry that is no folder. What lies below it would come next.
    last: Vec<u8>,
    /// Files so far, each by a few bytes of a hash: a link must lead to one of them. Half a million take 9 MiB.
    files: HashSet<[u8; 8]>,
}

impl Neighbours {
    fn accept(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let path = &entry.path.0;
        if beneath::check(path).is_err() {
            return Err("its path leaves the folder");
        }
        if !self.last.is_empty() && path.strip_prefix(self.last.as_slice()).is_some_and(|rest| rest.starts_with(b"/")) {
            return Err("it lies below what is no folder");
        }
        if entry.kind != Kind::Dir {
            self.last.clone_from(path);
        }
        match (entry.kind, &entry.link) {
            (Kind::File, _) if entry.stored.is_none() && entry.size > 0 => return Err("it has no content"),
            (Kind::File, _) => drop(self.files.insert(short(path))),
            (Kind::Hardlink, Some(first)) if self.files.contains(&short(&first.0)) => {}
            (Kind::Hardlink, _) => return Err("it is a further name of what is not there"),
            (Kind::Dir | Kind::Symlink | Kind::Fifo, _) => {}
        }
        Ok(())
    }
}

fn short(path: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&blake3::hash(path).as_bytes()[..8]);
    short
}

/// A pack, of which this is wanted; in order.
pub(super) fn pack(plain: Plain, key: &str, wanted: &[Wanted]) -> Result<Option<String>, UnpackError> {
    let mut members = Members::new(plain, key, Origin::Store);
    let mut buffer = vec![0; CHUNK];
    for same in wanted.chunk_by(|a, b| a.offset == b.offset) {
        let Some(first) = same.first() else { continue };
        let found = hash(&mut members.file_at(first.offset)?, &mut buffer)?;
        if same.iter().any(|wanted| (wanted.size, wanted.hash) != found) {
            let path = Bytes(format!("the file at byte {}", first.offset).into_bytes()).shown();
            return Err(UnpackError::Altered { object: key.to_owned(), path, why: "its BLAKE3 differs" });
        }
    }
    members.finish()?;
    Ok(None)
}

fn hash<R: Read>(content: &mut Content<'_, R>, buffer: &mut [u8]) -> Result<(u64, Hash), UnpackError> {
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    loop {
        signal::check()?;
        let length = fill(content, buffer).map_err(|cause| content.fault(cause))?;
        hasher.update(&buffer[..length]);
        size += length as u64;
        if length < buffer.len() {
            return Ok((size, Hash(*hasher.finalize().as_bytes())));
        }
    }
}

fn sha256_of(proof: Proof, key: &str) -> Result<Option<String>, UnpackError> {
    let failed = |cause| UnpackError::Content { object: key.to_owned(), path: "its end".to_owned(), cause };
    Ok(Some(proof.finish().map_err(failed)?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    use shipshape_core::archive::manifest::{DatabaseFacts, PayloadKind};
    use shipshape_core::database::Engine;
    use shipshape_core::error::Explain;

    const DUMP: &str = "-- MariaDB dump 10.19  Distrib 11.8.6-MariaDB, for debian-linux-gnu (x86_64)\n--\n\
        CREATE TABLE `t` (\n  `a` int(11)\n) ENGINE=InnoDB;\nINSERT INTO `t` VALUES\n(1),\n(2);\n-- Dump completed\n";

    fn payload(rows: u64) -> Payload {
        let tables = [("t".to_owned(), rows)].into();
        let facts = DatabaseFacts { tables, ..DatabaseFacts::new(Engine::Mariadb, "shop", "db") };
        Payload {
            name: "shop".to_owned(),
            kind: PayloadKind::Database,
            object: "database-shop.sql".to_owned(),
            bytes_plain: 0,
            bytes_stored: 0,
            sha256_plain: String::new(),
            sha256_stored: String::new(),
            entries: 1,
            database: Some(facts),
        }
    }

    fn verdict(text: &'static str, rows: u64) -> Result<Option<String>, &'static str> {
        sql_or_rdb(Box::new(text.as_bytes()), "x", &payload(rows)).map_err(|refused| refused.code())
    }

    #[test]
    fn a_dump_is_whole_only_with_its_end_mark_and_the_rows_of_the_manifest() {
        assert!(verdict(DUMP, 2).unwrap().is_some());
        assert_eq!(verdict(DUMP, 3), Err("store.damaged"));
        assert_eq!(verdict(&DUMP[..DUMP.len() - 20], 2), Err("dump.cut"));
        assert_eq!(verdict("", 2), Err("dump.empty"));
    }
}
