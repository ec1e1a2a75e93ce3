//! What lies in `live/`, whoever has put it there: to be told, and never touched.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{FilesError, stage};
use crate::certificate::{Chain, Facts};

/// What the certificates below a folder are called, in order; none where there is no such folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, FilesError> {
    let live = folder.join("live");
    let reading = |cause| FilesError::reading(&live, cause);
    let entries = match fs::read_dir(&live) {
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(reading)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(reading)?;
        // Hidden ones hold the links of one version, or wait to be switched.
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'));
        names.extend(name.filter(|_| is_there(&entry.path().join("fullchain.pem"))));
    }
    names.sort();
    Ok(names)
}

/// What leads nowhere, or where one may not look, is there all the same.
fn is_there(file: &Path) -> bool {
    let is_gone = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    file.symlink_metadata().map_or_else(|error| !is_gone(error.kind()), |_| true)
}

/// What the certificate `live/NAME` says of itself, by whatever links it is reached; none where there is none.
pub(crate) fn shown(folder: &Path, name: &str) -> Result<Option<Facts>, FilesError> {
    let path = folder.join("live").join(name).join("fullchain.pem");
    let Some(bytes) = stage::read(&path)? else { return Ok(None) };
    Ok(Some(Chain::read(&bytes, &path.display().to_string())?.facts))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_holds_a_chain_is_listed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(names(folder.path()).unwrap(), [""; 0]);
        let live = folder.path().join("live");
        for name in ["b.test", "a.test", ".a.test.7", "empty"] {
            fs::create_dir_all(live.join(name)).unwrap();
            if name != "empty" {
                fs::write(live.join(name).join("fullchain.pem"), "x").unwrap();
            }
        }
        fs::write(live.join("README"), "certbot's").unwrap();
        symlink("a.test", live.join("link.test")).unwrap();
        symlink("nowhere", live.join("gone.test")).unwrap();
        fs::create_dir(live.join("dangling.test")).unwrap();
        symlink("nowhere", live.join("dangling.test/fullchain.pem")).unwrap();
        assert_eq!(names(folder.path()).unwrap(), ["a.test", "b.test", "dangling.test", "link.test"]);
        assert!(shown(folder.path(), "a.test").is_err() && shown(folder.path(), "empty").unwrap().is_none());
    }
}
