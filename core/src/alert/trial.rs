//! A trial: whether alerts would arrive, seen by sending one.

use std::path::PathBuf;

use super::message::{About, Message};
use super::sinks::{Delivered, Ping, Sink, Task, Word, all_in_time};
use crate::config::Config;
use crate::error::{Explain, chain};
use crate::exit::Exit;
use crate::redact::redact;
use crate::report::Report;

/// Why nothing can be tried.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// Nobody is named.
    #[error("nobody is told: no [alert.mail], [[alert.webhook]] or [[alert.ping]] {}", within(path.as_ref()))]
    NoSink {
        /// The configuration that was read, if any.
        path: Option<PathBuf>,
    },
}

fn within(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "without a configuration file".to_owned(), |path| format!("in {}", path.display()))
}

impl Explain for AlertError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSink { .. } => "alert.no_sink",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoSink { .. } => {
                "name somebody in shipshape.toml: [alert.mail] with host, from = \"…\" and to = [\"…\"]".to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoSink { .. } => Exit::Unknown,
        }
    }
}

/// What became of the trial of one sink.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its name.
    pub sink: String,
    /// Whether it took the message.
    pub delivered: bool,
    /// What went wrong, or who was left out though it was delivered.
    pub error: Option<String>,
}

/// Sends a message that is marked as a test through every sink.
///
/// A ping goes to the service's log (`/log`), so that it neither alarms anybody nor passes for a run of the job.
///
/// # Errors
/// Fails when no sink is configured.
pub fn send(config: &Config, report: &Report) -> Result<Vec<Tried>, AlertError> {
    let (names, tasks): (Vec<String>, Vec<Task>) = ways(config, report).into_iter().unzip();
    if names.is_empty() {
        return Err(AlertError::NoSink { path: config.path.clone() });
    }
    Ok(names.into_iter().zip(all_in_time(tasks)).map(|(sink, result)| tried(sink, result)).collect())
}

fn ways(config: &Config, report: &Report) -> Vec<(String, Task)> {
    let host = config.host(None);
    let message = Message::test(&About { host: &host, report });
    let sinks = Sink::all(&config.alert, &host).into_iter().map(|sink| (sink.name.clone(), sink.task(message.clone())));
    let pings = config.alert.ping.iter().map(|ping| {
        let task = Ping { to: ping.to.clone() }.task(Word::Log, &message.subject);
        (format!("ping {}", ping.job), task)
    });
    sinks.chain(pings).collect()
}

fn tried(sink: String, result: Delivered) -> Tried {
    let delivered = result.is_ok();
    let error = match result {
        Ok(note) => note,
        Err(error) => Some(chain(&error)),
    };
    Tried { sink, delivered, error: error.map(|error| redact(&error).into_owned()) }
}
