//! The account's key and URL, in a private file of the state folder for each authority.
//!
//! The key is written before the authority hears of it: an account whose making was cut off is found again by its key.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use chrono::{DateTime, Utc};
use instant_acme::Key;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shipshape_core::atomic;
use shipshape_core::secret::{self, Secret, SecretError};
use zeroize::Zeroizing;

use super::error::AcmeError;

/// The version of the form below.
const VERSION: u32 = 1;

/// How many bytes of the directory's digest stand in the file's name: enough to tell all directories of a host apart.
const DIGEST: usize = 6;

/// An account, as it lies on disk.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The directory of the authority that it is of.
    pub(super) directory: String,
    /// Where it is; none where the answer to its making never came.
    pub(super) url: Option<String>,
    /// Its key, PKCS#8 in base64url.
    pub(super) key: Secret,
    /// The addresses that the authority was told of.
    pub(super) contact: Vec<String>,
    /// When the key was made.
    pub(super) created: DateTime<Utc>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Form<'a> {
    version: u32,
    directory: String,
    url: Option<String>,
    key: &'a str,
    #[serde(default)]
    contact: Vec<String>,
    created: DateTime<Utc>,
}

impl Stored {
    /// A new key for an account that is not made yet.
    pub(super) fn new(directory: &str, now: DateTime<Utc>) -> Result<Self, instant_acme::Error> {
        let (_, key) = Key::generate_pkcs8()?;
        Ok(Self::of_key(directory, key.secret_pkcs8_der(), now))
    }

    /// A key that was made elsewhere.
    pub(super) fn of_key(directory: &str, pkcs8: &[u8], now: DateTime<Utc>) -> Self {
        Self {
            directory: directory.to_owned(),
            url: None,
            key: Secret::new(BASE64_URL_SAFE_NO_PAD.encode(pkcs8)),
            contact: Vec::new(),
            created: now,
        }
    }

    /// The key for the library: to sign, and as bytes.
    pub(super) fn key(&self, place: &Path) -> Result<(Key, PrivateKeyDer<'static>), AcmeError> {
        let der = self.pkcs8(place)?;
        let key = Key::from_pkcs8_der(PrivatePkcs8KeyDer::from(der.as_slice()))
            .map_err(|_| unusable(place, "its key is none that can sign"))?;
        Ok((key, PrivateKeyDer::Pkcs8(der.to_vec().into())))
    }

    /// The key's bytes.
    pub(super) fn pkcs8(&self, place: &Path) -> Result<Zeroizing<Vec<u8>>, AcmeError> {
        let der = BASE64_URL_SAFE_NO_PAD.decode(self.key.expose());
        der.map(Zeroizing::new).map_err(|_| unusable(place, "its key is not base64url"))
    }

