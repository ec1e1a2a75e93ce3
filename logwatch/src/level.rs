//! How grave a record is, in words that all formats share.

use serde::{Deserialize, Serialize};

/// How grave a record is; in growing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a defect.
    Debug,
    /// What happens on a good day.
    Info,
    /// What is normal and worth knowing.
    Notice,
    /// What may become an error.
    Warning,
    /// Something was not done.
    Error,
    /// The program, or a part of it, cannot go on: critical, alert, emergency, fatal, panic.
    Critical,
}

impl Level {
    /// All of them, in growing order.
    pub(crate) const ALL: [Self; 7] =
        [Self::Trace, Self::Debug, Self::Info, Self::Notice, Self::Warning, Self::Error, Self::Critical];

    /// As it is told.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The same of a record that may have none.
    pub(crate) fn told(level: Option<Self>) -> &'static str {
        level.map_or("none", Self::word)
    }

    /// Whether a record of this level counts as an error.
    pub(crate) fn is_error(self) -> bool {
        self >= Self::Error
    }
}
