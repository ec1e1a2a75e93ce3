//! Accounts: made once, found again, made anew, bound.

use std::fs;

use shipshape_core::secret::SecretSource;

use super::*;
use crate::wanted::Binding;

fn account_file(fake: &Fake) -> (PathBuf, Value) {
    let file = fs::read_dir(fake.accounts()).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&file).unwrap();
    (file, serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn an_account_is_made_once() {
    let fake = Fake::start();
    let first = opened(&fake).account();
    assert_eq!(opened(&fake).account(), first);
    fake.once("POST /account");
}

#[test]
fn an_account_whose_making_was_cut_off_is_found_again_by_its_key() {
    let fake = Fake::with_whim(|asked, before| (asked.line == "POST /account" && before < 3).then(Said::default));
    assert_eq!(Session::open(&fake.authority, &fake.accounts()).err().unwrap().code(), "http.connection");
    let (_, kept) = account_file(&fake);
    assert_eq!(kept["url"], Value::Null);
    opened(&fake);
    let keys: Vec<Value> = fake
        .asked()
        .into_iter()
        .filter(|one| one.line == "POST /account")
        .map(|one| one.protected["jwk"].clone())
        .collect();
    assert!(keys.len() == 4 && keys.iter().all(|key| *key == keys[0] && key.is_object()), "{keys:?}");
    let (_, now) = account_file(&fake);
    assert_eq!((&now["key"], now["url"].as_str()), (&kept["key"], Some(format!("{}/account/1", fake.base).as_str())));
}

#[test]
fn a_forgotten_account_is_made_anew_under_its_key() {
    let fake = Fake::with_whim(|asked, before| match (asked.line.as_str(), before) {
        ("POST /order", 0) => Some(Said::problem(400, "accountDoesNotExist", "unknown")),
        ("POST /account", 1) => Some(Said::json(201, &json!({})).with("Location", "http://other.test/account/2")),
        _ => None,
    });
    let session = opened(&fake);
    let (_, before) = account_file(&fake);
    let names = names();
    assert_eq!(session.order(&request(&names)).err().unwrap().code(), "acme.account_gone");
    session.renew_account().unwrap();
    assert_eq!(session.account(), "http://other.test/account/2");
    let (_, now) = account_file(&fake);
    assert_eq!((&now["key"], &now["url"]), (&before["key"], &json!("http://other.test/account/2")));
    session.order(&request(&names)).unwrap();
    let last = fake.asked().pop().unwrap();
    assert_eq!(last.protected["kid"], "http://other.test/account/2");
}

#[test]
fn an_account_that_was_closed_is_made_anew_under_another_key() {
    let fake = Fake::with_whim(|asked, before| {
        (asked.line == "POST /account" && before == 1).then(|| Said::problem(403, "unauthorized", "deactivated"))
    });
    let session = opened(&fake);
    let (_, before) = account_file(&fake);
    session.renew_account().unwrap();
    assert_ne!(account_file(&fake).1["key"], before["key"]);
}

#[test]
fn a_contact_is_told_once_and_again_when_it_changes() {
    let mut fake = Fake::start();
    fake.authority.contact = vec!["a@a.test".to_owned()];
    opened(&fake);
    opened(&fake);
    assert_eq!(fake.once("POST /account/1").payload, json!({ "contact": ["mailto:a@a.test"] }));
    fake.authority.contact = Vec::new();
    opened(&fake);
    assert_eq!(fake.asked().pop().unwrap().payload, json!({ "contact": [] }));
}

#[test]
fn an_account_that_is_gone_when_it_is_told_a_contact_is_made_anew() {
    let mut fake = Fake::with_whim(|asked, before| match (asked.line.as_str(), before) {
        ("POST /account/1", _) => Some(Said::problem(400, "accountDoesNotExist", "unknown")),
        ("POST /account", 1) => {
            Some(Said::json(201, &json!({})).with("Location", &format!("{}/account/2", asked.base)))
        }
        ("POST /account/2", _) => Some(Said::json(200, &json!({ "status": "valid" }))),
        _ => None,
    });
    opened(&fake);
    fake.authority.contact = vec!["a@a.test".to_owned()];
    assert_eq!(opened(&fake).account(), format!("{}/account/2", fake.base));
    assert_eq!(fake.once("POST /account/2").payload, json!({ "contact": ["mailto:a@a.test"] }));
    let (_, kept) = account_file(&fake);
    assert_eq!(kept["url"], json!(format!("{}/account/2", fake.base)));
}

#[test]
fn an_authority_that_knows_no_account_however_often_it_is_made_is_given_up() {
    let mut fake = Fake::with_whim(|asked, _| {
        (asked.line == "POST /account/1").then(|| Said::problem(400, "accountDoesNotExist", "unknown"))
    });
    fake.authority.contact = vec!["a@a.test".to_owned()];
    let error = Session::open(&fake.authority, &fake.accounts()).err().unwrap();
    assert_eq!((error.code(), fake.count("POST /account")), ("acme.account_gone", 2));
}

#[test]
fn an_account_that_must_be_bound_is_not_asked_for_without() {
    let fake = Fake::with_whim(|asked, _| {
        let mut found = directory(&asked.base);
        found["meta"]["externalAccountRequired"] = json!(true);
        (asked.line == "GET /dir").then(|| Said::json(200, &found))
    });
    assert_eq!(Session::open(&fake.authority, &fake.accounts()).err().unwrap().code(), "acme.binding");
    assert_eq!(fake.asked().len(), 1);
    assert_eq!(fs::read_dir(fake.accounts()).unwrap().count(), 0);
}

#[test]
fn a_bound_account_carries_its_binding_and_is_kept() {
    let mut fake = Fake::start();
    let file = fake.accounts().with_extension("hmac");
    shipshape_core::atomic::replace(&file, b"c2VjcmV0LWtleS0x\n").unwrap();
    fake.authority.binding = Some(Binding { kid: "kid-7".to_owned(), hmac: SecretSource::File(file) });
    fake.authority.contact = vec!["mailto:a@a.test".to_owned()];
    let account = opened(&fake).account();
    assert_eq!(opened(&fake).account(), account);
    let asked = fake.once("POST /account");
    assert_eq!(asked.payload["contact"], json!(["mailto:a@a.test"]));
    assert!(asked.payload["externalAccountBinding"]["signature"].is_string());
    assert_eq!(account_file(&fake).1["contact"], json!(["mailto:a@a.test"]));
}

#[test]
fn a_binding_that_is_refused_is_told_as_such() {
    let mut fake = Fake::with_whim(|asked, _| {
        (asked.line == "POST /account").then(|| Said::problem(403, "unauthorized", "no such kid"))
    });
    let file = fake.accounts().with_extension("hmac");
    shipshape_core::atomic::replace(&file, b"c2VjcmV0LWtleS0x\n").unwrap();
    fake.authority.binding = Some(Binding { kid: "kid-7".to_owned(), hmac: SecretSource::File(file) });
    let error = Session::open(&fake.authority, &fake.accounts()).err().unwrap();
    assert_eq!(
        (error.code(), error.to_string().ends_with("`kid-7` cannot be used: no such kid")),
        ("acme.binding_key", true)
    );
    assert_eq!(fs::read_dir(fake.accounts()).unwrap().count(), 0);
}
