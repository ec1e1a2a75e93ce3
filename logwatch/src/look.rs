//! A source read once: what is new in it is counted, and where it is left is noted.

mod enduring;
mod resumed;

use crate::engine::{self, Origin, Taken};
use crate::examine::{Criteria, Judged};
use crate::lanes::{self, Marks};
use crate::rules::SourceCount;
use crate::sources::{Cursor, Gap, Opened, Source, SourceError, Start};
use crate::tally::Tally;
use enduring::Enduring;
use resumed::{Resumed, resume};

/// What a source gave, and where it is left.
pub(crate) struct Reading {
    /// What it gave.
    pub(crate) count: SourceCount,
    /// Where it is left; none where the next run is to read the same again, since it could not be read to its end.
    pub(crate) cursor: Option<Cursor>,
    /// Why this is not all that there is.
    pub(crate) failure: Option<SourceError>,
}

/// Whoever wants to see each record: with the name of its source.
pub(crate) type Onlooker<'a> = dyn FnMut(&str, &Judged<'_>) + Send + 'a;

/// Reads what is new in a source since `cursor`, or what `start` asks for where there is none. What cannot be read to its end
/// is read as far as it goes, for errors may stand there; [`Reading::failure`] says so.
///
/// # Errors
/// Nothing of it can be read, or nothing of what was read can be believed.
pub(crate) fn read(
    source: &mut dyn Source,
    cursor: Option<&Cursor>,
    start: &Start,
    criteria: &Criteria,
    mut onlooker: Option<&mut Onlooker<'_>>,
) -> Result<Reading, SourceError> {
    let (name, key) = (source.name().to_owned(), source.key());
    let Opened { parts, before, mut gaps, mut marks, is_first, is_undated } = source.open(cursor, start)?;
    // A first look may begin a little too early: only then records are asked for their time.
    let criteria = Criteria { not_before: start.since.filter(|_| is_first), ..criteria.clone() };
    let mut tally = Tally::default();
    let mut last = Taken::default();
    let mut broken = None;
    let has_parts = !parts.is_empty();
    for (number, part) in parts.into_iter().enumerate() {
        let is_resumed = number == 0 && !before.is_empty();
        let origin = Origin { goes_on: number == 0 && !is_first && !is_resumed, first_piece: last.next_piece };
        let mut show = onlooker.as_mut().map(|onlooker| |judged: &Judged<'_>| onlooker(&name, judged));
        let observer = show.as_mut().map(|show| show as &mut (dyn FnMut(&Judged<'_>) + Send));
        let (part, failed) = Enduring::over(part);
        let (part, changed) = lanes::fit(part);
        let before: &[u8] = if is_resumed { &before } else { &[] };
        let Resumed { part, lines, bytes, place } = resume(before, part);
        let unreadable = |source| SourceError::Unreadable { path: name.clone().into(), source };
        last = engine::read(part, origin, &mut marks, &criteria, observer).map_err(unreadable)?;
        last.journal = place.or(last.journal);
        // Places are those of the stream as it came.
        last.bytes = changed.as_they_came(last.bytes + bytes);
        last.tally.bytes = changed.as_they_came(last.tally.bytes + bytes);
        last.tally.lines += lines;
        last.tally.cut_lines += changed.cut_lines();
        tally.add(std::mem::take(&mut last.tally));
        broken = failed.take().map(unreadable);
        if broken.is_some() {
            break;
        }
    }
    // Of a source that was read before, a stretch that is no text is told and passed: what comes behind it is to be seen too.
    let is_all_of_it = cursor.is_none() || !source.can_be_read_again();
    if is_all_of_it && is_no_text(&tally) {
        return Err(SourceError::NoText { what: name, garbage: tally.garbage, lines: tally.lines });
    }
    let (cursor, failure) = match broken {
        Some(broken) => (None, Some(broken)),
        None => close(source, last, marks)?,
    };
    // What is only told again is not lost again; and what can be read again may come yet.
    if failure.is_some() && has_parts && (cursor.is_some() || !source.can_be_read_again()) {
        gaps.push(Gap { bytes: None, why: "cut short".to_owned() });
    }
    Ok(Reading { count: SourceCount { name, key, tally, gaps, is_first, is_undated }, cursor, failure })
}

/// Where a source is left all of whose streams were read to their ends, and what it lacks nevertheless.
fn close(
    source: &mut dyn Source,
    last: Taken,
    marks: Marks,
) -> Result<(Option<Cursor>, Option<SourceError>), SourceError> {
    if let Some(place) = last.journal {
        source.left_at(place);
    }
    let cursor = source.close(last.bytes, marks)?;
    Ok((Some(cursor), source.shortfall()))
}

/// Whether most of it is no text. One line is too little to tell: the last one of a wrapped log may be half written.
fn is_no_text(tally: &Tally) -> bool {
    // Garbage within wrapped lines is not counted as lines; where it is more than these, another wrapping was expected.
    (2..=tally.lines).contains(&tally.garbage) && tally.garbage * 2 > tally.lines + tally.repeated
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use std::io::{self, Read};
    use std::path::Path;

    use crate::chunk::Ending;
    use crate::formats::Zone;
    use crate::sources::Part;
    use crate::sources::file::LogFile;

    /// A source whose stream breaks off behind some text.
    struct Breaking {
        text: &'static str,
        can_be_read_again: bool,
    }

    impl Source for Breaking {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn key(&self) -> String {
            "broken".to_owned()
        }

        fn can_be_read_again(&self) -> bool {
            self.can_be_read_again
        }

        fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
            struct Broken;
            impl Read for Broken {
                fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                    Err(io::Error::other("the disk is gone"))
                }
            }
            let part = |text: &'static str| Part {
                stream: Box::new(text.as_bytes().chain(Broken)),
                wire: None,
                ending: Ending::Whole,
            };
            let parts = vec![part(self.text), part("ERROR never read\n")];
            let (before, gaps, marks) = (Vec::new(), Vec::new(), Marks::new());
            Ok(Opened { parts, before, gaps, marks, is_first: true, is_undated: false })
        }

        fn close(&mut self, _: u64, _: Marks) -> Result<Cursor, SourceError> {
            unreachable!("what was not read to its end is not left anywhere")
        }
    }

    fn criteria() -> Criteria {
        let (patterns, ignores, key) = (Vec::new(), Vec::new(), [0; 32]);
        let (told_apart, not_before, trend, now) = (None, None, None, DateTime::default());
        Criteria { told_apart, patterns, ignores, secrets: false, key, zone: Zone::Local, now, not_before, trend }
    }

    fn look(source: &mut dyn Source) -> Reading {
        let start = Start { since: None, zone: Zone::Local, now: DateTime::default() };
        read(source, None, &start, &criteria(), None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_comes_before_a_stream_breaks_off_is_counted_and_read_again() {
        for can_be_read_again in [true, false] {
            let reading = look(&mut Breaking { text: "ERROR one\ninfo: two\nERROR thr", can_be_read_again });
            let (tally, gaps) = (&reading.count.tally, &reading.count.gaps);
            assert_eq!((tally.errors, tally.lines, reading.cursor.is_none()), (2, 3, true));
            assert!(matches!(reading.failure, Some(SourceError::Unreadable { .. })));
            assert_eq!(gaps.is_empty(), can_be_read_again, "what comes only once is lost");
        }
    }

    /// Looks at a file that grows by each of these parts: records, errors, lines and garbage of all looks.
    fn looked_at(parts: &[&str]) -> [u64; 4] {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut file = std::fs::File::create(&path).unwrap();
        let start = Start { since: None, zone: Zone::Local, now: DateTime::default() };
        let (mut cursor, mut all) = (None, Tally::default());
        for part in parts {
            file.write_all(part.as_bytes()).unwrap();
            let reading = read(&mut LogFile::new(&path), cursor.as_ref(), &start, &criteria(), None);
            let Ok(Reading { count, cursor: Some(left), failure: None }) = reading else { panic!("it was not read") };
            cursor = Some(left);
            all.add(count.tally);
        }
        assert_eq!(all.bytes, parts.concat().len() as u64);
        [all.records, all.errors, all.lines, all.garbage]
    }

    fn docker(line: &str) -> String {
        let log = serde_json::to_string(&format!("{line}\n")).unwrap();
        format!("{{\"log\":{log},\"stream\":\"stderr\",\"time\":\"2026-05-01T10:00:00.5Z\"}}\n")
    }

    #[test]
    fn a_trace_that_is_written_while_runs_look_is_one_record_and_one_error() {
        let laravel = "[2026-11-20 02:00:00] production.ERROR: no {\"exception\":\"[object] (Error(code: 0): no at /srv/a.php:3)\n\
                       [stacktrace]\n#0 /srv/a.php(3): run()\n#1 {main}\n\"}\n[2026-11-20 02:00:01] production.INFO: well {}\n";
        let python = "2026-11-20 02:00:00,123 ERROR app: no\nTraceback (most recent call last):\n  File \"a.py\", line 1, in a\n\
                      KeyError: 'b'\n2026-11-20 02:00:01,000 INFO app: well\n";
        for text in [laravel, python] {
            let wrapped: String = text.lines().map(docker).collect();
            for text in [text, &wrapped] {
                for (cut, _) in text.match_indices('\n') {
                    let (first, second) = text.split_at(cut + 1);
                    let lines = text.lines().count() as u64;
                    assert_eq!(looked_at(&[first, second]), [2, 1, lines, 0], "cut before {second}");
                }
                let each: Vec<&str> = text.split_inclusive('\n').collect();
                assert_eq!(looked_at(&each)[..2], [2, 1], "a look at each line of {text}");
            }
        }
    }

    #[test]
    fn objects_that_are_longer_than_a_line_may_be_are_read_and_each_once() {
        let long = |level: &str| docker(&format!("{level}: {}", "\u{1}".repeat(40_000)));
        let (error, info) = (long("ERROR"), long("INFO"));
        assert_eq!(looked_at(&[&(error.clone() + &info), &error, &docker("ERROR: short")]), [4, 3, 4, 0]);
    }

    #[test]
    fn a_packed_file_that_is_cut_short_is_counted_as_far_as_it_goes_and_left_there() {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log.1.gz");
        let mut packed = GzEncoder::new(Vec::new(), Compression::none());
        packed.write_all("ERROR one\n".repeat(100).as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        std::fs::write(&path, &packed[..packed.len() - 8 - 5]).unwrap();
        let reading = look(&mut LogFile::new(Path::new(&path)));
        assert_eq!((reading.count.tally.errors, reading.cursor.is_some()), (100, true));
        assert!(matches!(reading.failure, Some(SourceError::File(_))), "{:?}", reading.failure);
        assert_eq!(reading.count.gaps, [Gap { bytes: None, why: "cut short".to_owned() }]);
    }

    #[test]
    fn a_source_is_no_text_when_most_of_its_lines_are_none() {
        let tally = |garbage, lines, repeated| Tally { lines, garbage, repeated, ..Tally::default() };
        assert!(is_no_text(&tally(2, 3, 0)) && is_no_text(&tally(500, 500, 0)));
        let text = [tally(0, 0, 0), tally(1, 1, 0), tally(1, 0, 0), tally(50, 100, 0), tally(2, 2, 100)];
        assert!(!text.iter().any(is_no_text));
    }
}
