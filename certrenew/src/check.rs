//! `certrenew check`: before the first order, what would make it fail.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use shipshape_core::config::Config;
use shipshape_core::error::Failure;
use shipshape_core::exit::Exit;
use shipshape_core::run::Outcome;
use shipshape_core::signal;
use shipshape_core::state::StateDir;
use shipshape_core::units::counted;

use crate::acme::{self, About};
use crate::cli::{Context, OneArgs};
use crate::deploy::{Application, Doubt, Takers};
use crate::identifier::Identifier;
use crate::preflight::{self, Finding, failed, fine};
use crate::renew;
use crate::wanted::{self, SERVED_AT, Wanted, WantedError};

/// What is looked at.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct CheckArgs {
    /// The names [default: those of the configuration]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

/// Looks, changes nothing, and tells each finding.
pub(crate) fn check(args: &CheckArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let wanted = asked_for(args, context.config)?;
    let accounts = StateDir::place(context.run.common())?.join("accounts");
    let mut authorities = Authorities::default();
    let mut findings: Vec<Finding> = Vec::new();
    let application = Application::at(context.app.dir.as_deref());
    for one in &wanted {
        let mut found = looked_at(one, &mut authorities, &accounts)?;
        // Who is to take the certificate: found out before there is one.
        found.extend(taken_by(one, &application));
        // What concerns the machine, or the authority, is the same for all certificates.
        findings.extend(found.into_iter().filter(|new| !findings.contains(new)).collect::<Vec<_>>());
        signal::check()?;
    }
    Ok(told(&findings))
}

/// What authorities said of themselves; each is asked once.
type Authorities = BTreeMap<String, Option<About>>;

/// One certificate. An authority that cannot be asked is a finding of its own, and what it would have said stays open.
fn looked_at(wanted: &Wanted, authorities: &mut Authorities, accounts: &Path) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let about = authorities
        .entry(wanted.authority.directory.clone())
        .or_insert_with(|| acme::about(&wanted.authority).map_err(|error| findings.push(failed(error))).ok());
    // Only its key's file is looked at here: whether others can read it, and whose it is.
    let account = acme::known_account(&wanted.authority, accounts).unwrap_or_else(|error| {
        findings.push(failed(error));
        None
    });
    let about = about.clone().unwrap_or_default();
    findings.extend(preflight::look(wanted, &about, account.as_deref())?);
    Ok(findings)
}

/// Who will take it. Only what is stated and is not there would make an order fail.
fn taken_by(wanted: &Wanted, application: &Application) -> Vec<Finding> {
    let takers = match Takers::of(wanted, &renew::lineage(wanted).live(), application) {
        Ok(takers) => takers,
        Err(error) => return vec![failed(error)],
    };
    let note = |doubt: Doubt| Finding { hint: doubt.hint, ..fine(doubt.code, doubt.message) };
    let mut findings: Vec<Finding> = takers.doubts(wanted).into_iter().map(note).collect();
    if takers.is_found && !takers.services.is_empty() {
        let (services, folder) = (takers.names().join(", "), wanted.folder.display());
        let at: Vec<String> = takers.look_at(&[]).iter().map(ToString::to_string).collect();
        let looked = match (&wanted.verify, &at[..]) {
            (Some(_), _) => String::new(),
            (None, []) => {
                format!("; they publish no port 443, so it is looked at nowhere unless it shows at {SERVED_AT}")
            }
            (None, at) => format!("; it is looked at where they are reached: {}", at.join(", ")),
        };
        let told = format!("found by their mounts to take what comes to {folder}: {services}{looked}");
        findings.push(fine("deploy.service", told));
    }
    findings
}

/// The certificates that are asked for: those of the configuration, or what of them is meant. A name that is on none is
/// looked at as the flags say.
fn asked_for(args: &CheckArgs, config: &Config) -> Result<Vec<Wanted>, WantedError> {
    let names: Vec<&String> = args.names.iter().chain(&args.one.domain).collect();
    if names.is_empty() {
        let all = wanted::wanted(config, &args.one)?;
        // What is renewed elsewhere is ordered elsewhere.
        return Ok(all.into_iter().filter(|one| one.renew).collect());
    }
    let Meant { known, rest } = meant(&names, configured(&args.one, config)?)?;
    let mut asked: Vec<Wanted> = known.into_iter().map(|(one, identifiers)| Wanted { identifiers, ..one }).collect();
    if !rest.is_empty() {
        let names = rest.iter().map(ToString::to_string).collect();
        asked.extend(described(OneArgs { domain: names, ..args.one.clone() }, config)?);
    }
    Ok(asked)
}

/// What names on a command line mean.
pub(crate) struct Meant {
    /// Certificates of the configuration, each with the names of it that are meant.
    pub(crate) known: Vec<(Wanted, Vec<Identifier>)>,
    /// Names that are on none, in their order.
    pub(crate) rest: Vec<Identifier>,
}

