//! Posting to a URL that is a secret.

use super::{STEP, SinkError};
use crate::alert::message::one_line;
use crate::config::{Place, UrlSource};
use crate::http::{Answer, Client, Limits, Trust, host_of};
use crate::redact;

/// How much of an answer is read, in bytes, and how much of it is told, in characters.
const ANSWER: u64 = 4 << 10;
const TOLD: usize = 200;

impl Place {
    /// The URL, known to the redactor from here on.
    pub(super) fn resolve(&self) -> Result<String, SinkError> {
        let url = match &self.url {
            UrlSource::Stated(url) => url.clone(),
            UrlSource::Secret(source) => source.resolve()?.expose().trim().to_owned(),
        };
        redact::learn(&url);
        // What a server quotes of it is mostly the path.
        if let Some((_, path)) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            redact::learn(path);
        }
        self.refusal(&url).map_or(Ok(url), |reason| Err(SinkError::Url { reason }))
    }

    /// Posts bytes to a URL that came from [`Place::resolve`]. Anything but a 2xx is a refusal.
    pub(super) fn post(&self, url: &str, content_type: &str, body: &[u8]) -> Result<(), SinkError> {
        let trust = self.ca_file.clone().map_or(Trust::Machine, Trust::File);
        let limits = Limits { connect: STEP, whole: STEP, body: ANSWER };
        let answer = Client::new(&limits, &trust)?.post(url, content_type, body)?;
        if answer.is_ok() { Ok(()) } else { Err(refused(host_of(url)?, &answer)) }
    }
}

fn refused(host: String, answer: &Answer) -> SinkError {
    let said = String::from_utf8_lossy(&answer.body);
    SinkError::Refused { host, status: answer.status, said: one_line(&redact::redact(&said), TOLD) }
}
