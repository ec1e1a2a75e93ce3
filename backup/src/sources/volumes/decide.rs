//! What becomes of one place that services mount. Pure, but for a look at what kind of thing a path is.

use std::io;
use std::path::{Path, PathBuf};

use shipshape_core::database::{Engine, Found};
use shipshape_core::stack::{Mount, Service, Volume};

use crate::sources::data_folders::{Live, dumped_from};
use crate::stack::Surroundings;

/// Folders of the system. What is mounted from there is the machine's and not the application's.
const OF_THE_SYSTEM: [&str; 12] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/boot",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/var/lib/docker",
];

/// Single files and a few folders of `/etc` are the system's too, the rest may well be data (`/etc/letsencrypt`).
const OF_THE_SYSTEM_IN_ETC: [&str; 3] = ["/etc/ssl", "/etc/pki", "/etc/ca-certificates"];

/// Where services are told what to do. Nothing that they keep lies there, also where they could write it.
const SETTINGS: [&str; 2] = ["/etc", "/docker-entrypoint-initdb.d"];

/// A service's mount.
#[derive(Debug)]
pub(super) struct Use<'a> {
    pub(super) service: &'a Service,
    pub(super) mount: &'a Mount,
    of: Of<'a>,
}

/// What a service is to the backup.
#[derive(Clone, Copy, Debug)]
enum Of<'a> {
    /// A database server that is dumped.
    Server(Engine),
    /// One that is not, and why.
    LeftOut(&'a str),
    /// Anything else.
    Other,
}

/// What becomes of a place.
#[derive(Debug)]
pub(super) enum Decision {
    /// Its files are copied.
    Take,
    /// They are not.
    Omit(String),
    /// A server keeps its data there.
    Live(Live),
    /// There is nothing, and there should be.
    Missing,
}

impl Use<'_> {
    /// Whether the service is a database server, dumped or not.
    pub(super) fn is_server(&self) -> bool {
        !matches!(self.of, Of::Other)
    }

    /// The engine of a server that is dumped.
    pub(super) fn engine(&self) -> Option<Engine> {
        match self.of {
            Of::Server(engine) => Some(engine),
            Of::LeftOut(_) | Of::Other => None,
        }
    }

    /// Whether a service that is no server writes there.
    fn is_written_by_the_application(&self) -> bool {
        !self.mount.read_only && !self.is_server()
    }

    /// The data of a server, if this is where it keeps it.
    fn live(&self) -> Option<Live> {
        let name = &self.service.name;
        match self.of {
            Of::Server(engine) if engine.keeps_data_at(&self.mount.target) => Some(Live::dumped(dumped_from(name))),
            Of::Server(_) | Of::LeftOut(_) | Of::Other => self.left_out(),
        }
    }

    /// What a server keeps that is not dumped, if this is such a place.
    pub(super) fn left_out(&self) -> Option<Live> {
        match self.of {
            Of::LeftOut(why) if !self.mount.read_only && !is_in(&self.mount.target, &SETTINGS) => {
                Some(Live::left_out(format!("the service {} {why}", self.service.name)))
            }
            Of::Server(_) | Of::LeftOut(_) | Of::Other => None,
        }
    }
}

/// All mounts of all services.
pub(super) fn uses(around: &Surroundings) -> Vec<Use<'_>> {
    uses_of(&around.services, &around.found)
}

fn uses_of<'a>(services: &'a [Service], found: &'a Found) -> Vec<Use<'a>> {
    let of = |service: &Service| {
        let server = found.servers.iter().find(|server| server.service.name == service.name);
        let left_out = || found.left_out.iter().find(|left_out| left_out.service == service.name);
        match server {
            Some(server) => Of::Server(server.engine),
            None => left_out().map_or(Of::Other, |left_out| Of::LeftOut(&left_out.why)),
        }
    };
    let of_one = |service: &'a Service| {
        let of = of(service);
        service.mounts.iter().map(move |mount| Use { service, mount, of })
    };
    services.iter().flat_map(of_one).collect()
}

