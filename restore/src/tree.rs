//! The tree that is being built in the staging folders: its folders, and what is made in them without content.
//!
//! Folders are made 0700 and get their metadata last: until then this user must be able to write into them, and every
//! name that is made in one changes its time. Everything is made by its name in an open folder that was reached without
//! following a link, and made anew: `O_EXCL`, `mkdirat`, `symlinkat` never go through something that is there already.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, mkdirat, mknodat, openat, symlinkat, unlinkat};
use rustix::io::Errno;
use shipshape_core::archive::entry::Entry;

use crate::beneath::{Hostile, check, split};
use crate::metadata::{Attribute, Metadata};
use crate::stage::Stage;
use crate::target::{TargetError, path_of};

/// A folder of the tree, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FolderId(u32);

/// Why a folder is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is restored.
    Itself,
    /// Only something below it is; but how it was is known.
    ForItsContent,
}

#[derive(Debug)]
struct Folder {
    /// In the snapshot.
    path: Box<[u8]>,
    domain: u32,
    /// How many bytes of the path are the domain's, with the slash.
    above: u32,
    metadata: Option<Box<Metadata>>,
    is_wanted: bool,
}

impl Folder {
    /// Below its domain; empty for the domain itself.
    fn below(&self) -> &[u8] {
        self.path.get(self.above as usize..).unwrap_or_default()
    }
}

/// What an earlier member of the same name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twice {
    /// Nothing good: an index names each path once.
    Refuse,
    /// It was appended to the archive later, and wins.
    Replace,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree<'s> {
    stage: &'s Stage,
    folders: Vec<Folder>,
    known: HashMap<Box<[u8]>, FolderId>,
    last: Handle,
    twice: Twice,
}

/// The folder that was used last, held open: most names are in the same one as the name before.
#[derive(Debug, Default)]
pub(crate) struct Handle(Option<(FolderId, OwnedFd)>);

impl<'s> Tree<'s> {
    /// An empty one.
    pub(crate) fn new(stage: &'s Stage, twice: Twice) -> Self {
        Self { stage, folders: Vec::new(), known: HashMap::new(), last: Handle::default(), twice }
    }

