//! The life of a run: its start, its warnings, its one report, its exit code.
//!
//! ```text
//! start -> (job, config, app, warn …) -> finish: redact -> reports/TOOL-APP.json -> standard output -> alerts -> exit code
//! ```
//!
//! The state folder comes first: a reader of standard output that stalls must not keep others from seeing how it went.
//! Alerts come last: a server that hangs must not keep the report back.

mod trial;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;

use crate::alert::round::Round;
use crate::alert::{Job, Problem};
use crate::cli::{CommonArgs, Format};
use crate::clock::{self, Stopwatch};
use crate::config::{Config, ConfigError};
use crate::error::{Explain, Failure, chain};
use crate::exit::Exit;
use crate::redact::{redact, redact_json};
use crate::report::{Notice, Report, SCHEMA};
use crate::signal::Interrupted;
use crate::state::{StateDir, StateError};
use crate::{machine, name, output, signal, units};

/// The signal of Ctrl-C.
const SIGINT: u8 = 2;

/// How many warnings a report carries. A million vanished files are one piece of news, not a million.
const MOST_WARNINGS: usize = 100;

/// What a run that came to its end has to say.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The application, where [`Run::app`] has not said it already.
    pub app: Option<String>,
    /// The verdict; [`Exit::Ok`] becomes [`Exit::Warning`] when there are warnings.
    pub exit: Exit,
    /// One line for a person.
    pub summary: String,
    /// For programs.
    pub data: Value,
    /// For people, below the summary.
    pub text: String,
    /// What somebody should look at, beside what [`Run::warn`] has collected.
    pub warnings: Vec<Notice>,
}

impl Outcome {
    /// A good end with one line to say.
    pub fn ok(summary: impl Into<String>) -> Self {
        Self {
            app: None,
            exit: Exit::Ok,
            summary: summary.into(),
            data: Value::Object(serde_json::Map::default()),
            text: String::new(),
            warnings: Vec::new(),
        }
    }
}

/// A run of a tool. Workers may share it by reference.
pub struct Run {
    tool: &'static str,
    version: &'static str,
    common: CommonArgs,
    started: DateTime<Utc>,
    watch: Stopwatch,
    app: Mutex<Option<String>>,
    warnings: Mutex<Warnings>,
    only_looks: AtomicBool,
    kept_as: Mutex<Option<&'static str>>,
    job: Mutex<Option<Job>>,
    problems: Mutex<Vec<Problem>>,
    round: Mutex<Option<Round>>,
}

#[derive(Default)]
struct Warnings {
    kept: Vec<Notice>,
    more: u64,
}

impl Run {
    /// Starts the clock, and listens for signals.
    pub fn start(tool: &'static str, version: &'static str, common: &CommonArgs) -> Self {
        signal::listen();
        Self {
            tool,
            version,
            common: common.clone(),
            started: clock::now(),
            watch: Stopwatch::start(),
            app: Mutex::default(),
            warnings: Mutex::default(),
            only_looks: AtomicBool::new(false),
            kept_as: Mutex::default(),
            job: Mutex::default(),
            problems: Mutex::default(),
            round: Mutex::default(),
        }
    }

    /// Remembers the application, for the report of a run that then fails, too.
    pub fn app(&self, name: &str) {
        *lock(&self.app) = Some(name.to_owned());
    }

    /// This run only looks (a listing, a preview): its report must not stand in the state folder where the one of the last
    /// real run is looked for.
    pub fn only_looks(&self) {
        self.only_looks.store(true, Ordering::Relaxed);
    }

    /// The name under which the state folder keeps this run's report, where it is not the tool's: a rehearsal must not stand
    /// where the last real run is looked for.
    pub fn keeps_report_as(&self, name: &'static str) {
        *lock(&self.kept_as) = Some(name);
    }

    /// This run is one of a job of which somebody is to be told when it goes wrong. To be said before [`Run::config`], and
    /// not by a preview.
    pub fn job(&self, job: Job) {
        *lock(&self.job) = Some(job);
    }

    /// Reads the configuration. A run of a job tells those who wait for word of it that it has started.
    ///
    /// A file that is refused fails the run, and who is to be told of that is read from what of the file makes sense.
    pub fn config(&self, app: Option<&str>) -> Result<Config, ConfigError> {
        let loaded = Config::load(&self.common, app);
        if let Some(job) = *lock(&self.job) {
            let config = loaded.as_ref().ok().cloned().unwrap_or_else(|| Config::salvage(&self.common, app));
            if let (Err(_), Ok(app)) = (&loaded, config.app(app)) {
                self.app(&app.name);
            }
            *lock(&self.round) = Some(Round::begin(job, &config));
        }
        loaded
    }

