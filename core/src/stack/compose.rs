//! An application under Docker Compose, reached by `docker compose` and `docker`.
//!
//! The truth about services is what Compose makes of all its files (`config`); the truth about what runs is what the
//! engine knows (`ps`). Programs are run in a container by its id, so that the copies of a service are told apart.

mod answer;
mod files;
#[cfg(test)]
mod fuzz;
pub mod logs;
mod ports;
mod running;
mod volumes;

use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use running::{Choice, Described};

use super::{Call, Exec, Instance, Service, ServiceState, Stack, StackError, Volume};
use crate::child::{ChildError, Command};
use crate::config::COMPOSE_FILES as FILE_NAMES;

/// What of our environment says where the engine is and which project is meant: the names that `docker` and
/// `docker compose` document (docs.docker.com, "Environment variables").
const GRANTED: [&str; 13] = [
    "HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    "COMPOSE_PROFILES",
    "COMPOSE_ENV_FILES",
];

/// How long stopping may take beyond the time that the containers have for it, and how long starting: a busy engine.
const STOP_DEADLINE: Duration = Duration::from_secs(180);

/// How long coming up may take: images are pulled or built, databases made.
const UP_DEADLINE: Duration = Duration::from_secs(1800);

/// The variable by which a program in a container is found again. Its value is random and no secret.
const MARK: &str = "SHIPSHAPE_RUN";

/// The variable by which all programs of one owner are found again.
const OWNER: &str = "SHIPSHAPE_OF";

/// Ends every program in a container whose environment has the line `$1`: asks, and a moment later insists.
const SWEEP: &str = r#"
found() { for p in /proc/[0-9]*; do tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qxF "$1" && echo "${p#/proc/}"; done; }
kill -TERM $(found "$1") 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do [ -n "$(found "$1")" ] || exit 0; sleep 0.2; done
kill -KILL $(found "$1") 2>/dev/null; exit 0"#;

/// The project of one folder.
#[derive(Debug)]
pub struct Compose {
    dir: PathBuf,
    model: OnceLock<Value>,
    given: Option<Given>,
    choice: Choice,
    owner: Option<String>,
}

/// A project that no file describes.
#[derive(Debug)]
struct Given {
    name: String,
    /// Its description: with the values of secrets in it, so it goes to Compose by standard input alone.
    text: String,
}

impl Compose {
    /// The project in a folder, if there is one: by a file of one of [`COMPOSE_FILES`](crate::config::COMPOSE_FILES), or because `$COMPOSE_FILE` or the
    /// folder's `.env` says where its files are. Compose itself would also look in the folders above; those are not
    /// this application's.
    pub fn find(dir: &Path) -> Option<Self> {
        let has_file = FILE_NAMES.iter().any(|name| dir.join(name).is_file());
        (has_file || files::is_said(dir, "COMPOSE_FILE")).then(|| Self::of(dir, Choice::default()))
    }

    /// The project that runs in a folder, by whatever files and under whatever name; where nothing runs, the one that
    /// [`Compose::find`] finds. Fails where it cannot be told which one is meant. An engine that does not answer is no
    /// error yet.
    pub fn look(dir: &Path) -> Result<Option<Self>, StackError> {
        let found = Self::find(dir);
        let made = running::made_in(dir);
        if made.is_empty() {
            return Ok(found);
        }
        let described = found.as_ref().map(Self::described).transpose()?;
        let choice = running::choose(dir, described.as_ref(), made)?;
        // What was asked once need not be asked again.
        Ok(match (choice, found) {
            (Some(choice), Some(found)) if choice.name.is_none() => Some(Self { choice, ..found }),
            (Some(choice), _) => Some(Self::of(dir, choice)),
            (None, found) => found,
        })
    }

    fn of(dir: &Path, choice: Choice) -> Self {
        Self { dir: dir.to_owned(), model: OnceLock::new(), given: None, choice, owner: None }
    }

    /// What Compose finds by itself.
    fn described(&self) -> Result<Described, StackError> {
        Ok(Described {
            name: self.project()?,
            is_named: files::is_said(&self.dir, "COMPOSE_PROJECT_NAME"),
            files: files::found_by_compose(&self.dir),
            are_named: files::is_said(&self.dir, "COMPOSE_FILE"),
            services: self.services()?.into_iter().map(|service| service.name).collect(),
        })
    }

