//! The ways out: mail, webhooks, pings. Each call ends within [`DEADLINE`], whatever the other side does.

mod mail;
mod ping;
mod web;
mod webhook;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::message::Message;
use crate::clock::Stopwatch;
use crate::config::AlertSection;
use crate::http::HttpError;
use crate::secret::SecretError;

pub(super) use ping::{Ping, Word};

/// How long a run waits for all its sinks together.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long one step on the way may take, so that a sink mostly says itself what it waited for.
const STEP: Duration = Duration::from_secs(9);

/// How the sink of `[alert.mail]` is called.
const MAIL: &str = "mail";

/// Why a message was not delivered. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    /// The password or the URL cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The URL cannot be used.
    #[error("{reason}")]
    Url {
        /// Why.
        reason: &'static str,
    },
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is a refusal.
    #[error("{host} answered with {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// The server.
        host: String,
        /// The status of its answer.
        status: u16,
        /// The first words of it.
        said: String,
    },
    /// The file of authorities cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The mail server did not take it.
    #[error("cannot send mail through {server}")]
    Mail {
        /// The server with its port.
        server: String,
        /// Why.
        source: lettre::transport::smtp::Error,
    },
    /// The mail cannot be put together.
    #[error("cannot put the mail together")]
    Letter {
        /// Why.
        #[from]
        source: lettre::error::Error,
    },
    /// It took too long.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
}

/// What became of a message that was delivered: nothing to say, or what went wrong beside it.
pub(super) type Delivered = Result<Option<String>, SinkError>;

/// Someone who is told of problems.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    /// Its name in reports and in the state.
    pub(super) name: String,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Mail(Box<mail::Mail>),
    Webhook(webhook::Webhook),
}

impl Sink {
    /// All that the configuration names.
    pub(super) fn all(section: &AlertSection, host: &str) -> Vec<Self> {
        let mail = section.mail.iter().map(|mail| Self {
            name: MAIL.to_owned(),
            way: Way::Mail(Box::new(mail::Mail { section: mail.clone(), host: host.to_owned() })),
        });
        let webhooks = section.webhook.iter().map(|webhook| Self {
            name: format!("webhook {}", webhook.name),
            way: Way::Webhook(webhook::Webhook { kind: webhook.kind, to: webhook.to.clone() }),
        });
        mail.chain(webhooks).collect()
    }

    fn deliver(&self, message: &Message) -> Delivered {
        match &self.way {
            Way::Mail(mail) => mail.deliver(message),
            Way::Webhook(webhook) => webhook.deliver(message).map(|()| None),
        }
    }

    /// The delivery as a task for [`all_in_time`].
    pub(super) fn task(&self, message: Message) -> Task {
        let sink = self.clone();
        Box::new(move || sink.deliver(&message))
    }
}

/// Something to deliver.
pub(super) type Task = Box<dyn FnOnce() -> Delivered + Send>;

/// Carries out all tasks at once and returns what became of each, in their order, after [`DEADLINE`] at the latest.
///
/// A thread that hangs is left behind: it dies with the process, which is about to end.
pub(super) fn all_in_time(tasks: Vec<Task>) -> Vec<Delivered> {
    all_within(DEADLINE, tasks)
}

fn all_within(deadline: Duration, tasks: Vec<Task>) -> Vec<Delivered> {
    let watch = Stopwatch::start();
    let under_way: Vec<_> = tasks.into_iter().map(begin).collect();
    let rest = || deadline.saturating_sub(watch.elapsed());
    under_way.into_iter().map(|answer| answer.recv_timeout(rest()).unwrap_or(Err(SinkError::Deadline))).collect()
}

/// Carries out a task beside everything else.
pub(super) fn begin(task: Task) -> mpsc::Receiver<Delivered> {
    let (tell, answer) = mpsc::channel();
    thread::spawn(move || tell.send(task()));
    answer
}

/// What became of a task that was begun, after so long at the latest.
pub(super) fn finish(under_way: &mpsc::Receiver<Delivered>, patience: Duration) -> Delivered {
    under_way.recv_timeout(patience).unwrap_or(Err(SinkError::Deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_hangs_does_not_keep_the_others_from_being_heard() {
        let hang: Task = Box::new(|| {
            thread::sleep(Duration::from_secs(60));
            Ok(None)
        });
        let watch = Stopwatch::start();
        let results = all_within(Duration::from_millis(300), vec![hang, Box::new(|| Ok(None))]);
        assert!(matches!(results[..], [Err(SinkError::Deadline), Ok(None)]));
        assert!(watch.elapsed() < DEADLINE);
    }

    #[test]
    fn sinks_have_the_names_that_the_owner_knows() {
        let text =
            "[mail]\nhost = 'localhost'\nfrom = 'a@h'\nto = ['b@h']\n[[webhook]]\nkind = 'slack'\nurl = 'https://h/'";
        let sinks = Sink::all(&toml::from_str(text).unwrap(), "vps1");
        assert_eq!(sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>(), ["mail", "webhook slack"]);
    }
}
