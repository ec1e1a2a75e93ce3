//! Services under Docker Compose: each line once, whatever becomes of the containers.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Exit, Finished, Host, Project, Smtp, shell};

/// An application that, each time it is asked to, writes a hundred lines, half of them to standard error, and counts on
/// when it is started again.
const WRITER: &str = r#"trap 'exit 0' TERM
n=$$(cat /n 2>/dev/null || echo 0)
while :; do
  if [ -e /go ]; then
    rm /go
    for i in $$(seq 50); do n=$$((n + 2)); echo "INFO: order $$HOSTNAME.$$((n - 1))"; echo "ERROR: order $$HOSTNAME.$$n" >&2; done
    echo $$n >/n
    touch /done
  fi
  sleep 0.05
done"#;

/// A project whose service `app` writes so, with its log kept like that.
fn writing(logging: &str, replicas: u32) -> Project {
    let writer = serde_json::to_string(WRITER).unwrap();
    let project = Project::of(&format!(
        "services:\n  app:\n    image: shipshape.test/app:1\n    command: [sh, -c, {writer}]\n    logging: {logging}\n    \
         deploy: {{ replicas: {replicas} }}\n"
    ));
    project.up();
    project
}

/// Has every container write a hundred lines.
fn burst(project: &Project) {
    for id in project.container("app").lines() {
        shell(&format!("docker exec {id} sh -c 'touch /go; until [ -e /done ]; do sleep 0.05; done; rm /done'"));
    }
}

/// What a run has read, by line; and where the report says that something was lost.
#[derive(Default)]
struct Read {
    lines: BTreeMap<String, u32>,
    gaps: Vec<String>,
}

impl Read {
    fn so_far(&self) -> usize {
        self.lines.len()
    }

    /// Reads once more.
    #[track_caller]
    fn on(&mut self, project: &Project) -> Value {
        let finished = project.run("logwatch", &["--service", "app", "--explain", "--max-errors", "1000"]);
        let stdout = finished.stdout();
        let (records, report) = stdout.trim_end().rsplit_once('\n').unwrap_or(("", stdout.trim_end()));
        for record in records.lines() {
            let record: Value = serde_json::from_str(record).unwrap();
            let text = record["text"].as_str().unwrap();
            let order = text.split("order ").nth(1).unwrap_or(text);
            *self.lines.entry(order.to_owned()).or_default() += 1;
        }
        let report: Value = serde_json::from_str(report).unwrap();
        let gaps = report["data"]["gaps"].as_array().into_iter().flatten();
        self.gaps.extend(gaps.map(|gap| gap["why"].as_str().unwrap().to_owned()));
        assert!(finished.number() < 3, "{finished}");
        report
    }