/// What becomes of a volume that its owner has nothing against.
pub(super) fn of_volume(volume: &Volume, uses: &[&Use<'_>]) -> Decision {
    if uses.is_empty() {
        return Decision::Omit("no service mounts it".to_owned());
    }
    match live(uses) {
        Some(live) => Decision::Live(live),
        None if volume.in_memory => Decision::Omit("it is kept in memory".to_owned()),
        None if !volume.exists => Decision::Missing,
        None => Decision::Take,
    }
}

/// What becomes of a folder or file of this machine.
pub(super) fn of_folder(path: &Path, uses: &[&Use<'_>]) -> Decision {
    if let Some(live) = live(uses).filter(|_| path.is_dir()) {
        return Decision::Live(live);
    }
    if is_of_the_system(path) {
        Decision::Omit("it is the system's".to_owned())
    } else if !path.is_dir() && !path.is_file() {
        Decision::Omit("it is neither a folder nor a file".to_owned())
    } else if uses.iter().all(|mounted| mounted.mount.read_only) {
        let path = path.display();
        Decision::Omit(format!("services only read it; to copy it: [backup] files = [\".\", \"{path}\"]"))
    } else {
        Decision::Take
    }
}

/// Why something that is mounted and is not there is left out; `None` where its absence is an error.
pub(super) fn of_missing(path: &Path, uses: &[&Use<'_>], cause: &io::Error) -> Option<String> {
    if let Some(live) = live(uses) {
        return Some(live.why);
    }
    let why = if cause.kind() == io::ErrorKind::NotFound { "it is not there" } else { "it cannot be reached" };
    if is_of_the_system(path) {
        Some("it is the system's".to_owned())
    } else if uses.iter().all(|mounted| mounted.mount.read_only) {
        Some(format!("{why}, and services only read it"))
    } else if uses.iter().all(|mounted| mounted.mount.read_only || mounted.service.optional) {
        Some(format!("{why}, and only a service of a profile writes it"))
    } else {
        None
    }
}

/// What a server that is dumped keeps is never copied as files; of one that is not, only what the application writes too.
fn live(uses: &[&Use<'_>]) -> Option<Live> {
    let is_shared = uses.iter().any(|mounted| mounted.is_written_by_the_application());
    uses.iter().find_map(|mounted| mounted.live().filter(|live| live.is_dumped() || !is_shared))
}

fn is_of_the_system(path: &Path) -> bool {
    let in_etc = path.starts_with("/etc") && (!path.is_dir() || path == Path::new("/etc"));
    path == Path::new("/") || in_etc || is_in(path, &OF_THE_SYSTEM) || is_in(path, &OF_THE_SYSTEM_IN_ETC)
}

fn is_in(path: &Path, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(PathBuf::from(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::database::find;
    use shipshape_core::stack::MountSource;

    fn service(name: &str, image: &str, mounts: &[(&str, &str)]) -> Service {
        let mount = |(source, target): &(&str, &str)| Mount {
            source: match source.strip_prefix("vol:") {
                Some(volume) => MountSource::Volume(volume.to_owned()),
                None => MountSource::Path(source.into()),
            },
            target: target.trim_end_matches(":ro").into(),
            read_only: target.ends_with(":ro"),
        };
        Service {
            name: name.to_owned(),
            origin: Some(image.to_owned()),
            labels: std::collections::BTreeMap::default(),
            mounts: mounts.iter().map(mount).collect(),
            command: Vec::new(),
            optional: false,
            built: false,
            ..Service::default()
        }
    }

    fn volume(name: &str, services: &[Service]) -> Decision {
        let found = find(services, &std::collections::BTreeMap::default()).unwrap();
        let all = uses_of(services, &found);
        let source = MountSource::Volume(name.to_owned());
        let uses: Vec<&Use<'_>> = all.iter().filter(|mounted| mounted.mount.source == source).collect();
        let folder = Some(PathBuf::from("/x"));
        let volume = Volume {
            name: name.to_owned(),
            full_name: format!("p_{name}"),
            exists: name != "new",
            in_memory: false,
            folder,
        };
        of_volume(&volume, &uses)
    }

    fn folder(path: &Path, services: &[Service]) -> Decision {
        let found = find(services, &std::collections::BTreeMap::default()).unwrap();
        let all = uses_of(services, &found);
        of_folder(path, &all.iter().collect::<Vec<_>>())
    }

    fn why(decision: Decision) -> String {
        match decision {
            Decision::Take => "taken".to_owned(),
            Decision::Omit(why) => why,
            Decision::Live(live) => live.why,
            Decision::Missing => "missing".to_owned(),
        }
    }

    #[test]
    fn a_volume_is_taken_unless_a_server_keeps_its_data_there() {
        let services = [
            service("app", "acme/app", &[("vol:uploads", "/app/uploads"), ("vol:new", "/new")]),
            service("db", "mariadb:11", &[("vol:data", "/var/lib/mysql"), ("vol:logs", "/var/log/mysql")]),
            service("docs", "mongo:7", &[("vol:docs", "/data/db"), ("vol:shared", "/shared")]),
            service("dump", "acme/dump", &[("vol:data", "/source"), ("vol:shared", "/shared")]),
        ];
        assert_eq!(why(volume("uploads", &services)), "taken");
        assert_eq!(why(volume("logs", &services)), "taken");
        assert_eq!(why(volume("new", &services)), "missing");
        assert!(why(volume("data", &services)).contains("dumped from the service db"));
        assert!(why(volume("docs", &services)).contains("the service docs runs mongo:7"));
        assert_eq!(why(volume("shared", &services)), "taken", "the application writes it too");
        assert!(why(volume("unused", &services)).contains("no service mounts it"));
    }

    #[test]
    fn a_folder_elsewhere_is_taken_where_a_service_writes_it() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().to_str().unwrap();
        let writes = [service("app", "acme/app", &[(path, "/srv")]), service("web", "nginx", &[(path, "/srv:ro")])];
        assert_eq!(why(folder(data.path(), &writes)), "taken");
        assert!(why(folder(data.path(), &writes[1..])).contains("only read it"));
        let server = [service("db", "postgres:17", &[(path, "/var/lib/postgresql/data")])];
        assert!(why(folder(data.path(), &server)).contains("dumped from the service db"));
        let settings = [service("docs", "mongo:7", &[(path, "/docker-entrypoint-initdb.d")])];
        assert_eq!(why(folder(data.path(), &settings)), "taken", "settings are no data of a server");
    }

    #[test]
    fn what_is_the_system_s_is_left_to_it() {
        let services = [service("agent", "acme/agent", &[("/x", "/x")])];
        for path in ["/", "/proc", "/dev/null", "/etc/localtime", "/etc/ssl/certs", "/var/run/docker.sock", "/etc"] {
            assert!(why(folder(Path::new(path), &services)).contains("the system's"), "{path}");
        }
        assert!(!is_of_the_system(Path::new("/srv/uploads")) && !is_of_the_system(Path::new("/devices")));
    }
}
