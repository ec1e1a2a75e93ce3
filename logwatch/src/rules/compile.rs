//! The owner's regular expressions, made ready: refused where they would explode, and told by name.

use chrono::{DateTime, NaiveDate, Utc};
use regex::bytes::{Regex, RegexBuilder};
use shipshape_core::config::LogwatchSection;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::name;

/// The largest compiled expression, in bytes. `\w{1,200}` takes half of it; what takes more was not meant so.
const LARGEST: usize = 1 << 20;

/// How much each thread may spend on the states of one expression, in bytes. What needs more is matched more slowly.
const MOST_STATES: usize = 256 << 10;

/// How deep groups may lie in each other.
const DEEPEST: u32 = 64;

/// How many expressions there may be in all: each of them is asked again and again.
const MOST: usize = 128;

/// Why a rule of the owner's cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    /// It is no regular expression.
    #[error("{which} is no regular expression: {reason}")]
    Invalid {
        /// The rule, with its name or its expression.
        which: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Compiled, it would be too large.
    #[error("{which} would take more than {limit} bytes of memory")]
    TooLarge {
        /// The rule, with its name or its expression.
        which: String,
        /// The most that it may take.
        limit: usize,
    },
    /// It is met in every record.
    #[error("{which} is met in every record: it matches a text of no length")]
    MatchesAll {
        /// The rule, with its name or its expression.
        which: String,
    },
    /// A name that cannot be used in the id of a problem, or not again.
    #[error("the name `{name}` of a pattern {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A day that is none.
    #[error("{which} ends on `{until}`, which is no day")]
    Day {
        /// The rule, with its expression.
        which: String,
        /// What is stated.
        until: String,
    },
    /// Something is ignored, and nobody says why.
    #[error("{which} is ignored without a reason")]
    NoReason {
        /// The rule, with its expression.
        which: String,
    },
    /// A zone that is none.
    #[error("`{stated}` is no zone of times")]
    Zone {
        /// What is stated.
        stated: String,
    },
    /// There are too many of them.
    #[error("{number} patterns and lines of the ignore list are more than {MOST}")]
    TooMany {
        /// How many there are.
        number: usize,
    },
}

impl Explain for RuleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "rule.invalid",
            Self::TooLarge { .. } => "rule.too_large",
            Self::MatchesAll { .. } => "rule.matches_all",
            Self::Name { .. } => "rule.name",
            Self::Day { .. } => "rule.day",
            Self::NoReason { .. } => "rule.no_reason",
            Self::Zone { .. } => "rule.zone",
            Self::TooMany { .. } => "rule.too_many",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Invalid { .. } => "in the file, write expressions in single quotes: pattern = '\\bOOM\\b'".to_owned(),
            Self::TooLarge { .. } => {
                "repeat less: `.*` takes less than `.{1,1000}`, `[0-9]` less than `\\d`".to_owned()
            }
            Self::MatchesAll { .. } => "say what must be there: `timeout.*` instead of `(timeout)?`".to_owned(),
            Self::Name { .. } => "take letters, digits, `-` and `_`, and another name for each".to_owned(),
            Self::Day { .. } => "write it as 2027-01-31".to_owned(),
            Self::NoReason { .. } => "say why, for whoever finds it in a year: reason = \"…\"".to_owned(),
            Self::Zone { .. } => "write local, utc, or an offset: zone = \"+03:00\"".to_owned(),
            Self::TooMany { .. } => "join some with `|`: 'timed out|connection reset'".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::MatchesAll { .. }
            | Self::Name { .. }
            | Self::Day { .. }
            | Self::NoReason { .. }
            | Self::Zone { .. }
            | Self::TooMany { .. } => Exit::Unknown,
        }
    }
}

/// The owner's expressions, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// Those of `[[logwatch.pattern]]`, in its order.
    pub(crate) patterns: Vec<Regex>,
    /// Those of `[[logwatch.ignore]]` that apply today, in its order.
    pub(crate) ignores: Vec<Regex>,
    /// Those that apply no more.
    pub(crate) expired: Vec<Expired>,
}

