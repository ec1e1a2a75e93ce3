//! What restores of an application remember in the state folder.
//!
//! ```text
//! STATE/restore/APP/
//!     lock               one restore of databases at a time
//!     journal.json       what is under way; gone when it is over
//!     kept.json          the old sides that are kept, the newest last
//!     20261120T020000/   statements that go with databases, of the restore of that time
//! ```

use std::path::{Path, PathBuf};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shipshape_core::atomic;
use shipshape_core::cli::CommonArgs;
use shipshape_core::database::Engine;
use shipshape_core::lock::Lock;
use shipshape_core::name;
use shipshape_core::state::StateDir;

use super::journal::Journal;
use super::{Exchange, RestoreError, read_if_there};

/// The folder of an application.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    app: String,
    folder: PathBuf,
}

/// What one restore has put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What was restored then: a snapshot, a file, or the undoing of a restore.
    pub(crate) of: String,
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// The folder of the application, and of its stack.
    pub(crate) app_dir: PathBuf,
    /// The databases.
    pub(crate) databases: Vec<KeptDatabase>,
    /// The folders with the old files; the first has the journal of the others.
    pub(crate) files: Vec<PathBuf>,
}

/// A database that is kept under another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptDatabase {
    /// The payload that came in its place.
    pub(crate) payload: String,
    /// The service.
    pub(crate) service: String,
    /// What it runs.
    pub(crate) engine: Engine,
    /// The name that it had; another database has it now.
    pub(crate) live: String,
    /// The name that it has; none if there was no database before.
    pub(crate) name: Option<String>,
    /// How the names of its files begin.
    pub(crate) stem: String,
}

impl KeptDatabase {
    /// What an exchange has put aside under a name, if anything.
    pub(crate) fn of(exchange: &Exchange, name: Option<&str>) -> Self {
        Self {
            payload: exchange.payload.clone(),
            service: exchange.service.clone(),
            engine: exchange.engine,
            live: exchange.live.clone(),
            name: name.map(str::to_owned),
            stem: exchange.stem.clone(),
        }
    }

    /// `SERVICE/NAME`, if anything is kept.
    pub(crate) fn shown(&self) -> Option<String> {
        Some(format!("{}/{}", self.service, self.name.as_ref()?))
    }
}

/// The name of the folder of a restore.
fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%S").to_string()
}

impl Records {
    /// Those of an application, by its name.
    pub(crate) fn open(common: &CommonArgs, app: &str) -> Result<Self, RestoreError> {
        let name = name::mend(app, "app");
        let folder = StateDir::place(common)?.join("restore").join(name);
        Ok(Self { app: app.to_owned(), folder })
    }

    /// The application.
    pub(crate) fn app(&self) -> &str {
        &self.app
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the journal of what is under way is.
    pub(crate) fn journal_path(&self) -> PathBuf {
        self.folder.join("journal.json")
    }

    /// Keeps every other restore of databases of the application out, as long as it is held.
    pub(crate) fn lock(&self) -> Result<Lock, RestoreError> {
        atomic::private_dir(&self.folder)?;
        Ok(Lock::take(&self.folder.join("lock"))?)
    }

    /// The time by which a restore that begins now is known: no other has the same second.
    pub(crate) fn moment(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, RestoreError> {
        let newest = self.kept()?.iter().map(|kept| kept.at).max();
        let next = newest.map(|newest| newest + TimeDelta::seconds(1));
        Ok(next.map_or(now, |next| next.max(now)).trunc_subsecs(0))
    }

    /// The folder for the files of a restore, made where it is missing.
    pub(crate) fn of_restore(&self, at: DateTime<Utc>) -> Result<PathBuf, RestoreError> {
        let folder = self.folder.join(stamp(at));
        atomic::private_dir(&folder)?;
        Ok(folder)
    }

    /// Removes the folder of a restore that needs it no more.
    pub(crate) fn forget(&self, at: DateTime<Utc>) {
        // What stays is a few kilobytes that nobody asks for again.
        let _ = std::fs::remove_dir_all(self.folder.join(stamp(at)));
    }

    /// The journal, if something is under way, or was when it was killed.
    pub(crate) fn journal(&self) -> Result<Option<Journal>, RestoreError> {
        self.read("journal.json")
    }

    /// Writes the journal durably.
    pub(crate) fn write_journal(&self, journal: &Journal) -> Result<(), RestoreError> {
        self.write("journal.json", journal)
    }

    /// It is over.
    pub(crate) fn end_journal(&self) -> Result<(), RestoreError> {
        let path = self.journal_path();
        std::fs::remove_file(&path).map_err(|source| shipshape_core::state::StateError::Unreadable { path, source })?;
        let _ = atomic::sync_folder(&self.folder);
        Ok(())
    }

    /// What is kept, the newest last.
    pub(crate) fn kept(&self) -> Result<Vec<Kept>, RestoreError> {
        Ok(self.read("kept.json")?.unwrap_or_default())
    }

    /// Writes what is kept.
    pub(crate) fn write_kept(&self, kept: &[Kept]) -> Result<(), RestoreError> {
        self.write("kept.json", &kept)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, RestoreError> {
        let path = self.folder.join(name);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| RestoreError::Journal { path, source })
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), RestoreError> {
        atomic::private_dir(&self.folder)?;
        // Plain data with string keys: this cannot fail.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        Ok(atomic::replace(&self.folder.join(name), &bytes)?)
    }
}
