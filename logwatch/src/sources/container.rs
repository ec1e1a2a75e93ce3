//! A container's log: the engine's own file where that can be read here, else what the engine says.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use shipshape_core::child::ChildError;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::compose::logs::Logging;
use shipshape_core::stack::{ServiceState, StackError};

use super::file::{FileCursor, LogFile};
use super::program::{Ended, Output};
use super::stamped::{Noted, Recent, Stamped};
use super::{Cursor, Gap, Opened, Part, Source, SourceError, Start};
use crate::chunk::Ending;
use crate::lanes::{Marks, Wire};

/// What the keys of containers begin with.
pub(super) const PREFIX: &str = "container:";

/// Where the log of a container was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerCursor {
    /// The container's id; none where it was told already that the container is gone.
    id: Option<String>,
    /// The name of its service.
    service: String,
    /// Where the engine's file was left, if that is what was read.
    file: Option<FileCursor>,
    /// What the engine said last, if that is what was read.
    recent: Recent,
    /// The newest times.
    marks: Marks,
    /// When it was looked.
    looked: DateTime<Utc>,
}

impl ContainerCursor {
    /// The time of the newest line, if there was one.
    fn newest(&self) -> Option<DateTime<Utc>> {
        self.marks.values().map(|mark| mark.last).max()
    }

    /// What is lost with the container.
    fn gap(&self, what: &str) -> Gap {
        let time = self.newest().unwrap_or(self.looked).to_rfc3339_opts(SecondsFormat::Secs, true);
        Gap { bytes: None, why: format!("{what}: lines after {time} are gone") }
    }
}

/// A copy of a service.
pub(super) struct Container {
    compose: Arc<Compose>,
    /// Its container.
    logging: Logging,
    /// Those in whose place it is, as long as they are there.
    before: Vec<Logging>,
    name: String,
    reading: Reading,
    /// The one in whose place it is, where the rest of that one's log is read as well.
    earlier: Option<Box<Self>>,
    /// What was known, to be kept where nothing new comes.
    marks: Marks,
    /// When it was opened.
    looked: DateTime<Utc>,
    /// Whether the last look did not succeed.
    has_failed: bool,
}

/// From what a container's log is being read.
enum Reading {
    /// It is not open.
    Nothing,
    /// The engine's own file.
    File(Box<LogFile>),
    /// The engine's program.
    Engine(Ended, Noted),
}

impl Container {
    /// The copy of which this is the newest container.
    pub(super) fn new(compose: &Arc<Compose>, logging: Logging, before: Vec<Logging>) -> Self {
        let (name, compose) = (logging.name(), compose.clone());
        let (reading, earlier, marks, looked) = (Reading::Nothing, None, Marks::new(), DateTime::default());
        Self { compose, logging, before, name, reading, earlier, marks, looked, has_failed: false }
    }

    /// What the engine knows of the copy by now. Asked where something failed: a container may have been taken away.
    fn refresh(&mut self) -> Result<(), SourceError> {
        let (service, number) = (self.logging.service.clone(), self.logging.instance.number);
        let all = self.compose.logging()?.into_iter();
        let mut copies = all.filter(|it| it.service == service && it.instance.number == number);
        let missing = || SourceError::NoContainer { what: format!("the service `{service}`") };
        self.logging = copies.next().ok_or_else(missing)?;
        self.before = copies.collect();
        self.has_failed = false;
        Ok(())
    }

    fn id(&self) -> &str {
        &self.logging.instance.id
    }

    /// The engine's own file, if it can be read here: it is entered where it was left, while the engine itself would read
    /// it from its beginning each time.
    fn file(&self) -> Option<LogFile> {
        let path = self.logging.path.as_ref().filter(|_| self.logging.driver == "json-file")?;
        File::open(path).ok()?;
        Some(LogFile::new(path).of_container(&self.name))
    }

    /// From what is asked for, also from what the file was rotated into: all of it is this container's.
    fn begin(&mut self, start: &Start) -> Result<Opened, SourceError> {
        match self.file() {
            Some(file) => self.read(file, None, start),
            None => self.ask(start.since, &Recent::default()),
        }
    }

