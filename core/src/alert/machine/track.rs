//! One problem over time: how it stands, how steady it is, and what each sink has heard of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, Kind, Rules};
use crate::alert::{Problem, Severity};

/// How many of the last runs are looked at to see whether a problem comes and goes.
const WINDOW: u32 = 21;

/// With so many changes among them it does: more than one message in four runs would be about nothing new.
const RESTLESS: u32 = 5;

/// After so many runs of one kind in a row it does so no more.
pub(super) const STEADY: u32 = 6;

/// One problem over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Track {
    /// The job whose runs judge it.
    pub(super) job: String,
    /// How bad it was when it was seen last; likewise what follows.
    pub(super) severity: Severity,
    title: String,
    text: String,
    hint: String,
    /// When it was found first, of those times that are one.
    since: DateTime<Utc>,
    /// Bad runs since then.
    runs: u32,
    bad_in_a_row: u32,
    good_in_a_row: u32,
    /// Whether it stands: it was bad often enough, and not yet good often enough.
    pub(super) confirmed: bool,
    /// Whether it comes and goes.
    pub(super) flapping: bool,
    /// Whether it stood after each of the last runs, the newest in the lowest bit. Before the first one all was well.
    history: u32,
    /// By sink: what it has heard.
    pub(super) heard: BTreeMap<String, Heard>,
}

/// What a sink has heard of a problem, and not yet of its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    /// The worst that it was told.
    pub(super) severity: Severity,
    /// When it was told last.
    pub(super) at: DateTime<Utc>,
    /// How often it was reminded.
    pub(super) reminders: u32,
    /// Whether the last that it heard is that the problem comes and goes.
    pub(super) flapping: bool,
}

impl Track {
    pub(super) fn new(job: &str, problem: &Problem, now: DateTime<Utc>) -> Self {
        Self {
            job: job.to_owned(),
            severity: problem.severity,
            title: problem.title.clone(),
            text: String::new(),
            hint: String::new(),
            since: now,
            runs: 0,
            bad_in_a_row: 0,
            good_in_a_row: 0,
            confirmed: false,
            flapping: false,
            history: 0,
            heard: BTreeMap::new(),
        }
    }

    /// A run has found the problem.
    pub(super) fn bad(&mut self, problem: &Problem, rules: &Rules, now: DateTime<Utc>) {
        if !self.confirmed && self.bad_in_a_row == 0 {
            (self.since, self.runs) = (now, 0);
        }
        self.severity = problem.severity;
        self.title.clone_from(&problem.title);
        self.text.clone_from(&problem.text);
        self.hint.clone_from(&problem.hint);
        self.runs = self.runs.saturating_add(1);
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        self.good_in_a_row = 0;
        self.confirmed |= self.bad_in_a_row >= rules.after.max(problem.after);
        self.look_back();
    }

    /// A run has not found the problem.
    pub(super) fn good(&mut self, rules: &Rules) {
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        self.bad_in_a_row = 0;
        self.confirmed &= self.good_in_a_row < rules.clear_after;
        self.look_back();
    }

    /// Judges whether it comes and goes. Only what is confirmed counts: what the owner wants to hear nothing of is no
    /// flapping either.
    fn look_back(&mut self) {
        let window = (1 << WINDOW) - 1;
        self.history = ((self.history << 1) | u32::from(self.confirmed)) & window;
        let changes = (self.history ^ (self.history >> 1)) & (window >> 1);
        if self.flapping && self.bad_in_a_row.max(self.good_in_a_row) >= STEADY {
            self.flapping = false;
            // What was is forgotten, or the next change would count as flapping again.
            self.history = if self.confirmed { window } else { 0 };
        } else if changes.count_ones() >= RESTLESS {
            self.flapping = true;
        }
    }

    /// A sink has got this.
    pub(super) fn was_told(&mut self, sink: &str, event: &Event, now: DateTime<Utc>) {
        if event.kind == Kind::Ended {
            self.heard.remove(sink);
            return;
        }
        let before = self.heard.get(sink);
        let severity = before.map_or(self.severity, |heard| heard.severity.max(self.severity));
        let reminders = match event.kind {
            Kind::Reminder => before.map_or(0, |heard| heard.reminders).saturating_add(1),
            Kind::Started | Kind::Worse | Kind::Flapping | Kind::Settled | Kind::Ended => 0,
        };
        self.heard.insert(sink.to_owned(), Heard { severity, at: now, reminders, flapping: self.flapping });
    }

    /// Whether it stands, or may soon, or somebody waits for its end, or it may yet turn out to come and go.
    pub(super) fn matters(&self) -> bool {
        self.confirmed || self.bad_in_a_row > 0 || self.history != 0 || !self.heard.is_empty()
    }

    pub(super) fn event(&self, id: &str, kind: Kind, last_good: Option<DateTime<Utc>>) -> Event {
        let problem = Problem {
            id: id.to_owned(),
            severity: self.severity,
            title: self.title.clone(),
            text: self.text.clone(),
            hint: self.hint.clone(),
            after: 1,
        };
        Event { kind, problem, since: self.since, runs: self.runs, last_good }
    }
}
