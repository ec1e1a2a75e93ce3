//! Dumps that somebody brings: what the old script wrote, whole and broken, beside what the old script makes of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Exit, Finished, Project, shell};

/// A script of `scripts/legacy`, for the project's folder.
fn legacy(project: &Project, script: &str, word: &str) -> Finished {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/legacy").join(script);
    let (app, into) = (project.path("app"), project.path("old"));
    project.sh(&format!(
        "APP_DIR='{}' BACKUP_DIR='{}' bash '{}' {word}",
        app.display(),
        into.display(),
        script.display()
    ))
}

/// What the old script wrote: the dump.
#[track_caller]
fn old_dump(project: &Project) -> PathBuf {
    assert_eq!(legacy(project, "backup.sh", "").number(), 0);
    let found = shell(&format!("ls '{}'/db_*.sql.gz", project.path("old").display()));
    PathBuf::from(found.trim())
}

/// Every table of a database with its checksum, and the names of everything else in it.
#[track_caller]
fn content(project: &Project, database: &str) -> String {
    let tables = project.sql_in(
        "database",
        database,
        "SELECT GROUP_CONCAT(CONCAT('`', TABLE_NAME, '`') ORDER BY TABLE_NAME) FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'",
    );
    let sums = project.sql_in("database", database, &format!("CHECKSUM TABLE {tables}"));
    let rest = project.sql_in(
        "database",
        database,
        "SELECT 'routine', ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()
         UNION SELECT 'trigger', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()
         UNION SELECT 'event', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()
         UNION SELECT 'view', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1, 2",
    );
    // The sums name the database, which may be another one in the same state.
    format!("{}\n{rest}", sums.replace(&format!("{database}."), ""))
}

#[track_caller]
fn databases(project: &Project) -> Vec<String> {
    let all = project.sql("database", "SHOW DATABASES");
    let own = ["information_schema", "mysql", "performance_schema", "sys"];
    all.lines().filter(|name| !own.contains(name)).map(str::to_owned).collect()
}

/// The plain text of a dump, changed, as a file of its own.
fn changed(project: &Project, dump: &Path, name: &str, filter: &str) -> String {
    let path = project.path(name);
    shell(&format!("gunzip <'{}' | {filter} >'{}'", dump.display(), path.display()));
    path.display().to_string()
}

#[test]
fn a_dump_of_the_old_script_takes_the_place_of_the_live_database_and_undo_brings_that_back() {
    let fleet = Project::seeded("fleet");
    let before = content(&fleet, "fleetbase");
    let dump = old_dump(&fleet);
    fleet.sql(
        "database",
        "DELETE FROM order_log; UPDATE orders SET customer = 'gone'; CREATE TABLE later (id INT PRIMARY KEY)",
    );
    let damaged = content(&fleet, "fleetbase");

    fleet.run("restore", &[dump.to_str().unwrap()]).exits_with(Exit::Unknown).fails_with("restore.needs_yes");
    assert_eq!(content(&fleet, "fleetbase"), damaged);

    let words = [dump.to_str().unwrap(), "--yes"];
    fleet.run("restore", &words).exits_with(Exit::Unknown).fails_with("restore.partial").says("the tables later");
    assert_eq!(content(&fleet, "fleetbase"), damaged);

    let done = fleet.run("restore", &[words[0], "--yes", "--partial"]).gets_done().warns_of("restore.carried_over");
    // The old script dumps no routines and no events: those of the live database stay, as an owner expects.
    assert_eq!(content(&fleet, "fleetbase"), before, "{done}");
    let kept = done.data()["restored"][0]["kept"].as_str().unwrap().to_owned();
    assert_eq!(databases(&fleet), ["fleetbase", kept.as_str()]);
    fleet.sql("database", "CALL assign_vehicle(1001, 2)");

    fleet.run("restore", &["undo", "--yes"]).gets_done();
    assert_eq!(content(&fleet, "fleetbase"), damaged);
}

