//! Tokens, asked for at real servers on both loopbacks.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use shipshape_core::clock::Stopwatch;

use super::*;
use crate::preflight::testing::{NameServer, WebServer, Zone, wanted};

const WEBROOT: &str = "names = ['a.test']\nwebroot = '/srv/acme'";

fn target(name: &str, address: &str) -> Target {
    Target { identifier: Identifier::parse(name).unwrap(), address: address.parse().unwrap() }
}

/// What is found where servers are asked at this port.
fn found_with(
    lines: &str,
    port: u16,
    zone: Zone,
    proofs: &[Proof],
    targets: &[Target],
    whole: Duration,
) -> Vec<Finding> {
    let names = NameServer::of(zone);
    let wanted = wanted(lines, names.address, port);
    let deadline = Deadline::after(whole);
    let resolver = Resolver::until(Some(names.address), deadline);
    findings(targets, &Trial { wanted: &wanted, proofs, resolver: &resolver, deadline })
}

/// The one finding for a.test at 127.0.0.1.
fn found(port: u16, proofs: &[Proof]) -> Finding {
    let targets = [target("a.test", "127.0.0.1")];
    found_with(WEBROOT, port, Zone::default(), proofs, &targets, Duration::from_secs(5)).remove(0)
}

fn own() -> Vec<Proof> {
    vec![proof(&Identifier::parse("a.test").unwrap())]
}

/// An answer with this body, or a redirect.
fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

#[test]
fn a_token_that_comes_back_at_both_addresses_is_well() {
    let proofs = own();
    let body = proofs[0].key_authorization.clone() + "\r\n ";
    let (v4, v6) = WebServer::pair(move |_| ok(&body));
    let targets = [target("a.test", "127.0.0.1"), target("a.test", "::1")];
    let found = found_with(WEBROOT, v4.address.port(), Zone::default(), &proofs, &targets, Duration::from_secs(5));
    assert!(found.iter().all(|one| !one.is_bad && one.code == "preflight.token" && one.hint.is_empty()), "{found:?}");
    assert_eq!(found[1].message, format!("our token is seen at {}", v6.address));
    let request = &v6.asked()[0];
    let expected = format!(
        "GET /.well-known/acme-challenge/{} HTTP/1.1\r\nHost: a.test:{}\r\n",
        proofs[0].token,
        v6.address.port()
    );
    assert!(request.starts_with(&expected), "{request}");
}

#[test]
fn an_address_of_which_the_aaaa_record_is_dead_is_named_with_what_to_do() {
    let proofs = own();
    let body = proofs[0].key_authorization.clone();
    let v4 = WebServer::at("127.0.0.1:0", move |_| ok(&body));
    let port = v4.address.port();
    let targets = [target("a.test", "127.0.0.1"), target("a.test", "::1")];
    let found = found_with(WEBROOT, port, Zone::default(), &proofs, &targets, Duration::from_secs(5));
    assert_eq!(found.iter().map(|one| one.is_bad).collect::<Vec<_>>(), [false, true]);
    assert_eq!(
        (found[1].code, found[1].message.as_str()),
        ("preflight.port", &*format!("[::1]:{port}: the connection is refused"))
    );
    let hint = format!("remove the AAAA record of a.test, or let the server listen on [::1]:{port}");
    assert!(found[1].hint.starts_with(&hint), "{}", found[1].hint);
}

