//! Where other file systems begin: renames cannot cross into them.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mount points below a folder, itself left out. Where the kernel does not tell, there are none.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> =
        points(&listed).filter(|point| point != folder && point.starts_with(folder)).collect();
    found.sort();
    found.dedup();
    found
}

/// The fifth field of each line (`proc_pid_mountinfo(5)`).
fn points(listed: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = listed.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescaped)
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_blanks_are_read() {
        let listed =
            b"36 35 98:0 /mnt1 /mnt/my\\040disk rw,noatime master:1 - ext3 /dev/root rw\n37 35 0:1 / / rw - x x rw\n";
        let read: Vec<_> = points(listed).collect();
        assert_eq!(read, [Path::new("/mnt/my disk"), Path::new("/")]);
    }

    #[test]
    fn the_folder_itself_and_its_neighbours_are_not_below() {
        assert!(below(Path::new("/")).contains(&PathBuf::from("/proc")));
        assert!(!below(Path::new("/proc")).contains(&PathBuf::from("/proc")));
    }
}
