//! Keys of certificates: made, read, and used to ask for a certificate.

use std::net::IpAddr;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SanType, SignatureAlgorithm};
use rsa::pkcs8::EncodePrivateKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use shipshape_core::config::KeyKind;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{Zeroize, Zeroizing};

use crate::identifier::Identifier;
use crate::pem;

/// The largest file with a key that is read, in bytes. One with 4096 bits takes 3 KiB.
pub(crate) const LARGEST: usize = 64 << 10;

/// What says in PKCS#8 that the key is one for RSA: rsaEncryption with NULL (RFC 3279, 2.3.1), DER.
const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// The same for ECDSA on P-256: id-ecPublicKey with prime256v1 (RFC 5480, 2.1.1).
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];

/// The same for ECDSA on P-384: id-ecPublicKey with secp384r1.
const P384: &[u8] =
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// A private key with its public half. Its text leaves this module only towards a file that is private from birth.
pub(crate) struct Key {
    pair: rcgen::KeyPair,
    kind: Option<KeyKind>,
}

/// Why a key cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// It could not be made.
    #[error("cannot make a key")]
    Make(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be read.
    #[error("{place} holds no private key that can be used")]
    Read {
        /// The file.
        place: String,
    },
    /// A request could not be made of it.
    #[error("cannot make a signing request")]
    Request(#[source] rcgen::Error),
}

impl Explain for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Make(_) => "key.make",
            Self::Read { .. } => "key.read",
            Self::Request(_) => "key.request",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Make(_) | Self::Request(_) => "this is a defect of the tool: please report it".to_owned(),
            Self::Read { place } => format!("see what it is: openssl pkey -noout -text -in {place}"),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Make(_) | Self::Read { .. } | Self::Request(_) => Exit::Critical,
        }
    }
}

impl Key {
    /// A new key of that kind. RSA takes seconds.
    pub(crate) fn make(kind: KeyKind) -> Result<Self, KeyError> {
        match kind {
            KeyKind::EcdsaP256 => Self::on_curve(&rcgen::PKCS_ECDSA_P256_SHA256, kind),
            KeyKind::EcdsaP384 => Self::on_curve(&rcgen::PKCS_ECDSA_P384_SHA384, kind),
            KeyKind::Rsa2048 => Self::rsa(2048, kind),
            KeyKind::Rsa3072 => Self::rsa(3072, kind),
            KeyKind::Rsa4096 => Self::rsa(4096, kind),
        }
    }

    fn on_curve(algorithm: &'static SignatureAlgorithm, kind: KeyKind) -> Result<Self, KeyError> {
        let pair = rcgen::KeyPair::generate_for(algorithm).map_err(|cause| KeyError::Make(cause.into()))?;
        Ok(Self { pair, kind: Some(kind) })
    }

    fn rsa(bits: usize, kind: KeyKind) -> Result<Self, KeyError> {
        let made = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits);
        let made = made.map_err(|cause| KeyError::Make(cause.into()))?;
        let der = made.to_pkcs8_der().map_err(|cause| KeyError::Make(cause.into()))?;
        let der = PrivatePkcs8KeyDer::from(der.as_bytes());
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256)
            .map_err(|cause| KeyError::Make(cause.into()))?;
        Ok(Self { pair, kind: Some(kind) })
    }

    /// Reads a key from PEM: PKCS#8, and what certbot wrote in the past (PKCS#1 RSA, SEC 1 EC). `place` is told in
    /// errors.
    pub(crate) fn read(pem: &[u8], place: &Path) -> Result<Self, KeyError> {
        // Sections of other kinds are passed over: `EC PARAMETERS` stands before keys that openssl made.
        let pair = (pem.len() <= LARGEST).then(|| PrivateKeyDer::from_pem_slice(pem).ok()).flatten().and_then(pair_of);
        let pair = pair.ok_or_else(|| KeyError::Read { place: place.display().to_string() })?;
        let kind = kind_of(&pair);
        Ok(Self { pair, kind })
    }

    /// Its kind; none for one that is never made here (Ed25519, RSA of odd sizes).
    pub(crate) fn kind(&self) -> Option<KeyKind> {
        self.kind
    }

    /// PKCS#8 in PEM form: a secret.
    pub(crate) fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::armour("PRIVATE KEY", self.pair.serialized_der()))
    }

    /// The public half as it stands in a certificate (`SubjectPublicKeyInfo`, DER).
    pub(crate) fn public(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// A signing request (PKCS#10, DER) for these names, without a common name: authorities fill it in where they want
    /// one.
    pub(crate) fn request(&self, names: &[Identifier]) -> Result<Vec<u8>, KeyError> {
        let request = params(names).and_then(|params| params.serialize_request(&self.pair));
        Ok(request.map_err(KeyError::Request)?.der().to_vec())
    }

    /// For self-signed certificates and those of tls-alpn-01.
    pub(crate) fn pair(&self) -> &rcgen::KeyPair {
        &self.pair
    }
}

