//! What `live/NAME` is, found out by looking.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use shipshape_core::path::clean;

use super::versions::{self, Form};
use super::{FilesError, KINDS, Lineage, Version};

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing yet.
    Nothing,
    /// A link to a folder of ours, which need not be there any more.
    Versioned(Version),
    /// A folder of links to certbot's files, or a link to such a folder.
    Certbot {
        /// The folder itself.
        links: PathBuf,
        /// The version, where all links are of one.
        version: Option<Version>,
    },
    /// A folder of files; perhaps empty.
    Plain,
}

impl Place {
    /// Whether what lies there is one of several versions: whole when it was put there, and another one can take its place.
    pub(super) fn is_of_versions(&self) -> bool {
        match self {
            Self::Versioned(_) | Self::Certbot { .. } => true,
            Self::Nothing | Self::Plain => false,
        }
    }
}

impl Lineage {
    /// What `live/NAME` is. Whatever is not known is somebody else's, and an error.
    pub(super) fn look(&self) -> Result<Place, FilesError> {
        let live = self.live();
        let Some(found) = look_at(&live)? else { return Ok(Place::Nothing) };
        if found.is_symlink() {
            return self.look_behind(&live);
        }
        if !found.is_dir() {
            return Err(foreign(&live, "is no folder"));
        }
        self.look_into(&live)
    }

    /// The link's target as it is written: what it leads to need not exist.
    fn look_behind(&self, live: &Path) -> Result<Place, FilesError> {
        let target = target(live)?;
        let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if target.parent() == Some(&self.archive())
            && let Some((version, Form::Folder)) = versions::of_name(name)
        {
            return Ok(Place::Versioned(version));
        }
        // `.NAME.7`: made here, with certbot's links in it.
        let is_ours = target.parent() == live.parent() && name.starts_with(&format!(".{}.", self.name));
        if is_ours && look_at(&target)?.is_some_and(|found| found.is_dir()) {
            return self.look_into(&target);
        }
        Err(foreign(live, &format!("is a link to {}, which was not made here", target.display())))
    }

    /// A folder: of certbot's links, or of files.
    fn look_into(&self, folder: &Path) -> Result<Place, FilesError> {
        let mut linked = Vec::new();
        for kind in KINDS {
            let path = folder.join(format!("{kind}.pem"));
            match look_at(&path)? {
                Some(found) if found.is_symlink() => linked.push(self.certbots(&path, kind)?),
                Some(found) if !found.is_file() => return Err(foreign(&path, "is no file")),
                Some(_) | None => {}
            }
        }
        let Some(&first) = linked.first() else { return Ok(Place::Plain) };
        let is_one = linked.len() == KINDS.len() && linked.iter().all(|&version| version == first);
        Ok(Place::Certbot { links: folder.to_owned(), version: is_one.then_some(first) })
    }

    /// The version that a link of certbot's leads to: `../../archive/NAME/privkey7.pem`.
    fn certbots(&self, path: &Path, kind: &str) -> Result<Version, FilesError> {
        let target = target(path)?;
        let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match versions::of_name(name) {
            Some((version, Form::Files)) if target.parent() == Some(&self.archive()) && name.starts_with(kind) => {
                Ok(version)
            }
            Some(_) | None => {
                Err(foreign(path, &format!("is a link to {}, which was not made by certbot", target.display())))
            }
        }
    }
}

/// What has this name, links not followed; none where nothing has.
pub(super) fn look_at(path: &Path) -> Result<Option<Metadata>, FilesError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(gone) if gone.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FilesError::reading(path, cause)),
    }
}

/// Where a link leads, as it is written.
fn target(link: &Path) -> Result<PathBuf, FilesError> {
    let target = fs::read_link(link).map_err(|cause| FilesError::reading(link, cause))?;
    Ok(clean(&link.parent().unwrap_or(link).join(target)))
}

pub(super) fn foreign(path: &Path, what: &str) -> FilesError {
    FilesError::Foreign { path: path.to_owned(), what: what.to_owned() }
}
