//! The verdict on a dump: whole or not, and what is in it.

use std::collections::BTreeMap;

use super::Content;
use super::error::NotWhole;
use super::head::Kind;
use super::lexer::{Dialect, Lexer, Statement, Visitor};
use super::rdb::Rdb;
use super::watch::Watch;
use crate::database::Engine;

/// How much of the beginning is kept, in bytes: the comments with versions are in it.
const HEAD: usize = 4 << 10;

/// How much of the end is kept, in bytes.
const TAIL: usize = 512;

/// The most that a message quotes of a dump, in characters.
const QUOTED: usize = 200;

/// What a whole dump has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Rows by table, where the dump shows them.
    ///
    /// MySQL, MariaDB: by the table's name; base tables alone, no views. PostgreSQL: by the name as it stands in the dump
    /// (`public.orders`, `"Odd Schema"."t"`), and the rows of that table alone, as `select count(*) from only` has them: a
    /// partitioned table has none of its own.
    pub tables: BTreeMap<String, u64>,
    /// Whether there are more tables than [`super::MOST_TABLES`], so that some are missing above.
    pub tables_untold: bool,
    /// The longest statement, in bytes: what a server's `max_allowed_packet` must let through.
    pub longest_statement: u64,
    /// The version of the client that made the dump.
    pub client: Option<String>,
    /// The version of the server that it was made from.
    pub server: Option<String>,
    /// The name of the database that it was made from.
    pub original: Option<String>,
    /// Redis: how many keys. Always `None` so far: only parsing the whole would tell.
    pub keys: Option<u64>,
    /// Redis: written without a checksum, so that damage in the middle cannot be seen.
    pub unchecked: bool,
}

/// Watches a dump as it passes: bounded memory, whatever the bytes are.
pub struct Scanner {
    form: Form,
    head: Vec<u8>,
    tail: Vec<u8>,
    blank: bool,
}

/// What kind of stream it is.
enum Form {
    Sql(Box<Sql>),
    Rdb(Box<Rdb>),
}

struct Sql {
    dialect: Dialect,
    lexer: Lexer,
    watch: Watch,
}

impl Scanner {
    /// A scanner for what the client of this engine writes.
    pub fn new(engine: Engine, content: Content) -> Self {
        let sql = |dialect| {
            let watch = Watch::new(dialect, content);
            Form::Sql(Box::new(Sql { dialect, lexer: Lexer::new(dialect), watch }))
        };
        let form = match engine {
            Engine::Mysql | Engine::Mariadb => sql(Dialect::Mysql),
            Engine::Postgres => sql(Dialect::Postgres),
            Engine::Redis | Engine::Valkey => Form::Rdb(Box::new(Rdb::new())),
        };
        Self { form, head: Vec::new(), tail: Vec::new(), blank: true }
    }

    /// Reads on. Pieces may be of any size.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_with(bytes, &mut Nobody);
    }

    /// Reads on, with somebody else listening.
    pub(super) fn feed_with(&mut self, bytes: &[u8], other: &mut impl Visitor) {
        self.note(bytes);
        match &mut self.form {
            Form::Sql(sql) => sql.lexer.feed(bytes, &mut Two(&mut sql.watch, other)),
            Form::Rdb(rdb) => {
                rdb.feed(bytes, |_| {});
                other.text(bytes);
            }
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.blank = self.blank && bytes.iter().all(u8::is_ascii_whitespace);
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let last = &bytes[bytes.len().saturating_sub(TAIL)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(TAIL);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(last);
    }

    /// The verdict, when everything has come.
    pub fn finish(self) -> Result<Seen, NotWhole> {
        self.finish_with(&mut Nobody)
    }

    /// The verdict, with somebody else listening to what was still in doubt.
    pub(super) fn finish_with(mut self, other: &mut impl Visitor) -> Result<Seen, NotWhole> {
        let closed = match &mut self.form {
            Form::Sql(sql) => sql.lexer.finish(&mut Two(&mut sql.watch, other)),
            Form::Rdb(_) => true,
        };
        if self.blank {
            return Err(NotWhole::Empty);
        }
        match self.form {
            Form::Rdb(ref rdb) if Rdb::is_rdb(rdb.head()) => rdb_seen(rdb),
            Form::Sql(sql) if is_sql_dump(&self.head, sql.dialect) => sql_seen(*sql, closed, &self.head, &self.tail),
            Form::Rdb(_) | Form::Sql(_) => Err(no_dump(&self.head)),
        }
    }
}

fn rdb_seen(rdb: &Rdb) -> Result<Seen, NotWhole> {
    let end = rdb.end()?;
    let version = rdb.version();
    Ok(Seen { client: version.clone(), server: version, unchecked: end.unchecked, ..Seen::default() })
}

fn sql_seen(sql: Sql, closed: bool, head: &[u8], tail: &[u8]) -> Result<Seen, NotWhole> {
    let Sql { watch, dialect, .. } = sql;
    if watch.behind {
        return Err(NotWhole::Trailing { ends: last_line(tail) });
    }
    if !watch.marked || !closed {
        return Err(NotWhole::Cut { ends: last_line(tail) });
    }
    if let Some(message) = watch.message {
        return Err(NotWhole::Message { line: readable(&message[..message.len().min(QUOTED)]) });
    }
    let told = Told::read(&String::from_utf8_lossy(head), dialect);
    Ok(Seen {
        tables: watch.tally.tables,
        tables_untold: watch.tally.untold,
        longest_statement: watch.longest,
        client: told.client,
        server: told.server,
        original: told.original.or(watch.original),
        keys: None,
        unchecked: false,
    })
}

/// What the comments at the beginning of a dump say.
struct Told {
    client: Option<String>,
    server: Option<String>,
    original: Option<String>,
}

impl Told {
    fn read(head: &str, dialect: Dialect) -> Self {
        let behind = |mark: &str| head.lines().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()));
        let version = |mark: &str| behind(mark)?.split([',', ' ']).next().map(str::to_owned);
        match dialect {
            Dialect::Mysql => Self {
                // `-- MariaDB dump 10.19-11.8.6-MariaDB, for …`; before 10.11, and MySQL: `Distrib 10.6.12-MariaDB, for …`.
                client: version("  Distrib ").or_else(|| version("-- MariaDB dump 10.19-")),
                server: behind("-- Server version"),
                original: behind("    Database: ").filter(|name| !name.is_empty()),
            },
            Dialect::Postgres => Self {
                client: version("-- Dumped by pg_dump version "),
                server: version("-- Dumped from database version "),
                original: None,
            },
        }
    }
}

