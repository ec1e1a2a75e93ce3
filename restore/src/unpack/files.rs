//! The files of a snapshot: its index is read as a stream, then the packs that it refers to.

use std::collections::HashMap;

use shipshape_core::archive::entry::{Bytes, Entry, Kind};
use shipshape_core::archive::index::IndexReader;
use shipshape_core::archive::manifest::Payload;
use shipshape_core::archive::unseal;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::items::{Items, Links};
use super::{UnpackError, Unpacked, packs};
use crate::pick::Picked;
use crate::proof::Proof;
use crate::select::Snapshot;
use crate::target::{TargetError, path_of};
use crate::tree::{Tree, Wanted};

/// Unpacks the files that were picked.
pub(super) fn unpack(
    snapshot: &Snapshot,
    payload: &Payload,
    picked: &Picked,
    tree: &mut Tree<'_>,
    done: &mut Unpacked,
    progress: &Progress,
) -> Result<(), UnpackError> {
    let mut sorting = Sorting::new(snapshot, picked, tree);
    for_each_entry(snapshot, payload, |entry| sorting.take(entry))?;
    if !sorting.orphans.is_empty() {
        for_each_entry(snapshot, payload, |entry| sorting.adopt(&entry))?;
    }
    let Sorting { mut items, links, count, folders, companions, .. } = sorting;
    done.companions.extend(companions);
    progress.set_total(items.bytes() + picked.tar_bytes());
    done.bytes += items.bytes();
    done.files += count;
    done.folders += folders;
    if count + folders > 0 {
        done.trees.push(payload.name.clone());
    }
    packs::write(snapshot, &mut items, tree, progress)?;
    make_links(tree, &links)
}

/// Opens the index of a payload: its reader, and what proves it when it was read.
pub(crate) fn open_index(snapshot: &Snapshot, payload: &Payload) -> Result<(IndexReader, Proof), UnpackError> {
    let plain = unseal::open(snapshot.store.as_ref(), &snapshot.place, &payload.object, &snapshot.identities)?;
    let (reader, proof) = Proof::of(plain);
    Ok((IndexReader::new(reader)?, proof))
}

/// Reads the index to its end, and proves it.
fn for_each_entry(
    snapshot: &Snapshot,
    payload: &Payload,
    mut take: impl FnMut(Entry) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let (mut index, proof) = open_index(snapshot, payload)?;
    while let Some(entry) = index.next_entry()? {
        signal::check()?;
        take(entry)?;
    }
    check_plain(snapshot, payload, proof)
}

/// Compares what was read of an object with its manifest.
pub(super) fn check_plain(snapshot: &Snapshot, payload: &Payload, proof: Proof) -> Result<(), UnpackError> {
    let object = snapshot.place.key(&payload.object);
    let failed = |cause| UnpackError::Content { object: object.clone(), path: "its end".to_owned(), cause };
    let (_, sha256) = proof.finish().map_err(failed)?;
    if sha256 == payload.sha256_plain {
        return Ok(());
    }
    Err(UnpackError::NotTheManifests { object, why: "the SHA-256 of its content differs".to_owned() })
}

/// Sorts entries into what is made at once and what needs content.
struct Sorting<'a, 's> {
    picked: &'a Picked,
    tree: &'a mut Tree<'s>,
    packs: HashMap<&'a str, u32>,
    index: String,
    items: Items,
    links: Links,
    /// Folders above the entry, where they are not picked themselves.
    above: Vec<Entry>,
    /// Hard links whose first name was not picked: first name, and the names that were.
    orphans: HashMap<Bytes, Vec<Bytes>>,
    /// Files that belong to live databases.
    companions: Vec<Vec<u8>>,
    count: u64,
    folders: u64,
}

impl<'a, 's> Sorting<'a, 's> {
    fn new(snapshot: &'a Snapshot, picked: &'a Picked, tree: &'a mut Tree<'s>) -> Self {
        let names = snapshot.manifest.packs.iter().map(shipshape_core::archive::manifest::Pack::name);
        Self {
            picked,
            tree,
            packs: names.zip(0..).collect(),
            index: format!("the index of {}", snapshot.manifest.id),
            items: Items::default(),
            links: Links::default(),
            above: Vec::new(),
            orphans: HashMap::new(),
            companions: Vec::new(),
            count: 0,
            folders: 0,
        }
    }

