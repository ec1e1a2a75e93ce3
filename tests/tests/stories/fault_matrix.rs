//! The fault matrix: the tools are killed before every call that changes the disk, and every such call fails once.
//! Afterwards what is listed restores, and the next run succeeds.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{DATABASE, Exit, Fault, Host, Launch, Point, Random, Tree, each, rows, shell};

/// The misfortunes: of each kind, one at each point.
const FAULTS: [Fault; 3] = [Fault::Kill, Fault::Error("ENOSPC"), Fault::Error("EIO")];

/// A host with a snapshot, and with changes since then to store.
fn with_something_new() -> Host {
    let host = Host::with_a_small_site();
    host.backup();
    change(&host);
    host
}

fn change(host: &Host) {
    host.write("uploads/new.bin", Random::new(5).bytes(30_000));
    host.write("public/index.html", "<h1>Closed</h1>");
    host.write(".env", "APP_KEY=rotated\n");
    host.order("a new one");
    fs::remove_file(host.app("uploads/2026/11/notes.txt")).unwrap();
}

/// Demands what must hold after any misfortune: what is listed is whole, what was there is there, and life goes on.
fn all_is_well(host: &Host, must_be_there: &[String], what: &str) {
    let listed = host.listed_and_whole();
    assert!(
        must_be_there.iter().all(|id| listed.contains(id)),
        "{what} lost a snapshot: {listed:?} of {must_be_there:?}"
    );
    let next = host.run("backup", &[]).gets_done().snapshot();
    host.nothing_temporary_is_left();
    assert_eq!(host.listed_and_whole().first(), Some(&next));
    let checked = host.run("backup", &["check", "--all"]);
    let problems = &checked.data()["problems"];
    assert!(problems.as_array().unwrap().iter().all(|problem| problem["kind"] == "orphaned"), "{what}: {checked}");
}

/// Tries every point of a run, in a host of its own each time.
fn at_every_point(
    host: &Host,
    faults: &[Fault],
    launch: impl Fn(&Host) -> Launch + Sync,
    judge: impl Fn(&Host, &Point, Fault) + Sync,
) {
    let points = launch(&host.duplicate()).points();
    for fault in faults {
        let struck = AtomicUsize::new(0);
        each(&points, |point| {
            let host = host.duplicate();
            let finished = launch(&host).meeting(*fault, point);
            let killed = matches!(fault, Fault::Kill) && [1, 137].contains(&finished.number());
            assert!(killed || finished.number() <= 3, "it ends by itself or is killed: {finished}");
            struck.fetch_add(usize::from(finished.number() > 0), Ordering::Relaxed);
            judge(&host, point, *fault);
        });
        // A few points are in threads that get other work in another run, and some errors are none of a run's business.
        let struck = struck.into_inner();
        assert!(struck * 3 > points.len(), "{fault:?} struck only {struck} times at {} points", points.len());
    }
}

#[test]
fn a_first_backup_survives_every_fault_at_every_step() {
    let host = Host::with_a_small_site();
    at_every_point(
        &host,
        &FAULTS,
        |host| host.launch("backup"),
        |host, point, fault| {
            all_is_well(host, &[], &format!("{fault:?} at {point}"));
        },
    );
}

#[test]
fn a_further_backup_survives_every_fault_at_every_step() {
    let host = with_something_new();
    let there = host.listed();
    at_every_point(
        &host,
        &FAULTS,
        |host| host.launch("backup"),
        |host, point, fault| {
            all_is_well(host, &there, &format!("{fault:?} at {point}"));
        },
    );
}

/// A host on which a prune has both to mark snapshots as deleted and to remove the objects of ones marked before.
fn with_something_to_prune() -> Host {
    let host = Host::with_a_small_site();
    let keep = |last: usize| host.configure("", &format!("[backup.keep]\nlast = {last}\ndaily = 0"));
    keep(20);
    for day in 1..=5 {
        host.backup_at(&format!("2031-03-{day:02} 02:00:00"));
        host.write("uploads/daily.bin", Random::new(day).bytes(20_000));
        host.write(&format!("uploads/{day}.txt"), format!("of day {day}"));
    }
    keep(3);
    host.launch("backup").args(&["prune"]).at("2031-03-05 03:00:00").run().exits_with(Exit::Ok);
    keep(20);
    for day in 6..=7 {
        let launch = host.launch("backup").args(&["--no-prune"]).at(&format!("2031-03-{day:02} 02:00:00"));
        launch.run().exits_with(Exit::Ok);
    }
    keep(3);
    host
}

