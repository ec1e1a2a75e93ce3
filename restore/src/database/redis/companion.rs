//! A second server beside the live one, which has what is to come in, and from which the live one takes it.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shipshape_core::database::dump::{Content, LoadError, Scanner, Seen};
use shipshape_core::database::{Client, DatabaseError, Engine};
use shipshape_core::machine;
use shipshape_core::signal;
use shipshape_core::stack::scratch::{Companion, Lease, ScratchError};

use super::super::RestoreError;
use super::info::{self, Info, Keyspace};

/// The ports among which one is chosen: below those that Linux gives out by itself (`ip_local_port_range`).
const PORTS: std::ops::Range<u64> = 20_000..32_000;

/// The pause between questions.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for its files, then becomes the server. No password is in its arguments: they are in its configuration.
const SCRIPT: &str = r#"
umask 077
server=
for name in redis-server valkey-server keydb-server; do
  if command -v $name >/dev/null 2>&1; then server=$name; break; fi
done
[ -n "$server" ] || { echo "the image has no redis-server in its PATH"; exit 127; }
cd /shipshape || exit
until [ -e ready ]; do sleep 0.05; done
exec $server /shipshape/server.conf"#;

/// Takes the configuration; its first line is the password that the live server shows to its masters, if it does.
const CONFIGURE: &str = r#"
umask 077; cd /shipshape || exit
IFS= read -r auth; [ -z "$auth" ] || printf %s "$auth" >auth
cat >server.conf"#;

/// Takes the data, and lets the server start when all of it is there.
const TAKE: &str = r"umask 077; cd /shipshape && cat >dump.part && mv dump.part dump.rdb && : >ready";

/// Asks the server: `$1` is its port.
const ASK: &str = r#"
for name in redis-cli valkey-cli keydb-cli; do
  if command -v $name >/dev/null 2>&1; then break; fi
done
unset REDISCLI_AUTH
if [ -r /shipshape/auth ]; then REDISCLI_AUTH=$(cat /shipshape/auth); export REDISCLI_AUTH; fi
exec $name --raw -p "$1""#;

/// What has to live as long as a second server is needed.
pub(super) struct Lent(Lease);

impl Lent {
    /// Removes what dead runs have left, and makes room for something new. The folder is one of the state: there every run
    /// of the machine sees whether this one lives, which need not be so of `/tmp` (systemd, `PrivateTmp=`).
    pub(super) fn new(folder: &Path) -> Result<Self, ScratchError> {
        shipshape_core::stack::scratch::sweep(folder);
        Lease::take(folder).map(Self)
    }
}

/// The second server.
pub(super) struct Standby {
    companion: Companion,
    service: String,
    engine: Engine,
    port: u64,
    cleaning: bool,
}

impl Standby {
    /// Starts it beside the live one, without anything in it.
    pub(super) fn start(client: &Client<'_>, name: &str, lent: &Lent) -> Result<Self, RestoreError> {
        let port = PORTS.start + machine::random() % (PORTS.end - PORTS.start);
        let configuration = configuration(client, port)?;
        let note = port.to_string();
        let companion = Companion::start(client.service(), client.instance(), (name, &note), &lent.0, SCRIPT)?;
        let started = Self::of(client, companion, port);
        started.run(CONFIGURE, &[], Some(given(&configuration)))?;
        Ok(started)
    }

    /// The one of that name, if it has been started.
    pub(super) fn find(client: &Client<'_>, name: &str) -> Option<Self> {
        let (companion, port) = Companion::find(client.service(), client.instance(), name)?;
        Some(Self::of(client, companion, port.trim().parse().ok()?))
    }

    fn of(client: &Client<'_>, companion: Companion, port: u64) -> Self {
        let service = client.service().to_owned();
        Self { companion, service, engine: client.engine(), port, cleaning: client.is_for_cleanup() }
    }

    /// Where it listens, on 127.0.0.1.
    pub(super) fn port(&self) -> u64 {
        self.port
    }

    /// Takes an RDB file, if it is whole, and starts with it.
    pub(super) fn take(&self, name: &str, from: Box<dyn Read + Send>) -> Result<(), RestoreError> {
        let (reader, verdict) = watched(self.engine, from);
        let taken = self.run(TAKE, &[], Some(reader));
        // A dump that is not whole stops the taking: that is why, and not that it was stopped.
        verdict.finish(name, taken.is_ok())?;
        taken.map(drop)
    }

