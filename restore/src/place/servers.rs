//! What of a snapshot goes to database servers, beside the files.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::{Failure, chain};
use shipshape_core::lock::Lock;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::stack::scratch;
use shipshape_core::units::{counted, spoken};

use super::Target;
use super::error::PlaceError;
use crate::ask;
use crate::cli::With;
use crate::database::journal::Files;
use crate::database::records::Kept;
use crate::database::{self, Item, Name, Plan, Records, Site, Swapped};
use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage::Stage;

/// The servers that a restore needs, and what it remembers of them.
pub(crate) struct Servers {
    site: Option<Site>,
    pub(crate) records: Records,
    /// Held from before anything is decided.
    _lock: Option<Lock>,
}

/// Settles what an earlier restore of databases has left that was killed, and keeps every other out as long as the lock is
/// held. To be done before the files of the application are settled. Where that changes what is live, it is asked for
/// first, unless somebody has said yes.
pub(crate) fn settle(with: &With<'_>, records: &Records, yes: bool) -> Result<Lock, Failure> {
    let lock = records.lock()?;
    if let Some(preview) = database::pending(records)?.filter(|_| !yes) {
        ask::confirm(&preview)?;
    }
    scratch::sweep(records.folder());
    for notice in database::recover(records, with.config)? {
        with.run.warn(notice);
    }
    Ok(lock)
}

/// The same, unless the run only looks: then it only tells what would have to be settled.
pub(crate) fn settle_unless(
    with: &With<'_>,
    records: &Records,
    only_looks: bool,
    yes: bool,
) -> Result<Option<Lock>, Failure> {
    if !only_looks {
        return settle(with, records, yes).map(Some);
    }
    if let Some(preview) = database::pending(records)? {
        let hint = "what is shown here is decided anew after that";
        with.run.warn(Notice::new("restore.unsettled", preview.trim_end().replace('\n', ";"), hint));
    }
    Ok(None)
}

impl Servers {
    /// Looks for the servers, if anything goes to one; none where nothing changes in place. A run that changes something
    /// first settles what an earlier one has left.
    pub(crate) fn open(with: &With<'_>, app: &str, target: &Target, picked: &Picked) -> Result<Option<Self>, Failure> {
        let Target::InPlace(folder) = target else { return Ok(None) };
        let is_preview = with.args.restore.dry_run;
        let records = Records::open(&with.args.common, app)?;
        let lock = settle_unless(with, &records, is_preview, with.args.restore.yes)?;
        if is_preview && picked.databases.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = picked.databases.iter().map(|payload| payload.name.clone()).collect();
        let site = (!names.is_empty()).then(|| Site::open(folder, with.config, &names)).transpose()?;
        Ok(Some(Self { site, records, _lock: lock }))
    }

    /// What is to be done, if anything.
    pub(crate) fn plan<'a>(
        &'a self,
        with: &With<'_>,
        snapshot: &'a Snapshot,
        picked: &'a Picked,
        name: Name<'_>,
    ) -> Result<Option<Plan<'a>>, Failure> {
        let Some(site) = &self.site else { return Ok(None) };
        let payloads = picked.databases.iter().chain(needed(snapshot, picked));
        let items = payloads.filter_map(|payload| Item::of_payload(snapshot, payload)).collect();
        let at = self.records.moment(with.run.started())?;
        Ok(Some(Plan::decide(site, items, at, with.args.restore.service.as_deref(), name)?))
    }
}

/// The globals of the servers whose databases come back: a dump names roles that must be there.
fn needed<'a>(snapshot: &'a Snapshot, picked: &'a Picked) -> impl Iterator<Item = &'a Payload> {
    let is_missing = |payload: &&Payload| {
        let Some(facts) = &payload.database else { return false };
        let serves = |other: &Payload| {
            other.database.as_ref().is_some_and(|other| other.service == facts.service && other.engine == facts.engine)
        };
        facts.globals && !picked.databases.contains(payload) && picked.databases.iter().any(serves)
    };
    let all = snapshot.manifest.payloads.iter().filter(|payload| payload.kind == PayloadKind::Database);
    all.filter(is_missing)
}

/// The journal of the files, for the one of the databases.
pub(super) fn files_of(stage: &Stage) -> Option<Files> {
    let domains = stage.journal().domains;
    let staging = domains.first()?.staging.clone();
    Some(Files { staging, kept: domains.into_iter().map(|place| place.kept).collect() })
}

/// What went to servers, for the report.
#[derive(Default)]
pub(super) struct Told {
    parts: Vec<Value>,
    roles: Vec<String>,
    rows: u64,
    /// What somebody should look at.
    pub(super) notices: Vec<Notice>,
}

