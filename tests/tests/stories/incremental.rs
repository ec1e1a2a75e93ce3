//! What a further snapshot stores: what is new, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Exit, Finished, Host, Random, Tree, shell};

/// More than the index, the manifest and a small pack need; far less than the large file.
const ALMOST_NOTHING: u64 = 20_000;

/// A host with a snapshot of the site and of a larger file.
fn with_a_snapshot() -> Host {
    let host = Host::with_a_small_site();
    host.write("uploads/large.bin", Random::new(10).bytes(600_000));
    host.backup();
    host
}

/// The same, but so long after the last change that the times of the files can be believed: then they are not read again.
fn with_a_believable_snapshot() -> Host {
    let host = Host::with_a_small_site();
    host.write("uploads/large.bin", Random::new(10).bytes(600_000));
    host.backup_at("2031-03-01 02:00:00");
    host
}

/// A further snapshot, of which `stored` must be little, and which must restore.
#[track_caller]
fn stores_almost_nothing(host: &Host) -> Finished {
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    assert!(finished.number_of("bytes.stored") < ALMOST_NOTHING, "{finished}");
    restores(host, &finished);
    finished
}

/// A further snapshot that must hold all of the large file again.
#[track_caller]
fn stores_it_all(host: &Host, words: &[&str]) -> Finished {
    let finished = host.run("backup", words).gets_done();
    assert!(finished.number_of("bytes.stored") > 600_000, "{finished}");
    finished
}

#[track_caller]
fn restores(host: &Host, finished: &Finished) {
    host.tree().equals(&host.restored(&finished.snapshot()).tree());
}

#[test]
fn a_second_run_stores_almost_nothing() {
    let host = with_a_snapshot();
    let finished = stores_almost_nothing(&host);
    assert_eq!(finished.number_of("files.new") + finished.number_of("files.changed"), 0, "{finished}");
    assert_eq!(finished.number_of("files.unchanged"), finished.number_of("files.total"), "{finished}");
}

#[test]
fn what_has_not_changed_is_not_even_read() {
    let host = with_a_believable_snapshot();
    let second = host.launch("backup").at("2031-03-02 02:00:00");
    let log = host.path("reads");
    let strace = ["-f", "-qq", "--signal=none", "-e", "trace=openat,?openat2", "-o", log.to_str().unwrap()];
    let finished =
        host.program("strace").args(&strace).args(&[crate::harness::tool("backup")]).at("2031-03-02 02:00:00").run();
    assert_eq!(finished.exits_with(Exit::Ok).number_of("files.unchanged"), 5);
    let opened = fs::read_to_string(log).unwrap();
    assert!(opened.contains("app.db"), "it is seen what is opened");
    assert!(!opened.contains("large.bin") && !opened.contains("photo.jpg"), "{opened}");
    restores(&host, &second.run());
}

#[test]
fn a_rename_and_a_copy_store_no_content() {
    let host = with_a_snapshot();
    fs::rename(host.app("uploads/large.bin"), host.app("uploads/renamed.bin")).unwrap();
    stores_almost_nothing(&host);
    fs::copy(host.app("uploads/renamed.bin"), host.app("public/copied.bin")).unwrap();
    stores_almost_nothing(&host);
    fs::rename(host.app("uploads"), host.app("files")).unwrap();
    stores_almost_nothing(&host);
    host.listed_and_whole();
}

#[test]
fn a_change_of_mode_owner_or_time_stores_no_content() {
    let host = with_a_snapshot();
    let file = host.app("uploads/large.bin");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    stores_almost_nothing(&host);
    std::os::unix::fs::chown(&file, Some(77), Some(88)).unwrap();
    stores_almost_nothing(&host);
    shell(&format!("touch -d 2001-02-03 '{0}'; setfattr -n user.note -v new '{0}'", file.display()));
    stores_almost_nothing(&host);
}

#[test]
fn a_change_behind_the_same_size_and_time_is_noticed() {
    let host = with_a_believable_snapshot();
    let file = host.app("uploads/large.bin");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, Random::new(11).bytes(600_000)).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
    let finished = host.launch("backup").at("2031-03-02 02:00:00").run().exits_with(Exit::Ok);
    assert_eq!(finished.number_of("files.changed"), 1, "{finished}");
    assert!(finished.number_of("bytes.stored") > 600_000, "{finished}");
    restores(&host, &finished);
}

#[test]
fn a_new_row_is_in_the_next_snapshot_and_the_old_one_keeps_the_old_rows() {
    let host = with_a_snapshot();
    let first = host.listed().remove(0);
    let old = host.restored(&first).rows();
    host.order("the newest");
    let second = host.backup();
    let new = host.restored(&second).rows();
    assert!(new.contains("the newest") && !old.contains("the newest"));
    assert_eq!(host.restored(&first).rows(), old);
}

