//! One conversation for each authority, whatever the number of certificates.
//!
//! What an authority has said once holds for the rest of the run: one that could not be opened is not asked again for each
//! certificate, and one that wants to be left alone is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::acme::{AcmeError, Session};
use crate::wanted::Authority;

/// An authority under one account: its directory, and what binds the account.
type Name = (String, Option<String>);

/// Conversations that are open.
pub(crate) struct Sessions {
    accounts: PathBuf,
    open: HashMap<Name, Session>,
    failed: HashMap<Name, AcmeError>,
    limits: HashMap<Name, DateTime<Utc>>,
}

impl Sessions {
    /// None yet. `accounts` is the folder of their keys.
    pub(crate) fn new(accounts: PathBuf) -> Self {
        Self { accounts, open: HashMap::new(), failed: HashMap::new(), limits: HashMap::new() }
    }

    /// The folder of the accounts' keys.
    pub(crate) fn accounts(&self) -> &Path {
        &self.accounts
    }

    /// The one with this authority, opened where it is not yet. One that could not be opened fails again as it did.
    pub(crate) fn with(&mut self, authority: &Authority) -> Result<&Session, AcmeError> {
        let name = name(authority);
        if let Some(error) = self.failed.get(&name) {
            return Err(error.clone());
        }
        if !self.open.contains_key(&name) {
            let session = Session::open(authority, &self.accounts).map_err(|error| self.remembered(&name, error))?;
            self.open.insert(name.clone(), session);
        }
        // Just inserted where it was missing; an error instead of a panic all the same.
        self.open.get(&name).ok_or_else(|| AcmeError::Protocol { host: name.0, why: "no session".to_owned() })
    }

    /// Notes that this authority wants to be left alone until then. Of several such words the latest time counts.
    pub(crate) fn limited(&mut self, authority: &Authority, retry_at: DateTime<Utc>) {
        let limit = self.limits.entry(name(authority)).or_insert(retry_at);
        *limit = retry_at.max(*limit);
    }

    /// Until when this authority wants to be left alone, where it has said so in this run.
    pub(crate) fn limit(&self, authority: &Authority) -> Option<DateTime<Utc>> {
        self.limits.get(&name(authority)).copied()
    }

    fn remembered(&mut self, name: &Name, error: AcmeError) -> AcmeError {
        self.failed.insert(name.clone(), error.clone());
        error
    }
}

fn name(authority: &Authority) -> Name {
    (authority.directory.clone(), authority.binding.as_ref().map(|binding| binding.kid.clone()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shipshape_core::error::Explain;

    use super::*;

    /// An authority that wants everybody to come back in an hour, and how often it was asked.
    fn busy() -> (Authority, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let directory = format!("http://{}/dir", listener.local_addr().unwrap());
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let mut connection = connection.unwrap();
                let mut asked = [0; 4096];
                let _ = std::io::Read::read(&mut connection, &mut asked);
                let head = "HTTP/1.1 503 x\r\nRetry-After: 3600\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
                let _ = connection.write_all(head.as_bytes());
            }
        });
        (Authority { directory, roots: None, staging: None, contact: Vec::new(), binding: None }, asked)
    }

    #[test]
    fn an_authority_that_cannot_be_opened_is_asked_once_and_fails_each_time_alike() {
        let folder = tempfile::tempdir().unwrap();
        let mut sessions = Sessions::new(folder.path().join("accounts"));
        let (authority, asked) = busy();
        let mut told = || sessions.with(&authority).err().map(|one| (one.code(), one.to_string(), one.hint())).unwrap();
        let first = told();
        assert_eq!((first.0, told(), told()), ("acme.later", first.clone(), first));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let (other, asked) = busy();
        assert!(sessions.with(&other).is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1, "another authority is asked for itself");
    }

    #[test]
    fn a_limit_is_that_of_its_authority_and_the_latest_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut sessions = Sessions::new(folder.path().join("accounts"));
        let [(one, _), (other, _)] = [busy(), busy()];
        let at = |hour: u32| format!("2026-11-20T{hour:02}:00:00Z").parse::<DateTime<Utc>>().unwrap();
        assert_eq!(sessions.limit(&one), None);
        for hour in [8, 12, 9] {
            sessions.limited(&one, at(hour));
        }
        assert_eq!((sessions.limit(&one), sessions.limit(&other)), (Some(at(12)), None));
    }
}
