//! `backup diff A B`: what changed between two snapshots, from their indexes.

use std::fmt::Write as _;

use serde_json::json;
use shipshape_core::archive::catalog::{self, Wanted};
use shipshape_core::archive::entry::{Entry, Kind, path_order};
use shipshape_core::archive::index::{IndexError, IndexReader};
use shipshape_core::archive::keys::{Identities, KeyError};
use shipshape_core::archive::manifest::{Manifest, PayloadKind};
use shipshape_core::archive::names::Place;
use shipshape_core::archive::unseal;
use shipshape_core::config::Encryption;
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::units::{ByteSize, counted};

use crate::cli::DiffArgs;
use crate::facts::same_result;
use crate::target::Target;

/// A snapshot without files has nothing to compare.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot {0} holds no files")]
struct NoFiles(String);

impl Explain for NoFiles {
    fn code(&self) -> &'static str {
        "snapshot.no_files"
    }

    fn hint(&self) -> String {
        "it was taken with --only; name a complete one: backup list".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Unknown
    }
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    /// The content differs.
    Content,
    /// Only mode, owner, times, link or attributes differ.
    Facts,
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Content => "changed",
            Self::Facts => "metadata",
        }
    }

    const fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Content => 'M',
            Self::Facts => 'm',
        }
    }
}

/// One difference.
#[derive(Clone, Debug)]
struct Difference {
    change: Change,
    path: String,
    kind: Kind,
    before: u64,
    after: u64,
}

/// The command.
pub(crate) fn run(args: &DiffArgs, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let target = Target::open(&args.target, run)?;
    let own = target.place();
    let place = catalog::find_place(target.store.as_ref(), &own.app, args.target.host.as_deref(), &own.host)?;
    let [before, after] = [&args.before, &args.after].map(|text| manifest(&target, &place, text));
    let (before, after) = (before?, after?);
    let identities = identities(&target, args, &[&before, &after])?;
    let [old, new] = [&before, &after].map(|manifest| open_index(&target, &place, manifest, &identities));
    let differences = compare(old?, new?)?;
    Ok(outcome(&before, &after, &differences))
}

/// The manifest that a word means: an id, its beginning, or `latest`.
fn manifest(target: &Target, place: &Place, text: &str) -> Result<Manifest, Failure> {
    let wanted = if text == "latest" { Wanted::Latest } else { Wanted::Id(text.to_owned()) };
    let store = target.store.as_ref();
    let id = catalog::choose(place, &catalog::ids(store, place)?, &wanted)?;
    Ok(Manifest::read(store, place, &id)?)
}

/// The keys, where the snapshots are encrypted at all.
fn identities(target: &Target, args: &DiffArgs, manifests: &[&Manifest]) -> Result<Identities, Failure> {
    if manifests.iter().all(|manifest| manifest.encryption == Encryption::None) {
        return Ok(Identities::default());
    }
    let file = args.identity.as_deref().or(target.meant.config.restore.identity_file.as_deref());
    Ok(Identities::read(file.ok_or(KeyError::NoIdentity)?)?)
}

fn open_index(
    target: &Target,
    place: &Place,
    manifest: &Manifest,
    identities: &Identities,
) -> Result<IndexReader, Failure> {
    let files = manifest.payloads.iter().find(|payload| payload.kind == PayloadKind::Files);
    let files = files.ok_or_else(|| NoFiles(manifest.id.to_string()))?;
    let plain = unseal::open(target.store.as_ref(), place, &files.object, identities)?;
    Ok(IndexReader::new(plain)?)
}

/// Both indexes are in path order, so one pass over both is enough.
fn compare(mut old: IndexReader, mut new: IndexReader) -> Result<Vec<Difference>, IndexError> {
    let mut found = Vec::new();
    let (mut before, mut after) = (old.next_entry()?, new.next_entry()?);
    loop {
        let order = match (&before, &after) {
            (None, None) => return Ok(found),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(before), Some(after)) => path_order(&before.path.0, &after.path.0),
        };
        let (gone, come) = (before.take_if(|_| order.is_le()), after.take_if(|_| order.is_ge()));
        found.extend(difference(gone.as_ref(), come.as_ref()));
        if order.is_le() {
            before = old.next_entry()?;
        }
        if order.is_ge() {
            after = new.next_entry()?;
        }
    }
}

/// What the two sides of one path say, if it is worth telling.
fn difference(before: Option<&Entry>, after: Option<&Entry>) -> Option<Difference> {
    let change = match (before, after) {
        (None, None) => return None,
        (Some(before), Some(after)) if same_result(after, before) => return None,
        // Folders change their times with every file in them; that is no news.
        (Some(before), Some(after)) if after.kind == Kind::Dir && same_folder(before, after) => return None,
        (None, Some(_)) => Change::Added,
        (Some(_), None) => Change::Removed,
        (Some(before), Some(after)) if content(before) == content(after) => Change::Facts,
        (Some(_), Some(_)) => Change::Content,
    };
    let size = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.size);
    let either = after.or(before)?;
    Some(Difference { change, path: either.path.shown(), kind: either.kind, before: size(before), after: size(after) })
}

/// Whether two folders differ in nothing but the time of their last entry.
fn same_folder(before: &Entry, after: &Entry) -> bool {
    same_result(&Entry { mtime: before.mtime, ..after.clone() }, before)
}

/// What makes the content of an entry: kind, size and hash.
fn content(entry: &Entry) -> (Kind, u64, Option<shipshape_core::archive::entry::Hash>) {
    (entry.kind, entry.size, entry.stored.as_ref().map(|stored| stored.blake3))
}

/// The counts in one line, and every difference below it.
fn outcome(before: &Manifest, after: &Manifest, differences: &[Difference]) -> Outcome {
    let count = |change| differences.iter().filter(|difference| difference.change == change).count() as u64;
    let (added, removed) = (count(Change::Added), count(Change::Removed));
    let (changed, metadata) = (count(Change::Content), count(Change::Facts));
    let mut outcome = Outcome::ok(format!(
        "{} to {}: {added} added, {removed} removed, {changed} changed, {metadata} in mode, owner or time only",
        before.id, after.id
    ));
    outcome.data = json!({
        "from": before.id,
        "to": after.id,
        "added": added,
        "removed": removed,
        "changed": changed,
        "metadata": metadata,
        "differences": differences.iter().map(|d| json!({
            "change": d.change.word(), "path": d.path, "kind": d.kind, "bytes_before": d.before, "bytes_after": d.after,
        })).collect::<Vec<_>>(),
    });
    for difference in differences {
        let _ = writeln!(outcome.text, "  {} {}{}", difference.change.sign(), difference.path, sizes(difference));
    }
    if differences.is_empty() {
        outcome.text = format!("  nothing changed among {}\n", counted(after.files.total, "file", "files"));
    }
    outcome
}

/// How a file grew or shrank, for people.
fn sizes(difference: &Difference) -> String {
    match (difference.kind, difference.change) {
        (Kind::File, Change::Added) => format!("  {}", ByteSize(difference.after)),
        (Kind::File, Change::Removed) => format!("  {}", ByteSize(difference.before)),
        (Kind::File, Change::Content) => format!("  {} to {}", ByteSize(difference.before), ByteSize(difference.after)),
        _ => String::new(),
    }
}
