//! The property of it all: whatever changes, each snapshot that is kept restores to exactly the tree of its moment.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::{DATABASE, Exit, Host, Random, Tree, rows};

/// How many rounds, unless `SHIPSHAPE_ROUNDS` says otherwise.
const ROUNDS: u64 = 30;

/// What the application was like at the moment of a snapshot.
struct Moment {
    tree: Tree,
    rows: String,
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn whatever_changes_each_snapshot_restores_to_the_tree_of_its_moment() {
    let (rounds, seed) = (number("SHIPSHAPE_ROUNDS", ROUNDS), number("SHIPSHAPE_SEED", 1));
    let mut random = Random::new(seed);
    let host = Host::with_a_small_site();
    host.configure("", "[backup.keep]\nlast = 3\nhourly = 4\ndaily = 3\nweekly = 1");
    let mut now = "2031-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let mut moments: BTreeMap<String, Moment> = BTreeMap::new();
    for round in 0..rounds {
        now += TimeDelta::minutes(i64::try_from(random.between(20, 12 * 60)).unwrap());
        for _ in 0..random.between(0, 12) {
            change(&host, &mut random);
        }
        let moment = now.format("%Y-%m-%d %H:%M:%S").to_string();
        let words: &[&str] = if round > 0 && random.between(0, 4) == 0 { &["prune"] } else { &["run"] };
        let finished = host.launch("backup").args(words).at(&moment).run().exits_with(Exit::Ok);
        if words[0] == "run" {
            moments.insert(finished.snapshot(), Moment { tree: host.tree(), rows: rows(&host.app(DATABASE[0])) });
        }
        let listed = host.listed();
        assert!(
            listed.iter().all(|id| moments.contains_key(id)),
            "seed {seed}, round {round}: nothing unknown is listed"
        );
        if let Some(id) = listed.get(usize::try_from(random.between(0, listed.len() as u64)).unwrap()) {
            compare(&host, id, &moments[id], seed, round);
        }
    }
    let listed = host.listed_and_whole();
    assert!(listed.len() >= 3, "some are kept");
    assert!(rounds < 20 || (listed.len() as u64) < rounds / 2, "and many are not: {}", listed.len());
    for id in &listed {
        compare(&host, id, &moments[id], seed, rounds);
    }
    let checked = host.run("backup", &["check", "--all"]);
    checked.exits_with(Exit::Ok);
}

#[track_caller]
fn compare(host: &Host, id: &str, moment: &Moment, seed: u64, round: u64) {
    let restored = host.restored(id);
    let differences = moment.tree.differences(&restored.tree());
    assert!(differences.is_empty(), "seed {seed}, round {round}, snapshot {id}:\n{differences}");
    assert_eq!(restored.rows(), moment.rows, "seed {seed}, round {round}, snapshot {id}: the database");
}

/// One random change of the application.
fn change(host: &Host, random: &mut Random) {
    match random.between(0, 12) {
        0..3 => create(host, random),
        3 => host.order(&format!("customer {}", random.next())),
        4 => host.write(".env", format!("APP_KEY={}\n", random.between(0, 3))),
        kind => alter(host, random, kind),
    }
}

fn create(host: &Host, random: &mut Random) {
    let name = format!(
        "{}/{}-{}",
        random.pick(&["uploads", "public", "uploads/a/b", "new"]),
        random.pick(&["x", "y", "z"]),
        random.between(0, 40)
    );
    let length = random.between(0, 60_000);
    if !host.app(&name).is_dir() {
        host.write(&name, random.bytes(length));
    }
}

/// Changes something that is there.
fn alter(host: &Host, random: &mut Random, kind: u64) {
    let Some(path) = any_file(host, random) else { return };
    let fresh = host.app(&format!("uploads/{}", random.next()));
    match kind {
        5 => OpenOptions::new().append(true).open(path).unwrap().write_all(&random.bytes(3000)).unwrap(),
        6 => fs::rename(path, fresh).unwrap(),
        7 => fs::remove_file(path).unwrap(),
        8 => fs::hard_link(path, fresh).unwrap(),
        9 => {
            let mode = u32::try_from(random.between(0o400, 0o777)).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        10 => drop(fs::copy(path, fresh).unwrap()),
        _ => symlink(path.file_name().unwrap(), fresh).unwrap(),
    }
}

fn any_file(host: &Host, random: &mut Random) -> Option<PathBuf> {
    let below = |folder: &str| walkdir::WalkDir::new(host.app(folder)).sort_by_file_name().into_iter();
    let files = below("uploads").chain(below("public")).map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let mut files: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).collect();
    let nth = random.between(0, files.len() as u64);
    (!files.is_empty()).then(|| files.swap_remove(usize::try_from(nth).unwrap()))
}
