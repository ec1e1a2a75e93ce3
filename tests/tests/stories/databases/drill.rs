//! Rehearsals: everything comes back where nothing is live, is compared, timed, and removed again.

use std::fs;
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::harness::{Exit, Host, Mount, Project, shell};

/// What is left of rehearsals of a project: containers and networks by their mark, which is the path of a lock, and
/// folders.
fn left(project: &Project) -> String {
    let mark = "{{.Label \"shipshape.scratch\"}}".to_string();
    let state = project.path("state").display().to_string();
    let listed = shell(&format!(
        "(docker ps -a --format '{mark}'; docker network ls --format '{mark}') | grep -F '{state}' || true; \
         find '{state}/drill' -mindepth 1 2>/dev/null || true"
    ));
    listed.trim().to_owned()
}

fn containers(project: &Project) -> String {
    shell(&format!("docker ps -a --no-trunc --filter label=com.docker.compose.project={} -q | sort", project.name()))
}

const CHECKS: &str = r#"
[[restore.drill.check]]
sql = "select count(*) from orders"
min = 1

[[restore.drill.check]]
database = "fleetbase"
sql = "select max(id) from vehicles"
equals = "EQUALS"
"#;

#[test]
fn a_backup_piped_into_a_drill_proves_itself_and_leaves_nothing() {
    let fleet = Project::seeded("fleet");
    let highest = fleet.sql("database", "SELECT MAX(id) FROM vehicles");
    fleet.configure("", &CHECKS.replace("EQUALS", &highest));
    let (live, volumes) = (containers(&fleet), shell("docker volume ls -q | sort"));

    let drill = fleet.sh("backup | restore drill -").exits_with(Exit::Ok);

    let data = drill.data();
    assert!(data["recovery_s"].as_f64().unwrap() > 0.0, "{drill}");
    assert_eq!((&data["whole"], &data["settings"]), (&true.into(), &"snapshot".into()), "{drill}");
    let parts = data["parts"].as_array().unwrap();
    let part = |name: &str| parts.iter().find(|part| part["name"] == name).unwrap();
    assert_eq!(part("fleetbase")["rows"], 1006, "{drill}");
    assert_eq!(part("cache")["keys"], 9, "{drill}");
    assert!(part("files")["files"].as_u64().unwrap() > 5 && part("files")["seconds"].is_number(), "{drill}");
    assert!(data["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true), "{drill}");
    assert_eq!(left(&fleet), "");
    assert_eq!(containers(&fleet), live, "what is live was left alone");
    let ours = |text: &str| text.lines().filter(|line| line.contains(fleet.name())).count();
    assert_eq!(ours(&shell("docker volume ls -q | sort")), ours(&volumes));
    assert!(fleet.path("state/reports/restore-drill-site.json").exists());
    assert!(!fleet.path("state/reports/restore-site.json").exists(), "a rehearsal is no restore");

    fleet.configure("", &CHECKS.replace("EQUALS", "0"));
    let told = fleet.run("restore", &["drill", "--format", "text"]).exits_with(Exit::Critical).stdout();
    assert!(told.contains(&format!("different: select max(id) from vehicles: \"{highest}\" is not \"0\"\n")), "{told}");
    assert!(told.contains("recovered in ") && told.contains("select count(*) from orders is "), "{told}");
}

#[test]
fn a_drill_that_finds_fewer_rows_than_the_manifest_says_which_and_how_many() {
    let fleet = Project::seeded("fleet");
    fleet.configure("encryption = \"none\"", "");
    let snapshot = fleet.backup();
    let manifest = fleet.stored(&format!("snapshots/{snapshot}/manifest.json"));
    let text = fs::read_to_string(&manifest).unwrap();
    let rows = fleet.sql("database", "SELECT COUNT(*) FROM orders");
    let forged = text.replace(&format!("\"orders\":{rows}"), "\"orders\":9999");
    assert_ne!(forged, text);
    let (begin, end) = (forged.find(":{").unwrap() + 1, forged.rfind(",\"sha256\"").unwrap());
    let hash = Sha256::digest(&forged.as_bytes()[begin..end]);
    let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    fs::write(&manifest, format!("{},\"sha256\":\"{hash}\"}}", &forged[..end])).unwrap();

    let drill = fleet.run("restore", &["drill"]).exits_with(Exit::Critical);

    let told = drill.data()["differences"].to_string();
    assert!(told.contains(&format!("orders has {rows} rows instead of 9999")), "{drill}");
    assert_eq!(left(&fleet), "");
}

#[test]
fn postgresql_is_rehearsed_with_its_roles_and_needs_the_identity_that_is_lent_for_one_run() {
    let project = Project::seeded("postgres");
    let check = "[[restore.drill.check]]\ndatabase = \"freight\"\nsql = \"select 1; -- one\"\nequals = \"1\"\n";
    project.configure("", check);
    project.backup();
    let (here, away) = (project.etc("identity.txt"), project.etc("away.txt"));
    fs::rename(&here, &away).unwrap();
    let gone = project.run("restore", &["drill"]).exits_with(Exit::Unknown).fails_with("drill.no_identity");
    gone.says("is not there").hints("lend it for one run: restore drill --identity");
    fs::rename(&away, &here).unwrap();
    let config = fs::read_to_string(project.etc("shipshape.toml")).unwrap();
    let without: Vec<&str> = config.lines().filter(|line| !line.starts_with("identity_file")).collect();
    fs::write(project.etc("shipshape.toml"), without.join("\n") + "\n").unwrap();

    project
        .run("restore", &["drill"])
        .exits_with(Exit::Unknown)
        .fails_with("drill.no_identity")
        .hints("lend it for one run: restore drill --identity");

    let identity = project.etc("identity.txt").display().to_string();
    let lent = project.sh(&format!("restore drill --identity <(cat '{identity}')")).exits_with(Exit::Ok);
    let data = lent.data();
    let part = |name: &str| data["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap().clone();
    assert!(part("database-globals")["roles"].as_u64().unwrap() >= 2, "{lent}");
    assert!(part("freight")["rows"].as_u64().unwrap() > 0, "{lent}");

    let nowhere =
        project.launch("restore").args(&["drill", "--identity", &identity]).with("DOCKER_HOST", "unix:///nowhere");
    nowhere.run().exits_with(Exit::Unknown).fails_with("stack.no_answer");

    // What only the snapshot has must do: no folder, no compose file, nothing but the images.
    project
        .launch("restore")
        .args(&["drill", "--app", "site"])
        .with("SHIPSHAPE_IDENTITY", &identity)
        .run()
        .exits_with(Exit::Ok);
    assert_eq!(left(&project), "");
}

#[test]
fn a_drill_needs_no_compose_file_but_says_that_a_recovery_would() {
    let project = Project::seeded("postgres");
    project.run("backup", &["--only", "freight", "database-globals"]).gets_done();
    fs::remove_file(project.app("compose.yaml")).unwrap();
    let id = project.listed()[0].clone();

    let drill = project.run("restore", &["drill", &id]).exits_with(Exit::Warning).warns_of("drill.settings");

    assert_eq!(drill.data()["settings"], "image", "{drill}");
    assert_eq!(drill.data()["whole"], true, "{drill}");
    assert_eq!(left(&project), "");
}

/// Starts a drill, and waits until its containers are there.
fn until_it_has_containers(project: &Project) -> crate::harness::Running {
    let running = project.launch("restore").args(&["drill"]).start();
    for _ in 0..200 {
        if left(project).lines().filter(|line| line.ends_with("/lock")).count() >= 3 {
            return running;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the drill starts no containers: {}", left(project));
}

#[test]
fn a_drill_that_is_asked_to_stop_or_killed_leaves_nothing_for_long() {
    let fleet = Project::seeded("fleet");
    fleet.backup();

    let stopped = until_it_has_containers(&fleet);
    let state = fleet.path("state").display().to_string();
    let networks =
        "docker network ls --filter label=shipshape.scratch --format '{{.ID}} {{.Label \"shipshape.scratch\"}}'";
    let ours = shell(&format!(
        "{networks} | grep -F '{state}' | cut -d' ' -f1 | xargs docker network inspect --format '{{{{.Internal}}}}'"
    ));
    assert_eq!(ours.trim(), "true", "there is no way out");
    stopped.signal("TERM");
    assert_eq!(stopped.wait().number(), 143);
    assert_eq!(left(&fleet), "", "after SIGTERM");

    let killed = until_it_has_containers(&fleet);
    killed.signal("KILL");
    assert_eq!(killed.wait().number(), 137);
    assert_ne!(left(&fleet), "", "whoever is killed cannot clean up");
    fleet.run("restore", &["drill"]).exits_with(Exit::Ok);
    assert_eq!(left(&fleet), "", "after the next drill");
}

#[test]
fn an_image_that_cannot_be_had_is_named() {
    let project = Project::of("services:\n  cache:\n    image: shipshape.test/redis:8\n");
    project.up();
    shell("docker tag shipshape.test/redis:8 shipshape.test/redis:soon-gone");
    project.write("compose.yaml", "services:\n  cache:\n    image: shipshape.test/redis:soon-gone\n");
    project.up();
    project.backup();
    project.compose("down --volumes");
    shell("docker rmi shipshape.test/redis:soon-gone");

    project
        .run("restore", &["drill"])
        .exits_with(Exit::Unknown)
        .fails_with("scratch.no_image")
        .says("shipshape.test/redis:soon-gone of the service cache cannot be had");
}

#[test]
fn a_site_without_services_is_rehearsed_without_any_engine() {
    let host = Host::with_a_small_site();
    host.backup();
    let before = host.tree();

    let drill =
        host.launch("restore").args(&["drill"]).with("DOCKER_HOST", "unix:///nowhere").run().exits_with(Exit::Ok);

    let parts = drill.data()["parts"].as_array().unwrap().clone();
    assert!(parts.iter().any(|part| part["runs_on"] == "sqlite" && part["tables"].as_u64() >= Some(1)), "{drill}");
    assert!(fs::read_dir(host.path("state/drill")).unwrap().next().is_none());
    before.equals(&host.tree());

    let elsewhere = host.path("elsewhere");
    let scratch = elsewhere.display().to_string();
    host.run("restore", &["drill", "latest", "--scratch", &scratch]).exits_with(Exit::Ok);
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());

    let _small = Mount::tmpfs(&elsewhere, "16k");
    let refused = host.run("restore", &["drill", "latest", "--scratch", &scratch]);
    refused.exits_with(Exit::Unknown).fails_with("drill.no_room").hints("--scratch");
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());
}
