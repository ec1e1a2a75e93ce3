//! The databases of servers: each is loaded into a server of its own kind that was started for that, and takes its place
//! there as it would in a real restore.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use shipshape_core::archive::manifest::{DatabaseFacts, Payload};
use shipshape_core::atomic;
use shipshape_core::clock::{self, Stopwatch};
use shipshape_core::config::{CheckSection, Config, DatabaseSection};
use shipshape_core::database::{Client, DatabaseError, Engine, Facts, Server};
use shipshape_core::error::{Failure, chain};
use shipshape_core::machine;
use shipshape_core::name;
use shipshape_core::signal;
use shipshape_core::stack::Stack;
use shipshape_core::stack::scratch::{self, Scratch, Variable};

use super::checks::{self, Checked};
use super::error::DrillError;
use super::{Part, PayloadKind};
use crate::database::{Dump, Exchange, Globals, RestoreError, There, later, names, way};
use crate::select::Snapshot;

/// What is loaded where, and what is asked.
pub(super) struct Plan<'a> {
    /// The payloads by their services.
    services: BTreeMap<&'a str, Vec<(&'a Payload, &'a DatabaseFacts)>>,
    /// The questions, with the payloads that they are for.
    checks: Vec<(&'a CheckSection, &'a str)>,
}

/// A server that is up, or why it is not.
pub(super) struct Up<'s> {
    client: Client<'s>,
    facts: Result<Facts, DatabaseError>,
}

