//! Redis comes back into a live server, without a restart.

use std::thread;
use std::time::Duration;

use crate::harness::{Exit, Project, shell};

/// A server with these further arguments.
fn server(more: &str) -> Project {
    let project = Project::of(&format!(
        "services:\n  cache:\n    image: shipshape.test/redis:8\n    \
         command: [redis-server, --requirepass, 'p w', --repl-diskless-sync-delay, '0'{more}]\n    \
         environment: {{ REDIS_PASSWORD: 'p w' }}\n    volumes: [data:/data]\nvolumes:\n  data:\n"
    ));
    project.up();
    project
}

fn role(project: &Project) -> String {
    let told = project.redis("cache", "INFO replication");
    told.lines().find_map(|line| line.trim().strip_prefix("role:")).unwrap_or_default().to_owned()
}

/// Containers beside the project's server.
fn companions(project: &Project) -> String {
    let live = project.container("cache");
    shell(&format!("docker ps -a --no-trunc --filter label=shipshape.beside={live} -q")).trim().to_owned()
}

#[test]
fn what_came_back_wins_over_an_old_log_and_the_old_side_can_be_had_back() {
    let project = server(", --appendonly, 'yes', --masterauth, 'other \"word'");
    project.redis("cache", "SET a then\nSELECT 1\nRPUSH list 1 2 3\nSELECT 2\nSET brief x EX 100000");
    project.backup();
    project.redis("cache", "SET a now\nSET b now\nSELECT 1\nDEL list");
    let started = shell(&format!("docker inspect --format '{{{{.State.StartedAt}}}}' {}", project.container("cache")));

    project.run("restore", &["latest", "--only", "cache", "--yes"]).exits_with(Exit::Ok);

    let as_it_was = |project: &Project| {
        assert_eq!(
            project.redis("cache", "GET a\nGET b\nSELECT 1\nLRANGE list 0 -1\nSELECT 2\nGET brief"),
            "then\n\nOK\n1\n2\n3\nOK\nx"
        );
    };
    as_it_was(&project);
    assert_eq!(
        shell(&format!("docker inspect --format '{{{{.State.StartedAt}}}}' {}", project.container("cache"))),
        started
    );
    assert_eq!((role(&project).as_str(), companions(&project).as_str()), ("master", ""));
    project.compose("restart cache");
    as_it_was(&project);

    project.run("restore", &["undo", "--yes"]).gets_done();
    assert_eq!(project.redis("cache", "GET a\nGET b"), "now\nnow");
    project.compose("restart cache");
    assert_eq!(project.redis("cache", "GET a\nGET b"), "now\nnow");
}

#[test]
fn a_server_without_a_log_has_what_came_back_after_a_restart_too() {
    let project = server(", --save, ''");
    project.redis("cache", "SET a then");
    project.backup();
    project.redis("cache", "SET a now\nSAVE");

    project.run("restore", &["latest", "--only", "cache", "--yes"]).exits_with(Exit::Ok);

    project.compose("restart cache");
    assert_eq!(project.redis("cache", "GET a"), "then");
    assert!(project.inside("cache", "ls /data").contains("__before_"));
    project.run("restore", &["--discard-old"]).exits_with(Exit::Ok);
    assert!(!project.inside("cache", "ls /data").contains("__before_"));
}

#[test]
fn a_replica_is_left_alone_and_its_master_named() {
    let project = server("");
    project.redis("cache", "SET a then");
    project.backup();
    project.redis("cache", "REPLICAOF 10.9.8.7 6379");

    project
        .run("restore", &["latest", "--only", "cache", "--yes"])
        .exits_with(Exit::Critical)
        .fails_with("restore.immovable")
        .says("replica of 10.9.8.7");

    assert_eq!((role(&project).as_str(), companions(&project).as_str()), ("slave", ""));
    assert_eq!(project.redis("cache", "GET a"), "then");
}

#[test]
fn a_server_that_refuses_the_commands_is_left_alone() {
    let project = server(", --rename-command, REPLICAOF, ''");
    project.redis("cache", "SET a then");
    project.backup();
    project.redis("cache", "SET a now");

    project
        .run("restore", &["latest", "--only", "cache", "--yes"])
        .exits_with(Exit::Critical)
        .fails_with("restore.immovable")
        .says("REPLICAOF");

    assert_eq!((project.redis("cache", "GET a").as_str(), companions(&project).as_str()), ("now", ""));
}

#[test]
fn a_restore_that_is_killed_while_the_server_takes_over_is_mended_by_the_next_one() {
    let project = server(", --appendonly, 'yes'");
    let filled = "for number = 1, 300000 do redis.call('SET', 'key:' .. number, string.rep('x', 200) .. number) end";
    project.redis("cache", &format!("EVAL \"{filled}\" 0"));
    project.backup();
    project.redis("cache", "SET witness now\nDEL key:1");

    for (signal, patience) in [("KILL", 0), ("KILL", 400), ("TERM", 100)] {
        let running = project.launch("restore").args(&["latest", "--only", "cache", "--yes"]).start();
        for _ in 0..600 {
            if role(&project) == "slave" {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(patience));
        running.signal(signal);
        running.wait();
        if signal == "TERM" {
            // Whoever can still act leaves nothing to be mended.
            assert_eq!((role(&project).as_str(), companions(&project).as_str()), ("master", ""));
        }

        // Any restore mends; this one has nothing of its own to do.
        project.run("restore", &["undo", "--dry-run"]);
        let mended = project.run("restore", &["latest", "--only", "config", "--yes"]).gets_done();

        assert_eq!(role(&project), "master", "{mended}");
        let now = project.redis("cache", "GET witness\nEXISTS key:1\nDBSIZE");
        assert!(
            now == "now\n0\n300000" || now == "\n1\n300000",
            "half of it after {signal} and {patience} ms: {now:?}; {mended}"
        );
        assert_eq!(companions(&project), "", "{mended}");
        project.redis("cache", "SET witness now\nDEL key:1");
    }
}

#[test]
fn a_name_for_what_has_none_is_refused_and_what_is_live_stays() {
    let project = server("");
    project.redis("cache", "SET a then");
    project.backup();
    let folder = project.path("copy").display().to_string();
    project.run("restore", &["latest", "--only", "cache", "--into", &folder]).gets_done();
    let copy = shell(&format!("find '{folder}' -name '*.rdb'")).trim().to_owned();
    project.redis("cache", "SET a now");

    for words in [
        &["latest", "--only", "cache", "--into", "foo"][..],
        &[&copy, "--into", "foo"],
        &[&copy, "--database", "foo", "--yes"],
    ] {
        project.run("restore", words).exits_with(Exit::Unknown).fails_with("usage").says("foo").hints("./DIR");
        assert_eq!(project.redis("cache", "GET a"), "now", "{words:?}");
    }
}
