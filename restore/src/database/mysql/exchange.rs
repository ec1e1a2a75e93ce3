//! Moves the tables of two databases past each other, and gives each what belongs to its tables.
//!
//! What `prepare` saves in the journal's folder, for STEM:
//!
//! ```text
//! STEM-old.json  STEM-new.json         what was in the live database and in the incoming one, by names
//! STEM-old-KIND.sql  STEM-new-KIND.sql statements that make its triggers, routines, views, events
//! ```
//! `RENAME TABLE` refuses tables with triggers of another database, so these go first and come back afterwards. MySQL can
//! do it all while it holds the tables locked (since 8.0.13), so that no row is ever written past a trigger. MariaDB renames
//! no locked tables: there the locks only prove that nobody holds the tables, and a row that is written in the moment
//! between meets no trigger.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use shipshape_core::atomic;
use shipshape_core::database::{Client, DatabaseError, Engine, Objects};
use shipshape_core::report::Notice;
use shipshape_core::units::counted;

use super::super::{Exchange, MAY_LACK, RestoreError, earlier, later, read_if_there};
use super::inventory::Inventory;
use super::objects::{self, KINDS};
use super::{quoted, settings};

/// How long a statement waits for whoever holds a table, in seconds. As long, everybody else waits behind it.
const PATIENCE_S: u32 = 5;

/// How long it waits once the tables have moved and the rest must follow, in seconds.
const INSISTENCE_S: u32 = 60;

/// How long a killed run's last statements may take, in seconds.
const LAST_WORDS_S: u32 = 600;

/// How often the swap is tried.
const TRIES: u32 = 3;

/// The most tables that are locked at once: each lock opens a table.
const MOST_LOCKED: usize = 400;

/// The two databases of an exchange.
#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// Where an exchange has its files.
struct Saved<'a> {
    folder: &'a Path,
    stem: &'a str,
}

impl Saved<'_> {
    fn inventory(&self, side: Side) -> PathBuf {
        self.folder.join(format!("{}-{}.json", self.stem, side.word()))
    }

    fn text(&self, side: Side, kind: Objects) -> PathBuf {
        self.folder.join(format!("{}-{}-{}.sql", self.stem, side.word(), kind.word()))
    }

    fn write(&self, side: Side, inventory: &Inventory) -> Result<(), RestoreError> {
        let json = serde_json::to_vec(inventory).unwrap_or_default();
        Ok(atomic::replace(&self.inventory(side), &json)?)
    }

    /// What was there; none before `prepare` has come to its end.
    fn read(&self, side: Side) -> Result<Option<Inventory>, RestoreError> {
        let path = self.inventory(side);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| RestoreError::Journal { path, source })
    }

    fn statements(&self, side: Side, kind: Objects) -> Result<Vec<u8>, RestoreError> {
        Ok(read_if_there(&self.text(side, kind))?.unwrap_or_default())
    }
}

/// Reads all that must be known, and writes it where a killed run finds it.
pub(super) fn prepare(
    client: &Client<'_>,
    exchange: &mut Exchange,
    folder: &Path,
) -> Result<Vec<Notice>, RestoreError> {
    refuse_strangers(client, &exchange.live)?;
    let [mut new, old, outgoing] = Inventory::all(client, [&exchange.incoming, &exchange.live, &exchange.outgoing])?;
    if outgoing.exists {
        let (service, database) = (exchange.service.clone(), exchange.outgoing.clone());
        return Err(RestoreError::Exists { service, database });
    }
    let saved = Saved { folder, stem: &exchange.stem };
    let mut of_new = objects::read(client, &exchange.incoming, &WITHOUT_EVENTS, &new)?;
    of_new.extend(read_if_there(&later(folder, &exchange.stem))?.map(|events| (Objects::Events, events)));
    let (of_old, mut notices) = old_objects(client, &exchange.live, &old)?;
    if exchange.saved.contains_key(MAY_LACK) {
        notices.extend(borrow((&mut new, &mut of_new), (&old, &of_old)));
    }
    for (side, texts) in [(Side::New, &of_new), (Side::Old, &of_old)] {
        for (kind, text) in texts {
            atomic::replace(&saved.text(side, *kind), text)?;
        }
    }
    let events = of_old.get(&Objects::Events).map(Vec::as_slice).unwrap_or_default();
    atomic::replace(&earlier(folder, &exchange.stem), events)?;
    saved.write(Side::New, &new)?;
    // Last of all: with it, the preparation is whole.
    saved.write(Side::Old, &old)?;
    Ok(notices)
}

