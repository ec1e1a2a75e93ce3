//! The report for people: the worst first, and little where nothing is wrong.

use shipshape_core::units::{ByteSize, counted};

use super::{Told, gap_bytes, notices, template_id};
use crate::rules::{self, Counted, LONGEST_NAME, SourceCount, Standing, Verdict, plain};

/// How many sources are shown.
const MOST_SOURCES: usize = 15;

/// How many templates are shown.
const MOST_TEMPLATES: usize = 5;

/// How many verdicts are shown.
const MOST_VERDICTS: usize = 20;

/// How wide a line of a log is shown, in characters.
const LONGEST_LINE: usize = 110;

/// The first line: `3 errors in 12408 records of 2 sources; bad: new t17, silence queue-1`.
///
/// That all is well is said only of a run that nobody has to look at: one that found no error, and read and kept everything.
pub(crate) fn summary(told: &Told<'_>) -> String {
    let errors = told.sum(|source| source.tally.errors);
    let records = counted(told.sum(|source| source.tally.records), "record", "records");
    let sources = counted(told.seen.sources.len() as u64, "source", "sources");
    let is_judged = told.unjudged().count() < told.seen.sources.len();
    let is_within = errors > 0 && is_judged && told.bad().is_empty();
    let mut parts = vec![format!(
        "{} in {records} of {sources}{}",
        counted(errors, "error", "errors"),
        if is_within { ", within the limits" } else { "" },
    )];
    parts.extend(standing(told, is_judged));
    if parts.len() == 1 && errors == 0 {
        parts.push("all is well".to_owned());
    }
    parts.join("; ")
}

/// Why somebody should look at a run, in a few words each; nothing where nobody has to.
fn standing(told: &Told<'_>, is_judged: bool) -> Vec<String> {
    let bad: Vec<String> = told.bad().into_iter().map(called).collect();
    let lossy = told.seen.sources.iter().filter(|source| !source.gaps.is_empty());
    let lossy: Vec<&str> = lossy.map(|source| source.name.as_str()).collect();
    let unjudged: Vec<&str> = told.unjudged().map(|source| source.name.as_str()).collect();
    let warnings = told.warned + notices(told).len();
    let mut parts = Vec::new();
    if !bad.is_empty() {
        parts.push(format!("bad: {}", some(&bad)));
    } else if !lossy.is_empty() {
        parts.push(format!("lines lost: {}", some(&lossy)));
    } else if !told.seen.sources.is_empty() && !is_judged {
        parts.push("a first look, not judged".to_owned());
    } else if !unjudged.is_empty() {
        parts.push(format!("not judged: {}", some(&unjudged)));
    }
    if !told.unread.is_empty() {
        parts.push(format!("not read: {}", some(told.unread)));
    }
    if !told.is_kept {
        parts.push("not remembered".to_owned());
    }
    if warnings > 0 && parts.is_empty() {
        parts.push(counted(warnings as u64, "warning", "warnings"));
    }
    parts
}

/// Some of these names; a summary is one line.
fn some<S: AsRef<str>>(names: &[S]) -> String {
    /// How many are named.
    const NAMED: usize = 4;
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let told: Vec<String> = names.iter().take(NAMED).map(|name| plain(name.as_ref(), LONGEST_NAME)).collect();
    format!("{}{more}", told.join(", "))
}

/// A verdict's rule and what it is about: `silence application-1`.
fn called(verdict: &Verdict) -> String {
    match &verdict.about {
        Some(about) => format!("{} {about}", verdict.rule),
        None => verdict.rule.clone(),
    }
}

/// What stands below the first line.
pub(crate) fn text(told: &Told<'_>) -> String {
    let bad = told.bad();
    let has_gaps = told.seen.sources.iter().any(|source| !source.gaps.is_empty());
    if bad.is_empty() && !has_gaps && told.sum(|source| source.tally.errors) == 0 {
        return notes(told).join("; ");
    }
    let mut lines: Vec<String> = bad.iter().take(MOST_VERDICTS).flat_map(|verdict| verdict_lines(verdict)).collect();
    lines.extend(sources(&told.seen.sources.iter().collect::<Vec<_>>()));
    lines.extend(templates(told));
    lines.extend(notes(told));
    lines.join("\n")
}

