//! What was counted: of one source in one run, in bounded memory whatever comes.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use crate::level::Level;

/// How many shapes of messages are told apart in a run; what comes beyond is counted together.
pub(crate) const MOST_SHAPES: usize = 4096;

/// How many different secrets are told apart in a run.
pub(crate) const MOST_SECRETS: usize = 256;

/// How much of a record is kept as a sample, in bytes.
pub(crate) const SAMPLE: usize = 4 << 10;

/// Into how many parts the time that is looked at is cut, for trends.
pub(crate) const PARTS: usize = 24;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Bytes, as they came.
    pub(crate) bytes: u64,
    /// Lines.
    pub(crate) lines: u64,
    /// Records.
    pub(crate) records: u64,
    /// Records that are errors, and not ignored.
    pub(crate) errors: u64,
    /// Records that would count, but for the ignore list.
    pub(crate) ignored: u64,
    /// Records by level; the last is that of records without any.
    pub(crate) levels: [u64; 8],
    /// Lines of which only the beginning was looked at.
    pub(crate) cut_lines: u64,
    /// Lines that were no text.
    pub(crate) garbage: u64,
    /// Lines that had been counted before.
    pub(crate) repeated: u64,
    /// Shapes of messages that are grave enough to be told apart, by their hash.
    pub(crate) shapes: HashMap<u64, Shape>,
    /// Records whose shapes were too many.
    pub(crate) other: u64,
    /// Secrets, by rule and fingerprint.
    pub(crate) secrets: BTreeMap<(&'static str, String), Leak>,
    /// Secrets that were too many.
    pub(crate) more_secrets: u64,
    /// How often each of the owner's patterns was met, and the first record with it.
    pub(crate) patterns: Vec<(u64, Option<String>)>,
    /// How often each line of the ignore list was met.
    pub(crate) ignores: Vec<u64>,
    /// When the first and the last record were written, as far as they say so.
    pub(crate) span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Records of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// How many.
    pub(crate) count: u64,
    /// The highest level.
    pub(crate) level: Option<Level>,
    /// Where the first one is, to bring shapes into order: piece and offset.
    pub(crate) first: (u64, usize),
    /// The first one's beginning, as it came: with secrets in it, if there are any.
    pub(crate) sample: Vec<u8>,
    /// Where the message begins in the sample.
    pub(crate) message: usize,
    /// By what it was judged.
    pub(crate) rule: &'static str,
    /// How many in each part of the time that is looked at, where trends are asked for.
    pub(crate) parts: Option<Box<[u32; PARTS]>>,
}

/// A secret that was met.
#[derive(Clone, Debug)]
pub(crate) struct Leak {
    /// How often.
    pub(crate) count: u64,
    /// The first place: piece and offset.
    pub(crate) first: (u64, usize),
    /// The masked message of the record in which it was met first.
    pub(crate) context: String,
}

impl Tally {
    /// Counts a record of this level.
    pub(crate) fn level(&mut self, level: Option<Level>) {
        self.levels[level.map_or(7, |level| level as usize)] += 1;
    }

    /// The counts by the names of levels, without those of which there are none; `none` is that of records without any.
    pub(crate) fn by_level(&self) -> BTreeMap<&'static str, u64> {
        let names = Level::ALL.iter().map(|level| level.word()).chain(["none"]);
        names.zip(self.levels).filter(|(_, count)| *count > 0).collect()
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.lines += other.lines;
        self.records += other.records;
        self.errors += other.errors;
        self.ignored += other.ignored;
        self.cut_lines += other.cut_lines;
        self.garbage += other.garbage;
        self.repeated += other.repeated;
        self.other += other.other;
        self.more_secrets += other.more_secrets;
        self.levels.iter_mut().zip(other.levels).for_each(|(mine, theirs)| *mine += theirs);
        self.ignores.resize(self.ignores.len().max(other.ignores.len()), 0);
        self.ignores.iter_mut().zip(other.ignores).for_each(|(mine, theirs)| *mine += theirs);
        self.add_patterns(other.patterns);
        for (hash, shape) in other.shapes {
            self.add_shape(hash, shape);
        }
        for (key, leak) in other.secrets {
            self.add_leak(key, leak);
        }
        self.add_span(other.span);
    }

    /// The shapes in the order in which they were met first.
    pub(crate) fn in_order(&self) -> Vec<(u64, &Shape)> {
        let mut shapes: Vec<(u64, &Shape)> = self.shapes.iter().map(|(hash, shape)| (*hash, shape)).collect();
        shapes.sort_by_key(|(hash, shape)| (shape.first, *hash));
        shapes
    }

    /// Widens the span of time.
    pub(crate) fn add_span(&mut self, span: Option<(DateTime<Utc>, DateTime<Utc>)>) {
        self.span = match (self.span, span) {
            (Some((from, to)), Some((other_from, other_to))) => Some((from.min(other_from), to.max(other_to))),
            (mine, theirs) => mine.or(theirs),
        };
    }

    fn add_patterns(&mut self, patterns: Vec<(u64, Option<String>)>) {
        self.patterns.resize(self.patterns.len().max(patterns.len()), (0, None));
        for (mine, (count, sample)) in self.patterns.iter_mut().zip(patterns) {
            mine.0 += count;
            if mine.1.is_none() {
                mine.1 = sample;
            }
        }
    }

    fn add_shape(&mut self, hash: u64, shape: Shape) {
        if let Some(known) = self.shapes.get_mut(&hash) {
            known.add(shape);
        } else if self.shapes.len() < MOST_SHAPES {
            self.shapes.insert(hash, shape);
        } else {
            self.other += shape.count;
        }
    }

    /// Adds a leak, where there are not too many.
    pub(crate) fn add_leak(&mut self, key: (&'static str, String), leak: Leak) {
        if let Some(known) = self.secrets.get_mut(&key) {
            known.count += leak.count;
            if leak.first < known.first {
                (known.first, known.context) = (leak.first, leak.context);
            }
        } else if self.secrets.len() < MOST_SECRETS {
            self.secrets.insert(key, leak);
        } else {
            self.more_secrets += leak.count;
        }
    }
}

impl Shape {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.level = self.level.max(other.level);
        if let (Some(mine), Some(theirs)) = (&mut self.parts, &other.parts) {
            mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine += theirs);
        }
        if other.first < self.first {
            (self.first, self.sample, self.message, self.rule) = (other.first, other.sample, other.message, other.rule);
        }
    }
}
