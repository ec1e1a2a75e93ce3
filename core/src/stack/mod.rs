//! How to reach an application: its services, the programs in them, their logs, what they keep.
//!
//! The words are those of any stack. What a service is, and how one is reached, is the business of each implementation.

pub mod compose;
mod exec;
pub mod host;
mod kind;
pub mod scratch;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::child::{ChildError, Command};
use crate::error::Explain;
use crate::exit::Exit;
pub use exec::Exec;
#[cfg(feature = "archive")]
pub(crate) use kind::plain_name;
pub use kind::{KIND_LABEL, WebServer};

/// A part of the application that runs on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// The name by which the stack knows it.
    pub name: String,
    /// What it is made from, where the stack knows: an image, a unit's description.
    pub origin: Option<String>,
    /// What its owners have noted on it.
    pub labels: BTreeMap<String, String>,
    /// What it keeps outside itself.
    pub mounts: Vec<Mount>,
    /// The command that its owners gave it; empty for that of its origin. May hold secrets.
    pub command: Vec<String>,
    /// Whether it belongs to the application only where somebody asks for it.
    pub optional: bool,
    /// Whether it is made here, and its origin is only what the stack calls the result.
    pub built: bool,
    /// Where it is reached from this machine.
    pub ports: Ports,
}

/// Where a service is reached from this machine, over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// It has the machine's own network: where it listens, the machine listens.
    Machine,
    /// At these ports of the machine, and at no other; those that are drawn anew with each start are not among them.
    Published(Vec<Port>),
}

impl Default for Ports {
    fn default() -> Self {
        Self::Published(Vec::new())
    }
}

/// A port of this machine that leads to one of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The service's own.
    pub inside: u16,
    /// The machine's.
    pub outside: u16,
    /// The address of the machine at which it is; none for all of them.
    pub address: Option<IpAddr>,
}

/// A place where a service keeps something outside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is there.
    pub source: MountSource,
    /// Where the service sees it.
    pub target: PathBuf,
    /// Whether the service can only read it.
    pub read_only: bool,
}

/// What a service sees at a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A volume, by the name that the stack's own description gives it.
    Volume(String),
    /// A volume without a name: it goes with its service.
    Anonymous,
    /// A file or folder of this machine.
    Path(PathBuf),
    /// Memory, gone with the service, or something else that holds no data.
    Nothing,
}

/// A place for data that the stack itself manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The name in the stack's description.
    pub name: String,
    /// The name under which the machine knows it.
    pub full_name: String,
    /// Whether the machine has it, as something that keeps data.
    pub exists: bool,
    /// Whether it is made to keep nothing.
    pub in_memory: bool,
    /// Where this machine has it; none if it does not exist yet, or is not to be reached as a folder.
    pub folder: Option<PathBuf>,
}

/// One running, or stopped, copy of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What the stack calls it.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Its number among the copies of the service, from 1.
    pub number: u32,
    /// How it is.
    pub state: ServiceState,
    /// What it was made from.
    pub origin: Option<String>,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It does its work.
    Running,
    /// On its way up or down.
    Changing,
    /// It is there and stands still until somebody lets it go on.
    Paused,
    /// Nobody wants it to run.
    Stopped,
    /// It should run, and does not.
    Failed,
}

/// A program that is to run where a service runs.
pub struct Call<'a> {
    /// The service.
    pub service: &'a str,
    /// Which copy of it; the first, unless said.
    pub instance: Option<&'a str>,
    /// The program and its arguments: no secrets, everybody sees them.
    pub argv: &'a [&'a str],
    /// Variables for it, beside those of the service: no secrets either.
    pub env: &'a [(&'a str, &'a str)],
    /// What it reads; nothing unless given.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// How long it may take.
    pub deadline: Duration,
    /// Whether it runs even after we were asked to stop: for cleaning up.
    pub cleanup: bool,
}

impl<'a> Call<'a> {
    /// A program without input that has the usual time.
    pub fn new(service: &'a str, argv: &'a [&'a str]) -> Self {
        Self { service, instance: None, argv, env: &[], stdin: None, deadline: crate::child::DEADLINE, cleanup: false }
    }
}

/// The way to an application.
pub trait Stack: Send + Sync {
    /// The stack's name, in reports.
    fn name(&self) -> &'static str;

    /// The application's name, as the stack knows it.
    fn project(&self) -> Result<String, StackError>;

