//! Restores a snapshot, in place or into a folder: plan, ask, build, swap, tell.
//!
//! Both go the same way. A restore into a folder of its own is one in place where nothing is live: everything is built in
//! a staging folder inside it and moved up, so that a restore that fails leaves the folder empty, or not there at all.

mod domains;
mod error;
pub(crate) mod facts;
mod in_use;
mod mounted;
mod preview;
mod servers;
mod told;
mod volumes;

use std::path::PathBuf;

use shipshape_core::archive::patterns::Patterns;
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::state::StateDir;

use crate::ask;
use crate::cli::With;
use crate::database::{self, Name, Plan, Records, Swapped};
use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage::{Domain, Existing, Stage};
use crate::swap::{self, kept, scope::Scope};
use crate::target::path_of;
use crate::unpack::{self, Unpacked};

pub(crate) use domains::in_folder;
pub(crate) use error::PlaceError;
use facts::Facts;
use mounted::Mounted;
pub(crate) use preview::{destination, shown};
use servers::Servers;
pub(crate) use servers::{settle, settle_unless};
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
    if let Some(name) = servers::named(flags.into.as_deref(), &picked) {
        return servers::beside(with, snapshot, &picked, name);
    }
    if flags.into.is_some() {
        picked.dumps = std::mem::take(&mut picked.databases);
    }
    let facts = Facts::gather(snapshot, &picked)?;
    picked.companions = facts.companions(&snapshot.manifest.payloads);
    let target = Target::new(with, snapshot.app.dir.clone().or_else(|| facts.app_dir()))?;
    if let Target::InPlace(folder) = &target {
        picked.in_place = true;
        let is_file = |path: &&Vec<u8>| folder.join(path_of(path)).symlink_metadata().is_ok_and(|it| it.is_file());
        picked.singles = facts.singles.iter().filter(is_file).cloned().collect();
    }
    let servers = Servers::open(with, &snapshot.app.name, &target, &picked)?;
    let plan = servers.as_ref().map(|servers| servers.plan(with, snapshot, &picked, Name::Own)).transpose()?.flatten();
    let preview = preview::snapshot(with, snapshot, &picked, &facts, &target, plan.as_ref())?;
    // What has no place here is told before anybody is asked.
    let is_in_folders = !picked.payloads.is_empty() || plan.is_none();
    let domains = if is_in_folders { domains::of(&target, &facts, &picked)? } else { Vec::new() };
    if flags.dry_run {
        with.run.only_looks();
        return Ok(preview::outcome(snapshot, preview, &target)?);
    }
    if matches!(target, Target::InPlace(_)) && !flags.yes {
        ask::confirm(&preview.text)?;
    }
    let databases = servers.as_ref().zip(plan.as_ref());
    match databases {
        Some((servers, plan)) if picked.payloads.is_empty() => {
            servers::alone(with, snapshot, servers, plan, &shown(target.folder()))
        }
        _ => {
            let servers = servers.as_ref();
            let decided = Decided { picked: &picked, facts: &facts, target: &target, servers, databases };
            carry_out(with, snapshot, &decided, domains)
        }
    }
}

/// All that is decided before anything is done.
struct Decided<'a> {
    picked: &'a Picked,
    facts: &'a Facts,
    target: &'a Target,
    /// Those that this restore may change.
    servers: Option<&'a Servers>,
    /// Those that it does change, and how.
    databases: Option<(&'a Servers, &'a Plan<'a>)>,
}

/// Builds everything beside what is live, databases first, and swaps it in the same order.
fn carry_out(
    with: &With<'_>,
    snapshot: &Snapshot,
    decided: &Decided<'_>,
    domains: Vec<Domain>,
) -> Result<Outcome, Failure> {
    let Decided { picked, facts, target, servers, databases } = *decided;
    let watch = Stopwatch::start();
    let id = snapshot.manifest.id.as_str();
    let mut stage = Stage::open(domains, id, target.existing())?;
    let unpacked = build(with, snapshot, picked, &stage)?;
    let waiting = databases.map(|(servers, plan)| plan.load(&servers.records, id)).transpose()?;
    let mounted = Mounted::look(&stage, target);
    let scope = Scope { pinned: mounted.folders(), ..scope(with, snapshot, facts, &unpacked)? };
    let mut warnings = in_use::warnings(unpacked.databases().map(|path| told::live(path, &stage, target)));
    let databases = waiting.map(|waiting| waiting.swap(servers::files_of(&stage))).transpose()?;
    let swapped = match swap::swap(&mut stage, &scope) {
        Ok(swapped) => swapped,
        Err(failed) => {
            databases.map_or(Ok(()), Swapped::back)?;
            return Err(failed.into());
        }
    };
    let databases = servers::Told::done(databases);
    warnings.extend(mounted.warnings());
    let flags = &with.args.restore;
    if facts.is_all(flags) || flags.discard_old {
        discard_older(&stage, &swapped)?;
        warnings.extend(servers.map(|servers| servers::discard_older(with, servers)).unwrap_or_default());
    }
    let done = Done { picked, unpacked: &unpacked, swapped: &swapped, target, took: watch.elapsed() };
    warnings.extend(stage.recovered());
    warnings.extend(told::partial(snapshot, &flags.only));
    warnings.extend(warnings_of(facts, &unpacked, &swapped));
    let mut outcome = done.outcome(snapshot, &stage, databases.amount());
    databases.add_to(&mut outcome);
    warnings.extend(databases.notices);
    Ok(Outcome { warnings, ..outcome })
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
    unpacked.linked.kept.iter().for_each(|(path, _)| scope.keep_file(path));
    unpacked.databases().for_each(|path| scope.replace_database(path));
    Ok(scope)
}

/// The store and the state may lie in the application's folder; they are not the application's.
pub(crate) fn untouchable(with: &With<'_>, store: Option<&std::path::Path>) -> Result<Vec<PathBuf>, Failure> {
    let state = StateDir::open(&with.args.common)?;
    let folders = store.into_iter().chain([state.path()]);
    Ok(folders.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned())).collect())
}

/// Removes the old sides that earlier restores kept, of files and of databases.
pub(crate) fn discard_old(with: &With<'_>) -> Result<Outcome, Failure> {
    let app = with.config.app(with.args.store.app.as_deref())?;
    with.run.app(&app.name);
    let folder = app.dir.ok_or(PlaceError::NoTarget)?;
    let records = Records::open(&with.args.common, &app.name)?;
    let flags = &with.args.restore;
    let _lock = servers::settle_unless(with, &records, flags.dry_run, flags.yes)?;
    if flags.dry_run {
        with.run.only_looks();
        let databases = database::kept::named(&records.kept()?);
        return Ok(told::discarded(&kept::all(&folder)?.into_iter().collect::<Vec<_>>(), databases, true));
    }
    let (databases, warnings) = database::kept::discard(&records, with.config, |_| true)?;
    let folders = kept::discard(kept::all(&folder)?)?;
    Ok(Outcome { warnings, ..told::discarded(&folders, databases, false) })
}

#[cfg(test)]
mod tests;
