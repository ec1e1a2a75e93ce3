//! Single files whose place is a link. `backup` stores what such a link leads to under the link's own path, and the link
//! among the files, for a machine on which it leads nowhere.
//!
//! | the link, as it comes back or is live | in place | in a folder of its own |
//! |---|---|---|
//! | leads to a file | it stays: nothing behind it is written to | the file replaces it |
//! | leads nowhere | the file replaces it | the file replaces it |

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, readlinkat, unlinkat};

use super::UnpackError;
use crate::beneath::split;
use crate::stage::Stage;
use crate::target::{TargetError, path_of};

/// What became of such files.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    /// Paths of links that stay, and whether what they lead to is the same as what was in the snapshot.
    pub(crate) kept: Vec<(Vec<u8>, bool)>,
    /// How many links of the snapshot were replaced.
    pub(crate) replaced: u64,
}

/// The place of a single file.
pub(super) struct Place<'s> {
    /// The folder of the new side, if it was made already, and the name in there.
    built: Option<std::os::fd::OwnedFd>,
    name: Vec<u8>,
    live: PathBuf,
    /// The link that was built there.
    link: Option<PathBuf>,
    path: &'s [u8],
}

impl<'s> Place<'s> {
    /// Looks at both sides.
    pub(super) fn look(stage: &Stage, path: &'s [u8]) -> Self {
        let (domain, below) = stage.route(path);
        let (above, name) = split(below);
        let opened = stage.opened().find(|(index, ..)| *index == domain);
        let built = opened.and_then(|(_, _, staged)| staged.new.folder(above).ok());
        let link = built.as_ref().and_then(|folder| readlinkat(folder, name, Vec::new()).ok());
        let link = link.map(|text| PathBuf::from(OsStr::from_bytes(text.as_bytes())));
        let live = stage.domains()[domain].live.join(path_of(below));
        Self { built, name: name.to_vec(), live, link, path }
    }

    /// The file that the link there leads to, seen from where it is live.
    pub(super) fn leads_to(&self) -> Option<PathBuf> {
        let link = self.link.clone().or_else(|| fs::read_link(&self.live).ok())?;
        let found = self.live.parent()?.join(link).canonicalize().ok()?;
        found.is_file().then_some(found)
    }

    /// Makes room for the file. Whether a link was there.
    pub(super) fn clear(&self) -> Result<bool, UnpackError> {
        let (Some(folder), Some(_)) = (&self.built, &self.link) else { return Ok(false) };
        let removed = unlinkat(folder, self.name.as_slice(), AtFlags::empty());
        removed.map_err(|cause| TargetError::io("replace", path_of(self.path), cause))?;
        Ok(true)
    }
}

/// Whether a file has this content. One that cannot be read has another. Fails where the content cannot be read.
pub(super) fn is_same(file: &std::path::Path, content: &mut impl Read) -> std::io::Result<bool> {
    let mut wanted = Vec::new();
    content.read_to_end(&mut wanted)?;
    let mut found = Vec::new();
    let read = File::open(file).and_then(|file| file.take(wanted.len() as u64 + 1).read_to_end(&mut found));
    Ok(read.is_ok() && found == wanted)
}
