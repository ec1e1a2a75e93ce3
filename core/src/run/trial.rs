//! `--test-alert`: the run that sends a test, and says what became of it.

use serde_json::json;

use super::{Outcome, Run};
use crate::alert::trial::{self, Tried};
use crate::config::Config;
use crate::error::Failure;
use crate::exit::Exit;
use crate::units::counted;

impl Run {
    /// Sends a message that is marked as a test through every sink. Nothing is remembered of it.
    ///
    /// # Errors
    /// Fails when the configuration is wrong or names no sink. One that could not be reached is no error but the outcome.
    pub fn test_alert(&self, app: Option<&str>) -> Result<Outcome, Failure> {
        self.only_looks();
        let config = Config::load(self.common(), app)?;
        if let Ok(app) = config.app(app) {
            self.app(&app.name);
        }
        let report = self.report_of(Outcome::ok("a test of alerts"), None);
        Ok(told(&trial::send(&config, &report)?))
    }
}

fn told(sinks: &[Tried]) -> Outcome {
    let lines = sinks.iter().map(|Tried { sink, delivered, error }| {
        let word = if *delivered { "delivered" } else { "NOT DELIVERED" };
        let why = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("{sink}: {word}{why}\n")
    });
    let data = sinks
        .iter()
        .map(|Tried { sink, delivered, error }| json!({"sink": sink, "delivered": delivered, "error": error}));
    let lost = sinks.iter().filter(|tried| !tried.delivered).count();
    let all = counted(sinks.len() as u64, "sink", "sinks");
    let (exit, summary) = match lost {
        0 => (Exit::Ok, format!("the test was delivered through {all}")),
        _ => (Exit::Critical, format!("the test was not delivered through {lost} of {all}")),
    };
    let (text, data) = (lines.collect(), json!({"sinks": data.collect::<Vec<_>>()}));
    Outcome { exit, data, text, ..Outcome::ok(summary) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(delivered: bool) -> Tried {
        Tried { sink: "mail".to_owned(), delivered, error: (!delivered).then(|| "refused".to_owned()) }
    }

    #[test]
    fn one_sink_that_was_not_reached_is_critical_and_named() {
        let outcome = told(&[tried(true), tried(false)]);
        assert_eq!(outcome.exit, Exit::Critical);
        assert_eq!(outcome.text, "mail: delivered\nmail: NOT DELIVERED: refused\n");
        assert_eq!(outcome.data["sinks"][1], json!({"sink": "mail", "delivered": false, "error": "refused"}));
        assert_eq!(told(&[tried(true)]).exit, Exit::Ok);
    }
}
