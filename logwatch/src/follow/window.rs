//! The stretch of time that rules are asked about while logs are followed: ten minutes, then anew.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use shipshape_core::error::Explain;
use shipshape_core::run::Outcome;
use shipshape_core::signal;

use crate::counted;
use crate::explain::Printer;
use crate::report::{self, Told};
use crate::rules::{self, Seen, Settings, SourceCount, Verdict};
use crate::state::State;
use crate::watch;

/// How long a stretch is.
fn length() -> Duration {
    Duration::minutes(10)
}

/// What has come in this stretch, and in all of them.
pub(super) struct Window {
    /// What is known, and becomes known.
    pub(super) state: State,
    began: DateTime<Utc>,
    first: DateTime<Utc>,
    sources: BTreeMap<String, SourceCount>,
    all: BTreeMap<String, SourceCount>,
    bad: BTreeSet<(String, Option<String>)>,
    has_changed: bool,
}

impl Window {
    /// Begins now, with what earlier runs have learnt.
    pub(super) fn new(mut state: State, now: DateTime<Utc>) -> Self {
        state.templates.begin(now);
        let (sources, all) = (BTreeMap::new(), BTreeMap::new());
        Self { state, began: now, first: now, sources, all, bad: BTreeSet::new(), has_changed: false }
    }

    /// Adds what has come.
    pub(super) fn add(&mut self, count: SourceCount) {
        self.has_changed |= count.tally.records > 0;
        add_to(&mut self.all, count.clone());
        add_to(&mut self.sources, count);
    }

    /// Judges the stretch so far, and tells what has become too much, and what is so no longer.
    pub(super) fn judge(&mut self, settings: &Settings, now: DateTime<Utc>, printer: &mut Printer) {
        let is_over = now - self.began >= length();
        if !self.has_changed && !is_over {
            return;
        }
        self.has_changed = false;
        let sources: Vec<SourceCount> = self.sources.values().cloned().collect();
        let templates = counted::count(&sources, &mut self.state.templates);
        let mut memory = self.state.memory.clone();
        let since = self.state.since.unwrap_or(self.first);
        let span = now - self.began;
        let known = &self.state.templates;
        let seen = Seen { sources: &sources, templates: &templates, known, now, span, since, asked: true };
        let verdicts = rules::judge(settings, &mut memory, &seen);
        self.tell(&verdicts, is_over, printer);
        if is_over {
            self.state.memory = memory;
            self.began = now;
            self.state.templates.begin(now);
            self.sources.values_mut().for_each(|count| count.tally = crate::tally::Tally::default());
        }
    }

    /// What has gone bad is told at once; what is good again at the end of a stretch, when that is sure.
    fn tell(&mut self, verdicts: &[Verdict], is_over: bool, printer: &mut Printer) {
        for verdict in verdicts {
            let what = (verdict.rule.clone(), verdict.about.clone());
            if verdict.is_bad() && self.bad.insert(what.clone()) {
                say(printer, "problem", verdict);
            } else if !verdict.is_bad() && is_over && self.bad.remove(&what) {
                say(printer, "recovery", verdict);
            }
        }
    }

    /// The report of all that was followed.
    pub(super) fn conclude(mut self, settings: &Settings, now: DateTime<Utc>) -> Outcome {
        let sources: Vec<SourceCount> = self.all.into_values().collect();
        let templates = counted::count(&sources, &mut self.state.templates);
        let since = self.state.since.unwrap_or(self.first);
        let span = now - self.first;
        let known = &self.state.templates;
        let seen = Seen { sources: &sources, templates: &templates, known, now, span, since, asked: true };
        let verdicts = rules::judge(settings, &mut self.state.memory, &seen);
        let memory = &self.state.memory;
        // It remembers nothing, and is not meant to.
        let told = Told { seen: &seen, verdicts: &verdicts, settings, memory, unread: &[], is_kept: true, warned: 0 };
        let (data, text) = (report::data(&told), report::text(&told));
        // It ends because somebody interrupts it, as any other program that is interrupted ends.
        let exit = signal::check().map_or_else(|interrupted| interrupted.exit(), |()| watch::exit(&verdicts));
        let warnings = report::notices(&told);
        Outcome { exit, data, text, warnings, ..Outcome::ok(report::summary(&told)) }
    }
}

fn add_to(sources: &mut BTreeMap<String, SourceCount>, count: SourceCount) {
    match sources.get_mut(&count.key) {
        Some(known) => {
            known.tally.add(count.tally);
            known.gaps.extend(count.gaps);
        }
        None => drop(sources.insert(count.key.clone(), count)),
    }
}

fn say(printer: &mut Printer, event: &str, verdict: &Verdict) {
    let line = if printer.is_for_people() {
        format!("== {event}: {}: {}", verdict.rule, verdict.text)
    } else {
        json!({ "event": event, "rule": verdict.rule, "about": verdict.about, "text": verdict.text, "value": verdict.value }).to_string()
    };
    printer.line(&line);
}
