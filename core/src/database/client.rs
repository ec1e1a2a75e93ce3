//! One database server, reached by the client beside it.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::time::Duration;

use super::accounts;
use super::ask;
use super::engine::Engine;
use super::error::{DatabaseError, Doing, PAUSED};
use super::find::Server;
use super::script;
use crate::redact;
use crate::secret::{Secret, SecretSource};
use crate::stack::{Call, Exec, Instance, ServiceState, Stack};

/// How long a dump or a load may take: a day. What takes longer is no backup that anybody could restore in time.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// How long a question may take: counting the rows of large tables takes minutes.
const QUESTION: Duration = Duration::from_secs(3600);

/// The line behind which the globals of PostgreSQL have the settings of its databases.
pub const GLOBALS_SETTINGS: &str = "-- Shipshape: settings of databases";

/// The last line of the globals.
pub const GLOBALS_DONE: &str = "-- Shipshape: settings complete";

/// The most that an answer may have, in bytes: names and counts of a hundred thousand tables.
const ANSWER_LIMIT: u64 = 64 << 20;

/// The most that is kept of what a client says while it loads, in bytes.
const SAID_LIMIT: u64 = 256 << 10;

/// A way to one server.
#[derive(Clone)]
pub struct Client<'a> {
    stack: &'a dyn Stack,
    server: Server,
    instance: Instance,
    password: Option<Secret>,
    cleanup: bool,
}

/// What a server tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it really is: an image called `mysql` may run MariaDB.
    pub engine: Engine,
    /// Its version, in its own words.
    pub version: String,
    /// The application's databases.
    pub databases: Vec<Database>,
    /// Databases that restores keep beside them.
    pub ours: Vec<String>,
    /// Databases to which nobody may connect, so that they cannot be dumped.
    pub closed: Vec<String>,
    /// The longest statement that it takes, in bytes, where it has a limit.
    pub longest_statement: Option<u64>,
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Its name; for Redis the service's.
    pub name: String,
    /// How much it takes on the server, in bytes, about.
    pub bytes: u64,
    /// What it was made with: `charset` and `collation`; `encoding`, `collate`, `ctype`, `owner`, `provider`, `locale`.
    pub settings: BTreeMap<String, String>,
    /// Tables that a transaction does not hold still.
    pub untransactional: Vec<String>,
    /// Privileges that the user lacks, and without which a dump would lack something in silence: `TRIGGER ON `shop`.*`.
    pub missing_privileges: Vec<String>,
    /// Whether it has system-versioned tables, and a dump takes their history: [`Dump::WithHistory`].
    pub history: bool,
    /// System-versioned tables whose history no dump takes.
    pub without_history: Vec<String>,
}

/// What to dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump<'a> {
    /// A database; for Redis everything.
    Database(&'a str),
    /// A database of MariaDB, with the history of its system-versioned tables.
    WithHistory(&'a str),
    /// Roles, tablespaces and settings of a PostgreSQL server; accounts and roles of the MySQL family.
    Globals,
    /// What a database of the MySQL family has beside its tables, as statements that replace what is there.
    Objects {
        /// The database.
        database: &'a str,
        /// The kinds, and what they are of: the tables that have the triggers, or the views themselves; of the others any
        /// table, where there is one.
        of: &'a [(Objects, Vec<String>)],
        /// A line that stands before the statements of each kind, and its word behind it.
        mark: &'a str,
    },
}

/// What a database of the MySQL family has beside its tables. None of it moves when the tables do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objects {
    /// Triggers of tables.
    Triggers,
    /// Procedures, functions, and packages.
    Routines,
    /// What the server does by the clock.
    Events,
    /// Views.
    Views,
}

impl Objects {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Triggers => "triggers",
            Self::Routines => "routines",
            Self::Events => "events",
            Self::Views => "views",
        }
    }
}

