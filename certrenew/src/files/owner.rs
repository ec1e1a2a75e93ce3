//! Whose the files are: stated, or those of the present ones.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use super::FilesError;

/// What everybody may read: certificates are public.
const PUBLIC: u32 = 0o644;

/// What only the owner may read.
const PRIVATE: u32 = 0o600;

/// Reading by the group, as a permission bit.
const GROUP_READS: u32 = 0o040;

/// The largest list of users that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Who has a file, or which group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Whoever writes it.
    Ours,
    /// Who had the present one. That it cannot be given to them is told, and no more.
    Kept(u32),
    /// Who is stated.
    Stated(u32),
}

/// Whose new files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    user: Claim,
    group: Claim,
    group_reads: bool,
}

impl Ownership {
    /// By what is stated, else by the present key.
    pub(super) fn of(user: Option<&str>, group: Option<&str>, present: Option<&Metadata>) -> Result<Self, FilesError> {
        let kept = |id: Option<u32>| id.map_or(Claim::Ours, Claim::Kept);
        let user_claim = match user {
            Some(name) => Claim::Stated(number("user", name, Path::new("/etc/passwd"))?),
            None => kept(present.map(MetadataExt::uid)),
        };
        let group_claim = match group {
            Some(name) => Claim::Stated(number("group", name, Path::new("/etc/group"))?),
            None => kept(present.map(MetadataExt::gid)),
        };
        let group_reads = group.is_some() || present.is_some_and(|present| present.mode() & GROUP_READS != 0);
        Ok(Self { user: user_claim, group: group_claim, group_reads })
    }

    /// The permission bits of a key. Others never read it, whatever they did before.
    pub(super) fn key_mode(&self) -> u32 {
        if self.group_reads { PRIVATE | GROUP_READS } else { PRIVATE }
    }

    /// The permission bits of what is public.
    pub(super) fn public_mode() -> u32 {
        PUBLIC
    }

    /// Whether somebody else than who writes is meant to read: folders on the way must then let them through.
    pub(super) fn is_stated(&self) -> bool {
        matches!(self.user, Claim::Stated(_)) || matches!(self.group, Claim::Stated(_))
    }

    /// Gives a file that is private so far to its owner, and then opens it as far as it may be. Tells whether it has
    /// the owner that the present one has.
    pub(super) fn give(&self, file: &File, path: &Path, mode: u32) -> Result<bool, FilesError> {
        let is_kept = self.give_away(file, path)?;
        file.set_permissions(Permissions::from_mode(mode)).map_err(|cause| FilesError::writing(path, cause))?;
        Ok(is_kept)
    }

    /// The owner alone, the bits left as they are.
    pub(super) fn give_away(&self, file: &File, path: &Path) -> Result<bool, FilesError> {
        let found = file.metadata().map_err(|cause| FilesError::reading(path, cause))?;
        let mut is_kept = true;
        for (claim, has, change) in [(self.user, found.uid(), [true, false]), (self.group, found.gid(), [false, true])]
        {
            let (Claim::Kept(id) | Claim::Stated(id)) = claim else { continue };
            // Ordinary users may not even give a file to whom it belongs already on some file systems (chown(2)).
            if id == has {
                continue;
            }
            let [user, group] = change.map(|is_it| is_it.then_some(id));
            match fchown(file, user, group) {
                Ok(()) => {}
                Err(_) if claim == Claim::Kept(id) => is_kept = false,
                Err(source) => return Err(FilesError::NotGiven { path: path.to_owned(), source }),
            }
        }
        Ok(is_kept)
    }
}

/// The number of a user or group: a number as it is, a name by the machine's own list (passwd(5), group(5): the third
/// field). Names that only a directory service knows are stated as numbers.
fn number(kind: &'static str, name: &str, list: &Path) -> Result<u32, FilesError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = read(list).map_err(|cause| FilesError::reading(list, cause))?;
    let found = String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1).and_then(|id| id.parse().ok())).flatten()
    });
    found.ok_or_else(|| FilesError::Owner { kind, name: name.to_owned() })
}

fn read(list: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(list)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use shipshape_core::error::Explain;

    use super::*;

    fn of(user: Option<&str>, group: Option<&str>, mode: Option<u32>) -> Ownership {
        let file = tempfile::tempfile().unwrap();
        let present = mode.map(|mode| {
            file.set_permissions(Permissions::from_mode(mode)).unwrap();
            file.metadata().unwrap()
        });
        Ownership::of(user, group, present.as_ref()).unwrap()
    }

    #[test]
    fn others_never_read_a_key_and_the_group_does_where_it_is_meant_to() {
        let modes = [
            of(None, None, None).key_mode(),
            of(None, None, Some(0o644)).key_mode(),
            of(None, None, Some(0o600)).key_mode(),
            of(None, Some("root"), Some(0o600)).key_mode(),
            of(Some("root"), None, Some(0o607)).key_mode(),
        ];
        assert_eq!(modes, [0o600, 0o640, 0o600, 0o640, 0o600]);
    }

    #[test]
    fn names_are_found_in_the_machines_own_list_and_numbers_need_none() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("passwd");
        fs::write(&list, b"root:x:0:0::/:/bin/sh\n\xff\nbroken\nwww-data:x:33:33:www:/var/www:/x\nodd:x:y:\n").unwrap();
        assert_eq!(number("user", "www-data", &list).unwrap(), 33);
        assert_eq!(number("user", "1001", &list).unwrap(), 1001);
        for name in ["www", "broken", "odd", "x", ""] {
            let refused = number("user", name, &list).unwrap_err();
            assert_eq!((refused.code(), refused.exit().number()), ("files.owner", 3), "{name}");
        }
        let refused = Ownership::of(None, Some("no-such-group"), None).unwrap_err();
        assert_eq!(refused.to_string(), "there is no group `no-such-group` on this machine");
        assert!(refused.hint().contains("getent group no-such-group"));
    }

    #[test]
    fn a_file_keeps_the_owner_of_the_present_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let kept = of(None, None, Some(0o640));
        assert!(kept.give(file.as_file(), file.path(), kept.key_mode()).unwrap());
        assert_eq!(file.as_file().metadata().unwrap().mode() & 0o7777, 0o640);
    }
}
