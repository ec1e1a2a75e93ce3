//! Time that runs out once for a whole errand, however many questions it takes.

use std::io;
use std::time::Duration;

use shipshape_core::clock::Stopwatch;

/// A moment after which nothing is waited for any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    watch: Stopwatch,
    whole: Duration,
}

impl Deadline {
    /// So long from now on.
    pub(super) fn after(whole: Duration) -> Self {
        Self { watch: Stopwatch::start(), whole }
    }

    /// So long from now on, but never beyond this one.
    pub(super) fn within(self, most: Duration) -> Self {
        Self::after(self.left().unwrap_or_default().min(most))
    }

    /// What is left of it, never nothing: a time-out of no length means "for ever" to sockets (`socket(7)`).
    pub(super) fn left(self) -> io::Result<Duration> {
        let left = self.whole.saturating_sub(self.watch.elapsed());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        let deadline = Deadline::after(Duration::ZERO);
        assert_eq!(deadline.left().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(deadline.within(Duration::from_secs(9)).left().is_err());
    }

    #[test]
    fn a_part_of_the_time_is_never_more_than_what_is_left_of_the_whole() {
        let whole = Deadline::after(Duration::from_secs(5));
        assert!(whole.within(Duration::from_secs(60)).left().unwrap() <= Duration::from_secs(5));
        assert!(whole.within(Duration::from_secs(1)).left().unwrap() <= Duration::from_secs(1));
    }
}
