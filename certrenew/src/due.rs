//! When a certificate is to be renewed. No files, no clock, no dice.
//!
//! ```text
//! there is none, a placeholder, one of a rehearsal, one without its key, other names, over    now
//! a twentieth of its life is left                                                             now, whatever was wished
//! the authority has a wish (RFC 9773)                                                         at the moment that was drawn
//! otherwise                                                                                   a third of its life before its end,
//!                                                                                             half where it lives less than ten days
//! ```
//! The shares are those of Let's Encrypt's integration guide, so that lives of 90, 64, 45 and 6 days all work.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use shipshape_core::moment;

use crate::certificate::Facts;
use crate::identifier::Identifier;
use crate::ledger::{Failures, Record, Wish};

/// Below this life, half of it is left for renewing instead of a third.
const SHORT: TimeDelta = TimeDelta::days(10);

/// The share of its life below which a certificate is renewed whatever else was planned: one of so many.
const EMERGENCY: i32 = 20;

/// By how much machines renew at different times, as a share of the life: one of so many.
const SPREAD: i32 = 30;

/// For how long after a certificate was issued a wish for another one is not followed: one that is wished away as soon as it
/// is there would be ordered for ever. What is revoked in earnest has a day at the least (CA/Browser Forum, 4.9.1.1).
const AT_REST: TimeDelta = TimeDelta::days(1);

/// A clock may be wrong by this much.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// The longest pause that anybody has asked for; what lies further ahead was written by a clock that was wrong.
const LONGEST_PAUSE: TimeDelta = TimeDelta::days(8);

/// The longest time between two questions for the authority's wish: at least twice a day (RFC 9773, 4.3).
const LONGEST_UNASKED: TimeDelta = TimeDelta::hours(12);

/// What is known of a certificate when it is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// What lies in its place, if anything does.
    pub(crate) facts: Option<&'a Facts>,
    /// Whether its key lies beside it.
    pub(crate) is_pair: bool,
    /// What it should be for.
    pub(crate) names: &'a [Identifier],
    /// Whether its authority is one for rehearsals.
    pub(crate) is_rehearsal: bool,
    /// That authority's directory.
    pub(crate) directory: &'a str,
    /// What is remembered.
    pub(crate) record: &'a Record,
    /// This machine's place among all, from 0 to 1, always the same.
    pub(crate) place: f64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing before that moment.
    Later {
        /// When.
        at: DateTime<Utc>,
        /// By which rule.
        why: Rule,
    },
    /// It is to be ordered.
    Now(Reason),
    /// It would be, were it not for a failure: nothing before that moment.
    Paused {
        /// When it is tried again.
        until: DateTime<Utc>,
        /// Why it would be ordered.
        reason: Reason,
    },
}

/// The rule by which the moment of renewal was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The authority's wish.
    Wish,
    /// A share of the life.
    Share,
}

/// Why a certificate is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is none.
    Missing,
    /// It vouches for itself.
    Placeholder,
    /// A rehearsal issued it.
    Staging,
    /// Its key is not beside it.
    NoPair,
    /// It is for other names than wanted: those that are missing, and those that are too many.
    Names {
        /// Missing.
        missing: Vec<String>,
        /// Too many.
        surplus: Vec<String>,
    },
    /// We had it revoked.
    Revoked,
    /// It is over.
    Expired(DateTime<Utc>),
    /// Little of its life is left.
    Emergency(DateTime<Utc>),
    /// The authority wishes it.
    Wished(DateTime<Utc>),
    /// Its time has come.
    Share(DateTime<Utc>),
    /// Somebody said so.
    Forced,
}

/// Decides.
pub(crate) fn due(known: &Known<'_>, now: DateTime<Utc>) -> Due {
    let planned = match plan(known, now) {
        Ok(reason) => reason,
        Err((at, why)) => return Due::Later { at, why },
    };
    match &known.record.failures {
        Some(failures) if is_paused(failures, now) => Due::Paused { until: failures.retry_at, reason: planned },
        Some(_) | None => Due::Now(planned),
    }
}

/// Whether the pause after failures goes on. What was written while the clock was ahead is not believed.
fn is_paused(failures: &Failures, now: DateTime<Utc>) -> bool {
    now < failures.retry_at && failures.last <= now + SKEW && failures.retry_at <= now + LONGEST_PAUSE
}

