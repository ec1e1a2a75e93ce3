//! Whether one certificate was signed by the key of another.

use x509_parser::error::X509Error;

use super::{is_same, parsed};

/// Whether the one names the other as its issuer (RFC 5280, 6.1.3 a 4), and the other's key made its signature.
///
/// A signature of a kind that ring does not know (P-521, SM2) is taken on trust: it came from the authority over TLS,
/// and what this finds are chains in the wrong order and mixed-up files. A root of SHA-1 is nobody's business here
/// either.
pub(super) fn is_signed_by(one: &[u8], other: &[u8]) -> bool {
    let (Some(one), Some(other)) = (parsed(one), parsed(other)) else { return false };
    let judged = one.verify_signature(Some(other.public_key()));
    is_same(one.issuer(), other.subject()) && matches!(judged, Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm))
}
