//! The worst day: everything was changed, or the server is gone.

use std::fs;

use crate::harness::{Exit, Finished, Project, Tree};

/// What tells whether a fleet is as it was: checksums of all tables, every key with its value, every file.
struct Fleet {
    tables: String,
    keys: String,
    uploads: Tree,
    volume: String,
}

/// Every key of every database with its serialized value.
const KEYS: &str = "local told = {} \
    for number = 0, 1 do redis.call('SELECT', number) local keys = redis.call('KEYS', '*') table.sort(keys) \
    for _, key in ipairs(keys) do \
    told[#told + 1] = number .. ' ' .. key .. ' ' .. redis.sha1hex(redis.call('DUMP', key)) .. ' ' .. \
    tostring(redis.call('TTL', key) > 0) end end return told";

impl Fleet {
    #[track_caller]
    fn of(project: &Project) -> Self {
        let tables = project.sql(
            "database",
            "SELECT GROUP_CONCAT(CONCAT('`', TABLE_NAME, '`') ORDER BY TABLE_NAME) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'",
        );
        let objects = "SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS \
             WHERE TRIGGER_SCHEMA = DATABASE(); \
            SELECT ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE(); \
            SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE(); \
            SELECT EVENT_NAME, STATUS, EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()";
        let uploads = Tree::of(&project.app("storage/uploads"));
        Self {
            tables: project.sql("database", &format!("CHECKSUM TABLE {tables}; {objects}")),
            keys: project.redis("cache", &format!("EVAL \"{KEYS}\" 0")),
            uploads,
            volume: project.inside(
                "application",
                "cd /app/storage/app && find . -type f -not -path './.shipshape-*' | sort | xargs sha256sum",
            ),
        }
    }

    #[track_caller]
    fn is_as(&self, before: &Self) {
        assert_eq!(self.tables, before.tables);
        assert_eq!(self.keys, before.keys);
        assert_eq!(self.volume, before.volume);
        before.uploads.equals(&self.uploads);
    }
}

#[test]
fn a_fleet_whose_data_was_changed_and_destroyed_is_as_it_was_after_one_restore() {
    let fleet = Project::seeded("fleet");
    fleet.write("storage/uploads/2026/receipt.txt", "paid");
    let before = Fleet::of(&fleet);
    fleet.backup();

    fleet.sql("database", "DELETE FROM orders LIMIT 100; DROP TABLE order_log; UPDATE vehicles SET plate = plate");
    fleet.redis("cache", "FLUSHALL\nSET intruder 1");
    fs::remove_dir_all(fleet.app("storage/uploads")).unwrap();
    fleet.write("storage/uploads/new.txt", "new");
    fleet.inside("application", "rm -rf /app/storage/app/invoices; echo x > /app/storage/app/intruder");

    let restored = fleet.run("restore", &["latest", "--yes"]).gets_done();

    fleet.compose("restart application httpd");
    Fleet::of(&fleet).is_as(&before);
    assert!(restored.stdout().contains("__before_"), "the old sides are kept: {restored}");
}

/// Without any configuration, as on a server that has just been made: nothing but the store, the identity and a folder.
#[track_caller]
fn everything_restored(project: &Project, words: &str) -> Finished {
    let line = format!(
        "cd / && env -u SHIPSHAPE_CONFIG SHIPSHAPE_STATE='{}' restore latest --all --store '{}' --identity '{}' --app '{}' {words}",
        project.path("state-of-a-new-server").display(),
        project.path("store").display(),
        project.etc("identity.txt").display(),
        project.path("app").display(),
    );
    // The folder that a program starts in may be gone.
    fs::create_dir_all(project.path("app")).unwrap();
    let empty = fs::read_dir(project.path("app")).unwrap().next().is_none();
    let removed = if empty { format!("rmdir '{}' && ", project.path("app").display()) } else { String::new() };
    project.sh(&format!("{removed}{line}"))
}

