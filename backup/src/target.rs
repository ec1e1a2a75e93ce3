//! Where a run works: the application, its place in the store, and the keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::Rng;
use shipshape_core::archive::keys::{KeyError, Recipients};
use shipshape_core::archive::names::{Place, Wrapping};
use shipshape_core::archive::opening;
use shipshape_core::archive::seal::{Sealing, hex};
use shipshape_core::archive::store::{self, MakeFolder, Marker, Store, StoreError};
use shipshape_core::cli::StoreArgs;
use shipshape_core::config::{App, Compression, Config, Encryption};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::lock::{Lock, LockError};
use shipshape_core::run::Run;
use shipshape_core::state::{Loaded, StateDir};

use crate::quiesce::Desk;

/// Which stores have been used under which URL.
const STORES: &str = "stores.json";

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// Another store, or none, lies where ours was.
    #[error("the store at {url} is not the one that was used there before{}", if *.empty { ": the folder is empty" } else { "" })]
    OtherStore {
        /// The URL.
        url: String,
        /// Whether there is nothing at all.
        empty: bool,
    },
    /// Another folder of this machine has its snapshots under the same name.
    #[error("the snapshots of {place} are those of {other}, and this is {app_dir}")]
    TwoFolders {
        /// The application's part of the store.
        place: String,
        /// The folder they were taken of.
        other: String,
        /// The folder that is to be taken.
        app_dir: String,
    },
    /// A name was given where a folder is needed.
    #[error("{app} is a name, and the folder of the application is needed")]
    NoFolder {
        /// The name.
        app: String,
    },
}

impl Explain for TargetError {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherStore { .. } => "store.other",
            Self::TwoFolders { .. } => "app.two_folders",
            Self::NoFolder { .. } => "app.no_folder",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::OtherStore { url, .. } => {
                format!("is the disk with {url} mounted? If another store is there on purpose: backup --accept-store")
            }
            Self::TwoFolders { .. } => {
                "give one of them a name of its own: [app] name in its shipshape.toml; two applications under one name would \
                 prune and restore each other's snapshots"
                    .to_owned()
            }
            Self::NoFolder { .. } => "give it with --app DIR, or set [app] dir in shipshape.toml".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::OtherStore { .. } => Exit::Critical,
            Self::TwoFolders { .. } | Self::NoFolder { .. } => Exit::Unknown,
        }
    }
}

/// Everything that a command on snapshots needs.
pub(crate) struct Target {
    /// What the configuration says.
    pub(crate) meant: Meant,
    /// The store.
    pub(crate) store: Box<dyn Store>,
    /// Which store it is.
    pub(crate) marker: Marker,
    /// The state folder.
    pub(crate) state: StateDir,
}

/// What the configuration says about whom it is for, before any store is touched.
pub(crate) struct Meant {
    /// The configuration.
    pub(crate) config: Config,
    /// The application.
    pub(crate) app: App,
    /// This application's part of the store.
    pub(crate) place: Place,
    /// The store's URL.
    pub(crate) url: String,
}

impl Meant {
    /// The application's folder.
    pub(crate) fn folder(&self) -> Result<&Path, TargetError> {
        self.app.dir.as_deref().ok_or_else(|| TargetError::NoFolder { app: self.app.name.clone() })
    }

    /// The store and the state folder, which must never be part of what they are for.
    pub(crate) fn own_folders(&self, state: &StateDir) -> Vec<PathBuf> {
        let store = PathBuf::from(self.url.strip_prefix("file://").unwrap_or(&self.url));
        [store, state.path().to_owned()].into_iter().filter_map(|folder| folder.canonicalize().ok()).collect()
    }
}

/// Reads the configuration and the flags.
pub(crate) fn meant(args: &StoreArgs, run: &Run) -> Result<Meant, Failure> {
    of_config(run.config(args.app.as_deref())?, args, run)
}

/// From flags alone, for a configuration that is yet to be written.
pub(crate) fn meant_without_file(args: &StoreArgs, run: &Run) -> Result<Meant, Failure> {
    of_config(Config::default(), args, run)
}

fn of_config(config: Config, args: &StoreArgs, run: &Run) -> Result<Meant, Failure> {
    let app = config.app(args.app.as_deref())?;
    run.app(&app.name);
    let place = Place { host: config.host(args.host.as_deref()), app: app.name.clone() };
    let url = opening::url(&config, args.store.as_deref())?;
    Ok(Meant { config, app, place, url })
}

impl Target {
    /// Opens the store for reading and pruning.
    pub(crate) fn open(args: &StoreArgs, run: &Run) -> Result<Self, Failure> {
        let meant = meant(args, run)?;
        let (store, marker) = store::open(&meant.url)?;
        Self::with(meant, store, marker, run)
    }

