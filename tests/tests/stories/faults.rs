//! Faults and bad input: each ends with the right status and a hint, and nothing is lost or half written.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::harness::{DATABASE, Exit, Finished, Host, Mount, Random, Tree, rows, scratch, shell};

/// A run with these words, which must be refused for that reason and leave the store without any object.
#[track_caller]
fn refused(host: &Host, words: &[&str], code: &str) -> Finished {
    let finished = host.run("backup", words).exits_with(Exit::Unknown).fails_with(code);
    assert!(host.store_is_empty(), "a refused run must not write to the store");
    finished
}

/// Runs `restore … --into DIR` and demands that nothing has appeared there.
#[track_caller]
fn restore_in_vain(host: &Host, words: &[&str]) -> Finished {
    let folder = scratch();
    let into = folder.path().join("restored");
    let finished = host.launch("restore").args(words).args(&["--into"]).args(&[&into]).run();
    assert!(finished.number() >= 2, "it should fail: {finished}");
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "a failed restore leaves nothing beside its target: {finished}");
    finished
}

/// Flips one bit of a file.
fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// Numbers from the beginning, the end, and evenly between.
fn sampled(length: u64, count: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).map(|step| step * (length - 1) / (count - 1)).collect();
    numbers.extend([1, length.saturating_sub(2)]);
    numbers.retain(|number| *number < length);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[test]
fn backup_without_any_recipient_is_refused() {
    let host = Host::with_a_small_site();
    host.configure("", "");
    let config = fs::read_to_string(host.etc("shipshape.toml")).unwrap();
    let without: Vec<&str> = config.lines().filter(|line| !line.starts_with("recipients")).collect();
    fs::write(host.etc("shipshape.toml"), without.join("\n")).unwrap();
    refused(&host, &[], "key.no_recipient").hints("backup init");
}

#[test]
fn backup_refuses_a_recipient_that_is_not_one() {
    let host = Host::with_a_small_site();
    refused(&host, &["--recipient", "age1thisisnokey"], "key.not_a_recipient").says("age1thisisnokey").hints("age1");
}

#[test]
fn backup_refuses_a_secret_key_in_place_of_a_public_one_and_does_not_repeat_it() {
    let host = Host::with_a_small_site();
    let identity = fs::read_to_string(host.etc("identity.txt")).unwrap();
    let secret = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    let finished = refused(&host, &["--recipient", secret], "key.secret_as_recipient");
    let told = finished.stdout() + &finished.stderr();
    assert!(!told.contains(&secret[..30]), "a secret must not be repeated: {told}");
}

#[test]
fn restore_without_a_key_is_refused() {
    let host = Host::with_a_small_site();
    let snapshot = host.backup();
    let config = fs::read_to_string(host.etc("shipshape.toml")).unwrap();
    fs::write(host.etc("shipshape.toml"), config.replace("identity_file", "# identity_file")).unwrap();
    restore_in_vain(&host, &[&snapshot]).exits_with(Exit::Unknown).fails_with("key.no_identity").hints("--identity");
}

#[test]
fn restore_with_the_wrong_key_is_refused() {
    let host = Host::with_a_small_site();
    host.backup();
    let stranger = host.etc("stranger.txt");
    restore_in_vain(&host, &["latest", "--identity", stranger.to_str().unwrap()])
        .exits_with(Exit::Unknown)
        .fails_with("key.wrong")
        .hints("--identity");
}

#[test]
fn restore_refuses_an_identity_that_others_can_read() {
    let host = Host::with_a_small_site();
    host.backup();
    host.chmod("etc/identity.txt", 0o644);
    restore_in_vain(&host, &["latest"]).exits_with(Exit::Unknown).fails_with("secret.not_private").hints("chmod 600");
}

#[test]
fn an_unknown_key_of_the_configuration_is_refused_with_the_nearest_one() {
    let host = Host::with_a_small_site();
    host.configure("", "[backup]\nexlude = [\"cache\"]");
    let finished = refused(&host, &[], "config.unknown_key");
    let report = finished.report();
    let told = format!("{} {}", report["error"]["message"], report["error"]["hint"]);
    assert!(
        told.contains("exclude") && told.contains("shipshape.toml"),
        "the file and the right word are named: {told}"
    );
}

