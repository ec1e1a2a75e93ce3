//! The alerts of one run: load what is known, observe, decide, deliver, keep.
//!
//! Nothing here fails a run. What cannot be delivered is told on standard error, tried again at the next run, and stands as
//! a warning in that run's report, where it changes neither verdict nor exit status: the job was done all the same. What
//! cannot be kept is told too; the worst that comes of it is that somebody hears the same thing twice.

use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::judge::{self, OF_ALERTS};
use super::machine::{Event, Rules, State};
use super::message::{About, Message};
use super::sinks::{self, Delivered, Ping, Sink, Task, Word, all_in_time};
use super::{Job, Problem};
use crate::cli::CommonArgs;
use crate::config::{AlertSection, Config};
use crate::error::{Failure, chain};
use crate::exit::Exit;
use crate::lock::Lock;
use crate::name;
use crate::output;
use crate::redact::redact;
use crate::report::{Notice, Report};
use crate::state::{Loaded, StateDir, StateError};

/// How long the word that a job has started may take beyond the job itself.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// How long another run's alerts are waited for: they take no longer themselves.
const LOCK_PATIENCE: Duration = Duration::from_secs(12);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The alerts of one run, from its start on.
pub struct Round {
    job: Job,
    section: AlertSection,
    /// The host under the name that its owner gave it.
    host: String,
    /// The words that the job has started, on their way.
    starts: Vec<Receiver<Delivered>>,
}

impl Round {
    /// Begins: tells those who wait for word of this job that it has started.
    pub fn begin(job: Job, config: &Config) -> Self {
        let host = config.host(None);
        let mut round = Self { job, section: config.alert.clone(), host, starts: Vec::new() };
        round.starts = round.pings().iter().map(|ping| sinks::begin(ping.task(Word::Start, ""))).collect();
        round
    }

    fn pings(&self) -> Vec<Ping> {
        let of_this_job = self.section.ping.iter().filter(|ping| ping.job == self.job.name);
        of_this_job.map(|ping| Ping { to: ping.to.clone() }).collect()
    }

    /// What earlier runs could not deliver or keep, for the report of this one.
    pub fn left_over(&self, common: &CommonArgs, tool: &str, app: Option<&str>) -> Vec<Notice> {
        if !self.section.tells_somebody() {
            return Vec::new();
        }
        let Ok(state) = StateDir::open(common) else { return Vec::new() };
        match state.read_json::<State>(&file_name(tool, app)) {
            Ok(Loaded::Found(known)) => known.failures.iter().map(|(sink, why)| undelivered(sink, why)).collect(),
            Ok(Loaded::Corrupt { kept }) => {
                let message = format!("what was known of alerts made no sense and was put aside as {}", kept.display());
                let hint = "what is wrong is told anew; that something is over may go untold";
                vec![Notice::new(&format!("{OF_ALERTS}state_lost"), message, hint)]
            }
            Ok(Loaded::Absent) | Err(_) => Vec::new(),
        }
    }

    /// Ends: tells who is to be told, and remembers what was delivered.
    pub fn end(self, common: &CommonArgs, report: &Report, own: Vec<Problem>, now: DateTime<Utc>) {
        for start in &self.starts {
            tell_failure(&report.tool, "ping", &sinks::finish(start, START_PATIENCE));
        }
        let word = if report.exit_code <= Exit::Warning.number() { Word::Done } else { Word::Fail };
        let pings: Vec<Task> = self.pings().iter().map(|ping| ping.task(word, &report.summary)).collect();
        if !self.section.tells_somebody() {
            for result in all_in_time(pings) {
                tell_failure(&report.tool, "ping", &result);
            }
            return;
        }
        let store = StateDir::open(common);
        // Two runs at once would each tell, and one would forget what the other has told.
        let _lock =
            store.as_ref().ok().and_then(|state| patient_lock(state, &file_name(&report.tool, report.app.as_deref())));
        let mut known = store.as_ref().map(|state| load(state, report)).unwrap_or_default();
        self.tell(&mut known, pings, report, own, now);
        let kept = store.and_then(|state| keep(&state, report, &known));
        if let Err(error) = kept {
            say(&report.tool, &format!("what was told is not kept, and may be told again: {}", Failure::from(error)));
        }
    }