/// A name means the certificates that it stands on; where it stands on none, the one that is called so, as a whole.
pub(crate) fn meant(names: &[&String], configured: Vec<Wanted>) -> Result<Meant, WantedError> {
    let is_on = |stated: &str, one: &Wanted| {
        // What is no name of the DNS may be what a certificate is called.
        Identifier::parse(stated).is_ok_and(|stated| one.identifiers.contains(&stated))
    };
    let is_called = |name: &&&String| {
        !configured.iter().any(|one| is_on(name, one)) && configured.iter().any(|one| one.name == ***name)
    };
    let (called, names): (Vec<&String>, Vec<&String>) = names.iter().partition(is_called);
    let mut rest: Vec<Identifier> = Vec::new();
    for name in names {
        let name = Identifier::parse(name)?;
        if !rest.contains(&name) {
            rest.push(name);
        }
    }
    let own = |one: &Wanted| -> Vec<Identifier> {
        let is_whole = called.contains(&&one.name);
        one.identifiers.iter().filter(|own| is_whole || rest.contains(own)).cloned().collect()
    };
    let known = configured.into_iter().map(|one| (own(&one), one)).filter(|(own, _)| !own.is_empty());
    let known: Vec<(Wanted, Vec<Identifier>)> = known.map(|(own, one)| (one, own)).collect();
    rest.retain(|name| !known.iter().any(|(_, own)| own.contains(name)));
    Ok(Meant { known, rest })
}

/// What the configuration has, if anything: names alone are enough for a first look.
fn configured(args: &OneArgs, config: &Config) -> Result<Vec<Wanted>, WantedError> {
    // One without any is an error where nothing else is named.
    if config.certrenew.certificate.is_empty() {
        return Ok(Vec::new());
    }
    let all = wanted::wanted(config, &OneArgs { domain: Vec::new(), ..args.clone() })?;
    Ok(all.into_iter().filter(|one| one.renew).collect())
}

/// A first look needs no web server yet: where no folder of one is named, we listen ourselves.
fn described(args: OneArgs, config: &Config) -> Result<Vec<Wanted>, WantedError> {
    match wanted::wanted(config, &args) {
        Err(WantedError::Missing { key: "webroot", .. }) => {
            wanted::wanted(config, &OneArgs { standalone: true, ..args })
        }
        other => other,
    }
}

/// The verdict: one thing that would make an order fail is enough.
fn told(findings: &[Finding]) -> Outcome {
    let bad: Vec<&Finding> = findings.iter().filter(|finding| finding.is_bad).collect();
    let all = counted(findings.len() as u64, "check", "checks");
    let summary = match bad.first() {
        None => format!("{all}, all is well"),
        Some(first) => {
            let of = first.name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
            format!("{all}, {} bad: {of}{}", bad.len(), first.message)
        }
    };
    let exit = if bad.is_empty() { Exit::Ok } else { Exit::Critical };
    Outcome { exit, data: data(findings), text: text(findings), ..Outcome::ok(summary) }
}

/// `data` of the report; the manual lists its fields.
fn data(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        let Finding { name, code, message, hint, is_bad } = finding;
        json!({ "name": name, "code": code, "ok": !is_bad, "message": message, "hint": hint })
    };
    json!({ "checks": findings.iter().map(one).collect::<Vec<_>>() })
}

