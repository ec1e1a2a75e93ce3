//! The first look at a log: how much of what is already there is read.

use std::io;

use super::seek;
use super::snapshot::Snapshot;
use super::trace::{Plan, Rest};
use crate::sources::Start;

/// What a first look reads: of a log with times in it, what is not older than asked for, also in older generations; of one
/// without, its end. Without a time that is asked for: all of the file, and no older generation, for those were others'.
/// Also, whether it may be older than asked for.
pub(super) fn look(snapshot: &Snapshot, start: &Start) -> io::Result<(Plan, bool)> {
    let mut plan = Plan::default();
    let is_undated = match (&snapshot.live, start.since) {
        (Some(live), None) => {
            plan.live_from = (!live.is_empty()?).then_some(0);
            false
        }
        (Some(live), Some(since)) if !live.is_empty()? => {
            let from = seek::since(live, since, start)?;
            plan.live_from = Some(from.map_or_else(|| seek::undated(live), Ok)?);
            if from == Some(0) {
                plan.rests = rests(snapshot, start)?;
            }
            from.is_none()
        }
        _ => {
            plan.rests = rests(snapshot, start)?;
            false
        }
    };
    leave(&mut plan, snapshot)?;
    Ok((plan, is_undated))
}

/// What older generations have that is not older than asked for.
fn rests(snapshot: &Snapshot, start: &Start) -> io::Result<Vec<Rest>> {
    let mut rests = Vec::new();
    let Some(since) = start.since else { return Ok(rests) };
    let Some(since_ns) = since.timestamp_nanos_opt() else { return Ok(rests) };
    for (number, old) in snapshot.olds.iter().enumerate().rev() {
        let generation = &old.generation;
        if generation.mtime_ns < since_ns || !generation.is_whole()? {
            break;
        }
        // What is packed cannot be halved; records that are too old are left out one by one.
        let from = if generation.is_packed() { Some(0) } else { seek::since(generation, since, start)? };
        let Some(from) = from else { break };
        rests.push(Rest { old: number, from, to: generation.length()? });
        if from > 0 {
            break;
        }
    }
    rests.reverse();
    Ok(rests)
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
