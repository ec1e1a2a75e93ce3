//! Commands that the owner has ordered, each in a service that runs.

use std::io::Read;
use std::time::Duration;

use shipshape_core::stack::{Call, Stack, StackError};

use super::orders::Order;
use super::{QuiesceError, running};

/// The time of a command whose owner gives none.
const USUAL: Duration = Duration::from_secs(600);

/// How much of the end of what a command prints is quoted, in bytes.
const QUOTED: usize = 500;

/// A command, and the copy of the service that it runs in.
pub(super) struct Prepared<'a> {
    order: &'a Order,
    instance: String,
}

/// One that comes after.
pub(super) type Post<'a> = Prepared<'a>;

/// Finds out where commands run.
pub(super) fn prepare<'a>(stack: &dyn Stack, orders: &'a [Order]) -> Result<Vec<Prepared<'a>>, QuiesceError> {
    let prepared = |order: &'a Order| {
        let service = &order.command.service;
        let first = running(stack, service)?.into_iter().next();
        let first = first.ok_or_else(|| QuiesceError::NotRunning { key: order.key, service: service.clone() })?;
        Ok(Prepared { order, instance: first.id })
    };
    orders.iter().map(prepared).collect()
}

impl Prepared<'_> {
    /// Runs it to its end.
    pub(super) fn run(&self, stack: &dyn Stack) -> Result<(), QuiesceError> {
        self.call(stack, Some(&self.instance), false)
    }

    /// Runs it even after a signal, and where the service runs now if somebody has made it anew in the meantime.
    pub(super) fn run_whatever_happens(&self, stack: &dyn Stack) -> Result<(), QuiesceError> {
        match self.call(stack, Some(&self.instance), true) {
            Err(_) if self.is_gone(stack) => self.call(stack, None, true),
            other => other,
        }
    }

    /// Whether the copy of the service is not there any more. After a signal nobody can be asked, and it counts as there.
    fn is_gone(&self, stack: &dyn Stack) -> bool {
        let known = stack.instances(&self.order.command.service);
        known.is_ok_and(|instances| !instances.iter().any(|instance| instance.id == self.instance))
    }

    fn call(&self, stack: &dyn Stack, instance: Option<&str>, cleanup: bool) -> Result<(), QuiesceError> {
        let section = &self.order.command;
        let argv: Vec<&str> = section.command.iter().map(String::as_str).collect();
        let deadline = section.timeout_s.map_or(USUAL, Duration::from_secs);
        let mut output = Vec::new();
        let ended = stack.exec(Call { instance, deadline, cleanup, ..Call::new(&section.service, &argv) }).and_then(
            |mut exec| {
                read_end(&mut exec, &mut output);
                exec.finish().map_err(StackError::from)
            },
        );
        ended.map(drop).map_err(|source| QuiesceError::Command {
            key: self.order.key,
            service: section.service.clone(),
            command: section.command.join(" "),
            output: String::from_utf8_lossy(&output).into_owned(),
            source: Box::new(source),
        })
    }
}

/// Reads all and keeps the end. How the program ended says whoever waits for it.
fn read_end(from: &mut impl Read, end: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        end.extend_from_slice(&buffer[..read]);
        let excess = end.len().saturating_sub(QUOTED);
        end.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_what_a_command_prints_is_quoted() {
        let mut end = Vec::new();
        read_end(&mut [vec![b'a'; 100_000], b"the end".to_vec()].concat().as_slice(), &mut end);
        assert_eq!(end.len(), QUOTED);
        assert!(end.ends_with(b"the end"));
    }
}
