//! What stands still, written down before it is stopped: should the run be killed, the next one knows what to start.

use serde::{Deserialize, Serialize};
use shipshape_core::archive::names::Place;
use shipshape_core::stack::{Instance, ServiceState};
use shipshape_core::state::{Loaded, StateDir, StateError};

/// A service and its copies that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) service: String,
    pub(super) instances: Vec<Instance>,
}

impl Stopped {
    /// Whether a copy is one of these.
    pub(super) fn has(&self, instance: &Instance) -> bool {
        self.instances.iter().any(|known| known.id == instance.id)
    }
}

/// Where the journal of one application lies.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    /// The state folder.
    pub(crate) state: &'a StateDir,
    /// The application's part of the store: it tells applications apart.
    pub(crate) place: &'a Place,
}

impl Desk<'_> {
    fn name(self) -> String {
        format!("quiesce/{}_{}.json", self.place.host, self.place.app)
    }
}

/// The file in the state folder.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    stopped: Vec<Noted>,
}

/// A service as the file has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    service: String,
    instances: Vec<String>,
}

impl Journal {
    pub(super) fn new<'s>(stopped: impl IntoIterator<Item = &'s Stopped>) -> Self {
        let noted = |stopped: &Stopped| Noted {
            service: stopped.service.clone(),
            instances: stopped.instances.iter().map(|instance| instance.id.clone()).collect(),
        };
        Self { stopped: stopped.into_iter().map(noted).collect() }
    }

    /// What it says is stopped. Of the copies no more than their ids is known.
    pub(super) fn stopped(self) -> Vec<Stopped> {
        let instance = |(at, id): (usize, String)| Instance {
            name: id.clone(),
            id,
            number: u32::try_from(at + 1).unwrap_or(u32::MAX),
            state: ServiceState::Stopped,
            origin: None,
        };
        let stopped = |noted: Noted| Stopped {
            service: noted.service,
            instances: noted.instances.into_iter().enumerate().map(instance).collect(),
        };
        self.stopped.into_iter().map(stopped).collect()
    }

    /// Reads what a killed run has left. Only under the lock: that of a run that goes on is its own.
    pub(super) fn read(desk: Desk<'_>) -> Result<Option<Self>, StateError> {
        Ok(match desk.state.read_json(&desk.name())? {
            Loaded::Found(journal) => Some(journal),
            Loaded::Absent | Loaded::Corrupt { .. } => None,
        })
    }

    pub(super) fn exists(desk: Desk<'_>) -> bool {
        desk.state.path().join(desk.name()).exists()
    }

    pub(super) fn write(&self, desk: Desk<'_>) -> Result<(), StateError> {
        desk.state.folder("quiesce")?;
        desk.state.write_json(&desk.name(), self)
    }

    /// That it stays has no other effect than that the next run starts what runs already.
    pub(super) fn remove(desk: Desk<'_>) {
        let _ = std::fs::remove_file(desk.state.path().join(desk.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_reads_whom_to_start() {
        let instance = |id: &str, number| Instance {
            id: id.to_owned(),
            name: id.to_owned(),
            number,
            state: ServiceState::Stopped,
            origin: None,
        };
        let stopped =
            vec![Stopped { service: "queue".to_owned(), instances: vec![instance("a1", 1), instance("b2", 2)] }];
        let text = serde_json::to_string(&Journal::new(&stopped)).unwrap();
        assert_eq!(serde_json::from_str::<Journal>(&text).unwrap().stopped(), stopped);
    }
}
