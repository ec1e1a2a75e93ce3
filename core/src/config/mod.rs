//! The configuration: one strict file for all tools, every part of it optional.

mod alert;
mod app;
mod certrenew;
mod error;
mod file;
#[cfg(test)]
mod fuzz;
mod logwatch;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alert::{
    AlertSection, Login, MailSection, MailTls, PingSection, Place, UrlSource, WebhookKind, WebhookSection,
};
pub use app::{App, COMPOSE_FILES};
pub use certrenew::{CertificateSection, CertrenewSection, ChallengeKind, InstallKind, KeyKind, PreflightKind};
pub use error::ConfigError;
pub use logwatch::{IgnoreSection, LogwatchSection, PatternSection};

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
    /// What is to be known of databases, by their services.
    pub database: BTreeMap<String, DatabaseSection>,
    /// Whose logs are read, and what in them is too much.
    pub logwatch: LogwatchSection,
    /// Which certificates there are, and who serves them.
    pub certrenew: CertrenewSection,
    /// Who is told when something is wrong.
    pub alert: AlertSection,
}

/// The file as it is written. A section that no tool reads yet is an unknown key.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    app: AppSection,
    store: StoreSection,
    backup: BackupSection,
    restore: RestoreSection,
    database: BTreeMap<String, DatabaseSection>,
    logwatch: LogwatchSection,
    certrenew: CertrenewSection,
    alert: AlertSection,
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
    /// Whether the services beside the application (databases, volumes) are looked at; so unless said otherwise.
    pub services: Option<bool>,
    /// Volumes that are left out, by their names in the stack's description.
    pub exclude_volumes: Vec<String>,
    /// Services that are stopped while databases and files are read, and started again afterwards.
    pub stop: Vec<String>,
    /// Commands in services before anything is read.
    pub pre: Vec<CommandSection>,
    /// Commands in services when everything has been read, whether that went well or not.
    pub post: Vec<CommandSection>,
    /// Which snapshots are kept.
    pub keep: KeepSection,
}

/// `[[backup.pre]]`, `[[backup.post]]`: a command in a service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSection {
    /// The service, which must run.
    pub service: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take, in seconds; ten minutes unless said.
    #[serde(default)]
    pub timeout_s: Option<u64>,
}

/// `[database.SERVICE]`: what is not to be seen from a database's service itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSection {
    /// `mysql`, `mariadb`, `postgres`, `redis`, `valkey`, or `none` for what is no database.
    pub kind: Option<String>,
    /// Whether it is backed up; so unless said otherwise.
    pub backup: Option<bool>,
    /// The user, where the container's own variables do not serve.
    pub user: Option<String>,
    /// A file with that user's password.
    pub password_file: Option<PathBuf>,
    /// A variable of our environment with that user's password.
    pub password_env: Option<String>,
    /// The only databases that are backed up; all of the server's unless said.
    pub databases: Vec<String>,
    /// Databases that are left out.
    pub exclude: Vec<String>,
    /// The port, where the server listens on another one than it usually does, and neither its command nor its variables
    /// say so.
    pub port: Option<u16>,
    /// The number of the copy that holds the truth, where the service runs several times.
    pub instance: Option<u32>,
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestoreSection {
    /// The age identity that opens them.
    pub identity_file: Option<PathBuf>,
    /// What a drill looks at.
    pub drill: DrillSection,
}

/// `[restore.drill]`: what a drill looks at, beside what the manifest tells.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrillSection {
    /// Questions to the restored databases.
    pub check: Vec<CheckSection>,
}

/// `[[restore.drill.check]]`: a question whose answer is one value, and what it must be.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckSection {
    /// The payload that is asked; may be left out where there is one SQL database only.
    #[serde(default)]
    pub database: Option<String>,
    /// The question.
    pub sql: String,
    /// The least that its answer may be.
    #[serde(default)]
    pub min: Option<f64>,
    /// The most that its answer may be.
    #[serde(default)]
    pub max: Option<f64>,
    /// Exactly what its answer must be.
    #[serde(default)]
    pub equals: Option<String>,
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
