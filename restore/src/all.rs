//! Disaster recovery: everything of a snapshot back onto a server that has nothing yet, in one command.
//!
//! ```text
//! configuration: compose files, .env ──> volumes are made, nothing else ──> files, volumes
//!     ──> database servers up ──> databases ──> everything up ──> the databases let us in
//! ```
//! A server starts with the settings and passwords that it will have, and with the folders that it mounts. The application
//! starts last: one that finds an empty database makes its tables anew, or its first user. Where the servers run already,
//! it is one restore in place.

mod differing;
mod error;
mod merged;
mod steps;
mod working;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::atomic;
use shipshape_core::clock::Stopwatch;
use shipshape_core::config::Config;
use shipshape_core::database::{self, Client, Server};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{ServiceState, Stack, scratch};

use crate::ask;
use crate::cli::{Args, With};
use crate::pick::Picked;
use crate::place::facts::Facts;
use crate::place::{self, shown};
use crate::select::{Asked, Snapshot};
use crate::stage;

use error::AllError;
use steps::Steps;

/// Brings everything back.
pub(crate) fn restore(with: &With<'_>, asked: Asked) -> Result<Outcome, Failure> {
    let watch = Stopwatch::start();
    let made = Made::folder(with)?;
    let snapshot = with.snapshot(asked, &[])?;
    let target = Target::of(&snapshot)?;
    let flags = &with.args.restore;
    if flags.dry_run {
        with.run.only_looks();
        return Ok(target.preview(&snapshot));
    }
    if !target.is_new && !flags.yes {
        ask::confirm(&target.preview(&snapshot).text)?;
    }
    let mut steps = Steps::new(with.args.common.quiet);
    let outcome = target.carry_out(with, snapshot, &mut steps)?;
    if let Some(made) = made {
        made.keep();
    }
    Ok(steps.told(outcome, &shown(&target.folder), watch.elapsed()))
}

/// Where everything goes.
struct Target {
    folder: PathBuf,
    /// Whether nothing is there.
    is_new: bool,
    /// The configuration files that are there and differ from those of the snapshot, which will be in their place.
    differing: Vec<String>,
}

impl Target {
    /// The application's folder: the one that is named, else the one that the snapshot was taken of.
    fn of(snapshot: &Snapshot) -> Result<Self, Failure> {
        let all = Picked::new(&snapshot.manifest, &[], &[])?;
        let recorded = || Ok::<_, Failure>(Facts::gather(snapshot, &all)?.app_dir());
        let stated = snapshot.app.dir.clone();
        let folder = if stated.is_some() { stated } else { recorded()? };
        let folder = folder.ok_or(AllError::NoFolder)?;
        let is_new = !folder.exists() || stage::is_empty(&folder)?;
        let differing = if is_new { Vec::new() } else { differing::files(snapshot, &folder)? };
        Ok(Self { folder, is_new, differing })
    }

    fn preview(&self, snapshot: &Snapshot) -> Outcome {
        let manifest = &snapshot.manifest;
        let folder = shown(&self.folder);
        let mut text = format!("snapshot {} of {}, everything to {folder}\n", manifest.id, snapshot.place);
        let databases = services_of(snapshot).join(", ");
        for (number, step) in [
            "the compose files and what they need come back".to_owned(),
            "volumes are made; files and volumes come back".to_owned(),
            format!("database servers start: {}", if databases.is_empty() { "none" } else { &databases }),
            "databases come back".to_owned(),
            "everything starts".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let _ = writeln!(text, "  {}. {step}", number + 1);
        }
        if !self.differing.is_empty() {
            let _ = writeln!(text, "these differ, and become those of the snapshot: {}", self.differing.join(", "));
        }
        text.push_str(if self.is_new {
            "the folder is new: nothing is replaced in it\n"
        } else {
            "what is live there is replaced, and kept until the next complete restore\n"
        });
        let data = json!({"dry_run": true, "all": true, "target": folder, "new": self.is_new});
        let summary = format!("would restore everything of snapshot {} to {folder}; nothing was changed", manifest.id);
        Outcome { data, text, ..Outcome::ok(summary) }
    }

