//! Certificates: what they say, and whether a chain is one that may be installed.

mod signed;

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::identifier::Identifier;
use crate::key::Key;
use crate::pem;

/// The largest chain that is read, in bytes. Real ones take 10 KiB.
pub(crate) const LARGEST: usize = 256 << 10;

/// The longest chain that is read. Real ones have three or four certificates.
const LONGEST: usize = 16;

/// How far our clock may be behind the authority's.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// How much of an issuer's name is told, in characters: RFC 5280 bounds a common name to 64 (A.1, ub-common-name).
const MOST_OF_A_NAME: usize = 120;

/// What Let's Encrypt's staging puts before the names of its issuers.
const STAGING: &str = "(STAGING)";

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its serial number in lower-case hexadecimal digits, two for each byte, without a leading 00.
    pub(crate) serial: String,
    /// From when it holds.
    pub(crate) not_before: DateTime<Utc>,
    /// Until when.
    pub(crate) not_after: DateTime<Utc>,
    /// The names and addresses that it is for.
    pub(crate) names: BTreeSet<Identifier>,
    /// The common name of its issuer, else its organization.
    pub(crate) issuer: String,
    /// Whether it vouches for itself: a placeholder.
    pub(crate) is_self_signed: bool,
    /// Whether a rehearsal issued it: Let's Encrypt's staging says so in the issuer's name.
    pub(crate) is_staging: bool,
    /// Its identifier for renewal information (RFC 9773, 4.1); none where it does not name its issuer's key.
    pub(crate) renewal_id: Option<String>,
    /// The public key (`SubjectPublicKeyInfo`, DER).
    pub(crate) public_key: Vec<u8>,
}

/// A chain, the certificate itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// What the first one says.
    pub(crate) facts: Facts,
    /// All of them, DER, in their order.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// Why a chain may not be installed, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// These bytes are no chain of certificates.
    #[error("{place} holds no certificate that can be read: {why}")]
    Unreadable {
        /// Where it came from.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The chain is not what was ordered.
    #[error("the authority sent a certificate that cannot be installed: {why}")]
    NotOrdered {
        /// What is wrong: the key, a name, a date, the order of the chain.
        why: String,
    },
}

impl Explain for CertificateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "certificate.unreadable",
            Self::NotOrdered { .. } => "certificate.not_ordered",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unreadable { place, .. } => format!("see what it is: openssl x509 -noout -text -in {place}"),
            Self::NotOrdered { .. } => {
                "what is served stays as it was; if it happens again, ask the authority".to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } | Self::NotOrdered { .. } => Exit::Critical,
        }
    }
}

impl Chain {
    /// Reads a chain in PEM form, whatever bytes they are. Text around the certificates is passed over (certbot and
    /// some authorities write it).
    pub(crate) fn read(pem: &[u8], place: &str) -> Result<Self, CertificateError> {
        let unreadable = |why: &str| CertificateError::Unreadable { place: place.to_owned(), why: why.to_owned() };
        if pem.len() > LARGEST {
            return Err(unreadable("it is too large"));
        }
        let mut certificates = Vec::new();
        for found in CertificateDer::pem_slice_iter(pem) {
            certificates.push(found.map_err(|error| unreadable(&error.to_string()))?.to_vec());
            if certificates.len() > LONGEST {
                return Err(unreadable("there are too many certificates in it"));
            }
        }
        let Some(first) = certificates.first() else { return Err(unreadable("there is none in it")) };
        if let Some(at) = certificates.iter().position(|der| parsed(der).is_none()) {
            return Err(unreadable(&format!("number {} in it is damaged", at + 1)));
        }
        let facts = Facts::of(first).ok_or_else(|| unreadable("its dates make no sense"))?;
        Ok(Self { facts, certificates })
    }

    /// Whether it is what was ordered: the key's own, all the names and valid now, each signed by the next.
    pub(crate) fn check(&self, key: &Key, names: &[Identifier], now: DateTime<Utc>) -> Result<(), CertificateError> {
        let facts = &self.facts;
        let wrong = |why: String| Err(CertificateError::NotOrdered { why });
        if facts.public_key != key.public() {
            return wrong("it is for another key".to_owned());
        }
        if let Some(name) = names.iter().find(|name| !facts.names.contains(name)) {
            return wrong(format!("it is not for {name}"));
        }
        if facts.not_before > now + SKEW {
            return wrong(format!("it holds from {} on, which is not yet; is the clock right?", facts.not_before));
        }
        if facts.not_after <= now {
            return wrong(format!("it was over at {}; is the clock right?", facts.not_after));
        }
        self.in_order()
    }

