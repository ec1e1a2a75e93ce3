//! Which databases come back, where to, and what becomes of what is there: decided before anything is done.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::clock::Stopwatch;
use shipshape_core::database::{Client, Engine, LOADING};
use shipshape_core::report::Notice;
use shipshape_core::units::{ByteSize, counted};

use super::globals::{Begun, Globals, Made};
use super::journal::{Files, Journal, Source};
use super::records::Records;
use super::under_way::UnderWay;
use super::{Exchange, Item, MAY_LACK, RestoreError, Site, There, atomic_write, later, names, way};

/// What comes back to servers.
pub(crate) struct Plan<'a> {
    site: &'a Site,
    at: DateTime<Utc>,
    databases: Vec<Planned<'a>>,
    globals: Vec<(Client<'a>, Item<'a>)>,
    beside: bool,
}

/// Under which name a database comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name<'n> {
    /// Its own.
    Own,
    /// This one, in the place of what has it.
    Live(&'n str),
    /// This one, which nothing may have yet.
    New(&'n str),
}

/// One database of it.
struct Planned<'a> {
    item: Item<'a>,
    client: Client<'a>,
    exchange: Exchange,
    /// Whether a database of that name is there.
    is_there: bool,
    /// The server's version.
    version: String,
    engine: Engine,
    /// Databases that a load has left.
    leftovers: Vec<String>,
}

/// What was loaded, and waits for the swap.
pub(crate) struct Waiting<'a> {
    under_way: UnderWay<'a>,
    parts: Vec<Value>,
    roles: Vec<String>,
    globals: Vec<Begun<'a>>,
    notices: Vec<Notice>,
    rows: u64,
    hold: Vec<Box<dyn std::any::Any + Send>>,
}

impl<'a> Plan<'a> {
    /// Decides. `service` is the server that somebody has named.
    pub(crate) fn decide(
        site: &'a Site,
        items: Vec<Item<'a>>,
        at: DateTime<Utc>,
        service: Option<&str>,
        name: Name<'_>,
    ) -> Result<Self, RestoreError> {
        let beside = matches!(name, Name::New(_));
        let mut plan = Self { site, at, databases: Vec::new(), globals: Vec::new(), beside };
        for item in items {
            let client = site.choose(&item.name, &item.facts, service)?;
            if item.facts.globals {
                plan.globals.push((client, item));
                continue;
            }
            let number = plan.databases.len();
            plan.databases.push(Planned::new(item, client, at, number, name)?);
        }
        if let (Name::New(name) | Name::Live(name), 2..) = (name, plan.databases.len()) {
            let payloads = plan.databases.into_iter().map(|planned| planned.item.name).collect();
            return Err(RestoreError::OneName { name: name.to_owned(), payloads });
        }
        Ok(plan)
    }

    /// What it does, for people.
    pub(crate) fn preview(&self) -> String {
        let mut text = String::new();
        for planned in &self.databases {
            let _ = writeln!(text, "  {:<12} {}", planned.item.name, planned.preview());
        }
        for (client, item) in &self.globals {
            let what = "the roles and accounts that are missing there, with their passwords";
            let _ = writeln!(text, "  {:<12} {what}, for the service {}", item.name, client.service());
        }
        for planned in &self.databases {
            text.extend(planned.doubt().map(|doubt| format!("{doubt}\n")));
        }
        text
    }

    /// The same for programs.
    pub(crate) fn parts(&self) -> Vec<Value> {
        self.databases.iter().map(Planned::part).collect()
    }

