//! What services keep outside themselves: volumes, and folders of this machine that they mount. What of it is copied as
//! files, and what is not, and why.
//!
//! | what | where | copied |
//! |---|---|---|
//! | volume | anywhere | yes, unless `exclude_volumes` has it |
//! | folder, written to by a service | inside the application's folder | with that folder, unless `files` narrows it |
//! | folder or file, written to | elsewhere | yes, unless it is the system's |
//! | folder or file, only read | elsewhere | no: whoever writes it has it |
//! | what is mounted and is not there | elsewhere | an error, where a service would write it |
//! | where a database server keeps its data | anywhere | never as files: it is dumped |

mod decide;
mod error;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::index::Root;
use shipshape_core::database::{Engine, keeps_data_in};
use shipshape_core::stack::{MountSource, Stack, Volume};

use super::data_folders::Live;
use crate::stack::Surroundings;
use decide::{Decision, Use, of_folder, of_missing, of_volume, uses};
pub(crate) use error::VolumeError;

/// What is not copied as files, and why: for whoever looks at the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Omitted {
    /// A volume's name, or a path.
    pub(crate) what: String,
    /// The reason.
    pub(crate) why: String,
}

/// What there is beside the application's folder.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Volumes and folders that are copied as files.
    pub(crate) roots: Vec<Root>,
    /// Folders in which servers keep their data, wherever they lie.
    pub(crate) live: Vec<Live>,
    /// Everything that servers mount, for telling whose a data folder is.
    pub(crate) served: Vec<(PathBuf, Engine)>,
    /// What services write in the application's folder: part of it, unless its owner narrows what is taken.
    pub(crate) inside: Vec<PathBuf>,
    /// What is not copied.
    pub(crate) omitted: Vec<Omitted>,
    /// Volumes that services mount and that do not exist, by the machine's names.
    pub(crate) never_made: Vec<String>,
    /// A volume that should be copied and cannot be reached.
    pub(crate) unreachable: Option<VolumeError>,
    /// Folders that services write and that cannot be reached, as the roots that they would be, and why.
    pub(crate) unfound: Vec<(Root, VolumeError)>,
}

impl Kept {
    /// Looks at all that the services mount. `exclude` has the volumes that the owner does not want.
    pub(crate) fn look(around: &Surroundings, app_dir: &Path, exclude: &[String]) -> Result<Self, VolumeError> {
        let mut kept = Self::default();
        let Some(stack) = around.stack() else { return Ok(kept) };
        let uses = uses(around);
        kept.add_folders(&uses, app_dir);
        kept.add_volumes(stack, &uses, exclude)?;
        Ok(kept)
    }

