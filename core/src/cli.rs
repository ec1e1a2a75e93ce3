//! The command line that all tools share: flags, help, usage errors, and what is generated from the same definition.

mod generate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::SubsecRound;
use clap::error::ErrorKind;
use clap::{Args, Parser, ValueEnum};
use serde_json::Value;

use crate::exit::Exit;
use crate::report::{Notice, Report, SCHEMA};
use crate::{clock, machine, output};

/// Flags of every tool.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Configuration file [default: shipshape.toml in the application's folder, else /etc/shipshape.toml]
    #[arg(long, global = true, value_name = "FILE", env = "SHIPSHAPE_CONFIG", hide_env_values = true, help_heading = COMMON)]
    pub config: Option<PathBuf>,
    /// State folder [default: /var/lib/shipshape, or ~/.local/state/shipshape for ordinary users]
    #[arg(long, global = true, value_name = "DIR", env = "SHIPSHAPE_STATE", hide_env_values = true, help_heading = COMMON)]
    pub state: Option<PathBuf>,
    /// Form of the report [default: text on a terminal, json elsewhere]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = COMMON)]
    pub format: Option<Format>,
    /// Say nothing to people when all is well
    #[arg(long, global = true, help_heading = COMMON)]
    pub quiet: bool,
    /// Print the manual page, or completions for a shell, and stop
    #[arg(long, global = true, value_name = "WHAT", help_heading = COMMON)]
    pub generate: Option<Generate>,
}

impl CommonArgs {
    /// The form of what goes to standard output: as it was asked for, else text for people and JSON for programs, so that
    /// `>> backup.log` and `| jq` get what they need without a flag.
    pub fn form(&self) -> Format {
        let usual = if output::stdout_is_terminal() { Format::Text } else { Format::Json };
        self.format.unwrap_or(usual)
    }
}

/// Flags of the tools that open a store.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreArgs {
    /// Folder of the application, or its name where only the store is needed
    #[arg(long, global = true, value_name = "DIR|NAME")]
    pub app: Option<String>,
    /// The store: a folder, or `file:///folder`
    #[arg(long, global = true, value_name = "URL", env = "SHIPSHAPE_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Name of the host in the store [default: this machine's]
    #[arg(long, global = true, value_name = "NAME")]
    pub host: Option<String>,
}

/// The flag of the tools that tell somebody when something is wrong.
#[derive(Args, Clone, Debug, Default)]
pub struct AlertArgs {
    /// Send a marked test to everybody whom `[alert]` names, say what became of it, and do nothing else
    #[arg(long, help_heading = COMMON)]
    pub test_alert: bool,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One line of JSON, for programs.
    Json,
}

/// What can be generated from the definition of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// Manual page.
    Man,
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
}

const COMMON: &str = "Common options";

/// Parses the command line.
///
/// Help, the version and `--generate` print to standard output and end with 0. A usage error ends with 3 (not with the 2 of
/// clap, which means that the job failed), its message on standard error; a program that reads standard output gets a report.
///
/// # Errors
/// The exit code with which the process shall end at once.
pub fn parse<A: Parser>(
    tool: &'static str,
    version: &'static str,
    common: fn(&A) -> &CommonArgs,
) -> Result<A, ExitCode> {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let parsed = interpret::<A>(tool, version, common, &argv);
    parsed.map_err(|ending| ExitCode::from(ending.conclude(tool, version, &argv).number()))
}

/// Why there is nothing to run.
#[derive(Debug)]
enum Ending {
    Generated(Vec<u8>),
    /// Help, the version, or a usage error.
    Clap(clap::Error),
}

fn interpret<A: Parser>(
    tool: &'static str,
    version: &'static str,
    common: fn(&A) -> &CommonArgs,
    argv: &[OsString],
) -> Result<A, Ending> {
    let command = || A::command().name(tool).bin_name(tool).version(version);
    // Looked for first: what else would be required is not, when only a manual is wanted.
    if let Some(what) = flag(argv, "generate") {
        return Err(Ending::Generated(generate::generate(what, command(), tool)));
    }
    let found = command().try_get_matches_from(argv).map_err(Ending::Clap)?;
    let parsed = A::from_arg_matches(&found).map_err(|error| Ending::Clap(error.format(&mut command())))?;
    match common(&parsed).generate {
        Some(what) => Err(Ending::Generated(generate::generate(what, command(), tool))),
        None => Ok(parsed),
    }
}

/// The value of a flag, read without regard to the rest of the line; a word that it does not know is left to clap.
fn flag<T: ValueEnum>(argv: &[OsString], name: &str) -> Option<T> {
    let words: Vec<&str> = argv.iter().skip(1).map(|word| word.to_str().unwrap_or_default()).collect();
    let words = words.split(|word| *word == "--").next()?;
    let long = format!("--{name}");
    let found = words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(&long)? {
        "" => words.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    });
    T::from_str(found?, false).ok()
}

