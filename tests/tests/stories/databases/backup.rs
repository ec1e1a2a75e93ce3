//! Databases in a backup that goes well.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Exit, Finished, Project, shell};

/// A MariaDB and nothing else.
const MARIADB: &str = r"
services:
  database:
    image: shipshape.test/mariadb:11.8
    command: [mariadbd, --max-allowed-packet=256M, --innodb-flush-log-at-trx-commit=0, --table-definition-cache=400]
    environment: { MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }
    healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }
";

/// What the report says of one payload.
#[track_caller]
fn payload(finished: &Finished, name: &str) -> Value {
    let data = finished.data();
    let found = data["payloads"].as_array().unwrap().iter().find(|payload| payload["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no payload {name} in {finished}"))
}

fn names(finished: &Finished) -> Vec<String> {
    let data = finished.data();
    let payloads = data["payloads"].as_array().unwrap().iter();
    payloads.map(|payload| payload["name"].as_str().unwrap().to_owned()).collect()
}

/// A stored object as it is without Shipshape: opened with age and zstd, into a file.
#[track_caller]
fn opened(project: &Project, snapshot: &str, object: &str) -> std::path::PathBuf {
    let into = project.path("opened");
    let from = project.stored(&format!("snapshots/{snapshot}/{object}.zst.age"));
    let identity = project.etc("identity.txt");
    shell(&format!("age -d -i '{}' '{}' | zstd -dqf -o '{}'", identity.display(), from.display(), into.display()));
    into
}

#[test]
fn the_fleet_is_copied_with_each_of_its_databases_and_the_next_run_stores_only_what_changed() {
    let fleet = Project::seeded("fleet");

    let first = fleet.run("backup", &[]).gets_done();

    assert_eq!(names(&first), ["cache", "database-globals", "fleetbase", "files", "config"]);
    let database = payload(&first, "fleetbase");
    assert_eq!((&database["engine"], &database["service"]), (&"mariadb".into(), &"database".into()));
    assert!(database["server_version"].as_str().unwrap().starts_with("11.8"), "{database}");
    let count = |sql: &str| fleet.sql("database", sql).parse::<u64>().unwrap();
    let tables =
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'";
    assert_eq!(database["tables"], count(tables));
    assert!(first.report()["summary"].as_str().unwrap().contains("2 databases, "), "{first}");

    let dump = opened(&fleet, &first.snapshot(), "database-fleetbase.sql");
    let text = std::fs::read_to_string(&dump).unwrap();
    assert!(text.trim_end().ends_with("-- Dump completed"), "the dump ends with its mark");
    assert!(["TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"].iter().all(|kind| text.contains(kind)));
    let rdb = opened(&fleet, &first.snapshot(), "database-cache.rdb");
    shell(&format!(
        "redis-check-rdb '{}' || docker cp '{0}' {1}:/tmp/x.rdb && docker exec {1} redis-check-rdb /tmp/x.rdb",
        rdb.display(),
        fleet.container("cache")
    ));

    let second = fleet.run("backup", &[]).gets_done();
    assert_eq!(payload(&second, "fleetbase")["unchanged"], true);
    fleet.sql("database", "INSERT INTO drivers (name) VALUES ('new')");
    let third = fleet.run("backup", &[]).gets_done();
    assert_eq!(payload(&third, "fleetbase")["unchanged"], false);
    assert_eq!(payload(&third, "fleetbase")["rows"], payload(&second, "fleetbase")["rows"].as_u64().unwrap() + 1);

    let listed = fleet.launch("backup").args(&["list", "--long", "--format", "text"]).run();
    assert!(listed.stdout().contains("mariadb 11.8"), "{listed}");
}

