//! Restores of snapshots, with all that can go wrong.

mod parts;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use shipshape_core::archive::names::Wrapping;
use shipshape_core::config::{Compression, Encryption};
use shipshape_core::exit::Exit;

use crate::testing::{Made, Site, tree};

/// With a database, a configuration and something that is left out.
fn usual() -> Made {
    Made { config: vec![".env"], sqlite: vec![("app", "data/app.db")], exclude: vec!["cache"], ..Made::default() }
}

fn into(site: &Site, name: &str) -> String {
    site.path(name).display().to_string()
}

fn kept(site: &Site) -> Vec<std::path::PathBuf> {
    crate::swap::kept::all(&site.app()).unwrap().into_iter().collect()
}

#[test]
fn a_snapshot_comes_back_into_a_new_folder_exactly_as_it_was() {
    let site = Site::small();
    site.snapshot(&Made::default());
    let outcome = site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
    assert_eq!(tree(&site.path("out")), tree(&site.app()));
    assert_eq!((outcome.exit, outcome.warnings.len()), (Exit::Ok, 0));
    assert_eq!(outcome.data["restored"][0]["target"], into(&site, "out").as_str());
}

#[test]
fn every_wrapping_comes_back() {
    for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
        for encryption in [Encryption::Age, Encryption::None] {
            let site = Site::small();
            site.snapshot(&Made { wrapping: Wrapping { compression, encryption }, exclude: vec![], ..usual() });
            site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
            assert_eq!(tree(&site.path("out")), tree(&site.app()), "{compression:?} {encryption:?}");
        }
    }
}

#[test]
fn names_that_are_not_utf8_and_files_with_holes_come_back() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::empty();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9\n.jpg");
    fs::write(site.app().join(name), "x").unwrap();
    let holes = fs::File::create(site.app().join("holes")).unwrap();
    holes.set_len(3_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"data", 1_500_000).unwrap();
    site.snapshot(&Made::default());
    site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
    assert_eq!(tree(&site.path("out")), tree(&site.app()));
    let blocks = |path: &Path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap());
    assert!(blocks(&site.path("out/holes")) <= blocks(&site.app().join("holes")));
}

#[test]
fn a_folder_that_holds_something_is_refused_and_left_alone() {
    let site = Site::small();
    site.snapshot(&Made::default());
    fs::create_dir(site.path("out")).unwrap();
    fs::write(site.path("out/mine"), "mine").unwrap();
    let before = tree(&site.path("out"));
    let refused = site.run(&["latest", "--into", &into(&site, "out")]).unwrap_err();
    assert_eq!((refused.code(), refused.exit()), ("restore.not_empty", Exit::Unknown));
    assert_eq!(tree(&site.path("out")), before);
}

#[test]
fn in_place_everything_is_as_it_was_and_what_was_live_is_kept() {
    let site = Site::small();
    site.snapshot(&usual());
    let before = tree(&site.app());
    site.write("readme", b"changed");
    site.write("uploads/new", b"new");
    site.write("more/new", b"new");
    site.write("data/app.db", b"SQLite format 3\0 later");
    site.write("data/app.db-wal", b"log of the later one");
    site.write(".env", b"SECRET=2");
    fs::remove_file(site.app().join("link")).unwrap();
    fs::create_dir(site.app().join("link")).unwrap();
    let outcome = site.run(&["latest", "--yes"]).unwrap();
    assert_eq!(tree(&site.app()), before);
    let [old] = kept(&site).try_into().unwrap();
    let old_text = |path: &str| fs::read_to_string(old.join(path)).unwrap();
    assert_eq!((old_text("readme").as_str(), old_text("uploads/new").as_str()), ("changed", "new"));
    assert_eq!((old_text("more/new").as_str(), old_text(".env").as_str()), ("new", "SECRET=2"));
    assert_eq!(old_text("data/app.db-wal"), "log of the later one");
    assert_eq!(outcome.data["restored"][0]["kept"], old.display().to_string().as_str());
}

#[test]
fn what_the_backup_left_out_stays_where_it_is() {
    let site = Site::small();
    site.write("cache/live", b"of now");
    site.snapshot(&usual());
    site.write("cache/live", b"of later");
    site.run(&["latest", "--yes"]).unwrap();
    assert_eq!(site.read("cache/live"), "of later");
}

