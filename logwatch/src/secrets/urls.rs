//! Secrets in addresses: passwords before the host, tokens in the query.

use std::ops::Range;

use memchr::memmem;

use super::named::{self, PASSWORD, SECRET};
use super::plain;
use super::rule::{Candidate, Rule, telltales};

/// The longest user and password together, in bytes.
const LONGEST_USERINFO: usize = 512;

/// The longest host that is looked through for another `@`, in bytes.
const LONGEST_HOST: usize = 256;

/// In the order in which they have a say.
pub(super) static RULES: [Rule; 5] = [
    // RFC 3986, section 3.2.1; it says itself that passwords do not belong there.
    Rule::by("url-password", telltales!(Userinfo: "@"), passwords)
        .only(is_no_sample)
        .advice("change this user's password, and give it to the program by a file or a variable that is not logged"),
    // Access logs hold the query of each request, and so do the Referer headers of the next ones.
    Rule::before(
        "query-password",
        PASSWORD,
        r"(?i)[?&](?:amp;)?[a-z0-9_.-]{0,40}(?:\[|%5B)?(?:passw(?:or)?d|passphrase|pwd|pass)(?:\]|%5D)?=",
    )
    .advice("change this password, and send it in the body of a request, never in the address"),
    Rule::before(
        "query-token",
        SECRET,
        r"(?i)[?&](?:amp;)?[a-z0-9_.-]{0,40}(?:token|secret|api[_-]?key|access[_-]?key)=",
    )
    .only(|candidate| named::is_secret(candidate) && candidate.value().len() >= 8)
    .weak()
    .advice("revoke this token, and send it in a header, or keep the query out of the access log"),
    // What Laravel and Devise mail to whoever forgot the password: whoever reads the log can use it first.
    Rule::group(
        "reset-link",
        telltales!(Token: "password/reset/", "t-password/"),
        r"(?i)/(?:password/reset|reset-password)/(?<value>[a-z0-9_-]{32,})",
    )
    .weak()
    .advice("let links to reset a password end after minutes, and keep their path out of the access log"),
    Rule::group(
        "signed-url",
        telltales!(Token: "ure="),
        r"(?i)[?&;](?:amp;)?(?:x-(?:amz|goog)-)?signature=(?<value>[a-z0-9%+/_~=-]{20,})",
    )
    .weak()
    .advice("let signed addresses end after minutes, and keep the query out of the log"),
];

/// The user and the password that the `@` at this place ends: `scheme://user:password@host`, also with the slashes escaped
/// as PHP does, and `user:password@tcp(host)` of Go's MySQL driver.
pub(super) fn userinfo(bytes: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let host = &bytes[at + 1..];
    if !is_last(&host[..host.len().min(LONGEST_HOST)]) {
        return None;
    }
    let before = &bytes[at.saturating_sub(LONGEST_USERINFO)..at];
    // Two other `@` may be in the password; with more, a text of nothing else would take time for all that lies between.
    let mut others = 0;
    let is_word = |byte: &&u8| {
        others += u32::from(**byte == b'@');
        !ends_word(**byte) && others <= 2
    };
    let start = at - before.iter().rev().take_while(is_word).count();
    // Most are addresses of mail: those have no colon.
    memchr::memchr(b':', &bytes[start..at])?;
    let userinfo = start + beginning(&bytes[start..at], host)?;
    let colon = userinfo + memchr::memchr(b':', &bytes[userinfo..at])?;
    let (user, password) = (userinfo..colon, colon + 1..at);
    let is_path = bytes[user.clone()].iter().any(|byte| matches!(byte, b'/' | b'?' | b'#'));
    (!is_path && !password.is_empty() && !is_port(&bytes[password.clone()])).then_some((user, password))
}

/// Where user and password begin in the word before the `@`.
fn beginning(word: &[u8], host: &[u8]) -> Option<usize> {
    let plain = memmem::rfind(word, b"://").map(|at| at + 3);
    let escaped = memmem::rfind(word, b":\\/\\/").map(|at| at + 5);
    let is_driver = host.starts_with(b"tcp(") || host.starts_with(b"unix(");
    plain.max(escaped).or_else(|| is_driver.then_some(0))
}

/// Whether no other `@` follows before the path: people write passwords with an `@` in them.
fn is_last(host: &[u8]) -> bool {
    let end = host.iter().position(|byte| ends_word(*byte) || matches!(byte, b'/' | b'?' | b'#' | b',' | b'@' | b'('));
    end.is_none_or(|end| host[end] != b'@')
}

fn ends_word(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | 0x7f)
}

/// `8443/@scope/package`: the colon came after a host, and no user.
fn is_port(password: &[u8]) -> bool {
    let digits = password.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && matches!(password.get(digits), Some(b'/' | b'?' | b'#' | b'\\'))
}

fn passwords(record: &[u8], found: &mut Vec<Range<usize>>) {
    found.extend(memchr::memchr_iter(b'@', record).filter_map(|at| userinfo(record, at)).map(|(_, password)| password));
}

/// Whether it is none of the passwords that documentation is full of: `user:pass@`, `username:password@`.
fn is_no_sample(candidate: &Candidate<'_>) -> bool {
    let user = candidate.before(64);
    let names_nobody = [&b"/user:"[..], b"/username:", b"/login:"].iter().any(|name| user.ends_with(name));
    let is_sample = names_nobody && matches!(candidate.value(), b"pass" | b"password" | b"passwd" | b"secret" | b"pwd");
    !is_sample && candidate.value() != b"x-oauth-basic" && !plain::is_placeholder(candidate.value())
}
