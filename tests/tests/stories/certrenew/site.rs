//! A host with one certificate to be had from a real authority.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::acme::{Pebble, Settings};
use crate::harness::{Finished, Host, Launch, shell};

/// The host and its authority. The tool itself answers the authority's questions, since no web server is there.
pub(super) struct Site {
    pub(super) host: Host,
    pub(super) pebble: Pebble,
    settings: Settings,
}

impl Deref for Site {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Site {
    /// With the fastest and friendliest authority.
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// With that authority, and `shop.test` to be had from it.
    pub(super) fn with(settings: Settings) -> Self {
        let pebble = Pebble::start(settings.clone());
        let site = Self { host: Host::new(), pebble, settings };
        site.says("", "names = [\"shop.test\"]");
        site
    }

    /// Writes the configuration: what holds for all, and what the one certificate says.
    pub(super) fn says(&self, common: &str, certificate: &str) {
        self.asks(&self.pebble.directory_url(), common, certificate);
    }

    /// The same with another directory, such as that of somebody in between.
    pub(super) fn asks(&self, directory: &str, common: &str, certificate: &str) {
        let challenge =
            if format!("{common}{certificate}").contains("challenge =") { "" } else { "challenge = \"standalone\"\n" };
        let section = format!(
            "[certrenew]\nca = {directory:?}\nca_file = {:?}\nfolder = {:?}\nresolver = {:?}\nhttp_port = {}\nverify = []\n\
             http_listen = \"127.0.0.1:{}\"\ntls_listen = \"127.0.0.1:{}\"\n{challenge}{common}\n\n[[certrenew.certificate]]\n{certificate}\n",
            Pebble::root().display().to_string(),
            self.path("certs").display().to_string(),
            self.pebble.dns_address(),
            self.settings.http_port,
            self.settings.http_port,
            self.settings.tls_port,
        );
        self.configure("", &section);
    }

    /// Where the authority looks for http-01.
    pub(super) fn http_port(&self) -> u16 {
        self.settings.http_port
    }

    /// A run, about to start.
    pub(super) fn certrenew(&self, words: &[&str]) -> Launch {
        self.launch("certrenew").args(words)
    }

    /// A run to its end.
    #[track_caller]
    pub(super) fn renews(&self, words: &[&str]) -> Finished {
        self.certrenew(words).run()
    }

    /// `live/shop.test/FILE`.
    pub(super) fn live(&self, file: &str) -> PathBuf {
        self.path("certs/live/shop.test").join(file)
    }

    /// The serial number of what lies there, as reports have it.
    #[track_caller]
    pub(super) fn serial(&self) -> String {
        serial_of(&self.live("cert.pem"))
    }

    /// Demands that what lies there is a pair of the authority's, whole, and for those names.
    #[track_caller]
    pub(super) fn has_a_pair_for(&self, names: &[&str]) {
        let live = self.live("");
        let told = shell(&format!(
            "cd '{0}'; openssl x509 -noout -pubkey -in fullchain.pem >'{1}/a'; openssl pkey -pubout -in privkey.pem >'{1}/b'; \
             cmp '{1}/a' '{1}/b'; cat cert.pem chain.pem | cmp - fullchain.pem; \
             openssl x509 -noout -ext subjectAltName -in cert.pem | tail -n +2",
            live.display(),
            self.path("home").display()
        ));
        let mut found: Vec<&str> =
            told.trim().split(", ").map(|one| one.split_once(':').map_or(one, |(_, name)| name)).collect();
        found.sort_unstable();
        let mut wanted = names.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        let roots = self.pebble.issuance_roots();
        fs::write(self.path("home/root.pem"), &roots[0]).unwrap();
        shell(&format!(
            "cd '{}'; openssl verify -no_check_time -CAfile '{}' -untrusted chain.pem cert.pem",
            live.display(),
            self.path("home/root.pem").display()
        ));
    }
}

/// The serial number in a file, as reports have it.
#[track_caller]
pub(super) fn serial_of(file: &std::path::Path) -> String {
    let told = shell(&format!("openssl x509 -noout -serial -in '{}'", file.display()));
    let digits = told.trim().trim_start_matches("serial=").to_lowercase();
    digits.strip_prefix("00").unwrap_or(&digits).to_owned()
}

/// The one certificate of a report.
#[track_caller]
pub(super) fn one(finished: &Finished) -> Value {
    let data = finished.data();
    let certificates = data["certificates"].as_array().unwrap_or_else(|| panic!("no certificates in {finished}"));
    assert_eq!(certificates.len(), 1, "{finished}");
    certificates[0].clone()
}

/// Demands that the one certificate of a report failed with that code, and that its hint says so much.
#[track_caller]
pub(super) fn failed(finished: &Finished, code: &str, hint: &str) {
    let one = one(finished);
    assert_eq!((&one["action"], &one["error"]["code"]), (&"failed".into(), &code.into()), "{finished}");
    let told = one["error"]["hint"].as_str().unwrap_or_default();
    assert!(!told.is_empty() && told.contains(hint), "the hint should say {hint:?}: {finished}");
}
