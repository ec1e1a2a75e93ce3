//! `top`, `follow` and `--explain`: what people look at while they search.

use std::thread;
use std::time::Duration;

use crate::harness::{Exit, Host};

use super::{append, host_with, laravel};

#[test]
fn top_shows_what_is_logged_most_and_remembers_nothing() {
    let host = host_with("app.log", &(laravel("INFO", 0, 30) + &laravel("ERROR", 0, 3).replace("shipped", "paid")));
    let log = host.app("app.log").display().to_string();
    for _ in 0..2 {
        let top = host.run("logwatch", &["top", &log, "--from-start"]).exits_with(Exit::Ok).data();
        assert_eq!((&top["templates"][0]["count"], &top["templates"][1]["count"]), (&30.into(), &3.into()), "{top}");
        assert_eq!(top["templates"][1]["level"], "error");
    }
    assert!(
        host.run("logwatch", &["top", &log, "--from-start", "--level", "error"]).data()["templates"][0]["count"] == 3
    );
}

#[test]
fn follow_shows_grave_lines_as_they_arrive_and_leaves_them_for_the_next_run() {
    let host = host_with("app.log", "");
    let log = host.app("app.log").display().to_string();
    let following = host.launch("logwatch").args(&["follow", &log, "--max-errors", "2"]).start();
    thread::sleep(Duration::from_millis(1500));
    append(&host, "app.log", &(laravel("INFO", 0, 3) + &laravel("ERROR", 0, 4)));
    thread::sleep(Duration::from_millis(2500));
    following.signal("INT");
    let followed = following.wait();
    let lines = followed.stdout();
    assert_eq!(lines.matches("\"rule\":\"monolog.level\"").count(), 4, "{followed}");
    assert!(lines.contains("\"event\":\"problem\""), "{followed}");
    let next = host.run("logwatch", &[&log, "--from-start"]);
    assert_eq!(next.data()["errors"], 4, "{next}");
}

#[test]
fn standard_input_can_be_followed() {
    let host = Host::new();
    let line = "(printf 'ERROR one\\n'; sleep 1; printf 'ERROR two\\n') | logwatch follow - --max-errors 9";
    let followed = host.sh(line);
    assert_eq!(followed.stdout().matches("\"text\":\"ERROR ").count(), 2, "{followed}");
}

#[test]
fn every_record_is_explained_by_the_rule_that_judged_it() {
    let host = Host::new();
    let text = "[2026-11-20 02:00:00] production.ERROR: boom {}\nerrors=0 failover ok\n{\"level\":50,\"msg\":\"x\"}\n";
    let finished = host.launch("logwatch").args(&["-", "--explain", "--format", "json"]).reading(text.as_bytes()).run();
    let told: Vec<serde_json::Value> =
        finished.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rules: Vec<_> = told.iter().map(|line| (line["level"].as_str(), line["rule"].as_str())).collect();
    assert_eq!(rules[0], (Some("error"), Some("monolog.level")), "{finished}");
    assert_eq!(rules[1].0, Some("none"));
    assert_eq!(rules[2].0, Some("error"));
    assert_eq!(told[3]["tool"], "logwatch", "the report is the last line");
}