    /// Where it is built.
    pub(crate) fn stage(&self) -> &'s Stage {
        self.stage
    }

    /// The folder that holds `path`, made if it is missing, and the name in it.
    pub(crate) fn place<'p>(&mut self, path: &'p [u8]) -> Result<(FolderId, &'p [u8]), TargetError> {
        check(path)?;
        let (above, name) = split(path);
        if name == b"." {
            return Err(Hostile::new(path, "is no folder").into());
        }
        Ok((self.folder(above)?, name))
    }

    /// A folder with its metadata.
    pub(crate) fn add_folder(&mut self, entry: &Entry, wanted: Wanted) -> Result<(), TargetError> {
        check(&entry.path.0)?;
        let path: &[u8] = if entry.path.0 == b"." { b"" } else { &entry.path.0 };
        let FolderId(id) = self.folder(path)?;
        let folder = &mut self.folders[id as usize];
        folder.metadata = Some(Box::new(Metadata { basics: entry.into(), attributes: entry.xattrs.clone() }));
        folder.is_wanted |= wanted == Wanted::Itself;
        Ok(())
    }

    /// A symbolic link. Where it leads is not looked at.
    pub(crate) fn add_symlink(&mut self, entry: &Entry) -> Result<(), TargetError> {
        let target = entry.link.clone().unwrap_or_default();
        self.add(entry, false, |folder, name| symlinkat(target.0.as_slice(), folder, name))
    }

    /// A named pipe.
    pub(crate) fn add_fifo(&mut self, entry: &Entry) -> Result<(), TargetError> {
        self.add(entry, true, |folder, name| mknodat(folder, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0))
    }

    /// A further name of the file at `target`. Returns whether it could be made: not across file systems.
    pub(crate) fn add_link(&mut self, path: &[u8], target: &[u8]) -> Result<bool, TargetError> {
        check(target)?;
        let (id, name) = self.place(path)?;
        let failed = |cause: Errno| TargetError::io("link", path_of(path), cause);
        let (domain, below) = self.stage.route(target);
        let (above, target_name) = split(below);
        let from = self.stage.staged(domain)?.new.folder(above).map_err(|e| TargetError::beneath("open", target, e))?;
        let twice = self.twice;
        let to = self.handle(id)?;
        match making(twice, to, name, |to, name| linkat(&from, target_name, to, name, AtFlags::empty())) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV) => Ok(false),
            Err(Errno::NOENT) => Err(Hostile::new(path, "is a hard link to what is not in the archive").into()),
            Err(refused) => Err(failed(refused)),
        }
    }

    /// A new file, private and empty.
    pub(crate) fn add_file(&mut self, path: &[u8]) -> Result<File, TargetError> {
        let (id, name) = self.place(path)?;
        let twice = self.twice;
        let folder = self.handle(id)?;
        let mut made = None;
        let created = making(twice, folder, name, |folder, name| {
            made = Some(create(folder, name)?);
            Ok(())
        });
        refuse_twice(created, path)?;
        made.ok_or_else(|| TargetError::io("create", path_of(path), std::io::ErrorKind::NotFound))
    }

    /// The folders that are there only because something below them is restored.
    pub(crate) fn only_for_content(&self) -> HashSet<Vec<u8>> {
        self.folders.iter().filter(|folder| !folder.is_wanted).map(|folder| folder.path.to_vec()).collect()
    }

    /// Puts their metadata on all folders, the deepest first: afterwards nothing changes their times any more, and none
    /// needs to be entered that is closed by then.
    pub(crate) fn dress_folders(&self) -> Result<(), TargetError> {
        let dresser = self.stage.dresser()?;
        for folder in self.folders.iter().rev() {
            shipshape_core::signal::check()?;
            let root = &self.stage.staged(folder.domain as usize)?.new;
            let opened =
                root.folder_itself(folder.below()).map_err(|e| TargetError::beneath("open", &folder.path, e))?;
            let done = match &folder.metadata {
                Some(metadata) => dresser.existing(opened.as_fd(), metadata),
                None => rustix::fs::fchmod(&opened, UNKNOWN_MODE).map_err(Into::into),
            };
            done.map_err(|cause| TargetError::io("set the metadata of", path_of(&folder.path), cause))?;
        }
        Ok(())
    }

    /// A handle of a folder, from one that a worker keeps for itself.
    pub(crate) fn handle_with<'h>(&self, last: &'h mut Handle, id: FolderId) -> Result<BorrowedFd<'h>, TargetError> {
        let kept = last.0.take().filter(|(kept, _)| *kept == id);
        let handle = match kept {
            Some(handle) => handle,
            None => (id, self.open(id)?),
        };
        Ok(last.0.insert(handle).1.as_fd())
    }

    /// The path of a folder in the snapshot; empty for the application's own.
    pub(crate) fn path(&self, FolderId(id): FolderId) -> &[u8] {
        &self.folders[id as usize].path
    }

    /// The handle of a folder, from the one that is held open if it is the same.
    fn handle(&mut self, id: FolderId) -> Result<BorrowedFd<'_>, TargetError> {
        let mut last = std::mem::take(&mut self.last);
        let opened = self.handle_with(&mut last, id).map(drop);
        self.last = last;
        opened?;
        // It was just put there.
        match &self.last.0 {
            Some((_, handle)) => Ok(handle.as_fd()),
            None => Err(TargetError::io("open", path_of(self.path(id)), std::io::ErrorKind::NotFound)),
        }
    }

    fn open(&self, FolderId(id): FolderId) -> Result<OwnedFd, TargetError> {
        let folder = &self.folders[id as usize];
        let root = &self.stage.staged(folder.domain as usize)?.new;
        root.folder(folder.below()).map_err(|refused| TargetError::beneath("open", &folder.path, refused))
    }

    fn add(
        &mut self,
        entry: &Entry,
        has_mode: bool,
        make: impl FnMut(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<()>,
    ) -> Result<(), TargetError> {
        let path = &entry.path.0;
        let (id, name) = self.place(path)?;
        let dresser = self.stage.dresser()?;
        let twice = self.twice;
        let folder = self.handle(id)?;
        refuse_twice(making(twice, folder, name, make), path)?;
        let done = dresser.nameless(folder, name, entry, has_mode);
        done.map_err(|cause| TargetError::io("set the metadata of", path_of(path), cause))
    }

    /// The folder at `path` (empty: the application's), made with all that are missing above it.
    fn folder(&mut self, path: &[u8]) -> Result<FolderId, TargetError> {
        if let Some(id) = self.known.get(path) {
            return Ok(*id);
        }
        let (domain, below) = self.stage.route(path);
        let above = path.len() - below.len();
        let mut folder = self.register(&path[..above], domain, above)?;
        let ends = below.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain((!below.is_empty()).then_some(below.len())) {
            folder = self.child(folder, &path[..above + end], domain, above)?;
        }
        Ok(folder)
    }

    /// A folder in a folder. Where something else has its name, the path leads through a link or a file.
    fn child(&mut self, parent: FolderId, path: &[u8], domain: usize, above: usize) -> Result<FolderId, TargetError> {
        if let Some(id) = self.known.get(path) {
            return Ok(*id);
        }
        let (_, name) = split(path);
        match mkdirat(self.handle(parent)?, name, Mode::RWXU) {
            Err(Errno::EXIST) => Err(Hostile::new(path, "leads through a link or a file").into()),
            Err(refused) => Err(TargetError::io("create", path_of(path), refused)),
            Ok(()) => self.register(path, domain, above),
        }
    }

    /// Remembers a folder that is there; of a domain, the folder of its new side.
    fn register(&mut self, path: &[u8], domain: usize, above: usize) -> Result<FolderId, TargetError> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if let Some(id) = self.known.get(path) {
            return Ok(*id);
        }
        self.stage.staged(domain)?;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let id = FolderId(number(self.folders.len()));
        self.folders.push(Folder {
            path: path.into(),
            domain: number(domain),
            above: number(above),
            metadata: None,
            is_wanted: false,
        });
        self.known.insert(path.into(), id);
        Ok(id)
    }
}

