//! Words that tell of something bad, where no level is stated: and all that shows that they do not.
//!
//! A word is meant unless its surroundings say otherwise: it is part of an address, a path, a name or a flag; it is counted,
//! and there are none; it is denied; or it only says what something is for.

use crate::level::Level;
use Level::{Critical, Error, Warning};

/// A word, how grave it is, and the rule that it stands for.
struct Word {
    text: &'static [u8],
    level: Level,
    rule: &'static str,
    /// Whether names of types end with it: `ValueError`.
    ends_names: bool,
    /// Where in it the three letters are by which it is found.
    mark: usize,
}

const fn word(text: &'static [u8], level: Level, rule: &'static str) -> Word {
    Word { text, level, rule, ends_names: false, mark: 0 }
}

/// A phrase: found by three letters within, as its beginning is that of too many words.
const fn phrase(text: &'static [u8], mark: usize) -> Word {
    Word { text, level: Error, rule: "keyword.failed", ends_names: false, mark }
}

/// A word with which names of types end.
const fn name(text: &'static [u8], rule: &'static str) -> Word {
    Word { text, level: Error, rule, ends_names: true, mark: 0 }
}

/// What those who run jobs and tests write behind their names: in capitals alone, as a sentence may have the word as well.
const FAIL: Word = word(b"FAIL", Error, "keyword.failed");

/// By their first letter; longer ones before their beginnings.
const WORDS: [Word; 34] = [
    phrase(b"command not found", 6),
    phrase(b"connection refused", 12),
    phrase(b"could not translate host name", 4),
    word(b"critical", Critical, "keyword.critical"),
    word(b"crit", Critical, "keyword.critical"),
    word(b"denied", Warning, "keyword.denied"),
    word(b"emergency", Critical, "keyword.emergency"),
    word(b"emerg", Critical, "keyword.emergency"),
    name(b"errors", "keyword.error"),
    name(b"error", "keyword.error"),
    word(b"err", Error, "keyword.error"),
    name(b"exceptions", "keyword.exception"),
    name(b"exception", "keyword.exception"),
    word(b"failed", Error, "keyword.failed"),
    word(b"failures", Error, "keyword.failed"),
    word(b"failure", Error, "keyword.failed"),
    FAIL,
    word(b"fatal", Critical, "keyword.fatal"),
    phrase(b"no such file or directory", 4),
    word(b"panicked", Critical, "keyword.panic"),
    word(b"panics", Critical, "keyword.panic"),
    word(b"panic", Critical, "keyword.panic"),
    word(b"segfault", Critical, "keyword.segfault"),
    word(b"segmentation fault", Critical, "keyword.segfault"),
    word(b"sigsegv", Critical, "keyword.segfault"),
    word(b"traceback", Error, "keyword.traceback"),
    word(b"warnings", Warning, "keyword.warning"),
    word(b"warning", Warning, "keyword.warning"),
    word(b"warn", Warning, "keyword.warning"),
    word(b"unable to connect", Error, "keyword.failed"),
    word(b"oomkilled", Critical, "keyword.oom"),
    word(b"oom-killer", Critical, "keyword.oom"),
    word(b"out of memory", Critical, "keyword.oom"),
    word(b"outofmemoryerror", Critical, "keyword.oom"),
];

/// The three letters by which words are found, those of phrases within: `could not`, `command not`, `refused`, `such file`.
const MARKS: [&[u8; 3]; 18] = [
    b"cri", b"d n", b"den", b"efu", b"eme", b"err", b"exc", b"fai", b"fat", b"oom", b"out", b"pan", b"seg", b"sig",
    b"tra", b"uch", b"una", b"war",
];

/// For each byte, the marks that have it first, and in further bits those that have it second, or third; whatever its case.
/// Where the bits of three bytes side by side meet, there is a mark: no branch is needed to see that there is none, which is
/// all that can be said of most text.
static BITS: [u64; 256] = bits();

/// How far apart the bits of a mark are.
const APART: u32 = 21;

