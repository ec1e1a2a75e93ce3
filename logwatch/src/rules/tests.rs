//! Many runs with one memory, as cron makes them.

mod apart;

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use shipshape_core::alert::{Problem, Severity};
use shipshape_core::config::{IgnoreSection, LogwatchSection, PatternSection};

use super::words::number;
use super::*;
use crate::tally::Leak;

/// What a run finds in a source.
#[derive(Clone, Debug)]
struct Found {
    name: &'static str,
    lines: u64,
    errors: u64,
    is_first: bool,
    is_undated: bool,
    secrets: Vec<&'static str>,
    pattern: u64,
}

fn found(name: &'static str, lines: u64, errors: u64) -> Found {
    Found { name, lines, errors, is_first: false, is_undated: false, secrets: Vec::new(), pattern: 0 }
}

impl Found {
    fn count(&self) -> SourceCount {
        let leak = || Leak { count: 1, first: (0, 0), context: "login of <*>".to_owned() };
        let secrets = self.secrets.iter().map(|print| (("jwt", (*print).to_owned()), leak())).collect();
        let (lines, records, errors) = (self.lines, self.lines, self.errors);
        let patterns = vec![(self.pattern, (self.pattern > 0).then(|| "payment refused".to_owned()))];
        let tally = Tally { lines, records, errors, secrets, patterns, ignores: vec![0], ..Tally::default() };
        let (is_first, is_undated) = (self.is_first, self.is_undated);
        SourceCount {
            name: self.name.to_owned(),
            key: format!("file:{}", self.name),
            tally,
            gaps: vec![],
            is_first,
            is_undated,
        }
    }
}

/// A machine on which cron runs us.
struct Cron {
    settings: Settings,
    memory: Memory,
    known: Templates,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    asked: bool,
    problems: Vec<Problem>,
}

impl Cron {
    fn new() -> Self {
        Self {
            settings: Settings::default(),
            memory: Memory::default(),
            known: Templates::default(),
            since: None,
            now: "2026-10-19T00:00:00Z".parse().unwrap(),
            asked: false,
            problems: Vec::new(),
        }
    }

    /// One run, and how things stand after it. The errors of `messages` are counted by the caller.
    fn run(&mut self, found: &[Found], messages: &[(&str, u64)]) -> Vec<Verdict> {
        let sources: Vec<SourceCount> = found.iter().map(Found::count).collect();
        let source = found.first().map_or(String::new(), |found| found.name.to_owned());
        self.known.begin(self.now);
        let templates: Vec<Counted> =
            messages.iter().filter_map(|(text, count)| self.counted(text, *count, &source)).collect();
        let since = *self.since.get_or_insert(self.now);
        let (now, span, asked) = (self.now, Duration::hours(1), self.asked);
        let seen = Seen { sources: &sources, templates: &templates, known: &self.known, now, span, since, asked };
        // As it would be kept, and read again by the next run; now and then, for it takes long.
        if self.now.timestamp() % 7200 == 0 {
            let kept = serde_json::to_string(&self.memory).unwrap();
            self.memory = serde_json::from_str(&kept).unwrap();
        }
        let verdicts = judge(&self.settings, &mut self.memory, &seen);
        self.problems = problems(&verdicts, &seen);
        verdicts
    }

    fn counted(&mut self, text: &str, count: u64, source: &str) -> Option<Counted> {
        let id = self.known.assign(text, Some(Level::Error))?;
        let (is_new, sample) = (self.known.is_new(id), format!("{text} 7"));
        Some(Counted { id, count, is_new, source: source.to_owned(), sample, rule: "keyword.error", parts: None })
    }

    /// Runs every ten minutes for so many hours.
    fn quiet(&mut self, hours: i64, per_run: &[Found]) {
        for _ in 0..hours * 6 {
            self.run(per_run, &[]);
            self.now += Duration::minutes(10);
        }
    }

    /// The ids of problems about what is new.
    fn news(&self) -> Vec<&str> {
        self.ids().into_iter().filter(|id| id.starts_with("logwatch.new.")).collect()
    }

    fn ids(&self) -> Vec<&str> {
        self.problems.iter().map(|problem| problem.id.as_str()).collect()
    }
}

