//! What there is in a store: places, snapshots, and which one is meant.

use chrono::{DateTime, Utc};

use super::manifest::{Manifest, ManifestError};
use super::names::{self, Place, SnapshotId};
use super::store::{Store, StoreError};
use crate::clock;
use crate::error::Explain;
use crate::exit::Exit;

/// Why no snapshot was found.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifest asked for is unusable.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The application has no snapshot here.
    #[error("the store {url} has no snapshot of {app}{}", of_host(host.as_ref()))]
    NoApp {
        /// The store.
        url: String,
        /// The application.
        app: String,
        /// The host, where one was named.
        host: Option<String>,
        /// The applications that it has.
        known: Vec<String>,
    },
    /// Several other hosts have it.
    #[error("{app} is in the store for several hosts: {}", hosts.join(", "))]
    SeveralHosts {
        /// The application.
        app: String,
        /// The hosts.
        hosts: Vec<String>,
    },
    /// Several snapshots begin so.
    #[error("{count} snapshots of {place} begin with {wanted}")]
    Ambiguous {
        /// Where it was looked for.
        place: Place,
        /// What was asked for.
        wanted: String,
        /// How many there are.
        count: usize,
    },
    /// There is no such snapshot.
    #[error("{place} has no snapshot {wanted}")]
    NoSnapshot {
        /// Where it was looked for.
        place: Place,
        /// What was asked for.
        wanted: String,
    },
}

impl Explain for CatalogError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Manifest(cause) => cause.code(),
            Self::NoApp { .. } => "snapshot.no_app",
            Self::SeveralHosts { .. } => "snapshot.several_hosts",
            Self::NoSnapshot { .. } => "snapshot.missing",
            Self::Ambiguous { .. } => "snapshot.ambiguous",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Store(cause) => cause.hint(),
            Self::Manifest(cause) => cause.hint(),
            Self::NoApp { known, .. } if known.is_empty() => {
                "the store holds no snapshot yet; make one: backup".to_owned()
            }
            Self::NoApp { known, .. } => format!("name one of these with --app: {}", known.join(", ")),
            Self::SeveralHosts { .. } => "name one of them with --host".to_owned(),
            Self::NoSnapshot { .. } => "see what there is: backup list".to_owned(),
            Self::Ambiguous { .. } => "give more of it: backup list".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Store(cause) => cause.exit(),
            Self::Manifest(cause) => cause.exit(),
            Self::NoApp { .. } | Self::SeveralHosts { .. } | Self::NoSnapshot { .. } | Self::Ambiguous { .. } => {
                Exit::Unknown
            }
        }
    }
}

fn of_host(host: Option<&String>) -> String {
    host.map(|host| format!(" on {host}")).unwrap_or_default()
}

/// All ids of a place that have a manifest, oldest first.
pub fn ids(store: &dyn Store, place: &Place) -> Result<Vec<SnapshotId>, StoreError> {
    let objects = store.list(&place.key("snapshots"))?;
    let prefix = place.key("");
    let listed = objects.iter().filter(|object| object.key.ends_with("/manifest.json"));
    let mut ids: Vec<_> = listed.filter_map(|object| names::id_of(object.key.strip_prefix(&prefix)?)).collect();
    ids.sort();
    Ok(ids)
}

/// The snapshots of a place, oldest first, and those whose manifests are unusable.
#[derive(Debug, Default)]
pub struct Catalog {
    /// What can be restored as far as the manifests tell.
    pub snapshots: Vec<Manifest>,
    /// What should be there and is not readable.
    pub broken: Vec<(SnapshotId, ManifestError)>,
}

/// Reads all manifests of a place. A damaged one is listed as such; a store that does not answer is an error.
pub fn read(store: &dyn Store, place: &Place) -> Result<Catalog, StoreError> {
    let mut catalog = Catalog::default();
    for id in ids(store, place)? {
        match Manifest::read(store, place, &id) {
            Ok(manifest) => catalog.snapshots.push(manifest),
            Err(ManifestError::Store(refused)) => return Err(refused),
            Err(broken) => catalog.broken.push((id, broken)),
        }
    }
    Ok(catalog)
}

/// All places of a store.
pub fn places(store: &dyn Store) -> Result<Vec<Place>, StoreError> {
    let mut found = Vec::new();
    for host in store.folders("")? {
        for app in store.folders(&host)? {
            found.push(Place { host: host.clone(), app });
        }
    }
    Ok(found)
}

