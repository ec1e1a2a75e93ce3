//! The one redactor: every text that leaves a run passes it. It knows the secret values in use, and the shapes of common
//! ones.
//!
//! A plain report costs a few passes of substring search: each shape is compiled only once a text holds its telltale.

mod shapes;

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;
use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The shortest value that is learnt, in bytes. Anything shorter would black out half of a report, and is guessed anyway.
const SHORTEST: usize = 6;

/// The secret values in use, longest first, so that a value that holds another one goes as a whole.
static KNOWN: RwLock<Vec<Zeroizing<String>>> = RwLock::new(Vec::new());

/// Learns a secret value that is in use. Values shorter than six bytes are not learnt.
pub fn learn(value: &str) {
    let value = value.trim();
    if value.len() < SHORTEST {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|other| other.as_str() == value) {
        known.push(Zeroizing::new(value.to_owned()));
        known.sort_by_key(|other| std::cmp::Reverse(other.len()));
    }
}

/// The text without secrets. Text that holds none is returned as it is.
pub fn redact(text: &str) -> Cow<'_, str> {
    shapes::without_shapes(without_known(Cow::Borrowed(text)))
}

/// Redacts every string below a value, and every string whose key says that it is a secret.
pub fn redact_json(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(safe) = redact(text) {
                *text = safe;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| redact_field(key, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_field(key: &str, field: &mut Value) {
    match field {
        Value::String(text) if shapes::names_a_secret(key) && !text.is_empty() => REDACTED.clone_into(text),
        other => redact_json(other),
    }
}

fn without_known(mut text: Cow<'_, str>) -> Cow<'_, str> {
    for value in KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if text.contains(value.as_str()) {
            text = Cow::Owned(text.replace(value.as_str(), REDACTED));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_value_in_use_never_leaves_whatever_it_looks_like() {
        learn("correct horse battery");
        learn("correct horse battery staple");
        let text = redact("tried correct horse battery staple and correct horse battery.");
        assert_eq!(text, "tried [redacted] and [redacted].");
    }

    #[test]
    fn short_values_are_not_learnt_because_they_would_black_out_words() {
        learn("data");
        assert_eq!(redact("data.snapshots"), "data.snapshots");
    }

    #[test]
    fn secrets_are_known_by_their_shape() {
        for (text, expected) in SHAPES {
            assert_eq!(redact(text), *expected, "of {text}");
        }
    }

    const SHAPES: &[(&str, &str)] = &[
        ("key AGE-SECRET-KEY-1QQPQY9Z0XWVUTSRNMLKJHGFEDCA234567 end", "key [redacted] end"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nnext", "[redacted]\nnext"),
        ("-----BEGIN PRIVATE KEY-----\ncut short", "[redacted]"),
        ("id AKIAIOSFODNN7EXAMPLE used", "id [redacted] used"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [redacted]"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig_-x!", "jwt [redacted]!"),
        ("postgres://app:p4ss/w0rd@db:5432/fleet", "postgres://app:[redacted]@db:5432/fleet"),
        ("mysql -pX DB_PASSWORD=hunter2 --quick", "mysql -pX DB_PASSWORD=[redacted] --quick"),
        ("{\"api_key\": \"abc def\", \"x\": 1}", "{\"api_key\": [redacted], \"x\": 1}"),
        ("Access denied (using password: YES)", "Access denied (using password: YES)"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"),
        ("xoxb-1234567890-abcdefghij", "[redacted]"),
        ("https://hooks.slack.com/services/T0/B0/xyzXYZ now", "https://hooks.slack.com/services/[redacted] now"),
        ("sk_live_abcdefghijklmnop", "[redacted]"),
        ("clone glpat-abcdefghij0123456789 now", "clone [redacted] now"),
        ("with sk-ant-api03-abcdefghij0123456789.", "with [redacted]."),
        ("APP_KEY=base64:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq= set", "APP_KEY=base64:[redacted] set"),
    ];

    #[test]
    fn what_a_report_needs_stays() {
        let plain = [
            "snapshot 20261120T020000Z-7f3a: 3 databases, 32001 files, 18.2 MB new",
            "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "cannot read the secret file /etc/ops/key: Permission denied",
            "file:///var/backups/shipshape",
            "write to ops@example.org",
            "unknown key `token` in [store]",
            "https://example.org:8443/status",
        ];
        for text in plain {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text}: {}", redact(text));
        }
    }

    #[test]
    fn json_is_redacted_at_any_depth_and_by_its_keys() {
        let mut value = json!({"a": [{"url": "x://u:pw1234@h/"}], "password": "short", "token_count": 3, "tokens": 7});
        redact_json(&mut value);
        let expected =
            json!({"a": [{"url": "x://u:[redacted]@h/"}], "password": "[redacted]", "token_count": 3, "tokens": 7});
        assert_eq!(value, expected);
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(text in "(token=|://|@|:|password: |bearer |x|\"|'| |,|[a-z0-9]{1,12}){0,12}") {
            let once = redact(&text).into_owned();
            prop_assert_eq!(redact(&once).into_owned(), once.clone());
        }

        #[test]
        fn a_learnt_value_is_gone_from_any_text(value in "[!-~]{12,20}", before in ".{0,20}", after in ".{0,20}") {
            learn(&value);
            let text = format!("{before}{value}{after}");
            prop_assert!(!redact(&text).contains(&value));
        }
    }
}
