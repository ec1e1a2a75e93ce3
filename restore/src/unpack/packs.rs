//! The content of files: several workers, each with a pack of its own, which is read once from front to back.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use shipshape_core::archive::entry::{Bytes, Hash};
use shipshape_core::archive::unseal;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::UnpackError;
use super::items::{Item, Items};
use crate::beneath::{Hostile, split};
use crate::content::{self, CHUNK, ContentError, Zeros};
use crate::members::{Members, Origin};
use crate::metadata::Metadata;
use crate::select::Snapshot;
use crate::target::{TargetError, path_of};
use crate::tree::{Handle, Tree, create};

/// More would only wait for each other at the disk.
const MOST_WORKERS: usize = 4;

/// Writes all files. Packs of which nothing is needed are not read.
pub(super) fn write(
    snapshot: &Snapshot,
    items: &mut Items,
    tree: &Tree<'_>,
    progress: &Progress,
) -> Result<(), UnpackError> {
    let packs = items.by_pack();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cores.min(MOST_WORKERS).min(packs.len());
    let work = Work { snapshot, items, tree, packs, progress, next: AtomicUsize::new(0), failed: Mutex::new(None) };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work.run());
        }
    });
    work.failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// What the workers share.
struct Work<'a> {
    snapshot: &'a Snapshot,
    items: &'a Items,
    tree: &'a Tree<'a>,
    packs: Vec<Range<usize>>,
    progress: &'a Progress,
    next: AtomicUsize,
    failed: Mutex<Option<UnpackError>>,
}

/// What a worker has for itself.
struct Worker {
    buffer: Vec<u8>,
    handle: Handle,
}

impl Work<'_> {
    /// The life of a worker: pack after pack, until there is none or somebody failed.
    fn run(&self) {
        let mut worker = Worker { buffer: vec![0; CHUNK], handle: Handle::default() };
        while let Some(pack) = self.packs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failed) = self.unpack(self.items.slice(pack.clone()), &mut worker) {
                // Nobody begins another pack.
                self.next.store(self.packs.len(), Ordering::Relaxed);
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failed);
            }
        }
    }

    /// Writes the files of one pack.
    fn unpack(&self, items: &[Item], worker: &mut Worker) -> Result<(), UnpackError> {
        let Some(pack) = items.first().and_then(|item| self.snapshot.manifest.packs.get(item.pack as usize)) else {
            return Ok(());
        };
        let Snapshot { store, place, identities, .. } = self.snapshot;
        let plain = unseal::open(store.as_ref(), place, &pack.object, identities)?;
        let mut members = Members::new(plain, &place.key(&pack.object), Origin::Store);
        // Several files may have the same content: it is stored once.
        for same in items.chunk_by(|a, b| a.offset == b.offset) {
            signal::check()?;
            if self.has_failed() {
                return Ok(());
            }
            let Some((first, copies)) = same.split_first() else { continue };
            let mut content = members.file_at(first.offset)?;
            if content.size() != first.size {
                return Err(self.altered(first, "its size differs"));
            }
            let mut written = self.write(first, &mut content, worker)?;
            for copy in copies {
                written.rewind().map_err(|cause| self.unreadable(first, cause))?;
                written = self.write(copy, &mut written, worker)?;
            }
        }
        // What follows is not needed: each file has proven itself by its hash.
        Ok(())
    }

    /// Whether another worker has: then all of it is for nothing.
    fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Writes one file, compares it with its hash, and puts its metadata on.
    fn write(&self, item: &Item, from: &mut dyn Read, worker: &mut Worker) -> Result<File, UnpackError> {
        let file = self.create(item, worker)?;
        let written = content::write(from, &file, item.zeros(), &mut worker.buffer, self.progress);
        let (size, hash) = written.map_err(|failed| match failed {
            ContentError::Read(cause) => self.unreadable(item, cause),
            ContentError::Write(cause) => TargetError::io("write", path_of(&self.path(item)), cause).into(),
            ContentError::Interrupted(interrupted) => interrupted.into(),
        })?;
        self.check(item, size, hash)?;
        let dressed = self.tree.stage().dresser()?.file(file.as_fd(), &item.basics(), self.items.attributes(item));
        dressed.map_err(|cause| TargetError::io("set the metadata of", path_of(&self.path(item)), cause))?;
        Ok(file)
    }

    fn create(&self, item: &Item, worker: &mut Worker) -> Result<File, UnpackError> {
        let folder = self.tree.handle_with(&mut worker.handle, item.folder())?;
        create(folder, self.items.name(item)).map_err(|refused| match refused {
            Errno::EXIST => Hostile::new(&self.path(item), "is in it twice").into(),
            other => TargetError::io("create", path_of(&self.path(item)), other).into(),
        })
    }

    fn check(&self, item: &Item, size: u64, hash: Hash) -> Result<(), UnpackError> {
        if size != item.size {
            Err(self.altered(item, "its size differs"))
        } else if hash != item.hash() {
            Err(self.altered(item, "its BLAKE3 differs"))
        } else {
            Ok(())
        }
    }

    fn unreadable(&self, item: &Item, cause: std::io::Error) -> UnpackError {
        UnpackError::Content { object: self.object(item), path: self.shown(item), cause }
    }

    fn altered(&self, item: &Item, why: &'static str) -> UnpackError {
        UnpackError::Altered { object: self.object(item), path: self.shown(item), why }
    }

    fn object(&self, item: &Item) -> String {
        let pack = self.snapshot.manifest.packs.get(item.pack as usize);
        pack.map(|pack| self.snapshot.place.key(&pack.object)).unwrap_or_default()
    }

    fn shown(&self, item: &Item) -> String {
        Bytes(self.path(item)).shown()
    }

    fn path(&self, item: &Item) -> Vec<u8> {
        join(self.tree.path(item.folder()), self.items.name(item))
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, name].join(&b'/') }
}

/// A further name of a file that lies on another file system here, though it did not where it was backed up: a copy.
pub(super) fn copy_across(tree: &mut Tree<'_>, path: &[u8], first: &[u8]) -> Result<(), UnpackError> {
    let failed = |verb, cause: std::io::Error| TargetError::io(verb, path_of(path), cause);
    let mut from = open_built(tree, first)?;
    let metadata = Metadata::read(from.as_fd()).map_err(|cause| failed("read", cause))?;
    let to = tree.add_file(path)?;
    let mut buffer = vec![0; CHUNK];
    let progress = Progress::bytes(None, "", true);
    content::write(&mut from, &to, Zeros::Skip, &mut buffer, &progress).map_err(|refused| match refused {
        ContentError::Read(cause) => failed("read", cause).into(),
        ContentError::Write(cause) => failed("write", cause).into(),
        ContentError::Interrupted(interrupted) => UnpackError::Interrupted(interrupted),
    })?;
    let dressed = tree.stage().dresser()?.existing(to.as_fd(), &metadata);
    Ok(dressed.map_err(|cause| failed("set the metadata of", cause))?)
}

/// Opens a file that this restore has written.
fn open_built(tree: &Tree<'_>, path: &[u8]) -> Result<File, TargetError> {
    let (domain, below) = tree.stage().route(path);
    let (above, name) = split(below);
    let folder = tree.stage().staged(domain)?.new.folder(above);
    let folder = folder.map_err(|refused| TargetError::beneath("open", path, refused))?;
    let opened = openat(&folder, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    opened.map(File::from).map_err(|refused| TargetError::io("open", path_of(path), refused))
}
