//! How fast the authority is asked whether it is done.

use std::time::Duration;

/// The pause after the first question, and the longest one. The first question is asked at once.
const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(5);

/// The longest pause that an authority's word makes of it. Some say an hour whatever is asked, while proofs are shown that
/// are taken away when the wait ends: asked six times a minute at most, none of them is hurt.
const LONGEST_TOLD: Duration = Duration::from_secs(10);

/// Pauses between questions, growing by half, until patience ends.
#[derive(Debug)]
pub(super) struct Pace {
    patience: Duration,
    /// The next pause; none before the first question.
    next: Option<Duration>,
}

impl Pace {
    /// With so much patience.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, next: None }
    }

    /// The pause before the next question; none when patience is at its end. The authority's own word counts where it asks
    /// for a longer one (RFC 8555, 7.4), up to a bound: that it names a time beyond our patience does not end it.
    pub(super) fn pause(&mut self, told: Option<Duration>, elapsed: Duration) -> Option<Duration> {
        let left = self.patience.saturating_sub(elapsed);
        let own = self.next.unwrap_or_default();
        if self.next.is_some() && left.is_zero() {
            return None;
        }
        self.grow();
        Some(told.map_or(own, |told| own.max(told.min(LONGEST_TOLD))).min(left))
    }

    fn grow(&mut self) {
        self.next = Some(self.next.map_or(FIRST, |last| (last + last / 2).min(LONGEST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_question_is_asked_at_once_and_the_others_more_and_more_rarely() {
        let mut pace = Pace::new(Duration::from_secs(3600));
        let mut pauses = || pace.pause(None, Duration::ZERO).unwrap();
        assert_eq!([pauses(), pauses(), pauses(), pauses()], [0, 20, 30, 45].map(millis));
        assert_eq!((0..50).map(|_| pauses()).max(), Some(LONGEST));
    }

    #[test]
    fn patience_ends_with_one_last_question_at_its_very_end() {
        let mut pace = Pace::new(millis(100));
        assert_eq!(pace.pause(None, millis(0)), Some(millis(0)));
        assert_eq!(pace.pause(None, millis(90)), Some(millis(10)));
        assert_eq!(pace.pause(None, millis(100)), None);
        assert_eq!(Pace::new(Duration::ZERO).pause(None, millis(7)), Some(Duration::ZERO));
    }

    #[test]
    fn the_authority_is_asked_when_it_says_within_our_patience() {
        let mut pace = Pace::new(Duration::from_secs(10));
        let told = Some(Duration::from_secs(4));
        assert_eq!(pace.pause(told, Duration::ZERO), told);
        assert_eq!(pace.pause(told, Duration::from_secs(6)), told);
        assert_eq!(pace.pause(told, Duration::from_secs(7)), Some(Duration::from_secs(3)));
        assert_eq!(pace.pause(Some(Duration::ZERO), Duration::from_secs(7)), Some(millis(45)));
        assert_eq!(pace.pause(told, Duration::from_secs(10)), None);
    }

    #[test]
    fn an_authority_that_says_an_hour_is_asked_on_until_patience_ends() {
        let mut pace = Pace::new(Duration::from_secs(25));
        let (mut elapsed, mut pauses) = (Duration::ZERO, Vec::new());
        while let Some(pause) = pace.pause(Some(Duration::from_secs(3600)), elapsed) {
            elapsed += pause;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [10, 10, 5]);
    }
}
