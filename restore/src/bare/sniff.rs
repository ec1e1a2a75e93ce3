//! What a file is, by its bytes and not by its name: encrypted, compressed, a tar, a dump.

use std::io::{self, Cursor, Read};
use std::path::Path;

use shipshape_core::archive::keys::Identities;
use shipshape_core::archive::names::Wrapping;
use shipshape_core::archive::unseal::{Plain, unwrap};
use shipshape_core::config::{Compression, Encryption};
use shipshape_core::database::dump::{self, Content, Scanner};
use shipshape_core::database::{ACCOUNTS_HEAD, Engine};

use super::{BareError, read_bounded};
use crate::content::fill;
use crate::members::looks_like_a_tar;
use crate::place::shown;

/// How age files begin (age-encryption.org/v1).
const AGE: &[u8] = b"age-encryption.org/v1\n";
/// How gzip streams begin (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How zstd frames begin (RFC 8878).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// A tar's first block tells that it is one.
const HEAD: usize = 512;
/// How the archives of `pg_dump --format=custom` begin.
const PG_ARCHIVE: &[u8] = b"PGDMP";
/// What stands in the head of a dump of a whole PostgreSQL server; those of accounts have their mark in the first line.
const CLUSTER: &[u8] = b"PostgreSQL database cluster dump";
/// Hundred times what a `.env` has.
const ENVIRONMENT_LIMIT: u64 = 1024 * 1024;

/// What a file is inside.
pub(super) enum Found {
    /// A tar.
    Tar(Plain),
    /// A copy of `.env`.
    Environment(Vec<u8>),
    /// A dump of a database.
    Dump(Kind, Plain),
}

/// What a dump is of, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// What wrote it.
    pub(super) engine: Engine,
    /// What is in it.
    pub(super) content: Content,
}

/// Takes the wrapping off a file and looks what is inside.
pub(super) fn open(file: Plain, path: &Path, identities: &Identities) -> Result<Found, BareError> {
    let name = shown(path);
    let failed = |cause| BareError::Read { path: name.clone(), cause };
    let (head, mut plain) = peek(file).map_err(failed)?;
    let mut head = head;
    if head.starts_with(AGE) {
        let wrapping = Wrapping { encryption: Encryption::Age, compression: Compression::None };
        (head, plain) = peek_wrapped(unwrap(plain, wrapping, identities, &name)?, &name)?;
    }
    let compression = if head.starts_with(GZIP) {
        Some(Compression::Gzip)
    } else if head.starts_with(ZSTD) {
        Some(Compression::Zstd)
    } else {
        None
    };
    if let Some(compression) = compression {
        let wrapping = Wrapping { encryption: Encryption::None, compression };
        (head, plain) = peek_wrapped(unwrap(plain, wrapping, identities, &name)?, &name)?;
    }
    if head.is_empty() {
        return Err(BareError::Empty { path: name });
    }
    if looks_like_a_tar(&head) {
        return Ok(Found::Tar(plain));
    }
    if let Some(kind) = kind_of(&head) {
        return Ok(Found::Dump(kind, plain));
    }
    no_dump(path, &head)?;
    environment(plain, path)
}

fn kind_of(head: &[u8]) -> Option<Kind> {
    let engine = dump::sniff(head)?;
    let mark = if engine.is_mysql() { ACCOUNTS_HEAD.as_bytes() } else { CLUSTER };
    let line = if engine.is_mysql() { head.split(|byte| *byte == b'\n').next().unwrap_or_default() } else { head };
    let is_cluster = engine.is_sql() && line.windows(mark.len()).any(|piece| piece == mark);
    Some(Kind { engine, content: if is_cluster { Content::Globals } else { Content::Database } })
}

/// Says why a file that should be a dump is none.
fn no_dump(path: &Path, head: &[u8]) -> Result<(), BareError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if head.starts_with(PG_ARCHIVE) {
        return Err(BareError::PgArchive { path: shown(path) });
    }
    if !name.contains(".sql") && !name.contains(".rdb") && !name.starts_with("db_") {
        return Ok(());
    }
    let engine = if name.contains(".rdb") { Engine::Redis } else { Engine::Mysql };
    let mut scanner = Scanner::new(engine, Content::Database);
    scanner.feed(head);
    match scanner.finish() {
        Err(source) => Err(BareError::NoDump { path: shown(path), source }),
        Ok(_) => Ok(()),
    }
}

/// The old script's `env_*` is a plain copy: nothing in it tells what it is but its name and that it is short text.
fn environment(mut plain: Plain, path: &Path) -> Result<Found, BareError> {
    let shown = shown(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.starts_with("env_") && !name.starts_with(".env") {
        return Err(BareError::Unknown { path: shown });
    }
    match read_bounded(&mut plain, ENVIRONMENT_LIMIT) {
        Ok(Some(bytes)) if std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0')) => {
            Ok(Found::Environment(bytes))
        }
        Ok(_) => Err(BareError::Unknown { path: shown }),
        Err(cause) => Err(damaged(&shown, cause)),
    }
}

/// The first block of a stream, and the stream with it.
fn peek(mut stream: Plain) -> io::Result<(Vec<u8>, Plain)> {
    let mut head = vec![0; HEAD];
    let length = fill(&mut stream, &mut head)?;
    head.truncate(length);
    Ok((head.clone(), Box::new(Cursor::new(head).chain(stream))))
}

fn peek_wrapped(stream: Plain, name: &str) -> Result<(Vec<u8>, Plain), BareError> {
    peek(stream).map_err(|cause| damaged(name, cause))
}

/// A stream that breaks in its first block is damaged; it was recognised as what it should be.
pub(super) fn damaged(name: &str, cause: io::Error) -> BareError {
    shipshape_core::archive::unseal::UnsealError::Damaged { object: name.to_owned(), cause }.into()
}
