//! Which snapshots to keep: a pure rule over their times.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Timelike, Utc};
use shipshape_core::archive::names::SnapshotId;
use shipshape_core::config::KeepSection;

/// What the rule needs to know of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its id, which holds its time.
    pub(crate) id: SnapshotId,
    /// The words its owner gave it.
    pub(crate) tags: Vec<String>,
    /// The payloads that were asked for by name. Snapshots of different parts never stand in for each other.
    pub(crate) only: Vec<String>,
    /// Whether something could not be read. A whole snapshot never goes because a partial one is newer.
    pub(crate) partial: bool,
    /// The payloads that it lacks, or has much less of than there was. Snapshots that have them never go because of it.
    pub(crate) shrunk: Vec<String>,
}

/// The ids to keep, each with the reasons why. Whatever is not in it may go.
///
/// Each rule keeps the newest snapshot of each of its last N periods that have any, so that a pause in backups never
/// uses up what there is. Periods are those of UTC, which has no hours that repeat or are missing.
pub(crate) fn keep(
    snapshots: &[Candidate],
    rules: &KeepSection,
    now: DateTime<Utc>,
) -> BTreeMap<SnapshotId, Vec<String>> {
    let mut kept: BTreeMap<SnapshotId, Vec<String>> = BTreeMap::new();
    let mut groups: BTreeMap<_, Vec<&Candidate>> = BTreeMap::new();
    for snapshot in snapshots {
        let lacks = (snapshot.partial, set(&snapshot.shrunk));
        groups.entry((set(&snapshot.only), lacks)).or_default().push(snapshot);
    }
    for group in groups.values_mut() {
        group.sort_by(|a, b| b.id.cmp(&a.id));
        for (id, reason) in keep_in_group(group, rules, now) {
            kept.entry(id).or_default().push(reason);
        }
    }
    kept
}

fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

fn keep_in_group(newest_first: &[&Candidate], rules: &KeepSection, now: DateTime<Utc>) -> Vec<(SnapshotId, String)> {
    let mut kept = Vec::new();
    for snapshot in newest_first.iter().take(rules.last) {
        kept.push((snapshot.id.clone(), "last".to_owned()));
    }
    for (name, count, period) in periods(rules) {
        let mut seen = BTreeSet::new();
        for snapshot in newest_first {
            let of = period(snapshot.id.time());
            if seen.len() < count && seen.insert(of) {
                kept.push((snapshot.id.clone(), name.to_owned()));
            }
        }
    }
    for snapshot in newest_first {
        if let Some(tag) = snapshot.tags.iter().find(|tag| rules.tags.contains(tag)) {
            kept.push((snapshot.id.clone(), format!("tag {tag}")));
        }
        // A snapshot from what is the future to us is none of our business: some clock is wrong.
        if snapshot.id.time() > now {
            kept.push((snapshot.id.clone(), "future".to_owned()));
        }
    }
    kept
}

/// A moment's period as numbers that differ between periods.
type Period = fn(DateTime<Utc>) -> (i32, u32);

