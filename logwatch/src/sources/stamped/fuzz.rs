//! Fuzz target of lines behind the engine's times.

use shipshape_fuzzing::fuzz;

use super::*;

fn passed(bytes: &[u8], size: usize, known: Recent) -> (Vec<u8>, Recent) {
    let (mut lines, noted) = Stamped::new(bytes, known);
    let (mut out, mut buffer) = (Vec::new(), vec![0; size]);
    loop {
        match lines.read(&mut buffer).unwrap() {
            0 => return (out, noted.take()),
            read => out.extend_from_slice(&buffer[..read]),
        }
    }
}

#[test]
fn lines_that_were_noted_do_not_come_again() {
    let part = "y".repeat(PART);
    let cut = format!(
        "2026-11-20T12:20:58.976820702Z {part}2026-11-20T12:20:58.976820702Z end2026-11-20T12:20:59.976820702Z next\n"
    );
    let seeds: [&[u8]; 3] = [
        b"2026-11-20T12:20:58.976820702Z one\n2026-11-20T12:20:58.976820703Z two\nno time\n",
        b"2026-11-20T12:20:58.976820702Z one\n2026-11-20T12:20:58.976820702Z one\n2026-11-20T12:20:58.976820702Z half",
        cut.as_bytes(),
    ];
    fuzz(&seeds, |bytes| {
        let (out, recent) = passed(bytes, 1 << 16, Recent::default());
        assert_eq!(passed(bytes, 7, Recent::default()), (out.clone(), recent.clone()));
        assert!(out.len() <= bytes.len() + bytes.len() / STAMP + 1);
        let (again, _) = passed(bytes, 1 << 16, recent.clone());
        assert!(again.len() <= out.len());
        if let Some(since) = recent.since() {
            assert!(
                recent.newest().is_some_and(|newest| since.timestamp_nanos_opt().is_some_and(|since| since <= newest))
            );
        }
        let (strict, _) = Stamped::new(bytes, recent);
        let mut all = Vec::new();
        strict.strictly().read_to_end(&mut all).unwrap();
        assert!(all.len() <= out.len());
    });
}
