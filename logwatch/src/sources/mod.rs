//! Where lines come from, and where each was left the last time.

mod absent;
mod compose;
mod container;
mod error;
pub(crate) mod file;
mod journal;
mod last_lines;
pub(crate) mod plan;
mod program;
mod stamped;
mod stdin;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use error::SourceError;
pub(crate) use last_lines::LastLines;
pub(crate) use stdin::NAME as STDIN;

use crate::chunk::Ending;
use crate::formats::Zone;
use crate::lanes::{Marks, Wire};

/// Something that has lines.
pub(crate) trait Source: Send {
    /// Its name, for people and reports: a path, `application-1`, `nginx.service`, `stdin`.
    fn name(&self) -> &str;

    /// Under what the state keeps where it was left: as the name, but never the same for two.
    fn key(&self) -> String;

    /// The file that it reads, where it is one that was named.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Opens what is new in it since `cursor`, or what `start` asks for where there is none.
    ///
    /// # Errors
    /// It is not there, may not be read, or nobody answers. That is never the same as nothing new.
    fn open(&mut self, cursor: Option<&Cursor>, start: &Start) -> Result<Opened, SourceError>;

    /// Whether what [`Source::open`] opens can be opened once more, and is the same.
    fn can_be_read_again(&self) -> bool {
        true
    }

    /// The journal's own word for the last message that was taken in; told before [`Source::close`], where there was one.
    fn left_at(&mut self, _cursor: String) {}

    /// Where it is left after all of what was opened has been taken in, of the last part `taken` bytes.
    ///
    /// # Errors
    /// What was opened ended badly, so that nothing of it can be believed.
    fn close(&mut self, taken: u64, marks: Marks) -> Result<Cursor, SourceError>;

    /// Why it could be read only in part, where that is so though it was closed well. To be asked behind [`Source::close`].
    fn shortfall(&mut self) -> Option<SourceError> {
        None
    }
}

/// What to read where nothing is known of a source yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Only what was written since then; everything where there is none.
    pub(crate) since: Option<DateTime<Utc>>,
    /// The zone of times that do not say theirs.
    pub(crate) zone: Zone,
    /// When the run began.
    pub(crate) now: DateTime<Utc>,
}

/// What is new in a source.
pub(crate) struct Opened {
    /// Streams, in the order in which they were written: the rest of a file that was rotated away, then the new one.
    pub(crate) parts: Vec<Part>,
    /// The lines right before the first of these, as far as an earlier run has read them and they can be had: the first stream
    /// may go on with the record that they end with.
    pub(crate) before: Vec<u8>,
    /// What was lost, as far as that can be told.
    pub(crate) gaps: Vec<Gap>,
    /// Where its lanes were left.
    pub(crate) marks: Marks,
    /// Whether it was never read before.
    pub(crate) is_first: bool,
    /// Whether what is opened may be older than what [`Start`] asks for: its records say no time.
    pub(crate) is_undated: bool,
}

/// One stream.
pub(crate) struct Part {
    /// It.
    pub(crate) stream: Box<dyn Read + Send>,
    /// What wraps its lines, where that is known.
    pub(crate) wire: Option<Wire>,
    /// Whether its last line counts though it has no end.
    pub(crate) ending: Ending,
}

/// Lines that nobody will see: written, and gone before they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Gap {
    /// How much, where that is known.
    pub(crate) bytes: Option<u64>,
    /// What happened: `rotated away`, `truncated`, `container recreated`.
    pub(crate) why: String,
}

/// Where a source was left. Kept in the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cursor {
    /// A file.
    File(file::FileCursor),
    /// What carries the time of each line, by lane.
    Lanes(Marks),
    /// A container.
    Container(container::ContainerCursor),
    /// A unit in the journal.
    Journal(journal::JournalCursor),
}
