//! The rules as tables and as properties: runs go in, what the sinks hear comes out.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::track::STEADY;
use super::*;

const DAY: TimeDelta = TimeDelta::days(1);

fn rules() -> Rules {
    let remind = [4, 24, 72].map(|hours| Duration::from_secs(hours * 3600)).to_vec();
    Rules { after: 1, clear_after: 1, remind }
}

fn no_reminders() -> Rules {
    Rules { remind: Vec::new(), ..rules() }
}

fn problem(severity: Severity, text: &str) -> Problem {
    let id = "backup.failed".to_owned();
    Problem { id, severity, title: "backup failed".to_owned(), text: text.to_owned(), hint: String::new(), after: 1 }
}

/// What a run finds, in one letter: `.` nothing, `w` a warning, `c` something critical, `?` it did not come far enough.
fn found(letter: char, text: &str) -> Observation {
    let problems = match letter {
        'w' => vec![problem(Severity::Warning, text)],
        'c' => vec![problem(Severity::Critical, text)],
        _ => Vec::new(),
    };
    let others = if letter == '?' { Others::Unknown } else { Others::Good };
    Observation { job: "backup".to_owned(), problems, others }
}

/// The letter of an event.
fn letter(kind: Kind) -> char {
    match kind {
        Kind::Started => 'S',
        Kind::Worse => 'W',
        Kind::Flapping => 'F',
        Kind::Settled => 'T',
        Kind::Reminder => 'R',
        Kind::Ended => 'E',
    }
}

fn first_run() -> DateTime<Utc> {
    "2026-11-20T02:00:00Z".parse().unwrap()
}

/// One sink over many runs, some of which cannot reach it (`x` in `ways`).
struct Story {
    state: State,
    rules: Rules,
    gap: TimeDelta,
    now: DateTime<Utc>,
}

impl Story {
    fn new(rules: Rules, gap: TimeDelta) -> Self {
        Self { state: State::default(), rules, gap, now: first_run() }
    }

    /// The letter of what is delivered after this run: `-` for nothing, lower case for what was lost.
    fn run(&mut self, run: char, reachable: bool, text: &str) -> char {
        self.state.observe(&found(run, text), &self.rules, self.now);
        let events = self.state.news("mail", &self.rules, self.now);
        assert!(events.len() <= 1, "one problem is told once per run");
        let told = events.first().map_or('-', |event| letter(event.kind));
        if reachable {
            self.state.delivered("mail", &events, self.now);
        }
        self.state.tidy(&BTreeSet::from(["mail".to_owned()]));
        // As between two runs: through the file.
        self.state = serde_json::from_str(&serde_json::to_string(&self.state).unwrap()).unwrap();
        self.now += self.gap;
        if reachable { told } else { told.to_ascii_lowercase() }
    }
}

fn told(rules: Rules, gap: TimeDelta, runs: &str, ways: &str) -> String {
    let mut story = Story::new(rules, gap);
    let ways = ways.chars().chain(std::iter::repeat('.'));
    runs.chars().zip(ways).map(|(run, way)| story.run(run, way != 'x', "text")).collect()
}

/// Runs a day apart, nobody reminded.
fn daily(runs: &str, ways: &str) -> String {
    told(no_reminders(), DAY, runs, ways)
}

#[test]
fn a_problem_is_told_once_and_its_end_once() {
    assert_eq!(daily("..ccc..", ""), "--S--E-");
}

#[test]
fn a_problem_is_confirmed_after_so_many_bad_runs_and_over_after_so_many_good_ones() {
    let rules = Rules { after: 3, clear_after: 2, ..no_reminders() };
    assert_eq!(told(rules, DAY, "cc.ccc.cc..cc.", ""), "-----S----E---");
}

#[test]
fn the_end_is_told_only_to_those_who_heard_of_the_start() {
    assert_eq!(daily("cc..", "xx"), "ss--");
    assert_eq!(daily("cc..", "x"), "sSE-");
}

