//! Passwords in statements of SQL that insert rows: the name stands in one list, the value at the same place of another.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::plain;
use super::rule::{Candidate, Rule, telltales};

/// One rule, for tables of users as applications fill them.
pub(super) static RULES: [Rule; 1] =
    [Rule::by("sql-password", telltales!(Column: "passw", "Passw", "PASSW", "pwd", "PWD"), values_of_passwords)
        .only(|candidate| {
            candidate.value().len() >= 4 && !is_expression(candidate) && !plain::is_hash(candidate.value())
        })
        .advice("change this user's password, and keep statements that set one out of the log")];

/// How much of a list is looked at, in bytes.
const LONGEST_LIST: usize = 4 << 10;

/// A statement up to its first bracket; the table's name may be quoted, also within JSON.
static STATEMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?i)\b(?:insert|replace)\s{1,2}(?:ignore\s{1,2})?into\s{1,2}[^\s(]{1,130}\s{0,2}\(";
    RegexBuilder::new(pattern).unicode(false).build().ok()
});

/// Whether a list of columns goes on behind a column's name, and a list of values follows. The statement may go on in the
/// next lines.
pub(super) fn is_column(after: &[u8]) -> bool {
    let window = &after[..after.len().min(LONGEST_LIST)];
    let quotes = window.iter().take(4).take_while(|byte| matches!(byte, b'`' | b'"' | b'\\' | b']' | b' ')).count();
    let has = |word: &[u8]| memchr::memmem::find(window, word).is_some();
    matches!(window.get(quotes), Some(b',' | b')')) && (has(b"alues") || has(b"ALUES"))
}

fn values_of_passwords(record: &[u8], found: &mut Vec<Range<usize>>) {
    let Some(statement) = STATEMENT.as_ref() else { return };
    let mut from = 0;
    while let Some(begins) = statement.find_at(record, from) {
        from = begins.end();
        let (columns, end) = list(record, from);
        let passwords: Vec<usize> =
            (0..columns.len()).filter(|number| is_password(&record[columns[*number].clone()])).collect();
        let Some(mut at) = end.filter(|_| !passwords.is_empty()).and_then(|end| behind_values(record, end)) else {
            continue;
        };
        // One list for each row.
        while record.get(at) == Some(&b'(') {
            let (values, end) = list(record, at + 1);
            let is_whole = values.len() == columns.len();
            let wanted = passwords.iter().filter_map(|number| values.get(*number));
            found.extend(wanted.filter_map(|value| bare(record, value.clone(), is_whole)));
            let Some(end) = end else { break };
            at = end + record[end..].iter().take(8).take_while(|byte| is_between(**byte)).count();
            from = at;
        }
    }
}

/// The parts of a list that begins here, and where it is closed; where it is cut, its parts so far.
fn list(record: &[u8], from: usize) -> (Vec<Range<usize>>, Option<usize>) {
    let window = &record[..record.len().min(from + LONGEST_LIST)];
    let (mut parts, mut start, mut at, mut depth) = (Vec::new(), from, from, 0_u32);
    let mut quote = None;
    while let Some(byte) = window.get(at) {
        match (byte, quote) {
            // What is escaped neither opens nor closes anything.
            (b'\\', _) => at += 1,
            (_, Some(open)) => quote = (*byte != open).then_some(open),
            (b'\'' | b'"' | b'`', None) => quote = Some(*byte),
            (b'(', None) => depth += 1,
            (b')', None) if depth > 0 => depth -= 1,
            (b')', None) => {
                parts.push(start..at);
                return (parts, Some(at + 1));
            }
            (b',', None) if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(start.min(window.len())..window.len());
    (parts, None)
}

/// Whether a column is named like a password, and not like the hash of one.
fn is_password(column: &[u8]) -> bool {
    let name = column.trim_ascii().to_ascii_lowercase();
    let name: Vec<u8> = name.into_iter().filter(|byte| !matches!(byte, b'`' | b'"' | b'\\' | b'[' | b']')).collect();
    [&b"password"[..], b"passwd", b"passphrase", b"pwd"].iter().any(|end| name.ends_with(end))
}

/// The bracket behind `VALUES`, if that comes next.
fn behind_values(record: &[u8], from: usize) -> Option<usize> {
    let skip = |at: usize| at + record[at..].iter().take(8).take_while(|byte| is_between(**byte)).count();
    let word = skip(from);
    let is_values = record.get(word..word + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"values"));
    is_values.then(|| skip(word + 6))
}

/// What stands between lists: blanks, line ends, also written as `\n`, and commas.
fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'\\' | b'n' | b't' | b',')
}

