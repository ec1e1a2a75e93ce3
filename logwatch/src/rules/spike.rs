//! More errors than usual: those of the last hour of a source, beside what that hour of the day has had in the last week.

use shipshape_core::alert::Severity;

use super::memory::{History, LEARNT, Memory, Usual, hour_of};
use super::words::number;
use super::{Part, Seen, SourceCount, Standing, Verdict, named, until_learnt};

/// So many errors in an hour are no spike, whatever is usual.
const LEAST: f64 = 10.0;

/// How far from the median something is unusual, in median deviations.
const FAR: f64 = 6.0;

/// The median deviation of chance alone, for counts with a median of 1; it grows with the square root. (Half of all values
/// of a normal distribution lie within 0.67 standard deviations, and the variance of a count is its mean.) A source that
/// was as steady as a clock is not at fault by the first error more.
const CHANCE: f64 = 0.67;

/// The verdict on each source that has more errors than usual.
pub(super) fn judge(memory: &Memory, seen: &Seen<'_>) -> Vec<Verdict> {
    let judged = || seen.judged().filter_map(|source| Some((source, memory.sources.get(&source.key)?)));
    let learnt = || judged().filter(|(_, history)| history.is_learnt());
    let mut all: Vec<Verdict> = learnt().map(|(source, history)| verdict(source, history, seen)).collect();
    all.sort_by(|a, b| (b.value - b.threshold).total_cmp(&(a.value - a.threshold)));
    let calm = match all.first() {
        Some(nearest) => Verdict { about: None, ..nearest.clone() },
        None => blank().stands(Standing::Learning, until_learnt(most_hours(memory, seen), LEARNT as u64, "hours")),
    };
    all.retain(Verdict::is_bad);
    named(all, calm)
}

fn most_hours(memory: &Memory, seen: &Seen<'_>) -> u64 {
    let known = seen.sources.iter().filter_map(|source| memory.sources.get(&source.key));
    known.map(History::known_hours).max().unwrap_or(0) as u64
}

fn blank() -> Verdict {
    Verdict::new("spike", Severity::Warning, Part::Errors).measured(0.0, LEAST)
}

fn verdict(source: &SourceCount, history: &History, seen: &Seen<'_>) -> Verdict {
    let errors = history.errors_of_the_last_hour(seen.now);
    let hour = hour_of(seen.now);
    // The hours beside it, too: a nightly job that begins a little later, or by a clock that has been put back for the winter.
    let (most, median) = (hour - 1..=hour + 1).map(|hour| most(history, hour)).fold((LEAST, 0.0), larger);
    let is_bad = errors > most;
    let text = format!("{} errors in the last hour, where {} are usual", number(errors.round()), number(median));
    let state = if is_bad { Standing::Bad } else { Standing::Ok };
    blank().about(&source.name).measured(errors, most).stands(state, text)
}

/// The most errors that this hour of the day has without anything being wrong, and its median.
fn most(history: &History, hour: i64) -> (f64, f64) {
    let of = |usual: &Usual| {
        let deviation = usual.deviation.max(CHANCE * usual.median.sqrt());
        (usual.median + FAR * deviation, usual.median)
    };
    history.usual_errors(hour).iter().map(of).fold((LEAST, 0.0), larger)
}

fn larger(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    (one.0.max(other.0), one.1.max(other.1))
}
