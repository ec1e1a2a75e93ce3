//! Numbers of payment cards: an issuer's prefix, its length, a right check digit, and a word about cards near.
//!
//! Digits are everywhere in logs, and one number in ten has a right check digit: without the word nothing is told.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::rule::{Rule, telltales};

/// One rule.
pub(super) static RULES: [Rule; 1] =
    [Rule::by("payment-card", telltales!(Number: "card", "Card", "CARD", "\"pan\""), numbers)
        .only(|candidate| has_context(candidate.record, &candidate.at) && !is_an_id(candidate.before(24)))
        .advice("let the program log the last four digits only: PCI DSS 3.5 forbids whole numbers in logs")];

/// How far from the number the word may be, in bytes.
const NEAR: usize = 96;

/// 13 to 19 digits, also in groups.
static DIGITS: LazyLock<Option<Regex>> =
    LazyLock::new(|| RegexBuilder::new(r"[0-9](?:[ -]?[0-9]){12,18}").unicode(false).build().ok());

fn numbers(record: &[u8], found: &mut Vec<Range<usize>>) {
    let Some(regex) = DIGITS.as_ref() else { return };
    let cards = regex.find_iter(record).map(|number| number.range());
    found.extend(cards.filter(|at| is_whole(record, at) && is_card(&record[at.clone()])));
}

/// Whether no digit, letter or point touches it: longer numbers, hashes and fractions are no cards.
fn is_whole(record: &[u8], at: &Range<usize>) -> bool {
    let touches = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/');
    let is_fraction = matches!(&record[..at.start], [.., b'0'..=b'9', b'.' | b',']);
    let goes_on = matches!(&record[at.end..], [b'.' | b':', b'0'..=b'9', ..]);
    let before = record[..at.start].last().is_some_and(touches);
    !before && !is_fraction && !goes_on && !record.get(at.end).is_some_and(touches)
}

/// Numbers that payment services give out for tests.
const FOR_TESTS: &[&str] = &[
    "4111111111111111",
    "4242424242424242",
    "4000056655665556",
    "4012888888881881",
    "4222222222222",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
    "3566002020360505",
];

/// Whether an issuer could have given it out.
fn is_card(number: &[u8]) -> bool {
    let digits: Vec<u8> = number.iter().filter(|byte| byte.is_ascii_digit()).copied().collect();
    let is_sample = FOR_TESTS.iter().any(|sample| sample.as_bytes() == digits);
    let is_uniform = digits.iter().skip(1).all(|digit| *digit == digits[digits.len() - 1]);
    has_issuer(&digits) && has_check_digit(&digits) && is_grouped(number) && !is_sample && !is_uniform
}

/// The issuers' prefixes and lengths (ISO/IEC 7812), without the ranges that few cards have.
fn has_issuer(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0_u32, |prefix, digit| prefix * 10 + u32::from(digit - b'0'));
    match (prefix, digits.len()) {
        // Visa; Mastercard; American Express; Diners Club; JCB; Discover; UnionPay.
        (4000..=4999, 13 | 16 | 19)
        | (5100..=5599 | 2221..=2720, 16)
        | (3400..=3499 | 3700..=3799, 15)
        | (3000..=3059 | 3600..=3699 | 3800..=3999, 14..=19)
        | (3528..=3589 | 6011 | 6440..=6599 | 6200..=6299, 16..=19) => true,
        _ => false,
    }
}

/// Luhn's formula: every second digit from the right counts twice, and the sum ends with a nought.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether it is written in one, or in groups as cards print them: 4-4-4-4(-3), 4-6-5, 4-6-4. Anything else is a list of
/// numbers.
fn is_grouped(number: &[u8]) -> bool {
    let groups: Vec<usize> = number.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).collect();
    matches!(groups[..], [_] | [4, 4, 4, 1..=4] | [4, 4, 4, 4, 3] | [4, 6, 4 | 5])
}

/// Whether a word about cards is near.
fn has_context(record: &[u8], at: &Range<usize>) -> bool {
    let window = &record[at.start.saturating_sub(NEAR)..record.len().min(at.end + NEAR)];
    let has = |word: &[u8]| memchr::memmem::find(window, word).is_some();
    has(b"card") || has(b"Card") || has(b"CARD") || has(b"\"pan\"")
}

/// Whether the number is named as an id: `card_id=`, `"orderId":`.
fn is_an_id(before: &[u8]) -> bool {
    let name =
        before.trim_ascii_end().iter().rposition(u8::is_ascii_alphanumeric).map_or(&[][..], |last| &before[..=last]);
    name.to_ascii_lowercase().ends_with(b"id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_digit_is_seen() {
        for right in ["79927398713", "4242424242424242", "0"] {
            assert!(has_check_digit(right.as_bytes()), "{right}");
        }
        for wrong in ["79927398710", "4242424242424241", "1"] {
            assert!(!has_check_digit(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn prefix_and_length_belong_together() {
        for (number, expected) in [
            ("4000000000000", true),
            ("400000000000000", false),
            ("5100000000000000", true),
            ("5600000000000000", false),
            ("2720000000000000", true),
            ("2721000000000000", false),
            ("340000000000000", true),
            ("1795862993297", false),
        ] {
            assert_eq!(has_issuer(number.as_bytes()), expected, "{number}");
        }
    }

    #[test]
    fn groups_are_those_of_a_card() {
        assert!(
            is_grouped(b"4000 0000 0000 0000") && is_grouped(b"3400-000000-00000") && is_grouped(b"4000000000000000")
        );
        assert!(!is_grouped(b"40 00 00 00 00 00 00 00") && !is_grouped(b"400000-0000000000"));
    }
}
