//! What a report tells, of sources that say anything.

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use shipshape_core::config::{IgnoreSection, LogwatchSection};

use super::*;
use crate::level::Level;
use crate::rules::{self, Counted};
use crate::sources::Gap;
use crate::tally::{Leak, Tally};
use crate::templates::Templates;

/// A run, and what it has found.
struct Made {
    sources: Vec<SourceCount>,
    templates: Vec<Counted>,
    known: Templates,
    settings: Settings,
    asked: bool,
    unread: Vec<String>,
    is_kept: bool,
    warned: usize,
}

/// What a report tells of it.
struct Report {
    data: Value,
    summary: String,
    text: String,
    notices: Vec<shipshape_core::report::Notice>,
}

fn now() -> DateTime<Utc> {
    "2026-11-20T02:00:00Z".parse().unwrap()
}

fn source(name: &str, lines: u64, errors: u64) -> SourceCount {
    let tally =
        Tally { lines, records: lines, errors, levels: [0, 0, lines - errors, 0, 0, errors, 0, 0], ..Tally::default() };
    let (name, key) = (name.to_owned(), format!("file:{name}"));
    SourceCount { name, key, tally, gaps: Vec::new(), is_first: false, is_undated: false }
}

fn made(sources: Vec<SourceCount>) -> Made {
    let (templates, known, settings) = (Vec::new(), Templates::default(), Settings::default());
    Made { sources, templates, known, settings, asked: false, unread: Vec::new(), is_kept: true, warned: 0 }
}

impl Made {
    fn message(mut self, text: &str, sample: &str, count: u64) -> Self {
        self.known.begin(now());
        let id = self.known.assign(text, Some(Level::Error)).unwrap();
        let (source, sample) = (self.sources[0].name.clone(), sample.to_owned());
        self.templates.push(Counted { id, count, is_new: true, source, sample, rule: "monolog.level", parts: None });
        self
    }

    fn report(self) -> Report {
        let Self { sources, templates, known, settings, asked, unread, is_kept, warned } = self;
        let (now, span, since) = (now(), Duration::hours(1), now());
        let seen = Seen { sources: &sources, templates: &templates, known: &known, now, span, since, asked };
        let mut memory = Memory::default();
        let verdicts = rules::judge(&settings, &mut memory, &seen);
        let (verdicts, settings, memory) = (&verdicts[..], &settings, &memory);
        let told = Told { seen: &seen, verdicts, settings, memory, unread: &unread, is_kept, warned };
        Report { data: data(&told), summary: summary(&told), text: text(&told), notices: notices(&told) }
    }
}

fn gap(bytes: Option<u64>, why: &str) -> Gap {
    Gap { bytes, why: why.to_owned() }
}

#[test]
fn the_data_has_every_field_that_programs_were_promised() {
    let mut leaking = source("app.log", 400, 300);
    leaking.gaps = vec![gap(Some(1200), "truncated"), gap(None, "rotated away")];
    let leak = Leak { count: 2, first: (0, 0), context: "login of <*>".to_owned() };
    leaking.tally.secrets.insert(("jwt", "aa11".to_owned()), leak.clone());
    let mut other = source("db.log", 40, 12);
    other.tally.secrets.insert(("jwt", "aa11".to_owned()), leak);
    let report = Made { asked: true, ..made(vec![leaking, other]) }
        .message("refused by <*>", "refused by 10.0.0.7", 300)
        .report();
    let data = &report.data;
    assert_eq!((&data["lines"], &data["records"], &data["errors"]), (&json!(440), &json!(440), &json!(312)));
    assert_eq!(data["by_level"], json!({"info": 128, "error": 312}));
    let first = &data["sources"][0];
    assert_eq!((&first["name"], &first["lines"], &first["gap_bytes"]), (&json!("app.log"), &json!(400), &json!(1200)));
    assert_eq!(data["gaps"][1], json!({"source": "app.log", "bytes": null, "why": "rotated away"}));
    let template = json!({
        "id": "t0", "count": 300, "level": "error", "template": "refused by <*>", "sample": "refused by 10.0.0.7",
        "new": true, "source": "app.log", "judged_by": "monolog.level",
    });
    assert_eq!(data["templates"], json!([template]));
    let secret = &data["secrets"][0];
    assert_eq!((&secret["rule"], &secret["count"], &secret["fingerprint"]), (&json!("jwt"), &json!(4), &json!("aa11")));
    assert_eq!(secret["where"], json!("app.log: login of <*>"));
    let rate = &data["rules"][0];
    assert_eq!((&rate["rule"], &rate["severity"], &rate["state"]), (&json!("rate"), &json!("critical"), &json!("bad")));
    assert_eq!((&rate["value"], &rate["threshold"]), (&json!(52.0), &json!(10.0)));
}

