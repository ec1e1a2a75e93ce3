//! The step of a run that takes the databases of servers.

use shipshape_core::archive::manifest::{Manifest, Payload};
use shipshape_core::archive::names;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::report::Notice;
use shipshape_core::signal;

use super::session::{Content, Session, Sum};
use crate::plan::Plan;
use crate::sources::databases::{self, Answers, Asked, Part, dump};
use crate::stack::Surroundings;
use crate::target::Target;

/// How many manifests are looked through for the last one with databases in it. More only leads back to one that nobody
/// misses.
const LOOKED_AT: usize = 20;

impl Session<'_> {
    /// Asks all servers, and passes on what is worth a warning.
    pub(super) fn ask_servers<'s>(
        &self,
        plan: &mut Plan,
        surroundings: &'s Surroundings,
    ) -> Result<Answers<'s>, Failure> {
        let mut answers = databases::ask(surroundings, plan, &self.before)?;
        for notice in std::mem::take(&mut answers.notices) {
            self.run.warn(notice);
        }
        Ok(answers)
    }

    /// Dumps what is wanted of every server. The first that fails ends the run: half a snapshot is none.
    pub(super) fn dump_servers(&self, plan: &Plan, servers: &Answers<'_>, sum: &mut Sum) -> Result<(), Failure> {
        for server in &servers.servers {
            for part in server.parts.iter().filter(|part| plan.wants(&part.name)) {
                self.dump_part(server, part, sum)?;
            }
        }
        Ok(())
    }

    /// Databases that the last snapshot had and this one lacks, though all were asked for.
    pub(super) fn databases_gone(&self, manifest: &Manifest) -> Option<Notice> {
        let services = self.target.meant.config.backup.services != Some(false);
        (services && manifest.only.is_empty()).then(|| databases::gone(&self.before, manifest)).flatten()
    }

    fn dump_part(&self, server: &Asked<'_>, part: &Part, sum: &mut Sum) -> Result<(), Failure> {
        signal::check()?;
        let expected = part.database.as_ref().map(|database| database.bytes).filter(|bytes| *bytes > 0);
        let progress = Progress::bytes(expected, &part.name, self.run.common().quiet);
        let dumped = dump::take(server, part, self.sealing(), &self.id, &progress)?;
        let bytes = dumped.writer.bytes_plain();
        let service = server.client.service();
        let before = self.before.iter().find(|before| before.name == part.name);
        let shrunk = before.and_then(|before| databases::shrunk(before, &dumped.facts, bytes));
        let unchecked = dumped.unchecked.then(|| databases::unchecked(service));
        self.finish_payload(dumped.writer, Content::dump(&part.name, bytes, dumped.facts), sum)?;
        for notice in shrunk.into_iter().chain(unchecked) {
            self.run.warn(notice);
        }
        Ok(())
    }
}

/// What the newest snapshot with databases of servers in it had of them, whichever parts later ones were narrowed to.
/// A manifest that cannot be read is another run's concern.
pub(crate) fn databases_before<'l>(target: &Target, listed: impl Iterator<Item = &'l String>) -> Vec<Payload> {
    let mut ids: Vec<_> =
        listed.filter(|object| object.ends_with("/manifest.json")).filter_map(|object| names::id_of(object)).collect();
    ids.sort_by(|a, b| b.cmp(a));
    let manifests =
        ids.iter().take(LOOKED_AT).filter_map(|id| Manifest::read(target.store.as_ref(), target.place(), id).ok());
    let of_servers =
        manifests.map(|manifest| manifest.payloads.into_iter().filter(|payload| payload.database.is_some()).collect());
    of_servers.into_iter().find(|payloads: &Vec<Payload>| !payloads.is_empty()).unwrap_or_default()
}