impl Told {
    /// All is in its place.
    pub(super) fn done(swapped: Option<Swapped<'_>>) -> Self {
        let Some(swapped) = swapped else { return Self::default() };
        let (rows, roles) = (swapped.rows, swapped.roles.clone());
        let (parts, notices) = swapped.done();
        Self { parts, roles, rows, notices }
    }

    /// `2 databases with 3121 rows`; nothing where there were none.
    pub(super) fn amount(&self) -> Option<String> {
        let number = u64::try_from(self.parts.len()).unwrap_or(u64::MAX);
        let databases = counted(number, "database", "databases");
        (number > 0).then(|| format!("{databases} with {}", counted(self.rows, "row", "rows")))
    }

    /// Adds it to a report about files.
    pub(super) fn add_to(&self, outcome: &mut Outcome) {
        if self.parts.is_empty() {
            return;
        }
        let mut parts = self.parts.clone();
        parts.extend(outcome.data["restored"].as_array().cloned().unwrap_or_default());
        outcome.data["restored"] = parts.into();
        outcome.data["roles"] = self.roles.clone().into();
        outcome.text.insert_str(0, &self.text());
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            if let (Some(target), Some(kept)) = (part["target"].as_str(), part["kept"].as_str()) {
                let _ = writeln!(text, "the old {target} is kept as {kept} until the next complete restore");
            }
        }
        if self.parts.iter().any(|part| part["kept"].is_string()) {
            text.push_str("to have it back: restore undo\n");
        }
        if !self.roles.is_empty() {
            let _ = writeln!(text, "roles made: {}", self.roles.join(", "));
        }
        text
    }
}

/// Restores databases alone: nothing happens to files.
pub(super) fn alone(
    with: &With<'_>,
    snapshot: &Snapshot,
    servers: &Servers,
    plan: &Plan<'_>,
    target: &str,
) -> Result<Outcome, Failure> {
    let watch = Stopwatch::start();
    let swapped = plan.load(&servers.records, snapshot.manifest.id.as_str())?.swap(None)?;
    let told = Told::done(Some(swapped));
    let amount = told.amount().unwrap_or_else(|| "roles".to_owned());
    let took = watch.elapsed();
    let summary = format!("snapshot {} restored to {target}: {amount} in {}", snapshot.manifest.id, spoken(took));
    let data = json!({
        "restored": [],
        "snapshot": super::told::snapshot(snapshot),
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
    });
    let mut outcome = Outcome { data, ..Outcome::ok(summary) };
    told.add_to(&mut outcome);
    outcome.warnings = told.notices;
    outcome.warnings.extend(super::told::partial(snapshot, &with.args.restore.only));
    Ok(outcome)
}

/// Restores a database beside the live ones, under a name that nothing has yet.
pub(super) fn beside(with: &With<'_>, snapshot: &Snapshot, picked: &Picked, name: &str) -> Result<Outcome, Failure> {
    let folder = snapshot.app.dir.clone().ok_or(PlaceError::NoTarget)?;
    let Some(servers) = Servers::open(with, &snapshot.app.name, &Target::InPlace(folder), picked)? else {
        return Err(PlaceError::NoTarget.into());
    };
    let Some(plan) = servers.plan(with, snapshot, picked, Name::New(name))? else {
        return Err(PlaceError::NoTarget.into());
    };
    if with.args.restore.dry_run {
        with.run.only_looks();
        let summary =
            format!("would restore snapshot {} beside what is live; nothing was changed", snapshot.manifest.id);
        let data = json!({"dry_run": true, "payloads": plan.parts(), "snapshot": super::told::snapshot(snapshot)});
        return Ok(Outcome { text: plan.preview(), data, ..Outcome::ok(summary) });
    }
    alone(with, snapshot, &servers, &plan, name)
}

/// The database that `--into` names, if it does: a name, where nothing but databases of servers comes back.
pub(super) fn named<'n>(into: Option<&'n Path>, picked: &Picked) -> Option<&'n str> {
    let name = into?.to_str()?;
    let only_databases = picked.payloads.is_empty() && !picked.databases.is_empty();
    (only_databases && !name.contains('/')).then_some(name)
}

/// Removes the old sides of databases that earlier restores kept, now that this one has succeeded. What cannot be removed
/// now stays known.
pub(super) fn discard_older(with: &With<'_>, servers: &Servers) -> Vec<Notice> {
    let newest = servers.records.kept().ok().and_then(|all| all.iter().map(|kept| kept.at).max());
    let began = with.run.started();
    // That of this run is the newest.
    let older = |kept: &Kept| Some(kept.at) != newest && kept.at < began;
    match database::kept::discard(&servers.records, with.config, older) {
        Ok((_, notices)) => notices,
        Err(refused) => {
            let message = format!("the old sides of earlier restores are still there: {}", chain(&refused));
            vec![Notice::new("restore.not_tidy", message, "to remove them: restore --discard-old")]
        }
    }
}
