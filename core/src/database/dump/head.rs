//! What a statement does, told from its first words.

use std::ops::Range;

use super::lexer::Dialect;

/// What a statement does, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Brings rows: `INSERT`, `REPLACE`.
    Insert,
    /// Brings rows behind it: `COPY … FROM stdin`.
    Copy,
    /// Creates a table, and not the placeholder of a view.
    CreateTable,
    /// Creates, changes or drops an event.
    Event,
    /// Creates or drops a trigger.
    Trigger,
    /// Creates, drops, or otherwise is about a database as a whole.
    Database,
    /// Changes a database as a whole: its character set.
    AlterDatabase,
    /// Goes over to a database.
    Use,
    /// Sets a variable of the session.
    Set,
    /// Changes what the server has replicated, or from where.
    Replication,
    /// Turns the server's log for its replicas off or on for this session.
    BinaryLog,
    /// Is a word for the client and not a statement: `source`, `system`.
    Client,
    /// Is about a thing that it names together with a database: loaded beside, it would still change that one.
    Elsewhere,
    /// Anything else.
    Other,
}

/// What a statement does, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) verb: Verb,
    /// The table or database: without quotes for MySQL, as it stands for PostgreSQL.
    pub(super) name: String,
    /// Where the name stands in the statement, quotes included.
    pub(super) place: Range<usize>,
    /// Where databases stand before the names of a trigger and its table, dots included. The servers keep a trigger as it
    /// was typed, and it can only be in the database of its table.
    pub(super) qualifiers: Vec<Range<usize>>,
    /// How the rows stand.
    rows: Rows,
}

/// How rows stand in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// Each in parentheses.
    Plain,
    /// Each in parentheses, behind a list of columns in parentheses.
    Listed,
    /// One, without parentheses: `DEFAULT VALUES`.
    Default,
}

impl Kind {
    fn of(verb: Verb) -> Self {
        Self { verb, name: String::new(), place: 0..0, qualifiers: Vec::new(), rows: Rows::Plain }
    }

    /// The rows of a statement with so many groups of parentheses.
    pub(super) fn tuples(&self, groups: u64) -> u64 {
        match (self.verb, self.rows) {
            (Verb::Insert, Rows::Plain) => groups,
            (Verb::Insert, Rows::Listed) => groups.saturating_sub(1),
            (Verb::Insert, Rows::Default) => 1,
            _ => 0,
        }
    }

    /// Whether rows stand behind the statement. Of one that is longer than its head it is assumed: a program's `COPY`
    /// with so many columns.
    pub(super) fn has_rows_behind(&self, head: &[u8], dialect: Dialect) -> bool {
        let end = head.trim_ascii_end().strip_suffix(b";").unwrap_or(head).trim_ascii_end();
        let from_stdin = end.len() >= 5 && end[end.len() - 5..].eq_ignore_ascii_case(b"stdin");
        self.verb == Verb::Copy && (from_stdin || head.len() >= dialect.head_limit())
    }
}

/// What follows `DELIMITER`, if the line is that.
pub(super) fn delimiter(line: &[u8]) -> Option<&[u8]> {
    let (word, rest) = line.split_at_checked(9)?;
    let given = rest.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    (word.eq_ignore_ascii_case(b"delimiter") && !given.is_empty()).then_some(&given[..given.len().min(16)])
}

/// Tells what a statement does.
pub(super) fn kind(head: &[u8], dialect: Dialect) -> Kind {
    let mut words = Words { head, at: 0, parts: 0, last_part: 0, dialect };
    let first = words.next_word();
    match first.as_str() {
        "INSERT" | "REPLACE" => insert(&mut words),
        "COPY" if dialect == Dialect::Postgres => named(Verb::Copy, &mut words),
        "CREATE" | "DROP" | "ALTER" => define(&first, &mut words),
        "USE" if dialect == Dialect::Mysql => named(Verb::Use, &mut words),
        "SET" => Kind::of(set(head)),
        "CHANGE" if dialect == Dialect::Mysql => Kind::of(Verb::Replication),
        "COMMENT" | "GRANT" | "REVOKE" | "SECURITY" if dialect == Dialect::Postgres => about(&mut words),
        word if dialect == Dialect::Mysql && CLIENT_WORDS.contains(&word) => Kind::of(Verb::Client),
        _ => Kind::of(Verb::Other),
    }
}

