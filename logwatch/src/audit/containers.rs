//! Containers, and how the engine keeps their logs.

use std::fs;
use std::path::Path;

use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::compose::logs::{Logging, Project, everywhere};
use shipshape_core::stack::{Stack, StackError};
use shipshape_core::units::ByteSize;

use super::AuditArgs;
use super::finding::{Finding, Kind};

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    /// The project that it belongs to, if it belongs to one.
    pub(super) project: Option<Project>,
    /// How its log is kept. That was decided when it was made; the engine's defaults (daemon.json) have become part of it.
    pub(super) logging: Logging,
    /// What its log takes up now, where that can be seen.
    pub(super) size: Option<u64>,
}

impl Container {
    fn new(project: Option<Project>, logging: Logging) -> Self {
        let size = logging.path.as_deref().and_then(size);
        Self { project, logging, size }
    }

    /// Whether its log grows without end. The driver `local` rotates by itself (docs.docker.com, "Local file logging
    /// driver"), and others hand the log to somebody else.
    pub(super) fn is_unrotated(&self) -> bool {
        // The engine takes -1 for "no limit", and so does it no value.
        let limit = self.logging.options.get("max-size").filter(|size| !matches!(size.as_str(), "" | "-1"));
        self.logging.driver == "json-file" && limit.is_none()
    }

    /// Why nobody can read its log here.
    fn unreadable(&self) -> Option<String> {
        let driver = &self.logging.driver;
        self.logging.keeps_nothing().then(|| match driver.as_str() {
            "none" => "its log is thrown away (driver none)".to_owned(),
            _ => format!("its log goes elsewhere (driver {driver}), and no copy is kept here"),
        })
    }

    fn finding(&self, kind: Kind, why: String) -> Finding {
        Finding { kind, what: self.logging.instance.name.clone(), size_bytes: self.size, why }
    }
}

/// The containers that are to be looked at: all, those of the application's project, or none.
pub(super) fn look(args: &AuditArgs, dir: Option<&Path>) -> Result<Vec<Container>, StackError> {
    if args.all {
        return Ok(everywhere()?.into_iter().map(|(project, logging)| Container::new(project, logging)).collect());
    }
    let Some(dir) = dir.filter(|_| args.root.is_none()) else { return Ok(Vec::new()) };
    let Some(compose) = Compose::look(dir)? else { return Ok(Vec::new()) };
    let project = Project { name: compose.project()?, dir: dir.to_owned() };
    let containers = compose.logging()?.into_iter();
    Ok(containers.map(|logging| Container::new(Some(project.clone()), logging)).collect())
}

/// What a log and the files that it was rotated into (`-json.log.1`) take up; none where this user cannot see it.
fn size(log: &Path) -> Option<u64> {
    let name = log.file_name()?.to_string_lossy().into_owned();
    let entries = fs::read_dir(log.parent()?).ok()?.flatten();
    let its_own = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name));
    let sizes: Vec<u64> = its_own.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum())
}

/// What is wrong with them.
pub(super) fn findings(containers: &[Container], max_size: u64) -> Vec<Finding> {
    containers.iter().flat_map(|container| of_one(container, max_size)).collect()
}

fn of_one(container: &Container, max_size: u64) -> Vec<Finding> {
    let unrotated = container.is_unrotated().then(|| {
        container.finding(Kind::ContainerUnrotated, "json-file without max-size: its log grows without end".to_owned())
    });
    let unreadable = container.unreadable().map(|why| container.finding(Kind::ContainerUnreadable, why));
    let large = container.size.is_some_and(|size| size > max_size);
    let large = large.then(|| container.finding(Kind::ContainerLarge, format!("larger than {}", ByteSize(max_size))));
    [unrotated, unreadable, large].into_iter().flatten().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};
    use shipshape_core::stack::{Instance, ServiceState};

    /// A container, made ten days before 2026-11-20.
    pub(in super::super) fn container(service: Option<&str>, driver: &str, options: &[(&str, &str)]) -> Container {
        let name = format!("fleet-{}-1", service.unwrap_or("alone"));
        let state = ServiceState::Running;
        let instance = Instance { id: name.clone(), name: name.clone(), number: 1, state, origin: None };
        let logging = Logging {
            service: service.map_or(name, str::to_owned),
            instance,
            created: Utc.with_ymd_and_hms(2026, 11, 10, 0, 0, 0).unwrap(),
            driver: driver.to_owned(),
            options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            path: Some("/nowhere/x-json.log".into()),
        };
        let project = service.map(|_| Project { name: "fleet".to_owned(), dir: "/srv/fleet".into() });
        Container::new(project, logging)
    }

    fn kinds(container: &Container) -> Vec<Kind> {
        of_one(container, 1000).into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn only_a_json_file_without_a_limit_grows_without_end() {
        assert_eq!(kinds(&container(Some("app"), "json-file", &[])), [Kind::ContainerUnrotated]);
        assert_eq!(kinds(&container(Some("app"), "json-file", &[("max-size", "-1")])), [Kind::ContainerUnrotated]);
        assert!(kinds(&container(Some("app"), "json-file", &[("max-size", "10m")])).is_empty());
        for driver in ["local", "journald", "syslog", "fluentd"] {
            assert!(kinds(&container(Some("app"), driver, &[])).is_empty(), "{driver}");
        }
    }

    #[test]
    fn a_log_that_nobody_can_read_is_told() {
        assert_eq!(kinds(&container(None, "none", &[])), [Kind::ContainerUnreadable]);
        let gelf = container(None, "gelf", &[("cache-disabled", "true")]);
        assert_eq!(kinds(&gelf), [Kind::ContainerUnreadable]);
        assert!(findings(&[gelf], 1)[0].why.contains("driver gelf"));
    }

    #[test]
    fn a_large_log_is_told_though_it_is_rotated() {
        let mut large = container(Some("app"), "json-file", &[("max-size", "9g")]);
        large.size = Some(1001);
        assert_eq!(kinds(&large), [Kind::ContainerLarge]);
        large.size = Some(1000);
        assert!(kinds(&large).is_empty());
    }

    #[test]
    fn the_size_is_that_of_the_log_and_of_what_it_was_rotated_into() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("abc-json.log");
        assert_eq!(size(&log), None, "one that is not there has no size, which is not none");
        fs::write(&log, "12345").unwrap();
        fs::write(folder.path().join("abc-json.log.1"), "12").unwrap();
        fs::write(folder.path().join("config.v2.json"), "xxx").unwrap();
        assert_eq!(size(&log), Some(7));
    }
}
