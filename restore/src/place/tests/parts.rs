//! Snapshots that lack something, and restores of a part.

use super::*;

#[test]
fn a_partial_snapshot_in_place_moves_nothing_away_that_it_lacks() {
    let site = Site::small();
    let kept_before = {
        site.snapshot(&Made { hour: 1, ..usual() });
        site.write("readme", b"before the first restore");
        site.run(&["latest", "--yes"]).unwrap();
        kept(&site)
    };
    // `uploads/2` could not be read: it is live, and not in the snapshot.
    fs::rename(site.app().join("uploads/2"), site.path("aside")).unwrap();
    let partial = site.snapshot(&Made { hour: 3, partial: true, ..usual() });
    fs::rename(site.path("aside"), site.app().join("uploads/2")).unwrap();
    site.write("readme", b"changed");
    let outcome = site.run(&[partial.id.as_str(), "--yes"]).unwrap();
    assert_eq!(site.read("readme"), "read me");
    assert_eq!(fs::read(site.app().join("uploads/2/2.jpg")).unwrap(), vec![2; 2000], "it was not replaced");
    assert!(outcome.warnings.iter().any(|warning| warning.code == "snapshot.partial"), "{:?}", outcome.warnings);
    assert!(kept_before.iter().all(|old| old.exists()), "what it lacks may be in the older side alone");
}

#[test]
fn latest_passes_over_partial_snapshots_while_there_is_a_whole_one() {
    let site = Site::small();
    let first = site.snapshot(&Made { hour: 1, partial: true, ..usual() });
    let second = site.snapshot(&Made { hour: 2, partial: true, ..usual() });
    let id = |words: &[&str]| {
        let outcome = site.run(&[words, &["--dry-run"]].concat()).unwrap();
        outcome.data["snapshot"]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id(&["latest"]), second.id.as_str(), "where all are partial the newest is meant");
    let whole = site.snapshot(&Made { hour: 3, ..usual() });
    let newest = site.snapshot(&Made { hour: 4, partial: true, ..usual() });
    assert_eq!(id(&["latest"]), whole.id.as_str());
    assert_eq!(id(&["latest", "--only", "files"]), whole.id.as_str());
    assert_eq!(id(&["latest", "--only", "app"]), newest.id.as_str(), "a database is copied whole or not at all");
    assert_eq!(id(&["--at", "2026-11-20T01:30:00Z"]), first.id.as_str());
}

#[test]
fn latest_passes_over_snapshots_that_shrank_and_says_so() {
    let site = Site::small();
    let made = |hour, partial, shrunk: &[&str]| {
        let shrunk = shrunk.iter().map(|name| (*name).to_owned()).collect();
        site.snapshot(&Made { hour, partial, shrunk, ..usual() })
    };
    let latest = |words: &[&str]| {
        let data = site.run(&[&["latest"], words, &["--dry-run"]].concat()).unwrap().data;
        (data["snapshot"]["id"].as_str().unwrap().to_owned(), data["snapshot"]["note"].as_str().map(str::to_owned))
    };
    let first = made(1, false, &["gone"]);
    assert_eq!(latest(&[]), (first.id.to_string(), None), "where there is no other");
    let second = made(2, true, &[]);
    assert_eq!(latest(&[]).0, second.id.as_str(), "better partial than without what there was");
    let good = made(3, false, &[]);
    let newest = made(4, false, &["gone"]);
    let (id, note) = latest(&[]);
    assert_eq!(id, good.id.as_str());
    assert!(note.unwrap().contains("lacks, or has much less of: gone"));
    assert_eq!(latest(&["--only", "app"]), (newest.id.to_string(), None), "what is asked for is in it as ever");
    made(5, false, &["files"]);
    assert_eq!(latest(&["--only", "app"]).0, newest.id.as_str(), "a SQLite database is a file");
}

#[test]
fn a_narrower_restore_leaves_the_old_side_of_an_earlier_one() {
    let site = Site::small();
    site.snapshot(&usual());
    site.write("readme", b"precious");
    site.run(&["latest", "--yes"]).unwrap();
    let first = kept(&site);
    for words in [vec!["--only", "app"], vec!["--only", "files"], vec!["--path", "readme"]] {
        site.write("readme", b"changed");
        site.write("data/app.db", b"SQLite format 3\0 later");
        site.run(&[vec!["latest", "--yes"], words.clone()].concat()).unwrap();
        assert!(first.iter().all(|old| old.exists()), "{words:?}");
    }
    let told = site.run(&["latest", "--dry-run"]).unwrap().text;
    assert!(told.contains(&first[0].display().to_string()), "which old side will go is told before: {told}");
    let told = site.run(&["latest", "--dry-run", "--only", "app"]).unwrap().text;
    assert!(!told.contains("removes"), "{told}");
    site.run(&["latest", "--yes", "--only", "app", "--discard-old"]).unwrap();
    assert_eq!(kept(&site).len(), 1);
}

#[test]
fn a_snapshot_of_some_payloads_puts_nothing_away() {
    let site = Site::small();
    let made = site.snapshot(&Made { only: vec!["files".to_owned()], ..usual() });
    site.run(&[made.id.as_str(), "--yes"]).unwrap();
    assert_eq!(
        (site.read(".env").as_str(), site.read("data/app.db")),
        ("SECRET=1", "SQLite format 3\0 as if".to_owned())
    );
}

#[test]
fn the_log_of_a_database_is_never_put_beside_it() {
    let site = Site::small();
    site.write("data/app.db-wal", b"was in the index of an older version");
    fs::hard_link(site.app().join("data/app.db-wal"), site.app().join("data/z")).unwrap();
    site.snapshot(&usual());
    fs::remove_file(site.app().join("data/app.db-wal")).unwrap();
    for words in [&["--yes"][..], &["--yes", "--only", "files"], &["--yes", "--path", "data"]] {
        let outcome = site.run(&[&["latest"], words].concat()).unwrap();
        assert_eq!(site.read("data/app.db-wal"), "(none)", "{words:?}");
        assert_eq!(site.read("data/z"), "was in the index of an older version", "another name of it is no log");
        let found = outcome.warnings.iter().find(|warning| warning.code == "sqlite.companion_skipped").unwrap();
        assert!(found.message.contains("data/app.db-wal"), "{}", found.message);
    }
    site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
    assert!(!site.path("out/data/app.db-wal").exists());
}
