//! One exact moment, where the owner wants it: commands in services before and after, and services that stand still while
//! databases and files are read.
//!
//! ```text
//! pre commands ─ journal ─ stop ─ [databases, files, configuration] ─ start ─ journal gone ─ post commands
//! ```
//! Exactly those copies are started that ran, on every way out: at the end, after an error, after a signal, in a panic. A
//! run that was killed leaves its journal, and the next one starts them first.

mod commands;
mod error;
mod journal;
mod orders;

use std::thread;

use shipshape_core::child::ChildError;
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::Run;
use shipshape_core::stack::{Instance, ServiceState, Stack, StackError};

use crate::stack::Surroundings;
use commands::Post;
pub(crate) use error::QuiesceError;
pub(crate) use journal::Desk;
use journal::{Journal, Stopped};
pub(crate) use orders::Orders;

/// Services stand still as long as this lives.
pub(crate) struct Quiet<'a> {
    run: &'a Run,
    desk: Desk<'a>,
    stack: Option<&'a dyn Stack>,
    stopped: Vec<Stopped>,
    /// What an earlier run has stopped and could not be started yet.
    left: Vec<Stopped>,
    /// Services that may be on their way down still.
    falling: Vec<String>,
    post: Vec<Post<'a>>,
    is_over: bool,
}

impl<'a> Quiet<'a> {
    /// Runs the commands that come before, and stops what is to stand still. Whatever fails in that, all that was done is
    /// undone before this returns.
    pub(crate) fn begin(
        orders: &'a Orders,
        around: &'a Surroundings,
        desk: Desk<'a>,
        run: &'a Run,
    ) -> Result<Self, Failure> {
        let (stopped, left, falling, post) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut quiet = Self { run, desk, stack: around.stack(), stopped, left, falling, post, is_over: false };
        let Some(stack) = around.stack().filter(|_| !orders.is_empty()) else { return Ok(quiet) };
        // Where each command will run is found out now: later, after a signal, nobody can be asked.
        let pre = commands::prepare(stack, &orders.pre)?;
        let post = commands::prepare(stack, &orders.post)?;
        quiet.post = post;
        for command in &pre {
            command.run(stack)?;
        }
        quiet.stop(stack, &orders.stop)?;
        Ok(quiet)
    }

