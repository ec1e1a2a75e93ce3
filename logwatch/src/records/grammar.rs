//! What a line is by its own words: the beginning of a trace, a part of one, or neither.

use crate::formats::{Format, Head};

/// What a line is, as far as it can be told without those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing special.
    Other,
    /// Nothing is in it.
    Blank,
    /// It begins with a blank or a tab.
    Indented,
    /// A part of whatever trace or dump is open: a frame, a cause, a closing bracket.
    Part,
    /// A part that an entry ends with.
    Last,
    /// A part of a Go trace: a function, a goroutine.
    Goroutine,
    /// A frame that is flush left, as Rails writes them.
    Frame,
    /// What stands between two traces of one exception (Python).
    Chain,
    /// The exception that was thrown while the one before it was handled (PHP).
    Next,
    /// The first line of a Python trace.
    Traceback,
    /// `some.Error: message`: a record of its own, or the trace of the record before.
    Exception,
    /// As above, of a language whose frames always follow (Java, .NET).
    JavaException,
    /// A program dies: nobody writes that into the record before.
    Crash,
    /// A Go program dies.
    Panic,
    /// A Rust thread dies; the message is in the next line.
    RustPanic,
    /// Where in a file Node dies; the line, and the error, come next.
    NodePlace,
    /// `# Time:`, the first line of an entry of MySQL's slow log.
    SlowTime,
    /// `# User@Host:`, the first line of an entry where the second has not changed.
    SlowUser,
    /// Another line of such an entry's beginning.
    SlowMore,
    /// The second line of a record of java.util.logging, or a record of its own.
    JulLevel,
    /// A statement of SQL begins.
    Verb,
    /// A statement of SQL goes on.
    Clause,
    /// An opening bracket and nothing else.
    Opening,
    /// The kernel tells of a defect.
    Oops,
    /// Details of one.
    OopsPart,
    /// The end of one.
    OopsEnd,
}

impl Kind {
    /// Whether a line of this kind that has a head begins a record whatever came before it.
    pub(super) fn is_sure(self) -> bool {
        matches!(self, Self::Other | Self::Crash | Self::Panic | Self::RustPanic | Self::SlowTime)
    }
}

/// What a line is that has no head.
pub(super) fn of_headless(line: &[u8]) -> Kind {
    let Some(first) = line.first() else { return Kind::Blank };
    match first {
        b' ' | b'\t' => indented(line),
        b'}' | b']' | b')' => Kind::Part,
        b'"' if matches!(line.get(1), Some(b'}' | b']' | b',')) => Kind::Part,
        b'^' if line.iter().all(|byte| *byte == b'^') => Kind::Part,
        b'{' | b'[' | b'(' if line.len() == 1 => Kind::Opening,
        b'[' => bracketed(line),
        b'(' => parenthesis(line),
        b'#' => number_sign(line),
        b'/' if is_node_place(line) => Kind::NodePlace,
        b'-' if line.starts_with(b"--- End of ") => Kind::Part,
        _ => word(line),
    }
}

/// What a line is that has a head: most are nothing special, and that is seen at once.
pub(super) fn of_headed(line: &[u8], head: &Head) -> Kind {
    if let Some(b' ' | b'\t') = line.first() {
        return indented(line);
    }
    match head.format {
        Format::Text => lettered(line),
        Format::Kernel | Format::Oops | Format::Oom => of_kernel(line.get(head.message..).unwrap_or_default()),
        Format::Slow => number_sign(line),
        Format::Fpm => of_child(line, head),
        Format::TracePython => Kind::Traceback,
        Format::TraceNode | Format::TraceJava => word(line),
        Format::PanicGo => Kind::Panic,
        Format::PanicRust => rust_panic(line).unwrap_or(Kind::Crash),
        Format::Php | Format::Crash => Kind::Crash,
        _ => Kind::Other,
    }
}

/// Whether a line that has this head is nothing special, by its format and its first byte alone: then it begins a record,
/// whatever came before it. Where this says no, [`of_headed`] may say so all the same.
#[inline]
pub(super) fn is_plain(line: &[u8], head: &Head) -> bool {
    match head.format {
        Format::Text => matches!(line.first(), Some(b'0'..=b'9' | b'[')),
        Format::Kernel
        | Format::Oops
        | Format::Oom
        | Format::Slow
        | Format::Fpm
        | Format::TracePython
        | Format::TraceNode
        | Format::TraceJava
        | Format::PanicGo
        | Format::PanicRust
        | Format::Php
        | Format::Crash => false,
        _ => !matches!(line.first(), Some(b' ' | b'\t')),
    }
}

