//! Times at the beginning of a line, in all the forms in which programs write them.
//!
//! Whether a line begins with a time is asked of nearly every line, and what time that is of few. So a form is told by its
//! first few bytes, nothing is tried twice, and whether there is such a day is left to whoever makes a moment of it: what is
//! written as a time is one, and a 31st of February must not make two records one.
//!
//! Sources: RFC 3339; ISO 8601-1, 5.2 to 5.4, with its basic forms; RFC 3164, 4.1.2; RFC 7231, 7.1.1.1, for what begins with
//! the day of the week; and what the programs named below write where nobody has set up anything else.

/// A time, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// A date with the time of day.
    Civil(Civil),
    /// Since 1970: seconds and nanoseconds.
    Epoch(i64, u32),
    /// A time of day without a date.
    Clock,
}

/// A date with the time of day, as it is written: nothing is checked but that there are digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Civil {
    /// None where it is left out.
    pub(super) year: Option<u32>,
    /// From 1.
    pub(super) month: u32,
    /// From 1.
    pub(super) day: u32,
    /// From 0, by 24.
    pub(super) hour: u32,
    /// From 0.
    pub(super) minute: u32,
    /// From 0; 60 where a second was inserted.
    pub(super) second: u32,
    /// From 0.
    pub(super) nanos: u32,
    /// Seconds east of UTC, where it says so.
    pub(super) offset: Option<i32>,
}

/// Abbreviations of zones that mean one thing in almost all logs, in minutes east of UTC. Those with two meanings that are both
/// common are left out, as `IST`: a time that is hours wrong is worse than one in the zone that the owner has set.
fn zone(name: &[u8]) -> Option<i32> {
    Some(match name {
        b"UTC" | b"GMT" | b"WET" => 0,
        b"BST" | b"CET" | b"WEST" => 60,
        b"EET" | b"CEST" => 120,
        b"MSK" | b"EEST" => 180,
        b"JST" | b"KST" => 540,
        b"EDT" => -240,
        b"EST" | b"CDT" => -300,
        b"MDT" => -360,
        b"MST" | b"PDT" => -420,
        b"PST" => -480,
        _ => return None,
    })
}

/// The time that is written here, and where it ends.
#[inline]
pub(super) fn read(line: &[u8], at: usize) -> Option<(Moment, usize)> {
    let text = line.get(at..)?;
    let mut reader = Reader { text, at: 0 };
    let moment = match text {
        [b'0'..=b'9', _, _, _, b'-' | b'/', ..] => reader.iso().map(Moment::Civil),
        [b'0'..=b'9', ..] => reader.digits_first(),
        [b'A'..=b'Z', _, _, b' ' | b',', ..] => reader.name_first().map(Moment::Civil),
        _ => None,
    }?;
    Some((moment, at + reader.at))
}

/// Where the time ends that is written here: the same as [`read`], for those who need no more.
#[inline]
pub(super) fn end(line: &[u8], at: usize) -> Option<usize> {
    let text = line.get(at..)?;
    let Some(usual) = text.first_chunk().filter(|text| is_usual(text)) else {
        return read(line, at).map(|(_, end)| end);
    };
    let mut reader = Reader { text, at: usual.len() };
    reader.fraction();
    reader.of_half(0);
    reader.offset();
    Some(at + reader.at)
}

/// The time of glog: `0501 12:00:00.123456`.
pub(super) fn read_glog(line: &[u8], at: usize) -> Option<(Moment, usize)> {
    let mut reader = Reader { text: line.get(at..)?, at: 0 };
    let (month, day) = (reader.digits(2)?, reader.digits(2)?);
    reader.byte(b' ')?;
    let civil = reader.clock(Civil { month, day, ..Civil::default() })?;
    Some((Moment::Civil(civil), at + reader.at))
}

