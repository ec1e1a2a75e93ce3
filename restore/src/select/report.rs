//! A report of `backup` on standard input: `backup | restore verify -`.

use std::io::{self, Read};

use serde_json::Value;
use shipshape_core::error::Explain;
use shipshape_core::exit::{Exit, Status};
use shipshape_core::report::Report;
use shipshape_core::signal;

use crate::content::fill;

/// Far more than any report of `backup` has.
const LIMIT: usize = 16 * 1024 * 1024;

/// Why the report does not tell which snapshot is meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// Standard input breaks.
    #[error("cannot read the report from standard input")]
    Read(#[source] std::io::Error),
    /// There is nothing.
    #[error("standard input holds no report")]
    Empty,
    /// It is something else.
    #[error("standard input is not a report of backup")]
    NotAReport(#[source] serde_json::Error),
    /// Another tool wrote it.
    #[error("the report is one of {tool}, not of backup")]
    OtherTool {
        /// Which.
        tool: String,
    },
    /// The run that it is about failed.
    #[error("the report is of a backup that failed: {summary}")]
    Failed {
        /// What it says.
        summary: String,
    },
    /// The run that it is about made no snapshot.
    #[error("the report names no snapshot: {summary}")]
    NoSnapshot {
        /// What it says.
        summary: String,
    },
}

impl Explain for ReportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read(_) => "report.unreadable",
            Self::Empty => "report.empty",
            Self::NotAReport(_) => "report.invalid",
            Self::OtherTool { .. } => "report.other_tool",
            Self::Failed { .. } => "report.failed",
            Self::NoSnapshot { .. } => "report.no_snapshot",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Read(_) | Self::NotAReport(_) | Self::OtherTool { .. } => {
                "`-` takes the JSON report of a backup: backup | restore verify -".to_owned()
            }
            Self::Empty => "the program before the pipe wrote nothing; run it alone to see why".to_owned(),
            Self::Failed { .. } => "see why the backup failed; for an older snapshot: restore latest".to_owned(),
            Self::NoSnapshot { .. } => {
                "`-` takes the report of a run that made a snapshot, not of a list or a dry run".to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Read(_)
            | Self::Empty
            | Self::NotAReport(_)
            | Self::OtherTool { .. }
            | Self::Failed { .. }
            | Self::NoSnapshot { .. } => Exit::Unknown,
        }
    }
}

/// What a report says of its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The snapshot.
    pub(crate) id: String,
    /// The application.
    pub(crate) app: Option<String>,
    /// The store.
    pub(crate) store: Option<String>,
    /// The host's name in the store.
    pub(crate) host: Option<String>,
    /// The machine that the report is from.
    pub(crate) machine: String,
}

/// Reads the report: the last line of a log of reports, or a single one in as many lines as it likes.
pub(crate) fn read(from: impl Read) -> Result<Told, ReportError> {
    let text = end_of(from).map_err(ReportError::Read)?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let last = lines.rfind(|line| !line.iter().all(u8::is_ascii_whitespace)).ok_or(ReportError::Empty)?;
    let report = serde_json::from_slice(last).or_else(|refused| serde_json::from_slice(&text).map_err(|_| refused));
    understand(report.map_err(ReportError::NotAReport)?)
}

/// The end of a stream: all that can hold the last report, however long the log is that it stands in.
fn end_of(mut from: impl Read) -> io::Result<Vec<u8>> {
    let (mut text, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        signal::check().map_err(io::Error::other)?;
        let length = fill(&mut from, &mut buffer)?;
        text.extend_from_slice(&buffer[..length]);
        if length < buffer.len() {
            return Ok(text);
        }
        if text.len() > 2 * LIMIT {
            text.drain(..text.len() - LIMIT);
        }
    }
}

fn understand(report: Report) -> Result<Told, ReportError> {
    let Report { tool, status, summary, data, app, host: machine, .. } = report;
    if tool != "backup" {
        return Err(ReportError::OtherTool { tool });
    }
    match status {
        Status::Ok | Status::Warning => {}
        Status::Critical | Status::Unknown => return Err(ReportError::Failed { summary }),
    }
    let text = |name: &str| data.get("snapshot")?.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(id) = text("id") else { return Err(ReportError::NoSnapshot { summary }) };
    Ok(Told { id, app: text("app").or(app), store: text("store"), host: text("host"), machine })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(tool: &str, status: &str, data: &Value) -> String {
        json!({"schema": 1, "tool": tool, "version": "0.1.0", "host": "vps1", "app": "demo",
            "started": "2026-11-20T02:00:00Z", "duration_s": 1.0, "status": status, "exit_code": 0,
            "summary": "s", "data": data, "warnings": [], "error": null})
        .to_string()
    }

    fn code(text: &str) -> &'static str {
        read(text.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn a_report_of_backup_tells_the_snapshot_and_its_store() {
        let data = json!({"snapshot": {"id": "20261120T020000Z-7f3a", "store": "/backups"}});
        let told = read(report("backup", "warning", &data).as_bytes()).unwrap();
        assert_eq!((told.id.as_str(), told.store.as_deref()), ("20261120T020000Z-7f3a", Some("/backups")));
        assert_eq!((told.app.as_deref(), told.machine.as_str()), (Some("demo"), "vps1"));
    }

    #[test]
    fn of_a_log_the_last_line_is_meant_and_a_single_report_may_have_many() {
        let of = |id: &str| report("backup", "ok", &json!({"snapshot": {"id": id}}));
        let log = format!("{}\n{}\n\n", of("20261120T020000Z-7f3a"), of("20261121T020000Z-7f3b"));
        assert_eq!(read(log.as_bytes()).unwrap().id, "20261121T020000Z-7f3b");
        let endless = format!("{}\n{}", "x".repeat(3 * LIMIT), of("20261120T020000Z-7f3a"));
        assert_eq!(read(endless.as_bytes()).unwrap().id, "20261120T020000Z-7f3a");
        let value: Value = serde_json::from_str(&of("20261120T020000Z-7f3a")).unwrap();
        assert!(read(serde_json::to_string_pretty(&value).unwrap().as_bytes()).is_ok());
    }

    #[test]
    fn what_does_not_tell_a_snapshot_is_refused() {
        let data = json!({"snapshot": {"id": "20261120T020000Z-7f3a"}});
        assert_eq!(code(""), "report.empty");
        assert_eq!(code("\n"), "report.empty");
        assert_eq!(code("hello"), "report.invalid");
        assert_eq!(code(&report("restore", "ok", &data)), "report.other_tool");
        assert_eq!(code(&report("backup", "critical", &data)), "report.failed");
        assert_eq!(code(&report("backup", "unknown", &data)), "report.failed");
        assert_eq!(code(&report("backup", "ok", &json!({}))), "report.no_snapshot");
        let line = report("backup", "ok", &data);
        assert_eq!(code(&format!("{line}\nhello\n")), "report.invalid", "what went before is not meant");
        assert_eq!(code(&line[..line.len() - 1]), "report.invalid");
    }
}
