//! How programs are started: the tools under test under their real names, at any time of day, under any misfortune.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use super::Finished;

/// A folder with the real names of the tools, to stand first on PATH.
fn real_names() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let tools = [
            ("backup", env!("CARGO_BIN_EXE_backup-under-test")),
            ("restore", env!("CARGO_BIN_EXE_restore-under-test")),
            ("certrenew", env!("CARGO_BIN_EXE_certrenew-under-test")),
            ("logwatch", env!("CARGO_BIN_EXE_logwatch-under-test")),
        ];
        for (name, binary) in tools {
            let _ = std::fs::remove_file(folder.join(name));
            std::os::unix::fs::symlink(binary, folder.join(name)).unwrap();
        }
        folder
    })
}

/// The path of a tool under test.
pub(crate) fn tool(name: &str) -> PathBuf {
    real_names().join(name)
}

/// Whether `scripts/test` could not have that part here and leaves it out: it counts the stories that it leaves out with it.
pub(crate) fn goes_without(part: &str) -> bool {
    std::env::var("SHIPSHAPE_WITHOUT").is_ok_and(|parts| parts.split_whitespace().any(|one| one == part))
}

/// Runs a line of shell that arranges or measures something, and returns what it printed. It must succeed.
#[track_caller]
pub(crate) fn shell(line: &str) -> String {
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", line]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`{line}` ended with {}: {stderr} (scripts/test installs what is needed)",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that is about to run.
#[derive(Clone)]
pub(crate) struct Launch {
    words: Vec<OsString>,
    before: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    moment: Option<String>,
    stdin: Vec<u8>,
}

impl Launch {
    /// The program, in that folder, with nothing in its environment but what is named here.
    pub(super) fn new(program: impl Into<OsString>, folder: &Path) -> Self {
        let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", real_names().display());
        let launch = Self {
            words: vec![program.into()],
            before: Vec::new(),
            environment: Vec::new(),
            folder: folder.to_owned(),
            moment: None,
            stdin: Vec::new(),
        };
        launch.with("PATH", &path).with("TZ", "UTC").with("LC_ALL", "C.UTF-8")
    }

    /// Adds words to its command line.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, words: &[S]) -> Self {
        self.words.extend(words.iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs it with its clock at that moment, in UTC: `2026-11-01 02:00:00`. Times of files stay what they are.
    pub(crate) fn at(mut self, moment: &str) -> Self {
        self.moment = Some(moment.to_owned());
        self.with("NO_FAKE_STAT", "1")
    }

    /// Gives it something to read.
    pub(crate) fn reading(mut self, bytes: &[u8]) -> Self {
        bytes.clone_into(&mut self.stdin);
        self
    }

    /// Runs it under another program.
    pub(super) fn under(mut self, words: &[String]) -> Self {
        self.before = words.iter().map(Into::into).collect();
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Finished {
        self.start().wait()
    }

    /// Starts it and lets it run.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let words = self.all_words();
        let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs(self.environment)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|refused| {
                panic!("cannot start `{line}` (scripts/test installs what is needed): {refused}")
            });
        let (mut pipe, bytes) = (child.stdin.take().unwrap(), self.stdin);
        // From its own thread: a program that says something before it has read everything must not hang us.
        thread::spawn(move || pipe.write_all(&bytes));
        Running { line, child: Some(child) }
    }

    fn all_words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(moment) = &self.moment {
            let at = format!("@{moment}");
            words.extend(["faketime", "-m", "--exclude-monotonic", "-f", &at].map(OsString::from));
        }
        words.extend(self.before.iter().cloned());
        words.extend(self.words.iter().cloned());
        words
    }
}

/// A program that runs. Dropped, it is killed and reaped.
pub(crate) struct Running {
    line: String,
    child: Option<Child>,
}

impl Running {
    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// Sends it a signal, by its name: `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        shell(&format!("kill -{name} {}", self.child.as_ref().unwrap().id()));
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Finished {
        let child = self.child.take().unwrap();
        let output = child.wait_with_output().unwrap();
        Finished { line: self.line.clone(), output }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
