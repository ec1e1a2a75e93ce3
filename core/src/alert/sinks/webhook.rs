//! Webhooks, each in the form that its service understands. Texts stay texts: no mention wakes a channel, no mark-up is read.

use serde_json::{Value, json};

use super::SinkError;
use crate::alert::Severity;
use crate::alert::message::{Message, cut};
use crate::config::{Place, WebhookKind};

/// What the services take, in characters, with some room. Slack cuts at 40 000 and shows far less; Discord refuses more than
/// 2000; ntfy turns more than 4096 bytes into an attachment.
const SLACK: usize = 8000;
const DISCORD: usize = 1900;
const NTFY_BYTES: usize = 4000;

/// A webhook.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    /// What it understands.
    pub(super) kind: WebhookKind,
    /// Where it is.
    pub(super) to: Place,
}

impl Webhook {
    pub(super) fn deliver(&self, message: &Message) -> Result<(), SinkError> {
        let url = self.to.resolve()?;
        let (url, body) = match self.kind {
            WebhookKind::Slack => (url, slack(message)),
            WebhookKind::Discord => (url, discord(message)),
            WebhookKind::Ntfy => {
                ntfy(&url, message).ok_or(SinkError::Url { reason: "the URL names no topic of ntfy" })?
            }
            WebhookKind::Json => (url, message.data.clone()),
        };
        self.to.post(&url, "application/json", body.to_string().as_bytes())
    }
}

fn together(message: &Message) -> String {
    format!("{}\n{}", message.subject, message.body)
}

/// `&`, `<` and `>` are all that Slack reads in plain text; without them there is no `<!channel>`.
fn slack(message: &Message) -> Value {
    let text = cut(&together(message), SLACK).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({"text": text, "mrkdwn": false, "link_names": false, "unfurl_links": false, "unfurl_media": false})
}

fn discord(message: &Message) -> Value {
    // Escaping may double the length, so it comes first; an escape that the cut leaves alone is a backslash, no more.
    let text = cut(&without_markup(&together(message)), DISCORD);
    // Flag 4: no previews of links.
    json!({"content": text, "allowed_mentions": {"parse": []}, "flags": 4})
}

fn without_markup(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\*_~`|>#[]()<@".contains(c) {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

/// As JSON to the server's root, where the topic is a field: in headers, a title would have to be ASCII.
fn ntfy(url: &str, message: &Message) -> Option<(String, Value)> {
    let (place, query) =
        url.split_once('?').map_or((url, String::new()), |(place, query)| (place, format!("?{query}")));
    let (root, topic) = place.trim_end_matches('/').rsplit_once('/')?;
    if topic.is_empty() || root.ends_with('/') {
        return None;
    }
    let (priority, tag) = match message.severity {
        Some(Severity::Critical) => (5, "rotating_light"),
        Some(Severity::Warning) => (3, "warning"),
        None => (2, "white_check_mark"),
    };
    let body = json!({
        "topic": topic, "title": message.subject, "message": cut_bytes(&message.body, NTFY_BYTES), "priority": priority,
        "tags": [tag],
    });
    Some((format!("{root}/{query}"), body))
}

fn cut_bytes(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::machine::Kind;
    use crate::alert::message::tests::{event, message};

    fn nasty() -> Message {
        message(&[event(Kind::Started, "@everyone <!channel> <@U1> & *bold* `code` [x](https://evil)")])
    }

    #[test]
    fn slack_reads_no_mention_in_a_text() {
        let body = slack(&nasty());
        let text = body["text"].as_str().unwrap();
        assert!(!text.contains(['<', '>']) && text.contains("&lt;!channel&gt;") && text.contains("&amp;"), "{text}");
        assert_eq!((&body["mrkdwn"], &body["link_names"]), (&json!(false), &json!(false)));
    }

    #[test]
    fn discord_wakes_nobody_and_shows_no_links_under_other_names() {
        let body = discord(&nasty());
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        let text = body["content"].as_str().unwrap();
        assert!(text.contains(r"\[x\]\(https://evil\)") && text.contains(r"\@everyone"), "{text}");
    }

    #[test]
    fn every_service_gets_what_it_can_take() {
        let long = message(&vec![event(Kind::Started, &"ü*<".repeat(3000)); 20]);
        assert!(discord(&long)["content"].as_str().unwrap().chars().count() <= 2000);
        assert!(slack(&long)["text"].as_str().unwrap().chars().count() <= 40_000);
        assert!(ntfy("https://h/topic", &long).unwrap().1["message"].as_str().unwrap().len() <= 4096);
    }

    #[test]
    fn ntfy_gets_its_topic_as_a_field() {
        let (url, body) = ntfy("https://ntfy.example.org/ops?auth=abc", &nasty()).unwrap();
        assert_eq!(url, "https://ntfy.example.org/?auth=abc");
        assert_eq!((&body["topic"], &body["priority"]), (&json!("ops"), &json!(5)));
        assert!(ntfy("https://ntfy.example.org", &nasty()).is_none());
        let (_, over) = ntfy("https://h/ops", &message(&[event(Kind::Ended, "")])).unwrap();
        assert_eq!(over["priority"], 2);
    }
}
