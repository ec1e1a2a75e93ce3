//! Who takes a certificate, and where it is looked at then: as it is stated, else as the application's description shows.
//!
//! A service that sees the certificate by its mounts is one that takes it. What it is, and so how it is told, its image's name
//! says, or its label. One that sees it and is not known is named to its owner, never guessed at.

mod rule;

use std::net::SocketAddr;
use std::path::Path;

use shipshape_core::child;
use shipshape_core::report::Notice;
use shipshape_core::stack::{Ports, Stack, StackError};

use super::{Application, DeployError, mounts};
use crate::wanted::{SERVED_AT, Wanted, usual};

/// A service that takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taker {
    /// Its name.
    pub(crate) service: String,
    /// Where it is reached from this machine.
    pub(crate) look_at: Vec<SocketAddr>,
}

/// What its owner has to say, because nobody can find it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl From<Doubt> for Notice {
    fn from(doubt: Doubt) -> Self {
        Self::new(doubt.code, doubt.message, doubt.hint)
    }
}

/// Who takes a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Takers {
    /// The services that do.
    pub(crate) services: Vec<Taker>,
    /// Whether they were found: nobody has named them.
    pub(crate) is_found: bool,
    /// Why it could not be found out, where there is a description of an application that cannot be read.
    pub(crate) unread: Option<String>,
    /// Services that see it, and of which it is not known how they take it.
    unknown: Vec<String>,
    /// Services that are not known either, and see it with all that lies around it.
    onlookers: Vec<String>,
}

impl Takers {
    /// Those of this certificate, which lies in `live/NAME`. Found out before anything is ordered for them: whether there is a
    /// service and a program as they are stated. Where nobody is, nothing that is wrong with the application is an error.
    pub(crate) fn of(wanted: &Wanted, live: &Path, application: &Application) -> Result<Self, DeployError> {
        if let Some(program) = wanted.use_by.command.first()
            && child::find(Path::new(program)).is_none()
        {
            return Err(DeployError::NoCommand { program: program.clone() });
        }
        match &wanted.use_by.service {
            Some(service) => Self::stated(service, application.stack()?),
            None if wanted.is_open => Ok(Self::found(application, live)),
            None => Ok(Self::default()),
        }
    }

    fn stated(service: &str, stack: &dyn Stack) -> Result<Self, DeployError> {
        let known = stack.services()?;
        let look_at = match known.iter().find(|one| one.name == service) {
            // Whoever names a service wants to know that it serves: where it says nothing else, where servers are.
            Some(found) => {
                Some(rule::look_at(&found.ports)).filter(|at| !at.is_empty()).unwrap_or_else(|| vec![usual()])
            }
            None => look_at_unit(service, stack, || known.iter().map(|one| one.name.clone()).collect())?,
        };
        Ok(Self { services: vec![Taker { service: service.to_owned(), look_at }], ..Self::default() })
    }

    fn found(application: &Application, live: &Path) -> Self {
        let services = match application.described() {
            Ok(None) => return Self { is_found: true, ..Self::default() },
            Ok(Some(stack)) => stack.services(),
            Err(refused) => Err(refused),
        };
        // Whoever has named no service may have none: that is no error, and not known either.
        let services = match services {
            Ok(services) => services,
            Err(refused) => return Self { unread: Some(told(&refused)), ..Self::default() },
        };
        let seeing: Vec<_> = services.iter().filter_map(|one| Some((one, mounts::sight(one, live)?))).collect();
        rule::found(&seeing)
    }

    /// Why these, which took it before, cannot be told now: nothing can be read, or nobody sees it any more. A description may
    /// be read in part, where the files that were named by hand when the project was started are not known.
    pub(crate) fn out_of_reach(&self, known: &[String]) -> Option<String> {
        let is_nobody = self.is_found && self.services.is_empty() && self.unknown.is_empty();
        let nobody = || "no service mounts it any more, as the compose file is read now".to_owned();
        self.unread.clone().or_else(|| (is_nobody && !known.is_empty()).then(nobody))
    }

    /// The services by name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.services.iter().map(|taker| taker.service.clone()).collect()
    }

    /// Where it is looked at, but for services that do not run.
    pub(crate) fn look_at(&self, idle: &[String]) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for taker in self.services.iter().filter(|taker| !idle.contains(&taker.service)) {
            addresses.extend(taker.look_at.iter().filter(|address| !addresses.contains(address)).collect::<Vec<_>>());
        }
        addresses
    }

    /// What its owner has to say because nobody can find it out; nothing where enough was said.
    pub(crate) fn doubts(&self, wanted: &Wanted) -> Vec<Doubt> {
        let unknown = self.unknown_kinds(wanted);
        let is_said = !wanted.is_open || wanted.verify.is_some();
        if is_said || !self.services.is_empty() || !unknown.is_empty() {
            return unknown;
        }
        vec![self.nobody(&wanted.name)]
    }

    /// Services that see it, and of which it is not known how they take it.
    pub(crate) fn unknown_kinds(&self, wanted: &Wanted) -> Vec<Doubt> {
        let unknown = self.unknown.iter().filter(|_| wanted.verify.is_none());
        unknown.map(|service| self.unknown_kind(service, &wanted.name)).collect()
    }

    fn nobody(&self, name: &str) -> Doubt {
        let why = self.unread.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let onlookers = match &self.onlookers[..] {
            [] => String::new(),
            seeing => format!(" ({} may read it, from a folder above it)", seeing.join(", ")),
        };
        Doubt {
            code: "deploy.nobody",
            message: format!(
                "nothing is told to take a new certificate of {name}, and nobody looks whether it is served{why}"
            ),
            hint: format!(
                "say who serves it: service = \"NAME\"{onlookers} or command = [\"PROGRAM\", …], and where: verify = \
                 [\"{SERVED_AT}\"], or [] for nowhere"
            ),
        }
    }

    fn unknown_kind(&self, service: &str, name: &str) -> Doubt {
        let hint = match &self.services[..] {
            [] => format!(
                "say it: service = \"{service}\" with test = [\"…\"] and reload = [\"…\"], or command = [\"PROGRAM\", …], or \
                 verify = [] where nothing has to be told; where it is an nginx, its label: shipshape.kind = nginx"
            ),
            [known] => format!(
                "give it a label: shipshape.kind = nginx where it is one, none where it has not to be told; else say who \
                 takes it: service = \"{}\", and command = [\"PROGRAM\", …] for {service}",
                known.service
            ),
            // One service can be named, and who names one names all.
            _ => "give it a label: shipshape.kind = nginx where it is one, none where it has not to be told".to_owned(),
        };
        Doubt {
            code: "deploy.unknown_kind",
            message: format!(
                "the service `{service}` sees the certificate of {name}, and how it takes a new one is not known"
            ),
            hint,
        }
    }
}

/// What is wrong, and why.
fn told(refused: &StackError) -> String {
    let why = std::error::Error::source(refused).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{refused}{why}")
}

/// This machine's own manager tells of a unit only when it is asked for it; its ports are the machine's.
fn look_at_unit(
    service: &str,
    stack: &dyn Stack,
    known: impl Fn() -> Vec<String>,
) -> Result<Vec<SocketAddr>, DeployError> {
    match stack.state(service) {
        Ok(_) => Ok(rule::look_at(&Ports::Machine)),
        Err(StackError::NoService { .. }) => {
            Err(DeployError::NoService { service: service.to_owned(), known: known().join(", ") })
        }
        Err(StackError::NoManager { .. }) => Err(DeployError::NoApplication { service: service.to_owned() }),
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests;
