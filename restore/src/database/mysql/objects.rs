//! What a database has beside its tables, as statements: read from the server's own dump client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use memchr::memmem::find;
use shipshape_core::database::dump::unqualified_triggers;
use shipshape_core::database::{Client, DatabaseError, Dump, Objects, is_ours};
use shipshape_core::machine;
use shipshape_core::report::Notice;

use super::super::RestoreError;
use super::inventory::Inventory;
use super::literal;

/// The most that the objects of one kind may take, in bytes.
const LIMIT: u64 = 256 << 20;

/// The last line of a dump that is whole.
const END_MARK: &str = "-- Dump completed";

/// All kinds.
pub(super) const KINDS: [Objects; 4] = [Objects::Triggers, Objects::Routines, Objects::Views, Objects::Events];

/// The statements that make the objects of these kinds, for any database; nothing for kinds that it has none of.
pub(super) fn read(
    client: &Client<'_>,
    database: &str,
    kinds: &[Objects],
    inventory: &Inventory,
) -> Result<BTreeMap<Objects, Vec<u8>>, RestoreError> {
    let of: Vec<(Objects, Vec<String>)> =
        kinds.iter().filter_map(|kind| Some((*kind, named(*kind, inventory)?))).collect();
    if of.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mark = format!("-- shipshape {:016x}", machine::random());
    let mut exec = client.dump(Dump::Objects { database, of: &of, mark: &mark })?;
    let mut text = Vec::new();
    let read = (&mut exec).take(LIMIT).read_to_end(&mut text);
    client.ended(exec, "reading triggers, views and routines", Some(database))?;
    read.map_err(|cause| client.broken(&cause))?;
    let mut all = BTreeMap::new();
    for (kind, _) in &of {
        let section = section(client, &text, &mark, *kind)?;
        let section = if *kind == Objects::Triggers { unqualified_triggers(&section) } else { section };
        all.insert(*kind, of_any_database(section, database));
    }
    Ok(all)
}

/// What the client is to look at, if the database has any of the kind.
fn named(kind: Objects, inventory: &Inventory) -> Option<Vec<String>> {
    let any_table = || inventory.tables.first().cloned().into_iter().collect();
    match kind {
        Objects::Triggers => Some(inventory.triggered()).filter(|tables| !tables.is_empty()),
        Objects::Views => Some(inventory.views.clone()).filter(|views| !views.is_empty()),
        Objects::Routines => (!inventory.routines.is_empty()).then(any_table),
        Objects::Events => (!inventory.events.is_empty()).then(any_table),
    }
}

/// What stands behind the mark of a kind, which must be whole.
fn section(client: &Client<'_>, text: &[u8], mark: &str, kind: Objects) -> Result<Vec<u8>, RestoreError> {
    let begin = format!("{mark} {}\n", kind.word());
    let rest = find(text, begin.as_bytes()).map(|at| &text[at + begin.len()..]).unwrap_or_default();
    let section = &rest[..find(rest, mark.as_bytes()).unwrap_or(rest.len())];
    let end = String::from_utf8_lossy(&section[section.len().saturating_sub(200)..]).into_owned();
    if end.contains(END_MARK) {
        return Ok(section.to_vec());
    }
    Err(DatabaseError::Answer { service: client.service().to_owned(), answer: end }.into())
}

/// Around an object that was made while the database had another character set, the client changes that of the database
/// and back. Without a name, the current one is meant.
pub(super) fn of_any_database(text: Vec<u8>, database: &str) -> Vec<u8> {
    let quoted = super::quoted(database);
    let text = replaced(text, format!("ALTER DATABASE {quoted} ").as_bytes(), b"ALTER DATABASE ");
    if is_ours(database) { without(&text, format!("{quoted}.").as_bytes()) } else { text }
}

/// MariaDB leaves the database in the columns of a view whose definer may not read it, and nobody has rights on a database
/// that only restores know. Its name with the time in it means nothing else anywhere.
fn without(text: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(name) {
            rest = behind;
        } else {
            out.push(*first);
            rest = others;
        }
    }
    out
}

