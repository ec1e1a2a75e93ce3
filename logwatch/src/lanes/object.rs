//! Wires of one JSON object a line: the engine's own files, and the journal.
//!
//! Only the fields that matter are decoded, straight into one buffer that is used again for each line.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Unwrapped, stamp};
use crate::level::Level;

/// What the engine's json-file driver writes.
pub(super) fn docker<'a>(object: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Unwrapped<'a>> {
    scratch.clear();
    if let Some(Usual { log, stream, time }) = usual(object) {
        let time = stamp::parse(time)?;
        if let Some(plain) = plain(log) {
            return Some(Unwrapped { lane: stream, time: Some(time), ..Unwrapped::plain(plain) });
        }
        let mut json = serde_json::Deserializer::from_slice(log);
        Text(scratch).deserialize(&mut json).ok()?;
        json.end().ok()?;
        return Some(of_docker(stream, time, scratch));
    }
    let fields = Docker { log: scratch, has_log: false, stream: None, time: None };
    let Docker { has_log, stream, time, .. } = read(object, fields)?;
    let stream = stream.filter(|stream| has_log && matches!(*stream, "stdout" | "stderr"))?;
    Some(of_docker(stream, stamp::parse(time?.as_bytes())?, scratch))
}

/// A line of the engine's, decoded. It cuts what is longer than 16 KiB; only the last part has a line feed.
fn of_docker<'a>(lane: &'a str, time: DateTime<Utc>, log: &'a [u8]) -> Unwrapped<'a> {
    let text = log.strip_suffix(b"\n");
    let is_partial = text.is_none();
    Unwrapped { lane, time: Some(time), is_partial, ..Unwrapped::plain(text.unwrap_or(log)) }
}

/// An object of the engine's in the form in which it always writes them, so that little has to be read as JSON.
struct Usual<'a> {
    /// With its quotes.
    log: &'a [u8],
    stream: &'static str,
    time: &'a [u8],
}

/// Reads such an object from its end: what stands there cannot stand in a text, whose quotes are escaped.
fn usual(object: &[u8]) -> Option<Usual<'_>> {
    let rest = object.strip_prefix(b"{\"log\":")?.strip_suffix(b"\"}")?;
    let quote = memchr::memrchr(b'"', rest)?;
    let (rest, time) = (rest[..quote].strip_suffix(b",\"time\":")?, &rest[quote + 1..]);
    let is_of = |stream: &[u8]| rest.strip_suffix(b"\"")?.strip_suffix(stream)?.strip_suffix(b",\"stream\":\"");
    match (is_of(b"stdout"), is_of(b"stderr")) {
        (Some(log), _) => Some(Usual { log, stream: "stdout", time }),
        (None, Some(log)) => Some(Usual { log, stream: "stderr", time }),
        (None, None) => None,
    }
}

/// A text in quotes whose only escape is the line feed at its end: it needs no decoding.
fn plain(quoted: &[u8]) -> Option<&[u8]> {
    let text = quoted.strip_prefix(b"\"")?.strip_suffix(b"\\n\"")?;
    memchr::memchr2(b'"', b'\\', text).is_none().then_some(text)
}

/// What the journal calls us.
const OWN: &str = "logwatch";

/// What `journalctl --output=json` writes (systemd.journal-fields(7)).
pub(super) fn journal<'a>(object: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Unwrapped<'a>> {
    scratch.clear();
    let fields = Journal {
        message: scratch,
        time: None,
        cursor: None,
        priority: None,
        transport: None,
        unit: None,
        identifier: None,
        pid: None,
    };
    let Journal { time, cursor, priority, transport, unit, identifier, pid, .. } = read(object, fields)?;
    let time = DateTime::from_timestamp_micros(time?.parse().ok()?)?;
    let transport = transport.unwrap_or_default();
    let length = scratch.len();
    scratch.extend_from_slice(unit.or(identifier).unwrap_or(transport).as_bytes());
    if let Some(pid) = pid {
        scratch.extend([b"[", pid.as_bytes(), b"]"].concat());
    }
    let (text, lane) = scratch.split_at(length);
    // What a program prints comes line by line, so that a trace is many messages. Anything else was handed over as a whole:
    // a line feed in it makes no second record.
    let is_printed = transport == "stdout";
    Some(Unwrapped {
        lane: std::str::from_utf8(lane).unwrap_or_default(),
        time: Some(time),
        level: priority.and_then(|priority| level(priority, is_printed)),
        is_record: !is_printed,
        is_own: identifier == Some(OWN),
        cursor,
        ..Unwrapped::plain(text.strip_suffix(b"\n").unwrap_or(text))
    })
}