/// The time of a number by its magnitude: seconds, milliseconds, microseconds or nanoseconds since 1970. `fraction` are the digits
/// behind its point.
pub(super) fn epoch(whole: &[u8], fraction: &[u8]) -> Option<Moment> {
    let number: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let (per_second, nanos_each) = match whole.len() {
        9 | 10 => (1, 1_000_000_000),
        12 | 13 => (1_000, 1_000_000),
        15 | 16 => (1_000_000, 1_000),
        18 | 19 => (1_000_000_000, 1),
        _ => return None,
    };
    let below = u32::try_from(number.rem_euclid(per_second) * nanos_each).ok()?;
    let nanos = if per_second == 1 { nanos(fraction) } else { below };
    Some(Moment::Epoch(number.div_euclid(per_second), nanos))
}

/// The form in which most times are written.
type Usual = [u8; 19];

/// Whether this is `2024-05-01T12:00:00`: eight bytes are looked at together.
#[inline]
fn is_usual(text: &Usual) -> bool {
    // Where there are digits among the first eight bytes, and the next eight.
    const DIGITS: [u64; 2] = [0xffff_ffff_00ff_ff00, 0xffff_00ff_ff00_ffff];
    // And the signs between them; what stands before the time of day differs.
    const SIGNS: [u64; 2] = [0x0000_0000_2d00_002d, 0x0000_0000_003a_0000];
    const SLASHES: u64 = 0x0000_0000_2f00_002f;
    let [first, second, third] =
        [&text[..8], &text[8..16], &text[11..]].map(|eight| eight.first_chunk().copied().map_or(0, u64::from_be_bytes));
    // The high half of a digit is 3; a low half above 9 carries when 6 is added to it.
    let are_digits = |word: u64, digits: u64| {
        let high = digits & 0xf0f0_f0f0_f0f0_f0f0;
        let threes = digits & 0x3030_3030_3030_3030;
        word & high == threes && (word & digits).wrapping_add(digits & 0x0606_0606_0606_0606) & high == threes
    };
    are_digits(first, DIGITS[0])
        && are_digits(second, DIGITS[1])
        && are_digits(third, 0xffff_00ff_ff00_ffff)
        && matches!(first & !DIGITS[0], word if word == SIGNS[0] || word == SLASHES)
        && matches!(text[10], b'T' | b' ')
        && second & 0xff_0000 == SIGNS[1]
        && text[16] == b':'
}

/// What is written in the usual form.
fn usual(text: &Usual) -> Civil {
    let two = |at: usize| u32::from(text[at] & 15) * 10 + u32::from(text[at + 1] & 15);
    Civil {
        year: Some(two(0) * 100 + two(2)),
        month: two(5),
        day: two(8),
        hour: two(11),
        minute: two(14),
        second: two(17),
        ..Civil::default()
    }
}

/// Nanoseconds of the digits behind a point.
fn nanos(digits: &[u8]) -> u32 {
    const TENS: [u32; 10] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
    let digits = &digits[..digits.len().min(9)];
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    number * TENS[digits.len()]
}

/// The month of an English abbreviation, whatever the locale: programs write no others.
fn month(name: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|known| *known == name).and_then(|at| u32::try_from(at + 1).ok())
}

