//! Content that is in the store already, so that a file that was renamed or copied is not stored again.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use shipshape_core::archive::entry::{Hash, Stored};
use shipshape_core::archive::index::IndexError;

use crate::cache::Previous;

/// What the previous snapshot holds, by size and hash. Built when the first file asks: a run with nothing new never
/// needs it. 56 bytes a file, so half a million files take 28 MB.
pub(crate) struct KnownContent<'a> {
    previous: Option<&'a Previous>,
    /// Packs that may be referred to: present, whole in size, and not being retired.
    usable: &'a BTreeSet<String>,
    table: OnceLock<Table>,
}

#[derive(Default)]
struct Table {
    /// Sorted by size, then hash.
    rows: Vec<Row>,
    packs: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    size: u64,
    hash: Hash,
    offset: u64,
    pack: u32,
}

impl<'a> KnownContent<'a> {
    /// Knows what `previous` has in the packs that are usable.
    pub(crate) fn new(previous: Option<&'a Previous>, usable: &'a BTreeSet<String>) -> Self {
        Self { previous, usable, table: OnceLock::new() }
    }

    /// Whether any content of this size is known; where none is, hashing a file first would be in vain.
    pub(crate) fn has_size(&self, size: u64) -> bool {
        let rows = &self.table().rows;
        let at = rows.partition_point(|row| row.size < size);
        rows.get(at).is_some_and(|row| row.size == size)
    }

    /// Where this content is stored, if it is.
    pub(crate) fn find(&self, size: u64, hash: Hash) -> Option<Stored> {
        let table = self.table();
        let at = table.rows.partition_point(|row| (row.size, row.hash) < (size, hash));
        let row = table.rows.get(at).filter(|row| row.size == size && row.hash == hash)?;
        let pack = table.packs.get(row.pack as usize)?.clone();
        Some(Stored { pack, offset: row.offset, blake3: hash })
    }

    fn table(&self) -> &Table {
        // The cache was proven whole when it was loaded; should it be gone by now, nothing is known, and files are stored.
        self.table.get_or_init(|| self.build().unwrap_or_default())
    }

    fn build(&self) -> Result<Table, IndexError> {
        let Some(previous) = self.previous else { return Ok(Table::default()) };
        let packs: Vec<String> = self.usable.iter().cloned().collect();
        let mut rows = Vec::new();
        for entry in previous.read_index()? {
            let entry = entry?;
            let Some(Stored { pack, offset, blake3 }) = entry.stored else { continue };
            if let Ok(at) = packs.binary_search(&pack) {
                let pack = u32::try_from(at).unwrap_or(u32::MAX);
                rows.push(Row { size: entry.size, hash: blake3, offset, pack });
            }
        }
        rows.sort_unstable();
        rows.dedup_by_key(|row| (row.size, row.hash));
        Ok(Table { rows, packs })
    }
}

/// The packs of the previous snapshot that are in the store with the size they should have, by name.
pub(crate) fn usable_packs(
    previous: &Previous,
    listed: &std::collections::BTreeMap<String, u64>,
    retired: &BTreeSet<String>,
) -> BTreeSet<String> {
    let packs = previous.manifest.packs.iter();
    let whole = packs.filter(|pack| listed.get(&pack.object) == Some(&pack.bytes_stored));
    whole.map(|pack| pack.name().to_owned()).filter(|name| !retired.contains(name)).collect()
}
