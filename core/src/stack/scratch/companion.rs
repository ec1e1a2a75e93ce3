//! One container beside a live one: of the same image, in the same network, with nothing else in common.

use std::io::Read;
use std::time::Duration;

use super::lease::{self, Lease, MACHINE};
use super::{MARK, ScratchError};
use crate::child::{Command, Output};
use crate::machine;
use crate::stack::compose::{docker, exec_in};
use crate::stack::{Call, Exec, Instance, StackError};

/// The label with the live container that it stands beside.
const BESIDE: &str = "shipshape.beside";

/// The label with its name.
const NAME: &str = "shipshape.companion";

/// The label with what whoever started it wants to know of it again.
const NOTE: &str = "shipshape.note";

/// How long starting a container may take.
const START: Duration = Duration::from_secs(120);

/// How long a program in it may take: data is fed to it.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// How many of its last lines a container is quoted with.
const LAST_LINES: &str = "5";

/// A container that shares the network of a live one: it reaches that, and is reached from there, by `127.0.0.1` alone.
#[derive(Clone, Debug)]
pub struct Companion {
    service: String,
    id: String,
}

impl Companion {
    /// Where it keeps its data: a volume without a name, which goes with it.
    pub const DATA: &'static str = "/shipshape";

    /// Starts a shell script in a container of the image that the live one runs; the image's own start is left out. It is
    /// found again by `name`, together with the note, and goes with the lease. Works after we were asked to stop, too: what
    /// is half done is brought back by it.
    pub fn start(
        service: &str,
        live: &Instance,
        (name, note): (&str, &str),
        lease: &Lease,
        script: &str,
    ) -> Result<Self, ScratchError> {
        let image = inspect(&live.id, "{{.Image}}").even_when_interrupted().run()?.text();
        let labels = [
            format!("--label={MARK}={}", lease.mark()),
            format!("--label={MACHINE}={}", machine::host_name()),
            format!("--label={BESIDE}={}", live.id),
            format!("--label={NAME}={name}"),
            format!("--label={NOTE}={note}"),
        ];
        let network = format!("--network=container:{}", live.id);
        let volume = format!("--volume={}", Self::DATA);
        // As root, because a volume without a name belongs to root.
        let made = ["--detach", "--pull=never", "--user=0", "--no-healthcheck", "--entrypoint=sh", &network, &volume];
        let labels = labels.iter().map(String::as_str);
        let args = ["run"].into_iter().chain(made).chain(labels).chain([image.trim(), "-c", script]);
        let started = docker(args).deadline(START).even_when_interrupted().run()?;
        Ok(Self { service: service.to_owned(), id: started.text().trim().to_owned() })
    }

    /// The one of that name beside a live container, if there is one, and its note.
    pub fn find(service: &str, live: &Instance, name: &str) -> Option<(Self, String)> {
        let filters = [format!("label={BESIDE}={}", live.id), format!("label={NAME}={name}")];
        let format = format!("{{{{.ID}}}} {{{{.Label {NOTE:?}}}}}");
        let args = ["ps", "--no-trunc", "--filter", &filters[0], "--filter", &filters[1], "--format", &format];
        let found = docker(args).even_when_interrupted().run().ok()?.text();
        let (id, note) = found.lines().next()?.split_once(' ')?;
        Some((Self { service: service.to_owned(), id: id.to_owned() }, note.to_owned()))
    }

    /// Runs a program in it; `cleanup` for one that must run after we were asked to stop.
    pub fn exec(&self, argv: &[&str], stdin: Option<Box<dyn Read + Send>>, cleanup: bool) -> Result<Exec, StackError> {
        exec_in(self.id.clone(), Call { stdin, cleanup, deadline: LONG, ..Call::new(&self.service, argv) }, None)
    }

    /// Fails if it has ended by itself, with the last that it said.
    pub fn check(&self) -> Result<(), ScratchError> {
        let state = inspect(&self.id, "{{.State.Running}}").even_when_interrupted().run();
        if state.is_ok_and(|output: Output| output.text().trim() == "true") {
            return Ok(());
        }
        Err(ScratchError::Died { service: self.service.clone(), log: last_words(&self.id) })
    }

    /// Removes it, with its data.
    pub fn remove(&self) {
        lease::remove_containers(std::slice::from_ref(&self.id));
    }
}

/// Looks at a container.
pub(super) fn inspect(id: &str, format: &str) -> Command {
    docker(["inspect", "--type=container", "--format", format, "--", id])
}

/// The last lines of a container's log, in one.
pub(super) fn last_words(id: &str) -> String {
    // The engine gives the container's standard error back as one; so both are asked for.
    let logged = docker(["logs", "--tail", LAST_LINES, id]).even_when_interrupted().run();
    let Ok(Output { stdout, stderr }) = logged else { return String::new() };
    let text = [String::from_utf8_lossy(&stdout).into_owned(), stderr].concat();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
}
