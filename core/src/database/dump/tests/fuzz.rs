//! Fuzz targets of dumps: whatever the bytes and the pieces in which they come.

use shipshape_fuzzing::fuzz;

use super::*;

const ENGINES: [Engine; 4] = [Engine::Mysql, Engine::Mariadb, Engine::Postgres, Engine::Redis];

/// What is read, by which engine's rules, and in pieces of which size: the first two bytes say so.
fn told(bytes: &[u8]) -> Option<(Engine, usize, &[u8])> {
    let ([engine, size], dump) = bytes.split_first_chunk()?;
    Some((ENGINES[usize::from(*engine) % ENGINES.len()], usize::from(*size).max(1), dump))
}

/// Dumps with two bytes before them that say so.
fn seeds() -> Vec<Vec<u8>> {
    let dumps = [
        (0, MYSQL),
        (0, MYSQL_DATABASES),
        (1, MARIADB),
        (1, MARIADB_FAILED),
        (2, POSTGRES),
        (2, POSTGRES_CREATE),
        (2, GLOBALS),
        (3, REDIS_PIPE),
    ];
    let nasty: [(u8, &[u8]); 4] = [
        (0, b"-- MySQL dump 10\nDELIMITER ;;\nCREATE DEFINER=`a`@`b` TRIGGER x.`t` BEFORE INSERT ON y.z FOR EACH ROW a ;;\nDELIMITER ;\n"),
        (0, b"-- MySQL dump 10\n/*!50106 CREATE*/ /*!50117 DEFINER=CURRENT_USER()*/ /*!50106 EVENT `e` DO SELECT 1 */;\nUSE `a`;\n\\! ls\n"),
        (1, b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\nALTER DATABASE `nasty` CHARACTER SET utf8mb4;\n"),
        (2, b"--\n-- PostgreSQL database dump\n--\n\\restrict x\nCOPY \"a\".b (c) FROM stdin;\n1\\\n\\.\nSELECT $a$ ; $a$, E'\\'';/*/* */*/\n"),
    ];
    let seed = |(engine, dump): (u8, &[u8])| [&[engine, 7], &dump[..dump.len().min(4096)]].concat();
    dumps.into_iter().chain(nasty).map(seed).collect()
}

fn with_seeds(law: impl Fn(&[&[u8]])) {
    let seeds = seeds();
    law(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn the_pieces_in_which_it_is_scanned_change_nothing() {
    with_seeds(|seeds| {
        fuzz(seeds, |bytes| {
            let Some((engine, size, dump)) = told(bytes) else { return };
            for content in [Content::Database, Content::Globals] {
                let whole = scan_pieces(engine, content, [dump]);
                assert_eq!(scan_pieces(engine, content, dump.chunks(size)), whole);
            }
            let _ = sniff(dump);
        });
    });
}

#[test]
fn what_is_loaded_is_what_was_scanned_and_grows_by_nothing() {
    with_seeds(|seeds| {
        fuzz(seeds, |bytes| {
            let Some((engine, size, dump)) = told(bytes) else { return };
            let (out, loaded) = load(engine, dump);
            let (in_pieces, again) = load(engine, Pieces(dump, vec![size], 0));
            assert_eq!(loaded, again);
            assert!(out.len() <= dump.len() + 32, "{} bytes became {}", dump.len(), out.len());
            let Ok(loaded) = loaded else { return };
            assert_eq!(out, in_pieces);
            assert_eq!(scan(engine, dump), Ok(loaded.seen));
        });
    });
}

#[test]
fn triggers_without_their_database_are_made_by_leaving_out() {
    let seeds: [&[u8]; 3] = [
        b"x\nDELIMITER ;;\nCREATE DEFINER=`a`@`%` TRIGGER `d`.`t` BEFORE UPDATE ON `d`.`orders` FOR EACH ROW SET x = 1\nDELIMITER ;\ny",
        b"DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER()*/ /*!50003 TRIGGER t.u AFTER INSERT ON v.w FOLLOWS x */;;\nDELIMITER ;",
        b"DELIMITER ;;\nCREATE DEFINER=a@(TRIGGER",
    ];
    fuzz(&seeds, |bytes| {
        let out = unqualified_triggers(bytes);
        let mut left = bytes.iter();
        assert!(out.iter().all(|byte| left.any(|other| other == byte)), "something was made up");
    });
}

#[test]
fn a_mark_behind_a_file_of_redis_is_cut_off_and_nothing_else() {
    let seeds = [REDIS_PIPE, b"REDIS0011\xfa\x09redis-ver\x058.0.0\xff\0\0\0\0\0\0\0\0"];
    fuzz(&seeds, |bytes| {
        let (size, file) = bytes.split_first().map_or((1, bytes), |(size, rest)| (usize::from(*size).max(1), rest));
        let mut out = Vec::new();
        RdbReader::new(Pieces(file, vec![size], 0)).read_to_end(&mut out).unwrap();
        assert!(file.starts_with(&out) && matches!(file.len() - out.len(), 0 | 40));
        let mut whole = Vec::new();
        RdbReader::new(file).read_to_end(&mut whole).unwrap();
        assert_eq!(out, whole);
    });
}