#[test]
fn a_dump_loads_beside_the_live_database_or_into_a_folder_and_whatever_its_wrapping() {
    let fleet = Project::seeded("fleet");
    let before = content(&fleet, "fleetbase");
    let dump = old_dump(&fleet);
    let key = fleet.etc("identity.txt").display().to_string();
    let recipient = fleet.recipient("identity.txt");
    let wrapped = [
        changed(&fleet, &dump, "db_1.sql", "cat"),
        changed(&fleet, &dump, "db_2.sql.zst", "zstd -q"),
        changed(&fleet, &dump, "db_3.sql.gz.age", &format!("gzip | age -r {recipient}")),
        // As `mysqldump --databases` writes it, of a database that is not here: only the tables count.
        changed(
            &fleet,
            &dump,
            "db_4.sql",
            "sed '/^DROP TABLE/{x;s/^$/CREATE DATABASE `elsewhere`;\\nUSE `elsewhere`;\\n/;x;}' | sed 's/Database: fleetbase/Database: elsewhere/'",
        ),
    ];
    // What the old script has never dumped, a new database does not have.
    let is_dumped = |line: &&str| !line.starts_with("event") && !line.starts_with("routine");
    let tables = |text: &str| text.lines().filter(is_dumped).map(str::to_owned).collect::<Vec<_>>();

    for (number, path) in wrapped.iter().enumerate() {
        let name = format!("beside{number}");
        fleet.run("restore", &[path, "--into", &name, "--identity", &key]).gets_done();
        assert_eq!(tables(&content(&fleet, &name)), tables(&before), "{path}");
    }

    assert_eq!(databases(&fleet), ["beside0", "beside1", "beside2", "beside3", "fleetbase"]);
    assert_eq!(content(&fleet, "fleetbase"), before);
    fleet.run("restore", &[&wrapped[0], "--into", "beside1"]).exits_with(Exit::Unknown);
    let folder = fleet.path("look").display().to_string();
    fleet.run("restore", &[&wrapped[2], "--into", &folder, "--identity", &key]).gets_done();
    assert_eq!(fs::read(fleet.path("look/db_3.sql")).unwrap(), fs::read(&wrapped[0]).unwrap());

    // Three databases could be meant now, and the dump names none of them.
    let unsure = fleet.run("restore", &[&wrapped[3], "--yes"]);
    unsure.exits_with(Exit::Unknown).fails_with("restore.which_database").hints("--database beside");
    fleet.run("restore", &[&wrapped[3], "--yes", "--database", "beside2"]).gets_done();
    assert!(databases(&fleet).iter().any(|name| name.starts_with("beside2__before_")));
    assert_eq!(content(&fleet, "fleetbase"), before);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of broken dumps, and what the old script makes of them")]
fn broken_dumps_are_refused_with_nothing_touched_where_the_old_script_reports_success() {
    let fleet = Project::seeded("fleet");
    let dump = old_dump(&fleet);
    let whole = fs::read(&dump).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(fleet.path(name), bytes).unwrap();
        fleet.path(name).display().to_string()
    };
    let message = |name: &str, line: &str| {
        write(&format!("{name}.txt"), line.as_bytes());
        shell(&format!("gzip -c '{0}.txt' >'{0}'", fleet.path(name).display()));
        fleet.path(name).display().to_string()
    };
    // Between two statements, so that no client has anything to complain about.
    let cut = changed(&fleet, &dump, "db_cut.sql.gz", "sed '/^-- Table structure for table `orders`/,$d' | gzip");
    let cases = [
        (write("db_empty.sql.gz", b""), "archive.empty"),
        (message("db_nothing.sql.gz", ""), "archive.empty"),
        (write("db_half.sql.gz", &whole[..whole.len() / 2]), "archive.damaged"),
        (cut.clone(), "dump.cut"),
        (
            message(
                "db_login.sql.gz",
                "mysqldump: Got error: 1045: \"Access denied for user 'root'@'localhost' (using password: YES)\" when trying to connect\n",
            ),
            "dump.message",
        ),
        (message("db_tty.sql.gz", "the input device is not a TTY\n"), "dump.message"),
        (message("db_down.sql.gz", "service \"database\" is not running\n"), "dump.message"),
        (
            changed(
                &fleet,
                &dump,
                "db_warned.sql",
                "sed '1i mysqldump: [Warning] Using a password on the command line interface can be insecure.'",
            ),
            "dump.message",
        ),
        (changed(&fleet, &dump, "db_shell.sql", r"sed 's/^LOCK TABLES/\\! touch owned\n&/'"), "dump.order"),
        (changed(&fleet, &dump, "db_two.sql", "sed '20i USE `one`;' | sed '60i USE `two`;'"), "dump.several"),
    ];
    let before = content(&fleet, "fleetbase");

    for (path, code) in &cases {
        fleet.run("restore", &[path, "--yes"]).exits_with(Exit::Critical).fails_with(code);
        assert_eq!(databases(&fleet), ["fleetbase"], "{path}");
    }
    assert_eq!(content(&fleet, "fleetbase"), before);

    // The script that this replaces says that all went well. With nothing in the dump nothing comes back.
    fleet.sql(
        "database",
        "DELETE FROM order_log; UPDATE drivers SET notes = 'gone'; UPDATE orders SET customer = 'gone'",
    );
    let destroyed = content(&fleet, "fleetbase");
    let restore_sh = |path: &str| {
        let claimed = legacy(&fleet, "restore.sh", path);
        assert!(claimed.number() == 0 && claimed.stdout().contains("Restore completed"), "{claimed}");
    };
    restore_sh(&cases[1].0);
    assert_eq!(content(&fleet, "fleetbase"), destroyed);
    // With half of it, what is live is half of one day and half of another.
    restore_sh(&cut);
    let after = content(&fleet, "fleetbase");
    assert!(after != before && after != destroyed, "{after}");
    // And where it notices, it is too late.
    fleet.sql("database", "UPDATE drivers SET notes = 'gone again'");
    assert_ne!(legacy(&fleet, "restore.sh", &cases[2].0).number(), 0);
    assert_ne!(content(&fleet, "fleetbase"), before);
}

