//! `backup run`: takes a snapshot, in the order in which things must happen.
//!
//! ```text
//! plan ─ lock ─ databases ─ files ─ configuration ─ manifest ─ cache ─ prune ─ report
//!               └── each object: written, fsynced, named, read back ──┘
//! ```
//! A snapshot exists from the moment its manifest does. Whatever fails before that is cleared away, and what a killed
//! run leaves is found by the next one.

mod baseline;
mod commit;
mod session;
mod summary;

use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};

use crate::cli::RunArgs;
use crate::plan::Plan;
use crate::prune;
use crate::sources::services;
use crate::target::{self, AcceptStore, Keys, Target};
use crate::{preview, snapshot::session::Session};

pub(crate) use baseline::remembered;

/// The whole command.
pub(crate) fn run(args: &RunArgs, run: &Run) -> Result<Outcome, Failure> {
    let meant = target::meant(&args.target, run)?;
    let keys = Keys::new(&meant.config, &args.recipient, args.compression, args.no_encryption)?;
    if args.dry_run {
        return preview::run(args, &meant, &keys, run);
    }
    let accept = if args.accept_store { AcceptStore::Any } else { AcceptStore::OnlyTheKnown };
    let target = Target::open_for_backup(meant, accept, run)?;
    let _claim = target.claim()?;
    let session = Session::begin(&target, &keys, run)?;
    let plan = Plan::new(&target.meant, target.meant.own_folders(&target.state), args, session.previous.as_ref())?;
    session.refuse_two_folders(&plan)?;
    session.notice_unfinished_restore(&plan);
    if let Some(notice) = services::notice(&plan.app_dir) {
        run.warn(notice);
    }
    let taken = session.take(plan, args).inspect_err(|_| session.abandon())?;
    session.remember(taken.cache, &taken.manifest, taken.live, taken.databases);
    session.say_what_is_odd(&taken.manifest);
    let pruned = prune_after(&session, args, taken.manifest.partial);
    Ok(summary::outcome(&session, &taken.manifest, &taken.payloads, pruned.as_ref()))
}

/// Never after a partial run or with a clock that cannot be trusted; and never a reason for the backup to fail.
fn prune_after(session: &Session<'_>, args: &RunArgs, partial: bool) -> Option<prune::Pruned> {
    if args.no_prune || partial {
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