/// Why it is to be ordered now, or when it will be.
fn plan(known: &Known<'_>, now: DateTime<Utc>) -> Result<Reason, (DateTime<Utc>, Rule)> {
    let Some(facts) = known.facts else { return Ok(Reason::Missing) };
    if let Some(reason) = unusable(known, facts, now) {
        return Ok(reason);
    }
    if facts.not_after - now < facts.lifetime() / EMERGENCY {
        return Ok(Reason::Emergency(facts.not_after));
    }
    if let Some(at) = wished(known.record.wish.as_ref(), facts) {
        let at = at.max(rested(known.record, facts).unwrap_or(at));
        return if now >= at { Ok(Reason::Wished(at)) } else { Err((at, Rule::Wish)) };
    }
    let at = share(facts, known.place);
    if now >= at { Ok(Reason::Share(at)) } else { Err((at, Rule::Share)) }
}

/// What makes a certificate worthless, however long it is valid.
fn unusable(known: &Known<'_>, facts: &Facts, now: DateTime<Utc>) -> Option<Reason> {
    if facts.is_self_signed {
        return Some(Reason::Placeholder);
    }
    // What this authority made of this very wish would be no other the next time: nothing is ordered for ever.
    let is_as_ordered = is_as_ordered(known, facts);
    if facts.is_staging && !known.is_rehearsal && !is_as_ordered {
        return Some(Reason::Staging);
    }
    if !known.is_pair {
        return Some(Reason::NoPair);
    }
    if known.record.revoked.as_ref() == Some(&facts.serial) {
        return Some(Reason::Revoked);
    }
    let wanted: BTreeSet<_> = known.names.iter().cloned().collect();
    if wanted != facts.names && !(is_as_ordered && wanted.is_subset(&facts.names)) {
        let told = |one: &BTreeSet<Identifier>, other| one.difference(other).map(ToString::to_string).collect();
        return Some(Reason::Names { missing: told(&wanted, &facts.names), surplus: told(&facts.names, &wanted) });
    }
    (now >= facts.not_after).then_some(Reason::Expired(facts.not_after))
}

/// Whether it was ordered from this authority for exactly these names.
fn is_as_ordered(known: &Known<'_>, facts: &Facts) -> bool {
    let issued = known.record.issued.as_ref().filter(|issued| issued.serial == facts.serial);
    issued.is_some_and(|issued| issued.ca == known.directory && issued.names == known.names)
}

/// The moment that was drawn for this very certificate.
fn wished(wish: Option<&Wish>, facts: &Facts) -> Option<DateTime<Utc>> {
    let wish = wish.filter(|wish| Some(&wish.of) == facts.renewal_id.as_ref())?;
    wish.selected
}

/// Before when no wish for another one is followed; none where we have not ordered this one.
fn rested(record: &Record, facts: &Facts) -> Option<DateTime<Utc>> {
    let issued = record.issued.as_ref().filter(|issued| issued.serial == facts.serial)?;
    Some(issued.at + AT_REST.min(facts.lifetime() / 10))
}

fn share(facts: &Facts, place: f64) -> DateTime<Utc> {
    let life = facts.lifetime();
    let left = if life < SHORT { life / 2 } else { life / 3 };
    // Later, never earlier: what is renewed sooner than others do it is renewed more often.
    let spread = (life / SPREAD).num_seconds();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "seconds of a certificate's life")]
    let own = TimeDelta::seconds((spread as f64 * place.clamp(0.0, 1.0)) as i64);
    facts.not_after - left + own
}

/// Whether the authority is to be asked for its wish: at least twice a day, and when it said that it may be.
pub(crate) fn is_to_be_asked(facts: &Facts, record: &Record, now: DateTime<Utc>) -> bool {
    let Some(id) = &facts.renewal_id else { return false };
    if facts.is_self_signed {
        return false;
    }
    let is_far = |at| at > now + LONGEST_UNASKED * 2;
    record.wish.as_ref().is_none_or(|wish| &wish.of != id || now >= wish.ask_again || is_far(wish.ask_again))
}

