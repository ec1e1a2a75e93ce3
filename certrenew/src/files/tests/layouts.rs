use std::os::unix::fs::MetadataExt;

use super::*;

const FOUR: [&str; 4] = ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"];

#[test]
fn a_new_place_has_versions_and_one_link() {
    let disk = Disk::new(InstallKind::Versioned);
    assert!(disk.lineage.installed().unwrap().is_none());
    let (first, before, serial) = disk.renew();
    assert_eq!((first, before, disk.serial()), (Version(1), None, serial));
    assert_eq!(disk.link("live/a.test"), "../archive/a.test/0001");
    assert_eq!(disk.names("live/a.test"), FOUR);
    let modes =
        ["live", "archive", "archive/a.test", "live/a.test", "live/a.test/privkey.pem", "live/a.test/fullchain.pem"];
    assert_eq!(modes.map(|path| disk.mode(path)), [0o700, 0o700, 0o700, 0o755, 0o600, 0o644]);
    assert_eq!(disk.names("live"), ["a.test"]);
    assert_eq!(disk.names("archive/a.test"), ["0001"]);
}

#[test]
fn a_version_is_not_in_use_before_it_is_switched_to_and_the_way_back_is_open() {
    let disk = Disk::new(InstallKind::Versioned);
    let (first, _, old) = disk.renew();
    let (key, chain) = pair();
    let second = disk.lineage.stage(&key, &chain).unwrap().version;
    assert_eq!((second, disk.serial()), (Version(2), old.clone()));
    assert_eq!(disk.lineage.newest().unwrap(), Some(second));
    assert_eq!(disk.lineage.switch(second).unwrap(), Some(first));
    assert_eq!(disk.serial(), chain.facts.serial);
    assert_eq!(disk.lineage.switch(first).unwrap(), Some(second));
    assert_eq!(disk.serial(), old);
    assert_eq!(disk.lineage.newest().unwrap(), Some(second), "it waits for its turn");
}

#[test]
fn the_mode_of_the_old_key_is_kept_but_for_others() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.renew();
    fs::set_permissions(disk.path("live/a.test/privkey.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(disk.lineage.installed().unwrap().unwrap().is_key_exposed);
    disk.renew();
    assert_eq!(disk.mode("live/a.test/privkey.pem"), 0o640);
    assert!(!disk.lineage.installed().unwrap().unwrap().is_key_exposed);
}

#[test]
fn a_group_that_is_stated_may_read_the_key_and_get_to_it() {
    let group = fs::metadata("/proc/self").unwrap().gid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let lineage = Lineage::new(&folder.path().join("le"), "a.test", InstallKind::Versioned, None, Some(&group));
    let disk = Disk { folder, lineage };
    disk.renew();
    let modes = ["live", "archive", "archive/a.test", "live/a.test", "live/a.test/privkey.pem"];
    assert_eq!(modes.map(|path| disk.mode(path)), [0o711, 0o711, 0o711, 0o755, 0o640]);
}

#[test]
fn the_owner_of_the_old_files_is_kept_and_one_that_is_stated_is_set() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.renew();
    let given = std::os::unix::fs::chown(disk.path("live/a.test/privkey.pem"), Some(1234), Some(1235));
    if given.is_err() {
        // An ordinary user cannot give files away: then a stated owner is refused before anything is ordered.
        let stated = Lineage::new(&disk.path(""), "a.test", InstallKind::Versioned, Some("0"), None);
        assert_eq!(stated.try_writing().unwrap_err().code(), "files.owner");
        return;
    }
    disk.renew();
    let owner = |kind: &str| fs::metadata(disk.path("live/a.test").join(kind)).map(|it| (it.uid(), it.gid())).unwrap();
    assert_eq!((owner("privkey.pem"), owner("fullchain.pem")), ((1234, 1235), (1234, 1235)));
    let stated = Lineage::new(&disk.path(""), "a.test", InstallKind::Versioned, Some("4321"), None);
    let (key, chain) = pair();
    stated.switch(stated.stage(&key, &chain).unwrap().version).unwrap();
    assert_eq!(owner("privkey.pem"), (4321, 1235));
}

