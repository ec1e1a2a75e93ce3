//! Whether what was restored works: what services mount is there, and their servers let us in.

use std::path::Path;

use shipshape_core::database::{Client, Server};
use shipshape_core::error::{Failure, chain};
use shipshape_core::report::Notice;
use shipshape_core::signal;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{MountSource, Service, Stack};

use crate::place::shown;

/// How [`missing`] is told.
const NO_SOURCE: &str = "restore.no_source";

/// Warns of what services mount of this machine and is not there: the engine would make an empty folder of that name,
/// whatever it should be. To be asked before anything starts; the data of servers is theirs to make.
pub(super) fn missing(stack: &Compose, servers: &[Server]) -> Result<Vec<Notice>, Failure> {
    let services = stack.services()?;
    let gone = services.iter().filter(|service| !service.optional).flat_map(|service| gone(service, servers));
    let mut gone: Vec<String> = gone.map(shown).collect();
    gone.sort();
    gone.dedup();
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let all = gone.join(", ");
    let message =
        format!("services mount what is neither here nor in the snapshot: {all}; empty folders take its place");
    let hint = "if it should be something else: docker compose down, put it there instead, docker compose up -d --wait; \
         and let backup take it";
    Ok(vec![Notice::new(NO_SOURCE, message, hint)])
}

/// What a service mounts and is not there.
fn gone<'s>(service: &'s Service, servers: &[Server]) -> impl Iterator<Item = &'s Path> {
    let engine = servers.iter().find(|server| server.service.name == service.name).map(|server| server.engine);
    let is_data = move |target: &Path| engine.is_some_and(|engine| engine.keeps_data_at(target));
    service.mounts.iter().filter_map(move |mount| match &mount.source {
        MountSource::Path(path) => (!path.exists() && !is_data(&mount.target)).then_some(path.as_path()),
        MountSource::Volume(_) | MountSource::Anonymous | MountSource::Nothing => None,
    })
}

/// Warns of servers that do not let us in with the settings that came back, as nobody else would be.
pub(super) fn closed(stack: &Compose, servers: &[Server]) -> Result<Vec<Notice>, Failure> {
    let mut notices = Vec::new();
    for server in servers {
        let Err(refused) = Client::new(stack, server.clone()).and_then(|client| client.ready()) else { continue };
        signal::check()?;
        let name = &server.service.name;
        let message =
            format!("everything is restored, but the server of {name} does not let us in: {}", chain(&refused));
        let hint = format!(
            "its data may have been made with another password than the one in .env: compare them, or empty its volume \
             and run this again; docker compose --project-directory {} logs {name}",
            shown(stack.dir())
        );
        notices.push(Notice::new("restore.no_login", message, hint));
    }
    Ok(notices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::config::DatabaseSection;
    use shipshape_core::database::Engine;
    use shipshape_core::stack::Mount;
    use std::collections::BTreeMap;

    #[test]
    fn only_what_a_server_makes_itself_may_be_missing() {
        let mount = |source: &str, target: &str| Mount {
            source: MountSource::Path(source.into()),
            target: target.into(),
            read_only: false,
        };
        let mounts = vec![mount("/none/data", "/data"), mount("/none/redis.conf", "/etc/redis.conf"), mount("/", "/x")];
        let service = |name: &str| Service {
            name: name.to_owned(),
            origin: None,
            labels: BTreeMap::new(),
            mounts: mounts.clone(),
            command: Vec::new(),
            optional: false,
            built: false,
            ..Service::default()
        };
        let server = Server { service: service("cache"), engine: Engine::Redis, section: DatabaseSection::default() };
        let told = |name: &str| gone(&service(name), std::slice::from_ref(&server)).map(shown).collect::<Vec<_>>();
        assert_eq!(told("cache"), ["/none/redis.conf"]);
        assert_eq!(told("web"), ["/none/data", "/none/redis.conf"]);
    }
}
