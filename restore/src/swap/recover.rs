//! What an earlier restore left that was killed: undone or finished, as its journal says.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use shipshape_core::report::Notice;
use shipshape_core::units::counted;

use super::journal::{Journal, STAGING};
use super::{finish, kept, new_side, roll_back, undo};
use crate::metadata::Dresser;
use crate::stage::{Existing, remove_tree};
use crate::target::TargetError;

/// What was found and settled.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// To be told.
    pub(crate) notices: Vec<Notice>,
    /// Old sides of restores that were finished only now. Nobody has seen their reports: this run must not discard them.
    pub(crate) kept: Vec<PathBuf>,
}

/// Clears the staging folders in a live folder, whose lock is held: nobody else is at it. Tells what it found.
pub(crate) fn recover(live: &Path, existing: Existing) -> Result<Recovered, TargetError> {
    let mut recovered = Recovered::default();
    for staging in kept::folders(live, STAGING)? {
        if let Some(journal) = Journal::read(&staging)? {
            settle(&journal, live, existing, &mut recovered)?;
        }
        remove_tree(&staging).map_err(|cause| TargetError::io("remove", &staging, cause))?;
    }
    Ok(recovered)
}

/// Keeps the side that was live in part between the kill and now: somebody may have gone on working on it.
fn keep_aside(new: &Path, kept: &Path) -> Result<PathBuf, TargetError> {
    let name = |number: u32| PathBuf::from(format!("{}-interrupted-{number}", kept.display()));
    let free = (1..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
    std::fs::rename(new, &free).map_err(|cause| TargetError::io("keep", &free, cause))?;
    Ok(free)
}

/// One journal: what it says was done is finished, everything else undone.
fn settle(journal: &Journal, live: &Path, existing: Existing, recovered: &mut Recovered) -> Result<(), TargetError> {
    let of = &journal.of;
    if journal.done {
        let dresser = File::open(live).and_then(|folder| Dresser::new(folder.as_fd()));
        let kept = finish(journal, &dresser.map_err(|cause| TargetError::io("open", live, cause))?)?;
        recovered.kept.extend(kept.into_iter().map(|kept| kept.folder));
        let message = format!("an earlier restore of {of} was killed when all was in its place; it is finished now");
        let hint = "its old side is kept beside this one's";
        recovered.notices.push(Notice::new("restore.finished", message, hint));
        return Ok(());
    }
    // Before its first swap a restore may be killed at any moment: then there is nothing to undo.
    let has_begun = !journal.units.is_empty() && journal.domains.iter().all(|place| new_side(place).is_dir());
    let moved = if has_begun { roll_back(journal)? } else { 0 };
    if journal.domains.iter().any(|place| place.from.is_some()) {
        undo::put_away(journal)?;
        let message = format!("putting back what {of} had replaced was interrupted; all is as it was before");
        recovered.notices.push(Notice::new("restore.rolled_back", message, "try again: restore undo"));
        return Ok(());
    }
    for place in journal.domains.iter().rev() {
        // In a folder of its own nothing was live: what lies there is the restore's, and must be empty to begin again.
        if moved > 0 && existing == Existing::Replace {
            recovered.kept.push(keep_aside(&new_side(place), &place.kept)?);
        }
        remove_tree(&place.staging).map_err(|cause| TargetError::io("remove", &place.staging, cause))?;
    }
    let moved = u64::try_from(moved).unwrap_or(u64::MAX);
    let message = format!(
        "an earlier restore of {of} was killed while it swapped; {} moved back",
        counted(moved, "thing was", "things were")
    );
    let aside: Vec<String> = recovered.kept.iter().map(|folder| folder.display().to_string()).collect();
    let hint = if aside.is_empty() {
        "the folder is empty again".to_owned()
    } else {
        format!("what was in their place meanwhile, with all that was written to it, is kept in {}", aside.join(", "))
    };
    recovered.notices.extend((moved > 0).then(|| Notice::new("restore.rolled_back", message, hint)));
    Ok(())
}
