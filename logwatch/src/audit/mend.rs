//! What mends it, ready to be pasted: a file for logrotate, a `logging:` block for Compose, defaults for the engine.
//!
//! Names of files and services come from outside. One that could mean something else where it is pasted (a quote, a brace,
//! a line end) is not printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use shipshape_core::stack::compose::logs::Project;

use super::containers::Container;
use super::folders::Unrotated;

/// How many old logs are kept: two weeks of days.
const KEPT: u32 = 14;

/// The smallest and the largest size at which a container's log is rotated, in megabytes, and what it is where nothing is
/// known of its growth.
const SMALLEST: u64 = 10;
const LARGEST: u64 = 1000;
const USUAL: u64 = 50;

/// A file of rules for logrotate.
pub(super) fn logrotate(folders: &[Unrotated], name: &str) -> Option<String> {
    let blocks: String = folders.iter().filter_map(block).collect();
    if blocks.is_empty() {
        return None;
    }
    Some(format!(
        "\
# /etc/logrotate.d/{name}: rotated daily, {KEPT} kept
#
# copytruncate is right for every program, since none has to be told that its file was moved. What is written in the
# moment between copying and truncating is lost. For a program that opens its log anew on a signal, replace the line by:
#     create
#     sharedscripts
#     postrotate
#         systemctl kill --signal=USR1 UNIT
#     endscript
{blocks}"
    ))
}

fn block(folder: &Unrotated) -> Option<String> {
    let paths = if folder.is_all_of_log {
        vec![quoted(&folder.dir, "/*.log")?]
    } else {
        folder.files.iter().filter_map(|file| quoted(file, "")).collect()
    };
    if paths.is_empty() {
        return None;
    }
    let su = folder.su.as_ref().map(|(user, group)| format!("    su {user} {group}\n")).unwrap_or_default();
    Some(format!(
        "\n{} {{\n    daily\n    rotate {KEPT}\n    compress\n    delaycompress\n    missingok\n    notifempty\n    copytruncate\n{su}}}\n",
        paths.join("\n")
    ))
}

/// What is missing in the file of rules, and has to be written by somebody who knows how.
pub(super) fn unwritten(folders: &[Unrotated]) -> Vec<String> {
    let is_missing = |path: &&Path| quoted(path, "").is_none();
    let in_folder = |folder: &Unrotated| {
        if folder.is_all_of_log {
            return Some(folder.dir.as_path()).filter(is_missing).map(unwritten_note);
        }
        folder.files.iter().map(PathBuf::as_path).find(is_missing).map(unwritten_note)
    };
    folders.iter().filter_map(in_folder).collect()
}

fn unwritten_note(path: &Path) -> String {
    format!("no rule is printed for {}: its name means something to logrotate", one_line(&path.display().to_string()))
}

/// A path in quotes, if every letter of it means itself there.
fn quoted(path: &Path, behind: &str) -> Option<String> {
    let text = path.to_str()?;
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+@:,=% ".contains(letter);
    text.chars().all(is_plain).then(|| format!("\"{text}{behind}\""))
}

/// A block for the services of each project whose logs grow without end.
pub(super) fn compose(containers: &[&Container], now: DateTime<Utc>) -> Option<String> {
    let mut projects: BTreeMap<&Project, BTreeMap<String, u64>> = BTreeMap::new();
    for container in containers {
        let Some(project) = &container.project else { continue };
        let Some(key) = key(&container.logging.service) else { continue };
        let size = projects.entry(project).or_default().entry(key).or_default();
        *size = megabytes(container, now).max(*size);
    }
    let blocks: Vec<String> = projects.iter().map(|(project, services)| project_block(project, services)).collect();
    (!blocks.is_empty()).then(|| blocks.join("\n"))
}

fn project_block(project: &Project, services: &BTreeMap<String, u64>) -> String {
    let mut text = format!(
        "\
# {}: put it below the services of the compose file, then: docker compose up --detach
# The engine rotates by size and not by day: max-size is about what the service logs in a day, and {KEPT} are kept.
# A container has to be made anew for it, and the log that it has now goes with it.
services:
",
        one_line(&format!("project {} in {}", project.name, project.dir.display()))
    );
    for (service, megabytes) in services {
        let _ = write!(
            text,
            "  {service}:\n    logging:\n      driver: json-file\n      options:\n        max-size: \"{megabytes}m\"\n        \
             max-file: \"{KEPT}\"\n"
        );
    }
    text
}

