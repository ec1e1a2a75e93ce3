//! A tree with every oddity that file systems allow comes back as it was.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags, lsetxattr, utimensat};

use crate::harness::{Exit, Host, Random, Tree, scratch, shell};

/// A page of data.
const PAGE: u64 = 4096;

/// A file with a page of data at each of these pages, and a length.
fn sparse(path: &Path, pages: &[u64], length: u64) {
    let file = File::create(path).unwrap();
    for page in pages {
        file.write_all_at(&Random::new(*page).bytes(PAGE), page * PAGE).unwrap();
    }
    file.set_len(length).unwrap();
}

fn files_with_holes(app: &Path) {
    let name = |name: &str| app.join("sparse").join(name);
    fs::create_dir(app.join("sparse")).unwrap();
    sparse(&name("all-hole"), &[], 3_000_001);
    sparse(&name("trailing-hole"), &[0, 1], 1_000_000);
    sparse(&name("leading-hole"), &[100], 101 * PAGE);
    sparse(&name("six-extents"), &[1, 20, 40, 60, 80, 100], 120 * PAGE + 7);
    let many: Vec<u64> = (0..40).map(|extent| 16 * extent).collect();
    sparse(&name("forty-extents"), &many, 40 * 16 * PAGE);
}

fn links(app: &Path) {
    fs::create_dir(app.join("links")).unwrap();
    fs::write(app.join("links/m-first"), "one file, three names").unwrap();
    fs::hard_link(app.join("links/m-first"), app.join("links/z-last")).unwrap();
    // A name that a walk meets before its first one, in a folder that sorts earlier.
    fs::hard_link(app.join("links/m-first"), app.join("a-name-of-m-first")).unwrap();
    for (target, name) in [
        ("nowhere", "dangling"),
        ("/etc/hostname", "absolute"),
        ("..", "up"),
        ("../links", "to-itself"),
        ("../../../outside", "out"),
    ] {
        symlink(target, app.join("links").join(name)).unwrap();
    }
    // Links and pipes may have several names too, and so may a file that would otherwise be configuration.
    shell(&format!("cd '{}/links' && ln -s dangling s1 && ln -P s1 s2 && mkfifo p1 && ln p1 p2", app.display()));
    shell(&format!(
        "cd '{}' && echo KEY=1 > links/.env.shared && ln links/.env.shared links/env-by-another-name",
        app.display()
    ));
    symlink("x".repeat(1000), app.join("links/to-a-long-path")).unwrap();
    symlink(OsStr::from_bytes(b"not-\xffutf8"), app.join("links/to-bytes")).unwrap();
    lchown(app.join("links/absolute"), Some(33), Some(44)).unwrap();
}

fn names(app: &Path) {
    let odd: [&[u8]; 9] = [
        b"-rf",
        b"new\nline",
        b"not-\xff\xfeutf8",
        b"colon:name",
        b" leading and trailing ",
        b"back\\slash",
        b"*?[glob]",
        "umlaut-\u{e4}-\u{1f980}".as_bytes(),
        b"tab\tand\x01control",
    ];
    for folder in ["names", "names/-folder"] {
        fs::create_dir(app.join(folder)).unwrap();
        for name in odd {
            fs::write(app.join(folder).join(OsStr::from_bytes(name)), name).unwrap();
        }
    }
    fs::write(app.join("names").join("n".repeat(255)), "a name of 255 bytes").unwrap();
    fs::write(app.join("names").join("l".repeat(100)), "a name of 100 bytes").unwrap();
    let deep: PathBuf = (0..20).map(|level| format!("{level:02}-{}", "d".repeat(60))).collect();
    fs::create_dir_all(app.join("names").join(&deep)).unwrap();
    fs::write(app.join("names").join(deep).join("leaf"), "below more than a thousand bytes of path").unwrap();
}

fn attributes(app: &Path) {
    fs::create_dir_all(app.join("attributes/folder")).unwrap();
    let file = app.join("attributes/file");
    fs::write(&file, "with attributes").unwrap();
    for path in [&file, &app.join("attributes/folder")] {
        lsetxattr(path, "user.binary", b"\x00\xff=\n", XattrFlags::empty()).unwrap();
        lsetxattr(path, "user.empty", b"", XattrFlags::empty()).unwrap();
        lsetxattr(path, "user.long", &[b'v'; 2000], XattrFlags::empty()).unwrap();
        lsetxattr(path, "trusted.note", b"for root", XattrFlags::empty()).unwrap();
    }
    let folder = app.join("attributes").display().to_string();
    shell(&format!("setfacl -m u:1234:rw,g:4321:r,m:rwx '{folder}/file'"));
    shell(&format!("setfacl -m u:1234:rwx -m d:u:1234:rwx,d:g::r,d:o::- '{folder}/folder'"));
    fs::write(app.join("attributes/folder/inherits"), "the default list of its folder").unwrap();
}

