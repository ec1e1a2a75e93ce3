//! This machine itself as a stack: systemd's units are the services, and programs run as they are installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Call, Exec, Instance, Ports, Service, ServiceState, Stack, StackError, Volume, command};
use crate::child::Command;

/// It exists if and only if systemd manages the machine (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

/// How long systemd may take to restart a unit: `DefaultTimeoutStopSec` and `DefaultTimeoutStartSec` are 90 s each.
const RESTART_DEADLINE: Duration = Duration::from_secs(200);

/// The programs and units of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

impl Stack for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    /// None where systemd does not manage the machine.
    fn services(&self) -> Result<Vec<Service>, StackError> {
        if !is_booted() {
            return Ok(Vec::new());
        }
        let args = ["list-units", "--type=service", "--all", "--plain", "--no-legend", "--no-pager", "--full"];
        Ok(parse_units(&Command::new("systemctl", args).run()?.text()))
    }

    fn project(&self) -> Result<String, StackError> {
        Ok(crate::machine::host_name())
    }

    fn instances(&self, service: &str) -> Result<Vec<Instance>, StackError> {
        let state = self.state(service)?;
        Ok(vec![Instance { id: unit(service)?, name: service.to_owned(), number: 1, state, origin: None }])
    }

    /// A host has folders, which are no volumes.
    fn volumes(&self) -> Result<Vec<Volume>, StackError> {
        Ok(Vec::new())
    }

    fn files(&self) -> Result<Vec<PathBuf>, StackError> {
        Ok(Vec::new())
    }

    /// The host is one place: the service says only for whom the program runs.
    fn exec(&self, call: Call<'_>) -> Result<Exec, StackError> {
        let mut command = command(call.service, call.argv)?.deadline(call.deadline);
        for (name, value) in call.env {
            command = command.env(name, value);
        }
        if let Some(source) = call.stdin {
            command = command.stdin(source);
        }
        if call.cleanup {
            command = command.even_when_interrupted();
        }
        Ok(Exec::here(command.stream()?))
    }

    fn restart(&self, service: &str) -> Result<(), StackError> {
        // Known first: systemctl says the same of a unit that is not there and of one that does not start.
        self.state(service)?;
        Command::new("systemctl", ["restart", "--", &unit(service)?]).deadline(RESTART_DEADLINE).run()?;
        Ok(())
    }

    fn stop(&self, service: &str, _: &[Instance]) -> Result<(), StackError> {
        Command::new("systemctl", ["stop", "--", &unit(service)?]).deadline(RESTART_DEADLINE).run()?;
        Ok(())
    }

    fn start(&self, service: &str, _: &[Instance]) -> Result<(), StackError> {
        let command = Command::new("systemctl", ["start", "--", &unit(service)?]).deadline(RESTART_DEADLINE);
        command.even_when_interrupted().run()?;
        Ok(())
    }

    /// Units are installed, not made.
    fn create(&self) -> Result<(), StackError> {
        Ok(())
    }

    fn up(&self, services: &[&str]) -> Result<(), StackError> {
        services.iter().try_for_each(|service| self.start(service, &[]))
    }

    fn state(&self, service: &str) -> Result<ServiceState, StackError> {
        let unit = unit(service)?;
        if !is_booted() {
            return Err(StackError::NoManager { missing: "systemd" });
        }
        // `show` and not `is-active`: its exit status is only that of the question.
        let args = ["show", "--property=LoadState,ActiveState", "--", &unit];
        let answer = Command::new("systemctl", args).run()?.text();
        parse_state(&answer).ok_or_else(|| StackError::NoService { service: service.to_owned() })
    }
}

fn is_booted() -> bool {
    Path::new(BOOTED).is_dir()
}

/// The unit's name: what systemd allows in one (systemd.unit(5)), and nothing that could be a pattern or an option.
fn unit(service: &str) -> Result<String, StackError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if service.is_empty() || service.starts_with('-') || !service.bytes().all(allowed) {
        return Err(StackError::NoService { service: service.to_owned() });
    }
    Ok(if service.ends_with(".service") { service.to_owned() } else { format!("{service}.service") })
}

