//! What a rule is: the words that give a secret away, the form of its value, and what is to be done about it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use shipshape_core::alert::Severity;

use super::Found;
use super::plain;
use super::value;

/// One kind of secret.
pub(super) struct Rule {
    /// Its name in reports: `github-token`.
    pub(super) id: &'static str,
    /// How bad it is to find one.
    pub(super) severity: Severity,
    /// What is to be done, in one sentence.
    pub(super) advice: &'static str,
    /// A record without any of these holds no such secret.
    pub(super) telltales: &'static [Telltale],
    finder: Finder,
    is_secret: fn(&Candidate<'_>) -> bool,
    compiled: OnceLock<Option<Regex>>,
}

/// A literal that gives a secret away, and what has to stand around it. It holds one of the anchors that are looked for in all
/// that is read; or it is a single byte that is rare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telltale {
    pub(super) text: &'static str,
    pub(super) around: Around,
}

/// What has to stand around a telltale, where the literal alone is too common. Cheap to see, and never too strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// Nothing.
    Anything,
    /// At least ten bytes of a token follow.
    Token,
    /// A value is given to the name that it is part of: `=`, `:`, `=>`, `('…')`, `--name value`.
    Assigned,
    /// A number as long as a card's is near.
    Number,
    /// The number of a bank account is near.
    Account,
    /// The name that it is part of is one of a list of columns, and a list of values follows.
    Column,
    /// An `@` that ends user and password: `://user:password@`, `user:password@tcp(`.
    Userinfo,
    /// A space and a long word follow.
    Word,
    /// An option, after the name of a database client in the same line.
    Client,
    /// `user:password` follows.
    Pair,
    /// Something in quotes follows.
    Quoted,
}

/// Each of these literals, with what has to stand around it.
macro_rules! telltales {
    ($($around:ident: $($text:literal),+);+ $(;)?) => {
        &[$($($crate::secrets::rule::Telltale { text: $text, around: $crate::secrets::rule::Around::$around }),+),+]
    };
}
pub(super) use telltales;

/// How the values are found.
enum Finder {
    /// All that matches, if no letter or digit touches it.
    Token(&'static str),
    /// What the group `value` matches.
    Group(&'static str),
    /// The value that begins where the match ends, quoted or not.
    Before(&'static str),
    /// By a function, for what a regular expression says badly. It puts the values' places into the list.
    By(fn(&[u8], &mut Vec<Range<usize>>)),
}

/// What may be a secret.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) record: &'a [u8],
    /// Where what announces it begins: the name of a field. The value's own beginning where nothing does.
    pub(super) from: usize,
    /// Where the value lies.
    pub(super) at: Range<usize>,
}

impl Candidate<'_> {
    pub(super) fn value(&self) -> &[u8] {
        &self.record[self.at.clone()]
    }

    /// At most this many bytes before it.
    pub(super) fn before(&self, most: usize) -> &[u8] {
        &self.record[self.from.saturating_sub(most)..self.from]
    }

    /// What announces it, up to the value: `DB_PASSWORD=`. The part of the name before the match belongs to it.
    pub(super) fn announced(&self) -> &[u8] {
        let before = self.before(LONGEST_NAME);
        let name = before.iter().rev().take_while(|byte| plain::is_name(**byte)).count();
        &self.record[self.from - name..self.at.start]
    }
}

/// Secrets by where they begin; they do not overlap.
pub(super) type Known = BTreeMap<usize, Found>;

/// How many secrets of one rule are told in one record. A record with more was made to take time, or is a dump: all that
/// follows counts as one more.
const MOST_SECRETS: usize = 64;

/// How many candidates of one rule are looked at in one record. Of a record with more, that rule does not see the rest.
const MOST_CANDIDATES: usize = 1024;

/// The search for the values of one rule in one record.
struct Search<'a> {
    rule: &'a Rule,
    record: &'a [u8],
    known: &'a Known,
    found: &'a mut Vec<Range<usize>>,
    /// How many candidates may still be looked at.
    left: usize,
}

/// From where on a rule did not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// There were too many secrets: what follows is taken for more of them.
    Suspect(usize),
    /// There were too many candidates, and few of them secrets: nothing is said of what follows, and nobody is shown it.
    Unknown(usize),
}

/// Whether the search goes on; if not, from where on nothing was looked at.
type GoesOn = Result<(), Unseen>;

/// How far back the name of a field is looked at, in bytes.
const LONGEST_NAME: usize = 64;

impl Rule {
    /// A token that is known by its own form.
    pub(super) const fn token(id: &'static str, telltales: &'static [Telltale], pattern: &'static str) -> Self {
        Self::new(id, telltales, Finder::Token(pattern), is_token)
    }

    /// A value that is known by what stands around it: the group `value` of the pattern.
    pub(super) const fn group(id: &'static str, telltales: &'static [Telltale], pattern: &'static str) -> Self {
        Self::new(id, telltales, Finder::Group(pattern), is_no_placeholder)
    }

    /// A value that is announced by its name: it follows the pattern, quoted or not.
    pub(super) const fn before(id: &'static str, telltales: &'static [Telltale], pattern: &'static str) -> Self {
        Self::new(id, telltales, Finder::Before(pattern), is_no_placeholder)
    }

    /// A value that a function finds.
    pub(super) const fn by(
        id: &'static str,
        telltales: &'static [Telltale],
        find: fn(&[u8], &mut Vec<Range<usize>>),
    ) -> Self {
        Self::new(id, telltales, Finder::By(find), is_no_placeholder)
    }

