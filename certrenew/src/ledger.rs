//! What is remembered of each certificate between runs: an order under way, failures, the authority's wish, the last deploy.
//!
//! It decides nothing ([`crate::due`] does) and holds no secret: keys lie in files of their own. Were it lost, the next run
//! would ask for the authority's wish again, and try a deploy again; no certificate would be ordered that is not due.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use shipshape_core::config::KeyKind;
use shipshape_core::report::Notice;

use crate::identifier::Identifier;

/// The version of the form below.
pub(crate) const VERSION: u32 = 1;

/// How long to wait after the first, second and third failure in a row, in minutes; after that a day. The advice of
/// Let's Encrypt's integration guide.
const PAUSES: [i64; 3] = [1, 10, 100];

/// A day, in minutes.
const DAILY: i64 = 24 * 60;

/// The whole file `certrenew-APP.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// By the certificate's name.
    #[serde(default)]
    pub(crate) certificates: BTreeMap<String, Record>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { version: VERSION, certificates: BTreeMap::new() }
    }
}

/// What is known of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// An order that was not brought to its end.
    pub(crate) order: Option<PendingOrder>,
    /// What went wrong since the last success.
    pub(crate) failures: Option<Failures>,
    /// When the authority wants it renewed.
    pub(crate) wish: Option<Wish>,
    /// How the present one came about.
    pub(crate) issued: Option<Issued>,
    /// Whether the present one is in use.
    pub(crate) deploy: Option<Deploy>,
    /// Who takes it, and where it is looked at, as the application's description said when it was last put to use. So a run
    /// in which nothing is due need not ask for it.
    pub(crate) taken: Option<Taken>,
    /// The folder below which it lies: no other application's certificate may have this place.
    pub(crate) folder: Option<PathBuf>,
    /// The serial number of one that was revoked: whatever the authority wishes, it is to be replaced.
    pub(crate) revoked: Option<String>,
}

/// An order at the authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingOrder {
    /// Where it is asked for; none where the answer to it never came.
    pub(crate) url: Option<String>,
    /// The directory of the authority.
    pub(crate) ca: String,
    /// The account that made it.
    pub(crate) account: String,
    /// What it is for.
    pub(crate) names: Vec<Identifier>,
    /// The profile that was asked for.
    pub(crate) profile: Option<String>,
    /// The kind of key.
    pub(crate) key: KeyKind,
    /// The file with the key, private, in the state folder.
    pub(crate) key_file: PathBuf,
    /// When it was made.
    pub(crate) at: DateTime<Utc>,
    /// Before this, the authority has nothing to say about it.
    #[serde(default)]
    pub(crate) ask_again: Option<DateTime<Utc>>,
}

/// Failures in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failures {
    /// How many.
    pub(crate) count: u32,
    /// When the last one was.
    pub(crate) last: DateTime<Utc>,
    /// Before this, nothing is tried: by our own pauses, or because the authority said so.
    pub(crate) retry_at: DateTime<Utc>,
    /// What the last one was.
    pub(crate) why: Notice,
}

/// What the authority wishes (RFC 9773).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// The certificate it is about: its identifier by RFC 9773, 4.1.
    pub(crate) of: String,
    /// Beginning and end of the window; none where the authority has no wish.
    pub(crate) window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The moment in it that was drawn, once (RFC 9773, 4.2).
    pub(crate) selected: Option<DateTime<Utc>>,
    /// When it may be asked again.
    pub(crate) ask_again: DateTime<Utc>,
    /// A page of the authority that says why.
    pub(crate) explanation: Option<String>,
}

/// How a certificate came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issued {
    /// Its serial number, in hexadecimal digits.
    pub(crate) serial: String,
    /// The directory of the authority.
    pub(crate) ca: String,
    /// The account that ordered it: only the same one may say that another replaces it.
    pub(crate) account: String,
    /// The profile, which is kept on renewal.
    pub(crate) profile: Option<String>,
    /// The names that were asked for; the authority may have added some.
    #[serde(default)]
    pub(crate) names: Vec<Identifier>,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

