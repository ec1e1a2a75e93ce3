//! A dump that somebody brings. It is read to its end before anything is asked, so that a broken one costs nothing; then it
//! is loaded beside the live database that it is of, compared with what it has shown itself, and swapped.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::archive::unseal::Plain;
use shipshape_core::clock::Stopwatch;
use shipshape_core::database::dump::{Content, LoadError, Loader, Seen};
use shipshape_core::database::{Database, Facts};
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::units::{counted, spoken};

use super::BareError;
use super::part::Loss;
use super::sniff::{self, Kind};
use crate::ask;
use crate::cli::With;
use crate::database::{Dump, Item, Name, Plan, Records, RestoreError, Site, Swapped};
use crate::place::{PlaceError, settle_unless, shown};
use crate::target::TargetError;
use crate::tree::Tree;
use crate::unpack::{self, UnpackError, Unpacked};

/// A dump that was read to its end and is whole.
pub(super) struct Proven {
    kind: Kind,
    seen: Seen,
    bytes: u64,
}

/// Reads a dump to its end, exactly as it will be loaded.
pub(super) fn prove(kind: Kind, plain: Plain, file: &Path) -> Result<Proven, BareError> {
    let path = shown(file);
    let (mut loader, report) = Loader::new(kind.engine, kind.content, plain);
    let read = io::copy(&mut loader, &mut io::sink());
    match (report.finish(), read) {
        (Ok(whole), Ok(bytes)) => Ok(Proven { kind, seen: whole.seen, bytes }),
        (Ok(_) | Err(LoadError::Unread), Err(cause)) => Err(sniff::damaged(&path, cause)),
        (Err(source), _) if kind.content == Content::Globals => Err(BareError::Cluster { path, source }),
        (Err(source), _) => Err(BareError::Refused { path, source }),
    }
}

impl Proven {
    /// What a manifest would say of it. Where it came from, the dump does not know.
    fn facts(&self) -> DatabaseFacts {
        DatabaseFacts {
            globals: self.kind.content == Content::Globals,
            server_version: self.seen.server.clone().unwrap_or_default(),
            client_version: self.seen.client.clone(),
            tables: self.seen.tables.clone(),
            longest_statement: self.seen.longest_statement,
            ..DatabaseFacts::new(self.kind.engine, self.seen.original.clone().unwrap_or_default(), "")
        }
    }
}

/// Writes its plain bytes into a folder, for a look without a server.
pub(super) fn unpack(
    tree: &mut Tree<'_>,
    mut plain: Plain,
    file: &Path,
    progress: &Progress,
) -> Result<Unpacked, UnpackError> {
    let name = plain_name(file);
    let failed = |cause| TargetError::io("write", &name, cause);
    let mut into = tree.add_file(name.as_bytes())?;
    let bytes = io::copy(&mut plain, &mut into).map_err(failed)?;
    progress.add(bytes);
    let mut done = Unpacked { files: 1, bytes, ..Unpacked::default() };
    unpack::finish(tree, &mut done)?;
    Ok(done)
}

/// `db_20251120_020000.sql.gz` is `db_20251120_020000.sql` inside.
fn plain_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let without = |name: String, suffix: &str| name.strip_suffix(suffix).map(str::to_owned).unwrap_or(name);
    [".age", ".gz", ".zst"].into_iter().fold(name, without)
}

/// The name that `--into` gives to a database; a path is a folder's.
pub(super) fn new_name(into: Option<&PathBuf>) -> Option<&str> {
    into.and_then(|into| into.to_str()).filter(|name| !name.contains('/'))
}

