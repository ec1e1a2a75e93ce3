//! Lines that are no text: of a packed file, of a program, of a device.

use crate::clean::Kinds;

/// A line of which more than this part is nobody's letter is no text.
const INVALID_PART: usize = 10;

/// How many of these lines are no text; the kinds are those of their bytes.
pub(super) fn lines(bytes: &[u8], kinds: Kinds) -> u64 {
    // Nearly everything that is read is text, and that is seen at once. What is none has zero bytes in it, or is no UTF-8.
    let has_zeros = kinds.has_controls && memchr::memchr(0, bytes).is_some();
    if !has_zeros && (!kinds.has_others || std::str::from_utf8(bytes).is_ok()) {
        return 0;
    }
    bytes.split(|byte| *byte == b'\n').filter(|line| is_garbage(line)).count() as u64
}

fn is_garbage(line: &[u8]) -> bool {
    // What `copytruncate` leaves before the first line of a writer that goes on at its old place: the line itself is whole.
    let line = &line[line.iter().take_while(|byte| **byte == 0).count()..];
    line.iter().any(|byte| is_control(*byte)) || invalid(line) * INVALID_PART > line.len()
}

/// Whether no terminal would be sent this: bells, backspaces, form feeds and colours are in what people look at.
fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=6 | 14..=26 | 28..=31)
}

/// How many bytes are no UTF-8, and no letters of one of the encodings before it either: a log in ISO 8859 is one, and what is
/// no text has so many of these as well.
fn invalid(line: &[u8]) -> usize {
    line.utf8_chunks().flat_map(|chunk| chunk.invalid()).filter(|byte| (0x80..=0x9f).contains(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn count(text: &[u8]) -> u64 {
        lines(text, Kinds::of(text))
    }

    #[test]
    fn what_people_write_is_text_in_whatever_encoding_a_name_is() {
        for text in [
            &b"one\ntwo\r\n\tthree\n"[..],
            b"\0\x1b]0;title\x07\x1b[31mERROR\x1b[0m x\x08y\n",
            b"\0\0\0\0after a hole\nand on\n",
            b"\0\0\0",
            b"the order of J\xfcrgen could not be shipped to K\xf6ln\n",
            b"\xdcberschreitung der Gr\xf6\xdfe f\xfcr J\xfcrgen\n",
            b"\xee\xf8\xe8\xe1\xea\xe0 \xe4\xe8\xf1\xea\xe0\n",
            "überall Umlaute, äöü\n".as_bytes(),
            b"",
        ] {
            assert_eq!(count(text), 0, "of {text:?}");
        }
    }

    #[test]
    fn each_line_that_is_no_text_counts() {
        assert_eq!(count(b"good\na\0b\ngood\n\x01\x02 \xff\n"), 2);
        assert_eq!(count(b"short \x80\x81\nlonger, with much that is text and one byte \x80 that is none\n"), 1);
    }

    #[test]
    fn what_is_packed_is_no_text_for_the_most_part() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let hash = |number: u32| twox_hash::XxHash3_64::oneshot(&number.to_be_bytes());
        for number in 0..50_000 {
            writeln!(encoder, "INFO request {:x}", hash(number)).unwrap();
        }
        let packed = encoder.finish().unwrap();
        let all = memchr::memchr_iter(b'\n', &packed).count() as u64;
        assert!(all > 1000 && count(&packed) > all / 10 * 8, "{} of {all}", count(&packed));
    }
}
