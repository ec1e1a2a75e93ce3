//! Tools meet in pipes and files: reports on standard output, text on a terminal, and what is generated.

use std::fs;

use serde_json::Value;

use crate::harness::{Exit, Host};

#[test]
fn a_backup_pipes_its_report_into_verify() {
    let host = Host::with_a_small_site();
    let verified = host.sh("backup | restore verify -").exits_with(Exit::Ok);
    let data = verified.data();
    assert_eq!(data["snapshots"][0]["whole"], true, "{verified}");
    assert_eq!(data["snapshots"][0]["id"], host.listed()[0].as_str());
}

#[test]
fn a_report_of_a_failed_backup_is_not_verified_as_if_it_were_one() {
    let host = Host::with_a_small_site();
    host.backup();
    let failed = host.run("backup", &["--recipient", "nonsense"]).exits_with(Exit::Unknown);
    for report in [failed.stdout().as_str(), "", "{}", "no report", "{\"tool\":\"restore\",\"schema\":1}"] {
        let finished = host.launch("restore").args(&["verify", "-"]).reading(report.as_bytes()).run();
        assert!(finished.number() >= 2, "{report:?} must be refused: {finished}");
    }
}

#[test]
fn jq_finds_the_newest_snapshot_first() {
    let host = Host::with_a_small_site();
    host.backup();
    host.write("more.txt", "more");
    let newest = host.backup();
    let found = host.sh("backup list | jq -r '.data.snapshots[0].id'").exits_with(Exit::Ok);
    assert_eq!(found.stdout().trim(), newest);
}

#[test]
fn a_log_that_reports_are_appended_to_is_json_lines() {
    let host = Host::with_a_small_site();
    let log = host.path("backup.log");
    host.sh(&format!("for run in 1 2 3; do backup >> '{}'; done", log.display())).exits_with(Exit::Ok);
    let text = fs::read_to_string(&log).unwrap();
    let reports: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), 3);
    let verified = host.sh(&format!("restore verify - < '{}'", log.display())).exits_with(Exit::Ok);
    let newest = &reports[2]["data"]["snapshot"]["id"];
    assert_eq!(&verified.data()["snapshots"][0]["id"], newest, "the last line is the one that is meant");
    assert!(
        reports.iter().all(|report| report["tool"] == "backup" && report["status"] == "ok" && report["schema"] == 1)
    );
}

#[test]
fn a_report_is_left_in_the_state_folder_for_whoever_watches() {
    let host = Host::with_a_small_site();
    let printed = host.run("backup", &[]).report();
    let left = fs::read_to_string(host.path("state/reports/backup-site.json")).unwrap();
    let left: Value = serde_json::from_str(&left).unwrap();
    assert_eq!(left["data"]["snapshot"], printed["data"]["snapshot"]);
}

#[test]
fn the_report_holds_what_it_promises() {
    let host = Host::with_a_small_site();
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    for path in
        ["files.total", "files.new", "files.changed", "files.unchanged", "files.skipped", "bytes.plain", "bytes.stored"]
    {
        finished.number_of(path);
    }
    let data = finished.data();
    let payloads = data["payloads"].as_array().unwrap();
    let kinds: Vec<(&str, &str)> =
        payloads.iter().map(|p| (p["name"].as_str().unwrap(), p["kind"].as_str().unwrap())).collect();
    for expected in [("app", "sqlite"), ("config", "config"), ("files", "files")] {
        assert!(kinds.contains(&expected), "{expected:?} in {kinds:?}");
    }
    assert!(payloads.iter().all(|payload| payload["bytes_plain"].is_u64() && payload["bytes_stored"].is_u64()));
    let listed = host.run("backup", &["list"]).data()["snapshots"][0].clone();
    for field in ["id", "finished", "bytes", "files", "verified"] {
        assert!(!listed[field].is_null(), "{field} of {listed}");
    }
}

#[test]
fn people_at_a_terminal_read_text() {
    let host = Host::with_a_small_site();
    host.backup();
    for line in
        ["backup", "backup list", "backup list --long", "backup check", "restore verify latest", "restore list latest"]
    {
        let shown = host.sh(&format!("script -qec '{line}' /dev/null")).exits_with(Exit::Ok).stdout();
        assert!(!shown.contains("{\""), "{line} shows JSON to a person: {shown}");
        assert!(shown.lines().count() >= 1 && shown.trim().len() > 10, "{line} says something: {shown:?}");
    }
    let chosen = host.sh("script -qec 'backup list --format json' /dev/null").exits_with(Exit::Ok).stdout();
    assert!(serde_json::from_str::<Value>(chosen.trim()).is_ok(), "{chosen}");
    let text = host.run("backup", &["list", "--format", "text"]).exits_with(Exit::Ok).stdout();
    assert!(!text.contains('{'), "{text}");
}

