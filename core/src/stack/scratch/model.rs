//! What a service for the moment is made of: what makes its program run as it does, and nothing by which it could meet
//! anything live. Pure.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::MARK;
use super::lease::MACHINE;
use crate::machine;

/// What is taken of a service's description (compose-spec, "services"). Left out are ports, data volumes, networks,
/// `container_name`, `depends_on`, `restart`, `deploy`, and all else by which containers meet or outlive each other.
const TAKEN: [&str; 14] = [
    "command",
    "configs",
    "entrypoint",
    "environment",
    "healthcheck",
    "init",
    "platform",
    "secrets",
    "shm_size",
    "stop_signal",
    "tmpfs",
    "ulimits",
    "user",
    "working_dir",
];

/// The files of a machine that say which time it is there.
pub const CLOCK: [&str; 2] = ["/etc/localtime", "/etc/timezone"];

/// A service that is wanted for the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub service: String,
    /// Its image.
    pub image: String,
    /// What its environment must have.
    pub variables: Vec<Variable>,
}

/// A variable that a service for the moment needs, where its description does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// The names of others that do as well.
    pub unless: &'static [&'static str],
    /// The names of others that would get in its way, and are left out.
    pub instead_of: &'static [&'static str],
}

/// The description of a project for the moment, as Compose reads it.
///
/// Of what the services have mounted only what lies below `private` is taken: nothing of this machine's own.
pub(super) fn of(name: &str, mark: &str, private: &Path, description: Option<&Value>, parts: &[Part]) -> Value {
    let labels = json!({MARK: mark, MACHINE: machine::host_name()});
    let stated = |part: &Part| description?.get("services")?.get(&part.service);
    let services: Map<String, Value> =
        parts.iter().map(|part| (part.service.clone(), service(part, stated(part), private, &labels))).collect();
    let mut model = json!({
        "name": name,
        "services": services,
        "networks": {"default": {"internal": true, "labels": labels}},
    });
    for section in ["secrets", "configs"] {
        if let Some(stated) = description.and_then(|description| description.get(section)) {
            model[section] = without_names(stated);
        }
    }
    model
}

fn service(part: &Part, stated: Option<&Value>, private: &Path, labels: &Value) -> Value {
    let mut made =
        json!({"image": part.image, "labels": labels, "pull_policy": "never", "networks": {"default": null}});
    for (key, value) in stated.and_then(Value::as_object).into_iter().flatten() {
        if TAKEN.contains(&key.as_str()) && !value.is_null() {
            made[key] = value.clone();
        }
    }
    for variable in &part.variables {
        complete(&mut made["environment"], variable);
    }
    let mounts = stated.and_then(|stated| stated.get("volumes")).and_then(Value::as_array).into_iter().flatten();
    let taken: Vec<Value> = mounts.filter(|mount| is_below(mount, private)).map(read_only).collect();
    if !taken.is_empty() {
        made["volumes"] = Value::Array(taken);
    }
    made
}

/// Adds a variable, where none of those that do as well has a value.
fn complete(environment: &mut Value, variable: &Variable) {
    if environment.is_null() {
        *environment = json!({});
    }
    let Some(stated) = environment.as_object_mut() else { return };
    variable.instead_of.iter().for_each(|name| drop(stated.remove(*name)));
    let has = |name: &str| stated.get(name).is_some_and(|value| value.as_str().is_none_or(|text| !text.is_empty()));
    if !has(variable.name) && !variable.unless.iter().any(|name| has(name)) {
        // A dollar would be taken for the beginning of another variable.
        stated.insert(variable.name.to_owned(), json!(variable.value.replace('$', "$$")));
    }
}

/// A file or folder that lies in a private folder, links followed; never a volume or a socket. What tells the time here
/// is the same everywhere.
fn is_below(mount: &Value, private: &Path) -> bool {
    let text = |name: &str| mount.get(name).and_then(Value::as_str);
    let Some(source) = text("source").map(|source| source.replace("$$", "$")) else { return false };
    let Ok(real) = Path::new(&source).canonicalize() else { return false };
    let is_inside = || private.canonicalize().is_ok_and(|private| real.starts_with(private));
    text("type") == Some("bind")
        && (real.is_file() || real.is_dir())
        && (CLOCK.contains(&source.as_str()) || is_inside())
}

fn read_only(mount: &Value) -> Value {
    let mut mount = mount.clone();
    mount["read_only"] = json!(true);
    mount
}

