//! Lines that belong together: a stack trace is one record.
//!
//! A line with a head begins a record, whatever came before it; that is what makes it possible to cut a stream in two. The
//! few that do not, such as `DETAIL:` of PostgreSQL, are known by their words. A line without a head goes on with the record
//! before it only where a grammar says so: a plain line that a program prints between two records is a record of its own.
//!
//! A record has at most [`MOST_LINES`] lines and [`MOST_BYTES`] bytes. What goes on with it beyond that is counted as lines,
//! and not looked at: [`Joins::Exceeds`].

mod grammar;
#[cfg(test)]
mod tests;

use crate::formats::{self, Format, Head};
use crate::level::Level;
use grammar::Kind;

/// How many lines a record has at most: the longest traces, of recursions without end, are cut by their own languages at
/// about that.
pub(crate) const MOST_LINES: u32 = 1000;

/// How many bytes a record has at most.
pub(crate) const MOST_BYTES: usize = 256 << 10;

/// How a line stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// It begins a record.
    Begins,
    /// It goes on with the one before it.
    Continues,
    /// It goes on with the one before it, which is long enough: the line only counts.
    Exceeds,
}

/// What is open, and so what a line may go on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// Nothing at all.
    #[default]
    Nothing,
    /// A record that only what is plainly a part of a trace goes on with.
    Record,
    /// A message of Monolog with line feeds in it: it ends with its context, or with the blank after it.
    Message,
    /// An exception in the context of such a message.
    Dump,
    /// A trace.
    Trace,
    /// A trace of Python, whose last line is flush left.
    Python,
    /// A complaint of pydantic: fields flush left, what is wrong with each below it.
    Validation,
    /// A trace of Go: functions flush left, their places below them.
    Go,
    /// The place where Node dies, the line there, and then the error.
    Node,
    /// The beginning of an entry of the slow log.
    Slow,
    /// The statement of such an entry, up to its semicolon.
    SlowStatement,
    /// A statement that has semicolons within, up to the next entry.
    SlowRoutine,
    /// A statement of SQL below a head.
    Statement,
    /// A defect of the kernel.
    Kernel,
    /// A key in armour (RFC 7468): its lines are nobody's records, up to the one that ends it.
    Key,
}

/// The most lines that a key has: one of RSA with 16384 bits has 200.
const MOST_LINES_OF_A_KEY: u32 = 400;

/// Whether a line ends with the beginning of a key in armour.
fn is_armoured(line: &[u8]) -> bool {
    // Most lines are told by their last byte.
    line.ends_with(b" KEY-----") && memchr::memmem::find(line, b"-----BEGIN ").is_some()
}

/// Puts the lines of one lane together to records.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    open: Open,
    /// How many lines the record has so far, and how many bytes.
    lines: u32,
    bytes: usize,
    /// How many more lines that are flush left, and nothing special, belong to it.
    patience: u32,
    /// Whether it is a headed record, still of one line, or one that complains: a bare trace may belong to it.
    is_complaint: bool,
    /// The format of its first line.
    format: Option<Format>,
    /// The child of PHP-FPM that says it, where each of its lines is told on its own.
    child: Option<u32>,
    /// Whether it is a message below a warning, of which nothing says that it goes on.
    is_calm: bool,
    /// The last byte of the line before, by which some lines tell that they go on.
    last: u8,
}

impl Assembler {
    /// Of a stream that goes on where an earlier run ended.
    pub(crate) fn goes_on() -> Self {
        Self { open: Open::Record, ..Self::default() }
    }

    /// Takes the next line, and says how it stands to those before it. `head` is what [`formats::head`](crate::formats::head)
    /// says of it.
    pub(crate) fn next(&mut self, line: &[u8], head: Option<&Head>) -> Joins {
        let kind = match head {
            Some(head) => grammar::of_headed(line, head),
            None => grammar::of_headless(line),
        };
        let begins = match head.filter(|_| !kind.is_sure()).and_then(|head| grammar::said(line, head)) {
            // Children speak at the same time.
            Some(text) => {
                self.child.is_none() || self.child != grammar::child(line) || !self.continues(text, kind, false)
            }
            None => head.is_some() && kind.is_sure() || !self.continues(line, kind, head.is_some()),
        };
        if begins {
            self.begin(line, head, kind);
        }
        self.last = line.last().copied().unwrap_or_default();
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(line.len() + 1);
        match begins {
            true => Joins::Begins,
            false if self.lines > MOST_LINES || self.bytes > MOST_BYTES => Joins::Exceeds,
            false => Joins::Continues,
        }
    }