#[test]
fn a_preview_names_every_database_and_touches_nothing() {
    let fleet = Project::down("fleet");
    fleet.compose("up --detach --wait database cache");

    let preview = fleet.run("backup", &["--dry-run"]).exits_with(Exit::Ok);

    let data = preview.data();
    let databases: Vec<(&str, &str)> = data["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["name"].as_str().unwrap(), found["service"].as_str().unwrap()))
        .collect();
    assert_eq!(
        databases,
        [("cache", "cache"), ("database-globals", "database"), ("fleetbase", "database")],
        "{preview}"
    );
    assert!(data["databases"][1]["server_version"].as_str().unwrap().starts_with("11.8"), "{preview}");
    assert!(fleet.store_is_empty());
    let told = fleet.launch("backup").args(&["--dry-run", "--format", "text"]).run().stdout();
    assert!(told.contains("fleetbase: \"fleetbase\"") && told.contains("in the service database"), "{told}");
}

#[test]
fn one_database_can_be_taken_by_its_name_and_another_name_is_refused() {
    let project = Project::of(MARIADB);
    project.up();

    let finished = project.run("backup", &["--only", "shop"]).exits_with(Exit::Ok);

    assert_eq!(names(&finished), ["shop"]);
    project
        .run("backup", &["--only", "shoe"])
        .exits_with(Exit::Unknown)
        .fails_with("source.unknown_part")
        .hints("shop");
}

#[test]
fn postgresql_is_copied_with_its_roles_first() {
    let project = Project::seeded("postgres");

    let finished = project.run("backup", &[]).exits_with(Exit::Ok);

    assert_eq!(names(&finished), ["database-globals", "freight", "files", "config"]);
    let globals = std::fs::read_to_string(opened(&project, &finished.snapshot(), "globals-database.sql")).unwrap();
    assert!(globals.contains("CREATE ROLE reporting") && !globals.contains("INSERT INTO"), "{globals}");
    let rows = payload(&finished, "freight")["rows"].as_u64().unwrap();
    assert!(rows > 0, "{finished}");
    assert!(
        finished.report()["summary"].as_str().unwrap().contains("1 database, "),
        "roles are no database: {finished}"
    );
}

#[test]
fn mysql_itself_is_copied() {
    if crate::harness::goes_without("mysql") {
        return; // `scripts/test` counts it as not run.
    }
    let project = Project::seeded("mysql");

    let finished = project.run("backup", &[]).exits_with(Exit::Ok);

    let database = payload(&finished, "shop");
    assert_eq!(database["engine"], "mysql", "{finished}");
    let text = std::fs::read_to_string(opened(&project, &finished.snapshot(), "database-shop.sql")).unwrap();
    assert!(text.trim_end().ends_with("-- Dump completed"), "{}", &text[text.len() - 200..]);
}

#[test]
fn two_servers_with_a_database_of_one_name_keep_theirs_apart_from_run_to_run() {
    let server = |name: &str| MARIADB.replace("services:\n", "").replace("database:", &format!("{name}:"));
    let project = Project::of(&format!("services:{}", server("main")));
    project.up();
    project.run("backup", &[]).exits_with(Exit::Ok);
    project.write("compose.yaml", format!("services:{}{}", server("archive"), server("main")));
    project.up();

    let first = project.run("backup", &[]).exits_with(Exit::Ok);
    let second = project.run("backup", &[]).exits_with(Exit::Ok);

    assert_eq!(names(&first)[..2], ["archive-shop", "shop"]);
    assert_eq!(names(&second), names(&first));
    assert_eq!(payload(&second, "shop")["service"], "main");
    assert!([&second, &first].iter().all(|run| payload(run, "shop")["unchanged"] == true));
}

#[test]
fn databases_with_odd_names_are_copied_under_plain_ones() {
    let project = Project::of(MARIADB);
    project.up();
    let odd = ["my-shop", "my shop", "it's", "back`tick", "größe", "say \"x\"", "50%_off", "$HOME", "-- x"];
    for name in odd {
        let quoted = format!("`{}`", name.replace('`', "``"));
        project.sql(
            "database",
            &format!(
                "CREATE DATABASE {quoted}; CREATE TABLE {quoted}.t (x TEXT); INSERT INTO {quoted}.t VALUES ('in {}')",
                name.replace('\'', "''")
            ),
        );
    }

    let finished = project.run("backup", &[]).exits_with(Exit::Ok);

    let data = finished.data();
    let stored: BTreeSet<&str> =
        data["payloads"].as_array().unwrap().iter().filter_map(|it| it["database"].as_str()).collect();
    assert!(odd.iter().all(|name| stored.contains(name)), "{stored:?}");
    for payload in data["payloads"].as_array().unwrap() {
        let Some(name) = payload["database"].as_str().filter(|name| odd.contains(name)) else { continue };
        let object = format!("database-{}.sql", payload["name"].as_str().unwrap());
        let text = std::fs::read_to_string(opened(&project, &finished.snapshot(), &object)).unwrap();
        let written = format!("in {name}").replace('\'', "\\'").replace('"', "\\\"");
        assert!(text.contains(&written), "{name:?} has its own rows: {written}");
    }
}

#[test]
fn ten_thousand_tables_a_row_of_64_mib_and_an_empty_database_are_copied() {
    let project = Project::of(MARIADB);
    project.up();
    let tables: Vec<String> =
        (0..10_000).map(|number| format!("CREATE TABLE t{number} (x INT) ENGINE=InnoDB;\n")).collect();
    project.sql("database", &format!("SET SESSION innodb_strict_mode=0; {}", tables.concat()));
    project.sql("database", "CREATE DATABASE empty; CREATE DATABASE heavy; CREATE TABLE heavy.h (x LONGBLOB); INSERT INTO heavy.h VALUES (REPEAT('a row of 64 MiB ', 4194304))");

    let finished = project.run("backup", &[]).exits_with(Exit::Ok);

    assert_eq!(payload(&finished, "shop")["tables"], 10_000);
    assert_eq!(payload(&finished, "empty")["tables"], 0);
    let heavy = payload(&finished, "heavy");
    // As hexadecimal digits, each byte is two.
    assert_eq!(heavy["rows"], 1);
    assert!(heavy["bytes_plain"].as_u64().unwrap() > 128 << 20, "{heavy}");
}

#[test]
fn a_database_that_lost_its_rows_or_is_gone_is_told_and_its_last_copies_stay_until_that_is_accepted() {
    let project = Project::of(MARIADB);
    project.configure("", "[backup.keep]\nlast = 1\ndaily = 1");
    project.up();
    project.sql("database", "CREATE TABLE orders (x INT); INSERT INTO orders VALUES (1), (2); CREATE DATABASE old");
    let good = project.backup();
    project.sql("database", "DELETE FROM orders");
    let emptied = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("backup.shrunk");
    assert!(emptied.stdout().contains("no rows, and the last good one had 2 rows"), "{emptied}");
    assert_eq!(emptied.data()["snapshot"]["shrunk"], json!(["shop"]));

    project.sql("database", "INSERT INTO orders VALUES (1), (2); DROP DATABASE old");
    for _ in 0..3 {
        let gone = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("backup.shrunk");
        assert!(gone.stdout().contains("lacks databases that the last good one had: old"), "{gone}");
        assert!(gone.stdout().contains("--accept-shrunk"), "the hint has the way out: {gone}");
        assert_eq!((&gone.data()["snapshot"]["shrunk"], &gone.data()["pruned"]), (&json!(["old"]), &Value::Null));
        // One that was asked for a part is no reason to forget the rest.
        project.run("backup", &["--only", "shop"]).exits_with(Exit::Ok);
        project.run("backup", &["prune"]).exits_with(Exit::Ok);
    }
    let kept = |id: &str| project.objects().iter().any(|object| object.ends_with(format!("{id}/manifest.json")));
    assert!(kept(&good), "the last copy of what is gone");
    let latest = project.run("restore", &["latest", "--dry-run"]).gets_done();
    assert_eq!(latest.data()["snapshot"]["id"], good.as_str(), "{latest}");

    let accepted = project.run("backup", &["--accept-shrunk"]).exits_with(Exit::Ok);
    assert_eq!(accepted.data()["snapshot"]["shrunk"], json!([]));
    project.backup();
    assert!(!kept(&good), "the new state stands in for the old one");
}

#[test]
fn tables_without_transactions_are_named_in_a_warning() {
    let project = Project::of(MARIADB);
    project.up();
    project.sql("database", "CREATE TABLE counters (x INT) ENGINE=MyISAM; CREATE TABLE safe (x INT)");

    let finished = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("database.untransactional");

    assert!(finished.stdout().contains("counters") && !finished.stdout().contains("safe,"), "{finished}");
}

#[test]
fn a_backup_shows_no_password_to_who_looks_at_the_processes() {
    let fleet = Project::down("fleet");
    fleet.compose("up --detach --wait database cache");
    let environment = std::fs::read_to_string(fleet.app(".env")).unwrap();
    let secrets: Vec<String> = environment
        .lines()
        .filter(|line| line.contains("PASSWORD="))
        .filter_map(|line| line.split_once('=').map(|(_, value)| value.to_owned()))
        .collect();
    assert!(secrets.len() >= 3);
    let over = AtomicBool::new(false);

    let (finished, seen) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&secrets, &over));
        let finished = fleet.run("backup", &[]);
        over.store(true, Ordering::Relaxed);
        (finished, watcher.join().unwrap())
    });

    finished.gets_done();
    assert!(seen.dumps > 0, "the watcher saw a dump run");
    assert!(seen.shown.is_empty(), "{:?}", seen.shown);
}

