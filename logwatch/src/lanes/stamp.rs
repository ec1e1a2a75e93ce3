//! The engine's times: RFC 3339 in UTC, with up to nine digits of a second.

use chrono::{DateTime, NaiveDate, Utc};

/// Reads `2024-05-01T12:00:00.123456789Z`. Each line of a wire has one, so nothing general reads it: that would take longer
/// than all else that is done with the line.
pub(super) fn parse(text: &[u8]) -> Option<DateTime<Utc>> {
    let (date, rest) = text.split_at_checked(19)?;
    let is_shaped = date[4] == b'-' && date[7] == b'-' && date[10] == b'T' && date[13] == b':' && date[16] == b':';
    let fraction = rest.strip_suffix(b"Z").filter(|_| is_shaped)?;
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            number(digits)? * 10_u32.pow(9 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    let year = i32::try_from(number(&date[..4])?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(&date[5..7])?, number(&date[8..10])?)?;
    let (hour, minute, second) = (number(&date[11..13])?, number(&date[14..16])?, number(&date[17..])?);
    Some(day.and_hms_nano_opt(hour, minute, second, nanos)?.and_utc())
}

/// A number of at most nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}
