//! Stack traces: what was thrown, and the topmost place of it that is the application's own.
//!
//! The same exception at the same place is one template whatever its message says; at another place it is another. Lines of
//! numbers in files change with each release and are no part of it.

use super::scan::{WILD, scan};

/// How many lines of a record are looked at.
const MOST_LINES: usize = 256;

/// How long the name of what was thrown, or of a function, may be.
const LONGEST_NAME: usize = 160;

/// What places are not the application's own have in them: libraries, runtimes, the machine.
const FOREIGN: [&str; 20] = [
    "/vendor/",
    "node_modules",
    "site-packages",
    "dist-packages",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/go",
    "/go/pkg/mod/",
    "/rustc/",
    "/.cargo/",
    "node:",
    "internal/",
    "<frozen",
    "<anonymous>",
    "/runtime/",
    "[internal",
    "/opt/java",
    "lib/python",
    "{main}",
    "Native Method",
];

/// What functions that are not the application's own begin with.
const FOREIGN_FUNCTIONS: [&str; 24] = [
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "scala.",
    "groovy.",
    "org.springframework.",
    "org.apache.",
    "org.hibernate.",
    "org.eclipse.",
    "io.netty.",
    "runtime.",
    "std::",
    "core::",
    "alloc::",
    "tokio::",
    "rust_begin",
    "<alloc::",
    "<core::",
    "Illuminate\\",
    "Symfony\\",
];

/// What is thrown often has a name that ends so.
const THROWN: [&str; 8] = ["Error", "Exception", "Throwable", "Failure", "Fault", "Interrupt", "Exit", "Panic"];

/// Puts what a trace says behind `out`; false, and nothing put, where the record is none.
pub(super) fn write(record: &[u8], out: &mut Vec<u8>) -> bool {
    let text = String::from_utf8_lossy(record);
    let lines: Vec<&str> = text.lines().take(MOST_LINES).collect();
    let Some(trace) = Trace::of(&lines) else { return false };
    scan(trace.thrown.as_bytes(), out);
    let Some((function, file)) = trace.place else {
        out.extend_from_slice(b": ");
        scan(trace.message.as_bytes(), out);
        return true;
    };
    out.extend_from_slice(b": ");
    out.extend_from_slice(WILD);
    out.extend_from_slice(b" at ");
    scan(function.as_bytes(), out);
    if !file.is_empty() {
        out.extend_from_slice(if function.is_empty() { b"(" } else { b" (" });
        scan(without_line(file).as_bytes(), out);
        out.push(b')');
    }
    true
}

/// A function and its file; either may be empty.
type Place<'a> = (&'a str, &'a str);

/// What was thrown, and where.
struct Trace<'a> {
    /// The class, or `panic`.
    thrown: &'a str,
    /// What it says.
    message: &'a str,
    /// Function and file, where there is one of the application's own.
    place: Option<Place<'a>>,
}

impl<'a> Trace<'a> {
    fn of(lines: &[&'a str]) -> Option<Self> {
        // Python tells the innermost call last, and of several exceptions the one that counts last.
        let python = lines.iter().rposition(|line| line.trim_start().starts_with("Traceback (most recent call last)"));
        if let Some(begin) = python {
            return Self::of_python(&lines[begin + 1..]);
        }
        let frames = |from: usize| (from..lines.len()).filter_map(|at| Some((at, frame(lines, at)?)));
        let first = frames(0).next()?.0;
        let (thrown, message, its_place) = lines[..first].iter().rev().find_map(|line| thrown(line))?;
        let place = its_place.filter(is_own).or_else(|| frames(first).map(|(_, place)| place).find(is_own));
        Some(Self { thrown, message, place })
    }

    fn of_python(lines: &[&'a str]) -> Option<Self> {
        let end =
            lines.iter().position(|line| !line.starts_with([' ', '\t']) && !line.is_empty()).unwrap_or(lines.len());
        let (thrown, message) = match lines.get(end)?.split_once(':') {
            Some((thrown, message)) => (thrown, message),
            None => (*lines.get(end)?, ""),
        };
        let is_name = !thrown.is_empty() && thrown.len() <= LONGEST_NAME && thrown.bytes().all(is_of_name);
        let places = (0..end).rev().filter_map(|at| frame(lines, at));
        is_name.then(|| Self { thrown, message: message.trim(), place: places.into_iter().find(is_own) })
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'\\' | b'>' | b'<')
}

/// Whether a place is the application's own.
fn is_own((function, file): &Place<'_>) -> bool {
    let is_foreign_file = FOREIGN.iter().any(|part| file.contains(part));
    let is_foreign_function = FOREIGN_FUNCTIONS.iter().any(|part| function.starts_with(part));
    let is_nowhere = function.is_empty() && file.is_empty();
    !(is_foreign_file || is_foreign_function || is_nowhere)
}

/// The function and the file that a line of a trace names.
fn frame<'a>(lines: &[&'a str], at: usize) -> Option<Place<'a>> {
    let line = lines[at].trim();
    if let Some(rest) = line.strip_prefix("File \"") {
        let (file, rest) = rest.split_once('"')?;
        return Some((rest.rsplit_once(", in ").map_or("", |(_, function)| function), file));
    }
    if let Some(rest) = line.strip_prefix("at ") {
        return Some(frame_at(rest, at.checked_sub(1).map(|at| lines[at])));
    }
    if let Some(rest) = line.strip_prefix('#') {
        return frame_php(rest);
    }
    let file = &line[..line.find(".go:")? + ".go".len()];
    let is_go = lines[at].starts_with('\t') && file.contains('/');
    let function = at.checked_sub(1).map_or("", |at| lines[at].trim());
    is_go.then(|| (function.rfind('(').map_or(function, |end| &function[..end]), file))
}

