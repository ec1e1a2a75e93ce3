//! The command line of `restore`, and what each form of it does.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, Parser, Subcommand};
use shipshape_core::alert::Job;
use shipshape_core::cli::{AlertArgs, CommonArgs, StoreArgs, parse};
use shipshape_core::config::Config;
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};

use crate::select::{self, Asked, SelectError, report};
use crate::{all, bare, drill, list, place, undo, verify};

const TOOL: &str = "restore";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What runs without somebody who waits for it, as alerts know it.
const VERIFY: Job = Job { name: "restore.verify", fleeting: &[] };

/// The same for rehearsals.
const DRILL: Job = Job { name: "restore.drill", fleeting: &[] };

const EXAMPLES: &str = "\
Examples:
  restore latest --app /srv/demo --identity key.txt --into /tmp/look
      everything of the newest snapshot into a new folder
  restore latest --app /srv/demo --identity key.txt
      in place: shows what will be replaced, asks, and keeps the old side
  restore --at \"2026-11-19 18:00\" --path uploads/2026 --yes
      one folder as it was then, without asking
  restore latest --only app
      one database
  restore latest --only fleetbase --into fleetbase_yesterday
      a database of a server, under another name beside the live one
  restore undo
      back to what was there before the last restore
  restore files_20251120_020000.tar.gz --app /srv/demo
      a file of the old script
  restore db_20251120_020000.sql.gz --app /srv/demo
      a dump of it: proven, loaded beside the live database, and swapped
  restore list latest '*.jpg'
      what is inside, like `ls -l`
  backup | restore verify -
      a new snapshot, proven by reading it back with the key
  backup | restore drill -
      a rehearsal: everything is loaded into scratch containers, compared, timed and removed again
  restore latest --all --store /mnt/backups --identity key.txt --app /srv/demo
      onto a new server: compose files, databases, files and volumes, then everything starts
  restore --discard-old --app /srv/demo
      removes the old side that the last restore kept

What is restored is built and checked beside what is live, and swapped with it only when it is whole.
Exit status: 0 done, 1 done but look at the warnings, 2 failed or not whole, 3 could not run, 128+N on signal N.";

/// Puts a snapshot back without endangering what is live
#[derive(Parser, Clone, Debug)]
#[command(after_help = EXAMPLES, subcommand_precedence_over_arg = true, subcommand_negates_reqs = true)]
#[command(
    override_usage = "restore SNAPSHOT|latest|FILE|- [OPTIONS]\n       restore list SNAPSHOT [GLOB]\n       restore verify SNAPSHOT|latest|-|--all\n       restore undo [--yes]\n       restore drill [SNAPSHOT|latest|-]"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The age identity (secret key) that opens the snapshot
    #[arg(long, global = true, value_name = "FILE", env = "SHIPSHAPE_IDENTITY", hide_env_values = true)]
    pub(crate) identity: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) restore: RestoreArgs,
    #[command(flatten)]
    alert: AlertArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to restore, and where to.
#[derive(ClapArgs, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct RestoreArgs {
    /// An id or its beginning, `latest`, a file, or `-` for a report of backup on standard input
    #[arg(value_name = "SNAPSHOT|latest|FILE|-")]
    snapshot: Option<String>,
    /// The newest snapshot of that time or before: "2026-11-19 18:00", in local time, or with its zone; a date alone is all of that day
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Only payloads of these names: files, config, or a database's
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Only what matches, and what is below a folder that does: *.jpg, uploads/2026
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(crate) path: Vec<String>,
    /// Into this folder, which must be empty or not exist; without it, in place. For a database of a server alone, a name
    /// without a slash is that of a new database beside the live one
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) into: Option<PathBuf>,
    /// The service whose server takes the databases, where several could
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// The database that a dump given as a file takes the place of, where the dump does not say it
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// Everything, onto a server that has nothing yet: the compose files first, then databases, files and volumes, then all
    /// services start
    #[arg(long, conflicts_with_all = ["only", "path", "into", "service", "database"])]
    pub(crate) all: bool,
    /// In place without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// With --yes: replace a database although the dump, given as a file, lacks tables or rows that it has
    #[arg(long)]
    pub(crate) partial: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove the old sides that earlier restores kept; alone, or after this restore has succeeded
    #[arg(long)]
    pub(crate) discard_old: bool,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// List what is in a snapshot, like `ls -l`
    List {
        /// An id or its beginning, `latest`, or `-` for a report of backup
        #[arg(value_name = "SNAPSHOT|latest|-")]
        snapshot: String,
        /// Only what matches, and what is below a folder that does
        #[arg(value_name = "GLOB")]
        glob: Option<String>,
    },
    /// Decrypt and decompress everything, check every hash and end mark, touch nothing
    Verify {
        /// An id or its beginning, `latest`, or `-` for a report of backup
        #[arg(value_name = "SNAPSHOT|latest|-", required_unless_present = "all")]
        snapshot: Option<String>,
        /// All snapshots of the application
        #[arg(long, conflicts_with = "snapshot")]
        all: bool,
    },
    /// Put back what the last restore in place has replaced; another undo takes this one back
    Undo {
        /// Without asking
        #[arg(long, short)]
        yes: bool,
        /// Say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Rehearse a restore: load everything where nothing is live, compare it with the manifest, say how long it took
    Drill {
        /// An id or its beginning, `latest`, or `-` for a report of backup
        #[arg(value_name = "SNAPSHOT|latest|-", default_value = "latest")]
        snapshot: String,
        /// Where files are unpacked for the time being; in the state folder unless said
        #[arg(long, value_name = "DIR")]
        scratch: Option<PathBuf>,
    },
}