    /// In what the project differs from the one that Compose would find in the folder by itself, in words; none if in
    /// nothing.
    pub fn particular(&self) -> Option<String> {
        let name = self.choice.name.as_ref()?;
        let files: Vec<_> = self.choice.files.iter().map(|file| file.display().to_string()).collect();
        let from = if files.is_empty() { String::new() } else { format!(", from {}", files.join(" and ")) };
        Some(format!("the project {name}{from}: it is the one that runs here"))
    }

    /// Services that run, and that no file describes.
    pub fn undescribed(&self) -> Result<Vec<String>, StackError> {
        let model = self.model()?;
        Ok(self.choice.up.iter().filter(|name| answer::service(model, name).is_none()).cloned().collect())
    }

    /// Marks all that is run in services as this owner's, so that it can be found again should the owner be killed.
    #[must_use]
    pub fn owned_by(self, owner: &str) -> Self {
        Self { owner: Some(format!("{OWNER}={owner}")), ..self }
    }

    /// Ends what an owner that was killed has left running in these services. To be called only by the owner itself, which
    /// must be sure to be the only one.
    pub fn end_what_was_left(&self, services: &[&str]) {
        let Some(owner) = &self.owner else { return };
        let containers = self.containers().unwrap_or_default();
        for (service, instance, _) in answer::all(containers) {
            if instance.state == ServiceState::Running && services.contains(&service.as_str()) {
                sweep(&instance.id, owner);
            }
        }
    }

    /// A project that is described here, whatever files there are. Its paths lead from `dir`.
    pub(super) fn given(dir: PathBuf, name: &str, model: Value) -> Self {
        let given = Given { name: name.to_owned(), text: model.to_string() };
        Self { dir, model: OnceLock::from(model), given: Some(given), choice: Choice::default(), owner: None }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What Compose makes of all its files, as its `config --format json` prints it: with the values of secrets in it.
    pub fn model(&self) -> Result<&Value, StackError> {
        if let Some(known) = self.model.get() {
            return Ok(known);
        }
        let question = "docker compose config --format json";
        // All profiles: a database that only some profile starts is a database all the same.
        let output = self.compose(&["--profile", "*", "config", "--format", "json"]).run();
        let output = output.map_err(|refused| self.understood(refused))?;
        let model: Value =
            serde_json::from_slice(&output.stdout).map_err(|source| StackError::Answer { question, source })?;
        Ok(self.model.get_or_init(|| model))
    }

    /// `docker compose`, in the project's folder.
    pub fn compose(&self, args: &[&str]) -> Command {
        let Some(Given { name, text }) = &self.given else {
            return docker([vec!["compose".to_owned()], self.chosen(), owned(args)].concat()).dir(&self.dir);
        };
        let named = ["compose", "--file", "-", "--project-name", name];
        let text = Cursor::new(text.clone().into_bytes());
        docker(named.iter().chain(args)).dir(&self.dir).stdin(Box::new(text))
    }

    /// What says to Compose which project is meant, where it would not come to it by itself.
    fn chosen(&self) -> Vec<String> {
        let Choice { name, files, .. } = &self.choice;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut words: Vec<String> = name.iter().map(|name| format!("--project-name={name}")).collect();
        if !files.is_empty() {
            words.push(format!("--project-directory={}", path(&self.dir)));
            words.extend(files.iter().map(|file| format!("--file={}", path(file))));
        }
        words
    }

    /// Makes the volumes that are missing, and nothing else.
    pub fn make_volumes(&self) -> Result<(), StackError> {
        let all = self.volumes()?;
        let model = self.model()?;
        let is_due = |volume: &&Volume| !volume.exists && !volumes::is_external(model, &volume.name);
        let missing: Vec<&str> = all.iter().filter(is_due).map(|volume| volume.name.as_str()).collect();
        let Some(alone) = volumes::alone(model, &missing).filter(|_| !missing.is_empty()) else { return Ok(()) };
        let holder = Self::given(self.dir.clone(), &self.project()?, alone);
        let made = holder.create();
        let removed =
            holder.compose(&["rm", "--force", "--stop", "--volumes", "--", volumes::HOLDER]).even_when_interrupted();
        made.and(holder.run(removed).map(drop))
    }

    /// Every container of the project, with the name of its service, and its labels in one text.
    pub(super) fn everything(&self) -> Result<Vec<(String, Instance, String)>, StackError> {
        Ok(answer::all(self.containers()?))
    }

    /// What a refusal of Compose means.
    fn understood(&self, refused: ChildError) -> StackError {
        let file = || {
            let found = FILE_NAMES.iter().map(|name| self.dir.join(name)).find(|path| path.is_file());
            found.unwrap_or_else(|| self.dir.clone()).display().to_string()
        };
        answer::understood(refused, file)
    }

    fn run(&self, command: Command) -> Result<crate::child::Output, StackError> {
        command.run().map_err(|refused| self.understood(refused))
    }

    /// The containers of the project.
    fn containers(&self) -> Result<Vec<answer::Container>, StackError> {
        let output = self.run(self.compose(&["--profile", "*", "ps", "--all", "--no-trunc", "--format", "json"]))?;
        answer::containers(&output.text())
    }

    /// Whether the engine runs on this machine. The paths of another one's volumes may be here too, and something else.
    fn engine_is_here(&self) -> Result<bool, StackError> {
        let shown = self.run(docker(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]))?;
        Ok(shown.text().trim().starts_with("unix://"))
    }

