//! What is taken: several roots, other file systems, databases wherever they are, and what an ordinary user may read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::thread;

use crate::harness::{Exit, Host, Mount, Random, Tree, rows, scratch, shell, tool};

/// `nobody`, on every Debian.
const NOBODY: u32 = 65_534;

/// The names of the parts of a snapshot, sorted.
fn parts(data: &serde_json::Value) -> Vec<String> {
    let payloads = data["payloads"].as_array().unwrap().iter();
    let mut names: Vec<String> = payloads.map(|payload| payload["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn several_roots_within_the_application_and_outside_come_back_each_at_its_place() {
    let host = Host::with_a_small_site();
    let outside = host.path("home/shared");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("deep/file"), "outside the application").unwrap();
    let words = ["--files", "uploads", "public/index.html", outside.to_str().unwrap()];
    let snapshot = host.run("backup", &words).exits_with(Exit::Ok).snapshot();
    let restored = host.restored(&snapshot);
    Tree::of(&host.app("uploads")).equals(&Tree::of(&restored.path.join("uploads")));
    Tree::of(&outside).equals(&Tree::of(&restored.path.join(outside.strip_prefix("/").unwrap())));
    assert!(restored.path.join("public/index.html").exists());
    assert!(!restored.path.join("data").exists(), "what was not asked for is not taken");
    fs::write(outside.join("deep/file"), "broken").unwrap();
    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_to_string(outside.join("deep/file")).unwrap(), "outside the application");
}

#[test]
fn a_source_behind_a_link_comes_back_where_it_leads_and_the_link_stays() {
    let host = Host::with_a_small_site();
    let shared = host.path("home/shared");
    fs::create_dir_all(&shared).unwrap();
    fs::write(shared.join("photo"), "shared by several releases").unwrap();
    symlink(&shared, host.app("link")).unwrap();
    let snapshot = host.run("backup", &["--files", ".", "link"]).exits_with(Exit::Ok).snapshot();
    let restored = host.restored(&snapshot);
    assert_eq!(fs::read_to_string(restored.path.join("link/photo")).unwrap(), "shared by several releases");
    fs::remove_file(shared.join("photo")).unwrap();
    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_to_string(shared.join("photo")).unwrap(), "shared by several releases");
    assert_eq!(fs::read_link(host.app("link")).unwrap(), shared, "the application still finds it");
}

#[test]
fn a_configuration_file_behind_a_link_that_leads_elsewhere_is_not_lost_with_its_machine() {
    let host = Host::with_a_small_site();
    let shared = host.path("home/shared");
    let put = |text: &str| {
        fs::create_dir_all(&shared).unwrap();
        fs::write(shared.join("env"), text).unwrap();
    };
    put("KEY=shared");
    fs::remove_file(host.app(".env")).unwrap();
    symlink(shared.join("env"), host.app(".env")).unwrap();
    host.write("settings/inner", "KEY=inner");
    symlink("settings/inner", host.app(".env.inner")).unwrap();
    let preview = host.run("backup", &["--dry-run"]).exits_with(Exit::Ok).data();
    assert!(preview["config"].to_string().contains(r#"".env""#), "{preview}");
    let snapshot = host.backup();
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap();
    let restored = host.restored(&snapshot);
    assert!(!restored.path.join(".env").is_symlink(), "a copy elsewhere does not lead to what is live");
    assert_eq!(read(&restored.path.join(".env")), "KEY=shared");
    assert!(restored.path.join(".env.inner").is_symlink(), "where it leads to is among the files");
    host.run("restore", &["drill", &snapshot]).exits_with(Exit::Ok);

    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_link(host.app(".env")).unwrap(), shared.join("env"));
    put("KEY=newer");
    for words in [["latest", "--yes"].as_slice(), &["latest", "--yes", "--only", "config"]] {
        let kept = host.run("restore", words).exits_with(Exit::Warning).warns_of("restore.link_kept");
        assert!(kept.stdout().contains("--only config --into"), "{kept}");
        assert!(host.app(".env").is_symlink(), "{words:?}");
        assert_eq!(read(&host.app(".env")), "KEY=newer", "nothing outside is written to");
    }
    fs::remove_dir_all(&shared).unwrap();
    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert!(!host.app(".env").is_symlink() && read(&host.app(".env")) == "KEY=shared");
    host.run("restore", &["latest", "--yes", "--only", "files"]).exits_with(Exit::Ok);
    assert_eq!(read(&host.app(".env")), "KEY=shared", "no link that leads nowhere comes in its place");
}

#[test]
fn a_database_outside_the_application_goes_back_to_where_it_was() {
    let host = Host::with_a_small_site();
    let outside = host.path("home/elsewhere");
    fs::create_dir_all(&outside).unwrap();
    let database = outside.join("books.db");
    let sql = |line: &str| shell(&format!("sqlite3 '{}' \"{line}\"", database.display()));
    sql("create table books (title); insert into books values ('Moby-Dick');");
    fs::write(outside.join("neighbour"), "none of our business").unwrap();
    host.configure("", &format!("[backup]\nsqlite = [\"{}\"]\n", database.display()));
    host.backup();
    sql("delete from books;");
    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(sql("select title from books;").trim(), "Moby-Dick");
    assert!(outside.join("neighbour").exists() && !host.app("home").exists());
}

#[test]
fn another_file_system_inside_is_taken_unless_it_is_said_otherwise() {
    let host = Host::with_a_small_site();
    let _mount = Mount::tmpfs(&host.app("mounted"), "1m");
    host.write("mounted/inside", "on another file system");
    let with = host.restored(&host.backup());
    assert!(with.path.join("mounted/inside").exists());
    let snapshot = host.run("backup", &["--one-file-system"]).exits_with(Exit::Ok).snapshot();
    let without = host.restored(&snapshot);
    assert!(without.path.join("mounted").is_dir() && !without.path.join("mounted/inside").exists());
}

#[test]
fn a_restore_in_place_crosses_into_a_mounted_file_system() {
    let host = Host::with_a_small_site();
    let _mount = Mount::tmpfs(&host.app("mounted"), "1m");
    host.write("mounted/deep/inside", "on another file system");
    host.backup();
    host.write("mounted/deep/inside", "broken");
    host.write("mounted/new", "came after");
    let finished = host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_to_string(host.app("mounted/deep/inside")).unwrap(), "on another file system", "{finished}");
    assert!(!host.app("mounted/new").exists());
}