    fn stop(&mut self, stack: &dyn Stack, services: &[String]) -> Result<(), Failure> {
        for service in services {
            let instances = running(stack, service)?;
            if !instances.is_empty() {
                self.stopped.push(Stopped { service: service.clone(), instances });
            }
        }
        if self.stopped.is_empty() {
            return Ok(());
        }
        self.left = Journal::read(self.desk)?.map(Journal::stopped).unwrap_or_default();
        Journal::new(self.left.iter().chain(&self.stopped)).write(self.desk)?;
        let stopping = |stopped: &Stopped| stack.stop(&stopped.service, &stopped.instances);
        // All at once: each has ten seconds to end, and users wait.
        let ended: Vec<Result<(), StackError>> = thread::scope(|scope| {
            let started: Vec<_> = self.stopped.iter().map(|stopped| scope.spawn(move || stopping(stopped))).collect();
            started.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let not_down = self.stopped.iter().zip(&ended).filter(|(_, ended)| ended.is_err());
        self.falling = not_down.map(|(stopped, _)| stopped.service.clone()).collect();
        ended.into_iter().collect::<Result<(), StackError>>()?;
        Ok(())
    }

    /// Everything has been read: starts what ran, and runs the commands that come after. Tells what does not run again.
    pub(crate) fn end(mut self) -> Option<Notice> {
        self.finish()
    }

    fn finish(&mut self) -> Option<Notice> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let stack = self.stack?;
        let stopped = [std::mem::take(&mut self.left), std::mem::take(&mut self.stopped)].concat();
        let not_running = if stopped.is_empty() { None } else { start(stack, &stopped, &self.falling, self.desk) };
        for command in std::mem::take(&mut self.post) {
            if let Err(refused) = command.run_whatever_happens(stack) {
                self.run.warn(Failure::from(refused).notice());
            }
        }
        not_running
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        if let Some(notice) = self.finish() {
            self.run.warn(notice);
        }
    }
}

/// Starts what a run that was killed has left stopped. Tells what does not start.
///
/// Only under the lock, and as early as that: whatever else is wrong tonight, the services must run again.
pub(crate) fn recover(around: &Surroundings, desk: Desk<'_>, run: &Run) -> Result<Option<Notice>, Failure> {
    let Some(journal) = Journal::read(desk)? else { return Ok(None) };
    let mut stopped = journal.stopped();
    let Some(stack) = around.stack() else {
        let refused = QuiesceError::LeftStopped { services: names(&stopped) };
        return Ok(Some(Failure::from(refused).notice()));
    };
    // One that its owner has removed in the meantime is nobody's concern.
    stopped.retain(|stopped| around.services.iter().any(|service| service.name == stopped.service));
    let names = names(&stopped);
    // One that runs may be on its way down: what the killed run has asked for goes on without it.
    let is_up =
        |stopped: &&Stopped| running(stack, &stopped.service).is_ok_and(|up| up.iter().any(|up| stopped.has(up)));
    let falling: Vec<String> = stopped.iter().filter(is_up).map(|stopped| stopped.service.clone()).collect();
    let not_running = start(stack, &stopped, &falling, desk);
    if not_running.is_none() && !stopped.is_empty() {
        let message =
            format!("an earlier backup was killed while services stood still; they were started again: {names}");
        run.warn(Notice::new("quiesce.recovered", message, "look whether they do their work: docker compose ps"));
    }
    Ok(not_running)
}

/// Whether something of a killed run still waits to be started.
pub(crate) fn is_pending(desk: Desk<'_>) -> bool {
    Journal::exists(desk)
}

/// Starts services, the last stopped first. When all of them run, nothing is left to remember.
fn start(stack: &dyn Stack, stopped: &[Stopped], falling: &[String], desk: Desk<'_>) -> Option<Notice> {
    let refused: Vec<(String, StackError)> = stopped
        .iter()
        .rev()
        .filter_map(|stopped| {
            let refused = raise(stack, stopped, falling.contains(&stopped.service)).err()?;
            Some((stopped.service.clone(), refused))
        })
        .collect();
    let services = refused.iter().map(|(service, _)| service.as_str()).collect::<Vec<_>>().join(" ");
    let Some((_, source)) = refused.into_iter().next() else {
        Journal::remove(desk);
        return None;
    };
    Some(Failure::from(QuiesceError::NotStarted { services, source: Box::new(source) }).notice())
}

/// Starts one service. One that is still on its way down has to arrive there first: to start what runs does nothing, and
/// then it ends.
fn raise(stack: &dyn Stack, stopped: &Stopped, is_falling: bool) -> Result<(), StackError> {
    let down = if is_falling { stack.stop(&stopped.service, &stopped.instances) } else { Ok(()) };
    stack.start(&stopped.service, &stopped.instances)?;
    match down {
        // It runs, and nobody knows for how long: this must not be forgotten.
        Err(StackError::Child(overdue @ ChildError::Deadline { .. })) => Err(overdue.into()),
        // What is not there any more cannot be stopped.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The copies of a service that run, or are about to.
fn running(stack: &dyn Stack, service: &str) -> Result<Vec<Instance>, StackError> {
    let mut instances = stack.instances(service)?;
    instances.retain(|instance| matches!(instance.state, ServiceState::Running | ServiceState::Changing));
    Ok(instances)
}

fn names(stopped: &[Stopped]) -> String {
    stopped.iter().map(|stopped| stopped.service.as_str()).collect::<Vec<_>>().join(" ")
}
