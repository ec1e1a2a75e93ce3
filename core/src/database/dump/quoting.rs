//! What bytes mean to the clients of MySQL and PostgreSQL: which begin a comment, a string, a line for the client.

use memchr::{memchr, memchr2, memmem};

use super::head::{Kind, Verb};
use super::lexer::{Dialect, LOOK};

/// What ends statements and strings. Statements of the dump change it.
pub(super) struct Quoting {
    dialect: Dialect,
    delimiter: Vec<u8>,
    /// Whether a backslash escapes in plain strings.
    backslash: bool,
    /// The bytes that may change anything.
    special: [bool; 256],
}

impl Quoting {
    /// As it is at the beginning of a dump.
    pub(super) fn new(dialect: Dialect) -> Self {
        let mut new =
            Self { dialect, delimiter: Vec::new(), backslash: dialect == Dialect::Mysql, special: [false; 256] };
        new.delimit(b";");
        new
    }

    /// Statements end with this from now on.
    pub(super) fn delimit(&mut self, delimiter: &[u8]) {
        let plain: &[u8] = match self.dialect {
            Dialect::Mysql => b"'\"`()-/#\\",
            Dialect::Postgres => b"'\"()-/\\$",
        };
        self.delimiter = delimiter.to_vec();
        self.special = [false; 256];
        for byte in plain.iter().chain(delimiter.first()) {
            self.special[usize::from(*byte)] = true;
        }
    }

    /// What statements end with.
    pub(super) fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    /// Whether a delimiter is in force that lets semicolons stand in bodies.
    pub(super) fn is_in_block(&self) -> bool {
        self.delimiter != b";"
    }

    /// The first byte that may change anything.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| self.special[usize::from(*byte)])
    }

    /// Whether a backslash escapes in the string that begins with `quote` behind these two bytes.
    pub(super) fn escapes(&self, quote: u8, before: [u8; 2]) -> bool {
        match (self.dialect, quote) {
            (_, b'`') | (Dialect::Postgres, b'"') => false,
            (Dialect::Mysql, _) => self.backslash,
            // E'…', but not an E that ends a word.
            (Dialect::Postgres, _) => self.backslash || (before[1].eq_ignore_ascii_case(&b'e') && !is_name(before[0])),
        }
    }

    /// Heeds a statement that changes what a backslash means.
    pub(super) fn heed(&mut self, kind: &Kind, head: &[u8]) {
        if kind.verb != Verb::Set {
            return;
        }
        let text = head.to_ascii_lowercase();
        let has = |word: &[u8]| memmem::find(&text, word).is_some();
        match self.dialect {
            Dialect::Mysql if has(b"sql_mode") => self.backslash = !has(b"no_backslash_escapes"),
            Dialect::Postgres if has(b"standard_conforming_strings") => self.backslash = has(b"off"),
            Dialect::Mysql | Dialect::Postgres => {}
        }
    }
}

/// Whether a byte may stand in a name.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Whether a first byte alone says that a statement begins, or the bytes are enough to know otherwise.
pub(super) fn is_sure(rest: &[u8], dialect: Dialect) -> bool {
    let first = rest[0].to_ascii_lowercase();
    first.is_ascii_alphabetic() && (dialect == Dialect::Postgres || first != b'd')
}

/// Whether a comment begins that ends with its line. MySQL wants white space behind the dashes.
pub(super) fn is_line_comment(rest: &[u8], dialect: Dialect) -> bool {
    match dialect {
        Dialect::Mysql if rest[0] == b'#' => true,
        Dialect::Mysql => rest.starts_with(b"--") && rest.get(2).is_none_or(|byte| *byte <= b' '),
        Dialect::Postgres => rest.starts_with(b"--"),
    }
}

/// Whether a comment begins that nothing in it ends but its mark. MySQL's `/*!` and MariaDB's `/*M!` are statements.
pub(super) fn is_block_comment(rest: &[u8], dialect: Dialect) -> bool {
    let conditional = rest.starts_with(b"/*!") || rest.starts_with(b"/*M!");
    rest.starts_with(b"/*") && (dialect == Dialect::Postgres || !conditional)
}

/// The line that keeps MariaDB's client from running programs; other clients cannot read it.
pub(super) fn is_sandbox(rest: &[u8]) -> bool {
    rest.starts_with(br"/*!999999\-") || rest.starts_with(br"/*M!999999\-")
}

/// Whether a line for the client begins, where a statement could.
pub(super) fn is_for_the_client(rest: &[u8], dialect: Dialect) -> bool {
    let word = rest.get(..9).is_some_and(|word| word.eq_ignore_ascii_case(b"delimiter"));
    match dialect {
        Dialect::Postgres => rest[0] == b'\\',
        Dialect::Mysql => {
            rest[0] == b'\\' || is_sandbox(rest) || word && rest.get(9).is_none_or(u8::is_ascii_whitespace)
        }
    }
}

/// The tag of the dollar quote that begins here, with both dollars.
pub(super) fn dollar_tag(rest: &[u8], dialect: Dialect) -> Option<&[u8]> {
    let rest = &rest[..rest.len().min(LOOK)];
    let length = rest[1..].iter().position(|byte| *byte == b'$')?;
    let inner = &rest[1..=length];
    let named = inner.iter().all(|byte| is_name(*byte)) && !inner.first().is_some_and(u8::is_ascii_digit);
    (dialect == Dialect::Postgres && named).then_some(&rest[..length + 2])
}

/// The length of the line that ends the rows of `COPY`, if this is it; 0 if that cannot be told yet.
pub(super) fn copy_end(line: &[u8], last: bool) -> Option<usize> {
    for end in [&b"\\.\n"[..], b"\\.\r\n"] {
        if line.starts_with(end) {
            return Some(end.len());
        }
        if end.starts_with(line) && (!last || line.len() == 2) {
            return Some(if last { line.len() } else { 0 });
        }
    }
    None
}

/// How long the rest of a string is, with its closing quote, if it closes here.
pub(super) fn string_end(rest: &[u8], quote: u8, escapes: bool) -> Option<usize> {
    if !escapes {
        return memchr(quote, rest).map(|at| at + 1);
    }
    let mut at = 0;
    while at < rest.len() {
        at += memchr2(quote, b'\\', &rest[at..])?;
        if rest[at] == quote {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// Whether the last byte is a backslash that escapes what follows.
pub(super) fn ends_in_escape(rest: &[u8]) -> bool {
    rest.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Where a dollar quote ends.
pub(super) enum Tag {
    /// So many bytes on.
    Ends(usize),
    /// Not within so many bytes.
    Beyond(usize),
}

/// Looks for the end of a dollar quote.
pub(super) fn find_tag(rest: &[u8], tag: &[u8], last: bool) -> Tag {
    match memmem::find(rest, tag) {
        Some(at) => Tag::Ends(at + tag.len()),
        None if last => Tag::Beyond(rest.len()),
        None => Tag::Beyond((rest.len() + 1).saturating_sub(tag.len())),
    }
}