    const fn new(
        id: &'static str,
        telltales: &'static [Telltale],
        finder: Finder,
        is_secret: fn(&Candidate<'_>) -> bool,
    ) -> Self {
        let severity = Severity::Critical;
        Self { id, severity, advice: "", telltales, finder, is_secret, compiled: OnceLock::new() }
    }

    /// With what is to be done.
    pub(super) const fn advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    /// A guess by name, or something that soon ends by itself.
    pub(super) const fn weak(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Only where this says so.
    pub(super) const fn only(mut self, is_secret: fn(&Candidate<'_>) -> bool) -> Self {
        self.is_secret = is_secret;
        self
    }

    /// The places of all values, in growing order; none begins inside one that `known` holds already. Where there are too
    /// many, it says from where on nothing was looked at.
    pub(super) fn places(&self, record: &[u8], known: &Known, found: &mut Vec<Range<usize>>) -> Option<Unseen> {
        found.clear();
        let mut search = Search { rule: self, record, known, found, left: MOST_CANDIDATES };
        match self.finder {
            Finder::By(find) => {
                let mut all = Vec::new();
                find(record, &mut all);
                all.into_iter().try_for_each(|at| search.offer(at.start, at))
            }
            Finder::Token(pattern) => self.regex(pattern).map_or(Ok(()), |regex| search.tokens(regex)),
            Finder::Group(pattern) => self.regex(pattern).map_or(Ok(()), |regex| search.groups(regex)),
            Finder::Before(pattern) => self.regex(pattern).map_or(Ok(()), |regex| search.values(regex)),
        }
        .err()
    }

    fn accepts(&self, candidate: &Candidate<'_>) -> bool {
        !candidate.at.is_empty() && (self.is_secret)(candidate)
    }

    /// Compiled when first needed: most runs need none. The patterns are ours; a test compiles all.
    fn regex(&self, pattern: &str) -> Option<&Regex> {
        self.compiled.get_or_init(|| RegexBuilder::new(pattern).unicode(false).build().ok()).as_ref()
    }

    /// Whether its pattern can be used.
    #[cfg(test)]
    pub(super) fn compiles(&self) -> bool {
        match self.finder {
            Finder::Token(pattern) | Finder::Group(pattern) | Finder::Before(pattern) => self.regex(pattern).is_some(),
            Finder::By(_) => true,
        }
    }
}

impl Search<'_> {
    fn tokens(&mut self, regex: &Regex) -> GoesOn {
        for whole in regex.find_iter(self.record) {
            if plain::stands_alone(self.record, &whole.range()) {
                self.offer(whole.start(), whole.range())?;
            }
        }
        Ok(())
    }

    fn groups(&mut self, regex: &Regex) -> GoesOn {
        for captures in regex.captures_iter(self.record) {
            if let Some((whole, value)) = captures.get(0).zip(captures.name("value")) {
                self.offer(whole.start(), value.range())?;
            }
        }
        Ok(())
    }

    fn values(&mut self, regex: &Regex) -> GoesOn {
        let mut from = 0;
        while let Some(whole) = regex.find_at(self.record, from) {
            // No pattern matches nothing, but a search that stands still would never end.
            from = whole.end().max(from + 1);
            if from > self.record.len() {
                break;
            }
            if self.is_known(whole.end()) {
                continue;
            }
            if let Some(at) = value::of(self.record, whole.range()) {
                self.offer(whole.start(), at)?;
            }
            // A value that announces another one is a value: the search goes on behind it, each byte is looked at once.
            from = from.max(self.found.last().map_or(0, |last| last.end.saturating_sub(1)));
        }
        Ok(())
    }

    /// Whether a place lies inside a value that was found already.
    fn is_known(&self, at: usize) -> bool {
        self.known.range(..=at).next_back().is_some_and(|(_, other)| at < other.end)
    }

    /// Takes the value if it is a secret. What is seen to be none at the first look does not count.
    fn offer(&mut self, from: usize, at: Range<usize>) -> GoesOn {
        let candidate = Candidate { record: self.record, from, at: at.clone() };
        if is_nothing(candidate.value()) || self.is_known(at.start) {
            return Ok(());
        }
        self.left = self.left.checked_sub(1).ok_or(Unseen::Unknown(at.start))?;
        if self.rule.accepts(&candidate) {
            if self.found.len() >= MOST_SECRETS {
                return Err(Unseen::Suspect(at.start));
            }
            self.found.push(at);
        }
        Ok(())
    }
}

/// Whether a value is none for any rule, told by its length and its first bytes.
fn is_nothing(value: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [b"${", b"{{", b"$(", b"****", b"xxxx"];
    value.len() < 3
        || matches!(value, b"null" | b"true" | b"false" | b"[redacted]" | b"[FILTERED]")
        || value.len() < 64 && BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
}

/// Random tokens have at least so much entropy, in bits per byte; those of 20 characters of an alphabet of 32 have 3.6.
const TOKEN_ENTROPY: f64 = 2.8;

/// What most tokens have to be.
pub(super) fn is_token(candidate: &Candidate<'_>) -> bool {
    !plain::is_placeholder(candidate.value()) && plain::entropy(candidate.value()) >= TOKEN_ENTROPY
}

/// What a value has to be that only its place makes a secret.
pub(super) fn is_no_placeholder(candidate: &Candidate<'_>) -> bool {
    !plain::is_placeholder(candidate.value())
}
