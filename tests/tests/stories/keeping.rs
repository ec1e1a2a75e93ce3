//! What is kept, what is checked, and what differs: list, check, prune and diff.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::{Exit, Finished, Host, Random, shell};

/// A run of `backup` at a moment.
fn at(host: &Host, words: &[&str], moment: &DateTime<Utc>) -> Finished {
    host.launch("backup").args(words).at(&moment.format("%Y-%m-%d %H:%M:%S").to_string()).run()
}

fn first_of_march() -> DateTime<Utc> {
    "2031-03-01T02:00:00Z".parse().unwrap()
}

/// A host with a snapshot of its own file for each of so many days, with that much kept.
fn after_days(days: i64, keep: &str) -> (Host, DateTime<Utc>) {
    let host = Host::with_a_small_site();
    host.configure("", keep);
    let mut now = first_of_march();
    for day in 0..days {
        host.write("uploads/of-the-day.bin", Random::new(day.unsigned_abs()).bytes(5000));
        at(&host, &[], &now).exits_with(Exit::Ok);
        now += TimeDelta::days(1);
    }
    (host, now - TimeDelta::days(1))
}

/// Marks that prune leaves in place of manifests.
fn marks(host: &Host) -> Vec<PathBuf> {
    host.objects().into_iter().filter(|object| object.to_string_lossy().contains("manifest.deleted-")).collect()
}

#[test]
fn a_snapshot_from_the_future_is_not_the_latest() {
    let host = Host::with_a_small_site();
    let future = host.backup_at("2041-01-01 02:00:00");
    host.write("uploads/newer.txt", "written when the clock was right again");
    let present = host.run("backup", &[]).exits_with(Exit::Warning).warns_of("clock.backwards").snapshot();
    let restored = host.restored("latest");
    assert!(restored.path.join("uploads/newer.txt").exists());
    let refused = host.run("backup", &["prune"]).exits_with(Exit::Critical).fails_with("clock.backwards");
    let hint = refused.report()["error"]["hint"].as_str().unwrap().to_owned();
    shell(&hint[hint.find("mv ").unwrap()..]);
    assert_eq!(host.listed_and_whole(), [present], "the hint helps, and {future} is out of the way");
    host.run("backup", &[]).exits_with(Exit::Ok);
    host.run("backup", &["prune"]).exits_with(Exit::Ok);
}

#[test]
fn pruning_what_is_not_there_makes_nothing() {
    let host = Host::with_a_small_site();
    host.backup();
    host.run("backup", &["prune", "--app", "typo"])
        .exits_with(Exit::Unknown)
        .fails_with("snapshot.no_app")
        .hints("site");
    assert!(!host.path("store/vps1/typo").exists());
}

#[test]
fn thirty_dailies_are_kept_of_forty_days() {
    let (host, _) = after_days(40, "");
    let listed = host.listed_and_whole();
    assert_eq!(listed.len(), 30);
    assert!(listed[29].starts_with("20310311T02"), "the oldest is of the eleventh day: {}", listed[29]);
    let day = |object: &&PathBuf| object.to_string_lossy().contains("/packs/20310301T");
    let first_day = host.objects().iter().filter(day).count();
    assert!(first_day >= 1, "the first day's pack holds what never changed");
}

#[test]
fn what_only_dead_snapshots_held_is_gone_from_the_store() {
    let (host, _) = after_days(40, "");
    let packs = host.objects().iter().filter(|object| object.to_string_lossy().contains("/packs/")).count();
    assert!(packs <= 34, "30 days, what never changed, and a day of grace: {packs}");
    host.run("backup", &["check", "--all"]).exits_with(Exit::Ok);
}

#[test]
fn three_are_kept_whatever_the_policy_says() {
    let (host, last) = after_days(6, "[backup.keep]\ndaily = 0");
    assert_eq!(host.listed_and_whole().len(), 3);
    // However long nothing came: age alone deletes nothing.
    at(&host, &["prune"], &(last + TimeDelta::days(400))).exits_with(Exit::Ok);
    assert_eq!(host.listed_and_whole().len(), 3);
}

