//! `certrenew self-signed`: a placeholder so that a web server can start before the first order.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args as ClapArgs;
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use serde_json::{Value, json};
use shipshape_core::config::{Config, InstallKind, KeyKind};
use shipshape_core::error::Failure;
use shipshape_core::report::Notice;
use shipshape_core::run::{Outcome, Run};
use shipshape_core::units::counted;

use crate::certificate::Chain;
use crate::check::{Meant, meant};
use crate::cli::{Context, OneArgs};
use crate::files::Lineage;
use crate::identifier::Identifier;
use crate::key::{self, Key, KeyError};
use crate::pem;
use crate::renew::Book;
use crate::wanted::{self, FOLDER, Wanted, WantedError};

/// How long a placeholder holds. Servers do not look; whoever sees one in a browser should not get used to it.
const LIFE: TimeDelta = TimeDelta::days(7);

/// How far the clock of whoever looks at it may be behind ours.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// What it says of itself, for people: tools see that it vouches for itself.
const SUBJECT: &str = "certrenew placeholder";

/// For what.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct SelfSignedArgs {
    /// The names [default: all certificates of the configuration that are missing]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// A place that may need a placeholder.
#[derive(Debug)]
struct Place {
    name: String,
    names: Vec<Identifier>,
    lineage: Lineage,
    /// Where it is renewed elsewhere, it is not ours to put something there.
    is_ours: bool,
}

impl From<Wanted> for Place {
    fn from(wanted: Wanted) -> Self {
        let (owner, group) = (wanted.owner.as_deref(), wanted.group.as_deref());
        let lineage = Lineage::new(&wanted.folder, &wanted.name, wanted.install, owner, group);
        Self { lineage, name: wanted.name, names: wanted.identifiers, is_ours: wanted.renew }
    }
}

/// What was found or done in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is a placeholder now.
    Made,
    /// A certificate for its names lies there already.
    There,
    /// One lies there that is not for all of its names.
    Other,
    /// It is renewed elsewhere, and nothing is looked at.
    Elsewhere,
}

/// A place, and what was done there.
struct Row {
    name: String,
    names: Vec<String>,
    path: PathBuf,
    state: State,
    /// What somebody should look at.
    notice: Option<Notice>,
}

/// Makes placeholders where nothing lies; never writes over a certificate.
pub(crate) fn self_signed(args: &SelfSignedArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let (places, unlisted) = places(args, context.config)?;
    let (_book, _lock) = Book::open(context)?;
    let rows = places.iter().map(|place| fill(place, context.run)).collect::<Result<Vec<_>, _>>()?;
    let text = rows.iter().map(Row::line).collect();
    let warnings = unlisted.into_iter().chain(rows.iter().filter_map(|row| row.notice.clone())).collect();
    Ok(Outcome {
        data: json!({ "certificates": rows.iter().map(Row::data).collect::<Vec<_>>() }),
        text,
        warnings,
        ..Outcome::ok(summary(&rows))
    })
}

fn summary(rows: &[Row]) -> String {
    let count = |state| rows.iter().filter(|row| row.state == state).count() as u64;
    let mut told = match count(State::Made) {
        0 if rows.iter().all(|row| row.state == State::There) => {
            return "nothing to do: there is a certificate everywhere already".to_owned();
        }
        made => format!("{} made", counted(made, "placeholder", "placeholders")),
    };
    for (state, what) in [
        (State::There, "there already"),
        (State::Other, "not made, since a certificate for other names lies there"),
        (State::Elsewhere, "not made, since they are renewed elsewhere"),
    ] {
        if count(state) > 0 {
            let _ = write!(told, ", {} {what}", count(state));
        }
    }
    told
}

