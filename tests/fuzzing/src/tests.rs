use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// What a law is tried on.
fn inputs(seeds: &[&[u8]]) -> Vec<Vec<u8>> {
    let seen = AssertUnwindSafe(RefCell::new(Vec::new()));
    run("no/target", seeds, VARIATIONS, |input| {
        let seen = &seen;
        seen.borrow_mut().push(input.to_vec());
    });
    seen.0.into_inner()
}

#[test]
fn a_law_that_breaks_on_what_lies_near_a_seed_is_seen_to_break() {
    let law = |input: &[u8]| assert!(!input.windows(3).any(|part| part == b"age"), "a planted fault");
    assert!(
        catch_unwind(|| run("no/target", &[b"passage".as_slice()], VARIATIONS, law)).is_err(),
        "on the seed itself"
    );
    assert!(catch_unwind(|| run("no/target", &[b"pasage passag".as_slice()], VARIATIONS, law)).is_err());
    assert!(
        catch_unwind(|| run("no/target", &[b"passag".as_slice(), b"eagle"], VARIATIONS, law)).is_err(),
        "on parts of two seeds"
    );
    assert!(catch_unwind(|| run("no/target", &[b"nothing".as_slice()], VARIATIONS, law)).is_ok());
}

#[test]
fn every_run_tries_the_same() {
    let seeds = [b"one seed".as_slice(), b"{\"another\": 2}"];
    let inputs = inputs(&seeds);
    assert_eq!(inputs, super::tests::inputs(&seeds));
    assert_eq!(inputs[..2], seeds);
    let different: std::collections::BTreeSet<_> = inputs.iter().collect();
    assert!(different.len() > inputs.len() / 2, "{} of {} differ", different.len(), inputs.len());
}

#[test]
fn what_was_once_found_is_tried_again() {
    let seen = AssertUnwindSafe(RefCell::new(Vec::new()));
    run("shipshape_fuzzing/an-example", &[], VARIATIONS, |input| {
        let seen = &seen;
        seen.borrow_mut().push(input.to_vec());
    });
    assert_eq!(seen.borrow()[0], b"found once\n");
}

#[test]
fn a_target_is_named_for_where_its_law_stands() {
    fn name<L>(_: L) -> String {
        target(std::any::type_name::<L>())
    }
    assert_eq!(name(|_: &[u8]| ()), "shipshape_fuzzing/tests/a_target_is_named_for_where_its_law_stands");
    assert_eq!(target("logwatch::chunk::fuzz::pieces::{{closure}}"), "logwatch/chunk/pieces");
}
