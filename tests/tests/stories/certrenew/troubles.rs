//! What can go wrong at the authority: told, remembered, waited for, and never at the cost of what is installed.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::site::{Site, failed, one};
use crate::harness::acme::Settings;
use crate::harness::{Exit, Intruder, Mischief, On, Smtp};

/// A site whose authority is reached through somebody in between.
fn between() -> (Site, Intruder) {
    let site = Site::new();
    let intruder = Intruder::before(&site.pebble);
    site.asks(&intruder.directory_url(), "", "names = [\"shop.test\"]");
    (site, intruder)
}

fn minutes_until(told: &serde_json::Value) -> i64 {
    let at: DateTime<Utc> = told.as_str().unwrap().parse().unwrap();
    (at - Utc::now()).num_minutes()
}

#[test]
fn a_limit_is_obeyed_and_stored_and_never_slept_on() {
    let (site, intruder) = between();
    let limited =
        Mischief::problem(429, "rateLimited", "too many certificates (5) already issued: see https://ca.test");
    intruder.add(On::every("POST", "order"), limited.with("Retry-After", "172800"));
    let begun = Instant::now();

    let first = site.renews(&[]).exits_with(Exit::Critical);

    assert!(begun.elapsed() < Duration::from_secs(20), "nobody sleeps for two days");
    failed(&first, "acme.later", "");
    assert!((2879..=2880).contains(&minutes_until(&one(&first)["next_attempt"])), "{first}");
    // The next run does not even ask.
    intruder.forget();
    intruder.asked();
    let second = site.renews(&[]).exits_with(Exit::Warning);
    assert_eq!(one(&second)["action"], "pending", "{second}");
    assert!(intruder.asked().is_empty());
    // Somebody who knows better may.
    site.renews(&["--force"]).exits_with(Exit::Ok);
    site.has_a_pair_for(&["shop.test"]);
}

