//! Wires: what wraps the lines of programs on their way to us, and the lanes in it, one for each program and stream.

mod batch;
mod compose;
mod long;
mod marks;
mod object;
mod reader;
mod stamp;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use crate::clean;
use crate::level::Level;

pub(crate) use long::fit;
#[cfg(test)]
pub(crate) use marks::Mark;
pub(crate) use marks::Marks;
pub(crate) use reader::{cleaned_text, read};

/// What wraps the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Nothing.
    Plain,
    /// What `docker compose logs` and `docker logs --timestamps` print: `name-1  | TIME line`, either part may be missing.
    Compose,
    /// The engine's own file: `{"log":"line\n","stream":"stderr","time":"TIME"}`.
    DockerJson,
    /// `journalctl --output=json`: one object for each message.
    Journal,
}

/// A line without what wrapped it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unwrapped<'a> {
    /// The lane: `application-1`, `stdout`, `nginx.service[812]`; empty where there is only one.
    pub(crate) lane: &'a str,
    /// When it came, where the wire says so.
    pub(crate) time: Option<DateTime<Utc>>,
    /// The level that the wire itself states.
    pub(crate) level: Option<Level>,
    /// The line, or a part of one, without its line end.
    pub(crate) text: &'a [u8],
    /// Whether more of the same line follows in this lane (the engine cuts lines at 16 KiB).
    pub(crate) is_partial: bool,
    /// Whether the text is a whole record, whatever is in it.
    pub(crate) is_record: bool,
    /// Whether we said it ourselves, in an earlier run: a report that quotes an error is none.
    pub(crate) is_own: bool,
    /// The wire's own word for the place behind this line (the journal).
    pub(crate) cursor: Option<&'a str>,
}

/// How many lines decide what wraps all of them.
const SNIFFED: usize = 32;

/// What wraps lines that begin so: what more than half of the first lines show. One line does not decide, as a stream may
/// begin with a notice or with half a line, and any program may print something that looks like a wire once.
pub(crate) fn sniff(beginning: &[u8]) -> Wire {
    let mut cleaned = Vec::new();
    clean::clean(first_lines(beginning), &mut cleaned);
    let lines = cleaned.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !compose::is_notice(line));
    let (mut all, mut compose, mut docker, mut journal) = (0, 0, 0, 0);
    let mut scratch = Vec::new();
    for line in lines {
        all += 1;
        compose += usize::from(compose::is_wrapped(line));
        if line[0] == b'{' {
            docker += usize::from(object::docker(line, &mut scratch).is_some());
            journal += usize::from(object::journal(line, &mut scratch).is_some());
        }
    }
    let most = |count: usize| count * 2 > all;
    match () {
        () if most(compose) => Wire::Compose,
        () if most(docker) => Wire::DockerJson,
        () if most(journal) => Wire::Journal,
        () => Wire::Plain,
    }
}

/// The lines that decide.
fn first_lines(beginning: &[u8]) -> &[u8] {
    let end = memchr::memchr_iter(b'\n', beginning).nth(SNIFFED - 1).unwrap_or(beginning.len());
    &beginning[..end]
}

/// Takes off what wraps a line; `scratch` holds what has to be decoded. None for what is no line of any program: a notice
/// of the engine, or something that does not make sense.
pub(crate) fn unwrap<'a>(wire: Wire, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Unwrapped<'a>> {
    match wire {
        Wire::Plain => Some(Unwrapped::plain(line)),
        Wire::Compose => compose::unwrap(line),
        Wire::DockerJson => object::docker(line, scratch),
        Wire::Journal => object::journal(line, scratch),
    }
}

/// As much of a text as so many bytes hold.
fn prefix(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

impl<'a> Unwrapped<'a> {
    /// A line that nothing wraps.
    fn plain(text: &'a [u8]) -> Self {
        Self {
            lane: "",
            time: None,
            level: None,
            text,
            is_partial: false,
            is_record: false,
            is_own: false,
            cursor: None,
        }
    }
}
