//! Making the server take a new pair: in its container, or by a program of this machine.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use shipshape_core::child::{ChildError, Command};
use shipshape_core::clock::Stopwatch;
use shipshape_core::signal;
use shipshape_core::stack::{Call, Instance, ServiceState, Stack, StackError};

use super::{DeployError, Taker};
use crate::wanted::UseBy;

/// How long a program may take to try a configuration, or to take a pair. `nginx -t` resolves the names of upstreams, each
/// with its time-outs.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long to wait for a copy that is on its way up or down.
const SETTLING: Duration = Duration::from_secs(10);

/// How often to look whether it has got there.
const PAUSE: Duration = Duration::from_millis(200);

/// How much of standard output is kept, in bytes: for programs that say there what is wrong.
const KEPT: u64 = 16 << 10;

/// How many lines of a refusal are quoted: the last ones say why.
const QUOTED_LINES: usize = 5;

/// The longest quotation, in characters.
const LONGEST: usize = 600;

/// What serves a certificate.
pub(crate) struct Server<'a> {
    /// How.
    pub(crate) use_by: &'a UseBy,
    /// By which services.
    pub(crate) takers: &'a [Taker],
    /// The application, where it has a service that serves.
    pub(crate) stack: Option<&'a dyn Stack>,
}

/// What came of trying the server's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It takes it, or there is nothing to try. Of several services those that do not run are named: they will read the
    /// new pair when they start.
    Good {
        /// Their names.
        idle: Vec<String>,
    },
    /// None of the services runs: they will read the new pair when they start.
    NotRunning,
    /// It does not; in its own words, bounded.
    Bad(String),
}

/// What came of a program in one copy of the service.
enum Ran {
    Well,
    /// In its own words.
    Badly(String),
    /// The copy ended meanwhile: whatever starts in its place reads the pair anew.
    Gone,
}

/// A service, and the application that has it.
struct Place<'a> {
    stack: &'a dyn Stack,
    service: &'a str,
}

impl<'a> Server<'a> {
    /// Tries the configuration (`nginx -t`) in every copy of each service that runs: all of them before the first is told to
    /// take anything.
    pub(crate) fn test(&self) -> Result<Tried, DeployError> {
        let mut idle = Vec::new();
        for place in self.places()? {
            match place.test(&self.use_by.test)? {
                Tried::Good { .. } => {}
                Tried::NotRunning => idle.push(place.service.to_owned()),
                Tried::Bad(words) if self.takers.len() > 1 => {
                    return Ok(Tried::Bad(format!("{}: {words}", place.service)));
                }
                bad @ Tried::Bad(_) => return Ok(bad),
            }
        }
        let none_runs = !idle.is_empty() && idle.len() == self.takers.len();
        Ok(if none_runs { Tried::NotRunning } else { Tried::Good { idle } })
    }

    /// Makes every copy that runs take the pair (`nginx -s reload`), then the program of this machine. One that refuses
    /// does not keep the others from it; the first refusal is told.
    pub(crate) fn reload(&self) -> Result<(), DeployError> {
        let in_services = self.reload_services();
        let here = self.run_command();
        in_services.and(here)
    }

    fn places(&self) -> Result<Vec<Place<'a>>, DeployError> {
        let place = |taker: &'a Taker| match self.stack {
            Some(stack) => Ok(Place { stack, service: &taker.service }),
            None => Err(DeployError::NoApplication { service: taker.service.clone() }),
        };
        self.takers.iter().map(place).collect()
    }

    fn reload_services(&self) -> Result<(), DeployError> {
        if self.use_by.reload.is_empty() {
            return Ok(());
        }
        let reload = |place: &Place<'_>| {
            let copies = place.settled(SETTLING)?;
            let all: Vec<_> = copies.iter().map(|copy| place.reload(copy, &self.use_by.reload)).collect();
            all.into_iter().collect()
        };
        let all: Vec<Result<(), DeployError>> = self.places()?.iter().map(reload).collect();
        all.into_iter().collect()
    }

    fn run_command(&self) -> Result<(), DeployError> {
        let [program, args @ ..] = self.use_by.command.as_slice() else { return Ok(()) };
        let stream = Command::new(program, args).deadline(DEADLINE).stream();
        let ended = stream.and_then(|mut stream| {
            // What it writes is for nobody, and must not block it. How it ended, `finish` tells.
            let _ = io::copy(&mut stream, &mut io::sink());
            stream.finish()
        });
        ended.map(drop).map_err(|refused| match refused {
            ChildError::Interrupted(_) => DeployError::Stack(refused.into()),
            refused => DeployError::Command(refused),
        })
    }
}

