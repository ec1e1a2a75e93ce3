//! The tree of files: what changed goes into packs, everything goes into the index.
//!
//! ```text
//! walk ──┬─ unchanged: the line of the last index ──────────────┐
//! (this  │                                                      ├─ index (sealed, and the cache)
//! thread)└─ new or changed: a job ── packers ── packs, lines ───┘  in path order
//! ```

mod collector;
mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::index::Header;
use shipshape_core::archive::manifest::Pack;
use shipshape_core::archive::names::SnapshotId;
use shipshape_core::archive::seal::{Effort, Sealed, Sealing};
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;

use super::config::ConfigFile;
use super::discovery::Known;
use crate::cache::{CacheWriter, Previous};
use crate::known::KnownContent;
use crate::packer::{Batch, Done, OpenPack, Packer, Shared, Tally};
use crate::walk::Walk;
use collector::{Collected, Collector};
use compare::Compare;

/// More packers than this gain little and cost memory: each holds two compressors.
const MOST_PACKERS: usize = 4;
/// Batches that may be under way at once: bounds memory when one packer is busy with a giant file.
const UNDER_WAY: usize = 256;

/// What is needed to take the files.
pub(crate) struct FilesTask<'a> {
    /// How objects are written.
    pub(crate) sealing: Sealing<'a>,
    /// The snapshot's id.
    pub(crate) id: &'a SnapshotId,
    /// The first line of the index.
    pub(crate) header: &'a Header,
    /// What to compare with.
    pub(crate) previous: Option<&'a Previous>,
    /// The packs of `previous` that may be referred to.
    pub(crate) usable: &'a BTreeSet<String>,
    /// Databases and configuration, which are not plain files.
    pub(crate) known: &'a Known,
    /// Bytes read.
    pub(crate) progress: &'a Progress,
}

/// What became of them.
pub(crate) struct FilesTaken {
    /// The index as an object, read back.
    pub(crate) index: Sealed,
    /// Lines of the index.
    pub(crate) entries: u64,
    /// The cache's copy of the index, unless it could not be written.
    pub(crate) cache: Option<CacheWriter>,
    /// Packs that were written.
    pub(crate) packs: Vec<Pack>,
    /// Counts, and the use of every pack.
    pub(crate) tally: Tally,
    /// Sockets and devices.
    pub(crate) special: u64,
    /// Configuration files met on the way.
    pub(crate) config: Vec<ConfigFile>,
    /// Databases met on the way that were not known.
    pub(crate) databases: Vec<(Bytes, PathBuf)>,
}

/// Takes the files.
pub(crate) fn take(task: &FilesTask<'_>, walk: Walk<'_>, cache: Option<CacheWriter>) -> Result<FilesTaken, Failure> {
    let content = KnownContent::new(task.previous, task.usable);
    let (numbers, packs) = (AtomicU32::new(0), Mutex::new(Vec::new()));
    let shared = Shared {
        sealing: task.sealing,
        id: task.id,
        numbers: &numbers,
        known: &content,
        packs: &packs,
        progress: task.progress,
    };
    let (collected, mut compare) = run_threads(task, shared, walk, cache)?;
    write_the_rest(shared, &mut compare, collected.lost())?;
    let (index, entries, cache, mut tally) = collected.finish(task.sealing)?;
    tally.add(compare.tally);
    let mut packs = packs.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    packs.sort();
    let (special, config, databases) = (compare.special, compare.config, compare.databases);
    Ok(FilesTaken { index, entries, cache, packs, tally, special, config, databases })
}

