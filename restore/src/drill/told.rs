//! What a rehearsal has to say.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::exit::Exit;
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted, spoken};

use super::{Found, Part};
use crate::select::Snapshot;

/// The report: critical as soon as anything is not as it should be.
pub(super) fn outcome(snapshot: &Snapshot, found: &Found) -> Outcome {
    let id = &snapshot.manifest.id;
    let wrong = found.wrong();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let summary = match wrong.len() {
        0 => format!("snapshot {id} recovered in {}: {}", spoken(found.recovery), found.amount()),
        count => format!(
            "snapshot {id} does not come back as it was: {}",
            counted(number(count), "difference", "differences")
        ),
    };
    let data = json!({
        "drill": true,
        "snapshot": {"id": id, "host": snapshot.place.host, "app": snapshot.place.app},
        "whole": wrong.is_empty(),
        "recovery_s": seconds(found.recovery),
        "services_s": seconds(found.services),
        "settings": found.from,
        "parts": found.parts.iter().map(Part::told).collect::<Vec<_>>(),
        "checks": found.checks.iter().map(super::checks::Checked::told).collect::<Vec<_>>(),
        "differences": wrong,
    });
    let exit = if wrong.is_empty() { Exit::Ok } else { Exit::Critical };
    Outcome { exit, data, text: text(snapshot, found, &wrong), ..Outcome::ok(summary) }
}

impl Found {
    /// Everything that is not as it should be, with where.
    fn wrong(&self) -> Vec<String> {
        let parts = self.parts.iter().flat_map(|part| part.wrong.iter().map(|why| format!("{}: {why}", part.name)));
        let checks = self.checks.iter().filter_map(|check| Some(format!("{}: {}", check.sql, check.wrong.as_ref()?)));
        parts.chain(checks).collect()
    }

    fn amount(&self) -> String {
        let of = |is_database: bool| {
            self.parts.iter().filter(move |part| (part.kind == PayloadKind::Database) == is_database)
        };
        let count = |parts: usize| u64::try_from(parts).unwrap_or(u64::MAX);
        let files = of(false).flat_map(|part| &part.counts).filter(|(what, _)| *what == "files");
        let files: u64 = files.map(|(_, number)| number).sum();
        let bytes: u64 = self.parts.iter().filter(|part| part.kind != PayloadKind::Sqlite).map(|part| part.bytes).sum();
        format!(
            "{}, {}, {}",
            counted(count(of(true).filter(|part| !part.is_globals()).count()), "database", "databases"),
            counted(files, "file", "files"),
            ByteSize(bytes)
        )
    }
}

impl Part {
    fn is_globals(&self) -> bool {
        self.counts.iter().any(|(what, _)| *what == "roles")
    }

    /// An element of `data.parts`.
    fn told(&self) -> Value {
        let mut told = Map::new();
        told.insert("name".to_owned(), json!(self.name));
        told.insert("kind".to_owned(), json!(self.kind));
        told.insert("runs_on".to_owned(), json!(self.what.trim()));
        told.insert("bytes".to_owned(), json!(self.bytes));
        told.insert("seconds".to_owned(), json!(seconds(self.took)));
        told.insert("bytes_per_s".to_owned(), json!(self.throughput()));
        told.extend(self.counts.iter().map(|(what, number)| ((*what).to_owned(), json!(number))));
        told.insert("differences".to_owned(), json!(self.wrong));
        Value::Object(told)
    }

    /// Bytes a second, rounded; none for what took no time.
    fn throughput(&self) -> Option<u64> {
        let milliseconds = u64::try_from(self.took.as_millis()).ok().filter(|time| *time > 0)?;
        self.bytes.checked_mul(1000)?.checked_div(milliseconds)
    }

    /// `14 tables, 3204 rows`.
    fn amount(&self) -> String {
        let counts = self.counts.iter().map(|(what, number)| counted(*number, what.trim_end_matches('s'), what));
        counts.collect::<Vec<_>>().join(", ")
    }
}

/// A small table, the checks, and what is wrong.
fn text(snapshot: &Snapshot, found: &Found, wrong: &[String]) -> String {
    let mut text = snapshot.note.as_ref().map(|note| format!("{note}\n")).unwrap_or_default();
    let cells = |part: &Part| {
        let verdict = if part.wrong.is_empty() { "as it was" } else { "DIFFERS" };
        [
            part.name.clone(),
            part.what.trim().to_owned(),
            part.amount(),
            ByteSize(part.bytes).to_string(),
            spoken(part.took),
            verdict.to_owned(),
        ]
    };
    let rows: Vec<[String; 6]> = found.parts.iter().map(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "  {cell:<width$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    for check in &found.checks {
        let answer = check.answer.as_deref().unwrap_or("no answer");
        let verdict = if check.wrong.is_none() { "ok" } else { "WRONG" };
        let _ = writeln!(text, "  check {}: {} is {answer}: {verdict}", check.database, check.sql);
    }
    text.extend(wrong.iter().map(|why| format!("different: {why}\n")));
    if found.parts.iter().any(|part| part.kind == PayloadKind::Database) {
        let from = match found.from {
            "snapshot" => "the compose files in the snapshot",
            "folder" => "the compose files of the application's folder",
            _ => "their images alone",
        };
        let _ = writeln!(
            text,
            "the services were made from {from} and up in {}; all is removed again",
            spoken(found.services)
        );
    }
    let _ = writeln!(text, "recovered in {}", spoken(found.recovery));
    text
}

/// Seconds with three decimals.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(wrong: &[&str]) -> Part {
        Part {
            name: "fleetbase".to_owned(),
            kind: PayloadKind::Database,
            what: "mariadb 11.8".to_owned(),
            bytes: 3_000_000,
            took: Duration::from_millis(1500),
            counts: vec![("tables", 1), ("rows", 3204)],
            wrong: wrong.iter().map(|why| (*why).to_owned()).collect(),
        }
    }

    fn found(parts: Vec<Part>) -> Found {
        let recovery = Duration::from_secs(134);
        Found { parts, checks: Vec::new(), from: "snapshot", recovery, services: Duration::from_secs(4) }
    }

    #[test]
    fn a_part_tells_its_numbers_and_its_speed() {
        let told = part(&[]).told();
        assert_eq!((&told["rows"], &told["bytes_per_s"]), (&json!(3204), &json!(2_000_000)));
        assert_eq!(part(&[]).amount(), "1 table, 3204 rows");
        assert_eq!(Part { took: Duration::ZERO, ..part(&[]) }.throughput(), None);
    }

    #[test]
    fn what_differs_is_told_with_its_place() {
        assert!(found(vec![part(&[])]).wrong().is_empty());
        assert_eq!(
            found(vec![part(&["orders has 2 rows instead of 3"])]).wrong(),
            ["fleetbase: orders has 2 rows instead of 3"]
        );
    }

    #[test]
    fn everything_is_summed_up_in_one_line() {
        let files = Part { kind: PayloadKind::Files, counts: vec![("files", 12), ("folders", 3)], ..part(&[]) };
        assert_eq!(found(vec![part(&[]), files]).amount(), "1 database, 12 files, 6.0 MB");
    }
}
