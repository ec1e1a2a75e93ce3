//! The judgement of a record: what its head states, and its words only where no head states anything.

use super::{Format, Head, Judgement, keyword, text, word};
use crate::level::Level;

/// In how many lines of a record words are looked for; the rest is a trace, or data.
const MOST_LINES: usize = 6;

/// How much of a line is looked at for words, in bytes.
const LONGEST: usize = 4 << 10;

/// How grave a record is: by what its head states, and by its words only where no head states anything.
pub(crate) fn judge(record: &[u8], head: Option<&Head>) -> Judgement {
    if let Some(Head { format, level: level @ Some(stated), .. }) = head {
        return Judgement { level: *level, rule: rule(*format, *stated) };
    }
    // Not what stands before the message: a host may be called `error-1`.
    let message = head.map_or(0, |head| head.message);
    let text = record.get(message..).unwrap_or_default();
    if let (Some(Format::Jul), Some(level)) = (head.map(|head| head.format), lines(text).nth(1).and_then(of_java)) {
        return Judgement { level: Some(level), rule: "jul.level" };
    }
    by_words(text)
}

/// The judgement by words: the gravest, in the first line that has an error.
fn by_words(text: &[u8]) -> Judgement {
    let mut worst = Judgement { level: None, rule: "none" };
    for (level, rule) in lines(text).filter_map(|line| keyword::find(&line[..line.len().min(LONGEST)])) {
        if Some(level) > worst.level {
            worst = Judgement { level: Some(level), rule };
        }
        // What follows an error explains it.
        if level.is_error() {
            break;
        }
    }
    worst
}

/// The first few lines.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    let next = move || {
        let text = rest?;
        let end = memchr::memchr(b'\n', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    };
    std::iter::from_fn(next).take(MOST_LINES)
}

/// The level at the beginning of the second line of java.util.logging, whose first one has time and place alone
/// (`SimpleFormatter`).
fn of_java(line: &[u8]) -> Option<Level> {
    let length = text::letters(line);
    line.get(length).filter(|byte| **byte == b':').and_then(|_| word::stated(&line[..length]))
}

/// By what a format states its levels.
fn rule(format: Format, level: Level) -> &'static str {
    match format {
        Format::Text | Format::Dated => "text.level",
        Format::Json => "json.level",
        Format::Logfmt => "logfmt.level",
        Format::Monolog => "monolog.level",
        // Not by the words in the address, nor by the level with which a server writes all of its requests.
        Format::Access if level.is_error() => "access.5xx",
        Format::Access => "access.status",
        Format::Uvicorn => "uvicorn.level",
        Format::Nginx => "nginx.level",
        Format::Apache => "apache.level",
        Format::Php => "php.level",
        Format::Fpm => "php-fpm.level",
        Format::Mysql => "mysql.level",
        Format::Slow => "mysql.slow",
        Format::Postgres => "postgres.level",
        Format::Redis => "redis.level",
        Format::Syslog | Format::Priority => "syslog.priority",
        Format::Glog => "glog.level",
        Format::Ruby => "ruby.level",
        Format::Jul => "jul.level",
        Format::Erlang => "erlang.level",
        Format::Kernel => "kernel.level",
        Format::TracePython => "trace.python",
        Format::TraceJava => "trace.java",
        Format::TraceNode => "trace.node",
        Format::PanicGo => "panic.go",
        Format::PanicRust => "panic.rust",
        Format::Crash => "crash.signal",
        Format::Oom => "crash.oom",
        Format::Oops => "crash.kernel",
    }
}
