//! Values that only their name makes secrets: `password=…`, `"api_key": "…"`. The weakest rules, and the last ones.

use super::plain;
use super::rule::{Candidate, Rule, Telltale, telltales};

/// What gives a password away that has a name.
pub(super) const PASSWORD: &[Telltale] = telltales!(
    Assigned: "passw", "Passw", "PASSW", "passp", "Passp", "PASSP", "pass\"", "pass'", "pass]", "pwd\"", "pwd'", "pwd]";
    Anything: "pass=", "PASS=", "pwd=", "Pwd=", "PWD=", "pass:", "pwd:";
);

/// What gives a token or a key away that has a name.
pub(super) const SECRET: &[Telltale] = telltales!(
    Assigned: "ecret", "ECRET", "token", "Token", "TOKEN", "_key", "pikey", "piKey", "pi-key", "pi-Key", "PIKEY", "PI-KEY",
    "_KEY", "ssKey";
);

/// What may stand between a name and its value: quotes, brackets and escapes around `=`, `:`, `=>`, `:=`, `>`.
macro_rules! assigned {
    ($names:literal) => {
        concat!(
            "(?i)",
            $names,
            r#"["'\\]{0,3}\]?["'\\]{0,3}[ \t]{0,2}(?:=>|:=|[=:>]|%3D)[ \t]{0,2}|"#,
            $names,
            "(?:%5C)?%22%3A(?:%20)?(?:%5C)?%22"
        )
    };
}

/// In the order in which they have a say.
pub(super) static RULES: [Rule; 5] = [
    // ADO.NET, JDBC, libpq: the password is one of several parts.
    Rule::before("connection-string", PASSWORD, r"(?i)[;?&\s](?:password|passwd|pwd)[ \t]?=[ \t]?")
        .only(|candidate| is_connection(candidate) && is_password(candidate))
        .advice("change this user's password, and keep the connection string out of messages"),
    Rule::before("generic-password", PASSWORD, assigned!(r"(?:passw(?:or)?d|passphrase|(?:\b|[_-])(?:pass|pwd))"))
        .only(is_password)
        .weak()
        .advice("if this is a password that is in use, change it, and let the program log the field's name only"),
    Rule::before(
        "generic-secret",
        SECRET,
        assigned!(r"(?:secret(?:[_-]?(?:access[_-]?)?key(?:[_-]base)?)?|token|(?:api|access)[_-]?key|(?:private|encryption)_key)"),
    )
    .only(|candidate| is_secret(candidate) && candidate.value().len() >= 12)
    .weak()
    .advice("if this is a token that is in use, revoke it, and let the program log the field's name only"),
    // A sentence that names the key and goes on with it: here it has to look like one of a machine.
    Rule::group(
        "generic-secret",
        telltales!(Word: "pi-key", "pi-Key", "pikey", "_key"),
        r"(?i)\bapi[_-]?key (?<value>[a-z0-9_.+/=~-]{16,256})",
    )
    .only(|candidate| is_secret(candidate) && plain::entropy(candidate.value()) >= 3.0)
    .weak()
    .advice("if this is a token that is in use, revoke it, and let the program log the field's name only"),
    // `pw` is more often the width of a picture or of a page than a password.
    Rule::before("generic-password", telltales!(Anything: " pw=", "?pw=", "&pw=", ";pw="), r"(?i)[ ?&;]pw=")
        .only(|candidate| is_password(candidate) && looks_chosen(candidate.value()) && is_varied(candidate.value()))
        .weak()
        .advice("if this is a password that is in use, change it, and let the program log the field's name only"),
];

/// Whether a value is no number with a unit, and its characters are not the same few.
fn is_varied(value: &[u8]) -> bool {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    digits < value.len().div_ceil(2) && plain::entropy(value) >= 2.2
}

/// Names that end like a secret's and are none: tokens against forged requests are worth nothing without the session, and
/// the others say where to go on reading.
const HARMLESS: &[&str] = &["csrf", "xsrf", "page", "next", "continu", "cursor", "sync", "public"];

