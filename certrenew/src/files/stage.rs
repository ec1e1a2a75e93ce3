//! Writing a version beside those that are there: whole and durable before anything knows of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use shipshape_core::atomic::{self, AtomicError};
use shipshape_core::config::InstallKind;
use shipshape_core::report::Notice;
use zeroize::Zeroizing;

use super::owner::Ownership;
use super::place::{Place, foreign, look_at};
use super::versions::{self, Form};
use super::{FilesError, KEY, KINDS, Lineage, Staged, Version, disk};
use crate::certificate::{self, Chain};
use crate::key::Key;

/// What is written to see whether something can be: as much as the largest pair takes.
const TRIAL: usize = 64 << 10;

/// Writing by others, as permission bits.
const OTHERS_WRITE: u32 = 0o002;

/// Folders that were made for readers who are not us let them through, and tell them nothing of what is in them.
const PASSAGE: u32 = 0o711;

/// The bytes of the files, by their kinds.
pub(super) type Contents = Vec<(&'static str, Zeroizing<Vec<u8>>)>;

impl Lineage {
    /// Whether a new version could be written: permissions, free space, a folder that is not ours. Leaves nothing
    /// behind.
    pub(crate) fn try_writing(&self) -> Result<(), FilesError> {
        let place = self.look()?;
        let ownership = self.ownership()?;
        self.nothing_in_the_way(&place)?;
        // They may be missing, and may lie on different file systems.
        for folder in [self.live_folder(), self.archive()] {
            try_in(nearest(&folder), &ownership)?;
        }
        if place == Place::Plain && self.install == InstallKind::InPlace {
            for path in KINDS.map(|kind| self.live().join(format!("{kind}.pem"))) {
                if look_at(&path)?.is_some() {
                    disk::open_to_overwrite(&path, 0).map_err(|cause| FilesError::writing(&path, cause))?;
                }
            }
        }
        Ok(())
    }

    /// Writes a new version beside the present one: whole, durable, with owner and modes of the present one.
    ///
    /// Killed before the last rename, it leaves a folder that [`Lineage::mend`] removes, or files of a version that is
    /// not whole and that nobody takes for one; its number is not used again.
    pub(crate) fn stage(&self, key: &Key, chain: &Chain) -> Result<Staged, FilesError> {
        let place = self.look()?;
        let ownership = self.ownership()?;
        self.make_folders(&ownership)?;
        if place == Place::Plain {
            self.keep_plain(&ownership)?;
        }
        let is_certbots = matches!(place, Place::Certbot { .. }) && self.install == InstallKind::Versioned;
        let form = if is_certbots { Form::Files } else { Form::Folder };
        self.write(form, &contents(key, chain), &ownership)
    }

    /// Files that were here before versions were: they become one, so that there is a way back to them.
    pub(super) fn keep_plain(&self, ownership: &Ownership) -> Result<Option<Version>, FilesError> {
        if let Some(version) = self.version_of_files()? {
            return Ok(Some(version));
        }
        let present = read_all(|kind| self.live().join(format!("{kind}.pem")))?;
        if present.is_empty() {
            return Ok(None);
        }
        self.make_folders(ownership)?;
        Ok(Some(self.write(Form::Folder, &present, ownership)?.version))
    }

    /// All of it into a folder that nobody looks into, then into `archive/NAME` by renaming.
    ///
    /// # Errors
    /// On a full disk the temporary folder goes with this function, and nothing is left behind.
    fn write(&self, form: Form, contents: &Contents, ownership: &Ownership) -> Result<Staged, FilesError> {
        let archive = self.archive();
        let writing = |cause| FilesError::writing(&archive, cause);
        let version = self.versions()?.next();
        let temporary = atomic::temporary_folder(&archive).map_err(writing)?;
        let mut is_kept = true;
        for (kind, bytes) in contents {
            let mode = if *kind == KEY { ownership.key_mode() } else { Ownership::public_mode() };
            let name = match form {
                Form::Folder => format!("{kind}.pem"),
                Form::Files => versions::file_name(version, kind),
            };
            is_kept &= disk::create(&temporary.path().join(name), bytes, mode, ownership)?;
        }
        match form {
            Form::Folder => self.publish_folder(temporary.path(), version)?,
            Form::Files => self.publish_files(temporary.path(), version)?,
        }
        disk::sync(&archive).map_err(writing)?;
        Ok(Staged { version, notice: (!is_kept).then(|| self.not_kept()) })
    }

    /// One rename: a folder of this number is whole, or not there.
    fn publish_folder(&self, temporary: &Path, version: Version) -> Result<(), FilesError> {
        let folder = self.archive().join(versions::folder_name(version));
        let publish = || {
            disk::open_folder(temporary)?;
            disk::sync(temporary)?;
            disk::rename_new(temporary, &folder)
        };
        publish().map_err(|cause| FilesError::writing(&folder, cause))
    }

    /// One after the other, as certbot does it; what is there of a version that is not whole goes again.
    fn publish_files(&self, temporary: &Path, version: Version) -> Result<(), FilesError> {
        let archive = self.archive();
        for kind in KINDS {
            let name = versions::file_name(version, kind);
            let path = archive.join(&name);
            if let Err(cause) = disk::rename_new(&temporary.join(&name), &path) {
                // Its number is new: whatever has it is from this loop. What cannot be removed is removed by `tidy`.
                for kind in KINDS {
                    let _ = fs::remove_file(archive.join(versions::file_name(version, kind)));
                }
                return Err(FilesError::writing(&path, cause));
            }
        }
        Ok(())
    }

    /// Whose new files are: as stated, else as with the present key.
    pub(super) fn ownership(&self) -> Result<Ownership, FilesError> {
        let present = fs::metadata(self.live().join(format!("{KEY}.pem"))).ok();
        Ownership::of(self.owner.as_deref(), self.group.as_deref(), present.as_ref())
    }

    /// The folders that are missing, private from birth. Those that are there stay as their owner wants them.
    fn make_folders(&self, ownership: &Ownership) -> Result<(), FilesError> {
        let archive = self.archive();
        let above = archive.parent().unwrap_or(&archive).to_owned();
        for folder in [self.folder.clone(), self.live_folder(), above, archive] {
            if look_at(&folder)?.is_some() {
                continue;
            }
            atomic::private_dir(&folder).map_err(|error| match error {
                AtomicError::Folder { path, cause } | AtomicError::Write { path, cause } => {
                    FilesError::writing(&path, cause)
                }
            })?;
            if ownership.is_stated() {
                fs::set_permissions(&folder, fs::Permissions::from_mode(PASSAGE))
                    .map_err(|cause| FilesError::writing(&folder, cause))?;
            }
        }
        Ok(())
    }

    /// Folders within `live/NAME` cannot be taken along when a link takes its place.
    pub(super) fn nothing_in_the_way(&self, place: &Place) -> Result<(), FilesError> {
        let stays = *place == Place::Plain && self.install == InstallKind::InPlace;
        let Some(present) = self.present_folder(place).filter(|_| !stays) else { return Ok(()) };
        if look_at(&present)?.is_none() {
            return Ok(());
        }
        match disk::folders_in(&present).map_err(|cause| FilesError::reading(&present, cause))?.first() {
            Some(name) => Err(foreign(&present.join(name), "is a folder, and cannot be taken along to a new version")),
            None => Ok(()),
        }
    }

    /// An owner that was stated and cannot be set is an error; one that was there before is worth a look.
    fn not_kept(&self) -> Notice {
        let live = self.live();
        Notice::new(
            "files.owner",
            format!("the new files of {} are not their old owner's: only root can give files away", live.display()),
            format!("run it as root, or as who owns them: ls -lL {}", live.display()),
        )
    }
}

/// The four files of a pair. The key's bytes are wiped when they go.
fn contents(key: &Key, chain: &Chain) -> Contents {
    let bytes = |text: String| Zeroizing::new(text.into_bytes());
    vec![
        (KEY, Zeroizing::new(key.pem().as_bytes().to_vec())),
        ("cert", bytes(chain.leaf_pem())),
        ("chain", bytes(chain.issuers_pem())),
        ("fullchain", bytes(chain.full_pem())),
    ]
}

/// Those of the four files that are there.
pub(super) fn read_all(path: impl Fn(&str) -> PathBuf) -> Result<Contents, FilesError> {
    let mut found = Contents::new();
    for kind in KINDS {
        if let Some(bytes) = read(&path(kind))? {
            found.push((kind, bytes));
        }
    }
    Ok(found)
}

/// A file of a pair; none where it is not there. Neither chains nor keys are larger than a chain may be.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, FilesError> {
    let reading = |cause| FilesError::reading(path, cause);
    // What should be a file may be a pipe, which must not hold us (open(2), O_NONBLOCK).
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = match fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(reading)?,
    };
    let found = file.metadata().map_err(reading)?;
    let size = found.len();
    if !found.is_file() {
        return Err(foreign(path, "is no file"));
    }
    if size > certificate::LARGEST as u64 {
        return Err(foreign(path, "is too large for what it should be"));
    }
    // All the room from the beginning: a buffer that grows leaves copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
    file.take(size).read_to_end(&mut bytes).map_err(reading)?;
    Ok(Some(bytes))
}

/// The nearest folder on the way to this one that exists.
fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|above| above.is_dir()).unwrap_or(folder)
}

/// Writes there what a pair takes, gives it to its owner, and leaves nothing.
fn try_in(folder: &Path, ownership: &Ownership) -> Result<(), FilesError> {
    let mode = fs::metadata(folder).map_err(|cause| FilesError::reading(folder, cause))?.mode() & 0o7777;
    // The sticky bit does not help: whoever comes first could make `live` or `archive` their own.
    if mode & OTHERS_WRITE != 0 {
        return Err(FilesError::OpenFolder { path: folder.to_owned(), mode });
    }
    let writing = |cause| FilesError::writing(folder, cause);
    let temporary = atomic::temporary_folder(folder).map_err(writing)?;
    let path = temporary.path().join("trial");
    let named = |error| match error {
        FilesError::DiskFull { .. } => FilesError::DiskFull { path: folder.join("live") },
        other => other,
    };
    disk::create(&path, &[], ownership.key_mode(), ownership).map_err(named)?;
    let mut file = fs::OpenOptions::new().append(true).open(&path).map_err(writing)?;
    file.write_all(&vec![b' '; TRIAL]).and_then(|()| file.sync_all()).map_err(writing)
}
