//! Reading an object: decrypt, decompress, and see that every stream ends with its end mark.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::keys::{Identities, KeyError};
use super::names::{Place, Wrapping};
use super::seal::READ_SIZE;
use super::store::{Store, StoreError};
use crate::config::{Compression, Encryption};
use crate::error::Explain;
use crate::exit::Exit;

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key is missing or unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// None of the identities opens it.
    #[error("{object} is not encrypted to the identity given")]
    WrongKey {
        /// Which object.
        object: String,
    },
    /// It is damaged: altered or cut short.
    #[error("{object} is damaged")]
    Damaged {
        /// Which object.
        object: String,
        /// What the layer that noticed says.
        #[source]
        cause: io::Error,
    },
}

impl Explain for UnsealError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Key(cause) => cause.code(),
            Self::WrongKey { .. } => "key.wrong",
            Self::Damaged { .. } => "store.damaged",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Store(cause) => cause.hint(),
            Self::Key(cause) => cause.hint(),
            Self::WrongKey { .. } => {
                "the manifest names the public keys (jq .manifest.recipients); give one of their identities with --identity".to_owned()
            }
            Self::Damaged { .. } => "find a whole snapshot: restore verify --all".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Store(cause) => cause.exit(),
            Self::Key(cause) => cause.exit(),
            Self::WrongKey { .. } => Exit::Unknown,
            Self::Damaged { .. } => Exit::Critical,
        }
    }
}

/// The plain bytes of an object. Reading to the end has checked age's final chunk and the checksum of the compression.
pub type Plain = Box<dyn Read + Send>;

/// Opens the object `object` (relative to the place) of the store.
pub fn open(store: &dyn Store, place: &Place, object: &str, identities: &Identities) -> Result<Plain, UnsealError> {
    let key = place.key(object);
    unwrap(store.open(&key)?, Wrapping::of_name(object), identities, &key)
}

/// Takes the wrapping off a stream: `name` is for messages.
pub fn unwrap(
    stored: Box<dyn Read + Send>,
    wrapping: Wrapping,
    identities: &Identities,
    name: &str,
) -> Result<Plain, UnsealError> {
    let decrypted = match wrapping.encryption {
        Encryption::None => stored,
        Encryption::Age => decrypt(stored, identities, name)?,
    };
    let buffered = BufReader::with_capacity(READ_SIZE, decrypted);
    Ok(match wrapping.compression {
        Compression::None => Box::new(buffered),
        Compression::Gzip => Box::new(MultiGzDecoder::new(buffered)),
        Compression::Zstd => {
            let damaged = |cause| UnsealError::Damaged { object: name.to_owned(), cause };
            Box::new(ZstdDecoder::with_buffer(buffered).map_err(damaged)?)
        }
    })
}

fn decrypt(stored: Box<dyn Read + Send>, identities: &Identities, name: &str) -> Result<Plain, UnsealError> {
    if identities.is_empty() {
        return Err(KeyError::NoIdentity.into());
    }
    let buffered = BufReader::with_capacity(READ_SIZE, stored);
    let refused = |refused| match refused {
        age::DecryptError::NoMatchingKeys => UnsealError::WrongKey { object: name.to_owned() },
        age::DecryptError::Io(cause) => UnsealError::Damaged { object: name.to_owned(), cause },
        other => UnsealError::Damaged { object: name.to_owned(), cause: io::Error::other(other.to_string()) },
    };
    let decryptor = age::Decryptor::new_buffered(buffered).map_err(refused)?;
    Ok(Box::new(decryptor.decrypt(identities.as_dyn()).map_err(refused)?))
}
