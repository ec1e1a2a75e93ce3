//! Writing an object: compress, then encrypt, then count and hash what is stored, in one stream without a temporary
//! copy of the plain bytes.

use std::hash::Hasher as _;
use std::io::{self, Write};

use age::stream::StreamWriter;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use twox_hash::XxHash3_64;

use super::frames::FrameWriter;
use super::keys::Recipients;
use super::names::{Place, Wrapping};
use super::store::{ObjectWriter, Store, StoreError};
use crate::config::{Compression, Encryption};

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For bytes that get smaller: zstd's own default, level 3.
    Usual,
    /// For bytes that are compressed already: still a valid stream with a checksum, at the cost of a copy.
    Least,
}

/// zstd's default level: what most people measure it by.
const ZSTD_USUAL: i32 = 3;
/// A negative level trades ratio for speed without end; at this one zstd is a copy with a checksum.
const ZSTD_LEAST: i32 = -1000;

/// What a finished object is, for the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its key, relative to the place.
    pub object: String,
    /// Bytes before compression.
    pub bytes_plain: u64,
    /// Bytes in the store.
    pub bytes_stored: u64,
    /// SHA-256 of the plain bytes, where it was asked for.
    pub sha256_plain: Option<String>,
    /// SHA-256 of the stored bytes: what `sha256sum` says of the file.
    pub sha256_stored: String,
    /// XXH3 of the stored bytes, only to compare when they are read back.
    pub xxh3_stored: u64,
}

/// Everything that objects of one run have in common.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    /// Where they go.
    pub store: &'a dyn Store,
    /// Whose they are.
    pub place: &'a Place,
    /// How they are wrapped.
    pub wrapping: Wrapping,
    /// Whom they are encrypted to.
    pub recipients: &'a Recipients,
}

/// An object on its way into the store. Takes plain bytes; dropped without [`SealedWriter::finish`] it leaves nothing.
pub struct SealedWriter {
    stream: Compressor<Encryptor<Counting<Box<dyn ObjectWriter>>>>,
    object: String,
    key: String,
    bytes_plain: u64,
    hash_plain: Option<Sha256>,
}

/// What became of an object at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is in the store.
    Stored(Sealed),
    /// Its content was known, and it was dropped.
    Known,
}

/// Whether the plain bytes are hashed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHash {
    /// With SHA-256, for payloads that stand alone.
    Sha256,
    /// Not here: the files of a pack have hashes of their own in the index.
    None,
}

impl SealedWriter {
    /// Begins the object `object` (relative to the place).
    pub fn create(sealing: Sealing<'_>, object: String, effort: Effort, hash: PlainHash) -> Result<Self, StoreError> {
        let key = sealing.place.key(&object);
        let counting = Counting::new(sealing.store.create(&key)?);
        let failed = |cause| StoreError::from_io("write", &key, cause);
        let encryptor = Encryptor::new(counting, sealing).map_err(failed)?;
        let stream = Compressor::new(encryptor, sealing.wrapping.compression, effort).map_err(failed)?;
        let hash_plain = (hash == PlainHash::Sha256).then(Sha256::new);
        Ok(Self { stream, object, key, bytes_plain: 0, hash_plain })
    }

    /// The full key, for messages.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Plain bytes so far.
    pub fn bytes_plain(&self) -> u64 {
        self.bytes_plain
    }

    /// Ends every stream with its mark, makes the object durable and gives it its name.
    pub fn finish(self) -> Result<Sealed, StoreError> {
        match self.finish_unless(|_| false)? {
            Finished::Stored(sealed) => Ok(sealed),
            Finished::Known => unreachable!("nothing was said to be known"),
        }
    }

