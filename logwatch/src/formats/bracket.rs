//! Lines that begin with a bracket: a time in it, a level, the kernel's seconds, or a name.

use super::{Format, Head, Nesting, access, logfmt, php, server, stamp, text, trace, word};

/// The head of such a line.
pub(super) fn head(line: &[u8], nesting: Nesting) -> Option<Head> {
    if let Some(end) = stamp::end(line, 1) {
        return dated(line, end, nesting);
    }
    // No name of a thread is long; a list that begins a line may be.
    let close = text::closing(line, 0)?;
    let inside = &line[1..close];
    if let Some(level) = word::stated(inside).filter(|_| inside.len() > 1 || inside[0].is_ascii_uppercase()) {
        let message = text::message(line, close + 1);
        return Some(Head::new(Format::Text, Some(level), message));
    }
    match inside {
        // Requests, in forms of their own.
        b"GIN" => access::gin(line),
        [b'p', b'i', b'd', b':', ..] => access::uwsgi(line),
        [letter, b' ', b'0'..=b'9', ..] => {
            // Tornado: `[E 240501 12:00:00 web:1] message`.
            let level = word::letter(*letter)?;
            stamp::end(line, 3)?;
            Some(Head::new(Format::Text, Some(level), text::skip_between(line, close)))
        }
        _ if is_uptime(inside) => Some(kernel(line, close + 1)),
        _ if is_of_a_trace(inside) => None,
        _ => named(line, close + 1, nesting),
    }
}

/// A time in the bracket, which ends here.
fn dated(line: &[u8], end: usize, nesting: Nesting) -> Option<Head> {
    match line {
        // `[01-May-2024 12:00:00 UTC] …`
        [_, _, _, b'-', _, _, _, b'-', ..] => php::dated(line, end, nesting),
        [_, b'A'..=b'Z', ..] => text::after_time(line, end, Format::Apache, nesting),
        _ if line.get(end..end + 2) == Some(b"] ") => {
            monolog(line, end + 2).or_else(|| text::after_time(line, end, Format::Text, nesting))
        }
        _ => text::after_time(line, end, Format::Text, nesting),
    }
}

/// `production.ERROR: message`.
fn monolog(line: &[u8], at: usize) -> Option<Head> {
    let channel = logfmt::key_length(&line[at..]);
    let name = &line[at..at + channel];
    if line.get(at + channel) != Some(&b':') {
        return None;
    }
    let point = name.iter().rposition(|byte| *byte == b'.')?;
    let level = word::level(&name[point + 1..]).filter(|_| name[point + 1..].iter().all(u8::is_ascii_uppercase))?;
    Some(Head::new(Format::Monolog, Some(level), text::skip_blanks(line, at + channel + 1)))
}

/// A name in the bracket: a time may follow, or a level at once.
fn named(line: &[u8], end: usize, nesting: Nesting) -> Option<Head> {
    let at = text::skip_blanks(line, end);
    match stamp::end(line, at) {
        Some(end) => server::redis_message(line, end).or_else(|| text::after_time(line, end, Format::Text, nesting)),
        None => text::without_time(line, end),
    }
}

/// The kernel's seconds since it began: `    12.345678`.
pub(super) fn is_uptime(inside: &[u8]) -> bool {
    let number = inside.trim_ascii_start();
    let whole = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    whole > 0
        && number.get(whole) == Some(&b'.')
        && number.len() == whole + 7
        && number[whole + 1..].iter().all(u8::is_ascii_digit)
}

/// The head of a message of the kernel that begins here.
pub(super) fn kernel(line: &[u8], at: usize) -> Head {
    let at = text::skip_blanks(line, at);
    let found = trace::head(&line[at..]).map(|head| head.after(at));
    found.unwrap_or_else(|| Head::new(Format::Kernel, None, at))
}

/// What PHP's traces have in brackets at the beginning of a line.
fn is_of_a_trace(inside: &[u8]) -> bool {
    [b"stacktrace".as_slice(), b"previous", b"object", b"internal"].iter().any(|word| inside.starts_with(word))
}
