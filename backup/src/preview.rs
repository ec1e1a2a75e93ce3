//! `backup --dry-run`: what would be taken, without reading content and without changing anything.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shipshape_core::archive::entry::Kind;
use shipshape_core::archive::index::IndexReader;
use shipshape_core::archive::manifest::Payload;
use shipshape_core::archive::store;
use shipshape_core::database::Engine;
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::state::StateDir;
use shipshape_core::units::{ByteSize, counted};

use crate::cache::Previous;
use crate::cli::RunArgs;
use crate::facts::looks_unchanged;
use crate::plan::Plan;
use crate::prune;
use crate::snapshot::{databases_before, remembered};
use crate::sources::data_folders::dumped_from;
use crate::sources::databases::{self, Answers};
use crate::sources::discovery::{Role, is_database, may_be_database};
use crate::sources::volumes::Omitted;
use crate::stack::Surroundings;
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
    servers: Vec<ServerPart>,
    left_out: Vec<(String, String)>,
    omitted: Vec<Omitted>,
    skipped: u64,
}

/// A payload that a server would give.
#[derive(Debug)]
struct ServerPart {
    name: String,
    service: String,
    engine: Engine,
    version: String,
    /// None for what belongs to the whole server.
    database: Option<String>,
    bytes: u64,
}

/// The command. The store is looked at, not touched; that it is not there yet is no error here.
pub(crate) fn run(
    args: &RunArgs,
    meant: &Meant,
    keys: &Keys,
    surroundings: &Surroundings,
    run: &Run,
) -> Result<Outcome, Failure> {
    run.only_looks();
    let state = StateDir::open(run.common())?;
    let (previous, before) = previous(args, keys, run).unwrap_or_default();
    let mut plan = Plan::new(meant, meant.own_folders(&state), args, previous.as_ref(), surroundings)?;
    let mut preview = look(&mut plan, previous.as_ref());
    let answers = databases::ask(surroundings, &mut plan, &before)?;
    preview.servers = servers(&plan, &answers);
    preview.omitted = plan.all_omitted().into_iter().map(|omitted| with_the_reason(omitted, &answers)).collect();
    preview.left_out = answers.left_out;
    plan.check_parts()?;
    plan.rules.data.notices().into_iter().for_each(|notice| run.warn(notice));
    answers.notices.into_iter().for_each(|notice| run.warn(notice));
    plan.outside().into_iter().chain(plan.never_made()).for_each(|notice| run.warn(notice));
    surroundings.undescribed().into_iter().for_each(|notice| run.warn(notice));
    let mut outcome = outcome(meant, keys, &plan, &preview);
    surroundings.tell(&mut outcome);
    Ok(outcome)
}

/// What the last snapshot had, if there is a store and one in it.
fn previous(args: &RunArgs, keys: &Keys, run: &Run) -> Option<(Option<Previous>, Vec<Payload>)> {
    let meant = crate::target::meant(&args.target, run).ok()?;
    store::open(&meant.url).ok()?;
    let target = Target::open(&args.target, run).ok()?;
    let listed: Vec<String> = prune::sweep_list(&target).ok()?.into_keys().collect();
    Some((remembered(&target, keys).1, databases_before(&target, listed.iter())))
}

/// The data of a server that is not dumped after all is not left out for the sake of its dumps.
fn with_the_reason(omitted: Omitted, answers: &Answers<'_>) -> Omitted {
    match answers.not_dumped().find(|(service, _)| omitted.why == dumped_from(service)) {
        Some((service, why)) => {
            let why = format!("it is the data of the service {service}, which nothing dumps: it {why}");
            Omitted { why, ..omitted }
        }
        None => omitted,
    }
}

