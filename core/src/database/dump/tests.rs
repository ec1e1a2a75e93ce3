//! Dumps of real servers (fixtures/), and what may become of them.

mod fuzz;
mod properties;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::database::Engine;
use crate::error::Explain;

const MARIADB: &[u8] = include_bytes!("fixtures/mariadb-11.8.sql");
const MARIADB_FAILED: &[u8] = include_bytes!("fixtures/mariadb-11.8-unknown-database.sql");
const MYSQL: &[u8] = include_bytes!("fixtures/mysql-9.7.sql");
const MYSQL_DATABASES: &[u8] = include_bytes!("fixtures/mysql-9.7-databases.sql");
const POSTGRES: &[u8] = include_bytes!("fixtures/postgres-17.sql");
const POSTGRES_CREATE: &[u8] = include_bytes!("fixtures/postgres-17-create-inserts.sql");
const GLOBALS: &[u8] = include_bytes!("fixtures/postgres-17-globals.sql");
const REDIS_PIPE: &[u8] = include_bytes!("fixtures/redis-8-from-a-pipe.rdb");

/// The fixtures that are whole SQL dumps of one database, and where each one's end mark ends.
fn whole() -> Vec<(Engine, &'static [u8], usize)> {
    let dumps = [
        (Engine::Mariadb, MARIADB, "-- Dump completed"),
        (Engine::Mysql, MYSQL, "-- Dump completed"),
        (Engine::Mysql, MYSQL_DATABASES, "-- Dump completed"),
        (Engine::Postgres, POSTGRES, "-- PostgreSQL database dump complete"),
        (Engine::Postgres, POSTGRES_CREATE, "-- PostgreSQL database dump complete"),
    ];
    let marked = |(engine, dump, mark): (Engine, &'static [u8], &str)| {
        let end = memchr::memmem::rfind(dump, mark.as_bytes()).unwrap() + mark.len();
        (engine, dump, end)
    };
    dumps.map(marked).to_vec()
}

fn scan(engine: Engine, bytes: &[u8]) -> Result<Seen, NotWhole> {
    scan_pieces(engine, Content::Database, [bytes])
}

fn scan_pieces<'a>(
    engine: Engine,
    content: Content,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Seen, NotWhole> {
    let mut scanner = Scanner::new(engine, content);
    pieces.into_iter().for_each(|piece| scanner.feed(piece));
    scanner.finish()
}

fn load(engine: Engine, source: impl Read) -> (Vec<u8>, Result<Loaded, LoadError>) {
    let (mut loader, report) = Loader::new(engine, Content::Database, source);
    let mut out = Vec::new();
    let ended = loader.read_to_end(&mut out);
    let verdict = report.finish();
    assert_eq!(ended.is_ok(), verdict.is_ok(), "a refused dump never ends well: {verdict:?}");
    (out, verdict)
}

fn counts(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
}

/// Text without the lines that begin with any of these.
fn without(bytes: &[u8], starts: &[&str]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    text.split_inclusive('\n').filter(|line| !starts.iter().any(|start| line.starts_with(start))).collect()
}

/// Reads in pieces of these sizes, over and over.
struct Pieces<'a>(&'a [u8], Vec<usize>, usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.1[self.2 % self.1.len()].clamp(1, buffer.len());
        self.2 += 1;
        self.0.read(&mut buffer[..size])
    }
}

#[test]
fn a_mariadb_dump_shows_its_rows_whatever_the_names_and_strings_look_like() {
    let seen = scan(Engine::Mariadb, MARIADB).unwrap();
    let expected =
        counts(&[("empty_one", 0), ("ends VALUES\n(", 2), ("od`d na-me.é€", 3), ("orders", 5), ("part", 4), ("sv", 1)]);
    assert_eq!(seen.tables, expected);
    assert_eq!(seen.client.as_deref(), Some("11.8.6-MariaDB"));
    assert_eq!(seen.server.as_deref(), Some("11.8.6-MariaDB-0+deb13u1 from Debian"));
    assert_eq!(seen.original.as_deref(), Some("nasty"));
    assert!(seen.longest_statement > 300, "{}", seen.longest_statement);
}

