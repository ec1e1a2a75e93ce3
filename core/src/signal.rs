//! Being asked to stop: SIGINT, SIGTERM and SIGHUP become a flag that work looks at between its steps.
//!
//! Work that stops early returns [`Interrupted`], so that every `Drop` on the way up cleans what it owns.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::Explain;
use crate::exit::Exit;

static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted by {}", name(*.signal))]
pub struct Interrupted {
    /// The number of the signal.
    pub signal: u8,
}

impl Explain for Interrupted {
    fn code(&self) -> &'static str {
        "run.interrupted"
    }

    fn hint(&self) -> String {
        "nothing was left half done; run it again".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Signal(self.signal)
    }
}

/// Starts listening. A second signal of the same kind ends the process at once, for the one who really means it.
pub fn listen() {
    let flag = CAUGHT.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let value = usize::try_from(signal).unwrap_or_default();
        // Registering fails only for signals that cannot be caught, which these are not. The order matters: the first
        // signal finds `armed` still false, sets it, and only the second one acts.
        let armed = Arc::new(AtomicBool::new(false));
        let _ = signal_hook::flag::register_conditional_default(signal, armed.clone());
        let _ = signal_hook::flag::register(signal, armed);
        let _ = signal_hook::flag::register_usize(signal, flag.clone(), value);
    }
}

/// Fails when the run was asked to stop. Cheap: one atomic load.
pub fn check() -> Result<(), Interrupted> {
    match CAUGHT.get().map_or(0, |flag| flag.load(Ordering::Relaxed)) {
        0 => Ok(()),
        signal => Err(Interrupted { signal: u8::try_from(signal).unwrap_or(u8::MAX) }),
    }
}

fn name(signal: u8) -> String {
    match i32::from(signal) {
        SIGINT => "SIGINT".to_owned(),
        SIGTERM => "SIGTERM".to_owned(),
        SIGHUP => "SIGHUP".to_owned(),
        other => format!("signal {other}"),
    }
}
