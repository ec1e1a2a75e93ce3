//! Which sources a run reads: what the command line names, else the configuration, else what offers itself.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use shipshape_core::config::{App, Config, LogwatchSection};

use super::absent::Absent;
use super::compose::{self, ALL};
use super::container::PREFIX as COPY;
use super::file::LogFile;
use super::journal::Unit;
use super::stdin::{NAME as STDIN_KEY, NothingComes, Piped, Stdin, piped};
use super::{Cursor, Source, SourceError};
use crate::cli::SourceArgs;

/// The word for standard input.
const STDIN: &str = "-";

/// What is to be read, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    files: Vec<PathBuf>,
    services: Vec<String>,
    units: Vec<String>,
}

impl Named {
    /// What flags and arguments name.
    fn by_flags(args: &SourceArgs) -> Self {
        Self { files: args.files.clone(), services: args.service.clone(), units: args.unit.clone() }
    }

    /// What the section names.
    fn by_section(section: &LogwatchSection) -> Self {
        let files = section.files.iter().map(PathBuf::from).collect();
        Self { files, services: section.services.clone(), units: section.units.clone() }
    }

    fn anywhere(args: &SourceArgs, config: &Config) -> Self {
        let flags = Self::by_flags(args);
        if flags.is_nothing() { Self::by_section(&config.logwatch) } else { flags }
    }

    /// Files, and standard input where it is named.
    fn files(&self, base: &Path, allow_empty: bool) -> Vec<Box<dyn Source>> {
        let nothing_comes = if allow_empty { NothingComes::IsFine } else { NothingComes::IsAnError };
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for file in &self.files {
            match file.to_str() {
                Some(STDIN) => sources.push(Box::new(Stdin::new(nothing_comes))),
                Some(pattern) => match LogFile::expand(pattern, base) {
                    Ok(logs) => sources.extend(logs.into_iter().map(|log| Box::new(log) as Box<dyn Source>)),
                    Err(error) => sources.push(Box::new(Absent::new(pattern.to_owned(), error))),
                },
                // Patterns are text. Any other name is that of one file.
                None => sources.push(Box::new(LogFile::new(&base.join(file)))),
            }
        }
        sources
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The sources to read. Flags beat the configuration, and what is named anywhere beats what only offers itself: so where
/// the configuration names sources, what is piped in is read only if `-` is named too.
pub(crate) fn plan(
    args: &SourceArgs,
    config: &Config,
    app: &App,
    allow_empty: bool,
) -> Result<Vec<Box<dyn Source>>, SourceError> {
    let dir = app.dir.as_deref();
    let named = Named::anywhere(args, config);
    // Who names nothing means what is piped in, or the project of the folder.
    let named = if named.is_nothing() { offered(dir)? } else { named };
    // The shell's own paths lead from where one stands, the configuration's from the application's folder.
    let base = if Named::by_flags(args).is_nothing() { dir.unwrap_or(Path::new("/")) } else { Path::new(".") };
    let mut sources = named.files(base, allow_empty);
    if !named.services.is_empty() {
        match compose::sources(dir, &named.services) {
            // An engine that does not answer does not keep files from being read.
            Err(error @ SourceError::Stack(_)) => sources.push(Box::new(Absent::new("services".to_owned(), error))),
            told => sources.extend(told?),
        }
    }
    let journal = args.journal_dir.as_deref();
    sources.extend(named.units.iter().map(|unit| Box::new(Unit::new(unit, journal)) as Box<dyn Source>));
    Ok(once(sources))
}

/// What was read in earlier runs (`known` is where it was left) and is gone, without anything in its place among
/// `sources`: that is told once.
pub(crate) fn gone(
    args: &SourceArgs,
    config: &Config,
    sources: &[Box<dyn Source>],
    known: &BTreeMap<String, Cursor>,
) -> Vec<Box<dyn Source>> {
    let named = Named::anywhere(args, config);
    let offers_itself = named.is_nothing() && sources.iter().all(|source| source.key() != STDIN_KEY);
    let services = if offers_itself { vec![ALL.to_owned()] } else { named.services };
    compose::gone(&services, sources, known)
}

/// The copies that there are by now of the services that are read, for those who go on looking.
///
/// # Errors
/// The stack does not answer, or nothing of the kind is read.
pub(crate) fn copies(args: &SourceArgs, config: &Config, app: &App) -> Result<Vec<Box<dyn Source>>, SourceError> {
    let named = Named::anywhere(args, config);
    let services = if named.is_nothing() { vec![ALL.to_owned()] } else { named.services };
    let mut copies = compose::sources(app.dir.as_deref(), &services)?;
    // A service that has no container may get one again.
    copies.retain(|source| is_copy(source.as_ref()));
    Ok(copies)
}

/// Whether a source is a copy of a service.
pub(crate) fn is_copy(source: &dyn Source) -> bool {
    source.key().starts_with(COPY)
}

/// What offers itself where nothing is named.
fn offered(dir: Option<&Path>) -> Result<Named, SourceError> {
    let piped = piped();
    let has_project = piped != Piped::Something && dir.map_or(Ok(false), compose::is_in)?;
    chosen(piped, has_project).ok_or(SourceError::Nothing)
}

/// What is piped in; but a pipe that nobody writes to (cron's) is nothing where there is a project.
fn chosen(piped: Piped, has_project: bool) -> Option<Named> {
    match (piped, has_project) {
        (Piped::Something, _) | (Piped::Nobody, false) => Some(Named { files: vec![STDIN.into()], ..Named::default() }),
        (Piped::Nobody | Piped::Nothing, true) => Some(Named { services: vec![ALL.to_owned()], ..Named::default() }),
        (Piped::Nothing, false) => None,
    }
}

/// Each source once, however often it is named, and each file once, whatever names it has.
fn once(sources: Vec<Box<dyn Source>>) -> Vec<Box<dyn Source>> {
    let mut met = BTreeSet::new();
    let mut files = BTreeMap::new();
    let mut kept: Vec<Box<dyn Source>> = Vec::new();
    for source in sources.into_iter().filter(|source| met.insert(source.key())) {
        let Some((inode, is_real)) = source.file().and_then(inode) else {
            kept.push(source);
            continue;
        };
        match files.entry(inode) {
            Entry::Vacant(vacant) => {
                vacant.insert((kept.len(), is_real));
                kept.push(source);
            }
            // A link may lead elsewhere tomorrow, while what it led to is still written.
            Entry::Occupied(mut occupied) if is_real && !occupied.get().1 => {
                kept[occupied.get().0] = source;
                occupied.get_mut().1 = true;
            }
            Entry::Occupied(_) => {}
        }
    }
    kept
}

/// Which file is found under a name, and whether that is its own name and no link's.
fn inode(path: &Path) -> Option<((u64, u64), bool)> {
    let facts = path.metadata().ok()?;
    let is_real = path.canonicalize().is_ok_and(|real| real == path);
    Some(((facts.dev(), facts.ino()), is_real))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sources: SourceArgs,
    }

    fn keys(line: &[&str], section: &str) -> Vec<String> {
        let args = Line::parse_from([&["logwatch"], line].concat()).sources;
        let config = Config { logwatch: toml(section), ..Config::default() };
        let app = App { name: "demo".to_owned(), dir: Some("/srv/demo".into()) };
        let sources = plan(&args, &config, &app, false).unwrap();
        sources.iter().map(|source| source.key()).collect()
    }

    fn toml(section: &str) -> LogwatchSection {
        serde_json::from_str(section).unwrap()
    }

    const SECTION: &str = r#"{"files": ["storage/laravel.log"], "units": ["ssh"]}"#;

    #[test]
    fn flags_beat_the_configuration() {
        assert_eq!(keys(&["-", "--unit", "cron"], SECTION), ["stdin", "unit:cron.service"]);
    }

    #[test]
    fn the_files_of_the_configuration_lie_in_the_folder_of_the_application() {
        assert_eq!(keys(&[], SECTION), ["file:/srv/demo/storage/laravel.log", "unit:ssh.service"]);
    }

    #[test]
    fn a_source_that_is_named_twice_is_read_once() {
        assert_eq!(keys(&["-", "-", "--unit", "ssh", "--unit", "ssh.service"], "{}"), ["stdin", "unit:ssh.service"]);
    }

    #[test]
    fn a_file_with_several_names_is_read_once_under_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().canonicalize().unwrap();
        for name in ["b.log", "c.log"] {
            std::fs::write(dir.join(name), "line\n").unwrap();
        }
        std::os::unix::fs::symlink("b.log", dir.join("a.log")).unwrap();
        std::fs::hard_link(dir.join("c.log"), dir.join("d.log")).unwrap();
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let key = |name: &str| format!("file:{}", path(name));
        assert_eq!(keys(&[&path("*.log")], "{}"), [key("b.log"), key("c.log")]);
        assert_eq!(keys(&[&path("a.log")], "{}"), [key("a.log")], "a link that is named alone is meant");
        assert_eq!(keys(&[&path("none.log"), &path("nor.log")], "{}").len(), 2);
    }

