//! Rehearses a restore: everything of a snapshot comes back to where nothing is live, is compared with what the manifest
//! promises, and is removed again. How long it took is how long a recovery takes.
//!
//! ```text
//! snapshot ──> a private folder: files, configuration, SQLite ─────────────────────────────> counted, asked
//!         │        └──> the compose files in it ──> scratch containers, without a way out
//!         └──> databases: load, swap ───────────────────────┘
//! ```
//! Everything that is made carries the mark of this run, and is only spoken to if it does.

mod checks;
mod error;
mod files;
mod mounts;
mod room;
mod servers;
mod settings;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use shipshape_core::archive::manifest::PayloadKind;
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::Failure;
use shipshape_core::output;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::stack::scratch::{self, Lease, Scratch};
use shipshape_core::state::StateDir;

use crate::cli::With;
use crate::pick::Picked;
use crate::place::facts::Facts;
use crate::select::{self, Snapshot};
use crate::stage::{Domain, Existing, Stage};
use crate::swap::{self, scope::Scope};
use crate::unpack::{self, Unpacked};

pub(crate) use error::DrillError;
use servers::Plan;

/// What its reports are called: those of real restores must stay.
const REPORT: &str = "restore-drill";

/// The folder in the state folder where it works, unless told otherwise.
const FOLDER: &str = "drill";

/// How `KeyError::NoIdentity` is told.
const NO_IDENTITY: &str = "key.no_identity";

/// How `SecretError::Missing` is told.
const MISSING: &str = "secret.missing";

/// What a rehearsal has found.
struct Found {
    parts: Vec<Part>,
    checks: Vec<checks::Checked>,
    /// Where the services' settings are from.
    from: &'static str,
    /// From the beginning until everything was back.
    recovery: Duration,
    /// Of that, until the services were up.
    services: Duration,
}

/// A payload that came back, or did not.
struct Part {
    name: String,
    kind: PayloadKind,
    /// What it runs on, and where it is from: for people.
    what: String,
    /// Bytes before compression.
    bytes: u64,
    took: Duration,
    /// What came back, in numbers, by what they count.
    counts: Vec<(&'static str, u64)>,
    /// What is not as it should be.
    wrong: Vec<String>,
}

/// Rehearses the restore of a snapshot. `above` is where files are put, unless it is the state folder.
pub(crate) fn drill(with: &With<'_>, word: &str, above: Option<&Path>) -> Result<Outcome, Failure> {
    with.run.keeps_report_as(REPORT);
    let snapshot = opened(with, word)?;
    let plan = Plan::new(&snapshot, with.config)?;
    let above = folder(with, above)?;
    scratch::sweep(&above);
    let lease = Lease::take(&above).map_err(DrillError::from)?;
    room::check(&snapshot.manifest, lease.folder())?;
    let rehearsed = rehearse(with, &snapshot, &plan, &lease);
    files::make_removable(lease.folder());
    drop(lease);
    let found = rehearsed?;
    Ok(told::outcome(&snapshot, &found))
}

/// The snapshot. A drill that cannot open it says how the identity can be lent.
fn opened(with: &With<'_>, word: &str) -> Result<Snapshot, Failure> {
    let opened = with.snapshot(select::understand(Some(word), None)?, &[]);
    let named = with.config.restore.identity_file.as_ref();
    let named = named.filter(|path| with.args.identity.is_none() && !path.exists());
    opened.map_err(|refused| match (refused.code(), named) {
        (NO_IDENTITY, _) => DrillError::NoIdentity.into(),
        (MISSING, Some(path)) => DrillError::IdentityGone { path: path.clone() }.into(),
        _ => refused,
    })
}

fn folder(with: &With<'_>, above: Option<&Path>) -> Result<PathBuf, Failure> {
    match above {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(StateDir::open(&with.args.common)?.folder(FOLDER)?),
    }
}

/// Everything, in the order of a recovery.
fn rehearse(with: &With<'_>, snapshot: &Snapshot, plan: &Plan<'_>, lease: &Lease) -> Result<Found, Failure> {
    let watch = Stopwatch::start();
    let say = |what: &str| {
        if !with.args.common.quiet {
            output::tell(&format!("drill: {what}"));
        }
    };
    // What services have mounted is among the files: these come first.
    say("unpacking files");
    let progress = Progress::bytes(Some(snapshot.manifest.bytes.plain), "unpacking", with.args.common.quiet);
    let unpacked = files::unpack(snapshot, lease.folder(), &progress)?;
    progress.finish();
    let starting = Stopwatch::start();
    let mut settings = settings::find(snapshot, lease.folder(), unpacked.folder())?;
    let from = settings.from;
    let mut parts = Vec::new();
    let mut scratch = None;
    if !plan.is_empty() {
        let places = mounts::Places::new(snapshot, &unpacked, &settings.folder);
        let left_out = settings.description.as_mut().map(|model| mounts::bring(model, &plan.engines(), &places));
        let notices = settings.notice.into_iter().chain(left_out.into_iter().flatten());
        notices.for_each(|notice| with.run.warn(notice));
        say(&format!("starting {}", plan.services().join(", ")));
        let wanted = plan.parts(settings.description.as_ref())?;
        let started = Scratch::start(lease, settings.folder, settings.description.as_ref(), &wanted);
        scratch = Some(started.map_err(DrillError::from)?);
    }
    let clients = plan.clients(scratch.as_ref())?;
    let services = starting.elapsed();
    for (service, up) in &clients {
        parts.extend(plan.load(snapshot, service, up, lease.folder(), &say)?);
    }
    let recovery = watch.elapsed();
    parts.extend(unpacked.compared(snapshot)?);
    let checks = plan.ask(&clients)?;
    Ok(Found { parts, checks, from, recovery, services })
}

/// Brings the payloads of some kinds back into a new folder, as a restore into a folder does. Tells where they are from.
fn unpack_into(
    snapshot: &Snapshot,
    folder: &Path,
    is_wanted: impl Fn(PayloadKind) -> bool,
    progress: &Progress,
) -> Result<(Unpacked, Option<PathBuf>), Failure> {
    let mut picked = Picked::new(&snapshot.manifest, &[], &[])?;
    picked.payloads.retain(|payload| is_wanted(payload.kind));
    let facts = Facts::gather(snapshot, &picked)?;
    picked.companions = facts.companions(&snapshot.manifest.payloads);
    let domains = vec![Domain::new(Vec::new(), folder.to_owned())];
    let mut stage = Stage::open(domains, snapshot.manifest.id.as_str(), Existing::Refuse)?;
    let unpacked = unpack::snapshot(snapshot, &picked, &stage, progress)?;
    swap::swap(&mut stage, &Scope::default())?;
    Ok((unpacked, facts.app_dir()))
}
