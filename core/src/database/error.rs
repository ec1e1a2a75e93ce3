//! What goes wrong with a database, and what its client's own words mean.

use super::engine::UnknownEngine;
use crate::child::ChildError;
use crate::error::Explain;
use crate::exit::Exit;
use crate::secret::SecretError;
use crate::stack::StackError;

/// The state of a service that stands still until somebody lets it go on.
pub(super) const PAUSED: &str = "it is paused";

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The configuration names a service that is none.
    #[error("[database.{service}]: there is no service of that name")]
    NoSuchService {
        /// The name.
        service: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A label or the configuration names a kind that is none.
    #[error("the service {service} cannot be understood")]
    UnknownKind {
        /// The service.
        service: String,
        /// The word.
        #[source]
        source: UnknownEngine,
    },
    /// It does not run.
    #[error("the database service {service} does not run: {state}")]
    NotRunning {
        /// The service.
        service: String,
        /// How it is.
        state: &'static str,
    },
    /// It runs several times, and nobody has said which copy holds the truth.
    #[error("the database service {service} runs {} times: {}", names.len(), names.join(", "))]
    Replicas {
        /// The service.
        service: String,
        /// Its copies.
        names: Vec<String>,
    },
    /// The image lacks a client.
    #[error("the service {service} has no {program} in it")]
    NoClient {
        /// The service.
        service: String,
        /// What is missing.
        program: String,
    },
    /// The password is wrong.
    #[error("the database service {service} refuses the login: {why}")]
    Login {
        /// The service.
        service: String,
        /// In the server's words.
        why: String,
    },
    /// The user may not do what is needed.
    #[error("the user of the database service {service} lacks a privilege: {why}")]
    Privilege {
        /// The service.
        service: String,
        /// In the server's words.
        why: String,
        /// What would grant it.
        grant: String,
    },
    /// The server does not answer, or went away.
    #[error("the database service {service} does not answer: {why}")]
    Gone {
        /// The service.
        service: String,
        /// In the client's words.
        why: String,
    },
    /// There is no such database.
    #[error("the service {service} has no database {database:?}")]
    NoDatabase {
        /// The service.
        service: String,
        /// The name.
        database: String,
    },
    /// The client failed otherwise.
    #[error("{what} in the service {service} failed: {why}")]
    Client {
        /// The service.
        service: String,
        /// What was being done.
        what: &'static str,
        /// In the client's words.
        why: String,
    },
    /// An answer of the client is not what it should be.
    #[error("an answer of the database service {service} is not understood: {answer:?}")]
    Answer {
        /// The service.
        service: String,
        /// Its beginning.
        answer: String,
    },
    /// The way to it is blocked.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The password cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Explain for DatabaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "database.no_such_service",
            Self::UnknownKind { .. } => "database.unknown_kind",
            Self::NotRunning { .. } => "database.not_running",
            Self::Replicas { .. } => "database.replicas",
            Self::NoClient { .. } => "database.no_client",
            Self::Login { .. } => "database.login",
            Self::Privilege { .. } => "database.privilege",
            Self::Gone { .. } => "database.gone",
            Self::NoDatabase { .. } => "database.none",
            Self::Client { .. } => "database.failed",
            Self::Answer { .. } => "database.answer",
            Self::Stack(cause) => cause.code(),
            Self::Secret(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoSuchService { known, .. } => format!("there are: {}", known.join(", ")),
            Self::UnknownKind { .. } => "correct its label shipshape.kind, or [database.SERVICE] kind".to_owned(),
            Self::NotRunning { service, state: PAUSED } => format!("let it go on: docker compose unpause {service}"),
            Self::NotRunning { service, .. } => format!(
                "start it: docker compose up -d {service}; or leave it out: label shipshape.backup=false, [database.{service}] backup = false"
            ),
            Self::Replicas { service, .. } => format!(
                "say which copy holds the truth, by its number: [database.{service}] instance = 1; or run it once: docker compose up -d --scale {service}=1"
            ),
            Self::NoClient { program, .. } => {
                format!(
                    "use an image with {program} in it, as the official ones are; or correct the kind of the service"
                )
            }
            Self::Login { service, .. } => format!(
                "the password in the container's variables is not the server's (they count only when its volume is new): give the right one by [database.{service}] user and password_file"
            ),
            Self::Privilege { grant, .. } => grant.clone(),
            Self::Gone { service, .. } => {
                format!(
                    "did it restart, or run out of memory? docker compose logs --tail 50 {service}; then run this again"
                )
            }
            Self::NoDatabase { service, .. } => {
                format!(
                    "see which there are: docker compose exec {service} sh; or correct [database.{service}] databases"
                )
            }
            Self::Client { service, .. } | Self::Answer { service, .. } => {
                format!("see what the server says: docker compose logs --tail 50 {service}")
            }
            Self::Stack(cause) => cause.hint(),
            Self::Secret(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoSuchService { .. } | Self::UnknownKind { .. } => Exit::Unknown,
            Self::NotRunning { .. }
            | Self::Replicas { .. }
            | Self::NoClient { .. }
            | Self::Login { .. }
            | Self::Privilege { .. }
            | Self::Gone { .. }
            | Self::NoDatabase { .. }
            | Self::Client { .. }
            | Self::Answer { .. } => Exit::Critical,
            Self::Stack(cause) => cause.exit(),
            Self::Secret(cause) => cause.exit(),
        }
    }
}

