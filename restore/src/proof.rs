//! Hashes a stream while somebody else reads it.
//!
//! Decoders take the stream that they read and do not give it back. So both hold it: the decoder to read, the owner to read
//! the rest that the decoder left and to ask for the hash.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use shipshape_core::archive::seal::hex;
use shipshape_core::signal;

/// A stream that is handed on, and the hash of what was read of it.
#[derive(Clone)]
pub(crate) struct Proof(Arc<Mutex<Hashing>>);

struct Hashing {
    inner: Box<dyn Read + Send>,
    hash: Sha256,
    bytes: u64,
}

impl Proof {
    /// Watches a stream: the reader to hand on, and what tells its hash afterwards.
    pub(crate) fn of(inner: Box<dyn Read + Send>) -> (Box<dyn Read + Send>, Self) {
        let proof = Self(Arc::new(Mutex::new(Hashing { inner, hash: Sha256::new(), bytes: 0 })));
        (Box::new(proof.clone()), proof)
    }

    /// Reads what the reader left, and returns the length and SHA-256 of the whole stream.
    pub(crate) fn finish(mut self) -> io::Result<(u64, String)> {
        io::copy(&mut self, &mut io::sink())?;
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((watched.bytes, hex(&watched.hash.clone().finalize())))
    }
}

impl Read for Proof {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What nobody wants any more is still read to its end for its hash: that may take long.
        signal::check().map_err(io::Error::other)?;
        let watched = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = watched.inner.read(buffer)?;
        watched.hash.update(&buffer[..length]);
        watched.bytes += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_whole_stream_however_much_was_read() {
        let (mut reader, proof) = Proof::of(Box::new(&b"abc"[..]));
        reader.read_exact(&mut [0]).unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(proof.finish().unwrap(), (3, sha256.to_owned()));
    }
}
