//! Which snapshot is meant, and what opens it.

pub(crate) mod report;
mod search;

use std::path::PathBuf;

pub(crate) use shipshape_core::archive::catalog::Wanted;
use shipshape_core::archive::catalog::{self, CatalogError};
use shipshape_core::archive::keys::{Identities, KeyError};
use shipshape_core::archive::manifest::{Manifest, Payload, PayloadKind};
use shipshape_core::archive::names::{Place, SnapshotId};
use shipshape_core::archive::opening;
use shipshape_core::archive::store::{self, Store};
use shipshape_core::archive::unseal::UnsealError;
use shipshape_core::cli::StoreArgs;
use shipshape_core::config::{App, Config, Encryption};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::moment;
use shipshape_core::run::Run;

use report::Told;

/// Why it is not clear what is meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectError {
    /// Nothing was named.
    #[error("what to restore is missing")]
    Nothing,
    /// Two things were named.
    #[error("{first} and {second} name two things")]
    Both {
        /// One.
        first: String,
        /// The other.
        second: &'static str,
    },
    /// A file was named where only a snapshot can be.
    #[error("{path} is a file, not a snapshot")]
    IsAFile {
        /// The file.
        path: String,
    },
    /// All snapshots were made with `--only`.
    #[error("{place} has no complete snapshot")]
    NoneComplete {
        /// Where.
        place: Place,
    },
    /// The store has several applications, and the folder says nothing about which one is meant.
    #[error("the store has nothing of an application in {folder}, but of: {}", known.join(", "))]
    WhichApp {
        /// The folder.
        folder: String,
        /// The applications.
        known: Vec<String>,
    },
}

impl Explain for SelectError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Both { .. } | Self::IsAFile { .. } => "usage",
            Self::NoneComplete { .. } => "snapshot.missing",
            Self::WhichApp { .. } => "snapshot.no_app",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Nothing => {
                "name it before --only and --path: a snapshot, `latest`, a file, or `-` for a report of backup"
                    .to_owned()
            }
            Self::Both { .. } => "give one of them".to_owned(),
            Self::IsAFile { path } => format!("a file is proven when it is restored: restore {path} --into DIR"),
            Self::NoneComplete { .. } => {
                "name its part with --only, or the snapshot by its id; see backup list".to_owned()
            }
            Self::WhichApp { .. } => {
                "name the snapshot by its id instead of `latest`: backup list --app NAME shows them; or leave the folder \
                 out, and everything comes back to where it was: --app NAME"
                    .to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Nothing
            | Self::Both { .. }
            | Self::IsAFile { .. }
            | Self::NoneComplete { .. }
            | Self::WhichApp { .. } => Exit::Unknown,
        }
    }
}

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A snapshot of the store.
    Snapshot(Wanted),
    /// The one that a report on standard input is about.
    Report,
    /// A file.
    File(PathBuf),
}

/// Understands the word and `--at`.
pub(crate) fn understand(word: Option<&str>, at: Option<&str>) -> Result<Asked, Failure> {
    let at = at.map(moment::parse).transpose()?;
    match (word, at) {
        (None, None) => Err(SelectError::Nothing.into()),
        (None | Some("latest"), Some(at)) => Ok(Asked::Snapshot(Wanted::At(at))),
        (Some(word), Some(_)) => Err(SelectError::Both { first: word.to_owned(), second: "--at" }.into()),
        (Some("latest"), None) => Ok(Asked::Snapshot(Wanted::Latest)),
        (Some("-"), None) => Ok(Asked::Report),
        (Some(word), None) if names_a_file(word) => Ok(Asked::File(word.into())),
        (Some(word), None) => Ok(Asked::Snapshot(Wanted::Id(word.to_owned()))),
    }
}

/// An id has no slash. A file in the current folder is only meant where its name is not an id.
fn names_a_file(word: &str) -> bool {
    word.contains('/') || (word.parse::<SnapshotId>().is_err() && std::path::Path::new(word).is_file())
}

/// A store, opened at the snapshots of one application.
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Box<dyn Store>,
    /// The application's part of it.
    pub(crate) place: Place,
    /// The application on this machine.
    pub(crate) app: App,
    /// What it is that was taken from elsewhere, if so.
    pub(crate) note: Option<String>,
    identity: Option<PathBuf>,
}

/// What to do where the store does not have the application. The folder on a new server may be called otherwise, and the
/// file that names the application is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// That is an error.
    Refuse,
    /// Whichever is meant: the only one; the one with the snapshot that is wanted, if an id names it; the one that was in
    /// that folder.
    Find(Wanted),
}