const fn bits() -> [u64; 256] {
    let mut bits = [0; 256];
    let mut mark = 0;
    while mark < MARKS.len() {
        let mut place = 0;
        while place < 3 {
            let letter = MARKS[mark][place];
            let bit = 1 << (mark + place * APART as usize);
            bits[letter as usize] |= bit;
            bits[letter.to_ascii_uppercase() as usize] |= bit;
            place += 1;
        }
        mark += 1;
    }
    bits
}

/// At how many places marks are looked for together.
const PLACES: usize = 16;

/// The bytes that are looked at for it: a mark at the last place ends two bytes behind it.
type Block = [u8; PLACES + 2];

/// Where marks are in a text, from the left.
struct Marked<'a> {
    text: &'a [u8],
    /// Where the block begins that comes next.
    next: usize,
    /// The places in the block before that one which are still to be told, a bit for each.
    places: u32,
}

impl<'a> Marked<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, next: 0, places: 0 }
    }
}

impl Iterator for Marked<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.places == 0 {
            let rest = self.text.get(self.next..).filter(|rest| rest.len() > 2)?;
            self.next += PLACES;
            self.places = match rest.first_chunk::<{ PLACES + 2 }>() {
                Some(block) if !is_marked(block) => 0,
                Some(block) => places(block),
                None => places(rest),
            };
        }
        let place = self.places.trailing_zeros();
        self.places &= self.places - 1;
        Some(self.next - PLACES + place as usize)
    }
}

/// Whether there is a mark.
#[inline]
fn is_marked(block: &Block) -> bool {
    let bits = block.map(|byte| BITS[usize::from(byte)]);
    (0..PLACES).fold(0, |any, at| any | meet(bits[at], bits[at + 1], bits[at + 2])) != 0
}

#[inline]
fn meet(first: u64, second: u64, third: u64) -> u64 {
    first & second >> APART & third >> (2 * APART)
}

/// Where there are marks, a bit for each place.
fn places(block: &[u8]) -> u32 {
    let bits = |byte: u8| BITS[usize::from(byte)];
    let marks = block.windows(3).map(|three| meet(bits(three[0]), bits(three[1]), bits(three[2])) != 0);
    marks.enumerate().fold(0, |places, (at, is_mark)| places | u32::from(is_mark) << at)
}

