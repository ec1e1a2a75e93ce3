//! Lines that are one object of JSON: pino, bunyan, zap, Google Cloud, logstash, Monolog, `MongoDB`, Serilog, Caddy, Traefik.
//!
//! Only keys at the top count: what a user typed lies in strings, and a string is skipped as a whole. Nothing is decoded.
//!
//! A line that is cut, or no JSON from somewhere on, says what it says up to there: a line that a full disk has cut is still
//! the error that it was.

use super::{Format, Head, access, near, text, word};
use crate::level::Level;

/// A key with its value, at the top of an object.
pub(super) struct Field<'a> {
    /// The key, as it is written.
    pub(super) key: &'a [u8],
    /// The value.
    pub(super) value: Value<'a>,
    /// Where the value begins in the line; that of a text behind its quote.
    pub(super) at: usize,
}

/// A value, as it is written.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// A text, without its quotes.
    Text(&'a [u8]),
    /// A number, a word, a list or an object.
    Other(&'a [u8]),
}

/// The fields of an object, one after the other; ends where the line is no JSON any more.
pub(super) struct Fields<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of the object that begins at the line's first byte.
    pub(super) fn of(line: &'a [u8]) -> Self {
        Self { line, at: 1 }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.skip_blanks();
        if self.line.get(self.at) == Some(&b',') {
            self.at += 1;
            self.skip_blanks();
        }
        if self.line.get(self.at) != Some(&b'"') {
            return None;
        }
        let key = self.at + 1;
        let key_end = text_end(self.line, key)?;
        self.at = key_end + 1;
        self.skip_blanks();
        if self.line.get(self.at) != Some(&b':') {
            return None;
        }
        self.at += 1;
        self.skip_blanks();
        let at = self.at;
        let (value, at) = if *self.line.get(at)? == b'"' {
            let end = text_end(self.line, at + 1)?;
            self.at = end + 1;
            (Value::Text(&self.line[at + 1..end]), at + 1)
        } else {
            self.at = other_end(self.line, at)?;
            (Value::Other(&self.line[at..self.at]), at)
        };
        Some(Field { key: &self.line[key..key_end], value, at })
    }
}