#[test]
fn a_dump_of_redis_finds_its_server_and_a_broken_one_touches_nothing() {
    let fleet = Project::seeded("fleet");
    let keys = || fleet.redis("cache", "KEYS *").lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let before = keys();
    let rdb = fleet.path("cache_20251120.rdb").display().to_string();
    let line = "REDISCLI_AUTH=$REDIS_PASSWORD exec redis-cli --rdb - 2>/dev/null";
    shell(&format!("docker exec {} sh -c '{line}' >'{rdb}'", fleet.container("cache")));
    fleet.redis("cache", "SET later 1");
    let changed = keys();
    let bytes = fs::read(&rdb).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (name, bytes, code) in
        [("cut.rdb", &bytes[..bytes.len() - 9], "dump.cut"), ("flipped.rdb", &flipped[..], "dump.checksum")]
    {
        fs::write(fleet.path(name), bytes).unwrap();
        let path = fleet.path(name).display().to_string();
        fleet.run("restore", &[&path, "--yes"]).exits_with(Exit::Critical).fails_with(code);
        assert_eq!(keys(), changed, "{name}");
    }

    fleet.run("restore", &[&rdb, "--yes"]).gets_done();

    assert_eq!(keys(), before);
}

#[test]
fn a_dump_of_postgresql_takes_the_place_of_the_live_database() {
    let freight = Project::seeded("postgres");
    let state = || {
        freight.sql(
            "database",
            "SELECT string_agg(format('%s %s', c.oid::regclass, (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %s', c.oid::regclass), false, true, '')))[1]), E'\\n' ORDER BY c.oid::regclass::text)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
        )
    };
    let before = state();
    let dump = freight.path("freight.sql.gz");
    let container = freight.container("database");
    let login = r#"PGPASSWORD=$POSTGRES_PASSWORD exec pg_dump -U "$POSTGRES_USER" "$POSTGRES_DB""#;
    shell(&format!("docker exec {container} sh -c '{login}' | gzip >'{}'", dump.display()));
    let custom = freight.path("freight.dump").display().to_string();
    shell(&format!("docker exec {container} sh -c '{login} --format=custom' >'{custom}'"));
    let parts = ["--schema=billing", "--schema-only"].map(|flag| {
        let path = freight.path(&format!("{flag}.sql")).display().to_string();
        shell(&format!("docker exec {container} sh -c '{login} {flag}' >'{path}'"));
        path
    });
    freight.sql(
        "database",
        "CREATE TABLE later (id int); INSERT INTO later VALUES (1);
         ALTER DATABASE freight SET timezone = 'Asia/Tokyo'; ALTER DATABASE freight CONNECTION LIMIT 50;
         ALTER ROLE reporting IN DATABASE freight SET search_path = billing, public;
         REVOKE CONNECT ON DATABASE freight FROM PUBLIC; GRANT CONNECT ON DATABASE freight TO reporting;
         COMMENT ON DATABASE freight IS 'it''s \\ live'",
    );
    let damaged = state();
    let settings = || {
        freight.sql(
            "database",
            "SELECT datconnlimit, datacl, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'freight';
             SELECT setrole::regrole, setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
             WHERE datname = 'freight' ORDER BY 1",
        )
    };
    let set = settings();
    for (path, words) in parts.iter().zip(["public.customers, ", "all rows of billing.invoices, public.customers, "]) {
        let refused = freight.run("restore", &[path, "--yes"]).exits_with(Exit::Unknown).fails_with("restore.partial");
        refused.says(words);
        assert_eq!(state(), damaged, "{path}");
    }

    freight.run("restore", &[&custom, "--yes"]).exits_with(Exit::Unknown).hints("pg_restore");
    assert_eq!(state(), damaged);
    freight.run("restore", &[dump.to_str().unwrap(), "--yes", "--partial"]).gets_done().warns_of("restore.partial");
    assert_eq!(state(), before);
    assert_eq!(settings(), set, "a dump of a database alone knows nothing of its settings and rights");
    let cut = changed(&freight, &dump, "cut.sql", "head -n -20");
    freight.run("restore", &[&cut, "--yes"]).exits_with(Exit::Critical).fails_with("dump.cut");
    assert_eq!(state(), before);
}

