//! What one run knows while it goes on, and the steps that take the parts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rand::Rng;
use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::index::{self, Header};
use shipshape_core::archive::manifest::{DatabaseFacts, FileCounts, Manifest, Pack, Payload, PayloadKind, Sizes};
use shipshape_core::archive::names::{self, SnapshotId, Wrapping};
use shipshape_core::archive::seal::{Finished, Sealed, SealedWriter, Sealing, read_back};
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::report::Notice;
use shipshape_core::run::Run;
use shipshape_core::signal;

use super::baseline::{lost_packs, remembered, usable_of};
use super::commit;
use super::good::{Shrunk, bytes_of_files, databases_before, fewer_files, of_the_same_parts};
use crate::cache::{Cache, CacheWriter, Database, Previous};
use crate::cli::RunArgs;
use crate::packer::Troubles;
use crate::plan::Plan;
use crate::prune;
use crate::quiesce::{Orders, Quiet};
use crate::sources::config::{self, ConfigFile};
use crate::sources::discovery::{Role, look_over};
use crate::sources::files::{self, FilesTask};
use crate::sources::sqlite;
use crate::stack::Surroundings;
use crate::target::{Keys, Target};
use crate::walk::Met;

/// A run.
pub(crate) struct Session<'a> {
    pub(crate) target: &'a Target,
    pub(crate) keys: &'a Keys,
    pub(crate) run: &'a Run,
    pub(crate) id: SnapshotId,
    /// What to compare with.
    pub(crate) previous: Option<Previous>,
    /// Objects of the place, relative to it, with their sizes.
    pub(super) listed: BTreeMap<String, u64>,
    /// Databases of servers that there should be.
    pub(super) before: Vec<Payload>,
    /// What there is less of than there should be.
    pub(super) shrunk: Shrunk,
    usable: BTreeSet<String>,
    cache: Option<Cache>,
    scratch: PathBuf,
    /// The part that goes furthest back among payloads of this run, for the report.
    parts: RefCell<Vec<Part>>,
    /// Whether something was stored that is not what it should be: then the snapshot counts as partial.
    pub(super) flawed: Cell<bool>,
}

/// A part as the report tells it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: PayloadKind,
    /// Bytes that a restore of it writes.
    pub(crate) bytes_plain: u64,
    /// Bytes that it added to the store.
    pub(crate) bytes_stored: u64,
    /// Whether it is that of an earlier snapshot, nothing having changed.
    pub(crate) unchanged: bool,
    /// What is known of a server's database.
    pub(crate) database: Option<DatabaseFacts>,
}

/// A snapshot that exists.
pub(crate) struct Taken {
    pub(crate) manifest: Manifest,
    pub(crate) payloads: Vec<Part>,
    pub(crate) cache: Option<CacheWriter>,
    pub(crate) live: BTreeMap<String, u64>,
    pub(crate) databases: Vec<Database>,
    /// Services that stood still and do not run again.
    pub(crate) stuck: Option<Notice>,
}

/// What the parts of a snapshot add up to.
#[derive(Default)]
pub(super) struct Sum {
    payloads: Vec<Payload>,
    packs: Vec<Pack>,
    counts: FileCounts,
    sizes: Sizes,
    troubles: Troubles,
    cache: Option<CacheWriter>,
    live: BTreeMap<String, u64>,
    config: Vec<ConfigFile>,
    late: Vec<(Bytes, PathBuf)>,
}

/// What a payload is, when its last byte has been written.
pub(super) struct Content<'c> {
    name: &'c str,
    kind: PayloadKind,
    entries: u64,
    /// Bytes that a restore of it writes.
    bytes_plain: u64,
    database: Option<DatabaseFacts>,
}

impl<'c> Content<'c> {
    /// Files, or what is like them.
    fn of(name: &'c str, kind: PayloadKind, entries: u64, bytes_plain: u64) -> Self {
        Self { name, kind, entries, bytes_plain, database: None }
    }

    /// A dump of a server.
    pub(super) fn dump(name: &'c str, bytes_plain: u64, facts: DatabaseFacts) -> Self {
        Self { name, kind: PayloadKind::Database, entries: 1, bytes_plain, database: Some(facts) }
    }
}

impl<'a> Session<'a> {
    /// Looks at what there is: in the state folder and in the store.
    pub(crate) fn begin(target: &'a Target, keys: &'a Keys, args: &RunArgs, run: &'a Run) -> Result<Self, Failure> {
        let (cache, previous, notice) = remembered(target, keys);
        if let Some(notice) = notice {
            run.warn(notice);
        }
        let listed = prune::sweep_list(target)?;
        let (usable, lost) = usable_of(previous.as_ref(), &listed);
        if lost > 0 {
            run.warn(lost_packs(lost));
        }
        let before = databases_before(target, listed.keys());
        let id = new_id(run, &listed);
        let place = target.place();
        let scratch = target.state.folder(&format!("tmp/{}_{}", place.host, place.app))?;
        let (parts, flawed, shrunk) = (RefCell::default(), Cell::new(false), Shrunk::new(args.accept_shrunk));
        let session =
            Self { target, keys, run, id, previous, listed, before, shrunk, usable, cache, scratch, parts, flawed };
        session.clear_scratch();
        session.mind_the_clock();
        Ok(session)
    }

