//! How to reach an application: its services, the programs in them, their logs.
//!
//! The words are those of any stack. What a service is, and how one is reached, is the business of each implementation.

pub mod host;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use crate::child::Stream;
use crate::child::{ChildError, Command};
use crate::error::Explain;
use crate::exit::Exit;

/// A part of the application that runs on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name by which the stack knows it.
    pub name: String,
    /// What it is made from, where the stack knows: an image, a unit's description.
    pub origin: Option<String>,
    /// What its owners have noted on it.
    pub labels: BTreeMap<String, String>,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It does its work.
    Running,
    /// On its way up or down.
    Changing,
    /// Nobody wants it to run.
    Stopped,
    /// It should run, and does not.
    Failed,
}

/// The way to an application.
pub trait Stack: Send + Sync {
    /// The stack's name, in reports.
    fn name(&self) -> &'static str;

    /// All services of the application, also those that do not run.
    fn services(&self) -> Result<Vec<Service>, StackError>;

    /// Starts a program where the service runs, with that service's own rights. Its output comes as a stream, whose
    /// [`Stream::finish`] tells how the program ended.
    fn exec(
        &self,
        service: &str,
        argv: &[&str],
        stdin: Option<Box<dyn Read + Send>>,
        deadline: Duration,
    ) -> Result<Stream, StackError>;

    /// What the service has logged since then, oldest first, one line for each message.
    fn logs(&self, service: &str, since: DateTime<Utc>) -> Result<Stream, StackError>;

    /// Stops the service and starts it anew.
    fn restart(&self, service: &str) -> Result<(), StackError>;

    /// How the service is.
    fn state(&self, service: &str) -> Result<ServiceState, StackError>;
}

/// Why the application could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// There is no such service.
    #[error("there is no service `{service}`")]
    NoService {
        /// As it was asked for.
        service: String,
    },
    /// Nothing here manages services.
    #[error("nothing manages services here: {missing} is not running")]
    NoManager {
        /// What would.
        missing: &'static str,
    },
    /// No program was named.
    #[error("no program is named for the service `{service}`")]
    NoProgram {
        /// Where it should have run.
        service: String,
    },
    /// A program of the stack failed.
    #[error(transparent)]
    Child(#[from] ChildError),
}

impl Explain for StackError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoService { .. } => "stack.no_service",
            Self::NoManager { .. } => "stack.no_manager",
            Self::NoProgram { .. } => "stack.no_program",
            Self::Child(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoService { .. } => "check its name against the list of services".to_owned(),
            Self::NoManager { missing } => format!("start {missing}, or leave services out of the configuration"),
            Self::NoProgram { .. } => "this is a defect of the tool: please report it".to_owned(),
            Self::Child(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoService { .. } | Self::NoManager { .. } | Self::NoProgram { .. } => Exit::Unknown,
            Self::Child(cause) => cause.exit(),
        }
    }
}

/// A command from its words.
fn command(service: &str, argv: &[&str]) -> Result<Command, StackError> {
    match argv {
        [] => Err(StackError::NoProgram { service: service.to_owned() }),
        [program, rest @ ..] => Ok(Command::new(*program, rest.iter().copied())),
    }
}
