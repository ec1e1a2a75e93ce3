//! Finding out what there is: databases by their header, single configuration files by their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::{Bytes, Entry, Kind};
use shipshape_core::archive::index::Root;
use shipshape_core::archive::patterns::{Is, Patterns};

use super::config::ConfigFile;
use crate::cache::Database;
use crate::facts::entry_of;
use crate::walk::{Met, Walk, path_in_index};

/// The first bytes of every SQLite database (sqlite.org/fileformat2.html, section 1.3).
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// The smallest page of one, which its size is a multiple of.
const SMALLEST_PAGE: u64 = 512;
/// What SQLite keeps beside a database. Copied apart from it they do harm.
const COMPANIONS: [&[u8]; 3] = [b"-wal", b"-shm", b"-journal"];
/// Larger files are no configuration, whatever their names.
pub(crate) const CONFIG_LIMIT: u64 = 16 * 1024 * 1024;

/// What a file is to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the tree of files.
    Plain,
    /// A single configuration file.
    Config,
    /// A database that has its own payload.
    Database,
    /// What SQLite keeps beside a database.
    Companion,
}

/// What is known so far, to tell roles by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Path in the index of each database, with its payload's name.
    pub(crate) databases: BTreeMap<Bytes, String>,
    /// Names of payloads that are none of these: of databases of servers.
    pub(crate) reserved: BTreeSet<String>,
    /// Names of configuration files.
    pub(crate) config: Patterns,
    /// Paths in the index of further ones: what the stack needs to start.
    pub(crate) files: BTreeSet<Bytes>,
    /// What is taken as files.
    pub(crate) taken: Taken,
}

/// What is taken as files, to tell whether something is among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// The trees.
    pub(crate) roots: Vec<Root>,
    /// What is left out of them.
    pub(crate) exclude: Patterns,
}

impl Taken {
    /// Whether a file is taken, given by its path without links.
    pub(crate) fn has(&self, file: &Path) -> bool {
        let in_root = |root: &Root| file.starts_with(root.source()).then(|| path_in_index(root, file));
        self.roots.iter().filter_map(in_root).any(|path| !self.exclude.covers(&path, Is::Other))
    }
}

impl Known {
    /// The role of an entry that has so many names. A configuration file with several stays among the files, where its
    /// names come back as names of one file.
    pub(crate) fn role(&self, entry: &Entry, names: u64) -> Role {
        if entry.kind != Kind::File {
            return Role::Plain;
        }
        let path = &entry.path.0;
        let owner = COMPANIONS.iter().find_map(|end| path.strip_suffix(*end));
        if self.databases.contains_key(&entry.path) {
            Role::Database
        } else if owner.is_some_and(|owner| self.databases.contains_key(&Bytes(owner.to_vec()))) {
            Role::Companion
        } else if names < 2 && entry.size <= CONFIG_LIMIT && self.is_config(&entry.path) {
            Role::Config
        } else {
            Role::Plain
        }
    }

    fn is_config(&self, path: &Bytes) -> bool {
        self.config.matches(&path.0, Is::Other) || self.files.contains(path)
    }

    /// The configuration file that an entry stands for, if it is a link to one that is not taken otherwise: whoever keeps
    /// `.env` elsewhere and links to it needs it as much. The link itself is part of the tree of files.
    pub(crate) fn linked(&self, entry: &Entry, source: &Path) -> Option<ConfigFile> {
        if entry.kind != Kind::Symlink || !self.is_config(&entry.path) {
            return None;
        }
        let target = match source.canonicalize() {
            // Whoever reads it next will say so.
            Err(refused) if refused.kind() == std::io::ErrorKind::PermissionDenied => {
                let entry = Entry { kind: Kind::File, ..entry.clone() };
                return Some(ConfigFile { entry, source: source.to_owned() });
            }
            found => found.ok().filter(|target| !self.taken.has(target))?,
        };
        let facts = target.metadata().ok().filter(|facts| facts.is_file() && facts.len() <= CONFIG_LIMIT)?;
        let entry = entry_of(&entry.path.0, &facts).filter(|_| !is_database(&target))?;
        Some(ConfigFile { entry, source: target })
    }

    /// Adds a database under a name that no other payload has: its file's stem, else its whole path.
    pub(crate) fn add(&mut self, path: Bytes) -> String {
        let taken = |name: &str| {
            matches!(name, "files" | "config")
                || self.reserved.contains(name)
                || self.databases.values().any(|other| other == name)
        };
        let stem = plain_name(
            Path::new(&*path.shown()).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default().as_ref(),
        );
        let mut name = stem;
        if taken(&name) {
            name = plain_name(&path.shown());
        }
        let mut number = 2;
        while taken(&name) {
            name = format!("{}-{number}", plain_name(&path.shown()));
            number += 1;
        }
        self.databases.insert(path, name.clone());
        name
    }

    /// The databases as the cache remembers them.
    pub(crate) fn databases(&self) -> Vec<Database> {
        self.databases.iter().map(|(path, name)| Database { name: name.clone(), path: path.clone() }).collect()
    }
}

/// A name that can stand in a key and on a command line.
fn plain_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(plain).take(100).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "database".to_owned() } else { name.to_owned() }
}

/// Whether a file can be a database: cheap, so that nearly none has to be opened.
pub(crate) fn may_be_database(entry: &Entry) -> bool {
    entry.kind == Kind::File && entry.size >= SMALLEST_PAGE && entry.size.is_multiple_of(SMALLEST_PAGE)
}

/// Whether a file begins as a database does. What cannot be read is none: whoever reads it next will say so.
pub(crate) fn is_database(path: &Path) -> bool {
    let mut header = [0; SQLITE_HEADER.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok() && header == *SQLITE_HEADER
}

/// What a first look over everything found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Databases that were not known, with where they are.
    pub(crate) databases: Vec<(Bytes, PathBuf)>,
    /// Content of all files, in bytes.
    pub(crate) bytes: u64,
    /// All files.
    pub(crate) files: u64,
}

/// Walks over everything without reading any content but the first bytes of what may be a database.
pub(crate) fn look_over(walk: Walk<'_>, known: &Known) -> Found {
    let mut found = Found::default();
    for met in walk {
        let Met::Entry { entry, source, names, .. } = met else { continue };
        if entry.kind == Kind::File {
            found.files += 1;
            found.bytes += entry.size;
        }
        if known.role(&entry, names) == Role::Plain && may_be_database(&entry) && is_database(&source) {
            found.databases.push((entry.path, source));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        let mut known = Known::default();
        paths.iter().map(|path| known.add(path.as_bytes().into())).collect()
    }

    #[test]
    fn a_database_is_named_after_its_file_unless_that_is_taken() {
        assert_eq!(names(&["data/app.db", "old/app.db", "files.sqlite"]), ["app", "old-app.db", "files.sqlite"]);
    }

    #[test]
    fn odd_names_become_plain_ones() {
        assert_eq!(names(&["data/my app's.db", "data/.db", "x/.db"]), ["my-app-s", "db", "x-.db"]);
    }
}
