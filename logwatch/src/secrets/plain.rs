//! What is no secret, though it stands where one would, and how random a value is.

use std::ops::Range;

/// Words that stand for a value: whoever wrote them hid it already, or has none to hide. `changeme` and `password` are not
/// among them: where they stand for sure, somebody uses them.
const STAND_INS: &[&str] = &[
    "bearer",
    "basic",
    "empty",
    "expired",
    "failed",
    "false",
    "filtered",
    "hidden",
    "incorrect",
    "invalid",
    "masked",
    "missing",
    "nil",
    "no",
    "none",
    "null",
    "object",
    "ok",
    "omitted",
    "optional",
    "protected",
    "removed",
    "required",
    "sanitized",
    "set",
    "string",
    "true",
    "undefined",
    "unknown",
    "unset",
    "valid",
    "wrong",
    "yes",
];

/// Parts of words that tell a sample from a real value.
const SAMPLES: &[&str] = &[
    "example",
    "placeholder",
    "your_",
    "your-",
    "yourpass",
    "yourkey",
    "yourtoken",
    "insert_",
    "xxxx",
    "****",
    "...",
    "<redacted",
];

/// What stands before code that reads a value from elsewhere.
const REFERENCES: &[&str] = &[
    "${",
    "$(",
    "{{",
    "{%",
    "#{",
    "%{",
    "%(",
    "<%",
    "env(",
    "env[",
    "getenv",
    "process.env",
    "os.environ",
    "config(",
    "secrets.",
    "vault:",
    "file:",
    "/run/secrets/",
    ":",
];

/// Whether a byte can be part of a field's name.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Whether no letter or digit touches what lies here, so that it is a token and no part of one. The letter of an escape
/// (`\n`, `%3D`) is none.
pub(super) fn stands_alone(record: &[u8], at: &Range<usize>) -> bool {
    let touches = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let before = &record[..at.start];
    let is_escape = matches!(before, [.., b'\\', b'n' | b'r' | b't'] | [.., b'%', _, _]);
    (is_escape || !before.last().is_some_and(touches)) && !record.get(at.end).is_some_and(touches)
}

/// Whether a value stands for another one: `[redacted]`, `****`, `your_token_here`, `${TOKEN}`, `%s`, `<password>`, `null`.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    // What stays when a part was redacted already may be a secret still.
    let text = text.replace("[redacted]", "").replace("redacted", "");
    let bare = text.trim_matches(|char: char| !char.is_ascii_alphanumeric());
    is_uniform(text.as_bytes())
        || STAND_INS.contains(&bare)
        || SAMPLES.iter().any(|sample| text.contains(sample))
        || REFERENCES.iter().any(|reference| text.starts_with(reference))
        || is_variable(value)
        || text.starts_with('<') && text.ends_with('>')
}

/// Nearly nothing, or the same sign over and over: `xxxxxxxx`, `***`, `--------`, `0000-0000`.
fn is_uniform(text: &[u8]) -> bool {
    let mut kinds: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.len() < 2 || text.len() < 3
}

/// `$DB_PASSWORD`, `%s`, `%1$s`, `{0}`, `{password}`, `@password`, `?`.
fn is_variable(value: &[u8]) -> bool {
    match value {
        [b'$', name @ ..] => name.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_'),
        [b'%', name @ ..] => name.len() <= 4,
        [b'{', .., b'}'] => true,
        _ => false,
    }
}

/// Shannon's entropy of a value, in bits per byte.
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let all = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX).max(1));
    let bits = |count: &u32| f64::from(*count) / all * (all / f64::from(*count)).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}

/// Whether a value looks made by a machine: letters and digits mixed, and hardly any of them twice.
pub(super) fn is_random(value: &[u8]) -> bool {
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let has_letter = value.iter().any(u8::is_ascii_alphabetic);
    value.len() >= 8 && has_digit && has_letter && entropy(value) >= 2.7 && !is_uuid(value)
}

