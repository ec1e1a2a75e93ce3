//! Opening an account: the one that is known, or a new one (RFC 8555, 7.3), bound to one elsewhere where that is wanted.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use instant_acme::{Account, AccountBuilder, Error, ExternalAccountKey, NewAccount};
use rustls::pki_types::PrivatePkcs8KeyDer;
use shipshape_core::clock;
use zeroize::Zeroizing;

use super::account::{Stored, unusable};
use super::error::AcmeError;
use super::library::{blocking, step};
use super::transport::{Transport, Wire};
use crate::wanted::{Authority, Binding};

/// Keys of bindings are pasted from web pages, with padding or without.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Opens accounts at one authority.
pub(super) struct Register<'a> {
    pub(super) transport: &'a Arc<Transport>,
    pub(super) authority: &'a Authority,
    /// The account's file.
    pub(super) place: &'a Path,
}

impl Register<'_> {
    /// The account that the file holds; a new one where it holds none, or a key alone.
    pub(super) fn open(&self) -> Result<Account, AcmeError> {
        let stored = Stored::read(self.place, &self.authority.directory)?;
        let (account, stored) = match stored {
            Some(stored) if stored.url.is_some() => (self.known(&stored)?, stored),
            // Its making was cut off: the authority may know its key already, and answers with the same account then.
            half_made => self.make(half_made)?,
        };
        match self.tell_contact(&account, stored) {
            Ok(()) => Ok(account),
            // Nothing else was said to it yet, and nothing else could be: each run would end here for ever.
            Err(AcmeError::AccountGone { .. }) => self.open_anew(),
            Err(error) => Err(error),
        }
    }

    /// A new one in the place of one that is gone: under the same key, which proves to be ours what it was used for; under
    /// another one where the authority will have nothing to do with the old one.
    pub(super) fn open_anew(&self) -> Result<Account, AcmeError> {
        let stored = Stored::read(self.place, &self.authority.directory)?;
        let (account, stored) = match self.make(stored) {
            Err(AcmeError::Refused { kind, .. }) if kind == "unauthorized" => self.make(None)?,
            made => made?,
        };
        self.tell_contact(&account, stored)?;
        Ok(account)
    }

    /// The authority is not asked: whether it still knows the account, it says with the first order.
    fn known(&self, stored: &Stored) -> Result<Account, AcmeError> {
        let url = stored.url.clone().ok_or_else(|| unusable(self.place, "it holds a key alone"))?;
        let der = stored.pkcs8(self.place)?;
        stored.key(self.place)?;
        step(self.transport, || {
            let key = PrivatePkcs8KeyDer::from(der.as_slice());
            blocking(self.builder().from_parts(url.clone(), key, self.authority.directory.clone()))
        })
    }

    fn builder(&self) -> AccountBuilder {
        Account::builder_with_http(Box::new(Wire(Arc::clone(self.transport))))
    }

    fn make(&self, half_made: Option<Stored>) -> Result<(Account, Stored), AcmeError> {
        if let Some(binding) = &self.authority.binding {
            return self.make_bound(binding);
        }
        if self.transport.about().needs_binding {
            return Err(AcmeError::Binding { host: self.transport.host() });
        }
        let stored = half_made.map_or_else(|| Stored::new(&self.authority.directory, clock::now()), Ok);
        let mut stored = stored.map_err(|error| self.transport.nonsense(&error.to_string()))?;
        stored.url = None;
        stored.contact = Vec::new();
        stored.write(self.place)?;
        let (account, _) = step(self.transport, || {
            let key = stored.key(self.place).map_err(|error| Error::Other(Box::new(error)))?;
            blocking(self.builder().create_from_key(key, self.authority.directory.clone()))
        })?;
        stored.url = Some(account.id().to_owned());
        stored.write(self.place)?;
        Ok((account, stored))
    }

    /// The library binds a key that it makes itself: a run that is killed between the answer and the write below loses the
    /// account, and the next one makes another for the same binding.
    fn make_bound(&self, binding: &Binding) -> Result<(Account, Stored), AcmeError> {
        let key = binding_key(binding)?;
        let contact = self.contact();
        let addresses: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &addresses, terms_of_service_agreed: true, only_return_existing: false };
        let made = step(self.transport, || {
            let key = ExternalAccountKey::new(binding.kid.clone(), &key);
            blocking(self.builder().create(&new, self.authority.directory.clone(), Some(&key)))
        });
        let (account, made) = made.map_err(|error| of_binding(binding, error))?;
        let der = made.private_key().secret_pkcs8_der();
        let mut stored = Stored::of_key(&self.authority.directory, der, clock::now());
        stored.url = Some(account.id().to_owned());
        stored.contact = contact;
        stored.write(self.place)?;
        Ok((account, stored))
    }

    /// Tells the authority of addresses that it was not told of, or takes back what it was told.
    fn tell_contact(&self, account: &Account, mut stored: Stored) -> Result<(), AcmeError> {
        let contact = self.contact();
        if contact == stored.contact {
            return Ok(());
        }
        let addresses: Vec<&str> = contact.iter().map(String::as_str).collect();
        step(self.transport, || blocking(account.update_contacts(&addresses)))?;
        stored.contact = contact;
        stored.write(self.place)
    }

    /// As URLs (RFC 8555, 7.3): a mail address alone becomes one.
    fn contact(&self) -> Vec<String> {
        let as_url = |stated: &String| if stated.contains(':') { stated.clone() } else { format!("mailto:{stated}") };
        self.authority.contact.iter().map(as_url).collect()
    }
}

/// The key of a binding: base64url by the book, the other alphabet by the habit of some pages.
fn binding_key(binding: &Binding) -> Result<Zeroizing<Vec<u8>>, AcmeError> {
    let stated = binding.hmac.resolve()?;
    let text = Zeroizing::new(stated.expose().trim().replace('+', "-").replace('/', "_"));
    match TOLERANT.decode(text.as_bytes()) {
        Ok(key) if !key.is_empty() => Ok(Zeroizing::new(key)),
        _ => Err(AcmeError::BindingKey { kid: binding.kid.clone(), why: "it is not base64url".to_owned() }),
    }
}

/// A new account is refused as a rule because of what binds it: authorities differ in the kind that they give it.
fn of_binding(binding: &Binding, error: AcmeError) -> AcmeError {
    match error {
        AcmeError::Refused { kind, detail, .. } if matches!(kind.as_str(), "unauthorized" | "malformed") => {
            AcmeError::BindingKey { kid: binding.kid.clone(), why: detail }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use shipshape_core::secret::SecretSource;

    use super::*;

    fn key(text: &str) -> Option<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hmac");
        shipshape_core::atomic::replace(&file, text.as_bytes()).unwrap();
        let binding = Binding { kid: "kid-1".to_owned(), hmac: SecretSource::File(file) };
        binding_key(&binding).ok().map(|key| key.to_vec())
    }

    #[test]
    fn a_binding_key_is_read_as_pages_show_it() {
        for text in ["--__-_7-_g", "--__-_7-_g==", "++//+/7+/g==\n", "  --__-_7-_g \n"] {
            assert_eq!(key(text), Some(vec![0xfb, 0xef, 0xff, 0xfb, 0xfe, 0xfe, 0xfe]), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!([key("not base64!"), key("===="), key(" \n")], [None, None, None]);
    }
}
