//! `[logwatch]`: whose logs are read, and what in them is too much.

use serde::{Deserialize, Deserializer};

use crate::alert::Severity;

/// `[logwatch]`: whose logs are read, and what in them is too much. What is not said has the default that the manual of
/// `logwatch` gives.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogwatchSection {
    /// Files and patterns of files, absolute or relative to the application's folder.
    pub files: Vec<String>,
    /// Services of the stack; `*` is all of them.
    pub services: Vec<String>,
    /// Units of systemd.
    pub units: Vec<String>,
    /// The zone of times that do not say theirs: `local` (this machine's, the default), `utc`, or an offset such as `+03:00`.
    pub zone: Option<String>,
    /// How far back the first look at a source goes: `1h` unless said.
    pub since: Option<String>,
    /// The most errors in a run, in place of the rate.
    pub max_errors: Option<u64>,
    /// The most errors in ten minutes; 10 unless said.
    #[serde(deserialize_with = "not_negative")]
    pub max_rate: Option<f64>,
    /// The most errors among a hundred records, in percent, where there are records enough to say; 5 unless said.
    #[serde(deserialize_with = "percent")]
    pub max_ratio: Option<f64>,
    /// Whether more errors than this hour usually has are told; so unless said otherwise.
    pub spike: Option<bool>,
    /// Whether errors of a kind that was never seen before are told; so unless said otherwise.
    pub new: Option<bool>,
    /// Whether secrets in logs are told; so unless said otherwise.
    pub secrets: Option<bool>,
    /// Whether it is told that a source has gone silent; so unless said otherwise.
    pub silence: Option<bool>,
    /// The owner's own patterns.
    pub pattern: Vec<PatternSection>,
    /// What is not worth counting.
    pub ignore: Vec<IgnoreSection>,
}

/// `[[logwatch.pattern]]`: something that the owner wants to be told of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternSection {
    /// What it is called.
    pub name: String,
    /// A regular expression, as the crate `regex` reads it; looked for in each record.
    pub pattern: String,
    /// How bad it is; a warning unless said.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The most of it in a run; 0 unless said.
    #[serde(default)]
    pub max: u64,
}

/// `[[logwatch.ignore]]`: records that count as no errors, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreSection {
    /// A regular expression, as the crate `regex` reads it; looked for in each record.
    pub pattern: String,
    /// Why it is ignored.
    pub reason: String,
    /// The last day on which it is: `2027-01-31`. Without one, until somebody removes it.
    #[serde(default)]
    pub until: Option<String>,
}

/// TOML knows `nan` and `inf`, by which nothing would ever be too much.
fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() && number >= 0.0 {
        return Ok(Some(number));
    }
    Err(serde::de::Error::custom(format!("{number} is no number of errors: write 0 or more")))
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if (0.0..=100.0).contains(&number) {
        return Ok(Some(number));
    }
    Err(serde::de::Error::custom(format!("{number} is no percentage: write a number from 0 to 100")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LogwatchSection, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_not_said_has_its_default_and_what_is_said_is_read() {
        assert_eq!(read("").unwrap(), LogwatchSection::default());
        let section = read(
            r#"
            services = ["*"]
            max_rate = 3
            max_ratio = 0.5
            silence = false

            [[pattern]]
            name = "payment"
            pattern = 'payment \w+ refused'
            severity = "critical"

            [[ignore]]
            pattern = "deadlock found"
            reason = "retried; see #12"
            until = "2027-01-31"
            "#,
        );
        let section = section.unwrap();
        assert_eq!((section.max_rate, section.max_ratio, section.silence), (Some(3.0), Some(0.5), Some(false)));
        assert_eq!((section.pattern[0].severity, section.pattern[0].max), (Some(Severity::Critical), 0));
        assert_eq!(section.ignore[0].until.as_deref(), Some("2027-01-31"));
    }

    #[test]
    fn limits_that_nothing_would_ever_pass_are_refused() {
        for text in [
            "max_rate = nan",
            "max_rate = inf",
            "max_rate = -1",
            "max_ratio = 101",
            "max_ratio = nan",
            "max_ratio = -0.1",
        ] {
            assert!(read(text).unwrap_err().contains("write "), "of {text}");
        }
        assert!(read("max_errors = -1").is_err());
        assert_eq!(read("max_rate = 0").unwrap().max_rate, Some(0.0));
    }

    #[test]
    fn what_is_ignored_needs_a_reason_and_a_pattern_a_name() {
        assert!(read("[[ignore]]\npattern = 'x'").unwrap_err().contains("reason"));
        assert!(read("[[pattern]]\npattern = 'x'").unwrap_err().contains("name"));
        assert!(read("[[pattern]]\nname = 'x'\npattern = 'x'\nmaximum = 3").unwrap_err().contains("maximum"));
    }
}
