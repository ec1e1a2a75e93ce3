//! Stored forms of the past: what a version has written, every later one restores.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::harness::{Exit, Host, rows, shell};

/// A host whose store and identity are those that a version of that format wrote.
fn host_with(fixture: &str) -> Host {
    let host = Host::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    shell(&format!("cp -r '{}/store' '{}'", from.display(), host.path("").display()));
    fs::copy(from.join("identity.txt"), host.etc("identity.txt")).unwrap();
    fs::set_permissions(host.etc("identity.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    host
}

#[test]
fn a_store_of_format_1_is_listed_checked_verified_and_restored() {
    let host = host_with("store-format-1");
    let listed = host.run("backup", &["list", "--app", "app"]).exits_with(Exit::Ok).data();
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
    host.run("backup", &["check", "--all", "--app", "app"]).exits_with(Exit::Ok);
    host.run("restore", &["verify", "--all", "--app", "app"]).exits_with(Exit::Ok);
    let into = host.path("home/restored");
    host.run("restore", &["latest", "--app", "app", "--into", into.to_str().unwrap()]).exits_with(Exit::Ok);
    let read = |path: &str| fs::read_to_string(into.join(path)).unwrap();
    assert_eq!(read(".env"), "APP_KEY=for-the-fixture\n");
    assert_eq!(read("uploads/link"), "a photo\n");
    assert_eq!(read("uploads/second.txt"), "second 1\n");
    let inode = |path: &str| fs::metadata(into.join(path)).unwrap().ino();
    assert_eq!(inode("uploads/2026/photo.jpg"), inode("uploads/same-photo.jpg"));
    assert_eq!(fs::metadata(into.join("uploads/holes")).unwrap().len(), 100_000);
    assert!(into.join("uploads").join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt")).exists());
    assert!(rows(&into.join("data/app.db")).contains("Ishmael"));
}
