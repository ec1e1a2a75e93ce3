//! An authority for tests: a real server on loopback that plays its part without looking at signatures, and misbehaves
//! where a test says so. Real authorities are met by the stories.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

use crate::wanted::Authority;

/// The challenges of its one authorization, in their order: `/challenge/1` and so on.
pub(super) const KINDS: [&str; 3] = ["http-01", "dns-01", "tls-alpn-01"];

/// What the authority was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `POST /order`.
    pub(super) line: String,
    /// Where the authority is, for those who answer with addresses.
    pub(super) base: String,
    /// What was signed; nothing for a question.
    pub(super) payload: Value,
    /// What it was signed with.
    pub(super) protected: Value,
}

/// What it answers. Nothing at all is a connection that is cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// The authority.
pub(super) struct Fake {
    pub(super) authority: Authority,
    pub(super) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    folder: tempfile::TempDir,
}

/// How it misbehaves: what it says instead, by what was asked and how often that was asked before.
type Whim = dyn Fn(&Asked, usize) -> Option<Said> + Send;

impl Said {
    /// With a JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string() }
    }

    /// A problem of ACME's.
    pub(super) fn problem(status: u16, kind: &str, detail: &str) -> Self {
        Self::json(status, &json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail }))
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn write(&self, to: &mut TcpStream, nonce: usize) {
        if self.status == 0 {
            return;
        }
        let headers: Vec<String> = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {} x\r\nReplay-Nonce: nonce-{nonce}\r\n{}", self.status, headers.concat());
        let _ = write!(to, "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{}", self.body.len(), self.body);
    }
}

impl Fake {
    /// One that behaves.
    pub(super) fn start() -> Self {
        Self::with_whim(|_, _| None)
    }

    /// One with a whim.
    pub(super) fn with_whim(whim: impl Fn(&Asked, usize) -> Option<Said> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (own, own_base) = (Arc::clone(&asked), base.clone());
        thread::spawn(move || serve(&listener, &own_base, &own, &whim));
        let directory = format!("{base}/dir");
        let authority = Authority { directory, roots: None, staging: None, contact: Vec::new(), binding: None };
        Self { authority, base, asked, folder: tempfile::tempdir().unwrap() }
    }

    /// Where accounts lie.
    pub(super) fn accounts(&self) -> PathBuf {
        self.folder.path().join("accounts")
    }

    /// All that was asked, in its order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often this was asked.
    pub(super) fn count(&self, line: &str) -> usize {
        self.asked().iter().filter(|asked| asked.line == line).count()
    }

    /// The one time that this was asked.
    pub(super) fn once(&self, line: &str) -> Asked {
        assert_eq!(self.count(line), 1, "{line}");
        self.asked().into_iter().find(|asked| asked.line == line).unwrap()
    }
}

fn serve(listener: &TcpListener, base: &str, asked: &Mutex<Vec<Asked>>, whim: &Whim) {
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let Some(one) = read(&mut connection, base) else { continue };
        let before = asked.lock().unwrap().iter().filter(|other| other.line == one.line).count();
        asked.lock().unwrap().push(one.clone());
        let history = asked.lock().unwrap().clone();
        let said = whim(&one, before).unwrap_or_else(|| behave(&one, &history, base));
        said.write(&mut connection, history.len());
    }
}

fn read(connection: &mut TcpStream, base: &str) -> Option<Asked> {
    let mut reader = BufReader::new(connection);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(stated) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = stated.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let signed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let part = |name: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(signed[name].as_str().unwrap_or_default()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    let line = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Some(Asked { line, base: base.to_owned(), payload: part("payload"), protected: part("protected") })
}

/// By the book (RFC 8555, 7): what was asked before decides how far the one order is.
fn behave(one: &Asked, history: &[Asked], base: &str) -> Said {
    let at = |path: &str| format!("{base}{path}");
    let was = |line: &str| history.iter().any(|asked| asked.line == line);
    match one.line.as_str() {
        "GET /dir" => Said::json(200, &directory(base)),
        "POST /account" => Said::json(201, &json!({ "status": "valid" })).with("Location", &at("/account/1")),
        "POST /account/1" => Said::json(200, &json!({ "status": "valid" })),
        "POST /order" => {
            let mut order = order("pending", base);
            for echoed in ["replaces", "profile"] {
                order[echoed] = one.payload[echoed].clone();
            }
            Said::json(201, &order).with("Location", &at("/order/1"))
        }
        "POST /order/1" if was("POST /finalize") => Said::json(200, &order("valid", base)),
        "POST /order/1" if was("POST /challenge/1") => Said::json(200, &order("ready", base)),
        "POST /order/1" => Said::json(200, &order("pending", base)),
        "POST /authz/1" => Said::json(200, &authorization("a.test", "pending", base)),
        "POST /challenge/1" => Said::json(200, &challenge("http-01", "processing", base)),
        "POST /finalize" => Said::json(200, &order("processing", base)),
        "HEAD /nonce" | "POST /revoke" => Said { status: 200, ..Said::default() },
        _ => Said::problem(404, "malformed", "no such place"),
    }
}

pub(super) fn directory(base: &str) -> Value {
    json!({
        "newNonce": format!("{base}/nonce"), "newAccount": format!("{base}/account"), "newOrder": format!("{base}/order"),
        "revokeCert": format!("{base}/revoke"), "renewalInfo": format!("{base}/ari"),
        "meta": { "profiles": { "classic": "ninety days" }, "caaIdentities": ["ca.example"] },
    })
}

pub(super) fn order(status: &str, base: &str) -> Value {
    json!({
        "status": status, "identifiers": [{ "type": "dns", "value": "a.test" }],
        "authorizations": [format!("{base}/authz/1")], "finalize": format!("{base}/finalize"),
        "certificate": format!("{base}/certificate"),
    })
}

pub(super) fn authorization(name: &str, status: &str, base: &str) -> Value {
    let challenges = KINDS.map(|kind| challenge(kind, "pending", base));
    json!({ "status": status, "identifier": { "type": "dns", "value": name }, "challenges": challenges })
}

pub(super) fn challenge(kind: &str, status: &str, base: &str) -> Value {
    let url = format!("{base}/challenge/{}", KINDS.iter().position(|one| *one == kind).unwrap_or_default() + 1);
    json!({ "type": kind, "status": status, "token": "token-1", "url": url })
}