/// The whole program.
pub(crate) fn main() -> ExitCode {
    let args: Args = match parse(TOOL, VERSION, |args: &Args| &args.common) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let run = Run::start(TOOL, VERSION, &args.common);
    let outcome = carry_out(&run, &args);
    run.finish(outcome)
}

pub(crate) fn carry_out(run: &Run, args: &Args) -> Result<Outcome, Failure> {
    let app = args.store.app.as_deref();
    if args.alert.test_alert {
        return run.test_alert(app);
    }
    match &args.command {
        Some(Command::Verify { .. }) => run.job(VERIFY),
        Some(Command::Drill { .. }) => run.job(DRILL),
        Some(Command::List { .. } | Command::Undo { .. }) | None => {}
    }
    let config = run.config(app)?;
    let with = With { run, args, config: &config };
    let word = args.restore.snapshot.as_deref();
    match &args.command {
        Some(_) if word.is_some() => {
            let first = word.unwrap_or_default().to_owned();
            Err(SelectError::Both { first, second: "the command after it" }.into())
        }
        Some(Command::List { snapshot, glob }) => list::list(&with.open(snapshot)?, glob.as_deref()),
        Some(Command::Verify { snapshot, .. }) => verify::verify(&with, snapshot.as_deref()),
        Some(Command::Undo { yes, dry_run }) => undo::undo(&with, *yes, *dry_run),
        Some(Command::Drill { snapshot, scratch }) => drill::drill(&with, snapshot, scratch.as_deref()),
        None => restore(&with, word),
    }
}

/// `restore` without a command: a snapshot, a file, or the removal of old sides.
fn restore(with: &With<'_>, word: Option<&str>) -> Result<Outcome, Failure> {
    let flags = &with.args.restore;
    if word.is_none() && flags.at.is_none() && flags.discard_old {
        return place::discard_old(with);
    }
    match select::understand(word, flags.at.as_deref())? {
        Asked::File(_) if flags.all => {
            Err(SelectError::Both { first: "--all".to_owned(), second: "a file, which is not everything," }.into())
        }
        asked if flags.all => all::restore(with, asked),
        Asked::File(_) if !flags.only.is_empty() => {
            let first = format!("--only {}", flags.only.join(" "));
            Err(SelectError::Both { first, second: "a file, which has no payloads," }.into())
        }
        Asked::File(file) => bare::restore(with, &file),
        asked @ (Asked::Snapshot(_) | Asked::Report) => place::restore(with, &with.snapshot(asked, &flags.only)?),
    }
}

/// What everything below needs.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    /// The run.
    pub(crate) run: &'a Run,
    /// The command line.
    pub(crate) args: &'a Args,
    /// The configuration.
    pub(crate) config: &'a Config,
}

impl With<'_> {
    /// The store, and what is meant in it.
    pub(crate) fn store(&self, asked: Asked) -> Result<(select::Opened, select::Wanted), Failure> {
        let (told, wanted) = match asked {
            Asked::Report => {
                let told = report::read(std::io::stdin().lock())?;
                let wanted = select::Wanted::Id(told.id.clone());
                (Some(told), wanted)
            }
            Asked::Snapshot(wanted) => (None, wanted),
            Asked::File(file) => {
                return Err(SelectError::IsAFile { path: file.display().to_string() }.into());
            }
        };
        let identity = self.args.identity.clone();
        let unknown =
            if self.args.restore.all { select::Unknown::Find(wanted.clone()) } else { select::Unknown::Refuse };
        Ok((select::open(self.run, self.config, &self.args.store, told.as_ref(), identity, &unknown)?, wanted))
    }

    /// A snapshot, and what opens it.
    pub(crate) fn snapshot(&self, asked: Asked, only: &[String]) -> Result<select::Snapshot, Failure> {
        let (mut opened, wanted) = self.store(asked)?;
        let id = opened.choose(&wanted, only)?;
        opened.into_snapshot(&id)
    }

    /// The snapshot that a command only looks at.
    fn open(&self, word: &str) -> Result<select::Snapshot, Failure> {
        self.run.only_looks();
        self.snapshot(select::understand(Some(word), None)?, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn read(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_a_command() {
        let args = read("restore --app /srv/demo --store /s verify latest --identity key").unwrap();
        assert!(matches!(args.command, Some(Command::Verify { snapshot: Some(word), all: false }) if word == "latest"));
        assert_eq!(args.identity, Some("key".into()));
        assert!(matches!(read("restore list latest *.jpg").unwrap().command, Some(Command::List { .. })));
    }

    #[test]
    fn without_a_command_the_first_word_is_what_to_restore() {
        let args = read("restore - --only app files --path a b --into /tmp/x").unwrap();
        assert_eq!(args.restore.snapshot.as_deref(), Some("-"));
        assert_eq!((args.restore.only.len(), args.restore.path.len()), (2, 2));
    }

    #[test]
    fn verify_wants_to_know_what() {
        assert!(read("restore verify").is_err());
        assert!(read("restore verify latest --all").is_err());
        assert!(read("restore verify --all").is_ok());
    }
}