/// Who takes a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// The services.
    pub(crate) services: Vec<String>,
    /// Where they show it.
    pub(crate) at: Vec<SocketAddr>,
    /// Whether they were found: of services that are stated more is wanted.
    #[serde(default)]
    pub(crate) is_found: bool,
    /// Whether its owner was asked to say more. Then each run looks again, and asks again.
    #[serde(default)]
    pub(crate) is_doubtful: bool,
}

/// Whether a certificate is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deploy {
    /// The certificate that this is about: its serial number.
    pub(crate) serial: String,
    /// Whether it is in use; if not, each run tries again.
    pub(crate) is_done: bool,
    /// When it was last tried.
    pub(crate) at: DateTime<Utc>,
    /// The version that was in use before, to come back to; none where there was none, or it is done.
    #[serde(default)]
    pub(crate) before: Option<u32>,
    /// The version that was put back because the server would not take this one; it is tried again.
    pub(crate) rolled_back_from: Option<u32>,
    /// What went wrong.
    pub(crate) why: Option<Notice>,
}

impl Record {
    /// Notes that a certificate was issued and lies below that folder: whatever was known of the one before is over, but for
    /// who takes it.
    pub(crate) fn was_issued(&mut self, issued: Issued, folder: PathBuf) {
        let taken = self.taken.take();
        *self = Self { issued: Some(issued), folder: Some(folder), taken, ..Self::default() };
    }

    /// Notes a failure, and when to try again: after our own pause, or when the authority says, whichever is later.
    pub(crate) fn failed(&mut self, why: Notice, told: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let count = self.failures.as_ref().map_or(0, |failures| failures.count).saturating_add(1);
        let own = now + pause(count);
        let retry_at = told.map_or(own, |told| told.max(own));
        self.failures = Some(Failures { count, last: now, retry_at, why });
    }
}

/// The pause after so many failures in a row.
fn pause(count: u32) -> TimeDelta {
    let at = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    TimeDelta::minutes(PAUSES.get(at).copied().unwrap_or(DAILY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T02:00:00Z".parse().unwrap()
    }

    fn why() -> Notice {
        Notice::new("acme.server", "x", "y")
    }

    #[test]
    fn pauses_grow_to_a_day_and_no_further() {
        let mut record = Record::default();
        let mut waited = Vec::new();
        for _ in 0..6 {
            record.failed(why(), None, now());
            waited.push((record.failures.as_ref().unwrap().retry_at - now()).num_minutes());
        }
        assert_eq!(waited, [1, 10, 100, 1440, 1440, 1440]);
    }

    #[test]
    fn what_the_authority_says_counts_where_it_is_later() {
        let mut record = Record::default();
        let days = now() + TimeDelta::days(3);
        record.failed(why(), Some(days), now());
        assert_eq!(record.failures.as_ref().unwrap().retry_at, days);
        record.failed(why(), Some(now()), now());
        assert_eq!(record.failures.unwrap().retry_at, now() + TimeDelta::minutes(10));
    }

    #[test]
    fn a_new_certificate_is_taken_by_whoever_took_the_one_before() {
        let taken = Taken {
            services: vec!["httpd".to_owned()],
            at: vec!["127.0.0.1:443".parse().unwrap()],
            ..Taken::default()
        };
        let mut record = Record { taken: Some(taken.clone()), revoked: Some("7".to_owned()), ..Record::default() };
        let issued = Issued {
            serial: "8".to_owned(),
            ca: "x".to_owned(),
            account: "1".to_owned(),
            profile: None,
            names: Vec::new(),
            at: now(),
        };
        record.was_issued(issued, "/certs".into());
        assert_eq!((record.taken, record.revoked), (Some(taken), None));
    }

    #[test]
    fn a_record_of_an_earlier_form_lacks_what_is_new() {
        let read: Ledger = serde_json::from_str(r#"{"version":1,"certificates":{"a.test":{}}}"#).unwrap();
        assert_eq!(read.certificates["a.test"], Record::default());
    }
}
