//! Who is told when a backup goes wrong, how often, and that it is over: through a real mail server and a real web server.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Exit, Finished, Host, Random, Smtp, Web, shell};

/// A host whose `[alert]` is this.
fn host(alert: &str) -> Host {
    let host = Host::with_a_small_site();
    host.configure("", alert);
    host
}

/// `[[alert.webhook]]` in our own form.
fn webhook(web: &Web) -> String {
    format!("[[alert.webhook]]\nkind = \"json\"\nurl = \"{}\"\n", web.url("/hook/T0P-SECRET-PATH"))
}

/// The store's disk is not mounted: a backup fails until it is.
fn unmount(host: &Host) {
    fs::rename(host.path("store"), host.path("store-elsewhere")).unwrap();
    fs::create_dir(host.path("store")).unwrap();
}

fn mount(host: &Host) {
    fs::remove_dir_all(host.path("store")).unwrap();
    fs::rename(host.path("store-elsewhere"), host.path("store")).unwrap();
}

fn fails(host: &Host) -> Finished {
    host.run("backup", &[]).exits_with(Exit::Critical)
}

/// A run at that moment, however it ends.
fn at(host: &Host, moment: &str) -> Finished {
    host.launch("backup").at(moment).run()
}

/// What the webhook was told: for each message, `KIND ID` of each event.
fn events(web: &Web) -> Vec<Vec<String>> {
    let events = |body: &Value| -> Vec<String> {
        let events = body["events"].as_array().unwrap().iter();
        events.map(|event| format!("{} {}", event["kind"], event["id"]).replace('"', "")).collect()
    };
    web.asked().iter().map(|asked| events(&asked.json())).collect()
}

#[test]
fn a_failed_backup_is_told_once_and_so_is_its_end() {
    let smtp = Smtp::new();
    let host = host(&smtp.section("plain"));
    host.backup();
    assert!(smtp.mails().is_empty(), "all is well");
    unmount(&host);
    fails(&host);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].header("Subject").starts_with("[site@vps1] backup failed: "), "{}", mails[0].text);
    for part in ["what to do: is the disk with", "1 bad run", "last good run: 20", "id: backup.failed"] {
        assert!(mails[0].text.replace("=\r\n", "").contains(part), "{part} in {}", mails[0].text);
    }
    // Another reason for the same: no news.
    fs::remove_dir(host.path("store")).unwrap();
    fails(&host);
    assert!(smtp.mails().is_empty());
    fs::create_dir(host.path("store")).unwrap();
    mount(&host);
    host.backup();
    assert_eq!(smtp.subjects(), ["[site@vps1] over: backup failed"]);
    host.backup();
    assert!(smtp.mails().is_empty());
}

#[test]
fn mail_goes_out_plain_with_a_login_by_starttls_and_by_tls() {
    let smtp = Smtp::new();
    let trust = format!("ca_file = {:?}\n", smtp.path("ca.pem").display().to_string());
    for (listener, lines) in [
        ("plain", String::new()),
        ("login", smtp.login()),
        ("starttls", format!("tls = \"starttls\"\n{trust}{}", smtp.login())),
        ("tls", format!("tls = \"tls\"\n{trust}")),
    ] {
        let host = host(&format!("{}{lines}", smtp.section(listener)));
        let told = host.run("backup", &["--test-alert"]).exits_with(Exit::Ok).data();
        assert_eq!(told, json!({"sinks": [{"sink": "mail", "delivered": true, "error": null}]}), "{listener}");
        let mail = smtp.mails().remove(0);
        assert_eq!(mail.header("X-Listener"), listener);
        assert_eq!(
            (mail.header("From").as_str(), mail.header("To").as_str()),
            ("Ops <ops@example.org>", "you@example.org")
        );
        assert!(mail.header("Subject").contains("test"), "{}", mail.text);
    }
}

#[test]
fn a_server_that_cannot_prove_itself_gets_no_password_and_no_mail() {
    let smtp = Smtp::new();
    let strangers = format!("ca_file = {:?}\n", smtp.path("other-ca.pem").display().to_string());
    for (listener, lines) in [
        ("starttls", format!("tls = \"starttls\"\n{strangers}{}", smtp.login())),
        ("starttls", format!("tls = \"starttls\"\n{}", smtp.login())),
        ("tls", format!("tls = \"tls\"\n{strangers}")),
        // One that offers no TLS, or is made to seem so.
        ("login", format!("tls = \"starttls\"\n{}", smtp.login())),
    ] {
        let host = host(&format!("{}{lines}", smtp.section(listener)));
        let finished = host.run("backup", &["--test-alert"]).exits_with(Exit::Critical);
        let error = finished.data()["sinks"][0]["error"].clone();
        let expected = if listener == "login" { "STARTTLS" } else { "certificate" };
        assert!(error.as_str().unwrap().contains(expected), "{listener}: {error}");
        assert!(smtp.mails().is_empty());
    }
}

