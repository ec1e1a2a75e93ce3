//! Where volumes of a snapshot are on this machine: it may keep them elsewhere, and call the project otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use shipshape_core::archive::index::Root;
use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::{Stack, StackError, Volume};

/// The volumes of the application's stack, if it has one.
pub(super) fn of_app(folder: &Path) -> Result<Vec<Volume>, StackError> {
    Compose::look(folder)?.map_or_else(|| Ok(Vec::new()), |stack| stack.volumes())
}

/// For each volume of a snapshot the one that it is here: the one of that name; else, the project being called otherwise
/// here, the one whose name is the same but for that. Only volumes of the application's own stack come into question,
/// whatever a snapshot says; and no two become one.
pub(super) fn matched<'v>(roots: &[Root], here: &'v [Volume]) -> BTreeMap<String, &'v Volume> {
    let names = roots.iter().filter_map(|root| root.volume.as_deref());
    let mut found: BTreeMap<String, &Volume> =
        names.filter_map(|name| Some((name.to_owned(), one(name, here)?))).collect();
    let all: Vec<&str> = found.values().map(|volume| volume.full_name.as_str()).collect();
    let twice: Vec<String> = all
        .iter()
        .filter(|name| all.iter().filter(|other| other == name).count() > 1)
        .map(ToString::to_string)
        .collect();
    found.retain(|name, volume| *name == volume.full_name || !twice.contains(&volume.full_name));
    found
}

fn one<'v>(name: &str, here: &'v [Volume]) -> Option<&'v Volume> {
    let same = here.iter().find(|volume| volume.full_name == name);
    let ends_so = |volume: &&Volume| name.strip_suffix(&volume.name).is_some_and(|project| project.ends_with('_'));
    // `app_data` and `data` both end `fleet_app_data`: the longer one says more.
    same.or_else(|| here.iter().filter(ends_so).max_by_key(|volume| volume.name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(old: &[&str], here: &[(&str, &str)]) -> Vec<(String, String)> {
        let root = |name: &&str| Root {
            prefix: name.as_bytes().into(),
            path: name.as_bytes().into(),
            volume: Some((*name).to_owned()),
        };
        let volume = |(name, full_name): &(&str, &str)| Volume {
            name: (*name).to_owned(),
            full_name: (*full_name).to_owned(),
            exists: true,
            in_memory: false,
            folder: None,
        };
        let (roots, here): (Vec<Root>, Vec<Volume>) =
            (old.iter().map(root).collect(), here.iter().map(volume).collect());
        matched(&roots, &here).into_iter().map(|(name, volume)| (name, volume.full_name.clone())).collect()
    }

    #[test]
    fn a_volume_is_found_by_its_name_or_under_another_project() {
        let here = [("data", "staging_data"), ("app_data", "staging_app_data"), ("shared", "shared")];
        let found = matches(&["fleet_data", "fleet_app_data", "shared"], &here);
        let told = [("fleet_app_data", "staging_app_data"), ("fleet_data", "staging_data"), ("shared", "shared")];
        assert_eq!(found, told.map(|(old, new)| (old.to_owned(), new.to_owned())));
    }

    #[test]
    fn no_volume_of_another_application_is_ever_meant() {
        assert_eq!(matches(&["other_data"], &[("uploads", "fleet_uploads")]), []);
    }

    #[test]
    fn two_volumes_never_become_one() {
        assert_eq!(matches(&["a_x_data", "a_y_data"], &[("data", "a_data")]), []);
        let own = ("a_data".to_owned(), "a_data".to_owned());
        assert_eq!(matches(&["a_data", "a_y_data"], &[("data", "a_data")]), [own]);
    }
}
