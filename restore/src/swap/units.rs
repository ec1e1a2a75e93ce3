//! What is swapped: the fewest things, each as a whole, that leave everything in its place that must stay.
//!
//! | in the snapshot | live | what is done |
//! |---|---|---|
//! | something | nothing | it is brought in |
//! | folder | folder, complete, nothing in it stays | they are exchanged as a whole |
//! | folder | folder | child by child; the live folder gets the metadata |
//! | something | something else | they are exchanged, unless the live one holds something that stays: refused |
//! | nothing | something, in a complete source | it is put away, but what stays in it |
//! | nothing | something elsewhere | it stays |
//!
//! This only looks. The live side may change meanwhile, so what is swapped is opened again without following links, and
//! the journal has the inodes that were seen here.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, FileType};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::patterns::Is;
use shipshape_core::database::keeps_data_in;
use shipshape_core::signal;

use super::journal::{Act, Dressed, Inode, Unit};
use super::scope::Scope;
use crate::beneath::split;
use crate::metadata::Metadata;
use crate::stage::below;
use crate::target::{TargetError, path_of};

/// What is to be done in one domain.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What is swapped, in order.
    pub(crate) units: Vec<Unit>,
    /// Folders that stay and get the metadata of the snapshot, each before what is in it.
    pub(crate) dressed: Vec<Dressed>,
    /// Folders on both sides out of which or into which things are moved.
    pub(crate) opened: Vec<Vec<u8>>,
    /// What is in the snapshot and is left alone.
    pub(crate) left_alone: Vec<Vec<u8>>,
}

/// One domain: both sides of it.
pub(crate) struct Sides<'a> {
    /// Its number.
    pub(crate) domain: usize,
    /// Its path in the snapshot.
    pub(crate) prefix: &'a [u8],
    /// What is live.
    pub(crate) live: &'a Path,
    /// What was built.
    pub(crate) new: &'a Path,
    /// Paths of the snapshot in it that come back completely.
    pub(crate) complete: &'a [Vec<u8>],
    /// Folders below it that are not part of it: mount points, other domains.
    pub(crate) apart: &'a [PathBuf],
    /// Whether the live folder was made for this restore.
    pub(crate) is_fresh: bool,
}

/// Plans one domain.
pub(crate) fn plan(sides: &Sides<'_>, scope: &Scope) -> Result<Plan, TargetError> {
    let mut planner = Planner { sides, scope, holding: HashSet::new(), plan: Plan::default() };
    planner.find_what_stays()?;
    planner.folder(b"")?;
    Ok(planner.plan)
}

struct Planner<'a> {
    sides: &'a Sides<'a>,
    scope: &'a Scope,
    /// Live folders with something below them that stays.
    holding: HashSet<Vec<u8>>,
    plan: Plan,
}

