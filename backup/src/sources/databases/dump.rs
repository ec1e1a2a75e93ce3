//! One dump, from the server into the store: read, watched for its end mark, compressed, encrypted, without a temporary
//! copy. It counts when its client ended well *and* its end mark came.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use shipshape_core::archive::manifest::DatabaseFacts;
use shipshape_core::archive::names::{self as objects, SnapshotId};
use shipshape_core::archive::seal::{Effort, PlainHash, SealedWriter, Sealing};
use shipshape_core::archive::store::StoreError;
use shipshape_core::child::Stopper;
use shipshape_core::clock;
use shipshape_core::database::dump::{Content, NotWhole, RdbReader, Scanner, Seen};
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::progress::Progress;
use shipshape_core::signal;
use shipshape_core::stack::Exec;
use shipshape_core::units;

use super::names::stem;
use super::{Asked, Part};

/// Bytes that are read at once: what one turn of compressing takes, and few enough turns that their cost does not show.
const PIECE: usize = 256 * 1024;

/// Pieces on their way between the two threads: 4 MiB, so that neither the server nor the compressor waits for a hiccup
/// of the other.
const PIECES: usize = 16;

/// How long a dump may stand still before it is given up. A table that is locked for so long, or a client that goes in
/// circles (mariadb-dump 11.8 can, on some events), would otherwise hold the lock of backups for ever.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Why a dump is not in the snapshot, beside what its client and the store say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    /// Its client ended well, and yet it is not whole.
    #[error("the dump of {what} is not whole")]
    NotWhole {
        /// The database and its service.
        what: String,
        /// What is missing.
        #[source]
        source: NotWhole,
    },
    /// Nothing comes any more, and no end either.
    #[error("the dump of {what} has stood still for {}", units::spoken(PATIENCE))]
    StoodStill {
        /// The database and its service.
        what: String,
    },
}

impl Explain for DumpError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotWhole { source, .. } => source.code(),
            Self::StoodStill { .. } => "dump.stood_still",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotWhole { source, .. } => source.hint(),
            Self::StoodStill { .. } => {
                "see what the server waits for, mostly a lock: SHOW PROCESSLIST, or SELECT * FROM pg_stat_activity"
                    .to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotWhole { source, .. } => source.exit(),
            Self::StoodStill { .. } => Exit::Critical,
        }
    }
}

/// A dump that is whole, ready to be given its name in the store.
pub(crate) struct Dumped {
    /// The payload.
    pub(crate) writer: SealedWriter,
    /// What is known of it.
    pub(crate) facts: DatabaseFacts,
    /// What is worth a word about it.
    pub(crate) unchecked: bool,
}

/// Dumps one database, or what belongs to the whole server.
pub(crate) fn take(
    server: &Asked<'_>,
    part: &Part,
    sealing: Sealing<'_>,
    id: &SnapshotId,
    progress: &Progress,
) -> Result<Dumped, Failure> {
    signal::check()?;
    let engine = server.facts.engine;
    let is_globals = part.database.is_none();
    let object = objects::payload(id, &stem(&part.name, is_globals, engine.suffix()), sealing.wrapping);
    let mut writer = SealedWriter::create(sealing, object, Effort::Usual, PlainHash::Sha256)?;
    let started = clock::now();
    let exec = server.client.dump(part.dump())?;
    let content = if is_globals { Content::Globals } else { Content::Database };
    let scanner = carry(server, part, exec, Scanner::new(engine, content), &mut writer, progress)?;
    let what = spoken(server, part);
    let seen = scanner.finish().map_err(|source| DumpError::NotWhole { what, source })?;
    let unchecked = seen.unchecked;
    Ok(Dumped { writer, facts: facts(server, part, started, seen), unchecked })
}

/// The database with its service, for messages.
fn spoken(server: &Asked<'_>, part: &Part) -> String {
    let service = server.client.service();
    match &part.database {
        None if server.facts.engine.is_mysql() => format!("the accounts and roles of the service {service}"),
        None => format!("the roles and settings of the service {service}"),
        Some(_) if !server.facts.engine.is_sql() => format!("the service {service}"),
        Some(database) => format!("the database {:?} of the service {service}", database.name),
    }
}