fn run_threads<'a>(
    task: &'a FilesTask<'_>,
    shared: Shared<'_>,
    walk: Walk<'_>,
    cache: Option<CacheWriter>,
) -> Result<(Collected, Compare<'a>), Failure> {
    let stop = AtomicBool::new(false);
    let (jobs_in, jobs_out) = bounded::<Batch>(MOST_PACKERS * 2);
    let (done_in, done_out) = bounded::<Done>(UNDER_WAY);
    let (permits_in, permits_out) = bounded::<()>(UNDER_WAY);
    let collector = Collector::new(task, cache)?;
    thread::scope(|scope| {
        let stop = &stop;
        let collecting = scope.spawn(move || stopping(stop, || collector.run(&done_out, &permits_out)));
        let packing: Vec<_> = (0..packers())
            .map(|_| {
                let (jobs, done) = (jobs_out.clone(), done_in.clone());
                scope.spawn(move || stopping(stop, || pack(shared, &jobs, &done)))
            })
            .collect();
        drop(jobs_out);
        let mut compare = Compare::new(task);
        let lines = Lines { jobs: jobs_in, done: done_in, permits: permits_in, stop };
        let walked = stopping(stop, || compare.run(walk, &lines));
        drop(lines);
        let packed: Vec<_> = packing.into_iter().map(join).collect();
        let collected = join(collecting);
        // The first cause is the one to tell: a thread that merely noticed the others' end has none of its own.
        packed.into_iter().collect::<Result<Vec<()>, Failure>>()?;
        let collected = collected?;
        walked?;
        Ok((collected, compare))
    })
}

/// Where the walk hands on what it found.
pub(super) struct Lines<'a> {
    jobs: Sender<Batch>,
    done: Sender<Done>,
    permits: Sender<()>,
    stop: &'a AtomicBool,
}

impl Lines<'_> {
    /// Hands on a batch, waiting for room. False when the run is over early.
    pub(super) fn send(&self, batch: Batch, has_jobs: bool) -> bool {
        if self.stop.load(Ordering::Relaxed) || self.permits.send(()).is_err() {
            return false;
        }
        if has_jobs { self.jobs.send(batch).is_ok() } else { self.done.send(finished(batch)).is_ok() }
    }
}

fn finished(batch: Batch) -> Done {
    let mut done = Done { number: batch.number, ..Done::default() };
    for piece in batch.pieces {
        if let crate::packer::Piece::Lines(lines, entries) = piece {
            done.lines.extend_from_slice(&lines);
            done.entries += entries;
        }
    }
    done
}

fn packers() -> usize {
    thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, MOST_PACKERS)
}

fn pack(shared: Shared<'_>, jobs: &Receiver<Batch>, done: &Sender<Done>) -> Result<(), Failure> {
    let mut packer = Packer::new(shared);
    for batch in jobs {
        if done.send(packer.process(batch)?).is_err() {
            // The collector has ended early and has told why.
            return Ok(());
        }
    }
    Ok(packer.finish()?)
}

/// Runs part of the work; a failure makes the walk stop soon.
fn stopping<T>(stop: &AtomicBool, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let result = work();
    if result.is_err() {
        stop.store(true, Ordering::Relaxed);
    }
    result
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

/// Folders, links and pipes that are new or changed go into the last pack: so all packs together, unpacked in the order
/// of their names, give the tree, and no file that comes later spoils a folder's time.
fn write_the_rest(shared: Shared<'_>, compare: &mut Compare<'_>, lost: &BTreeSet<Bytes>) -> Result<(), Failure> {
    let mut pack = None;
    for entry in compare.without_content(lost)? {
        let entry = entry?;
        let open = match pack.take() {
            Some(open) => open,
            None => OpenPack::create(shared, Effort::Usual)?,
        };
        pack.insert(open).append_empty(&entry)?;
    }
    Ok(pack.map_or(Ok(()), |pack| pack.seal(shared))?)
}

/// The packs that a snapshot refers to: its own, and those of the previous one that it still uses.
pub(crate) fn referenced(new: &[Pack], previous: Option<&Previous>, live: &BTreeMap<String, u64>) -> Vec<Pack> {
    let old = previous.map(|previous| previous.manifest.packs.as_slice()).unwrap_or_default();
    let used = old.iter().filter(|pack| live.contains_key(pack.name()));
    let mut all: Vec<Pack> = used.chain(new).cloned().collect();
    all.sort();
    all
}
