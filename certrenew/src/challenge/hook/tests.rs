use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

use super::*;
use crate::challenge::tests::proof;

/// A hook that keeps a zone in a file: a line for each value.
fn hook(folder: &Path, and_then: &str) -> PathBuf {
    let (program, zone) = (folder.join("hook"), folder.join("zone"));
    let zone = zone.display();
    let script = format!(
        "#!/bin/sh\necho \"$1 $2 $3 $SHIPSHAPE_DOMAIN\" >>{folder}/calls\necho noise\n\
         case $1 in\npresent) echo \"$2 $3\" >>{zone} ;;\n\
         cleanup) grep -vxF \"$2 $3\" {zone} >{zone}.new; mv {zone}.new {zone} ;;\nesac\n{and_then}\n",
        folder = folder.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// What stands in the zone, or in the list of calls.
fn lines(folder: &Path, file: &str) -> Vec<String> {
    fs::read_to_string(folder.join(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn look(folder: &Path) -> impl Fn(&str) -> Seen {
    let zone = folder.to_owned();
    move |name| {
        let value = |line: &String| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        Ok(lines(&zone, "zone").iter().filter_map(value).collect())
    }
}

fn both() -> [Proof; 2] {
    [proof("example.com", "one"), proof("*.example.com", "two")]
}

#[test]
fn a_name_and_its_wildcard_stand_in_one_record_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::present(&hook(folder.path(), ""), &both()).unwrap();
    wait_until_seen(&records.set, Duration::from_secs(1), look(folder.path())).unwrap();
    let values = ["_acme-challenge.example.com digest-of-one", "_acme-challenge.example.com digest-of-two"];
    assert_eq!(lines(folder.path(), "zone"), values);
    Box::new(records).end().unwrap();
    assert!(lines(folder.path(), "zone").is_empty());
    let last = "cleanup _acme-challenge.example.com digest-of-one example.com";
    assert_eq!(lines(folder.path(), "calls").last().map(String::as_str), Some(last));
}

#[test]
fn a_hook_that_fails_is_quoted_and_what_it_may_have_set_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let program = hook(folder.path(), "case $3 in *two) echo 'no such zone' >&2; exit 4 ;; esac");
    let error = Records::present(&program, &both()).err().unwrap();
    assert_eq!(error.code(), "challenge.hook_failed");
    let told = shipshape_core::error::chain(&error);
    assert!(told.ends_with("failed with status 4: no such zone"), "{told}");
    assert!(lines(folder.path(), "zone").is_empty(), "a record was left");
    let calls = lines(folder.path(), "calls").iter().filter(|call| call.starts_with("cleanup")).count();
    assert_eq!(calls, 2);
}

#[test]
fn a_cleanup_that_fails_is_told_after_all_were_tried() {
    let folder = tempfile::tempdir().unwrap();
    let program = hook(folder.path(), "case $1 in cleanup) exit 3 ;; esac");
    let records = Records::present(&program, &both()).unwrap();
    let error = Box::new(records).end().unwrap_err();
    assert_eq!(error.to_string(), "the hook could not cleanup the record `_acme-challenge.example.com`");
    assert_eq!(lines(folder.path(), "calls").len(), 4, "each was tried once");
}

#[test]
fn records_are_taken_away_when_they_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    drop(Records::present(&hook(folder.path(), ""), &both()).unwrap());
    assert!(lines(folder.path(), "zone").is_empty());
}

#[test]
fn an_address_has_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let error = Records::present(&hook(folder.path(), ""), &[proof("192.0.2.7", "one")]).err().unwrap();
    assert_eq!(error.code(), "challenge.no_record");
    assert!(lines(folder.path(), "calls").is_empty(), "nothing was run");
}

#[test]
fn a_record_is_waited_for_until_it_shows_its_value() {
    let (left, records) = (Cell::new(3), [Record::of(&both()[0]).unwrap()]);
    let late = |_: &str| {
        left.set(left.get() - 1);
        if left.get() > 0 { Err("no such name".to_owned()) } else { Ok(vec!["digest-of-one".to_owned()]) }
    };
    let watch = Stopwatch::start();
    wait_until_seen(&records, Duration::from_secs(30), late).unwrap();
    assert!(watch.elapsed() >= Duration::from_millis(600), "two pauses, the second one longer: {:?}", watch.elapsed());
    assert_eq!(left.get(), 0, "it was asked once more than needed");
}

#[test]
fn a_record_that_is_not_seen_is_named_with_what_is() {
    let records = [Record::of(&both()[0]).unwrap()];
    let wait = |look: &dyn Fn(&str) -> Seen| wait_until_seen(&records, Duration::from_millis(300), look).unwrap_err();
    let error = wait(&|_| Ok(vec!["old\n\u{1b}[2J".to_owned(), "older".to_owned()]));
    assert_eq!((error.code(), error.exit()), ("challenge.unseen", Exit::Critical));
    let told = error.to_string();
    assert!(told.contains("`_acme-challenge.example.com` does not show digest-of-one after "), "{told}");
    assert!(told.ends_with(": it shows old  [2J, older"), "{told}");
    assert!(wait(&|_| Ok(Vec::new())).to_string().ends_with(": it shows nothing"));
    assert!(wait(&|_| Err("no answer".to_owned())).to_string().ends_with(": no answer"));
    assert!(wait(&|_| Ok(vec!["x".repeat(100_000)])).to_string().len() < 400);
}

#[test]
fn nothing_is_asked_where_the_hook_itself_waits() {
    let records = [Record::of(&both()[0]).unwrap()];
    wait_until_seen(&records, Duration::ZERO, |_| unreachable!("it was asked")).unwrap();
}

#[test]
fn a_trial_finds_what_is_no_program_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = hook(folder.path(), "");
    try_showing(&program).unwrap();
    assert!(lines(folder.path(), "calls").is_empty(), "it was run");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    for program in [program, folder.path().to_owned(), folder.path().join("missing")] {
        let error = try_showing(&program).unwrap_err();
        assert_eq!(error.code(), "challenge.hook");
        assert!(error.hint().ends_with(&format!("chmod +x {}", program.display())), "{}", error.hint());
    }
}

