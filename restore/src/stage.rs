//! The staging folders: everything is built beside what is live, on the same file system, and checked, before anything live
//! is touched. Dropped without having been swapped, they vanish.
//!
//! ```text
//! /srv/demo/                               live, and locked
//!     uploads/ .env …
//!     .shipshape-restore-ID/               0700: nobody looks at what is half built
//!         journal.json                     which folders are written to, and what is swapped
//!         new/                             the new side; after the swap, the old one
//!     .shipshape-before-ID-1/              the old side of a restore that has succeeded: `new/` under another name
//! ```
//!
//! Renames cannot cross file systems, and sources may lie anywhere. So there is such a folder in each *domain*: in the
//! application's folder, in each mount point below it that the snapshot has something for, and in each source elsewhere.
//! The journal is in the first of them alone. The staging folder lies inside the live one and not beside it, because
//! that may be a mount point, and because the folder above it may not be ours to write to.

pub(crate) mod mounts;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_OMIT, flock, fstat, futimens, syncfs};
use rustix::io::Errno;
use shipshape_core::archive::entry::Bytes;
use shipshape_core::atomic;
use shipshape_core::lock::LockError;
use shipshape_core::report::Notice;

use crate::beneath::Root;
use crate::metadata::{Dresser, forget_inherited};
use crate::swap::journal::{Journal, KEPT, Place, STAGING};
use crate::swap::{Recovered, recover};
use crate::target::{TargetError, path_of};

/// A folder that a restore may write to: the application's, one that lies elsewhere, or a mount point below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Domain {
    /// Its path in the snapshot; empty for the application's folder.
    pub(crate) prefix: Vec<u8>,
    /// Where it is.
    pub(crate) live: PathBuf,
    /// Paths of the snapshot in it that come back completely: what the snapshot lacks in there goes.
    pub(crate) complete: Vec<Vec<u8>>,
    /// The volume that it would be, and that this machine does not have.
    pub(crate) missing: Option<String>,
}

impl Domain {
    /// A folder in which nothing goes but what is replaced.
    pub(crate) fn new(prefix: Vec<u8>, live: PathBuf) -> Self {
        Self { prefix, live, complete: Vec::new(), missing: None }
    }

    /// A volume that is not here: nothing can be written to it, and most often nothing is to be.
    pub(crate) fn missing(prefix: Vec<u8>, volume: &str) -> Self {
        let live = Path::new("/").join(path_of(&prefix));
        Self { missing: Some(volume.to_owned()), ..Self::new(prefix, live) }
    }
}

/// A domain that is written to.
#[derive(Debug)]
pub(crate) struct Staged {
    /// The folder under which everything new is built.
    pub(crate) new: Root,
    /// The staging folder: the new side lies in it.
    staging: PathBuf,
    claimed: Claimed,
}

/// All staging folders of a restore.
#[derive(Debug)]
pub(crate) struct Stage {
    domains: Vec<Domain>,
    staged: Vec<OnceLock<Staged>>,
    /// What is restored: part of the names of the folders.
    of: String,
    journal: std::sync::Mutex<Journal>,
    dresser: OnceLock<Dresser>,
    swapped: bool,
    recovered: Recovered,
}

/// What to do where the target holds something already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is replaced.
    Replace,
    /// It is left alone, and nothing is restored.
    Refuse,
}

/// The name of the folder with the new side.
const NEW: &str = "new";

impl Stage {
    /// Opens the first domain, and clears what a killed restore left there. The others are opened when something is
    /// written to them.
    pub(crate) fn open(domains: Vec<Domain>, of: &str, existing: Existing) -> Result<Self, TargetError> {
        let staged = domains.iter().map(|_| OnceLock::new()).collect();
        let journal = std::sync::Mutex::new(Journal::new(of));
        let mut stage = Self {
            domains,
            staged,
            of: of.to_owned(),
            journal,
            dresser: OnceLock::new(),
            swapped: false,
            recovered: Recovered::default(),
        };
        let claimed = Claimed::take(&stage.domains[0])?;
        stage.recovered = recover(&stage.domains[0].live, existing)?;
        if existing == Existing::Refuse && !is_empty(&stage.domains[0].live)? {
            return Err(TargetError::NotEmpty { path: stage.domains[0].live.clone() });
        }
        stage.add(0, claimed)?;
        let first = stage.staged(0)?;
        let dresser = Dresser::new(first.new.as_fd());
        let _ = stage.dresser.set(dresser.map_err(|cause| TargetError::io("look at", &first.staging, cause))?);
        Ok(stage)
    }

