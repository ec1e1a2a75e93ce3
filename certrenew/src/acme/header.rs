//! Headers that say something beside an answer: when to come back, and where related things are.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use shipshape_core::http::Answer;

/// The forms of a date in HTTP: the one that is sent today, and the two of the past that have to be understood (RFC 9110,
/// 5.6.7). The weekday is not looked at: a wrong one makes no date wrong.
const DATES: [&str; 3] = ["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT", "%b %e %H:%M:%S %Y"];

/// The most links of one kind that are taken from an answer. Authorities offer two or three chains.
const MOST_LINKS: usize = 8;

/// How long an answer asks to wait (RFC 9110, 10.2.3): in seconds, or until a date; nothing for one that is over.
pub(super) fn retry_after(answer: &Answer, now: DateTime<Utc>) -> Option<Duration> {
    let stated = answer.header("retry-after")?.trim();
    if let Ok(seconds) = stated.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some((date(stated)? - now).to_std().unwrap_or_default())
}

/// A date of HTTP.
pub(super) fn date(stated: &str) -> Option<DateTime<Utc>> {
    let (_, rest) = stated.trim().split_once(' ')?;
    DATES.iter().find_map(|form| NaiveDateTime::parse_from_str(rest, form).ok()).map(|found| found.and_utc())
}

/// The addresses of an answer's links of one kind (RFC 8288, 3), in their order: `Link: <https://…>;rel="alternate"`.
pub(super) fn links(answer: &Answer, kind: &str) -> Vec<String> {
    let headers = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    headers.flat_map(|(_, value)| in_one_header(value, kind)).take(MOST_LINKS).collect()
}

/// A header may hold several links. Addresses may hold commas and semicolons, so each is cut out by its brackets first.
fn in_one_header(value: &str, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, opened)) = rest.split_once('<') {
        let Some((address, behind)) = opened.split_once('>') else { break };
        let parameters = behind.split_once('<').map_or(behind, |(parameters, _)| parameters);
        if is_of_kind(parameters, kind) {
            found.push(address.trim().to_owned());
        }
        rest = behind;
    }
    found
}

fn is_of_kind(parameters: &str, kind: &str) -> bool {
    parameters.split([';', ',']).filter_map(|one| one.split_once('=')).any(|(name, value)| {
        let kinds = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && kinds.into_iter().any(|one| one.eq_ignore_ascii_case(kind))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T08:49:37Z".parse().unwrap()
    }

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status: 200, headers, body: Vec::new(), is_cut: false }
    }

    fn wait(value: &str) -> Option<u64> {
        retry_after(&answer(&[("retry-after", value)]), now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date_of_any_of_the_three_forms() {
        let dates = ["Fri, 20 Nov 2026 08:50:37 GMT", "Friday, 20-Nov-26 08:50:37 GMT", "Fri Nov 20 08:50:37 2026"];
        assert_eq!(dates.map(wait), [Some(60); 3]);
        assert_eq!(["0", " 120 ", "86400"].map(wait), [Some(0), Some(120), Some(86_400)]);
    }

    #[test]
    fn a_date_that_is_over_means_now_and_nonsense_means_nothing() {
        assert_eq!(wait("Fri, 20 Nov 2026 08:48:37 GMT"), Some(0));
        let nonsense = ["", "soon", "-5", "1.5", "99999999999999999999999", "Fri, 32 Nov 2026 08:50:37 GMT"];
        assert_eq!(nonsense.map(wait), [None; 6]);
    }

    #[test]
    fn links_are_found_by_their_kind_wherever_they_stand() {
        let answer = answer(&[
            ("link", "<https://a.test/dir>;rel=\"index\", <https://a.test/c/1;x,y>;rel=\"alternate\""),
            ("Link", "<https://a.test/c/2> ; title=\"other\" ; REL=\"up Alternate\""),
            ("link", "<https://a.test/up>;rel=up"),
        ]);
        assert_eq!(links(&answer, "alternate"), ["https://a.test/c/1;x,y", "https://a.test/c/2"]);
        assert_eq!(links(&answer, "up"), ["https://a.test/c/2", "https://a.test/up"]);
    }

    #[test]
    fn endless_links_are_bounded() {
        let many = "<https://a.test/c>;rel=\"alternate\",".repeat(1000);
        assert_eq!(links(&answer(&[("link", &many)]), "alternate").len(), MOST_LINKS);
    }

    proptest! {
        #[test]
        fn no_header_stops_us(value in "\\PC{0,80}") {
            let answer = answer(&[("link", &value), ("retry-after", &value), ("date", &value)]);
            let _ = (links(&answer, "alternate"), retry_after(&answer, now()), date(&value));
        }
    }
}
