//! The files without which a project cannot start: its own, and those that they name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::FILE_NAMES;
use super::running::canonical;
use crate::path::clean;

/// The overrides that Compose reads by itself beside its file (docs.docker.com, "Merge Compose files").
const OVERRIDES: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// How much of a file is looked at, in bytes. A larger one describes no project.
const LIMIT: u64 = 1 << 20;

/// The keys of a Compose file that name files of this machine, but for those that the model has (compose-spec).
pub(super) const KEYS: [&str; 3] = ["env_file", "include", "extends"];

/// Files that name files that name files: so deep it is looked.
const DEPTH: usize = 8;

/// Whether the owner has said by a variable what the project is, in our environment or in the folder's `.env`.
pub(super) fn is_said(dir: &Path, variable: &str) -> bool {
    let stated = |text: String| text.lines().any(|line| value_of(line, variable).is_some());
    std::env::var_os(variable).is_some() || read(&dir.join(".env")).is_some_and(stated)
}

/// What a line of `.env` says of a variable.
pub(super) fn value_of<'l>(line: &'l str, variable: &str) -> Option<&'l str> {
    let line = line.trim();
    let value = line.strip_prefix("export ").unwrap_or(line).trim_start().strip_prefix(variable)?.strip_prefix('=')?;
    Some(value.trim_matches(['"', '\''])).filter(|value| !value.is_empty())
}

/// The files that Compose takes by itself, unless the owner has named others: the first of the usual names, and its
/// overrides.
pub(super) fn found_by_compose(dir: &Path) -> BTreeSet<PathBuf> {
    let there = |names: &[&str]| names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    [there(&FILE_NAMES), there(&OVERRIDES)].into_iter().flatten().map(|path| canonical(&path)).collect()
}

/// Every file of the project: the Compose files with their overrides, includes and extensions, `.env*`, env files, configs
/// and secrets, wherever they lie; and single files below its folder that are mounted.
///
/// What the Compose files name is found by looking at each of their words: whatever word is a file below the project's
/// folder, is taken. That needs no knowledge of every key that may name a file, now and in later versions. A word that
/// leads elsewhere may be a program of the image, so there it counts under the keys alone that are known to name files.
pub(super) fn of_project(dir: &Path, further: &[PathBuf], model: &Value) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut next: Vec<PathBuf> = FILE_NAMES.iter().chain(&OVERRIDES).map(|name| dir.join(name)).collect();
    next.extend_from_slice(further);
    next.extend(env_files(dir));
    next.extend(named_by_env(dir));
    for _ in 0..DEPTH {
        let now: Vec<PathBuf> = std::mem::take(&mut next).into_iter().filter(|path| path.is_file()).collect();
        for path in now {
            if found.insert(path.clone()) && is_yaml(&path) {
                next.extend(named_in(&path, dir).into_iter().filter(|path| path.starts_with(dir)));
                next.extend(named_under_keys(&path, dir));
            }
        }
    }
    found.extend(mounted(model).into_iter().filter(|path| path.starts_with(dir) && path.is_file()));
    found.extend(configs_and_secrets(model).into_iter().filter(|path| path.is_file()));
    found.into_iter().collect()
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
    let stated = text.lines().filter_map(|line| value_of(line, "COMPOSE_FILE"));
    stated.flat_map(|value| value.split(':')).map(|name| dir.join(name)).collect()
}

/// Words of a YAML file that are files, seen from its own folder or from the project's.
fn named_in(path: &Path, dir: &Path) -> Vec<PathBuf> {
    let text = read(path).unwrap_or_default();
    text.lines().flat_map(|line| files_in(line, path, dir)).collect()
}

/// The same, only what stands at [`KEYS`], in their line or below it.
fn named_under_keys(path: &Path, dir: &Path) -> Vec<PathBuf> {
    let text = read(path).unwrap_or_default();
    let (mut found, mut open) = (Vec::new(), None);
    for line in text.lines() {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        // `{ image: x, env_file: y }`, too: a key is a word before a colon, wherever it stands in its line.
        let rest = KEYS.iter().find_map(|key| Some(&line[after_key(line, key)?..]));
        // The items of a list may stand right below its key.
        let is_below = open.is_some_and(|above| indent > above || (indent == above && content.starts_with('-')));
        if let Some(rest) = rest {
            open = Some(indent);
            found.extend(files_in(rest, path, dir));
        } else if is_below {
            found.extend(files_in(line, path, dir));
        } else {
            open = None;
        }
    }
    found
}

