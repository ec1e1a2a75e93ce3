//! Exit status as severity, the same for all tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a run ended. The numbers are those of Nagios plugins and NRPE, so that a tool can be a check command.
///
/// The order is that of severity as one wants it in a merge: `Ok < Warning < Critical`; `Unknown` and signals stop a run
/// and are never merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: done, but somebody should look.
    Warning,
    /// 2: the job failed, or the thing checked is broken.
    Critical,
    /// 3: could not run: usage, configuration, lock held, missing program.
    Unknown,
    /// 128+N: ended by signal N, as shells report it.
    Signal(u8),
}

impl Exit {
    /// The number that the process returns.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
            Self::Signal(signal) => 128u8.saturating_add(signal),
        }
    }

    /// The word for it in reports.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::Ok,
            Self::Warning => Status::Warning,
            Self::Critical => Status::Critical,
            Self::Unknown | Self::Signal(_) => Status::Unknown,
        }
    }
}

/// The word for an [`Exit`] in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Done.
    Ok,
    /// Done, but somebody should look.
    Warning,
    /// The job failed, or the thing checked is broken.
    Critical,
    /// The run did not get as far as a verdict.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_nagios_knows() {
        let numbers = [Exit::Ok, Exit::Warning, Exit::Critical, Exit::Unknown].map(Exit::number);
        assert_eq!(numbers, [0, 1, 2, 3]);
    }

    #[test]
    fn a_signal_is_reported_as_shells_do() {
        assert_eq!(Exit::Signal(15).number(), 143);
    }
}
