//! Running another program, with everything that can go wrong about it bounded.
//!
//! No shell; an absolute program, or one from a fixed path; an environment that is empty but for what is granted by name;
//! standard input closed unless given; a deadline; standard error bounded, and quoted when the program fails.
//!
//! duct kills only the process that it started, never that one's own children. So each program leads a process group, and
//! it is the group that ends at the deadline, on a signal to us, and when its stream is dropped.

mod error;
mod stdin;
mod tail;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

use crate::signal;
pub use error::ChildError;
use stdin::Feeder;
use tail::Tail;
use watch::{Stop, Watch};

/// Where programs are looked for, whatever our own environment says.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a program may take unless it is given another deadline: enough for a question to a busy daemon.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The most that [`Command::run`] takes of standard output, in bytes. Whatever may be longer is for [`Command::stream`].
pub const OUTPUT_LIMIT: usize = 16 << 20;

/// A program that is about to run.
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    dir: PathBuf,
    stdin: Option<Box<dyn Read + Send>>,
    deadline: Duration,
    errors: Errors,
    interruption: Interruption,
}

/// Where what a program writes to standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errors {
    /// It is no part of the output: its end is quoted should the program fail.
    Apart,
    /// It is output too.
    Output,
}

/// What a program does when we are asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// It ends with us.
    Heeded,
    /// It cleans up, and is needed all the more.
    Survived,
}

/// What a program that ended well has written.
#[derive(Clone, Debug)]
pub struct Output {
    /// All of standard output, at most [`OUTPUT_LIMIT`].
    pub stdout: Vec<u8>,
    /// The end of standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as text; foreign bytes become `U+FFFD`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Command {
    /// A program, absolute or by a name to be found in [`PATH`], with its arguments. Arguments are seen by everybody on
    /// the machine: no secret may be among them.
    pub fn new(program: impl Into<OsString>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let env = [("PATH", PATH), ("LC_ALL", "C.UTF-8")].map(|(name, value)| (name.into(), value.into()));
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: env.into(),
            dir: PathBuf::from("/"),
            stdin: None,
            deadline: DEADLINE,
            errors: Errors::Apart,
            interruption: Interruption::Heeded,
        }
    }

    /// For cleaning up: it is started and runs to its end though we were asked to stop. Its deadline still holds.
    #[must_use]
    pub fn even_when_interrupted(mut self) -> Self {
        self.interruption = Interruption::Survived;
        self
    }

    /// Passes on a variable of our own environment, if we have it.
    #[must_use]
    pub fn grant(self, name: &str) -> Self {
        match std::env::var_os(name) {
            Some(value) => self.env(name, value),
            None => self,
        }
    }

    /// Sets a variable of the program's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Where it runs; `/` unless said.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// What it reads on standard input; nothing unless said. Should the source fail midway, the program is killed before
    /// it could take the break for the end.
    #[must_use]
    pub fn stdin(mut self, source: Box<dyn Read + Send>) -> Self {
        self.stdin = Some(source);
        self
    }

    /// How long it may take, from its start to its end.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What it writes to standard error is output like any other, and comes in its place. Nothing of it is quoted then,
    /// should the program fail.
    #[must_use]
    pub fn with_its_errors(mut self) -> Self {
        self.errors = Errors::Output;
        self
    }

    /// Runs it to its end and takes what it writes.
    pub fn run(self) -> Result<Output, ChildError> {
        let mut stream = self.stream()?;
        let mut stdout = Vec::new();
        let taken = (&mut stream).take(OUTPUT_LIMIT as u64 + 1).read_to_end(&mut stdout);
        if stdout.len() > OUTPUT_LIMIT {
            return Err(ChildError::TooMuch { program: stream.program.clone() });
        }
        let program = stream.program.clone();
        let stderr = stream.finish()?;
        taken.map_err(|source| ChildError::Io { program, source })?;
        Ok(Output { stdout, stderr })
    }

    /// Starts it, for standard output to be read as it comes.
    pub fn stream(self) -> Result<Stream, ChildError> {
        if self.interruption == Interruption::Heeded {
            signal::check()?;
        }
        let program = self.program.to_string_lossy().into_owned();
        let Some(path) = find(Path::new(&self.program)) else { return Err(ChildError::Missing { program }) };
        self.start(&path, program.clone()).map_err(|source| ChildError::Io { program, source })
    }

    fn start(self, path: &Path, program: String) -> io::Result<Stream> {
        let (stdout, stdout_end) = io::pipe()?;
        let (stderr, stderr_end) = io::pipe()?;
        let stderr_end = match self.errors {
            Errors::Apart => stderr_end,
            Errors::Output => stdout_end.try_clone()?,
        };
        let expression = self.expression(path).stdout_file(stdout_end).stderr_file(stderr_end);
        let (handle, source) = match self.stdin {
            Some(given) => {
                let (stdin_end, stdin) = io::pipe()?;
                (expression.stdin_file(stdin_end).start()?, Some((given, stdin)))
            }
            None => (expression.stdin_null().start()?, None),
        };
        // Our copies of the child's ends must go, or its streams would never end.
        drop(expression);
        let group = group_of(&handle)?;
        let watch = Watch::start(group, self.deadline, self.interruption);
        let feeder = source.map(|(given, stdin)| Feeder::start(given, stdin, watch.clone()));
        Ok(Stream {
            program,
            stdout: Some(stdout),
            tail: Tail::start(stderr),
            feeder,
            handle,
            group,
            watch,
            ended: false,
        })
    }

    /// The program for duct, but for its three streams.
    fn expression(&self, path: &Path) -> duct::Expression {
        // `unchecked`: the status is judged together with the deadline and standard error, by `Stream::finish`.
        duct::cmd(path, &self.args).full_env(&self.env).dir(&self.dir).unchecked().before_spawn(|command| {
            command.process_group(0);
            Ok(())
        })
    }
}

