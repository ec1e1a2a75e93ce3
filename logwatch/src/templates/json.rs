//! What a JSON record says: the text of its message, or which keys it has. Not a parser: a reader of what is likely valid, that
//! takes whatever comes.

use std::borrow::Cow;

use super::scan::{WILD, scan};

/// Names of the field that says what happened, the best first.
const MESSAGES: [&[u8]; 10] =
    [b"message", b"msg", b"textPayload", b"short_message", b"error", b"err", b"exception", b"event", b"log", b"text"];

/// How many keys are told.
const MOST_KEYS: usize = 32;

/// The message of an object, as it is escaped.
pub(super) fn message(object: &[u8]) -> Option<&[u8]> {
    let rank = |key: &[u8]| MESSAGES.iter().position(|name| *name == key);
    let texts =
        fields(object).filter_map(|(key, value)| value.strip_prefix(b"\"").map(|text| (key, rest_of_string(text))));
    texts
        .filter(|(_, text)| !text.is_empty())
        .filter_map(|(key, text)| Some((rank(key)?, text)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, text)| text)
}

/// Puts an object's keys behind `out`, a mask for each value; whether there was any.
pub(super) fn keys(object: &[u8], out: &mut Vec<u8>) -> bool {
    let begin = out.len();
    for (key, _) in fields(object).take(MOST_KEYS) {
        out.extend_from_slice(if out.len() == begin { b"{" } else { b", " });
        scan(&unescaped(key), out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(WILD);
    }
    let is_any = out.len() > begin;
    if is_any {
        out.push(b'}');
    }
    is_any
}

/// A string without what comes behind it: up to the quote that ends it.
pub(super) fn rest_of_string(text: &[u8]) -> &[u8] {
    &text[..string_end(text, 0)]
}

/// The text that is meant by a string's escapes.
pub(super) fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't' | b'r' | b'b' | b'f') => out.push(b' '),
            Some(b'u') => {
                // Four digits that only people who read the sample need to see as a letter.
                bytes.by_ref().take(4).for_each(drop);
                out.push(b'?');
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Cow::Owned(out)
}

/// Where the quote is that ends a string, from `at` on; the end where there is none.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut from = at;
    while let Some(next) = memchr::memchr2(b'"', b'\\', text.get(from..).unwrap_or_default()) {
        if text[from + next] == b'"' {
            return from + next;
        }
        from += next + 2;
    }
    text.len()
}

/// The fields of the outermost object: key and value, both as they are written.
fn fields(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let open = at + memchr::memchr(b'"', object.get(at..)?)?;
        let close = string_end(object, open + 1);
        let colon = skip_space(object, close + 1);
        if object.get(colon) != Some(&b':') {
            return None;
        }
        let value = skip_space(object, colon + 1);
        let end = value_end(object, value);
        at = end;
        Some((&object[open + 1..close], object.get(value..end)?))
    })
}

fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where a value ends: behind its string, its brackets, or before the comma.
fn value_end(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}
