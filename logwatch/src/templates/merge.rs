//! Whether two masked messages are of one template.
//!
//! Not by a threshold of likeness, which takes `link up` for `link down`, but word by word: where two messages differ, each
//! difference has to be one that values make (paths, names of hosts, who did it), or there have to be so many alternatives at
//! one place, all else the same, that nobody would have written a message for each of them.

/// What stands for what differs.
const WILD: &str = "<*>";

/// Behind these words comes who or whence: two different words there are two values.
const BEFORE_VALUES: [&str; 8] = ["from", "by", "for", "user", "username", "host", "hostname", "named"];

/// How many words have to be the same for two words beside each other to be one value.
const SAME: usize = 3;

/// How many alternatives of two words beside each other are values: two words say more than one.
pub(super) const ENOUGH_PAIRS: usize = 12;

/// How two words stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Same,
    /// Two values.
    Values,
    /// Two words; many of them would be values.
    Words,
    /// Two words that mean different things, however many there are.
    Meanings,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// One template.
    One,
    /// All the same but for the word at that place.
    AllBut(usize),
    /// All the same but for the word at that place and the one behind it.
    AllButPair(usize),
    /// Different.
    None,
}

/// Compares two messages of the same number of words.
pub(super) fn compare(known: &[&str], other: &[&str]) -> Likeness {
    let (mut same, mut values) = (0, 0);
    let (mut odd, mut value) = (None, 0);
    for at in 0..known.len() {
        match stand(known, other, at) {
            Stand::Same => same += usize::from(!is_wild(known[at])),
            Stand::Values => (values, value) = (values + 1, at),
            Stand::Words => match odd {
                None => odd = Some((at, at)),
                Some((first, last)) if first == last && last + 1 == at => odd = Some((first, at)),
                Some(_) => return Likeness::None,
            },
            Stand::Meanings => return Likeness::None,
        }
    }
    // Of a first and a last name, one may be known to be a value before the other is.
    let is_half_known = |at: usize| values == 1 && same >= SAME && value.abs_diff(at) == 1 && is_wild(known[value]);
    match odd {
        None if values == 0 || (same >= 2 && same >= values) => Likeness::One,
        Some((at, last)) if at > 0 && at == last && (values == 0 || is_half_known(at)) => Likeness::AllBut(at),
        Some((at, last))
            if at > 0 && at < last && values == 0 && same >= SAME && is_same_behind(known, other, last) =>
        {
            Likeness::AllButPair(at)
        }
        _ => Likeness::None,
    }
}

/// Whether a word behind that place is the same. A pair of words that ends a message may be all that it says.
fn is_same_behind(known: &[&str], other: &[&str], at: usize) -> bool {
    let mut behind = known.iter().zip(other).skip(at + 1);
    behind.any(|(mine, theirs)| mine == theirs && !is_wild(mine) && has_word(mine))
}

/// How many alternatives at one place are values: the fewer words there are that are the same, the less that these are says.
/// What stands within quotes is sooner a value.
pub(super) fn enough(words: usize, odd: &str) -> usize {
    match words {
        _ if odd.starts_with(['"', '\'', '`']) && words > 2 => 4,
        0..=2 => 10,
        3 => 8,
        _ => 6,
    }
}

/// The words of both, `<*>` where they differ.
pub(super) fn general(known: &[&str], other: &[&str]) -> String {
    let mut text = String::new();
    for (mine, theirs) in known.iter().zip(other) {
        if !text.is_empty() {
            text.push(' ');
        }
        if mine == theirs {
            text.push_str(mine);
            continue;
        }
        let (before, after) = signs_around(mine, theirs);
        text.push_str(before);
        text.push_str(WILD);
        text.push_str(after);
    }
    text
}

/// The first word, if messages that begin with another one are surely others.
pub(super) fn first_word(text: &str) -> &str {
    let first = text.split(' ').next().unwrap_or_default();
    if is_wild(first) || is_path(first) || is_name(first) { WILD } else { first }
}