/// A message like no other, for each number.
fn unlike(number: u32) -> String {
    let letters =
        [number / 26 / 26, number / 26 % 26, number % 26].map(|letter| char::from_u32('a' as u32 + letter).unwrap());
    let word: String = letters.iter().collect();
    [word.as_str(); 4].join(" ")
}

/// The verdict of this rule, the first of several.
fn of<'a>(verdicts: &'a [Verdict], rule: &str) -> &'a Verdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap()
}

fn states(verdicts: &[Verdict]) -> BTreeMap<&str, Standing> {
    verdicts.iter().map(|verdict| (verdict.rule.as_str(), verdict.state)).collect()
}

#[test]
fn a_first_look_is_told_and_not_judged_unless_somebody_asks() {
    let mut cron = Cron::new();
    let old_sins = Found { is_first: true, ..found("app.log", 100_000, 90_000) };
    let verdicts = cron.run(std::slice::from_ref(&old_sins), &[("boom", 90_000)]);
    assert!(verdicts.iter().all(|verdict| !verdict.is_bad()), "{verdicts:?}");
    let undated = Found { is_undated: true, is_first: false, ..old_sins.clone() };
    assert!(cron.run(&[undated], &[]).iter().all(|verdict| !verdict.is_bad()));
    cron.asked = true;
    assert_eq!(of(&cron.run(&[old_sins], &[]), "rate").state, Standing::Bad);
}

#[test]
fn a_first_look_teaches_nothing_of_what_is_usual() {
    let mut cron = Cron::new();
    cron.quiet(30, &[found("app.log", 300, 1)]);
    cron.run(&[Found { is_first: true, ..found("app.log", 900_000, 90_000) }], &[]);
    cron.now += Duration::minutes(10);
    cron.run(&[Found { is_undated: true, ..found("app.log", 900_000, 90_000) }], &[]);
    cron.now += Duration::minutes(10);
    let verdicts = cron.run(&[found("app.log", 300, 1)], &[]);
    assert_eq!(of(&verdicts, "spike").state, Standing::Ok, "{verdicts:?}");
}

#[test]
fn more_than_the_stated_number_of_errors_is_critical_and_that_number_is_not() {
    let mut cron = Cron::new();
    cron.settings.max_errors = Some(10);
    cron.asked = true;
    for (errors, expected) in [(0, Standing::Ok), (10, Standing::Ok), (11, Standing::Bad)] {
        let verdicts = cron.run(&[found("stdin", 100_000, errors)], &[]);
        let rate = of(&verdicts, "rate");
        assert_eq!((rate.state, rate.severity, rate.threshold), (expected, Severity::Critical, 10.0), "of {errors}");
    }
    cron.settings.max_errors = Some(0);
    assert_eq!(of(&cron.run(&[found("stdin", 0, 0)], &[]), "rate").state, Standing::Ok, "0 is not more than 0");
}

#[test]
fn a_rate_is_of_the_time_looked_at_and_needs_a_part_of_the_records() {
    // Minutes since the last look, lines, errors.
    let cases = [
        (10, 500, 11, Standing::Bad),
        (10, 500, 10, Standing::Ok),
        (1, 500, 10, Standing::Ok),
        (60, 5000, 60, Standing::Ok),
        (60, 5000, 61, Standing::Bad),
        (10, 100_000, 500, Standing::Ok),
    ];
    for (minutes, lines, errors, expected) in cases {
        let mut cron = Cron::new();
        cron.run(&[found("app.log", 10, 0)], &[]);
        cron.now += Duration::minutes(minutes);
        let verdicts = cron.run(&[found("app.log", lines, errors)], &[]);
        assert_eq!(of(&verdicts, "rate").state, expected, "{errors} of {lines} in {minutes} min: {verdicts:?}");
    }
}

#[test]
fn a_source_that_was_not_looked_at_for_days_does_not_hide_the_errors_of_another() {
    let mut cron = Cron::new();
    cron.run(&[found("rare.log", 10, 0), found("app.log", 10, 0)], &[]);
    cron.now += Duration::days(5);
    cron.run(&[found("app.log", 10, 0)], &[]);
    cron.now += Duration::minutes(10);
    let verdicts = cron.run(&[found("rare.log", 10, 0), found("app.log", 500, 11)], &[]);
    assert_eq!(of(&verdicts, "rate").state, Standing::Bad, "{verdicts:?}");
}

