//! Whether a TXT record can be seen: where authorities will look for it, at the zone's own name servers.
//!
//! A resolver in between remembers that there was no such name (RFC 2308), often for an hour, and would go on saying so;
//! authorities ask afresh. All servers of the zone have to show a value: nobody knows which one an authority asks.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::preflight::dns::{DnsError, Found, Resolver, txt};

/// The port of name servers.
const PORT: u16 = 53;

/// How many servers of a zone are asked: few have more, and each one that is down costs time.
const MOST_SERVERS: usize = 6;

/// How far up from a record its zone is looked for, in labels.
const MOST_LABELS: usize = 12;

/// Who knows about records.
pub(super) struct Zones {
    /// Who is asked for everything else, and where a zone's own servers cannot be reached; those of this machine unless
    /// named.
    resolver: Option<SocketAddr>,
    /// None where a server was named: the owner knows why that one is to be asked.
    port: Option<u16>,
    /// The servers of each record's zone that have answered so far, each with its addresses.
    own: BTreeMap<String, Vec<Vec<SocketAddr>>>,
}

impl Zones {
    /// Asks the server that is named alone, else the servers of each zone.
    pub(super) fn new(named: Option<SocketAddr>) -> Self {
        let port = if named.is_some() { None } else { Some(PORT) };
        Self { resolver: named, port, own: BTreeMap::new() }
    }

    /// The values of a record that all who can be asked show.
    pub(super) fn seen(&mut self, record: &str) -> Result<Vec<String>, DnsError> {
        let own = match self.own.remove(record) {
            Some(known) => known,
            None => self.port.map(|port| self.servers(record, port)).unwrap_or_default(),
        };
        // One that does not answer now will not be asked again: it may be out of our reach, and not out of everybody's.
        let answers: Vec<_> =
            own.into_iter().filter_map(|one| Some((Resolver::at(one.clone()).txt(record).ok()?, one))).collect();
        let Some(common) =
            answers.iter().map(|(found, _)| found.clone().into_records()).reduce(|one, other| common(one, &other))
        else {
            self.own.insert(record.to_owned(), Vec::new());
            return txt(self.resolver, record);
        };
        self.own.insert(record.to_owned(), answers.into_iter().map(|(_, one)| one).collect());
        Ok(common)
    }

    /// The servers of the zone that a record is in; none where they cannot be found.
    fn servers(&self, record: &str, port: u16) -> Vec<Vec<SocketAddr>> {
        let resolver = Resolver::new(self.resolver);
        let tops = above(record).take(MOST_LABELS);
        let named = tops.map(|top| resolver.servers_of(top)).find_map(|found| match found {
            Ok(Found::Records(names)) => Some(names),
            Ok(Found::NoRecords | Found::NoSuchName) | Err(_) => None,
        });
        let servers = named.into_iter().flatten().take(MOST_SERVERS).map(|name| addresses(&resolver, &name, port));
        servers.filter(|addresses| !addresses.is_empty()).collect()
    }
}

/// Where one server is: any of them may be asked.
fn addresses(resolver: &Resolver, name: &str, port: u16) -> Vec<SocketAddr> {
    let both = [resolver.ipv4(name), resolver.ipv6(name)];
    let found = both.into_iter().flatten().flat_map(Found::into_records);
    found.map(|address: IpAddr| SocketAddr::new(address, port)).collect()
}

/// A name and those above it, but for the last label: nobody's record is in the zone of a top-level domain.
fn above(name: &str) -> impl Iterator<Item = &str> {
    let all = std::iter::successors(Some(name), |&name| name.split_once('.').map(|(_, rest)| rest));
    all.filter(|name| name.contains('.'))
}