#[test]
fn a_dump_of_a_part_takes_the_place_of_the_whole_only_if_that_is_said_twice() {
    let fleet = Project::seeded("fleet");
    let before = content(&fleet, "fleetbase");
    let dumped = |name: &str, words: &str| {
        let path = fleet.path(name).display().to_string();
        let line = format!("MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mariadb-dump -u root {words}");
        shell(&format!("docker exec {} sh -c '{line}' | gzip >'{path}'", fleet.container("database")));
        path
    };
    let (part, bare) = (dumped("part.sql.gz", "fleetbase vehicles"), dumped("bare.sql.gz", "--no-data fleetbase"));

    let seen = fleet.run("restore", &[&part, "--dry-run"]).exits_with(Exit::Warning).warns_of("restore.partial");
    assert_eq!(seen.data()["lacks"]["tables"], serde_json::json!(["drivers", "order_log", "orders"]));
    for (path, words) in [(&part, "the tables drivers, order_log, orders"), (&bare, "all rows of")] {
        let refused = fleet.run("restore", &[path, "--yes"]).exits_with(Exit::Unknown).fails_with("restore.partial");
        refused.says(words).hints("--into");
        assert_eq!(content(&fleet, "fleetbase"), before, "{path}");
        assert_eq!(databases(&fleet), ["fleetbase"]);
    }
    fleet.run("restore", &[&part, "--into", "beside"]).exits_with(Exit::Ok);
    fleet.sql("database", "DROP DATABASE beside");

    // A dump of another database does not take the place of the only one that is there.
    let other = changed(&fleet, &PathBuf::from(&part), "other.sql", "sed 's/Database: fleetbase/Database: shop/'");
    for flag in ["--dry-run", "--yes"] {
        let refused = fleet.run("restore", &[&other, flag, "--partial"]).exits_with(Exit::Unknown);
        refused.fails_with("restore.which_database").says("shop").hints("--database fleetbase");
    }
    assert_eq!(content(&fleet, "fleetbase"), before);

    let done = fleet.run("restore", &[&part, "--yes", "--partial"]).exits_with(Exit::Warning);
    done.warns_of("restore.partial");
    assert_eq!(fleet.sql("database", "SHOW TABLES LIKE 'orders'"), "");
    fleet.run("restore", &["undo", "--yes"]).gets_done();
    assert_eq!(content(&fleet, "fleetbase"), before);
}