#[test]
fn a_backup_leaves_its_sources_as_they_are() {
    let host = Host::with_a_small_site();
    let before = Tree::of(&host.path("app"));
    host.backup();
    before.without(&["data/app.db-shm"]).equals(&Tree::of(&host.path("app")).without(&["data/app.db-shm"]));
}

#[test]
fn a_lost_cache_costs_one_full_backup() {
    let host = with_a_snapshot();
    fs::remove_dir_all(host.path("state")).unwrap();
    let finished = stores_it_all(&host, &[]);
    restores(&host, &finished);
    stores_almost_nothing(&host);
    host.listed_and_whole();
}

#[test]
fn another_recipient_means_that_all_is_stored_anew() {
    let host = with_a_snapshot();
    let old = host.listed().remove(0);
    let recipient = host.recipient("stranger.txt");
    let config = fs::read_to_string(host.etc("shipshape.toml")).unwrap();
    fs::write(host.etc("shipshape.toml"), config.replace(&host.recipient("identity.txt"), &recipient)).unwrap();
    let new = stores_it_all(&host, &[]).snapshot();
    host.run("restore", &["verify", &new]).exits_with(Exit::Unknown).fails_with("key.wrong");
    let stranger = host.etc("stranger.txt");
    let stranger = ["--identity", stranger.to_str().unwrap()];
    host.launch("restore").args(&["verify", &new]).args(&stranger).run().exits_with(Exit::Ok);
    host.run("restore", &["verify", &old]).exits_with(Exit::Ok);
}

#[test]
fn each_of_two_recipients_opens_a_snapshot_alone() {
    let host = Host::with_a_small_site();
    let (one, other) = (host.recipient("identity.txt"), host.recipient("stranger.txt"));
    host.run("backup", &["--recipient", &one, "--recipient", &other]).exits_with(Exit::Ok);
    for identity in ["identity.txt", "stranger.txt"] {
        let identity = host.etc(identity);
        let words = ["verify", "latest", "--identity", identity.to_str().unwrap()];
        host.run("restore", &words).exits_with(Exit::Ok);
    }
}

#[test]
fn gzip_no_compression_and_no_encryption_work_by_choice_and_open_with_plain_tools() {
    for (words, open) in [
        (&["--compression", "gzip"][..], "age -d -i $ID $o | gzip -dc"),
        (&["--compression", "none"], "age -d -i $ID $o"),
        (&["--no-encryption"], "zstd -dqc $o"),
        (&["--no-encryption", "--compression", "none"], "cat $o"),
    ] {
        let host = Host::with_a_small_site();
        host.write("uploads/large.bin", Random::new(10).bytes(600_000));
        let finished = stores_it_all(&host, words);
        restores(&host, &finished);
        assert_eq!(host.listed_and_whole().len(), 1);
        let listing = host.sh(&format!(
            "cd '{}'; ID='{}'; for o in packs/*; do {open} | tar -t; done",
            host.stored("").display(),
            host.etc("identity.txt").display()
        ));
        assert!(listing.exits_with(Exit::Ok).stdout().contains("uploads/large.bin"));
        let finished = host.run("backup", words).exits_with(Exit::Ok);
        assert!(finished.number_of("bytes.stored") < ALMOST_NOTHING, "{words:?}: {finished}");
    }
}

#[test]
fn a_dry_run_stores_nothing_and_says_what_it_would() {
    let host = Host::with_a_small_site();
    let finished = host.run("backup", &["--dry-run"]).exits_with(Exit::Ok);
    assert!(host.store_is_empty(), "{finished}");
    assert!(finished.data()["snapshot"]["id"].is_null(), "no snapshot was made: {finished}");
}

#[test]
fn what_is_excluded_or_not_asked_for_is_not_stored() {
    let host = Host::with_a_small_site();
    host.write("cache/deep/junk", "junk");
    host.write("uploads/debug.log", "junk");
    let snapshot = host.run("backup", &["--exclude", "cache/**", "--exclude", "*.log"]).exits_with(Exit::Ok).snapshot();
    let restored = host.restored(&snapshot);
    assert!(!restored.path.join("cache/deep").exists() && !restored.path.join("uploads/debug.log").exists());
    assert!(restored.path.join("uploads/2026/11/photo.jpg").exists());
    let finished = host.run("backup", &["--only", "config"]).exits_with(Exit::Ok);
    let names: Vec<String> = finished.data()["payloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payload| payload["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["config"]);
}
