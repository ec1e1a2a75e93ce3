//! Databases of servers: which ones there are, and what of them goes into the snapshot.
//!
//! All servers are asked before any of them is dumped, and before anything is stopped for it: what cannot be copied is
//! known while nothing has happened yet.

pub(crate) mod dump;
#[cfg(test)]
mod fuzz;
mod names;
mod notices;

use std::collections::BTreeSet;

use shipshape_core::archive::manifest::Payload;
use shipshape_core::database::{Accounts, Client, Database, DatabaseError, Dump, Engine, Facts, Server};
use shipshape_core::report::Notice;
use shipshape_core::stack::Stack;

use crate::plan::Plan;
use crate::stack::Surroundings;
use names::{Names, Whose};

pub(crate) use notices::{gone, shrunk, unchecked};

/// A server that answers, and what is to be dumped of it.
pub(crate) struct Asked<'a> {
    /// The way to it.
    pub(crate) client: Client<'a>,
    /// What it tells of itself.
    pub(crate) facts: Facts,
    /// What is to be dumped, in that order.
    pub(crate) parts: Vec<Part>,
}

/// One payload to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// The database; none for what belongs to the whole server.
    pub(crate) database: Option<Database>,
}

impl Part {
    /// What the server calls it.
    pub(crate) fn dump(&self) -> Dump<'_> {
        match &self.database {
            None => Dump::Globals,
            Some(database) if database.history => Dump::WithHistory(&database.name),
            Some(database) => Dump::Database(&database.name),
        }
    }

    /// For messages and facts: empty for what belongs to the whole server.
    pub(crate) fn database_name(&self) -> &str {
        self.database.as_ref().map_or("", |database| &database.name)
    }
}

/// What the servers said.
#[derive(Default)]
pub(crate) struct Answers<'a> {
    /// Those that answer.
    pub(crate) servers: Vec<Asked<'a>>,
    /// Services that are databases and are not asked, and why, in words that follow the name.
    pub(crate) left_out: Vec<(String, String)>,
    /// What is worth a warning.
    pub(crate) notices: Vec<Notice>,
}

impl Answers<'_> {
    /// Services that are servers and are not dumped after all, each with the reason, in words that follow the name.
    pub(crate) fn not_dumped(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_dumped = |service: &String| self.servers.iter().any(|server| server.client.service() == service);
        let others = self.left_out.iter().filter(move |(service, _)| !is_dumped(service));
        others.map(|(service, why)| (service.as_str(), why.as_str()))
    }

    /// The names of all their payloads.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().flat_map(|server| &server.parts).map(|part| part.name.as_str())
    }
}

/// Asks every server what it has, unless only other parts are wanted. Databases that the last snapshot had, which are
/// those of `before`, keep their names, and no other payload gets one of theirs.
pub(crate) fn ask<'a>(
    surroundings: &'a Surroundings,
    plan: &mut Plan,
    before: &[Payload],
) -> Result<Answers<'a>, DatabaseError> {
    if !plan.servers_wanted() {
        return Ok(Answers::default());
    }
    let taken: BTreeSet<String> = plan.known.databases.values().cloned().collect();
    let mut refused = Vec::new();
    let mut answers = ask_all(surroundings, Names::new(taken, before), &mut refused);
    plan.known.reserved = answers.names().map(str::to_owned).collect();
    for (service, why) in refused {
        // Who asks for one database by its name gets it, whatever is wrong with the others.
        if plan.only.is_empty() || plan.check_parts().is_err() {
            return Err(why);
        }
        answers.left_out.push((service, why.to_string()));
    }
    Ok(answers)
}

fn ask_all<'a>(
    surroundings: &'a Surroundings,
    names: Names,
    refused: &mut Vec<(String, DatabaseError)>,
) -> Answers<'a> {
    let Some(stack) = surroundings.stack() else { return Answers::default() };
    let mut answers = Answers::default();
    for left_out in &surroundings.found.left_out {
        answers.notices.extend((!left_out.meant).then(|| notices::not_copied(left_out)));
        answers.left_out.push((left_out.service.clone(), left_out.why.clone()));
    }
    let mut asked = Vec::new();
    for server in &surroundings.found.servers {
        let service = server.service.name.clone();
        match one(stack, server) {
            Ok(Some(answer)) => asked.push(answer),
            Ok(None) => answers.left_out.push((service, IDLE.to_owned())),
            Err(why) => refused.push((service, why)),
        }
    }
    // Who refers comes before what is referred to: a job in Redis names rows, and a row names files.
    asked.sort_by_key(|answer| answer.facts.engine.is_sql());
    answers.notices.extend(asked.iter().flat_map(|answer| notices::untransactional(&answer.facts)));
    answers.notices.extend(asked.iter().flat_map(|answer| notices::without_history(&answer.facts)));
    answers.notices.extend(asked.iter().filter_map(|answer| notices::closed(answer.client.service(), &answer.facts)));
    answers.left_out.extend(asked.iter().flat_map(left_aside));
    answers.servers = with_names(asked, names);
    answers
}