impl Ending {
    fn conclude(self, tool: &str, version: &str, argv: &[OsString]) -> Exit {
        match self {
            Self::Generated(bytes) => {
                let _ = output::say(&String::from_utf8_lossy(&bytes));
                Exit::Ok
            }
            Self::Clap(error) => {
                // Nothing is lost where nobody reads it.
                let _ = error.print();
                if !error.use_stderr() {
                    return Exit::Ok;
                }
                let wants_json =
                    flag(argv, "format").map_or(!output::stdout_is_terminal(), |form: Format| form == Format::Json);
                if wants_json {
                    let _ = output::say(&usage_report(tool, version, &error).to_line());
                }
                Exit::Unknown
            }
        }
    }
}

/// The report of a run that did not come to run.
fn usage_report(tool: &str, version: &str, error: &clap::Error) -> Report {
    let notice = usage_notice(tool, error);
    Report {
        schema: SCHEMA,
        tool: tool.to_owned(),
        version: version.to_owned(),
        host: machine::host_name(),
        app: None,
        started: clock::now().trunc_subsecs(0),
        duration_s: 0.0,
        status: Exit::Unknown.status(),
        exit_code: Exit::Unknown.number(),
        summary: notice.message.clone(),
        data: Value::Object(serde_json::Map::default()),
        warnings: Vec::new(),
        error: Some(notice),
    }
}

/// clap's words: the first paragraph is the message, a `tip:` is the hint.
fn usage_notice(tool: &str, error: &clap::Error) -> Notice {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Notice::new("usage", "what to do is missing", format!("{tool} --help"));
    }
    let text = crate::redact::redact(&error.render().to_string()).into_owned();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let first: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    Notice::new("usage", first.join(" "), tip.map_or_else(|| format!("{tool} --help"), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Subcommand};

    /// Copies what matters
    #[derive(Parser, Debug)]
    struct Demo {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        store: StoreArgs,
        /// What to restore
        snapshot: String,
        #[command(subcommand)]
        action: Option<Action>,
    }

    #[derive(Subcommand, Debug)]
    enum Action {
        /// Show them
        List {
            /// With every column
            #[arg(long)]
            long: bool,
        },
    }

    fn read(line: &str) -> Result<Demo, Ending> {
        let argv: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        interpret("restore", "1.2.3", |demo: &Demo| &demo.common, &argv)
    }

    fn usage(line: &str) -> Notice {
        match read(line) {
            Err(Ending::Clap(error)) if error.use_stderr() => usage_notice("restore", &error),
            other => panic!("{line} is no usage error: {other:?}"),
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Demo::command().debug_assert();
    }

    #[test]
    fn common_flags_are_taken_before_and_after_a_subcommand() {
        let before = read("restore --quiet --app /srv/demo latest list --long").unwrap();
        assert!(before.common.quiet);
        assert!(matches!(before.action, Some(Action::List { long: true })));
        let after = read("restore latest list --state /tmp/s --store /backups").unwrap();
        assert_eq!(after.common.state, Some(PathBuf::from("/tmp/s")));
        assert_eq!(after.store.store.as_deref(), Some("/backups"));
    }

    #[test]
    fn a_usage_error_names_what_is_wrong_and_the_nearest_right_word() {
        let notice = usage("restore latest --stor /x");
        assert_eq!(notice.code, "usage");
        assert!(notice.message.contains("'--stor'"), "{notice:?}");
        assert!(notice.hint.contains("'--store'"), "{notice:?}");
        assert!(usage("restore").message.contains("<SNAPSHOT>"));
        assert_eq!(usage("restore").hint, "restore --help");
    }

    #[test]
    fn the_report_of_a_usage_error_says_unknown() {
        let Err(Ending::Clap(error)) = read("restore --nope") else { panic!("a usage error is expected") };
        let report = usage_report("restore", "1.2.3", &error);
        assert_eq!((report.exit_code, report.error.map(|error| error.code)), (3, Some("usage".to_owned())));
        assert_eq!(Ending::Clap(error).conclude("restore", "1.2.3", &[]), Exit::Unknown);
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for line in ["restore --help", "restore --version", "restore help"] {
            let Err(Ending::Clap(error)) = read(line) else { panic!("{line} should end the run") };
            assert!(!error.use_stderr(), "{line}");
        }
    }

    #[test]
    fn generating_needs_no_other_argument_and_stops_at_two_dashes() {
        for line in ["restore --generate man", "restore --generate=bash", "restore list --generate zsh"] {
            assert!(matches!(read(line), Err(Ending::Generated(bytes)) if !bytes.is_empty()), "{line}");
        }
        assert!(matches!(read("restore -- --generate man"), Err(Ending::Clap(_))));
        assert!(usage("restore --generate tcsh").message.contains("tcsh"));
    }
}