    /// The longest time that one of these containers has to end.
    fn grace(&self, ids: &[&str]) -> Result<Duration, StackError> {
        let question = ["inspect", "--format", "{{json .Config.StopTimeout}}", "--"];
        let told = self.run(docker(question.iter().chain(ids)).even_when_interrupted())?;
        Ok(answer::grace(&told.text()))
    }

    /// Fails unless all of these containers run. That the engine has agreed to start one does not say so.
    fn runs(&self, service: &str, ids: &[&str]) -> Result<(), StackError> {
        let question = ["inspect", "--format", "{{.State.Running}}", "--"];
        let told = self.run(docker(question.iter().chain(ids)).even_when_interrupted())?;
        let all = told.text().lines().all(|line| line == "true");
        if all { Ok(()) } else { Err(StackError::NotUp { service: service.to_owned() }) }
    }

    fn ids(instances: &[Instance]) -> Vec<&str> {
        instances.iter().map(|instance| instance.id.as_str()).collect()
    }

    /// The container that a call is for.
    fn container(&self, call: &Call<'_>) -> Result<String, StackError> {
        if let Some(id) = call.instance {
            return Ok(id.to_owned());
        }
        let instances = self.instances(call.service)?;
        let first = instances.into_iter().next();
        Ok(first.ok_or_else(|| StackError::NoService { service: call.service.to_owned() })?.id)
    }
}