/// Opens the store that flags, a report or the configuration name, at the application that they name.
pub(crate) fn open(
    run: &Run,
    config: &Config,
    flags: &StoreArgs,
    told: Option<&Told>,
    identity: Option<PathBuf>,
    unknown: &Unknown,
) -> Result<Opened, Failure> {
    let app = config.app(flags.app.as_deref().or(told.and_then(|told| told.app.as_deref())))?;
    run.app(&app.name);
    let named_store = flags.store.as_deref().or(told.and_then(|told| told.store.as_deref()));
    let (store, _) = store::open(&opening::url(config, named_store)?)?;
    let named_host = flags.host.as_deref().or(told.and_then(|told| told.host.as_deref()));
    let own_host = told.map_or_else(|| config.host(None), |told| told.machine.clone());
    let find = |name: &str| catalog::find_place(store.as_ref(), name, named_host, &own_host);
    let place = match find(&app.name) {
        // A name that somebody has typed is meant; that of a folder may be another one here.
        Err(CatalogError::NoApp { known, .. })
            if *unknown != Unknown::Refuse && app.dir.is_some() && !known.is_empty() =>
        {
            let folder = app.dir.clone().unwrap_or_default();
            let identity = identity.as_ref().or(config.restore.identity_file.as_ref());
            let known: Vec<Place> = known.iter().filter_map(|name| find(name).ok()).collect();
            let searched = search::Searched { store: store.as_ref(), host: named_host, known, folder: &folder };
            searched.find(unknown, identity.map(PathBuf::as_path))?
        }
        found => found?,
    };
    run.app(&place.app);
    let elsewhere = named_host.is_none() && place.host != own_host;
    let own = (!elsewhere && place.app != app.name)
        .then(|| format!("taken of {}: the store has nothing of {}", place.app, app.name));
    let note =
        elsewhere.then(|| format!("taken from host {}: {own_host} has no snapshot of {}", place.host, place.app));
    let (app, note) = (App { name: place.app.clone(), ..app }, note.or(own));
    Ok(Opened { store, place, app, note, identity: identity.or_else(|| config.restore.identity_file.clone()) })
}

impl Opened {
    /// All ids, oldest first.
    pub(crate) fn ids(&self) -> Result<Vec<SnapshotId>, Failure> {
        Ok(catalog::ids(self.store.as_ref(), &self.place)?)
    }

    /// The id that is meant. `latest`, now or at a time, means a complete snapshot, or one with the payloads named; one
    /// that lacks what could not be read only where there is no other, and last of all one that has much less than an
    /// earlier one. That newer ones were passed over for this is noted.
    pub(crate) fn choose(&mut self, wanted: &Wanted, only: &[String]) -> Result<SnapshotId, Failure> {
        let ids = self.ids()?;
        let chosen = catalog::choose(&self.place, &ids, wanted)?;
        if matches!(wanted, Wanted::Id(_)) {
            return Ok(chosen);
        }
        let mut lacking: Option<(u8, SnapshotId)> = None;
        let mut shrunk: Option<Manifest> = None;
        for id in ids.into_iter().rev().skip_while(|id| *id != chosen) {
            // A manifest that cannot be read is an error: who wants the latest must not get an older one silently.
            let manifest = self.manifest(&id)?;
            if !serves(&manifest, only) {
                continue;
            }
            let flaws = u8::from(may_lack(&manifest, only)) + 2 * u8::from(is_shrunk(&manifest, only));
            if lacking.as_ref().is_none_or(|(least, _)| flaws < *least) {
                lacking = Some((flaws, id));
            }
            if flaws == 0 {
                break;
            }
            shrunk = shrunk.or_else(|| is_shrunk(&manifest, only).then_some(manifest));
        }
        if let Some((flaws, id)) = lacking {
            let passed = shrunk.filter(|newer| flaws < 2 && newer.id > id).map(|newer| passed_over(&newer, &id));
            self.note = self.note.take().into_iter().chain(passed).reduce(|one, other| format!("{one}; {other}"));
            return Ok(id);
        }
        // Where a name is wrong, the newest one tells the right ones.
        if only.is_empty() { Err(SelectError::NoneComplete { place: self.place.clone() }.into()) } else { Ok(chosen) }
    }

    /// A manifest.
    pub(crate) fn manifest(&self, id: &SnapshotId) -> Result<Manifest, Failure> {
        Ok(Manifest::read(self.store.as_ref(), &self.place, id)?)
    }

