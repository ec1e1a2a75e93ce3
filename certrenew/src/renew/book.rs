//! The state of certificates in the state folder: the ledger, keys of orders under way, accounts. All of it under one lock.

use std::fs;
use std::path::{Path, PathBuf};

use shipshape_core::atomic;
use shipshape_core::error::Failure;
use shipshape_core::lock::Lock;
use shipshape_core::path::clean;
use shipshape_core::report::Notice;
use shipshape_core::state::{Loaded, StateDir, StateError};
use shipshape_core::{machine, name};

use crate::cli::Context;
use crate::key::Key;
use crate::ledger::{self, Ledger, Record};

use super::error::RenewError;

/// The lock of all runs that change something: certificates belong to the machine, not to one application.
const LOCK: &str = "certrenew";

/// The ledger, open.
pub(crate) struct Book {
    state: StateDir,
    /// The application, as files are called after it.
    app: String,
    file: String,
    ledger: Ledger,
}

impl Book {
    /// Opens it, and holds the lock for as long as the second part lives.
    pub(crate) fn open(context: &Context<'_>) -> Result<(Self, Lock), Failure> {
        let state = StateDir::open(context.run.common())?;
        let lock = state.lock(LOCK)?;
        let (book, notice) = Self::read(state, &context.app.name)?;
        if let Some(notice) = notice {
            context.run.warn(notice);
        }
        book.sweep();
        Ok((book, lock))
    }

    /// Opens it to look: without a lock, without a word where there is nothing, and without moving what makes no sense:
    /// a run may be about to write it.
    pub(crate) fn look(context: &Context<'_>) -> Result<Self, Failure> {
        let state = StateDir::open(context.run.common())?;
        let app = name::mend(&context.app.name, "app");
        let place = state.path().join(file_of(&app));
        let ledger = match state.look_json(&file_of(&app))? {
            Loaded::Found(ledger) => known(ledger, &place)?,
            Loaded::Absent => Ledger::default(),
            Loaded::Corrupt { .. } => {
                context.run.warn(not_understood(&place));
                Ledger::default()
            }
        };
        Ok(Self { state, file: file_of(&app), app, ledger })
    }

    fn read(state: StateDir, app: &str) -> Result<(Self, Option<Notice>), Failure> {
        let app = name::mend(app, "app");
        let file = file_of(&app);
        let (ledger, notice) = match state.read_json::<Ledger>(&file)? {
            Loaded::Found(ledger) => (known(ledger, &state.path().join(&file))?, None),
            Loaded::Absent => (Ledger::default(), None),
            Loaded::Corrupt { kept } => (Ledger::default(), Some(corrupt(&kept))),
        };
        Ok((Self { state, app, file, ledger }, notice))
    }

    /// The application that looks after the certificate of this name below this folder, where it is another one than ours:
    /// two that write to one place would undo each other's work.
    pub(crate) fn claims(&self, folder: &Path, name: &str) -> Result<Option<String>, Failure> {
        let reading = |source| StateError::Unreadable { path: self.state.path().to_owned(), source };
        let wanted = real(folder);
        let mut found = Vec::new();
        for entry in fs::read_dir(self.state.path()).map_err(reading)? {
            let file = entry.map_err(reading)?.file_name();
            let Some(file) = file.to_str() else { continue };
            let Some(app) = app_of(file).filter(|app| *app != self.app) else { continue };
            // One that makes no sense claims nothing: its own application tells of it.
            let Loaded::Found::<Ledger>(ledger) = self.state.look_json(file)? else { continue };
            let claimed = ledger.certificates.get(name).and_then(|record| record.folder.as_deref());
            if claimed.is_some_and(|claimed| real(claimed) == wanted) {
                found.push(app.to_owned());
            }
        }
        // Folders have no order, and the same state should read the same each time.
        Ok(found.into_iter().min())
    }