/// What the servers would give, of what is wanted.
fn servers(plan: &Plan, answers: &Answers<'_>) -> Vec<ServerPart> {
    let parts = answers.servers.iter().flat_map(|server| server.parts.iter().map(move |part| (server, part)));
    let wanted = parts.filter(|(_, part)| plan.wants(&part.name));
    let told = wanted.map(|(server, part)| ServerPart {
        name: part.name.clone(),
        service: server.client.service().to_owned(),
        engine: server.facts.engine,
        version: server.facts.version.clone(),
        database: part.database.as_ref().map(|database| database.name.clone()),
        bytes: part.database.as_ref().map_or(0, |database| database.bytes),
    });
    told.collect()
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
        if plan.known.linked(&entry, &source).is_some() {
            preview.config.push(entry.path.shown());
        }
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
    let of_servers = preview.servers.iter().filter(|part| part.database.is_some()).count();
    let databases = counted((preview.databases.len() + of_servers) as u64, "database", "databases");
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
        "volumes": plan.roots.iter().filter_map(|root| root.volume.as_deref()).collect::<Vec<_>>(),
        "exclude": plan.rules.exclude.texts(),
        "not_as_files": preview.omitted.iter().map(|omitted| json!({"what": omitted.what, "why": omitted.why})).collect::<Vec<_>>(),
        "recipients": keys.recipients.texts(),
        "files": { "total": preview.files, "changed": preview.changed, "skipped": preview.skipped },
        "bytes": { "plain": preview.bytes, "changed": preview.bytes_changed },
        "databases": databases_data(preview),
        "left_out": preview.left_out.iter().map(|(service, why)| json!({"service": service, "why": why})).collect::<Vec<_>>(),
        "config": preview.config,
    });
    outcome.text = text(meant, keys, plan, preview);
    outcome
}

/// Every database for programs: files of SQLite by their path, those of servers by their service.
fn databases_data(preview: &Preview) -> Vec<Value> {
    let files = preview.databases.iter();
    let files = files.map(|(name, path, bytes)| json!({"name": name, "kind": "sqlite", "path": path, "bytes": bytes}));
    let servers = preview.servers.iter().map(|part| {
        json!({
            "name": part.name,
            "kind": part.engine,
            "service": part.service,
            "server_version": part.version,
            "database": part.database,
            "bytes": part.bytes,
        })
    });
    files.chain(servers).collect()
}

/// For people: where to, for whom, and what; one line each.
fn text(meant: &Meant, keys: &Keys, plan: &Plan, preview: &Preview) -> String {
    let mut text = format!("  into      {} as {}\n", meant.url, meant.place);
    for recipient in keys.recipients.texts() {
        let _ = writeln!(text, "  for       {recipient}");
    }
    for root in &plan.roots {
        let _ = match &root.volume {
            Some(name) => writeln!(text, "  volume    {name}: {}", root.path.shown()),
            None => writeln!(text, "  files     {}", root.path.shown()),
        };
    }
    for (name, path, bytes) in &preview.databases {
        let _ = writeln!(text, "  sqlite    {name}: {path}, {}", ByteSize(*bytes));
    }
    for part in &preview.servers {
        let what = match &part.database {
            None if part.engine.is_mysql() => "accounts and roles".to_owned(),
            None => "roles and settings".to_owned(),
            Some(name) => format!("{name:?}, about {}", ByteSize(part.bytes)),
        };
        let ServerPart { name, service, engine, version, .. } = part;
        let _ = writeln!(text, "  database  {name}: {what}, on {engine} {version} in the service {service}");
    }
    for path in &preview.config {
        let _ = writeln!(text, "  config    {path}");
    }
    if let [_, ..] = meant.config.backup.stop.as_slice() {
        let _ = writeln!(text, "  stopped   {}, while anything is read", meant.config.backup.stop.join(", "));
    }
    for (service, why) in &preview.left_out {
        let _ = writeln!(text, "  left out  {service}: {why}");
    }
    for Omitted { what, why } in &preview.omitted {
        let _ = writeln!(text, "  left out  {what}: {why}");
    }
    for pattern in plan.rules.exclude.texts() {
        let _ = writeln!(text, "  without   {pattern}");
    }
    text
}
