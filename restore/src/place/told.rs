//! What a restore has to say when it is done.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted, spoken};

use super::{Target, shown};
use crate::beneath::split;
use crate::pick::Picked;
use crate::select::{Snapshot, may_lack};
use crate::stage::{Stage, below};
use crate::swap::{Kept, Swapped, kept};
use crate::target::{TargetError, path_of};
use crate::unpack::{Unpacked, dumps};

/// A restore that succeeded.
pub(crate) struct Done<'a> {
    /// What was picked.
    pub(crate) picked: &'a Picked,
    /// What was built.
    pub(crate) unpacked: &'a Unpacked,
    /// What was swapped.
    pub(crate) swapped: &'a Swapped,
    /// Where to.
    pub(crate) target: &'a Target,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Done<'_> {
    /// For a snapshot; `databases` says how much went to servers.
    pub(crate) fn outcome(&self, of: &Snapshot, stage: &Stage, databases: Option<String>) -> Outcome {
        let restored = self.picked.payloads.iter().filter_map(|payload| self.payload(payload, stage));
        let dump = |payload: &Payload| part(&payload.name, &self.target.folder().join(dumps::file_name(payload)), None);
        let restored = restored.chain(self.picked.dumps.iter().map(dump));
        let mut data = self.data(&restored.collect::<Vec<_>>());
        data["snapshot"] = snapshot(of);
        let amount = databases.into_iter().chain([self.amount()]).collect::<Vec<_>>().join(", ");
        let summary = format!("snapshot {} restored to {}: {amount}", of.manifest.id, shown(self.target.folder()));
        let mut text = of.note.as_ref().map(|note| format!("{note}\n")).unwrap_or_default();
        text.push_str(&self.text());
        Outcome { data, text, ..Outcome::ok(summary) }
    }

    /// What became of a payload, if anything of it was picked.
    fn payload(&self, payload: &Payload, stage: &Stage) -> Option<Value> {
        let paths = self.unpacked.paths_of(&payload.name);
        let folder = self.target.folder();
        let (target, kept) = match payload.kind {
            PayloadKind::Files if self.unpacked.trees.contains(&payload.name) => (folder.clone(), self.any_kept()),
            PayloadKind::Config if paths.iter().any(|path| self.kept(path).is_some()) => {
                (folder.clone(), self.any_kept())
            }
            PayloadKind::Config if !paths.is_empty() => (folder.clone(), None),
            PayloadKind::Sqlite => (live(paths.first()?, stage, self.target), self.kept(paths.first()?)),
            PayloadKind::Files | PayloadKind::Config | PayloadKind::Database => return None,
        };
        Some(part(&payload.name, &target, kept.as_deref()))
    }

    /// For a file.
    pub(crate) fn outcome_of_file(&self, file: &Path) -> Outcome {
        let name = file.file_name().map(|name| shown(Path::new(name))).unwrap_or_default();
        let restored = vec![part(&name, self.target.folder(), self.any_kept().as_deref())];
        let summary = format!("{} restored to {}: {}", shown(file), shown(self.target.folder()), self.amount());
        Outcome { data: self.data(&restored), text: self.text(), ..Outcome::ok(summary) }
    }

    /// The fields that snapshots and files have in common.
    fn data(&self, restored: &[Value]) -> Value {
        let kept: Vec<String> = self.swapped.kept.iter().map(|kept| shown(&kept.folder)).collect();
        json!({
            "restored": restored,
            "files": self.unpacked.files,
            "bytes": self.unpacked.bytes,
            "kept": kept,
            "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
        })
    }

    fn amount(&self) -> String {
        let files = counted(self.unpacked.files, "file", "files");
        format!("{files}, {} in {}", ByteSize(self.unpacked.bytes), spoken(self.took))
    }

    /// Where the old side is, and how to be rid of it.
    fn text(&self) -> String {
        let old_side =
            |kept: &Kept| format!("the old side is kept in {} until the next complete restore\n", shown(&kept.folder));
        let mut text: String = self.swapped.kept.iter().map(old_side).collect();
        if let (Some(_), Target::InPlace(folder)) = (self.swapped.kept.first(), self.target) {
            let _ = writeln!(text, "to remove it now: restore --discard-old --app {}", shown(folder));
        }
        text
    }

    /// The old side of the application's folder, which is the first.
    fn any_kept(&self) -> Option<PathBuf> {
        self.swapped.kept.first().map(|kept| kept.folder.clone())
    }

    /// Where the old thing of that path is, if it or a folder above it was replaced.
    fn kept(&self, path: &[u8]) -> Option<PathBuf> {
        let mut above = path;
        while !self.swapped.replaced.contains(above) {
            above = split(above).0;
            if above.is_empty() {
                return None;
            }
        }
        let nearest = self.swapped.kept.iter().filter_map(|kept| Some((kept, below(path, &kept.prefix)?)));
        let (kept, rest) = nearest.min_by_key(|(_, rest)| rest.len())?;
        Some(kept.folder.join(path_of(rest))).filter(|old| std::fs::symlink_metadata(old).is_ok())
    }
}

