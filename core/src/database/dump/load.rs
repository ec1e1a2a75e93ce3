//! A dump on its way into a database that stands beside the live one.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::Content;
use super::error::LoadError;
use super::lexer::Dialect;
use super::scan::{Scanner, Seen};
use super::sieve::Sieve;
use crate::database::Engine;

/// How much is read at once, in bytes.
const CHUNK: usize = 128 << 10;

/// What a dump has shown and left behind when all of it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What the scanner saw.
    pub seen: Seen,
    /// The events, as statements for MySQL's client in the character set of the dump. In a database beside the live one
    /// they would fire.
    pub events: Vec<u8>,
    /// How many statements were left out, by the reason: `database` (creates, drops or names one), `replication`,
    /// `sandbox` and `restrict` (lines that other versions of the client cannot read).
    pub left_out: BTreeMap<&'static str, u64>,
}

/// A dump as it may be loaded: without what reaches beyond its database. Reading it fails instead of ending unless the dump
/// is whole, so that its client is stopped before it takes the end for the end.
pub struct Loader<R> {
    source: R,
    scanner: Option<Scanner>,
    sieve: Sieve,
    chunk: Vec<u8>,
    ready: Vec<u8>,
    at: usize,
    verdict: Verdict,
}

/// What is known once all was read, shared between a loader and its report.
type Verdict = Arc<Mutex<Option<Result<Loaded, LoadError>>>>;

/// What a [`Loader`] has found, for those who gave it away to a thread.
#[derive(Clone, Debug)]
pub struct LoaderReport(Verdict);

impl LoaderReport {
    /// The verdict, and what was set aside. To be asked once the loader has been read to its end, or has failed.
    pub fn finish(self) -> Result<Loaded, LoadError> {
        let verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        verdict.unwrap_or(Err(LoadError::Unread))
    }
}

impl<R: Read> Loader<R> {
    /// Reads a plain dump of this engine.
    pub fn new(engine: Engine, content: Content, source: R) -> (Self, LoaderReport) {
        let dialect = if engine == Engine::Postgres { Dialect::Postgres } else { Dialect::Mysql };
        let verdict = Verdict::default();
        let new = Self {
            source,
            scanner: Some(Scanner::new(engine, content)),
            sieve: Sieve::new(dialect, content),
            chunk: vec![0; CHUNK],
            ready: Vec::new(),
            at: 0,
            verdict: Arc::clone(&verdict),
        };
        (new, LoaderReport(verdict))
    }

    /// Reads on until something passes, or all is read.
    fn fill(&mut self) -> io::Result<()> {
        while self.at == self.ready.len() {
            let Some(scanner) = &mut self.scanner else { return self.told() };
            let read = self.source.read(&mut self.chunk)?;
            self.ready.clear();
            self.at = 0;
            if read > 0 {
                scanner.feed_with(&self.chunk[..read], &mut self.sieve);
            } else {
                self.finish();
            }
            if let Some(refusal) = self.sieve.refused.take() {
                self.scanner = None;
                self.tell(Err(refusal));
                return self.told();
            }
            std::mem::swap(&mut self.ready, &mut self.sieve.out);
        }
        Ok(())
    }

    /// All was read: the verdict is told now, and what is left to pass passes only if it is a good one.
    fn finish(&mut self) {
        let Some(scanner) = self.scanner.take() else { return };
        match scanner.finish_with(&mut self.sieve) {
            Ok(seen) => {
                let events = std::mem::take(&mut self.sieve.events);
                let left_out = std::mem::take(&mut self.sieve.left_out);
                self.tell(Ok(Loaded { seen, events, left_out }));
            }
            Err(cause) => {
                self.sieve.out.clear();
                self.tell(Err(LoadError::NotWhole(cause)));
            }
        }
    }

    fn tell(&self, verdict: Result<Loaded, LoadError>) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }

    /// The end, if it may be taken for one.
    fn told(&self) -> io::Result<()> {
        match &*self.verdict.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Err(cause)) => Err(io::Error::new(io::ErrorKind::InvalidData, cause.clone())),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

impl<R: Read> Read for Loader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !buffer.is_empty() {
            self.fill()?;
        }
        let read = (&self.ready[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
