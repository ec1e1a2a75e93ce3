//! Single files whose place is a link. `backup` stores what such a link leads to under the link's own path, and the link
//! among the files, for a machine on which it leads nowhere.
//!
//! | the link, as it comes back or is live | in place | in a folder of its own |
//! |---|---|---|
//! | leads to a file | it stays: nothing behind it is written to | the file replaces it |
//! | leads nowhere | the file replaces it | the file replaces it |

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, readlinkat, unlinkat};

use super::UnpackError;
use crate::beneath::split;
use crate::content::{CHUNK, fill};
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
pub(super) fn is_same(file: &Path, content: &mut impl Read) -> io::Result<bool> {
    let mut file = File::open(file).ok();
    let (mut wanted, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut same = true;
    loop {
        let length = fill(content, &mut wanted)?;
        let read = file.as_mut().and_then(|file| fill(file, &mut found).ok());
        same &= read.is_some_and(|read| found[..read] == wanted[..length]);
        if length < wanted.len() {
            return Ok(same);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_the_same_only_if_it_is_as_long() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for length in [0, 5, CHUNK, CHUNK + 1] {
            std::fs::write(&file, vec![1; length]).unwrap();
            let is = |other: &[u8]| is_same(&file, &mut &other[..]).unwrap();
            assert!(is(&vec![1; length]) && !is(&vec![1; length + 1]));
            assert!(length == 0 || (!is(&vec![1; length - 1]) && !is(&vec![2; length])));
        }
        assert!(!is_same(&folder.path().join("gone"), &mut &b""[..]).unwrap());
    }
}
