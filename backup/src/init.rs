//! `backup init`: discovers what there is, makes a store and an identity, and writes shipshape.toml.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use shipshape_core::archive::entry::{Bytes, Kind};
use shipshape_core::archive::index::Root;
use shipshape_core::archive::keys::{self, Recipients};
use shipshape_core::archive::patterns::Patterns;
use shipshape_core::archive::store::{self, MakeFolder};
use shipshape_core::database::Engine;
use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::units::{ByteSize, counted};

use crate::cli::InitArgs;
use crate::sources::discovery::{Known, Role, is_database, may_be_database};
use crate::stack::Surroundings;
use crate::target::{self, Meant, TargetError, new_store_id};
use crate::walk::{Met, Rules, Walk};

/// Why nothing is set up.
#[derive(Debug, thiserror::Error)]
enum InitError {
    /// There is a configuration already.
    #[error("there is a configuration already: {}", path.display())]
    ConfigExists {
        /// The file.
        path: PathBuf,
    },
    /// There is an identity already.
    #[error("there is a file already where the identity would go: {}", path.display())]
    IdentityExists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Explain for InitError {
    fn code(&self) -> &'static str {
        match self {
            Self::ConfigExists { .. } => "init.config_exists",
            Self::IdentityExists { .. } => "init.identity_exists",
            Self::Write { .. } => "file.write",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::ConfigExists { path } => {
                format!("edit it, or name another one: --config FILE; or: mv {0} {0}.old", path.display())
            }
            Self::IdentityExists { .. } => {
                "it may be the only key to existing snapshots: keep it, and name another file with --identity"
                    .to_owned()
            }
            Self::Write { path, .. } => format!("check who may write there: ls -ld {}", path.display()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::ConfigExists { .. } | Self::IdentityExists { .. } | Self::Write { .. } => Exit::Unknown,
        }
    }
}

/// What was found in the application's folder.
#[derive(Debug, Default)]
struct Found {
    files: u64,
    bytes: u64,
    config: Vec<String>,
    databases: Vec<(String, String, u64)>,
    /// Services that are database servers.
    servers: Vec<(String, Engine)>,
}

/// What is to be written, and where.
struct Draft {
    config_file: PathBuf,
    identity_file: PathBuf,
    app_dir: PathBuf,
    recipients: Vec<String>,
}

/// The command: everything is checked first, and written in an order in which a failure leaves nothing useless.
pub(crate) fn run(args: &InitArgs, run: &Run) -> Result<Outcome, Failure> {
    run.only_looks();
    let meant = meant(args, run)?;
    let draft = Draft::new(args, &meant, run)?;
    let mut found = look(&draft.app_dir, &meant)?;
    found.servers = servers(&meant, run);
    if args.dry_run {
        return Ok(outcome(&meant, &draft, &found, "would be"));
    }
    let (identity, public) = keys::generate(run.started());
    store::open_or_create(&meant.url, MakeFolder::Yes, new_store_id())?;
    write_new(&draft.identity_file, identity.expose().as_bytes())?;
    let draft = Draft { recipients: std::iter::once(public).chain(draft.recipients).collect(), ..draft };
    write_new(&draft.config_file, config_text(&meant, &draft, &found).as_bytes())?;
    Ok(outcome(&meant, &draft, &found, "was"))
}

/// A configuration that exists already in the folder is refused before anything of it is believed.
fn meant(args: &InitArgs, run: &Run) -> Result<Meant, Failure> {
    let named = run.common().config.clone();
    let folder = args.target.app.as_deref().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let path = named.unwrap_or_else(|| folder.join("shipshape.toml"));
    if path.exists() {
        return Err(InitError::ConfigExists { path }.into());
    }
    let app = args.target.app.clone().unwrap_or_else(|| ".".to_owned());
    let target = shipshape_core::cli::StoreArgs { app: Some(app), ..args.target.clone() };
    target::meant_without_file(&target, run)
}

impl Draft {
    fn new(args: &InitArgs, meant: &Meant, run: &Run) -> Result<Self, Failure> {
        let no_folder = || TargetError::NoFolder { app: meant.app.name.clone() };
        let app_dir = meant.app.dir.clone().ok_or_else(no_folder)?;
        let config_file = run.common().config.clone().unwrap_or_else(|| app_dir.join("shipshape.toml"));
        let identity_file = args.identity.clone().unwrap_or_else(|| default_identity(&meant.app.name));
        let identity_file = std::path::absolute(&identity_file).unwrap_or(identity_file);
        if identity_file.exists() {
            return Err(InitError::IdentityExists { path: identity_file }.into());
        }
        let recipients = Recipients::read(&args.recipient, None)?.texts();
        Ok(Self { config_file, identity_file, app_dir, recipients })
    }
}

/// Outside the application's folder, so that it is not backed up into what only it can open.
fn default_identity(app: &str) -> PathBuf {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    home.join(format!("shipshape-{app}-identity.txt"))
}

/// Looks over everything that a backup would take, so that its owner sees what is found and what is not.
fn look(app_dir: &Path, meant: &Meant) -> Result<Found, Failure> {
    use std::os::unix::ffi::OsStrExt;
    let roots = [Root { prefix: b".".as_slice().into(), path: app_dir.as_os_str().as_bytes().into(), volume: None }];
    let store = PathBuf::from(meant.url.strip_prefix("file://").unwrap_or(&meant.url));
    let rules = Rules { own: store.canonicalize().into_iter().collect(), ..Rules::default() };
    let mut known = Known { config: Patterns::new(&[".env*".to_owned()])?, ..Known::default() };
    let mut found = Found::default();
    for met in Walk::new(app_dir, &roots, &rules) {
        let Met::Entry { entry, source, names, .. } = met else { continue };
        if entry.kind != Kind::File {
            continue;
        }
        match known.role(&entry, names) {
            Role::Config => found.config.push(entry.path.shown()),
            Role::Plain if may_be_database(&entry) && is_database(&source) => {
                let name = known.add(entry.path.clone());
                found.databases.push((name, entry.path.shown(), entry.size));
            }
            Role::Plain => {
                found.files += 1;
                found.bytes += entry.size;
            }
            Role::Companion | Role::Database => {}
        }
    }
    Ok(found)
}

/// The database servers beside the application. That they cannot be seen now is no reason not to set up, but worth a word.
fn servers(meant: &Meant, run: &Run) -> Vec<(String, Engine)> {
    match Surroundings::look(meant) {
        Ok(around) => around.found.servers.into_iter().map(|server| (server.service.name, server.engine)).collect(),
        Err(refused) => {
            run.warn(refused.notice());
            Vec::new()
        }
    }
}

/// Writes a file that must not exist, private from birth.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), InitError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|cause| InitError::Write { path: path.to_owned(), cause })
}

