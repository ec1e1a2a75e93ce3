//! One run: open, read, judge, tell; what was read counts as read when all of that is done.

use chrono::{DateTime, Duration, Utc};
use shipshape_core::alert::{Problem, Severity};
use shipshape_core::config::{App, Config};
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::signal;

use crate::cli::{SourceArgs, WatchArgs};
use crate::counted;
use crate::examine::{Criteria, Judged};
use crate::explain::Printer;
use crate::formats::Zone;
use crate::level::Level;
use crate::look::{self, Onlooker, Reading};
use crate::report::{self, Told};
use crate::rules::{self, Counted, RuleError, Seen, Settings, SourceCount, Verdict};
use crate::sources::{Cursor, Source, SourceError, Start, plan};
use crate::state::{Access, Kept, Opened, Prepared, State};
use crate::templates::Templates;

/// How far back the first look at a source goes, in hours, unless somebody says otherwise.
const FIRST_LOOK_HOURS: i64 = 1;

/// What is said to those who ask for a time that they have been told of.
const GOES_ON: &str = "\nwhat was read before is not counted again: --since and --from-start are about the first look at a source; \
                       look again with --dry-run";

/// What any way of looking at logs needs to know beforehand.
pub(crate) struct Terms {
    /// What records are looked at for.
    pub(crate) criteria: Criteria,
    /// What is read of a source that was never read before.
    pub(crate) start: Start,
    /// What is too much.
    pub(crate) settings: Settings,
}

impl Terms {
    /// By flags and configuration. `hours` is how far back a first look goes where neither says it.
    pub(crate) fn new(args: &SourceArgs, config: &Config, hours: i64, run: &Run) -> Result<Self, Failure> {
        let section = &config.logwatch;
        let now = run.started();
        let compiled = rules::compile(section, now)?;
        let zone = zone(section.zone.as_deref())?;
        let criteria = Criteria {
            told_apart: Some(Level::Warning),
            patterns: compiled.patterns.clone(),
            ignores: compiled.ignores.clone(),
            secrets: section.secrets.unwrap_or(true),
            key: crate::state::random_key(),
            zone,
            now,
            not_before: None,
            trend: None,
        };
        let start = Start { since: since(args, config, hours, now)?, zone, now };
        let settings = Settings { max_errors: None, section: section.clone(), compiled };
        Ok(Self { criteria, start, settings })
    }
}

/// The zone of times that do not say theirs.
fn zone(stated: Option<&str>) -> Result<Zone, RuleError> {
    let Some(stated) = stated else { return Ok(Zone::Local) };
    Zone::parse(stated).ok_or_else(|| RuleError::Zone { stated: stated.to_owned() })
}

/// Since when a first look goes back; none for all that there is.
fn since(args: &SourceArgs, config: &Config, hours: i64, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Failure> {
    if args.from_start {
        return Ok(None);
    }
    let stated = args.since.as_ref().or(config.logwatch.since.as_ref());
    let since = stated.map(|stated| shipshape_core::moment::since(stated, now)).transpose()?;
    Ok(Some(since.unwrap_or(now - Duration::hours(hours))))
}

/// One run. What is prepared is to be put in place after the run has told what it found.
pub(crate) fn watch(
    args: &WatchArgs,
    config: &Config,
    app: &App,
    run: &Run,
) -> Result<(Outcome, Option<Prepared>), Failure> {
    let mut terms = Terms::new(&args.sources, config, FIRST_LOOK_HOURS, run)?;
    terms.settings.max_errors = args.max_errors;
    terms.criteria.told_apart = (!args.explain).then_some(Level::Warning);
    let mut sources = plan::plan(&args.sources, config, app, args.allow_empty)?;
    if args.dry_run {
        run.only_looks();
    }
    let access = if args.dry_run { Access::Look } else { Access::Keep };
    let opened = Opened::of(run.common(), &app.name, access)?;
    sources.extend(plan::gone(&args.sources, config, &sources, &opened.state.cursors));
    opened.notices.iter().for_each(|notice| run.warn(notice.clone()));
    terms.criteria.key = opened.key;
    let (is_readable, warned) = (opened.is_readable, opened.notices.len());
    let mut watch = Watch { args, terms, is_readable, warned, state: opened.state };
    watch.state.templates.begin(run.started());
    let findings = watch.look(&mut sources, run)?;
    watch.conclude(findings, opened.kept, run)
}

/// A run that is under way.
struct Watch<'a> {
    args: &'a WatchArgs,
    terms: Terms,
    state: State,
    /// Whether earlier runs are known. Where they cannot be, each run is a first one, and must be judged all the same.
    is_readable: bool,
    /// How many warnings were told before anything was read.
    warned: usize,
}

