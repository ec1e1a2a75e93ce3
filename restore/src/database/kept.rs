//! The old sides of databases that earlier restores have kept.

use shipshape_core::config::Config;
use shipshape_core::database::is_ours;

use super::records::{Kept, KeptDatabase};
use super::{Records, RestoreError, Site, way};

/// Removes the old sides of restores for which `is_meant` says so. Returns what they were, as `SERVICE/NAME`.
pub(crate) fn discard(
    records: &Records,
    config: &Config,
    is_meant: impl Fn(&Kept) -> bool,
) -> Result<Vec<String>, RestoreError> {
    let mut gone = Vec::new();
    let mut all = records.kept()?;
    while let Some(at) = all.iter().position(&is_meant) {
        let kept = all.remove(at);
        gone.extend(remove(&kept, config)?);
        // One after the other: what is gone must not be looked for again when the next one fails.
        records.write_kept(&all)?;
        records.forget(kept.at);
    }
    Ok(gone)
}

/// What [`discard`] would remove.
pub(crate) fn named(all: &[Kept]) -> Vec<String> {
    all.iter().flat_map(|kept| &kept.databases).filter_map(shown).collect()
}

fn shown(database: &KeptDatabase) -> Option<String> {
    Some(format!("{}/{}", database.service, database.name.as_ref()?))
}

fn remove(kept: &Kept, config: &Config) -> Result<Vec<String>, RestoreError> {
    let mut gone = Vec::new();
    let named = kept.databases.iter().filter_map(|database| Some((database, database.name.as_ref()?)));
    let named: Vec<_> = named.filter(|(_, name)| is_ours(name)).collect();
    if named.is_empty() {
        return Ok(gone);
    }
    let payloads: Vec<String> = named.iter().map(|(database, _)| database.payload.clone()).collect();
    let site = Site::open(&kept.app_dir, config, &payloads)?;
    for (database, name) in named {
        way(database.engine).discard(&site.client(&database.service)?, name)?;
        gone.extend(shown(database));
    }
    Ok(gone)
}
