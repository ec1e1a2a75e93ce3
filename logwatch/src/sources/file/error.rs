//! Why a file cannot be read as a log.

use std::fs::{self, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// How much of `/etc/group` is looked at, in bytes.
const MOST_GROUPS: u64 = 1 << 20;

/// Why a file cannot be read as a log. Never taken for a log without lines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not there, and no rotation is going on that explains it.
    #[error("there is no file {}", path.display())]
    Missing {
        /// As it was named.
        path: PathBuf,
    },
    /// It is somebody else's.
    #[error("{} may not be read by us", path.display())]
    NotAllowed {
        /// As it was named.
        path: PathBuf,
        /// What would help.
        help: Help,
    },
    /// It has no lines that stay where they are.
    #[error("{} is a {}, not a file", path.display(), kind.name())]
    NotAFile {
        /// As it was named.
        path: PathBuf,
        /// What it is.
        kind: Kind,
    },
    /// The pattern has no meaning.
    #[error("the pattern {pattern:?} has no meaning")]
    Pattern {
        /// As it was typed.
        pattern: String,
        /// Why.
        source: glob::PatternError,
    },
    /// There is no file like that.
    #[error("no file matches {pattern:?}")]
    NoMatch {
        /// As it was typed.
        pattern: String,
    },
    /// A packed file that was named ends before what is in it does.
    #[error("{} is cut short: is it still being packed?", path.display())]
    CutShort {
        /// As it was named.
        path: PathBuf,
    },
    /// The disk, or a packed file that is damaged.
    #[error("cannot read {}", path.display())]
    Broken {
        /// As it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who may read a file that we may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Help {
    /// The members of this group.
    Group(String),
    /// Its owner only.
    Owner,
    /// Nobody knows: a folder above it is closed.
    Folder,
}

/// What is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A folder.
    Folder,
    /// A named pipe.
    Pipe,
    /// A device, such as `/dev/log`'s relatives.
    Device,
    /// A socket.
    Socket,
}

impl Kind {
    /// What this is, if it is no file.
    fn of(kind: FileType) -> Option<Self> {
        if kind.is_file() {
            None
        } else if kind.is_dir() {
            Some(Self::Folder)
        } else if kind.is_fifo() {
            Some(Self::Pipe)
        } else if kind.is_socket() {
            Some(Self::Socket)
        } else {
            Some(Self::Device)
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Pipe => "named pipe",
            Self::Device => "device",
            Self::Socket => "socket",
        }
    }
}

impl FileError {
    /// Fails if this is no file.
    pub(super) fn check(path: &Path, facts: &Metadata) -> Result<(), Self> {
        match Kind::of(facts.file_type()) {
            None => Ok(()),
            Some(kind) => Err(Self::NotAFile { path: path.to_owned(), kind }),
        }
    }

    /// The same of the file as it was named.
    pub(super) fn named(self, name: &Path) -> Self {
        let name = name.to_owned();
        match self {
            Self::Missing { .. } => Self::Missing { path: name },
            Self::NotAllowed { help, .. } => Self::NotAllowed { path: name, help },
            Self::NotAFile { kind, .. } => Self::NotAFile { path: name, kind },
            Self::CutShort { .. } => Self::CutShort { path: name },
            Self::Broken { source, .. } => Self::Broken { path: name, source },
            Self::Pattern { .. } | Self::NoMatch { .. } => self,
        }
    }

    /// What it means that this path could not be opened or read.
    pub(super) fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::PermissionDenied => {
                let help = Help::of(fs::metadata(&path).ok().as_ref());
                Self::NotAllowed { path, help }
            }
            _ => Self::Broken { path, source },
        }
    }
}

impl Help {
    fn of(facts: Option<&Metadata>) -> Self {
        match facts {
            // S_IRGRP
            Some(facts) if facts.mode() & 0o040 != 0 => Self::Group(group(facts.gid())),
            Some(_) => Self::Owner,
            None => Self::Folder,
        }
    }
}

