//! Which part of a record says what happened, and its mask and shape.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use twox_hash::XxHash3_64;

use super::scan::scan;
use super::tidy::tidy;
use super::{json, trace};
use shipshape_core::redact::REDACTED;

use crate::secrets;
use crate::tally::SAMPLE;

/// How much of a record's end is kept where it is too long for a sample: Python says what happened in its last line.
const SAMPLE_END: usize = SAMPLE / 4;

/// After how many passes a text is taken as it is.
const MOST_PASSES: usize = 8;

/// Behind this, nginx tells whose request it was.
static REQUEST_OF: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(", client: "));

/// The record's message with what differs masked, as text for people and for comparing. `message` is where it begins. Secrets
/// are never part of it: they are taken out before masking, while they still have the form by which they are known, and
/// looked for once more behind it.
pub(crate) fn mask(record: &[u8], message: usize) -> String {
    let record = without_values(excerpt(record));
    let (head, rest) = record.split_at(message.min(record.len()));
    let (head, rest) = (String::from_utf8_lossy(head), String::from_utf8_lossy(rest));
    let rest = without_secrets(&rest);
    let mut masked = pass(&head, &rest);
    // What is left may look like a value only now, between other neighbours: mostly quotes that have no partner.
    for _ in 0..MOST_PASSES {
        let again = pass("", &masked);
        if again == masked {
            break;
        }
        masked = again;
    }
    without_secrets(&masked)
}

/// The record with noughts in the place of secret values. Looked for in all of it: the word that gives a value away may stand
/// before the message, as in `ERROR password: …`, where it looks like the name of a logger.
fn without_values(record: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let found = secrets::find(&record);
    if found.is_empty() {
        return record;
    }
    let mut record = record.into_owned();
    for secret in found {
        record[secret.start..secret.end].fill(b'0');
    }
    Cow::Owned(record)
}

/// A secret differs from message to message like any other value.
fn without_secrets(text: &str) -> String {
    secrets::redacted(text).replace(REDACTED, "<*>")
}

fn pass(head: &str, rest: &str) -> String {
    let mut masked = Vec::with_capacity(256);
    write(head.as_bytes(), rest.as_bytes(), &mut masked);
    tidy(&String::from_utf8_lossy(&masked))
}

thread_local! {
    /// Where shapes are written, and thrown away.
    static SCRATCH: RefCell<(Vec<u8>, Vec<usize>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// A hash by which records are gathered before they are masked for good: records of one shape have one mask. Called for every
/// record that counts: it must be fast.
pub(crate) fn shape(record: &[u8], message: usize) -> u64 {
    SCRATCH.with_borrow_mut(|(masked, telltales)| {
        let record = excerpt(record);
        secrets::telltales(&record, telltales);
        if !telltales.is_empty() || std::str::from_utf8(&record).is_err() {
            // What is taken out as a secret, and what invalid bytes become, depends on more than the mask.
            return XxHash3_64::oneshot_with_seed(1, mask(&record, message).as_bytes());
        }
        masked.clear();
        let (head, rest) = record.split_at(message.min(record.len()));
        write(head, rest, masked);
        XxHash3_64::oneshot(masked)
    })
}

/// What is kept of a record, and all that is looked at: the whole, or its beginning and its end.
pub(crate) fn excerpt(record: &[u8]) -> Cow<'_, [u8]> {
    if record.len() <= SAMPLE {
        return Cow::Borrowed(record);
    }
    let (begin, end) = (&record[..SAMPLE - SAMPLE_END - 1], &record[record.len() - SAMPLE_END..]);
    let Some(line) = memchr::memchr(b'\n', end) else { return Cow::Borrowed(&record[..SAMPLE]) };
    Cow::Owned([begin, &end[line..]].concat())
}

/// Puts what the record says behind `out`, masked; `head` is what stands before its message.
fn write(head: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    let quoted = head.strip_suffix(b"\"").map(<[u8]>::trim_ascii_end);
    match quoted.and_then(<[u8]>::last) {
        // The message of a JSON record: what is behind its quote are other fields.
        Some(b':') => lines(&json::unescaped(json::rest_of_string(rest)), out),
        // That of logfmt: other fields go on, and their values are masked.
        Some(b'=') => {
            let message = json::rest_of_string(rest);
            lines(&json::unescaped(message), out);
            scan(b" ", out);
            lines(rest.get(message.len() + 1..).unwrap_or_default(), out);
        }
        _ if rest.starts_with(b"{") => json_record(rest, out),
        _ => lines(rest, out),
    }
}

fn json_record(record: &[u8], out: &mut Vec<u8>) {
    match json::message(record) {
        Some(message) => lines(&json::unescaped(message), out),
        None if json::keys(record, out) => {}
        None => lines(record, out),
    }
}

/// A trace by what was thrown and where, anything else by its first line.
fn lines(text: &[u8], out: &mut Vec<u8>) {
    let first = memchr::memchr(b'\n', text);
    if first.is_some() && trace::write(text, out) {
        return;
    }
    let line = text[..first.unwrap_or(text.len())].trim_ascii();
    let line = match REQUEST_OF.find(line) {
        Some(at) => &line[..at],
        None => line,
    };
    scan(line, out);
}
