//! Which project runs in a folder. It may be another one than Compose finds there by itself: its files have other names
//! (`-f`), or the project has another (`-p`, or a folder that was reached by a link). Whoever looked only at what Compose
//! finds would copy nothing of what is alive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::StackError;
use super::super::scratch::PROJECT;
use super::docker;

/// The labels of a container that Compose has made, and its state; one array of JSON for each.
const FORMAT: &str = r#"[{{json (.Label "com.docker.compose.project")}},{{json (.Label "com.docker.compose.service")}},{{json (.Label "com.docker.compose.project.working_dir")}},{{json (.Label "com.docker.compose.project.config_files")}},{{json (.Label "com.docker.compose.oneoff")}},{{json .State}}]"#;

/// How long the engine has to say what runs. One that says nothing is found out by whoever needs it.
const DEADLINE: Duration = Duration::from_secs(20);

/// A container that Compose has made in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    project: String,
    service: String,
    /// In the order in which they override one another.
    files: Vec<PathBuf>,
    is_up: bool,
}

/// What Compose finds in the folder by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    pub(super) name: String,
    /// Whether the owner has given that name apart from all files: in the environment, or in `.env`.
    pub(super) is_named: bool,
    pub(super) files: BTreeSet<PathBuf>,
    /// Whether the owner has said which files they are.
    pub(super) are_named: bool,
    pub(super) services: BTreeSet<String>,
}

/// The project that is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name, where Compose would not come to it by itself.
    pub(super) name: Option<String>,
    /// Its files, where Compose would not find them by itself.
    pub(super) files: Vec<PathBuf>,
    /// All its services of which a container runs.
    pub(super) up: BTreeSet<String>,
}

/// The containers that were made in a folder, whatever way led there. None where there is no engine to ask: most
/// applications have none.
pub(super) fn made_in(dir: &Path) -> Vec<Made> {
    let args = ["ps", "--all", "--no-trunc", "--filter", "label=com.docker.compose.project", "--format", FORMAT];
    let output = docker(args).deadline(DEADLINE).run();
    output.map(|output| parsed(&output.text(), dir)).unwrap_or_default()
}

pub(super) fn parsed(text: &str, dir: &Path) -> Vec<Made> {
    let dir = canonical(dir);
    text.lines().filter_map(|line| one(line, &dir)).collect()
}

fn one(line: &str, dir: &Path) -> Option<Made> {
    let [project, service, folder, files, oneoff, state]: [String; 6] = serde_json::from_str(line).ok()?;
    let folder = Path::new(&folder);
    // What is run once, or only rehearses a restore, is no part of the application.
    let is_foreign = oneoff == "True" || project.starts_with(PROJECT) || canonical(folder) != dir;
    (!is_foreign).then(|| Made {
        files: files.split(',').filter(|file| !file.is_empty()).map(|file| canonical(&folder.join(file))).collect(),
        is_up: matches!(state.as_str(), "running" | "restarting" | "paused"),
        project,
        service,
    })
}

/// Without links, if it is there.
pub(super) fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Decides which project is meant. None where there is neither a description nor anything that runs.
pub(super) fn choose(dir: &Path, described: Option<&Described>, made: Vec<Made>) -> Result<Option<Choice>, StackError> {
    let mut projects: BTreeMap<String, Vec<Made>> = BTreeMap::new();
    for made in made {
        projects.entry(made.project.clone()).or_default().push(made);
    }
    let Some(name) = name(dir, described, &projects)? else {
        return Ok(described.map(|_| Choice::default()));
    };
    let made = projects.remove(&name).unwrap_or_default();
    let up = made.iter().filter(|made| made.is_up).map(|made| made.service.clone()).collect();
    let Some(files) = files(&name, described, &made)? else { return Ok(None) };
    let is_found = files.is_empty() && described.is_some_and(|described| described.name == name);
    Ok(Some(Choice { name: (!is_found).then_some(name), files, up }))
}

