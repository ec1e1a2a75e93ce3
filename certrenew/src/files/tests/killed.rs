//! Runs that end between any two changes of the disk: in a process of their own, which really dies there.

use std::process::Command;

use super::*;

/// How the process that is to die is told what to do.
const FOLDER: &str = "CERTRENEW_TEST_FOLDER";

/// More changes than any switch takes.
const MOST: usize = 90;

/// What lay there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Version,
    Plain,
    Certbot,
}

fn arrange(disk: &Disk, before: Before) -> Option<String> {
    match before {
        Before::Nothing => None,
        Before::Version => Some(disk.renew().2),
        Before::Plain => Some(disk.has_plain_files()),
        Before::Certbot => Some(disk.has_certbots_files()),
    }
}

/// What the process does that dies; in the run of all tests it does nothing.
#[test]
fn the_part_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let install = if std::env::var_os("CERTRENEW_TEST_IN_PLACE").is_some() {
        InstallKind::InPlace
    } else {
        InstallKind::Versioned
    };
    let lineage = Lineage::new(Path::new(&folder), "a.test", install, None, None);
    lineage.mend().unwrap();
    let (key, chain) = pair();
    let staged = lineage.stage(&key, &chain).unwrap();
    lineage.switch(staged.version).unwrap();
    lineage.tidy().unwrap();
}

/// Whether the process came to its end.
fn runs(disk: &Disk, stop: usize, variables: &[&str]) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "files::tests::killed::the_part_that_is_killed"]);
    child.env(FOLDER, disk.path("")).env("CERTRENEW_TEST_STOP", stop.to_string());
    child.envs(variables.iter().map(|name| (name, "1")));
    child.output().unwrap().status.success()
}

/// Kills at each change in turn; after `mend` there is always the old pair or the new one, and one more run ends well.
fn sweep(install: InstallKind, before: Before, variables: &[&str]) {
    for stop in 0..MOST {
        let disk = Disk::new(install);
        let old = arrange(&disk, before);
        let is_done = runs(&disk, stop, variables);
        if !is_done && stop % 3 == 0 {
            // Killed while it mends, and once more.
            runs(&disk, 0, variables);
            runs(&disk, 1, variables);
        }
        disk.lineage.mend().unwrap();
        let found = disk.lineage.installed().unwrap();
        let serial = found.as_ref().map(|found| found.chain.facts.serial.clone());
        assert!(found.is_none_or(|found| found.is_pair), "killed at change {stop}: no pair");
        assert!(old.is_none() || serial.is_some(), "killed at change {stop}: nothing is left");
        assert!(
            is_clean(&disk),
            "killed at change {stop}: {:?} {:?}",
            disk.names("live"),
            disk.names("archive/a.test")
        );
        if before != Before::Nothing && before != Before::Version {
            assert_eq!(
                fs::read_to_string(disk.path("live/a.test/README")).unwrap(),
                "read me",
                "killed at change {stop}"
            );
        }
        if is_done {
            assert_ne!(serial, old);
            assert!(stop > 10, "it did {stop} changes only");
            return;
        }
        let (_, _, new) = disk.renew();
        assert_eq!(disk.serial(), new, "killed at change {stop}: the next run");
    }
    panic!("it never came to its end");
}

/// Nothing but what is in use, and whole versions or parts of certbot's.
fn is_clean(disk: &Disk) -> bool {
    let is_left = |name: &String| {
        name.starts_with(".tmp-") || [".a.test.new", ".a.test.old", ".in-place"].contains(&name.as_str())
    };
    let of = |folder: &str| fs::read_dir(disk.path(folder)).is_ok_and(|_| disk.names(folder).iter().any(is_left));
    !of("live") && !of("archive/a.test")
}

#[test]
fn a_first_version_survives_it() {
    sweep(InstallKind::Versioned, Before::Nothing, &[]);
}

#[test]
fn a_next_version_survives_it() {
    sweep(InstallKind::Versioned, Before::Version, &[]);
}

#[test]
fn plain_files_survive_becoming_versions() {
    sweep(InstallKind::Versioned, Before::Plain, &[]);
}

#[test]
fn plain_files_survive_it_where_names_cannot_be_exchanged() {
    sweep(InstallKind::Versioned, Before::Plain, &["CERTRENEW_TEST_NO_EXCHANGE"]);
}

#[test]
fn certbots_links_survive_it() {
    sweep(InstallKind::Versioned, Before::Certbot, &[]);
}

#[test]
fn certbots_links_survive_it_where_names_cannot_be_exchanged() {
    sweep(InstallKind::Versioned, Before::Certbot, &["CERTRENEW_TEST_NO_EXCHANGE"]);
}

#[test]
fn files_in_place_survive_it() {
    sweep(InstallKind::InPlace, Before::Plain, &["CERTRENEW_TEST_IN_PLACE"]);
}

#[test]
fn a_link_survives_becoming_files_in_place() {
    sweep(InstallKind::InPlace, Before::Certbot, &["CERTRENEW_TEST_IN_PLACE"]);
}