/// A line of the ignore list whose last day is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    /// Its expression.
    pub(crate) pattern: String,
    /// Why it was ignored.
    pub(crate) reason: String,
    /// Its last day.
    pub(crate) until: NaiveDate,
}

/// Makes the owner's expressions ready. Days are those of UTC, so that no clock changes what a run ignores.
pub(crate) fn compile(section: &LogwatchSection, now: DateTime<Utc>) -> Result<Compiled, RuleError> {
    let number = section.pattern.len() + section.ignore.len();
    if number > MOST {
        return Err(RuleError::TooMany { number });
    }
    let mut compiled = Compiled::default();
    for (at, pattern) in section.pattern.iter().enumerate() {
        let is_twin = section.pattern[..at].iter().any(|other| other.name == pattern.name);
        check_name(&pattern.name, is_twin)?;
        let which = format!("the pattern `{}` (`{}`)", pattern.name, pattern.pattern);
        compiled.patterns.push(regex(&pattern.pattern, which)?);
    }
    for ignore in &section.ignore {
        let which = format!("`{}` of the ignore list", ignore.pattern);
        if ignore.reason.trim().is_empty() {
            return Err(RuleError::NoReason { which });
        }
        let until = ignore.until.as_ref().map(|until| day(until, &which)).transpose()?;
        let regex = regex(&ignore.pattern, which)?;
        match until {
            Some(until) if until < now.date_naive() => {
                let (pattern, reason) = (ignore.pattern.clone(), ignore.reason.clone());
                compiled.expired.push(Expired { pattern, reason, until });
            }
            _ => compiled.ignores.push(regex),
        }
    }
    Ok(compiled)
}

fn check_name(name: &str, is_twin: bool) -> Result<(), RuleError> {
    let refused = |reason| Err(RuleError::Name { name: name.to_owned(), reason });
    if is_twin {
        return refused("stands twice");
    }
    if name::is_valid(name) { Ok(()) } else { refused("cannot be used in the name of a problem") }
}

fn day(until: &str, which: &str) -> Result<NaiveDate, RuleError> {
    let refused = |_| RuleError::Day { which: which.to_owned(), until: until.to_owned() };
    NaiveDate::parse_from_str(until, "%Y-%m-%d").map_err(refused)
}

/// `^` and `$` stand for the ends of lines: a record may have many.
fn regex(pattern: &str, which: String) -> Result<Regex, RuleError> {
    let built = RegexBuilder::new(pattern)
        .multi_line(true)
        .size_limit(LARGEST)
        .dfa_size_limit(MOST_STATES)
        .nest_limit(DEEPEST)
        .build();
    match built {
        Ok(regex) if regex.is_match(b"") => Err(RuleError::MatchesAll { which }),
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(limit)) => Err(RuleError::TooLarge { which, limit }),
        Err(error) => Err(RuleError::Invalid { which, reason: reason(&error.to_string()) }),
    }
}

