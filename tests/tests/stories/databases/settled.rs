//! Restores of databases that were killed, and what the next run makes of it: nothing that was written since is lost, and
//! nothing stands in the way for good.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Exit, Project, Running, shell};

const CACHE: &str = "  cache:\n    image: shipshape.test/redis:8\n    \
    command: [redis-server, --repl-diskless-sync-delay, '0']\n    volumes: [data:/data]\n";

/// How long anything may take that should happen soon on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "in vain waited for: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn kill(running: Running) {
    running.signal("KILL");
    running.wait();
}

/// Runs a line in a service, for as long as it takes, without waiting for it.
fn detached(project: &Project, service: &str, line: &str) {
    shell(&format!("docker exec --detach {} sh -c \"{}\"", project.container(service), line.replace('$', "\\$")));
}

#[test]
fn what_was_written_after_a_restore_was_killed_midway_is_kept_and_can_be_had_back() {
    let project = Project::of(&format!(
        "services:\n{CACHE}  db:\n    image: shipshape.test/mariadb:11.8\n    \
         environment: {{ MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }}\n    healthcheck: \
         {{ test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }}\nvolumes:\n  data:\n"
    ));
    project.up();
    project.sql(
        "db",
        "CREATE TABLE orders (x TEXT); INSERT INTO orders VALUES ('then'); CREATE DATABASE billing; \
         CREATE TABLE billing.bills (x TEXT); INSERT INTO billing.bills VALUES ('then')",
    );
    project.sql_in(
        "db",
        "billing",
        "CREATE TRIGGER stamped BEFORE INSERT ON bills FOR EACH ROW SET NEW.x = UPPER(NEW.x)",
    );
    project.redis("cache", "SET a then");
    project.backup();
    project.sql("db", "DELETE FROM billing.bills; INSERT INTO billing.bills VALUES ('now')");
    project.redis("cache", "SET a now");
    let bills = || project.sql_in("db", "billing", "SELECT x FROM bills ORDER BY x").replace('\n', " ");
    let keys = || project.redis("cache", "GET a\nEXISTS day2").replace('\n', " ");
    // Whoever has read in a transaction that is open holds the table: the last swap has to wait.
    let hold = "MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mariadb -uroot shop -e 'BEGIN; SELECT COUNT(*) FROM orders; SELECT SLEEP(3600)'";
    detached(&project, "db", hold);
    let running = project.launch("restore").args(&["latest", "--yes", "--only", "cache", "billing", "shop"]).start();
    until("the first two to be swapped", || bills() == "then" && keys() == "then 0");
    kill(running);
    project.redis("cache", "SET day2 x");
    project.sql_in("db", "billing", "INSERT INTO bills VALUES ('day2')");

    project.run("restore", &["latest", "--only", "files"]).exits_with(Exit::Unknown).fails_with("restore.needs_yes");
    project.run("restore", &["latest", "--only", "files", "--dry-run"]).warns_of("restore.unsettled");
    assert_eq!((bills().as_str(), keys().as_str()), ("DAY2 then", "then 1"), "nothing was changed");

    project.run("restore", &["undo", "--yes"]).warns_of("restore.rolled_back");
    assert_eq!((bills().as_str(), keys().as_str()), ("NOW", "now 0"));

    project.run("restore", &["undo", "--yes"]).gets_done();
    assert_eq!((bills().as_str(), keys().as_str()), ("DAY2 then", "then 1"));
    project.sql_in("db", "billing", "INSERT INTO bills VALUES ('more')");
    assert_eq!(bills(), "DAY2 MORE then", "its trigger is there");
    assert_eq!(project.sql("db", "SELECT x FROM orders"), "then");
}

#[test]
fn what_was_written_to_postgresql_after_a_restore_was_killed_midway_is_kept() {
    let project = Project::down("postgres");
    project.compose("up --detach --wait database");
    let in_aaa = |sql: &str| project.sql_in("database", "aaa", sql).replace('\n', " ");
    project.sql_in("database", "postgres", "CREATE DATABASE aaa; CREATE DATABASE zzz");
    in_aaa("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('then')");
    project.sql_in("database", "zzz", "CREATE TABLE t (x TEXT)");
    project.backup();
    in_aaa("UPDATE t SET x = 'now'");
    let hold = "PGPASSWORD=$POSTGRES_PASSWORD exec psql -X -U $POSTGRES_USER -d postgres \
        -c 'SELECT pg_advisory_lock(hashtext($$zzz$$)), pg_sleep(20)'"
        .replace("$$", "\\$\\$");
    shell(&format!("docker exec --detach {} sh -c \"{}\"", project.container("database"), hold.replace("$P", "\\$P")));
    let running = project.launch("restore").args(&["latest", "--yes", "--only", "aaa", "zzz"]).start();
    until("the first to be swapped", || {
        project.sql_in(
            "database",
            "postgres",
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'aaa\\_\\_before\\_%'",
        ) == "1"
    });
    kill(running);
    in_aaa("INSERT INTO t VALUES ('day2')");

    project.run("restore", &["latest", "--only", "config", "--yes"]).warns_of("restore.rolled_back");

    assert_eq!(in_aaa("SELECT x FROM t"), "now");
    let kept = project.sql_in(
        "database",
        "postgres",
        "SELECT datname FROM pg_database WHERE datname LIKE 'aaa\\_\\_before\\_%'",
    );
    assert_eq!(project.sql_in("database", &kept, "SELECT x FROM t ORDER BY x"), "day2\nthen");
}

