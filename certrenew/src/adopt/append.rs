//! Appending to the owner's configuration: what stands in it stays as it is, byte for byte.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use shipshape_core::atomic;
use shipshape_core::cli::CommonArgs;
use shipshape_core::config::Config;
use shipshape_core::error::Failure;

use super::AdoptError;
use crate::cli::OneArgs;
use crate::wanted;

/// What becomes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is written.
    Write,
    /// It stays as it is: what it would be is looked at alone.
    Try,
}

/// Appends these lines, and puts the file in its place when it reads well and its certificates hold together.
pub(super) fn append(path: &Path, lines: &str, mode: Mode) -> Result<(), AdoptError> {
    // A link stays a link: what it leads to is the file.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let writing = |source| AdoptError::NotWritable { path: path.to_owned(), source };
    let (text, found) = read(&real).map_err(|source| AdoptError::Unreadable { path: path.to_owned(), source })?;
    let folder = match mode {
        Mode::Write => real.parent().unwrap_or(Path::new("/")).to_owned(),
        Mode::Try => std::env::temp_dir(),
    };
    let mut file = atomic::temporary(&folder).map_err(writing)?;
    let gap: &[u8] = if text.is_empty() || text.ends_with(b"\n") { b"" } else { b"\n" };
    for part in [text.as_slice(), gap, lines.as_bytes()] {
        file.write_all(part).map_err(writing)?;
    }
    check(file.path()).map_err(|why| AdoptError::DoesNotFit { path: path.to_owned(), why })?;
    if mode == Mode::Try {
        return Ok(());
    }
    if let Some(found) = found {
        keep(file.as_file(), &found).map_err(writing)?;
    }
    atomic::commit(file, &real).map_err(writing)
}

/// The file as it is; nothing where there is none.
fn read(path: &Path) -> io::Result<(Vec<u8>, Option<Metadata>)> {
    match fs::read(path) {
        Err(gone) if gone.kind() == ErrorKind::NotFound => Ok((Vec::new(), None)),
        other => Ok((other?, Some(fs::metadata(path)?))),
    }
}

/// Whether the tools would take it.
fn check(path: &Path) -> Result<(), Failure> {
    let named = CommonArgs { config: Some(path.to_owned()), ..CommonArgs::default() };
    let config = Config::load(&named, None)?;
    wanted::wanted(&config, &OneArgs::default())?;
    Ok(())
}

/// Owner and mode of the file that it takes the place of.
fn keep(file: &File, found: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
        fchown(file, Some(found.uid()), Some(found.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(found.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use shipshape_core::error::Explain;

    use super::*;

    const LINES: &str = "\n[[certrenew.certificate]]\nnames = [\"a.test\"]\nrenew = false\n";

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shipshape.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn what_stood_in_the_file_stays_byte_for_byte_with_its_mode() {
        let (_folder, path) = file("# mine\r\n[certrenew] # no line end: \n  ca='google'");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        append(&path, LINES, Mode::Write).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("# mine\r\n[certrenew] # no line end: \n  ca='google'\n{LINES}"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_file_that_is_not_there_is_made_and_a_link_stays_one() {
        let (folder, path) = file("");
        let new = folder.path().join("new.toml");
        append(&new, LINES, Mode::Write).unwrap();
        assert_eq!(fs::read_to_string(&new).unwrap(), LINES);
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        append(&link, LINES, Mode::Write).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), LINES);
    }

    #[test]
    fn what_would_not_hold_together_is_refused_and_nothing_is_touched() {
        for text in [
            "[[certrenew.certificate]]\nnames = ['a.test']\nrenew = false\n",
            "[certrenew]\ncertificate = []\n",
            "[certrenew\n",
            "[certrenew]\nchalenge = 'x'\n",
        ] {
            let (folder, path) = file(text);
            for mode in [Mode::Write, Mode::Try] {
                let refused = append(&path, LINES, mode).unwrap_err();
                assert_eq!(refused.code(), "adopt.does_not_fit", "{text}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn a_trial_changes_nothing() {
        let (_folder, path) = file("");
        append(&path, LINES, Mode::Try).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
