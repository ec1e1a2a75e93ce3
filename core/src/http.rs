//! HTTP, bounded: every call has a deadline, every answer a largest size, and nothing is followed anywhere.
//!
//! A redirect is an answer like any other: what was sent to one host (a token in the URL, a report in the body) goes to no
//! other because that host says so. Proxies of the environment are left alone for the same reason, and because a check of
//! `localhost` must not leave the machine. An answer with a status of 400 or above is an answer too: its headers
//! (`Retry-After`) and its body say why.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http};

use crate::error::Explain;
use crate::exit::Exit;

/// The largest file of certificates that is read, in bytes: all authorities of a system take a quarter of it.
const LARGEST_CA_FILE: u64 = 1 << 20;

/// What a client takes upon itself.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For the name and the connection.
    pub connect: Duration,
    /// For a whole call, the body included.
    pub whole: Duration,
    /// Of a body, in bytes; what is longer is cut.
    pub body: u64,
}

/// Which authorities a client trusts.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those of the machine.
    Machine,
    /// Those in a PEM file, and no others.
    File(PathBuf),
}

/// Why there is no answer. None of them quotes the URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL makes no sense.
    #[error("the URL makes no sense")]
    Url,
    /// The file of authorities cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server's name is not known.
    #[error("the name {host} cannot be resolved")]
    Name {
        /// The name.
        host: String,
    },
    /// It took too long.
    #[error("{host} did not answer in time ({phase})")]
    Timeout {
        /// The server.
        host: String,
        /// What took too long.
        phase: String,
    },
    /// The server could not prove who it is, or speaks no TLS that we do.
    #[error("no trust in {host}: {reason}")]
    Tls {
        /// The server.
        host: String,
        /// Why.
        reason: String,
    },
    /// The connection could not be made, or broke.
    #[error("cannot talk to {host}")]
    Connection {
        /// The server.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The server does not speak HTTP as it should.
    #[error("{host} does not speak HTTP: {reason}")]
    Protocol {
        /// The server.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

impl Explain for HttpError {
    fn code(&self) -> &'static str {
        match self {
            Self::Url => "http.url",
            Self::CaFile { .. } => "http.ca_file",
            Self::Name { .. } => "http.name",
            Self::Timeout { .. } => "http.timeout",
            Self::Tls { .. } => "http.tls",
            Self::Connection { .. } => "http.connection",
            Self::Protocol { .. } => "http.protocol",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Url => "write it as https://host/path".to_owned(),
            Self::CaFile { path, .. } => format!("check that {} holds certificates in PEM form", path.display()),
            Self::Name { host } => format!("check the name: getent hosts {host}"),
            Self::Timeout { host, .. } | Self::Connection { host, .. } => {
                format!("check that {host} can be reached from here")
            }
            // What has not begun yet, or is long over, to us: mostly it is our clock that is wrong.
            Self::Tls { reason, .. } if reason.contains("not valid yet") || reason.contains("expired") => {
                "is the clock of this machine right? timedatectl".to_owned()
            }
            Self::Tls { .. } => "name the authority that signed its certificate: ca_file".to_owned(),
            Self::Protocol { .. } => "check the port".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Url
            | Self::CaFile { .. }
            | Self::Name { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. }
            | Self::Connection { .. }
            | Self::Protocol { .. } => Exit::Unknown,
        }
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status: 200, 404, ….
    pub status: u16,
    /// Its headers in their order, names in lower case, bytes that are no text replaced. One name may stand several times.
    pub headers: Vec<(String, String)>,
    /// Its body, or the beginning of it.
    pub body: Vec<u8>,
    /// Whether the body was longer than the limit.
    pub is_cut: bool,
}

impl Answer {
    /// Whether the status says that all is well (2xx).
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A client. Cheap to keep, and may be shared between threads.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    largest_body: u64,
}

impl Client {
    /// A client with these limits.
    ///
    /// # Errors
    /// Fails when the file of authorities cannot be read.
    pub fn new(limits: &Limits, trust: &Trust) -> Result<Self, HttpError> {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(authorities(trust)?)))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.whole))
            .user_agent(concat!("shipshape/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), largest_body: limits.body })
    }

    /// Gets what is at a URL.
    pub fn get(&self, url: &str) -> Result<Answer, HttpError> {
        let host = host_of(url)?;
        self.answer(self.agent.get(url).call(), &host)
    }

    /// Asks for the headers of what is at a URL.
    pub fn head(&self, url: &str) -> Result<Answer, HttpError> {
        let host = host_of(url)?;
        self.answer(self.agent.head(url).call(), &host)
    }

    /// Sends bytes to a URL.
    pub fn post(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Answer, HttpError> {
        let host = host_of(url)?;
        self.answer(self.agent.post(url).content_type(content_type).send(body), &host)
    }

    fn answer(&self, result: Result<http::Response<Body>, ureq::Error>, host: &str) -> Result<Answer, HttpError> {
        let (parts, body) = result.map_err(|error| explain(error, host))?.into_parts();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let mut bytes = Vec::new();
        // One byte more than allowed, to see whether there is more.
        let read = body.into_reader().take(self.largest_body + 1).read_to_end(&mut bytes);
        read.map_err(|cause| from_io(cause, host))?;
        let is_cut = bytes.len() as u64 > self.largest_body;
        bytes.truncate(usize::try_from(self.largest_body).unwrap_or(usize::MAX));
        Ok(Answer { status: parts.status.as_u16(), headers, body: bytes, is_cut })
    }
}

/// The host of a URL, with its port where it has one: what may be told of a URL that is a secret.
pub fn host_of(url: &str) -> Result<String, HttpError> {
    let parsed: http::Uri = url.parse().map_err(|_| HttpError::Url)?;
    let authority = parsed.authority().filter(|authority| !authority.host().is_empty()).ok_or(HttpError::Url)?;
    let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}{port}", authority.host()))
}

