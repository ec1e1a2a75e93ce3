//! What somebody should look at though the run did its work.

use shipshape_core::report::Notice;
use shipshape_core::units::{ByteSize, counted};

use super::{Told, gap_bytes};
use crate::rules::{LONGEST_NAME, SourceCount};
use crate::rules::{day, plain};

/// Where more than one line in so many is no text, the source is no log. A few are the leftovers of a crash.
const GARBAGE_PART: u64 = 10;

/// The warnings of a report.
pub(crate) fn notices(told: &Told<'_>) -> Vec<Notice> {
    let sources = told.seen.sources.iter();
    let gaps = sources.clone().filter(|source| !source.gaps.is_empty()).map(gap);
    let garbage = sources.filter(|source| is_garbage(source)).map(garbage);
    gaps.chain(garbage).chain(expired(told)).collect()
}

fn gap(source: &SourceCount) -> Notice {
    let mut reasons: Vec<String> = source.gaps.iter().map(|gap| plain(&gap.why, LONGEST_NAME)).collect();
    reasons.sort();
    reasons.dedup();
    let size = match gap_bytes(source) {
        0 => "nobody knows how much".to_owned(),
        bytes if source.gaps.iter().any(|gap| gap.bytes.is_none()) => format!("{} or more", ByteSize(bytes)),
        bytes => ByteSize(bytes).to_string(),
    };
    let message = format!("lines of {} are gone unread: {} ({size})", name(source), reasons.join(", "));
    Notice::new("source.gap", message, "run more often, or keep more of it: logwatch audit says how")
}

fn is_garbage(source: &SourceCount) -> bool {
    source.tally.garbage > source.tally.lines / GARBAGE_PART
}

fn garbage(source: &SourceCount) -> Notice {
    let lines = counted(source.tally.garbage, "line", "lines");
    let message = format!("{lines} of {} in {} are no text", source.tally.lines, name(source));
    Notice::new("source.garbage", message, "is it a log? a compressed or binary file is read by its own tool")
}

fn expired<'a>(told: &'a Told<'_>) -> impl Iterator<Item = Notice> + 'a {
    told.settings.compiled.expired.iter().map(|expired| {
        let (pattern, reason) = (plain(&expired.pattern, LONGEST_NAME), plain(&expired.reason, LONGEST_NAME));
        let message = format!("`{pattern}` is ignored no more since {} ({reason})", day(expired.until));
        Notice::new("rule.expired", message, "remove it from [[logwatch.ignore]], or give it another day")
    })
}

fn name(source: &SourceCount) -> String {
    plain(&source.name, LONGEST_NAME)
}
