//! The collector: writes finished batches in path order, into the sealed index and into the cache at once.

use std::collections::BTreeSet;

use crossbeam_channel::Receiver;
use shipshape_core::archive::entry::{Bytes, Entry};
use shipshape_core::archive::index::IndexWriter;
use shipshape_core::archive::names;
use shipshape_core::archive::seal::{Effort, PlainHash, Sealed, SealedWriter, Sealing, read_back};
use shipshape_core::archive::store::StoreError;
use shipshape_core::error::Failure;

use super::FilesTask;
use super::compare::leads_nowhere;
use crate::cache::CacheWriter;
use crate::packer::{Done, Tally, Trouble};
use crate::sources::order::InOrder;

/// Writes the index as batches come in.
pub(super) struct Collector {
    index: IndexWriter<SealedWriter>,
    /// None when it could not be written: a lost cache costs one full backup, and never the present one.
    cache: Option<IndexWriter<CacheWriter>>,
    key: String,
    order: InOrder,
    tally: Tally,
}

/// The index, all lines written.
pub(super) struct Collected(Collector);

impl Collector {
    /// Begins both.
    pub(super) fn new(task: &FilesTask<'_>, cache: Option<CacheWriter>) -> Result<Self, Failure> {
        let object = names::payload(task.id, "files.index", task.sealing.wrapping);
        let sealed = SealedWriter::create(task.sealing, object, Effort::Usual, PlainHash::Sha256)?;
        let key = sealed.key().to_owned();
        let failed = |cause| StoreError::from_io("write", &key, cause);
        let index = IndexWriter::new(sealed, task.header).map_err(failed)?;
        let cache = cache.and_then(|cache| IndexWriter::new(cache, task.header).ok());
        Ok(Self { index, cache, key, order: InOrder::default(), tally: Tally::default() })
    }

    /// Takes batches until there are no more.
    pub(super) fn run(mut self, done: &Receiver<Done>, permits: &Receiver<()>) -> Result<Collected, Failure> {
        for batch in done {
            for ready in self.order.take(batch) {
                self.write(ready)?;
                // One batch less under way. The walk holds the other end, and may have ended.
                let _ = permits.recv();
            }
        }
        Ok(Collected(self))
    }

    fn write(&mut self, mut batch: Done) -> Result<(), StoreError> {
        self.tally.lost.append(&mut batch.tally.lost);
        if !self.tally.lost.is_empty() {
            self.drop_loose_ends(&mut batch);
        }
        let failed = |cause| StoreError::from_io("write", &self.key, cause);
        self.index.write_lines(&batch.lines, batch.entries).map_err(failed)?;
        if let Some(cache) = &mut self.cache
            && cache.write_lines(&batch.lines, batch.entries).is_err()
        {
            self.cache = None;
        }
        self.tally.add(batch.tally);
        Ok(())
    }

    /// Leaves out further names of files whose first name, which comes before them, was lost while the run went on.
    fn drop_loose_ends(&self, batch: &mut Done) {
        let lines = std::mem::take(&mut batch.lines);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Entry>(line) {
                Ok(entry) if leads_nowhere(&entry, &self.tally.lost) => {
                    batch.entries -= 1;
                    batch.tally.troubles.note(&entry.path, Trouble::Vanished);
                }
                _ => batch.lines.extend_from_slice(line),
            }
        }
    }
}

impl Collected {
    /// First names that were lost.
    pub(super) fn lost(&self) -> &BTreeSet<Bytes> {
        &self.0.tally.lost
    }

    /// Makes the index durable and reads it back.
    pub(super) fn finish(self, sealing: Sealing<'_>) -> Result<(Sealed, u64, Option<CacheWriter>, Tally), StoreError> {
        let Collector { index, cache, tally, .. } = self.0;
        let entries = index.entries();
        let sealed = index.into_inner().finish()?;
        read_back(sealing.store, sealing.place, &sealed)?;
        Ok((sealed, entries, cache.map(IndexWriter::into_inner), tally))
    }
}