#[test]
fn one_payload_alone_leaves_the_others() {
    let site = Site::small();
    site.snapshot(&usual());
    site.write("readme", b"changed");
    site.write("data/app.db", b"SQLite format 3\0 later");
    site.write("data/app.db-wal", b"log of the later one");
    site.write("data/beside", b"beside");
    let outcome = site.run(&["latest", "--yes", "--only", "app"]).unwrap();
    assert_eq!((site.read("readme").as_str(), site.read("data/beside").as_str()), ("changed", "beside"));
    assert_eq!(site.read("data/app.db"), "SQLite format 3\0 as if");
    assert_eq!(site.read("data/app.db-wal"), "(none)", "the log belongs to the old database");
    assert_eq!(outcome.data["restored"].as_array().unwrap().len(), 1);
    let old = outcome.data["restored"][0]["kept"].as_str().unwrap();
    assert_eq!(fs::read_to_string(old).unwrap(), "SQLite format 3\0 later");
}

#[test]
fn files_alone_leave_databases_and_configuration() {
    let site = Site::small();
    site.snapshot(&usual());
    let before = tree(&site.app());
    site.write("readme", b"changed");
    site.write("data/app.db", b"SQLite format 3\0 later");
    site.write("data/app.db-wal", b"its log");
    site.write(".env", b"SECRET=2");
    site.run(&["latest", "--yes", "--only", "files"]).unwrap();
    assert_eq!(tree(&site.app())["readme"], before["readme"]);
    assert_eq!(site.read("data/app.db"), "SQLite format 3\0 later");
    assert_eq!((site.read("data/app.db-wal").as_str(), site.read(".env").as_str()), ("its log", "SECRET=2"));
}

#[test]
fn a_part_by_path_replaces_that_part_and_nothing_else() {
    let site = Site::small();
    site.snapshot(&usual());
    site.write("uploads/1/1.jpg", b"changed");
    site.write("uploads/1/new", b"new");
    site.write("readme", b"changed");
    site.run(&["latest", "--yes", "--path", "uploads/1"]).unwrap();
    assert_eq!(fs::read(site.app().join("uploads/1/1.jpg")).unwrap(), vec![1; 1000]);
    assert_eq!((site.read("uploads/1/new").as_str(), site.read("readme").as_str()), ("new", "changed"));
}

#[test]
fn a_hard_link_whose_first_name_is_not_picked_comes_back_with_its_content() {
    let site = Site::small();
    site.snapshot(&Made::default());
    site.run(&["latest", "--path", "again", "--into", &into(&site, "out")]).unwrap();
    assert_eq!(fs::read_to_string(site.path("out/uploads/again")).unwrap(), "read me");
    let (out, app) = (tree(&site.path("out")), tree(&site.app()));
    assert_eq!(out.keys().collect::<Vec<_>>(), [".", "uploads", "uploads/again"]);
    assert_eq!(out["uploads"], app["uploads"], "the folder above comes back as it was");
}

#[test]
fn what_matches_nothing_is_an_error_and_changes_nothing() {
    let site = Site::small();
    site.snapshot(&Made::default());
    for words in [vec!["latest", "--path", "*.png"], vec!["latest", "--only", "mysql"]] {
        let target = into(&site, "out");
        let refused = site.run(&[words, vec!["--into", &target]].concat()).unwrap_err();
        assert!(["restore.nothing_matches", "restore.no_payload"].contains(&refused.code()));
        assert!(!site.path("out").exists());
    }
    let refused = site.run(&["latest", "--only", "mysql", "--yes"]).unwrap_err();
    assert_eq!(refused.hint(), "it has: files");
}

