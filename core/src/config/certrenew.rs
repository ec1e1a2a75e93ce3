//! `[certrenew]`: which certificates this machine has, from whom, and who serves them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::secret::SecretSource;

/// How a name is proved to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeKind {
    /// http-01 (RFC 8555, 8.3): a file below the running web server's `webroot`.
    #[serde(rename = "http-01")]
    Http01,
    /// http-01 answered by the tool itself, where nothing listens on port 80 yet.
    Standalone,
    /// dns-01 (RFC 8555, 8.4): a TXT record, set by the program `hook`.
    #[serde(rename = "dns-01")]
    Dns01,
    /// tls-alpn-01 (RFC 8737), answered by the tool itself on port 443.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub enum KeyKind {
    /// ECDSA on the curve P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on the curve P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// RSA with a modulus of 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// How a new pair takes the place of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallKind {
    /// In a folder of its own, to which one symbolic link is turned: both files at once.
    Versioned,
    /// Into the same files, for containers that mount single files and so hold on to their inodes.
    InPlace,
}

/// What a failed look before an order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreflightKind {
    /// No order is made.
    Strict,
    /// It is told, and the order is made: for machines that cannot reach their own public address.
    Warn,
    /// Nothing is looked at.
    Off,
}

/// Writes one list of options into two sections: what holds for all certificates, and what one of them says otherwise.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// `[certrenew]`: which certificates this machine has, from whom, and who serves them. What is not said has the
        /// default that the manual of `certrenew` gives; each option may also stand in a `[[certrenew.certificate]]`.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct CertrenewSection {
            /// The certificates.
            pub certificate: Vec<CertificateSection>,
            $($(#[$doc])* pub $name: $kind,)*
        }

        /// `[[certrenew.certificate]]`: one certificate.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct CertificateSection {
            /// Under what it lies in `live/`; the first of its names unless said.
            pub name: Option<String>,
            /// The names and IP addresses that it is for.
            pub names: Vec<String>,
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl CertificateSection {
            /// The same with what `[certrenew]` says where this one says nothing.
            #[must_use]
            pub fn or(mut self, common: &CertrenewSection) -> Self {
                $(if self.$name.is_none() {
                    self.$name.clone_from(&common.$name);
                })*
                self
            }
        }
    };
}

options! {
    /// The authority: `letsencrypt` (unless said), `letsencrypt-staging`, `zerossl`, `google`, or the URL of a directory.
    ca: Option<String>,
    /// The authorities by which `ca` itself is trusted, where this machine's own are not it: a PEM file.
    ca_file: Option<PathBuf>,
    /// What stands in for `ca` in a rehearsal (`--dry-run`), where it has no staging that is known.
    staging: Option<String>,
    /// Addresses that the authority may write to: `mailto:…`. Let's Encrypt has no use for them any more.
    contact: Option<Vec<String>>,
    /// External account binding: the key's name, as the authority gave it.
    eab_kid: Option<String>,
    /// External account binding: a file with the key itself, in base64url.
    eab_hmac_file: Option<PathBuf>,
    /// External account binding: the variable of the environment that holds the key.
    eab_hmac_env: Option<String>,
    /// How names are proved to be ours; `http-01` unless said.
    challenge: Option<ChallengeKind>,
    /// The folder from which the running web server serves `/.well-known/acme-challenge/`.
    webroot: Option<PathBuf>,
    /// The program that sets and removes TXT records.
    hook: Option<PathBuf>,
    /// How long a TXT record may take until it is seen, in seconds; 120 unless said.
    hook_wait_s: Option<u64>,
    /// Where the tool itself listens for http-01; `[::]:80` unless said.
    http_listen: Option<String>,
    /// Where the tool itself listens for tls-alpn-01; `[::]:443` unless said.
    tls_listen: Option<String>,
    /// The port of our names at which the authority asks; 80, and anything else only for private authorities.
    http_port: Option<u16>,
    /// The kind of key; `ecdsa-p256` unless said.
    key: Option<KeyKind>,
    /// The authority's profile: `classic`, `tlsserver`, `shortlived`, ….
    profile: Option<String>,
    /// The common name of the root or of an issuer in the chain that is wanted, where the authority offers several.
    chain: Option<String>,
    /// The folder that holds `live/` and `archive/`; `/etc/letsencrypt` unless said.
    folder: Option<PathBuf>,
    /// How a new pair takes the place of the old one; `versioned` unless said.
    install: Option<InstallKind>,
    /// Who the files belong to, by name or number; whoever the old ones belong to unless said.
    owner: Option<String>,
    /// Which group they belong to. A group that is stated may read the key.
    group: Option<String>,
    /// The service of the stack that serves the certificate.
    service: Option<String>,
    /// What tries the configuration in the service; `nginx -t` unless said.
    test: Option<Vec<String>>,
    /// What makes the service take the new pair; `nginx -s reload` unless said.
    reload: Option<Vec<String>>,
    /// A program of this machine that takes the new pair, instead of a service or beside it.
    command: Option<Vec<String>>,
    /// Where the new certificate must then be served: `ADDRESS:PORT`; `127.0.0.1:443` unless said, nowhere where empty.
    verify: Option<Vec<String>>,
    /// What a failed look before an order does; `strict` unless said.
    preflight: Option<PreflightKind>,
    /// The name server to ask, `ADDRESS[:PORT]`; those of this machine unless said.
    resolver: Option<String>,
    /// Whether it is renewed here; what is not is watched alone, whoever renews it.
    renew: Option<bool>,
    /// How many days before its end a certificate is worth an alert; a sixth of its life unless said.
    alert_days: Option<u32>,
}

impl CertificateSection {
    /// Where the key of the external account binding comes from.
    pub fn eab_hmac(&self) -> Option<SecretSource> {
        let file = self.eab_hmac_file.clone().map(SecretSource::File);
        file.or_else(|| self.eab_hmac_env.clone().map(SecretSource::Env))
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca_file, &mut self.eab_hmac_file, &mut self.webroot, &mut self.hook, &mut self.folder]
            .into_iter()
            .flatten()
    }
}

impl CertrenewSection {
    /// Paths in the file are relative to the file's folder.
    pub(super) fn below(&mut self, folder: &Path) {
        let own = [&mut self.ca_file, &mut self.eab_hmac_file, &mut self.webroot, &mut self.hook, &mut self.folder];
        let certificates = self.certificate.iter_mut().flat_map(CertificateSection::paths);
        for path in own.into_iter().flatten().chain(certificates) {
            *path = folder.join(&*path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_certificate_says_beats_what_holds_for_all() {
        let text = "ca = 'zerossl'\nwebroot = 'www'\n[[certificate]]\nnames = ['a.test']\nca = 'google'\n[[certificate]]\nnames = ['b.test']\n";
        let mut section: CertrenewSection = toml::from_str(text).unwrap();
        section.below(Path::new("/etc"));
        let merged: Vec<_> = section.certificate.iter().map(|one| one.clone().or(&section)).collect();
        let cas: Vec<_> = merged.iter().map(|one| one.ca.as_deref().unwrap()).collect();
        assert_eq!(cas, ["google", "zerossl"]);
        assert!(merged.iter().all(|one| one.webroot.as_deref() == Some(Path::new("/etc/www"))));
    }

    #[test]
    fn a_slip_in_a_certificate_is_an_error() {
        assert!(toml::from_str::<CertrenewSection>("[[certificate]]\nnames = []\nwebrot = 'x'\n").is_err());
        assert!(toml::from_str::<CertrenewSection>("key = 'rsa-1024'\n").is_err());
    }
}