    /// Begins a record with this line. Nothing of what came before may show: cutting before a line that surely begins a
    /// record must change nothing.
    fn begin(&mut self, line: &[u8], head: Option<&Head>, kind: Kind) {
        let is_complaint = match head {
            _ if kind != Kind::Other => false,
            Some(head) => head.level >= Some(Level::Warning),
            None => complains(line),
        };
        let open = match head {
            _ if is_armoured(line) => Open::Key,
            Some(head) if kind == Kind::Other => opened_by_head(line, head),
            _ => opened(kind),
        };
        let format = head.map(|head| head.format);
        let child = head.and_then(|_| grammar::child(line));
        let is_calm = open == Open::Message && head.is_some_and(|head| is_calm(line, head));
        *self = Self { open, patience: patience(line, kind), is_complaint, format, child, is_calm, ..Self::default() };
    }

    /// Whether a line goes on with what is open, and if so, what is open after it.
    fn continues(&mut self, line: &[u8], kind: Kind, has_head: bool) -> bool {
        match self.open {
            // An empty line is nobody's record.
            Open::Nothing => kind == Kind::Blank,
            _ if is_armoured(line) && !has_head && self.open != Open::Key => self.open(Open::Key),
            Open::Key => self.in_key(line, has_head),
            Open::Message | Open::Dump => self.in_message(line, kind),
            Open::Slow | Open::SlowStatement | Open::SlowRoutine => self.in_slow(line, kind),
            _ => self.by_kind(line, kind, has_head),
        }
    }

    /// Whether a line is one of a key, or the last one. A key that never ends is no reason to read on for ever.
    fn in_key(&mut self, line: &[u8], has_head: bool) -> bool {
        if has_head || self.lines > MOST_LINES_OF_A_KEY {
            return false;
        }
        if line.starts_with(b"-----END ") {
            self.open = Open::Record;
        }
        true
    }

    /// The same, where no text is open in which a line may be anything.
    fn by_kind(&mut self, line: &[u8], kind: Kind, has_head: bool) -> bool {
        match kind {
            Kind::Blank => self.blank(),
            Kind::Indented => self.indented(line, has_head),
            Kind::Part => self.part(),
            Kind::Last => self.open(Open::Record),
            Kind::Chain => self.open(Open::Python),
            Kind::Next => self.chained(line, kind),
            Kind::Traceback => (self.open == Open::Python || self.is_complaint) && self.open(Open::Python),
            Kind::Exception | Kind::JavaException => self.exception(line, kind),
            Kind::Frame => self.open == Open::Trace || self.is_complaint && self.open(Open::Trace),
            Kind::Goroutine => self.goroutine(line),
            Kind::JulLevel => self.jul_level(line),
            Kind::Oops => self.open == Open::Kernel && self.lines == 1 && self.last == b'-',
            Kind::OopsPart => self.open == Open::Kernel,
            Kind::OopsEnd => self.open == Open::Kernel && self.open(Open::Record),
            Kind::Opening => self.lines == 1 && self.format.is_some() || self.flush_left(line),
            Kind::Verb | Kind::Clause => self.statement(line, kind) || self.flush_left(line),
            Kind::Other => !has_head && self.flush_left(line),
            _ => false,
        }
    }

    /// Goes on, and this is open from here.
    fn open(&mut self, open: Open) -> bool {
        self.open = open;
        self.is_complaint = false;
        self.patience = u32::from(open == Open::Python);
        true
    }

    /// An empty line: what Node dies of comes after one.
    fn blank(&mut self) -> bool {
        if self.open == Open::Node {
            self.patience = 1;
        }
        true
    }

    /// A line that begins with a blank or a tab goes on with anything, unless it has a head of its own; a line of somebody's
    /// source may look as if it had.
    fn indented(&mut self, line: &[u8], has_head: bool) -> bool {
        let is_source = line[0] == b'\t' || line.starts_with(b"    ");
        if has_head && !(is_source && matches!(self.open, Open::Trace | Open::Python | Open::Node | Open::Go)) {
            return false;
        }
        match self.open {
            Open::Trace => self.patience = 0,
            // Frames without the line that should be above them: it was read by an earlier run, or the source is at fault.
            Open::Record if line.starts_with(b"  File \"") => return self.open(Open::Python),
            _ => {}
        }
        true
    }

    /// A part of whatever trace is open: the message before it is over.
    fn part(&mut self) -> bool {
        if matches!(self.open, Open::Trace | Open::Go) {
            self.patience = 0;
        }
        true
    }

    /// The next exception of a chain, below the trace of the one before it.
    fn chained(&mut self, line: &[u8], kind: Kind) -> bool {
        let is_chained = self.open == Open::Trace;
        if is_chained {
            self.patience = patience(line, kind);
        }
        is_chained
    }

