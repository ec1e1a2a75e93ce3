//! Secrets in headers of HTTP, as they are sent, as keys of JSON, as PHP prints them, as options of curl.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::bytes::{Regex, RegexBuilder};

use super::plain;
use super::rule::{Candidate, Rule, telltales};
use super::value;

/// In the order in which they have a say.
pub(super) static RULES: [Rule; 5] = [
    // RFC 9110, section 11.6.2: a scheme, and what goes with it. Some send the token alone.
    Rule::group(
        "authorization-header",
        telltales!(Assigned: "uthorization", "UTHORIZATION"),
        concat!(
            r#"(?i)authorization["'\\]{0,3}\]?[ \t]{0,2}(?:=>|[=:])[ \t]{0,2}[\["'\\]{0,5}"#,
            r"(?:(?<scheme>[a-z][a-z0-9-]{2,15})\s{1,2})?(?<value>[a-z0-9._~+/=:%-]{8,})",
        ),
    )
    .only(is_credential)
    .advice("revoke this credential, and keep the header Authorization out of the log"),
    // The same without the header's name, as HTTP clients quote it (RFC 6750).
    Rule::group("bearer-token", telltales!(Token: "earer "), r"(?i)\bbearer\s(?<value>[a-z0-9._~+/=-]{16,})")
        .only(|candidate| plain::is_random(candidate.value()) && !plain::is_placeholder(candidate.value()))
        .advice("revoke this token, and keep the header Authorization out of the log"),
    // `X-Api-Key`, `X-Auth-Token`, `X-Vault-Token`, `X-Amz-Security-Token`: the last word counts.
    Rule::before(
        "api-key-header",
        telltales!(Assigned: "pi-key", "pi-Key", "PI-KEY", "token", "Token", "TOKEN", "ecret", "ECRET"),
        r#"(?i)\bx-(?:[a-z]+-){0,3}(?:key|token|secret)["'\\]{0,3}\]?[ \t]{0,2}(?:=>|[=:])[ \t]{0,2}"#,
    )
    .only(is_header_key)
    .advice("revoke this key, and keep the header out of the log"),
    // Cookies of frameworks are known by their names wherever they stand: in headers, in addresses, in dumps.
    Rule::group(
        "session-cookie",
        telltales!(Token: "SESSI", "nid=", "t.sid=", "_session="),
        concat!(
            r"(?i)(?:PHPSESSID|JSESSIONID|ASP\.NET_SessionId|connect\.sid|\bsessionid|[a-z0-9-]+_session|remember_web_[0-9a-f]+)",
            r"=(?<value>[a-z0-9%._~+/=:,-]{16,})",
        ),
    )
    .weak()
    .advice("end this session, and keep cookies out of the log"),
    // All others are known only inside their header, and by being random.
    Rule::by("cookie-header", telltales!(Assigned: "ookie", "OOKIE"), cookies)
        .weak()
        .advice("end these sessions, and keep cookies out of the log"),
];

/// Whether what follows `Authorization:` lets somebody in, and is no word about it.
fn is_credential(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    let scheme = candidate.announced().trim_ascii_end().to_ascii_lowercase();
    // The signature of one request (RFC 7616, AWS version 4): its parts are no secrets.
    let is_signature =
        scheme.ends_with(b"digest") || scheme.ends_with(b"aws4-hmac-sha256") || value.starts_with(b"AWS4-");
    let is_login = scheme.ends_with(b"basic") && is_user_and_password(value);
    !is_signature && !plain::is_placeholder(value) && (is_login || plain::is_random(value))
}

/// Whether it is `user:password` in base64 (RFC 7617).
fn is_user_and_password(value: &[u8]) -> bool {
    let unpadded = value.iter().rposition(|byte| *byte != b'=').map_or(&[][..], |last| &value[..=last]);
    STANDARD_NO_PAD.decode(unpadded).is_ok_and(|login| login.contains(&b':'))
}

/// Headers that are named like a key and hold none: tokens against forged requests, ids.
fn is_header_key(candidate: &Candidate<'_>) -> bool {
    let name = candidate.announced().to_ascii_lowercase();
    let is_harmless =
        [&b"csrf"[..], b"xsrf", b"idempotency"].iter().any(|word| memchr::memmem::find(&name, word).is_some());
    let value = candidate.value();
    !is_harmless && value.len() >= 8 && plain::is_random(value) && !plain::is_placeholder(value)
}

/// What comes before the cookies of a request or an answer.
static COOKIE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r#"(?i)(?:\b|_)(?:set-)?cookie["'\\]{0,3}\]?[ \t]{0,2}(?:=>|[=:])[ \t]{0,2}"#;
    RegexBuilder::new(pattern).unicode(false).build().ok()
});

/// Cookies that count visits, and those that are worth nothing alone.
const HARMLESS: &[&str] = &[
    "_ga",
    "_gid",
    "_gcl",
    "_fbp",
    "_fbc",
    "__utm",
    "_hj",
    "_pk_",
    "xsrf",
    "csrf",
    "consent",
    "locale",
    "cf_",
    "__cf",
    "ajs_",
    "optimizely",
];

/// How much of a header is looked at, in bytes: browsers keep 4 KiB of each cookie.
const LONGEST_HEADER: usize = 8 << 10;

/// The values of cookies that look like sessions.
fn cookies(record: &[u8], found: &mut Vec<Range<usize>>) {
    let Some(regex) = COOKIE.as_ref() else { return };
    let mut seen = 0;
    for header in regex.find_iter(record) {
        if header.start() < seen {
            continue;
        }
        let mut from = header.end();
        let opening =
            record[from..].iter().take(5).take_while(|byte| matches!(byte, b'[' | b'"' | b'\'' | b'\\')).count();
        from += opening;
        let window = &record[from..record.len().min(from + LONGEST_HEADER)];
        let length = window.iter().take_while(|byte| !matches!(byte, b'\n' | b'"' | b'\'')).count();
        seen = from + length;
        for pair in window[..length].split(|byte| *byte == b';') {
            found.extend(session(record, from..from + pair.len()));
            from += pair.len() + 1;
        }
    }
}

/// The value of one cookie, if it looks like a session.
fn session(record: &[u8], pair: Range<usize>) -> Option<Range<usize>> {
    let equals = pair.start + memchr::memchr(b'=', &record[pair.clone()])?;
    let name = String::from_utf8_lossy(&record[pair.start..equals]).trim().to_ascii_lowercase();
    let value = value::after(&record[..pair.end], equals + 1)?;
    let text = &record[value.clone()];
    let is_harmless = HARMLESS.iter().any(|harmless| name.starts_with(harmless) || name.ends_with("csrf"));
    (!is_harmless && text.len() >= 16 && plain::is_random(text)).then_some(value)
}
