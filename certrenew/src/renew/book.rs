//! The state of certificates in the state folder: the ledger, keys of orders under way, accounts. All of it under one lock.

use std::path::{Path, PathBuf};

use shipshape_core::atomic;
use shipshape_core::error::Failure;
use shipshape_core::lock::Lock;
use shipshape_core::name;
use shipshape_core::report::Notice;
use shipshape_core::state::{Loaded, StateDir, StateError};

use crate::cli::Context;
use crate::key::Key;
use crate::ledger::{Ledger, Record};

use super::error::RenewError;

/// The lock of all runs that change something: certificates belong to the machine, not to one application.
const LOCK: &str = "certrenew";

/// The ledger, open.
pub(crate) struct Book {
    state: StateDir,
    file: String,
    ledger: Ledger,
}

impl Book {
    /// Opens it, and holds the lock for as long as the second part lives.
    pub(crate) fn open(context: &Context<'_>) -> Result<(Self, Lock), Failure> {
        let state = StateDir::open(context.run.common())?;
        let lock = state.lock(LOCK)?;
        let (book, notice) = Self::read(state, &context.app.name)?;
        if let Some(notice) = notice {
            context.run.warn(notice);
        }
        Ok((book, lock))
    }

    /// Opens it to look: without a lock, and without a word where there is nothing.
    pub(crate) fn look(context: &Context<'_>) -> Result<Self, Failure> {
        let state = StateDir::open(context.run.common())?;
        let (book, notice) = Self::read(state, &context.app.name)?;
        if let Some(notice) = notice {
            context.run.warn(notice);
        }
        Ok(book)
    }

    fn read(state: StateDir, app: &str) -> Result<(Self, Option<Notice>), Failure> {
        let file = format!("certrenew-{}.json", name::mend(app, "app"));
        let (ledger, notice) = match state.read_json::<Ledger>(&file)? {
            Loaded::Found(ledger) if ledger.version > crate::ledger::VERSION => {
                return Err(RenewError::Newer { place: state.path().join(&file) }.into());
            }
            Loaded::Found(ledger) => (ledger, None),
            Loaded::Absent => (Ledger::default(), None),
            Loaded::Corrupt { kept } => (Ledger::default(), Some(corrupt(&kept))),
        };
        Ok((Self { state, file, ledger }, notice))
    }

    /// What is known of a certificate.
    pub(crate) fn record(&self, name: &str) -> Record {
        self.ledger.certificates.get(name).cloned().unwrap_or_default()
    }

    /// Notes it, durably, before anything else happens.
    pub(crate) fn note(&mut self, name: &str, record: &Record) -> Result<(), StateError> {
        if self.ledger.certificates.get(name) == Some(record) {
            return Ok(());
        }
        self.ledger.certificates.insert(name.to_owned(), record.clone());
        self.state.write_json(&self.file, &self.ledger)
    }

    /// The folder of accounts.
    pub(crate) fn accounts(&self) -> Result<PathBuf, StateError> {
        self.state.folder("accounts")
    }

    /// Where the key of an order under way lies.
    pub(crate) fn key_file(&self, name: &str) -> Result<PathBuf, StateError> {
        Ok(self.state.folder("orders")?.join(format!("{name}.key")))
    }

    /// Writes that key: private, whole and durable before the authority hears of it.
    pub(crate) fn keep_key(&self, name: &str, key: &Key) -> Result<PathBuf, Failure> {
        let place = self.key_file(name)?;
        atomic::replace(&place, key.pem().as_bytes())?;
        Ok(place)
    }

    /// Removes that key once its certificate lies where it belongs. That it cannot be removed harms nobody.
    pub(crate) fn drop_key(place: &Path) {
        let _ = std::fs::remove_file(place);
    }
}

fn corrupt(kept: &Path) -> Notice {
    Notice::new(
        "state.corrupt",
        format!("what was remembered of certificates made no sense; it lies in {} now", kept.display()),
        "nothing is lost but pauses after failures and the authority's wishes: both are found out again",
    )
}