#[test]
fn in_place_without_a_terminal_wants_yes() {
    let site = Site::small();
    site.snapshot(&usual());
    site.write("readme", b"changed");
    let refused = site.run(&["latest"]).unwrap_err();
    assert_eq!((refused.code(), refused.exit()), ("restore.needs_yes", Exit::Unknown));
    assert_eq!(site.read("readme"), "changed");
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let site = Site::small();
    site.snapshot(&usual());
    site.write("readme", b"changed");
    let before = tree(site.folder());
    for words in [vec!["latest", "--dry-run"], vec!["latest", "--dry-run", "--into", &into(&site, "out")]] {
        let outcome = site.run(&words).unwrap();
        assert!(outcome.text.contains("files") && outcome.text.contains("app"), "{}", outcome.text);
    }
    assert_eq!(tree(site.folder()), before);
}

#[test]
fn latest_is_the_newest_complete_snapshot_and_a_time_the_newest_up_to_it() {
    let site = Site::small();
    let first = site.snapshot(&Made { hour: 1, ..usual() });
    let second = site.snapshot(&Made { hour: 2, ..usual() });
    let third = site.snapshot(&Made { hour: 3, only: vec!["app".to_owned()], ..usual() });
    let id = |words: &[&str]| {
        let outcome = site.run(&[words, &["--dry-run", "--yes"]].concat()).unwrap();
        outcome.data["snapshot"]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id(&["latest"]), second.id.as_str());
    assert_eq!(id(&["latest", "--only", "app"]), third.id.as_str());
    assert_eq!(id(&["latest", "--only", "app", "files"]), second.id.as_str());
    assert_eq!(id(&["--at", "2026-11-20T01:30:00Z"]), first.id.as_str());
    assert_eq!(id(&["20261120T03"]), third.id.as_str());
    let refused = site.run(&["--at", "2026-11-19T00:00:00Z", "--yes"]).unwrap_err();
    assert_eq!(refused.code(), "snapshot.missing");
}

#[test]
fn without_a_key_or_with_a_wrong_one_nothing_begins() {
    let site = Site::small();
    site.snapshot(&usual());
    let (other, _) = shipshape_core::archive::keys::generate(chrono::Utc::now());
    fs::write(site.path("other"), other.expose()).unwrap();
    fs::set_permissions(site.path("other"), fs::Permissions::from_mode(0o600)).unwrap();
    for (key, code) in [("", "key.no_identity"), ("other", "key.wrong"), ("none", "secret.missing")] {
        for words in [vec!["latest", "--into", &into(&site, "out")], vec!["verify", "latest"], vec!["list", "latest"]] {
            let refused = site.run_with_key(&words, key).unwrap_err();
            assert_eq!((refused.code(), refused.exit()), (code, Exit::Unknown), "{words:?}");
        }
    }
    assert!(!site.path("out").exists());
}

#[test]
fn a_damaged_snapshot_is_refused_and_what_is_live_is_untouched() {
    for seed in 0..60usize {
        let site = Site::small();
        site.snapshot(&usual());
        site.write("readme", b"changed");
        let before = tree(&site.app());
        let objects = site.objects();
        let object = &objects[seed % objects.len()];
        let mut bytes = fs::read(object).unwrap();
        let at = seed * 7919 % bytes.len();
        if seed % 3 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (seed % 8);
        }
        fs::write(object, bytes).unwrap();
        // What a restore does not read cannot keep it from succeeding: the rest of a pack behind the last file.
        match site.run(&["latest", "--yes"]) {
            Err(refused) => {
                assert_eq!(tree(&site.app()), before, "{seed} {}", object.display());
                assert!(kept(&site).is_empty());
                assert!(refused.exit() >= Exit::Critical, "{seed} {refused}");
            }
            Ok(_) => assert!(object.to_string_lossy().contains("/packs/"), "{seed} {}", object.display()),
        }
        let names: Vec<_> = fs::read_dir(site.app()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".shipshape-restore-")), "{names:?}");
    }
}

#[test]
fn a_damaged_part_does_not_keep_the_others_from_coming_back_but_then_nothing_live_goes() {
    let site = Site::small();
    site.snapshot(&usual());
    let object = site.objects().into_iter().find(|path| path.to_string_lossy().contains("app.tar")).unwrap();
    fs::write(object, "not what was stored").unwrap();
    site.write("readme", b"changed");
    site.write("new", b"new");
    site.write("data/app.db", b"SQLite format 3\0 later");
    let outcome = site.run(&["latest", "--yes", "--only", "files", "config"]).unwrap();
    assert_eq!(outcome.warnings[0].code, "store.damaged");
    assert_eq!((site.read("readme").as_str(), site.read("new").as_str()), ("read me", "new"));
    assert_eq!(site.read("data/app.db"), "SQLite format 3\0 later");
    let outcome = site.run(&["latest", "--only", "files", "--into", &into(&site, "out")]).unwrap();
    assert!(outcome.warnings.is_empty());
}

