use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::chunk::Ending;
use crate::engine::{self, Origin};
use crate::examine::{Criteria, Judged};
use crate::lanes::Marks;
use crate::sources::Part;

/// A record: its level and the rule that judged it, its lane where there are any, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    judgement: String,
    lane: String,
    text: String,
}

/// An annotated corpus: what is read, and what is to be seen in it. `tests/corpora/README.md` says how it is written.
struct Corpus {
    name: String,
    bytes: Vec<u8>,
    expected: Vec<Seen>,
}

impl Corpus {
    fn load(path: &Path) -> Self {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read(path).unwrap();
        let (mut bytes, mut expected) = (Vec::new(), Vec::<Seen>::new());
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if let Some(annotation) = line.strip_prefix(b"#= ") {
                expected.push(Seen::parse(str::from_utf8(annotation).unwrap().trim_end()));
                continue;
            }
            bytes.extend_from_slice(line);
            if let Some(seen) = expected.last_mut().filter(|seen| seen.lane.is_empty()) {
                seen.text.push_str(&String::from_utf8_lossy(line));
            }
        }
        for seen in expected.iter_mut().filter(|seen| seen.lane.is_empty()) {
            let mut cleaned = Vec::new();
            crate::clean::clean(seen.text.strip_suffix('\n').unwrap_or(&seen.text).as_bytes(), &mut cleaned);
            seen.text = String::from_utf8(cleaned).unwrap();
        }
        Self { name, bytes, expected }
    }

    fn all() -> Vec<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpora");
        let folders = [PathBuf::from(folder), Path::new(folder).join("wires")];
        let entries =
            folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        paths.sort();
        paths.iter().map(|path| Self::load(path)).collect()
    }

    /// What differs, told for people; nothing where all is as it should be.
    fn differences(&self) -> String {
        let mut seen = read(&self.bytes);
        if seen == self.expected {
            return String::new();
        }
        let mut told = format!("\n== {}", self.name);
        let mut missing = Vec::new();
        for expected in &self.expected {
            match seen.iter().position(|seen| seen == expected) {
                Some(found) => drop(seen.remove(found)),
                None => missing.push(expected),
            }
        }
        for (word, records) in [("expected", missing), ("met", seen.iter().collect())] {
            for Seen { judgement, lane, text } in records {
                write!(told, "\n{word:8} {judgement} {lane}\n    {}", text.replace('\n', "\n    ")).unwrap();
            }
        }
        told + "\n(where nothing is listed, the order differs)"
    }
}

impl Seen {
    /// `LEVEL RULE`, and for wires `LANE "TEXT"`.
    fn parse(annotation: &str) -> Self {
        let mut words = annotation.splitn(4, ' ');
        let mut next = || words.next().unwrap_or_default();
        let judgement = format!("{} {}", next(), next());
        let (lane, text) = (next().to_owned(), next());
        let text = if lane.is_empty() { String::new() } else { serde_json::from_str(text).unwrap() };
        Self { judgement, lane, text }
    }
}

/// All records of a stream, by the engine itself.
fn read(bytes: &[u8]) -> Vec<Seen> {
    let criteria = Criteria { told_apart: Some(Level::Warning), ..Criteria::plain() };
    let mut seen = Vec::new();
    let mut observer = |judged: &Judged<'_>| {
        let level = Level::told(judged.judgement.level);
        let judgement = format!("{level} {}", judged.judgement.rule);
        let text = String::from_utf8_lossy(judged.record).into_owned();
        seen.push(Seen { judgement, lane: judged.lane.to_owned(), text });
    };
    let stream = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let part = Part { stream, wire: None, ending: Ending::Whole };
    engine::read(part, Origin::default(), &mut Marks::new(), &criteria, Some(&mut observer)).unwrap();
    seen
}

/// Which lines begin records.
fn begins(lines: &[&[u8]]) -> Vec<bool> {
    let mut assembler = Assembler::default();
    lines.iter().map(|line| assembler.next(line, formats::head(line).as_ref()) == Joins::Begins).collect()
}

