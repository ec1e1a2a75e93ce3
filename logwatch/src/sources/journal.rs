//! Units of systemd, read from the journal by `journalctl`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use shipshape_core::child::{ChildError, Command};
use shipshape_core::stack::Stack;
use shipshape_core::stack::host::Host;

use super::program::{Ended, Output, beginning};
use super::{Cursor, Gap, Opened, Part, Source, SourceError, Start};
use crate::chunk::Ending;
use crate::lanes::{Marks, Wire};

const PROGRAM: &str = "journalctl";

/// How long reading may take: a first look at all of a large journal.
const DEADLINE: Duration = Duration::from_secs(3600);

/// What is wanted of each message, beside its cursor and its time, which come anyway.
const FIELDS: &str =
    "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID,_TRANSPORT,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT";

/// How many messages before the first new one are looked at, and how many bytes of them: what is new may go on with a trace
/// among them. Several programs of a unit may speak at once.
const MOST_BEFORE: usize = 256;
const MOST_BYTES_BEFORE: u64 = 256 << 10;

/// The kinds of units (systemd.unit(5)). A name without one of them is that of a service.
const KINDS: [&str; 11] =
    ["service", "socket", "timer", "mount", "automount", "path", "target", "slice", "scope", "swap", "device"];

/// Where the messages of a unit were left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalCursor {
    /// The journal's own word for the last one; none as long as there was none.
    last: Option<String>,
    /// When it was looked: what was written later was not seen.
    looked: DateTime<Utc>,
}

/// A unit.
pub(super) struct Unit {
    name: String,
    /// The folder of a journal that is not this machine's, or not only: of a disk that is mounted here.
    dir: Option<PathBuf>,
    /// When it was opened.
    looked: DateTime<Utc>,
    /// The journal's own word for the last message so far.
    last: Option<String>,
    ended: Ended,
}

/// From where the journal is read.
#[derive(Debug, PartialEq, Eq)]
enum Begin {
    /// From its beginning.
    Beginning,
    /// From a time on.
    Time(DateTime<Utc>),
    /// Behind a message that is still there.
    Behind(String),
    /// From what has followed on a message that is not there any more.
    Instead(String),
}

impl Begin {
    /// The same as a word to journalctl.
    fn word(&self) -> Option<String> {
        match self {
            Self::Beginning => None,
            Self::Time(time) => Some(since(*time)),
            Self::Behind(message) => Some(format!("--after-cursor={message}")),
            Self::Instead(message) => Some(format!("--cursor={message}")),
        }
    }
}

/// A message, as far as its place goes.
#[derive(Deserialize)]
struct Place {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    /// Microseconds since 1970.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
}

impl Unit {
    /// The unit of this name, `.service` understood; of the journal in a folder, or of this machine's.
    pub(super) fn new(name: &str, dir: Option<&Path>) -> Self {
        let has_kind = name.rsplit_once('.').is_some_and(|(_, kind)| KINDS.contains(&kind));
        let name = if has_kind { name.to_owned() } else { format!("{name}.service") };
        let dir = dir.map(Path::to_owned);
        Self { name, dir, looked: DateTime::default(), last: None, ended: Ended::default() }
    }

    /// `journalctl` with words of ours. Never `--quiet`: it would hide that not everything is shown to us.
    fn journalctl(&self, words: &[&str]) -> Command {
        let dir = self.dir.as_ref().map(|dir| format!("--directory={}", dir.display()));
        let words = words.iter().map(|&word| word.to_owned());
        Command::new(PROGRAM, ["--no-pager".to_owned()].into_iter().chain(dir).chain(words))
    }

    /// What it answers to a question.
    fn ask(&self, words: &[&str]) -> Result<String, SourceError> {
        let output = self.journalctl(words).run().map_err(|refused| self.understood(refused))?;
        complete(&output.stderr)?;
        Ok(output.text())
    }

    /// What a refusal means.
    fn understood(&self, refused: ChildError) -> SourceError {
        let ChildError::Failed { stderr, .. } = &refused else { return refused.into() };
        match complete(stderr) {
            Err(denied) => denied,
            // So it answers for a pattern that no unit in the journal matches.
            Ok(()) if stderr.contains("No data available") => SourceError::NoUnit { unit: self.name.clone() },
            Ok(()) if stderr.contains("Failed to open") => SourceError::NoJournal { dir: self.dir.clone() },
            Ok(()) => refused.into(),
        }
    }

    /// The oldest message of all in the journal.
    fn oldest(&self) -> Result<Place, SourceError> {
        let words = ["--output=json", "--output-fields=PRIORITY"];
        let mut stream = self.journalctl(&words).stream()?;
        let begun = beginning(&mut stream);
        let begun = begun.map_err(|source| ChildError::Io { program: PROGRAM.to_owned(), source })?;
        if let Some(place) = place(&begun) {
            return Ok(place);
        }
        complete(&stream.finish().map_err(|refused| self.understood(refused))?)?;
        Err(SourceError::NoJournal { dir: self.dir.clone() })
    }

