//! The comparison: two sorted streams side by side, the walk and the last index. Neither is ever held in memory.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use shipshape_core::archive::entry::{Bytes, Entry, Kind, Time, path_order};
use shipshape_core::archive::index::{IndexReader, push_line};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::signal;

use super::{FilesTask, Lines};
use crate::facts;
use crate::packer::{Batch, Job, Piece, Tally, Trouble};
use crate::sources::config::ConfigFile;
use crate::sources::discovery::{Known, Role, is_database, may_be_database};
use crate::walk::{Met, Walk};

/// A batch is handed on when it has so many jobs, …
const JOBS: usize = 48;
/// … or so many bytes to read, …
const JOB_BYTES: u64 = 2 * 1024 * 1024;
/// … or so many bytes of finished lines.
const LINE_BYTES: usize = 128 * 1024;
/// A file that changed so shortly before the last run began, or after, may have changed again without a trace: the
/// clock of a file system ticks in steps of up to two seconds.
const TICK: Duration = Duration::seconds(2);

/// Entries without content could not be kept aside.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a temporary file")]
struct SpoolError(#[source] io::Error);

impl Explain for SpoolError {
    fn code(&self) -> &'static str {
        "file.write"
    }

    fn hint(&self) -> String {
        "free some space in the folder for temporary files, or name another one in TMPDIR".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Critical
    }
}

/// Goes through the walk and decides for each thing.
pub(super) struct Compare<'a> {
    task: &'a FilesTask<'a>,
    /// Roles as known by now: a database that turns up on the way takes what SQLite keeps beside it out of the files.
    known: Known,
    last: LastIndex,
    /// Device and inode of files with several names, and the first of these.
    links: HashMap<(u64, u64), Bytes>,
    batch: Vec<Piece>,
    jobs: usize,
    job_bytes: u64,
    number: u64,
    spool: Option<BufWriter<File>>,
    pub(super) tally: Tally,
    pub(super) special: u64,
    pub(super) config: Vec<ConfigFile>,
    pub(super) databases: Vec<(Bytes, PathBuf)>,
}

impl<'a> Compare<'a> {
    /// Ready for the first thing of the walk.
    pub(super) fn new(task: &'a FilesTask<'a>) -> Self {
        Self {
            task,
            known: task.known.clone(),
            last: LastIndex::of(task),
            links: HashMap::new(),
            batch: Vec::new(),
            jobs: 0,
            job_bytes: 0,
            number: 0,
            spool: None,
            tally: Tally::default(),
            special: 0,
            config: Vec::new(),
            databases: Vec::new(),
        }
    }

    /// Goes through all of it.
    pub(super) fn run(&mut self, walk: Walk<'_>, lines: &Lines<'_>) -> Result<(), Failure> {
        for met in walk {
            signal::check()?;
            match met {
                Met::Special => self.special += 1,
                Met::Failed { path, cause } => self.tally.troubles.note(&Bytes(path), Trouble::from_io(cause)),
                Met::Entry { entry, source, device, names, holes } => {
                    self.sort(entry, source, (device, names), holes)?;
                }
            }
            if self.is_full() && !self.hand_on(lines) {
                return Ok(());
            }
        }
        self.hand_on(lines);
        Ok(())
    }

    /// Files with a role of their own go their own way; the rest is decided upon.
    fn sort(&mut self, entry: Entry, source: PathBuf, links: (u64, u64), holes: bool) -> Result<(), Failure> {
        self.config.extend(self.known.linked(&entry, &source));
        match self.known.role(&entry, links.1) {
            Role::Config => self.config.push(ConfigFile { entry, source }),
            Role::Database | Role::Companion => {}
            Role::Plain => self.decide(entry, source, links, holes)?,
        }
        Ok(())
    }

