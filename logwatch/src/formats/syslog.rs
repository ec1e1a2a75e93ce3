//! syslog by RFC 3164 and RFC 5424, rsyslog's files and journald's text. What a program states itself counts more than the
//! priority with which its words were carried: the engine's syslog driver calls all of stderr an error.

use super::{Format, Head, Nesting, bracket, nested, stamp, text, word};

/// `<34>Oct 11 22:14:15 host su: …`, `<34>1 2003-10-11T22:14:15.003Z host su - ID47 - …`, and systemd's `<3>…`.
pub(super) fn with_priority(line: &[u8]) -> Option<Head> {
    // Three digits at most, up to 191 (RFC 5424, 6.2.1).
    let digits = line[1..].iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || line.get(1 + digits) != Some(&b'>') {
        return text::indented(line, Nesting::Outer);
    }
    let priority = line[1..=digits].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let at = message(line, digits + 2);
    let head = nested(line, at, Format::Priority);
    Some(Head { level: head.level.or(Some(word::severity(priority % 8))), ..head })
}

/// `Oct 11 22:14:15 host su[123]: …`, and what else begins with the name of a month or a day.
pub(super) fn without_priority(line: &[u8]) -> Option<Head> {
    let end = stamp::end(line, 0)?;
    if is_java(line, end) {
        return Some(Head::new(Format::Jul, None, text::skip_blanks(line, end)));
    }
    match tagged(line, end) {
        Some(at) => Some(of_program(line, at)),
        None => text::after_time(line, end, Format::Text, Nesting::Outer),
    }
}

/// What a program wrote, from here on; the kernel's seconds stand before its messages.
fn of_program(line: &[u8], at: usize) -> Head {
    match text::closing(line, at) {
        Some(close) if line[at] == b'[' && bracket::is_uptime(&line[at + 1..close]) => bracket::kernel(line, close + 1),
        _ => nested(line, at, Format::Syslog),
    }
}

/// Where the message begins behind a priority.
fn message(line: &[u8], at: usize) -> usize {
    if let Some([b'1'..=b'9', b' ']) = line.get(at..at + 2) {
        return structured(line, at + 2);
    }
    match stamp::end(line, at) {
        Some(end) => tagged(line, end).unwrap_or_else(|| text::skip_blanks(line, end)),
        None => text::skip_blanks(line, at),
    }
}

/// RFC 5424 behind its version: time, host, program, process and kind, then structured data, then the message.
fn structured(line: &[u8], mut at: usize) -> usize {
    for _ in 0..5 {
        match memchr::memchr(b' ', &line[at..]) {
            Some(length) => at += length + 1,
            None => return line.len(),
        }
    }
    while line.get(at) == Some(&b'[') {
        at = structured_end(line, at);
    }
    at = text::skip_blanks(line, if line.get(at) == Some(&b'-') { at + 1 } else { at });
    // The message may begin with a byte order mark (RFC 5424, 6.4).
    if line[at..].starts_with(b"\xef\xbb\xbf") { at + 3 } else { at }
}

/// Where an element of structured data ends; its values may hold brackets.
fn structured_end(line: &[u8], mut at: usize) -> usize {
    // Within a value, a quote and a bracket are escaped (RFC 5424, 6.3.3); programs forget the bracket.
    let mut in_value = false;
    while let Some(byte) = line.get(at) {
        at += 1;
        match byte {
            b'\\' if in_value => at += 1,
            b'"' => in_value = !in_value,
            b']' if !in_value => return at,
            _ => {}
        }
    }
    line.len()
}

/// Behind the program's name: one of the first two words behind the time that ends with a colon.
fn tagged(line: &[u8], end: usize) -> Option<usize> {
    let mut at = text::skip_blanks(line, end);
    for _ in 0..2 {
        let length = memchr::memchr(b' ', line.get(at..)?).unwrap_or(line.len() - at);
        if line[at..at + length].ends_with(b":") {
            return Some(text::skip_blanks(line, at + length));
        }
        at = text::skip_blanks(line, at + length);
    }
    None
}

/// `May 01, 2024 12:00:00 PM org.example.Name method`: java.util.logging, whose next line says the level.
fn is_java(line: &[u8], end: usize) -> bool {
    let has_comma = line.get(5..8).is_some_and(|text| text.contains(&b','));
    has_comma && memchr::memchr(b'.', &line[end..]).is_some()
}
