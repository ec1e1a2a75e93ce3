//! What is broken, hostile or missing: never taken for a log without errors.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Exit, Host, Smtp, shell};

use super::{append, host_with, laravel};

#[test]
fn what_cannot_be_read_is_unknown_and_never_without_errors() {
    let host = host_with("there.log", &laravel("INFO", 0, 3));
    let path = |name: &str| host.app(name).display().to_string();
    host.run("logwatch", &[&path("absent.log")]).exits_with(Exit::Unknown).hints("ls");
    fs::create_dir(host.app("folder.log")).unwrap();
    host.run("logwatch", &[&path("folder.log")]).exits_with(Exit::Unknown);
    shell(&format!("mkfifo '{}'", path("pipe.log")));
    host.run("logwatch", &[&path("pipe.log")]).exits_with(Exit::Unknown);
    host.run("logwatch", &[&path("none-*.log")]).exits_with(Exit::Unknown);
    let empty = host.launch("logwatch").args(&["-"]).run().exits_with(Exit::Unknown);
    assert_eq!(empty.report()["error"]["code"], "stdin.empty", "{empty}");
    host.launch("logwatch").args(&["-", "--allow-empty"]).run().exits_with(Exit::Ok);
    // One of two: the other one is judged all the same.
    let partly = host.run("logwatch", &[&path("there.log"), &path("absent.log"), "--from-start"]);
    assert_eq!((partly.number(), partly.data()["records"].as_u64()), (3, Some(3)), "{partly}");
}