    /// What this application's runs have issued, by the names of the certificates.
    pub(crate) fn issued(&self) -> Vec<(String, Record)> {
        issued(self.ledger.clone())
    }

    /// The same of all applications. What makes no sense has issued nothing: its own application tells of it.
    pub(crate) fn issued_by_all(&self) -> Vec<(String, Record)> {
        let files = entries(self.state.path()).filter_map(|place| place.file_name()?.to_str().map(str::to_owned));
        let known = files.filter(|file| app_of(file).is_some()).filter_map(|file| {
            let Ok(Loaded::Found::<Ledger>(ledger)) = self.state.look_json(&file) else { return None };
            (ledger.version <= ledger::VERSION).then(|| issued(ledger))
        });
        known.flatten().collect()
    }

    /// What is known of a certificate.
    pub(crate) fn record(&self, name: &str) -> Record {
        self.ledger.certificates.get(name).cloned().unwrap_or_default()
    }

    /// Notes it, durably, before anything else happens. The key of an order that is not remembered any more goes.
    pub(crate) fn note(&mut self, name: &str, record: &Record) -> Result<(), StateError> {
        if self.ledger.certificates.get(name) == Some(record) {
            return Ok(());
        }
        let before = self.ledger.certificates.insert(name.to_owned(), record.clone()).and_then(key_of);
        self.state.write_json(&self.file, &self.ledger)?;
        if let Some(gone) = before.filter(|before| key_of(record.clone()).as_ref() != Some(before)) {
            Self::drop_key(&gone);
        }
        Ok(())
    }

    /// The folder of accounts.
    pub(crate) fn accounts(&self) -> Result<PathBuf, StateError> {
        self.state.folder("accounts")
    }

    /// Writes the key of an order under way: private, whole and durable before the authority hears of it. No other order
    /// has this file, neither of another application nor of an earlier run, whose certificate may still come.
    pub(crate) fn keep_key(&self, name: &str, key: &Key) -> Result<PathBuf, Failure> {
        let name = name::mend(name, "certificate");
        let file = format!("{}-{name}-{:016x}.key", self.app, machine::random());
        let place = self.state.folder("orders")?.join(file);
        atomic::replace(&place, key.pem().as_bytes())?;
        Ok(place)
    }

    /// Removes keys that no application's order remembers, and drafts of them: of runs that were killed before they could note
    /// one, or remove it. Under the lock nobody else is about to. Where a ledger cannot be read, all of them stay.
    fn sweep(&self) {
        let found: Vec<PathBuf> = entries(&self.state.path().join("orders")).filter(|place| is_key(place)).collect();
        if found.is_empty() {
            return;
        }
        let Some(known) = self.keys_of_all() else { return };
        found.iter().filter(|place| !known.contains(place)).for_each(|place| Self::drop_key(place));
    }

    /// The keys of orders under way, of all applications; none where that cannot be told.
    fn keys_of_all(&self) -> Option<Vec<PathBuf>> {
        let mut known = Vec::new();
        for place in entries(self.state.path()) {
            let name = place.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|name| app_of(name).is_some()) else { continue };
            match self.state.look_json::<Ledger>(name) {
                Ok(Loaded::Found(ledger)) if ledger.version <= ledger::VERSION => {
                    known.extend(ledger.certificates.into_values().filter_map(key_of));
                }
                Ok(Loaded::Absent) => {}
                Ok(Loaded::Found(_) | Loaded::Corrupt { .. }) | Err(_) => return None,
            }
        }
        Some(known)
    }

    /// Removes that key once its certificate lies where it belongs. That it cannot be removed harms nobody.
    fn drop_key(place: &Path) {
        let _ = fs::remove_file(place);
    }
}

/// A ledger whose form is known here.
fn known(ledger: Ledger, place: &Path) -> Result<Ledger, RenewError> {
    if ledger.version > ledger::VERSION { Err(RenewError::Newer { place: place.to_owned() }) } else { Ok(ledger) }
}

