//! Which application of a store is meant by a folder whose name the store does not know.

use std::path::Path;

use shipshape_core::archive::catalog::{self, Wanted};
use shipshape_core::archive::index::IndexReader;
use shipshape_core::archive::keys::Identities;
use shipshape_core::archive::manifest::{Manifest, PayloadKind};
use shipshape_core::archive::names::Place;
use shipshape_core::archive::store::Store;
use shipshape_core::archive::unseal;
use shipshape_core::error::Failure;

use super::{SelectError, Unknown};
use crate::place::shown;
use crate::target::path_of;

/// Where it is looked for.
pub(super) struct Searched<'a> {
    /// The store.
    pub(super) store: &'a dyn Store,
    /// The host that was named.
    pub(super) host: Option<&'a str>,
    /// The applications that may be meant.
    pub(super) known: Vec<Place>,
    /// The folder.
    pub(super) folder: &'a Path,
}

impl Searched<'_> {
    /// The only one; the one with a snapshot of that id; the one that was in that folder.
    pub(super) fn find(self, unknown: &Unknown, identity: Option<&Path>) -> Result<Place, Failure> {
        if let [only] = self.known.as_slice() {
            return Ok(only.clone());
        }
        let mut found = match unknown {
            Unknown::Find(wanted @ Wanted::Id(_)) => self.with_snapshot(wanted)?,
            Unknown::Find(Wanted::Latest | Wanted::At(_)) => self.of_folder(identity),
            Unknown::Refuse => Vec::new(),
        };
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            _ => Err(SelectError::WhichApp {
                folder: shown(self.folder),
                known: self.known.into_iter().map(|place| place.app).collect(),
            }
            .into()),
        }
    }

    /// Those that have the snapshot, under any host unless one was named.
    fn with_snapshot(&self, wanted: &Wanted) -> Result<Vec<Place>, Failure> {
        let mut found = Vec::new();
        for place in catalog::places(self.store)? {
            let is_of_host = self.host.is_none_or(|host| host == place.host);
            if is_of_host && catalog::choose(&place, &catalog::ids(self.store, &place)?, wanted).is_ok() {
                found.push(place);
            }
        }
        Ok(found)
    }

    /// Those that were in the folder when they were last backed up, as far as their indexes can be read.
    fn of_folder(&self, identity: Option<&Path>) -> Vec<Place> {
        // One that comes through a pipe can be read once, and is needed for the snapshot.
        let identity = identity.filter(|path| path.is_file());
        let identities = identity.and_then(|path| Identities::read(path).ok()).unwrap_or_default();
        self.known.iter().filter(|place| self.was_in(place, &identities) == Some(true)).cloned().collect()
    }

    fn was_in(&self, place: &Place, identities: &Identities) -> Option<bool> {
        let newest = catalog::ids(self.store, place).ok()?.pop()?;
        let manifest = Manifest::read(self.store, place, &newest).ok()?;
        let files = manifest.payloads.into_iter().find(|payload| payload.kind == PayloadKind::Files)?;
        let plain = unseal::open(self.store, place, &files.object, identities).ok()?;
        let index = IndexReader::new(Box::new(plain)).ok()?;
        Some(path_of(&index.header().app_dir.0) == self.folder)
    }
}