#[test]
fn an_owner_that_does_not_exist_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let lineage = Lineage::new(&folder.path().join("le"), "a.test", InstallKind::Versioned, Some("nobody-knows"), None);
    let (key, chain) = pair();
    assert_eq!(lineage.try_writing().unwrap_err().code(), "files.owner");
    assert_eq!(lineage.stage(&key, &chain).unwrap_err().code(), "files.owner");
    assert!(!folder.path().join("le").exists());
}

#[test]
fn plain_files_become_the_first_version_and_a_link_takes_their_place() {
    let disk = Disk::new(InstallKind::Versioned);
    let old = disk.has_plain_files();
    fs::write(disk.path("live/a.test/dhparam.pem"), "dh").unwrap();
    symlink("../shared.conf", disk.path("live/a.test/options")).unwrap();
    fs::write(disk.path("live/shared.conf"), "shared").unwrap();
    assert_eq!(disk.lineage.installed().unwrap().unwrap().version, None);
    let (second, before, new) = disk.renew();
    assert_eq!((second, before, disk.serial()), (Version(2), Some(Version(1)), new));
    assert_eq!(disk.link("live/a.test"), "../archive/a.test/0002");
    assert_eq!(
        fs::read_to_string(disk.path("live/a.test/dhparam.pem")).unwrap(),
        "dh",
        "what lay beside is taken along"
    );
    assert_eq!(fs::read_to_string(disk.path("live/a.test/options")).unwrap(), "shared");
    disk.lineage.switch(Version(1)).unwrap();
    assert_eq!(disk.serial(), old);
    assert_eq!(fs::read_to_string(disk.path("live/a.test/dhparam.pem")).unwrap(), "dh");
    disk.lineage.tidy().unwrap();
    assert_eq!(disk.names("live"), ["a.test", "shared.conf"]);
}

#[test]
fn files_in_place_keep_their_inodes_and_modes() {
    let disk = Disk::new(InstallKind::InPlace);
    let old = disk.has_plain_files();
    fs::set_permissions(disk.path("live/a.test/privkey.pem"), fs::Permissions::from_mode(0o604)).unwrap();
    let inodes = || FOUR.map(|name| fs::metadata(disk.path("live/a.test").join(name)).unwrap().ino());
    let before = inodes();
    // A longer one first: what is written over it must not keep its end.
    fs::write(disk.path("live/a.test/cert.pem"), "x".repeat(20_000)).unwrap();
    let (second, first, new) = disk.renew();
    assert_eq!((second, first, disk.serial()), (Version(2), Some(Version(1)), new.clone()));
    assert_eq!(inodes(), before);
    assert_eq!(disk.mode("live/a.test/privkey.pem"), 0o604);
    assert!(fs::read_to_string(disk.path("live/a.test/cert.pem")).unwrap().ends_with("-----END CERTIFICATE-----\n"));
    assert_eq!(disk.lineage.switch(Version(1)).unwrap(), Some(Version(2)));
    assert_eq!((disk.serial(), inodes()), (old, before));
    assert_eq!(disk.lineage.installed().unwrap().unwrap().version, Some(1));
    assert_eq!(disk.names("archive/a.test"), ["0001", "0002"], "no journal is left");
}

#[test]
fn a_new_place_in_place_is_a_folder_of_files() {
    let disk = Disk::new(InstallKind::InPlace);
    let (first, before, serial) = disk.renew();
    assert_eq!((first, before, disk.serial()), (Version(1), None, serial));
    assert!(fs::symlink_metadata(disk.path("live/a.test")).unwrap().is_dir());
    assert_eq!(disk.names("live/a.test"), FOUR);
    assert_eq!((disk.mode("live/a.test/privkey.pem"), disk.names("live")), (0o600, vec!["a.test".to_owned()]));
}

