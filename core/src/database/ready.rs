//! Whether a server that was just started takes questions, and will go on doing so.
//!
//! The official images start a first server for making the database, which only the inside of the container reaches
//! (`--skip-networking`, `listen_addresses=''`), stop it, and start the real one. Who talks to the first is cut off.

use std::io::Read;
use std::time::Duration;

use super::client::{Client, Facts};
use super::error::DatabaseError;
use crate::clock::Stopwatch;
use crate::signal;

/// How long a server may take to come up: the first start makes all its files.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a server that answers, but listens to nobody, or refuses us, is taken to be still coming up.
const DOUBT: Duration = Duration::from_secs(20);

/// The pause between questions.
const PAUSE: Duration = Duration::from_millis(250);

/// Says `listening` where something waits for connections (state 0A, proc(5)), other than the engine's own name server,
/// which is at 127.0.0.11 in every container.
const LISTENING: &str = r#"
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r number local remote state rest; do
  case "$state $local" in
    "0A 0B00007F:"*) ;;
    "0A "*) echo listening; break ;;
  esac
done"#;

impl Client<'_> {
    /// Waits until the server is up, and returns what it tells about itself.
    pub fn ready(&self) -> Result<Facts, DatabaseError> {
        let watch = Stopwatch::start();
        let mut answered_at = None;
        loop {
            let found = self.facts();
            let now = watch.elapsed();
            match found {
                Ok(facts) if self.is_listening()? => return Ok(facts),
                Ok(facts) => {
                    if now.saturating_sub(*answered_at.get_or_insert(now)) > DOUBT {
                        return Ok(facts);
                    }
                }
                Err(refused) => {
                    let patience = patience(&refused);
                    if patience.is_none_or(|patience| now > patience) {
                        return Err(refused);
                    }
                }
            }
            signal::check().map_err(|interrupted| crate::stack::StackError::Child(interrupted.into()))?;
            std::thread::sleep(PAUSE);
        }
    }

    fn is_listening(&self) -> Result<bool, DatabaseError> {
        let mut exec = self.start(LISTENING, &[], None)?;
        let mut said = String::new();
        let heard = (&mut exec).take(64).read_to_string(&mut said);
        self.ended(exec, "looking at its sockets", None)?;
        Ok(heard.is_ok() && said.contains("listening"))
    }
}

/// How long such a refusal may be because the server is not up yet; none if it never is.
fn patience(refused: &DatabaseError) -> Option<Duration> {
    match refused {
        DatabaseError::Gone { .. } => Some(PATIENCE),
        // Before its users are made, a server knows nobody.
        DatabaseError::Login { .. }
        | DatabaseError::Privilege { .. }
        | DatabaseError::NoDatabase { .. }
        | DatabaseError::Client { .. }
        | DatabaseError::Answer { .. } => Some(DOUBT),
        DatabaseError::NoSuchService { .. }
        | DatabaseError::UnknownKind { .. }
        | DatabaseError::NotRunning { .. }
        | DatabaseError::Replicas { .. }
        | DatabaseError::NoClient { .. }
        | DatabaseError::Stack(_)
        | DatabaseError::Secret(_) => None,
    }
}