#[test]
fn a_mysql_dump_shows_its_rows_behind_a_list_of_columns_too() {
    for dump in [MYSQL, MYSQL_DATABASES] {
        let seen = scan(Engine::Mysql, dump).unwrap();
        assert_eq!(seen.tables, counts(&[("empty_one", 0), ("od`d na-me.é€", 3), ("orders", 3), ("part", 4)]));
        assert_eq!(seen.client.as_deref(), Some("9.7.4"));
        assert_eq!(seen.original.as_deref(), Some("nasty"));
    }
}

#[test]
fn a_postgres_dump_shows_the_rows_of_copy_and_of_inserts_alike() {
    let expected = counts(&[
        ("\"Odd Schema\".\"t\"\" t;\"", 2),
        ("public.\"new\nline\"", 2),
        ("public.child", 1),
        ("public.empty_one", 0),
        ("public.nocol", 2),
        ("public.orders", 3),
        ("public.part", 0),
        ("public.part_1", 2),
        ("public.unl", 0),
    ]);
    let seen = scan(Engine::Postgres, POSTGRES).unwrap();
    assert_eq!(seen.tables, expected);
    assert_eq!((seen.client.as_deref(), seen.server.as_deref()), (Some("17.11"), Some("17.11")));
    let seen = scan(Engine::Postgres, POSTGRES_CREATE).unwrap();
    assert_eq!((seen.tables, seen.original.as_deref()), (expected, Some("nasty")));
}

#[test]
fn globals_are_whole_with_our_own_last_line_and_not_before() {
    let scan = |bytes: &[u8]| scan_pieces(Engine::Postgres, Content::Globals, [bytes]);
    let ours = b"-- Shipshape: settings of databases\nALTER DATABASE a SET work_mem = '5MB';\n-- Shipshape: settings complete\n";
    let all = [GLOBALS, ours].concat();
    assert_eq!(scan(&all).unwrap().tables.len(), 0);
    assert!(matches!(scan(GLOBALS), Err(NotWhole::Cut { .. })));
    let cut = GLOBALS.len() - 60;
    assert!(matches!(scan(&[&GLOBALS[..cut], ours].concat()), Err(NotWhole::Cut { .. })), "the roles were cut");
    assert!(matches!(scan(&all[..all.len() - 4]), Err(NotWhole::Cut { .. })));
    assert!(matches!(scan(&[&all[..], b"psql: error"].concat()), Err(NotWhole::Trailing { .. })));
}

#[test]
fn accounts_are_whole_with_our_own_last_line_and_not_before() {
    let scan = |bytes: &[u8]| scan_pieces(Engine::Mariadb, Content::Globals, [bytes]);
    let all = b"-- MariaDB dump of accounts\n-- Server version\t11.8.6-MariaDB\n-- Shipshape: account 'it\\'s'@'%'\n\
        CREATE USER `it's\n-- Shipshape: settings complete\n`@`%`;\n-- Shipshape: settings complete\n";
    assert_eq!(scan(all).unwrap().server.as_deref(), Some("11.8.6-MariaDB"));
    assert!(matches!(scan(&all[..all.len() - 33]), Err(NotWhole::Cut { .. })), "a name is no last line");
    assert!(matches!(scan(&all[..all.len() - 4]), Err(NotWhole::Cut { .. })));
    assert!(matches!(scan(&[&all[..], b"GRANT"].concat()), Err(NotWhole::Trailing { .. })));
}

#[test]
fn an_end_mark_within_a_dump_of_several_databases_is_not_the_end() {
    let middle = [&b"--\n-- PostgreSQL database cluster dump\n--\n\n"[..], POSTGRES].concat();
    assert!(matches!(scan(Engine::Postgres, &middle), Err(NotWhole::Cut { .. })));
    let all = [&middle[..], b"\n--\n-- PostgreSQL database cluster dump complete\n--\n"].concat();
    assert!(scan(Engine::Postgres, &all).is_ok());
}

#[test]
fn a_dump_that_is_cut_anywhere_is_not_whole() {
    for (engine, dump, end) in whole() {
        let last = dump.len().saturating_sub(700);
        for cut in (0..last).step_by(13).chain(last..dump.len()) {
            let verdict = scan(engine, &dump[..cut]);
            assert!(verdict.is_err() || cut >= end, "cut at {cut} of {}: {verdict:?}", dump.len());
        }
        assert!(scan(engine, &dump[..end]).is_ok(), "with the mark nothing that matters is missing");
    }
}