/// The file as it is written: what is needed, and the most wanted of the rest as comments.
fn config_text(meant: &Meant, draft: &Draft, found: &Found) -> String {
    let recipients: Vec<String> = draft.recipients.iter().map(|key| format!("  {},\n", quoted(key))).collect();
    let mut text = String::from("# Shipshape: what to back up, and where to. All keys: backup --help\n\n");
    let _ = write!(text, "[app]\nname = {}\ndir = {}\n\n", quoted(&meant.app.name), quoted_path(&draft.app_dir));
    let _ = write!(text, "[store]\nurl = {}\n", quoted(&absolute_url(&meant.url)));
    let _ = write!(
        text,
        "# Public keys: who holds the identity of one of them can read the backups.\nrecipients = [\n{}]\n\n",
        recipients.concat()
    );
    text.push_str("[backup]\n# exclude = [\"cache/**\", \"*.log\"]\n");
    if !found.databases.is_empty() {
        let paths: Vec<String> = found.databases.iter().map(|(_, path, _)| quoted(path)).collect();
        let _ = writeln!(
            text,
            "# These must be there, or the backup fails; others are found by themselves.\nsqlite = [{}]",
            paths.join(", ")
        );
    }
    text.push('\n');
    text.push_str("[backup.keep]\n# Never fewer than `last`; of the newest days with a backup, one each.\nlast = 3\ndaily = 30\n\n");
    text.push_str("[restore]\n# The server does not need the identity to make backups. When you have moved it to a safe place, remove this line\n");
    let _ = writeln!(
        text,
        "# and lend it for a restore: restore latest --identity FILE\nidentity_file = {}",
        quoted_path(&draft.identity_file)
    );
    text
}