    /// Tells of something that is wrong and worth an alert of its own, beside the run's failure and its warnings.
    pub fn problem(&self, problem: Problem) {
        lock(&self.problems).push(problem);
    }

    /// When it started, in UTC.
    pub fn started(&self) -> DateTime<Utc> {
        self.started
    }

    /// The flags of every tool.
    pub fn common(&self) -> &CommonArgs {
        &self.common
    }

    /// Collects something that somebody should look at, though the work goes on.
    pub fn warn(&self, notice: Notice) {
        lock(&self.warnings).add(notice);
    }

    /// Ends the run: the report on standard output and in the state folder, alerts, the exit code for the caller.
    pub fn finish(self, result: Result<Outcome, Failure>) -> ExitCode {
        let (mut report, text) = self.conclude(result);
        let round = self.round_for(&report);
        if let Some(round) = &round {
            // They say nothing of this run, and leave its verdict alone.
            report.warnings.extend(round.left_over(&self.common, self.tool, report.app.as_deref()));
        }
        if !self.only_looks.load(Ordering::Relaxed)
            && let Err(error) = self.leave(&report)
        {
            let failure = Failure::from(error);
            output::tell(&redact(&format!("{}: the report is not kept: {failure}", self.tool)));
        }
        let is_told = self.print(&report, &text);
        if let Some(round) = round {
            let problems = std::mem::take(&mut *lock(&self.problems));
            round.end(&self.common, &report, problems, clock::now());
        }
        // A report that nobody gets is worth a look, even where the job was done.
        ExitCode::from(if is_told { report.exit_code } else { report.exit_code.max(Exit::Warning.number()) })
    }

    /// The alerts of this run. One that only looks has none, and one that a person at a terminal has stopped: they know.
    fn round_for(&self, report: &Report) -> Option<Round> {
        let by_hand = report.exit_code == Exit::Signal(SIGINT).number() && output::stderr_is_terminal();
        lock(&self.round).take().filter(|_| !by_hand && !self.only_looks.load(Ordering::Relaxed))
    }

    /// The report, redacted, and the text for people.
    fn conclude(&self, result: Result<Outcome, Failure>) -> (Report, String) {
        let (outcome, error, exit) = match result {
            Ok(outcome) => {
                let exit = outcome.exit;
                (outcome, None, exit)
            }
            Err(failure) => {
                let (notice, exit) = ending(&failure, signal::check());
                (Outcome::ok(notice.message.clone()), Some(notice), exit)
            }
        };
        let outcome = Outcome { exit, ..outcome };
        let text = redact(&outcome.text).into_owned();
        (self.report_of(outcome, error), text)
    }

    fn report_of(&self, outcome: Outcome, error: Option<Notice>) -> Report {
        let Outcome { app, exit, summary, mut data, warnings, .. } = outcome;
        let mut collected = std::mem::take(&mut *lock(&self.warnings));
        for notice in warnings {
            collected.add(notice);
        }
        let warnings = collected.into_notices();
        let exit = if exit == Exit::Ok && !warnings.is_empty() { Exit::Warning } else { exit };
        redact_json(&mut data);
        Report {
            schema: SCHEMA,
            tool: self.tool.to_owned(),
            version: self.version.to_owned(),
            host: machine::host_name(),
            app: app.or_else(|| lock(&self.app).clone()),
            started: self.started.trunc_subsecs(0),
            duration_s: (self.watch.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            status: exit.status(),
            exit_code: exit.number(),
            summary: redact(&summary).into_owned(),
            data,
            warnings: warnings.into_iter().map(without_secrets).collect(),
            error: error.map(without_secrets),
        }
    }

    /// `reports/TOOL[-APP].json`, so that others can tell a failed run from a missing one.
    fn leave(&self, report: &Report) -> Result<(), StateError> {
        let state = StateDir::open(&self.common)?;
        state.folder("reports")?;
        let app = report.app.as_ref().map(|app| format!("-{}", name::mend(app, "app"))).unwrap_or_default();
        let name = lock(&self.kept_as).unwrap_or(self.tool);
        state.write_json(&format!("reports/{name}{app}.json"), report)
    }

    /// Whether the report could be written.
    fn print(&self, report: &Report, text: &str) -> bool {
        let to_terminal = output::stdout_is_terminal();
        let said = match self.common.form() {
            Format::Json => report.to_line(),
            Format::Text if self.common.quiet && report.exit_code == 0 => String::new(),
            Format::Text => for_people(report, text),
        };
        let written = output::say(&said);
        if let Err(error) = &written {
            output::tell(&format!("{}: cannot write the report to standard output: {}", self.tool, chain(error)));
        }
        // Where standard output goes into a file, this is the part that cron sends by mail.
        if !to_terminal && report.exit_code > Exit::Warning.number() {
            output::tell(&verdict(report));
        }
        written.is_ok()
    }
}

impl Warnings {
    fn add(&mut self, notice: Notice) {
        if self.kept.len() < MOST_WARNINGS {
            self.kept.push(notice);
        } else {
            self.more += 1;
        }
    }

