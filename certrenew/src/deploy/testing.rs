//! An application for tests: what cannot be provoked in a real one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use shipshape_core::stack::host::Host;
use shipshape_core::stack::{Call, Exec, Instance, Mount, Service, ServiceState, Stack, StackError, Volume};

/// An application with one service `web`, whose copies are as it is told. Programs run on this machine.
#[derive(Default)]
pub(super) struct Fake {
    /// What it answers one time after another; the last answer holds for ever.
    pub(super) answers: Mutex<Vec<Vec<Instance>>>,
    /// In which copies programs were started.
    pub(super) calls: Mutex<Vec<String>>,
    /// What its description says.
    pub(super) services: Vec<Service>,
    /// Whether its description cannot be read.
    pub(super) is_broken: bool,
}

/// A service with these mounts.
pub(super) fn service(name: &str, mounts: Vec<Mount>) -> Service {
    Service {
        name: name.to_owned(),
        origin: None,
        labels: BTreeMap::new(),
        mounts,
        command: Vec::new(),
        optional: false,
        built: false,
        ..Service::default()
    }
}

impl Stack for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn project(&self) -> Result<String, StackError> {
        Ok("demo".to_owned())
    }

    fn services(&self) -> Result<Vec<Service>, StackError> {
        let broken = || StackError::Invalid { file: "compose.yaml".to_owned(), why: "yaml: line 3".to_owned() };
        if self.is_broken { Err(broken()) } else { Ok(self.services.clone()) }
    }

    fn instances(&self, service: &str) -> Result<Vec<Instance>, StackError> {
        if service != "web" {
            return Err(StackError::NoService { service: service.to_owned() });
        }
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }

    fn volumes(&self) -> Result<Vec<Volume>, StackError> {
        Ok(Vec::new())
    }

    fn files(&self) -> Result<Vec<PathBuf>, StackError> {
        Ok(Vec::new())
    }

    fn exec(&self, call: Call<'_>) -> Result<Exec, StackError> {
        let instance = call.instance.unwrap();
        self.calls.lock().unwrap().push(instance.to_owned());
        let env = [("INSTANCE", instance)];
        Host.exec(Call { env: &env, stdin: None, ..call })
    }

    fn restart(&self, _: &str) -> Result<(), StackError> {
        unreachable!("nobody asks for it")
    }

    fn stop(&self, _: &str, _: &[Instance]) -> Result<(), StackError> {
        unreachable!("nobody asks for it")
    }

    fn start(&self, _: &str, _: &[Instance]) -> Result<(), StackError> {
        unreachable!("nobody asks for it")
    }

    fn create(&self) -> Result<(), StackError> {
        unreachable!("nobody asks for it")
    }

    fn up(&self, _: &[&str]) -> Result<(), StackError> {
        unreachable!("nobody asks for it")
    }

    fn state(&self, service: &str) -> Result<ServiceState, StackError> {
        Err(StackError::NoService { service: service.to_owned() })
    }
}
