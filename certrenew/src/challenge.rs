//! Proofs that names are ours, put where the authority looks for them, and taken away again.

mod error;
#[cfg(test)]
mod fuzz;
mod holder;
mod hook;
mod listener;
mod responder;
mod tls_alpn;
mod webroot;

use shipshape_core::clock;

pub(crate) use error::ChallengeError;
pub(crate) use tls_alpn::asked_as;

use crate::identifier::Identifier;
use crate::wanted::{Method, Wanted};

/// How tokens begin that are a trial of ours and no authority's, so that one that was left by a killed run is known as such.
pub(crate) const TRIAL: &str = "certrenew-trial-";

/// What is to be shown for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// For what.
    pub(crate) identifier: Identifier,
    /// The challenge's URL, by which the order tells it apart.
    pub(crate) url: String,
    /// The token: of base64url's letters alone (RFC 8555, 8.3), which whoever makes a file of it has to check.
    pub(crate) token: String,
    /// The token and the account's thumbprint: the content for http-01.
    pub(crate) key_authorization: String,
    /// Its SHA-256 in base64url: the TXT record for dns-01.
    pub(crate) dns_value: String,
    /// The same digest, raw: the extension for tls-alpn-01.
    pub(crate) digest: Vec<u8>,
}

/// Proofs that can be seen. They go when it is dropped; [`Shown::end`] tells whether they could be taken away.
pub(crate) trait Shown {
    /// Takes them away.
    fn end(self: Box<Self>) -> Result<(), ChallengeError>;
}

/// Shows all of them in the way that the certificate's owner has chosen, and waits until they can be seen (TXT records).
pub(crate) fn show(wanted: &Wanted, proofs: &[Proof]) -> Result<Box<dyn Shown>, ChallengeError> {
    match &wanted.method {
        Method::Webroot(folder) => webroot::show(folder, proofs, clock::now()),
        Method::Standalone(address) => responder::show(*address, proofs),
        Method::TlsAlpn(address) => tls_alpn::show(*address, proofs),
        Method::Hook { program, wait } => hook::show(program, *wait, wanted.resolver, proofs),
    }
}

/// Whether it could be done at all: the webroot can be written, the port is free, the hook can be run. Leaves nothing behind.
pub(crate) fn try_showing(wanted: &Wanted) -> Result<(), ChallengeError> {
    match &wanted.method {
        Method::Webroot(folder) => webroot::try_showing(folder),
        Method::Standalone(address) | Method::TlsAlpn(address) => responder::try_showing(*address),
        Method::Hook { program, .. } => hook::try_showing(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proof as an authority would want it.
    pub(super) fn proof(name: &str, token: &str) -> Proof {
        Proof {
            identifier: Identifier::parse(name).unwrap(),
            url: format!("https://ca.example/challenge/{token}"),
            token: token.to_owned(),
            key_authorization: format!("{token}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"),
            dns_value: format!("digest-of-{token}"),
            digest: vec![7; 32],
        }
    }
}
