//! Telltales: where a secret may be, found in every byte that is read, at the speed of memory.
//!
//! The literals of all rules are looked for by Teddy, an algorithm of vector instructions that compares the first four bytes
//! of up to 32 literals with 32 bytes of text in a few instructions. What it finds is looked at closer, by a few comparisons,
//! because a hit makes the record be searched by regular expressions.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Input};

use super::buckets::{BUCKETS, OF_A_SEARCH};
use super::rule::{Around, Telltale};
use super::{plain, rules, urls};

/// Which rules may find something: a bit for each, in their order.
pub(super) type Rules = u128;

/// A literal of one or more rules.
struct Literal {
    text: &'static str,
    /// What may stand around it; one of these has to.
    around: Vec<Around>,
    rules: Rules,
}

/// All literals.
static LITERALS: LazyLock<Vec<Literal>> = LazyLock::new(literals);

/// The searches that together look for all literals, but for those of a single byte.
static SEARCHES: LazyLock<Vec<Search>> = LazyLock::new(searches);

/// All literals at once, for a record in which there is one.
static ALL: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    // The literals are ours and few: building it does not fail.
    AhoCorasick::new(LITERALS.iter().map(|literal| literal.text)).ok()
});

fn literals() -> Vec<Literal> {
    let mut literals: Vec<Literal> = Vec::new();
    for (number, rule) in rules().enumerate() {
        for Telltale { text, around } in rule.telltales {
            let known = literals.iter_mut().find(|literal| literal.text == *text);
            if let Some(known) = known {
                known.around.push(*around);
                known.rules |= 1 << number;
            } else {
                literals.push(Literal { text, around: vec![*around], rules: 1 << number });
            }
        }
    }
    literals
}

/// Looks for some of the literals.
struct Search {
    /// By their numbers among all.
    numbers: Vec<usize>,
    by: By,
}

enum By {
    Teddy(Searcher),
    /// Where the processor has no vector instructions for it.
    Automaton(AhoCorasick),
    /// A single byte.
    Byte(u8),
}

fn searches() -> Vec<Search> {
    let number = |text: &&str| LITERALS.iter().position(|literal| literal.text == *text);
    let arranged = BUCKETS.chunks(OF_A_SEARCH).map(|buckets| dealt(buckets).iter().filter_map(number).collect());
    let arranged: Vec<Vec<usize>> = arranged.collect();
    let rest: Vec<usize> =
        (0..LITERALS.len()).filter(|number| !arranged.iter().flatten().any(|other| other == number)).collect();
    let (bytes, others): (Vec<usize>, Vec<usize>) =
        rest.into_iter().partition(|number| LITERALS[*number].text.len() == 1);
    let bytes = bytes.into_iter().filter_map(|number| {
        let byte = LITERALS[number].text.bytes().next()?;
        Some(Search { numbers: vec![number], by: By::Byte(byte) })
    });
    arranged.into_iter().chain([others]).filter(|numbers| !numbers.is_empty()).filter_map(search).chain(bytes).collect()
}

/// The literals of these buckets in the order in which Teddy deals them to its buckets: in turn.
fn dealt<'a>(buckets: &[[&'a str; 4]]) -> Vec<&'a str> {
    (0..4).flat_map(|row| buckets.iter().map(move |bucket| bucket[row])).collect()
}

fn search(numbers: Vec<usize>) -> Option<Search> {
    let texts = || numbers.iter().map(|number| LITERALS[*number].text);
    let teddy = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(texts()).build();
    let by = match teddy {
        Some(teddy) => By::Teddy(teddy),
        None => By::Automaton(AhoCorasick::new(texts()).ok()?),
    };
    Some(Search { numbers, by })
}

impl Search {
    /// The next literal from there on: its number, and where it lies.
    fn next(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        match &self.by {
            By::Teddy(teddy) => {
                let found = teddy.find_in(bytes, (from..bytes.len()).into())?;
                Some((self.numbers[found.pattern().as_usize()], found.start()))
            }
            By::Automaton(automaton) => {
                let found = automaton.find(Input::new(bytes).range(from..))?;
                Some((self.numbers[found.pattern().as_usize()], found.start()))
            }
            By::Byte(byte) => Some((self.numbers[0], from + memchr::memchr(*byte, &bytes[from..])?)),
        }
    }
}

