//! What secrets look like.

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::{Captures, Regex};

/// One kind of secret.
struct Shape {
    /// A text without any of these holds no such secret. Lower case; looked for in any case.
    telltales: &'static [&'static str],
    pattern: &'static str,
    /// What is put in its place; the parts that are no secret stay.
    replacement: &'static str,
    finder: OnceLock<Option<AhoCorasick>>,
    compiled: OnceLock<Option<Regex>>,
}

const fn shape(telltales: &'static [&'static str], pattern: &'static str, replacement: &'static str) -> Shape {
    Shape { telltales, pattern, replacement, finder: OnceLock::new(), compiled: OnceLock::new() }
}

/// Words that make `word=value` and `word: value` a secret. Also those that end so: `DB_PASSWORD`, `aws_secret_access_key`.
const SECRET_WORDS: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "api-key"];

/// In the order in which they are applied: the long ones first, so that their parts are not taken for something else.
static SHAPES: [Shape; 13] = [
    shape(
        &["private key-----"],
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
        "[redacted]",
    ),
    shape(&["age-secret-key-", "age-plugin-"], r"(?i)\bAGE-(?:SECRET-KEY|PLUGIN)-[A-Z0-9-]{8,}", "[redacted]"),
    shape(&["akia", "asia"], r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "[redacted]"),
    shape(&["eyj"], r"\beyJ[\w-]{8,}\.eyJ[\w-]+\.[\w-]*", "[redacted]"),
    shape(&["bearer ", "basic "], r"(?i)\b(authorization:\s*basic|bearer)\s+[a-z0-9._~+/=-]{8,}", "${1} [redacted]"),
    // The password may hold a slash or an `@`, as people write them: all up to the last `@` of the word goes.
    shape(&["://"], r#"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@"'<>]*):[^\s"'<>]+@"#, "${1}:[redacted]@"),
    shape(&["hooks.slack.com/"], r"(hooks\.slack\.com/(?:services|workflows)/)[\w/-]+", "${1}[redacted]"),
    shape(&["xox"], r"\bxox[a-z]-[A-Za-z0-9-]{10,}", "[redacted]"),
    shape(
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,})",
        "[redacted]",
    ),
    shape(&["_live_", "_test_", "whsec_"], r"\b(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{10,}", "[redacted]"),
    shape(
        &[
            "glpat-",
            "gldt-",
            "glrt-",
            "npm_",
            "pypi-age",
            "dckr_pat_",
            "hvs.",
            "sk-ant-",
            "t3blbkfj",
            "aiza",
            "gocspx-",
            "_v1_",
            "cfk_",
            "cfut_",
            "cfat_",
            "sg.",
        ],
        concat!(
            r"\b(?:(?:gl(?:pat|dt|rt|rtr)-|npm_|pypi-AgE|dckr_pat_|hvs\.|sk-ant-|AIza|GOCSPX-|do[opr]_v1_|cf(?:k|ut|at)_)[\w-]{20,}",
            r"|sk-[\w-]{10,}T3BlbkFJ[\w-]{10,}|SG\.[\w-]{20,}\.[\w-]{20,})",
        ),
        "[redacted]",
    ),
    // Laravel's key of the application, by which cookies are forged.
    shape(&["base64:"], r"\bbase64:[A-Za-z0-9+/]{22,43}=", "base64:[redacted]"),
    shape(
        SECRET_WORDS,
        concat!(
            r#"(?i)\b([a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key)(?:_[a-z0-9_]*)?["']?\s?[=:]\s?)"#,
            r#"(?<value>"[^"\n]*"|'[^'\n]*'|[^\s,;"')}\]]+\]?)"#
        ),
        "${1}[redacted]",
    ),
];

/// All telltales at once, for the one pass that most texts get.
static TELLTALES: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| finder(SHAPES.iter().flat_map(|shape| shape.telltales.iter().copied())));

/// A search for any of these words, in any case. The words are ours and few: building it does not fail.
fn finder(words: impl Iterator<Item = &'static str>) -> Option<AhoCorasick> {
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
}

/// The text without anything that looks like a secret.
pub(super) fn without_shapes(mut text: Cow<'_, str>) -> Cow<'_, str> {
    if !TELLTALES.as_ref().is_none_or(|telltales| telltales.is_match(text.as_ref())) {
        return text;
    }
    for shape in &SHAPES {
        if shape.may_be_in(&text)
            && let Some(regex) = shape.regex()
            && let Cow::Owned(safe) = regex.replace_all(&text, |found: &Captures<'_>| shape.instead_of(found))
        {
            text = Cow::Owned(safe);
        }
    }
    text
}

/// Whether a field of this name holds a secret: the last part of the name is a secret's word.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.ends_with(word))
}

impl Shape {
    fn may_be_in(&self, text: &str) -> bool {
        let finder = self.finder.get_or_init(|| finder(self.telltales.iter().copied()));
        finder.as_ref().is_none_or(|telltales| telltales.is_match(text))
    }

    fn instead_of(&self, found: &Captures<'_>) -> String {
        if found.name("value").is_some_and(|value| is_plain_value(value.as_str())) {
            return found[0].to_owned();
        }
        let mut instead = String::new();
        found.expand(self.replacement, &mut instead);
        instead
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(self.pattern).ok()).as_ref()
    }
}

/// What is no secret, though it stands where one would: `using password: YES` is how MySQL says that one was given, and
/// worth knowing; the rest stands in configurations for nothing.
fn is_plain_value(value: &str) -> bool {
    ["yes", "no", "true", "false", "null", "none"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_compiles() {
        for shape in &SHAPES {
            assert!(shape.regex().is_some(), "{}", shape.pattern);
        }
    }

    #[test]
    fn every_telltale_is_found_in_any_case_and_at_any_place() {
        for shape in &SHAPES {
            for telltale in shape.telltales {
                assert!(shape.may_be_in(&format!("x{}", telltale.to_uppercase())), "{telltale}");
                assert!(!shape.may_be_in(&telltale[1..]), "{telltale}");
            }
        }
    }
}