impl Stack for Compose {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn project(&self) -> Result<String, StackError> {
        Ok(self.model()?.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn services(&self) -> Result<Vec<Service>, StackError> {
        Ok(answer::services(self.model()?))
    }

    fn instances(&self, service: &str) -> Result<Vec<Instance>, StackError> {
        if answer::service(self.model()?, service).is_none() {
            return Err(StackError::NoService { service: service.to_owned() });
        }
        Ok(answer::instances(self.containers()?, service))
    }

    fn volumes(&self) -> Result<Vec<Volume>, StackError> {
        let mut volumes = answer::volumes(self.model()?);
        let known = self.run(docker(["volume", "ls", "--quiet"]))?.text();
        for volume in &mut volumes {
            volume.exists = known.lines().any(|name| name == volume.full_name);
        }
        let existing: Vec<&str> =
            volumes.iter().filter(|volume| volume.exists).map(|volume| volume.full_name.as_str()).collect();
        if existing.is_empty() {
            return Ok(volumes);
        }
        let shown = self.run(docker(["volume", "inspect", "--"].iter().chain(&existing)))?;
        let is_here = self.engine_is_here()?;
        for inspected in answer::inspected(&shown.text())? {
            for volume in volumes.iter_mut().filter(|volume| volume.full_name == inspected.name()) {
                volume.in_memory = inspected.keeps() == answer::Keeps::Memory;
                volume.exists = !volume.in_memory;
                volume.folder = folder_of(inspected.keeps()).filter(|_| is_here);
            }
        }
        Ok(volumes)
    }

    fn files(&self) -> Result<Vec<PathBuf>, StackError> {
        Ok(files::of_project(&self.dir, &self.choice.files, self.model()?))
    }

    fn exec(&self, call: Call<'_>) -> Result<Exec, StackError> {
        exec_in(self.container(&call)?, call, self.owner.as_deref())
    }

    fn restart(&self, service: &str) -> Result<(), StackError> {
        self.run(self.compose(&["restart", "--", service]).deadline(STOP_DEADLINE))?;
        Ok(())
    }

    /// Once begun it goes to its end: the engine stops a container though nobody waits for it any more, and one that is
    /// started while it is on its way down stays down.
    fn stop(&self, _: &str, instances: &[Instance]) -> Result<(), StackError> {
        let ids = Self::ids(instances);
        let deadline = self.grace(&ids)? + STOP_DEADLINE;
        self.run(docker(["stop"].iter().chain(&ids)).deadline(deadline).even_when_interrupted())?;
        Ok(())
    }

    /// The very containers; and where somebody has made new ones in the meantime, the service.
    fn start(&self, service: &str, instances: &[Instance]) -> Result<(), StackError> {
        let ids = Self::ids(instances);
        let same = docker(["start"].iter().chain(&ids)).deadline(STOP_DEADLINE).even_when_interrupted();
        if same.run().is_ok() {
            return self.runs(service, &ids);
        }
        let anew = self.compose(&["up", "--detach", "--no-deps", "--no-recreate", "--", service]);
        self.run(anew.deadline(STOP_DEADLINE).even_when_interrupted())?;
        Ok(())
    }

    fn create(&self) -> Result<(), StackError> {
        self.run(self.compose(&["up", "--no-start", "--quiet-pull"]).deadline(UP_DEADLINE))?;
        Ok(())
    }

    fn up(&self, services: &[&str]) -> Result<(), StackError> {
        let args: Vec<&str> =
            ["up", "--detach", "--quiet-pull", "--wait", "--"].iter().chain(services).copied().collect();
        self.run(self.compose(&args).deadline(UP_DEADLINE))?;
        Ok(())
    }

    fn state(&self, service: &str) -> Result<ServiceState, StackError> {
        let instances = self.instances(service)?;
        let states: Vec<ServiceState> = instances.iter().map(|instance| instance.state).collect();
        // One copy that does its work is enough for the service to do it.
        let order = [ServiceState::Running, ServiceState::Changing, ServiceState::Paused, ServiceState::Failed];
        Ok(order.into_iter().find(|state| states.contains(state)).unwrap_or(ServiceState::Stopped))
    }
}

pub(super) use answer::without_engine;

/// `docker`, with what it needs to find its engine. Its own messages are read, so they must be in English.
pub fn docker<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Command {
    let args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    GRANTED.iter().fold(Command::new("docker", args), |command, name| command.grant(name))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The folder of a volume, where it can be reached: not another machine's, not a virtual machine's, not the empty place of
/// something that is not mounted now.
fn folder_of(keeps: answer::Keeps) -> Option<PathBuf> {
    let (folder, must_be_mounted) = match keeps {
        answer::Keeps::Data(folder) => (folder, false),
        answer::Keeps::WhileMounted(folder) => (folder, true),
        answer::Keeps::Memory => return None,
    };
    let device = |path: &Path| path.metadata().ok().map(|facts| facts.dev());
    let is_mounted = || folder.parent().map(device) != Some(device(&folder));
    (folder.is_dir() && (!must_be_mounted || is_mounted())).then_some(folder)
}

/// Runs a program in a container, given by its id.
pub(super) fn exec_in(container: String, call: Call<'_>, owner: Option<&str>) -> Result<Exec, StackError> {
    let mark = format!("{MARK}={:016x}", crate::machine::random());
    let mut args = vec!["exec".to_owned(), format!("--env={mark}")];
    args.extend(owner.map(|owner| format!("--env={owner}")));
    args.extend(call.env.iter().map(|(name, value)| format!("--env={name}={value}")));
    if call.stdin.is_some() {
        args.push("--interactive".to_owned());
    }
    // Never `--tty`: it would turn line ends into CR LF and mix both outputs.
    args.push(container.clone());
    args.extend(call.argv.iter().map(|&word| word.to_owned()));
    let mut command = docker(&args).deadline(call.deadline);
    if let Some(source) = call.stdin {
        command = command.stdin(source);
    }
    if call.cleanup {
        command = command.even_when_interrupted();
    }
    let stream = command.stream()?;
    Ok(Exec::there(stream, Box::new(move || sweep(&container, &mark))))
}

/// Ends the programs of one call in a container. That they are gone already is as good.
fn sweep(container: &str, mark: &str) {
    let command = docker(["exec", container, "sh", "-c", SWEEP, "sweep", mark]);
    let _ = command.deadline(Duration::from_secs(20)).even_when_interrupted().run();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_compose_file_is_no_project() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Compose::find(folder.path()).is_none());
        std::fs::write(folder.path().join("compose.yml"), "services: {}\n").unwrap();
        assert!(Compose::find(folder.path()).is_some());
    }
}