#[test]
fn databases_are_known_by_their_header_whatever_their_name() {
    let host = Host::with_a_small_site();
    fs::create_dir(host.app("storage")).unwrap();
    shell(&format!("cp '{0}/data/app.db' '{0}/storage/no-suffix'", host.path("app").display()));
    host.write("storage/fake.sqlite", "not a database at all");
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    assert_eq!(parts(&finished.data()), ["app", "config", "files", "no-suffix"]);
    let restored = host.restored(&finished.snapshot());
    assert_eq!(rows(&restored.path.join("storage/no-suffix")), rows(&host.app("storage/no-suffix")));
    assert_eq!(fs::read_to_string(restored.path.join("storage/fake.sqlite")).unwrap(), "not a database at all");
}

#[test]
fn a_database_that_comes_or_goes_later_is_noticed() {
    let host = Host::with_a_small_site();
    host.backup();
    shell(&format!("cp '{0}/data/app.db' '{0}/data/second.db'", host.path("app").display()));
    let with_two = host.run("backup", &[]).exits_with(Exit::Ok);
    assert_eq!(parts(&with_two.data()), ["app", "config", "files", "second"]);
    fs::remove_file(host.app("data/second.db")).unwrap();
    let with_one = host.run("backup", &[]).gets_done();
    assert_eq!(parts(&with_one.data()), ["app", "config", "files"]);
    assert!(!host.restored(&with_one.snapshot()).path.join("data/second.db").exists());
    assert!(host.restored(&with_two.snapshot()).path.join("data/second.db").exists());
}

#[test]
fn a_database_that_turns_up_later_takes_its_log_out_of_the_files() {
    let host = Host::with_a_small_site();
    host.backup();
    let busy = "cd '{}/data'; for end in '' -wal -shm; do cp app.db$end late.db$end; done; test -s late.db-wal";
    shell(&busy.replace("{}", &host.path("app").display().to_string()));
    let late = rows(&host.app("data/late.db"));
    shell(&busy.replace("{}", &host.path("app").display().to_string()));
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    assert_eq!(parts(&finished.data()), ["app", "config", "files", "late"]);
    let restored = host.restored(&finished.snapshot());
    let beside = fs::read_dir(restored.path.join("data")).unwrap().map(|entry| entry.unwrap().file_name());
    let beside: Vec<_> = beside.filter(|name| name.to_string_lossy().starts_with("late.db-")).collect();
    assert!(beside.is_empty(), "an old log would be played into the copy: {beside:?}");
    assert_eq!(rows(&restored.path.join("data/late.db")), late);
}