    /// From where it was left. Who began with what the engine says goes on with that: the two keep no common place.
    fn go_on(&mut self, left: &ContainerCursor, start: &Start) -> Result<Opened, SourceError> {
        let opened = match (&left.file, self.file()) {
            (Some(cursor), Some(file)) => self.read(file, Some(&Cursor::File(cursor.clone())), start),
            (Some(_), None) => {
                self.check()?;
                self.ask(Some(left.newest().map_or(left.looked, just_after)), &Recent::default())
            }
            (None, _) => {
                // A clock that was put back: what has come since then stands behind what is known, and before its time.
                let since = Some(left.recent.since().unwrap_or(left.looked)).filter(|since| *since <= start.now);
                self.ask(since, &left.recent)
            }
        }?;
        Ok(Opened { is_first: false, ..opened })
    }

    /// After another container that was read before: its rest if it is still there, and all of the new one, which nobody
    /// has seen.
    fn take_over(&mut self, left: &ContainerCursor, start: &Start) -> Result<Opened, SourceError> {
        let old = self.before.iter().position(|container| left.id.as_ref() == Some(&container.instance.id));
        if let Some(old) = old.filter(|old| is_up(&self.before[*old])) {
            // It may still write. Its place is taken over when it has ended.
            std::mem::swap(&mut self.logging, &mut self.before[old]);
            return self.go_on(left, start);
        }
        let new = self.begin(&Start { since: None, ..*start })?;
        let Some(old) = old else {
            let gap = left.id.is_some().then(|| left.gap("container recreated"));
            return Ok(follow(Opened { gaps: gap.into_iter().collect(), ..nothing() }, new));
        };
        let mut earlier = Self::new(&self.compose, self.before[old].clone(), Vec::new());
        earlier.looked = start.now;
        let rest = earlier.go_on(left, start)?;
        self.earlier = Some(Box::new(earlier));
        Ok(follow(rest, new))
    }

    /// The engine's file. Its place says what is new; the times in it need not be compared, and so may go back.
    fn read(&mut self, mut file: LogFile, cursor: Option<&Cursor>, start: &Start) -> Result<Opened, SourceError> {
        let opened = file.open(cursor, start)?;
        self.reading = Reading::File(Box::new(file));
        Ok(opened)
    }

    /// What the engine says, but for what is known of it. That comes again: so it is seen whether anything was lost.
    fn ask(&mut self, since: Option<DateTime<Utc>>, known: &Recent) -> Result<Opened, SourceError> {
        if self.logging.keeps_nothing() {
            return Err(self.not_kept());
        }
        let (output, ended) = Output::of(self.compose.logs(self.id(), since)?);
        let (opened, noted) = said(output, known, self.looked).map_err(|source| self.unreadable(source))?;
        if opened.gaps.is_empty() {
            self.reading = Reading::Engine(ended, noted);
            return Ok(opened);
        }
        self.check()?;
        // Before it is told that anything is lost: an engine that is asked for what is newer leaves out more than what is
        // older (20.10 leaves out every packed generation, seen with the driver `local`), and the times in a log need not be in order.
        let (all, ended_all) = Output::of(self.compose.logs(self.id(), None)?);
        let found = said_behind(all, known, self.looked).map_err(|source| self.unreadable(source))?;
        let (opened, ended, noted) = match found {
            Some((opened, noted)) => (opened, ended_all, noted),
            None => (opened, ended, noted),
        };
        self.reading = Reading::Engine(ended, noted);
        Ok(opened)
    }

    /// Whether the engine would say what the container logs. What it says instead comes among the lines, and is none of them:
    /// so it is asked before anybody sees it, where something looks as if the container was gone.
    fn check(&self) -> Result<(), SourceError> {
        match self.compose.why_no_logs(self.id()) {
            None => Ok(()),
            Some(StackError::Child(refused)) => Err(self.understood(refused)),
            Some(why) => Err(why.into()),
        }
    }

