//! Renewal information (RFC 9773): when the authority wants a certificate renewed. Nothing that goes wrong here is a reason
//! to fail: it is a wish, and without it the certificate's lifetime decides.

use std::time::Duration;

use chrono::{DateTime, Utc};
use instant_acme::CertificateIdentifier;
use serde::Deserialize;
use shipshape_core::clock;
use shipshape_core::http::Answer;

use super::error::AcmeError;
use super::transport::Transport;
use super::{Window, header, words};

/// When to ask again where the answer says nothing of it, or made no sense (RFC 9773, 4.3.3).
const USUAL: Duration = Duration::from_secs(6 * 3600);

/// No wait is shorter or longer than these, whatever is asked for (RFC 9773, 4.3.2).
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest identifier, in bytes: serial numbers have 20 bytes, the identifiers of keys as a rule 20 or 32.
const LONGEST_ID: usize = 200;

/// What is sent (RFC 9773, 4.2).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    suggested_window: Suggested,
    #[serde(default, rename = "explanationURL")]
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct Suggested {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// The wish for one certificate; none where there is no such service.
pub(super) fn window(transport: &Transport, id: &str) -> Option<Window> {
    identifier(id)?;
    let service = transport.directory().renewal_info.as_deref()?;
    match transport.get(&format!("{}/{id}", service.trim_end_matches('/'))) {
        Ok(answer) => Some(read(&answer, clock::now())),
        Err(AcmeError::Interrupted(_)) => None,
        Err(_) => Some(Window { window: None, ask_again: USUAL, explanation: None }),
    }
}

pub(super) fn read(answer: &Answer, now: DateTime<Utc>) -> Window {
    let info = if answer.is_ok() { serde_json::from_slice::<Info>(&answer.body).ok() } else { None };
    // A window whose end is not after its beginning is no answer (RFC 9773, 4.2).
    let info = info.filter(|info| info.suggested_window.end > info.suggested_window.start);
    let told = header::retry_after(answer, now).map(|wait| wait.clamp(SHORTEST, LONGEST));
    Window {
        window: info.as_ref().map(|info| (info.suggested_window.start, info.suggested_window.end)),
        ask_again: told.unwrap_or(USUAL),
        explanation: info.and_then(|info| info.explanation).and_then(|page| words::address(&page)),
    }
}

/// A certificate's identifier, `KEY.SERIAL` in base64url (RFC 9773, 4.1). It becomes a part of an address.
pub(super) fn identifier(id: &str) -> Option<CertificateIdentifier<'_>> {
    let (key, serial) = id.split_once('.')?;
    let is_base64url = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_one = id.len() <= LONGEST_ID && is_base64url(key) && is_base64url(serial);
    is_one.then(|| CertificateIdentifier { authority_key_identifier: key.into(), serial: serial.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"suggestedWindow":{"start":"2026-11-20T04:00:00Z","end":"2026-11-21T04:00:00.5+01:00"},
        "explanationURL":"https://ca.test/why"}"#;

    fn seen(status: u16, retry_after: Option<&str>, body: &str) -> Window {
        let headers = retry_after.map(|value| ("retry-after".to_owned(), value.to_owned())).into_iter().collect();
        let answer = Answer { status, headers, body: body.as_bytes().to_vec(), is_cut: false };
        read(&answer, "2026-11-20T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_wish_is_read_with_its_page_and_the_time_of_the_next_question() {
        let window = seen(200, Some("7200"), GOOD);
        let (start, end) = window.window.unwrap();
        assert_eq!(start, "2026-11-20T04:00:00Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(end, "2026-11-21T03:00:00.5Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(window.explanation.as_deref(), Some("https://ca.test/why"));
        assert_eq!(window.ask_again, Duration::from_secs(7200));
    }

    #[test]
    fn the_next_question_is_neither_too_soon_nor_too_late() {
        let waits = [Some("0"), Some("59"), Some("999999999"), None, Some("soon")];
        assert_eq!(waits.map(|wait| seen(200, wait, GOOD).ask_again), [SHORTEST, SHORTEST, LONGEST, USUAL, USUAL]);
    }

    #[test]
    fn nonsense_is_no_wish_and_no_failure() {
        let inverted = GOOD.replace("2026-11-21", "2026-11-19");
        let empty = GOOD.replace("2026-11-21T04:00:00.5+01:00", "2026-11-20T04:00:00Z");
        let unsafe_page = GOOD.replace("https://ca.test/why", "javascript:alert(1)");
        for (status, body) in [(200, inverted.as_str()), (200, &empty), (200, "{"), (200, "[]"), (404, GOOD), (500, "")]
        {
            assert_eq!(seen(status, None, body).window, None, "{status} {body}");
        }
        assert_eq!(seen(200, None, &unsafe_page).explanation, None);
    }

    #[test]
    fn an_identifier_is_two_words_of_base64url() {
        let found = identifier("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").unwrap();
        assert_eq!(found.to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        for id in ["", ".", "a.", ".b", "a.b.c", "a/../x.b", "a?.b", "ab", &format!("{}.b", "a".repeat(300))] {
            assert!(identifier(id).is_none(), "{id} was taken");
        }
    }

    proptest! {
        #[test]
        fn no_answer_stops_us(body in prop::collection::vec(any::<u8>(), 0..200), start in "\\PC{0,30}") {
            let _ = seen(200, Some(&start), &String::from_utf8_lossy(&body));
            let _ = seen(200, None, &GOOD.replace("2026-11-20T04:00:00Z", &start.replace(['"', '\\'], "")));
        }
    }
}
