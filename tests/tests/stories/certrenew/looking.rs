//! What is found out before an attempt is burnt: each by its own name, and with its remedy.

use std::fs;
use std::net::TcpListener;

use super::site::{Site, failed, one};
use crate::harness::acme::Settings;
use crate::harness::{Exit, Mount, shell};

/// A run that must be refused with that code and hint before anything was ordered.
#[track_caller]
fn refused(site: &Site, code: &str, hint: &str) {
    failed(&site.renews(&[]).exits_with(Exit::Critical), code, hint);
    assert_eq!(site.pebble.orders(), 0);
    assert!(!site.live("").exists());
}

#[test]
fn a_name_that_the_dns_does_not_know() {
    let site = Site::new();
    site.pebble.set_no_address();
    refused(&site, "preflight.dns", "A record");
}

#[test]
fn a_name_server_that_fails() {
    let site = Site::new();
    site.pebble.set_servfail("shop.test");
    refused(&site, "preflight.dns", "");
}

#[test]
fn a_name_that_leads_elsewhere() {
    let site = Site::new();
    // Another address of loopback, where somebody else's web server answers at the same port.
    let other = TcpListener::bind(("127.0.0.9", site.http_port())).unwrap();
    std::thread::spawn(move || {
        for socket in other.incoming() {
            let mut socket = socket.unwrap();
            let mut request = [0; 1024];
            let _ = std::io::Read::read(&mut socket, &mut request);
            let _ = std::io::Write::write_all(
                &mut socket,
                b"HTTP/1.1 200 OK\r\nServer: other\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n",
            );
        }
    });
    site.pebble.set_a("shop.test", "127.0.0.9");
    refused(&site, "preflight.token", "");
}

#[test]
fn port_80_that_is_shut() {
    let site = Site::new();
    site.pebble.set_a("shop.test", "127.0.0.8");
    refused(&site, "preflight.port", "");
}

#[test]
fn an_aaaa_record_that_leads_nowhere() {
    let site = Site::new();
    site.pebble.set_aaaa("shop.test", "::1");
    refused(&site, "preflight.port", "AAAA");
}

#[test]
fn a_caa_record_that_forbids_this_authority() {
    let site = Site::new();
    site.pebble.set_caa("shop.test", "issue", "other.example");
    refused(&site, "preflight.caa", "pebble.test");
    site.pebble.set_caa("shop.test", "issue", "pebble.test");
    site.renews(&[]).exits_with(Exit::Ok);
}

#[test]
fn a_webroot_that_cannot_be_written() {
    let site = Site::new();
    fs::create_dir(site.path("www")).unwrap();
    let _mount = Mount::read_only(&site.path("www"));
    let webroot = site.path("www").display().to_string();
    site.says("challenge = \"http-01\"", &format!("names = [\"shop.test\"]\nwebroot = {webroot:?}"));
    refused(&site, "challenge.webroot", "");
}

#[test]
fn a_port_that_somebody_else_holds() {
    let site = Site::new();
    let _holder = TcpListener::bind(("127.0.0.1", site.http_port())).unwrap();
    refused(&site, "challenge.port", "webroot");
}

#[test]
fn a_disk_that_is_full() {
    let site = Site::new();
    fs::create_dir(site.path("certs")).unwrap();
    let _mount = Mount::tmpfs(&site.path("certs"), "16k");
    shell(&format!("head -c 16k /dev/zero >'{}' || true", site.path("certs/filler").display()));
    let finished = site.renews(&[]).exits_with(Exit::Critical);
    assert_eq!(one(&finished)["action"], "failed", "{finished}");
    assert!(one(&finished)["error"]["code"].as_str().unwrap().starts_with("files."), "{finished}");
    assert_eq!(site.pebble.orders(), 0);
}

#[test]
fn a_clock_that_is_wrong() {
    let site = Site::new();
    let at = |hours| (chrono::Utc::now() + chrono::Duration::hours(hours)).format("%Y-%m-%d %H:%M:%S").to_string();
    let finished = site.certrenew(&[]).at(&at(3)).run().exits_with(Exit::Critical);
    failed(&finished, "preflight.clock", "timedatectl");
    // So wrong that not even the authority's own certificate is believed.
    let site = Site::new();
    let finished = site.certrenew(&[]).at(&at(-24 * 400)).run().exits_with(Exit::Critical);
    failed(&finished, "http.tls", "timedatectl");
    assert_eq!(site.pebble.orders(), 0);
}

#[test]
fn a_key_that_others_can_read_is_told() {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    shell(&format!("chmod o+r \"$(readlink -f '{}')\"", site.live("privkey.pem").display()));
    site.renews(&[]).exits_with(Exit::Warning).warns_of("key.exposed");
    // The account's key is refused outright.
    shell(&format!("chmod o+r '{}'/accounts/*", site.path("state").display()));
    let finished = site.renews(&["--force"]).exits_with(Exit::Critical);
    failed(&finished, "secret.not_private", "chmod");
    assert_eq!(site.pebble.orders(), 1);
}

#[test]
fn what_cannot_be_looked_at_from_here_may_be_ordered_all_the_same() {
    let site = Site::new();
    // As on a machine behind a router that does not lead back: from here the name leads nowhere.
    site.pebble.set_caa("shop.test", "issue", "other.example");
    site.says("preflight = \"warn\"", "names = [\"shop.test\"]");
    site.renews(&[]).exits_with(Exit::Warning).warns_of("preflight.caa");
    site.has_a_pair_for(&["shop.test"]);
}

#[test]
fn check_tells_all_of_it_and_orders_nothing() {
    let site = Site::new();
    let good = site.renews(&["check"]).exits_with(Exit::Ok);
    let checks = good.data()["checks"].as_array().unwrap().clone();
    assert!(!checks.is_empty() && checks.iter().all(|check| check["ok"] == true), "{good}");
    site.pebble.set_caa("shop.test", "issue", "other.example");
    site.pebble.set_a("www.shop.test", "127.0.0.8");
    let bad = site.renews(&["check", "shop.test", "www.shop.test"]).exits_with(Exit::Critical);
    let data = bad.data();
    let codes: Vec<(&str, &str)> = data["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| (check["name"].as_str().unwrap_or(""), check["code"].as_str().unwrap()))
        .collect();
    assert!(codes.contains(&("shop.test", "preflight.caa")), "{codes:?}");
    assert!(codes.contains(&("www.shop.test", "preflight.port")), "{codes:?}");
    assert_eq!(site.pebble.orders(), 0);
    assert!(
        !site.path("state/accounts").exists() || fs::read_dir(site.path("state/accounts")).unwrap().next().is_none()
    );
}

#[test]
fn status_asks_nobody_and_tells_what_the_next_run_will_do() {
    let mut site = Site::with(Settings::default());
    let before = site.renews(&["status"]).gets_done();
    assert!(one(&before)["reason"].as_str().unwrap().contains("there is none"), "{before}");
    site.renews(&[]).exits_with(Exit::Ok);
    site.pebble.stop();
    let after = site.renews(&["status"]).exits_with(Exit::Ok);
    let told = one(&after);
    assert_eq!((&told["action"], &told["days_left"]), (&"none".into(), &89.into()), "{after}");
    let text = site.renews(&["status", "--format", "text"]).exits_with(Exit::Ok).stdout();
    assert!(text.contains("shop.test") && text.contains("89 days left") && text.contains("next"), "{text}");
}
