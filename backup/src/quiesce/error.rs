//! Why services cannot stand still, or do not run again.

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::stack::StackError;
use shipshape_core::state::StateError;

/// What can go wrong around the moment that is copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuiesceError {
    /// The configuration names services, and there are none.
    #[error("{key} names services, and none are looked at here")]
    NoServices {
        /// Where: `[backup] stop`.
        key: &'static str,
    },
    /// It names one that does not exist.
    #[error("{key} names {service:?}, and there is no such service")]
    NoSuchService {
        /// Where.
        key: &'static str,
        /// As it was written.
        service: String,
        /// The services there are.
        known: Vec<String>,
    },
    /// It names a database that is to be dumped, which only a running one can be.
    #[error("{key} names the service {service}, whose databases are dumped: for that it must run")]
    IsDumped {
        /// Where.
        key: &'static str,
        /// The service.
        service: String,
    },
    /// A command without a program.
    #[error("{key} has an empty command for the service {service}")]
    NoCommand {
        /// Where.
        key: &'static str,
        /// The service.
        service: String,
    },
    /// A command is to run where nothing runs.
    #[error("{key} has a command for the service {service}, which does not run")]
    NotRunning {
        /// Where.
        key: &'static str,
        /// The service.
        service: String,
    },
    /// A command failed.
    #[error("the command {command:?} of {key} failed in the service {service}{}", quoted(output))]
    Command {
        /// Where.
        key: &'static str,
        /// The service.
        service: String,
        /// Its words.
        command: String,
        /// The end of what it printed.
        output: String,
        /// How it ended.
        #[source]
        source: Box<StackError>,
    },
    /// Services do not start again.
    #[error("services that stood still for the backup do not start again: {services}")]
    NotStarted {
        /// Their names, with spaces between.
        services: String,
        /// Why the first of them does not.
        #[source]
        source: Box<StackError>,
    },
    /// Services that an earlier run has stopped cannot be reached.
    #[error("an earlier backup was killed while services stood still, and they cannot be reached now: {services}")]
    LeftStopped {
        /// Their names, with spaces between.
        services: String,
    },
    /// The stack does not answer.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// What is stopped cannot be written down, so nothing is stopped.
    #[error(transparent)]
    Journal(#[from] StateError),
}

impl Explain for QuiesceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoServices { .. } => "quiesce.no_services",
            Self::NoSuchService { .. } => "quiesce.no_such_service",
            Self::IsDumped { .. } => "quiesce.is_dumped",
            Self::NoCommand { .. } => "quiesce.no_command",
            Self::NotRunning { .. } => "quiesce.not_running",
            Self::Command { .. } => "quiesce.command",
            Self::NotStarted { .. } => "quiesce.not_started",
            Self::LeftStopped { .. } => "quiesce.left_stopped",
            Self::Stack(cause) => cause.code(),
            Self::Journal(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoServices { key } => {
                format!(
                    "remove {key}, or let the services be seen: a Compose file in the application's folder, services = true"
                )
            }
            Self::NoSuchService { known, .. } => format!("there are: {}", known.join(", ")),
            Self::IsDumped { service, .. } => {
                format!(
                    "remove it there; to copy its files at rest instead: [database.{service}] backup = false, and the \
                     folder that it keeps them in as a source of its own: [backup] files = [\".\", FOLDER]"
                )
            }
            Self::NoCommand { .. } => {
                "write the program and its arguments: command = [\"php\", \"artisan\", \"down\"]".to_owned()
            }
            Self::NotRunning { service, .. } => format!("start it: docker compose up -d {service}"),
            Self::Command { service, command, .. } => {
                format!("run it by hand to see all that it says: docker compose exec -T {service} {command}")
            }
            Self::NotStarted { services, .. } | Self::LeftStopped { services } => {
                format!("start them by hand, in the application's folder: docker compose start {services}")
            }
            Self::Stack(cause) => cause.hint(),
            Self::Journal(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoServices { .. } | Self::NoSuchService { .. } | Self::IsDumped { .. } | Self::NoCommand { .. } => {
                Exit::Unknown
            }
            Self::NotRunning { .. } | Self::Command { .. } | Self::NotStarted { .. } | Self::LeftStopped { .. } => {
                Exit::Critical
            }
            Self::Stack(cause) => cause.exit(),
            Self::Journal(cause) => cause.exit(),
        }
    }
}

/// What a program printed, in one line behind a colon.
fn quoted(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { String::new() } else { format!(", having printed {:?}", lines.join(" | ")) }
}
