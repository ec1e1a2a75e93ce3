//! Fuzz target of what a dump says of roles and of settings of databases.

use shipshape_core::database::GLOBALS_SETTINGS;
use shipshape_fuzzing::fuzz;

use super::roles::{self, Roles};

#[test]
fn statements_about_roles_are_cut_where_the_server_would() {
    let text = format!(
        "--\n-- PostgreSQL database cluster dump\n--\n\\restrict abc\nCREATE ROLE \"a \"\"b\";\nALTER ROLE app WITH LOGIN PASSWORD 'x;''y';\n\
         GRANT \"a \"\"b\" TO app WITH INHERIT TRUE GRANTED BY postgres;\nCOMMENT ON ROLE app IS E'it\\'s';\n{GLOBALS_SETTINGS}\n\
         ALTER DATABASE shop SET work_mem TO '4MB';\nALTER ROLE app IN DATABASE shop SET x TO 'y';\nGRANT CONNECT ON DATABASE shop TO app;\n"
    );
    fuzz(&[text.as_bytes(), b"CREATE ROLE \"", b"E'\\"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let statements = roles::statements(&text);
        assert!(statements.iter().map(String::len).sum::<usize>() <= text.len());
        let of_all = Roles::of(&text);
        let (names, sql) = of_all.missing(&std::collections::BTreeSet::new());
        assert!(sql.len() <= text.len() + 2 * statements.len() + 2, "{names:?}");
        let moved = of_all.settings_of("shop", "shop__restore");
        // Given back, nothing has changed but how the name is quoted.
        let again = Roles::of(&format!("{GLOBALS_SETTINGS}\n{moved}")).settings_of("shop__restore", "shop__restore");
        assert_eq!(again, moved);
    });
}

#[test]
fn a_quoted_name_reads_as_itself() {
    fuzz(&[b"a \"b\"", b"\"\"", b"app"], |bytes| {
        let name = String::from_utf8_lossy(bytes);
        let quoted = super::quoted(&name);
        assert_eq!(roles::identifier(&quoted), Some((name.clone().into_owned(), "")));
        if let Some((found, rest)) = roles::identifier(&name) {
            assert!(found.len() + rest.len() <= name.len());
        }
        let _ = roles::membership(&name);
    });
}