/// Whether a value with a secret's name looks like one.
pub(super) fn is_secret(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    plain::is_random(value)
        && !value.contains(&b' ')
        && !plain::is_hash(value)
        && !plain::is_placeholder(value)
        && !is_path(value)
        && !is_harmless(&String::from_utf8_lossy(candidate.announced()).to_ascii_lowercase())
}

/// Whether a value says in which file the secret is. Base64 can begin with a slash, but has no points.
fn is_path(value: &[u8]) -> bool {
    let begins_so = [&b"/"[..], b"./", b"../", b"~/"].iter().any(|beginning| value.starts_with(beginning));
    begins_so && value[1..].contains(&b'/') && value.contains(&b'.')
}

fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|harmless| name.contains(harmless))
}

/// Whether a value with a password's name looks like one; people choose weak ones.
pub(super) fn is_password(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    value.len() >= 4
        && !plain::is_placeholder(value)
        && !plain::is_hash(value)
        && !is_sentence(value)
        && !is_code(candidate)
        && !is_weak(candidate)
        && (is_told_apart(candidate) || looks_chosen(value))
        && !SAMPLES.iter().any(|sample| value.eq_ignore_ascii_case(sample))
}

/// Whether the name is only `pass` or `pwd`, and the value one of those that these more often have: a result of tests, a
/// directory. `DB_PASS` says enough.
fn is_weak(candidate: &Candidate<'_>) -> bool {
    let (announced, value) = (candidate.announced(), candidate.value());
    let name = announced.iter().skip_while(|byte| !plain::is_name(**byte)).take_while(|byte| plain::is_name(**byte));
    let name: Vec<u8> = name.map(u8::to_ascii_lowercase).collect();
    let is_given = announced.trim_ascii_end().ends_with(b"=");
    let looks_real = is_given || looks_chosen(value) && is_varied(value);
    matches!(&name[..], b"pass" | b"pwd") && (value.starts_with(b"/") || !looks_real)
}

/// Weak passwords that stand in every example; where one is in use for sure, the other rules tell it.
const SAMPLES: &[&[u8]] = &[b"changeme", b"password", b"passwort", b"passwd", b"secret", b"test", b"text", b"reset"];

/// `The password field is required.`: a message about a field, as Laravel's validation gives it.
fn is_sentence(value: &[u8]) -> bool {
    value.contains(&b' ') && (value.ends_with(b".") || value.split(|byte| *byte == b' ').count() > 6)
}

/// `Password::broker()`, `$request->password`, `password=$value`.
fn is_code(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    let is_word = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'));
    let is_variable = matches!(value, [b'$', name @ ..] if is_word(name));
    is_variable || value.starts_with(b":") || value.starts_with(b"=") || value.contains(&b'(')
}

/// Whether it is a value for sure, and not the next word of a sentence: quoted, or after something else than a colon.
fn is_told_apart(candidate: &Candidate<'_>) -> bool {
    let announced = candidate.announced();
    let is_quoted = matches!(announced, [.., b'"' | b'\'']);
    is_quoted || !announced.trim_ascii_end().ends_with(b":")
}

/// Whether a value is no word of a sentence.
fn looks_chosen(value: &[u8]) -> bool {
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let has_sign = value.iter().any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'.' | b'-' | b'_' | b'/'));
    let has_letter = value.iter().any(u8::is_ascii_alphabetic);
    value.len() >= 6 && has_letter && (has_digit || has_sign)
}

/// How far before a password the beginning of its connection string is, at most.
const LONGEST_CONNECTION: usize = 400;

/// Whether a host, a driver or a data source is named before the password.
fn is_connection(candidate: &Candidate<'_>) -> bool {
    let before = candidate.before(LONGEST_CONNECTION).to_ascii_lowercase();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    [&b"jdbc:"[..], b"host=", b"server=", b"data source=", b"dbname=", b"database=", b"user id="]
        .iter()
        .any(|part| memchr::memmem::find(line, part).is_some())
}