/// What a watcher of processes has seen.
#[derive(Default)]
struct Seen {
    /// Command lines of dumps.
    dumps: usize,
    /// Command lines with a secret in them, and the environments of `docker` with one.
    shown: BTreeSet<String>,
}

fn watch(secrets: &[String], over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::Relaxed) {
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            look_at(&process.path(), secrets, &mut seen);
        }
    }
    seen
}

/// The command line of any process; the environment of those that are ours and not the application's.
fn look_at(process: &Path, secrets: &[String], seen: &mut Seen) {
    let read =
        |name: &str| String::from_utf8_lossy(&std::fs::read(process.join(name)).unwrap_or_default()).into_owned();
    let words = read("cmdline").replace('\0', " ");
    // The owner has put the cache's password there himself: `redis-server --requirepass`, as its container shows anyway.
    if words.is_empty() || words.starts_with("redis-server") || words.contains("redis-server --requirepass") {
        return;
    }
    seen.dumps += usize::from(words.contains("mariadb-dump") || words.contains("--rdb -"));
    let is_docker = words.starts_with("docker ") || words.starts_with("/usr/") && words.contains("docker");
    let environment = if is_docker { read("environ") } else { String::new() };
    let shows = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
    if shows(&words) || shows(&environment) {
        seen.shown.insert(words);
    }
}
