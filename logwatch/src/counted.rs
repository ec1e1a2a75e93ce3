//! Shapes of messages, from all sources, gathered under templates.
//!
//! A shape is what one run tells apart, cheaply, while it reads; a template is what people see, with a number that stays from
//! run to run. Many shapes may be of one template, and only when all have been looked at is it known which are.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::examine::{self, Judged};
use crate::rules::{Counted, SourceCount};
use crate::tally::Shape;
use crate::templates::{self, MOST_TEMPLATES, Templates};

/// The templates of all shapes, the most frequent first. What is new becomes known.
pub(crate) fn count<'s>(sources: &'s [SourceCount], known: &mut Templates) -> Vec<Counted> {
    let of = |source: &'s SourceCount| source.tally.in_order().into_iter().map(move |(_, shape)| (source, shape));
    let mut shapes: Vec<(&SourceCount, &Shape)> = sources.iter().flat_map(of).collect();
    if shapes.len() > MOST_TEMPLATES {
        // Not all will have a place: a flood of what comes once must not keep out what comes often.
        shapes.sort_by_key(|(_, shape)| Reverse(shape.count));
    }
    let mut assigned = Vec::new();
    for (source, shape) in shapes {
        let masked = templates::mask(&shape.sample, shape.message);
        assigned.extend(known.assign(&masked, shape.level).map(|id| (id, source, shape)));
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

/// The template of one record, of which nothing is counted. What is new becomes known.
pub(crate) fn template_of(judged: &Judged<'_>, known: &mut Templates) -> Option<u32> {
    known.assign(&templates::mask(judged.record, judged.message), judged.judgement.level)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::tally::Tally;

    fn shape(text: &str, count: u64, at: usize) -> (u64, Shape) {
        let (sample, level) = (text.as_bytes().to_vec(), Some(Level::Error));
        (at as u64, Shape { count, level, first: (0, at), sample, message: 0, rule: "plain.level", parts: None })
    }

    #[test]
    fn what_comes_often_has_a_place_though_a_flood_of_what_comes_once_came_first() {
        let word = |number: usize| {
            format!("w{}", number.to_string().bytes().map(|digit| char::from(digit + 49)).collect::<String>())
        };
        let mut shapes: Vec<_> = (0..3000).map(|at| shape(&format!("{0} {0} {0}", word(at)), 1, at)).collect();
        shapes.push(shape("disk is full", 5, 3000));
        let tally = Tally { shapes: shapes.into_iter().collect(), ..Tally::default() };
        let (name, key) = ("app.log".to_owned(), "file:app.log".to_owned());
        let source = SourceCount { name, key, tally, gaps: Vec::new(), is_first: false, is_undated: false };
        let mut known = Templates::default();
        known.begin("2026-11-20T02:00:00Z".parse().unwrap());
        let counted = count(&[source], &mut known);
        assert_eq!((counted[0].count, counted[0].sample.as_str()), (5, "disk is full"));
    }
}