/// A running program and its standard output. Its end says nothing yet: [`Stream::finish`] tells whether it ended well.
#[must_use = "only `finish` tells whether the program succeeded"]
pub struct Stream {
    program: String,
    stdout: Option<PipeReader>,
    tail: Tail,
    feeder: Option<Feeder>,
    handle: duct::Handle,
    group: Pid,
    watch: Watch,
    ended: bool,
}

impl Stream {
    /// A way to end the program while somebody else reads from it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.watch.clone())
    }

    /// Waits for the end, and fails unless the program ended well. Returns the end of its standard error.
    pub fn finish(mut self) -> Result<String, ChildError> {
        let program = self.program.clone();
        let status = self.end().map_err(|source| ChildError::Io { program: program.clone(), source })?;
        let stderr = self.tail.text();
        match self.watch.stopped() {
            Some(Stop::Deadline) => return Err(ChildError::Deadline { program, after: self.watch.deadline(), stderr }),
            Some(Stop::Interrupted(interrupted)) => return Err(interrupted.into()),
            Some(Stop::Input | Stop::Dropped) | None => {}
        }
        if let Some(source) = self.feeder.as_ref().and_then(Feeder::failure) {
            return Err(ChildError::Input { program, source });
        }
        if status.success() { Ok(stderr) } else { Err(ChildError::Failed { program, status, stderr }) }
    }

    /// Closes our end, waits, and buries the process. The group is only ever signalled while its dead leader still holds
    /// the number, so that no stranger can have got it.
    fn end(&mut self) -> io::Result<std::process::ExitStatus> {
        self.stdout = None;
        self.ended = true;
        watch::wait_without_burying(self.group)?;
        self.watch.disarm();
        Ok(self.handle.wait()?.status)
    }
}

/// Ends a running program from another thread than the one that reads from it.
pub struct Stopper(Watch);

impl Stopper {
    /// Asks the program to end, and insists after a moment. Whoever reads from it sees the end soon.
    pub fn stop(&self) {
        self.0.stop(Stop::Dropped);
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        loop {
            if is_ready(stdout)? {
                return stdout.read(buffer);
            }
            // A grandchild that left the group may hold the pipe open for ever.
            if self.watch.is_over() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the program was stopped"));
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended {
            self.watch.stop(Stop::Dropped);
            let _ = self.end();
        }
    }
}

/// Waits a moment for bytes, or for their end.
fn is_ready(pipe: &PipeReader) -> io::Result<bool> {
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut fds, Some(&moment)))? > 0)
}

