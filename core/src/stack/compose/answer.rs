//! What `docker` and `docker compose` answer, understood. Pure: text in, facts out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::{Instance, Mount, MountSource, Service, ServiceState, StackError, Volume};
use crate::child::ChildError;

/// The label that counts the copies of a service (`com.docker.compose.*`, Compose's own).
const NUMBER_LABEL: &str = "com.docker.compose.container-number";

/// The label of one that was made for a single command, by `docker compose run`.
const ONCE: &str = "com.docker.compose.oneoff=True";

/// A container, as `docker compose ps` tells.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    service: String,
    state: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    labels: String,
}

/// An array up to Compose 2.20, a line for each container since 2.21.
pub(super) fn containers(text: &str) -> Result<Vec<Container>, StackError> {
    let question = "docker compose ps --format json";
    let failed = |source| StackError::Answer { question, source };
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(failed);
    }
    text.lines().map(|line| serde_json::from_str(line).map_err(failed)).collect()
}

/// The copies of one service, by their numbers. What was made for a single command is none.
pub(super) fn instances(containers: Vec<Container>, service: &str) -> Vec<Instance> {
    let is_one = |container: &Container| container.service == service && !is_once(&container.labels);
    let ours = containers.into_iter().filter(is_one);
    let mut instances: Vec<Instance> = ours.map(instance).collect();
    instances.sort_by_key(|instance| instance.number);
    instances
}

/// All of them, with the names of their services and their labels.
pub(super) fn all(containers: Vec<Container>) -> Vec<(String, Instance, String)> {
    let told = |container: Container| {
        let (service, labels) = (container.service.clone(), container.labels.clone());
        (service, instance(container), labels)
    };
    containers.into_iter().map(told).collect()
}

/// Whether labels, in one text, are those of a container that was made for a single command.
pub(super) fn is_once(labels: &str) -> bool {
    labels.split(',').any(|label| label == ONCE)
}

fn instance(container: Container) -> Instance {
    let Container { id, name, state, exit_code, image, labels, .. } = container;
    // Labels come as `name=value,name=value`; a comma in another one's value does no harm here.
    let number = labels.split(',').find_map(|label| label.strip_prefix(NUMBER_LABEL)?.strip_prefix('='));
    let by_name = || name.rsplit(['-', '_']).next().and_then(|end| end.parse().ok());
    let number = number.and_then(|number| number.parse().ok()).or_else(by_name).unwrap_or(1);
    let state = match state.as_str() {
        "running" => ServiceState::Running,
        "restarting" | "removing" => ServiceState::Changing,
        "paused" => ServiceState::Paused,
        "dead" => ServiceState::Failed,
        // 128+15 and 128+9 are how a stopped container ends when its program does not mind the signal itself.
        "exited" if !matches!(exit_code, 0 | 137 | 143) => ServiceState::Failed,
        _ => ServiceState::Stopped,
    };
    Instance { id, name, number, state, origin: image }
}

/// The time that a container has to end, where its owner says nothing (docs.docker.com, "docker container stop").
pub(super) const USUAL_GRACE: Duration = Duration::from_secs(10);

/// One that may take as long as it likes is not waited for any longer.
pub(super) const LONGEST_GRACE: Duration = Duration::from_secs(24 * 3600);

/// The longest time that containers have to end; each stands in a line, in seconds.
pub(super) fn grace(text: &str) -> Duration {
    let one = |line: &str| match line.trim().parse::<i64>() {
        Ok(seconds) => u64::try_from(seconds).map_or(LONGEST_GRACE, Duration::from_secs).min(LONGEST_GRACE),
        Err(_) => USUAL_GRACE,
    };
    text.lines().map(one).max().unwrap_or(USUAL_GRACE)
}

/// A service of the model.
pub(super) fn service<'m>(model: &'m Value, name: &str) -> Option<&'m Value> {
    model.get("services")?.get(name)
}