/// Where a text ends that begins here, behind its quote: the place of the quote that closes it.
#[inline]
pub(super) fn text_end(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += near::either(b'"', b'\\', line.get(at..)?)?;
        if line[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Where a value that is no text ends.
fn other_end(line: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match line.get(at)? {
            b'"' => at = text_end(line, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' | b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// What was seen of an object.
#[derive(Default)]
struct Seen {
    level: Option<Level>,
    message: usize,
    /// The text of an error, which is the message where there is no other.
    error: usize,
    status: Option<u16>,
    is_request: bool,
    /// Traefik writes every request with the level info: its status says more, as in any other log of requests.
    is_traefik: bool,
    /// Serilog's compact form, which leaves out the level where it is the usual one.
    is_compact: bool,
}

/// The head of a line that begins with a brace. Where the level comes first and nobody is likely to ask for the message, it is
/// not looked for: most lines of JSON are as good as read behind their first field. See [`message`].
pub(super) fn head(line: &[u8]) -> Option<Head> {
    if let Some(level) = level_first(line).filter(|level| *level < Level::Warning) {
        return Some(Head::new(Format::Json, Some(level), 0));
    }
    by_fields(line)
}

/// The same, field by field.
pub(super) fn by_fields(line: &[u8]) -> Option<Head> {
    let mut seen = Seen::default();
    let mut fields = Fields::of(line);
    // A brace alone may be part of anything; with a key behind it, it is a record.
    seen.take(&fields.next()?);
    while seen.level.is_none_or(|level| level >= Level::Warning && seen.message == 0) {
        match fields.next() {
            Some(field) => seen.take(&field),
            None => break,
        }
    }
    Some(seen.head())
}

/// The level of a line whose first field is that, in the form in which pino and zap write it: `{"level":30,`, `{"level":"info",`.
/// None where there may be one all the same.
fn level_first(line: &[u8]) -> Option<Level> {
    let key = b"level";
    let value = line.strip_prefix(b"{\"level\":")?;
    match value {
        [b'"', text @ ..] => {
            let length = text::letters(text);
            let is_whole = text.get(length) == Some(&b'"');
            is_whole.then(|| word::stated(&text[..length])).flatten()
        }
        [b'0'..=b'9', b'0'..=b'9', b',', ..] => number(value).map(|number| by_number(key, number)),
        _ => None,
    }
}

/// Where the message begins in a line of JSON.
pub(super) fn message(line: &[u8]) -> usize {
    let mut seen = Seen::default();
    Fields::of(line)
        .take_while(|field| {
            seen.take(field);
            seen.message == 0
        })
        .for_each(drop);
    seen.head().message
}

impl Seen {
    fn take(&mut self, field: &Field<'_>) {
        match field.key {
            b"msg" | b"message" | b"@m" | b"@mt" | b"event" | b"Message" | b"MESSAGE" => self.message(field),
            b"err" | b"error" => {
                if let Value::Text(_) = field.value {
                    self.error = field.at;
                }
            }
            b"s" => self.level = self.level.or_else(|| mongo(field.value)),
            // Elastic's common schema nests it, unless told otherwise.
            b"log" => self.level = self.level.or_else(|| nested(field.value)),
            b"@t" => self.is_compact = true,
            // The journal's fields, piped as they are.
            b"PRIORITY" => self.level = self.level.or_else(|| level(field.key, field.value)),
            b"status" => self.status = self.status.or_else(|| status(field.value)),
            b"DownstreamStatus" => (self.status, self.is_traefik) = (status(field.value), true),
            b"request" | b"request_uri" | b"request_method" | b"RequestMethod" | b"method" | b"uri" => {
                self.is_request = true;
            }
            key if self.level.is_none() && word::is_level_key(key) => self.level = level(key, field.value),
            _ => {}
        }
    }

    /// The first one that is a text: some programs put an object there.
    fn message(&mut self, field: &Field<'_>) {
        if let (Value::Text(_), 0) = (field.value, self.message) {
            self.message = field.at;
        }
    }

    /// What all fields together say. Of a request, the status says more than a level with which all are written.
    fn head(&self) -> Head {
        let message = if self.message > 0 { self.message } else { self.error };
        match (self.level, self.status) {
            (level, Some(status)) if self.is_traefik || level.is_none() && self.is_request => {
                Head::new(Format::Access, Some(access::level(status)), message)
            }
            (None, _) if self.is_compact => Head::new(Format::Json, Some(Level::Info), message),
            (level, _) => Head::new(Format::Json, level, message),
        }
    }
}

/// The level in the value of a key that is one of a level.
fn level(key: &[u8], value: Value<'_>) -> Option<Level> {
    let (Value::Text(text) | Value::Other(text)) = value;
    match text.first()? {
        b'0'..=b'9' => number(text).map(|number| by_number(key, number)),
        _ => word::stated(text),
    }
}

/// The level of a number. By its magnitude: syslog (GELF) counts to 7, bunyan and pino in tens, Monolog and Google Cloud in
/// hundreds, logback in thousands.
fn by_number(key: &[u8], number: u32) -> Level {
    const TENS: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];
    let by_ten = |number: u32| TENS[(number.clamp(1, 6) - 1) as usize];
    match number {
        0..=7 => word::severity(number),
        8..=99 => by_ten(number / 10),
        100..=999 if key.eq_ignore_ascii_case(b"severity") => word::severity(8_u32.saturating_sub(number / 100)),
        250..=299 => Level::Notice,
        100..=999 => by_ten(number / 100 + 1),
        _ => by_ten(number / 10_000 + 1),
    }
}

/// A small whole number at the beginning of a text: of seven digits at most, as no level has more and none must run over.
fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take(7).take_while(|byte| byte.is_ascii_digit());
    digits.map(|digit| u32::from(digit - b'0')).reduce(|number, digit| number * 10 + digit)
}

/// The status of an answer; some write it as a text.
fn status(value: Value<'_>) -> Option<u16> {
    let (Value::Text(text) | Value::Other(text)) = value;
    access::status(text)
}

/// `MongoDB`'s severity: F, E, W, I, D1 to D5.
fn mongo(value: Value<'_>) -> Option<Level> {
    match value {
        Value::Text([letter]) => word::letter(*letter),
        Value::Text([b'D', b'1'..=b'5']) => Some(Level::Debug),
        _ => None,
    }
}

/// The level in an object below the key `log`.
fn nested(value: Value<'_>) -> Option<Level> {
    let Value::Other(object @ [b'{', ..]) = value else { return None };
    let found = Fields::of(object).find(|field| word::is_level_key(field.key))?;
    level(found.key, found.value)
}
