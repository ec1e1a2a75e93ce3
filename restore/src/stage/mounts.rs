//! Where other file systems begin: renames cannot cross into them. And what other processes have mounted: renames do not
//! reach them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Something that a process with mounts of its own, as a container has, sees by a mount of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it is for us.
    pub(crate) path: PathBuf,
    /// The way to what that process sees, whatever becomes of `path`.
    pub(crate) inside: PathBuf,
}

/// A line of `mountinfo`, as far as it matters here.
struct Mount {
    device: Vec<u8>,
    /// What of the file system is mounted.
    root: PathBuf,
    point: PathBuf,
}

/// The mount points below a folder, itself left out. Where the kernel does not tell, there are none.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> =
        points(&listed).filter(|point| point != folder && point.starts_with(folder)).collect();
    found.sort();
    found.dedup();
    found
}

/// What lies below these folders and other processes have mounted. To others than root the kernel tells little.
pub(crate) fn seen_by_others(folders: &[&Path]) -> Vec<Seen> {
    let own: Vec<Mount> = mounts(&fs::read("/proc/self/mountinfo").unwrap_or_default()).collect();
    let ours = fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let mut known = HashSet::from([ours]);
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path()) {
        // All processes of a container have the same mounts; what is no process has none.
        let Ok(namespace) = fs::read_link(process.join("ns/mnt")) else { continue };
        let listed = fs::read(process.join("mountinfo")).unwrap_or_default();
        if !listed.is_empty() && known.insert(namespace) {
            found.extend(mounts(&listed).flat_map(|theirs| seen(&process, &theirs, &own, folders)));
        }
    }
    found
}

/// Where a mount of a process is for us: below each of our mounts of the same file system.
fn seen(process: &Path, theirs: &Mount, own: &[Mount], folders: &[&Path]) -> Vec<Seen> {
    let inside = process.join("root").join(theirs.point.strip_prefix("/").unwrap_or(&theirs.point));
    let root = without_mark(&theirs.root);
    let same = own.iter().filter(|ours| ours.device == theirs.device);
    let paths = same.filter_map(|ours| Some(ours.point.join(root.strip_prefix(&ours.root).ok()?)));
    let wanted = paths.filter(|path| folders.iter().any(|folder| path.starts_with(folder) && path != folder));
    wanted.map(|path| Seen { path, inside: inside.clone() }).collect()
}

/// The kernel marks what was removed (`d_path`).
fn without_mark(root: &Path) -> PathBuf {
    let text = root.as_os_str().as_encoded_bytes();
    let plain = text.strip_suffix(b"//deleted").unwrap_or(text);
    std::ffi::OsString::from_vec(plain.to_vec()).into()
}

/// The fifth field of each line (`proc_pid_mountinfo(5)`).
fn points(listed: &[u8]) -> impl Iterator<Item = PathBuf> {
    mounts(listed).map(|mount| mount.point)
}

fn mounts(listed: &[u8]) -> impl Iterator<Item = Mount> {
    let mount = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let device = fields.next()?.to_vec();
        Some(Mount { device, root: unescaped(fields.next()?), point: unescaped(fields.next()?) })
    };
    listed.split(|byte| *byte == b'\n').filter_map(mount)
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
mod fuzz;
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
    fn what_a_container_has_mounted_is_found_where_we_have_it() {
        let own: Vec<Mount> = mounts(b"1 0 8:1 / / rw - x x rw\n2 1 8:2 / /srv rw - x x rw\n").collect();
        let theirs = |line: &[u8]| {
            let theirs = mounts(line).next().unwrap();
            let found = seen(Path::new("/proc/7"), &theirs, &own, &[Path::new("/srv/app")]);
            found.into_iter().map(|seen| (seen.path, seen.inside)).collect::<Vec<_>>()
        };
        let uploads = (PathBuf::from("/srv/app/uploads"), PathBuf::from("/proc/7/root/data"));
        assert_eq!(theirs(b"9 8 8:2 /app/uploads /data rw - x x rw"), std::slice::from_ref(&uploads));
        assert_eq!(theirs(b"9 8 8:2 /app/uploads//deleted /data rw - x x rw"), [uploads]);
        assert_eq!(theirs(b"9 8 8:1 /app/uploads /data rw - x x rw"), [], "another file system");
        assert_eq!(theirs(b"9 8 8:2 /app /data rw - x x rw"), [], "the folder itself is never moved");
    }

    #[test]
    fn the_folder_itself_and_its_neighbours_are_not_below() {
        assert!(below(Path::new("/")).contains(&PathBuf::from("/proc")));
        assert!(!below(Path::new("/proc")).contains(&PathBuf::from("/proc")));
    }
}
