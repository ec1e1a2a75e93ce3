//! A service that waits for word of a job, and tells people itself when none comes: healthchecks.io and those like it.
//!
//! It hears of every run, whatever the machine decides: its business is to notice that there was none.

use super::{Delivered, Task};
use crate::alert::message::cut;
use crate::config::Place;
use crate::redact::redact;

/// The longest body, in characters: the services keep 10 kB at least.
const LONGEST_BODY: usize = 2000;

/// A ping URL.
#[derive(Clone, Debug)]
pub(in crate::alert) struct Ping {
    /// Where it is.
    pub(in crate::alert) to: Place,
}

/// What a ping says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alert) enum Word {
    /// The job has started.
    Start,
    /// It was done.
    Done,
    /// It failed.
    Fail,
    /// Nothing about the job: an entry in the service's log that changes no state.
    Log,
}

impl Word {
    fn path(self) -> &'static str {
        match self {
            Self::Start => "/start",
            Self::Done => "",
            Self::Fail => "/fail",
            Self::Log => "/log",
        }
    }
}

impl Ping {
    /// The ping as a task.
    pub(in crate::alert) fn task(&self, word: Word, body: &str) -> Task {
        let (ping, body) = (self.clone(), cut(&redact(body), LONGEST_BODY));
        Box::new(move || ping.deliver(word, &body))
    }

    fn deliver(&self, word: Word, body: &str) -> Delivered {
        let url = with_path(&self.to.resolve()?, word.path());
        self.to.post(&url, "text/plain; charset=utf-8", body.as_bytes())?;
        Ok(None)
    }
}

/// The path goes before what asks.
fn with_path(url: &str, path: &str) -> String {
    let (place, query) =
        url.split_once('?').map_or((url, String::new()), |(place, query)| (place, format!("?{query}")));
    if path.is_empty() { url.to_owned() } else { format!("{}{path}{query}", place.trim_end_matches('/')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_behind_the_path_and_before_the_query() {
        assert_eq!(with_path("https://h/id", "/fail"), "https://h/id/fail");
        assert_eq!(with_path("https://h/id/?create=1", "/start"), "https://h/id/start?create=1");
        assert_eq!(with_path("https://h/id/?create=1", ""), "https://h/id/?create=1");
    }
}
