//! Whoever can write to the store can forge a snapshot whose hashes are all right, because the server's keys are public.
//! It must not reach beyond the folder that is restored, nor pass for whole.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::harness::{Exit, Host, Random, Tree, scratch};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// A host whose only snapshot is readable, and holds a file, a link to it, and a symbolic link.
fn host() -> (Host, String) {
    let host = Host::new();
    host.configure("encryption = \"none\"\ncompression = \"none\"", "");
    host.write("uploads/evil", "the content of the file");
    fs::hard_link(host.app("uploads/evil"), host.app("uploads/link")).unwrap();
    std::os::unix::fs::symlink("evil", host.app("uploads/symlink")).unwrap();
    host.write("uploads/symlink-", "after the link in order");
    let snapshot = host.backup();
    (host, snapshot)
}

/// Replaces words of the index by others of the same length, and makes all hashes right again.
fn forge(host: &Host, snapshot: &str, from: &str, to: &str) {
    assert_eq!(from.len(), to.len(), "sizes are compared too");
    let index = host.stored(&format!("snapshots/{snapshot}/files.index"));
    let genuine = fs::read_to_string(&index).unwrap();
    let forged = genuine.replace(from, to);
    assert_ne!(genuine, forged, "there is something to replace");
    fs::write(&index, &forged).unwrap();
    let manifest = host.stored(&format!("snapshots/{snapshot}/manifest.json"));
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text.replace(&sha256(genuine.as_bytes()), &sha256(forged.as_bytes()));
    let (begin, end) = (text.find(":{").unwrap() + 1, text.rfind(",\"sha256\"").unwrap());
    let hash = sha256(&text.as_bytes()[begin..end]);
    fs::write(&manifest, format!("{},\"sha256\":\"{hash}\"}}", &text[..end])).unwrap();
}

/// Restores into a new folder and in place, and demands that both are refused and nothing was touched.
fn refused(host: &Host, story: &str) {
    let folder = scratch();
    let into = folder.path().join("deep/into");
    fs::create_dir(folder.path().join("deep")).unwrap();
    let finished = host.launch("restore").args(&["latest", "--into"]).args(&[&into]).run();
    assert_eq!(finished.number(), 2, "{story}: {finished}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{story}: {finished}");
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 0, "{story}: {finished}");
    let before = Tree::of(&host.path("")).without(&["state"]).without_times_of_folders();
    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Critical);
    before.equals(&Tree::of(&host.path("")).without(&["state"]).without_times_of_folders());
}

#[test]
fn the_hashes_of_a_forgery_are_right() {
    let (host, snapshot) = host();
    forge(&host, &snapshot, "\"mode\":420", "\"mode\":384");
    host.listed_and_whole();
    let restored = host.restored(&snapshot);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(restored.path.join("uploads/evil")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "or the other stories would prove nothing");
}

#[test]
fn a_path_that_leaves_the_folder_is_refused() {
    for (from, to) in [
        ("\"path\":\"uploads/evil\"", "\"path\":\"../../x/evil\""),
        ("\"path\":\"uploads/evil\"", "\"path\":\"/tmp/xx/evil\""),
        ("\"path\":\"uploads/evil\"", "\"path\":\"uploads/../x\""),
        ("\"path\":\"uploads/evil\"", "\"path\":\"uploads//vil\""),
        ("\"path\":\"uploads/evil\"", "\"path\":\"uploads/./il\""),
        ("\"link\":\"uploads/evil\"", "\"link\":\"../../x/evil\""),
        ("\"link\":\"uploads/evil\"", "\"link\":\"/etc/hostnam\""),
    ] {
        let (host, snapshot) = host();
        forge(&host, &snapshot, from, to);
        refused(&host, to);
        assert!(!Path::new("/tmp/xx").exists());
    }
}

#[test]
fn a_file_behind_a_symbolic_link_is_refused() {
    let (host, snapshot) = host();
    // `uploads/symlink-` becomes `uploads/symlink/`… of the same length, and the link leads out.
    forge(
        &host,
        &snapshot,
        "\"path\":\"uploads/symlink-\"",
        "\"path\":\"uploads/symlink/x\"".replace("/x", "/").as_str(),
    );
    refused(&host, "an empty last part");
    let (host, snapshot) = self::host();
    forge(
        &host,
        &snapshot,
        "\"path\":\"uploads/symlink\",\"kind\":\"symlink\"",
        "\"path\":\"uploads/e\",      \"kind\":\"symlink\"",
    );
    forge(&host, &snapshot, "\"path\":\"uploads/evil\"", "\"path\":\"uploads/e/il\"");
    refused(&host, "a file behind a link");
}

#[test]
fn a_link_to_what_is_not_there_does_not_pass_for_whole() {
    let (host, snapshot) = host();
    forge(&host, &snapshot, "\"link\":\"uploads/evil\"", "\"link\":\"uploads/evi1\"");
    let verified = host.run("restore", &["verify", &snapshot]).exits_with(Exit::Critical);
    assert_eq!(verified.data()["snapshots"][0]["whole"], false, "{verified}");
    refused(&host, "a link to nothing");
}

#[test]
fn a_wrong_hash_size_or_place_of_a_file_does_not_pass_for_whole() {
    let zeros = "0".repeat(64);
    let (probe, snapshot) = host();
    let index = fs::read_to_string(probe.stored(&format!("snapshots/{snapshot}/files.index"))).unwrap();
    let line = index.lines().find(|line| line.contains("uploads/evil\",\"kind\":\"file")).unwrap();
    let entry: serde_json::Value = serde_json::from_str(line).unwrap();
    let hash = entry["blake3"].as_str().unwrap();
    for (from, to) in [(hash, zeros.as_str()), ("\"size\":23,\"pack\"", "\"size\":22,\"pack\"")] {
        let (host, snapshot) = host();
        forge(&host, &snapshot, from, to);
        let verified = host.run("restore", &["verify", &snapshot]).exits_with(Exit::Critical);
        assert_eq!(verified.data()["snapshots"][0]["whole"], false, "{verified}");
        refused(&host, to);
    }
}

#[test]
fn a_manifest_of_another_snapshot_or_application_is_not_taken_for_this_one() {
    let (host, snapshot) = host();
    host.write("more", Random::new(1).bytes(10));
    let other = host.backup();
    let manifest = |id: &str| host.stored(&format!("snapshots/{id}/manifest.json"));
    fs::copy(manifest(&snapshot), manifest(&other)).unwrap();
    let listed = host.run("backup", &["list"]);
    assert!(listed.number() >= 1, "{listed}");
    host.run("restore", &["verify", &other]).exits_with(Exit::Critical);
}