    /// Makes what has no content, and remembers the rest.
    fn take(&mut self, entry: Entry) -> Result<(), UnpackError> {
        if !self.picked.takes(&entry) {
            if self.picked.passes_over(&entry) {
                self.companions.push(entry.path.0);
            } else {
                self.remember_folder(entry);
            }
            return Ok(());
        }
        self.make_folders_above(&entry)?;
        self.count += u64::from(entry.kind != Kind::Dir);
        match entry.kind {
            Kind::Dir => {
                self.folders += 1;
                self.tree.add_folder(&entry, Wanted::Itself)?;
            }
            Kind::Symlink => self.tree.add_symlink(&entry)?,
            Kind::Fifo => self.tree.add_fifo(&entry)?,
            Kind::Hardlink => self.add_link(entry),
            Kind::File => self.add_file(&entry.path.0, &entry)?,
        }
        Ok(())
    }

    /// A folder that is not picked may hold something that is; then it comes back as it was, too.
    fn remember_folder(&mut self, entry: Entry) {
        if entry.kind == Kind::Dir && !self.picked.paths.is_empty() {
            self.above.retain(|folder| is_above(&folder.path.0, &entry.path.0));
            self.above.push(entry);
        }
    }

    fn make_folders_above(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        for folder in std::mem::take(&mut self.above) {
            if is_above(&folder.path.0, &entry.path.0) {
                self.tree.add_folder(&folder, Wanted::ForItsContent)?;
            }
        }
        Ok(())
    }

    /// Links come last, when what they lead to is there.
    fn add_link(&mut self, entry: Entry) {
        let first = entry.link.unwrap_or_default();
        if self.picked.takes_file(&first.0) {
            self.links.0.push((entry.path, first));
        } else {
            self.orphans.entry(first).or_default().push(entry.path);
        }
    }

    /// Gives the content of a first name that was not picked to the further names that were.
    fn adopt(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let Some(names) = self.orphans.remove(&entry.path) else { return Ok(()) };
        let mut names = names.into_iter();
        let Some(first) = names.next() else { return Ok(()) };
        if entry.kind != Kind::File {
            return Err(self.damaged(&first.0, "it is a further name of what is no file"));
        }
        self.add_file(&first.0, entry)?;
        self.links.0.extend(names.map(|name| (name, first.clone())));
        Ok(())
    }

    /// The file `entry` under the name `path`.
    fn add_file(&mut self, path: &[u8], entry: &Entry) -> Result<(), UnpackError> {
        if entry.size == 0 && entry.stored.as_ref().is_none_or(|it| it.blake3.0 == *blake3::hash(b"").as_bytes()) {
            return Ok(self.add_empty_file(path, entry)?);
        }
        let Some(stored) = &entry.stored else { return Err(self.damaged(path, "it has no content")) };
        let Some(pack) = self.packs.get(stored.pack.as_str()).copied() else {
            return Err(self.damaged(path, "its pack is not in the manifest"));
        };
        let place = self.tree.place(path)?;
        self.items.add(place, pack, stored, entry).map_err(|_| UnpackError::TooMany)
    }

    /// Nothing of a pack is needed for it.
    fn add_empty_file(&mut self, path: &[u8], entry: &Entry) -> Result<(), TargetError> {
        use std::os::fd::AsFd;
        let file = self.tree.add_file(path)?;
        let dresser = self.tree.stage().dresser()?;
        let done = dresser.file(file.as_fd(), &entry.into(), &entry.xattrs);
        done.map_err(|cause| TargetError::io("set the metadata of", path_of(path), cause))
    }

    fn damaged(&self, path: &[u8], why: &'static str) -> UnpackError {
        UnpackError::Altered { object: self.index.clone(), path: Bytes::from(path).shown(), why }
    }
}

/// Whether `folder` is above `path`.
fn is_above(folder: &[u8], path: &[u8]) -> bool {
    folder == b"." || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
}

/// All files are there by now.
fn make_links(tree: &mut Tree<'_>, links: &Links) -> Result<(), UnpackError> {
    for (path, first) in &links.0 {
        signal::check()?;
        if !tree.add_link(&path.0, &first.0)? {
            packs::copy_across(tree, &path.0, &first.0)?;
        }
    }
    Ok(())
}
