//! Messages that differ only in their values are of one template.
//!
//! Three steps, each a file: [`mask`](self::mask::mask) takes out of a message what is a value by its looks, [`merge`] tells
//! whether two masked messages differ in values that have no looks of their own, and this file keeps what is known: with
//! numbers that stay, within bounds, from run to run ([`stored`]).

mod json;
mod mask;
mod merge;
mod scan;
mod stored;
#[cfg(test)]
mod tests;
mod tidy;
mod trace;
mod words;

pub(crate) use mask::{excerpt, mask, shape};

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::level::Level;
use merge::Likeness;

/// How many templates are known at most.
pub(crate) const MOST_TEMPLATES: usize = 1024;

/// How many templates of one run may take the places of known ones: a flood of what is new must not wipe out what is known.
const MOST_TAKEN_OVER: usize = MOST_TEMPLATES / 2;

/// How many numbers are remembered that are of others now.
const MOST_ALIASES: usize = 1024;

/// A template that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Its number, for ever.
    pub(crate) id: u32,
    /// Its words, `<*>` for what differs. They may become more general.
    pub(crate) text: String,
    /// The highest level that it was seen with.
    pub(crate) level: Option<Level>,
    /// The run that saw it first.
    pub(crate) first_seen: DateTime<Utc>,
    /// The run that saw it last.
    pub(crate) last_seen: DateTime<Utc>,
    /// How many records there were of it in all runs.
    pub(crate) count: u64,
}

/// Templates that could be of one: as many words, the same first one.
type Leaf = (usize, u64);

/// All templates that are known. Bounded, kept across runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "stored::Stored", into = "stored::Stored")]
pub(crate) struct Templates {
    /// By their numbers.
    known: BTreeMap<u32, Template>,
    /// The next number.
    next: u32,
    /// Numbers whose templates turned out to be of another, and of which.
    aliases: BTreeMap<u32, u32>,
    /// Numbers by hash of the text.
    exact: HashMap<u64, u32>,
    /// Numbers by leaf, in growing order.
    leaves: HashMap<Leaf, Vec<u32>>,
    /// When the run began.
    now: DateTime<Utc>,
    /// Whether this run has taken over as many places as it may.
    is_exhausted: bool,
}

/// What is known is compared, not how it is found.
impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        (&self.known, self.next, &self.aliases) == (&other.known, other.next, &other.aliases)
    }
}

impl Eq for Templates {}

impl Templates {
    /// A run begins: what it assigns is seen now.
    pub(crate) fn begin(&mut self, now: DateTime<Utc>) {
        // As exact as what is stored, so that what was read again equals what was written.
        self.now = now.trunc_subsecs(3);
        self.is_exhausted = false;
    }

    /// The template of a masked message: a known one, or a new one. None where there are too many.
    ///
    /// Later messages may show that two templates are one: [`Self::resolve`] the number when all messages of a run are
    /// assigned.
    pub(crate) fn assign(&mut self, masked: &str, level: Option<Level>) -> Option<u32> {
        if let Some(id) = self.exact.get(&hash(masked)) {
            let id = *id;
            self.see(id, level);
            return Some(id);
        }
        let (like, alternatives) = self.search(masked);
        if let Some(id) = like {
            self.see(id, level);
            return Some(self.generalise(id, masked));
        }
        if let Some(survivor) = alternatives.first().copied() {
            self.see(survivor, level);
            return Some(self.generalise(survivor, masked));
        }
        self.learn(masked, level)
    }

    /// The template of this number.
    pub(crate) fn get(&self, id: u32) -> Option<&Template> {
        self.known.get(&self.resolve(id))
    }

    /// The number of the template that this one is now.
    pub(crate) fn resolve(&self, id: u32) -> u32 {
        // Aliases always name one that is known: those of one that is absorbed are moved.
        self.aliases.get(&id).copied().unwrap_or(id)
    }

    /// Whether no run before this one has seen it.
    pub(crate) fn is_new(&self, id: u32) -> bool {
        self.get(id).is_some_and(|template| template.first_seen >= self.now)
    }

    /// Adds so many records to what was counted of a template.
    pub(crate) fn count(&mut self, id: u32, records: u64) {
        if let Some(template) = self.known.get_mut(&self.resolve(id)) {
            template.count = template.count.saturating_add(records);
        }
    }

    /// The one that is alike, or those that differ in one word only or in two beside each other, where they are so many that it
    /// is a value.
    fn search(&self, masked: &str) -> (Option<u32>, Vec<u32>) {
        let words: Vec<&str> = masked.split(' ').collect();
        let mut odd: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let mut pairs: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for id in self.leaves.get(&leaf(masked)).into_iter().flatten() {
            let Some(template) = self.known.get(id) else { continue };
            let known: Vec<&str> = template.text.split(' ').collect();
            match merge::compare(&known, &words) {
                Likeness::One => return (Some(*id), Vec::new()),
                Likeness::AllBut(at) => odd.entry(at).or_default().push(*id),
                Likeness::AllButPair(at) => pairs.entry(at).or_default().push(*id),
                Likeness::None => {}
            }
        }
        let is_enough =
            |(at, alternatives): &(usize, Vec<u32>)| alternatives.len() + 1 >= merge::enough(words.len(), words[*at]);
        let most = odd.into_iter().filter(is_enough).map(|(_, alternatives)| alternatives).max_by_key(Vec::len);
        let pairs = || pairs.into_values().filter(|pairs| pairs.len() + 1 >= merge::ENOUGH_PAIRS).max_by_key(Vec::len);
        (None, most.or_else(pairs).unwrap_or_default())
    }