    /// Opens the store for a new snapshot. An empty folder becomes a store, unless one is known to belong there.
    pub(crate) fn open_for_backup(meant: Meant, accept: AcceptStore, run: &Run) -> Result<Self, Failure> {
        let state = StateDir::open(run.common())?;
        let known = Known::load(&state);
        let opened = match known.id_at(&meant.url).filter(|_| accept == AcceptStore::OnlyTheKnown) {
            None => store::open_or_create(&meant.url, MakeFolder::No, new_store_id()),
            Some(id) => match store::open(&meant.url) {
                Ok((_, marker)) if marker.id != id => return Err(other_store(&meant.url, false).into()),
                Err(StoreError::Missing { .. }) if is_empty_folder(&meant.url) => {
                    return Err(other_store(&meant.url, true).into());
                }
                other => other,
            },
        };
        let (store, marker) = opened?;
        known.remember(&state, &meant.url, &marker)?;
        Self::with(meant, store, marker, run)
    }

    fn with(meant: Meant, store: Box<dyn Store>, marker: Marker, run: &Run) -> Result<Self, Failure> {
        let state = StateDir::open(run.common())?;
        Ok(Self { meant, store, marker, state })
    }

    /// This application's part of the store.
    pub(crate) fn place(&self) -> &Place {
        &self.meant.place
    }

    /// Where the journal of stopped services lies.
    pub(crate) fn desk(&self) -> Desk<'_> {
        Desk { state: &self.state, place: self.place() }
    }

    /// Keeps every other writer of this application away, here and at the store.
    pub(crate) fn claim(&self) -> Result<Claim, Failure> {
        self.claim_with(lock(&self.state, self.place())?)
    }

    /// The same, where those of this machine are kept away already.
    pub(crate) fn claim_with(&self, state: Lock) -> Result<Claim, Failure> {
        let Place { host, app } = self.place();
        let store = self.store.claim(&format!("{host}/{app}"))?;
        Ok(Claim { _state: state, _store: store })
    }
}

/// Keeps every other writer of this application on this machine away.
pub(crate) fn lock(state: &StateDir, place: &Place) -> Result<Lock, LockError> {
    state.lock(&format!("backup-{}-{}", place.host, place.app))
}

/// Whether any store will do, or only the one that was used under this URL before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptStore {
    /// Any.
    Any,
    /// Only that one, if there was one.
    OnlyTheKnown,
}

/// The locks of a run; free again when dropped.
pub(crate) struct Claim {
    _state: Lock,
    _store: Box<dyn Send>,
}

/// How the objects of a run are written: what the flags say, else the configuration.
pub(crate) struct Keys {
    /// Compression and encryption.
    pub(crate) wrapping: Wrapping,
    /// Whom to encrypt to; empty without encryption.
    pub(crate) recipients: Recipients,
}

impl Keys {
    /// Decides; having no recipient is an error unless it was said to be on purpose.
    pub(crate) fn new(
        config: &Config,
        flags: &[String],
        compression: Option<Compression>,
        no_encryption: bool,
    ) -> Result<Self, KeyError> {
        let compression = compression.or(config.store.compression).unwrap_or_default();
        let encryption = if no_encryption { Encryption::None } else { config.store.encryption.unwrap_or_default() };
        let recipients = match encryption {
            Encryption::None => Recipients::default(),
            Encryption::Age if flags.is_empty() => {
                Recipients::read(&config.store.recipients, config.store.recipients_file.as_deref())?
            }
            Encryption::Age => Recipients::read(flags, None)?,
        };
        if encryption == Encryption::Age && recipients.is_empty() {
            return Err(KeyError::NoRecipient);
        }
        Ok(Self { wrapping: Wrapping { compression, encryption }, recipients })
    }

    /// For writing objects.
    pub(crate) fn sealing<'a>(&'a self, target: &'a Target) -> Sealing<'a> {
        Sealing {
            store: target.store.as_ref(),
            place: target.place(),
            wrapping: self.wrapping,
            recipients: &self.recipients,
        }
    }
}

/// 32 random hex digits.
pub(crate) fn new_store_id() -> String {
    hex(&rand::rng().random::<[u8; 16]>())
}

/// The stores that this machine has written to, so that an unmounted disk is not taken for a new store.
struct Known {
    ids: BTreeMap<String, String>,
}

impl Known {
    fn load(state: &StateDir) -> Self {
        match state.read_json(STORES) {
            Ok(Loaded::Found(ids)) => Self { ids },
            // Lost knowledge costs a safeguard, not the backup.
            Ok(Loaded::Absent | Loaded::Corrupt { .. }) | Err(_) => Self { ids: BTreeMap::new() },
        }
    }

    fn id_at(&self, url: &str) -> Option<String> {
        self.ids.get(url).cloned()
    }

    fn remember(mut self, state: &StateDir, url: &str, marker: &Marker) -> Result<(), Failure> {
        if self.ids.get(url) != Some(&marker.id) {
            self.ids.insert(url.to_owned(), marker.id.clone());
            state.write_json(STORES, &self.ids)?;
        }
        Ok(())
    }
}

fn is_empty_folder(url: &str) -> bool {
    let path = url.strip_prefix("file://").unwrap_or(url);
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn other_store(url: &str, empty: bool) -> TargetError {
    TargetError::OtherStore { url: url.to_owned(), empty }
}
