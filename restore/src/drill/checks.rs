//! The questions that the configuration asks of the restored databases.

use serde_json::{Value, json};
use shipshape_core::config::CheckSection;

/// A question and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// The payload.
    pub(super) database: String,
    /// The question.
    pub(super) sql: String,
    /// The answer, if there is one.
    pub(super) answer: Option<String>,
    /// What is wrong with it, if anything.
    pub(super) wrong: Option<String>,
}

impl Checked {
    /// An element of `data.checks`.
    pub(super) fn told(&self) -> Value {
        json!({
            "database": self.database,
            "sql": self.sql,
            "answer": self.answer,
            "ok": self.wrong.is_none(),
            "why": self.wrong,
        })
    }
}

/// The payload that a question is for: the one that it names, else the only one that can answer.
pub(super) fn database_of<'n>(check: &CheckSection, known: &[&'n str]) -> Result<&'n str, String> {
    let listed = || known.join(", ");
    match (&check.database, known) {
        (Some(named), _) => {
            let found = known.iter().find(|name| *name == named).copied();
            found.ok_or_else(|| format!("there is no database {named} that speaks SQL, but: {}", listed()))
        }
        (None, [only]) => Ok(*only),
        (None, []) => Err("no database of the snapshot speaks SQL".to_owned()),
        (None, _) => Err(format!("there are several: {}", listed())),
    }
}

/// Judges an answer. Its first field counts.
pub(super) fn judge(check: &CheckSection, database: &str, answer: Result<Vec<Vec<String>>, String>) -> Checked {
    let checked = |answer: Option<String>, wrong: Option<String>| Checked {
        database: database.to_owned(),
        sql: check.sql.clone(),
        answer,
        wrong,
    };
    let rows = match answer {
        Ok(rows) => rows,
        Err(refused) => return checked(None, Some(refused)),
    };
    let Some(found) = rows.into_iter().next().and_then(|row| row.into_iter().next()) else {
        return checked(None, Some("it has no answer".to_owned()));
    };
    let wrong = wrong_with(check, &found);
    checked(Some(found), wrong)
}

fn wrong_with(check: &CheckSection, found: &str) -> Option<String> {
    if let Some(expected) = check.equals.as_ref().filter(|expected| *expected != found) {
        return Some(format!("{found:?} is not {expected:?}"));
    }
    if check.min.is_none() && check.max.is_none() {
        return None;
    }
    let Ok(number) = found.trim().parse::<f64>() else { return Some(format!("{found:?} is no number")) };
    let too_small = check.min.filter(|min| number < *min).map(|min| format!("{found} is less than {min}"));
    too_small.or_else(|| check.max.filter(|max| number > *max).map(|max| format!("{found} is more than {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(min: Option<f64>, max: Option<f64>, equals: Option<&str>) -> CheckSection {
        let equals = equals.map(str::to_owned);
        CheckSection { database: None, sql: "select count(*) from orders".to_owned(), min, max, equals }
    }

    fn wrong(check: &CheckSection, answer: &str) -> Option<String> {
        judge(check, "fleet", Ok(vec![vec![answer.to_owned()]])).wrong
    }

    #[test]
    fn an_answer_must_lie_within_its_bounds() {
        let bounded = check(Some(1.0), Some(10.0), None);
        assert_eq!((wrong(&bounded, "1"), wrong(&bounded, "10")), (None, None));
        assert_eq!(wrong(&bounded, "0").unwrap(), "0 is less than 1");
        assert_eq!(wrong(&bounded, "10.5").unwrap(), "10.5 is more than 10");
        assert_eq!(wrong(&bounded, "many").unwrap(), "\"many\" is no number");
        assert_eq!(wrong(&check(None, None, Some("ok")), "no").unwrap(), "\"no\" is not \"ok\"");
        assert_eq!(wrong(&check(None, None, None), "whatever"), None, "that there is an answer is enough");
    }

    #[test]
    fn no_answer_is_wrong_whatever_was_asked() {
        assert!(judge(&check(None, None, None), "fleet", Ok(Vec::new())).wrong.is_some());
        assert_eq!(
            judge(&check(None, None, None), "fleet", Err("no such table".to_owned())).wrong.unwrap(),
            "no such table"
        );
    }

    #[test]
    fn a_question_without_a_name_is_for_the_only_database() {
        let mut check = check(None, None, None);
        assert_eq!(database_of(&check, &["fleet"]), Ok("fleet"));
        assert!(database_of(&check, &["fleet", "billing"]).unwrap_err().contains("several"));
        check.database = Some("billing".to_owned());
        assert_eq!(database_of(&check, &["fleet", "billing"]), Ok("billing"));
        assert!(database_of(&check, &["fleet"]).is_err());
    }
}