/// Statements by what they make.
type Texts = BTreeMap<Objects, Vec<u8>>;

/// What a dump is only made with where somebody asks for it stays as it is, if the dump has none. Then what is live is of
/// two days, and somebody should look.
fn borrow((new, of_new): (&mut Inventory, &mut Texts), (old, of_old): (&Inventory, &Texts)) -> Option<Notice> {
    let mut borrowed = Vec::new();
    for kind in [Objects::Routines, Objects::Events] {
        if of_new.get(&kind).is_none_or(Vec::is_empty) {
            let text = of_old.get(&kind).filter(|text| !text.is_empty());
            borrowed.extend(text.map(|_| kind.word()));
            of_new.extend(text.map(|text| (kind, text.clone())));
            match kind {
                Objects::Routines => new.routines.clone_from(&old.routines),
                Objects::Events | Objects::Triggers | Objects::Views => new.events.clone_from(&old.events),
            }
        }
    }
    let message = format!("the dump has no {}: those that were live stay", borrowed.join(" and no "));
    let hint = "it was made without --routines or --events; look whether they fit the tables of that day";
    (!borrowed.is_empty()).then(|| Notice::new("restore.carried_over", message, hint))
}

/// What moves with its tables, in a manner of speaking. Events act, and are made where the database is live alone.
const WITHOUT_EVENTS: [Objects; 3] = [Objects::Triggers, Objects::Routines, Objects::Views];

/// The objects of the live database. It may be broken, which may be why it is restored: a view of a table that is gone
/// cannot be read.
fn old_objects(client: &Client<'_>, live: &str, inventory: &Inventory) -> Result<(Texts, Vec<Notice>), RestoreError> {
    match objects::read(client, live, &KINDS, inventory) {
        Err(RestoreError::Server(DatabaseError::Client { why, .. })) if !inventory.views.is_empty() => {
            let mut usable = inventory.clone();
            usable.views.retain(|view| objects::is_usable(client, live, view));
            let lost =
                counted(u64::try_from(inventory.views.len() - usable.views.len()).unwrap_or(u64::MAX), "view", "views");
            let message = format!("{lost} of {live} cannot be read and will be missing on the old side: {why}");
            let hint = "broken before: a table or routine of theirs is gone";
            let notice = Notice::new("restore.views_lost", message, hint);
            Ok((objects::read(client, live, &KINDS, &usable)?, vec![notice]))
        }
        other => Ok((other?, Vec::new())),
    }
}

/// Tables of other databases that refer to tables of the live one would go with the old side.
fn refuse_strangers(client: &Client<'_>, live: &str) -> Result<(), RestoreError> {
    let asked = format!(
        "SET SESSION sql_mode = ''; SELECT DISTINCT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)
         FROM information_schema.KEY_COLUMN_USAGE
         WHERE REFERENCED_TABLE_SCHEMA = {0} AND TABLE_SCHEMA <> {0} LIMIT 3",
        super::literal(live)
    );
    let strangers: Vec<String> = client.sql(None, &asked)?.into_iter().flatten().collect();
    if strangers.is_empty() {
        return Ok(());
    }
    let why = format!("foreign keys of another database refer to its tables: {}", strangers.join(", "));
    Err(RestoreError::Immovable { database: live.to_owned(), why })
}

