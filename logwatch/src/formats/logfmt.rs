//! Lines of `key=value` pairs: logrus, go-kit, log15, slog's text, Heroku's router.

use memchr::memchr;

use super::{Format, Head, json, word};
use crate::level::Level;

/// A pair.
pub(super) struct Pair<'a> {
    /// The key.
    pub(super) key: &'a [u8],
    /// The value, without quotes.
    pub(super) value: &'a [u8],
    /// Where the value begins in the line, behind its quote.
    pub(super) at: usize,
}

/// The pairs of a line, one after the other; ends where something else comes.
pub(super) struct Pairs<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs from here on.
    pub(super) fn of(line: &'a [u8], at: usize) -> Self {
        Self { line, at }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let line = self.line;
        let start = self.at + line.get(self.at..)?.iter().take_while(|byte| **byte == b' ').count();
        let key_end = start + key_length(&line[start..]);
        if key_end == start || line.get(key_end) != Some(&b'=') {
            return None;
        }
        let quoted = line.get(key_end + 1) == Some(&b'"');
        let at = key_end + 1 + usize::from(quoted);
        let end = if quoted {
            json::text_end(line, at).unwrap_or(line.len())
        } else {
            memchr(b' ', &line[at..]).map_or(line.len(), |length| at + length)
        };
        self.at = end + usize::from(quoted);
        Some(Pair { key: &line[start..key_end], value: &line[at..end], at })
    }
}

/// How long the key is that begins here; 0 if none does.
pub(super) fn key_length(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/'))
        .count()
}

/// The head of a line that begins with a pair.
pub(super) fn head(line: &[u8]) -> Option<Head> {
    let head = from(line, 0);
    let is_head = head.level.is_some() || Pairs::of(line, 0).next().is_some_and(|first| begins(first.key));
    is_head.then_some(head)
}

/// What the pairs from here on say.
pub(super) fn from(line: &[u8], at: usize) -> Head {
    let (mut level, mut message, mut error) = (None, 0, 0);
    for pair in Pairs::of(line, at) {
        match pair.key {
            b"msg" | b"message" if message == 0 => message = pair.at,
            b"err" | b"error" => error = pair.at,
            key if level.is_none() => level = of_pair(key, pair.value),
            _ => {}
        }
        if level.is_some() && message > 0 {
            break;
        }
    }
    let message = if message > 0 { message } else { error };
    Head::new(Format::Logfmt, level, if message > 0 { message } else { at })
}

/// The level that a pair states. Heroku's router says `at=error`.
pub(super) fn of_pair(key: &[u8], value: &[u8]) -> Option<Level> {
    let says_level = word::is_level_key(key) || key == b"at";
    if says_level { word::stated(value) } else { None }
}

/// Whether records begin with such a key though none of their pairs states a level.
fn begins(key: &[u8]) -> bool {
    matches!(key, b"time" | b"ts" | b"t" | b"timestamp" | b"msg" | b"caller" | b"@timestamp")
}
