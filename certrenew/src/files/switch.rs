//! Putting a version into use: one change of one name, but for files that have to stay what they are.
//!
//! Killed between any two calls, `live/NAME` leads to one whole pair, and [`Lineage::mend`] removes what is left over:
//!
//! ```text
//! .NAME.new    what is to take the place of live/NAME, or has just left it: nothing is only there
//! .NAME.old    what has left it. Where names cannot be exchanged, live/NAME is missing for the moment between two
//!              renames: then it is put back
//! .in-place    in archive/NAME: the version that is being written over files; it is written again from the beginning
//! ```
//! Before a folder leaves `live/NAME`, its pair is a version and everything else in it was taken along.

use std::fs;
use std::path::{Path, PathBuf};

use shipshape_core::atomic::{self, AtomicError, TEMPORARY_PREFIX};
use shipshape_core::config::InstallKind;

use super::place::{Place, look_at};
use super::stage::{self, Contents};
use super::versions::{self, Form};
use super::{FilesError, KEY, KINDS, Lineage, Version, disk, owner::Ownership};

/// What says in `archive/NAME` that files are being written over.
const JOURNAL: &str = ".in-place";

/// How many versions are kept, the one in use counted.
const KEPT: usize = 5;

impl Lineage {
    /// Puts a version into use, and tells which one was before. What was before stays.
    pub(crate) fn switch(&self, version: Version) -> Result<Option<Version>, FilesError> {
        let form = self.whole(version)?;
        let place = self.look()?;
        self.nothing_in_the_way(&place)?;
        let ownership = self.ownership()?;
        // What is about to be written over or to leave has to be a version first: only then is there a way back.
        let before = match &place {
            Place::Plain => self.keep_plain(&ownership)?,
            other => self.version_of(other)?,
        };
        let is_plain = place == Place::Plain;
        let stays = is_plain == (self.install == InstallKind::InPlace);
        // In use already, and in the form that is wanted: a deploy that is tried again changes nothing.
        if before == Some(version) && stays {
            return Ok(before);
        }
        match (self.install, form) {
            (InstallKind::InPlace, _) if is_plain => self.write_over(version, form, before, &ownership)?,
            (InstallKind::InPlace, _) => self.make_plain(version, form, &place, &ownership)?,
            (InstallKind::Versioned, Form::Folder) => self.turn_to_folder(version, &place)?,
            (InstallKind::Versioned, Form::Files) => self.turn_to_files(version, &place)?,
        }
        Ok(before)
    }

    /// How a version lies there; an error where a file of it is missing.
    fn whole(&self, version: Version) -> Result<Form, FilesError> {
        let missing = || FilesError::NoVersion { name: self.name.clone(), version: version.0 };
        let form = self.versions()?.form(version).ok_or_else(missing)?;
        let is_there = |kind| look_at(&self.file(version, form, kind)).is_ok_and(|found| found.is_some());
        if ["fullchain", KEY].into_iter().all(is_there) { Ok(form) } else { Err(missing()) }
    }

    /// `live/NAME -> ../archive/NAME/0007`: relative, so that it holds wherever a container has the folder.
    fn turn_to_folder(&self, version: Version, place: &Place) -> Result<(), FilesError> {
        let name = versions::folder_name(version);
        let folder = self.archive().join(&name);
        self.take_along(place, &folder, &folder)?;
        self.turn(&Path::new("../archive").join(&self.name).join(name))
    }

    /// `live/NAME -> .NAME.7`, a folder with the links that certbot wants to see in `live/NAME`.
    fn turn_to_files(&self, version: Version, place: &Place) -> Result<(), FilesError> {
        let folder = self.links_folder(version, place);
        let make = || {
            disk::remove(&folder)?;
            disk::folder(&folder)?;
            for kind in KINDS {
                let target = Path::new("../../archive").join(&self.name).join(versions::file_name(version, kind));
                disk::link(&target, &folder.join(format!("{kind}.pem")))?;
            }
            disk::sync(&folder)
        };
        make().map_err(|cause| FilesError::writing(&folder, cause))?;
        self.take_along(place, &folder, &folder)?;
        self.turn(Path::new(folder.file_name().unwrap_or_default()))
    }

    /// A folder that is not in use: certbot may have turned the links in the one that is to another version.
    fn links_folder(&self, version: Version, place: &Place) -> PathBuf {
        let usual = self.hidden(&version.0.to_string());
        match place {
            Place::Certbot { links, .. } if *links == usual => self.hidden(&format!("{}~", version.0)),
            _ => usual,
        }
    }

