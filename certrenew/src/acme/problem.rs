//! Problem documents (RFC 7807; RFC 8555, 6.7): what an authority sends instead of what was asked for, and what it means.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::Deserialize;
use shipshape_core::http::Answer;

use super::error::{AcmeError, Refused};
use super::{header, words};
use crate::identifier::Identifier;

/// What stands before ACME's own kinds of problems.
const ACME: &str = "urn:ietf:params:acme:error:";

/// The kind that says: take another nonce and ask again (RFC 8555, 6.5).
pub(super) const BAD_NONCE: &str = "badNonce";

/// The longest that an authority's word makes us wait. The longest limits of public ones are counted by the week; a header
/// that says a century must not stop renewals.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(7);

/// Who says what is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Speaker {
    /// The authority's host.
    pub(super) host: String,
    /// What CAA records call it, where it says so.
    pub(super) caa: Option<String>,
}

/// A problem as it was sent. Nothing in it has to be there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    r#type: Option<String>,
    detail: Option<String>,
    instance: Option<String>,
    subproblems: Option<Vec<Part>>,
}

/// The problem of one name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    r#type: Option<String>,
    detail: Option<String>,
    identifier: Option<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    value: String,
}

impl From<&instant_acme::Problem> for Problem {
    fn from(problem: &instant_acme::Problem) -> Self {
        let parts = problem.subproblems.iter().map(|part| Part {
            r#type: part.r#type.clone(),
            detail: part.detail.clone(),
            identifier: part.identifier.as_ref().map(|one| Named { value: one.authorized(false).to_string() }),
        });
        Self {
            r#type: problem.r#type.clone(),
            detail: problem.detail.clone(),
            instance: None,
            subproblems: Some(parts.collect()),
        }
    }
}