/// `at Class.method(File.java:12)`, `at function (/file.js:1:2)`, `at /file.js:1:2`; Rust has the function in the line before.
fn frame_at<'a>(rest: &'a str, before: Option<&'a str>) -> Place<'a> {
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    if let Some((function, file)) = rest.split_once('(') {
        return (function.trim(), file.trim_end_matches(')'));
    }
    let numbered = before.map(str::trim).and_then(|before| before.split_once(": "));
    match numbered {
        Some((number, function)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            (function, rest)
        }
        _ => ("", rest),
    }
}

/// `#0 /file.php(12): Class->method()`.
fn frame_php(rest: &str) -> Option<Place<'_>> {
    let (number, rest) = rest.split_once(' ')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (file, call) = rest.split_once("): ").unwrap_or((rest, ""));
    let function = call.split('(').next().unwrap_or_default();
    Some((function, file.rfind('(').map_or(file, |end| &file[..end])))
}

/// What a line says was thrown, what it says of it, and where, if it says that.
fn thrown(line: &str) -> Option<(&str, &str, Option<Place<'_>>)> {
    if let Some((_, rest)) = line.split_once("[object] (") {
        let (class, rest) = rest.split_once('(')?;
        return Some((class, rest, php_place(rest)));
    }
    if let Some(rest) = line.strip_prefix("panic: ") {
        return Some(("panic", rest, None));
    }
    if let Some((_, rest)) = line.split_once(" panicked at ") {
        return Some(("panic", rest, None));
    }
    let line = line.strip_prefix("Exception in thread ").unwrap_or(line);
    let words = line.split(|char: char| char.is_whitespace() || matches!(char, '(' | '[' | '"' | '\''));
    let class = words.take(16).find_map(|word| {
        let (class, _) = word.split_once(':').unwrap_or((word, ""));
        let is_name = (4..=LONGEST_NAME).contains(&class.len()) && class.bytes().all(is_of_name);
        (is_name && (THROWN.iter().any(|end| class.ends_with(end)) || is_java_class(class, line))).then_some(class)
    })?;
    let (_, message) = line.split_once(class)?;
    Some((class, message.trim_start_matches([':', ' ']), php_place(message)))
}

/// A name with a package at the beginning of a line: what is thrown need not be called an exception.
fn is_java_class(class: &str, line: &str) -> bool {
    let (package, name) = class.rsplit_once('.').unwrap_or_default();
    line.starts_with(class) && !package.is_empty() && name.starts_with(|char: char| char.is_ascii_uppercase())
}

/// `in /file.php:12`, ` at /file.php:12)`: where PHP says that it was thrown.
fn php_place(text: &str) -> Option<Place<'_>> {
    let (place, _) = text.rsplit_once(".php:")?;
    let start = place.rfind(" /")? + 1;
    Some(("", &text[start..place.len() + ".php".len()]))
}

/// A file without the line and the column behind it.
fn without_line(file: &str) -> &str {
    file.trim_end_matches(|char: char| char.is_ascii_digit() || char == ':')
}
