//! A source that says nothing any more: its program hangs, or logs to somewhere else.

use chrono::{DateTime, Duration, Utc};
use shipshape_core::alert::Severity;
use shipshape_core::moment;
use shipshape_core::units::counted;

use super::memory::{History, LEARNT, Memory, hour_of, time_of};
use super::words::{LONGEST_NAME, part_of_an_id};
use super::{Seen, Standing, Verdict, commands, named, plain, until_learnt};

/// So many looks in a row must have found no line.
const QUIET_LOOKS: u32 = 3;

/// So many lines must have been due in that time: a program that speaks once an hour is not silent after half of one.
const DUE_LINES: f64 = 10.0;

/// How long it stands when runs do not look at the source any more.
const UNSEEN_HOURS: i64 = 24;

/// Takes note of how many lines a look has found.
pub(super) fn note(history: &mut History, now: DateTime<Utc>, span: Duration, lines: u64) {
    if lines > 0 {
        (history.quiet, history.quiet_since, history.is_silent) = (0, None, false);
        return;
    }
    history.quiet = history.quiet.saturating_add(1);
    let since = *history.quiet_since.get_or_insert(now - span);
    let is_long = history.quiet >= QUIET_LOOKS && history.is_learnt() && due(history, since, now) >= DUE_LINES;
    // Once silent, it is so until it speaks: that it is night, or that what was usual is forgotten, ends nothing.
    history.is_silent |= is_long;
}

/// How many lines are usual in this time, by the least of each hour and those beside it.
fn due(history: &History, since: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    let least = |hour: i64| {
        let beside = (hour - 1..=hour + 1).map(|hour| history.usual_lines(hour));
        beside.fold(f64::INFINITY, f64::min)
    };
    let part = |hour: i64| {
        let within = now.min(time_of(hour + 1)) - since.max(time_of(hour));
        f64::from(i32::try_from(within.num_seconds()).unwrap_or(0)) / 3600.0
    };
    // More than a day of silence says no more than a day.
    let from = hour_of(since).max(hour_of(now) - 24);
    (from..=hour_of(now)).map(|hour| least(hour) * part(hour)).sum()
}

/// The verdict on each source that has gone silent.
pub(super) fn judge(memory: &Memory, seen: &Seen<'_>) -> Vec<Verdict> {
    let is_recent =
        |history: &History| history.last.is_some_and(|last| seen.now - last < Duration::hours(UNSEEN_HOURS));
    // A run by hand over one file says nothing about the others: they stand as they did.
    let silent = memory.sources.iter().filter(|(_, history)| history.is_silent && is_recent(history));
    let bad = silent.map(|(key, history)| verdict(key, history)).collect();
    let learnt = memory.sources.values().any(History::is_learnt);
    let most = memory.sources.values().map(History::known_hours).max().unwrap_or(0) as u64;
    let calm = Verdict::own("silence", Severity::Warning, "silence", "logs: sources are silent");
    let calm = calm.measured(0.0, f64::from(QUIET_LOOKS));
    let calm = if learnt { calm } else { calm.stands(Standing::Learning, until_learnt(most, LEARNT as u64, "hours")) };
    named(bad, calm)
}

fn verdict(key: &str, history: &History) -> Verdict {
    let show = commands::show(key, &history.name).map(|show| format!(" {show}")).unwrap_or_default();
    let name = plain(&history.name, LONGEST_NAME);
    let id = format!("silence.{}", part_of_an_id(&history.name));
    let since = history.quiet_since.map(|since| format!(" since {}", moment::told(since))).unwrap_or_default();
    let looks = counted(u64::from(history.quiet), "look", "looks");
    let text = format!("no line{since}, in {looks} in a row; at this time of the day there are some");
    Verdict::own("silence", Severity::Warning, id, format!("logs: {name} is silent"))
        .about(&history.name)
        .measured(f64::from(history.quiet), f64::from(QUIET_LOOKS))
        .stands(Standing::Bad, text)
        .hinted(format!("does its program run, and does it still log there?{show}"))
}
