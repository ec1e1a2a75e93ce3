//! Secrets that were written into a log: told at once, and until they have not been seen for a day.

use std::collections::BTreeMap;

use chrono::Duration;
use shipshape_core::alert::Severity;
use shipshape_core::moment;
use shipshape_core::units::counted;

use super::memory::{Leaked, Memory, float};
use super::words::{LONGEST_NAME, plain};
use super::{Seen, Standing, Verdict, named};
use crate::secrets;
use crate::tally::Leak;

/// How long it stands after it was seen last.
const STANDS_HOURS: i64 = 24;

/// So many different ones of a rule are told each; more are told as one. Where a program logs the token of each request,
/// the tokens are not the news.
const TOLD_ALONE: usize = 3;

/// The verdict on each secret.
pub(super) fn judge(memory: &mut Memory, seen: &Seen<'_>) -> Vec<Verdict> {
    memory.leaks.retain(|_, leak| seen.now - leak.last < Duration::hours(STANDS_HOURS));
    for source in seen.sources {
        for ((rule, fingerprint), leak) in &source.tally.secrets {
            take(memory, (rule, fingerprint), leak, &source.name, seen);
        }
    }
    let mut bad: Vec<&Leaked> = memory.leaks.values().collect();
    bad.sort_by_key(|leak| (std::cmp::Reverse(leak.severity), leak.first));
    let calm = Verdict::own("secret", Severity::Warning, "secret", "logs: secrets leaked");
    named(bad.into_iter().map(verdict).collect(), calm)
}

fn take(memory: &mut Memory, (rule, fingerprint): (&str, &str), leak: &Leak, source: &str, seen: &Seen<'_>) {
    let own = key(rule, Some(fingerprint));
    let is_told = memory.leaks.contains_key(&own);
    let alone = memory.leaks.values().filter(|leak| leak.rule == rule && leak.fingerprint.is_some()).count();
    let fingerprint = (is_told || alone < TOLD_ALONE).then_some(fingerprint);
    let known = memory.leaks.entry(key(rule, fingerprint)).or_insert_with(|| Leaked {
        rule: rule.to_owned(),
        fingerprint: fingerprint.map(str::to_owned),
        severity: secrets::severity(rule),
        first: seen.now,
        last: seen.now,
        count: 0,
        place: place(source, leak),
    });
    known.count = known.count.saturating_add(leak.count);
    known.last = seen.now;
}

fn key(rule: &str, fingerprint: Option<&str>) -> String {
    format!("{rule}/{}", fingerprint.unwrap_or("*"))
}

/// Where a secret is: its source, and the words around it.
pub(crate) fn place(source: &str, leak: &Leak) -> String {
    let source = plain(source, LONGEST_NAME);
    if leak.context.is_empty() { source } else { format!("{source}: {}", plain(&leak.context, LONGEST_NAME)) }
}

fn verdict(leak: &Leaked) -> Verdict {
    let Leaked { rule, fingerprint, severity, first, last, count, place } = leak;
    let (what, id) = match fingerprint {
        Some(fingerprint) => (format!("{rule} {fingerprint}"), format!("secret.{rule}.{fingerprint}")),
        None => (format!("more of {rule}"), format!("secret.{rule}")),
    };
    let times = counted(*count, "time", "times");
    let text = format!("{times} in {place}; first {}, last {}", moment::told(*first), moment::told(*last));
    Verdict::own("secret", *severity, id, format!("logs: a secret leaked ({what})"))
        .about(&what)
        .measured(float(*count), 0.0)
        .stands(Standing::Bad, text)
        .hinted(secrets::advice(rule))
}

/// What was found in this run, the same in several sources once: rule and fingerprint, how often, and where first.
pub(crate) fn of_this_run<'a>(seen: &'a Seen<'_>) -> BTreeMap<(&'static str, &'a str), (u64, String)> {
    let mut found = BTreeMap::new();
    for source in seen.sources {
        for ((rule, fingerprint), leak) in &source.tally.secrets {
            let known: &mut (u64, String) =
                found.entry((*rule, fingerprint.as_str())).or_insert_with(|| (0, place(&source.name, leak)));
            known.0 += leak.count;
        }
    }
    found
}