/// The signs that both words begin and end with.
fn signs_around<'a>(mine: &'a str, theirs: &str) -> (&'a str, &'a str) {
    let is_same_sign = |pair: &(u8, u8)| pair.0 == pair.1 && pair.0.is_ascii_punctuation() && !b"<*>".contains(&pair.0);
    let before = mine.bytes().zip(theirs.bytes()).take_while(is_same_sign).count();
    let after = mine.bytes().rev().zip(theirs.bytes().rev()).take_while(is_same_sign).count();
    if before + after > mine.len().min(theirs.len()) {
        return ("", "");
    }
    (&mine[..before], &mine[mine.len() - after..])
}

fn stand(known: &[&str], other: &[&str], at: usize) -> Stand {
    let (mine, theirs) = (known[at], other[at]);
    if mine == theirs {
        return Stand::Same;
    }
    if !has_word(mine) || !has_word(theirs) {
        return Stand::Meanings;
    }
    if is_wild(mine) || is_wild(theirs) || is_path(mine) && is_path(theirs) || is_name(mine) && is_name(theirs) {
        return Stand::Values;
    }
    if has_meaning(mine) || has_meaning(theirs) {
        return Stand::Meanings;
    }
    let before = at.checked_sub(1).map_or("", |at| known[at]).trim_matches(|char: char| char.is_ascii_punctuation());
    let is_slot = BEFORE_VALUES.iter().any(|word| before.eq_ignore_ascii_case(word));
    // `for user`: who is the value, not what he is.
    let is_kind = BEFORE_VALUES.iter().any(|word| mine.eq_ignore_ascii_case(word) || theirs.eq_ignore_ascii_case(word));
    if is_slot && !is_kind && known.len() >= 4 { Stand::Values } else { Stand::Words }
}

/// Whether there is anything but signs; what is left out is not a value.
fn has_word(word: &str) -> bool {
    is_wild(word) || word.bytes().any(|byte| !byte.is_ascii_punctuation())
}

/// Whether a word is `<*>`, whatever signs are around it.
fn is_wild(word: &str) -> bool {
    word.split_once(WILD)
        .is_some_and(|(before, after)| before.bytes().chain(after.bytes()).all(|byte| byte.is_ascii_punctuation()))
}

fn is_path(word: &str) -> bool {
    word.trim_start_matches(|char: char| char.is_ascii_punctuation() && char != '/').starts_with('/')
        || word.contains("://")
        || word.matches('/').count() > 1
}

/// `mail.example.org`, `chrome.exe`, `com.acme.shop.Pay@<*>`, with a port or without: parts joined by dots, either three or more,
/// or the last one short and small. Not the names of exceptions and constants: they say what happened.
fn is_name(word: &str) -> bool {
    let word = word.trim_matches(|char: char| char.is_ascii_punctuation() && !"<*>".contains(char));
    let name = word.split_once([':', '@']).map_or(word, |(name, _)| name);
    let Some((stem, last)) = name.rsplit_once('.') else { return false };
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_$<*>".contains(&byte);
    let is_small = (2..=5).contains(&last.len()) && last.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_joined = !stem.is_empty() && !stem.ends_with('.') && name.bytes().all(is_part);
    is_joined && (is_small || stem.contains('.')) && !has_meaning(last)
}

/// What was thrown, error codes, truths, what was done (`started`, `stopping`): never values.
fn has_meaning(word: &str) -> bool {
    let core = word.trim_matches(|char: char| char.is_ascii_punctuation());
    let is_constant = core.contains('_') && core.bytes().all(|byte| !byte.is_ascii_lowercase());
    let is_truth = matches!(core, "true" | "false" | "null" | "none" | "nil");
    let is_done = core.len() > 4 && (core.ends_with("ed") || core.ends_with("ing"));
    is_constant || is_truth || is_done || core.ends_with("Error") || core.ends_with("Exception") || word.contains('=')
}