/// All services of the model.
pub(super) fn services(model: &Value) -> Vec<Service> {
    let services = model.get("services").and_then(Value::as_object);
    let project = model.get("name").and_then(Value::as_str).unwrap_or_default();
    services.into_iter().flatten().map(|(name, stated)| one_service(model, project, name, stated)).collect()
}

fn one_service(model: &Value, project: &str, name: &str, stated: &Value) -> Service {
    let image = stated.get("image").and_then(Value::as_str).map(str::to_owned);
    // What is built here is called after project and service (compose-spec, "build").
    let built = stated.get("build").filter(|build| !build.is_null()).map(|_| format!("{project}-{name}"));
    Service {
        name: name.to_owned(),
        built: image.is_none() && built.is_some(),
        origin: image.or(built),
        labels: labels(stated),
        mounts: stated.get("volumes").and_then(Value::as_array).into_iter().flatten().filter_map(mount).collect(),
        command: words(stated.get("command")),
        optional: stated.get("profiles").and_then(Value::as_array).is_some_and(|profiles| !profiles.is_empty()),
        ports: super::ports::of(model, stated),
    }
}

fn labels(stated: &Value) -> BTreeMap<String, String> {
    let labels = stated.get("labels").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    labels.into_iter().flatten().map(|(name, value)| (name.clone(), undoubled(&text(value)))).collect()
}

/// A list of words, or one text. Compose doubles the dollars that are none of its own.
fn words(stated: Option<&Value>) -> Vec<String> {
    match stated {
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(undoubled).collect(),
        Some(Value::String(text)) => text.split_whitespace().map(undoubled).collect(),
        _ => Vec::new(),
    }
}

fn undoubled(text: &str) -> String {
    text.replace("$$", "$")
}

fn mount(stated: &Value) -> Option<Mount> {
    let text = |name: &str| stated.get(name).and_then(Value::as_str);
    let source = match (text("type")?, text("source")) {
        ("volume", Some(name)) if !name.is_empty() => MountSource::Volume(name.to_owned()),
        ("volume", _) => MountSource::Anonymous,
        ("bind", Some(path)) => MountSource::Path(PathBuf::from(undoubled(path))),
        _ => MountSource::Nothing,
    };
    let read_only = stated.get("read_only").and_then(Value::as_bool).unwrap_or_default();
    Some(Mount { source, target: PathBuf::from(text("target")?), read_only })
}

/// The named volumes of the model.
pub(super) fn volumes(model: &Value) -> Vec<Volume> {
    let project = model.get("name").and_then(Value::as_str).unwrap_or_default();
    let volumes = model.get("volumes").and_then(Value::as_object);
    let full_name = |name: &str, stated: &Value| {
        stated.get("name").and_then(Value::as_str).map_or_else(|| format!("{project}_{name}"), str::to_owned)
    };
    let volume = |(name, stated): (&String, &Value)| Volume {
        name: name.clone(),
        full_name: full_name(name, stated),
        exists: false,
        in_memory: false,
        folder: None,
    };
    volumes.into_iter().flatten().map(volume).collect()
}

/// A volume, as `docker volume inspect` tells.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    name: String,
    driver: String,
    mountpoint: PathBuf,
    options: Option<BTreeMap<String, String>>,
}

/// What is at the place of a volume.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Its content, always.
    Data(PathBuf),
    /// Its content, but only while a service that mounts it runs: else an empty folder.
    WhileMounted(PathBuf),
    /// Nothing that lasts.
    Memory,
}

pub(super) fn inspected(text: &str) -> Result<Vec<Inspected>, StackError> {
    serde_json::from_str(text).map_err(|source| StackError::Answer { question: "docker volume inspect", source })
}

