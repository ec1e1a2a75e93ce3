//! The run: obtain what is missing, renew what is due, deploy, verify. One certificate that fails keeps no other from its turn.

mod book;
mod error;
mod obtain;
mod sessions;
mod using;
mod visit;

use chrono::TimeDelta;
use shipshape_core::alert::{Problem, Severity};
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::run::Outcome;
use shipshape_core::{signal, units};

pub(crate) use book::Book;
pub(crate) use sessions::Sessions;
pub(crate) use using::{is_use_known, known_places, services};
use visit::Visit;
pub(crate) use visit::{known, lineage, planned, row, waiting};

use crate::cli::{Context, OneArgs, RunArgs};
use crate::deploy::Application;
use crate::report::{self, Action, Row};
use crate::status;
use crate::wanted::{self, Wanted};

/// How the run treats what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What is due.
    Due,
    /// Everything, at once.
    Forced,
    /// A rehearsal with the authority's staging; nothing is installed.
    Rehearsal,
}

/// The whole run.
pub(crate) fn renew(args: &RunArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let wanted = wanted::wanted(context.config, &args.one)?;
    let (mut book, _lock) = Book::open(context)?;
    let application = Application::at(context.app.dir.as_deref());
    let mut sessions = Sessions::new(book.accounts()?);
    let mode = match (args.dry_run, args.force) {
        (true, _) => Mode::Rehearsal,
        (false, true) => Mode::Forced,
        (false, false) => Mode::Due,
    };
    let mut rows = Vec::new();
    for one in &wanted {
        let visit =
            Visit { wanted: one, context, application: &application, sessions: &mut sessions, book: &mut book, mode };
        rows.push(visit.go()?);
        signal::check()?;
    }
    for (row, one) in rows.iter().zip(&wanted) {
        tell(row, one, context);
    }
    // What is wrong with the others is not over because this run was not about them.
    for one in others(args, context, &wanted) {
        tell(&status::remembered(&one, &book, context), &one, context);
    }
    Ok(Outcome {
        exit: exit_of(&rows),
        data: report::data(&rows),
        text: report::text(&rows),
        ..Outcome::ok(report::summary(&rows))
    })
}

fn tell(row: &Row, wanted: &Wanted, context: &Context<'_>) {
    for problem in problems(row, wanted) {
        context.run.problem(problem);
    }
}

/// The certificates of the configuration that this run is not about.
fn others(args: &RunArgs, context: &Context<'_>, visited: &[Wanted]) -> Vec<Wanted> {
    let all = OneArgs { app: args.one.app.clone(), ..OneArgs::default() };
    // A mistake in one of them is told by the run that is about it.
    let all = wanted::wanted(context.config, &all).unwrap_or_default();
    all.into_iter().filter(|one| visited.iter().all(|visited| visited.name != one.name)).collect()
}

/// What somebody is to be told of, and until it is over.
fn problems(row: &Row, wanted: &Wanted) -> Vec<Problem> {
    let of = |kind: &str, severity, title: &str, text: String, hint: String| Problem {
        id: format!("certrenew.{kind}.{}", row.name),
        severity,
        title: format!("{title} {}", row.name),
        text,
        hint,
        after: 1,
    };
    let mut found = Vec::new();
    if let Some(error) = &row.error {
        let (kind, title) = if error.code.starts_with("deploy.") {
            ("deploy", "a new certificate is not in use:")
        } else {
            ("renew", "a certificate cannot be renewed:")
        };
        found.push(of(kind, Severity::Critical, title, error.message.clone(), error.hint.clone()));
    }
    if let Some(severity) = nearness(row) {
        let text = match (row.days_left, row.not_after) {
            (Some(days), Some(at)) if days >= 0 => {
                let left = units::counted(days.unsigned_abs(), "day", "days");
                format!("it ends in {left}, at {}", shipshape_core::moment::told(at))
            }
            _ => "it is over".to_owned(),
        };
        let hint = if wanted.renew { "certrenew status" } else { "it is renewed elsewhere: look there" };
        found.push(of("expiry", severity, "a certificate ends soon:", text, hint.to_owned()));
    }
    found
}

/// Whether its end is near enough to be told, and how bad that is.
fn nearness(row: &Row) -> Option<Severity> {
    let (left, life) = row.left_of?;
    // A sixth is half of what is left when it should have been renewed.
    let near = row.alert_days.map_or(life / 6, |days| TimeDelta::days(i64::from(days)));
    if left <= TimeDelta::zero() { Some(Severity::Critical) } else { (left < near).then_some(Severity::Warning) }
}

/// The worst of all: what failed now is critical; what waits for its turn after a failure is worth a look, until its end is near.
pub(crate) fn exit_of(rows: &[Row]) -> Exit {
    let is_served = |row: &Row| row.served.iter().all(|one| one.ok);
    let of = |row: &Row| match (row.action, nearness(row)) {
        (Action::Failed, _) | (_, Some(Severity::Critical)) | (Action::Pending, Some(_)) => Exit::Critical,
        (Action::Pending, None) | (_, Some(Severity::Warning)) => Exit::Warning,
        (Action::None | Action::Renewed | Action::Deployed, None) if !is_served(row) => Exit::Warning,
        (Action::None | Action::Renewed | Action::Deployed, None) => Exit::Ok,
    };
    rows.iter().map(of).max_by_key(|exit| exit.number()).unwrap_or(Exit::Ok)
}
