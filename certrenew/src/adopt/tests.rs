use std::os::unix::fs::symlink;

use rcgen::CertificateParams;
use shipshape_core::cli::CommonArgs;
use shipshape_core::config::{App, KeyKind};
use shipshape_core::run::Run;
use tempfile::TempDir;

use super::*;
use crate::key::{self, Key};

/// A machine on which certbot has been at work.
struct Machine {
    folder: TempDir,
    run: Run,
}

impl Machine {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shipshape.toml");
        fs::write(&file, text).unwrap();
        let state = Some(folder.path().join("state"));
        let common = CommonArgs { config: Some(file), state, ..CommonArgs::default() };
        Self { run: Run::start("certrenew", "0", &common), folder }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.folder.path().join(rest)
    }

    /// A certificate as certbot lays it.
    fn has(&self, name: &str, names: &[&str], params: &str) {
        let live = self.path("le/live").join(name);
        let archive = self.path("le/archive").join(name);
        for folder in [&live, &archive, &self.path("le/renewal")] {
            fs::create_dir_all(folder).unwrap();
        }
        let names: Vec<Identifier> = names.iter().map(|name| Identifier::parse(name).unwrap()).collect();
        let key = Key::make(KeyKind::EcdsaP384).unwrap();
        let signed: CertificateParams = key::params(&names).unwrap();
        let chain = signed.self_signed(key.pair()).unwrap().pem();
        for (kind, text) in [
            ("privkey", key.pem().to_string()),
            ("cert", chain.clone()),
            ("chain", String::new()),
            ("fullchain", chain),
        ] {
            fs::write(archive.join(format!("{kind}1.pem")), text).unwrap();
            symlink(format!("../../archive/{name}/{kind}1.pem"), live.join(format!("{kind}.pem"))).unwrap();
        }
        let full = live.join("fullchain.pem");
        let conf = format!("version = 2.1.0\nfullchain = {}\n[renewalparams]\n{params}", full.display());
        fs::write(self.path("le/renewal").join(format!("{name}.conf")), conf).unwrap();
    }

    fn adopts(&self, dry_run: bool) -> Result<Outcome, Failure> {
        let config = Config::load(self.run.common(), None).unwrap();
        let app = App { name: "certificates".to_owned(), dir: None };
        let args = AdoptArgs { folder: self.path("le"), dry_run, app: None };
        adopt(&args, &Context { config: &config, app: &app, run: &self.run })
    }

    fn configuration(&self) -> Config {
        Config::load(self.run.common(), None).unwrap()
    }

    /// Whether the configuration renews each, in its order.
    fn renewed(&self) -> Vec<bool> {
        self.configuration().certrenew.certificate.iter().map(|one| one.renew.unwrap_or(true)).collect()
    }

    fn codes(&self) -> Vec<String> {
        let notices = rows(&self.path("le"), &self.configuration()).unwrap().into_iter().flat_map(|row| row.notices);
        notices.map(|notice| notice.code).collect()
    }

    fn conf(&self, name: &str) -> String {
        fs::read_to_string(self.path("le/renewal").join(format!("{name}.conf"))).unwrap()
    }
}

fn actions(outcome: &Outcome) -> Vec<String> {
    let rows = outcome.data["certificates"].as_array().unwrap();
    rows.iter().map(|row| format!("{} {}", row["name"], row["action"]).replace('"', "")).collect()
}

const WEBROOT: &str = "authenticator = webroot\nwebroot_path = /var/www/html,\n";

#[test]
fn certificates_are_taken_over_and_certbot_leaves_them_alone() {
    let machine = Machine::new("# mine\n[app]\nname = 'x'\n");
    machine.has("b.test", &["a.test", "b.test", "www.b.test"], WEBROOT);
    let outcome = machine.adopts(false).unwrap();
    assert_eq!(actions(&outcome), ["b.test adopted"]);
    let config = machine.configuration();
    let one = &config.certrenew.certificate[0];
    assert_eq!((one.name.as_deref(), one.names.join(" ").as_str()), (Some("b.test"), "b.test a.test www.b.test"));
    assert_eq!(
        (one.webroot.as_deref(), one.folder.clone()),
        (Some(Path::new("/var/www/html")), Some(machine.path("le")))
    );
    assert_eq!(one.key, Some(KeyKind::EcdsaP384), "as the key that is there");
    assert!(machine.conf("b.test").contains("[renewalparams]\nautorenew = False\n"));
    let kept = fs::read_to_string(machine.path("le/renewal/b.test.conf.orig")).unwrap();
    assert!(kept.ends_with(WEBROOT) && !kept.contains("autorenew"));
    assert!(fs::read_to_string(machine.path("shipshape.toml")).unwrap().starts_with("# mine\n[app]\nname = 'x'\n"));
}

