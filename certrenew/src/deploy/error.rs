//! Why a certificate is not in use.

use shipshape_core::child::ChildError;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::stack::StackError;

/// Why a certificate is not in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeployError {
    /// The application cannot be reached.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A service is named, and there is no application that could have it.
    #[error("the service `{service}` belongs to no application that is known")]
    NoApplication {
        /// Which.
        service: String,
    },
    /// The application has no service of that name.
    #[error("there is no service `{service}`")]
    NoService {
        /// As it was stated.
        service: String,
        /// Those that there are.
        known: String,
    },
    /// The program of this machine is not there.
    #[error("there is no program `{program}`")]
    NoCommand {
        /// As it was stated.
        program: String,
    },
    /// The program that should try the configuration, or make the service take the pair, is not in the service.
    #[error("there is no `{program}` in the service `{service}`")]
    NoProgram {
        /// Which.
        program: String,
        /// Where.
        service: String,
        /// The key of the configuration that names it: `test` or `reload`.
        key: &'static str,
    },
    /// A copy of the service did not take the pair.
    #[error("{instance} did not take the new certificate: {why}")]
    Refused {
        /// Which copy.
        instance: String,
        /// In its own words, bounded.
        why: String,
    },
    /// A copy of the service cannot take anything now.
    #[error("{instance} is {state}, and cannot take the new certificate")]
    Idle {
        /// Which copy.
        instance: String,
        /// `restarting` or `paused`.
        state: &'static str,
    },
    /// The program of this machine failed.
    #[error("the command that makes the server take the certificate failed")]
    Command(#[source] ChildError),
}

impl Explain for DeployError {
    fn code(&self) -> &'static str {
        match self {
            Self::Stack(cause) => cause.code(),
            Self::NoApplication { .. } => "deploy.no_application",
            Self::NoService { .. } => "deploy.no_service",
            Self::NoCommand { .. } => "deploy.no_command",
            Self::NoProgram { .. } => "deploy.no_program",
            Self::Refused { .. } => "deploy.refused",
            Self::Idle { .. } => "deploy.idle",
            Self::Command(_) => "deploy.command",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Stack(cause) => cause.hint(),
            Self::NoApplication { .. } => "say where its compose file lies: --app DIR, or [app] dir = \"…\"".to_owned(),
            Self::NoService { known, .. } => format!("there are: {known}"),
            Self::NoCommand { .. } => {
                format!("write its whole path, or one of a program in {}", shipshape_core::child::PATH)
            }
            Self::NoProgram { key, .. } => {
                format!(
                    "say what it has instead: {key} = [\"…\"], or {key} = [] for nothing at all; where it does not serve the \
                     certificate, its label: shipshape.kind = none"
                )
            }
            Self::Refused { .. } => "the old one is still served; the next run tries again".to_owned(),
            Self::Idle { instance, state: "paused" } => format!("let it go on: docker unpause {instance}"),
            Self::Idle { instance, .. } => format!("see why it does not stay up: docker logs --tail 50 {instance}"),
            Self::Command(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Stack(cause) => cause.exit(),
            Self::Command(cause) => cause.exit(),
            Self::NoApplication { .. } | Self::NoService { .. } | Self::NoCommand { .. } => Exit::Unknown,
            Self::NoProgram { .. } | Self::Refused { .. } | Self::Idle { .. } => Exit::Critical,
        }
    }
}
