//! Obtaining a certificate: look, order, prove, finalize, check, and lay it beside the present one.
//!
//! ```text
//! key written -> order noted -> newOrder -> its URL noted -> proofs shown, looked at, taken away -> finalize -> chain
//!             -> checked -> version written -> noted
//! ```
//! Killed between any two of these, the next run goes on where this one was: the key and the URL are on disk before the
//! authority counts anything. Only between `newOrder` and the note of its URL an order can be lost, which costs one order.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shipshape_core::clock;
use shipshape_core::config::PreflightKind;
use shipshape_core::error::{Explain, Failure};
use shipshape_core::report::Notice;

use crate::acme::{About, AcmeError, Order, Request, Session, Stage};
use crate::certificate::{Chain, Facts};
use crate::challenge;
use crate::cli::Context;
use crate::files::{Lineage, Version};
use crate::key::Key;
use crate::ledger::{Issued, PendingOrder, Record};
use crate::preflight::{self, Finding};
use crate::wanted::Wanted;

use super::book::Book;
use super::error::RenewError;

/// How long the authority may take to look at proofs, and to issue. What takes longer is the next run's.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why there is no new certificate.
pub(super) struct Trouble {
    /// What went wrong.
    pub(super) failure: Failure,
    /// What it means for the runs to come.
    pub(super) then: Then,
}

/// What trouble means for the runs to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next run may try again: the authority was not asked, or not for anything that it counts.
    Again,
    /// It counts as an attempt: pauses grow. The authority may have said when to come back.
    Pause(Option<DateTime<Utc>>),
    /// The authority is still at it; it may have said until when.
    Pending(Option<DateTime<Utc>>),
    /// The run was asked to stop.
    Stop,
}

impl<E: Explain> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self { failure: error.into(), then: Then::Again }
    }
}

impl Trouble {
    /// What the authority did.
    pub(super) fn acme(error: AcmeError) -> Self {
        let then = match &error {
            AcmeError::Pending { .. } => Then::Pending(error.retry_at()),
            AcmeError::Interrupted(_) => Then::Stop,
            // A mistake in the configuration, or in our own files: nothing was asked for.
            AcmeError::Binding { .. }
            | AcmeError::BindingKey { .. }
            | AcmeError::Profile { .. }
            | AcmeError::NoChallenge { .. }
            | AcmeError::Account { .. }
            | AcmeError::Secret(_)
            | AcmeError::File(_) => Then::Again,
            AcmeError::Http(_)
            | AcmeError::Later { .. }
            | AcmeError::Names { .. }
            | AcmeError::AccountGone { .. }
            | AcmeError::Terms { .. }
            | AcmeError::Refused { .. }
            | AcmeError::Protocol { .. } => Then::Pause(error.retry_at()),
        };
        Self { failure: error.into(), then }
    }

    fn failed(failure: impl Into<Failure>) -> Self {
        Self { failure: failure.into(), then: Then::Again }
    }
}

/// One certificate that is being obtained.
pub(super) struct Obtaining<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) context: &'a Context<'a>,
    pub(super) lineage: &'a Lineage,
    /// What lies there now.
    pub(super) present: Option<&'a Facts>,
    pub(super) record: &'a mut Record,
    pub(super) book: &'a mut Book,
}

