//! Services stand still while they are read, and whatever happens, exactly those run afterwards that ran before.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Exit, Project, shell};

/// A cache whose copy takes a while: it waits for further replicas, and so there is time to look at what stands still.
const APPLICATION: &str = "
services:
  application: &application
    image: shipshape.test/app:1
    command: [run, application]
  queue:
    <<: *application
    scale: 2
  scheduler: *application
  rarely: *application
  cache:
    image: shipshape.test/redis:8
    command: [redis-server, --repl-diskless-sync-delay, '2', --save, '']
";

const ORDERS: &str = r#"
[backup]
stop = ["queue", "scheduler", "rarely"]
[[backup.pre]]
service = "application"
command = ["sh", "-c", "date +%s%N >/tmp/pre"]
[[backup.post]]
service = "scheduler"
command = ["sh", "-c", "date +%s%N >/tmp/post"]
"#;

fn application() -> Project {
    let project = Project::of(APPLICATION);
    project.up();
    project.compose("stop rarely");
    project.configure("", ORDERS);
    project
}

/// The containers of these services that run, by their ids.
fn running(project: &Project, services: &str) -> Vec<String> {
    project.compose(&format!("ps --quiet --status running {services}")).lines().map(str::to_owned).collect()
}

/// What may stand still.
const QUIET: &str = "queue scheduler rarely";

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// A backup that has just stopped its services.
fn half_way(project: &Project) -> crate::harness::Running {
    let backup = project.launch("backup").start();
    wait_until("services should stand still", || running(project, QUIET).is_empty());
    backup
}

fn journals(project: &Project) -> usize {
    fs::read_dir(project.path("state/quiesce")).map_or(0, Iterator::count)
}

#[test]
fn exactly_those_services_run_again_that_ran_whatever_ends_the_backup() {
    let project = application();
    let before = running(&project, QUIET);
    assert_eq!(before.len(), 3, "two queues and a scheduler");

    let backup = half_way(&project);
    assert_eq!(journals(&project), 1);
    assert_eq!(running(&project, "application cache").len(), 2, "nobody else is disturbed");
    backup.wait().exits_with(Exit::Ok);
    assert_eq!(running(&project, QUIET), before, "the same copies run again, and the one that was stopped does not");
    assert_eq!(journals(&project), 0);
    project.inside("application", "test -s /tmp/pre");
    project.inside("scheduler", "test -s /tmp/post && rm /tmp/post");

    for (signal, exit) in [("TERM", Exit::Signal(15)), ("INT", Exit::Signal(2)), ("HUP", Exit::Signal(1))] {
        let snapshots = project.listed();
        let backup = half_way(&project);
        backup.signal(signal);
        backup.wait().exits_with(exit);
        assert_eq!(running(&project, QUIET), before, "after SIG{signal}");
        assert_eq!((project.listed(), journals(&project)), (snapshots, 0));
        project.inside("scheduler", "test -s /tmp/post && rm /tmp/post");
    }

    let backup = half_way(&project);
    backup.signal("KILL");
    backup.wait();
    assert!(running(&project, QUIET).is_empty(), "nobody is left to start them");
    project.run("backup", &[]).exits_with(Exit::Warning).warns_of("quiesce.recovered");
    assert_eq!(running(&project, QUIET), before);
    project.backup();
}

#[test]
fn a_service_that_was_made_anew_meanwhile_runs_too_and_one_that_cannot_start_is_cried_out() {
    let project = application();
    let backup = half_way(&project);
    shell(&format!("docker rm -fv {}", project.container("scheduler")));
    backup.wait().exits_with(Exit::Ok);
    assert_eq!(running(&project, "scheduler").len(), 1);

    let backup = half_way(&project);
    shell(&format!("docker rm -fv {}", project.container("scheduler")));
    project.write("compose.yaml", "services: [\n");
    let finished = backup.wait().exits_with(Exit::Critical).warns_of("quiesce.not_started");
    assert!(finished.stdout().contains("docker compose start scheduler"), "{finished}");
    finished.snapshot();
    project.write("compose.yaml", APPLICATION);
    assert_eq!(running(&project, QUIET).len(), 2, "the others run again");
    assert_eq!(journals(&project), 1, "the next run tries again");
    project.run("backup", &[]).exits_with(Exit::Warning).warns_of("quiesce.recovered");
    assert_eq!((running(&project, QUIET).len(), journals(&project)), (3, 0));
}

