//! Who is told: one mail for a burst, one for its end, none for the same lines again.

use crate::harness::{Exit, Smtp};

use super::{append, host_with, laravel, rule};

#[test]
fn a_burst_raises_one_mail_and_its_end_one_more() {
    let smtp = Smtp::new();
    let host = host_with("app.log", &laravel("INFO", 0, 500));
    host.configure("", &format!("[logwatch]\nfiles = [\"app.log\"]\n{}", smtp.section("plain")));
    host.run("logwatch", &["--from-start"]).exits_with(Exit::Ok);

    append(&host, "app.log", &laravel("ERROR", 0, 40));
    let burst = host.run("logwatch", &["--max-errors", "10"]).exits_with(Exit::Critical);
    assert_eq!((burst.data()["errors"].as_u64(), burst.data()["lines"].as_u64()), (Some(40), Some(40)), "{burst}");
    assert_eq!(rule(&burst, "rate")["state"], "bad");
    assert_eq!(smtp.subjects().len(), 1);

    append(&host, "app.log", &laravel("ERROR", 40, 30));
    host.run("logwatch", &["--max-errors", "10"]).exits_with(Exit::Critical);
    assert!(smtp.mails().is_empty(), "told once");

    append(&host, "app.log", &laravel("INFO", 0, 100));
    let over = host.run("logwatch", &["--max-errors", "10"]).exits_with(Exit::Ok);
    assert_eq!(over.data()["errors"], 0, "what was counted is not counted again: {over}");
    let subjects = smtp.subjects();
    assert!(subjects.len() == 1 && subjects[0].contains("over: "), "{subjects:?}");
    host.run("logwatch", &["--max-errors", "10"]).exits_with(Exit::Ok);
    assert!(smtp.mails().is_empty());
}

#[test]
fn what_a_line_says_cannot_forge_a_header_or_a_line_of_a_mail() {
    let smtp = Smtp::new();
    let evil =
        "[2026-11-20 02:00:00] production.ERROR: x\r\nBcc: everybody@example.org\r\n\r\nforged body \x1b]0;x\x07\n";
    let host = host_with("app.log", &evil.repeat(40));
    host.configure("", &format!("[logwatch]\nfiles = [\"app.log\"]\n{}", smtp.section("plain")));
    host.run("logwatch", &["--from-start", "--max-errors", "3"]).exits_with(Exit::Critical);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    assert!(!mails[0].text.contains("\nBcc:"), "{}", mails[0].text);
    assert!(!mails[0].text.contains('\x1b'), "{}", mails[0].text);
}

#[test]
fn a_secret_is_told_by_its_place_and_never_by_its_value() {
    let smtp = Smtp::new();
    let token = format!("gh{}_{}", "p", "a8Fk2LmN0qRsT4uVwX6yZ1bC3dE5fG7hI9jK");
    let body = "q83vEjRWeJq83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8BI0VniQ";
    let key = format!("-----BEGIN {0}-----\n{body}\n{body}\n-----END {0}-----\n", "PRIVATE KEY");
    let lines = format!(
        "[2026-11-20 02:00:00] production.ERROR: cannot push with {token}\n2026-11-20 02:00:01 ERROR password: hunter2Xq9\n\
         2026-11-20 02:00:02 ERROR key dumped {key}2026-11-20 02:00:03 ERROR {body}\n"
    );
    let host = host_with("app.log", &lines);
    host.configure("", &format!("[logwatch]\nfiles = [\"app.log\"]\n{}", smtp.section("plain")));
    let explained = host.run("logwatch", &["--from-start", "--explain", "--dry-run"]);
    let finished = host.run("logwatch", &["--from-start"]).exits_with(Exit::Critical);
    assert_eq!(finished.data()["secrets"].as_array().unwrap().len(), 3, "{finished}");
    let state = std::fs::read_dir(host.path("state")).unwrap().map(|entry| entry.unwrap().path());
    let kept: String = state.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let mails: String = smtp.mails().into_iter().map(|mail| mail.text).collect();
    assert!(!mails.is_empty());
    for text in [explained.stdout(), finished.stdout(), finished.stderr(), kept, mails] {
        for secret in [&token[4..], "hunter2Xq9", &body[..40]] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