    fn carry_out(&self, with: &With<'_>, snapshot: Snapshot, steps: &mut Steps) -> Result<Outcome, Failure> {
        let snapshot = Snapshot { app: in_folder(&snapshot, &self.folder), ..snapshot };
        if let Some(stack) = Compose::look(&self.folder)?
            && are_up(&stack, &services_of(&snapshot))?
        {
            steps.step("volumes are made", || Ok(stack.make_volumes()?))?;
            let what = "databases, files and volumes come back";
            let outcome = steps.step(what, || in_place(with, &snapshot, Vec::new()))?;
            let stack = Compose::look(&self.folder)?.unwrap_or(stack);
            look_for_sources(with, &stack, &servers(&stack, with, &snapshot)?, steps)?;
            return self.finished(with, &snapshot, outcome, steps);
        }
        let is_config = |kind: PayloadKind| kind == PayloadKind::Config;
        let is_database = |kind: PayloadKind| kind == PayloadKind::Database;
        let mut back = merged::Merged::default();
        back.add(bring(with, &snapshot, steps, "the configuration comes back", is_config)?);
        if let Some(stack) = Compose::look(&self.folder)? {
            steps.step("volumes are made", || Ok(stack.make_volumes()?))?;
        } else if !services_of(&snapshot).is_empty() {
            return Err(AllError::NoProject { folder: shown(&self.folder) }.into());
        }
        let what = "files and volumes come back";
        back.add(bring(with, &snapshot, steps, what, |kind| !is_config(kind) && !is_database(kind))?);
        // The configuration of the tools themselves may just have come back, and the rest of what describes the services.
        let config = Config::load(&with.args.common, self.folder.to_str()).unwrap_or_else(|_| with.config.clone());
        let with = &With { config: &config, ..*with };
        if let Some(stack) = Compose::look(&self.folder)? {
            let servers = servers(&stack, with, &snapshot)?;
            look_for_sources(with, &stack, &servers, steps)?;
            start_servers(&stack, &servers, steps)?;
        }
        back.add(bring(with, &snapshot, steps, "databases come back", is_database)?);
        self.finished(with, &snapshot, back.outcome(&snapshot), steps)
    }

    /// Everything is back: now it starts, and must work.
    fn finished(
        &self,
        with: &With<'_>,
        snapshot: &Snapshot,
        outcome: Outcome,
        steps: &mut Steps,
    ) -> Result<Outcome, Failure> {
        let Some(stack) = Compose::look(&self.folder)? else { return Ok(outcome) };
        let servers = servers(&stack, with, snapshot)?;
        let mut notices = start(&stack, steps)?;
        notices.extend(working::closed(&stack, &servers)?);
        steps.doubt(&notices);
        Ok(Outcome { warnings: outcome.warnings.iter().cloned().chain(notices).collect(), ..outcome })
    }
}

/// The application, in the folder that it comes back to.
fn in_folder(snapshot: &Snapshot, folder: &Path) -> shipshape_core::config::App {
    shipshape_core::config::App { dir: Some(folder.to_owned()), ..snapshot.app.clone() }
}

/// The services whose databases the snapshot has.
fn services_of(snapshot: &Snapshot) -> Vec<String> {
    let facts = snapshot.manifest.payloads.iter().filter_map(|payload| payload.database.as_ref());
    let mut services: Vec<String> = facts.map(|facts| facts.service.clone()).collect();
    services.sort();
    services.dedup();
    services
}

/// A restore in place, which has been agreed to: of these payloads, or of all where none is named.
fn in_place(with: &With<'_>, snapshot: &Snapshot, only: Vec<String>) -> Result<Outcome, Failure> {
    let mut args = Args::clone(with.args);
    args.restore.only = only;
    args.restore.yes = true;
    place::restore(&With { args: &args, ..*with }, snapshot)
}

