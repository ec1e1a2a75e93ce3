//! Quantities with their units, as people write and read them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes. Shown in powers of 1000, as disks are sold and `ls --si` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
        let mut unit = 0;
        let mut rest = self.0;
        let mut tenths = 0;
        while rest >= 1000 && unit + 1 < UNITS.len() {
            tenths = rest % 1000 / 100;
            rest /= 1000;
            unit += 1;
        }
        let text = match unit {
            0 => format!("{rest} B"),
            _ => format!("{rest}.{tenths} {}", UNITS[unit]),
        };
        f.pad(&text)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    /// As people write it: `500`, `500MB` (of a thousand), `2GiB` (of 1024).
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is no size: write 500MB or 2GiB");
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let factor = match text[digits.len()..].trim_end_matches('B') {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1_u64 << 40,
            _ => return Err(refused()),
        };
        let number: u64 = digits.trim_end().parse().map_err(|_| refused())?;
        number.checked_mul(factor).map(Self).ok_or_else(refused)
    }
}

/// A span of time as people say it: the two largest units, `3 d 4 h`, `41 s`.
pub fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else if seconds >= 10 {
        format!("{seconds} s")
    } else {
        format!("{:.1} s", span.as_secs_f64())
    }
}

/// A span of time as people write it: `30m`, `4h`, `1d`, `2w`.
///
/// # Errors
/// The text is none, with what is wrong in words.
pub fn span(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is no span of time: write 30m, 4h, 1d or 2w");
    let unit = text.chars().last().ok_or_else(refused)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(refused()),
    };
    let number: u32 = text[..text.len() - 1].trim_end().parse().map_err(|_| refused())?;
    if number == 0 { Err(refused()) } else { Ok(Duration::from_secs(u64::from(number) * seconds)) }
}

/// A count with its noun: `1 file`, `3 files`, `2 entries`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_the_largest_unit_that_fits() {
        let shown = [0, 999, 1000, 1_049_999, 18_200_000, 5_000_000_000].map(|n| ByteSize(n).to_string());
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "1.0 MB", "18.2 MB", "5.0 GB"]);
    }

    #[test]
    fn sizes_are_understood_as_people_write_them() {
        let bytes = |text: &str| text.parse::<ByteSize>().ok().map(|size| size.0);
        assert_eq!([bytes("500"), bytes("7B"), bytes("500MB")], [Some(500), Some(7), Some(500_000_000)]);
        assert_eq!([bytes("1GiB"), bytes("2 G"), bytes("3k")], [Some(1 << 30), Some(2_000_000_000), Some(3_000)]);
        assert_eq!([bytes(""), bytes("GB"), bytes("-1"), bytes("1.5G"), bytes("99999999T")], [None; 5]);
    }

    #[test]
    fn spans_are_told_in_two_units() {
        let shown = [0, 41, 125, 7_380, 273_600].map(|s| spoken(Duration::from_secs(s)));
        assert_eq!(shown, ["0.0 s", "41 s", "2 min 5 s", "2 h 3 min", "3 d 4 h"]);
    }
}
