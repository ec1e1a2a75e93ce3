//! What a sink is told, in words: one message for all that is new, however much that is.
//!
//! Texts come from anywhere: a file's name, a server's answer, a log line. They cannot start a header, a line that looks like
//! ours, or a colour of the terminal: line ends and control characters become spaces, and all of it has a largest size.

use serde_json::{Value, json};

use super::Severity;
use super::machine::{Event, Kind};
use crate::moment;
use crate::redact::{redact, redact_json};
use crate::report::Report;
use crate::units::counted;

/// The longest subject, in characters: what a list of mails shows, and some.
const LONGEST_SUBJECT: usize = 160;

/// The longest text of one problem, in characters.
const LONGEST_TEXT: usize = 1500;

/// How many problems are told in full; the rest is counted.
const MOST_EVENTS: usize = 20;

/// A message, without secrets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// One line.
    pub(super) subject: String,
    /// Lines for people.
    pub(super) body: String,
    /// How bad it is; none where it tells of ends only, and for a test.
    pub(super) severity: Option<Severity>,
    /// The same for programs.
    pub(super) data: Value,
}

/// The run that a message is about.
pub(super) struct About<'a> {
    /// The host under the name that its owner gave it.
    pub(super) host: &'a str,
    /// The report of the run.
    pub(super) report: &'a Report,
}

impl About<'_> {
    /// `[fleet@vps1]`.
    fn tag(&self) -> String {
        match &self.report.app {
            Some(app) => format!("[{app}@{}]", self.host),
            None => format!("[{}]", self.host),
        }
    }

    fn footer(&self) -> String {
        let Report { tool, version, started, summary, .. } = self.report;
        let of = self.report.app.as_ref().map(|app| format!("{app} on ")).unwrap_or_default();
        let summary = one_line(summary, LONGEST_TEXT);
        format!("-- \n{of}{}, {tool} {version}, run of {}: {summary}\n", self.host, moment::told(*started))
    }
}

impl Message {
    /// The message for these events, of which there is at least one.
    pub(super) fn of(events: &[Event], about: &About<'_>) -> Self {
        let mut body: Vec<String> = events.iter().take(MOST_EVENTS).map(paragraph).collect();
        if events.len() > MOST_EVENTS {
            body.push(format!("… and {} more\n", events.len() - MOST_EVENTS));
        }
        body.push(about.footer());
        let standing = events.iter().filter(|event| event.kind != Kind::Ended);
        let severity = standing.map(|event| event.problem.severity).max();
        let subject = subject(events, &about.tag());
        Self { subject, body: body.join("\n"), severity, data: Value::Null }.for_programs(events, about).redacted()
    }

    /// A message that says of itself that it is a test.
    pub(super) fn test(about: &About<'_>) -> Self {
        let subject = format!("{} test: alerts of {} arrive", about.tag(), about.report.tool);
        let body = format!(
            "This is a test, sent by `{} --test-alert`. Nothing is wrong.\n\n{}",
            about.report.tool,
            about.footer()
        );
        let message = Self { subject, body, severity: None, data: Value::Null }.for_programs(&[], about);
        Self { data: with(message.data.clone(), "test", json!(true)), ..message }.redacted()
    }

    fn for_programs(self, events: &[Event], about: &About<'_>) -> Self {
        let Report { tool, version, app, started, exit_code, summary, .. } = about.report;
        let events: Vec<Value> = events.iter().take(MOST_EVENTS).map(for_programs).collect();
        let data = json!({
            "schema": 1, "tool": tool, "version": version, "host": about.host, "app": app, "subject": self.subject,
            "severity": self.severity, "test": false, "events": events,
            "run": {"started": started, "exit_code": exit_code, "summary": summary},
        });
        Self { data, ..self }
    }

    fn redacted(mut self) -> Self {
        self.subject = redact(&self.subject).into_owned();
        self.body = redact(&self.body).into_owned();
        redact_json(&mut self.data);
        self
    }
}

