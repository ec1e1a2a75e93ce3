//! What `docker compose logs` and `docker logs --timestamps` put before a line: the container's name, a bar, the time.

use chrono::{DateTime, Utc};

use super::Unwrapped;

/// Length of the time that the engine puts before a line: always nine digits of a second, `2024-05-01T12:00:00.123456789Z`.
/// That tells it from the times of most programs, which write three or six.
const STAMP: usize = 30;

/// Takes off name and time, where they are there; None for a notice of Compose.
pub(super) fn unwrap(wrapped: &[u8]) -> Option<Unwrapped<'_>> {
    if let Some((time, text)) = stamped(wrapped) {
        return Some(Unwrapped { time: Some(time), ..Unwrapped::plain(text) });
    }
    let Some((lane, _, rest)) = prefixed(wrapped) else {
        return (!is_notice(wrapped)).then(|| Unwrapped::plain(wrapped));
    };
    let (time, text) = stamped(rest).map_or((None, rest), |(time, text)| (Some(time), text));
    Some(Unwrapped { lane, time, ..Unwrapped::plain(text) })
}

/// Whether a line is plainly wrapped. A level and a bar is what loguru and others write: `INFO     | message`.
pub(super) fn is_wrapped(line: &[u8]) -> bool {
    const LEVELS: [&str; 14] = [
        "trace", "debug", "info", "success", "notice", "warn", "warning", "err", "error", "crit", "critical", "alert",
        "fatal", "panic",
    ];
    let is_level = |name: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(name));
    // Compose pads names to the longest one and one blank more.
    stamped(line).is_some() || prefixed(line).is_some_and(|(name, blanks, _)| blanks >= 2 && !is_level(name))
}

/// A name, the blanks after it, and what comes after the bar.
fn prefixed(line: &[u8]) -> Option<(&str, usize, &[u8])> {
    let end = line.iter().position(|byte| !is_of_name(*byte)).filter(|end| *end > 0)?;
    let blanks = line[end..].iter().take_while(|byte| **byte == b' ').count();
    let rest = line[end + blanks..].strip_prefix(b"|").filter(|_| blanks > 0)?;
    let name = std::str::from_utf8(&line[..end]).ok()?;
    let rest = rest.strip_prefix(b" ").or_else(|| rest.is_empty().then_some(rest))?;
    Some((name, blanks, rest))
}

/// What names of containers are made of.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The engine's time at the beginning of a line, and what comes after it.
fn stamped(line: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    if !matches!(line.get(19), Some(b'.')) || line.len() < STAMP || line[STAMP - 1] != b'Z' {
        return None;
    }
    let (stamp, rest) = line.split_at(STAMP);
    let rest = rest.strip_prefix(b" ").or_else(|| rest.is_empty().then_some(rest))?;
    Some((super::stamp::parse(stamp)?, rest))
}

/// Whether Compose says this, and no program: it has no bar.
pub(super) fn is_notice(line: &[u8]) -> bool {
    let end = line.iter().position(|byte| !is_of_name(*byte)).unwrap_or(line.len());
    let after = &line[end..];
    let words: [&[u8]; 3] = [b" exited with code ", b" has been recreated", b" has been removed"];
    let begins: [&[u8]; 3] = [b"Attaching to ", b"Gracefully ", b"Aborting on container exit"];
    end > 0 && words.iter().any(|word| after.starts_with(word)) || begins.iter().any(|word| line.starts_with(word))
}
