//! Containers for the moment: to rehearse a restore in, and to load something in beside a live server.
//!
//! ```text
//! Lease      a private folder with a lock in it: as long as the lock is held, what carries its mark is somebody's
//! Scratch    a project of its own: the services of a description, without ports, volumes, neighbours or a way out
//! Companion  one container that shares the network of a live one, and nothing else
//! ```
//! Everything is made with the mark of its lease, and goes when it is dropped. What a killed run leaves behind has the mark
//! of a lease that nobody holds: [`sweep`] removes it.

mod companion;
mod lease;
mod model;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::compose::{Compose, docker};
use super::{Call, Exec, Instance, Service, ServiceState, Stack, StackError, Volume};
use crate::atomic::AtomicError;
use crate::child::ChildError;
use crate::error::Explain;
use crate::exit::Exit;
use crate::lock::LockError;
pub use companion::Companion;
pub use lease::{Lease, sweep};
pub use model::{CLOCK, Part, Variable};

/// The label with the lease: the path of its lock.
const MARK: &str = "shipshape.scratch";

/// How the names of rehearsal projects begin.
pub(super) const PROJECT: &str = "shipshape-drill-";

/// How long fetching an image may take.
const PULL_DEADLINE: std::time::Duration = std::time::Duration::from_secs(1800);

/// Why there are no containers for the moment.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The folder of the lease cannot be made.
    #[error(transparent)]
    Folder(#[from] AtomicError),
    /// The lock in it cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The engine refuses.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// An image is neither here nor to be fetched.
    #[error("the image {image} of the service {service} cannot be had: {why}")]
    NoImage {
        /// The service.
        service: String,
        /// Its image.
        image: String,
        /// In the engine's words.
        why: String,
    },
    /// What should have been made for the moment was there before, or is somebody else's.
    #[error("{what} was not made by this run: nothing is done to it")]
    NotOurs {
        /// A project or a container.
        what: String,
    },
    /// A container ended by itself.
    #[error("a container of {service} ended by itself: {log}")]
    Died {
        /// The service.
        service: String,
        /// The last that it said.
        log: String,
    },
}

impl Explain for ScratchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Folder(cause) => cause.code(),
            Self::Lock(cause) => cause.code(),
            Self::Stack(cause) => cause.code(),
            Self::NoImage { .. } => "scratch.no_image",
            Self::NotOurs { .. } => "scratch.not_ours",
            Self::Died { .. } => "scratch.died",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Folder(cause) => cause.hint(),
            Self::Lock(cause) => cause.hint(),
            Self::Stack(cause) => cause.hint(),
            Self::NoImage { image, .. } => {
                format!("fetch or build it, then run this again: docker pull {image}; docker compose build")
            }
            Self::NotOurs { .. } => "run it again: names are made by chance".to_owned(),
            Self::Died { .. } => {
                "it says itself why: data of a newer version needs a newer image; another setting may be missing here"
                    .to_owned()
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Folder(cause) => cause.exit(),
            Self::Lock(cause) => cause.exit(),
            Self::Stack(cause) => cause.exit(),
            Self::NoImage { .. } | Self::NotOurs { .. } => Exit::Unknown,
            Self::Died { .. } => Exit::Critical,
        }
    }
}

impl From<ChildError> for ScratchError {
    fn from(cause: ChildError) -> Self {
        Self::Stack(cause.into())
    }
}

/// A project for the moment. Only what it has started itself is ever spoken to. It goes with its lease.
pub struct Scratch {
    compose: Compose,
    name: String,
    /// The containers by their services, as they were found to carry our mark.
    ours: BTreeMap<String, Vec<Instance>>,
}

impl Scratch {
    /// Starts services and waits until they are healthy, as far as they can tell. `folder` is where the paths of the
    /// description lead from; `description` is what Compose makes of the project that they come from, if that is known.
    pub fn start(
        lease: &Lease,
        folder: PathBuf,
        description: Option<&Value>,
        parts: &[Part],
    ) -> Result<Self, ScratchError> {
        fetch(parts)?;
        let name = format!("{PROJECT}{:016x}", crate::machine::random());
        let of_project = format!("label=com.docker.compose.project={name}");
        if !docker(["ps", "--all", "--quiet", "--filter", &of_project]).run()?.stdout.is_empty() {
            return Err(ScratchError::NotOurs { what: format!("the project {name}") });
        }
        let mark = lease.mark();
        let model = model::of(&name, &mark, lease.folder(), description, parts);
        let mut scratch = Self { compose: Compose::given(folder, &name, model), name, ours: BTreeMap::new() };
        scratch.compose.up(&[]).map_err(|refused| scratch.why(refused))?;
        for (service, instance, labels) in scratch.compose.everything()? {
            if !labels.contains(&format!("{MARK}={mark}")) {
                return Err(ScratchError::NotOurs { what: format!("the container {}", instance.name) });
            }
            scratch.ours.entry(service).or_default().push(instance);
        }
        Ok(scratch)
    }