#[test]
fn a_ratio_needs_records_enough() {
    let ratio = |lines, errors| of(&Cron::new().run(&[found("x", lines, errors)], &[]), "ratio").clone();
    assert_eq!(
        [ratio(99, 99), ratio(100, 5), ratio(100, 6)].map(|ratio| ratio.state),
        [Standing::Ok, Standing::Ok, Standing::Bad]
    );
    assert_eq!(number(ratio(100, 6).value), "6");
}

#[test]
fn nothing_at_all_is_never_too_much() {
    let mut cron = Cron::new();
    cron.settings.section = LogwatchSection {
        max_rate: Some(0.0),
        max_ratio: Some(0.0),
        max_errors: Some(0),
        ..LogwatchSection::default()
    };
    cron.quiet(200, &[found("x", 0, 0)]);
    assert!(cron.run(&[found("x", 0, 0)], &[]).iter().all(|verdict| !verdict.is_bad()));
    assert!(cron.run(&[], &[]).iter().all(|verdict| !verdict.is_bad()));
}

#[test]
fn a_burst_after_a_quiet_week_is_one_problem_as_long_as_it_lasts_and_then_none() {
    let mut cron = Cron::new();
    cron.quiet(7 * 24, &[found("app.log", 300, 1)]);
    let mut history = Vec::new();
    for errors in [200, 300, 14, 12, 1, 1, 1, 1, 1, 1, 1, 1] {
        let verdicts = cron.run(&[found("app.log", 300 + errors, errors)], &[]);
        history.push((cron.ids().join(" "), states(&verdicts)["spike"]));
        cron.now += Duration::minutes(10);
    }
    let ids: Vec<&str> = history.iter().map(|(ids, _)| ids.as_str()).collect();
    // Rate and ratio go first, the last hour's spike later: to whoever is told, it is one thing that began and ended.
    assert_eq!(ids[..8], ["logwatch.errors"; 8]);
    assert_eq!(ids[ids.len() - 2..], [""; 2], "{history:?}");
    assert!(ids.windows(2).filter(|pair| pair[0] != pair[1]).count() == 1, "{history:?}");
}

#[test]
fn a_spike_is_measured_by_what_the_hour_usually_has() {
    let mut cron = Cron::new();
    for _ in 0..7 * 24 {
        // A batch at two in the night that always fails a hundred times.
        let errors = if cron.now.format("%H").to_string() == "02" { 17 } else { 0 };
        cron.quiet(1, &[found("batch.log", 3000, errors)]);
        assert!(cron.problems.is_empty(), "at {}: {:?}", cron.now, cron.problems);
    }
    cron.quiet(2, &[found("batch.log", 3000, 0)]);
    cron.now += Duration::minutes(10);
    let batch = cron.run(&[found("batch.log", 30_000, 102)], &[]);
    assert_eq!(of(&batch, "spike").state, Standing::Ok, "{batch:?}");
    cron.quiet(10, &[found("batch.log", 3000, 0)]);
    let noon = cron.run(&[found("batch.log", 30_000, 102)], &[]);
    let spike = of(&noon, "spike");
    assert_eq!(
        (spike.state, spike.severity, spike.about.as_deref()),
        (Standing::Bad, Severity::Warning, Some("batch.log"))
    );
}

#[test]
fn a_night_job_by_a_clock_that_was_put_back_for_the_winter_is_no_spike() {
    let mut cron = Cron::new();
    // In Berlin, half past two is 00:30 UTC until the 25th of October, and 01:30 from then on.
    for day in 0..12 {
        let hour = i32::from(day >= 6);
        for of_day in 0..24 {
            let errors = if of_day == hour { 20 } else { 0 };
            cron.quiet(1, &[found("night.log", 4000, errors)]);
            assert!(cron.problems.is_empty(), "on day {day} at {of_day}: {:?}", cron.problems);
        }
    }
}

#[test]
fn a_source_as_steady_as_a_clock_is_not_at_fault_by_one_error_more() {
    let mut cron = Cron::new();
    cron.quiet(100, &[found("app.log", 5000, 10)]);
    let verdicts = cron.run(&[found("app.log", 5000, 13)], &[]);
    assert_eq!(of(&verdicts, "spike").state, Standing::Ok, "{verdicts:?}");
}

