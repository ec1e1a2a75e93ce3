use std::path::Path;

use shipshape_core::cli::CommonArgs;
use shipshape_core::error::Explain;

use super::*;

/// What a file of these lines says.
fn config(text: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let common = CommonArgs { config: Some(file.path().to_owned()), ..CommonArgs::default() };
    Config::load(&common, None).unwrap()
}

fn of(text: &str, args: &OneArgs) -> Result<Vec<Wanted>, WantedError> {
    wanted(&config(text), args)
}

/// One certificate of these lines, with a webroot.
fn one(lines: &str) -> Result<Wanted, WantedError> {
    let text = format!("[certrenew]\nwebroot = \"/var/www/acme\"\n[[certrenew.certificate]]\n{lines}\n");
    Ok(of(&text, &OneArgs::default())?.remove(0))
}

/// Code and hint of what is refused.
fn refused<T>(stated: Result<T, WantedError>) -> (&'static str, String) {
    stated.err().map_or(("nothing was refused", String::new()), |error| (error.code(), error.hint()))
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

const TWO: &str = "
[certrenew]
webroot = \"/var/www/acme\"
service = \"httpd\"
ca = \"letsencrypt-staging\"
[[certrenew.certificate]]
names = [\"a.example\", \"www.a.example\"]
[[certrenew.certificate]]
name = \"second\"
names = [\"b.example\"]
webroot = \"/srv/b\"
service = \"other\"
verify = [\"192.0.2.7:8443\", \"2001:db8::7\"]
";

#[test]
fn a_certificate_has_what_its_section_says_else_what_holds_for_all_else_what_is_usual() {
    let all = of(TWO, &OneArgs::default()).unwrap();
    let [first, second] = &all[..] else { panic!("{all:?}") };
    assert_eq!((first.name.as_str(), second.name.as_str()), ("a.example", "second"));
    assert_eq!(first.method, Method::Webroot("/var/www/acme".into()));
    assert_eq!(second.method, Method::Webroot("/srv/b".into()));
    assert_eq!((first.use_by.service.as_deref(), second.use_by.service.as_deref()), (Some("httpd"), Some("other")));
    assert_eq!(first.use_by.test, ["nginx", "-t"]);
    assert_eq!(first.use_by.reload, ["nginx", "-s", "reload"]);
    assert_eq!(first.folder, Path::new(FOLDER));
    assert_eq!((&first.verify, first.is_open), (&None, false), "its service tells by its ports");
    let stated = ["192.0.2.7:8443".parse().unwrap(), "[2001:db8::7]:443".parse().unwrap()];
    assert_eq!(second.verify.as_deref(), Some(&stated[..]));
    assert_eq!(
        (first.key, first.install, first.preflight),
        (KeyKind::EcdsaP256, InstallKind::Versioned, PreflightKind::Strict)
    );
    assert!(all.iter().all(|one| one.renew && one.authority.directory.contains("staging") && one.http_port == 80));
}

#[test]
fn flags_beat_what_the_file_says() {
    let args = OneArgs {
        name: Some("second".to_owned()),
        webroot: Some("/flag".into()),
        ca: Some("google".to_owned()),
        folder: Some("/certs".into()),
        service: Some("web".to_owned()),
        verify: texts(&["127.0.0.1:9443"]),
        ..OneArgs::default()
    };
    let all = of(TWO, &args).unwrap();
    let [only] = &all[..] else { panic!("{all:?}") };
    assert_eq!((only.name.as_str(), &only.method), ("second", &Method::Webroot("/flag".into())));
    assert!(only.authority.directory.contains("pki.goog"), "{:?}", only.authority);
    assert_eq!((only.folder.as_path(), only.use_by.service.as_deref()), (Path::new("/certs"), Some("web")));
    assert_eq!(only.verify, Some(vec!["127.0.0.1:9443".parse().unwrap()]));
}

#[test]
fn a_flag_for_the_challenge_beats_the_one_of_the_file() {
    let text = "[[certrenew.certificate]]\nnames = [\"a.example\"]\nchallenge = \"dns-01\"\nhook = \"/bin/hook\"\n";
    let hook = Method::Hook { program: "/bin/hook".into(), wait: HOOK_WAIT };
    let flag = |args: OneArgs| of(text, &args).unwrap().remove(0).method;
    assert_eq!(flag(OneArgs::default()), hook);
    assert_eq!(
        flag(OneArgs { standalone: true, ..OneArgs::default() }),
        Method::Standalone("[::]:80".parse().unwrap())
    );
    assert_eq!(flag(OneArgs { webroot: Some("/www".into()), ..OneArgs::default() }), Method::Webroot("/www".into()));
}

#[test]
fn names_given_by_flags_make_one_certificate_of_their_own() {
    let args = OneArgs { domain: texts(&["Z.example", "z.example.", "*.z.example"]), ..OneArgs::default() };
    assert_eq!(refused(of(TWO, &args)).0, "certificate.challenge", "the wildcard of the flags is judged too");
    let args = OneArgs { domain: texts(&["Z.example", "z.example.", "www.z.example"]), ..OneArgs::default() };
    let all = of(TWO, &args).unwrap();
    let [only] = &all[..] else { panic!("{all:?}") };
    assert_eq!((only.name.as_str(), only.identifiers.len()), ("z.example", 2));
    assert_eq!(only.use_by.service.as_deref(), Some("httpd"), "what holds for all holds for it");
    let named = OneArgs { name: Some("mine".to_owned()), ..args };
    assert_eq!(of(TWO, &named).unwrap()[0].name, "mine");
}

#[test]
fn each_way_to_prove_a_name_has_its_usual_place() {
    let method = |lines: &str| one(&format!("names = [\"a.example\"]\n{lines}")).unwrap().method;
    assert_eq!(method("challenge = \"standalone\""), Method::Standalone("[::]:80".parse().unwrap()));
    assert_eq!(method("challenge = \"tls-alpn-01\""), Method::TlsAlpn("[::]:443".parse().unwrap()));
    let listen = "challenge = \"standalone\"\nhttp_listen = \"127.0.0.1:5002\"";
    assert_eq!(method(listen), Method::Standalone("127.0.0.1:5002".parse().unwrap()));
    let hook = "challenge = \"dns-01\"\nhook = \"/bin/hook\"\nhook_wait_s = 7";
    let wait = Duration::from_secs(7);
    assert_eq!(method(hook), Method::Hook { program: "/bin/hook".into(), wait });
}

#[test]
fn what_is_only_watched_needs_no_way_to_prove_it() {
    let text = "[[certrenew.certificate]]\nnames = [\"*.a.example\"]\nrenew = false\n";
    let watched = of(text, &OneArgs::default()).unwrap().remove(0);
    assert!(!watched.renew);
    let at = Some(vec![SERVED_AT.parse().unwrap()]);
    assert_eq!((watched.name.as_str(), watched.verify, watched.is_open), ("a.example", at, false));
}

#[test]
fn who_takes_it_is_found_out_where_nobody_has_said_anything() {
    let said = |lines: &str| {
        let one = one(&format!("names = [\"a.example\"]\n{lines}")).unwrap();
        (one.is_open, one.verify.map(|verify| verify.len()))
    };
    assert_eq!(said(""), (true, None));
    assert_eq!(said("verify = [\"192.0.2.7\"]"), (true, Some(1)));
    assert_eq!(said("reload = [\"true\"]"), (true, None), "it says how, and not who");
    assert_eq!(said("verify = []"), (false, Some(0)));
    assert_eq!(said("command = [\"true\"]"), (false, Some(1)), "a program does not say where");
    assert_eq!(said("command = [\"true\"]\nverify = []"), (false, Some(0)));
    assert_eq!(said("command = []"), (false, Some(1)));
    assert_eq!(said("service = \"web\"\ncommand = [\"true\"]"), (false, None));
    assert_eq!(said("renew = false\nservice = \"web\""), (false, Some(1)));
}

#[test]
fn nothing_at_all_is_told_with_both_ways_to_say_it() {
    let (code, hint) = refused(of("", &OneArgs::default()));
    assert_eq!(code, "certificate.none");
    assert!(hint.contains("[[certrenew.certificate]]") && hint.contains("--domain"), "{hint}");
}

#[test]
fn a_name_that_is_not_in_the_file_is_told_with_those_that_are() {
    let args = OneArgs { name: Some("third".to_owned()), ..OneArgs::default() };
    assert_eq!(refused(of(TWO, &args)), ("certificate.unknown", "there are: a.example, second".to_owned()));
}

#[test]
fn two_certificates_cannot_lie_in_one_place() {
    let text = TWO.replace("name = \"second\"", "name = \"a.example\"");
    let (code, hint) = refused(of(&text, &OneArgs::default()));
    assert_eq!((code, hint.contains("name = ")), ("certificate.twins", true));
}

#[test]
fn a_certificate_without_names_is_refused() {
    assert_eq!(refused(one("name = \"a\"")).0, "certificate.no_names");
}

#[test]
fn what_is_no_name_is_refused_as_it_was_written() {
    let error = one("names = [\"a.example\", \"a b\"]").unwrap_err();
    assert_eq!(error.code(), "certificate.name");
    assert!(error.to_string().contains("`a b`"), "{error}");
}

#[test]
fn a_name_that_leads_out_of_its_folder_is_refused() {
    for name in ["../x", "a/b", ".hidden", ""] {
        let stated = one(&format!("names = [\"a.example\"]\nname = \"{name}\""));
        assert_eq!(refused(stated).0, "certificate.folder_name", "{name:?}");
    }
}

#[test]
fn a_challenge_without_what_it_needs_is_told_with_the_missing_key() {
    let text = "[[certrenew.certificate]]\nnames = [\"a.example\"]\n";
    let (code, hint) = refused(of(text, &OneArgs::default()));
    assert_eq!((code, hint.contains("webroot = \"/var/www/acme\"")), ("certificate.incomplete", true));
    assert!(hint.contains("standalone"), "{hint}");
    let (code, hint) = refused(of(&format!("{text}challenge = \"dns-01\"\n"), &OneArgs::default()));
    assert_eq!((code, hint.contains("hook = ")), ("certificate.incomplete", true));
}

#[test]
fn a_wildcard_is_proved_by_a_record_alone() {
    for challenge in ["http-01", "standalone", "tls-alpn-01"] {
        let stated = one(&format!("names = [\"a.example\", \"*.a.example\"]\nchallenge = \"{challenge}\""));
        let (code, hint) = refused(stated);
        assert_eq!((code, hint.contains("dns-01")), ("certificate.challenge", true), "{challenge}");
    }
    assert!(one("names = [\"*.a.example\"]\nchallenge = \"dns-01\"\nhook = \"/bin/hook\"").is_ok());
}

#[test]
fn an_address_is_proved_by_anything_but_a_record() {
    let (code, hint) = refused(one("names = [\"192.0.2.7\"]\nchallenge = \"dns-01\"\nhook = \"/bin/hook\""));
    assert_eq!((code, hint.contains("http-01")), ("certificate.challenge", true));
    assert_eq!(one("names = [\"192.0.2.7\"]").unwrap().name, "192.0.2.7");
}

#[test]
fn an_authority_is_known_by_its_name_or_by_a_url_over_tls() {
    for ca in ["lets-encrypt", "http://ca.test/directory", "ca.test"] {
        let (code, hint) = refused(one(&format!("names = [\"a.example\"]\nca = \"{ca}\"")));
        assert_eq!((code, hint.contains("letsencrypt, letsencrypt-staging")), ("certificate.authority", true), "{ca}");
    }
    let own = one("names = [\"a.example\"]\nca = \"https://ca.test:14000/dir\"").unwrap().authority;
    assert_eq!((own.directory.as_str(), own.rehearsal()), ("https://ca.test:14000/dir", None));
}

#[test]
fn half_an_account_binding_is_told_with_the_other_half() {
    let (code, hint) = refused(one("names = [\"a.example\"]\neab_kid = \"k\""));
    assert_eq!((code, hint.contains("eab_hmac_file = ")), ("certificate.binding", true));
    let (code, hint) = refused(one("names = [\"a.example\"]\neab_hmac_env = \"HMAC\""));
    assert_eq!((code, hint.contains("eab_kid = ")), ("certificate.binding", true));
    let whole = one("names = [\"a.example\"]\neab_kid = \"k\"\neab_hmac_env = \"HMAC\"").unwrap();
    assert_eq!(whole.authority.binding.unwrap().kid, "k");
}

#[test]
fn what_is_no_address_is_refused_wherever_one_is_stated() {
    for line in [
        "verify = [\"example.com:443\"]",
        "resolver = \"dns.example\"",
        "challenge = \"standalone\"\nhttp_listen = \"80\"",
        "challenge = \"tls-alpn-01\"\ntls_listen = \"0.0.0.0\"",
    ] {
        let (code, hint) = refused(one(&format!("names = [\"a.example\"]\n{line}")));
        assert_eq!((code, hint.contains("192.0.2.7:443")), ("certificate.address", true), "{line}");
    }
    let resolver = one("names = [\"a.example\"]\nresolver = \"192.0.2.53\"").unwrap().resolver;
    assert_eq!(resolver, Some("192.0.2.53:53".parse().unwrap()));
}