    /// Makes the link beside `live/NAME`, under the name that `mend` knows, and then puts it there.
    fn turn(&self, target: &Path) -> Result<(), FilesError> {
        let new = self.hidden("new");
        disk::remove(&new).and_then(|()| disk::link(target, &new)).map_err(|cause| FilesError::writing(&new, cause))?;
        self.put(&new)
    }

    /// A folder of files where there was none.
    fn make_plain(&self, version: Version, form: Form, place: &Place, ownership: &Ownership) -> Result<(), FilesError> {
        let new = self.hidden("new");
        let writing = |cause| FilesError::writing(&new, cause);
        disk::remove(&new).and_then(|()| disk::folder(&new)).map_err(writing)?;
        for (kind, bytes) in self.contents(version, form)? {
            lay(&new, kind, &bytes, ownership)?;
        }
        self.take_along(place, &new, &self.live())?;
        disk::sync(&new).map_err(writing)?;
        self.put(&new)
    }

    /// Puts `.NAME.new` in the place of `live/NAME`.
    fn put(&self, new: &Path) -> Result<(), FilesError> {
        let (live, old, above) = (self.live(), self.hidden("old"), self.live_folder());
        let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let is_there = look_at(&live)?.is_some();
        let put = || {
            // What the new name leads to must be on the disk before the name is (a power cut keeps no order by itself).
            disk::sync(&above)?;
            disk::remove(&old)?;
            // rename(2) lets a link take the place of a link; a folder has to be exchanged.
            if !is_there || (is_link(&live) && is_link(new)) {
                disk::rename(new, &live)?;
            } else if disk::exchange(new, &live)? {
                disk::rename(new, &old)?;
            } else {
                disk::rename(&live, &old)?;
                disk::rename(new, &live)?;
            }
            disk::sync(&above)
        };
        put().map_err(|cause| FilesError::writing(&live, cause))
    }

    /// What else lies in the folder that is in use goes along; the four files of a version are its own.
    fn take_along(&self, place: &Place, to: &Path, at: &Path) -> Result<(), FilesError> {
        let Some(from) = self.present_folder(place).filter(|from| from != to && from.is_dir()) else { return Ok(()) };
        disk::carry(&from, to, at).and_then(|()| disk::sync(to)).map_err(|cause| FilesError::writing(to, cause))
    }

    /// Writes a version over the files that are there. What can fail is tried before; where it fails all the same, the
    /// pair from before is written back.
    fn write_over(
        &self,
        version: Version,
        form: Form,
        before: Option<Version>,
        ownership: &Ownership,
    ) -> Result<(), FilesError> {
        self.note_over(version)?;
        // From here on a kill leaves a pair that may not match; the journal says which one `mend` writes again.
        if let Err(error) = self.overwrite(version, form, ownership) {
            let undone = before.and_then(|before| {
                let form = self.versions().ok()?.form(before)?;
                self.note_over(before).and_then(|()| self.overwrite(before, form, ownership)).ok()
            });
            if undone.is_some() {
                self.forget_over()?;
            }
            return Err(error);
        }
        self.forget_over()
    }

    /// The files, one right after the other: nobody can read them both in that moment, and the server is told
    /// afterwards.
    fn overwrite(&self, version: Version, form: Form, ownership: &Ownership) -> Result<(), FilesError> {
        let live = self.live();
        let writing = |cause| FilesError::writing(&live, cause);
        let mut opened = Vec::new();
        for (kind, bytes) in self.contents(version, form)? {
            let path = live.join(format!("{kind}.pem"));
            if look_at(&path)?.is_none() {
                lay(&live, kind, &bytes, ownership)?;
                continue;
            }
            let file =
                disk::open_to_overwrite(&path, bytes.len()).map_err(|cause| FilesError::writing(&path, cause))?;
            ownership.give_away(&file, &path)?;
            opened.push((file, bytes));
        }
        for (file, bytes) in &mut opened {
            disk::overwrite(file, bytes).map_err(writing)?;
        }
        opened.iter().try_for_each(|(file, _)| file.sync_all()).map_err(writing)?;
        disk::sync(&live).map_err(writing)
    }

    /// The bytes of a version, the key among them.
    fn contents(&self, version: Version, form: Form) -> Result<Contents, FilesError> {
        stage::read_all(|kind| self.file(version, form, kind))
    }