fn periods(rules: &KeepSection) -> [(&'static str, usize, Period); 5] {
    [
        ("hourly", rules.hourly, |t| (t.num_days_from_ce(), t.hour())),
        ("daily", rules.daily, |t| (t.num_days_from_ce(), 0)),
        ("weekly", rules.weekly, |t| (t.iso_week().year(), t.iso_week().week())),
        ("monthly", rules.monthly, |t| (t.year(), t.month())),
        ("yearly", rules.yearly, |t| (t.year(), 0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Duration, TimeZone};
    use proptest::prelude::*;

    fn at(text: &str) -> Candidate {
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc();
        Candidate { id: SnapshotId::new(time, 0), tags: vec![], only: vec![], partial: false, shrunk: vec![] }
    }

    fn rules() -> KeepSection {
        KeepSection { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, tags: vec![] }
    }

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2027, 1, 1, 0, 0, 0).unwrap()
    }

    fn kept(snapshots: &[Candidate], rules: &KeepSection) -> Vec<String> {
        keep(snapshots, rules, now()).into_keys().map(|id| id.time().format("%m-%d %H").to_string()).collect()
    }

    #[test]
    fn the_newest_of_each_day_is_kept() {
        let all = [at("2026-11-18 02:00"), at("2026-11-19 02:00"), at("2026-11-19 14:00"), at("2026-11-20 02:00")];
        assert_eq!(kept(&all, &KeepSection { daily: 2, ..rules() }), ["11-19 14", "11-20 02"]);
    }

    #[test]
    fn days_without_a_snapshot_do_not_count() {
        let all = [at("2026-01-01 02:00"), at("2026-06-01 02:00"), at("2026-11-20 02:00")];
        assert_eq!(kept(&all, &KeepSection { daily: 3, ..rules() }).len(), 3);
    }

    #[test]
    fn a_tag_keeps_for_ever() {
        let mut old = at("2020-01-01 02:00");
        old.tags = vec!["release".to_owned()];
        let rules = KeepSection { last: 1, tags: vec!["release".to_owned()], ..rules() };
        assert_eq!(kept(&[old, at("2026-01-01 02:00"), at("2026-01-02 02:00")], &rules), ["01-01 02", "01-02 02"]);
    }

    #[test]
    fn a_snapshot_of_one_part_never_stands_in_for_a_whole_one() {
        let mut part = at("2026-11-20 03:00");
        part.only = vec!["app".to_owned()];
        assert_eq!(kept(&[at("2026-11-20 02:00"), part], &KeepSection { daily: 1, ..rules() }).len(), 2);
    }

    #[test]
    fn a_partial_snapshot_never_stands_in_for_a_whole_one() {
        let mut partial = at("2026-11-20 03:00");
        partial.partial = true;
        assert_eq!(kept(&[at("2026-11-20 02:00"), partial], &KeepSection { last: 1, ..rules() }).len(), 2);
    }

    #[test]
    fn a_snapshot_that_lacks_a_database_never_stands_in_for_one_that_has_it() {
        let shrunk = |time: &str, names: &[&str]| Candidate {
            shrunk: names.iter().map(|name| (*name).to_owned()).collect(),
            ..at(time)
        };
        let all = [
            at("2026-11-20 02:00"),
            shrunk("2026-11-20 03:00", &["a"]),
            shrunk("2026-11-20 04:00", &["a"]),
            shrunk("2026-11-20 05:00", &["a", "b"]),
        ];
        assert_eq!(kept(&all, &KeepSection { last: 1, ..rules() }), ["11-20 02", "11-20 04", "11-20 05"]);
    }

    #[test]
    fn a_snapshot_from_the_future_is_left_alone() {
        assert_eq!(kept(&[at("2030-01-01 02:00"), at("2026-01-01 02:00")], &rules()), ["01-01 02"]);
        assert!(keep(&[at("2030-01-01 02:00")], &rules(), now()).len() == 1);
    }

    prop_compose! {
        fn history()(hours in proptest::collection::vec(0i64..20_000, 0..60)) -> Vec<Candidate> {
            let start = Utc.with_ymd_and_hms(2024, 1, 1, 0, 0, 0).unwrap();
            hours.iter().enumerate().map(|(n, hour)| Candidate {
                id: SnapshotId::new(start + Duration::hours(*hour), u16::try_from(n).unwrap()),
                tags: vec![],
                only: vec![],
                partial: false,
                shrunk: vec![],
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn the_floor_holds_whatever_the_rules(all in history(), last in 1usize..6, daily in 0usize..9, weekly in 0usize..5) {
            let kept = keep(&all, &KeepSection { last, daily, weekly, ..rules() }, now());
            prop_assert!(kept.len() >= last.min(all.len()));
            if let Some(newest) = all.iter().map(|c| &c.id).max() {
                prop_assert!(kept.contains_key(newest));
            }
        }

        #[test]
        fn pruning_twice_is_pruning_once(all in history(), daily in 0usize..9, monthly in 0usize..5) {
            let rules = KeepSection { last: 3, daily, monthly, ..rules() };
            let first: Vec<_> = keep(&all, &rules, now()).into_keys().collect();
            let left: Vec<_> = all.iter().filter(|c| first.contains(&c.id)).cloned().collect();
            let second: Vec<_> = keep(&left, &rules, now()).into_keys().collect();
            prop_assert_eq!(first, second);
        }

        #[test]
        fn daily_keeps_one_of_each_of_the_last_days_that_have_any(all in history(), daily in 1usize..9) {
            let kept = keep(&all, &KeepSection { daily, ..rules() }, now());
            let days: BTreeSet<_> = all.iter().map(|c| c.id.time().date_naive()).collect();
            let expected: BTreeSet<_> = days.into_iter().rev().take(daily).collect();
            let got: BTreeSet<_> = kept.keys().map(|id| id.time().date_naive()).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
