//! What is worth a warning about databases, though they are copied. Pure.

use shipshape_core::archive::manifest::{DatabaseFacts, Payload};
use shipshape_core::database::{Facts, LeftOut};
use shipshape_core::report::Notice;
use shipshape_core::units::{ByteSize, counted};

/// How many names a message has.
const NAMES: usize = 5;

/// Below this size a dump may shrink as it likes, in bytes: what is left then is the schema.
const WORTH_A_WORD: u64 = 100_000;

/// A database that this version cannot copy.
pub(super) fn not_copied(left_out: &LeftOut) -> Notice {
    let message = format!("the service {} {}", left_out.service, left_out.why);
    let hint = "write its dumps into the application's folder before each backup; and say that you know: label shipshape.backup=false";
    Notice::new("databases.not_copied", message, hint)
}

/// Tables that change while they are dumped.
pub(super) fn untransactional(facts: &Facts) -> Vec<Notice> {
    let odd = facts.databases.iter().filter(|database| !database.untransactional.is_empty());
    odd.map(|database| {
        let names = bounded(&database.untransactional);
        let message = format!(
            "tables of {:?} know no transactions, so their copy may be of several moments: {names}",
            database.name
        );
        let hint = "convert them: ALTER TABLE … ENGINE=InnoDB; or stop whoever writes to them meanwhile: [backup] stop";
        Notice::new("database.untransactional", message, hint)
    })
    .collect()
}

/// Tables that keep what they were, where a dump has only what they are.
pub(super) fn without_history(facts: &Facts) -> Vec<Notice> {
    let odd = facts.databases.iter().filter(|database| !database.without_history.is_empty());
    odd.map(|database| {
        let names = bounded(&database.without_history);
        let message =
            format!("the dump of {:?} lacks the history of system-versioned tables: {names}", database.name);
        let hint = "MariaDB dumps history since version 11.5, unless a table counts it by transactions; keep the volume's files for it: [backup] stop, or a copy of a stopped server";
        Notice::new("database.history", message, hint)
    })
    .collect()
}

/// Databases to which nobody may connect.
pub(super) fn closed(service: &str, facts: &Facts) -> Option<Notice> {
    let message = format!(
        "databases of the service {service} allow no connections, and are not copied: {}",
        bounded(&facts.closed)
    );
    let hint = "ALTER DATABASE … ALLOW_CONNECTIONS true; or say that you know: [database.SERVICE] exclude";
    (!facts.closed.is_empty()).then(|| Notice::new("databases.not_copied", message, hint))
}

/// An RDB file whose server does not write checksums.
pub(crate) fn unchecked(service: &str) -> Notice {
    let message = format!("the dump of the service {service} has no checksum, because the server writes none");
    Notice::new("database.unchecked", message, "switch it on: rdbchecksum yes")
}

/// A database that has become absurdly small: an alert, not a refusal.
pub(crate) fn shrunk(before: &Payload, now: &DatabaseFacts, bytes: u64) -> Option<Notice> {
    let old = before.database.as_ref().filter(|old| old.engine.is_kin(now.engine))?;
    let rows = |facts: &DatabaseFacts| facts.tables.values().sum::<u64>();
    let (had_tables, had_rows) = (old.tables.len() as u64, rows(old));
    let what = if had_tables > 0 && now.tables.is_empty() {
        format!("no tables, and the last good one had {}", counted(had_tables, "table", "tables"))
    } else if had_rows > 0 && rows(now) == 0 {
        format!("no rows, and the last good one had {}", counted(had_rows, "row", "rows"))
    } else if before.bytes_plain >= WORTH_A_WORD && bytes < before.bytes_plain / 2 {
        format!("{}, and the last good one had {}", ByteSize(bytes), ByteSize(before.bytes_plain))
    } else {
        return None;
    };
    let message = format!("the dump of {} has {what}", before.name);
    Some(Notice::new("backup.shrunk", message, SHRUNK))
}

/// What to do about a database that is smaller than it was, or gone.
const SHRUNK: &str = "if that is not what you did: its last good copy stays, and nothing is pruned meanwhile; restore latest --only NAME has it. If it is: backup --accept-shrunk";

/// Databases that there should be and that no server has any more, with the warning.
pub(crate) fn gone(before: &[Payload], now: &[Payload]) -> Option<(Vec<String>, Notice)> {
    let is_there = |payload: &&Payload| now.iter().any(|other| other.name == payload.name);
    let lost = before.iter().filter(|payload| payload.database.is_some() && !is_there(payload));
    let names: Vec<String> = lost.map(|payload| payload.name.clone()).collect();
    let message = format!("the snapshot lacks databases that the last good one had: {}", bounded(&names));
    (!names.is_empty()).then(|| (names, Notice::new("backup.shrunk", message, SHRUNK)))
}

/// The first names, and how many more there are.
fn bounded(names: &[String]) -> String {
    let shown = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use shipshape_core::archive::manifest::PayloadKind;
    use shipshape_core::database::{Database, Engine};

    /// What is known of a dump with one table of so many rows; without tables where that is none.
    fn facts(rows: Option<u64>) -> DatabaseFacts {
        let tables = rows.map(|rows| ("orders".to_owned(), rows)).into_iter().collect();
        DatabaseFacts { tables, ..DatabaseFacts::new(Engine::Mariadb, "shop", "db") }
    }

    fn before(rows: Option<u64>, bytes: u64) -> Payload {
        Payload {
            name: "shop".to_owned(),
            kind: PayloadKind::Database,
            object: String::new(),
            bytes_plain: bytes,
            bytes_stored: 0,
            sha256_plain: String::new(),
            sha256_stored: String::new(),
            entries: 1,
            database: Some(facts(rows)),
        }
    }

    fn said(before: &Payload, rows: Option<u64>, bytes: u64) -> Option<String> {
        shrunk(before, &facts(rows), bytes).map(|notice| notice.message)
    }

    #[test]
    fn a_database_that_lost_its_tables_rows_or_half_its_size_is_told_with_both_figures() {
        let last = before(Some(7), 4_000_000);
        let told = |rows, bytes| said(&last, rows, bytes).unwrap();
        assert_eq!(told(None, 3_900_000), "the dump of shop has no tables, and the last good one had 1 table");
        assert_eq!(told(Some(0), 3_900_000), "the dump of shop has no rows, and the last good one had 7 rows");
        assert_eq!(told(Some(7), 1_900_000), "the dump of shop has 1.9 MB, and the last good one had 4.0 MB");
    }

    #[test]
    fn what_shrinks_a_little_or_was_small_anyway_is_no_news() {
        assert_eq!(said(&before(Some(7), 4_000_000), Some(1), 2_000_000), None);
        assert_eq!(said(&before(Some(7), 99_999), Some(1), 10), None);
        assert_eq!(said(&before(None, 500), None, 500), None);
    }

    #[test]
    fn of_many_names_the_first_are_told_and_the_rest_counted() {
        let tables: Vec<String> = (1..=7).map(|number| format!("t{number}")).collect();
        let database = Database { name: "shop".to_owned(), untransactional: tables, ..Database::default() };
        let (engine, version) = (Engine::Mariadb, String::new());
        let facts =
            Facts { engine, version, databases: vec![database], ours: vec![], closed: vec![], longest_statement: None };
        let notices = untransactional(&facts);
        assert!(notices[0].message.ends_with(": t1, t2, t3, t4, t5 and 2 more"), "{}", notices[0].message);
    }
}
