//! What a dump of SQL shows of itself as it passes: its end mark, its tables, its rows.

use super::Content;
use super::head::{Kind, Verb};
use super::lexer::{Dialect, Statement, Visitor};
use super::tally::Tally;
use crate::database::{GLOBALS_DONE, GLOBALS_SETTINGS};

/// The end mark of mysqldump and mariadb-dump; a date may follow.
const MYSQL_END: &str = "-- Dump completed";

/// The end mark of `pg_dump`.
const POSTGRES_END: &str = "-- PostgreSQL database dump complete";

/// The first words of `pg_dumpall`, which has dumps of `pg_dump` within.
const CLUSTER_HEAD: &str = "-- PostgreSQL database cluster dump";

/// The end mark of `pg_dumpall`.
const CLUSTER_END: &str = "-- PostgreSQL database cluster dump complete";

/// What the dump programs say on standard error begins so. Scripts mix it into the dump (`2>&1`), and with `--force` the
/// end mark follows all the same.
const VOICES: [&[u8]; 4] = [b"mysqldump: ", b"mariadb-dump: ", b"pg_dump: ", b"pg_dumpall: "];

/// Watches for marks and counts.
pub(super) struct Watch {
    dialect: Dialect,
    content: Content,
    pub(super) tally: Tally,
    /// The longest statement so far, in bytes.
    pub(super) longest: u64,
    /// The database that the statements name first.
    pub(super) original: Option<String>,
    /// Which part of a dump of several parts is passing.
    part: Part,
    /// Whether the end mark has passed.
    pub(super) marked: bool,
    /// Whether something stands behind it.
    pub(super) behind: bool,
    /// What the dump program has said in the middle: the first line of it.
    pub(super) message: Option<Vec<u8>>,
}

/// Parts of a dump by `pg_dumpall`, to which settings were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A dump without parts, or nothing yet.
    Only,
    /// What `pg_dumpall` writes.
    Cluster,
    /// Between its end and the settings.
    Complete,
    /// The settings.
    Settings,
}

impl Watch {
    pub(super) fn new(dialect: Dialect, content: Content) -> Self {
        Self {
            dialect,
            content,
            tally: Tally::default(),
            longest: 0,
            original: None,
            part: Part::Only,
            marked: false,
            behind: false,
            message: None,
        }
    }

    /// Whether a comment is the end mark; goes on to the next part if it is between two.
    fn ends_with(&mut self, comment: &str) -> bool {
        if self.dialect == Dialect::Mysql && self.content == Content::Globals {
            return comment == GLOBALS_DONE;
        }
        if self.dialect == Dialect::Mysql {
            return comment.strip_prefix(MYSQL_END).is_some_and(|date| date.is_empty() || date.starts_with(' '));
        }
        let next = match (self.part, comment) {
            (Part::Only, CLUSTER_HEAD) => Part::Cluster,
            (Part::Cluster, CLUSTER_END) => Part::Complete,
            (Part::Complete, GLOBALS_SETTINGS) => Part::Settings,
            (part, _) => part,
        };
        let part = std::mem::replace(&mut self.part, next);
        match self.content {
            Content::Globals => part == Part::Settings && comment == GLOBALS_DONE,
            Content::Database if part == Part::Only => comment == POSTGRES_END,
            Content::Database => comment == CLUSTER_END,
        }
    }

    /// Counts what a statement shows. Those of bodies do nothing yet: they stand in blocks, or are indented.
    fn count(&mut self, statement: &Statement<'_>) {
        let Kind { verb, name, .. } = statement.kind;
        match verb {
            _ if statement.in_block || name.is_empty() => {}
            Verb::Insert | Verb::Copy | Verb::CreateTable
                if self.dialect == Dialect::Postgres && !statement.at_margin => {}
            Verb::Insert | Verb::Copy => self.tally.add(name, statement.rows),
            Verb::CreateTable => self.tally.add(name, 0),
            Verb::Database | Verb::Use if self.original.is_none() => self.original = Some(name.clone()),
            Verb::Event
            | Verb::Database
            | Verb::AlterDatabase
            | Verb::Use
            | Verb::Set
            | Verb::Replication
            | Verb::BinaryLog
            | Verb::Client
            | Verb::Trigger
            | Verb::Elsewhere
            | Verb::Other => {}
        }
    }
}

impl Visitor for Watch {
    fn text(&mut self, _bytes: &[u8]) {}

    fn begin(&mut self) {
        self.behind = self.marked;
    }

    fn known(&mut self, kind: &Kind, head: &[u8]) {
        if kind.verb == Verb::Other && self.message.is_none() && VOICES.iter().any(|voice| head.starts_with(voice)) {
            self.message = head.split(|byte| *byte == b'\n').next().map(<[u8]>::to_vec);
        }
    }

    fn end(&mut self, statement: &Statement<'_>) {
        self.longest = self.longest.max(statement.length);
        self.count(statement);
    }

    fn command(&mut self, line: &[u8]) {
        if line.starts_with(br"\unrestrict ") {
            self.behind = false;
        }
    }

    fn comment(&mut self, line: &[u8]) {
        if self.ends_with(&String::from_utf8_lossy(line)) {
            (self.marked, self.behind) = (true, false);
        }
    }
}
