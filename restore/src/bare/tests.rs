//! Files that somebody brings: the old script's, and hostile ones.

use std::fs;

use shipshape_core::archive::entry::{Bytes, Entry, Kind};
use shipshape_core::exit::Exit;

use crate::testing::{Made, Site, entry, gzip, tar_of, tree};

/// Members with their content.
type Members<'a> = Vec<(Entry, &'a [u8])>;

fn file(path: &str) -> Entry {
    entry(path, Kind::File)
}

fn link(path: &str, kind: Kind, target: &str) -> Entry {
    Entry { link: Some(Bytes(target.as_bytes().to_vec())), ..entry(path, kind) }
}

fn bring(site: &Site, name: &str, bytes: &[u8]) -> String {
    fs::write(site.path(name), bytes).unwrap();
    site.path(name).display().to_string()
}

#[test]
fn an_archive_of_the_old_script_replaces_what_it_holds_and_nothing_else() {
    let site = Site::small();
    let tar = tar_of(&[
        (entry("./uploads/", Kind::Dir), b""),
        (file("./uploads/0/0.jpg"), b"from the archive"),
        (file("uploads/fresh.jpg"), b"fresh"),
    ]);
    let path = bring(&site, "files_20251120_020000.tar.gz", &gzip(&tar));
    let outcome = site.run(&[&path, "--yes"]).unwrap();
    assert_eq!(site.read("uploads/0/0.jpg"), "from the archive");
    assert_eq!((site.read("uploads/fresh.jpg").as_str(), site.read("readme").as_str()), ("fresh", "read me"));
    assert!(site.app().join("uploads/1/1.jpg").exists(), "what the archive lacks stays");
    assert!(outcome.data["restored"][0]["kept"].is_string());
}

