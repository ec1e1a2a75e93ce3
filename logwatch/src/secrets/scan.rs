//! Telltales: where a secret may be, found in every byte that is read, at the speed of memory.
//!
//! All literals of all rules are looked for in one pass, by an anchor that each of them holds, and by Teddy, an algorithm of
//! vector instructions that compares three bytes of up to 96 anchors with 16 bytes of text in a few instructions. What it
//! finds is looked at closer, by a few comparisons, because a hit makes the record be searched by regular expressions.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, Searcher};
use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::buckets::{ANCHORS, OF_A_SEARCH};
use super::rule::{Around, Telltale};
use super::{accounts, inserts, plain, rules, urls};

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

/// The searches that together look for all literals: one for the anchors, one for each literal of a single byte.
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
    /// For each anchor the literals that hold it, and how far behind their beginning.
    held: Vec<Vec<(&'static Literal, usize)>>,
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
    let anchors = dealt();
    let mut held: Vec<Vec<_>> = anchors.iter().map(|_| Vec::new()).collect();
    let mut searches = Vec::new();
    for literal in LITERALS.iter() {
        if let [byte] = *literal.text.as_bytes() {
            searches.push(Search { held: vec![vec![(literal, 0)]], by: By::Byte(byte) });
        } else if let Some((number, offset)) = anchor_of(literal.text, &anchors) {
            held[number].push((literal, offset));
        }
    }
    let by = Config::new().heuristic_pattern_limits(false).builder().extend(&anchors).build().map(By::Teddy);
    searches.extend(by.or_else(|| automaton(&anchors)).map(|by| Search { held, by }));
    searches
}

/// The same by an automaton. Where anchors overlap, it finds the one that begins first, as Teddy does.
fn automaton(anchors: &[&str]) -> Option<By> {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(anchors).ok().map(By::Automaton)
}

/// The anchors in the order in which Teddy deals them to its buckets: in turn.
fn dealt() -> Vec<&'static str> {
    let rows = ANCHORS[0].len();
    (0..rows).flat_map(|row| (0..OF_A_SEARCH).map(move |bucket| ANCHORS[bucket][row])).collect()
}

/// The number of the longest anchor in a literal, and where it begins there: the longer one is met less often.
fn anchor_of(text: &str, anchors: &[&str]) -> Option<(usize, usize)> {
    let within = anchors.iter().enumerate().filter_map(|(number, anchor)| Some((number, text.find(anchor)?)));
    within.max_by_key(|(number, _)| anchors[*number].len())
}

impl Search {
    /// The next anchor from there on: its number, and where it lies.
    fn next(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        match &self.by {
            By::Teddy(teddy) => {
                let found = teddy.find_in(bytes, (from..bytes.len()).into())?;
                Some((found.pattern().as_usize(), found.start()))
            }
            By::Automaton(automaton) => {
                let found = automaton.find(Input::new(bytes).range(from..))?;
                Some((found.pattern().as_usize(), found.start()))
            }
            By::Byte(byte) => Some((0, from + memchr::memchr(*byte, &bytes[from..])?)),
        }
    }

    /// Where the telltale begins that holds the anchor at this place, if one does.
    fn telltale(&self, number: usize, bytes: &[u8], at: usize) -> Option<usize> {
        self.held[number].iter().find_map(|(literal, offset)| {
            let start = at.checked_sub(*offset)?;
            literal.is_told(bytes, start).then_some(start)
        })
    }
}

impl Literal {
    /// Whether it lies here, and what makes it a telltale around it.
    fn is_told(&self, bytes: &[u8], at: usize) -> bool {
        bytes[at..].starts_with(self.text.as_bytes())
            && self.around.iter().any(|around| stands(*around, bytes, at, self.text.len()))
    }
}