/// Words of MySQL's client that read or write files, run programs or leave the database. Source: `help` of mariadb 11.8
/// and mysql 9.7.
const CLIENT_WORDS: [&str; 15] = [
    "SOURCE",
    "SYSTEM",
    "TEE",
    "NOTEE",
    "PAGER",
    "NOPAGER",
    "EDIT",
    "CONNECT",
    "PROMPT",
    "REHASH",
    "STATUS",
    "CHARSET",
    "RESETCONNECTION",
    "SANDBOX",
    "QUIT",
];

fn named(verb: Verb, words: &mut Words<'_>) -> Kind {
    let (name, place) = words.next_name();
    // In PostgreSQL the part before the dot is a schema, which is in the database itself.
    let is_elsewhere = words.dialect == Dialect::Mysql && words.parts > 1 && verb != Verb::Use;
    Kind { verb: if is_elsewhere { Verb::Elsewhere } else { verb }, name, place, ..Kind::of(verb) }
}

/// The name of a trigger and, where it is created, that of its table: `CREATE TRIGGER a.t BEFORE INSERT ON a.orders`.
fn trigger(verb: &str, words: &mut Words<'_>) -> Kind {
    while ["IF", "NOT", "EXISTS"].contains(&words.peek().as_str()) {
        words.next_word();
    }
    let (name, place) = words.next_name();
    let mut qualifiers: Vec<Range<usize>> = words.qualifier(&place).into_iter().collect();
    if verb == "CREATE" && (0..TRIGGER_WORDS).any(|_| words.next_word() == "ON") {
        let (_, table) = words.next_name();
        qualifiers.extend(words.qualifier(&table));
    }
    Kind { name, place, qualifiers, ..Kind::of(Verb::Trigger) }
}

/// The statements of a client's dump of triggers, with no database named.
pub(super) fn unqualified(text: &[u8]) -> Vec<u8> {
    const BEGIN: &[u8] = b"DELIMITER ;;\n";
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, BEGIN) {
        let (before, block) = rest.split_at(at + BEGIN.len());
        out.extend_from_slice(before);
        let end = memchr::memmem::find(block, b"\nDELIMITER ;").unwrap_or(block.len());
        let mut statement = block[..end].to_vec();
        for range in kind(&statement, Dialect::Mysql).qualifiers.into_iter().rev() {
            statement.drain(range);
        }
        out.extend_from_slice(&statement);
        rest = &block[end..];
    }
    out.extend_from_slice(rest);
    out
}

/// The most words between a trigger's name and its table: `BEFORE UPDATE OF a, b ON`.
const TRIGGER_WORDS: usize = 256;

fn insert(words: &mut Words<'_>) -> Kind {
    while ["IGNORE", "INTO", "DELAYED", "LOW_PRIORITY", "HIGH_PRIORITY"].contains(&words.peek().as_str()) {
        words.next_word();
    }
    let mut kind = named(Verb::Insert, words);
    if words.peek_byte() == Some(b'(') {
        kind.rows = Rows::Listed;
    } else if words.peek() == "DEFAULT" {
        kind.rows = Rows::Default;
    }
    kind
}

/// `CREATE`, `DROP`, `ALTER`: of what?
fn define(verb: &str, words: &mut Words<'_>) -> Kind {
    let plain = words.head.first().is_some_and(|byte| *byte != b'/');
    loop {
        match words.next_word().as_str() {
            "OR" | "REPLACE" | "TEMPORARY" | "UNLOGGED" | "GLOBAL" | "LOCAL" => {}
            "DEFINER" => words.skip_definer(),
            "TABLE" if verb == "CREATE" && plain => return existing(Verb::CreateTable, words),
            "TRIGGER" if words.dialect == Dialect::Mysql => return trigger(verb, words),
            "TABLE" | "VIEW" | "PROCEDURE" | "FUNCTION" => return existing(Verb::Other, words),
            "EVENT" if words.dialect == Dialect::Mysql => return Kind::of(Verb::Event),
            "DATABASE" | "SCHEMA" if words.names_databases() => {
                let verb = if verb == "ALTER" { Verb::AlterDatabase } else { Verb::Database };
                return existing(verb, words);
            }
            _ => return Kind::of(Verb::Other),
        }
    }
}

/// A name behind `IF NOT EXISTS`.
fn existing(verb: Verb, words: &mut Words<'_>) -> Kind {
    while ["IF", "NOT", "EXISTS"].contains(&words.peek().as_str()) {
        words.next_word();
    }
    named(verb, words)
}

