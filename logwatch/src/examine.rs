//! One record after the other: judged, counted, gathered by shape, searched for secrets and the owner's patterns.

use chrono::{DateTime, Utc};
use regex::bytes::Regex;
use shipshape_core::alert::one_line;

use crate::formats::{self, Head, Judgement, Zone};
use crate::level::Level;
use crate::secrets;
use crate::tally::{Leak, MOST_SHAPES, PARTS, SAMPLE, Shape, Tally};
use crate::templates;

/// Of so many records the time is looked for, and after that of one in so many.
const DATED: u64 = 4096;
const DATED_LATER: u64 = 256;

/// How long a sample is at most, in characters.
const LONGEST_SAMPLE: usize = 400;

/// What records are looked at for.
#[derive(Clone, Debug)]
pub(crate) struct Criteria {
    /// Only records at least so grave are told apart by shape; all where there is none.
    pub(crate) told_apart: Option<Level>,
    /// The owner's patterns.
    pub(crate) patterns: Vec<Regex>,
    /// What is not worth counting.
    pub(crate) ignores: Vec<Regex>,
    /// Whether secrets are looked for.
    pub(crate) secrets: bool,
    /// The key of fingerprints.
    pub(crate) key: [u8; 32],
    /// The zone of times that do not say theirs.
    pub(crate) zone: Zone,
    /// When the run began.
    pub(crate) now: DateTime<Utc>,
    /// Records before that time are not looked at.
    pub(crate) not_before: Option<DateTime<Utc>>,
    /// The time that trends are about, from and to.
    pub(crate) trend: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

#[cfg(test)]
impl Criteria {
    /// Everything is looked at for its level and for secrets, on a certain day, and nothing else is asked.
    pub(crate) fn plain() -> Self {
        Self {
            told_apart: None,
            patterns: Vec::new(),
            ignores: Vec::new(),
            secrets: true,
            key: [0; 32],
            zone: Zone::Local,
            now: "2026-11-20T12:00:00Z".parse().unwrap(),
            not_before: None,
            trend: None,
        }
    }
}

/// A record, as it is told to whoever wants to see each.
pub(crate) struct Judged<'a> {
    /// Its bytes.
    pub(crate) record: &'a [u8],
    /// Its lane, empty where there is only one.
    pub(crate) lane: &'a str,
    /// How grave it is, and by which rule.
    pub(crate) judgement: Judgement,
    /// When it was written, where that is known.
    pub(crate) time: Option<DateTime<Utc>>,
    /// Where the message begins.
    pub(crate) message: usize,
    /// Whether the ignore list has it.
    pub(crate) is_ignored: bool,
    /// Whether it holds a secret.
    pub(crate) leaks: bool,
}

/// Whoever wants to see each record.
pub(crate) type Observer<'a> = &'a mut (dyn FnMut(&Judged<'_>) + Send);

/// A record, and what is known of it without looking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Its bytes, without the last line end.
    pub(crate) bytes: &'a [u8],
    /// What its first line says.
    pub(crate) head: Option<Head>,
    /// When it came, where the wire says so.
    pub(crate) time: Option<DateTime<Utc>>,
    /// The level that the wire states.
    pub(crate) level: Option<Level>,
    /// Its lane.
    pub(crate) lane: &'a str,
    /// Its place: piece and offset.
    pub(crate) place: (u64, usize),
    /// Whether a telltale of a secret lies in it.
    pub(crate) may_leak: bool,
    /// Whether a pattern of the owner may lie in it.
    pub(crate) may_match: bool,
}

/// Looks at records, and counts.
pub(crate) struct Examiner<'a> {
    criteria: &'a Criteria,
    observer: Option<Observer<'a>>,
    /// What was counted so far.
    pub(crate) tally: Tally,
}

impl<'a> Examiner<'a> {
    /// Looks by these criteria.
    pub(crate) fn new(criteria: &'a Criteria, observer: Option<Observer<'a>>) -> Self {
        let tally = Tally {
            patterns: vec![(0, None); criteria.patterns.len()],
            ignores: vec![0; criteria.ignores.len()],
            ..Tally::default()
        };
        Self { criteria, observer, tally }
    }

