//! The handshake by which an authority looks for tls-alpn-01 (RFC 8737, 3).

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::challenge::Proof;
use crate::looker;
use crate::timed::Timed;

/// The protocol (RFC 8737, 6.2).
const PROTOCOL: &[u8] = b"acme-tls/1";

/// The extension with the digest: id-pe-acmeIdentifier (RFC 8737, 6.1).
const EXTENSION: &str = "1.3.6.1.5.5.7.1.31";

/// The head of an OCTET STRING of 32 bytes in DER (X.690, 8.7).
const OCTETS: [u8; 2] = [0x04, 0x20];

/// Whether the proof is shown there; if not, what is.
pub(super) fn is_shown(mut connection: Timed, name: &str, proof: &Proof) -> Result<(), String> {
    let refused = |error: &dyn std::error::Error| format!("the handshake fails: {error}");
    let name = ServerName::try_from(name.to_owned()).map_err(|error| refused(&error))?;
    let config = looker::config(&[PROTOCOL]).map_err(|error| refused(&error))?;
    let mut tls = ClientConnection::new(config, name).map_err(|error| refused(&error))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut connection).map_err(|error| refused(&error))?;
    }
    // A server that knows nothing of the protocol goes on without it (RFC 7301, 3.2, leaves it the choice).
    if tls.alpn_protocol() != Some(PROTOCOL) {
        return Err("another server answers, which does not speak acme-tls/1".to_owned());
    }
    let leaf = tls.peer_certificates().and_then(|shown| shown.first());
    if leaf.is_some_and(|leaf| has_digest(leaf, &proof.digest)) {
        Ok(())
    } else {
        Err("another server answers by acme-tls/1, and its proof is not ours".to_owned())
    }
}

fn has_digest(leaf: &[u8], digest: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return false };
    let expected = [&OCTETS, digest].concat();
    certificate.extensions().iter().any(|one| one.oid.to_id_string() == EXTENSION && one.value == expected)
}