#[test]
fn a_large_load_pauses_the_server_s_statistics_and_leaves_them_made_and_switched_on() {
    let fleet = Project::seeded("fleet");
    fleet.sql("database", "CREATE TABLE many (id INT PRIMARY KEY) SELECT seq AS id FROM seq_1_to_120000");
    let dump = old_dump(&fleet);
    fleet.sql("database", "SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1");

    fleet.run("restore", &[dump.to_str().unwrap(), "--yes"]).gets_done();

    let asked = "SELECT argument FROM mysql.general_log WHERE argument RLIKE '^(SET GLOBAL innodb_stats|ANALYZE)' ORDER BY event_time";
    let told: Vec<String> = fleet.sql("database", asked).lines().map(|line| line[..30].to_owned()).collect();
    let expected =
        ["SET GLOBAL innodb_stats_auto_r", "ANALYZE TABLE `drivers`, `many", "SET GLOBAL innodb_stats_auto_r"];
    assert_eq!(told, expected);
    assert_eq!(fleet.sql("database", "SELECT @@GLOBAL.innodb_stats_auto_recalc"), "1");
    let rows = "SELECT n_rows > 100000 FROM mysql.innodb_table_stats WHERE database_name = 'fleetbase' AND table_name = 'many'";
    assert_eq!(fleet.sql("database", rows), "1");
}

/// As mysqldump of MySQL 5.7 writes it: three-byte characters, an engine with its row format, conditional comments.
const OF_AN_OLDER_SERVER: &str = r"-- MySQL dump 10.13  Distrib 5.7.41, for Linux (x86_64)
--
-- Host: localhost    Database: fleetbase
-- ------------------------------------------------------
-- Server version	5.7.41-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
DROP TABLE IF EXISTS `trips`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8 */;
CREATE TABLE `trips` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `town` varchar(40) CHARACTER SET utf8 DEFAULT NULL,
  `left_at` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 ROW_FORMAT=COMPACT;
/*!40101 SET character_set_client = @saved_cs_client */;
LOCK TABLES `trips` WRITE;
/*!40000 ALTER TABLE `trips` DISABLE KEYS */;
INSERT INTO `trips` VALUES (1,'Köln','0000-00-00 00:00:00'),(2,'O\'Fallon; (x)','2019-01-01 10:00:00'),(3,NULL,'2019-01-02 10:00:00');
/*!40000 ALTER TABLE `trips` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER named BEFORE INSERT ON trips FOR EACH ROW SET NEW.town = UPPER(NEW.town) */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2019-03-04  2:00:01
";

#[test]
fn a_dump_of_an_older_server_comes_back_on_a_newer_one() {
    let fleet = Project::seeded("fleet");
    let before = content(&fleet, "fleetbase");
    fs::write(fleet.path("db_20190304_020000.sql"), OF_AN_OLDER_SERVER).unwrap();
    let dump = fleet.path("db_20190304_020000.sql").display().to_string();

    fleet.run("restore", &[&dump, "--into", "years_ago"]).gets_done();

    let asked = "SELECT GROUP_CONCAT(id, COALESCE(town, '-') ORDER BY id) FROM trips";
    assert_eq!(fleet.sql_in("database", "years_ago", asked), "1Köln,2O'Fallon; (x),3-");
    fleet.sql_in("database", "years_ago", "INSERT INTO trips VALUES (4, 'bonn', NOW())");
    assert_eq!(fleet.sql_in("database", "years_ago", "SELECT town FROM trips WHERE id = 4"), "BONN");
    assert_eq!(content(&fleet, "fleetbase"), before);
}
