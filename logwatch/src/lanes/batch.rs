//! Whole records that wait to be looked at together: a search for secrets in many at once costs far less than one in each.

use chrono::{DateTime, Utc};

use crate::examine::{Entry, Examiner};
use crate::formats::Head;
use crate::level::Level;
use crate::secrets;

/// How many bytes wait: enough for the search, few enough for the processor's cache.
const FULL: usize = 64 << 10;

/// What is known of a line without looking at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// When it came.
    pub(super) time: Option<DateTime<Utc>>,
    /// The level that the wire states.
    pub(super) level: Option<Level>,
    /// Its place: piece and offset.
    pub(super) place: (u64, usize),
}

/// A record, without its bytes.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Where its bytes end.
    end: usize,
    /// The number of its lane.
    lane: usize,
    came: Came,
    head: Option<Head>,
}

/// Records, one after the other, with a line feed behind each.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    telltales: Vec<usize>,
}

impl Batch {
    /// Adds a record of the lane of this number.
    pub(super) fn push(&mut self, record: &[u8], lane: usize, came: Came, head: Option<Head>) {
        self.bytes.extend_from_slice(record);
        self.waiting.push(Waiting { end: self.bytes.len(), lane, came, head });
        self.bytes.push(b'\n');
    }

    /// Whether it is time to look at them.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Looks at all of them, in the order in which they came. `name` gives the name of a lane.
    pub(super) fn examine<'n>(&mut self, examiner: &mut Examiner<'_>, name: impl Fn(usize) -> &'n str) {
        self.telltales.clear();
        if examiner.criteria().secrets {
            secrets::telltales(&self.bytes, &mut self.telltales);
        }
        let may_match = !examiner.criteria().patterns.is_empty();
        let mut telltales = &self.telltales[..];
        let mut start = 0;
        for Waiting { end, lane, came, head } in self.waiting.drain(..) {
            let met = telltales.iter().take_while(|offset| **offset < end).count();
            telltales = &telltales[met..];
            examiner.record(&Entry {
                bytes: &self.bytes[start..end],
                head,
                time: came.time,
                level: came.level,
                lane: name(lane),
                place: came.place,
                may_leak: met > 0,
                may_match,
            });
            start = end + 1;
        }
        self.bytes.clear();
    }
}
