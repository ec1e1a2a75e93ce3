//! Certificates that no configuration names: what lies in `live/`, and what earlier runs have issued by flags.
//!
//! Nobody has said that they are to be renewed here, so each is told as one that is watched, and by whom it is renewed as far
//! as it can be seen.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use shipshape_core::error::Failure;
use shipshape_core::path::clean;

use crate::adopt;
use crate::certificate::Facts;
use crate::cli::{Context, NAMELESS, OneArgs};
use crate::deploy;
use crate::files::{self, FilesError};
use crate::identifier::Identifier;
use crate::ledger::Record;
use crate::renew::Book;
use crate::report::{Action, Row};
use crate::wanted::{FOLDER, WantedError};

/// The folder of certificates, and what one is called in it.
type Place = (PathBuf, String);

/// A row for each. None at all is an error, as it is for every other command.
pub(super) fn rows(args: &OneArgs, context: &Context<'_>) -> Result<Vec<Row>, Failure> {
    let places = places(args, context)?;
    if places.is_empty() {
        return Err(WantedError::Nothing.into());
    }
    let is_asked = |name: &str| args.name.as_deref().is_none_or(|asked| asked == name);
    let known: Vec<&str> = places.keys().map(|(_, name)| name.as_str()).collect();
    let asked = places.iter().filter(|((_, name), _)| is_asked(name));
    let rows: Vec<Row> = asked.map(|((folder, name), record)| row(folder, name, record, context)).collect();
    match &args.name {
        Some(name) if rows.is_empty() => {
            Err(WantedError::Unknown { name: name.clone(), known: known.join(", ") }.into())
        }
        _ => Ok(rows),
    }
}

/// Where there is one, and what is remembered of it.
fn places(args: &OneArgs, context: &Context<'_>) -> Result<BTreeMap<Place, Record>, Failure> {
    let stated = args.folder.as_ref().or(context.config.certrenew.folder.as_ref());
    let folder = real(stated.map_or(Path::new(FOLDER), PathBuf::as_path));
    let names = match files::names(&folder) {
        // Whoever may not look into the folder that nobody has named has nothing there.
        Err(FilesError::Unreadable { source, .. })
            if stated.is_none() && source.kind() == ErrorKind::PermissionDenied =>
        {
            Vec::new()
        }
        other => other?,
    };
    let mut places: BTreeMap<Place, Record> =
        names.into_iter().map(|name| ((folder.clone(), name), Record::default())).collect();
    // Certificates belong to the machine: where no application is meant, those of all are.
    let book = Book::look(context)?;
    let issued = if context.app.name == NAMELESS { book.issued_by_all() } else { book.issued() };
    for (name, record) in issued {
        let Some(folder) = &record.folder else { continue };
        places.insert((real(folder), name), record);
    }
    Ok(places)
}