#[test]
fn what_is_inside_a_snapshot_is_listed_all_of_it_or_what_matches() {
    let host = Host::with_a_small_site();
    host.backup();
    let paths = |words: &[&str]| {
        let data = host.run("restore", words).exits_with(Exit::Ok).data();
        let paths = data["entries"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap().to_owned());
        let mut paths: Vec<String> = paths.collect();
        paths.sort();
        paths
    };
    let all = paths(&["list", "latest"]);
    for path in [".env", "data/app.db", "public/index.html", "uploads/2026/11/photo.jpg", "uploads/latest.jpg"] {
        assert!(all.iter().any(|found| found == path), "{path} in {all:?}");
    }
    assert_eq!(paths(&["list", "latest", "*.jpg"]), ["uploads/2026/11/photo.jpg", "uploads/latest.jpg"]);
    let shown = host.run("restore", &["list", "latest", ".env", "--format", "text"]).exits_with(Exit::Ok).stdout();
    assert!(shown.contains("-rw-------"), "like ls -l: {shown}");
}

#[test]
fn manual_pages_and_completions_are_generated() {
    let host = Host::new();
    for tool in ["backup", "restore"] {
        for (what, sign) in [("man", ".TH"), ("bash", "complete"), ("zsh", "#compdef"), ("fish", "complete -c")] {
            let text = host.run(tool, &["--generate", what]).exits_with(Exit::Ok).stdout();
            assert!(text.contains(sign) && text.contains(tool), "{tool} --generate {what}: {text}");
        }
        let help = host.run(tool, &["--help"]).exits_with(Exit::Ok).stdout();
        assert!(help.contains("Usage") && help.contains("xample"), "{help}");
    }
    let page = host.sh("backup --generate man | man -l --warnings - 2>&1 >/dev/null || true").stdout();
    assert_eq!(
        page.replace("man: command not found", "").lines().filter(|line| line.contains("warning")).count(),
        0,
        "{page}"
    );
}

#[test]
fn a_usage_error_is_unknown_and_never_a_failed_job() {
    let host = Host::with_a_small_site();
    for (tool, words) in [
        ("backup", &["--no-such-flag"][..]),
        ("backup", &["frobnicate"]),
        ("backup", &["diff", "only-one"]),
        ("restore", &["latest", "--into"]),
        ("restore", &["latest", "--at", "half past nine"]),
    ] {
        host.run(tool, words).exits_with(Exit::Unknown);
    }
    assert!(host.store_is_empty());
}

#[test]
fn init_sets_up_everything_that_a_first_backup_and_a_restore_need() {
    let host = Host::with_a_small_site();
    fs::remove_file(host.etc("shipshape.toml")).unwrap();
    fs::remove_dir(host.path("store")).unwrap();
    let plain = |words: &str| {
        let line = format!("unset SHIPSHAPE_CONFIG; {words}");
        host.sh(&line)
    };
    let init = format!("backup init --app '{}' --store '{}'", host.path("app").display(), host.path("store").display());
    let told = plain(&init).exits_with(Exit::Ok);
    let config = fs::read_to_string(host.app("shipshape.toml")).unwrap();
    assert!(config.contains("age1") && !config.contains("AGE-SECRET-KEY"), "{config}");
    let identity =
        told.data()["identity"].as_str().unwrap_or_else(|| panic!("where the identity lies: {told}")).to_owned();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&identity).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = plain(&init);
    assert!(again.number() >= 2, "a second init must not replace keys: {again}");
    let snapshot = plain("backup").exits_with(Exit::Ok).snapshot();
    let into = host.path("home/restored");
    let line = format!("restore {snapshot} --identity '{identity}' --into '{}'", into.display());
    plain(&line).exits_with(Exit::Ok);
    assert_eq!(crate::harness::rows(&into.join("data/app.db")), crate::harness::rows(&host.app("data/app.db")));
    assert!(
        !into.join(identity.rsplit('/').next().unwrap()).exists(),
        "the identity must not be in the backup it opens"
    );
}
