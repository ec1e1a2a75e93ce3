//! Which parts of a snapshot are meant: payloads by name, paths by pattern.

use std::collections::HashSet;

use shipshape_core::archive::entry::{Entry, Kind};
use shipshape_core::archive::manifest::{Manifest, Payload, PayloadKind};
use shipshape_core::archive::patterns::{Is, PatternError, Patterns};
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PickError {
    /// No payload has that name.
    #[error("the snapshot has no payload {name:?}")]
    NoPayload {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// No path matches.
    #[error("nothing in the snapshot matches {}", patterns.join(" "))]
    NothingMatches {
        /// The patterns.
        patterns: Vec<String>,
    },
    /// A text is not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Explain for PickError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoPayload { .. } => "restore.no_payload",
            Self::NothingMatches { .. } => "restore.nothing_matches",
            Self::Pattern(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoPayload { known, .. } => format!("it has: {}", known.join(", ")),
            Self::NothingMatches { .. } => "see what is in it: restore list SNAPSHOT".to_owned(),
            Self::Pattern(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoPayload { .. } | Self::NothingMatches { .. } => Exit::Unknown,
            Self::Pattern(cause) => cause.exit(),
        }
    }
}

/// What is restored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picked {
    /// The payloads that go into folders, files first, because they have the folders that the others lie in.
    pub(crate) payloads: Vec<Payload>,
    /// The databases of servers, and what belongs to whole servers.
    pub(crate) databases: Vec<Payload>,
    /// The same, where they become files.
    pub(crate) dumps: Vec<Payload>,
    /// The payloads that stay as they are.
    pub(crate) others: Vec<Payload>,
    /// The paths; none for all.
    pub(crate) paths: Patterns,
    /// Whether all goes to where it is live.
    pub(crate) in_place: bool,
    /// Paths of single files that stay as they are: no link of the snapshot comes in their place.
    pub(crate) singles: HashSet<Vec<u8>>,
    /// Paths that are never restored: SQLite's own, beside databases that are restored whole.
    pub(crate) companions: HashSet<Vec<u8>>,
}

impl Picked {
    /// Understands `--only` and `--path`.
    pub(crate) fn new(manifest: &Manifest, only: &[String], paths: &[String]) -> Result<Self, PickError> {
        let known = || manifest.payloads.iter().map(|payload| payload.name.clone()).collect();
        if let Some(name) = only.iter().find(|name| !manifest.payloads.iter().any(|payload| payload.name == **name)) {
            return Err(PickError::NoPayload { name: name.clone(), known: known() });
        }
        let is_meant = |payload: &Payload| only.is_empty() || only.contains(&payload.name);
        let (databases, rest): (Vec<_>, Vec<_>) =
            manifest.payloads.iter().cloned().partition(|payload| payload.kind == PayloadKind::Database);
        // What is in a database has no path.
        let databases = databases.into_iter().filter(|payload| is_meant(payload) && paths.is_empty()).collect();
        let (mut payloads, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_meant);
        payloads.sort_by_key(|payload| payload.kind);
        Ok(Self {
            payloads,
            databases,
            dumps: Vec::new(),
            others,
            paths: Patterns::new(paths)?,
            in_place: false,
            singles: HashSet::new(),
            companions: HashSet::new(),
        })
    }

    /// For an archive without payloads.
    pub(crate) fn by_path(paths: &[String]) -> Result<Self, PickError> {
        Ok(Self { paths: Patterns::new(paths)?, ..Self::default() })
    }

    /// Whether an entry is meant: it or a folder above it.
    pub(crate) fn takes(&self, entry: &Entry) -> bool {
        let stays = entry.kind == Kind::Symlink && self.singles.contains(&entry.path.0);
        self.matches(entry) && !self.is_companion(entry) && !stays
    }

    /// Whether an entry would be meant, if it were not what belongs to a live database.
    pub(crate) fn passes_over(&self, entry: &Entry) -> bool {
        self.is_companion(entry) && self.matches(entry)
    }

    fn matches(&self, entry: &Entry) -> bool {
        let is = if entry.kind == Kind::Dir { Is::Folder } else { Is::Other };
        self.paths.is_empty() || self.paths.covers(&entry.path.0, is)
    }

    fn is_companion(&self, entry: &Entry) -> bool {
        entry.kind != Kind::Dir && self.companions.contains(&entry.path.0)
    }

    /// Whether a file of that path is meant.
    pub(crate) fn takes_file(&self, path: &[u8]) -> bool {
        !self.companions.contains(path) && (self.paths.is_empty() || self.paths.covers(path, Is::Other))
    }

    /// Bytes of the payloads that are no files: they need no index to be known.
    pub(crate) fn tar_bytes(&self) -> u64 {
        let tars = self.payloads.iter().filter(|payload| payload.kind != PayloadKind::Files);
        tars.map(|payload| payload.bytes_plain).sum()
    }

    /// The error where nothing was found.
    pub(crate) fn nothing(&self) -> PickError {
        PickError::NothingMatches { patterns: self.paths.texts().to_vec() }
    }
}
