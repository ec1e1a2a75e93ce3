//! Too many errors: in a run, in ten minutes, among a hundred records.

use chrono::Duration;
use shipshape_core::alert::Severity;
use shipshape_core::units::counted;

use super::memory::{Memory, float};
use super::words::{number, spoken};
use super::{Part, Seen, Settings, SourceCount, Standing, Verdict};

/// The most errors in ten minutes, unless said.
pub(super) const MAX_RATE: f64 = 10.0;

/// Fewer errors among a hundred records are no rate that counts: a busy program has some.
const RATE_RATIO: f64 = 1.0;

/// The most errors among a hundred records, unless said.
pub(super) const MAX_RATIO: f64 = 5.0;

/// Fewer records than that say nothing about how many of them are errors.
const ENOUGH_RECORDS: u64 = 100;

/// The time that a rate is about. A shorter look is taken for one of that length: one error in a second is no storm.
const RATE_MINUTES: i64 = 10;

/// The verdicts of `rate` and `ratio`. To be asked before this look is remembered: memory knows how long ago the last one was.
pub(super) fn judge(settings: &Settings, memory: &Memory, seen: &Seen<'_>) -> [Verdict; 2] {
    let errors = seen.judged().map(|source| source.tally.errors).sum();
    let records = seen.judged().map(|source| source.tally.records).sum();
    let verdicts = [rate(settings, memory, seen, (errors, records)), ratio(settings, errors, records)];
    if seen.judged().next().is_some() {
        return verdicts;
    }
    verdicts.map(|verdict| verdict.stands(Standing::Learning, "the first look is told and not judged"))
}

/// How long the time is that a source's counts are about: since the last look, or what its records themselves say where that
/// is more, as of a file that is read from its beginning.
fn span(source: &SourceCount, memory: &Memory, seen: &Seen<'_>) -> Duration {
    let known = memory.sources.get(&source.key).filter(|_| !source.is_first);
    let looked = known.map_or(seen.span, |history| history.span(seen.now, seen.span));
    source.tally.span.map_or(looked, |(from, to)| looked.max(to - from))
}

fn rate(settings: &Settings, memory: &Memory, seen: &Seen<'_>, (errors, records): (u64, u64)) -> Verdict {
    let verdict = Verdict::new("rate", Severity::Critical, Part::Errors);
    let told = counted(errors, "error", "errors");
    if let Some(most) = settings.max_errors() {
        let text = format!("{told} in this run, where {most} are the most");
        return verdict.measured(float(errors), float(most)).stands(standing(errors > most), text);
    }
    let most = settings.section.max_rate.unwrap_or(MAX_RATE);
    let least = Duration::minutes(RATE_MINUTES);
    // Each source by its own time: one that nobody looked at for days must not thin out the errors of the others.
    let is_dated = seen.judged().all(|source| source.tally.errors == 0 || !span(source, memory, seen).is_zero());
    if !is_dated {
        let text = format!("{told}, of which nobody knows the time");
        return verdict.measured(float(errors), most).stands(Standing::Learning, text);
    }
    let of = |source| float_of_seconds(least) / float_of_seconds(span(source, memory, seen).max(least));
    let rate = seen.judged().map(|source| float(source.tally.errors) * of(source)).sum();
    let is_bad = rate > most && percent(errors, records) > RATE_RATIO;
    let longest = seen.judged().map(|source| span(source, memory, seen)).max().unwrap_or(least);
    let most_told = format!("in ten minutes, where {} are the most", number(most));
    let text = if longest > least {
        format!("{told} in {}: {} {most_told}", spoken(longest), number(rate))
    } else {
        format!("{told} {most_told}")
    };
    verdict.measured(rate, most).stands(standing(is_bad), text)
}

fn float_of_seconds(span: Duration) -> f64 {
    float(span.num_seconds().unsigned_abs())
}

fn ratio(settings: &Settings, errors: u64, records: u64) -> Verdict {
    let most = settings.section.max_ratio.unwrap_or(MAX_RATIO);
    let percent = percent(errors, records);
    // Who has said how many errors are too many means that, and nothing beside it that was not said.
    let is_asked = settings.section.max_ratio.is_some() || settings.max_errors().is_none();
    let is_bad = is_asked && records >= ENOUGH_RECORDS && percent > most;
    let text = format!("{} % of {records} records are errors, where {} % are the most", number(percent), number(most));
    Verdict::new("ratio", Severity::Critical, Part::Errors).measured(percent, most).stands(standing(is_bad), text)
}

fn standing(is_bad: bool) -> Standing {
    if is_bad { Standing::Bad } else { Standing::Ok }
}

fn percent(errors: u64, records: u64) -> f64 {
    if records == 0 { 0.0 } else { float(errors) * 100.0 / float(records) }
}