/// The value without its quotes. Where frameworks put values in without quotes, they may hold commas: they are believed only
/// if there are as many as columns.
fn bare(record: &[u8], value: Range<usize>, is_whole: bool) -> Option<Range<usize>> {
    let text = &record[value.clone()];
    if let Some(opening) = text.iter().position(|byte| matches!(byte, b'\'' | b'"')) {
        let start = value.start + opening + 1;
        let rest = &record[start..value.end];
        let length = rest.iter().position(|byte| *byte == text[opening]).unwrap_or(rest.len());
        // Within JSON the closing quote has a backslash of its own.
        let length = if rest[..length].ends_with(b"\\") { length - 1 } else { length };
        return Some(start..start + length);
    }
    let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    is_whole.then(|| value.start + blanks..value.start + blanks + text.trim_ascii().len())
}

/// Whether it stands for a value that comes from elsewhere: `NULL`, `DEFAULT`, `?`, `$1`, `:password`, `@p1`, `NOW()`.
fn is_expression(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    let is_numbered =
        matches!(value, [b'$' | b'@' | b'?', number @ ..] if number.iter().all(u8::is_ascii_alphanumeric));
    let is_quoted = candidate.before(1).ends_with(b"'") || candidate.before(1).ends_with(b"\"");
    let is_word = [&b"default"[..], b"null"].iter().any(|word| value.eq_ignore_ascii_case(word));
    plain::is_placeholder(value) || !is_quoted && (is_numbered || is_word || value.ends_with(b")"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        values_of_passwords(text.as_bytes(), &mut found);
        found.into_iter().map(|at| &text[at]).collect()
    }

    #[test]
    fn the_value_is_that_at_the_place_of_the_name() {
        for (text, expected) in [
            ("INSERT INTO users (name, password) VALUES ('jane', 'hunter2')", vec!["hunter2"]),
            ("insert into `users` (`password`, `name`) values (hunter2, jane)", vec!["hunter2"]),
            ("INSERT INTO u (a, pwd, b) VALUES (1, 'x1x1', NULL), ('a,b)', 'y2y2', NOW())", vec!["x1x1", "y2y2"]),
            ("INSERT INTO u (a, password) VALUES ('it''s', 'hunter2')", vec!["hunter2"]),
            ("INSERT INTO u (a, password)\nVALUES ('it\\'s', md5('hunter2'))", vec!["hunter2"]),
            (r#"{"sql":"INSERT INTO \"u\" (\"a\", \"password\") VALUES ('x', 'hunter2')"}"#, vec!["hunter2"]),
            ("replace into u (password) values ('never closed", vec!["never closed"]),
            ("INSERT INTO u (a, password) VALUES (O, Neill, hunter2)", vec![]),
            ("INSERT INTO u (name, password_hash) VALUES ('jane', 'hunter2')", vec![]),
            ("INSERT INTO u (a, password) SELECT a, b FROM t WHERE c = 'hunter2'", vec![]),
        ] {
            assert_eq!(found(text), expected, "in {text}");
        }
    }

    proptest! {
        #[test]
        fn any_statement_has_values_within_it(text in "(insert into u \\(|password|pwd|values|\\(|\\)|,|'|\"|\\\\|a| |\n){0,40}") {
            let mut places = Vec::new();
            values_of_passwords(text.as_bytes(), &mut places);
            prop_assert!(places.iter().all(|at| at.start <= at.end && at.end <= text.len()));
            is_column(text.as_bytes());
        }
    }
}
