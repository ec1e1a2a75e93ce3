//! One certificate in one run: what lies there, what is due, what comes of it.

use chrono::{DateTime, TimeDelta, Utc};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::{clock, machine, moment, signal};

use crate::acme::{self, AcmeError, Request};
use crate::certificate::Facts;
use crate::cli::Context;
use crate::deploy::{self, Application, Takers};
use crate::due::{self, Due, Known, Reason, Rule};
use crate::files::{Installed, Lineage, Version};
use crate::key::Key;
use crate::ledger::{Record, Wish};
use crate::report::{Action, Row};
use crate::wanted::Wanted;

use super::Mode;
use super::book::Book;
use super::error::RenewError;
use super::obtain::{self, Obtaining, Then, Trouble};
use super::sessions::Sessions;
use super::using::Using;

/// After how long a wish is asked for again that could not be told this time.
const ASK_AGAIN: TimeDelta = TimeDelta::hours(6);

/// The longest wait for an order that is believed; more was written by a clock that was wrong.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(8);

/// One certificate's turn.
pub(crate) struct Visit<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) context: &'a Context<'a>,
    pub(crate) application: &'a Application,
    pub(crate) sessions: &'a mut Sessions,
    pub(crate) book: &'a mut Book,
    pub(crate) mode: Mode,
}

