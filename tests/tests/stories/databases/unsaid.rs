//! What a dump could lack without anybody being told, and servers that are not where one looks first.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Exit, Finished, Project};

/// A MariaDB with an empty database.
fn mariadb() -> Project {
    let project = Project::of(
        "services:\n  database:\n    image: shipshape.test/mariadb:11.8\n    \
         environment: { MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }\n    \
         healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }\n",
    );
    project.up();
    project
}

/// The databases in a backup, sorted.
fn databases(finished: &Finished) -> Vec<String> {
    let data = finished.data();
    let payloads = data["payloads"].as_array().unwrap().iter();
    let mut names: Vec<String> = payloads
        .filter_map(|payload| payload["database"].as_str().filter(|name| !name.is_empty()).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Puts a password where the configuration looks for it.
fn give_password(project: &Project, password: &str) {
    fs::write(project.etc("password.txt"), password).unwrap();
    fs::set_permissions(project.etc("password.txt"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A user who may do everything but see routines is told the one grant that is missing, and it helps.
#[track_caller]
fn routines_are_demanded(project: &Project, grant: &str) {
    project.sql("database", "CREATE USER keeper IDENTIFIED BY 'keeper-pw'; GRANT SELECT, SHOW VIEW, TRIGGER, LOCK TABLES, EVENT ON shop.* TO keeper; CREATE TABLE orders (x INT); CREATE PROCEDURE p() SELECT 1");
    give_password(project, "keeper-pw");
    project.configure("", "[database.database]\nuser = \"keeper\"\npassword_file = \"password.txt\"");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.privilege");

    assert_eq!(refused.report()["error"]["hint"], grant);
    project.sql("database", grant);
    project.backup();
    project.sql("database", "DROP PROCEDURE p");
    project.configure("", "");
    project.run("restore", &["latest", "--only", "shop", "--yes"]).gets_done();
    let routines = "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'shop'";
    assert_eq!(project.sql("database", routines), "p");
}

#[test]
fn a_user_of_mariadb_who_sees_no_routines_is_told_what_the_dump_would_lack() {
    routines_are_demanded(&mariadb(), "GRANT SELECT ON `mysql`.`proc` TO 'keeper'@'%';");
}

#[test]
fn a_user_of_mysql_who_sees_no_routines_is_told_what_the_dump_would_lack() {
    let project = Project::of(
        "services:\n  database:\n    image: shipshape.test/mysql:9.7\n    \
         environment: { MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop }\n    \
         healthcheck: { test: [CMD, mysqladmin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }\n",
    );
    project.up();
    // A client as before 8.0.2, which ends at an option that it does not know.
    let client =
        "for word in \"$@\"; do case $word in --column-statistics*) echo unknown variable >&2; exit 7;; esac; done";
    project.inside("database", &format!(
        "real=$(command -v mysqldump); printf '%s\\n' '#!/bin/sh' '{client}' \"exec $real \\\"\\$@\\\"\" >/usr/local/bin/mysqldump; chmod +x /usr/local/bin/mysqldump"
    ));
    routines_are_demanded(&project, "GRANT SHOW_ROUTINE ON *.* TO 'keeper'@'%';");
}

#[test]
fn a_user_who_may_read_only_some_tables_is_told_so() {
    let project = mariadb();
    project.sql("database", "CREATE TABLE a (x INT); CREATE TABLE b (x INT); CREATE USER keeper IDENTIFIED BY 'keeper-pw'; GRANT SHOW VIEW, TRIGGER, LOCK TABLES, EVENT, EXECUTE ON shop.* TO keeper; GRANT SELECT ON shop.a TO keeper");
    give_password(&project, "keeper-pw");
    project.configure("", "[database.database]\nuser = \"keeper\"\npassword_file = \"password.txt\"");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.privilege");

    refused.hints("GRANT SELECT ON `shop`.* TO 'keeper'@'%'");
}

#[test]
fn the_history_of_a_table_comes_back_with_it() {
    let project = mariadb();
    project.sql("database", "CREATE TABLE prices (id INT PRIMARY KEY, cents INT) WITH SYSTEM VERSIONING; INSERT INTO prices VALUES (1, 100), (2, 200)");
    project.sql("database", "UPDATE prices SET cents = 150 WHERE id = 1; DELETE FROM prices WHERE id = 2");
    project.sql("database", "CREATE TABLE shown (id INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; INSERT INTO shown (id) VALUES (1); DELETE FROM shown");
    let past = "SELECT *, ROW_START, ROW_END FROM prices FOR SYSTEM_TIME ALL ORDER BY id, ROW_END; SELECT * FROM shown FOR SYSTEM_TIME ALL; SELECT 'now', id, cents FROM prices";
    let before = project.sql("database", past);
    assert_eq!(before.lines().count(), 5, "{before}");
    project.backup();
    project.sql("database", "DROP TABLE prices, shown");

    project.run("restore", &["latest", "--only", "shop", "--yes"]).gets_done();

    assert_eq!(project.sql("database", past), before);
}

#[test]
fn a_history_that_no_dump_takes_is_told_by_the_names_of_its_tables() {
    let project = mariadb();
    project.sql("database", "CREATE TABLE ledger (x INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; CREATE TABLE log (x INT) ENGINE=Aria WITH SYSTEM VERSIONING");

    let told = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("database.history");

    assert!(told.stdout().contains("lacks the history of system-versioned tables: ledger, log"), "{told}");
    told.warns_of("database.untransactional");
}

#[test]
fn a_postgresql_on_another_port_is_reached_and_a_database_that_lets_nobody_in_is_told() {
    let service = |name: &str, more: &str| {
        format!(
            "  {name}:\n    image: shipshape.test/postgres:17\n    {more}\n    \
             healthcheck: {{ test: [CMD-SHELL, 'pg_isready -h 127.0.0.1 -p 5433 || pg_isready -h 127.0.0.1 -p 5434'], interval: 1s, retries: 60 }}\n"
        )
    };
    let one =
        service("one", "environment: { POSTGRES_USER: a, POSTGRES_PASSWORD: pw, POSTGRES_DB: first, PGPORT: 5433 }");
    let two = service(
        "two",
        "environment: { POSTGRES_USER: a, POSTGRES_PASSWORD: pw, POSTGRES_DB: second }\n    command: [postgres, -p, '5434']",
    );
    let project = Project::of(&format!("services:\n{one}{two}"));
    project.up();
    project.inside(
        "one",
        "psql -U a -d first -c 'CREATE DATABASE closed' -c 'ALTER DATABASE closed ALLOW_CONNECTIONS false'",
    );
    project.inside(
        "two",
        "psql -p 5434 -U a -d postgres -c 'CREATE FUNCTION kept() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'",
    );

    let told = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("databases.not_copied");

    assert_eq!(databases(&told), ["first", "postgres", "second"], "a function is something that somebody keeps");
    assert!(told.stdout().contains("closed"), "{told}");
    project.configure("", "[database.one]\nexclude = [\"closed\"]\n[database.two]\ndatabases = [\"second\"]");
    let rest = project.run("backup", &["--accept-shrunk"]).exits_with(Exit::Ok);
    assert_eq!(databases(&rest), ["first", "second"]);
    project.configure("", "[database.one]\nexclude = [\"closed\"]\ndatabases = [\"postgres\", \"first\"]");
    let named = project.run("backup", &[]).exits_with(Exit::Ok);
    assert_eq!(databases(&named), ["first", "postgres", "postgres", "second"], "who names it means it");
}

#[test]
fn a_redis_on_another_port_is_reached_and_one_that_does_not_answer_is_gone() {
    let project = Project::of(
        "services:\n  cache:\n    image: shipshape.test/redis:8\n    \
         command: [redis-server, --port, '6380', --repl-diskless-sync-delay, '0']\n    \
         healthcheck: { test: [CMD, redis-cli, -p, '6380', ping], interval: 1s, retries: 60 }\n",
    );
    project.up();
    project.inside("cache", "redis-cli -p 6380 set a then");
    project.backup();
    project.inside("cache", "redis-cli -p 6380 set a now");
    project.run("restore", &["latest", "--only", "cache", "--yes"]).gets_done();
    assert_eq!(project.inside("cache", "redis-cli -p 6380 get a"), "then");
    project.configure("", "[database.cache]\nport = 6381");

    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.gone");

    refused.says("Connection refused");
}

#[test]
fn a_password_without_a_user_is_the_root_user_s_and_a_folder_among_the_data_is_no_database() {
    let project = mariadb();
    project.inside("database", "mkdir /var/lib/mysql/lost+found");
    project.sql("database", "CREATE TABLE orders (x INT); ALTER USER root@localhost IDENTIFIED BY 'changed'");
    project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.login");
    give_password(&project, "changed");
    project.configure("", "[database.database]\npassword_file = \"password.txt\"");

    let finished = project.run("backup", &[]).exits_with(Exit::Ok);

    assert_eq!(databases(&finished), ["shop"]);
}
