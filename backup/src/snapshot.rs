//! `backup run`: takes a snapshot, in the order in which things must happen.
//!
//! ```text
//! plan ─ lock ─ databases ─ files ─ configuration ─ manifest ─ cache ─ prune ─ report
//!               └── each object: written, fsynced, named, read back ──┘
//! ```
//! A snapshot exists from the moment its manifest does. Whatever fails before that is cleared away, and what a killed
//! run leaves is found by the next one.

mod baseline;
mod circumstances;
mod commit;
mod good;
mod servers;
mod session;
mod summary;

use shipshape_core::alert::Job;
use shipshape_core::archive::manifest::Manifest;
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::lock::Lock;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::state::StateDir;

use crate::cli::RunArgs;
use crate::plan::Plan;
use crate::prune;
use crate::quiesce::{self, Desk, Orders};
use crate::stack::Surroundings;
use crate::target::{self, AcceptStore, Keys, Meant, Target};
use crate::{preview, snapshot::session::Session};

pub(crate) use baseline::remembered;
pub(crate) use good::databases_before;

/// The job as alerts know it. On a site that is in use, some file is always being written: that is news when it goes on.
const JOB: Job = Job { name: "backup", fleeting: &["files.changed", "files.vanished"] };

/// The whole command.
pub(crate) fn run(args: &RunArgs, run: &Run) -> Result<Outcome, Failure> {
    if !args.dry_run {
        run.job(JOB);
    }
    let meant = target::meant(&args.target, run)?;
    let keys = Keys::new(&meant.config, &args.recipient, args.compression, args.no_encryption)?;
    let state = StateDir::open(run.common())?;
    let surroundings = Surroundings::look(&meant)?.owned(&meant, &state);
    let orders = Orders::new(&meant.config.backup, &surroundings, &args.only)?;
    if args.dry_run {
        return preview::run(args, &meant, &keys, &surroundings, run);
    }
    let lock = target::lock(&state, &meant.place)?;
    // Before the store is looked at: services must run again tonight, too, if its disk is not there.
    let desk = Desk { state: &state, place: &meant.place.clone() };
    let stuck = quiesce::recover(&surroundings, desk, run)?;
    match snapshot(args, run, meant, lock, &keys, &surroundings, &orders) {
        Ok(outcome) => Ok(stuck.filter(|_| quiesce::is_pending(desk)).into_iter().fold(outcome, critical)),
        Err(refused) => {
            if let Some(notice) = stuck {
                run.warn(notice);
            }
            Err(refused)
        }
    }
}

/// Takes a snapshot and lets go of old ones.
fn snapshot(
    args: &RunArgs,
    run: &Run,
    meant: Meant,
    lock: Lock,
    keys: &Keys,
    surroundings: &Surroundings,
    orders: &Orders,
) -> Result<Outcome, Failure> {
    let accept = if args.accept_store { AcceptStore::Any } else { AcceptStore::OnlyTheKnown };
    let target = Target::open_for_backup(meant, accept, run)?;
    let _claim = target.claim_with(lock)?;
    surroundings.end_what_was_left();
    surroundings.undescribed().into_iter().for_each(|notice| run.warn(notice));
    let session = Session::begin(&target, keys, args, run)?;
    let own = target.meant.own_folders(&target.state);
    let plan = Plan::new(&target.meant, own, args, session.previous.as_ref(), surroundings)?;
    session.refuse_two_folders(&plan)?;
    session.notice_unfinished_restore(&plan);
    let taken = session.take(plan, args, surroundings, orders).inspect_err(|_| session.abandon())?;
    session.remember(taken.cache, &taken.manifest, taken.live, taken.databases);
    let pruned = prune_after(&session, args, &taken.manifest);
    let mut outcome = summary::outcome(&session, &taken.manifest, &taken.payloads, pruned.as_ref());
    surroundings.tell(&mut outcome);
    Ok(taken.stuck.into_iter().fold(outcome, critical))
}

/// The snapshot is there, and the application is not what it was before: that matters more.
fn critical(outcome: Outcome, stuck: Notice) -> Outcome {
    let summary = format!("{}, but {}", outcome.summary, stuck.message);
    let warnings = outcome.warnings.into_iter().chain([stuck]).collect();
    Outcome { exit: Exit::Critical, summary, warnings, ..outcome }
}

/// Never after a run that lacks something, or with a clock that cannot be trusted; and never a reason for the backup to
/// fail.
fn prune_after(session: &Session<'_>, args: &RunArgs, manifest: &Manifest) -> Option<prune::Pruned> {
    if args.no_prune || manifest.partial || !manifest.shrunk.is_empty() {
        return None;
    }
    match prune::prune(session.target, session.run.started()) {
        Ok(pruned) => Some(pruned),
        Err(refused) => {
            let message = format!("old snapshots were not removed: {}", refused.message());
            session.run.warn(Notice::new("prune.failed", message, refused.hint()));
            None
        }
    }
}
