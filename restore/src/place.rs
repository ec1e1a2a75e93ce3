//! Restores a snapshot, in place or into a folder: plan, ask, build, swap, tell.
//!
//! Both go the same way. A restore into a folder of its own is one in place where nothing is live: everything is built in
//! a staging folder inside it and moved up, so that a restore that fails leaves the folder empty, or not there at all.

mod domains;
mod error;
mod facts;
mod in_use;
mod preview;
mod told;

use std::path::PathBuf;

use shipshape_core::archive::patterns::Patterns;
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::state::StateDir;

use crate::ask;
use crate::cli::With;
use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage::{Existing, Stage};
use crate::swap::{self, kept, scope::Scope};
use crate::unpack::{self, Unpacked};

pub(crate) use domains::in_folder;
use error::PlaceError;
use facts::Facts;
pub(crate) use preview::{destination, shown};
pub(crate) use told::{Done, discard_older, warnings};

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into a folder of its own.
    Into(PathBuf),
    /// In place, with this folder as the application's.
    InPlace(PathBuf),
}

impl Target {
    /// What the flags say, else the application's own folder.
    pub(crate) fn new(with: &With<'_>, app_dir: Option<PathBuf>) -> Result<Self, PlaceError> {
        match &with.args.restore.into {
            Some(folder) => {
                let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                let there = absolute.ancestors().find(|path| path.symlink_metadata().is_ok());
                match there.filter(|path| !path.is_dir()) {
                    Some(path) => Err(PlaceError::NotAFolder { path: shown(path) }),
                    None => Ok(Self::Into(absolute)),
                }
            }
            None => app_dir.map(Self::InPlace).ok_or(PlaceError::NoTarget),
        }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &PathBuf {
        match self {
            Self::Into(folder) | Self::InPlace(folder) => folder,
        }
    }

    /// What to do with what is there.
    pub(crate) fn existing(&self) -> Existing {
        match self {
            Self::Into(_) => Existing::Refuse,
            Self::InPlace(_) => Existing::Replace,
        }
    }
}

/// Restores a snapshot.
pub(crate) fn restore(with: &With<'_>, snapshot: &Snapshot) -> Result<Outcome, Failure> {
    let flags = &with.args.restore;
    let mut picked = Picked::new(&snapshot.manifest, &flags.only, &flags.path)?;
    if flags.into.is_some() {
        // In a folder of its own nothing must stay for their sake, so they need not even be whole.
        picked.others.clear();
    }
    let facts = Facts::gather(snapshot, &picked)?;
    picked.companions = facts.companions(&snapshot.manifest.payloads);
    let target = Target::new(with, snapshot.app.dir.clone().or_else(|| facts.app_dir()))?;
    let preview = preview::snapshot(with, snapshot, &picked, &facts, &target)?;
    if flags.dry_run {
        with.run.only_looks();
        return Ok(preview::outcome(snapshot, preview, &target)?);
    }
    if matches!(target, Target::InPlace(_)) && !flags.yes {
        ask::confirm(&preview.text)?;
    }
    let watch = Stopwatch::start();
    let domains = domains::of(&target, &facts, facts.complete(&picked))?;
    let mut stage = Stage::open(domains, snapshot.manifest.id.as_str(), target.existing())?;
    let unpacked = build(with, snapshot, &picked, &stage)?;
    let scope = scope(with, snapshot, &facts, &unpacked)?;
    let mut warnings = in_use::warnings(unpacked.databases().map(|path| told::live(path, &stage, &target)));
    let swapped = swap::swap(&mut stage, &scope)?;
    if facts.is_all(flags) || flags.discard_old {
        discard_older(&stage, &swapped)?;
    }
    let done = Done { picked: &picked, unpacked: &unpacked, swapped: &swapped, target: &target, took: watch.elapsed() };
    warnings.extend(stage.recovered());
    warnings.extend(told::partial(snapshot, &flags.only));
    warnings.extend(warnings_of(&facts, &unpacked, &swapped));
    Ok(Outcome { warnings, ..done.outcome(snapshot, &stage) })
}

fn warnings_of(facts: &Facts, unpacked: &Unpacked, swapped: &swap::Swapped) -> Vec<shipshape_core::report::Notice> {
    let mut all = warnings(unpacked, swapped);
    all.extend(facts.unreadable.clone());
    all
}

fn build(with: &With<'_>, snapshot: &Snapshot, picked: &Picked, stage: &Stage) -> Result<Unpacked, Failure> {
    let total = Some(snapshot.manifest.bytes.plain);
    let progress = Progress::bytes(total, "restoring", with.args.common.quiet);
    let unpacked = unpack::snapshot(snapshot, picked, stage, &progress)?;
    progress.finish();
    if unpacked.is_empty() && !picked.paths.is_empty() {
        return Err(picked.nothing().into());
    }
    Ok(unpacked)
}

/// What may be moved: in what comes back completely, everything that nothing speaks for.
fn scope(with: &With<'_>, snapshot: &Snapshot, facts: &Facts, unpacked: &Unpacked) -> Result<Scope, Failure> {
    let mut scope = Scope {
        excluded: Patterns::new(facts.excluded())?,
        untouchable: untouchable(with, snapshot.store.local_folder())?,
        only_for_content: unpacked.only_for_content.clone(),
        ..Scope::default()
    };
    facts.databases.iter().for_each(|path| scope.keep_database(path));
    facts.singles.iter().for_each(|path| scope.keep_file(path));
    // A link that was named as a source was followed: its content comes back where it leads, and the link stays.
    facts.links().for_each(|path| scope.keep_file(path));
    unpacked.databases().for_each(|path| scope.replace_database(path));
    Ok(scope)
}

/// The store and the state may lie in the application's folder; they are not the application's.
pub(crate) fn untouchable(with: &With<'_>, store: Option<&std::path::Path>) -> Result<Vec<PathBuf>, Failure> {
    let state = StateDir::open(&with.args.common)?;
    let folders = store.into_iter().chain([state.path()]);
    Ok(folders.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned())).collect())
}

/// Removes the old sides that earlier restores kept.
pub(crate) fn discard_old(with: &With<'_>) -> Result<Outcome, Failure> {
    let app = with.config.app(with.args.store.app.as_deref())?;
    with.run.app(&app.name);
    let folder = app.dir.ok_or(PlaceError::NoTarget)?;
    let found = kept::all(&folder)?;
    let would = with.args.restore.dry_run;
    if would {
        with.run.only_looks();
    }
    let discarded = if would { found.into_iter().collect() } else { kept::discard(found)? };
    Ok(told::discarded(&discarded, would))
}

#[cfg(test)]
mod tests;
