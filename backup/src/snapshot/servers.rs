//! The step of a run that takes the databases of servers.

use shipshape_core::archive::manifest::Payload;
use shipshape_core::error::Failure;
use shipshape_core::progress::Progress;
use shipshape_core::signal;

use super::session::{Content, Session, Sum};
use crate::plan::Plan;
use crate::sources::databases::{self, Answers, Asked, Part, dump};
use crate::stack::Surroundings;

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

    /// Takes note of databases that there should be and that this snapshot lacks, though all were asked for.
    pub(super) fn miss_databases(&self, only: &[String], payloads: &[Payload]) {
        let is_asked = only.is_empty() && self.target.meant.config.backup.services != Some(false);
        if let Some((names, notice)) = databases::gone(&self.before, payloads).filter(|_| is_asked) {
            self.shrunk.note(self.run, names, notice);
        }
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
        if let Some(notice) = shrunk {
            self.shrunk.note(self.run, [part.name.clone()], notice);
        }
        if let Some(notice) = unchecked {
            self.run.warn(notice);
        }
        Ok(())
    }
}