/// Plain lines and not `--output=json`, which systemd knows only since version 248.
///
/// Lines of `UNIT LOAD ACTIVE SUB DESCRIPTION…`. A unit that others only mention (`not-found`) is no service.
fn parse_units(text: &str) -> Vec<Service> {
    text.lines().filter_map(parse_unit).collect()
}

fn parse_unit(line: &str) -> Option<Service> {
    let mut words = line.split_whitespace();
    let (name, load) = (words.next()?.strip_suffix(".service")?, words.next()?);
    let description = words.skip(2).collect::<Vec<_>>().join(" ");
    (load == "loaded").then(|| Service {
        name: name.to_owned(),
        origin: Some(description).filter(|text| !text.is_empty()),
        built: false,
        ports: Ports::Machine,
        labels: BTreeMap::new(),
        mounts: Vec::new(),
        command: Vec::new(),
        optional: false,
    })
}

/// Lines of `Name=value`; none if the unit is not there.
fn parse_state(text: &str) -> Option<ServiceState> {
    let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if property("LoadState")? == "not-found" {
        return None;
    }
    match property("ActiveState")? {
        "active" | "refreshing" => Some(ServiceState::Running),
        "activating" | "deactivating" | "reloading" | "maintenance" => Some(ServiceState::Changing),
        "inactive" => Some(ServiceState::Stopped),
        _ => Some(ServiceState::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain;
    use std::io::Read;

    #[test]
    fn a_program_of_the_host_runs_and_reads_what_it_is_given() {
        let given: Box<dyn Read + Send> = Box::new(&b"one\ntwo\n"[..]);
        let mut stream = Host.exec(Call { stdin: Some(given), ..Call::new("demo", &["wc", "-l"]) }).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        stream.finish().unwrap();
        assert_eq!(text.trim(), "2");
    }

    #[test]
    fn a_program_that_fails_is_told_by_the_end_of_the_stream() {
        let stream = Host.exec(Call::new("demo", &["ls", "/does/not/exist"])).unwrap();
        let failed = StackError::from(stream.finish().unwrap_err());
        assert_eq!(failed.code(), "child.failed");
        assert!(failed.to_string().contains("/does/not/exist"), "{failed}");
    }

    #[test]
    fn no_program_is_refused() {
        assert_eq!(Host.exec(Call::new("demo", &[])).err().map(|error| error.code()), Some("stack.no_program"));
    }

    #[test]
    fn a_service_can_be_no_option_and_no_pattern() {
        for name in ["", "--force", "a b", "*", "a/b"] {
            assert_eq!(Host.state(name).unwrap_err().code(), "stack.no_service", "{name}");
        }
        assert_eq!(unit("nginx").unwrap(), "nginx.service");
        assert_eq!(unit("getty@tty1.service").unwrap(), "getty@tty1.service");
    }

    #[test]
    fn services_are_those_that_systemd_has_loaded() {
        let text = "nginx.service loaded active running A high performance web server\n\
                    gone.service not-found inactive dead gone.service\n\
                    bad.service loaded failed failed Bad\n";
        let services = parse_units(text);
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["nginx", "bad"]);
        assert_eq!(services[0].origin.as_deref(), Some("A high performance web server"));
    }

    #[test]
    fn states_are_told_in_the_words_of_any_stack() {
        let state = |load: &str, active: &str| parse_state(&format!("LoadState={load}\nActiveState={active}\n"));
        assert_eq!(state("loaded", "active"), Some(ServiceState::Running));
        assert_eq!(state("loaded", "activating"), Some(ServiceState::Changing));
        assert_eq!(state("loaded", "inactive"), Some(ServiceState::Stopped));
        assert_eq!(state("loaded", "failed"), Some(ServiceState::Failed));
        assert_eq!(state("not-found", "inactive"), None);
    }

    #[test]
    fn this_machine_answers_in_one_of_the_two_ways() {
        let answer = Host.state("no-such-unit-anywhere").unwrap_err().code();
        let services = Host.services().unwrap();
        let expected = if is_booted() { "stack.no_service" } else { "stack.no_manager" };
        assert_eq!(answer, expected);
        assert_eq!(services.is_empty(), !is_booted());
    }
}
