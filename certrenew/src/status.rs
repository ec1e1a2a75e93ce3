//! `certrenew status`: every certificate as it is. Nothing is asked of the authority, and nothing is touched.

use shipshape_core::error::Failure;
use shipshape_core::run::Outcome;

use crate::cli::{Context, OneArgs};
use crate::deploy;
use crate::due::{self, Due};
use crate::renew::{Book, exit_of, known, lineage, planned, row, waiting};
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
    let mut row = remembered(wanted, book, context);
    let served = deploy::served_at(&wanted.verify, &wanted.identifiers);
    if let Some(facts) = deploy::ends_first(&served)
        .filter(|facts| !wanted.renew && row.not_after.is_none_or(|own| facts.not_after < own))
    {
        // What is renewed elsewhere need not lie here.
        row.facts(facts, context.run.started());
    }
    row.served(&served);
    row
}

/// What lies there and what is remembered; nothing is asked of any server.
pub(crate) fn remembered(wanted: &Wanted, book: &Book, context: &Context<'_>) -> Row {
    let mut row = row(wanted);
    if let Err(failure) = fill(&mut row, wanted, book, context) {
        row.action = Action::Failed;
        row.error = Some(failure.notice());
    }
    row
}

fn fill(row: &mut Row, wanted: &Wanted, book: &Book, context: &Context<'_>) -> Result<(), Failure> {
    let now = context.run.started();
    let place_of = lineage(wanted);
    let installed = place_of.installed()?;
    if let Some(damage) = place_of.damaged() {
        context.run.warn(damage);
    }
    let record = book.record(&wanted.name);
    if let Some(installed) = &installed {
        row.facts(&installed.chain.facts, now);
    }
    row.deploy(record.deploy.as_ref());
    let unused = record.deploy.as_ref().filter(|deploy| !deploy.is_done).and_then(|deploy| deploy.why.clone());
    row.error = record.failures.as_ref().map(|failures| failures.why.clone()).or(unused);
    if !wanted.renew {
        "renewed elsewhere".clone_into(&mut row.reason);
        return Ok(());
    }
    if waiting(wanted, &place_of, installed.as_ref(), &record, now)?.is_some() {
        row.action = Action::Pending;
        row.next_attempt = Some(now);
        "a newer one lies beside it: the next run puts it to use".clone_into(&mut row.reason);
        return Ok(());
    }
    let facts = installed.as_ref().map(|installed| &installed.chain.facts);
    let is_pair = installed.as_ref().is_some_and(|installed| installed.is_pair);
    tell_due(row, due::due(&known(wanted, facts, is_pair, &record), now), now);
    Ok(())
}

/// What the next run will do, and why.
fn tell_due(row: &mut Row, due: Due, now: chrono::DateTime<chrono::Utc>) {
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
        }
    }
    if row.deploy.as_ref().is_some_and(|deploy| !deploy.done) {
        row.action = Action::Pending;
    }
}