/// The name of a group, or its number where it has none.
fn group(gid: u32) -> String {
    let mut groups = Vec::new();
    let read = fs::File::open("/etc/group").and_then(|file| file.take(MOST_GROUPS).read_to_end(&mut groups));
    let groups = if read.is_ok() { String::from_utf8_lossy(&groups) } else { "".into() };
    let number = gid.to_string();
    let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2) == Some(&number.as_str())).map_or(number.clone(), |fields| fields[0].to_owned())
}

impl Explain for FileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "file.missing",
            Self::NotAllowed { .. } => "file.not_allowed",
            Self::NotAFile { .. } => "file.not_a_file",
            Self::Pattern { .. } => "file.pattern",
            Self::NoMatch { .. } => "file.no_match",
            Self::CutShort { .. } => "file.cut_short",
            Self::Broken { .. } => "file.broken",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing { path } => format!("is its name right, and does its writer run? ls -l {}*", path.display()),
            Self::NotAllowed { path, help } => match help {
                Help::Group(group) => {
                    format!("members of the group `{group}` may: usermod --append --groups {group} USER")
                }
                Help::Owner => {
                    "only its owner may read it: run this as root, or have the log made readable for a group".to_owned()
                }
                Help::Folder => format!("a folder above it is closed to us; see which: namei -l {}", path.display()),
            },
            Self::NotAFile { path, kind } => match kind {
                Kind::Folder => format!("name the files in it: '{}/*.log'", path.display()),
                Kind::Pipe | Kind::Device => format!("read it as standard input: logwatch - < {}", path.display()),
                Kind::Socket => "name the file that its reader writes, or the unit of systemd".to_owned(),
            },
            Self::Pattern { .. } => {
                "`*` and `?` stand for anything, `[ab]` for one of these; `[[]` is a bracket".to_owned()
            }
            Self::NoMatch { pattern } => format!("what is there? ls -ld {pattern}"),
            Self::CutShort { path } => {
                format!("look again once it is whole; if it stays so, its end is lost: gzip --test {}", path.display())
            }
            Self::Broken { path, .. } => {
                if path.extension().is_some_and(|extension| extension == "gz") {
                    format!("is it whole? gzip --test {}", path.display())
                } else {
                    "is the disk well? dmesg | tail".to_owned()
                }
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. }
            | Self::NotAllowed { .. }
            | Self::NotAFile { .. }
            | Self::Pattern { .. }
            | Self::NoMatch { .. }
            | Self::CutShort { .. }
            | Self::Broken { .. } => Exit::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn refused(mode: u32) -> FileError {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        FileError::of(&path, io::Error::from(io::ErrorKind::PermissionDenied))
    }

    #[test]
    fn what_may_not_be_read_says_who_may() {
        let group = group(fs::metadata(std::env::temp_dir()).unwrap().gid());
        let FileError::NotAllowed { help, .. } = refused(0o640) else { panic!("it is another error") };
        assert!(matches!(&help, Help::Group(name) if !name.is_empty()), "{help:?} where the folder's is {group}");
        assert!(refused(0o600).hint().contains("only its owner"));
        let closed = FileError::of(Path::new("/nowhere/x.log"), io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(closed.hint(), "a folder above it is closed to us; see which: namei -l /nowhere/x.log");
    }

    #[test]
    fn groups_have_names_or_numbers() {
        assert_eq!(group(0), "root");
        assert_eq!(group(4_000_000_000), "4000000000");
    }

    #[test]
    fn each_failure_is_unknown_and_never_well() {
        let (path, help) = (PathBuf::from("/x/y.log.1.gz"), Help::Owner);
        let pattern = || "[".to_owned();
        let errors = [
            FileError::Missing { path: path.clone() },
            FileError::NotAllowed { path: path.clone(), help },
            FileError::NotAFile { path: path.clone(), kind: Kind::Pipe },
            FileError::Pattern { pattern: pattern(), source: glob::Pattern::new("[").unwrap_err() },
            FileError::NoMatch { pattern: pattern() },
            FileError::CutShort { path: path.clone() },
            FileError::Broken { path, source: io::Error::other("x") },
        ];
        for error in errors {
            assert_eq!(error.exit(), Exit::Unknown, "of {error}");
            assert!(error.code().starts_with("file.") && !error.hint().is_empty());
        }
    }
}
