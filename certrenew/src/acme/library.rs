//! instant-acme, driven without a runtime: its futures wait for nothing but our transport, which is ready at once.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, Utc};
use instant_acme::{Error, Problem as Told};
use shipshape_core::clock;

use super::error::AcmeError;
use super::problem::{BAD_NONCE, Problem};
use super::transport::Transport;

/// How often a step is made whose nonce is refused. The library tries three times by itself; where every second nonce is
/// refused, one step in 10^11 comes to nothing.
const TRIES: u32 = 12;

/// What a future of the library becomes.
pub(super) fn blocking<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::Str("a step waited for something else than an answer")),
    }
}

/// One step of the library's, again as long as a nonce is refused: the authority has done nothing then (RFC 8555, 6.5).
pub(super) fn step<T>(transport: &Transport, mut once: impl FnMut() -> Result<T, Error>) -> Result<T, AcmeError> {
    for _ in 1..TRIES {
        match once() {
            Err(Error::Api(told)) if is_bad_nonce(&told) => {}
            result => return result.map_err(|error| explain(transport, error)),
        }
    }
    once().map_err(|error| explain(transport, error))
}

fn is_bad_nonce(told: &Told) -> bool {
    Problem::from(told).kind().as_deref() == Some(BAD_NONCE)
}

/// An error of the library's. Most are ours, passed through it; the others say that an answer made no sense to it.
fn explain(transport: &Transport, error: Error) -> AcmeError {
    match error {
        Error::Api(told) => explain_told(transport, &told, clock::now()),
        Error::Other(cause) => match cause.downcast::<AcmeError>() {
            Ok(ours) => *ours,
            Err(theirs) => transport.nonsense(&theirs.to_string()),
        },
        // The set is open; all of it is about keys, addresses and JSON.
        other => transport.nonsense(&other.to_string()),
    }
}

/// A problem that stood within an answer.
pub(super) fn explain_told(transport: &Transport, told: &Told, now: DateTime<Utc>) -> AcmeError {
    Problem::from(told).explain(transport.speaker(), None, now)
}