/// Where a thing of the snapshot is, or will be.
pub(super) fn live(path: &[u8], stage: &Stage, target: &Target) -> PathBuf {
    let (domain, rest) = stage.route(path);
    let live = stage.domains().get(domain).map(|domain| domain.live.join(path_of(rest)));
    live.unwrap_or_else(|| target.folder().clone())
}

/// An element of `data.restored`.
fn part(name: &str, target: &Path, kept: Option<&Path>) -> Value {
    json!({"name": name, "target": shown(target), "kept": kept.map(shown)})
}

/// Which snapshot it was.
pub(super) fn snapshot(of: &Snapshot) -> Value {
    json!({
        "id": of.manifest.id,
        "host": of.place.host,
        "app": of.place.app,
        "store": of.store.url(),
        "partial": of.manifest.partial,
        "note": of.note,
    })
}

/// A snapshot that lacks what its backup could not read is no reason to fail, and one to look.
pub(super) fn partial(of: &Snapshot, only: &[String]) -> Option<Notice> {
    let message =
        format!("something could not be read when the snapshot {} was taken, and is not in it", of.manifest.id);
    let hint = "the report of that backup names it; what is live and not in the snapshot was left where it is";
    may_lack(&of.manifest, only).then(|| Notice::new("snapshot.partial", message, hint))
}

/// What somebody should look at.
pub(crate) fn warnings(unpacked: &Unpacked, swapped: &Swapped) -> Vec<Notice> {
    let mut all = Vec::new();
    if unpacked.owners_refused > 0 {
        let message = format!("{} could not be set", counted(unpacked.owners_refused, "owner", "owners"));
        all.push(Notice::new(
            "restore.owners",
            message,
            "only root may give files to others; restore as root to have them",
        ));
    }
    if unpacked.attributes_refused > 0 {
        let number = counted(unpacked.attributes_refused, "extended attribute", "extended attributes");
        let message = format!("{number} could not be set");
        let hint = "some need root, some a file system that has them";
        all.push(Notice::new("restore.attributes", message, hint));
    }
    if let Some(first) = unpacked.companions.first() {
        let number = u64::try_from(unpacked.companions.len()).unwrap_or(u64::MAX);
        let (number, first) = (counted(number, "file was", "files were"), shown(path_of(first)));
        let message = format!("{number} not restored, for it would be played into a restored database: {first}");
        let hint = "nothing is lost: the database in the snapshot was copied whole, with what its log held";
        all.push(Notice::new("sqlite.companion_skipped", message, hint));
    }
    let differing = unpacked.linked.kept.iter().filter(|(_, same)| !same);
    let differing: Vec<String> = differing.map(|(path, _)| shown(path_of(path))).collect();
    if !differing.is_empty() {
        let names = differing.join(", ");
        let message = format!("the link stays, and what it leads to is another one than in the snapshot: {names}");
        let hint = "what the snapshot has, in a folder of its own: restore SNAPSHOT --only config --into DIR";
        all.push(Notice::new("restore.link_kept", message, hint));
    }
    if let Some(first) = swapped.left_alone.first() {
        let number = u64::try_from(swapped.left_alone.len()).unwrap_or(u64::MAX);
        let number = counted(number, "path was", "paths were");
        let first = shown(path_of(first));
        let message = format!("{number} left as live, for the store, the state or a restore lies there: {first}");
        all.push(Notice::new("restore.left_alone", message, "restore it elsewhere if you need it: --into DIR"));
    }
    all
}

/// Removes the old sides of earlier restores, now that a newer one has succeeded.
pub(crate) fn discard_older(stage: &Stage, swapped: &Swapped) -> Result<(), TargetError> {
    let stays = |folder: &PathBuf| {
        swapped.kept.iter().any(|kept| kept.folder == *folder) || stage.kept_by_recovered().contains(folder)
    };
    for (_, domain, _) in stage.opened() {
        kept::discard(kept::all(&domain.live)?.into_iter().filter(|folder| !stays(folder)))?;
    }
    Ok(())
}

/// The outcome of removing old sides alone.
pub(super) fn discarded(folders: &[PathBuf], databases: Vec<String>, would: bool) -> Outcome {
    let names: Vec<String> = databases.into_iter().chain(folders.iter().map(|folder| shown(folder))).collect();
    let number = counted(u64::try_from(names.len()).unwrap_or(u64::MAX), "old side", "old sides");
    let summary =
        if would { format!("would remove {number}; nothing was changed") } else { format!("{number} removed") };
    let text = names.iter().map(|name| ["  ", name, "\n"].concat()).collect();
    Outcome { data: json!({"discarded": names}), text, ..Outcome::ok(summary) }
}