impl<'a> Plan<'a> {
    /// What the manifest has, and what the configuration asks.
    pub(super) fn new(snapshot: &'a Snapshot, config: &'a Config) -> Result<Self, DrillError> {
        let mut services: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut able = Vec::new();
        for payload in &snapshot.manifest.payloads {
            let Some(facts) = &payload.database else { continue };
            services.entry(facts.service.as_str()).or_default().push((payload, facts));
            if facts.engine.is_sql() && !facts.globals {
                able.push(payload.name.as_str());
            }
        }
        // What belongs to the whole server comes first: databases belong to its roles.
        for payloads in services.values_mut() {
            payloads.sort_by_key(|(_, facts)| !facts.globals);
        }
        let place = |check: &'a CheckSection| {
            let missing = |why| DrillError::NoDatabase { sql: check.sql.clone(), why };
            Ok((check, checks::database_of(check, &able).map_err(missing)?))
        };
        let checks = config.restore.drill.check.iter().map(place).collect::<Result<_, DrillError>>()?;
        Ok(Self { services, checks })
    }

    /// Whether the snapshot has no databases of servers.
    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The services.
    pub(super) fn services(&self) -> Vec<&str> {
        self.services.keys().copied().collect()
    }

    /// The services, with what they run.
    pub(super) fn engines(&self) -> Vec<(&str, Engine)> {
        let first =
            |(name, payloads): (&&'a str, &Vec<(_, &'a DatabaseFacts)>)| Some((*name, payloads.first()?.1.engine));
        self.services.iter().filter_map(first).collect()
    }

    /// What is to be started.
    pub(super) fn parts(&self, description: Option<&Value>) -> Result<Vec<scratch::Part>, DrillError> {
        let part = |(service, payloads): (&&str, &Vec<(&Payload, &DatabaseFacts)>)| {
            let (engine, recorded) = payloads.first().map(|(_, facts)| (facts.engine, facts.origin.clone())).unzip();
            let stated = || Some(description?.get("services")?.get(service)?.get("image")?.as_str()?.to_owned());
            let image = recorded.flatten().or_else(stated);
            let image = image.ok_or_else(|| DrillError::UnknownImage { service: (*service).to_owned() })?;
            let variables = engine.map(variables).unwrap_or_default();
            Ok(scratch::Part { service: (*service).to_owned(), image, variables })
        };
        self.services.iter().map(part).collect()
    }

    /// The ways to the servers, which are waited for.
    pub(super) fn clients<'s>(&self, scratch: Option<&'s Scratch>) -> Result<BTreeMap<&'a str, Up<'s>>, Failure> {
        let Some(scratch) = scratch else { return Ok(BTreeMap::new()) };
        let known = scratch.services().map_err(DatabaseError::from)?;
        let mut clients = BTreeMap::new();
        for (name, payloads) in &self.services {
            let service = known.iter().find(|service| service.name == **name).cloned();
            let (Some(service), Some((_, facts))) = (service, payloads.first()) else { continue };
            let server = Server { service, engine: facts.engine, section: DatabaseSection::default() };
            let client = Client::new(scratch, server)?;
            let facts = client.ready();
            signal::check()?;
            clients.insert(*name, Up { client, facts });
        }
        Ok(clients)
    }

    /// Loads everything of one server.
    pub(super) fn load(
        &self,
        snapshot: &'a Snapshot,
        service: &str,
        up: &Up<'_>,
        room: &Path,
        say: &impl Fn(&str),
    ) -> Result<Vec<Part>, Failure> {
        let mut parts = Vec::new();
        let mut globals = None;
        for (payload, facts) in self.services.get(service).into_iter().flatten() {
            say(&format!("loading {}", payload.name));
            let watch = Stopwatch::start();
            let loaded = match &up.facts {
                Ok(_) => {
                    load(snapshot, payload, facts, &up.client, room, &mut globals).map_err(|refused| chain(&refused))
                }
                Err(refused) => Err(chain(refused)),
            };
            signal::check()?;
            let version = up.facts.as_ref().map(|facts| facts.version.clone()).unwrap_or_default();
            let mut part = Part {
                name: payload.name.clone(),
                kind: PayloadKind::Database,
                what: format!("{} {version}", facts.engine),
                bytes: payload.bytes_plain,
                took: watch.elapsed(),
                counts: Vec::new(),
                wrong: Vec::new(),
            };
            match loaded {
                Ok(counts) => part.counts = counts,
                Err(why) => part.wrong.push(why),
            }
            parts.push(part);
        }
        Ok(parts)
    }

    /// Asks the questions.
    pub(super) fn ask(&self, clients: &BTreeMap<&str, Up<'_>>) -> Result<Vec<Checked>, Failure> {
        let mut checked = Vec::new();
        for (check, name) in &self.checks {
            let mut payloads = self.services.values().flatten();
            let meant = payloads.find(|(payload, _)| payload.name == *name);
            let found = meant.and_then(|(_, facts)| Some((clients.get(facts.service.as_str())?, facts)));
            let Some((up, facts)) = found else { continue };
            let answer = up.client.sql(Some(&facts.database), &question(facts.engine, &check.sql));
            signal::check()?;
            checked.push(checks::judge(check, name, answer.map_err(|refused| refused.to_string())));
        }
        Ok(checked)
    }
}

/// Loads a payload beside what the server has, and lets it take its place: as a real restore does. Returns what came back,
/// in numbers; that these are those of the manifest was seen to on the way.
fn load(
    snapshot: &Snapshot,
    payload: &Payload,
    facts: &DatabaseFacts,
    client: &Client<'_>,
    room: &Path,
    globals: &mut Option<Globals>,
) -> Result<Vec<(&'static str, u64)>, RestoreError> {
    let dump = Dump::of_payload(snapshot, payload)?;
    if facts.globals {
        let made = globals.insert(Globals::read(facts.engine, dump)?).create_missing(client)?;
        if let Some(notice) = made.notices.into_iter().next() {
            return Err(RestoreError::Account { why: notice.message });
        }
        return Ok(vec![("roles", u64::try_from(made.names.len()).unwrap_or(u64::MAX))]);
    }
    let (way, now) = (way(facts.engine), clock::now());
    let live = facts.database.clone();
    let mut exchange = Exchange {
        payload: payload.name.clone(),
        service: facts.service.clone(),
        engine: facts.engine,
        incoming: names::loading(facts.engine, &live, now),
        outgoing: names::before(facts.engine, &live, now),
        replaces: way.look(client, &live)? == There::Something,
        stem: name::mend(&payload.name, "database"),
        saved: BTreeMap::new(),
        live,
    };
    let loaded = way.load(client, facts, &exchange.incoming, dump, room)?;
    atomic::replace(&later(room, &exchange.stem), &loaded.later)?;
    if let Some(globals) = globals {
        globals.give_settings(client, &facts.database, &exchange.incoming)?;
    }
    way.prepare(client, &mut exchange, room)?;
    way.swap(client, &exchange, room)?;
    let tables = u64::try_from(loaded.tables.len()).unwrap_or(u64::MAX);
    Ok(if facts.engine.is_sql() {
        vec![("tables", tables), ("rows", loaded.rows)]
    } else {
        vec![("keys", loaded.rows)]
    })
}

