//! Panics, traces and crashes: they state no level, and nobody has to.

use super::{Format, Head};
use crate::level::Level;

/// How a trace begins, what it is, and how grave.
type Beginning = (&'static [u8], Format, Level);

/// What begins with this byte.
fn beginnings(first: u8) -> &'static [Beginning] {
    match first {
        // Python prints it where nobody catches an exception, and where one is logged: then it belongs to the line above.
        b'T' => &[(b"Traceback (most recent call last)", Format::TracePython, Level::Error)],
        b'E' => &[(b"Exception in thread ", Format::TraceJava, Level::Error)],
        b'U' => &[
            (b"Uncaught ", Format::TraceNode, Level::Error),
            (b"UnhandledPromiseRejection", Format::TraceNode, Level::Error),
            (b"Unhandled rejection ", Format::TraceNode, Level::Error),
            (b"Unhandled exception", Format::TraceNode, Level::Error),
        ],
        // The runtime of Go: a panic that nobody recovers from, and what none can be recovered from.
        b'p' => &[(b"panic: ", Format::PanicGo, Level::Critical)],
        b'f' => &[(b"fatal error: ", Format::PanicGo, Level::Critical)],
        b'F' => &[
            (b"Fatal Python error: ", Format::Crash, Level::Critical),
            (b"Fatal error: ", Format::Php, Level::Critical),
        ],
        b'S' => &[(b"Segmentation fault", Format::Crash, Level::Critical)],
        b'B' => &[(b"Bus error", Format::Crash, Level::Critical), (b"BUG: ", Format::Oops, Level::Critical)],
        b'A' => &[(b"Aborted (core dumped)", Format::Crash, Level::Critical)],
        b'I' => &[(b"Illegal instruction", Format::Crash, Level::Critical)],
        // The kernel's mm/oom_kill.c, by its age.
        b'O' => &[(b"Out of memory: Kill", Format::Oom, Level::Critical), (b"Oops: ", Format::Oops, Level::Critical)],
        b'M' => &[(b"Memory cgroup out of memory: Kill", Format::Oom, Level::Critical)],
        b'o' => &[(b"oom-kill:", Format::Oom, Level::Critical)],
        b'K' => &[
            (b"Killed process ", Format::Oom, Level::Critical),
            (b"Kernel panic - not syncing", Format::Oops, Level::Critical),
        ],
        b'k' => &[(b"kernel BUG at ", Format::Oops, Level::Critical)],
        b'g' => &[(b"general protection fault", Format::Oops, Level::Critical)],
        _ => &[],
    }
}

/// The head of a line that begins a trace.
pub(super) fn head(line: &[u8]) -> Option<Head> {
    let first = *line.first()?;
    if first == b't' {
        return rust(line);
    }
    // The second byte is looked at before words are compared: that tells nearly all lines.
    let second = line.get(1);
    let found = beginnings(first).iter().find(|(words, _, _)| words.get(1) == second && line.starts_with(words));
    found.map(|(_, format, level)| Head::new(*format, Some(*level), 0))
}

/// `thread 'main' panicked at …`, and with the thread's number since Rust 1.91.
fn rust(line: &[u8]) -> Option<Head> {
    let rest = line.strip_prefix(b"thread '")?;
    // A thread may have any name; the rest of the line is the program's own text.
    let near = &rest[..rest.len().min(120)];
    let found = memchr::memmem::find(near, b" panicked at ")
        .or_else(|| memchr::memmem::find(near, b" has overflowed its stack"));
    found.map(|_| Head::new(Format::PanicRust, Some(Level::Critical), 0))
}
