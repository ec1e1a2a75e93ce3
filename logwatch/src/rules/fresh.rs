//! Errors of a kind that nobody has seen before.
//!
//! Kinds that become known in the same run are one piece of news, told under the number of the most frequent of them: a new
//! release that breaks in twenty ways is one mail. A kind that comes later is another one, though the first still stands.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use shipshape_core::alert::Severity;
use shipshape_core::moment;
use shipshape_core::units::counted;

use super::memory::{Fresh, Memory};
use super::words::{LONGEST_SAMPLE, plain};
use super::{Counted, Seen, Standing, Verdict, named, until_learnt};

/// So often it must have come: what happens once happens to everybody.
const HITS: u64 = 3;

/// Since when there must be a memory: on the first day, everything is new.
const LEARNT_HOURS: i64 = 24;

/// How long it stands after it came last.
const STANDS_HOURS: i64 = 24;

/// How many kinds are followed at once.
const MOST_FOLLOWED: usize = 512;

/// How many pieces of news stand at once; what comes beyond is told with the newest.
const MOST_NEWS: usize = 8;

/// How many kinds a piece of news names.
const NAMED_KINDS: usize = 5;

/// The verdict on each piece of news.
pub(super) fn judge(memory: &mut Memory, seen: &Seen<'_>) -> Vec<Verdict> {
    let age = seen.now - seen.since;
    let calm = Verdict::own("new", Severity::Warning, "new", "logs: errors of new kinds");
    memory.fresh.retain(|_, fresh| seen.now - fresh.last < Duration::hours(STANDS_HOURS));
    if age < Duration::hours(LEARNT_HOURS) {
        let hours = u64::try_from(age.num_hours()).unwrap_or(0);
        return vec![calm.stands(Standing::Learning, until_learnt(hours, LEARNT_HOURS.unsigned_abs(), "hours"))];
    }
    rejoin(memory, seen);
    follow(memory, seen);
    tell_together(memory);
    let mut news: BTreeMap<u32, Vec<(u32, &Fresh)>> = BTreeMap::new();
    for (id, fresh) in &memory.fresh {
        if let Some(leader) = fresh.told_with {
            news.entry(leader).or_default().push((*id, fresh));
        }
    }
    named(news.into_iter().map(|(leader, kinds)| verdict(leader, kinds, seen)).collect(), calm)
}

/// Templates that have turned out to be one are followed as one.
fn rejoin(memory: &mut Memory, seen: &Seen<'_>) {
    for (id, fresh) in std::mem::take(&mut memory.fresh) {
        let now = seen.known.resolve(id);
        match memory.fresh.get_mut(&now) {
            Some(known) => {
                known.first = known.first.min(fresh.first);
                known.last = known.last.max(fresh.last);
                known.hits = known.hits.saturating_add(fresh.hits);
                known.told_with = known.told_with.or(fresh.told_with);
            }
            None => drop(memory.fresh.insert(now, fresh)),
        }
    }
}

/// Counts what is followed, and begins to follow what is new.
fn follow(memory: &mut Memory, seen: &Seen<'_>) {
    let judged: BTreeSet<&str> = seen.judged().map(|source| source.name.as_str()).collect();
    for counted in seen.errors() {
        if let Some(fresh) = memory.fresh.get_mut(&counted.id) {
            fresh.hits = fresh.hits.saturating_add(counted.count);
            fresh.last = seen.now;
        } else if counted.is_new && judged.contains(counted.source.as_str()) {
            make_room(&mut memory.fresh);
            memory.fresh.insert(counted.id, begun(counted, seen.now));
        }
    }
}

fn begun(counted: &Counted, now: DateTime<Utc>) -> Fresh {
    Fresh { first: now, last: now, hits: counted.count, told_with: None }
}

/// Lets go of one that nobody was told of, the rarest first.
fn make_room(fresh: &mut BTreeMap<u32, Fresh>) {
    if fresh.len() >= MOST_FOLLOWED {
        let rarest = fresh.iter().min_by_key(|(_, fresh)| (fresh.told_with.is_some(), fresh.hits, fresh.last));
        rarest.map(|(id, _)| *id).and_then(|id| fresh.remove(&id));
    }
}

/// Makes those that have come often enough one piece of news.
fn tell_together(memory: &mut Memory) {
    let told: BTreeSet<u32> = memory.fresh.values().filter_map(|fresh| fresh.told_with).collect();
    let due = memory.fresh.iter().filter(|(_, fresh)| fresh.told_with.is_none() && fresh.hits >= HITS);
    let Some((leader, _)) = due.max_by_key(|(id, fresh)| (fresh.hits, std::cmp::Reverse(**id))) else { return };
    let leader = if told.len() < MOST_NEWS { *leader } else { told.last().copied().unwrap_or(*leader) };
    for fresh in memory.fresh.values_mut().filter(|fresh| fresh.told_with.is_none() && fresh.hits >= HITS) {
        fresh.told_with = Some(leader);
    }
}

fn verdict(leader: u32, mut kinds: Vec<(u32, &Fresh)>, seen: &Seen<'_>) -> Verdict {
    kinds.sort_by_key(|(id, fresh)| (std::cmp::Reverse(fresh.hits), *id));
    let first = kinds.iter().map(|(_, fresh)| fresh.first).min().unwrap_or(seen.now);
    let last = kinds.iter().map(|(_, fresh)| fresh.last).max().unwrap_or(seen.now);
    let number = kinds.len() as u64;
    let told: Vec<String> = kinds.iter().take(NAMED_KINDS).map(|(id, fresh)| kind(*id, fresh, seen)).collect();
    let more = number.saturating_sub(NAMED_KINDS as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let text = format!(
        "{} never seen before, since {}, last {}: {}{more}",
        counted(number, "kind of error that was", "kinds of errors that were"),
        moment::told(first),
        moment::told(last),
        told.join("; ")
    );
    Verdict::own("new", Severity::Warning, format!("new.t{leader}"), format!("logs: a new kind of error (t{leader})"))
        .about(&format!("t{leader}"))
        .measured(super::memory::float(number), 0.0)
        .stands(Standing::Bad, text)
        .hinted("logwatch top --since 24h; what is no error goes into [[logwatch.ignore]] with a reason")
}

/// `12 x t17 connection to <*> refused (application-1: connection to 10.0.0.7 refused)`.
fn kind(id: u32, fresh: &Fresh, seen: &Seen<'_>) -> String {
    let of_this_run = seen.templates.iter().find(|counted| counted.id == id);
    let sample = of_this_run.map(|counted| {
        format!(" ({}: {})", plain(&counted.source, super::words::LONGEST_NAME), plain(&counted.sample, LONGEST_SAMPLE))
    });
    format!("{} x t{id} {}{}", fresh.hits, seen.words(id), sample.unwrap_or_default())
}
