//! A restore of databases from its first byte to its end, however it ends: the steps that all engines have in common, in the
//! order in which the journal has them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shipshape_core::database::{Client, is_ours};
use shipshape_core::error::chain;
use shipshape_core::report::Notice;

use super::journal::{Files, Journal, Phase, Source};
use super::records::{Kept, KeptDatabase, Records};
use super::{Exchange, IS_BACK, RestoreError, Site, USED, atomic_write, earlier, later, read_if_there, way};

/// Databases that are about to change places. Dropped before its end, it leaves everything as it was.
pub(crate) struct UnderWay<'a> {
    site: &'a Site,
    records: &'a Records,
    journal: Journal,
    folder: PathBuf,
    clients: RefCell<BTreeMap<String, Client<'a>>>,
    ended: bool,
}

impl<'a> UnderWay<'a> {
    /// Begins: from here on the journal is there.
    pub(crate) fn begin(site: &'a Site, records: &'a Records, journal: Journal) -> Result<Self, RestoreError> {
        let folder = records.of_restore(journal.at)?;
        records.write_journal(&journal)?;
        Ok(Self { site, records, journal, folder, clients: RefCell::default(), ended: false })
    }

    /// Takes up what another run has left.
    pub(crate) fn resume(site: &'a Site, records: &'a Records, journal: Journal) -> Result<Self, RestoreError> {
        let folder = records.of_restore(journal.at)?;
        Ok(Self { site, records, journal, folder, clients: RefCell::default(), ended: true })
    }