/// A paragraph for the machine, and one for each name.
fn text(findings: &[Finding]) -> String {
    let mut names: Vec<Option<&String>> = Vec::new();
    for name in findings.iter().map(|finding| finding.name.as_ref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(Option::is_some);
    let paragraph = |name: Option<&String>| {
        let own = findings.iter().filter(|finding| finding.name.as_ref() == name);
        let title = name.map_or("this machine", String::as_str);
        format!("{title}\n{}", own.map(line).collect::<String>())
    };
    names.into_iter().map(paragraph).collect()
}

/// One finding. What is no reason to refuse, and still worth a look, is a note.
fn line(finding: &Finding) -> String {
    let word = match (finding.is_bad, finding.hint.is_empty()) {
        (true, _) => "bad ",
        (false, false) => "note",
        (false, true) => "ok  ",
    };
    let hint = if finding.hint.is_empty() { String::new() } else { format!("        hint: {}\n", finding.hint) };
    format!("  {word}  {}\n{hint}", finding.message)
}

#[cfg(test)]
mod tests {
    use shipshape_core::cli::CommonArgs;
    use shipshape_core::config::{App, CertificateSection, CertrenewSection};
    use shipshape_core::run::Run;

    use super::*;
    use crate::preflight::testing::{NameServer, Zone};

    fn config() -> Config {
        let certificate = |names: &[&str], renew| CertificateSection {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            webroot: Some("/srv/www".into()),
            renew: Some(renew),
            ..CertificateSection::default()
        };
        let certificate = vec![certificate(&["a.test", "www.a.test"], true), certificate(&["b.test"], false)];
        Config { certrenew: CertrenewSection { certificate, ..CertrenewSection::default() }, ..Config::default() }
    }

    fn asked(config: &Config, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let all = asked_for(&CheckArgs { names, ..CheckArgs::default() }, config).unwrap();
        let told = |one: &Wanted| {
            let names: Vec<String> = one.identifiers.iter().map(ToString::to_string).collect();
            format!("{} by {:?}", names.join("+"), one.method)
        };
        all.iter().map(told).collect()
    }

    /// A whole check of two certificates, of an authority that does not answer.
    #[test]
    fn what_concerns_all_certificates_is_told_once_and_an_authority_that_is_silent_ends_nothing() {
        let names = NameServer::of(Zone::default().address("a.test", "127.0.0.1"));
        let folder = tempfile::tempdir().unwrap();
        let one = |name: &str| CertificateSection {
            names: vec![name.to_owned()],
            ca: Some("https://127.0.0.1:1/directory".to_owned()),
            webroot: Some(folder.path().join("none")),
            resolver: Some(names.address.to_string()),
            folder: Some(folder.path().to_owned()),
            ..CertificateSection::default()
        };
        let certificate = vec![one("a.test"), one("b.test")];
        let config =
            Config { certrenew: CertrenewSection { certificate, ..CertrenewSection::default() }, ..Config::default() };
        let common = CommonArgs { state: Some(folder.path().join("state")), ..CommonArgs::default() };
        let run = Run::start("certrenew", "1.2.3", &common);
        let app = App { name: "demo".to_owned(), dir: None };
        let context = Context { config: &config, app: &app, run: &run };
        let outcome = check(&CheckArgs::default(), &context).unwrap();
        let checks = outcome.data["checks"].as_array().unwrap();
        let with = |code: &str| checks.iter().filter(|one| one["code"] == code).count();
        assert_eq!(
            (with("http.connection"), with("challenge.webroot"), with("preflight.dns")),
            (1, 1, 2),
            "{checks:#?}"
        );
        assert_eq!(outcome.exit, Exit::Critical);
        assert!(!folder.path().join("state").exists(), "a look leaves nothing behind");
    }

    #[test]
    fn without_names_all_that_is_renewed_here_is_looked_at() {
        assert_eq!(asked(&config(), &[]), [r#"a.test+www.a.test by Webroot("/srv/www")"#]);
        assert!(asked_for(&CheckArgs::default(), &Config::default()).is_err());
    }

    #[test]
    fn a_name_is_looked_at_as_its_certificate_says_and_any_other_by_a_listener_of_our_own() {
        let expected = [r#"www.a.test by Webroot("/srv/www")"#, "c.test by Standalone([::]:80)"];
        assert_eq!(asked(&config(), &["WWW.a.test", "c.test", "c.test."]), expected);
        let mut named = config();
        named.certrenew.certificate[0].name = Some("shop".to_owned());
        let whole = r#"a.test+www.a.test by Webroot("/srv/www")"#;
        assert_eq!(asked(&named, &["shop", "a.test"]), [whole]);
        assert_eq!(asked(&Config::default(), &["c.test"]), ["c.test by Standalone([::]:80)"]);
        // What is renewed elsewhere says nothing of how it would be proved here.
        assert_eq!(asked(&config(), &["b.test"]), ["b.test by Standalone([::]:80)"]);
    }

    #[test]
    fn flags_say_how_a_name_that_is_on_no_certificate_is_looked_at() {
        let one = OneArgs { webroot: Some("/var/www/acme".into()), ..OneArgs::default() };
        let args = CheckArgs { names: vec!["c.test".to_owned()], one };
        let all = asked_for(&args, &Config::default()).unwrap();
        assert_eq!(all[0].method, wanted::Method::Webroot("/var/www/acme".into()));
    }

    #[test]
    fn what_is_no_name_is_an_error() {
        let args = CheckArgs { names: vec!["a b".to_owned()], ..CheckArgs::default() };
        assert!(asked_for(&args, &config()).is_err());
    }

    fn finding(name: Option<&str>, message: &str, hint: &str, is_bad: bool) -> Finding {
        let name = name.map(str::to_owned);
        Finding { name, code: "preflight.dns", message: message.to_owned(), hint: hint.to_owned(), is_bad }
    }

    #[test]
    fn findings_are_told_name_by_name_and_the_first_bad_one_in_the_summary() {
        let findings = [
            finding(Some("a.test"), "leads to 192.0.2.7", "", false),
            finding(None, "the clock agrees", "", false),
            finding(Some("b.test"), "the DNS has no such name", "add an A record", true),
            finding(Some("a.test"), "no answer for AAAA", "see whether it answers", false),
        ];
        let outcome = told(&findings);
        assert_eq!(outcome.exit, Exit::Critical);
        assert_eq!(outcome.summary, "4 checks, 1 bad: b.test: the DNS has no such name");
        let expected = "this machine\n  ok    the clock agrees\na.test\n  ok    leads to 192.0.2.7\n  note  no answer for AAAA\n        \
                        hint: see whether it answers\nb.test\n  bad   the DNS has no such name\n        hint: add an A record\n";
        assert_eq!(outcome.text, expected);
        assert_eq!(
            outcome.data["checks"][2],
            json!({"name": "b.test", "code": "preflight.dns", "ok": false, "message": "the DNS has no such name", "hint": "add an A record"})
        );
        let good = told(&findings[..2]);
        assert_eq!((good.exit, good.summary.as_str()), (Exit::Ok, "2 checks, all is well"));
    }
}