    /// The criteria.
    pub(crate) fn criteria(&self) -> &'a Criteria {
        self.criteria
    }

    /// Counts a record that states this level, and holds neither a telltale nor a pattern, where its level is all that
    /// matters; whether it is. That is so for nearly all records of nearly all logs: what is asked here must cost nothing.
    #[inline]
    pub(crate) fn is_counted(&mut self, level: Level) -> bool {
        let is_enough = Some(level) < self.criteria.told_apart && !self.needs_time();
        if is_enough {
            self.tally.records += 1;
            self.tally.level(Some(level));
            self.tally.errors += u64::from(level.is_error());
        }
        is_enough
    }

    /// Looks at a record.
    pub(crate) fn record(&mut self, entry: &Entry<'_>) {
        let judgement = judge(entry);
        let time = self.time(entry);
        if time.zip(self.criteria.not_before).is_some_and(|(time, from)| time < from) {
            return;
        }
        if let Some(time) = time {
            self.tally.add_span(Some((time, time)));
        }
        self.tally.records += 1;
        self.tally.level(judgement.level);
        let leaks = entry.may_leak && self.leaks(entry);
        let is_grave = judgement.level >= self.criteria.told_apart;
        if entry.may_match {
            self.match_patterns(entry);
        }
        let is_ignored = is_grave && self.is_ignored(entry);
        if is_ignored {
            self.tally.ignored += 1;
        } else {
            self.tally.errors += u64::from(judgement.level.is_some_and(Level::is_error));
            if is_grave {
                self.gather(entry, judgement, time);
            }
        }
        if let Some(observer) = &mut self.observer {
            let message = formats::message(entry.bytes, entry.head.as_ref());
            let Entry { bytes: record, lane, .. } = *entry;
            observer(&Judged { record, lane, judgement, time, message, is_ignored, leaks });
        }
    }

    /// Whether the time of the next record matters: that of each for some, and otherwise of so many that they tell what time
    /// all of them are about.
    #[inline]
    fn needs_time(&self) -> bool {
        let records = self.tally.records;
        records < DATED
            || records.is_multiple_of(DATED_LATER)
            || self.criteria.not_before.is_some()
            || self.criteria.trend.is_some()
            || self.observer.is_some()
    }

    /// When it was written; only looked for where somebody needs it.
    fn time(&self, entry: &Entry<'_>) -> Option<DateTime<Utc>> {
        entry.time.or_else(|| {
            self.needs_time()
                .then(|| formats::time(first_line(entry.bytes), self.criteria.zone, self.criteria.now))
                .flatten()
        })
    }

    /// Counts the secrets in it; whether there are any.
    fn leaks(&mut self, entry: &Entry<'_>) -> bool {
        let found = secrets::find(entry.bytes);
        for found in &found {
            let value = &entry.bytes[found.start..found.end];
            let key = (found.rule, secrets::fingerprint(&self.criteria.key, value));
            let context = templates::mask(entry.bytes, formats::message(entry.bytes, entry.head.as_ref()));
            self.tally.add_leak(key, Leak { count: 1, first: entry.place, context });
        }
        !found.is_empty()
    }

    /// Counts the owner's patterns in it.
    fn match_patterns(&mut self, entry: &Entry<'_>) {
        for (pattern, met) in self.criteria.patterns.iter().zip(&mut self.tally.patterns) {
            if pattern.is_match(entry.bytes) {
                met.0 += 1;
                met.1.get_or_insert_with(|| sample(entry.bytes));
            }
        }
    }

    /// Whether the ignore list has it; counted by its line.
    fn is_ignored(&mut self, entry: &Entry<'_>) -> bool {
        let found = self.criteria.ignores.iter().position(|ignore| ignore.is_match(entry.bytes));
        if let Some(found) = found {
            self.tally.ignores[found] += 1;
        }
        found.is_some()
    }

    /// Counts it under its shape, for whoever wants to see what was said.
    fn gather(&mut self, entry: &Entry<'_>, judgement: Judgement, time: Option<DateTime<Utc>>) {
        let message = formats::message(entry.bytes, entry.head.as_ref());
        let hash = templates::shape(entry.bytes, message);
        let part = self.criteria.trend.zip(time).map(|(trend, time)| part(trend, time));
        let shapes = &mut self.tally.shapes;
        let is_full = shapes.len() >= MOST_SHAPES;
        let Some(shape) = shapes.get_mut(&hash) else {
            if is_full {
                self.tally.other += 1;
                return;
            }
            let sample = templates::excerpt(entry.bytes).into_owned();
            let Judgement { level, rule } = judgement;
            let parts = self.criteria.trend.map(|_| Box::new([0; PARTS]));
            let mut shape = Shape { count: 1, level, first: entry.place, sample, message, rule, parts };
            shape.count_part(part);
            shapes.insert(hash, shape);
            return;
        };
        shape.count += 1;
        shape.level = shape.level.max(judgement.level);
        shape.count_part(part);
    }
}

impl Shape {
    fn count_part(&mut self, part: Option<usize>) {
        if let Some((parts, part)) = self.parts.as_mut().zip(part) {
            parts[part] = parts[part].saturating_add(1);
        }
    }
}

/// How grave it is. What a program says of itself counts more than what carried it: journald calls all that a program
/// prints informational.
fn judge(entry: &Entry<'_>) -> Judgement {
    match (entry.head.and_then(|head| head.level), entry.level) {
        // What the program says of itself counts more than what carried it, and that more than words.
        (None, Some(level)) => Judgement { level: Some(level), rule: "wire.level" },
        _ => formats::judge(entry.bytes, entry.head.as_ref()),
    }
}

/// Into which part of the trend's time a moment falls.
fn part((from, to): (DateTime<Utc>, DateTime<Utc>), time: DateTime<Utc>) -> usize {
    let whole = (to - from).num_milliseconds().max(1);
    let passed = (time - from).num_milliseconds().clamp(0, whole - 1);
    let parts = i64::try_from(PARTS).unwrap_or(1);
    usize::try_from(passed * parts / whole).unwrap_or(0).min(PARTS - 1)
}

/// A record's first line.
pub(crate) fn first_line(record: &[u8]) -> &[u8] {
    record.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// The beginning of a record as text for people: without secrets, bounded, on one line.
pub(crate) fn sample(record: &[u8]) -> String {
    let bounded = &record[..record.len().min(SAMPLE)];
    let text = String::from_utf8_lossy(bounded);
    let text = secrets::redacted(&text);
    one_line(text.lines().next().unwrap_or_default(), LONGEST_SAMPLE)
}
