//! What is no matter of numbers of errors: secrets, silence, the owner's patterns and the ignore list.

use super::*;

#[test]
fn a_secret_is_told_at_once_even_in_a_first_look_until_it_was_not_seen_for_a_day() {
    let mut cron = Cron::new();
    let leaking = Found { is_first: true, secrets: vec!["aa11"], ..found("app.log", 10, 0) };
    let verdicts = cron.run(&[leaking], &[]);
    let secret = of(&verdicts, "secret");
    assert_eq!((secret.state, secret.about.as_deref()), (Standing::Bad, Some("jwt aa11")));
    assert!(secret.text.contains("1 time in app.log: login of <*>") && !secret.hint.is_empty(), "{secret:?}");
    assert_eq!(cron.ids(), ["logwatch.secret.jwt.aa11"]);
    cron.now += Duration::hours(23);
    cron.run(&[found("app.log", 10, 0)], &[]);
    assert_eq!(cron.ids().len(), 1);
    cron.now += Duration::hours(1);
    cron.run(&[found("app.log", 10, 0)], &[]);
    assert!(cron.ids().is_empty());
}

#[test]
fn a_program_that_logs_the_token_of_each_request_is_no_flood_of_mails() {
    const PRINTS: [&str; 40] = [
        "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18",
        "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32", "33", "34", "35", "36",
        "37", "38", "39", "40",
    ];
    let mut cron = Cron::new();
    let mut all = std::collections::BTreeSet::new();
    for prints in PRINTS.chunks(4) {
        cron.run(&[Found { secrets: prints.to_vec(), ..found("app.log", 10, 0) }], &[]);
        all.extend(cron.problems.iter().map(|problem| problem.id.clone()));
        cron.now += Duration::minutes(10);
    }
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(cron.memory.leaks["jwt/*"].count, 37);
}

#[test]
fn a_source_that_always_speaks_is_silent_after_three_looks_until_it_speaks() {
    let mut cron = Cron::new();
    cron.quiet(30, &[found("app.log", 50, 0), found("other.log", 50, 0)]);
    let mut silent = Vec::new();
    for lines in [0, 0, 0, 0, 7] {
        cron.run(&[found("app.log", lines, 0), found("other.log", 50, 0)], &[]);
        silent.push(cron.ids().join(" "));
        cron.now += Duration::minutes(10);
    }
    assert_eq!(silent, ["", "", "logwatch.silence.app.log", "logwatch.silence.app.log", ""]);
}

#[test]
fn silence_lasts_through_nights_and_weeks_until_there_is_a_line() {
    let mut cron = Cron::new();
    cron.quiet(30, &[found("app.log", 50, 0)]);
    cron.quiet(9 * 24, &[found("app.log", 0, 0)]);
    assert_eq!(cron.ids(), ["logwatch.silence.app.log"]);
    // A run by hand that looks at another file says nothing about this one.
    cron.run(&[found("by-hand.log", 5, 0)], &[]);
    assert_eq!(cron.ids(), ["logwatch.silence.app.log"]);
    cron.run(&[found("app.log", 1, 0)], &[]);
    assert!(cron.ids().is_empty());
}

#[test]
fn who_is_quiet_at_night_or_speaks_rarely_is_not_silent() {
    let mut cron = Cron::new();
    for _ in 0..10 * 24 {
        let hour: u32 = cron.now.format("%H").to_string().parse().unwrap();
        let office = if (8..18).contains(&hour) { 80 } else { 0 };
        let rare = u64::from(cron.now.format("%M").to_string() == "00" && hour.is_multiple_of(2));
        for _ in 0..6 {
            cron.run(&[found("office.log", office, 0), found("never.log", 0, 0), found("rare.log", rare, 0)], &[]);
            assert!(cron.problems.is_empty(), "at {}: {:?}", cron.now, cron.problems);
            cron.now += Duration::minutes(10);
        }
    }
}

#[test]
fn a_source_that_is_not_looked_at_any_more_is_not_silent_for_ever() {
    let mut cron = Cron::new();
    cron.quiet(30, &[found("gone.log", 50, 0)]);
    cron.quiet(2, &[found("gone.log", 0, 0)]);
    assert_eq!(cron.ids(), ["logwatch.silence.gone.log"]);
    cron.quiet(25, &[found("stays.log", 50, 0)]);
    assert!(cron.ids().is_empty());
}

#[test]
fn the_owners_pattern_has_a_name_a_severity_and_a_most() {
    let mut cron = Cron::new();
    let pattern = PatternSection {
        name: "payment".to_owned(),
        pattern: "payment refused".to_owned(),
        severity: Some(Severity::Critical),
        max: 2,
    };
    cron.settings.section.pattern = vec![pattern];
    let met = |times| Found { pattern: times, ..found("app.log", 10, 0) };
    assert_eq!(of(&cron.run(&[met(2)], &[]), "pattern:payment").state, Standing::Ok);
    let verdicts = cron.run(&[met(2), Found { name: "b.log", ..met(1) }], &[]);
    let verdict = of(&verdicts, "pattern:payment");
    assert_eq!((verdict.state, verdict.severity, verdict.value), (Standing::Bad, Severity::Critical, 3.0));
    assert_eq!(cron.ids(), ["logwatch.pattern.payment"]);
    let of_any_age = Found { is_undated: true, ..met(9) };
    assert_eq!(of(&cron.run(&[of_any_age], &[]), "pattern:payment").state, Standing::Ok);
}

#[test]
fn a_rule_that_is_switched_off_says_nothing() {
    let mut cron = Cron::new();
    let off = Some(false);
    cron.settings.section =
        LogwatchSection { spike: off, new: off, secrets: off, silence: off, ..LogwatchSection::default() };
    let verdicts = cron.run(&[Found { secrets: vec!["aa"], ..found("x", 10, 0) }], &[]);
    assert_eq!(verdicts.iter().map(|verdict| verdict.rule.as_str()).collect::<Vec<_>>(), ["rate", "ratio"]);
}

#[test]
fn a_line_of_the_ignore_list_that_is_met_no_more_is_worth_a_word_after_ninety_days() {
    let mut cron = Cron::new();
    let ignore = IgnoreSection { pattern: "flaky".to_owned(), reason: "x".to_owned(), until: None };
    cron.settings.section.ignore = vec![ignore];
    cron.settings.compiled = compile(&cron.settings.section, cron.now).unwrap();
    cron.run(&[found("x", 10, 0)], &[]);
    cron.now += Duration::days(89);
    cron.run(&[found("x", 10, 0)], &[]);
    assert!(idle_ignores(&cron.settings, &cron.memory, cron.now).is_empty());
    cron.now += Duration::days(1);
    assert_eq!(idle_ignores(&cron.settings, &cron.memory, cron.now).into_iter().collect::<Vec<_>>(), ["flaky"]);
}
