//! Putting a certificate to use, and seeing that it stays so.
//!
//! ```text
//! noted as not in use, with the version before -> turned -> tried -> reloaded -> seen to be served -> noted as in use
//!                                                   └ refused: the version before comes back, and is tried too
//! ```
//! Killed between any two, the next run finds it noted as not in use, and begins again with what to come back to in hand.

use std::net::SocketAddr;

use shipshape_core::clock;
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::stack::StackError;

use crate::certificate::Facts;
use crate::cli::Context;
use crate::deploy::{self, Application, DeployError, Doubt, Server, Takers, Tried};
use crate::files::{Lineage, Version};
use crate::ledger::{Deploy, Record, Taken};
use crate::report::{Action, Row};
use crate::wanted::{self, Wanted};

use super::book::Book;
use super::error::RenewError;

/// One certificate whose use is looked after.
pub(super) struct Using<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) context: &'a Context<'a>,
    pub(super) application: &'a Application,
    pub(super) lineage: &'a Lineage,
    pub(super) book: &'a mut Book,
    pub(super) record: &'a mut Record,
    pub(super) row: &'a mut Row,
}

/// What came of trying to put it to use.
enum Use {
    /// It is in use, as far as anybody looks.
    Done,
    /// The server does not run, and will read it when it starts; or it cannot be told now.
    NotYet,
}

