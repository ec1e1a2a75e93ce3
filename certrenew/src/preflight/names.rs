//! What the DNS says of the names of one certificate: every question at once, none twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use shipshape_core::error::{Explain, chain};

use super::caa::{self, Answers};
use super::dns::{Caa, DnsError, Found, Resolver};
use super::reach::Target;
use super::{Finding, parallel};
use crate::identifier::Identifier;
use crate::wanted::{Method, Wanted};

/// How many questions are under way at a time: they are small, and mostly wait.
const AT_A_TIME: usize = 24;

/// What is asked of the DNS. In this order: addresses first, since others wait for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    V4(String),
    V6(String),
    Caa(String),
}

/// What it said.
enum Answer {
    Addresses(Result<Found<IpAddr>, DnsError>),
    Caa(Result<Found<Caa>, DnsError>),
}

/// All that it said.
#[derive(Default)]
pub(super) struct Names {
    v4: BTreeMap<String, Result<Found<IpAddr>, DnsError>>,
    v6: BTreeMap<String, Result<Found<IpAddr>, DnsError>>,
    /// By the names of the trees.
    pub(super) caa: Answers,
}

/// Asks everything that matters for a certificate.
pub(super) fn ask(wanted: &Wanted, resolver: &Resolver) -> Names {
    let questions: Vec<Question> = questions(wanted).into_iter().collect();
    let answers = parallel::each(&questions, AT_A_TIME, |question| match question {
        Question::V4(name) => Answer::Addresses(resolver.ipv4(name)),
        Question::V6(name) => Answer::Addresses(resolver.ipv6(name)),
        Question::Caa(name) => Answer::Caa(resolver.caa(name)),
    });
    let mut names = Names::default();
    for (question, answer) in questions.into_iter().zip(answers) {
        match (question, answer) {
            (Question::V4(name), Answer::Addresses(found)) => drop(names.v4.insert(name, found)),
            (Question::V6(name), Answer::Addresses(found)) => drop(names.v6.insert(name, found)),
            (Question::Caa(name), Answer::Caa(found)) => drop(names.caa.insert(name, found)),
            // Each question has an answer of its own kind, above.
            (Question::V4(_) | Question::V6(_), Answer::Caa(_)) | (Question::Caa(_), Answer::Addresses(_)) => {}
        }
    }
    names
}

fn questions(wanted: &Wanted) -> BTreeSet<Question> {
    // Names of one certificate mostly share their trees, and a wildcard its host with the name beside it: a set asks once.
    let hosts = || wanted.identifiers.iter().filter_map(Identifier::host);
    let mut questions: BTreeSet<Question> =
        hosts().flat_map(caa::tree).map(|name| Question::Caa(name.to_owned())).collect();
    if needs_addresses(wanted) {
        questions.extend(hosts().map(|name| Question::V4(name.to_owned())));
        questions.extend(hosts().map(|name| Question::V6(name.to_owned())));
    }
    questions
}

/// Whether the authority comes to the names themselves. By dns-01 it asks their name servers alone.
fn needs_addresses(wanted: &Wanted) -> bool {
    match wanted.method {
        Method::Webroot(_) | Method::Standalone(_) | Method::TlsAlpn(_) => true,
        Method::Hook { .. } => false,
    }
}

impl Names {
    /// Each address of each name.
    pub(super) fn targets(&self, wanted: &Wanted) -> Vec<Target> {
        if !needs_addresses(wanted) {
            return Vec::new();
        }
        let of = |identifier: &Identifier| -> Vec<Target> {
            let target = |address| Target { identifier: identifier.clone(), address };
            self.addresses(identifier).into_iter().map(target).collect()
        };
        wanted.identifiers.iter().flat_map(of).collect()
    }

    /// Its addresses, IPv4 first, none twice; an address is its own.
    fn addresses(&self, identifier: &Identifier) -> BTreeSet<IpAddr> {
        match identifier {
            Identifier::Ip(address) => BTreeSet::from([*address]),
            Identifier::Dns { host, .. } => {
                let of = |found: &BTreeMap<_, Result<Found<IpAddr>, _>>| match found.get(host) {
                    Some(Ok(Found::Records(addresses))) => addresses.clone(),
                    Some(Ok(Found::NoRecords | Found::NoSuchName) | Err(_)) | None => Vec::new(),
                };
                of(&self.v4).into_iter().chain(of(&self.v6)).collect()
            }
        }
    }