/// What was being done when a client failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    pub(super) service: &'a str,
    pub(super) what: &'static str,
    /// The database that it was done to, for the grant.
    pub(super) database: Option<&'a str>,
}

impl Doing<'_> {
    /// What a failure means, by the words of the clients.
    pub(super) fn failed(&self, refused: ChildError) -> DatabaseError {
        let ChildError::Failed { status, stderr, .. } = &refused else { return StackError::from(refused).into() };
        let service = self.service.to_owned();
        let why = telling(stderr).unwrap_or_else(|| format!("{refused}, without a word"));
        let has = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
        if has(&["Cannot connect to the Docker daemon"]) {
            return StackError::NoAnswer { manager: "Docker engine", why }.into();
        }
        // 125: `docker exec` itself; 137: killed, mostly with its container.
        if has(&["is not running", "No such container", "is restarting", "is paused"])
            || (status.code() == Some(137) && stderr.trim().is_empty())
        {
            return DatabaseError::Gone { service, why };
        }
        if let Some(program) = stderr.lines().find_map(|line| line.strip_prefix("shipshape: no client ")) {
            return DatabaseError::NoClient { service, program: program.to_owned() };
        }
        if has(&LOGIN) {
            return DatabaseError::Login { service, why };
        }
        if has(&PRIVILEGE) {
            return DatabaseError::Privilege { service, grant: self.grant(stderr), why };
        }
        if has(&GONE) {
            return DatabaseError::Gone { service, why };
        }
        DatabaseError::Client { service, what: self.what, why }
    }

    fn grant(&self, stderr: &str) -> String {
        let database = self.database.unwrap_or("DATABASE");
        if stderr.contains("NOPERM") {
            "grant the user +sync +psync +replconf +info +config, or back up as the default user".to_owned()
        } else if stderr.contains("ERROR:") && !stderr.contains("Access denied") {
            format!("back up as a superuser or the owner; or: GRANT pg_read_all_data TO the user (database {database})")
        } else {
            format!(
                "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON `{}`.* TO the user; routines need SHOW_ROUTINE (MySQL) or SELECT ON mysql.proc (MariaDB) as well",
                database.replace('`', "``")
            )
        }
    }
}

/// Logins that were refused: error 1045 (and 1698, 1524) of MySQL, SQLSTATE 28P01 and 28000, Redis.
const LOGIN: [&str; 10] = [
    "ERROR 1045",
    "error: 1045",
    "Got error: 1045",
    "ERROR 1698",
    "error: 1698",
    "password authentication failed",
    "no password supplied",
    "WRONGPASS",
    "NOAUTH",
    "invalid username-password pair",
];

/// Privileges that are missing: 1044, 1142, 1143, 1227, 1370 of MySQL, SQLSTATE 42501, Redis' `NOPERM`.
const PRIVILEGE: [&str; 9] = [
    "Access denied",
    "command denied to user",
    "insufficient privileges",
    "permission denied",
    "must be superuser",
    "must be owner",
    "NOPERM",
    "privilege(s) for this operation",
    "row-level security",
];

/// Servers that are not there: 2002, 2003, 2006, 2013, 2026 of MySQL (the last where TLS was cut), `libpq`, Redis.
const GONE: [&str; 15] = [
    "Can't connect",
    "server has gone away",
    "Lost connection",
    "unexpected eof while reading",
    "could not connect",
    "connection to server",
    "server closed the connection",
    "the database system is",
    "terminating connection",
    "Connection refused",
    "Could not connect to Redis",
    "Server closed the connection",
    "LOADING",
    "I/O error",
    "Shutdown in progress",
];

/// The last lines of a client that say something, without the chatter about passwords on the command line.
fn telling(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
    (!last.is_empty()).then(|| last.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn code(stderr: &str, exit: i32) -> &'static str {
        let status = std::process::ExitStatus::from_raw(exit << 8);
        let refused = ChildError::Failed { program: "docker".to_owned(), status, stderr: stderr.to_owned() };
        Doing { service: "database", what: "the dump", database: Some("fleet") }.failed(refused).code()
    }

    #[test]
    fn the_words_of_the_clients_are_understood() {
        for (words, expected) in [
            (
                "mariadb-dump: Got error: 1045: \"Access denied for user 'root'@'localhost' (using password: YES)\" when trying to connect",
                "database.login",
            ),
            (
                "psql: error: connection to server on socket failed: FATAL:  password authentication failed for user \"x\"",
                "database.login",
            ),
            (
                "mysqldump: Got error: 1044: Access denied for user 'app'@'%' to database 'fleet' when selecting the database",
                "database.privilege",
            ),
            ("pg_dump: error: query failed: ERROR:  permission denied for table orders", "database.privilege"),
            (
                "mariadb-dump: Error 2013: Lost connection to server during query when dumping table `a` at row: 7",
                "database.gone",
            ),
            ("Error response from daemon: Container abc is not running", "database.gone"),
            ("shipshape: no client redis-cli\n", "database.no_client"),
            ("ERROR 1064 (42000) at line 7: You have an error in your SQL syntax", "database.failed"),
        ] {
            assert_eq!(code(words, 2), expected, "{words}");
        }
        assert_eq!(code("", 137), "database.gone");
    }
}
