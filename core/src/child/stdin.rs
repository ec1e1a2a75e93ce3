//! What a program is given on standard input.

use std::io::{self, ErrorKind, PipeWriter, Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::watch::{Stop, Watch};

/// How long the feeder is waited for once the program has ended: its source may be blocked for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// Copies a source into the program, in a thread of its own.
pub(super) struct Feeder(Receiver<io::Error>);

impl Feeder {
    pub(super) fn start(source: Box<dyn Read + Send>, pipe: PipeWriter, watch: Watch) -> Self {
        let (failed, failure) = channel();
        std::thread::spawn(move || {
            if let Err(error) = copy(source, &pipe) {
                // Killed first, closed after: a client that sees its input end takes it for whole, and commits.
                watch.stop_at_once(Stop::Input);
                let _ = failed.send(error);
            }
            drop(pipe);
        });
        Self(failure)
    }

    /// Why the source could not be read to its end, if it could not.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.0.recv_timeout(PATIENCE).ok()
    }
}

/// Fails where the source does. A program that reads no further is not our failure: its own status says what it thinks.
fn copy(mut source: Box<dyn Read + Send>, mut pipe: &PipeWriter) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if pipe.write_all(&buffer[..read]).is_err() {
            return Ok(());
        }
    }
}
