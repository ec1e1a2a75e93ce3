//! What this machine is, and its dice.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::name;

/// The host's name as the kernel has it (`uname -n`), mended to a usable [`name`].
pub fn host_name() -> String {
    name::mend(&rustix::system::uname().nodename().to_string_lossy(), "localhost")
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A number that nobody can guess.
pub fn random() -> u64 {
    rand::Rng::random(&mut rand::rng())
}

/// Free space where a folder lies, in bytes, as an unprivileged user sees it. Source: statvfs(3).
///
/// # Errors
/// What the folder's file system says.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(folder)?;
    // f_bavail, not f_bfree: blocks kept for root are not ours.
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// Whether two folders share their free space, as far as can be told.
pub fn same_disk(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|found| found.dev());
    matches!((device(one), device(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_usable_name() {
        assert!(name::is_valid(&host_name()));
    }

    #[test]
    fn a_folder_shares_its_disk_with_itself() {
        let folder = tempfile::tempdir().unwrap();
        assert!(same_disk(folder.path(), folder.path()) && !same_disk(folder.path(), Path::new("/no/such/folder")));
        assert!(free_bytes(folder.path()).unwrap() > 0);
    }
}
