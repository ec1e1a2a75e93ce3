//! What a restore of databases left that was killed: undone or finished, as its journal says.

use shipshape_core::config::Config;
use shipshape_core::report::Notice;

use super::journal::{Files, Journal, Phase, Source};
use super::under_way::UnderWay;
use super::{Records, RestoreError, Site};
use crate::swap::journal::Journal as FilesJournal;

/// Settles what is under way. The lock is held: nobody else is at it. To be called before the files of the application are
/// settled, whose journal tells how far that restore came.
pub(crate) fn recover(records: &Records, config: &Config) -> Result<Vec<Notice>, RestoreError> {
    let Some(journal) = records.journal()? else { return Ok(Vec::new()) };
    let names: Vec<String> = journal.exchanges.iter().map(|exchange| exchange.payload.clone()).collect();
    let site = Site::open(&journal.app_dir, config, &names)?;
    let forward = is_all_swapped(&journal)?;
    let (of, source, phase) = (journal.of.clone(), journal.source, journal.phase);
    let mut under_way = UnderWay::resume(&site, records, journal)?;
    let done = match source {
        Source::Loaded => "restore",
        Source::Kept => "undoing",
    };
    if forward {
        under_way.finish()?;
        let message =
            format!("an earlier {done} of {of} was killed when all databases were in their place; it is finished now");
        let hint = "the old ones are kept; see: restore --discard-old --dry-run";
        return Ok(vec![Notice::new("restore.finished", message, hint)]);
    }
    under_way.back()?;
    let what = match phase {
        Phase::Loading => "while it loaded databases; what it had loaded was removed",
        Phase::Swapping | Phase::Back | Phase::Done => "while it swapped databases; they are back as they were before",
    };
    let message = format!("an earlier {done} of {of} was killed {what}");
    let hint = "what was written to a swapped database in between is lost; look at what the application did meanwhile";
    let hint = if phase == Phase::Loading { "nothing live had been touched" } else { hint };
    Ok(vec![Notice::new("restore.rolled_back", message, hint)])
}

/// Whether all that was to be swapped is, so that going forward is all that can be done.
fn is_all_swapped(journal: &Journal) -> Result<bool, RestoreError> {
    match (journal.phase, &journal.files) {
        (Phase::Done, _) => Ok(true),
        (Phase::Loading | Phase::Back, _) | (Phase::Swapping, None) => Ok(false),
        (Phase::Swapping, Some(Files { staging, .. })) => {
            let files = FilesJournal::read(staging)?;
            // The staging folder goes last of all, and before it goes for any other reason, the phase is `Back`.
            Ok(files.is_none_or(|files| files.done))
        }
    }
}
