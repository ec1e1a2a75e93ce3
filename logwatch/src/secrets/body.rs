//! The body of a private key whose lines are records of their own, each with a stamp before it: nothing around such a line
//! says what it is, so it is known by being random. It is hidden in samples, and not told.

use std::ops::Range;

use super::{Found, plain};

/// A run has at least so many characters: PEM has 64 in a line, and some programs cut earlier.
const SHORTEST: usize = 48;

/// Random base64 of 48 characters has 5.2 bits on average; words that are run together have about 4.
const ENTROPY: f64 = 4.3;

/// Adds all such runs to the secrets of a text, in the order of their places, where they do not overlap one.
pub(super) fn hidden(text: &[u8], found: &mut Vec<Found>) {
    let known = found.len();
    let mut at = 0;
    for run in text.split(|byte| !is_base64(*byte)) {
        let place = at..at + run.len();
        at = place.end + 1;
        if run.len() >= SHORTEST && is_random(run) && !touches(&found[..known], &place) {
            found.push(Found { rule: "base64", start: place.start, end: place.end });
        }
    }
    found.sort_unstable_by_key(|found| found.start);
}

/// Whether one of these, which are in order, overlaps the place.
fn touches(found: &[Found], place: &Range<usize>) -> bool {
    let before = found.partition_point(|other| other.start < place.end);
    found[..before].last().is_some_and(|other| other.end > place.start)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn is_random(run: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| run.iter().filter(|byte| is(byte)).count();
    let (digits, slashes) = (count(u8::is_ascii_digit), count(|byte| *byte == b'/'));
    let is_mixed = digits > 0 && count(u8::is_ascii_uppercase) > 0 && count(u8::is_ascii_lowercase) > 0;
    // A path has a slash in every few bytes and a digit here and there; of 64 random bytes one is a slash, ten are digits.
    let is_path = slashes >= 4 && digits < 4;
    is_mixed && !is_path && plain::entropy(run) > ENTROPY
}

#[cfg(test)]
mod tests {
    use super::super::redacted;
    use super::super::samples::{HEX, pem, some};

    #[test]
    fn the_lines_of_a_key_are_hidden_wherever_they_stand() {
        for line in pem("PRIVATE KEY", "\n").lines().filter(|line| !line.starts_with('-')) {
            let record = format!("2026-11-01 00:00:00 app[7]: {line} end");
            assert_eq!(redacted(&record), "2026-11-01 00:00:00 app[7]: [redacted] end");
        }
    }

    #[test]
    fn hashes_and_paths_and_words_stay() {
        for text in [
            format!("image {}", some(HEX, 64)),
            format!("image {}", some(HEX, 128).to_uppercase()),
            "in /var/www/html2/vendor/laravel/framework/src/Illuminate/Database/Connectors/Connector.php".to_owned(),
            "at TheQuickBrownFoxJumpsOverTheLazyDogAndRunsAwayForGoodInTheEnd".to_owned(),
        ] {
            assert_eq!(redacted(&text), text);
        }
    }
}