    /// The identities that are given, for manifests that need one.
    pub(crate) fn identities<'m>(
        &self,
        manifests: impl IntoIterator<Item = &'m Manifest>,
    ) -> Result<Identities, KeyError> {
        let needed = manifests.into_iter().any(|manifest| manifest.encryption == Encryption::Age);
        match &self.identity {
            _ if !needed => Ok(Identities::default()),
            Some(path) => Identities::read(path),
            None => Err(KeyError::NoIdentity),
        }
    }

    /// The snapshot with that id, which the identities open as far as its manifest tells.
    pub(crate) fn into_snapshot(self, id: &SnapshotId) -> Result<Snapshot, Failure> {
        let manifest = self.manifest(id)?;
        let identities = self.identities([&manifest])?;
        if !opens(&identities, &manifest) {
            return Err(UnsealError::WrongKey { object: format!("the snapshot {id}") }.into());
        }
        let Self { store, place, app, note, .. } = self;
        Ok(Snapshot { store, place, app, note, identities, manifest })
    }
}

/// Whether a snapshot is what `latest` means: complete, or with the payloads that are named.
fn serves(manifest: &Manifest, only: &[String]) -> bool {
    if only.is_empty() {
        return manifest.only.is_empty();
    }
    only.iter().all(|name| manifest.payloads.iter().any(|payload| payload.name == *name))
}

/// Whether what could not be read may be of what is asked for. Databases are copied whole or not at all.
pub(crate) fn may_lack(manifest: &Manifest, only: &[String]) -> bool {
    let is_asked_for = |payload: &&Payload| only.is_empty() || only.contains(&payload.name);
    let mut asked_for = manifest.payloads.iter().filter(is_asked_for);
    manifest.partial && (only.is_empty() || asked_for.any(|payload| payload.kind != PayloadKind::Sqlite))
}

/// Whether what is asked for is gone or absurdly small in it, and its owner has not said that this is meant. All that is
/// no database of a server counts as files.
fn is_shrunk(manifest: &Manifest, only: &[String]) -> bool {
    let is_small = |payload: &Payload| {
        let name = if payload.kind == PayloadKind::Database { payload.name.as_str() } else { "files" };
        manifest.shrunk.iter().any(|shrunk| *shrunk == name || *shrunk == payload.name)
    };
    let mut asked_for = manifest.payloads.iter().filter(|payload| only.contains(&payload.name));
    !manifest.shrunk.is_empty() && (only.is_empty() || asked_for.any(is_small))
}

/// Why it is not a newer one.
fn passed_over(newer: &Manifest, chosen: &SnapshotId) -> String {
    let what = newer.shrunk.join(", ");
    format!("{chosen} is the last good one: the newer {} lacks, or has much less of: {what}", newer.id)
}

/// Whether one of the identities is a recipient of the snapshot.
pub(crate) fn opens(identities: &Identities, manifest: &Manifest) -> bool {
    let public = identities.public();
    manifest.encryption == Encryption::None || manifest.recipients.iter().any(|recipient| public.contains(recipient))
}

/// A snapshot, and what opens it.
pub(crate) struct Snapshot {
    /// Where it is.
    pub(crate) store: Box<dyn Store>,
    /// The application's part of that.
    pub(crate) place: Place,
    /// The application on this machine.
    pub(crate) app: App,
    /// What it is that was taken from elsewhere, if so.
    pub(crate) note: Option<String>,
    /// What opens it.
    pub(crate) identities: Identities,
    /// What belongs to it.
    pub(crate) manifest: Manifest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_an_id_a_file_or_one_of_two_special_words() {
        let asked = |word| understand(Some(word), None).unwrap();
        assert_eq!(asked("latest"), Asked::Snapshot(Wanted::Latest));
        assert_eq!(asked("-"), Asked::Report);
        assert_eq!(asked("./x.tar.gz"), Asked::File("./x.tar.gz".into()));
        assert_eq!(asked("Cargo.toml"), Asked::File("Cargo.toml".into()), "a file that exists");
        assert_eq!(asked("20261120T0200"), Asked::Snapshot(Wanted::Id("20261120T0200".to_owned())));
    }

    #[test]
    fn a_time_stands_alone_or_with_latest() {
        let at = Some("2026-11-19T18:00:00Z");
        assert!(matches!(understand(None, at), Ok(Asked::Snapshot(Wanted::At(_)))));
        assert!(matches!(understand(Some("latest"), at), Ok(Asked::Snapshot(Wanted::At(_)))));
        assert_eq!(understand(Some("20261120T020000Z-7f3a"), at).unwrap_err().code(), "usage");
        assert_eq!(understand(None, None).unwrap_err().code(), "usage");
    }
}