    fn tell(&self, known: &mut State, pings: Vec<Task>, report: &Report, own: Vec<Problem>, now: DateTime<Utc>) {
        let rules = self.rules();
        known.observe(&judge::observe(&self.job, report, own), &rules, now);
        let all = Sink::all(&self.section, &self.host);
        let about = About { host: &self.host, report };
        let news = all.iter().map(|sink| (sink, known.news(&sink.name, &rules, now)));
        let (due, idle): (Vec<(&Sink, Vec<Event>)>, Vec<_>) = news.partition(|(_, events)| !events.is_empty());
        // Whoever has nothing to be told any more has not failed to be told.
        for (sink, _) in idle {
            known.delivered(&sink.name, &[], now);
        }
        let letters = due.iter().map(|(sink, events)| sink.task(Message::of(events, &about)));
        let mut results = all_in_time(letters.chain(pings).collect()).into_iter();
        for ((sink, events), result) in due.iter().zip(results.by_ref()) {
            tell_failure(&report.tool, &sink.name, &result);
            match result {
                Ok(_) => known.delivered(&sink.name, events, now),
                Err(error) => known.not_delivered(&sink.name, &redact(&chain(&error))),
            }
        }
        for result in results {
            tell_failure(&report.tool, "ping", &result);
        }
        known.tidy(&all.iter().map(|sink| sink.name.clone()).collect::<BTreeSet<_>>());
    }

    fn rules(&self) -> Rules {
        let AlertSection { after, clear_after, remind, .. } = &self.section;
        Rules { after: *after, clear_after: *clear_after, remind: remind.clone() }
    }
}

fn undelivered(sink: &str, why: &str) -> Notice {
    let message = format!("the last run could not tell through {sink}: {why}");
    Notice::new(&format!("{OF_ALERTS}undelivered"), message, "try it: --test-alert")
}

fn file_name(tool: &str, app: Option<&str>) -> String {
    let app = app.map(|app| format!("-{}", name::mend(app, "app"))).unwrap_or_default();
    format!("alert-{tool}{app}.json")
}

/// What is known; with it, what runs have left that failed before they knew the name of their application.
fn load(state: &StateDir, report: &Report) -> State {
    let mut known = read(state, report, report.app.as_deref());
    if report.app.is_some() {
        known.adopt(read(state, report, None));
    }
    known
}

fn read(state: &StateDir, report: &Report, app: Option<&str>) -> State {
    match state.read_json(&file_name(&report.tool, app)) {
        Ok(Loaded::Found(known)) => known,
        Ok(Loaded::Absent) => State::default(),
        Ok(Loaded::Corrupt { kept }) => {
            say(&report.tool, &format!("what was known of alerts made no sense: {}", kept.display()));
            State::default()
        }
        Err(error) => {
            say(&report.tool, &format!("what was told is not known, and may be told again: {}", Failure::from(error)));
            State::default()
        }
    }
}

fn keep(state: &StateDir, report: &Report, known: &State) -> Result<(), StateError> {
    state.write_json(&file_name(&report.tool, report.app.as_deref()), known)?;
    let nameless = file_name(&report.tool, None);
    if report.app.is_some() && state.path().join(&nameless).exists() {
        // It was taken over; only now is it safe to forget it there.
        state.write_json(&nameless, &State::default())?;
    }
    Ok(())
}

/// The lock, or none where another run does not let go of it: telling twice is better than not at all.
fn patient_lock(state: &StateDir, name: &str) -> Option<Lock> {
    for _ in 0..LOCK_PATIENCE.as_millis() / LOCK_PAUSE.as_millis() {
        match state.lock(name) {
            Ok(lock) => return Some(lock),
            Err(crate::lock::LockError::Held { .. }) => thread::sleep(LOCK_PAUSE),
            Err(crate::lock::LockError::Open { .. }) => return None,
        }
    }
    None
}

/// To the person, or to cron's mail: an alert that does not arrive must not vanish without a word.
fn tell_failure(tool: &str, sink: &str, result: &Delivered) {
    match result {
        Ok(None) => {}
        Ok(Some(note)) => say(tool, &format!("the alert through {sink} did not reach all: {note}")),
        Err(error) => say(tool, &format!("the alert through {sink} was not delivered: {}", chain(error))),
    }
}

fn say(tool: &str, line: &str) {
    output::tell(&redact(&format!("{tool}: {line}")));
}