    /// Waits until it has loaded what it has taken.
    pub(super) fn loaded(&self) -> Result<Keyspace, RestoreError> {
        loop {
            // Before it listens it says nothing; while it loads it says so.
            if let Ok(answer) = self.ask("INFO\n")
                && Info::read(&answer).text("loading") == "0"
            {
                return Ok(Keyspace::read(&answer));
            }
            self.companion.check()?;
            if !self.cleaning {
                signal::check()?;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The keys that it has.
    pub(super) fn keyspace(&self) -> Result<Keyspace, RestoreError> {
        Ok(Keyspace::read(&self.ask("INFO keyspace\n")?))
    }

    /// Fails if it has ended by itself.
    pub(super) fn check(&self) -> Result<(), RestoreError> {
        Ok(self.companion.check()?)
    }

    /// Removes it with all that it has.
    pub(super) fn remove(&self) {
        self.companion.remove();
    }

    fn ask(&self, commands: &str) -> Result<String, RestoreError> {
        self.run(ASK, &[&self.port.to_string()], Some(given(commands)))
    }

    fn run(&self, script: &str, args: &[&str], stdin: Option<Box<dyn Read + Send>>) -> Result<String, RestoreError> {
        let words: Vec<&str> = ["sh", "-c", script, "shipshape"].into_iter().chain(args.iter().copied()).collect();
        let mut exec = self.companion.exec(&words, stdin, self.cleaning).map_err(DatabaseError::from)?;
        let mut said = String::new();
        let heard = exec.read_to_string(&mut said);
        let gone = |why: String| DatabaseError::Gone { service: format!("beside {}", self.service), why };
        exec.finish().map_err(|refused| match self.companion.check() {
            Ok(()) => RestoreError::from(gone(refused.to_string())),
            Err(died) => died.into(),
        })?;
        heard.map_err(|cause| gone(cause.to_string()))?;
        Ok(said)
    }
}

fn given(text: &str) -> Box<dyn Read + Send> {
    Box::new(io::Cursor::new(text.to_owned().into_bytes()))
}

/// What [`CONFIGURE`] takes. The questions are asked together: each takes its time on the way.
fn configuration(client: &Client<'_>, port: u64) -> Result<String, RestoreError> {
    let told = client.redis("CONFIG GET databases\nCONFIG GET masterauth\nCONFIG GET masteruser\nMODULE LIST\n")?;
    let value = |name: &str| info::pair(&told, name);
    let mut text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\ndbfilename dump.rdb\nappendonly no\nsave \"\"\n\
         repl-diskless-sync yes\nrepl-diskless-sync-delay 0\n",
        Companion::DATA
    );
    if let Some(number) = value("databases") {
        let _ = writeln!(text, "databases {number}");
    }
    for module in info::modules(&told) {
        let _ = writeln!(text, "loadmodule {}", quoted(&module));
    }
    let (user, password) = (value("masteruser"), value("masterauth"));
    shipshape_core::redact::learn(password.as_deref().unwrap_or_default());
    // A server without a password refuses one that is shown to it.
    let shown = match (user, password) {
        (Some(user), Some(password)) => {
            let _ = writeln!(text, "user {} on {} ~* +@all", quoted(&user), quoted(&format!(">{password}")));
            None
        }
        (None, Some(password)) => {
            let _ = writeln!(text, "requirepass {}", quoted(&password));
            Some(password)
        }
        (_, None) => None,
    };
    Ok(format!("{}\n{text}", shown.unwrap_or_default()))
}

/// A word of a configuration, whatever is in it (redis.conf, "quoted arguments").
fn quoted(word: &str) -> String {
    let mut text = String::from('"');
    for byte in word.bytes() {
        let _ = write!(text, "\\x{byte:02x}");
    }
    text + "\""
}

/// A dump on its way, which fails instead of ending unless it is whole, and its verdict for those who gave it away.
pub(super) fn watched(engine: Engine, from: Box<dyn Read + Send>) -> (Box<dyn Read + Send>, Verdict) {
    let verdict = Verdict::default();
    let scanner = Some(Scanner::new(engine, Content::Database));
    (Box::new(Watched { from, scanner, verdict: verdict.clone() }), verdict)
}

struct Watched {
    from: Box<dyn Read + Send>,
    scanner: Option<Scanner>,
    verdict: Verdict,
}

/// What was found of a dump.
#[derive(Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<Result<Seen, LoadError>>>>);

impl Verdict {
    /// The verdict. That there is none is only worth telling if whoever read the dump is content with it.
    pub(super) fn finish(&self, name: &str, is_taken: bool) -> Result<(), RestoreError> {
        let unread = || is_taken.then_some(LoadError::Unread);
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let wrong = found.map_or_else(unread, Result::err);
        wrong.map_or(Ok(()), |source| Err(RestoreError::Dump { dump: name.to_owned(), source }))
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        if length > 0 || buffer.is_empty() {
            if let Some(scanner) = &mut self.scanner {
                scanner.feed(&buffer[..length]);
            }
            return Ok(length);
        }
        let Some(scanner) = self.scanner.take() else { return Ok(0) };
        let found = scanner.finish().map_err(LoadError::from);
        let broken = found.as_ref().err().cloned();
        *self.verdict.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        broken.map_or(Ok(0), |cause| Err(io::Error::new(io::ErrorKind::InvalidData, cause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_configuration_may_hold_anything() {
        assert_eq!(quoted("a\"b\n"), "\"\\x61\\x22\\x62\\x0a\"");
    }

    #[test]
    fn a_dump_that_is_not_whole_fails_where_it_would_end() {
        let (mut reader, verdict) = watched(Engine::Redis, Box::new(&b"REDIS0011 and no end"[..]));
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
        assert!(matches!(verdict.finish("cache", false), Err(RestoreError::Dump { .. })));
        let (_, unread) = watched(Engine::Redis, Box::new(io::empty()));
        assert!(unread.finish("cache", true).is_err() && unread.finish("cache", false).is_ok());
    }
}