    /// Takes all parts and commits.
    pub(crate) fn take(
        &self,
        mut plan: Plan,
        args: &RunArgs,
        surroundings: &Surroundings,
        orders: &Orders,
    ) -> Result<Taken, Failure> {
        let mut sum = Sum::default();
        let expected = self.discover_at_first(&mut plan);
        let servers = self.ask_servers(&mut plan, surroundings)?;
        plan.check_parts()?;
        let quiet = Quiet::begin(orders, surroundings, self.target.desk(), self.run)?;
        self.dump_servers(&plan, &servers, &mut sum)?;
        // Databases before files: a row must never refer to a file that came after it and is not in the snapshot.
        self.take_databases(&mut plan, &mut sum)?;
        self.take_files(&plan, expected, &mut sum)?;
        self.take_late_databases(&mut plan, &mut sum)?;
        self.take_config(&plan, &mut sum)?;
        // The earliest moment at which nothing of the application is read any more.
        let stuck = quiet.end();
        signal::check()?;
        let databases = plan.known.databases();
        Ok(Taken { stuck, ..self.commit(plan, args, sum, databases)? })
    }

    /// Adds up, and writes the manifest: see [`commit`].
    fn commit(&self, plan: Plan, args: &RunArgs, sum: Sum, databases: Vec<Database>) -> Result<Taken, Failure> {
        let mut sum = sum;
        for notice in sum.troubles.notices() {
            self.run.warn(notice);
        }
        sum.counts.skipped += sum.troubles.missing();
        let parts = self.parts.take();
        sum.sizes.plain = parts.iter().map(|part| part.bytes_plain).sum();
        sum.sizes.stored = parts.iter().map(|part| part.bytes_stored).sum();
        self.compare(&plan, &sum);
        let manifest = commit::Draft {
            payloads: sum.payloads,
            packs: files::referenced(&sum.packs, self.previous.as_ref(), &sum.live),
            files: sum.counts,
            bytes: sum.sizes,
            partial: sum.troubles.partial() || self.flawed.get(),
            shrunk: self.shrunk.names(),
            only: plan.only,
            tags: args.tag.clone(),
        };
        let manifest = commit::commit(self, manifest)?;
        Ok(Taken { manifest, payloads: parts, cache: sum.cache, live: sum.live, databases, stuck: None })
    }

    /// With nothing to go by, everything is looked over once: databases must be copied before the files are. Tells too how
    /// many bytes of content to expect.
    fn discover_at_first(&self, plan: &mut Plan) -> u64 {
        if let Some(previous) = &self.previous {
            return previous.manifest.bytes.plain;
        }
        let found = look_over(plan.walk(), &plan.known);
        for (path, _) in found.databases {
            plan.known.add(path);
        }
        found.bytes
    }

