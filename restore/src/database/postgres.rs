//! PostgreSQL: databases have names, and two of them change in one transaction.

#[cfg(test)]
mod fuzz;
mod roles;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::database::dump::Content;
use shipshape_core::database::{Client, DatabaseError};
use shipshape_core::report::Notice;

use super::load::{self, Frame, Scratch};
use super::{Dump, Exchange, Loaded, RestoreError, There, Way};
pub(crate) use roles::Roles;

/// PostgreSQL.
pub(crate) struct Postgres;

/// Until the swap nobody needs what is loaded to survive a power cut: it is made durable as a whole, afterwards.
const FRAME: Frame = Frame { init: "", before: "SET synchronous_commit = off;\n", after: "" };

/// How often the swap is tried: pools come back at once.
const TRIES: u32 = 10;

impl Way for Postgres {
    fn load(
        &self,
        client: &Client<'_>,
        facts: &DatabaseFacts,
        into: &str,
        dump: Dump,
        _: &Path,
    ) -> Result<Loaded, RestoreError> {
        let from = maintenance(client, into)?;
        // Goes to its end even when we are asked to stop: else nobody knew whether there is something to remove.
        client.for_cleanup().sql(Some(&from), &created(into, &facts.settings))?;
        let scratch = Scratch::new(client, Some(from.clone()), dropped(into));
        let (loaded, _) = load::feed(client, Content::Database, Some(into), FRAME, dump)?;
        let tables = rows(client, into)?;
        load::compare(facts, &loaded.seen, &tables)?;
        // Asynchronous commits are on disk with the next checkpoint at the latest.
        client.sql(Some(&from), "CHECKPOINT").map(drop).or_else(unprivileged)?;
        scratch.keep();
        let rows = tables.values().sum();
        Ok(Loaded { tables, rows, later: Vec::new(), notices: Vec::new(), hold: None })
    }

    fn prepare(&self, _: &Client<'_>, _: &mut Exchange, _: &Path) -> Result<Vec<Notice>, RestoreError> {
        Ok(Vec::new())
    }

    /// An empty database, as a new server has it, is moved out of the way like any other, and not kept afterwards.
    fn swap(&self, client: &Client<'_>, exchange: &Exchange, _: &Path) -> Result<(), RestoreError> {
        let Exchange { live, incoming, outgoing, .. } = exchange;
        let out = is_there(client, live)?.then_some((live, outgoing));
        let into = is_there(client, incoming)?.then_some((incoming, live));
        rename(client, &out.into_iter().chain(into).collect::<Vec<_>>())
    }

    /// All names change in one transaction, so what is where tells all.
    fn back(&self, client: &Client<'_>, exchange: &Exchange, _: &Path) -> Result<(), RestoreError> {
        let Exchange { live, incoming, outgoing, .. } = exchange;
        client.sql(Some(&maintenance(client, live)?), &alone(live))?;
        let is_back = is_there(client, incoming)?;
        let out = (!is_back && is_there(client, live)?).then_some((live, incoming));
        let into = is_there(client, outgoing)?.then_some((outgoing, live));
        match (out, into) {
            // Nobody may have come in since a swap that was cut short before it changed a name.
            (None, None) if is_there(client, live)? => {
                client.sql(Some(&maintenance(client, live)?), &opened(live))?;
                Ok(())
            }
            (out, into) => rename(client, &out.into_iter().chain(into).collect::<Vec<_>>()),
        }
    }

    /// All names change in one transaction, so that what comes in is where it was, or live.
    fn is_swapped(&self, client: &Client<'_>, exchange: &Exchange) -> Result<bool, RestoreError> {
        let Exchange { live, incoming, .. } = exchange;
        client.sql(Some(&maintenance(client, live)?), &alone(live))?;
        Ok(!is_there(client, incoming)? && is_there(client, live)?)
    }

    fn discard(&self, client: &Client<'_>, database: &str) -> Result<(), RestoreError> {
        if is_there(client, database)? {
            client.sql(Some(&maintenance(client, database)?), &(closed(database) + &dropped(database)))?;
        }
        Ok(())
    }

    fn filled(&self, client: &Client<'_>, database: &str) -> Result<BTreeMap<String, bool>, RestoreError> {
        let names: Vec<String> = client.sql(Some(database), TABLES)?.into_iter().flatten().collect();
        let ask =
            |name: &String| format!("COPY (SELECT {}, EXISTS (SELECT 1 FROM ONLY {name})) TO STDOUT;\n", literal(name));
        // A table that somebody holds locked is not waited for.
        let asked =
            format!("SET row_security = off; SET lock_timeout = '5s';\n{}", names.iter().map(ask).collect::<String>());
        load::filled(names, client.sql(Some(database), &asked), "f")
    }

    fn look(&self, client: &Client<'_>, database: &str) -> Result<There, RestoreError> {
        if !is_there(client, database)? {
            return Ok(There::Nothing);
        }
        let rows = client.sql(Some(database), IN_USE)?;
        let is_empty = rows.first().and_then(|row| row.first()).is_some_and(|count| count == "0");
        Ok(if is_empty { There::Empty } else { There::Something })
    }
}

fn is_there(client: &Client<'_>, database: &str) -> Result<bool, RestoreError> {
    let asked = format!("COPY (SELECT 1 FROM pg_database WHERE datname = {}) TO STDOUT", literal(database));
    Ok(!client.sql(Some(&maintenance(client, database)?), &asked)?.is_empty())
}