    /// All services of the application, also those that do not run.
    fn services(&self) -> Result<Vec<Service>, StackError>;

    /// The copies of a service that there are, in the order of their numbers; none for one that was never started.
    fn instances(&self, service: &str) -> Result<Vec<Instance>, StackError>;

    /// The volumes of the application.
    fn volumes(&self) -> Result<Vec<Volume>, StackError>;

    /// The files that describe the stack, and those that they name: what has to be there before anything can start.
    fn files(&self) -> Result<Vec<PathBuf>, StackError>;

    /// Starts a program where the service runs, with that service's own rights. Its output comes as a stream, whose
    /// [`Exec::finish`] tells how the program ended. It ends with us, whatever becomes of us but SIGKILL.
    fn exec(&self, call: Call<'_>) -> Result<Exec, StackError>;

    /// Stops the service and starts it anew.
    fn restart(&self, service: &str) -> Result<(), StackError>;

    /// Stops these copies of a service.
    fn stop(&self, service: &str, instances: &[Instance]) -> Result<(), StackError>;

    /// Starts these copies again, or those that have taken their place since. Works even after we were asked to stop.
    fn start(&self, service: &str, instances: &[Instance]) -> Result<(), StackError>;

    /// Makes all that the services need (volumes, networks, the services themselves), and starts nothing.
    fn create(&self) -> Result<(), StackError>;

    /// Brings services up, all where none is named, and waits until they are ready.
    fn up(&self, services: &[&str]) -> Result<(), StackError>;

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
    /// The stack's manager is not there or does not answer.
    #[error("the {manager} does not answer: {why}")]
    NoAnswer {
        /// What should answer.
        manager: &'static str,
        /// What it said instead.
        why: String,
    },
    /// The description of the stack cannot be used.
    #[error("{file} cannot be used: {why}")]
    Invalid {
        /// Which.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// Several projects run in one folder, and nobody has said which is meant.
    #[error("several projects run in {folder}: {names}")]
    Several {
        /// The folder.
        folder: String,
        /// Their names, with commas between.
        names: String,
    },
    /// A project runs, and the files that it was made from are gone, or differ from service to service.
    #[error("the project {project} runs here, and what describes it is not known: it was made from {files}")]
    Undescribed {
        /// Its name.
        project: String,
        /// The files, with commas between.
        files: String,
    },
    /// A service was started, and does not run.
    #[error("the service `{service}` was started and does not run")]
    NotUp {
        /// Which.
        service: String,
    },
    /// An answer of the stack's manager is not understood.
    #[error("the answer of `{question}` is not understood")]
    Answer {
        /// What was asked.
        question: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
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
            Self::NoAnswer { .. } => "stack.no_answer",
            Self::Invalid { .. } => "stack.invalid",
            Self::Several { .. } => "stack.several",
            Self::Undescribed { .. } => "stack.undescribed",
            Self::NotUp { .. } => "stack.not_up",
            Self::Answer { .. } => "stack.answer",
            Self::NoProgram { .. } => "stack.no_program",
            Self::Child(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoService { .. } => "check its name against the list of services".to_owned(),
            Self::NoManager { missing } => format!("start {missing}, or leave services out of the configuration"),
            Self::NoAnswer { .. } => {
                "is the Docker engine running, and may you use it? systemctl status docker; docker compose version"
                    .to_owned()
            }
            Self::Invalid { .. } => "see all that is wrong with it: docker compose config".to_owned(),
            Self::Several { folder, .. } => {
                format!("say which one is meant, in {folder}/.env: COMPOSE_PROJECT_NAME=NAME")
            }
            Self::Undescribed { .. } => {
                "say in .env beside them which files describe it: COMPOSE_FILE=FILE:FILE; or do without services: \
                 [backup] services = false"
                    .to_owned()
            }
            Self::NotUp { service } => format!("see why: docker compose logs {service}"),
            Self::Answer { question, .. } => format!("see what it says: {question}"),
            Self::NoProgram { .. } => "this is a defect of the tool: please report it".to_owned(),
            Self::Child(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoService { .. }
            | Self::NoManager { .. }
            | Self::NoAnswer { .. }
            | Self::Invalid { .. }
            | Self::Several { .. }
            | Self::Undescribed { .. }
            | Self::Answer { .. }
            | Self::NoProgram { .. } => Exit::Unknown,
            Self::NotUp { .. } => Exit::Critical,
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
