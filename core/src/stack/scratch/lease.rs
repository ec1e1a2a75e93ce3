//! To whom containers for the moment belong, and how those of the dead are told from those of the living.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{MARK, ScratchError};
use crate::atomic::{self, AtomicError};
use crate::lock::{self, Lock};
use crate::machine;
use crate::stack::compose::docker;

/// The label with the machine that made it: an engine may serve several.
pub(super) const MACHINE: &str = "shipshape.machine";

/// How the names of leased folders begin.
const FOLDER: &str = ".shipshape-scratch-";

/// The lock in such a folder.
const LOCK: &str = "lock";

/// How long removing may take.
const REMOVAL: Duration = Duration::from_secs(120);

/// How often it is looked whether all of it is gone, and the pause before each further look: some five seconds, in which
/// another run that sweeps the same has ended its work on any machine but a hopeless one.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// A private folder (0700) that is ours as long as we live. It goes with all that is in it.
#[derive(Debug)]
pub struct Lease {
    folder: PathBuf,
    _lock: Lock,
}

impl Lease {
    /// Makes one in a folder, which is made where it is missing.
    pub fn take(above: &Path) -> Result<Self, ScratchError> {
        let above = std::path::absolute(above).unwrap_or_else(|_| above.to_owned());
        let token = machine::random();
        let folder = above.join(format!("{FOLDER}{token:016x}"));
        // Whoever sees the name may take a folder without a held lock for that of a dead run.
        let unnamed = above.join(format!("{}{token:016x}", atomic::TEMPORARY_PREFIX));
        atomic::private_dir(&unnamed)?;
        let lock = Lock::take(&unnamed.join(LOCK))?;
        let failed = |cause| AtomicError::Folder { path: folder.clone(), cause };
        fs::rename(&unnamed, &folder).map_err(failed)?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder: nobody else can look into it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What containers are labelled with: where the lock is that tells whether we live.
    pub(super) fn mark(&self) -> String {
        self.folder.join(LOCK).display().to_string()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Containers first: what cannot be removed has no lock any more, so that the next run tries again.
        remove(&self.mark());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what runs of this machine have left that did not live to do it: containers with their volumes, networks, and
/// the leased folders below `above`. What cannot be removed stays for the next time. Returns how many things went.
pub fn sweep(above: &Path) -> usize {
    let mut swept = 0;
    for mark in marks().into_iter().filter(|mark| is_dead(Path::new(mark))) {
        swept += remove(&mark);
    }
    for folder in leased(above).into_iter().filter(|folder| is_dead(&folder.join(LOCK))) {
        swept += usize::from(fs::remove_dir_all(&folder).is_ok());
    }
    swept
}

/// Whether nobody holds a lease. One whose lock cannot be looked at is taken to live.
fn is_dead(lock: &Path) -> bool {
    match lock.try_exists() {
        Ok(true) => matches!(lock::is_held(lock), Ok(false)),
        Ok(false) => true,
        Err(_) => false,
    }
}

/// The leased folders in a folder.
fn leased(above: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(above).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER)).map(|entry| entry.path()).collect()
}

/// The marks of all containers and networks that this machine has made.
fn marks() -> Vec<String> {
    let here = format!("label={MACHINE}={}", machine::host_name());
    let format = format!("{{{{.Label {MARK:?}}}}}");
    let mut marks = lines(&["ps", "--all", "--filter", &here, "--format", &format]);
    marks.extend(lines(&["network", "ls", "--filter", &here, "--format", &format]));
    marks.retain(|mark| !mark.is_empty());
    marks.sort();
    marks.dedup();
    marks
}

/// Removes everything with that mark. Works after we were asked to stop, too. Again until nothing is left, because an
/// engine may still be making what it was asked for before, and because it refuses to remove what another run is just
/// having removed: that is not gone yet.
pub(super) fn remove(mark: &str) -> usize {
    let marked = format!("label={MARK}={mark}");
    let mut removed = 0;
    for look in 0..LOOKS {
        if look > 1 {
            std::thread::sleep(PAUSE);
        }
        let containers = lines(&["ps", "--all", "--quiet", "--filter", &marked]);
        let networks = lines(&["network", "ls", "--quiet", "--filter", &marked]);
        if containers.is_empty() && networks.is_empty() {
            break;
        }
        removed = removed.max(containers.len() + networks.len());
        remove_containers(&containers);
        carry_out(&["network", "rm"], &networks);
    }
    removed
}

/// Removes containers with their volumes without a name.
pub(super) fn remove_containers(ids: &[String]) {
    carry_out(&["rm", "--force", "--volumes"], ids);
}

fn lines(args: &[&str]) -> Vec<String> {
    let listed = docker(args).even_when_interrupted().run();
    listed.map(|output| output.text().lines().map(str::to_owned).collect()).unwrap_or_default()
}

fn carry_out(words: &[&str], on: &[String]) {
    if !on.is_empty() {
        let args = words.iter().copied().chain(on.iter().map(String::as_str));
        let _ = docker(args).deadline(REMOVAL).even_when_interrupted().run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_dead_when_nobody_holds_it() {
        let above = tempfile::tempdir().unwrap();
        let lease = Lease::take(above.path()).unwrap();
        let lock = lease.folder().join(LOCK);
        assert!(!is_dead(&lock));
        let folder = lease.folder().to_owned();
        drop(lease);
        assert!(is_dead(&lock) && !folder.exists());
    }

    #[test]
    fn only_the_folders_of_the_dead_are_removed() {
        let above = tempfile::tempdir().unwrap();
        let living = Lease::take(above.path()).unwrap();
        let dead = above.path().join(format!("{FOLDER}dead"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "1").unwrap();
        fs::create_dir(above.path().join("other")).unwrap();
        let dying: Vec<_> = leased(above.path()).into_iter().filter(|folder| is_dead(&folder.join(LOCK))).collect();
        assert_eq!(dying, [dead]);
        assert!(living.folder().exists());
    }
}