/// The wish as it is to be remembered: a moment once drawn stays for as long as the window does.
pub(crate) fn remember(
    before: Option<&Wish>,
    of: &str,
    told: Option<&crate::acme::Window>,
    place: f64,
    now: DateTime<Utc>,
) -> Wish {
    let ask_again = told.and_then(|told| TimeDelta::from_std(told.ask_again).ok()).unwrap_or(LONGEST_UNASKED);
    let window = told.and_then(|told| told.window);
    let same = before.filter(|wish| wish.of == of && wish.window == window).and_then(|wish| wish.selected);
    Wish {
        of: of.to_owned(),
        window,
        selected: window.map(|(start, end)| same.unwrap_or_else(|| draw(start, end, place))),
        ask_again: now + ask_again.min(LONGEST_UNASKED),
        explanation: told.and_then(|told| told.explanation.clone()),
    }
}

/// A moment in the window; `at` is from 0 to 1.
fn draw(start: DateTime<Utc>, end: DateTime<Utc>, at: f64) -> DateTime<Utc> {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "seconds of a window of days")]
    let offset = ((end - start).num_seconds() as f64 * at.clamp(0.0, 1.0)) as i64;
    start + TimeDelta::seconds(offset)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none"),
            Self::Placeholder => f.write_str("it is a placeholder"),
            Self::Staging => f.write_str("a rehearsal issued it"),
            Self::NoPair => f.write_str("its key is not beside it"),
            Self::Revoked => f.write_str("it is revoked"),
            Self::Names { missing, surplus } => names(f, missing, surplus),
            Self::Expired(at) => write!(f, "it expired at {}", moment::told(*at)),
            Self::Emergency(at) => write!(f, "it ends at {}", moment::told(*at)),
            Self::Wished(at) => write!(f, "the authority wished it at {}", moment::told(*at)),
            Self::Share(at) => write!(f, "it was due at {}", moment::told(*at)),
            Self::Forced => f.write_str("--force"),
        }
    }
}

