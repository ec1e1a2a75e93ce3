//! The end of a process group: at its deadline, when we are asked to stop, or when nobody wants its output any more.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::Interruption;
use crate::clock::Stopwatch;
use crate::signal::{self, Interrupted};

/// How long a group has to end by itself after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// How often we look whether we were asked to stop.
const TICK: Duration = Duration::from_millis(100);

/// Why a group was ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Deadline,
    Interrupted(Interrupted),
    Input,
    Dropped,
}

/// What is known of the group. Signals are sent only while this is locked, so that `disarmed` cannot come in between.
#[derive(Default)]
struct State {
    /// The leader has ended and may be buried: never signal the group again.
    disarmed: bool,
    stopped: Option<Stop>,
    /// SIGKILL has been sent.
    killed: bool,
}

struct Shared {
    group: Pid,
    deadline: Duration,
    interruption: Interruption,
    state: Mutex<State>,
    changed: Condvar,
}

/// Watches one group from a thread of its own; clones look at the same one.
#[derive(Clone)]
pub(super) struct Watch(Arc<Shared>);

impl Watch {
    pub(super) fn start(group: Pid, deadline: Duration, interruption: Interruption) -> Self {
        let shared = Shared { group, deadline, interruption, state: Mutex::default(), changed: Condvar::new() };
        let watch = Self(Arc::new(shared));
        let theirs = watch.clone();
        std::thread::spawn(move || theirs.guard());
        watch
    }

    pub(super) fn deadline(&self) -> Duration {
        self.0.deadline
    }

    pub(super) fn stopped(&self) -> Option<Stop> {
        self.state().stopped
    }

    /// Whether even SIGKILL has been sent, so that nothing of the group can still write.
    pub(super) fn is_over(&self) -> bool {
        self.state().killed
    }

    /// Asks the group to end: SIGTERM now, SIGKILL after [`GRACE`].
    pub(super) fn stop(&self, why: Stop) {
        self.state().stopped.get_or_insert(why);
        self.0.changed.notify_all();
    }

    /// Ends the group now, and returns when it cannot act any more.
    pub(super) fn stop_at_once(&self, why: Stop) {
        let mut state = self.state();
        state.stopped.get_or_insert(why);
        self.kill(&mut state);
        self.0.changed.notify_all();
    }

    /// The leader has ended, of itself or not: what it left behind is killed if the group was to end, and the watch is over.
    pub(super) fn disarm(&self) {
        let mut state = self.state();
        if state.stopped.is_some() {
            self.kill(&mut state);
        }
        state.disarmed = true;
        self.0.changed.notify_all();
    }

    /// The watching thread: looks until there is a reason to stop the group, asks it to end, and insists.
    fn guard(&self) {
        let watch = Stopwatch::start();
        let mut state = self.state();
        while !state.disarmed && state.stopped.is_none() {
            state.stopped = self.reason(watch.elapsed());
            if state.stopped.is_none() {
                state = self.wait(state, TICK);
            }
        }
        if !state.disarmed && !state.killed {
            self.signal(Signal::TERM);
            let grace = Stopwatch::start();
            while !state.disarmed && grace.elapsed() < GRACE {
                state = self.wait(state, TICK);
            }
            self.kill(&mut state);
        }
    }

    fn reason(&self, elapsed: Duration) -> Option<Stop> {
        match signal::check() {
            Err(interrupted) if self.0.interruption == Interruption::Heeded => Some(Stop::Interrupted(interrupted)),
            _ => (elapsed >= self.0.deadline).then_some(Stop::Deadline),
        }
    }

    fn kill(&self, state: &mut State) {
        if !state.disarmed {
            self.signal(Signal::KILL);
            state.killed = true;
        }
    }

    fn signal(&self, signal: Signal) {
        // It fails when all of the group has ended, which is what is wanted.
        let _ = kill_process_group(self.0.group, signal);
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, span: Duration) -> MutexGuard<'a, State> {
        self.0.changed.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the leader has ended, and leaves it a zombie, so that its number stays taken.
pub(super) fn wait_without_burying(leader: Pid) -> io::Result<()> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    rustix::io::retry_on_intr(|| waitid(WaitId::Pid(leader), options))?;
    Ok(())
}
