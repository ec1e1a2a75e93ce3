//! The authority that issues: by one of the names that people know, or by the URL of its directory (RFC 8555, 7.1.1).

use std::path::PathBuf;

use shipshape_core::config::CertificateSection;
use shipshape_core::secret::SecretSource;

use super::WantedError;

/// The names that stand for directories, the directory, and the one that stands in for it in a rehearsal.
const KNOWN: [(&str, &str, Option<&str>); 4] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", Some("letsencrypt-staging")),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory", Some("letsencrypt-staging")),
    ("zerossl", "https://acme.zerossl.com/v2/DV90", None),
    ("google", "https://dv.acme-v02.api.pki.goog/directory", Some("https://dv.acme-v02.test-api.pki.goog/directory")),
];

/// Who issues a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The URL of its directory.
    pub(crate) directory: String,
    /// The roots by which it is trusted; this machine's where there is none.
    pub(crate) roots: Option<PathBuf>,
    /// The directory that stands in for it in a rehearsal, where one is known.
    pub(crate) staging: Option<String>,
    /// Addresses that it may write to.
    pub(crate) contact: Vec<String>,
    /// How the account is bound to one that exists elsewhere.
    pub(crate) binding: Option<Binding>,
}

/// External account binding (RFC 8555, 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The name of the key.
    pub(crate) kid: String,
    /// Where the key comes from, in base64url.
    pub(crate) hmac: SecretSource,
}

impl Authority {
    /// The name that stands for a directory, where it has one.
    pub(crate) fn word(directory: &str) -> Option<&'static str> {
        KNOWN.iter().find(|(_, url, _)| *url == directory).map(|(name, ..)| *name)
    }

    /// By the configuration; Let's Encrypt unless it says otherwise.
    pub(super) fn of(stated: &CertificateSection) -> Result<Self, WantedError> {
        let ca = stated.ca.as_deref().unwrap_or("letsencrypt");
        let own = KNOWN.iter().find(|(name, ..)| *name == ca).and_then(|(.., staging)| *staging);
        let staging = stated.staging.as_deref().or(own).map(directory).transpose()?;
        let binding = match (stated.eab_kid.clone(), stated.eab_hmac()) {
            (Some(kid), Some(hmac)) => Some(Binding { kid, hmac }),
            (None, None) => None,
            (Some(_), None) => return Err(WantedError::HalfABinding { missing: "eab_hmac_file" }),
            (None, Some(_)) => return Err(WantedError::HalfABinding { missing: "eab_kid" }),
        };
        let contact = stated.contact.clone().unwrap_or_default();
        Ok(Self { directory: directory(ca)?, roots: stated.ca_file.clone(), staging, contact, binding })
    }

    /// Whether it is one for rehearsals itself, whose certificates nobody trusts.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.staging.as_ref() == Some(&self.directory)
    }

    /// Whether it looks at names from the internet, as far as we know it.
    pub(crate) fn is_public(&self) -> bool {
        KNOWN.iter().any(|(_, url, staging)| *url == self.directory || *staging == Some(&self.directory))
    }

    /// The one that stands in for it in a rehearsal: nothing that binds an account there is known.
    pub(crate) fn rehearsal(&self) -> Option<Self> {
        let directory = self.staging.clone()?;
        let binding = self.binding.clone().filter(|_| directory == self.directory);
        Some(Self { directory, binding, ..self.clone() })
    }
}

fn directory(stated: &str) -> Result<String, WantedError> {
    if let Some((_, url, _)) = KNOWN.iter().find(|(name, ..)| *name == stated) {
        return Ok((*url).to_owned());
    }
    // RFC 8555, 6.1: ACME is spoken over HTTPS alone.
    if stated.starts_with("https://") && shipshape_core::http::host_of(stated).is_ok() {
        return Ok(stated.to_owned());
    }
    let known = KNOWN.map(|(name, ..)| name).join(", ");
    Err(WantedError::Authority { stated: stated.to_owned(), known })
}