#[test]
fn what_could_not_be_delivered_is_told_at_the_next_run() {
    assert_eq!(daily("ccc...", ".x.xx."), "S--eeE");
}

#[test]
fn a_problem_that_gets_worse_is_told_again_and_one_that_gets_better_is_not() {
    assert_eq!(daily("wwccwwc.", ""), "S-W----E");
    assert_eq!(daily("wcc", ".x"), "SwW");
}

#[test]
fn reminders_come_with_growing_gaps() {
    assert_eq!(told(rules(), TimeDelta::hours(1), &"c".repeat(34), ""), "S---R---------------------R-------");
    // A daily job whose runs take a few minutes more or less: nobody waits for two days.
    assert_eq!(told(rules(), TimeDelta::minutes(23 * 60 + 55), "ccccccccc", ""), "SRR--R--R");
}

#[test]
fn a_reminder_that_was_lost_is_due_at_the_next_run() {
    assert_eq!(told(rules(), DAY, "cccc", ".x"), "SrRR");
}

#[test]
fn a_clock_that_went_back_does_not_silence_reminders() {
    assert_eq!(told(rules(), -DAY, "ccc", ""), "SRR");
}

#[test]
fn what_comes_and_goes_is_told_once_and_then_how_it_settled() {
    assert_eq!(daily("c.c.c.c.c......", ""), "SESEF---------E");
    assert_eq!(daily("c.c.c.c.c.cccccccc", ""), "SESEF----------T--");
}

#[test]
fn what_flaps_and_stays_bad_is_reminded_of() {
    assert_eq!(told(rules(), DAY, "c.c.cccc", ""), "SESEFRR-");
}

#[test]
fn a_run_that_did_not_come_far_enough_ends_nothing() {
    assert_eq!(daily("c??.", ""), "S--E");
}

#[test]
fn a_run_of_one_job_says_nothing_of_another_one() {
    let mut state = State::default();
    state.observe(&found('c', ""), &rules(), first_run());
    let other = Observation { job: "backup.prune".to_owned(), ..found('.', "") };
    state.observe(&other, &rules(), first_run());
    assert_eq!(state.news("mail", &rules(), first_run())[0].kind, Kind::Started);
}

#[test]
fn each_sink_is_told_by_what_it_has_heard() {
    let mut state = State::default();
    let now = first_run();
    state.observe(&found('c', ""), &rules(), now);
    let news = state.news("mail", &rules(), now);
    state.delivered("mail", &news, now);
    state.not_delivered("slack", "refused");
    assert_eq!((state.news("mail", &rules(), now).len(), state.news("slack", &rules(), now).len()), (0, 1));
    assert_eq!(state.failures["slack"], "refused");
    state.observe(&found('.', ""), &rules(), now);
    assert_eq!(state.news("mail", &rules(), now)[0].kind, Kind::Ended);
    assert_eq!(state.news("slack", &rules(), now), []);
}

#[test]
fn the_worst_comes_first_and_what_is_over_last() {
    let mut state = State::default();
    let now = first_run();
    let of = |id: &str, severity| Problem { id: id.to_owned(), ..problem(severity, "") };
    let all = |problems| Observation { job: "backup".to_owned(), problems, others: Others::Good };
    state.observe(&all(vec![of("a", Severity::Critical)]), &rules(), now);
    let news = state.news("mail", &rules(), now);
    state.delivered("mail", &news, now);
    state.observe(&all(vec![of("b", Severity::Warning), of("c", Severity::Critical)]), &rules(), now);
    let news = state.news("mail", &rules(), now);
    assert_eq!(news.iter().map(|event| event.problem.id.as_str()).collect::<String>(), "cba");
}

#[test]
fn an_event_knows_since_when_how_often_and_what_was_good_last() {
    let mut story = Story::new(no_reminders(), DAY);
    "..cc".chars().for_each(|run| _ = story.run(run, false, "text"));
    story.state.observe(&found('c', "the newest text"), &story.rules, story.now);
    let event = story.state.news("mail", &story.rules, story.now).remove(0);
    assert_eq!((event.since, event.runs, event.last_good), (first_run() + DAY * 2, 3, Some(first_run() + DAY)));
    assert_eq!(event.problem.text, "the newest text");
}

