//! What the server remembers of the last snapshot, since it cannot decrypt its index: the index itself, in the state
//! folder. Losing it costs one full backup and nothing else.

#[cfg(test)]
mod fuzz;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipshape_core::archive::entry::{Bytes, Hash};
use shipshape_core::archive::index::{IndexError, IndexReader};
use shipshape_core::archive::manifest::Manifest;
use shipshape_core::archive::names::Place;
use shipshape_core::atomic;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::report::Notice;
use shipshape_core::state::{Loaded, StateDir, StateError};
use tempfile::NamedTempFile;
use zstd::stream::write::Encoder;

/// The form of the cache; one of another form is started over.
const FORMAT: u32 = 1;
/// The record beside the index.
const RECORD: &str = "last.json";
/// Speed before size: the cache is rewritten in every run and read in the next.
const LEVEL: i32 = 1;

/// Why the cache could not be written. Reading never fails: a cache that cannot be read is as good as none.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the cache in {}", folder.display())]
pub(crate) struct CacheError {
    folder: PathBuf,
    #[source]
    cause: io::Error,
}

impl Explain for CacheError {
    fn code(&self) -> &'static str {
        "state.cache"
    }

    fn hint(&self) -> String {
        format!("check free space and permissions: df -h {0}; ls -ld {0}", self.folder.display())
    }

    fn exit(&self) -> Exit {
        Exit::Critical
    }
}

/// The record.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    manifest: Manifest,
    /// The index file and the BLAKE3 of its bytes, which must fit together.
    index: String,
    blake3: Hash,
    live: BTreeMap<String, u64>,
    databases: Vec<Database>,
}

/// A database found by its header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Database {
    /// The payload's name.
    pub(crate) name: String,
    /// Its path in the index.
    pub(crate) path: Bytes,
}

/// The last snapshot as it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Previous {
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// The bytes that it uses of each pack.
    pub(crate) live: BTreeMap<String, u64>,
    /// The databases that were found.
    pub(crate) databases: Vec<Database>,
    index: PathBuf,
}

impl Previous {
    /// Its index, from the beginning.
    pub(crate) fn read_index(&self) -> Result<IndexReader, IndexError> {
        let file = File::open(&self.index).map_err(IndexError::Read)?;
        let plain = zstd::stream::read::Decoder::new(BufReader::new(file)).map_err(IndexError::Read)?;
        IndexReader::new(Box::new(plain))
    }
}

/// The cache of one HOST/APP in one store.
pub(crate) struct Cache {
    folder: PathBuf,
    name: String,
}

impl Cache {
    /// The cache of a place; its folder is made where it is missing.
    pub(crate) fn open(state: &StateDir, store_id: &str, place: &Place) -> Result<Self, StateError> {
        let short = store_id.get(..12).unwrap_or(store_id);
        let name = format!("cache/{}_{}_{short}", place.host, place.app);
        Ok(Self { folder: state.folder(&name)?, name })
    }

    /// What is remembered, and what is to be said about a cache that is of no use.
    pub(crate) fn load(&self, state: &StateDir) -> (Option<Previous>, Option<Notice>) {
        let record: Record = match state.read_json(&format!("{}/{RECORD}", self.name)) {
            Ok(Loaded::Found(record)) => record,
            Ok(Loaded::Absent) => return (None, None),
            Ok(Loaded::Corrupt { kept }) => return (None, Some(useless(&format!("{} is damaged", kept.display())))),
            Err(refused) => return (None, Some(useless(&refused.to_string()))),
        };
        let index = self.folder.join(&record.index);
        match hash_file(&index) {
            Ok(hash) if hash == record.blake3 && record.format == FORMAT => {
                let Record { manifest, live, databases, .. } = record;
                (Some(Previous { manifest, live, databases, index }), None)
            }
            Ok(_) => (None, Some(useless(&format!("{} is damaged", index.display())))),
            Err(refused) => (None, Some(useless(&format!("{}: {refused}", index.display())))),
        }
    }

    /// Begins the index of the next snapshot.
    pub(crate) fn writer(&self) -> Result<CacheWriter, CacheError> {
        let begin = || {
            let file = atomic::temporary(&self.folder)?;
            let mut stream = Encoder::new(BufWriter::new(file), LEVEL)?;
            stream.include_checksum(true)?;
            Ok(CacheWriter { stream })
        };
        begin().map_err(|cause| self.failed(cause))
    }

    /// Makes what was written the last snapshot, and forgets the one before.
    pub(crate) fn commit(
        &self,
        written: CacheWriter,
        manifest: &Manifest,
        live: BTreeMap<String, u64>,
        databases: Vec<Database>,
    ) -> Result<(), CacheError> {
        let index = format!("{}.index.zst", manifest.id);
        let commit = || {
            let file = written.stream.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            let blake3 = hash_file(file.path())?;
            atomic::commit(file, &self.folder.join(&index))?;
            let record =
                Record { format: FORMAT, manifest: manifest.clone(), index: index.clone(), blake3, live, databases };
            let text = serde_json::to_vec(&record)?;
            atomic::replace(&self.folder.join(RECORD), &text).map_err(io::Error::other)?;
            self.forget_all_but(&index)
        };
        commit().map_err(|cause| self.failed(cause))
    }

    /// Forgets everything: the next run takes all files anew.
    pub(crate) fn forget(&self) -> Result<(), CacheError> {
        let forget = || match fs::remove_file(self.folder.join(RECORD)) {
            Err(refused) if refused.kind() != io::ErrorKind::NotFound => Err(refused),
            _ => self.forget_all_but(""),
        };
        forget().map_err(|cause| self.failed(cause))
    }

    /// Removes indexes of earlier snapshots and leftovers of runs that were killed. The caller holds the lock.
    fn forget_all_but(&self, index: &str) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let old = name.ends_with(".index.zst") && name != index;
            if old || name.starts_with(atomic::TEMPORARY_PREFIX) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The error of this cache.
    fn failed(&self, cause: io::Error) -> CacheError {
        CacheError { folder: self.folder.clone(), cause }
    }
}

/// The index of the next snapshot on its way.
pub(crate) struct CacheWriter {
    stream: Encoder<'static, BufWriter<NamedTempFile>>,
}

impl Write for CacheWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is to be said about a cache that cannot be read.
fn useless(why: &str) -> Notice {
    let message = format!("the local cache is of no use: {why}");
    Notice::new(
        "state.cache_lost",
        message,
        "nothing is lost: this run stores everything anew, the next one is small again",
    )
}

/// The BLAKE3 of a file, to see that record and index belong together.
fn hash_file(path: &Path) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Hash(*hasher.finalize().as_bytes())),
            length => hasher.update(&buffer[..length]),
        };
    }
}
