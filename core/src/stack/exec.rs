//! A program that runs where a service runs. It must not outlive us there: to end the way to it is not to end it.

use std::io::{self, Read};

use crate::child::{ChildError, Stopper, Stream};

/// Ends what is still running in the service.
type Sweep = Box<dyn FnOnce() + Send>;

/// A running program and its standard output. Its end says nothing yet: [`Exec::finish`] tells whether it ended well.
#[must_use = "only `finish` tells whether the program succeeded"]
pub struct Exec {
    stream: Option<Stream>,
    sweep: Option<Sweep>,
}

impl Exec {
    /// A program that ends when the way to it does.
    pub(super) fn here(stream: Stream) -> Self {
        Self { stream: Some(stream), sweep: None }
    }

    /// A program in another place, where `sweep` ends it.
    pub(super) fn there(stream: Stream, sweep: Sweep) -> Self {
        Self { stream: Some(stream), sweep: Some(sweep) }
    }

    /// A way to end the program while somebody else reads from it; none once it has ended.
    pub fn stopper(&self) -> Option<Stopper> {
        self.stream.as_ref().map(Stream::stopper)
    }

    /// Waits for the end, and fails unless the program ended well. Returns the end of its standard error.
    pub fn finish(mut self) -> Result<String, ChildError> {
        let Some(stream) = self.stream.take() else { return Ok(String::new()) };
        let ended = stream.finish();
        // One that ended by itself needs no sweeping; of any other nobody knows.
        if ended.is_ok() {
            self.sweep = None;
        }
        ended
    }
}

impl Read for Exec {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.as_mut().map_or(Ok(0), |stream| stream.read(buffer))
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // First our end, so that what is being swept can write nothing more to us.
        drop(self.stream.take());
        if let Some(sweep) = self.sweep.take() {
            sweep();
        }
    }
}
