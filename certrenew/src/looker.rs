//! TLS with whoever answers: to see what is shown, never to trust it.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// A client that takes any certificate. `protocols` are offered by ALPN (RFC 7301), none where there are none.
pub(crate) fn config(protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let looker = Arc::new(Looker(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS)?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(looker).with_no_client_auth();
    // A session that is taken up again shows no certificate (RFC 8446, 2.2): one would see what was served yesterday.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Takes any certificate. Nothing is trusted because of it, and nothing is sent that is worth anything: what is shown is
/// compared with what we have put there. An old, a foreign or a self-signed one is to be seen and told, which a verifier that
/// refuses it would not do. What is verified is that the server has the certificate's key, where it can be.
#[derive(Debug)]
struct Looker(Arc<CryptoProvider>);

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        seen(verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        seen(verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate that the library cannot read is to be seen as well: those of tls-alpn-01 have a critical extension of their
/// own (RFC 8737, 3), which nobody else knows, and old devices show ones of X.509's first version.
fn seen(verified: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(why)) if why != CertificateError::BadSignature => {
            Ok(HandshakeSignatureValid::assertion())
        }
        other => other,
    }
}
