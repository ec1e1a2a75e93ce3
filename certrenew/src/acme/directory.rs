//! The directory: where an authority has what, and what it says of itself (RFC 8555, 7.1.1; RFC 9773; the profiles draft).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use shipshape_core::http::Answer;

use super::{About, header, words};

/// What is read of a directory. The library reads the same bytes for itself, and less of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    revoke_cert: Option<String>,
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
    caa_identities: Vec<String>,
    profiles: BTreeMap<String, String>,
    external_account_required: bool,
}

impl Directory {
    /// Reads it. An error says in one line what is wrong.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("no ACME directory: {}", words::told(&error.to_string())))
    }

    /// All the addresses in it that are asked. The library takes them as they are, and stops the program at one that is none.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        let needed = [&self.new_nonce, &self.new_account, &self.new_order];
        let offered = [&self.revoke_cert, &self.renewal_info];
        needed.into_iter().chain(offered.into_iter().flatten()).map(String::as_str)
    }

    /// What it says of the authority, `now`. Its time stands in a header of the answer.
    pub(super) fn about(&self, answer: &Answer, now: DateTime<Utc>) -> About {
        let meta = &self.meta;
        About {
            caa_identities: meta.caa_identities.iter().map(|name| words::told(name)).collect(),
            profiles: meta.profiles.iter().map(|(name, what)| (words::told(name), words::told(what))).collect(),
            has_renewal_info: self.renewal_info.is_some(),
            needs_binding: meta.external_account_required,
            terms: meta.terms_of_service.as_deref().and_then(words::address),
            date: answer.header("date").and_then(header::date),
            asked: Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T08:00:00Z".parse().unwrap()
    }

    fn about(body: &str, headers: Vec<(String, String)>) -> About {
        let answer = Answer { status: 200, headers, body: Vec::new(), is_cut: false };
        Directory::read(body.as_bytes()).unwrap().about(&answer, now())
    }

    #[test]
    fn what_an_authority_says_of_itself_is_read() {
        let body = r#"{"newNonce":"n","newAccount":"a","newOrder":"o","renewalInfo":"r","x":"https://random.test","meta":{
            "caaIdentities":["ca.test"],"termsOfService":"https://ca.test/terms","externalAccountRequired":true,
            "profiles":{"short":"six\ndays","classic":"ninety"}}}"#;
        let found = about(body, vec![("date".to_owned(), "Fri, 20 Nov 2026 08:49:37 GMT".to_owned())]);
        let profiles = [("classic", "ninety"), ("short", "six days")];
        assert_eq!(found.profiles, profiles.map(|(name, what)| (name.to_owned(), what.to_owned())));
        assert_eq!(found.caa_identities, ["ca.test"]);
        assert!(found.has_renewal_info && found.needs_binding);
        assert_eq!(found.terms.as_deref(), Some("https://ca.test/terms"));
        assert_eq!(found.date, Some("2026-11-20T08:49:37Z".parse().unwrap()));
    }

    #[test]
    fn an_authority_of_before_says_nothing_of_itself() {
        assert_eq!(
            about(r#"{"newNonce":"n","newAccount":"a","newOrder":"o"}"#, Vec::new()),
            About { asked: Some(now()), ..About::default() }
        );
    }

    #[test]
    fn a_page_is_no_directory() {
        let why = Directory::read(b"<html>Welcome\n</html>").unwrap_err();
        assert_eq!(why, "no ACME directory: expected value at line 1 column 1");
        assert!(Directory::read(br#"{"newNonce":"n"}"#).is_err());
    }
}
