//! The plan of a snapshot: what is taken, decided before anything is read or written.

mod roots;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::index::Root;
use shipshape_core::archive::patterns::{Is, Patterns};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::report::Notice;

use crate::cache::{Database, Previous};
use crate::cli::RunArgs;
use crate::sources::data_folders::DataFolders;
use crate::sources::discovery::{CONFIG_LIMIT, Known, Taken, is_database};
use crate::sources::volumes::{Kept, Omitted};
use crate::stack::Surroundings;
use crate::target::Meant;
use crate::walk::{Rules, Walk};
use roots::prefix_of;

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
    /// What services keep and is not copied as files, and why.
    pub(crate) omitted: Vec<Omitted>,
    /// Files that the stack needs to start and that no source holds.
    outside: Vec<PathBuf>,
    /// Volumes that services mount and that do not exist.
    never_made: Vec<String>,
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
        surroundings: &Surroundings,
    ) -> Result<Self, Failure> {
        let app_dir = meant.folder()?.to_owned();
        let section = &meant.config.backup;
        let files = if args.files.is_empty() { &section.files } else { &args.files };
        let exclude: Vec<String> = section.exclude.iter().chain(&args.exclude).cloned().collect();
        let mut kept = if args.only == ["config"] {
            Kept::default()
        } else {
            Kept::look(surroundings, &app_dir, &section.exclude_volumes)?
        };
        let named = files.iter().filter_map(|path| app_dir.join(path).canonicalize().ok()).collect();
        let rules = Rules {
            exclude: Patterns::new(&exclude)?,
            own,
            data: DataFolders::new(&kept, named),
            one_file_system: args.one_file_system || section.one_file_system,
        };
        let config = if section.config.is_empty() { vec![DEFAULT_CONFIG.to_owned()] } else { section.config.clone() };
        let known = Known { config: Patterns::new(&config)?, ..Known::default() };
        let mut roots = roots::stated(&app_dir, files)?;
        roots.retain(|root| root.prefix.0 == b"." || !rules.data.is_mounted(&root.source()));
        let (omitted, only) = (std::mem::take(&mut kept.omitted), args.only.clone());
        let never_made = std::mem::take(&mut kept.never_made);
        let mut plan = Self {
            app_dir,
            roots,
            rules,
            known,
            stated: BTreeMap::new(),
            omitted,
            outside: Vec::new(),
            never_made,
            only,
        };
        plan.keep(kept)?;
        plan.know_stack_files(surroundings)?;
        plan.known.taken = Taken { roots: plan.roots.clone(), exclude: plan.rules.exclude.clone() };
        plan.leave_outside();
        plan.know_databases(&section.sqlite, previous);
        Ok(plan)
    }

    /// Adds what services keep outside the application's folder, and says what of it is left out.
    fn keep(&mut self, kept: Kept) -> Result<(), Failure> {
        if let Some(refused) = kept.unreachable.filter(|_| self.wants("files")) {
            return Err(refused.into());
        }
        let is_left_out = |root: &Root| {
            self.rules.exclude.covers(&root.prefix.0, Is::Folder) || self.rules.own.contains(&root.source())
        };
        let unfound = kept.unfound.into_iter().find(|(root, _)| self.wants("files") && !is_left_out(root));
        if let Some((_, refused)) = unfound {
            return Err(refused.into());
        }
        let (excluded, roots): (Vec<Root>, Vec<Root>) = kept.roots.into_iter().partition(is_left_out);
        let what = |root: Root| root.volume.clone().unwrap_or_else(|| root.path.shown());
        let why = "[backup] exclude has it, or it is the store";
        self.omitted.extend(excluded.into_iter().map(|root| Omitted { what: what(root), why: why.to_owned() }));
        self.roots = roots::with_kept(std::mem::take(&mut self.roots), roots);
        // What the owner has narrowed stays narrow; that a service keeps something beside it is worth knowing.
        let why = "[backup] files does not have it";
        let narrowed = kept.inside.iter().filter(|folder| !self.holds(folder));
        let narrowed = narrowed.map(|folder| Omitted { what: folder.display().to_string(), why: why.to_owned() });
        let narrowed: Vec<Omitted> = narrowed.collect();
        self.omitted.extend(narrowed);
        Ok(())
    }

    /// The files without which the stack cannot start are configuration, wherever `files` looks.
    fn know_stack_files(&mut self, surroundings: &Surroundings) -> Result<(), Failure> {
        let Some(stack) = surroundings.stack() else { return Ok(()) };
        let mut files = stack.files()?;
        // Whatever word of a Compose file is a file there counts as one that it needs; data may be among them.
        let is_small = |path: &Path| path.metadata().is_ok_and(|facts| facts.len() <= CONFIG_LIMIT);
        files.retain(|path| is_small(path) && !is_database(path));
        // By a folder that is a link, too: the walk does not follow it.
        let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
        let is_inside = |path: &PathBuf| {
            path.starts_with(&self.app_dir) && folder(path).is_some_and(|it| it.starts_with(&self.app_dir))
        };
        (files, self.outside) = files.into_iter().partition(is_inside);
        self.known.files = files.iter().map(|path| prefix_of(&self.app_dir, path)).collect();
        let roots = std::mem::take(&mut self.roots);
        self.roots = roots::with_files(roots, &self.app_dir, &files);
        Ok(())
    }

    /// Files of the stack that lie elsewhere come along where a source has them, and are named where none has.
    fn leave_outside(&mut self) {
        let taken = &self.known.taken;
        self.outside.retain(|path| !path.canonicalize().is_ok_and(|file| taken.has(&file)));
        let why =
            "the stack needs it, it lies outside of the application's folder, and [backup] files does not have it";
        let omitted = |path: &PathBuf| Omitted { what: path.display().to_string(), why: why.to_owned() };
        self.omitted.extend(self.outside.iter().map(omitted));
    }

    /// A word about volumes that services mount and that do not exist: of a project that was never started, perhaps because
    /// another one was.
    pub(crate) fn never_made(&self) -> Option<Notice> {
        let message =
            format!("volumes that services mount do not exist, and were not copied: {}", self.never_made.join(", "));
        let hint = "is this the project that runs? docker compose ls; docker volume ls. If they are not needed yet: \
                    [backup] exclude_volumes";
        (!self.never_made.is_empty() && self.wants("files")).then(|| Notice::new("volume.absent", message, hint))
    }

    /// A word about files without which the stack does not start and that are in no part of the snapshot.
    pub(crate) fn outside(&self) -> Option<Notice> {
        let names: Vec<String> = self.outside.iter().map(|path| path.display().to_string()).collect();
        let message = format!(
            "the stack needs files outside of the application's folder, which were left out: {}",
            names.join(", ")
        );
        let hint = format!("name them, so that they come back: [backup] files = [\".\", \"{}\"]", names.join("\", \""));
        (!names.is_empty()).then(|| Notice::new("config.outside", message, hint))
    }

    /// Whether a path lies in a source.
    fn holds(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root.source()))
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

    /// What is left out, as patterns: a restore in place leaves that alone.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let data = self.rules.data.patterns(&self.roots);
        self.rules.exclude.texts().iter().cloned().chain(data).collect()
    }

    /// What is not copied as files: of what services keep, and of what was recognised on the walk.
    pub(crate) fn all_omitted(&self) -> Vec<Omitted> {
        self.omitted.iter().cloned().chain(self.rules.data.recognised()).collect()
    }

    /// The sources as a restore has to know them: the trees, and databases that lie outside the application's folder.
    pub(crate) fn sources(&self) -> Vec<Root> {
        let is_in_volume =
            |source: &Path| self.roots.iter().any(|root| root.volume.is_some() && source.starts_with(root.source()));
        let outside = self.stated.iter().filter(|(_, source)| !source.starts_with(&self.app_dir));
        let outside = outside.filter(|(_, source)| !is_in_volume(source));
        let outside = outside.map(|(path, source)| Root {
            prefix: path.clone(),
            path: source.as_os_str().as_bytes().into(),
            volume: None,
        });
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
        let shown = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        let below = |root: &Root| path.0.strip_prefix(root.prefix.0.as_slice())?.strip_prefix(b"/").map(shown);
        match self.roots.iter().find_map(|root| Some(root.source().join(below(root)?))) {
            Some(source) => source,
            None => self.app_dir.join(shown(&path.0)),
        }
    }

    /// Whether databases of servers may be among what is asked for, and which names other payloads have.
    pub(crate) fn servers_wanted(&self) -> bool {
        let is_other = |name: &String| {
            matches!(name.as_str(), "files" | "config") || self.known.databases.values().any(|other| other == name)
        };
        self.only.is_empty() || !self.only.iter().all(is_other)
    }

    /// Fails when a part was asked for that is none.
    pub(crate) fn check_parts(&self) -> Result<(), PlanError> {
        let fixed = ["files", "config"].map(str::to_owned);
        let databases = self.known.databases.values().chain(&self.known.reserved).cloned();
        let known: Vec<String> = fixed.into_iter().chain(databases).collect();
        match self.only.iter().find(|name| !known.contains(name)) {
            Some(name) => Err(PlanError::UnknownPart { name: name.clone(), known }),
            None => Ok(()),
        }
    }
}
