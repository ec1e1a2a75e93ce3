//! Restores a file that somebody brings: an archive of the old script, a payload or a pack taken out of a store, any tar.
//! Nothing in it is believed before it is unpacked and proven beside what is live.
//!
//! In place it replaces what it holds and leaves everything else: an archive does not tell what it was made of, so what it
//! lacks may never have been in it.

mod sniff;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use shipshape_core::archive::entry::Time;
use shipshape_core::archive::keys::{Identities, KeyError};
use shipshape_core::archive::unseal::UnsealError;
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::name;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::signal;
use shipshape_core::units::ByteSize;

use crate::ask;
use crate::cli::With;
use crate::members::{Members, Origin};
use crate::metadata::Basics;
use crate::pick::Picked;
use crate::place::{Done, Target, discard_older, in_folder, shown, untouchable, warnings};
use crate::stage::{Domain, Stage};
use crate::swap::{self, scope::Scope};
use crate::target::TargetError;
use crate::tree::{Tree, Twice};
use crate::unpack::{self, UnpackError, Unpacked, tars};

use sniff::Found;

/// Why a file cannot be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BareError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It has no bytes, or an archive in it no members.
    #[error("{path} is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// It holds nothing but what restores keep for themselves.
    #[error("{path} holds nothing but folders of earlier restores")]
    OnlyOurs {
        /// The file.
        path: String,
    },
    /// It is a dump of a database.
    #[error("{path} looks like a dump of a database")]
    Dump {
        /// The file.
        path: String,
    },
    /// It is of no kind that is known.
    #[error("{path} is nothing that restore knows")]
    Unknown {
        /// The file.
        path: String,
    },
    /// It cannot be decrypted or decompressed.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// The identity cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Explain for BareError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "archive.unreadable",
            Self::Empty { .. } => "archive.empty",
            Self::OnlyOurs { .. } => "archive.only_ours",
            Self::Dump { .. } | Self::Unknown { .. } => "archive.unknown",
            Self::Unseal(UnsealError::Damaged { .. }) => "archive.damaged",
            Self::Unseal(cause) => cause.code(),
            Self::Key(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Read { path, .. } => format!("check that it exists and is yours: ls -l {path}"),
            Self::Empty { .. } => "nothing was changed; take another copy of the file, an older one if need be".to_owned(),
            Self::OnlyOurs { .. } => {
                "nothing was changed; to look at an old side, unpack it with GNU tar into a folder of its own".to_owned()
            }
            Self::Dump { .. } => "this version restores files and SQLite; load it with the database's own client".to_owned(),
            Self::Unknown { .. } => {
                "known are tars (plain, gzip, zstd) and env_* files, each also encrypted by age; for a snapshot give its id".to_owned()
            }
            Self::Unseal(UnsealError::Damaged { .. }) => "nothing was changed; take another copy of the file".to_owned(),
            Self::Unseal(cause) => cause.hint(),
            Self::Key(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Empty { .. } => Exit::Critical,
            Self::Read { .. } | Self::OnlyOurs { .. } | Self::Dump { .. } | Self::Unknown { .. } => Exit::Unknown,
            Self::Unseal(cause) => cause.exit(),
            Self::Key(cause) => cause.exit(),
        }
    }
}

/// Restores the file, in place below the application's folder or into a folder of its own.
pub(crate) fn restore(with: &With<'_>, file: &Path) -> Result<Outcome, Failure> {
    let flags = &with.args.restore;
    let (opened, facts) = open(file)?;
    let identities = identities(with)?;
    let found = sniff::open(Box::new(Interruptible(opened)), file, &identities)?;
    let target = Target::new(with, app_dir(with)?)?;
    let preview = format!("{}, {}\n", shown(file), ByteSize(facts.len()))
        + &crate::place::destination(&target, flags.discard_old)?;
    if flags.dry_run {
        with.run.only_looks();
        let summary = format!("would restore {} to {}; nothing was changed", shown(file), shown(target.folder()));
        return Ok(Outcome { text: preview, ..Outcome::ok(summary) });
    }
    if matches!(target, Target::InPlace(_)) && !flags.yes {
        ask::confirm(&preview)?;
    }
    let watch = Stopwatch::start();
    let picked = Picked::by_path(&flags.path)?;
    let domains = match &target {
        Target::Into(folder) => vec![Domain::new(Vec::new(), folder.clone())],
        Target::InPlace(folder) => in_folder(folder),
    };
    let mut stage = Stage::open(domains, &name_of(file), target.existing())?;
    let unpacked = build(with, found, file, &facts, &picked, &stage)?;
    let scope = Scope {
        untouchable: untouchable(with, None)?,
        only_for_content: unpacked.only_for_content.clone(),
        ..Scope::default()
    };
    let swapped = swap::swap(&mut stage, &scope)?;
    if flags.discard_old {
        // An archive may be any part of what was there: of what it lacks, the older side may be the only copy.
        discard_older(&stage, &swapped)?;
    }
    let done = Done { picked: &picked, unpacked: &unpacked, swapped: &swapped, target: &target, took: watch.elapsed() };
    let mut all = stage.recovered();
    all.extend(warnings(&unpacked, &swapped));
    Ok(Outcome { warnings: all, ..done.outcome_of_file(file) })
}

