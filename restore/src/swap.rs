//! Swaps what was built with what is live, unit by unit, under a journal: after an error, a signal or a crash it is undone,
//! and once all is swapped it is finished. The old side is kept.
//!
//! The steps, and what the next restore does when the process dies after one of them:
//!
//! 1. plan the units: nothing has happened, the staging folder is removed
//! 2. syncfs(2): what is brought in is on disk before its name can be
//! 3. write the journal with all units: still nothing has happened
//! 4. exchange, unit by unit: each is moved back, as far as inodes tell that it was moved
//! 5. syncfs(2) again, then the journal says *done*: from here on it is finished and not undone
//! 6. folders that stay get their metadata: done once more
//! 7. `new/`, which holds the old side by now, becomes the folder that is kept: done if it was not
//! 8. the staging folder with the journal goes: nothing is left to do
//!
//! The application's folder itself is never exchanged: the shell of whoever types the command stands in it, and it may be
//! a mount point.

mod exchange;
pub(crate) mod journal;
pub(crate) mod kept;
mod recover;
pub(crate) mod scope;
pub(crate) mod undo;
mod units;

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{Mode, fchmod};
use shipshape_core::atomic;
use shipshape_core::signal;

use crate::beneath::Root;
use crate::metadata::Dresser;
use crate::stage::{Stage, mounts, new_side, remove_tree};
use crate::target::TargetError;

use exchange::Between;
use journal::{Act, Journal, NAME_IN_KEPT};
pub(crate) use recover::{Recovered, recover};
use scope::Scope;
use units::{Plan, Sides};

/// What was swapped.
#[derive(Debug, Default)]
pub(crate) struct Swapped {
    /// Where the old side lies, for each domain where something was replaced.
    pub(crate) kept: Vec<Kept>,
    /// Paths of the snapshot that were left alone.
    pub(crate) left_alone: Vec<Vec<u8>>,
    /// Paths of the snapshot that were replaced or put away.
    pub(crate) replaced: HashSet<Vec<u8>>,
}

/// The old side of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The path of the domain in the snapshot.
    pub(crate) prefix: Vec<u8>,
    /// Where the old side is.
    pub(crate) folder: PathBuf,
}

/// Swaps everything that was built.
pub(crate) fn swap(stage: &mut Stage, scope: &Scope) -> Result<Swapped, TargetError> {
    let Plans { units, dressed, opened, left_alone } = plan(stage, scope)?;
    stage.sync()?;
    let mut journal = Journal { units, dressed, ..stage.journal() };
    journal.write()?;
    signal::check()?;
    if let Err(failed) = open_up(stage, &opened).and_then(|()| carry_out(stage, &mut journal)) {
        if roll_back(&journal).is_err() {
            // The next restore finds the journal, and tries again.
            stage.hand_over();
        }
        return Err(failed);
    }
    stage.hand_over();
    let kept = finish(&journal, stage.dresser()?)?;
    let replaced = journal.units.iter().filter(|unit| unit.act != Act::Bring);
    let replaced = replaced.map(|unit| journal.snapshot_path(unit)).collect();
    Ok(Swapped { kept, left_alone, replaced })
}

/// The plans of all domains, one after the other. `opened` are pairs of the place in the journal and the path.
struct Plans {
    units: Vec<journal::Unit>,
    dressed: Vec<journal::Dressed>,
    opened: Vec<(usize, Vec<u8>)>,
    left_alone: Vec<Vec<u8>>,
}

/// Asks each domain that was written to.
fn plan(stage: &Stage, scope: &Scope) -> Result<Plans, TargetError> {
    let mut plans = Plans { units: Vec::new(), dressed: Vec::new(), opened: Vec::new(), left_alone: Vec::new() };
    for (number, place) in stage.journal().domains.iter().enumerate() {
        let domain = stage.domains().iter().find(|domain| domain.prefix == place.prefix.0);
        let others = stage.domains().iter().map(|domain| domain.live.clone());
        let mut apart = mounts::below(&place.live);
        apart.extend(others.filter(|other| *other != place.live && other.starts_with(&place.live)));
        let sides = Sides {
            domain: number,
            prefix: &place.prefix.0,
            live: &place.live,
            new: &new_side(place),
            complete: domain.map(|domain| domain.complete.as_slice()).unwrap_or_default(),
            apart: &apart,
            is_fresh: place.made,
        };
        let Plan { units, dressed, opened, left_alone } = units::plan(&sides, scope)?;
        plans.units.extend(units);
        plans.dressed.extend(dressed);
        plans.opened.extend(opened.into_iter().map(|path| (number, path)));
        plans.left_alone.extend(left_alone);
    }
    Ok(plans)
}