fn group_of(handle: &duct::Handle) -> io::Result<Pid> {
    let number = handle.pids().first().and_then(|pid| i32::try_from(*pid).ok());
    number.and_then(Pid::from_raw).ok_or_else(|| io::Error::other("the process has no number"))
}

/// The program's file, as [`Command`] would find it. A relative path is never taken: it would depend on where one stands.
pub fn find(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() {
        return program.is_file().then(|| program.to_owned());
    }
    if program.components().count() != 1 {
        return None;
    }
    PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stopwatch;
    use crate::error::Explain;

    /// A line of shell, for what only a shell can do to us.
    fn sh(script: &str) -> Command {
        Command::new("sh", ["-c", script])
    }

    /// Whether a process is gone, or at least dead, within the moment that a killed one needs to die.
    fn is_dead(pid: &str) -> bool {
        let watch = Stopwatch::start();
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                return true;
            }
            if watch.elapsed() > Duration::from_secs(5) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A source that gives some bytes and then breaks.
    struct BreaksMidway(bool);

    impl Read for BreaksMidway {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                std::thread::sleep(Duration::from_millis(100));
                return Err(io::Error::other("the disk is gone"));
            }
            buffer[..4].copy_from_slice(b"half");
            Ok(4)
        }
    }

    #[test]
    fn the_environment_is_empty_but_for_what_is_granted() {
        let text = Command::new("env", [""; 0]).env("GREETING", "hello").grant("CARGO_PKG_NAME").run().unwrap().text();
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["CARGO_PKG_NAME", "GREETING", "LC_ALL", "PATH"]);
    }

    #[test]
    fn what_goes_to_standard_error_comes_in_its_place_where_it_is_output_too() {
        let output = sh("echo one; echo two >&2; echo three").with_its_errors().run().unwrap();
        assert_eq!((output.text().as_str(), output.stderr.as_str()), ("one\ntwo\nthree\n", ""));
    }

    #[test]
    fn standard_input_is_closed_unless_given() {
        assert_eq!(Command::new("cat", [""; 0]).run().unwrap().stdout, b"");
        let large = vec![b'x'; 1 << 20];
        let given = Command::new("cat", [""; 0]).stdin(Box::new(io::Cursor::new(large.clone()))).run().unwrap();
        assert!(given.stdout == large, "a megabyte passes unchanged");
    }

    #[test]
    fn a_missing_program_is_named_before_anything_runs() {
        for program in ["no-such-program", "/no/such/program", "relative/program", ""] {
            let error = Command::new(program, [""; 0]).run().unwrap_err();
            assert_eq!((error.code(), error.exit()), ("child.missing", crate::exit::Exit::Unknown), "{program}");
        }
    }

    #[test]
    fn a_failure_tells_the_status_and_the_end_of_standard_error() {
        let error = sh("seq 1 9999 >&2; echo 'access denied' >&2; exit 7").run().unwrap_err();
        assert_eq!(error.to_string(), "`sh` failed with status 7: 9996 | 9997 | 9998 | 9999 | access denied");
        let error = sh("kill -9 $$").run().unwrap_err();
        assert_eq!(error.to_string(), "`sh` was killed by signal 9");
    }

    #[test]
    fn the_deadline_ends_the_program_and_its_children() {
        let watch = Stopwatch::start();
        let mut stream = sh("sleep 60 & echo $!; wait").deadline(Duration::from_millis(300)).stream().unwrap();
        let mut child = String::new();
        stream.read_to_string(&mut child).unwrap();
        let error = stream.finish().unwrap_err();
        assert_eq!(error.code(), "child.deadline");
        assert!(watch.elapsed() < Duration::from_secs(30), "it did not wait for the sleep");
        assert!(is_dead(&child), "process {child} is left");
    }

    #[test]
    fn a_program_that_ignores_the_request_is_killed() {
        let error =
            sh("trap '' TERM; while :; do sleep 0.1; done").deadline(Duration::from_millis(200)).run().unwrap_err();
        assert_eq!(error.code(), "child.deadline");
    }

    #[test]
    fn a_grandchild_that_ignores_the_request_does_not_outlive_its_parent() {
        let script = "(trap '' TERM; exec sleep 60) >/dev/null 2>&1 & echo $!; wait";
        let mut stream = sh(script).deadline(Duration::from_millis(300)).stream().unwrap();
        let mut child = String::new();
        stream.read_to_string(&mut child).unwrap();
        assert_eq!(stream.finish().unwrap_err().code(), "child.deadline");
        assert!(is_dead(&child), "process {child} is left");
    }

    #[test]
    fn a_grandchild_that_left_the_group_does_not_hold_us() {
        let watch = Stopwatch::start();
        let error = sh("setsid sleep 20 & wait").deadline(Duration::from_millis(300)).run().unwrap_err();
        assert_eq!(error.code(), "child.deadline");
        assert!(watch.elapsed() < Duration::from_secs(15), "it did not wait for the sleep");
    }

    #[test]
    fn a_stream_that_is_dropped_leaves_nothing_behind() {
        let mut stream = sh("sleep 60 & echo $!; wait").stream().unwrap();
        let mut child = [0; 16];
        let read = stream.read(&mut child).unwrap();
        drop(stream);
        assert!(is_dead(std::str::from_utf8(&child[..read]).unwrap()));
    }

    /// What the next test runs in a process of its own: a signal once caught stays caught.
    fn be_interrupted() {
        signal::listen();
        let mut stream = sh("echo $$; sleep 60 & wait").stream().unwrap();
        let mut pid = [0; 16];
        let read = stream.read(&mut pid).unwrap();
        println!("started {}", String::from_utf8_lossy(&pid[..read]));
        stream.read_to_end(&mut Vec::new()).unwrap();
        println!("{}: {}", stream.finish().unwrap_err(), sh("true").run().unwrap_err());
    }

    #[test]
    fn a_signal_to_us_ends_the_program_and_starts_no_other() {
        if std::env::var_os("BE_INTERRUPTED").is_some() {
            return be_interrupted();
        }
        let test = "child::tests::a_signal_to_us_ends_the_program_and_starts_no_other";
        let us = Command::new(std::env::current_exe().unwrap(), ["--exact", test, "--nocapture"]);
        let mut stream = us.env("BE_INTERRUPTED", "1").stream().unwrap();
        let mut told = String::new();
        while !told.contains("started") || !told.ends_with('\n') {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            told.push(char::from(byte[0]));
        }
        rustix::process::kill_process(stream.group, rustix::process::Signal::TERM).unwrap();
        let pid = told.rsplit(' ').next().unwrap().to_owned();
        stream.read_to_string(&mut told).unwrap();
        stream.finish().unwrap();
        assert!(told.contains("interrupted by SIGTERM: interrupted by SIGTERM"), "{told}");
        assert!(is_dead(&pid));
    }

    #[test]
    fn a_source_that_breaks_kills_the_program_before_it_sees_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("committed");
        let script = format!("cat >/dev/null; touch {}", mark.display());
        let error = sh(&script).stdin(Box::new(BreaksMidway(false))).run().unwrap_err();
        assert_eq!(error.code(), "child.input");
        assert!(!mark.exists(), "it took the break for the end");
    }

    #[test]
    fn a_program_need_not_read_all_that_it_is_given() {
        let given = Box::new(io::repeat(b'x'));
        assert_eq!(Command::new("head", ["-c", "3"]).stdin(given).run().unwrap().stdout, b"xxx");
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let error = Command::new("yes", [""; 0]).run().unwrap_err();
        assert_eq!(error.code(), "child.too_much");
    }

    #[test]
    fn a_reader_may_stop_early_and_still_learn_the_end() {
        let mut stream = sh("yes; exit 4").stream().unwrap();
        let mut some = [0; 2];
        stream.read_exact(&mut some).unwrap();
        let error = stream.finish().unwrap_err();
        assert!(matches!(error, ChildError::Failed { .. }), "{error}");
    }
}