/// Whether it begins as the dump programs do. `--skip-comments` of mysqldump begins at once with a statement.
fn is_sql_dump(head: &[u8], dialect: Dialect) -> bool {
    let starts = |words: &[&[u8]]| words.iter().any(|word| head.trim_ascii_start().starts_with(word));
    match dialect {
        Dialect::Mysql => starts(&[b"-- MySQL dump", b"-- MariaDB dump", b"/*!", b"/*M!"]),
        Dialect::Postgres => {
            starts(&[b"--\n-- PostgreSQL database dump", b"--\n-- PostgreSQL database cluster dump"])
                || starts(&[b"--\r\n-- PostgreSQL database "])
        }
    }
}

/// The engine that a bare dump is for, by its first few hundred bytes. `None` for what is no dump: a message, nothing.
pub fn sniff(first_bytes: &[u8]) -> Option<Engine> {
    let first = first_bytes.trim_ascii_start();
    let has = |word: &[u8]| memchr::memmem::find(&first[..first.len().min(1 << 10)], word).is_some();
    if Rdb::is_rdb(first_bytes) {
        return Some(if first_bytes.starts_with(b"VALKEY") { Engine::Valkey } else { Engine::Redis });
    }
    match () {
        () if is_sql_dump(first, Dialect::Postgres) => Some(Engine::Postgres),
        // MariaDB's program called itself MySQL's until 10.4, but for its version.
        () if is_sql_dump(first, Dialect::Mysql) && has(b"MariaDB") => Some(Engine::Mariadb),
        () if is_sql_dump(first, Dialect::Mysql) => Some(Engine::Mysql),
        () => None,
    }
}

/// What the first line is, when it is not that of a dump.
fn no_dump(head: &[u8]) -> NotWhole {
    let first = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = readable(&first[..first.len().min(QUOTED)]);
    if is_message(&text) { NotWhole::Message { line: text } } else { NotWhole::NotADump { begins: text } }
}

/// How programs begin that have something to say instead: clients, docker, compose, shells.
const MESSAGES: [&str; 24] = [
    "mysqldump:",
    "mariadb-dump:",
    "mysql:",
    "mariadb:",
    "pg_dump:",
    "pg_dumpall:",
    "psql:",
    "redis-cli:",
    "docker:",
    "error",
    "warning",
    "usage:",
    "fatal",
    "cannot ",
    "could not ",
    "can't ",
    "no such ",
    "oci runtime",
    "the input device",
    "service ",
    "time=",
    "-err",
    "noauth",
    "unable ",
];

/// Whether a line is a message of a program.
fn is_message(line: &str) -> bool {
    let line = line.to_lowercase();
    let of_a_shell = |shell: &str| line.split_once(':').is_some_and(|(name, _)| name.ends_with(shell));
    MESSAGES.iter().any(|start| line.starts_with(start)) || of_a_shell("sh") || line.contains(": not found")
}

fn last_line(tail: &[u8]) -> String {
    let line = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    readable(&line[line.len().saturating_sub(QUOTED)..])
}

/// Text for a message: what cannot be shown is replaced.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// Nobody else listens.
struct Nobody;

impl Visitor for Nobody {
    fn text(&mut self, _bytes: &[u8]) {}
    fn begin(&mut self) {}
    fn known(&mut self, _kind: &Kind, _head: &[u8]) {}
    fn end(&mut self, _statement: &Statement<'_>) {}
    fn command(&mut self, _line: &[u8]) {}
    fn comment(&mut self, _line: &[u8]) {}
}

/// Two listen.
struct Two<'a, A, B>(&'a mut A, &'a mut B);

impl<A: Visitor, B: Visitor> Visitor for Two<'_, A, B> {
    fn text(&mut self, bytes: &[u8]) {
        self.0.text(bytes);
        self.1.text(bytes);
    }
    fn begin(&mut self) {
        self.0.begin();
        self.1.begin();
    }
    fn known(&mut self, kind: &Kind, head: &[u8]) {
        self.0.known(kind, head);
        self.1.known(kind, head);
    }
    fn end(&mut self, statement: &Statement<'_>) {
        self.0.end(statement);
        self.1.end(statement);
    }
    fn command(&mut self, line: &[u8]) {
        self.0.command(line);
        self.1.command(line);
    }
    fn comment(&mut self, line: &[u8]) {
        self.0.comment(line);
        self.1.comment(line);
    }
}
