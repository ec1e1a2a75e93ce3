//! The packers: worker threads that read files and fill packs, each its own.

mod open_pack;
mod source_file;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use shipshape_core::archive::entry::{Bytes, Entry, Stored};
use shipshape_core::archive::index::push_line;
use shipshape_core::archive::manifest::Pack;
use shipshape_core::archive::names::SnapshotId;
use shipshape_core::archive::seal::Sealing;
use shipshape_core::archive::store::StoreError;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use crate::facts;
use crate::known::KnownContent;
pub(crate) use open_pack::{OpenPack, PackSet};
use source_file::{Content, SourceFile};
pub(crate) use trouble::{Trouble, Troubles};

/// A file to look into.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its facts as the walk saw them.
    pub(crate) entry: Entry,
    /// Where it is.
    pub(crate) source: PathBuf,
    /// Whether it has holes.
    pub(crate) holes: bool,
    /// How many names it has.
    pub(crate) names: u64,
    /// The same path in the previous snapshot.
    pub(crate) before: Option<Box<Entry>>,
}

/// Part of a batch, in path order.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Finished lines of the index.
    Lines(Vec<u8>, u64),
    /// One that a packer has to finish.
    Job(Box<Job>),
}

/// A run of neighbours in path order; the unit of work between threads.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Batches are numbered in path order.
    pub(crate) number: u64,
    /// What is in it.
    pub(crate) pieces: Vec<Piece>,
}

/// A finished batch.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Its number.
    pub(crate) number: u64,
    /// Its lines of the index.
    pub(crate) lines: Vec<u8>,
    /// How many.
    pub(crate) entries: u64,
    /// What was counted.
    pub(crate) tally: Tally,
}

/// What is counted along the way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Files that the previous snapshot did not have.
    pub(crate) new: u64,
    /// Files that it had otherwise.
    pub(crate) changed: u64,
    /// Files that it had just so.
    pub(crate) unchanged: u64,
    /// Content of all files, in bytes.
    pub(crate) bytes: u64,
    /// Content that is used of each pack, in bytes.
    pub(crate) live: BTreeMap<String, u64>,
    /// What went wrong at the source.
    pub(crate) troubles: Troubles,
    /// First names of files with several that vanished, or became another file: no link may lead there.
    pub(crate) lost: BTreeSet<Bytes>,
}

impl Tally {
    /// Counts a file of the snapshot.
    pub(crate) fn count(&mut self, entry: &Entry, before: Option<&Entry>) {
        match before {
            None => self.new += 1,
            Some(before) if facts::same_result(entry, before) => self.unchanged += 1,
            Some(_) => self.changed += 1,
        }
        self.bytes += entry.size;
        if let Some(stored) = &entry.stored {
            match self.live.get_mut(&stored.pack) {
                Some(live) => *live += entry.size,
                None => drop(self.live.insert(stored.pack.clone(), entry.size)),
            }
        }
    }

    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.bytes += other.bytes;
        for (pack, bytes) in other.live {
            *self.live.entry(pack).or_default() += bytes;
        }
        self.troubles.add(other.troubles);
        self.lost.extend(other.lost);
    }
}

/// What all packers of a run share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    /// How objects are written.
    pub(crate) sealing: Sealing<'a>,
    /// The snapshot's id.
    pub(crate) id: &'a SnapshotId,
    /// The last number given to a pack.
    pub(crate) numbers: &'a AtomicU32,
    /// Content that needs no storing.
    pub(crate) known: &'a KnownContent<'a>,
    /// Packs that are finished and read back.
    pub(crate) packs: &'a Mutex<Vec<Pack>>,
    /// Bytes read.
    pub(crate) progress: &'a Progress,
}

/// One worker.
pub(crate) struct Packer<'a> {
    shared: Shared<'a>,
    packs: PackSet<'a>,
    buffer: Vec<u8>,
}

/// Files up to this size are read whole before anything is decided: then their content is of one moment, as far as a
/// second look at their times can tell. Larger ones are streamed.
pub(crate) const WHOLE: usize = 1024 * 1024;

impl<'a> Packer<'a> {
    /// A worker with no pack open yet.
    pub(crate) fn new(shared: Shared<'a>) -> Self {
        Self { shared, packs: PackSet::new(shared), buffer: vec![0; WHOLE + 1] }
    }

