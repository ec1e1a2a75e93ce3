//! Who is told when something is wrong, once, and when it is over.
//!
//! ```text
//! report, problems -> judge -> observation ┐
//!                                          ├-> machine -> events for each sink -> message -> sinks -> what was delivered ┐
//! alert-TOOL-APP.json ---------------------┘                                                                            │
//!          ^------------------------------------------------------------------------------------------------------------┘
//! ```
//! [`machine`] decides, without files and without a clock: what is confirmed, what each sink has been told, what it is to be
//! told next. [`sinks`] carry the words out. [`round`] does all of it for one run, and never lets it touch the run's verdict.

#[cfg(test)]
mod fuzz;
pub mod judge;
pub mod machine;
mod message;
pub mod round;
mod sinks;
pub mod trial;

use serde::{Deserialize, Serialize};

pub use message::one_line;
pub use trial::AlertError;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Done, but somebody should look.
    Warning,
    /// Not done, or broken.
    Critical,
}

impl Severity {
    /// As it is told.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that is wrong as of this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable dotted word that begins with the job: `backup.failed`. It decides what is the same problem.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is called, in a few words that do not change: `backup failed`.
    pub title: String,
    /// What happened this time, to which thing, and why. It may change without being told again.
    pub text: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// At least so many bad runs in a row before it is told; the owner's `after` may be more.
    pub after: u32,
}

/// A job whose runs are judged: what a cron line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name, a dotted word that begins with the tool: `backup`, `restore.verify`.
    pub name: &'static str,
    /// Codes of warnings that are only worth telling when they stand for [`FLEETING`] runs in a row.
    pub fleeting: &'static [&'static str],
}

/// How many runs in a row something fleeting must last: that another run holds the lock, that a file changed while it was read.
pub const FLEETING: u32 = 3;

/// What a run has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The job that ran.
    pub job: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What the run can say of problems that it does not name.
    pub others: Others,
}

/// What a run can say of the problems of its job that it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// It came to its end: they are not there.
    Good,
    /// It did not come far enough to say.
    Unknown,
}