/// Answers of PostgreSQL come by `COPY`, which takes a question without its semicolon.
fn question(engine: Engine, sql: &str) -> String {
    match engine {
        Engine::Postgres => format!("COPY (\n{}\n) TO STDOUT", bare(sql)),
        Engine::Mysql | Engine::Mariadb | Engine::Redis | Engine::Valkey => sql.to_owned(),
    }
}

/// A question without the semicolons and comments behind it.
fn bare(sql: &str) -> &str {
    let (mut end, mut rest) = (0, sql);
    while let Some(first) = rest.chars().next() {
        let quoted = |quote: char| rest[1..].find(quote).map_or(rest.len(), |at| at + 2);
        let (length, says_something) = match first {
            '\'' | '"' => (quoted(first), true),
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |at| at + 2), false),
            other => (other.len_utf8(), !other.is_whitespace() && other != ';'),
        };
        rest = &rest[length..];
        end = if says_something { sql.len() - rest.len() } else { end };
    }
    &sql[..end]
}

/// What an image needs to start, where its settings are not known, and for us to be let in.
fn variables(engine: Engine) -> Vec<Variable> {
    let value = format!("{:016x}{:016x}", machine::random(), machine::random());
    shipshape_core::redact::learn(&value);
    match engine {
        Engine::Mysql | Engine::Mariadb => vec![Variable {
            name: "MYSQL_ROOT_PASSWORD",
            value,
            unless: &["MYSQL_ROOT_PASSWORD_FILE", "MARIADB_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD_FILE"],
            instead_of: &[
                "MYSQL_RANDOM_ROOT_PASSWORD",
                "MARIADB_RANDOM_ROOT_PASSWORD",
                "MYSQL_ONETIME_PASSWORD",
                "MARIADB_ROOT_PASSWORD_HASH",
            ],
        }],
        Engine::Postgres => vec![Variable {
            name: "POSTGRES_PASSWORD",
            value,
            unless: &["POSTGRES_PASSWORD_FILE", "POSTGRESQL_PASSWORD", "POSTGRESQL_PASSWORD_FILE"],
            instead_of: &[],
        }],
        Engine::Redis | Engine::Valkey => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_postgresql_may_end_in_semicolons_and_comments() {
        let asked = |sql| question(Engine::Postgres, sql);
        assert_eq!(asked("select 1; -- all of them"), "COPY (\nselect 1\n) TO STDOUT");
        assert_eq!(asked(" select ';--' /* a */ ; /* b; */ ;\n"), "COPY (\n select ';--'\n) TO STDOUT");
        assert_eq!(asked("select 1 -- one\n + 1"), "COPY (\nselect 1 -- one\n + 1\n) TO STDOUT");
        assert_eq!(asked("select 'é' as \"a;\"; -- é"), "COPY (\nselect 'é' as \"a;\"\n) TO STDOUT");
        assert_eq!(question(Engine::Mariadb, "select 1; -- x"), "select 1; -- x");
    }
}
