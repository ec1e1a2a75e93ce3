//! Which statements of a dump may be loaded beside a live database.

use std::collections::BTreeMap;

use super::Content;
use super::error::LoadError;
use super::head::{self, Kind, Verb};
use super::lexer::{Dialect, Statement, Visitor};
use super::quoting;

/// The most that is set aside of events, in bytes.
pub(super) const EVENTS_LIMIT: usize = 64 << 20;

/// The most that waits for being known, in bytes: a head, and what came with its end.
const WAITING_LIMIT: usize = 8 << 20;

/// The most that an error quotes of an order, in bytes.
const QUOTED: usize = 200;

/// What may follow `ALTER DATABASE` of MySQL at once, where no database is named.
const NO_NAMES: [&str; 4] = ["DEFAULT", "CHARACTER", "CHARSET", "COLLATE"];

/// Where the bytes of a statement go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is not known yet.
    Waits,
    /// To the client.
    Passes,
    /// Nowhere; counted under this word.
    LeftOut(&'static str),
    /// To the events.
    SetAside,
    /// To both: it is the frame in which events and other things stand.
    Both,
}

/// Sorts the bytes of a dump.
pub(super) struct Sieve {
    dialect: Dialect,
    content: Content,
    fate: Fate,
    waiting: Vec<u8>,
    /// What passes to the client.
    pub(super) out: Vec<u8>,
    /// The events, with what they need to be created by a client.
    pub(super) events: Vec<u8>,
    /// How long the events were before the block that is passing, and whether it has brought one.
    block: Option<(usize, bool)>,
    /// The databases that are named so far, and where the client was told to go.
    databases: Vec<String>,
    places: Vec<String>,
    /// How many statements were left out, by the reason.
    pub(super) left_out: BTreeMap<&'static str, u64>,
    /// Why nothing more may pass.
    pub(super) refused: Option<LoadError>,
}

impl Sieve {
    pub(super) fn new(dialect: Dialect, content: Content) -> Self {
        Self {
            dialect,
            content,
            fate: Fate::Passes,
            waiting: Vec::new(),
            out: Vec::new(),
            events: Vec::new(),
            block: None,
            databases: Vec::new(),
            places: Vec::new(),
            left_out: BTreeMap::new(),
            refused: None,
        }
    }

    fn decide(&mut self, kind: &Kind, head: &[u8]) -> Fate {
        if self.content == Content::Globals {
            return Fate::Passes;
        }
        match kind.verb {
            Verb::Event => {
                self.block = self.block.map(|(before, _)| (before, true));
                Fate::SetAside
            }
            Verb::Set => self.framed(),
            Verb::AlterDatabase => self.alter_database(kind),
            Verb::Database | Verb::Use => {
                self.name_database(&kind.name);
                Fate::LeftOut("database")
            }
            Verb::Replication | Verb::BinaryLog => Fate::LeftOut("replication"),
            Verb::Client => {
                self.refuse_order(head);
                Fate::Waits
            }
            Verb::Elsewhere => {
                self.refused.get_or_insert_with(|| LoadError::Elsewhere { name: kind.name.clone() });
                Fate::Waits
            }
            Verb::Trigger => {
                for range in kind.qualifiers.iter().rev() {
                    self.waiting.drain(range.start.min(self.waiting.len())..range.end.min(self.waiting.len()));
                }
                Fate::Passes
            }
            Verb::Insert | Verb::Copy | Verb::CreateTable | Verb::Other => Fate::Passes,
        }
    }

    /// What belongs to a routine as well as to an event that stands in the same block.
    fn framed(&self) -> Fate {
        if self.block.is_some() { Fate::Both } else { Fate::Passes }
    }

    /// mysqldump changes the character set of the database around routines that were made under another one. It names the
    /// database that it dumped, which is the live one: without a name, the one that is being loaded is meant.
    fn alter_database(&mut self, kind: &Kind) -> Fate {
        if NO_NAMES.contains(&kind.name.to_uppercase().as_str()) && kind.place.len() == kind.name.len() {
            return self.framed();
        }
        self.name_database(&kind.name);
        if self.dialect == Dialect::Postgres {
            return Fate::LeftOut("database");
        }
        self.waiting.drain(kind.place.start.min(self.waiting.len())..kind.place.end.min(self.waiting.len()));
        self.framed()
    }