/// A line that begins with a level: it may be an exception (`Error: …`), or the second line of a record of java.util.logging.
fn lettered(line: &[u8]) -> Kind {
    const LEVELS: [&[u8]; 7] = [b"SEVERE: ", b"WARNING: ", b"INFO: ", b"CONFIG: ", b"FINE: ", b"FINER: ", b"FINEST: "];
    match line.first() {
        Some(b'A'..=b'Z') if starts_with_any(line, &LEVELS) => Kind::JulLevel,
        Some(b'A'..=b'Z' | b'a'..=b'z') => exception(line).unwrap_or(Kind::Other),
        _ => Kind::Other,
    }
}

/// Indented lines are parts of what is open, but for a Python group of exceptions, whose first line is indented too.
fn indented(line: &[u8]) -> Kind {
    if line.starts_with(b"  + Exception Group Traceback") { Kind::Traceback } else { Kind::Indented }
}

/// Monolog's stack traces, `SQLAlchemy`'s statements, what Node and Go say below an error.
fn bracketed(line: &[u8]) -> Kind {
    const PARTS: [&[u8]; 7] = [
        b"[stacktrace]",
        b"[previous exception]",
        b"[SQL: ",
        b"[parameters: ",
        b"[signal ",
        b"[originating from goroutine",
        b"[generated in ",
    ];
    if starts_with_any(line, &PARTS) { Kind::Part } else { Kind::Other }
}

/// Where `SQLAlchemy` and Node send the reader.
fn parenthesis(line: &[u8]) -> Kind {
    let is_part = starts_with_any(line, &[b"(Background on this error at", b"(Use `node --trace"]);
    if is_part { Kind::Part } else { Kind::Other }
}

/// PHP's frames, and MySQL's slow log.
fn number_sign(line: &[u8]) -> Kind {
    match line.get(1) {
        Some(b'0'..=b'9') => Kind::Part,
        Some(b' ') if line.starts_with(b"# Time: ") => Kind::SlowTime,
        Some(b' ') if line.starts_with(b"# User@Host: ") => Kind::SlowUser,
        Some(b' ') => Kind::SlowMore,
        _ => Kind::Other,
    }
}

/// Words that a trace, or a part of one, begins with.
fn word(line: &[u8]) -> Kind {
    let is = |word: &[u8]| line.starts_with(word);
    let known = match line[0] {
        b'T' => is(b"Traceback (most recent call last)").then_some(Kind::Traceback),
        b'D' => is(b"During handling of the above exception").then_some(Kind::Chain),
        b'C' => is(b"Caused by:").then_some(Kind::Part),
        b'S' => (is(b"Suppressed: ") || is(b"Stack trace:") || is(b"Stacktrace:")).then_some(Kind::Part),
        b'P' if is(b"PHP Stack trace:") || is(b"PHP   ") => Some(Kind::Part),
        b'P' => is(b"PHP ").then_some(Kind::Crash),
        b'F' => is(b"Fatal error: ").then_some(Kind::Crash),
        b'U' => (is(b"Unhandled exception") || is(b"Uncaught ")).then_some(Kind::Crash),
        b'E' => is(b"Exception in thread ").then_some(Kind::Crash),
        b'N' if is_next(line) => Some(Kind::Next),
        b'N' => is(b"Node.js v").then_some(Kind::Last),
        b'n' if is(b"note: ") && memchr::memmem::find(line, b"`RUST_BACKTRACE").is_some() => Some(Kind::Part),
        b'n' => (is(b"node:") && is_node_place(line)).then_some(Kind::NodePlace),
        b's' => is(b"stack backtrace:").then_some(Kind::Part),
        b't' if is(b"thread '") => rust_panic(line),
        b't' => is(b"thrown in ").then_some(Kind::Part),
        b'p' => is(b"panic: ").then_some(Kind::Panic),
        b'f' if is(b"fatal error: ") => Some(Kind::Panic),
        b'f' => (is(b"file://") && is_node_place(line)).then_some(Kind::NodePlace),
        b'g' => (is(b"goroutine ") && line.ends_with(b":")).then_some(Kind::Goroutine),
        b'c' => is(b"created by ").then_some(Kind::Goroutine),
        b'e' => is(b"exit status ").then_some(Kind::Last),
        _ => None,
    };
    known.or_else(|| chained(line)).or_else(|| exception(line)).or_else(|| statement(line)).unwrap_or(Kind::Other)
}

/// `Next RuntimeException: message in /srv/a.php:4`, whose message may have more lines.
fn is_next(line: &[u8]) -> bool {
    let Some(text) = line.strip_prefix(b"Next ") else { return false };
    let name = text.iter().take_while(|byte| is_of_name(**byte)).count();
    let rest = &text[name..];
    let is_whole = line.last().is_some_and(u8::is_ascii_digit) && memchr::memmem::find(rest, b" in /").is_some();
    let is_named = name > 0 && text[0].is_ascii_uppercase() && (rest.starts_with(b": ") || rest.starts_with(b" in "));
    is_named && (is_whole || text[..name].ends_with(b"Exception") || text[..name].ends_with(b"Error"))
}