impl Visit<'_> {
    /// Does what is due. Fails only when the run was asked to stop: all else is the row's to tell.
    pub(crate) fn go(mut self) -> Result<Row, Failure> {
        let mut row = row(self.wanted);
        let outcome = self.attend(&mut row);
        signal::check()?;
        if let Err(failure) = outcome {
            row.action = Action::Failed;
            row.error = Some(failure.notice());
        }
        Ok(row)
    }

    fn attend(&mut self, row: &mut Row) -> Result<(), Failure> {
        let lineage = lineage(self.wanted);
        if self.mode != Mode::Rehearsal && self.wanted.renew {
            lineage.mend()?;
        }
        let installed = lineage.installed()?;
        if let Some(damage) = lineage.damaged() {
            self.context.run.warn(damage);
        }
        let mut record = self.book.record(&self.wanted.name);
        if let Some(installed) = &installed {
            row.facts(&installed.chain.facts, self.now());
        }
        if !self.wanted.renew {
            return self.watch(row, &lineage);
        }
        if self.mode == Mode::Rehearsal {
            return self.rehearse(row, &lineage);
        }
        self.look_after(row, &lineage, installed.as_ref(), &mut record)
    }

    /// One that is renewed elsewhere: what lies there and what is served is looked at, and nothing is touched.
    fn watch(&self, row: &mut Row, lineage: &Lineage) -> Result<(), Failure> {
        "renewed elsewhere".clone_into(&mut row.reason);
        let served = deploy::served_at(self.wanted.verify.as_deref().unwrap_or_default(), &self.wanted.identifiers);
        // Of all that is seen, the one that ends first is what somebody has to know of.
        match deploy::ends_first(&served) {
            Some(facts) if row.not_after.is_none_or(|own| facts.not_after < own) => row.facts(facts, self.now()),
            None if row.serial.is_none() => {
                let place = lineage.live().display().to_string();
                let seen: Vec<String> = served.iter().filter_map(|one| one.shown.as_ref().err().cloned()).collect();
                return Err(RenewError::NotSeen { place, seen: seen.join("; ") }.into());
            }
            Some(_) | None => {}
        }
        row.served(&served);
        Ok(())
    }

    fn look_after(
        &mut self,
        row: &mut Row,
        lineage: &Lineage,
        installed: Option<&Installed>,
        record: &mut Record,
    ) -> Result<(), Failure> {
        self.is_nobody_else_s()?;
        if obtain::settle(self.wanted, lineage, record)? {
            self.book.note(&self.wanted.name, record)?;
        }
        if let Some(installed) = installed {
            self.tell_exposure(installed);
            self.ask_for_the_wish(&installed.chain.facts, record);
            self.book.note(&self.wanted.name, record)?;
        }
        if let Some((version, facts)) = self.waiting(lineage, installed, record)? {
            row.facts(&facts, self.now());
            "an earlier run could not put it to use".clone_into(&mut row.reason);
            return self.using(row, lineage, record).put(Some(version), &facts, Action::Deployed);
        }
        let due = match self.mode {
            Mode::Forced => Due::Now(Reason::Forced),
            Mode::Due | Mode::Rehearsal => self.due(installed, record),
        };
        match due {
            Due::Now(reason) => self.renew(row, lineage, installed, record, &reason),
            Due::Paused { until, reason } => {
                row.action = Action::Pending;
                row.reason = format!("{reason}; tried again at {}", moment::told(until));
                row.next_attempt = Some(until);
                row.error = record.failures.as_ref().map(|failures| failures.why.clone());
                row.deploy(record.deploy.as_ref());
                Ok(())
            }
            Due::Later { at, why } => {
                row.next_attempt = Some(at);
                row.reason = planned(at, why);
                match installed {
                    Some(installed) => self.using(row, lineage, record).keep(&installed.chain.facts),
                    None => Ok(()),
                }
            }
        }
    }

    fn waiting(
        &self,
        lineage: &Lineage,
        installed: Option<&Installed>,
        record: &Record,
    ) -> Result<Option<(Version, Facts)>, Failure> {
        // Whoever says --force wants another one.
        if self.mode == Mode::Forced { Ok(None) } else { waiting(self.wanted, lineage, installed, record, self.now()) }
    }

    /// Two applications that order for one place would order for ever, each its own names.
    fn is_nobody_else_s(&self) -> Result<(), Failure> {
        match self.book.claims(&self.wanted.folder, &self.wanted.name)? {
            Some(app) => Err(RenewError::Claimed { app, place: lineage(self.wanted).live() }.into()),
            None => Ok(()),
        }
    }

    fn due(&self, installed: Option<&Installed>, record: &Record) -> Due {
        let facts = installed.map(|installed| &installed.chain.facts);
        let is_pair = installed.is_some_and(|installed| installed.is_pair);
        due::due(&known(self.wanted, facts, is_pair, record), self.now())
    }

    fn using<'b>(&'b mut self, row: &'b mut Row, lineage: &'b Lineage, record: &'b mut Record) -> Using<'b> {
        let (wanted, context, application) = (self.wanted, self.context, self.application);
        Using { wanted, context, application, lineage, book: self.book, record, row }
    }

    /// Who will take it: found out before anything is ordered for them.
    fn takers(&self, row: &mut Row, lineage: &Lineage) -> Result<Takers, Failure> {
        let takers = Takers::of(self.wanted, &lineage.live(), self.application)?;
        row.services(&takers.names(), takers.is_found);
        Ok(takers)
    }

    fn renew(
        &mut self,
        row: &mut Row,
        lineage: &Lineage,
        installed: Option<&Installed>,
        record: &mut Record,
        reason: &Reason,
    ) -> Result<(), Failure> {
        row.reason = reason.to_string();
        if let Some(until) = self.told_to_wait(record) {
            row.action = Action::Pending;
            row.next_attempt = Some(until);
            row.error = record.failures.as_ref().map(|failures| failures.why.clone());
            return Ok(());
        }
        let takers = self.takers(row, lineage)?;
        self.tell_single_files(&takers, lineage);
        match self.obtain(lineage, installed, record) {
            Ok((version, facts)) => {
                row.facts(&facts, self.now());
                row.next_attempt = Some(next(&facts, &Record::default(), self.wanted, self.now()));
                self.using(row, lineage, record).put(Some(version), &facts, Action::Renewed)
            }
            Err(trouble) => self.troubled(row, record, trouble),
        }
    }

    fn obtain(
        &mut self,
        lineage: &Lineage,
        installed: Option<&Installed>,
        record: &mut Record,
    ) -> Result<(Version, Facts), Trouble> {
        let session = self.sessions.with(&self.wanted.authority).map_err(Trouble::acme)?;
        let present = installed.map(|installed| &installed.chain.facts);
        let obtaining =
            Obtaining { wanted: self.wanted, context: self.context, lineage, present, record, book: self.book };
        obtaining.obtain(session)
    }

    /// Until when the authority wants to hear nothing: of this order, or of any in this run.
    fn told_to_wait(&self, record: &Record) -> Option<DateTime<Utc>> {
        let now = self.now();
        let order = record.order.as_ref().and_then(|order| order.ask_again);
        let order = order.filter(|at| self.mode != Mode::Forced && *at < now + LONGEST_WAIT);
        order.max(self.sessions.limit(&self.wanted.authority)).filter(|until| now < *until)
    }

    /// Notes what trouble means for the runs to come.
    fn troubled(&mut self, row: &mut Row, record: &mut Record, trouble: Trouble) -> Result<(), Failure> {
        let Trouble { failure, then } = trouble;
        let now = self.now();
        match then {
            Then::Stop => return Err(failure),
            Then::Again => row.next_attempt = Some(now),
            Then::Pending(told) => {
                row.action = Action::Pending;
                row.reason = failure.message();
                row.next_attempt = Some(told.unwrap_or(now));
                // What failed before has not ended because the authority takes its time now.
                row.error = record.failures.as_ref().map(|failures| failures.why.clone());
                if let Some(order) = &mut record.order {
                    order.ask_again = told;
                }
                return Ok(self.book.note(&self.wanted.name, record)?);
            }
            Then::Pause(told) => {
                record.failed(failure.notice(), told, clock::now());
                row.next_attempt = record.failures.as_ref().map(|failures| failures.retry_at);
                if let Some(told) = told.filter(|_| failure.code() == "acme.later") {
                    self.sessions.limited(&self.wanted.authority, told);
                }
            }
        }
        self.book.note(&self.wanted.name, record)?;
        Err(failure)
    }

    /// All of it with the authority's staging, and nothing is installed.
    fn rehearse(&mut self, row: &mut Row, lineage: &Lineage) -> Result<(), Failure> {
        let wanted = self.wanted;
        lineage.try_writing()?;
        let takers = self.takers(row, lineage)?;
        takers.unknown_kinds(wanted).into_iter().for_each(|doubt| self.context.run.warn(doubt.into()));
        let Some(staging) = wanted.authority.rehearsal() else {
            let about = acme::about(&wanted.authority)?;
            let account = acme::known_account(&wanted.authority, self.sessions.accounts())?;
            obtain::look(wanted, &about, account.as_deref(), self.context).map_err(|trouble| trouble.failure)?;
            "looked at; this authority has no staging to rehearse with".clone_into(&mut row.reason);
            return Ok(());
        };
        let host = shipshape_core::http::host_of(&staging.directory).unwrap_or_default();
        let session = self.sessions.with(&staging)?;
        let account = session.account();
        obtain::look(wanted, session.about(), Some(&account), self.context).map_err(|trouble| trouble.failure)?;
        let request = Request { names: &wanted.identifiers, profile: wanted.profile.as_deref(), replaces: None };
        let mut order = match session.order(&request) {
            Err(AcmeError::AccountGone { .. }) => {
                session.renew_account()?;
                session.order(&request)?
            }
            other => other?,
        };
        let key = Key::make(wanted.key)?;
        let chain = obtain::issue(wanted, &mut order, &key, self.context).map_err(|trouble| trouble.failure)?;
        chain.check(&key, &wanted.identifiers, self.now())?;
        row.reason =
            format!("rehearsed with {host}: a certificate by {} was issued and not installed", chain.facts.issuer);
        Ok(())
    }

    /// Asks the authority when it wants this certificate renewed. That it cannot tell is never a reason to fail.
    fn ask_for_the_wish(&mut self, facts: &Facts, record: &mut Record) {
        let now = self.now();
        let Some(id) = facts.renewal_id.as_deref().filter(|_| due::is_to_be_asked(facts, record, now)) else { return };
        let known = record.wish.as_ref().filter(|wish| wish.of == id);
        let told = match self.sessions.with(&self.wanted.authority) {
            Ok(session) => session.window(id),
            Err(error) => {
                let ask_again = error.retry_at().map_or(now + ASK_AGAIN, |at| at.max(now + ASK_AGAIN));
                let unknown = || due::remember(None, id, None, 0.0, now);
                record.wish = Some(Wish { ask_again, ..known.cloned().unwrap_or_else(unknown) });
                return;
            }
        };
        let is_told = told.as_ref().is_some_and(|told| told.window.is_some());
        record.wish = Some(match known {
            // What it once said holds until it says something else (RFC 9773, 4.3.3).
            Some(known) if !is_told => {
                let pause = told.and_then(|told| TimeDelta::from_std(told.ask_again).ok()).unwrap_or(ASK_AGAIN);
                Wish { ask_again: now + pause, ..known.clone() }
            }
            known => due::remember(known, id, told.as_ref(), random_place(), now),
        });
    }

    fn tell_exposure(&self, installed: &Installed) {
        if installed.is_key_exposed {
            let key = lineage(self.wanted).live().join("privkey.pem");
            self.context.run.warn(Notice::new(
                "key.exposed",
                format!("the key {} can be read by others", key.display()),
                format!(
                    "chmod o= $(readlink -f {}); others may have read it: certrenew --force --name {}",
                    key.display(),
                    self.wanted.name
                ),
            ));
        }
    }

    /// Mounts that would keep the old certificate for ever: told before a certificate is ordered.
    fn tell_single_files(&self, takers: &Takers, lineage: &Lineage) {
        for service in takers.names() {
            let Ok(stack) = self.application.stack() else { return };
            let found = deploy::pinned(stack, &service, lineage, self.wanted.install);
            found.unwrap_or_default().into_iter().for_each(|notice| self.context.run.warn(notice));
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.context.run.started()
    }
}

