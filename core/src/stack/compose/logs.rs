//! What containers have logged, and how the engine keeps it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use super::super::{Instance, StackError};
use super::{Compose, answer, docker};
use crate::child::{Command, Stream};

/// How long reading a log may take: a first look at some tens of gigabytes.
const DEADLINE: Duration = Duration::from_secs(3600);

/// What is asked of each container; an object of JSON for each.
const FORMAT: &str = r#"{"id":{{json .Id}},"created":{{json .Created}},"driver":{{json .HostConfig.LogConfig.Type}},"options":{{json .HostConfig.LogConfig.Config}},"path":{{json .LogPath}}}"#;

/// What is asked of the list of all containers: as `docker compose ps` would answer it, and the project.
const ROW: &str = r#"{"ID":{{json .ID}},"Name":{{json .Names}},"Service":{{json (.Label "com.docker.compose.service")}},"State":{{json .State}},"Labels":{{json .Labels}},"Image":{{json .Image}},"Project":{{json (.Label "com.docker.compose.project")}},"Dir":{{json (.Label "com.docker.compose.project.working_dir")}}}"#;

/// A container, and how the engine keeps what it logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The service that it is a copy of.
    pub service: String,
    /// It.
    pub instance: Instance,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// What keeps its log: `json-file`, `local`, `journald`, `none`.
    pub driver: String,
    /// What that was told: `max-size`, `max-file`, `compress`.
    pub options: BTreeMap<String, String>,
    /// The file of the driver `json-file`. On the engine's machine, which need not be this one.
    pub path: Option<PathBuf>,
}

impl Logging {
    /// How people call it: `application-1`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.service, self.instance.number)
    }

    /// Whether the driver keeps nothing that could be read back. Of what others send away, the engine keeps a copy since
    /// 20.10, unless it is told not to (docs.docker.com, "Use docker logs with remote logging drivers").
    pub fn keeps_nothing(&self) -> bool {
        let has_own = matches!(self.driver.as_str(), "json-file" | "local" | "journald");
        let is_off = self.options.get("cache-disabled").is_some_and(|value| value == "true");
        self.driver == "none" || !has_own && is_off
    }
}

/// As `docker inspect` answers.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    id: String,
    created: DateTime<Utc>,
    driver: String,
    options: Option<BTreeMap<String, String>>,
    path: String,
}

/// What a row says beside what `docker compose ps` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    project: String,
    dir: String,
}

impl Compose {
    /// Every container of the project, those that are stopped too, by service and number; of several that have the same
    /// number the newest first. What was made for a single command is none.
    ///
    /// Source: `docker compose ps` and `docker inspect`, each once.
    pub fn logging(&self) -> Result<Vec<Logging>, StackError> {
        let containers = self.everything()?.into_iter().filter(|(_, _, labels)| !answer::is_once(labels));
        of(containers.map(|(service, instance, _)| (service, instance)).collect())
    }

    /// What a container has logged since then, all where no time is given: both of its streams in one, oldest first, each
    /// line behind its time. Source: `docker logs --timestamps`; a line of exactly that time is among them.
    pub fn logs(&self, container: &str, since: Option<DateTime<Utc>>) -> Result<Stream, StackError> {
        let mut args = vec!["logs".to_owned(), "--timestamps".to_owned()];
        args.extend(since.map(|since| format!("--since={}", since.to_rfc3339_opts(SecondsFormat::Nanos, true))));
        args.extend(["--".to_owned(), container.to_owned()]);
        Ok(docker(args).with_its_errors().deadline(DEADLINE).stream()?)
    }

    /// Why the log of a container cannot be read: what the engine says when it is asked for nothing of it. None if it can.
    pub fn why_no_logs(&self, container: &str) -> Option<StackError> {
        self.run(docker(["logs", "--tail=0", "--", container])).err()
    }
}

/// The Compose project that a container belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its folder, where the engine knows it.
    pub dir: PathBuf,
}

/// Every container of the engine, whoever has made it, with its project if it has one. The service of one that belongs to
/// none is its own name.
///
/// Source: `docker ps` and `docker inspect`, each once.
pub fn everywhere() -> Result<Vec<(Option<Project>, Logging)>, StackError> {
    let told = asked(docker(["ps", "--all", "--no-trunc", "--format", ROW]))?;
    let mut projects = projects(&told)?;
    let containers = answer::all(answer::containers(&told)?);
    let containers = containers.into_iter().map(|(service, instance, _)| (or_name(service, &instance), instance));
    let logging = of(containers.collect())?.into_iter();
    Ok(logging.map(|logging| (projects.remove(&logging.instance.id), logging)).collect())
}

fn or_name(service: String, instance: &Instance) -> String {
    if service.is_empty() { instance.name.clone() } else { service }
}

/// The projects of containers that have one, by the container's id.
pub(super) fn projects(told: &str) -> Result<BTreeMap<String, Project>, StackError> {
    let failed = |source| StackError::Answer { question: "docker ps", source };
    let rows = told.lines().map(|line| serde_json::from_str::<Row>(line).map_err(failed));
    let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
    let of_one = rows.into_iter().filter(|row| !row.project.is_empty());
    Ok(of_one.map(|Row { id, project, dir }| (id, Project { name: project, dir: dir.into() })).collect())
}

