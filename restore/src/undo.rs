//! `restore undo`: puts back what the last restore in place has replaced, databases and files. What was live until then is
//! kept in its turn, so that another undo takes this one back.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shipshape_core::error::Failure;
use shipshape_core::lock::Lock;
use shipshape_core::run::Outcome;
use shipshape_core::units::counted;

use crate::ask;
use crate::cli::With;
use crate::database::journal::Files;
use crate::database::records::Kept;
use crate::database::{self, Records, RestoreError, Site, Undo};
use crate::place::{PlaceError, settle_unless, shown};
use crate::stage::Existing;
use crate::swap;
use crate::swap::undo::{self, Undoing};

/// What the last restore has left to be put back.
struct Last {
    databases: Option<Kept>,
    files: Option<Undoing>,
    /// Older databases that are kept, which this does not reach, as `SERVICE/NAME`.
    older: Vec<String>,
}

/// Puts back what the last restore has replaced.
pub(crate) fn undo(with: &With<'_>, yes: bool, dry_run: bool) -> Result<Outcome, Failure> {
    let app = with.config.app(with.args.store.app.as_deref())?;
    with.run.app(&app.name);
    let folder = app.dir.ok_or(PlaceError::NoTarget)?;
    let records = Records::open(&with.args.common, &app.name)?;
    let was_interrupted = database::pending(&records)?.is_some() && !dry_run;
    let _lock = settle_all(with, &records, &folder, dry_run, yes)?;
    if was_interrupted {
        // It is what somebody wants undone who asks for it now, and no earlier one.
        let summary = "the interrupted restore is undone; to go on: restore undo again";
        return Ok(Outcome { data: json!({"undone": Value::Null, "restored": []}), ..Outcome::ok(summary) });
    }
    let last = Last::of(&records, &folder)?;
    let at = records.moment(with.run.started())?;
    let site = last.site(with)?;
    let plan = site.as_ref().zip(last.databases.as_ref()).map(|(site, kept)| Undo::of(site, kept, at)).transpose()?;
    let preview = last.preview(plan.as_ref());
    if dry_run {
        with.run.only_looks();
        let summary = format!("would put back what {} has replaced; nothing was changed", last.snapshot());
        return Ok(Outcome { text: preview, data: json!({"dry_run": true}), ..Outcome::ok(summary) });
    }
    if !yes {
        ask::confirm(&preview)?;
    }
    let (of, out_of_reach) = (last.snapshot(), last.out_of_reach());
    let outcome = carry_out(&records, plan.as_ref(), last.files, &of)?;
    Ok(Outcome { text: outcome.text.clone() + &out_of_reach, ..outcome })
}

/// What an earlier run has left is settled first, databases before files.
fn settle_all(
    with: &With<'_>,
    records: &Records,
    folder: &Path,
    only_looks: bool,
    yes: bool,
) -> Result<Option<Lock>, Failure> {
    let lock = settle_unless(with, records, only_looks, yes)?;
    if only_looks {
        return Ok(lock);
    }
    for notice in swap::recover(folder, Existing::Replace)?.notices {
        with.run.warn(notice);
    }
    Ok(lock)
}

impl Last {
    /// Databases and files of the same restore; or those of the later one, where they were restored one after the other.
    fn of(records: &Records, folder: &Path) -> Result<Self, Failure> {
        let mut all = records.kept()?;
        let databases = all.pop();
        let newest = undo::newest(folder)?;
        let same = |kept: &Kept, path: &PathBuf| kept.files.contains(path);
        let (databases, files, passed_over) = match (databases, newest) {
            (Some(kept), Some((path, _))) if same(&kept, &path) => (Some(kept), Some(path), None),
            (Some(kept), Some((_, at))) if DateTime::<Utc>::from(at) < kept.at => (Some(kept), None, None),
            (databases, Some((path, _))) => (None, Some(path), databases),
            (databases, None) => (databases, None, None),
        };
        all.extend(passed_over);
        let files = files.as_deref().map(Undoing::of).transpose()?.flatten();
        if databases.is_none() && files.is_none() {
            return Err(RestoreError::NothingToUndo { app: records.app().to_owned() }.into());
        }
        Ok(Self { databases, files, older: database::kept::named(&all) })
    }

    /// What was restored then.
    fn snapshot(&self) -> String {
        let databases = self.databases.as_ref().map(|kept| kept.of.as_str());
        databases.or(self.files.as_ref().map(Undoing::snapshot)).unwrap_or_default().to_owned()
    }

    fn site(&self, with: &With<'_>) -> Result<Option<Site>, Failure> {
        let Some(kept) = self.databases.as_ref().filter(|kept| !kept.databases.is_empty()) else { return Ok(None) };
        let names: Vec<String> = kept.databases.iter().map(|database| database.payload.clone()).collect();
        Ok(Some(Site::open(&kept.app_dir, with.config, &names)?))
    }

    fn preview(&self, plan: Option<&Undo<'_>>) -> String {
        let mut text = format!("puts back what the restore of {} has replaced:\n", self.snapshot());
        if let Some(plan) = plan {
            text.push_str(&plan.preview());
        }
        for (live, kept) in self.files.iter().flat_map(Undoing::folders) {
            let _ = writeln!(text, "  files in {}, from {}", shown(live), shown(kept));
        }
        text.push_str("what is live now is kept in its turn; to take this back: restore undo\n");
        text + &self.out_of_reach()
    }

    /// Old sides of restores before the last one.
    fn out_of_reach(&self) -> String {
        if self.older.is_empty() {
            return String::new();
        }
        let older = self.older.join(", ");
        format!("older ones stay kept and are only put back by hand, as the manual says (restore undo): {older}\n")
    }
}

/// Databases first, files after them: as in a restore.
fn carry_out(records: &Records, plan: Option<&Undo<'_>>, files: Option<Undoing>, of: &str) -> Result<Outcome, Failure> {
    let journal = files.as_ref().and_then(|files| Some(Files { staging: files.staging()?, kept: files.kept() }));
    if let Some(files) = &files
        && let Err(failed) = files.stage()
    {
        files.give_up()?;
        return Err(failed.into());
    }
    let databases = match plan.map(|plan| plan.swap(records, journal)).transpose() {
        Ok(databases) => databases,
        Err(refused) => {
            files.map_or(Ok(()), |files| files.give_up())?;
            return Err(refused.into());
        }
    };
    let kept = match files.map(Undoing::swap).transpose() {
        Ok(kept) => kept.unwrap_or_default(),
        Err(failed) => {
            databases.map_or(Ok(()), database::Swapped::back)?;
            return Err(failed.into());
        }
    };
    let (parts, warnings) = databases.map(database::Swapped::done).unwrap_or_default();
    let folders: Vec<String> = kept.iter().map(|kept| shown(&kept.folder)).collect();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let databases = (!parts.is_empty()).then(|| counted(number(parts.len()), "database", "databases"));
    let files = (!folders.is_empty()).then(|| "files".to_owned());
    let what: Vec<String> = databases.into_iter().chain(files).collect();
    let summary = format!("put back what the restore of {of} had replaced: {}", what.join(" and "));
    let text = "what was live until now is kept; to take this back: restore undo\n".to_owned();
    let data = json!({"undone": of, "restored": parts, "kept": folders});
    Ok(Outcome { data, text, warnings, ..Outcome::ok(summary) })
}