impl Obtaining<'_> {
    /// All of it. The new version is durable then, and not in use.
    pub(super) fn obtain(mut self, session: &Session) -> Result<(Version, Facts), Trouble> {
        let (mut order, key) = match self.resumed(session)? {
            Some(resumed) => resumed,
            None => self.ordered(session)?,
        };
        let chain = self.issue(&mut order, &key)?;
        // The time of now, not of the run: a long one may have waited for hooks and for others.
        if let Err(error) = chain.check(&key, &self.wanted.identifiers, clock::now()) {
            // It was issued, and would be again.
            self.record.order = None;
            return Err(Trouble { failure: error.into(), then: Then::Pause(None) });
        }
        let staged = self.lineage.stage(&key, &chain)?;
        staged.notice.into_iter().for_each(|notice| self.context.run.warn(notice));
        self.note_issued(session, &chain.facts)?;
        Ok((staged.version, chain.facts))
    }

    /// The order of an earlier run, if it is for the same and can still come to something.
    fn resumed<'s>(&mut self, session: &'s Session) -> Result<Option<(Order<'s>, Key)>, Trouble> {
        let Some(pending) = self.record.order.clone().filter(|pending| self.is_for_the_same(pending, session)) else {
            return Ok(None);
        };
        let (Some(url), Some(key)) = (pending.url, read_key(&pending.key_file)) else { return Ok(None) };
        match session.resume(&url) {
            Ok(mut order) if order.stage() == Stage::Invalid => {
                // The authority has looked, and it counts: the next one is made after a pause.
                self.record.order = None;
                Err(Trouble::acme(order.failure()))
            }
            Ok(order) => Ok(Some((order, key))),
            Err(error) if is_gone(&error) => Ok(None),
            // Whatever else is wrong, the order may stand: a second one is not made because of it.
            Err(error) => Err(Trouble::acme(error)),
        }
    }

    fn is_for_the_same(&self, pending: &PendingOrder, session: &Session) -> bool {
        let wanted = self.wanted;
        pending.ca == wanted.authority.directory
            && pending.account == session.account()
            && pending.names == wanted.identifiers
            && pending.profile == self.profile(session)
            && pending.key == wanted.key
    }

    /// The profile that is stated, else the one that the present certificate came with, for as long as the authority has it.
    fn profile(&self, session: &Session) -> Option<String> {
        let issued = self.record.issued.as_ref().filter(|issued| issued.ca == self.wanted.authority.directory);
        let kept = issued.and_then(|issued| issued.profile.clone());
        let has = |kept: &String| session.about().profiles.iter().any(|(name, _)| name == kept);
        self.wanted.profile.clone().or_else(|| kept.filter(has))
    }

    /// A new order, after a look at what would make it fail.
    fn ordered<'s>(&mut self, session: &'s Session) -> Result<(Order<'s>, Key), Trouble> {
        look(self.wanted, session.about(), Some(&session.account()), self.context)?;
        self.lineage.try_writing()?;
        let wanted = self.wanted;
        let key = Key::make(wanted.key)?;
        let key_file = self.book.keep_key(&wanted.name, &key).map_err(Trouble::failed)?;
        self.record.order = Some(PendingOrder {
            url: None,
            ca: wanted.authority.directory.clone(),
            account: session.account(),
            names: wanted.identifiers.clone(),
            profile: self.profile(session),
            key: wanted.key,
            key_file,
            at: self.context.run.started(),
            ask_again: None,
        });
        self.note()?;
        let order = self.ask(session)?;
        let account = order.account().to_owned();
        if let Some(pending) = &mut self.record.order {
            pending.url = Some(order.url().to_owned());
            pending.account = account;
        }
        self.note()?;
        Ok((order, key))
    }

    /// Asks for it; once more under a new account where the authority has forgotten ours.
    fn ask<'s>(&self, session: &'s Session) -> Result<Order<'s>, Trouble> {
        let profile = self.profile(session);
        let request =
            Request { names: &self.wanted.identifiers, profile: profile.as_deref(), replaces: self.replaces(session) };
        let forgotten = match session.order(&request) {
            Err(AcmeError::AccountGone { host }) => host,
            other => return other.map_err(Trouble::acme),
        };
        session.renew_account().map_err(Trouble::acme)?;
        self.context.run.warn(Notice::new(
            "acme.account_gone",
            format!("{forgotten} had forgotten our account; a new one was made"),
            "nothing is to be done",
        ));
        // Another account's certificate cannot be replaced (RFC 9773, 5).
        session.order(&Request { replaces: None, ..request }).map_err(Trouble::acme)
    }

    /// What the new one replaces: only what this very account has ordered may be named (RFC 9773, 5).
    fn replaces(&self, session: &Session) -> Option<&str> {
        let present = self.present.filter(|facts| !facts.is_self_signed)?;
        let issued = self.record.issued.as_ref()?;
        let is_ours = issued.serial == present.serial && issued.account == session.account();
        present.renewal_id.as_deref().filter(|_| is_ours)
    }

    /// From an order to its chain.
    fn issue(&self, order: &mut Order<'_>, key: &Key) -> Result<Chain, Trouble> {
        issue(self.wanted, order, key, self.context)
    }

    fn note_issued(&mut self, session: &Session, facts: &Facts) -> Result<(), Trouble> {
        let issued = Issued {
            serial: facts.serial.clone(),
            ca: self.wanted.authority.directory.clone(),
            account: session.account(),
            profile: self.profile(session),
            names: self.wanted.identifiers.clone(),
            at: self.context.run.started(),
        };
        self.record.was_issued(issued, self.wanted.folder.clone());
        self.note()
    }

    fn note(&mut self) -> Result<(), Trouble> {
        Ok(self.book.note(&self.wanted.name, self.record)?)
    }
}