/// Relative URLs would depend on where the file lies.
fn absolute_url(url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    std::path::absolute(url).map_or_else(|_| url.to_owned(), |path| path.display().to_string())
}

/// A TOML basic string; its escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A path as text. One that is not UTF-8 cannot stand in TOML and is shown escaped.
fn quoted_path(path: &Path) -> String {
    quoted(&Bytes::from(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())).shown())
}

/// What was found and written, with the paths of all of it.
fn outcome(meant: &Meant, draft: &Draft, found: &Found, verb: &str) -> Outcome {
    let databases = counted(found.databases.len() as u64, "SQLite database", "SQLite databases");
    let servers = counted(found.servers.len() as u64, "database server", "database servers");
    let files = counted(found.files, "file", "files");
    let mut outcome = Outcome::ok(format!(
        "{} {verb} set up: {servers}, {databases}, {files} ({})",
        meant.app.name,
        ByteSize(found.bytes)
    ));
    outcome.data = json!({
        "config": draft.config_file,
        "identity": draft.identity_file,
        "store": absolute_url(&meant.url),
        "place": meant.place.to_string(),
        "recipients": draft.recipients,
        "files": found.files,
        "bytes": found.bytes,
        "databases": found.databases.iter().map(|(name, path, bytes)| json!({"name": name, "path": path, "bytes": bytes})).collect::<Vec<_>>(),
        "servers": found.servers.iter().map(|(service, engine)| json!({"service": service, "kind": engine})).collect::<Vec<_>>(),
        "config_files": found.config,
    });
    outcome.text = text(meant, draft, found);
    outcome
}

/// For people, and above all: what to do with the identity.
fn text(meant: &Meant, draft: &Draft, found: &Found) -> String {
    let mut text = String::new();
    for (service, engine) in &found.servers {
        let _ = writeln!(text, "  {:<14} service {service}: all its databases", engine.name());
    }
    for (name, path, bytes) in &found.databases {
        let _ = writeln!(text, "  sqlite         {name}: {path}, {}", ByteSize(*bytes));
    }
    for path in &found.config {
        let _ = writeln!(text, "  config         {path}");
    }
    let _ = writeln!(text, "  store          {}", absolute_url(&meant.url));
    let _ = writeln!(text, "  configuration  {}", draft.config_file.display());
    let _ = writeln!(text, "  identity       {}", draft.identity_file.display());
    let _ =
        writeln!(text, "\n  Whoever holds the identity can read the backups, and without it nobody can, you included.");
    let _ =
        writeln!(text, "  Keep it in a password manager and on paper, and off this server, which does not need it.");
    if draft.recipients.len() < 2 {
        let _ =
            writeln!(text, "  A second key kept offline is wise: age-keygen, then add its public key to recipients.");
    }
    let _ = writeln!(text, "\n  next: backup --config {}", draft.config_file.display());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_toml_keeps_its_quotes() {
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
    }

    #[test]
    fn an_identity_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.txt");
        write_new(&path, b"first").unwrap();
        assert!(write_new(&path, b"second").is_err());
        assert_eq!(std::fs::read(path).unwrap(), b"first");
    }
}
