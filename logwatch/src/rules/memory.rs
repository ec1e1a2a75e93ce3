//! What the rules remember: each source by the hour for a week, kinds of errors that are new, secrets that leaked.
//!
//! Hours are those of UTC, which has none that repeat or are missing. All of it is bounded, and each part may be missing in
//! what is read back.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use shipshape_core::alert::Severity;

/// How far back hours are remembered.
const WEEK_HOURS: i64 = 7 * 24;

/// Of how many hours something must be known before anything is said about what is usual.
pub(super) const LEARNT: usize = 24;

/// An hour counts as known when so many of its seconds were looked at.
const KNOWN_SECONDS: u32 = 1800;

/// How many looks of the last hour are told apart; what comes beyond is joined.
const MOST_LOOKS: usize = 64;

/// How many sources are remembered.
const MOST_SOURCES: usize = 512;

/// What the rules remember from run to run. Bounded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// By the sources' keys.
    pub(super) sources: BTreeMap<String, History>,
    /// Kinds of errors that nobody has seen before, by their templates' numbers.
    pub(super) fresh: BTreeMap<u32, Fresh>,
    /// Secrets, by rule and fingerprint.
    pub(super) leaks: BTreeMap<String, Leaked>,
    /// When each line of the ignore list was met last, by a hash of it; before that, when it was seen in the list first.
    pub(super) ignores: BTreeMap<String, DateTime<Utc>>,
}

/// What is known of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct History {
    /// Its name.
    pub(super) name: String,
    /// When it was looked at last.
    pub(super) last: Option<DateTime<Utc>>,
    /// The hours of the last week, in growing order.
    hours: Vec<Hour>,
    /// The looks of the last hour, in growing order.
    looks: Vec<Look>,
    /// How many looks in a row have found no line.
    pub(super) quiet: u32,
    /// Since when there is no line.
    pub(super) quiet_since: Option<DateTime<Utc>>,
    /// Whether it has been told that it is silent.
    pub(super) is_silent: bool,
}

/// One hour: its number since 1970, how many of its seconds were looked at, errors, lines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hour(i64, u32, u64, u64);

/// One look: from when to when, and the errors in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Look(DateTime<Utc>, DateTime<Utc>, u64);

/// A kind of error that is new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fresh {
    /// When it came first.
    pub(super) first: DateTime<Utc>,
    /// When it came last.
    pub(super) last: DateTime<Utc>,
    /// How often it has come.
    pub(super) hits: u64,
    /// With which other one it was told: kinds that are told together are over together.
    #[serde(default)]
    pub(super) told_with: Option<u32>,
}

/// A secret that leaked, or all others of its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Leaked {
    /// The rule that found it.
    pub(super) rule: String,
    /// Its fingerprint; none for those of which there are too many to tell each.
    pub(super) fingerprint: Option<String>,
    /// How bad it is.
    pub(super) severity: Severity,
    /// When it was met first.
    pub(super) first: DateTime<Utc>,
    /// When it was met last.
    pub(super) last: DateTime<Utc>,
    /// How often.
    pub(super) count: u64,
    /// Where, the first time.
    pub(super) place: String,
}

/// What is usual in an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// The median.
    pub(super) median: f64,
    /// The median of what differs from it.
    pub(super) deviation: f64,
}

impl Memory {
    /// Brings what lies in the future back to now, for a clock that went back; forgets sources beyond what is bounded.
    pub(super) fn tidy(&mut self, now: DateTime<Utc>) {
        for fresh in self.fresh.values_mut() {
            (fresh.first, fresh.last) = (fresh.first.min(now), fresh.last.min(now));
        }
        for leak in self.leaks.values_mut() {
            (leak.first, leak.last) = (leak.first.min(now), leak.last.min(now));
        }
        self.ignores.values_mut().for_each(|last| *last = (*last).min(now));
        self.sources.values_mut().for_each(|history| history.tidy(now));
        while self.sources.len() > MOST_SOURCES {
            let oldest = self.sources.iter().min_by_key(|(_, history)| history.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.sources.remove(&key));
        }
    }

    /// Forgets sources of which nothing is kept any more.
    pub(crate) fn forget_sources(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.sources.retain(|key, _| is_kept(key));
    }
}

impl History {
    fn tidy(&mut self, now: DateTime<Utc>) {
        self.last = self.last.map(|last| last.min(now));
        self.quiet_since = self.quiet_since.map(|since| since.min(now));
        self.looks.retain(|look| look.0 <= now && look.1 <= now && look.1 > now - Duration::hours(1));
        let now = hour_of(now);
        self.hours.retain(|hour| (now - WEEK_HOURS..=now).contains(&hour.0));
    }

