//! What does not belong into a line and hides what does: colours, carriage returns, zero bytes.
//!
//! Nothing else goes: what a program wrote is shown as it was written, and what a terminal would make of it is the concern of
//! whoever prints it. Most logs need none of this, which is seen before anything is copied.

/// What kinds of bytes there are: seen in one pass, so that text, which nearly everything is, is gone through no further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// Control characters, but for tabs and line feeds.
    pub(crate) has_controls: bool,
    /// Bytes beyond ASCII.
    pub(crate) has_others: bool,
}

impl Kinds {
    /// The kinds of these bytes. Without branches, so that the compiler compares many bytes at once.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "branches would keep the compiler from comparing many bytes at once"
    )]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (mut controls, mut all) = (false, 0);
        for byte in bytes {
            all |= byte;
            controls |= (*byte < b' ') & (*byte != b'\t') & (*byte != b'\n');
        }
        Self { has_controls: controls, has_others: !all.is_ascii() }
    }
}

/// Whether there is nothing to clean.
pub(crate) fn is_clean(bytes: &[u8]) -> bool {
    memchr::memchr3(0x1b, b'\r', 0, bytes).is_none()
}

/// The same lines without ANSI escape sequences (ECMA-48), without the `\r` of a line's end and without zero bytes; a `\r`
/// within a line becomes a blank, as it separates what was shown one after the other.
pub(crate) fn clean(bytes: &[u8], into: &mut Vec<u8>) {
    into.clear();
    let mut rest = bytes;
    while let Some(at) = memchr::memchr3(0x1b, b'\r', 0, rest) {
        into.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match rest[at] {
            0x1b => after_escape(after),
            0 => after,
            _ if after.first().is_none_or(|next| *next == b'\n') => after,
            _ => {
                into.push(b' ');
                after
            }
        };
    }
    into.extend_from_slice(rest);
}

/// What comes after an escape sequence: `[` parameters and a final byte, `]` up to BEL or ST, or one byte.
fn after_escape(bytes: &[u8]) -> &[u8] {
    match bytes.first() {
        Some(b'[') => {
            let end = bytes[1..].iter().position(|byte| !(0x20..=0x3f).contains(byte));
            end.map_or(&[], |end| if bytes[1 + end] == b'\n' { &bytes[1 + end..] } else { &bytes[2 + end..] })
        }
        Some(b']') => {
            let end = bytes.iter().position(|byte| matches!(byte, 0x07 | 0x1b | b'\n'));
            match end {
                Some(end) if bytes[end] == b'\n' => &bytes[end..],
                // What is no ST begins the next sequence, and may stand before the end of the line.
                Some(end) if bytes[end] == 0x1b => bytes[end..].strip_prefix(b"\x1b\\").unwrap_or(&bytes[end..]),
                Some(end) => &bytes[end + 1..],
                None => &[],
            }
        }
        Some(b'\n') | None => bytes,
        Some(_) => &bytes[1..],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str) -> String {
        let mut into = Vec::new();
        clean(text.as_bytes(), &mut into);
        String::from_utf8(into).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_kinds_of_bytes_are_those_of_each_byte(
            mut bytes in prop::collection::vec(prop::sample::select(b"ab \n\t~".to_vec()), 0..300),
            odd in prop::collection::vec((any::<u8>(), any::<prop::sample::Index>()), 0..3),
        ) {
            for (byte, at) in odd {
                bytes.insert(at.index(bytes.len() + 1), byte);
            }
            let kinds = Kinds::of(&bytes);
            let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n');
            prop_assert_eq!(kinds.has_controls, bytes.iter().any(is_control));
            prop_assert_eq!(kinds.has_others, !bytes.is_ascii());
            prop_assert!(kinds.has_controls || is_clean(&bytes));
        }
    }

    #[test]
    fn colours_line_ends_and_zeros_go_and_words_stay() {
        let cases = [
            ("\x1b[31mERROR\x1b[0m x\n", "ERROR x\n"),
            ("a\r\nb\r\n", "a\nb\n"),
            ("10%\r20%\rdone\n", "10% 20% done\n"),
            ("\0\0\0line\n", "line\n"),
            ("\x1b]0;title\x07text\n", "text\n"),
            ("\x1b]8;;x\x1b\\link\n", "link\n"),
            ("cut \x1b[3\nnext\n", "cut \nnext\n"),
            ("end \x1b", "end "),
            ("\x1b]0;cut\x1b\nERROR next\n", "\nERROR next\n"),
            ("\x1b]0;cut\x1b[31mred\n", "red\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(cleaned(text), expected, "of {text:?}");
        }
    }
}
