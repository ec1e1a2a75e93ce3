//! Fuzz target of CAA records.

use shipshape_fuzzing::fuzz;

use super::tests::verdict;
use super::*;

#[test]
fn a_record_that_allows_nobody_never_turns_a_refusal_into_leave() {
    fuzz(
        &[
            b"issue letsencrypt.org; validationmethods=http-01\nissuewild ;",
            b"!x y\nissue digicert.com;accounturi=https://ca.test/acct/1",
        ],
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let record = |line: &str| {
                let (is_critical, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
                let (tag, value) = line.split_once(' ').unwrap_or((line, ""));
                Caa { is_critical, tag: tag.to_ascii_lowercase(), value: value.to_owned() }
            };
            let records: Vec<Caa> = text.lines().map(record).collect();
            for is_wildcard in [false, true] {
                let before = verdict(&records, is_wildcard);
                let nobody = Caa { is_critical: false, tag: "issue".to_owned(), value: ";".to_owned() };
                let with = verdict(&[records.clone(), vec![nobody]].concat(), is_wildcard);
                assert!(with != "allowed" || before == "allowed" || before == "free", "{before} became {with}");
                assert!(with != "free" || before == "free");
            }
            assert!(tree(&text).all(|name| text.ends_with(name)));
        },
    );
}