#[test]
fn one_command_brings_a_fleet_back_onto_an_empty_server() {
    let fleet = Project::seeded("fleet");
    let before = Fleet::of(&fleet);
    fleet.backup();
    fleet.compose("down --volumes");
    fs::remove_dir_all(fleet.path("app")).unwrap();

    let restored = everything_restored(&fleet, "").exits_with(Exit::Ok);

    Fleet::of(&fleet).is_as(&before);
    let data = restored.data();
    assert!(data["recovery_s"].as_f64().unwrap() > 0.0, "{restored}");
    let steps: Vec<&str> = data["steps"].as_array().unwrap().iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(steps.len(), 6, "{restored}");
    assert!(steps[0].contains("configuration") && steps[3].contains("cache, database"), "{restored}");
    assert_eq!(restored.stderr().matches("restore: ").count(), 6, "each step is told: {restored}");
    let running = fleet.compose("ps --services --filter status=running");
    assert_eq!(running.lines().count(), 8, "{running}");
    assert!(!restored.stdout().contains("__before_"), "there was nothing to keep: {restored}");

    // Once more, where everything is live: nobody is there to be asked.
    everything_restored(&fleet, "").exits_with(Exit::Unknown).fails_with("restore.needs_yes");
    everything_restored(&fleet, "--yes").gets_done();
    Fleet::of(&fleet).is_as(&before);
}