/// Reads a time piece by piece.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.peek(0)? == wanted).then(|| self.at += 1)
    }

    fn skip(&mut self, byte: u8) {
        while self.peek(0) == Some(byte) {
            self.at += 1;
        }
    }

    /// Exactly so many digits.
    #[inline]
    fn digits(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for byte in self.text.get(self.at..self.at + count)? {
            number = number * 10 + u32::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        self.at += count;
        Some(number)
    }

    /// One digit or two, the first of which may be a blank.
    fn one_or_two(&mut self) -> Option<u32> {
        if self.peek(0) == Some(b' ') {
            self.at += 1;
            return self.digits(1);
        }
        self.digits(2).or_else(|| self.digits(1))
    }

    fn month(&mut self) -> Option<u32> {
        let month = month(self.text.get(self.at..self.at + 3)?)?;
        self.at += 3;
        Some(month)
    }

    /// `2024-05-01T12:00:00.123+03:00` and its kin.
    #[inline]
    fn iso(&mut self) -> Option<Civil> {
        match self.text.first_chunk().filter(|text| is_usual(text)) {
            Some(text) => {
                self.at = text.len();
                Some(self.rest_of_clock(usual(text)))
            }
            None => self.unusual_iso(),
        }
    }

    /// The same with other signs between its parts, or blanks for zeros.
    fn unusual_iso(&mut self) -> Option<Civil> {
        let year = self.digits(4)?;
        self.at += 1;
        let month = self.digits(2)?;
        if !matches!(self.peek(0)?, b'-' | b'/') {
            return None;
        }
        self.at += 1;
        let day = self.digits(2)?;
        self.between()?;
        self.clock(Civil { year: Some(year), month, day, ..Civil::default() })
    }

    /// What stands between a date and the time of day: Airflow has a comma, gin a dash, Erlang two colons.
    #[inline]
    fn between(&mut self) -> Option<()> {
        match self.peek(0)? {
            b' ' if self.peek(1) == Some(b'-') && self.peek(2) == Some(b' ') => self.at += 3,
            b',' if self.peek(1) == Some(b' ') => self.at += 2,
            b':' if self.peek(1) == Some(b':') => self.at += 2,
            b'T' | b't' | b'_' | b' ' | b':' => self.at += 1,
            _ => return None,
        }
        Some(())
    }

    /// The time of day, with what may follow it: a fraction, half of the day, an offset.
    #[inline]
    fn clock(&mut self, date: Civil) -> Option<Civil> {
        let hour = self.one_or_two()?;
        self.byte(b':')?;
        let minute = self.digits(2)?;
        self.byte(b':')?;
        let second = self.digits(2)?;
        Some(self.rest_of_clock(Civil { hour, minute, second, ..date }))
    }

    /// What may follow the time of day.
    #[inline]
    fn rest_of_clock(&mut self, civil: Civil) -> Civil {
        let nanos = self.fraction();
        let hour = self.of_half(civil.hour);
        let offset = self.offset();
        Civil { hour, nanos, offset, ..civil }
    }

    /// A time of day without a date; zerolog's ends with the minute: `12:00PM`.
    fn clock_alone(&mut self) -> Option<Moment> {
        let start = self.at;
        if self.clock(Civil::default()).is_some() {
            return Some(Moment::Clock);
        }
        self.at = start;
        self.one_or_two()?;
        self.byte(b':')?;
        self.digits(2)?;
        let end = self.at;
        self.of_half(0);
        (self.at > end).then_some(Moment::Clock)
    }

    /// A fraction of a second, behind a point or a comma.
    #[inline]
    fn fraction(&mut self) -> u32 {
        if !matches!(self.peek(0), Some(b'.' | b',')) {
            return 0;
        }
        let digits = self.text[self.at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return 0;
        }
        let fraction = nanos(&self.text[self.at + 1..=self.at + digits]);
        self.at += digits + 1;
        fraction
    }

    /// The hour by 24, where AM or PM follows: 12 AM is midnight.
    #[inline]
    fn of_half(&mut self, hour: u32) -> u32 {
        let blank = usize::from(self.peek(0) == Some(b' '));
        let half = match (self.peek(blank), self.peek(blank + 1)) {
            (Some(half @ (b'A' | b'a' | b'P' | b'p')), Some(b'M' | b'm')) => half | 0x20,
            _ => return hour,
        };
        // A message may begin with such letters, and 13 PM is nobody's time.
        if !self.ends(blank + 2) || hour > 12 {
            return hour;
        }
        self.at += blank + 2;
        hour % 12 + if half == b'p' { 12 } else { 0 }
    }

    /// Whether no letter and no digit stands there.
    fn ends(&self, ahead: usize) -> bool {
        self.peek(ahead).is_none_or(|byte| !byte.is_ascii_alphanumeric())
    }

    /// The offset from UTC in seconds: `Z`, `+03:00`, `+0300`, `+03`, ` UTC`.
    #[inline]
    fn offset(&mut self) -> Option<i32> {
        let blank = usize::from(self.peek(0) == Some(b' '));
        match self.peek(blank)? {
            b'Z' | b'z' if self.ends(blank + 1) => {
                self.at += blank + 1;
                Some(0)
            }
            sign @ (b'+' | b'-') => self.numeric_offset(blank, sign),
            b'A'..=b'Z' => self.named_offset(blank),
            _ => None,
        }
    }

    /// An offset in hours and minutes. Not every sign begins one: programs put a dash between a time and a name.
    fn numeric_offset(&mut self, blank: usize, sign: u8) -> Option<i32> {
        // `- name` and `-1 x` are no offsets: what was read is given back.
        let start = self.at;
        self.at += blank + 1;
        let offset = self.hours_and_minutes().filter(|_| self.ends(0) && self.peek(0) != Some(b'.'));
        if offset.is_none() {
            self.at = start;
        }
        offset.map(|offset| if sign == b'-' { -offset } else { offset })
    }

    fn hours_and_minutes(&mut self) -> Option<i32> {
        let hours = self.digits(2)?;
        if self.peek(0) == Some(b':') && self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let minutes = self.digits(2).unwrap_or_default();
        i32::try_from(hours * 3600 + minutes * 60).ok()
    }

    /// An offset by the name of its zone. A word in capitals is more often the level.
    fn named_offset(&mut self, blank: usize) -> Option<i32> {
        let rest = &self.text[self.at + blank..];
        let length = rest.iter().take(5).take_while(|byte| byte.is_ascii_uppercase()).count();
        let minutes = zone(&rest[..length])?;
        self.ends(blank + length).then(|| self.at += blank + length)?;
        Some(minutes * 60)
    }

    /// What begins with a digit, and is not year, month, day.
    fn digits_first(&mut self) -> Option<Moment> {
        let digits = self.text.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
        match (digits, self.peek(digits)) {
            (1 | 2, Some(b':')) => self.clock_alone(),
            (1 | 2, Some(b'/')) if self.peek(digits + 1)?.is_ascii_digit() => self.american().map(Moment::Civil),
            (1 | 2, Some(b'/' | b'-' | b' ')) => self.day_first().map(Moment::Civil),
            (6, Some(b' ')) => self.short_year().map(Moment::Civil),
            (8, Some(b' ' | b'T' | b'-')) => self.compact().map(Moment::Civil),
            (10 | 13 | 16 | 19, _) => self.number(digits),
            _ => None,
        }
    }

    /// `10/Oct/2000:13:55:36 -0700`, `01-May-2024 12:00:00`, `01 May 2024 12:00:00.123`, `01 May 12:00:00.123`.
    fn day_first(&mut self) -> Option<Civil> {
        let day = self.one_or_two()?;
        self.at += 1;
        let month = self.month()?;
        self.at += 1;
        // Redis before version 4 leaves out the year.
        let year = if self.peek(2) == Some(b':') { None } else { Some(self.digits(4)?) };
        if year.is_some() {
            self.between()?;
        }
        self.clock(Civil { year, month, day, ..Civil::default() })
    }

    /// `05/01/2024, 12:00:00 PM`: the month comes first, unless it cannot be one.
    fn american(&mut self) -> Option<Civil> {
        let first = self.one_or_two()?;
        self.byte(b'/')?;
        let second = self.one_or_two()?;
        self.byte(b'/')?;
        let year = Some(self.digits(4)?);
        self.between()?;
        let (month, day) = if first > 12 { (second, first) } else { (first, second) };
        self.clock(Civil { year, month, day, ..Civil::default() })
    }

    /// `240501 12:00:00`: MySQL before 5.6.
    fn short_year(&mut self) -> Option<Civil> {
        let (year, month, day) = (self.digits(2)?, self.digits(2)?, self.digits(2)?);
        self.byte(b' ')?;
        self.clock(Civil { year: Some(2000 + year), month, day, ..Civil::default() })
    }

    /// `20240501 12:00:00`, `20240501T120000Z`.
    fn compact(&mut self) -> Option<Civil> {
        let (year, month, day) = (self.digits(4)?, self.digits(2)?, self.digits(2)?);
        self.at += 1;
        let date = Civil { year: Some(year), month, day, ..Civil::default() };
        if self.peek(2) == Some(b':') {
            return self.clock(date);
        }
        let (hour, minute, second) = (self.digits(2)?, self.digits(2)?, self.digits(2)?);
        let nanos = self.fraction();
        let offset = self.offset();
        Some(Civil { hour, minute, second, nanos, offset, ..date })
    }

    /// A number, long enough to be a time, and alone.
    fn number(&mut self, digits: usize) -> Option<Moment> {
        let whole = &self.text[..digits];
        // 1 000 000 000 was in 2001, and 3 999 999 999 will be in 2096.
        if !matches!(whole[0], b'1'..=b'3') {
            return None;
        }
        self.at = digits;
        let point = self.at;
        self.fraction();
        let fraction = self.text.get(point + 1..self.at).unwrap_or_default();
        self.ends(0).then(|| epoch(whole, fraction)).flatten()
    }

    /// What begins with the name of a month or of a day of the week.
    fn name_first(&mut self) -> Option<Civil> {
        const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
        if let Some(month) = self.month() {
            return self.month_first(month);
        }
        if !DAYS.contains(&&self.text[..3]) {
            return None;
        }
        self.at = 3;
        if self.byte(b',').is_some() {
            self.byte(b' ')?;
            return self.day_first();
        }
        self.byte(b' ')?;
        let month = self.month()?;
        let civil = self.month_first(month)?;
        // ctime(3) has the year behind the time of day.
        let year = self.trailing_year();
        Some(Civil { year: year.or(civil.year), ..civil })
    }

    /// `May  1 12:00:00`, `May 01 2024 12:00:00`, `May 01, 2024 12:00:00 PM`.
    fn month_first(&mut self, month: u32) -> Option<Civil> {
        self.byte(b' ')?;
        let day = self.one_or_two()?;
        let comma = self.byte(b',');
        self.byte(b' ')?;
        let year = if comma.is_some() || self.peek(4) == Some(b' ') { Some(self.digits(4)?) } else { None };
        if year.is_some() {
            self.skip(b' ');
        }
        self.clock(Civil { year, month, day, ..Civil::default() })
    }

    fn trailing_year(&mut self) -> Option<u32> {
        let start = self.at;
        let year = self.byte(b' ').and_then(|()| self.digits(4)).filter(|_| self.ends(0));
        if year.is_none() {
            self.at = start;
        }
        year
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(text: &str) -> Option<(Civil, &str)> {
        let (moment, end) = read(text.as_bytes(), 0)?;
        let Moment::Civil(civil) = moment else { return None };
        Some((civil, &text[end..]))
    }

    #[test]
    fn one_time_is_read_from_all_its_forms() {
        let noon = Civil { year: Some(2024), month: 5, day: 1, hour: 12, minute: 0, second: 7, ..Civil::default() };
        for (text, offset, rest) in [
            ("2024-05-01T12:00:07Z ERROR", Some(0), " ERROR"),
            ("2024-05-01T12:00:07+03:00", Some(10_800), ""),
            ("2024-05-01T12:00:07-0330]", Some(-12_600), "]"),
            ("2024-05-01 12:00:07 +03 [77]", Some(10_800), " [77]"),
            ("2024-05-01 12:00:07 UTC [77]", Some(0), " [77]"),
            ("2024-05-01 12:00:07 CEST [77]", Some(7200), " [77]"),
            ("2024-05-01 12:00:07 ERROR x", None, " ERROR x"),
            ("2024-05-01 12:00:07 - name", None, " - name"),
            ("2024-05-01 12:00:07 -1 x", None, " -1 x"),
            ("2024/05/01 12:00:07 [error]", None, " [error]"),
            ("2024/05/01 - 12:00:07 | 500", None, " | 500"),
            ("2024-05-01, 12:00:07 UTC] {", Some(0), "] {"),
            ("01/May/2024:12:00:07 -0700] x", Some(-25_200), "] x"),
            ("01/May/2024 12:00:07] x", None, "] x"),
            ("01-May-2024 12:00:07 Europe/Berlin]", None, " Europe/Berlin]"),
            ("1-May-2024::12:00:07 ===", None, " ==="),
            ("01 May 2024 12:00:07 # x", None, " # x"),
            ("May 01, 2024 12:00:07 PM org", None, " org"),
            ("May  1 2024 12:00:07 x", None, " x"),
            ("Wed May 01 12:00:07 2024] x", None, "] x"),
            ("Wed May  1 12:00:07 UTC 2024", Some(0), ""),
            ("Wed, 01 May 2024 12:00:07 GMT x", Some(0), " x"),
            ("05/01/2024, 12:00:07 PM   ERROR", None, "   ERROR"),
            ("240501 12:00:07 [ERROR]", None, " [ERROR]"),
            ("20240501T120007Z x", Some(0), " x"),
            ("20240501 12:00:07 x", None, " x"),
        ] {
            assert_eq!(civil(text), Some((Civil { offset, ..noon }, rest)), "of {text:?}");
            assert_eq!(end(text.as_bytes(), 0), Some(text.len() - rest.len()), "of {text:?}");
        }
    }

    #[test]
    fn fractions_and_halves_of_the_day_are_read() {
        for (text, hour, nanos) in [
            ("2024-05-01 12:00:07,123", 12, 123_000_000),
            ("2024-05-01 12:00:07.123456789", 12, 123_456_789),
            ("2024-05-01 12:00:07.1234567899", 12, 123_456_789),
            ("2024-05-01 12:00:07.", 12, 0),
            ("2024-05-01 12:00:07 AM", 0, 0),
            ("2024-05-01  1:00:07 pm", 13, 0),
            ("2024-05-01  1:00:07 AMx", 1, 0),
        ] {
            let (civil, _) = civil(text).unwrap();
            assert_eq!((civil.hour, civil.nanos), (hour, nanos), "of {text:?}");
        }
    }

    #[test]
    fn numbers_are_times_by_their_magnitude() {
        let expected = Moment::Epoch(1_714_564_807, 123_000_000);
        for text in ["1714564807.123", "1714564807123", "1714564807123000", "1714564807123000000"] {
            assert_eq!(read(text.as_bytes(), 0), Some((expected, text.len())), "of {text:?}");
        }
    }

    #[test]
    fn what_only_resembles_a_time_is_none() {
        for text in [
            "",
            "2024-05-01",
            "2024-05-01,foo,bar",
            "2024-05-0:T12:00:07",
            "2024-05-01T12:00:0a",
            "202a-05-01T12:00:07",
            "2024-05-01T1?:00:07",
            "2024-05-01T12;00:07",
            "192.168.1.1 - -",
            "5555-1234 is my number",
            "1714564807123abc",
            "42 items",
            "May you live in interesting times",
            "Wednesday",
            "12:30 lunch",
        ] {
            assert_eq!(read(text.as_bytes(), 0), None, "of {text:?}");
            assert_eq!(end(text.as_bytes(), 0), None, "of {text:?}");
        }
    }
}