/// What the next test runs in a process of its own: a signal once caught stays caught, and so do variables.
fn be_interrupted(folder: &Path) {
    signal::listen();
    let records = Records::present(&hook(folder, "env >>${0%hook}environment"), &both()).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    let watch = Stopwatch::start();
    rest(Duration::from_secs(60)).unwrap_err();
    assert!(watch.elapsed() < Duration::from_secs(5), "a pause was slept to its end");
    let error = wait_until_seen(&records.set, Duration::from_secs(60), |_| Ok(Vec::new())).unwrap_err();
    println!("code {}", error.code());
    Box::new(records).end().unwrap();
}

#[test]
fn records_are_taken_away_though_we_were_asked_to_stop_and_the_hook_gets_only_its_own_variables() {
    if let Some(folder) = std::env::var_os("BE_INTERRUPTED") {
        return be_interrupted(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "challenge::hook::tests::records_are_taken_away_though_we_were_asked_to_stop_and_the_hook_gets_only_its_own_variables";
    let us = Command::new(std::env::current_exe().unwrap(), ["--exact", test, "--nocapture"]);
    let us = us.env("BE_INTERRUPTED", folder.path()).env("SHIPSHAPE_HOOK_KEY", "/etc/key").env("PASSWORD", "secret");
    let told = us.run().unwrap().text();
    assert!(told.contains("code run.interrupted"), "{told}");
    assert!(lines(folder.path(), "zone").is_empty(), "a record was left");
    let environment = lines(folder.path(), "environment").join("\n");
    assert!(environment.contains("SHIPSHAPE_HOOK_KEY=/etc/key"), "{environment}");
    assert!(environment.contains("SHIPSHAPE_DOMAIN=example.com") && !environment.contains("secret"), "{environment}");
}
