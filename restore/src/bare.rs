//! Restores a file that somebody brings: an archive or a dump of the old script, a payload or a pack taken out of a store,
//! any tar.
//! Nothing in it is believed before it is unpacked and proven beside what is live.
//!
//! In place it replaces what it holds and leaves everything else: an archive does not tell what it was made of, so what it
//! lacks may never have been in it.

mod dump;
mod error;
mod part;
mod sniff;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use shipshape_core::archive::entry::Time;
use shipshape_core::archive::keys::Identities;
use shipshape_core::archive::unseal::{Plain, UnsealError};
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::Failure;
use shipshape_core::lock::Lock;
use shipshape_core::name;
use shipshape_core::progress::Progress;
use shipshape_core::run::Outcome;
use shipshape_core::signal;
use shipshape_core::units::ByteSize;

use crate::ask;
use crate::cli::{RestoreArgs, With};
use crate::database::{Dump, Records};
use crate::members::{Members, Origin};
use crate::metadata::Basics;
use crate::pick::Picked;
use crate::place::{Done, Target, discard_older, in_folder, settle, shown, untouchable, warnings};
use crate::select::SelectError;
use crate::stage::{Domain, Stage};
use crate::swap::{self, scope::Scope};
use crate::target::TargetError;
use crate::tree::{Tree, Twice};
use crate::unpack::{self, UnpackError, Unpacked, tars};

use dump::Proven;
use error::BareError;
use sniff::{Found, Kind};

/// Restores the file, in place below the application's folder or into a folder of its own.
pub(crate) fn restore(with: &With<'_>, file: &Path) -> Result<Outcome, Failure> {
    let flags = &with.args.restore;
    let (opened, facts) = open(file)?;
    let identities = identities(with)?;
    let mut found = sniff::open(Box::new(Interruptible(opened)), file, &identities)?;
    if let Found::Dump(kind, plain) = found {
        let proven = prove(flags, file, &facts, kind, plain)?;
        if flags.into.is_none() || dump::new_name(flags.into.as_ref()).is_some() {
            let open = || Ok(Dump { name: shown(file), reader: reopen(file, &identities)?, promise: None });
            return dump::restore(with, file, &proven, open);
        }
        found = Found::Dump(kind, reopen(file, &identities)?);
    }
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
    let _lock = settled(with, &target)?;
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

/// Reads a dump to its end. It will be read again to be loaded, and nothing can be picked out of it.
fn prove(flags: &RestoreArgs, file: &Path, facts: &fs::Metadata, kind: Kind, plain: Plain) -> Result<Proven, Failure> {
    if let Some(path) = flags.path.first() {
        return Err(SelectError::Both { first: format!("--path {path}"), second: "a dump, which has no paths," }.into());
    }
    if !facts.is_file() {
        return Err(BareError::NotAFile { path: shown(file) }.into());
    }
    let proven = dump::prove(kind, plain, file);
    // What broke may be the run.
    signal::check()?;
    Ok(proven?)
}

/// The plain bytes of a dump, once more.
fn reopen(file: &Path, identities: &Identities) -> Result<Plain, UnsealError> {
    let object = shown(file);
    let failed = |cause| UnsealError::Damaged { object: object.clone(), cause };
    let opened = File::open(file).map_err(failed)?;
    match sniff::open(Box::new(Interruptible(opened)), file, identities) {
        Ok(Found::Dump(_, plain)) => Ok(plain),
        Ok(Found::Tar(_) | Found::Environment(_)) => Err(failed(io::Error::other("it was replaced meanwhile"))),
        Err(BareError::Unseal(refused)) => Err(refused),
        Err(other) => Err(failed(io::Error::other(other))),
    }
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

/// In place, what an earlier restore of databases has left is settled before files are.
fn settled(with: &With<'_>, target: &Target) -> Result<Option<Lock>, Failure> {
    match (target, with.config.app(with.args.store.app.as_deref())) {
        (Target::InPlace(_), Ok(app)) => {
            let records = Records::open(&with.args.common, &app.name)?;
            Ok(Some(settle(with, &records, with.args.restore.yes)?))
        }
        (Target::Into(_), _) | (_, Err(_)) => Ok(None),
    }
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
        Found::Dump(_, plain) => dump::unpack(&mut tree, plain, file, &progress)?,
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
mod fuzz;
#[cfg(test)]
mod tests;
