//! `backup`: copies databases, uploads and configuration into an encrypted store, and proves that the copy is whole.

mod cache;
mod check;
mod cli;
mod compressible;
mod diff;
mod facts;
mod init;
mod known;
mod list;
mod packer;
mod plan;
mod preview;
mod prune;
mod quiesce;
mod retention;
mod retire;
mod snapshot;
mod sources;
mod stack;
mod target;
mod walk;

use std::process::ExitCode;

use cli::{Args, Command};
use shipshape_core::cli::parse;
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};

/// Parse, run, report: whatever happens in between, one report and one exit status come out.
fn main() -> ExitCode {
    let args: Args = match parse("backup", env!("CARGO_PKG_VERSION"), |args: &Args| &args.common) {
        Ok(args) => args,
        Err(ended) => return ended,
    };
    let run = Run::start("backup", env!("CARGO_PKG_VERSION"), &args.common);
    let outcome = backup(args, &run);
    run.finish(outcome)
}

/// The command that was asked for.
fn backup(args: Args, run: &Run) -> Result<Outcome, Failure> {
    if args.alert.test_alert {
        return run.test_alert(args.run.target.app.as_deref());
    }
    match args.command.unwrap_or(Command::Run(args.run)) {
        Command::Run(args) => snapshot::run(&args, run),
        Command::Init(args) => init::run(&args, run),
        Command::List(args) => list::run(&args, run),
        Command::Check(args) => check::run(&args, run),
        Command::Prune(args) => prune::run(&args, run),
        Command::Diff(args) => diff::run(&args, run),
    }
}