#[test]
fn a_missing_pack_is_named() {
    let site = Site::small();
    let manifest = site.snapshot(&usual());
    let object = site.objects().into_iter().find(|path| path.to_string_lossy().contains("-0001.tar")).unwrap();
    fs::remove_file(object).unwrap();
    let refused = site.run(&["latest", "--into", &into(&site, "out")]).unwrap_err();
    assert!(refused.message().contains(&manifest.packs[0].object), "{refused}");
    assert!(!site.path("out").exists());
}

#[test]
fn the_old_side_goes_with_the_next_restore_or_on_request() {
    let site = Site::small();
    site.snapshot(&usual());
    site.write("readme", b"first change");
    site.run(&["latest", "--yes"]).unwrap();
    site.write("readme", b"second change");
    site.run(&["latest", "--yes"]).unwrap();
    let [old] = kept(&site).try_into().unwrap();
    assert_eq!(fs::read_to_string(old.join("readme")).unwrap(), "second change");
    let outcome = site.run(&["--discard-old"]).unwrap();
    assert_eq!((outcome.data["discarded"].as_array().unwrap().len(), kept(&site).len()), (1, 0));
}

#[test]
fn a_protected_folder_under_a_file_of_the_snapshot_is_a_refusal() {
    let site = Site::small();
    site.write("thing", b"a file");
    site.snapshot(&Made { exclude: vec!["*.keep"], ..usual() });
    fs::remove_file(site.app().join("thing")).unwrap();
    site.write("thing/precious.keep", b"must stay");
    let before = tree(&site.app());
    let refused = site.run(&["latest", "--yes"]).unwrap_err();
    assert_eq!((refused.code(), refused.exit()), ("restore.in_the_way", Exit::Unknown));
    assert_eq!(tree(&site.app()), before);
}