#[test]
fn a_dump_of_a_database_that_is_not_there_is_cut_though_it_begins_well() {
    let error = scan(Engine::Mariadb, MARIADB_FAILED).unwrap_err();
    assert!(matches!(&error, NotWhole::Cut { ends } if ends.contains("NOTE_VERBOSITY=0")), "{error}");
}

#[test]
fn the_end_mark_may_lack_a_date_and_something_behind_it_is_told() {
    let plain = "-- MySQL dump 10.13  Distrib 5.7.44, for Linux (x86_64)\n--\n-- Dump completed";
    for end in ["", "\n", " on 2026-11-20  8:36:36\n", "\r\n\r\n"] {
        assert!(scan(Engine::Mysql, format!("{plain}{end}").as_bytes()).is_ok(), "{end:?}");
    }
    let wrong = format!("{plain}\nmysqldump: Got error: 2013: Lost connection\n");
    let error = scan(Engine::Mysql, wrong.as_bytes()).unwrap_err();
    assert_eq!(error, NotWhole::Trailing { ends: "mysqldump: Got error: 2013: Lost connection".to_owned() });
    let other = format!("{plain}ly not\n");
    assert!(matches!(scan(Engine::Mysql, other.as_bytes()), Err(NotWhole::Cut { .. })));
}

#[test]
fn a_message_in_the_middle_is_told_though_the_end_mark_follows() {
    let said = "mysqldump: Couldn't execute 'SHOW FIELDS FROM `v1`': View 'a.v1' references invalid table(s) (1356)";
    let dump = format!("-- MySQL dump 10.13\nCREATE TABLE `t` (a int);\n{said}\nDROP TABLE x;\n-- Dump completed\n");
    // The apostrophe opens a string for the client as well: either verdict keeps the dump from being believed.
    let error = scan(Engine::Mysql, dump.as_bytes()).unwrap_err();
    assert!(matches!(error, NotWhole::Message { .. } | NotWhole::Cut { .. }), "{error}");
    let error = scan(Engine::Mysql, dump.replace('\'', "").as_bytes()).unwrap_err();
    assert_eq!(error, NotWhole::Message { line: said.replace('\'', "") });
}

#[test]
fn an_end_mark_within_a_string_or_a_body_is_none() {
    let head = "-- MySQL dump 10.13\nINSERT INTO `t` VALUES (1,'";
    let dump = format!("{head}\n-- Dump completed\n");
    assert!(matches!(scan(Engine::Mysql, dump.as_bytes()), Err(NotWhole::Cut { .. })));
    let dump = format!("{head}');\nDELIMITER ;;\nCREATE PROCEDURE p() BEGIN SELECT 1;\n-- Dump completed\n");
    assert!(matches!(scan(Engine::Mysql, dump.as_bytes()), Err(NotWhole::Cut { .. })));
    let dump =
        "--\n-- PostgreSQL database dump\n--\nCREATE FUNCTION f() AS $_$\n-- PostgreSQL database dump complete\n";
    assert!(matches!(scan(Engine::Postgres, dump.as_bytes()), Err(NotWhole::Cut { .. })));
}

#[test]
fn messages_and_nothing_are_told_from_dumps() {
    for message in [
        "mysqldump: Got error: 1045: Access denied for user 'root'@'localhost'",
        "mysqldump: [Warning] Using a password on the command line interface can be insecure.\n-- MySQL dump 10.13",
        "Error response from daemon: container 4cc is not running",
        "service \"database\" is not running",
        "the input device is not a TTY",
        "OCI runtime exec failed: exec failed",
        "sh: 1: mysqldump: not found",
        "/bin/sh: mysqldump: not found",
        "Usage: mariadb-dump [OPTIONS] database [tables]",
        "Could not connect to Redis at 127.0.0.1:6379: Connection refused",
    ] {
        for engine in [Engine::Mysql, Engine::Postgres, Engine::Redis] {
            let error = scan(engine, message.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "dump.message", "{engine:?}: {error}");
        }
        assert_eq!(sniff(message.as_bytes()), None);
    }
    for blank in ["", "\n", " \r\n\n"] {
        assert_eq!(scan(Engine::Mariadb, blank.as_bytes()), Err(NotWhole::Empty));
        assert_eq!(scan(Engine::Valkey, blank.as_bytes()), Err(NotWhole::Empty));
    }
    let error = scan(Engine::Postgres, b"PGDMP\x01\x0e\x00custom").unwrap_err();
    assert_eq!((error.code(), error.exit()), ("dump.not_a_dump", crate::exit::Exit::Critical));
    assert!(error.hint().contains("plain"), "the form of pg_dump -Fc is named");
}

