//! Fuzz target of what is remembered of problems.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::DateTime;
use shipshape_fuzzing::fuzz;

use super::machine::{Rules, State};

#[test]
fn whatever_is_remembered_a_sink_is_told_once() {
    let state = br#"{"tracks":{"backup.failed":{"job":"backup demo","severity":"critical","title":"t","text":"x","hint":"","since":"2026-11-20T02:00:00Z",
        "runs":4294967295,"bad_in_a_row":4294967295,"good_in_a_row":0,"confirmed":true,"flapping":false,"history":4294967295,
        "heard":{"mail":{"severity":"warning","at":"+262142-11-20T02:00:00Z","reminders":4294967295,"flapping":true}}}},
        "last_good":{"backup demo":"-262143-11-20T02:00:00Z"},"failures":{"mail":"no"}}"#;
    fuzz(&[state, b"{}"], |bytes| {
        let Ok(mut state) = serde_json::from_slice::<State>(bytes) else { return };
        let rules = Rules { after: 2, clear_after: 2, remind: vec![Duration::from_secs(14_400), Duration::MAX] };
        let now = DateTime::UNIX_EPOCH;
        let events = state.news("mail", &rules, now);
        state.delivered("mail", &events, now);
        assert_eq!(state.news("mail", &rules, now), [], "it was told just now");
        state.tidy(&BTreeSet::from(["mail".to_owned()]));
        let text = serde_json::to_vec(&state).unwrap();
        assert_eq!(serde_json::from_slice::<State>(&text).unwrap(), state);
    });
}
