//! Unpacks a tar member by member: the payloads that are one, and files that somebody brings.

use std::io::Read;
use std::os::fd::AsFd;

use shipshape_core::archive::entry::{Entry, Kind};
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::archive::unseal;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::files::check_plain;
use super::links::{self, Place};
use super::{Tar, UnpackError, Unpacked};
use crate::beneath::check_link;
use crate::content::{self, CHUNK, ContentError, Zeros};
use crate::members::{Content, Members, Origin};
use crate::pick::Picked;
use crate::proof::Proof;
use crate::select::Snapshot;
use crate::swap::scope::is_ours;
use crate::target::{TargetError, path_of};
use crate::tree::{Tree, Wanted};

/// Unpacks a payload that is one tar: single files, or a database.
pub(super) fn payload(
    snapshot: &Snapshot,
    payload: &Payload,
    picked: &Picked,
    tree: &mut Tree<'_>,
    done: &mut Unpacked,
    progress: &Progress,
) -> Result<(), UnpackError> {
    let (mut members, proof) = open(snapshot, payload)?;
    let mut paths = Vec::new();
    let mut unpacking = Unpacking { tree, done: &mut *done, progress, links: Links::AsTheyAre, buffer: vec![0; CHUNK] };
    while let Some(member) = members.next_member()? {
        signal::check()?;
        if !picked.takes(&member.entry) {
            if picked.passes_over(&member.entry) {
                unpacking.done.companions.push(member.entry.path.0);
            }
            continue;
        }
        paths.push(member.entry.path.0.clone());
        let entry = member.entry.clone();
        let content = members.content(member);
        if payload.kind == PayloadKind::Config && entry.kind == Kind::File {
            unpacking.single(&entry, content, picked.in_place)?;
        } else {
            unpacking.take(&entry, content)?;
        }
    }
    members.finish()?;
    done.tars.push(Tar { name: payload.name.clone(), kind: payload.kind, paths });
    check_plain(snapshot, payload, proof)
}

/// Opens the tar of a payload: its members, and what proves it when it was read.
pub(crate) fn open(
    snapshot: &Snapshot,
    payload: &Payload,
) -> Result<(Members<Box<dyn Read + Send>>, Proof), UnpackError> {
    let plain = unseal::open(snapshot.store.as_ref(), &snapshot.place, &payload.object, &snapshot.identities)?;
    let (reader, proof) = Proof::of(plain);
    Ok((Members::new(reader, &snapshot.place.key(&payload.object), Origin::Store), proof))
}

/// Unpacks a tar that somebody brings, of which nothing is believed.
pub(crate) fn foreign<R: Read>(
    mut members: Members<R>,
    picked: &Picked,
    tree: &mut Tree<'_>,
    progress: &Progress,
) -> Result<Unpacked, UnpackError> {
    let mut done = Unpacked::default();
    let mut unpacking =
        Unpacking { tree: &mut *tree, done: &mut done, progress, links: Links::Beneath, buffer: vec![0; CHUNK] };
    while let Some(member) = members.next_member()? {
        signal::check()?;
        crate::beneath::check(&member.entry.path.0)?;
        if picked.takes(&member.entry) {
            let entry = member.entry.clone();
            let before = (unpacking.done.files, unpacking.done.folders, unpacking.done.bytes);
            unpacking.take(&entry, members.content(member))?;
            if is_ours(&entry.path.0) {
                // Something may be linked to it, so it is built; but it is never moved to where it would be live.
                (unpacking.done.files, unpacking.done.folders, unpacking.done.bytes) = before;
                unpacking.done.ours += 1;
            }
        }
    }
    members.finish()?;
    super::finish(tree, &mut done)?;
    Ok(done)
}

/// Where symbolic links may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// Anywhere: they are part of what was backed up, and never followed here.
    AsTheyAre,
    /// Not out of the folder.
    Beneath,
}

struct Unpacking<'a, 's> {
    tree: &'a mut Tree<'s>,
    done: &'a mut Unpacked,
    progress: &'a Progress,
    links: Links,
    buffer: Vec<u8>,
}

impl Unpacking<'_, '_> {
    fn take<R: Read>(&mut self, entry: &Entry, content: Content<'_, R>) -> Result<(), UnpackError> {
        let path = &entry.path.0;
        let link = entry.link.as_ref().map(|link| link.0.as_slice()).unwrap_or_default();
        match entry.kind {
            Kind::Dir => {
                self.done.folders += 1;
                return Ok(self.tree.add_folder(entry, Wanted::Itself)?);
            }
            Kind::Symlink => {
                if self.links == Links::Beneath {
                    check_link(path, link)?;
                }
                self.tree.add_symlink(entry)?;
            }
            Kind::Fifo => self.tree.add_fifo(entry)?,
            Kind::Hardlink => {
                self.tree.add_link(path, link)?;
            }
            Kind::File => self.write(entry, content)?,
        }
        self.done.files += 1;
        Ok(())
    }

    /// A single file, whose place may be a link: see [`links`].
    fn single<R: Read>(
        &mut self,
        entry: &Entry,
        mut content: Content<'_, R>,
        in_place: bool,
    ) -> Result<(), UnpackError> {
        let place = Place::look(self.tree.stage(), &entry.path.0);
        if let Some(file) = place.leads_to().filter(|_| in_place) {
            let same = links::is_same(&file, &mut content);
            let same = same.map_err(|cause| UnpackError::Member(content.fault(cause)))?;
            self.done.linked.kept.push((entry.path.0.clone(), same));
            return Ok(());
        }
        if place.clear()? {
            self.done.linked.replaced += 1;
            self.done.files -= 1;
        }
        self.take(entry, content)
    }

    fn write<R: Read>(&mut self, entry: &Entry, mut content: Content<'_, R>) -> Result<(), UnpackError> {
        let path = path_of(&entry.path.0);
        let file = self.tree.add_file(&entry.path.0)?;
        let zeros = if entry.sparse { Zeros::Skip } else { Zeros::Write };
        let written = content::write(&mut content, &file, zeros, &mut self.buffer, self.progress);
        let (bytes, _) = written.map_err(|failed| match failed {
            ContentError::Read(cause) => UnpackError::Member(content.fault(cause)),
            ContentError::Write(cause) => UnpackError::Target(TargetError::io("write", path, cause)),
            ContentError::Interrupted(interrupted) => UnpackError::Interrupted(interrupted),
        })?;
        self.done.bytes += bytes;
        let dressed = self.tree.stage().dresser()?.file(file.as_fd(), &entry.into(), &entry.xattrs);
        Ok(dressed.map_err(|cause| TargetError::io("set the metadata of", path, cause))?)
    }
}
