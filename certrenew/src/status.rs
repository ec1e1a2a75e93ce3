//! `certrenew status`: every certificate as it is. Nothing is asked of the authority, and nothing is touched.

use shipshape_core::error::Failure;
use shipshape_core::run::Outcome;

use crate::cli::{Context, OneArgs};
use crate::deploy;
use crate::due::{self, Due, Known};
use crate::renew::{Book, exit_of, lineage, place, planned, row};
use crate::report::{self, Action, Row};
use crate::wanted::{self, Wanted};

/// Looks at what lies there, at what is remembered, and at what is served.
pub(crate) fn status(args: &OneArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let wanted = wanted::wanted(context.config, args)?;
    let book = Book::look(context)?;
    let rows: Vec<Row> = wanted.iter().map(|one| status_of(one, &book, context)).collect();
    Ok(Outcome {
        exit: exit_of(&rows, &wanted),
        data: report::data(&rows),
        text: report::text(&rows),
        ..Outcome::ok(report::summary(&rows))
    })
}

fn status_of(wanted: &Wanted, book: &Book, context: &Context<'_>) -> Row {
    let mut row = row(wanted);
    if let Err(failure) = fill(&mut row, wanted, book, context) {
        row.action = Action::Failed;
        row.error = Some(failure.notice());
    }
    row
}

fn fill(row: &mut Row, wanted: &Wanted, book: &Book, context: &Context<'_>) -> Result<(), Failure> {
    let now = context.run.started();
    let installed = lineage(wanted).installed()?;
    let record = book.record(&wanted.name);
    let served = deploy::served_at(&wanted.verify, &wanted.identifiers);
    match (&installed, served.iter().find_map(|one| one.shown.as_ref().ok())) {
        (Some(installed), _) => row.facts(&installed.chain.facts, now),
        // What is renewed elsewhere need not lie here.
        (None, Some(facts)) if !wanted.renew => row.facts(facts, now),
        (None, _) => {}
    }
    row.served(&served);
    row.deploy(record.deploy.as_ref());
    if !wanted.renew {
        "renewed elsewhere".clone_into(&mut row.reason);
        return Ok(());
    }
    let known = Known {
        facts: installed.as_ref().map(|installed| &installed.chain.facts),
        is_pair: installed.as_ref().is_some_and(|installed| installed.is_pair),
        names: &wanted.identifiers,
        is_rehearsal: wanted.authority.is_rehearsal(),
        directory: &wanted.authority.directory,
        record: &record,
        place: place(&wanted.name),
    };
    tell_due(row, due::due(&known, now), record.failures.as_ref().map(|failures| &failures.why), now);
    Ok(())
}

/// What the next run will do, and why.
fn tell_due(row: &mut Row, due: Due, why: Option<&shipshape_core::report::Notice>, now: chrono::DateTime<chrono::Utc>) {
    match due {
        Due::Later { at, why } => {
            row.next_attempt = Some(at);
            row.reason = planned(at, why);
        }
        Due::Now(reason) => {
            row.action = Action::Pending;
            row.next_attempt = Some(now);
            row.reason = format!("the next run orders one: {reason}");
        }
        Due::Paused { until, reason } => {
            row.action = Action::Pending;
            row.next_attempt = Some(until);
            row.reason = format!("{reason}; tried again at {}", shipshape_core::moment::told(until));
            row.error = why.cloned();
        }
    }
    if row.deploy.as_ref().is_some_and(|deploy| !deploy.done) {
        row.action = Action::Pending;
    }
}