impl<'a> Client<'a> {
    /// The way to a server that runs, once.
    pub fn new(stack: &'a dyn Stack, server: Server) -> Result<Self, DatabaseError> {
        let instance = choose(&server, stack.instances(&server.service.name)?)?;
        let password = password(&server)?;
        Ok(Self { stack, server, instance, password, cleanup: false })
    }

    /// The same way, for cleaning up: what is asked through it is carried out even after we were asked to stop.
    #[must_use]
    pub fn for_cleanup(&self) -> Self {
        Self { cleanup: true, ..self.clone() }
    }

    /// Whether what is asked through it is carried out even after we were asked to stop.
    pub fn is_for_cleanup(&self) -> bool {
        self.cleanup
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.server.service.name
    }

    /// The copy of the service that is talked to.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The engine, as it was recognised; [`Facts::engine`] knows better.
    pub fn engine(&self) -> Engine {
        self.server.engine
    }

    /// What the server tells about itself.
    pub fn facts(&self) -> Result<Facts, DatabaseError> {
        let engine = self.engine();
        let facts = if engine.is_mysql() {
            ask::mysql(self)
        } else if engine == Engine::Postgres {
            ask::postgres(self)
        } else {
            ask::redis(self)
        };
        facts.map(|facts| self.only_the_stated(facts))
    }

    /// What the configuration says of databases.
    fn only_the_stated(&self, mut facts: Facts) -> Facts {
        let section = &self.server.section;
        let is_wanted = |name: &String| section.databases.is_empty() || section.databases.contains(name);
        facts.databases.retain(|database| is_wanted(&database.name) && !section.exclude.contains(&database.name));
        facts.closed.retain(|name| is_wanted(name) && !section.exclude.contains(name));
        facts
    }

    /// Starts a dump. That it ends well says [`Exec::finish`]; that it is whole says a [`super::dump::Scanner`] alone.
    pub fn dump(&self, what: Dump<'_>) -> Result<Exec, DatabaseError> {
        match what {
            Dump::Database(name) => {
                let args = if self.engine().is_sql() { vec![name] } else { Vec::new() };
                self.start(&script::dump(self.engine()), &args, None)
            }
            Dump::WithHistory(name) => self.start(&script::dump(self.engine()), &[name, "history"], None),
            Dump::Globals => {
                let questions = accounts::questions();
                let args = if self.engine().is_mysql() {
                    [questions.as_str(), accounts::SESSION, GLOBALS_DONE]
                } else {
                    [ask::POSTGRES_SETTINGS, GLOBALS_SETTINGS, GLOBALS_DONE]
                };
                self.start(&script::globals(self.engine()), &args, None)
            }
            Dump::Objects { database, of, mark } => {
                let mut args = vec![mark.to_owned(), database.to_owned()];
                for (kind, names) in of {
                    args.extend([kind.word().to_owned(), names.len().to_string()]);
                    args.extend(names.iter().cloned());
                }
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                self.start(&script::objects(), &args, None)
            }
        }
    }

    /// The rows of a question, or of several one after the other, in their order. SQL only.
    pub fn sql(&self, database: Option<&str>, sql: &str) -> Result<Vec<Vec<String>>, DatabaseError> {
        let given = Box::new(Cursor::new(sql.to_owned().into_bytes()));
        let exec = self.start_within(&script::feed(self.engine()), &[database.unwrap_or("")], Some(given), QUESTION)?;
        Ok(ask::rows(&self.answer(exec, "a question", database)?.0))
    }

    /// What Redis answers to commands, one in a line.
    pub fn redis(&self, commands: &str) -> Result<String, DatabaseError> {
        let given = Box::new(Cursor::new(commands.to_owned().into_bytes()));
        let exec = self.start_within(&script::feed(self.engine()), &[], Some(given), QUESTION)?;
        let (answer, said) = self.answer(exec, "a question", None)?;
        // It ends well, too, if it could not connect.
        if answer.trim().is_empty() && !commands.trim().is_empty() {
            let why = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("its answer is empty");
            return Err(DatabaseError::Gone { service: self.service().to_owned(), why: why.to_owned() });
        }
        // redis-cli tells errors as answers, and ends well all the same.
        let refused = answer.lines().find(|line| REFUSALS.iter().any(|word| line.starts_with(word)));
        match refused {
            Some(why) => Err(self.refused(why)),
            None => Ok(answer),
        }
    }

