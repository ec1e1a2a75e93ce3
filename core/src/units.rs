//! Quantities with their units, as people write and read them.

use std::fmt;
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
    fn spans_are_told_in_two_units() {
        let shown = [0, 41, 125, 7_380, 273_600].map(|s| spoken(Duration::from_secs(s)));
        assert_eq!(shown, ["0.0 s", "41 s", "2 min 5 s", "2 h 3 min", "3 d 4 h"]);
    }
}