#[test]
fn what_is_usual_is_learnt_for_a_day_first() {
    let mut cron = Cron::new();
    cron.quiet(20, &[found("app.log", 300, 0)]);
    let verdicts = cron.run(&[found("app.log", 20_000, 150)], &[]);
    assert_eq!(of(&verdicts, "spike").state, Standing::Learning);
    assert!(of(&verdicts, "spike").text.contains("20 of 24 hours"), "{}", of(&verdicts, "spike").text);
    assert_eq!((of(&verdicts, "new").state, of(&verdicts, "silence").state), (Standing::Learning, Standing::Learning));
}

#[test]
fn runs_once_a_day_learn_too() {
    let mut cron = Cron::new();
    for _ in 0..5 {
        cron.run(&[found("app.log", 24_000, 48)], &[]);
        cron.now += Duration::days(1);
    }
    let verdicts = cron.run(&[found("app.log", 240_000, 2400)], &[]);
    assert_eq!(of(&verdicts, "spike").state, Standing::Bad, "{verdicts:?}");
}

#[test]
fn on_the_first_day_nothing_is_new_and_later_it_is_after_three_times() {
    let mut cron = Cron::new();
    cron.run(&[found("app.log", 10, 5)], &[("known from the start", 5)]);
    cron.now += Duration::days(2);
    let verdicts = cron.run(&[found("app.log", 1000, 6)], &[("known from the start", 4), ("novel", 2)]);
    assert_eq!(of(&verdicts, "new").state, Standing::Ok, "twice is not enough: {verdicts:?}");
    cron.now += Duration::minutes(10);
    let verdicts = cron.run(&[found("app.log", 1000, 1)], &[("novel", 1)]);
    let new = of(&verdicts, "new");
    assert_eq!((new.state, new.severity, new.about.as_deref()), (Standing::Bad, Severity::Warning, Some("t1")));
    assert!(new.text.contains("3 x t1 novel (app.log: novel 7)"), "{}", new.text);
    assert_eq!(cron.ids(), ["logwatch.new.t1"]);
}

#[test]
fn what_is_new_stands_until_it_has_not_come_for_a_day() {
    let mut cron = Cron::new();
    cron.run(&[found("app.log", 10, 0)], &[]);
    cron.now += Duration::days(2);
    let mut stood = 0;
    for hour in 0..60 {
        let messages: &[(&str, u64)] = if hour <= 20 && hour % 10 == 0 { &[("novel", 3)] } else { &[] };
        cron.run(&[found("app.log", 1000, 0)], messages);
        stood += usize::from(cron.ids() == ["logwatch.new.t0"]);
        cron.now += Duration::hours(1);
    }
    assert_eq!(stood, 20 + 24);
    assert!(cron.memory.fresh.is_empty());
}

#[test]
fn a_release_that_breaks_in_many_ways_is_one_problem_and_what_comes_later_another() {
    let mut cron = Cron::new();
    cron.run(&[found("app.log", 10, 0)], &[]);
    cron.now += Duration::days(2);
    let names: Vec<String> = (0..40).map(unlike).collect();
    let broken: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 4)).collect();
    cron.run(&[found("app.log", 100_000, 160)], &broken);
    assert_eq!(cron.news(), ["logwatch.new.t0"]);
    let told = cron.problems.last().unwrap();
    assert!(told.text.starts_with("40 kinds of errors") && told.text.ends_with("and 35 more"), "{}", told.text);
    cron.now += Duration::minutes(10);
    let later = [&broken[..], &[("another", 3)]].concat();
    cron.run(&[found("app.log", 100_000, 163)], &later);
    assert_eq!(cron.news(), ["logwatch.new.t0", "logwatch.new.t40"]);
}

#[test]
fn a_flood_of_new_kinds_is_bounded_in_memory_and_in_problems() {
    let mut cron = Cron::new();
    cron.run(&[found("app.log", 10, 0)], &[]);
    cron.now += Duration::days(2);
    for run in 0..20 {
        let names: Vec<String> = (0..60).map(|kind| unlike(run * 60 + kind)).collect();
        let messages: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 3)).collect();
        cron.run(&[found("app.log", 100_000, 180)], &messages);
        cron.now += Duration::minutes(10);
    }
    assert!(cron.memory.fresh.len() <= 512 && cron.news().len() <= 8, "{:?}", cron.news());
}

