//! The versions that lie in `archive/NAME`: ours in folders, certbot's in numbered files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FilesError, KINDS, Lineage, Version};

/// How a version lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `archive/NAME/0007/privkey.pem`, ….
    Folder,
    /// `archive/NAME/privkey7.pem`, ….
    Files,
}

/// All versions, whole or not.
pub(super) struct Versions {
    found: BTreeMap<Version, Form>,
}

impl Versions {
    /// Those of this folder; none where it is not there.
    fn of(archive: &Path) -> Result<Self, FilesError> {
        let reading = |cause| FilesError::reading(archive, cause);
        let mut found = BTreeMap::new();
        let entries = match fs::read_dir(archive) {
            Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(Self { found }),
            other => other.map_err(reading)?,
        };
        for entry in entries {
            let entry = entry.map_err(reading)?;
            let is_folder = entry.file_type().map_err(reading)?.is_dir();
            match entry.file_name().to_str().and_then(of_name) {
                Some((version, form)) if is_folder == (form == Form::Folder) => found.insert(version, form),
                Some(_) | None => None,
            };
        }
        Ok(Self { found })
    }

    /// A number that no version has had.
    pub(super) fn next(&self) -> Version {
        Version(self.last().map_or(1, |last| last.0.saturating_add(1)))
    }

    /// The highest number.
    pub(super) fn last(&self) -> Option<Version> {
        self.found.last_key_value().map(|(&version, _)| version)
    }

    /// How a version lies there; none where it does not.
    pub(super) fn form(&self, version: Version) -> Option<Form> {
        self.found.get(&version).copied()
    }

    /// All of them, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (Version, Form)> + '_ {
        self.found.iter().rev().map(|(&version, &form)| (version, form))
    }
}

impl Lineage {
    pub(super) fn versions(&self) -> Result<Versions, FilesError> {
        Versions::of(&self.archive())
    }

    /// A file of a version.
    pub(super) fn file(&self, version: Version, form: Form, kind: &str) -> PathBuf {
        let archive = self.archive();
        match form {
            Form::Folder => archive.join(folder_name(version)).join(format!("{kind}.pem")),
            Form::Files => archive.join(file_name(version, kind)),
        }
    }
}

/// `0007`.
pub(super) fn folder_name(version: Version) -> String {
    format!("{:04}", version.0)
}

/// `privkey7.pem`.
pub(super) fn file_name(version: Version, kind: &str) -> String {
    format!("{kind}{}.pem", version.0)
}

/// The version that an entry of `archive/NAME` belongs to. Only names that were made here, or by certbot, are one's.
pub(super) fn of_name(name: &str) -> Option<(Version, Form)> {
    if let Some(version) = number(name) {
        return (folder_name(version) == name).then_some((version, Form::Folder));
    }
    let (kind, digits) = name.strip_suffix(".pem")?.split_at_checked(name.find(|one: char| one.is_ascii_digit())?)?;
    let version = number(digits)?;
    let is_its = KINDS.contains(&kind) && file_name(version, kind) == name;
    is_its.then_some((version, Form::Files))
}

fn number(digits: &str) -> Option<Version> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok().map(Version)).flatten()
}

/// Whether a file in a folder of a certificate is one of the four.
pub(super) fn is_ours(name: &OsStr) -> bool {
    let kind = name.to_str().and_then(|name| name.strip_suffix(".pem"));
    kind.is_some_and(|kind| KINDS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_were_made_here_or_by_certbot_are_versions() {
        let own = ["0001", "0042", "12345"].map(|name| of_name(name).map(|(version, form)| (version.0, form)));
        assert_eq!(own, [(1, Form::Folder), (42, Form::Folder), (12345, Form::Folder)].map(Some));
        assert_eq!(of_name("fullchain12.pem"), Some((Version(12), Form::Files)));
        for name in [
            "",
            "1",
            "00001",
            "+001",
            "99999999999",
            "privkey.pem",
            "privkey01.pem",
            "key1.pem",
            "privkey1.pem~",
            "privkey1",
            "privkey1x.pem",
            "cert-1.pem",
            ".0001",
            "1cert1.pem",
            "privkey4294967296.pem",
        ] {
            assert_eq!(of_name(name), None, "{name}");
        }
    }
}