/// Where in these bytes a secret may be: the offsets of telltales, in growing order, put into `into`; at most a few for each
/// line. Called for every byte that is read: it must be fast, and may be wrong only in one direction.
pub(crate) fn telltales(bytes: &[u8], into: &mut Vec<usize>) {
    into.clear();
    for search in SEARCHES.iter() {
        let mut from = 0;
        while let Some((number, at)) = search.next(bytes, from) {
            from = at + 1;
            if let Some(start) = search.telltale(number, bytes, at) {
                into.push(start);
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
        Around::Account => accounts::is_in(&bytes[at.saturating_sub(NEAR)..bytes.len().min(at + length + NEAR)]),
        Around::Column => is_column_of(after),
        Around::Userinfo => urls::userinfo(bytes, at).is_some(),
        Around::Word => {
            matches!(after, [b' ', word @ ..] if word.len() >= 16 && word[..16].iter().all(|byte| is_token(*byte)))
        }
        Around::Client => is_of_a_client(&bytes[..at]),
        Around::Pair => line(after, 256).split(|byte| *byte == b' ').take(2).any(|word| word.contains(&b':')),
        // A statement may go on in the next line.
        Around::Quoted => after.iter().take(256).any(|byte| matches!(byte, b'\'' | b'"')),
    }
}

/// Whether an option belongs to a program that takes a password by it: its name stands before, in the same line.
fn is_of_a_client(before: &[u8]) -> bool {
    const CLIENTS: [&[u8]; 4] = [b"ysql", b"iadb", b"s-cli", b"sshpass"];
    let window = &before[before.len().saturating_sub(512)..];
    let line = &window[memchr::memrchr(b'\n', window).map_or(0, |end| end + 1)..];
    CLIENTS.iter().any(|client| memchr::memmem::find(line, client).is_some())
}

/// How far from its context the number of a card or an account may be, with the number itself, in bytes: 96, and 41 of the
/// longest one in groups.
const NEAR: usize = 140;

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

/// Whether a name ends here as that of a column does, in a statement that gives values to a list of them.
fn is_column_of(after: &[u8]) -> bool {
    let name = after.iter().take(8).take_while(|byte| byte.is_ascii_alphabetic()).count();
    ends_name(&after[..name]) && inserts::is_column(&after[name..])
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

/// The digits of the shortest number of a card.
const SHORTEST_NUMBER: usize = 13;

/// Whether there are as many digits in a row as a card's number has, in groups or not. Words about cards are frequent where
/// cards are sold, so this is looked at from behind: most bytes end a number, and no number is as short as to stand between.
fn has_number(window: &[u8]) -> bool {
    let mut from = 0;
    while from + SHORTEST_NUMBER <= window.len() {
        let broken = (from..from + SHORTEST_NUMBER).rev().find(|at| ends_number(window, *at));
        if let Some(at) = broken {
            from = at + 1;
            continue;
        }
        let length = (from..window.len()).take_while(|at| !ends_number(window, *at)).count();
        let digits = window[from..from + length].iter().filter(|byte| byte.is_ascii_digit()).count();
        if digits >= SHORTEST_NUMBER {
            return true;
        }
        from += length;
    }
    false
}

/// Whether the byte at this place is neither a digit nor the one that follows a group of digits.
fn ends_number(window: &[u8], at: usize) -> bool {
    match window[at] {
        b'0'..=b'9' => false,
        b' ' | b'-' => !window[..at].last().is_some_and(u8::is_ascii_digit),
        _ => true,
    }
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
    fn anchors_are_fit_for_the_fast_search() {
        let anchors = dealt();
        assert!(rules().count() <= Rules::BITS as usize);
        for anchor in &anchors {
            assert!(anchor.len() >= 3, "{anchor}: Teddy would look at fewer bytes of all");
            let hides = anchors.iter().filter(|other| other.starts_with(anchor)).count();
            assert_eq!(hides, 1, "one search would find only {anchor}");
        }
    }

    #[test]
    fn every_literal_is_looked_for_exactly_once_and_every_anchor_serves_one() {
        for literal in LITERALS.iter() {
            let held = SEARCHES.iter().flat_map(|search| search.held.iter().flatten());
            assert_eq!(held.filter(|(other, _)| other.text == literal.text).count(), 1, "{}", literal.text);
        }
        for (anchor, held) in dealt().iter().zip(SEARCHES.iter().flat_map(|search| &search.held).skip(1)) {
            assert!(!held.is_empty(), "no rule needs {anchor}");
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

    /// The same by the simplest means: the numbers of the lines in which a literal of any rule is told.
    fn plainly(bytes: &[u8]) -> Vec<usize> {
        let is_told = |at: &usize| {
            let lies = |text: &str| bytes[*at..].starts_with(text.as_bytes());
            let tells = |one: &Telltale| lies(one.text) && stands(one.around, bytes, *at, one.text.len());
            rules().flat_map(|rule| rule.telltales).any(tells)
        };
        lines_of(bytes, (0..bytes.len()).filter(is_told))
    }

    /// The numbers of the lines in which these places lie.
    fn lines_of(bytes: &[u8], places: impl Iterator<Item = usize>) -> Vec<usize> {
        let line = |at: usize| memchr::memchr_iter(b'\n', &bytes[..at]).count();
        let mut lines: Vec<usize> = places.map(line).collect();
        lines.dedup();
        lines
    }

    /// The search of processors without vector instructions.
    fn slowly(bytes: &[u8]) -> Vec<(usize, usize)> {
        let by = automaton(&dealt()).unwrap();
        all_of(&Search { held: Vec::new(), by }, bytes)
    }

    fn all_of(search: &Search, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        while let Some(next) = search.next(bytes, found.last().map_or(0, |(_, at)| at + 1)) {
            found.push(next);
        }
        found
    }

    fn quickly(bytes: &[u8]) -> Vec<(usize, usize)> {
        all_of(SEARCHES.last().unwrap(), bytes)
    }

    #[test]
    fn every_literal_is_found_at_any_place_of_a_vector() {
        for (before, literal) in (0..40).flat_map(|before| LITERALS.iter().map(move |literal| (before, literal))) {
            let text = format!("{}{}{}", "x".repeat(before), literal.text, "y".repeat(70 - before));
            let search =
                SEARCHES.iter().find(|search| search.held.iter().flatten().any(|(one, _)| one.text == literal.text));
            let found = all_of(search.unwrap(), text.as_bytes());
            let lies = |(number, at): &(usize, usize)| {
                search.unwrap().held[*number]
                    .iter()
                    .any(|(one, offset)| one.text == literal.text && at - offset == before)
            };
            assert!(found.iter().any(lies), "{} at {before}: {found:?}", literal.text);
        }
    }

    /// Pieces of what is looked for, and of what stands around it.
    const LINES: &str = "(pass|PASS|word|wd|=|:|\"|'| |-p|-a|-u |mysql|key|KEY|_|-|to|Token|ken|sec|ret|sk-|gh|p_|glpat-|xox|eyJ|\\.eyJ\
        |[a-zA-Z0-9]{10,20}|[0-9]{13}|DE89370400440532013000|, |\\) values |:AA|@|://|a:b|card|IDENTIFIED |cookie|Bearer |SG\\.|hooks|/bot|iban|\n){0,30}";

    /// Digits in a row, counted one by one.
    fn has_number_plainly(window: &[u8]) -> bool {
        let (mut digits, mut was_digit) = (0, false);
        window.iter().any(|byte| {
            let goes_on = byte.is_ascii_digit() || was_digit && matches!(byte, b' ' | b'-');
            was_digit = byte.is_ascii_digit();
            digits = if goes_on { digits + u32::from(was_digit) } else { 0 };
            digits >= 13
        })
    }

    proptest! {
        #[test]
        fn a_number_is_seen_wherever_it_stands(text in "([0-9]{1,14}|[ -]|  |x|:){0,12}") {
            prop_assert_eq!(has_number(text.as_bytes()), has_number_plainly(text.as_bytes()), "{}", text);
        }

        #[test]
        fn the_fast_search_tells_the_lines_that_the_plain_one_tells(text in LINES) {
            let told = lines_of(text.as_bytes(), lines_told(&text).into_iter());
            prop_assert_eq!(told, plainly(text.as_bytes()));
            prop_assert_eq!(quickly(text.as_bytes()), slowly(text.as_bytes()));
        }

        #[test]
        fn the_fast_search_and_the_plain_one_agree_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut into = Vec::new();
            telltales(&bytes, &mut into);
            prop_assert_eq!(lines_of(&bytes, into.into_iter()), plainly(&bytes));
            prop_assert_eq!(quickly(&bytes), slowly(&bytes));
        }

        #[test]
        fn any_bytes_are_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut into = Vec::new();
            telltales(&bytes, &mut into);
            prop_assert!(into.is_sorted() && into.iter().all(|at| *at < bytes.len()));
            rules_of(&bytes);
        }
    }
}