fn modes_and_owners(app: &Path) {
    fs::create_dir(app.join("modes")).unwrap();
    for mode in [0o0000, 0o0200, 0o4755, 0o2755, 0o1644, 0o6711, 0o7777] {
        let file = app.join(format!("modes/file-{mode:04o}"));
        fs::write(&file, "mode").unwrap();
        chown(&file, Some(12_345), Some(54_321)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let folder = app.join(format!("modes/folder-{mode:04o}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("inside"), "mode").unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(app.join("modes/far-owner"), "beyond what octal digits hold").unwrap();
    chown(app.join("modes/far-owner"), Some(3_000_000_000), Some(4_000_000_000)).unwrap();
}

fn times(app: &Path) {
    fs::create_dir(app.join("times")).unwrap();
    for (name, seconds, nanoseconds) in [
        ("before-1970", -86_400 * 365, 250_000_000),
        ("the-second-before-1970", -1, 999_999_999),
        ("at-1970", 0, 0),
        ("after-2038", 2_200_000_000, 123_456_789),
        ("to-the-nanosecond", 1_700_000_000, 1),
    ] {
        let path = app.join("times").join(name);
        fs::write(&path, name).unwrap();
        let moment = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let stamps = Timestamps { last_access: moment, last_modification: moment };
        utimensat(CWD, &path, &stamps, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let link = app.join("times").join(format!("link-{name}"));
        symlink("target", &link).unwrap();
        utimensat(CWD, &link, &stamps, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// A host with all of it.
fn odd_host() -> Host {
    let host = Host::with_a_small_site();
    let app = host.path("app");
    files_with_holes(&app);
    links(&app);
    names(&app);
    attributes(&app);
    modes_and_owners(&app);
    times(&app);
    fs::write(app.join("empty-file"), "").unwrap();
    fs::create_dir(app.join("empty-folder")).unwrap();
    fs::create_dir(app.join("pipes")).unwrap();
    shell(&format!("mkfifo -m 0640 '{}/pipes/fifo'", app.display()));
    host
}

/// What rsync would still have to change to make `there` equal to the application, its database left out.
fn rsync_would_change(host: &Host, there: &Path) -> String {
    let filter = "--exclude=/data/app.db --exclude=/data/app.db-*";
    let (here, there) = (host.path("app"), there.display());
    shell(&format!(
        "rsync -aHAX --checksum --dry-run --itemize-changes --delete {filter} '{}/' '{there}/'",
        here.display()
    ))
}

#[test]
fn a_tree_with_every_oddity_comes_back_as_it_was() {
    let host = odd_host();
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    let restored = host.restored(&finished.snapshot());
    assert!(host.tree().len() > 90, "there is something to compare");
    host.tree().equals(&restored.tree());
    assert_eq!(rsync_would_change(&host, &restored.path), "");
}

#[test]
fn the_second_snapshot_of_an_odd_tree_stores_nothing_and_comes_back_too() {
    let host = odd_host();
    host.backup_at("2031-03-01 02:00:00");
    let second = host.launch("backup").at("2031-03-02 02:00:00").run().exits_with(Exit::Ok);
    assert_eq!(second.number_of("files.new") + second.number_of("files.changed"), 0, "{second}");
    let restored = host.restored(&second.snapshot());
    host.tree().equals(&restored.tree());
    assert_eq!(rsync_would_change(&host, &restored.path), "");
}

#[test]
fn an_odd_tree_comes_back_in_place() {
    let host = odd_host();
    host.backup();
    let before = host.tree();
    for path in ["links", "names", "sparse", "times"] {
        fs::remove_dir_all(host.app(path)).unwrap();
    }
    shell(&format!("chmod -R u=rwx,go= '{0}/modes' && setfacl -R -b '{0}/attributes'", host.path("app").display()));
    host.run("restore", &["latest", "--yes"]).exits_with(Exit::Ok);
    let kept: Vec<String> = fs::read_dir(host.path("app"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let kept: Vec<&str> = kept.iter().map(String::as_str).filter(|name| name.starts_with(".shipshape-")).collect();
    before.equals(&host.tree().without(&kept));
}

#[test]
fn age_zstd_and_tar_alone_give_the_same_tree_as_restore() {
    let host = odd_host();
    let snapshot = host.backup();
    let (folder, restored) = (scratch(), host.restored(&snapshot));
    let (place, identity, out) = (host.stored(""), host.etc("identity.txt"), folder.path().join("by-hand"));
    fs::create_dir(&out).unwrap();
    shell(&format!(
        "cd '{}'; for object in snapshots/{snapshot}/*.tar.zst.age packs/*; do age -d -i '{}' $object | zstd -dq | tar -xp \
         --xattrs --xattrs-include='*' -C '{}'; done",
        place.display(),
        identity.display(),
        out.display(),
    ));
    restored.tree().equals(&Tree::of(&out).without(&crate::harness::DATABASE));
    assert_eq!(crate::harness::rows(&out.join("data/app.db")), restored.rows());
}

#[test]
fn a_socket_is_left_out_and_counted_and_nothing_waits_for_a_pipe() {
    let host = odd_host();
    let _listener = UnixListener::bind(host.app("pipes/socket")).unwrap();
    let finished = host.run("backup", &[]).gets_done();
    assert_eq!(finished.number_of("files.skipped"), 1, "{finished}");
    let restored = host.restored(&finished.snapshot());
    host.tree().without(&["pipes/socket"]).equals(&restored.tree());
}