#[test]
fn a_log_that_its_user_may_not_read_is_unknown() {
    let host = host_with("app.log", &laravel("ERROR", 0, 3));
    host.chmod("app/app.log", 0o600);
    let log = host.app("app.log").display().to_string();
    for folder in ["", "app"] {
        fs::set_permissions(host.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let state = host.path("state-of-nobody");
    fs::create_dir(&state).unwrap();
    shell(&format!("chown nobody '{}'", state.display()));
    let words =
        ["--reuid=nobody", "--clear-groups", "logwatch", &log, "--state", state.to_str().unwrap(), "--app", "x"];
    let finished = host.program("setpriv").args(&words).with("SHIPSHAPE_CONFIG", "/dev/null").run();
    assert_eq!(finished.number(), 3, "{finished}");
}

#[test]
fn garbage_is_read_past_and_what_is_around_it_is_counted() {
    let mut bytes = laravel("ERROR", 0, 1).into_bytes();
    bytes.extend(vec![0_u8; 300_000]);
    bytes.extend(laravel("ERROR", 1, 1).bytes());
    bytes.extend([0xff, 0xfe, 0x80, b'E', b'R', b'\n']);
    bytes.extend(b"10%\r20%\r100%\n\x1b[31m[2026-11-20 02:00:00] production.ERROR: coloured\x1b[0m {}\r\n");
    let host = Host::new();
    fs::write(host.app("app.log"), &bytes).unwrap();
    let finished = host.run("logwatch", &[&host.app("app.log").display().to_string(), "--from-start"]);
    assert_eq!(finished.data()["errors"], 3, "{finished}");
}

#[test]
fn a_line_of_a_hundred_megabytes_costs_no_memory_and_hides_nothing() {
    let host = Host::new();
    let log = host.app("app.log").display().to_string();
    fs::write(host.app("app.log"), laravel("ERROR", 0, 1)).unwrap();
    shell(&format!("head -c 100000000 /dev/zero | tr '\\0' x >>'{log}'; echo >>'{log}'"));
    append(&host, "app.log", &laravel("ERROR", 1, 1));
    let finished =
        host.program("bash").args(&["-c", &format!("ulimit -v 600000; exec logwatch '{log}' --from-start")]).run();
    assert_eq!(
        (finished.data()["errors"].as_u64(), finished.data()["lines"].as_u64()),
        (Some(2), Some(3)),
        "{finished}"
    );
}

#[test]
fn a_state_that_makes_no_sense_is_put_aside_and_one_that_cannot_be_written_is_told() {
    let host = host_with("app.log", &laravel("ERROR", 0, 3));
    let log = host.app("app.log").display().to_string();
    host.run("logwatch", &[&log, "--from-start"]);
    let state = host.path("state/logwatch-site.json");
    fs::write(&state, "{ not json").unwrap();
    append(&host, "app.log", &laravel("ERROR", 3, 20));
    let finished = host.run("logwatch", &[&log, "--from-start", "--max-errors", "10"]).warns_of("state.lost");
    assert_eq!(finished.number(), 2, "it judges all the same: {finished}");
    assert!(host.path("state/logwatch-site.json.bad").exists());

    let smtp = Smtp::new();
    host.configure("", &format!("[logwatch]\nfiles = [\"app.log\"]\n{}", smtp.section("plain")));
    let nowhere = host.app("app.log/state").display().to_string();
    let finished =
        host.run("logwatch", &["--state", &nowhere, "--from-start", "--max-errors", "10"]).warns_of("state.unusable");
    assert_eq!((finished.number(), smtp.mails().len()), (2, 1), "it judges and alerts all the same: {finished}");
    let calm = host.run("logwatch", &["--state", &nowhere, "--from-start", "--max-errors", "100"]);
    assert_eq!(calm.number(), 3, "what is not remembered is not known: {calm}");
}

#[test]
fn the_state_of_a_newer_logwatch_is_left_alone_and_the_run_judges_and_alerts_all_the_same() {
    let host = host_with("app.log", &laravel("ERROR", 0, 20));
    let smtp = Smtp::new();
    host.configure("", &format!("[logwatch]\nfiles = [\"app.log\"]\n{}", smtp.section("plain")));
    let state = host.path("state/logwatch-site.json");
    let newer = r#"{"version":99,"cursors":{"file:/x":{"novel":1}}}"#;
    host.run("logwatch", &["--from-start", "--max-errors", "100"]).exits_with(Exit::Ok);
    fs::write(&state, newer).unwrap();
    smtp.mails();
    let bad = host.run("logwatch", &["--from-start", "--max-errors", "10"]).exits_with(Exit::Critical);
    assert_eq!(bad.warns_of("state.newer").data()["errors"], 20);
    assert_eq!(smtp.mails().len(), 1);
    let calm = host.run("logwatch", &["--from-start", "--max-errors", "100"]).exits_with(Exit::Unknown);
    assert!(!calm.report()["summary"].as_str().unwrap().contains("all is well"), "{calm}");
    assert_eq!(fs::read_to_string(&state).unwrap(), newer);
    assert!(!host.path("state/logwatch-site.json.bad").exists());
}

#[test]
fn what_can_be_read_of_a_packed_log_that_is_cut_short_is_judged_and_the_rest_is_told() {
    let host = host_with("old.log", &laravel("ERROR", 0, 5000));
    shell(&format!("cd '{}' && gzip old.log && truncate --size=-20 old.log.gz", host.app("").display()));
    let log = host.app("old.log.gz").display().to_string();
    let cut = host.run("logwatch", &[&log, "--from-start", "--max-errors", "10"]).exits_with(Exit::Critical);
    let errors = cut.data()["errors"].as_u64().unwrap();
    assert!((1000..5000).contains(&errors), "{cut}");
    assert!(cut.data()["gaps"][0]["why"] == "cut short", "{cut}");
    let again = host.run("logwatch", &[&log, "--max-errors", "10"]).exits_with(Exit::Unknown);
    assert!(again.fails_with("file.cut_short").data()["errors"].is_null(), "each line once");
    let piped = format!("cat '{log}' | logwatch - --max-errors 1000000");
    let piped = host.sh(&piped).exits_with(Exit::Unknown);
    assert!(piped.data()["errors"].as_u64() >= Some(1000), "{piped}");
}

#[test]
fn from_the_start_a_log_is_read_with_all_that_it_was_rotated_into_and_then_each_line_once() {
    let host = host_with("app.log", &laravel("ERROR", 6, 3));
    host.write("app.log.2", laravel("ERROR", 0, 3));
    host.write("app.log.1", laravel("ERROR", 3, 3));
    shell(&format!("gzip '{}'", host.app("app.log.2").display()));
    let log = host.app("app.log").display().to_string();
    let errors = |finished: crate::harness::Finished| finished.exits_with(Exit::Ok).number_of("errors");
    assert_eq!(errors(host.run("logwatch", &[&log, "--from-start", "--max-errors", "10"])), 9);
    shell(&format!(
        "cd '{}' && mv app.log.2.gz app.log.3.gz && mv app.log.1 app.log.2 && mv app.log app.log.1",
        host.app("").display()
    ));
    append(&host, "app.log", &laravel("ERROR", 9, 2));
    assert_eq!(errors(host.run("logwatch", &[&log, "--from-start", "--max-errors", "10"])), 2);
}

#[test]
fn a_trace_that_is_written_while_a_run_looks_is_one_error() {
    let trace = "[2026-11-20 02:00:00] production.ERROR: no {\"exception\":\"[object] (Error(code: 0): no at /srv/a.php:3)\n\
                 [stacktrace]\n#0 /srv/a.php(3): run()\n#1 {main}\n\"}\n";
    let (head, frames) = trace.split_at(trace.find("#0").unwrap());
    let host = host_with("app.log", head);
    let log = host.app("app.log").display().to_string();
    let counted = |finished: crate::harness::Finished| (finished.number_of("errors"), finished.number_of("records"));
    assert_eq!(counted(host.run("logwatch", &[&log, "--from-start", "--max-errors", "9"])), (1, 1));
    append(&host, "app.log", frames);
    let rest = host.run("logwatch", &[&log, "--max-errors", "9"]).exits_with(Exit::Ok);
    assert_eq!(counted(rest), (0, 0), "the frames belong to what was counted");
}

#[test]
fn a_pattern_that_explodes_is_refused_by_its_name() {
    let host = host_with("app.log", "x\n");
    host.configure("", "[logwatch]\nfiles = [\"app.log\"]\n[[logwatch.pattern]]\nname = \"bomb\"\npattern = '((a{1000}){1000}){1000}'\n");
    let finished = host.run("logwatch", &[]).exits_with(Exit::Unknown);
    assert!(finished.report()["error"]["message"].as_str().unwrap().contains("bomb"), "{finished}");
}

#[test]
fn a_dry_run_looks_again_and_remembers_nothing() {
    let host = host_with("app.log", &laravel("ERROR", 0, 3));
    let log = host.app("app.log").display().to_string();
    let dry = || host.run("logwatch", &[&log, "--from-start", "--dry-run"]).data()["errors"].as_u64();
    assert_eq!((dry(), dry()), (Some(3), Some(3)));
    assert!(fs::read_dir(host.path("state")).unwrap().next().is_none(), "a preview leaves nothing");
    assert_eq!(host.run("logwatch", &[&log, "--from-start"]).data()["errors"], 3);
    assert_eq!(host.run("logwatch", &[&log, "--from-start"]).data()["errors"], 0, "each line once");
    assert_eq!(dry(), Some(3), "looked at again by hand");
}
