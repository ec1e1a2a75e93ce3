//! The end of a program's standard error: all of it is read, so that the program never blocks, and the last part kept.

use std::io::{PipeReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much is kept, in bytes: some hundred lines.
const KEPT: usize = 16 << 10;

/// How long the end of standard error is waited for once the program has ended. Something that it left running in the
/// background may hold it open for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last bytes so far, and the news of the end.
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Tail {
    /// Starts reading, in a thread of its own.
    pub(super) fn start(mut stderr: PipeReader) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (at_end, end) = channel();
        let theirs = kept.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                append(&mut theirs.lock().unwrap_or_else(PoisonError::into_inner), &buffer[..read]);
            }
            drop(at_end);
        });
        Self { kept, end }
    }

    /// What there is, at the latest after [`PATIENCE`].
    pub(super) fn text(&self) -> String {
        // The thread never sends: its end disconnects the channel.
        let _ = self.end.recv_timeout(PATIENCE);
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

fn append(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let excess = kept.len().saturating_sub(KEPT);
    kept.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_part_is_kept() {
        let mut kept = Vec::new();
        for line in 0..5000 {
            append(&mut kept, format!("line {line}\n").as_bytes());
        }
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with(b"line 4999\n"));
    }
}
