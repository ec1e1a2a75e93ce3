//! A connection with one deadline for all that is said over it.
//!
//! A time-out of the socket alone begins anew with each byte: whoever sends one every few seconds could hold us for ever.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use shipshape_core::clock::Stopwatch;

/// The connection. What is read or written after its time fails with `TimedOut`.
#[derive(Debug)]
pub(crate) struct Timed {
    stream: TcpStream,
    watch: Stopwatch,
    limit: Duration,
}

impl Timed {
    /// The time begins now.
    pub(crate) fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, watch: Stopwatch::start(), limit }
    }

    /// Connects; the time counts from before that.
    pub(crate) fn connect(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let watch = Stopwatch::start();
        let stream = TcpStream::connect_timeout(&address, limit)?;
        // Handshakes are short messages by turns, which Nagle's algorithm would hold back (tcp(7), TCP_NODELAY).
        stream.set_nodelay(true)?;
        Ok(Self { stream, watch, limit })
    }

    /// Ends it for both sides, whoever else holds a handle of it (shutdown(2)): closing ours would not.
    pub(crate) fn end(&self) {
        // That the other side was faster is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// What is left of the time: never zero, which a socket takes for "no time-out" (socket(7), `SO_RCVTIMEO`).
    fn left(&self) -> io::Result<Duration> {
        let left = self.limit.saturating_sub(self.watch.elapsed());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer).map_err(plain)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A time-out of a socket comes as `WouldBlock` (socket(7)), which means something else to whoever reads the error.
fn plain(refused: io::Error) -> io::Error {
    if refused.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { refused }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn bytes_that_come_one_by_one_do_not_lengthen_the_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sender = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let watch = Stopwatch::start();
        let mut timed = Timed::connect(address, Duration::from_millis(300)).unwrap();
        let refused = timed.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
        drop(timed);
        sender.join().unwrap();
    }

    #[test]
    fn a_peer_that_says_nothing_is_a_time_out_and_not_a_question_of_blocking() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut timed = Timed::connect(address, Duration::from_millis(100)).unwrap();
        let refused = timed.read(&mut [0; 1]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    }
}
