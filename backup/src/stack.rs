//! What surrounds the application's folder: its services, and the database servers among them. Looked at once in a run.

use shipshape_core::database::{self, Found};
use shipshape_core::error::Failure;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{Service, Stack};

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
    /// Looks around, unless the configuration says not to. What runs is not asked here: that needs the engine, and the
    /// description alone tells what has to be asked.
    pub(crate) fn look(meant: &Meant) -> Result<Self, Failure> {
        let app_dir = meant.folder()?;
        if meant.config.backup.services == Some(false) {
            return Ok(Self::default());
        }
        let Some(stack) = Compose::find(app_dir) else { return Ok(Self::default()) };
        let services = stack.services()?;
        let found = database::find(&services, &meant.config.database)?;
        Ok(Self { stack: Some(stack), services, found })
    }

    /// The way to the services, where there are any.
    pub(crate) fn stack(&self) -> Option<&dyn Stack> {
        self.stack.as_ref().map(|stack| stack as &dyn Stack)
    }
}
