//! Packs being written. Each packer has two: one for content that gets smaller, one for content that does not and is
//! only copied, at many times the speed.

use std::io;
use std::sync::atomic::Ordering;

use shipshape_core::archive::entry::{Entry, Hash};
use shipshape_core::archive::manifest::{Pack, pack_name};
use shipshape_core::archive::names;
use shipshape_core::archive::seal::{Effort, PlainHash, SealedWriter, read_back};
use shipshape_core::archive::store::StoreError;
use shipshape_core::archive::tarball::TarWriter;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::Shared;
use super::source_file::SourceFile;
use crate::compressible::{self, Content};

/// A pack is sealed when its tar has reached this size: few enough objects for a listing, small enough to retire.
const FULL: u64 = 64 * 1024 * 1024;

/// A pack being written.
pub(crate) struct OpenPack {
    tar: TarWriter<SealedWriter>,
    key: String,
    name: String,
    content: u64,
}

impl OpenPack {
    /// Begins the pack with the next number.
    pub(crate) fn create(shared: Shared<'_>, effort: Effort) -> Result<Self, StoreError> {
        let number = shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let object = names::pack(shared.id, number, shared.sealing.wrapping);
        let name = pack_name(&object).to_owned();
        let writer = SealedWriter::create(shared.sealing, object, effort, PlainHash::None)?;
        Ok(Self { key: writer.key().to_owned(), tar: TarWriter::new(writer), name, content: 0 })
    }

    /// Its name in index entries.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds a folder, a link, a named pipe.
    pub(crate) fn append_empty(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.tar.append_empty(entry).map_err(|cause| StoreError::from_io("write", &self.key, cause))
    }

    /// Adds a file whose content is at hand. Returns where its header is.
    pub(super) fn append(&mut self, entry: &Entry, bytes: &[u8]) -> Result<u64, StoreError> {
        self.content += entry.size;
        let written = self.tar.begin_file(entry, None).and_then(|offset| {
            self.tar.data(bytes)?;
            self.tar.end_file()?;
            Ok(offset)
        });
        written.map_err(|cause| StoreError::from_io("write", &self.key, cause))
    }

    /// Adds a file from its source, exactly as many bytes as its entry tells: what it lost meanwhile is filled up with
    /// zeros, what it gained is left for the next run. Returns where its header is, and the hash of what was stored.
    pub(super) fn append_stream(
        &mut self,
        file: &mut SourceFile,
        buffer: &mut [u8],
        progress: &Progress,
    ) -> Result<(u64, Hash), Failure> {
        self.content += file.entry().size;
        let failed = |key: &str, cause: io::Error| StoreError::from_io("write", key, cause);
        let offset = self.tar.begin_file(file.entry(), file.extents()).map_err(|e| failed(&self.key, e))?;
        let mut reader = file.reader();
        let mut hasher = blake3::Hasher::new();
        while let Some(part) = reader.next(buffer) {
            signal::check()?;
            part.hash_into(&mut hasher);
            self.tar.data(part.stored()).map_err(|e| failed(&self.key, e))?;
            progress.add(part.stored().len() as u64);
        }
        self.tar.end_file().map_err(|e| failed(&self.key, e))?;
        Ok((offset, Hash(*hasher.finalize().as_bytes())))
    }

    /// Ends the pack, makes it durable, and reads it back.
    pub(crate) fn seal(self, shared: Shared<'_>) -> Result<(), StoreError> {
        let failed = |cause| StoreError::from_io("write", &self.key, cause);
        let sealed = self.tar.finish().map_err(failed)?.finish()?;
        read_back(shared.sealing.store, shared.sealing.place, &sealed)?;
        let mut packs = shared.packs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        packs.push(Pack::from_sealed(sealed, self.content));
        Ok(())
    }
}

/// The two packs of a packer.
pub(crate) struct PackSet<'a> {
    shared: Shared<'a>,
    compressed: Option<OpenPack>,
    copied: Option<OpenPack>,
}

impl<'a> PackSet<'a> {
    /// No pack is open yet.
    pub(super) fn new(shared: Shared<'a>) -> Self {
        Self { shared, compressed: None, copied: None }
    }

    /// The pack for content of which this is a sample.
    pub(super) fn for_content(&mut self, sample: &[u8]) -> Result<&mut OpenPack, StoreError> {
        let (slot, effort) = match compressible::judge(sample) {
            Content::Compressible => (&mut self.compressed, Effort::Usual),
            Content::Dense => (&mut self.copied, Effort::Least),
        };
        let open = match slot.take() {
            Some(open) => open,
            None => OpenPack::create(self.shared, effort)?,
        };
        Ok(slot.insert(open))
    }

    /// Ends packs that have reached their size.
    pub(super) fn seal_full_ones(&mut self) -> Result<(), StoreError> {
        for slot in [&mut self.compressed, &mut self.copied] {
            if let Some(full) = slot.take_if(|pack| pack.tar.position() >= FULL) {
                full.seal(self.shared)?;
            }
        }
        Ok(())
    }

    /// Ends what is open, full or not.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        for open in [self.compressed, self.copied].into_iter().flatten() {
            open.seal(self.shared)?;
        }
        Ok(())
    }
}