    /// Whether each one is signed by the next. Whom the last one leads to is for clients to judge.
    fn in_order(&self) -> Result<(), CertificateError> {
        for (at, pair) in self.certificates.windows(2).enumerate() {
            if !signed::is_signed_by(&pair[0], &pair[1]) {
                let why = format!("number {} of its chain is not signed by number {}", at + 1, at + 2);
                return Err(CertificateError::NotOrdered { why });
            }
        }
        Ok(())
    }

    /// All of it in PEM form: `fullchain.pem`.
    pub(crate) fn full_pem(&self) -> String {
        self.certificates.iter().map(|der| pem::armour(LABEL, der)).collect()
    }

    /// The first one: `cert.pem`.
    pub(crate) fn leaf_pem(&self) -> String {
        self.certificates.iter().take(1).map(|der| pem::armour(LABEL, der)).collect()
    }

    /// The others: `chain.pem`; empty where there are none.
    pub(crate) fn issuers_pem(&self) -> String {
        self.certificates.iter().skip(1).map(|der| pem::armour(LABEL, der)).collect()
    }

    /// Whether an issuer in it, the last one's own issuer included, has this common name.
    pub(crate) fn is_by(&self, common_name: &str) -> bool {
        let issuers = self.certificates.iter().filter_map(|der| parsed(der));
        let mut names = issuers.filter_map(|one| text(one.issuer().iter_common_name()));
        names.any(|name| name == common_name)
    }
}

/// The label of a certificate in PEM form (RFC 7468, 5.1).
const LABEL: &str = "CERTIFICATE";

impl Facts {
    /// Reads one certificate, DER.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let read = parsed(der)?;
        let issuer = read.issuer();
        let organization = text(issuer.iter_organization());
        let told = text(issuer.iter_common_name()).or_else(|| organization.clone()).unwrap_or_default();
        let is_staging = told.contains(STAGING) || organization.is_some_and(|name| name.contains(STAGING));
        Some(Self {
            serial: hexadecimal(read.raw_serial()),
            not_before: moment(read.validity().not_before)?,
            not_after: moment(read.validity().not_after)?,
            names: names(&read),
            issuer: plain(&told),
            is_self_signed: is_same(issuer, read.subject()) && signed::is_signed_by(der, der),
            is_staging,
            renewal_id: renewal_id(&read),
            public_key: read.public_key().raw.to_vec(),
        })
    }

    /// How long it holds in all.
    pub(crate) fn lifetime(&self) -> TimeDelta {
        self.not_after - self.not_before
    }

    /// Days until its end, rounded down; negative when it is over.
    pub(crate) fn days_left(&self, now: DateTime<Utc>) -> i64 {
        (self.not_after - now).num_seconds().div_euclid(86_400)
    }
}

/// One certificate, and nothing behind it.
fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > LARGEST {
        return None;
    }
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, read)| read)
}

fn is_same(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw()
}

fn text<'a>(mut parts: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Option<String> {
    parts.next().and_then(|part| part.as_str().ok()).map(str::to_owned)
}

/// A name as it can be shown on a terminal: whoever made the certificate chose it.
fn plain(name: &str) -> String {
    name.chars().take(MOST_OF_A_NAME).map(|one| if one.is_control() { '?' } else { one }).collect()
}

fn moment(time: ASN1Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.timestamp(), 0)
}

/// DER puts 00 before a number whose first bit is set, so that it is not taken for a negative one (X.690, 8.3).
fn hexadecimal(serial: &[u8]) -> String {
    let serial = match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    serial.iter().fold(String::with_capacity(2 * serial.len()), |mut told, byte| {
        for half in [byte >> 4, byte & 15] {
            told.extend(char::from_digit(u32::from(half), 16));
        }
        told
    })
}

/// The alternative names. The common name does not count: no client looks at it any more (RFC 6125, 6.4.4; RFC 9525,
/// 2).
fn names(certificate: &X509Certificate<'_>) -> BTreeSet<Identifier> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    names.value.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<Identifier> {
    match name {
        // A name that looks like an address is none: no client would take it for one.
        GeneralName::DNSName(name) => {
            Identifier::parse(name).ok().filter(|found| matches!(found, Identifier::Dns { .. }))
        }
        GeneralName::IPAddress(bytes) => address(bytes).map(Identifier::Ip),
        _ => None,
    }
}

/// Four or sixteen bytes (RFC 5280, 4.2.1.6).
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let short = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    short.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// RFC 9773, 4.1: the issuer's key and the serial number, its leading 00 included, each in base64url.
fn renewal_id(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    })?;
    Some(format!("{}.{}", URL_SAFE_NO_PAD.encode(key.0), URL_SAFE_NO_PAD.encode(certificate.raw_serial())))
}

#[cfg(test)]
mod tests;