    /// Where the file is left, or what the engine said last. Fails unless all of what was being read has been read.
    fn end(&mut self, taken: u64, marks: &Marks) -> Result<(Option<FileCursor>, Recent), SourceError> {
        match std::mem::replace(&mut self.reading, Reading::Nothing) {
            Reading::Nothing => Ok((None, Recent::default())),
            Reading::Engine(ended, noted) => match ended.well("docker") {
                Ok(_) => Ok((None, noted.take())),
                Err(refused) => Err(self.understood(refused)),
            },
            Reading::File(mut file) => match file.close(taken, marks.clone())? {
                Cursor::File(cursor) => Ok((Some(cursor), Recent::default())),
                Cursor::Lanes(_) | Cursor::Container(_) | Cursor::Journal(_) => Ok((None, Recent::default())),
            },
        }
    }

    /// Why the engine's program failed. What it said came among the lines, so it is asked again.
    fn understood(&self, refused: ChildError) -> SourceError {
        if !matches!(refused, ChildError::Failed { .. }) {
            return StackError::from(refused).into();
        }
        match self.compose.why_no_logs(self.id()) {
            Some(StackError::Child(ChildError::Failed { stderr, .. })) if stderr.contains("not support reading") => {
                self.not_kept()
            }
            // It may answer again by now; what was read is not all that there is, nevertheless.
            why => why.unwrap_or(StackError::from(refused)).into(),
        }
    }

    fn not_kept(&self) -> SourceError {
        SourceError::NotKept { name: self.name.clone(), driver: self.logging.driver.clone() }
    }

    fn unreadable(&self, source: io::Error) -> SourceError {
        SourceError::Unreadable { path: self.name.clone().into(), source }
    }
}

impl Source for Container {
    fn name(&self) -> &str {
        &self.name
    }

    /// Not by its id: whatever takes its place goes on for it. Nor by its own name, which the engine changes meanwhile.
    fn key(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    fn open(&mut self, cursor: Option<&Cursor>, start: &Start) -> Result<Opened, SourceError> {
        if self.has_failed {
            self.refresh()?;
        }
        // Until it is closed well.
        self.has_failed = true;
        self.looked = start.now;
        let Some(Cursor::Container(left)) = cursor else { return self.begin(start) };
        self.marks.clone_from(&left.marks);
        if left.id.as_deref() == Some(self.id()) { self.go_on(left, start) } else { self.take_over(left, start) }
    }

    fn close(&mut self, taken: u64, marks: Marks) -> Result<Cursor, SourceError> {
        // Of the one before only its end matters: where it is left is nowhere.
        if let Some(mut earlier) = self.earlier.take() {
            earlier.end(0, &Marks::new())?;
        }
        let (file, recent) = self.end(taken, &marks)?;
        self.has_failed = false;
        self.marks.extend(marks);
        let (id, service) = (Some(self.id().to_owned()), self.logging.service.clone());
        let (marks, looked) = (self.marks.clone(), self.looked);
        Ok(Cursor::Container(ContainerCursor { id, service, file, recent, marks, looked }))
    }
}

/// A container that was read before, and is gone without another in its place. That is told once.
pub(super) struct Gone {
    name: String,
    left: ContainerCursor,
}

impl Gone {
    /// The source of this key; none if it was told already.
    pub(super) fn new(key: &str, left: &ContainerCursor) -> Option<Self> {
        let name = key.strip_prefix(PREFIX).unwrap_or(key).to_owned();
        left.id.is_some().then(|| Self { name, left: left.clone() })
    }

    /// The name of its service.
    pub(super) fn service(&self) -> &str {
        &self.left.service
    }
}

impl Source for Gone {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        Ok(Opened { gaps: vec![self.left.gap("container removed")], ..nothing() })
    }

    fn close(&mut self, _: u64, _: Marks) -> Result<Cursor, SourceError> {
        Ok(Cursor::Container(ContainerCursor { id: None, ..self.left.clone() }))
    }
}

/// What the engine says, but for what is known of it, and where it will be noted which lines came last.
pub(super) fn said(
    output: impl Read + Send + 'static,
    known: &Recent,
    now: DateTime<Utc>,
) -> io::Result<(Opened, Noted)> {
    let (stamped, noted) = Stamped::new(output, known.clone());
    let mut stamped = stamped.until(now);
    let again = if known.is_empty() { Some(Vec::new()) } else { stamped.catch_up()? };
    let gap = || Gap { bytes: None, why: "rotated away, or cut".to_owned() };
    let gaps = again.is_none().then(gap).into_iter().collect();
    let (parts, before) = (vec![part(stamped)], again.unwrap_or_default());
    Ok((Opened { parts, before, gaps, is_first: true, ..nothing() }, noted))
}

