//! The configuration: one strict file for all tools, every part of it optional.

mod app;
mod error;
mod file;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use app::App;
pub use error::ConfigError;

/// What the configuration file says; the defaults where there is none.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file that was read, if any.
    pub path: Option<PathBuf>,
    /// Which application.
    pub app: AppSection,
    /// Where snapshots are kept, and how.
    pub store: StoreSection,
    /// What is copied, and how long it is kept.
    pub backup: BackupSection,
    /// How it comes back.
    pub restore: RestoreSection,
}

/// The file as it is written. A section that no tool reads yet is an unknown key.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    app: AppSection,
    store: StoreSection,
    backup: BackupSection,
    restore: RestoreSection,
}

/// `[app]`: which application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSection {
    /// Its name; else the Compose project's, else the folder's.
    pub name: Option<String>,
    /// Its folder.
    pub dir: Option<PathBuf>,
}

/// `[store]`: where snapshots are kept, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// A folder, or `file:///folder`.
    pub url: Option<String>,
    /// The host's name in the store; else this machine's.
    pub host: Option<String>,
    /// age public keys.
    pub recipients: Vec<String>,
    /// A file of age public keys, one per line.
    pub recipients_file: Option<PathBuf>,
    /// How objects are encrypted.
    pub encryption: Option<Encryption>,
    /// How objects are compressed.
    pub compression: Option<Compression>,
}

/// `[backup]`: what is copied, and how long it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSection {
    /// Files and folders, absolute or relative to the application's folder.
    pub files: Vec<PathBuf>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Patterns of the single files that go into the configuration payload.
    pub config: Vec<String>,
    /// Databases that must exist; others are found by their header.
    pub sqlite: Vec<PathBuf>,
    /// Whether mounts of other file systems are left out.
    pub one_file_system: bool,
    /// Which snapshots are kept.
    pub keep: KeepSection,
}

/// `[backup.keep]`: which snapshots are kept. The numbers count snapshots, the newest of each period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepSection {
    /// The floor: so many of the newest are kept whatever else is said. At least 1.
    pub last: usize,
    /// One for each of so many hours.
    pub hourly: usize,
    /// One for each of so many days.
    pub daily: usize,
    /// One for each of so many weeks.
    pub weekly: usize,
    /// One for each of so many months.
    pub monthly: usize,
    /// One for each of so many years.
    pub yearly: usize,
    /// Snapshots with one of these tags are kept for ever.
    pub tags: Vec<String>,
}

impl Default for KeepSection {
    /// Thirty daily snapshots, and never fewer than three.
    fn default() -> Self {
        Self { last: 3, hourly: 0, daily: 30, weekly: 0, monthly: 0, yearly: 0, tags: Vec::new() }
    }
}

/// `[restore]`: how snapshots come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestoreSection {
    /// The age identity that opens them.
    pub identity_file: Option<PathBuf>,
}

/// How objects are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// With age, to public keys.
    #[default]
    Age,
    /// Not at all: only by saying so.
    None,
}

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Fast and small.
    #[default]
    Zstd,
    /// Opens everywhere.
    Gzip,
    /// Not at all.
    None,
}