    #[test]
    fn a_container_that_is_gone_is_told_where_its_service_is_meant() {
        let left = r#"{"container": {"id": "a", "service": "app", "file": null, "recent": [], "marks": {}, "looked": "2026-11-20T12:00:00Z"}}"#;
        let known = BTreeMap::from([("container:app-2".to_owned(), serde_json::from_str(left).unwrap())]);
        let gone = |line: &[&str], sources: &[Box<dyn Source>]| {
            let args = Line::parse_from([&["logwatch"], line].concat()).sources;
            gone(&args, &Config::default(), sources, &known).len()
        };
        assert_eq!((gone(&["--service", "app"], &[]), gone(&["--service", "*"], &[])), (1, 1));
        assert_eq!((gone(&["--service", "queue"], &[]), gone(&["--unit", "ssh"], &[])), (0, 0));
        let stdin: Box<dyn Source> = Box::new(Stdin::new(NothingComes::IsFine));
        assert_eq!((gone(&[], &[]), gone(&[], &[stdin])), (1, 0));
    }

    #[test]
    fn services_without_a_project_are_an_error() {
        let args = SourceArgs { service: vec!["app".to_owned()], ..SourceArgs::default() };
        let app = App { name: "demo".to_owned(), dir: None };
        let refused = plan(&args, &Config::default(), &app, false);
        assert!(matches!(refused, Err(SourceError::NoProject { place: None })));
    }

    #[test]
    fn where_nothing_is_named_the_pipe_is_read_and_else_the_project() {
        let stdin = || Some(Named { files: vec!["-".into()], ..Named::default() });
        let project = || Some(Named { services: vec!["*".to_owned()], ..Named::default() });
        assert_eq!((chosen(Piped::Something, true), chosen(Piped::Something, false)), (stdin(), stdin()));
        assert_eq!((chosen(Piped::Nobody, true), chosen(Piped::Nobody, false)), (project(), stdin()));
        assert_eq!((chosen(Piped::Nothing, true), chosen(Piped::Nothing, false)), (project(), None));
    }
}
