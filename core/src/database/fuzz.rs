//! Fuzz targets of what servers and images say.

use shipshape_fuzzing::fuzz;

use super::{Engine, ask};

#[test]
fn the_fields_of_an_answer_are_those_between_its_tabs() {
    fuzz(&[b"server\t11.8.6-MariaDB\t16777216\ndatabase\tshop\\tx\t\\N\n", b"a\\\\\\0\n\n\tb\\"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let rows = ask::rows(&text);
        let fields = text.lines().count() + text.matches('\t').count();
        assert!(rows.iter().map(Vec::len).sum::<usize>() <= fields + 1);
        let escaped = |field: &String| field.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
        let written: Vec<String> =
            rows.iter().map(|row| row.iter().map(escaped).collect::<Vec<_>>().join("\t") + "\n").collect();
        // A row of one empty field is no row.
        if rows.iter().all(|row| row.len() > 1 || !row[0].is_empty()) {
            assert_eq!(ask::rows(&written.concat()), rows);
        }
    });
}

#[test]
fn a_name_is_like_itself_and_like_anything() {
    fuzz(&[b"fleet_1\0fleet\\_1", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\0%a%a%a%a%a%a%a%a%a%a%b", b"\\\0\\"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let (name, pattern) = text.split_once('\0').unwrap_or((&text, ""));
        let literal = name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        assert!(ask::like(name, &literal) && ask::like(name, "%") && ask::like(name, &format!("%{literal}%")));
        if ask::like(name, pattern) {
            assert!(ask::like(name, &format!("%{pattern}")));
        }
    });
}

#[test]
fn an_image_is_of_one_engine_or_of_none() {
    fuzz(
        &[b"bitnami/redis@sha256:00", b"host:5000/team/postgres:17", b"mysql/mysql-server", b"mongo-express"],
        |bytes| {
            let image = String::from_utf8_lossy(bytes);
            let engine = Engine::of_image(&image);
            assert!(engine.is_none_or(|engine| Engine::ALL.contains(&engine)));
            let _ = Engine::is_foreign(&image);
            if let Ok(engine) = image.parse::<Engine>() {
                assert_eq!(engine.name().parse::<Engine>().ok(), Some(engine));
            }
        },
    );
}
