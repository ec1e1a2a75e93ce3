//! What the owner asks for: patterns, and what is to be ignored.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use shipshape_core::alert::Severity;
use shipshape_core::config::{LogwatchSection, PatternSection};
use shipshape_core::units::counted;

use super::memory::{Memory, float};
use super::words::{LONGEST_SAMPLE, plain};
use super::{Seen, Settings, Standing, Verdict};

/// After so many days without a match, a line of the ignore list is worth a word.
const IDLE_DAYS: i64 = 90;

/// The verdict on each pattern.
pub(super) fn judge(section: &LogwatchSection, seen: &Seen<'_>) -> Vec<Verdict> {
    section.pattern.iter().enumerate().map(|(at, pattern)| verdict(at, pattern, seen)).collect()
}

fn verdict(at: usize, pattern: &PatternSection, seen: &Seen<'_>) -> Verdict {
    // What the owner asks for is told of a first look, too, unless it may be of any age.
    let dated = seen.sources.iter().filter(|source| seen.asked || !source.is_undated);
    let met: Vec<_> = dated.filter_map(|source| source.tally.patterns.get(at).filter(|met| met.0 > 0)).collect();
    let count = met.iter().map(|met| met.0).sum();
    let sample = met.iter().find_map(|met| met.1.as_ref());
    let sample = sample.map(|sample| format!(", as in: {}", plain(sample, LONGEST_SAMPLE))).unwrap_or_default();
    let times = counted(count, "record", "records");
    let text = format!("{times} with `{}`, where {} are the most{sample}", plain(&pattern.pattern, 80), pattern.max);
    let name = &pattern.name;
    let state = if count > pattern.max { Standing::Bad } else { Standing::Ok };
    let severity = pattern.severity.unwrap_or(Severity::Warning);
    Verdict::own(&format!("pattern:{name}"), severity, format!("pattern.{name}"), format!("logs: {name}"))
        .measured(float(count), float(pattern.max))
        .stands(state, text)
}

/// Takes note of which lines of the ignore list were met.
pub(super) fn note_ignores(settings: &Settings, memory: &mut Memory, seen: &Seen<'_>) {
    let mut listed = BTreeMap::new();
    for (at, regex) in settings.compiled.ignores.iter().enumerate() {
        let key = key(regex.as_str());
        let is_met = seen.sources.iter().any(|source| source.tally.ignores.get(at).is_some_and(|met| *met > 0));
        let last = if is_met { seen.now } else { memory.ignores.get(&key).copied().unwrap_or(seen.now) };
        listed.insert(key, last);
    }
    memory.ignores = listed;
}

/// The lines of the ignore list that have not been met for long.
pub(crate) fn idle_ignores<'a>(settings: &'a Settings, memory: &Memory, now: DateTime<Utc>) -> BTreeSet<&'a str> {
    let expressions = settings.compiled.ignores.iter().map(regex::bytes::Regex::as_str);
    let is_idle = |expression: &&str| {
        memory.ignores.get(&key(expression)).is_some_and(|last| now - *last >= Duration::days(IDLE_DAYS))
    };
    expressions.filter(is_idle).collect()
}

/// Under what a line of the list is remembered: an expression may be long.
fn key(expression: &str) -> String {
    blake3::hash(expression.as_bytes()).to_hex().chars().take(16).collect()
}
