//! What CAA records mean, case by case.

use std::io;

use proptest::prelude::*;

use super::*;

fn caa(flag_tag_values: &[(bool, &str, &str)]) -> Vec<Caa> {
    let one = |&(is_critical, tag, value): &(bool, &str, &str)| Caa {
        is_critical,
        tag: tag.to_owned(),
        value: value.to_owned(),
    };
    flag_tag_values.iter().map(one).collect()
}

fn issue(values: &[&str]) -> Vec<Caa> {
    caa(&values.iter().map(|value| (false, "issue", *value)).collect::<Vec<_>>())
}

fn identities() -> Vec<String> {
    vec!["letsencrypt.org".to_owned()]
}

/// As one word.
pub(super) fn verdict(records: &[Caa], is_wildcard: bool) -> &'static str {
    let identities = identities();
    let asker = Asker { identities: &identities, method: "http-01", account: Some("https://ca.test/acct/1") };
    word(&judge(records, tag(records, is_wildcard), asker))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Free => "free",
        Verdict::Allowed => "allowed",
        Verdict::Untold(_) => "untold",
        Verdict::Forbidden(_) => "forbidden",
        Verdict::Critical(_) => "critical",
    }
}

#[test]
fn issue_allows_those_whom_it_names_and_nobody_else() {
    assert_eq!(verdict(&[], false), "free");
    assert_eq!(verdict(&issue(&["letsencrypt.org"]), false), "allowed");
    assert_eq!(verdict(&issue(&["digicert.com", " LetsEncrypt.ORG ; "]), false), "allowed");
    assert_eq!(verdict(&issue(&["digicert.com"]), false), "forbidden");
    assert_eq!(verdict(&issue(&["xletsencrypt.org"]), false), "forbidden");
    for nobody in ["", ";", " ; ", ";x=y"] {
        assert_eq!(verdict(&issue(&[nobody]), false), "forbidden", "{nobody:?}");
        // One that allows nobody takes nothing from one that allows us.
        assert_eq!(verdict(&issue(&[nobody, "letsencrypt.org"]), false), "allowed");
    }
}

#[test]
fn what_is_no_value_allows_nobody() {
    for odd in [
        "letsencrypt.org; novalue",
        "letsencrypt.org; =x",
        "letsencrypt.org; a=b c",
        "lets encrypt.org",
        "letsencrypt.org.",
        "\u{fffd}",
    ] {
        assert_eq!(verdict(&issue(&[odd]), false), "forbidden", "{odd:?}");
    }
}

#[test]
fn issuewild_counts_for_wildcards_alone_and_then_instead_of_issue() {
    let both = caa(&[(false, "issue", "letsencrypt.org"), (false, "issuewild", ";")]);
    assert_eq!(verdict(&both, false), "allowed");
    assert_eq!(verdict(&both, true), "forbidden");
    assert_eq!(verdict(&issue(&["digicert.com"]), true), "forbidden");
    assert_eq!(verdict(&caa(&[(false, "issuewild", "digicert.com")]), false), "free");
    let wild = caa(&[(false, "issue", ";"), (false, "issuewild", "letsencrypt.org")]);
    assert_eq!((verdict(&wild, true), verdict(&wild, false)), ("allowed", "forbidden"));
}

#[test]
fn a_critical_tag_that_nobody_knows_forbids_and_others_do_not() {
    assert_eq!(verdict(&caa(&[(true, "future", "x"), (false, "issue", "letsencrypt.org")]), false), "critical");
    assert_eq!(verdict(&caa(&[(false, "future", "x"), (false, "issue", "letsencrypt.org")]), false), "allowed");
    assert_eq!(
        verdict(&caa(&[(true, "issue", "letsencrypt.org"), (true, "iodef", "mailto:a@b.test")]), false),
        "allowed"
    );
    assert_eq!(verdict(&caa(&[(false, "iodef", "mailto:a@b.test")]), false), "free");
}

#[test]
fn the_way_of_proof_may_be_limited() {
    for (parameters, expected) in [
        ("validationmethods=http-01", "allowed"),
        ("validationmethods=dns-01,http-01", "allowed"),
        ("ValidationMethods = dns-01", "forbidden"),
        ("validationmethods=", "forbidden"),
        ("validationmethods=http-01; validationmethods=http-01", "forbidden"),
        ("cansignhttpexchanges=yes", "allowed"),
    ] {
        assert_eq!(verdict(&issue(&[&format!("letsencrypt.org; {parameters}")]), false), expected, "{parameters}");
    }
}

