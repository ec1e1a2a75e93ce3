//! SQL databases that come back into a live stack: loaded beside, checked, swapped by name, and put back.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Finished, Project};

/// A server of each kind that serves one database and a second one.
struct Kind {
    compose: &'static str,
    database: &'static str,
    schema: &'static str,
    /// Writes all of a database as its own client does, but for what a hammer changes; `$1` is the database.
    dump: &'static str,
    /// What somebody does to the database before they wish that they had not.
    harm: &'static str,
    /// Writes and reads without an end.
    hammer: &'static str,
    /// Names of all databases, one in a line.
    names: &'static str,
}

const MARIADB: Kind = Kind {
    compose: "
services:
  db:
    image: shipshape.test/mariadb:11.8
    command: [mariadbd, --innodb-flush-log-at-trx-commit=0, --event-scheduler=ON]
    environment: { MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }
    healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }
",
    database: "shop",
    schema: include_str!("restore/mysql.sql"),
    dump: "MYSQL_PWD=$MYSQL_ROOT_PASSWORD mariadb-dump -uroot --routines --events --triggers --hex-blob --skip-dump-date \
           --default-character-set=utf8mb4 --single-transaction --ignore-table=$1.beats $1 | grep -v -e '^-- Host:' -e '^-- Dumping .* for database'",
    harm: HARM,
    hammer: "export MYSQL_PWD=$MYSQL_ROOT_PASSWORD; while :; do echo 'UPDATE beats SET n = n + 1; SELECT COUNT(*) FROM customers;'; \
             sleep 0.02; done | mariadb -uroot --force shop >/dev/null 2>&1",
    names: "SHOW DATABASES",
};

const HARM: &str = "SET foreign_key_checks = 0; DELETE FROM customers; SET foreign_key_checks = 1; DROP VIEW a_top; DROP PROCEDURE note_it; DROP EVENT tidy; DROP TRIGGER customers_second; \
     DROP TABLE parted; CREATE TABLE later (id INT PRIMARY KEY); INSERT INTO later VALUES (1), (2); \
     CREATE TRIGGER later_too BEFORE INSERT ON later FOR EACH ROW SET NEW.id = NEW.id; \
     CREATE VIEW later_view AS SELECT * FROM later; CREATE PROCEDURE later_does() SELECT 'later'; \
     CREATE EVENT later_ticks ON SCHEDULE EVERY 1 DAY DO DELETE FROM later; ALTER TABLE latin ADD COLUMN more INT;";

