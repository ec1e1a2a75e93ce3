//! Numbers of bank accounts (IBAN): the length of their country, right check digits, and the word for them near.
//!
//! One in 97 random numbers has right check digits, but few texts look like a number and stand beside the word: the corpora
//! and the bench log hold none, so the rule is on. Without the word nothing is told.

use std::ops::Range;

use super::rule::{Rule, telltales};

/// One rule.
pub(super) static RULES: [Rule; 1] = [Rule::by("iban", telltales!(Account: "iban", "IBAN"), numbers)
    .only(|candidate| has_context(candidate.record, &candidate.at) && !is_sample(candidate.value()))
    .weak()
    .advice("let the program log the last four digits only: the number of an account is personal data")];

/// How far from the number the word may be, in bytes.
const NEAR: usize = 96;

/// Which countries have numbers of which length (the registry of ISO 13616).
const LENGTHS: [(usize, &[&str]); 18] = [
    (15, &["NO"]),
    (16, &["BE"]),
    (18, &["DK", "FI", "FO", "GL", "NL", "SD"]),
    (19, &["MK", "SI"]),
    (20, &["AT", "BA", "EE", "KZ", "LT", "LU", "XK"]),
    (21, &["CH", "HR", "LI", "LV"]),
    (22, &["BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"]),
    (23, &["AE", "GI", "IL", "IQ", "OM", "TL"]),
    (24, &["AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"]),
    (25, &["LY", "PT", "ST"]),
    (26, &["IS", "TR"]),
    (27, &["BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"]),
    (28, &["AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"]),
    (29, &["BR", "EG", "PS", "QA", "UA"]),
    (30, &["JO", "KW", "MU", "YE"]),
    (31, &["MT", "SC"]),
    (32, &["LC"]),
    (33, &["RU"]),
];

/// Numbers that documentation is full of, without blanks.
const SAMPLES: [&str; 16] = [
    "AT611904300234573201",
    "BE68539007547034",
    "CH9300762011623852957",
    "DE75512108001245126199",
    "DE89370400440532013000",
    "DK5000400440116243",
    "ES9121000418450200051332",
    "FR1420041010050500013M02606",
    "FR7630006000011234567890189",
    "GB29NWBK60161331926819",
    "GB33BUKB20201555555555",
    "GB82WEST12345698765432",
    "IE29AIBK93115212345678",
    "IT60X0542811101000000123456",
    "NL91ABNA0417164300",
    "SE4550000000058398257466",
];

/// Whether a number lies in these few bytes.
pub(super) fn is_in(window: &[u8]) -> bool {
    (0..window.len()).any(|at| end_of(window, at).is_some())
}

fn numbers(record: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while from < record.len() {
        let end = end_of(record, from);
        found.extend(end.map(|end| from..end));
        from = end.unwrap_or(from + 1);
    }
}

/// Where the number ends that begins here: written in one, or in groups of four.
fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let [first @ b'A'..=b'Z', second @ b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9', ..] = bytes[at..] else { return None };
    let is_this = |country: &&str| country.as_bytes() == [first, second];
    let (length, _) = LENGTHS.iter().find(|(_, countries)| countries.iter().any(is_this))?;
    let touches = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if bytes[..at].last().is_some_and(touches) {
        return None;
    }
    let mut number = Vec::with_capacity(*length);
    let mut end = at;
    while number.len() < *length {
        let is_between = number.len().is_multiple_of(4) && number.len() > 3 && touches(bytes.get(end - 1)?);
        match bytes.get(end)? {
            byte if byte.is_ascii_digit() || byte.is_ascii_uppercase() => number.push(*byte),
            b' ' | b'-' if is_between => {}
            _ => return None,
        }
        end += 1;
    }
    (!bytes.get(end).is_some_and(touches) && has_check_digits(&number)).then_some(end)
}

/// ISO 7064, MOD 97-10: the first four signs go to the end, letters count from ten, and the rest of the division is one.
fn has_check_digits(number: &[u8]) -> bool {
    let (front, back) = number.split_at(number.len().min(4));
    let rest = back.iter().chain(front).fold(0, |rest, byte| match char::from(*byte).to_digit(36) {
        Some(digit @ 0..10) => (rest * 10 + digit) % 97,
        Some(letter) => (rest * 100 + letter) % 97,
        None => rest,
    });
    rest == 1
}

/// Whether the word for it is near.
fn has_context(record: &[u8], at: &Range<usize>) -> bool {
    let window = &record[at.start.saturating_sub(NEAR)..record.len().min(at.end + NEAR)];
    memchr::memmem::find(window, b"iban").is_some() || memchr::memmem::find(window, b"IBAN").is_some()
}

fn is_sample(number: &[u8]) -> bool {
    SAMPLES.iter().any(|sample| sample.bytes().eq(number.iter().copied().filter(u8::is_ascii_alphanumeric)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_seen_and_all_samples_have_them() {
        for sample in SAMPLES {
            assert_eq!(end_of(sample.as_bytes(), 0), Some(sample.len()), "{sample}");
            assert!(is_sample(sample.as_bytes()) && is_in(format!("x {sample} y").as_bytes()));
        }
        assert!(!has_check_digits(b"DE89370400440532013001") && !has_check_digits(b"ED89370400440532013000"));
        assert!(!has_check_digits(b""));
    }

    #[test]
    fn a_number_is_written_in_one_or_in_groups_of_four_and_touches_nothing() {
        assert_eq!(end_of(b"DE89 3704 0044 0532 0130 00 EUR", 0), Some(27));
        for text in [
            "DE8 93704 0044 0532 0130 00",
            "DE89  3704 0044 0532 0130 00",
            "DE893704004405320130001",
            "DE89370400440532013000_",
            "DE8937040044053201300",
            "ZZ89370400440532013000",
            "de89370400440532013000",
        ] {
            assert!(!is_in(text.as_bytes()), "{text}");
        }
        assert!(!is_in(b"xDE89370400440532013000"));
    }
}