#[test]
fn an_old_env_file_becomes_the_env_of_the_application_and_stays_private() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::small();
    fs::set_permissions(site.app().join(".env"), fs::Permissions::from_mode(0o640)).unwrap();
    let path = bring(&site, "env_20251120_020000", b"SECRET=old\n");
    site.run(&[&path, "--yes"]).unwrap();
    assert_eq!(site.read(".env"), "SECRET=old\n");
    assert_eq!(fs::metadata(site.app().join(".env")).unwrap().permissions().mode() & 0o777, 0o640);
    let out = site.path("out").display().to_string();
    site.run(&[&path, "--into", &out]).unwrap();
    assert_eq!(fs::metadata(site.path("out/.env")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn payloads_and_packs_taken_out_of_a_store_are_opened_by_their_bytes_not_their_names() {
    let site = Site::small();
    fs::remove_file(site.app().join("absolute")).unwrap();
    site.snapshot(&Made { files_in_a_pack: 100, config: vec![".env"], ..Made::default() });
    for (object, expected) in [("/packs/", "readme"), ("config.tar", ".env")] {
        let object = site.objects().into_iter().find(|path| path.to_string_lossy().contains(object)).unwrap();
        fs::copy(object, site.path("some-file")).unwrap();
        let (path, out) = (site.path("some-file").display().to_string(), site.path("out").display().to_string());
        site.run(&[&path, "--into", &out]).unwrap();
        assert!(site.path("out").join(expected).exists());
        assert_eq!(site.run_with_key(&[&path, "--into", &out], "").unwrap_err().code(), "key.no_identity");
        fs::remove_dir_all(site.path("out")).unwrap();
    }
}

#[test]
fn hostile_archives_are_refused_and_nothing_is_written() {
    let dir = |path: &str| entry(path, Kind::Dir);
    let none: &[u8] = b"";
    let x: &[u8] = b"x";
    let cases: Vec<(&str, Members<'_>)> = vec![
        ("absolute", vec![(file("/etc/evil"), x)]),
        ("above", vec![(file("../evil"), x)]),
        ("above in the middle", vec![(file("a/../../evil"), x)]),
        ("a folder above", vec![(dir("../evil"), none)]),
        ("absolute link", vec![(link("a", Kind::Symlink, "/etc"), none)]),
        ("link above", vec![(link("a", Kind::Symlink, "../.."), none)]),
        ("through a link", vec![(dir("d"), none), (link("a", Kind::Symlink, "d"), none), (file("a/evil"), x)]),
        ("folder over a link", vec![(dir("d"), none), (link("a", Kind::Symlink, "d"), none), (dir("a"), none)]),
        ("hard link above", vec![(link("a", Kind::Hardlink, "../../key"), none)]),
        ("absolute hard link", vec![(link("a", Kind::Hardlink, "/etc/passwd"), none)]),
        (
            "hard link through a link",
            vec![(link("l", Kind::Symlink, "."), none), (file("f"), x), (link("a", Kind::Hardlink, "l/f"), none)],
        ),
        ("hard link to nothing", vec![(link("a", Kind::Hardlink, "nothing"), none)]),
    ];
    for (name, entries) in cases {
        let site = Site::small();
        let before = tree(&site.app());
        let path = bring(&site, "files_x.tar.gz", &gzip(&tar_of(&entries)));
        let outside = fs::read_dir(site.folder()).unwrap().count();
        let refused = site.run(&[&path, "--yes"]).unwrap_err();
        assert_eq!((refused.code(), refused.exit()), ("archive.hostile", Exit::Critical), "{name}: {refused}");
        assert_eq!(tree(&site.app()), before, "{name}");
        // The state folder is all that a run may add.
        assert!(fs::read_dir(site.folder()).unwrap().count() <= outside + 1, "{name}");
    }
}

#[test]
fn devices_are_refused_and_pipes_are_not() {
    let site = Site::small();
    for (kind, is_fine) in [(tar::EntryType::Char, false), (tar::EntryType::Block, false), (tar::EntryType::Fifo, true)]
    {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path("thing").unwrap();
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        let path = bring(&site, "x.tar", &builder.into_inner().unwrap());
        let out = site.path("out").display().to_string();
        let outcome = site.run(&[&path, "--into", &out]);
        assert_eq!(outcome.is_ok(), is_fine, "{kind:?}");
        assert_eq!(site.path("out").exists(), is_fine, "{kind:?}");
    }
}

#[test]
fn a_name_of_a_gigabyte_is_not_read_into_memory() {
    use std::io::Write;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let mut zeros = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zeros.write_all(header.as_bytes()).unwrap();
    for _ in 0..64 {
        zeros.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    let site = Site::small();
    let path = bring(&site, "x.tar.zst", &zeros.finish().unwrap());
    let refused = site.run(&[&path, "--yes"]).unwrap_err();
    assert_eq!((refused.code(), refused.exit()), ("archive.hostile", Exit::Critical));
}

#[test]
fn an_archive_that_is_cut_short_anywhere_or_altered_is_refused_before_anything_live_is_touched() {
    let site = Site::small();
    let tar = tar_of(&[(file("readme"), b"from the archive"), (file("uploads/0/0.jpg"), &[7; 3000])]);
    let before = tree(&site.app());
    for whole in [tar.clone(), gzip(&tar)] {
        for length in (0..whole.len() - 1).step_by(whole.len() / 40) {
            let path = bring(&site, "files_x.tar.gz", &whole[..length]);
            let refused = site.run(&[&path, "--yes"]).unwrap_err();
            let is_told = ["archive.empty", "archive.damaged", "archive.unknown"].contains(&refused.code());
            assert!(is_told, "{length} {refused}");
            assert_eq!(tree(&site.app()), before, "{length}");
        }
    }
    let mut altered = gzip(&tar);
    let middle = altered.len() / 2;
    altered[middle] ^= 4;
    let path = bring(&site, "files_x.tar.gz", &altered);
    assert_eq!(site.run(&[&path, "--yes"]).unwrap_err().code(), "archive.damaged");
    assert_eq!(tree(&site.app()), before);
}

#[test]
fn what_is_no_archive_is_told_from_what_is_damaged() {
    let site = Site::small();
    let code = |name: &str, bytes: &[u8]| site.run(&[&bring(&site, name, bytes), "--yes"]).unwrap_err().code();
    assert_eq!(code("files_x.tar.gz", b""), "archive.empty");
    assert_eq!(code("files_x.tar.gz", &gzip(b"")), "archive.empty");
    assert_eq!(code("files_x.tar.gz", &gzip(&[0; 1024])), "archive.empty");
    assert_eq!(code("photo.jpg", b"\xff\xd8\xff"), "archive.unknown");
    assert_eq!(code("env_x", b"SECRET=\0"), "archive.unknown");
    let missing = site.path("none.tar").display().to_string();
    assert_eq!(site.run(&[&missing, "--yes"]).unwrap_err().code(), "archive.unreadable");
}

/// A dump as the old script wrote it, of one table.
const DUMP: &str = "-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: fleet
-- ------------------------------------------------------
-- Server version\t8.0.36
DROP TABLE IF EXISTS `a`;
CREATE TABLE `a` (
  `id` int
) ENGINE=InnoDB;
INSERT INTO `a` VALUES (1),(2);
-- Dump completed on 2025-11-20  2:00:00
";

#[test]
fn what_is_no_whole_dump_is_refused_before_any_server_is_asked() {
    let site = Site::small();
    let before = tree(&site.app());
    let refused = |name: &str, bytes: &[u8]| {
        let refused = site.run(&[&bring(&site, name, bytes), "--yes"]).unwrap_err();
        assert_eq!(tree(&site.app()), before, "{name}");
        (refused.code(), refused.exit())
    };
    let cut = &DUMP[..DUMP.len() - 60];
    let other = DUMP.replace("CREATE TABLE", "USE `one`;\nUSE `two`;\nCREATE TABLE");
    let order = DUMP.replace("CREATE TABLE", "\\! touch x\nCREATE TABLE");
    let cases: [(&str, &[u8], &str); 8] = [
        ("db_20251120_020000.sql.gz", &gzip(b"-- dump"), "dump.not_a_dump"),
        ("db_20251120_020000.sql", b"mysqldump: Got error: 1045: Access denied\n", "dump.message"),
        ("db_20251120_020000.sql.gz", &gzip(cut.as_bytes()), "dump.cut"),
        ("db_20251120_020000.sql.gz", &gzip(DUMP.as_bytes())[..150], "archive.damaged"),
        ("renamed", cut.as_bytes(), "dump.cut"),
        ("two.sql", other.as_bytes(), "dump.several"),
        ("order.sql", order.as_bytes(), "dump.order"),
        ("x.rdb", b"REDIS0011\xfa", "dump.cut"),
    ];
    for (name, bytes, code) in cases {
        assert_eq!(refused(name, bytes), (code, Exit::Critical), "{name}");
    }
    assert_eq!(refused("x.dump", b"PGDMP\x01\x0e"), ("archive.unknown", Exit::Unknown));
    let cluster =
        "--\n-- PostgreSQL database cluster dump\n--\n\\connect one\n-- PostgreSQL database cluster dump complete\n";
    assert_eq!(refused("all.sql", cluster.as_bytes()), ("dump.several", Exit::Critical));
    // Whole, but nothing here runs a server.
    assert_eq!(refused("whole.sql", DUMP.as_bytes()), ("restore.no_stack", Exit::Unknown));
}

#[test]
fn a_dump_can_be_looked_at_without_a_server_and_nothing_picked_out_of_it() {
    let site = Site::small();
    let path = bring(&site, "db_20251120_020000.sql.gz", &gzip(DUMP.as_bytes()));
    let out = site.path("out").display().to_string();
    assert_eq!(site.run(&[&path, "--into", &out, "--path", "a"]).unwrap_err().code(), "usage");
    assert!(!site.path("out").exists());
    site.run(&[&path, "--into", &out]).unwrap();
    assert_eq!(fs::read_to_string(site.path("out/db_20251120_020000.sql")).unwrap(), DUMP);
}

#[test]
fn a_member_that_was_appended_again_wins() {
    let site = Site::small();
    let tar = tar_of(&[(file("a"), b"first"), (file("a"), b"second")]);
    let path = bring(&site, "x.tar", &tar);
    site.run(&[&path, "--yes"]).unwrap();
    assert_eq!(site.read("a"), "second");
}

#[test]
fn a_file_cannot_be_listed_or_verified_and_it_is_said_how_it_is_proven() {
    let site = Site::small();
    let path = bring(&site, "x.tar", &tar_of(&[(file("a"), b"a")]));
    for command in ["verify", "list"] {
        let refused = site.run(&[command, &path]).unwrap_err();
        assert_eq!((refused.code(), refused.exit()), ("usage", Exit::Unknown));
        assert!(refused.message().ends_with("is a file, not a snapshot"), "{refused}");
        assert!(refused.hint().contains(&format!("restore {path} --into")), "{}", refused.hint());
    }
}

#[test]
fn what_an_archive_has_of_earlier_restores_is_neither_restored_nor_counted() {
    let site = Site::small();
    let ours = (file(".shipshape-before-x-1/a"), b"old".as_slice());
    let path = bring(&site, "x.tar", &tar_of(std::slice::from_ref(&ours)));
    let before = tree(&site.app());
    let refused = site.run(&[&path, "--yes"]).unwrap_err();
    assert_eq!((refused.code(), refused.exit()), ("archive.only_ours", Exit::Unknown));
    let further = (link("b", Kind::Hardlink, ".shipshape-before-x-1/a"), b"".as_slice());
    let path = bring(&site, "y.tar", &tar_of(&[ours, further]));
    assert_eq!(tree(&site.app()), before);
    let outcome = site.run(&[&path, "--yes"]).unwrap();
    assert_eq!((site.read("b").as_str(), outcome.data["files"].as_u64()), ("old", Some(1)));
    assert!(!site.app().join(".shipshape-before-x-1").exists());
    assert_eq!(outcome.warnings[0].code, "restore.left_alone");
}

#[test]
fn an_archive_leaves_the_old_side_of_an_earlier_restore() {
    let site = Site::small();
    for (name, content) in [("x.tar", b"first".as_slice()), ("y.tar", b"second"), ("z.tar", b"third")] {
        let path = bring(&site, name, &tar_of(&[(file("readme"), content)]));
        site.run(&[&path, "--yes"]).unwrap();
    }
    assert_eq!(crate::swap::kept::all(&site.app()).unwrap().len(), 3);
    let path = bring(&site, "x.tar", &tar_of(&[(file("readme"), b"last")]));
    site.run(&[&path, "--yes", "--discard-old"]).unwrap();
    assert_eq!(crate::swap::kept::all(&site.app()).unwrap().len(), 1);
}