    /// Fails unless systemd or the journal knows the unit: of one that is not there, journalctl says nothing at all.
    fn exists(&self) -> Result<(), SourceError> {
        // Where there is no journal at all, systemd's word for the unit is not enough.
        self.oldest()?;
        let is_pattern = self.name.contains(['*', '?', '[']);
        let has = |field: &str| Ok::<_, SourceError>(self.ask(&[field])?.lines().any(|name| name == self.name));
        // `UNIT` stands in what systemd itself says of a unit.
        if is_pattern || has("--field=_SYSTEMD_UNIT")? || has("--field=UNIT")? {
            return Ok(());
        }
        // One that never said anything is there all the same.
        let is_known = self.dir.is_none() && Host.state(&self.name).is_ok();
        if is_known { Ok(()) } else { Err(SourceError::NoUnit { unit: self.name.clone() }) }
    }

    /// From where to read on, and what was lost on the way.
    ///
    /// A message that the journal does not have any more, it takes for its next one; `--after-cursor` would then leave
    /// that one out, which nobody has seen.
    fn from(&self, left: &JournalCursor) -> Result<(Begin, Option<Gap>), SourceError> {
        let oldest = self.oldest()?;
        let Some(last) = &left.last else {
            return Ok((Begin::Time(left.looked), self.gap(left, &oldest)));
        };
        let unit = format!("--unit={}", self.name);
        let there = ["--output=json", "--output-fields=PRIORITY", "--lines=1", &unit, &format!("--cursor={last}")];
        // journalctl begins with the next one there is, and does not say so.
        let there = place(self.ask(&there)?.as_bytes());
        if there.is_some_and(|there| there.cursor == *last) {
            return Ok((Begin::Behind(last.clone()), None));
        }
        Ok((Begin::Instead(last.clone()), self.gap(left, &oldest)))
    }

    /// The messages up to this one, which was the last that was read. Whatever goes wrong here may cost that a trace counts
    /// twice, and never a line: so it is no error.
    fn before(&self, last: &str) -> Vec<u8> {
        let (unit, cursor) = (format!("--unit={}", self.name), format!("--cursor={last}"));
        let lines = format!("--lines={MOST_BEFORE}");
        let words = ["--output=json", "--all", FIELDS, "--reverse", &lines, &unit, &cursor];
        let Ok(stream) = self.journalctl(&words).stream() else { return Vec::new() };
        let mut newest_first = Vec::new();
        let read = stream.take(MOST_BYTES_BEFORE).read_to_end(&mut newest_first);
        if read.is_ok() { turned(&newest_first, last) } else { Vec::new() }
    }

    /// What was lost: something, if the journal begins after the last look. What it has dropped before that was seen.
    fn gap(&self, left: &JournalCursor, oldest: &Place) -> Option<Gap> {
        let begins = oldest.time().filter(|begins| *begins > left.looked)?;
        let [left, begins] = [left.looked, begins].map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
        let why = format!("the journal begins at {begins}: what {} wrote after {left} is gone", self.name);
        Some(Gap { bytes: None, why })
    }
}

impl Source for Unit {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        match &self.dir {
            Some(dir) => format!("unit:{}:{}", self.name, dir.display()),
            None => format!("unit:{}", self.name),
        }
    }

    fn open(&mut self, cursor: Option<&Cursor>, start: &Start) -> Result<Opened, SourceError> {
        let left = match cursor {
            Some(Cursor::Journal(left)) => Some(left.clone()),
            _ => None,
        };
        let (from, gap) = match &left {
            Some(left) => self.from(left)?,
            None => self.exists().map(|()| (start.since.map_or(Begin::Beginning, Begin::Time), None))?,
        };
        let unit = format!("--unit={}", self.name);
        // Without `--all`, a message of more than 4096 bytes would come as null.
        let words = ["--output=json", "--all", FIELDS, &unit];
        let word = from.word();
        let words: Vec<&str> = words.into_iter().chain(word.as_deref()).collect();
        let (mut output, ended) = Output::of(self.journalctl(&words).deadline(DEADLINE).stream()?);
        let unreadable = |source| SourceError::Unreadable { path: self.name.clone().into(), source };
        let begun = beginning(&mut output).map_err(unreadable)?;
        let before = match &from {
            Begin::Behind(last) if !begun.is_empty() => self.before(last),
            _ => Vec::new(),
        };
        let is_first = left.is_none();
        (self.ended, self.looked, self.last) = (ended, start.now, left.and_then(|left| left.last));
        let stream = Box::new(io::Cursor::new(begun).chain(output));
        let part = Part { stream, wire: Some(Wire::Journal), ending: Ending::Whole };
        let (gaps, marks) = (gap.into_iter().collect(), Marks::new());
        Ok(Opened { parts: vec![part], before, gaps, marks, is_first, is_undated: false })
    }

    fn left_at(&mut self, cursor: String) {
        self.last = Some(cursor);
    }

    fn close(&mut self, _: u64, _: Marks) -> Result<Cursor, SourceError> {
        let said = self.ended.well(PROGRAM).map_err(|refused| self.understood(refused))?;
        complete(&said)?;
        Ok(Cursor::Journal(JournalCursor { last: self.last.clone(), looked: self.looked }))
    }
}

