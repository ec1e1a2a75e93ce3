//! One question to one server: by datagram, and by TCP where the answer is cut.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::message::{Fit, Question, Size};
use super::{Deadline, DnsError};
use crate::timed::Timed;

/// The largest datagram that is taken, in bytes; it is more than we ask for.
const DATAGRAM: usize = 4096;

/// The bytes of the answer.
pub(super) fn exchange(
    server: SocketAddr,
    question: &Question,
    size: Size,
    deadline: Deadline,
) -> Result<Vec<u8>, DnsError> {
    // The port is the kernel's choice, at random as well: together they are what a forger has to guess (RFC 5452, 4).
    let id = rand::random();
    let asked = question.bytes(id, size)?;
    let answer = by_datagram(server, question, (id, &asked), deadline);
    let answer = answer.and_then(|found| found.map_or_else(|| by_tcp(server, question, (id, &asked), deadline), Ok));
    answer.map_err(|source| DnsError::Silent { server, question: question.to_string(), source })
}

/// The answer; none where it is cut.
fn by_datagram(
    server: SocketAddr,
    question: &Question,
    (id, asked): (u16, &[u8]),
    deadline: Deadline,
) -> io::Result<Option<Vec<u8>>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // A connected socket takes datagrams of this server alone, and hears at once when nobody listens there (udp(7)).
    socket.connect(server)?;
    socket.send(asked)?;
    let mut buffer = [0; DATAGRAM];
    loop {
        socket.set_read_timeout(Some(deadline.left()?))?;
        let length = socket.recv(&mut buffer).map_err(late)?;
        let bytes = &buffer[..length];
        match question.fit(id, bytes) {
            Fit::Whole => return Ok(Some(bytes.to_vec())),
            Fit::Cut => return Ok(None),
            // An answer to an earlier question, or a guess: the right one may still come.
            Fit::Foreign => {}
        }
    }
}

/// Two bytes of length, then the message (RFC 1035, 4.2.2): 64 KiB at most.
fn by_tcp(
    server: SocketAddr,
    question: &Question,
    (id, asked): (u16, &[u8]),
    deadline: Deadline,
) -> io::Result<Vec<u8>> {
    let length = u16::try_from(asked.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut connection = Timed::connect(server, deadline.left()?)?;
    // In one write: some servers want both in one segment (RFC 7766, 8).
    connection.write_all(&[&length.to_be_bytes(), asked].concat())?;
    let mut length = [0; 2];
    connection.read_exact(&mut length)?;
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    connection.read_exact(&mut bytes)?;
    match question.fit(id, &bytes) {
        Fit::Whole => Ok(bytes),
        Fit::Cut | Fit::Foreign => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A time-out of a socket comes as `WouldBlock` (socket(7)).
fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}
