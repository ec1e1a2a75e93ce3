//! Fuzz targets of the engine as a whole, on every wire; of the owner's expressions; and of what is kept from run to run.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use shipshape_core::config::{LogwatchSection, PatternSection};
use shipshape_fuzzing::{fuzz, fuzz_slow};

use crate::chunk::Ending;
use crate::clean;
use crate::engine::{self, Origin, Taken};
use crate::examine::{Criteria, Judged};
use crate::lanes::{self, Marks, Wire};
use crate::rules::{self, Compiled};
use crate::sources::Part;
use crate::state::State;
use crate::templates::{Templates, mask};

/// The beginnings of the corpora, without their annotations, each behind a byte that says what wraps them and one for the size
/// of pieces.
pub(crate) fn corpora() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora");
    let files = [folder.clone(), folder.join("wires")].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let seed = |path: &Path| {
        let text = fs::read(path).unwrap();
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#= "));
        let text: Vec<u8> = lines.flatten().copied().take(3000).collect();
        [&[0, 9], &text[..]].concat()
    };
    paths.iter().map(|path| seed(path)).collect()
}

/// Gives a few bytes at a time, as a pipe does.
struct Drip {
    rest: io::Cursor<Vec<u8>>,
    size: usize,
}

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.size.min(into.len());
        self.rest.read(&mut into[..size])
    }
}

fn criteria() -> Criteria {
    Criteria { patterns: vec![regex::bytes::Regex::new("timeout|refused").unwrap()], ..Criteria::plain() }
}

/// Lane, text and level of each record; and what was counted.
fn read(
    bytes: &[u8],
    wire: Option<Wire>,
    size: usize,
    ending: Ending,
    goes_on: bool,
) -> (Vec<(String, Vec<u8>, String)>, Taken) {
    let criteria = criteria();
    let mut records = Vec::new();
    let mut observer = |judged: &Judged<'_>| {
        assert!(judged.message <= judged.record.len(), "a message outside of its record");
        records.push((judged.lane.to_owned(), judged.record.to_vec(), format!("{:?}", judged.judgement)));
    };
    let stream = Box::new(Drip { rest: io::Cursor::new(bytes.to_vec()), size });
    let part = Part { stream, wire, ending };
    let origin = Origin { goes_on, first_piece: 0 };
    let taken = engine::read(part, origin, &mut Marks::new(), &criteria, Some(&mut observer)).unwrap();
    (records, taken)
}

#[test]
fn the_pieces_in_which_a_log_comes_change_nothing_on_any_wire() {
    let wires = [None, Some(Wire::Plain), Some(Wire::Compose), Some(Wire::DockerJson), Some(Wire::Journal)];
    let seeds = corpora();
    fuzz_slow(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>(), |bytes| {
        let Some(([wire, size], log)) = bytes.split_first_chunk() else { return };
        let wire = wires[usize::from(*wire) % wires.len()];
        let (records, taken) = read(log, wire, log.len().max(1), Ending::Whole, false);
        let (again, same) = read(log, wire, usize::from(*size).max(1), Ending::Whole, false);
        assert_eq!(records, again);
        assert_eq!(taken.bytes, log.len() as u64, "all of it was read");
        let counted = |taken: &Taken| {
            let tally = &taken.tally;
            (
                tally.lines,
                tally.records,
                tally.errors,
                tally.levels,
                tally.garbage,
                tally.cut_lines,
                tally.secrets.len(),
            )
        };
        assert_eq!(counted(&taken), counted(&same));
        assert_eq!(taken.tally.levels.iter().sum::<u64>(), taken.tally.records);
        assert!(records.iter().map(|record| record.1.len()).sum::<usize>() <= log.len());
    });
}

#[test]
fn each_line_of_a_plain_log_counts_in_one_run_or_in_the_next() {
    let seeds = corpora();
    fuzz_slow(&seeds.iter().map(Vec::as_slice).collect::<Vec<_>>(), |bytes| {
        let Some(([high, low], log)) = bytes.split_first_chunk() else { return };
        let at = usize::from(u16::from_be_bytes([*high, *low])).min(log.len());
        let whole = read(log, Some(Wire::Plain), log.len().max(1), Ending::Whole, false).1;
        let first = read(&log[..at], Some(Wire::Plain), at.max(1), Ending::Open, false).1;
        let rest = &log[usize::try_from(first.bytes).unwrap()..];
        let second = read(rest, Some(Wire::Plain), rest.len().max(1), Ending::Whole, first.bytes > 0).1;
        assert_eq!(first.bytes + second.bytes, log.len() as u64);
        // A run of zeros that is cut is two shorter ones, which may stay where one would have been thrown away.
        if !log.contains(&0) {
            assert_eq!(first.tally.lines + second.tally.lines, whole.tally.lines);
            assert!(first.tally.records + second.tally.records >= whole.tally.records);
        }
    });
}

