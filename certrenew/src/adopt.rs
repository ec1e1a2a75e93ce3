//! `certrenew adopt`: takes over the certificates of certbot.

mod append;
mod block;
mod error;
#[cfg(test)]
mod fuzz;
mod renewal;

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use shipshape_core::atomic;
use shipshape_core::config::{CertificateSection, Config, InstallKind};
use shipshape_core::error::Failure;
use shipshape_core::name;
use shipshape_core::path::clean;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::units::counted;

pub(crate) use error::AdoptError;

use crate::cli::Context;
use crate::files::{Installed, Lineage};
use crate::identifier::Identifier;
use crate::renew::Book;
use crate::wanted;
use append::{Mode, append};
use block::{Doubt, Found};
use renewal::Renewal;

/// Where a configuration is made when there is none: the one of the whole machine, as its certificates are.
const CONFIGURATION: &str = "/etc/shipshape.toml";

/// The name of a configuration in the folder of an application.
const FILE_NAME: &str = "shipshape.toml";

/// What starts certbot by itself, and what makes it stop: Debian's timer and cron line, and the snap's.
const STARTERS: [(&str, &str); 3] = [
    ("/etc/systemd/system/timers.target.wants/certbot.timer", "systemctl disable --now certbot.timer"),
    (
        "/etc/systemd/system/timers.target.wants/snap.certbot.renew.timer",
        "systemctl disable --now snap.certbot.renew.timer",
    ),
    ("/etc/cron.d/certbot", "chmod a-r /etc/cron.d/certbot, or take its line out"),
];

/// What is taken over.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct AdoptArgs {
    /// The folder of certbot
    #[arg(value_name = "DIR", default_value = crate::wanted::FOLDER)]
    pub(crate) folder: PathBuf,
    /// Write what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Folder of the application, or the name under which its state is kept
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) app: Option<String>,
}

/// What becomes of a certificate of certbot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// It is renewed here from now on.
    Adopted,
    /// It is watched; certbot goes on renewing it.
    Watched,
    /// The configuration has it already.
    None,
    /// It makes no sense, and is left alone.
    Failed,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::Watched => "watched",
            Self::None => "none",
            Self::Failed => "failed",
        }
    }
}

/// One certificate of certbot's, and what becomes of it.
struct Row {
    name: String,
    names: Vec<String>,
    /// Certbot's own file.
    conf: PathBuf,
    live: PathBuf,
    action: Action,
    /// Whether certbot is to leave it alone from now on.
    is_ours: bool,
    /// What is written of it.
    block: String,
    notices: Vec<Notice>,
}

/// Reads `renewal/*.conf`, and writes the certificates into the configuration.
///
/// The configuration comes first: killed after it, certbot renews what is renewed here as well, until the next `adopt`.
pub(crate) fn adopt(args: &AdoptArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let _held = (!args.dry_run).then(|| Book::open(context)).transpose()?;
    let folder = clean(&std::path::absolute(&args.folder).unwrap_or_else(|_| args.folder.clone()));
    let rows = rows(&folder, context.config)?;
    let file = configuration(args, context.config);
    let lines: String = rows.iter().map(|row| row.block.as_str()).collect();
    if !lines.is_empty() {
        append(&file, &lines, if args.dry_run { Mode::Try } else { Mode::Write })?;
    }
    // Those too that the configuration had already: an earlier run may have been killed before this.
    if !args.dry_run {
        for row in rows.iter().filter(|row| row.is_ours) {
            silence(&row.conf)?;
        }
    }
    for notice in rows.iter().flat_map(|row| row.notices.clone()).chain(hooks_of_all(&folder)) {
        context.run.warn(notice);
    }
    Ok(outcome(&rows, &file, &lines, args.dry_run))
}

/// The file that this run reads, else the one that the next one will.
fn configuration(args: &AdoptArgs, config: &Config) -> PathBuf {
    let of_the_app = args.app.as_deref().map(Path::new).filter(|app| app.is_dir()).map(|app| app.join(FILE_NAME));
    let new = of_the_app.map(|file| std::path::absolute(&file).unwrap_or(file));
    config.path.clone().or(new).unwrap_or_else(|| CONFIGURATION.into())
}

/// What becomes of each, decided before anything is changed.
fn rows(folder: &Path, config: &Config) -> Result<Vec<Row>, AdoptError> {
    let confs = confs(folder)?;
    if confs.is_empty() {
        return Err(AdoptError::NothingThere { folder: folder.to_owned() });
    }
    Ok(confs.iter().map(|conf| row(conf, folder, config)).collect())
}