/// Restores the payloads of some kinds, if there are any.
fn bring(
    with: &With<'_>,
    snapshot: &Snapshot,
    steps: &mut Steps,
    what: &str,
    is_wanted: impl Fn(PayloadKind) -> bool,
) -> Result<Option<Outcome>, Failure> {
    let wanted = snapshot.manifest.payloads.iter().filter(|payload| is_wanted(payload.kind));
    let names: Vec<String> = wanted.map(|payload| payload.name.clone()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    steps.step(what, || in_place(with, snapshot, names)).map(Some)
}

/// Whether all of these services run, and there are any.
fn are_up(stack: &Compose, services: &[String]) -> Result<bool, Failure> {
    let known = stack.services()?;
    let is_up = |name: &String| -> Result<bool, Failure> {
        Ok(known.iter().any(|service| service.name == *name) && stack.state(name)? == ServiceState::Running)
    };
    let up = services.iter().map(is_up).collect::<Result<Vec<bool>, Failure>>()?;
    Ok(!up.is_empty() && up.into_iter().all(|is_up| is_up))
}

/// The servers whose databases the snapshot has.
fn servers(stack: &Compose, with: &With<'_>, snapshot: &Snapshot) -> Result<Vec<Server>, Failure> {
    let found = database::find(&stack.services()?, &with.config.database)?;
    let wanted = services_of(snapshot);
    Ok(found.servers.into_iter().filter(|server| wanted.contains(&server.service.name)).collect())
}

/// Warns of what services mount and nothing has brought back, before they start.
fn look_for_sources(with: &With<'_>, stack: &Compose, servers: &[Server], steps: &mut Steps) -> Result<(), Failure> {
    let notices = working::missing(stack, servers)?;
    steps.doubt(&notices);
    for notice in notices {
        with.run.warn(notice);
    }
    Ok(())
}

/// Starts the database servers alone, and waits until they answer.
fn start_servers(stack: &Compose, servers: &[Server], steps: &mut Steps) -> Result<(), Failure> {
    if servers.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = servers.iter().map(|server| server.service.name.as_str()).collect();
    steps.step(&format!("database servers start: {}", names.join(", ")), || {
        let ready = || -> Result<(), Failure> {
            stack.up(&names)?;
            for server in servers {
                Client::new(stack, server.clone()).and_then(|client| client.ready())?;
            }
            Ok(())
        };
        // What the server says itself is worth more than that it did not come up.
        ready().map_err(|refused| match scratch::why_down(stack, &names) {
            Some((service, log)) => AllError::Died { service, log, folder: shown(stack.dir()) }.into(),
            None => refused,
        })
    })
}

/// Starts everything. What does not come up is worth a look, and no reason to take back what was restored.
fn start(stack: &Compose, steps: &mut Steps) -> Result<Vec<Notice>, Failure> {
    let refused = steps.step("everything starts", || Ok(stack.up(&[]).err()))?;
    let Some(refused) = refused else { return Ok(Vec::new()) };
    shipshape_core::signal::check()?;
    let mut failing = Vec::new();
    for service in stack.services()?.into_iter().filter(|service| !service.optional) {
        if matches!(stack.state(&service.name)?, ServiceState::Failed | ServiceState::Changing) {
            failing.push(service.name);
        }
    }
    let told = Failure::from(refused);
    // One that has done its work and ended well is no failure, though Compose waits for it in vain.
    if failing.is_empty() && !told.message().contains("unhealthy") {
        return Ok(Vec::new());
    }
    let which = if failing.is_empty() { "a service".to_owned() } else { failing.join(", ") };
    let names: Vec<&str> = failing.iter().map(String::as_str).collect();
    let why = scratch::why_down(stack, &names).map(|(service, log)| format!("{service} says: {log}"));
    let why = why.unwrap_or_else(|| told.message());
    let message = format!("everything is restored, but {which} did not come up: {why}");
    let hint = format!("see why: docker compose --project-directory {} logs --tail 50", shown(stack.dir()));
    Ok(vec![Notice::new("restore.not_up", message, hint)])
}

/// A folder that was made for the restore, and goes again if that comes to nothing.
struct Made(Option<PathBuf>);

impl Made {
    /// Makes the folder that is named, where it is missing.
    fn folder(with: &With<'_>) -> Result<Option<Self>, Failure> {
        let stated = with.args.store.app.as_deref().filter(|stated| stated.contains('/')).map(PathBuf::from);
        let Some(missing) = stated.filter(|folder| !folder.exists()) else { return Ok(None) };
        if with.args.restore.dry_run {
            return Err(AllError::Missing { folder: shown(&missing) }.into());
        }
        atomic::private_dir(&missing)?;
        Ok(Some(Self(Some(missing))))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // Only where it is empty: what has come back stays for whoever looks.
            let _ = std::fs::remove_dir(folder);
        }
    }
}
