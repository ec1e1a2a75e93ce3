//! The plan of a snapshot: what is taken, decided before anything is read or written.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::{Bytes, path_order};
use shipshape_core::archive::index::Root;
use shipshape_core::archive::patterns::Patterns;
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;

use crate::cache::{Database, Previous};
use crate::cli::RunArgs;
use crate::sources::discovery::Known;
use crate::target::{Meant, TargetError};
use crate::walk::{Rules, Walk};

/// How the folder begins that a restore makes inside its target, and removes at its end.
const UNFINISHED: &[u8] = b".shipshape-restore-";

/// Configuration files, where the owner names none.
const DEFAULT_CONFIG: &str = ".env*";

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// A source is not there.
    #[error("the source {} does not exist", path.display())]
    MissingSource {
        /// The path.
        path: PathBuf,
        /// Why it cannot be used.
        #[source]
        cause: std::io::Error,
    },
    /// No part has that name.
    #[error("there is no part named {name:?}")]
    UnknownPart {
        /// What was asked for.
        name: String,
        /// The parts there are.
        known: Vec<String>,
    },
}

impl Explain for PlanError {
    fn code(&self) -> &'static str {
        match self {
            Self::MissingSource { .. } => "source.missing",
            Self::UnknownPart { .. } => "source.unknown_part",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::MissingSource { path, .. } => {
                format!("is the disk mounted? Otherwise correct --files or [backup] files: ls -ld {}", path.display())
            }
            Self::UnknownPart { known, .. } => format!("name one of these with --only: {}", known.join(", ")),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            // The data that should be saved is not there: that is what a backup is to cry out about.
            Self::MissingSource { .. } => Exit::Critical,
            Self::UnknownPart { .. } => Exit::Unknown,
        }
    }
}

/// What is to be taken.
pub(crate) struct Plan {
    /// The application's folder.
    pub(crate) app_dir: PathBuf,
    /// The trees of files, in the order of the index, none inside another.
    pub(crate) roots: Vec<Root>,
    /// What the walk leaves out.
    pub(crate) rules: Rules,
    /// Databases and configuration.
    pub(crate) known: Known,
    /// Databases that the owner has named: these must be there.
    stated: BTreeMap<Bytes, PathBuf>,
    /// The parts that were asked for; empty for all.
    pub(crate) only: Vec<String>,
}

impl Plan {
    /// Decides, from the flags, the configuration and what the last snapshot had.
    pub(crate) fn new(
        meant: &Meant,
        own: Vec<PathBuf>,
        args: &RunArgs,
        previous: Option<&Previous>,
    ) -> Result<Self, Failure> {
        let no_folder = || TargetError::NoFolder { app: meant.app.name.clone() };
        let app_dir = meant.app.dir.clone().ok_or_else(no_folder)?;
        let section = &meant.config.backup;
        let files = if args.files.is_empty() { &section.files } else { &args.files };
        let exclude: Vec<String> = section.exclude.iter().chain(&args.exclude).cloned().collect();
        let rules = Rules {
            exclude: Patterns::new(&exclude)?,
            own,
            one_file_system: args.one_file_system || section.one_file_system,
        };
        let config = if section.config.is_empty() { vec![DEFAULT_CONFIG.to_owned()] } else { section.config.clone() };
        let known = Known { config: Patterns::new(&config)?, ..Known::default() };
        let roots = roots(&app_dir, files)?;
        let mut plan = Self { app_dir, roots, rules, known, stated: BTreeMap::new(), only: args.only.clone() };
        plan.know_databases(&section.sqlite, previous);
        Ok(plan)
    }

    /// Databases that were found before keep their names; those that the owner names come first.
    fn know_databases(&mut self, stated: &[PathBuf], previous: Option<&Previous>) {
        for Database { name, path } in previous.map(|previous| previous.databases.as_slice()).unwrap_or_default() {
            self.known.databases.insert(path.clone(), name.clone());
        }
        for path in stated {
            let source = self.app_dir.join(path);
            let path = prefix_of(&self.app_dir, &source);
            if !self.known.databases.contains_key(&path) {
                self.known.add(path.clone());
            }
            self.stated.insert(path, source);
        }
    }