#[test]
fn a_server_before_the_authority_that_speaks_html_is_told_by_its_status() {
    let (site, intruder) = between();
    for (method, path) in [("GET", "dir"), ("POST", "order")] {
        intruder.forget();
        intruder.add(On::every(method, path), Mischief::page(503).with("Retry-After", "600"));
        let finished = site.renews(&["--force"]).exits_with(Exit::Critical);
        let error = one(&finished)["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("503"), "{path}: {finished}");
        assert!(!finished.stdout().contains("<html>"), "{finished}");
    }
    assert!(!site.path("certs/live").exists());
}

#[test]
fn connections_that_are_cut_cost_a_pause_and_at_most_one_order() {
    let places = [
        ("GET", "dir"),
        ("HEAD", "nonce"),
        ("POST", "sign-me-up"),
        ("POST", "order"),
        ("POST", "authZ"),
        ("POST", "chalZ"),
        ("POST", "finalize"),
        ("POST", "certZ"),
    ];
    for (method, path) in places {
        for mischief in [Mischief::Cut, Mischief::CutAnswer(30)] {
            let (site, intruder) = between();
            intruder.add(On::every(method, path).nth(1), mischief.clone());
            let first = site.renews(&[]);
            intruder.forget();
            let second = site.renews(&["--force"]).exits_with(Exit::Ok);
            site.has_a_pair_for(&["shop.test"]);
            let orders = site.pebble.orders();
            let allowed = if first.number() == 0 { 3 } else { 2 };
            assert!(orders <= allowed, "{path} {mischief:?}: {orders} orders, {first} {second}");
        }
    }
}

#[test]
fn a_server_that_never_answers_ends_the_run_in_time() {
    let (site, intruder) = between();
    intruder.add(On::every("POST", "order"), Mischief::Silence);
    let begun = Instant::now();
    let finished = site.renews(&[]).exits_with(Exit::Critical);
    assert!(begun.elapsed() < Duration::from_secs(100), "{:?}", begun.elapsed());
    failed(&finished, "http.timeout", "");
}

#[test]
fn an_authority_that_forgot_our_account_gets_a_new_one() {
    let mut site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    let serial = site.serial();
    site.pebble.restart();
    let finished = site.renews(&["--force"]).exits_with(Exit::Warning).warns_of("acme.account_gone");
    assert_eq!(one(&finished)["action"], "renewed", "{finished}");
    assert_ne!(site.serial(), serial);
    site.has_a_pair_for(&["shop.test"]);
    site.renews(&["--force"]).exits_with(Exit::Ok);
}

#[test]
fn a_name_that_is_refused_is_named_and_keeps_no_other_certificate_from_its_turn() {
    let site = Site::with(Settings { blocked: vec!["blocked.test"], ..Settings::default() });
    site.says(
        "",
        "names = [\"good.test\", \"blocked.test\"]\nname = \"mixed\"\n\n[[certrenew.certificate]]\nnames = [\"shop.test\"]",
    );
    let finished = site.renews(&[]).exits_with(Exit::Critical);
    let data = finished.data();
    let told: Vec<_> = data["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["action"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("mixed", "failed"), ("shop.test", "renewed")], "{finished}");
    let error = &data["certificates"][0]["error"];
    assert_eq!(error["code"], "acme.names");
    assert!(error["message"].as_str().unwrap().contains("blocked.test"), "{error}");
    assert!(!error["message"].as_str().unwrap().contains("good.test:"), "{error}");
    site.has_a_pair_for(&["shop.test"]);
}

#[test]
fn failures_make_growing_pauses_and_one_mail_and_their_end_another() {
    let site = Site::new();
    let intruder = Intruder::before(&site.pebble);
    let smtp = Smtp::new();
    let names = "names = [\"shop.test\"]";
    site.asks(&intruder.directory_url(), "", &format!("{names}\n\n{}", smtp.section("plain")));
    let refused = Mischief::problem(403, "unauthorized", "not today");
    intruder.add(On::every("POST", "order"), refused);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let finished = site.renews(&["--force"]).exits_with(Exit::Critical);
        waits.push(minutes_until(&one(&finished)["next_attempt"]) + 1);
    }
    assert_eq!(waits, [1, 10, 100, 1440]);
    let told = smtp.subjects();
    assert!(told.len() == 1 && told[0].contains("shop.test"), "{told:?}");
    // A run in between, which only waits, neither tells again nor takes it back.
    site.renews(&[]).exits_with(Exit::Warning);
    assert_eq!(smtp.subjects(), [""; 0]);
    intruder.forget();
    site.renews(&["--force"]).exits_with(Exit::Ok);
    assert_eq!(smtp.subjects().len(), 1, "its end is told once");
}

#[test]
fn another_run_holds_the_lock() {
    let site = Site::new();
    let lock = site.path("state/certrenew.lock");
    let mut holder = std::process::Command::new("flock").args([lock.to_str().unwrap(), "sleep", "30"]).spawn().unwrap();
    while !lock.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    site.renews(&[]).exits_with(Exit::Unknown).fails_with("lock.held");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(site.pebble.orders(), 0);
}

#[test]
fn what_was_remembered_may_be_lost_or_nonsense() {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    std::fs::write(site.path("state/certrenew-site.json"), "{").unwrap();
    let finished = site.renews(&[]).exits_with(Exit::Warning).warns_of("state.corrupt");
    assert_eq!(one(&finished)["action"], "none", "{finished}");
    std::fs::remove_dir_all(site.path("state")).unwrap();
    std::fs::create_dir(site.path("state")).unwrap();
    assert_eq!(one(&site.renews(&[]).exits_with(Exit::Ok))["action"], "none");
    assert_eq!(site.pebble.orders(), 1, "a valid certificate on disk is never ordered again");
    std::fs::write(site.path("state/certrenew-site.json"), "{\"version\":9}").unwrap();
    site.renews(&[]).exits_with(Exit::Unknown).fails_with("state.newer");
    assert_eq!(std::fs::read_to_string(site.path("state/certrenew-site.json")).unwrap(), "{\"version\":9}");
}

#[test]
fn a_limit_that_one_certificate_meets_pauses_the_others_of_the_same_run() {
    let (site, intruder) = between();
    let more = ["a", "b", "c"].map(|n| format!("\n[[certrenew.certificate]]\nnames = [\"{n}.test\"]\n")).concat();
    site.asks(&intruder.directory_url(), "", &format!("names = [\"shop.test\"]\n{more}"));
    let limited = Mischief::problem(429, "rateLimited", "too many new orders").with("Retry-After", "3600");
    intruder.add(On::every("POST", "order"), limited);
    let finished = site.renews(&[]).exits_with(Exit::Critical);
    let asked = intruder.asked().iter().filter(|request| request.payload.contains("identifiers")).count();
    assert_eq!(asked, 1, "{finished}");
}

#[test]
fn an_order_whose_state_cannot_be_told_is_never_made_anew() {
    let (site, intruder) = between();
    site.renews(&[]).exits_with(Exit::Ok);
    intruder.forget();
    let orders = site.pebble.orders();
    intruder.add(On::every("POST", "my-order"), Mischief::page(500));
    site.renews(&["--force"]).exits_with(Exit::Critical);
    for _ in 0..2 {
        site.renews(&["--force"]).exits_with(Exit::Critical);
    }
    assert_eq!(site.pebble.orders(), orders + 1, "one order, however often its state cannot be told");
    intruder.forget();
    site.renews(&["--force"]).exits_with(Exit::Ok);
    assert_eq!(site.pebble.orders(), orders + 1);
    site.has_a_pair_for(&["shop.test"]);
}

#[test]
fn proofs_that_fail_are_not_shown_again_at_once() {
    let site = Site::new();
    // Nobody serves that folder where the authority looks, and nobody has looked before.
    let webroot = site.path("home").display().to_string();
    site.says(
        "preflight = \"off\"\nchallenge = \"http-01\"",
        &format!("names = [\"shop.test\"]\nwebroot = {webroot:?}"),
    );
    failed(&site.renews(&[]).exits_with(Exit::Critical), "acme.names", "");
    let orders = site.pebble.orders();
    for _ in 0..3 {
        assert_eq!(one(&site.renews(&[]).exits_with(Exit::Warning))["action"], "pending");
    }
    assert_eq!(site.pebble.orders(), orders);
}

#[test]
fn a_run_about_one_certificate_does_not_say_that_the_others_are_well() {
    let site = Site::with(Settings { blocked: vec!["blocked.test"], ..Settings::default() });
    let smtp = Smtp::new();
    site.says(
        "",
        &format!(
            "names = [\"blocked.test\"]\n\n[[certrenew.certificate]]\nnames = [\"shop.test\"]\n\n{}",
            smtp.section("plain")
        ),
    );
    site.renews(&[]).exits_with(Exit::Critical);
    assert_eq!(smtp.subjects().len(), 1);
    site.renews(&["--name", "shop.test"]).exits_with(Exit::Ok);
    assert_eq!(smtp.subjects(), [""; 0]);
}

#[test]
fn two_applications_cannot_have_one_place() {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    let other =
        std::fs::read_to_string(site.etc("shipshape.toml")).unwrap().replace("name = \"site\"", "name = \"other\"");
    std::fs::write(
        site.etc("other.toml"),
        other.replace("names = [\"shop.test\"]", "names = [\"shop.test\", \"www.shop.test\"]"),
    )
    .unwrap();
    let finished = site.renews(&["--config", site.etc("other.toml").to_str().unwrap()]).exits_with(Exit::Critical);
    failed(&finished, "certificate.claimed", "name");
    assert_eq!(site.pebble.orders(), 1);
}