    /// A part of a Go trace; what a program dumps of its goroutines stands below whatever says why.
    fn goroutine(&mut self, line: &[u8]) -> bool {
        match self.open {
            Open::Go => self.part(),
            Open::Record => line.starts_with(b"goroutine ") && self.open(Open::Go) && self.part(),
            _ => false,
        }
    }

    /// The second line of a record of java.util.logging: its level.
    fn jul_level(&mut self, line: &[u8]) -> bool {
        let is_second = self.format == Some(Format::Jul) && self.lines == 1;
        self.is_complaint |= is_second && matches!(line[0], b'S' | b'W');
        is_second
    }

    /// `some.Error: message`.
    fn exception(&mut self, line: &[u8], kind: Kind) -> bool {
        match self.open {
            Open::Node if self.patience > 0 => self.open(Open::Trace),
            Open::Record if self.is_complaint => {
                self.open(Open::Trace);
                self.patience = patience(line, kind);
                true
            }
            _ => self.flush_left(line),
        }
    }

    /// A line that is flush left, and nothing that anybody could know.
    fn flush_left(&mut self, line: &[u8]) -> bool {
        match self.open {
            Open::Python if self.patience > 0 => {
                let is_validation = memchr::memmem::find(line, b" validation error").is_some();
                self.open(if is_validation { Open::Validation } else { Open::Record })
            }
            Open::Validation => !line.contains(&b' ') || memchr::memmem::find(line, b" -> ").is_some(),
            Open::Go if is_of_go(line) => true,
            Open::Go | Open::Trace | Open::Node if self.patience > 0 => {
                self.patience -= 1;
                true
            }
            Open::Record if self.format == Some(Format::Postgres) && grammar::is_addendum(line) => true,
            Open::Record => self.format.is_some() && dangles(self.last),
            Open::Statement => dangles(self.last) || line[0] == b',',
            _ => false,
        }
    }

    /// A line of SQL: below a head, in capitals or after one that says that something comes; or after another such line.
    fn statement(&mut self, line: &[u8], kind: Kind) -> bool {
        let below_head = self.open == Open::Record && self.format.is_some();
        let goes_on = match kind {
            Kind::Clause if self.open == Open::Statement => true,
            Kind::Clause => below_head && (dangles(self.last) || line[0].is_ascii_uppercase()),
            _ => below_head && dangles(self.last),
        };
        if goes_on {
            self.open = if line.ends_with(b";") { Open::Record } else { Open::Statement };
        }
        goes_on
    }

    /// A line of a message of Monolog: anything, up to its end.
    fn in_message(&mut self, line: &[u8], kind: Kind) -> bool {
        if matches!(kind, Kind::Crash | Kind::Panic | Kind::RustPanic | Kind::SlowTime | Kind::SlowUser) {
            return false;
        }
        // The format may be set up without what ends a message: then the next line may be of another program.
        if self.is_calm && !dangles(self.last) && matches!(kind, Kind::Other | Kind::Exception) && is_error(line) {
            return false;
        }
        let is_over = match self.open {
            // The last quote of the exception's text stands alone, below its last frame.
            Open::Dump => line.starts_with(b"\""),
            _ => ends_a_message(line) && !line.starts_with(b"#"),
        };
        if is_over {
            self.open = Open::Record;
        }
        true
    }

    /// A line of an entry of the slow log: what the server says of the statement, then the statement up to its semicolon.
    fn in_slow(&mut self, line: &[u8], kind: Kind) -> bool {
        match kind {
            Kind::SlowTime => return false,
            // It has its own `# Time:` line only where the second has changed.
            Kind::SlowUser => return std::mem::take(&mut self.patience) > 0,
            Kind::SlowMore | Kind::Blank if self.open == Open::Slow => return true,
            _ => {}
        }
        let is_set = line.starts_with(b"SET timestamp=") || line.starts_with(b"use ");
        let is_routine = grammar::starts_with_any(line, &[b"CREATE ", b"ALTER ", b"BEGIN", b"create ", b"begin"]);
        let ends = line.trim_ascii_end().ends_with(b";");
        self.open = match self.open {
            Open::Slow if is_set && ends => Open::Slow,
            Open::Slow if is_routine && !ends => Open::SlowRoutine,
            Open::Slow | Open::SlowStatement if ends => Open::Record,
            Open::Slow => Open::SlowStatement,
            open => open,
        };
        true
    }
}

/// Puts the lines of a piece together to records, as [`Assembler`] does, and faster: of lines that begin records whatever came
/// before them, one after the other, only the last has to be put in, and only if one follows that may go on with it.
#[derive(Debug, Default)]
pub(crate) struct Lines<'p> {
    assembler: Assembler,
    /// The line before, if it was not put in.
    last: Option<(&'p [u8], Head)>,
}