/// What a certificate for these names, or the request for one, is to say: the names alone, no subject.
pub(crate) fn params(names: &[Identifier]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
    Ok(params)
}

/// A name as it stands among the alternative ones (RFC 8555, 7.4; RFC 8738, 3 for addresses).
fn alternative(name: &Identifier) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        Identifier::Dns { .. } => SanType::DnsName(name.to_string().try_into()?),
        // RFC 8738, 3: four bytes or sixteen. An address of IPv4 that is written as one of IPv6 is meant as what it is.
        Identifier::Ip(address) => SanType::IpAddress(IpAddr::to_canonical(address)),
    })
}

/// The forms in which keys lie on disks, all brought into the one that is signed with.
fn pair_of(mut der: PrivateKeyDer<'static>) -> Option<rcgen::KeyPair> {
    let wrapped: Vec<Zeroizing<Vec<u8>>> = match &der {
        PrivateKeyDer::Pkcs8(key) => vec![Zeroizing::new(key.secret_pkcs8_der().to_vec())],
        PrivateKeyDer::Pkcs1(key) => vec![pkcs8(RSA, key.secret_pkcs1_der())],
        // Its curve stands in it by custom, and not always (RFC 5915, 3): only one of them fits.
        PrivateKeyDer::Sec1(key) => [P256, P384].map(|curve| pkcs8(curve, key.secret_sec1_der())).into(),
        _ => Vec::new(),
    };
    der.zeroize();
    wrapped.iter().find_map(|der| rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(der.as_slice())).ok())
}

/// `PrivateKeyInfo` of RFC 5208, 5: version 0, the algorithm, and the key in the form that is the algorithm's own.
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION: &[u8] = &[0x02, 0x01, 0x00];
    let octets = header(0x04, key.len());
    let inside = VERSION.len() + algorithm.len() + octets.len() + key.len();
    let sequence = header(0x30, inside);
    let mut der = Zeroizing::new(Vec::with_capacity(sequence.len() + inside));
    for part in [&sequence, VERSION, algorithm, &octets, key] {
        der.extend_from_slice(part);
    }
    der
}

/// Tag and length of DER (X.690, 8.1.3): lengths from 128 on say first how many bytes they take.
fn header(tag: u8, length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let bytes = &bytes[bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len() - 1)..];
    let mut header = vec![tag];
    if length >= 0x80 {
        // Never more than eight.
        header.push(0x80 | u8::try_from(bytes.len()).unwrap_or(8));
    }
    header.extend_from_slice(bytes);
    header
}

/// By the curve, or by the size of the modulus (RFC 8017, 3.1).
fn kind_of(pair: &rcgen::KeyPair) -> Option<KeyKind> {
    if pair.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256) {
        return Some(KeyKind::EcdsaP256);
    }
    if pair.is_compatible(&rcgen::PKCS_ECDSA_P384_SHA384) {
        return Some(KeyKind::EcdsaP384);
    }
    let public = pair.subject_public_key_info();
    let Ok((_, public)) = SubjectPublicKeyInfo::from_der(&public) else { return None };
    let Ok(PublicKey::RSA(public)) = public.parsed() else { return None };
    match public.key_size() {
        2048 => Some(KeyKind::Rsa2048),
        3072 => Some(KeyKind::Rsa3072),
        4096 => Some(KeyKind::Rsa4096),
        _ => None,
    }
}