/// Where the snapshots of `app` are: under the host that was named, else under this one, else under the only other one.
pub fn find_place(store: &dyn Store, app: &str, named: Option<&str>, here: &str) -> Result<Place, CatalogError> {
    let mut with_snapshots = Vec::new();
    for place in places(store)? {
        if !ids(store, &place)?.is_empty() {
            with_snapshots.push(place);
        }
    }
    let known = |places: &[Place]| {
        let mut apps: Vec<String> = places.iter().map(|place| place.app.clone()).collect();
        apps.sort();
        apps.dedup();
        apps
    };
    let no_app = |places: &[Place]| CatalogError::NoApp {
        url: store.url().to_owned(),
        app: app.to_owned(),
        host: named.map(str::to_owned),
        known: known(places),
    };
    let mut matching: Vec<Place> = with_snapshots.iter().filter(|place| place.app == app).cloned().collect();
    if let Some(host) = named {
        return matching.into_iter().find(|place| place.host == host).ok_or_else(|| no_app(&with_snapshots));
    }
    if let Some(own) = matching.iter().position(|place| place.host == here) {
        return Ok(matching.swap_remove(own));
    }
    match matching.len() {
        0 => Err(no_app(&with_snapshots)),
        1 => Ok(matching.swap_remove(0)),
        _ => Err(CatalogError::SeveralHosts {
            app: app.to_owned(),
            hosts: matching.into_iter().map(|place| place.host).collect(),
        }),
    }
}

/// Which snapshot is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest.
    Latest,
    /// The newest that began no later than that moment.
    At(DateTime<Utc>),
    /// This one; the beginning of an id is enough where it is the only one that begins so.
    Id(String),
}

/// Finds the id that is meant among those of a place (oldest first).
pub fn choose(place: &Place, ids: &[SnapshotId], wanted: &Wanted) -> Result<SnapshotId, CatalogError> {
    let found = match wanted {
        // One from the future was made with a wrong clock. What came after it is newer, whatever its name says.
        Wanted::Latest => ids.iter().rev().find(|id| id.time() <= clock::now()).or(ids.last()),
        Wanted::At(moment) => ids.iter().rev().find(|id| id.time() <= *moment),
        Wanted::Id(text) => {
            let count = ids.iter().filter(|id| id.as_str().starts_with(text.as_str())).count();
            if count > 1 {
                return Err(CatalogError::Ambiguous { place: place.clone(), wanted: text.clone(), count });
            }
            ids.iter().find(|id| id.as_str().starts_with(text.as_str()))
        }
    };
    let wanted = match wanted {
        Wanted::Latest => "at all".to_owned(),
        Wanted::At(moment) => format!("of {} or before", moment.format("%Y-%m-%d %H:%M:%S UTC")),
        Wanted::Id(text) => text.clone(),
    };
    found.cloned().ok_or(CatalogError::NoSnapshot { place: place.clone(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn id(hour: u32, random: u16) -> SnapshotId {
        SnapshotId::new(Utc.with_ymd_and_hms(2020, 11, 20, hour, 0, 0).unwrap(), random)
    }

    fn place() -> Place {
        Place { host: "vps1".to_owned(), app: "demo".to_owned() }
    }

    #[test]
    fn a_time_means_the_newest_snapshot_up_to_it() {
        let ids = [id(1, 1), id(2, 2), id(3, 3)];
        let at = |hour, minute| Wanted::At(Utc.with_ymd_and_hms(2020, 11, 20, hour, minute, 0).unwrap());
        assert_eq!(choose(&place(), &ids, &at(2, 30)).unwrap(), ids[1]);
        assert_eq!(choose(&place(), &ids, &at(2, 0)).unwrap(), ids[1]);
        assert!(choose(&place(), &ids, &at(0, 30)).is_err());
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_unless_it_is_ambiguous() {
        let ids = [id(1, 1), id(2, 2), id(2, 3)];
        assert_eq!(choose(&place(), &ids, &Wanted::Id("20201120T01".to_owned())).unwrap(), ids[0]);
        assert!(choose(&place(), &ids, &Wanted::Id("20201120T02".to_owned())).is_err());
        assert_eq!(choose(&place(), &ids, &Wanted::Latest).unwrap(), ids[2]);
    }

    #[test]
    fn a_snapshot_from_the_future_is_the_latest_only_where_there_is_no_other() {
        let future = SnapshotId::new(Utc.with_ymd_and_hms(2999, 1, 1, 0, 0, 0).unwrap(), 1);
        assert_eq!(choose(&place(), &[id(1, 1), future.clone()], &Wanted::Latest).unwrap(), id(1, 1));
        assert_eq!(choose(&place(), std::slice::from_ref(&future), &Wanted::Latest).unwrap(), future);
    }
}
