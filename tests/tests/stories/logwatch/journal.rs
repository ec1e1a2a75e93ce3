//! Units of systemd, from real journal files: those of a folder, as of a disk that is mounted here.

use std::fs;
use std::path::PathBuf;

use chrono::{TimeDelta, Utc};
use serde_json::Value;

use crate::harness::{Exit, Finished, Host, shell};

/// A host with a journal in a folder of its own.
struct Journal {
    host: Host,
}

/// A message as it is handed to the journal.
#[derive(Clone)]
struct Message<'a> {
    /// Seconds from now.
    at: i64,
    unit: &'a str,
    priority: u8,
    identifier: &'a str,
    /// `journal` for what was handed over as a whole, `stdout` for what was printed line by line.
    transport: &'a str,
    text: &'a str,
}

impl<'a> Message<'a> {
    fn of(unit: &'a str, at: i64, priority: u8, text: &'a str) -> Self {
        Self { at, unit, priority, identifier: "program", transport: "journal", text }
    }

    /// In the export format (systemd.io, "Journal Export Formats"); a text of several lines goes with its length.
    fn exported(&self) -> Vec<u8> {
        let Self { at, unit, priority, identifier, transport, text } = self;
        let micros = (Utc::now() + TimeDelta::seconds(*at)).timestamp_micros();
        let boot = "0123456789abcdef0123456789abcdef";
        // Of one boot, some days ago.
        let monotonic = (at + 500_000) * 1_000_000;
        let mut bytes = format!(
            "__REALTIME_TIMESTAMP={micros}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n_MACHINE_ID={boot}\n\
             _TRANSPORT={transport}\n_PID=7\n_SYSTEMD_UNIT={unit}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER={identifier}\nMESSAGE\n"
        )
        .into_bytes();
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(b"\n\n");
        bytes
    }
}

impl Journal {
    fn new() -> Self {
        let host = Host::new();
        fs::create_dir(host.path("journal")).unwrap();
        Self { host }
    }

    fn folder(&self) -> PathBuf {
        self.host.path("journal")
    }

