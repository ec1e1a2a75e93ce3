//! Faults at any system call: strace(1) counts the calls of a run, then makes the N-th one fail or kills the run at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::host::scratch;
use super::launch::Running;
use super::{Finished, Launch};

/// The calls that change what is on disk. `?`: not every architecture has it.
const CHANGING: &str = "openat,write,pwrite64,?rename,renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?rmdir,?mkdir,mkdirat,fsync,fdatasync,syncfs,ftruncate";

/// Calls that may be so many that not each one is taken.
const MANY: [&str; 3] = ["write", "pwrite64", "openat"];

/// How many of those are taken: from the beginning, the end, and evenly between.
const TAKEN: usize = 24;

/// What happens to a run at a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is killed just before.
    Kill,
    /// The call fails with this error.
    Error(&'static str),
}

/// A call: the N-th of its name in its thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    call: String,
    nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}", self.call, self.nth)
    }
}

impl Launch {
    /// Runs it unharmed and returns the points at which it changes what is on disk.
    pub(crate) fn points(self) -> Vec<Point> {
        let folder = scratch();
        let log = folder.path().join("calls");
        let finished =
            self.under(&words(&["-o", log.to_str().unwrap(), "-e", &format!("trace={CHANGING}")])).run().gets_done();
        let points = points_in(&fs::read_to_string(log).unwrap());
        assert!(points.len() > 10, "a run changes more than that: {points:?} in {finished}");
        points
    }

    /// Runs it with the fault at the point. The run may well end otherwise than by itself.
    pub(crate) fn meeting(self, fault: Fault, point: &Point) -> Finished {
        let what = match fault {
            Fault::Kill => "signal=KILL".to_owned(),
            Fault::Error(name) => format!("error={name}"),
        };
        let inject = format!("inject={}:{what}:when={}", point.call, point.nth);
        self.under(&words(&["-o", "/dev/null", "-e", &format!("trace={}", point.call), "-e", &inject])).run()
    }

    /// Runs it with every call of this name failing, from the N-th of a thread on.
    pub(crate) fn failing_from(self, call: &str, nth: usize, error: &str) -> Finished {
        let inject = format!("inject={call}:error={error}:when={nth}+");
        self.under(&words(&["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject])).run()
    }

    /// Starts it, and lets each thread stand still for `pause` before its first N such calls, on that path if one is given.
    /// Returns at the N-th of all, or when it has ended without that many.
    pub(crate) fn stalled(self, call: &str, nth: usize, path: Option<&Path>, pause: Duration) -> Stalled {
        let folder = scratch();
        let log = folder.path().join("calls");
        let inject = format!("inject={call}:delay_enter={}:when=1..{nth}", pause.as_micros());
        let mut told = words(&["-o", log.to_str().unwrap(), "-e", &format!("trace={call}"), "-e", &inject]);
        // By its whole path and by its bare name: strace compares the words of the call.
        for path in path.into_iter().flat_map(|path| [path.to_str(), path.file_name().and_then(|name| name.to_str())]) {
            told.extend(["-P".to_owned(), path.unwrap().to_owned()]);
        }
        let mut running = self.under(&told).start();
        let process = process_at(&log, nth, &mut running);
        Stalled { running, process, _folder: folder }
    }
}

/// A run that stands still for a moment.
pub(crate) struct Stalled {
    running: Running,
    process: Option<String>,
    _folder: tempfile::TempDir,
}

impl Stalled {
    /// Sends it a signal: `INT`. The thread that stands still stands for its process.
    pub(crate) fn signal(&self, name: &str) {
        let thread = self.process.as_ref().expect("the run stands still");
        super::shell(&format!("kill -{name} \"$(sed -n 's/^Tgid:\\s*//p' /proc/{thread}/status)\""));
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(self) -> Finished {
        self.running.wait()
    }
}

fn words(further: &[&str]) -> Vec<String> {
    ["strace", "-f", "-qq", "--signal=none"].iter().chain(further).map(|word| (*word).to_owned()).collect()
}

/// The process that has come to its N-th call: strace writes a line when the call is entered.
fn process_at(log: &Path, nth: usize, running: &mut Running) -> Option<String> {
    for _ in 0..6000 {
        let text = fs::read_to_string(log).unwrap_or_default();
        let mut entered = text.lines().filter(|line| parse(line).is_some());
        if let Some(line) = entered.nth(nth - 1) {
            return line.split(' ').next().map(str::to_owned);
        }
        if running.has_ended() {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("the run neither came to the call that it should stand still at nor to its end");
}

/// Each call that changes something, by its name and its number in its thread.
fn points_in(log: &str) -> Vec<Point> {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut found: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call, arguments)) = parse(line) else { continue };
        let number = numbers.entry((thread, call)).or_default();
        *number += 1;
        if call != "openat"
            || ["O_CREAT", "O_WRONLY", "O_RDWR", "O_TMPFILE"].iter().any(|flag| arguments.contains(flag))
        {
            found.entry(call).or_default().insert(*number);
        }
    }
    found.into_iter().flat_map(|(call, numbers)| sample(call, &numbers.into_iter().collect::<Vec<_>>())).collect()
}

/// `1234 openat(AT_FDCWD, …`; the second half of a call that was interrupted by another thread is none.
fn parse(line: &str) -> Option<(&str, &str, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (call, arguments) = rest.trim_start().split_once('(')?;
    call.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some((thread, call, arguments))
}

fn sample(call: &str, numbers: &[usize]) -> Vec<Point> {
    let point = |nth: &usize| Point { call: call.to_owned(), nth: *nth };
    if numbers.len() <= TAKEN || !MANY.contains(&call) {
        return numbers.iter().map(point).collect();
    }
    let last = numbers.len() - 1;
    let third = TAKEN / 3;
    let evenly = (0..third).map(|step| third + step * (last - 2 * third) / third);
    let taken: BTreeSet<usize> = (0..third).chain(evenly).chain(last - third + 1..=last).collect();
    taken.iter().map(|at| point(&numbers[*at])).collect()
}

/// Does something for each of them on all processors, and tells of all that failed.
#[track_caller]
pub(crate) fn each<T: Sync + fmt::Display>(things: &[T], act: impl Fn(&T) + Sync) {
    let (next, failures) = (Mutex::new(things.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(thing) = next.lock().unwrap().next() else { return };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(thing)));
            if let Err(panic) = outcome {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failures.lock().unwrap().push(format!("at {thing}: {text}"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    let failures: Vec<String> = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), things.len(), failures.join("\n"));
}