/// The same of a whole log, behind the first line that is known; none where no line is.
fn said_behind(
    output: impl Read + Send + 'static,
    known: &Recent,
    now: DateTime<Utc>,
) -> io::Result<Option<(Opened, Noted)>> {
    let (stamped, noted) = Stamped::new(output, known.clone());
    let mut stamped = stamped.until(now).strictly();
    let Some(before) = stamped.catch_up()? else { return Ok(None) };
    Ok(Some((Opened { parts: vec![part(stamped)], before, is_first: true, ..nothing() }, noted)))
}

/// What was left of a container, and then all of the one in its place. That one's first lines go on with nothing, also where
/// nothing was left: what an earlier run has read is of the other.
pub(super) fn follow(mut rest: Opened, new: Opened) -> Opened {
    if rest.parts.is_empty() {
        rest.parts.push(part(io::empty()));
    }
    rest.parts.extend(new.parts);
    rest.gaps.extend(new.gaps);
    Opened { is_first: false, ..rest }
}

/// Nothing, of what was read before.
pub(super) fn nothing() -> Opened {
    let (parts, before, gaps, marks) = (Vec::new(), Vec::new(), Vec::new(), Marks::new());
    Opened { parts, before, gaps, marks, is_first: false, is_undated: false }
}

/// What the engine says.
fn part(stream: impl Read + Send + 'static) -> Part {
    Part { stream: Box::new(stream), wire: Some(Wire::Compose), ending: Ending::Whole }
}

fn is_up(container: &Logging) -> bool {
    match container.instance.state {
        ServiceState::Running | ServiceState::Changing | ServiceState::Paused => true,
        ServiceState::Stopped | ServiceState::Failed => false,
    }
}

/// The engine counts in nanoseconds.
fn just_after(time: DateTime<Utc>) -> DateTime<Utc> {
    time + Duration::nanoseconds(1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use shipshape_core::stack::Instance;

    /// A container that does not exist.
    pub(in crate::sources) fn logging(service: &str, number: u32, id: &str) -> Logging {
        let name = format!("demo-{service}-{number}");
        let instance = Instance { id: id.to_owned(), name, number, state: ServiceState::Running, origin: None };
        let (driver, created) = ("local".to_owned(), DateTime::default());
        Logging { service: service.to_owned(), instance, created, driver, options: [].into(), path: None }
    }

    fn left(id: Option<&str>) -> ContainerCursor {
        let last = DateTime::from_timestamp(1_763_640_007, 5).unwrap();
        let mut marks = Marks::new();
        marks.entry(String::new()).or_default().last = last;
        let id = id.map(str::to_owned);
        ContainerCursor {
            id,
            service: "app".to_owned(),
            file: None,
            recent: Recent::default(),
            marks,
            looked: DateTime::default(),
        }
    }

    #[test]
    fn what_is_lost_with_a_container_is_told_with_the_time_of_its_newest_known_line() {
        assert_eq!(
            left(None).gap("container recreated").why,
            "container recreated: lines after 2025-11-20T12:00:07Z are gone"
        );
        let never = ContainerCursor { marks: Marks::new(), ..left(None) };
        assert_eq!(never.gap("container removed").why, "container removed: lines after 1970-01-01T00:00:00Z are gone");
    }

    #[test]
    fn that_a_container_is_gone_is_told_once() {
        let start = Start { since: None, zone: crate::formats::Zone::Local, now: DateTime::default() };
        let mut gone = Gone::new("container:app-2", &left(Some("a"))).unwrap();
        assert_eq!((gone.name().to_owned(), gone.key().as_str()), ("app-2".to_owned(), "container:app-2"));
        assert_eq!(gone.open(None, &start).unwrap().gaps.len(), 1);
        let Cursor::Container(left) = gone.close(0, Marks::new()).unwrap() else { unreachable!() };
        assert!(Gone::new("container:app-2", &left).is_none());
    }
}