    /// Makes a template cover this message too, and all templates that it then covers; the number of what is left.
    fn generalise(&mut self, id: u32, masked: &str) -> u32 {
        let Some(template) = self.known.get(&id) else { return id };
        let known: Vec<&str> = template.text.split(' ').collect();
        let text = merge::general(&known, &masked.split(' ').collect::<Vec<_>>());
        if text == template.text {
            return id;
        }
        let Some(template) = self.remove(id) else { return id };
        let mut merged = Template { text, ..template };
        for other in self.covered(&merged.text) {
            let Some(other) = self.remove(other) else { continue };
            merged = self.absorb(merged, other);
        }
        let id = merged.id;
        self.insert(merged);
        id
    }

    /// The templates that this text covers.
    fn covered(&self, text: &str) -> Vec<u32> {
        let words: Vec<&str> = text.split(' ').collect();
        let is_covered = |id: &u32| {
            self.known.get(id).is_some_and(|other| {
                merge::compare(&words, &other.text.split(' ').collect::<Vec<_>>()) == Likeness::One
            })
        };
        self.leaves.get(&leaf(text)).into_iter().flatten().copied().filter(is_covered).collect()
    }

    /// Two templates that turned out to be one: the older number stays.
    fn absorb(&mut self, mine: Template, other: Template) -> Template {
        let (mut kept, gone) = if mine.id < other.id { (mine, other) } else { (other, mine) };
        kept.text =
            merge::general(&kept.text.split(' ').collect::<Vec<_>>(), &gone.text.split(' ').collect::<Vec<_>>());
        kept.level = kept.level.max(gone.level);
        kept.first_seen = kept.first_seen.min(gone.first_seen);
        kept.last_seen = kept.last_seen.max(gone.last_seen);
        kept.count = kept.count.saturating_add(gone.count);
        self.aliases.values_mut().filter(|target| **target == gone.id).for_each(|target| *target = kept.id);
        self.aliases.insert(gone.id, kept.id);
        while self.aliases.len() > MOST_ALIASES {
            self.aliases.pop_first();
        }
        kept
    }

    fn see(&mut self, id: u32, level: Option<Level>) {
        if let Some(template) = self.known.get_mut(&id) {
            template.level = template.level.max(level);
            template.last_seen = template.last_seen.max(self.now);
        }
    }

    /// A new template, if there is a place for it.
    fn learn(&mut self, masked: &str, level: Option<Level>) -> Option<u32> {
        if self.known.len() >= MOST_TEMPLATES && !self.make_room() {
            return None;
        }
        let (id, now) = (self.next, self.now);
        self.next = self.next.checked_add(1)?;
        self.insert(Template { id, text: masked.to_owned(), level, first_seen: now, last_seen: now, count: 0 });
        Some(id)
    }

    /// Forgets the template that was not seen for the longest time; of those, the one that was seen least. What this run has
    /// seen is not forgotten.
    fn make_room(&mut self) -> bool {
        if self.is_exhausted {
            return false;
        }
        let taken = self.known.values().filter(|template| template.first_seen >= self.now).count();
        let unseen = self.known.values().filter(|template| template.last_seen < self.now);
        let oldest =
            unseen.min_by_key(|template| (template.last_seen, template.count, template.id)).map(|known| known.id);
        let Some(oldest) = oldest.filter(|_| taken < MOST_TAKEN_OVER) else {
            self.is_exhausted = true;
            return false;
        };
        self.remove(oldest);
        self.aliases.retain(|_, target| *target != oldest);
        true
    }

    fn insert(&mut self, template: Template) {
        self.exact.insert(hash(&template.text), template.id);
        let leaf = self.leaves.entry(leaf(&template.text)).or_default();
        let at = leaf.partition_point(|id| *id < template.id);
        leaf.insert(at, template.id);
        self.known.insert(template.id, template);
    }

    fn remove(&mut self, id: u32) -> Option<Template> {
        let template = self.known.remove(&id)?;
        self.exact.remove(&hash(&template.text));
        let key = leaf(&template.text);
        if let Some(leaf) = self.leaves.get_mut(&key) {
            leaf.retain(|known| *known != id);
            if leaf.is_empty() {
                self.leaves.remove(&key);
            }
        }
        Some(template)
    }
}

fn hash(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

fn leaf(text: &str) -> Leaf {
    (text.split(' ').count(), hash(merge::first_word(text)))
}
