//! File systems that come and go with a story.

use std::path::{Path, PathBuf};

use super::shell;

/// A mount that ends with its guard.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// An empty file system in memory at `folder`, of that size: `512k`.
    pub(crate) fn tmpfs(folder: &Path, size: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        shell(&format!("mount -t tmpfs -o size={size} tmpfs '{}'", folder.display()));
        Self(folder.to_owned())
    }

    /// The folder as it is, but nobody can write to it, not even root.
    pub(crate) fn read_only(folder: &Path) -> Self {
        let shown = folder.display();
        shell(&format!("mount --bind '{shown}' '{shown}' && mount -o remount,ro,bind '{shown}'"));
        Self(folder.to_owned())
    }

    /// Makes it larger or smaller.
    pub(crate) fn resize(&self, size: &str) {
        shell(&format!("mount -o remount,size={size} '{}'", self.0.display()));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
