//! Requests that were answered: judged by the status of the answer alone, whatever words are in the address.

use memchr::memchr;

use super::{Format, Head, json, near};
use crate::level::Level;

/// How far from the beginning of the line the time is looked for, in bytes: behind a virtual host, an address and a user.
const REACH: usize = 300;

/// The level of an answer. What the client did wrong is no error of ours: scanners make thousands of such requests.
pub(super) fn level(status: u16) -> Level {
    if status >= 500 { Level::Error } else { Level::Info }
}

/// A status at the beginning of a text: three digits, and then something else.
pub(super) fn status(text: &[u8]) -> Option<u16> {
    let [a @ b'0'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = text else { return None };
    let ends = rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.');
    let digit = |byte: &u8| u16::from(byte - b'0');
    ends.then(|| digit(a) * 100 + digit(b) * 10 + digit(c))
}

/// The head of a line that begins with who asked, with a time behind it.
pub(super) fn head(line: &[u8]) -> Option<Head> {
    in_brackets(line).or_else(|| of_fpm(line))
}

/// PHP-FPM's own form: `10.0.0.9 -  20/Nov/2026:10:00:00 +0000 "GET /index.php" 500`, with a user or none.
fn of_fpm(line: &[u8]) -> Option<Head> {
    /// How long the time is, with the blank behind it.
    const TIME: usize = 27;
    // No address is longer; most lines that are no requests are told by what follows their first word.
    let blank = memchr(b' ', &line[..line.len().min(48)])?;
    if !line[blank..].starts_with(b" - ") {
        return None;
    }
    let quote = memchr(b'"', &line[..line.len().min(REACH)])?;
    let time = line.get(quote.checked_sub(TIME)?..quote)?;
    if is_date(time) { request(line, quote) } else { None }
}

/// The head of a line whose time is in brackets, behind who asked: the common and the combined form, also with a virtual host
/// before it, and `HAProxy`'s.
fn in_brackets(line: &[u8]) -> Option<Head> {
    let open = near::find(b'[', &line[..line.len().min(REACH)])?;
    if open == 0 || line[open - 1] != b' ' || !is_date(&line[open + 1..]) {
        return None;
    }
    let close = open + near::find(b']', line[open..].get(..48).unwrap_or(&line[open..]))?;
    let rest = &line[close + 1..];
    match near::find(b'"', &rest[..rest.len().min(64)]) {
        Some(quote) => request(line, close + 1 + quote),
        None => haproxy(line, close + 1),
    }
}

/// `10/Oct/2000:13:55:36`, and what werkzeug writes: `10/Oct/2000 13:55:36`.
fn is_date(text: &[u8]) -> bool {
    matches!(
        text,
        [b'0'..=b'3', b'0'..=b'9', b'/', b'A'..=b'S', _, _, b'/', b'0'..=b'9', _, _, _, b':' | b' ', b'0'..=b'9', ..]
    )
}

/// The head of an answered request whose quote opens here.
pub(super) fn request(line: &[u8], quote: usize) -> Option<Head> {
    // Apache escapes a quote within a request by a backslash, as JSON does.
    let end = json::text_end(line, quote + 1)?;
    let after = line.get(end + 1..)?.trim_ascii_start();
    status(after).map(|status| Head::new(Format::Access, Some(level(status)), quote + 1))
}

/// `HAProxy`: `frontend backend/server 10/0/30/69/109 200 2750 …`. The timers tell a request of HTTP, which has a status, from a
/// connection of TCP, which has none.
fn haproxy(line: &[u8], at: usize) -> Option<Head> {
    let mut words = line[at..].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (_, server, timers, answer) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if !server.contains(&b'/') || !timers.contains(&b'/') {
        return None;
    }
    let is_http = memchr::memchr_iter(b'/', timers).count() == 4;
    let level = if is_http { level(status(answer).unwrap_or_default()) } else { Level::Info };
    Some(Head::new(Format::Access, Some(level), at + 1))
}

/// A request in the message of a line that has a level: `1.2.3.4:5 - "GET / HTTP/1.1" 500`, as uvicorn writes it.
pub(super) fn in_message(line: &[u8], message: usize) -> Option<Head> {
    let text = line.get(message..)?;
    if !matches!(text.first()?, b'0'..=b'9' | b'[' | b'a'..=b'f' | b':') {
        return None;
    }
    let quote = near::find(b'"', &text[..text.len().min(64)])?;
    if text[..quote].ends_with(b" - ") { request(line, message + quote) } else { None }
}

/// `GET /path 200 12 ms`: morgan's short form.
pub(super) fn short(line: &[u8]) -> Option<Head> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let (method, path, answer) = (words.next()?, words.next()?, words.next()?);
    let is_request = is_method(method) && path.first() == Some(&b'/');
    let status = status(answer).filter(|status| is_request && *status >= 100)?;
    Some(Head::new(Format::Access, Some(level(status)), 0))
}

/// gin: `[GIN] 2024/05/01 - 12:00:00 | 500 | 1.2ms | 1.2.3.4 | GET "/x"`.
pub(super) fn gin(line: &[u8]) -> Option<Head> {
    let bar = memchr(b'|', &line[..line.len().min(40)])?;
    let status = status(line[bar + 1..].trim_ascii_start())?;
    Some(Head::new(Format::Access, Some(level(status)), bar + 2))
}

/// uWSGI: `[pid: 1|app: 0|req: 1/1] 1.2.3.4 () {…} [time] GET / => generated 5 bytes in 1 msecs (HTTP/1.1 500) …`.
pub(super) fn uwsgi(line: &[u8]) -> Option<Head> {
    const PROTOCOL: &[u8] = b" msecs (HTTP/";
    let found = memchr::memmem::rfind(line, PROTOCOL)?;
    let after = line.get(found + PROTOCOL.len()..)?;
    let status = status(&after[memchr(b' ', after)? + 1..])?;
    Some(Head::new(Format::Access, Some(level(status)), memchr(b']', line)? + 2))
}

fn is_method(word: &[u8]) -> bool {
    matches!(word, b"GET" | b"POST" | b"PUT" | b"DELETE" | b"HEAD" | b"PATCH" | b"OPTIONS" | b"TRACE" | b"CONNECT")
}