#[test]
fn a_bare_dump_is_recognised_by_its_first_bytes() {
    let first = |bytes: &'static [u8]| sniff(&bytes[..bytes.len().min(200)]);
    assert_eq!(first(MARIADB), Some(Engine::Mariadb));
    assert_eq!(first(b"-- MySQL dump 10.16  Distrib 10.1.48-MariaDB, for debian"), Some(Engine::Mariadb));
    assert_eq!(first(b"-- MariaDB dump 10.19  Distrib 10.6.12-MariaDB, for x"), Some(Engine::Mariadb));
    assert_eq!(first(MYSQL), Some(Engine::Mysql));
    assert_eq!(first(POSTGRES), Some(Engine::Postgres));
    assert_eq!(first(GLOBALS), Some(Engine::Postgres));
    assert_eq!(first(REDIS_PIPE), Some(Engine::Redis));
    assert_eq!(first(b"VALKEY080\xfa\x0avalkey-ver"), Some(Engine::Valkey));
    assert_eq!(first(b"SQLite format 3\0"), None);
    assert_eq!(first(b""), None);
}

#[test]
fn the_mark_behind_an_rdb_file_is_cut_off_and_nothing_else() {
    let (file, mark) = REDIS_PIPE.split_at(REDIS_PIPE.len() - 40);
    assert!(mark.iter().all(u8::is_ascii_hexdigit));
    for (given, size) in [(REDIS_PIPE, 1), (REDIS_PIPE, 64), (file, 7), (file, 1000)] {
        let mut out = Vec::new();
        RdbReader::new(Pieces(given, vec![size], 0)).read_to_end(&mut out).unwrap();
        assert_eq!(out, file);
        let seen = scan_pieces(Engine::Redis, Content::Database, given.chunks(size)).unwrap();
        assert_eq!((seen.server.as_deref(), seen.unchecked), (Some("8.0.2"), false));
    }
    let mut out = Vec::new();
    RdbReader::new(&REDIS_PIPE[..100]).read_to_end(&mut out).unwrap();
    assert_eq!(out, &REDIS_PIPE[..100], "what is broken passes, for the scanner to see");
}