#[test]
fn a_link_gives_way_to_files_in_place_and_files_to_a_link() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.renew();
    let in_place = Disk { lineage: Lineage { install: InstallKind::InPlace, ..disk.lineage.clone() }, ..disk };
    let (second, before, new) = in_place.renew();
    assert_eq!((second, before, in_place.serial()), (Version(2), Some(Version(1)), new));
    assert!(fs::symlink_metadata(in_place.path("live/a.test")).unwrap().is_dir());
    let disk = Disk { lineage: Lineage { install: InstallKind::Versioned, ..in_place.lineage.clone() }, ..in_place };
    assert_eq!(disk.lineage.switch(Version(2)).unwrap(), Some(Version(2)), "the same version, as a link");
    assert_eq!(disk.link("live/a.test"), "../archive/a.test/0002");
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    type Arrange = fn(&Disk);
    let cases: [(Arrange, &str); 6] = [
        (|disk| fs::write(disk.path("live/a.test"), "x").unwrap(), "is no folder"),
        (|disk| symlink("/etc/ssl", disk.path("live/a.test")).unwrap(), "is a link to /etc/ssl"),
        (|disk| symlink("../archive/b.test/0001", disk.path("live/a.test")).unwrap(), "which was not made here"),
        (|disk| fs::create_dir_all(disk.path("live/a.test/privkey.pem")).unwrap(), "is no file"),
        (
            |disk| {
                fs::create_dir(disk.path("live/a.test")).unwrap();
                symlink("/etc/ssl/key", disk.path("live/a.test/privkey.pem")).unwrap();
            },
            "which was not made by certbot",
        ),
        (|disk| fs::create_dir_all(disk.path("live/a.test/conf.d")).unwrap(), "cannot be taken along"),
    ];
    for (arrange, why) in cases {
        let disk = Disk::new(InstallKind::Versioned);
        fs::create_dir_all(disk.path("live")).unwrap();
        arrange(&disk);
        let refused = disk.lineage.try_writing().unwrap_err();
        assert_eq!(refused.code(), "files.foreign");
        assert!(refused.to_string().contains(why), "{refused}");
        assert_eq!(disk.names(""), ["live"], "{why}: nothing was written");
    }
}

#[test]
fn a_key_that_is_missing_or_of_another_certificate_is_no_error() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.renew();
    fs::remove_file(disk.path("live/a.test/privkey.pem")).unwrap();
    let found = disk.lineage.installed().unwrap().unwrap();
    assert!(found.key.is_none() && !found.is_pair);
    fs::write(disk.path("live/a.test/privkey.pem"), "junk").unwrap();
    assert!(disk.lineage.installed().unwrap().unwrap().key.is_none());
    fs::write(disk.path("live/a.test/privkey.pem"), pair().0.pem().as_bytes()).unwrap();
    assert!(!disk.lineage.installed().unwrap().unwrap().is_pair, "the key of another certificate");
}

/// Puts this where the chain should be, and tells what is said of it: by `installed`, and as a warning.
fn told(disk: &Disk, put: impl Fn(&Path)) -> (Option<&'static str>, bool) {
    let chain = disk.path("live/a.test/fullchain.pem");
    let _ = fs::remove_file(&chain);
    put(&chain);
    let refused = disk.lineage.installed().map(|found| assert!(found.is_none()));
    (
        refused.err().map(|error| error.code()),
        disk.lineage.damaged().is_some_and(|notice| notice.code == "files.damaged"),
    )
}

fn junk(chain: &Path) {
    fs::write(chain, "junk").unwrap();
}

fn too_long(chain: &Path) {
    fs::write(chain, vec![b'x'; crate::certificate::LARGEST + 1]).unwrap();
}

fn a_pipe(chain: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, chain, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
}

#[test]
fn plain_files_that_make_no_sense_are_an_error() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.has_plain_files();
    assert_eq!(told(&disk, junk), (Some("certificate.unreadable"), false));
    assert!(disk.lineage.installed().unwrap_err().hint().ends_with("live/a.test/fullchain.pem"));
    assert_eq!(told(&disk, too_long), (Some("files.foreign"), false));
    assert_eq!(told(&disk, |_| {}), (None, false));
    assert_eq!(told(&disk, a_pipe), (Some("files.foreign"), false), "a pipe holds nobody up");
}

