//! Whatever is swapped, undone or interrupted: nothing that must stay moves, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use shipshape_core::archive::patterns::{Is, Patterns};
use tempfile::TempDir;

use super::*;
use crate::stage::{Domain, Existing};
use crate::testing::scratch;

/// Two sides, built and planned but not swapped.
struct Half {
    folder: TempDir,
    stage: Stage,
    scope: Scope,
}

impl Half {
    fn new(live: &[String], staged: &[String], excluded: &[&str]) -> Self {
        let folder = scratch();
        make(&folder.path().join("app"), live, "old");
        let complete = vec![Vec::new()];
        let domain = Domain { complete, ..Domain::new(Vec::new(), folder.path().join("app")) };
        let stage = Stage::open(vec![domain], "x", Existing::Replace).unwrap();
        make(&new_side(&stage.journal().domains[0]), staged, "new");
        let excluded: Vec<String> = excluded.iter().map(|text| (*text).to_owned()).collect();
        let scope = Scope { excluded: Patterns::new(&excluded).unwrap(), ..Scope::default() };
        Self { folder, stage, scope }
    }

    fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    fn live(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        read(&self.app(), "", &mut found);
        found
    }

    /// The journal as it is before the first swap, on disk too.
    fn journal(&self) -> Journal {
        let Plans { units, dressed, opened, .. } = plan(&self.stage, &self.scope).unwrap();
        let journal = Journal { units, dressed, ..self.stage.journal() };
        journal.write().unwrap();
        open_up(&self.stage, &opened).unwrap();
        journal
    }

    fn swap_first(journal: &Journal, number: usize) {
        let sides = Opened::all(journal).unwrap();
        for (number, unit) in journal.units.iter().enumerate().take(number) {
            sides[unit.domain].between().carry_out(unit, number).unwrap();
        }
    }

    /// As if the process was killed: nothing is cleaned up, the lock is gone.
    fn kill(mut self) -> (TempDir, PathBuf) {
        self.stage.hand_over();
        let app = self.app();
        (self.folder, app)
    }
}

/// Makes files with their own path and `mark` as content; a path with a slash at the end is an empty folder. What does not
/// fit is left out.
fn make(folder: &Path, paths: &[String], mark: &str) {
    fs::create_dir_all(folder).unwrap();
    for path in paths {
        let full = folder.join(path);
        if path.ends_with('/') {
            let _ = fs::create_dir_all(full);
        } else if fs::create_dir_all(full.parent().unwrap()).is_ok() && !full.is_dir() {
            fs::write(full, format!("{mark} {path}")).unwrap();
        }
    }
}