/// What a server said.
struct Answer<'a> {
    client: Client<'a>,
    facts: Facts,
    accounts: Accounts,
}

/// Databases of a server that are not copied, and accounts.
fn left_aside(answer: &Answer<'_>) -> Vec<(String, String)> {
    let Answer { client, facts, accounts } = answer;
    let unreadable = (*accounts == Accounts::Unreadable).then(|| UNREADABLE.to_owned());
    let excluded =
        client.server().section.exclude.iter().map(|name| format!("{name:?} is excluded by the configuration"));
    let ours =
        facts.ours.iter().map(|name| format!("{name:?} was kept by a restore: restore --discard-old removes it"));
    let closed = facts.closed.iter().map(|name| format!("{name:?} allows no connections"));
    excluded.chain(ours).chain(closed).chain(unreadable).map(|why| (client.service().to_owned(), why)).collect()
}

/// Why an optional server is left out.
const IDLE: &str = "belongs to a profile that is not in use, and has no container";

/// Why accounts are not in a backup.
const UNREADABLE: &str =
    "its accounts and their grants are not copied: the user may not read them; GRANT SELECT ON mysql.* TO it";

/// One server. One that only some profile starts need not be there; where it is, it has to run.
fn one<'a>(stack: &'a dyn Stack, server: &Server) -> Result<Option<Answer<'a>>, DatabaseError> {
    let client = match Client::new(stack, server.clone()) {
        Err(DatabaseError::NotRunning { .. })
            if server.service.optional && stack.instances(&server.service.name)?.is_empty() =>
        {
            return Ok(None);
        }
        other => other?,
    };
    let facts = client.facts()?;
    demand_the_stated(server, &facts)?;
    demand_privileges(&client, &facts)?;
    let accounts = match facts.engine {
        Engine::Mysql | Engine::Mariadb => client.accounts()?,
        Engine::Postgres => Accounts::Some,
        Engine::Redis | Engine::Valkey => Accounts::None,
    };
    Ok(Some(Answer { client, facts, accounts }))
}

/// A database that its owner names must be there.
fn demand_the_stated(server: &Server, facts: &Facts) -> Result<(), DatabaseError> {
    let section = &server.section;
    let has = |name: &String| facts.databases.iter().any(|database| database.name == *name);
    match section.databases.iter().find(|name| !has(name) && !section.exclude.contains(name)) {
        Some(name) => Err(DatabaseError::NoDatabase { service: server.service.name.clone(), database: name.clone() }),
        None => Ok(()),
    }
}

/// Without these a dump would end well and lack something.
fn demand_privileges(client: &Client<'_>, facts: &Facts) -> Result<(), DatabaseError> {
    let lacking = facts.databases.iter().find(|database| !database.missing_privileges.is_empty());
    let Some(database) = lacking else { return Ok(()) };
    let user = client.sql(
        None,
        "SELECT QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1))",
    )?;
    let user = user.first().map(|row| row.join("@")).unwrap_or_default();
    Err(DatabaseError::Privilege {
        service: client.service().to_owned(),
        why: format!(
            "without {} a dump of {:?} lacks rows, triggers or routines, and nobody is told",
            database.missing_privileges.join(", and "),
            database.name
        ),
        grant: database
            .missing_privileges
            .iter()
            .map(|what| format!("GRANT {what} TO {user};"))
            .collect::<Vec<_>>()
            .join(" "),
    })
}

/// Gives every payload its name.
fn with_names(asked: Vec<Answer<'_>>, mut names: Names) -> Vec<Asked<'_>> {
    let whose = |answer: &Answer<'_>| {
        let service = answer.client.service().to_owned();
        contents(answer).into_iter().map(move |database| Whose::new(&service, database.as_ref()))
    };
    let mut given = names.of(&asked.iter().flat_map(whose).collect::<Vec<_>>()).into_iter();
    let mut servers = Vec::new();
    for answer in asked {
        let contents = contents(&answer).into_iter();
        let Answer { client, facts, .. } = answer;
        let parts = contents.zip(given.by_ref()).map(|(database, name)| Part { name, database }).collect();
        servers.push(Asked { client, facts, parts });
    }
    servers
}

/// What is to be dumped of a server: what belongs to the whole of it first, because a restore needs roles and accounts
/// before anything that they own or define.
fn contents(answer: &Answer<'_>) -> Vec<Option<Database>> {
    let globals = (answer.accounts == Accounts::Some).then_some(None);
    globals.into_iter().chain(answer.facts.databases.iter().cloned().map(Some)).collect()
}