    /// Keeps what is unchanged, records what has no content, and makes a job of the rest.
    fn decide(&mut self, mut entry: Entry, source: PathBuf, links: (u64, u64), holes: bool) -> Result<(), Failure> {
        self.recognise_link(&mut entry, links);
        self.last.find(&entry.path.0);
        if self.last.found().is_some_and(|before| self.is_unchanged(&entry, before)) {
            self.keep();
            return Ok(());
        }
        let before = self.last.found().cloned();
        if entry.kind != Kind::File {
            return self.take_without_content(entry, &source);
        }
        if may_be_database(&entry) && is_database(&source) {
            // Under each of its names: a link to what is no entry of the index would lead nowhere.
            self.links.remove(&(links.0, entry.ino));
            self.known.add(entry.path.clone());
            self.databases.push((entry.path, source));
            return Ok(());
        }
        self.jobs += 1;
        self.job_bytes += entry.size;
        self.batch.push(Piece::Job(Box::new(Job {
            entry,
            source,
            holes,
            names: links.1,
            before: before.map(Box::new),
        })));
        Ok(())
    }

    /// A further name of a file that has been met is a link to its first name.
    fn recognise_link(&mut self, entry: &mut Entry, (device, names): (u64, u64)) {
        if entry.kind == Kind::Dir || names < 2 {
            return;
        }
        match self.links.get(&(device, entry.ino)) {
            None => drop(self.links.insert((device, entry.ino), entry.path.clone())),
            Some(first) => {
                entry.kind = Kind::Hardlink;
                entry.link = Some(first.clone());
                entry.size = 0;
            }
        }
    }

    /// Whether the last index can be repeated: its times can be believed, and its pack is there.
    fn is_unchanged(&self, now: &Entry, before: &Entry) -> bool {
        let believable = before.ctime < self.last.believable && before.mtime < self.last.believable;
        let stored = before.stored.as_ref().is_none_or(|stored| self.task.usable.contains(&stored.pack));
        let linked = now.kind != Kind::Hardlink || now.link == before.link;
        believable && stored && linked && facts::looks_unchanged(now, before)
    }

    /// Repeats the line of the last index, byte for byte.
    fn keep(&mut self) {
        let Some(before) = self.last.found() else { return };
        if before.kind == Kind::File {
            self.tally.count(before, Some(before));
            self.task.progress.add(before.size);
        }
        let lines = lines_of(&mut self.batch);
        lines.0.extend_from_slice(self.last.line());
        lines.0.push(b'\n');
        *lines.1 += 1;
    }

    /// Folders, links and pipes: their facts are all there is.
    fn take_without_content(&mut self, mut entry: Entry, source: &Path) -> Result<(), Failure> {
        if let Err(cause) = complete(&mut entry, source) {
            self.tally.troubles.note(&entry.path, Trouble::from_io(cause));
            // Its further names must not lead to what is not there: the next of them counts as the first.
            self.links.retain(|_, first| *first != entry.path);
            return Ok(());
        }
        // A folder that was touched just before the last run looks changed and is not: no pack for that.
        if !self.last.found().is_some_and(|before| facts::same_result(&entry, before)) {
            self.put_aside(&entry).map_err(SpoolError)?;
        }
        let lines = lines_of(&mut self.batch);
        push_line(lines.0, &entry);
        *lines.1 += 1;
        Ok(())
    }

    /// Whether the batch is worth handing on.
    fn is_full(&self) -> bool {
        let line_bytes = match self.batch.last() {
            Some(Piece::Lines(lines, _)) => lines.len(),
            _ => 0,
        };
        self.jobs >= JOBS || self.job_bytes >= JOB_BYTES || line_bytes >= LINE_BYTES
    }

    /// Hands the batch on. False when the run is over early.
    fn hand_on(&mut self, lines: &Lines<'_>) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let batch = Batch { number: self.number, pieces: std::mem::take(&mut self.batch) };
        let has_jobs = self.jobs > 0;
        self.number += 1;
        self.jobs = 0;
        self.job_bytes = 0;
        lines.send(batch, has_jobs)
    }

