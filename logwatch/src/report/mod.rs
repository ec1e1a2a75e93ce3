//! What a run says: its data for programs, its text for people, and what somebody should look at.

mod data;
mod notices;
mod text;

pub(crate) use data::data;
pub(crate) use notices::notices;
pub(crate) use text::{summary, text};

use chrono::{DateTime, Utc};

use crate::rules::{Memory, Seen, Settings, SourceCount, Verdict};

/// Everything that a report tells.
pub(crate) struct Told<'a> {
    /// What was seen.
    pub(crate) seen: &'a Seen<'a>,
    /// By rule.
    pub(crate) verdicts: &'a [Verdict],
    /// What is too much.
    pub(crate) settings: &'a Settings,
    /// What the rules remember.
    pub(crate) memory: &'a Memory,
    /// The sources that could not be read.
    pub(crate) unread: &'a [String],
    /// Whether the next run will know of this one, or is not meant to.
    pub(crate) is_kept: bool,
    /// How many warnings there are beside those of the report itself: of the state.
    pub(crate) warned: usize,
}

impl Told<'_> {
    /// A count over all sources.
    fn sum(&self, what: fn(&SourceCount) -> u64) -> u64 {
        self.seen.sources.iter().map(what).fold(0, u64::saturating_add)
    }

    /// When the first and the last record were written, as far as they say so.
    fn span(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let spans = self.seen.sources.iter().filter_map(|source| source.tally.span);
        spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// The sources that are told and not judged.
    fn unjudged(&self) -> impl Iterator<Item = &SourceCount> {
        self.seen.sources.iter().filter(|source| !self.seen.is_judged(source))
    }

    /// The verdicts that are bad, the worst first.
    fn bad(&self) -> Vec<&Verdict> {
        let mut bad: Vec<&Verdict> = self.verdicts.iter().filter(|verdict| verdict.is_bad()).collect();
        bad.sort_by_key(|verdict| std::cmp::Reverse(verdict.severity));
        bad
    }
}

/// A template's number, as it is told everywhere.
pub(crate) fn template_id(id: u32) -> String {
    format!("t{id}")
}

/// Bytes that are known to be lost of a source.
fn gap_bytes(source: &SourceCount) -> u64 {
    source.gaps.iter().filter_map(|gap| gap.bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
