//! The body of a private key whose lines are records of their own, each with a stamp before it: nothing around such a line
//! says what it is, so it is known by being random; the last one, which is shorter, also by ending its line. They are hidden
//! in samples, and not told.

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
        let is_body = run.len() >= SHORTEST && is_random(run) || is_last_line(text, &place);
        if is_body && !touches(&found[..known], &place) {
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

/// The shortest last line that is known by its padding, and the shortest without: what is shorter looks like a word.
const SHORTEST_PADDED: usize = 8;
const SHORTEST_BARE: usize = 12;

/// Whether the last line of a key may lie here: whole groups of four that end a line, alone or as the last word. Some bits of
/// a number are no secret yet, but with those of other samples they may be; an id that is hidden with them is no loss.
fn is_last_line(text: &[u8], at: &Range<usize>) -> bool {
    let run = &text[at.clone()];
    if run.len() < SHORTEST_PADDED || run.len() >= SHORTEST || !run.len().is_multiple_of(4) {
        return false;
    }
    let (before, after) = (&text[..at.start], &text[at.end..]);
    let is_message = MESSAGES.iter().any(|name| before.ends_with(name)) && after.starts_with(b"\"");
    let is_word = matches!(before, [] | [.., b' ' | b'\t' | b'\n']) && matches!(after, [] | [b'\n' | b'\r', ..]);
    (is_word || is_message) && is_mixed(run)
}

/// What stands before the message of a record in JSON, and of what Docker writes.
const MESSAGES: [&[u8]; 6] =
    [b"\"msg\":\"", b"\"msg\": \"", b"\"message\":\"", b"\"message\": \"", b"\"log\":\"", b"\"MESSAGE\":\""];

/// Whether letters of both cases and digits follow each other as by chance: in words that are run together, most letters are
/// followed by one of their own kind. Hexadecimal numbers have one case.
fn is_mixed(run: &[u8]) -> bool {
    let data = run.strip_suffix(b"==").or(run.strip_suffix(b"=")).unwrap_or(run);
    let has = |is: fn(&u8) -> bool| data.iter().any(is);
    let is_base64 = !data.contains(&b'=') && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let changes = data.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let count = |wanted: u8| data.iter().filter(|byte| kind(**byte) == kind(wanted)).count();
    let is_path = count(b'/') >= 2 && count(b'0') < 2;
    let is_padded = data.len() < run.len();
    let enough = if is_padded { data.len() / 4 } else { data.len() * 9 / 20 };
    is_base64 && !is_path && changes >= enough && (is_padded || data.len() >= SHORTEST_BARE)
}

/// Upper case, lower case, digit, sign.
fn kind(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
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
    fn the_short_last_line_of_a_key_is_hidden_where_it_ends_its_line() {
        for tail in ["q83vEjRWeJqr", "q83vEjQ=", "JTA7RlFcZ3J9iJOeqbS/ytXg6/YB", "kZ4xQb7WcT9v", "w8KZ0b=="] {
            for record in
                ["2026-11-01 00:00:00 app[7]: ¶", "¶", "app-1 | ¶\r", r#"{"level":30,"msg":"¶"}"#, "a\n2026 ¶\nb"]
            {
                assert_eq!(redacted(&record.replace('¶', tail)), record.replace('¶', "[redacted]"), "{tail}");
            }
        }
    }

    #[test]
    fn words_and_numbers_and_ids_that_end_a_line_stay() {
        for text in [
            "job finished: OrderCancelledEventHandler1",
            "in /var/www/Html/Kern",
            "commit 7f8a9b3c4d5e",
            "request 7F8A9B3C4D5E7F8A",
            "user=QWxhZGRpbg==",
            "{\"id\":\"q83vEjRWeJqr\"}",
            "started PostgreSQL16",
            "worker JobProcessor2024",
            "q83vEjRWeJqr is the id",
            "took ABCDEFGH1234",
            "x ========",
        ] {
            assert_eq!(redacted(text), text);
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
