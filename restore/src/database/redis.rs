//! Redis and Valkey come back by replication: the server takes everything from another one, and both files on its disk, the
//! snapshot and the log, follow by its own doing. Nobody touches its volume, and it never restarts.
//!
//! ```text
//! RDB ──> companion: same image, same network, loads it ──> counted
//!                        ↑
//!            live ── REPLICAOF 127.0.0.1 PORT … REPLICAOF NO ONE ──> counted, saved
//! ```
//! The old side is a file that the live server's own client writes into its data folder, beside what it keeps there itself.
//! An append-only log that is older than what comes back cannot win: a replica writes a new one (`aof_rewrite`) as soon as
//! it has what its master has.

mod companion;
#[cfg(test)]
mod fuzz;
mod info;

use std::any::Any;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::clock::Stopwatch;
use shipshape_core::database::Client;
use shipshape_core::database::dump::RdbReader;
use shipshape_core::report::Notice;
use shipshape_core::signal;

use super::dump::Dump;
use super::{Exchange, Loaded, RestoreError, There, Way};
use companion::{Lent, Standby, watched};
use info::{Info, Keyspace};

/// How long nothing may move while the live server takes the data over.
const STANDSTILL: Duration = Duration::from_secs(60);

/// How long saving to disk may take.
const SAVING: Duration = Duration::from_secs(3600);

/// The pause between questions.
const PAUSE: Duration = Duration::from_millis(100);

/// The name, in [`Exchange::saved`], of what tells whether the live server has taken anything over.
const LINEAGE: &str = "replid";

/// Writes standard input to a file, whole or not at all; `$1` is the file.
const STORE: &str = r#"
umask 077
IFS= read -r given
cat >"$1.part" && sync && mv -f -- "$1.part" "$1" || { rm -f -- "$1.part"; exit 1; }"#;

/// Removes what [`STORE`] has written.
const REMOVE: &str = r#"rm -f -- "$1" "$1.part""#;

/// Says whether the file is there.
const LOOK: &str = r#"[ ! -e "$1" ] || echo there"#;

/// Gives the file out.
const READ: &str = r#"exec cat -- "$1""#;

/// The way back for Redis and Valkey.
pub(crate) struct Redis;

impl Way for Redis {
    fn load(
        &self,
        client: &Client<'_>,
        _: &DatabaseFacts,
        into: &str,
        dump: Dump,
        folder: &Path,
    ) -> Result<Loaded, RestoreError> {
        Live::look(client)?;
        let lent = Lent::new(folder)?;
        let standby = Standby::start(client, into, &lent)?;
        let Dump { name, reader, promise } = dump;
        standby.take(&name, reader)?;
        promise.map_or(Ok(()), super::dump::Promise::check)?;
        let keys = standby.loaded()?.keys();
        let hold = Some(Box::new(lent) as Box<dyn Any + Send>);
        Ok(Loaded { tables: BTreeMap::new(), rows: keys, later: Vec::new(), notices: Vec::new(), hold })
    }

    fn prepare(&self, client: &Client<'_>, exchange: &mut Exchange, _: &Path) -> Result<Vec<Notice>, RestoreError> {
        let info = awake(client)?;
        exchange.saved.insert(LINEAGE.to_owned(), info.text("master_replid").to_owned());
        Ok(Vec::new())
    }

