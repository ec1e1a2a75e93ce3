//! The collector: writes finished batches in path order, into the sealed index and into the cache at once.

use crossbeam_channel::Receiver;
use shipshape_core::archive::index::IndexWriter;
use shipshape_core::archive::names;
use shipshape_core::archive::seal::{Effort, PlainHash, Sealed, SealedWriter, Sealing, read_back};
use shipshape_core::archive::store::StoreError;
use shipshape_core::error::Failure;

use super::FilesTask;
use crate::cache::CacheWriter;
use crate::packer::{Done, Tally};
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

    fn write(&mut self, batch: Done) -> Result<(), StoreError> {
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
}

impl Collected {
    /// Makes the index durable and reads it back.
    pub(super) fn finish(self, sealing: Sealing<'_>) -> Result<(Sealed, u64, Option<CacheWriter>, Tally), StoreError> {
        let Collector { index, cache, tally, .. } = self.0;
        let entries = index.entries();
        let sealed = index.into_inner().finish()?;
        read_back(sealing.store, sealing.place, &sealed)?;
        Ok((sealed, entries, cache.map(IndexWriter::into_inner), tally))
    }
}
