//! `backup --dry-run`: what would be taken, without reading content and without changing anything.

use std::fmt::Write as _;

use serde_json::json;
use shipshape_core::archive::entry::Kind;
use shipshape_core::archive::index::IndexReader;
use shipshape_core::archive::store;
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::state::StateDir;
use shipshape_core::units::{ByteSize, counted};

use crate::cache::Previous;
use crate::cli::RunArgs;
use crate::facts::looks_unchanged;
use crate::plan::Plan;
use crate::snapshot::remembered;
use crate::sources::discovery::{Role, is_database, may_be_database};
use crate::sources::services;
use crate::target::{Keys, Meant, Target};
use crate::walk::Met;

/// What would be taken.
#[derive(Debug, Default)]
struct Preview {
    files: u64,
    bytes: u64,
    changed: u64,
    bytes_changed: u64,
    config: Vec<String>,
    databases: Vec<(String, String, u64)>,
    skipped: u64,
}

/// The command. The store is looked at, not touched; that it is not there yet is no error here.
pub(crate) fn run(args: &RunArgs, meant: &Meant, keys: &Keys, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let state = StateDir::open(run.common())?;
    let previous = previous(args, keys, run);
    let mut plan = Plan::new(meant, meant.own_folders(&state), args, previous.as_ref())?;
    let preview = look(&mut plan, previous.as_ref());
    plan.check_parts()?;
    if let Some(notice) = services::notice(&plan.app_dir) {
        run.warn(notice);
    }
    Ok(outcome(meant, keys, &plan, &preview))
}

/// What the last snapshot had, if there is a store and one in it.
fn previous(args: &RunArgs, keys: &Keys, run: &Run) -> Option<Previous> {
    let meant = crate::target::meant(&args.target, run).ok()?;
    store::open(&meant.url).ok()?;
    let target = Target::open(&args.target, run).ok()?;
    remembered(&target, keys).1
}

/// Compares by facts alone: what looks changed may turn out to have the same content.
fn look(plan: &mut Plan, previous: Option<&Previous>) -> Preview {
    let mut preview = Preview::default();
    let mut last = previous.and_then(|previous| previous.read_index().ok());
    let mut current = last.as_mut().and_then(next);
    let mut found = Vec::new();
    for met in plan.walk() {
        let Met::Entry { entry, source, names, .. } = met else {
            preview.skipped += 1;
            continue;
        };
        while current
            .as_ref()
            .is_some_and(|c| shipshape_core::archive::entry::path_order(&c.path.0, &entry.path.0).is_lt())
        {
            current = last.as_mut().and_then(next);
        }
        let unchanged =
            current.as_ref().is_some_and(|before| before.path == entry.path && looks_unchanged(&entry, before));
        let database = || !unchanged && may_be_database(&entry) && is_database(&source);
        match plan.known.role(&entry, names) {
            Role::Config => preview.config.push(entry.path.shown()),
            Role::Database => found.push((entry.path, entry.size)),
            Role::Plain if database() => found.push((entry.path, entry.size)),
            Role::Plain if entry.kind == Kind::File => preview.add(entry.size, unchanged),
            Role::Plain | Role::Companion => {}
        }
    }
    for (path, bytes) in found {
        let name = plan.known.databases.get(&path).cloned().unwrap_or_else(|| plan.known.add(path.clone()));
        preview.databases.push((name, path.shown(), bytes));
    }
    preview
}

/// The next entry. A cache that breaks off makes the rest look new, which it is then.
fn next(last: &mut IndexReader) -> Option<shipshape_core::archive::entry::Entry> {
    last.next_entry().ok().flatten()
}

impl Preview {
    /// Counts a file.
    fn add(&mut self, bytes: u64, unchanged: bool) {
        self.files += 1;
        self.bytes += bytes;
        if !unchanged {
            self.changed += 1;
            self.bytes_changed += bytes;
        }
    }
}

/// What would be taken, in the words of the report of a real run.
fn outcome(meant: &Meant, keys: &Keys, plan: &Plan, preview: &Preview) -> Outcome {
    let databases = counted(preview.databases.len() as u64, "database", "databases");
    let files = counted(preview.files, "file", "files");
    let mut outcome = Outcome::ok(format!(
        "would take {databases} and {files} ({}), of which {} ({}) are new or changed",
        ByteSize(preview.bytes),
        preview.changed,
        ByteSize(preview.bytes_changed)
    ));
    outcome.data = json!({
        "dry_run": true,
        "store": meant.url,
        "place": meant.place.to_string(),
        "roots": plan.roots.iter().map(|root| root.path.shown()).collect::<Vec<_>>(),
        "exclude": plan.rules.exclude.texts(),
        "recipients": keys.recipients.texts(),
        "files": { "total": preview.files, "changed": preview.changed, "skipped": preview.skipped },
        "bytes": { "plain": preview.bytes, "changed": preview.bytes_changed },
        "databases": preview.databases.iter().map(|(name, path, bytes)| json!({"name": name, "path": path, "bytes": bytes})).collect::<Vec<_>>(),
        "config": preview.config,
    });
    outcome.text = text(meant, keys, plan, preview);
    outcome
}

/// For people: where to, for whom, and what; one line each.
fn text(meant: &Meant, keys: &Keys, plan: &Plan, preview: &Preview) -> String {
    let mut text = format!("  into      {} as {}\n", meant.url, meant.place);
    for recipient in keys.recipients.texts() {
        let _ = writeln!(text, "  for       {recipient}");
    }
    for root in &plan.roots {
        let _ = writeln!(text, "  files     {}", root.path.shown());
    }
    for (name, path, bytes) in &preview.databases {
        let _ = writeln!(text, "  sqlite    {name}: {path}, {}", ByteSize(*bytes));
    }
    for path in &preview.config {
        let _ = writeln!(text, "  config    {path}");
    }
    for pattern in plan.rules.exclude.texts() {
        let _ = writeln!(text, "  without   {pattern}");
    }
    text
}
