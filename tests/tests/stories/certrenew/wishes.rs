//! The authority's wish (RFC 9773): followed, stored, and never a reason to fail.

use std::fs;

use chrono::{Duration, SubsecRound, Utc};

use super::site::{Site, one};
use crate::harness::acme::{Settings, Version};
use crate::harness::{Exit, Intruder, Mischief, On};

/// A window around now, in hours.
fn window(from: i64, to: i64) -> String {
    let at = |hours| (Utc::now() + Duration::hours(hours)).trunc_subsecs(0).to_rfc3339();
    format!(
        r#"{{"suggestedWindow":{{"start":{:?},"end":{:?}}},"explanationURL":"https://ca.test/why"}}"#,
        at(from),
        at(to)
    )
}

/// As if what lies there had been issued three days ago: a new one is left alone for a day.
fn rested(site: &Site) {
    let file = site.path("state/certrenew-site.json");
    let mut ledger: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let at = (Utc::now() - Duration::days(3)).to_rfc3339();
    ledger["certificates"]["shop.test"]["issued"]["at"] = at.into();
    fs::write(&file, ledger.to_string()).unwrap();
}

/// What a second run does after the authority has said that, its answer being asked for anew.
#[track_caller]
fn after(answer: &str) -> (String, Site) {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    rested(&site);
    let chain = fs::read_to_string(site.live("cert.pem")).unwrap();
    site.pebble.set_renewal_info(&chain, answer);
    let finished = site.renews(&[]).exits_with(Exit::Ok);
    (one(&finished)["action"].as_str().unwrap().to_owned(), site)
}

#[test]
fn a_wish_in_the_past_renews_at_once_and_says_what_is_replaced() {
    let (action, site) = after(&window(-4, -2));
    assert_eq!(action, "renewed");
    assert!(site.pebble.log().contains("replac") || site.pebble.orders() == 2, "{}", site.pebble.log());
    site.has_a_pair_for(&["shop.test"]);
}

#[test]
fn one_that_is_wished_away_as_soon_as_it_is_there_is_not_ordered_for_ever() {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    for _ in 0..4 {
        let chain = fs::read_to_string(site.live("cert.pem")).unwrap();
        site.pebble.set_renewal_info(&chain, &window(-48, -24));
        fs::write(site.path("state/certrenew-site.json"), without_wishes(&site)).unwrap();
        site.renews(&[]).exits_with(Exit::Ok);
    }
    assert_eq!(site.pebble.orders(), 1);
}

/// The ledger as if nobody had asked yet.
fn without_wishes(site: &Site) -> String {
    let text = fs::read_to_string(site.path("state/certrenew-site.json")).unwrap();
    let mut ledger: serde_json::Value = serde_json::from_str(&text).unwrap();
    ledger["certificates"]["shop.test"]["wish"] = serde_json::Value::Null;
    ledger.to_string()
}

#[test]
fn a_wish_for_later_is_waited_for_and_drawn_once() {
    let (action, site) = after(&window(24, 240));
    assert_eq!(action, "none");
    let first = one(&site.renews(&["status"]).gets_done());
    assert!(first["reason"].as_str().unwrap().contains("authority"), "{first}");
    for _ in 0..5 {
        site.renews(&[]).exits_with(Exit::Ok);
    }
    let again = one(&site.renews(&["status"]).gets_done());
    assert_eq!(first["next_attempt"], again["next_attempt"]);
    assert_eq!(site.pebble.orders(), 1);
}

#[test]
fn nonsense_for_a_wish_is_no_wish() {
    let inverted = r#"{"suggestedWindow":{"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}}"#;
    for answer in [inverted, "{\"suggestedWindow\":", "{}", "[]", "\"x\"", &"[".repeat(5000)] {
        let (action, site) = after(answer);
        assert_eq!((action.as_str(), site.pebble.orders()), ("none", 1), "{answer}");
    }
}

#[test]
fn an_authority_that_cannot_tell_its_wish_is_asked_again_later() {
    for mischief in
        [Mischief::problem(404, "malformed", "no"), Mischief::page(500), Mischief::Cut, Mischief::CutAnswer(40)]
    {
        let site = Site::new();
        let intruder = Intruder::before(&site.pebble);
        intruder.add(On::every("GET", "renewalInfo"), mischief.clone());
        site.asks(&intruder.directory_url(), "", "names = [\"shop.test\"]");
        site.renews(&[]).exits_with(Exit::Ok);
        let second = site.renews(&[]).exits_with(Exit::Ok);
        assert_eq!(one(&second)["action"], "none", "{mischief:?}: {second}");
        intruder.asked();
        site.renews(&[]).exits_with(Exit::Ok);
        assert!(intruder.asked().is_empty(), "not asked at every run");
    }
}

#[test]
fn an_authority_without_wishes_and_profiles_is_never_asked_for_them() {
    let site = Site::with(Settings { version: Version::Old, ..Settings::default() });
    let intruder = Intruder::before(&site.pebble);
    site.asks(&intruder.directory_url(), "", "names = [\"shop.test\"]");
    site.renews(&[]).exits_with(Exit::Ok);
    site.renews(&["--force"]).exits_with(Exit::Ok);
    let asked = intruder.asked();
    assert!(asked.iter().all(|request| !request.payload.contains("replaces") && !request.path.contains("renewal")));
    assert_eq!(site.pebble.orders(), 2);
}

#[test]
fn a_replacement_that_is_refused_is_ordered_once_more_without_saying_so() {
    for (status, kind) in [(409, "alreadyReplaced"), (403, "unauthorized"), (500, "serverInternal")] {
        let site = Site::new();
        let intruder = Intruder::before(&site.pebble);
        site.asks(&intruder.directory_url(), "", "names = [\"shop.test\"]");
        site.renews(&[]).exits_with(Exit::Ok);
        intruder.asked();
        intruder.add(On::every("POST", "order").holding("replaces"), Mischief::problem(status, kind, "no"));

        let second = site.renews(&["--force"]).exits_with(Exit::Ok);

        assert_eq!(one(&second)["action"], "renewed", "{status}: {second}");
        let orders: Vec<bool> = intruder
            .asked()
            .iter()
            .filter(|request| request.payload.contains("identifiers"))
            .map(|request| request.payload.contains("replaces"))
            .collect();
        // The library may repeat one that failed for a reason of the server's own.
        assert_eq!((orders.first(), orders.last()), (Some(&true), Some(&false)), "{status}: {orders:?}");
        assert_eq!(site.pebble.orders(), 2);
    }
}

#[test]
fn a_replacement_that_is_limited_is_not_tried_again() {
    let site = Site::new();
    let intruder = Intruder::before(&site.pebble);
    site.asks(&intruder.directory_url(), "", "names = [\"shop.test\"]");
    site.renews(&[]).exits_with(Exit::Ok);
    let limited = Mischief::problem(429, "rateLimited", "too many certificates").with("Retry-After", "7200");
    intruder.add(On::every("POST", "order").holding("replaces"), limited);
    site.renews(&["--force"]).exits_with(Exit::Critical);
    assert_eq!(site.pebble.orders(), 1);
}
