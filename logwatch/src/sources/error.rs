//! Why a source cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use shipshape_core::child::ChildError;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::stack::StackError;

use super::file::FileError;
use super::stdin::NAME as STDIN;

/// Why a source cannot be read. Never taken for a source without lines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// A file is not there, or may not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is read is no log: a packed file, a program, a picture.
    #[error("{what} is no text: {garbage} of {lines} lines are none")]
    NoText {
        /// The source.
        what: String,
        /// How many lines are no text.
        garbage: u64,
        /// How many there are.
        lines: u64,
    },
    /// Nobody has said what to read, and nothing offers itself.
    #[error("nothing is named to read, and nothing is piped into standard input")]
    Nothing,
    /// Standard input ended before anything came.
    #[error("nothing came on standard input")]
    Empty,
    /// Services are named, and the folder has none.
    #[error("there is no Compose project whose services could be read{}", place.as_ref().map_or_else(String::new, |dir| format!(" in {}", dir.display())))]
    NoProject {
        /// The folder, where one is known.
        place: Option<PathBuf>,
    },
    /// The application has no such service.
    #[error("there is no service `{service}`")]
    NoService {
        /// As it was asked for.
        service: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A service has no container, and the log goes with the container.
    #[error("{what} has no container, and so no log")]
    NoContainer {
        /// The service, or the project.
        what: String,
    },
    /// What could not be read before is asked for again.
    #[error("{what} still cannot be read")]
    StillAbsent {
        /// What.
        what: String,
    },
    /// The engine keeps nothing of what a container logs.
    #[error("the log of {name} is not kept: its log driver is `{driver}`")]
    NotKept {
        /// The container.
        name: String,
        /// What takes its log.
        driver: String,
    },
    /// There is no journal, or nothing in it.
    #[error("there is no journal to read{}", dir.as_ref().map_or_else(String::new, |dir| format!(" in {}", dir.display())))]
    NoJournal {
        /// Where it was looked for, if somebody has said.
        dir: Option<PathBuf>,
    },
    /// The journal does not show everything to everybody.
    #[error("the journal may not be read: {why}")]
    Denied {
        /// In the words of journalctl.
        why: String,
    },
    /// Neither systemd nor the journal knows the unit.
    #[error("there is no unit `{unit}`, and the journal has nothing of it")]
    NoUnit {
        /// As systemd would call it.
        unit: String,
    },
    /// The journal's program failed, or is not there.
    #[error(transparent)]
    Journal(#[from] ChildError),
    /// The stack does not answer.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A file cannot be read as a log.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Explain for SourceError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(cause) => cause.code(),
            Self::Unreadable { .. } => "source.unreadable",
            Self::NoText { .. } => "source.no_text",
            Self::Nothing => "source.none",
            Self::Empty => "stdin.empty",
            Self::NoProject { .. } => "source.no_project",
            Self::NoService { .. } => "source.no_service",
            Self::NoContainer { .. } => "source.no_container",
            Self::StillAbsent { .. } => "source.absent",
            Self::NotKept { .. } => "source.not_kept",
            Self::NoJournal { .. } => "journal.none",
            Self::Denied { .. } => "journal.denied",
            Self::NoUnit { .. } => "journal.no_unit",
            Self::Journal(cause) => cause.code(),
            Self::Stack(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::File(cause) => cause.hint(),
            Self::Unreadable { path, .. } if path == Path::new(STDIN) => {
                "is what is piped in whole? gzip --test says so of what is packed".to_owned()
            }
            Self::Unreadable { path, .. } => format!("is it there, and may you read it? ls -l {}", path.display()),
            Self::NoText { .. } => {
                "is it a log? what is packed otherwise than with gzip is unpacked first: zstdcat FILE | logwatch -"
                    .to_owned()
            }
            Self::Nothing => {
                "name files, `--service NAME` or `--unit NAME`; or pipe lines in; or run it in the folder of \
                              a Compose project (--app DIR)"
                    .to_owned()
            }
            Self::Empty => "does what feeds it run? add --allow-empty if no lines are fine".to_owned(),
            Self::NoProject { .. } => "name the folder of its compose file: --app DIR".to_owned(),
            Self::NoService { known, .. } if known.is_empty() => "the project has no services".to_owned(),
            Self::NoService { known, .. } => format!("there are: {}", known.join(", ")),
            Self::StillAbsent { .. } => "begin anew once it is there".to_owned(),
            Self::NoContainer { .. } => "start it: docker compose up -d; or leave it out".to_owned(),
            Self::NotKept { .. } => {
                "give the service a log that can be read: logging: {driver: local}; or leave it out \
                                     and read where its lines go"
                    .to_owned()
            }
            Self::NoJournal { .. } => "does systemd run here, and journald with it? journalctl -n 1".to_owned(),
            Self::Denied { .. } => {
                "run it as root, or as one of the group that may: sudo usermod -aG systemd-journal $USER".to_owned()
            }
            Self::NoUnit { .. } => "see which there are: journalctl --field=_SYSTEMD_UNIT".to_owned(),
            Self::Journal(cause) => cause.hint(),
            Self::Stack(cause) => cause.hint(),
        }
    }

    /// Whatever keeps us from looking, nothing is known then; but that we were asked to stop says so itself.
    fn exit(&self) -> Exit {
        match self {
            Self::File(cause) => cause.exit(),
            Self::Unreadable { .. }
            | Self::NoText { .. }
            | Self::Nothing
            | Self::Empty
            | Self::NoProject { .. }
            | Self::NoService { .. }
            | Self::NoContainer { .. }
            | Self::StillAbsent { .. }
            | Self::NotKept { .. }
            | Self::NoJournal { .. }
            | Self::Denied { .. }
            | Self::NoUnit { .. } => Exit::Unknown,
            Self::Journal(cause) | Self::Stack(StackError::Child(cause)) => exit_of(cause),
            Self::Stack(cause) => cause.exit(),
        }
    }
}

fn exit_of(cause: &ChildError) -> Exit {
    if let ChildError::Interrupted(interrupted) = cause { interrupted.exit() } else { Exit::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_cannot_be_read_is_unknown_and_never_a_finding() {
        let missing = ChildError::TooMuch { program: "docker".to_owned() };
        assert_eq!(missing.exit(), Exit::Critical);
        assert_eq!(SourceError::from(StackError::from(missing)).exit(), Exit::Unknown);
        assert_eq!(SourceError::Empty.exit(), Exit::Unknown);
        let unreadable = |path: &str| SourceError::Unreadable { path: path.into(), source: io::Error::other("x") };
        assert!(unreadable(STDIN).hint().contains("gzip --test") && unreadable("/x").hint().contains("ls -l /x"));
        let no_text = SourceError::NoText { what: "stdin".to_owned(), garbage: 3, lines: 4 };
        assert_eq!((no_text.code(), no_text.exit()), ("source.no_text", Exit::Unknown));
    }

    #[test]
    fn an_unknown_service_names_those_that_there_are() {
        let known = vec!["app".to_owned(), "queue".to_owned()];
        let error = SourceError::NoService { service: "ap".to_owned(), known };
        assert_eq!(
            (error.to_string().as_str(), error.hint().as_str()),
            ("there is no service `ap`", "there are: app, queue")
        );
    }

    #[test]
    fn nothing_to_read_names_the_ways_to_say_what() {
        let hint = SourceError::Nothing.hint();
        assert!(["--service", "--unit", "pipe", "--app"].iter().all(|way| hint.contains(way)), "{hint}");
    }
}
