//! Where is looked: this machine, or the disk of another one that is mounted in a folder.

use std::io;
use std::path::{Path, PathBuf};

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// A machine's file system. Paths as that machine sees them are *its own*; where they are here is *real*.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
}

/// Why it cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    /// There is no such folder.
    #[error("cannot look below {}", root.display())]
    NoRoot {
        /// As it was given.
        root: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explain for PlaceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoRoot { .. } => "audit.no_root",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoRoot { root, .. } => format!("is the disk mounted there? ls {}", root.display()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoRoot { .. } => Exit::Unknown,
        }
    }
}

impl Place {
    /// This machine, or what is mounted in that folder.
    pub(super) fn new(root: Option<&Path>) -> Result<Self, PlaceError> {
        let Some(root) = root else { return Ok(Self { root: PathBuf::from("/") }) };
        let found = root.read_dir().and_then(|_| root.canonicalize());
        Ok(Self { root: found.map_err(|source| PlaceError::NoRoot { root: root.to_owned(), source })? })
    }

    /// Where something is here.
    pub(super) fn real(&self, its_own: &Path) -> PathBuf {
        self.root.join(its_own.strip_prefix("/").unwrap_or(its_own))
    }

    /// How that machine calls something that is here. What lies outside keeps its name.
    pub(super) fn its_own(&self, real: &Path) -> PathBuf {
        real.strip_prefix(&self.root).map_or_else(|_| real.to_owned(), |below| Path::new("/").join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let place = Place::new(Some(&root)).unwrap();
        let real = place.real(Path::new("/var/log"));
        assert_eq!(real, root.join("var/log"));
        assert_eq!(place.its_own(&real), Path::new("/var/log"));
        assert_eq!(Place::new(None).unwrap().its_own(Path::new("/srv/x")), Path::new("/srv/x"));
        assert_eq!(Place::new(Some(&root.join("no"))).unwrap_err().code(), "audit.no_root");
    }
}
