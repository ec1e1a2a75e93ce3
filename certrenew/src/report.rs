//! What a run tells: `data.certificates[]` for programs, and the same as lines for people.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use shipshape_core::moment;
use shipshape_core::report::Notice;
use shipshape_core::units::counted;

use crate::certificate::Facts;
use crate::deploy;
use crate::ledger;

/// What a run has done for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Nothing was to be done.
    None,
    /// A new one was issued, and is in use.
    Renewed,
    /// The present one was put to use, which an earlier run could not.
    Deployed,
    /// The authority is still at it, or a run before it is to be tried again: the next run goes on.
    Pending,
    /// It went wrong.
    Failed,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::None => "fine",
            Self::Renewed => "renewed",
            Self::Deployed => "deployed",
            Self::Pending => "pending",
            Self::Failed => "failed",
        }
    }
}

/// One certificate, as a report has it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Under what it lies in `live/`.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) names: Vec<String>,
    /// What was done.
    pub(crate) action: Action,
    /// Why, in one line.
    pub(crate) reason: String,
    /// Until when it holds.
    pub(crate) not_after: Option<DateTime<Utc>>,
    /// Days until then, rounded down.
    pub(crate) days_left: Option<i64>,
    /// How long it lives from now on, and in all.
    #[serde(skip)]
    pub(crate) left_of: Option<(TimeDelta, TimeDelta)>,
    /// Who issued it.
    pub(crate) issuer: Option<String>,
    /// Its serial number in hexadecimal digits.
    pub(crate) serial: Option<String>,
    /// When it is tried or renewed next; none for one that is watched alone.
    pub(crate) next_attempt: Option<DateTime<Utc>>,
    /// Whether its end is worth an alert so many days before; a share of its life unless said.
    #[serde(skip)]
    pub(crate) alert_days: Option<u32>,
    /// The services that take it.
    pub(crate) services: Vec<ServiceRow>,
    /// Whether it is in use; none where nobody knows yet.
    pub(crate) deploy: Option<DeployRow>,
    /// What was seen, address by address and name by name; nothing where nothing was looked at.
    pub(crate) served: Vec<ServedRow>,
    /// What went wrong.
    pub(crate) error: Option<Notice>,
}

/// A service that takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ServiceRow {
    /// Its name.
    pub(crate) name: String,
    /// Whether nobody has named it: it was found by its mounts.
    pub(crate) found: bool,
}

/// How putting it to use went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeployRow {
    /// Whether it is done.
    pub(crate) done: bool,
    /// When it was last tried.
    pub(crate) at: DateTime<Utc>,
    /// What went wrong.
    pub(crate) why: Option<String>,
}

/// What was seen at one address for one name.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ServedRow {
    /// The name.
    pub(crate) name: String,
    /// The address.
    pub(crate) address: String,
    /// The serial number of what was shown.
    pub(crate) serial: Option<String>,
    /// Whether it is this certificate.
    pub(crate) ok: bool,
    /// Why nothing was seen.
    pub(crate) why: Option<String>,
}

impl Row {
    /// Of a certificate of which nothing is known yet.
    pub(crate) fn new(name: &str, names: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            names,
            action: Action::None,
            reason: String::new(),
            not_after: None,
            days_left: None,
            left_of: None,
            issuer: None,
            serial: None,
            next_attempt: None,
            alert_days: None,
            services: Vec::new(),
            deploy: None,
            served: Vec::new(),
            error: None,
        }
    }

    /// What the certificate says of itself.
    pub(crate) fn facts(&mut self, facts: &Facts, now: DateTime<Utc>) {
        self.not_after = Some(facts.not_after);
        self.days_left = Some(facts.days_left(now));
        self.left_of = Some((facts.not_after - now, facts.lifetime()));
        self.issuer = Some(facts.issuer.clone());
        self.serial = Some(facts.serial.clone());
    }

    /// Who takes it.
    pub(crate) fn services(&mut self, names: &[String], found: bool) {
        self.services = names.iter().map(|name| ServiceRow { name: name.clone(), found }).collect();
    }

    /// How putting it to use went.
    pub(crate) fn deploy(&mut self, deploy: Option<&ledger::Deploy>) {
        self.deploy = deploy.map(|deploy| DeployRow {
            done: deploy.is_done,
            at: deploy.at,
            why: deploy.why.as_ref().map(|why| why.message.clone()),
        });
    }

    /// What was seen.
    pub(crate) fn served(&mut self, served: &[deploy::Served]) {
        let serial = self.serial.clone();
        let row = |one: &deploy::Served| ServedRow {
            name: one.name.to_string(),
            address: one.address.to_string(),
            serial: one.shown.as_ref().ok().map(|facts| facts.serial.clone()),
            ok: one.shown.as_ref().is_ok_and(|facts| Some(&facts.serial) == serial.as_ref()),
            why: one.shown.as_ref().err().cloned(),
        };
        self.served = served.iter().map(row).collect();
    }

    /// A few lines for people.
    fn text(&self) -> String {
        let mut told = format!("{}: {}", self.name, self.action.word());
        if !self.reason.is_empty() {
            let _ = write!(told, ", {}", self.reason);
        }
        if self.names.len() > 1 || self.names.first() != Some(&self.name) {
            let _ = write!(told, "\n  for      {}", self.names.join(", "));
        }
        if let (Some(not_after), Some(days), Some(issuer)) = (self.not_after, self.days_left, &self.issuer) {
            let left = counted(days.unsigned_abs(), "day", "days");
            let left = if days < 0 { format!("over since {left}") } else { format!("{left} left") };
            let _ = write!(told, "\n  until    {}, {left}, by {issuer}", moment::told(not_after));
        }
        if let Some(next) = self.next_attempt {
            let _ = write!(told, "\n  next     {}", moment::told(next));
        }
        if let Some(ServiceRow { found, .. }) = self.services.first() {
            let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
            let how = match names[..] {
                _ if !found => "",
                [_] => ", found by its mounts",
                _ => ", found by their mounts",
            };
            let _ = write!(told, "\n  used by  {}{how}", names.join(", "));
        }
        if let Some(DeployRow { done: false, at, why }) = &self.deploy {
            let why = why.as_deref().unwrap_or("not tried yet");
            let _ = write!(told, "\n  not in use since {}: {why}", moment::told(*at));
        }
        for one in &self.served {
            let _ = write!(told, "\n  at       {} {}: {}", one.address, one.name, one.told());
        }
        if let Some(error) = &self.error {
            let _ = write!(told, "\n  error    {}", error.message);
            if !error.hint.is_empty() {
                let _ = write!(told, "\n  hint     {}", error.hint);
            }
        }
        told
    }
}