/// The exchange itself.
pub(super) fn swap(client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError> {
    let saved = Saved { folder, stem: &exchange.stem };
    let (Some(old), Some(new)) = (saved.read(Side::Old)?, saved.read(Side::New)?) else { return Ok(()) };
    if !old.exists {
        make(client, &exchange.live, &new)?;
    }
    if exchange.replaces {
        make(client, &exchange.outgoing, &old)?;
    }
    let text = forward(exchange, &saved, &old, &new)?;
    patiently(client, exchange, &text)?;
    if exchange.replaces {
        client.feed(Some(&exchange.outgoing), INIT, Box::new(Cursor::new(settled(&saved, Side::Old)?)))?;
    }
    Ok(())
}

/// Names are looked up as they are written, and nothing that a statement changes is checked a second time.
const INIT: &str = "SET SESSION foreign_key_checks=0";

fn make(client: &Client<'_>, database: &str, like: &Inventory) -> Result<(), RestoreError> {
    let sql = format!("CREATE DATABASE IF NOT EXISTS {}{}", quoted(database), settings(&like.settings));
    client.sql(None, &sql)?;
    Ok(())
}

/// All that is done to the live database, in one session.
fn forward(exchange: &Exchange, saved: &Saved<'_>, old: &Inventory, new: &Inventory) -> Result<Vec<u8>, RestoreError> {
    let Exchange { live, incoming, outgoing, .. } = exchange;
    let triggers = saved.statements(Side::New, Objects::Triggers)?;
    let mut sql = format!("SET SESSION sql_mode = '', lock_wait_timeout = {PATIENCE_S};\n");
    if exchange.replaces {
        // Should we be gone by now, and another run have undone all this, then it stops here.
        let _ = writeln!(sql, "USE {};\nUSE {};", quoted(outgoing), quoted(live));
    }
    drop_events(&mut sql, old);
    drop_triggers(&mut sql, incoming, new);
    let locks = Locks::of(exchange.engine, old, new, &triggers);
    let moved: Vec<Move<'_>> = (old.tables.iter().map(|table| Move { table, from: live, to: outgoing }))
        .chain(new.tables.iter().map(|table| Move { table, from: incoming, to: live }))
        .collect();
    match locks {
        Locks::All => lock(&mut sql, moved.iter().map(|moved| (moved.from, moved.table))),
        Locks::Triggered => {
            lock(&mut sql, old.triggered().iter().map(|table| (live.as_str(), table.as_str())));
        }
        Locks::None => {}
    }
    drop_triggers(&mut sql, live, old);
    if matches!(locks, Locks::Triggered) {
        sql.push_str("UNLOCK TABLES;\n");
    }
    rename(&mut sql, &moved);
    let _ = writeln!(sql, "SET SESSION lock_wait_timeout = {INSISTENCE_S};");
    if matches!(locks, Locks::Triggered) {
        lock(&mut sql, new.triggered().iter().map(|table| (live.as_str(), table.as_str())));
    }
    let mut text = sql.into_bytes();
    text.extend(triggers);
    text.extend_from_slice(b"\nUNLOCK TABLES;\n");
    if old.settings != new.settings {
        text.extend(format!("ALTER DATABASE {}{};\n", quoted(live), settings(&new.settings)).into_bytes());
    }
    for kind in [Objects::Routines, Objects::Views] {
        let statements = saved.statements(Side::New, kind)?;
        // The same as before: nobody needs to notice anything.
        if !objects::are_same(&statements, &saved.statements(Side::Old, kind)?) {
            text.extend(statements);
            text.extend_from_slice(drop_more(kind, old, new).as_bytes());
        }
    }
    text.extend(saved.statements(Side::New, Objects::Events)?);
    Ok(text)
}

/// Which tables are locked around the renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Locks {
    /// All, throughout.
    All,
    /// Those that have triggers, before it and after it.
    Triggered,
    /// None: renaming alone is one step.
    None,
}

impl Locks {
    fn of(engine: Engine, old: &Inventory, new: &Inventory, triggers: &[u8]) -> Self {
        if old.triggers.is_empty() && new.triggers.is_empty() {
            return Self::None;
        }
        let few = old.tables.len() + new.tables.len() <= MOST_LOCKED;
        // The character set of a database cannot be changed under locks.
        let changes = triggers.windows(ALTER.len()).any(|window| window == ALTER);
        if engine == Engine::Mysql && few && !changes { Self::All } else { Self::Triggered }
    }
}

const ALTER: &[u8] = b"ALTER DATABASE";

/// A table on its way from one database to another.
struct Move<'a> {
    table: &'a str,
    from: &'a str,
    to: &'a str,
}

