//! Objects of a wire that are longer than a line may be, as shorter ones that say the same.
//!
//! A stream is cut into pieces whose lines have a bound, and half an object is garbage. The engine cuts lines at 16 KiB, but
//! escapes make six bytes of one, and others who write its form do not cut at all; the journal gives a message that is no UTF-8
//! as a list of numbers. So such an object is put together here, up to a bound, and goes on as several parts of one line, or with
//! as much of its message as there is room for.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::SecondsFormat;
use serde_json::{Map, Value};

use super::{SNIFFED, Wire, object, prefix, sniff};
use crate::chunk::LONGEST_LINE;
use crate::sources::Part;

/// The longest object that is put together, in bytes; a longer one is garbage.
const LONGEST_OBJECT: usize = 1 << 20;

/// How much is read at once, in bytes.
const BLOCK: usize = 64 << 10;

/// How much text a part of a line has, in bytes. Were all of it escaped, six bytes for one, it would still be short enough.
const PART: usize = 8 << 10;

/// How long the escaped message of the journal may be, in bytes, and any other field of it: together they are short enough.
const MESSAGE: usize = 56 << 10;
const FIELD: usize = 512;

/// How a stream differs from the one that it was made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    grown: AtomicI64,
    cut_lines: AtomicU64,
}

impl Changed {
    /// How many bytes these were before, if they are all that was read so far, up to the end of a line.
    pub(crate) fn as_they_came(&self, bytes: u64) -> u64 {
        bytes.saturating_add_signed(self.0.grown.load(Ordering::Relaxed).saturating_neg())
    }

    /// How many lines have lost a part, so far.
    pub(crate) fn cut_lines(&self) -> u64 {
        self.0.cut_lines.load(Ordering::Relaxed)
    }
}

/// The same part, whose stream has no object that is too long for a piece, and where it is noted what that has changed. What
/// wraps its lines is found out where nobody knows it; what nothing wraps comes through as it is.
pub(crate) fn fit(mut part: Part) -> (Part, Changed) {
    let changed = Changed::default();
    let mut begun = Vec::new();
    let wire = part.wire.unwrap_or_else(|| {
        begun = beginning(&mut part.stream);
        sniff(&begun)
    });
    let stream = io::Cursor::new(begun).chain(part.stream);
    let stream: Box<dyn Read + Send> = match wire {
        Wire::Plain | Wire::Compose => Box::new(stream),
        Wire::DockerJson | Wire::Journal => Box::new(Fitted::new(stream, wire, changed.clone())),
    };
    (Part { stream, ..part }, changed)
}