/// The project's name; none if nothing was ever started.
fn name(
    dir: &Path,
    described: Option<&Described>,
    projects: &BTreeMap<String, Vec<Made>>,
) -> Result<Option<String>, StackError> {
    let is_up = |name: &&String| projects.get(*name).is_some_and(|made| made.iter().any(|made| made.is_up));
    let own = described.map(|described| &described.name);
    if described.is_some_and(|described| described.is_named) {
        return Ok(own.cloned());
    }
    let mut meant: BTreeSet<&String> = projects.keys().filter(is_up).collect();
    if meant.is_empty() {
        meant = projects.keys().collect();
        // Nothing runs: Compose's own, if that was ever started.
        meant.retain(|name| own.is_none_or(|own| !projects.contains_key(own) || *name == own));
    } else {
        meant.extend(own.filter(|own| projects.contains_key(*own)));
    }
    match meant.len() {
        0 | 1 => Ok(meant.into_iter().next().cloned()),
        _ => {
            let names = meant.into_iter().cloned().collect::<Vec<_>>().join(", ");
            Err(StackError::Several { folder: dir.display().to_string(), names })
        }
    }
}

/// The project's files, empty if they are those that Compose finds by itself; none if nobody needs them.
fn files(name: &str, described: Option<&Described>, made: &[Made]) -> Result<Option<Vec<PathBuf>>, StackError> {
    let is_up = made.iter().any(|made| made.is_up);
    let sets = || made.iter().filter(|made| made.is_up == is_up).map(|made| &made.files);
    let all: BTreeSet<&PathBuf> = sets().flatten().collect();
    let stated = described
        .is_some_and(|described| described.are_named || all.iter().all(|file| described.files.contains(*file)));
    if stated {
        return Ok(Some(Vec::new()));
    }
    // Those of the container that was made from most, if the others were made from some of the same.
    let most = sets().max_by_key(|files| files.len());
    let most = most.filter(|most| all.iter().all(|file| most.contains(file)));
    match most {
        Some(most) if !most.is_empty() && most.iter().all(|file| file.is_file()) => Ok(Some(most.clone())),
        _ if described.is_some_and(|described| is_in(made, &described.services)) => Ok(Some(Vec::new())),
        _ if !is_up => Ok(described.map(|_| Vec::new())),
        _ => {
            let files = all.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
            Err(StackError::Undescribed { project: name.to_owned(), files })
        }
    }
}

