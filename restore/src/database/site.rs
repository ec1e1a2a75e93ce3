//! The servers of this machine, and which of them takes a database back.

use std::path::{Path, PathBuf};

use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::config::Config;
use shipshape_core::database::{self, Client, Server};
use shipshape_core::stack::Stack;
use shipshape_core::stack::compose::Compose;

use super::RestoreError;

/// The database servers of an application, on this machine.
pub(crate) struct Site {
    stack: Compose,
    servers: Vec<Server>,
}

impl Site {
    /// Looks at the stack of the application's folder. `names` are those that need it, for the message.
    pub(crate) fn open(folder: &Path, config: &Config, names: &[String]) -> Result<Self, RestoreError> {
        let missing = || RestoreError::NoStack { folder: folder.to_owned(), names: names.to_vec() };
        let stack = Compose::look(folder).map_err(database::DatabaseError::from)?.ok_or_else(missing)?;
        let services = stack.services().map_err(database::DatabaseError::from)?;
        // What is left out of backups now may have been in an earlier one.
        let mut sections = config.database.clone();
        for service in &services {
            sections.entry(service.name.clone()).or_default().backup = Some(true);
        }
        let servers = database::find(&services, &sections)?.servers;
        Ok(Self { stack, servers })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.stack.dir().to_owned()
    }

    /// The way to a service that the application has as a database server.
    pub(crate) fn client(&self, service: &str) -> Result<Client<'_>, RestoreError> {
        let server = self.servers.iter().find(|server| server.service.name == service);
        let known = || self.servers.iter().map(|server| server.service.name.clone()).collect();
        let missing = || database::DatabaseError::NoSuchService { service: service.to_owned(), known: known() };
        Ok(Client::new(&self.stack, server.ok_or_else(missing)?.clone())?)
    }

    /// The server that takes a database back: the one that is named, else the service that it was dumped from, else the
    /// only one that can.
    pub(crate) fn choose(
        &self,
        name: &str,
        facts: &DatabaseFacts,
        service: Option<&str>,
    ) -> Result<Client<'_>, RestoreError> {
        let kin: Vec<&Server> = self.servers.iter().filter(|server| server.engine.is_kin(facts.engine)).collect();
        if let Some(service) = service {
            return match self.servers.iter().find(|server| server.service.name == service) {
                Some(other) if !other.engine.is_kin(facts.engine) => Err(self.no_server(name, facts)),
                Some(_) | None => self.client(service),
            };
        }
        if let Some(same) = kin.iter().find(|server| server.service.name == facts.service) {
            return self.client(&same.service.name);
        }
        match kin.as_slice() {
            [only] => self.client(&only.service.name),
            [] => Err(self.no_server(name, facts)),
            several => {
                let services = several.iter().map(|server| server.service.name.clone()).collect();
                Err(RestoreError::SeveralServers { name: name.to_owned(), services })
            }
        }
    }

    fn no_server(&self, name: &str, facts: &DatabaseFacts) -> RestoreError {
        let told = |server: &Server| format!("{} ({})", server.service.name, server.engine);
        RestoreError::NoServer {
            name: name.to_owned(),
            engine: facts.engine,
            known: self.servers.iter().map(told).collect(),
        }
    }
}
