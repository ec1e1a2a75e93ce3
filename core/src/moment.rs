//! A moment as people write and read it: local time, or with its zone.

use crate::error::Explain;
use crate::exit::Exit;
use crate::units;
use chrono::{DateTime, Local, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};

/// The forms of local time that are understood.
const FORMS: [&str; 4] = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];

/// The text is not a moment.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a time")]
pub struct NotATime(String);

impl Explain for NotATime {
    fn code(&self) -> &'static str {
        "usage.time"
    }

    fn hint(&self) -> String {
        "times look like 2026-11-19, \"2026-11-19 18:00\" (local time) or 2026-11-19T18:00:00Z; spans like 30m, 4h, 1d"
            .to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Unknown
    }
}

/// In local time with its offset: people read it, and not all of them where the server is.
pub fn told(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// Reads a moment. A date alone is the end of that day.
///
/// # Errors
/// The text is not one.
pub fn parse(text: &str) -> Result<DateTime<Utc>, NotATime> {
    parse_in(&Local, text.trim())
}

/// Reads since when something is meant: a span before `now` (`30m`, `1h`, `7d`), or a moment; a date alone is the beginning
/// of that day.
///
/// # Errors
/// The text is neither.
pub fn since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, NotATime> {
    let text = text.trim();
    if let Ok(span) = units::span(text) {
        return now
            .checked_sub_signed(TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX))
            .ok_or_else(|| NotATime(text.to_owned()));
    }
    match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(_) => parse_in(&Local, &format!("{text} 00:00")),
        Err(_) => parse(text),
    }
}

fn parse_in<Z: TimeZone>(zone: &Z, text: &str) -> Result<DateTime<Utc>, NotATime> {
    if let Ok(with_zone) = DateTime::parse_from_rfc3339(text) {
        return Ok(with_zone.to_utc());
    }
    let refused = || NotATime(text.to_owned());
    let at_a_time = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let naive = at_a_time.or_else(|| end_of_day(text)).ok_or_else(refused)?;
    match zone.from_local_datetime(&naive) {
        MappedLocalTime::Single(moment) => Ok(moment.to_utc()),
        // When clocks are set back an hour comes twice. The later one: it knows of everything before it.
        MappedLocalTime::Ambiguous(_, later) => Ok(later.to_utc()),
        // When they are set forward an hour does not come at all.
        MappedLocalTime::None => Err(refused()),
    }
}

/// A date alone means all of that day.
fn end_of_day(text: &str) -> Option<NaiveDateTime> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(23, 59, 59)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn local_time_is_understood_in_its_zone_and_other_time_by_its_own() {
        let berlin = FixedOffset::east_opt(3600).unwrap();
        let read = |text| parse_in(&berlin, text).unwrap().to_rfc3339();
        assert_eq!(read("2026-11-19 18:00"), "2026-11-19T17:00:00+00:00");
        assert_eq!(read("2026-11-19T18:00:30"), "2026-11-19T17:00:30+00:00");
        assert_eq!(read("2026-11-19T18:00:00Z"), "2026-11-19T18:00:00+00:00");
        assert_eq!(read("2026-11-19"), "2026-11-19T22:59:59+00:00", "a date alone is all of that day");
    }

    #[test]
    fn since_is_a_span_or_a_moment() {
        let now = parse_in(&Utc, "2026-11-20 02:00").unwrap();
        let read = |text: &str| since(text, now).unwrap().to_rfc3339();
        assert_eq!(read("90m"), "2026-11-20T00:30:00+00:00");
        assert_eq!(read("2026-11-19T18:00:00Z"), "2026-11-19T18:00:00+00:00");
        assert!(
            since("2026-11-19", now).unwrap() < parse("2026-11-19").unwrap(),
            "a date alone begins with its first hour"
        );
        assert!(since("soon", now).is_err());
    }

    #[test]
    fn what_is_no_time_is_quoted() {
        for text in ["", "yesterday", "2026-11-31", "2026-13-01 10:00"] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("{text:?} is not a time"));
        }
    }
}
