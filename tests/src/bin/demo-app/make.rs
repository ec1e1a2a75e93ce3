//! Makes the application: a database in WAL mode, uploads of mixed kind, an `.env`. The same bytes on every run.

use std::error::Error;
use std::fs::{self, DirBuilder, File, FileTimes, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};

use crate::seeded::Random;

const PHOTOS: u64 = 160;
const INVOICES: u64 = 60;
const JOURNEYS: u64 = 90;
const CUSTOMERS: u64 = 500;
const TRIPS: u64 = 5000;

/// The seconds since 1970 at which the first upload was made: 2026-09-21.
const FIRST_UPLOAD: u64 = 1_790_000_000;

/// What a real photo begins with.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0];

const TOWNS: [&str; 6] = ["Aarhus", "Brno", "Cádiz", "Dresden", "Évora", "Göteborg"];

/// Makes the application in a folder that must not exist yet, and says what it made.
pub(crate) fn make(app: &Path) -> Result<String, Box<dyn Error>> {
    DirBuilder::new().mode(0o755).create(app).map_err(|cause| format!("cannot make {}: {cause}", app.display()))?;
    for folder in ["data", "public", "bin", "uploads/photos", "uploads/invoices", "uploads/journeys", "uploads/inbox"] {
        fs::create_dir_all(app.join(folder))?;
    }
    program(app)?;
    let uploads = uploads(&app.join("uploads"))?;
    oddities(&app.join("uploads"))?;
    database(&app.join("data/app.db"))?;
    Ok(format!("a database of {} rows, {uploads} uploads and an .env", CUSTOMERS + TRIPS))
}

/// A day of work: somebody uploads one photo.
pub(crate) fn work(app: &Path) -> Result<String, Box<dyn Error>> {
    let folder = app.join("uploads/photos");
    let number = fs::read_dir(&folder)?.count() as u64;
    let size = photo(&folder.join(format!("IMG_{number:04}.jpg")), number)?;
    Ok(format!("one more photo was uploaded: uploads/photos/IMG_{number:04}.jpg, {size} bytes"))
}

/// What the developers wrote: small files, one of them to be run, one of them secret.
fn program(app: &Path) -> io::Result<()> {
    let page = "<!doctype html>\n<title>Demo fleet</title>\n<h1>Trips</h1>\n";
    write(&app.join("public/index.html"), page.as_bytes(), 0o644, 0)?;
    write(&app.join("bin/nightly"), b"#!/bin/sh\necho nothing to do\n", 0o755, 1)?;
    let secret = Random::new(1).next();
    let env = format!("APP_NAME=demo\nAPP_KEY={secret:016x}\nDATABASE=data/app.db\n");
    write(&app.join(".env"), env.as_bytes(), 0o600, 2)
}

/// Photos that do not compress, and documents that do.
fn uploads(folder: &Path) -> io::Result<u64> {
    for number in 0..PHOTOS {
        photo(&folder.join(format!("photos/IMG_{number:04}.jpg")), number)?;
    }
    for number in 0..INVOICES {
        let path = folder.join(format!("invoices/invoice {number:04}.txt"));
        write(&path, invoice(number).as_bytes(), 0o640, number)?;
    }
    for number in 0..JOURNEYS {
        let path = folder.join(format!("journeys/{number:04}.json"));
        write(&path, journey(number).as_bytes(), 0o644, number)?;
    }
    Ok(PHOTOS + INVOICES + JOURNEYS)
}

fn photo(path: &Path, number: u64) -> io::Result<usize> {
    let mut random = Random::new(1000 + number);
    let length = random.between(20_000, 90_000);
    let bytes = [JPEG, &random.bytes(length)].concat();
    write(path, &bytes, 0o644, number)?;
    Ok(bytes.len())
}

fn invoice(number: u64) -> String {
    let mut random = Random::new(2000 + number);
    let line =
        |item| format!("{item:>4}  transport to {:<10} {:>8} EUR\n", random.pick(&TOWNS), random.between(20, 900));
    let lines: String = (1..80).map(line).collect();
    format!("Invoice {number:04}\n\n{lines}")
}

