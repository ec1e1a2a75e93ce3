//! The report for programs. Lists are bounded; `more` says how much of each is left out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Told, gap_bytes, template_id};
use crate::level::Level;
use crate::rules::{self, Counted, SourceCount, plain};
use crate::secrets;

/// How many entries a list has.
const MOST: usize = 100;

/// How many characters a text has.
const LONGEST: usize = 400;

/// The report's data. Counts are of this run; times are those that records state.
pub(crate) fn data(told: &Told<'_>) -> Value {
    let seen = told.seen;
    let found = rules::secrets_of(seen);
    let gaps = seen.sources.iter().flat_map(|source| source.gaps.iter().map(move |gap| (source, gap)));
    let span = told.span();
    json!({
        "lines": told.sum(|source| source.tally.lines),
        "records": told.sum(|source| source.tally.records),
        "errors": told.sum(|source| source.tally.errors),
        "bytes": told.sum(|source| source.tally.bytes),
        "by_level": by_level(told),
        "ignored": told.sum(|source| source.tally.ignored),
        "repeated": told.sum(|source| source.tally.repeated),
        "cut_lines": told.sum(|source| source.tally.cut_lines),
        "garbage": told.sum(|source| source.tally.garbage),
        "first": !seen.sources.is_empty() && seen.sources.iter().all(|source| source.is_first),
        "from": span.map(|span| span.0),
        "to": span.map(|span| span.1),
        "sources": seen.sources.iter().take(MOST).map(|one| source(told, one)).collect::<Vec<_>>(),
        "templates": seen.templates.iter().take(MOST).map(|one| template(told, one)).collect::<Vec<_>>(),
        "secrets": found.iter().take(MOST).map(secret).collect::<Vec<_>>(),
        "gaps": gaps.clone().take(MOST).map(|(source, gap)| json!({
            "source": plain(&source.name, LONGEST), "bytes": gap.bytes, "why": plain(&gap.why, LONGEST),
        })).collect::<Vec<_>>(),
        "rules": told.verdicts.iter().take(MOST).collect::<Vec<_>>(),
        "more": {
            "sources": more(seen.sources.len()),
            "templates": more(seen.templates.len()),
            "records_without_template": told.sum(|source| source.tally.other),
            "secrets": more(found.len()),
            "secrets_not_told_apart": told.sum(|source| source.tally.more_secrets),
            "gaps": more(gaps.count()),
            "rules": more(told.verdicts.len()),
        },
    })
}

fn more(entries: usize) -> usize {
    entries.saturating_sub(MOST)
}

fn by_level(told: &Told<'_>) -> BTreeMap<&'static str, u64> {
    let mut levels = BTreeMap::new();
    for (level, count) in told.seen.sources.iter().flat_map(|source| source.tally.by_level()) {
        *levels.entry(level).or_insert(0) += count;
    }
    levels
}

fn source(told: &Told<'_>, source: &SourceCount) -> Value {
    let tally = &source.tally;
    json!({
        "name": plain(&source.name, LONGEST),
        "lines": tally.lines,
        "records": tally.records,
        "errors": tally.errors,
        "bytes": tally.bytes,
        "gap_bytes": gap_bytes(source),
        "gaps": source.gaps.len(),
        "ignored": tally.ignored,
        "repeated": tally.repeated,
        "cut_lines": tally.cut_lines,
        "garbage": tally.garbage,
        "first": source.is_first,
        "undated": source.is_undated,
        "judged": told.seen.is_judged(source),
        "from": tally.span.map(|span| span.0),
        "to": tally.span.map(|span| span.1),
    })
}

fn template(told: &Told<'_>, counted: &Counted) -> Value {
    let known = told.seen.known.get(counted.id);
    json!({
        "id": template_id(counted.id),
        "count": counted.count,
        "level": Level::told(known.and_then(|known| known.level)),
        "template": known.map(|known| plain(&known.text, LONGEST)),
        "sample": plain(&counted.sample, LONGEST),
        "new": counted.is_new,
        "source": plain(&counted.source, LONGEST),
        "judged_by": counted.rule,
    })
}

fn secret((&(rule, fingerprint), (count, place)): (&(&'static str, &str), &(u64, String))) -> Value {
    let severity = secrets::severity(rule);
    let advice = secrets::advice(rule);
    json!({
        "rule": rule, "count": count, "fingerprint": fingerprint, "where": place, "severity": severity, "advice": advice,
    })
}
