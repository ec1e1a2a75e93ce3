//! One conversation for each authority, whatever the number of certificates.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::acme::{AcmeError, Session};
use crate::wanted::Authority;

/// Conversations that are open.
pub(crate) struct Sessions {
    accounts: PathBuf,
    open: HashMap<(String, Option<String>), Session>,
}

impl Sessions {
    /// None yet. `accounts` is the folder of their keys.
    pub(crate) fn new(accounts: PathBuf) -> Self {
        Self { accounts, open: HashMap::new() }
    }

    /// The one with this authority, opened where it is not yet.
    pub(crate) fn with(&mut self, authority: &Authority) -> Result<&Session, AcmeError> {
        let key = (authority.directory.clone(), authority.binding.as_ref().map(|binding| binding.kid.clone()));
        if !self.open.contains_key(&key) {
            let session = Session::open(authority, &self.accounts)?;
            self.open.insert(key.clone(), session);
        }
        // Just inserted where it was missing; an error instead of a panic all the same.
        self.open.get(&key).ok_or_else(|| AcmeError::Protocol { host: key.0, why: "no session".to_owned() })
    }
}
