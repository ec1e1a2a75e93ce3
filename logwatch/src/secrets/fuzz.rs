//! Fuzz targets of the search for secrets.

use shipshape_fuzzing::fuzz;

use super::samples::{negatives, positives};
use super::*;

/// The samples of all rules, some in one text.
fn seeds() -> Vec<Vec<u8>> {
    let texts: Vec<String> = positives().into_iter().map(|(_, text, _)| text).chain(negatives()).collect();
    texts.chunks(6).map(|some| some.join("\n").into_bytes()).collect()
}

#[test]
fn nothing_that_a_rule_finds_is_told() {
    let seeds = seeds();
    fuzz(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let safe = redacted(&text);
        assert_eq!(find(safe.as_bytes()), []);
        assert_eq!(redacted(&safe), safe);
    });
}

#[test]
fn what_is_found_lies_in_its_record_and_where_a_telltale_is() {
    let seeds = seeds();
    fuzz(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>(), |bytes| {
        let found = find(bytes);
        assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert!(found.iter().all(|found| found.start < found.end && found.end <= bytes.len()));
        let mut told = Vec::new();
        telltales(bytes, &mut told);
        assert!(told.is_sorted() && told.iter().all(|at| *at < bytes.len()));
        assert!(found.is_empty() || !told.is_empty(), "a record would never have been searched");
        for found in found {
            let value = &bytes[found.start..found.end];
            assert_eq!(fingerprint(&[0; 32], value), fingerprint(&[0; 32], value));
        }
    });
}