const MYSQL: Kind = Kind {
    compose: "
services:
  db:
    image: shipshape.test/mysql:9.7
    command: [mysqld, --innodb-flush-log-at-trx-commit=0, --event-scheduler=ON]
    environment: { MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }
    healthcheck: { test: [CMD, mysqladmin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }
",
    dump: "MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysqldump -uroot --routines --events --triggers --hex-blob --skip-dump-date \
           --default-character-set=utf8mb4 --single-transaction --set-gtid-purged=OFF --ignore-table=$1.beats $1 2>/dev/null \
           | grep -v -e '^-- Host:' -e '^-- Dumping .* for database'",
    hammer: "export MYSQL_PWD=$MYSQL_ROOT_PASSWORD; while :; do echo 'UPDATE beats SET n = n + 1; SELECT COUNT(*) FROM customers;'; \
             sleep 0.02; done | mysql -uroot --force shop >/dev/null 2>&1",
    ..MARIADB
};

const POSTGRES: Kind = Kind {
    compose: "
services:
  db:
    image: shipshape.test/postgres:17
    command: [postgres, -c, fsync=off]
    environment: { POSTGRES_USER: freight, POSTGRES_PASSWORD: pw-x7Kq, POSTGRES_DB: freight }
    healthcheck: { test: [CMD, pg_isready, --host=127.0.0.1], interval: 1s, retries: 60 }
",
    database: "freight",
    schema: include_str!("restore/postgres.sql"),
    dump: "pg_dump -U freight --create --exclude-table-data=beats $1 | grep -v -e restrict -e 'DATABASE '",
    harm: "DELETE FROM customers; DROP VIEW a_top; DROP TABLE parted; CREATE TABLE later (id int); INSERT INTO later VALUES (1); \
           ALTER TABLE heir ADD COLUMN c int; SELECT lo_unlink(oid) FROM pg_largeobject_metadata; DROP EXTENSION citext CASCADE;",
    hammer: "while :; do while :; do echo 'UPDATE beats SET n = n + 1; SELECT count(*) FROM customers;'; sleep 0.02; done \
             | psql -U freight freight >/dev/null 2>&1; done",
    names: "SELECT datname FROM pg_database",
};

impl Kind {
    /// Up, with the schema and a key for the store.
    fn project(&self) -> Project {
        let project = Project::of(self.compose);
        project.up();
        project.sql("db", self.schema);
        project
    }

    fn dump(&self, project: &Project, database: &str) -> String {
        project.inside("db", &format!("set -- '{database}'; {}", self.dump))
    }

    /// The names of the databases that restores have made.
    fn ours(&self, project: &Project) -> Vec<String> {
        let names = project.sql("db", self.names);
        names.lines().filter(|name| name.contains("__")).map(str::to_owned).collect()
    }
}

/// Clients that write and read until this is dropped.
struct Hammer(Child);

impl Hammer {
    fn on(project: &Project, kind: &Kind) -> Self {
        let container = project.container("db");
        let words = ["exec", &container, "sh", "-c", kind.hammer];
        Self(Command::new("docker").args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn same(what: &str, now: &str, before: &str) {
    let differs = now.lines().zip(before.lines()).find(|(now, before)| now != before);
    assert!(now == before, "{what}: {differs:.300?}; {} lines and {}", now.lines().count(), before.lines().count());
}

/// Backed up, harmed, restored under load, put back, restored beside: every time what the server's own client says is the same.
fn everything_comes_back(kind: &Kind) {
    let project = kind.project();
    let before = kind.dump(&project, kind.database);
    project.run("backup", &[]).gets_done();
    project.sql("db", kind.harm);
    let harmed = kind.dump(&project, kind.database);
    assert_ne!(before, harmed);

    let restored = {
        let _hammer = Hammer::on(&project, kind);
        let restored = project.run("restore", &["latest", "--yes", "--only", kind.database]).gets_done();
        let beats = || project.sql("db", "SELECT n FROM beats").parse::<u64>().unwrap();
        let now = beats();
        let began = Instant::now();
        while beats() == now {
            assert!(began.elapsed() < Duration::from_secs(20), "the application goes on in the restored database");
        }
        restored
    };

    same("restored", &kind.dump(&project, kind.database), &before);
    let kept = restored.data()["restored"][0]["kept"].as_str().unwrap().to_owned();
    assert_eq!(kind.ours(&project), std::slice::from_ref(&kept), "only the old side is left");

    project.run("restore", &["undo", "--yes"]).gets_done();
    same("undone", &kind.dump(&project, kind.database), &harmed);
    project.run("restore", &["undo", "--yes"]).gets_done();
    same("undone again", &kind.dump(&project, kind.database), &before);
    assert_eq!(kind.ours(&project).len(), 1, "one old side, whichever it is");

    let beside = project.run("restore", &["latest", "--only", kind.database, "--into", "copy"]);
    assert!([0, 1].contains(&beside.number()), "events are worth a word: {beside}");
    same("the live one beside a copy", &kind.dump(&project, kind.database), &before);
    assert_eq!(project.sql_in("db", "copy", "SELECT COUNT(*) FROM customers"), "2");
    project.run("restore", &["latest", "--only", kind.database, "--into", "copy"]).fails_with("restore.exists");

    project.run("restore", &["--discard-old"]).gets_done();
    assert!(kind.ours(&project).is_empty(), "{:?}", kind.ours(&project));
    project.run("restore", &["undo", "--yes"]).fails_with("restore.nothing_to_undo");
}

/// The servers keep a trigger as it was typed, the name of its database included.
#[test]
fn a_trigger_that_names_its_database_comes_back_in_the_restored_one_and_goes_with_the_old_one() {
    for kind in [&MARIADB, &MYSQL] {
        let project = Project::of(kind.compose);
        project.up();
        project.sql_in("db", "shop", "CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 1);");
        project.sql_in("db", "shop", "CREATE TRIGGER `shop`.named BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.b = 7;");
        project.run("backup", &[]).gets_done();
        project.sql_in(
            "db",
            "shop",
            "DROP TRIGGER named; CREATE TRIGGER shop.other BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.b = 8;",
        );

        let restored = project.run("restore", &["latest", "--yes", "--only", "shop"]).gets_done();

        let triggers = |database: &str| {
            let asked =
                "SELECT TRIGGER_NAME, EVENT_OBJECT_SCHEMA FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA =";
            project.sql("db", &format!("{asked} '{database}'"))
        };
        assert_eq!(triggers("shop"), "named\tshop", "{restored}");
        let kept = restored.data()["restored"][0]["kept"].as_str().unwrap().to_owned();
        assert_eq!(triggers(&kept), format!("other\t{kept}"));
        project.sql_in("db", "shop", "INSERT INTO t VALUES (2, 2)");
        assert_eq!(project.sql_in("db", "shop", "SELECT b FROM t WHERE a = 2"), "7");
        project.run("restore", &["undo", "--yes"]).gets_done();
        assert_eq!(triggers("shop"), "other\tshop");
    }
}

#[test]
fn whatever_a_schema_has_comes_back_on_mariadb() {
    everything_comes_back(&MARIADB);
}

#[test]
fn whatever_a_schema_has_comes_back_on_mysql() {
    if std::env::var("SHIPSHAPE_WITHOUT").is_ok_and(|without| without.contains("mysql")) {
        return;
    }
    everything_comes_back(&MYSQL);
}

#[test]
fn whatever_a_schema_has_comes_back_on_postgres() {
    everything_comes_back(&POSTGRES);
}

/// Waits for a phase of the journal, or for the end of the run.
fn phase_comes(project: &Project, phase: &str, within: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < within {
        let apps = std::fs::read_dir(project.path("state/restore")).into_iter().flatten().flatten();
        let read =
            |app: std::fs::DirEntry| std::fs::read_to_string(app.path().join("journal.json")).unwrap_or_default();
        let text: String = apps.map(read).collect();
        if text.contains(&format!("\"phase\":\"{phase}\"")) {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    false
}

/// Killed at many moments of the swap and before it: afterwards, and at the latest after the next run, everything is as it was
/// before or as it was to be.
fn killed_at_any_moment(kind: &Kind, pauses: &[(&str, u64)]) {
    let project = kind.project();
    project.run("backup", &[]).gets_done();
    let one = kind.dump(&project, kind.database);
    project.sql("db", kind.harm);
    let other = kind.dump(&project, kind.database);
    let rows = |project: &Project| project.sql("db", "SELECT COUNT(*) FROM customers");

    let mut finished = 0;
    for (number, (phase, pause)) in pauses.iter().enumerate() {
        let running = project.launch("restore").args(&["latest", "--yes", "--only", kind.database]).start();
        assert!(phase_comes(&project, phase, Duration::from_secs(60)), "the restore comes to its phase {phase}");
        thread::sleep(Duration::from_millis(*pause));
        // Every third is asked, and tidies up itself.
        let asked = number % 3 == 2;
        running.signal(if asked { "TERM" } else { "KILL" });
        let ended = running.wait();
        assert!(["0", "2"].contains(&rows(&project).as_str()), "there are never rows of two databases");
        if asked && ended.number() == 143 {
            same("after a signal", &kind.dump(&project, kind.database), &other);
            assert!(kind.ours(&project).is_empty(), "nothing is left: {:?}", kind.ours(&project));
        }

        let next = project.run("restore", &["--discard-old", "--yes"]);
        assert!([0, 1].contains(&next.number()), "{next}");
        let now = kind.dump(&project, kind.database);
        if now == one {
            finished += 1;
            project.sql("db", kind.harm);
        } else {
            same("after a kill and another run", &now, &other);
        }
        assert!(kind.ours(&project).is_empty(), "nothing is left: {:?}", kind.ours(&project));
    }
    assert!(finished < pauses.len(), "some were killed before the end");
    project.run("restore", &["latest", "--yes", "--only", kind.database]).gets_done();
    same("restored in the end", &kind.dump(&project, kind.database), &one);
}

#[test]
fn a_restore_killed_at_any_moment_leaves_one_side_or_the_other_on_mariadb() {
    let swapping = [0, 60, 120, 180, 240, 320, 400].map(|pause| ("swapping", pause));
    killed_at_any_moment(&MARIADB, &[&[("loading", 0), ("loading", 250)], &swapping[..], &[("done", 0)]].concat());
}

#[test]
fn a_restore_killed_at_any_moment_leaves_one_side_or_the_other_on_mysql() {
    if std::env::var("SHIPSHAPE_WITHOUT").is_ok_and(|without| without.contains("mysql")) {
        return;
    }
    killed_at_any_moment(&MYSQL, &[0, 120, 200, 280, 360, 450].map(|pause| ("swapping", pause)));
}

#[test]
fn a_restore_killed_at_any_moment_leaves_one_side_or_the_other_on_postgres() {
    let swapping = [0, 100, 200, 300, 450].map(|pause| ("swapping", pause));
    killed_at_any_moment(&POSTGRES, &[&[("loading", 200)], &swapping[..]].concat());
}

#[test]
fn a_swap_that_somebody_blocks_changes_nothing_and_takes_the_first_database_back_with_it() {
    let project = MARIADB.project();
    project.sql(
        "db",
        "CREATE DATABASE billing; CREATE TABLE billing.bills (id INT); INSERT INTO billing.bills VALUES (1), (2)",
    );
    project.run("backup", &[]).gets_done();
    project.sql("db", "DELETE FROM billing.bills");
    project.sql("db", HARM);
    let live = ["billing", "shop"].map(|name| MARIADB.dump(&project, name));
    // Whoever has read in a transaction that is open holds the table.
    let container = project.container("db");
    let hold = "MYSQL_PWD=$MYSQL_ROOT_PASSWORD mariadb -uroot shop -e 'BEGIN; SELECT COUNT(*) FROM customers; SELECT SLEEP(90)'";
    let mut holder =
        Command::new("docker").args(["exec", &container, "sh", "-c", hold]).stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));

    let refused = project.run("restore", &["latest", "--yes", "--only", "billing", "shop"]).fails_with("restore.busy");

    assert!(refused.report()["error"]["message"].as_str().unwrap().contains("root@"), "it says who: {refused}");
    for (name, live) in ["billing", "shop"].iter().zip(&live) {
        same("after a refused swap", &MARIADB.dump(&project, name), live);
    }
    assert!(MARIADB.ours(&project).is_empty());
    let _ = holder.kill();
    let _ = holder.wait();
}

/// Ends the load in the container, as somebody might who looks for what makes the server slow.
const END_THE_LOAD: &str = r#"for p in /proc/[0-9]*; do
  tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -q ^SHIPSHAPE_RUN= && kill -9 "${p#/proc/}"; done; true"#;

/// Rows enough for a load to be met in the middle of.
const MANY_ROWS: &str = "CREATE TABLE bulk (id INT PRIMARY KEY, t VARCHAR(200)) AS
  SELECT seq AS id, REPEAT(MD5(seq), 6) AS t FROM seq_1_to_300000";

#[test]
fn a_load_that_is_ended_midway_leaves_the_live_database_and_no_trace() {
    let project = MARIADB.project();
    project.sql("db", MANY_ROWS);
    project.run("backup", &[]).gets_done();
    project.sql("db", HARM);
    let live = MARIADB.dump(&project, "shop");
    let sums = "CHECKSUM TABLE bulk, customers, later";
    let checksums = project.sql("db", sums);
    let midway = |what: &dyn Fn()| -> Finished {
        let running = project.launch("restore").args(&["latest", "--yes", "--only", "shop"]).start();
        while MARIADB.ours(&project).is_empty() {}
        thread::sleep(Duration::from_millis(300));
        what();
        running.wait()
    };

    let killed = midway(&|| drop(project.inside("db", END_THE_LOAD)));
    assert_eq!(killed.number(), 2, "{killed}");
    assert!(MARIADB.ours(&project).is_empty(), "what was loaded is gone");

    let stopped = midway(&|| drop(project.compose("stop --timeout 1 db")));
    assert_eq!(stopped.number(), 2, "{stopped}");
    project.up();
    let next = project.run("restore", &["--discard-old"]).warns_of("restore.rolled_back");
    assert!(MARIADB.ours(&project).is_empty(), "the next run finds what a server that went away has kept: {next}");

    let stopped = project.launch("restore").args(&["latest", "--yes", "--only", "shop"]).start();
    while MARIADB.ours(&project).is_empty() {}
    stopped.signal("TERM");
    let stopped = stopped.wait();
    assert_eq!(stopped.number(), 143, "{stopped}");
    assert!(MARIADB.ours(&project).is_empty(), "whoever is asked to stop tidies up");

    assert_eq!(project.sql("db", sums), checksums);
    same("after three loads that were ended", &MARIADB.dump(&project, "shop"), &live);
}

#[test]
fn files_that_cannot_be_swapped_take_the_databases_back_with_them() {
    let project = POSTGRES.project();
    project.write("uploads/a.txt", "then");
    project.run("backup", &[]).gets_done();
    project.write("uploads/a.txt", "now");
    project.sql("db", POSTGRES.harm);
    let live = POSTGRES.dump(&project, "freight");

    let failed = project.launch("restore").args(&["latest", "--yes"]).failing_from("renameat2", 1, "EIO");

    assert_eq!(failed.number(), 2, "{failed}");
    same("the database", &POSTGRES.dump(&project, "freight"), &live);
    assert_eq!(std::fs::read_to_string(project.app("uploads/a.txt")).unwrap(), "now");
    assert!(POSTGRES.ours(&project).is_empty());

    project.run("restore", &["latest", "--yes"]).gets_done();
    assert_eq!(std::fs::read_to_string(project.app("uploads/a.txt")).unwrap(), "then");
    project.run("restore", &["undo", "--yes"]).gets_done();
    assert_eq!(std::fs::read_to_string(project.app("uploads/a.txt")).unwrap(), "now");
    same("the database, put back with the files", &POSTGRES.dump(&project, "freight"), &live);
    project.run("restore", &["undo", "--yes"]).gets_done();
    assert_eq!(std::fs::read_to_string(project.app("uploads/a.txt")).unwrap(), "then");
}

/// What is said of the database as a whole.
const SETTINGS: &str = "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
  WHERE d.datname = 'freight' ORDER BY 1; SELECT datconnlimit, datacl, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'freight'";

#[test]
fn a_database_and_its_roles_come_back_to_a_server_that_has_lost_them() {
    let project = POSTGRES.project();
    let before = POSTGRES.dump(&project, "freight");
    let settings = project.sql("db", SETTINGS);
    let snapshot = project.run("backup", &[]).gets_done().snapshot();
    project.compose("down --volumes");
    project.up();
    project.sql("db", "CREATE ROLE keeper NOLOGIN PASSWORD 'kept as it is'");
    let secret = "SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'";
    let kept = project.sql("db", secret);

    let restored = project.run("restore", &[&snapshot, "--yes"]).gets_done();

    same("on a new server", &POSTGRES.dump(&project, "freight"), &before);
    assert_eq!(restored.data()["roles"].as_array().unwrap().len(), 1, "{restored}");
    assert_eq!(project.sql("db", secret), kept, "a role that is there keeps its password");
    assert!(POSTGRES.ours(&project).is_empty(), "an empty database is not worth keeping");
    assert_eq!(project.sql("db", SETTINGS), settings);

    project.sql_in("db", "postgres", "DROP DATABASE freight WITH (FORCE)");
    project.run("restore", &[&snapshot, "--yes", "--only", "freight"]).gets_done();
    same("in the place of a database that is gone", &POSTGRES.dump(&project, "freight"), &before);
}