    fn add_volumes(&mut self, stack: &dyn Stack, uses: &[Use<'_>], exclude: &[String]) -> Result<(), VolumeError> {
        let is_mounted = uses.iter().any(|mounted| matches!(mounted.mount.source, MountSource::Volume(_)));
        if !is_mounted && exclude.is_empty() {
            return Ok(());
        }
        let volumes = stack.volumes()?;
        let is_meant = |volume: &Volume, name: &String| *name == volume.name || *name == volume.full_name;
        if let Some(name) = exclude.iter().find(|name| !volumes.iter().any(|volume| is_meant(volume, name))) {
            let known = volumes.into_iter().map(|volume| volume.name).collect();
            return Err(VolumeError::NoSuchVolume { name: name.clone(), known });
        }
        for volume in &volumes {
            if exclude.iter().any(|name| is_meant(volume, name)) {
                self.omit(&volume.name, "[backup] exclude_volumes has it");
            } else {
                self.add_volume(volume, uses);
            }
        }
        Ok(())
    }

    fn add_volume(&mut self, volume: &Volume, uses: &[Use<'_>]) {
        let source = MountSource::Volume(volume.name.clone());
        let uses: Vec<&Use<'_>> = uses.iter().filter(|mounted| mounted.mount.source == source).collect();
        if let Some(folder) = volume.folder.as_ref().and_then(|folder| folder.canonicalize().ok()) {
            let engines = uses.iter().filter_map(|mounted| mounted.engine());
            self.served.extend(engines.map(|engine| (folder.clone(), engine)));
        }
        match of_volume(volume, &uses) {
            Decision::Omit(why) => self.omit(&volume.name, why),
            Decision::Missing => {
                self.omit(&volume.name, "it does not exist yet");
                let is_expected = uses.iter().any(|mounted| !mounted.service.optional);
                self.never_made.extend(is_expected.then(|| volume.full_name.clone()));
            }
            Decision::Live(live) => {
                self.omit(&volume.name, &live.why);
                self.live.extend(volume.folder.clone().map(|folder| live.at(folder)));
            }
            Decision::Take => match reachable(volume) {
                Ok(folder) => self.take(folder, &uses, Some(volume)),
                Err(refused) => self.unreachable = Some(refused),
            },
        }
    }

    fn add_folders(&mut self, uses: &[Use<'_>], app_dir: &Path) {
        let mut folders: Vec<(PathBuf, Vec<&Use<'_>>)> = Vec::new();
        for mounted in uses {
            match &mounted.mount.source {
                MountSource::Anonymous if !mounted.is_server() => {
                    let what = format!("{} of {}", mounted.mount.target.display(), mounted.service.name);
                    self.omit(&what, "a volume without a name goes with its service; give it one");
                }
                MountSource::Path(stated) => {
                    let folder = match stated.canonicalize() {
                        Ok(folder) => folder,
                        Err(cause) => {
                            self.add_missing(stated, cause, uses, app_dir);
                            continue;
                        }
                    };
                    if let Some(engine) = mounted.engine() {
                        self.served.push((folder.clone(), engine));
                    }
                    match folders.iter_mut().find(|(known, _)| *known == folder) {
                        Some((_, uses)) => uses.push(mounted),
                        None => folders.push((folder, vec![mounted])),
                    }
                }
                MountSource::Anonymous | MountSource::Volume(_) | MountSource::Nothing => {}
            }
        }
        for (folder, uses) in folders {
            self.add_folder(folder, &uses, app_dir);
        }
    }

    /// A folder or file that is mounted and is not to be had: a disk that is missing, for all that is known. What services
    /// write there is wanted.
    fn add_missing(&mut self, stated: &Path, cause: io::Error, uses: &[Use<'_>], app_dir: &Path) {
        let source = MountSource::Path(stated.to_owned());
        let uses: Vec<&Use<'_>> = uses.iter().filter(|mounted| mounted.mount.source == source).collect();
        let what = stated.display().to_string();
        if stated.starts_with(app_dir) || self.omitted.iter().any(|omitted| omitted.what == what) {
            return;
        }
        if let Some(why) = of_missing(stated, &uses, &cause) {
            return self.omit(&what, why);
        }
        let error = VolumeError::NoFolder { path: stated.to_owned(), source: cause };
        self.unfound.push((root(stated, None), error));
    }

    fn add_folder(&mut self, folder: PathBuf, uses: &[&Use<'_>], app_dir: &Path) {
        // To leave out what holds the application itself would leave out the application.
        let is_above = app_dir.starts_with(&folder);
        let what = folder.display().to_string();
        match of_folder(&folder, uses) {
            _ if is_above && folder != app_dir => self.omit(&what, "the application's folder lies in it"),
            _ if is_above => {}
            Decision::Live(live) => {
                self.omit(&what, &live.why);
                self.live.push(live.at(folder));
            }
            // It is part of the application's folder, whatever services do with it.
            _ if folder.starts_with(app_dir) => {
                self.inside.extend(uses.iter().any(|mounted| !mounted.mount.read_only).then_some(folder));
            }
            Decision::Omit(why) => self.omit(&what, why),
            // What is not there was not met here.
            Decision::Missing => {}
            Decision::Take => self.take(folder, uses, None),
        }
    }

    /// A place that is copied, unless it turns out that a server keeps its data there.
    fn take(&mut self, folder: PathBuf, uses: &[&Use<'_>], volume: Option<&Volume>) {
        let Some(engine) = keeps_data_in(&folder) else {
            return self.roots.push(root(&folder, volume.map(|volume| volume.full_name.as_str())));
        };
        match uses.iter().find_map(|mounted| mounted.left_out()) {
            // The application mounts it too; whose data it is, is known all the same.
            Some(live) => {
                self.omit(
                    &volume.map_or_else(|| folder.display().to_string(), |volume| volume.name.clone()),
                    &live.why,
                );
                self.live.push(live.at(folder));
            }
            None => self.live.push(Live::unknown(folder, engine)),
        }
    }

    fn omit(&mut self, what: &str, why: impl Into<String>) {
        self.omitted.push(Omitted { what: what.to_owned(), why: why.into() });
    }
}

/// The folder of a volume, if its content can be listed.
fn reachable(volume: &Volume) -> Result<PathBuf, VolumeError> {
    let refused = |source| VolumeError::Unreachable { volume: volume.name.clone(), source };
    let folder = volume.folder.as_ref().ok_or_else(|| refused(None))?;
    let folder = folder.canonicalize().map_err(|cause| refused(Some(cause)))?;
    std::fs::read_dir(&folder).map_err(|cause| refused(Some(cause)))?;
    Ok(folder)
}

/// A source outside the application's folder: its path in the index is its own without the leading slash.
fn root(folder: &Path, volume: Option<&str>) -> Root {
    let path = folder.as_os_str().as_bytes();
    Root {
        prefix: path.strip_prefix(b"/").unwrap_or(path).into(),
        path: path.into(),
        volume: volume.map(str::to_owned),
    }
}
