//! The configuration files of a folder that a recovery would replace by others.

use std::io::Read;
use std::path::Path;

use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::error::Failure;
use shipshape_core::signal;

use crate::place::shown;
use crate::select::Snapshot;
use crate::target::path_of;
use crate::unpack::{UnpackError, tars};

/// Their paths below the folder. What is wrong with the payload itself shows when it is unpacked.
pub(super) fn files(snapshot: &Snapshot, folder: &Path) -> Result<Vec<String>, Failure> {
    let mut differing = Vec::new();
    for payload in snapshot.manifest.payloads.iter().filter(|payload| payload.kind == PayloadKind::Config) {
        let (mut members, _) = tars::open(snapshot, payload)?;
        while let Some(member) = members.next_member().map_err(UnpackError::from)? {
            signal::check()?;
            let path = path_of(&member.entry.path.0).to_owned();
            let Ok(live) = std::fs::read(folder.join(&path)) else { continue };
            let mut content = Vec::new();
            let whole = members.content(member).read_to_end(&mut content);
            if whole.is_ok() && content != live {
                differing.push(shown(&path));
            }
        }
    }
    Ok(differing)
}