/// Whether every service that runs is described.
fn is_in(made: &[Made], services: &BTreeSet<String>) -> bool {
    made.iter().filter(|made| made.is_up).all(|made| services.contains(&made.service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain;
    use std::fs;

    /// A folder with two Compose files.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().canonicalize().unwrap().join("releases");
        fs::create_dir(&dir).unwrap();
        for name in ["compose.yml", "prod.yml"] {
            fs::write(dir.join(name), "services: {}\n").unwrap();
        }
        (above, dir)
    }

    fn made(dir: &Path, project: &str, service: &str, files: &[&str], is_up: bool) -> Made {
        let files = files.iter().map(|file| dir.join(file)).collect();
        Made { project: project.to_owned(), service: service.to_owned(), files, is_up }
    }

    fn described(dir: &Path) -> Described {
        let files = BTreeSet::from([dir.join("compose.yml")]);
        let services = BTreeSet::from(["web".to_owned()]);
        Described { name: "releases".to_owned(), files, services, ..Described::default() }
    }

    /// The name and the files that are chosen apart from what Compose finds.
    fn chosen(dir: &Path, described: Option<&Described>, made: Vec<Made>) -> Option<(Option<String>, Vec<PathBuf>)> {
        choose(dir, described, made).unwrap().map(|choice| (choice.name, choice.files))
    }

    #[test]
    fn what_was_started_as_compose_finds_it_is_left_as_it_is() {
        let (_above, dir) = folder();
        let own = described(&dir);
        let up = || vec![made(&dir, "releases", "web", &["compose.yml"], true)];
        assert_eq!(chosen(&dir, Some(&own), up()), Some((None, vec![])));
        assert_eq!(chosen(&dir, Some(&own), vec![]), Some((None, vec![])));
        assert_eq!(chosen(&dir, None, vec![]), None);
        // Further files have come since: the description knows all that runs, and more.
        let more = Described { files: BTreeSet::from([dir.join("compose.yml"), dir.join("more.yml")]), ..own };
        assert_eq!(chosen(&dir, Some(&more), up()), Some((None, vec![])));
    }

    #[test]
    fn what_runs_under_another_name_or_from_other_files_is_meant() {
        let (_above, dir) = folder();
        let own = described(&dir);
        let named = vec![made(&dir, "current", "web", &["compose.yml"], true)];
        assert_eq!(chosen(&dir, Some(&own), named), Some((Some("current".to_owned()), vec![])));
        let both = ["prod.yml", "compose.yml"];
        let prod = vec![made(&dir, "releases", "db", &both, true), made(&dir, "releases", "web", &["prod.yml"], true)];
        let files: Vec<PathBuf> = both.iter().map(|file| dir.join(file)).collect();
        assert_eq!(chosen(&dir, Some(&own), prod.clone()), Some((Some("releases".to_owned()), files.clone())));
        assert_eq!(chosen(&dir, None, prod), Some((Some("releases".to_owned()), files)));
    }

    #[test]
    fn what_the_owner_has_said_apart_from_all_files_holds() {
        let (_above, dir) = folder();
        let own = Described { is_named: true, are_named: true, ..described(&dir) };
        let other = vec![made(&dir, "prod", "db", &["prod.yml"], true)];
        assert_eq!(chosen(&dir, Some(&own), other), Some((None, vec![])));
    }

    #[test]
    fn of_several_that_run_none_is_guessed() {
        let (_above, dir) = folder();
        let own = described(&dir);
        let two = |is_up| {
            vec![
                made(&dir, "releases", "web", &["compose.yml"], is_up),
                made(&dir, "prod", "web", &["compose.yml"], true),
            ]
        };
        assert_eq!(choose(&dir, Some(&own), two(true)).unwrap_err().code(), "stack.several");
        assert_eq!(choose(&dir, Some(&own), two(false)).unwrap_err().code(), "stack.several");
        let old = vec![
            made(&dir, "releases", "web", &["compose.yml"], true),
            made(&dir, "old", "web", &["compose.yml"], false),
        ];
        assert_eq!(chosen(&dir, Some(&own), old), Some((None, vec![])), "the other one does not run");
    }

    #[test]
    fn what_runs_and_nothing_describes_is_cried_out() {
        let (_above, dir) = folder();
        let own = described(&dir);
        let gone = |service, is_up| vec![made(&dir, "releases", service, &["gone.yml"], is_up)];
        assert_eq!(choose(&dir, Some(&own), gone("db", true)).unwrap_err().code(), "stack.undescribed");
        assert_eq!(choose(&dir, None, gone("db", true)).unwrap_err().code(), "stack.undescribed");
        assert_eq!(chosen(&dir, Some(&own), gone("web", true)), Some((None, vec![])), "its file has another name now");
        assert_eq!(chosen(&dir, Some(&own), gone("db", false)), Some((None, vec![])));
        assert_eq!(chosen(&dir, None, gone("db", false)), None);
    }

    #[test]
    fn containers_are_known_by_their_folder_however_it_was_reached() {
        let (above, dir) = folder();
        std::os::unix::fs::symlink(&dir, above.path().join("current")).unwrap();
        let line = |project: &str, folder: &Path, oneoff: &str| {
            let files = format!("{0}/compose.yml,{0}/prod.yml", folder.display());
            serde_json::to_string(&[project, "web", folder.to_str().unwrap(), &files, oneoff, "running"]).unwrap()
        };
        let current = above.path().join("current");
        let text = [
            line("current", &current, "False"),
            line("current", &current, "True"),
            line("shipshape-drill-1", &dir, "False"),
            line("elsewhere", above.path(), "False"),
        ];
        let expected = made(&dir, "current", "web", &["compose.yml", "prod.yml"], true);
        assert_eq!(parsed(&text.join("\n"), &dir), [expected]);
    }
}