    /// Copies the databases that are known, in the order of their paths.
    fn take_databases(&self, plan: &mut Plan, sum: &mut Sum) -> Result<(), Failure> {
        for (path, name) in plan.known.databases.clone() {
            if !plan.wants(&name) {
                continue;
            }
            match self.take_database(plan, &path, &name, sum) {
                Err(refused)
                    if !plan.is_stated(&path)
                        && matches!(refused.code(), "sqlite.missing" | "sqlite.empty" | "sqlite.not_a_database") =>
                {
                    // Found by its header once, and gone or something else now: its owner's doing, but worth a word.
                    plan.known.databases.remove(&path);
                    let message = format!("{} is no database any more: {}", path.shown(), refused.message());
                    self.run.warn(Notice::new("sqlite.gone", message, "if it should be there, name it in [backup] sqlite; its last copy goes with the snapshots that have it"));
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Copies one. What SQLite itself has to say against it is passed on, and the copy kept all the same.
    fn take_database(&self, plan: &Plan, path: &Bytes, name: &str, sum: &mut Sum) -> Result<(), Failure> {
        signal::check()?;
        let source = plan.source_of(path);
        let copy = sqlite::copy(&source, path, &self.scratch)?;
        if let Some(names) = copy.several_names() {
            let message = format!(
                "the database {} has {names} names; each comes back as a database of its own",
                source.display()
            );
            self.run.warn(Notice::new(
                "sqlite.linked",
                message,
                "SQLite warns of hard links to databases (sqlite.org/howtocorrupt.html): use one name",
            ));
        }
        if let Some(complaint) = &copy.complaint {
            self.flawed.set(true);
            let message = format!("SQLite finds {} damaged: {complaint}", source.display());
            let hint = format!(
                "it was copied as it is; look for a whole one: backup list, or sqlite3 {} .recover",
                source.display()
            );
            self.run.warn(Notice::new("sqlite.damaged", message, hint));
        }
        let bytes = copy.bytes();
        let writer = copy.seal(self.sealing(), &self.id, name)?;
        self.finish_payload(writer, Content::of(name, PayloadKind::Sqlite, 1, bytes), sum)
    }

    /// Copies databases that turned up among new files. Only in their first run do they come after the files.
    fn take_late_databases(&self, plan: &mut Plan, sum: &mut Sum) -> Result<(), Failure> {
        for (path, _) in std::mem::take(&mut sum.late) {
            let name = plan.known.add(path.clone());
            if plan.wants(&name) {
                self.take_database(plan, &path, &name, sum)?;
            }
        }
        Ok(())
    }

    /// Takes the tree of files, or, where it was not asked for, only looks through it for configuration.
    fn take_files(&self, plan: &Plan, expected: u64, sum: &mut Sum) -> Result<(), Failure> {
        if !plan.wants("files") {
            find_config(plan, sum);
            return Ok(());
        }
        let progress = Progress::bytes(Some(expected), "files", self.run.common().quiet);
        let header = self.header(plan);
        let task = FilesTask {
            sealing: self.sealing(),
            id: &self.id,
            header: &header,
            previous: self.previous.as_ref(),
            usable: &self.usable,
            known: &plan.known,
            progress: &progress,
        };
        let cache = self.cache.as_ref().and_then(|cache| cache.writer().ok());
        let taken = files::take(&task, plan.walk(), cache)?;
        self.add_files(taken, sum);
        plan.rules.data.notices().into_iter().for_each(|notice| self.run.warn(notice));
        Ok(())
    }

    /// Takes over what the files add up to.
    fn add_files(&self, taken: files::FilesTaken, sum: &mut Sum) {
        let tally = taken.tally;
        let packed: u64 = taken.packs.iter().map(|pack| pack.bytes_stored).sum();
        self.parts.borrow_mut().push(Part {
            name: "files".to_owned(),
            kind: PayloadKind::Files,
            bytes_plain: tally.bytes,
            bytes_stored: packed + taken.index.bytes_stored,
            unchanged: taken.packs.is_empty(),
            database: None,
        });
        sum.payloads.push(payload("files", PayloadKind::Files, taken.index, taken.entries));
        sum.counts = FileCounts {
            total: tally.new + tally.changed + tally.unchanged,
            new: tally.new,
            changed: tally.changed,
            unchanged: tally.unchanged,
            skipped: taken.special,
        };
        sum.packs = taken.packs;
        sum.live = tally.live;
        sum.troubles.add(tally.troubles);
        sum.cache = taken.cache;
        sum.config = taken.config;
        sum.late = taken.databases;
    }

    /// Takes the configuration that was met on the way; where there is none, there is no such part.
    fn take_config(&self, plan: &Plan, sum: &mut Sum) -> Result<(), Failure> {
        if !plan.wants("config") {
            return Ok(());
        }
        plan.outside().into_iter().chain(plan.never_made()).for_each(|notice| self.run.warn(notice));
        if sum.config.is_empty() {
            return Ok(());
        }
        let files = std::mem::take(&mut sum.config);
        let taken = config::seal(&files, self.sealing(), &self.id, &mut sum.troubles)?;
        self.finish_payload(taken.writer, Content::of("config", PayloadKind::Config, taken.files, taken.bytes), sum)
    }

    /// Ends a payload; one that is as it was is not stored again, but that of the last snapshot referred to.
    pub(super) fn finish_payload(
        &self,
        writer: SealedWriter,
        content: Content<'_>,
        sum: &mut Sum,
    ) -> Result<(), Failure> {
        let Content { name, kind, entries, bytes_plain, database } = content;
        let before = self.earlier(name, kind);
        let same = |sha256: &str| before.is_some_and(|before| before.sha256_plain == sha256);
        let (payload, bytes_stored) = match (writer.finish_unless(same)?, before) {
            // The same bytes, but of a later moment.
            (Finished::Known, Some(before)) => (Payload { database: database.clone(), ..before.clone() }, 0),
            (Finished::Known, None) => return Ok(()),
            (Finished::Stored(sealed), _) => {
                read_back(self.target.store.as_ref(), self.target.place(), &sealed)?;
                let stored = sealed.bytes_stored;
                (Payload { database: database.clone(), ..payload(name, kind, sealed, entries) }, stored)
            }
        };
        let unchanged = bytes_stored == 0;
        let name = name.to_owned();
        self.parts.borrow_mut().push(Part { name, kind, bytes_plain, bytes_stored, unchanged, database });
        sum.payloads.push(payload);
        Ok(())
    }

    /// The payload of that name in the last snapshot, if its object is there and wrapped as this run's are.
    fn earlier(&self, name: &str, kind: PayloadKind) -> Option<&Payload> {
        let payloads = &self.previous.as_ref()?.manifest.payloads;
        let usable = |payload: &&Payload| {
            payload.name == name
                && payload.kind == kind
                && Wrapping::of_name(&payload.object) == self.keys.wrapping
                && self.listed.get(&payload.object) == Some(&payload.bytes_stored)
        };
        payloads.iter().find(usable)
    }

    /// The first line of the index: what a restore has to know before it reads on.
    fn header(&self, plan: &Plan) -> Header {
        use std::os::unix::ffi::OsStrExt;
        Header {
            format: index::FORMAT,
            app_dir: plan.app_dir.as_os_str().as_bytes().into(),
            roots: plan.sources(),
            exclude: plan.left_out(),
            started: self.run.started(),
        }
    }

    pub(crate) fn sealing(&self) -> Sealing<'_> {
        self.keys.sealing(self.target)
    }

    /// Remembers the snapshot for the next run. The snapshot stands, whether this works or not.
    pub(crate) fn remember(
        &self,
        written: Option<CacheWriter>,
        manifest: &Manifest,
        live: BTreeMap<String, u64>,
        databases: Vec<Database>,
    ) {
        if !manifest.payloads.iter().any(|payload| payload.kind == PayloadKind::Files) {
            return;
        }
        let (Some(cache), Some(written)) = (&self.cache, written) else {
            return self.run.warn(cache_not_written());
        };
        if let Err(refused) = cache.commit(written, manifest, live, databases) {
            self.run.warn(Failure::from(refused).notice());
        }
    }

    /// Removes what this run has written, manifest first; the error that made it fail is what counts.
    pub(crate) fn abandon(&self) {
        commit::abandon(self.target, &self.id);
    }

    /// Compares with the last good snapshot: what may be wrong though nothing failed.
    fn compare(&self, plan: &Plan, sum: &Sum) {
        let before = of_the_same_parts(self.target, self.listed.keys(), &plan.only);
        let before = before.map(|before| bytes_of_files(before.bytes.plain, &before.payloads)).unwrap_or_default();
        if let Some(notice) = fewer_files(before, bytes_of_files(sum.sizes.plain, &sum.payloads)) {
            let names = if plan.wants("files") { vec!["files".to_owned()] } else { plan.only.clone() };
            self.shrunk.note(self.run, names, notice);
        }
        self.miss_databases(&plan.only, &sum.payloads);
    }

    /// Removes what a killed run left of its copies.
    fn clear_scratch(&self) {
        // Copies of databases that a killed run left; under the lock, nobody else's.
        for entry in std::fs::read_dir(&self.scratch).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir_all(entry.path()).or_else(|_| std::fs::remove_file(entry.path()));
        }
    }
}

/// Without the files, their tree is still walked for the configuration in it.
fn find_config(plan: &Plan, sum: &mut Sum) {
    for met in plan.walk() {
        let Met::Entry { entry, source, names, .. } = met else { continue };
        if plan.known.role(&entry, names) == Role::Config {
            sum.config.push(ConfigFile { entry, source });
        } else {
            sum.config.extend(plan.known.linked(&entry, &source));
        }
    }
}

/// A payload as the manifest has it.
fn payload(name: &str, kind: PayloadKind, sealed: Sealed, entries: u64) -> Payload {
    Payload {
        name: name.to_owned(),
        kind,
        object: sealed.object,
        bytes_plain: sealed.bytes_plain,
        bytes_stored: sealed.bytes_stored,
        sha256_plain: sealed.sha256_plain.unwrap_or_default(),
        sha256_stored: sealed.sha256_stored,
        entries,
        database: None,
    }
}

/// A cache that is not there costs time in the next run, and never a file.
fn cache_not_written() -> Notice {
    let message = "the local cache could not be written";
    Notice::new(
        "state.cache",
        message,
        "the next run stores everything anew; free some space where the state folder is",
    )
}

/// An id that is not taken. Runs of the same second must order as they came, for the newest to be the newest: a later one
/// gets a larger number, or the next second where there is none.
fn new_id(run: &Run, listed: &BTreeMap<String, u64>) -> SnapshotId {
    let newest = listed.keys().filter_map(|object| names::id_of(object)).max();
    SnapshotId::new_after(run.started(), rand::rng().random(), newest.as_ref())
}
