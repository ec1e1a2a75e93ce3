//! A listener that lives as long as one challenge: the whole world may speak to it, so everything about it is bounded.

use std::io::{self, PipeReader, PipeWriter};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::{ChallengeError, Shown, holder};
use crate::timed::Timed;

/// How long one connection may take in all.
const LIMIT: Duration = Duration::from_secs(5);

/// How many connections there are at a time. Whoever comes then takes the place of the oldest: an authority is done within
/// milliseconds, and only what means to hold us up is ever the oldest.
const MOST: usize = 32;

/// How many may wait to be accepted (listen(2)).
const BACKLOG: i32 = 128;

/// How long accepting rests when the process has no handles left.
const REST: Duration = Duration::from_millis(50);

/// What is said over a connection.
pub(super) type Answer = dyn Fn(&mut Timed) + Send + Sync;

/// A listener at work. When it is dropped, its threads have ended and its port is free.
pub(super) struct Listener {
    wake: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// One connection, and who answers it.
struct Connection {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Answers in threads whoever comes.
    pub(super) fn start(listener: TcpListener, answer: Arc<Answer>) -> io::Result<Self> {
        let (asleep, wake) = io::pipe()?;
        let thread = thread::Builder::new().spawn(move || accept_all(&listener, &asleep, &answer))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }
}

impl Shown for Listener {
    /// Nothing of it can fail.
    fn end(self: Box<Self>) -> Result<(), ChallengeError> {
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The thread sees the other end of its pipe close.
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Connection {
    fn start(stream: TcpStream, answer: &Arc<Answer>) -> io::Result<Self> {
        // An accepted socket inherits nothing of the listener on Linux (accept(2)); said all the same.
        stream.set_nonblocking(false)?;
        let (ours, answer) = (stream.try_clone()?, Arc::clone(answer));
        let converse = move || {
            let mut connection = Timed::new(stream, LIMIT);
            answer(&mut connection);
            connection.end();
        };
        let thread = thread::Builder::new().spawn(converse)?;
        Ok(Self { stream: ours, thread })
    }

    /// Cuts it, which ends whatever its thread waits for.
    fn end(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.join();
    }
}

/// Takes the address, of both families where it is that of all.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, ChallengeError> {
    let bound = match open(address) {
        // A kernel without IPv6 (ipv6.disable=1) knows no such sockets, or has no such address.
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if address.is_ipv6() && address.ip().is_unspecified() => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        other => other,
    };
    bound.map_err(|refused| match refused {
        Errno::ADDRINUSE => ChallengeError::Port { address, holder: holder::of(address.port()) },
        refused => ChallengeError::Listen { address, source: refused.into() },
    })
}

fn open(address: SocketAddr) -> rustix::io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of the last challenge that are still being closed do not hold the port (ip(7)).
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says: authorities come by either family (ipv6(7), IPV6_V6ONLY).
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

fn accept_all(listener: &TcpListener, asleep: &PipeReader, answer: &Arc<Answer>) {
    let mut connections: Vec<Connection> = Vec::new();
    while is_wanted(listener, asleep) {
        connections.retain(|connection| !connection.thread.is_finished());
        if connections.len() >= MOST {
            connections.remove(0).end();
        }
        match listener.accept().and_then(|(stream, _)| Connection::start(stream, answer)) {
            Ok(connection) => connections.push(connection),
            // One that was gone before it was accepted, or no handles for it.
            Err(refused) if refused.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => thread::sleep(REST),
        }
    }
    connections.into_iter().for_each(Connection::end);
}

/// Waits for somebody to come; false when the challenge is over.
fn is_wanted(listener: &TcpListener, asleep: &PipeReader) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(asleep, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut fds, None)).is_ok() && fds[1].revents().is_empty()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Ipv6Addr;

    use shipshape_core::clock::Stopwatch;
    use shipshape_core::error::Explain;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

    /// Says back the first byte.
    fn echo(connection: &mut Timed) {
        let mut byte = [0];
        if connection.read_exact(&mut byte).is_ok() {
            let _ = connection.write_all(&byte);
        }
    }

    /// A listener that says back, and its port.
    fn listening() -> (Listener, u16) {
        let bound = bind(ANY).unwrap();
        let port = bound.local_addr().unwrap().port();
        (Listener::start(bound, Arc::new(echo)).unwrap(), port)
    }

    /// A client that would rather fail than wait for ever.
    fn connected(port: u16) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn said_back(stream: &mut TcpStream) -> io::Result<u8> {
        let mut byte = [0];
        stream.write_all(b"x")?;
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    #[test]
    fn both_families_reach_it() {
        let (_listener, port) = listening();
        for address in ["127.0.0.1", "::1"] {
            let mut stream = TcpStream::connect((address, port)).unwrap();
            assert_eq!(said_back(&mut stream).unwrap(), b'x', "{address}");
        }
    }

    #[test]
    fn it_ends_at_once_though_somebody_is_connected_and_the_port_is_free_again() {
        let (listener, port) = listening();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (mut silent, mut served) = (connected(port), connected(port));
        said_back(&mut served).unwrap();
        let watch = Stopwatch::start();
        drop(listener);
        assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0, "the connection was left open");
        assert!(watch.elapsed() < Duration::from_secs(2), "{:?}", watch.elapsed());
        assert!(TcpStream::connect(address).is_err(), "somebody still listens");
        drop(bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()))).unwrap());
    }

    #[test]
    fn those_who_hold_it_up_make_place_for_those_who_come() {
        let (_listener, port) = listening();
        let silent: Vec<_> = (0..MOST + 8).map(|_| connected(port)).collect();
        let watch = Stopwatch::start();
        let mut late = connected(port);
        assert_eq!(said_back(&mut late).unwrap(), b'x');
        assert!(watch.elapsed() < Duration::from_secs(3), "it waited for {} silent ones", silent.len());
    }

    #[test]
    fn a_connection_that_says_nothing_is_cut() {
        let (_listener, port) = listening();
        let mut silent = connected(port);
        let watch = Stopwatch::start();
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        assert!(watch.elapsed() < LIMIT + Duration::from_secs(2), "{:?}", watch.elapsed());
    }

    #[test]
    fn a_port_that_is_taken_is_told_with_who_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address).unwrap_err();
        let us = format!("(process {})", std::process::id());
        assert_eq!(error.code(), "challenge.port");
        assert!(error.to_string().starts_with(&format!("port {} is in use by ", address.port())), "{error}");
        assert!(error.to_string().ends_with(&us), "{error}");
        assert!(error.hint().contains("webroot = "), "{}", error.hint());
    }

    #[test]
    fn an_address_of_another_machine_is_told_apart_from_a_taken_port() {
        let error = bind("192.0.2.7:0".parse().unwrap()).unwrap_err();
        assert_eq!((error.code(), error.hint().contains("ip address")), ("challenge.listen", true));
    }
}
