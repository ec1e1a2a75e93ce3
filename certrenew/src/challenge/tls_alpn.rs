//! tls-alpn-01 (RFC 8737): a listener of our own that answers one protocol with one certificate for each name.
//!
//! Whoever speaks anything else (a browser that comes by) is turned away in the handshake, before any certificate is shown.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection};
use rustls::sign::CertifiedKey;

use super::listener::{Listener, bind};
use super::{ChallengeError, Proof, Shown};
use crate::identifier::Identifier;
use crate::timed::Timed;

/// The one protocol (RFC 8737, 6.2).
const PROTOCOL: &[u8] = b"acme-tls/1";

/// The length of the digest in the extension (RFC 8737, 3), in bytes.
const DIGEST: usize = 32;

/// Answers for all of them at this address.
pub(super) fn show(address: SocketAddr, proofs: &[Proof]) -> Result<Box<dyn Shown>, ChallengeError> {
    let config = config(proofs)?;
    let listener = listen(bind(address)?, config).map_err(|source| ChallengeError::Listen { address, source })?;
    Ok(Box::new(listener))
}

fn listen(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<Listener> {
    // Who asks and goes away is no concern of ours.
    Listener::start(listener, Arc::new(move |connection| drop(shake_hands(connection, &config))))
}

fn config(proofs: &[Proof]) -> Result<Arc<ServerConfig>, ChallengeError> {
    let mut shelf = BTreeMap::new();
    for proof in proofs {
        let made = certified(proof)
            .map_err(|source| ChallengeError::Certificate { name: proof.identifier.to_string(), source })?;
        shelf.insert(asked_as(&proof.identifier), Arc::new(made));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // All of them are recent enough (RFC 8737, 3: TLS 1.2 or later), and the provider has suites for them.
    let versions = ServerConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS);
    let builder = versions.map_err(|source| ChallengeError::Tls { source })?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Shelf(shelf)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// To the end of the handshake: nothing is said after it (RFC 8737, 3).
fn shake_hands(connection: &mut Timed, config: &Arc<ServerConfig>) -> io::Result<()> {
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(connection)?;
    }
    tls.send_close_notify();
    while tls.wants_write() {
        tls.write_tls(connection)?;
    }
    Ok(())
}

/// The certificates, by the name that is asked for.
#[derive(Debug)]
struct Shelf(BTreeMap<String, Arc<CertifiedKey>>);

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls lets a client that offers no protocol at all pass; RFC 8737, 3 does not.
        let is_meant = hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == PROTOCOL));
        let name = hello.server_name().filter(|_| is_meant)?;
        self.0.get(&name.to_ascii_lowercase()).cloned()
    }
}

/// The certificate that proves a name (RFC 8737, 3): for this name alone, with the digest in a critical extension.
fn certified(proof: &Proof) -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
    // rcgen would panic.
    if proof.digest.len() != DIGEST {
        return Err(format!("the digest has {} bytes, not {DIGEST}", proof.digest.len()).into());
    }
    let mut params = CertificateParams::new(vec![proof.identifier.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&proof.digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = rustls::crypto::ring::sign::any_supported_type(&key.into())?;
    // Not `from_der`: it looks whether both fit, and refuses a certificate with a critical extension that it does not know.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// What stands in the server name indication: for an address its reverse name (RFC 8738, 6).
pub(crate) fn asked_as(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns { host, .. } => host.clone(),
        Identifier::Ip(address) => reverse(*address),
    }
}

/// The bytes, or half bytes, from the last to the first (RFC 1035, 3.5 and RFC 3596, 2.5).
fn reverse(address: IpAddr) -> String {
    let (labels, zone): (Vec<String>, &str) = match address {
        IpAddr::V4(address) => (address.octets().map(|byte| byte.to_string()).to_vec(), "in-addr.arpa"),
        IpAddr::V6(address) => {
            let half_bytes = address.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            (half_bytes.map(|digit| format!("{digit:x}")).collect(), "ip6.arpa")
        }
    };
    labels.iter().rev().map(String::as_str).chain([zone]).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests;
