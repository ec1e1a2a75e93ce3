//! Fuzz target of the names that payloads of servers get, whatever databases are called.

use std::collections::BTreeSet;

use shipshape_core::database::Database;
use shipshape_fuzzing::fuzz;

use super::names::{Names, Whose, stem};

#[test]
fn payloads_have_different_names_that_stay_in_their_folder() {
    fuzz(&[b"db\nshop\nshop\nfiles\n../x\n", "a\nb\u{e9}\nb-\n-globals\n".as_bytes(), &[b'x'; 200]], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let database = |name: &str| Database { name: name.to_owned(), ..Database::default() };
        let whose = |service: &str, name: &str| Whose::new(service, Some(&database(name)).filter(|_| !name.is_empty()));
        let all: Vec<Whose> = ["database", "cache"]
            .iter()
            .flat_map(|service| text.lines().take(20).map(|name| whose(service, name)))
            .collect();
        let names = Names::new(BTreeSet::from(["shop".to_owned()]), &[]).of(&all);
        assert_eq!(names.len(), all.len());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        for name in &names {
            assert!(!name.contains('/') && !name.starts_with('.') && name.len() <= 80, "{name}");
            assert!(!stem(name, false, "sql").contains('/'));
        }
    });
}
