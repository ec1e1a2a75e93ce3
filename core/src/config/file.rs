//! The configuration file: where it is looked for, and how it is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Sections};
use crate::cli::CommonArgs;

/// The file's name in the application's folder.
pub(super) const FILE_NAME: &str = "shipshape.toml";

/// The file of the whole machine.
const SYSTEM: &str = "/etc/shipshape.toml";

/// The largest file that is read, in bytes. A larger one is something else, named by mistake.
const LARGEST: u64 = 1 << 20;

/// The least likeness of two words, of 1, for the one to be taken for a slip of the other.
const NEAR: f64 = 0.65;

impl Config {
    /// Reads the file that `--config` or `$SHIPSHAPE_CONFIG` name, else `shipshape.toml` in the folder that `app` names or
    /// else in the current one, else `/etc/shipshape.toml`. That none of these exists is fine; a named one must.
    pub fn load(common: &CommonArgs, app: Option<&str>) -> Result<Self, ConfigError> {
        if let Some(named) = &common.config {
            let text = read(named)?.ok_or_else(|| ConfigError::Missing { path: named.clone() })?;
            return parse(named, &text);
        }
        Self::search(&[folder_of(app).join(FILE_NAME), PathBuf::from(SYSTEM)])
    }

    /// What can be read of a file that is refused, so that somebody is told of it: each section by itself, and the
    /// defaults for those that cannot be.
    pub fn salvage(common: &CommonArgs, app: Option<&str>) -> Self {
        let places = match &common.config {
            Some(named) => vec![named.clone()],
            None => vec![folder_of(app).join(FILE_NAME), PathBuf::from(SYSTEM)],
        };
        let found = places.into_iter().find_map(|path| Some((read(&path).ok()??, path)));
        found.map_or_else(Self::default, |(bytes, path)| salvaged(&path, &bytes))
    }

    /// The first of these files that exists.
    fn search(places: &[PathBuf]) -> Result<Self, ConfigError> {
        for path in places {
            if let Some(text) = read(path)? {
                return parse(path, &text);
            }
        }
        Ok(Self::default())
    }
}

fn folder_of(app: Option<&str>) -> PathBuf {
    app.map(PathBuf::from).filter(|path| path.is_dir()).unwrap_or_else(|| PathBuf::from("."))
}

/// The file's bytes; none if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    match read_bounded(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    // As the person named it, but not depending on where they stand.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = line_of(bytes, error.valid_up_to());
            return Err(ConfigError::Invalid { path, line, reason: "it is not UTF-8".to_owned() });
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let sections: Sections = toml::from_str(text).map_err(|error| explain(path.clone(), text, &error))?;
    if sections.backup.keep.last == 0 {
        return Err(ConfigError::KeepsNothing { path });
    }
    Ok(resolve(path, sections))
}

pub(super) fn salvaged(path: &Path, bytes: &[u8]) -> Config {
    let text = String::from_utf8_lossy(bytes);
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    let sections = Sections {
        app: part(&table, "app"),
        store: part(&table, "store"),
        alert: part(&table, "alert"),
        ..Sections::default()
    };
    resolve(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), sections)
}

/// A section of the file, or its defaults where it makes no sense.
fn part<T: serde::de::DeserializeOwned + Default>(table: &toml::Table, name: &str) -> T {
    table.get(name).cloned().and_then(|value| value.try_into().ok()).unwrap_or_default()
}

/// Paths in the file are relative to the file's folder, but for those below the application's (`files`, `sqlite`).
fn resolve(path: PathBuf, sections: Sections) -> Config {
    let Sections { mut app, mut store, backup, mut restore, mut database, logwatch, mut certrenew, mut alert } =
        sections;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let passwords = database.values_mut().map(|section| &mut section.password_file);
    let files = [&mut app.dir, &mut store.recipients_file, &mut restore.identity_file].into_iter().chain(passwords);
    for stated in files.flatten() {
        *stated = folder.join(&*stated);
    }
    alert.below(folder);
    certrenew.below(folder);
    // What has a scheme is a URL; all else is the path of a folder.
    store.url = store.url.map(|url| if url.contains("://") { url } else { joined(folder, url) });
    Config { path: Some(path), app, store, backup, restore, database, logwatch, certrenew, alert }
}

/// The path as text; left as it is when the folder's name is not UTF-8.
fn joined(folder: &Path, path: String) -> String {
    folder.join(&path).into_os_string().into_string().unwrap_or(path)
}

