//! The old sides of databases that earlier restores have kept.

use shipshape_core::config::Config;
use shipshape_core::database::{DatabaseError, is_ours};
use shipshape_core::error::chain;
use shipshape_core::report::Notice;

use super::records::{Kept, KeptDatabase};
use super::{Records, RestoreError, Site, way};

/// Removes the old sides of restores for which `is_meant` says so. Returns what they were, as `SERVICE/NAME`, and which are
/// out of reach for good: these are known no longer.
pub(crate) fn discard(
    records: &Records,
    config: &Config,
    is_meant: impl Fn(&Kept) -> bool,
) -> Result<(Vec<String>, Vec<Notice>), RestoreError> {
    let (mut gone, mut notices) = (Vec::new(), Vec::new());
    let mut all = records.kept()?;
    while let Some(at) = all.iter().position(&is_meant) {
        let kept = all.remove(at);
        remove(&kept, config, &mut gone, &mut notices)?;
        // One after the other: what is gone must not be looked for again when the next one fails.
        records.write_kept(&all)?;
        records.forget(kept.at);
    }
    Ok((gone, notices))
}

/// What [`discard`] would remove.
pub(crate) fn named(all: &[Kept]) -> Vec<String> {
    all.iter().flat_map(|kept| &kept.databases).filter_map(KeptDatabase::shown).collect()
}

fn remove(kept: &Kept, config: &Config, gone: &mut Vec<String>, notices: &mut Vec<Notice>) -> Result<(), RestoreError> {
    let named = kept.databases.iter().filter_map(|database| Some((database, database.name.as_ref()?)));
    let named: Vec<_> = named.filter(|(_, name)| is_ours(name)).collect();
    if named.is_empty() {
        return Ok(());
    }
    let payloads: Vec<String> = named.iter().map(|(database, _)| database.payload.clone()).collect();
    let site = match Site::open(&kept.app_dir, config, &payloads) {
        Err(absent) if is_absent(&absent) => {
            notices.extend(named.iter().filter_map(|(database, _)| lost(database, &absent)));
            return Ok(());
        }
        other => other?,
    };
    for (database, name) in named {
        let removed = site.client(&database.service).and_then(|client| way(database.engine).discard(&client, name));
        match removed {
            Ok(()) => gone.extend(database.shown()),
            Err(absent) if is_absent(&absent) => notices.extend(lost(database, &absent)),
            Err(refused) => return Err(refused),
        }
    }
    Ok(())
}

/// Whether there is no such server any more. One that only does not run may come back, with what it has.
fn is_absent(refused: &RestoreError) -> bool {
    matches!(refused, RestoreError::NoStack { .. } | RestoreError::Server(DatabaseError::NoSuchService { .. }))
}

fn lost(database: &KeptDatabase, why: &RestoreError) -> Option<Notice> {
    let message = format!("the old side {} cannot be removed: {}", database.shown()?, chain(why));
    let hint = "it is not asked for again; if its data lives on under another service, remove it there by hand";
    Some(Notice::new("restore.not_tidy", message, hint))
}
