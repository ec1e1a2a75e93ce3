use std::sync::Mutex;

use shipshape_core::error::Explain;
use shipshape_core::stack::host::Host;

use super::*;
use crate::deploy::testing::Fake;

/// Copies 1, 2, … in these states.
fn copies(states: &[ServiceState]) -> Vec<Instance> {
    let copy = |(at, state): (usize, &ServiceState)| Instance {
        id: format!("id{}", at + 1),
        name: format!("demo-web-{}", at + 1),
        number: u32::try_from(at + 1).unwrap(),
        state: *state,
        origin: None,
    };
    states.iter().enumerate().map(copy).collect()
}

fn fake(states: &[ServiceState]) -> Fake {
    Fake { answers: Mutex::new(vec![copies(states)]), ..Fake::default() }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A service that is tried and reloaded by these lines of shell.
fn use_by(test: &str, reload: &str) -> UseBy {
    let shell = |line| words(&["sh", "-c", line]);
    UseBy { test: shell(test), reload: shell(reload), ..UseBy::default() }
}

fn takers(services: &[&str]) -> Vec<Taker> {
    services.iter().map(|&service| Taker { service: service.to_owned(), look_at: Vec::new() }).collect()
}

fn tried(stack: &Fake, use_by: &UseBy) -> Result<Tried, DeployError> {
    Server { use_by, takers: &takers(&["web"]), stack: Some(stack) }.test()
}

fn reloaded(stack: &Fake, use_by: &UseBy) -> Result<(), DeployError> {
    Server { use_by, takers: &takers(&["web"]), stack: Some(stack) }.reload()
}

/// It takes it, and all of its services run.
fn good() -> Tried {
    Tried::Good { idle: Vec::new() }
}

fn called(stack: &Fake) -> Vec<String> {
    stack.calls.lock().unwrap().clone()
}

use ServiceState::{Changing, Failed, Paused, Running, Stopped};

#[test]
fn every_copy_that_runs_is_tried_and_no_other() {
    let stack = fake(&[Running, Stopped, Changing, Paused, Failed, Running]);
    assert_eq!(tried(&stack, &use_by("true", "true")).unwrap(), good());
    assert_eq!(called(&stack), ["id1", "id6"]);
}

#[test]
fn a_configuration_that_is_wrong_is_told_in_the_servers_own_words() {
    let line = "echo 'nginx: [warn] x' >&2; echo 'nginx: [emerg] cannot load certificate' >&2; exit 1";
    let stack = fake(&[Running, Running]);
    let expected = "nginx: [warn] x | nginx: [emerg] cannot load certificate";
    assert_eq!(tried(&stack, &use_by(line, "true")).unwrap(), Tried::Bad(expected.to_owned()));
    assert_eq!(called(&stack), ["id1"], "one that is wrong is enough");
    let only_stdout = use_by("echo 'syntax error in line 3'; exit 1", "true");
    assert_eq!(tried(&stack, &only_stdout).unwrap(), Tried::Bad("syntax error in line 3".to_owned()));
}

#[test]
fn what_a_server_says_is_bounded_and_holds_no_control_letters() {
    let flood = use_by(
        "head -c 9000000 /dev/zero | tr '\\0' 'y' >&2; head -c 9000000 /dev/zero; printf '\\033[2J' >&2; exit 1",
        "true",
    );
    let Tried::Bad(told) = tried(&fake(&[Running]), &flood).unwrap() else { panic!("it was taken") };
    assert!(told.chars().count() <= LONGEST && !told.contains('\u{1b}'), "{told}");
    assert_eq!(quoted("", b"\n \n"), "it says nothing");
}

#[test]
fn a_service_of_which_nothing_runs_is_not_tried() {
    for states in [&[][..], &[Stopped, Failed], &[Changing, Paused]] {
        let stack = fake(states);
        assert_eq!(tried(&stack, &use_by("false", "true")).unwrap(), Tried::NotRunning, "{states:?}");
    }
}

#[test]
fn nothing_is_tried_where_nothing_is_said() {
    let nothing = UseBy::default();
    let stack = fake(&[Running]);
    assert_eq!(tried(&stack, &nothing).unwrap(), good());
    reloaded(&stack, &nothing).unwrap();
    assert_eq!(Server { use_by: &nothing, takers: &[], stack: None }.test().unwrap(), good());
    assert!(called(&stack).is_empty());
}

#[test]
fn a_copy_that_ends_while_it_is_tried_has_not_refused_anything() {
    let stack = Fake { answers: Mutex::new(vec![copies(&[Running]), copies(&[Changing])]), ..Fake::default() };
    let failing = use_by("echo 'container is not running' >&2; exit 1", "exit 1");
    assert_eq!(tried(&stack, &failing).unwrap(), Tried::NotRunning);
    let stack = Fake { answers: Mutex::new(vec![copies(&[Running]), copies(&[])]), ..Fake::default() };
    reloaded(&stack, &failing).unwrap();
    assert_eq!(called(&stack), ["id1"]);
}

#[test]
fn a_program_that_is_not_in_the_service_is_told_apart_from_a_wrong_configuration() {
    let missing = UseBy { test: words(&["no-such-program", "-t"]), ..use_by("true", "exit 127") };
    let stack = fake(&[Running]);
    let error = tried(&stack, &missing).unwrap_err();
    assert_eq!(error.to_string(), "there is no `no-such-program` in the service `web`");
    assert!(error.hint().contains("test = ["), "{}", error.hint());
    let error = reloaded(&stack, &missing).unwrap_err();
    assert_eq!((error.code(), error.hint().contains("reload = [")), ("deploy.no_program", true));
}

#[test]
fn a_copy_that_refuses_keeps_neither_the_others_nor_the_program_of_this_machine_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let stack = fake(&[Running, Running, Stopped]);
    let line = "[ $INSTANCE != id1 ] || { echo no >&2; exit 1; }";
    let use_by = UseBy { command: words(&["touch", mark.to_str().unwrap()]), ..use_by("true", line) };
    let error = reloaded(&stack, &use_by).unwrap_err();
    assert_eq!(error.to_string(), "demo-web-1 did not take the new certificate: no");
    assert_eq!(called(&stack), ["id1", "id2"]);
    assert!(mark.exists(), "the program of this machine had no turn");
}

