//! Words for levels, as programs write them.
//!
//! Some words mean a level nearly wherever they stand, and others only where nothing else than a level can: `ERROR` behind a
//! time is one, `fail` or a single letter is one only in brackets or as the value of a key. What makes a word in running text
//! one is not decided here, but by whoever knows what stands around it.

use crate::level::Level;
use Level::{Critical, Debug, Error, Info, Notice, Trace, Warning};

/// Words that mean a level wherever a level is expected, by their first letter.
fn words(first: u8) -> &'static [(&'static str, Level)] {
    match first | 0x20 {
        b'e' => &[
            ("error", Error),
            ("err", Error),
            ("eror", Error), // log15 writes four letters
            ("erro", Error), // and so does logrus
            ("emerg", Critical),
            ("emergency", Critical),
        ],
        b'i' => &[("info", Info), ("inf", Info), ("information", Info), ("informational", Info)],
        b'w' => &[("warn", Warning), ("warning", Warning), ("wrn", Warning)],
        b'd' => &[("debug", Debug), ("debu", Debug), ("dbug", Debug), ("dbg", Debug), ("dpanic", Critical)],
        b't' => &[("trace", Trace), ("trac", Trace), ("trce", Trace), ("trc", Trace)],
        b'n' => &[("notice", Notice)],
        b'c' => &[("critical", Critical), ("crit", Critical)],
        b'f' => &[
            ("fatal", Critical),
            ("fata", Critical),
            ("ftl", Critical),
            // java.util.logging counts down from info: fine, finer, finest.
            ("fine", Debug),
            ("finer", Trace),
            ("finest", Trace),
        ],
        b'p' => &[("panic", Critical), ("pani", Critical), ("pnc", Critical)],
        b's' => &[("severe", Error), ("success", Info), ("silly", Trace)],
        b'a' => &[("alert", Critical)],
        b'v' => &[("verbose", Debug)],
        b'l' => &[("log", Info)],
        _ => &[],
    }
}

/// Words that mean a level only where nothing else can stand: in brackets, or as the value of a level's key.
const STATED: [(&str, Level); 14] = [
    ("note", Info),    // MySQL
    ("system", Info),  // MySQL
    ("default", Info), // Google Cloud
    ("normal", Info),
    ("fail", Error),
    ("failure", Error),
    ("config", Debug), // java.util.logging
    ("e", Error),
    ("f", Critical),
    ("c", Critical),
    ("w", Warning),
    ("i", Info),
    ("d", Debug),
    ("t", Trace),
];

/// The longest of all words, in bytes.
pub(super) const LONGEST: usize = 13;

/// The level of a word in running text, whatever its case.
pub(super) fn level(word: &[u8]) -> Option<Level> {
    if !(3..=LONGEST).contains(&word.len()) {
        return None;
    }
    let words = words(*word.first()?);
    words.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, level)| *level)
}

/// The level of a word that stands where a level is expected.
pub(super) fn stated(word: &[u8]) -> Option<Level> {
    // Apache counts how deep it traces: `trace2`.
    let word = word.trim_ascii();
    let word = match word {
        [word @ .., b'1'..=b'8'] if word.len() == 5 => word,
        _ => word,
    };
    level(word)
        .or_else(|| STATED.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, level)| *level))
}

/// The level of a number of syslog (RFC 5424, 6.2.1).
pub(super) fn severity(number: u32) -> Level {
    match number {
        0..=2 => Critical,
        3 => Error,
        4 => Warning,
        5 => Notice,
        6 => Info,
        _ => Debug,
    }
}

/// The level of a single letter, as glog, Ruby and `MongoDB` write it.
pub(super) fn letter(letter: u8) -> Option<Level> {
    Some(match letter {
        b'E' => Error,
        b'F' | b'C' => Critical,
        b'W' => Warning,
        b'I' => Info,
        b'D' => Debug,
        b'T' => Trace,
        _ => return None,
    })
}

/// Whether a key of structured logs is that of the level. Any case: Serilog and .NET write `Level` and `LogLevel`.
pub(super) fn is_level_key(key: &[u8]) -> bool {
    const KEYS: [&str; 13] = [
        "level",
        "severity",
        "lvl",
        "loglevel",
        "log_level",
        "log.level",
        "levelname",
        "level_name",
        "@level",
        "@l",
        "severitytext",
        "severity_text",
        "log_severity",
    ];
    // Most keys are told apart by their first letter: this is asked of every key before that of the level.
    matches!(key.first(), Some(b'l' | b'L' | b's' | b'S' | b'@'))
        && KEYS.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_words_are_known_in_any_case_and_others_are_not() {
        for (word, expected) in [
            ("ERROR", Some(Error)),
            ("eror", Some(Error)),
            ("Warning", Some(Warning)),
            ("SEVERE", Some(Error)),
            ("informational", Some(Info)),
            ("errors", None),
            ("note", None),
            ("e", None),
            ("", None),
        ] {
            assert_eq!(level(word.as_bytes()), expected, "of {word:?}");
        }
    }

    #[test]
    fn what_stands_for_a_level_may_be_padded_or_a_single_letter() {
        assert_eq!(stated(b"INFO "), Some(Info));
        assert_eq!(stated(b"Note"), Some(Info));
        assert_eq!(stated(b"E"), Some(Error));
        assert_eq!(stated(b"trace2"), Some(Trace));
        assert_eq!(stated(b"core"), None);
    }

    #[test]
    fn keys_of_levels_are_known_in_any_case() {
        assert!(is_level_key(b"LogLevel") && is_level_key(b"@l") && is_level_key(b"severity"));
        assert!(!is_level_key(b"levels") && !is_level_key(b"msg") && !is_level_key(b""));
    }
}