#[test]
fn a_wrong_password_is_told_changes_no_exit_status_and_the_alert_comes_with_the_next_run() {
    let smtp = Smtp::new();
    let host = host(&format!("{}{}", smtp.section("login"), smtp.login()));
    host.backup();
    let right = fs::read(smtp.path("password")).unwrap();
    fs::write(smtp.path("password"), "WR0NG-PASSWORD\n").unwrap();
    unmount(&host);
    let finished = fails(&host);
    assert!(finished.stderr().contains("the alert through mail was not delivered: cannot send mail"), "{finished}");
    assert!(!finished.to_string().contains("WR0NG-PASSWORD"), "{finished}");
    fs::write(smtp.path("password"), &right).unwrap();
    fails(&host).warns_of("alert.undelivered");
    assert!(smtp.subjects()[0].contains("backup failed"));
    // An end that cannot be told is told later, and the backup that was done was done.
    fs::write(smtp.path("password"), "WR0NG-PASSWORD\n").unwrap();
    mount(&host);
    host.backup();
    host.run("backup", &[]).exits_with(Exit::Ok).warns_of("alert.undelivered");
    assert!(smtp.mails().is_empty());
    fs::write(smtp.path("password"), &right).unwrap();
    host.run("backup", &[]).exits_with(Exit::Ok).warns_of("alert.undelivered");
    assert_eq!(smtp.subjects(), ["[site@vps1] over: backup failed"]);
    host.backup();
    assert!(smtp.mails().is_empty());
}

#[test]
fn nobody_hears_of_an_end_who_did_not_hear_of_the_start() {
    let (smtp, web) = (Smtp::new(), Web::new());
    let host = host(&format!("{}{}", smtp.section("plain"), webhook(&web)));
    host.backup();
    unmount(&host);
    web.answers_with(500);
    fails(&host);
    assert_eq!(smtp.subjects().len(), 1);
    mount(&host);
    web.answers_with(200);
    web.asked();
    host.backup();
    assert_eq!(smtp.subjects(), ["[site@vps1] over: backup failed"], "who heard of it hears of its end");
    assert!(web.asked().is_empty(), "who did not hears nothing");
}

#[test]
fn a_webhook_that_answers_500_is_tried_again_and_its_url_stays_secret() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.backup();
    unmount(&host);
    web.answers_with(500);
    let first = fails(&host);
    assert!(first.stderr().contains("webhook json was not delivered: 127.0.0.1:"), "{first}");
    assert!(first.stderr().contains("answered with 500"), "{first}");
    web.answers_with(200);
    let second = fails(&host).warns_of("alert.undelivered");
    assert_eq!(events(&web), [["started backup.failed"], ["started backup.failed"]]);
    fails(&host);
    assert!(web.asked().is_empty(), "it was delivered");
    let state = fs::read_to_string(host.path("state/alert-backup-site.json")).unwrap();
    let told = format!("{first}{second}{state}");
    assert!(!told.contains("T0P-SECRET-PATH"), "{told}");
}

#[test]
fn reminders_come_with_growing_gaps() {
    let web = Web::new();
    let host = host(&format!("[alert]\nremind = [\"4h\", \"1d\", \"3d\"]\n{}", webhook(&web)));
    host.backup_at("2031-03-01 02:00:00");
    unmount(&host);
    for (moment, expected) in [
        ("2031-03-02 02:00:00", Some("started")),
        ("2031-03-02 03:00:00", None),
        ("2031-03-02 07:00:00", Some("reminder")),
        ("2031-03-02 23:00:00", None),
        ("2031-03-03 06:00:00", Some("reminder")),
        ("2031-03-04 06:00:00", None),
        ("2031-03-06 05:50:00", Some("reminder")),
        ("2031-03-07 06:00:00", None),
        ("2031-03-09 06:00:00", Some("reminder")),
    ] {
        at(&host, moment).exits_with(Exit::Critical);
        let expected: Vec<Vec<String>> = expected.iter().map(|kind| vec![format!("{kind} backup.failed")]).collect();
        assert_eq!(events(&web), expected, "at {moment}");
    }
}

#[test]
fn after_says_how_many_bad_runs_it_takes() {
    let web = Web::new();
    let host = host(&format!("[alert]\nafter = 2\n{}", webhook(&web)));
    host.backup();
    unmount(&host);
    fails(&host);
    assert!(web.asked().is_empty());
    fails(&host);
    assert_eq!(events(&web), [["started backup.failed"]]);
}