    fn refused(&self, why: &str) -> DatabaseError {
        let (service, why) = (self.service().to_owned(), why.to_owned());
        match why.split_whitespace().next() {
            Some("NOAUTH" | "WRONGPASS") => DatabaseError::Login { service, why },
            Some("NOPERM") => {
                let grant = "grant the user what the message names, or use the default user".to_owned();
                DatabaseError::Privilege { service, why, grant }
            }
            Some("LOADING") => DatabaseError::Gone { service, why },
            _ => DatabaseError::Client { service, what: "a command", why },
        }
    }

    /// Carries out statements, and stops at the first that fails. For the MySQL family `init` is done at the beginning of
    /// the session, and the beginning of what comes back has its warnings.
    pub fn feed(
        &self,
        database: Option<&str>,
        init: &str,
        from: Box<dyn Read + Send>,
    ) -> Result<String, DatabaseError> {
        let mut exec =
            self.start(&script::feed(self.engine()), &[database.unwrap_or(""), init, "warnings"], Some(from))?;
        let mut said = Vec::new();
        let taken = (&mut exec).take(SAID_LIMIT).read_to_end(&mut said);
        // All of it is read: a client that cannot get rid of it would stop.
        let rest = io::copy(&mut exec, &mut io::sink());
        self.ended(exec, "loading", database)?;
        taken.and(rest.map(|_| 0)).map_err(|cause| self.broken(&cause))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs a script in the service; for what no other function does. The script's first line of input is the password
    /// that is to be used, if any; see `script`.
    pub fn start(
        &self,
        script: &str,
        args: &[&str],
        stdin: Option<Box<dyn Read + Send>>,
    ) -> Result<Exec, DatabaseError> {
        self.start_within(script, args, stdin, LONG)
    }

    fn start_within(
        &self,
        script: &str,
        args: &[&str],
        stdin: Option<Box<dyn Read + Send>>,
        deadline: Duration,
    ) -> Result<Exec, DatabaseError> {
        let words: Vec<&str> = ["sh", "-c", script, "shipshape"].into_iter().chain(args.iter().copied()).collect();
        let user = self.server.section.user.as_deref();
        let port = port(&self.server).map(|port| port.to_string());
        let named = [("SHIPSHAPE_USER", user), ("SHIPSHAPE_PORT", port.as_deref())];
        let env: Vec<(&str, &str)> = named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let first = format!("{}\n", self.password.as_ref().map(Secret::expose).unwrap_or_default());
        let first = Cursor::new(first.into_bytes());
        let stdin: Box<dyn Read + Send> = match stdin {
            Some(rest) => Box::new(first.chain(rest)),
            None => Box::new(first),
        };
        let call = Call {
            instance: Some(&self.instance.id),
            env: &env,
            stdin: Some(stdin),
            deadline,
            cleanup: self.cleanup,
            ..Call::new(self.service(), &words)
        };
        Ok(self.stack.exec(call)?)
    }

    /// All that a program writes, as text, if it ended well; and the end of its standard error.
    fn answer(
        &self,
        mut exec: Exec,
        what: &'static str,
        database: Option<&str>,
    ) -> Result<(String, String), DatabaseError> {
        let mut answer = Vec::new();
        let taken = (&mut exec).take(ANSWER_LIMIT).read_to_end(&mut answer);
        let said = exec.finish().map_err(|refused| self.doing(what, database).failed(refused))?;
        taken.map_err(|cause| self.broken(&cause))?;
        Ok((String::from_utf8_lossy(&answer).into_owned(), said))
    }

    fn doing<'d>(&'d self, what: &'static str, database: Option<&'d str>) -> Doing<'d> {
        Doing { service: self.service(), what, database }
    }

    /// Waits for the end of a program, and says what its failure means.
    pub fn ended(&self, exec: Exec, what: &'static str, database: Option<&str>) -> Result<(), DatabaseError> {
        exec.finish().map(drop).map_err(|refused| self.doing(what, database).failed(refused))
    }

    /// What it means that the output of a program could not be read to its end.
    pub fn broken(&self, cause: &io::Error) -> DatabaseError {
        DatabaseError::Gone { service: self.service().to_owned(), why: cause.to_string() }
    }
}

