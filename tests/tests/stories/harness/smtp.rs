//! A real mail server for one story: tests/testbed/smtp/sink.py on ports of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long the server may take to make its certificates and to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server. Dropped, it is ended.
pub(crate) struct Smtp {
    folder: TempDir,
    server: Child,
}

impl Smtp {
    /// Starts it, and waits until it listens.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed/smtp/sink.py");
        // The system's own Python: that is where its packages are.
        let server = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("python3 is needed (scripts/test installs it, and python3-aiosmtpd)");
        let mut smtp = Self { folder, server };
        for _ in 0..PATIENCE.as_millis() / 20 {
            if smtp.path("address").exists() {
                return smtp;
            }
            let log = fs::read_to_string(smtp.path("log")).unwrap();
            let lives = smtp.server.try_wait().unwrap().is_none();
            assert!(lives, "no mail server (scripts/test installs python3-aiosmtpd and openssl): {log}");
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the mail server does not listen");
    }

    /// Something in its folder: `password`, `ca.pem`, `other-ca.pem`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration of `[alert.mail]` for one of its listeners: `plain`, `login`, `starttls`, `tls`.
    pub(crate) fn section(&self, listener: &str) -> String {
        let address = fs::read_to_string(self.path("address")).unwrap();
        let line = address.lines().find_map(|line| line.strip_prefix(&format!("{listener} "))).unwrap();
        let port = line.rsplit_once(':').unwrap().1;
        format!(
            "[alert.mail]\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"Ops <ops@example.org>\"\nto = [\"you@example.org\"]\n"
        )
    }

    /// The lines of a login, with the right password.
    pub(crate) fn login(&self) -> String {
        let user = fs::read_to_string(self.path("user")).unwrap();
        format!("user = {:?}\npassword_file = {:?}\n", user.trim(), self.path("password").display().to_string())
    }

    /// The mails that have come since they were last looked at, in order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.path("mails")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "eml"));
        files.sort();
        let read = |file: PathBuf| {
            let text = fs::read_to_string(&file).unwrap();
            fs::remove_file(file).unwrap();
            Mail { text }
        };
        files.into_iter().map(read).collect()
    }

    /// The subjects of the same.
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.mails().iter().map(|mail| mail.header("Subject")).collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A mail as it came.
pub(crate) struct Mail {
    pub(crate) text: String,
}

impl Mail {
    /// A header, unfolded.
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        let lines: Vec<&str> = head.lines().filter(|line| line.starts_with(&format!("{name}: "))).collect();
        assert_eq!(lines.len(), 1, "one {name} in {}", self.text);
        lines[0][name.len() + 2..].to_owned()
    }
}