#[test]
fn a_tagged_snapshot_is_kept_for_ever() {
    let host = Host::with_a_small_site();
    host.configure("", "[backup.keep]\nlast = 1\ndaily = 1\ntags = [\"release\"]");
    let mut now = first_of_march();
    let release = at(&host, &["--tag", "release"], &now).exits_with(Exit::Ok).snapshot();
    for day in 0..4 {
        now += TimeDelta::days(1);
        host.write("day.txt", day.to_string());
        at(&host, &[], &now).exits_with(Exit::Ok);
    }
    let listed = host.listed_and_whole();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], release);
}

#[test]
fn objects_outlive_their_manifest_by_a_day_and_the_mark_can_be_undone() {
    let keep = |daily: u32| format!("[backup.keep]\nlast = 1\ndaily = {daily}");
    let (host, last) = after_days(4, &keep(30));
    let all = host.listed();
    host.configure("", &keep(2));
    let before = host.objects().len();
    at(&host, &["prune"], &(last + TimeDelta::hours(1))).exits_with(Exit::Ok);
    assert_eq!(host.listed(), all[..2]);
    assert_eq!((host.objects().len(), marks(&host).len()), (before, 2), "marked, and nothing gone");
    at(&host, &["prune"], &(last + TimeDelta::hours(24))).exits_with(Exit::Ok);
    assert_eq!((host.objects().len(), marks(&host).len()), (before, 2), "still within the day of grace");
    let mark = host.path("store").join(&marks(&host)[0]);
    fs::rename(&mark, mark.with_file_name("manifest.json")).unwrap();
    assert_eq!(host.listed_and_whole().len(), 3, "a renamed mark is a snapshot again");
    at(&host, &["prune"], &(last + TimeDelta::hours(26))).exits_with(Exit::Ok);
    assert_eq!(host.listed_and_whole(), all[..2]);
    assert_eq!(marks(&host).len(), 1, "one is gone, one begins its grace anew");
    at(&host, &["prune"], &(last + TimeDelta::hours(52))).exits_with(Exit::Ok);
    assert!(marks(&host).is_empty());
    assert!(host.objects().len() < before);
    assert_eq!(host.listed_and_whole(), all[..2]);
    host.run("backup", &["check", "--all"]).exits_with(Exit::Ok);
}

#[test]
fn a_dry_run_of_prune_names_what_would_go_and_deletes_nothing() {
    let (host, last) = after_days(4, "");
    host.configure("", "[backup.keep]\nlast = 1\ndaily = 1");
    let before = host.objects();
    let oldest = host.listed().pop().unwrap();
    let finished = at(&host, &["prune", "--dry-run"], &(last + TimeDelta::hours(1))).exits_with(Exit::Ok);
    assert!(finished.stdout().contains(&oldest), "{finished}");
    assert_eq!(host.objects(), before);
}

/// A run of `check` that must find exactly this problem.
#[track_caller]
fn finds(host: &Host, kind: &str, object: &Path, exit: Exit) {
    let finished = host.run("backup", &["check", "--all"]).exits_with(exit);
    let data = finished.data();
    let problems = data["problems"].as_array().unwrap();
    let name = object.file_name().unwrap().to_str().unwrap();
    let expected =
        |problem: &serde_json::Value| problem["kind"] == kind && problem["object"].as_str().unwrap().ends_with(name);
    assert!(!problems.is_empty() && problems.iter().all(expected), "{kind} {name}: {finished}");
}

#[test]
fn check_tells_what_is_missing_altered_and_orphaned_without_any_key() {
    let host = Host::with_a_small_site();
    host.backup();
    fs::remove_file(host.etc("identity.txt")).unwrap();
    host.run("backup", &["check"]).exits_with(Exit::Ok);
    host.run("backup", &["check", "--all"]).exits_with(Exit::Ok);
    let objects = host.objects();
    for object in objects.iter().filter(|object| object.extension().is_some_and(|end| end == "age")) {
        let path = host.path("store").join(object);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        finds(&host, "missing", object, Exit::Critical);
        fs::write(&path, &whole).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[!whole[whole.len() / 2]], whole.len() as u64 / 2).unwrap();
        finds(&host, "altered", object, Exit::Critical);
        fs::write(&path, &whole).unwrap();
    }
    let pack = objects.iter().find(|object| object.to_string_lossy().contains("/packs/")).unwrap();
    let stray = host.stored("packs/20200101T000000Z-00ff-0001.tar.zst.age");
    fs::copy(host.path("store").join(pack), &stray).unwrap();
    finds(&host, "orphaned", &stray, Exit::Warning);
}