/// What was found in the sources, and which could not be read, or not to their ends.
struct Findings {
    readings: Vec<Reading>,
    failed: Vec<Unread>,
}

/// A source that could not be read.
struct Unread {
    name: String,
    why: SourceError,
    /// Whether what could be read of it is among the readings.
    is_in_part: bool,
}

impl Watch<'_> {
    /// Reads all sources. One that cannot be read does not keep the others from being judged.
    fn look(&mut self, sources: &mut [Box<dyn Source>], run: &Run) -> Result<Findings, Failure> {
        let mut printer = self.args.explain.then(|| Printer::new(run.common()));
        let mut findings = Findings { readings: Vec::new(), failed: Vec::new() };
        for source in sources {
            // By hand, and without remembering it, what was read before may be looked at again.
            let looks_again = self.args.dry_run && self.is_stated();
            let cursor = self.state.cursors.get(&source.key()).filter(|_| !looks_again).cloned();
            let known = &mut self.state.templates;
            match look_at(source.as_mut(), cursor.as_ref(), &self.terms, known, printer.as_mut()) {
                Ok(mut reading) => {
                    let unread = |why| Unread { name: source.name().to_owned(), why, is_in_part: true };
                    findings.failed.extend(reading.failure.take().map(unread));
                    findings.readings.push(reading);
                }
                Err(why) => findings.failed.push(Unread { name: source.name().to_owned(), why, is_in_part: false }),
            }
            signal::check()?;
        }
        Ok(findings)
    }

    /// Whether somebody said how much to look at.
    fn is_stated(&self) -> bool {
        self.args.sources.since.is_some() || self.args.sources.from_start
    }

    /// Judges what was found, and prepares what is to be remembered.
    fn conclude(
        mut self,
        findings: Findings,
        kept: Option<Kept>,
        run: &Run,
    ) -> Result<(Outcome, Option<Prepared>), Failure> {
        let Findings { readings, mut failed } = findings;
        let is_in_vain = failed.iter().filter(|unread| unread.is_in_part).count() == readings.len()
            && readings.iter().all(|reading| reading.count.tally.lines == 0);
        if is_in_vain && !failed.is_empty() {
            return Err(failed.swap_remove(0).why.into());
        }
        let sources = self.leave(readings, run.started());
        let templates = counted::count(&sources, &mut self.state.templates);
        let known = self.state.templates.clone();
        let seen = self.seen(&sources, &templates, &known, run.started());
        let verdicts = rules::judge(&self.terms.settings, &mut self.state.memory, &seen);
        for problem in rules::problems(&verdicts, &seen) {
            run.problem(problem);
        }
        self.state.tidy(run.started());
        let prepared = self.prepare(kept, run);
        let is_kept = prepared.is_some() || self.args.dry_run;
        let (settings, memory, warned) = (&self.terms.settings, &self.state.memory, self.warned);
        let unread: Vec<String> = failed.iter().map(|unread| unread.name.clone()).collect();
        let told = Told { seen: &seen, verdicts: &verdicts, settings, memory, unread: &unread, is_kept, warned };
        for notice in report::notices(&told) {
            run.warn(notice);
        }
        let (data, mut text) = (report::data(&told), report::text(&told));
        if self.is_stated() && !self.args.dry_run && sources.iter().any(|source| !source.is_first) {
            text.push_str(GOES_ON);
        }
        let mut outcome = Outcome { exit: exit(&verdicts), data, text, ..Outcome::ok(report::summary(&told)) };
        if (tell_failed(failed, run) || !is_kept) && outcome.exit != Exit::Critical {
            // Too much is bad enough to be said before all else; nothing else is worse than not to know.
            outcome.exit = Exit::Unknown;
        }
        Ok((outcome, prepared))
    }

    /// Notes where each source was left. One that is to be read again stays where it was.
    fn leave(&mut self, readings: Vec<Reading>, now: DateTime<Utc>) -> Vec<SourceCount> {
        let leave = |Reading { count, cursor, .. }| {
            if let Some(cursor) = cursor {
                self.state.leave(&count.key, cursor, now);
            }
            count
        };
        readings.into_iter().map(leave).collect()
    }

    fn seen<'s>(
        &mut self,
        sources: &'s [SourceCount],
        templates: &'s [Counted],
        known: &'s Templates,
        now: DateTime<Utc>,
    ) -> Seen<'s> {
        let since = self.state.begun(now);
        // Of what is read from its beginning only its records can say how long a time it is about.
        let span = now - self.terms.start.since.unwrap_or(now);
        let asked = self.is_stated() || self.args.max_errors.is_some() || !self.is_readable;
        Seen { sources, templates, known, now, span, since, asked }
    }

    /// Writes what is to be remembered to a place of its own. That it cannot be written is told, and stops nothing.
    fn prepare(&self, kept: Option<Kept>, run: &Run) -> Option<Prepared> {
        kept?.prepare(&self.state).inspect_err(|notice| run.warn(notice.clone())).ok()
    }
}

