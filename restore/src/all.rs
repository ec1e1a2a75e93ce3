//! Disaster recovery: everything of a snapshot back onto a server that has nothing yet, in one command.
//!
//! ```text
//! configuration: compose files, .env ──> everything is made, nothing started ──> database servers up
//!     ──> databases, files, volumes ──> everything up
//! ```
//! The application starts last: one that finds an empty database makes its tables anew, or its first user.

mod error;
mod steps;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::atomic;
use shipshape_core::clock::Stopwatch;
use shipshape_core::config::Config;
use shipshape_core::database::{self, Client};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{ServiceState, Stack};

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
    /// Whether a compose file is there.
    has_project: bool,
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
        let has_project = Compose::find(&folder).is_some();
        Ok(Self { folder, is_new, has_project })
    }

    fn preview(&self, snapshot: &Snapshot) -> Outcome {
        let manifest = &snapshot.manifest;
        let folder = shown(&self.folder);
        let mut text = format!("snapshot {} of {}, everything to {folder}\n", manifest.id, snapshot.place);
        let databases = services_of(snapshot).join(", ");
        let configuration =
            if self.has_project { "the compose files are there" } else { "the compose files and what they need" };
        for (number, step) in [
            configuration.to_owned(),
            "volumes, networks and containers are made, none is started".to_owned(),
            format!("database servers start: {}", if databases.is_empty() { "none" } else { &databases }),
            "databases, files and volumes come back".to_owned(),
            "everything starts".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let _ = writeln!(text, "  {}. {step}", number + 1);
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
        let names = |wanted: fn(PayloadKind) -> bool| -> Vec<String> {
            let payloads = snapshot.manifest.payloads.iter();
            payloads.filter(|payload| wanted(payload.kind)).map(|payload| payload.name.clone()).collect()
        };
        let configuration = names(|kind| kind == PayloadKind::Config);
        let comes_first = !self.has_project && !configuration.is_empty();
        if comes_first {
            steps.step("the configuration comes back", || in_place(with, &snapshot, configuration))?;
        }
        // The configuration of the tools themselves may just have come back.
        let config = Config::load(&with.args.common, self.folder.to_str()).unwrap_or_else(|_| with.config.clone());
        let with = &With { config: &config, ..*with };
        let stack = Compose::find(&self.folder);
        if let Some(stack) = &stack {
            prepare(stack, with, &snapshot, steps)?;
        } else if !services_of(&snapshot).is_empty() {
            return Err(AllError::NoProject { folder: shown(&self.folder) }.into());
        }
        let rest = if comes_first { names(|kind| kind != PayloadKind::Config) } else { Vec::new() };
        let outcome = steps.step("databases, files and volumes come back", || in_place(with, &snapshot, rest))?;
        let notices = stack.map_or(Ok(Vec::new()), |stack| start(&stack, steps))?;
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

/// Makes all that the services need, and starts the database servers alone.
fn prepare(stack: &Compose, with: &With<'_>, snapshot: &Snapshot, steps: &mut Steps) -> Result<(), Failure> {
    steps.step("volumes, networks and containers are made", || Ok(stack.create()?))?;
    let services = stack.services()?;
    let found = database::find(&services, &with.config.database)?;
    let wanted = services_of(snapshot);
    let servers: Vec<_> = found.servers.into_iter().filter(|server| wanted.contains(&server.service.name)).collect();
    if servers.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = servers.iter().map(|server| server.service.name.as_str()).collect();
    steps.step(&format!("database servers start: {}", names.join(", ")), || {
        stack.up(&names)?;
        for server in &servers {
            Client::new(stack, server.clone()).and_then(|client| client.ready())?;
        }
        Ok(())
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
    let message = format!("everything is restored, but {which} did not come up: {}", told.message());
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
