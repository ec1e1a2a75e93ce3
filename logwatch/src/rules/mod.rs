//! What is too much: rules, from what was counted to what is wrong.
//!
//! ```text
//! sources, templates ─┐
//!                     ├─> judge ──> verdicts ──> problems (one id for what begins and ends together)
//! memory ─────────────┘      └────> memory
//! ```
//! A rule says how things stand as of this run, as long as it lasts and not only when it begins; who is told, and when, is
//! the business of alerts.

mod alerts;
mod commands;
mod compile;
mod fresh;
mod leaks;
mod memory;
mod patterns;
mod silence;
mod spike;
mod volume;
mod words;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::Serialize;
use shipshape_core::alert::Severity;
use shipshape_core::config::LogwatchSection;

pub(crate) use alerts::problems;
pub(crate) use compile::{Compiled, RuleError, compile};
pub(crate) use leaks::of_this_run as secrets_of;
pub(crate) use memory::Memory;
pub(crate) use patterns::idle_ignores;
pub(crate) use words::{LONGEST_NAME, plain};

use crate::level::Level;
use crate::sources::Gap;
use crate::tally::Tally;
use crate::templates::Templates;

/// How many things one rule tells by name; the rest is counted.
const MOST_NAMED: usize = 20;

/// What one source gave in this run.
#[derive(Clone, Debug)]
pub(crate) struct SourceCount {
    /// Its name.
    pub(crate) name: String,
    /// Under what the state keeps it.
    pub(crate) key: String,
    /// What was counted.
    pub(crate) tally: Tally,
    /// What was lost.
    pub(crate) gaps: Vec<Gap>,
    /// Whether it was looked at for the first time.
    pub(crate) is_first: bool,
    /// Whether what was counted may be older than what was asked for: it is told and not judged.
    pub(crate) is_undated: bool,
}

/// The records of one template in this run.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    /// The template's number.
    pub(crate) id: u32,
    /// How many.
    pub(crate) count: u64,
    /// Whether no run before this one has seen it.
    pub(crate) is_new: bool,
    /// The source where it was met first.
    pub(crate) source: String,
    /// A record, redacted.
    pub(crate) sample: String,
    /// By what it was judged.
    pub(crate) rule: &'static str,
    /// How many in each part of the time that is looked at, where trends are asked for.
    pub(crate) parts: Option<Box<[u32; crate::tally::PARTS]>>,
}

/// What this run has seen.
pub(crate) struct Seen<'a> {
    /// By source.
    pub(crate) sources: &'a [SourceCount],
    /// By template, the most frequent first.
    pub(crate) templates: &'a [Counted],
    /// All templates.
    pub(crate) known: &'a Templates,
    /// When the run began.
    pub(crate) now: DateTime<Utc>,
    /// How far back a first look goes. For sources that were looked at before, it is what has passed since then.
    pub(crate) span: Duration,
    /// Since when there is a memory.
    pub(crate) since: DateTime<Utc>,
    /// Whether somebody asked for just this look: then first looks are judged, too.
    pub(crate) asked: bool,
}

/// How things stand by one rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// The rule: `rate`, `ratio`, `spike`, `new`, `secret`, `silence`, `pattern:NAME`.
    pub(crate) rule: String,
    /// What it is about, where it judges several things: a source, a template, a kind of secret.
    pub(crate) about: Option<String>,
    /// How bad it would be.
    pub(crate) severity: Severity,
    /// How it is.
    pub(crate) state: Standing,
    /// What was measured.
    pub(crate) value: f64,
    /// What is too much.
    pub(crate) threshold: f64,
    /// What happened, for people.
    pub(crate) text: String,
    /// What to do about it; may be empty.
    pub(crate) hint: String,
    /// Of which problem it is a part.
    #[serde(skip)]
    pub(crate) problem: Part,
}

/// Of which problem a verdict is a part. What begins and ends together is one problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// There are too many errors, by whatever rule.
    Errors,
    /// Something of its own, told by this id and title.
    Own {
        /// Behind `logwatch.`.
        id: String,
        /// What it is called.
        title: String,
    },
}

/// How things stand by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// All is well.
    Ok,
    /// Too much.
    Bad,
    /// Not enough is known yet to say.
    Learning,
}

/// What is too much, as flags and the file say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The most errors in a run.
    pub(crate) max_errors: Option<u64>,
    /// The section of the file.
    pub(crate) section: LogwatchSection,
    /// Its expressions.
    pub(crate) compiled: Compiled,
}

impl Settings {
    /// The most errors in a run, where somebody has said it.
    fn max_errors(&self) -> Option<u64> {
        self.max_errors.or(self.section.max_errors)
    }
}