#[test]
fn a_server_that_hangs_keeps_neither_the_report_nor_the_run() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.backup();
    unmount(&host);
    web.answers_with(0);
    let start = Instant::now();
    let finished = host.sh("backup | { head -n 1 > report; date +%s.%N > reported; cat; }; date +%s.%N > ended");
    assert!(start.elapsed().as_secs() < 30, "it is given up: {:?}", start.elapsed());
    let moment = |name: &str| fs::read_to_string(host.app(name)).unwrap().trim().parse::<f64>().unwrap();
    assert!(moment("ended") - moment("reported") > 5.0, "the report comes before the wait");
    let report: Value = serde_json::from_str(&fs::read_to_string(host.app("report")).unwrap()).unwrap();
    assert_eq!(report["exit_code"], 2);
    assert!(finished.stderr().contains("did not answer in time"), "{finished}");
}

#[test]
fn who_waits_for_word_of_the_job_hears_of_every_run() {
    let web = Web::new();
    let host = host(&format!("[[alert.ping]]\nurl = \"{}\"\n", web.url("/ping/T0P-SECRET-PATH")));
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    let asked = web.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/ping/T0P-SECRET-PATH/start", "/ping/T0P-SECRET-PATH"]);
    assert_eq!(asked[1].body, finished.report()["summary"].as_str().unwrap());
    unmount(&host);
    fails(&host);
    assert_eq!(web.paths()[1], "/ping/T0P-SECRET-PATH/fail");
    mount(&host);
    // What only looks, and what another job does, is no word of this one.
    for words in [&["--dry-run"][..], &["list"], &["check"], &["prune"]] {
        host.run("backup", words).gets_done();
    }
    host.run("restore", &["verify", "latest"]).exits_with(Exit::Ok);
    assert!(web.asked().is_empty());
    host.run("backup", &["--test-alert"]).exits_with(Exit::Ok);
    assert_eq!(web.paths(), ["/ping/T0P-SECRET-PATH/log"], "a test passes neither for a run nor for a failure");
    web.answers_with(404);
    let finished = host.run("backup", &[]).exits_with(Exit::Ok);
    assert!(finished.stderr().contains("ping was not delivered") && !finished.to_string().contains("T0P-SECRET"));
}

#[test]
fn a_run_that_is_ended_by_a_signal_is_told() {
    let web = Web::new();
    let host = host(&webhook(&web));
    let running = host.launch("backup").stalled("fsync", 1, None, Duration::from_millis(300));
    running.signal("TERM");
    running.wait().exits_with(Exit::Signal(15));
    let message = web.asked().remove(0).json();
    assert_eq!(message["events"][0]["id"], "backup.failed");
    assert!(message["events"][0]["text"].as_str().unwrap().contains("SIGTERM"), "{message}");
}

#[test]
fn a_held_lock_is_told_when_it_is_held_for_several_runs() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.backup();
    let held = format!("exec 9>>'{}'; flock 9; backup; backup; backup; backup", host.stored(".lock").display());
    host.sh(&held).exits_with(Exit::Unknown);
    assert_eq!(events(&web), [["started backup.busy"]]);
    host.backup();
    assert_eq!(events(&web), [["ended backup.busy"]]);
}

#[test]
fn several_problems_of_one_run_are_one_message_and_the_job_is_done_all_the_same() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.write("uploads/large.bin", Random::new(5).bytes(2_000_000));
    host.backup();
    fs::remove_file(host.app("uploads/large.bin")).unwrap();
    host.run("backup", &[]).exits_with(Exit::Warning).warns_of("snapshot.shrunk");
    let message = web.asked().remove(0).json();
    assert_eq!(message["events"][0]["id"], "backup.snapshot.shrunk");
    assert_eq!((&message["severity"], &message["host"]), (&json!("warning"), &json!("vps1")));
    host.run("backup", &[]).exits_with(Exit::Warning).warns_of("snapshot.shrunk");
    assert_eq!(events(&web), Vec::<Vec<String>>::new(), "it is not over, and known already");
    host.run("backup", &["--accept-shrunk"]).exits_with(Exit::Ok);
    assert_eq!(events(&web), [["ended backup.snapshot.shrunk"]]);
}

