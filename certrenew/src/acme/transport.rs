//! HTTP for instant-acme, over the client that all tools share: deadlines, limits, and a memory for what the library drops.
//!
//! The library sees what was asked for, and `badNonce`, which it answers with another try. Whatever else goes wrong it would
//! turn into an error without its status and its headers: such answers become errors of ours here, and pass through it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use serde::Deserialize;
use shipshape_core::clock::{self, Stopwatch};
use shipshape_core::http::{Answer, Client, HttpError, Limits, Trust, host_of};
use shipshape_core::signal;

use super::directory::Directory;
use super::error::AcmeError;
use super::library::blocking;
use super::problem::{BAD_NONCE, Problem, Speaker};
use super::{About, header, words};
use crate::wanted::Authority;

/// What one call may take. Chains take 10 KiB, the largest orders 20.
const LIMITS: Limits = Limits { connect: Duration::from_secs(10), whole: Duration::from_secs(30), body: 1 << 20 };

/// How long to wait before a call is made again that came to nothing, and how often.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// After this time no call is made again: whoever hangs for as long does so the next time too.
const BUDGET: Duration = Duration::from_secs(20);

/// How often a pause looks whether we are to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The header with the next nonce (RFC 8555, 6.5.1).
const NONCE: &str = "replay-nonce";

/// What may be known of the last answer that was no error.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What was asked.
    pub(super) url: String,
    /// Where what was made lies.
    pub(super) location: Option<String>,
    /// How long to wait before the next question.
    pub(super) retry_after: Option<Duration>,
    /// The same certificate by other chains (RFC 8555, 7.4.2).
    pub(super) alternates: Vec<String>,
    /// What was sent.
    pub(super) body: Bytes,
}

#[derive(Debug, Default)]
struct Memory {
    last: Option<Seen>,
    /// The newest nonce, which saves the library its question for one.
    nonce: Option<String>,
}

/// The way to one authority.
pub(super) struct Transport {
    client: Client,
    speaker: Speaker,
    /// `https://`: RFC 8555, 6.1 allows no other, and an authority that names another address sends us astray.
    scheme: String,
    directory_url: String,
    directory_bytes: Bytes,
    directory: Directory,
    about: About,
    memory: Mutex<Memory>,
}

/// The same for the library, which wants to own it.
pub(super) struct Wire(pub(super) Arc<Transport>);

/// The parts of a signed request that tell its kind (RFC 7515, 7.2.2).
#[derive(Deserialize)]
struct Signed {
    payload: String,
}

impl Transport {
    /// Asks for the directory, with which each conversation begins.
    pub(super) fn open(authority: &Authority) -> Result<Self, AcmeError> {
        let trust = authority.roots.clone().map_or(Trust::Machine, Trust::File);
        let client = Client::new(&LIMITS, &trust)?;
        let url = authority.directory.clone();
        let speaker = Speaker { host: host_of(&url)?, caa: None };
        let answer = again(true, || Ok(client.get(&url)?))?;
        judge(&answer, &speaker).map_err(of_directory)?;
        let directory =
            Directory::read(&answer.body).map_err(|why| AcmeError::Protocol { host: speaker.host.clone(), why })?;
        let about = directory.about(&answer, clock::now());
        let caa = about.caa_identities.first().cloned();
        let transport = Self {
            client,
            speaker: Speaker { caa, ..speaker },
            scheme: url.split_inclusive("://").next().unwrap_or_default().to_owned(),
            directory_url: url,
            directory_bytes: answer.body.into(),
            directory,
            about,
            memory: Mutex::default(),
        };
        transport.directory.addresses().try_for_each(|url| transport.check(url))?;
        Ok(transport)
    }

    /// What the directory says.
    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// Where things are.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whose words are told.
    pub(super) fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// The authority's host.
    pub(super) fn host(&self) -> String {
        self.speaker.host.clone()
    }

    /// The last answer that was no error.
    pub(super) fn last(&self) -> Option<Seen> {
        self.memory().last.clone()
    }

    /// Forgets it, so that what is found later is of what comes now.
    pub(super) fn forget(&self) {
        self.memory().last = None;
    }