/// Looks at what would make an order fail. What is found is told, and no order is made, unless the owner says otherwise.
pub(super) fn look(
    wanted: &Wanted,
    about: &About,
    account: Option<&str>,
    context: &Context<'_>,
) -> Result<(), Trouble> {
    if wanted.preflight == PreflightKind::Off {
        return Ok(());
    }
    let all = preflight::look(wanted, about, account)?;
    let findings: Vec<Finding> = all.into_iter().filter(|finding| finding.is_bad).collect();
    if findings.is_empty() {
        return Ok(());
    }
    if wanted.preflight == PreflightKind::Strict {
        return Err(RenewError::Preflight { findings }.into());
    }
    for finding in findings {
        let name = finding.name.as_deref().unwrap_or(&wanted.name);
        context.run.warn(Notice::new(finding.code, format!("{name}: {}", finding.message), finding.hint));
    }
    Ok(())
}

/// From an order, at whatever stage it is, to its chain.
pub(super) fn issue(
    wanted: &Wanted,
    order: &mut Order<'_>,
    key: &Key,
    context: &Context<'_>,
) -> Result<Chain, Trouble> {
    if order.stage() == Stage::Pending {
        prove(wanted, order, context)?;
    }
    if order.stage() == Stage::Ready {
        order.finalize(&key.request(&wanted.identifiers)?).map_err(Trouble::acme)?;
    }
    let chain = order.certificate(wanted.chain.as_deref(), PATIENCE).map_err(Trouble::acme)?;
    if let Some(stated) = wanted.chain.as_deref().filter(|stated| !chain.is_by(stated)) {
        context.run.warn(Notice::new(
            "acme.chain",
            format!("{} offers no chain by `{stated}`; its usual one was taken", wanted.authority.directory),
            "see whose name stands in the chains that it offers, or leave `chain` out",
        ));
    }
    Ok(chain)
}

/// Shows what has to be shown, lets the authority look, and takes it away whatever came of it.
fn prove(wanted: &Wanted, order: &mut Order<'_>, context: &Context<'_>) -> Result<(), Trouble> {
    let proofs = order.proofs(&wanted.method).map_err(Trouble::acme)?;
    let shown = if proofs.is_empty() { None } else { Some(challenge::show(wanted, &proofs)?) };
    let proved = order.prove(&proofs, PATIENCE).map_err(Trouble::acme);
    if let Some(Err(error)) = shown.map(challenge::Shown::end) {
        context.run.warn(Failure::from(error).notice());
    }
    proved
}

/// Whether an order, or the account that made it, is no more at the authority (RFC 8555, 7.1.6 and 7.3.1).
fn is_gone(error: &AcmeError) -> bool {
    match error {
        AcmeError::AccountGone { .. } => true,
        AcmeError::Refused { kind, .. } => ["malformed", "unauthorized", "404"].iter().any(|gone| kind.ends_with(gone)),
        _ => false,
    }
}

/// An order whose certificate was written, and whose end was not noted before the run was killed: it is noted now.
pub(super) fn settle(wanted: &Wanted, lineage: &Lineage, record: &mut Record) -> Result<bool, Failure> {
    let Some(pending) = &record.order else { return Ok(false) };
    let (Some(key), Some(newest)) = (read_key(&pending.key_file), lineage.newest()?) else { return Ok(false) };
    let Some(found) = lineage.read(newest)?.filter(|found| found.chain.facts.public_key == key.public()) else {
        return Ok(false);
    };
    let Some(done) = record.order.take() else { return Ok(false) };
    let PendingOrder { ca, account, profile, names, at, .. } = done;
    let issued = Issued { serial: found.chain.facts.serial, ca, account, profile, names, at };
    record.was_issued(issued, wanted.folder.clone());
    Ok(true)
}

/// The key of an order under way; none where it is lost, which costs one order.
fn read_key(place: &std::path::Path) -> Option<Key> {
    let pem = zeroize::Zeroizing::new(std::fs::read(place).ok()?);
    Key::read(&pem, place).ok()
}
