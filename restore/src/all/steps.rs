//! What a recovery has done so far, and how long each step took.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use shipshape_core::clock::Stopwatch;
use shipshape_core::error::Failure;
use shipshape_core::output;
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::units::spoken;

/// The steps.
pub(super) struct Steps {
    quiet: bool,
    done: Vec<(String, Duration)>,
    works: bool,
}

impl Steps {
    /// None yet.
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, done: Vec::new(), works: true }
    }

    /// Says what comes next, and does it.
    pub(super) fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        if !self.quiet {
            output::tell(&format!("restore: {}. {what}", self.done.len() + 1));
        }
        let watch = Stopwatch::start();
        let done = work()?;
        self.done.push((what.to_owned(), watch.elapsed()));
        Ok(done)
    }

    /// Not everything works, if there is something to say about it.
    pub(super) fn doubt(&mut self, notices: &[Notice]) {
        self.works &= notices.is_empty();
    }

    /// The outcome of the restore itself, with all that was around it.
    pub(super) fn told(self, outcome: Outcome, folder: &str, took: Duration) -> Outcome {
        let mut data = outcome.data;
        let step = |(what, span): &(String, Duration)| json!({"step": what, "seconds": seconds(*span)});
        data["all"] = Value::Bool(true);
        data["recovery_s"] = json!(seconds(took));
        data["steps"] = self.done.iter().map(step).collect();
        let mut text = String::new();
        for (number, (what, span)) in self.done.iter().enumerate() {
            let _ = writeln!(text, "  {}. {what}: {}", number + 1, spoken(*span));
        }
        text.push_str(&outcome.text);
        let _ = writeln!(text, "recovered in {}", spoken(took));
        let verdict =
            if self.works { "everything is back" } else { "everything is restored, and not all of it works," };
        let summary = format!("{verdict} in {folder} after {}; {}", spoken(took), outcome.summary);
        Outcome { data, text, summary, ..outcome }
    }
}

/// Seconds with three decimals.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_told_in_its_order() {
        let mut steps = Steps::new(true);
        steps.step("a", || Ok(())).unwrap();
        steps.step("b", || Ok(())).unwrap();
        let outcome = steps.told(Outcome::ok("done"), "/srv/x", Duration::from_secs(61));
        assert_eq!(outcome.data["steps"][1]["step"], "b");
        assert_eq!(outcome.data["recovery_s"], 61.0);
        assert!(
            outcome.text.starts_with("  1. a: ") && outcome.text.ends_with("recovered in 1 min 1 s\n"),
            "{}",
            outcome.text
        );
    }
}
