//! Which services are databases: by the name of the image, by label, by configuration, in rising order of authority. Pure.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::error::DatabaseError;
use crate::config::DatabaseSection;
use crate::stack::{Service, WebServer};

/// The label that leaves a service out: `shipshape.backup=false`.
const BACKUP_LABEL: &str = "shipshape.backup";

/// A database server among the services.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The service.
    pub service: Service,
    /// What it runs.
    pub engine: Engine,
    /// What the configuration says of it.
    pub section: DatabaseSection,
}

/// A service that may be thought a database and is not copied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The service.
    pub service: String,
    /// The reason, in words that follow its name.
    pub why: String,
    /// Whether somebody decided it; if not, it is worth a warning.
    pub meant: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The servers, in the order of the services.
    pub servers: Vec<Server>,
    /// What is left out.
    pub left_out: Vec<LeftOut>,
}

/// Finds the database servers. Fails on a label or a section that says nothing sensible.
pub fn find(services: &[Service], stated: &BTreeMap<String, DatabaseSection>) -> Result<Found, DatabaseError> {
    if let Some(unknown) = stated.keys().find(|name| !services.iter().any(|service| service.name == **name)) {
        let known = services.iter().map(|service| service.name.clone()).collect();
        return Err(DatabaseError::NoSuchService { service: unknown.clone(), known });
    }
    let mut found = Found::default();
    for service in services {
        let section = stated.get(&service.name).cloned().unwrap_or_default();
        match judge(service, &section)? {
            Judged::Server(engine) => found.servers.push(Server { service: service.clone(), engine, section }),
            Judged::Out(why, meant) => {
                found.left_out.push(LeftOut { service: service.name.clone(), why, meant });
            }
            Judged::NoDatabase => {}
        }
    }
    Ok(found)
}

enum Judged {
    Server(Engine),
    Out(String, bool),
    NoDatabase,
}

fn judge(service: &Service, section: &DatabaseSection) -> Result<Judged, DatabaseError> {
    let stated = section.kind.as_deref().or(service.stated_kind());
    if stated.is_some_and(|kind| kind == "none" || WebServer::of_label(kind).is_some()) {
        return Ok(Judged::NoDatabase);
    }
    let invalid = |source| DatabaseError::UnknownKind { service: service.name.clone(), source };
    let stated = stated.map(str::parse::<Engine>).transpose().map_err(invalid)?;
    // What is built here is called after the project too, and that says nothing of it.
    let image = if service.built { &service.name } else { service.origin.as_deref().unwrap_or_default() };
    let engine = stated.or_else(|| Engine::of_image(image));
    let is_refused = service.labels.get(BACKUP_LABEL).is_some_and(|value| matches!(value.trim(), "false" | "no" | "0"));
    Ok(match (engine, section.backup) {
        (None, _) if Engine::is_foreign(image) => {
            Judged::Out(format!("runs {image}, a database that this version cannot copy"), is_refused)
        }
        (None, _) => Judged::NoDatabase,
        (Some(_), Some(false)) => Judged::Out("is left out by the configuration".to_owned(), true),
        (Some(_), None) if is_refused => Judged::Out(format!("is left out by its label {BACKUP_LABEL}"), true),
        (Some(engine), _) => Judged::Server(engine),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain;

    fn service(name: &str, image: &str, labels: &[(&str, &str)]) -> Service {
        Service {
            name: name.to_owned(),
            origin: Some(image.to_owned()),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            mounts: Vec::new(),
            command: Vec::new(),
            optional: false,
            built: false,
            ..Service::default()
        }
    }

    fn engines(services: &[Service], stated: &[(&str, DatabaseSection)]) -> Vec<(String, Engine)> {
        let stated = stated.iter().map(|(name, section)| ((*name).to_owned(), section.clone())).collect();
        let found = find(services, &stated).unwrap();
        found.servers.into_iter().map(|server| (server.service.name, server.engine)).collect()
    }

    #[test]
    fn a_label_outranks_the_image_and_the_configuration_outranks_both() {
        let services = [service("db", "mysql:8", &[("shipshape.kind", "mariadb")])];
        assert_eq!(engines(&services, &[]), [("db".to_owned(), Engine::Mariadb)]);
        let section = DatabaseSection { kind: Some("postgres".to_owned()), ..DatabaseSection::default() };
        assert_eq!(engines(&services, &[("db", section)]), [("db".to_owned(), Engine::Postgres)]);
    }

    #[test]
    fn an_image_of_one_s_own_is_found_by_its_label() {
        let services = [service("db", "acme/store:7", &[("shipshape.kind", "redis")]), service("web", "nginx", &[])];
        assert_eq!(engines(&services, &[]), [("db".to_owned(), Engine::Redis)]);
    }

    #[test]
    fn a_label_that_names_a_web_server_says_that_it_is_no_database() {
        assert_eq!(engines(&[service("mysql", "mysql:8", &[("shipshape.kind", "nginx")])], &[]), []);
    }

    #[test]
    fn an_image_that_is_built_here_is_judged_by_its_service_and_not_by_its_project() {
        let built = |name: &str| Service { built: true, ..service(name, &format!("redis-demo-{name}"), &[]) };
        assert_eq!(engines(&[built("web"), built("postgres")], &[]), [("postgres".to_owned(), Engine::Postgres)]);
    }

    #[test]
    fn what_is_left_out_is_told_with_its_reason() {
        let services = [
            service("cache", "redis:8", &[("shipshape.backup", "false")]),
            service("docs", "mongo:7", &[]),
            service("not", "mysql:8", &[("shipshape.kind", "none")]),
        ];
        let found = find(&services, &BTreeMap::new()).unwrap();
        assert!(found.servers.is_empty());
        let told: Vec<(&str, bool)> = found.left_out.iter().map(|out| (out.service.as_str(), out.meant)).collect();
        assert_eq!(told, [("cache", true), ("docs", false)]);
    }

    #[test]
    fn the_configuration_may_overrule_the_label_that_leaves_out() {
        let services = [service("cache", "redis:8", &[("shipshape.backup", "false")])];
        let section = DatabaseSection { backup: Some(true), ..DatabaseSection::default() };
        assert_eq!(engines(&services, &[("cache", section)]).len(), 1);
    }

    #[test]
    fn a_slip_in_a_label_or_a_section_is_refused() {
        let services = [service("db", "x", &[("shipshape.kind", "oracle")])];
        assert_eq!(find(&services, &BTreeMap::new()).unwrap_err().code(), "database.unknown_kind");
        let stated = BTreeMap::from([("databse".to_owned(), DatabaseSection::default())]);
        assert_eq!(find(&[], &stated).unwrap_err().code(), "database.no_such_service");
    }
}