#[test]
fn a_check_of_one_snapshot_minds_only_that_one() {
    let host = Host::with_a_small_site();
    let first = host.backup();
    host.write("more.txt", "more");
    let second = host.backup();
    let index = format!("snapshots/{second}/files.index.zst.age");
    fs::remove_file(host.stored(&index)).unwrap();
    host.run("backup", &["check", &first]).exits_with(Exit::Ok);
    host.run("backup", &["check", &second]).exits_with(Exit::Critical);
    host.run("backup", &["check", "20000101T000000Z-0000"]).exits_with(Exit::Unknown).fails_with("snapshot.missing");
}

#[test]
fn diff_names_what_came_went_and_changed() {
    let host = Host::with_a_small_site();
    let first = host.backup();
    host.write("uploads/came.txt", "new");
    host.write("public/index.html", "changed");
    fs::remove_file(host.app("uploads/2026/11/notes.txt")).unwrap();
    let second = host.backup();
    let finished = host.run("backup", &["diff", &first, &second]).gets_done();
    let text = finished.stdout();
    for path in ["uploads/came.txt", "public/index.html", "uploads/2026/11/notes.txt"] {
        assert!(text.contains(path), "{path}: {finished}");
    }
    assert!(!text.contains("photo.jpg"), "what stayed is not named: {finished}");
    let stranger = host.etc("stranger.txt");
    let words = ["diff", &first, &second, "--identity", stranger.to_str().unwrap()];
    host.run("backup", &words).exits_with(Exit::Unknown).fails_with("key.wrong");
}

#[test]
fn the_store_holds_no_names_no_secrets_and_is_private() {
    let host = Host::with_a_small_site();
    host.write("uploads/unmistakable-name.txt", "unmistakable-content");
    host.backup();
    for object in host.objects() {
        let bytes = fs::read(host.path("store").join(&object)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for word in ["unmistakable", "a-very-secret-value", "AGE-SECRET-KEY"] {
            assert!(!text.contains(word), "{} holds {word}", object.display());
        }
    }
    let open = crate::harness::shell(&format!("find '{}' -mindepth 1 -perm /077", host.path("store").display()));
    assert_eq!(open, "", "files are 0600 and folders 0700");
}

#[test]
fn a_snapshot_that_shrank_is_told_and_nothing_goes_until_that_is_accepted() {
    let host = Host::with_a_small_site();
    host.configure("", "[backup.keep]\nlast = 1\ndaily = 1");
    host.write("uploads/large.bin", Random::new(5).bytes(2_000_000));
    let good = host.backup();
    fs::remove_file(host.app("uploads/large.bin")).unwrap();
    for _ in 0..3 {
        let shrunk = host.run("backup", &[]).exits_with(Exit::Warning).warns_of("snapshot.shrunk");
        assert_eq!(shrunk.data()["snapshot"]["shrunk"][0], "files", "{shrunk}");
        assert!(shrunk.data()["pruned"].is_null() && shrunk.stdout().contains("--accept-shrunk"), "{shrunk}");
    }
    assert!(host.restored("latest").path.join("uploads/large.bin").exists(), "the last good one is meant");

    host.run("backup", &["prune"]).exits_with(Exit::Ok);
    assert!(host.listed_and_whole().contains(&good), "what shrank stands in for nothing");
    host.run("backup", &["--accept-shrunk"]).exits_with(Exit::Ok);
    host.backup();
    assert!(!host.listed_and_whole().contains(&good), "what was accepted does");
}

#[test]
fn what_shrank_and_is_whole_again_needs_no_word() {
    let host = Host::with_a_small_site();
    host.write("uploads/large.bin", Random::new(5).bytes(2_000_000));
    host.backup();
    fs::rename(host.app("uploads/large.bin"), host.path("aside")).unwrap();
    host.run("backup", &[]).exits_with(Exit::Warning).warns_of("snapshot.shrunk");
    fs::rename(host.path("aside"), host.app("uploads/large.bin")).unwrap();
    host.backup();
}
