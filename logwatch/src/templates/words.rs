//! Single words: what of them is a name, and what is a number, an id, an address, a secret.
//!
//! A word is cut at its joiners into segments. Letters are kept, digits go; letters in front of digits are kept where they are a
//! name (`worker-12`, `blk_7`, `SOCKS5`) and go where they are part of an id (`R02-M1`, hexadecimal, base64).

use super::scan::push_wild;

/// Words so long, in bytes, are looked at even if there is no digit in them: they may be random.
pub(super) const LONG: usize = 20;

/// From how many letters on a name is a name, where it is between numbers; `T`, `NC`, `el` are not.
const NAME: usize = 3;

/// Keys whose values are texts of their own.
const TEXT_KEYS: [&[u8]; 12] = [
    b"msg",
    b"message",
    b"error",
    b"err",
    b"reason",
    b"exception",
    b"cause",
    b"detail",
    b"description",
    b"title",
    b"text",
    b"panic",
];

/// Values that are worth telling apart, for there are only so many.
const FEW: [&[u8]; 12] =
    [b"true", b"false", b"null", b"nil", b"none", b"yes", b"no", b"on", b"off", b"ok", b"failed", b"undefined"];

/// Names that are numbers of a date, in the one spelling that logs have.
const OF_DATES: [&[u8]; 19] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec", b"Mon", b"Tue",
    b"Wed", b"Thu", b"Fri", b"Sat", b"Sun",
];

/// Whether a word is the name of a month or of a day of the week.
pub(super) fn is_of_date(word: &[u8]) -> bool {
    OF_DATES.contains(&word)
}

/// Whether the value of this key is text.
pub(super) fn is_text_key(key: &[u8]) -> bool {
    TEXT_KEYS.iter().any(|text| key.eq_ignore_ascii_case(text))
}

/// Whether a value is one of few: a truth, a state, a constant (`GET`, `FAILED`, `ACTION_DOWN`).
pub(super) fn is_one_of_few(value: &[u8]) -> bool {
    let is_constant =
        (2..=24).contains(&value.len()) && value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    is_constant || FEW.iter().any(|few| value.eq_ignore_ascii_case(few))
}

/// Puts words that joiners hold together behind `out`, masked.
pub(super) fn mask(chunk: &[u8], out: &mut Vec<u8>) {
    if is_address(chunk) {
        return push_wild(out);
    }
    for (number, part) in chunk.split(|byte| *byte == b'/').enumerate() {
        if number > 0 {
            out.push(b'/');
        }
        // `12/May/2026` is a date.
        if is_of_date(part) && out.ends_with(b"<*>/") {
            push_wild(out);
        } else {
            Part::new(part).mask(out);
        }
    }
}

/// `name@host`; not `Proxy@1f3a`, an object at its address.
fn is_address(chunk: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', chunk) else { return false };
    let (name, host) = (&chunk[..at], &chunk[at + 1..]);
    !name.contains(&b'/') && !host.iter().all(u8::is_ascii_hexdigit) && host.iter().any(u8::is_ascii_alphabetic)
}

/// What a segment is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Letters that may be a word.
    Name,
    /// Nothing to keep.
    Value,
    /// So many letters, then digits.
    Numbered(usize),
}

fn classify(segment: &[u8]) -> Class {
    let Some(first) = segment.iter().position(u8::is_ascii_digit) else {
        return if is_random(segment) { Class::Value } else { Class::Name };
    };
    // `ee0` is a name: what is hexadecimal is longer.
    let is_hex = segment.len() > 3 && segment.iter().all(u8::is_ascii_hexdigit);
    if first == 0 || is_hex || is_random(segment) {
        return Class::Value;
    }
    if segment[first..].iter().all(u8::is_ascii_digit) {
        return Class::Numbered(first);
    }
    if is_identifier(segment) { Class::Name } else { Class::Value }
}

