//! Dumps of any tables, in all forms, and anything that only looks like one.

use super::*;

fn tables() -> impl Strategy<Value = Tables> {
    let nasty = "([a-z(),;'\"`\\\\\n\t$#é -]|--|/\\*|\\*/|INSERT INTO|;\n|\\\\\\.\n|DELIMITER|\\$\\$){0,8}";
    let row = (nasty, proptest::option::of(nasty));
    proptest::collection::btree_map("[a-z`\" ;()'.\\\\]{1,6}", proptest::collection::vec(row, 0..5), 0..5)
}

/// A string as mysqldump writes it.
fn mysql_string(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\\\"").replace('\n', "\\n");
    format!("'{escaped}'")
}

/// The form in which rows are written.
#[derive(Clone, Copy, Debug)]
enum Form {
    OneLine,
    LineByLine,
    OneByOne,
}

fn mysql_dump(tables: &Tables, form: Form) -> String {
    let mut dump = "-- MySQL dump 10.13  Distrib 8.0.35, for Linux\n".to_owned();
    for (name, rows) in tables {
        let name = format!("`{}`", name.replace('`', "``"));
        let cell = |cell: &Option<String>| cell.as_deref().map_or("NULL".to_owned(), mysql_string);
        let rows: Vec<_> = rows.iter().map(|(a, b)| format!("({},-1.5,{})", mysql_string(a), cell(b))).collect();
        writeln!(dump, "CREATE TABLE {name} (\n  `a(` text COMMENT 'it''s ;'\n);").unwrap();
        match form {
            _ if rows.is_empty() => {}
            Form::OneLine => writeln!(dump, "INSERT INTO {name} VALUES {};", rows.join(",")).unwrap(),
            Form::LineByLine => writeln!(dump, "INSERT INTO {name} VALUES\n{};", rows.join(",\n")).unwrap(),
            Form::OneByOne => {
                for row in rows {
                    writeln!(dump, "INSERT INTO {name} (`a(`, b) VALUES {row};").unwrap();
                }
            }
        }
    }
    dump + "-- Dump completed on 2026-11-20  8:36:36\n"
}

fn postgres_dump(tables: &Tables, form: Form) -> String {
    let mut dump = "--\n-- PostgreSQL database dump\n--\n\n".to_owned();
    let copied = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    for (name, rows) in tables {
        let name = postgres_name(name);
        writeln!(dump, "CREATE TABLE {name} (\n    \"a(\" text DEFAULT E'\\'(;'::text\n);").unwrap();
        if let Form::OneByOne = form {
            for (a, b) in rows {
                let b = b.as_deref().map_or("NULL".to_owned(), quoted);
                writeln!(dump, "INSERT INTO {name} VALUES ({}, {b});", quoted(a)).unwrap();
            }
            continue;
        }
        writeln!(dump, "COPY {name} (\"a(\", b) FROM stdin;").unwrap();
        for (a, b) in rows {
            writeln!(dump, "{}\t{}", copied(a), b.as_deref().map_or("\\N".to_owned(), copied)).unwrap();
        }
        dump.push_str("\\.\n\n");
    }
    dump + "--\n-- PostgreSQL database dump complete\n--\n\n"
}

fn postgres_name(name: &str) -> String {
    format!("public.\"{}\"", name.replace('"', "\"\""))
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::OneLine), Just(Form::LineByLine), Just(Form::OneByOne)]
}

/// Bytes that mean something, in any order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = "(-- |--\n|/\\*|\\*/|/\\*!50001 |'|\"|`|\\\\|;|;;|\\$|\\$a\\$|\n|DELIMITER |DELIMITER ;;\n|COPY t FROM stdin;\n|\\\\\\.\n|\
        CREATE |EVENT |DEFINER=|@|`a`|INSERT INTO t VALUES |\\(|\\)|,|E|#|-- Dump completed|ALTER DATABASE |USE |x|\\\\connect |\
        SET |sql_mode|\\.)";
    let words = proptest::collection::vec(words, 0..40).prop_map(|words| words.concat().into_bytes());
    prop_oneof![words, proptest::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn rows_are_counted_as_they_were_written(tables in tables(), form in form(), size in 1_usize..40) {
        let by_table = |name: fn(&str) -> String| -> BTreeMap<String, u64> {
            tables.iter().map(|(table, rows)| (name(table), rows.len() as u64)).collect()
        };
        for (engine, dump, expected) in [
            (Engine::Mysql, mysql_dump(&tables, form), by_table(str::to_owned)),
            (Engine::Postgres, postgres_dump(&tables, form), by_table(postgres_name)),
        ] {
            let seen = scan_pieces(engine, Content::Database, dump.as_bytes().chunks(size));
            prop_assert_eq!(&seen.as_ref().unwrap().tables, &expected, "{}", dump);
            let (out, loaded) = load(engine, Pieces(dump.as_bytes(), vec![size], 0));
            prop_assert_eq!(String::from_utf8(out).unwrap(), dump);
            prop_assert_eq!(loaded.unwrap().seen, seen.unwrap());
        }
    }

    #[test]
    fn the_pieces_in_which_a_dump_comes_change_nothing(
        which in 0_usize..5,
        sizes in proptest::collection::vec(1_usize..300, 1..9),
    ) {
        let (engine, dump, _) = whole()[which];
        let (out, loaded) = load(engine, Pieces(dump, sizes, 0));
        prop_assert_eq!((out, loaded), load(engine, dump));
    }

    #[test]
    fn no_bytes_make_it_panic_and_their_pieces_change_nothing(bytes in soup(), size in 1_usize..20) {
        for engine in [Engine::Mysql, Engine::Postgres, Engine::Redis] {
            for head in ["", "-- MySQL dump 10\n", "--\n-- PostgreSQL database dump\n", "REDIS0011"] {
                let bytes = [head.as_bytes(), &bytes].concat();
                let whole = scan(engine, &bytes);
                prop_assert_eq!(&scan_pieces(engine, Content::Database, bytes.chunks(size)), &whole);
                let (out, loaded) = load(engine, &bytes[..]);
                let (_, in_pieces) = load(engine, Pieces(&bytes, vec![size], 0));
                prop_assert_eq!(&loaded, &in_pieces);
                prop_assert!(out.len() <= bytes.len() + 32);
                if let Ok(loaded) = loaded {
                    prop_assert_eq!(Ok(loaded.seen), whole);
                }
            }
        }
    }
}