/// Certificates of the configuration by what they are called, or by what they are for; names that none of them has make
/// one of their own, and that is told.
fn places(args: &SelfSignedArgs, config: &Config) -> Result<(Vec<Place>, Option<Notice>), Failure> {
    let names: Vec<&String> = args.names.iter().chain(&args.one.domain).collect();
    if names.is_empty() {
        return Ok((wanted::wanted(config, &args.one)?.into_iter().map(Place::from).collect(), None));
    }
    // What the names stand for is not known yet: a name that the flags give is that of a new certificate.
    let all = OneArgs { name: None, domain: Vec::new(), ..args.one.clone() };
    // Without a configuration everything that is named is new.
    let configured = match wanted::wanted(config, &all) {
        Err(WantedError::Nothing) => Vec::new(),
        other => other?,
    };
    let is_configured = !configured.is_empty();
    let Meant { known, rest } = meant(&names, configured)?;
    let mut places: Vec<Place> = known.into_iter().map(|(one, _)| Place::from(one)).collect();
    // Where certificates are configured, it may be a slip of the pen; where none is, nothing else can be meant.
    let notice = (is_configured && !rest.is_empty()).then(|| unlisted(&rest));
    if !rest.is_empty() {
        places.push(unknown(rest, &args.one, config)?);
    }
    Ok((places, notice))
}

fn unlisted(names: &[Identifier]) -> Notice {
    let names = listed(names).join(", ");
    Notice::new(
        "self_signed.unlisted",
        format!(
            "no certificate of the configuration is for {names}: the placeholder is one of its own, which no run replaces"
        ),
        "see which there are: certrenew status; or add it to the configuration: [[certrenew.certificate]]",
    )
}

/// One certificate for these names, where no configuration says anything of it.
fn unknown(names: Vec<Identifier>, one: &OneArgs, config: &Config) -> Result<Place, Failure> {
    let common = &config.certrenew;
    let first = names.first().ok_or(WantedError::NoNames)?;
    let name = one.name.clone().unwrap_or_else(|| wanted::lineage_of(first));
    if !shipshape_core::name::is_valid(&name) {
        return Err(WantedError::Name { name }.into());
    }
    let folder = one.folder.clone().or_else(|| common.folder.clone()).unwrap_or_else(|| FOLDER.into());
    let install = common.install.unwrap_or(InstallKind::Versioned);
    let lineage = Lineage::new(&folder, &name, install, common.owner.as_deref(), common.group.as_deref());
    Ok(Place { name, names, lineage, is_ours: true })
}

/// Puts a placeholder where nothing lies.
fn fill(place: &Place, run: &Run) -> Result<Row, Failure> {
    let (state, notice) = if place.is_ours { state(place)? } else { (State::Elsewhere, None) };
    // A kind of key that every server and client takes, whatever is ordered afterwards.
    if state == State::Made {
        let lineage = &place.lineage;
        let key = Key::make(KeyKind::EcdsaP256)?;
        let staged = lineage.stage(&key, &placeholder(&key, &place.names, run.started())?)?;
        staged.notice.into_iter().for_each(|notice| run.warn(notice));
        lineage.switch(staged.version)?;
    }
    Ok(Row { name: place.name.clone(), names: listed(&place.names), path: place.lineage.live(), state, notice })
}

/// What is to be done there. A certificate without the names that were asked for is told: a server that starts with it
/// shows browsers the wrong one.
fn state(place: &Place) -> Result<(State, Option<Notice>), Failure> {
    place.lineage.mend()?;
    let Some(installed) = place.lineage.installed()? else { return Ok((State::Made, None)) };
    let there = &installed.chain.facts.names;
    let missing: Vec<Identifier> = place.names.iter().filter(|name| !there.contains(name)).cloned().collect();
    if missing.is_empty() {
        return Ok((State::There, None));
    }
    let (live, missing) = (place.lineage.live(), listed(&missing).join(", "));
    let there = there.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let notice = Notice::new(
        "self_signed.other_names",
        format!("the certificate in {} is for {there}, not for {missing}; it stays as it is", live.display()),
        "have one ordered for the names of the configuration: certrenew; or call the placeholder otherwise: --name NAME",
    );
    Ok((State::Other, Some(notice)))
}