#[test]
fn a_second_time_changes_nothing() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], WEBROOT);
    machine.has("n.test", &["n.test"], "authenticator = nginx\n");
    assert_eq!(actions(&machine.adopts(false).unwrap()), ["a.test adopted", "n.test watched"]);
    let files = ["shipshape.toml", "le/renewal/a.test.conf", "le/renewal/a.test.conf.orig", "le/renewal/n.test.conf"];
    let read = || files.map(|file| fs::read_to_string(machine.path(file)).unwrap());
    let before = read();
    assert_eq!(actions(&machine.adopts(false).unwrap()), ["a.test none", "n.test none"]);
    assert_eq!(read(), before);
    assert!(!machine.conf("n.test").contains("autorenew"), "certbot goes on renewing what is watched");
}

#[test]
fn a_run_that_was_killed_before_certbot_was_told_tells_it_the_next_time() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], WEBROOT);
    machine.adopts(false).unwrap();
    fs::rename(machine.path("le/renewal/a.test.conf.orig"), machine.path("le/renewal/a.test.conf")).unwrap();
    machine.adopts(false).unwrap();
    assert!(machine.conf("a.test").contains("autorenew = False"));
}

#[test]
fn a_preview_shows_the_lines_and_touches_nothing() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], WEBROOT);
    let outcome = machine.adopts(true).unwrap();
    assert!(outcome.text.contains("[[certrenew.certificate]]\nname = \"a.test\"\n"), "{}", outcome.text);
    assert!(outcome.summary.starts_with("1 certificate would be taken over"));
    assert_eq!(fs::read_to_string(machine.path("shipshape.toml")).unwrap(), "");
    assert!(!machine.conf("a.test").contains("autorenew"));
    assert!(!machine.path("state").exists());
}

#[test]
fn what_makes_no_sense_is_left_to_certbot_and_keeps_no_other_back() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], WEBROOT);
    for (name, conf) in
        [("gone.test", "fullchain = /nowhere/live/gone.test/fullchain.pem\n"), ("empty.test", ""), ("ba d", "")]
    {
        fs::write(machine.path("le/renewal").join(format!("{name}.conf")), conf).unwrap();
    }
    fs::write(machine.path("le/renewal/odd.test.conf"), b"\xff\xfe").unwrap();
    let outcome = machine.adopts(false).unwrap();
    let expected = ["a.test adopted", "ba d failed", "empty.test failed", "gone.test failed", "odd.test failed"];
    assert_eq!(actions(&outcome), expected);
    assert_eq!(machine.configuration().certrenew.certificate.len(), 1);
}

#[test]
fn a_file_without_what_certbot_was_told_is_not_adopted_with_values_of_our_own() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], WEBROOT);
    machine.has("b.test", &["b.test"], WEBROOT);
    for garbage in ["", "garbage\n", "version = 2.1.0\n", "[renewalparam]\nauthenticator = standalone\n"] {
        fs::write(machine.path("le/renewal/b.test.conf"), garbage).unwrap();
        let rows = rows(&machine.path("le"), &machine.configuration()).unwrap();
        let [told] = rows[1].notices.as_slice() else { panic!("{:?}", rows[1].notices) };
        assert!(rows[1].action == Action::Failed && rows[1].block.is_empty(), "{garbage}");
        assert!(told.code == "adopt.skipped" && told.message.contains("no section [renewalparams]"), "{told:?}");
        let conf = machine.path("le/renewal/b.test.conf");
        assert!(silence(&conf).unwrap_err().to_string().contains("b.test.conf"));
        assert_eq!(fs::read_to_string(conf).unwrap(), garbage);
    }
    assert_eq!(actions(&machine.adopts(false).unwrap()), ["a.test adopted", "b.test failed"]);
}