/// The library wipes what it can when it is told to; the numbers inside ring's own form are beyond reach.
impl Drop for Key {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use proptest::prelude::*;
    use rsa::pkcs1::EncodeRsaPrivateKey;
    use x509_parser::certification_request::X509CertificationRequest;

    use super::*;

    fn place() -> PathBuf {
        PathBuf::from("/etc/letsencrypt/live/a.test/privkey.pem")
    }

    /// What the program that most old keys come from makes of these arguments.
    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let made = Command::new("openssl").args(arguments).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        made.stdout
    }

    #[test]
    fn a_key_is_of_the_kind_that_was_asked_for_and_reads_the_same_again() {
        for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Rsa2048] {
            let made = Key::make(kind).unwrap();
            let read = Key::read(made.pem().as_bytes(), &place()).unwrap();
            assert_eq!((made.kind(), read.kind()), (Some(kind), Some(kind)));
            assert_eq!(read.public(), made.public());
        }
    }

    #[test]
    fn keys_of_rsa_are_read_in_the_form_of_old_versions_of_certbot() {
        let old = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let old = pem::armour("RSA PRIVATE KEY", old.to_pkcs1_der().unwrap().as_bytes());
        assert_eq!(Key::read(old.as_bytes(), &place()).unwrap().kind(), Some(KeyKind::Rsa2048));
    }

    #[test]
    fn keys_on_curves_are_read_in_the_form_of_openssl_with_the_curve_beside_them() {
        for (curve, kind) in [("prime256v1", KeyKind::EcdsaP256), ("secp384r1", KeyKind::EcdsaP384)] {
            let made = openssl(&["ecparam", "-name", curve, "-genkey"]);
            assert!(made.starts_with(b"-----BEGIN EC PARAMETERS"), "the curve stands before the key");
            assert_eq!(Key::read(&made, &place()).unwrap().kind(), Some(kind));
        }
    }

    #[test]
    fn a_key_that_is_never_made_here_is_read_and_has_no_kind() {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let read = Key::read(made.serialize_pem().as_bytes(), &place()).unwrap();
        assert_eq!(read.kind(), None);
        assert_eq!(read.public(), made.subject_public_key_info());
    }

    #[test]
    fn what_is_no_key_is_told_with_its_place() {
        let large = vec![b' '; LARGEST + 1];
        let weak = openssl(&["genrsa", "1024"]);
        for junk in
            [&b""[..], b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &large, &weak]
        {
            let refused = Key::read(junk, &place()).unwrap_err();
            assert_eq!(refused.code(), "key.read");
            assert!(refused.hint().ends_with("-in /etc/letsencrypt/live/a.test/privkey.pem"), "{}", refused.hint());
        }
    }

    #[test]
    fn a_request_names_all_that_is_wanted_and_no_subject() {
        let names = ["a.test", "*.b.test", "192.0.2.7", "2001:db8::7"].map(|name| Identifier::parse(name).unwrap());
        let der = Key::make(KeyKind::EcdsaP256).unwrap().request(&names).unwrap();
        let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert!(rest.is_empty());
        assert_eq!(request.certification_request_info.subject.iter().count(), 0);
        request.verify_signature().unwrap();
        let told = format!("{:?}", request.requested_extensions().unwrap().collect::<Vec<_>>());
        for part in
            ["DNSName(\"a.test\")", "DNSName(\"*.b.test\")", "IPAddress([192, 0, 2, 7])", "IPAddress([32, 1, 13"]
        {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = Key::make(KeyKind::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "Key { kind: Some(EcdsaP256), .. }");
    }

    #[test]
    fn lengths_are_written_as_der_has_them() {
        assert_eq!(header(4, 0), [4, 0]);
        assert_eq!(header(4, 127), [4, 127]);
        assert_eq!(header(4, 128), [4, 0x81, 128]);
        assert_eq!(header(4, 0x1234), [4, 0x82, 0x12, 0x34]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Key::read(&bytes, &place()).is_err());
            for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
                prop_assert!(Key::read(pem::armour(label, &bytes).as_bytes(), &place()).is_err());
            }
        }
    }
}