/// A pipe is as good as a file, but a file without bytes is a copy that failed.
fn open(file: &Path) -> Result<(File, fs::Metadata), BareError> {
    let failed = |cause| BareError::Read { path: shown(file), cause };
    let opened = File::open(file).map_err(failed)?;
    let facts = opened.metadata().map_err(failed)?;
    if facts.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if facts.is_file() && facts.len() == 0 { Err(BareError::Empty { path: shown(file) }) } else { Ok((opened, facts)) }
}

/// A file that ends with an error when the run is asked to stop: devices and pipes may never end.
struct Interruptible(File);

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        signal::check().map_err(io::Error::other)?;
        self.0.read(buffer)
    }
}

/// The identity, where one is given: whether it is needed shows when the file is opened.
fn identities(with: &With<'_>) -> Result<Identities, BareError> {
    let path = with.args.identity.as_ref().or(with.config.restore.identity_file.as_ref());
    Ok(path.map(|path| Identities::read(path)).transpose()?.unwrap_or_default())
}

/// The application's folder. With `--into` there need not be any.
fn app_dir(with: &With<'_>) -> Result<Option<std::path::PathBuf>, Failure> {
    match with.config.app(with.args.store.app.as_deref()) {
        Ok(app) => {
            with.run.app(&app.name);
            Ok(app.dir)
        }
        Err(_) if with.args.restore.into.is_some() || with.args.store.app.is_none() => Ok(None),
        Err(refused) => Err(refused.into()),
    }
}

/// The staging folder is named for the file.
fn name_of(file: &Path) -> String {
    let stem = file.file_name().unwrap_or_default().to_string_lossy();
    name::mend(stem.split('.').next().unwrap_or_default(), "file")
}

/// Unpacks the file into the staging folder.
fn build(
    with: &With<'_>,
    found: Found,
    file: &Path,
    facts: &fs::Metadata,
    picked: &Picked,
    stage: &Stage,
) -> Result<Unpacked, Failure> {
    let mut tree = Tree::new(stage, Twice::Replace);
    let progress = Progress::bytes(None, "restoring", with.args.common.quiet);
    let unpacked = match found {
        Found::Tar(plain) => {
            tars::foreign(Members::new(plain, &shown(file), Origin::File), picked, &mut tree, &progress)?
        }
        Found::Environment(bytes) => environment(&mut tree, &bytes, facts)?,
    };
    progress.finish();
    if !unpacked.is_empty() {
        Ok(unpacked)
    } else if unpacked.ours > 0 {
        Err(BareError::OnlyOurs { path: shown(file) }.into())
    } else if picked.paths.is_empty() {
        Err(BareError::Empty { path: shown(file) }.into())
    } else {
        Err(picked.nothing().into())
    }
}

/// A copy of `.env`. It is as private as it can be: what its mode was, the copy does not tell.
fn environment(tree: &mut Tree<'_>, bytes: &[u8], facts: &fs::Metadata) -> Result<Unpacked, UnpackError> {
    use std::os::unix::fs::FileExt;
    let failed = |cause| TargetError::io("write", ".env", cause);
    let live = tree.stage().domains().first().and_then(|domain| fs::metadata(domain.live.join(".env")).ok());
    let model = live.as_ref().unwrap_or(facts);
    let mtime = Time(facts.mtime(), u32::try_from(facts.mtime_nsec()).unwrap_or_default());
    let mode = live.as_ref().map_or(0o600, |live| live.mode() & 0o7777);
    let basics = Basics { mode, uid: model.uid(), gid: model.gid(), mtime };
    let file = tree.add_file(b".env")?;
    file.write_all_at(bytes, 0).map_err(failed)?;
    tree.stage().dresser()?.file(file.as_fd(), &basics, &[]).map_err(failed)?;
    let mut done = Unpacked { files: 1, bytes: bytes.len() as u64, ..Unpacked::default() };
    unpack::finish(tree, &mut done)?;
    Ok(done)
}

/// At most so many bytes of a stream, and whether there were more.
fn read_bounded(from: &mut dyn Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests;