/// All in one statement: all of it happens, or nothing.
fn rename(sql: &mut String, moved: &[Move<'_>]) {
    let one = |Move { table, from, to }: &Move<'_>| {
        let table = quoted(table);
        format!("{}.{table} TO {}.{table}", quoted(from), quoted(to))
    };
    let all: Vec<String> = moved.iter().map(one).collect();
    if !all.is_empty() {
        let _ = writeln!(sql, "RENAME TABLE {};", all.join(", "));
    }
}

fn lock<'n>(sql: &mut String, tables: impl Iterator<Item = (&'n str, &'n str)>) {
    let all: Vec<String> =
        tables.map(|(database, table)| format!("{}.{} WRITE", quoted(database), quoted(table))).collect();
    if !all.is_empty() {
        let _ = writeln!(sql, "LOCK TABLES {};", all.join(", "));
    }
}

fn drop_triggers(sql: &mut String, database: &str, of: &Inventory) {
    for (trigger, _) in &of.triggers {
        let _ = writeln!(sql, "DROP TRIGGER IF EXISTS {}.{};", quoted(database), quoted(trigger));
    }
}

/// Those of the current database.
fn drop_events(sql: &mut String, of: &Inventory) {
    for event in &of.events {
        let _ = writeln!(sql, "DROP EVENT IF EXISTS {};", quoted(event));
    }
}

/// Views or routines of the current database that one side has and the other has not.
fn drop_more(kind: Objects, has: &Inventory, lacks: &Inventory) -> String {
    let mut sql = String::new();
    if kind == Objects::Views {
        for view in has.views.iter().filter(|view| !lacks.views.contains(view)) {
            let _ = writeln!(sql, "DROP VIEW IF EXISTS {};", quoted(view));
        }
    } else {
        for (what, name) in has.routines.iter().filter(|routine| !lacks.routines.contains(routine)) {
            // The kinds are the server's own words.
            let _ = writeln!(sql, "DROP {what} IF EXISTS {};", quoted(name));
        }
    }
    sql
}

/// What the tables of a side need, once they are where they stay: no events, which would act.
fn settled(saved: &Saved<'_>, side: Side) -> Result<Vec<u8>, RestoreError> {
    let kinds = [Objects::Triggers, Objects::Routines, Objects::Views];
    let texts = kinds.iter().map(|kind| saved.statements(side, *kind)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.concat())
}

/// Takes a lock of the server's that ends with the session: what we have sent goes on there even if we are killed, and the
/// next run has to wait for its end before it looks at what has happened.
fn alone(exchange: &Exchange, wait_s: u32) -> String {
    format!("SELECT GET_LOCK({}, {wait_s});\n", super::literal(&exchange.outgoing))
}

/// Tries again while somebody holds a table: each time nothing has happened yet that shows.
fn patiently(client: &Client<'_>, exchange: &Exchange, text: &[u8]) -> Result<(), RestoreError> {
    let live = exchange.live.as_str();
    let text = [alone(exchange, 0).as_bytes(), text].concat();
    let mut tries = 1;
    loop {
        match client.feed(Some(live), INIT, Box::new(Cursor::new(text.clone()))) {
            Err(DatabaseError::Client { why, .. }) if is_held(&why) && tries < TRIES => tries += 1,
            Err(DatabaseError::Client { why, .. }) if is_held(&why) => {
                let why = holders(client).unwrap_or(why);
                return Err(RestoreError::Busy { database: live.to_owned(), why });
            }
            other => return Ok(other.map(drop)?),
        }
    }
}

/// Error 1205, `ER_LOCK_WAIT_TIMEOUT`.
fn is_held(why: &str) -> bool {
    why.contains("ERROR 1205")
}

/// Who has transactions open, the oldest first.
fn holders(client: &Client<'_>) -> Option<String> {
    let asked = "SELECT CONCAT(p.USER, '@', p.HOST, ', connection ', p.ID, ', for ',
          TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), ' s')
        FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
        WHERE p.ID <> CONNECTION_ID() ORDER BY t.trx_started LIMIT 3";
    let found: Vec<String> = client.sql(None, asked).ok()?.into_iter().flatten().collect();
    (!found.is_empty()).then(|| format!("a transaction is open: {}", found.join("; ")))
}

/// Waits for the end of what a killed run has sent.
pub(super) fn await_end(client: &Client<'_>, exchange: &Exchange) -> Result<(), RestoreError> {
    client.sql(None, &alone(exchange, LAST_WORDS_S))?;
    Ok(())
}

