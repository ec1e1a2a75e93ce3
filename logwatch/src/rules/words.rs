//! Words about logs that are safe to tell: what a log says comes from anybody.

use std::borrow::Cow;

use chrono::Duration;
use shipshape_core::alert::one_line;
use shipshape_core::units;

use crate::secrets;

/// How much of a template is told in a sentence, in characters.
pub(super) const LONGEST_TEMPLATE: usize = 160;

/// How much of a record is told in a sentence, in characters.
pub(super) const LONGEST_SAMPLE: usize = 160;

/// How much of a name is told, in characters.
pub(crate) const LONGEST_NAME: usize = 120;

/// A text of a log as one line of at most so many characters: without secrets, without anything that moves a cursor, starts a
/// header or turns the direction of what follows.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    // Redacted first: what is cut or joined afterwards may hide what makes a secret known.
    one_line(&secrets::redacted(text), longest)
}

/// A span as people say it.
pub(super) fn spoken(span: Duration) -> String {
    units::spoken(span.to_std().unwrap_or_default())
}

/// A number as people write it: without what is 0 behind the point.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A word that a shell takes as one, whatever is in it.
pub(super) fn pasted(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) && !word.starts_with('-') {
        return Cow::Borrowed(word);
    }
    Cow::Owned(["'", &word.replace('\'', r"'\''"), "'"].concat())
}

/// A part of a problem's id, made of a name: always the same for the same name.
pub(super) fn part_of_an_id(name: &str) -> String {
    /// How much of a long name is kept beside its hash, in bytes.
    const KEPT: usize = 40;
    if name.len() <= shipshape_core::name::LONGEST {
        return shipshape_core::name::mend(name, "nameless");
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    // What is mended is ASCII: a character is a byte.
    let kept: String = shipshape_core::name::mend(name, "long").chars().take(KEPT).collect();
    format!("{kept}-{}", hash.chars().take(8).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_log_says_is_one_line_that_moves_nothing() {
        let forged = "a\r\nBcc: x@example.org\r\n\x1b[2J\u{202e}gpj\u{2028}b\u{7}";
        assert_eq!(plain(forged, 100), "a Bcc: x@example.org [2J gpj b");
        assert_eq!(plain(&"long ".repeat(100), 20).chars().count(), 20);
    }

    #[test]
    fn a_word_can_be_pasted_whatever_is_in_it() {
        let pasted =
            ["application-1", "/var/log/a b.log", "$(reboot)", "it's", "", "-rf"].map(|word| pasted(word).into_owned());
        assert_eq!(pasted, ["application-1", "'/var/log/a b.log'", "'$(reboot)'", r"'it'\''s'", "''", "'-rf'"]);
    }

    #[test]
    fn numbers_are_told_without_noise() {
        assert_eq!([0.0, 10.0, 7.5, 1.666].map(number), ["0", "10", "7.5", "1.67"]);
    }

    #[test]
    fn long_names_that_begin_alike_stay_apart() {
        let [one, other] = ["1", "2"].map(|end| part_of_an_id(&format!("/var/log/{}{end}", "deep/".repeat(30))));
        assert_ne!(one, other);
        assert_eq!(part_of_an_id("application-1"), "application-1");
    }

    proptest! {
        #[test]
        fn any_name_is_fit_for_an_id(name in "(.|\n|/){0,200}") {
            prop_assert!(shipshape_core::name::is_valid(&part_of_an_id(&name)), "{}", part_of_an_id(&name));
        }

        #[test]
        fn no_text_has_anything_hidden(text in "(\r|\n|\u{1b}\\[31m|\u{9b}|\u{202e}|\u{85}|a| |.){0,30}") {
            prop_assert!(!plain(&text, 200).chars().any(char::is_control));
        }
    }
}