impl Planner<'_> {
    /// Two folders that stay two: child by child.
    fn folder(&mut self, path: &[u8]) -> Result<(), TargetError> {
        signal::check()?;
        self.dress(path)?;
        self.plan.opened.push(path.to_vec());
        let staged = children(&self.built(path))?;
        let live = children(&self.live(path))?;
        let is_bare_mount = path.is_empty() && staged.is_empty() && !self.sides.prefix.is_empty();
        for (name, kind) in &staged {
            self.staged(&join(path, name), *kind, live.get(name).copied())?;
        }
        // A mount of which the snapshot has the point alone was not part of it.
        let gone = live.into_iter().filter(|(name, _)| !is_bare_mount && !staged.contains_key(name));
        for (name, kind) in gone {
            self.live_only(&join(path, &name), kind)?;
        }
        Ok(())
    }

    /// Something of the snapshot.
    fn staged(&mut self, path: &[u8], new: FileType, old: Option<FileType>) -> Result<(), TargetError> {
        if self.scope.is_untouchable(&self.snapshot(path), &self.live(path)) {
            self.plan.left_alone.push(self.snapshot(path));
            return Ok(());
        }
        match old {
            None => self.unit(path, Act::Bring),
            Some(old) if old.is_dir() && new.is_dir() => {
                if self.may_go_whole(path) {
                    self.unit(path, Act::Exchange)
                } else {
                    self.folder(path)
                }
            }
            Some(old) => {
                if let Some(why) = self.in_the_way(path, new, old) {
                    let path = Bytes(std::ffi::OsString::from(self.live(path)).into_vec()).shown();
                    return Err(TargetError::InTheWay { path, why });
                }
                self.unit(path, Act::Exchange)
            }
        }
    }

    /// Something that the snapshot lacks.
    fn live_only(&mut self, path: &[u8], kind: FileType) -> Result<(), TargetError> {
        let (snapshot, live) = (self.snapshot(path), self.live(path));
        let is = if kind.is_dir() { Is::Folder } else { Is::Other };
        if self.scope.is_stale(&snapshot) {
            return self.unit(path, Act::PutAway);
        }
        if !self.is_complete(&snapshot) || self.is_apart(&live) || self.scope.stays(&snapshot, &live, is) {
            return Ok(());
        }
        if !self.holds(path) {
            return self.unit(path, Act::PutAway);
        }
        for (name, kind) in children(&live)? {
            self.live_only(&join(path, &name), kind)?;
        }
        Ok(())
    }

    /// Whether a folder that is on both sides can be exchanged with all that is in it.
    fn may_go_whole(&self, path: &[u8]) -> bool {
        let snapshot = self.snapshot(path);
        self.is_complete(&snapshot) && !self.scope.only_for_content.contains(&snapshot) && !self.holds(path)
    }

    /// Whether a live folder, or something in it, stays.
    fn holds(&self, path: &[u8]) -> bool {
        let live = self.live(path);
        self.holding.contains(path) || self.is_apart(&live) || self.scope.stays(&self.snapshot(path), &live, Is::Folder)
    }

    /// Why a thing must not take the place of what is live there.
    fn in_the_way(&self, path: &[u8], new: FileType, old: FileType) -> Option<&'static str> {
        if self.is_apart(&self.live(path)) {
            Some("another file system or another source begins there")
        } else if old.is_dir() && self.holds(path) {
            Some("it is a folder with things in it that must stay, and the snapshot has none there")
        } else if new.is_dir() && self.scope.only_for_content.contains(&self.snapshot(path)) {
            Some("it is no folder, and the snapshot has one there")
        } else {
            None
        }
    }

    /// Remembers who the two things are that change places, for the journal.
    fn unit(&mut self, path: &[u8], act: Act) -> Result<(), TargetError> {
        let staged = (act != Act::PutAway).then(|| inode(&self.built(path))).transpose()?;
        let live = (act != Act::Bring).then(|| inode(&self.live(path))).transpose()?;
        self.plan.units.push(Unit { domain: self.sides.domain, path: path.into(), act, staged, live });
        Ok(())
    }

    /// A folder that stays gets the metadata that it has in the snapshot.
    fn dress(&mut self, path: &[u8]) -> Result<(), TargetError> {
        let is_meant = !self.scope.only_for_content.contains(&self.snapshot(path));
        if !(is_meant || path.is_empty() && self.sides.is_fresh) {
            return Ok(());
        }
        let before = metadata(&self.live(path))?;
        let after = metadata(&self.built(path))?;
        self.plan.dressed.push(Dressed { domain: self.sides.domain, path: path.into(), before, after });
        Ok(())
    }

    /// Finds the live folders with something below them that stays, once for all.
    fn find_what_stays(&mut self) -> Result<(), TargetError> {
        let live = |folder: &Path| folder.strip_prefix(self.sides.live).ok().map(|below| bytes(below.to_owned()));
        let known = self.scope.known_to_stay().filter_map(|path| below(path, self.sides.prefix));
        let known = known.filter(|path| fs::symlink_metadata(self.live(path)).is_ok()).map(<[u8]>::to_vec);
        let fixed = self.sides.apart.iter().chain(&self.scope.untouchable).filter_map(|folder| live(folder));
        let fixed: Vec<Vec<u8>> = known.chain(fixed).collect();
        for path in fixed {
            self.hold(&path);
        }
        let pinned: Vec<Vec<u8>> = self.scope.pinned.iter().filter_map(|folder| live(folder)).collect();
        for path in pinned.into_iter().filter(|path| !path.is_empty()) {
            self.hold(&path);
            self.holding.insert(path);
        }
        self.look_into(b"")
    }

    /// Only what could be moved is looked into.
    fn look_into(&mut self, path: &[u8]) -> Result<(), TargetError> {
        signal::check()?;
        for (name, kind) in children(&self.live(path))? {
            let child = join(path, &name);
            let snapshot = self.snapshot(&child);
            let is = if kind.is_dir() { Is::Folder } else { Is::Other };
            let is_live_data = || kind.is_dir() && keeps_data_in(&self.live(&child)).is_some();
            if self.scope.excluded.matches(&snapshot, is) || is_live_data() {
                self.hold(&child);
            } else if kind.is_dir() && (self.is_complete(&snapshot) || self.is_staged(&child)) {
                self.look_into(&child)?;
            }
        }
        Ok(())
    }

    /// Remembers the folders above something that stays.
    fn hold(&mut self, path: &[u8]) {
        let mut above = split(path).0;
        while !above.is_empty() && self.holding.insert(above.to_vec()) {
            above = split(above).0;
        }
    }

    fn is_staged(&self, path: &[u8]) -> bool {
        fs::symlink_metadata(self.built(path)).is_ok()
    }

    fn is_apart(&self, live: &Path) -> bool {
        self.sides.apart.iter().any(|folder| folder == live)
    }

    /// Whether a path lies in what comes back completely.
    fn is_complete(&self, snapshot: &[u8]) -> bool {
        self.sides.complete.iter().any(|root| below(snapshot, root).is_some())
    }

    fn live(&self, path: &[u8]) -> PathBuf {
        self.sides.live.join(path_of(path))
    }

    fn built(&self, path: &[u8]) -> PathBuf {
        self.sides.new.join(path_of(path))
    }

    fn snapshot(&self, path: &[u8]) -> Vec<u8> {
        join(self.sides.prefix, path)
    }
}

/// `a/b`; either may be empty.
fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match (folder, name) {
        (b"", name) => name.to_vec(),
        (folder, b"") => folder.to_vec(),
        (folder, name) => [folder, name].join(&b'/'),
    }
}

fn bytes(path: PathBuf) -> Vec<u8> {
    path.into_os_string().into_vec()
}

/// What a folder holds, in order; one that is not there holds nothing.
fn children(folder: &Path) -> Result<BTreeMap<Vec<u8>, FileType>, TargetError> {
    let failed = |cause| TargetError::io("list", folder, cause);
    let entries = match fs::read_dir(folder) {
        Err(refused) if refused.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(failed)?,
    };
    entries
        .map(|entry| {
            let entry = entry.map_err(failed)?;
            Ok((entry.file_name().into_vec(), entry.file_type().map_err(failed)?))
        })
        .collect()
}

fn inode(path: &Path) -> Result<Inode, TargetError> {
    let found = fs::symlink_metadata(path).map_err(|cause| TargetError::io("look at", path, cause))?;
    Ok(Inode(found.dev(), found.ino()))
}

fn metadata(folder: &Path) -> Result<Metadata, TargetError> {
    let read = fs::File::open(folder).and_then(|opened| Metadata::read(opened.as_fd()));
    read.map_err(|cause| TargetError::io("read the metadata of", folder, cause))
}