/// Undoes what of an exchange has happened, as far as names tell.
pub(super) fn back(client: &Client<'_>, exchange: &Exchange, folder: &Path) -> Result<(), RestoreError> {
    let saved = Saved { folder, stem: &exchange.stem };
    let (Some(old), Some(new)) = (saved.read(Side::Old)?, saved.read(Side::New)?) else { return Ok(()) };
    let Exchange { live, incoming, outgoing, .. } = exchange;
    await_end(client, exchange)?;
    let [live_now, outgoing_now, incoming_now] = Inventory::all(client, [live, outgoing, incoming])?;
    let now = Now { live: live_now, outgoing: outgoing_now, incoming: incoming_now };
    if now.live.exists {
        let text = backward(exchange, &saved, (&old, &new), &now)?;
        if !text.is_empty() {
            patiently(client, exchange, &text)?;
        }
    }
    if now.incoming.exists {
        // Its triggers went first of all. Its tables are back by now.
        client.feed(Some(incoming), INIT, Box::new(Cursor::new(saved.statements(Side::New, Objects::Triggers)?)))?;
    }
    remove_made(client, exchange, &old)
}

/// The three databases as they are found.
struct Now {
    live: Inventory,
    outgoing: Inventory,
    incoming: Inventory,
}

/// All that has to be done to the live database.
fn backward(
    exchange: &Exchange,
    saved: &Saved<'_>,
    (old, new): (&Inventory, &Inventory),
    now: &Now,
) -> Result<Vec<u8>, RestoreError> {
    let Exchange { live, incoming, outgoing, .. } = exchange;
    let left: BTreeSet<&String> = now.incoming.tables.iter().collect();
    let came: Vec<&String> = new.tables.iter().filter(|table| !left.contains(table)).collect();
    let gone: BTreeSet<&String> = now.outgoing.tables.iter().collect();
    let went: Vec<&String> = old.tables.iter().filter(|table| gone.contains(table)).collect();
    let has_moved = !came.is_empty() || !went.is_empty();
    let mut sql = format!("SET SESSION sql_mode = '', lock_wait_timeout = {PATIENCE_S};\n");
    if has_moved {
        drop_events(&mut sql, &now.live);
        drop_triggers(&mut sql, live, &now.live);
        drop_triggers(&mut sql, outgoing, &now.outgoing);
        let moved: Vec<Move<'_>> = (came.iter().map(|table| Move { table, from: live, to: incoming }))
            .chain(went.iter().map(|table| Move { table, from: outgoing, to: live }))
            .collect();
        rename(&mut sql, &moved);
        let _ = writeln!(sql, "SET SESSION lock_wait_timeout = {INSISTENCE_S};");
    }
    let mut text = Vec::new();
    for (kind, is_whole) in [
        (Objects::Triggers, now.live.triggers.len() == old.triggers.len()),
        (Objects::Routines, now.live.routines == old.routines),
        (Objects::Views, now.live.views == old.views),
        (Objects::Events, now.live.events.len() == old.events.len()),
    ] {
        if has_moved || !is_whole {
            text.extend(saved.statements(Side::Old, kind)?);
        }
        if has_moved && matches!(kind, Objects::Routines | Objects::Views) {
            text.extend_from_slice(drop_more(kind, &now.live, old).as_bytes());
        }
    }
    if now.live.settings != old.settings && old.exists {
        text.extend(format!("ALTER DATABASE {}{};\n", quoted(live), settings(&old.settings)).into_bytes());
    }
    if !has_moved && text.is_empty() {
        return Ok(text);
    }
    Ok([sql.into_bytes(), text].concat())
}

/// The databases that were made for the exchange, as long as nothing is in them that was there before.
fn remove_made(client: &Client<'_>, exchange: &Exchange, old: &Inventory) -> Result<(), RestoreError> {
    let mut made = Vec::new();
    if exchange.replaces {
        made.push(&exchange.outgoing);
    }
    if !old.exists {
        made.push(&exchange.live);
    }
    for database in made {
        if Inventory::of(client, database)?.tables.is_empty() {
            client.sql(None, &format!("DROP DATABASE IF EXISTS {}", quoted(database)))?;
        }
    }
    Ok(())
}