    /// Reads it; none where there is no such file.
    pub(super) fn read(place: &Path, directory: &str) -> Result<Option<Self>, AcmeError> {
        let text = match secret::read_secret_file(place) {
            Ok(text) => text,
            Err(SecretError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let form: Form<'_> = serde_json::from_str(text.expose())
            .map_err(|_| unusable(place, "it is damaged, or was written by something else"))?;
        if form.version != VERSION {
            return Err(unusable(
                place,
                &format!("its form has version {}, and {VERSION} is known here", form.version),
            ));
        }
        if form.directory != directory {
            return Err(unusable(place, &format!("it belongs to {}", form.directory)));
        }
        let Form { directory, url, key, contact, created, .. } = form;
        Ok(Some(Self { directory, url, key: Secret::new(key.to_owned()), contact, created }))
    }

    /// Writes it, whole and private, over what was there.
    pub(super) fn write(&self, place: &Path) -> Result<(), AcmeError> {
        let form = Form {
            version: VERSION,
            directory: self.directory.clone(),
            url: self.url.clone(),
            key: self.key.expose(),
            contact: self.contact.clone(),
            created: self.created,
        };
        // One line: what is read back is told to the redactor by lines, and each line of several would be a word of its own.
        let bytes =
            serde_json::to_vec(&form).map(Zeroizing::new).map_err(|error| unusable(place, &error.to_string()))?;
        Ok(atomic::replace(place, &bytes)?)
    }
}

/// Where the account of a directory lies: `HOST-DIGEST.json`, made (0700) where the folder is missing.
pub(super) fn place(accounts: &Path, host: &str, directory: &str) -> Result<PathBuf, AcmeError> {
    atomic::private_dir(accounts)?;
    let digest = Sha256::digest(directory).iter().take(DIGEST).fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    // The host is one of a URL that was parsed; a port's colon, and the brackets of an address, are no part of a file's name.
    let host: String =
        host.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' }).collect();
    Ok(accounts.join(format!("{host}-{digest:0width$x}.json", width = 2 * DIGEST)))
}

/// Why the file cannot be used.
pub(super) fn unusable(place: &Path, why: &str) -> AcmeError {
    AcmeError::Account { place: place.display().to_string(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use shipshape_core::error::Explain;

    use super::*;

    const DIRECTORY: &str = "https://ca.test:14000/dir";

    fn written() -> (tempfile::TempDir, PathBuf, Stored) {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder.path().join("accounts"), "ca.test:14000", DIRECTORY).unwrap();
        let mut stored = Stored::new(DIRECTORY, "2026-11-20T08:00:00Z".parse().unwrap()).unwrap();
        stored.url = Some("https://ca.test/account/1".to_owned());
        stored.contact = vec!["mailto:a@a.test".to_owned()];
        stored.write(&place).unwrap();
        (folder, place, stored)
    }

    fn refused(place: &Path) -> String {
        let error = Stored::read(place, DIRECTORY).unwrap_err();
        format!("{} {}", error.code(), error)
    }

    #[test]
    fn what_was_written_is_read_and_can_sign() {
        let (_folder, place, stored) = written();
        let read = Stored::read(&place, DIRECTORY).unwrap().unwrap();
        assert_eq!((&read.url, &read.contact, read.created), (&stored.url, &stored.contact, stored.created));
        assert_eq!(read.key.expose(), stored.key.expose());
        read.key(&place).unwrap();
    }

    #[test]
    fn file_and_folder_are_private_and_named_after_host_and_directory() {
        let (_folder, file, _) = written();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let name = file.file_name().unwrap().to_str().unwrap();
        let middle = name.strip_prefix("ca.test-14000-").and_then(|rest| rest.strip_suffix(".json"));
        assert!(middle.is_some_and(|digest| digest.len() == 2 * DIGEST), "{name}");
        let other = place(file.parent().unwrap(), "ca.test:14000", "https://ca.test:14000/other").unwrap();
        assert_ne!(file, other);
    }

    #[test]
    fn the_key_is_told_to_the_redactor() {
        let (_folder, _, stored) = written();
        let told = shipshape_core::redact::redact(stored.key.expose()).into_owned();
        assert!(!told.contains(stored.key.expose()));
        assert!(!format!("{stored:?}").contains(stored.key.expose()));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_folder, place, _) = written();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused(&place).starts_with("secret.not_private"), "{}", refused(&place));
    }

    #[test]
    fn what_is_damaged_or_of_another_authority_is_refused_and_stays() {
        let (_folder, place, stored) = written();
        let good = fs::read(&place).unwrap();
        for (bytes, why) in [
            (good[..good.len() / 2].to_vec(), "damaged"),
            (
                String::from_utf8(good.clone()).unwrap().replace("ca.test:14000", "other.test").into_bytes(),
                "belongs to https://other.test/dir",
            ),
            (
                String::from_utf8(good.clone()).unwrap().replace("\"version\":1", "\"version\":7").into_bytes(),
                "version 7",
            ),
        ] {
            fs::write(&place, &bytes).unwrap();
            assert!(refused(&place).contains(why), "{} lacks {why}", refused(&place));
            assert_eq!(fs::read(&place).unwrap(), bytes);
        }
        let odd = Stored { key: Secret::new("AAAA".to_owned()), ..stored };
        assert!(odd.key(&place).err().unwrap().to_string().contains("none that can sign"));
    }

    #[test]
    fn a_missing_file_is_no_account() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Stored::read(&folder.path().join("none.json"), DIRECTORY).unwrap().is_none());
    }
}