/// `COMMENT ON DATABASE x`, `GRANT CONNECT ON DATABASE x TO y`.
fn about(words: &mut Words<'_>) -> Kind {
    let mut before = String::new();
    for _ in 0..16 {
        let word = words.next_word();
        if before == "ON" && word == "DATABASE" {
            return named(Verb::Database, words);
        }
        before = word;
    }
    Kind::of(Verb::Other)
}

fn set(head: &[u8]) -> Verb {
    let text = head[..head.len().min(256)].to_ascii_uppercase();
    let has = |word: &[u8]| memchr::memmem::find(&text, word).is_some();
    if has(b"GTID_PURGED") {
        Verb::Replication
    } else if has(b"SQL_LOG_BIN") {
        Verb::BinaryLog
    } else {
        Verb::Set
    }
}

/// The words of a statement's head, without comments and the marks of conditional ones.
struct Words<'a> {
    head: &'a [u8],
    at: usize,
    /// How many parts the last name had, and where the last of them begins.
    parts: usize,
    last_part: usize,
    dialect: Dialect,
}

impl Words<'_> {
    /// MySQL calls a database a schema too; in PostgreSQL a schema is a part of one.
    fn names_databases(&self) -> bool {
        let word = &self.head[..self.at];
        self.dialect == Dialect::Mysql || word.to_ascii_uppercase().ends_with(b"DATABASE")
    }

    fn rest(&self) -> &[u8] {
        &self.head[self.at.min(self.head.len())..]
    }

    /// Passes white space, comments, and marks such as `/*!50106` and `*/`.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let taken = match rest {
                [byte, ..] if byte.is_ascii_whitespace() => 1,
                [b'*', b'/', ..] => 2,
                [b'/', b'*', b'M', b'!', ..] => 4 + digits(&rest[4..]),
                [b'/', b'*', b'!', ..] => 3 + digits(&rest[3..]),
                [b'/', b'*', ..] => memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2),
                [b'-', b'-', ..] | [b'#', ..] => memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1),
                _ => return,
            };
            self.at += taken;
        }
    }

    /// The next word in capitals, or the next other byte.
    fn next_word(&mut self) -> String {
        self.skip();
        let length = self.rest().iter().take_while(|byte| super::quoting::is_name(**byte)).count();
        let length = length.max(1).min(self.rest().len());
        let word = String::from_utf8_lossy(&self.rest()[..length]).to_ascii_uppercase();
        self.at += length;
        word
    }

    fn peek(&mut self) -> String {
        let at = self.at;
        let word = self.next_word();
        self.at = at;
        word
    }

    fn peek_byte(&mut self) -> Option<u8> {
        self.skip();
        self.rest().first().copied()
    }

    /// Passes `=`, and `user@host` with or without quotes.
    fn skip_definer(&mut self) {
        self.next_word();
        self.next_name();
        if self.peek_byte() == Some(b'@') {
            self.next_word();
            self.next_name();
        }
        if self.peek_byte() == Some(b'(') {
            // CURRENT_USER()
            self.at += 2;
        }
    }

    /// Where what stands before the last part of a name is.
    fn qualifier(&self, place: &Range<usize>) -> Option<Range<usize>> {
        (self.parts > 1).then_some(place.start..self.last_part)
    }

    /// The next name, in parts joined by dots, and where it stands.
    fn next_name(&mut self) -> (String, Range<usize>) {
        self.skip();
        let start = self.at;
        let mut name = Vec::new();
        self.parts = 0;
        loop {
            self.parts += 1;
            self.last_part = self.at;
            self.name_part(&mut name);
            let end = self.at;
            if self.peek_byte() != Some(b'.') {
                self.at = end;
                break;
            }
            name.push(b'.');
            self.at += 1;
            self.skip();
        }
        if self.dialect == Dialect::Postgres {
            name = self.head[start..self.at].to_vec();
        }
        (String::from_utf8_lossy(&name).into_owned(), start..self.at)
    }

    fn name_part(&mut self, name: &mut Vec<u8>) {
        let rest = &self.head[self.at.min(self.head.len())..];
        let Some(quote) = rest.first().copied().filter(|byte| matches!(byte, b'`' | b'"' | b'\'')) else {
            let length = rest.iter().take_while(|byte| super::quoting::is_name(**byte)).count();
            name.extend_from_slice(&rest[..length]);
            self.at += length;
            return;
        };
        self.at += 1;
        while let Some(length) = memchr::memchr(quote, self.rest()) {
            name.extend_from_slice(&self.head[self.at..self.at + length]);
            self.at += length + 1;
            if self.rest().first() != Some(&quote) {
                return;
            }
            name.push(quote);
            self.at += 1;
        }
        self.at = self.head.len();
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}