/// What lies below, without our own folders: files with their content, folders.
fn read(folder: &Path, above: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{above}{name}");
        if name.starts_with(".shipshape-") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{path}/"), found);
            found.insert(path, "folder".to_owned());
        } else {
            found.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn contents(of: &BTreeMap<String, String>) -> BTreeSet<String> {
    of.values().filter(|content| *content != "folder").cloned().collect()
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("([a-c]|keep)(/([a-c]|keep)){0,3}/?", 0..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_swap_brings_everything_loses_nothing_and_moves_nothing_that_stays(live in paths(), staged in paths()) {
        let mut half = Half::new(&live, &staged, &["keep"]);
        let before = half.live();
        let mut new = BTreeMap::new();
        read(&new_side(&half.stage.journal().domains[0]), "", &mut new);
        let Ok(swapped) = swap(&mut half.stage, &half.scope) else {
            // Something that stays was in the way: then nothing has moved.
            prop_assert_eq!(half.live(), before);
            return Ok(());
        };
        let after = half.live();
        for (path, content) in &new {
            prop_assert_eq!(after.get(path), Some(content), "{} is restored", path);
        }
        let stays = |path: &str| half.scope.excluded.covers(path.as_bytes(), Is::Folder);
        for (path, content) in before.iter().filter(|(path, _)| stays(path) && !new.contains_key(*path)) {
            prop_assert_eq!(after.get(path), Some(content), "{} stays", path);
        }
        for path in after.keys().filter(|path| !new.contains_key(*path)) {
            let holds = before.keys().any(|other| stays(other) && other.starts_with(&format!("{path}/")));
            prop_assert!(stays(path) || holds, "{} should have gone", path);
        }
        let mut all = contents(&after);
        for kept in &swapped.kept {
            let mut old = BTreeMap::new();
            read(&kept.folder, "", &mut old);
            all.extend(contents(&old));
        }
        prop_assert!(all.is_superset(&contents(&before)), "nothing is lost");
    }

    #[test]
    fn a_swap_that_is_undone_at_any_point_leaves_what_was_live(live in paths(), staged in paths(), at in 0usize..20) {
        let half = Half::new(&live, &staged, &["keep"]);
        let before = half.live();
        prop_assume!(plan(&half.stage, &half.scope).is_ok());
        let journal = half.journal();
        Half::swap_first(&journal, at);
        roll_back(&journal).unwrap();
        prop_assert_eq!(half.live(), before);
    }

    #[test]
    fn what_a_killed_restore_left_is_undone_by_the_next(live in paths(), staged in paths(), at in 0usize..20) {
        let half = Half::new(&live, &staged, &["keep"]);
        let before = half.live();
        prop_assume!(plan(&half.stage, &half.scope).is_ok());
        let journal = half.journal();
        Half::swap_first(&journal, at);
        let (_folder, app) = half.kill();
        let told = recover(&app, Existing::Replace).unwrap();
        let mut after = BTreeMap::new();
        read(&app, "", &mut after);
        prop_assert_eq!(after, before);
        prop_assert_eq!(told.notices.len(), usize::from(at > 0 && !journal.units.is_empty()));
        prop_assert!(kept::folders(&app, journal::STAGING).unwrap().is_empty());
    }

    #[test]
    fn what_was_killed_after_the_last_swap_is_finished_by_the_next(live in paths(), staged in paths()) {
        let half = Half::new(&live, &staged, &[]);
        prop_assume!(plan(&half.stage, &half.scope).is_ok());
        let mut journal = half.journal();
        Half::swap_first(&journal, journal.units.len());
        journal.done = true;
        journal.write().unwrap();
        let swapped = half.live();
        let (_folder, app) = half.kill();
        let told = recover(&app, Existing::Replace).unwrap();
        let mut after = BTreeMap::new();
        read(&app, "", &mut after);
        prop_assert_eq!(after, swapped);
        prop_assert_eq!(told.notices[0].code.as_str(), "restore.finished");
        prop_assert!(kept::folders(&app, journal::STAGING).unwrap().is_empty());
        let replaces = journal.units.iter().any(|unit| unit.act != Act::Bring);
        prop_assert_eq!(kept::all(&app).unwrap().len(), usize::from(replaces));
    }
}

fn texts(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn an_exchange_that_was_killed_halfway_is_undone_where_the_system_cannot_exchange() {
    for steps in 1..=3 {
        let half = Half::new(&texts(&["a"]), &texts(&["a"]), &[]);
        let before = half.live();
        let journal = half.journal();
        let place = &journal.domains[0];
        let (live, new, old) = (half.app().join("a"), new_side(place).join("a"), place.staging.join("old-0"));
        for (from, to) in [(&live, &old), (&new, &live), (&old, &new)].into_iter().take(steps) {
            fs::rename(from, to).unwrap();
        }
        assert_eq!(roll_back(&journal).unwrap(), 1);
        assert_eq!(half.live(), before, "{steps} steps");
    }
}

#[test]
fn folders_without_anything_to_keep_are_swapped_as_a_whole() {
    let half = Half::new(&texts(&["a/b/c", "a/d"]), &texts(&["a/b/c", "a/e/f"]), &["keep"]);
    let units: Vec<_> = half.journal().units.iter().map(|unit| (unit.path.shown(), unit.act)).collect();
    assert_eq!(units, [("a".to_owned(), Act::Exchange)]);
}

#[test]
fn a_folder_that_services_have_mounted_stays_the_folder_that_it_is() {
    use std::os::unix::fs::MetadataExt;
    let mut half =
        Half::new(&texts(&["a/up/old", "a/up/both", "gone/x"]), &texts(&["a/up/both", "a/up/deep/new"]), &[]);
    half.scope.pinned = ["a/up", "gone"].map(|name| half.app().join(name)).to_vec();
    let inodes = |app: &Path| ["a/up", "gone"].map(|name| app.join(name).metadata().unwrap().ino());
    let before = inodes(&half.app());
    swap(&mut half.stage, &half.scope).unwrap();
    assert_eq!(inodes(&half.app()), before);
    let live: Vec<String> = half.live().into_keys().collect();
    assert_eq!(live, ["a", "a/up", "a/up/both", "a/up/deep", "a/up/deep/new", "gone"], "and holds what was restored");
}

#[test]
fn the_data_folder_of_a_server_stays_though_the_snapshot_does_not_know_it() {
    let data = ["db/ibdata1", "db/mysql/", "db/ib_logfile0"];
    let mut half = Half::new(&texts(&[&data[..], &["old"]].concat()), &texts(&["new"]), &[]);
    swap(&mut half.stage, &half.scope).unwrap();
    let live: Vec<String> = half.live().into_keys().collect();
    assert_eq!(live, ["db", "db/ib_logfile0", "db/ibdata1", "db/mysql", "new"]);
}

#[test]
fn a_second_restore_at_the_same_time_is_refused() {
    let half = Half::new(&texts(&["a"]), &texts(&["a"]), &[]);
    let domain = Domain::new(Vec::new(), half.app());
    let refused = Stage::open(vec![domain], "y", Existing::Replace).unwrap_err();
    assert!(matches!(refused, TargetError::Held(_)), "{refused}");
    assert!(new_side(&half.stage.journal().domains[0]).join("a").exists(), "the first one goes on");
}

#[test]
fn a_stage_that_is_dropped_leaves_no_trace_not_even_the_folders_it_made() {
    let folder = scratch();
    let live = folder.path().join("some/where");
    let stage = Stage::open(vec![Domain::new(Vec::new(), live.clone())], "x", Existing::Refuse).unwrap();
    assert!(live.exists());
    drop(stage);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