    /// Loads everything beside what is live, and checks it.
    pub(crate) fn load(&self, records: &'a Records, of: &str) -> Result<Waiting<'a>, RestoreError> {
        self.clear()?;
        let new = Journal::new(of, self.at, self.site.folder(), Source::Loaded);
        let journal = Journal { beside: self.beside, ..new };
        let mut waiting = Waiting {
            under_way: UnderWay::begin(self.site, records, journal)?,
            parts: Vec::new(),
            roles: Vec::new(),
            globals: Vec::new(),
            notices: Vec::new(),
            rows: 0,
            hold: Vec::new(),
        };
        self.create_roles(&mut waiting)?;
        for planned in &self.databases {
            planned.load(&mut waiting, self.beside)?;
        }
        Ok(waiting)
    }

    /// Removes what loads have left that were killed and whose journal is lost.
    fn clear(&self) -> Result<(), RestoreError> {
        for planned in &self.databases {
            for leftover in &planned.leftovers {
                way(planned.engine).discard(&planned.client, leftover)?;
            }
        }
        Ok(())
    }

    fn create_roles(&self, waiting: &mut Waiting<'a>) -> Result<(), RestoreError> {
        for (client, item) in &self.globals {
            let globals = Globals::read(item.facts.engine, (item.open)()?)?;
            let mut begun = Begun { client: client.clone(), globals };
            let Made { names, notices } = begun.globals.create_missing(client)?;
            waiting.roles.extend(names);
            waiting.notices.extend(notices);
            waiting.globals.push(begun);
        }
        Ok(())
    }
}

impl<'a> Planned<'a> {
    fn new(
        mut item: Item<'a>,
        client: Client<'a>,
        at: DateTime<Utc>,
        number: usize,
        name: Name<'_>,
    ) -> Result<Self, RestoreError> {
        let server = client.facts()?;
        // Redis has no names: there the service is the database.
        if let (false, Name::New(name) | Name::Live(name)) = (server.engine.is_sql(), name) {
            let (service, name) = (client.service().to_owned(), name.to_owned());
            return Err(RestoreError::Nameless { service, engine: server.engine, name });
        }
        let own = if server.engine.is_sql() { item.facts.database.as_str() } else { client.service() };
        let live = match name {
            Name::Own => own.to_owned(),
            Name::Live(name) | Name::New(name) => name.to_owned(),
        };
        let alike = server.databases.iter().find(|database| database.name == live);
        if let (true, Some(alike)) = (item.facts.settings.is_empty(), alike) {
            item.facts.settings.clone_from(&alike.settings);
        }
        let way = way(server.engine);
        let there = way.look(&client, &live)?;
        let is_there = there != There::Nothing;
        if is_there && matches!(name, Name::New(_)) {
            return Err(RestoreError::Exists { service: client.service().to_owned(), database: live });
        }
        let exchange = Exchange {
            payload: item.name.clone(),
            service: client.service().to_owned(),
            engine: server.engine,
            incoming: names::loading(server.engine, &live, at),
            outgoing: names::before(server.engine, &live, at),
            replaces: there == There::Something,
            stem: number.to_string(),
            saved: item.may_lack.then(|| (MAY_LACK.to_owned(), String::new())).into_iter().collect(),
            live,
        };
        let leftovers = server.ours.into_iter().filter(|name| name.contains(LOADING)).collect();
        Ok(Self { item, client, exchange, is_there, version: server.version, engine: server.engine, leftovers })
    }

    fn amount(&self) -> String {
        let facts = &self.item.facts;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let tables = counted(number(facts.tables.len()), "table", "tables");
        let rows = counted(facts.tables.values().sum(), "row", "rows");
        let bytes = self.item.bytes.map(|bytes| ByteSize(bytes).to_string());
        let known = if facts.tables.is_empty() { None } else { Some(format!("{tables}, {rows}")) };
        known.into_iter().chain(bytes).collect::<Vec<_>>().join(", ")
    }

    fn preview(&self) -> String {
        let Exchange { live, service, outgoing, replaces, .. } = &self.exchange;
        let amount = self.amount();
        match (replaces, self.is_there) {
            (true, _) => format!(
                "{amount}: replaces the database {live} of the service {service}; the old one is kept as {outgoing} until the next complete restore"
            ),
            (false, true) => format!("{amount}: fills the database {live} of the service {service}, which is empty"),
            (false, false) => format!("{amount}: makes the database {live} of the service {service}"),
        }
    }

    fn part(&self) -> Value {
        let Exchange { live, service, outgoing, replaces, .. } = &self.exchange;
        let facts = &self.item.facts;
        json!({
            "name": self.item.name, "service": service, "database": live,
            "kept": replaces.then_some(outgoing), "tables": facts.tables.len(),
            "rows": facts.tables.values().sum::<u64>(), "bytes": self.item.bytes,
        })
    }

    /// A server that may not understand the dump: it is loaded all the same, since what it does not understand fails it.
    fn doubt(&self) -> Option<String> {
        let facts = &self.item.facts;
        let service = &self.exchange.service;
        if facts.engine != self.engine {
            return Some(format!(
                "note: the dump is of {} {}, and {service} runs {} {}: it may not understand all of it",
                facts.engine, facts.server_version, self.engine, self.version
            ));
        }
        let is_newer = major(&facts.server_version).zip(major(&self.version)).is_some_and(|(dump, here)| dump > here);
        is_newer.then(|| {
            format!(
                "note: the dump is of {} {}, newer than {service}, which runs {}: it may not understand all of it",
                facts.engine, facts.server_version, self.version
            )
        })
    }