    fn swap(&self, client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError> {
        let live = Live::look(client)?;
        let (standby, _lent) = if let Some(loaded) = Standby::find(client, &exchange.incoming) {
            (loaded, None)
        } else {
            let lent = Lent::new(folder)?;
            (live.standby_from_kept(client, &exchange.incoming, &lent)?, Some(lent))
        };
        if exchange.replaces {
            live.keep(client, &exchange.outgoing)?;
        } else {
            live.mark(client, &exchange.outgoing)?;
        }
        take_over(client, &exchange.live, &standby)?;
        standby.remove();
        save(client, &exchange.live)
    }

    fn back(&self, client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError> {
        let cleaning = client.for_cleanup();
        release(&cleaning)?;
        let live = Live::look(&cleaning)?;
        if !live.has_taken_over(&cleaning, exchange)? {
            return live.remove(&cleaning, &exchange.outgoing);
        }
        if !exchange.replaces {
            // There was nothing, and nothing is to be there again.
            cleaning.redis("FLUSHALL\n")?;
            save(&cleaning, &exchange.live)?;
            return live.remove(&cleaning, &exchange.outgoing);
        }
        let lent = Lent::new(folder)?;
        let standby = live.standby_from_kept(&cleaning, &exchange.outgoing, &lent)?;
        take_over(&cleaning, &exchange.live, &standby)?;
        save(&cleaning, &exchange.live)?;
        live.remove(&cleaning, &exchange.outgoing)
    }

    fn is_swapped(&self, client: &Client<'_>, exchange: &Exchange) -> Result<bool, RestoreError> {
        let cleaning = client.for_cleanup();
        release(&cleaning)?;
        Live::look(&cleaning)?.has_taken_over(&cleaning, exchange)
    }

    fn keep_live(&self, client: &Client<'_>, name: &str) -> Result<(), RestoreError> {
        let cleaning = client.for_cleanup();
        let live = Live::look(&cleaning)?;
        // What was kept first is what the application had written: after that the server may be on its way back.
        if live.has(&cleaning, name)? { Ok(()) } else { live.keep(&cleaning, name) }
    }

    fn move_aside(&self, _: &Client<'_>, _: &Exchange, _: &str, _: &Path) -> Result<(), RestoreError> {
        Ok(())
    }

    fn discard(&self, client: &Client<'_>, database: &str) -> Result<(), RestoreError> {
        if let Some(standby) = Standby::find(client, database) {
            standby.remove();
        }
        let cleaning = client.for_cleanup();
        Live::look(&cleaning)?.remove(&cleaning, database)
    }

    fn look(&self, client: &Client<'_>, database: &str) -> Result<There, RestoreError> {
        if database != client.service() && Standby::find(client, database).is_none() {
            return Ok(if Live::look(client)?.has(client, database)? { There::Something } else { There::Nothing });
        }
        let is_empty = Keyspace::read(&client.redis("INFO keyspace\n")?).keys() == 0;
        Ok(if is_empty { There::Empty } else { There::Something })
    }
}

/// A live server that can take data over.
struct Live {
    /// Its data folder, as it sees it.
    folder: String,
    info: Info,
}

impl Live {
    /// Looks whether it can. Nothing is changed: `REPLICAOF NO ONE` says nothing new to a server that is its own master.
    fn look(client: &Client<'_>) -> Result<Self, RestoreError> {
        let immovable =
            |why: &str| RestoreError::Immovable { database: client.service().to_owned(), why: why.to_owned() };
        let info = awake(client)?;
        if info.text("cluster_enabled") == "1" {
            return Err(immovable("it is a node of a cluster, whose data lies on several servers"));
        }
        if info.is_replica() {
            let master = info.text("master_host");
            return Err(immovable(&format!("it is a replica of {master}: restore that one, and this one follows")));
        }
        let asked = client.redis("CONFIG GET dir\nREPLICAOF NO ONE\n");
        let answer = asked.map_err(|refused| immovable(&format!("it refuses CONFIG GET or REPLICAOF: {refused}")))?;
        let folder = info::pair(&answer, "dir").ok_or_else(|| immovable("it does not tell its data folder"))?;
        Ok(Self { folder, info })
    }

    /// Where an old side is kept.
    fn file(&self, name: &str) -> String {
        format!("{}/{name}.rdb", self.folder.trim_end_matches('/'))
    }

    /// Writes everything that the server has to a file beside its own.
    fn keep(&self, client: &Client<'_>, name: &str) -> Result<(), RestoreError> {
        let source = client.dump(shipshape_core::database::Dump::Database(""))?;
        let (reader, verdict) = watched(client.engine(), Box::new(RdbReader::new(source)));
        let exec = client.start(STORE, &[&self.file(name)], Some(reader))?;
        let stored = client.ended(exec, "keeping the old side", None);
        verdict.finish(name, stored.is_ok())?;
        Ok(stored?)
    }

    /// Notes that the server, in which there is nothing, takes over from here on.
    fn mark(&self, client: &Client<'_>, name: &str) -> Result<(), RestoreError> {
        let exec = client.start(STORE, &[&self.file(name)], Some(Box::new(std::io::empty())))?;
        Ok(client.ended(exec, "noting that it takes over", None)?)
    }

    /// Whether it may have taken anything over. A restart gives a server another lineage too, so that alone says nothing.
    fn has_taken_over(&self, client: &Client<'_>, exchange: &Exchange) -> Result<bool, RestoreError> {
        let is_same = exchange.saved.get(LINEAGE).is_some_and(|id| id == self.info.text("master_replid"));
        Ok(!is_same && self.has(client, &exchange.outgoing)?)
    }

    /// A server that has what was kept under a name.
    fn standby_from_kept(&self, client: &Client<'_>, name: &str, lent: &Lent) -> Result<Standby, RestoreError> {
        let standby = Standby::start(client, name, lent)?;
        let source = client.start(READ, &[&self.file(name)], None)?;
        standby.take(name, Box::new(source))?;
        standby.loaded()?;
        Ok(standby)
    }

    /// Whether something is kept under a name.
    fn has(&self, client: &Client<'_>, name: &str) -> Result<bool, RestoreError> {
        let mut exec = client.start(LOOK, &[&self.file(name)], None)?;
        let mut said = Vec::new();
        let heard = exec.read_to_end(&mut said).map_err(|cause| client.broken(&cause));
        client.ended(exec, "looking for an old side", None)?;
        heard?;
        Ok(!said.is_empty())
    }

    fn remove(&self, client: &Client<'_>, name: &str) -> Result<(), RestoreError> {
        let exec = client.start(REMOVE, &[&self.file(name)], None)?;
        Ok(client.ended(exec, "removing an old side", None)?)
    }
}

/// The live server becomes a replica until it has everything, and its own master again.
fn take_over(client: &Client<'_>, live: &str, standby: &Standby) -> Result<(), RestoreError> {
    let expected = standby.keyspace()?;
    client.redis(&format!("REPLICAOF 127.0.0.1 {}\n", standby.port()))?;
    match follow(client, live, standby).and_then(|found| compare(live, &expected, &found)) {
        Ok(()) => Ok(client.for_cleanup().redis("REPLICAOF NO ONE\n").map(drop)?),
        Err(failed) => release(&client.for_cleanup()).and(Err(failed)),
    }
}

/// Waits until the live server has what the other has, and returns what it has then. As long as something moves, it may
/// take as long as it takes.
fn follow(client: &Client<'_>, live: &str, standby: &Standby) -> Result<Keyspace, RestoreError> {
    let mut still = Stopwatch::start();
    let mut last = String::new();
    loop {
        let answer = client.redis("INFO\n")?;
        let info = Info::read(&answer);
        if info.is_in_step_with(&standby.port().to_string()) {
            return Ok(Keyspace::read(&answer));
        }
        let progress = info.progress();
        if progress != last {
            (still, last) = (Stopwatch::start(), progress);
        }
        if still.elapsed() > STANDSTILL {
            let why = format!("it does not take the data over: its link is {}", info.text("master_link_status"));
            return Err(RestoreError::Immovable { database: live.to_owned(), why });
        }
        standby.check()?;
        pause(client)?;
    }
}

/// Both must have the same keys; those with an end of their own may have met it in between.
fn compare(live: &str, expected: &Keyspace, found: &Keyspace) -> Result<(), RestoreError> {
    match expected.differs_from(found) {
        None => Ok(()),
        Some(why) => Err(RestoreError::Differs { database: live.to_owned(), why }),
    }
}

/// The server is its own master again, if it is a replica of one of ours. Of any other it is none of our business.
fn release(client: &Client<'_>) -> Result<(), RestoreError> {
    let info = awake(client)?;
    if info.is_replica() && info.text("master_host") == "127.0.0.1" {
        client.redis("REPLICAOF NO ONE\n")?;
    }
    Ok(())
}

/// What the server tells once it has loaded what it is loading: until then it takes no orders.
fn awake(client: &Client<'_>) -> Result<Info, RestoreError> {
    let mut still = Stopwatch::start();
    let mut last = String::new();
    loop {
        let info = Info::read(&client.redis("INFO\n")?);
        if info.text("loading") != "1" && info.text("async_loading") != "1" {
            return Ok(info);
        }
        let loaded = info.text("loading_loaded_bytes").to_owned();
        if loaded != last {
            (still, last) = (Stopwatch::start(), loaded);
        }
        if still.elapsed() > STANDSTILL {
            let why = "it is loading, and does not get on".to_owned();
            return Err(RestoreError::Immovable { database: client.service().to_owned(), why });
        }
        pause(client)?;
    }
}

/// What the server has is on its disk: its log is written anew by itself, without one a snapshot is made.
fn save(client: &Client<'_>, live: &str) -> Result<(), RestoreError> {
    let info = Info::read(&client.redis("INFO persistence\n")?);
    let (busy, verdict) = if info.text("aof_enabled") == "1" {
        (["aof_rewrite_in_progress", "aof_rewrite_scheduled"], "aof_last_bgrewrite_status")
    } else {
        // Refused where one is being made already; a second one then has everything.
        let saving = client.redis("BGSAVE\n").or_else(|_| client.redis("BGSAVE SCHEDULE\n"));
        saving?;
        (["rdb_bgsave_in_progress", "rdb_bgsave_scheduled"], "rdb_last_bgsave_status")
    };
    let watch = Stopwatch::start();
    loop {
        let info = Info::read(&client.redis("INFO persistence\n")?);
        if busy.iter().all(|name| info.text(name) != "1") {
            return match info.text(verdict) {
                "ok" => Ok(()),
                _ => Err(not_saved(live, "see its log, and whether its disk is full")),
            };
        }
        if watch.elapsed() > SAVING {
            return Err(not_saved(live, "it is still at it after an hour"));
        }
        pause(client)?;
    }
}

fn not_saved(live: &str, why: &str) -> RestoreError {
    let why = format!("what came in cannot be saved to its disk: {why}");
    RestoreError::Immovable { database: live.to_owned(), why }
}

/// A moment, unless the run was asked to stop and is not cleaning up.
fn pause(client: &Client<'_>) -> Result<(), RestoreError> {
    if !client.is_for_cleanup() {
        signal::check()?;
    }
    std::thread::sleep(PAUSE);
    Ok(())
}
