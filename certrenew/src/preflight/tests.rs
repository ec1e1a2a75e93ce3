//! Whole looks, at real name servers and web servers on the loopback.

use std::net::TcpListener;
use std::path::Path;

use shipshape_core::clock::Stopwatch;

use super::testing::{NameServer, WebServer, Zone, wanted};
use super::*;

fn about(identities: &[&str]) -> About {
    About { caa_identities: identities.iter().map(|&one| one.to_owned()).collect(), ..About::default() }
}

/// Each finding as `code name ok`.
fn words(findings: &[Finding]) -> Vec<String> {
    let word = |one: &Finding| {
        let name = one.name.as_deref().unwrap_or("-");
        format!("{} {name} {}", one.code, if one.is_bad { "bad" } else { "ok" })
    };
    findings.iter().map(word).collect()
}

fn bad(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|one| one.is_bad).map(|one| format!("{}: {}", one.code, one.message)).collect()
}

fn left_in(folder: &Path) -> usize {
    let challenges = folder.join(".well-known/acme-challenge");
    std::fs::read_dir(challenges).map_or(0, Iterator::count)
}

#[test]
fn a_machine_that_is_ready_is_seen_to_be_in_less_than_a_second_and_nothing_is_left_behind() {
    let (webroot, certificates) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (v4, _v6) = WebServer::pair(WebServer::of(webroot.path()));
    let zone = Zone::default()
        .address("a.test", "127.0.0.1")
        .address("a.test", "::1")
        .alias("www.a.test", "a.test")
        .caa("a.test", 0, "issue", "ca.test");
    let names = NameServer::of(zone);
    let lines = format!("names = ['a.test', 'www.a.test']\nwebroot = {:?}", webroot.path());
    let mut wanted = wanted(&lines, names.address, v4.address.port());
    wanted.folder = certificates.path().to_owned();
    let watch = Stopwatch::start();
    let found = look(&wanted, &about(&["ca.test"]), None).unwrap();
    assert!(watch.elapsed() < Duration::from_secs(1), "{:?}", watch.elapsed());
    let expected = [
        "preflight.files - ok",
        "preflight.challenge - ok",
        "preflight.dns a.test ok",
        "preflight.dns www.a.test ok",
        "preflight.caa a.test ok",
        "preflight.caa www.a.test ok",
        "preflight.token a.test ok",
        "preflight.token a.test ok",
        "preflight.token www.a.test ok",
        "preflight.token www.a.test ok",
    ];
    assert_eq!(words(&found), expected, "{found:#?}");
    assert_eq!(left_in(webroot.path()), 0);
    let mut asked = names.asked();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), names.asked().len(), "a question was asked twice");
}

#[test]
fn each_thing_that_would_make_an_order_fail_is_named() {
    let webroot = tempfile::tempdir().unwrap();
    let server = WebServer::at("127.0.0.1:0", |_| b"HTTP/1.1 404 No\r\n\r\n".to_vec());
    let zone = Zone::default()
        .address("a.test", "127.0.0.1")
        .caa("a.test", 0, "issue", "other.test")
        .failing("broken.test", simple_dns::TYPE::A)
        .failing("broken.test", simple_dns::TYPE::AAAA)
        .failing("broken.test", simple_dns::TYPE::CAA)
        .empty("empty.test");
    let names = NameServer::of(zone);
    let lines = format!("names = ['a.test', 'broken.test', 'empty.test', 'none.test']\nwebroot = {:?}", webroot.path());
    let mut wanted = wanted(&lines, names.address, server.address.port());
    wanted.folder = webroot.path().to_owned();
    let found = look(&wanted, &about(&["ca.test"]), None).unwrap();
    let (bad, at) = (bad(&found), server.address);
    let expected = [
        format!("preflight.dns: the name server {} cannot tell broken.test A: SERVFAIL", names.address),
        "preflight.dns: the DNS has no address for it".to_owned(),
        "preflight.dns: the DNS has no such name".to_owned(),
        "preflight.caa: the CAA records of a.test allow `other.test` alone".to_owned(),
        format!(
            "preflight.caa: whether CAA records allow it cannot be told: the name server {} cannot tell broken.test CAA: SERVFAIL",
            names.address
        ),
        format!("preflight.token: {at}: answers 404 with nothing"),
    ];
    assert_eq!(bad, expected);
    assert!(found.iter().all(|one| !one.is_bad || !one.hint.is_empty()), "{found:#?}");
}

#[test]
fn a_webroot_that_is_not_there_is_found_before_anything_is_asked_for() {
    let server = WebServer::at("127.0.0.1:0", |_| Vec::new());
    let names = NameServer::of(Zone::default().address("a.test", "127.0.0.1"));
    let wanted = wanted("names = ['a.test']\nwebroot = '/nonexistent/www'", names.address, server.address.port());
    let found = look(&wanted, &about(&[]), None).unwrap();
    assert!(words(&found).contains(&"challenge.webroot - bad".to_owned()), "{found:#?}");
    assert!(server.asked().is_empty());
}

