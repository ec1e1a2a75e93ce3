//! Logs that nobody rotates: named, with what mends it.

use std::fs;

use serde_json::Value;

use crate::harness::{Exit, Host, Project, shell};

/// What was found, as `KIND WHAT`.
fn found(data: &Value) -> Vec<String> {
    let findings = data["findings"].as_array().unwrap().iter();
    findings.map(|finding| format!("{} {}", finding["kind"], finding["what"]).replace('"', "")).collect()
}

#[test]
fn a_large_log_without_a_rule_is_named_and_logrotate_takes_what_is_printed() {
    let host = Host::new();
    fs::create_dir_all(host.app("storage/logs")).unwrap();
    fs::write(host.app("storage/logs/app.log"), vec![b'x'; 2_000_000]).unwrap();
    let log = host.app("storage/logs/app.log").display().to_string();
    let audit = host.run("logwatch", &["audit", "--max-size", "1MB"]).exits_with(Exit::Warning);
    let found = found(&audit.data());
    assert!(found.contains(&format!("file.large {log}")), "{audit}");
    assert!(found.contains(&format!("folder.unrotated {}", host.app("storage/logs").display())), "{audit}");

    let rule = host.path("rule");
    let text = audit.data()["mend"]["logrotate"].as_str().unwrap().to_owned();
    for line in ["daily", "rotate 14", "compress"] {
        assert!(text.lines().any(|have| have.trim() == line), "{line} in {text}");
    }
    fs::write(&rule, text).unwrap();
    let state = host.path("rotated").display().to_string();
    shell(&format!("/usr/sbin/logrotate --force --state '{state}' '{}'", rule.display()));
    assert_eq!(fs::metadata(&log).unwrap().len(), 0, "rotated as it says");
    assert!(fs::read_dir(host.app("storage/logs")).unwrap().count() > 1);
}

#[test]
fn a_container_whose_log_grows_for_ever_is_named_until_its_log_is_bounded() {
    let compose = |logging: &str| {
        format!(
            "services:\n  app:\n    image: shipshape.test/app:1\n    command: [sleep, '600']\n    logging: {logging}\n"
        )
    };
    let project = Project::of(&compose("{ driver: json-file }"));
    project.up();
    let audit = project.run("logwatch", &["audit"]).exits_with(Exit::Warning);
    assert!(found(&audit.data()).iter().any(|found| found.starts_with("container.unrotated ")), "{audit}");
    let mend = audit.data()["mend"]["compose"].as_str().unwrap().to_owned();
    assert!(
        mend.contains("max-size") && mend.contains("max-file: \"14\"") || mend.contains("max-file: '14'"),
        "{mend}"
    );

    project.write("compose.override.yaml", &mend);
    project.up();
    let after = project.run("logwatch", &["audit"]);
    assert!(!found(&after.data()).iter().any(|found| found.starts_with("container.unrotated ")), "{mend}: {after}");
}
