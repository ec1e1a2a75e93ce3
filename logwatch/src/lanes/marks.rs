//! What of each lane was taken in before: asked for the last hour every ten minutes, Compose says most lines again.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// How many lines of one nanosecond are remembered: of more, those beyond count again in the next run, as it is better to
/// count twice than never.
const MOST_HASHES: usize = 1024;

/// How many lanes are remembered; those that have been silent for longest go.
const MOST_MARKS: usize = 1024;

/// How far in the future a mark may lie. One that lies farther was made before somebody set the clock back: it would hide
/// all that comes.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Where a lane was left: what is not newer was taken in already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The time of the newest line.
    pub(crate) last: DateTime<Utc>,
    /// Hashes of the lines of that very time.
    pub(crate) hashes: Vec<u64>,
}

/// The marks of all lanes of a source.
pub(crate) type Marks = BTreeMap<String, Mark>;

/// A lane's lines, compared with its mark.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Where the last run left it.
    before: Option<Mark>,
    /// Whether a line was newer: what comes after it is new, even where the clock was set back meanwhile.
    has_passed: bool,
    /// Where this run leaves it.
    mark: Option<Mark>,
}

impl Progress {
    /// Goes on from this mark.
    pub(super) fn from(mark: Option<&Mark>, now: DateTime<Utc>) -> Self {
        let trusted = mark.filter(|mark| mark.last <= now + AHEAD);
        Self { before: trusted.cloned(), has_passed: false, mark: trusted.cloned() }
    }

    /// Whether a line was taken in by a former run. Moves on if not.
    pub(super) fn is_repeated(&mut self, time: DateTime<Utc>, text: &[u8]) -> bool {
        let hash = XxHash3_64::oneshot(text);
        if let Some(before) = &mut self.before {
            if time < before.last && !self.has_passed {
                return true;
            }
            // Each hash stands for one line: a program may well say the same thing twice at once.
            let met = before.hashes.iter().position(|known| time == before.last && *known == hash);
            if let Some(met) = met {
                before.hashes.swap_remove(met);
                return true;
            }
            self.has_passed = true;
        }
        self.advance(time, hash);
        false
    }

    fn advance(&mut self, time: DateTime<Utc>, hash: u64) {
        let mark = self.mark.get_or_insert_with(Mark::default);
        if time > mark.last {
            mark.last = time;
            mark.hashes.clear();
        }
        if time == mark.last && mark.hashes.len() < MOST_HASHES {
            mark.hashes.push(hash);
        }
    }

    /// Puts down where this run leaves the lane.
    pub(super) fn store(self, lane: &str, marks: &mut Marks) {
        let Some(mark) = self.mark else { return };
        marks.insert(lane.to_owned(), mark);
    }
}

/// Forgets the lanes that have been silent for longest, where there are too many. To be asked after many were stored, not
/// after each: it looks at all of them.
pub(super) fn bound(marks: &mut Marks) {
    let Some(last) = marks.len().checked_sub(MOST_MARKS + 1) else { return };
    let mut times: Vec<DateTime<Utc>> = marks.values().map(|mark| mark.last).collect();
    let (older, newest, _) = times.select_nth_unstable(last);
    let newest = *newest;
    // Of those that were silent equally long only as many go as must.
    let mut twins = last + 1 - older.iter().filter(|time| **time < newest).count();
    marks.retain(|_, mark| {
        let goes = mark.last < newest || mark.last == newest && twins > 0;
        twins -= usize::from(goes && mark.last == newest);
        !goes
    });
}