#[test]
fn a_listener_of_our_own_is_found_at_its_port() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let names = NameServer::of(Zone::default().address("a.test", "127.0.0.1"));
    let lines = format!("names = ['a.test']\nchallenge = 'standalone'\nhttp_listen = '127.0.0.1:{port}'");
    let wanted = wanted(&lines, names.address, port);
    let found = look(&wanted, &about(&[]), None).unwrap();
    assert!(words(&found).contains(&"preflight.token a.test ok".to_owned()), "{found:#?}");
    // Somebody else has the port.
    let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let found = look(&wanted, &about(&[]), None).unwrap();
    assert!(words(&found).contains(&"challenge.port - bad".to_owned()), "{found:#?}");
}

#[test]
fn by_dns_01_nothing_is_asked_of_the_names_but_their_caa_records() {
    let names = NameServer::of(Zone::default().caa("a.test", 0, "issuewild", "ca.test"));
    let wanted = wanted("names = ['*.a.test']\nchallenge = 'dns-01'\nhook = '/bin/true'", names.address, 80);
    let found = look(&wanted, &about(&["ca.test"]), None).unwrap();
    assert_eq!(found.iter().filter(|one| one.name.is_some()).count(), 1, "{found:#?}");
    assert!(words(&found).contains(&"preflight.caa *.a.test ok".to_owned()), "{found:#?}");
    assert!(names.asked().iter().all(|asked| asked.ends_with(" CAA")));
}

#[test]
fn a_silent_name_server_is_told_in_time() {
    let names = NameServer::raw(|_, _| Vec::new());
    let wanted = wanted("names = ['a.test', 'b.test']\nwebroot = '/nonexistent'", names.address, 80);
    let watch = Stopwatch::start();
    let found = look(&wanted, &about(&[]), None).unwrap();
    assert!(watch.elapsed() < Duration::from_secs(11), "{:?}", watch.elapsed());
    assert!(words(&found).contains(&"preflight.dns b.test bad".to_owned()), "{found:#?}");
}

#[test]
fn one_kind_of_address_is_enough_and_the_other_worth_a_note() {
    let zone = Zone::default().address("a.test", "127.0.0.1").failing("a.test", simple_dns::TYPE::AAAA);
    let names = NameServer::of(zone);
    let wanted = wanted("names = ['a.test']\nwebroot = '/nonexistent'", names.address, 80);
    let found = look(&wanted, &about(&[]), None).unwrap();
    let dns: Vec<&Finding> = found.iter().filter(|one| one.code == "preflight.dns").collect();
    assert_eq!(dns.iter().map(|one| one.is_bad).collect::<Vec<_>>(), [false, false]);
    assert_eq!(dns[0].message, "leads to 127.0.0.1");
    assert!(dns[1].message.ends_with("cannot tell a.test AAAA: SERVFAIL") && !dns[1].hint.is_empty(), "{dns:?}");
}

#[test]
fn private_addresses_are_told_where_the_authority_is_one_of_the_internet() {
    let names = NameServer::of(Zone::default().address("a.test", "127.0.0.1"));
    let mut wanted = wanted("names = ['a.test']\nwebroot = '/nonexistent'", names.address, 80);
    let private = |wanted: &Wanted| {
        let found = look(wanted, &about(&[]), None).unwrap();
        found.iter().any(|one| one.code == "preflight.private" && one.is_bad)
    };
    assert!(!private(&wanted));
    "https://acme-v02.api.letsencrypt.org/directory".clone_into(&mut wanted.authority.directory);
    assert!(private(&wanted));
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_clock_may_be_five_minutes_off_and_no_more() {
    let theirs = Some(at("2026-11-20T02:00:00Z"));
    assert_eq!(clock(None, theirs), None);
    for (ours, expected) in [
        ("2026-11-20T02:05:00Z", None),
        ("2026-11-20T01:55:00Z", None),
        ("2026-11-20T02:06:00Z", Some("the clock of this machine is 6 minutes ahead of the authority's")),
        ("2026-11-19T02:00:00Z", Some("the clock of this machine is 1440 minutes behind the authority's")),
    ] {
        let found = clock(theirs, Some(at(ours))).unwrap();
        assert_eq!(found.is_bad.then_some(found.message.as_str()), expected);
        assert_eq!(found.is_bad, !found.hint.is_empty());
    }
}

#[test]
fn what_the_authority_does_not_offer_is_told() {
    let names = "127.0.0.1:53".parse().unwrap();
    let wanted = wanted("names = ['a.test']\nwebroot = '/srv'\nprofile = 'tiny'", names, 80);
    let with = |profiles: &[&str], needs_binding| {
        let profiles = profiles.iter().map(|&one| (one.to_owned(), String::new())).collect();
        offered(&wanted, &About { profiles, needs_binding, ..About::default() }).map(|found| found.code)
    };
    assert_eq!(with(&["tiny", "classic"], false), None);
    assert_eq!(with(&["classic"], false), Some("acme.profile"));
    assert_eq!(with(&["tiny"], true), Some("acme.binding"));
    // An authority that could not be asked offers nothing that we know of.
    assert_eq!(with(&[], false), None);
}
