//! Servers with a form of their own: Redis, MySQL's slow queries, Erlang.

use super::{Format, Head, stamp, text, word};
use crate::level::Level;

/// `1:M 01 May 2024 12:00:00.123 # message`.
pub(super) fn redis(line: &[u8]) -> Option<Head> {
    let digits = line.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
    let [b':', b'A'..=b'Z', b' ', ..] = line.get(digits..)? else { return None };
    let end = stamp::end(line, digits + 3)?;
    redis_message(line, end)
}

/// Redis's level is a single sign behind the time; `#` is the gravest there is.
pub(super) fn redis_message(line: &[u8], at: usize) -> Option<Head> {
    let [b' ', sign, b' ', ..] = line.get(at..)? else { return None };
    let level = match sign {
        b'#' => Level::Warning,
        b'*' => Level::Notice,
        b'-' => Level::Info,
        b'.' => Level::Debug,
        _ => return None,
    };
    Some(Head::new(Format::Redis, Some(level), at + 3))
}

/// The header of a query that was slow: worth knowing, no defect.
pub(super) fn slow_query(line: &[u8]) -> Option<Head> {
    let is_header = line.starts_with(b"# Time: ") || line.starts_with(b"# User@Host: ");
    is_header.then(|| Head::new(Format::Slow, Some(Level::Notice), 2))
}

/// `=ERROR REPORT==== 1-May-2024::12:00:00 ===`.
pub(super) fn erlang(line: &[u8]) -> Option<Head> {
    let name = &line[1..=text::letters(&line[1..])];
    let rest = line.get(1 + name.len()..)?;
    if !rest.starts_with(b" REPORT====") {
        return None;
    }
    // A process that died, and the one that watched it; `ERROR` and `INFO` are words of their own.
    let level = match name {
        b"CRASH" | b"SUPERVISOR" => Some(Level::Error),
        b"PROGRESS" => Some(Level::Info),
        _ => word::level(name),
    };
    Some(Head::new(Format::Erlang, level, 1))
}
