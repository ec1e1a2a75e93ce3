//! The copies of services that are followed: some come later, some are made anew, some go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use shipshape_core::clock::Stopwatch;
use shipshape_core::config::{App, Config};

use super::Followed;
use crate::cli::SourceArgs;
use crate::explain::Printer;
use crate::sources::{Source, plan};

/// How often the stack is asked: each time costs a few programs.
const EVERY: Duration = Duration::from_secs(5);

/// Who knows which copies there are.
pub(super) struct Copies<'a> {
    args: &'a SourceArgs,
    config: &'a Config,
    app: &'a App,
    asked: Stopwatch,
}

/// What has changed among the copies that are followed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    come: Vec<String>,
    gone: Vec<String>,
}

impl<'a> Copies<'a> {
    /// Of the application, as these sources were planned just now.
    pub(super) fn of(args: &'a SourceArgs, config: &'a Config, app: &'a App) -> Self {
        Self { args, config, app, asked: Stopwatch::start() }
    }

    /// From time to time asks the stack which copies there are, and follows these. As long as it does not answer, those that
    /// were there are followed on.
    pub(super) fn renew(&mut self, followed: &mut Vec<Followed>, printer: &mut Printer) {
        if self.asked.elapsed() < EVERY {
            return;
        }
        if let Ok(there) = plan::copies(self.args, self.config, self.app) {
            let changes = take_over(followed, there);
            changes.come.iter().for_each(|name| say(printer, "added", name));
            changes.gone.iter().for_each(|name| say(printer, "gone", name));
        }
        // Only now: an engine that is slow to answer is not asked all the time.
        self.asked = Stopwatch::start();
    }
}

/// Puts the copies that there are now in the places of those that were followed. One that was made anew has the key of the
/// one before it, and so goes on where that was left.
fn take_over(followed: &mut Vec<Followed>, there: Vec<Box<dyn Source>>) -> Changes {
    let mut changes = Changes::default();
    let mut there: BTreeMap<String, Box<dyn Source>> = there.into_iter().map(|one| (one.key(), one)).collect();
    followed.retain_mut(|one| {
        let Followed::Opened(source) = one else { return true };
        if !plan::is_copy(source.as_ref()) {
            return true;
        }
        let now = there.remove(&source.key());
        let is_there = now.is_some();
        match now {
            Some(now) => *source = now,
            None => changes.gone.push(source.name().to_owned()),
        }
        is_there
    });
    changes.come.extend(there.values().map(|source| source.name().to_owned()));
    followed.extend(there.into_values().map(Followed::Opened));
    changes
}

fn say(printer: &mut Printer, event: &str, source: &str) {
    let line = if printer.is_for_people() {
        format!("== {event}: {source}")
    } else {
        json!({ "event": event, "source": source }).to_string()
    };
    printer.line(&line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Marks;
    use crate::sources::{Cursor, Opened, SourceError, Start};

    struct Named(&'static str);

    impl Source for Named {
        fn name(&self) -> &str {
            self.0.split_once(':').map_or(self.0, |(_, name)| name)
        }

        fn key(&self) -> String {
            self.0.to_owned()
        }

        fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
            Err(SourceError::Empty)
        }

        fn close(&mut self, _: u64, _: Marks) -> Result<Cursor, SourceError> {
            Err(SourceError::Empty)
        }
    }

    fn boxed(keys: &[&'static str]) -> Vec<Box<dyn Source>> {
        keys.iter().map(|key| Box::new(Named(key)) as Box<dyn Source>).collect()
    }

    #[test]
    fn copies_that_come_are_followed_those_that_go_are_not_and_files_stay() {
        let mut followed: Vec<Followed> =
            boxed(&["file:/x", "container:app-1", "container:app-2"]).into_iter().map(Followed::Opened).collect();
        let changes = take_over(&mut followed, boxed(&["container:app-3", "container:app-1"]));
        assert_eq!((changes.come, changes.gone), (vec!["app-3".to_owned()], vec!["app-2".to_owned()]));
        let keys: Vec<String> = followed.iter_mut().map(|one| one.as_source().key()).collect();
        assert_eq!(keys, ["file:/x", "container:app-1", "container:app-3"]);
        assert_eq!(take_over(&mut followed, boxed(&["container:app-3", "container:app-1"])), Changes::default());
        assert_eq!(take_over(&mut followed, Vec::new()).gone, ["app-1", "app-3"]);
        assert_eq!(followed.len(), 1);
    }
}
