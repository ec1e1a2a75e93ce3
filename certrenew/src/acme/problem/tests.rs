use proptest::prelude::*;
use shipshape_core::error::Explain;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-20T08:00:00Z".parse().unwrap()
}

fn speaker() -> Speaker {
    Speaker { host: "ca.test".to_owned(), caa: Some("ca.example".to_owned()) }
}

fn explained(status: u16, headers: &[(&str, &str)], body: &str) -> AcmeError {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let answer = Answer { status, headers, body: body.as_bytes().to_vec(), is_cut: false };
    Problem::of(&answer).explain(&speaker(), Some(&answer), now())
}

fn problem(kind: &str, detail: &str) -> String {
    serde_json::json!({ "type": format!("{ACME}{kind}"), "detail": detail }).to_string()
}

#[test]
fn each_kind_has_its_meaning() {
    for (kind, status, code) in [
        ("accountDoesNotExist", 400, "acme.account_gone"),
        ("externalAccountRequired", 403, "acme.binding"),
        ("userActionRequired", 403, "acme.terms"),
        ("rateLimited", 400, "acme.later"),
        ("malformed", 429, "acme.later"),
        ("badCSR", 400, "acme.refused"),
        ("serverInternal", 500, "acme.refused"),
    ] {
        assert_eq!(explained(status, &[], &problem(kind, "x")).code(), code, "{kind}");
    }
}

#[test]
fn the_status_of_an_answer_that_is_a_page_is_not_lost() {
    let error = explained(502, &[], "<html><h1>502 Bad Gateway</h1>\n<hr>nginx</html>");
    assert_eq!(error.to_string(), "ca.test refused: 502 Bad Gateway nginx (status 502)");
    let empty = explained(418, &[], "");
    assert_eq!(empty.to_string(), "ca.test refused: it gives no reason (status 418)");
}

#[test]
fn an_overloaded_authority_says_when_to_come_back_even_in_html() {
    let error = explained(503, &[("retry-after", "120")], "<b>Slow down</b>");
    assert_eq!(error.retry_at(), Some(now() + TimeDelta::seconds(120)));
    assert_eq!(explained(503, &[], "").retry_at(), None);
}

#[test]
fn a_limit_tells_its_end_in_its_text_where_no_header_does() {
    let text = "too many certificates (5): retry after 2026-11-21 09:30:00 UTC: see https://ca.test/limits/";
    let error = explained(429, &[], &problem("rateLimited", text));
    assert_eq!(error.retry_at(), Some("2026-11-21T09:30:00Z".parse().unwrap()));
    assert!(error.hint().contains("https://ca.test/limits/"), "{}", error.hint());
    let both = explained(429, &[("Retry-After", "60")], &problem("rateLimited", text));
    assert_eq!(both.retry_at(), Some(now() + TimeDelta::minutes(1)));
}

#[test]
fn no_word_of_an_authority_makes_us_wait_for_ever_or_in_the_past() {
    for far in ["18446744073709551615", "999999999", "Fri, 20 Nov 9026 08:50:37 GMT"] {
        let error = explained(503, &[("retry-after", far)], "");
        assert_eq!(error.retry_at(), Some(now() + LONGEST_WAIT), "{far}");
    }
    let past = explained(429, &[], &problem("rateLimited", "retry after 1970-01-01 00:18:15 UTC: see"));
    assert_eq!(past.retry_at(), Some(now()));
}

#[test]
fn each_refused_name_is_told_with_its_reason() {
    let body = serde_json::json!({
        "type": format!("{ACME}malformed"), "detail": "some were refused",
        "subproblems": [
            { "type": format!("{ACME}rejectedIdentifier"), "detail": "by\npolicy", "identifier": { "type": "dns", "value": "a.test" } },
            { "detail": "odd", "identifier": { "type": "never-heard-of", "value": "b.test" } },
            { "detail": "of nobody" },
        ],
    });
    let AcmeError::Names { refused, .. } = explained(403, &[], &body.to_string()) else { panic!() };
    let told: Vec<_> = refused.iter().map(|one| [one.name.as_str(), &one.kind, &one.detail]).collect();
    assert_eq!(told, [["a.test", "rejectedIdentifier", "by policy"], ["b.test", "malformed", "odd"]]);
}

#[test]
fn new_terms_are_told_with_their_page() {
    let body =
        serde_json::json!({ "type": format!("{ACME}userActionRequired"), "instance": "https://ca.test/agree?t=1" });
    assert!(explained(403, &[], &body.to_string()).hint().contains("https://ca.test/agree?t=1"));
    let header = ("link", "<https://ca.test/terms>;rel=\"terms-of-service\"");
    assert!(explained(403, &[header], &problem("userActionRequired", "")).hint().contains("https://ca.test/terms"));
    let hostile = serde_json::json!({ "type": format!("{ACME}userActionRequired"), "instance": "\u{1b}]0;x" });
    assert!(explained(403, &[], &hostile.to_string()).hint().is_ascii());
}

#[test]
fn a_name_that_stands_in_the_text_alone_is_found_and_no_other() {
    let names = ["blocked.test", "www.blocked.test", "good.test"].map(|name| Identifier::parse(name).unwrap());
    let text = "Order included an identifier for which issuance is forbidden by policy: www.blocked.test.";
    let error = by_name(explained(403, &[], &problem("rejectedIdentifier", text)), &speaker(), &names);
    let AcmeError::Names { refused, .. } = error else { panic!() };
    assert_eq!(refused.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["www.blocked.test"]);
    let unnamed = by_name(explained(403, &[], &problem("rejectedIdentifier", "no")), &speaker(), &names);
    assert_eq!(unnamed.code(), "acme.refused");
    let only = by_name(explained(403, &[], &problem("rejectedIdentifier", "no")), &speaker(), &names[..1]);
    assert_eq!(only.code(), "acme.names");
    let other = by_name(explained(400, &[], &problem("badCSR", "blocked.test")), &speaker(), &names);
    assert_eq!(other.code(), "acme.refused");
}

#[test]
fn json_of_another_shape_is_told_as_text() {
    for body in ["[]", "{}", "{\"type\":5}", "\"x\"", "{\"subproblems\":{}}"] {
        assert_eq!(explained(400, &[], body).code(), "acme.refused", "{body}");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_is_told_in_one_line_without_an_end_that_never_comes(
        status in 300u16..600, body in "(?s).{0,400}", kind in "(?s).{0,400}", detail in "(?s).{0,400}",
    ) {
        for body in [body, problem(&kind, &detail)] {
            let error = explained(status, &[("retry-after", &detail)], &body);
            let told = format!("{error}{}", error.hint());
            prop_assert!(told.chars().count() < 4000 && !told.chars().any(char::is_control), "{:?}", told);
        }
    }
}
