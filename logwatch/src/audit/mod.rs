//! `logwatch audit`: logs that nobody rotates, and what to write so that somebody does. It only looks.
//!
//! ```text
//! containers ─┐
//! files ──────┼──> findings ──> what mends them: a logrotate file, a `logging:` block
//! rules ──────┘
//! ```

mod containers;
mod files;
mod finding;
mod folders;
mod logrotate;
mod mend;
mod names;
mod place;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;
use shipshape_core::config::{App, Config};
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::signal;
use shipshape_core::units::ByteSize;

use containers::Container;
use finding::{Finding, summary};
use folders::Unrotated;
use place::Place;

/// What its reports are called: those of real looks at logs must stay.
const REPORT: &str = "logwatch-audit";

/// What is looked at.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct AuditArgs {
    /// Folder of the application, or its name where the configuration tells the folder
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) app: Option<String>,
    /// All containers of the engine, not only those of the application
    #[arg(long)]
    all: bool,
    /// Logs beyond this size are named: 500MB, 2GiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    max_size: ByteSize,
    /// Look at the disk of another machine, which is mounted here; containers are left alone
    #[arg(long, value_name = "DIR", conflicts_with = "all")]
    root: Option<PathBuf>,
}

/// All that was seen.
struct Seen {
    containers: Vec<Container>,
    /// Why containers could not be looked at.
    refused: Option<Failure>,
    unrotated: Vec<Unrotated>,
    findings: Vec<Finding>,
    /// What is worth knowing and no finding.
    notes: Vec<String>,
    /// What could not be looked at.
    warnings: Vec<Notice>,
}

/// Looks. `app` is whose folder and containers are looked at, where there is one.
pub(crate) fn audit(args: &AuditArgs, config: &Config, app: Option<&App>, run: &Run) -> Result<Outcome, Failure> {
    run.keeps_report_as(REPORT);
    let seen = look(args, config, app, run)?;
    signal::check()?;
    let name = app.map_or("logs", |app| app.name.as_str());
    let logrotate = mend::logrotate(&seen.unrotated, name);
    let unrotated: Vec<&Container> = seen.containers.iter().filter(|container| container.is_unrotated()).collect();
    let compose = mend::compose(&unrotated, run.started());
    let daemon = mend::daemon(&unrotated);
    Ok(Outcome {
        exit: exit(&seen),
        data: json!({
            "findings": seen.findings,
            "mend": { "logrotate": logrotate, "compose": compose, "daemon": daemon },
            "notes": seen.notes,
        }),
        text: text(&seen, &[logrotate, compose, daemon]),
        warnings: seen.refused.iter().map(Failure::notice).chain(seen.warnings).collect(),
        ..Outcome::ok(summary(&seen.findings))
    })
}

fn look(args: &AuditArgs, config: &Config, app: Option<&App>, run: &Run) -> Result<Seen, Failure> {
    let place = Place::new(args.root.as_deref())?;
    let dir = app.and_then(|app| app.dir.as_deref());
    let (containers, refused) = match containers::look(args, dir) {
        Ok(containers) => (containers, None),
        Err(error) => (Vec::new(), Some(Failure::from(error))),
    };
    let logs = files::look(&place, dir, &config.logwatch.files);
    let rules = logrotate::read(&place);
    let (unrotated, mut notes) = folders::unrotated(&logs.files, &rules, &place, run.started());
    notes.extend(rules.notes);
    notes.extend(mend::unwritten(&unrotated));
    let findings = [
        containers::findings(&containers, args.max_size.0),
        files::too_large(&logs.files, &place, args.max_size.0),
        unrotated.iter().map(Unrotated::finding).collect(),
    ];
    Ok(Seen { containers, refused, unrotated, findings: findings.concat(), notes, warnings: logs.warnings })
}

/// That containers could not be looked at weighs more than what was found elsewhere.
fn exit(seen: &Seen) -> Exit {
    match (&seen.refused, seen.findings.is_empty()) {
        (Some(failure), _) => failure.exit().max(Exit::Unknown),
        (None, false) => Exit::Warning,
        (None, true) => Exit::Ok,
    }
}

/// For people: what was found, and below it what mends it, ready to be pasted.
fn text(seen: &Seen, mends: &[Option<String>]) -> String {
    let mut text = String::new();
    for finding in &seen.findings {
        let _ = writeln!(text, "{}", finding.line());
    }
    for note in &seen.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for mend in mends.iter().flatten() {
        let _ = write!(text, "\n{mend}");
    }
    text
}

#[cfg(test)]
mod tests;