    /// Keeps an entry for the last pack, in a file without a name: there may be half a million folders.
    fn put_aside(&mut self, entry: &Entry) -> io::Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => self.spool.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        let mut line = Vec::new();
        push_line(&mut line, entry);
        spool.write_all(&line)
    }

    /// What is new or changed and has no content, in path order, without links to what is lost.
    pub(super) fn without_content<'l>(
        &mut self,
        lost: &'l BTreeSet<Bytes>,
    ) -> Result<impl Iterator<Item = Result<Entry, Failure>> + use<'l>, Failure> {
        let file = self.spool.take().map(rewound).transpose().map_err(SpoolError)?;
        let lines = file.into_iter().flat_map(|file| BufReader::new(file).split(b'\n'));
        let entries =
            lines.map(|line| Ok(line.and_then(|line| Ok(serde_json::from_slice(&line)?)).map_err(SpoolError)?));
        Ok(entries
            .filter(|entry: &Result<Entry, Failure>| !entry.as_ref().is_ok_and(|entry| leads_nowhere(entry, lost))))
    }
}

/// Whether this is a further name of a file that is not in the snapshot.
pub(super) fn leads_nowhere(entry: &Entry, lost: &BTreeSet<Bytes>) -> bool {
    entry.kind == Kind::Hardlink && entry.link.as_ref().is_some_and(|first| lost.contains(first))
}

/// The finished lines at the end of a batch, and their number.
fn lines_of(batch: &mut Vec<Piece>) -> (&mut Vec<u8>, &mut u64) {
    if !matches!(batch.last(), Some(Piece::Lines(..))) {
        batch.push(Piece::Lines(Vec::new(), 0));
    }
    match batch.last_mut() {
        Some(Piece::Lines(lines, entries)) => (lines, entries),
        _ => unreachable!("the last piece was just made sure to be lines"),
    }
}

fn rewound(spool: BufWriter<File>) -> io::Result<File> {
    let mut file = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// Reads what an entry without content still lacks.
fn complete(entry: &mut Entry, source: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStringExt;
    if entry.kind == Kind::Symlink {
        entry.link = Some(Bytes(std::fs::read_link(source)?.into_os_string().into_vec()));
    }
    if entry.kind != Kind::Hardlink {
        entry.xattrs = facts::attributes_of_path(source)?;
    }
    Ok(())
}

/// The last index, read along with the walk.
struct LastIndex {
    reader: Option<IndexReader>,
    current: Option<Entry>,
    matched: bool,
    /// Times before this one can be believed.
    believable: Time,
}

impl LastIndex {
    fn of(task: &FilesTask<'_>) -> Self {
        let reader = task.previous.and_then(|previous| previous.read_index().ok());
        let believable = reader.as_ref().map_or(Time(0, 0), |reader| before_a_tick(reader.header().started));
        let mut index = Self { reader, current: None, matched: false, believable };
        index.advance();
        index
    }

    /// Goes on to this path. Paths must be asked for in order.
    fn find(&mut self, path: &[u8]) {
        while self.current.as_ref().is_some_and(|current| path_order(&current.path.0, path).is_lt()) {
            self.advance();
        }
        self.matched = self.current.as_ref().is_some_and(|current| current.path.0 == path);
    }

    /// The entry of the path that was asked for last, if the last snapshot has it.
    fn found(&self) -> Option<&Entry> {
        self.current.as_ref().filter(|_| self.matched)
    }

    /// The line of what was found last.
    fn line(&self) -> &[u8] {
        self.reader.as_ref().map(IndexReader::last_line).unwrap_or_default()
    }

    fn advance(&mut self) {
        // The cache was proven whole when it was loaded. Should it break now, the rest counts as new.
        self.current = self.reader.as_mut().and_then(|reader| reader.next_entry().ok().flatten());
    }
}

fn before_a_tick(started: DateTime<Utc>) -> Time {
    let safe = started - TICK;
    Time(safe.timestamp(), safe.timestamp_subsec_nanos())
}
