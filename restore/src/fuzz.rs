//! Fuzz targets of names in archives, of names of databases, and of a report on standard input.

use chrono::DateTime;
use shipshape_core::database::{Engine, is_ours};
use shipshape_fuzzing::fuzz;

use crate::beneath;
use crate::database::names;
use crate::select::report;

/// Where a path leads by its text alone; `None` for out of the folder it begins in.
fn depth(parts: impl Iterator<Item = Vec<u8>>) -> Option<usize> {
    parts
        .filter(|part| !part.is_empty() && part != b".")
        .try_fold(0_usize, |depth, part| if part == b".." { depth.checked_sub(1) } else { Some(depth + 1) })
}

#[test]
fn no_name_and_no_link_that_passes_leads_out() {
    fuzz(&[b"a/b\0../c", b"../x\0", b"/etc/passwd\0/", b".\0..", b"a//b\0../../.."], |bytes| {
        let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let (path, target) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
        let parts = |path: &[u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        if beneath::check(path).is_err() {
            return;
        }
        assert!(!path.starts_with(b"/") && depth(parts(path).into_iter()).is_some());
        let (folder, name) = beneath::split(path);
        assert!(!name.is_empty() && !name.contains(&b'/'));
        if path != b"." && beneath::check_link(path, target).is_ok() {
            assert!(!target.starts_with(b"/"));
            assert!(depth(parts(folder).into_iter().chain(parts(target))).is_some());
        }
    });
}

#[test]
fn a_database_beside_has_a_name_that_the_server_takes() {
    fuzz(&[b"fleet", "\u{e9}".repeat(63).as_bytes(), "\u{1f600}x".repeat(20).as_bytes()], |bytes| {
        let live = String::from_utf8_lossy(bytes);
        for (engine, longest) in [(Engine::Mysql, 64), (Engine::Postgres, 63)] {
            for name in [
                names::before(engine, &live, DateTime::UNIX_EPOCH),
                names::loading(engine, &live, DateTime::UNIX_EPOCH),
            ] {
                let length = if engine == Engine::Mysql { name.chars().count() } else { name.len() };
                assert!(length <= longest && is_ours(&name), "{name}");
            }
        }
    });
}

#[test]
fn a_report_names_a_snapshot_or_is_refused() {
    let whole = br#"{"schema":1,"tool":"backup","version":"0.1.0","host":"vps1","app":"demo","started":"2026-11-20T02:00:00Z","duration_s":1.0,"status":"ok","exit_code":0,"summary":"s","data":{"snapshot":{"id":"20261120T020000Z-7f3a","store":"/b"}},"warnings":[],"error":null}"#;
    fuzz(&[whole, b"\n\n", b"{}\n"], |bytes| {
        let Ok(told) = report::read(bytes) else { return };
        // In a log it stands in one line, behind those of earlier runs.
        if !bytes.trim_ascii().contains(&b'\n') {
            assert_eq!(report::read(&[b"an earlier line\n", bytes].concat()[..]).ok(), Some(told));
        }
    });
}
