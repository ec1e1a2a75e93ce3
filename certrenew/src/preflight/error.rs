//! Why nothing could be looked at.

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::signal::Interrupted;

/// Why not. Whatever is wrong with the machine or its names is a finding and no error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreflightError {
    /// We were asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Explain for PreflightError {
    fn code(&self) -> &'static str {
        match self {
            Self::Interrupted(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Interrupted(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Interrupted(cause) => cause.exit(),
        }
    }
}
