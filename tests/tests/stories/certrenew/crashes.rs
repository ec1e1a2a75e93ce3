//! Killed at any step, and run once more: a whole pair lies in its place, and at most one order was made too many.

use super::site::{Site, one};
use crate::harness::{Exit, Fault, Finished, each};

/// What one more run must make of whatever a killed one left behind.
#[track_caller]
fn one_more_run_mends(site: &Site, words: &[&str], orders: usize) {
    let finished = site.renews(words);
    assert!(finished.number() <= 1, "{finished}");
    site.has_a_pair_for(&["shop.test"]);
    let made = site.pebble.orders() - orders;
    assert!(made <= 2, "{made} orders, one too many is allowed: {finished}");
    let left = crate::harness::shell(&format!(
        "find '{}' '{}' -name '.tmp*' -o -path '*/orders/*.key' | head",
        site.path("certs").display(),
        site.path("state/orders").display()
    ));
    assert_eq!(left, "", "nothing temporary is left");
}

#[test]
fn a_first_issue_that_is_killed_anywhere_is_brought_to_its_end_by_the_next_run() {
    let points = Site::new().certrenew(&[]).points();
    each(&points, |point| {
        let site = Site::new();
        site.certrenew(&[]).meeting(Fault::Kill, point);
        one_more_run_mends(&site, &[], 0);
    });
}

/// A renewal that meets the fault at each of its points. Whatever happened, a server that reads then gets a pair, and one more
/// run mends the rest.
#[track_caller]
fn each_renewal_meeting(fault: Fault, afterwards: impl Fn(&Site, &Finished) + Sync) {
    let site = Site::new();
    site.renews(&[]).exits_with(Exit::Ok);
    let points = site.certrenew(&["--force"]).points();
    each(&points, |point| {
        let site = Site::new();
        site.renews(&[]).exits_with(Exit::Ok);
        let orders = site.pebble.orders();
        let met = site.certrenew(&["--force"]).meeting(fault, point);
        site.has_a_pair_for(&["shop.test"]);
        one_more_run_mends(&site, &["--force"], orders);
        afterwards(&site, &met);
    });
}

#[test]
fn a_renewal_that_is_killed_anywhere_never_leaves_half_a_pair() {
    each_renewal_meeting(Fault::Kill, |_, _| ());
}

#[test]
fn a_disk_that_fails_anywhere_costs_nothing_that_is_in_use() {
    each_renewal_meeting(Fault::Error("ENOSPC"), |site, met| {
        assert!(met.number() < 128, "{met}");
        let _ = one(&site.renews(&["status"]).gets_done());
    });
}