/// What PHP-FPM puts around each line of its children.
const SAID: &[u8] = b" said into stderr: \"";

/// The number of the child of PHP-FPM that said this line: `[time] WARNING: [pool www] child 7 said into stderr: "…"`.
pub(super) fn child(line: &[u8]) -> Option<u32> {
    // Most lines are told by their first few bytes.
    let [b'[', _, _, b'-', _, _, _, b'-', ..] = line else { return None };
    let before = &line[..memchr::memmem::find(line, SAID)?];
    let number = &before[memchr::memrchr(b' ', before)? + 1..];
    let is_child = before[..before.len() - number.len()].ends_with(b"] child ");
    is_child.then(|| str::from_utf8(number).ok()?.parse().ok()).flatten()
}

/// What such a child said; none where a line is not of a child.
pub(super) fn said<'a>(line: &'a [u8], head: &Head) -> Option<&'a [u8]> {
    if head.format != Format::Fpm {
        return None;
    }
    let (before, text) = line.split_at_checked(head.message)?;
    before.ends_with(SAID).then(|| text.strip_suffix(b"\"").unwrap_or(text))
}

/// A line that a child of PHP-FPM said: FPM tells the lines of a trace one by one.
fn of_child(line: &[u8], head: &Head) -> Kind {
    let kind = said(line, head).map_or(Kind::Other, of_headless);
    let is_of_trace = matches!(kind, Kind::Blank | Kind::Indented | Kind::Part | Kind::Next);
    if is_of_trace { kind } else { Kind::Other }
}

/// The other words between two traces of Python.
fn chained(line: &[u8]) -> Option<Kind> {
    line.starts_with(b"The above exception was the direct cause").then_some(Kind::Chain)
}

/// `thread 'main' panicked at src/main.rs:4:5:`, since Rust 1.73 with the message in the next line.
fn rust_panic(line: &[u8]) -> Option<Kind> {
    memchr::memmem::find(line, b"' panicked at ").or_else(|| memchr::memmem::find(line, b") panicked at "))?;
    Some(if line.ends_with(b":") { Kind::RustPanic } else { Kind::Crash })
}

/// `/srv/app.js:12` and nothing else: Node says so where it dies.
fn is_node_place(line: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', line) else { return false };
    let number = &line[colon + 1..];
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    is_number && !line.contains(&b' ') && (line.starts_with(b"node:") || is_script(&line[..colon]))
}

fn is_script(path: &[u8]) -> bool {
    [&b".js"[..], b".mjs", b".cjs", b".ts", b".mts", b".cts", b".jsx", b".tsx"].iter().any(|end| path.ends_with(end))
}

/// The longest name of an exception that is looked for.
const LONGEST_NAME: usize = 160;

/// `pkg.mod.SomeError: message`, a name alone, or a frame of Ruby.
fn exception(line: &[u8]) -> Option<Kind> {
    let head = &line[..line.len().min(LONGEST_NAME)];
    let end = head.iter().position(|byte| !is_of_name(*byte)).unwrap_or(head.len());
    let (name, rest) = (&line[..end], &line[end..]);
    if rest.starts_with(b":") && name.ends_with(b".rb") || name.ends_with(b".erb") {
        return ruby(rest);
    }
    if !names_an_exception(name) {
        return None;
    }
    let ends_well = rest.is_empty() || rest.starts_with(b": ") || rest == b":" || rest.starts_with(b" [");
    if !ends_well || !name[0].is_ascii_alphabetic() {
        return None;
    }
    Some(if is_of_java(name) { Kind::JavaException } else { Kind::Exception })
}

/// Whether a name ends as those of exceptions do.
fn names_an_exception(name: &[u8]) -> bool {
    // Most words are told by their last letter.
    match name.last() {
        Some(b'r') => name.ends_with(b"Error"),
        Some(b'n') => name.ends_with(b"Exception") || name.ends_with(b"Rejection"),
        Some(b'e') => name.ends_with(b"Throwable"),
        Some(b'g') => name.ends_with(b"Warning"),
        Some(b't') => name.ends_with(b"KeyboardInterrupt") || name.ends_with(b"SystemExit"),
        _ => false,
    }
}

/// What names of exceptions and paths of Ruby are made of.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'\\' | b'/' | b'-')
}

/// Whether a class lies in a package of Java's, or a name space of .NET's.
fn is_of_java(name: &[u8]) -> bool {
    const ROOTS: [&[u8]; 10] =
        [b"java.", b"javax.", b"jakarta.", b"org.", b"com.", b"net.", b"io.", b"kotlin.", b"scala.", b"System."];
    starts_with_any(name, &ROOTS)
}

