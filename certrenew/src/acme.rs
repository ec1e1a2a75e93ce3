//! The authority: one account, orders, renewal information. Everything that goes over the wire to it is here.
//!
//! instant-acme signs and understands; what it does not tell (statuses of answers that are no JSON, `Retry-After`, other
//! chains) our own [`transport`] keeps. Nothing here waits for days: whoever is told to come back later says so in its error.

mod account;
mod directory;
mod error;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fuzz;
mod header;
mod library;
mod order;
mod pace;
mod problem;
mod register;
mod renewal;
mod transport;
mod words;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use instant_acme::{Account, CertificateIdentifier, NewOrder, RevocationReason, RevocationRequest};
use rustls::pki_types::CertificateDer;
use shipshape_core::http::host_of;

pub(crate) use error::AcmeError;
pub(crate) use order::{Order, Stage};

use crate::identifier::Identifier;
use crate::wanted::Authority;
use library::{blocking, step};
use register::Register;
use transport::Transport;

/// A conversation with one authority under one account.
pub(crate) struct Session {
    authority: Authority,
    /// The account's file.
    place: PathBuf,
    transport: Arc<Transport>,
    account: RefCell<Account>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// For what.
    pub(crate) names: &'a [Identifier],
    /// The profile, where one is wanted.
    pub(crate) profile: Option<&'a str>,
    /// The certificate that it replaces (RFC 9773, 5): its identifier.
    pub(crate) replaces: Option<&'a str>,
}

/// What the authority says about when to renew (RFC 9773, 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the answer and what it is about have one name in RFC 9773")]
pub(crate) struct Window {
    /// The window; none where it makes no sense (its end not after its beginning), or could not be had.
    pub(crate) window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// When to ask again, bounded to between a minute and a day.
    pub(crate) ask_again: Duration,
    /// A page that says why.
    pub(crate) explanation: Option<String>,
}

/// What the authority's directory says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// The names by which CAA records may allow it (RFC 8555, 7.1.1).
    pub(crate) caa_identities: Vec<String>,
    /// Its profiles with their descriptions, sorted by name.
    pub(crate) profiles: Vec<(String, String)>,
    /// Whether it offers renewal information.
    pub(crate) has_renewal_info: bool,
    /// Whether accounts have to be bound to one that exists elsewhere.
    pub(crate) needs_binding: bool,
    /// Where its terms of service stand: whoever makes an account agrees to them.
    pub(crate) terms: Option<String>,
    /// What time it is there.
    pub(crate) date: Option<DateTime<Utc>>,
    /// What time it was here when it said so.
    pub(crate) asked: Option<DateTime<Utc>>,
}

/// Asks for the directory alone: no account is needed for it.
pub(crate) fn about(authority: &Authority) -> Result<About, AcmeError> {
    Ok(Transport::open(authority)?.about().clone())
}

/// The URL of the account that `accounts` holds for this authority, if any. Nobody is asked, and nothing is made.
pub(crate) fn known_account(authority: &Authority, accounts: &Path) -> Result<Option<String>, AcmeError> {
    if !accounts.is_dir() {
        return Ok(None);
    }
    let place = account::place(accounts, &host_of(&authority.directory)?, &authority.directory)?;
    Ok(account::Stored::read(&place, &authority.directory)?.and_then(|stored| stored.url))
}

impl Session {
    /// Opens the account that `accounts` holds for this authority, or makes one: its key is written first.
    pub(crate) fn open(authority: &Authority, accounts: &Path) -> Result<Self, AcmeError> {
        let transport = Arc::new(Transport::open(authority)?);
        let place = account::place(accounts, &transport.host(), &authority.directory)?;
        let account = Register { transport: &transport, authority, place: &place }.open()?;
        Ok(Self { authority: authority.clone(), place, transport, account: RefCell::new(account) })
    }

    /// Makes a new account in the place of one that the authority does not know any more ([`AcmeError::AccountGone`]), and
    /// goes on with it. What the old one ordered is lost: an order of it cannot be resumed, nor its certificates be named
    /// as what another one replaces.
    pub(crate) fn renew_account(&self) -> Result<(), AcmeError> {
        let register = Register { transport: &self.transport, authority: &self.authority, place: &self.place };
        self.account.replace(register.open_anew()?);
        Ok(())
    }

    /// The account's URL.
    pub(crate) fn account(&self) -> String {
        self.account.borrow().id().to_owned()
    }

    /// What the directory says.
    pub(crate) fn about(&self) -> &About {
        self.transport.about()
    }

    /// When the authority wants this certificate renewed; none where it has no such service. An answer that makes no sense,
    /// or none, is a window without a wish: that is never a reason to fail.
    pub(crate) fn window(&self, renewal_id: &str) -> Option<Window> {
        renewal::window(&self.transport, renewal_id)
    }

