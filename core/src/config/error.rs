//! How a configuration is wrong.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::Explain;
use crate::exit::Exit;
use crate::name::LONGEST;

/// Why there is no usable configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file that was named does not exist.
    #[error("there is no configuration file {}", path.display())]
    Missing {
        /// As it was named.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has a key that no tool reads.
    #[error("unknown key `{key}` in {}, line {line}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key as it is written.
        key: String,
        /// The right word that is nearest, if one is near.
        nearest: Option<String>,
        /// The words that are right in this place.
        known: Vec<String>,
    },
    /// It is no TOML, or a value has the wrong type.
    #[error("{}, line {line}, is wrong: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It would let all snapshots go.
    #[error("`last = 0` in [backup.keep] of {} would keep nothing", path.display())]
    KeepsNothing {
        /// The file.
        path: PathBuf,
    },
    /// A stated name that cannot be one.
    #[error("`{name}` cannot be the name of {what}")]
    InvalidName {
        /// `a host` or `an application`.
        what: &'static str,
        /// As it was stated.
        name: String,
    },
    /// The application's folder does not exist.
    #[error("there is no application folder {}", path.display())]
    AppMissing {
        /// As it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing says which application is meant.
    #[error("no application is named")]
    AppUnknown,
}

impl Explain for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "config.missing",
            Self::Unreadable { .. } => "config.unreadable",
            Self::UnknownKey { .. } => "config.unknown_key",
            Self::Invalid { .. } => "config.invalid",
            Self::KeepsNothing { .. } => "config.keeps_nothing",
            Self::InvalidName { .. } => "config.invalid_name",
            Self::AppMissing { .. } => "app.missing",
            Self::AppUnknown => "app.unknown",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing { path } => format!("check the path: ls -l {}", path.display()),
            Self::Unreadable { path, .. } => {
                format!("check that {} is a file and that you may read it", path.display())
            }
            Self::UnknownKey { nearest: Some(word), .. } => format!("did you mean `{word}`?"),
            Self::UnknownKey { known, .. } => format!("here may stand: {}", known.join(", ")),
            Self::Invalid { path, line, .. } => format!("look at it: sed -n {line}p {}", path.display()),
            Self::KeepsNothing { .. } => "keep at least one: last = 1".to_owned(),
            Self::InvalidName { .. } => {
                format!("take letters, digits, `.`, `_` and `-`, at most {LONGEST}, and no dot in front")
            }
            Self::AppMissing { path, .. } => format!("check the path: ls -ld {}", path.display()),
            Self::AppUnknown => "name its folder: --app DIR".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. }
            | Self::Unreadable { .. }
            | Self::UnknownKey { .. }
            | Self::Invalid { .. }
            | Self::KeepsNothing { .. }
            | Self::InvalidName { .. }
            | Self::AppMissing { .. }
            | Self::AppUnknown => Exit::Unknown,
        }
    }
}