/// Whether a value is an identifier that everybody may see: ids of requests and records are written like that.
pub(super) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a value is a hash that says it is one: of a password, a file, an image.
pub(super) fn is_hash(value: &[u8]) -> bool {
    const FORMS: &[&[u8]] =
        &[b"$2", b"$5$", b"$6$", b"$y$", b"$argon2", b"$pbkdf2", b"$A$", b"SCRAM-SHA-", b"{SHA", b"{SSHA"];
    let is_prefixed = |form: &&[u8]| value.starts_with(form);
    let is_mysql = matches!(value, [b'*', hash @ ..] if hash.len() == 40 && hash.iter().all(u8::is_ascii_hexdigit));
    let is_postgres =
        matches!(value, [b'm', b'd', b'5', hash @ ..] if hash.len() == 32 && hash.iter().all(u8::is_ascii_hexdigit));
    let is_digest = value.starts_with(b"sha256:") || value.starts_with(b"sha512:") || value.starts_with(b"sha1:");
    FORMS.iter().any(is_prefixed)
        || is_mysql
        || is_postgres
        || is_digest
        || value.starts_with(b"sha256-")
        || value.starts_with(b"sha512-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets() {
        for text in [
            "",
            "[redacted]",
            "REDACTED",
            "[FILTERED]",
            "****",
            "********",
            "xxxxxxxx",
            "XXXX-XXXX",
            "--------",
            "0000000000",
            "your_token_here",
            "YOUR-API-KEY",
            "${DB_PASSWORD}",
            "$DB_PASSWORD",
            "$(cat key)",
            "%s",
            "%1$s",
            "{{ token }}",
            "{password}",
            "<password>",
            "<your key>",
            "null",
            "None",
            "true",
            "YES",
            "AKIAIOSFODNN7EXAMPLE",
            "env('DB_PASSWORD')",
            "process.env.KEY",
            "/run/secrets/db",
            "abc...",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn weak_passwords_are_secrets_all_the_same() {
        for text in
            ["hunter2", "changeme", "secret", "password", "12345678", "p@ssw0rd", "[redacted]tail9", "pa$$word", "root"]
        {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn entropy_is_counted_in_bits_per_byte() {
        assert!(entropy(b"").abs() < 1e-9 && entropy(b"aaaa").abs() < 1e-9);
        assert!((entropy(b"abab") - 1.0).abs() < 1e-9 && (entropy(b"abcdefgh") - 3.0).abs() < 1e-9);
    }

    #[test]
    fn hashes_and_ids_are_known_by_their_form() {
        for text in ["$2y$10$abcdefghijklmnopqrstuv", "sha256:e3b0c442", "SCRAM-SHA-256$4096:x", "$argon2id$v=19$m=1"] {
            assert!(is_hash(text.as_bytes()), "{text}");
        }
        assert!(
            is_hash(format!("*{}", "A1".repeat(20)).as_bytes())
                && is_hash(format!("md5{}", "a1".repeat(16)).as_bytes())
        );
        assert!(!is_hash(b"hunter2") && !is_hash(b"*stars*") && !is_hash(b"md5"));
        assert!(is_uuid(b"123e4567-e89b-12d3-a456-426614174000") && !is_uuid(b"123e4567-e89b-12d3-a456-42661417400"));
    }

    #[test]
    fn a_token_is_not_touched_by_letters() {
        let alone = |text: &str, token: &str| {
            let start = text.find(token).unwrap();
            stands_alone(text.as_bytes(), &(start..start + token.len()))
        };
        for text in ["AB12", " AB12 ", "=AB12&", "\\nAB12\\n", "%3DAB12", "\"AB12\""] {
            assert!(alone(text, "AB12"), "{text}");
        }
        for text in ["xAB12", "AB12x", "_AB12", "AB129"] {
            assert!(!alone(text, "AB12"), "{text}");
        }
    }
}