    /// Reads until so many lines have come: the engine needs a moment to write them.
    #[track_caller]
    fn until(&mut self, count: usize, project: &Project) {
        for _ in 0..20 {
            self.on(project);
            if self.so_far() >= count {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        let twice: Vec<_> = self.lines.iter().filter(|(_, times)| **times > 1).collect();
        assert_eq!((self.so_far(), twice), (count, vec![]), "lines, and those that came twice");
    }
}

#[test]
fn each_line_of_two_replicas_is_read_once_though_they_are_restarted_and_their_logs_rotate() {
    let kept = [
        "{ driver: json-file, options: { max-size: 10k, max-file: '5' } }",
        "{ driver: json-file, options: { max-size: 10k, max-file: '5', compress: 'true' } }",
        "{ driver: local }",
    ];
    for logging in kept {
        let project = writing(logging, 2);
        let mut read = Read::default();
        for round in 1..=4 {
            burst(&project);
            read.until(round * 200, &project);
            if round == 2 {
                project.compose("restart --timeout 1 app");
            }
        }
        // A container that is stopped still has its log.
        burst(&project);
        project.compose("stop --timeout 1 app");
        read.until(1000, &project);
        assert_eq!(read.gaps, Vec::<String>::new(), "{logging}");
    }
}

#[test]
fn a_container_that_was_recreated_is_told_as_a_gap_and_the_new_one_is_read_from_its_beginning() {
    for logging in ["{ driver: json-file }", "{ driver: local }"] {
        let project = writing(logging, 1);
        let mut read = Read::default();
        burst(&project);
        read.until(100, &project);
        project.compose("up --detach --wait --force-recreate");
        burst(&project);
        read.until(200, &project);
        assert!(
            matches!(&read.gaps[..], [gap] if gap.starts_with("container recreated: lines after ")),
            "{:?}",
            read.gaps
        );
    }
}

#[test]
fn a_container_that_is_gone_without_another_is_told_once() {
    let project = writing("{ driver: json-file }", 2);
    let mut read = Read::default();
    burst(&project);
    read.until(200, &project);
    project.compose("up --detach --wait --scale app=1");
    read.on(&project);
    read.on(&project);
    assert!(matches!(&read.gaps[..], [gap] if gap.starts_with("container removed: lines after ")), "{:?}", read.gaps);
}

#[test]
fn what_was_rotated_away_before_it_was_read_is_told_as_a_gap() {
    for logging in [
        "{ driver: json-file, options: { max-size: 5k, max-file: '2' } }",
        "{ driver: local, options: { max-size: 5k, max-file: '2' } }",
    ] {
        let project = writing(logging, 1);
        let mut read = Read::default();
        burst(&project);
        read.on(&project);
        (0..6).for_each(|_| burst(&project));
        sleep(Duration::from_millis(500));
        read.on(&project);
        assert!(!read.gaps.is_empty(), "{logging}: {} lines of 700 and no gap", read.so_far());
        assert!(read.lines.values().all(|times| *times == 1), "{logging}");
    }
}

#[test]
fn what_compose_prints_is_read_once_though_the_hour_that_is_asked_for_overlaps() {
    let project = writing("{ driver: json-file }", 2);
    let line = "docker compose logs --no-color -t --since 1h app | logwatch --max-errors 1000 -";
    burst(&project);
    sleep(Duration::from_millis(500));
    let errors = |finished: Finished| finished.exits_with(Exit::Ok).number_of("errors");
    assert_eq!(errors(project.sh(line)), 100);
    assert_eq!(errors(project.sh(line)), 0, "the same hour again");
    burst(&project);
    sleep(Duration::from_millis(500));
    assert_eq!(errors(project.sh(line)), 100);
}

#[test]
fn the_pipe_that_cron_gives_does_not_hide_the_project() {
    let project = writing("{ driver: json-file }", 1);
    burst(&project);
    sleep(Duration::from_millis(500));
    for nothing in ["true |", ""] {
        let finished = project.sh(&format!("{nothing} logwatch --dry-run --max-errors 1000 </dev/stdin"));
        assert_eq!(finished.data()["sources"][0]["name"], "app-1", "{finished}");
        assert_eq!(finished.number_of("errors"), 50, "{finished}");
    }
}

#[test]
fn an_engine_that_is_down_is_unknown_and_never_without_errors() {
    let project = writing("{ driver: json-file }", 1);
    let nobody = ["DOCKER_HOST", "unix:///nobody/listens.sock"];
    let finished = project.launch("logwatch").args(&["--service", "app"]).with(nobody[0], nobody[1]).run();
    finished.exits_with(Exit::Unknown).fails_with("stack.no_answer");
    // It does not keep the rest from being judged.
    project.write("app.log", "ERROR: refused\n");
    let partly = project.launch("logwatch").args(&["--service", "app", "app.log"]).with(nobody[0], nobody[1]).run();
    assert_eq!(partly.exits_with(Exit::Unknown).number_of("errors"), 1);
    let piped = "docker compose logs -t app 2>/dev/null | logwatch -";
    let finished = project.program("bash").args(&["-c", piped]).with(nobody[0], nobody[1]).run();
    finished.exits_with(Exit::Unknown).fails_with("stdin.empty");
}

#[test]
fn a_service_whose_log_cannot_be_read_says_why() {
    let project = writing("{ driver: none }", 1);
    let refused = |service: &str| project.run("logwatch", &["--service", service]).exits_with(Exit::Unknown);
    refused("app").fails_with("source.not_kept").says("`none`").hints("driver: local");
    refused("ap").fails_with("source.no_service").hints("app");
    project.compose("rm --stop --force app");
    refused("app").fails_with("source.no_container").hints("docker compose up");
    refused("*").fails_with("source.no_container");
    Host::new().run("logwatch", &["--service", "app"]).exits_with(Exit::Unknown).fails_with("source.no_project");
}

#[test]
fn a_log_that_only_the_engine_may_read_is_asked_of_the_engine() {
    // Where nobody listens, the engine loses half of what it sends, and keeps no copy of that.
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let project = writing(&format!("{{ driver: gelf, options: {{ gelf-address: 'udp://{to}' }} }}"), 1);
    let mut read = Read::default();
    burst(&project);
    read.until(100, &project);
    burst(&project);
    read.until(200, &project);
}

/// A trace of Python below the record that tells of it, and a record that comes behind.
const TRACE: [&str; 5] = [
    "2026-11-20 02:00:00,123 ERROR app: cannot",
    "Traceback (most recent call last):",
    "  File \"a.py\", line 1, in a",
    "    b()",
    "KeyError: 'b'",
];
const BEHIND: &str = "2026-11-20 02:00:01,000 INFO app: well";

/// A project whose service `app` says nothing of its own, with its log kept by the engine alone.
fn silent() -> Project {
    let project = Project::of(
        "services:\n  app:\n    image: shipshape.test/app:1\n    command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; \
         done\"]\n    logging: { driver: local }\n",
    );
    project.up();
    project
}

/// Has the container write these lines.
fn say(project: &Project, lines: &[&str]) {
    let text = lines.join("\n").replace('\'', r"'\''");
    let id = project.container("app");
    shell(&format!("printf '%s\\n' '{text}' | docker exec -i {} sh -c 'cat >/proc/1/fd/2'", id.trim()));
}

/// Runs until so many lines were read: records and errors of these runs.
#[track_caller]
fn counted(project: &Project, lines: u64) -> (u64, u64) {
    let (mut seen, mut records, mut errors) = (0, 0, 0);
    for _ in 0..20 {
        let finished = project.run("logwatch", &["--service", "app", "--max-errors", "1000"]).gets_done();
        assert_eq!(finished.data()["gaps"], serde_json::json!([]), "{finished}");
        seen += finished.number_of("lines");
        records += finished.number_of("records");
        errors += finished.number_of("errors");
        if seen >= lines {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    assert_eq!(seen, lines);
    (records, errors)
}

#[test]
fn a_trace_that_the_engine_says_to_two_runs_is_one_record() {
    let project = silent();
    // Something must have been read before anything is new.
    say(&project, &[BEHIND]);
    assert_eq!(counted(&project, 1), (1, 0));
    for cut in 1..TRACE.len() {
        say(&project, &TRACE[..cut]);
        assert_eq!(counted(&project, cut as u64), (1, 1), "cut at {cut}");
        say(&project, &[&TRACE[cut..], &[BEHIND]].concat());
        assert_eq!(counted(&project, (TRACE.len() - cut + 1) as u64), (1, 0), "cut at {cut}");
    }
    // What a container begins with that is made anew is none of the old one's.
    say(&project, &TRACE[..2]);
    assert_eq!(counted(&project, 2), (1, 1));
    project.compose("up --detach --wait --force-recreate --timeout 1");
    say(&project, &TRACE[2..]);
    let finished = project.run("logwatch", &["--service", "app", "--max-errors", "1000"]);
    assert!(finished.number_of("records") > 0, "{finished}");
}

#[test]
fn a_trace_that_comes_in_parts_while_it_is_followed_is_one_record() {
    let project = silent();
    let following = project.launch("logwatch").args(&["follow", "--service", "app", "--max-errors", "1000"]).start();
    sleep(Duration::from_secs(3));
    for part in [&TRACE[..2], &TRACE[2..3], &TRACE[3..]] {
        say(&project, part);
        sleep(Duration::from_millis(1500));
    }
    following.signal("INT");
    let followed = following.wait();
    // The last line is the report.
    let stdout = followed.stdout();
    let (shown, report) = stdout.trim_end().rsplit_once('\n').unwrap_or(("", &stdout));
    let shown = shown.lines().filter(|line| line.contains("\"rule\":")).count();
    assert!(report.contains(r#""lines":5,"#), "{followed}");
    assert_eq!(shown, 1, "{followed}");
}

/// The orders that were shown as errors, each with how often.
fn orders(lines: &str) -> BTreeMap<&str, u32> {
    let mut orders = BTreeMap::new();
    for order in lines.lines().filter_map(|line| line.split("ERROR: order ").nth(1)?.split('"').next()) {
        *orders.entry(order).or_default() += 1;
    }
    orders
}

#[test]
fn follow_sees_copies_that_come_later_or_are_made_anew_and_goes_on_when_one_goes() {
    for logging in ["{ driver: json-file }", "{ driver: local }"] {
        let project = writing(logging, 1);
        let words = ["follow", "--service", "app", "--max-errors", "100000"];
        let following = project.launch("logwatch").args(&words).start();
        sleep(Duration::from_secs(3));
        burst(&project);
        project.compose("up --detach --wait --scale app=2 --no-recreate");
        burst(&project);
        sleep(Duration::from_secs(8));
        project.compose("up --detach --wait --scale app=2 --force-recreate --timeout 1");
        burst(&project);
        sleep(Duration::from_secs(8));
        project.compose("up --detach --wait --scale app=1 --timeout 1");
        sleep(Duration::from_secs(8));
        burst(&project);
        sleep(Duration::from_secs(3));
        following.signal("INT");
        let followed = following.wait();
        let stdout = followed.stdout();
        // The report is the last line, and has a sample of the orders in it.
        let (lines, _) = stdout.trim_end().rsplit_once('\n').unwrap();
        let orders = orders(lines);
        let twice: Vec<_> = orders.iter().filter(|(_, times)| **times > 1).collect();
        assert_eq!((orders.len(), twice), (50 + 100 + 100 + 50, vec![]), "{logging}: {followed}");
        for event in [r#""event":"added","source":"app-2""#, r#""event":"gone","source":"app-2""#] {
            assert!(lines.contains(event), "{logging}: {event} in {followed}");
        }
        // What the engine says of a container that is gone is no line of it.
        assert!(!lines.contains(r#""text":"Error response"#), "{logging}: {followed}");
    }
}

#[test]
fn two_runs_an_hour_apart_take_each_line_once_and_a_burst_is_one_mail_and_its_end_one_more() {
    let smtp = Smtp::new();
    let project = writing("{ driver: json-file, options: { max-size: 10k, max-file: '5' } }", 2);
    project.configure("", &smtp.section("plain"));
    let run = |hours: u32| {
        let moment = shell(&format!("date --utc --date '+{hours} hours' '+%F %T'"));
        let words = ["--service", "app", "--max-errors", "150"];
        project.launch("logwatch").args(&words).at(moment.trim()).run()
    };
    burst(&project);
    sleep(Duration::from_secs(1));
    assert_eq!(run(0).exits_with(Exit::Ok).number_of("lines"), 200);
    // Two bursts, and between them everything is started anew and rotated.
    burst(&project);
    project.compose("restart --timeout 1");
    burst(&project);
    sleep(Duration::from_secs(1));
    let second = run(1).exits_with(Exit::Critical);
    assert_eq!((second.number_of("lines"), second.number_of("errors")), (400, 200), "{second}");
    assert_eq!(second.data()["gaps"], serde_json::json!([]), "{second}");
    assert_eq!(smtp.subjects().len(), 1, "one mail");
    let third = run(2).exits_with(Exit::Ok);
    assert_eq!(third.number_of("lines"), 0, "no line twice: {third}");
    let subjects = smtp.subjects();
    assert!(subjects.len() == 1 && subjects[0].contains("over: "), "{subjects:?}");
}