/// Restores it. `open` opens it anew.
pub(super) fn restore<'a>(
    with: &With<'_>,
    file: &Path,
    proven: &Proven,
    open: impl Fn() -> Result<Dump, RestoreError> + 'a,
) -> Result<Outcome, Failure> {
    let flags = &with.args.restore;
    let app = with.config.app(with.args.store.app.as_deref())?;
    with.run.app(&app.name);
    let folder = app.dir.ok_or(PlaceError::NoTarget)?;
    let records = Records::open(&with.args.common, &app.name)?;
    let _lock = settle_unless(with, &records, flags.dry_run, flags.yes)?;
    let site = Site::open(&folder, with.config, &[shown(file)])?;
    let item = Item {
        name: shown(file),
        facts: proven.facts(),
        bytes: Some(proven.bytes),
        may_lack: true,
        open: Box::new(open),
    };
    let (plan, loss) = plan(with, &site, &records, item, !proven.seen.tables_untold)?;
    let mut preview = format!("{}:\n{}", shown(file), plan.preview());
    preview.extend(loss.iter().map(|loss| format!("warning: the dump lacks {}\n", loss.told())));
    if flags.dry_run {
        with.run.only_looks();
        let summary = format!("would restore {}; nothing was changed", shown(file));
        let data = json!({"would": plan.parts(), "lacks": loss.as_ref().map(Loss::part)});
        let hint = "in its place it needs --partial; to look at it beside: --into NAME";
        let warnings = loss.iter().map(|loss| loss.notice(&shown(file), hint)).collect();
        return Ok(Outcome { data, text: preview, warnings, ..Outcome::ok(summary) });
    }
    if flags.into.is_none() && !flags.yes {
        ask::confirm(&preview)?;
    } else if let (Some(loss), false) = (&loss, flags.partial) {
        return Err(BareError::Partial { path: shown(file), lost: loss.told() }.into());
    }
    let watch = Stopwatch::start();
    let swapped = plan.load(&records, &shown(file))?.swap(None)?;
    let mut outcome = outcome(file, swapped, &watch);
    let hint = "all of it is in the old database; to have that back: restore undo";
    outcome.warnings.extend(loss.map(|loss| loss.notice(&shown(file), hint)));
    Ok(outcome)
}

/// Decides which server takes it, and in the place of which database; and tells what of that it lacks. `is_all`: all its
/// tables are known.
fn plan<'a>(
    with: &With<'_>,
    site: &'a Site,
    records: &Records,
    mut item: Item<'a>,
    is_all: bool,
) -> Result<(Plan<'a>, Option<Loss>), Failure> {
    let flags = &with.args.restore;
    let service = flags.service.as_deref();
    let client = site.choose(&item.name, &item.facts, service)?;
    let server = client.facts()?;
    let new = new_name(flags.into.as_ref());
    let stated = flags.database.as_deref().map_or(Name::Own, Name::Live);
    let mut name = new.map_or(stated, Name::New);
    let live;
    let mut loss = None;
    if !item.facts.globals && server.engine.is_sql() {
        live = match choose(&server, &item.facts.database, flags.database.as_deref()) {
            Ok(live) => live,
            Err(Undecided) if new.is_some() => Database::default(),
            Err(Undecided) => return Err(undecided(client.service(), &server, &item).into()),
        };
        item.facts.settings.clone_from(&live.settings);
        name = new.map_or(Name::Live(&live.name), Name::New);
        if new.is_none() {
            loss = Loss::find(&client, server.engine, &live.name, &item.facts.tables, is_all)?;
        }
    }
    Ok((Plan::decide(site, vec![item], records.moment(with.run.started())?, service, name)?, loss))
}

/// Nothing says which database a dump is of.
struct Undecided;

/// The database that a dump takes the place of: the one that is named, else the one that the dump names. A dump that names
/// none is taken for one of the only database there is. One that is not there yet is made.
fn choose(server: &Facts, original: &str, stated: Option<&str>) -> Result<Database, Undecided> {
    let called = |name: &str| server.databases.iter().find(|database| database.name == name).cloned();
    let new = |name: &str| Database { name: name.to_owned(), ..Database::default() };
    match (stated, called(original), server.databases.as_slice()) {
        (Some(stated), _, _) => Ok(called(stated).unwrap_or_else(|| new(stated))),
        (None, Some(same), _) => Ok(same),
        (None, None, [only]) if original.is_empty() => Ok(only.clone()),
        (None, None, []) if !original.is_empty() => Ok(new(original)),
        (None, None, _) => Err(Undecided),
    }
}