#[test]
fn a_lost_state_does_not_make_everything_new() {
    let mut cron = Cron::new();
    cron.quiet(48, &[found("app.log", 300, 2)]);
    let mut anew = Cron { now: cron.now, ..Cron::new() };
    let first = Found { is_first: true, ..found("app.log", 300, 20) };
    let verdicts = anew.run(&[first], &[("old acquaintance", 20)]);
    assert!(verdicts.iter().all(|verdict| verdict.state != Standing::Bad), "{verdicts:?}");
    anew.now += Duration::minutes(10);
    let verdicts = anew.run(&[found("app.log", 300, 2)], &[("another one", 2), ("and one", 3)]);
    assert_eq!(of(&verdicts, "new").state, Standing::Learning);
}

#[test]
fn a_clock_that_goes_back_neither_ends_nor_begins_anything_for_ever() {
    let mut cron = Cron::new();
    cron.quiet(48, &[found("app.log", 300, 1)]);
    cron.run(&[found("app.log", 300, 3)], &[("novel", 3)]);
    assert_eq!(cron.ids(), ["logwatch.new.t0"]);
    cron.now -= Duration::hours(20);
    let verdicts = cron.run(&[found("app.log", 300, 1)], &[]);
    assert!(verdicts.iter().all(|verdict| verdict.rule == "new" || !verdict.is_bad()), "{verdicts:?}");
    cron.quiet(25, &[found("app.log", 300, 1)]);
    assert!(cron.ids().is_empty() && cron.memory.fresh.is_empty(), "{:?}", cron.ids());
}

#[test]
fn a_problem_says_what_how_many_since_when_where_and_what_to_do() {
    let mut cron = Cron::new();
    cron.asked = true;
    cron.settings.max_errors = Some(10);
    cron.settings.section.max_ratio = Some(5.0);
    cron.run(
        &[found("app.log", 400, 300), found("db.log", 40, 12)],
        &[("a <*>", 200), ("b", 60), ("c", 40), ("d", 12)],
    );
    let problem = &cron.problems[0];
    assert_eq!((problem.id.as_str(), problem.title.as_str()), ("logwatch.errors", "logs: too many errors"));
    assert_eq!((problem.severity, problem.after), (Severity::Critical, 1));
    for part in
        ["312 errors", "10 are the most", "app.log 300, db.log 12", "200 x t0 a <*> (a <*> 7)", "t1", "t2", "70.91 %"]
    {
        assert!(problem.text.contains(part), "{part} in {}", problem.text);
    }
    assert!(!problem.text.contains("t3"), "the three most frequent ones: {}", problem.text);
    assert_eq!(problem.hint, "logwatch top --since 1h; tail -n 200 app.log");
}

#[test]
fn the_title_of_a_problem_never_changes_while_it_stands() {
    let mut cron = Cron::new();
    cron.quiet(30, &[found("app.log", 300, 1)]);
    let mut titles: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
    for errors in [40, 400, 4000] {
        cron.run(
            &[Found { secrets: vec!["aa"], ..found("app.log", 5000, errors) }],
            &[("x", errors), ("y", errors / 7)],
        );
        for problem in &cron.problems {
            titles.entry(problem.id.clone()).or_default().insert(problem.title.clone());
        }
        cron.now += Duration::minutes(10);
    }
    assert!(titles.len() >= 3 && titles.values().all(|titles| titles.len() == 1), "{titles:?}");
}

proptest! {
    #[test]
    fn any_sequence_of_runs_is_judged_in_bounds_and_tells_what_it_says(
        runs in prop::collection::vec((-100_000i64..100_000, 0u64..u64::MAX / 4, 0u64..u64::MAX / 4, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut cron = Cron::new();
        for (minutes, lines, errors, is_first, is_undated) in runs {
            cron.now += Duration::minutes(minutes);
            let verdicts = cron.run(&[Found { is_first, is_undated, secrets: vec!["aa"], ..found("x", lines, errors) }], &[("e", errors)]);
            prop_assert!(verdicts.iter().all(|verdict| verdict.value.is_finite() && verdict.threshold.is_finite()));
            prop_assert!(verdicts.iter().filter(|verdict| verdict.is_bad()).count() >= cron.problems.len());
            prop_assert_ne!(verdicts.iter().any(Verdict::is_bad), cron.problems.is_empty());
            prop_assert!(serde_json::to_string(&cron.memory).unwrap().len() < 100_000);
        }
    }
}