#[test]
fn a_copy_that_stands_still_is_told_for_it_keeps_the_old_pair() {
    let stack = fake(&[Paused, Running]);
    let error = reloaded(&stack, &use_by("true", "true")).unwrap_err();
    assert_eq!(error.code(), "deploy.idle");
    assert_eq!(error.hint(), "let it go on: docker unpause demo-web-1");
    assert_eq!(called(&stack), ["id2"]);
}

#[test]
fn a_copy_on_its_way_up_is_waited_for() {
    let answers = vec![copies(&[Changing]), copies(&[Changing]), copies(&[Running])];
    let stack = Fake { answers: Mutex::new(answers), ..Fake::default() };
    reloaded(&stack, &use_by("true", "true")).unwrap();
    assert_eq!(called(&stack), ["id1"]);
}

#[test]
fn a_copy_that_never_gets_up_is_told() {
    let stack = fake(&[Changing]);
    let place = Place { stack: &stack, service: "web" };
    let settled = place.settled(Duration::from_millis(300)).unwrap();
    let error = place.reload(&settled[0], &words(&["true"])).unwrap_err();
    assert_eq!(error.to_string(), "demo-web-1 is restarting, and cannot take the new certificate");
    assert!(error.hint().contains("docker logs --tail 50 demo-web-1"), "{}", error.hint());
}

#[test]
fn a_service_needs_an_application_that_has_it() {
    let use_by = use_by("true", "true");
    let (web, db) = (takers(&["web"]), takers(&["db"]));
    let alone = Server { use_by: &use_by, takers: &web, stack: None };
    assert_eq!(alone.test().unwrap_err().code(), "deploy.no_application");
    assert_eq!(alone.reload().unwrap_err().code(), "deploy.no_application");
    let other = Server { use_by: &use_by, takers: &db, stack: Some(&fake(&[Running])) }.test();
    assert_eq!(other.unwrap_err().code(), "stack.no_service");
}

#[test]
fn a_program_of_this_machine_is_enough_and_its_failure_is_quoted() {
    let run = |line: &str| {
        let use_by = UseBy { command: words(&["sh", "-c", line]), ..UseBy::default() };
        Server { use_by: &use_by, takers: &[], stack: None }.reload()
    };
    run("head -c 20000000 /dev/zero").unwrap();
    let error = run("echo 'unit nginx.service not found' >&2; exit 5").unwrap_err();
    assert_eq!(error.code(), "deploy.command");
    let told = shipshape_core::error::chain(&error);
    assert!(told.ends_with("failed with status 5: unit nginx.service not found"), "{told}");
    let missing = UseBy { command: words(&["/no/such/program"]), ..UseBy::default() };
    let error = Server { use_by: &missing, takers: &[], stack: None }.reload().unwrap_err();
    assert!(error.hint().contains("install /no/such/program"), "{}", error.hint());
}

#[test]
fn a_unit_that_this_machine_does_not_have_is_an_error_and_no_wrong_configuration() {
    let refused = Server { use_by: &use_by("true", "true"), takers: &takers(&["web"]), stack: Some(&Host) }.test();
    // Where systemd manages the machine there is no unit of this name; elsewhere nothing manages it.
    assert!(matches!(refused, Err(DeployError::Stack(_))), "{refused:?}");
}

#[test]
fn of_several_services_all_that_run_are_tried_before_one_is_reloaded() {
    // The copies of `web`, in turn: those of the first service, and those of the second.
    let of_both = |first: &[ServiceState], second: &[ServiceState]| Fake {
        answers: Mutex::new(vec![copies(first), copies(second)]),
        ..Fake::default()
    };
    let both = takers(&["web", "web"]);
    let test = |stack: &Fake, line: &str| {
        Server { use_by: &use_by(line, "false"), takers: &both, stack: Some(stack) }.test().unwrap()
    };
    let stack = of_both(&[Running], &[Running, Running]);
    assert_eq!((test(&stack, "true"), called(&stack).len()), (good(), 3));
    assert_eq!(test(&of_both(&[Stopped], &[Running]), "true"), Tried::Good { idle: vec!["web".to_owned()] });
    assert_eq!(test(&of_both(&[Stopped], &[]), "true"), Tried::NotRunning);
    let refusing = "[ $INSTANCE != id2 ] || { echo no >&2; exit 1; }";
    assert_eq!(test(&of_both(&[Running], &[Stopped, Running]), refusing), Tried::Bad("web: no".to_owned()));
}

#[test]
fn a_service_that_refuses_does_not_keep_another_from_its_turn() {
    let both = takers(&["web", "web"]);
    let stack = Fake { answers: Mutex::new(vec![copies(&[Paused]), copies(&[Running])]), ..Fake::default() };
    let error = Server { use_by: &use_by("true", "true"), takers: &both, stack: Some(&stack) }.reload().unwrap_err();
    assert_eq!((error.code(), called(&stack)), ("deploy.idle", vec!["id1".to_owned()]));
}
