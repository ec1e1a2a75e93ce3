//! A scanned text made tidy: units and names of months go with their numbers, lists become one item, what repeats is said once.

use super::scan::MOST_BYTES;
use super::words::{is_of_date, is_one_of_few};

/// How many words a template has at most; figures of other makers put the 95th percentile of lines there.
pub(super) const MOST_TOKENS: usize = 128;

/// The longest sequence of words whose repetition is seen.
const LONGEST_GROUP: usize = 8;

/// What a number may be a number of without its being another message.
const UNITS: [&str; 62] = [
    "b",
    "byte",
    "bytes",
    "k",
    "kb",
    "mb",
    "gb",
    "tb",
    "kib",
    "mib",
    "gib",
    "tib",
    "kbytes",
    "mbytes",
    "kbps",
    "mbps",
    "ns",
    "us",
    "µs",
    "ms",
    "msec",
    "msecs",
    "millis",
    "millisecond",
    "milliseconds",
    "microsecond",
    "microseconds",
    "nanoseconds",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "m",
    "min",
    "mins",
    "minute",
    "minutes",
    "h",
    "hr",
    "hrs",
    "hour",
    "hours",
    "day",
    "days",
    "week",
    "weeks",
    "percent",
    "hz",
    "khz",
    "mhz",
    "ghz",
    "am",
    "pm",
    "utc",
    "gmt",
    "est",
    "edt",
    "pst",
    "pdt",
    "cet",
    "cest",
];

/// What stands for what differs.
const WILD: &str = "<*>";

/// The text, tidy, within the bounds of a template.
pub(super) fn tidy(text: &str) -> String {
    let bound = (0..=text.len().min(MOST_BYTES)).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let parts = text[..bound].split(|char: char| char.is_control() || char == ' ').filter(|part| !part.is_empty());
    let mut words: Vec<Word<'_>> = parts.take(MOST_TOKENS).map(Word::new).collect();
    // What one rule leaves may be what another one looks for; each makes the text shorter, so this ends.
    loop {
        let before = words.clone();
        dates(&mut words);
        units(&mut words);
        assignments(&mut words);
        numbers(&mut words);
        lists(&mut words);
        repetitions(&mut words);
        if words == before {
            return text_of(&words);
        }
    }
}

fn text_of(words: &[Word<'_>]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend([word.before, word.core, word.after]);
    }
    text
}

/// A word between the signs around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<'a> {
    before: &'a str,
    core: &'a str,
    after: &'a str,
}

impl<'a> Word<'a> {
    fn new(text: &'a str) -> Self {
        if let Some(at) = text.find(WILD) {
            let (before, after) = (&text[..at], &text[at + WILD.len()..]);
            let is_sign = |part: &str| part.bytes().all(|byte| byte.is_ascii_punctuation());
            if is_sign(before) && is_sign(after) && !after.contains(WILD) {
                return Self { before, core: WILD, after };
            }
        }
        let start = text.find(|char: char| !char.is_ascii_punctuation()).unwrap_or(text.len());
        let end = text
            .rfind(|char: char| !char.is_ascii_punctuation())
            .map_or(start, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
        Self { before: &text[..start], core: &text[start..end], after: &text[end..] }
    }

    fn is_wild(&self) -> bool {
        self.core == WILD
    }
}

/// `Mon, Jan <*>` is a date: `<*>`.
fn dates(words: &mut [Word<'_>]) {
    for at in (0..words.len()).rev() {
        let is_beside = |other: Option<&Word<'_>>| other.is_some_and(Word::is_wild);
        let beside = is_beside(words.get(at + 1)) || at > 0 && is_beside(words.get(at - 1));
        if beside && is_of_date(words[at].core.as_bytes()) {
            words[at].core = WILD;
        }
    }
}

/// `<*> KB` is a size, and `<*> (<*> KB)` says it twice: `<*>`. `<<*> s` is less than that.
fn units(words: &mut Vec<Word<'_>>) {
    let mut at = 0;
    while at < words.len() {
        let (this, next) = (words[at], words.get(at + 1).copied());
        if this.is_wild() && matches!(this.before, "<" | "~" | ">" | "<=" | ">=") && !this.after.contains('>') {
            words[at].before = "";
        }
        let Some(next) = next.filter(|_| this.is_wild() && this.after.is_empty()) else {
            at += 1;
            continue;
        };
        if next.before.is_empty() && is_unit(next.core) {
            words[at].after = next.after;
            words.remove(at + 1);
            if at > 0 && this.before == "(" && next.after.starts_with(')') && words[at - 1].is_wild() {
                words[at - 1].after = &next.after[1..];
                words.remove(at);
            }
            continue;
        }
        at += 1;
    }
}

fn is_unit(word: &str) -> bool {
    word.len() <= 12 && UNITS.iter().any(|unit| word.eq_ignore_ascii_case(unit))
}

/// `name = value`, as `name=value` is.
fn assignments(words: &mut [Word<'_>]) {
    for at in 2..words.len() {
        let is_assigned = words[at - 1].core.is_empty() && words[at - 1].before == "=";
        let value = words[at];
        let is_plain = matches!(value.before, "" | "'" | "\"" | "`") && !value.core.contains(['(', '{', '[', '=']);
        if is_assigned && is_plain && !value.core.is_empty() && !is_one_of_few(value.core.as_bytes()) {
            words[at].core = WILD;
        }
    }
}

/// `<*> <*>, <*>` are numbers: `<*>`.
fn numbers(words: &mut Vec<Word<'_>>) {
    let mut at = 0;
    while at + 1 < words.len() {
        let (this, next) = (words[at], words[at + 1]);
        let goes_on = matches!(this.after, "" | "," | ";" | ":" | "-" | "/");
        if this.is_wild() && goes_on && next.is_wild() && next.before.is_empty() {
            words[at].after = next.after;
            words.remove(at + 1);
        } else {
            at += 1;
        }
    }
}

/// `one, two, three` is a list: `<*>`.
fn lists(words: &mut Vec<Word<'_>>) {
    let is_item = |word: &Word<'_>| {
        word.before.is_empty() && !word.core.is_empty() && !word.core.contains(['=', ':', '(', '[', '{', ')', ']'])
    };
    let mut at = 1;
    while at + 2 < words.len() {
        let items = words[at..].iter().take_while(|word| is_item(word) && word.after == ",").count();
        if items < 2 || !words.get(at + items).is_some_and(is_item) {
            at += 1;
            continue;
        }
        let after = words[at + items].after;
        words.drain(at + 1..=at + items);
        words[at] = Word { before: "", core: WILD, after };
        at += 1;
    }
}

/// `node-<*> <ok> node-<*> <ok>` is said once.
fn repetitions(words: &mut Vec<Word<'_>>) {
    let mut at = 0;
    while at + 1 < words.len() {
        let repeats = |length: &usize| {
            let end = at + 2 * length;
            end <= words.len()
                && words[at..at + length] == words[at + length..end]
                && words[at..at + length].iter().any(|word| word.core.contains(WILD))
        };
        match (1..=LONGEST_GROUP).find(repeats) {
            Some(length) => drop(words.drain(at + length..at + 2 * length)),
            None => at += 1,
        }
    }
}
