//! Whether port 80 of a name leads here: a token of our own is asked for at every address.
//!
//! An authority asks at one address of its own choice, IPv6 first, so one that is wrong is enough to fail now and then. Each
//! is tried by itself, therefore, and named.

mod alpn;
mod answer;
#[cfg(test)]
mod fuzz;
mod http;
mod url;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use shipshape_core::alert::one_line;
use shipshape_core::error::chain;

use self::answer::Answer;
use self::http::{Errand, FetchError, fetch};
use self::url::Url;
use super::deadline::Deadline;
use super::dns::Resolver;
use super::{Finding, LONGEST, parallel};
use crate::challenge::{self, Proof};
use crate::identifier::Identifier;
use crate::wanted::{Method, Wanted};

/// How many addresses are tried at a time.
const AT_A_TIME: usize = 8;

/// How much of a wrong answer is told, in characters.
const BEGINNING: usize = 80;

/// The port of tls-alpn-01 (RFC 8737, 3), and of http-01 (RFC 8555, 8.3).
const TLS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// One name at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The name.
    pub(super) identifier: Identifier,
    /// One of its addresses.
    pub(super) address: IpAddr,
}

/// What is needed to try them.
pub(super) struct Trial<'a> {
    /// How it is proved, and at which port.
    pub(super) wanted: &'a Wanted,
    /// What is shown.
    pub(super) proofs: &'a [Proof],
    /// Who finds other hosts.
    pub(super) resolver: &'a Resolver,
    /// When it is over.
    pub(super) deadline: Deadline,
}

/// What came of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reached {
    /// The token came back.
    Here,
    /// Something else did.
    Bad(Trouble),
    /// It cannot be told from here.
    Unknown(&'static str),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    code: &'static str,
    message: String,
    hint: String,
}

/// Proofs of our own: the token and what belongs to it are random, and of the form that an authority's have.
pub(super) fn proofs(wanted: &Wanted) -> Vec<Proof> {
    match &wanted.method {
        // One file is there for all names.
        Method::Webroot(_) | Method::Standalone(_) => wanted.identifiers.first().map(proof).into_iter().collect(),
        Method::TlsAlpn(_) => wanted.identifiers.iter().map(proof).collect(),
        Method::Hook { .. } => Vec::new(),
    }
}

fn proof(identifier: &Identifier) -> Proof {
    let random = || BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    // As long as a real one, and known for a trial should it be left behind.
    let token = format!("{}{}", challenge::TRIAL, &random()[challenge::TRIAL.len()..]);
    let key_authorization = format!("{token}.{}", random());
    let digest = Sha256::digest(&key_authorization).to_vec();
    Proof {
        identifier: identifier.clone(),
        url: String::new(),
        dns_value: BASE64_URL_SAFE_NO_PAD.encode(&digest),
        token,
        key_authorization,
        digest,
    }
}

/// What is found at each of the targets, one finding each.
pub(super) fn findings(targets: &[Target], trial: &Trial<'_>) -> Vec<Finding> {
    let dead = Mutex::new(BTreeMap::new());
    parallel::each(targets, AT_A_TIME, |target| trial.finding(target, &dead))
}

/// Addresses that take no connection, with what was found: what is dead for one name is dead for the next.
type Dead = Mutex<BTreeMap<IpAddr, Reached>>;