#[test]
fn a_link_in_the_live_folder_is_replaced_and_never_followed() {
    let site = Site::small();
    site.snapshot(&usual());
    fs::create_dir(site.path("elsewhere")).unwrap();
    fs::rename(site.app().join("uploads"), site.path("moved")).unwrap();
    symlink(site.path("elsewhere"), site.app().join("uploads")).unwrap();
    site.run(&["latest", "--yes"]).unwrap();
    assert!(site.app().join("uploads/0").is_dir());
    assert_eq!(fs::read_dir(site.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_store_inside_the_application_survives_a_restore() {
    let site = Site::small();
    site.snapshot(&usual());
    fs::rename(site.path("store"), site.app().join("store")).unwrap();
    let store = site.app().join("store").display().to_string();
    site.write("readme", b"changed");
    // The last one of the same flag is taken.
    let args = ["latest", "--yes"];
    symlink(&store, site.path("store")).unwrap();
    site.run(&args).unwrap();
    assert!(site.app().join("store/shipshape-store.json").exists());
    assert_eq!(site.read("readme"), "read me");
}

#[test]
fn sources_outside_the_application_go_back_to_where_they_were_and_their_neighbours_stay() {
    let site = Site::small();
    fs::create_dir_all(site.path("outer/sub")).unwrap();
    fs::write(site.path("outer/sub/file"), "then").unwrap();
    fs::write(site.path("single.conf"), "then").unwrap();
    site.snapshot(&Made { outside: vec!["outer", "single.conf"], ..usual() });
    let before = (tree(&site.app()), tree(&site.path("outer")));
    fs::write(site.path("outer/sub/file"), "now").unwrap();
    fs::write(site.path("outer/new"), "now").unwrap();
    fs::write(site.path("single.conf"), "now").unwrap();
    fs::write(site.path("beside"), "now").unwrap();
    site.write("new", b"now");
    site.run(&["latest", "--yes"]).unwrap();
    assert_eq!((tree(&site.app()), tree(&site.path("outer"))), before);
    let read = |name: &str| fs::read_to_string(site.path(name)).unwrap();
    assert_eq!((read("single.conf").as_str(), read("beside").as_str()), ("then", "now"));
    assert!(site.path("store/shipshape-store.json").exists());
    // All old sides go together, wherever they are.
    assert_eq!(kept(&site).len(), 3);
    site.run(&["--discard-old"]).unwrap();
    let left = crate::testing::files_below(site.folder());
    assert!(!left.iter().any(|path| path.to_string_lossy().contains(".shipshape-")), "{left:?}");
}

#[test]
fn sources_outside_land_below_the_folder_that_is_named() {
    let site = Site::small();
    fs::write(site.path("single.conf"), "then").unwrap();
    site.snapshot(&Made { outside: vec!["single.conf"], ..usual() });
    site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
    let below = site.path("out").join(site.path("single.conf").strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(below).unwrap(), "then");
}

#[test]
fn what_is_shown_before_is_what_is_written() {
    let site = Site::small();
    site.snapshot(&usual());
    let outcome = site.run(&["latest", "--dry-run"]).unwrap();
    let bytes = |name: &str| {
        let payloads = outcome.data["payloads"].as_array().unwrap();
        payloads.iter().find(|one| one["name"] == name).unwrap()["bytes"].as_u64().unwrap()
    };
    assert_eq!((bytes("config"), bytes("app")), (8, 22));
    let restored = site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
    assert_eq!(bytes("files") + 8 + 22, restored.data["bytes"].as_u64().unwrap());
    for told in ["data/app.db", ".env", "8 B", "put aside"] {
        assert!(outcome.text.contains(told), "{told}: {}", outcome.text);
    }
}

#[test]
fn a_file_is_no_folder_to_restore_into() {
    let site = Site::small();
    site.snapshot(&usual());
    fs::write(site.path("out"), "mine").unwrap();
    for target in ["out", "out/below"] {
        for words in [&["latest", "--into"][..], &["latest", "--dry-run", "--into"]] {
            let refused = site.run(&[words, &[&into(&site, target)]].concat()).unwrap_err();
            assert_eq!((refused.code(), refused.exit()), ("restore.not_a_folder", Exit::Unknown), "{words:?}");
        }
    }
    assert_eq!(fs::read_to_string(site.path("out")).unwrap(), "mine");
}

#[test]
fn who_has_a_database_open_that_is_replaced_is_told() {
    let site = Site::small();
    site.snapshot(&usual());
    let open = fs::File::open(site.app().join("data/app.db")).unwrap();
    let in_use = |words: &[&str]| {
        let outcome = site.run(words).unwrap();
        outcome.warnings.into_iter().find(|warning| warning.code == "sqlite.in_use")
    };
    assert_eq!(in_use(&["latest", "--yes", "--only", "files"]), None);
    assert_eq!(in_use(&["latest", "--into", &into(&site, "out")]), None);
    let told = site.run(&["latest", "--dry-run"]).unwrap().text;
    assert!(told.contains("stop the application first"), "{told}");
    let warning = in_use(&["latest", "--yes"]).unwrap();
    assert!(warning.message.contains(&format!("({})", std::process::id())), "{}", warning.message);
    drop(open);
    assert_eq!(in_use(&["latest", "--yes"]), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn random_trees_come_back(
        files in proptest::collection::btree_map("[a-c]{1,2}(/[a-c]{1,2}){0,3}", proptest::collection::vec(any::<u8>(), 0..3000), 1..20),
        modes in proptest::collection::vec(0o400u32..0o7777, 20),
        per_pack in 1usize..6,
    ) {
        let site = Site::empty();
        for ((path, content), mode) in files.iter().zip(&modes) {
            let path = site.app().join(path);
            // Where a file is already, there is no folder, and the other way round.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::write(&path, content).is_ok() {
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
        site.snapshot(&Made { files_in_a_pack: per_pack, ..Made::default() });
        site.run(&["latest", "--into", &into(&site, "out")]).unwrap();
        prop_assert_eq!(tree(&site.path("out")), tree(&site.app()));
    }
}