    fn name_database(&mut self, name: &str) {
        note(name, &mut self.databases, &mut self.refused);
    }

    fn refuse_order(&mut self, line: &[u8]) {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(QUOTED)]).into_owned();
        self.refused.get_or_insert(LoadError::Order { line });
    }

    /// A line for the client.
    fn order(&mut self, line: &[u8]) -> Fate {
        let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        match (self.dialect, word) {
            (Dialect::Mysql, _) if quoting::is_sandbox(line) => return Fate::LeftOut("sandbox"),
            (Dialect::Mysql, _) if head::delimiter(line).is_some() => return Fate::Both,
            // Clients of before 2025 do not know these; what they keep out is refused here.
            (Dialect::Postgres, br"\restrict" | br"\unrestrict") => return Fate::LeftOut("restrict"),
            (Dialect::Postgres, br"\connect" | br"\c") if self.content == Content::Database => {
                // How psql quotes names here is its own: whole lines are compared.
                note(&String::from_utf8_lossy(line), &mut self.places, &mut self.refused);
                return Fate::LeftOut("database");
            }
            _ => self.refuse_order(line),
        }
        Fate::Waits
    }

    /// Lets the bytes that have waited go where they belong.
    fn settle(&mut self, fate: Fate) {
        self.fate = fate;
        let waiting = std::mem::take(&mut self.waiting);
        self.text(&waiting);
        self.waiting = waiting;
        self.waiting.clear();
        if let Fate::LeftOut(reason) = fate {
            *self.left_out.entry(reason).or_default() += 1;
        }
    }

    fn set_aside(&mut self, bytes: &[u8]) {
        if self.events.len() + bytes.len() > EVENTS_LIMIT {
            self.refused.get_or_insert(LoadError::Events { limit: EVENTS_LIMIT });
        } else {
            self.events.extend_from_slice(bytes);
        }
    }

    fn wait(&mut self, bytes: &[u8]) {
        if self.waiting.len() + bytes.len() > WAITING_LIMIT {
            let line = std::mem::take(&mut self.waiting);
            self.refuse_order(&line);
        } else if self.refused.is_none() {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// A block begins or ends. One without events leaves nothing among them.
    fn delimit(&mut self, delimiter: &[u8]) {
        match self.block {
            None if delimiter != b";" => self.block = Some((self.events.len(), false)),
            Some((before, false)) if delimiter == b";" => {
                self.events.truncate(before);
                self.block = None;
            }
            Some((_, true)) if delimiter == b";" => {
                self.set_aside(b"DELIMITER ;\n");
                self.block = None;
            }
            None | Some(_) => {}
        }
    }
}

/// Notes a name; a second one is refused.
fn note(name: &str, names: &mut Vec<String>, refused: &mut Option<LoadError>) {
    match names.as_slice() {
        [] => names.push(name.to_owned()),
        [known, ..] if known != name => {
            refused.get_or_insert(LoadError::Several { names: vec![known.clone(), name.to_owned()] });
        }
        [_, ..] => {}
    }
}

impl Visitor for Sieve {
    fn text(&mut self, bytes: &[u8]) {
        match self.fate {
            Fate::Waits => self.wait(bytes),
            Fate::Passes => self.out.extend_from_slice(bytes),
            Fate::LeftOut(_) => {}
            Fate::SetAside => self.set_aside(bytes),
            Fate::Both => {
                self.out.extend_from_slice(bytes);
                self.set_aside(bytes);
            }
        }
    }

    fn begin(&mut self) {
        self.fate = Fate::Waits;
    }

    fn known(&mut self, kind: &Kind, head: &[u8]) {
        let fate = self.decide(kind, head);
        self.settle(fate);
    }

    fn end(&mut self, _statement: &Statement<'_>) {
        if matches!(self.fate, Fate::SetAside | Fate::Both) {
            self.set_aside(b"\n");
        }
        self.fate = Fate::Passes;
    }

    fn command(&mut self, line: &[u8]) {
        let fate = self.order(line);
        if let Some(delimiter) = head::delimiter(line).filter(|_| fate == Fate::Both) {
            let is_end = delimiter == b";";
            self.delimit(delimiter);
            self.settle(if is_end { Fate::Passes } else { fate });
        } else {
            self.settle(fate);
        }
        self.fate = Fate::Passes;
    }

    fn comment(&mut self, _line: &[u8]) {}
}
