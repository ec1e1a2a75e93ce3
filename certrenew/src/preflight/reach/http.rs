//! A client of HTTP/1.1 of a few lines, because the address is chosen by us: each one that the DNS names is to be tried by
//! itself, and the core's client takes whichever the system's resolver likes best. It goes where an authority would go:
//! redirects are followed, certificates on the way are not checked (Let's Encrypt, challenge types, HTTP-01).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::answer::{Answer, LARGEST, Parsed};
use super::url::Url;
use crate::looker;
use crate::preflight::deadline::Deadline;
use crate::timed::Timed;

/// How long a connection may take. A dead address is told before the whole errand is over.
const CONNECT: Duration = Duration::from_secs(4);

/// How many redirects are followed: as many as Let's Encrypt does.
const MOST_REDIRECTS: usize = 10;

/// The ports to which redirects may lead.
const PORTS: [u16; 2] = [80, 443];

/// What is asked for, and where.
pub(super) struct Errand<'a> {
    /// The address at which the name is tried.
    pub(super) address: IpAddr,
    /// What is asked for first.
    pub(super) url: Url,
    /// Finds the addresses of another host to which a redirect leads.
    pub(super) resolve: &'a (dyn Fn(&str) -> Vec<IpAddr> + Sync),
    /// When it is over.
    pub(super) deadline: Deadline,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Nobody listens there.
    #[error("the connection is refused")]
    Refused,
    /// Nobody answers at all.
    #[error("it does not answer")]
    Dead(#[source] io::Error),
    /// This machine knows no way there.
    #[error("this machine has no way there")]
    NoRoute,
    /// Somebody answers, and no HTTP comes of it.
    #[error("{url}: {why}")]
    Broken {
        /// What was asked for.
        url: Url,
        /// What went wrong.
        why: String,
    },
    /// A redirect that no authority follows.
    #[error("it redirects to {location}: {why}")]
    Redirect {
        /// Where to.
        location: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The last answer, and where it came from.
pub(super) fn fetch(errand: &Errand<'_>) -> Result<(Url, Answer), FetchError> {
    let mut url = errand.url.clone();
    for _ in 0..=MOST_REDIRECTS {
        let answer = ask(&url, &errand.addresses(&url), errand)?;
        let Some(location) = answer.redirect() else { return Ok((url, answer)) };
        url = errand.allowed(url.join(location), location)?;
    }
    Err(FetchError::Redirect { location: url.to_string(), why: "these are too many redirects" })
}

impl Errand<'_> {
    /// The same name is asked for at the same address again: it is this address that is being tried.
    fn addresses(&self, url: &Url) -> Vec<IpAddr> {
        if url.host == self.url.host {
            return vec![self.address];
        }
        url.address().map_or_else(|| (self.resolve)(&url.host), |address| vec![address])
    }

    /// Where an authority follows: by http and https, to a name, and to their own ports alone.
    fn allowed(&self, url: Option<Url>, location: &str) -> Result<Url, FetchError> {
        let refused = |why| Err(FetchError::Redirect { location: location.to_owned(), why });
        match url {
            None => refused("that is no URL of http or https"),
            Some(url) if !PORTS.contains(&url.port) && url.port != self.url.port => {
                refused("authorities follow to the ports 80 and 443 only")
            }
            Some(url) if url.address().is_some() && url.host != self.url.host => {
                refused("authorities follow to names only, not to addresses")
            }
            Some(url) => Ok(url),
        }
    }
}

/// Asks at the first address that takes the connection.
fn ask(url: &Url, addresses: &[IpAddr], errand: &Errand<'_>) -> Result<Answer, FetchError> {
    let mut told = broken(url)("it has no address");
    for &address in addresses {
        match connect((address, url.port).into(), errand.deadline) {
            Ok(connection) => return converse(connection, url),
            Err(error) => told = error,
        }
    }
    Err(told)
}

/// Connects to exactly this address.
pub(super) fn connect(address: SocketAddr, deadline: Deadline) -> Result<Timed, FetchError> {
    // A handshake of TCP that takes longer than this is none; the rest of the time is for what is said.
    let connected = deadline.within(CONNECT).left().and_then(|patience| {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        Ok(Timed::new(stream, deadline.left()?))
    });
    connected.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => FetchError::Refused,
        // No route, or no address of this family to come from.
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => FetchError::NoRoute,
        _ => FetchError::Dead(error),
    })
}

fn converse(connection: Timed, url: &Url) -> Result<Answer, FetchError> {
    if !url.is_tls {
        return exchange(connection, url);
    }
    let name = ServerName::try_from(url.host.clone()).map_err(|_| broken(url)("its name makes no sense"))?;
    let config = looker::config(&[b"http/1.1"]).map_err(|error| broken(url)(&error.to_string()))?;
    let tls = ClientConnection::new(config, name).map_err(|error| broken(url)(&error.to_string()))?;
    exchange(StreamOwned::new(tls, connection), url)
}

fn broken(url: &Url) -> impl Fn(&str) -> FetchError {
    move |why| FetchError::Broken { url: url.clone(), why: why.to_owned() }
}

/// One request and its answer.
fn exchange(mut stream: impl Read + Write, url: &Url) -> Result<Answer, FetchError> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: certrenew/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    let failed = |error: io::Error| broken(url)(&shipshape_core::error::chain(&error));
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut piece = [0; 8 << 10];
    loop {
        let is_end = match stream.read(&mut piece) {
            // Whoever ends TLS without a word has ended all the same: a cut token is a wrong one, and told.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => true,
            Err(error) => return Err(failed(error)),
            Ok(length) => {
                bytes.extend_from_slice(&piece[..length]);
                length == 0 || bytes.len() >= LARGEST
            }
        };
        match Answer::parse(&bytes, is_end) {
            Parsed::Whole(answer) => return Ok(answer),
            Parsed::Part => {}
            Parsed::Nonsense => return Err(broken(url)("what it says is no HTTP")),
        }
    }
}
