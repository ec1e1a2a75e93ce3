//! What the payloads of servers are called: after the database, where that can be; the same from run to run. Pure.

use std::collections::BTreeSet;

use shipshape_core::archive::manifest::Payload;
use shipshape_core::database::Database;
use shipshape_core::name;

/// What names a payload that belongs to a whole server.
const GLOBALS: &str = "-globals";

/// What is to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    service: String,
    /// None for what belongs to the whole server.
    database: Option<String>,
}

impl Whose {
    pub(super) fn new(service: &str, database: Option<&Database>) -> Self {
        Self { service: service.to_owned(), database: database.map(|database| database.name.clone()) }
    }

    /// The name that it has in an earlier snapshot.
    fn in_snapshot(&self, payloads: &[Payload]) -> Option<String> {
        let is_this = |payload: &&Payload| {
            payload.database.as_ref().is_some_and(|facts| {
                let database = (!facts.globals).then_some(facts.database.as_str());
                facts.service == self.service && database == self.database.as_deref()
            })
        };
        payloads.iter().find(is_this).map(|payload| payload.name.clone())
    }

    /// The name that it would like, if nobody else does.
    fn wish(&self) -> Option<String> {
        match &self.database {
            Some(database) => name::is_valid(database).then(|| database.clone()),
            None => Some(format!("{}{GLOBALS}", self.service)),
        }
    }

    /// The name that it takes otherwise.
    fn long(&self) -> String {
        let end = self.database.as_deref().unwrap_or("globals");
        name::mend(&format!("{}-{end}", self.service), "database")
    }
}

/// Gives names that nothing else has.
pub(super) struct Names {
    taken: BTreeSet<String>,
    before: Vec<Payload>,
}

impl Names {
    pub(super) fn new(mut taken: BTreeSet<String>, before: &[Payload]) -> Self {
        taken.extend(["files", "config"].map(str::to_owned));
        let of_servers = before.iter().filter(|payload| payload.database.is_some());
        Self { taken, before: of_servers.cloned().collect() }
    }

    /// A name for each. Those of the last snapshot stay, so that what is new never takes the name of what was there.
    pub(super) fn of(&mut self, all: &[Whose]) -> Vec<String> {
        let mut names: Vec<Option<String>> = all.iter().map(|whose| self.keep(whose)).collect();
        let wishes: Vec<Option<String>> = all.iter().map(Whose::wish).collect();
        let is_shared = |wish: &Option<String>| wishes.iter().filter(|other| *other == wish).count() > 1;
        for ((name, whose), wish) in names.iter_mut().zip(all).zip(&wishes) {
            if name.is_none() {
                let free = wish.clone().filter(|text| !is_shared(wish) && !self.taken.contains(text));
                *name = Some(self.take(&free.unwrap_or_else(|| whose.long())));
            }
        }
        names.into_iter().flatten().collect()
    }

    fn keep(&mut self, whose: &Whose) -> Option<String> {
        let name = whose.in_snapshot(&self.before)?;
        self.taken.insert(name.clone()).then_some(name)
    }

    fn take(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        for number in 2_u32.. {
            if self.taken.insert(name.clone()) {
                break;
            }
            let room = name::LONGEST - number.to_string().len() - 1;
            name = format!("{}-{number}", wish.get(..room).unwrap_or(wish));
        }
        name
    }
}

/// What a payload's object is called: `database-fleetbase.sql`, `globals-database.sql`.
pub(super) fn stem(name: &str, is_globals: bool, suffix: &str) -> String {
    if is_globals {
        format!("globals-{}.{suffix}", name.strip_suffix(GLOBALS).unwrap_or(name))
    } else {
        format!("database-{name}.{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shipshape_core::archive::manifest::{DatabaseFacts, PayloadKind};
    use shipshape_core::database::Engine;

    fn whose(service: &str, database: Option<&str>) -> Whose {
        Whose { service: service.to_owned(), database: database.map(str::to_owned) }
    }

    fn names(all: &[Whose]) -> Vec<String> {
        Names::new(BTreeSet::new(), &[]).of(all)
    }

    /// The payloads of a snapshot in which these had these names.
    fn stored(all: &[Whose], names: &[String]) -> Vec<Payload> {
        let payload = |(whose, name): (&Whose, &String)| Payload {
            name: name.clone(),
            kind: PayloadKind::Database,
            object: String::new(),
            bytes_plain: 0,
            bytes_stored: 0,
            sha256_plain: String::new(),
            sha256_stored: String::new(),
            entries: 1,
            database: Some(DatabaseFacts {
                globals: whose.database.is_none(),
                ..DatabaseFacts::new(
                    Engine::Postgres,
                    whose.database.clone().unwrap_or_default(),
                    whose.service.clone(),
                )
            }),
        };
        all.iter().zip(names).map(payload).collect()
    }

    #[test]
    fn a_database_gives_its_name_unless_it_is_odd_or_shared() {
        let all = [
            whose("db", None),
            whose("db", Some("fleet")),
            whose("db", Some("my fleet")),
            whose("db", Some("shop")),
            whose("old", Some("shop")),
            whose("x", Some("files")),
            whose("db", Some("a b")),
            whose("db", Some("a'b")),
        ];
        let expected = ["db-globals", "fleet", "db-my-fleet", "db-shop", "old-shop", "x-files", "db-a-b", "db-a-b-2"];
        assert_eq!(names(&all), expected);
    }

    #[test]
    fn a_name_once_given_stays_when_another_server_brings_the_same_database() {
        let first = [whose("new", Some("shop"))];
        let before = stored(&first, &names(&first));
        let both = [whose("a", Some("shop")), whose("new", Some("shop"))];
        assert_eq!(Names::new(BTreeSet::new(), &before).of(&both), ["a-shop", "shop"]);
    }

    #[test]
    fn objects_are_called_after_what_is_in_them() {
        assert_eq!(stem("fleetbase", false, "sql"), "database-fleetbase.sql");
        assert_eq!(stem("database-globals", true, "sql"), "globals-database.sql");
    }

    proptest! {
        #[test]
        fn names_are_valid_distinct_and_the_same_in_the_next_run(
            all in proptest::collection::btree_set(("[ab]", proptest::option::of("[-ab ü'`]{0,3}")), 0..12)
        ) {
            let all: Vec<Whose> = all.into_iter().map(|(service, database)| Whose { service, database }).collect();
            let given = names(&all);
            prop_assert_eq!(given.len(), all.len());
            prop_assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), all.len());
            prop_assert!(given.iter().all(|name| name::is_valid(name)));
            let before = stored(&all, &given);
            prop_assert_eq!(Names::new(BTreeSet::new(), &before).of(&all), given);
        }
    }
}
