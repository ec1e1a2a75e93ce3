//! A run that has ended, and what one can say of it.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use serde_json::Value;

use super::Exit;

/// What a program left: its status, its report, and what it told people.
pub(crate) struct Finished {
    pub(super) line: String,
    pub(super) output: Output,
}

impl Finished {
    /// The exit status as a shell sees it.
    pub(crate) fn number(&self) -> i32 {
        let status = self.output.status;
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    /// Demands this exit status, and shows everything otherwise.
    #[track_caller]
    pub(crate) fn exits_with(self, exit: Exit) -> Self {
        assert_eq!(self.number(), i32::from(exit.number()), "the exit status of {self}");
        self
    }

    /// Demands 0 or 1: the job was done.
    #[track_caller]
    pub(crate) fn gets_done(self) -> Self {
        assert!(self.number() <= 1, "the job should be done by {self}");
        self
    }

    /// Demands a failure with that code, with a hint for what to do, told to people too.
    #[track_caller]
    pub(crate) fn fails_with(self, code: &str) -> Self {
        let error = &self.report()["error"];
        assert_eq!(error["code"], code, "the code of {self}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!error["hint"].as_str().unwrap_or_default().is_empty(), "a hint of {self}");
        assert!(self.stderr().contains(message), "people should be told {message:?} by {self}");
        self
    }

    /// Demands that the hint of the error holds these words.
    #[track_caller]
    pub(crate) fn hints(self, words: &str) -> Self {
        let report = self.report();
        let hint = report["error"]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains(words), "the hint should say {words:?}: {self}");
        self
    }

    /// Demands that the message of the error holds these words.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        let report = self.report();
        let message = report["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "the message should say {words:?}: {self}");
        self
    }

    /// Demands a warning with that code.
    #[track_caller]
    pub(crate) fn warns_of(self, code: &str) -> Self {
        let report = self.report();
        let codes: Vec<&Value> =
            report["warnings"].as_array().into_iter().flatten().map(|warning| &warning["code"]).collect();
        assert!(codes.iter().any(|found| *found == code), "a warning {code:?} among {codes:?} of {self}");
        self
    }

    /// The report: the one line of JSON on standard output.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        let text = self.stdout();
        assert_eq!(text.lines().count(), 1, "standard output should be one line: {self}");
        serde_json::from_str(&text).unwrap_or_else(|refused| panic!("{refused} in the report of {self}"))
    }

    /// What the report found or did.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        self.report()["data"].clone()
    }

    /// The id of the snapshot that was made.
    #[track_caller]
    pub(crate) fn snapshot(&self) -> String {
        let data = self.data();
        data["snapshot"]["id"].as_str().unwrap_or_else(|| panic!("no snapshot id in {self}")).to_owned()
    }

    /// A number in the data, named by its path: `bytes.stored`.
    #[track_caller]
    pub(crate) fn number_of(&self, path: &str) -> u64 {
        let data = self.data();
        let found = path.split('.').fold(&data, |value, key| &value[key]);
        found.as_u64().unwrap_or_else(|| panic!("no number {path} in {self}"))
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        write!(f, "`{}`, which ended with {}\nstdout: {stdout}\nstderr: {stderr}", self.line, self.number())
    }
}