/// Defaults for the engine, where there are containers that no project describes.
pub(super) fn daemon(containers: &[&Container]) -> Option<String> {
    containers.iter().any(|container| container.project.is_none()).then(|| {
        format!(
            "\
# for /etc/docker/daemon.json, then: systemctl restart docker. It holds for containers that are made from then on.
{{\"log-driver\": \"json-file\", \"log-opts\": {{\"max-size\": \"{USUAL}m\", \"max-file\": \"{KEPT}\"}}}}
"
        )
    })
}

/// About what it logs in a day, in megabytes: as much as it has logged so far, by the days that it took.
fn megabytes(container: &Container, now: DateTime<Utc>) -> u64 {
    let Some(size) = container.size else { return USUAL };
    let hours = u64::try_from((now - container.logging.created).num_hours()).unwrap_or_default().max(1);
    let a_day = (size / hours).saturating_mul(24) / 1_000_000;
    a_day.next_multiple_of(10).clamp(SMALLEST, LARGEST)
}

/// A service as a key of YAML. Compose knows no other letters in its names (compose-spec, "services").
fn key(service: &str) -> Option<String> {
    let is_name = service.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    // `on`, `no`, `1.5` and their like are no texts to YAML, unless they are quoted.
    let is_plain = service.len() > 5 && service.starts_with(|letter: char| letter.is_ascii_alphabetic());
    (is_name && !service.is_empty()).then(|| if is_plain { service.to_owned() } else { format!("\"{service}\"") })
}

/// A text for a comment, which must not become a second line.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::containers::tests::container;
    use chrono::TimeZone;

    fn folder(dir: &str, names: &[&str], is_all_of_log: bool) -> Unrotated {
        let files = names.iter().map(|name| PathBuf::from(dir).join(name)).collect();
        let su = is_all_of_log.then(|| ("www-data".to_owned(), "adm".to_owned()));
        Unrotated { dir: dir.into(), files, size: 1, is_all_of_log, su }
    }

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 20, 0, 0, 0).unwrap()
    }

    #[test]
    fn each_folder_has_a_block_and_its_owner() {
        let text = logrotate(
            &[folder("/srv/my app/logs", &["a.log"], true), folder("/srv/x", &["b.err", "c d"], false)],
            "fleet",
        );
        let text = text.unwrap();
        assert!(text.starts_with("# /etc/logrotate.d/fleet: rotated daily, 14 kept\n"));
        assert!(text.contains("\n\"/srv/my app/logs/*.log\" {\n    daily\n    rotate 14\n"), "{text}");
        assert!(text.contains("    copytruncate\n    su www-data adm\n}\n"), "{text}");
        assert!(text.contains("\n\"/srv/x/b.err\"\n\"/srv/x/c d\" {\n"), "{text}");
        assert_eq!(text.matches("    su ").count(), 1);
    }

    #[test]
    fn a_name_that_would_mean_something_else_is_not_printed() {
        for name in ["a\n}\n/etc/x {", "a\"b", "a*b", "a{b", "a\\b", "a#b", "a$b"] {
            assert_eq!(logrotate(&[folder("/srv/x", &[name], false)], "x"), None, "{name}");
            let notes = unwritten(&[folder("/srv/x", &["a.log", name], false)]);
            assert!(notes.len() == 1 && notes[0].starts_with("no rule is printed for /srv/x/a"), "{notes:?}");
            assert!(!notes[0].contains('\n'));
        }
        assert_eq!(unwritten(&[folder("/srv/{x}", &["a.log"], true), folder("/srv/x", &["a.log"], true)]).len(), 1);
        assert_eq!(key("a: b"), None);
        assert_eq!(key("a\nb"), None);
    }

    #[test]
    fn services_are_limited_to_what_they_log_in_a_day() {
        let mut busy = container(Some("application"), "json-file", &[]);
        busy.size = Some(2_340_000_000);
        let mut quiet = container(Some("no"), "json-file", &[]);
        quiet.size = Some(5_000);
        let unseen = container(Some("worker-1"), "json-file", &[]);
        let text = compose(&[&busy, &quiet, &unseen], now()).unwrap();
        assert!(text.starts_with("# project fleet in /srv/fleet: "), "{text}");
        assert!(
            text.contains(
                "\n  application:\n    logging:\n      driver: json-file\n      options:\n        max-size: \"240m\"\n"
            ),
            "{text}"
        );
        assert!(text.contains("\n  \"no\":\n"), "{text}");
        assert!(text.contains("max-size: \"10m\"") && text.contains("max-size: \"50m\""), "{text}");
        assert_eq!((text.matches("services:\n").count(), text.matches("max-file: \"14\"").count()), (1, 3));
    }

    #[test]
    fn containers_of_no_project_are_for_the_engine_to_limit() {
        let alone = container(None, "json-file", &[]);
        assert_eq!(compose(&[&alone], now()), None);
        assert!(daemon(&[&alone]).unwrap().contains("\"max-file\": \"14\""));
        assert_eq!(daemon(&[&container(Some("application"), "json-file", &[])]), None);
    }

    #[test]
    fn what_a_project_is_called_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[0m"), "a?b?[0m");
    }
}