#[test]
fn a_damaged_version_is_worth_a_warning_and_another_one_takes_its_place() {
    for is_certbots in [false, true] {
        let disk = Disk::new(InstallKind::Versioned);
        if is_certbots {
            disk.has_certbots_files();
        }
        disk.renew();
        assert!(disk.lineage.damaged().is_none());
        let empty = |chain: &Path| fs::write(chain, "").unwrap();
        let ways: [&dyn Fn(&Path); 4] = [&junk, &too_long, &a_pipe, &empty];
        for way in ways {
            let behind = |chain: &Path| {
                // As a disk does it: the file of the version itself, behind certbot's link.
                if is_certbots {
                    let file = disk.path("archive/a.test/fullchain2.pem");
                    fs::remove_file(&file).unwrap();
                    symlink("../../archive/a.test/fullchain2.pem", chain).unwrap();
                    way(&file);
                } else {
                    way(chain);
                }
            };
            assert_eq!(told(&disk, behind), (None, true), "{is_certbots}");
        }
        disk.lineage.mend().unwrap();
        let (_, _, serial) = disk.renew();
        assert_eq!((disk.serial(), disk.lineage.damaged().is_none()), (serial, true));
    }
}

#[test]
fn a_trial_leaves_nothing_behind_and_finds_what_would_fail() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.lineage.try_writing().unwrap();
    assert_eq!(fs::read_dir(disk.folder.path()).unwrap().count(), 0);
    disk.renew();
    disk.lineage.try_writing().unwrap();
    assert_eq!(
        (disk.names("live"), disk.names("archive/a.test")),
        (vec!["a.test".to_owned()], vec!["0001".to_owned()])
    );
    fs::set_permissions(disk.path("live"), fs::Permissions::from_mode(0o1777)).unwrap();
    let refused = disk.lineage.try_writing().unwrap_err();
    assert_eq!((refused.code(), refused.hint()), ("files.mode", format!("chmod go-w {}", disk.path("live").display())));
}

/// A device that is always full stands for a disk that is.
#[test]
fn a_full_disk_is_told_as_such() {
    use std::io::Write;
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
    let told = FilesError::writing(Path::new("/etc/letsencrypt/live"), full);
    assert_eq!(told.code(), "files.disk_full");
    assert_eq!(told.hint(), "make room: df -h /etc/letsencrypt; df -i /etc/letsencrypt");
}

#[test]
fn a_version_that_is_not_whole_is_never_put_into_use() {
    let disk = Disk::new(InstallKind::Versioned);
    let (first, _, serial) = disk.renew();
    fs::create_dir(disk.path("archive/a.test/0002")).unwrap();
    fs::write(disk.path("archive/a.test/0002/privkey.pem"), "x").unwrap();
    for missing in [2, 3] {
        let refused = disk.lineage.switch(Version(missing)).unwrap_err();
        assert_eq!(
            (refused.code(), refused.hint().as_str()),
            ("files.version", "order a new one: certrenew --force --name a.test")
        );
    }
    assert_eq!((disk.lineage.newest().unwrap(), disk.serial()), (Some(first), serial));
    assert_eq!(disk.renew().0, Version(3), "a number is never used twice");
}

#[test]
fn five_versions_are_kept_and_the_one_in_use_always() {
    let disk = Disk::new(InstallKind::Versioned);
    (0..7).for_each(|_| drop(disk.renew()));
    disk.lineage.switch(Version(1)).unwrap();
    fs::write(disk.path("archive/a.test/notes"), "mine").unwrap();
    disk.lineage.tidy().unwrap();
    assert_eq!(disk.names("archive/a.test"), ["0001", "0003", "0004", "0005", "0006", "0007", "notes"]);
}
