//! Single configuration files, such as `.env`: together in one small tar of their own, so that they can be restored
//! first and without anything else.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use shipshape_core::archive::entry::Entry;
use shipshape_core::archive::names::{self, SnapshotId};
use shipshape_core::archive::seal::{Effort, PlainHash, SealedWriter, Sealing};
use shipshape_core::archive::store::StoreError;
use shipshape_core::archive::tarball::TarWriter;

use super::discovery::CONFIG_LIMIT;
use crate::facts;
use crate::packer::{Trouble, Troubles};

/// A configuration file that was found.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Its facts.
    pub(crate) entry: Entry,
    /// Where it is.
    pub(crate) source: PathBuf,
}

/// What became of them.
pub(crate) struct Taken {
    /// The payload, ready to be finished.
    pub(crate) writer: SealedWriter,
    /// Files in it.
    pub(crate) files: u64,
    /// Their content, in bytes.
    pub(crate) bytes: u64,
}

/// Writes the payload `config`.
pub(crate) fn seal(
    files: &[ConfigFile],
    sealing: Sealing<'_>,
    id: &SnapshotId,
    troubles: &mut Troubles,
) -> Result<Taken, StoreError> {
    let object = names::payload(id, "config.tar", sealing.wrapping);
    let writer = SealedWriter::create(sealing, object, Effort::Usual, PlainHash::Sha256)?;
    let key = writer.key().to_owned();
    let mut tar = TarWriter::new(writer);
    let (mut taken, mut bytes) = (0, 0);
    for file in files {
        let (entry, content) = match read(file) {
            Ok(read) => read,
            Err(trouble) => {
                troubles.note(&file.entry.path, trouble);
                continue;
            }
        };
        let written = tar.begin_file(&entry, None).and_then(|_| tar.data(&content)).and_then(|()| tar.end_file());
        written.map_err(|cause| StoreError::from_io("write", &key, cause))?;
        taken += 1;
        bytes += entry.size;
    }
    let writer = tar.finish().map_err(|cause| StoreError::from_io("write", &key, cause))?;
    Ok(Taken { writer, files: taken, bytes })
}

fn read(file: &ConfigFile) -> Result<(Entry, Vec<u8>), Trouble> {
    let opened = File::open(&file.source).map_err(Trouble::from_io)?;
    let mut content = Vec::new();
    opened.take(CONFIG_LIMIT).read_to_end(&mut content).map_err(Trouble::from_io)?;
    let xattrs = facts::attributes_of_path(&file.source).map_err(Trouble::from_io)?;
    Ok((Entry { size: content.len() as u64, xattrs, ..file.entry.clone() }, content))
}
