//! The rules: when a problem is confirmed, whom it is told, and when it is over. No files, no clock.
//!
//! 1. A problem is confirmed after so many bad runs in a row, and over after so many good ones.
//! 2. What a sink is told follows from what it *was delivered* last, not from the run before: a message that was lost is
//!    due again at the next run, and the end of a problem is told to those, and only those, who heard of its start.
//! 3. Told once; then reminded with growing gaps, and told again when it gets worse. A changed text is no news.
//! 4. What comes and goes is told once, as flapping; then only reminders, until it has been steady for a while.

mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Observation, Others, Problem, Severity};
use track::{Heard, Track};

/// How much of a gap must have passed for a reminder to be due, in percent: cron jobs start within minutes of each other, and
/// a daily one must not skip a day because today's run was quicker.
const GAP_PERCENT: i32 = 90;

/// The owner's part in the rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Bad runs in a row until a problem is confirmed. At least 1.
    pub after: u32,
    /// Good runs in a row until it is over. At least 1.
    pub clear_after: u32,
    /// Gaps between reminders; the last one repeats.
    pub remind: Vec<Duration>,
}

/// What is known from earlier runs. Kept in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Problems by their ids, standing ones and recent ones.
    tracks: BTreeMap<String, Track>,
    /// By job: the last run that came to a good end.
    last_good: BTreeMap<String, DateTime<Utc>>,
    /// By sink: why the last message was not delivered.
    pub failures: BTreeMap<String, String>,
}

/// Why a sink is told of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It has begun.
    Started,
    /// It has become worse.
    Worse,
    /// It comes and goes.
    Flapping,
    /// It came and went, and is there to stay.
    Settled,
    /// It is still there.
    Reminder,
    /// It is over.
    Ended,
}

/// A piece of news for a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Why.
    pub kind: Kind,
    /// The problem, as it was seen last.
    pub problem: Problem,
    /// Since when it has stood; of one that is over, when it had begun.
    pub since: DateTime<Utc>,
    /// How many bad runs it has had since then.
    pub runs: u32,
    /// The last good run of its job, where there was one.
    pub last_good: Option<DateTime<Utc>>,
}

impl State {
    /// Takes in what a run has found.
    pub fn observe(&mut self, found: &Observation, rules: &Rules, now: DateTime<Utc>) {
        for problem in &found.problems {
            let track = self.tracks.entry(problem.id.clone()).or_insert_with(|| Track::new(&found.job, problem, now));
            track.bad(problem, rules, now);
        }
        if found.others == Others::Good {
            let named: BTreeSet<&String> = found.problems.iter().map(|problem| &problem.id).collect();
            let others = self.tracks.iter_mut().filter(|(id, track)| track.job == found.job && !named.contains(id));
            others.for_each(|(_, track)| track.good(rules));
            if found.problems.iter().all(|problem| problem.severity < Severity::Critical) {
                self.last_good.insert(found.job.clone(), now);
            }
        }
    }

    /// What this sink is to be told now; empty where it knows all. The worst comes first.
    pub fn news(&self, sink: &str, rules: &Rules, now: DateTime<Utc>) -> Vec<Event> {
        let due = |(id, track): (&String, &Track)| {
            let kind = due(track, track.heard.get(sink), rules, now)?;
            Some(track.event(id, kind, self.last_good.get(&track.job).copied()))
        };
        let mut events: Vec<Event> = self.tracks.iter().filter_map(due).collect();
        events.sort_by_key(|event| {
            (event.kind == Kind::Ended, std::cmp::Reverse(event.problem.severity), event.kind, event.problem.id.clone())
        });
        events
    }

    /// Remembers that a sink has got these.
    pub fn delivered(&mut self, sink: &str, events: &[Event], now: DateTime<Utc>) {
        for event in events {
            if let Some(track) = self.tracks.get_mut(&event.problem.id) {
                track.was_told(sink, event, now);
            }
        }
        self.failures.remove(sink);
    }

    /// Remembers that a sink could not be reached, and why.
    pub fn not_delivered(&mut self, sink: &str, why: &str) {
        self.failures.insert(sink.to_owned(), why.to_owned());
    }

    /// Forgets sinks that are no more, and problems of which nobody needs to hear.
    pub fn tidy(&mut self, sinks: &BTreeSet<String>) {
        self.failures.retain(|sink, _| sinks.contains(sink));
        self.tracks.values_mut().for_each(|track| track.heard.retain(|sink, _| sinks.contains(sink)));
        self.tracks.retain(|_, track| track.matters());
    }

    /// Takes over what runs have left that did not know the name of their application.
    pub fn adopt(&mut self, nameless: Self) {
        for (id, track) in nameless.tracks {
            self.tracks.entry(id).or_insert(track);
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty() && self.last_good.is_empty() && self.failures.is_empty()
    }
}

/// What is due, given how things stand and what the sink has heard of them.
fn due(track: &Track, heard: Option<&Heard>, rules: &Rules, now: DateTime<Utc>) -> Option<Kind> {
    match heard {
        None if track.flapping => Some(Kind::Flapping),
        None => track.confirmed.then_some(Kind::Started),
        Some(heard) if track.flapping && !heard.flapping => Some(Kind::Flapping),
        // While it comes and goes, that it has gone is no news.
        Some(_) if !track.confirmed => (!track.flapping).then_some(Kind::Ended),
        Some(heard) if track.severity > heard.severity => Some(Kind::Worse),
        Some(heard) if heard.flapping && !track.flapping => Some(Kind::Settled),
        Some(heard) => is_reminder_due(heard, rules, now).then_some(Kind::Reminder),
    }
}

fn is_reminder_due(heard: &Heard, rules: &Rules, now: DateTime<Utc>) -> bool {
    let Some(gap) = rules.remind.get(heard.reminders as usize).or(rules.remind.last()) else { return false };
    let gap = TimeDelta::from_std(*gap).unwrap_or(TimeDelta::MAX);
    let passed = now - heard.at;
    // A clock that went back would silence reminders until it has caught up.
    passed < TimeDelta::zero() || passed >= gap / 100 * GAP_PERCENT
}

#[cfg(test)]
mod tests;