impl Trial<'_> {
    fn finding(&self, target: &Target, dead: &Dead) -> Finding {
        let known = dead.lock().unwrap_or_else(PoisonError::into_inner).get(&target.address).cloned();
        let result = known.unwrap_or_else(|| self.reach(target, dead));
        let place = SocketAddr::from((target.address, self.port()));
        let (code, message, hint, is_bad) = match result {
            Reached::Here => ("preflight.token", format!("our token is seen at {place}"), String::new(), false),
            Reached::Unknown(why) => ("preflight.route", format!("{place} was not tried: {why}"), String::new(), false),
            Reached::Bad(Trouble { code, message, hint }) => (code, format!("{place}: {message}"), hint, true),
        };
        Finding { name: Some(target.identifier.to_string()), code, message: one_line(&message, LONGEST), hint, is_bad }
    }

    /// The port at which an authority asks. Another one than the usual is of a private authority.
    fn port(&self) -> u16 {
        match self.wanted.method {
            Method::TlsAlpn(_) if self.wanted.http_port == HTTP_PORT => TLS_PORT,
            _ => self.wanted.http_port,
        }
    }

    fn reach(&self, target: &Target, dead: &Dead) -> Reached {
        if self.deadline.left().is_err() {
            return Reached::Unknown("there was no time left");
        }
        let result = match self.wanted.method {
            Method::TlsAlpn(_) => self.by_tls(target),
            Method::Webroot(_) | Method::Standalone(_) | Method::Hook { .. } => self.by_http(target),
        };
        let result = result.unwrap_or_else(|error| self.refused(target, &error));
        if matches!(&result, Reached::Bad(Trouble { code: "preflight.port", .. }) | Reached::Unknown(_)) {
            dead.lock().unwrap_or_else(PoisonError::into_inner).insert(target.address, result.clone());
        }
        result
    }

    fn by_tls(&self, target: &Target) -> Result<Reached, FetchError> {
        let Some(proof) = self.proofs.iter().find(|proof| proof.identifier == target.identifier) else {
            return Ok(Reached::Unknown("there is nothing to be seen"));
        };
        let connection = http::connect((target.address, self.port()).into(), self.deadline)?;
        Ok(match alpn::is_shown(connection, &challenge::asked_as(&target.identifier), proof) {
            Ok(()) => Reached::Here,
            Err(message) => Reached::Bad(Trouble { code: "preflight.token", message, hint: self.elsewhere(target) }),
        })
    }

    fn by_http(&self, target: &Target) -> Result<Reached, FetchError> {
        let Some(proof) = self.proofs.first() else { return Ok(Reached::Unknown("there is nothing to be seen")) };
        let host = target.identifier.host().map_or_else(|| target.address.to_string(), str::to_owned);
        let url = Url::of_token(&host, self.port(), &proof.token);
        let resolve = |host: &str| addresses(self.resolver, host);
        let errand = Errand { address: target.address, url: url.clone(), resolve: &resolve, deadline: self.deadline };
        let (last, answer) = fetch(&errand)?;
        // White space at the end does not count (RFC 8555, 8.3).
        if answer.status == 200 && answer.body.trim_ascii_end() == proof.key_authorization.as_bytes() {
            return Ok(Reached::Here);
        }
        let by_way_of = if last == url { String::new() } else { format!("leads to {last}, which ") };
        let message = format!("{by_way_of}answers {}", told(&answer));
        Ok(Reached::Bad(Trouble { code: "preflight.token", message, hint: self.elsewhere(target) }))
    }

    /// What to do where somebody else answers.
    fn elsewhere(&self, target: &Target) -> String {
        let address = target.address;
        match &self.wanted.method {
            Method::Webroot(folder) if is_ours(address) => format!(
                "let the web server of this machine serve the path before any redirect: \
                 location ^~ /.well-known/acme-challenge/ {{ root {}; }}",
                folder.display()
            ),
            Method::Webroot(folder) => format!(
                "if {address} is this machine's, let its web server serve /.well-known/acme-challenge/ from {}; \
                 if not, correct the DNS",
                folder.display()
            ),
            Method::Standalone(_) | Method::TlsAlpn(_) | Method::Hook { .. } => {
                format!(
                    "if {address} is this machine's, let its port {} lead here; if not, correct the DNS",
                    self.port()
                )
            }
        }
    }

    fn refused(&self, target: &Target, error: &FetchError) -> Reached {
        let bad = |code, hint| Reached::Bad(Trouble { code, message: chain(error), hint });
        match error {
            FetchError::NoRoute => Reached::Unknown("this machine has no way there"),
            FetchError::Refused | FetchError::Dead(_) => bad("preflight.port", self.shut(target)),
            FetchError::Broken { .. } => bad("preflight.token", self.elsewhere(target)),
            FetchError::Redirect { .. } => {
                bad("preflight.redirect", "answer /.well-known/acme-challenge/ itself, before any redirect".to_owned())
            }
        }
    }

    /// What to do where nobody answers.
    fn shut(&self, target: &Target) -> String {
        let (name, address, port) = (&target.identifier, target.address, self.port());
        let indoors = "if it can be reached from outside, and not from here: preflight = \"warn\"";
        if address.is_ipv6() && target.identifier.host().is_some() {
            format!("remove the AAAA record of {name}, or let the server listen on [{address}]:{port}; {indoors}")
        } else {
            format!("let something listen on port {port}, open it in the firewall, or correct the DNS; {indoors}")
        }
    }
}

/// IPv6 first, as authorities do.
fn addresses(resolver: &Resolver, host: &str) -> Vec<IpAddr> {
    let (v6, v4) = parallel::beside(|| resolver.ipv6(host), || resolver.ipv4(host));
    [v6, v4].into_iter().flatten().flat_map(super::dns::Found::into_records).collect()
}

/// Whether an address is one of this machine's own: only then can it be bound to. Behind NAT it is not.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Status, server and the beginning of the body.
fn told(answer: &Answer) -> String {
    let server =
        answer.header("server").map_or_else(String::new, |server| format!(" ({})", one_line(server, BEGINNING)));
    let body = one_line(&String::from_utf8_lossy(&answer.body), BEGINNING);
    let body = if body.is_empty() { "nothing".to_owned() } else { format!("\"{body}\"") };
    format!("{}{server} with {body}", answer.status)
}

#[cfg(test)]
mod tests;