impl Problem {
    /// What an answer says that is no success: a document, or the text of a page that something before the authority made.
    pub(super) fn of(answer: &Answer) -> Self {
        let read: Option<Self> = serde_json::from_slice(&answer.body).ok();
        read.filter(|problem| problem.r#type.is_some() || problem.detail.is_some())
            .unwrap_or_else(|| Self { detail: Some(words::of_page(&answer.body)), ..Self::default() })
    }

    /// Its kind, without what stands before all of ACME's.
    pub(super) fn kind(&self) -> Option<String> {
        kind_of(self.r#type.as_deref())
    }

    /// What it means for us. `status` is the answer's; none where the problem stood within an answer.
    pub(super) fn explain(self, speaker: &Speaker, answer: Option<&Answer>, now: DateTime<Utc>) -> AcmeError {
        let host = speaker.host.clone();
        let status = answer.map(|answer| answer.status);
        let kind = self.kind();
        match kind.as_deref() {
            Some("accountDoesNotExist") => AcmeError::AccountGone { host },
            Some("externalAccountRequired") => AcmeError::Binding { host },
            Some("userActionRequired") => AcmeError::Terms { host, page: self.page(answer), detail: self.told() },
            Some("rateLimited") => self.later(host, answer, now),
            _ if matches!(status, Some(429 | 503)) => self.later(host, answer, now),
            _ => self.refused(speaker, kind, status),
        }
    }

    fn later(self, host: String, answer: Option<&Answer>, now: DateTime<Utc>) -> AcmeError {
        let detail = self.detail.as_deref().unwrap_or_default();
        let stated = answer.and_then(|answer| header::retry_after(answer, now)).map(|wait| after(now, wait));
        let retry_at = stated.or_else(|| time_in(detail)).map(|at| at.clamp(now, now + LONGEST_WAIT));
        AcmeError::Later { host, page: words::address(detail), detail: self.told(), retry_at }
    }

    /// A page to be visited: RFC 8555, 7.3.3 has it in `instance`, and a link to the terms in a header.
    fn page(&self, answer: Option<&Answer>) -> Option<String> {
        let linked = || answer.and_then(|answer| header::links(answer, "terms-of-service").into_iter().next());
        self.instance.clone().or_else(linked).and_then(|page| words::address(&page))
    }

    fn refused(self, speaker: &Speaker, kind: Option<String>, status: Option<u16>) -> AcmeError {
        let host = speaker.host.clone();
        let refused = self.of_each_name();
        if !refused.is_empty() {
            return AcmeError::Names { host, caa: speaker.caa.clone(), refused };
        }
        let status = status.map_or_else(|| "no reason is given".to_owned(), |status| format!("status {status}"));
        AcmeError::Refused { host, kind: kind.unwrap_or(status), detail: self.told() }
    }

    fn of_each_name(&self) -> Vec<Refused> {
        let parts = self.subproblems.iter().flatten();
        let named = parts.filter_map(|part| part.identifier.as_ref().map(|named| (part, named)));
        named
            .map(|(part, named)| Refused {
                name: words::told(&named.value),
                challenge: None,
                kind: kind_of(part.r#type.as_deref()).or_else(|| self.kind()).unwrap_or_default(),
                detail: words::told(part.detail.as_deref().unwrap_or_default()),
            })
            .collect()
    }

    /// The same as the failure of one name's challenge.
    pub(super) fn of_name(&self, name: String, challenge: &'static str) -> Refused {
        let kind = self.kind().unwrap_or_default();
        Refused { name, challenge: Some(challenge), kind, detail: self.told() }
    }

    /// In its words, those of its parts included.
    fn told(&self) -> String {
        let parts = self.subproblems.iter().flatten().filter_map(|part| part.detail.as_deref());
        let all: Vec<&str> = self.detail.as_deref().into_iter().chain(parts).filter(|text| !text.is_empty()).collect();
        if all.is_empty() { "it gives no reason".to_owned() } else { words::told(&all.join("; ")) }
    }
}

fn kind_of(stated: Option<&str>) -> Option<String> {
    let kind = words::told(stated?.strip_prefix(ACME).unwrap_or(stated?));
    (!kind.is_empty() && kind != "about:blank").then_some(kind)
}

/// When a wait is over that begins now, however long the authority says that it is.
pub(super) fn after(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(wait).map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT))
}

/// The time in `retry after 2026-11-20 08:50:37 UTC`, as Boulder writes it into what it says about its limits.
fn time_in(detail: &str) -> Option<DateTime<Utc>> {
    let (_, behind) = detail.split_once("retry after ")?;
    let stated = behind.get(..23)?;
    Some(NaiveDateTime::parse_from_str(stated, "%Y-%m-%d %H:%M:%S UTC").ok()?.and_utc())
}

/// A refusal that tells its names in its text alone becomes one of those names.
pub(super) fn by_name(error: AcmeError, speaker: &Speaker, names: &[Identifier]) -> AcmeError {
    let AcmeError::Refused { kind, detail, .. } = &error else { return error };
    // The kinds of RFC 8555, 6.7 that are about names and nothing else.
    if !matches!(kind.as_str(), "rejectedIdentifier" | "unsupportedIdentifier" | "caa" | "dns") {
        return error;
    }
    let refused = |name: &Identifier| Refused {
        name: name.to_string(),
        challenge: None,
        kind: kind.clone(),
        detail: detail.clone(),
    };
    let meant: Vec<Refused> = match names {
        [only] => vec![refused(only)],
        several => several.iter().filter(|name| is_in(&name.to_string(), detail)).map(refused).collect(),
    };
    if meant.is_empty() {
        return error;
    }
    AcmeError::Names { host: speaker.host.clone(), caa: speaker.caa.clone(), refused: meant }
}

/// Whether a text speaks of this name, and not only of one that ends in it.
fn is_in(name: &str, text: &str) -> bool {
    let of_a_name = |letter: char| letter.is_ascii_alphanumeric() || "-.:*".contains(letter);
    text.split(|letter| !of_a_name(letter)).any(|word| word.trim_matches(['.', ':']).eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
