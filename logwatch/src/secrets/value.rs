//! Where a value ends that follows its name.

use std::ops::Range;

/// The longest value that is taken as one, in bytes. It bounds the time for a record that is all names.
const LONGEST: usize = 1024;

/// The value that begins here, without its quotes: `"…"`, `'…'`, the same with backslashes as in JSON inside JSON, in
/// brackets as PHP prints lists, or all up to a byte that ends one.
pub(super) fn after(record: &[u8], from: usize) -> Option<Range<usize>> {
    let window = &record[from..record.len().min(from + LONGEST)];
    let opened = window.iter().take(2).take_while(|byte| matches!(byte, b'[' | b'(')).count();
    let slashes = window[opened..].iter().take(4).take_while(|byte| **byte == b'\\').count();
    let start = opened + slashes;
    let quoted = window.get(start).filter(|byte| matches!(byte, b'"' | b'\'')).and_then(|quote| {
        let end = closing(&window[start + 1..], *quote, slashes)?;
        Some(start + 1..start + 1 + end)
    });
    // `[redacted]`, `(hidden)`: a bracket without a quote is part of the value.
    let at = quoted.unwrap_or_else(|| bare(window));
    (!at.is_empty()).then(|| from + at.start..from + at.end)
}

/// The value of the name that lies here, with what stands between the two.
pub(super) fn of(record: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    let announced = &record[name.clone()];
    let value = after(record, name.end)?;
    // `&` ends a value where there are several, as in `?user=jane&password=x&y=z`, and stands in passwords elsewhere.
    let is_query = announced.starts_with(b"?") || announced.starts_with(b"&") || is_in_query(record, name.start);
    let is_encoded = announced.len() >= 3 && announced.ends_with(b"%22");
    let text = &record[value.clone()];
    let end = if is_encoded { memchr::memmem::find(text, b"%22") } else { None };
    let is_cut = end.is_none() && !is_query && record.get(value.end) == Some(&b'&');
    let end = end.map_or(value.end, |end| value.start + end);
    let end = if is_cut { end + tail(&record[end..record.len().min(value.start + LONGEST).max(end)]) } else { end };
    (value.start < end).then_some(value.start..end)
}

/// How far before a name the beginning of its query is looked for, in bytes.
const LONGEST_PAIR: usize = 64;

/// Whether the word that a name is part of is part of a query: `a=1&db[password]=x`, `%26password=x`.
fn is_in_query(record: &[u8], name: usize) -> bool {
    let before = record[name.saturating_sub(LONGEST_PAIR)..name].iter().rev();
    before.take_while(|byte| !byte.is_ascii_whitespace()).any(|byte| matches!(byte, b'?' | b'&'))
}

/// How long the rest of a bare value is that goes on with `&`: not where another name follows, or an entity of HTML.
fn tail(rest: &[u8]) -> usize {
    let mut length = 0;
    while rest.get(length) == Some(&b'&') {
        let part = rest[length + 1..].iter().take_while(|byte| !ends(**byte)).count();
        let is_pair = rest[length + 1..length + 1 + part].contains(&b'=');
        let is_entity = rest.get(length + 1 + part) == Some(&b';');
        if is_pair || is_entity {
            break;
        }
        length += 1 + part;
    }
    length
}

/// Where the quote is closed: by the same one after as many backslashes, on the same line.
fn closing(text: &[u8], quote: u8, slashes: usize) -> Option<usize> {
    let mut seen = 0;
    for (at, byte) in text.iter().enumerate() {
        match *byte {
            b'\\' => seen += 1,
            // A quote after more backslashes is part of the value.
            byte if byte == quote && (seen == slashes || slashes == 0 && seen % 2 == 0) => return Some(at - seen),
            b'\n' => return None,
            _ => seen = 0,
        }
    }
    None
}

/// A value without quotes; a quote that is never closed is no part of it.
fn bare(window: &[u8]) -> Range<usize> {
    let start = window.iter().take(5).take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\')).count();
    let bracketed = window[start..].first().filter(|byte| **byte == b'[').and_then(|_| {
        let end = window[start..].iter().take(32).position(|byte| *byte == b']')?;
        Some(end + 1)
    });
    let skipped = start + bracketed.unwrap_or(0);
    let length = window[skipped..].iter().take_while(|byte| !ends(**byte)).count();
    start..skipped + length
}

/// Whether a byte ends a value that is not quoted.
fn ends(byte: u8) -> bool {
    byte <= b' '
        || matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'&' | b'<' | b'>' | b')' | b']' | b'}' | b'|' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> &str {
        after(text.as_bytes(), 0).map_or("", |at| &text[at])
    }

    #[test]
    fn a_value_is_known_by_its_quotes_or_by_what_ends_it() {
        for (text, expected) in [
            ("\"a b\" c", "a b"),
            ("'a b' c", "a b"),
            ("\"a\\\"b\" c", "a\\\"b"),
            ("\\\"a b\\\" c", "a b"),
            ("\\\\\\\"a b\\\\\\\" c", "a b"),
            ("[\"a b\"] c", "a b"),
            ("['a'] c", "a"),
            ("a,b", "a"),
            ("a&b", "a"),
            ("a</password>", "a"),
            ("\"never closed", "never"),
            ("[redacted] x", "[redacted]"),
            ("[redacted]tail x", "[redacted]tail"),
            ("", ""),
            (" a", ""),
            ("\"\"", ""),
        ] {
            assert_eq!(value(text), expected, "of {text}");
        }
    }

    #[test]
    fn an_ampersand_ends_a_value_only_in_a_query() {
        for (text, expected) in [
            ("password: a&b c", "a&b"),
            ("password: a&b&&c,d", "a&b&&c"),
            ("password: a& c", "a&"),
            ("password: a&amp;b", "a"),
            ("user=x&password: a&b", "a"),
            ("password: a&user=b", "a"),
        ] {
            let from = text.find("pass").unwrap();
            let at = of(text.as_bytes(), from..from + 10).unwrap();
            assert_eq!(&text[at], expected, "of {text}");
        }
        let text = "password%22%3A%22a%22%7D";
        assert_eq!(of(text.as_bytes(), 0..17).map(|at| &text[at]), Some("a"));
        for length in [1022, 1023, 1024, 1025] {
            let long = format!("password: {}&&&", "x".repeat(length));
            assert!(of(long.as_bytes(), 0..10).is_some_and(|at| at.len() <= LONGEST));
        }
    }

    #[test]
    fn a_value_is_bounded() {
        let long = "x".repeat(5000);
        assert_eq!(value(&long).len(), LONGEST);
        assert_eq!(value(&format!("\"{long}\"")).len(), LONGEST - 1);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_value_within_them(record in proptest::collection::vec(any::<u8>(), 0..200), from in 0..200usize) {
            if from <= record.len() && let Some(at) = after(&record, from) {
                prop_assert!(from <= at.start && at.start < at.end && at.end <= record.len());
            }
        }
    }
}
