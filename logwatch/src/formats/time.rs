//! When a record was written: its time, wherever the line has it, as a moment.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use super::json::{Fields, Value};
use super::stamp::{self, Civil, Moment};
use super::{Zone, logfmt, text};

/// Among how many words at the beginning of a line a time is looked for.
const MOST_WORDS: usize = 8;

/// When a record was written, if its first line says so. `now` completes dates without a year.
pub(crate) fn time(line: &[u8], zone: Zone, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match find(line)? {
        Moment::Civil(civil) => of_civil(&civil, zone, now),
        Moment::Epoch(seconds, nanos) => DateTime::from_timestamp(seconds, nanos),
        // The day is anybody's guess, and a wrong one would put old records into the time that is looked at.
        Moment::Clock => None,
    }
}

/// The time as it is written.
fn find(line: &[u8]) -> Option<Moment> {
    match line {
        [b'{', ..] => of_json(line),
        [b'E' | b'W' | b'I' | b'F' | b'D', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..] => {
            stamp::read_glog(line, 1).map(|(moment, _)| moment)
        }
        _ => at_a_word(line).or_else(|| of_pairs(line)),
    }
}

/// The time at the beginning of one of the first few words: behind a priority, a bracket, a level, an address.
fn at_a_word(line: &[u8]) -> Option<Moment> {
    let mut at = 0;
    for _ in 0..MOST_WORDS {
        at = behind_marks(line, at);
        // A time of day alone may come before a date: `[12:00:00] 2024-05-01 …` is rare, but a day is worth the search.
        let found = stamp::read(line, at).map(|(moment, _)| moment);
        if found.is_some_and(|moment| moment != Moment::Clock) {
            return found;
        }
        at += memchr::memchr(b' ', line.get(at..)?)?;
    }
    None
}

/// Behind blanks, brackets and a priority; Redis's process; the version of a syslog message.
fn behind_marks(line: &[u8], mut at: usize) -> usize {
    loop {
        let rest = line.get(at..).unwrap_or_default();
        let digits = rest.iter().skip(1).take(3).take_while(|byte| byte.is_ascii_digit()).count();
        at += match rest {
            [b'<', ..] if digits > 0 && rest.get(1 + digits) == Some(&b'>') => digits + 2,
            [b' ' | b'\t' | b'[' | b'(' | b'<' | b'|', ..] => 1,
            _ => return at,
        };
    }
}

/// The time of an object: under the keys that programs use for it.
fn of_json(line: &[u8]) -> Option<Moment> {
    let found = Fields::of(line).find(|field| {
        matches!(
            field.key,
            b"time"
                | b"ts"
                | b"timestamp"
                | b"@timestamp"
                | b"@t"
                | b"t"
                | b"datetime"
                | b"date"
                | b"Timestamp"
                | b"asctime"
                | b"eventTime"
                | b"time_iso8601"
                | b"StartUTC"
                | b"time_local"
        )
    })?;
    of_value(found.value)
}

fn of_value(value: Value<'_>) -> Option<Moment> {
    match value {
        Value::Text(text) => of_text(text),
        // MongoDB: `"t":{"$date":"2024-05-01T12:00:00.123+00:00"}`; Monolog 1: `"datetime":{"date":"2024-05-01 12:00:00.000000"}`;
        // protocol buffers: `"timestamp":{"seconds":1714564807,"nanos":0}`.
        Value::Other(object @ [b'{', ..]) => {
            let inner = Fields::of(object).find(|field| matches!(field.key, b"$date" | b"date" | b"seconds"))?;
            match inner.value {
                Value::Text(text) => of_text(text),
                Value::Other(number) => of_number(number),
            }
        }
        Value::Other(number) => of_number(number),
    }
}

fn of_text(text: &[u8]) -> Option<Moment> {
    stamp::read(text, 0).map(|(moment, _)| moment).or_else(|| of_number(text))
}

/// A number of seconds or parts of them since 1970; zap writes floats, also with an exponent.
fn of_number(number: &[u8]) -> Option<Moment> {
    let whole = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if matches!(number.get(whole + 1..), Some(rest) if rest.contains(&b'e') || rest.contains(&b'E')) {
        return of_exponent(number);
    }
    let fraction = number.get(whole + 1..).unwrap_or_default();
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    stamp::epoch(&number[..whole], if number.get(whole) == Some(&b'.') { &fraction[..digits] } else { &[] })
}

/// `1.7145648071234567e+09`: the point is moved, as binary fractions would lose digits.
fn of_exponent(number: &[u8]) -> Option<Moment> {
    let text = std::str::from_utf8(number).ok()?;
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    // An exponent that no time has would ask for gigabytes of zeros.
    let exponent: usize = exponent.trim_start_matches('+').parse().ok().filter(|exponent| *exponent < 20)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole.as_bytes(), fraction.as_bytes()].concat();
    let point = whole.len() + exponent;
    let digits: Vec<u8> = digits.into_iter().chain(std::iter::repeat(b'0')).take(point.max(text.len())).collect();
    digits.iter().all(u8::is_ascii_digit).then(|| stamp::epoch(&digits[..point], &digits[point..])).flatten()
}

/// The time of pairs: `time="2024-05-01T12:00:00Z" level=info`.
fn of_pairs(line: &[u8]) -> Option<Moment> {
    let at = text::skip_blanks(line, 0);
    let found = logfmt::Pairs::of(line, at)
        .find(|pair| matches!(pair.key, b"time" | b"ts" | b"t" | b"timestamp" | b"@timestamp"))?;
    of_text(found.value)
}

/// The moment of a date with its time of day.
fn of_civil(civil: &Civil, zone: Zone, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let moment = |year| {
        let shown = shown(civil, year)?;
        match civil.offset {
            Some(offset) => shown.and_utc().checked_sub_signed(TimeDelta::seconds(i64::from(offset))),
            None => zone.moment(shown),
        }
    };
    if let Some(year) = civil.year {
        return moment(i32::try_from(year).ok()?);
    }
    // Clocks differ, and zones too: only what is more than a day ahead is of an earlier year. 29 February may be eight years ago,
    // as 1900 and 2100 have none.
    let latest = now.checked_add_days(Days::new(1))?;
    let this_year = zone.shown(latest).year();
    (0..=8).filter_map(|ago| moment(this_year - ago)).find(|moment| *moment <= latest)
}

fn shown(civil: &Civil, year: i32) -> Option<NaiveDateTime> {
    // An inserted second is the last one of its minute: clocks in computers do not have it.
    let (second, nanos) = if civil.second == 60 { (59, 999_999_999) } else { (civil.second, civil.nanos) };
    NaiveDate::from_ymd_opt(year, civil.month, civil.day)?.and_hms_nano_opt(civil.hour, civil.minute, second, nanos)
}