/// Where in these bytes a secret may be: the offsets of telltales, in growing order, put into `into`; at most a few for each
/// line. Called for every byte that is read: it must be fast, and may be wrong only in one direction.
pub(crate) fn telltales(bytes: &[u8], into: &mut Vec<usize>) {
    into.clear();
    for search in SEARCHES.iter() {
        let mut from = 0;
        while let Some((number, at)) = search.next(bytes, from) {
            let literal = &LITERALS[number];
            let is_sure = literal.around.iter().any(|around| stands(*around, bytes, at, literal.text.len()));
            from = at + 1;
            if is_sure {
                into.push(at);
                // One is enough for a line: all of it is searched.
                from = memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |end| from + end);
            }
        }
    }
    into.sort_unstable();
}

/// Which rules may find something in a record.
pub(super) fn rules_of(record: &[u8]) -> Rules {
    let Some(all) = ALL.as_ref() else { return Rules::MAX };
    let mut rules = 0;
    for found in all.find_overlapping_iter(record) {
        rules |= LITERALS[found.pattern().as_usize()].rules;
    }
    rules
}

/// Whether around the literal stands what makes it a telltale.
fn stands(around: Around, bytes: &[u8], at: usize, length: usize) -> bool {
    let after = &bytes[at + length..];
    match around {
        Around::Anything => true,
        Around::Token => after.len() >= 10 && after[..10].iter().all(|byte| is_token(*byte)),
        Around::Assigned => is_assigned(&bytes[..at], after),
        Around::Number => has_number(&bytes[at.saturating_sub(NEAR)..bytes.len().min(at + length + NEAR)]),
        Around::Userinfo => urls::userinfo(bytes, at).is_some(),
        Around::Word => {
            matches!(after, [b' ', word @ ..] if word.len() >= 16 && word[..16].iter().all(|byte| is_token(*byte)))
        }
        Around::Client => is_called(line(after, 512)),
        Around::Pair => line(after, 256).split(|byte| *byte == b' ').take(2).any(|word| word.contains(&b':')),
        // A statement may go on in the next line.
        Around::Quoted => after.iter().take(256).any(|byte| matches!(byte, b'\'' | b'"')),
    }
}

/// Whether a program is called with one of the options that take a password. `after` begins after the beginning of its name.
fn is_called(after: &[u8]) -> bool {
    let name = after.iter().take_while(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_')).count();
    let options = &after[name..];
    let has = |option: &[u8]| memchr::memmem::find(options, option).is_some();
    let is_list = matches!(options, [b'"' | b'\'', b',' | b']', ..]);
    let is_line = options.first() == Some(&b' ');
    is_line && (has(b" -p") || has(b" -a")) || is_list && (has(b"\"-p") || has(b"'-p"))
}

/// How far from its context a card's number may be, with the number itself, in bytes.
const NEAR: usize = 160;

/// At most so many bytes of the line that begins here.
fn line(bytes: &[u8], most: usize) -> &[u8] {
    let window = &bytes[..bytes.len().min(most)];
    &window[..memchr::memchr(b'\n', window).unwrap_or(window.len())]
}

/// What tokens are made of, spelled in any way.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'=' | b':' | b'%' | b'~')
}

/// Whether the name that a word is part of is given a value. `after` begins after the word.
fn is_assigned(before: &[u8], after: &[u8]) -> bool {
    let window = &after[..after.len().min(64)];
    let name = window.iter().take(40).take_while(|byte| plain::is_name(**byte)).count();
    if !ends_name(&window[..name]) {
        return false;
    }
    let rest = &window[name..];
    let skipped = rest
        .iter()
        .take(12)
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\' | b']' | b'['))
        .count();
    match rest.get(skipped) {
        Some(b'=' | b':' | b'>' | b'(' | b'%') => true,
        _ if skipped > 0 => {
            let is_quoted = rest[0] == b' ' && rest[..skipped].iter().any(|byte| matches!(byte, b'\'' | b'"'));
            is_quoted || is_clause(rest) || is_flag(before)
        }
        _ => false,
    }
}

/// Whether a name ends like that of a secret, after the part that is looked for: `passw` goes on with `ord`, `secret` with
/// `_key`. `token_count` and `password_reset` are none.
fn ends_name(rest: &[u8]) -> bool {
    const ENDS: &[&[u8]] = &[b"ord", b"hrase", b"ey", b"base", b"token"];
    let ends_so = |end: &&[u8]| rest.len() >= end.len() && rest[rest.len() - end.len()..].eq_ignore_ascii_case(end);
    rest.is_empty() || rest.eq_ignore_ascii_case(b"d") || ENDS.iter().any(ends_so)
}