    /// The way to a service, found once.
    fn client(&self, service: &str) -> Result<Client<'a>, RestoreError> {
        let known = self.clients.borrow().get(service).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let client = self.site.client(service)?;
        self.clients.borrow_mut().insert(service.to_owned(), client.clone());
        Ok(client)
    }

    /// The folder for the statements that go with the databases.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes what is about to be loaded, and which settings of its server that changes.
    pub(crate) fn note(&mut self, exchange: Exchange, limits: BTreeMap<String, String>) -> Result<(), RestoreError> {
        let known = self.journal.limits.entry(exchange.service.clone()).or_default();
        // As they were before the first of them was changed.
        for (name, value) in limits {
            known.entry(name).or_insert(value);
        }
        self.journal.exchanges.push(exchange);
        self.records.write_journal(&self.journal)
    }

    /// Swaps all databases, in order; `files` come after them.
    pub(crate) fn swap(&mut self, files: Option<Files>) -> Result<Vec<Notice>, RestoreError> {
        let mut notices = Vec::new();
        let mut exchanges = self.journal.exchanges.clone();
        for exchange in &mut exchanges {
            let client = self.client(&exchange.service)?;
            notices.extend(way(exchange.engine).prepare(&client, exchange, &self.folder)?);
        }
        self.journal.exchanges = exchanges;
        self.journal.files = files;
        self.journal.phase = Phase::Swapping;
        self.records.write_journal(&self.journal)?;
        for exchange in &self.journal.exchanges {
            shipshape_core::signal::check()?;
            way(exchange.engine).swap(&self.client(&exchange.service)?, exchange, &self.folder)?;
        }
        Ok(notices)
    }

    /// All is in its place, the files too. Returns what somebody should look at: what is not tidied up now, the next run
    /// tidies up.
    pub(crate) fn done(mut self) -> Vec<Notice> {
        // Whatever happens from here on, the next run goes forward.
        self.ended = true;
        self.journal.phase = Phase::Done;
        let finished = self.records.write_journal(&self.journal).and_then(|()| self.finish());
        let told = |refused: RestoreError| {
            let message = format!("all is restored, but not all is tidied up: {}", chain(&refused));
            Notice::new("restore.not_tidy", message, "the next restore does it")
        };
        finished.err().map(told).into_iter().collect()
    }

    /// Removes what is left over. Can be done again.
    pub(crate) fn finish(&self) -> Result<(), RestoreError> {
        let kept = self.kept();
        let mut all = self.records.kept()?;
        all.retain(|earlier| earlier.at != kept.at);
        let used_up: Vec<Kept> = all.extract_if(.., |earlier| self.is_used_up(earlier)).collect();
        if !self.journal.beside {
            all.push(kept);
            self.records.write_kept(&all)?;
        }
        for exchange in &self.journal.exchanges {
            // What came in has the name of the live one now. Under its old name there is nothing, or what was emptied.
            let client = self.client(&exchange.service)?.for_cleanup();
            if is_ours(&exchange.incoming) {
                way(exchange.engine).discard(&client, &exchange.incoming)?;
            }
            // What was empty is not kept.
            if !exchange.replaces {
                way(exchange.engine).discard(&client, &exchange.outgoing)?;
            }
        }
        self.records.end_journal()?;
        for earlier in &used_up {
            self.records.forget(earlier.at);
        }
        if self.journal.beside {
            self.records.forget(self.journal.at);
        }
        Ok(())
    }

    /// Whether an old side has become live by this.
    fn is_used_up(&self, earlier: &Kept) -> bool {
        let came = |database: &KeptDatabase| {
            self.journal.exchanges.iter().any(|exchange| Some(&exchange.incoming) == database.name.as_ref())
        };
        self.journal.source == Source::Kept && earlier.databases.iter().any(came)
    }

    fn kept(&self) -> Kept {
        let database =
            |exchange: &Exchange| KeptDatabase::of(exchange, exchange.replaces.then_some(exchange.outgoing.as_str()));
        let Journal { of, at, app_dir, exchanges, .. } = &self.journal;
        let databases = exchanges.iter().map(database).collect();
        let files = self.journal.files.as_ref().map(|files| files.kept.clone()).unwrap_or_default();
        Kept { of: of.clone(), at: *at, app_dir: app_dir.clone(), databases, files }
    }

    /// Makes everything as it was before. Goes on after a failure, and tells the first.
    pub(crate) fn back(&mut self) -> Result<(), RestoreError> {
        self.begin_back()?;
        let mut first = None;
        for exchange in self.journal.exchanges.iter().rev() {
            if let Err(refused) = self.one_back(exchange) {
                first.get_or_insert(not_back(exchange, &refused));
            }
        }
        first.map_or_else(|| self.forget(), Err)
    }

    fn begin_back(&mut self) -> Result<(), RestoreError> {
        self.ended = true;
        if self.journal.phase == Phase::Swapping {
            self.journal.phase = Phase::Back;
            self.records.write_journal(&self.journal)?;
        }
        Ok(())
    }

    /// The same for a run that was killed: what came in then may have been used since, and is kept. Returns its names, as
    /// `SERVICE/NAME`.
    pub(crate) fn back_later(&mut self) -> Result<Vec<String>, RestoreError> {
        self.begin_back()?;
        let mut first = None;
        for number in (0..self.journal.exchanges.len()).rev() {
            if let Err(refused) = self.one_back_later(number) {
                first.get_or_insert(not_back(&self.journal.exchanges[number], &refused));
            }
        }
        if let Some(refused) = first {
            return Err(refused);
        }
        let used = self.keep_used()?;
        self.forget()?;
        Ok(used)
    }

    /// Each step is noted, for this run may be killed too.
    fn one_back_later(&mut self, number: usize) -> Result<(), RestoreError> {
        let exchange = self.journal.exchanges[number].clone();
        let client = self.client(&exchange.service)?.for_cleanup();
        let way = way(exchange.engine);
        let is_loaded = self.journal.source == Source::Loaded;
        if !exchange.saved.contains_key(USED) {
            // An old side of an SQL server stays under the name that it had, with all that was written to it.
            let is_used = (is_loaded || !exchange.engine.is_sql()) && way.is_swapped(&client, &exchange)?;
            let name = if is_used { self.journal.name_of_used(&exchange) } else { String::new() };
            self.save(number, USED, name)?;
        }
        let used = self.journal.exchanges[number].used().map(str::to_owned);
        if !exchange.saved.contains_key(IS_BACK) {
            if let Some(used) = &used {
                way.keep_live(&client, used)?;
            }
            way.back(&client, &exchange, &self.folder)?;
            self.save(number, IS_BACK, String::new())?;
        }
        if is_loaded && is_ours(&exchange.incoming) {
            if let Some(used) = &used {
                way.move_aside(&client, &exchange, used, &self.folder)?;
            }
            way.discard(&client, &exchange.incoming)?;
        }
        self.put_back(&client, &exchange.service)
    }

    fn save(&mut self, number: usize, name: &str, value: String) -> Result<(), RestoreError> {
        self.journal.exchanges[number].saved.insert(name.to_owned(), value);
        self.records.write_journal(&self.journal)
    }

    /// What was live meanwhile is an old side like any other.
    fn keep_used(&self) -> Result<Vec<String>, RestoreError> {
        let at = self.journal.after();
        let mut databases = Vec::new();
        for exchange in self.journal.exchanges.iter().filter(|exchange| exchange.used().is_some()) {
            let events = read_if_there(&later(&self.folder, &exchange.stem))?.unwrap_or_default();
            atomic_write(&earlier(&self.records.of_restore(at)?, &exchange.stem), &events)?;
            databases.push(KeptDatabase::of(exchange, exchange.used()));
        }
        let names = databases.iter().filter_map(KeptDatabase::shown).collect();
        if !databases.is_empty() {
            let Journal { of, app_dir, .. } = &self.journal;
            let mut all = self.records.kept()?;
            all.retain(|earlier| earlier.at != at);
            all.push(Kept { of: of.clone(), at, app_dir: app_dir.clone(), databases, files: Vec::new() });
            self.records.write_kept(&all)?;
        }
        Ok(names)
    }

    fn one_back(&self, exchange: &Exchange) -> Result<(), RestoreError> {
        let client = self.client(&exchange.service)?.for_cleanup();
        let way = way(exchange.engine);
        if self.journal.phase == Phase::Back {
            way.back(&client, exchange, &self.folder)?;
        }
        if self.journal.source == Source::Loaded && is_ours(&exchange.incoming) {
            way.discard(&client, &exchange.incoming)?;
        }
        self.put_back(&client, &exchange.service)
    }

    fn put_back(&self, client: &Client<'_>, service: &str) -> Result<(), RestoreError> {
        match self.journal.limits.get(service) {
            Some(limits) => way(client.engine()).put_back(client, limits),
            None => Ok(()),
        }
    }

    fn forget(&self) -> Result<(), RestoreError> {
        self.records.end_journal()?;
        self.records.forget(self.journal.at);
        Ok(())
    }
}

fn not_back(exchange: &Exchange, refused: &RestoreError) -> RestoreError {
    RestoreError::NotBack { database: exchange.live.clone(), why: chain(refused) }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The journal stays where this fails, and the next run tries again.
            let _ = self.back();
        }
    }
}