#[test]
fn a_file_of_certbots_that_is_too_large_is_never_cut_short() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], &format!("{WEBROOT}# {}\n", "x".repeat(1 << 16)));
    let before = machine.conf("a.test");
    assert_eq!(actions(&machine.adopts(false).unwrap()), ["a.test failed"]);
    assert!(silence(&machine.path("le/renewal/a.test.conf")).is_err());
    assert_eq!(machine.conf("a.test"), before);
}

#[test]
fn what_its_owner_switched_off_stays_off_and_what_we_did_does_not_count_as_that() {
    let machine = Machine::new("[certrenew]\nservice = 'web'\n");
    machine.has("off.test", &["off.test"], &format!("{WEBROOT}autorenew = False\n"));
    machine.has("on.test", &["on.test"], WEBROOT);
    assert_eq!(machine.codes(), ["adopt.switched_off"]);
    assert_eq!(actions(&machine.adopts(false).unwrap()), ["off.test watched", "on.test adopted"]);
    assert_eq!(machine.renewed(), [false, true]);
    assert!(!machine.path("le/renewal/off.test.conf.orig").exists(), "nothing of it was changed");
    // Its lines were taken out of the configuration, and certbot was told by us: that is no wish of the owner.
    fs::write(machine.path("shipshape.toml"), "").unwrap();
    machine.adopts(false).unwrap();
    assert_eq!(machine.renewed(), [false, true]);
}

#[test]
fn without_the_key_of_the_certificate_it_is_watched_alone() {
    let machine = Machine::new("[certrenew]\nservice = 'web'\n");
    machine.has("gone.test", &["gone.test"], WEBROOT);
    machine.has("other.test", &["other.test"], WEBROOT);
    machine.has("whole.test", &["whole.test"], WEBROOT);
    fs::remove_file(machine.path("le/archive/gone.test/privkey1.pem")).unwrap();
    let other = fs::read(machine.path("le/archive/whole.test/privkey1.pem")).unwrap();
    fs::write(machine.path("le/archive/other.test/privkey1.pem"), other).unwrap();
    assert_eq!(machine.codes(), ["adopt.key", "adopt.key"]);
    machine.adopts(false).unwrap();
    assert_eq!(machine.renewed(), [false, false, true]);
    assert!(!machine.conf("gone.test").contains("autorenew") && !machine.conf("other.test").contains("autorenew"));
}

#[test]
fn a_service_of_all_certificates_puts_an_adopted_one_to_use_too() {
    let machine = Machine::new("");
    machine.has("a.test", &["a.test"], WEBROOT);
    assert_eq!(machine.codes(), ["adopt.hook"]);
    fs::write(machine.path("shipshape.toml"), "[certrenew]\ncommand = ['/reload']\n").unwrap();
    assert!(machine.codes().is_empty());
}

#[test]
fn a_configuration_that_would_not_hold_together_stays_as_it_is() {
    let machine = Machine::new("[certrenew]\ncertificate = []\n");
    machine.has("a.test", &["a.test"], WEBROOT);
    assert_eq!(machine.adopts(false).err().unwrap().code(), "adopt.does_not_fit");
    assert!(!machine.conf("a.test").contains("autorenew"), "certbot goes on as before");
}

#[test]
fn a_folder_without_anything_of_certbots_is_told() {
    let machine = Machine::new("");
    let refused = machine.adopts(false).err().unwrap();
    assert_eq!((refused.code(), refused.exit().number()), ("adopt.nothing", 3));
}

#[test]
fn programs_for_all_certificates_are_named() {
    let machine = Machine::new("");
    fs::create_dir_all(machine.path("renewal-hooks/deploy")).unwrap();
    assert!(hooks_of_all(machine.folder.path()).is_none());
    fs::write(machine.path("renewal-hooks/deploy/reload"), "x").unwrap();
    assert!(hooks_of_all(machine.folder.path()).unwrap().message.ends_with("renewal-hooks/deploy/reload"));
}