/// A server that was empty, whose restore is killed when it is about to be swapped.
#[test]
fn a_restart_of_an_empty_server_is_not_taken_for_a_swap() {
    let project = Project::of(&format!("services:\n{CACHE}volumes:\n  data:\n"));
    project.up();
    project.redis("cache", "SET a then");
    project.backup();
    project.redis("cache", "FLUSHALL");
    // A server that does not answer: the restore stands still where it would ask it to take over.
    let running = project.launch("restore").args(&["latest", "--yes", "--only", "cache"]).start();
    let journal = format!("find '{}' -name journal.json -exec cat {{}} +", project.path("").display());
    until("the swap", || shell(&journal).contains("\"swapping\""));
    kill(running);
    let is_live = project.redis("cache", "GET a") == "then";
    project.compose("restart cache");
    project.redis("cache", "SET day2 x");

    let settled = project.run("restore", &["latest", "--only", "config", "--yes"]).warns_of("restore.rolled_back");

    let kept = project.inside("cache", "ls /data");
    assert!(project.redis("cache", "GET day2") == "x" || kept.contains("__before_"), "{is_live} {kept} {settled}");
}

/// A server with so much in it that a restore can be met in the middle of loading.
fn killed_while_it_loads() -> Project {
    let project = Project::of(&format!("services:\n{CACHE}volumes:\n  data:\n"));
    project.up();
    let filled = "for number = 1, 300000 do redis.call('SET', 'key:' .. number, string.rep('x', 200) .. number) end";
    project.redis("cache", &format!("EVAL \"{filled}\" 0"));
    project.write("a.txt", "a");
    project.backup();
    let live = project.container("cache");
    let running = project.launch("restore").args(&["latest", "--yes", "--only", "cache"]).start();
    let beside = format!("docker ps -aq --no-trunc --filter label=shipshape.beside={live}");
    until("a second server", || !shell(&beside).trim().is_empty());
    kill(running);
    let journal = format!("find '{}' -name journal.json -exec cat {{}} +", project.path("").display());
    assert!(shell(&journal).contains("\"loading\""));
    project
}

#[test]
fn a_service_that_was_renamed_after_a_load_was_killed_stands_in_nobodys_way() {
    let project = killed_while_it_loads();
    let live = project.container("cache");
    let compose = fs::read_to_string(project.app("compose.yaml")).unwrap();
    project.write("compose.yaml", compose.replace("  cache:", "  store:"));

    project.run("restore", &["undo", "--yes"]).fails_with("restore.nothing_to_undo");

    assert_eq!(shell(&format!("docker ps -aq --filter label=shipshape.beside={live}")).trim(), "");
    project.run("restore", &["--discard-old"]).exits_with(Exit::Ok);
    project.run("restore", &["latest", "--only", "config", "--yes"]).exits_with(Exit::Ok);
}

#[test]
fn everything_can_be_wiped_and_begun_again_after_a_load_was_killed() {
    let project = killed_while_it_loads();
    project.compose("down --volumes --timeout 1");
    shell(&format!("rm -rf '{}'", project.path("app").display()));
    fs::create_dir(project.path("app")).unwrap();

    project.run("restore", &["latest", "--all", "--yes"]).gets_done();

    until("all keys", || project.redis("cache", "DBSIZE") == "300000");
}

#[test]
fn an_old_side_of_a_service_that_is_gone_is_named_once() {
    let project = Project::of(&format!("services:\n{CACHE}volumes:\n  data:\n"));
    project.up();
    project.redis("cache", "SET a then");
    project.backup();
    project.run("restore", &["latest", "--yes", "--only", "cache"]).exits_with(Exit::Ok);
    let compose = fs::read_to_string(project.app("compose.yaml")).unwrap();
    project.write("compose.yaml", compose.replace("  cache:", "  store:"));

    let told = project.run("restore", &["--discard-old"]).exits_with(Exit::Warning).warns_of("restore.not_tidy");
    assert!(told.stdout().contains("cache/cache__before_"), "{told}");

    project.run("restore", &["--discard-old"]).exits_with(Exit::Ok);
}
