//! Lines of `key=value` pairs: logrus, go-kit, log15, slog's text, Heroku's router.

use super::{Format, Head, json, near, word};
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

/// A key, and where its value begins.
struct Key<'a> {
    name: &'a [u8],
    /// Behind its quote, if it has one.
    value: usize,
    is_quoted: bool,
}

impl<'a> Pairs<'a> {
    /// The pairs from here on.
    pub(super) fn of(line: &'a [u8], at: usize) -> Self {
        Self { line, at }
    }

    /// The next key. Where its value ends is not looked for: see [`Self::value`].
    #[inline]
    fn key(&self) -> Option<Key<'a>> {
        let line = self.line;
        let start = self.at + line.get(self.at..)?.iter().take_while(|byte| **byte == b' ').count();
        let end = start + key_length(&line[start..]);
        if end == start || line.get(end) != Some(&b'=') {
            return None;
        }
        let is_quoted = line.get(end + 1) == Some(&b'"');
        Some(Key { name: &line[start..end], value: end + 1 + usize::from(is_quoted), is_quoted })
    }

    /// The value of a key; the next one comes behind it.
    #[inline]
    fn value(&mut self, key: &Key<'a>) -> &'a [u8] {
        let (line, at) = (self.line, key.value);
        let end = if key.is_quoted {
            json::text_end(line, at).unwrap_or(line.len())
        } else {
            near::find(b' ', &line[at..]).map_or(line.len(), |length| at + length)
        };
        self.at = end + usize::from(key.is_quoted);
        &line[at..end]
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let key = self.key()?;
        Some(Pair { key: key.name, value: self.value(&key), at: key.value })
    }
}

/// How long the key is that begins here; 0 if none does.
pub(super) fn key_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| IS_OF_KEY[usize::from(**byte)]).count()
}

/// What keys are made of: one look for each byte, as most lines are asked whether they begin with a key.
static IS_OF_KEY: [bool; 256] = {
    let mut is_of_key = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        is_of_key[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/');
        byte += 1;
    }
    is_of_key
};

/// The head of a line that begins with a pair.
pub(super) fn head(line: &[u8]) -> Option<Head> {
    let head = from(line, 0);
    let is_head = head.level.is_some() || Pairs::of(line, 0).next().is_some_and(|first| begins(first.key));
    is_head.then_some(head)
}

/// What the pairs from here on say.
pub(super) fn from(line: &[u8], at: usize) -> Head {
    let (mut level, mut message, mut error) = (None, 0, 0);
    let mut pairs = Pairs::of(line, at);
    while let Some(pair) = pairs.key() {
        let is_message = message == 0 && matches!(pair.name, b"msg" | b"message");
        if is_message {
            message = pair.value;
        }
        // Where a message ends does not matter, and it is the longest of all values.
        if level.is_some() && message > 0 {
            break;
        }
        let value = pairs.value(&pair);
        match pair.name {
            _ if is_message => {}
            b"err" | b"error" => error = pair.value,
            key if level.is_none() => level = of_pair(key, value),
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
