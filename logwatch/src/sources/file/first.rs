//! The first look at a log: how much of what is already there is read.

use std::io;

use super::generation::Generation;
use super::seek;
use super::snapshot::Snapshot;
use super::trace::{Plan, Rest};
use crate::sources::{Gap, Start};

/// What a first look reads: of a log with times in it, what is not older than asked for, also in older generations; of one
/// without, its end. Without a time that is asked for: everything that is there, the oldest generation first. Also, whether
/// it may be older than asked for.
pub(super) fn look(snapshot: &Snapshot, start: &Start) -> io::Result<(Plan, bool)> {
    let mut plan = Plan::default();
    let is_undated = match (&snapshot.live, start.since) {
        (Some(live), None) => {
            plan.live_from = (!live.is_empty()?).then_some(0);
            read_rests(&mut plan, snapshot, start)?;
            false
        }
        (Some(live), Some(since)) if !live.is_empty()? => {
            let from = seek::since(live, since, start)?;
            plan.live_from = Some(from.map_or_else(|| seek::undated(live), Ok)?);
            if from == Some(0) {
                read_rests(&mut plan, snapshot, start)?;
            }
            from.is_none()
        }
        _ => {
            read_rests(&mut plan, snapshot, start)?;
            false
        }
    };
    leave(&mut plan, snapshot)?;
    Ok((plan, is_undated))
}

/// Adds what older generations have that is not older than asked for. Of one that is cut short, what can be read of it: there
/// may be errors in it; and what cannot is lost.
fn read_rests(plan: &mut Plan, snapshot: &Snapshot, start: &Start) -> io::Result<()> {
    for (number, old) in snapshot.olds.iter().enumerate().rev() {
        let generation = &old.generation;
        let Some(from) = begin(generation, start)? else { break };
        if !generation.is_whole()? {
            plan.gaps.push(Gap { bytes: None, why: format!("{} is cut short", generation.path.display()) });
        }
        plan.rests.push(Rest { old: number, from, to: generation.length()? });
        if from > 0 {
            break;
        }
    }
    plan.rests.reverse();
    plan.gaps.reverse();
    Ok(())
}

/// From where on an older generation is read; none if it, and with it whatever is older, has nothing that is asked for.
fn begin(generation: &Generation, start: &Start) -> io::Result<Option<u64>> {
    let Some(since) = start.since else { return Ok(Some(0)) };
    // What lies before the years that nanoseconds can count has everything behind it.
    let since_ns = since.timestamp_nanos_opt().unwrap_or(i64::MIN);
    if generation.mtime_ns < since_ns {
        return Ok(None);
    }
    // What is packed cannot be halved; records that are too old are left out one by one.
    if generation.is_packed() { Ok(Some(0)) } else { seek::since(generation, since, start) }
}

/// From here on, everything that is there counts as read or as not wanted.
fn leave(plan: &mut Plan, snapshot: &Snapshot) -> io::Result<()> {
    let mut places = Vec::new();
    for old in snapshot.olds.iter().rev() {
        if places.len() == 2 {
            break;
        }
        if old.generation.is_whole()? && !old.generation.is_empty()? {
            places.push(old.generation.place_when_rotated(old.generation.length()?)?);
        }
    }
    let mut places = places.into_iter();
    if plan.live_from.is_none() {
        plan.at = places.next();
    }
    plan.before = places.next();
    Ok(())
}
