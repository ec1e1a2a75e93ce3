//! A source read once: what is new in it is counted, and where it is left is noted.

use crate::engine::{self, Origin, Taken};
use crate::examine::{Criteria, Judged};
use crate::rules::SourceCount;
use crate::sources::{Cursor, Opened, Source, SourceError, Start};
use crate::tally::Tally;

/// What a source gave, and where it is left.
pub(crate) struct Reading {
    /// What it gave.
    pub(crate) count: SourceCount,
    /// Where it is left.
    pub(crate) cursor: Cursor,
}

/// Whoever wants to see each record: with the name of its source.
pub(crate) type Onlooker<'a> = dyn FnMut(&str, &Judged<'_>) + Send + 'a;

/// Reads what is new in a source since `cursor`, or what `start` asks for where there is none.
pub(crate) fn read(
    source: &mut dyn Source,
    cursor: Option<&Cursor>,
    start: &Start,
    criteria: &Criteria,
    mut onlooker: Option<&mut Onlooker<'_>>,
) -> Result<Reading, SourceError> {
    let (name, key) = (source.name().to_owned(), source.key());
    let Opened { parts, gaps, mut marks, is_first, is_undated } = source.open(cursor, start)?;
    // A first look may begin a little too early: only then records are asked for their time.
    let criteria = Criteria { not_before: start.since.filter(|_| is_first), ..criteria.clone() };
    let mut tally = Tally::default();
    let mut last = Taken::default();
    for (number, part) in parts.into_iter().enumerate() {
        let origin = Origin { goes_on: number == 0 && !is_first, first_piece: last.next_piece };
        let mut show = onlooker.as_mut().map(|onlooker| |judged: &Judged<'_>| onlooker(&name, judged));
        let observer = show.as_mut().map(|show| show as &mut (dyn FnMut(&Judged<'_>) + Send));
        last = engine::read(part, origin, &mut marks, &criteria, observer)
            .map_err(|cause| SourceError::Unreadable { path: name.clone().into(), source: cause })?;
        tally.add(std::mem::take(&mut last.tally));
    }
    // Of a source that was read before, a stretch that is no text is told and passed: what comes behind it is to be seen too.
    let is_all_of_it = cursor.is_none() || !source.can_be_read_again();
    if is_all_of_it && is_no_text(&tally) {
        return Err(SourceError::NoText { what: name, garbage: tally.garbage, lines: tally.lines });
    }
    if let Some(place) = last.journal {
        source.left_at(place);
    }
    let cursor = source.close(last.bytes, marks)?;
    Ok(Reading { count: SourceCount { name, key, tally, gaps, is_first, is_undated }, cursor })
}

/// Whether most of it is no text. One line is too little to tell: the last one of a wrapped log may be half written.
fn is_no_text(tally: &Tally) -> bool {
    // Garbage within wrapped lines is not counted as lines; where it is more than these, another wrapping was expected.
    (2..=tally.lines).contains(&tally.garbage) && tally.garbage * 2 > tally.lines + tally.repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_no_text_when_most_of_its_lines_are_none() {
        let tally = |garbage, lines, repeated| Tally { lines, garbage, repeated, ..Tally::default() };
        assert!(is_no_text(&tally(2, 3, 0)) && is_no_text(&tally(500, 500, 0)));
        let text = [tally(0, 0, 0), tally(1, 1, 0), tally(1, 0, 0), tally(50, 100, 0), tally(2, 2, 100)];
        assert!(!text.iter().any(is_no_text));
    }
}