impl ServedRow {
    fn told(&self) -> String {
        match (&self.why, &self.serial) {
            (Some(why), _) => why.clone(),
            (None, _) if self.ok => "served".to_owned(),
            (None, serial) => format!("another one is served, {}", serial.as_deref().unwrap_or("unknown")),
        }
    }
}

/// `data` of a report.
pub(crate) fn data(rows: &[Row]) -> Value {
    json!({ "certificates": rows })
}

/// The lines for people.
pub(crate) fn text(rows: &[Row]) -> String {
    rows.iter().map(Row::text).collect::<Vec<_>>().join("\n")
}

/// One line: how many of each kind, the worst first.
pub(crate) fn summary(rows: &[Row]) -> String {
    let worst_first = [Action::Failed, Action::Pending, Action::Renewed, Action::Deployed, Action::None];
    let parts: Vec<String> = worst_first
        .iter()
        .filter_map(|action| {
            let of_it: Vec<&str> =
                rows.iter().filter(|row| row.action == *action).map(|row| row.name.as_str()).collect();
            (!of_it.is_empty()).then(|| match action {
                Action::None => format!("{} {}", of_it.len(), action.word()),
                Action::Renewed | Action::Deployed | Action::Pending | Action::Failed => {
                    format!("{} {}", action.word(), of_it.join(", "))
                }
            })
        })
        .collect();
    let all = counted(rows.len() as u64, "certificate", "certificates");
    let mut told = format!("{all}: {}", parts.join(", "));
    if let Some(days) = rows.iter().filter_map(|row| row.days_left).min() {
        let _ = write!(told, "; the first ends in {}", days_told(days));
    }
    // The first of the reasons: what cron sends by mail is this line alone.
    let mut worst = worst_first.iter().flat_map(|action| rows.iter().filter(move |row| row.action == *action));
    if let Some(error) = worst.find_map(|row| row.error.as_ref()) {
        let _ = write!(told, "; {}", error.message);
    }
    told
}

fn days_told(days: i64) -> String {
    if days < 0 { "the past".to_owned() } else { counted(days.unsigned_abs(), "day", "days") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, action: Action, days: Option<i64>) -> Row {
        Row { action, days_left: days, ..Row::new(name, vec![name.to_owned()]) }
    }

    #[test]
    fn the_summary_names_what_went_wrong_first_and_the_next_end() {
        let rows = [
            row("a.test", Action::None, Some(40)),
            row("b.test", Action::Failed, Some(3)),
            row("c.test", Action::Renewed, Some(89)),
            row("d.test", Action::None, None),
        ];
        assert_eq!(summary(&rows), "4 certificates: failed b.test, renewed c.test, 2 fine; the first ends in 3 days");
        let error = Some(Notice::new("acme.names", "refused", "mend the DNS"));
        let failed = Row { error, ..row("a.test", Action::Failed, None) };
        assert_eq!(summary(&[failed]), "1 certificate: failed a.test; refused");
        assert!(summary(&[row("a.test", Action::None, Some(-1))]).ends_with("the first ends in the past"));
    }

    #[test]
    fn people_read_which_services_were_found_to_take_it() {
        let mut found = row("a.test", Action::None, None);
        found.services(&["httpd".to_owned(), "edge".to_owned()], true);
        assert_eq!(text(&[found.clone()]), "a.test: fine\n  used by  httpd, edge, found by their mounts");
        assert_eq!(data(&[found.clone()])["certificates"][0]["services"][1], json!({ "name": "edge", "found": true }));
        found.services(&["httpd".to_owned()], false);
        assert_eq!(text(&[found]), "a.test: fine\n  used by  httpd");
    }

    #[test]
    fn people_read_what_to_do_below_what_went_wrong() {
        let error = Some(Notice::new("acme.names", "refused", "mend the DNS"));
        let told = text(&[Row { error, reason: "there is none".to_owned(), ..row("a.test", Action::Failed, None) }]);
        assert_eq!(told, "a.test: failed, there is none\n  error    refused\n  hint     mend the DNS");
    }
}
