//! What is known from earlier runs, and how it is kept: prepared before the run tells anything, put in place after.
//!
//! ```text
//! STATE/logwatch-APP.json        cursors, templates, memory of the rules; made anew when it makes no sense
//! STATE/logwatch-APP.json.bad    one that made no sense
//! STATE/logwatch-key.json        the key of fingerprints, for ever
//! ```
//! Without a state a run judges and tells all the same, and ends as one that could not do its work: the next run would
//! count the same lines again. So it is with the state of a newer logwatch, which is neither moved nor written over: in our
//! form it would lose what only the newer one knows, and somebody is about to run that one again.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use shipshape_core::atomic;
use shipshape_core::cli::CommonArgs;
use shipshape_core::error::Failure;
use shipshape_core::lock::{Lock, LockError};
use shipshape_core::machine;
use shipshape_core::name;
use shipshape_core::report::Notice;
use shipshape_core::state::{Loaded, StateDir, StateError};
use tempfile::NamedTempFile;

use crate::rules::Memory;
use crate::sources::Cursor;
use crate::templates::Templates;

/// The version of the stored form.
const VERSION: u32 = 1;

/// The file of the key of fingerprints: not part of the state, so that one value has one fingerprint whatever becomes of it.
const KEY: &str = "logwatch-key.json";

/// How long it is kept where a source was left that no run has looked at since.
const KEPT_DAYS: i64 = 90;

/// How many cursors are kept.
const MOST_CURSORS: usize = 2048;

/// What is known from earlier runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The version of this form.
    pub(crate) version: u32,
    /// When the first run was.
    pub(crate) since: Option<DateTime<Utc>>,
    /// Where each source was left.
    pub(crate) cursors: BTreeMap<String, Cursor>,
    /// When each source was looked at last.
    looked: BTreeMap<String, DateTime<Utc>>,
    /// The templates that are known.
    pub(crate) templates: Templates,
    /// What the rules remember.
    pub(crate) memory: Memory,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            since: None,
            cursors: BTreeMap::new(),
            looked: BTreeMap::new(),
            templates: Templates::default(),
            memory: Memory::default(),
        }
    }
}

impl State {
    /// Since when there is a memory; from now on, where there was none. A clock that went back does not put it into the
    /// future.
    pub(crate) fn begun(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        *self.since.insert(self.since.map_or(now, |since| since.min(now)))
    }

    /// Remembers where a source was left.
    pub(crate) fn leave(&mut self, key: &str, cursor: Cursor, now: DateTime<Utc>) {
        self.cursors.insert(key.to_owned(), cursor);
        self.looked.insert(key.to_owned(), now);
    }

    /// Forgets sources that no run has looked at for long, and the oldest ones where there are too many.
    pub(crate) fn tidy(&mut self, now: DateTime<Utc>) {
        for key in self.cursors.keys() {
            let last = self.looked.entry(key.clone()).or_insert(now);
            *last = (*last).min(now);
        }
        self.looked.retain(|key, last| self.cursors.contains_key(key) && now - *last < Duration::days(KEPT_DAYS));
        while self.looked.len() > MOST_CURSORS {
            let oldest = self.looked.iter().min_by_key(|(_, last)| **last).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.looked.remove(&key));
        }
        self.cursors.retain(|key, _| self.looked.contains_key(key));
        self.memory.forget_sources(|key| self.looked.contains_key(key));
    }
}

/// What a run wants of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To keep what it learns: no other run of this application may do so at the same time.
    Keep,
    /// Only to look: nothing is made, not even the folder.
    Look,
}

/// What a run begins with.
pub(crate) struct Opened {
    /// Where the state is kept; none where it is only looked at, or cannot be kept.
    pub(crate) kept: Option<Kept>,
    /// What is known.
    pub(crate) state: State,
    /// The key of fingerprints.
    pub(crate) key: [u8; 32],
    /// What somebody is to be told of it.
    pub(crate) notices: Vec<Notice>,
    /// Whether it could be read. Where it could not, each run is a first one, and must be judged as if it was not.
    pub(crate) is_readable: bool,
}

/// The state of one application in the state folder.
pub(crate) struct Kept {
    dir: StateDir,
    file: String,
    /// Held until this is dropped; none where its file cannot be made, and then the state cannot be kept either.
    lock: Option<Lock>,
}

/// A state that is written, and not yet in its place.
pub(crate) struct Prepared {
    file: NamedTempFile,
    path: PathBuf,
    /// Nobody else reads or writes the state before it is in its place.
    _lock: Option<Lock>,
}

/// Only the version of a stored form, whatever else is in it.
#[derive(Deserialize)]
struct Form {
    version: u64,
}

