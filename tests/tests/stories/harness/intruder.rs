//! Stands between a client and an ACME server, with a certificate of the same authority, and does mischief by rule.
//!
//! Pebble makes its addresses from the header `Host`, so a client that once asked here for the directory sends everything
//! here. Only HTTP/1.1 is spoken, one request in a connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::acme::{Pebble, tls_file};
use super::tls::{connect, exchange, serving, trusting};

/// How long a client is left without an answer: longer than any client waits.
const SILENCE: Duration = Duration::from_secs(600);

/// Which requests a rule is about.
#[derive(Clone, Debug)]
pub(crate) struct On {
    method: &'static str,
    path: &'static str,
    holding: &'static str,
    nth: Option<usize>,
}

impl On {
    /// All with that method, and a path in which that text occurs.
    pub(crate) fn every(method: &'static str, path: &'static str) -> Self {
        Self { method, path, holding: "", nth: None }
    }

    /// Of those, the ones whose signed payload holds that text.
    pub(crate) fn holding(self, text: &'static str) -> Self {
        Self { holding: text, ..self }
    }

    /// Of those, only the N-th from now on; the first is 1.
    pub(crate) fn nth(self, nth: usize) -> Self {
        Self { nth: Some(nth), ..self }
    }

    fn is_about(&self, request: &Request) -> bool {
        request.method == self.method && request.path.contains(self.path) && request.payload.contains(self.holding)
    }
}

/// What is done to a request.
#[derive(Clone, Debug)]
pub(crate) enum Mischief {
    /// It is answered here; the server never sees it. Headers end in `\r\n` each.
    Answer { status: u16, headers: String, body: String },
    /// The connection is cut; the server never sees it.
    Cut,
    /// The server does what it is asked, and its answer is cut after so many bytes.
    CutAnswer(usize),
    /// There is no answer at all; the server never sees it.
    Silence,
}

impl Mischief {
    /// An error as RFC 8555, 6.7 has it. `kind` is what comes after the last colon of its type.
    pub(crate) fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let body = json!({ "type": kind, "detail": detail, "status": status }).to_string();
        Self::Answer { status, headers: "Content-Type: application/problem+json\r\n".to_owned(), body }
    }

    /// An answer of some machine before the server, which knows nothing of the protocol.
    pub(crate) fn page(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self::Answer { status, headers: "Content-Type: text/html\r\n".to_owned(), body }
    }

    /// The same with one more header.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer { status, headers, body } => {
                Self::Answer { status, headers: format!("{headers}{name}: {value}\r\n"), body }
            }
            other => other,
        }
    }
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The head as it came.
    pub(crate) head: String,
    /// What was signed, if it was.
    pub(crate) payload: String,
    body: Vec<u8>,
}

/// The intruder. It lives as long as the process.
pub(crate) struct Intruder {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    /// With how many requests each has been about already.
    rules: Mutex<Vec<(On, Mischief, usize)>>,
    asked: Mutex<Vec<Request>>,
}

impl Intruder {
    /// Before that server. Without a rule everything is passed on as it is.
    pub(crate) fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream: pebble.port(),
            client: trusting(&tls_file("root.pem")),
            server: serving(&tls_file("cert.pem"), &tls_file("key.pem")),
            rules: Mutex::default(),
            asked: Mutex::default(),
        });
        let theirs = shared.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let shared = theirs.clone();
                // A client that goes away in the middle is none of our business.
                thread::spawn(move || drop(shared.serve(socket.unwrap())));
            }
        });
        Self { port, shared }
    }

    /// Where the directory is, through here.
    pub(crate) fn directory_url(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// From now on that is done to such requests. Of several rules about a request the oldest is followed.
    pub(crate) fn add(&self, on: On, mischief: Mischief) {
        self.shared.rules.lock().unwrap().push((on, mischief, 0));
    }

    /// From now on nothing is done.
    pub(crate) fn forget(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// What was asked since it was last looked at, in order.
    pub(crate) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream) -> std::io::Result<()> {
        let connection = ServerConnection::new(self.server.clone()).map_err(std::io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, socket));
        let request = read(&mut stream)?;
        let mut stream = stream.into_inner();
        self.asked.lock().unwrap().push(request.clone());
        let answer = match self.mischief(&request) {
            None => self.pass_on(&request)?,
            Some(Mischief::Answer { status, headers, body }) => answer(&request, status, &headers, &body),
            Some(Mischief::CutAnswer(bytes)) => {
                let whole = self.pass_on(&request)?;
                stream.write_all(&whole[..bytes.min(whole.len())])?;
                return stream.flush();
            }
            Some(Mischief::Cut) => return Ok(()),
            Some(Mischief::Silence) => {
                thread::sleep(SILENCE);
                return Ok(());
            }
        };
        stream.write_all(&answer)?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn mischief(&self, request: &Request) -> Option<Mischief> {
        let mut rules = self.rules.lock().unwrap();
        let mut found = None;
        for (on, mischief, seen) in rules.iter_mut().filter(|(on, ..)| on.is_about(request)) {
            *seen += 1;
            if found.is_none() && on.nth.is_none_or(|nth| nth == *seen) {
                found = Some(mischief.clone());
            }
        }
        found
    }

    fn pass_on(&self, request: &Request) -> std::io::Result<Vec<u8>> {
        let kept = request.head.lines().filter(|line| !line.to_lowercase().starts_with("connection:"));
        let head: Vec<&str> = kept.chain(["Connection: close\r\n\r\n"]).collect();
        let bytes = [head.join("\r\n").as_bytes(), &request.body].concat();
        exchange(connect(self.client.clone(), "localhost", self.upstream)?, &bytes)
    }
}

/// Reads a request whose body, if it has one, says how long it is.
fn read(stream: &mut impl BufRead) -> std::io::Result<Request> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(Request { method, path, payload: payload(&body), head, body })
}

/// The payload of a signed request (RFC 8555, 6.2), as text.
fn payload(body: &[u8]) -> String {
    let signed: Value = serde_json::from_slice(body).unwrap_or_default();
    let coded = signed["payload"].as_str().unwrap_or_default();
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(coded).unwrap_or_default()).unwrap_or_default()
}

fn answer(request: &Request, status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} So\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let body = if request.method == "HEAD" { "" } else { body };
    format!("{head}{body}").into_bytes()
}