    /// How long the time is that a look at it is about: what has passed since the last one, or `first` for the first one.
    pub(super) fn span(&self, now: DateTime<Utc>, first: Duration) -> Duration {
        let span = self.last.map_or(first, |last| now - last);
        span.clamp(Duration::zero(), Duration::hours(WEEK_HOURS))
    }

    /// Takes in a look that ended now: what came in it is spread evenly over its hours.
    pub(super) fn add(&mut self, now: DateTime<Utc>, span: Duration, errors: u64, lines: u64) {
        let from = now - span;
        if self.looks.len() >= MOST_LOOKS {
            let Look(_, end, oldest) = self.looks.remove(0);
            if let Some(next) = self.looks.first_mut() {
                (next.0, next.2) = (next.0.min(end), next.2.saturating_add(oldest));
            }
        }
        self.looks.push(Look(from, now, errors));
        for hour in hour_of(from)..=hour_of(now) {
            let start = from.max(time_of(hour));
            let end = now.min(time_of(hour + 1));
            let seconds = u32::try_from((end - start).num_seconds()).unwrap_or(0);
            let share = |count| share(count, start - from, span).abs_diff(share(count, end - from, span));
            let (errors, lines) = if span.is_zero() { (errors, lines) } else { (share(errors), share(lines)) };
            self.add_hour(Hour(hour, seconds, errors, lines));
        }
        self.tidy(now);
    }

    fn add_hour(&mut self, new: Hour) {
        match self.hours.binary_search_by_key(&new.0, |hour| hour.0) {
            Ok(at) => {
                let Hour(_, seconds, errors, lines) = &mut self.hours[at];
                *seconds = seconds.saturating_add(new.1).min(3600);
                *errors = errors.saturating_add(new.2);
                *lines = lines.saturating_add(new.3);
            }
            Err(at) => self.hours.insert(at, new),
        }
    }

    /// The errors of the hour before now.
    pub(super) fn errors_of_the_last_hour(&self, now: DateTime<Utc>) -> f64 {
        let from = now - Duration::hours(1);
        let part = |Look(start, end, errors): &Look| {
            let whole = (*end - *start).num_milliseconds().max(1);
            let within = (*end - (*start).max(from)).num_milliseconds().clamp(0, whole);
            let is_moment = *end == *start;
            if is_moment { float(*errors) } else { float(*errors) * ratio(within, whole) }
        };
        self.looks.iter().map(part).sum()
    }

    /// Of how many hours enough is known.
    pub(super) fn known_hours(&self) -> usize {
        self.hours.iter().filter(|hour| hour.1 >= KNOWN_SECONDS).count()
    }

    /// Whether enough is known to say what is usual.
    pub(super) fn is_learnt(&self) -> bool {
        self.known_hours() >= LEARNT
    }

    /// How many errors are usual at this hour of the day: by the same hour of the last week's days, and where few of them are
    /// known, by all hours as well. None where nothing is known.
    pub(super) fn usual_errors(&self, hour: i64) -> Vec<Usual> {
        let (same, all) = self.usual(hour, |hour| hour.2);
        same.into_iter().chain(all).collect()
    }

    /// How many lines this hour of the day has at least, by half of the days; 0 where it was never seen before.
    pub(super) fn usual_lines(&self, hour: i64) -> f64 {
        match self.usual(hour, |hour| hour.3) {
            (None, _) => 0.0,
            (Some(same), all) => all.map_or(same.median, |all| all.median.min(same.median)),
        }
    }

    /// By the same hour, and, where few days are known, by all.
    fn usual(&self, hour: i64, what: fn(&Hour) -> u64) -> (Option<Usual>, Option<Usual>) {
        /// From so many days on, the hour of the day speaks for itself.
        const ENOUGH_DAYS: usize = 3;
        let before = || self.hours.iter().filter(|known| known.1 >= KNOWN_SECONDS && known.0 < hour);
        let scaled = |known: &Hour| float(what(known)) * 3600.0 / f64::from(known.1);
        let same: Vec<f64> = before().filter(|known| (hour - known.0) % 24 == 0).map(scaled).collect();
        let all = if same.len() < ENOUGH_DAYS { before().map(scaled).collect() } else { Vec::new() };
        (Usual::of(same), Usual::of(all))
    }
}

impl Usual {
    fn of(mut samples: Vec<f64>) -> Option<Self> {
        let middle = median(&mut samples)?;
        for sample in &mut samples {
            *sample = (*sample - middle).abs();
        }
        Some(Self { median: middle, deviation: median(&mut samples)? })
    }
}

/// How much of a count belongs to the first `part` of a span.
fn share(count: u64, part: Duration, span: Duration) -> u64 {
    let (part, span) = (part.num_milliseconds().max(0), span.num_milliseconds().max(1));
    let share = u128::from(count) * u128::from(part.unsigned_abs()) / u128::from(span.unsigned_abs());
    u64::try_from(share).unwrap_or(count).min(count)
}