#[test]
fn a_store_whose_folder_is_missing_is_not_made_by_a_backup() {
    let host = Host::with_a_small_site();
    fs::remove_dir(host.path("store")).unwrap();
    host.run("backup", &[]).exits_with(Exit::Critical).fails_with("store.missing").hints("mounted");
    assert!(!host.path("store").exists(), "the disk that is not mounted may look just the same");
    restore_in_vain(&host, &["latest"]).fails_with("store.missing");
}

#[test]
fn a_disk_that_is_not_mounted_is_not_taken_for_a_new_store() {
    let host = Host::with_a_small_site();
    let disk = Mount::tmpfs(&host.path("store"), "8m");
    let snapshot = host.backup();
    let elsewhere = host.path("home/elsewhere");
    shell(&format!("cp -a '{}/.' '{}'", host.path("store").display(), elsewhere.display()));
    drop(disk);
    host.run("backup", &[]).exits_with(Exit::Critical).fails_with("store.other").hints("mounted");
    assert!(host.objects().is_empty(), "the empty mount point stays empty");
    shell(&format!("cp -a '{}/.' '{}'", elsewhere.display(), host.path("store").display()));
    assert!(host.listed_and_whole().contains(&snapshot));
    host.backup();
}

#[test]
fn a_read_only_store_fails_the_backup_and_can_be_restored_from() {
    let host = Host::with_a_small_site();
    let snapshot = host.backup();
    let before = host.objects();
    let read_only = Mount::read_only(&host.path("store"));
    host.run("backup", &[]).exits_with(Exit::Critical).fails_with("store.read_only").hints("mount");
    assert_eq!(host.listed_and_whole(), [snapshot.as_str()]);
    host.tree().equals(&host.restored(&snapshot).tree());
    drop(read_only);
    assert_eq!(host.objects(), before);
}

#[test]
fn a_full_store_fails_the_backup_at_any_fill_and_keeps_what_was_there() {
    let host = Host::with_a_small_site();
    let store = Mount::tmpfs(&host.path("store"), "2m");
    let first = host.backup();
    // The database is stored before the disk is full, and has to go again.
    host.order("after the first snapshot");
    host.write("uploads/large.bin", Random::new(3).bytes(3_000_000));
    let before = host.objects();
    let reserve = host.path("store/reserve");
    // From no space at all for anything, over a little, to some packs.
    for reserved in [2_000_000, 1_900_000, 1_700_000, 1_200_000, 0] {
        let _ = fs::write(&reserve, vec![1; reserved]);
        host.run("backup", &[]).exits_with(Exit::Critical).fails_with("store.full").hints("space");
        fs::remove_file(&reserve).unwrap();
        assert_eq!(host.objects(), before, "a failed run removes what it wrote");
        assert_eq!(host.listed_and_whole(), [first.as_str()]);
    }
    store.resize("8m");
    let second = host.backup();
    host.tree().equals(&host.restored(&second).tree());
}

#[test]
fn a_store_that_turns_out_full_at_fsync_or_close_is_noticed() {
    let host = Host::with_a_small_site();
    let first = host.backup();
    for (call, nth) in [("fsync", 1), ("fsync", 3), ("fdatasync", 1)] {
        host.write("uploads/new.txt", format!("{call} {nth}"));
        let finished = host.launch("backup").failing_from(call, nth, "ENOSPC");
        assert!(finished.number() <= 2, "it ends by itself: {finished}");
        if call == "fsync" {
            finished.exits_with(Exit::Critical).fails_with("store.full");
            assert_eq!(host.listed_and_whole(), [first.as_str()]);
        }
        host.nothing_temporary_is_left();
    }
    // What close(2) says after a successful fsync(2) changes nothing; what is listed is whole all the same.
    for nth in [1, 5, 20, 40] {
        host.write("uploads/new.txt", format!("close {nth}"));
        host.launch("backup").failing_from("close", nth, "ENOSPC");
        assert!(host.listed_and_whole().contains(&first));
    }
    host.backup();
    host.listed_and_whole();
}

