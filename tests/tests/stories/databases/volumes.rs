//! Volumes and mounted folders come back as they were; the data of servers is never taken for files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::Connection;

use crate::harness::{Exit, Project, Tree, shell};

/// An application that keeps things everywhere: in volumes, in folders of its own and elsewhere.
fn keeper(outside: &Path) -> String {
    format!(
        r#"
services:
  application:
    image: shipshape.test/app:1
    command: [run, application]
    volumes:
      - uploads:/app/uploads
      - bound:/app/bound
      - ./local:/app/local
      - ./settings.conf:/app/settings.conf:ro
      - {outside}/written:/app/written
      - {outside}/read:/app/read:ro
      - /etc/hostname:/app/hostname:ro
      - /app/cache
volumes:
  uploads:
  bound:
    driver_opts: {{ type: none, o: bind, device: "{outside}/bound" }}
"#,
        outside = outside.display()
    )
}

/// A folder that is neither the application's nor the system's.
fn elsewhere() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for name in ["written", "read", "bound"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("file"), name).unwrap();
    }
    folder
}

/// Where the machine has a volume.
fn folder_of(project: &Project, volume: &str) -> PathBuf {
    shell(&format!("docker volume inspect --format '{{{{.Mountpoint}}}}' {}_{volume}", project.name())).trim().into()
}

/// Every kind of thing that a volume may hold.
fn fill(volume: &Path) {
    shell(&format!(
        r#"cd '{}'
        mkdir -p deep/er empty; printf one >deep/er/one; ln deep/er/one twin; ln -s deep/er/one link; mkfifo fifo
        printf x >"$(printf 'line\nbreak')"; printf y >"$(printf 'caf\351')"; truncate -s 3M holes
        chown -R 33:33 deep; chmod 2750 deep; chmod 4711 holes; setfattr -n user.note -v hello twin
        touch -h -d '2026-01-02 03:04:05.678901234' link deep/er/one deep"#,
        volume.display()
    ));
}

/// What lies in a volume, the old side of a restore left out.
fn tree(volume: &Path) -> Tree {
    let ours = fs::read_dir(volume).unwrap().map(|entry| entry.unwrap().file_name().into_string());
    let ours: Vec<String> = ours.flatten().filter(|name| name.starts_with(".shipshape-")).collect();
    let database = ["app.db", "app.db-wal", "app.db-shm"].map(str::to_owned);
    let left_out: Vec<&str> = ours.iter().chain(&database).map(String::as_str).collect();
    Tree::of(volume).without(&left_out)
}