fn listed(names: &[Identifier]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The certificate: of one key that vouches for itself.
fn placeholder(key: &Key, names: &[Identifier], now: DateTime<Utc>) -> Result<Chain, Failure> {
    let mut params = key::params(names).map_err(KeyError::Request)?;
    params.distinguished_name.push(DnType::CommonName, SUBJECT);
    // The library has times of another crate, of which nothing else is needed here.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now - SKEW);
    params.not_after = epoch + since_epoch(now + LIFE);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let made = params.self_signed(key.pair()).map_err(KeyError::Request)?;
    Ok(Chain::read(pem::armour("CERTIFICATE", made.der()).as_bytes(), SUBJECT)?)
}

/// The span that the library which makes certificates counts in; none for a clock before 1970.
fn since_epoch(at: DateTime<Utc>) -> Duration {
    Duration::from_secs(at.timestamp().try_into().unwrap_or(0))
}

impl Row {
    fn action(&self) -> &'static str {
        match self.state {
            State::Made => "self-signed",
            State::There | State::Other | State::Elsewhere => "none",
        }
    }

    fn data(&self) -> Value {
        json!({ "name": self.name, "names": self.names, "action": self.action(), "path": self.path })
    }

    fn line(&self) -> String {
        format!("{}  {}  {}\n", self.name, self.action(), self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use shipshape_core::cli::CommonArgs;
    use shipshape_core::config::App;
    use tempfile::TempDir;

    use super::*;

    /// A machine with a configuration, and a run on it.
    struct Machine {
        folder: TempDir,
        config: Config,
        run: Run,
    }

    fn machine(text: &str) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shipshape.toml");
        fs::write(&path, text).unwrap();
        let common =
            CommonArgs { config: Some(path), state: Some(folder.path().join("state")), ..CommonArgs::default() };
        let config = Config::load(&common, None).unwrap();
        Machine { folder, config, run: Run::start("certrenew", "0", &common) }
    }

    impl Machine {
        fn makes(&self, names: &[&str]) -> Result<Value, Failure> {
            Ok(self.ends(names)?.data["certificates"].clone())
        }

        /// The summary, and the codes of the warnings.
        fn tells(&self, names: &[&str]) -> (String, Vec<String>) {
            let Outcome { summary, warnings, .. } = self.ends(names).unwrap();
            (summary, warnings.into_iter().map(|notice| notice.code).collect())
        }

        fn ends(&self, names: &[&str]) -> Result<Outcome, Failure> {
            let app = App { name: "certificates".to_owned(), dir: None };
            let context = Context { config: &self.config, app: &app, run: &self.run };
            let one = OneArgs { folder: Some(self.folder.path().join("tls")), ..OneArgs::default() };
            let args = SelfSignedArgs { names: names.iter().map(ToString::to_string).collect(), one };
            self_signed(&args, &context)
        }

        fn lineage(&self, name: &str) -> Lineage {
            Lineage::new(&self.folder.path().join("tls"), name, InstallKind::Versioned, None, None)
        }
    }

    fn actions(rows: &Value) -> Vec<String> {
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {}", row["name"], row["action"]).replace('"', ""))
            .collect()
    }

    const TWO: &str = "[certrenew]
webroot = '/var/www'
[[certrenew.certificate]]
names = ['a.test', '*.b.test']
challenge = 'dns-01'
hook = '/x'
[[certrenew.certificate]]
name = 'c'
names = ['192.0.2.7']
";

    #[test]
    fn a_placeholder_is_a_pair_that_says_what_it_is() {
        let machine = machine(TWO);
        assert_eq!(actions(&machine.makes(&[]).unwrap()), ["a.test self-signed", "c self-signed"]);
        let found = machine.lineage("a.test").installed().unwrap().unwrap();
        let facts = &found.chain.facts;
        assert!(found.is_pair && facts.is_self_signed && !found.is_key_exposed);
        assert_eq!((facts.issuer.as_str(), facts.days_left(machine.run.started())), (SUBJECT, 6));
        assert_eq!(facts.names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.test", "*.b.test"]);
        assert_eq!(machine.lineage("c").installed().unwrap().unwrap().chain.facts.names.len(), 1);
    }

    #[test]
    fn an_existing_certificate_is_never_written_over() {
        let machine = machine(TWO);
        machine.makes(&["c"]).unwrap();
        let before = machine.lineage("c").installed().unwrap().unwrap().chain;
        assert_eq!(actions(&machine.makes(&[]).unwrap()), ["a.test self-signed", "c none"]);
        assert_eq!(machine.lineage("c").installed().unwrap().unwrap().chain, before);
    }

    #[test]
    fn files_of_somebody_else_are_left_alone() {
        let machine = machine(TWO);
        let live = machine.folder.path().join("tls/live/c");
        fs::create_dir_all(&live).unwrap();
        fs::write(live.join("fullchain.pem"), "mine").unwrap();
        assert_eq!(machine.makes(&["c"]).unwrap_err().code(), "certificate.unreadable");
        assert_eq!(fs::read(live.join("fullchain.pem")).unwrap(), b"mine");
        assert_eq!(fs::read_dir(&live).unwrap().count(), 1);
    }

    #[test]
    fn names_that_no_configuration_knows_make_one_certificate() {
        let machine = machine("");
        let rows = machine.makes(&["New.test", "www.new.test"]).unwrap();
        assert_eq!(actions(&rows), ["new.test self-signed"]);
        assert_eq!(rows[0]["names"], json!(["new.test", "www.new.test"]));
        assert_eq!(rows[0]["path"], json!(machine.folder.path().join("tls/live/new.test")));
    }

    #[test]
    fn a_name_on_a_certificate_of_the_configuration_means_that_certificate() {
        let machine = machine(TWO);
        let rows = machine.makes(&["192.0.2.7", "*.B.test"]).unwrap();
        assert_eq!(actions(&rows), ["a.test self-signed", "c self-signed"]);
        assert_eq!(rows[0]["names"], json!(["a.test", "*.b.test"]), "whole, since the next order is for all of them");
        assert_eq!(machine.tells(&["c", "a.test"]).1, [""; 0]);
    }

    #[test]
    fn a_name_that_no_certificate_of_the_configuration_has_is_told() {
        let machine = machine(TWO);
        let (summary, codes) = machine.tells(&["c", "typo.test"]);
        assert_eq!((summary.as_str(), codes), ("2 placeholders made", vec!["self_signed.unlisted".to_owned()]));
        assert!(machine.lineage("typo.test").installed().unwrap().is_some());
        assert_eq!(super::tests::machine("").tells(&["new.test"]).1, [""; 0], "without any, nothing else can be meant");
    }

    #[test]
    fn a_certificate_for_other_names_in_its_place_is_told() {
        let machine = machine("");
        machine.makes(&["a.test", "b.test"]).unwrap();
        assert_eq!(machine.tells(&["a.test"]).0, "nothing to do: there is a certificate everywhere already");
        let outcome = machine.ends(&["a.test", "c.test"]).unwrap();
        assert!(outcome.summary.starts_with("0 placeholders made, 1 not made, since"), "{}", outcome.summary);
        let [told] = outcome.warnings.as_slice() else { panic!("{:?}", outcome.warnings) };
        assert_eq!(told.code, "self_signed.other_names");
        assert!(told.message.contains("is for a.test, b.test, not for c.test"), "{}", told.message);
        let there = machine.lineage("a.test").installed().unwrap().unwrap().chain.facts.names;
        assert!(there.iter().all(|name| name.to_string() != "c.test"));
    }

    #[test]
    fn what_is_renewed_elsewhere_gets_none() {
        let machine = machine("[[certrenew.certificate]]\nnames = ['a.test']\nrenew = false\n");
        assert_eq!(actions(&machine.makes(&["a.test"]).unwrap()), ["a.test none"]);
        assert!(!machine.folder.path().join("tls").exists());
    }

    #[test]
    fn names_that_are_none_are_refused_before_anything_is_written() {
        let machine = machine("");
        assert_eq!(machine.makes(&["a b"]).unwrap_err().code(), "certificate.name");
        assert_eq!(machine.makes(&["a.test", "../x"]).unwrap_err().code(), "certificate.name");
        assert!(!Path::new(&machine.folder.path().join("tls")).exists());
    }
}
