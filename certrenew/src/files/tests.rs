//! Each layout on a real disk: what lies where, what stays, and what is refused.

mod certbot;
mod killed;
mod layouts;

use std::os::unix::fs::{PermissionsExt, symlink};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use shipshape_core::config::KeyKind;
use shipshape_core::error::Explain;
use tempfile::TempDir;

use super::*;
use crate::identifier::Identifier;
use crate::key;
use crate::pem;

/// A pair with the chain that belongs to it.
fn pair() -> (Key, Chain) {
    let key = Key::make(KeyKind::EcdsaP256).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = KeyPair::generate().unwrap();
    let root = params.self_signed(&own).unwrap();
    let names = [Identifier::parse("a.test").unwrap()];
    let made = key::params(&names).unwrap().signed_by(key.pair(), &Issuer::new(params, own)).unwrap();
    let text = [made.der(), root.der()].map(|der| pem::armour("CERTIFICATE", der)).concat();
    (key, Chain::read(text.as_bytes(), "x").unwrap())
}

/// The folder of all certificates, and the place of one.
struct Disk {
    folder: TempDir,
    lineage: Lineage,
}

impl Disk {
    fn new(install: InstallKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lineage = Lineage::new(&folder.path().join("le"), "a.test", install, None, None);
        Self { folder, lineage }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.folder.path().join("le").join(rest)
    }

    fn mode(&self, rest: &str) -> u32 {
        fs::metadata(self.path(rest)).unwrap().permissions().mode() & 0o7777
    }

    fn link(&self, rest: &str) -> String {
        fs::read_link(self.path(rest)).unwrap().display().to_string()
    }

    /// A new version in use, and the one that was before.
    fn renew(&self) -> (Version, Option<Version>, String) {
        let (key, chain) = pair();
        let version = self.lineage.stage(&key, &chain).unwrap().version;
        let before = self.lineage.switch(version).unwrap();
        (version, before, chain.facts.serial)
    }

    /// The serial number of what is in use. It is always a pair.
    fn serial(&self) -> String {
        let found = self.lineage.installed().unwrap().unwrap();
        assert!(found.is_pair);
        found.chain.facts.serial
    }

    /// Plain files of somebody's, in `live/a.test`.
    fn has_plain_files(&self) -> String {
        let (key, chain) = pair();
        fs::create_dir_all(self.path("live/a.test")).unwrap();
        for (kind, text) in texts(&key, &chain) {
            fs::write(self.path("live/a.test").join(format!("{kind}.pem")), text).unwrap();
        }
        fs::write(self.path("live/a.test/README"), "read me").unwrap();
        chain.facts.serial
    }

    /// What certbot leaves after its first order.
    fn has_certbots_files(&self) -> String {
        let (key, chain) = pair();
        for folder in ["live/a.test", "archive/a.test"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        for (kind, text) in texts(&key, &chain) {
            fs::write(self.path("archive/a.test").join(format!("{kind}1.pem")), text).unwrap();
            symlink(format!("../../archive/a.test/{kind}1.pem"), self.path("live/a.test").join(format!("{kind}.pem")))
                .unwrap();
        }
        fs::write(self.path("live/a.test/README"), "read me").unwrap();
        chain.facts.serial
    }

    /// The names in a folder, sorted.
    fn names(&self, rest: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(rest)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn texts(key: &Key, chain: &Chain) -> [(&'static str, String); 4] {
    let full = chain.full_pem();
    [
        ("privkey", key.pem().to_string()),
        ("cert", chain.leaf_pem()),
        ("chain", chain.issuers_pem()),
        ("fullchain", full),
    ]
}
