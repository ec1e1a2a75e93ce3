//! What a report says about its job: the problems in it, by the codes that never change.
//!
//! A run that failed is one problem, whatever made it fail: the text tells why. Each kind of warning is one of its own, so
//! that a new and graver one is not hidden behind one that everybody knows. That another run holds the lock is no failure:
//! that other run will tell how it went; only where it goes on for several runs something hangs.

use std::collections::BTreeMap;

use super::{FLEETING, Job, Observation, Others, Problem, Severity};
use crate::exit::Exit;
use crate::report::{Notice, Report};
use crate::units;

/// The code of an error that says that another run is at it.
const BUSY: &str = "lock.held";

/// How codes begin that are about alerts themselves: they are told in the report, for who could not be told is not told so.
pub const OF_ALERTS: &str = "alert.";

/// What is wrong as of this report, together with what the tool has said itself.
pub fn observe(job: &Job, report: &Report, mut own: Vec<Problem>) -> Observation {
    let is_bad = report.exit_code > Exit::Warning.number();
    let problem = match &report.error {
        Some(error) if error.code == BUSY => Some(busy(job, error)),
        Some(error) => Some(failed(job, error.message.clone(), error.hint.clone())),
        // A verdict that the tool gave without an error: what it found speaks for itself, where it says so.
        None if is_bad && own.is_empty() => Some(failed(job, report.summary.clone(), String::new())),
        None => None,
    };
    // A tool that found something critical came to its end; one that failed did not.
    let others = if report.error.is_some() { Others::Unknown } else { Others::Good };
    own.extend(problem);
    own.extend(warnings(job, &report.warnings));
    Observation { job: job.name.to_owned(), problems: own, others }
}

fn failed(job: &Job, text: String, hint: String) -> Problem {
    Problem {
        id: format!("{}.failed", job.name),
        severity: Severity::Critical,
        title: format!("{} failed", spoken(job)),
        text,
        hint,
        after: 1,
    }
}

fn busy(job: &Job, error: &Notice) -> Problem {
    Problem {
        id: format!("{}.busy", job.name),
        severity: Severity::Warning,
        title: format!("{} does not come to run", spoken(job)),
        text: error.message.clone(),
        hint: error.hint.clone(),
        after: FLEETING,
    }
}

/// One problem for each kind of warning.
fn warnings(job: &Job, notices: &[Notice]) -> Vec<Problem> {
    let mut kinds: BTreeMap<&str, Vec<&Notice>> = BTreeMap::new();
    for notice in notices.iter().filter(|notice| !notice.code.starts_with(OF_ALERTS)) {
        kinds.entry(&notice.code).or_default().push(notice);
    }
    let of_kind = |(code, notices): (&str, Vec<&Notice>)| {
        let first = notices.first()?;
        let more = notices.len() as u64 - 1;
        let more = if more == 0 { String::new() } else { format!(" (and {})", units::counted(more, "more", "more")) };
        Some(Problem {
            id: format!("{}.{code}", job.name),
            severity: Severity::Warning,
            title: format!("{} has a warning ({code})", spoken(job)),
            text: format!("{}{more}", first.message),
            hint: first.hint.clone(),
            after: if job.fleeting.contains(&code) { FLEETING } else { 1 },
        })
    };
    kinds.into_iter().filter_map(of_kind).collect()
}

/// `restore.verify` as people say it.
fn spoken(job: &Job) -> String {
    job.name.replace('.', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const JOB: Job = Job { name: "backup", fleeting: &["files.changed"] };

    fn report(exit: Exit, error: Option<&Notice>, warnings: &[&str]) -> Report {
        serde_json::from_value(json!({
            "schema": 1, "tool": "backup", "version": "1", "host": "vps1", "app": "site",
            "started": "2026-11-20T02:00:00Z", "duration_s": 1.0, "status": exit.status(), "exit_code": exit.number(),
            "summary": "2 objects are damaged", "data": {}, "error": error,
            "warnings": warnings.iter().map(|code| Notice::new(code, format!("{code} it is"), "")).collect::<Vec<_>>(),
        }))
        .unwrap()
    }

    fn ids(found: &Observation) -> Vec<(&str, u32)> {
        found.problems.iter().map(|problem| (problem.id.as_str(), problem.after)).collect()
    }

    #[test]
    fn a_good_run_says_that_all_is_good() {
        let found = observe(&JOB, &report(Exit::Ok, None, &[]), Vec::new());
        assert_eq!((found.problems.len(), found.others), (0, Others::Good));
    }

    #[test]
    fn whatever_made_it_fail_it_is_the_same_problem() {
        for code in ["store.full", "config.invalid", "run.interrupted"] {
            let error = Notice::new(code, "no space", "df -h");
            let found = observe(&JOB, &report(Exit::Critical, Some(&error), &[]), Vec::new());
            assert_eq!((ids(&found), found.others), (vec![("backup.failed", 1)], Others::Unknown));
            assert_eq!((found.problems[0].text.as_str(), found.problems[0].hint.as_str()), ("no space", "df -h"));
        }
    }

    #[test]
    fn a_held_lock_is_no_failure_until_it_is_held_for_several_runs() {
        let error = Notice::new("lock.held", "another run holds it", "");
        let found = observe(&JOB, &report(Exit::Unknown, Some(&error), &[]), Vec::new());
        assert_eq!((ids(&found), found.others), (vec![("backup.busy", FLEETING)], Others::Unknown));
    }

    #[test]
    fn a_bad_verdict_without_an_error_is_told_by_its_summary() {
        let found = observe(&JOB, &report(Exit::Critical, None, &[]), Vec::new());
        assert_eq!((found.problems[0].text.as_str(), found.others), ("2 objects are damaged", Others::Good));
    }

    #[test]
    fn a_tool_that_names_its_problems_speaks_for_itself() {
        let own = Problem { id: "backup.own".to_owned(), ..failed(&JOB, String::new(), String::new()) };
        let found = observe(&JOB, &report(Exit::Critical, None, &[]), vec![own]);
        assert_eq!(ids(&found), [("backup.own", 1)]);
    }

    #[test]
    fn each_kind_of_warning_is_one_problem_and_fleeting_ones_must_last() {
        let warnings = ["files.unreadable", "files.changed", "files.unreadable", "alert.undelivered"];
        let found = observe(&JOB, &report(Exit::Warning, None, &warnings), Vec::new());
        assert_eq!(ids(&found), [("backup.files.changed", FLEETING), ("backup.files.unreadable", 1)]);
        assert_eq!(found.problems[1].text, "files.unreadable it is (and 1 more)");
        assert!(found.problems.iter().all(|problem| problem.severity == Severity::Warning));
    }
}