    /// The project's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a container says that did not come up, instead of only that it did not.
    fn why(&self, refused: StackError) -> ScratchError {
        let found = self.compose.everything().unwrap_or_default();
        let dead = found.into_iter().find(|(_, instance, _)| instance.state != ServiceState::Running);
        match dead.and_then(|(service, instance, _)| last_words(service, &instance)) {
            Some((service, log)) => ScratchError::Died { service, log },
            None => refused.into(),
        }
    }
}

/// What a container of a live project said last that should have come up and did not, of one of these services.
pub fn why_down(compose: &Compose, services: &[&str]) -> Option<(String, String)> {
    let is_down = |instance: &Instance| matches!(instance.state, ServiceState::Failed | ServiceState::Changing);
    let mut found = compose.everything().ok()?.into_iter();
    let (service, instance, _) =
        found.find(|(service, instance, _)| services.contains(&service.as_str()) && is_down(instance))?;
    last_words(service, &instance)
}

/// A service, with what its container said last, if it said anything.
fn last_words(service: String, instance: &Instance) -> Option<(String, String)> {
    let log = companion::last_words(&instance.id);
    (!log.is_empty()).then_some((service, log))
}

/// Where the engine keeps what containers write, if that is a folder of this machine.
pub fn data_folder() -> Option<PathBuf> {
    let told = docker(["info", "--format", "{{.DockerRootDir}}"]).run().ok()?.text();
    Some(PathBuf::from(told.trim())).filter(|folder| folder.is_dir())
}

/// Makes sure that the images are here.
fn fetch(parts: &[Part]) -> Result<(), ScratchError> {
    let are_here = |images: &[&str]| {
        let args = ["image", "inspect", "--format", "{{.Id}}", "--"].iter().chain(images);
        docker(args).run().is_ok()
    };
    let images: Vec<&str> = parts.iter().map(|part| part.image.as_str()).collect();
    if images.is_empty() || are_here(&images) {
        return Ok(());
    }
    parts.iter().filter(|part| !are_here(&[&part.image])).try_for_each(pull)
}

fn pull(part: &Part) -> Result<(), ScratchError> {
    let pulled = docker(["pull", "--quiet", "--", &part.image]).deadline(PULL_DEADLINE).run();
    pulled.map(drop).map_err(|refused| match refused {
        ChildError::Failed { stderr, .. } => match super::compose::without_engine(&stderr) {
            Some(gone) => gone.into(),
            None => ScratchError::NoImage {
                service: part.service.clone(),
                image: part.image.clone(),
                why: stderr.lines().last().unwrap_or_default().trim().to_owned(),
            },
        },
        other => other.into(),
    })
}

impl Stack for Scratch {
    fn name(&self) -> &'static str {
        "scratch"
    }

    fn project(&self) -> Result<String, StackError> {
        Ok(self.name.clone())
    }

    fn services(&self) -> Result<Vec<Service>, StackError> {
        self.compose.services()
    }

    /// Those that carry our mark; of others nothing is known here.
    fn instances(&self, service: &str) -> Result<Vec<Instance>, StackError> {
        self.ours.get(service).cloned().ok_or_else(|| StackError::NoService { service: service.to_owned() })
    }

    fn volumes(&self) -> Result<Vec<Volume>, StackError> {
        Ok(Vec::new())
    }

    fn files(&self) -> Result<Vec<PathBuf>, StackError> {
        Ok(Vec::new())
    }

    /// Into a container that carries our mark, and into no other.
    fn exec(&self, call: Call<'_>) -> Result<Exec, StackError> {
        let ours = self.instances(call.service)?;
        let meant = ours.iter().find(|instance| call.instance.is_none_or(|id| id == instance.id));
        let Some(meant) = meant.map(|instance| instance.id.clone()) else {
            return Err(StackError::NoService { service: call.service.to_owned() });
        };
        self.compose.exec(Call { instance: Some(&meant), ..call })
    }

    fn restart(&self, service: &str) -> Result<(), StackError> {
        self.compose.restart(service)
    }

    fn stop(&self, service: &str, instances: &[Instance]) -> Result<(), StackError> {
        self.compose.stop(service, instances)
    }

    fn start(&self, service: &str, instances: &[Instance]) -> Result<(), StackError> {
        self.compose.start(service, instances)
    }

    fn create(&self) -> Result<(), StackError> {
        self.compose.create()
    }

    fn up(&self, services: &[&str]) -> Result<(), StackError> {
        self.compose.up(services)
    }

    fn state(&self, service: &str) -> Result<ServiceState, StackError> {
        self.compose.state(service)
    }
}