impl Using<'_> {
    /// One that is not due: whether it is in use still. That is looked at in every run, where there is a place to look at.
    pub(super) fn keep(mut self, facts: &Facts) -> Result<(), Failure> {
        let known = self.record.deploy.clone().filter(|deploy| deploy.serial == facts.serial);
        if known.as_ref().is_some_and(|deploy| !deploy.is_done) {
            "an earlier run could not put it to use".clone_into(&mut self.row.reason);
            return self.put(None, facts, Action::Deployed);
        }
        if !self.is_settled()? {
            "others are there to take it now".clone_into(&mut self.row.reason);
            return self.put(None, facts, Action::Deployed);
        }
        let addresses = self.look_at();
        let served = deploy::served_at(&addresses, &self.wanted.identifiers);
        self.row.served(&served);
        if served.iter().all(|one| shows(one, &facts.serial)) {
            // Never seen before (adopted, or the state is lost), and in use all the same.
            self.record.deploy = Some(known.unwrap_or_else(|| done(facts)));
            self.tell_use();
            return Ok(self.book.note(&self.wanted.name, self.record)?);
        }
        "another one was served".clone_into(&mut self.row.reason);
        self.put(None, facts, Action::Deployed)
    }

    /// Puts it to use: turns to its version where one is given, tries, reloads, and looks whether it is served.
    pub(super) fn put(mut self, version: Option<Version>, facts: &Facts, action: Action) -> Result<(), Failure> {
        let before = self.before(version, facts)?;
        // Noted before anything is turned: whatever happens from here on, the next run looks again.
        let begun = Deploy { is_done: false, before: before.map(|before| before.0), ..done(facts) };
        self.record.deploy = Some(begun.clone());
        self.book.note(&self.wanted.name, self.record)?;
        let result = self.turn(version, before, facts);
        self.record.deploy = Some(match &result {
            Ok(Use::Done) => done(facts),
            Ok(Use::NotYet) => Deploy { at: clock::now(), ..begun },
            Err(failure) => Deploy {
                at: clock::now(),
                rolled_back_from: version.filter(|_| failure.code() == "deploy.rolled_back").map(|version| version.0),
                why: Some(failure.notice()),
                ..begun
            },
        });
        self.book.note(&self.wanted.name, self.record)?;
        self.tell_use();
        if let Err(failure) = result {
            // What lies there now may be the one before.
            if let Ok(Some(installed)) = self.lineage.installed() {
                self.row.facts(&installed.chain.facts, self.context.run.started());
            }
            return Err(failure);
        }
        self.row.action = action;
        // Old versions that cannot be removed are no reason to call this a failure.
        if let Err(error) = self.lineage.tidy() {
            self.context.run.warn(Failure::from(error).notice());
        }
        Ok(())
    }

    /// The version to come back to: the one in use now, or what a run noted that was killed after it had turned.
    fn before(&self, version: Option<Version>, facts: &Facts) -> Result<Option<Version>, Failure> {
        let noted = self.record.deploy.as_ref().filter(|deploy| deploy.serial == facts.serial);
        let present = match version {
            Some(version) => {
                self.lineage.installed()?.and_then(|one| one.version).filter(|now| Version(*now) != version)
            }
            None => None,
        };
        Ok(present.or_else(|| noted.and_then(|deploy| deploy.before)).map(Version))
    }

    /// Where it is looked at in every run: as it is stated, else where it was seen when it was last put to use. Of a service
    /// that is stated and of which nothing is remembered, its ports are asked for once.
    fn look_at(&mut self) -> Vec<SocketAddr> {
        if let Some(stated) = &self.wanted.verify {
            return stated.clone();
        }
        if self.wanted.use_by.service.is_some() && known_places(self.wanted, self.record).is_none() {
            let Ok(takers) = self.takers() else { return vec![wanted::usual()] };
            self.record.taken = Some(Taken { services: takers.names(), at: takers.look_at(&[]), ..Taken::default() });
        }
        known_places(self.wanted, self.record).unwrap_or_default()
    }

    /// Whether those who take it are known as well as they were. Where its owner was asked to say more, it is looked again
    /// whether that is so still, and if it is, asked again: nothing is over because nobody looks.
    fn is_settled(&mut self) -> Result<bool, Failure> {
        let known = self.record.taken.clone().filter(|taken| taken.is_doubtful);
        let Some(known) = known else { return Ok(true) };
        let takers = self.takers()?;
        if takers.unread.is_some() || takers.names() != known.services {
            return Ok(false);
        }
        let doubts = takers.doubts(self.wanted);
        self.record.taken = Some(Taken { is_doubtful: !doubts.is_empty(), ..known });
        self.tell(doubts);
        Ok(true)
    }

    fn takers(&self) -> Result<Takers, DeployError> {
        Takers::of(self.wanted, &self.lineage.live(), self.application)
    }

    fn turn(&mut self, version: Option<Version>, before: Option<Version>, facts: &Facts) -> Result<Use, Failure> {
        if let Some(version) = version {
            self.lineage.switch(version)?;
        }
        let takers = self.takers()?;
        let known = self.record.taken.clone().unwrap_or_default();
        if let Some(why) = takers.out_of_reach(&known.services) {
            return self.out_of_reach(&known.services, &why, facts);
        }
        let (names, doubts) = (takers.names(), takers.doubts(self.wanted));
        let (is_found, is_doubtful) = (takers.is_found, !doubts.is_empty());
        self.record.taken = Some(Taken { services: names.clone(), at: takers.look_at(&[]), is_found, is_doubtful });
        self.row.services(&names, takers.is_found);
        let stack = if names.is_empty() { None } else { Some(self.application.stack().map_err(DeployError::from)?) };
        let server = Server { use_by: &self.wanted.use_by, takers: &takers.services, stack };
        let idle = match server.test() {
            Err(DeployError::Stack(away @ (StackError::NoAnswer { .. } | StackError::NoManager { .. })))
                if takers.is_found =>
            {
                return self.out_of_reach(&names, &away.to_string(), facts);
            }
            other => match other? {
                Tried::Good { idle } => idle,
                Tried::NotRunning => {
                    self.tell_not_running(&names);
                    return Ok(Use::NotYet);
                }
                Tried::Bad(words) => return Err(self.come_back(&server, before, words)?.into()),
            },
        };
        server.reload()?;
        self.tell(doubts);
        let mut addresses = takers.look_at(&idle);
        if takers.is_found {
            addresses.extend(self.unsaid(&addresses, &names, &known));
        }
        self.look(&addresses, takers.is_found, facts)
    }

    /// Where it may be served too, though nothing says so: where servers are, of services that publish no port for it (a proxy
    /// may pass it on); where services were reached that took it before and are not found any more. Of these, those that show a
    /// certificate for its names.
    fn unsaid(&self, said: &[SocketAddr], services: &[String], known: &Taken) -> Vec<SocketAddr> {
        let is_lost = known.services.iter().any(|service| !services.contains(service));
        let mut candidates: Vec<SocketAddr> = if is_lost { known.at.clone() } else { Vec::new() };
        candidates.extend((said.is_empty() && !services.is_empty()).then(wanted::usual));
        candidates.retain(|one| !said.contains(one));
        candidates.dedup();
        let seen = deploy::served_at(&candidates, &self.wanted.identifiers);
        let others = deploy::of_others(&seen);
        let shows = |at: &SocketAddr| seen.iter().any(|one| one.address == *at && one.shown.is_ok());
        candidates.retain(|at| shows(at) && !others.contains(at));
        candidates
    }

    /// Looks until it is served, at what is stated or else at these addresses.
    fn look(&mut self, addresses: &[SocketAddr], is_found: bool, facts: &Facts) -> Result<Use, Failure> {
        let stated = self.wanted.verify.as_deref();
        let names = &self.wanted.identifiers;
        let mut seen = deploy::wait_until_served(stated.unwrap_or(addresses), names, &facts.serial, deploy::PATIENCE);
        if stated.is_none() && is_found {
            // Nobody has said that it is served there: beside one that shows it, those that show other names alone have nothing
            // to do with it.
            let others = deploy::of_others(&seen);
            let is_shown = seen.iter().any(|one| shows(one, &facts.serial));
            if !is_shown && !others.is_empty() && seen.iter().all(|one| others.contains(&one.address)) {
                self.row.served(&seen);
                for address in &others {
                    self.tell_others(address);
                }
                return Ok(Use::NotYet);
            }
            seen.retain(|one| !is_shown || !others.contains(&one.address));
        }
        if let Some(taken) = self.record.taken.as_mut().filter(|_| stated.is_none()) {
            taken.at = addresses.iter().copied().filter(|at| seen.iter().any(|one| one.address == *at)).collect();
        }
        self.row.served(&seen);
        let other: Vec<String> = seen.iter().filter(|one| !shows(one, &facts.serial)).map(told).collect();
        if other.is_empty() { Ok(Use::Done) } else { Err(RenewError::NotServed { seen: other.join("; ") }.into()) }
    }

    /// Services that were found or may be there, and cannot be told now. Whoever has named none is not to fail by it; what is
    /// known of them stays, and the next run tries again.
    fn out_of_reach(&mut self, services: &[String], why: &str, facts: &Facts) -> Result<Use, Failure> {
        self.row.services(services, true);
        if self.wanted.verify.is_some() {
            return self.look(&[], true, facts);
        }
        let name = &self.wanted.name;
        let told = match services {
            [] => format!("who takes the new certificate of {name} could not be found out: {why}"),
            known => format!("{} could not be told to take the new certificate of {name}: {why}", known.join(", ")),
        };
        let hint = "the next run tries again; docker compose ps shows whether the application can be reached; where somebody else \
                    takes it now: service = \"NAME\" or command = [\"PROGRAM\", …], where nothing has to be told: verify = []";
        self.context.run.warn(Notice::new("deploy.nobody", told, hint));
        Ok(Use::NotYet)
    }

    /// The server refuses its configuration: the version before is put back and tried too, so that it is known whose fault it is.
    fn come_back(&self, server: &Server<'_>, before: Option<Version>, words: String) -> Result<RenewError, Failure> {
        let Some(before) = before else { return Ok(RenewError::Refused { words }) };
        self.lineage.switch(before)?;
        Ok(match server.test()? {
            Tried::Bad(words) => RenewError::Broken { words },
            Tried::Good { .. } | Tried::NotRunning => RenewError::RolledBack { words },
        })
    }

    fn tell_use(&mut self) {
        let known = self.record.deploy.as_ref().filter(|_| is_use_known(self.wanted, self.record));
        self.row.deploy(known);
        if self.row.services.is_empty() {
            let (names, is_found) = services(self.wanted, self.record);
            self.row.services(&names, is_found);
        }
    }

    fn tell_not_running(&self, services: &[String]) {
        let (told, name) = (services.join(", "), &self.wanted.name);
        self.context.run.warn(Notice::new(
            "deploy.not_running",
            match services {
                [_] => format!("{told} does not run; it will read the certificate of {name} when it starts"),
                _ => format!("{told} do not run; they will read the certificate of {name} when they start"),
            },
            format!("docker compose up -d {}", services.join(" ")),
        ));
    }

    fn tell(&self, doubts: Vec<Doubt>) {
        for doubt in doubts {
            self.context.run.warn(doubt.into());
        }
    }

    fn tell_others(&self, address: &SocketAddr) {
        let name = &self.wanted.name;
        self.context.run.warn(Notice::new(
            "deploy.not_served",
            format!("{address} shows a certificate of other names where it is asked for those of {name}"),
            "if it is to be served there: does the server read live/NAME for these names? else say where it is: verify = \
             [\"ADDRESS:PORT\"], or [] for nowhere",
        ));
    }
}

