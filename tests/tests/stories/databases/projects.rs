//! The project that runs in a folder is the one that is copied, whatever it is called and whatever its files are called.

use std::fs;

use crate::harness::{Exit, Project, shell};

/// What Compose would find in the folder by itself.
const DEVELOPMENT: &str = "
services:
  web: { image: shipshape.test/app:1, command: [run, application] }
";

/// What runs.
const PRODUCTION: &str = r"
services:
  web: { image: shipshape.test/app:1, command: [run, application] }
  cache:
    image: shipshape.test/redis:8
    command: [redis-server, --repl-diskless-sync-delay, '0', --save, '']
    volumes: [data:/data]
volumes: { data: }
";

/// The folder, in which the file of production lies beside, or without, the one that Compose would find.
fn with_production(development: Option<&str>) -> Project {
    let project = Project::of(development.unwrap_or(DEVELOPMENT));
    project.write("docker-compose.prod.yml", PRODUCTION);
    if development.is_none() {
        fs::remove_file(project.app("compose.yaml")).unwrap();
    }
    project
}

/// Has this been copied?
fn copied(project: &Project, payload: &str, exit: Exit) -> bool {
    let finished = project.run("backup", &[]).exits_with(exit);
    let payloads = finished.data()["payloads"].clone();
    payloads.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == payload))
}

#[test]
fn a_project_that_was_started_from_a_file_of_another_name_is_the_one_that_is_copied() {
    for development in [None, Some(DEVELOPMENT)] {
        let project = with_production(development);
        project.compose("-f docker-compose.prod.yml up --detach --wait");
        let preview = project.run("backup", &["--dry-run"]).exits_with(Exit::Ok).data();
        assert!(preview["services"].as_str().is_some_and(|told| told.contains("docker-compose.prod.yml")), "{preview}");
        assert!(copied(&project, "cache", Exit::Ok), "the database that runs");
    }
}

#[test]
fn a_project_of_another_name_than_its_folder_s_is_the_one_that_is_copied() {
    let project = Project::of(PRODUCTION);
    fs::remove_file(project.app(".env")).unwrap();
    let link = project.path(project.name());
    std::os::unix::fs::symlink(project.path("app"), &link).unwrap();
    for folder in [link.display().to_string(), format!("{} -p {}", project.path("app").display(), project.name())] {
        let (folder, name) = folder.split_once(' ').unwrap_or((&folder, ""));
        shell(&format!("cd '{folder}' && docker compose --progress quiet {name} up --detach --wait 2>&1"));
        assert!(copied(&project, "cache", Exit::Ok), "what was started in {folder} {name}");
        shell(&format!("cd '{folder}' && docker compose --progress quiet {name} down --volumes 2>&1"));
    }
}

#[test]
fn of_two_projects_in_one_folder_none_is_guessed() {
    let project = Project::of(PRODUCTION);
    fs::remove_file(project.app(".env")).unwrap();
    let other = Project::of(DEVELOPMENT);
    for name in [project.name(), other.name()] {
        project.compose(&format!("-p {name} up --detach --wait"));
    }
    project.run("backup", &[]).exits_with(Exit::Unknown).fails_with("stack.several").hints("COMPOSE_PROJECT_NAME");
    project.write(".env", format!("COMPOSE_PROJECT_NAME={}\n", project.name()));
    assert!(copied(&project, "cache", Exit::Ok));
}

#[test]
fn a_volume_that_should_be_there_and_is_not_is_told() {
    let text = "
services:
  web:
    image: shipshape.test/app:1
    command: [run, application]
    volumes: [uploads:/app/uploads]
volumes: { uploads: }
";
    let project = Project::of(text);
    project.run("backup", &["--dry-run"]).warns_of("volume.absent");
    project.run("backup", &[]).exits_with(Exit::Warning).warns_of("volume.absent");
    project.up();
    project.backup();
}

#[test]
fn what_a_command_was_run_in_once_is_no_copy_of_its_service() {
    let project = Project::of(PRODUCTION);
    project.up();
    project.compose("run --detach cache redis-server");
    assert!(copied(&project, "cache", Exit::Ok));
}

#[test]
fn a_server_that_is_paused_is_said_to_be_paused() {
    let project = Project::of(PRODUCTION);
    project.up();
    project.compose("pause cache");
    let refused = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("database.not_running");
    refused.hints("docker compose unpause cache");
    project.compose("unpause cache");
}
