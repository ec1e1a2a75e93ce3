//! Questions to name servers: one datagram, TCP where the answer is cut, bounded in time and size.
//!
//! Names of `/etc/hosts`, `localhost` and search lists are left aside on purpose: the authority asks the DNS, and sees
//! nothing of them. Nor is DNSSEC checked here: the resolver does it, and tells of what is bogus as a server failure.

mod error;
#[cfg(test)]
mod fuzz;
mod message;
mod wire;

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use simple_dns::TYPE;
use simple_dns::rdata::RData;

pub(crate) use error::DnsError;
pub(crate) use message::Caa;
use message::{Question, Reply, Size};

use super::deadline::Deadline;

/// How long one server may take for one try.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one question alone may take in all: over every try, server and alias.
const WHOLE: Duration = Duration::from_secs(8);

/// The rounds over the servers: one, and one more for what was lost. What goes wrong may be the extension itself, which
/// some boxes on the way drop (RFC 6891, 6.2.2): the second round does without.
const ROUNDS: [Size; 2] = [Size::Extended, Size::Plain];

/// How many aliases are followed. Resolvers stop at about as many.
const MOST_ALIASES: usize = 8;

/// How many servers are taken from resolv.conf(5), which calls this `MAXNS`.
const MOST_SERVERS: usize = 3;

/// The largest resolv.conf that is read, in bytes.
const LARGEST_FILE: u64 = 64 << 10;

/// The port of name servers.
const PORT: u16 = 53;

/// Who is asked.
#[derive(Debug)]
pub(crate) struct Resolver {
    servers: Vec<SocketAddr>,
    patience: Duration,
    deadline: Deadline,
    /// The one that answered last: whoever is dead for one question is dead for the next.
    first: AtomicUsize,
}

/// What the DNS says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// These, at least one.
    Records(Vec<T>),
    /// The name exists, and has none of this type.
    NoRecords,
    /// There is no such name (NXDOMAIN).
    NoSuchName,
}

/// The TXT records of a name, the strings of each joined; none where there is no such name.
pub(crate) fn txt(resolver: Option<SocketAddr>, name: &str) -> Result<Vec<String>, DnsError> {
    Resolver::until(resolver, Deadline::after(WHOLE)).txt(name).map(Found::into_records)
}

impl<T> Found<T> {
    /// The records, if any.
    pub(crate) fn into_records(self) -> Vec<T> {
        match self {
            Self::Records(records) => records,
            Self::NoRecords | Self::NoSuchName => Vec::new(),
        }
    }
}

impl Resolver {
    /// The one that is named, else those of this machine; nothing is asked of it beyond the deadline.
    pub(super) fn until(named: Option<SocketAddr>, deadline: Deadline) -> Self {
        let servers = named.map_or_else(|| of_machine(Path::new("/etc/resolv.conf")), |one| vec![one]);
        Self { servers, patience: PATIENCE, deadline, first: AtomicUsize::new(0) }
    }

    /// The one that is named, else those of this machine, for an errand of the usual length.
    pub(crate) fn new(named: Option<SocketAddr>) -> Self {
        Self::until(named, Deadline::after(WHOLE))
    }

    /// These servers and no others, for an errand of the usual length.
    pub(crate) fn at(servers: Vec<SocketAddr>) -> Self {
        Self { servers, patience: PATIENCE, deadline: Deadline::after(WHOLE), first: AtomicUsize::new(0) }
    }

    /// The names of a zone's own servers (NS), asked for at its very top.
    pub(crate) fn servers_of(&self, zone: &str) -> Result<Found<String>, DnsError> {
        self.find(zone, TYPE::NS, |data| match data {
            RData::NS(server) => Some(server.0.to_string()),
            _ => None,
        })
    }

    /// The A records of a name, aliases followed.
    pub(crate) fn ipv4(&self, name: &str) -> Result<Found<IpAddr>, DnsError> {
        self.find(name, TYPE::A, |data| match data {
            RData::A(a) => Some(Ipv4Addr::from(a.address).into()),
            _ => None,
        })
    }

    /// The AAAA records of a name, aliases followed.
    pub(crate) fn ipv6(&self, name: &str) -> Result<Found<IpAddr>, DnsError> {
        self.find(name, TYPE::AAAA, |data| match data {
            RData::AAAA(aaaa) => Some(Ipv6Addr::from(aaaa.address).into()),
            _ => None,
        })
    }

    /// The CAA records of this very name, aliases followed: no tree is climbed here.
    pub(crate) fn caa(&self, name: &str) -> Result<Found<Caa>, DnsError> {
        self.find(name, TYPE::CAA, Caa::of)
    }

    /// The TXT records of a name. One that is no text is passed over.
    pub(crate) fn txt(&self, name: &str) -> Result<Found<String>, DnsError> {
        self.find(name, TYPE::TXT, |data| match data {
            RData::TXT(txt) => String::try_from(txt.clone()).ok(),
            _ => None,
        })
    }

    fn find<T>(&self, name: &str, kind: TYPE, read: fn(&RData<'_>) -> Option<T>) -> Result<Found<T>, DnsError> {
        let mut question = Question::new(name, kind)?;
        // The first question, and one more for each alias whose target the server leaves to us.
        for _ in 0..=MOST_ALIASES {
            match self.ask(&question, read)? {
                Reply::Found(found) => return Ok(found),
                Reply::Alias(target) => question = Question::new(&target, kind)?,
            }
        }
        Err(DnsError::Aliases { name: name.to_owned() })
    }

    /// Goes round the servers until one of them knows: what one cannot tell, another may.
    fn ask<T>(&self, question: &Question, read: fn(&RData<'_>) -> Option<T>) -> Result<Reply<T>, DnsError> {
        let mut told = DnsError::NoServer;
        for size in ROUNDS {
            let first = self.first.load(Ordering::Relaxed);
            for (at, &server) in self.servers.iter().enumerate().cycle().skip(first).take(self.servers.len()) {
                let answer = wire::exchange(server, question, size, self.deadline.within(self.patience));
                match answer.and_then(|bytes| question.reply(&bytes, server, read)) {
                    Ok(reply) => {
                        self.first.store(at, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Err(error) => told = told.or(error),
                }
            }
        }
        Err(told)
    }
}

/// The first `nameserver` lines of the file; the machine itself where there is no such line, by resolv.conf(5).
fn of_machine(file: &Path) -> Vec<SocketAddr> {
    // Without the file nobody is named either.
    let stated = servers(&beginning(file).unwrap_or_default());
    if stated.is_empty() { vec![(Ipv4Addr::LOCALHOST, PORT).into()] } else { stated.into_iter().flatten().collect() }
}

/// Each `nameserver` line; none for one whose address we cannot ask, such as one with a zone (`fe80::1%eth0`).
fn servers(text: &str) -> Vec<Option<SocketAddr>> {
    let words = text.lines().map(|line| line.split_ascii_whitespace().take(2).collect::<Vec<_>>());
    let named = words.filter_map(|words| match words[..] {
        ["nameserver", address] => Some(address.parse::<IpAddr>().ok().map(|address| (address, PORT).into())),
        _ => None,
    });
    named.take(MOST_SERVERS).collect()
}

fn beginning(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