#[test]
fn the_summary_names_what_is_too_much() {
    let bad = Made { asked: true, ..made(vec![source("app.log", 400, 300), source("db.log", 1, 1)]) }.report();
    assert_eq!(bad.summary, "301 errors in 401 records of 2 sources; bad: rate, ratio");
    assert_eq!(made(vec![source("app.log", 1, 0)]).report().summary, "0 errors in 1 record of 1 source; all is well");
    let first = SourceCount { is_first: true, ..source("app.log", 400, 300) };
    assert_eq!(made(vec![first]).report().summary, "300 errors in 400 records of 1 source; a first look, not judged");
}

#[test]
fn errors_that_are_not_too_many_are_within_the_limits_and_no_reason_to_say_that_all_is_well() {
    let few = || vec![source("app.log", 2, 1)];
    assert_eq!(made(few()).report().summary, "1 error in 2 records of 1 source, within the limits");
    let first = SourceCount { is_first: true, ..source("new.log", 400, 300) };
    let partly = made(vec![source("app.log", 2, 1), first]).report().summary;
    assert_eq!(partly, "301 errors in 402 records of 2 sources, within the limits; not judged: new.log");
}

#[test]
fn all_is_well_only_where_everything_was_read_and_is_remembered() {
    let calm = || made(vec![source("app.log", 2, 0)]);
    let told = |made: Made| made.report().summary.split_once("; ").unwrap().1.to_owned();
    assert_eq!(told(calm()), "all is well");
    assert_eq!(told(Made { unread: vec!["db.log".to_owned()], ..calm() }), "not read: db.log");
    assert_eq!(told(Made { is_kept: false, warned: 1, ..calm() }), "not remembered");
    assert_eq!(told(Made { warned: 1, ..calm() }), "1 warning");
    let mut garbage = source("app.log", 2, 0);
    garbage.tally.garbage = 2;
    assert_eq!(told(made(vec![garbage])), "1 warning");
    let lossy = SourceCount { gaps: vec![gap(None, "truncated")], ..source("app.log", 2, 0) };
    let both = Made { unread: vec!["db.log".to_owned()], ..made(vec![lossy]) };
    assert_eq!(told(both), "lines lost: app.log; not read: db.log");
}

#[test]
fn where_nothing_is_wrong_little_is_said() {
    let sources = (0..50).map(|number| source(&format!("{number}.log"), 1000, 0)).collect();
    assert!(made(sources).report().text.lines().count() <= 1);
}

#[test]
fn the_text_begins_with_the_worst_and_shows_sources_templates_and_samples() {
    let mut sources = vec![source("quiet.log", 10, 0), source("app.log", 400, 300)];
    sources[1].gaps = vec![gap(Some(1_200_000), "truncated")];
    let made = Made { asked: true, ..made(sources) };
    let text = made.message("refused by <*>", "refused by 10.0.0.7", 300).report().text;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("critical rate: 300 errors in 1 h 0 min: 50 in ten minutes, where 10 are the most"),
        "{text}"
    );
    let at =
        |part: &str| lines.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(
        at("app.log         400 lines    300 errors, 1.2 MB lost") < at("quiet.log        10 lines      0 errors"),
        "{text}"
    );
    assert!(at("300 x t0 ") < at("refused by 10.0.0.7"), "{text}");
}

#[test]
fn what_is_not_judged_is_named() {
    let undated = SourceCount { is_undated: true, is_first: true, ..source("undated.log", 10, 5) };
    let first = SourceCount { is_first: true, ..source("first.log", 10, 5) };
    let text = made(vec![undated, first]).report().text;
    assert!(text.contains("of unknown age, and not judged: undated.log"), "{text}");
    assert!(text.contains("seen for the first time, and not judged: first.log"), "{text}");
}

#[test]
fn lists_are_bounded_and_say_what_they_leave_out() {
    let sources = (0..250).map(|number| source(&format!("{number}.log"), 1, 0)).collect();
    let report = made(sources).report();
    assert_eq!((report.data["sources"].as_array().unwrap().len(), &report.data["more"]["sources"]), (100, &json!(150)));
    assert_eq!(report.data["lines"], json!(250), "what is left out is counted all the same");
}