#[test]
fn the_account_may_be_limited() {
    assert_eq!(verdict(&issue(&["letsencrypt.org; accounturi=https://ca.test/acct/1"]), false), "allowed");
    let other = "letsencrypt.org; accounturi=https://ca.test/acct/2";
    assert_eq!(verdict(&issue(&[other]), false), "forbidden");
    assert_eq!(verdict(&issue(&[other, "letsencrypt.org; accounturi=https://ca.test/acct/1"]), false), "allowed");
    let twice = "letsencrypt.org; accounturi=https://ca.test/acct/1; accounturi=https://ca.test/acct/1";
    assert_eq!(verdict(&issue(&[twice]), false), "forbidden");
    // Before the first order there is no account that could be compared.
    let identities = identities();
    let asker = Asker { identities: &identities, method: "http-01", account: None };
    assert_eq!(word(&judge(&issue(&[other]), "issue", asker)), "untold");
}

#[test]
fn an_authority_without_a_name_can_be_forbidden_by_what_forbids_everybody_alone() {
    let asker = Asker { identities: &[], method: "http-01", account: None };
    let verdicts = [issue(&["digicert.com"]), issue(&[";"]), Vec::new()].map(|records| judge(&records, "issue", asker));
    assert_eq!(verdicts.map(|one| word(&one)), ["untold", "forbidden", "free"]);
}

fn look(name: &str, answers: Vec<(&str, Result<Found<Caa>, DnsError>)>) -> Finding {
    let identities = identities();
    let asker = Asker { identities: &identities, method: "http-01", account: None };
    let answers = answers.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect();
    finding(&Identifier::parse(name).unwrap(), &answers, asker).unwrap()
}

#[test]
fn the_records_nearest_to_the_name_count() {
    let near = || Ok(Found::Records(issue(&["letsencrypt.org"])));
    let far = || Ok(Found::Records(issue(&["digicert.com"])));
    let found = look("www.a.test", vec![("www.a.test", Ok(Found::NoSuchName)), ("a.test", near()), ("test", far())]);
    assert_eq!((found.message.as_str(), found.is_bad), ("the CAA records of a.test allow letsencrypt.org", false));
    let found = look("www.a.test", vec![("www.a.test", Ok(Found::NoRecords)), ("a.test", far()), ("test", near())]);
    assert_eq!(found.message, "the CAA records of a.test allow `digicert.com` alone");
    assert_eq!((found.hint.as_str(), found.is_bad), (r#"add a record: a.test. CAA 0 issue "letsencrypt.org""#, true));
    let none = look("www.a.test", vec![("www.a.test", Ok(Found::NoRecords))]);
    assert_eq!((none.message.as_str(), none.is_bad), ("no CAA record restricts who may issue", false));
}

#[test]
fn a_failure_of_the_zone_forbids_and_silence_of_our_resolver_does_not() {
    let server = "127.0.0.1:53".parse().unwrap();
    let failed = || DnsError::Failed { server, question: "a.test CAA".to_owned(), code: "SERVFAIL" };
    let found = look("www.a.test", vec![("www.a.test", Ok(Found::NoRecords)), ("a.test", Err(failed()))]);
    assert!(found.is_bad && found.message.ends_with("SERVFAIL") && !found.hint.is_empty(), "{found:?}");
    // Nearer records settle it.
    let near = Ok(Found::Records(issue(&["letsencrypt.org"])));
    assert!(!look("www.a.test", vec![("www.a.test", near), ("a.test", Err(failed()))]).is_bad);
    let source = io::ErrorKind::TimedOut.into();
    let silent = DnsError::Silent { server, question: "a.test CAA".to_owned(), source };
    assert!(!look("a.test", vec![("a.test", Err(silent))]).is_bad);
}

#[test]
fn addresses_have_no_records() {
    let asker = Asker { identities: &[], method: "http-01", account: None };
    assert_eq!(finding(&Identifier::parse("192.0.2.7").unwrap(), &Answers::new(), asker), None);
}

#[test]
fn a_tree_goes_from_the_name_to_below_the_root() {
    assert_eq!(tree("www.a.test").collect::<Vec<_>>(), ["www.a.test", "a.test", "test"]);
    assert_eq!(tree("localhost").collect::<Vec<_>>(), ["localhost"]);
}

proptest! {
    /// Whatever a record says, it is judged in one line.
    #[test]
    fn no_record_makes_a_judge_fall(tag in "\\PC{0,12}", value in "\\PC{0,60}", is_critical: bool) {
        let records = Found::Records(caa(&[(is_critical, &tag, &value)]));
        let told = look("a.test", vec![("a.test", Ok(records))]);
        prop_assert!(!told.message.contains('\n') && told.message.len() < 2000);
    }

    /// What allows an authority is written with nothing but its name before the first semicolon.
    #[test]
    fn nobody_is_allowed_by_a_value_that_does_not_name_them(value in "[a-z .;=-]{0,30}") {
        let names_us = value.split(';').next().unwrap_or_default().trim() == "letsencrypt.org";
        prop_assert!(names_us || verdict(&issue(&[&value]), false) == "forbidden");
    }
}