fn issued(ledger: Ledger) -> Vec<(String, Record)> {
    ledger.certificates.into_iter().filter(|(_, record)| record.issued.is_some()).collect()
}

/// What lies in a folder; nothing where it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The key of an order, or a draft of one.
fn is_key(place: &Path) -> bool {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".key") || name.starts_with(atomic::TEMPORARY_PREFIX)
}

fn file_of(app: &str) -> String {
    format!("certrenew-{app}.json")
}

fn app_of(file: &str) -> Option<&str> {
    file.strip_prefix("certrenew-")?.strip_suffix(".json")
}

fn key_of(record: Record) -> Option<PathBuf> {
    record.order.map(|order| order.key_file)
}

/// A folder by its one name, whatever links lead to it; one that is not there yet as it is written.
fn real(folder: &Path) -> PathBuf {
    let absolute = || std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    fs::canonicalize(folder).unwrap_or_else(|_| clean(&absolute()))
}

fn corrupt(kept: &Path) -> Notice {
    Notice::new(
        "state.corrupt",
        format!("what was remembered of certificates made no sense; it lies in {} now", kept.display()),
        "nothing is lost but pauses after failures and the authority's wishes: both are found out again",
    )
}

fn not_understood(place: &Path) -> Notice {
    Notice::new(
        "state.corrupt",
        format!("what was remembered of certificates makes no sense: {}", place.display()),
        "nothing is lost but pauses after failures and the authority's wishes; the next run puts the file aside",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use shipshape_core::cli::CommonArgs;
    use shipshape_core::config::{App, Config, KeyKind};

    use super::*;
    use crate::identifier::Identifier;
    use crate::ledger::PendingOrder;

    fn book(folder: &Path, app: &str) -> Book {
        let common = CommonArgs { state: Some(folder.to_owned()), ..CommonArgs::default() };
        Book::read(StateDir::open(&common).unwrap(), app).unwrap().0
    }

    fn with_order(book: &Book, key: &Key) -> Record {
        let order = PendingOrder {
            url: None,
            ca: "https://ca.test/dir".to_owned(),
            account: "1".to_owned(),
            names: vec![Identifier::parse("a.test").unwrap()],
            profile: None,
            key: KeyKind::EcdsaP256,
            key_file: book.keep_key("a.test", key).unwrap(),
            at: "2026-11-20T02:00:00Z".parse().unwrap(),
            ask_again: None,
        };
        Record { order: Some(order), ..Record::default() }
    }

    fn file(record: &Record) -> PathBuf {
        record.order.clone().unwrap().key_file
    }

    #[test]
    fn each_order_has_a_key_file_of_its_own_that_goes_when_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ours, others) = (book(folder.path(), "shop"), book(folder.path(), "my blog"));
        let key = Key::make(KeyKind::EcdsaP256).unwrap();
        let [first, second] = [with_order(&ours, &key), with_order(&ours, &key)];
        let other = with_order(&others, &key);
        let name = |record: &Record| file(record).file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name(&first).starts_with("shop-a.test-") && name(&other).starts_with("my-blog-a.test-"));
        assert_eq!((file(&first).parent().unwrap(), name(&first).len()), (&*folder.path().join("orders"), 32));
        assert_eq!(fs::metadata(file(&first)).unwrap().permissions().mode() & 0o777, 0o600);
        ours.note("a.test", &first).unwrap();
        assert!(file(&first).exists() && file(&second).exists());
        ours.note("a.test", &Record { revoked: Some("7".to_owned()), ..first.clone() }).unwrap();
        assert!(file(&first).exists(), "the order is remembered still");
        ours.note("a.test", &second).unwrap();
        assert!(!file(&first).exists() && file(&second).exists());
        ours.note("a.test", &Record::default()).unwrap();
        assert!(!file(&second).exists() && file(&other).exists());
    }

    #[test]
    fn keys_that_no_order_remembers_are_swept_unless_a_ledger_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ours, mut others) = (book(folder.path(), "shop"), book(folder.path(), "shop-eu"));
        let key = Key::make(KeyKind::EcdsaP256).unwrap();
        let [kept, lost] = [with_order(&ours, &key), with_order(&ours, &key)];
        let foreign = with_order(&others, &key);
        ours.note("a.test", &kept).unwrap();
        others.note("a.test", &foreign).unwrap();
        let draft = folder.path().join("orders").join(format!("{}x", atomic::TEMPORARY_PREFIX));
        fs::write(&draft, "x").unwrap();
        let ledger = fs::read(folder.path().join(file_of("shop-eu"))).unwrap();
        fs::write(folder.path().join(file_of("shop-eu")), "{").unwrap();
        ours.sweep();
        assert!(file(&lost).exists() && draft.exists(), "whose they are is not known");
        fs::write(folder.path().join(file_of("shop-eu")), ledger).unwrap();
        ours.sweep();
        assert!(!file(&lost).exists() && !draft.exists());
        assert!(file(&kept).exists() && file(&foreign).exists());
    }

    #[test]
    fn who_only_looks_leaves_a_ledger_that_makes_no_sense_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let common = CommonArgs { state: Some(folder.path().to_owned()), ..CommonArgs::default() };
        let run = shipshape_core::run::Run::start("certrenew", "0", &common);
        let (config, app) = (Config::default(), App { name: "shop".to_owned(), dir: None });
        let context = Context { config: &config, app: &app, run: &run };
        let place = folder.path().join(file_of("shop"));
        assert!(Book::look(&context).unwrap().ledger.certificates.is_empty());
        assert!(!place.exists());
        for bytes in ["{\"version\":", "[]", ""] {
            fs::write(&place, bytes).unwrap();
            assert!(Book::look(&context).unwrap().ledger.certificates.is_empty());
            assert_eq!(fs::read_to_string(&place).unwrap(), bytes);
        }
        fs::write(&place, "{\"version\":2}").unwrap();
        assert_eq!(Book::look(&context).err().unwrap().code(), "state.newer");
        fs::write(&place, "[]").unwrap();
        drop(Book::open(&context).unwrap());
        assert_eq!((place.exists(), folder.path().join("certrenew-shop.json.bad").exists()), (false, true));
    }

    #[test]
    fn a_place_is_claimed_by_the_other_application_that_looks_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = folder.path().join("certificates");
        fs::create_dir(&certificates).unwrap();
        std::os::unix::fs::symlink(&certificates, folder.path().join("link")).unwrap();
        let [mut shop, mut blog] = ["shop", "blog"].map(|app| book(folder.path(), app));
        let record = |folder: &Path| Record { folder: Some(folder.to_owned()), ..Record::default() };
        shop.note("a.test", &record(&certificates)).unwrap();
        shop.note("b.test", &Record::default()).unwrap();
        blog.note("c.test", &record(&folder.path().join("elsewhere"))).unwrap();
        fs::write(folder.path().join("certrenew-junk.json"), "junk").unwrap();
        let claims = |book: &Book, folder: &Path, name: &str| book.claims(folder, name).unwrap();
        assert_eq!(claims(&blog, &certificates, "a.test").as_deref(), Some("shop"));
        assert_eq!(claims(&blog, &folder.path().join("link/."), "a.test").as_deref(), Some("shop"));
        assert_eq!(claims(&shop, &folder.path().join("no/../elsewhere/"), "c.test").as_deref(), Some("blog"));
        assert_eq!(claims(&shop, &certificates, "a.test"), None, "it is our own");
        assert_eq!(claims(&blog, &certificates, "b.test"), None, "its folder is not known");
        assert_eq!(claims(&blog, folder.path(), "a.test"), None, "another folder");
    }
}