/// Where the value of a key begins in a line that has it.
pub(super) fn after_key(line: &str, key: &str) -> Option<usize> {
    let ends = line.match_indices(key).map(|(at, _)| (at, at + key.len()));
    let is_word = |at: usize| line[..at].chars().next_back().is_none_or(|c| " \t{,\"'".contains(c));
    let colon = |end: usize| line[end..].trim_start_matches(['"', '\'']).starts_with(':');
    ends.filter(|(at, end)| is_word(*at) && colon(*end)).map(|(_, end)| end).next()
}

/// The words of a text that are files, seen from the folder of the YAML file that it is of, or from the project's.
fn files_in(text: &str, path: &Path, dir: &Path) -> Vec<PathBuf> {
    let words = text.split([' ', '\t', '"', '\'', ',', '[', ']', '{', '}', ':', '=']);
    let plausible = words.filter(|word| !word.is_empty() && !word.starts_with('#'));
    let bases = [path.parent().unwrap_or(dir), dir];
    plausible.flat_map(|word| bases.map(|base| clean(&base.join(word)))).filter(|found| found.is_file()).collect()
}

/// The members of a section of the model.
fn section<'m>(model: &'m Value, name: &str) -> impl Iterator<Item = &'m Value> {
    model.get(name).and_then(Value::as_object).into_iter().flatten().map(|(_, member)| member)
}

/// Files that become configs and secrets of services.
fn configs_and_secrets(model: &Value) -> Vec<PathBuf> {
    let all = ["configs", "secrets"].into_iter().flat_map(|name| section(model, name));
    all.filter_map(|stated| stated.get("file")?.as_str()).map(PathBuf::from).collect()
}

/// What services mount of this machine.
fn mounted(model: &Value) -> Vec<PathBuf> {
    let mounts = section(model, "services").filter_map(|service| service.get("volumes")?.as_array()).flatten();
    let binds = mounts.filter(|mount| mount.get("type").and_then(Value::as_str) == Some("bind"));
    binds.filter_map(|mount| mount.get("source")?.as_str()).map(PathBuf::from).collect()
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
        let found = of_project(dir, &[], &model);
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(dir).unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            [".env", "compose.yaml", "infra/base.yml", "infra/db.yml", "key.txt", "nginx.conf", "web.env"]
        );
    }

    #[test]
    fn files_elsewhere_count_where_a_key_names_them() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| elsewhere.path().join(name).display().to_string();
        let names = ["base.yml", "flow.env", "item.env", "list.env", "program", "secret"];
        for name in names {
            fs::write(at(name), "").unwrap();
        }
        let text = format!(
            "services:\n  a: {{image: x, env_file: {}}}\n  b:\n    env_file:\n    - {}\n    - path: {}\n    command: {}\n  \
             c:\n    extends: {{file: {}, service: c}}\n    entrypoint: {}\n",
            at("flow.env"),
            at("list.env"),
            at("item.env"),
            at("program"),
            at("base.yml"),
            at("program"),
        );
        fs::write(folder.path().join("compose.yaml"), text).unwrap();
        let model = json!({
            "services": {"a": {"volumes": [{"type": "bind", "source": at("program"), "target": "/x"}]}},
            "secrets": {"key": {"file": at("secret")}},
        });
        let found = of_project(folder.path(), &[], &model);
        let found: Vec<_> =
            found.iter().filter_map(|path| path.strip_prefix(elsewhere.path()).ok()?.to_str()).collect();
        assert_eq!(found, ["base.yml", "flow.env", "item.env", "list.env", "secret"]);
    }

    #[test]
    fn files_that_the_environment_file_names_make_a_project() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), "A=b\nCOMPOSE_FILE=prod.yml:extra.yml\n").unwrap();
        fs::write(folder.path().join("prod.yml"), "services: {}\n").unwrap();
        assert!(is_said(folder.path(), "COMPOSE_FILE"));
        let found = of_project(folder.path(), &[], &json!({}));
        assert!(found.contains(&folder.path().join("prod.yml")));
    }
}
