//! What a run builds upon: the last snapshot as this machine remembers it, as far as the store still has it.

use std::collections::{BTreeMap, BTreeSet};

use shipshape_core::archive::manifest::Manifest;
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;

use crate::cache::{Cache, Previous};
use crate::known::usable_packs;
use crate::retire::{PackUse, retire};
use crate::target::{Keys, Target};

/// What this machine remembers of the last snapshot, if it can be built upon: same store, same keys.
pub(crate) fn remembered(target: &Target, keys: &Keys) -> (Option<Cache>, Option<Previous>, Option<Notice>) {
    let cache = match Cache::open(&target.state, &target.marker.id, target.place()) {
        Ok(cache) => cache,
        Err(refused) => return (None, None, Some(Failure::from(refused).notice())),
    };
    let (previous, notice) = cache.load(&target.state);
    // Content for other recipients cannot be referred to: who holds only the new keys could not read it.
    let same_keys = |manifest: &Manifest| {
        manifest.store == target.marker.id
            && manifest.encryption == keys.wrapping.encryption
            && manifest.recipients == keys.recipients.texts()
    };
    (Some(cache), previous.filter(|previous| same_keys(&previous.manifest)), notice)
}

/// The packs to build upon, and the number of those that are lost.
pub(super) fn usable_of(previous: Option<&Previous>, listed: &BTreeMap<String, u64>) -> (BTreeSet<String>, usize) {
    let Some(previous) = previous else { return (BTreeSet::new(), 0) };
    let all = usable_packs(previous, listed, &BTreeSet::new());
    let lost = previous.manifest.packs.len() - all.len();
    let uses: Vec<PackUse> = previous
        .manifest
        .packs
        .iter()
        .map(|pack| PackUse {
            pack: pack.name().to_owned(),
            tar: pack.bytes_plain,
            content: pack.bytes_content,
            live: previous.live.get(pack.name()).copied().unwrap_or_default(),
        })
        .collect();
    (usable_packs(previous, listed, &retire(&uses)), lost)
}

/// Worth a warning though nothing is missing from this snapshot: earlier ones cannot be restored whole.
pub(super) fn lost_packs(lost: usize) -> Notice {
    let message = format!("{lost} packs of the last snapshot are missing from the store or cut short");
    Notice::new(
        "store.packs_lost",
        message,
        "their files were stored anew; earlier snapshots lack them: backup check --all",
    )
}