/// Folders that were built with their own modes must let things be moved out of them and into them.
fn open_up(stage: &Stage, opened: &[(usize, Vec<u8>)]) -> Result<(), TargetError> {
    let journal = stage.journal();
    for (number, path) in opened {
        let Some(place) = journal.domains.get(*number) else { continue };
        let root = open_root(&new_side(place))?;
        // The plan has found it on both sides, or it is live alone and made when it is needed.
        let Ok(folder) = root.folder_itself(path) else { continue };
        fchmod(&folder, Mode::RWXU).map_err(|cause| TargetError::io("prepare", &place.staging, cause))?;
    }
    Ok(())
}

/// The units in order, then the mark in the journal that all are done.
fn carry_out(stage: &Stage, journal: &mut Journal) -> Result<(), TargetError> {
    exchange_all(journal, || stage.sync())
}

/// The same, with what makes the renames durable.
fn exchange_all(journal: &mut Journal, sync: impl Fn() -> Result<(), TargetError>) -> Result<(), TargetError> {
    let sides = Opened::all(journal)?;
    for (number, unit) in journal.units.iter().enumerate() {
        signal::check()?;
        if let Some(sides) = sides.get(unit.domain) {
            sides.between().carry_out(unit, number)?;
        }
    }
    // The renames must be on disk before the journal says that they are.
    sync()?;
    journal.done = true;
    journal.write()
}

/// Undoes what was swapped, the last first; returns how many units were moved back.
fn roll_back(journal: &Journal) -> Result<usize, TargetError> {
    let sides = Opened::all(journal)?;
    let mut moved = 0;
    for (number, unit) in journal.units.iter().enumerate().rev() {
        if let Some(sides) = sides.get(unit.domain) {
            moved += usize::from(sides.between().undo(unit, number)?);
        }
    }
    Ok(moved)
}

/// Gives folders that stayed their metadata, puts the old side where it is kept, and removes what is no longer needed.
/// Can be done again after it was interrupted.
fn finish(journal: &Journal, dresser: &Dresser) -> Result<Vec<Kept>, TargetError> {
    dress(journal, dresser, false)?;
    let mut kept = Vec::new();
    for (number, place) in journal.domains.iter().enumerate() {
        let new = new_side(place);
        // The first has one whenever any has, because that is where the others are looked for.
        let has_old = journal.units.iter().any(|unit| (number == 0 || unit.domain == number) && unit.act != Act::Bring);
        if has_old && std::fs::symlink_metadata(&new).is_ok() {
            journal.write_to(&new.join(NAME_IN_KEPT))?;
            std::fs::rename(&new, &place.kept).map_err(|cause| TargetError::io("move", &place.kept, cause))?;
        }
        if has_old {
            kept.push(Kept { prefix: place.prefix.0.clone(), folder: place.kept.clone() });
        }
    }
    // The first has the journal: it goes last.
    for place in journal.domains.iter().rev() {
        remove_tree(&place.staging).map_err(|cause| TargetError::io("remove", &place.staging, cause))?;
        // Makes the removal durable; where it is not, the next restore does it again.
        let _ = atomic::sync_folder(&place.live);
    }
    dress(journal, dresser, true)?;
    Ok(kept)
}

/// The deepest first, for what happens in a folder changes its time. The domains themselves once more at the end.
fn dress(journal: &Journal, dresser: &Dresser, only_domains: bool) -> Result<(), TargetError> {
    for dressed in journal.dressed.iter().rev().filter(|dressed| !only_domains || dressed.path.0.is_empty()) {
        let Some(place) = journal.domains.get(dressed.domain) else { continue };
        let failed = |cause| TargetError::io("set the metadata of", &place.live, cause);
        let live = open_root(&place.live)?.folder_itself(&dressed.path.0);
        let live = live.map_err(|refused| TargetError::beneath("open", &dressed.path.0, refused))?;
        dresser.exactly(live.as_fd(), &dressed.after).map_err(failed)?;
        // The same folder on the old side, if it is still there: as it was.
        if let Ok(old) = Root::open(&new_side(place))
            && let Ok(old) = old.folder_itself(&dressed.path.0)
        {
            let _ = dresser.existing(old.as_fd(), &dressed.before);
        }
    }
    Ok(())
}

/// Both sides of a place of the journal.
struct Opened {
    live: Root,
    new: Root,
    staging: PathBuf,
}

impl Opened {
    fn all(journal: &Journal) -> Result<Vec<Self>, TargetError> {
        journal
            .domains
            .iter()
            .map(|place| {
                let (live, new) = (open_root(&place.live)?, open_root(&new_side(place))?);
                Ok(Self { live, new, staging: place.staging.clone() })
            })
            .collect()
    }

    fn between(&self) -> Between<'_> {
        Between { live: &self.live, new: &self.new, staging: &self.staging }
    }
}

fn open_root(path: &std::path::Path) -> Result<Root, TargetError> {
    Root::open(path).map_err(|cause| TargetError::io("open", path, cause))
}

#[cfg(test)]
mod tests;
