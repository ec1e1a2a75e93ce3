//! What a snapshot tells before anything of it is unpacked: its sources, and the paths of what is not restored.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use shipshape_core::archive::index::{Header, Root};
use shipshape_core::archive::manifest::{Payload, PayloadKind};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;

use crate::cli::RestoreArgs;
use crate::pick::Picked;
use crate::select::Snapshot;
use crate::stage::below;
use crate::swap::scope;
use crate::target::path_of;
use crate::unpack::{UnpackError, open_index, tars};

/// How much of the sources comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sources {
    /// All of them: what a source has now and had not then goes.
    Complete,
    /// Something of them: nothing goes but what is replaced.
    InPart,
}

/// The facts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What the index begins with, where there is one.
    pub(crate) header: Option<Header>,
    /// Paths of the databases that are not restored.
    pub(crate) databases: Vec<Vec<u8>>,
    /// Paths of the single files that are not restored.
    pub(crate) singles: Vec<Vec<u8>>,
    /// Payloads that are not restored and cannot be read, so that it is not known what must stay for them.
    pub(crate) unreadable: Vec<Notice>,
    /// What is in the payloads that are tars, by their names: paths and bytes of content.
    pub(crate) tars: BTreeMap<String, Vec<(Vec<u8>, u64)>>,
    /// Whether something of the snapshot is missing: it was taken of a part, or could not read everything.
    is_of_a_part: bool,
}

impl Facts {
    /// Reads the beginning of the index, and the names in the payloads that are not picked.
    pub(crate) fn gather(snapshot: &Snapshot, picked: &Picked) -> Result<Self, Failure> {
        let manifest = &snapshot.manifest;
        let is_of_a_part = manifest.partial || !manifest.only.is_empty();
        let mut facts = Self { is_of_a_part, ..Self::default() };
        let all = picked.payloads.iter().chain(&picked.others);
        if let Some(files) = all.into_iter().find(|payload| payload.kind == PayloadKind::Files) {
            match open_index(snapshot, files) {
                Ok((index, _)) => facts.header = Some(index.header().clone()),
                Err(refused) if picked.payloads.contains(files) => return Err(refused.into()),
                Err(refused) => facts.unreadable.push(unreadable(&files.name, refused)),
            }
        }
        let is_tar = |payload: &&Payload| matches!(payload.kind, PayloadKind::Config | PayloadKind::Sqlite);
        for payload in manifest.payloads.iter().filter(is_tar) {
            facts.look_into(snapshot, payload, picked.others.contains(payload))?;
        }
        Ok(facts)
    }

    /// Reads the names in a tar. What is wrong with one that is picked shows when it is unpacked.
    fn look_into(&mut self, snapshot: &Snapshot, payload: &Payload, must_stay: bool) -> Result<(), Failure> {
        let members = match names(snapshot, payload) {
            Ok(members) => members,
            Err(refused) => {
                shipshape_core::signal::check()?;
                self.unreadable.extend(must_stay.then(|| unreadable(&payload.name, refused)));
                return Ok(());
            }
        };
        let paths = members.iter().filter(|_| must_stay).map(|(path, _)| path.clone());
        match payload.kind {
            PayloadKind::Sqlite => self.databases.extend(paths),
            PayloadKind::Config | PayloadKind::Files | PayloadKind::Database => self.singles.extend(paths),
        }
        self.tars.insert(payload.name.clone(), members);
        Ok(())
    }

    /// Names that only SQLite may put there: a log beside a database would be played into it.
    pub(crate) fn companions(&self, payloads: &[Payload]) -> HashSet<Vec<u8>> {
        let databases = payloads.iter().filter(|payload| payload.kind == PayloadKind::Sqlite);
        let members = databases.filter_map(|payload| self.tars.get(&payload.name)).flatten();
        let paths: Vec<&Vec<u8>> = members.map(|(path, _)| path).collect();
        let beside = paths.iter().flat_map(|path| scope::beside(path));
        beside.filter(|path| !paths.contains(&path)).collect()
    }

    /// The application's folder when it was backed up.
    pub(crate) fn app_dir(&self) -> Option<PathBuf> {
        self.header.as_ref().map(|header| path_of(&header.app_dir.0).to_owned())
    }

    /// Sources that were links in the application's folder, to somewhere else.
    pub(crate) fn links(&self) -> impl Iterator<Item = &[u8]> {
        let is_link = |header: &Header, root: &Root| {
            let absolute = Path::new("/").join(path_of(&root.prefix.0));
            below(&root.path.0, &header.app_dir.0).is_none() && absolute != path_of(&root.path.0)
        };
        let roots = self.header.iter().flat_map(move |header| header.roots.iter().map(move |root| (header, root)));
        roots.filter(move |(header, root)| is_link(header, root)).map(|(_, root)| root.prefix.0.as_slice())
    }

    /// What the backup left out.
    pub(crate) fn excluded(&self) -> &[String] {
        self.header.as_ref().map(|header| header.exclude.as_slice()).unwrap_or_default()
    }

    /// Whether everything comes back, so that the old side of an earlier restore is not needed beside that of this one.
    pub(crate) fn is_all(&self, flags: &RestoreArgs) -> bool {
        !self.is_of_a_part && flags.only.is_empty() && flags.path.is_empty()
    }

    /// Whether the sources come back completely: if files are restored and nothing is picked out of them, and if it is
    /// known what else must stay. A snapshot that lacks something says nothing against what is live.
    pub(crate) fn complete(&self, picked: &Picked) -> Sources {
        let has_files = picked.payloads.iter().any(|payload| payload.kind == PayloadKind::Files);
        let is_all = has_files
            && picked.others.is_empty()
            && picked.paths.is_empty()
            && self.unreadable.is_empty()
            && !self.is_of_a_part;
        if is_all { Sources::Complete } else { Sources::InPart }
    }
}

/// The paths in a tar with their sizes; their content is passed over.
fn names(snapshot: &Snapshot, payload: &Payload) -> Result<Vec<(Vec<u8>, u64)>, UnpackError> {
    let (mut members, _) = tars::open(snapshot, payload)?;
    let mut names = Vec::new();
    while let Some(member) = members.next_member()? {
        shipshape_core::signal::check()?;
        names.push((member.entry.path.0, member.entry.size));
        if payload.kind == PayloadKind::Sqlite {
            // It is the only one, and large.
            break;
        }
    }
    Ok(names)
}

/// A payload that is not wanted must not keep the wanted ones from coming back; that it is broken is worth telling.
fn unreadable(name: &str, refused: UnpackError) -> Notice {
    let failure = Failure::from(refused);
    let message = format!("the payload {name}, which was not restored, is not whole: {}", failure.message());
    Notice::new(failure.code(), message, "so nothing live was moved away that the restored part lacks")
}