/// Tells an unknown key, which is mostly a slip, from everything else that can be wrong.
fn explain(path: PathBuf, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = line_of(text.as_bytes(), error.span().map_or(0, |span| span.start));
    match unknown_key(error.message()) {
        Some((key, known)) => ConfigError::UnknownKey { path, line, nearest: nearest(&key, &known), key, known },
        None => ConfigError::Invalid { path, line, reason: error.message().lines().collect::<Vec<_>>().join(", ") },
    }
}

/// The parts of serde's message "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let mut quoted = message.strip_prefix("unknown field `")?.split('`');
    let key = quoted.next()?.to_owned();
    Some((key, quoted.skip(1).step_by(2).map(str::to_owned).collect()))
}

fn nearest(key: &str, known: &[String]) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    let best = known.iter().max_by(|a, b| likeness(&key, a).total_cmp(&likeness(&key, b)))?;
    (likeness(&key, best) >= NEAR).then(|| best.clone())
}

/// Of 1. A word that stands whole in the key (`keep_daily`) is as near as can be.
fn likeness(key: &str, word: &str) -> f64 {
    if key.split('_').any(|part| part == word) {
        return 1.0;
    }
    // The one sees what two words begin with (`encrypt`), the other what was swapped (`dri`).
    strsim::jaro_winkler(key, word).max(strsim::normalized_damerau_levenshtein(key, word))
}