/// The last line of what the crate says: above it, it draws where.
fn reason(told: &str) -> String {
    let line = told.lines().last().unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shipshape_core::config::{IgnoreSection, PatternSection};

    fn now() -> DateTime<Utc> {
        "2026-11-20T23:30:00Z".parse().unwrap()
    }

    fn with_pattern(name: &str, pattern: &str) -> LogwatchSection {
        let pattern = PatternSection { name: name.to_owned(), pattern: pattern.to_owned(), severity: None, max: 0 };
        LogwatchSection { pattern: vec![pattern], ..LogwatchSection::default() }
    }

    fn with_ignore(pattern: &str, reason: &str, until: Option<&str>) -> LogwatchSection {
        let (pattern, reason, until) = (pattern.to_owned(), reason.to_owned(), until.map(str::to_owned));
        LogwatchSection { ignore: vec![IgnoreSection { pattern, reason, until }], ..LogwatchSection::default() }
    }

    fn refusal(section: &LogwatchSection) -> RuleError {
        compile(section, now()).unwrap_err()
    }

    #[test]
    fn a_pattern_that_explodes_is_refused_by_name_and_limit_and_at_once() {
        for bomb in [r"(\w{1,1000}){1,1000}", r"((a{0,100}){0,100}){0,100}", r"\pL{500}"] {
            let refused = refusal(&with_pattern("payment", bomb));
            assert_eq!((refused.code(), refused.exit()), ("rule.too_large", Exit::Unknown), "of {bomb}: {refused}");
            for part in ["payment", bomb, "1048576"] {
                assert!(refused.to_string().contains(part), "{part} in {refused}");
            }
        }
    }

    #[test]
    fn what_would_backtrack_for_ever_elsewhere_is_fine_here() {
        let compiled = compile(&with_pattern("nested", r"(a+)+$x|(a|aa)+c"), now()).unwrap();
        assert!(!compiled.patterns[0].is_match(&b"a".repeat(100_000)));
    }

    #[test]
    fn what_is_no_expression_is_told_in_one_line() {
        let refused = refusal(&with_pattern("open", "(unclosed"));
        assert_eq!(refused.to_string(), "the pattern `open` (`(unclosed`) is no regular expression: unclosed group");
        assert_eq!(refusal(&with_ignore(r"a(?=b)", "x", None)).code(), "rule.invalid");
        assert_eq!(
            refusal(&with_pattern("deep", &format!("{}a{}", "(".repeat(80), ")".repeat(80)))).code(),
            "rule.invalid"
        );
    }

    #[test]
    fn what_would_hide_or_tell_everything_is_refused() {
        for all in ["", ".*", "(timeout)?", "^", "error|"] {
            assert_eq!(refusal(&with_ignore(all, "x", None)).code(), "rule.matches_all", "of {all:?}");
            assert_eq!(refusal(&with_pattern("all", all)).code(), "rule.matches_all", "of {all:?}");
        }
    }

    #[test]
    fn a_name_is_fit_for_an_id_and_stands_once() {
        for name in ["", "a b", "a/b", "ä", "\n", ".hidden"] {
            assert_eq!(refusal(&with_pattern(name, "x")).code(), "rule.name", "of {name:?}");
        }
        let mut twins = with_pattern("twin", "x");
        twins.pattern.push(twins.pattern[0].clone());
        assert_eq!(refusal(&twins).to_string(), "the name `twin` of a pattern stands twice");
    }

    #[test]
    fn an_ignored_line_applies_up_to_and_with_its_last_day() {
        let until = |day| compile(&with_ignore("deadlock", "fixed in 2.3", Some(day)), now()).unwrap();
        assert_eq!((until("2026-11-20").ignores.len(), until("2026-11-20").expired.len()), (1, 0));
        let gone = until("2026-11-19");
        assert_eq!((gone.ignores.len(), gone.expired[0].reason.as_str()), (0, "fixed in 2.3"));
    }

    #[test]
    fn a_day_that_is_none_and_a_reason_that_is_none_are_refused() {
        for day in ["2026-02-30", "tomorrow", "", "20.11.2026", "2026-11-20 "] {
            assert_eq!(refusal(&with_ignore("x", "y", Some(day))).code(), "rule.day", "of {day:?}");
        }
        assert_eq!(refusal(&with_ignore("x", " ", None)).code(), "rule.no_reason");
    }

    #[test]
    fn ends_of_lines_are_met_within_a_record() {
        let compiled = compile(&with_pattern("caused", r"^Caused by: .*Timeout$"), now()).unwrap();
        assert!(compiled.patterns[0].is_match(b"Exception\n\tat x\nCaused by: a.ReadTimeout\n\tat y"));
    }

    #[test]
    fn there_is_an_end_to_how_many_there_are() {
        let mut section = with_ignore("x", "y", None);
        section.ignore = vec![section.ignore[0].clone(); MOST + 1];
        assert_eq!(refusal(&section).code(), "rule.too_many");
        section.ignore.pop();
        assert!(compile(&section, now()).is_ok());
    }

    proptest! {
        #[test]
        fn no_expression_makes_it_panic(pattern in r"(\(|\)|\[|\]|\{9,?9?9?\}|\*|\+|\?|\\w|\\pL|\^|\$|\||a|.){0,24}") {
            let _ = compile(&with_pattern("any", &pattern), now());
        }
    }
}