/// How Redis says no.
const REFUSALS: [&str; 10] =
    ["ERR ", "NOAUTH", "WRONGPASS", "NOPERM", "LOADING", "READONLY", "MISCONF", "MASTERDOWN", "BUSY ", "(error)"];

/// The copy that is talked to: the only one that runs, or the one that the configuration names.
fn choose(server: &Server, instances: Vec<Instance>) -> Result<Instance, DatabaseError> {
    let service = server.service.name.clone();
    let stated = |instance: &Instance| server.section.instance.is_none_or(|number| number == instance.number);
    let meant: Vec<Instance> = instances.into_iter().filter(stated).collect();
    let state = meant.iter().map(|instance| instance.state).next();
    let mut running: Vec<Instance> =
        meant.into_iter().filter(|instance| instance.state == ServiceState::Running).collect();
    match (running.len(), running.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) | (_, None) => Err(DatabaseError::NotRunning { service, state: spoken(state) }),
        (_, Some(last)) => {
            running.push(last);
            Err(DatabaseError::Replicas { service, names: running.into_iter().map(|instance| instance.name).collect() })
        }
    }
}

fn spoken(state: Option<ServiceState>) -> &'static str {
    match state {
        None => "it was never started",
        Some(ServiceState::Running) => "it runs",
        Some(ServiceState::Changing) => "it is starting, again and again perhaps",
        Some(ServiceState::Paused) => PAUSED,
        Some(ServiceState::Stopped) => "it was stopped",
        Some(ServiceState::Failed) => "it has failed",
    }
}

/// The password that our side knows: the configuration's; for Redis, else the one in its command.
fn password(server: &Server) -> Result<Option<Secret>, DatabaseError> {
    let section = &server.section;
    let source = match (&section.password_file, &section.password_env) {
        (Some(path), _) => Some(SecretSource::File(path.clone())),
        (None, Some(name)) => Some(SecretSource::Env(name.clone())),
        (None, None) => None,
    };
    if let Some(source) = source {
        return Ok(Some(source.resolve()?));
    }
    let stated = (!server.engine.is_sql()).then(|| in_command(&server.service.command)).flatten();
    if let Some(password) = &stated {
        redact::learn(password);
    }
    Ok(stated.map(Secret::new))
}

/// The port that is not the usual one: the configuration's, else the one in the server's command. One in its variables it
/// shares with the client.
fn port(server: &Server) -> Option<u16> {
    server.section.port.or_else(|| port_in_command(server.engine, &server.service.command))
}

/// `-p 5434`, `--port=5434`, `-c port=5434`, as each server has it; the last one counts, as it does for them.
fn port_in_command(engine: Engine, command: &[String]) -> Option<u16> {
    let words: Vec<&str> =
        command.iter().flat_map(|word| word.split_whitespace()).map(|word| word.trim_matches(['"', '\''])).collect();
    let (separate, joined): (&[&str], &[&str]) = match engine {
        Engine::Postgres => (&["-p", "--port"], &["-p", "--port=", "-cport=", "port="]),
        Engine::Mysql | Engine::Mariadb => (&["-P", "--port"], &["-P", "--port="]),
        Engine::Redis | Engine::Valkey => (&["--port"], &[]),
    };
    let value = |(at, word): (usize, &&str)| {
        if separate.contains(word) {
            words.get(at + 1)?.parse().ok()
        } else {
            joined.iter().find_map(|prefix| word.strip_prefix(prefix)?.parse().ok())
        }
    };
    words.iter().enumerate().rev().find_map(value)
}

