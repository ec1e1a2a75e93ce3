//! From verdicts to problems: what begins and ends together is one, so that a burst is one mail and its end one.

use std::collections::BTreeMap;
use std::fmt::Write;

use shipshape_core::alert::Problem;
use shipshape_core::moment;

use super::words::{LONGEST_NAME, LONGEST_SAMPLE, plain};
use super::{Part, Seen, SourceCount, Verdict, commands};

/// How many templates and sources a problem names.
const NAMED: usize = 3;

/// What somebody is to be told of. The ids are stable: rate, ratio and spike are one, `logwatch.errors`, for a burst sets off
/// some of them and each goes at its own time; `logwatch.new.t17`, `logwatch.silence.SOURCE`, `logwatch.secret.RULE.PRINT`
/// and `logwatch.pattern.NAME` are each their own. No problem waits for another run: where a rule needs several, it has counted.
pub(crate) fn problems(verdicts: &[Verdict], seen: &Seen<'_>) -> Vec<Problem> {
    let mut problems: BTreeMap<&Part, Problem> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.is_bad()) {
        match problems.get_mut(&verdict.problem) {
            Some(problem) => {
                problem.severity = problem.severity.max(verdict.severity);
                problem.text = format!("{}; {}", problem.text, text(verdict));
            }
            None => drop(problems.insert(&verdict.problem, problem(verdict))),
        }
    }
    if let Some(errors) = problems.get_mut(&Part::Errors) {
        errors.text = format!("{}{}", errors.text, details(seen));
        errors.hint = hint(seen);
    }
    let mut problems: Vec<Problem> = problems.into_values().collect();
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    problems
}

fn problem(verdict: &Verdict) -> Problem {
    let (id, title) = match &verdict.problem {
        Part::Errors => ("logwatch.errors".to_owned(), "logs: too many errors".to_owned()),
        Part::Own { id, title } => (format!("logwatch.{id}"), title.clone()),
    };
    Problem { id, severity: verdict.severity, title, text: text(verdict), hint: verdict.hint.clone(), after: 1 }
}

/// The title names what a problem of its own is about.
fn text(verdict: &Verdict) -> String {
    match (&verdict.problem, &verdict.about) {
        (Part::Errors, Some(about)) => format!("{about}: {}", verdict.text),
        (Part::Errors | Part::Own { .. }, _) => verdict.text.clone(),
    }
}

/// Which sources, what mostly, from when to when.
fn details(seen: &Seen<'_>) -> String {
    let mut told = String::new();
    let sources = sources(seen);
    if !sources.is_empty() {
        let named = sources.iter().take(NAMED);
        let named: Vec<String> =
            named.map(|source| format!("{} {}", plain(&source.name, LONGEST_NAME), source.tally.errors)).collect();
        let _ = write!(told, "; by source: {}", named.join(", "));
    }
    for counted in seen.errors().take(NAMED) {
        let sample = plain(&counted.sample, LONGEST_SAMPLE);
        let _ = write!(told, "; {} x t{} {} ({sample})", counted.count, counted.id, seen.words(counted.id));
    }
    let spans = seen.judged().filter_map(|source| source.tally.span);
    if let Some((from, to)) = spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))) {
        let _ = write!(told, "; records from {} to {}", moment::told(from), moment::told(to));
    }
    told
}

/// The sources with errors, the worst first.
fn sources<'a>(seen: &'a Seen<'_>) -> Vec<&'a SourceCount> {
    let mut sources: Vec<&SourceCount> = seen.judged().filter(|source| source.tally.errors > 0).collect();
    sources.sort_by_key(|source| (std::cmp::Reverse(source.tally.errors), &source.name));
    sources
}

/// Commands that show the errors, and the log of the worst source.
fn hint(seen: &Seen<'_>) -> String {
    let top = "logwatch top --since 1h";
    let worst = sources(seen).first().and_then(|worst| commands::show(&worst.key, &worst.name));
    worst.map_or_else(|| top.to_owned(), |show| format!("{top}; {show}"))
}