/// A server of the MySQL family with the client that it has.
fn server(image: &str, client: &str) -> Project {
    let project = Project::of(
        &format!(
            "
services:
  db:
    image: shipshape.test/{image}
    environment: {{ MYSQL_ROOT_PASSWORD: root-x7Kq, MYSQL_DATABASE: shop, MYSQL_USER: app, MYSQL_PASSWORD: app-x7Kq }}
    healthcheck: {{ test: [CMD, {client}-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }}
"
        )
        .replace("mysql-admin", "mysqladmin"),
    );
    project.up();
    project.sql("db", ACCOUNTS);
    project
}

/// A view that acts as an account, rights on everything, on a table and on a routine, a role, and a name that is hard to quote.
const ACCOUNTS: &str = r"CREATE TABLE orders (n INT PRIMARY KEY); INSERT INTO orders VALUES (1), (2);
    CREATE ROLE readers; GRANT SELECT ON shop.* TO readers;
    CREATE USER reporting@'%' IDENTIFIED BY 'rep-x7Kq'; GRANT readers TO reporting@'%';
    GRANT PROCESS ON *.* TO reporting@'%'; GRANT SELECT ON shop.orders TO reporting@'%';
    CREATE PROCEDURE sums() SELECT SUM(n) FROM orders; GRANT EXECUTE ON PROCEDURE shop.sums TO reporting@'%';
    CREATE USER 'o''d\\d`\n;-- x'@'10.%' IDENTIFIED BY 'odd-x7Kq' REQUIRE SSL; GRANT INSERT ON `a``b`.* TO 'o''d\\d`\n;-- x'@'10.%';
    CREATE DEFINER=reporting@'%' SQL SECURITY DEFINER VIEW totals AS SELECT SUM(n) AS total FROM orders;";

/// What the server says of the accounts, and what one of them may see.
fn accounts(project: &Project, client: &str) -> String {
    let grants = project.sql(
        "db",
        r"SHOW GRANTS FOR readers; SHOW GRANTS FOR app@'%'; SHOW GRANTS FOR reporting@'%'; SHOW CREATE USER reporting@'%';
        SHOW GRANTS FOR 'o''d\\d`\n;-- x'@'10.%'; SELECT User, Host FROM mysql.user ORDER BY 1, 2; SELECT total FROM totals",
    );
    grants + &asked(project, client, "rep-x7Kq")
}

fn asked(project: &Project, client: &str, password: &str) -> String {
    let line = format!(
        "MYSQL_PWD={password} {client} -ureporting -N shop -e 'SELECT COUNT(*) FROM orders; CALL sums()' 2>&1 || true"
    );
    project.inside("db", &line)
}

fn accounts_come_back(image: &str, client: &str) {
    let project = server(image, client);
    let before = accounts(&project, client);
    assert!(before.ends_with("2\n3"), "{before}");
    project.backup();
    let again = project.run("backup", &[]).gets_done();
    let data = again.data();
    let globals = data["payloads"].as_array().unwrap().iter().find(|payload| payload["name"] == "db-globals").unwrap();
    assert_eq!(globals["unchanged"], true, "{again}");
    project.run("restore", &["drill"]).exits_with(Exit::Ok);

    project.compose("down --volumes");
    fs::remove_dir_all(project.path("app")).unwrap();
    let restored = everything_restored(&project, "").exits_with(Exit::Ok);
    assert_eq!(accounts(&project, client), before, "{restored}");

    // Who is there is left alone, but for what is missing.
    project.sql("db", r"ALTER USER reporting@'%' IDENTIFIED BY 'new-x7Kq'; DROP USER 'o''d\\d`\n;-- x'@'10.%'");
    let restored = project.run("restore", &["latest", "--only", "shop", "--yes"]).gets_done();
    let made = restored.data()["roles"].clone();
    assert_eq!(made, serde_json::json!([r"'o\'d\\d`\n;-- x'@'10.%'"]), "{restored}");
    assert!(asked(&project, client, "rep-x7Kq").contains("Access denied"));
    assert_eq!(asked(&project, client, "new-x7Kq"), "2\n3");
}

#[test]
fn accounts_and_their_rights_come_back_to_mariadb_and_those_that_are_there_keep_their_passwords() {
    accounts_come_back("mariadb:11.8", "mariadb");
}

#[test]
fn accounts_and_their_rights_come_back_to_mysql_and_those_that_are_there_keep_their_passwords() {
    if crate::harness::goes_without("mysql") {
        return; // `scripts/test` counts it as not run.
    }
    accounts_come_back("mysql:9.7", "mysql");
}

#[test]
fn one_command_brings_postgresql_back_with_its_roles() {
    let project = Project::seeded("postgres");
    let dumped = |project: &Project| {
        let dump = "PGPASSWORD=$POSTGRES_PASSWORD pg_dump -U $POSTGRES_USER $POSTGRES_DB | grep -v 'restrict '";
        let roles = "PGPASSWORD=$POSTGRES_PASSWORD pg_dumpall --roles-only --no-role-passwords -U $POSTGRES_USER";
        project.inside("database", dump) + &project.inside("database", &format!("{roles} | grep -v 'restrict '"))
    };
    let before = dumped(&project);
    let documents = Tree::of(&project.app("documents"));
    project.backup();
    project.compose("down --volumes");
    fs::remove_dir_all(project.path("app")).unwrap();

    everything_restored(&project, "").exits_with(Exit::Ok);

    assert_eq!(dumped(&project), before);
    documents.equals(&Tree::of(&project.app("documents")));
}

#[test]
fn a_service_that_does_not_come_up_is_named_and_the_data_stays() {
    let project = Project::of(
        "services:\n  cache:\n    image: shipshape.test/redis:8\n    command: [redis-server, --save, '']\n  \
         worker:\n    image: shipshape.test/app:1\n    entrypoint: [sh, -c, 'test -e /work/ready && sleep 600']\n    \
         volumes: ['./work:/work:ro']\n",
    );
    project.write("work/ready", "");
    project.up();
    project.redis("cache", "SET a 1");
    fs::remove_file(project.app("work/ready")).unwrap();
    project.backup();
    project.compose("down --volumes");
    fs::remove_dir_all(project.path("app")).unwrap();

    let restored = everything_restored(&project, "").exits_with(Exit::Warning).warns_of("restore.not_up");

    assert!(restored.stdout().contains("worker did not come up"), "{restored}");
    assert_eq!(project.redis("cache", "GET a"), "1");
}

/// Servers that mount their settings as folders.
const SETTINGS: &str = r#"services:
  database:
    image: shipshape.test/mariadb:11.8
    environment: { MARIADB_ROOT_PASSWORD: "${ROOT_PASSWORD}", MARIADB_DATABASE: fleetbase }
    volumes: ['data:/var/lib/mysql']
    healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 2s, timeout: 5s, retries: 60 }
  cache:
    image: shipshape.test/redis:8
    command: [redis-server, /usr/local/etc/redis/redis.conf]
    volumes: ['./redis:/usr/local/etc/redis:ro']
volumes:
  data:
"#;

