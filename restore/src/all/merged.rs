//! The outcomes of several restores, as one.

use serde_json::{Map, Value, json};
use shipshape_core::report::Notice;
use shipshape_core::run::Outcome;
use shipshape_core::units::{ByteSize, counted};

use crate::select::Snapshot;

/// What has come back so far.
#[derive(Default)]
pub(super) struct Merged {
    data: Map<String, Value>,
    text: String,
    warnings: Vec<Notice>,
}

impl Merged {
    /// Adds what came back: lists are joined, amounts are added.
    pub(super) fn add(&mut self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        self.text.push_str(&outcome.text);
        for warning in outcome.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        let Value::Object(fields) = outcome.data else { return };
        for (name, new) in fields {
            match (self.data.get_mut(&name), new) {
                (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                (Some(sum), Value::Number(more)) => *sum = added(sum, &more),
                (_, new) => drop(self.data.insert(name, new)),
            }
        }
    }

    /// All of it.
    pub(super) fn outcome(self, of: &Snapshot) -> Outcome {
        let number = |name: &str| self.data.get(name).and_then(Value::as_u64).unwrap_or_default();
        let is_database = |name: &Value| {
            let payload = of.manifest.payloads.iter().find(|payload| name.as_str() == Some(payload.name.as_str()));
            payload.is_some_and(|payload| payload.database.as_ref().is_some_and(|facts| !facts.globals))
        };
        let restored = self.data.get("restored").and_then(Value::as_array).into_iter().flatten();
        let databases = restored.filter(|part| is_database(&part["name"])).count();
        let databases = counted(u64::try_from(databases).unwrap_or(u64::MAX), "database", "databases");
        let files = counted(number("files"), "file", "files");
        let summary = format!("snapshot {}: {databases}, {files}, {}", of.manifest.id, ByteSize(number("bytes")));
        Outcome { data: Value::Object(self.data), text: self.text, warnings: self.warnings, ..Outcome::ok(summary) }
    }
}

/// A sum, whole as long as both are.
fn added(one: &Value, other: &serde_json::Number) -> Value {
    if let (Some(one), Some(other)) = (one.as_u64(), other.as_u64()) {
        return json!(one.saturating_add(other));
    }
    let sum = one.as_f64().unwrap_or_default() + other.as_f64().unwrap_or_default();
    json!((sum * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_amounts_added() {
        let mut merged = Merged::default();
        for data in [
            json!({"restored": [1], "files": 2, "seconds": 0.1}),
            json!({"restored": [2, 3], "files": 5, "seconds": 0.25, "x": "y"}),
        ] {
            let warnings = vec![Notice::new("a", "b", "c")];
            merged.add(Some(Outcome { data, warnings, text: "t\n".to_owned(), ..Outcome::ok("") }));
        }
        merged.add(None);
        assert_eq!(Value::Object(merged.data), json!({"restored": [1, 2, 3], "files": 7, "seconds": 0.35, "x": "y"}));
        assert_eq!((merged.text.as_str(), merged.warnings.len()), ("t\nt\n", 1));
    }
}
