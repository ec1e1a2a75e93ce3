//! Fuzz target of objects that are too long for a piece.

use shipshape_fuzzing::fuzz;

use super::*;

#[test]
fn a_long_object_says_the_same_in_parts() {
    let seeds: [&[u8]; 4] = [b"\x08x\\\"\x01", b"\x03caf\xc3\xa9\xe2\x82\xac", b"\x0b\xf0\x9f\x98\x80<>&", b"\x00\n"];
    fuzz(&seeds, |bytes| {
        let Some((times, unit)) = bytes.split_first() else { return };
        let unit = String::from_utf8_lossy(&unit[..unit.len().min(300)]).into_owned();
        let text = unit.repeat(1 << (times % 14)).chars().take(250_000).collect::<String>();
        // What the engine logs is a line at a time.
        let text = text.replace('\n', " ");
        let all = [docker("one\n"), docker(&format!("{text}\n")), docker("two\n")].concat();
        let (out, _) = fitted(all.as_bytes(), Some(Wire::DockerJson));
        assert!(logs(&out) == format!("one\n{text}\ntwo\n"));
        let (out, _) = fitted(journal(&Value::from(text)).as_bytes(), Some(Wire::Journal));
        assert!(out.len() <= LONGEST_LINE);
        fitted(bytes, None);
    });
}