impl Place<'_> {
    /// Tries it in every copy that runs, if there is anything to try.
    fn test(&self, argv: &[String]) -> Result<Tried, DeployError> {
        let mut tried = Tried::NotRunning;
        for copy in self.copies()? {
            if copy.state != ServiceState::Running {
                continue;
            }
            if argv.is_empty() {
                return Ok(Tried::Good { idle: Vec::new() });
            }
            match self.run(&copy, argv, "test")? {
                Ran::Well => tried = Tried::Good { idle: Vec::new() },
                Ran::Badly(why) => return Ok(Tried::Bad(why)),
                Ran::Gone => {}
            }
        }
        Ok(tried)
    }

    fn copies(&self) -> Result<Vec<Instance>, StackError> {
        self.stack.instances(self.service)
    }

    /// All copies, once none is on its way up or down, or that takes too long.
    fn settled(&self, patience: Duration) -> Result<Vec<Instance>, StackError> {
        let watch = Stopwatch::start();
        loop {
            let copies = self.copies()?;
            let is_settled = copies.iter().all(|copy| copy.state != ServiceState::Changing);
            if is_settled || watch.elapsed() > patience {
                return Ok(copies);
            }
            signal::check().map_err(ChildError::from)?;
            thread::sleep(PAUSE);
        }
    }

    fn reload(&self, copy: &Instance, argv: &[String]) -> Result<(), DeployError> {
        let idle = |state| DeployError::Idle { instance: copy.name.clone(), state };
        match copy.state {
            ServiceState::Running => match self.run(copy, argv, "reload")? {
                Ran::Well | Ran::Gone => Ok(()),
                Ran::Badly(why) => Err(DeployError::Refused { instance: copy.name.clone(), why }),
            },
            // It will read the pair when it starts.
            ServiceState::Stopped | ServiceState::Failed => Ok(()),
            ServiceState::Changing => Err(idle("restarting")),
            // It holds the old pair in memory, and will go on with it.
            ServiceState::Paused => Err(idle("paused")),
        }
    }

    fn run(&self, copy: &Instance, argv: &[String], key: &'static str) -> Result<Ran, DeployError> {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let call = Call { instance: Some(&copy.id), deadline: DEADLINE, ..Call::new(self.service, &words) };
        let mut said = Vec::new();
        let ended = self.stack.exec(call).and_then(|mut exec| {
            let read = (&mut exec).take(KEPT).read_to_end(&mut said);
            let _ = read.and_then(|_| io::copy(&mut exec, &mut io::sink()));
            exec.finish().map_err(StackError::from)
        });
        let Err(refused) = ended else { return Ok(Ran::Well) };
        if self.is_gone(copy) {
            return Ok(Ran::Gone);
        }
        match refused {
            StackError::Child(cause) if is_missing(&cause) => Err(DeployError::NoProgram {
                program: words.first().copied().unwrap_or_default().to_owned(),
                service: self.service.to_owned(),
                key,
            }),
            StackError::Child(ChildError::Failed { stderr, .. }) => Ok(Ran::Badly(quoted(&stderr, &said))),
            refused => Err(refused.into()),
        }
    }

    /// Whether it does not run any more. Where nobody knows, what was refused is told.
    fn is_gone(&self, copy: &Instance) -> bool {
        let is_it = |now: &Instance| now.id == copy.id && now.state == ServiceState::Running;
        self.copies().is_ok_and(|copies| !copies.iter().any(is_it))
    }
}

/// Whether the program itself is not there. In a container that is told by the status, as a shell does it: 126 and 127
/// (docs.docker.com, "docker container exec").
fn is_missing(cause: &ChildError) -> bool {
    match cause {
        ChildError::Missing { .. } => true,
        ChildError::Failed { status, .. } => matches!(status.code(), Some(126 | 127)),
        ChildError::Deadline { .. }
        | ChildError::Input { .. }
        | ChildError::TooMuch { .. }
        | ChildError::Io { .. }
        | ChildError::Interrupted(_) => false,
    }
}

/// The last lines of what it said, in one.
fn quoted(stderr: &str, stdout: &[u8]) -> String {
    let stdout = String::from_utf8_lossy(stdout);
    let said = if stderr.trim().is_empty() { &stdout } else { stderr };
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(QUOTED_LINES)..].join(" | ");
    let told: String =
        last.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LONGEST).collect();
    if told.is_empty() { "it says nothing".to_owned() } else { told }
}

#[cfg(test)]
mod tests;
