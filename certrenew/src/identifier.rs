//! A name or an address on a certificate, in the form that the DNS and ACME have of it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// The longest name, in bytes, without a last dot (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// A name or an address that a certificate is for. Sorts by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Identifier {
    /// A name in lower case, A-labels where it was in another script. A wildcard's `*.` is told by `wildcard`.
    Dns {
        /// The name, without `*.`.
        host: String,
        /// Whether it stands for all names one label below it.
        wildcard: bool,
    },
    /// An address (RFC 8738).
    Ip(IpAddr),
}

/// Why something is no name for a certificate.
#[derive(Debug, thiserror::Error)]
#[error("`{stated}` is no name for a certificate: {why}")]
pub(crate) struct NotAName {
    stated: String,
    why: &'static str,
}

impl Explain for NotAName {
    fn code(&self) -> &'static str {
        "certificate.name"
    }

    fn hint(&self) -> String {
        "write a name such as www.example.com or *.example.com, or an IP address".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Unknown
    }
}

impl Identifier {
    /// Reads a name as people write it: any case, any script, perhaps with a last dot.
    pub(crate) fn parse(stated: &str) -> Result<Self, NotAName> {
        let wrong = |why| NotAName { stated: stated.to_owned(), why };
        let trimmed = stated.trim().trim_end_matches('.');
        if let Ok(address) = trimmed.trim_start_matches('[').trim_end_matches(']').parse() {
            // An IPv4 address in the clothes of IPv6 (RFC 4291, 2.5.5.2) is the IPv4 one: no authority vouches for the other.
            return Ok(Self::Ip(IpAddr::to_canonical(&address)));
        }
        let (host, wildcard) = trimmed.strip_prefix("*.").map_or((trimmed, false), |rest| (rest, true));
        let host = idna::domain_to_ascii_strict(host).map_err(|_| wrong("a label of it cannot stand in the DNS"))?;
        if host.len() > LONGEST {
            return Err(wrong("it is too long"));
        }
        // One label alone is nobody's: no public authority vouches for it, and private ones have their reasons.
        if host.is_empty() || (wildcard && !host.contains('.')) {
            return Err(wrong("it has no domain"));
        }
        if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(wrong("it looks like an address, and is none"));
        }
        Ok(Self::Dns { host, wildcard })
    }

    /// The name to ask the DNS for; none for an address.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Dns { host, .. } => Some(host),
            Self::Ip(_) => None,
        }
    }

    /// Whether a certificate for these names is one for it: it stands among them, or below a wildcard (RFC 6125, 6.4.3).
    pub(crate) fn is_among(&self, names: &BTreeSet<Self>) -> bool {
        let above = match self {
            Self::Dns { host, wildcard: false } => host.split_once('.').map(|(_, above)| above.to_owned()),
            Self::Dns { wildcard: true, .. } | Self::Ip(_) => None,
        };
        let wildcard = above.map(|host| Self::Dns { host, wildcard: true });
        names.contains(self) || wildcard.is_some_and(|wildcard| names.contains(&wildcard))
    }

    /// Whether it stands for all names one label below it.
    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns { wildcard: true, .. })
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { host, wildcard: true } => write!(f, "*.{host}"),
            Self::Dns { host, wildcard: false } => f.write_str(host),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

impl TryFrom<String> for Identifier {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        Self::parse(&text)
    }
}

impl From<Identifier> for String {
    fn from(identifier: Identifier) -> Self {
        identifier.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(stated: &str) -> String {
        Identifier::parse(stated).map_or_else(|error| error.why.to_owned(), |found| found.to_string())
    }

    #[test]
    fn names_are_brought_into_the_form_of_the_dns() {
        let stated = ["WWW.Example.COM.", "*.Example.com", "bücher.example", "192.0.2.7", "[2001:DB8::1]", "localhost"];
        let expected =
            ["www.example.com", "*.example.com", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::1", "localhost"];
        assert_eq!(stated.map(told), expected);
    }

    #[test]
    fn an_ipv4_address_in_the_form_of_ipv6_is_that_address() {
        let stated = ["::ffff:192.0.2.7", "[::FFFF:c000:0207]", "::192.0.2.7", "64:ff9b::192.0.2.7"];
        assert_eq!(stated.map(told), ["192.0.2.7", "192.0.2.7", "::c000:207", "64:ff9b::c000:207"]);
    }

    #[test]
    fn what_cannot_stand_in_the_dns_is_refused() {
        for stated in ["", ".", "*", "*.", "*.com", "a..b", "a b.example", "-a.example", "a/b", "1.2.3", "*.*.a.test"] {
            assert!(Identifier::parse(stated).is_err(), "{stated:?} was taken");
        }
        assert!(Identifier::parse(&format!("{}.example", "a".repeat(64))).is_err());
        assert!(Identifier::parse(&"a.".repeat(150)).is_err());
    }

    #[test]
    fn a_name_is_among_those_of_a_certificate_by_itself_or_below_a_wildcard() {
        let names = ["a.test", "*.b.test", "192.0.2.7"].map(|name| Identifier::parse(name).unwrap()).into();
        let is = |stated: &str| Identifier::parse(stated).unwrap().is_among(&names);
        for stated in ["a.test", "x.b.test", "*.b.test", "192.0.2.7"] {
            assert!(is(stated), "{stated}");
        }
        for stated in ["x.a.test", "*.a.test", "b.test", "x.y.b.test", "192.0.2.8", "test"] {
            assert!(!is(stated), "{stated}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(stated in "\\PC{0,60}") {
            if let Ok(found) = Identifier::parse(&stated) {
                prop_assert_eq!(Identifier::parse(&found.to_string()).ok(), Some(found));
            }
        }
    }
}
