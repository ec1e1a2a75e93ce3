//! The state folder: a few small JSON files, each written whole, and the locks beside them.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic::{self, AtomicError};
use crate::cli::CommonArgs;
use crate::error::Explain;
use crate::exit::Exit;
use crate::lock::{Lock, LockError};
use crate::machine;

/// Where the state of root's runs lies.
const SYSTEM: &str = "/var/lib/shipshape";

/// The largest state file that is read, in bytes. A larger one is not ours.
const LARGEST: u64 = 64 << 20;

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Nothing says where the state of this user should lie.
    #[error("no folder for the state: neither --state nor HOME is given")]
    Nowhere,
    /// A state file cannot be read.
    #[error("cannot read the state file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A value cannot be written as JSON.
    #[error("cannot put into JSON what belongs into {}", path.display())]
    Unspeakable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file or folder cannot be written.
    #[error(transparent)]
    Atomic(#[from] AtomicError),
}

impl Explain for StateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nowhere => "state.nowhere",
            Self::Unreadable { .. } => "state.unreadable",
            Self::Unspeakable { .. } => "state.unspeakable",
            Self::Atomic(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Nowhere => "say where: --state DIR".to_owned(),
            Self::Unreadable { path, .. } => {
                format!("check that {} is yours, or choose another folder: --state DIR", path.display())
            }
            Self::Unspeakable { .. } => "this is a defect of the tool: please report it".to_owned(),
            Self::Atomic(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Nowhere | Self::Unreadable { .. } | Self::Unspeakable { .. } => Exit::Unknown,
            Self::Atomic(cause) => cause.exit(),
        }
    }
}

/// What a state file held.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// It was there.
    Found(T),
    /// There is none yet.
    Absent,
    /// It made no sense, and was put aside, unless somebody only looks.
    Corrupt {
        /// Where it lies now, for whoever wants to know.
        kept: PathBuf,
    },
}

/// The state folder of this run.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens the folder that `--state` or `$SHIPSHAPE_STATE` name, else `/var/lib/shipshape` for root and
    /// `$XDG_STATE_HOME/shipshape` for everybody else; creates it (0700) where it is missing.
    pub fn open(common: &CommonArgs) -> Result<Self, StateError> {
        let path = Self::place(common)?;
        atomic::private_dir(&path)?;
        Ok(Self { path })
    }

    /// Where that folder is, or will be; for those who only look.
    pub fn place(common: &CommonArgs) -> Result<PathBuf, StateError> {
        match &common.state {
            Some(stated) => Ok(std::path::absolute(stated).unwrap_or_else(|_| stated.clone())),
            None => usual_place().ok_or(StateError::Nowhere),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder below it, created (0700) where it is missing.
    pub fn folder(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.path.join(name);
        atomic::private_dir(&path)?;
        Ok(path)
    }

    /// Reads a file of the folder. One that makes no sense is renamed to `NAME.bad`, so that the work goes on without it.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Loaded<T>, StateError> {
        match self.look_json(name)? {
            Loaded::Corrupt { kept } => Self::put_aside(kept),
            other => Ok(other),
        }
    }

    /// The same for whoever only looks: what makes no sense stays where it is, since a run may be about to write it.
    pub fn look_json<T: DeserializeOwned>(&self, name: &str) -> Result<Loaded<T>, StateError> {
        let path = self.path.join(name);
        match read_bounded(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).map_or(Loaded::Corrupt { kept: path }, Loaded::Found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Loaded::Absent),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Loaded::Corrupt { kept: path }),
            Err(source) => Err(StateError::Unreadable { path, source }),
        }
    }

    /// Writes a file of the folder, whole or not at all.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let path = self.path.join(name);
        let mut bytes = match serde_json::to_vec(value) {
            Ok(bytes) => bytes,
            Err(source) => return Err(StateError::Unspeakable { path, source }),
        };
        bytes.push(b'\n');
        Ok(atomic::replace(&path, &bytes)?)
    }

    /// Takes the lock of this name, or fails at once when another run holds it.
    pub fn lock(&self, name: &str) -> Result<Lock, LockError> {
        Lock::take(&self.path.join(format!("{name}.lock")))
    }

    fn put_aside<T>(path: PathBuf) -> Result<Loaded<T>, StateError> {
        let mut kept = path.clone().into_os_string();
        kept.push(".bad");
        let kept = PathBuf::from(kept);
        match fs::rename(&path, &kept) {
            Ok(()) => Ok(Loaded::Corrupt { kept }),
            Err(source) => Err(StateError::Unreadable { path, source }),
        }
    }
}

fn usual_place() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    if machine::is_root() { Some(SYSTEM.into()) } else { place_of_a_user(variable("XDG_STATE_HOME"), variable("HOME")) }
}

/// By the XDG Base Directory Specification; it says to ignore relative paths.
fn place_of_a_user(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let base = xdg.filter(|path| path.is_absolute());
    let base = base.or_else(|| home.filter(|path| path.is_absolute()).map(|home| home.join(".local/state")));
    base.map(|base| base.join("shipshape"))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn state() -> (TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let common = CommonArgs { state: Some(folder.path().join("deep/state")), ..CommonArgs::default() };
        let state = StateDir::open(&common).unwrap();
        (folder, state)
    }

    #[test]
    fn the_folder_and_what_is_in_it_are_private() {
        let (_folder, state) = state();
        state.write_json("x.json", &1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.path()), 0o700);
        assert_eq!(mode(&state.folder("reports").unwrap()), 0o700);
        assert_eq!(mode(&state.path().join("x.json")), 0o600);
    }

    #[test]
    fn what_was_written_is_read_and_what_was_not_is_absent() {
        let (_folder, state) = state();
        assert_eq!(state.read_json::<u8>("x.json").unwrap(), Loaded::Absent);
        state.write_json("x.json", &7u8).unwrap();
        assert_eq!(state.read_json::<u8>("x.json").unwrap(), Loaded::Found(7));
    }

    #[test]
    fn a_corrupt_file_is_put_aside_and_the_work_goes_on() {
        let (_folder, state) = state();
        fs::write(state.path().join("x.json"), b"\0\0{").unwrap();
        let kept = state.path().join("x.json.bad");
        assert_eq!(state.read_json::<u8>("x.json").unwrap(), Loaded::Corrupt { kept: kept.clone() });
        assert_eq!(fs::read(kept).unwrap(), b"\0\0{");
        assert_eq!(state.read_json::<u8>("x.json").unwrap(), Loaded::Absent);
    }

    #[test]
    fn a_second_run_does_not_get_the_lock() {
        let (_folder, state) = state();
        let held = state.lock("backup-demo").unwrap();
        assert_eq!(state.lock("backup-demo").unwrap_err().code(), "lock.held");
        drop(held);
        assert!(state.lock("backup-demo").is_ok());
    }

    #[test]
    fn a_user_keeps_state_where_the_specification_says() {
        let place = |xdg: Option<&str>, home: Option<&str>| place_of_a_user(xdg.map(Into::into), home.map(Into::into));
        assert_eq!(place(Some("/x"), Some("/home/u")), Some("/x/shipshape".into()));
        assert_eq!(place(Some("relative"), Some("/home/u")), Some("/home/u/.local/state/shipshape".into()));
        assert_eq!(place(None, None), None);
    }
}