fn replaced(text: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    if find(&text, from).is_none() {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(from) {
            Some(rest) => {
                out.extend_from_slice(to);
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// Whether a view can be read.
pub(super) fn is_usable(client: &Client<'_>, database: &str, view: &str) -> bool {
    client.sql(Some(database), &format!("SHOW FIELDS FROM {}", super::quoted(view))).is_ok()
}

/// Whether two texts make the same objects: all but the names of databases in the client's own comments is the same.
pub(super) fn are_same(one: &[u8], other: &[u8]) -> bool {
    let says = |line: &&[u8]| !OWN_COMMENTS.iter().any(|begin| line.starts_with(begin.as_bytes()));
    one.split(|byte| *byte == b'\n').filter(says).eq(other.split(|byte| *byte == b'\n').filter(says))
}

/// How the comments begin in which the client names the database.
const OWN_COMMENTS: [&str; 4] =
    ["-- Host: ", "-- Dumping routines for database ", "-- Dumping events for database ", "-- Current Database: "];

/// Who must exist for an object to be used: a warning for each that is not known here.
pub(super) fn missing_definers(client: &Client<'_>, database: &str, events: &[u8]) -> Vec<Notice> {
    let name = literal(database);
    let asked = format!(
        "SET SESSION sql_mode = '';
         SELECT 'needs', DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {name}
         UNION SELECT 'needs', DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {name}
         UNION SELECT 'needs', DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {name};
         SELECT 'has', CONCAT(User, '@', Host) FROM mysql.user"
    );
    // Who may not look into `mysql.user` learns of it from the first statement that uses such an object.
    let Ok(rows) = client.sql(None, &asked) else { return Vec::new() };
    let of = |word: &'static str| {
        let rows = rows.iter().filter(move |row| row.first().is_some_and(|first| first == word));
        rows.filter_map(|row| row.get(1).cloned()).collect::<BTreeSet<String>>()
    };
    let mut needed = of("needs");
    needed.extend(definers(events));
    let warning = |definer: &String| {
        let message =
            format!("the user {definer} does not exist here, and triggers, views or routines act as that user");
        Notice::new(
            "restore.definer",
            message,
            "create the user with the rights that it had, or they fail when they are used",
        )
    };
    needed.difference(&of("has")).map(warning).collect()
}

/// The definers that statements name: ``DEFINER=`root`@`localhost` ``.
pub(super) fn definers(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let name = |rest: &str| {
        let (user, rest) = rest.split_once("`@`")?;
        let (host, _) = rest.split_once('`')?;
        Some(format!("{user}@{host}"))
    };
    text.split("DEFINER=`").skip(1).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_that_statements_change_is_the_current_one() {
        let text = b"x\nALTER DATABASE `a``b` CHARACTER SET latin1 ;\n  ALTER DATABASE `a``b` y\n".to_vec();
        let changed = String::from_utf8(of_any_database(text, "a`b")).unwrap();
        assert_eq!(changed, "x\nALTER DATABASE CHARACTER SET latin1 ;\n  ALTER DATABASE `a``b` y\n");
    }

    #[test]
    fn a_view_names_no_database_that_only_restores_know() {
        let of = |name: &str| format!("VIEW `v` AS select sum(`{name}`.`t`.`n`), `{name}`.`f`() from `t`");
        let ours = "a__restore_20261120T020000";
        let told = |name: &str| String::from_utf8(of_any_database(of(name).into_bytes(), name)).unwrap();
        assert_eq!(told(ours), "VIEW `v` AS select sum(`t`.`n`), `f`() from `t`");
        assert_eq!(told("shop"), of("shop"));
    }

    #[test]
    fn only_the_names_of_databases_in_the_client_s_comments_may_differ() {
        let text = |name: &str| format!("-- Host: localhost    Database: {name}\n-- a comment\nCREATE x\n");
        assert!(are_same(text("a").as_bytes(), text("b").as_bytes()));
        assert!(!are_same(b"-- a comment\n", b"-- another\n"));
    }

    #[test]
    fn the_definers_of_events_are_read_from_their_statements() {
        let text = b"/*!50106 CREATE*/ /*!50117 DEFINER=`app`@`%`*/ /*!50106 EVENT `e` ...";
        assert_eq!(definers(text), ["app@%"]);
    }
}