/// How the engine keeps what these containers log.
fn of(containers: Vec<(String, Instance)>) -> Result<Vec<Logging>, StackError> {
    if containers.is_empty() {
        return Ok(Vec::new());
    }
    let ids = containers.iter().map(|(_, instance)| instance.id.as_str());
    let told = asked(docker(["inspect", "--type=container", "--format", FORMAT, "--"].into_iter().chain(ids)))?;
    Ok(matched(containers, parsed(&told)?))
}

fn asked(question: Command) -> Result<String, StackError> {
    let output = question.run().map_err(|refused| answer::understood(refused, || "the engine's answer".to_owned()))?;
    Ok(output.text())
}

pub(super) fn parsed(text: &str) -> Result<Vec<Told>, StackError> {
    let failed = |source| StackError::Answer { question: "docker inspect", source };
    text.lines().map(|line| serde_json::from_str(line).map_err(failed)).collect()
}

/// Puts both answers together.
fn matched(containers: Vec<(String, Instance)>, told: Vec<Told>) -> Vec<Logging> {
    let mut told: BTreeMap<String, Told> = told.into_iter().map(|told| (told.id.clone(), told)).collect();
    let logging = |(service, instance): (String, Instance)| {
        let told = told.remove(&instance.id)?;
        Some(Logging {
            service,
            instance,
            created: told.created,
            driver: told.driver,
            options: told.options.unwrap_or_default(),
            path: Some(PathBuf::from(told.path)).filter(|path| path.is_absolute()),
        })
    };
    let mut all: Vec<Logging> = containers.into_iter().filter_map(logging).collect();
    all.sort_by(|one, other| {
        let place = |it: &Logging| (it.service.clone(), it.instance.number);
        place(one).cmp(&place(other)).then(other.created.cmp(&one.created))
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::ServiceState;

    fn instance(id: &str, number: u32) -> Instance {
        Instance { id: id.to_owned(), name: id.to_owned(), number, state: ServiceState::Running, origin: None }
    }

    fn answer(id: &str, created: &str, driver: &str, options: &str, path: &str) -> String {
        format!(r#"{{"id":"{id}","created":"{created}","driver":"{driver}","options":{options},"path":"{path}"}}"#)
    }

    #[test]
    fn containers_come_by_service_and_number_and_the_newest_of_one_number_first() {
        let text = [
            answer("a", "2026-11-20T12:00:00.5Z", "json-file", r#"{"max-size":"10k"}"#, "/d/a-json.log"),
            answer("b", "2026-11-20T12:00:01Z", "local", "null", ""),
            answer("c", "2026-11-20T12:00:02Z", "local", "{}", ""),
        ];
        let containers = ["a", "b", "c"].map(|id| ("app".to_owned(), instance(id, if id == "a" { 2 } else { 1 })));
        let all = matched(containers.into(), parsed(&text.join("\n")).unwrap());
        let ids: Vec<&str> = all.iter().map(|logging| logging.instance.id.as_str()).collect();
        assert_eq!(ids, ["c", "b", "a"]);
        assert_eq!((all[2].name().as_str(), all[2].options["max-size"].as_str()), ("app-2", "10k"));
        assert_eq!((all[2].path.as_deref(), all[0].path.as_ref()), (Some("/d/a-json.log".as_ref()), None));
    }

    #[test]
    fn a_driver_that_sends_away_keeps_a_copy_unless_it_is_told_not_to() {
        let keeps_nothing = |driver: &str, options: &str| {
            let told = parsed(&answer("a", "2026-11-20T12:00:00Z", driver, options, "")).unwrap();
            matched(vec![("app".to_owned(), instance("a", 1))], told)[0].keeps_nothing()
        };
        assert!(keeps_nothing("none", "{}"));
        assert!(keeps_nothing("gelf", r#"{"cache-disabled":"true"}"#));
        assert!(!keeps_nothing("gelf", "{}"));
        assert!(!keeps_nothing("json-file", r#"{"cache-disabled":"true"}"#));
    }

    #[test]
    fn a_container_of_no_project_is_called_by_its_own_name() {
        let row = |id: &str, service: &str, project: &str| {
            format!(
                r#"{{"ID":"{id}","Name":"n-{id}","Service":"{service}","State":"running","Labels":"","Image":"i","Project":"{project}","Dir":"/srv/x"}}"#
            )
        };
        let told = [row("a", "app", "fleet"), row("b", "", "")].join("\n");
        let found = projects(&told).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found["a"].name.as_str(), found["a"].dir.as_path()), ("fleet", "/srv/x".as_ref()));
        let all = answer::all(answer::containers(&told).unwrap());
        let names: Vec<String> = all.into_iter().map(|(service, instance, _)| or_name(service, &instance)).collect();
        assert_eq!(names, ["app", "n-b"]);
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        assert!(matches!(parsed("Error: no such object"), Err(StackError::Answer { .. })));
    }
}
