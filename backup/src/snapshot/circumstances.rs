//! What a run has to know of its circumstances before it begins: another restore, another folder, a clock gone wrong.

use std::path::PathBuf;

use shipshape_core::archive::names;
use shipshape_core::report::Notice;

use super::session::Session;
use crate::plan::Plan;
use crate::prune;
use crate::target::TargetError;

impl Session<'_> {
    /// While a restore swaps, or after one was killed, what is live is half of one moment and half of another.
    pub(crate) fn notice_unfinished_restore(&self, plan: &Plan) {
        let Some(folder) = plan.unfinished_restore() else { return };
        self.flawed.set(true);
        let message = format!("a restore is under way or was interrupted: {}", folder.display());
        let hint = "the snapshot counts as partial; settle it: restore latest, or whatever was being restored, then backup again";
        self.run.warn(Notice::new("restore.unfinished", message, hint));
    }

    /// Two applications whose folders are called the same would share one history. An application that was moved may:
    /// then its old folder is gone.
    pub(crate) fn refuse_two_folders(&self, plan: &Plan) -> Result<(), TargetError> {
        use std::os::unix::ffi::OsStrExt;
        let header = self.previous.as_ref().and_then(|previous| previous.read_index().ok());
        let Some(before) = header.map(|index| index.header().app_dir.clone()) else { return Ok(()) };
        let other = PathBuf::from(std::ffi::OsStr::from_bytes(&before.0));
        // A name that its owner has given is meant; one that came from the folder may be a coincidence.
        let is_stated = self.target.meant.config.app.name.as_deref() == Some(self.target.place().app.as_str());
        if is_stated || other == plan.app_dir || !other.is_dir() {
            return Ok(());
        }
        let (place, app_dir) = (self.target.place().to_string(), plan.app_dir.display().to_string());
        Err(TargetError::TwoFolders { place, other: before.shown(), app_dir })
    }

    /// Says so when the clock went backwards: the new snapshot then sorts before an older one.
    pub(super) fn mind_the_clock(&self) {
        let listed = self.listed.keys().filter(|object| object.ends_with("/manifest.json"));
        let newest = listed.filter_map(|object| names::id_of(object)).max();
        if let Some(newest) = newest.filter(|newest| newest.time() > self.id.time()) {
            let message = format!("the clock is earlier than the newest snapshot, {newest}");
            let hint = format!(
                "nothing is pruned until that is right; {}",
                prune::way_out(self.target, &newest, self.run.started())
            );
            self.run.warn(Notice::new("clock.backwards", message, hint));
        }
    }
}