/// A version that is whole and newer than what is in use: issued by a run that was killed, or rolled back.
pub(crate) fn waiting(
    wanted: &Wanted,
    lineage: &Lineage,
    installed: Option<&Installed>,
    record: &Record,
    now: DateTime<Utc>,
) -> Result<Option<(Version, Facts)>, Failure> {
    let Some(newest) = lineage.newest()? else { return Ok(None) };
    if installed.and_then(|installed| installed.version).is_some_and(|version| Version(version) >= newest) {
        return Ok(None);
    }
    let Some(found) = lineage.read(newest)? else { return Ok(None) };
    // One that the server refused for what its owner has changed since is not tried for ever.
    let was_refused = record.deploy.as_ref().and_then(|deploy| deploy.rolled_back_from) == Some(newest.0);
    let is_as_wanted = found.key.as_ref().and_then(crate::key::Key::kind) == Some(wanted.key);
    let facts = found.chain.facts;
    // In a place without versions of ours somebody else may have laid a newer one.
    let is_newer = installed
        .is_none_or(|one| one.version.is_some() || !one.is_pair || one.chain.facts.not_before < facts.not_before);
    let is_of_use = found.is_pair
        && is_newer
        && (!was_refused || is_as_wanted)
        && facts.not_after > now
        && wanted.identifiers.iter().all(|name| facts.names.contains(name));
    Ok(is_of_use.then_some((newest, facts)))
}

