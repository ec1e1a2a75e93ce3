//! The report: what a run says on standard output, and leaves in the state folder.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::Status;

/// The version of the envelope. It grows by adding fields; a changed meaning would be a new number.
pub const SCHEMA: u32 = 1;

/// One report per run, the same envelope for all tools.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Shipshape report")]
pub struct Report {
    /// Version of this envelope.
    pub schema: u32,
    /// The tool that ran: `backup`, `restore`, ….
    pub tool: String,
    /// Its version.
    pub version: String,
    /// The host it ran on.
    pub host: String,
    /// The application it ran for, where it got as far as knowing.
    pub app: Option<String>,
    /// When it started, in UTC.
    pub started: DateTime<Utc>,
    /// How long it took, in seconds, by a clock that never jumps.
    pub duration_s: f64,
    /// The verdict as a word.
    pub status: Status,
    /// The exit status of the process: 0 ok, 1 warning, 2 critical, 3 unknown, 128+N on signal N.
    pub exit_code: u8,
    /// One line for a person.
    pub summary: String,
    /// What the tool found or did; each tool's manual lists its fields.
    pub data: Value,
    /// What somebody should look at, though the job was done.
    pub warnings: Vec<Notice>,
    /// Why the job was not done; null otherwise.
    pub error: Option<Notice>,
}

impl Report {
    /// The report as one line of JSON, with its line end.
    pub fn to_line(&self) -> String {
        // Strings, numbers and maps with string keys: this cannot fail.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// Something to tell: a stable word for programs, a sentence and a remedy for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// A stable dotted word, such as `store.full`.
    pub code: String,
    /// What happened, to which thing, and why.
    pub message: String,
    /// A sentence or a command that helps; may be empty.
    pub hint: String,
}

impl Notice {
    /// A notice from its three parts.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: hint.into() }
    }
}

/// The JSON schema of [`Report`], as it is checked in at `core/report.schema.json`.
pub fn schema_json() -> String {
    let schema = schemars::schema_for!(Report);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_schema_that_is_checked_in_is_the_one_of_the_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("report.schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            crate::atomic::replace(&path, schema_json().as_bytes()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(kept, schema_json(), "run UPDATE_SCHEMA=1 cargo test -p shipshape-core to write it anew");
    }
}