#[test]
fn another_answer_is_told_with_its_status_its_server_and_its_beginning() {
    let server = WebServer::at("127.0.0.1:0", |_| {
        let body = "<html>\n<h1>Parked\u{1b}[31m</h1>".to_owned() + &"x".repeat(500);
        format!("HTTP/1.1 404 Not Found\r\nServer: Apache\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
    let found = found(server.address.port(), &own());
    assert!(found.is_bad);
    let start = format!("{}: answers 404 (Apache) with \"<html> <h1>Parked [31m</h1>xxx", server.address);
    assert!(found.message.starts_with(&start) && found.message.len() < 200, "{}", found.message);
    assert!(found.hint.contains("location ^~ /.well-known/acme-challenge/ { root /srv/acme; }"), "{}", found.hint);
}

#[test]
fn the_right_body_under_a_wrong_status_is_wrong() {
    let proofs = own();
    let body = proofs[0].key_authorization.clone();
    let server = WebServer::at("127.0.0.1:0", move |_| format!("HTTP/1.1 403 No\r\n\r\n{body}").into_bytes());
    assert!(found(server.address.port(), &proofs).is_bad);
}

#[test]
fn a_redirect_to_https_is_followed_whatever_the_certificate_is() {
    let proofs = own();
    let body = proofs[0].key_authorization.clone();
    let server = WebServer::at("127.0.0.1:0", move |request| {
        let host = request.split("Host: ").nth(1).unwrap().lines().next().unwrap();
        if request.contains("/safe/") { ok(&body) } else { redirect(&format!("https://{host}/safe/token")) }
    });
    let found = found(server.address.port(), &proofs);
    assert!(!found.is_bad, "{found:?}");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_redirect_to_another_host_is_followed_there_and_told() {
    let other = WebServer::at("127.0.0.1:0", |_| ok("a shop"));
    let port = other.address.port();
    let start = WebServer::at(&format!("127.0.0.2:{port}"), move |_| redirect(&format!("http://Shop.test:{port}/x?y")));
    let zone = Zone::default().address("shop.test", "127.0.0.1");
    let targets = [target("a.test", "127.0.0.2")];
    let found = found_with(WEBROOT, port, zone, &own(), &targets, Duration::from_secs(5)).remove(0);
    let expected =
        format!("127.0.0.2:{port}: leads to http://shop.test:{port}/x?y, which answers 200 (nginx) with \"a shop\"");
    assert_eq!((found.message, found.code, found.is_bad), (expected, "preflight.token", true));
    assert!(other.asked()[0].starts_with(&format!("GET /x?y HTTP/1.1\r\nHost: shop.test:{port}\r\n")));
    assert_eq!(start.asked().len(), 1);
}

#[test]
fn redirects_that_no_authority_follows_are_told() {
    for (to, why) in [
        ("https://a.test:8443/x", "the ports 80 and 443 only"),
        ("http://127.0.0.1/x", "to names only"),
        ("http://[::1]/x", "to names only"),
        ("ftp://a.test/x", "no URL of http or https"),
        ("/again", "too many redirects"),
    ] {
        let server = WebServer::at("127.0.0.1:0", move |_| redirect(to));
        let found = found(server.address.port(), &own());
        assert_eq!((found.code, found.is_bad), ("preflight.redirect", true), "{found:?}");
        assert!(found.message.contains(why), "{}", found.message);
    }
    let server = WebServer::at("127.0.0.1:0", move |_| redirect("/again"));
    found(server.address.port(), &own());
    assert_eq!(server.asked().len(), 11);
}

/// A server that does with each connection what it is told.
fn rude(answer: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(answer));
    port
}

#[test]
fn hostile_servers_cost_neither_much_time_nor_much_memory() {
    let endless = rude(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let trickling = rude(|mut stream| {
        while stream.write_all(b"HTTP/1.1 200 OK\r\n").is_ok() {
            thread::sleep(Duration::from_millis(30));
        }
    });
    let silent = rude(|stream| {
        thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    let binary = rude(|mut stream| drop(stream.write_all(b"\x00\x15\xff\xfe rubbish \x00")));
    let gone = rude(drop);
    let targets = [target("a.test", "127.0.0.1")];
    for port in [endless, trickling, silent, binary, gone] {
        let watch = Stopwatch::start();
        let found = found_with(WEBROOT, port, Zone::default(), &own(), &targets, Duration::from_millis(700)).remove(0);
        assert!(found.is_bad && found.code == "preflight.token", "{found:?}");
        assert!(watch.elapsed() < Duration::from_secs(4), "{:?}", watch.elapsed());
    }
}

#[test]
fn an_answer_without_an_end_is_cut_where_it_is_large_enough() {
    let port = rude(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nServer: flood\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let targets = [target("a.test", "127.0.0.1")];
    let watch = Stopwatch::start();
    let found = found_with(WEBROOT, port, Zone::default(), &own(), &targets, Duration::from_secs(30)).remove(0);
    assert!(found.is_bad && found.message.contains("answers 200 (flood) with \"xxx"), "{found:?}");
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
}

#[test]
fn what_there_was_no_time_for_is_not_called_bad() {
    let targets = [target("a.test", "127.0.0.1")];
    let found = found_with(WEBROOT, 1, Zone::default(), &own(), &targets, Duration::ZERO).remove(0);
    assert_eq!((found.is_bad, found.code), (false, "preflight.route"));
    assert!(found.message.ends_with("was not tried: there was no time left"), "{}", found.message);
}

#[test]
fn an_address_that_is_dead_for_one_name_is_not_tried_for_the_next() {
    let names = NameServer::of(Zone::default());
    let wanted = wanted(WEBROOT, names.address, 1);
    let deadline = Deadline::after(Duration::from_secs(5));
    let (proofs, resolver) = (own(), Resolver::until(Some(names.address), deadline));
    let trial = Trial { wanted: &wanted, proofs: &proofs, resolver: &resolver, deadline };
    let known = Reached::Bad(Trouble { code: "preflight.port", message: "known".to_owned(), hint: "x".to_owned() });
    let dead = Mutex::new(BTreeMap::from([("127.0.0.9".parse().unwrap(), known)]));
    assert_eq!(trial.finding(&target("a.test", "127.0.0.9"), &dead).message, "127.0.0.9:1: known");
    let tried = trial.finding(&target("a.test", "127.0.0.1"), &dead);
    assert_eq!((tried.code, dead.lock().unwrap().len()), ("preflight.port", 2));
}

#[test]
fn a_machine_without_a_way_there_does_not_call_it_bad() {
    let names = NameServer::of(Zone::default());
    let wanted = wanted(WEBROOT, names.address, 80);
    let deadline = Deadline::after(Duration::from_secs(5));
    let (proofs, resolver) = (own(), Resolver::until(Some(names.address), deadline));
    let trial = Trial { wanted: &wanted, proofs: &proofs, resolver: &resolver, deadline };
    let away = target("a.test", "2001:db8::1");
    assert_eq!(trial.refused(&away, &FetchError::NoRoute), Reached::Unknown("this machine has no way there"));
}

#[test]
fn an_address_is_asked_for_by_itself() {
    let proofs = own();
    let body = proofs[0].key_authorization.clone();
    let (v4, v6) = WebServer::pair(move |_| ok(&body));
    let targets = [target("127.0.0.1", "127.0.0.1"), target("::1", "::1")];
    let lines = "names = ['127.0.0.1', '::1']\nwebroot = '/srv/acme'";
    let found = found_with(lines, v4.address.port(), Zone::default(), &proofs, &targets, Duration::from_secs(5));
    assert!(found.iter().all(|one| !one.is_bad), "{found:?}");
    assert!(v6.asked()[0].contains(&format!("\r\nHost: [::1]:{}\r\n", v6.address.port())));
}

#[test]
fn proofs_of_our_own_have_the_form_of_real_ones_and_are_never_the_same() {
    let (one, other) = (own().remove(0), own().remove(0));
    assert_ne!(one.token, other.token);
    assert_eq!((one.token.len(), one.digest.len(), one.key_authorization.len()), (43, 32, 87));
    assert!(one.key_authorization.starts_with(&format!("{}.", one.token)));
    let resolver = "127.0.0.1:53".parse().unwrap();
    let count = |lines| proofs(&wanted(lines, resolver, 80)).len();
    assert_eq!(count("names = ['a.test', 'b.test']\nwebroot = '/srv'"), 1);
    assert_eq!(count("names = ['a.test', 'b.test']\nchallenge = 'tls-alpn-01'"), 2);
    assert_eq!(count("names = ['*.a.test']\nchallenge = 'dns-01'\nhook = '/bin/true'"), 0);
}

#[test]
fn tls_alpn_01_is_seen_by_its_digest_and_told_from_another_server() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let lines = format!("names = ['a.test', '127.0.0.1']\nchallenge = 'tls-alpn-01'\ntls_listen = '127.0.0.1:{port}'");
    let wanted = wanted(&lines, "127.0.0.1:53".parse().unwrap(), port);
    let proofs = proofs(&wanted);
    let shown = challenge::show(&wanted, &proofs).unwrap();
    let targets = [target("a.test", "127.0.0.1"), target("127.0.0.1", "127.0.0.1")];
    let look = |proofs: &[Proof]| found_with(&lines, port, Zone::default(), proofs, &targets, Duration::from_secs(5));
    let found = look(&proofs);
    assert!(found.iter().all(|one| !one.is_bad), "{found:?}");
    let others: Vec<Proof> = wanted.identifiers.iter().map(proof).collect();
    let found = look(&others);
    assert!(found[0].is_bad && found[0].message.ends_with("its proof is not ours"), "{found:?}");
    shown.end().unwrap();
    // A web server of the usual kind at the same port.
    let server = WebServer::at(&format!("127.0.0.1:{port}"), |_| ok("x"));
    let found = look(&proofs);
    assert!(found[0].is_bad && found[0].message.ends_with("which does not speak acme-tls/1"), "{found:?}");
    assert!(server.asked().is_empty());
}