#[test]
fn a_database_that_is_truncated_or_damaged_pushes_no_good_copy_out() {
    let host = Host::with_a_small_site();
    host.configure("", "[backup]\nsqlite = [\"data/app.db\"]\n\n[backup.keep]\nlast = 1\ndaily = 1\n");
    let good = host.backup();
    shell(&format!("cd '{}/data' && rm -f app.db-wal app.db-shm && : > app.db", host.path("app").display()));
    host.run("backup", &[]).exits_with(Exit::Critical).fails_with("sqlite.empty").hints("restore latest --only");
    host.run("restore", &["latest", "--only", "app", "--yes"]).gets_done();
    let pages = fs::metadata(host.app("data/app.db")).unwrap().len() / 4096;
    assert!(pages > 1);
    let damage = "dd if=/dev/urandom of=app.db bs=4096 seek=1 count=1 conv=notrunc status=none";
    shell(&format!("cd '{}/data' && {damage}", host.path("app").display()));
    for _ in 0..2 {
        let damaged = host.run("backup", &[]).exits_with(Exit::Warning).warns_of("sqlite.damaged");
        assert_eq!(damaged.data()["snapshot"]["partial"], true);
    }
    host.run("backup", &["prune"]).gets_done();
    assert!(host.listed().contains(&good), "the whole one stays");
}

#[test]
fn two_folders_of_one_name_do_not_share_a_history_in_silence() {
    let host = Host::with_a_small_site();
    let recipient = host.recipient("identity.txt");
    let backup = |folder: &str| {
        fs::create_dir_all(host.path(folder)).unwrap();
        fs::write(host.path(folder).join("f"), folder).unwrap();
        let (folder, store) = (host.path(folder), host.path("store"));
        let line = format!("--app '{}' --store '{}' -r {recipient}", folder.display(), store.display());
        host.sh(&format!("env -u SHIPSHAPE_CONFIG backup {line}"))
    };
    backup("home/a/shop").exits_with(Exit::Ok);
    backup("home/b/shop").exits_with(Exit::Unknown).fails_with("app.two_folders").hints("[app] name");
    backup("home/a/shop").exits_with(Exit::Ok);
    fs::remove_dir_all(host.path("home/a")).unwrap();
    backup("home/b/shop").exits_with(Exit::Ok);
}

#[test]
fn a_store_is_the_same_store_however_it_is_written() {
    let host = Host::with_a_small_site();
    let line =
        "cd .. && backup --app app --store store | (cd / && restore verify -) && backup --app app --store $PWD/store/";
    host.sh(&format!("{line} && backup --app app --store file://$PWD/store")).exits_with(Exit::Ok);
}

#[test]
fn a_database_with_two_names_comes_back_under_both() {
    let host = Host::with_a_small_site();
    host.backup();
    // Later found, by a run that compares with the last snapshot, and at once, by one that knows nothing.
    shell(&format!("cd '{0}/data'; cp app.db new.db; ln new.db other.db", host.path("app").display()));
    for _ in 0..3 {
        let snapshot = host.run("backup", &[]).gets_done().snapshot();
        let restored = host.restored(&snapshot);
        for name in ["data/new.db", "data/other.db"] {
            assert_eq!(rows(&restored.path.join(name)), rows(&host.app(name)), "{name}");
        }
        let _ = fs::remove_dir_all(host.path("state/cache"));
    }
    host.listed_and_whole();
}