fn line_of(text: &[u8], at: usize) -> usize {
    text[..at.min(text.len())].split(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Compression, Encryption, KeepSection};
    use crate::error::Explain;
    use proptest::prelude::*;
    use std::fs;

    /// The whole file as the manual shows it.
    const FULL: &str = r#"
[app]
name = "demo"
dir = "demo"
[store]
url = "backups"
host = "vps1"
recipients = ["age1x"]
recipients_file = "/etc/shipshape/recipients"
encryption = "none"
compression = "gzip"
[backup]
files = ["."]
exclude = ["cache/**"]
config = [".env*"]
sqlite = ["data/app.db"]
one_file_system = true
[backup.keep]
last = 5
hourly = 1
daily = 2
weekly = 3
monthly = 4
yearly = 6
tags = ["release"]
[restore]
identity_file = "identity.txt"
"#;

    fn parse_text(text: &str) -> Result<Config, ConfigError> {
        parse(Path::new("/srv/shipshape.toml"), text.as_bytes())
    }

    fn refused(text: &str) -> ConfigError {
        parse_text(text).unwrap_err()
    }

    #[test]
    fn every_key_is_read_and_paths_are_those_of_the_file() {
        let config = parse_text(FULL).unwrap();
        assert_eq!(config.app.dir, Some("/srv/demo".into()));
        assert_eq!(config.store.url.as_deref(), Some("/srv/backups"));
        assert_eq!(config.store.recipients_file, Some("/etc/shipshape/recipients".into()));
        assert_eq!(config.restore.identity_file, Some("/srv/identity.txt".into()));
        assert_eq!(
            (config.store.encryption, config.store.compression),
            (Some(Encryption::None), Some(Compression::Gzip))
        );
        assert_eq!(config.backup.sqlite, [PathBuf::from("data/app.db")], "relative to the application's folder");
        assert_eq!(config.backup.keep.tags, ["release"]);
        assert!(config.backup.one_file_system);
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = parse_text("").unwrap();
        assert_eq!(config.backup.keep, KeepSection::default());
        assert_eq!((config.backup.keep.last, config.backup.keep.daily), (3, 30));
        assert_eq!(parse_text("[backup.keep]\nweekly = 4\n").unwrap().backup.keep.last, 3);
    }

    #[test]
    fn a_url_with_a_scheme_is_left_alone() {
        let config = parse_text("[store]\nurl = 'file:///backups'").unwrap();
        assert_eq!(config.store.url.as_deref(), Some("file:///backups"));
    }

    #[test]
    fn a_mistyped_key_is_named_with_file_line_and_the_nearest_right_word() {
        let error = refused("[app]\nname = 'x'\n\n[store]\nurl = '/b'\nrecipents = []\n");
        assert_eq!(error.code(), "config.unknown_key");
        assert_eq!(error.to_string(), "unknown key `recipents` in /srv/shipshape.toml, line 6");
        assert_eq!(error.hint(), "did you mean `recipients`?");
    }

    #[test]
    fn unknown_keys_are_found_wherever_they_stand() {
        for (text, key, hint) in [
            ("[bakup]\n", "bakup", "did you mean `backup`?"),
            ("[backup.keep]\nkeep_daily = 1", "keep_daily", "did you mean `daily`?"),
            ("[backup]\none-file-system = true", "one-file-system", "did you mean `one_file_system`?"),
            ("[restore]\nqqq = 1", "qqq", "here may stand: identity_file, drill"),
            ("app.dri = 'x'", "dri", "did you mean `dir`?"),
            (
                "[zzz]\nx = 'x'",
                "zzz",
                "here may stand: app, store, backup, restore, database, logwatch, certrenew, alert",
            ),
            ("[[logwatch.pattern]]\nname = 'x'\npatern = 'x'", "patern", "did you mean `pattern`?"),
            ("[alert]\nremnd = []", "remnd", "did you mean `remind`?"),
            ("[alert.mail]\npassword = 'x'", "password", "did you mean `password_env`?"),
            ("[[alert.webhook]]\nkind = 'slack'\nurl-file = 'x'", "url-file", "did you mean `url_file`?"),
            ("[[alert.ping]]\nurls = 'x'", "urls", "did you mean `url`?"),
        ] {
            let error = refused(text);
            assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
            assert_eq!(error.hint(), hint, "of {text}");
        }
    }

    #[test]
    fn what_is_no_toml_or_has_the_wrong_type_is_named_with_its_line() {
        for (text, line) in [
            ("[app\n", 1),
            ("[app]\nname = 3\n", 2),
            ("[store]\n\nencryption = 'rot13'\n", 3),
            ("[backup]\nfiles = '.'\n", 2),
            ("[app]\nname = 'a'\nname = 'b'\n", 3),
            ("[app]\n[alert]\nafter = 0\n", 2),
            ("[alert]\nafter = 2\n[[alert.ping]]\njob = 'backup'\n", 3),
        ] {
            let error = refused(text);
            assert_eq!(error.code(), "config.invalid", "of {text}");
            assert!(error.to_string().contains(&format!("line {line},")), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_slip_in_one_section_does_not_hide_who_is_to_be_told() {
        let text = "[app]\nname = 'x'\n[bakup]\nfiles = 3\n[alert]\nafter = 2\n";
        assert!(parse_text(text).is_err());
        let config = salvaged(Path::new("/srv/x.toml"), text.as_bytes());
        assert_eq!((config.app.name.as_deref(), config.alert.after), (Some("x"), 2));
        let config = salvaged(Path::new("/srv/x.toml"), b"[alert]\nafter = 2\nmial = 1\n");
        assert_eq!(config.alert, crate::config::AlertSection::default());
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_line() {
        let error = parse(Path::new("/srv/x.toml"), b"[app]\n# \xff\n").unwrap_err();
        assert_eq!(error.to_string(), "/srv/x.toml, line 2, is wrong: it is not UTF-8");
    }

    #[test]
    fn keeping_nothing_is_refused() {
        assert_eq!(refused("[backup.keep]\nlast = 0").code(), "config.keeps_nothing");
    }

    #[test]
    fn a_named_file_must_exist_and_the_others_need_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        let common = CommonArgs { config: Some(path.clone()), ..CommonArgs::default() };
        assert_eq!(Config::load(&common, None).unwrap_err().code(), "config.missing");
        assert_eq!(Config::search(&[path]).unwrap().path, None);
    }

    #[test]
    fn the_application_s_own_file_comes_before_the_machine_s() {
        let folder = tempfile::tempdir().unwrap();
        let places = ["app.toml", "etc.toml"].map(|name| folder.path().join(name));
        fs::write(&places[1], "[app]\nname = 'machine'").unwrap();
        assert_eq!(Config::search(&places).unwrap().app.name.as_deref(), Some("machine"));
        fs::write(&places[0], "[app]\nname = 'own'").unwrap();
        assert_eq!(Config::search(&places).unwrap().app.name.as_deref(), Some("own"));
    }

    #[test]
    fn the_folder_that_app_names_is_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "[app]\nname = 'found'").unwrap();
        let config = Config::load(&CommonArgs::default(), folder.path().to_str()).unwrap();
        assert_eq!(config.app.name.as_deref(), Some("found"));
        assert_eq!(config.path, Some(folder.path().join(FILE_NAME)));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Config::search(&[folder.path().to_owned()]).unwrap_err().code(), "config.unreadable");
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_it_is_read_or_refused_in_one_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = parse(Path::new("/srv/x.toml"), &bytes) {
                prop_assert_eq!(error.to_string().lines().count(), 1);
            }
        }

        #[test]
        fn a_slip_of_one_letter_in_a_key_finds_the_key(at in 1usize..10, letter in "[a-z]") {
            let mut key = "recipients".to_owned();
            key.replace_range(at..=at.min(9), &letter);
            prop_assume!(key != "recipients");
            let error = refused(&format!("[store]\n{key} = []\n"));
            prop_assert_eq!(error.hint(), "did you mean `recipients`?");
        }
    }
}
