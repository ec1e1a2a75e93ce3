//! PHP's own messages, and those of PHP-FPM.

use super::{Format, Head, Nesting, nested, text, word};
use crate::level::Level;

/// What PHP says before its messages, and how grave that is. After a fatal error, the request is over.
const SAYS: [(&[u8], Level); 12] = [
    (b"Fatal error: ", Level::Critical),
    (b"Parse error: ", Level::Critical),
    (b"Compile error: ", Level::Critical),
    (b"Core error: ", Level::Critical),
    (b"Recoverable fatal error: ", Level::Error),
    (b"Catchable fatal error: ", Level::Error),
    (b"User Error: ", Level::Error),
    (b"Warning: ", Level::Warning),
    (b"Core Warning: ", Level::Warning),
    (b"Notice: ", Level::Notice),
    (b"Deprecated: ", Level::Notice),
    (b"Strict Standards: ", Level::Notice),
];

/// What FPM puts around the words of its children.
const WRAPPED: [&[u8]; 2] = [b"said into stderr: \"", b"said into stdout: \""];

/// What FPM puts before all that a script or PHP itself logs, however grave it is.
pub(super) const MESSAGE: &[u8] = b"NOTICE: PHP message: ";

/// The head of such a line without anything around it, as FPM writes it where `decorate_workers_output` is off: FPM's own word
/// says nothing.
pub(super) fn message(line: &[u8]) -> Head {
    nested(line, MESSAGE.len(), Format::Fpm)
}

/// The head of `PHP Fatal error:  …`, wherever it begins.
pub(super) fn said(line: &[u8], at: usize) -> Option<Head> {
    let rest = line.get(at..)?.strip_prefix(b"PHP ")?;
    let (words, level) = SAYS.iter().find(|(words, _)| rest.starts_with(words))?;
    Some(Head::new(Format::Php, Some(*level), text::skip_blanks(line, at + 4 + words.len())))
}

/// `[01-May-2024 12:00:00 UTC] …`, with the time's end.
pub(super) fn dated(line: &[u8], end: usize, nesting: Nesting) -> Option<Head> {
    let close = end + memchr::memchr(b']', line.get(end..)?.get(..40).unwrap_or(&line[end..]))?;
    let at = text::skip_blanks(line, close + 1);
    if line[at..].starts_with(b"PHP ") {
        // A stack trace goes on with the message before it, and has a time as well.
        return said(line, at);
    }
    let length = text::letters(&line[at..]);
    match word::level(&line[at..at + length]) {
        Some(level) if line[at..at + length].iter().all(u8::is_ascii_uppercase) => {
            Some(fpm(line, at + length, level, nesting))
        }
        _ => text::after_time(line, close + 1, Format::Text, nesting),
    }
}

/// FPM's message behind its level. What a child says is carried by FPM: what the child states itself counts more.
fn fpm(line: &[u8], end: usize, level: Level, nesting: Nesting) -> Head {
    let message = text::message(line, end);
    let head = Head::new(Format::Fpm, Some(level), message);
    let said = WRAPPED.iter().find_map(|words| Some(memchr::memmem::find(&line[message..], words)? + words.len()));
    let Some(at) = said.filter(|_| nesting == Nesting::Outer).map(|at| message + at) else { return head };
    // error_log() of a script, through FPM's own log.
    let inner = line[at..].strip_prefix(MESSAGE);
    let at = inner.map_or(at, |inner| line.len() - inner.len());
    let of_child = nested(line, at, Format::Fpm);
    if of_child.level.is_some() { of_child } else { Head { message: at, ..head } }
}