#[test]
fn cleaned_bytes_are_clean_and_no_longer() {
    fuzz(&[b"\x1b[31mERROR\x1b[0m a\rb\0\r\n", b"\x1b]0;title\x07x\x1b(B", b"\xff\x1b"], |bytes| {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        clean::clean(bytes, &mut once);
        assert!(once.len() <= bytes.len());
        if clean::is_clean(bytes) {
            assert_eq!(once, bytes);
        }
        let feeds = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
        assert_eq!(feeds(&once), feeds(bytes), "lines stay lines");
        clean::clean(&once, &mut twice);
        assert!(twice.len() <= once.len());
    });
}

#[test]
fn a_line_comes_out_of_what_wraps_it() {
    let seeds: [&[u8]; 4] = [
        b"app-1  | 2026-05-01T10:00:00.123456789Z hello",
        b"{\"log\":\"caf\\u00e9 \\ud83d\\ude00\\n\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"b\"},\"time\":\"2026-05-01T10:00:00.5Z\"}",
        b"{\"__CURSOR\":\"s=1;i=2\",\"__REALTIME_TIMESTAMP\":\"1777629600000000\",\"MESSAGE\":[72,105,255],\"PRIORITY\":\"3\",\"_SYSTEMD_UNIT\":\"x.service\"}",
        b"{\"MESSAGE\":[\"a\",\"b\"],\"SYSLOG_IDENTIFIER\":[\"x\"],\"__REALTIME_TIMESTAMP\":\"-1\"}",
    ];
    fuzz(&seeds, |bytes| {
        for wire in [Wire::Plain, Wire::Compose, Wire::DockerJson, Wire::Journal] {
            let mut scratch = Vec::new();
            if let Some(line) = lanes::unwrap(wire, bytes, &mut scratch) {
                assert!(line.lane.len() <= bytes.len() && line.text.len() <= bytes.len().max(3 * bytes.len()));
            }
        }
        let _ = lanes::sniff(bytes);
    });
}

#[test]
fn an_expression_of_the_owner_is_refused_or_searches_in_bounded_time() {
    fuzz(&[b"(?i)time ?out$", b"a{1000}{1000}", b"((((a*)*)*)*)*b", b"\\p{Greek}+|^x", b"(?P<n>\xc3\xa9)"], |bytes| {
        let pattern = String::from_utf8_lossy(bytes).into_owned();
        let section = LogwatchSection {
            pattern: vec![PatternSection { name: "p".to_owned(), pattern, ..pattern_section() }],
            ..LogwatchSection::default()
        };
        match rules::compile(&section, criteria().now) {
            Ok(Compiled { patterns, .. }) => assert!(!patterns[0].is_match(b"")),
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    });
}

/// A pattern as the configuration has it when it says the least.
fn pattern_section() -> PatternSection {
    serde_json::from_str(r#"{"name":"p","pattern":"x"}"#).unwrap()
}

#[test]
fn what_was_kept_is_believed_only_as_far_as_it_makes_sense() {
    let state = br#"{"version":1,"since":"2026-11-20T02:00:00Z","cursors":{"a":{"journal":{}}},"looked":{"a":"2026-11-20T02:00:00Z"},
        "templates":{"algo":1,"next":17,"known":[[1,"file <*> was lost","error",0,1,2],[4294967295,"x",null,-1,9223372036854775807,1]],"aliases":[[2,1],[3,2]]},"memory":{}}"#;
    fuzz(
        &[
            state,
            br#"{"algo":1,"next":4294967295,"known":[[7,"a <*> b",null,0,0,18446744073709551615]],"aliases":[[7,7]]}"#,
        ],
        |bytes| {
            if let Ok(mut state) = serde_json::from_slice::<State>(bytes) {
                state.tidy(criteria().now);
                let text = serde_json::to_vec(&state).unwrap();
                assert_eq!(serde_json::from_slice::<State>(&text).unwrap(), state);
            }
            let Ok(mut templates) = serde_json::from_slice::<Templates>(bytes) else { return };
            templates.begin(criteria().now);
            for record in [b"ERROR the file 17 was lost".as_slice(), b"ERROR a 9 b", b"ERROR x"] {
                let Some(id) = templates.assign(&mask(record, 6), None) else { continue };
                templates.count(id, 2);
                assert!(templates.get(id).is_some());
            }
        },
    );
}