fn common(mut one: Vec<String>, other: &[String]) -> Vec<String> {
    one.retain(|value| other.contains(value));
    one
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::{Arc, Mutex};

    use simple_dns::rdata::{A, NS, RData, TXT};
    use simple_dns::{CLASS, Name, Packet, QTYPE, RCODE, ResourceRecord, TYPE};

    use super::*;

    const RECORD: &str = "_acme-challenge.www.example.com";

    /// What a server says: to a name and a type, these texts.
    type Says = Arc<Mutex<BTreeMap<(&'static str, &'static str), Vec<&'static str>>>>;

    /// A name server of a few lines, until its test ends.
    fn server(address: SocketAddr) -> (SocketAddr, Says) {
        let socket = UdpSocket::bind(address).unwrap();
        let (address, says) = (socket.local_addr().unwrap(), Says::default());
        let theirs = Arc::clone(&says);
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let answer = answer(&bytes[..length], &theirs.lock().unwrap());
                socket.send_to(&answer, from).unwrap();
            }
        });
        (address, says)
    }

    fn answer(question: &[u8], says: &BTreeMap<(&str, &str), Vec<&'static str>>) -> Vec<u8> {
        let asked = Packet::parse(question).unwrap();
        let one = &asked.questions[0];
        let (name, kind) = (one.qname.to_string(), &one.qtype);
        let told = |word| says.get(&(name.as_str(), word)).cloned().unwrap_or_default();
        let data: Vec<RData<'_>> = match kind {
            QTYPE::TYPE(TYPE::NS) => {
                told("NS").into_iter().map(|text| RData::NS(NS(Name::new_unchecked(text)))).collect()
            }
            QTYPE::TYPE(TYPE::A) => {
                let a = |text: &str| RData::A(A { address: text.parse::<Ipv4Addr>().unwrap().into() });
                told("A").into_iter().map(a).collect()
            }
            QTYPE::TYPE(TYPE::TXT) => {
                told("TXT").into_iter().map(|text| RData::TXT(TXT::new().with_string(text).unwrap())).collect()
            }
            _ => Vec::new(),
        };
        let mut packet = Packet::new_reply(asked.id());
        packet.questions.push(one.clone());
        if told("refuses").is_empty() {
            packet.answers =
                data.into_iter().map(|data| ResourceRecord::new(one.qname.clone(), CLASS::IN, 60, data)).collect();
        } else {
            *packet.rcode_mut() = RCODE::Refused;
        }
        packet.build_bytes_vec().unwrap()
    }

    /// A resolver that knows of two servers of example.com, and those.
    fn zone() -> (Zones, Says, [Says; 2]) {
        let (resolver, known) = server((Ipv4Addr::LOCALHOST, 0).into());
        let (first, one) = server((Ipv4Addr::new(127, 0, 0, 2), 0).into());
        let (_, two) = server((Ipv4Addr::new(127, 0, 0, 3), first.port()).into());
        let facts = [
            (("example.com", "NS"), vec!["ns1.example.net", "ns2.example.net"]),
            (("ns1.example.net", "A"), vec!["127.0.0.2"]),
            (("ns2.example.net", "A"), vec!["127.0.0.3"]),
        ];
        known.lock().unwrap().extend(facts);
        let zones = Zones { resolver: Some(resolver), port: Some(first.port()), own: BTreeMap::new() };
        (zones, known, [one, two])
    }

    fn say(server: &Says, kind: &'static str, texts: &[&'static str]) {
        server.lock().unwrap().insert((RECORD, kind), texts.to_vec());
    }

    #[test]
    fn a_value_is_seen_when_all_servers_of_the_zone_show_it_whatever_the_resolver_remembers() {
        let (mut zones, known, [one, two]) = zone();
        say(&known, "TXT", &["old"]);
        say(&one, "TXT", &["new", "other"]);
        assert!(zones.seen(RECORD).unwrap().is_empty(), "the second server has nothing yet");
        say(&two, "TXT", &["other", "new", "more"]);
        assert_eq!(zones.seen(RECORD).unwrap(), ["new", "other"]);
    }

    #[test]
    fn a_server_that_does_not_tell_is_left_out_and_the_resolver_asked_where_none_does() {
        let (mut zones, known, [one, two]) = zone();
        say(&known, "TXT", &["by the resolver"]);
        say(&one, "refuses", &["yes"]);
        say(&two, "TXT", &["new"]);
        assert_eq!(zones.seen(RECORD).unwrap(), ["new"]);
        say(&two, "refuses", &["yes"]);
        assert_eq!(zones.seen(RECORD).unwrap(), ["by the resolver"]);
    }

    #[test]
    fn a_server_that_is_named_is_asked_alone() {
        let (zones, known, [one, two]) = zone();
        say(&known, "TXT", &["by the resolver"]);
        for server in [&one, &two] {
            say(server, "TXT", &["new"]);
        }
        let mut zones = Zones { port: None, ..zones };
        assert_eq!(zones.seen(RECORD).unwrap(), ["by the resolver"]);
    }

    #[test]
    fn a_zone_is_looked_for_from_the_record_upwards() {
        let all: Vec<&str> = above(RECORD).collect();
        assert_eq!(all, [RECORD, "www.example.com", "example.com"]);
    }
}