/// The gravest word that is meant, with the rule that it stands for.
pub(super) fn find(text: &[u8]) -> Option<(Level, &'static str)> {
    let mut found: Option<(Level, &'static str)> = None;
    for (at, word) in Marked::of(text).filter_map(|mark| word_at(text, mark)) {
        // The surroundings are looked at only where they matter.
        let is_graver = found.is_none_or(|(level, _)| level < word.level);
        if is_graver && is_meant(text, at, word) {
            found = Some((level_of(text, at, word), word.rule));
        }
        if found.is_some_and(|(level, _)| level.is_error()) {
            break;
        }
    }
    found
}

/// The word that has its mark here, and where it begins.
fn word_at(text: &[u8], mark: usize) -> Option<(usize, &'static Word)> {
    let begin = |word: &Word| mark.checked_sub(word.mark).filter(|at| begins_with(&text[*at..], word.text));
    let (at, word) = WORDS.iter().find_map(|word| begin(word).map(|at| (at, word)))?;
    (word.text != FAIL.text || text[at..].starts_with(FAIL.text)).then_some((at, word))
}

fn begins_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

/// The level of a word where it stands: that a guest was not let in is no error of ours.
fn level_of(text: &[u8], at: usize, word: &Word) -> Level {
    let near = &text[at.saturating_sub(24)..(at + 24).min(text.len())];
    // Machines that stand in the internet see thousands of these a day, and refuse them as they should.
    let is_login = ["authentication", "password", "login", "publickey"].iter().any(|word| contains(near, word));
    if word.text.starts_with(b"fail") && is_login { Warning } else { word.level }
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a word that stands here is meant.
fn is_meant(text: &[u8], at: usize, word: &Word) -> bool {
    let end = at + word.text.len();
    let start = at - text[..at].iter().rev().take_while(|byte| is_of_name(**byte)).count();
    // `errorHandler`, `error_log`, `failover`, `errno`.
    if text.get(end).is_some_and(|byte| is_of_name(*byte)) {
        return false;
    }
    if start < at && !(word.ends_names && is_type(&text[start..end], at - start)) {
        return false;
    }
    !is_in_a_name(text, start, end)
        && !is_in_a_path(&text[..start])
        && !is_denied(&text[..start], word)
        && !is_without_value(word, &text[at..end], &text[end..])
        && !is_about(text[end..].trim_ascii_start())
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether a name that ends with the word, which begins at `at`, is that of an error: `ValueError`, `PDOException`; but not
/// `onError`, `NOERROR`, `my_error`.
fn is_type(name: &[u8], at: usize) -> bool {
    const NONE: [&[u8]; 8] = [b"No", b"Non", b"Is", b"Has", b"On", b"Handle", b"Ignore", b"Clear"];
    name[0].is_ascii_uppercase()
        && name[at].is_ascii_uppercase()
        && name[at + 1].is_ascii_lowercase()
        && !name.contains(&b'_')
        && !NONE.contains(&&name[..at])
}

/// Whether what stands around makes it a part of a longer name: a flag, a file, a variable, a code.
fn is_in_a_name(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map(|at| text[at]);
    let before_that = start.checked_sub(2).map(|at| text[at]);
    let after = text.get(end).copied();
    let after_that = text.get(end + 1).copied();
    let is_name = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    // `--fail-on-error`, `console.error`, `$error`, `?error=`.
    let is_called = match before {
        Some(b'-') => before_that == Some(b'-') || is_name(before_that),
        Some(b'.') => is_name(before_that) && text[start].is_ascii_lowercase(),
        Some(b'$' | b'@' | b'?' | b'&' | b'#') => true,
        _ => false,
    };
    // `error-free`, `error.html`, `error/`, `Error\Handler`.
    let goes_on = match after {
        Some(b'-' | b'.') => is_name(after_that),
        Some(b'/') => true,
        // A name space of PHP, but not a line feed in a quoted text.
        Some(b'\\') => after_that.is_some_and(|byte| byte.is_ascii_uppercase()),
        _ => false,
    };
    is_called || goes_on
}

/// Whether the word before which this stands is the end of a path or an address.
fn is_in_a_path(before: &[u8]) -> bool {
    let token = before
        .rsplit(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'(' | b'[' | b'=' | b'<' | b'>' | b'|' | b'\n'));
    token.into_iter().next().is_some_and(|token| token.contains(&b'/'))
}

/// Whether the words before say that there is none: `no`, `without any`, `0`, `on`, `non fatal`.
fn is_denied(before: &[u8], word: &Word) -> bool {
    let Some(before) = before.strip_suffix(b" ") else { return false };
    let mut words = before.rsplit(|byte| *byte == b' ');
    let mut next = || words.next().map(<[u8]>::trim_ascii).unwrap_or_default();
    let first = next();
    if denies(first) {
        return true;
    }
    let (second, third) = (next(), next());
    // One word may stand between: `no fatal errors`, `without any error`, `0 new failures`.
    let is_near =
        first.iter().all(u8::is_ascii_alphabetic) && denies(second) && !is_any_of(second, &["on", "if", "not"]);
    is_near || is_denied_by_phrase([first, second, third, next()], word)
}

/// The same in more words than one; they are given as they stand, the nearest first.
fn is_denied_by_phrase(before: [&[u8]; 4], word: &Word) -> bool {
    let is = |at: usize, words: &[&str]| is_any_of(before[at], words);
    let is_article = |at: usize| is(at, &["a", "an"]);
    // `free of errors`.
    is(0, &["of"]) && is(1, &["free"])
        // `recovered from error`; who recovers from a panic tells of it.
        || is(0, &["from"]) && is(1, &["recovered", "recovering"]) && word.level == Error
        // `not an error`, `not a fatal error`.
        || is_article(0) && is(1, &["not"])
        || is_article(1) && is(2, &["not"])
        // `loading module errors`.
        || is(0, &["module"]) && is(1, &["loading", "loaded"])
        // `0 of 12 failed`, `0 of 12 jobs failed`, `0 out of 12 failed`.
        || is(1, &["of"]) && is(2, &["0"])
        || is(2, &["of"]) && is(3, &["0"])
        || is(1, &["of"]) && is(2, &["out"]) && is(3, &["0"])
}

fn denies(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"(").or_else(|| word.strip_prefix(b"[")).unwrap_or(word);
    is_any_of(
        word,
        &[
            "0", "0%", "no", "not", "none", "nothing", "never", "without", "zero", "non", "any", "on", "if", "ignore",
            "ignored", "ignoring",
        ],
    )
}

fn is_any_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a value follows that says that there is none: `errors: 0`, `"error":null`, `failed=false`, `error rate 0.00%`; or one
/// that makes it a setting: `errors=remount-ro`, `warn=True`.
fn is_without_value(word: &Word, written: &[u8], after: &[u8]) -> bool {
    // The word may be a key of JSON.
    let after = after.strip_prefix(b"\"").or_else(|| after.strip_prefix(b"'")).unwrap_or(after);
    let (is_counted, after) = match counted(after) {
        Some(rest) => (true, rest),
        None => (false, after),
    };
    match after {
        // A pair: its value ends with the first blank. `errors=remount-ro` is an option of a file system, `errors=3` a count.
        [b'=', value @ ..] => {
            let value = value.split(|byte| *byte == b' ').next().unwrap_or_default();
            let is_number = value.first().is_some_and(u8::is_ascii_digit);
            is_nothing(value)
                || word.level == Warning
                // After how many seconds a kernel starts anew.
                || word.rule == "keyword.panic" && is_number
                || written.ends_with(b"s") && !is_number && !matches!(value.first(), Some(b'"' | b'[' | b'{'))
        }
        [b':', value @ ..] => is_nothing(value.trim_ascii_start()),
        [b' ', value @ ..] => {
            let value = value.trim_ascii_start();
            let value =
                value.strip_prefix(b"=").or_else(|| value.strip_prefix(b":")).unwrap_or(value).trim_ascii_start();
            is_zero(value) || is_counted && !value.first().is_some_and(u8::is_ascii_digit)
        }
        _ => is_counted,
    }
}

/// What follows a word that makes it a number of them: `error rate: 0`, `failed count=0`.
fn counted(after: &[u8]) -> Option<&[u8]> {
    let rest = after.strip_prefix(b" ").or_else(|| after.strip_prefix(b"_"))?;
    let word = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    is_any_of(&rest[..word], &["rate", "rates", "count", "counts", "code", "ratio", "total"]).then(|| &rest[word..])
}

/// Whether a value, at the beginning of a text, says that there is nothing: `0`, `null`, `none`, `false`, `""`, `[]`; but not
/// `nil pointer` or `no such file`.
pub(super) fn is_nothing(value: &[u8]) -> bool {
    const NOTHING: [&str; 13] =
        ["null", "none", "nil", "false", "no", "off", "undefined", "n/a", "<nil>", "\"\"", "''", "[]", "{}"];
    let value = value.trim_ascii_start();
    let unquoted = value.strip_prefix(b"\"").filter(|value| !value.starts_with(b"\"")).unwrap_or(value);
    is_zero(unquoted)
        || NOTHING.iter().any(|word| {
            let next = unquoted.get(word.len());
            let is_alone = next.is_none_or(|byte| ends_value(*byte)) || *word == "none" && next == Some(&b' ');
            is_alone && begins_with(unquoted, word.as_bytes())
        })
}

fn ends_value(byte: u8) -> bool {
    matches!(byte, b'\t' | b',' | b';' | b'}' | b')' | b']' | b'"' | b'\'' | b'.' | b'\n')
}

/// Whether a number at the beginning of a text is zero: `0`, `0.00%`, but not `0x80004005`, `0 of 5` or `0.5`.
fn is_zero(value: &[u8]) -> bool {
    let digits = value.iter().take_while(|byte| matches!(byte, b'0' | b'.')).count();
    value.first() == Some(&b'0') && value.get(digits).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

/// Whether what follows a word says that it is only about such things: `error handler`, `critical section`.
pub(super) fn is_about(next: &[u8]) -> bool {
    const ABOUT: [&str; 22] = [
        "handling",
        "handler",
        "handlers",
        "page",
        "pages",
        "log",
        "logs",
        "logging",
        "logger",
        "reporting",
        "report",
        "reports",
        "level",
        "boundary",
        "budget",
        "threshold",
        "tracking",
        "path",
        "section",
        "css",
        "of",
        "mode",
    ];
    let word = next.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    // `errors are logged to stderr`.
    let is_about_where = ["are logged", "are written", "are sent", "will be logged"];
    is_any_of(&next[..word], &ABOUT) || is_about_where.iter().any(|words| begins_with(next, words.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> &'static str {
        find(text.as_bytes()).map_or("none", |(_, rule)| rule)
    }

    #[test]
    fn words_that_are_meant_are_found() {
        for (text, expected) in [
            ("error: no such file or directory", "keyword.error"),
            ("Error: connect ECONNREFUSED 127.0.0.1:5432", "keyword.error"),
            ("3 errors found", "keyword.error"),
            ("errors: 12", "keyword.error"),
            ("10 errors", "keyword.error"),
            ("error code: 17", "keyword.error"),
            ("error: 0x80004005", "keyword.error"),
            ("I/O error, dev sda, sector 1", "keyword.error"),
            ("ValueError: invalid literal for int()", "keyword.error"),
            ("java.lang.IllegalStateException: closed", "keyword.exception"),
            ("Illuminate\\Database\\QueryException: gone away", "keyword.exception"),
            ("Failed to start nginx.service", "keyword.failed"),
            ("job 7 failed after 3 attempts", "keyword.failed"),
            ("npm ERR! code ELIFECYCLE", "keyword.error"),
            ("err=\"connection reset\"", "keyword.error"),
            ("{\"error\":\"timeout\"}", "keyword.error"),
            ("upload failed: no space left on device", "keyword.failed"),
            ("http: panic serving 10.0.0.1:5: nil pointer", "keyword.panic"),
            ("node[77]: segfault at 0 ip 0 sp 0 error 4", "keyword.segfault"),
            ("java.lang.OutOfMemoryError: Java heap space", "keyword.oom"),
            ("a FATAL problem", "keyword.fatal"),
            ("Completed 500 Internal Server Error in 12ms", "keyword.error"),
            ("Warning: low disk space", "keyword.warning"),
            ("Permission denied (publickey)", "keyword.denied"),
            ("no error handling, but then it failed", "keyword.failed"),
            ("errors=0 failed=3", "keyword.failed"),
            ("error: nil pointer dereference", "keyword.error"),
            ("import failed: no such file", "keyword.failed"),
            ("error: undefined symbol: x", "keyword.error"),
            ("App\\Jobs\\SendMail ..... 12.34ms FAIL", "keyword.failed"),
            ("dial tcp 10.0.0.1:6379: connect: connection refused", "keyword.failed"),
            ("Unable to connect to redis", "keyword.failed"),
            ("could not translate host name \"db\" to address", "keyword.failed"),
            ("cannot stat 'x': No such file or directory", "keyword.failed"),
            ("ls: x: No such file or directory", "keyword.failed"),
            ("Reason: OOMKilled", "keyword.oom"),
            ("sh: pg_dump: command not found", "keyword.failed"),
            ("10 of 12 jobs failed", "keyword.failed"),
            ("recovered from panic: x", "keyword.panic"),
            ("panic=\"index out of range\"", "keyword.panic"),
            ("10% error", "keyword.error"),
            ("login service: connection refused", "keyword.failed"),
        ] {
            assert_eq!(rule(text), expected, "of {text:?}");
        }
    }

    #[test]
    fn words_that_are_counted_or_denied_are_passed_over() {
        for text in [
            "0 of 12 jobs failed",
            "0 of 12 failed",
            "0 out of 12 failed",
            "nothing failed",
            "none failed",
            "100% success, 0% error",
            "free of errors",
            "not an error",
            "not a fatal error",
            "recovered from error",
            "OOMKilled: false",
            "12 PASS, 0 FAIL",
            "errors: 0",
            "errors=0",
            "errors = 0",
            "0 errors",
            "(0 errors, 0 warnings)",
            "no errors",
            "No error(s) found",
            "no fatal errors",
            "finished without error",
            "without any errors",
            "error=null",
            "error=none",
            "error=nil",
            "error=<nil>",
            "error=nil id=7",
            "errors: none found",
            "error=false",
            "error=0",
            "error=\"\"",
            "failed=0",
            "0 failed",
            "12 passed, 0 failed, 0 errors",
            "error rate 0.00%",
            "error rate: 0",
            "error count: 0",
            "error code 0",
            "\"error\":false",
            "\"error\": null, \"ok\": true",
            "\"errors\":[]",
            "error: none",
        ] {
            assert_eq!(rule(text), "none", "of {text:?}");
        }
    }

    #[test]
    fn words_that_are_names_or_about_something_are_passed_over() {
        for text in [
            "errors are logged to stderr",
            "Loading module errors",
            "panic=10 kernel command line",
            "do not fail, nor Fail",
            "the connection was refused",
            "opened error_log",
            "ErrorBoundary mounted",
            "served error.html",
            "GET /errors 200",
            "see https://example.com/docs/error for more",
            "reading /var/log/error.log",
            "mounted with errors=remount-ro",
            "failover ok",
            "failover succeeded",
            "an error-free run",
            "on_error set",
            "onError registered",
            "started with --fail-on-error",
            "restart policy: on failure",
            "flags: warn=True",
            "non-fatal",
            "critical section entered",
            "error handler installed",
            "status NOERROR",
            "with the exception of three",
            "ER_DUP_ENTRY",
            "preparing, transparent, outside",
            "stderr attached",
            "?error=1&x",
            "E_ERROR",
            "all good",
            "",
        ] {
            assert_eq!(rule(text), "none", "of {text:?}");
        }
    }

    #[test]
    fn that_a_guest_was_not_let_in_is_no_error() {
        let found = find(b"Failed password for invalid user admin from 203.0.113.9 port 50122 ssh2");
        assert_eq!(found, Some((Warning, "keyword.failed")));
    }

    #[test]
    fn every_word_is_found_by_its_mark_wherever_it_stands() {
        for word in &WORDS {
            let mark = word.text[word.mark..word.mark + 3].to_ascii_lowercase();
            assert!(MARKS.iter().any(|known| mark == *known), "nothing finds {:?}", String::from_utf8_lossy(word.text));
            for before in 0..80 {
                let text = [vec![b' '; before], word.text.to_ascii_uppercase(), vec![b' '; 40]].concat();
                assert!(Marked::of(&text).any(|mark| mark == before + word.mark), "{before} before {:?}", word.text);
            }
        }
        assert_eq!(Marked::of(&[b'x'; 200]).next(), None);
    }

    /// The plain way: every word is looked for at every place.
    fn plainly(text: &[u8]) -> Option<(Level, &'static str)> {
        let mut found: Option<(Level, &'static str)> = None;
        for at in 0..text.len() {
            let Some(word) = WORDS.iter().find(|word| begins_with(&text[at..], word.text)) else { continue };
            if word.text == FAIL.text && !text[at..].starts_with(FAIL.text) {
                continue;
            }
            if found.is_none_or(|(level, _)| level < word.level) && is_meant(text, at, word) {
                found = Some((level_of(text, at, word), word.rule));
            }
            if found.is_some_and(|(level, _)| level.is_error()) {
                break;
            }
        }
        found
    }

    /// Words, what makes them mean nothing, and what is nearly one.
    fn parts() -> impl Strategy<Value = Vec<u8>> {
        let words = WORDS.iter().map(|word| word.text.to_vec());
        let others = [
            " ",
            " ",
            " ",
            "no ",
            "0 ",
            ": 0",
            "=",
            "/",
            "er",
            "r",
            "Value",
            "d n",
            "could",
            "s",
            "password ",
            "FAIL",
            "é",
        ];
        let parts: Vec<Vec<u8>> = words.chain(others.map(|part| part.as_bytes().to_vec())).collect();
        let part = (prop::sample::select(parts), 0..4_usize, any::<prop::sample::Index>()).prop_map(
            |(part, how, at)| match how {
                0 => part.to_ascii_uppercase(),
                1 => part[..=at.index(part.len())].to_vec(),
                _ => part,
            },
        );
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn marks_find_what_a_look_at_every_place_finds(text in parts()) {
            prop_assert_eq!(find(&text), plainly(&text), "in {:?}", String::from_utf8_lossy(&text));
        }
    }
}