    /// A file of the journal with these messages.
    #[track_caller]
    fn add(&self, name: &str, messages: &[Message<'_>]) {
        let export: Vec<u8> = messages.iter().flat_map(Message::exported).collect();
        let from = self.host.path("export");
        fs::write(&from, export).unwrap();
        let file = self.folder().join(name);
        shell(&format!(
            "/lib/systemd/systemd-journal-remote --output='{}' '{}' 2>/dev/null",
            file.display(),
            from.display()
        ));
    }

    fn run(&self, unit: &str, more: &[&str]) -> Finished {
        let folder = self.folder().display().to_string();
        let words = ["--journal-dir", &folder, "--unit", unit];
        self.host.run("logwatch", &[&words, more].concat())
    }
}

/// What the report says that was lost.
fn gaps(finished: &Finished) -> Vec<Value> {
    finished.data()["gaps"].as_array().unwrap().iter().map(|gap| gap["why"].clone()).collect()
}

#[test]
fn each_message_of_a_unit_is_read_once_whatever_file_it_is_in() {
    let journal = Journal::new();
    let messages = |from: i64| {
        (from..from + 10)
            .map(|at| Message::of(if at % 2 == 0 { "demo.service" } else { "other.service" }, at, 3, "refused"))
            .collect::<Vec<_>>()
    };
    journal.add("system@1.journal", &messages(-100));
    let first = journal.run("demo", &[]).gets_done();
    assert_eq!((first.number_of("records"), first.number_of("errors")), (5, 5), "{first}");
    assert_eq!(journal.run("demo", &[]).number_of("records"), 0);
    journal.add("system.journal", &messages(-50));
    assert_eq!(journal.run("demo.service", &[]).number_of("records"), 5);
    assert_eq!(journal.run("other", &[]).number_of("records"), 10, "another unit is another source");
    assert!(gaps(&journal.run("demo", &[])).is_empty());
}

#[test]
fn only_the_window_of_a_first_look_is_read() {
    let journal = Journal::new();
    let old = Message::of("demo.service", -7200, 3, "long ago");
    journal.add("system.journal", &[old, Message::of("demo.service", -60, 3, "just now")]);
    assert_eq!(journal.run("demo", &["--dry-run"]).number_of("records"), 1);
    assert_eq!(journal.run("demo", &["--dry-run", "--since", "3h"]).number_of("records"), 2);
    assert_eq!(journal.run("demo", &["--dry-run", "--from-start"]).number_of("records"), 2);
}

#[test]
fn a_long_message_and_one_of_several_lines_are_one_record_each() {
    let journal = Journal::new();
    let long = format!("{} and its end", "x".repeat(10_000));
    let lines = "order was not shipped\nERROR: forged\nERROR: forged too";
    journal.add(
        "system.journal",
        &[
            Message::of("demo.service", -9, 3, &long),
            Message::of("demo.service", -8, 6, lines),
            Message::of("demo.service", -7, 4, "disk is nearly full"),
        ],
    );
    let finished = journal.run("demo", &[]);
    assert_eq!((finished.number_of("records"), finished.number_of("errors")), (3, 1), "{finished}");
    assert_eq!(finished.number_of("by_level.warning"), 1, "{finished}");
}

#[test]
fn messages_that_the_journal_has_dropped_before_they_were_read_are_told_as_a_gap() {
    let journal = Journal::new();
    journal.add("system@1.journal", &[Message::of("demo.service", -60, 6, "seen")]);
    journal.run("demo", &[]).gets_done();

    // What is dropped now was seen: nothing is lost, though the place is gone.
    journal.add("system@2.journal", &[Message::of("other.service", -50, 6, "of somebody else")]);
    fs::remove_file(journal.folder().join("system@1.journal")).unwrap();
    assert!(gaps(&journal.run("demo", &[])).is_empty());

    journal.add(
        "system.journal",
        &[Message::of("demo.service", 3600, 6, "seen after the gap"), Message::of("demo.service", 3601, 6, "seen too")],
    );
    fs::remove_file(journal.folder().join("system@2.journal")).unwrap();
    let finished = journal.run("demo", &[]);
    assert_eq!(finished.number_of("records"), 2, "the first one after a gap is not left out: {finished}");
    assert!(gaps(&finished)[0].as_str().unwrap().starts_with("the journal begins at "), "{finished}");
    finished.warns_of("source.gap");
    assert!(gaps(&journal.run("demo", &[])).is_empty(), "told once");
}

#[test]
fn what_the_journal_does_not_have_or_does_not_show_is_unknown_and_never_without_errors() {
    let journal = Journal::new();
    let refused = |unit: &str| journal.run(unit, &[]).exits_with(Exit::Unknown);
    refused("demo").fails_with("journal.none");
    journal.add("system.journal", &[Message::of("demo.service", -60, 3, "refused")]);
    refused("dem").fails_with("journal.no_unit").hints("journalctl --field");
    refused("dem?x*").fails_with("journal.no_unit");
    shell(&format!("chown nobody '{0}' && chmod 700 '{0}'", journal.folder().display()));
    let folder = journal.folder().display().to_string();
    // An administrator without the right to read what is somebody else's.
    let words = ["--bounding-set=-all", "--inh-caps=-all", "logwatch", "--journal-dir", &folder, "--unit", "demo"];
    let denied = journal.host.program("setpriv").args(&words).run();
    denied.exits_with(Exit::Unknown).fails_with("journal.denied").hints("systemd-journal");
}

#[test]
fn what_we_said_ourselves_is_not_read_again() {
    let journal = Journal::new();
    let own = Message { identifier: "logwatch", ..Message::of("demo.service", -60, 3, "ERROR: quoted") };
    journal.add("system.journal", &[Message::of("demo.service", -61, 3, "refused"), own]);
    assert_eq!(journal.run("demo", &[]).number_of("errors"), 1);
    assert_eq!(journal.run("demo", &[]).number_of("records"), 0);
}

#[test]
fn a_trace_of_which_a_run_has_read_the_first_lines_goes_on_in_the_next_one() {
    let trace = "2026-11-20 02:00:00,123 ERROR app: cannot\nTraceback (most recent call last):\n  File \"a.py\", line 1, in a\n    \
                 b()\nKeyError: 'b'";
    let printed = |(at, text)| Message { transport: "stdout", ..Message::of("demo.service", at, 6, text) };
    let messages: Vec<Message<'_>> = (-60..).zip(trace.lines()).map(printed).collect();
    let other = Message { transport: "stdout", ..Message::of("other.service", -58, 6, "INFO: of somebody else") };
    for cut in 1..messages.len() {
        let journal = Journal::new();
        journal.add("system@1.journal", &messages[..cut]);
        let first = journal.run("demo", &[]).gets_done();
        assert_eq!((first.number_of("records"), first.number_of("lines")), (1, cut as u64), "{first}");
        journal.add("system@2.journal", &[&messages[cut..], std::slice::from_ref(&other)].concat());
        let second = journal.run("demo", &[]).gets_done();
        let rest = (messages.len() - cut) as u64;
        assert_eq!((second.number_of("records"), second.number_of("lines")), (0, rest), "cut at {cut}: {second}");
        // All that came belonged to a record that was counted: it was read all the same.
        assert_eq!(journal.run("demo", &[]).number_of("lines"), 0, "cut at {cut}");
        journal.add("system.journal", &[Message::of("demo.service", -5, 3, "refused")]);
        assert_eq!(journal.run("demo", &[]).number_of("errors"), 1, "cut at {cut}");
    }
}
