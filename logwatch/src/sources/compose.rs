//! Services of the application: which containers they have, and which of them are to be read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use shipshape_core::stack::Stack;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::compose::logs::Logging;

use super::absent::Absent;
use super::container::{Container, Gone};
use super::{Cursor, Source, SourceError};

/// What stands for all services: no name of one (compose-spec, "services").
pub(super) const ALL: &str = "*";

/// Whether a folder has a project whose services could be read.
pub(super) fn is_in(dir: &Path) -> Result<bool, SourceError> {
    Ok(Compose::look(dir)?.is_some())
}

/// A source for each copy of these services.
pub(super) fn sources(dir: Option<&Path>, services: &[String]) -> Result<Vec<Box<dyn Source>>, SourceError> {
    let no_project = || SourceError::NoProject { place: dir.map(Path::to_owned) };
    // The one that runs here, whatever its files are called.
    let compose = Arc::new(Compose::look(dir.ok_or_else(no_project)?)?.ok_or_else(no_project)?);
    let logging = compose.logging()?;
    let described = compose.services()?.into_iter().map(|service| service.name);
    // What runs of a service that is described no more is read as well.
    let there = described.chain(logging.iter().map(|container| container.service.clone())).collect();
    let wanted = wanted(services, &there)?;
    let logging: Vec<Logging> = logging.into_iter().filter(|one| wanted.contains(&one.service)).collect();
    let missing = missing(services, &wanted, &logging);
    let present = copies(logging).map(|(newest, before)| Container::new(&compose, newest, before));
    let present = present.map(|it| Box::new(it) as Box<dyn Source>);
    let absent = |what: String| Absent::new(what.clone(), SourceError::NoContainer { what });
    let missing = missing.into_iter().map(|what| Box::new(absent(what)) as Box<dyn Source>);
    Ok(present.chain(missing).collect())
}

/// The services that are meant, each of which must be there.
fn wanted(services: &[String], there: &BTreeSet<String>) -> Result<BTreeSet<String>, SourceError> {
    if services.iter().any(|service| service == ALL) {
        return Ok(there.clone());
    }
    match services.iter().find(|service| !there.contains(*service)) {
        Some(service) => {
            Err(SourceError::NoService { service: service.clone(), known: there.iter().cloned().collect() })
        }
        None => Ok(services.iter().cloned().collect()),
    }
}

/// The newest container of each copy of a service, and those before it, which are there while one takes the place of
/// another. They come so that the newest of each copy is the first.
fn copies(logging: Vec<Logging>) -> impl Iterator<Item = (Logging, Vec<Logging>)> {
    let mut copies: BTreeMap<(String, u32), (Logging, Vec<Logging>)> = BTreeMap::new();
    for container in logging {
        match copies.entry((container.service.clone(), container.instance.number)) {
            Entry::Vacant(copy) => drop(copy.insert((container, Vec::new()))),
            Entry::Occupied(mut copy) => copy.get_mut().1.push(container),
        }
    }
    copies.into_values()
}

/// What has no container, and should: a service that somebody has named; or all, where there is none at all. That one of
/// all services has none is not unusual: it is done, or not in use here.
fn missing(services: &[String], wanted: &BTreeSet<String>, logging: &[Logging]) -> Vec<String> {
    let met: BTreeSet<&String> = logging.iter().map(|container| &container.service).collect();
    if services.iter().any(|service| service == ALL) {
        return if met.is_empty() { vec!["the project".to_owned()] } else { Vec::new() };
    }
    wanted.iter().filter(|name| !met.contains(name)).map(|name| format!("the service `{name}`")).collect()
}

/// Copies of these services that were read before, and are gone without others in their places.
pub(super) fn gone(
    services: &[String],
    sources: &[Box<dyn Source>],
    known: &BTreeMap<String, Cursor>,
) -> Vec<Box<dyn Source>> {
    let present: BTreeSet<String> = sources.iter().map(|source| source.key()).collect();
    let is_meant = |name: &str| services.iter().any(|service| service == ALL || service == name);
    let gone = |(key, cursor): (&String, &Cursor)| match cursor {
        Cursor::Container(left) if !present.contains(key) => Gone::new(key, left).filter(|it| is_meant(it.service())),
        _ => None,
    };
    known.iter().filter_map(gone).map(|it| Box::new(it) as Box<dyn Source>).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::container::tests::logging;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn there() -> BTreeSet<String> {
        names(&["app", "queue"]).into_iter().collect()
    }

    #[test]
    fn a_service_that_is_not_there_is_refused_with_those_that_are() {
        assert_eq!(wanted(&names(&["*"]), &there()).unwrap(), there());
        let refused = wanted(&names(&["app", "que"]), &there()).unwrap_err();
        assert!(
            matches!(refused, SourceError::NoService { service, known } if service == "que" && known == names(&["app", "queue"]))
        );
    }

    #[test]
    fn containers_of_one_copy_are_one_source() {
        let containers = vec![logging("app", 1, "new"), logging("app", 1, "old"), logging("app", 2, "b")];
        let copies: Vec<(String, usize)> =
            copies(containers).map(|(newest, before)| (newest.instance.id, before.len())).collect();
        assert_eq!(copies, [("new".to_owned(), 1), ("b".to_owned(), 0)]);
    }

    #[test]
    fn only_a_service_that_somebody_has_named_must_have_a_container() {
        let logging = [logging("app", 1, "a")];
        assert_eq!(missing(&names(&["app", "queue"]), &there(), &logging), ["the service `queue`"]);
        assert!(missing(&names(&["*"]), &there(), &logging).is_empty());
        assert_eq!(missing(&names(&["*"]), &there(), &[]), ["the project"]);
    }
}