fn undecided(service: &str, server: &Facts, item: &Item<'_>) -> BareError {
    let known = server.databases.iter().map(|database| database.name.clone()).collect();
    let (path, original, service) = (item.name.clone(), item.facts.database.clone(), service.to_owned());
    if original.is_empty() {
        BareError::WhichDatabase { path, service, known }
    } else {
        BareError::OtherDatabase { path, original, service, known }
    }
}

fn outcome(file: &Path, swapped: Swapped<'_>, watch: &Stopwatch) -> Outcome {
    let (rows, roles) = (counted(swapped.rows, "row", "rows"), swapped.roles.clone());
    let (parts, warnings) = swapped.done();
    let words = |key: &str| -> Vec<String> {
        parts.iter().filter_map(|part: &Value| part[key].as_str().map(str::to_owned)).collect()
    };
    let (targets, kept) = (words("target").join(", "), words("kept"));
    let took = watch.elapsed();
    let summary = format!("{} restored to {targets}: {rows} in {}", shown(file), spoken(took));
    let old_side = |kept: &String| {
        format!("the old database is kept as {kept} until the next complete restore\nto have it back: restore undo\n")
    };
    let text = kept.iter().map(old_side).collect();
    let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
    let data = json!({"restored": parts, "roles": roles, "kept": kept, "seconds": seconds});
    Outcome { data, text, warnings, ..Outcome::ok(summary) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::database::Engine;

    fn server(names: &[&str]) -> Facts {
        let database = |name: &&str| Database { name: (*name).to_owned(), bytes: 1, ..Database::default() };
        Facts {
            engine: Engine::Mariadb,
            version: String::new(),
            databases: names.iter().map(database).collect(),
            ours: Vec::new(),
            closed: Vec::new(),
            longest_statement: None,
        }
    }

    fn chosen(names: &[&str], original: &str, stated: Option<&str>) -> Option<String> {
        choose(&server(names), original, stated).ok().map(|database| database.name)
    }

    #[test]
    fn a_dump_takes_the_place_of_the_database_that_is_named_then_of_its_own_and_one_without_a_name_of_the_only_one() {
        assert_eq!(chosen(&["fleet", "shop"], "shop", Some("fleet")).as_deref(), Some("fleet"));
        assert_eq!(chosen(&["fleet", "shop"], "shop", None).as_deref(), Some("shop"));
        assert_eq!(chosen(&["fleet"], "shop", None), None);
        assert_eq!(chosen(&["fleet"], "", None).as_deref(), Some("fleet"));
    }

    #[test]
    fn on_an_empty_server_a_dump_makes_the_database_that_it_names() {
        assert_eq!(chosen(&[], "fleet", None).as_deref(), Some("fleet"));
        assert_eq!(chosen(&[], "fleet", Some("other")).as_deref(), Some("other"));
    }

    #[test]
    fn among_several_databases_none_is_guessed() {
        assert_eq!(chosen(&["a", "b"], "c", None), None);
        assert_eq!(chosen(&[], "", None), None);
    }

    #[test]
    fn a_dump_loses_the_names_of_its_wrappings() {
        for name in ["db_1.sql.gz", "db_1.sql", "db_1.sql.zst.age", "db_1.sql.gz.age"] {
            assert_eq!(plain_name(Path::new(name)), "db_1.sql", "{name}");
        }
    }

    #[test]
    fn into_names_a_database_unless_it_is_a_path() {
        assert_eq!(new_name(Some(&PathBuf::from("beside"))), Some("beside"));
        assert_eq!(new_name(Some(&PathBuf::from("./beside"))), None);
        assert_eq!(new_name(None), None);
    }
}