#[test]
fn a_second_run_at_the_same_time_is_refused_and_the_first_one_is_whole() {
    let host = Host::with_a_small_site();
    let before = host.backup();
    let first = host.launch("backup").stalled("fsync", 1, None, Duration::from_secs(2));
    for words in [&["run"][..], &["prune"]] {
        host.run("backup", words).exits_with(Exit::Unknown).fails_with("lock.held").hints("wait");
    }
    let snapshot = first.wait().exits_with(Exit::Ok).snapshot();
    assert_eq!(host.listed_and_whole(), [snapshot, before]);
}

#[test]
fn a_source_that_does_not_exist_is_an_error_and_never_an_empty_one() {
    for (words, named) in [
        (&["--files", "uploads", "--files", "nowhere"][..], "nowhere"),
        (&["--app", "/does/not/exist"], "/does/not/exist"),
    ] {
        let host = Host::with_a_small_site();
        let finished = host.run("backup", words);
        assert!(finished.number() >= 2, "{finished}");
        assert!(finished.report()["error"]["message"].as_str().unwrap().contains(named), "{finished}");
        assert!(host.store_is_empty(), "no snapshot without its sources");
    }
    let host = Host::with_a_small_site();
    host.configure("", "[backup]\nsqlite = [\"data/gone.db\"]");
    let finished = host.run("backup", &[]);
    assert!(finished.number() >= 2 && finished.stderr().contains("gone.db"), "{finished}");
    assert!(!host.app("data/gone.db").exists(), "looking for a database must not make one");
    assert!(host.store_is_empty());
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_left_alone() {
    let host = Host::with_a_small_site();
    fs::write(host.path("store/shipshape-store.json"), "{\"format\":2,\"all\":\"else is new\"}").unwrap();
    refused(&host, &[], "store.newer_format").hints("newer version");
    restore_in_vain(&host, &["latest"]).exits_with(Exit::Unknown).fails_with("store.newer_format");
    assert_eq!(host.objects().len(), 1);
}

#[test]
fn a_folder_with_other_things_in_it_is_not_taken_for_a_store() {
    let host = Host::with_a_small_site();
    fs::write(host.path("store/holiday.jpg"), "mine").unwrap();
    host.run("backup", &[]).exits_with(Exit::Unknown).fails_with("store.not_a_store");
    assert_eq!(host.objects(), [Path::new("holiday.jpg")]);
}

#[test]
fn an_object_altered_by_one_bit_is_told_and_never_restored() {
    each_damage(|path, sample| {
        let length = fs::metadata(path).unwrap().len();
        sampled(length, sample).into_iter().map(|at| (format!("bit of byte {at}"), Damage::Flip(at))).collect()
    });
}

#[test]
fn an_object_cut_short_at_any_length_is_told_and_never_restored() {
    each_damage(|path, sample| {
        let length = fs::metadata(path).unwrap().len();
        sampled(length, sample).into_iter().map(|to| (format!("cut to {to}"), Damage::Cut(to))).collect()
    });
}

enum Damage {
    Flip(u64),
    Cut(u64),
}

/// Damages each object of a snapshot in each of the ways, and asks every command that should notice.
fn each_damage(ways: impl Fn(&Path, u64) -> Vec<(String, Damage)>) {
    let host = Host::with_a_small_site();
    let good = host.backup();
    host.write("uploads/second.txt", "in the second snapshot alone");
    host.order("the second");
    host.write(".env", "APP_KEY=rotated\n");
    let bad = host.backup();
    for object in host.objects().iter().filter(|object| object.to_string_lossy().contains(&bad)) {
        let path = host.path("store").join(object);
        let whole = fs::read(&path).unwrap();
        for (told, damage) in ways(&path, 12) {
            match damage {
                Damage::Flip(at) => flip(&path, at),
                Damage::Cut(to) => OpenOptions::new().write(true).open(&path).unwrap().set_len(to).unwrap(),
            }
            let story = format!("{} with {told}", object.display());
            damage_is_noticed(&host, &good, &bad, &story);
            fs::write(&path, &whole).unwrap();
        }
    }
    assert_eq!(host.listed_and_whole(), [bad, good], "put right again, both are whole");
}

#[track_caller]
fn damage_is_noticed(host: &Host, good: &str, bad: &str, story: &str) {
    let verified = host.run("restore", &["verify", "--all"]);
    assert_eq!(verified.number(), 2, "{story}: {verified}");
    let data = verified.data();
    let of =
        |id: &str| data["snapshots"].as_array().unwrap().iter().find(|snapshot| snapshot["id"] == id).cloned().unwrap();
    assert_eq!(of(good)["whole"], true, "{story}: the other one is whole: {verified}");
    assert_eq!(of(bad)["whole"], false, "{story}: {verified}");
    assert!(!of(bad)["problems"].as_array().unwrap().is_empty(), "{story}: {verified}");
    let checked = host.run("backup", &["check", "--all"]);
    assert_eq!(checked.number(), 2, "{story}: {checked}");
    restores_rightly_or_not_at_all(host, bad, story);
}

/// What was damaged may be of no use to a restore, such as the end mark of a pack: every file has a hash of its own. It
/// brings back the very tree, or nothing.
#[track_caller]
fn restores_rightly_or_not_at_all(host: &Host, snapshot: &str, story: &str) {
    let folder = scratch();
    let into = folder.path().join("restored");
    let finished = host.launch("restore").args(&[snapshot, "--into"]).args(&[&into]).run();
    if finished.number() == 0 {
        let differences = host.tree().differences(&Tree::of(&into).without(&DATABASE));
        assert!(differences.is_empty(), "{story}: {differences}");
        assert_eq!(rows(&into.join("data/app.db")), rows(&host.app("data/app.db")), "{story}");
    } else {
        assert!(finished.number() >= 2, "{story}: {finished}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{story}: nothing is left: {finished}");
    }
}

#[test]
fn a_damaged_manifest_is_not_listed_as_a_snapshot_and_does_not_stop_the_next_run() {
    let host = Host::with_a_small_site();
    let good = host.backup();
    host.write("uploads/second.txt", "more");
    let bad = host.backup();
    flip(&host.stored(&format!("snapshots/{bad}/manifest.json")), 40);
    let listed = host.run("backup", &["list"]);
    assert!([1, 2].contains(&listed.number()), "a damaged manifest is something to look at: {listed}");
    let third = host.run("backup", &[]).gets_done().snapshot();
    let listed = host.run("backup", &["list"]).data();
    let ids: Vec<&str> =
        listed["snapshots"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [third.as_str(), good.as_str()]);
    host.tree().equals(&host.restored(&third).tree());
}

#[test]
fn a_corrupt_cache_costs_one_full_backup_and_nothing_else() {
    let host = Host::with_a_small_site();
    host.backup();
    let full = host.run("backup", &["list"]).exits_with(Exit::Ok).data()["snapshots"][0]["files"].clone();
    let state = host.path("state");
    let files =
        walkdir::WalkDir::new(&state).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let mut spoilt = 0;
    for entry in files.filter(|entry| !entry.path().to_string_lossy().contains("reports")) {
        let length = entry.metadata().unwrap().len();
        spoilt += u64::from(length > 100);
        fs::write(entry.path(), Random::new(length).bytes(length)).unwrap();
    }
    assert!(spoilt > 0, "there is a cache to spoil");
    let snapshot = host.run("backup", &[]).exits_with(Exit::Warning).warns_of("state.cache_lost");
    assert!(snapshot.number_of("bytes.stored") > 30_000, "all is stored anew: {snapshot}");
    let data = host.run("backup", &["list"]).gets_done().data();
    assert_eq!(data["snapshots"][0]["files"], full);
    host.listed_and_whole();
    host.tree().equals(&host.restored("latest").tree());
}

#[test]
fn prune_refuses_when_the_clock_is_earlier_than_the_newest_snapshot() {
    let host = Host::with_a_small_site();
    host.configure("", "[backup.keep]\nlast = 1\ndaily = 1");
    let day = |day: u32| format!("2031-03-{day:02} 02:00:00");
    let ids: Vec<String> = (1..4).map(|number| host.backup_at(&day(number))).collect();
    let before = host.objects();
    let newest = ids.last().unwrap();
    let finished = host.launch("backup").args(&["prune"]).at("2031-03-02 12:00:00").run();
    assert!(finished.number() >= 2, "{finished}");
    assert!(finished.report()["error"]["message"].as_str().unwrap().contains(newest.as_str()), "{finished}");
    assert_eq!(host.objects(), before, "a clock that went backwards deletes nothing");
    // A backup is taken all the same, and deletes nothing either.
    let listed = host.listed();
    let launch = host.launch("backup").at("2031-03-02 13:00:00");
    launch.run().exits_with(Exit::Warning).warns_of("clock.backwards");
    assert_eq!(host.listed().len(), listed.len() + 1);
}

#[test]
fn a_signal_in_the_middle_leaves_nothing_and_ends_with_its_number() {
    let signals = [("INT", Exit::Signal(2)), ("TERM", Exit::Signal(15)), ("HUP", Exit::Signal(1))];
    for ((signal, exit), nth) in signals.into_iter().flat_map(|signal| [1, 3].map(|nth| (signal, nth))) {
        let host = Host::with_a_small_site();
        let first = host.backup();
        let before = host.objects();
        host.order("after the first snapshot");
        host.write("uploads/large.bin", Random::new(4).bytes(2_000_000));
        let running = host.launch("backup").stalled("fsync", nth, None, Duration::from_millis(300));
        running.signal(signal);
        running.wait().exits_with(exit).fails_with("run.interrupted");
        assert_eq!(host.objects(), before, "an interrupted run leaves no object");
        host.nothing_temporary_is_left();
        assert_eq!(host.listed_and_whole(), [first]);
        host.backup();
        host.listed_and_whole();
    }
}

#[test]
fn a_signal_in_the_middle_of_a_restore_leaves_the_live_side_alone() {
    let host = Host::with_a_small_site();
    host.backup();
    host.write("public/index.html", "changed since");
    fs::remove_file(host.app("uploads/2026/11/photo.jpg")).unwrap();
    let (live, database) = (host.tree(), rows(&host.app("data/app.db")));
    let running =
        host.launch("restore").args(&["latest", "--yes"]).stalled("syncfs", 1, None, Duration::from_millis(500));
    running.signal("TERM");
    running.wait().exits_with(Exit::Signal(15));
    live.without_times_of_folders().equals(&host.tree().without_times_of_folders());
    assert_eq!(rows(&host.app("data/app.db")), database);
    host.nothing_temporary_is_left();
}

#[test]
fn a_signal_while_an_archive_is_read_is_told_as_what_it_is() {
    let host = Host::with_a_small_site();
    let archive = host.path("home/large.tar");
    // A member of a terabyte, all hole: nobody waits for its end.
    shell(&format!(
        "cd '{}'; truncate -s 1T hole; {{ tar -cf - hole || true; }} | head -c 512 > large.tar; truncate -s 1T large.tar; rm hole",
        host.path("home").display()
    ));
    let words = [archive.to_str().unwrap(), "--path", "nothing", "--yes"];
    let running = host.launch("restore").args(&words).stalled("flock", 1, None, Duration::from_millis(300));
    running.signal("TERM");
    running.wait().exits_with(Exit::Signal(15)).fails_with("run.interrupted");
    host.nothing_temporary_is_left();
}

#[test]
fn a_signal_while_a_damaged_object_is_verified_ends_the_run_at_once() {
    let host = Host::with_a_small_site();
    host.write("uploads/large.bin", Random::new(7).bytes(3_000_000));
    host.backup();
    let paths = host.objects().into_iter().map(|object| host.path("store").join(object));
    let largest = paths.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    // It cannot be decrypted from its first bytes on; the rest is read for its hash alone.
    flip(&largest, 60);
    let launch = host.launch("restore").args(&["verify", "latest"]);
    let running = launch.stalled("read", 200, None, Duration::from_millis(2));
    running.signal("TERM");
    running.wait().exits_with(Exit::Signal(15)).fails_with("run.interrupted");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let host = Host::with_a_small_site();
    for line in ["backup | true", "backup list | true", "restore list latest | true", "restore verify latest | true"] {
        let finished = host.sh(&format!("{line}; exit ${{PIPESTATUS[0]}}"));
        assert_eq!((finished.number(), finished.stderr().as_str()), (0, ""), "{finished}");
    }
    assert_eq!(host.listed_and_whole().len(), 1);
}
