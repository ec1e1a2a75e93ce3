//! Where a certificate lies: `live/NAME/{fullchain,privkey,chain,cert}.pem` below one folder, as certbot has it.
//!
//! ```text
//! versioned   live/NAME -> ../archive/NAME/0007/        one link, turned at once: both files are of one version
//!             archive/NAME/0007/{fullchain,privkey,chain,cert}.pem
//! certbot's   live/NAME -> .NAME.7/                     the same, and certbot still reads it
//!             live/.NAME.7/fullchain.pem -> ../../archive/NAME/fullchain7.pem   …
//! in place    live/NAME/fullchain.pem                   written over, the inode kept: for mounts of single files
//!             archive/NAME/0007/…                       what it was written from, and the way back
//! ```
//! Which of them a place has is found out by looking. One that is wanted otherwise is turned into it at the next switch.
//!
//! This is the only module that writes keys and certificates where servers read them.

mod disk;
mod error;
mod listing;
mod owner;
mod place;
mod stage;
mod switch;
mod versions;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use shipshape_core::config::InstallKind;
use shipshape_core::error::chain;
use shipshape_core::path::clean;
use shipshape_core::report::Notice;

pub(crate) use error::FilesError;
pub(crate) use listing::{names, shown};

use crate::certificate::Chain;
use crate::key::Key;
use place::Place;
use versions::is_ours;

/// The key, as its file is called.
const KEY: &str = "privkey";

/// What lies in `live/NAME`, by the names that certbot gave them: `KIND.pem`. The key first, so that a version whose
/// chain is there is whole.
const KINDS: [&str; 4] = [KEY, "cert", "chain", "fullchain"];

/// Reading by others, as a permission bit.
const OTHERS_READ: u32 = 0o004;

/// The place of one certificate.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    folder: PathBuf,
    name: String,
    install: InstallKind,
    owner: Option<String>,
    group: Option<String>,
}

/// What lies there now.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The chain.
    pub(crate) chain: Chain,
    /// The key; none where it cannot be read, or is of a kind that we do not use.
    pub(crate) key: Option<Key>,
    /// Whether the key is the certificate's.
    pub(crate) is_pair: bool,
    /// Which version it is; none in a place that has no versions yet.
    pub(crate) version: Option<u32>,
    /// Whether others than owner and group can read the key.
    pub(crate) is_key_exposed: bool,
}

/// A version that is whole and durable, and not in use yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32);

/// What came of writing a version.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Which one it is.
    pub(crate) version: Version,
    /// What could not be kept as it was: worth a look, and no reason to stop.
    pub(crate) notice: Option<Notice>,
}

