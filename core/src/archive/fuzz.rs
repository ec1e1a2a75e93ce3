//! Fuzz targets of what lies in a store, which is everything that somebody may have altered.

use std::io::{Cursor, Read, Write};

use shipshape_fuzzing::fuzz;

use super::entry::{Entry, Time, path_order};
use super::index::{IndexReader, push_line};
use super::keys::Identities;
use super::manifest::{Manifest, pack_name};
use super::names::{self, SnapshotId, Wrapping};
use super::patterns::{Is, Patterns};
use super::tarball::{EndMark, parse_decimal};
use super::{seal, store, unseal};
use crate::config::{Compression, Encryption};

/// The most that is read of what some bytes decompress to.
const ENOUGH: u64 = 1 << 20;

const MANIFEST: &[u8] = include_bytes!(
    "../../../tests/fixtures/store-format-1/store/vps1/app/snapshots/20261120T074451Z-8614/manifest.json"
);

#[test]
fn a_manifest_that_is_read_is_written_and_read_again() {
    let envelope: serde_json::Value = serde_json::from_slice(MANIFEST).unwrap();
    let inner = envelope["manifest"].to_string();
    let seeds = [MANIFEST, inner.as_bytes(), br#"{"format":9}"#];
    fuzz(&seeds, |bytes| {
        drop(Manifest::decode(bytes, "m"));
        // With the right sum around it, so that what is behind the sum is reached.
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let (_, sum) = seal::hash_stored(&mut text.trim().as_bytes()).unwrap();
        let file = format!("{{\"manifest\":{text},\"sha256\":\"{sum}\"}}");
        let Ok(manifest) = Manifest::decode(file.as_bytes(), "m") else { return };
        assert_eq!(Manifest::decode(&manifest.encode().unwrap(), "m").unwrap(), manifest);
        manifest.objects().for_each(|(object, _, _)| assert!(!pack_name(object).contains(['/', '.'])));
    });
}

#[test]
fn an_index_that_is_read_is_written_and_read_again() {
    let header = br#"{"format":1,"app_dir":"/srv/a","roots":[{"prefix":".","path":"/srv/a"}],"exclude":[],"started":"2026-11-20T02:00:00Z"}"#;
    let entry = br#"{"path":{"base64":"/w=="},"kind":"file","mode":420,"uid":0,"gid":0,"mtime":[-5,9],"ctime":[0,0],"ino":7,"size":3,"xattrs":[["user.a",{"base64":"/w=="}]],"pack":"p","offset":512,"blake3":"0707070707070707070707070707070707070707070707070707070707070707"}"#;
    let seeds = [[&header[..], b"\n", entry, b"\n"].concat(), [&header[..], b"\n{}\n"].concat()];
    fuzz(&seeds.each_ref().map(Vec::as_slice), |bytes| {
        let Ok(reader) = IndexReader::new(Box::new(Cursor::new(bytes.to_vec()))) else { return };
        for entry in reader.map_while(Result::ok) {
            let mut line = Vec::new();
            push_line(&mut line, &entry);
            assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "a line each");
            assert_eq!(serde_json::from_slice::<Entry>(&line).unwrap(), entry);
            assert!(path_order(&entry.path.0, &entry.path.0).is_eq());
        }
    });
}

#[test]
fn names_in_a_store_are_read_as_they_are_written() {
    let seeds: [&[u8]; 5] = [
        b"20261120T020000Z-7f3a",
        b"packs/20261120T020000Z-7f3a-0001.tar.zst.age",
        b"snapshots/20261120T020000Z-7f3a/manifest.deleted-20261121T020000Z.json",
        b"snapshots/\xc3\xa4",
        b"packs/20261120T020000Z-7f3\xc3\xa9",
    ];
    fuzz(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(id) = text.parse::<SnapshotId>() {
            assert_eq!((id.as_str(), id.to_string()), (&*text, text.clone().into_owned()));
            assert_eq!(SnapshotId::new(id.time(), id.number()), id);
            let wrapping = Wrapping { compression: Compression::Zstd, encryption: Encryption::Age };
            assert_eq!(names::id_of(&names::pack(&id, 1, wrapping)), Some(id.clone()));
        }
        drop((names::id_of(&text), names::tombstone_time(&text)));
        let wrapping = Wrapping::of_name(&text);
        assert_eq!(Wrapping::of_name(&format!("x{}", wrapping.suffix())), wrapping);
    });
}

