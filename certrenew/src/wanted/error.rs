//! What can be wrong with the list of certificates, before anything is done.

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

use crate::identifier::NotAName;

/// Why it cannot be told which certificates there should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WantedError {
    /// Neither the configuration nor a flag names a certificate.
    #[error("no certificate is named")]
    Nothing,
    /// There is none of this name.
    #[error("there is no certificate `{name}` in the configuration")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A certificate is for nothing.
    #[error("a certificate has no names")]
    NoNames,
    /// Something is no name.
    #[error(transparent)]
    NotAName(#[from] NotAName),
    /// Two certificates would lie in one place.
    #[error("two certificates are called `{name}`")]
    Twins {
        /// That name.
        name: String,
    },
    /// A certificate's own name cannot be that of a folder.
    #[error("`{name}` cannot be the name of a folder in live/")]
    Name {
        /// That name.
        name: String,
    },
    /// A key is missing.
    #[error("the certificate `{name}` does not say its `{key}`")]
    Missing {
        /// The certificate.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// A wildcard needs dns-01.
    #[error("`{name}` cannot be proved by http-01 or tls-alpn-01")]
    Wildcard {
        /// The wildcard.
        name: String,
    },
    /// An address has no place in the DNS to prove it.
    #[error("the address {name} cannot be proved by dns-01")]
    AddressByDns {
        /// The address.
        name: String,
    },
    /// No known authority, and no URL.
    #[error("`{stated}` is no authority")]
    Authority {
        /// As it was stated.
        stated: String,
        /// Those known by name.
        known: String,
    },
    /// Only one half of an external account binding is there.
    #[error("an external account binding needs `{missing}` too")]
    HalfABinding {
        /// What is missing.
        missing: &'static str,
    },
    /// No address with a port.
    #[error("`{stated}` is no address")]
    Address {
        /// As it was stated.
        stated: String,
    },
}

impl Explain for WantedError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nothing => "certificate.none",
            Self::Unknown { .. } => "certificate.unknown",
            Self::NoNames => "certificate.no_names",
            Self::NotAName(cause) => cause.code(),
            Self::Twins { .. } => "certificate.twins",
            Self::Name { .. } => "certificate.folder_name",
            Self::Missing { .. } => "certificate.incomplete",
            Self::Wildcard { .. } | Self::AddressByDns { .. } => "certificate.challenge",
            Self::Authority { .. } => "certificate.authority",
            Self::HalfABinding { .. } => "certificate.binding",
            Self::Address { .. } => "certificate.address",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Nothing => {
                "name it in the configuration, [[certrenew.certificate]] names = [\"example.com\"], or by \
                              flags: certrenew --domain example.com --webroot /var/www/acme"
                    .to_owned()
            }
            Self::Unknown { known, .. } => format!("there are: {known}"),
            Self::NoNames => "say what it is for: names = [\"example.com\"]".to_owned(),
            Self::NotAName(cause) => cause.hint(),
            Self::Twins { .. } => "give one of them a name of its own: name = \"…\"".to_owned(),
            Self::Name { .. } => "use letters, digits, dots, `_` and `-`: name = \"…\"".to_owned(),
            Self::Missing { key: "webroot", .. } => "say which folder the running web server serves \
                /.well-known/acme-challenge/ from: webroot = \"/var/www/acme\"; where no server runs yet: challenge = \
                \"standalone\""
                .to_owned(),
            Self::Missing { key, .. } => format!("say it in the configuration: {key} = \"…\""),
            Self::Wildcard { .. } => {
                "wildcards take a TXT record: challenge = \"dns-01\" and hook = \"PROGRAM\"".to_owned()
            }
            Self::AddressByDns { .. } => {
                "give addresses a certificate of their own, with challenge = \"http-01\"".to_owned()
            }
            Self::Authority { known, .. } => format!("write one of {known}, or https://HOST/directory"),
            Self::HalfABinding { missing } => format!("the authority's account page shows it: {missing} = \"…\""),
            Self::Address { .. } => "write it as 192.0.2.7:443 or [2001:db8::7]:443".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Nothing
            | Self::Unknown { .. }
            | Self::NoNames
            | Self::NotAName(_)
            | Self::Twins { .. }
            | Self::Name { .. }
            | Self::Missing { .. }
            | Self::Wildcard { .. }
            | Self::AddressByDns { .. }
            | Self::Authority { .. }
            | Self::HalfABinding { .. }
            | Self::Address { .. } => Exit::Unknown,
        }
    }
}