fn with(mut data: Value, key: &str, value: Value) -> Value {
    data[key] = value;
    data
}

/// `[fleet@vps1] backup failed: no space left (and 2 more)`.
fn subject(events: &[Event], tag: &str) -> String {
    let Some(first) = events.first() else { return tag.to_owned() };
    let title = one_line(&first.problem.title, LONGEST_SUBJECT);
    let told = match first.kind {
        Kind::Ended => format!("over: {title}"),
        Kind::Flapping => format!("comes and goes: {title}: {}", first.problem.text),
        Kind::Started => format!("{title}: {}", first.problem.text),
        Kind::Worse => format!("worse: {title}: {}", first.problem.text),
        Kind::Settled | Kind::Reminder => format!("still: {title}: {}", first.problem.text),
    };
    let more = if events.len() > 1 { format!(" (and {} more)", events.len() - 1) } else { String::new() };
    format!("{tag} {}{more}", one_line(&told, LONGEST_SUBJECT))
}

fn paragraph(event: &Event) -> String {
    let Event { kind, problem, since, runs, last_good } = event;
    let runs = counted(u64::from(*runs), "bad run", "bad runs");
    let title = one_line(&problem.title, LONGEST_SUBJECT);
    let mut lines = match kind {
        Kind::Ended => format!("over: {title}\n  it began {} and was seen by {runs}\n", moment::told(*since)),
        Kind::Started => format!("{title} ({})\n", problem.severity.word()),
        Kind::Worse => format!("worse: {title} (now {})\n", problem.severity.word()),
        Kind::Flapping => {
            format!("comes and goes: {title} ({})\n  no more is told of each time\n", problem.severity.word())
        }
        Kind::Settled => {
            format!("still: {title} ({})\n  it came and went, and now it stays\n", problem.severity.word())
        }
        Kind::Reminder => format!("still: {title} ({})\n", problem.severity.word()),
    };
    if *kind != Kind::Ended {
        push(&mut lines, "why", &problem.text);
        push(&mut lines, "what to do", &problem.hint);
        push(&mut lines, "since", &format!("{}, {runs}", moment::told(*since)));
        let last_good = last_good.map_or_else(|| "none is known".to_owned(), moment::told);
        push(&mut lines, "last good run", &last_good);
    }
    push(&mut lines, "id", &problem.id);
    lines
}

fn push(lines: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        lines.push_str(&["  ", name, ": ", &one_line(text, LONGEST_TEXT), "\n"].concat());
    }
}

fn for_programs(event: &Event) -> Value {
    let Event { kind, problem, since, runs, last_good } = event;
    let texts = [&problem.title, &problem.text, &problem.hint].map(|text| one_line(text, LONGEST_TEXT));
    let [title, text, hint] = texts;
    json!({
        "kind": kind, "id": problem.id, "severity": problem.severity, "title": title, "text": text, "hint": hint,
        "since": since, "runs": runs, "last_good": last_good,
        // The same for a problem's start, its reminders and its end, so that a program can put them together.
        "incident": format!("{}@{}", problem.id, since.format("%Y%m%dT%H%M%SZ")),
    })
}

/// The text in one line of at most so many characters, without anything that is not to be seen.
pub fn one_line(text: &str, longest: usize) -> String {
    let visible: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&words, longest)
}