    /// All domains, written to or not.
    pub(crate) fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// The domains that were written to, with their indexes.
    pub(crate) fn opened(&self) -> impl Iterator<Item = (usize, &Domain, &Staged)> {
        let both = self.domains.iter().zip(&self.staged).enumerate();
        both.filter_map(|(index, (domain, staged))| Some((index, domain, staged.get()?)))
    }

    /// Puts metadata on what is made.
    pub(crate) fn dresser(&self) -> Result<&Dresser, TargetError> {
        let missing = || TargetError::io("look at", &self.domains[0].live, io::Error::from(io::ErrorKind::NotFound));
        self.dresser.get().ok_or_else(missing)
    }

    /// Which domain a path of the snapshot belongs to, and its path below that (empty: the domain itself).
    pub(crate) fn route<'p>(&self, path: &'p [u8]) -> (usize, &'p [u8]) {
        let path = if path == b"." { b"" } else { path };
        let mut best = (0, path);
        for (index, domain) in self.domains.iter().enumerate().skip(1) {
            if let Some(rest) = below(path, &domain.prefix)
                && rest.len() < best.1.len()
            {
                best = (index, rest);
            }
        }
        best
    }

    /// The domain's staging folder, made if this is the first time.
    pub(crate) fn staged(&self, index: usize) -> Result<&Staged, TargetError> {
        if let Some(staged) = self.staged[index].get() {
            return Ok(staged);
        }
        if let Some(volume) = &self.domains[index].missing {
            return Err(TargetError::NoVolume { volume: volume.clone() });
        }
        self.add(index, Claimed::take(&self.domains[index])?)?;
        self.staged(index)
    }

    /// Makes the staging folder of a domain that is claimed.
    fn add(&self, index: usize, claimed: Claimed) -> Result<(), TargetError> {
        let staged = match Staged::open(&self.domains[index], &self.of) {
            Ok((new, staging)) => Staged { new, staging, claimed },
            Err(refused) => {
                claimed.leave_no_trace();
                return Err(refused);
            }
        };
        let place = staged.place(&self.domains[index]);
        let _ = self.staged[index].set(staged);
        // Written at once, so that whatever ends this run, the next one finds all folders that it left.
        let mut journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        journal.domains.push(place);
        journal.write()
    }

    /// Makes what was built durable, so that no swap can be on disk before what it brings in.
    pub(crate) fn sync(&self) -> Result<(), TargetError> {
        for (_, domain, staged) in self.opened() {
            syncfs(staged.new.as_fd()).map_err(|cause| TargetError::io("write out", &domain.live, cause))?;
        }
        Ok(())
    }

    /// The journal so far: the folders, in the order in which they were opened.
    pub(crate) fn journal(&self) -> Journal {
        self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// What was found of a restore that was killed.
    pub(crate) fn recovered(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.recovered.notices)
    }

    /// Old sides of restores that were killed and that this one has finished.
    pub(crate) fn kept_by_recovered(&self) -> &[PathBuf] {
        &self.recovered.kept
    }

    /// From here on the folders are the business of whoever reads the journal.
    pub(crate) fn hand_over(&mut self) {
        self.swapped = true;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.swapped {
            return;
        }
        // The first holds the journal, which names the others: it goes last.
        for staged in self.staged.iter().rev().filter_map(OnceLock::get) {
            let _ = remove_tree(&staged.staging);
            staged.claimed.leave_no_trace();
        }
    }
}

/// A live folder that nobody else restores to, made where it was missing.
#[derive(Debug)]
struct Claimed {
    /// Held open for its lock.
    live: Root,
    path: PathBuf,
    /// When it last changed before anything was made in it.
    changed: Timespec,
    /// The topmost folder that had to be made to have it.
    made: Option<PathBuf>,
}