    /// The walk over everything.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk::new(&self.app_dir, &self.roots, &self.rules)
    }

    /// Whether a part is to be taken.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }

    /// Whether a database must be there, because its owner says so.
    pub(crate) fn is_stated(&self, path: &Bytes) -> bool {
        self.stated.contains_key(path)
    }

    /// The sources as a restore has to know them: the trees, and databases that lie outside the application's folder.
    pub(crate) fn sources(&self) -> Vec<Root> {
        let outside = self.stated.iter().filter(|(_, source)| !source.starts_with(&self.app_dir));
        let outside =
            outside.map(|(path, source)| Root { prefix: path.clone(), path: source.as_os_str().as_bytes().into(), volume: None });
        self.roots.iter().cloned().chain(outside).collect()
    }

    /// The folder in which a restore builds and swaps, if one lies in a source: see `restore`.
    pub(crate) fn unfinished_restore(&self) -> Option<PathBuf> {
        let sources = self.roots.iter().map(Root::source).chain([self.app_dir.clone()]);
        let entries = sources.flat_map(|source| std::fs::read_dir(source).into_iter().flatten().flatten());
        let mut paths = entries.map(|entry| entry.path());
        paths.find(|path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(UNFINISHED)))
    }

    /// Where a path of the index is on this machine.
    pub(crate) fn source_of(&self, path: &Bytes) -> PathBuf {
        if let Some(source) = self.stated.get(path) {
            return source.clone();
        }
        let relative = Path::new(std::ffi::OsStr::from_bytes(&path.0));
        let outside = self
            .roots
            .iter()
            .find(|root| !root.source().starts_with(&self.app_dir) && path.0.starts_with(&root.prefix.0));
        match outside {
            Some(_) => Path::new("/").join(relative),
            None => self.app_dir.join(relative),
        }
    }

    /// Fails when a part was asked for that is none.
    pub(crate) fn check_parts(&self) -> Result<(), PlanError> {
        let fixed = ["files", "config"].map(str::to_owned);
        let known: Vec<String> = fixed.into_iter().chain(self.known.databases.values().cloned()).collect();
        match self.only.iter().find(|name| !known.contains(name)) {
            Some(name) => Err(PlanError::UnknownPart { name: name.clone(), known }),
            None => Ok(()),
        }
    }
}

/// The roots in the order of the index. One inside another is part of it already.
fn roots(app_dir: &Path, files: &[PathBuf]) -> Result<Vec<Root>, PlanError> {
    let everything = [PathBuf::from(".")];
    let files = if files.is_empty() { &everything } else { files };
    let mut roots: Vec<Root> = Vec::new();
    for path in files {
        roots.push(root(app_dir, &app_dir.join(path))?);
    }
    roots.sort_by(|a, b| path_order(&a.prefix.0, &b.prefix.0));
    let all = roots.clone();
    let inside = |root: &Root| all.iter().any(|other| other != root && is_part_of(root, other));
    roots.retain(|root| !inside(root));
    roots.dedup();
    Ok(roots)
}

/// Whether a root is met anyway by walking over another.
fn is_part_of(root: &Root, other: &Root) -> bool {
    let (prefix, above) = (root.prefix.0.as_slice(), other.prefix.0.as_slice());
    let below = above == b"." || prefix.strip_prefix(above).is_some_and(|rest| rest.starts_with(b"/"));
    below && root.source().starts_with(other.source())
}

/// A root that is itself a link stands for what it links to: whoever names `uploads` means the uploads.
fn root(app_dir: &Path, path: &Path) -> Result<Root, PlanError> {
    let missing = |cause| PlanError::MissingSource { path: path.to_owned(), cause };
    let source = path.canonicalize().map_err(missing)?;
    Ok(Root { prefix: prefix_of(app_dir, &clean(path)), path: source.as_os_str().as_bytes().into(), volume: None })
}

/// The path without `.` and `..` parts, as it was meant, links left alone.
fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(cleaned.pop()),
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// A path as the index names it: relative to the application's folder, or absolute without its leading slash.
fn prefix_of(app_dir: &Path, path: &Path) -> Bytes {
    let path = clean(path);
    let relative = path.strip_prefix(app_dir).unwrap_or_else(|_| path.strip_prefix("/").unwrap_or(&path));
    match relative.as_os_str().as_bytes() {
        b"" => b".".as_slice().into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(app_dir: &Path, files: &[&str]) -> Vec<String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        roots(app_dir, &files).unwrap().iter().map(|root| root.prefix.shown()).collect()
    }

    #[test]
    fn a_root_inside_another_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(app.join("a/b")).unwrap();
        std::fs::create_dir_all(app.join("a-c")).unwrap();
        assert_eq!(prefixes(&app, &["a/b", "a", "a-c"]), ["a", "a-c"]);
        assert_eq!(prefixes(&app, &["a", "."]), ["."]);
        assert_eq!(prefixes(&app, &[]), ["."]);
        assert_eq!(prefixes(&app, &["./a/../a-c/"]), ["a-c"]);
    }

    #[test]
    fn a_root_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = roots(folder.path(), &[PathBuf::from("uploads")]).unwrap_err();
        assert_eq!(refused.code(), "source.missing");
    }

    #[test]
    fn a_root_that_is_a_link_stands_for_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().canonicalize().unwrap().join("app");
        std::fs::create_dir_all(&app).unwrap();
        std::fs::create_dir_all(folder.path().join("shared")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("shared"), app.join("uploads")).unwrap();
        let found = roots(&app, &[PathBuf::from("uploads")]).unwrap();
        assert_eq!(found[0].prefix.shown(), "uploads");
        assert!(found[0].source().ends_with("shared"));
    }
}
