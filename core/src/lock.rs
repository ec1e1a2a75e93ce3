//! Locks that die with the process: flock(2) through the standard library, never a file with a process id to trust.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Explain;
use crate::exit::Exit;

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("another run holds {}{}", path.display(), who(holder.as_ref()))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that wrote itself into it: a hint for people, not what the lock rests on.
        holder: Option<u32>,
    },
    /// The lock file could not be opened.
    #[error("cannot open the lock file {}", path.display())]
    Open {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Explain for LockError {
    fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "lock.held",
            Self::Open { .. } => "lock.unusable",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Held { holder: Some(process), .. } => format!("wait for it to end, or look at it: ps -fp {process}"),
            Self::Held { holder: None, .. } => "wait for it to end".to_owned(),
            Self::Open { path, .. } => format!("check who may write to {}", path.display()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Held { .. } | Self::Open { .. } => Exit::Unknown,
        }
    }
}

fn who(holder: Option<&u32>) -> String {
    holder.map(|process| format!(" (process {process})")).unwrap_or_default()
}

/// An exclusive lock, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock on `path` at once or fails; the file is created where it is missing and stays afterwards.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let unusable = |cause| LockError::Open { path: path.to_owned(), cause };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { path: path.to_owned(), holder: read_holder(&mut file) });
            }
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        // Only to name the holder to whoever comes next; a full disk must not keep us from running.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { file })
    }
}

/// Whether somebody holds the lock on a file that exists. Nobody is kept from looking by another look: who looked by taking
/// the lock would be taken for its holder.
pub fn is_held(path: &Path) -> Result<bool, LockError> {
    let unusable = |cause| LockError::Open { path: path.to_owned(), cause };
    let file = File::open(path).map_err(unusable)?;
    match file.try_lock_shared() {
        Ok(()) => {
            // As below: what is just being started would go on with it.
            let _ = file.unlock();
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a program that is just being started has it too, until it begins to run, and a lock of
    /// flock(2) ends when the last of them closes it. To let go of it explicitly ends it for all.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.lock");
        let first = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).unwrap_err();
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        assert!(Lock::take(&path).is_ok(), "a dropped lock is free");
    }

    #[test]
    fn whoever_looks_whether_a_lock_is_held_does_not_look_like_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.lock");
        assert!(is_held(&path).is_err(), "what is not there can be neither");
        let held = Lock::take(&path).unwrap();
        assert!(is_held(&path).unwrap());
        drop(held);
        let looking = File::open(&path).unwrap();
        looking.lock_shared().unwrap();
        assert!(!is_held(&path).unwrap());
    }

    #[test]
    fn a_lock_that_was_let_go_of_is_free_though_somebody_else_has_the_file_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.lock");
        let first = Lock::take(&path).unwrap();
        // As a program that is being started has it.
        let theirs = first.file.try_clone().unwrap();
        drop(first);
        assert!(Lock::take(&path).is_ok());
        drop(theirs);
    }
}