#[test]
fn a_gap_is_a_warning_with_its_size() {
    let mut lossy = source("app.log", 10, 0);
    lossy.gaps = vec![gap(Some(1500), "truncated"), gap(Some(500), "truncated")];
    let mut unknown = source("db.log", 10, 0);
    unknown.gaps = vec![gap(None, "container recreated")];
    let notices = made(vec![lossy, unknown, source("whole.log", 10, 0)]).report().notices;
    assert_eq!(notices.iter().map(|notice| notice.code.as_str()).collect::<Vec<_>>(), ["source.gap", "source.gap"]);
    assert!(notices[0].message.contains("app.log are gone unread: truncated (2.0 kB)"), "{}", notices[0].message);
    assert!(notices[1].message.contains("container recreated (nobody knows how much)"), "{}", notices[1].message);
}

#[test]
fn a_source_that_is_no_text_is_a_warning_and_a_few_bad_lines_are_none() {
    let with_garbage = |lines, garbage| {
        let mut source = source("x.log", lines, 0);
        source.tally.garbage = garbage;
        made(vec![source]).report().notices.len()
    };
    assert_eq!([with_garbage(1000, 100), with_garbage(1000, 101), with_garbage(0, 0)], [0, 1, 0]);
}

#[test]
fn a_line_of_the_ignore_list_that_has_expired_is_a_warning() {
    let (pattern, reason) = ("deadlock".to_owned(), "until 2.3".to_owned());
    let ignore = vec![IgnoreSection { pattern, reason, until: Some("2026-11-19".to_owned()) }];
    let section = LogwatchSection { ignore, ..LogwatchSection::default() };
    let compiled = rules::compile(&section, now()).unwrap();
    let settings = Settings { section, compiled, ..Settings::default() };
    let notices = Made { settings, ..made(vec![source("x", 1, 0)]) }.report().notices;
    assert_eq!(notices[0].code, "rule.expired");
    assert_eq!(notices[0].message, "`deadlock` is ignored no more since 2026-11-19 (until 2.3)");
}

#[test]
fn a_log_cannot_forge_a_header_a_colour_or_a_line_of_the_report() {
    let evil = "x\r\nBcc: thief@example.org\r\n\r\n\x1b[2J\x1b]0;owned\x07\u{202e}critical rate: all is well\u{2028}";
    let mut forged = source(evil, 400, 300);
    forged.gaps = vec![gap(Some(1), evil)];
    forged.tally.secrets.insert(("jwt", "aa".to_owned()), Leak { count: 1, first: (0, 0), context: evil.to_owned() });
    let Report { data, summary, text, notices } =
        Made { asked: true, ..made(vec![forged]) }.message(evil, evil, 300).report();
    let hidden = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{202e}');
    assert!(!text.contains(hidden) && !summary.contains(hidden), "{text:?}");
    assert!(text.lines().all(|line| !line.starts_with("Bcc:") && !line.starts_with("critical rate: all")), "{text}");
    assert!(notices.iter().all(|notice| !notice.message.contains(hidden) && !notice.message.contains('\n')));
    let told = data.to_string();
    assert!(
        !told.contains(r"\n") && !told.contains(r"\r") && !told.contains(r"\u001b") && !told.contains('\u{202e}'),
        "{told}"
    );
}

#[test]
fn no_part_of_a_report_holds_a_secret() {
    let token = ["ghp", "_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let line = format!("login with {token} and postgres://app:s3cretpw9@db/fleet refused");
    let mut leaking = source("app.log", 400, 300);
    leaking.tally.patterns = vec![(1, Some(line.clone()))];
    let Report { data, summary, text, notices } =
        Made { asked: true, ..made(vec![leaking]) }.message(&line, &line, 300).report();
    let told = format!("{data} {summary} {text} {notices:?}");
    assert!(!told.contains(&token) && !told.contains("s3cretpw9"), "{told}");
    assert!(told.contains("refused"), "{told}");
}

proptest! {
    #[test]
    fn any_name_and_any_message_make_a_report_of_bounded_size(
        name in "(\r|\n|\u{1b}|\u{202e}|%s|'|.){0,300}",
        text in "(\r|\n|<\\*>|\u{0}|.){0,600}",
        errors in 0u64..1_000_000,
    ) {
        let made = Made { asked: true, ..made(vec![source(&name, 1_000_000, errors)]) };
        let report = made.message(&text, &text, errors).report();
        prop_assert!(report.data.to_string().len() < 40_000 && report.text.len() < 20_000);
        prop_assert!(!report.text.chars().any(|c| c.is_control() && c != '\n'));
        prop_assert!(!report.summary.contains('\n') && report.summary.chars().count() < 800);
    }
}