impl Claimed {
    /// Makes the folder where it is missing, and locks it.
    fn take(domain: &Domain) -> Result<Self, TargetError> {
        let made = make_missing(&domain.live)?;
        let live = Root::open(&domain.live).map_err(|cause| TargetError::io("open", &domain.live, cause))?;
        lock(live.as_fd(), &domain.live)?;
        let found = fstat(live.as_fd()).map_err(|cause| TargetError::io("look at", &domain.live, cause))?;
        let changed =
            Timespec { tv_sec: found.st_mtime, tv_nsec: i64::try_from(found.st_mtime_nsec).unwrap_or_default() };
        Ok(Self { live, path: domain.live.clone(), changed, made })
    }

    /// Removes the folders that were made on the way, as long as they are empty; of others the time comes back.
    fn leave_no_trace(&self) {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let _ = futimens(self.live.as_fd(), &Timestamps { last_access, last_modification: self.changed });
        let Some(top) = &self.made else { return };
        for folder in self.path.ancestors().take_while(|folder| folder.starts_with(top)) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

impl Staged {
    /// The folder of the new side, and the staging folder that it lies in.
    fn open(domain: &Domain, of: &str) -> Result<(Root, PathBuf), TargetError> {
        let staging = unused(&domain.live, STAGING, of);
        let new = staging.join(NEW);
        atomic::private_dir(&new)?;
        let failed = |cause| TargetError::io("prepare", &new, cause);
        forget_inherited(File::open(&staging).map_err(failed)?.as_fd()).map_err(failed)?;
        let root = Root::open(&new).map_err(failed)?;
        forget_inherited(root.as_fd()).map_err(failed)?;
        Ok((root, staging))
    }

    /// The journal's entry of it.
    fn place(&self, domain: &Domain) -> Place {
        let of = self.staging.file_name().unwrap_or_default().to_string_lossy();
        let of = of.strip_prefix(STAGING).unwrap_or_default().to_owned();
        Place {
            prefix: Bytes(domain.prefix.clone()),
            live: domain.live.clone(),
            staging: self.staging.clone(),
            kept: numbered(&domain.live, KEPT, &of),
            made: self.claimed.made.is_some(),
            from: None,
        }
    }
}

/// The new side's folder of a place.
pub(crate) fn new_side(place: &Place) -> PathBuf {
    place.staging.join(NEW)
}

/// The rest of a path below a folder's path; `None` if it is not below.
pub(crate) fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    if folder.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(folder)? {
        b"" => Some(b""),
        rest => rest.strip_prefix(b"/"),
    }
}

/// Whether nothing is in a folder, apart from what file systems put at their roots themselves.
pub(crate) fn is_empty(folder: &Path) -> Result<bool, TargetError> {
    let failed = |cause| TargetError::io("list", folder, cause);
    for entry in fs::read_dir(folder).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a folder and those above it where they are missing; returns the topmost that was made.
fn make_missing(folder: &Path) -> Result<Option<PathBuf>, TargetError> {
    let missing = folder.ancestors().take_while(|above| fs::symlink_metadata(above).is_err()).last();
    let Some(top) = missing.map(Path::to_owned) else { return Ok(None) };
    atomic::private_dir(folder)?;
    Ok(Some(top))
}

/// One restore at a time writes to a folder. The lock is on the folder itself and dies with the process.
pub(crate) fn lock(folder: BorrowedFd<'_>, path: &Path) -> Result<(), TargetError> {
    match flock(folder, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(LockError::Held { path: path.to_owned(), holder: None }.into()),
        // Some network file systems cannot lock folders.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// `PREFIX` and `of`, with a number where that is taken.
pub(crate) fn unused(folder: &Path, prefix: &str, of: &str) -> PathBuf {
    let plain = folder.join(format!("{prefix}{of}"));
    if fs::symlink_metadata(&plain).is_err() { plain } else { numbered(folder, prefix, of) }
}

/// The same, always with a number.
pub(crate) fn numbered(folder: &Path, prefix: &str, of: &str) -> PathBuf {
    let mut number = 1;
    loop {
        let path = folder.join(format!("{prefix}{of}-{number}"));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
        number += 1;
    }
}

/// Removes a folder with all below it, also where somebody without privileges restored folders that are not writable.
pub(crate) fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(refused) if refused.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(refused) if refused.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(folder)?;
            fs::remove_dir_all(folder)
        }
        other => other,
    }
}

/// Whoever owns a folder may change its mode, whatever that is.
fn make_writable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