/// What the file of the state held.
enum Known {
    /// What this version can go on with, and what is to be told of it.
    Ours(Box<State>, Option<Notice>),
    /// The state of a newer logwatch, with the version of its form.
    Newer(u64),
}

impl Opened {
    /// Opens the state of this application. What is wrong with it is told, and stops nothing.
    ///
    /// # Errors
    /// Another run has it.
    pub(crate) fn of(common: &CommonArgs, app: &str, access: Access) -> Result<Self, LockError> {
        let name = format!("logwatch-{}", name::mend(app, "app"));
        let dir = match place(common, access) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(Self::new(None, State::default(), Vec::new())),
            Err(error) => return Ok(Self::unusable(error)),
        };
        let lock = match (access == Access::Keep).then(|| dir.lock(&name)).transpose() {
            Ok(lock) => lock,
            Err(held @ LockError::Held { .. }) => return Err(held),
            // What cannot be locked cannot be written either: that is told when it is.
            Err(LockError::Open { .. }) => None,
        };
        let kept = Kept { dir, file: format!("{name}.json"), lock };
        Ok(match kept.load() {
            Ok(Known::Ours(state, lost)) => Self::new(Some((kept, access)), *state, lost.into_iter().collect()),
            Ok(Known::Newer(version)) => Self::newer(&kept, version),
            Err(error) => Self::unusable(error),
        })
    }

    fn new(kept: Option<(Kept, Access)>, state: State, mut notices: Vec<Notice>) -> Self {
        let (key, lost) = kept.as_ref().map_or_else(|| (random_key(), None), |(kept, access)| kept.key(*access));
        notices.extend(lost);
        let kept = kept.and_then(|(kept, access)| (access == Access::Keep).then_some(kept));
        Self { kept, state, key, notices, is_readable: true }
    }

    /// A newer logwatch has been here: what it knows is left as it is. The key has had one form ever since, so that its
    /// fingerprints are those of this run too.
    fn newer(kept: &Kept, version: u64) -> Self {
        let path = kept.dir.path().join(&kept.file);
        let message = format!(
            "the state of earlier runs is of a newer logwatch and left alone: {} has version {version}, this one knows {VERSION}",
            path.display()
        );
        let hint = "run the newer logwatch again, or give this one a state of its own: --state DIR";
        let notices = vec![Notice::new("state.newer", message, hint)];
        let (key, _) = kept.key(Access::Look);
        Self { kept: None, state: State::default(), key, notices, is_readable: false }
    }

    /// Nothing is known, and nothing can be kept: what cannot be read is not written over.
    fn unusable(error: StateError) -> Self {
        let failure = Failure::from(error);
        let message = format!("nothing is known of earlier runs: {}", failure.message());
        let notices = vec![Notice::new("state.unusable", message, failure.hint())];
        Self { kept: None, state: State::default(), key: random_key(), notices, is_readable: false }
    }
}

/// The state folder; none where there is none yet and it is only looked for.
fn place(common: &CommonArgs, access: Access) -> Result<Option<StateDir>, StateError> {
    if access == Access::Look && !StateDir::place(common)?.is_dir() {
        return Ok(None);
    }
    StateDir::open(common).map(Some)
}

impl Kept {
    /// Reads it. One that makes no sense is put aside, and told.
    fn load(&self) -> Result<Known, StateError> {
        let none = || Known::Ours(Box::default(), None);
        let lost = |kept: PathBuf| {
            let message = format!("the state of earlier runs made no sense and was put aside: {}", kept.display());
            let hint = "this run begins anew, as a first one does";
            Known::Ours(Box::default(), Some(Notice::new("state.lost", message, hint)))
        };
        // Only the version at first: nothing else of a newer form can be relied upon, and not that it makes sense to us.
        match self.dir.read_json::<Form>(&self.file)? {
            Loaded::Absent => return Ok(none()),
            Loaded::Corrupt { kept } => return Ok(lost(kept)),
            Loaded::Found(form) if form.version > u64::from(VERSION) => return Ok(Known::Newer(form.version)),
            Loaded::Found(_) => {}
        }
        Ok(match self.dir.read_json::<State>(&self.file)? {
            Loaded::Found(state) => Known::Ours(Box::new(State { version: VERSION, ..state }), None),
            Loaded::Absent => none(),
            Loaded::Corrupt { kept } => lost(kept),
        })
    }