/// What the manifest will say of it.
fn facts(server: &Asked<'_>, part: &Part, started: chrono::DateTime<chrono::Utc>, seen: Seen) -> DatabaseFacts {
    DatabaseFacts {
        engine: server.facts.engine,
        database: part.database_name().to_owned(),
        globals: part.database.is_none(),
        service: server.client.service().to_owned(),
        origin: server.client.server().service.origin.clone(),
        server_version: server.facts.version.clone(),
        client_version: seen.client,
        started,
        finished: clock::now(),
        settings: part.database.as_ref().map(|database| database.settings.clone()).unwrap_or_default(),
        tables: seen.tables,
        longest_statement: seen.longest_statement,
    }
}

/// Carries a dump to its end. Two sides can fail: what the store says of itself is told as it is, and all else is what
/// the client says of its end. Whatever happens, the client is gone then, in the container too.
fn carry(
    server: &Asked<'_>,
    part: &Part,
    mut exec: Exec,
    mut scanner: Scanner,
    writer: &mut SealedWriter,
    progress: &Progress,
) -> Result<Scanner, Failure> {
    let key = writer.key().to_owned();
    let form = if server.facts.engine.is_sql() { Form::AsItIs } else { Form::Rdb };
    let carried = pump(&mut exec, form, &mut scanner, writer, progress);
    match carried {
        Err(Broken::Sink(cause)) => {
            drop(exec);
            // Asked to stop, the pipe may break at either end first.
            signal::check()?;
            Err(StoreError::from_io("write", &key, cause).into())
        }
        Err(Broken::StoodStill) => {
            drop(exec);
            signal::check()?;
            Err(DumpError::StoodStill { what: spoken(server, part) }.into())
        }
        Ok(()) | Err(Broken::Source(_)) => {
            let database = part.database.as_ref().map(|database| database.name.as_str());
            server.client.ended(exec, "the dump", database)?;
            carried.map_err(|broken| server.client.broken(&broken.cause()))?;
            Ok(scanner)
        }
    }
}

/// What is done to the client's output.
#[derive(Clone, Copy, Debug)]
enum Form {
    AsItIs,
    /// What a Redis server sends behind the file is cut off.
    Rdb,
}

/// Which side broke.
enum Broken {
    Source(io::Error),
    Sink(io::Error),
    StoodStill,
}

impl Broken {
    fn cause(self) -> io::Error {
        match self {
            Self::Source(cause) | Self::Sink(cause) => cause,
            Self::StoodStill => io::ErrorKind::TimedOut.into(),
        }
    }
}

/// Reads in one thread, and compresses and writes in another: the server never waits for the compressor while there is
/// room between them.
fn pump(
    exec: &mut Exec,
    form: Form,
    scanner: &mut Scanner,
    sink: &mut SealedWriter,
    progress: &Progress,
) -> Result<(), Broken> {
    let stopper = exec.stopper();
    let (to_sink, from_source) = bounded::<Vec<u8>>(PIECES);
    let (to_source, used) = bounded::<Vec<u8>>(PIECES);
    thread::scope(|scope| {
        let reader = scope.spawn(move || match form {
            Form::AsItIs => read(exec, scanner, &to_sink, &used),
            Form::Rdb => read(&mut RdbReader::new(exec), scanner, &to_sink, &used),
        });
        let written = write(sink, from_source, &to_source, progress);
        if written.is_err() {
            // The reader may be waiting for a server that says nothing; it need not any more.
            stopper.iter().for_each(Stopper::stop);
        }
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(read.map_err(Broken::Source))
    })
}

/// Until the end of the dump, or until nobody takes it any more.
fn read(
    source: &mut dyn Read,
    scanner: &mut Scanner,
    sink: &Sender<Vec<u8>>,
    used: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let mut piece = used.try_recv().unwrap_or_default();
        piece.clear();
        let length = source.take(PIECE as u64).read_to_end(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        scanner.feed(&piece);
        if sink.send(piece).is_err() {
            return Ok(());
        }
    }
}

/// Takes the pieces to the store.
#[expect(clippy::needless_pass_by_value, reason = "gone with it, the receiver tells the reader to stop")]
fn write(
    sink: &mut SealedWriter,
    pieces: Receiver<Vec<u8>>,
    used: &Sender<Vec<u8>>,
    progress: &Progress,
) -> Result<(), Broken> {
    loop {
        match pieces.recv_timeout(PATIENCE) {
            Ok(piece) => {
                sink.write_all(&piece).map_err(Broken::Sink)?;
                progress.add(piece.len() as u64);
                let _ = used.try_send(piece);
            }
            Err(RecvTimeoutError::Timeout) => return Err(Broken::StoodStill),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
