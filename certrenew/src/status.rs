//! `certrenew status`: every certificate as it is. Nothing is asked of the authority, and nothing is touched.

mod unnamed;

use std::net::SocketAddr;

use shipshape_core::error::Failure;
use shipshape_core::run::Outcome;

use crate::cli::{Context, OneArgs};
use crate::deploy::{self, Application, Takers};
use crate::due::{self, Due};
use crate::renew::{Book, exit_of, is_use_known, known, known_places, lineage, planned, row, services, waiting};
use crate::report::{self, Action, Row};
use crate::wanted::{self, Wanted};

/// Looks at what lies there, at what is remembered, and at what is served. Where no certificate is named, at all that are found.
pub(crate) fn status(args: &OneArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let is_nobody_named = context.config.certrenew.certificate.is_empty() && args.domain.is_empty();
    let rows = if is_nobody_named { unnamed::rows(args, context)? } else { named(args, context)? };
    Ok(Outcome {
        exit: exit_of(&rows),
        data: report::data(&rows),
        text: report::text(&rows),
        ..Outcome::ok(report::summary(&rows))
    })
}

/// The certificates that the configuration or the flags name.
fn named(args: &OneArgs, context: &Context<'_>) -> Result<Vec<Row>, Failure> {
    let wanted = wanted::wanted(context.config, args)?;
    let book = Book::look(context)?;
    let application = Application::at(context.app.dir.as_deref());
    Ok(wanted.iter().map(|one| status_of(one, &book, &application, context)).collect())
}

fn status_of(wanted: &Wanted, book: &Book, application: &Application, context: &Context<'_>) -> Row {
    let mut row = remembered(wanted, book, context);
    let record = book.record(&wanted.name);
    let addresses = match (&wanted.verify, known_places(wanted, &record)) {
        (Some(stated), _) => stated.clone(),
        (None, Some(known)) => known,
        (None, None) => ask(&mut row, wanted, application),
    };
    let served = deploy::served_at(&addresses, &wanted.identifiers);
    if let Some(facts) = deploy::ends_first(&served)
        .filter(|facts| !wanted.renew && row.not_after.is_none_or(|own| facts.not_after < own))
    {
        // What is renewed elsewhere need not lie here.
        row.facts(facts, context.run.started());
    }
    row.served(&served);
    row
}

/// Of one that was never put to use, the application tells who will take it. What was found so is looked at once it was told.
fn ask(row: &mut Row, wanted: &Wanted, application: &Application) -> Vec<SocketAddr> {
    match Takers::of(wanted, &lineage(wanted).live(), application) {
        Ok(takers) => {
            row.services(&takers.names(), takers.is_found);
            if takers.is_found { Vec::new() } else { takers.look_at(&[]) }
        }
        Err(_) => vec![wanted::usual()],
    }
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
    let (names, is_found) = services(wanted, &record);
    row.services(&names, is_found);
    row.deploy(record.deploy.as_ref().filter(|_| is_use_known(wanted, &record)));
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
