//! Putting a certificate to use, and seeing that it stays so.
//!
//! ```text
//! noted as not in use, with the version before -> turned -> tried -> reloaded -> seen to be served -> noted as in use
//!                                                   └ refused: the version before comes back, and is tried too
//! ```
//! Killed between any two, the next run finds it noted as not in use, and begins again with what to come back to in hand.

use shipshape_core::clock;
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::stack::Stack;

use crate::certificate::Facts;
use crate::cli::Context;
use crate::deploy::{self, Server, Tried};
use crate::files::{Lineage, Version};
use crate::ledger::{Deploy, Record};
use crate::report::{Action, Row};
use crate::wanted::Wanted;

use super::book::Book;
use super::error::RenewError;

/// One certificate whose use is looked after.
pub(super) struct Using<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) context: &'a Context<'a>,
    pub(super) stack: Option<&'a dyn Stack>,
    pub(super) lineage: &'a Lineage,
    pub(super) book: &'a mut Book,
    pub(super) record: &'a mut Record,
    pub(super) row: &'a mut Row,
}

/// What came of trying to put it to use.
enum Use {
    /// It is in use, as far as anybody looks.
    Done,
    /// The server does not run, and will read it when it starts.
    NotYet,
}

impl Using<'_> {
    /// One that is not due: whether it is in use still. That is looked at in every run, where there is a place to look at.
    pub(super) fn keep(mut self, facts: &Facts) -> Result<(), Failure> {
        let known = self.record.deploy.as_ref().filter(|deploy| deploy.serial == facts.serial);
        let failed_before = known.is_some_and(|deploy| !deploy.is_done);
        if failed_before {
            "an earlier run could not put it to use".clone_into(&mut self.row.reason);
            return self.put(None, facts, Action::Deployed);
        }
        let served = deploy::served_at(&self.wanted.verify, &self.wanted.identifiers);
        self.row.served(&served);
        if served.iter().all(|one| shows(one, &facts.serial)) {
            // Never seen before (adopted, or the state is lost), and in use all the same.
            let done = known.cloned().unwrap_or_else(|| done(facts));
            self.record.deploy = Some(done);
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
        self.tell_nobody();
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

    fn turn(&mut self, version: Option<Version>, before: Option<Version>, facts: &Facts) -> Result<Use, Failure> {
        let server = Server { use_by: &self.wanted.use_by, stack: self.stack };
        if let Some(version) = version {
            self.lineage.switch(version)?;
        }
        match server.test()? {
            Tried::Good => {}
            Tried::NotRunning => {
                self.tell_not_running();
                return Ok(Use::NotYet);
            }
            Tried::Bad(words) => return Err(self.come_back(&server, before, words)?.into()),
        }
        server.reload()?;
        let (addresses, names) = (&self.wanted.verify, &self.wanted.identifiers);
        let found = deploy::wait_until_served(addresses, names, &facts.serial, deploy::PATIENCE);
        self.row.served(&found);
        let other: Vec<String> = found.iter().filter(|one| !shows(one, &facts.serial)).map(seen).collect();
        if other.is_empty() { Ok(Use::Done) } else { Err(RenewError::NotServed { seen: other.join("; ") }.into()) }
    }

    /// The server refuses its configuration: the version before is put back and tried too, so that it is known whose fault it is.
    fn come_back(&self, server: &Server<'_>, before: Option<Version>, words: String) -> Result<RenewError, Failure> {
        let Some(before) = before else { return Ok(RenewError::Refused { words }) };
        self.lineage.switch(before)?;
        Ok(match server.test()? {
            Tried::Bad(words) => RenewError::Broken { words },
            Tried::Good | Tried::NotRunning => RenewError::RolledBack { words },
        })
    }

    /// Where nothing is told to take it, and nothing is looked at, nobody knows whether it is in use.
    fn is_known(&self) -> bool {
        let use_by = &self.wanted.use_by;
        use_by.service.is_some() || !use_by.command.is_empty() || !self.wanted.verify.is_empty()
    }

    fn tell_use(&mut self) {
        let known = self.record.deploy.as_ref().filter(|_| self.is_known());
        self.row.deploy(known);
    }

    fn tell_nobody(&self) {
        if !self.wanted.is_use_stated {
            self.context.run.warn(Notice::new(
                "deploy.nobody",
                format!("nothing is told to take the new certificate of {}, and nobody looks whether it is served", self.wanted.name),
                "say who serves it: service = \"NAME\" or command = [\"PROGRAM\", …], and where: verify = [\"127.0.0.1:443\"], or [] for nowhere",
            ));
        }
    }

    fn tell_not_running(&self) {
        let service = self.wanted.use_by.service.as_deref().unwrap_or("the server");
        self.context.run.warn(Notice::new(
            "deploy.not_running",
            format!("{service} does not run; it will read the certificate of {} when it starts", self.wanted.name),
            format!("docker compose up -d {service}"),
        ));
    }
}

fn done(facts: &Facts) -> Deploy {
    let serial = facts.serial.clone();
    Deploy { serial, is_done: true, at: clock::now(), before: None, rolled_back_from: None, why: None }
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
