//! What the services of a rehearsal are made like: as the compose files in the snapshot say, which so prove that they come
//! back; else as those of the application's folder; else from the recorded image alone.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::report::Notice;
use shipshape_core::signal;
use shipshape_core::stack::compose::Compose;

use super::unpack_into;
use crate::select::Snapshot;

/// The folder of the room where the snapshot's configuration lies if not everything came back.
const FOLDER: &str = "settings";

/// The settings.
pub(super) struct Settings {
    /// Where their paths lead from.
    pub(super) folder: PathBuf,
    /// What Compose makes of them.
    pub(super) description: Option<Value>,
    /// Where they are from, in the report.
    pub(super) from: &'static str,
    /// Why they are not those of the snapshot, if they are not.
    pub(super) notice: Option<Notice>,
}

/// Finds them. `room` is a private folder; `unpacked` is where everything is already, if it is.
pub(super) fn find(snapshot: &Snapshot, room: &Path, unpacked: Option<&Path>) -> Result<Settings, Failure> {
    let folder = unpacked.map_or_else(|| room.join(FOLDER), Path::to_owned);
    let why = match of_snapshot(snapshot, &folder, unpacked.is_some())? {
        Ok(description) => {
            return Ok(Settings { folder, description: Some(description), from: "snapshot", notice: None });
        }
        Err(why) => why,
    };
    let live = snapshot.app.dir.as_deref().and_then(|dir| Some((dir, Compose::look(dir).ok()??.model().ok()?.clone())));
    let hint = "see that backup takes them: backup --dry-run names the configuration files";
    let told = |what: &str| {
        let message =
            format!("the services could not be made from the compose files in the snapshot, but from {what}: {why}");
        Some(Notice::new("drill.settings", message, hint))
    };
    Ok(match live {
        Some((dir, description)) => Settings {
            folder: dir.to_owned(),
            description: Some(description),
            from: "folder",
            notice: told("those of the application's folder"),
        },
        None => {
            Settings { folder: room.to_owned(), description: None, from: "image", notice: told("their images alone") }
        }
    })
}

/// What Compose makes of the files in the snapshot, or why there is nothing to make.
fn of_snapshot(snapshot: &Snapshot, folder: &Path, is_there: bool) -> Result<Result<Value, String>, Failure> {
    let is_config = |kind: PayloadKind| kind == PayloadKind::Config;
    if !snapshot.manifest.payloads.iter().any(|payload| is_config(payload.kind)) {
        return Ok(Err("it has no configuration".to_owned()));
    }
    let silent = Progress::bytes(None, "", true);
    let unpacked = if is_there { Ok(()) } else { unpack_into(snapshot, folder, is_config, &silent).map(drop) };
    if let Err(refused) = unpacked {
        signal::check()?;
        return Ok(Err(refused.to_string()));
    }
    let Some(found) = Compose::find(folder) else { return Ok(Err("there are none in it".to_owned())) };
    match found.model() {
        Ok(model) => Ok(Ok(model.clone())),
        Err(refused) => {
            signal::check()?;
            Ok(Err(refused.to_string()))
        }
    }
}