/// Looks at one source; each record is printed with its template where that is asked for.
fn look_at(
    source: &mut dyn Source,
    cursor: Option<&Cursor>,
    terms: &Terms,
    known: &mut Templates,
    printer: Option<&mut Printer>,
) -> Result<Reading, SourceError> {
    let Some(printer) = printer else { return look::read(source, cursor, &terms.start, &terms.criteria, None) };
    if source.can_be_read_again() {
        // Later messages may show that earlier ones are of one template: each is printed with the number that it ends with.
        let first = look::read(source, cursor, &terms.start, &terms.criteria, None)?;
        counted::count(&[first.count], known);
    }
    let mut explain = |name: &str, judged: &Judged<'_>| {
        printer.record(name, judged, counted::template_of(judged, known));
    };
    let onlooker: &mut Onlooker<'_> = &mut explain;
    look::read(source, cursor, &terms.start, &terms.criteria, Some(onlooker))
}

/// The run's verdict: that of the worst rule.
pub(crate) fn exit(verdicts: &[Verdict]) -> Exit {
    match verdicts.iter().filter(|verdict| verdict.is_bad()).map(|verdict| verdict.severity).max() {
        Some(Severity::Critical) => Exit::Critical,
        Some(Severity::Warning) => Exit::Warning,
        None => Exit::Ok,
    }
}

/// Tells of each source that could not be read: never taken for one without errors. Whether there is any.
fn tell_failed(failed: Vec<Unread>, run: &Run) -> bool {
    let is_any = !failed.is_empty();
    for Unread { name, why, is_in_part } in failed {
        let failure = Failure::from(why);
        let how_far = if is_in_part { " to its end" } else { "" };
        run.problem(Problem {
            id: format!("logwatch.source.{name}"),
            severity: Severity::Critical,
            title: format!("the log of {name} cannot be read{how_far}"),
            text: failure.message(),
            hint: failure.hint(),
            after: 1,
        });
        run.warn(failure.notice());
    }
    is_any
}
