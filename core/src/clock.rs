//! The only place that reads the clock; everything else takes the time as an argument.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// The time now, in UTC. It may jump in either direction.
#[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Measures a span with a clock that never jumps.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The span since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
