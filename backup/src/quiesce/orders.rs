//! What the configuration orders, checked before anything is done.

use shipshape_core::config::{BackupSection, CommandSection};

use super::QuiesceError;
use crate::stack::Surroundings;

/// Where `stop` stands.
const STOP: &str = "[backup] stop";
/// Where commands stand that come before.
const PRE: &str = "[[backup.pre]]";
/// Where commands stand that come after.
const POST: &str = "[[backup.post]]";

/// A command that is ordered, and where that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// `[[backup.pre]]`.
    pub(super) key: &'static str,
    /// The command.
    pub(super) command: CommandSection,
}

/// What is ordered for the time around the copy.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Services that stand still.
    pub(crate) stop: Vec<String>,
    pub(super) pre: Vec<Order>,
    pub(super) post: Vec<Order>,
}

impl Orders {
    /// What of the configuration is for this run. One that takes single configuration files alone disturbs nobody.
    pub(crate) fn new(section: &BackupSection, around: &Surroundings, only: &[String]) -> Result<Self, QuiesceError> {
        let ordered = |key: &'static str, commands: &[CommandSection]| -> Vec<Order> {
            commands.iter().cloned().map(|command| Order { key, command }).collect()
        };
        let (pre, post) = (ordered(PRE, &section.pre), ordered(POST, &section.post));
        let mut orders = Self { stop: section.stop.clone(), pre, post };
        orders.stop.sort();
        orders.stop.dedup();
        orders.check(around)?;
        Ok(if only == ["config"] { Self::default() } else { orders })
    }

    /// Whether nothing is ordered.
    pub(crate) fn is_empty(&self) -> bool {
        self.stop.is_empty() && self.pre.is_empty() && self.post.is_empty()
    }

    fn check(&self, around: &Surroundings) -> Result<(), QuiesceError> {
        let stop = self.stop.iter().map(|service| (STOP, service));
        let commands = self.pre.iter().chain(&self.post).map(|order| (order.key, &order.command.service));
        for (key, service) in stop.chain(commands) {
            known(key, service, around)?;
        }
        let is_dumped = |service: &String| around.found.servers.iter().any(|server| server.service.name == *service);
        if let Some(service) = self.stop.iter().find(|service| is_dumped(service)) {
            return Err(QuiesceError::IsDumped { key: STOP, service: service.clone() });
        }
        match self.pre.iter().chain(&self.post).find(|order| order.command.command.is_empty()) {
            Some(Order { key, command }) => Err(QuiesceError::NoCommand { key, service: command.service.clone() }),
            None => Ok(()),
        }
    }
}

fn known(key: &'static str, service: &str, around: &Surroundings) -> Result<(), QuiesceError> {
    if around.stack().is_none() {
        return Err(QuiesceError::NoServices { key });
    }
    if around.services.iter().any(|known| known.name == service) {
        return Ok(());
    }
    let known = around.services.iter().map(|service| service.name.clone()).collect();
    Err(QuiesceError::NoSuchService { key, service: service.to_owned(), known })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::error::Explain;
    use shipshape_core::exit::Exit;

    #[test]
    fn services_that_nobody_can_reach_are_refused_at_once() {
        let section = BackupSection { stop: vec!["queue".to_owned()], ..BackupSection::default() };
        let refused = Orders::new(&section, &Surroundings::default(), &[]).unwrap_err();
        assert_eq!((refused.code(), refused.exit()), ("quiesce.no_services", Exit::Unknown));
        assert!(Orders::new(&BackupSection::default(), &Surroundings::default(), &[]).unwrap().is_empty());
    }
}