#[test]
fn a_prune_survives_every_fault_at_every_step() {
    let host = with_something_to_prune();
    let listed = host.listed();
    assert_eq!(listed.len(), 5, "three were kept, two came");
    let prune = |host: &Host| host.launch("backup").args(&["prune"]).at("2031-03-08 02:00:00");
    let objects = host.objects().len();
    let unharmed = host.duplicate();
    prune(&unharmed).run().exits_with(Exit::Ok);
    assert_eq!(unharmed.listed(), listed[..3], "it marks two");
    assert!(unharmed.objects().len() < objects, "and removes what was marked before");
    at_every_point(&host, &FAULTS, prune, |host, point, fault| {
        let left = host.listed_and_whole();
        assert_eq!(left[..3], listed[..3], "{fault:?} at {point}: what is kept is kept");
        prune(host).run().exits_with(Exit::Ok);
        assert_eq!(host.listed_and_whole(), listed[..3], "{fault:?} at {point}: the next prune does the rest");
        host.launch("backup").at("2031-03-08 03:00:00").run().exits_with(Exit::Ok);
        host.listed_and_whole();
    });
}

#[test]
fn a_restore_in_place_loses_nothing_to_any_fault_at_any_step() {
    let host = with_something_new();
    host.write("uploads/unsaved.txt", "never backed up");
    let snapshot = host.listed().remove(0);
    let wanted = host.restored(&snapshot);
    let (wanted_tree, wanted_rows) = (wanted.tree(), wanted.rows());
    let unsaved: BTreeSet<String> = host.tree().contents().into_iter().collect();
    let restore = |host: &Host| host.launch("restore").args(&["latest", "--yes", "--app"]).args(&[host.path("app")]);
    at_every_point(
        &host,
        &[Fault::Kill, Fault::Error("EIO"), Fault::Error("ENOSPC")],
        restore,
        |host, point, fault| {
            let what = format!("{fault:?} at {point}");
            let there: BTreeSet<String> = Tree::of(&host.path("app")).contents().into_iter().collect();
            assert!(unsaved.is_subset(&there), "{what}: everything that was live is live or kept");
            // No journal is left, and so nothing to finish: the restore was done, and the next one is a further one.
            let is_clear =
                shell(&format!("find '{}'/.shipshape-restore-* -type f || true", host.path("app").display()))
                    .is_empty();
            let is_there = wanted_tree.clone().without_times_of_folders() == live(host).without_times_of_folders();
            let was_done = is_clear && is_there;
            restore(host).run().gets_done();
            let differences = wanted_tree.differences(&live(host));
            assert!(differences.is_empty(), "{what}: the next restore does it:\n{differences}");
            assert_eq!(rows(&host.app("data/app.db")), wanted_rows, "{what}");
            let there: BTreeSet<String> = Tree::of(&host.path("app")).contents().into_iter().collect();
            assert!(was_done || unsaved.is_subset(&there), "{what}: the next restore keeps what was live");
        },
    );
}

#[test]
fn a_restore_into_a_folder_is_whole_or_can_be_repeated_after_any_fault_at_any_step() {
    let host = Host::with_a_small_site();
    host.backup();
    let expected = host.tree();
    let restore = |host: &Host| host.launch("restore").args(&["latest", "--into"]).args(&[host.path("home/into")]);
    at_every_point(&host, &FAULTS, restore, |host, point, fault| {
        let again = restore(host).run();
        // Killed when all was in its place, the folder is full and stays as it is.
        assert!([0, 1, 3].contains(&again.number()), "{fault:?} at {point}: {again}");
        let found = Tree::of(&host.path("home/into")).without(&DATABASE);
        let differences = match again.number() {
            3 => expected.clone().without_times_of_folders().differences(&found.without_times_of_folders()),
            _ => expected.differences(&found),
        };
        assert!(differences.is_empty(), "{fault:?} at {point}: {again}\n{differences}");
        let left = fs::read_dir(host.path("home")).unwrap().count();
        assert_eq!(left, 1, "{fault:?} at {point}: nothing else is left");
    });
}

/// The application without its database and what restores keep beside it.
fn live(host: &Host) -> Tree {
    let kept = fs::read_dir(host.path("app")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept: Vec<String> = kept.filter(|name| name.starts_with(".shipshape-")).collect();
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    host.tree().without(&kept)
}