    /// The key of fingerprints: made once. One that cannot be kept serves this run.
    fn key(&self, access: Access) -> ([u8; 32], Option<Notice>) {
        let lost = match self.dir.read_json::<[u8; 32]>(KEY) {
            Ok(Loaded::Found(key)) => return (key, None),
            Ok(Loaded::Corrupt { kept }) => {
                let message = format!("the key of fingerprints made no sense and was put aside: {}", kept.display());
                Some(Notice::new("state.lost", message, "from this run on, the same secrets have other fingerprints"))
            }
            Ok(Loaded::Absent) | Err(_) => None,
        };
        let key = random_key();
        if access == Access::Keep {
            // Where it cannot be written, the state cannot be either, and that is told.
            let _ = self.dir.write_json(KEY, &key);
        }
        (key, lost)
    }

    /// Writes a state to a place of its own: whether there is room for it is known before anything is told.
    ///
    /// # Errors
    /// What somebody is to be told: the next run will count again what this one has counted.
    pub(crate) fn prepare(self, state: &State) -> Result<Prepared, Notice> {
        let path = self.dir.path().join(&self.file);
        match self.write(state) {
            Ok(file) => Ok(Prepared { file, path, _lock: self.lock }),
            Err(error) => Err(unwritable(&path.display().to_string(), &error)),
        }
    }

    fn write(&self, state: &State) -> io::Result<NamedTempFile> {
        let mut file = atomic::temporary(self.dir.path())?;
        let mut buffered = BufWriter::new(file.as_file_mut());
        serde_json::to_writer(&mut buffered, state)?;
        buffered.flush()?;
        drop(buffered);
        file.as_file().sync_all()?;
        Ok(file)
    }
}

fn unwritable(path: &str, error: &io::Error) -> Notice {
    let message = format!("cannot keep what is known in {path}: {error}; the next run counts the same lines again");
    Notice::new("state.unwritable", message, "check who may write there, and whether there is room: df -h")
}

impl Prepared {
    /// Puts it in its place: from here on, what was read counts as read.
    pub(crate) fn commit(self) -> io::Result<()> {
        atomic::commit(self.file, &self.path)
    }
}