    /// Finishes a batch: all its jobs become lines.
    pub(crate) fn process(&mut self, batch: Batch) -> Result<Done, Failure> {
        let mut done = Done { number: batch.number, ..Done::default() };
        for piece in batch.pieces {
            match piece {
                Piece::Lines(lines, entries) => {
                    done.lines.extend_from_slice(&lines);
                    done.entries += entries;
                }
                Piece::Job(job) => self.process_job(&job, &mut done)?,
            }
        }
        Ok(done)
    }

    /// Finishes what packs are open.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        self.packs.finish()
    }

    fn process_job(&mut self, job: &Job, done: &mut Done) -> Result<(), Failure> {
        signal::check()?;
        let (path, before) = (&job.entry.path, job.before.as_deref());
        let taken = self.take(job)?;
        let is_still_there = taken.as_ref().is_ok_and(|(entry, _)| entry.ino == job.entry.ino);
        if job.names > 1 && !is_still_there {
            done.tally.lost.insert(path.clone());
        }
        match taken {
            Ok((entry, trouble)) => {
                done.tally.count(&entry, before);
                push_line(&mut done.lines, &entry);
                done.entries += 1;
                if let Some(trouble) = trouble {
                    done.tally.troubles.note(path, trouble);
                }
            }
            Err(trouble) => done.tally.troubles.note(path, trouble),
        }
        Ok(())
    }

    /// Reads a file and sees that its content is in the store. The outer error ends the run; the inner one is the
    /// file's own, and the run goes on without it.
    fn take(&mut self, job: &Job) -> Result<Result<(Entry, Option<Trouble>), Trouble>, Failure> {
        let mut file = match SourceFile::open(&job.source, &job.entry, job.holes) {
            Ok(file) => file,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let content = match file.read_whole(&mut self.buffer) {
            Ok(content) => content,
            Err(cause) => return Ok(Err(Trouble::from_io(cause))),
        };
        let taken = match content {
            Content::Whole(length) => self.take_whole(&mut file, length)?,
            Content::Larger => match self.take_stream(&mut file, job.before.as_deref())? {
                Ok(stored) => stored,
                Err(cause) => return Ok(Err(Trouble::from_io(cause))),
            },
        };
        if let Some(kind) = file.broken() {
            return Ok(Err(Trouble::Unreadable(kind)));
        }
        let trouble = file.has_changed().then_some(Trouble::Changed);
        let mut entry = file.into_entry();
        entry.stored = Some(taken);
        Ok(Ok((entry, trouble)))
    }

    fn take_whole(&mut self, file: &mut SourceFile, length: usize) -> Result<Stored, StoreError> {
        let bytes = &self.buffer[..length];
        let blake3 = source_file::hash_of(bytes);
        self.shared.progress.add(length as u64);
        if let Some(stored) = self.shared.known.find(length as u64, blake3) {
            return Ok(stored);
        }
        let pack = self.packs.for_content(bytes)?;
        let offset = pack.append(file.entry(), bytes)?;
        let stored = Stored { pack: pack.name().to_owned(), offset, blake3 };
        self.packs.seal_full_ones()?;
        Ok(stored)
    }

    fn take_stream(
        &mut self,
        file: &mut SourceFile,
        before: Option<&Entry>,
    ) -> Result<Result<Stored, std::io::Error>, Failure> {
        let size = file.entry().size;
        let may_be_known = before.is_some_and(|before| before.size == size) || self.shared.known.has_size(size);
        if may_be_known {
            let blake3 = file.hash(&mut self.buffer)?;
            if let Some(stored) = self.shared.known.find(size, blake3) {
                self.shared.progress.add(size);
                return Ok(Ok(stored));
            }
        }
        let sample = match file.sample(&mut self.buffer) {
            Ok(length) => &self.buffer[..length],
            Err(cause) => return Ok(Err(cause)),
        };
        let pack = self.packs.for_content(sample)?;
        let (offset, blake3) = pack.append_stream(file, &mut self.buffer, self.shared.progress)?;
        let stored = Stored { pack: pack.name().to_owned(), offset, blake3 };
        self.packs.seal_full_ones()?;
        Ok(Ok(stored))
    }
}