#[test]
fn a_decimal_time_is_the_same_when_it_is_written_again() {
    let seeds: [&[u8]; 5] =
        [b"1790000000.000000001", b"-0.75", b"-9223372036854775808", b"--9223372036854775808.5", b"1."];
    fuzz(&seeds, |bytes| {
        let Some(time) = parse_decimal(&String::from_utf8_lossy(bytes)) else { return };
        assert!(time.1 < 1_000_000_000);
        assert_eq!(parse_decimal(&super::tarball::decimal(time)), Some(time));
        assert!(time >= Time(i64::MIN, 0));
    });
}

#[test]
fn patterns_that_compile_match_their_literal() {
    fuzz(&[b"*.log\nstorage/cache/**\n", b"/a{b,[c-d]}\\*\nfolder/\n", b"a\xffb"], |bytes| {
        let texts: Vec<String> = String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
        if let Ok(patterns) = Patterns::new(&texts) {
            let covered = patterns.covers(b"storage/logs/today.log", Is::Folder);
            assert!(covered || !patterns.matches(b"storage/logs/today.log", Is::Folder));
        }
        // As an index has paths: relative, without empty parts.
        let is_path = bytes.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."));
        if is_path && !bytes.contains(&0) {
            let literal = Patterns::new(&[Patterns::literal(bytes)]).unwrap();
            assert!(literal.matches(bytes, Is::Other), "{:?}", Patterns::literal(bytes));
        }
    });
}

/// A tar with one file, wrapped in each way that needs no key, and one of a store; before each a byte that says how.
fn wrapped() -> Vec<Vec<u8>> {
    let mut tar = vec![0; 2048];
    tar[..4].copy_from_slice(b"name");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let zstd = zstd::encode_all(&tar[..], 3).unwrap();
    let age = b"age-encryption.org/v1\n-> X25519 AAAA\nAAAA\n--- AAAA\n".to_vec();
    let sealed = [tar, gzip.finish().unwrap(), zstd, age, STORED.to_vec()].into_iter().enumerate();
    sealed.map(|(how, bytes)| [&[u8::try_from(how).unwrap()], &bytes[..]].concat()).collect()
}

const STORED: &[u8] = include_bytes!(
    "../../../tests/fixtures/store-format-1/store/vps1/app/snapshots/20261120T074451Z-8614/config.tar.zst.age"
);

/// The key of that store.
fn identities() -> Identities {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(include_bytes!("../../../tests/fixtures/store-format-1/identity.txt")).unwrap();
    Identities::read(file.path()).unwrap()
}

#[test]
fn what_is_taken_out_of_its_wrapping_is_whole_or_refused() {
    let (seeds, identities) = (wrapped(), identities());
    fuzz(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>(), |bytes| {
        let Some((how, stored)) = bytes.split_first() else { return };
        let wrappings = [
            (Compression::None, Encryption::None),
            (Compression::Gzip, Encryption::None),
            (Compression::Zstd, Encryption::None),
            (Compression::None, Encryption::Age),
            (Compression::Zstd, Encryption::Age),
        ];
        let (compression, encryption) = wrappings[usize::from(*how) % wrappings.len()];
        let wrapping = Wrapping { compression, encryption };
        let open = || unseal::unwrap(Box::new(Cursor::new(stored.to_vec())), wrapping, &identities, "x");
        let Ok(plain) = open() else { return };
        let mut read = Vec::new();
        let ended = plain.take(ENOUGH).read_to_end(&mut read);
        match wrapping {
            Wrapping { compression: Compression::None, encryption: Encryption::None } => assert_eq!(read, stored),
            Wrapping { encryption: Encryption::Age, .. } if ended.is_ok() => {
                // Whoever cannot encrypt to the key cannot make anything else that is whole.
                assert!(STORED.starts_with(stored) || stored.starts_with(STORED), "a forgery was taken for whole");
            }
            _ => {}
        }
        let is_proven = EndMark::new(open().unwrap().take(ENOUGH)).prove_end().is_ok();
        let zeros = read.iter().rev().take_while(|byte| **byte == 0).count();
        assert_eq!(is_proven, ended.is_ok() && zeros >= 1024);
    });
}

#[test]
fn a_marker_of_a_store_is_understood_or_refused() {
    fuzz(&[br#"{"format":1,"id":"a","created":"2026-11-20T02:00:00Z"}"#, br#"{"format":7}"#], |bytes| {
        drop(store::parse_marker("file:///s", bytes));
    });
}
