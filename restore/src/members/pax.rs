//! PAX records: `LENGTH KEY=VALUE` and a newline, where the value may hold any byte, newlines too.

/// The records of a header, in order; an error where the bytes are not records.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

/// The bytes are not PAX records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some((record, rest)) = split(self.0) else {
            self.0 = &[];
            return Some(Err(Malformed));
        };
        self.0 = rest;
        Some(Ok(record))
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_newlines_and_equal_signs() {
        let bytes = b"13 a=1\n6 b=2\n6 c=3\n";
        let records: Vec<_> = Records(bytes).map(Result::unwrap).collect();
        assert_eq!(records, [(b"a".as_slice(), b"1\n6 b=2".as_slice()), (b"c", b"3")]);
    }

    #[test]
    fn what_is_no_record_is_an_error_and_ends_the_list() {
        for bytes in [b"x".as_slice(), b"99 a=1\n", b"6 a=1 ", b"5 ab\n", b"0 a=1\n", b" a=1\n"] {
            assert_eq!(Records(bytes).collect::<Vec<_>>(), [Err(Malformed)], "{bytes:?}");
        }
    }
}
