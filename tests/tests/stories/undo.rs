//! `restore undo` of files: the old side comes back as it was, what was live is kept in its turn, and at whatever step it is
//! killed neither of the two is lost.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Fault, Host, Tree, each};

/// The folders that restores keep beside the application.
fn kept(host: &Host) -> Vec<PathBuf> {
    let names = fs::read_dir(host.path("app")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".shipshape-")).collect()
}

/// The application without them.
fn live(host: &Host) -> Tree {
    let names: Vec<String> =
        kept(host).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    host.tree().without(&names.iter().map(String::as_str).collect::<Vec<_>>()).without_times_of_folders()
}

/// A host that was restored in place: how it was before that, and how it is now.
fn restored() -> (Host, Tree, Tree) {
    let host = Host::with_a_small_site();
    host.backup();
    host.write("public/index.html", "<h1>defaced</h1>");
    fs::remove_file(host.app("uploads/2026/11/photo.jpg")).unwrap();
    host.write("uploads/newer.txt", "came after the snapshot");
    host.write("fresh/deep/file.txt", "a folder of its own");
    host.order("came after the snapshot");
    let before = live(&host);
    host.run("restore", &["latest", "--yes"]).gets_done();
    let after = live(&host);
    assert_ne!(before.differences(&after), "");
    (host, before, after)
}

#[test]
fn what_a_restore_has_replaced_comes_back_and_goes_again() {
    let (host, before, after) = restored();
    host.run("restore", &["undo"]).fails_with("restore.needs_yes");
    host.run("restore", &["undo", "--dry-run"]).gets_done();
    after.equals(&live(&host));
    for side in [&before, &after, &before] {
        host.run("restore", &["undo", "--yes"]).gets_done();
        side.equals(&live(&host));
        assert_eq!(kept(&host).len(), 1, "{:?}", kept(&host));
    }
    host.run("restore", &["--discard-old"]).gets_done();
    host.run("restore", &["undo", "--yes"]).fails_with("restore.nothing_to_undo");
}

#[test]
fn what_somebody_has_made_since_the_restore_stays_and_what_they_removed_is_no_hindrance() {
    let (host, ..) = restored();
    host.write("uploads/since.txt", "made since");
    fs::remove_file(host.app("uploads/2026/11/photo.jpg")).unwrap();
    host.run("restore", &["undo", "--yes"]).gets_done();
    let read = |path: &str| fs::read_to_string(host.app(path)).unwrap();
    assert_eq!(read("uploads/newer.txt"), "came after the snapshot");
    assert_eq!(read("public/index.html"), "<h1>defaced</h1>");
}

#[test]
fn an_undo_that_is_killed_at_any_step_loses_neither_side() {
    let (first, ..) = restored();
    let points = first.launch("restore").args(&["undo", "--yes"]).points();
    each(&points, |point| {
        let (host, before, after) = restored();
        host.launch("restore").args(&["undo", "--yes"]).meeting(Fault::Kill, point);

        // The next run settles what was left, and goes on from there: to the one side or to the other.
        let next = host.run("restore", &["undo", "--yes"]);
        assert!([0, 1].contains(&next.number()), "killed at {point}: {next}");
        let (one, other) = match live(&host).differences(&before).as_str() {
            "" => (&before, &after),
            _ => (&after, &before),
        };
        one.equals(&live(&host));
        host.run("restore", &["undo", "--yes"]).gets_done();
        other.equals(&live(&host));
    });
}