impl Inspected {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The driver `local` takes the options of mount(8): a folder elsewhere, a file system of another machine, memory.
    pub(super) fn keeps(&self) -> Keeps {
        let option = |name: &str| self.options.as_ref().and_then(|options| options.get(name)).map(String::as_str);
        let is_bind = option("o").is_some_and(|o| o.split(',').any(|word| matches!(word, "bind" | "rbind")));
        match (self.driver.as_str(), option("type"), option("device")) {
            ("local", Some("tmpfs"), _) => Keeps::Memory,
            ("local", _, Some(device)) if is_bind => Keeps::Data(device.into()),
            ("local", Some(_), _) | ("local", _, Some(_)) => Keeps::WhileMounted(self.mountpoint.clone()),
            _ => Keeps::Data(self.mountpoint.clone()),
        }
    }
}

/// What it means when `docker` or `docker compose` fails: an engine that is not there, a file that is wrong, or what its
/// program says itself.
pub(super) fn understood(refused: ChildError, file: impl Fn() -> String) -> StackError {
    let ChildError::Failed { stderr, .. } = &refused else { return refused.into() };
    if let Some(gone) = without_engine(stderr) {
        return gone;
    }
    let why = last_line(stderr);
    let lower = stderr.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&[
        "'compose' is not a docker command",
        "unknown command: docker compose",
        "unknown shorthand flag",
        "unknown flag: --profile",
    ]) {
        StackError::NoAnswer { manager: "Compose plugin of Docker (docker compose, version 2)", why }
    } else if has(&[
        "yaml:",
        "validating ",
        "invalid interpolation",
        "no configuration file provided",
        "env file ",
        "no such file or directory",
        "undefined volume",
        "undefined network",
        "depends on undefined",
        "required variable",
        "additional propert",
        "must be a",
        "invalid compose project",
        "has neither an image nor a build",
        "parsing ",
        "failed to load",
    ]) {
        StackError::Invalid { file: file(), why }
    } else {
        refused.into()
    }
}

/// What `docker` says where there is no engine that it could ask.
pub(in super::super) fn without_engine(stderr: &str) -> Option<StackError> {
    let lower = stderr.to_lowercase();
    let words = [
        "cannot connect to the docker daemon",
        "is the docker daemon running",
        "error during connect",
        "permission denied while trying to connect",
    ];
    let is_gone = words.iter().any(|word| lower.contains(word));
    is_gone.then(|| StackError::NoAnswer { manager: "Docker engine", why: last_line(stderr) })
}

