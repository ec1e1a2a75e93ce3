//! Lines that begin with a letter: a level, glog, Ruby, a trace, a method, pairs, the name of a host.

use super::{Format, Head, access, keyword, logfmt, php, stamp, text, trace, word};
use crate::level::Level;

/// The head of such a line.
pub(super) fn head(line: &[u8]) -> Option<Head> {
    // What is told by its first few bytes, and can be nothing else.
    match line {
        [letter, b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..] => return glog(line, *letter),
        [letter, b',', b' ', b'[', ..] => return ruby(line, *letter),
        [b'P', b'H', b'P', b' ', ..] => return php::said(line, 0),
        _ => {}
    }
    trace::head(line).or_else(|| {
        let length = text::letters(line);
        match line.get(length) {
            Some(b'=') => logfmt::head(line),
            _ => word_first(line, length).or_else(|| rarely(line, length)),
        }
    })
}

/// A request as uvicorn writes it, `INFO:     10.0.0.9:41389 - "GET / HTTP/1.1" 200 OK`: most lines of those who have it are
/// such, and no other form begins so. [`head`] says the same of them.
pub(super) fn request(line: &[u8]) -> Option<Head> {
    const BEGINNING: &[u8] = b"INFO:     ";
    let has_address = line.starts_with(BEGINNING) && line.get(BEGINNING.len()).is_some_and(u8::is_ascii_digit);
    // What is no address may be a process, and then a name: `12 --- name`, `12#0: name`.
    let is_process = |rest: &[u8]| rest.iter().find(|byte| !byte.is_ascii_digit()).is_none_or(|byte| *byte != b'.');
    if !has_address || is_process(&line[BEGINNING.len()..]) {
        return None;
    }
    access::in_message(line, BEGINNING.len())
}

/// What few lines begin with.
fn rarely(line: &[u8], length: usize) -> Option<Head> {
    match line.get(length) {
        Some(b':') if line.get(length + 1..length + 3) == Some(b" [") => in_brackets(line, length + 2),
        Some(b' ') if line[0].is_ascii_uppercase() => access::short(line).or_else(|| access::head(line)),
        Some(b'_' | b'.' | b'@' | b'-') => {
            let key = logfmt::key_length(line);
            if line.get(key) == Some(&b'=') { logfmt::head(line) } else { access::head(line) }
        }
        _ => access::head(line),
    }
}

/// `nginx: [emerg] message`: a program that does not log yet.
fn in_brackets(line: &[u8], open: usize) -> Option<Head> {
    let close = text::closing(line, open)?;
    let level = word::stated(&line[open + 1..close])?;
    Some(Head::new(Format::Text, Some(level), text::skip_blanks(line, close + 1)))
}

/// A level at the beginning: `ERROR: …`, `error: …`, `ERROR:root:…`, `ERRO[0012] …`.
fn word_first(line: &[u8], length: usize) -> Option<Head> {
    let word = &line[..length];
    let level = word::level(word).or_else(|| of_dotnet(line, word))?;
    if !is_meant(word, &line[length..]) {
        return None;
    }
    let message = message(line, length);
    let head = Head::new(format(line, length), Some(level), message);
    let request = if level == Level::Info { access::in_message(line, message) } else { None };
    Some(request.unwrap_or(head))
}

/// Whether a level's word at the beginning of a line is one.
fn is_meant(word: &[u8], rest: &[u8]) -> bool {
    // Sentences begin with `Log`, `Alert`, `Success`; records with a level and a colon.
    let is_usual = !matches!(word[0] | 0x20, b'l' | b'a') && !word.eq_ignore_ascii_case(b"success");
    match rest {
        _ if word.iter().all(u8::is_ascii_uppercase) => match rest {
            [b':', ..] => true,
            [b' ' | b'\t' | b'|' | b'[', ..] => is_usual,
            _ => false,
        },
        // `Error: …` is how a trace of Node begins, or goes on.
        _ if word == b"Error" => false,
        [b':', b' ' | b'\t', value @ ..] => (is_usual || word[0].is_ascii_lowercase()) && !keyword::is_nothing(value),
        [b':'] => true,
        [b' ', rest @ ..] => is_usual && word[0].is_ascii_lowercase() && rest.trim_ascii_start().starts_with(b"- "),
        _ => false,
    }
}

/// `fail: Category[0]`, as .NET writes to the console; the message is on the next line.
fn of_dotnet(line: &[u8], word: &[u8]) -> Option<Level> {
    (word == b"fail" && line.ends_with(b"]")).then_some(Level::Error)
}

fn format(line: &[u8], length: usize) -> Format {
    let blanks = line[length..].iter().skip(1).take_while(|byte| **byte == b' ').count();
    match line[length] {
        // uvicorn's messages begin in one column.
        b':' if length + 1 + blanks == 10 => Format::Uvicorn,
        b':' if blanks == 2 => Format::Postgres,
        _ => Format::Text,
    }
}

/// Where the message begins; Python has the logger's name before it: `ERROR:root:message`.
fn message(line: &[u8], length: usize) -> usize {
    if line[length] == b':' && line.get(length + 1).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
        let name = logfmt::key_length(&line[length + 1..]);
        if line.get(length + 1 + name) == Some(&b':') {
            return length + name + 2;
        }
    }
    text::message(line, length)
}

/// `E0501 12:00:00.123456   12345 file.go:123] message`.
fn glog(line: &[u8], letter: u8) -> Option<Head> {
    let level = word::letter(letter)?;
    let (_, end) = stamp::read_glog(line, 1)?;
    // Behind the number of a thread and a place in the source.
    let close = memchr::memchr(b']', &line[end..]).map(|length| end + length + 1);
    Some(Head::new(Format::Glog, Some(level), text::skip_blanks(line, close.unwrap_or(end))))
}

/// `E, [2024-05-01T12:00:00.123456 #1] ERROR -- : message`.
fn ruby(line: &[u8], letter: u8) -> Option<Head> {
    let end = stamp::end(line, 4)?;
    // `ANY` and `UNKNOWN` are levels of Ruby that say nothing.
    let level = if matches!(letter, b'A' | b'U') { None } else { Some(word::letter(letter)?) };
    let dashes = memchr::memmem::find(&line[end..], b" -- ").map_or(end, |length| end + length + 4);
    let colon = memchr::memmem::find(&line[dashes..], b": ").map_or(dashes, |length| dashes + length + 2);
    Some(Head::new(Format::Ruby, level, colon))
}