/// For folders of which nothing is known: as `mkdir` makes them.
const UNKNOWN_MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes something under a new name in a folder.
fn making(
    twice: Twice,
    folder: BorrowedFd<'_>,
    name: &[u8],
    mut make: impl FnMut(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    match make(folder, name) {
        Err(Errno::EXIST) if twice == Twice::Replace => {
            unlinkat(folder, name, AtFlags::empty())?;
            make(folder, name)
        }
        other => other,
    }
}

/// What is in an index twice was not written by `backup`.
fn refuse_twice(made: rustix::io::Result<()>, path: &[u8]) -> Result<(), TargetError> {
    match made {
        Err(Errno::EXIST | Errno::ISDIR) => Err(Hostile::new(path, "is in it twice").into()),
        other => other.map_err(|refused| TargetError::io("create", path_of(path), refused)),
    }
}

/// A new file in a folder: it must not exist, and no link is followed.
pub(crate) fn create(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Sets of extended attributes, each kept once: on most servers all files have the same.
#[derive(Debug, Default)]
pub(crate) struct AttributeSets {
    sets: Vec<Vec<Attribute>>,
    numbers: HashMap<Vec<Attribute>, u32>,
}

impl AttributeSets {
    /// The number of a set; 0 is the empty one.
    pub(crate) fn add(&mut self, set: Vec<Attribute>) -> u32 {
        if set.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        self.sets.push(set.clone());
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.numbers.insert(set, number);
        number
    }

    /// The set of that number.
    pub(crate) fn get(&self, number: u32) -> &[Attribute] {
        let index = (number as usize).checked_sub(1);
        index.and_then(|index| self.sets.get(index)).map(Vec::as_slice).unwrap_or_default()
    }
}