fn names(f: &mut fmt::Formatter<'_>, missing: &[String], surplus: &[String]) -> fmt::Result {
    let parts = [("it lacks", missing), ("it has no longer", surplus)];
    let told: Vec<_> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", names.join(", ")))
        .collect();
    f.write_str(&told.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acme::Window;
    use crate::ledger::Issued;
    use shipshape_core::report::Notice;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn names() -> Vec<Identifier> {
        vec![Identifier::parse("a.test").unwrap()]
    }

    /// One that lives for so many days from the first of November.
    fn living(days: i64) -> Facts {
        let not_before = at("2026-11-01T00:00:00Z");
        Facts {
            serial: "01".to_owned(),
            not_before,
            not_after: not_before + TimeDelta::days(days),
            names: names().into_iter().collect(),
            issuer: "Pebble".to_owned(),
            is_self_signed: false,
            is_staging: false,
            renewal_id: Some("a.b".to_owned()),
            public_key: Vec::new(),
        }
    }

    fn decided(facts: Option<&Facts>, record: &Record, now: DateTime<Utc>) -> Due {
        let names = names();
        let known =
            Known { facts, is_pair: true, names: &names, is_rehearsal: false, directory: "d", record, place: 0.0 };
        due(&known, now)
    }

    #[test]
    fn every_life_is_renewed_when_its_share_is_left() {
        let due_after = [90, 64, 45, 6].map(|days| {
            let facts = living(days);
            let Due::Later { at, why: Rule::Share } = decided(Some(&facts), &Record::default(), facts.not_before)
            else {
                panic!("{days}")
            };
            (at - facts.not_before).num_hours()
        });
        assert_eq!(due_after, [60 * 24, 1024, 30 * 24, 3 * 24]);
    }

    #[test]
    fn the_share_is_kept_in_spite_of_clocks_and_places() {
        let facts = living(90);
        assert_eq!(
            decided(Some(&facts), &Record::default(), at("2026-12-31T00:00:00Z")),
            Due::Now(Reason::Share(at("2026-12-31T00:00:00Z")))
        );
        assert!(share(&facts, 1.0) - share(&facts, 0.0) == TimeDelta::days(3));
    }

    #[test]
    fn what_is_worthless_is_ordered_at_once() {
        let (record, now) = (Record::default(), at("2026-11-02T00:00:00Z"));
        assert_eq!(decided(None, &record, now), Due::Now(Reason::Missing));
        let placeholder = Facts { is_self_signed: true, ..living(90) };
        assert_eq!(decided(Some(&placeholder), &record, now), Due::Now(Reason::Placeholder));
        let staging = Facts { is_staging: true, ..living(90) };
        assert_eq!(decided(Some(&staging), &record, now), Due::Now(Reason::Staging));
        let other = Facts { names: [Identifier::parse("b.test").unwrap()].into(), ..living(90) };
        let reason = Reason::Names { missing: vec!["a.test".to_owned()], surplus: vec!["b.test".to_owned()] };
        assert_eq!(reason.to_string(), "it lacks a.test, it has no longer b.test");
        assert_eq!(decided(Some(&other), &record, now), Due::Now(reason));
        let over = living(1);
        assert_eq!(decided(Some(&over), &record, over.not_after), Due::Now(Reason::Expired(over.not_after)));
    }

    #[test]
    fn what_the_authority_makes_of_a_wish_is_not_ordered_again() {
        let www = Identifier::parse("www.a.test").unwrap();
        let surplus = Facts { names: names().into_iter().chain([www]).collect(), is_staging: true, ..living(90) };
        let issued = |ca: &str, names| Issued {
            serial: "01".to_owned(),
            ca: ca.to_owned(),
            account: "x".to_owned(),
            profile: None,
            names,
            at: surplus.not_before,
        };
        let ordered = |issued| {
            let record = Record { issued: Some(issued), ..Record::default() };
            matches!(decided(Some(&surplus), &record, surplus.not_before), Due::Now(_))
        };
        assert!(!ordered(issued("d", names())));
        assert!(ordered(issued("other", names())));
        assert!(ordered(issued("d", surplus.names.iter().cloned().collect())), "a name was taken away");
    }

    #[test]
    fn a_revoked_one_is_ordered_at_once_and_its_successor_is_not() {
        let facts = living(90);
        let of = |serial: &str| Record { revoked: Some(serial.to_owned()), ..Record::default() };
        assert_eq!(decided(Some(&facts), &of("01"), facts.not_before), Due::Now(Reason::Revoked));
        assert!(matches!(decided(Some(&facts), &of("02"), facts.not_before), Due::Later { .. }));
    }

    #[test]
    fn one_without_its_key_is_ordered_at_once() {
        let (facts, names, record) = (living(90), names(), Record::default());
        let known = Known {
            facts: Some(&facts),
            is_pair: false,
            names: &names,
            is_rehearsal: false,
            directory: "d",
            record: &record,
            place: 0.0,
        };
        assert_eq!(due(&known, facts.not_before), Due::Now(Reason::NoPair));
    }

    #[test]
    fn the_authority_s_wish_counts_before_and_after_the_share() {
        let facts = living(90);
        for (selected, now, expected) in [
            ("2026-11-03T00:00:00Z", "2026-11-03T00:00:00Z", true),
            ("2026-11-03T00:00:00Z", "2026-11-02T23:59:59Z", false),
            // After the share, and long before the emergency.
            ("2027-01-15T00:00:00Z", "2027-01-10T00:00:00Z", false),
            // It would come too late.
            ("2027-02-15T00:00:00Z", "2027-01-26T00:00:00Z", true),
        ] {
            let wish = Wish {
                of: "a.b".to_owned(),
                window: None,
                selected: Some(at(selected)),
                ask_again: at(now),
                explanation: None,
            };
            let record = Record { wish: Some(wish), ..Record::default() };
            let found = decided(Some(&facts), &record, at(now));
            assert_eq!(matches!(found, Due::Now(_)), expected, "{selected} {now} {found:?}");
        }
    }

    #[test]
    fn a_wish_for_another_certificate_says_nothing() {
        let facts = living(90);
        let now = facts.not_before;
        let wish = Wish {
            of: "other".to_owned(),
            window: None,
            selected: Some(now),
            ask_again: now + TimeDelta::days(1),
            explanation: None,
        };
        let record = Record { wish: Some(wish), ..Record::default() };
        assert!(matches!(decided(Some(&facts), &record, now), Due::Later { why: Rule::Share, .. }));
        assert!(is_to_be_asked(&facts, &record, now));
    }

    #[test]
    fn a_failure_makes_pause_and_the_reason_stays() {
        let now = at("2026-11-02T00:00:00Z");
        let retry_at = now + TimeDelta::minutes(10);
        let failures = Failures { count: 2, last: now, retry_at, why: Notice::new("x.y", "m", "h") };
        let record = Record { failures: Some(failures), ..Record::default() };
        assert_eq!(decided(None, &record, now), Due::Paused { until: retry_at, reason: Reason::Missing });
        assert_eq!(decided(None, &record, retry_at), Due::Now(Reason::Missing));
        // One that is not due does not become so.
        assert!(matches!(decided(Some(&living(90)), &record, now), Due::Later { .. }));
    }

    #[test]
    fn what_a_wrong_clock_wrote_is_not_believed() {
        let now = at("2026-11-02T00:00:00Z");
        let of = |last, retry_at| {
            let failures = Failures { count: 1, last, retry_at, why: Notice::new("x.y", "m", "h") };
            decided(None, &Record { failures: Some(failures), ..Record::default() }, now)
        };
        let year = TimeDelta::days(365);
        assert_eq!(of(now + year, now + year + TimeDelta::minutes(1)), Due::Now(Reason::Missing));
        assert_eq!(of(now, now + year), Due::Now(Reason::Missing));
        assert!(matches!(of(now, now + TimeDelta::days(7)), Due::Paused { .. }));
        let facts = living(90);
        let wish =
            Wish { of: "a.b".to_owned(), window: None, selected: None, ask_again: now + year, explanation: None };
        assert!(is_to_be_asked(&facts, &Record { wish: Some(wish), ..Record::default() }, now));
    }

    #[test]
    fn one_that_is_wished_away_as_soon_as_it_is_there_rests_first() {
        let facts = living(90);
        let issued = Issued {
            serial: "01".to_owned(),
            ca: "d".to_owned(),
            account: "x".to_owned(),
            profile: None,
            names: names(),
            at: facts.not_before,
        };
        let past = facts.not_before - TimeDelta::days(30);
        let wish =
            Wish { of: "a.b".to_owned(), window: None, selected: Some(past), ask_again: past, explanation: None };
        let record = Record { issued: Some(issued), wish: Some(wish), ..Record::default() };
        assert!(matches!(decided(Some(&facts), &record, facts.not_before), Due::Later { .. }));
        assert!(matches!(decided(Some(&facts), &record, facts.not_before + AT_REST), Due::Now(Reason::Wished(_))));
    }

    #[test]
    fn the_moment_is_drawn_once_for_each_window() {
        let now = at("2026-11-02T00:00:00Z");
        let window = |days| Window {
            window: Some((now + TimeDelta::days(days), now + TimeDelta::days(days + 2))),
            ask_again: std::time::Duration::from_secs(6 * 3600),
            explanation: None,
        };
        let first = remember(None, "a.b", Some(&window(10)), 0.5, now);
        assert_eq!((first.selected, first.ask_again), (Some(now + TimeDelta::days(11)), now + TimeDelta::hours(6)));
        let again = remember(Some(&first), "a.b", Some(&window(10)), 0.9, now);
        assert_eq!(again.selected, first.selected);
        // The authority has changed its mind: it must be followed (a mass revocation).
        let moved = remember(Some(&again), "a.b", Some(&window(-5)), 0.5, now);
        assert_eq!(moved.selected, Some(now - TimeDelta::days(4)));
        // It has no wish, or cannot be asked: asked again within half a day.
        let none = remember(Some(&moved), "a.b", None, 0.5, now);
        assert_eq!((none.selected, none.ask_again), (None, now + TimeDelta::hours(12)));
    }

    proptest! {
        #[test]
        fn nothing_is_ordered_before_half_its_life_and_nothing_is_forgotten(
            days in 1_i64..400, place in 0.0_f64..=1.0, passed in 0.0_f64..1.5,
        ) {
            let facts = living(days);
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "days")]
            let now = facts.not_before + TimeDelta::seconds((facts.lifetime().num_seconds() as f64 * passed) as i64);
            let (names, record) = (names(), Record::default());
            let known = Known { facts: Some(&facts), is_pair: true, names: &names, is_rehearsal: false, directory: "d", record: &record, place };
            match due(&known, now) {
                Due::Later { at, .. } => {
                    prop_assert!(now < at && at < facts.not_after);
                    prop_assert!(passed < 0.8, "{passed} of its life is over, and it waits");
                }
                Due::Now(_) => prop_assert!(passed >= 0.49, "after {passed} of its life"),
                Due::Paused { .. } => prop_assert!(false, "nothing failed"),
            }
        }
    }
}
