//! Questions and answers as bytes. Nothing in an answer is believed before its id and its question are ours.

use std::fmt;
use std::net::SocketAddr;

use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, RCODE, TYPE, header_buffer};

use super::{DnsError, Found, MOST_ALIASES};

/// The largest datagram that we ask for, in bytes: what passes every path without fragments (DNS flag day 2020).
const LARGEST_DATAGRAM: u16 = 1232;

/// The most records that an answer may have: the parser makes room for as many as the header says before it looks.
const MOST_RECORDS: u32 = 1000;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    name: Name<'static>,
    kind: TYPE,
}

/// How large an answer by datagram may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// As large as we say (EDNS, RFC 6891).
    Extended,
    /// 512 bytes (RFC 1035, 4.2.1).
    Plain,
}

/// What bytes from a server are to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The answer.
    Whole,
    /// The answer, cut: it is to be asked for by TCP.
    Cut,
    /// Something else.
    Foreign,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply<T> {
    /// What was asked for.
    Found(Found<T>),
    /// The name is another one's alias, of which the answer says nothing.
    Alias(String),
}

/// A CAA record (RFC 8659, 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caa {
    /// Whether an authority that does not know the tag must refuse.
    pub(crate) is_critical: bool,
    /// The tag, in lower case.
    pub(crate) tag: String,
    /// The value; bytes that are no text are replaced.
    pub(crate) value: String,
}

impl Caa {
    /// Reads the data of a record.
    pub(super) fn of(data: &RData<'_>) -> Option<Self> {
        let RData::CAA(caa) = data else { return None };
        Some(Self {
            // Bit 0 is the highest one (RFC 8659, 4.1).
            is_critical: caa.flag & 0x80 != 0,
            // A tag that is no text is one that nobody knows, and stays one.
            tag: String::try_from(caa.tag.clone()).unwrap_or_default().to_ascii_lowercase(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        })
    }
}

impl Question {
    /// Asks for the records of this type that a name has.
    pub(super) fn new(name: &str, kind: TYPE) -> Result<Self, DnsError> {
        let parsed = Name::new(name).map_err(|_| DnsError::Name { name: name.to_owned() })?;
        Ok(Self { name: parsed.into_owned(), kind })
    }

    /// Its bytes.
    pub(super) fn bytes(&self, id: u16, size: Size) -> Result<Vec<u8>, DnsError> {
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let (kind, class) = (QTYPE::TYPE(self.kind), QCLASS::CLASS(CLASS::IN));
        packet.questions.push(simple_dns::Question::new(self.name.clone(), kind, class, false));
        if size == Size::Extended {
            *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: LARGEST_DATAGRAM, version: 0 });
        }
        packet.build_bytes_vec().map_err(|_| DnsError::Name { name: self.name.to_string() })
    }

    /// Whether bytes are the answer to it. Whoever forges one has to guess the id, the port and the spelling.
    pub(super) fn fit(&self, id: u16, bytes: &[u8]) -> Fit {
        if header_buffer::id(bytes) != Ok(id) {
            return Fit::Foreign;
        }
        // What is cut may well end in the middle of a record: its flag counts before anything is parsed.
        if header_buffer::has_flags(bytes, PacketFlag::RESPONSE | PacketFlag::TRUNCATION) == Ok(true) {
            return Fit::Cut;
        }
        match parse(bytes) {
            Some(packet) if packet.has_flags(PacketFlag::RESPONSE) && self.is_echoed(&packet) => Fit::Whole,
            _ => Fit::Foreign,
        }
    }

    /// Some servers refuse without repeating the question (RFC 1035, 4.1.1: what they could not even read).
    fn is_echoed(&self, packet: &Packet<'_>) -> bool {
        match &packet.questions[..] {
            [] => !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError),
            [one] => one.qname == self.name && one.qtype == QTYPE::TYPE(self.kind),
            _ => false,
        }
    }

    /// What an answer that fits says.
    pub(super) fn reply<T>(
        &self,
        bytes: &[u8],
        server: SocketAddr,
        read: fn(&RData<'_>) -> Option<T>,
    ) -> Result<Reply<T>, DnsError> {
        let failed = |code| DnsError::Failed { server, question: self.to_string(), code };
        let packet = parse(bytes).ok_or_else(|| failed("an answer that makes no sense"))?;
        match packet.rcode() {
            RCODE::NoError | RCODE::NameError => self.records(&packet, read),
            RCODE::ServerFailure => Err(failed("SERVFAIL")),
            RCODE::Refused => Err(failed("REFUSED")),
            RCODE::FormatError => Err(failed("FORMERR")),
            RCODE::NotImplemented => Err(failed("NOTIMP")),
            _ => Err(failed("an unusual code")),
        }
    }

    /// Goes along the aliases inside the answer to what stands at their end.
    fn records<T>(&self, packet: &Packet<'_>, read: fn(&RData<'_>) -> Option<T>) -> Result<Reply<T>, DnsError> {
        let mut name = &self.name;
        let mut steps = 0;
        while let Some(target) = alias(packet, name) {
            steps += 1;
            if steps > MOST_ALIASES {
                return Err(DnsError::Aliases { name: self.name.to_string() });
            }
            name = target;
        }
        let own = packet.answers.iter().filter(|one| one.name == *name && one.class == CLASS::IN);
        let found: Vec<T> = own.filter_map(|one| read(&one.rdata)).collect();
        Ok(if !found.is_empty() {
            Reply::Found(Found::Records(found))
        } else if packet.rcode() == RCODE::NameError {
            // It is about the end of the aliases (RFC 6604, 2).
            Reply::Found(Found::NoSuchName)
        } else if steps > 0 && !is_final(packet) {
            Reply::Alias(name.to_string())
        } else {
            Reply::Found(Found::NoRecords)
        })
    }
}

impl fmt::Display for Question {
    /// As `dig` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.kind)
    }
}

/// A packet of a bounded number of records.
fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let counts = [
        header_buffer::questions(bytes),
        header_buffer::answers(bytes),
        header_buffer::name_servers(bytes),
        header_buffer::additional_records(bytes),
    ];
    let records: u32 = counts.into_iter().map(|count| count.map_or(u32::MAX / 4, u32::from)).sum();
    if records > MOST_RECORDS { None } else { Packet::parse(bytes).ok() }
}

/// Of what this name is an alias.
fn alias<'p>(packet: &'p Packet<'_>, name: &Name<'_>) -> Option<&'p Name<'p>> {
    packet.answers.iter().find_map(|one| match &one.rdata {
        RData::CNAME(target) if one.name == *name => Some(&target.0),
        _ => None,
    })
}

/// Whether the server says itself that there is no more: by the zone's SOA beside the answer (RFC 2308, 2.2).
fn is_final(packet: &Packet<'_>) -> bool {
    packet.name_servers.iter().any(|one| matches!(one.rdata, RData::SOA(_)))
}