fn journey(number: u64) -> String {
    let mut random = Random::new(3000 + number);
    let stop = |_| format!("{{\"town\":\"{}\",\"minutes\":{}}}", random.pick(&TOWNS), random.between(5, 300));
    let stops: Vec<String> = (0..40).map(stop).collect();
    format!("{{\"vehicle\":{number},\"stops\":[{}]}}\n", stops.join(","))
}

/// What trees that people use also hold: links of both kinds, an empty file, a name beyond ASCII, a file nobody may write.
fn oddities(folder: &Path) -> io::Result<()> {
    symlink("photos/IMG_0000.jpg", folder.join("title picture.jpg"))?;
    fs::hard_link(folder.join("journeys/0001.json"), folder.join("inbox/copy of 0001.json"))?;
    write(&folder.join("inbox/empty"), b"", 0o644, 3)?;
    write(&folder.join("inbox/Vertrag für Müller & Söhne.txt"), "unterschrieben\n".as_bytes(), 0o444, 4)
}

/// Writes a file with its mode, made `age` hours after the first upload.
fn write(path: &Path, bytes: &[u8], mode: u32, age: u64) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    // Odd nanoseconds, so that a restore that rounds times is found out.
    let modified = SystemTime::UNIX_EPOCH + Duration::new(FIRST_UPLOAD + age * 3600, 123_456_789);
    file.set_times(FileTimes::new().set_modified(modified))
}

/// Customers and their trips. The last trips stay in the write-ahead log, as they do in an application that runs: whoever
/// copies only `app.db` loses them.
fn database(path: &Path) -> rusqlite::Result<()> {
    let mut db = Connection::open(path)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;
         CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT NOT NULL);
         CREATE TABLE trip (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer (id),
                            km REAL NOT NULL, signature BLOB);
         CREATE INDEX trip_customer ON trip (customer);",
    )?;
    customers(&mut db)?;
    trips(&mut db, 0..TRIPS - 100)?;
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    trips(&mut db, TRIPS - 100..TRIPS)
}

fn customers(db: &mut Connection) -> rusqlite::Result<()> {
    let mut random = Random::new(4);
    let all = db.transaction()?;
    for id in 0..CUSTOMERS {
        let name = format!("customer {:06}", random.between(0, 1_000_000));
        all.execute("INSERT INTO customer VALUES (?1, ?2, ?3)", params![whole(id), name, random.pick(&TOWNS)])?;
    }
    all.commit()
}

fn trips(db: &mut Connection, ids: std::ops::Range<u64>) -> rusqlite::Result<()> {
    let mut random = Random::new(5 + ids.start);
    let all = db.transaction()?;
    for id in ids {
        let customer = whole(random.between(0, CUSTOMERS));
        let km = f64::from(u32::try_from(random.between(10, 90_000)).unwrap_or_default()) / 10.0;
        let signature = (id % 3 != 0).then(|| random.bytes(24));
        all.execute("INSERT INTO trip VALUES (?1, ?2, ?3, ?4)", params![whole(id), customer, km, signature])?;
    }
    all.commit()
}

/// SQLite's integers are signed; all of ours are small.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trips_are_only_in_the_write_ahead_log() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        make(&app).unwrap();

        assert!(app.join("data/app.db-wal").metadata().unwrap().len() > 0);
        let alone = folder.path().join("alone.db");
        fs::copy(app.join("data/app.db"), &alone).unwrap();
        let count = |path: &Path| -> i64 {
            let db = Connection::open(path).unwrap();
            db.query_row("SELECT count(*) FROM trip", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&alone), whole(TRIPS - 100));
        assert_eq!(count(&app.join("data/app.db")), whole(TRIPS));
    }

    #[test]
    fn make_refuses_a_folder_that_is_there_already() {
        let folder = tempfile::tempdir().unwrap();
        assert!(make(folder.path()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