    /// Whether each name can be found, and where it leads.
    pub(super) fn findings(&self, wanted: &Wanted) -> Vec<Finding> {
        if !needs_addresses(wanted) {
            return Vec::new();
        }
        let of = |identifier| [self.found(identifier), self.half(identifier), self.indoors(identifier, wanted)];
        wanted.identifiers.iter().flat_map(of).flatten().collect()
    }

    /// Whether it has any address at all; nothing for an address, which needs no DNS.
    fn found(&self, identifier: &Identifier) -> Option<Finding> {
        let host = identifier.host()?;
        let addresses = self.addresses(identifier);
        if !addresses.is_empty() {
            let told: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            return Some(finding(identifier, format!("leads to {}", told.join(" and "))));
        }
        // A failure goes before "no such name": authorities take it for a reason to refuse, and it passes by itself.
        let (message, hint) = if let Some(error) = self.error(host) {
            (chain(error), error.hint())
        } else {
            let message = if matches!(self.v4.get(host), Some(Ok(Found::NoSuchName))) {
                "the DNS has no such name"
            } else {
                "the DNS has no address for it"
            };
            (message.to_owned(), format!("add an A record for {host} with the address of this machine"))
        };
        Some(Finding { hint, is_bad: true, ..finding(identifier, message) })
    }

    /// One kind of address is enough for an order; that the other cannot be told is worth a word.
    fn half(&self, identifier: &Identifier) -> Option<Finding> {
        let error = self.error(identifier.host()?).filter(|_| !self.addresses(identifier).is_empty())?;
        Some(Finding { hint: error.hint(), ..finding(identifier, chain(error)) })
    }

    /// What kept the DNS from telling one kind of address or the other.
    fn error(&self, host: &str) -> Option<&DnsError> {
        [&self.v4, &self.v6].into_iter().find_map(|found| found.get(host)?.as_ref().err())
    }

    /// No authority of the internet reaches such an address. A private authority may, and a private resolver may tell another
    /// one than the world sees.
    fn indoors(&self, identifier: &Identifier, wanted: &Wanted) -> Option<Finding> {
        let address = self.addresses(identifier).into_iter().find(|address| is_indoors(*address))?;
        let message = format!("{address} cannot be reached from the internet");
        let hint =
            "put the public address into the DNS; if the world sees another one than this machine, name a public \
                    resolver: resolver = \"9.9.9.9\""
                .to_owned();
        let finding = Finding { code: "preflight.private", ..finding(identifier, message) };
        wanted.authority.is_public().then_some(Finding { hint, is_bad: true, ..finding })
    }
}

fn finding(identifier: &Identifier, message: String) -> Finding {
    Finding { name: Some(identifier.to_string()), code: "preflight.dns", message, hint: String::new(), is_bad: false }
}

/// Addresses of private networks, of the machine itself, of carriers (RFC 6890, RFC 4193, RFC 6598), and those that books use
/// (RFC 5737, RFC 3849).
fn is_indoors(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let is_own = v4.is_loopback() || v4.is_link_local() || v4.is_unspecified();
            is_own || is_shared || v4.is_private() || v4.is_broadcast() || v4.is_documentation()
        }
        IpAddr::V6(v6) => {
            let is_book = v6.segments()[..2] == [0x2001, 0x0db8];
            let is_own = v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified();
            is_own || is_book || v6.is_unique_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_the_internet_does_not_reach_are_known() {
        for indoors in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.2.7",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "::",
        ] {
            assert!(is_indoors(indoors.parse().unwrap()), "{indoors}");
        }
        for public in ["9.9.9.9", "172.32.0.1", "100.128.0.1", "2620:fe::fe", "2001:db9::1"] {
            assert!(!is_indoors(public.parse().unwrap()), "{public}");
        }
    }
}
