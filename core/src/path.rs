//! Paths as they are written, without a look at the disk.

use std::path::{Component, Path, PathBuf};

/// The path without `.` and `..` parts, as it was meant, links left alone.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(cleaned.pop()),
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_taken_as_they_were_meant() {
        assert_eq!(clean(Path::new("/srv/./a/../b/")), Path::new("/srv/b"));
        assert_eq!(clean(Path::new("./a")), Path::new("a"));
        assert_eq!(clean(Path::new("/..")), Path::new("/"));
    }
}