#[test]
fn a_command_before_that_fails_ends_the_backup_and_one_after_it_does_not() {
    let project = application();
    let failing = r#"["sh", "-c", "echo the reason; exit 7"]"#;
    let pre = r#"["sh", "-c", "date +%s%N >/tmp/pre"]"#;
    let post = r#"["sh", "-c", "date +%s%N >/tmp/post"]"#;
    let before = running(&project, QUIET);

    project.configure("", &ORDERS.replace(pre, failing));
    let failed = project.run("backup", &[]).exits_with(Exit::Critical).fails_with("quiesce.command");
    failed.says("the reason").hints("docker compose exec -T application");
    assert!(project.store_is_empty() && running(&project, QUIET) == before);
    project.inside("scheduler", "test -s /tmp/post");

    project.configure("", &format!("{}timeout_s = 1\n", ORDERS.replace(post, r#"["sleep", "1000"]"#)));
    project.run("backup", &[]).exits_with(Exit::Warning).warns_of("quiesce.command").snapshot();
    project.inside("scheduler", "! grep -lq '^sleep.1000' /proc/[0-9]*/cmdline");
    assert_eq!(running(&project, QUIET), before);

    project.compose("stop application");
    project.configure("", ORDERS);
    project.run("backup", &[]).exits_with(Exit::Critical).fails_with("quiesce.not_running");
    assert_eq!(running(&project, QUIET), before);
}

#[test]
fn orders_that_make_no_sense_are_refused_before_anything_happens() {
    let project = Project::of(APPLICATION);
    for (orders, code, hint) in [
        ("stop = ['quue']", "quiesce.no_such_service", "scheduler"),
        ("stop = ['cache']", "quiesce.is_dumped", "[database.cache] backup = false"),
        ("services = false\nstop = ['queue']", "quiesce.no_services", "services = true"),
        ("[[backup.pre]]\nservice = 'nobody'\ncommand = ['true']", "quiesce.no_such_service", "queue"),
        ("[[backup.post]]\nservice = 'queue'\ncommand = []", "quiesce.no_command", "command ="),
    ] {
        project.configure("", &format!("[backup]\n{orders}\n"));
        project.run("backup", &[]).exits_with(Exit::Unknown).fails_with(code).hints(hint);
        project.run("backup", &["--dry-run"]).exits_with(Exit::Unknown).fails_with(code);
    }
    assert!(project.objects().is_empty());
}

/// A service that takes its whole time to end.
const STUBBORN: &str = "
services:
  stubborn:
    image: shipshape.test/app:1
    entrypoint: [sh, -c, 'trap : TERM; while :; do sleep 1; done']
    stop_grace_period: 6s
";

#[test]
fn a_service_that_is_still_on_its_way_down_is_started_when_it_has_arrived() {
    let project = Project::of(STUBBORN);
    project.up();
    project.configure("", "[backup]\nstop = [\"stubborn\"]\n");
    let backup = project.launch("backup").start();
    wait_until("the journal should be there", || journals(&project) == 1);
    sleep(Duration::from_secs(1));
    backup.signal("KILL");
    backup.wait();
    assert_eq!(running(&project, "stubborn").len(), 1, "it takes its time");

    project.configure("", "");
    project.run("backup", &[]).exits_with(Exit::Warning).warns_of("quiesce.recovered");
    sleep(Duration::from_secs(8));
    assert_eq!(running(&project, "stubborn").len(), 1, "it runs, and goes on");
    assert_eq!(journals(&project), 0);
}

#[test]
fn what_a_killed_run_has_stopped_is_started_though_the_store_is_not_there() {
    let project = application();
    let before = running(&project, QUIET);
    project.backup();
    let backup = half_way(&project);
    backup.signal("KILL");
    backup.wait();
    fs::rename(project.path("store"), project.path("elsewhere")).unwrap();
    project.run("backup", &[]).fails_with("store.missing").warns_of("quiesce.recovered");
    assert_eq!(running(&project, QUIET), before);
}
