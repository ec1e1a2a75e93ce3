//! Databases in a backup that goes wrong: what failed is named, nothing is listed that is not whole, and no program stays
//! behind in a container.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Exit, Mount, Project, Running, shell};

const MARIADB: &str = r"
services:
  database:
    image: shipshape.test/mariadb:11.8
    environment: { MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }
    healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }
";

const REDIS: &str = r#"
services:
  cache:
    image: shipshape.test/redis:8
    command: [redis-server, --repl-diskless-sync-delay, "0"]
    healthcheck: { test: [CMD, redis-cli, ping], interval: 1s, retries: 60 }
"#;

/// How long anything may take that should happen at once on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shop with an order in it.
fn shop() -> Project {
    let project = Project::of(MARIADB);
    project.up();
    project.sql("database", "CREATE TABLE orders (x TEXT); INSERT INTO orders VALUES ('one')");
    project
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "in vain waited for: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Locks a table until the server or the locking client ends, so that a dump waits in its middle.
fn hold_a_table(project: &Project) {
    project.sql("database", "CREATE TABLE IF NOT EXISTS zz (x INT)");
    let line = "MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mariadb --user=root shop --execute='LOCK TABLES zz WRITE; SELECT SLEEP(3600)'";
    shell(&format!("docker exec --detach {} sh -c \"{}\"", project.container("database"), line.replace('$', "\\$")));
    until("the lock", || {
        project.sql("database", "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(3600)%' AND ID <> CONNECTION_ID()") == "1"
    });
}

/// A backup that has begun its dump and waits for the table.
fn in_the_middle(project: &Project) -> Running {
    let running = project.launch("backup").start();
    until("a dump that waits", || {
        dumps_in(project) > 0
            && project.sql(
                "database",
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table%'",
            ) != "0"
    });
    running
}

/// Programs of a dump in the container.
fn dumps_in(project: &Project) -> usize {
    let line = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done | grep -c '^[^ ]*mariadb-dump ' || true";
    project.inside("database", line).parse().unwrap()
}

/// Demands that a failed run left nothing that could be taken for a snapshot.
#[track_caller]
fn nothing_is_left(project: &Project) {
    assert!(project.listed().is_empty(), "no snapshot is listed");
    assert!(project.store_is_empty(), "no object is left: {:?}", project.objects());
    project.nothing_temporary_is_left();
}

#[test]
fn a_container_that_is_killed_stopped_or_restarted_during_the_dump_fails_the_backup() {
    let project = shop();
    for deed in ["kill", "stop --time 1", "restart --time 1"] {
        hold_a_table(&project);
        let running = in_the_middle(&project);

        shell(&format!("docker {deed} {}", project.container("database")));

        running.wait().exits_with(Exit::Critical).fails_with("database.gone").says("database");
        nothing_is_left(&project);
        project.up();
    }
    project.backup();
}

#[test]
fn a_signal_during_the_dump_ends_it_in_the_container_too() {
    let project = shop();
    hold_a_table(&project);
    let running = in_the_middle(&project);

    running.signal("TERM");

    let finished = running.wait();
    assert_eq!(finished.number(), 143, "{finished}");
    assert_eq!(dumps_in(&project), 0, "no program is left in the container");
    nothing_is_left(&project);
}

#[test]
fn of_two_backups_at_once_the_second_goes_away() {
    let project = shop();
    hold_a_table(&project);
    let first = in_the_middle(&project);

    project.run("backup", &[]).exits_with(Exit::Unknown).fails_with("lock.held");

    assert_eq!(dumps_in(&project), 1, "the first one's dump goes on");
    project.inside("database", "kill $(pidof mariadb)");
    first.wait().exits_with(Exit::Ok);
    assert_eq!(project.listed_and_whole().len(), 1);
}

#[test]
fn a_store_that_fills_up_during_the_dump_is_told_as_such_and_ends_the_dump() {
    let project = shop();
    // What cannot be compressed, and much more than the store has room for.
    project
        .sql("database", "CREATE TABLE noise (x BLOB); INSERT INTO noise SELECT RANDOM_BYTES(1000) FROM seq_1_to_8000");
    let store = Mount::tmpfs(&project.path("store"), "1m");

    project.run("backup", &[]).exits_with(Exit::Critical).fails_with("store.full");

    assert_eq!(dumps_in(&project), 0, "no program is left in the container");
    nothing_is_left(&project);
    store.resize("64m");
    project.backup();
}

#[test]
fn a_store_that_fills_up_while_the_server_says_nothing_still_ends_the_dump() {
    let project = shop();
    project
        .sql("database", "CREATE TABLE noise (x BLOB); INSERT INTO noise SELECT RANDOM_BYTES(1000) FROM seq_1_to_8000");
    hold_a_table(&project);
    let _store = Mount::tmpfs(&project.path("store"), "1m");

    project.run("backup", &[]).exits_with(Exit::Critical).fails_with("store.full");

    assert_eq!(dumps_in(&project), 0, "no program is left in the container");
}

#[test]
fn a_password_that_was_changed_in_the_server_is_told_and_can_be_given() {
    let project = shop();
    project.sql("database", "ALTER USER root@localhost IDENTIFIED BY 'another-one'");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.login");

    refused.hints("password_file");
    fs::write(project.etc("database.txt"), "another-one\n").unwrap();
    fs::set_permissions(project.etc("database.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    project.configure("", "[database.database]\nuser = \"root\"\npassword_file = \"database.txt\"");
    project.backup();
}

#[test]
fn a_user_without_privileges_is_told_the_grant_that_helps_until_nothing_is_missing() {
    let project = shop();
    project.sql("database", "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.x = 'x'; CREATE VIEW v AS SELECT * FROM orders; CREATE USER keeper IDENTIFIED BY 'keeper-pw'; GRANT SELECT ON shop.* TO keeper");
    fs::write(project.etc("keeper.txt"), "keeper-pw").unwrap();
    fs::set_permissions(project.etc("keeper.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    project.configure("", "[database.database]\nuser = \"keeper\"\npassword_file = \"keeper.txt\"");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.privilege");

    let hint = refused.report()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.starts_with("GRANT TRIGGER ON `shop`.* TO 'keeper'@'%'"), "{hint}");
    project.sql("database", &hint);
    project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.privilege").hints("SHOW VIEW");
    project.sql("database", "GRANT SHOW VIEW, EVENT, LOCK TABLES ON shop.* TO keeper; GRANT SHOW CREATE ROUTINE ON shop.* TO keeper; GRANT SELECT ON mysql.proc TO keeper");
    project.backup();
}

/// Puts a program before the real client, which it may still use as `$real`.
fn put_before(project: &Project, service: &str, client: &str, script: &str) {
    // Without the one that was put there before, which would call itself for ever.
    let real = project.inside(service, &format!("rm -f /usr/local/bin/{client}; command -v {client}"));
    let text = format!("#!/bin/sh\nreal={real}\n{script}\n");
    project.write("fake", text);
    let container = project.container(service);
    shell(&format!("docker cp '{}' {container}:/usr/local/bin/{client}", project.app("fake").display()));
    project.inside(service, &format!("chmod 755 /usr/local/bin/{client}"));
    fs::remove_file(project.app("fake")).unwrap();
}

#[test]
fn a_dump_that_is_cut_short_or_none_at_all_is_caught_though_its_client_ends_well() {
    let project = shop();
    let whole =
        project.inside("database", "MYSQL_PWD=$MYSQL_ROOT_PASSWORD mariadb-dump -uroot --skip-dump-date shop | wc -c");
    let whole: usize = whole.parse().unwrap();
    for length in [1, 40, whole / 2, whole - 40, whole - 3] {
        put_before(
            &project,
            "database",
            "mariadb-dump",
            &format!("case $* in --version) exec \"$real\" \"$@\";; esac\n\"$real\" \"$@\" | head -c {length}; exit 0"),
        );
        let refused = project.run("backup", &[]).exits_with(Exit::Critical);
        let code = refused.report()["error"]["code"].as_str().unwrap().to_owned();
        assert!(code == "dump.cut" || length == 1 && code == "dump.not_a_dump", "{length} of {whole}: {refused}");
        refused.says("\"shop\"");
        nothing_is_left(&project);
    }
    for (script, code) in [
        ("exit 0", "dump.empty"),
        ("echo \"mariadb-dump: Got error: 1045: Access denied for user 'root'@'localhost'\"; exit 0", "dump.message"),
        ("echo \"<html>502 Bad Gateway</html>\"; exit 0", "dump.not_a_dump"),
    ] {
        put_before(&project, "database", "mariadb-dump", script);
        project.run("backup", &[]).exits_with(Exit::Critical).fails_with(code).says("\"shop\"");
        nothing_is_left(&project);
    }
    project.inside("database", "rm /usr/local/bin/mariadb-dump");
    project.backup();
}

#[test]
fn dumps_of_postgresql_that_are_cut_short_are_caught() {
    let project = Project::down("postgres");
    project.compose("up --detach --wait database");
    project.sql("database", "CREATE TABLE orders AS SELECT generate_series(1, 1000) AS x");
    for (client, cut) in [("pg_dump", "head -n 60"), ("pg_dump", "head -c 3000"), ("pg_dumpall", "head -n 12")] {
        put_before(
            &project,
            "database",
            client,
            &format!("case $* in --version) exec \"$real\" \"$@\";; esac\n\"$real\" \"$@\" | {cut}; exit 0"),
        );
        let refused = project.run("backup", &[]).exits_with(Exit::Critical);
        let code = refused.report()["error"]["code"].as_str().unwrap().to_owned();
        assert!(code.starts_with("dump."), "{client} {cut}: {refused}");
        nothing_is_left(&project);
        project.inside("database", &format!("rm /usr/local/bin/{client}"));
    }
    project.backup();
}

#[test]
fn a_stream_of_redis_that_is_cut_or_damaged_is_caught() {
    let project = Project::of(REDIS);
    project.up();
    project.redis("cache", "SET key value\nSET other text");
    for (change, code) in [("head -c 60", "dump.cut"), ("sed s/value/velue/", "dump.checksum")] {
        let script = format!("case $* in *--rdb*) \"$real\" \"$@\" | {change}; exit 0;; esac\nexec \"$real\" \"$@\"");
        put_before(&project, "cache", "redis-cli", &script);
        project.run("backup", &[]).exits_with(Exit::Critical).fails_with(code).says("the service cache");
        nothing_is_left(&project);
        project.inside("cache", "rm /usr/local/bin/redis-cli");
    }
    project.backup();
}

#[test]
fn a_compose_file_that_cannot_be_read_and_an_engine_that_is_not_there_are_never_no_databases() {
    let project = Project::of(MARIADB);
    for words in [&["--dry-run"][..], &[]] {
        let run = || project.launch("backup").args(words);
        run()
            .with("DOCKER_HOST", "unix:///run/no-such-engine.sock")
            .run()
            .exits_with(Exit::Unknown)
            .fails_with("stack.no_answer");
    }
    project.write("compose.yaml", "services:\n  database:\n   image: [\n");

    project.run("backup", &[]).exits_with(Exit::Unknown).fails_with("stack.invalid").says("compose.yaml");

    nothing_is_left(&project);
    project.configure("", "[backup]\nservices = false");
    project.backup();
}

#[test]
fn a_database_that_does_not_run_fails_the_backup_unless_it_is_left_out() {
    let project = shop();
    project.compose("stop --timeout 1 database");

    project
        .run("backup", &[])
        .exits_with(Exit::Critical)
        .fails_with("database.not_running")
        .says("it was stopped")
        .hints("shipshape.backup=false");

    nothing_is_left(&project);
    project.run("backup", &["--only", "files"]).exits_with(Exit::Ok);
    project.configure("", "[database.database]\nbackup = false");
    let finished = project.run("backup", &["--dry-run"]).exits_with(Exit::Ok);
    assert_eq!(finished.data()["left_out"][0]["service"], "database", "{finished}");
    project.backup();
}

#[test]
fn one_database_can_be_taken_by_its_name_though_another_server_is_down() {
    let project = Project::of(&format!("{MARIADB}{}", REDIS.replace("\nservices:\n", "")));
    project.compose("up --detach --wait database");

    project.run("backup", &["--only", "shop"]).exits_with(Exit::Ok);

    project
        .run("backup", &["--only", "shop", "cache"])
        .exits_with(Exit::Critical)
        .fails_with("database.not_running")
        .says("cache");
}

#[test]
fn a_service_that_runs_twice_is_refused_until_its_owner_says_which() {
    let project = Project::of(REDIS);
    project.compose("up --detach --wait --scale cache=2");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.replicas");

    refused.says("runs 2 times").hints("instance = 1");
    nothing_is_left(&project);
    project.configure("", "[database.cache]\ninstance = 2");
    project.backup();
}

#[test]
fn a_database_of_a_profile_that_is_not_in_use_is_left_out_and_one_of_a_foreign_kind_is_told() {
    let project = Project::of(&format!(
        "{REDIS}  extra:\n    image: shipshape.test/mariadb:11.8\n    profiles: [extra]\n  documents:\n    image: mongo:7\n    profiles: [extra]\n"
    ));
    project.up();

    let finished = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("databases.not_copied");

    assert!(finished.stdout().contains("documents"), "{finished}");
    assert!(finished.data()["payloads"].as_array().unwrap().iter().all(|payload| payload["service"] != "extra"));
}

#[test]
fn a_database_of_a_profile_that_was_started_once_and_does_not_run_fails_the_backup() {
    let project = Project::of(&format!(
        "{REDIS}  extra:\n    image: shipshape.test/redis:8\n    profiles: [extra]\n    volumes: [extra-data:/data]\nvolumes: {{ extra-data: }}\n"
    ));
    project.compose("--profile extra up --detach --wait");
    project.backup();
    project.compose("--profile extra stop extra");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.not_running");

    refused.says("extra").hints("backup = false");
    project.compose("--profile extra rm --force --stop --volumes extra");
    let gone = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("backup.shrunk");
    assert_eq!(gone.data()["snapshot"]["shrunk"][0], "extra");
    let preview = project.run("backup", &["--dry-run"]).gets_done();
    let omitted = preview.data()["not_as_files"].as_array().unwrap().clone();
    let volume = omitted.iter().find(|omitted| omitted["what"] == "extra-data").unwrap();
    let why = volume["why"].as_str().unwrap();
    assert!(why.contains("nothing dumps") && why.contains("profile"), "the true reason: {why}");
}

#[test]
fn a_database_that_is_named_and_not_there_fails_the_backup() {
    let project = shop();
    project.configure("", "[database.database]\ndatabases = [\"shop\", \"depot\"]");

    project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.none").says("depot");

    project.configure("", "[database.databas]\ndatabases = [\"shop\"]");
    project.run("backup", &[]).exits_with(Exit::Unknown).fails_with("database.no_such_service").hints("database");
}

#[test]
fn what_a_killed_backup_has_left_in_the_container_is_ended_by_the_next_one() {
    let project = shop();
    hold_a_table(&project);
    let running = in_the_middle(&project);
    running.signal("KILL");
    running.wait();
    assert_eq!(dumps_in(&project), 1, "nobody was left to end it");

    project.run("backup", &["--only", "config"]).gets_done();
    assert_eq!(dumps_in(&project), 0);
}