/// Line ends of every kind, control characters, and those that turn the direction of what follows.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a text, with a sign that there was more.
pub(super) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => text.chars().take(longest.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::alert::Problem;
    use proptest::prelude::*;

    pub(in crate::alert) fn report() -> Report {
        serde_json::from_value(json!({
            "schema": 1, "tool": "backup", "version": "1.2.3", "host": "box", "app": "fleet",
            "started": "2026-11-20T02:00:00Z", "duration_s": 1.0, "status": "critical", "exit_code": 2,
            "summary": "no space", "data": {}, "error": null, "warnings": [],
        }))
        .unwrap()
    }

    pub(in crate::alert) fn event(kind: Kind, text: &str) -> Event {
        let problem = Problem {
            id: "backup.failed".to_owned(),
            severity: Severity::Critical,
            title: "backup failed".to_owned(),
            text: text.to_owned(),
            hint: "df -h /var/backups".to_owned(),
            after: 1,
        };
        let since = "2026-11-18T02:00:00Z".parse().unwrap();
        Event { kind, problem, since, runs: 3, last_good: Some("2026-11-17T02:00:00Z".parse().unwrap()) }
    }

    pub(in crate::alert) fn message(events: &[Event]) -> Message {
        Message::of(events, &About { host: "vps1", report: &report() })
    }

    #[test]
    fn it_says_what_failed_where_why_since_when_and_what_to_do() {
        let message = message(&[event(Kind::Started, "cannot write /var/backups: no space left")]);
        assert_eq!(message.subject, "[fleet@vps1] backup failed: cannot write /var/backups: no space left");
        assert_eq!(message.severity, Some(Severity::Critical));
        for part in [
            "why: cannot write",
            "what to do: df -h /var/backups",
            "3 bad runs",
            "last good run: 2026-11-1",
            "fleet on vps1",
        ] {
            assert!(message.body.contains(part), "{part} in {}", message.body);
        }
    }

    #[test]
    fn an_end_says_so_and_asks_for_nothing() {
        let message = message(&[event(Kind::Ended, "no space left")]);
        assert_eq!((message.subject.as_str(), message.severity), ("[fleet@vps1] over: backup failed", None));
        assert!(!message.body.contains("what to do") && message.body.contains("3 bad runs"), "{}", message.body);
    }

    #[test]
    fn each_kind_of_news_is_told_apart() {
        let kinds = [Kind::Started, Kind::Worse, Kind::Flapping, Kind::Settled, Kind::Reminder, Kind::Ended];
        let bodies: std::collections::BTreeSet<String> = kinds.map(|kind| message(&[event(kind, "x")]).body).into();
        assert_eq!(bodies.len(), kinds.len());
    }

    #[test]
    fn several_problems_are_one_message_of_bounded_size() {
        let events: Vec<Event> = (0..500).map(|_| event(Kind::Started, &"long ".repeat(5000))).collect();
        let message = message(&events);
        assert!(message.subject.ends_with("… (and 499 more)") && message.subject.chars().count() < 200);
        assert!(message.body.contains("… and 480 more") && message.body.len() < 50_000, "{}", message.body.len());
    }

    #[test]
    fn programs_can_put_the_start_and_the_end_of_a_problem_together() {
        let incident = |kind| message(&[event(kind, "x")]).data["events"][0]["incident"].clone();
        assert_eq!(incident(Kind::Started), "backup.failed@20261118T020000Z");
        assert_eq!(incident(Kind::Started), incident(Kind::Ended));
    }

    #[test]
    fn no_part_of_a_message_holds_a_secret() {
        crate::redact::learn("OPEN-SESAME-77");
        let message = message(&[event(Kind::Started, "login OPEN-SESAME-77 refused")]);
        assert!(!format!("{message:?}").contains("SESAME"), "{message:?}");
    }

    #[test]
    fn a_test_says_that_it_is_one() {
        let message = Message::test(&About { host: "vps1", report: &report() });
        assert!(message.subject.contains("test") && message.body.contains("Nothing is wrong"));
        assert_eq!((message.severity, &message.data["test"]), (None, &json!(true)));
    }

    proptest! {
        #[test]
        fn no_text_starts_a_line_or_a_header_of_its_own(text in "(\r|\n|\r\n|\u{2028}|\u{85}|\u{1b}\\[31m|Bcc: x|\u{202e}|a| |.){0,30}") {
            let plain = message(&[event(Kind::Started, "x")]);
            let message = message(&[event(Kind::Started, &text)]);
            prop_assert!(!message.subject.contains(is_hidden));
            prop_assert!(message.body.lines().count() <= plain.body.lines().count());
            prop_assert!(!message.body.replace('\n', "").contains(is_hidden));
        }
    }
}