/// `log4j`, `isBluetoothA2dpOn`: names with a digit or two within many letters.
fn is_identifier(segment: &[u8]) -> bool {
    let digits = segment.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = segment.len() - digits;
    // Keys of clouds are as long as that, and all in capitals.
    let may_be_key = segment.len() >= LONG || !segment.iter().any(u8::is_ascii_lowercase);
    !may_be_key && digits <= 2 && letters >= 4 * digits && segment.last().is_some_and(u8::is_ascii_alphabetic)
}

/// Whether nobody would have named something so: too many changes between small and capital letters and digits for a word of
/// any language or camel case, or too few vowels.
fn is_random(segment: &[u8]) -> bool {
    if segment.len() < 12 || segment.iter().any(|byte| *byte >= 0x80) {
        return false;
    }
    let changes = segment
        .windows(2)
        .filter(|pair| {
            let rises = pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
            rises || pair[0].is_ascii_digit() != pair[1].is_ascii_digit()
        })
        .count();
    let vowels = segment.iter().filter(|byte| b"aeiouyAEIOUY".contains(byte)).count();
    let is_long = segment.len() >= LONG;
    changes * 3 >= segment.len()
        || is_long && changes * 6 >= segment.len() && vowels * 4 < segment.len()
        || vowels == 0 && is_long
}

/// A part of a path, or a word without slashes.
struct Part<'a> {
    text: &'a [u8],
    /// Behind its last digit: what follows is kept.
    last_digit: usize,
    /// Whether digits are in more than one segment.
    is_compound: bool,
}

impl<'a> Part<'a> {
    fn new(text: &'a [u8]) -> Self {
        let last_digit = text.iter().rposition(u8::is_ascii_digit).map_or(0, |at| at + 1);
        let first = text.iter().position(u8::is_ascii_digit).unwrap_or(last_digit);
        Self { text, last_digit, is_compound: text[first..last_digit].iter().any(|byte| is_joiner(*byte)) }
    }

    fn mask(&self, out: &mut Vec<u8>) {
        let mut at = 0;
        let mut was_masked = false;
        while at < self.text.len() {
            let start =
                self.text[at..].iter().position(|byte| !is_joiner(*byte)).map_or(self.text.len(), |skip| at + skip);
            let end =
                self.text[start..].iter().position(|byte| is_joiner(*byte)).map_or(self.text.len(), |len| start + len);
            let (joiner, segment) = (&self.text[at..start], &self.text[start..end]);
            at = end;
            let mut class = classify(segment);
            let is_within = end <= self.last_digit && is_part_of_id(segment, class);
            if was_masked && (is_within || joiner == b"%" || is_part_of_uuid(segment)) {
                class = Class::Value;
            }
            was_masked |= self.put(joiner, segment, class, out);
        }
    }

    /// Puts a segment; whether it was masked.
    fn put(&self, joiner: &[u8], segment: &[u8], class: Class, out: &mut Vec<u8>) -> bool {
        let keep = match class {
            Class::Name => segment.len(),
            Class::Numbered(letters) if letters >= if self.is_compound { NAME } else { 2 } => letters,
            Class::Value | Class::Numbered(_) => 0,
        };
        // `blk_-17`: the sign is the number's, not the name's.
        let is_signed = keep == 0 && joiner.len() > 1 && matches!(joiner.last(), Some(b'-' | b'+'));
        out.extend_from_slice(if is_signed { &joiner[..joiner.len() - 1] } else { joiner });
        out.extend_from_slice(&segment[..keep]);
        if keep < segment.len() {
            push_wild(out);
        }
        keep < segment.len()
    }
}

/// Whether a segment between numbers belongs to the same id.
fn is_part_of_id(segment: &[u8], class: Class) -> bool {
    match class {
        Class::Name => segment.len() < NAME || is_of_date(segment) || segment.iter().all(u8::is_ascii_hexdigit),
        Class::Value => true,
        Class::Numbered(letters) => letters < NAME,
    }
}

/// Whether a segment may be a part of a uuid that happens to have no digit.
fn is_part_of_uuid(segment: &[u8]) -> bool {
    matches!(segment.len(), 4 | 12) && segment.iter().all(u8::is_ascii_hexdigit)
}

fn is_joiner(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}