fn authorities(trust: &Trust) -> Result<Vec<Certificate<'static>>, HttpError> {
    let found = match trust {
        // Some that cannot be read do not make the others worthless.
        Trust::Machine => rustls_native_certs::load_native_certs().certs,
        Trust::File(path) => pem_file(path).map_err(|source| HttpError::CaFile { path: path.clone(), source })?,
    };
    Ok(found.into_iter().map(|der| Certificate::from_der(&der).to_owned()).collect())
}

fn pem_file(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_CA_FILE).read_to_end(&mut bytes)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn explain(error: ureq::Error, host: &str) -> HttpError {
    let host_name = host.to_owned();
    match error {
        ureq::Error::BadUri(_) => HttpError::Url,
        ureq::Error::HostNotFound => HttpError::Name { host: host_name },
        ureq::Error::Timeout(phase) => HttpError::Timeout { host: host_name, phase: phase.to_string() },
        ureq::Error::Tls(reason) => HttpError::Tls { host: host_name, reason: reason.to_owned() },
        ureq::Error::Rustls(cause) => HttpError::Tls { host: host_name, reason: cause.to_string() },
        ureq::Error::Io(cause) => from_io(cause, host),
        ureq::Error::ConnectionFailed => from_io(io::ErrorKind::NotConnected.into(), host),
        // The set is open, and what remains of it is about bytes that are no HTTP.
        other => HttpError::Protocol { host: host_name, reason: other.to_string() },
    }
}

/// An error of TLS or of time may come dressed as one of input and output.
fn from_io(cause: io::Error, host: &str) -> HttpError {
    let host = host.to_owned();
    if let Some(tls) = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return HttpError::Tls { host, reason: tls.to_string() };
    }
    // getaddrinfo's refusals have no kind of their own in the standard library.
    if cause.to_string().starts_with("failed to lookup address information") {
        return HttpError::Name { host };
    }
    match cause.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HttpError::Timeout { host, phase: "answer".to_owned() },
        _ => HttpError::Connection { host, source: cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Instant;

    const LIMITS: Limits =
        Limits { connect: Duration::from_millis(400), whole: Duration::from_millis(400), body: 1000 };

    /// A server that gives each connection this answer, word for word; returns its address and what it was asked.
    fn server(answer: &'static [u8]) -> (String, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut request = [0; 4096];
                let length = connection.read(&mut request).unwrap();
                let _ = tell.send(String::from_utf8_lossy(&request[..length]).into_owned());
                let _ = connection.write_all(answer);
                if answer.is_empty() {
                    thread::sleep(Duration::from_secs(5));
                }
            }
        });
        (format!("http://{address}/path"), asked)
    }

    fn client() -> Client {
        Client::new(&LIMITS, &Trust::Machine).unwrap()
    }

    #[test]
    fn a_refusal_is_an_answer_with_its_headers_and_its_body() {
        let (url, _) = server(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX: a\r\nX: b\r\nContent-Length: 4\r\n\r\nslow");
        let answer = client().get(&url).unwrap();
        assert_eq!((answer.status, answer.header("retry-after"), answer.is_ok()), (429, Some("7"), false));
        assert_eq!(answer.body, b"slow");
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "x").count(), 2);
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let (elsewhere, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        let (url, _) = server(head.leak().as_bytes());
        assert_eq!(client().get(&url).unwrap().status, 302);
        assert_eq!(client().post(&url, "text/plain", b"secret").unwrap().status, 302);
        assert!(asked.try_recv().is_err(), "the other host must hear nothing");
    }

    #[test]
    fn an_endless_body_is_cut() {
        let body = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 5000]].concat();
        let (url, _) = server(body.leak());
        let answer = client().get(&url).unwrap();
        assert_eq!((answer.body.len(), answer.is_cut), (1000, true));
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let (url, _) = server(b"");
        let start = Instant::now();
        assert_eq!(client().get(&url).unwrap_err().code(), "http.timeout");
        assert!(start.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn what_goes_wrong_is_told_without_the_url() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (url, code) in [
            (format!("http://{closed}/SECRET"), "http.connection"),
            (format!("{}/SECRET", server(b"nonsense\r\n\r\n").0), "http.protocol"),
            (server(b"nonsense\r\n\r\n").0.replace("http", "https") + "/SECRET", "http.tls"),
            ("http://no.such.host.invalid/SECRET".to_owned(), "http.name"),
            ("not a url SECRET".to_owned(), "http.url"),
            ("http:///SECRET".to_owned(), "http.url"),
        ] {
            let error = client().get(&url).unwrap_err();
            let told = format!("{} {}", crate::error::chain(&error), error.hint());
            assert!(error.code() == code && !told.contains("SECRET"), "{url}: {} {told}", error.code());
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let trust = Trust::File(file.path().to_owned());
        assert_eq!(Client::new(&LIMITS, &trust).unwrap_err().code(), "http.ca_file");
    }
}
