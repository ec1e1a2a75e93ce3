//! Shapes of messages, from all sources, gathered under templates.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::examine;
use crate::rules::{Counted, SourceCount};
use crate::tally::Shape;
use crate::templates::{self, Templates};

/// The templates of all shapes, the most frequent first. What is new becomes known.
pub(crate) fn count(sources: &[SourceCount], known: &mut Templates) -> Vec<Counted> {
    let mut assigned = Vec::new();
    for source in sources {
        for (_, shape) in source.tally.in_order() {
            let masked = templates::mask(&shape.sample, shape.message);
            assigned.extend(known.assign(&masked, shape.level).map(|id| (id, source, shape)));
        }
    }
    let mut counted: BTreeMap<u32, Counted> = BTreeMap::new();
    for (id, source, shape) in assigned {
        // What came later may have shown that two templates are one.
        let id = known.resolve(id);
        known.count(id, shape.count);
        match counted.get_mut(&id) {
            Some(known) => add(known, shape),
            None => drop(counted.insert(id, first(id, known.is_new(id), source, shape))),
        }
    }
    let mut counted: Vec<Counted> = counted.into_values().collect();
    counted.sort_by_key(|counted| (Reverse(counted.count), counted.id));
    counted
}

fn first(id: u32, is_new: bool, source: &SourceCount, shape: &Shape) -> Counted {
    Counted {
        id,
        count: shape.count,
        is_new,
        source: source.name.clone(),
        sample: examine::sample(&shape.sample),
        rule: shape.rule,
        parts: shape.parts.clone(),
    }
}

fn add(counted: &mut Counted, shape: &Shape) {
    counted.count += shape.count;
    if let (Some(mine), Some(theirs)) = (&mut counted.parts, &shape.parts) {
        mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine += theirs);
    }
}
