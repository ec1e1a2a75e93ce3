//! dns-01: a program of the owner sets TXT records; its protocol is in the manual.
//!
//! ```text
//! PROGRAM present RECORD VALUE     adds VALUE to what RECORD (_acme-challenge.example.com) shows
//! PROGRAM cleanup RECORD VALUE     takes it away again, and only it
//! ```
//! `SHIPSHAPE_DOMAIN` tells the name without `_acme-challenge.`; variables of our own environment whose names begin with
//! `SHIPSHAPE_HOOK_` are passed on, and nothing else. A record may have to show several values at once: those of
//! `example.com` and `*.example.com` stand under one name (RFC 8555, 8.4).

mod zone;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::Access;
use shipshape_core::child::{ChildError, Command};
use shipshape_core::clock::Stopwatch;
use shipshape_core::error;
use shipshape_core::signal::{self, Interrupted};

use super::error::by_hand;
use super::{ChallengeError, Proof, Shown};
use zone::Zones;

/// What stands before a name (RFC 8555, 8.4).
const LABEL: &str = "_acme-challenge.";

/// How the variables begin that are the hook's: where its keys lie, which server it speaks to.
const ITS_VARIABLES: &str = "SHIPSHAPE_HOOK_";

/// How long a hook may take for one record: some providers answer after minutes.
const DEADLINE: Duration = Duration::from_secs(300);

/// The first pause between two looks at a record, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How often a pause looks whether we were asked to stop.
const SLICE: Duration = Duration::from_millis(100);

/// How much of what a record shows is told, in characters: anybody may have put it there.
const LONGEST: usize = 200;

/// What was seen of a record: its values, or why there are none.
type Seen = Result<Vec<String>, String>;

/// One value of a TXT record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    name: String,
    value: String,
    domain: String,
}

/// Records that were set, and the program that takes them away.
struct Records {
    program: PathBuf,
    set: Vec<Record>,
}

/// Sets all of them, and waits until each is seen; not at all where there is no time for it: then the hook itself waits.
pub(super) fn show(
    program: &Path,
    wait: Duration,
    resolver: Option<SocketAddr>,
    proofs: &[Proof],
) -> Result<Box<dyn Shown>, ChallengeError> {
    let records = Records::present(program, proofs)?;
    let mut zones = Zones::new(resolver);
    wait_until_seen(&records.set, wait, |name| zones.seen(name).map_err(|refused| error::chain(&refused)))?;
    Ok(Box::new(records))
}

/// Whether there is such a program; it is not run.
pub(super) fn try_showing(program: &Path) -> Result<(), ChallengeError> {
    let refused = |source| ChallengeError::NoHook { program: program.to_owned(), source };
    if !program.metadata().map_err(refused)?.is_file() {
        return Err(refused(io::Error::other("it is no file")));
    }
    rustix::fs::access(program, Access::EXEC_OK).map_err(|errno| refused(errno.into()))
}

impl Records {
    fn present(program: &Path, proofs: &[Proof]) -> Result<Self, ChallengeError> {
        let mut records = Self { program: program.to_owned(), set: Vec::new() };
        for proof in proofs {
            let record = Record::of(proof)?;
            // Noted before: one that failed midway may have set it, and it is taken away by the drop.
            records.set.push(record.clone());
            run(program, "present", &record)?;
        }
        Ok(records)
    }

    /// Takes all away, the last one first, though some cannot be; the first that cannot be is told.
    fn clear(&mut self) -> Result<(), ChallengeError> {
        let ended: Vec<_> = self.set.drain(..).rev().map(|record| run(&self.program, "cleanup", &record)).collect();
        ended.into_iter().collect()
    }
}

impl Shown for Records {
    fn end(mut self: Box<Self>) -> Result<(), ChallengeError> {
        self.clear()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

impl Record {
    fn of(proof: &Proof) -> Result<Self, ChallengeError> {
        let domain = proof.identifier.host();
        let domain = domain.ok_or_else(|| ChallengeError::NoRecord { name: proof.identifier.to_string() })?;
        Ok(Self { name: format!("{LABEL}{domain}"), value: proof.dns_value.clone(), domain: domain.to_owned() })
    }
}

fn run(program: &Path, action: &'static str, record: &Record) -> Result<(), ChallengeError> {
    let args = [action, &record.name, &record.value];
    let mut command = Command::new(program, args).env("SHIPSHAPE_DOMAIN", &record.domain).deadline(DEADLINE);
    for (name, value) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(ITS_VARIABLES.as_bytes()) {
            command = command.env(name, value);
        }
    }
    if action == "cleanup" {
        command = command.even_when_interrupted();
    }
    let ended = command.stream().and_then(|mut stream| {
        // What it writes to standard output is for nobody, and must not block it.
        let _ = io::copy(&mut stream, &mut io::sink());
        stream.finish()
    });
    ended.map(drop).map_err(|refused| match refused {
        ChildError::Interrupted(interrupted) => interrupted.into(),
        source => ChallengeError::Hook {
            action,
            record: record.name.clone(),
            command: by_hand(program, &record.domain, args),
            source: Box::new(source),
        },
    })
}

/// Looks at all records until each shows its value. Their time is common to them.
fn wait_until_seen(
    records: &[Record],
    wait: Duration,
    mut look: impl FnMut(&str) -> Seen,
) -> Result<(), ChallengeError> {
    let watch = Stopwatch::start();
    let (mut pause, longest) = PAUSES;
    let mut open: Vec<&Record> = if wait.is_zero() { Vec::new() } else { records.iter().collect() };
    loop {
        let mut last = None;
        open.retain(|record| {
            let seen = look(&record.name);
            let is_there = seen.as_ref().is_ok_and(|values| values.contains(&record.value));
            if !is_there {
                last = Some((*record, seen));
            }
            !is_there
        });
        let Some((record, seen)) = last else { return Ok(()) };
        if watch.elapsed() >= wait {
            let (record, value) = (record.name.clone(), record.value.clone());
            return Err(ChallengeError::Unseen { record, value, after: wait, seen: in_words(&seen) });
        }
        rest(pause.min(wait.saturating_sub(watch.elapsed())))?;
        pause = (pause * 2).min(longest);
    }
}

/// Sleeps, unless we are asked to stop.
fn rest(pause: Duration) -> Result<(), Interrupted> {
    let watch = Stopwatch::start();
    while watch.elapsed() < pause {
        signal::check()?;
        thread::sleep(SLICE.min(pause.saturating_sub(watch.elapsed())));
    }
    signal::check()
}

fn in_words(seen: &Seen) -> String {
    let told = match seen {
        Ok(values) if values.is_empty() => "it shows nothing".to_owned(),
        Ok(values) => format!("it shows {}", values.join(", ")),
        Err(why) => why.clone(),
    };
    told.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests;