#[test]
fn every_record_of_every_corpus_is_found_and_judged_as_annotated() {
    let corpora = Corpus::all();
    assert!(corpora.len() >= 11 && corpora.iter().all(|corpus| !corpus.expected.is_empty()));
    let differences: String = corpora.iter().map(Corpus::differences).collect();
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_record_that_goes_on_for_ever_only_counts() {
    let mut assembler = Assembler::default();
    assert_eq!(assembler.next(b"Traceback (most recent call last):", None), Joins::Begins);
    let joins: Vec<_> = (0..1200).map(|_| assembler.next(b"  File \"a.py\", line 1, in a", None)).collect();
    assert_eq!(joins.iter().filter(|joins| **joins == Joins::Continues).count(), 999);
    assert_eq!(joins[999], Joins::Exceeds);
    assert_eq!(assembler.next(b"plain", None), Joins::Exceeds, "the last line of the trace");
    assert_eq!(assembler.next(b"plain", None), Joins::Begins);
}

#[test]
fn a_record_of_many_bytes_only_counts() {
    let mut assembler = Assembler::default();
    assembler.next(b"x", None);
    let long = [b"  ", vec![b'x'; MOST_BYTES / 2].as_slice()].concat();
    let joins = [(); 3].map(|()| assembler.next(&long, None));
    assert_eq!(joins, [Joins::Continues, Joins::Exceeds, Joins::Exceeds]);
}

#[test]
fn what_belongs_to_the_last_run_is_no_record_of_this_one() {
    let lines = ["  File \"a.py\", line 1, in a", "    a()", "ValueError: a", "next"];
    let mut assembler = Assembler::goes_on();
    let joins = lines.map(|line| assembler.next(line.as_bytes(), None) == Joins::Begins);
    assert_eq!(joins, [false, false, false, true]);
}

#[test]
fn lines_that_may_belong_to_what_is_before_are_no_place_to_cut() {
    let lines = [
        "# User@Host: app[app] @ localhost []",
        "2026-05-01 10:00:00.000 UTC [77] DETAIL:  Key (id)=(1) already exists.",
        "Traceback (most recent call last):",
        "    2026-05-01 10:00:00 ERROR a line of source",
        "INFO: after the place of java.util.logging",
        "SET timestamp=1714557600;",
        "Error: of what?",
        "",
    ];
    for line in lines {
        assert!(!surely_begins(line.as_bytes()), "{line}");
    }
    assert!(surely_begins(b"2026-05-01 10:00:00 ERROR x") && surely_begins(b"# Time: 2026-05-01T10:00:00.000000Z"));
}

/// Lines of the corpora, in pieces of some lines each, so that traces stand beside lines of other kinds.
fn mixed() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let pieces: Vec<Vec<Vec<u8>>> = Corpus::all()
        .iter()
        .flat_map(|corpus| {
            let lines: Vec<Vec<u8>> = corpus.bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            lines.chunks(7).map(<[Vec<u8>]>::to_vec).collect::<Vec<_>>()
        })
        .collect();
    prop::collection::vec(prop::sample::select(pieces), 1..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cutting_before_a_line_that_surely_begins_changes_nothing(lines in mixed()) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let whole = begins(&lines);
        for at in (0..lines.len()).filter(|at| surely_begins(lines[*at])) {
            prop_assert!(whole[at], "{:?} must begin a record", String::from_utf8_lossy(lines[at]));
            prop_assert_eq!(&begins(&lines[at..])[..], &whole[at..]);
        }
    }

    #[test]
    fn lines_that_are_put_in_only_where_it_matters_make_the_same_records(lines in mixed(), goes_on: bool) {
        let mut lazy = if goes_on { Lines::goes_on() } else { Lines::default() };
        let mut plain = if goes_on { Assembler::goes_on() } else { Assembler::default() };
        for line in &lines {
            let head = formats::head(line);
            let expected = plain.next(line, head.as_ref());
            prop_assert_eq!(lazy.next(line, head.as_ref()), expected, "of {:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn any_bytes_are_put_together_without_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..60)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        begins(&lines);
    }

    #[test]
    fn beginnings_of_known_lines_are_put_together_without_panic(lines in mixed(), length in 0_usize..30) {
        let lines: Vec<&[u8]> = lines.iter().map(|line| &line[..line.len().min(length)]).collect();
        begins(&lines);
    }
}
