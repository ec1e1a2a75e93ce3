//! Zones: of times that do not say theirs.

use chrono::{DateTime, FixedOffset, Local, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};

/// The zone of times that do not say theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// This machine's.
    Local,
    /// So far from UTC.
    Fixed(FixedOffset),
}

impl Zone {
    /// The zone of a word: `local`, `utc`, `Z`, or an offset such as `+03:00`, `-0700` or `+3`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("local") {
            return Some(Self::Local);
        }
        if ["utc", "gmt", "z"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return FixedOffset::east_opt(0).map(Self::Fixed);
        }
        let (sign, digits) = match text.strip_prefix('+') {
            Some(digits) => (1, digits),
            None => (-1, text.strip_prefix('-')?),
        };
        let (hours, minutes) = match digits.split_once(':') {
            Some((hours, minutes)) => (hours, minutes),
            None => digits.split_at_checked(2).unwrap_or((digits, "")),
        };
        let hours = small_number(hours)?;
        let minutes = if minutes.is_empty() { 0 } else { small_number(minutes)? };
        // The earth knows no zone beyond +14:00 and -12:00.
        let seconds = (hours <= 14 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
        FixedOffset::east_opt(sign * seconds).map(Self::Fixed)
    }

    /// The moment at which clocks of this zone show this.
    pub(super) fn moment(self, shown: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self {
            Self::Local => moment(&Local, shown),
            Self::Fixed(offset) => moment(&offset, shown),
        }
    }

    /// What clocks of this zone show.
    pub(super) fn shown(self, moment: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Local => moment.with_timezone(&Local).naive_local(),
            Self::Fixed(offset) => moment.with_timezone(&offset).naive_local(),
        }
    }
}

fn small_number(digits: &str) -> Option<i32> {
    let is_small = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_small.then(|| digits.parse().ok()).flatten()
}

/// The moment at which clocks show this. What they show twice is the first of both; what they leave out is what they would
/// show had they not been put forward.
fn moment<Z: TimeZone>(zone: &Z, shown: NaiveDateTime) -> Option<DateTime<Utc>> {
    // Clocks are put forward by an hour or two, and by a day where the date line moved.
    const BEFORE: [i64; 5] = [0, 1, 2, 3, 25];
    BEFORE.iter().find_map(|hours| {
        let earlier = shown.checked_sub_signed(TimeDelta::hours(*hours))?;
        let known = match zone.from_local_datetime(&earlier) {
            MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => moment,
            MappedLocalTime::None => return None,
        };
        known.with_timezone(&Utc).checked_add_signed(TimeDelta::hours(*hours))
    })
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, Offset};

    use super::*;

    /// Middle Europe in 2024: clocks are put forward on 31 March at 2:00 and back on 27 October at 3:00.
    #[derive(Clone, Copy, Debug)]
    struct Middle;

    #[derive(Clone, Copy, Debug)]
    struct East(i32);

    impl Offset for East {
        fn fix(&self) -> FixedOffset {
            FixedOffset::east_opt(self.0 * 3600).unwrap()
        }
    }

    fn at(month: u32, day: u32, hour: u32, minute: u32) -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2024, month, day).unwrap().and_hms_opt(hour, minute, 0).unwrap()
    }

    impl TimeZone for Middle {
        type Offset = East;

        fn from_offset(_: &East) -> Self {
            Self
        }

        fn offset_from_local_date(&self, _: &NaiveDate) -> MappedLocalTime<East> {
            MappedLocalTime::Single(East(1))
        }

        fn offset_from_local_datetime(&self, shown: &NaiveDateTime) -> MappedLocalTime<East> {
            match *shown {
                shown if shown < at(3, 31, 2, 0) => MappedLocalTime::Single(East(1)),
                shown if shown < at(3, 31, 3, 0) => MappedLocalTime::None,
                shown if shown < at(10, 27, 2, 0) => MappedLocalTime::Single(East(2)),
                shown if shown < at(10, 27, 3, 0) => MappedLocalTime::Ambiguous(East(2), East(1)),
                _ => MappedLocalTime::Single(East(1)),
            }
        }

        fn offset_from_utc_date(&self, _: &NaiveDate) -> East {
            East(1)
        }

        fn offset_from_utc_datetime(&self, _: &NaiveDateTime) -> East {
            East(1)
        }
    }

    #[test]
    fn a_time_that_clocks_show_twice_is_the_first_of_both() {
        assert_eq!(moment(&Middle, at(10, 27, 2, 30)), Some(at(10, 27, 0, 30).and_utc()));
    }

    #[test]
    fn a_time_that_clocks_leave_out_is_counted_on_from_before() {
        assert_eq!(moment(&Middle, at(3, 31, 2, 30)), Some(at(3, 31, 1, 30).and_utc()));
        assert_eq!(moment(&Middle, at(3, 31, 3, 30)), Some(at(3, 31, 1, 30).and_utc()));
    }

    #[test]
    fn zones_are_read_from_words_and_offsets() {
        let fixed = |seconds| Some(Zone::Fixed(FixedOffset::east_opt(seconds).unwrap()));
        for (text, expected) in [
            ("local", Some(Zone::Local)),
            ("UTC", fixed(0)),
            ("Z", fixed(0)),
            ("+03:00", fixed(10_800)),
            ("+0330", fixed(12_600)),
            ("-7", fixed(-25_200)),
            ("+14:00", fixed(50_400)),
            ("+15:00", None),
            ("+03:60", None),
            ("3", None),
            ("+", None),
            ("+1:2:3", None),
            ("+ü", None),
            ("Europe/Berlin", None),
        ] {
            assert_eq!(Zone::parse(text), expected, "of {text:?}");
        }
    }
}
