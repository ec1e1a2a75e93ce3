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