    /// Orders a certificate. One that may not say what it replaces is asked for once more without saying it: whatever the
    /// reason for that refusal, a certificate that is not renewed is worse.
    pub(crate) fn order(&self, request: &Request<'_>) -> Result<Order<'_>, AcmeError> {
        self.check_profile(request.profile)?;
        let replaces = request.replaces.filter(|_| self.about().has_renewal_info).and_then(renewal::identifier);
        let ordered = match self.ask(request, replaces.clone()) {
            Err(refused) if replaces.is_some() && may_be_of_replacing(&refused) => self.ask(request, None),
            ordered => ordered,
        };
        ordered.map_err(|error| self.told_better(error, request))
    }

    /// An order of an earlier run.
    pub(crate) fn resume(&self, url: &str) -> Result<Order<'_>, AcmeError> {
        let account = self.account.borrow().clone();
        let inner = step(&self.transport, || blocking(account.order(url.to_owned())))?;
        Ok(Order::new(&self.transport, account, inner, &[]))
    }

    /// Revokes a certificate (DER) for a reason of RFC 5280, 5.3.1.
    pub(crate) fn revoke(&self, certificate: &[u8], reason: RevocationReason) -> Result<(), AcmeError> {
        let certificate = &CertificateDer::from(certificate);
        let request = RevocationRequest { certificate, reason: Some(reason) };
        step(&self.transport, || blocking(self.account.borrow().revoke(&request)))
    }

    /// A server without profiles passes over the wish for one, and issues something else.
    fn check_profile(&self, wanted: Option<&str>) -> Result<(), AcmeError> {
        match wanted {
            Some(wanted) if !self.about().profiles.iter().any(|(name, _)| name == wanted) => {
                Err(self.no_profile(wanted))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn no_profile(&self, wanted: &str) -> AcmeError {
        let known: Vec<&str> = self.about().profiles.iter().map(|(name, _)| name.as_str()).collect();
        AcmeError::Profile { host: self.transport.host(), profile: wanted.to_owned(), known: known.join(", ") }
    }

    fn ask(&self, request: &Request<'_>, replaces: Option<CertificateIdentifier<'_>>) -> Result<Order<'_>, AcmeError> {
        let names: Vec<instant_acme::Identifier> = request.names.iter().map(in_acme).collect();
        let mut new = NewOrder::new(&names);
        if let Some(profile) = request.profile {
            new = new.profile(profile);
        }
        if let Some(replaces) = replaces {
            new = new.replaces(replaces);
        }
        let account = self.account.borrow().clone();
        self.transport.forget();
        match step(&self.transport, || blocking(account.new_order(&new))) {
            Ok(inner) => Ok(Order::new(&self.transport, account, inner, request.names)),
            // It was made, and something in the answer displeased the library: `replaces` that does not come back, as a rule.
            Err(error) => match self.made_after_all() {
                Some(url) => self.resume(&url),
                None => Err(error),
            },
        }
    }

    fn made_after_all(&self) -> Option<String> {
        let last = self.transport.last().filter(|last| last.url == self.transport.directory().new_order)?;
        last.location
    }

    /// The names and the profile are known here alone.
    fn told_better(&self, error: AcmeError, request: &Request<'_>) -> AcmeError {
        match (&error, request.profile) {
            (AcmeError::Refused { kind, .. }, Some(profile)) if kind == "invalidProfile" => self.no_profile(profile),
            _ => problem::by_name(error, self.transport.speaker(), request.names),
        }
    }
}

/// Whether a refused order may be granted when it does not say what it replaces. Authorities differ in how they refuse it:
/// 409 `alreadyReplaced` (RFC 9773, 5), 403, 500. Where a connection broke, the order may have been made: not again then.
fn may_be_of_replacing(error: &AcmeError) -> bool {
    match error {
        AcmeError::Refused { .. } | AcmeError::Names { .. } | AcmeError::Protocol { .. } => true,
        AcmeError::Http(_)
        | AcmeError::Later { .. }
        | AcmeError::AccountGone { .. }
        | AcmeError::Binding { .. }
        | AcmeError::BindingKey { .. }
        | AcmeError::Terms { .. }
        | AcmeError::Profile { .. }
        | AcmeError::NoChallenge { .. }
        | AcmeError::Pending { .. }
        | AcmeError::Account { .. }
        | AcmeError::Secret(_)
        | AcmeError::File(_)
        | AcmeError::Interrupted(_) => false,
    }
}

/// A name as orders have it: a wildcard with its `*.` (RFC 8555, 7.1.3).
fn in_acme(name: &Identifier) -> instant_acme::Identifier {
    match name {
        Identifier::Ip(address) => instant_acme::Identifier::Ip(*address),
        Identifier::Dns { .. } => instant_acme::Identifier::Dns(name.to_string()),
    }
}

#[cfg(test)]
mod tests;
