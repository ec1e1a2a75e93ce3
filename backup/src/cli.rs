//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use shipshape_core::cli::{AlertArgs, CommonArgs, StoreArgs};
use shipshape_core::config::Compression;

/// Shown below the flags.
const EXAMPLES: &str = "\
Configuration (shipshape.toml in the application's folder, or /etc/shipshape.toml; all of it optional):
  [app]          name, dir
  [store]        url, host, recipients, recipients_file, encryption = \"age\"|\"none\", compression = \"zstd\"|\"gzip\"|\"none\"
  [backup]       files, exclude, config, sqlite, one_file_system, services, exclude_volumes, stop
  [[backup.pre]], [[backup.post]]  service, command, timeout_s
  [backup.keep]  last (never fewer; 3), hourly, daily (30), weekly, monthly, yearly, tags
  [restore]      identity_file
  [alert]        after, clear_after, remind; [alert.mail], [[alert.webhook]], [[alert.ping]]: see the manual

Examples:
  backup init --app /srv/fleet --store /var/backups/shipshape
  backup                                   in the application's folder, or with /etc/shipshape.toml
  backup --dry-run                         what would be taken
  backup | restore verify -                and read all of it back with the identity
  backup list | jq -r '.data.snapshots[0].id'
  backup --test-alert                      would anybody be told?
  0 2 * * * root backup --config /etc/shipshape.toml >> /var/log/backup.log";

/// Copies databases, uploads and configuration into an encrypted store, and proves that the copy is whole.
#[derive(Parser, Debug)]
#[command(name = "backup", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What to do; `run` where nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// For `run`.
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Whether it is only to be seen that alerts arrive.
    #[command(flatten)]
    pub(crate) alert: AlertArgs,
    /// For every tool.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Take a snapshot (the default).
    Run(RunArgs),
    /// Discover what there is, make a store and an identity, and write shipshape.toml.
    Init(InitArgs),
    /// List the snapshots, newest first.
    List(ListArgs),
    /// Compare what is stored with the manifests, byte by byte, without any key.
    Check(CheckArgs),
    /// Remove the snapshots that the retention rules let go.
    Prune(PruneArgs),
    /// Show what changed between two snapshots (needs the identity).
    Diff(DiffArgs),
}

/// `backup run`.
#[derive(clap::Args, Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are what they are")]
pub(crate) struct RunArgs {
    /// Which application and store.
    #[command(flatten)]
    pub(crate) target: StoreArgs,
    /// Encrypt to this public key (age1…); may be repeated.
    #[arg(long, short, value_name = "AGE1…")]
    pub(crate) recipient: Vec<String>,
    /// Take these files and folders instead of the whole application folder.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Leave out what matches; a pattern without a slash is meant at any depth.
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(crate) exclude: Vec<String>,
    /// Take only these parts: files, config, or a database's name.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Give the snapshot this word; see `[backup.keep] tags`.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Do not cross into other mounted file systems.
    #[arg(long)]
    pub(crate) one_file_system: bool,
    /// How to compress [default: zstd].
    #[arg(long, value_enum)]
    pub(crate) compression: Option<Compression>,
    /// Store everything readable by whoever can read the store.
    #[arg(long, conflicts_with = "recipient")]
    pub(crate) no_encryption: bool,
    /// Accept that another store lies at this URL than in earlier runs.
    #[arg(long)]
    pub(crate) accept_store: bool,
    /// Accept what there is now, though databases are gone or much smaller, or files many fewer, than in the last good
    /// snapshot.
    #[arg(long)]
    pub(crate) accept_shrunk: bool,
    /// Leave older snapshots alone, whatever the retention rules say.
    #[arg(long)]
    pub(crate) no_prune: bool,
    /// Say what would be taken, and change nothing.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

/// `backup init`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct InitArgs {
    /// Which application and store.
    #[command(flatten)]
    pub(crate) target: StoreArgs,
    /// A further public key to encrypt to, such as one kept offline; may be repeated.
    #[arg(long, short, value_name = "AGE1…")]
    pub(crate) recipient: Vec<String>,
    /// Where to write the new identity [default: shipshape-APP-identity.txt in your home folder].
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Say what would be written, and write nothing.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

/// `backup list`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct ListArgs {
    /// Which application and store.
    #[command(flatten)]
    pub(crate) target: StoreArgs,
    /// Show the parts of each snapshot too.
    #[arg(long, short)]
    pub(crate) long: bool,
}

/// `backup check`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct CheckArgs {
    /// Which application and store.
    #[command(flatten)]
    pub(crate) target: StoreArgs,
    /// The snapshot to check [default: latest].
    #[arg(value_name = "SNAPSHOT", conflicts_with = "all")]
    pub(crate) snapshot: Option<String>,
    /// Check every snapshot, and look for objects that belong to none.
    #[arg(long)]
    pub(crate) all: bool,
}

/// `backup prune`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct PruneArgs {
    /// Which application and store.
    #[command(flatten)]
    pub(crate) target: StoreArgs,
    /// Say what would be removed, and remove nothing.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

/// `backup diff`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct DiffArgs {
    /// Which application and store.
    #[command(flatten)]
    pub(crate) target: StoreArgs,
    /// The identity that opens the snapshots.
    #[arg(long, short, value_name = "FILE", env = "SHIPSHAPE_IDENTITY")]
    pub(crate) identity: Option<PathBuf>,
    /// The earlier snapshot: an id or its beginning.
    #[arg(value_name = "A")]
    pub(crate) before: String,
    /// The later one, or latest.
    #[arg(value_name = "B")]
    pub(crate) after: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_command_means_run() {
        let args = Args::try_parse_from(["backup", "--dry-run", "--tag", "release"]).unwrap();
        assert!(args.command.is_none() && args.run.dry_run);
        let named = Args::try_parse_from(["backup", "run", "--dry-run"]).unwrap();
        assert!(matches!(named.command, Some(Command::Run(run)) if run.dry_run));
    }
}