    /// How long the last answer asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.memory().last.as_ref().and_then(|seen| seen.retry_after)
    }

    /// What an answer that makes no sense becomes.
    pub(super) fn nonsense(&self, why: &str) -> AcmeError {
        AcmeError::Protocol { host: self.host(), why: words::told(why) }
    }

    /// Asks openly, which only the directory and renewal information allow (RFC 9773, 4.1).
    pub(super) fn get(&self, url: &str) -> Result<Answer, AcmeError> {
        self.check(url)?;
        again(true, || Ok(self.client.get(url)?))
    }

    /// A panic elsewhere leaves nothing here half done.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, url: &str) -> Result<(), AcmeError> {
        if url.starts_with(&self.scheme) && host_of(url).is_ok() {
            return Ok(());
        }
        Err(self.nonsense(&format!("it names the address {url}")))
    }

    /// One request of the library's.
    fn exchange(&self, method: &Method, url: &str, body: &Bytes) -> Result<BytesResponse, AcmeError> {
        if method == Method::GET && url == self.directory_url {
            return response(&Answer { body: self.directory_bytes.to_vec(), ..empty() }, self);
        }
        if method == Method::HEAD
            && let Some(nonce) = self.memory().nonce.take()
        {
            return response(&Answer { headers: vec![(NONCE.to_owned(), nonce)], ..empty() }, self);
        }
        self.check(url)?;
        let mut answer = match *method {
            Method::GET => self.get(url)?,
            Method::HEAD => again(true, || Ok(self.client.head(url)?))?,
            _ => self.post(url, body)?,
        };
        judge(&answer, &self.speaker)?;
        self.remember(url, &answer);
        if answer.is_ok() && method == Method::HEAD {
            // Some answer 204, which is for GET (RFC 8555, 7.2), and the library takes 200 alone.
            answer.status = 200;
        }
        response(&answer, self)
    }

    fn post(&self, url: &str, body: &Bytes) -> Result<Answer, AcmeError> {
        // Nonces are good for one request: the library uses the one that was kept here, or a newer one.
        self.memory().nonce = None;
        let answer =
            again(self.is_harmless(url, body), || Ok(self.client.post(url, "application/jose+json", body)?))?;
        // Kept for errors too, which the library never sees.
        self.memory().nonce = answer.header(NONCE).map(str::to_owned);
        Ok(answer)
    }

    /// Whether a request may be sent once more when nobody knows what became of it: questions, an account's key, and the
    /// word that a challenge is ready. Not so orders, of which there would be two, nor signing requests, nor revocations.
    fn is_harmless(&self, url: &str, body: &Bytes) -> bool {
        // An empty payload is a question (RFC 8555, 6.3); `e30` is `{}`, the word that a challenge is ready (7.5.1).
        let payload = serde_json::from_slice::<Signed>(body).map(|signed| signed.payload);
        url == self.directory.new_account || payload.is_ok_and(|payload| matches!(payload.as_str(), "" | "e30"))
    }

    fn remember(&self, url: &str, answer: &Answer) {
        let seen = Seen {
            url: url.to_owned(),
            location: answer.header("location").map(str::to_owned),
            retry_after: header::retry_after(answer, clock::now()),
            alternates: header::links(answer, "alternate"),
            body: answer.body.clone().into(),
        };
        self.memory().last = Some(seen);
    }
}

impl HttpClient for Wire {
    /// Blocks, and is ready at once: nothing here waits for anything else.
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (parts, body) = request.into_parts();
        // The library opens bodies of answers alone, so ours travels as one.
        let mut body = BytesResponse::from(Response::new(body)).body;
        let sent = blocking(async { body.into_bytes().await.map_err(Error::Other) });
        let answer = sent.and_then(|body| {
            let exchanged = self.0.exchange(&parts.method, &parts.uri.to_string(), &body);
            exchanged.map_err(|error| Error::Other(Box::new(error)))
        });
        Box::pin(std::future::ready(answer))
    }
}

/// Makes a call, again where that may help and does no harm: after connections that broke, and errors of the server's own
/// that do not say when to come back.
fn again(is_harmless: bool, call: impl Fn() -> Result<Answer, AcmeError>) -> Result<Answer, AcmeError> {
    let watch = Stopwatch::start();
    for pause in PAUSES {
        signal::check()?;
        let result = call();
        if !is_harmless || !is_passing(&result) || watch.elapsed() > BUDGET {
            return result;
        }
        rest(pause)?;
    }
    signal::check()?;
    call()
}

fn is_passing(result: &Result<Answer, AcmeError>) -> bool {
    match result {
        Ok(answer) => answer.status >= 500 && answer.header("retry-after").is_none(),
        Err(AcmeError::Http(cause)) => matches!(
            **cause,
            HttpError::Name { .. }
                | HttpError::Timeout { .. }
                | HttpError::Connection { .. }
                | HttpError::Protocol { .. }
        ),
        Err(_) => false,
    }
}

/// Waits, unless we are to stop.
pub(super) fn rest(time: Duration) -> Result<(), AcmeError> {
    let watch = Stopwatch::start();
    loop {
        signal::check()?;
        let left = time.saturating_sub(watch.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Whether the library is to see an answer.
fn judge(answer: &Answer, speaker: &Speaker) -> Result<(), AcmeError> {
    let nonsense = |why: String| Err(AcmeError::Protocol { host: speaker.host.clone(), why });
    if answer.is_cut {
        return nonsense(format!("it is longer than {} KiB", LIMITS.body >> 10));
    }
    match answer.status {
        200..300 => Ok(()),
        300..400 => nonsense(format!("it points elsewhere (status {})", answer.status)),
        _ => {
            let problem = Problem::of(answer);
            if problem.kind().as_deref() == Some(BAD_NONCE) {
                return Ok(());
            }
            Err(problem.explain(speaker, Some(answer), clock::now()))
        }
    }
}

/// Who says of a directory that it is not there has none: that is a matter of the address, not of our account.
fn of_directory(error: AcmeError) -> AcmeError {
    match error {
        AcmeError::Refused { host, kind, detail } if kind.starts_with("status 4") => {
            AcmeError::Protocol { host, why: format!("no ACME directory: {detail} ({kind})") }
        }
        other => other,
    }
}

fn empty() -> Answer {
    Answer { status: 200, headers: Vec::new(), body: Vec::new(), is_cut: false }
}

/// In the library's form. Of the headers it looks at these, and at `Retry-After`, which we obey ourselves.
fn response(answer: &Answer, transport: &Transport) -> Result<BytesResponse, AcmeError> {
    // A refused nonce is told by 400 (RFC 8555, 6.5), and the library tries again for that status alone.
    let status = if answer.is_ok() { answer.status } else { 400 };
    let mut builder = Response::builder().status(status);
    for name in [NONCE, "location"] {
        if let Some(value) = answer.header(name) {
            builder = builder.header(name, value);
        }
    }
    let made =
        builder.body(Bytes::from(answer.body.clone())).map_err(|error| transport.nonsense(&error.to_string()))?;
    let (parts, body) = made.into_parts();
    Ok(BytesResponse { parts, body: Box::new(body) })
}