fn verdict_lines(verdict: &Verdict) -> Vec<String> {
    let mut lines = vec![format!("{:8} {}: {}", verdict.severity.word(), called(verdict), verdict.text)];
    if !verdict.hint.is_empty() {
        lines.push(format!("         hint: {}", verdict.hint));
    }
    lines
}

/// A table of the sources, those with errors first.
fn sources(sources: &[&SourceCount]) -> Vec<String> {
    let mut sources = sources.to_vec();
    sources.sort_by_key(|source| std::cmp::Reverse((source.tally.errors, gap_bytes(source), source.tally.lines)));
    let shown: Vec<(String, &SourceCount)> =
        sources.iter().take(MOST_SOURCES).map(|source| (plain(&source.name, LONGEST_NAME), *source)).collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = shown.iter().map(|(name, source)| source_line(name, width, source)).collect();
    if sources.len() > MOST_SOURCES {
        lines.push(format!("… and {} more sources", sources.len() - MOST_SOURCES));
    }
    lines
}

fn source_line(name: &str, width: usize, source: &SourceCount) -> String {
    let tally = &source.tally;
    let lost = match (source.gaps.is_empty(), gap_bytes(source)) {
        (true, _) => String::new(),
        (false, 0) => ", some lines lost".to_owned(),
        (false, bytes) => format!(", {} lost", ByteSize(bytes)),
    };
    let ignored = if tally.ignored > 0 { format!(", {} ignored", tally.ignored) } else { String::new() };
    let errors = counted(tally.errors, "error", "errors");
    format!("{name:width$}  {:>14}  {errors:>12}{ignored}{lost}", counted(tally.lines, "line", "lines"))
}

/// The templates of errors, each with a sample below it.
fn templates(told: &Told<'_>) -> Vec<String> {
    told.seen.errors().take(MOST_TEMPLATES).flat_map(|counted| template_lines(told, counted)).collect()
}

fn template_lines(told: &Told<'_>, counted: &Counted) -> [String; 2] {
    let known = told.seen.known.get(counted.id);
    let words = known.map(|known| plain(&known.text, LONGEST_LINE)).unwrap_or_default();
    // As long as everything is new, that something is says nothing.
    let is_learning = told.verdicts.iter().any(|verdict| verdict.rule == "new" && verdict.state == Standing::Learning);
    let new = if counted.is_new && !is_learning { " (new)" } else { "" };
    let from = plain(&counted.source, LONGEST_NAME);
    [
        format!("{:>6} x {:5}{new} {words}", counted.count, template_id(counted.id)),
        format!("         {from}: {}", plain(&counted.sample, LONGEST_LINE)),
    ]
}

/// What was not judged and why, what is still learnt, and what is ignored in vain.
fn notes(told: &Told<'_>) -> Vec<String> {
    let names = |sources: Vec<&SourceCount>| {
        let named: Vec<String> = sources.iter().take(3).map(|source| plain(&source.name, LONGEST_NAME)).collect();
        let more = sources.len().saturating_sub(named.len());
        if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
    };
    let (undated, first): (Vec<_>, Vec<_>) = told.unjudged().partition(|source| source.is_undated);
    let mut notes = Vec::new();
    if !first.is_empty() {
        notes.push(format!("seen for the first time, and not judged: {}", names(first)));
    }
    if !undated.is_empty() {
        notes.push(format!("of unknown age, and not judged: {}", names(undated)));
    }
    let learning = told.verdicts.iter().filter(|verdict| verdict.state == Standing::Learning);
    let learning: Vec<&str> = learning.map(|verdict| verdict.rule.as_str()).collect();
    if !learning.is_empty() && notes.is_empty() {
        notes.push(format!("still learning what is usual: {}", learning.join(", ")));
    }
    let idle = rules::idle_ignores(told.settings, told.memory, told.seen.now);
    for expression in idle.iter().take(3) {
        notes.push(format!("ignored, and not met for 90 days: `{}`", plain(expression, LONGEST_NAME)));
    }
    notes
}