/// The number of the hour in which a moment lies.
pub(super) fn hour_of(time: DateTime<Utc>) -> i64 {
    time.timestamp().div_euclid(3600)
}

/// When an hour begins.
pub(super) fn time_of(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(hour.saturating_mul(3600), 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// The middle one. Of an even number the upper one, so that what is usual is something that was there.
fn median(samples: &mut [f64]) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

fn ratio(part: i64, whole: i64) -> f64 {
    float(part.unsigned_abs()) / float(whole.unsigned_abs().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn hours(history: &History) -> Vec<(i64, u64)> {
        history.hours.iter().map(|hour| (hour.0 - hour_of(at("2026-11-20T00:00:00Z")), hour.2)).collect()
    }

    #[test]
    fn what_came_in_a_look_is_spread_over_its_hours_and_nothing_is_lost() {
        let mut history = History::default();
        history.add(at("2026-11-20T02:05:00Z"), Duration::minutes(10), 3, 0);
        assert_eq!(hours(&history), [(1, 1), (2, 2)]);
        history.add(at("2026-11-20T05:00:00Z"), Duration::hours(3), 7, 0);
        assert_eq!(hours(&history).iter().map(|hour| hour.1).sum::<u64>(), 10);
    }

    #[test]
    fn an_hour_of_which_little_was_seen_is_no_sample() {
        let mut history = History::default();
        for day in 1..=3 {
            history.add(at(&format!("2026-11-{day:02}T10:20:00Z")), Duration::minutes(20), 500, 0);
            history.add(at(&format!("2026-11-{day:02}T12:00:00Z")), Duration::minutes(40), 40, 0);
        }
        let usual = |hour: &str| history.usual_errors(hour_of(at(hour)))[0].median;
        assert!((usual("2026-11-04T11:30:00Z") - 60.0).abs() < 0.01, "forty in forty minutes are sixty in an hour");
        assert!((usual("2026-11-04T10:30:00Z") - 60.0).abs() < 0.01, "the hour that was hardly seen says nothing");
    }

    #[test]
    fn a_clock_that_went_back_leaves_nothing_in_the_future() {
        let mut memory = Memory::default();
        let history = memory.sources.entry("x".to_owned()).or_default();
        history.add(at("2030-01-01T00:00:00Z"), Duration::minutes(10), 9, 9);
        history.last = Some(at("2030-01-01T00:00:00Z"));
        let now = at("2026-11-20T02:00:00Z");
        memory.tidy(now);
        let history = &memory.sources["x"];
        assert_eq!((history.last, history.hours.len(), history.looks.len()), (Some(now), 0, 0));
    }

    #[test]
    fn a_memory_of_another_version_is_read_as_far_as_it_goes() {
        let memory: Memory =
            serde_json::from_str(r#"{"sources":{"file:x":{"quiet":2,"novel":[1]}},"more":1}"#).unwrap();
        assert_eq!(memory.sources["file:x"].quiet, 2);
        assert_eq!(serde_json::from_str::<Memory>("{}").unwrap(), Memory::default());
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut memory = Memory::default();
        for source in 0..i64::try_from(MOST_SOURCES).unwrap() + 3 {
            let last = Some(at("2026-11-20T02:00:00Z") + Duration::seconds(source));
            memory.sources.insert(source.to_string(), History { last, ..History::default() });
        }
        memory.tidy(at("2026-11-21T02:00:00Z"));
        assert_eq!(memory.sources.len(), MOST_SOURCES);
        assert!(!memory.sources.contains_key("2") && memory.sources.contains_key("3"), "the oldest ones go");
    }

    proptest! {
        #[test]
        fn any_looks_stay_bounded_and_count_all_that_came(
            looks in prop::collection::vec((0i64..2_000_000_000, 0i64..2_000_000, 0u64..1_000_000), 0..40),
        ) {
            let mut history = History::default();
            for (now, span, errors) in looks {
                let (now, span) = (DateTime::from_timestamp(now, 0).unwrap(), Duration::seconds(span));
                let before: u64 = history.hours.iter().map(|hour| hour.2).sum();
                let mut alone = History::default();
                alone.add(now, span.min(Duration::hours(WEEK_HOURS)), errors, 0);
                prop_assert_eq!(alone.hours.iter().map(|hour| hour.2).sum::<u64>(), errors);
                history.add(now, span.min(Duration::hours(WEEK_HOURS)), errors, errors);
                prop_assert!(history.hours.len() <= 7 * 24 + 1 && history.looks.len() <= MOST_LOOKS + 1);
                prop_assert!(history.errors_of_the_last_hour(now).is_finite() && before < u64::MAX);
                prop_assert!(history.usual_errors(hour_of(now)).iter().all(|usual| usual.median.is_finite()));
            }
        }
    }
}