impl<'p> Lines<'p> {
    /// Of a stream that goes on where an earlier run ended.
    pub(crate) fn goes_on() -> Self {
        Self { assembler: Assembler::goes_on(), last: None }
    }

    /// Takes the next line, as [`Assembler::next`] does.
    #[inline]
    pub(crate) fn next(&mut self, line: &'p [u8], head: Option<&Head>) -> Joins {
        if let Some(head) = head.filter(|head| grammar::is_plain(line, head)) {
            self.last = Some((line, *head));
            return Joins::Begins;
        }
        if let Some((last, head)) = self.last.take() {
            self.assembler.next(last, Some(&head));
        }
        self.assembler.next(line, head)
    }
}

/// What a headed line opens.
fn opened_by_head(line: &[u8], head: &Head) -> Open {
    if head.format != Format::Monolog || ends_a_message(line) {
        Open::Record
    } else if memchr::memmem::find(line, b"\"[object] (").is_some() {
        Open::Dump
    } else {
        Open::Message
    }
}

/// What a line of this kind opens.
fn opened(kind: Kind) -> Open {
    match kind {
        Kind::Traceback | Kind::Chain => Open::Python,
        Kind::Panic | Kind::Goroutine => Open::Go,
        Kind::NodePlace => Open::Node,
        Kind::SlowTime | Kind::SlowUser => Open::Slow,
        Kind::Verb => Open::Statement,
        Kind::Oops => Open::Kernel,
        Kind::Part
        | Kind::Next
        | Kind::Frame
        | Kind::Exception
        | Kind::JavaException
        | Kind::Crash
        | Kind::RustPanic => Open::Trace,
        _ => Open::Record,
    }
}

/// How many lines of a message that is flush left may come between a line and its frames.
fn patience(line: &[u8], kind: Kind) -> u32 {
    match kind {
        Kind::RustPanic | Kind::Traceback | Kind::Chain | Kind::SlowTime => 1,
        Kind::NodePlace => 2,
        Kind::JavaException => 3,
        Kind::Crash if line.starts_with(b"Exception in thread ") => 3,
        // A message of PHP that is whole ends with its place: `in /srv/x.php:3`.
        Kind::Crash | Kind::Next if line.last().is_some_and(u8::is_ascii_digit) => 0,
        Kind::Crash if memchr::memmem::find(line, b" Uncaught ").is_some() => 16,
        Kind::Panic | Kind::Next => 16,
        _ => 0,
    }
}

/// Whether a plain line complains of something, so that a trace below it is its own.
#[expect(clippy::needless_bitwise_bool, reason = "branches would keep the compiler from comparing many bytes at once")]
fn complains(line: &[u8]) -> bool {
    // One look for both, which the compiler makes one at many bytes together; few lines have either pair of letters.
    let seconds = line.get(1..).unwrap_or_default();
    let may_complain = line.iter().zip(seconds).fold(false, |found, (first, second)| {
        found | ((*first == b'r') & (*second == b'r')) | ((*first == b'x') & (*second == b'c'))
    });
    may_complain && has_complaint(line)
}

fn has_complaint(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"rror").is_some() || memchr::memmem::find(line, b"xception").is_some()
}

/// Whether a message that is still open is below a warning, and has not begun with its context.
fn is_calm(line: &[u8], head: &Head) -> bool {
    head.level < Some(Level::Warning) && memchr::memmem::find(line, b"{\"").is_none()
}

/// Whether a line would be an error if it stood alone.
fn is_error(line: &[u8]) -> bool {
    formats::judge(line, None).level.is_some_and(Level::is_error)
}

/// Whether a line ends with its context, or with the blank that Monolog leaves where there is none.
fn ends_a_message(line: &[u8]) -> bool {
    matches!(line.last(), Some(b' ' | b'}' | b']')) && !line.starts_with(b"[stacktrace]")
}

/// Whether a line that ends so says that something comes.
fn dangles(last: u8) -> bool {
    matches!(last, b':' | b'(' | b'{' | b'[' | b',' | b'=' | b'\\')
}

/// What is flush left in a trace of Go, besides goroutines: calls, registers, what was left out.
fn is_of_go(line: &[u8]) -> bool {
    let is_register = line.starts_with(b"r") && memchr::memmem::find(line, b" 0x").is_some();
    line.ends_with(b")") || line.ends_with(b"...") || line.starts_with(b"runtime stack:") || is_register
}

/// Whether a line begins a record whatever came before it: where a file may be cut in two without harm.
pub(crate) fn surely_begins(line: &[u8]) -> bool {
    formats::head(line).is_some_and(|head| grammar::of_headed(line, &head).is_sure())
}
