//! What a line says of itself: its format, its level, its time.
//!
//! [`head`] is called for every line and looks at bytes only; [`judge`] is called for every record, and at its words only where
//! no head states a level; [`time`] only where somebody asks.

mod access;
mod bracket;
mod json;
mod judge;
mod keyword;
mod letter;
mod logfmt;
mod near;
mod php;
mod server;
mod stamp;
mod syslog;
mod text;
mod time;
mod trace;
mod word;
mod zone;

#[cfg(test)]
mod tests;

pub(crate) use judge::judge;
pub(crate) use time::time;
pub(crate) use zone::Zone;

use crate::level::Level;

/// The kind of a line that begins a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// A level word, after a time or at the beginning: Java, Python, Go, Rust, Node and most others.
    Text,
    /// A time, and no level behind it.
    Dated,
    /// One object of JSON.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// `[time] channel.LEVEL: message`: Laravel, Symfony.
    Monolog,
    /// A request that was answered, with its status: nginx, Apache, uvicorn, `HAProxy`, Envoy.
    Access,
    /// `LEVEL:    message`, padded to one width: uvicorn.
    Uvicorn,
    /// nginx's error log.
    Nginx,
    /// Apache's error log.
    Apache,
    /// What PHP itself says: `PHP Warning:  `.
    Php,
    /// What PHP-FPM says of its children.
    Fpm,
    /// The error log of MySQL or `MariaDB`.
    Mysql,
    /// The header of a slow query: `# Time:` or `# User@Host:`. Where both come, one after the other, they are one record.
    Slow,
    /// PostgreSQL. Its `DETAIL:`, `HINT:`, `STATEMENT:`, `CONTEXT:`, `QUERY:` are no heads, though they begin with a time.
    Postgres,
    /// Redis and Valkey.
    Redis,
    /// syslog whose priority is not known, or journald's text: the message states nothing.
    Syslog,
    /// syslog with its priority.
    Priority,
    /// `E0501 12:00:00.000000 …`: glog and klog.
    Glog,
    /// `E, [time #1] ERROR -- : message`: Ruby.
    Ruby,
    /// `java.util.logging`: the time and the place; the next line begins with the level ([`Format::Text`]), and is the same record.
    Jul,
    /// `=ERROR REPORT==== 1-May-2024::12:00:00 ===`: Erlang.
    Erlang,
    /// The kernel's ring buffer: `[   12.345678] message`.
    Kernel,
    /// `Traceback (most recent call last):`.
    TracePython,
    /// `Exception in thread "main" …`.
    TraceJava,
    /// `Uncaught TypeError: …`, `UnhandledPromiseRejection…`.
    TraceNode,
    /// `panic: …`, `fatal error: …`.
    PanicGo,
    /// `thread 'main' panicked at …`.
    PanicRust,
    /// `Segmentation fault`, and its like.
    Crash,
    /// The kernel killed something, as memory was short.
    Oom,
    /// The kernel itself stumbled.
    Oops,
}

/// What the first line of a record says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its format.
    pub(crate) format: Format,
    /// The level that the format states; none if it states none.
    pub(crate) level: Option<Level>,
    /// Where the message begins in the line, in bytes: behind time, level and name. For JSON it may be 0 though there is a
    /// message; ask [`message()`].
    pub(crate) message: usize,
}

/// How grave a record is, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// None where nothing says it.
    pub(crate) level: Option<Level>,
    /// The rule's name, a dotted word: `json.level`, `keyword.error`, `access.5xx`.
    pub(crate) rule: &'static str,
}

impl Head {
    fn new(format: Format, level: Option<Level>, message: usize) -> Self {
        Self { format, level, message }
    }

    /// The same head in a line that has so many bytes before it.
    fn after(self, bytes: usize) -> Self {
        Self { message: self.message + bytes, ..self }
    }
}

/// Where the message of a record begins in its first line: behind time, level and name; 0 where nothing is before it.
pub(crate) fn message(record: &[u8], head: Option<&Head>) -> usize {
    match head {
        Some(Head { format: Format::Json, message: 0, .. }) => json::message(record),
        Some(head) => head.message,
        None => 0,
    }
}

/// Whether what is looked at is the line, or what something in the line carries: nothing is carried twice, so that a line made
/// of headers alone is no deep recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nesting {
    Outer,
    Inner,
}

/// What the line says, if it has the form of one that begins a record. Called for every line: it must cost next to nothing.
pub(crate) fn head(line: &[u8]) -> Option<Head> {
    match *line.first()? {
        b'<' => syslog::with_priority(line),
        b'N' if line.starts_with(php::MESSAGE) => Some(php::message(line)),
        b'A'..=b'Z' => {
            letter::request(line).or_else(|| syslog::without_priority(line)).or_else(|| unwrapped(line, Nesting::Outer))
        }
        _ => unwrapped(line, Nesting::Outer),
    }
}

/// The head of what a program itself has written, without what syslog puts before it.
fn unwrapped(line: &[u8], nesting: Nesting) -> Option<Head> {
    match *line.first()? {
        b'{' => json::head(line),
        b'[' => bracket::head(line, nesting),
        b'0'..=b'9' => digits_first(line, nesting),
        b'A'..=b'Z' | b'a'..=b'z' | b'@' => letter::head(line),
        b' ' => text::indented(line, nesting),
        b'#' => server::slow_query(line),
        b'=' => server::erlang(line),
        b':' | b'-' => access::head(line),
        _ => None,
    }
}

/// The head of a line that begins with a digit: a time, or an address.
fn digits_first(line: &[u8], nesting: Nesting) -> Option<Head> {
    // No time and no process has a point behind so few digits.
    if let [_, b'.', ..] | [_, b'0'..=b'9', b'.', ..] | [_, b'0'..=b'9', b'0'..=b'9', b'.', ..] = line {
        return access::head(line);
    }
    server::redis(line).or_else(|| text::dated(line, nesting)).or_else(|| access::head(line))
}

/// The head of a message that something else carries, from here on. Where the message states no level, it is `carrier` that
/// began the record.
fn nested(line: &[u8], at: usize, carrier: Format) -> Head {
    let at = at.min(line.len());
    let found = unwrapped(&line[at..], Nesting::Inner).filter(|head| head.level.is_some());
    found.map_or_else(|| Head::new(carrier, None, at), |head| head.after(at))
}