/// ` FOR` as in `SET PASSWORD FOR`.
fn is_clause(rest: &[u8]) -> bool {
    rest.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b" for "))
}

/// Whether a name begins as an option of a command does.
fn is_flag(before: &[u8]) -> bool {
    let name = before.iter().rev().take(40).take_while(|byte| plain::is_name(**byte)).count();
    before[before.len() - name..].starts_with(b"-")
}

/// Whether there are as many digits in a row as a card's number has, in groups or not.
fn has_number(window: &[u8]) -> bool {
    let mut digits = 0;
    let mut was_digit = false;
    for byte in window {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                was_digit = true;
            }
            b' ' | b'-' if was_digit => was_digit = false,
            _ => {
                digits = 0;
                was_digit = false;
            }
        }
        if digits >= 13 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_told(text: &str) -> Vec<usize> {
        let mut into = vec![7];
        telltales(text.as_bytes(), &mut into);
        into
    }

    #[test]
    fn literals_are_fit_for_the_fast_search() {
        assert!(rules().count() <= Rules::BITS as usize);
        for literal in LITERALS.iter() {
            assert!(literal.text.len() == 1 || literal.text.len() >= 4, "{}", literal.text);
            let others = LITERALS.iter().filter(|other| other.text != literal.text);
            let hides = |other: &&Literal| other.text.starts_with(literal.text);
            assert_eq!(others.filter(hides).count(), 0, "one search would find only {}", literal.text);
        }
    }

    #[test]
    fn every_literal_is_looked_for_exactly_once() {
        let mut numbers: Vec<usize> = SEARCHES.iter().flat_map(|search| search.numbers.clone()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..LITERALS.len()));
        let long: usize = LITERALS.iter().filter(|literal| literal.text.len() > 1).count();
        assert_eq!(SEARCHES.len(), BUCKETS.len().div_ceil(OF_A_SEARCH) + 1, "a literal is missing among the buckets");
        assert_eq!(BUCKETS.as_flattened().len(), long, "a bucket holds what no rule looks for");
    }

    #[test]
    fn the_slow_search_finds_what_the_fast_one_finds() {
        for search in SEARCHES.iter().filter(|search| search.numbers.len() > 1) {
            let texts: Vec<&str> = search.numbers.iter().map(|number| LITERALS[*number].text).collect();
            let numbers = search.numbers.clone();
            let slow = Search { numbers, by: By::Automaton(AhoCorasick::new(&texts).unwrap()) };
            for text in texts {
                let haystack = format!("some text, longer than a vector, and then {text} and more of it");
                assert_eq!(slow.next(haystack.as_bytes(), 3), search.next(haystack.as_bytes(), 3), "{text}");
            }
        }
    }

    #[test]
    fn ordinary_lines_have_no_telltales() {
        for line in [
            "1.2.3.4 - - [01/Nov/2026:00:00:00 +0000] \"GET /password/reset HTTP/1.1\" 200 5 \"https://example.org/\" \"curl/8\"",
            "1.2.3.4 - - [01/Nov/2026:00:00:00 +0000] \"GET /tokens HTTP/1.1\" 200 5 \"-\" \"Googlebot/2.1; +http://www.google.com/bot.html\"",
            "[2026-11-01 00:00:00] production.INFO: password reset requested for user 5 {\"user_id\":5,\"ip\":\"1.2.3.4\"}",
            "[2026-11-01 00:00:00] production.INFO: mail sent to jane@example.org",
            "npm http fetch GET https://packages.example.org:443/@babel%2fcore 200",
            "{\"level\":30,\"time\":1795862993297,\"trace_id\":\"3417608073184146895\",\"msg\":\"request completed\"}",
            "discarded 3 wildcard routes",
            "{\"url\":\"/password/reset\",\"class\":\"App\\\\Token\",\"to\":\"/csrf-cookie\",\"token_count\":5}",
        ] {
            assert_eq!(lines_told(line), Vec::<usize>::new(), "{line}");
        }
    }

    #[test]
    fn a_line_full_of_telltales_is_told_a_few_times_only() {
        let text = format!("{}\n{}", "password=x&token=y ".repeat(1000), "a=b password=z");
        let told = lines_told(&text);
        assert!(told.len() <= 2 * SEARCHES.len() && told.is_sorted(), "{told:?}");
        assert!(told.iter().any(|at| *at > 19_000), "{told:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut into = Vec::new();
            telltales(&bytes, &mut into);
            prop_assert!(into.is_sorted() && into.iter().all(|at| *at < bytes.len()));
            rules_of(&bytes);
        }
    }
}