/// The last line that says something.
fn last_line(stderr: &str) -> String {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("time="));
    lines.next_back().unwrap_or("it says nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain;
    use serde_json::json;

    fn model() -> Value {
        json!({
            "name": "fleet",
            "services": {
                "database": {
                    "image": "mariadb:11.8",
                    "command": ["mariadbd", "--init-connect=set a='$$b'"],
                    "labels": {"shipshape.kind": "mariadb", "n": 5},
                    "volumes": [
                        {"type": "volume", "source": "data", "target": "/var/lib/mysql", "volume": {}},
                        {"type": "bind", "source": "/srv/fleet/my.cnf", "target": "/etc/my.cnf", "read_only": true},
                        {"type": "tmpfs", "target": "/tmp"},
                        {"type": "volume", "target": "/cache"}
                    ]
                },
                "web": {"build": {"context": "."}, "profiles": ["extra"]}
            },
            "volumes": {"data": {"name": "fleet_data"}, "old": null}
        })
    }

    #[test]
    fn a_service_is_what_compose_makes_of_it() {
        let services = services(&model());
        let database = &services[0];
        assert_eq!(database.origin.as_deref(), Some("mariadb:11.8"));
        assert_eq!(database.command[1], "--init-connect=set a='$b'");
        assert_eq!(database.labels["n"], "5");
        let sources: Vec<&MountSource> = database.mounts.iter().map(|mount| &mount.source).collect();
        let path = MountSource::Path("/srv/fleet/my.cnf".into());
        let volume = MountSource::Volume("data".to_owned());
        assert_eq!(sources, [&volume, &path, &MountSource::Nothing, &MountSource::Anonymous]);
        assert!(database.mounts[1].read_only && !database.optional);
        assert_eq!((services[1].origin.as_deref(), services[1].optional), (Some("fleet-web"), true));
        assert!(services[1].built && !database.built);
    }

    #[test]
    fn a_volume_has_the_name_that_the_machine_knows() {
        let names: Vec<String> = volumes(&model()).into_iter().map(|volume| volume.full_name).collect();
        assert_eq!(names, ["fleet_data", "fleet_old"]);
    }

    #[test]
    fn a_volume_that_is_a_mount_of_its_own_is_told_from_a_folder() {
        let volume = |options: &str| {
            let text = format!(
                r#"[{{"Name":"v","Driver":"local","Mountpoint":"/var/lib/docker/volumes/v/_data","Options":{options}}}]"#
            );
            inspected(&text).unwrap()[0].keeps()
        };
        let place = PathBuf::from("/var/lib/docker/volumes/v/_data");
        assert_eq!(volume("null"), Keeps::Data(place.clone()));
        assert_eq!(volume(r#"{"type":"none","o":"bind,rw","device":"/srv/v"}"#), Keeps::Data("/srv/v".into()));
        assert_eq!(volume(r#"{"type":"nfs","o":"addr=10.0.0.2","device":":/v"}"#), Keeps::WhileMounted(place));
        assert_eq!(volume(r#"{"type":"tmpfs","device":"tmpfs"}"#), Keeps::Memory);
    }

    const ONE: &str = r#"{"ID":"a","Name":"fleet-web-2","Service":"web","State":"running","ExitCode":0,"Image":"x","Labels":"com.docker.compose.container-number=2,a=b"}"#;
    const TWO: &str = r#"{"ID":"b","Name":"fleet-web-1","Service":"web","State":"exited","ExitCode":1}"#;

    #[test]
    fn containers_come_as_an_array_or_line_by_line() {
        for text in [format!("[{ONE},{TWO}]"), format!("{ONE}\n{TWO}\n")] {
            let found = instances(containers(&text).unwrap(), "web");
            let facts: Vec<(u32, ServiceState)> = found.iter().map(|found| (found.number, found.state)).collect();
            assert_eq!(facts, [(1, ServiceState::Failed), (2, ServiceState::Running)]);
        }
        assert!(containers("").unwrap().is_empty());
        assert_eq!(containers("oops").unwrap_err().code(), "stack.answer");
    }

    #[test]
    fn what_was_made_for_a_single_command_is_no_copy_of_its_service() {
        let once = ONE.replace("a=b", "com.docker.compose.oneoff=True").replace("\"a\"", "\"c\"");
        let found = instances(containers(&format!("{ONE}\n{once}\n")).unwrap(), "web");
        assert_eq!(found.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_container_that_may_take_longest_to_end_counts() {
        assert_eq!(grace("null\n300\n20\n"), Duration::from_secs(300));
        assert_eq!((grace("null\n"), grace("-1\n")), (USUAL_GRACE, LONGEST_GRACE));
    }

    #[test]
    fn a_service_that_is_paused_was_not_stopped() {
        let paused = ONE.replace("running", "paused");
        assert_eq!(instances(containers(&paused).unwrap(), "web")[0].state, ServiceState::Paused);
    }

    #[test]
    fn an_engine_that_is_not_there_is_no_defect_of_the_file() {
        use std::os::unix::process::ExitStatusExt;
        let failed = |stderr: &str| ChildError::Failed {
            program: "docker".to_owned(),
            status: std::process::ExitStatus::from_raw(256),
            stderr: stderr.to_owned(),
        };
        let code = |stderr: &str| understood(failed(stderr), || "compose.yaml".to_owned()).code();
        assert_eq!(
            code("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?\n"),
            "stack.no_answer"
        );
        assert_eq!(code("docker: 'compose' is not a docker command.\n"), "stack.no_answer");
        assert_eq!(code("yaml: line 3: did not find expected key\n"), "stack.invalid");
        assert_eq!(code("something else\n"), "child.failed");
    }
}