/// A database to stand in while another one is made, renamed or dropped: the one that every server has for this, else the one
/// that new ones are made from.
fn maintenance(client: &Client<'_>, other_than: &str) -> Result<String, RestoreError> {
    const USUAL: &str = "postgres";
    if other_than != USUAL {
        match client.sql(Some(USUAL), "COPY (SELECT 1) TO STDOUT") {
            Err(DatabaseError::Gone { why, .. } | DatabaseError::Client { why, .. })
                if why.contains("does not exist") || why.contains("not currently accepting") => {}
            other => return other.map(|_| USUAL.to_owned()).map_err(Into::into),
        }
    }
    Ok("template1".to_owned())
}

/// Relations and functions of somebody.
const IN_USE: &str = r"
COPY (SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%')
  + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%')) TO STDOUT";

/// A user who may not do this needs not.
fn unprivileged(refused: DatabaseError) -> Result<(), DatabaseError> {
    match refused {
        DatabaseError::Privilege { .. } => Ok(()),
        other => Err(other),
    }
}

/// A name in a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in a statement.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{escaped}'")
}

/// `CREATE DATABASE` with the settings of the one that was dumped. `template0` has nothing in it that the dump could meet.
fn created(name: &str, settings: &BTreeMap<String, String>) -> String {
    let mut sql = format!("CREATE DATABASE {} TEMPLATE template0", quoted(name));
    let stated = |key: &str| settings.get(key).filter(|value| !value.is_empty());
    if let Some(owner) = stated("owner") {
        let _ = write!(sql, " OWNER {}", quoted(owner));
    }
    for (key, word) in [("encoding", "ENCODING"), ("collate", "LC_COLLATE"), ("ctype", "LC_CTYPE")] {
        if let Some(value) = stated(key) {
            let _ = write!(sql, " {word} {}", literal(value));
        }
    }
    // `c` is what a server without a word on it takes: libc.
    match (stated("provider").map(String::as_str), stated("locale")) {
        (Some("i"), Some(locale)) => {
            let _ = write!(sql, " LOCALE_PROVIDER icu ICU_LOCALE {}", literal(locale));
        }
        (Some("b"), Some(locale)) => {
            let _ = write!(sql, " LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(locale));
        }
        _ => {}
    }
    sql
}

fn dropped(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {}", quoted(name))
}

/// Nobody comes in any more, and who is in goes.
fn closed(name: &str) -> String {
    format!(
        "ALTER DATABASE {} ALLOW_CONNECTIONS false;\n\
         COPY (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity\n\
         WHERE datname = {} AND pid <> pg_backend_pid()) TO STDOUT;\n",
        quoted(name),
        literal(name)
    )
}

/// Changes names in one transaction. The connections to the first are ended, only now; it takes connections again whatever
/// happens.
fn rename(client: &Client<'_>, names: &[(&String, &String)]) -> Result<(), RestoreError> {
    let Some((busy, now)) = names.first() else { return Ok(()) };
    let mut sql = alone(busy) + ";\n";
    for (from, _) in names {
        // Should we be gone by now, and another run have undone all this, then it stops here.
        let _ = writeln!(sql, "{};", opened(from));
    }
    sql += &closed(busy);
    sql.push_str("BEGIN;\n");
    for (from, to) in names {
        let _ = writeln!(sql, "ALTER DATABASE {} RENAME TO {};", quoted(from), quoted(to));
    }
    let _ = writeln!(sql, "{};\nCOMMIT;", opened(now));
    let from = maintenance(client, busy)?;
    let mut refused = None;
    for _ in 0..TRIES {
        match client.sql(Some(&from), &sql) {
            Ok(_) => return Ok(()),
            // 55006, `object_in_use`: a connection that was just ending.
            Err(DatabaseError::Client { why, .. }) if why.contains("being accessed") => refused = Some(why),
            Err(other) => {
                reopen(client, &from, busy);
                return Err(other.into());
            }
        }
    }
    reopen(client, &from, busy);
    Err(RestoreError::Busy { database: (*busy).clone(), why: refused.unwrap_or_default() })
}

/// Takes a lock of the server's that ends with the session: what we have sent goes on there even if we are killed, and the
/// next run has to wait for its end before it looks at what has happened.
fn alone(about: &str) -> String {
    format!("COPY (SELECT 1 FROM pg_advisory_lock(hashtext({}))) TO STDOUT", literal(about))
}

/// It takes connections.
fn opened(database: &str) -> String {
    format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", quoted(database))
}

fn reopen(client: &Client<'_>, from: &str, database: &str) {
    // A server that is gone does not hear it; then the journal tells the next run to do it.
    let _ = client.for_cleanup().sql(Some(from), &opened(database));
}

/// Rows of each table by itself, without those that inherit from it. What extensions bring is theirs.
fn rows(client: &Client<'_>, database: &str) -> Result<BTreeMap<String, u64>, RestoreError> {
    let names: Vec<String> = client.sql(Some(database), TABLES)?.into_iter().flatten().collect();
    let count = |name: &String| format!("COPY (SELECT {}, count(*) FROM ONLY {name}) TO STDOUT;\n", literal(name));
    // Row level security would hide rows from whoever is no superuser; then it is an error and no wrong number.
    let asked = format!("SET row_security = off;\n{}", names.iter().map(count).collect::<String>());
    let pair = |row: Vec<String>| {
        let mut row = row.into_iter();
        Some((row.next()?, row.next()?.parse().ok()?))
    };
    Ok(client.sql(Some(database), &asked)?.into_iter().filter_map(pair).collect())
}

const TABLES: &str = r"
COPY (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ) TO STDOUT";