/// The level of a priority of syslog. journald gives 6 to all that a program prints: that says nothing.
fn level(priority: &str, is_printed: bool) -> Option<Level> {
    match priority.as_bytes() {
        [b'0'..=b'2'] => Some(Level::Critical),
        b"3" => Some(Level::Error),
        b"4" => Some(Level::Warning),
        b"5" => Some(Level::Notice),
        b"6" if is_printed => None,
        b"6" => Some(Level::Info),
        b"7" => Some(Level::Debug),
        _ => None,
    }
}

/// Whether a field of the journal says anything to [`journal`].
pub(super) fn is_read(name: &str) -> bool {
    matches!(
        name,
        "MESSAGE"
            | "__REALTIME_TIMESTAMP"
            | "__CURSOR"
            | "PRIORITY"
            | "_TRANSPORT"
            | "_SYSTEMD_UNIT"
            | "_SYSTEMD_USER_UNIT"
            | "SYSLOG_IDENTIFIER"
            | "_PID"
    )
}

/// Reads one object and nothing after it.
fn read<'de, F: Fields<'de>>(object: &'de [u8], fields: F) -> Option<F> {
    let mut json = serde_json::Deserializer::from_slice(object);
    let seen = json.deserialize_map(Object(fields)).ok()?;
    json.end().ok()?;
    Some(seen)
}

/// The fields of an object that matter.
trait Fields<'de> {
    /// Takes the value of this key, or ignores it.
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// An object, as it is read.
struct Object<F>(F);

impl<'de, F: Fields<'de>> Visitor<'de> for Object<F> {
    type Value = F;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<F, A::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            self.0.field(key, &mut map)?;
        }
        Ok(self.0)
    }
}

/// The fields of the engine's own files.
struct Docker<'de, 'b> {
    log: &'b mut Vec<u8>,
    has_log: bool,
    stream: Option<&'de str>,
    time: Option<&'de str>,
}

impl<'de> Fields<'de> for Docker<'de, '_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "log" => {
                self.log.clear();
                self.has_log = true;
                map.next_value_seed(Text(self.log))?;
            }
            "stream" => self.stream = Some(map.next_value()?),
            "time" => self.time = Some(map.next_value()?),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// The fields of the journal.
struct Journal<'de, 'b> {
    message: &'b mut Vec<u8>,
    time: Option<&'de str>,
    cursor: Option<&'de str>,
    priority: Option<&'de str>,
    transport: Option<&'de str>,
    unit: Option<&'de str>,
    identifier: Option<&'de str>,
    pid: Option<&'de str>,
}

impl<'de> Fields<'de> for Journal<'de, '_> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let place = match key {
            "MESSAGE" => {
                self.message.clear();
                return map.next_value_seed(Text(self.message));
            }
            "__REALTIME_TIMESTAMP" => &mut self.time,
            "__CURSOR" => &mut self.cursor,
            "PRIORITY" => &mut self.priority,
            "_TRANSPORT" => &mut self.transport,
            "_SYSTEMD_UNIT" | "_SYSTEMD_USER_UNIT" => &mut self.unit,
            "SYSLOG_IDENTIFIER" => &mut self.identifier,
            "_PID" => &mut self.pid,
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        *place = map.next_value::<Word<'de>>()?.0;
        Ok(())
    }
}

/// A text, put into a buffer: a string, or the bytes of what is no UTF-8 as numbers. Where a field was given several times
/// there is a list of them; where it was too long for the writer there is nothing.
struct Text<'b>(&'b mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, or bytes")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, byte: u64) -> Result<(), E> {
        self.0.push(u8::try_from(byte).map_err(E::custom)?);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        while parts.next_element_seed(Text(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// A short text, if it is one that can be borrowed; else nothing: a field of the journal may be anything.
struct Word<'de>(Option<&'de str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(value.get()).ok()))
    }
}