impl Place {
    fn time(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.micros.parse().ok()?)
    }
}

/// The place of the first message.
fn place(lines: &[u8]) -> Option<Place> {
    serde_json::from_slice(lines.split(|byte| *byte == b'\n').next()?).ok()
}

/// Messages that came newest first, the oldest first; nothing unless they begin with the one that is meant. Where they end
/// within one, that one goes.
pub(super) fn turned(newest_first: &[u8], last: &str) -> Vec<u8> {
    if place(newest_first).is_none_or(|newest| newest.cursor != last) {
        return Vec::new();
    }
    let whole = memchr::memrchr(b'\n', newest_first).map_or(0, |feed| feed + 1);
    let lines: Vec<&[u8]> = newest_first[..whole].split_inclusive(|byte| *byte == b'\n').rev().collect();
    lines.concat()
}

/// `@` and a number can be taken for nothing else (systemd.time(7)).
fn since(time: DateTime<Utc>) -> String {
    format!("--since=@{}.{:06}", time.timestamp(), time.timestamp_subsec_micros())
}

/// Fails if the journal was not shown to us, or not all of it. journalctl says so, shows what little it may, and ends well.
fn complete(stderr: &str) -> Result<(), SourceError> {
    let is_denial = |line: &&str| {
        let line = line.to_lowercase();
        ["insufficient permissions", "not seeing messages", "permission denied"]
            .iter()
            .any(|words| line.contains(words))
    };
    match stderr.lines().map(str::trim).find(is_denial) {
        Some(why) => Err(SourceError::Denied { why: why.trim_start_matches("Hint: ").to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::error::Explain;

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap()
    }

    fn message(micros: i64) -> Place {
        Place { cursor: "s=1;i=2".to_owned(), micros: micros.to_string() }
    }

    #[test]
    fn a_name_without_a_kind_is_that_of_a_service() {
        let name = |name: &str| Unit::new(name, None).name;
        assert_eq!(
            ["ssh", "apt.timer", "node.js", "app@1"].map(name),
            ["ssh.service", "apt.timer", "node.js.service", "app@1.service"]
        );
    }

    #[test]
    fn the_same_unit_of_another_journal_is_another_source() {
        assert_ne!(Unit::new("ssh", None).key(), Unit::new("ssh", Some(Path::new("/mnt/journal"))).key());
    }

    #[test]
    fn a_gap_is_told_only_where_the_journal_begins_after_the_last_look() {
        let left = JournalCursor { last: None, looked: at(1_000_000_000_000_000) };
        let unit = Unit::new("ssh", None);
        assert_eq!(unit.gap(&left, &message(999_999_999_999_999)), None);
        let gap = unit.gap(&left, &message(1_000_000_060_000_000)).unwrap();
        assert_eq!(
            gap.why,
            "the journal begins at 2001-09-09T01:47:40Z: what ssh.service wrote after 2001-09-09T01:46:40Z is gone"
        );
    }

    #[test]
    fn what_is_not_shown_to_us_is_no_silence() {
        let hint = "Hint: You are currently not seeing messages from other users and the system.\n      Users in groups \
                    'adm', 'systemd-journal' can see all messages.\n";
        let error = complete(hint).unwrap_err();
        assert_eq!(error.code(), "journal.denied");
        assert!(error.to_string().ends_with("You are currently not seeing messages from other users and the system."));
        assert!(complete("No journal files were opened due to insufficient permissions.").is_err());
        assert!(complete("-- something else --\n").is_ok());
    }

    #[test]
    fn the_place_of_a_message_is_read_from_the_first_line() {
        let lines = br#"{"__CURSOR":"s=1;i=2","PRIORITY":"6","__REALTIME_TIMESTAMP":"1763640007000000"}
{"__CURSOR":"s=1;i=3"}"#;
        let place = place(lines).unwrap();
        assert_eq!((place.cursor.as_str(), place.time()), ("s=1;i=2", Some(at(1_763_640_007_000_000))));
        assert!(super::place(b"").is_none() && super::place(b"-- No entries --\n").is_none());
    }

    #[test]
    fn messages_before_the_first_new_one_are_turned_around_if_they_begin_with_the_last_one_that_was_read() {
        let message = |number: u32| format!("{{\"__CURSOR\":\"i={number}\",\"__REALTIME_TIMESTAMP\":\"{number}\"}}\n");
        let newest_first = message(3) + &message(2) + &message(1);
        assert_eq!(turned(newest_first.as_bytes(), "i=3"), (message(1) + &message(2) + &message(3)).into_bytes());
        let cut = &newest_first[..newest_first.len() - 4];
        assert_eq!(turned(cut.as_bytes(), "i=3"), (message(2) + &message(3)).into_bytes(), "half a message is none");
        // journalctl begins with another one where that one is gone.
        assert!(turned(newest_first.as_bytes(), "i=4").is_empty() && turned(b"", "i=3").is_empty());
    }

    #[test]
    fn a_time_is_told_in_the_one_way_that_means_nothing_else() {
        assert_eq!(since(at(1_763_640_007_000_042)), "--since=@1763640007.000042");
    }
}