#[test]
fn one_recipient_that_is_not_known_does_not_keep_the_others_from_being_told() {
    let smtp = Smtp::new();
    let section = smtp.section("plain").replace("[\"you@", "[\"unknown@example.org\", \"you@");
    let finished = host(&section).run("backup", &["--test-alert"]).exits_with(Exit::Ok);
    assert_eq!(smtp.mails()[0].header("X-Envelope-To"), "you@example.org");
    let sink = finished.data()["sinks"][0].clone();
    assert!(sink["error"].as_str().unwrap().contains("unknown@example.org"), "{sink}");
}

#[test]
fn a_slip_elsewhere_in_the_configuration_is_told_to_those_whom_it_names() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.backup();
    host.configure("", &format!("[backup]\nfils = [\"x\"]\n{}", webhook(&web)));
    host.run("backup", &[]).exits_with(Exit::Unknown).fails_with("config.unknown_key");
    assert_eq!(events(&web), [["started backup.failed"]]);
    host.configure("", &webhook(&web));
    host.backup();
    assert_eq!(events(&web), [["ended backup.failed"]]);
}

#[test]
fn what_is_known_of_alerts_may_be_lost_and_what_is_wrong_is_told_anew() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.backup();
    unmount(&host);
    fails(&host);
    fs::write(host.path("state/alert-backup-site.json"), "\0{").unwrap();
    web.asked();
    fails(&host).warns_of("alert.state_lost");
    assert_eq!(events(&web), [["started backup.failed"]]);
    assert!(host.path("state/alert-backup-site.json.bad").exists());
}

#[test]
fn where_no_state_can_be_kept_people_are_told_all_the_same() {
    let web = Web::new();
    let host = host(&webhook(&web));
    let finished = host.launch("backup").with("SHIPSHAPE_STATE", "/dev/null/state").run().exits_with(Exit::Unknown);
    assert_eq!(events(&web), [["started backup.failed"]]);
    assert!(finished.stderr().contains("may be told again"), "{finished}");
}

#[test]
fn a_test_says_who_was_reached_and_fails_when_somebody_was_not() {
    let (smtp, web) = (Smtp::new(), Web::new());
    let host = host(&format!("{}{}", smtp.section("plain"), webhook(&web)));
    web.answers_with(403);
    for tool in ["backup", "restore"] {
        let data = host.run(tool, &["--test-alert"]).exits_with(Exit::Critical).data();
        assert_eq!((&data["sinks"][0]["delivered"], &data["sinks"][1]["delivered"]), (&json!(true), &json!(false)));
        assert_eq!(data["sinks"][1]["sink"], "webhook json");
        assert!(data["sinks"][1]["error"].as_str().unwrap().contains("answered with 403"), "{data}");
        assert_eq!(smtp.mails().len(), 1);
        assert_eq!(web.asked()[0].json()["test"], true);
    }
    assert!(!host.path("state").join("alert-backup-site.json").exists(), "nothing is remembered of a test");
    host.configure("", "");
    host.run("backup", &["--test-alert"]).exits_with(Exit::Unknown).fails_with("alert.no_sink");
}

#[test]
fn a_verification_that_finds_damage_is_told() {
    let web = Web::new();
    let host = host(&webhook(&web));
    host.backup();
    host.run("restore", &["verify", "latest"]).exits_with(Exit::Ok);
    assert!(web.asked().is_empty());
    let packs = host.stored("packs").display().to_string();
    shell(&format!(
        "for pack in '{packs}'/*; do printf x | dd conv=notrunc status=none bs=1 seek=200 of=\"$pack\"; done"
    ));
    host.run("restore", &["verify", "latest"]).exits_with(Exit::Critical);
    assert_eq!(events(&web), [["started restore.verify.failed"]]);
}

#[test]
fn secrets_stay_out_of_the_file_and_out_of_the_clear() {
    let host = Host::with_a_small_site();
    let refused = |section: &str| {
        host.configure("", section);
        host.run("backup", &["--test-alert"]).exits_with(Exit::Unknown).fails_with("config.invalid")
    };
    let shown = refused("[[alert.webhook]]\nkind = \"slack\"\nurl = \"http://hooks.example.org/T0P-SECRET-PATH\"\n");
    assert!(!shown.to_string().contains("T0P-SECRET-PATH"), "{shown}");
    // A URL in a file that others can read is no secret.
    fs::write(host.etc("url"), "https://hooks.example.org/x").unwrap();
    host.chmod("etc/url", 0o644);
    host.configure(
        "",
        &format!("[[alert.webhook]]\nkind = \"slack\"\nurl_file = {:?}\n", host.etc("url").display().to_string()),
    );
    let data = host.run("backup", &["--test-alert"]).exits_with(Exit::Critical).data();
    assert!(data["sinks"][0]["error"].as_str().unwrap().contains("others can read the secret file"), "{data}");
}
