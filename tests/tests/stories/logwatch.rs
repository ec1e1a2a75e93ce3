//! Logs: each line once, real errors, what is new, rising or leaking.

mod auditing;
mod compose;
mod faults;
mod following;
mod journal;
mod telling;

use serde_json::Value;

use crate::harness::{Finished, Host};

/// A host with a log of these lines in its application's folder.
fn host_with(name: &str, lines: &str) -> Host {
    let host = Host::new();
    host.write(name, lines);
    host
}

/// So many lines of a log as Laravel writes it, every one of that level, from that number on.
fn laravel(level: &str, from: u32, count: u32) -> String {
    let line = |number| format!("[2026-11-20 02:00:00] production.{level}: order {number} was not shipped {{}}\n");
    (from..from + count).map(line).collect::<Vec<_>>().concat()
}

/// Adds lines to a log.
fn append(host: &Host, name: &str, lines: &str) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(host.app(name)).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

/// How things stand by a rule.
fn rule(finished: &Finished, name: &str) -> Value {
    let rules = finished.data()["rules"].as_array().unwrap().clone();
    rules.into_iter().find(|rule| rule["rule"] == name).unwrap_or(Value::Null)
}
