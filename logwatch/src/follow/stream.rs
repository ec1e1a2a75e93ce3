//! Standard input while it is being written: what has come is there to be read, the rest is waited for elsewhere.

use std::io::{self, Cursor as Bytes, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::chunk::Ending;
use crate::lanes::{Marks, Wire, sniff};
use crate::sources::{Cursor, LastLines, Opened, Part, Source, SourceError, Start};

/// How much waits to be read at most, in bytes: whoever writes faster is made to wait.
const MOST: usize = 4 << 20;

/// What has come.
#[derive(Debug, Default)]
struct Come {
    bytes: Vec<u8>,
    is_over: bool,
    failed: Option<io::Error>,
}

/// Standard input.
pub(super) struct Stream {
    come: Arc<Mutex<Come>>,
    wire: Option<Wire>,
    /// The last lines that were taken: what comes may go on with their record.
    before: LastLines,
}

impl Stream {
    /// Begins to read it. The thread that waits for it ends with the process.
    pub(super) fn begin(mut input: impl Read + Send + 'static) -> Self {
        let come = Arc::new(Mutex::new(Come::default()));
        let theirs = come.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = input.read(&mut buffer);
                let mut come = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                match read {
                    Ok(0) => come.is_over = true,
                    Ok(read) => come.bytes.extend_from_slice(&buffer[..read]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => (come.is_over, come.failed) = (true, Some(error)),
                }
                let (is_over, is_full) = (come.is_over, come.bytes.len() >= MOST);
                drop(come);
                if is_over {
                    return;
                }
                if is_full {
                    thread::sleep(super::PAUSE);
                }
            }
        });
        Self { come, wire: None, before: LastLines::default() }
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        let come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
        come.is_over && come.bytes.is_empty()
    }

    /// The whole lines that have come; at the end, what is left too.
    fn take(&self) -> io::Result<Vec<u8>> {
        let mut come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = come.failed.take() {
            return Err(error);
        }
        let whole = memchr::memrchr(b'\n', &come.bytes).map_or(0, |end| end + 1);
        let whole = if come.is_over || come.bytes.len() >= MOST { come.bytes.len() } else { whole };
        let rest = come.bytes.split_off(whole);
        Ok(std::mem::replace(&mut come.bytes, rest))
    }
}

impl Source for Stream {
    fn name(&self) -> &'static str {
        "stdin"
    }

    fn key(&self) -> String {
        "stdin".to_owned()
    }

    fn open(&mut self, cursor: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        let bytes = self.take().map_err(|source| SourceError::Unreadable { path: "standard input".into(), source })?;
        if self.wire.is_none() && !bytes.is_empty() {
            self.wire = Some(sniff(&bytes));
        }
        let marks = match cursor {
            Some(Cursor::Lanes(marks)) => marks.clone(),
            _ => Marks::new(),
        };
        let before = self.before.as_bytes().to_vec();
        self.before.add(&bytes);
        let part = Part { stream: Box::new(Bytes::new(bytes)), wire: self.wire, ending: Ending::Whole };
        Ok(Opened { parts: vec![part], before, gaps: Vec::new(), marks, is_first: false, is_undated: false })
    }

    fn close(&mut self, _: u64, marks: Marks) -> Result<Cursor, SourceError> {
        Ok(Cursor::Lanes(marks))
    }
}
