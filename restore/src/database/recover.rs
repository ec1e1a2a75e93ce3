//! What a restore of databases left that was killed: undone or finished, as its journal says.

use std::fmt::Write as _;

use shipshape_core::config::Config;
use shipshape_core::error::chain;
use shipshape_core::report::Notice;
use shipshape_core::signal;

use super::journal::{Files, Journal, Phase, Source};
use super::under_way::UnderWay;
use super::{Exchange, Records, RestoreError, Site};
use crate::swap::journal::Journal as FilesJournal;

/// What [`recover`] would change of what is live, for people to agree to; none where it only removes what nobody uses.
pub(crate) fn pending(records: &Records) -> Result<Option<String>, RestoreError> {
    let Some(journal) = records.journal()? else { return Ok(None) };
    if journal.phase == Phase::Loading || is_all_swapped(&journal)? {
        return Ok(None);
    }
    let mut text = format!("an earlier {} of {} was killed while it swapped databases\n", deed(&journal), journal.of);
    for exchange in &journal.exchanges {
        let Exchange { live, service, engine, incoming, .. } = exchange;
        let kept = match exchange.used() {
            Some(name) => name.to_owned(),
            None if journal.source == Source::Kept && engine.is_sql() => incoming.clone(),
            None => journal.name_of_used(exchange),
        };
        let _ = writeln!(
            text,
            "  database {live} of the service {service} is first put back to what it was before; if it was swapped, what is live now is kept as {kept}"
        );
    }
    Ok(Some(text))
}

/// Settles what is under way. The lock is held: nobody else is at it. To be called before the files of the application are
/// settled, whose journal tells how far that restore came.
pub(crate) fn recover(records: &Records, config: &Config) -> Result<Vec<Notice>, RestoreError> {
    let Some(journal) = records.journal()? else { return Ok(Vec::new()) };
    if journal.phase == Phase::Loading {
        return unload(records, config, journal).map(|notice| vec![notice]);
    }
    let of = journal.of.clone();
    let databases = journal.exchanges.iter().map(|one| format!("{}/{}", one.service, one.live)).collect();
    settle(records, config, journal).map(|notice| vec![notice]).map_err(|refused| match refused {
        RestoreError::Interrupted(cause) => RestoreError::Interrupted(cause),
        other => RestoreError::Unsettled { of, databases, journal: records.journal_path(), source: Box::new(other) },
    })
}

/// Removes what a killed run had loaded, which nobody has used. What cannot be removed, such as that of a server that is
/// gone, is in nobody's way: whoever loads the next time removes it.
fn unload(records: &Records, config: &Config, journal: Journal) -> Result<Notice, RestoreError> {
    let (done, of, at) = (deed(&journal), journal.of.clone(), journal.at);
    let loaded: Vec<String> = journal.exchanges.iter().map(|one| format!("{}/{}", one.service, one.incoming)).collect();
    let removed = site(&journal, config).and_then(|site| UnderWay::resume(&site, records, journal)?.back());
    let what = match removed {
        Ok(()) => "what it had loaded was removed".to_owned(),
        Err(refused) => {
            signal::check()?;
            records.end_journal()?;
            records.forget(at);
            let loaded = loaded.join(", ");
            format!(
                "what it had loaded, {loaded}, cannot be removed now ({}): the next restore does it",
                chain(&refused)
            )
        }
    };
    let message = format!("an earlier {done} of {of} was killed while it loaded databases; {what}");
    Ok(Notice::new("restore.rolled_back", message, "nothing live had been touched"))
}

/// Undoes what was swapped, or finishes it where all was.
fn settle(records: &Records, config: &Config, journal: Journal) -> Result<Notice, RestoreError> {
    let (done, of) = (deed(&journal), journal.of.clone());
    let forward = is_all_swapped(&journal)?;
    let site = site(&journal, config)?;
    let mut under_way = UnderWay::resume(&site, records, journal)?;
    if forward {
        under_way.finish()?;
        let message =
            format!("an earlier {done} of {of} was killed when all databases were in their place; it is finished now");
        let hint = "the old ones are kept; see: restore --discard-old --dry-run";
        return Ok(Notice::new("restore.finished", message, hint));
    }
    let used = under_way.back_later()?;
    let mut message =
        format!("an earlier {done} of {of} was killed while it swapped databases; they are back as they were before");
    let mut hint = "nothing had been swapped that the application could have written to";
    if !used.is_empty() {
        let _ = write!(message, ", and what was live meanwhile is kept as {}", used.join(", "));
        hint = "look at what the application did meanwhile; to have that live again: restore undo";
    }
    Ok(Notice::new("restore.rolled_back", message, hint))
}

fn site(journal: &Journal, config: &Config) -> Result<Site, RestoreError> {
    let names: Vec<String> = journal.exchanges.iter().map(|exchange| exchange.payload.clone()).collect();
    Site::open(&journal.app_dir, config, &names)
}

fn deed(journal: &Journal) -> &'static str {
    match journal.source {
        Source::Loaded => "restore",
        Source::Kept => "undoing",
    }
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