/// Certbot's files, in the order of their names.
fn confs(folder: &Path) -> Result<Vec<PathBuf>, AdoptError> {
    let renewal = folder.join("renewal");
    let unreadable = |source| AdoptError::Unreadable { path: renewal.clone(), source };
    let entries = match fs::read_dir(&renewal) {
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// One that makes no sense keeps no other back: it stays with certbot, and that is told.
fn row(conf: &Path, folder: &Path, config: &Config) -> Row {
    let name = conf.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let lineage = Lineage::new(folder, &name, InstallKind::Versioned, None, None);
    let row = Row {
        names: Vec::new(),
        conf: conf.to_owned(),
        live: lineage.live(),
        action: Action::None,
        is_ours: false,
        block: String::new(),
        notices: Vec::new(),
        name,
    };
    let read = read(conf, &row, &lineage);
    let known = known(config, &row.name);
    match (read, known) {
        (Err(notice), _) => Row { action: Action::Failed, notices: vec![notice], ..row },
        (Ok((_, installed)), Some(is_renewed)) => {
            Row { names: told(&names(&installed, &row.name)), is_ours: is_renewed, ..row }
        }
        (Ok((renewal, installed)), None) => {
            let names = names(&installed, &row.name);
            let key = installed.key.as_ref().and_then(crate::key::Key::kind);
            let block = Found {
                name: &row.name,
                names: names.clone(),
                key,
                renewal: &renewal,
                place: conf,
                folder,
                doubt: doubt(conf, &renewal, &installed),
                is_put_to_use: config.certrenew.service.is_some() || config.certrenew.command.is_some(),
            }
            .block();
            let action = if block.is_renewed { Action::Adopted } else { Action::Watched };
            Row {
                names: told(&names),
                action,
                is_ours: block.is_renewed,
                block: block.text,
                notices: block.notices,
                ..row
            }
        }
    }
}

/// Why it is not to be renewed here, though it could be.
fn doubt(conf: &Path, renewal: &Renewal, installed: &Installed) -> Option<Doubt> {
    // Where we told certbot so ourselves, the file as it was lies beside it.
    let is_switched_off = !renewal.renews() && fs::symlink_metadata(kept(conf)).is_err();
    match &installed.key {
        None => Some(Doubt::NoKey),
        Some(_) if !installed.is_pair => Some(Doubt::OtherKey),
        Some(_) => is_switched_off.then_some(Doubt::SwitchedOff),
    }
}

/// Where certbot's file is kept as it was. certbot reads `*.conf` alone: a name behind that is none of its business.
fn kept(conf: &Path) -> PathBuf {
    let mut kept = conf.as_os_str().to_owned();
    kept.push(".orig");
    kept.into()
}

/// Whether the configuration has a certificate of this name, and renews it.
fn known(config: &Config, wanted: &str) -> Option<bool> {
    let section = &config.certrenew;
    let is_it = |one: &&CertificateSection| match &one.name {
        Some(name) => name == wanted,
        None => one
            .names
            .first()
            .and_then(|name| Identifier::parse(name).ok())
            .is_some_and(|name| wanted::lineage_of(&name) == wanted),
    };
    section.certificate.iter().find(is_it).map(|one| one.renew.or(section.renew).unwrap_or(true))
}

/// What certbot wrote of it and what lies there; else what is wrong with it.
fn read(conf: &Path, row: &Row, lineage: &Lineage) -> Result<(Renewal, Installed), Notice> {
    let wrong = |why: &str| {
        let message = format!("{} is left to certbot: {why}", row.name);
        Notice::new(
            "adopt.skipped",
            message,
            format!("see what certbot says of it: certbot certificates --cert-name {}", row.name),
        )
    };
    if !name::is_valid(&row.name) {
        return Err(wrong("its name cannot be used here"));
    }
    let text = bounded(conf).map_err(|cause| wrong(&format!("its file cannot be read: {cause}")))?;
    let renewal = Renewal::read(&text);
    if !renewal.is_whole {
        return Err(wrong("its file has no section [renewalparams], so that nothing is known of how it was renewed"));
    }
    // certbot can be told to keep files elsewhere; new ones would then be written where nobody reads them.
    let expected = row.live.join("fullchain.pem");
    if renewal.path("fullchain").is_some_and(|path| clean(Path::new(path)) != expected) {
        return Err(wrong("its files lie in another folder than they usually do"));
    }
    match lineage.installed() {
        Ok(Some(installed)) => Ok((renewal, installed)),
        Ok(None) => Err(wrong("there are no files of it")),
        Err(error) => Err(wrong(&Failure::from(error).message())),
    }
}

/// A file of certbot's, as large as one can be that it wrote itself: it is written again whole, or not at all.
fn bounded(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    if fs::File::open(path)?.take(renewal::LARGEST + 1).read_to_end(&mut text)? as u64 > renewal::LARGEST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    String::from_utf8(text).map_err(|_| ErrorKind::InvalidData.into())
}

/// Whether certbot renews the certificate of this name, by its own file about it; none where it has none, or one that cannot be
/// read.
pub(crate) fn certbot_renews(folder: &Path, name: &str) -> Option<bool> {
    let text = bounded(&folder.join("renewal").join(format!("{name}.conf"))).ok()?;
    Some(Renewal::read(&text)).filter(|renewal| renewal.is_whole).map(|renewal| renewal.renews())
}

/// What it is for, the name that it is called by first.
fn names(installed: &Installed, first: &str) -> Vec<Identifier> {
    let mut names: Vec<Identifier> = installed.chain.facts.names.iter().cloned().collect();
    names.sort_by_key(|name| name.to_string() != first);
    names
}

fn told(names: &[Identifier]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Tells certbot to leave it alone: it goes on reading it. Its file as it was is kept beside it.
fn silence(conf: &Path) -> Result<(), AdoptError> {
    let unreadable = |source| AdoptError::Unreadable { path: conf.to_owned(), source };
    let text = bounded(conf).map_err(unreadable)?;
    // In whatever words: it is told already.
    if !Renewal::read(&text).renews() {
        return Ok(());
    }
    let told = renewal::without_renewal(&text).ok_or_else(|| AdoptError::NotTold { path: conf.to_owned() })?;
    atomic::replace(&kept(conf), text.as_bytes())?;
    let write = || {
        let mut file = atomic::temporary(conf.parent().unwrap_or(conf))?;
        file.write_all(told.as_bytes())?;
        let mode = fs::metadata(conf)?.mode() & 0o7777;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        atomic::commit(file, conf)
    };
    write().map_err(|source| AdoptError::NotWritable { path: conf.to_owned(), source })
}

/// Programs that certbot runs for every certificate.
fn hooks_of_all(folder: &Path) -> Option<Notice> {
    let hooks = folder.join("renewal-hooks");
    let of = |kind: &str| fs::read_dir(hooks.join(kind)).into_iter().flatten().flatten();
    let found: Vec<String> = ["pre", "deploy", "post"]
        .iter()
        .flat_map(|kind| of(kind))
        .map(|entry| entry.path().display().to_string())
        .collect();
    (!found.is_empty()).then(|| {
        let message = format!("programs that certbot runs for all certificates are not run here: {}", found.join(", "));
        Notice::new("adopt.hook", message, "write what is needed of them to [certrenew]: command = [\"PROGRAM\"]")
    })
}

/// What is told: each certificate, the lines as they were written, and what to switch off.
fn outcome(rows: &[Row], file: &Path, lines: &str, is_trial: bool) -> Outcome {
    let count = |action| rows.iter().filter(|row| row.action == action).count() as u64;
    let would = if is_trial { "would be " } else { "" };
    let adopted = counted(count(Action::Adopted), "certificate", "certificates");
    let mut summary = format!("{adopted} {would}taken over from certbot");
    for (number, what) in [
        (count(Action::Watched), "watched and not renewed here"),
        (count(Action::None), "in the configuration already"),
        (count(Action::Failed), "left alone"),
    ] {
        if number > 0 {
            let _ = write!(summary, ", {number} {what}");
        }
    }
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "{}  {}", row.name, row.action.word());
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "{}\n{lines}", file.display());
    }
    let starter = STARTERS.iter().find(|(place, _)| fs::symlink_metadata(place).is_ok()).map(|(_, stop)| *stop);
    // As long as certbot renews something, its timer has work to do.
    let starter = starter.filter(|_| rows.iter().all(|row| row.is_ours));
    if let Some(stop) = starter {
        let _ = writeln!(text, "\ncertbot has nothing left to renew: {stop}");
    }
    let data = json!({
        "certificates": rows.iter().map(Row::data).collect::<Vec<_>>(),
        "configuration": file,
        "appended": lines,
        "switch_off": starter,
    });
    Outcome { data, text, ..Outcome::ok(summary) }
}

impl Row {
    fn data(&self) -> Value {
        json!({ "name": self.name, "names": self.names, "action": self.action.word(), "path": self.live })
    }
}

#[cfg(test)]
mod tests;