/// `:3:in 'm': message (Class)` is where Ruby dies; without a message it is a frame.
fn ruby(rest: &[u8]) -> Option<Kind> {
    let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest.get(1 + digits..).filter(|rest| digits > 0 && rest.starts_with(b":in "))?;
    Some(if memchr::memmem::find(rest, b"': ").is_some() { Kind::Crash } else { Kind::Frame })
}

/// Where statements of SQL begin, and where they go on: in capitals or not, but not mixed, as prose is. No word of theirs is
/// longer than ten letters.
fn statement(line: &[u8]) -> Option<Kind> {
    let end = line.iter().take(10).position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(line.len().min(10));
    let (mut word, is_small) = ([0; 10], line.first().is_some_and(u8::is_ascii_lowercase));
    for (into, byte) in word.iter_mut().zip(&line[..end]) {
        if byte.is_ascii_lowercase() != is_small {
            return None;
        }
        *into = byte.to_ascii_uppercase();
    }
    match &word[..end] {
        b"SELECT" | b"INSERT" | b"UPDATE" | b"DELETE" | b"WITH" | b"REPLACE" | b"CREATE" | b"ALTER" | b"DROP"
        | b"CALL" => Some(Kind::Verb),
        b"FROM" | b"WHERE" | b"AND" | b"OR" | b"ON" | b"LEFT" | b"RIGHT" | b"INNER" | b"OUTER" | b"JOIN" | b"GROUP"
        | b"ORDER" | b"HAVING" | b"LIMIT" | b"OFFSET" | b"VALUES" | b"SET" | b"UNION" | b"RETURNING" | b"FOR" => {
            Some(Kind::Clause)
        }
        _ => None,
    }
}

/// How the kernel begins to tell of a defect.
const OOPS_BEGINS: [&[u8]; 8] = [
    b"------------[ cut here ]",
    b"BUG: ",
    b"kernel BUG at ",
    b"WARNING: ",
    b"general protection fault",
    b"Unable to handle kernel ",
    b"Kernel panic - not syncing",
    b"INFO: task ",
];

/// What it says of one: registers, frames, memory.
const OOPS_PARTS: [&[u8]; 39] = [
    b" ",
    b"<",
    b"? ",
    b"#PF: ",
    b"CPU: ",
    b"RIP: ",
    b"Code: ",
    b"RSP: ",
    b"RAX: ",
    b"RDX: ",
    b"RBP: ",
    b"R10: ",
    b"R13: ",
    b"FS: ",
    b"CS: ",
    b"CR2: ",
    b"DR0: ",
    b"DR3: ",
    b"PGD ",
    b"PKRU: ",
    b"Oops: ",
    b"Call Trace:",
    b"Call trace:",
    b"Modules linked in:",
    b"Hardware name: ",
    b"Workqueue: ",
    b"Tainted: ",
    b"Mem-Info:",
    b"active_anon:",
    b"Node ",
    b"lowmem_reserve",
    b"Tasks state ",
    b"[",
    b"memory: usage",
    b"swap: usage",
    b"kmem: usage",
    b"Memory cgroup stats",
    b"oom-kill:",
    b"invalid opcode",
];

/// With what it ends.
const OOPS_ENDS: [&[u8]; 4] =
    [b"---[ end ", b"Out of memory: Killed process", b"Memory cgroup out of memory: Killed", b"oom_reaper: "];

/// What a message of the kernel is.
fn of_kernel(message: &[u8]) -> Kind {
    if starts_with_any(message, &OOPS_BEGINS) || memchr::memmem::find(message, b" invoked oom-killer: ").is_some() {
        Kind::Oops
    } else if starts_with_any(message, &OOPS_ENDS) {
        Kind::OopsEnd
    } else if starts_with_any(message, &OOPS_PARTS) || memchr::memmem::find(message, b"+0x").is_some() {
        Kind::OopsPart
    } else {
        Kind::Other
    }
}

/// Whether a line begins with any of these.
pub(super) fn starts_with_any(line: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| line.starts_with(word))
}

/// What PostgreSQL adds to the record before: such lines begin with a time and the process, as records do, but mean nothing
/// alone.
pub(super) fn is_addendum(line: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"DETAIL:  ", b"HINT:  ", b"CONTEXT:  ", b"STATEMENT:  ", b"QUERY:  ", b"LOCATION:  "];
    let beginning = &line[..line.len().min(LONGEST_PREFIX)];
    memchr::memmem::find_iter(beginning, b":  ").any(|at| WORDS.iter().any(|word| beginning[..at + 3].ends_with(word)))
}

/// How far into a line of PostgreSQL its word is looked for: `log_line_prefix` may hold names of applications and hosts.
const LONGEST_PREFIX: usize = 256;
