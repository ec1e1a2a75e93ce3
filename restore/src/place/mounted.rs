//! What of the target running services have mounted. A mount holds on to the very folder that it was made of, wherever that
//! is moved: such a folder must stay, and only what is in it may change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use shipshape_core::report::Notice;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{MountSource, Stack};

use super::{Target, shown};
use crate::stage::{Stage, mounts};

/// What was found before anything was swapped.
#[derive(Debug, Default)]
pub(crate) struct Mounted {
    seen: Vec<mounts::Seen>,
    described: Vec<PathBuf>,
}

impl Mounted {
    /// Asks the kernel what processes see, and Compose what services should. To others than root the kernel says little;
    /// and a description may be wrong, which is no reason not to restore.
    pub(crate) fn look(stage: &Stage, target: &Target) -> Self {
        let Target::InPlace(app) = target else { return Self::default() };
        let mut live: Vec<&Path> = stage.domains().iter().map(|domain| domain.live.as_path()).collect();
        live.retain(|folder| folder.is_dir());
        let stack = Compose::look(app).ok().flatten();
        let services = stack.and_then(|stack| stack.services().ok()).unwrap_or_default();
        let sources = services.into_iter().flat_map(|service| service.mounts).filter_map(|mount| match mount.source {
            MountSource::Path(path) => path.canonicalize().ok(),
            MountSource::Volume(_) | MountSource::Anonymous | MountSource::Nothing => None,
        });
        Self { seen: mounts::seen_by_others(&live), described: sources.collect() }
    }

    /// Folders that must not be moved.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let all = self.seen.iter().map(|seen| &seen.path).chain(&self.described);
        all.filter(|path| path.is_dir()).cloned().collect()
    }

    /// Warns of what services still see as it was: single files, which cannot be replaced under a mount, and folders that
    /// somebody had removed.
    pub(crate) fn warnings(&self) -> Vec<Notice> {
        let mut stale: Vec<&Path> =
            self.seen.iter().filter(|seen| is_stale(seen)).map(|seen| seen.path.as_path()).collect();
        stale.sort();
        stale.dedup();
        let warning = |path: &Path| {
            let message = format!("{} is mounted into a running service, which goes on with the old one", shown(path));
            Notice::new("restore.mounted", message, "let services see what was restored: docker compose restart")
        };
        stale.into_iter().map(warning).collect()
    }
}

/// Whether a process sees something else there than what is there now. A file with the same content will do.
fn is_stale(seen: &mounts::Seen) -> bool {
    let (Ok(now), Ok(inside)) = (fs::metadata(&seen.path), fs::metadata(&seen.inside)) else { return false };
    if (now.dev(), now.ino()) == (inside.dev(), inside.ino()) {
        return false;
    }
    let are_files = now.is_file() && inside.is_file() && now.len() == inside.len();
    !(are_files && is_small(now.len()) && fs::read(&seen.path).ok() == fs::read(&seen.inside).ok())
}

/// Files that are mounted one by one are settings; a larger one is not compared but taken for another.
fn is_small(bytes: u64) -> bool {
    bytes <= 1 << 20
}
