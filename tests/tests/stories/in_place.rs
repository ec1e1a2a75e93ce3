//! Restores in place: what is live is replaced whole or not at all, and the old side is kept and named.

use std::fs;
use std::path::PathBuf;

use crate::harness::{DATABASE, Exit, Finished, Host, Mount, Random, Tree, rows, scratch, shell};

/// The folders of old sides below the application.
fn kept(host: &Host) -> Vec<PathBuf> {
    let names = fs::read_dir(host.path("app")).unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<PathBuf> =
        names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".shipshape-before-")).collect();
    kept.sort();
    kept
}

/// The application without what restores keep beside it.
fn live(host: &Host) -> Tree {
    let names: Vec<String> =
        kept(host).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    host.tree().without(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A host with a snapshot, and with damage done since.
fn damaged_since() -> (Host, Tree, String) {
    let host = Host::with_a_small_site();
    host.backup();
    let (tree, database) = (live(&host), rows(&host.app("data/app.db")));
    host.write("public/index.html", "<h1>defaced</h1>");
    fs::remove_file(host.app("uploads/2026/11/photo.jpg")).unwrap();
    host.write("uploads/newer.txt", "came after the snapshot");
    host.order("came after the snapshot");
    (host, tree, database)
}

fn restore(host: &Host, words: &[&str]) -> Finished {
    host.launch("restore").args(words).run()
}

#[test]
fn a_restore_in_place_brings_back_the_snapshot_and_keeps_and_names_the_old_side() {
    let (host, tree, database) = damaged_since();
    let finished = restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    tree.equals(&live(&host));
    assert_eq!(rows(&host.app("data/app.db")), database);
    let data = finished.data();
    let restored = data["restored"].as_array().unwrap();
    let names: Vec<&str> = restored.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(["files", "config", "app"].iter().all(|name| names.contains(name)), "{names:?}");
    let old = PathBuf::from(restored[0]["kept"].as_str().unwrap());
    let everything = shell(&format!("cat $(find '{}' -type f -not -name '*.db*')", old.display()));
    assert!(
        everything.contains("defaced") && everything.contains("came after the snapshot"),
        "the old side is kept: {everything}"
    );
}

#[test]
fn stale_files_beside_a_database_do_not_survive_its_restore() {
    let (host, _, database) = damaged_since();
    assert!(rows(&host.app("data/app.db")).contains("came after"));
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    assert!(!host.app("data/app.db-wal").exists(), "the log of the old database would be played into the new one");
    assert_eq!(rows(&host.app("data/app.db")), database);
}

#[test]
fn the_folder_that_one_stands_in_stays_the_same_folder() {
    let (host, ..) = damaged_since();
    let finished = host.sh("restore latest --yes > /dev/null && cat public/index.html && test . -ef \"$PWD\"");
    assert!(finished.exits_with(Exit::Ok).stdout().contains("<h1>Shop</h1>"));
}

#[test]
fn what_is_written_after_a_restore_was_killed_is_kept_when_it_is_undone() {
    let host = Host::with_a_small_site();
    for folder in ["z1", "z2", "z3", "z4"] {
        host.write(&format!("{folder}/f"), "as backed up");
    }
    host.backup();
    for folder in ["z1", "z2", "z3", "z4"] {
        host.write(&format!("{folder}/f"), "live");
    }
    let strace = "strace -f -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=KILL:when=8";
    host.sh(&format!("{strace} restore latest --yes > /dev/null 2>&1; true"));
    let swapped = |folder: &&str| fs::read_to_string(host.app(folder).join("f")).unwrap() == "as backed up";
    let met = ["z1", "z2", "z3", "z4"].iter().filter(|folder| swapped(folder)).count();
    assert!((1..4).contains(&met), "it was killed in the middle: {met} of 4 are swapped");
    let first = ["z1", "z2", "z3", "z4"].into_iter().find(|folder| swapped(folder)).unwrap();
    host.write(&format!("{first}/order"), "came after the reboot");
    // A backup meanwhile is one of two moments, and says so.
    let finished = host.run("backup", &[]).exits_with(Exit::Warning).warns_of("restore.unfinished");
    assert_eq!(finished.data()["snapshot"]["partial"], true);
    let finished = restore(&host, &["latest", "--yes"]).exits_with(Exit::Warning).warns_of("restore.rolled_back");
    let found = shell(&format!("grep -rl 'came after the reboot' '{}'", host.path("app").display()));
    assert!(!found.trim().is_empty(), "nothing is lost: {finished}");
    assert_eq!(fs::read_to_string(host.app("z1/f")).unwrap(), "as backed up", "the partial snapshot is not the latest");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_replaced() {
    let (host, ..) = damaged_since();
    let before = Tree::of(&host.path("app"));
    restore(&host, &["latest"]).exits_with(Exit::Unknown).fails_with("restore.needs_yes").hints("--yes");
    before.equals(&Tree::of(&host.path("app")));
}

#[test]
fn a_person_is_asked_and_may_say_no_or_yes() {
    let (host, tree, _) = damaged_since();
    let before = host.tree();
    host.sh("echo n | script -qec 'restore latest' /dev/null; true");
    before.equals(&host.tree());
    let shown = host.sh("(sleep 1; echo y) | script -qec 'restore latest' /dev/null").exits_with(Exit::Ok).stdout();
    assert!(shown.contains("[y/N]"), "{shown}");
    tree.equals(&live(&host));
}

#[test]
fn a_dry_run_says_what_it_would_replace_and_changes_nothing() {
    let (host, ..) = damaged_since();
    let before = Tree::of(&host.path("app"));
    let finished = restore(&host, &["latest", "--dry-run"]).exits_with(Exit::Ok);
    before.equals(&Tree::of(&host.path("app")));
    let data = finished.data();
    let names: Vec<&str> =
        data["payloads"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(["app", "config", "files"].iter().all(|name| names.contains(name)), "{finished}");
    assert!(data["payloads"].as_array().unwrap().iter().all(|one| one["entries"].as_u64() > Some(0)), "{finished}");
}

#[test]
fn what_was_excluded_from_the_backup_stays_as_it_is() {
    let host = Host::with_a_small_site();
    host.configure("", "[backup]\nexclude = [\"cache\", \"*.log\"]");
    host.write("cache/warm", "warm");
    host.write("public/access.log", "one");
    host.backup();
    host.write("cache/warm", "warmer");
    host.write("public/access.log", "one, two");
    host.write("public/index.html", "broken");
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_to_string(host.app("cache/warm")).unwrap(), "warmer");
    assert_eq!(fs::read_to_string(host.app("public/access.log")).unwrap(), "one, two");
    assert!(fs::read_to_string(host.app("public/index.html")).unwrap().contains("Shop"));
}

#[test]
fn only_some_payloads_leave_the_others_alone() {
    let (host, _, database) = damaged_since();
    host.write(".env", "APP_KEY=rotated\n");
    let before = live(&host);
    restore(&host, &["latest", "--only", "app", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(rows(&host.app("data/app.db")), database);
    before.without_times_of_folders().equals(&live(&host).without_times_of_folders());
    restore(&host, &["latest", "--only", "config", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(fs::read_to_string(host.app(".env")).unwrap(), "APP_KEY=a-very-secret-value\n");
    assert_eq!(fs::read_to_string(host.app("public/index.html")).unwrap(), "<h1>defaced</h1>");
    restore(&host, &["latest", "--only", "nonsense", "--yes"]).exits_with(Exit::Unknown).says("nonsense");
}

#[test]
fn only_some_paths_leave_the_others_alone() {
    let (host, ..) = damaged_since();
    restore(&host, &["latest", "--path", "uploads/**/*.jpg", "--yes"]).exits_with(Exit::Ok);
    assert!(host.app("uploads/2026/11/photo.jpg").exists());
    assert_eq!(fs::read_to_string(host.app("public/index.html")).unwrap(), "<h1>defaced</h1>");
    assert!(host.app("uploads/newer.txt").exists(), "what came after stays, where only some paths are wanted");
    assert!(rows(&host.app("data/app.db")).contains("came after"));
    let before = Tree::of(&host.path("app"));
    let finished = restore(&host, &["latest", "--path", "no/such/thing", "--yes"]);
    finished.exits_with(Exit::Unknown).fails_with("restore.nothing_matches");
    before.equals(&Tree::of(&host.path("app")));
}

#[test]
fn a_further_restore_discards_the_older_side_and_discard_old_every_one() {
    let (host, tree, _) = damaged_since();
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    let first = kept(&host);
    assert_eq!(first.len(), 1);
    host.write("public/index.html", "broken again");
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    let second = kept(&host);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second, "the newest old side is the one that is kept");
    assert!(shell(&format!("cat $(find '{}' -name index.html)", second[0].display())).contains("broken again"));
    tree.equals(&live(&host));
    restore(&host, &["--discard-old"]).exits_with(Exit::Ok);
    assert!(kept(&host).is_empty());
    tree.equals(&live(&host));
}

#[test]
fn a_narrower_restore_keeps_the_old_side_of_a_complete_one() {
    let (host, ..) = damaged_since();
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    let first = kept(&host);
    host.write("public/index.html", "broken again");
    restore(&host, &["latest", "--path", "public/index.html", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(kept(&host).len(), 2);
    assert!(first.iter().all(|old| old.exists()), "what came after the snapshot is nowhere else");
    let told = restore(&host, &["latest", "--dry-run", "--format", "text"]).exits_with(Exit::Ok).stdout();
    assert!(kept(&host).iter().all(|old| told.contains(old.to_str().unwrap())), "what will go is named: {told}");
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(kept(&host).len(), 1);
}

#[test]
fn a_process_that_goes_on_with_the_old_database_is_told() {
    let (host, ..) = damaged_since();
    let finished = host.sh("sleep 5 < data/app.db & restore latest --yes; code=$?; kill $!; exit $code");
    let finished = finished.exits_with(Exit::Warning).warns_of("sqlite.in_use");
    assert!(finished.stdout().contains("sleep ("), "{finished}");
}

#[test]
fn a_file_is_not_restored_into_and_not_verified() {
    let host = Host::with_a_small_site();
    host.backup();
    let file = host.path("home/file");
    fs::write(&file, "mine").unwrap();
    let named = file.to_str().unwrap();
    restore(&host, &["latest", "--into", named])
        .exits_with(Exit::Unknown)
        .fails_with("restore.not_a_folder")
        .hints("--into");
    restore(&host, &["verify", named]).exits_with(Exit::Unknown).fails_with("usage").hints("--into");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn old_sides_are_not_backed_up() {
    let (host, ..) = damaged_since();
    restore(&host, &["latest", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(kept(&host).len(), 1);
    let snapshot = host.backup();
    let restored = Tree::of(&host.restored(&snapshot).path);
    assert!(!format!("{restored:?}").contains(".shipshape-before-"));
}

#[test]
fn a_folder_that_is_not_empty_is_never_restored_into() {
    let host = Host::with_a_small_site();
    host.backup();
    let folder = scratch();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    let into = folder.path().to_str().unwrap();
    restore(&host, &["latest", "--into", into]).exits_with(Exit::Unknown).fails_with("restore.not_empty");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::remove_file(folder.path().join("mine")).unwrap();
    restore(&host, &["latest", "--into", into]).exits_with(Exit::Ok);
    assert!(folder.path().join("uploads/2026/11/photo.jpg").exists(), "an empty one is fine");
}

#[test]
fn a_disk_that_is_too_small_fails_the_restore_and_nothing_else() {
    let host = Host::with_a_small_site();
    host.write("uploads/large.bin", Random::new(12).bytes(1_500_000));
    host.backup();
    let folder = scratch();
    let small = Mount::tmpfs(&folder.path().join("small"), "1m");
    let into = folder.path().join("small/into");
    let finished = host.launch("restore").args(&["latest", "--into"]).args(&[&into]).run();
    assert!(
        finished.exits_with(Exit::Critical).report()["error"]["hint"].as_str().unwrap().contains("df"),
        "what to look at"
    );
    assert_eq!(fs::read_dir(folder.path().join("small")).unwrap().count(), 0, "nothing is left");
    small.resize("8m");
    host.launch("restore").args(&["latest", "--into"]).args(&[&into]).run().exits_with(Exit::Ok);
    host.tree().equals(&Tree::of(&into).without(&DATABASE));
}

#[test]
fn a_moment_finds_the_snapshot_that_was_the_newest_then() {
    let host = Host::with_a_small_site();
    let first = host.backup_at("2031-03-01 02:00:00");
    host.backup_at("2031-03-02 02:00:00");
    let finished = restore(&host, &["--at", "2031-03-01 18:00", "--yes"]).exits_with(Exit::Ok);
    assert_eq!(finished.data()["snapshot"]["id"], first.as_str());
    restore(&host, &["--at", "2031-02-28 18:00", "--yes"]).exits_with(Exit::Unknown).fails_with("snapshot.missing");
}

#[test]
fn a_snapshot_of_another_host_is_found_when_it_is_the_only_one() {
    let host = Host::with_a_small_site();
    let snapshot = host.backup();
    let config = fs::read_to_string(host.etc("shipshape.toml")).unwrap();
    fs::write(host.etc("shipshape.toml"), config.replace("\"vps1\"", "\"vps2\"")).unwrap();
    let restored = host.restored(&snapshot);
    host.tree().equals(&restored.tree());
    let folder = scratch();
    let finished = host.launch("restore").args(&["latest", "--into"]).args(&[folder.path()]).run().exits_with(Exit::Ok);
    assert!(finished.stdout().contains("vps1"), "it says whose it took: {finished}");
}

#[test]
fn the_objects_of_the_old_script_are_accepted() {
    let host = Host::with_a_small_site();
    let (old, app) = (host.path("home/old"), host.path("app"));
    fs::create_dir(&old).unwrap();
    shell(&format!(
        "cd '{}'; tar -czf files_20251120_020000.tar.gz -C '{}' uploads public; cp '{}/.env' env_20251120_020000; \
         for plain in files_*.gz env_*; do age -r {} -o $plain.age $plain; done",
        old.display(),
        app.display(),
        app.display(),
        host.recipient("identity.txt"),
    ));
    for end in ["", ".age"] {
        let folder = scratch();
        let into = folder.path().join("into");
        let object = |name: &str| old.join(format!("{name}{end}"));
        let files =
            host.launch("restore").args(&[object("files_20251120_020000.tar.gz")]).args(&["--into"]).args(&[&into]);
        files.run().exits_with(Exit::Ok);
        // The tar of that script keeps no fractions of a second.
        let cut_to_the_second = |path| Tree::of(path).cut_to_the_second();
        cut_to_the_second(&host.app("uploads")).equals(&cut_to_the_second(&into.join("uploads")));
        let into = folder.path().join("env");
        let env = host.launch("restore").args(&[object("env_20251120_020000")]).args(&["--into"]).args(&[&into]);
        env.run().exits_with(Exit::Ok);
        assert_eq!(fs::read(into.join(".env")).unwrap(), fs::read(host.app(".env")).unwrap());
    }
}

#[test]
fn a_damaged_object_of_the_old_script_changes_nothing() {
    let host = Host::with_a_small_site();
    let archive = host.path("home/files_20251120_020000.tar.gz");
    shell(&format!("tar -czf '{}' -C '{}' uploads public", archive.display(), host.path("app").display()));
    let whole = fs::read(&archive).unwrap();
    host.write("public/index.html", "live");
    let before = Tree::of(&host.path("app"));
    for length in [0, 1, 17, 400, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        fs::write(&archive, &whole[..length]).unwrap();
        let words =
            [archive.to_str().unwrap(), "--app", host.path("app").to_str().unwrap(), "--yes"].map(str::to_owned);
        let finished = host.launch("restore").args(&words).run();
        assert!(finished.number() >= 2, "cut to {length}: {finished}");
        before.clone().without_times_of_folders().equals(&Tree::of(&host.path("app")).without_times_of_folders());
    }
}
