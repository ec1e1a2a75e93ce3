//! Each record with the rule that judged it, a line for each: what `--explain` and `follow` print before the report.

use chrono::{Local, SecondsFormat};
use serde_json::json;
use shipshape_core::cli::{CommonArgs, Format};
use shipshape_core::output;

use crate::examine::{self, Judged};
use crate::level::Level;
use crate::report;

/// How much is gathered before it is written, in bytes.
const GATHERED: usize = 64 << 10;

/// Writes a line for each record to standard output: JSON Lines for programs, the report being the last of them; columns for
/// people.
pub(crate) struct Printer {
    format: Format,
    gathered: String,
}

impl Printer {
    /// In the form that the report will have.
    pub(crate) fn new(common: &CommonArgs) -> Self {
        Self { format: common.form(), gathered: String::new() }
    }

    /// A record, with the name of its source and the number of its template.
    pub(crate) fn record(&mut self, source: &str, judged: &Judged<'_>, template: Option<u32>) {
        let line = match self.format {
            Format::Json => for_programs(source, judged, template),
            Format::Text => for_people(source, judged, template),
        };
        self.line(&line);
    }

    /// Something else that is worth a line.
    pub(crate) fn line(&mut self, line: &str) {
        self.gathered.push_str(line);
        self.gathered.push('\n');
        if self.gathered.len() > GATHERED {
            self.flush();
        }
    }

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == Format::Text
    }

    /// Writes what was gathered. A reader that has left is no error, and one that cannot be written to is told by the report.
    pub(crate) fn flush(&mut self) {
        let _ = output::say(&self.gathered);
        self.gathered.clear();
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.flush();
    }
}

fn for_programs(source: &str, judged: &Judged<'_>, template: Option<u32>) -> String {
    let lines = memchr::memchr_iter(b'\n', judged.record).count() + 1;
    json!({
        "source": source,
        "lane": judged.lane,
        "time": judged.time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        "level": Level::told(judged.judgement.level),
        "rule": judged.judgement.rule,
        "template": template.map(report::template_id),
        "ignored": judged.is_ignored,
        "secret": judged.leaks,
        "lines": lines,
        "text": examine::sample(judged.record),
    })
    .to_string()
}

/// `12:04:31 error    monolog.level      application-1  t17 message`, in local time.
fn for_people(source: &str, judged: &Judged<'_>, template: Option<u32>) -> String {
    let time = judged.time.map_or_else(|| "-".to_owned(), |time| time.with_timezone(&Local).format("%T").to_string());
    let level = Level::told(judged.judgement.level);
    let template = template.map_or_else(|| "-".to_owned(), report::template_id);
    // What is piped in has its sources in its lanes; those of a container are only its two outputs.
    let from = if source == "stdin" && !judged.lane.is_empty() { judged.lane } else { source };
    let ignored = if judged.is_ignored { " (ignored)" } else { "" };
    let text = examine::sample(judged.record);
    format!("{time:8} {level:8} {:18} {from} {template}{ignored} {text}", judged.judgement.rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Judgement;

    fn judged(record: &[u8]) -> Judged<'_> {
        let judgement = Judgement { level: Some(Level::Error), rule: "monolog.level" };
        Judged { record, lane: "", judgement, time: None, message: 0, is_ignored: false, leaks: false }
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let record = b"first \x1b[31m\nsecond";
        let line = for_programs("app.log", &judged(record), Some(3));
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&told["level"], &told["lines"], &told["template"]), (&json!("error"), &json!(2), &json!("t3")));
        assert_eq!(for_people("app.log", &judged(record), None).lines().count(), 1);
        assert!(!for_people("app.log", &judged(record), None).contains('\x1b'));
    }
}
