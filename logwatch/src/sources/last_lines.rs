//! The last lines that were read: what comes next may go on with their record.

use crate::chunk::LONGEST_LINE;

/// How much is kept, in bytes: of any line as much as is looked at, and of most records all.
const KEPT: usize = 2 * LONGEST_LINE;

/// The last lines of what was read, each with its end.
#[derive(Debug, Default)]
pub(crate) struct LastLines(Vec<u8>);

impl LastLines {
    /// Adds lines behind those that are there, and keeps the last of all.
    pub(crate) fn add(&mut self, lines: &[u8]) {
        self.0.extend_from_slice(&lines[lines.len().saturating_sub(KEPT + 1)..]);
        let Some(surplus) = self.0.len().checked_sub(KEPT).filter(|surplus| *surplus > 0) else { return };
        // What is too much goes with the line in which it ends.
        let feed = memchr::memchr(b'\n', &self.0[surplus - 1..]);
        self.0.drain(..feed.map_or(self.0.len(), |feed| surplus + feed));
    }

    /// Adds a line that has no end yet; only as much of it as is looked at.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        let mut whole = line[..line.len().min(LONGEST_LINE)].to_vec();
        whole.push(b'\n');
        self.add(&whole);
    }

    /// The lines.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_line_is_there_however_long_it_is() {
        let mut last = LastLines::default();
        last.add(b"short\n");
        last.add_line(&vec![b'x'; 3 * LONGEST_LINE]);
        assert!(last.as_bytes().ends_with(b"xx\n"));
        assert_eq!(last.as_bytes().len(), "short\n".len() + LONGEST_LINE + 1);
    }

    proptest! {
        #[test]
        fn what_is_kept_are_whole_lines_as_many_as_there_is_room_for(
            lengths in prop::collection::vec(0..KEPT, 1..20), at_once: bool
        ) {
            let lines: Vec<Vec<u8>> = lengths.iter().map(|length| [vec![b'x'; *length], vec![b'\n']].concat()).collect();
            let mut last = LastLines::default();
            let steps = if at_once { vec![lines.concat()] } else { lines.clone() };
            for step in steps {
                last.add(&step);
            }
            let mut kept: Vec<&[u8]> = Vec::new();
            for line in lines.iter().rev() {
                if kept.concat().len() + line.len() > KEPT {
                    break;
                }
                kept.insert(0, line);
            }
            prop_assert!(last.as_bytes() == kept.concat());
        }
    }
}
