//! One certificate in one run: what lies there, what is due, what comes of it.

use chrono::{DateTime, TimeDelta, Utc};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::stack::Stack;
use shipshape_core::{clock, machine, moment, signal};

use crate::acme::{AcmeError, Request};
use crate::certificate::Facts;
use crate::cli::Context;
use crate::deploy::{self, Server, Tried};
use crate::due::{self, Due, Known, Reason, Rule};
use crate::files::{Installed, Lineage, Version};
use crate::key::Key;
use crate::ledger::{Deploy, Record, Wish};
use crate::report::{Action, Row};
use crate::wanted::Wanted;

use super::Mode;
use super::book::Book;
use super::error::RenewError;
use super::obtain::{self, Obtaining, Then, Trouble};
use super::sessions::Sessions;

/// After how long a wish is asked for again that could not be told this time.
const ASK_AGAIN: TimeDelta = TimeDelta::hours(6);

/// One certificate's turn.
pub(crate) struct Visit<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) context: &'a Context<'a>,
    pub(crate) stack: Option<&'a dyn Stack>,
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
        let mut record = self.book.record(&self.wanted.name);
        if let Some(installed) = &installed {
            row.facts(&installed.chain.facts, self.now());
        }
        if !self.wanted.renew {
            self.watch(row);
            return Ok(());
        }
        if self.mode == Mode::Rehearsal {
            return self.rehearse(row, &lineage);
        }
        self.look_after(row, &lineage, installed.as_ref(), &mut record)
    }

    /// One that is renewed elsewhere: what is served is looked at, nothing is touched.
    fn watch(&self, row: &mut Row) {
        "renewed elsewhere".clone_into(&mut row.reason);
        let served = deploy::served_at(&self.wanted.verify, &self.wanted.identifiers);
        if row.serial.is_none()
            && let Some(facts) = served.iter().find_map(|one| one.shown.as_ref().ok())
        {
            row.facts(facts, self.now());
        }
        row.served(&served);
    }

    fn look_after(
        &mut self,
        row: &mut Row,
        lineage: &Lineage,
        installed: Option<&Installed>,
        record: &mut Record,
    ) -> Result<(), Failure> {
        if let Some(installed) = installed {
            self.tell_exposure(installed);
            self.ask_for_the_wish(&installed.chain.facts, record);
            self.book.note(&self.wanted.name, record)?;
        }
        if let Some((version, facts)) = self.waiting(lineage, installed)? {
            row.facts(&facts, self.now());
            "an earlier run could not put it to use".clone_into(&mut row.reason);
            return self.put_to_use(row, lineage, Some(version), &facts, record, Action::Deployed);
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
                    Some(installed) => self.keep_in_use(row, lineage, installed, record),
                    None => Ok(()),
                }
            }
        }
    }

    fn due(&self, installed: Option<&Installed>, record: &Record) -> Due {
        let known = Known {
            facts: installed.map(|installed| &installed.chain.facts),
            is_pair: installed.is_some_and(|installed| installed.is_pair),
            names: &self.wanted.identifiers,
            is_rehearsal: self.wanted.authority.is_rehearsal(),
            directory: &self.wanted.authority.directory,
            record,
            place: place(&self.wanted.name),
        };
        due::due(&known, self.now())
    }

    /// A version that is whole and newer than what is in use: issued by a run that was killed, or rolled back.
    fn waiting(&self, lineage: &Lineage, installed: Option<&Installed>) -> Result<Option<(Version, Facts)>, Failure> {
        let Some(newest) = lineage.newest()? else { return Ok(None) };
        if installed.and_then(|installed| installed.version).is_some_and(|version| Version(version) >= newest) {
            return Ok(None);
        }
        let Some(found) = lineage.read(newest)? else { return Ok(None) };
        let facts = found.chain.facts;
        let is_of_use = found.is_pair
            && facts.not_after > self.now()
            && self.wanted.identifiers.iter().all(|name| facts.names.contains(name));
        Ok(is_of_use.then_some((newest, facts)))
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
        self.tell_single_files(lineage);
        match self.obtain(lineage, installed, record) {
            Ok((version, facts)) => {
                row.facts(&facts, self.now());
                row.next_attempt = Some(next(&facts, &Record::default(), self.wanted, self.now()));
                self.put_to_use(row, lineage, Some(version), &facts, record, Action::Renewed)
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

    /// Notes what trouble means for the runs to come.
    fn troubled(&mut self, row: &mut Row, record: &mut Record, trouble: Trouble) -> Result<(), Failure> {
        let Trouble { failure, then } = trouble;
        let now = self.now();
        match then {
            Then::Stop => return Err(failure),
            Then::Again => {}
            Then::Pending => {
                row.action = Action::Pending;
                row.reason = failure.message();
                return Ok(self.book.note(&self.wanted.name, record)?);
            }
            Then::Pause(told) => record.failed(failure.notice(), told, now),
        }
        row.next_attempt = record.failures.as_ref().map(|failures| failures.retry_at);
        self.book.note(&self.wanted.name, record)?;
        Err(failure)
    }

    /// A certificate that is not due: whether it is in use.
    fn keep_in_use(
        &mut self,
        row: &mut Row,
        lineage: &Lineage,
        installed: &Installed,
        record: &mut Record,
    ) -> Result<(), Failure> {
        let facts = &installed.chain.facts;
        match &record.deploy {
            Some(deploy) if deploy.serial == facts.serial && deploy.is_done => {
                row.deploy(record.deploy.as_ref());
                Ok(())
            }
            Some(deploy) if deploy.serial == facts.serial => {
                "an earlier run could not put it to use".clone_into(&mut row.reason);
                self.put_to_use(row, lineage, None, facts, record, Action::Deployed)
            }
            // Never seen before: adopted, or the state is lost. It may well be in use.
            Some(_) | None => {
                let served = deploy::served_at(&self.wanted.verify, &self.wanted.identifiers);
                let is_served = served.iter().all(|one| shows(one, &facts.serial));
                row.served(&served);
                if is_served {
                    record.deploy = Some(done(facts, self.now()));
                    row.deploy(record.deploy.as_ref());
                    return Ok(self.book.note(&self.wanted.name, record)?);
                }
                "it was not in use".clone_into(&mut row.reason);
                self.put_to_use(row, lineage, None, facts, record, Action::Deployed)
            }
        }
    }

    /// Puts a certificate to use: turns to its version, tries, reloads, and looks whether it is served. Where the server does
    /// not take its configuration, the old version comes back.
    fn put_to_use(
        &mut self,
        row: &mut Row,
        lineage: &Lineage,
        version: Option<Version>,
        facts: &Facts,
        record: &mut Record,
        action: Action,
    ) -> Result<(), Failure> {
        // Noted before anything is turned: whatever happens from here on, the next run looks again.
        record.deploy = Some(Deploy { is_done: false, ..done(facts, self.now()) });
        self.book.note(&self.wanted.name, record)?;
        let result = self.turn_and_reload(row, lineage, version, facts);
        let deploy = match &result {
            Ok(()) => done(facts, clock::now()),
            Err(failure) => Deploy {
                is_done: false,
                rolled_back_from: version.filter(|_| failure.code() == "deploy.rolled_back").map(|version| version.0),
                why: Some(failure.notice()),
                ..done(facts, clock::now())
            },
        };
        record.deploy = Some(deploy);
        self.book.note(&self.wanted.name, record)?;
        row.deploy(record.deploy.as_ref());
        result?;
        row.action = action;
        // Old versions that cannot be removed are no reason to call this a failure.
        if let Err(error) = lineage.tidy() {
            self.context.run.warn(Failure::from(error).notice());
        }
        Ok(())
    }

    fn turn_and_reload(
        &self,
        row: &mut Row,
        lineage: &Lineage,
        version: Option<Version>,
        facts: &Facts,
    ) -> Result<(), Failure> {
        let server = Server { use_by: &self.wanted.use_by, stack: self.stack };
        let before = match version {
            Some(version) => lineage.switch(version)?,
            None => None,
        };
        match server.test()? {
            Tried::Good => {}
            Tried::NotRunning => return self.tell_not_running(),
            Tried::Bad(words) => {
                let Some(before) = before else { return Err(RenewError::Broken { words }.into()) };
                lineage.switch(before)?;
                return Err(match server.test()? {
                    Tried::Bad(words) => RenewError::Broken { words },
                    Tried::Good | Tried::NotRunning => RenewError::RolledBack { words },
                }
                .into());
            }
        }
        server.reload()?;
        let (addresses, names) = (&self.wanted.verify, &self.wanted.identifiers);
        let found = deploy::wait_until_served(addresses, names, &facts.serial, deploy::PATIENCE);
        row.served(&found);
        let other: Vec<String> = found.iter().filter(|one| !shows(one, &facts.serial)).map(seen).collect();
        if other.is_empty() { Ok(()) } else { Err(RenewError::NotServed { seen: other.join("; ") }.into()) }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends a step that may fail")]
    fn tell_not_running(&self) -> Result<(), Failure> {
        let service = self.wanted.use_by.service.as_deref().unwrap_or("the server");
        self.context.run.warn(Notice::new(
            "deploy.not_running",
            format!("{service} does not run; it will read the new certificate of {} when it starts", self.wanted.name),
            format!("docker compose up -d {service}"),
        ));
        Ok(())
    }

    /// All of it with the authority's staging, and nothing is installed.
    fn rehearse(&mut self, row: &mut Row, lineage: &Lineage) -> Result<(), Failure> {
        let wanted = self.wanted;
        lineage.try_writing()?;
        let Some(staging) = wanted.authority.rehearsal() else {
            let session = self.sessions.with(&wanted.authority)?;
            obtain::look(wanted, session, self.context).map_err(|trouble| trouble.failure)?;
            "looked at; this authority has no staging to rehearse with".clone_into(&mut row.reason);
            return Ok(());
        };
        let host = shipshape_core::http::host_of(&staging.directory).unwrap_or_default();
        let session = self.sessions.with(&staging)?;
        obtain::look(wanted, session, self.context).map_err(|trouble| trouble.failure)?;
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
        let Ok(session) = self.sessions.with(&self.wanted.authority) else { return };
        let known = record.wish.as_ref().filter(|wish| wish.of == id);
        let told = session.window(id);
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
    fn tell_single_files(&self, lineage: &Lineage) {
        let (Some(stack), Some(service)) = (self.stack, &self.wanted.use_by.service) else { return };
        let Ok(found) = deploy::pinned(stack, service, lineage, self.wanted.install) else { return };
        for notice in found {
            self.context.run.warn(notice);
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.context.run.started()
    }
}

/// The place of a certificate, by its owner's wishes.
pub(crate) fn lineage(wanted: &Wanted) -> Lineage {
    Lineage::new(&wanted.folder, &wanted.name, wanted.install, wanted.owner.as_deref(), wanted.group.as_deref())
}

/// An empty row.
pub(crate) fn row(wanted: &Wanted) -> Row {
    Row::new(&wanted.name, wanted.identifiers.iter().map(ToString::to_string).collect())
}

/// When a certificate is to be renewed, or tried again.
pub(crate) fn next(facts: &Facts, record: &Record, wanted: &Wanted, now: DateTime<Utc>) -> DateTime<Utc> {
    let known = Known {
        facts: Some(facts),
        is_pair: true,
        names: &wanted.identifiers,
        is_rehearsal: wanted.authority.is_rehearsal(),
        directory: &wanted.authority.directory,
        record,
        place: place(&wanted.name),
    };
    match due::due(&known, now) {
        Due::Later { at, .. } => at,
        Due::Paused { until, .. } => until,
        Due::Now(_) => now,
    }
}

/// The moment of renewal, and by which rule.
pub(crate) fn planned(at: DateTime<Utc>, why: Rule) -> String {
    match why {
        Rule::Wish => format!("renewed at {}, as the authority wishes", moment::told(at)),
        Rule::Share => format!("renewed at {}", moment::told(at)),
    }
}

/// This machine's place among all for one certificate, always the same, from 0 to 1: not everybody renews at one moment.
pub(crate) fn place(name: &str) -> f64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{}\n{name}", machine::host_name()));
    f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX)
}

fn random_place() -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "a die with 65536 faces")]
    let face = machine::random() as u16;
    f64::from(face) / f64::from(u16::MAX)
}

fn done(facts: &Facts, now: DateTime<Utc>) -> Deploy {
    Deploy { serial: facts.serial.clone(), is_done: true, at: now, rolled_back_from: None, why: None }
}

fn shows(one: &deploy::Served, serial: &str) -> bool {
    one.shown.as_ref().is_ok_and(|facts| facts.serial == serial)
}

fn seen(one: &deploy::Served) -> String {
    match &one.shown {
        Ok(facts) => format!("{} shows {} for {}", one.address, facts.serial, one.name),
        Err(why) => format!("{} for {}: {why}", one.address, one.name),
    }
}
