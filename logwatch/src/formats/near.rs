//! Bytes that are looked for where they are likely to be near: a call costs more than eight bytes looked at together.

/// How far it is worth to look for what is likely to be near, in bytes; beyond that `memchr` is faster.
const NEAR: usize = 64;

/// The lowest bit of each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// The highest bit of each byte is set where that byte is zero; above the lowest such byte, others may be set as well.
/// Source: "Bit Twiddling Hacks", "Determine if a word has a zero byte".
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Where one of three bytes is first in a text.
#[inline]
pub(super) fn first_of(bytes: [u8; 3], text: &[u8]) -> Option<usize> {
    let near = &text[..text.len().min(NEAR)];
    let (words, rest) = near.as_chunks::<8>();
    let all = bytes.map(|byte| ONES * u64::from(byte));
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = all.iter().fold(0, |found, all| found | zeros(word ^ all));
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    match rest.iter().position(|byte| bytes.contains(byte)) {
        Some(at) => Some(near.len() - rest.len() + at),
        None => memchr::memchr3(bytes[0], bytes[1], bytes[2], text.get(NEAR..)?).map(|far| NEAR + far),
    }
}

/// Where one of two bytes is first in a text.
#[inline]
pub(super) fn either(one: u8, other: u8, text: &[u8]) -> Option<usize> {
    first_of([one, other, other], text)
}

/// Where a byte is first in a text.
#[inline]
pub(super) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    first_of([byte; 3], text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_near_or_far_is_found_where_it_is(
            text in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0x21, 0x22, 0x23, 0x5c, 0x5d, 0x80, 0xa2, 0xff]), 0..20),
            plain in 0..100_usize,
        ) {
            let text = [vec![b'x'; plain], text].concat();
            let plainly = |bytes: &[u8]| text.iter().position(|byte| bytes.contains(byte));
            prop_assert_eq!(find(b'"', &text), plainly(b"\""));
            prop_assert_eq!(first_of([0xff, b'"', 0], &text), plainly(b"\0\"\xff"));
            prop_assert_eq!(either(b'"', b'\\', &text), plainly(b"\"\\"));
        }
    }
}
