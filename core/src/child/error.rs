//! How running a program goes wrong.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

use crate::error::Explain;
use crate::exit::Exit;
use crate::signal::Interrupted;
use crate::units::spoken;

/// How many lines of standard error a message quotes: the last ones say why, the first ones are banners.
const QUOTED_LINES: usize = 5;

/// A program that did not do what it was run for.
#[derive(Debug, Error)]
pub enum ChildError {
    /// There is no such program.
    #[error("cannot find the program `{program}`")]
    Missing {
        /// As it was asked for.
        program: String,
    },
    /// It took too long and was killed.
    #[error("`{program}` was stopped after {}{}", spoken(*after), quoted(stderr))]
    Deadline {
        /// As it was asked for.
        program: String,
        /// The time that it had.
        after: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// It ended by itself, and not well.
    #[error("`{program}` {}{}", ending(*status), quoted(stderr))]
    Failed {
        /// As it was asked for.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
    /// What it should have read could not be read.
    #[error("cannot read what `{program}` was to be given")]
    Input {
        /// As it was asked for.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It wrote more than an answer can have.
    #[error("`{program}` wrote more than {} MiB", super::OUTPUT_LIMIT >> 20)]
    TooMuch {
        /// As it was asked for.
        program: String,
    },
    /// It could not be started or listened to.
    #[error("cannot run `{program}`")]
    Io {
        /// As it was asked for.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// We were asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Explain for ChildError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "child.missing",
            Self::Deadline { .. } => "child.deadline",
            Self::Failed { .. } => "child.failed",
            Self::Input { .. } => "child.input",
            Self::TooMuch { .. } => "child.too_much",
            Self::Io { .. } => "child.io",
            Self::Interrupted(interrupted) => interrupted.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing { program } => format!("install {program}; it is looked for in {}", super::PATH),
            Self::Deadline { program, .. } => format!("see what {program} waits for: a lock, a prompt, a slow disk"),
            Self::Failed { program, .. } => format!("run {program} by hand to see all that it says"),
            Self::Input { .. } => "check the source, then run it again".to_owned(),
            Self::TooMuch { program } => format!("see what {program} writes to standard output"),
            Self::Io { program, .. } => format!("check that {program} may be executed, and the limits of this process"),
            Self::Interrupted(interrupted) => interrupted.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::Unknown,
            Self::Deadline { .. }
            | Self::Failed { .. }
            | Self::Input { .. }
            | Self::TooMuch { .. }
            | Self::Io { .. } => Exit::Critical,
            Self::Interrupted(interrupted) => interrupted.exit(),
        }
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// The last lines, each trimmed, behind a colon; nothing if there are none.
fn quoted(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match &lines[lines.len().saturating_sub(QUOTED_LINES)..] {
        [] => String::new(),
        last => format!(": {}", last.join(" | ")),
    }
}