impl Seen<'_> {
    /// Whether what a source gave is judged: nobody is called for sins of long ago.
    pub(crate) fn is_judged(&self, source: &SourceCount) -> bool {
        self.asked || !(source.is_first || source.is_undated)
    }

    /// The sources that are judged.
    fn judged(&self) -> impl Iterator<Item = &SourceCount> {
        self.sources.iter().filter(|source| self.is_judged(source))
    }

    /// The templates of errors, the most frequent first.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &Counted> {
        self.templates.iter().filter(|counted| is_error(self.known, counted.id))
    }

    /// The words of a template.
    fn words(&self, id: u32) -> String {
        self.known.get(id).map(|known| plain(&known.text, words::LONGEST_TEMPLATE)).unwrap_or_default()
    }
}

fn is_error(known: &Templates, id: u32) -> bool {
    known.get(id).and_then(|template| template.level).is_some_and(Level::is_error)
}

/// Judges what was seen, and remembers it. The verdicts come in the order of their rules.
pub(crate) fn judge(settings: &Settings, memory: &mut Memory, seen: &Seen<'_>) -> Vec<Verdict> {
    memory.tidy(seen.now);
    let is_on = |switch: Option<bool>| switch.unwrap_or(true);
    let section = &settings.section;
    let mut verdicts = Vec::from(volume::judge(settings, memory, seen));
    remember(memory, seen);
    if is_on(section.spike) {
        verdicts.extend(spike::judge(memory, seen));
    }
    if is_on(section.new) {
        verdicts.extend(fresh::judge(memory, seen));
    }
    if is_on(section.secrets) {
        verdicts.extend(leaks::judge(memory, seen));
    }
    if is_on(section.silence) {
        verdicts.extend(silence::judge(memory, seen));
    }
    verdicts.extend(patterns::judge(section, seen));
    patterns::note_ignores(settings, memory, seen);
    verdicts
}

/// Puts what each source gave to its hours. What a first look found is of no known time, and nothing to compare with.
fn remember(memory: &mut Memory, seen: &Seen<'_>) {
    for source in seen.sources {
        let history = memory.sources.entry(source.key.clone()).or_default();
        let span = history.span(seen.now, seen.span);
        history.name.clone_from(&source.name);
        if !source.is_first && !source.is_undated && history.last.is_some() {
            silence::note(history, seen.now, span, source.tally.lines);
            if !history.is_silent {
                history.add(seen.now, span, source.tally.errors, source.tally.lines);
            }
        }
        history.last = Some(seen.now);
    }
}

impl Verdict {
    /// A verdict that is a problem of its own.
    fn own(rule: &str, severity: Severity, id: impl Into<String>, title: impl Into<String>) -> Self {
        let part = Part::Own { id: id.into(), title: title.into() };
        Self::new(rule, severity, part)
    }

    /// A verdict: all is well, until something is said.
    fn new(rule: &str, severity: Severity, problem: Part) -> Self {
        Self {
            rule: rule.to_owned(),
            about: None,
            severity,
            state: Standing::Ok,
            value: 0.0,
            threshold: 0.0,
            text: String::new(),
            hint: String::new(),
            problem,
        }
    }

    fn measured(mut self, value: f64, threshold: f64) -> Self {
        (self.value, self.threshold) = (rounded(value), rounded(threshold));
        self
    }

    fn about(mut self, what: &str) -> Self {
        self.about = Some(plain(what, words::LONGEST_NAME));
        self
    }

    /// How it stands, and what is told of it.
    fn stands(mut self, state: Standing, text: impl Into<String>) -> Self {
        (self.state, self.text) = (state, text.into());
        self
    }

    fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Whether something is wrong.
    pub(crate) fn is_bad(&self) -> bool {
        self.state == Standing::Bad
    }
}

/// The bad ones by name, the rest of them counted in one; `calm` where there is none.
fn named(mut bad: Vec<Verdict>, calm: Verdict) -> Vec<Verdict> {
    if bad.is_empty() {
        return vec![calm];
    }
    let more = bad.len().saturating_sub(MOST_NAMED);
    bad.truncate(MOST_NAMED);
    if more > 0 {
        let text = format!("and {more} more");
        bad.push(calm.measured(memory::float(more as u64), 0.0).stands(Standing::Bad, text));
    }
    bad
}

/// To two places behind the point: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The line that tells that a rule was not applied yet.
fn until_learnt(known: u64, needed: u64, unit: &str) -> String {
    format!("learning what is usual: {known} of {needed} {unit}")
}

/// A day as people write it in the file.
pub(crate) fn day(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests;