#[test]
fn a_root_that_is_a_link_stands_for_its_target_and_links_inside_are_not_followed() {
    let host = Host::with_a_small_site();
    let shared = host.path("home/shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "behind a link").unwrap();
    symlink(&shared, host.app("linked")).unwrap();
    let whole = host.restored(&host.backup());
    assert!(whole.path.join("linked").is_symlink(), "a link in the tree is a link");
    let snapshot = host.run("backup", &["--files", "linked"]).exits_with(Exit::Ok).snapshot();
    let restored = host.restored(&snapshot);
    assert_eq!(fs::read_to_string(restored.path.join("linked/file")).unwrap(), "behind a link");
}

#[test]
fn the_store_inside_the_application_is_never_part_of_what_it_stores() {
    let host = Host::with_a_small_site();
    let store = host.app("backups");
    fs::create_dir(&store).unwrap();
    for round in 0..3 {
        let finished = host.run("backup", &["--store", store.to_str().unwrap()]).exits_with(Exit::Ok);
        assert_eq!(finished.number_of("files.total"), 4, "round {round}: {finished}");
    }
}

#[test]
fn an_ordinary_user_takes_what_it_may_read_and_tells_what_it_may_not() {
    let host = Host::with_a_small_site();
    host.chmod("", 0o711);
    for name in ["backup", "restore"] {
        fs::copy(tool(name).canonicalize().unwrap(), host.path(name)).unwrap();
    }
    shell(&format!("cd '{}'; chown -R {NOBODY}:{NOBODY} app store state etc home", host.path("").display()));
    let secret = host.app("uploads/root-only");
    fs::write(&secret, "not for everybody").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    chown(host.app("public/index.html"), Some(0), Some(0)).unwrap();
    let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let as_user = |program: &str| host.program("setpriv").args(&user).args(&[host.path(program)]);
    let finished = as_user("backup").run().exits_with(Exit::Warning).warns_of("files.unreadable");
    assert!(finished.stdout().contains("root-only"), "what is missing is named: {finished}");
    assert_eq!(finished.number_of("files.skipped"), 1, "{finished}");
    let into = host.path("home/restored");
    let restored = as_user("restore").args(&["latest", "--into"]).args(&[&into]).run();
    restored.exits_with(Exit::Warning).warns_of("restore.owners");
    assert!(into.join("public/index.html").exists() && !into.join("uploads/root-only").exists());
    chown(&secret, Some(NOBODY), Some(NOBODY)).unwrap();
    as_user("backup").run().exits_with(Exit::Ok);
}

#[test]
fn several_applications_and_hosts_share_a_store_and_never_meet() {
    let host = Host::with_a_small_site();
    host.backup();
    let names: Vec<(String, String)> = ["vps2", "vps3"]
        .iter()
        .flat_map(|host| ["shop", "blog"].map(|app| ((*host).to_owned(), app.to_owned())))
        .collect();
    let folder = scratch();
    thread::scope(|scope| {
        for (server, app) in &names {
            let (host, dir) = (&host, folder.path().join(server).join(app));
            scope.spawn(move || {
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join("of"), format!("{server} {app}")).unwrap();
                fs::write(dir.join("data"), Random::new(dir.to_str().unwrap().len() as u64).bytes(200_000)).unwrap();
                fs::write(dir.join("shipshape.toml"), "").unwrap();
                let launch = host.launch("backup").with("SHIPSHAPE_CONFIG", dir.join("shipshape.toml"));
                let words = ["--host", server, "--app", dir.to_str().unwrap(), "--store"];
                let launch = launch.args(&words).args(&[host.path("store")]);
                launch.args(&["--recipient", &host.recipient("identity.txt")]).run().exits_with(Exit::Ok);
            });
        }
    });
    for (server, app) in &names {
        let into = folder.path().join(format!("{server}-{app}"));
        let words = ["latest", "--host", server, "--app", app, "--into", into.to_str().unwrap()];
        host.run("restore", &words).exits_with(Exit::Ok);
        assert_eq!(fs::read_to_string(into.join("of")).unwrap(), format!("{server} {app}"));
    }
    let words = ["latest", "--app", "shop", "--into", folder.path().join("x").to_str().unwrap()].map(str::to_owned);
    host.launch("restore")
        .args(&words)
        .run()
        .exits_with(Exit::Unknown)
        .fails_with("snapshot.several_hosts")
        .hints("--host");
    assert_eq!(host.listed_and_whole().len(), 1);
}

#[test]
fn a_snapshot_that_somebody_removed_by_hand_takes_nothing_from_later_ones() {
    let host = Host::with_a_small_site();
    let first = host.backup_at("2031-03-01 02:00:00");
    let second = host.backup_at("2031-03-02 02:00:00");
    for removed in [&first, &second] {
        fs::remove_file(host.stored(&format!("snapshots/{removed}/manifest.json"))).unwrap();
    }
    host.launch("backup").args(&["prune"]).at("2031-03-04 02:00:00").run().gets_done();
    let third = host.launch("backup").at("2031-03-05 02:00:00").run().gets_done().snapshot();
    assert_eq!(host.listed_and_whole(), [third.as_str()]);
    host.tree().equals(&host.restored(&third).tree());
}

#[test]
fn an_object_that_is_lost_is_stored_anew_by_the_next_run() {
    let host = Host::with_a_small_site();
    host.backup();
    for folder in ["packs", "snapshots"] {
        shell(&format!("find '{}' -name '*.age' -delete", host.stored(folder).display()));
    }
    let next = host.run("backup", &[]).gets_done().snapshot();
    host.run("restore", &["verify", &next]).exits_with(Exit::Ok);
    host.tree().equals(&host.restored(&next).tree());
}
