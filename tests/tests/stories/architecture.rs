//! The rules of the tree itself: who may depend on whom, and how long things may get.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use walkdir::WalkDir;

/// The root of the tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What cargo knows of the workspace.
fn metadata(words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(words)
        .current_dir(root())
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The packages of the workspace with the names of what they depend on.
fn members() -> Vec<(String, BTreeSet<String>)> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap().iter();
    let names = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        dependencies.iter().map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), names(package))).collect()
}

#[test]
fn a_tool_depends_on_the_core_and_never_on_another_tool() {
    let members = members();
    // What is ours by name is no tool: the core, and what is there for tests.
    let tools: Vec<_> = members.iter().filter(|(name, _)| !name.starts_with("shipshape-")).collect();
    assert!(tools.len() >= 2);
    for (tool, dependencies) in &tools {
        assert!(dependencies.contains("shipshape-core"), "{tool} stands on the core");
        for (other, _) in &tools {
            assert!(!dependencies.contains(other), "{tool} depends on {other}: tools meet in pipes and files");
        }
    }
    let (_, core) = members.iter().find(|(name, _)| name == "shipshape-core").unwrap();
    assert!(tools.iter().all(|(tool, _)| !core.contains(tool)), "the core knows no tool");
}

#[test]
fn there_is_at_most_one_provider_of_cryptography_for_tls() {
    let metadata = metadata(&[]);
    let packages = metadata["packages"].as_array().unwrap();
    let providers = ["ring", "aws-lc-rs", "openssl", "boring"];
    let found: Vec<_> = packages
        .iter()
        .filter(|package| providers.iter().any(|name| package["name"] == *name))
        .map(|package| package["name"].to_string())
        .collect();
    assert!(found.len() <= 1, "{found:?}");
}

/// Every file of ours: neither built nor fetched.
fn our_files() -> Vec<PathBuf> {
    let skipped = |name: &std::ffi::OsStr| name == "target" || name == ".git" || name == "proptest-regressions";
    let entries = WalkDir::new(root()).into_iter().filter_entry(move |entry| !skipped(entry.file_name()));
    entries.map(Result::unwrap).filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// A source file without its tests.
struct Source {
    path: PathBuf,
    lines: Vec<String>,
}

/// The sources of the tools and the core.
fn sources() -> Vec<Source> {
    let ours = our_files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let relative = ours.map(|path| path.strip_prefix(root()).unwrap().to_owned());
    let sources = relative.filter(|path| !path.starts_with("tests"));
    let whole = sources.map(|path| (fs::read_to_string(root().join(&path)).unwrap(), path));
    let untested = whole.map(|(text, path)| {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").map(str::to_owned).collect();
        Source { path, lines }
    });
    untested.filter(|source| !is_a_test(&source.path)).collect()
}

/// Whether a file is compiled for tests alone: its parent declares it so.
fn is_a_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "testing")
        || path.file_stem().is_some_and(|stem| stem == "tests" || stem == "testing" || stem == "fuzz")
}

/// The lengths of all functions, from the line with `fn` to the brace that closes it, as rustfmt indents them.
fn function_lengths(sources: &[Source]) -> Vec<(usize, String)> {
    let mut lengths = Vec::new();
    for source in sources {
        for (at, line) in source.lines.iter().enumerate() {
            let Some(indent) = function_indent(line) else { continue };
            let close = format!("{}}}", " ".repeat(indent));
            let end = source.lines[at..].iter().position(|line| {
                *line == close
                    || (line.ends_with(" }") && line.contains("fn "))
                    || line.ends_with(';') && line.starts_with(&close[..indent]) && !line[indent..].starts_with(' ')
            });
            lengths.push((end.unwrap_or_default() + 1, format!("{}:{}", source.path.display(), at + 1)));
        }
    }
    lengths.sort();
    lengths
}

/// How far a line is indented that begins a function.
fn function_indent(line: &str) -> Option<usize> {
    let text = line.trim_start();
    let begins = ["fn ", "pub fn ", "const fn ", "pub const fn "].iter().any(|start| text.starts_with(start));
    let restricted = text.starts_with("pub(")
        && text.split_once(") ").is_some_and(|(_, rest)| rest.starts_with("fn ") || rest.starts_with("const fn "));
    (begins || restricted).then_some(line.len() - text.len())
}

fn percentile(sorted: &[usize], percent: usize) -> usize {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn functions_are_short() {
    let lengths = function_lengths(&sources());
    let plain: Vec<usize> = lengths.iter().map(|(length, _)| *length).collect();
    assert!(plain.len() > 100, "they are found");
    let longest = lengths.last().unwrap();
    assert!(percentile(&plain, 50) <= 8, "the median is {}", percentile(&plain, 50));
    assert!(percentile(&plain, 90) <= 25, "nine of ten are within {}", percentile(&plain, 90));
    assert!(longest.0 <= 60, "{} has {} lines", longest.1, longest.0);
}

#[test]
fn files_are_short() {
    let sources = sources();
    let mut lengths: Vec<usize> = sources.iter().map(|source| source.lines.len()).collect();
    lengths.sort_unstable();
    assert!(percentile(&lengths, 50) <= 150, "the median is {}", percentile(&lengths, 50));
    for source in &sources {
        assert!(
            source.lines.len() <= 500,
            "{} has {} lines before its tests",
            source.path.display(),
            source.lines.len()
        );
    }
}

#[test]
fn comments_are_neither_scarce_nor_a_second_program() {
    let sources = sources();
    let lines = sources.iter().flat_map(|source| &source.lines).filter(|line| !line.trim().is_empty());
    let (comments, all) = lines
        .fold((0, 0), |(comments, all), line| (comments + usize::from(line.trim_start().starts_with("//")), all + 1));
    let percent = 100 * comments / all;
    assert!((15..=25).contains(&percent), "{percent} % of all lines are comments");
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources: BTreeSet<&str> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    assert!(
        sources.len() == 1 && sources.iter().all(|source| source.starts_with("source = \"registry+")),
        "{sources:?}"
    );
}

/// Host names in the configuration of this machine's package tools, apart from the public ones that everybody has.
fn names_of_this_machine() -> BTreeSet<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let files = [
        format!("{cargo}/config.toml"),
        format!("{cargo}/config"),
        format!("{home}/.config/pip/pip.conf"),
        format!("{home}/.pip/pip.conf"),
        "/etc/pip.conf".to_owned(),
        "/etc/apt/sources.list".to_owned(),
        "/etc/apt/sources.list.d/debian.sources".to_owned(),
        "/etc/apt/apt.conf.d/proxy.conf".to_owned(),
    ];
    let text: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let after_scheme = text.split("://").skip(1).filter_map(|rest| rest.split(['/', ':', '"', '\'', ' ', '\n']).next());
    let hosts = after_scheme.map(|host| host.rsplit('@').next().unwrap_or(host).to_owned());
    let public = ["debian", "crates", "github", "pypi", "ubuntu", "localhost"];
    hosts.filter(|host| host.contains('.') && !public.iter().any(|known| host.contains(known))).collect()
}

#[test]
fn nothing_in_the_tree_names_the_machine_it_was_written_on() {
    let names = names_of_this_machine();
    for path in our_files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for name in &names {
            assert!(!text.contains(name.as_str()), "{} names a registry of this machine", path.display());
        }
    }
}
