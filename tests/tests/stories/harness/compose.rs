//! Applications under Docker Compose, with the real servers of the test bed. They need `scripts/testbed up images`.

use std::fs;
use std::io::Write;
use std::ops::Deref;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Host, shell};

/// What every project of a story is called, so that `scripts/test` can see what is left behind.
const PREFIX: &str = "shipshape-test";

/// Asks the client beside a database, as its administrator, in the application's database; the question is on standard
/// input.
const ASK: &str = r#"
if [ -n "${POSTGRES_USER-}" ]; then
  PGPASSWORD=$POSTGRES_PASSWORD exec psql -X -q -A -t -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "${1:-$POSTGRES_DB}"
fi
export MYSQL_PWD=${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD}
exec $(command -v mariadb || command -v mysql) --user=root --batch --skip-column-names --default-character-set=utf8mb4 \
  --max-allowed-packet=1G "${1:-${MARIADB_DATABASE:-$MYSQL_DATABASE}}"
"#;

/// A host whose application runs under Compose. Dropped, it goes with all its containers and volumes.
pub(crate) struct Project {
    host: Host,
    name: String,
}

impl Deref for Project {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Project {
    /// One of the test bed (`fleet`, `postgres`, `mysql`), up and seeded.
    #[track_caller]
    pub(crate) fn seeded(testbed: &str) -> Self {
        let project = Self::down(testbed);
        project.up();
        shell(&format!("cd '{}' && ./seed", project.path("app").display()));
        project
    }

    /// One of the test bed, not yet up.
    #[track_caller]
    pub(crate) fn down(testbed: &str) -> Self {
        let project = Self::new(Host::new());
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed").join(testbed);
        shell(&format!("cp -a '{}/.' '{}'", from.display(), project.path("app").display()));
        project.call_it(&fs::read_to_string(from.join(".env")).unwrap_or_default());
        project
    }

    /// One of a story's own, from the text of its Compose file; not yet up.
    #[track_caller]
    pub(crate) fn of(compose: &str) -> Self {
        let project = Self::new(Host::new());
        project.write("compose.yaml", compose);
        project.call_it("");
        project
    }

    /// One that is described by what lies in the application's folder of that host already, such as a restored one.
    #[track_caller]
    pub(crate) fn on(host: Host, environment: &str) -> Self {
        let project = Self::new(host);
        project.call_it(environment);
        project
    }

    #[track_caller]
    fn new(host: Host) -> Self {
        static IMAGES: OnceLock<()> = OnceLock::new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let testbed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/testbed");
        IMAGES.get_or_init(|| drop(shell(&format!("'{}' up images", testbed.display()))));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { host, name: format!("{PREFIX}-{}-{number}", process::id()) }
    }

    /// The project's name goes into `.env`, where Compose finds it, whoever runs it.
    fn call_it(&self, environment: &str) {
        let rest: Vec<&str> = environment.lines().filter(|line| !line.starts_with("COMPOSE_PROJECT_NAME=")).collect();
        self.write(".env", format!("{}\nCOMPOSE_PROJECT_NAME={}\n", rest.join("\n"), self.name));
    }

    /// The name by which Compose knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Brings it up, and waits until it is ready.
    #[track_caller]
    pub(crate) fn up(&self) {
        self.compose("up --detach --wait --quiet-pull");
    }

    /// `docker compose` with these words; it must succeed.
    #[track_caller]
    pub(crate) fn compose(&self, words: &str) -> String {
        shell(&format!("cd '{}' && docker compose --progress quiet {words} 2>&1", self.path("app").display()))
    }

    /// The id of a service's container, whatever its state.
    #[track_caller]
    pub(crate) fn container(&self, service: &str) -> String {
        self.compose(&format!("ps --all --quiet {service}")).trim().to_owned()
    }

    /// A line of shell inside a service, as root; it must succeed.
    #[track_caller]
    pub(crate) fn inside(&self, service: &str, line: &str) -> String {
        answer(&self.container(service), &["sh", "-c", line], "")
    }

    /// What an SQL server answers, in the application's database, fields separated by tabs or `|`.
    #[track_caller]
    pub(crate) fn sql(&self, service: &str, sql: &str) -> String {
        answer(&self.container(service), &["sh", "-c", ASK, "ask", ""], sql)
    }

    /// The same in another database.
    #[track_caller]
    pub(crate) fn sql_in(&self, service: &str, database: &str, sql: &str) -> String {
        answer(&self.container(service), &["sh", "-c", ASK, "ask", database], sql)
    }

    /// What a Redis answers, one command in a line.
    #[track_caller]
    pub(crate) fn redis(&self, service: &str, commands: &str) -> String {
        let line = "REDISCLI_AUTH=$REDIS_PASSWORD exec redis-cli";
        answer(&self.container(service), &["sh", "-c", line], commands)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Its description may be broken by now; its name is enough.
        let line = format!(
            "docker ps -aq --filter label=com.docker.compose.project={0} | xargs -r docker rm -fv; \
             docker volume ls -q --filter label=com.docker.compose.project={0} | xargs -r docker volume rm -f; \
             docker network ls -q --filter label=com.docker.compose.project={0} | xargs -r docker network rm",
            self.name
        );
        let _ = Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// What a program in a container writes, if it ends well.
#[track_caller]
fn answer(container: &str, words: &[&str], given: &str) -> String {
    let mut child = Command::new("docker")
        .args(["exec", "--interactive", container])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut pipe, given) = (child.stdin.take().unwrap(), given.to_owned().into_bytes());
    let writer = std::thread::spawn(move || pipe.write_all(&given));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} in the container ended with {}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
