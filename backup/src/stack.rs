//! What surrounds the application's folder: its services, and the database servers among them. Looked at once in a run.

use shipshape_core::database::{self, Found};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{Service, Stack};
use shipshape_core::state::StateDir;

use crate::target::Meant;

/// The services beside an application; nothing at all where there are none.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    stack: Option<Compose>,
    /// All services, also those that do not run.
    pub(crate) services: Vec<Service>,
    /// The database servers among them, and what resembles one and is left out.
    pub(crate) found: Found,
}

impl Surroundings {
    /// Looks around, unless the configuration says not to. Of the engine only one thing is asked here, which project is
    /// meant: the description tells the rest.
    pub(crate) fn look(meant: &Meant) -> Result<Self, Failure> {
        let app_dir = meant.folder()?;
        if meant.config.backup.services == Some(false) {
            return Ok(Self::default());
        }
        let Some(stack) = Compose::look(app_dir)? else { return Ok(Self::default()) };
        let services = stack.services()?;
        let found = database::find(&services, &meant.config.database)?;
        Ok(Self { stack: Some(stack), services, found })
    }

    /// Marks what is run in services as this backup's: whoever holds the lock of a place in a state folder is the only one.
    pub(crate) fn owned(self, meant: &Meant, state: &StateDir) -> Self {
        let owner = format!("backup:{}:{}", meant.place, state.path().display());
        Self { stack: self.stack.map(|stack| stack.owned_by(&owner)), ..self }
    }

    /// Adds to a report which project was looked at, where that is not what Compose would find in the folder by itself.
    pub(crate) fn tell(&self, outcome: &mut Outcome) {
        let Some(particular) = self.stack.as_ref().and_then(Compose::particular) else { return };
        outcome.text.insert_str(0, &format!("  services  {particular}\n"));
        if let Some(data) = outcome.data.as_object_mut() {
            data.insert("services".to_owned(), particular.into());
        }
    }

    /// Services that run, and that nothing describes: nobody knows what they keep.
    pub(crate) fn undescribed(&self) -> Option<Notice> {
        let names = self.stack.as_ref()?.undescribed().ok().filter(|names| !names.is_empty())?.join(", ");
        let message = format!("services run that no Compose file describes, and nothing of them is copied: {names}");
        let hint = "say in .env which files describe them: COMPOSE_FILE=FILE:FILE; or remove them: docker compose up -d \
                    --remove-orphans";
        Some(Notice::new("stack.undescribed", message, hint))
    }

    /// Ends what an earlier run that was killed has left running in the servers. Only under the lock: else it may be alive.
    pub(crate) fn end_what_was_left(&self) {
        let Some(stack) = &self.stack else { return };
        let services: Vec<&str> = self.found.servers.iter().map(|server| server.service.name.as_str()).collect();
        if !services.is_empty() {
            stack.end_what_was_left(&services);
        }
    }

    /// The way to the services, where there are any.
    pub(crate) fn stack(&self) -> Option<&dyn Stack> {
        self.stack.as_ref().map(|stack| stack as &dyn Stack)
    }
}