/// The place of a certificate, by its owner's wishes.
pub(crate) fn lineage(wanted: &Wanted) -> Lineage {
    Lineage::new(&wanted.folder, &wanted.name, wanted.install, wanted.owner.as_deref(), wanted.group.as_deref())
}

/// An empty row.
pub(crate) fn row(wanted: &Wanted) -> Row {
    let names = wanted.identifiers.iter().map(ToString::to_string).collect();
    Row { alert_days: wanted.alert_days, ..Row::new(&wanted.name, names) }
}

/// What there is to decide by.
pub(crate) fn known<'a>(wanted: &'a Wanted, facts: Option<&'a Facts>, is_pair: bool, record: &'a Record) -> Known<'a> {
    Known {
        facts,
        is_pair,
        names: &wanted.identifiers,
        is_rehearsal: wanted.authority.is_rehearsal(),
        directory: &wanted.authority.directory,
        record,
        place: place(&wanted.name),
    }
}

/// When a certificate is to be renewed, or tried again.
fn next(facts: &Facts, record: &Record, wanted: &Wanted, now: DateTime<Utc>) -> DateTime<Utc> {
    match due::due(&known(wanted, Some(facts), true, record), now) {
        Due::Later { at, .. } => at,
        Due::Paused { until, .. } => until,
        Due::Now(_) => now,
    }
}

/// The moment of renewal, and by which rule.
pub(crate) fn planned(at: DateTime<Utc>, why: Rule) -> String {
    match why {
        Rule::Wish => format!("to be renewed at {}, as the authority wishes", moment::told(at)),
        Rule::Share => format!("to be renewed at {}", moment::told(at)),
    }
}

/// This machine's place among all for one certificate, always the same, from 0 to 1: not everybody renews at one moment.
fn place(name: &str) -> f64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{}\n{name}", machine::host_name()));
    f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX)
}

fn random_place() -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "a die with 65536 faces")]
    let face = machine::random() as u16;
    f64::from(face) / f64::from(u16::MAX)
}
