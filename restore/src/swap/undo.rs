//! Puts back the files that a restore has replaced: the folder of its old side becomes the new side of a swap, which goes
//! the way of every other. What was live until then becomes the old side, so that this can be undone, too.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;
use shipshape_core::atomic;

use super::exchange::inode_of;
use super::journal::{Act, Dressed, Journal, KEPT, NAME_IN_KEPT, Place, STAGING, Unit};
use super::{Kept, Opened, exchange_all, finish, open_root, roll_back};
use crate::metadata::Dresser;
use crate::stage::{lock, new_side, numbered, remove_tree, unused};
use crate::target::TargetError;

/// Files that are about to be put back.
pub(crate) struct Undoing {
    journal: Journal,
    /// Held open for their locks.
    _live: Vec<File>,
}

impl Undoing {
    /// Reads what the old side in `kept` was replaced by. None where it does not tell, or is empty.
    pub(crate) fn of(kept: &Path) -> Result<Option<Self>, TargetError> {
        let path = kept.join(NAME_IN_KEPT);
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        let old: Journal =
            serde_json::from_slice(&bytes).map_err(|cause| TargetError::JournalDamaged { path, cause })?;
        let mut live = Vec::new();
        for place in &old.domains {
            let folder = File::open(&place.live).map_err(|cause| TargetError::io("open", &place.live, cause))?;
            lock(folder.as_fd(), &place.live)?;
            live.push(folder);
        }
        Ok(Some(Self { journal: reversed(&old)?, _live: live }))
    }

    /// What was restored then.
    pub(crate) fn snapshot(&self) -> &str {
        &self.journal.of
    }

    /// The folders that are written to, with those that are put back into them.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.journal.domains.iter().filter_map(|place| Some((place.live.as_path(), place.from.as_deref()?)))
    }

    /// Where the journal will be.
    pub(crate) fn staging(&self) -> Option<PathBuf> {
        self.journal.domains.first().map(|place| place.staging.clone())
    }

    /// Where what is live now will be kept.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        self.journal.domains.iter().map(|place| place.kept.clone()).collect()
    }

    /// Makes the old sides new ones, under a journal: from here on the next run knows where they belong.
    pub(crate) fn stage(&self) -> Result<(), TargetError> {
        for place in &self.journal.domains {
            atomic::private_dir(&place.staging)?;
        }
        self.journal.write()?;
        for place in &self.journal.domains {
            if let Some(from) = &place.from {
                let moved = std::fs::rename(from, new_side(place));
                moved.map_err(|cause| TargetError::io("move", from, cause))?;
            } else {
                atomic::private_dir(&new_side(place))?;
            }
        }
        Ok(())
    }

    /// Swaps. After a failure everything is as it was.
    pub(crate) fn swap(mut self) -> Result<Vec<Kept>, TargetError> {
        let domains = self.journal.domains.clone();
        let sync = || {
            domains.iter().try_for_each(|place| {
                let new = open_root(&new_side(place))?;
                syncfs(new.as_fd()).map_err(|cause| TargetError::io("write out", &place.live, cause))
            })
        };
        if let Err(failed) = exchange_all(&mut self.journal, sync) {
            if roll_back(&self.journal).is_ok() {
                put_away(&self.journal)?;
            }
            return Err(failed);
        }
        let first = &self.journal.domains[0].live;
        let folder = File::open(first).map_err(|cause| TargetError::io("open", first, cause))?;
        let dresser = Dresser::new(folder.as_fd()).map_err(|cause| TargetError::io("look at", first, cause))?;
        finish(&self.journal, &dresser)
    }

    /// Everything as it was before [`Undoing::stage`]: for a failure of somebody else.
    pub(crate) fn give_up(&self) -> Result<(), TargetError> {
        put_away(&self.journal)
    }
}

/// The old sides go back to where they were kept.
pub(super) fn put_away(journal: &Journal) -> Result<(), TargetError> {
    for place in journal.domains.iter().rev() {
        if let Some(from) = &place.from
            && new_side(place).is_dir()
        {
            let moved = std::fs::rename(new_side(place), from);
            moved.map_err(|cause| TargetError::io("move", from, cause))?;
        }
        remove_tree(&place.staging).map_err(|cause| TargetError::io("remove", &place.staging, cause))?;
    }
    Ok(())
}

/// The way back: each thing as it is found now, for somebody may have removed or made some since.
fn reversed(old: &Journal) -> Result<Journal, TargetError> {
    let of = format!("undo-{}", old.of.trim_start_matches("undo-"));
    let domains: Vec<Place> = old.domains.iter().map(|place| turned(place, &of)).collect();
    let mut units = Vec::new();
    let sides = old.domains.iter().map(|place| {
        let kept = if place.kept.is_dir() { open_root(&place.kept)? } else { open_root(&place.live)? };
        Ok(Opened { live: open_root(&place.live)?, new: kept, staging: place.staging.clone() })
    });
    let sides = sides.collect::<Result<Vec<_>, TargetError>>()?;
    for unit in &old.units {
        let Some((sides, place)) = sides.get(unit.domain).zip(old.domains.get(unit.domain)) else { continue };
        let path = unit.path.0.as_slice();
        let live = inode_of(&sides.live, path);
        let kept = place.kept.is_dir().then(|| inode_of(&sides.new, path)).flatten();
        let act = match (live, kept, unit.act) {
            (Some(_), Some(_), _) => Act::Exchange,
            (None, Some(_), _) => Act::Bring,
            // What the restore has brought goes; what it has put away and somebody has removed since stays.
            (Some(_), None, Act::Bring) => Act::PutAway,
            (Some(_), None, Act::Exchange | Act::PutAway) | (None, None, _) => continue,
        };
        units.push(Unit { act, staged: kept, live, ..unit.clone() });
    }
    let turn =
        |dressed: &Dressed| Dressed { before: dressed.after.clone(), after: dressed.before.clone(), ..dressed.clone() };
    let dressed = old.dressed.iter().map(turn).collect();
    Ok(Journal { domains, units, dressed, ..Journal::new(&of) })
}

fn turned(place: &Place, of: &str) -> Place {
    Place {
        staging: unused(&place.live, STAGING, of),
        kept: numbered(&place.live, KEPT, of),
        from: place.kept.is_dir().then(|| place.kept.clone()),
        ..place.clone()
    }
}

/// The newest old side in a folder, by when it was put there.
pub(crate) fn newest(live: &Path) -> Result<Option<(PathBuf, std::time::SystemTime)>, TargetError> {
    let mut found = Vec::new();
    for kept in super::kept::folders(live, KEPT)? {
        // The journal is written into it when all is in its place.
        if let Ok(at) = std::fs::metadata(kept.join(NAME_IN_KEPT)).and_then(|facts| facts.modified()) {
            found.push((kept, at));
        }
    }
    Ok(found.into_iter().max_by_key(|(_, at)| *at))
}
