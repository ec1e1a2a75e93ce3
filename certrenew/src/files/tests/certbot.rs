use super::*;

/// Where the links of `live/a.test` lead.
fn targets(disk: &Disk) -> Vec<String> {
    KINDS.map(|kind| disk.link(&format!("live/a.test/{kind}.pem"))).to_vec()
}

fn expected(version: u32) -> Vec<String> {
    KINDS.map(|kind| format!("../../archive/a.test/{kind}{version}.pem")).to_vec()
}

#[test]
fn certbots_folder_becomes_a_link_and_its_links_stay_what_certbot_reads() {
    let disk = Disk::new(InstallKind::Versioned);
    let old = disk.has_certbots_files();
    assert_eq!((disk.serial(), disk.lineage.installed().unwrap().unwrap().version), (old.clone(), Some(1)));
    let (second, before, new) = disk.renew();
    assert_eq!((second, before, disk.serial()), (Version(2), Some(Version(1)), new));
    assert_eq!((disk.link("live/a.test").as_str(), targets(&disk)), (".a.test.2", expected(2)));
    assert_eq!(fs::read_to_string(disk.path("live/a.test/README")).unwrap(), "read me");
    assert_eq!(disk.mode("archive/a.test/privkey2.pem"), 0o640 & disk.mode("archive/a.test/privkey1.pem") | 0o600);
    disk.lineage.switch(Version(1)).unwrap();
    assert_eq!((disk.serial(), targets(&disk)), (old, expected(1)));
    assert_eq!(fs::read_to_string(disk.path("live/a.test/README")).unwrap(), "read me");
}

#[test]
fn what_certbot_turns_itself_is_seen_and_turned_again() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.has_certbots_files();
    disk.renew();
    // As `update_all_links_to` does it: through our link, one after the other.
    let turn = |kind: &str, version: u32| {
        let link = disk.path("live/a.test").join(format!("{kind}.pem"));
        fs::remove_file(&link).unwrap();
        symlink(format!("../../archive/a.test/{kind}{version}.pem"), link).unwrap();
    };
    turn("cert", 1);
    assert_eq!(disk.lineage.installed().unwrap().unwrap().version, None, "half-way it is no version");
    for kind in ["privkey", "chain", "fullchain"] {
        turn(kind, 1);
    }
    assert_eq!(disk.lineage.installed().unwrap().unwrap().version, Some(1));
    disk.lineage.switch(Version(2)).unwrap();
    assert_eq!((disk.link("live/a.test").as_str(), targets(&disk)), (".a.test.2~", expected(2)));
    let (third, before, _) = disk.renew();
    assert_eq!((third, before), (Version(3), Some(Version(2))));
    disk.lineage.tidy().unwrap();
    assert_eq!(disk.names("live"), [".a.test.3", "a.test"]);
}

#[test]
fn old_files_of_certbots_form_go_and_five_versions_stay() {
    let disk = Disk::new(InstallKind::Versioned);
    disk.has_certbots_files();
    (0..6).for_each(|_| drop(disk.renew()));
    fs::write(disk.path("archive/a.test/privkey.pem"), "mine").unwrap();
    disk.lineage.tidy().unwrap();
    let kept = disk.names("archive/a.test");
    assert_eq!(kept.len(), 5 * 4 + 1);
    assert!(kept.contains(&"cert3.pem".to_owned()) && !kept.contains(&"cert2.pem".to_owned()), "{kept:?}");
}

#[test]
fn certbots_links_give_way_to_files_where_they_are_wanted_in_place() {
    let disk = Disk::new(InstallKind::InPlace);
    let old = disk.has_certbots_files();
    let (second, before, new) = disk.renew();
    assert_eq!((second, before, disk.serial()), (Version(2), Some(Version(1)), new));
    assert!(fs::symlink_metadata(disk.path("live/a.test/privkey.pem")).unwrap().is_file());
    assert_eq!(fs::read_to_string(disk.path("live/a.test/README")).unwrap(), "read me");
    disk.lineage.switch(Version(1)).unwrap();
    assert_eq!(disk.serial(), old);
}
