//! A stream that ends where it fails: whoever reads it counts what came before, and then asks how it ended.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sources::Part;

/// What ended a stream, where that was no end.
#[derive(Clone, Default)]
pub(super) struct Failed(Arc<Mutex<Option<io::Error>>>);

impl Failed {
    /// It, once.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Such a stream.
pub(super) struct Enduring {
    inner: Box<dyn Read + Send>,
    failed: Failed,
    is_over: bool,
}

impl Enduring {
    /// The same part, and where it will be noted what went wrong with it.
    pub(super) fn over(part: Part) -> (Part, Failed) {
        let failed = Failed::default();
        let stream = Self { inner: part.stream, failed: failed.clone(), is_over: false };
        (Part { stream: Box::new(stream), ..part }, failed)
    }
}

impl Read for Enduring {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Asked again, a decoder that has failed may go on with anything.
        if self.is_over {
            return Ok(0);
        }
        match self.inner.read(into) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.is_over = true;
                *self.failed.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(0)
            }
            read => read,
        }
    }
}
