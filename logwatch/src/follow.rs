//! `logwatch follow`: the same judgement as lines arrive, until interrupted. It looks, and remembers nothing: the next run
//! of cron still finds every line.

mod copies;
mod stream;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::json;
use shipshape_core::config::{App, Config};
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::{clock, signal};

use crate::cli::{SourceArgs, WatchArgs};
use crate::counted;
use crate::examine::{Criteria, Judged};
use crate::explain::Printer;
use crate::level::Level;
use crate::look::{self, Onlooker, Reading};
use crate::sources::{Cursor, STDIN, Source, SourceError, Start, plan};
use crate::state::{Access, Opened, State};
use crate::watch::Terms;
use copies::Copies;
use stream::Stream;
use window::Window;

/// How long it waits between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows until somebody interrupts it, or all that it follows has ended.
pub(crate) fn follow(args: &WatchArgs, config: &Config, app: &App, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let mut terms = Terms::new(&args.sources, config, 0, run)?;
    terms.settings.max_errors = args.max_errors;
    // All are told apart where all are shown.
    terms.criteria.told_apart = (!args.explain).then_some(Level::Warning);
    let Opened { state, key, notices, .. } = Opened::of(run.common(), &app.name, Access::Look)?;
    for notice in notices {
        run.warn(notice);
    }
    terms.criteria.key = key;
    let mut sources = followed(&args.sources, config, app)?;
    let has_copies = sources.iter_mut().any(|source| plan::is_copy(source.as_source()));
    let mut copies = has_copies.then(|| Copies::of(&args.sources, config, app));
    let mut printer = Printer::new(run.common());
    let mut follower = Follower { cursors: BTreeMap::new(), silent: BTreeSet::new(), is_under_way: false, terms };
    let mut window = Window::new(state, run.started());
    while signal::check().is_ok() {
        // Where copies of services are followed, others may come when all are gone.
        let mut is_over = copies.is_none();
        for source in &mut sources {
            is_over &= source.has_ended();
            if let Some(reading) = follower.look(source.as_source(), &mut window.state, &mut printer)? {
                window.add(reading.count);
            }
        }
        window.judge(&follower.terms.settings, clock::now(), &mut printer);
        printer.flush();
        if is_over {
            break;
        }
        follower.is_under_way = true;
        thread::sleep(PAUSE);
        if let Some(copies) = &mut copies {
            copies.renew(&mut sources, &mut printer);
        }
    }
    drop(printer);
    Ok(window.conclude(&follower.terms.settings, clock::now()))
}

/// A source that is followed.
enum Followed {
    /// One that is opened anew each time.
    Opened(Box<dyn Source>),
    /// One that can be read only once.
    Stream(Stream),
}

impl Followed {
    fn as_source(&mut self) -> &mut dyn Source {
        match self {
            Self::Opened(source) => source.as_mut(),
            Self::Stream(stream) => stream,
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self, Self::Stream(stream) if stream.has_ended())
    }
}

/// What is followed: as a run would read, but standard input as it comes.
fn followed(args: &SourceArgs, config: &Config, app: &App) -> Result<Vec<Followed>, Failure> {
    let stdin = Path::new("-");
    let mut others = args.clone();
    others.files.retain(|file| file != stdin);
    let mut followed = Vec::new();
    if others.files.len() < args.files.len() {
        followed.push(Followed::Stream(Stream::begin(std::io::stdin())));
        if others.files.is_empty() && others.service.is_empty() && others.unit.is_empty() {
            return Ok(followed);
        }
    }
    let as_it_comes = |source: Box<dyn Source>| match source.key() {
        // Nothing was named, and something is piped in.
        key if key == STDIN => Followed::Stream(Stream::begin(std::io::stdin())),
        _ => Followed::Opened(source),
    };
    followed.extend(plan::plan(&others, config, app, true)?.into_iter().map(as_it_comes));
    Ok(followed)
}

/// A source that cannot be read for now, as a line.
fn unreadable(source: &str, error: &SourceError, is_for_people: bool) -> String {
    let why = shipshape_core::error::chain(error);
    if is_for_people {
        format!("== {source}: {why}")
    } else {
        json!({ "event": "unreadable", "source": source, "text": why }).to_string()
    }
}

/// Where each source was left, in this run alone.
struct Follower {
    cursors: BTreeMap<String, Cursor>,
    /// Sources that could not be read the last time: told once.
    silent: BTreeSet<String>,
    /// Whether all sources were looked at once: what cannot be read from then on ends nothing.
    is_under_way: bool,
    terms: Terms,
}

impl Follower {
    /// Looks at a source once more. One that cannot be read the first time is an error; later it is told, and tried again:
    /// a service that is being restarted comes back.
    fn look(
        &mut self,
        source: &mut dyn Source,
        state: &mut State,
        printer: &mut Printer,
    ) -> Result<Option<Reading>, SourceError> {
        let key = source.key();
        let shown = self.terms.criteria.told_apart;
        let mut show = |name: &str, judged: &Judged<'_>| {
            if judged.judgement.level >= shown {
                printer.record(name, judged, counted::template_of(judged, &mut state.templates));
            }
        };
        let onlooker: &mut Onlooker<'_> = &mut show;
        let now = clock::now();
        let start = Start { now, ..self.terms.start };
        let criteria = Criteria { now, ..self.terms.criteria.clone() };
        match look::read(source, self.cursors.get(&key), &start, &criteria, Some(onlooker)) {
            Ok(mut reading) => match (reading.cursor.take(), reading.failure.take()) {
                (Some(cursor), failure) => {
                    self.cursors.insert(key.clone(), cursor);
                    match failure {
                        Some(failure) => self.tell(&key, source.name(), &failure, printer),
                        None => drop(self.silent.remove(&key)),
                    }
                    Ok(Some(reading))
                }
                (None, Some(error)) => self.endure(&key, source.name(), error, printer),
                (None, None) => Ok(Some(reading)),
            },
            Err(error) => self.endure(&key, source.name(), error, printer),
        }
    }

    /// A source that could not be read: an error, if it is among the first ones and never could.
    fn endure(
        &mut self,
        key: &str,
        name: &str,
        error: SourceError,
        printer: &mut Printer,
    ) -> Result<Option<Reading>, SourceError> {
        if !self.cursors.contains_key(key) && !self.is_under_way {
            return Err(error);
        }
        self.tell(key, name, &error, printer);
        Ok(None)
    }

    /// Tells once that a source cannot be read.
    fn tell(&mut self, key: &str, name: &str, error: &SourceError, printer: &mut Printer) {
        if self.silent.insert(key.to_owned()) {
            printer.line(&unreadable(name, error, printer.is_for_people()));
        }
    }
}