/// As much of a stream as it takes to see what wraps its lines. What fails here fails again when more is read.
fn beginning(stream: &mut impl Read) -> Vec<u8> {
    let (mut begun, mut feeds) = (Vec::new(), 0);
    let mut block = vec![0; BLOCK];
    while feeds < SNIFFED && begun.len() < LONGEST_OBJECT {
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(read) => {
                feeds += memchr::memchr_iter(b'\n', &block[..read]).count();
                begun.extend_from_slice(&block[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    begun
}

/// A stream of objects without any that are too long.
struct Fitted<R> {
    inner: R,
    wire: Wire,
    changed: Changed,
    /// What was read and is no whole line yet.
    rest: Vec<u8>,
    /// What can be handed out, from that place on.
    ready: (Vec<u8>, usize),
    /// Whether the beginning of a line was handed out that is too long even to be put together: its rest follows as it is.
    is_within: bool,
    is_at_end: bool,
}

impl<R: Read> Fitted<R> {
    fn new(inner: R, wire: Wire, changed: Changed) -> Self {
        let (rest, ready) = (Vec::new(), (Vec::new(), 0));
        Self { inner, wire, changed, rest, ready, is_within: false, is_at_end: false }
    }

    /// Reads until there is something to hand out, or nothing comes any more.
    fn fill(&mut self) -> io::Result<()> {
        while self.ready.1 == self.ready.0.len() && !self.is_at_end {
            let before = self.rest.len();
            self.rest.resize(before + BLOCK, 0);
            let read = self.inner.read(&mut self.rest[before..]);
            self.rest.truncate(before + *read.as_ref().unwrap_or(&0));
            self.is_at_end = read? == 0;
            match memchr::memrchr(b'\n', &self.rest[before..]) {
                Some(feed) => self.pass_lines(before + feed + 1),
                // The last line counts only if somebody knows that it is whole; that is not for us to say.
                None if self.is_at_end => self.ready = (std::mem::take(&mut self.rest), 0),
                None if self.rest.len() > LONGEST_OBJECT => {
                    self.ready = (std::mem::take(&mut self.rest), 0);
                    self.is_within = true;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Hands out whole lines, up to here.
    fn pass_lines(&mut self, whole: usize) {
        let rest = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, rest);
        let is_within = std::mem::take(&mut self.is_within);
        let is_short = lines.len() <= LONGEST_LINE;
        if is_short || lines.split_inclusive(|byte| *byte == b'\n').all(|line| line.len() <= LONGEST_LINE) {
            self.ready = (lines, 0);
            return;
        }
        let mut fitting = Vec::with_capacity(lines.len());
        for (number, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let is_rest = is_within && number == 0;
            if is_rest || line.len() <= LONGEST_LINE || !self.shorten(line, &mut fitting) {
                fitting.extend_from_slice(line);
            }
        }
        let grown = i64::try_from(fitting.len()).unwrap_or(0) - i64::try_from(lines.len()).unwrap_or(0);
        self.changed.0.grown.fetch_add(grown, Ordering::Relaxed);
        self.ready = (fitting, 0);
    }

    /// Whether a line that is too long could be said in shorter ones.
    fn shorten(&self, line: &[u8], into: &mut Vec<u8>) -> bool {
        match self.wire {
            Wire::DockerJson => split(line, into).is_some(),
            Wire::Journal => {
                let is_cut = cut(line, into);
                self.changed.0.cut_lines.fetch_add(u64::from(is_cut == Some(true)), Ordering::Relaxed);
                is_cut.is_some()
            }
            Wire::Plain | Wire::Compose => false,
        }
    }
}

impl<R: Read> Read for Fitted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let (ready, at) = &mut self.ready;
        let count = into.len().min(ready.len() - *at);
        into[..count].copy_from_slice(&ready[*at..*at + count]);
        *at += count;
        Ok(count)
    }
}

/// An object of the engine's as the parts into which the engine itself might have cut its line. None if it is no object.
fn split(line: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let mut scratch = Vec::new();
    let said = object::docker(line.trim_ascii_end(), &mut scratch)?;
    let time = said.time?.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let text = String::from_utf8_lossy(said.text);
    let end = if said.is_partial { "" } else { "\n" };
    let mut at = 0;
    loop {
        let next = at + prefix(&text[at..], PART).len();
        let is_last = next == text.len();
        let log = Value::String(format!("{}{}", &text[at..next], if is_last { end } else { "" }));
        into.extend_from_slice(
            format!("{{\"log\":{log},\"stream\":\"{}\",\"time\":\"{time}\"}}\n", said.lane).as_bytes(),
        );
        if is_last {
            return Some(());
        }
        at = next;
    }
}

/// A message of the journal with as much of its text as there is room for, and whether that is not all. None if it is no
/// object.
fn cut(line: &[u8], into: &mut Vec<u8>) -> Option<bool> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(line) else { return None };
    let mut kept = Map::new();
    let mut is_cut = false;
    for (name, value) in fields {
        if name == "MESSAGE" {
            let text = text(&value);
            let end = end_of(&text);
            is_cut = end < text.len();
            kept.insert(name, Value::from(&text[..end]));
        } else if value.as_str().is_some_and(|text| text.len() <= FIELD) && object::is_read(&name) {
            kept.insert(name, value);
        }
    }
    into.extend_from_slice(Value::Object(kept).to_string().as_bytes());
    into.push(b'\n');
    Some(is_cut)
}

/// A text of the journal: a string, or the bytes of what is none, or several of these.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) if parts.iter().all(Value::is_u64) => {
            let bytes: Vec<u8> = parts.iter().filter_map(|part| u8::try_from(part.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        // Neither is nested deeper than the reader of JSON allows.
        Value::Array(parts) => parts.iter().map(text).collect(),
        _ => String::new(),
    }
}

/// How much of a text there is room for, escaped.
fn end_of(text: &str) -> usize {
    let mut length = 0;
    let fits = |(_, letter): &(usize, char)| {
        // At most six bytes for one that must be escaped.
        length += if letter.is_control() || matches!(letter, '"' | '\\') { 6 } else { letter.len_utf8() };
        length > MESSAGE
    };
    text.char_indices().find(fits).map_or(text.len(), |(end, _)| end)
}

#[cfg(test)]
mod tests {
    mod fuzz;

    use super::*;
    use crate::chunk::Ending;
    use proptest::prelude::*;

    /// What comes through, and how many lines have lost a part.
    fn fitted(bytes: &[u8], wire: Option<Wire>) -> (Vec<u8>, u64) {
        let stream = Box::new(io::Cursor::new(bytes.to_vec()));
        let (mut part, changed) = fit(Part { stream, wire, ending: Ending::Open });
        let mut out = Vec::new();
        part.stream.read_to_end(&mut out).unwrap();
        assert_eq!(changed.as_they_came(out.len() as u64), bytes.len() as u64);
        (out, changed.cut_lines())
    }

    fn docker(log: &str) -> String {
        format!("{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2026-05-01T10:00:00.5Z\"}}\n", Value::from(log))
    }

    fn journal(message: &Value) -> String {
        let fields = serde_json::json!({
            "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1777629600000000", "PRIORITY": "3", "MESSAGE": message,
            "_CMDLINE": "x".repeat(FIELD), "SYSLOG_IDENTIFIER": "app",
        });
        format!("{fields}\n")
    }

    /// The text of the objects in this, put together.
    fn logs(bytes: &[u8]) -> String {
        let mut all = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            assert!(line.len() < LONGEST_LINE, "a line of {} bytes", line.len());
            let mut scratch = Vec::new();
            let said = object::docker(line, &mut scratch).unwrap();
            assert_eq!(
                (said.lane, said.time.unwrap().to_rfc3339().as_str()),
                ("stderr", "2026-05-01T10:00:00.500+00:00")
            );
            all.extend_from_slice(said.text);
            all.extend((!said.is_partial).then_some(b'\n'));
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_long_object_of_the_engine_becomes_parts_of_the_same_line() {
        for text in ["x".repeat(200_000), "\u{1}".repeat(12_000), "\u{20ac}<>&\"".repeat(30_000)] {
            for end in ["", "\n"] {
                let long = docker(&format!("{text}{end}"));
                let all = [docker("one\n"), long, docker("two\n")].concat();
                let (out, _) = fitted(all.as_bytes(), None);
                assert!(logs(&out) == format!("one\n{text}{end}two\n"));
            }
        }
    }

    #[test]
    fn of_a_long_message_of_the_journal_there_is_as_much_as_there_is_room_for() {
        let bytes: Value = std::iter::once(0xff).chain(std::iter::repeat_n(b'x', 30_000)).collect();
        for (message, cut, begins) in [
            (bytes, 0, "\u{fffd}xx"),
            (Value::from("x".repeat(200_000)), 1, "xxx"),
            (Value::from(vec!["\u{1}".repeat(40_000), "b".to_owned()]), 1, "\u{1}\u{1}"),
        ] {
            let (out, cut_lines) = fitted(journal(&message).as_bytes(), Some(Wire::Journal));
            assert!(out.len() < LONGEST_LINE && cut_lines == cut);
            let mut scratch = Vec::new();
            let said = object::journal(out.trim_ascii_end(), &mut scratch).unwrap();
            assert!(said.text.starts_with(begins.as_bytes()) && said.text.len() > 9_000, "{} bytes", said.text.len());
            assert_eq!((said.cursor, said.lane, said.level), (Some("s=1"), "app", Some(crate::level::Level::Error)));
        }
    }

    #[test]
    fn what_is_too_long_to_be_put_together_comes_through_as_it_is_and_hides_nothing() {
        let endless = docker(&"x".repeat(LONGEST_OBJECT + 3 * BLOCK));
        let all = [docker("one\n"), endless, docker("two\n")].concat();
        assert!(fitted(all.as_bytes(), None) == (all.into_bytes(), 0));
        let broken = [&b"{\"log\":\"".repeat(20_000)[..], b"\n", docker("two\n").as_bytes()].concat();
        assert!(fitted(&broken, Some(Wire::DockerJson)) == (broken, 0));
    }

    #[test]
    fn what_is_nobodys_object_is_not_touched() {
        let long = format!("app-1  | {}\n", "x".repeat(200_000));
        for (text, wire) in [(long.as_str(), None), (long.as_str(), Some(Wire::Plain)), ("", None), ("half", None)] {
            assert!(fitted(text.as_bytes(), wire) == (text.as_bytes().to_vec(), 0));
        }
        let half = docker(&"x".repeat(100_000));
        let half = half.trim_end();
        assert!(fitted(half.as_bytes(), Some(Wire::DockerJson)).0 == half.as_bytes(), "somebody is writing it");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_come_through_or_shorter(
            runs in prop::collection::vec((any::<u8>(), 0..90_000_usize, any::<bool>()), 0..8), is_journal: bool
        ) {
            let mut bytes = Vec::new();
            for (byte, length, ends) in runs {
                bytes.resize(bytes.len() + length, byte);
                bytes.extend(ends.then_some(b'\n'));
            }
            let wire = if is_journal { Wire::Journal } else { Wire::DockerJson };
            prop_assert_eq!(fitted(&bytes, Some(wire)).0 == bytes, true, "none of it is an object");
        }
    }
}