/// A key that nobody can guess.
pub(crate) fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&machine::random().to_le_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::file::FileCursor;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use tempfile::TempDir;

    fn now() -> DateTime<Utc> {
        "2026-11-20T02:00:00Z".parse().unwrap()
    }

    fn common(folder: &Path) -> CommonArgs {
        CommonArgs { state: Some(folder.to_owned()), ..CommonArgs::default() }
    }

    fn open(folder: &TempDir) -> Opened {
        Opened::of(&common(folder.path()), "site", Access::Keep).unwrap()
    }

    fn codes(opened: &Opened) -> Vec<&str> {
        opened.notices.iter().map(|notice| notice.code.as_str()).collect()
    }

    /// A folder whose state has one cursor.
    fn used() -> (TempDir, [u8; 32]) {
        let folder = tempfile::tempdir().unwrap();
        let Opened { kept, mut state, key, .. } = open(&folder);
        state.leave("file:/x", Cursor::File(FileCursor::default()), now());
        state.begun(now());
        kept.unwrap().prepare(&state).unwrap().commit().unwrap();
        (folder, key)
    }

    #[test]
    fn what_was_kept_is_known_and_what_was_only_prepared_is_not() {
        let (folder, key) = used();
        let Opened { kept, mut state, key: again, notices, .. } = open(&folder);
        assert_eq!((state.cursors.len(), state.since, again, notices.len()), (1, Some(now()), key, 0));
        state.cursors.clear();
        drop(kept.unwrap().prepare(&state).unwrap());
        assert_eq!(open(&folder).state.cursors.len(), 1);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(atomic::TEMPORARY_PREFIX)), "{left:?}");
    }

    #[test]
    fn a_state_that_makes_no_sense_is_put_aside_and_the_key_survives_it() {
        for bytes in [&b"\0\0{"[..], b"", b"[]", br#"{"version":1,"cursors":7}"#, b"{\"version\":1"] {
            let (folder, key) = used();
            fs::write(folder.path().join("logwatch-site.json"), bytes).unwrap();
            let opened = open(&folder);
            assert_eq!((codes(&opened), opened.key, opened.is_readable), (vec!["state.lost"], key, true));
            assert_eq!(opened.state, State::default());
            assert_eq!(fs::read(folder.path().join("logwatch-site.json.bad")).unwrap(), bytes);
        }
    }

    #[test]
    fn a_state_of_a_newer_logwatch_is_not_destroyed() {
        for newer in [&br#"{"version":2,"cursors":{"file:/x":{"novel":1}}}"#[..], br#"{"version":9999999999}"#] {
            let (folder, key) = used();
            let file = folder.path().join("logwatch-site.json");
            fs::write(&file, newer).unwrap();
            for access in [Access::Look, Access::Keep] {
                let opened = Opened::of(&common(folder.path()), "site", access).unwrap();
                assert_eq!((codes(&opened), opened.key), (vec!["state.newer"], key));
                assert_eq!(opened.state, State::default());
                assert!(opened.kept.is_none() && !opened.is_readable, "nothing can be written over it");
                assert!(opened.notices[0].hint.contains("--state"), "{:?}", opened.notices);
                assert_eq!(fs::read(&file).unwrap(), newer);
            }
            assert!(!folder.path().join("logwatch-site.json.bad").exists());
        }
    }

    #[test]
    fn a_state_that_lacks_a_part_is_read_as_far_as_it_goes() {
        let (folder, _) = used();
        fs::write(
            folder.path().join("logwatch-site.json"),
            br#"{"version":0,"since":"2026-11-01T00:00:00Z","later":[]}"#,
        )
        .unwrap();
        let opened = open(&folder);
        assert_eq!((codes(&opened).len(), opened.state.version, opened.state.cursors.len()), (0, VERSION, 0));
        assert!(opened.state.since.is_some());
    }

    #[test]
    fn a_folder_that_is_none_is_told_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a-file");
        fs::write(&file, b"").unwrap();
        let opened = Opened::of(&common(&file), "site", Access::Keep).unwrap();
        assert_eq!((codes(&opened), opened.kept.is_none(), opened.is_readable), (vec!["state.unusable"], true, false));
        fs::create_dir(folder.path().join("logwatch-site.json")).unwrap();
        let opened = open(&folder);
        assert_eq!((codes(&opened), opened.kept.is_none()), (vec!["state.unusable"], true));
        assert!(folder.path().join("logwatch-site.json").is_dir(), "what cannot be read is left alone");
    }

    #[test]
    fn a_state_that_cannot_be_written_is_told_before_it_would_have_to_be() {
        let (folder, _) = used();
        let Opened { kept, state, .. } = open(&folder);
        fs::remove_dir_all(folder.path()).unwrap();
        let told = kept.unwrap().prepare(&state).err().unwrap();
        assert_eq!(told.code, "state.unwritable");
        assert!(told.message.contains("counts the same lines again"), "{}", told.message);
    }

    #[test]
    fn two_runs_do_not_count_the_same_lines() {
        let (folder, _) = used();
        let first = open(&folder);
        let second = Opened::of(&common(folder.path()), "site", Access::Keep);
        assert!(matches!(second, Err(LockError::Held { .. })));
        assert!(Opened::of(&common(folder.path()), "site", Access::Look).is_ok(), "whoever only looks may do so");
        let prepared = first.kept.unwrap().prepare(&first.state).unwrap();
        assert!(Opened::of(&common(folder.path()), "site", Access::Keep).is_err(), "until it is in its place");
        prepared.commit().unwrap();
        assert!(Opened::of(&common(folder.path()), "site", Access::Keep).is_ok());
    }

    #[test]
    fn whoever_only_looks_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("state");
        let opened = Opened::of(&common(&missing), "site", Access::Look).unwrap();
        assert!(opened.kept.is_none() && opened.notices.is_empty() && !missing.exists());
        fs::create_dir(&missing).unwrap();
        assert_ne!(Opened::of(&common(&missing), "site", Access::Look).unwrap().key, [0; 32]);
        assert_eq!(fs::read_dir(&missing).unwrap().count(), 0);
    }

    #[test]
    fn the_state_and_the_key_are_private() {
        let (folder, _) = used();
        for file in ["logwatch-site.json", KEY] {
            let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "of {file}");
        }
    }

    #[test]
    fn sources_that_no_run_looks_at_any_more_are_forgotten() {
        let mut state = State::default();
        let cursor = || Cursor::File(FileCursor::default());
        state.leave("old", cursor(), now() - Duration::days(KEPT_DAYS));
        state.leave("new", cursor(), now() - Duration::days(KEPT_DAYS - 1));
        state.cursors.insert("of an earlier form".to_owned(), cursor());
        state.tidy(now());
        assert_eq!(state.cursors.keys().collect::<Vec<_>>(), ["new", "of an earlier form"]);
        for number in 0..MOST_CURSORS + 10 {
            state.leave(&format!("many-{number}"), cursor(), now());
        }
        state.tidy(now());
        assert_eq!((state.cursors.len(), state.looked.len()), (MOST_CURSORS, MOST_CURSORS));
    }

    #[test]
    fn a_clock_that_went_back_leaves_no_beginning_in_the_future() {
        let mut state = State::default();
        state.begun(now() + Duration::days(400));
        assert_eq!(state.begun(now()), now());
        assert_eq!(state.begun(now() + Duration::days(2)), now());
    }
}
