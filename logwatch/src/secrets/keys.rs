//! Private keys, in one line or over many.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use super::plain;
use super::rule::{Rule, is_token, telltales};

/// The longest key that is looked for the end of, in bytes: RSA of 16384 bits takes 12.7 KiB in PEM.
const LONGEST_KEY: usize = 32 << 10;

/// A key has at least so many base64 characters: Ed25519's take 64.
const SHORTEST_KEY: usize = 40;

/// In the order in which they have a say.
pub(super) static RULES: [Rule; 3] = [
    // The same key says more about itself when the rest of the file is there.
    Rule::by("gcp-service-account", telltales!(Anything: "PRIVATE KEY"), pem)
        .only(|candidate| is_of_a_service_account(candidate.record))
        .advice("delete this key of the service account in Google Cloud, and make a new one"),
    Rule::by("private-key", telltales!(Anything: "PRIVATE KEY"), pem)
        .only(|_| true)
        .advice("make a new key pair, replace the public key or certificate everywhere, and revoke the old one"),
    // Bech32 in upper case, of 32 bytes or, for hybrid keys, more; see the age specification.
    Rule::token(
        "age-key",
        telltales!(Token: "AGE-"),
        r"AGE-(?:SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{40,}|PLUGIN-[A-Z0-9-]{1,40}-1[02-9AC-HJ-NP-Z]{6,})",
    )
    .only(is_token)
    .advice("make a new identity, and encrypt anew what must stay secret"),
];

/// The line that begins a key: PKCS#8, PKCS#1, SEC1, OpenSSH, PGP, SSH2, encrypted or not.
static BEGINNING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    RegexBuilder::new(r"-----? ?BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)? ?-----?").unicode(false).build().ok()
});

/// The key's places, each from its first line to its last one, or to where it is cut.
fn pem(record: &[u8], found: &mut Vec<Range<usize>>) {
    let Some(beginning) = BEGINNING.as_ref() else { return };
    let mut from = 0;
    while let Some(begins) = beginning.find_at(record, from) {
        let body = begins.end();
        let end = end_of_key(record, body);
        from = end.max(body);
        if holds_a_key(&record[body..end]) || end == record.len() && is_cut(&record[body..]) {
            found.push(begins.start()..end);
        }
    }
}

/// Where the key ends whose body begins here.
fn end_of_key(record: &[u8], body: usize) -> usize {
    let window = &record[body..record.len().min(body + LONGEST_KEY)];
    let dashes = memmem::find(window, b"----");
    let Some(last_line) = dashes.filter(|at| is_last_line(&window[*at..])) else {
        return body + cut_body(&window[..dashes.unwrap_or(window.len())]);
    };
    let line = &window[last_line..];
    let name = memmem::find(line, b"KEY").unwrap_or(0);
    let rest = line[name..].iter().take(32).take_while(|byte| matches!(byte, b'A'..=b'Z' | b' ')).count();
    let closing = line[name + rest..].iter().take_while(|byte| **byte == b'-').count();
    body + last_line + name + rest + closing
}

fn is_last_line(line: &[u8]) -> bool {
    let words = line.iter().position(|byte| *byte != b'-').map_or(&[][..], |at| &line[at..]);
    words.trim_ascii_start().starts_with(b"END ")
}

/// How much of this belongs to a key that has no last line: base64, headers and line ends, also written as `\n`.
fn cut_body(window: &[u8]) -> usize {
    let is_body = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r' | b'\\' | b' ' | b'\t' | b':' | b',' | b'-' | b'.')
    };
    window.iter().take_while(|byte| is_body(byte)).count()
}

/// Whether there is a key between the first and the last line, and no placeholder.
fn holds_a_key(body: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let longest = body.split(|byte| !is_base64(byte)).map(<[u8]>::len).max().unwrap_or(0);
    longest >= SHORTEST_KEY && plain::entropy(body) >= 3.5
}

/// Whether the log ends a record after the first line: the key's other lines are records of their own then.
fn is_cut(rest: &[u8]) -> bool {
    rest.trim_ascii().is_empty()
}

/// Whether the record is a key file of Google Cloud.
fn is_of_a_service_account(record: &[u8]) -> bool {
    memmem::find(record, b"service_account").is_some() || memmem::find(record, b"iam.gserviceaccount.com").is_some()
}