/// Secrets and configs without the names that the engine would know them by: those are the live project's. External ones
/// are not to be had here.
fn without_names(stated: &Value) -> Value {
    let kept = stated.as_object().into_iter().flatten().filter(|(_, value)| value.get("external").is_none());
    let unnamed = kept.map(|(name, value)| {
        let mut value = value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("name");
        }
        (name.clone(), value)
    });
    Value::Object(unnamed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(service: &str) -> Part {
        Part { service: service.to_owned(), image: "mariadb:11.8".to_owned(), variables: Vec::new() }
    }

    const PASSWORD: Variable =
        Variable { name: "ROOT", value: String::new(), unless: &["ROOT_FILE"], instead_of: &["RANDOM"] };

    #[test]
    fn a_variable_is_added_only_where_nothing_does_as_well() {
        let with = |environment: Value| {
            let description = json!({"services": {"database": {"environment": environment}}});
            let variables = vec![Variable { value: "a$b".to_owned(), ..PASSWORD }];
            let made =
                of("p", "m", Path::new("/nowhere"), Some(&description), &[Part { variables, ..part("database") }]);
            made["services"]["database"]["environment"].clone()
        };
        assert_eq!(with(Value::Null), json!({"ROOT": "a$$b"}));
        assert_eq!(with(json!({"ROOT": "x"})), json!({"ROOT": "x"}));
        assert_eq!(with(json!({"ROOT_FILE": "/run/x"})), json!({"ROOT_FILE": "/run/x"}));
        assert_eq!(with(json!({"ROOT": "", "RANDOM": "1"})), json!({"ROOT": "a$$b"}));
    }

    #[test]
    fn nothing_is_taken_by_which_it_could_meet_what_is_live() {
        let (file, private) = (tempfile::NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
        let (inside, folder, out) =
            (private.path().join("my.cnf"), private.path().join("conf.d"), private.path().join("out"));
        std::fs::write(&inside, "").unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink("/etc", &out).unwrap();
        let description = json!({
            "services": {
                "database": {
                    "image": "mariadb:12", "container_name": "db", "ports": [{"target": 3306, "published": "3306"}],
                    "networks": {"back": null}, "depends_on": {"x": {}}, "restart": "always", "deploy": {"replicas": 2},
                    "privileged": true, "network_mode": "host", "pid": "host", "extra_hosts": ["a=1.2.3.4"],
                    "command": ["mariadbd", "--sql-mode=A"], "environment": {"P": "a$$b"}, "entrypoint": null,
                    "volumes": [
                        {"type": "volume", "source": "data", "target": "/var/lib/mysql"},
                        {"type": "bind", "source": "/etc", "target": "/x"},
                        {"type": "bind", "source": "/var/run/docker.sock", "target": "/s"},
                        {"type": "bind", "source": file.path(), "target": "/etc/hosts.cnf"},
                        {"type": "bind", "source": out, "target": "/y"},
                        {"type": "bind", "source": inside, "target": "/etc/my.cnf"},
                        {"type": "bind", "source": folder, "target": "/etc/mysql/conf.d"}
                    ]
                },
                "web": {"image": "nginx"}
            },
            "networks": {"back": {"external": true}},
            "volumes": {"data": {"external": true}},
            "secrets": {"pw": {"name": "fleet_pw", "file": "/x"}, "far": {"external": true}}
        });
        let made = of("shipshape-drill-1", "/lease/lock", private.path(), Some(&description), &[part("database")]);
        let database = &made["services"]["database"];
        let keys: Vec<&str> = database.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["command", "environment", "image", "labels", "networks", "pull_policy", "volumes"],
            "and nothing else"
        );
        assert_eq!(database["image"], "mariadb:11.8", "the image that was recorded");
        let mounts = database["volumes"].as_array().unwrap();
        let targets: Vec<&str> = mounts.iter().filter_map(|mount| mount["target"].as_str()).collect();
        assert_eq!(targets, ["/etc/my.cnf", "/etc/mysql/conf.d"], "only what is private");
        assert!(mounts.iter().all(|mount| mount["read_only"] == true));
        assert_eq!(made["services"].as_object().unwrap().len(), 1);
        assert_eq!(made["networks"]["default"]["internal"], true);
        assert_eq!(made["secrets"], json!({"pw": {"file": "/x"}}));
        assert!(made.get("volumes").is_none());
    }

    #[test]
    fn an_image_alone_is_enough() {
        let made = of("p", "m", Path::new("/nowhere"), None, &[part("cache")]);
        assert_eq!(made["services"]["cache"]["image"], "mariadb:11.8");
        assert_eq!(made["services"]["cache"]["labels"][MARK], "m");
    }
}