#[test]
fn what_nobody_waits_for_is_forgotten() {
    let mut story = Story::new(no_reminders(), DAY);
    story.run('c', true, "text");
    for _ in 0..30 {
        story.run('.', true, "text");
    }
    assert!(story.state.tracks.is_empty());
}

#[test]
fn what_a_nameless_run_left_is_taken_over_and_ends() {
    let mut nameless = State::default();
    nameless.observe(&found('c', ""), &rules(), first_run());
    let news = nameless.news("mail", &rules(), first_run());
    nameless.delivered("mail", &news, first_run());
    let mut state = State::default();
    state.adopt(nameless);
    state.observe(&found('.', ""), &rules(), first_run());
    assert_eq!(state.news("mail", &rules(), first_run())[0].kind, Kind::Ended);
}

#[test]
fn a_state_of_an_older_version_is_read() {
    assert!(serde_json::from_str::<State>("{}").unwrap().is_empty());
}

fn runs() -> impl Strategy<Value = Vec<(char, bool)>> {
    let run = prop::sample::select(vec!['.', '.', 'c', 'c', 'w', '?']);
    prop::collection::vec((run, prop::bool::weighted(0.7)), 0..80)
}

proptest! {
    #[test]
    fn an_end_follows_a_start_that_was_delivered_and_starts_alternate_with_ends(runs in runs(), after in 1u32..4, clear in 1u32..3) {
        let mut story = Story::new(Rules { after, clear_after: clear, ..rules() }, DAY);
        let mut knows = false;
        for (run, reachable) in runs {
            match story.run(run, reachable, "text") {
                'S' => { prop_assert!(!knows); knows = true }
                'F' => knows = true,
                'E' => { prop_assert!(knows); knows = false }
                'W' | 'T' | 'R' => prop_assert!(knows),
                _ => {}
            }
        }
    }

    #[test]
    fn whoever_heard_of_a_problem_hears_of_its_end_once_it_is_over_and_they_can_be_reached(runs in runs(), clear in 1u32..3) {
        let mut story = Story::new(Rules { clear_after: clear, ..rules() }, DAY);
        let mut knows = false;
        let calm = std::iter::repeat_n(('.', true), STEADY as usize + 1);
        for (run, reachable) in runs.into_iter().chain(calm) {
            match story.run(run, reachable, "text") {
                'S' | 'F' => knows = true,
                'E' => knows = false,
                _ => {}
            }
        }
        prop_assert!(!knows);
    }

    #[test]
    fn a_changed_text_changes_nothing(runs in runs(), texts in prop::collection::vec("[a-z]{0,3}", 80)) {
        let (mut plain, mut varied) = (Story::new(rules(), DAY), Story::new(rules(), DAY));
        for ((run, reachable), text) in runs.into_iter().zip(texts) {
            prop_assert_eq!(plain.run(run, reachable, "text"), varied.run(run, reachable, &text));
        }
    }

    #[test]
    fn a_problem_that_stands_is_known_to_whoever_can_be_reached(runs in runs()) {
        let mut story = Story::new(no_reminders(), DAY);
        for (run, reachable) in runs {
            story.run(run, reachable, "text");
            if "cw".contains(run) && reachable {
                let track = &story.state.tracks["backup.failed"];
                prop_assert!(track.heard["mail"].severity >= track.severity);
            }
        }
    }

    #[test]
    fn without_reminders_restless_runs_are_told_of_in_less_than_half_of_all_runs(runs in prop::collection::vec(prop::sample::select(vec!['.', 'c']), 40..200)) {
        let count = runs.len();
        let mut story = Story::new(no_reminders(), DAY);
        let messages = runs.into_iter().filter(|run| story.run(*run, true, "text") != '-').count();
        prop_assert!(messages * 2 <= count, "{messages} messages in {count} runs");
    }
}