#[test]
fn a_clone_without_its_env_comes_back_with_the_settings_that_its_servers_mount() {
    let project = Project::of(SETTINGS);
    let environment = fs::read_to_string(project.app(".env")).unwrap();
    project.write(".env", format!("{environment}ROOT_PASSWORD=its-own\n"));
    project.write("redis/redis.conf", "databases 5\n");
    project.up();
    project.sql("database", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    project.redis("cache", "SET a 1");
    let id = project.backup();
    project.run("restore", &["drill"]).exits_with(Exit::Ok);
    project.compose("down --volumes");
    fs::remove_dir_all(project.path("app")).unwrap();
    project.write("compose.yaml", format!("# newer\n{SETTINGS}"));

    let preview = everything_restored(&project, "--dry-run --format text");
    assert!(preview.stdout().contains("these differ, and become those of the snapshot: compose.yaml\n"), "{preview}");
    let restored = everything_restored(&project, "--yes").exits_with(Exit::Ok);

    let is_as_it_was = |project: &Project| {
        assert_eq!(project.sql("database", "SELECT COUNT(*) FROM t"), "2");
        assert_eq!(project.redis("cache", "GET a\nCONFIG GET databases"), "1\ndatabases\n5");
    };
    is_as_it_was(&project);
    assert_eq!(fs::read_to_string(project.app("compose.yaml")).unwrap(), SETTINGS);
    assert!(restored.stdout().contains("everything is back"), "{restored}");

    // A store with several applications, of which none is called like the folder.
    let other = project.path("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("x"), "x").unwrap();
    let line = "env -u SHIPSHAPE_CONFIG backup --no-encryption";
    project.sh(&format!("{line} --store '{}' --app '{}'", project.path("store").display(), other.display()));
    everything_restored(&project, "--yes").exits_with(Exit::Ok);
    is_as_it_was(&project);
    let elsewhere = project.path("elsewhere");
    let to = |words: &str| {
        let (store, identity) = (project.path("store"), project.etc("identity.txt"));
        let (store, identity, state) =
            (store.display(), identity.display(), project.path("state-2").display().to_string());
        let line = format!(
            "cd / && env -u SHIPSHAPE_CONFIG SHIPSHAPE_STATE='{state}' restore {words} --all --store '{store}'"
        );
        project.sh(&format!("{line} --identity '{identity}' --app '{}'", elsewhere.display()))
    };
    let refused = to("latest").exits_with(Exit::Unknown).fails_with("snapshot.no_app");
    refused.hints("name the snapshot by its id");
    project.compose("down --volumes");
    to(&id).exits_with(Exit::Ok);
    is_as_it_was(&project);
}

#[test]
fn what_services_mount_and_no_snapshot_has_is_told_by_a_drill_and_by_a_recovery() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("extra.conf");
    fs::write(&file, "x").unwrap();
    let project = Project::of(&format!(
        "services:\n  cache:\n    image: shipshape.test/redis:8\n    volumes: ['{}:/etc/extra.conf:ro']\n",
        file.display()
    ));
    project.up();
    project.redis("cache", "SET a 1");
    project.backup();

    let drill = project.run("restore", &["drill"]).exits_with(Exit::Warning).warns_of("drill.settings");
    assert!(drill.stdout().contains(&file.display().to_string()), "{drill}");

    project.compose("down --volumes");
    fs::remove_dir_all(project.path("app")).unwrap();
    fs::remove_file(&file).unwrap();
    let restored = everything_restored(&project, "").exits_with(Exit::Warning).warns_of("restore.no_source");
    assert!(restored.stdout().contains(&file.display().to_string()), "{restored}");
    assert_eq!(project.redis("cache", "GET a"), "1");
}

#[test]
fn a_server_that_does_not_come_up_says_itself_why() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("redis.conf"), "databases 5\n").unwrap();
    let project = Project::of(&format!(
        "services:\n  cache:\n    image: shipshape.test/redis:8\n    command: [redis-server, /etc/own/redis.conf]\n    \
         volumes: ['{}:/etc/own:ro']\n",
        outside.path().display()
    ));
    project.up();
    project.backup();
    project.compose("down --volumes");
    fs::remove_dir_all(project.path("app")).unwrap();
    fs::remove_file(outside.path().join("redis.conf")).unwrap();

    everything_restored(&project, "")
        .exits_with(Exit::Critical)
        .fails_with("restore.not_up")
        .says("can't open config file '/etc/own/redis.conf'");
}