/// `--requirepass VALUE` among the words of a command, or inside one word that a shell will split. A variable is not a
/// password: the container has it.
fn in_command(command: &[String]) -> Option<String> {
    let words: Vec<&str> = command.iter().flat_map(|word| word.split_whitespace()).collect();
    let at = words.iter().position(|word| *word == "--requirepass")?;
    // In a list a password may have spaces; there it is a word of its own.
    let whole = command.iter().position(|word| word == "--requirepass").and_then(|at| command.get(at + 1));
    let value = whole.map(String::as_str).or_else(|| words.get(at + 1).copied())?;
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty() && !value.starts_with('$')).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseSection;
    use crate::error::Explain;
    use crate::stack::Service;

    fn server(section: DatabaseSection) -> Server {
        let service = Service {
            name: "db".to_owned(),
            origin: None,
            labels: BTreeMap::new(),
            mounts: Vec::new(),
            command: Vec::new(),
            optional: false,
            built: false,
            ..Service::default()
        };
        Server { service, engine: Engine::Redis, section }
    }

    fn instance(number: u32, state: ServiceState) -> Instance {
        Instance { id: number.to_string(), name: format!("db-{number}"), number, state, origin: None }
    }

    #[test]
    fn a_server_that_runs_twice_is_refused_unless_somebody_says_which() {
        let both = || vec![instance(1, ServiceState::Running), instance(2, ServiceState::Running)];
        let plain = server(DatabaseSection::default());
        assert_eq!(choose(&plain, both()).unwrap_err().code(), "database.replicas");
        let stated = server(DatabaseSection { instance: Some(2), ..DatabaseSection::default() });
        assert_eq!(choose(&stated, both()).unwrap().number, 2);
    }

    #[test]
    fn a_server_that_does_not_run_is_told_with_its_state() {
        let plain = server(DatabaseSection::default());
        let paused = choose(&plain, vec![instance(1, ServiceState::Paused)]).unwrap_err();
        assert!(paused.hint().contains("docker compose unpause db"), "{}", paused.hint());
        let stopped = choose(&plain, vec![instance(1, ServiceState::Stopped)]).unwrap_err();
        assert!(stopped.to_string().contains("it was stopped"), "{stopped}");
        assert!(choose(&plain, vec![]).unwrap_err().to_string().contains("never started"));
    }

    #[test]
    fn the_password_in_a_command_is_found_and_a_variable_is_not_taken_for_one() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(in_command(&words(&["redis-server", "--requirepass", "a b"])).as_deref(), Some("a b"));
        assert_eq!(in_command(&words(&["sh", "-c", "exec redis-server --requirepass 'x y'"])).as_deref(), Some("x"));
        assert_eq!(in_command(&words(&["sh", "-c", "redis-server --requirepass $PASS"])), None);
        assert_eq!(in_command(&words(&["redis-server"])), None);
    }

    #[test]
    fn a_port_in_a_command_is_found_as_each_server_takes_it() {
        let found = |engine, line: &str| port_in_command(engine, &[line.to_owned()]);
        for line in ["postgres -p 5434", "postgres -p5434", "postgres --port=5434", "postgres -c port=5434"] {
            assert_eq!(found(Engine::Postgres, line), Some(5434), "{line}");
        }
        assert_eq!(found(Engine::Redis, "redis-server --port 6380 --save ''"), Some(6380));
        assert_eq!(found(Engine::Mariadb, "mariadbd -P 3307 --port=3308"), Some(3308));
        assert_eq!(found(Engine::Postgres, "postgres -c max_connections=50 -p $PORT"), None);
        assert_eq!(found(Engine::Redis, "redis-server --appendonly yes"), None);
    }
}
