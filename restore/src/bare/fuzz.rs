//! Fuzz target of a file that somebody brings, before it is known what it is.

use std::io::{Cursor, Read};
use std::path::Path;

use shipshape_core::archive::keys::Identities;
use shipshape_fuzzing::fuzz;

use super::sniff::{self, Found};

#[test]
fn whatever_a_file_is_nothing_of_it_is_lost_by_looking() {
    let seeds: [&[u8]; 6] = [
        b"-- MySQL dump 10.13  Distrib 8.0.35\n",
        b"--\n-- PostgreSQL database cluster dump\n--\n",
        b"REDIS0011\xfa",
        b"APP_KEY=x\nDB=y\n",
        b"PGDMP\x01",
        &[0; 1024],
    ];
    fuzz(&seeds, |bytes| {
        for name in ["db_1.sql", "env_1", "files.tar.gz"] {
            let file = Box::new(Cursor::new(bytes.to_vec()));
            let Ok(found) = sniff::open(file, Path::new(name), &Identities::default()) else { continue };
            let mut read = Vec::new();
            let ended = match found {
                Found::Tar(plain) | Found::Dump(_, plain) => plain.take(1 << 20).read_to_end(&mut read).is_ok(),
                Found::Environment(text) => {
                    read = text;
                    true
                }
            };
            let is_wrapped = bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
            assert!(is_wrapped || (ended && read == bytes));
        }
    });
}