fn real(folder: &Path) -> PathBuf {
    let absolute = || clean(&std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
    folder.canonicalize().unwrap_or_else(|_| absolute())
}

fn row(folder: &Path, name: &str, record: &Record, context: &Context<'_>) -> Row {
    let issued: Vec<Identifier> = record.issued.iter().flat_map(|issued| issued.names.clone()).collect();
    let mut row = Row::new(name, texts(&issued));
    match files::shown(folder, name) {
        Err(error) => {
            row.action = Action::Failed;
            row.error = Some(Failure::from(error).notice());
        }
        Ok(None) => row.reason = format!("issued by certrenew, and gone from {}", folder.join("live").display()),
        Ok(Some(facts)) => {
            let names: Vec<Identifier> = facts.names.iter().cloned().collect();
            row.facts(&facts, context.run.started());
            row.reason = renewed_by(&facts, record, adopt::certbot_renews(folder, name));
            if !is_ours(&facts, record) {
                row.names = texts(&names);
                return row;
            }
            remembered(&mut row, record, &issued);
        }
    }
    row
}

/// What earlier runs know of one that they have issued, and what is served where they have put it to use.
fn remembered(row: &mut Row, record: &Record, names: &[Identifier]) {
    row.error = record.failures.as_ref().map(|failures| failures.why.clone());
    let Some(taken) = &record.taken else { return };
    row.services(&taken.services, true);
    if !taken.services.is_empty() {
        row.deploy(record.deploy.as_ref());
    }
    row.served(&deploy::served_at(&taken.at, names));
}

fn texts(names: &[Identifier]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Whether it is the one that an earlier run has issued.
fn is_ours(facts: &Facts, record: &Record) -> bool {
    record.issued.as_ref().is_some_and(|issued| issued.serial == facts.serial)
}

/// Who renews it, as far as it can be seen: `certbot` says what certbot's own file about it does.
fn renewed_by(facts: &Facts, record: &Record, certbot: Option<bool>) -> String {
    match (&record.issued, certbot) {
        (Some(issued), _) if is_ours(facts, record) => {
            let flags: Vec<String> = issued.names.iter().map(|name| format!("--domain {name}")).collect();
            format!(
                "issued by certrenew; no configuration that was read names it: renewed by runs with another one, or with its flags: certrenew {} …",
                flags.join(" ")
            )
        }
        (_, Some(true)) => "not renewed by certrenew: it is certbot's, which renews it if it runs".to_owned(),
        (_, Some(false)) => {
            "renewed by nobody: certbot was told to leave it alone, and no configuration names it".to_owned()
        }
        (_, None) if facts.is_self_signed => {
            "not renewed by certrenew: it vouches for itself, and no configuration names it".to_owned()
        }
        (_, None) => {
            "not renewed by certrenew, as far as can be seen: no configuration that was read names it".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use chrono::TimeDelta;
    use shipshape_core::cli::CommonArgs;
    use shipshape_core::config::{App, Config};
    use shipshape_core::exit::Exit;
    use shipshape_core::run::Run;

    use super::*;
    use crate::ledger::Issued;
    use crate::pem;
    use crate::status::status;

    /// A machine without a configuration, with certificates in a folder.
    struct Machine {
        folder: tempfile::TempDir,
        run: Run,
        app: App,
    }

    impl Machine {
        fn new(app: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let common = CommonArgs { state: Some(folder.path().join("state")), ..CommonArgs::default() };
            let run = Run::start("certrenew", "0", &common);
            Self { folder, run, app: App { name: app.to_owned(), dir: None } }
        }

        fn path(&self, rest: &str) -> PathBuf {
            self.folder.path().join(rest)
        }

        /// A certificate that lies there and ends in so many days; its serial number.
        fn has(&self, name: &str, days: i64) -> String {
            let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            let at = |days: i64| std::time::SystemTime::from(self.run.started() + TimeDelta::days(days)).into();
            (params.not_before, params.not_after) = (at(days - 90), at(days));
            let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            fs::create_dir_all(self.path("le/live").join(name)).unwrap();
            let file = self.path("le/live").join(name).join("fullchain.pem");
            fs::write(file, pem::armour("CERTIFICATE", made.der())).unwrap();
            files::shown(&self.path("le"), name).unwrap().unwrap().serial
        }

        /// That application has issued it by flags.
        fn issued(&self, app: &str, name: &str, serial: &str) {
            let issued = Issued {
                serial: serial.to_owned(),
                ca: "https://ca.test/dir".to_owned(),
                account: "1".to_owned(),
                profile: None,
                names: vec![Identifier::parse(name).unwrap()],
                at: self.run.started(),
            };
            let mut record = Record::default();
            record.was_issued(issued, self.path("le"));
            fs::create_dir_all(self.path("state")).unwrap();
            let ledger = serde_json::json!({ "version": 1, "certificates": { name: record } });
            fs::write(self.path("state").join(format!("certrenew-{app}.json")), ledger.to_string()).unwrap();
        }

        fn told(&self, args: &OneArgs) -> Result<(Exit, Vec<(String, String)>), Failure> {
            let config = Config::default();
            let context = Context { config: &config, app: &self.app, run: &self.run };
            let outcome = status(args, &context)?;
            let rows = outcome.data["certificates"].as_array().unwrap().clone();
            let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
            Ok((outcome.exit, rows.iter().map(|row| (text(row, "name"), text(row, "reason"))).collect()))
        }

        fn here(&self) -> OneArgs {
            OneArgs { folder: Some(self.path("le")), ..OneArgs::default() }
        }
    }

    #[test]
    fn what_lies_there_is_told_with_who_renews_it() {
        let machine = Machine::new("certificates");
        let serial = machine.has("a.test", 80);
        machine.issued("shop", "a.test", &serial);
        for name in ["b.test", "c.test", "d.test"] {
            machine.has(name, 80);
        }
        fs::create_dir(machine.path("le/renewal")).unwrap();
        let conf = |name: &str, line: &str| {
            fs::write(machine.path("le/renewal").join(name), format!("[renewalparams]\n{line}\n")).unwrap();
        };
        conf("b.test.conf", "authenticator = webroot");
        conf("c.test.conf", "autorenew = False");
        let (exit, rows) = machine.told(&machine.here()).unwrap();
        let expected = ["with its flags: certrenew --domain a.test", "certbot's", "by nobody", "vouches for itself"];
        assert_eq!(rows.len(), expected.len(), "{rows:?}");
        for ((_, reason), expected) in rows.iter().zip(expected) {
            assert!(reason.contains(expected), "{rows:?}");
        }
        assert_eq!(exit, Exit::Ok);
        assert!(!machine.path("le/archive").exists(), "a look leaves nothing behind");
    }

    #[test]
    fn an_end_that_is_near_is_worth_a_look_and_one_that_is_past_is_grave() {
        let machine = Machine::new("certificates");
        machine.has("a.test", 80);
        machine.has("b.test", 5);
        assert_eq!(machine.told(&machine.here()).unwrap().0, Exit::Warning);
        machine.has("c.test", -1);
        assert_eq!(machine.told(&machine.here()).unwrap().0, Exit::Critical);
        let one = OneArgs { name: Some("a.test".to_owned()), ..machine.here() };
        assert_eq!(machine.told(&one).unwrap().0, Exit::Ok, "of one alone");
    }

    #[test]
    fn what_earlier_runs_have_issued_is_found_wherever_it_lies() {
        let machine = Machine::new("shop");
        let serial = machine.has("a.test", 80);
        machine.issued("shop", "a.test", &serial);
        machine.issued("blog", "b.test", "07");
        let elsewhere = OneArgs { folder: Some(machine.path("none")), ..OneArgs::default() };
        assert_eq!(machine.told(&elsewhere).unwrap().1.len(), 1, "another application's is not meant");
        let everywhere = Machine { app: App { name: NAMELESS.to_owned(), dir: None }, ..machine };
        let (exit, rows) = everywhere.told(&elsewhere).unwrap();
        assert!(rows.len() == 2 && rows[1].1.contains("gone from"), "{rows:?}");
        assert_eq!(exit, Exit::Ok);
        everywhere.has("a.test", 80);
        let (_, rows) = everywhere.told(&elsewhere).unwrap();
        assert!(rows[0].1.contains("vouches for itself"), "somebody has put another one there: {rows:?}");
    }

    #[test]
    fn nothing_at_all_is_told_with_what_to_do() {
        let machine = Machine::new("certificates");
        let code = |args: &OneArgs| machine.told(args).unwrap_err().code();
        assert_eq!(code(&machine.here()), "certificate.none");
        machine.has("a.test", 80);
        assert_eq!(code(&OneArgs { name: Some("b.test".to_owned()), ..machine.here() }), "certificate.unknown");
        symlink("a.test", machine.path("le/live/link")).unwrap();
        fs::write(machine.path("le/live/a.test/fullchain.pem"), "torn").unwrap();
        let (exit, rows) = machine.told(&machine.here()).unwrap();
        assert_eq!((exit, rows.len()), (Exit::Critical, 2), "what cannot be read is no less there");
    }
}