    fn note_over(&self, version: Version) -> Result<(), FilesError> {
        let journal = self.archive().join(JOURNAL);
        atomic::replace(&journal, version.0.to_string().as_bytes()).map_err(|error| match error {
            AtomicError::Write { path, cause } | AtomicError::Folder { path, cause } => {
                FilesError::writing(&path, cause)
            }
        })
    }

    fn forget_over(&self) -> Result<(), FilesError> {
        let archive = self.archive();
        disk::remove(&archive.join(JOURNAL))
            .and_then(|()| disk::sync(&archive))
            .map_err(|cause| FilesError::writing(&archive, cause))
    }

    /// Brings a half-finished switch to an end, or undoes it: to be called before anything else, under the lock.
    pub(crate) fn mend(&self) -> Result<(), FilesError> {
        let (live, new, old) = (self.live(), self.hidden("new"), self.hidden("old"));
        let writing = |cause| FilesError::writing(&live, cause);
        if look_at(&live)?.is_none() && look_at(&old)?.is_some() {
            disk::rename(&old, &live).and_then(|()| disk::sync(&self.live_folder())).map_err(writing)?;
        }
        disk::remove(&new).and_then(|()| disk::remove(&old)).map_err(writing)?;
        self.end_writing_over()?;
        for folder in [self.archive(), self.live_folder()] {
            sweep(&folder).map_err(|cause| FilesError::writing(&folder, cause))?;
        }
        Ok(())
    }

    /// Writes the pair of the journal once more, from the beginning. Killed in it, the journal is still there.
    fn end_writing_over(&self) -> Result<(), FilesError> {
        let Some(noted) = stage::read(&self.archive().join(JOURNAL))? else { return Ok(()) };
        let noted = String::from_utf8_lossy(&noted).trim().parse().ok().map(Version);
        let versions = self.versions()?;
        let form = noted.and_then(|version| Some((version, versions.form(version)?)));
        if let Some((version, form)) = form
            && self.look()? == Place::Plain
        {
            self.overwrite(version, form, &self.ownership()?)?;
        }
        self.forget_over()
    }

    /// Removes versions that nobody needs any more; a few stay.
    pub(crate) fn tidy(&self) -> Result<(), FilesError> {
        let place = self.look()?;
        let in_use = self.version_of(&place)?;
        let archive = self.archive();
        let writing = |cause| FilesError::writing(&archive, cause);
        let versions = self.versions()?;
        for (version, form) in versions.newest_first().skip(KEPT).filter(|(version, _)| Some(*version) != in_use) {
            match form {
                Form::Folder => disk::remove(&archive.join(versions::folder_name(version))).map_err(writing)?,
                Form::Files => {
                    for kind in KINDS {
                        disk::remove(&self.file(version, form, kind)).map_err(writing)?;
                    }
                }
            }
        }
        let old = self.hidden("old");
        disk::remove(&old).map_err(|cause| FilesError::writing(&old, cause))?;
        self.tidy_links(&place)
    }

    /// Folders of links that are not in use: they are made anew when they are needed.
    fn tidy_links(&self, place: &Place) -> Result<(), FilesError> {
        let Place::Certbot { links, .. } = place else { return Ok(()) };
        let above = self.live_folder();
        let tidy = || {
            for entry in fs::read_dir(&above)? {
                let entry = entry?;
                let name = entry.file_name();
                let rest = name.to_str().and_then(|name| name.strip_prefix(&format!(".{}.", self.name)));
                let is_links = rest.is_some_and(|rest| {
                    let digits = rest.trim_end_matches('~');
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
                });
                if is_links && entry.path() != *links {
                    disk::remove(&entry.path())?;
                }
            }
            Ok(())
        };
        tidy().map_err(|cause| FilesError::writing(&above, cause))
    }
}

/// Writes one file of a pair where there is none.
fn lay(folder: &Path, kind: &str, bytes: &[u8], ownership: &Ownership) -> Result<(), FilesError> {
    let mode = if kind == KEY { ownership.key_mode() } else { Ownership::public_mode() };
    disk::create(&folder.join(format!("{kind}.pem")), bytes, mode, ownership).map(drop)
}

/// Removes what killed runs of ours have left: nobody else is at work under the lock.
fn sweep(folder: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
            disk::remove(&entry.path())?;
        }
    }
    Ok(())
}
