//! Fuzz targets of what an authority answers, or something that stands before it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shipshape_core::error::Explain;
use shipshape_core::http::Answer;
use shipshape_fuzzing::fuzz;

use super::directory::Directory;
use super::problem::{self, Problem, Speaker};
use super::{header, renewal, words};

fn now() -> DateTime<Utc> {
    "2026-11-20T08:00:00Z".parse().unwrap()
}

/// The first byte says the status, the first line behind it is a header's value, the rest is the body.
fn answer(bytes: &[u8], name: &str) -> Answer {
    let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let statuses = [200, 201, 400, 403, 404, 429, 500, 503];
    Answer {
        status: statuses[usize::from(first) % statuses.len()],
        headers: vec![(name.to_owned(), String::from_utf8_lossy(&rest[..at]).into_owned())],
        body: rest.get(at + 1..).unwrap_or_default().to_vec(),
        is_cut: false,
    }
}

/// Whether a text may stand in a report: one line, bounded, nothing that a terminal obeys.
fn is_fit(text: &str) -> bool {
    text.chars().count() <= 301 && !text.chars().any(|letter| letter.is_control() || letter == '\u{202e}')
}

#[test]
fn a_wait_and_a_link_are_read_or_passed_over() {
    let seeds: [&[u8]; 5] = [
        b"\x00120\n",
        b"\x05Fri, 20 Nov 2026 08:49:37 GMT\n",
        b"\x00Sunday, 06-Nov-94 08:49:37 GMT\n",
        b"\x00Sun Nov  6 08:49:37 1994\n",
        b"\x00<https://ca.test/a,b;c>;rel=\"alternate index\", <x>; rel=up\n",
    ];
    fuzz(&seeds, |bytes| {
        let wait = header::retry_after(&answer(bytes, "retry-after"), now());
        if let Some(wait) = wait {
            assert!(problem::after(now(), wait) >= now());
        }
        let links = header::links(&answer(bytes, "link"), "alternate");
        assert!(links.len() <= 8 && links.iter().all(|link| link.len() <= 3 * bytes.len() && !link.contains('>')));
    });
}

#[test]
fn renewal_information_is_a_window_or_none() {
    let seeds: [&[u8]; 2] = [
        b"\x00120\n{\"suggestedWindow\":{\"start\":\"2026-11-20T04:00:00Z\",\"end\":\"2026-11-21T04:00:00.5+01:00\"},\"explanationURL\":\"https://ca.test/why\"}",
        b"\x00\n{\"suggestedWindow\":{\"start\":\"+262142-01-01T00:00:00Z\",\"end\":\"-262143-01-01T00:00:00Z\"}}",
    ];
    fuzz(&seeds, |bytes| {
        let read = renewal::read(&answer(bytes, "retry-after"), now());
        assert!((Duration::from_secs(60)..=Duration::from_secs(24 * 3600)).contains(&read.ask_again));
        assert!(read.window.is_none_or(|(start, end)| start < end));
        assert!(read.explanation.is_none_or(|page| page.starts_with("https://") && is_address(&page)));
        let id = String::from_utf8_lossy(bytes);
        assert!(renewal::identifier(&id).is_none() || id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
    });
}

fn is_address(text: &str) -> bool {
    text.len() <= 2000 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[test]
fn a_directory_tells_nothing_that_a_terminal_obeys() {
    let whole = b"\x00Fri, 20 Nov 2026 08:49:37 GMT\n{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\",\"newOrder\":\"https://ca.test/o\",\
        \"renewalInfo\":\"https://ca.test/r\",\"meta\":{\"termsOfService\":\"https://ca.test/t\",\"caaIdentities\":[\"ca.test\"],\"profiles\":{\"x\":\"y\\u001b[31m\"},\"externalAccountRequired\":true}}";
    fuzz(&[whole, b"\x00\n{}"], |bytes| {
        let answer = answer(bytes, "date");
        match Directory::read(&answer.body) {
            Ok(directory) => {
                let about = directory.about(&answer, now());
                let told =
                    about.caa_identities.iter().chain(about.profiles.iter().flat_map(|(name, what)| [name, what]));
                assert!(told.into_iter().all(|text| is_fit(text)));
                assert!(about.terms.is_none_or(|page| is_address(&page)) && directory.addresses().count() >= 3);
            }
            Err(why) => assert!(is_fit(why.strip_prefix("no ACME directory: ").unwrap()), "{why}"),
        }
    });
}

#[test]
fn a_refusal_becomes_an_error_in_one_line() {
    let seeds: [&[u8]; 4] = [
        b"\x0260\n{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"too many: retry after 2026-11-20 08:50:37 UTC: see https://ca.test/x\"}",
        b"\x03<https://ca.test/t>;rel=\"terms-of-service\"\n{\"type\":\"urn:ietf:params:acme:error:userActionRequired\",\"instance\":\"https://ca.test/agree\",\"detail\":\"x\"}",
        b"\x02\n{\"type\":\"x\",\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"no\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"}}]}",
        b"\x06\n<html><head><title>502</title></head><body>Bad \x1b[31m gateway</body></html>",
    ];
    fuzz(&seeds, |bytes| {
        for name in ["retry-after", "link"] {
            let answer = answer(bytes, name);
            let speaker = Speaker { host: "ca.test".to_owned(), caa: None };
            let error = Problem::of(&answer).explain(&speaker, Some(&answer), now());
            let told = error.to_string();
            assert!(!told.contains(['\n', '\x1b']), "{told}");
            assert!(error.hint().len() <= 8 << 10, "{} bytes", error.hint().len());
            if let super::AcmeError::Later { retry_at: Some(at), .. } = error {
                assert!(at >= now() && at - now() <= TimeDelta::days(400), "{at}");
            }
        }
    });
}

#[test]
fn words_of_others_are_made_fit() {
    fuzz(&[b" no\r\n\tvalid \x1b[31m A\xe2\x80\xae records\0 ", b"<p>see (https://ca.test/a).</p><script"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        assert!(is_fit(&words::told(&text)) && is_fit(&words::of_page(bytes)));
        assert_eq!(words::told(&words::told(&text)), words::told(&text));
        assert!(words::address(&text).is_none_or(|page| is_address(&page) && text.contains(&page)));
    });
}
