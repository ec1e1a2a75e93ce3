//! When records are written: a clock that goes on by itself, and its time in the ways in which programs write it.

use chrono::DateTime;

use crate::seeded::Random;

/// 2026-11-01T00:00:00Z.
const BEGIN: u64 = 1_793_491_200_000;
/// Between two records lie up to so many milliseconds: about a million records in half a day.
const MOST_BETWEEN: u64 = 90;

/// A clock. Its texts are kept, since a thousand records share them.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Milliseconds since 1970.
    pub(crate) millis: u64,
    second: u64,
    day: u64,
    /// `2026-11-01`
    pub(crate) date: String,
    /// `01/Nov/2026`
    pub(crate) common: String,
    /// `01 Nov 2026`
    pub(crate) spaced: String,
    /// `2026/11/01`
    pub(crate) slashed: String,
    /// `00:00:00`
    pub(crate) time: String,
}

impl Clock {
    /// A clock that stands at the beginning.
    pub(crate) fn new() -> Self {
        let mut clock = Self {
            millis: BEGIN,
            second: 0,
            day: 0,
            date: String::new(),
            common: String::new(),
            spaced: String::new(),
            slashed: String::new(),
            time: String::new(),
        };
        clock.write();
        clock
    }

    /// The milliseconds of the second.
    pub(crate) fn part(&self) -> u64 {
        self.millis % 1000
    }

    /// Goes on, by what lies between two records.
    pub(crate) fn tick(&mut self, random: &mut Random) {
        self.millis += random.between(0, MOST_BETWEEN);
        self.write();
    }

    fn write(&mut self) {
        let second = self.millis / 1000;
        if second == self.second {
            return;
        }
        self.second = second;
        self.time = format!("{:02}:{:02}:{:02}", second / 3600 % 24, second / 60 % 60, second % 60);
        if second / 86_400 != self.day {
            self.day = second / 86_400;
            self.write_day();
        }
    }

    fn write_day(&mut self) {
        let day = i64::try_from(self.day * 86_400).ok().and_then(|second| DateTime::from_timestamp(second, 0));
        let day = day.unwrap_or_default();
        self.date = day.format("%Y-%m-%d").to_string();
        self.common = day.format("%d/%b/%Y").to_string();
        self.spaced = day.format("%d %b %Y").to_string();
        self.slashed = day.format("%Y/%m/%d").to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_is_written_in_every_way() {
        let mut clock = Clock::new();
        assert_eq!((clock.date.as_str(), clock.time.as_str()), ("2026-11-01", "00:00:00"));
        clock.millis += 86_400_000 + 3_661_005;
        clock.write();
        assert_eq!((clock.common.as_str(), clock.time.as_str(), clock.part()), ("02/Nov/2026", "01:01:01", 5));
        assert_eq!((clock.spaced.as_str(), clock.slashed.as_str()), ("02 Nov 2026", "2026/11/02"));
        let before = clock.millis;
        let mut random = Random::new(1);
        (0..1000).for_each(|_| clock.tick(&mut random));
        assert!((before + 30_000..before + 60_000).contains(&clock.millis));
    }
}