    /// The same, unless the SHA-256 of the plain bytes turns out to be known: then nothing is stored.
    pub fn finish_unless(self, known: impl FnOnce(&str) -> bool) -> Result<Finished, StoreError> {
        let failed = |cause| StoreError::from_io("write", &self.key, cause);
        let counting = self.stream.finish().and_then(Encryptor::finish).map_err(failed)?;
        let sha256_plain = self.hash_plain.map(|hash| hex(&hash.finalize()));
        if sha256_plain.as_deref().is_some_and(known) {
            return Ok(Finished::Known);
        }
        let (bytes_stored, sha256_stored) = (counting.bytes, hex(&counting.sha256.finalize()));
        let xxh3_stored = counting.xxh3.finish();
        counting.inner.commit()?;
        let (object, bytes_plain) = (self.object, self.bytes_plain);
        Ok(Finished::Stored(Sealed { object, bytes_plain, bytes_stored, sha256_plain, sha256_stored, xxh3_stored }))
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.stream.write(bytes)?;
        self.bytes_plain += taken as u64;
        if let Some(hash) = &mut self.hash_plain {
            hash.update(&bytes[..taken]);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads an object back from where it is stored and compares it with what was written.
///
/// With XXH3, which was taken of the very bytes that SHA-256 was: what it has to tell apart is what a disk did from
/// what we wrote, not what an enemy did, and it does so at ten times the speed.
pub fn read_back(store: &dyn Store, place: &Place, sealed: &Sealed) -> Result<(), StoreError> {
    let key = place.key(&sealed.object);
    let mut xxh3 = XxHash3_64::new();
    let read = for_each_part(store.reread(&key)?.as_mut(), |part| xxh3.write(part));
    let bytes = read.map_err(|cause| StoreError::from_io("read", &key, cause))?;
    let why = if bytes != sealed.bytes_stored {
        format!("{bytes} bytes instead of {}", sealed.bytes_stored)
    } else if xxh3.finish() != sealed.xxh3_stored {
        "its checksum differs".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::ReadBack { object: key, why })
}

/// The length and SHA-256 of a stream.
pub fn hash_stored(from: &mut dyn io::Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let bytes = for_each_part(from, |part| hash.update(part))?;
    Ok((bytes, hex(&hash.finalize())))
}

/// Reads a stream to its end, and returns its length.
fn for_each_part(from: &mut dyn io::Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; READ_SIZE];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(length) => {
                take(&buffer[..length]);
                bytes += length as u64;
            }
            Err(refused) if refused.kind() == io::ErrorKind::Interrupted => {}
            Err(refused) => return Err(refused),
        }
    }
}

/// Large enough that system calls do not show, small enough to stay in the second-level cache.
pub const READ_SIZE: usize = 256 * 1024;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Counts and hashes what passes.
struct Counting<W> {
    inner: W,
    sha256: Sha256,
    xxh3: XxHash3_64,
    bytes: u64,
}

impl<W> Counting<W> {
    fn new(inner: W) -> Self {
        Self { inner, sha256: Sha256::new(), xxh3: XxHash3_64::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..taken]);
        self.xxh3.write(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The encrypting stage, or none.
enum Encryptor<W: Write> {
    Age(Box<StreamWriter<W>>),
    None(W),
}

impl<W: Write> Encryptor<W> {
    fn new(inner: W, sealing: Sealing<'_>) -> io::Result<Self> {
        match sealing.wrapping.encryption {
            Encryption::None => Ok(Self::None(inner)),
            Encryption::Age => {
                let encryptor =
                    age::Encryptor::with_recipients(sealing.recipients.as_dyn()).map_err(io::Error::other)?;
                Ok(Self::Age(Box::new(encryptor.wrap_output(inner)?)))
            }
        }
    }

    /// Writes age's final chunk: without it the object cannot be decrypted to its end.
    fn finish(self) -> io::Result<W> {
        match self {
            Self::Age(stream) => stream.finish(),
            Self::None(inner) => Ok(inner),
        }
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Age(stream) => stream.write(bytes),
            Self::None(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The compressing stage, or none.
enum Compressor<W: Write> {
    Zstd(FrameWriter<W>),
    Gzip(GzEncoder<W>),
    None(W),
}

impl<W: Write> Compressor<W> {
    fn new(inner: W, compression: Compression, effort: Effort) -> io::Result<Self> {
        Ok(match (compression, effort) {
            (Compression::None, _) => Self::None(inner),
            (Compression::Gzip, Effort::Usual) => Self::Gzip(GzEncoder::new(inner, flate2::Compression::default())),
            (Compression::Gzip, Effort::Least) => Self::Gzip(GzEncoder::new(inner, flate2::Compression::none())),
            (Compression::Zstd, effort) => {
                let level = if effort == Effort::Usual { ZSTD_USUAL } else { ZSTD_LEAST };
                Self::Zstd(FrameWriter::new(inner, level)?)
            }
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::None(inner) => Ok(inner),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::None(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