#[test]
fn damage_to_an_rdb_file_is_seen() {
    let file = &REDIS_PIPE[..REDIS_PIPE.len() - 40];
    for at in 9..file.len() {
        let mut damaged = file.to_vec();
        damaged[at] ^= 0x10;
        let error = scan(Engine::Redis, &damaged).unwrap_err();
        assert!(matches!(error, NotWhole::Checksum { .. } | NotWhole::Cut { .. }), "at {at}: {error}");
    }
    for cut in 9..file.len() {
        let error = scan(Engine::Redis, &file[..cut]).unwrap_err();
        assert!(matches!(error, NotWhole::Checksum { .. } | NotWhole::Cut { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn an_rdb_file_without_checksum_is_whole_but_unchecked() {
    let mut file = REDIS_PIPE[..REDIS_PIPE.len() - 40].to_vec();
    let end = file.len() - 8;
    file[end..].fill(0);
    assert!(scan(Engine::Valkey, &file).unwrap().unchecked);
    let marked = [&file[..], &REDIS_PIPE[REDIS_PIPE.len() - 40..]].concat();
    assert!(scan(Engine::Redis, &marked).unwrap().unchecked);
}

#[test]
fn the_number_of_rows_does_not_depend_on_how_backslashes_are_meant_in_bodies() {
    let dump = "-- MySQL dump 10.13\nDELIMITER ;;\n/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;;\n\
        CREATE PROCEDURE p() SELECT '\\' ;;\n/*!50003 SET sql_mode = @saved_sql_mode */ ;;\nDELIMITER ;\n\
        REPLACE INTO `t` VALUES (1,'\\''),(2,\"\\\"\");\nINSERT IGNORE INTO t VALUES (now(),(1+(2)));\n-- Dump completed\n";
    assert_eq!(scan(Engine::Mysql, dump.as_bytes()).unwrap().tables, counts(&[("t", 3)]));
    let dump = "--\n-- PostgreSQL database dump\n--\nSET standard_conforming_strings = off;\n\
        INSERT INTO t VALUES ('\\'),(''');\nSET standard_conforming_strings = on;\nINSERT INTO t VALUES (E'\\''), ('\\');\n\
        --\n-- PostgreSQL database dump complete\n--\n";
    assert_eq!(scan(Engine::Postgres, dump.as_bytes()).unwrap().tables, counts(&[("t", 3)]));
}

#[test]
fn placeholders_of_views_are_no_tables() {
    let dump = "-- MySQL dump 10.13\n/*!50001 CREATE TABLE `v` (\n  `id` tinyint NOT NULL\n) ENGINE=MyISAM */;\n\
        CREATE TABLE `t` (a int);\n/*!50001 DROP TABLE IF EXISTS `v`*/;\n-- Dump completed\n";
    assert_eq!(scan(Engine::Mysql, dump.as_bytes()).unwrap().tables, counts(&[("t", 0)]));
}

#[test]
fn events_are_set_aside_and_everything_else_passes() {
    let (out, loaded) = load(Engine::Mariadb, MARIADB);
    let loaded = loaded.unwrap();
    let (out, events) = (String::from_utf8(out).unwrap(), String::from_utf8(loaded.events).unwrap());
    assert!(!out.contains("EVENT `") && !out.contains("EVENT IF EXISTS"), "{out}");
    assert_eq!(events.matches("*/ /*!50106 EVENT `").count(), 2, "{events}");
    assert!(events.contains("DROP EVENT IF EXISTS `ev 2`` x` */;\nDELIMITER ;;\n"), "{events}");
    assert!(events.contains("SET @y = \"a;b -- c\";\nEND */ ;;\n"), "with their bodies: {events}");
    assert!(events.contains("SET time_zone             = 'SYSTEM' */ ;;\n") && events.ends_with("DELIMITER ;\n"));
    assert!(!events.contains("TRIGGER") && !events.contains("PROCEDURE") && !events.contains("INSERT"), "{events}");
    let from = MARIADB.windows(2).position(|pair| pair == b"\n-").unwrap() + 1;
    let before = memchr::memmem::find(MARIADB, b"/*!50106 DROP EVENT").unwrap();
    assert!(out.as_bytes().starts_with(&MARIADB[from..before]), "up to the first event nothing is changed");
    assert_eq!(loaded.left_out, [("sandbox", 1)].into());
    let after = memchr::memmem::find(MARIADB, b"-- Dumping routines").unwrap();
    assert!(out.as_bytes().ends_with(&MARIADB[after..]), "nor behind the last");
    assert_eq!(loaded.seen, scan(Engine::Mariadb, MARIADB).unwrap());
}

#[test]
fn what_names_the_database_is_left_out_or_made_to_mean_the_one_that_is_loaded() {
    let (out, loaded) = load(Engine::Mysql, MYSQL_DATABASES);
    let (out, loaded) = (String::from_utf8_lossy(&out), loaded.unwrap());
    assert!(!out.contains("`nasty`;") && !out.contains("DATABASE `nasty`") && !out.contains("USE "), "{out}");
    assert!(out.contains("ALTER DATABASE  CHARACTER SET latin1 COLLATE latin1_swedish_ci ;\n"), "{out}");
    assert!(!out.contains("GTID_PURGED=") && !out.contains("SQL_LOG_BIN"));
    assert_eq!(loaded.left_out, [("database", 4), ("replication", 4)].into());
    let events = String::from_utf8(loaded.events).unwrap();
    assert!(events.contains("ALTER DATABASE  CHARACTER SET latin1") && !events.contains("nasty"), "{events}");
}

#[test]
fn a_postgres_dump_passes_but_for_its_database_and_lines_that_old_clients_refuse() {
    let (out, loaded) = load(Engine::Postgres, POSTGRES);
    assert_eq!(String::from_utf8(out).unwrap(), without(POSTGRES, &["\\restrict", "\\unrestrict"]));
    assert_eq!(loaded.unwrap().left_out, [("restrict", 2)].into());

    let (out, loaded) = load(Engine::Postgres, POSTGRES_CREATE);
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("DATABASE nasty ") && !out.contains("\\connect nasty\n\\"), "{out}");
    let loaded = loaded.unwrap();
    assert_eq!(loaded.left_out["database"], 7, "{:?}", loaded.left_out);
    assert_eq!(loaded.seen.tables["public.nocol"], 2);
}

#[test]
fn a_dump_of_several_databases_is_refused_by_name() {
    let second = "\nCREATE DATABASE `other`;\nUSE `other`;\n-- Dump completed\n";
    let (_, loaded) = load(Engine::Mysql, &[MYSQL_DATABASES, second.as_bytes()].concat()[..]);
    let error = loaded.unwrap_err();
    assert_eq!(error.to_string(), "the dump holds several databases: nasty, other");
    assert_eq!(error.code(), "dump.several");
    let second = "\\connect other\n--\n-- PostgreSQL database dump complete\n--\n";
    let (_, loaded) = load(Engine::Postgres, &[POSTGRES_CREATE, second.as_bytes()].concat()[..]);
    assert!(matches!(loaded, Err(LoadError::Several { .. })), "{loaded:?}");
}

#[test]
fn orders_to_the_client_are_refused_before_they_pass() {
    let mysql = [
        "\\! id",
        "system id\n;",
        "source /etc/passwd\n;",
        "TEE /tmp/x;",
        "pager less;",
        "\\. /tmp/x",
        "SELECT 1 \\! id",
    ];
    for order in mysql {
        let dump = format!("-- MySQL dump 10.13\nSELECT 0;\n{order}\n-- Dump completed\n");
        let (out, loaded) = load(Engine::Mysql, dump.as_bytes());
        assert!(matches!(loaded, Err(LoadError::Order { .. })), "{order}: {loaded:?}");
        assert!(!String::from_utf8(out).unwrap().contains("id"), "{order}");
    }
    for order in ["\\! id", "\\i /etc/passwd", "SELECT 'id' \\gexec", "\\copy t to program 'id'", "-- Name: x\n\\! id"]
    {
        let dump = format!("--\n-- PostgreSQL database dump\n--\n{order}\n--\n-- PostgreSQL database dump complete\n");
        let (out, loaded) = load(Engine::Postgres, dump.as_bytes());
        assert!(matches!(loaded, Err(LoadError::Order { .. })), "{order}: {loaded:?}");
        assert!(!String::from_utf8(out).unwrap().contains("\\! id"), "{order}");
    }
}

#[test]
fn a_statement_that_names_its_database_is_refused_since_it_would_change_what_is_live() {
    for statement in [
        "INSERT INTO `live`.`t` VALUES (1);",
        "REPLACE INTO live.t VALUES (1);",
        "CREATE TABLE IF NOT EXISTS `live`.`t` (a int);",
        "DROP TABLE IF EXISTS live . t;",
        "ALTER TABLE live.t ADD b int;",
        "/*!50001 DROP VIEW IF EXISTS `live`.`v`*/;",
    ] {
        let dump = format!("-- MySQL dump 10.13\nSELECT 0;\n{statement}\n-- Dump completed\n");
        let (out, loaded) = load(Engine::Mysql, dump.as_bytes());
        assert!(matches!(loaded, Err(LoadError::Elsewhere { .. })), "{statement}: {loaded:?}");
        assert!(!String::from_utf8(out).unwrap().contains("live"), "{statement}");
    }
    let dump = "-- MySQL dump 10.13\nINSERT INTO `a.b` VALUES ('live.t');\n-- Dump completed\n";
    assert!(load(Engine::Mysql, dump.as_bytes()).1.is_ok(), "a dot in a name is no database");
}

#[test]
fn a_trigger_that_was_made_with_the_name_of_its_database_goes_to_the_one_that_is_loaded() {
    let typed = "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER live.`a.t` \
                 BEFORE UPDATE ON `live` . orders FOR EACH ROW SET NEW.x = live.f(1) */;;\nDELIMITER ;\n";
    let free = "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `a.t` \
                BEFORE UPDATE ON orders FOR EACH ROW SET NEW.x = live.f(1) */;;\nDELIMITER ;\n";
    let dump = |triggers: &str| format!("-- MySQL dump 10.13\nSELECT 0;\n{triggers}-- Dump completed\n");
    let (out, loaded) = load(Engine::Mysql, dump(typed).as_bytes());
    loaded.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), dump(free));
    let both = [typed, typed].concat();
    assert_eq!(String::from_utf8(unqualified_triggers(both.as_bytes())).unwrap(), [free, free].concat());
    assert_eq!(unqualified_triggers(free.as_bytes()), free.as_bytes());
}

#[test]
fn a_line_without_end_is_refused_and_not_kept() {
    let endless = std::io::repeat(b'x').take(20 << 20);
    let (out, loaded) = load(Engine::Postgres, (&b"\\"[..]).chain(endless));
    assert!(matches!(loaded, Err(LoadError::Order { line }) if line.len() <= 200));
    assert!(out.is_empty());
}

#[test]
fn a_loader_fails_instead_of_ending_when_the_dump_is_cut() {
    for (engine, dump, end) in whole() {
        let (out, loaded) = load(engine, &dump[..end - 1]);
        assert!(matches!(loaded, Err(LoadError::NotWhole(_))), "{loaded:?}");
        assert!(out.len() < dump.len());
    }
    let (mut loader, report) = Loader::new(Engine::Mysql, Content::Database, &b"mysqldump: Got error"[..]);
    let mut buffer = [0; 64];
    let failed = std::iter::repeat_with(|| loader.read(&mut buffer)).find_map(Result::err).unwrap();
    assert!(failed.to_string().starts_with("this is no dump but a message"), "{failed}");
    assert!(loader.read(&mut buffer).is_err(), "and it never ends");
    assert_eq!(report.finish().unwrap_err().code(), "dump.message");
}

#[test]
fn a_loader_that_nobody_read_to_its_end_knows_nothing() {
    let (mut loader, report) = Loader::new(Engine::Mysql, Content::Database, MYSQL);
    loader.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(report.finish(), Err(LoadError::Unread));
}

#[test]
fn an_event_that_stands_alone_is_set_aside_too() {
    let event = "CREATE DEFINER=CURRENT_USER() EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t;";
    let other = "CREATE DEFINER='a'@'b' FUNCTION f() RETURNS int RETURN 1;";
    let dump = format!("-- MySQL dump 10.13\n{event}\n{other}\n-- Dump completed\n");
    let (out, loaded) = load(Engine::Mysql, dump.as_bytes());
    assert_eq!(String::from_utf8(out).unwrap(), dump.replace(event, ""));
    assert_eq!(String::from_utf8(loaded.unwrap().events).unwrap(), format!("{event}\n"));
}

#[test]
fn events_in_one_block_with_routines_leave_those_where_they_are() {
    let dump = "-- MySQL dump 10.13\nDELIMITER $$\nCREATE PROCEDURE p() BEGIN SELECT ';'; END$$\n\
        CREATE OR REPLACE EVENT `e` ON SCHEDULE EVERY 1 DAY DO BEGIN SELECT '$$'; END$$\nDELIMITER ;\n-- Dump completed\n";
    let (out, loaded) = load(Engine::Mysql, dump.as_bytes());
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("DELIMITER $$\nCREATE PROCEDURE p() BEGIN SELECT ';'; END$$\n\nDELIMITER ;\n"), "{out}");
    let expected =
        "DELIMITER $$\nCREATE OR REPLACE EVENT `e` ON SCHEDULE EVERY 1 DAY DO BEGIN SELECT '$$'; END$$\nDELIMITER ;\n";
    assert_eq!(String::from_utf8(loaded.unwrap().events).unwrap(), expected);
}

/// The tables of a generated dump: by name, rows of two strings.
type Tables = BTreeMap<String, Vec<(String, Option<String>)>>;
