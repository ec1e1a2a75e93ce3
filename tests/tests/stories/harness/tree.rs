//! A tree of files as it was at a moment, to be compared with another.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use walkdir::WalkDir;

/// Everything that a restore must bring back, by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<PathBuf, Node>);

/// One thing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    xattrs: BTreeMap<OsString, Vec<u8>>,
    /// For files with several names: the first of them here.
    first_name: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    File { size: u64, blake3: String, holes: bool },
    Dir,
    Symlink(PathBuf),
    Fifo,
    Socket,
    Device,
}

impl Tree {
    /// The folder and all below it.
    pub(crate) fn of(folder: &Path) -> Self {
        let (mut nodes, mut names) = (BTreeMap::new(), BTreeMap::new());
        for entry in WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            let facts = entry.metadata().unwrap();
            let mut node = Node::of(entry.path(), &facts);
            if facts.is_file() && facts.nlink() > 1 {
                node.first_name = Some(names.entry((facts.dev(), facts.ino())).or_insert_with(|| path.clone()).clone());
            }
            nodes.insert(path, node);
        }
        Self(nodes)
    }

    /// The same without what is at or below these paths, and without what lies beside a database.
    pub(crate) fn without(mut self, paths: &[&str]) -> Self {
        self.0.retain(|path, _| !paths.iter().any(|left_out| path.starts_with(left_out)));
        self
    }

    /// The same without looking at the times of folders, which change when something in them comes or goes.
    pub(crate) fn without_times_of_folders(mut self) -> Self {
        for node in self.0.values_mut().filter(|node| node.kind == Kind::Dir) {
            node.mtime = (0, 0);
        }
        self
    }

    /// The same with times to the second.
    pub(crate) fn cut_to_the_second(mut self) -> Self {
        self.0.values_mut().for_each(|node| node.mtime.1 = 0);
        self
    }

    /// The hashes of all files that are not empty.
    pub(crate) fn contents(&self) -> Vec<String> {
        let hash = |node: &Node| match &node.kind {
            Kind::File { size: 1.., blake3, .. } => Some(blake3.clone()),
            _ => None,
        };
        self.0.values().filter_map(hash).collect()
    }

    /// How many things are in it.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Demands that the other is the same, and names what is not.
    #[track_caller]
    pub(crate) fn equals(&self, other: &Self) {
        let differences = self.differences(other);
        assert!(differences.is_empty(), "the trees differ:\n{differences}");
    }

    /// A line for each thing that is only in one of them, or otherwise in the other.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let mut told = String::new();
        for (path, node) in &self.0 {
            let shown = path.to_string_lossy().escape_debug().to_string();
            match other.0.get(path) {
                None => writeln!(told, "{shown} is missing").unwrap(),
                Some(found) if found != node => writeln!(told, "{shown} was {node:?}\n    and is {found:?}").unwrap(),
                Some(_) => {}
            }
        }
        for path in other.0.keys().filter(|path| !self.0.contains_key(*path)) {
            writeln!(told, "{} is new", path.to_string_lossy().escape_debug()).unwrap();
        }
        told
    }
}

impl Node {
    fn of(path: &Path, facts: &fs::Metadata) -> Self {
        Self {
            kind: Kind::of(path, facts),
            mode: facts.mode() & 0o7777,
            owner: (facts.uid(), facts.gid()),
            mtime: (facts.mtime(), facts.mtime_nsec()),
            xattrs: xattrs(path),
            first_name: None,
        }
    }
}

impl Kind {
    fn of(path: &Path, facts: &fs::Metadata) -> Self {
        let kind = facts.file_type();
        if kind.is_dir() {
            Self::Dir
        } else if kind.is_symlink() {
            Self::Symlink(fs::read_link(path).unwrap())
        } else if kind.is_file() {
            let holes = facts.blocks() * 512 < facts.len();
            Self::File { size: facts.len(), blake3: hash(path), holes }
        } else if kind.is_fifo() {
            Self::Fifo
        } else if kind.is_socket() {
            Self::Socket
        } else {
            Self::Device
        }
    }
}

fn hash(path: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut fs::File::open(path).unwrap(), &mut hasher).unwrap();
    hasher.finalize().to_hex().to_string()
}

fn xattrs(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = Vec::with_capacity(64 * 1024);
    rustix::fs::llistxattr(path, spare_capacity(&mut names)).unwrap();
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| (std::ffi::OsStr::from_bytes(name).to_owned(), xattr(path, name))).collect()
}

fn xattr(path: &Path, name: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(64 * 1024);
    rustix::fs::lgetxattr(path, name, spare_capacity(&mut value)).unwrap();
    value
}
