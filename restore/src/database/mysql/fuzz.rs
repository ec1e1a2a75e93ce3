//! Fuzz targets of what the server's own client tells of objects and accounts.

use shipshape_core::database::Engine;
use shipshape_fuzzing::fuzz;

use super::accounts::{self, Accounts};
use super::objects;

#[test]
fn objects_of_any_database_lose_its_name_and_nothing_else() {
    let seeds: [&[u8]; 3] = [
        b"x\nALTER DATABASE `shop` CHARACTER SET latin1 ;\nCREATE DEFINER=`root`@`localhost` VIEW `shop`.`v`\n",
        b"select sum(`a__restore_20261120T020000`.`t`.`n`), `a__restore_20261120T020000`.``a__restore_20261120T020000`.x",
        b"-- Host: localhost\nDEFINER=`a`@`b`DEFINER=`c`@",
    ];
    fuzz(&seeds, |bytes| {
        for name in ["shop", "a__restore_20261120T020000"] {
            let out = objects::of_any_database(bytes.to_vec(), name);
            let mut left = bytes.iter();
            assert!(out.iter().all(|byte| left.any(|other| other == byte)), "something was made up");
        }
        assert!(objects::are_same(bytes, bytes));
        assert!(objects::definers(bytes).iter().all(|definer| definer.contains('@')));
    });
}

#[test]
fn the_statements_of_accounts_are_cut_where_the_server_would() {
    let text = b"-- MariaDB dump of accounts\n-- Server version\t11.8\n-- Shipshape: account 'a;b'@'%'\nCREATE USER `a;b`@`%` IDENTIFIED BY 'it''s \\' ;';\nGRANT USAGE ON *.* TO `r` WITH GRANT OPTION;\n";
    fuzz(&[text, b"'\\", b"-"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let pieces = accounts::pieces(&text);
        assert!(pieces.iter().map(String::len).sum::<usize>() <= text.len() + pieces.len());
        let again: String = pieces
            .iter()
            .map(|piece| if piece.starts_with('-') { format!("{piece}\n") } else { format!("{piece};") })
            .collect();
        assert_eq!(accounts::pieces(&again), pieces);
        let _ = Accounts::of(Engine::Mariadb, &text);
    });
}