impl Lineage {
    /// The place `live/NAME` below `folder`. Touches nothing.
    pub(crate) fn new(
        folder: &Path,
        name: &str,
        install: InstallKind,
        owner: Option<&str>,
        group: Option<&str>,
    ) -> Self {
        Self {
            folder: clean(&std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())),
            name: name.to_owned(),
            install,
            owner: owner.map(str::to_owned),
            group: group.map(str::to_owned),
        }
    }

    /// `live/NAME`.
    pub(crate) fn live(&self) -> PathBuf {
        self.live_folder().join(&self.name)
    }

    fn live_folder(&self) -> PathBuf {
        self.folder.join("live")
    }

    /// `archive/NAME`.
    fn archive(&self) -> PathBuf {
        self.folder.join("archive").join(&self.name)
    }

    /// `live/.NAME.SUFFIX`: no certificate can be called that.
    fn hidden(&self, suffix: &str) -> PathBuf {
        self.live_folder().join(format!(".{}.{suffix}", self.name))
    }

    /// The folder that `live/NAME` is, or leads to.
    fn present_folder(&self, place: &Place) -> Option<PathBuf> {
        match place {
            Place::Nothing => None,
            Place::Versioned(version) => Some(self.archive().join(versions::folder_name(*version))),
            Place::Certbot { links, .. } => Some(links.clone()),
            Place::Plain => Some(self.live()),
        }
    }

    /// The version in use; none in a place that has no versions yet.
    fn version_of(&self, place: &Place) -> Result<Option<Version>, FilesError> {
        match place {
            Place::Nothing => Ok(None),
            Place::Versioned(version) => Ok(Some(*version)),
            Place::Certbot { version, .. } => Ok(*version),
            Place::Plain => self.version_of_files(),
        }
    }

    /// Plain files do not say which version they are: they are compared.
    fn version_of_files(&self) -> Result<Option<Version>, FilesError> {
        let present = stage::read_all(|kind| self.live().join(format!("{kind}.pem")))?;
        for (version, form) in self.versions()?.newest_first() {
            if !present.is_empty() && stage::read_all(|kind| self.file(version, form, kind))? == present {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// What lies there; none where nothing does, nor anything that can be used: [`Lineage::damaged`] tells the two apart.
    /// Plain files that make no sense are an error: they are somebody's.
    pub(crate) fn installed(&self) -> Result<Option<Installed>, FilesError> {
        let place = self.look()?;
        match self.present(&place) {
            Err(error) if place.is_of_versions() && is_damage(&error) => Ok(None),
            found => found,
        }
    }

    /// What is wrong with a version in use that can be put right by another one alone: torn by a disk that was full or
    /// broke. Without this every run would end at it, and no certificate come for ever.
    pub(crate) fn damaged(&self) -> Option<Notice> {
        let place = self.look().ok().filter(Place::is_of_versions)?;
        let error = self.present(&place).err().filter(is_damage)?;
        Some(Notice::new(
            "files.damaged",
            format!("what lies in {} cannot be used: {}", self.live().display(), chain(&error)),
            format!("a new one is ordered and takes its place; to see it: ls -laL {}", self.live().display()),
        ))
    }

    fn present(&self, place: &Place) -> Result<Option<Installed>, FilesError> {
        // The folder itself, not its name: what is read is of one version, though another is put into use meanwhile.
        let Some(folder) = self.present_folder(place) else { return Ok(None) };
        let Some(found) = pair(|kind| folder.join(format!("{kind}.pem")), &self.live())? else { return Ok(None) };
        let version = self.version_of(place)?.map(|version| version.0);
        Ok(Some(Installed { version, ..found }))
    }

    /// A version, in use or not; none where it is not there.
    pub(crate) fn read(&self, version: Version) -> Result<Option<Installed>, FilesError> {
        let Some(form) = self.versions()?.form(version) else { return Ok(None) };
        let found = pair(|kind| self.file(version, form, kind), &self.archive())?;
        Ok(found.map(|found| Installed { version: Some(version.0), ..found }))
    }

    /// The newest version that is whole, whether in use or not: what a deploy that was rolled back comes back to.
    pub(crate) fn newest(&self) -> Result<Option<Version>, FilesError> {
        let versions = self.versions()?;
        let in_use = self.version_of(&self.look()?)?;
        let newest = versions.newest_first().map(|(version, _)| version);
        // The one in use was read already by whoever asks.
        Ok(newest.into_iter().find(|&version| Some(version) == in_use || self.is_whole(version)))
    }

    fn is_whole(&self, version: Version) -> bool {
        self.read(version).is_ok_and(|found| found.is_some_and(|found| found.is_pair))
    }
}

/// Whether files that cannot be read are broken themselves: what may not be read is whole for those who may.
fn is_damage(error: &FilesError) -> bool {
    match error {
        FilesError::Certificate(_) | FilesError::Foreign { .. } => true,
        // A block of the disk that is gone, as `read(2)` tells it. All else may be over with the next run.
        FilesError::Unreadable { source, .. } => source.raw_os_error() == Some(Errno::IO.raw_os_error()),
        FilesError::NotWritable { .. }
        | FilesError::DiskFull { .. }
        | FilesError::OpenFolder { .. }
        | FilesError::Owner { .. }
        | FilesError::NotGiven { .. }
        | FilesError::NoVersion { .. } => false,
    }
}

/// Reads a chain and its key. `place` is told where they make no sense.
fn pair(path: impl Fn(&str) -> PathBuf, place: &Path) -> Result<Option<Installed>, FilesError> {
    let (chain, key) = (path("fullchain"), path(KEY));
    let Some(bytes) = stage::read(&chain)? else { return Ok(None) };
    let chain = Chain::read(&bytes, &place.join("fullchain.pem").display().to_string())?;
    let mode = fs::metadata(&key).map_or(0, |found| found.mode());
    let key = stage::read(&key)?.and_then(|bytes| Key::read(&bytes, &key).ok());
    let is_pair = key.as_ref().is_some_and(|key| key.public() == chain.facts.public_key);
    Ok(Some(Installed { chain, key, is_pair, version: None, is_key_exposed: mode & OTHERS_READ != 0 }))
}

#[cfg(test)]
mod tests;
