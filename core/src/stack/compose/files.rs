//! The files without which a project cannot start: its own, and those that they name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::FILE_NAMES;

/// The overrides that Compose reads by itself beside its file (docs.docker.com, "Merge Compose files").
const OVERRIDES: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// How much of a file is looked at, in bytes. A larger one describes no project.
const LIMIT: u64 = 1 << 20;

/// Files that name files that name files: so deep it is looked.
const DEPTH: usize = 8;

/// Whether the folder's `.env` says which files make the project.
pub(super) fn env_names_files(dir: &Path) -> bool {
    read(&dir.join(".env")).is_some_and(|text| text.lines().any(|line| line.trim().starts_with("COMPOSE_FILE=")))
}

/// Every file of the project that lies below its folder: the Compose files with their overrides, includes and extensions,
/// `.env*`, env files, configs, secrets, and single files that are mounted.
///
/// What the Compose files name is found by looking at each of their words: whatever word is a file there, is taken. That
/// needs no knowledge of every key that may name a file, now and in later versions.
pub(super) fn of_project(dir: &Path, model: &Value) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut next: Vec<PathBuf> = FILE_NAMES.iter().chain(&OVERRIDES).map(|name| dir.join(name)).collect();
    next.extend(env_files(dir));
    next.extend(named_by_env(dir));
    for _ in 0..DEPTH {
        let now: Vec<PathBuf> = std::mem::take(&mut next).into_iter().filter(|path| path.is_file()).collect();
        for path in now {
            if found.insert(path.clone()) && is_yaml(&path) {
                next.extend(named_in(&path, dir));
            }
        }
    }
    found.extend(named_by_model(model).into_iter().filter(|path| path.starts_with(dir) && path.is_file()));
    found.into_iter().filter(|path| path.starts_with(dir)).collect()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yml" || end == "yaml")
}

/// `.env` and what is called like it.
fn env_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".env"));
    named.map(|entry| entry.path()).collect()
}

/// `COMPOSE_FILE=a.yml:b.yml` in `.env`.
fn named_by_env(dir: &Path) -> Vec<PathBuf> {
    let text = read(&dir.join(".env")).unwrap_or_default();
    let stated = text.lines().filter_map(|line| line.trim().strip_prefix("COMPOSE_FILE="));
    stated.flat_map(|value| value.trim_matches(['"', '\'']).split(':')).map(|name| dir.join(name)).collect()
}

/// Words of a YAML file that are files, seen from its own folder or from the project's.
fn named_in(path: &Path, dir: &Path) -> Vec<PathBuf> {
    let text = read(path).unwrap_or_default();
    let words = text.lines().flat_map(|line| line.split([' ', '\t', '"', '\'', ',', '[', ']', '{', '}', ':', '=']));
    let plausible = words.filter(|word| !word.is_empty() && !word.starts_with('#'));
    let bases = [path.parent().unwrap_or(dir), dir];
    plausible.flat_map(|word| bases.map(|base| clean(&base.join(word)))).filter(|found| found.is_file()).collect()
}

/// Files that the model names: configs and secrets, and single files that are mounted.
fn named_by_model(model: &Value) -> Vec<PathBuf> {
    let section = |name: &str| model.get(name).and_then(Value::as_object).into_iter().flatten();
    let files =
        ["configs", "secrets"].into_iter().flat_map(section).filter_map(|(_, stated)| stated.get("file")?.as_str());
    let mounts = section("services").filter_map(|(_, service)| service.get("volumes")?.as_array()).flatten();
    let binds = mounts.filter(|mount| mount.get("type").and_then(Value::as_str) == Some("bind"));
    let sources = binds.filter_map(|mount| mount.get("source")?.as_str());
    files.chain(sources).map(PathBuf::from).collect()
}

fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(cleaned.pop()),
            other => cleaned.push(other),
        }
    }
    cleaned
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_a_compose_file_names_is_needed_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::create_dir_all(dir.join("infra")).unwrap();
        for (name, text) in [
            ("compose.yaml", "include:\n  - infra/db.yml\nservices:\n  web: {image: x, env_file: [\"web.env\"]}\n"),
            ("infra/db.yml", "services:\n  db:\n    extends:\n      file: ./base.yml\n"),
            ("infra/base.yml", "services: {}\n"),
            ("web.env", ""),
            (".env", ""),
            ("key.txt", ""),
            ("nginx.conf", ""),
            ("notes.md", ""),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let mount = |name: &str| json!({"type": "bind", "source": dir.join(name), "target": "/x"});
        let model = json!({
            "services": {"web": {"volumes": [mount("nginx.conf"), mount("infra")]}},
            "secrets": {"key": {"file": dir.join("key.txt")}},
        });
        let found = of_project(dir, &model);
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(dir).unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            [".env", "compose.yaml", "infra/base.yml", "infra/db.yml", "key.txt", "nginx.conf", "web.env"]
        );
    }

    #[test]
    fn files_that_the_environment_file_names_make_a_project() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), "A=b\nCOMPOSE_FILE=prod.yml:extra.yml\n").unwrap();
        fs::write(folder.path().join("prod.yml"), "services: {}\n").unwrap();
        assert!(env_names_files(folder.path()));
        let found = of_project(folder.path(), &json!({}));
        assert!(found.contains(&folder.path().join("prod.yml")));
    }
}