    fn quiet(&self) -> Notice {
        let message =
            format!("the events of {} were not created in {}: they would act", self.item.name, self.exchange.live);
        Notice::new("restore.no_events", message, "they come back with a restore in place")
    }

    /// Settings and rights are those of the globals; where there are none, what is live keeps its own.
    fn give_settings(&self, waiting: &Waiting<'_>, beside: bool) -> Result<(), RestoreError> {
        let Exchange { service, live, incoming, .. } = &self.exchange;
        if let Some(begun) = waiting.globals.iter().find(|begun| begun.client.service() == service) {
            return begun.globals.give_settings(&self.client, &self.item.facts.database, incoming);
        }
        let own = if self.is_there && !beside { Globals::of_live(self.engine, &self.client)? } else { None };
        own.map_or(Ok(()), |own| own.give_settings(&self.client, live, incoming))
    }

    fn load(&self, waiting: &mut Waiting<'_>, beside: bool) -> Result<(), RestoreError> {
        let watch = Stopwatch::start();
        let way = way(self.engine);
        let facts: &DatabaseFacts = &self.item.facts;
        waiting.under_way.note(self.exchange.clone(), way.limits(&self.client, facts)?)?;
        let loaded =
            way.load(&self.client, facts, &self.exchange.incoming, (self.item.open)()?, waiting.under_way.folder())?;
        if beside {
            // What acts by the clock would act on the application's behalf.
            waiting.notices.extend((!loaded.later.is_empty()).then(|| self.quiet()));
        } else {
            atomic_write(&later(waiting.under_way.folder(), &self.exchange.stem), &loaded.later)?;
        }
        self.give_settings(waiting, beside)?;
        waiting.hold.extend(loaded.hold);
        waiting.notices.extend(loaded.notices);
        waiting.notices.extend(self.doubt().map(|doubt| Notice::new("restore.other_server", doubt, "look at it well")));
        waiting.rows += loaded.rows;
        waiting.parts.push(json!({
            "name": self.item.name,
            "target": format!("{}/{}", self.exchange.service, self.exchange.live),
            "kept": self.exchange.replaces.then_some(&self.exchange.outgoing),
            "tables": loaded.tables.len(),
            "rows": loaded.rows,
            "seconds": (watch.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        }));
        Ok(())
    }
}

/// The first number of a version.
fn major(version: &str) -> Option<Vec<u32>> {
    let numbers = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let all: Vec<u32> = numbers.split('.').take(2).filter_map(|number| number.parse().ok()).collect();
    (!all.is_empty()).then_some(all)
}

/// Databases that have changed places, as long as what comes after them may still fail.
pub(crate) struct Swapped<'a> {
    under_way: UnderWay<'a>,
    /// Elements of `data.restored`.
    pub(crate) parts: Vec<Value>,
    /// Roles and accounts that were made.
    pub(crate) roles: Vec<String>,
    /// What somebody should look at.
    pub(crate) notices: Vec<Notice>,
    /// Rows, of all of them.
    pub(crate) rows: u64,
}

impl<'a> Waiting<'a> {
    /// Swaps all of them, or none. `files` are swapped after them.
    pub(crate) fn swap(self, files: Option<Files>) -> Result<Swapped<'a>, RestoreError> {
        let Self { mut under_way, parts, roles, globals, mut notices, rows, hold } = self;
        match under_way.swap(files) {
            Ok(more) => notices.extend(more),
            Err(refused) => {
                under_way.back()?;
                return Err(refused);
            }
        }
        drop(hold);
        for mut begun in globals {
            notices.extend(begun.give_rest());
        }
        Ok(Swapped { under_way, parts, roles, notices, rows })
    }
}

impl<'a> Swapped<'a> {
    /// Databases that were put back.
    pub(super) fn new(under_way: UnderWay<'a>, parts: Vec<Value>, notices: Vec<Notice>) -> Self {
        Self { under_way, parts, roles: Vec::new(), notices, rows: 0 }
    }

    /// All is in its place. Dropped without this, they go back.
    pub(crate) fn done(self) -> (Vec<Value>, Vec<Notice>) {
        let mut notices = self.notices;
        notices.extend(self.under_way.done());
        (self.parts, notices)
    }

    /// What comes after them has failed: everything as it was.
    pub(crate) fn back(mut self) -> Result<(), RestoreError> {
        self.under_way.back()
    }
}
