//! The whole audit, over the disk of a machine.

use super::*;

use std::fs;
use std::path::Path;
use std::process::Command as Program;

use shipshape_core::cli::CommonArgs;

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        machine.put("etc/logrotate.conf", "weekly\nrotate 4\ninclude /etc/logrotate.d\n");
        machine.put("etc/logrotate.d/nginx", "/var/log/nginx/*.log {\n  rotate 14\n}\n");
        machine.put("var/log/nginx/access.log", "x\n");
        machine
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn audit(&self, max_size: u64) -> Outcome {
        let common = CommonArgs { state: Some(self.folder.path().join("state")), ..CommonArgs::default() };
        let run = Run::start("logwatch", "0", &common);
        let root = Some(self.folder.path().to_owned());
        let args = AuditArgs { app: None, all: false, max_size: ByteSize(max_size), root };
        let app = App { name: "fleet".to_owned(), dir: Some(self.folder.path().join("srv/app")) };
        audit(&args, &Config::default(), Some(&app), &run).unwrap()
    }
}

#[test]
fn a_machine_whose_logs_are_all_rotated_is_well() {
    let outcome = Machine::new().audit(1000);
    assert_eq!((outcome.exit, outcome.summary.as_str()), (Exit::Ok, "no log grows without end"));
    assert_eq!(outcome.data["findings"], json!([]));
    assert_eq!(outcome.data["mend"], json!({ "logrotate": null, "compose": null, "daemon": null }));
}

#[test]
fn what_grows_and_what_is_too_large_is_named_with_what_mends_it() {
    let machine = Machine::new();
    machine.put("srv/app/storage/logs/laravel.log", &"x".repeat(2000));
    machine.put("var/log/nginx/access.log", &"x".repeat(9000));
    let outcome = machine.audit(5000);
    assert_eq!(outcome.exit, Exit::Warning);
    assert_eq!(outcome.summary, "1 log that is too large, 1 folder without a logrotate rule");
    let findings = &outcome.data["findings"];
    assert_eq!(
        (&findings[0]["kind"], &findings[0]["what"]),
        (&json!("file.large"), &json!("/var/log/nginx/access.log"))
    );
    assert_eq!(
        (&findings[1]["kind"], &findings[1]["what"]),
        (&json!("folder.unrotated"), &json!("/srv/app/storage/logs"))
    );
    let mend = outcome.data["mend"]["logrotate"].as_str().unwrap();
    assert!(mend.contains("\"/srv/app/storage/logs/*.log\" {") && outcome.text.contains(mend), "{}", outcome.text);
}

/// The one judge that counts: logrotate itself, which reads the file and does as if.
#[test]
fn logrotate_accepts_what_is_printed_and_would_rotate_the_log() {
    let machine = Machine::new();
    let dir = machine.folder.path().canonicalize().unwrap().join("srv/my app/logs");
    machine.put("srv/my app/logs/laravel.log", "x\n");
    let unrotated = Unrotated {
        dir: dir.clone(),
        files: vec![dir.join("laravel.log")],
        size: 2,
        is_all_of_log: true,
        su: Some(("root".to_owned(), "root".to_owned())),
    };
    let one_by_one =
        Unrotated { dir: dir.clone(), files: vec![dir.join("worker.err")], is_all_of_log: false, ..unrotated.clone() };
    machine.put("srv/my app/logs/worker.err", "x\n");
    machine.put("printed", &mend::logrotate(&[unrotated, one_by_one], "fleet").unwrap());
    let printed = machine.folder.path().join("printed");
    let logrotate = ["/usr/sbin/logrotate", "/usr/bin/logrotate"].map(Path::new).into_iter().find(|path| path.exists());
    let state = machine.folder.path().join("rotated");
    let arguments = [Path::new("--debug"), Path::new("--force"), Path::new("--state"), &state, &printed];
    let judged = Program::new(logrotate.expect("logrotate is installed: scripts/test does it"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&judged.stderr).into_owned();
    assert!(judged.status.success(), "{said}");
    assert!(!said.contains("error:"), "{said}");
    for log in ["laravel.log", "worker.err"] {
        assert!(said.contains(&format!("considering log {}", dir.join(log).display())), "{said}");
    }
    assert!(said.contains("log needs rotating") && said.contains("14 rotations"), "{said}");
}