/// Where nothing is told to take it, and nothing is looked at, nobody knows whether it is in use.
pub(crate) fn is_use_known(wanted: &Wanted, record: &Record) -> bool {
    let is_looked_at = wanted.verify.as_ref().is_some_and(|verify| !verify.is_empty());
    is_looked_at || !wanted.use_by.command.is_empty() || !services(wanted, record).0.is_empty()
}

/// The services that take it, as they are stated, else as they were found when it was last put to use; whether they were found.
pub(crate) fn services(wanted: &Wanted, record: &Record) -> (Vec<String>, bool) {
    match (&wanted.use_by.service, &record.taken) {
        (Some(stated), _) => (vec![stated.clone()], false),
        (None, Some(taken)) if wanted.is_open => (taken.services.clone(), true),
        (None, _) => (Vec::new(), false),
    }
}

/// Where those show it who took it when it was last put to use; none where that is not known of those who are to take it now.
pub(crate) fn known_places(wanted: &Wanted, record: &Record) -> Option<Vec<SocketAddr>> {
    let stated = &wanted.use_by.service;
    let is_theirs =
        |taken: &&Taken| stated.as_ref().is_none_or(|own| !taken.is_found && taken.services == [own.clone()]);
    record.taken.as_ref().filter(is_theirs).map(|taken| taken.at.clone())
}

fn done(facts: &Facts) -> Deploy {
    let serial = facts.serial.clone();
    Deploy { serial, is_done: true, at: clock::now(), before: None, rolled_back_from: None, why: None }
}

fn shows(one: &deploy::Served, serial: &str) -> bool {
    one.shown.as_ref().is_ok_and(|facts| facts.serial == serial)
}

fn told(one: &deploy::Served) -> String {
    match &one.shown {
        Ok(facts) => format!("{} shows {} for {}", one.address, facts.serial, one.name),
        Err(why) => format!("{} for {}: {why}", one.address, one.name),
    }
}