    fn into_notices(self) -> Vec<Notice> {
        let more = (self.more > 0).then(|| {
            let message = format!("{} are not shown", units::counted(self.more, "more warning", "more warnings"));
            Notice::new("run.more_warnings", message, "the first ones show of what kind")
        });
        self.kept.into_iter().chain(more).collect()
    }
}

/// Work that was asked to stop may fail by what stopping did to it; it is still a signal that ended the run.
fn ending(failure: &Failure, asked: Result<(), Interrupted>) -> (Notice, Exit) {
    let Err(interrupted) = asked else { return (failure.notice(), failure.exit()) };
    let (mut message, said) = (interrupted.to_string(), failure.message());
    // What failed may matter all the same: a journal that could not be undone, a disk that is full.
    if failure.code() != interrupted.code() && !said.ends_with(&message) {
        message = format!("{message}: {said}");
    }
    (Notice::new(interrupted.code(), message, interrupted.hint()), interrupted.exit())
}

fn without_secrets(notice: Notice) -> Notice {
    let Notice { code, message, hint } = notice;
    Notice { code, message: redact(&message).into_owned(), hint: redact(&hint).into_owned() }
}

/// The report as text: the verdict, what the tool tells, and what somebody should look at.
fn for_people(report: &Report, text: &str) -> String {
    let mut told = verdict(report);
    if !text.is_empty() {
        told.push('\n');
        told.push_str(text.trim_end_matches('\n'));
    }
    for warning in &report.warnings {
        told.push_str("\nwarning: ");
        told.push_str(&warning.message);
        push_hint(&mut told, &warning.hint);
    }
    told.push('\n');
    told
}

/// The first line, and under an error the hint.
fn verdict(report: &Report) -> String {
    let mut line = format!("{}: {}", report.tool, report.summary);
    if let Some(error) = &report.error {
        push_hint(&mut line, &error.hint);
    }
    line
}

fn push_hint(text: &mut String, hint: &str) {
    if !hint.is_empty() {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Status;
    use crate::redact::learn;
    use crate::secret::SecretError;
    use serde_json::json;
    use std::path::Path;
    use tempfile::TempDir;

    fn run() -> (TempDir, Run) {
        let folder = tempfile::tempdir().unwrap();
        let common = CommonArgs { state: Some(folder.path().join("state")), ..CommonArgs::default() };
        let run = Run::start("backup", "1.2.3", &common);
        (folder, run)
    }

    fn failure() -> Failure {
        SecretError::NotPrivate { path: "/etc/key".into(), mode: 0o644 }.into()
    }

    fn left(folder: &TempDir, name: &str) -> Value {
        let path = folder.path().join("state/reports").join(name);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_good_end_is_reported_as_ok() {
        let (_folder, run) = run();
        let (report, _) = run.conclude(Ok(Outcome::ok("done")));
        assert_eq!((report.status, report.exit_code, report.error), (Status::Ok, 0, None));
    }

    #[test]
    fn any_warning_makes_a_good_end_a_warning_and_leaves_a_bad_one() {
        let (_folder, run) = run();
        run.warn(Notice::new("files.vanished", "a file vanished", ""));
        assert_eq!(run.conclude(Ok(Outcome::ok("done"))).0.exit_code, 1);
        let warnings = vec![Notice::new("x", "y", "z")];
        let outcome = Outcome { exit: Exit::Critical, warnings, ..Outcome::ok("broken") };
        assert_eq!(run.conclude(Ok(outcome)).0.exit_code, 2);
    }

    #[test]
    fn a_failure_is_told_with_its_code_and_its_hint() {
        let (_folder, run) = run();
        run.app("demo");
        let (report, text) = run.conclude(Err(failure()));
        assert_eq!((report.exit_code, report.app.as_deref()), (3, Some("demo")));
        assert_eq!(report.error.as_ref().unwrap().code, "secret.not_private");
        let told = for_people(&report, &text);
        assert_eq!(told, "backup: others can read the secret file /etc/key (mode 0644)\nhint: chmod 600 /etc/key\n");
    }

    #[test]
    fn whatever_a_signal_made_fail_the_run_was_interrupted() {
        let (notice, exit) = ending(&failure(), Err(Interrupted { signal: 15 }));
        assert_eq!((notice.code.as_str(), exit), ("run.interrupted", Exit::Signal(15)));
        assert!(notice.message.starts_with("interrupted by SIGTERM: others can read"), "{}", notice.message);
        let (notice, _) = ending(&Interrupted { signal: 2 }.into(), Err(Interrupted { signal: 2 }));
        assert_eq!(notice.message, "interrupted by SIGINT");
        assert_eq!(ending(&failure(), Ok(())).0.code, "secret.not_private");
    }

    #[test]
    fn people_read_the_summary_the_text_and_the_warnings() {
        let (_folder, run) = run();
        let warnings = vec![Notice::new("x", "a file vanished", "look at it")];
        let outcome = Outcome { text: "3 files\n".to_owned(), warnings, ..Outcome::ok("done") };
        let (report, text) = run.conclude(Ok(outcome));
        assert_eq!(for_people(&report, &text), "backup: done\n3 files\nwarning: a file vanished\nhint: look at it\n");
    }

    #[test]
    fn no_part_of_the_report_holds_a_secret() {
        learn("OPEN-SESAME-99");
        let (_folder, run) = run();
        run.warn(Notice::new("x", "OPEN-SESAME-99", "OPEN-SESAME-99"));
        let data = json!({"a": ["OPEN-SESAME-99"]});
        let outcome = Outcome { data, text: "OPEN-SESAME-99".to_owned(), ..Outcome::ok("OPEN-SESAME-99") };
        let (report, text) = run.conclude(Ok(outcome));
        let told = format!("{}{}", report.to_line(), for_people(&report, &text));
        assert_eq!(told.matches("OPEN-SESAME-99").count(), 0, "{told}");
        assert_eq!(told.matches("[redacted]").count(), 8, "{told}");
    }

    #[test]
    fn a_flood_of_warnings_is_cut_and_counted() {
        let (_folder, run) = run();
        (0..250).for_each(|_| run.warn(Notice::new("x", "y", "")));
        let (report, _) = run.conclude(Ok(Outcome::ok("done")));
        assert_eq!(report.warnings.len(), MOST_WARNINGS + 1);
        assert_eq!(report.warnings[MOST_WARNINGS].message, "150 more warnings are not shown");
    }

    #[test]
    fn every_run_leaves_its_report_under_the_name_of_its_application() {
        let (folder, run) = run();
        run.app("demo");
        let _ = run.finish(Ok(Outcome::ok("done")));
        assert_eq!(left(&folder, "backup-demo.json")["summary"], "done");
    }

    #[test]
    fn a_rehearsal_does_not_stand_where_the_last_real_run_is_looked_for() {
        let (folder, run) = run();
        run.app("demo");
        run.keeps_report_as("backup-drill");
        let _ = run.finish(Ok(Outcome::ok("done")));
        assert_eq!(left(&folder, "backup-drill-demo.json")["tool"], "backup");
        assert!(!folder.path().join("state/reports/backup-demo.json").exists());
    }

    #[test]
    fn a_run_that_only_looks_leaves_the_last_report_alone() {
        let (folder, run) = run();
        run.only_looks();
        let _ = run.finish(Err(failure()));
        assert!(!folder.path().join("state").exists());
    }

    #[test]
    fn a_state_folder_that_cannot_be_made_does_not_change_the_verdict() {
        let common = CommonArgs { state: Some(Path::new("/dev/null/state").to_owned()), ..CommonArgs::default() };
        let run = Run::start("backup", "1.2.3", &common);
        assert_eq!(run.finish(Ok(Outcome::ok("done"))), ExitCode::SUCCESS);
    }

    #[test]
    fn the_envelope_keeps_its_order_and_its_form() {
        let (_folder, run) = run();
        let line = run.conclude(Ok(Outcome::ok("done"))).0.to_line();
        let start = r#"{"schema":1,"tool":"backup","version":"1.2.3","host":""#;
        assert!(line.starts_with(start) && line.ends_with("\"warnings\":[],\"error\":null}\n"), "{line}");
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["started"].as_str().unwrap().len(), "2026-11-20T02:00:00Z".len());
    }
}
