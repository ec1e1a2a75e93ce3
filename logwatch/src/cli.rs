//! The command line of `logwatch`, and what each form of it does.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, Parser, Subcommand};
use shipshape_core::alert::Job;
use shipshape_core::cli::{AlertArgs, CommonArgs, parse};
use shipshape_core::config::{App, ConfigError};
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};

use crate::audit::{self, AuditArgs};
use crate::state::Prepared;
use crate::top::{self, TopArgs};
use crate::{follow, watch};

const TOOL: &str = "logwatch";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Under what the state is kept where there is no application.
const NAMELESS: &str = "logs";

/// What runs without somebody who waits for it, as alerts know it.
const JOB: Job = Job { name: TOOL, fleeting: &[] };

const EXAMPLES: &str = "\
Examples:
  docker compose logs --no-color -t --since 1h application | logwatch --max-errors 10
      what the old script did, with errors that are ones
  logwatch --service application --service queue
      from cron: what is new since the last run, each line once
  logwatch '/var/log/nginx/*.log' --unit ssh
      files with what they were rotated into, and a unit of systemd
  logwatch --since 2h --dry-run --explain --service application
      look again at two hours, and see which rule judged each record
  logwatch top --since 24h
      what is logged most, and whether it grows
  logwatch follow
      the same as lines arrive
  logwatch audit
      logs that nobody rotates, and what to write so that somebody does

Exit status: 0 all is well, 1 look at it, 2 too much, 3 could not look, 128+N on signal N.";

/// Reads each line of a log once, and tells real errors, what is new, what rises and what leaks
#[derive(Parser, Clone, Debug)]
#[command(after_help = EXAMPLES, subcommand_precedence_over_arg = true)]
pub(crate) struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    alert: AlertArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Whose logs are read.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct SourceArgs {
    /// Files, patterns of files, or `-` for standard input [default: those of the configuration, else standard input if
    /// something is piped into it, else all services of the application]
    #[arg(value_name = "FILE|-")]
    pub(crate) files: Vec<PathBuf>,
    /// A service of the application; `*` is all of them
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Vec<String>,
    /// A unit of systemd
    #[arg(long, value_name = "NAME")]
    pub(crate) unit: Vec<String>,
    /// Folder of the journal to read the units from, such as that of a disk mounted here [default: this machine's journal]
    #[arg(long, value_name = "DIR", requires = "unit")]
    pub(crate) journal_dir: Option<PathBuf>,
    /// Folder of the application, or the name under which its state is kept
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) app: Option<String>,
    /// How far back the first look at a source goes: 30m, 1h, 7d, or a time [default: 1h]
    #[arg(long, value_name = "TIME", conflicts_with = "from_start")]
    pub(crate) since: Option<String>,
    /// The first look at a source takes all that is there; of a file, also what it was rotated into
    #[arg(long)]
    pub(crate) from_start: bool,
}

/// What a run does.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    /// The most errors in this run; more is critical [default: 10 in ten minutes]
    #[arg(long, value_name = "N")]
    pub(crate) max_errors: Option<u64>,
    /// Print each record with the rule that judged it, before the report
    #[arg(long)]
    pub(crate) explain: bool,
    /// Look, and remember nothing: with --since or --from-start also at what was read before
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// That nothing comes on standard input is fine
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Templates by count, with trend and one sample each
    Top(TopArgs),
    /// The same judgement as lines arrive, until interrupted
    Follow(WatchArgs),
    /// Logs that nobody rotates, and what mends it
    Audit(AuditArgs),
}

/// The whole tool: reads the command line, runs, reports.
pub(crate) fn main() -> ExitCode {
    let args: Args = match parse(TOOL, VERSION, |args: &Args| &args.common) {
        Ok(args) => completed(args),
        Err(exit) => return exit,
    };
    let run = Run::start(TOOL, VERSION, &args.common);
    let (result, prepared) = match execute(&args, &run) {
        Ok((outcome, prepared)) => (Ok(outcome), prepared),
        Err(failure) => (Err(failure), None),
    };
    let exit = run.finish(result);
    if let Some(prepared) = prepared {
        let _ = prepared.commit();
    }
    exit
}

/// Flags may stand before the command and after it: those before it are for it too, where it says nothing itself.
fn completed(mut args: Args) -> Args {
    let outer = args.watch.clone();
    match &mut args.command {
        None => {}
        Some(Command::Top(top)) => top.sources.complete(&outer.sources),
        Some(Command::Follow(follow)) => {
            follow.sources.complete(&outer.sources);
            follow.max_errors = follow.max_errors.or(outer.max_errors);
            follow.explain |= outer.explain;
        }
        Some(Command::Audit(audit)) => audit.app = audit.app.take().or(outer.sources.app),
    }
    args
}

impl SourceArgs {
    fn complete(&mut self, outer: &Self) {
        let SourceArgs { files, service, unit, journal_dir, app, since, from_start } = outer.clone();
        self.files.extend(files);
        self.service.extend(service);
        self.unit.extend(unit);
        self.journal_dir = self.journal_dir.take().or(journal_dir);
        self.app = self.app.take().or(app);
        self.since = self.since.take().or(since);
        self.from_start |= from_start;
    }
}

fn execute(args: &Args, run: &Run) -> Result<(Outcome, Option<Prepared>), Failure> {
    let stated = args.app();
    if args.alert.test_alert {
        return Ok((run.test_alert(stated)?, None));
    }
    if args.command.is_none() && !args.watch.dry_run {
        run.job(JOB);
    }
    let config = run.config(stated)?;
    let app = match config.app(stated) {
        Ok(app) => Some(app),
        // Files and standard input need no application.
        Err(ConfigError::AppUnknown) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(app) = &app {
        run.app(&app.name);
    }
    let nameless = || App { name: NAMELESS.to_owned(), dir: None };
    let outcome = match &args.command {
        None => return watch::watch(&args.watch, &config, &app.unwrap_or_else(nameless), run),
        Some(Command::Top(args)) => top::top(args, &config, &app.unwrap_or_else(nameless), run)?,
        Some(Command::Follow(args)) => follow::follow(args, &config, &app.unwrap_or_else(nameless), run)?,
        Some(Command::Audit(args)) => audit::audit(args, &config, app.as_ref(), run)?,
    };
    Ok((outcome, None))
}

impl Args {
    /// The application that was named.
    fn app(&self) -> Option<&str> {
        let stated = match &self.command {
            None => &self.watch.sources.app,
            Some(Command::Top(args)) => &args.sources.app,
            Some(Command::Follow(args)) => &args.sources.app,
            Some(Command::Audit(args)) => &args.app,
        };
        stated.as_deref()
    }
}