#[test]
fn volumes_and_mounted_folders_come_back_and_services_see_it() {
    let outside = elsewhere();
    let project = Project::of(&keeper(outside.path()));
    project.write("local/file", "local");
    project.write("settings.conf", "old");
    project.up();
    let volume = folder_of(&project, "uploads");
    fill(&volume);
    // Looked at before the database is opened: to close one of its files would drop this process' locks on it.
    let before = tree(&volume).without_times_of_folders();
    let database = volume.join("app.db");
    let connection = Connection::open(&database).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY)").unwrap();

    let done = AtomicBool::new(false);
    let snapshot = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let connection = Connection::open(&database).unwrap();
            while !done.load(Ordering::Relaxed) {
                connection.execute("INSERT INTO orders DEFAULT VALUES", []).unwrap();
            }
        });
        let snapshot = project.backup();
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        snapshot
    });
    let manifest = fs::read_to_string(project.stored(&format!("snapshots/{snapshot}/manifest.json"))).unwrap();
    assert!(manifest.contains(r#""kind":"sqlite""#), "the database in the volume is copied as one: {manifest}");

    shell(&format!("cd '{}' && rm -rf deep twin && printf new >new && chown 0:0 . && chmod 777 .", volume.display()));
    connection.execute_batch("DROP TABLE orders").unwrap();
    drop(connection);
    for path in [outside.path().join("written/file"), outside.path().join("bound/file"), project.app("local/file")] {
        fs::write(path, "destroyed").unwrap();
    }
    fs::write(project.app("settings.conf"), "new").unwrap();
    let restored = project.run("restore", &["latest", "--yes"]).exits_with(Exit::Warning).warns_of("restore.mounted");

    before.equals(&tree(&volume).without_times_of_folders());
    let rows: i64 =
        Connection::open(&database).unwrap().query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap();
    assert!(rows > 0, "the database has the rows of its moment");
    let seen = project.inside("application", "cat /app/local/file /app/written/file /app/bound/file /app/uploads/twin");
    assert_eq!(seen, "localwrittenboundone", "services see what was restored: {restored}");
    assert!(restored.stdout().contains("settings.conf is mounted into a running service"), "{restored}");
}

#[test]
fn a_preview_names_what_is_kept_where_and_what_is_left_out() {
    let outside = elsewhere();
    let project = Project::of(&keeper(outside.path()));
    project.write("settings.conf", "x");
    project.compose("up --no-start");
    project.configure("", "[backup]\nfiles = ['data']\n");
    project.write("data/file", "x");
    project.write("local/file", "x");

    let preview = project.run("backup", &["--dry-run"]).exits_with(Exit::Ok).data();

    let volumes = preview["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 2, "{preview}");
    let why = |what: &str| {
        let omitted = preview["not_as_files"].as_array().unwrap();
        let found = omitted.iter().find(|omitted| omitted["what"].as_str().unwrap().contains(what));
        found.unwrap_or_else(|| panic!("nothing is said of {what}: {preview}"))["why"].as_str().unwrap().to_owned()
    };
    assert!(why("/read").contains("only read it"));
    assert!(why("/etc/hostname").contains("the system's"));
    assert!(why("/app/cache").contains("without a name"));
    assert!(why("/local").contains("[backup] files does not have it"));
    let roots = preview["roots"].to_string();
    assert!(roots.contains("/written") && !roots.contains("/hostname"), "{roots}");
    let config = preview["config"].to_string();
    for name in [".env", "compose.yaml", "settings.conf"] {
        assert!(config.contains(name), "the stack needs {name}: {config}");
    }
    let (snapshot, into) = (project.backup(), project.path("config"));
    project
        .launch("restore")
        .args(&[&snapshot, "--only", "config", "--into"])
        .args(&[&into])
        .run()
        .exits_with(Exit::Ok);
    shell(&format!("cd '{}' && test -s settings.conf && docker compose config --quiet", into.display()));
}

#[test]
fn a_volume_that_is_not_here_is_asked_for_and_found_under_another_project() {
    let outside = elsewhere();
    let project = Project::of(&keeper(outside.path()).replace("bound:", "other:"));
    project.write("settings.conf", "x");
    project.compose("up --no-start");
    fill(&folder_of(&project, "uploads"));
    project.backup();
    let before = tree(&folder_of(&project, "uploads"));

    let other = Project::on(project.duplicate(), "");
    let refused = other.run("restore", &["latest", "--yes", "--only", "files"]).exits_with(Exit::Unknown);
    refused.fails_with("volume.missing").hints("docker compose up --no-start");
    // Nobody is asked, nor told that all is well, where the answer cannot help.
    for words in [["latest", "--only", "files"].as_slice(), &["latest", "--only", "files", "--dry-run"]] {
        other.run("restore", words).exits_with(Exit::Unknown).fails_with("volume.missing");
    }
    other.run("restore", &["latest", "--yes", "--path", "settings.conf"]).gets_done();
    fs::write(other.app(".env"), format!("COMPOSE_PROJECT_NAME={}\n", other.name())).unwrap();
    other.compose("up --no-start");
    other.run("restore", &["latest", "--yes", "--only", "files"]).gets_done();

    before.equals(&tree(&folder_of(&other, "uploads")));
}

#[test]
fn the_data_folder_of_a_running_server_is_neither_copied_nor_moved() {
    let project = Project::of(
        "services:\n  database:\n    image: shipshape.test/mariadb:11.8\n    \
         environment: { MYSQL_ROOT_PASSWORD: pw, MYSQL_DATABASE: shop }\n    volumes: ['./data/mysql:/var/lib/mysql']\n    \
         healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }\n",
    );
    for path in ["old/pg/global/pg_control", "old/pg/PG_VERSION", "old/notes", "data/notes"] {
        project.write(path, path);
    }
    project.up();
    project.sql("database", "CREATE TABLE orders (id INT PRIMARY KEY); INSERT INTO orders VALUES (1)");
    let inode = || shell(&format!("stat -c %i '{}'", project.app("data/mysql/ibdata1").display()));
    let before = inode();

    let snapshot = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("database.data_folder").snapshot();
    let copy = project.restored_files(&snapshot);
    assert!(copy.join("data/notes").exists() && copy.join("old/notes").exists());
    assert!(!copy.join("data/mysql").exists() && !copy.join("old/pg").exists(), "no server's data is among the files");

    // Not dumped either, so that everything comes back but this server.
    project.configure("", "[database.database]\nbackup = false\n");
    project.run("backup", &["--accept-shrunk"]).exits_with(Exit::Warning);
    project.write("data/notes", "changed");
    project.write("data/new", "new");
    project.sql("database", "INSERT INTO orders VALUES (2)");
    project.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_to_string(project.app("data/notes")).unwrap(), "data/notes");
    assert!(!project.app("data/new").exists() && project.app("old/pg/PG_VERSION").exists());
    assert_eq!(inode(), before, "the server's folder is where it was");
    assert_eq!(project.sql("database", "INSERT INTO orders VALUES (3); SELECT count(*) FROM orders"), "3");

    // Whoever names a folder at rest means it; that of a server that is dumped stays out all the same.
    project.configure("", "[backup]\nfiles = ['.', 'old/pg', 'data/mysql']\n");
    let copy = project.restored_files(&project.backup());
    assert!(copy.join("old/pg/PG_VERSION").exists() && !copy.join("data/mysql").exists());
}

#[test]
fn a_volume_that_cannot_be_read_fails_the_backup_unless_it_is_left_out() {
    let outside = elsewhere();
    let text = keeper(outside.path()).replace("uploads:", "remote:");
    let project = Project::of(&text);
    project.write("settings.conf", "x");
    shell(&format!(
        "docker volume create --label com.docker.compose.project={0} --opt type=nfs --opt o=addr=127.0.0.1 \
         --opt device=:/none {0}_remote",
        project.name()
    ));
    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("volume.unreachable");
    refused.hints("exclude_volumes = [\"remote\"]");
    assert!(project.store_is_empty());
    project.configure("", "[backup]\nexclude_volumes = ['remotee']\n");
    project.run("backup", &[]).exits_with(Exit::Unknown).fails_with("volume.unknown").hints("remote");
    project.configure("", "[backup]\nexclude_volumes = ['remote', 'bound']\n");
    project.backup();
}

#[test]
fn a_folder_that_is_not_there_fails_the_backup_unless_services_only_read_it() {
    let outside = elsewhere();
    let media = outside.path().join("media");
    let text = |end: &str| {
        let media = media.display();
        format!("services:\n  application: {{ image: shipshape.test/app:1, volumes: ['{media}:/media{end}'] }}\n")
    };
    let project = Project::of(&text(""));
    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("volume.unreachable");
    refused.says("media").hints("exclude = [");
    project.run("backup", &["--dry-run"]).exits_with(Exit::Critical);
    assert!(project.store_is_empty());
    project.configure("", &format!("[backup]\nexclude = ['{}']\n", media.display()));
    project.backup();
    project.configure("", "");
    project.write("compose.yaml", text(":ro"));
    let preview = project.run("backup", &["--dry-run"]).exits_with(Exit::Ok);
    assert!(
        preview.data()["not_as_files"].to_string().contains("it is not there, and services only read it"),
        "{preview}"
    );
    project.backup();
}

#[test]
fn files_elsewhere_that_the_stack_needs_are_named_unless_they_are_sources() {
    let outside = elsewhere();
    let at = |name: &str| outside.path().join("read").join(name).display().to_string();
    let needed = ["app.env", "key", "more.yaml"];
    for name in needed {
        fs::write(at(name), if name == "more.yaml" { "services: {}\n" } else { "KEY=x\n" }).unwrap();
    }
    let project = Project::of(&format!(
        "include:\n  - {}\nservices:\n  application:\n    image: shipshape.test/app:1\n    env_file:\n      - {}\n    \
         healthcheck: {{ test: [CMD, /bin/true] }}\n    secrets: [key]\nsecrets:\n  key: {{ file: {} }}\n",
        at("more.yaml"),
        at("app.env"),
        at("key")
    ));
    let preview = project.run("backup", &["--dry-run"]).exits_with(Exit::Warning).warns_of("config.outside");
    let told = preview.data()["not_as_files"].to_string();
    for name in needed {
        assert!(told.contains(&at(name)), "{name}: {told}");
    }
    assert!(!told.contains("/bin/true"), "a word that happens to be a file is not meant: {told}");
    let warned = project.run("backup", &[]).exits_with(Exit::Warning).warns_of("config.outside");
    assert!(warned.report()["warnings"][0]["hint"].as_str().unwrap().contains(&at("app.env")), "{warned}");
    project.configure("", &format!("[backup]\nfiles = ['.', '{}']\n", outside.path().join("read").display()));
    let copy = project.restored_files(&project.backup());
    assert!(copy.join(at("key").trim_start_matches('/')).exists());
}

#[test]
fn a_server_that_is_left_out_is_told_with_its_reason_and_may_be_copied_at_rest() {
    let project = Project::of(
        "services:\n  database:\n    image: shipshape.test/mariadb:11.8\n    \
         environment: { MYSQL_ROOT_PASSWORD: pw, MYSQL_DATABASE: shop }\n    volumes: ['data:/var/lib/mysql']\n    \
         healthcheck: { test: [CMD, mariadb-admin, ping, --host=127.0.0.1, --silent], interval: 1s, retries: 60 }\n  \
         keeper: { image: 'shipshape.test/app:1', command: [run, keeper], volumes: ['data:/data'] }\nvolumes:\n  data:\n",
    );
    project.up();
    project.configure("", "[backup]\nstop = ['database']\n");
    project.run("backup", &[]).fails_with("quiesce.is_dumped").hints("[backup] files");
    project.configure("", "[database.database]\nbackup = false\n");
    let preview = project.run("backup", &["--dry-run"]).exits_with(Exit::Ok);
    let told = preview.data()["not_as_files"].to_string();
    assert!(told.contains("the service database is left out by the configuration"), "{told}");
    let folder = folder_of(&project, "data");
    let orders = format!("[backup]\nstop = ['database', 'keeper']\nfiles = ['.', '{}']\n", folder.display());
    project.configure("", &format!("{orders}[database.database]\nbackup = false\n"));
    let copy = project.restored_files(&project.backup());
    assert!(copy.join(folder.strip_prefix("/").unwrap()).join("ibdata1").exists());
    assert_eq!(project.compose("ps --quiet --status running").lines().count(), 2, "both run again");
}

impl Project {
    /// Restores the files of a snapshot beside everything.
    fn restored_files(&self, snapshot: &str) -> PathBuf {
        let into = self.path(&format!("copy-{snapshot}"));
        self.launch("restore").args(&[snapshot, "--only", "files", "--into"]).args(&[&into]).run().gets_done();
        into
    }
}
